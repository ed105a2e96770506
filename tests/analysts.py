"""The sample behind docs/analysts.md, and what its queries give there: `make docs` writes the results into the page.

The sample is the shop, delivered to a sandbox by real runs on two days of October 2024. The databases' own clocks would
make each result a different one, so the times of the runs are set to those days afterwards; nothing else is.
"""

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from sqlalchemy import Connection, create_engine, make_url, text

from rehook_sync.database.engine import Database, open_database
from rehook_sync.demo.shop import CONVERSION_EVENTS, add_second_batch, build_shop
from rehook_sync.jobs.results import RunOptions
from rehook_sync.runtime import Interrupt
from rehook_sync.sandbox.server import Sandbox
from rehook_sync.sandbox.store import Behaviour
from rehook_sync.settings import load_settings
from rehook_sync.sync import Sync

__all__ = ["PAGE", "make_sample", "opened", "read_queries", "render", "run_example", "with_example", "with_results"]

PAGE = Path(__file__).resolve().parents[1] / "docs" / "analysts.md"
_QUERY = re.compile(r"```sql\n(.*?)```\n\n```text\n(.*?)```", re.DOTALL)
_EXAMPLE = re.compile(r"```python\n(.*?)```\n\n```text\n(.*?)```", re.DOTALL)
_TIME = re.compile(r"(\d{4}-\d\d-\d\d)(?:T([\d:]+)\.\d+Z| ([\d:]+)\.\d+)")
"""UTC in SQLite, as text: in the sync-state tables, and in the shop's."""
_STATE_SCHEMA, _SHOP = "rehook_sync", "shop"
_FIRST = datetime(2024, 10, 29, 22, tzinfo=UTC)
_SECOND = _FIRST + timedelta(days=1)
_UNLUCKY, _UNHEARD = "user_00026", "user_00064"
"""Whose requests Rehook does not carry out in the second run, and whose answers are lost."""
_LATE = "INSERT INTO {shop}tracks (id, user_id, event, event_text, received_at, timestamp) VALUES (:id, :user_id, :event, :name, :at, :at)"
_RELABEL = (
    """INSERT INTO sync_runs (run_id, trigger, status, since_at, until_at, started_at, finished_at, rows_read, sent, rejected, failed,
        waiting, in_doubt, unchanged, merged, requests, error, version, properties_wait_s)
        SELECT :run_id, trigger, status, since_at, until_at, :started_at, :finished_at, rows_read, sent, rejected, failed,
        waiting, in_doubt, unchanged, merged, requests, error, version, properties_wait_s FROM sync_runs WHERE run_id = :old""",
    "UPDATE sync_watermarks SET run_id = :run_id, recorded_at = :finished_at WHERE run_id = :old",
    "UPDATE sync_state SET first_seen_at = :started_at WHERE first_seen_at > :sample_end",
    "UPDATE sync_state SET settled_at = :finished_at WHERE settled_at > :sample_end",
    "UPDATE sync_state SET run_id = :run_id WHERE run_id = :old",
    "UPDATE sync_customers SET first_sent_at = :started_at WHERE first_sent_at > :sample_end",
    "UPDATE sync_customers SET last_sent_at = :finished_at WHERE last_sent_at > :sample_end",
    "DELETE FROM sync_runs WHERE run_id = :old",
)


def make_sample(url: str) -> None:
    """Build the sample in an empty database: the shop's tables, in the schema `shop` where there are schemas, and the sync-state."""
    schema = None if _is_sqlite(url) else _SHOP
    build_shop(url, users=80, now=_FIRST - timedelta(hours=2), schema=schema)
    with Sandbox(behaviour=Behaviour(conversion_events=frozenset(CONVERSION_EVENTS))) as sandbox:
        values = {"warehouse_url": url, "warehouse_schema": schema, "api_url": sandbox.url, "start_at": "beginning", "max_attempts": 1}
        key, secret = sandbox.credentials
        settings = load_settings(None, {}, **values, api_key=key, api_secret=secret, conversion_events=list(CONVERSION_EVENTS))
        with Sync(settings) as sync:
            sync.init()
            _run(sync, url, _FIRST)
            add_second_batch(url, _SECOND - timedelta(hours=1), schema=schema)
            sandbox.faults.add("status", status=503, source_id=_UNLUCKY)
            sandbox.faults.add("commit_then_drop", path="/events/invoke", source_id=_UNHEARD, times=2)
            _run(sync, url, _SECOND)
    with opened(url) as database, database.transaction() as connection:
        at = datetime(2024, 10, 20, 9, 30, tzinfo=UTC)
        late = {"id": "late-order", "user_id": "user_00005", "event": "order_completed", "name": "Order Completed"}
        moment = at.replace(tzinfo=None).isoformat(" ", "microseconds") if _is_sqlite(url) else at
        connection.execute(text(_LATE.format(shop="" if _is_sqlite(url) else f"{_SHOP}.")), {**late, "at": moment})


