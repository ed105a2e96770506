"""What a mark costs the database, beside a record without one: the most that any other way of marking could save.

Run by hand: `PYTHONPATH=tests:. .venv/bin/python -m bench.marks`. It writes batches as a run does, each with the outcomes of the
events that the batch before has marked, then the same outcomes without marks. Both ways take turns, and the least of the rounds counts.
"""

import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import psycopg

from bench.databases import Databases, PostgresDatabases, open_databases
from bench.dataset import Layout
from rehook_sync.database.engine import Database, open_database
from rehook_sync.models import Batch, Call, Outcome, Status, Stream
from rehook_sync.state.ledger import Ledger
from rehook_sync.state.migrations import upgrade

BATCHES, EVENTS, ROUNDS = 400, 17, 5
WHEN = datetime(2026, 1, 1, tzinfo=UTC)


def batches(kind: str, *, marked: bool) -> Iterator[Batch]:
    """Batches of a run at 20 ms of latency: so many events come up during a commit."""
    before: list[Call] = []
    for number in range(BATCHES):
        calls = [
            Call(Stream.TRACKS, f"{kind}-{number}-{each}", f"user-{each}", "Order Completed", WHEN, WHEN, "0" * 32)
            for each in range(EVENTS)
        ]
        marks = [Outcome(call, Status.SENDING) for call in calls] if marked else []
        yield Batch(outcomes=[*(Outcome(call, Status.SENT, http_status=200, attempts=1) for call in before), *marks])
        before = calls


def measure(ledger: Ledger, databases: Databases, kind: str, *, marked: bool) -> tuple[float, float]:
    """Return milliseconds per batch, and microseconds of the server's CPU per event."""
    cpu_s, took_s = databases.read_cpu_s(), []
    for batch in batches(kind, marked=marked):
        began_s = time.perf_counter()
        ledger.write(batch)
        took_s.append(time.perf_counter() - began_s)
    return statistics.median(took_s) * 1e3, (databases.read_cpu_s() - cpu_s) / (BATCHES * EVENTS) * 1e6


def measure_log(url: str, ledger: Ledger, kind: str, *, marked: bool) -> float:
    """Return the bytes of the server's log per event."""
    with psycopg.connect(url, autocommit=True) as admin:
        before = admin.execute("SELECT pg_current_wal_insert_lsn()").fetchone()
        for batch in batches(kind, marked=marked):
            ledger.write(batch)
        found = admin.execute("SELECT pg_current_wal_insert_lsn() - %s::pg_lsn", before).fetchone()
    assert found is not None
    return float(found[0]) / (BATCHES * EVENTS)


def open_state(url: str) -> tuple[Database, Ledger]:
    """Fresh sync-state tables and the holder of their lease."""
    schema = "rehook_sync" if url.startswith("postgresql") else None
    database = open_database(url, "STATE_URL", may_create=True, search_path=schema)
    upgrade(database, schema)
    ledger = Ledger(database, "run-1", 60)
    ledger.acquire()
    return database, ledger


def main() -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as folder, open_databases(["SQLite", "PostgreSQL"], Path(folder)) as found:
        for kind, databases in found.items():
            url = databases.copy(Layout(10))
            database, ledger = open_state(url)
            both = [[measure(ledger, databases, f"{each}-{way}", marked=way) for way in (True, False)] for each in range(ROUNDS)]
            for marked, rounds in zip((True, False), zip(*both, strict=True), strict=True):
                line = f"{kind}, {'marked' if marked else 'not marked'}: {min(each for each, _ in rounds):.2f} ms per batch"
                if isinstance(databases, PostgresDatabases):
                    log_bytes = measure_log(url, ledger, f"{marked}-log", marked=marked)
                    line += (
                        f", {min(each for _, each in rounds):.0f} us of the server's CPU and {log_bytes:,.0f} bytes of its log per event"
                    )
                sys.stdout.write(line + "\n")
            database.close()


if __name__ == "__main__":
    main()
