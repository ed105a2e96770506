"""Which copy for analysts there is, how far it has come, and the rows that it lacks."""

import uuid
from collections.abc import Generator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime

import orjson
from sqlalchemy import Connection, RowMapping

from rehook_sync.database.engine import Database, utc_text
from rehook_sync.database.queries import Statements
from rehook_sync.state.customers import parse_traits
from rehook_sync.values import storable_json

__all__ = ["Page", "Position", "Publication", "Publications"]

Row = dict[str, object]
_TABLES = ("calls", "customers", "runs", "watermarks")
_PAGES = {"calls": "read_call_page", "customers": "read_customer_page", "runs": "read_run_page", "watermarks": "read_run_page"}


@dataclass(frozen=True, slots=True)
class Position:
    """Where the first copy of all rows goes on. Shape:  stream, id: key of the last row that is there; empty: none is."""

    table: str
    stream: str = ""
    id: str = ""

    @property
    def is_first(self) -> bool:
        """Tell whether no row is there yet."""
        return self == Position(_TABLES[0])

    @property
    def next_table(self) -> "Position | None":
        """Return the beginning of the table after this one, None after the last."""
        place = _TABLES.index(self.table) + 1
        return Position(_TABLES[place]) if place < len(_TABLES) else None


@dataclass(frozen=True, slots=True)
class Publication:
    """A copy of these tables.

    Shape:  place: where it is, without secrets.  version: that of the tables when it was begun.  turn: publications that have begun.
            reached: how far the first copy of all rows has come; None when all are there.
    """

    publication_id: str
    place: str
    version: int
    turn: int
    reached: Position | None


@dataclass(frozen=True, slots=True)
class Page:
    """Rows of one table of the copy. Shape:  gone: keys of rows that are here no more.  last: the key up to which this is all."""

    rows: Sequence[Row]
    gone: Sequence[Mapping[str, str]]
    last: tuple[str, str]


