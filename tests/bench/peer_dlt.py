"""dlt as it is used for reverse ETL, at its fastest: tables read incrementally, an asynchronous custom destination, 64 in flight.

`python -m bench.peer_dlt --database URL --api URL --folder DIR --backend sqlalchemy|pyarrow --in-flight N`, in an environment that has dlt.
It keeps no record of single rows and no order among a user's calls.
"""

import argparse
import asyncio
import base64
import os
import threading
from typing import Any

os.environ.update({"RUNTIME__DLTHUB_TELEMETRY": "false", "RUNTIME__LOG_LEVEL": "ERROR"})

import aiohttp
import dlt
import orjson
from dlt.sources.sql_database import sql_table

from bench.rows import CREDENTIALS, WORK


class Sender:
    """Posts batches through one session, on a loop in a thread of its own; uvloop, as the limit uses it."""

    def __init__(self, api: str, in_flight: int) -> None:
        import uvloop

        self._api, self._in_flight = api, in_flight
        self._loop = uvloop.new_event_loop()
        self._session: aiohttp.ClientSession | None = None
        threading.Thread(target=self._loop.run_forever, daemon=True).start()

    def __call__(self, items: Any, table: dict[str, Any]) -> None:
        path, columns = WORK[table["name"]]
        rows = items.to_pylist() if hasattr(items, "to_pylist") else items
        batch = [orjson.dumps({name: row[name] for name in columns}) for row in rows]
        asyncio.run_coroutine_threadsafe(self._post_all(self._api + path, batch), self._loop).result()

    async def _post_all(self, url: str, batch: list[bytes]) -> None:
        if self._session is None:
            secret = base64.b64encode(":".join(CREDENTIALS).encode()).decode()
            headers = {"Content-Type": "application/json", "Authorization": f"Basic {secret}"}
            self._session = aiohttp.ClientSession(headers=headers, connector=aiohttp.TCPConnector(limit=self._in_flight))
        session, bodies = self._session, iter(batch)

        async def work() -> None:
            for body in bodies:
                async with session.post(url, data=body) as answer:
                    await answer.read()
                    answer.raise_for_status()

        await asyncio.gather(*(work() for _ in range(self._in_flight)))

    def close(self) -> None:
        if self._session is not None:
            asyncio.run_coroutine_threadsafe(self._session.close(), self._loop).result()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    for option in ("--database", "--api", "--folder", "--backend"):
        parser.add_argument(option, required=True)
    parser.add_argument("--in-flight", type=int, default=64)
    chosen = parser.parse_args()
    sender = Sender(chosen.api, chosen.in_flight)

    def api(items: Any, table: dict[str, Any]) -> None:
        sender(items, table)

    destination = dlt.destination(
        batch_size=1000,
        skip_dlt_columns_and_tables=True,
        naming_convention="direct",
        loader_file_format="parquet" if chosen.backend == "pyarrow" else "typed-jsonl",
    )(api)
    tables = [
        sql_table(
            credentials=chosen.database.replace("postgresql://", "postgresql+psycopg2://"),
            table=table,
            included_columns=list(dict.fromkeys(["id", *columns])),
            backend=chosen.backend,
            chunk_size=10_000,
            reflection_level="minimal",
            incremental=dlt.sources.incremental("received_at", row_order="asc", range_start="open", primary_key=()),
            write_disposition="append",
        )
        for table, (_, columns) in WORK.items()
    ]
    dlt.pipeline("bench", destination=destination, dataset_name="bench", pipelines_dir=chosen.folder).run(tables)
    sender.close()


if __name__ == "__main__":
    main()