def _run(sync: Sync, url: str, started_at: datetime) -> None:
    run_id = sync.run(RunOptions(), Interrupt()).summary.run_id
    with opened(url) as database, database.transaction() as connection:
        _relabel(database, connection, run_id, started_at)


def _relabel(database: Database, connection: Connection, run_id: str, started_at: datetime) -> None:
    """Give a run, and all that it wrote, its time in the sample."""
    finished_at, sample_end = started_at + timedelta(seconds=40), datetime(2024, 11, 2, tzinfo=UTC)
    times = {"started_at": started_at, "finished_at": finished_at, "sample_end": sample_end}
    values = {name: database.as_stored(moment) for name, moment in times.items()} | {
        "old": run_id,
        "run_id": f"{started_at:%Y%m%dT%H%M%SZ}-sample",
    }
    for statement in _RELABEL:
        connection.execute(text(statement), {name: value for name, value in values.items() if f":{name}" in statement})


@contextmanager
def opened(url: str) -> Iterator[Database]:
    """The sample's database as an analyst has it: the sync-state tables without a schema before their names."""
    database = open_database(url, "STATE_URL", search_path=None if _is_sqlite(url) else _STATE_SCHEMA)
    try:
        yield database
    finally:
        database.close()


def read_queries(page: str) -> list[str]:
    """The queries of the page that a result follows."""
    return [query for query, _ in _QUERY.findall(page)]


def render(database: Database, query: str) -> str:
    """Run a query of the page and give its result as the page shows it."""
    if database.dialect == "sqlite":
        query = query.replace(f"{_SHOP}.", "")
    with database.connect() as connection:
        result = connection.execute(text(query.replace(":", "\\:")))
        heads, rows = list(result.keys()), [[_shown(value) for value in row] for row in result]
    widths = [max(map(len, column)) for column in zip(heads, *rows, strict=True)]
    lines = [heads, ["-" * width for width in widths], *rows]
    return "".join("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() + "\n" for line in lines)


def with_results(page: str, results: Sequence[str]) -> str:
    """The page with these results below its queries."""
    left = iter(results)
    return _QUERY.sub(lambda found: f"```sql\n{found[1]}```\n\n```text\n{next(left)}```", page)


def run_example(url: str, page: str) -> str:
    """Run the page's example of Python against the sample and give what it prints, without blanks at the ends of lines."""
    (example,) = (code for code, _ in _EXAMPLE.findall(page))
    environ = {name: value for name, value in os.environ.items() if not name.startswith("REHOOK_SYNC_")}
    environ |= {"REHOOK_SYNC_WAREHOUSE_URL": url, "COLUMNS": "200"}
    done = subprocess.run([sys.executable, "-c", example], env=environ, capture_output=True, text=True, check=False)
    return "".join(f"{line.rstrip()}\n" for line in (done.stdout + done.stderr).splitlines())


def with_example(page: str, printed: str) -> str:
    """The page with this below its example of Python."""
    return _EXAMPLE.sub(lambda found: f"```python\n{found[1]}```\n\n```text\n{printed}```", page)


def _shown(value: object) -> str:
    if isinstance(value, str) and (found := _TIME.fullmatch(value)):
        return f"{found[1]} {found[2] or found[3]}"
    if isinstance(value, datetime):
        return f"{value.astimezone(UTC):%Y-%m-%d %H:%M:%S}"
    return "" if value is None else str(value)


def _is_sqlite(url: str) -> bool:
    return make_url(url).get_backend_name() == "sqlite"


def main() -> None:
    """Write the results into the page."""
    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite:///{folder}/sample.db"
        create_engine(url).dispose()
        make_sample(url)
        page = PAGE.read_text(encoding="utf-8")
        with opened(url) as database:
            page = with_results(page, [render(database, query) for query in read_queries(page)])
        PAGE.write_text(with_example(page, run_example(url, page)), encoding="utf-8")


if __name__ == "__main__":
    main()
