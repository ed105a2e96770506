"""A copy of the sync-state in another database, from SQLite to PostgreSQL or back.

All rows are written in one transaction, then read back and compared by their number and a hash, before it commits. So a copy
that was cut off leaves nothing behind, and the same command begins anew. The lease is held meanwhile, and proved at the end: no run
writes here what the copy would not have. Memory holds one page of rows.
"""

import hashlib
from collections.abc import Generator, Mapping, Sequence
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
    """What was copied.

    Shape:  tables: none when it was interrupted, and nothing was copied.  was_there: an earlier copy was found whole, and nothing written.
    """

    tables: Sequence[CopiedTable]
    interrupted: bool = False
    was_there: bool = False


class _CutOffError(Exception):
    """Ends the transaction of a copy that was interrupted."""


def copy_state(
    ledger: Ledger, source: Database, source_schema: str | None, target: Database, target_schema: str | None, interrupt: Interrupt
) -> CopyReport:
    """Copy all sync-state tables to an empty database and prove that the rows are the same. The ledger has no lease yet.

    Rows that are there already are compared: a copy whose process ended just after its commit is found whole.
    Raises: UsageError when there are other rows or tables, LeaseHeldError while a run is at work, DatabaseError when the rows differ,
            and LeaseLostError when a run may have written here meanwhile; then nothing is copied.
    """
    ledger.acquire()
    try:
        with ledger.kept():
            if filled := _find_filled(target, target_schema):
                with source.connect() as reading, target.connect() as other:
                    return _compare(_tables(reading, source_schema), reading, _tables(other, target_schema), other, filled, interrupt)
            upgrade(target, target_schema)
            with source.connect() as reading, ExitStack() as held, target.transaction() as writing:
                here, there = {each.name: each for each in _tables(reading, source_schema)}, _tables(writing, target_schema)
                _require_same(here, {each.name: each for each in there})
                copied = [_copy(reading, here[each.name], writing, each, interrupt) for each in there]
                # Open until the copy has committed: a run cannot begin in between, even if this process is stopped there.
                held.enter_context(ledger.transaction())
                return CopyReport(copied)
    except _CutOffError:
        return CopyReport((), interrupted=True)
    finally:
        ledger.release()


def _find_filled(target: Database, schema: str | None) -> list[str]:
    """Return the names of the tables there that have rows."""
    with target.connect() as connection:
        return [each.name for each in _tables(connection, schema) if connection.execute(select(each).limit(1)).first() is not None]


def _require_same(here: Mapping[str, Table], there: Mapping[str, Table]) -> None:
    """Raise UsageError when one place has a table or column that the other one lacks."""
    for mine, its, where in ((here, there, "here"), (there, here, "in the database of --to")):
        if alone := [name for name in mine if name not in its]:
            raise UsageError(
                f"only {where} are tables named {', '.join(alone)}; nothing was copied: if they are no tables of rehook-sync, give them "
                "other names; if some were dropped by hand, drop all of that database's, and its sync_migrations with them"
            )
    if altered := [name for name in here if {each.name for each in here[name].columns} != {each.name for each in there[name].columns}]:
        raise UsageError(f"table {altered[0]} has other columns in the database of --to; nothing was copied: drop its tables there")


def _compare(
    here: Sequence[Table], reading: Connection, there: Sequence[Table], other: Connection, filled: Sequence[str], interrupt: Interrupt
) -> CopyReport:
    """Return the report of a copy that is whole already. Raises UsageError when the two places do not hold the same rows."""
    copied, others = [], {each.name: each for each in there}
    for table in here if {each.name for each in here} == others.keys() else ():
        names = sorted(str(each.name) for each in table.columns)
        found = names == sorted(each.name for each in others[table.name].columns) and [
            _read_fingerprint(connection, each, names, interrupt) for connection, each in ((reading, table), (other, others[table.name]))
        ]
        if not found or found[0] != found[1]:
            break
        copied.append(CopiedTable(table.name, *found[0]))
    if len(copied) < len(others):
        raise UsageError(
            f"the sync-state tables of --to are not empty: {', '.join(filled)}, and no copy of these; nothing was copied: name an empty "
            "database, or drop those tables if you know that they are not needed"
        )
    return CopyReport(copied, was_there=True)


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
    times = {each.name for each in target.columns if isinstance(each.type, DateTime)}
    put = _Fingerprint()
    with closing(_pages(reading, source, names, interrupt)) as pages:
        for page in pages:
            put.add(page)
            writing.execute(insert(target), [_as_stored(row, times) for row in page])
    rows, text = _read_fingerprint(writing, target, names, interrupt)
    if (put.rows, put.text) != (rows, text):
        raise DatabaseError(f"table {source.name}: {put.rows:,} rows were written, {rows:,} or others read back; nothing was copied")
    return CopiedTable(source.name, rows, text)


def _read_fingerprint(connection: Connection, table: Table, names: Sequence[str], interrupt: Interrupt) -> tuple[int, str]:
    """Return the number of rows of a table, and their hash."""
    found = _Fingerprint()
    with closing(_pages(connection, table, names, interrupt)) as pages:
        for page in pages:
            found.add(page)
    return found.rows, found.text


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
