"""What the promises cost anybody: the bare loop, which also keeps the order of time and records each call, and an event before it leaves.

`python -m bench.keeping --database URL --books URL --api URL --in-flight N --cursors FILE` sends what is newer than in the run before.
All rows are read before the first is sent: the oldest may have arrived last. Commits are durable, each in one transaction, while requests
are in flight; at most twice as many events as may be in flight are marked and not settled. No retry, no state that is read.
"""

import argparse
import asyncio
import json
import sqlite3
from collections import deque
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from operator import itemgetter
from pathlib import Path
from typing import Any, Protocol

import orjson
import uvloop
import yarl

from bench.limit import open_session, read_rows
from bench.rows import WORK

_Row = tuple[str, str, dict[str, Any]]
"""Time of arrival, table, columns."""


class Books(Protocol):
    """Where calls are recorded."""

    def write(self, marks: Sequence[str], sent: Sequence[str]) -> None:
        """Record in one durable transaction which calls are about to be sent, and which were sent."""


class SqliteBooks:
    """A file."""

    def __init__(self, path: str) -> None:
        self._connection = sqlite3.connect(path, check_same_thread=False)
        self._connection.execute("PRAGMA journal_mode = WAL")
        self._connection.execute("PRAGMA synchronous = FULL")
        self._connection.execute("CREATE TABLE IF NOT EXISTS calls (id text PRIMARY KEY, status text) WITHOUT ROWID")

    def write(self, marks: Sequence[str], sent: Sequence[str]) -> None:
        with self._connection as connection:
            connection.executemany("INSERT INTO calls VALUES (?, 'sending')", [(each,) for each in marks])
            connection.executemany("INSERT OR REPLACE INTO calls VALUES (?, 'sent')", [(each,) for each in sent])


class PostgresBooks:
    """A database."""

    def __init__(self, url: str) -> None:
        import psycopg

        self._connection = psycopg.connect(url)
        with self._connection.transaction():
            self._connection.execute("CREATE TABLE IF NOT EXISTS calls (id text PRIMARY KEY, status text)")

    def write(self, marks: Sequence[str], sent: Sequence[str]) -> None:
        into = "INSERT INTO calls SELECT id, %s FROM unnest(%s::text[]) AS id"
        with self._connection.transaction(), self._connection.pipeline():
            self._connection.execute(into, ("sending", list(marks)))
            self._connection.execute(f"{into} ON CONFLICT (id) DO UPDATE SET status = excluded.status", ("sent", list(sent)))


class Loop:
    """One run."""

    def __init__(self, rows: Sequence[_Row], api: str, books: Books, in_flight: int) -> None:
        self._rows = iter(rows)
        self._left = len(rows)
        self._urls = {table: yarl.URL(api + path) for table, (path, _) in WORK.items()}
        self._books = books
        self._in_flight = in_flight
        self._sendable: asyncio.Queue[_Row | None] = asyncio.Queue()
        self._to_mark: deque[_Row] = deque()
        self._sent: list[str] = []
        self._landed = self._marked = 0
        self._news = asyncio.Event()

    async def run(self) -> None:
        self._fill()
        async with open_session(self._in_flight) as session:
            await asyncio.gather(self._commit(), *(self._work(session) for _ in range(self._in_flight)))

    def _fill(self) -> None:
        """Let some rows wait to be sent or marked, in their order."""
        while len(self._to_mark) + self._sendable.qsize() < 30 * self._in_flight and (row := next(self._rows, None)) is not None:
            if row[1] == "identifies":
                self._sendable.put_nowait(row)
            else:
                self._to_mark.append(row)
        self._news.set()

    async def _work(self, session: Any) -> None:
        while (row := await self._sendable.get()) is not None:
            _, table, fields = row
            async with session.post(self._urls[table], data=orjson.dumps(fields)) as answer:
                await answer.read()
                answer.raise_for_status()
            self._sent.append(fields.get("id") or fields["user_id"])  # each user has one Identify call
            self._landed += table != "identifies"
            self._fill()

    async def _commit(self) -> None:
        loop = asyncio.get_running_loop()
        with ThreadPoolExecutor(1) as thread:
            while self._left:
                await self._news.wait()
                self._news.clear()
                sent, self._sent = self._sent, []
                self._marked -= self._landed
                self._landed = 0
                marks = [self._to_mark.popleft() for _ in range(min(len(self._to_mark), 2 * self._in_flight - self._marked))]
                self._marked += len(marks)
                await loop.run_in_executor(thread, self._books.write, [row[2]["id"] for row in marks], sent)
                self._left -= len(sent)
                for row in marks:
                    self._sendable.put_nowait(row)
        for _ in range(self._in_flight):
            self._sendable.put_nowait(None)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    for option in ("--database", "--books", "--api", "--cursors"):
        parser.add_argument(option, required=True)
    parser.add_argument("--in-flight", type=int, default=64)
    chosen = parser.parse_args()
    cursors = Path(chosen.cursors)
    last = json.loads(cursors.read_text()) if cursors.exists() else {}
    rows = [
        (str(row["received_at"]), table, row)
        for table, (_, columns) in WORK.items()
        for row in read_rows(chosen.database, table, columns, last.get(table))
    ]
    if not rows:
        return
    rows.sort(key=itemgetter(0))
    is_file = chosen.books.startswith("sqlite")
    books: Books = SqliteBooks(chosen.books.partition(":///")[2]) if is_file else PostgresBooks(chosen.books)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(Loop(rows, chosen.api, books, chosen.in_flight).run())
    cursors.write_text(json.dumps(last | {table: received_at for received_at, table, _ in rows}))


if __name__ == "__main__":
    main()
