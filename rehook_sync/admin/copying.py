"""A copy of the sync-state in another database, from SQLite to PostgreSQL or back.

All rows are written in one transaction, then read back and compared by their number and a hash, before it commits. So a copy
that was cut off leaves nothing behind, and the same command begins anew. The lease is held meanwhile, and proved at the end: no run
writes here what the copy would not have. Memory holds one page of rows.
"""

import hashlib
from collections.abc import Generator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from datetime import datetime

import orjson
from sqlalchemy import Column, Connection, DateTime, MetaData, Table, insert, inspect, select

from rehook_sync.database.engine import Database, utc_text
from rehook_sync.errors import DatabaseError, UsageError
from rehook_sync.runtime import Interrupt
from rehook_sync.state.ledger import Ledger
from rehook_sync.state.migrations import upgrade
from rehook_sync.times import to_time

__all__ = ["CopiedTable", "CopyReport", "copy_state"]

_PAGE = 1000
_OWN = frozenset({"sync_migrations", "sync_lease"})
"""Tables that each place has for itself: which steps made its tables, and who writes there."""
_MODULUS = 1 << 128
Row = dict[str, object]


@dataclass(frozen=True, slots=True)
class CopiedTable:
    """A table whose rows are the same in both places. Shape:  fingerprint: hash of all its rows, whatever their order."""

    name: str
    rows: int
    fingerprint: str


@dataclass(frozen=True, slots=True)
class CopyReport:
    """What was copied. Shape:  tables: none when it was interrupted, and nothing was copied."""

    tables: Sequence[CopiedTable]
    interrupted: bool = False


class _CutOffError(Exception):
    """Ends the transaction of a copy that was interrupted."""


def copy_state(
    ledger: Ledger, source: Database, source_schema: str | None, target: Database, target_schema: str | None, interrupt: Interrupt
) -> CopyReport:
    """Copy all sync-state tables to an empty database and prove that the rows are the same. The ledger has no lease yet.

    Raises: UsageError when there are rows already, LeaseHeldError while a run is at work, DatabaseError when the rows differ,
            and LeaseLostError when a run may have written here meanwhile; then nothing is copied.
    """
    ledger.acquire()
    try:
        with ledger.kept():
            _require_empty(target, target_schema)
            upgrade(target, target_schema)
            with source.connect() as reading, ExitStack() as held, target.transaction() as writing:
                here = {each.name: each for each in _tables(reading, source_schema)}
                there = _tables(writing, target_schema)
                if here.keys() != {each.name for each in there}:
                    raise DatabaseError("the tables of the two places differ: run `python -m rehook_sync init`, then copy again")
                copied = [_copy(reading, here[each.name], writing, each, interrupt) for each in there]
                # Open until the copy has committed: a run cannot begin in between, even if this process is stopped there.
                held.enter_context(ledger.transaction())
                return CopyReport(copied)
    except _CutOffError:
        return CopyReport((), interrupted=True)
    finally:
        ledger.release()


def _require_empty(target: Database, schema: str | None) -> None:
    """Raise UsageError when a sync-state table there has rows."""
    with target.connect() as connection:
        filled = [each.name for each in _tables(connection, schema) if connection.execute(select(each).limit(1)).first() is not None]
    if filled:
        raise UsageError(
            f"the sync-state tables of --to are not empty: {', '.join(filled)}; nothing was copied: name an empty database, "
            "or drop those tables if you know that they are not needed"
        )


def _tables(connection: Connection, schema: str | None) -> list[Table]:
    """Return the tables to copy, each after those that it refers to."""
    found, inspector = MetaData(schema=schema), inspect(connection)
    names = [name for name, _ in inspector.get_sorted_table_and_fkc_names(schema) if name is not None]
    return [
        Table(str(name), found, *(Column(str(each["name"]), each["type"]) for each in inspector.get_columns(name, schema=schema)))
        for name in names
        if name.startswith("sync_") and name not in _OWN
    ]


def _copy(reading: Connection, source: Table, writing: Connection, target: Table, interrupt: Interrupt) -> CopiedTable:
    """Copy one table and compare."""
    names = sorted(str(each.name) for each in source.columns)
    if names != sorted(each.name for each in target.columns):
        raise DatabaseError(f"table {source.name} has other columns there: run `python -m rehook_sync init`, then copy again")
    times = {each.name for each in target.columns if isinstance(each.type, DateTime)}
    put = _Fingerprint()
    with closing(_pages(reading, source, names, interrupt)) as pages:
        for page in pages:
            put.add(page)
            writing.execute(insert(target), [_as_stored(row, times) for row in page])
    found = _Fingerprint()
    with closing(_pages(writing, target, names, interrupt)) as pages:
        for page in pages:
            found.add(page)
    if (put.rows, put.text) != (found.rows, found.text):
        raise DatabaseError(f"table {source.name}: {put.rows:,} rows were written, {found.rows:,} or others read back; nothing was copied")
    return CopiedTable(source.name, put.rows, put.text)


def _pages(connection: Connection, table: Table, names: Sequence[str], interrupt: Interrupt) -> Generator[list[Row], None, None]:
    """Yield the rows of a table in pages, times as the text that SQLite stores."""
    statement = select(*(table.columns[name] for name in names)).execution_options(stream_results=True, max_row_buffer=_PAGE)
    with connection.execute(statement) as streamed:
        for page in streamed.partitions(_PAGE):
            if interrupt.requested:
                raise _CutOffError
            yield [{name: _plain(value) for name, value in zip(names, row, strict=True)} for row in page]


def _plain(value: object) -> object:
    return utc_text(value) if isinstance(value, datetime) else value


def _as_stored(row: Row, times: set[str]) -> Row:
    return {name: to_time(value) if name in times else value for name, value in row.items()} if times else row


class _Fingerprint:
    """A hash of rows that does not depend on their order: the sum of the hashes of each."""

    def __init__(self) -> None:
        """Begin without a row."""
        self.rows = 0
        self._sum = 0

    def add(self, page: Sequence[Row]) -> None:
        """Add the rows of a page."""
        self.rows += len(page)
        for row in page:
            text = orjson.dumps(row, option=orjson.OPT_SORT_KEYS)
            self._sum = (self._sum + int.from_bytes(hashlib.blake2b(text, digest_size=16).digest())) % _MODULUS

    @property
    def text(self) -> str:
        """Return the hash in hexadecimal digits."""
        return f"{self._sum:032x}"