class Publications:
    """The copy recorded in one database. Writing takes the connection of a transaction that holds the lease."""

    def __init__(self, database: Database) -> None:
        """Wrap a database that `migrations.require_version` accepted."""
        self._database = database
        self._sql = Statements("state", database.engine.dialect)

    def read(self) -> Publication | None:
        """Return the copy, None when there is none."""
        with self._database.connect() as connection:
            return self._read(connection)

    def _read(self, connection: Connection) -> Publication | None:
        row = connection.execute(self._sql["read_publication"]).first()
        if row is None:
            return None
        reached = None if row.reached is None else Position(**orjson.loads(row.reached))
        return Publication(row.publication_id, row.place, row.version, row.turn, reached)

    def begin(self, connection: Connection, place: str, *, whole: bool, least_turn: int = 0) -> Publication:
        """Begin a publication: of what has changed, or of everything, if there is no copy there, or one of another version of the tables.

        From here on, changes are noted. least_turn: a turn that is over, as the copy knows.
        """
        known = self._read(connection)
        version = int(connection.execute(self._sql["newest_migration"]).scalar_one())
        if known is None or known.place != place or known.version != version or whole:
            publication_id = str(uuid.uuid4()) if known is None else known.publication_id
            turn = max(0 if known is None else known.turn, least_turn)
            connection.execute(self._sql["drop_changes"])
            connection.execute(self._sql["drop_publication"])
            values = {"publication_id": publication_id, "place": place, "version": version, "turn": turn}
            connection.execute(self._sql["insert_publication"], {**values, "reached": _text(Position(_TABLES[0]))})
        connection.execute(self._sql["take_turn"])
        begun = self._read(connection)
        assert begun is not None  # noqa: S101 - written above
        return begun

    def note_reached(self, connection: Connection, position: Position | None) -> None:
        """Record how far the first copy of all rows has come."""
        connection.execute(self._sql["note_reached"], {"reached": None if position is None else _text(position)})

    def end(self, connection: Connection) -> None:
        """Record that the copy has all that is here."""
        connection.execute(self._sql["drop_changed_runs"])
        connection.execute(self._sql["note_published"])

    def forget(self, connection: Connection) -> None:
        """Note no changes any more."""
        connection.execute(self._sql["drop_changes"])
        connection.execute(self._sql["drop_publication"])

    def read_page(self, position: Position, rows: int) -> tuple[Page, Position | None]:
        """Return rows of the first copy from a position on, and where it goes on."""
        with self._database.connect() as connection:
            values = {"stream": position.stream, "id": position.id, "rows": rows}
            found = [_row(each) for each in connection.execute(self._sql[_PAGES[position.table]], values).mappings()]
        if not found:
            return Page((), (), ("", "")), position.next_table
        last = found[-1]
        key = str(last.get("stream", "")), str(next(last[name] for name in ("message_id", "source_id", "run_id") if name in last))
        if position.table in {"runs", "watermarks"}:
            found = self.read_of_runs(position.table, [str(each["run_id"]) for each in found])
        return Page(found, (), key), Position(position.table, *key)

    def read_of_runs(self, table: str, run_ids: Sequence[str]) -> list[Row]:
        """Return what is recorded of these runs: `runs` themselves, or their `watermarks`."""
        with self._database.connect() as connection:
            name = {"runs": "read_run_rows", "watermarks": "read_watermark_rows"}[table]
            return [_row(each) for each in connection.execute(self._sql[name], {"ids": storable_json(list(run_ids))}).mappings()]

    def read_changed(self, table: str, rows: int) -> Page | None:
        """Return a page of `calls` or `customers` that have changed one by one, None when there is none."""
        name, key = {"calls": ("read_changed_calls", "message_id"), "customers": ("read_changed_customers", "source_id")}[table]
        with self._database.connect() as connection:
            found = [_row(each) for each in connection.execute(self._sql[name], {"rows": rows}).mappings()]
        if not found:
            return None
        noted = [(str(each.pop("noted_stream")), str(each.pop("noted_id"))) for each in found]
        gone = [{"stream": stream, "id": each} for (stream, each), row in zip(noted, found, strict=True) if row[key] is None]
        return Page([row for row in found if row[key] is not None], gone, noted[-1])

    def drop_changed(self, connection: Connection, table: str, page: Page) -> None:
        """Forget that the calls or customers of a page have changed."""
        kind = {"calls": "call", "customers": "customer"}[table]
        connection.execute(self._sql["drop_changed"], {"kind": kind, "stream": page.last[0], "id": page.last[1]})

    def read_changed_runs(self, *, calls: bool) -> list[str]:
        """Return the runs that have changed, oldest first. `calls`: only those whose calls have."""
        with self._database.connect() as connection:
            values = {"kind": "run" if calls else "summary"}
            return list(connection.execute(self._sql["read_changed_runs"], values).scalars())

    def read_run(self, table: str, run_id: str, rows: int) -> Generator[list[Row], None, None]:
        """Yield pages of the `calls` that a run wrote last, or of their `customers`."""
        name = {"calls": "read_calls_of_run", "customers": "read_customers_of_run"}[table]
        with self._database.connect() as connection:
            streamed = connection.execution_options(stream_results=True, max_row_buffer=rows)
            with closing(streamed.execute(self._sql[name], {"run_id": run_id})) as found:
                for page in found.mappings().partitions(rows):
                    yield [_row(each) for each in page]


def _row(row: RowMapping) -> Row:
    """Return a row with its times as the text that SQLite stores; of a customer's hashes only when the code was carried."""
    found = {str(name): utc_text(value) if isinstance(value, datetime) else value for name, value in row.items()}
    if "trait_hashes" in found:
        hashes = found.pop("trait_hashes")
        code, moment = parse_traits(str(hashes)).get("referral_code", ("", None)) if hashes else ("", None)
        found["code_carried_at"] = utc_text(moment[0]) if code and moment else None  # without a hash, nobody knows what was sent
    return found


def _text(position: Position) -> str:
    return orjson.dumps({"table": position.table, "stream": position.stream, "id": position.id}).decode()
