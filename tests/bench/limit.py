"""The limit: a bare driver's cursor, orjson and aiohttp, and nothing else. No order, no retry, no record of what was sent.

`python -m bench.limit --database URL --api URL --cursors FILE --in-flight N [--uvloop]` sends what is newer than in the run before.
"""

import argparse
import asyncio
import base64
import json
import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import orjson
import yarl

from bench.rows import CREDENTIALS, WORK

CHUNK_ROWS = 1000


def read_rows(database: str, table: str, columns: list[str], after: str | None) -> Iterator[dict[str, Any]]:
    """The rows of a table as the driver gives them, oldest first."""
    kind, _, path = database.partition(":///")
    bound, values = (f" WHERE received_at > {'?' if kind == 'sqlite' else '%s'}", (after,)) if after else ("", ())
    sql = f"SELECT {', '.join(columns)} FROM {table}{bound} ORDER BY received_at"
    if kind == "sqlite":
        cursor: Any = sqlite3.connect(path).execute(sql, values)
    else:
        import psycopg

        cursor = psycopg.connect(database).cursor("rows")
        cursor.execute(sql, values)
    while found := cursor.fetchmany(CHUNK_ROWS):
        for row in found:
            yield dict(zip(columns, row, strict=True))


@asynccontextmanager
async def open_session(in_flight: int) -> AsyncIterator[aiohttp.ClientSession]:
    secret = base64.b64encode(":".join(CREDENTIALS).encode()).decode()
    headers = {"Content-Type": "application/json", "Authorization": f"Basic {secret}"}
    async with aiohttp.ClientSession(headers=headers, connector=aiohttp.TCPConnector(limit=in_flight)) as session:
        yield session


async def send_all(database: str, api: str, cursors: Path, in_flight: int) -> None:
    """Send every table, `in_flight` workers sharing one reader."""
    last = json.loads(cursors.read_text()) if cursors.exists() else {}
    async with open_session(in_flight) as session:
        for table, (path, columns) in WORK.items():
            rows, url = read_rows(database, table, columns, last.get(table)), yarl.URL(api + path)

            async def work(table: str = table, rows: Iterator[dict[str, Any]] = rows, url: yarl.URL = url) -> None:
                for row in rows:
                    last[table] = str(row["received_at"])
                    async with session.post(url, data=orjson.dumps(row)) as answer:
                        await answer.read()
                        answer.raise_for_status()

            await asyncio.gather(*(work() for _ in range(in_flight)))
    cursors.write_text(json.dumps(last))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    for option in ("--database", "--api", "--cursors"):
        parser.add_argument(option, required=True)
    parser.add_argument("--in-flight", type=int, default=64)
    parser.add_argument("--uvloop", action="store_true")
    chosen = parser.parse_args()
    new_loop = None
    if chosen.uvloop:
        import uvloop

        new_loop = uvloop.new_event_loop
    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(send_all(chosen.database, chosen.api, Path(chosen.cursors), chosen.in_flight))


if __name__ == "__main__":
    main()
