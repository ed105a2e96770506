"""The warehouses of the bench: N Identify calls, N Track calls, and event tables that hold the properties of the latter.

Deterministic. A call every 17 s in each stream, so that the lookback holds as much however long the history is; or all within the lookback.
"""

import hashlib
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import psycopg

__all__ = ["TABLES", "Layout", "fill_postgres", "fill_sqlite", "make_rows"]

_BEGINNING = datetime(2024, 1, 1)  # noqa: DTZ001 - UTC; aware times would be slower to write
_SPACING_S = 17
_FIRST_NAMES = ["Ada", "Grace", "Alan", "Edsger", "Barbara", "Donald", "Margaret", "Ken", "Dennis", "Frances"]
_LAST_NAMES = ["Lovelace", "Hopper", "Turing", "Dijkstra", "Liskov", "Knuth", "Hamilton", "Thompson", "Ritchie", "Allen"]
_COMPANIES = ["Analytical Engines Ltd", "Compiler Works", "Bombe & Sons", "Shortest Path BV", "Substitution Inc", "Literate Programs"]
_BLOCK_ROWS = 10_000
_COMMON = "id text PRIMARY KEY, user_id text, anonymous_id text, received_at timestamptz, sent_at timestamptz, timestamp timestamptz"
TABLES = {
    "identifies": f"{_COMMON}, context_ip text, email text, first_name text, last_name text, company text, employees bigint, "
    "referral_code text",
    "tracks": f"{_COMMON}, context_ip text, event text, event_text text",
    "order_completed": f"{_COMMON}, event text, event_text text, order_id text, total double precision, currency text",
}
"""Table -> its columns, as PostgreSQL declares them."""


class Layout(NamedTuple):
    """What a warehouse holds.

    Shape:  rows: of each of the two streams.  tables: event tables.  within: all calls arrive within two days, less than the lookback.
    """

    rows: int
    tables: int = 1
    within: bool = False

    @property
    def name(self) -> str:
        """Tell it from others."""
        return f"{self.rows}_{self.tables}{'_within' if self.within else ''}"

    @property
    def columns(self) -> dict[str, str]:
        """Table -> its columns."""
        base = {name: TABLES[name] for name in ("identifies", "tracks")}
        return {**base, **dict.fromkeys((_event(number, self.tables) for number in range(self.tables)), TABLES["order_completed"])}


def make_rows(table: str, layout: Layout) -> Iterator[tuple[Any, ...]]:
    """The rows of a table, oldest first; times are text, in UTC.

    Each user has one Identify call. The first 50,021 users share the Track calls, so that most users have one of each at the same instant.
    """
    spacing = timedelta(days=2) / layout.rows if layout.within else timedelta(seconds=_SPACING_S)
    own = [number for number in range(layout.tables) if _event(number, layout.tables) == table]
    for number in range(own[0], layout.rows, layout.tables) if own else range(layout.rows):
        event = _event(number, layout.tables)
        when = _BEGINNING + number * spacing + timedelta(microseconds=0 if layout.within else number % 1_000_000)
        happened, received = f"{when.isoformat('T', 'microseconds')}Z", f"{(when + timedelta(seconds=1)).isoformat('T', 'microseconds')}Z"
        times = (received, happened, happened)
        if table == "identifies":
            first, last = _FIRST_NAMES[number % 10], _LAST_NAMES[number // 10 % 10]
            traits = (f"{first}.{last}{number}@example.com".lower(), first, last, _COMPANIES[number % 6], 5 + number % 900)
            yield _hash("i", number), f"u_{number:08d}", _hash("a", number), *times, _address(number), *traits, f"REF{number:07d}"
            continue
        common = (_hash("t", number), f"u_{number % 50_021:08d}", _hash("a", number), *times)
        text = event.replace("_", " ").title()
        if table == "tracks":
            yield *common, _address(number), event, text
        else:
            yield *common, event, text, f"o_{number:09d}", number * 37 % 100_000 / 100, "EUR"


def fill_sqlite(path: Path, layout: Layout) -> None:
    """Write a warehouse into a new file, with what its planner wants to know."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode = OFF")
        connection.execute("PRAGMA synchronous = OFF")
        connection.execute("PRAGMA cache_size = -500000")
        for table, columns in layout.columns.items():
            declared = columns.replace("timestamptz", "TIMESTAMP").replace("double precision", "REAL").replace("bigint", "INTEGER")
            connection.execute(f"CREATE TABLE {table} ({declared})")
            connection.execute("BEGIN")
            marks = ", ".join("?" * len(columns.split(", ")))
            connection.executemany(f"INSERT INTO {table} VALUES ({marks})", make_rows(table, layout))
            connection.execute("COMMIT")
            connection.execute(f"CREATE INDEX {table}_by_received_at ON {table} (received_at)")
        connection.execute("ANALYZE")


def fill_postgres(url: str, layout: Layout) -> None:
    """Write a warehouse into an empty database, with what its planner wants to know."""
    with psycopg.connect(url, autocommit=True) as connection:
        for table, columns in layout.columns.items():
            connection.execute(f"CREATE TABLE {table} ({columns})".encode())
            made = make_rows(table, layout)
            with connection.cursor().copy(f"COPY {table} FROM STDIN".encode()) as copy:
                while block := list(islice(made, _BLOCK_ROWS)):
                    copy.write("".join("\t".join(map(str, row)) + "\n" for row in block))
            connection.execute(f"CREATE INDEX {table}_by_received_at ON {table} (received_at)".encode())
        connection.execute("VACUUM ANALYZE")


def _event(number: int, tables: int) -> str:
    """The event of a Track call, and its table."""
    return f"order_completed_{number % tables}" if tables > 1 else "order_completed"


def _hash(kind: str, number: int) -> str:
    return hashlib.md5(f"{kind}{number}".encode(), usedforsecurity=False).hexdigest()


def _address(number: int) -> str:
    return f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"
