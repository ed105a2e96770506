"""How many events a `kill -9` leaves in doubt, by database and by how long the API takes. Prints a table for docs/delivery.md.

Run by hand: `PYTHONPATH=tests:. .venv/bin/python tests/nightly/doubts_by_latency.py`. Each run is killed at a moment drawn by chance
while it sends events at full speed, and the marks that it leaves are counted.
"""

import argparse
import json
import os
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from acceptance.harness import state_table
from bench.databases import Databases, open_databases
from warehouse import run_sql

LATENCIES_MS = (0, 5, 20, 100)
ROWS = 40_000
AT_LEAST = 300
"""Requests before a kill: the run is then at its usual speed."""


@contextmanager
def receiver() -> Iterator[dict[str, int]]:
    """What the bench sends to; gives the port for each latency."""
    path = Path(__file__).parents[1] / "bench" / "receiver.py"
    with subprocess.Popen(
        [sys.executable, str(path), *map(str, LATENCIES_MS)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        assert process.stdout is not None
        try:
            yield json.loads(process.stdout.readline())
        finally:
            process.terminate()


def received(port: int) -> int:
    """Requests that came in since the receiver was started."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/bench/", timeout=10) as answer:
        return int(json.load(answer)["requests"])


def kill_one(environ: Mapping[str, str], url: str, port: int, until: int) -> tuple[int, float]:
    """Kill a run once so many requests have come in; returns the events in doubt and the requests per second before."""
    command = [sys.executable, "-m", "rehook_sync", "run", "--since", "beginning", "--stream", "tracks"]
    before = received(port)
    with subprocess.Popen(command, env=environ, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        first_at, first = 0.0, 0
        while (number := received(port) - before) < until:
            assert process.poll() is None, f"the run ended with {process.returncode} before it was killed"
            if not first and number:
                first_at, first = time.monotonic(), number
            time.sleep(0.002)
        rate = (number - first) / (time.monotonic() - first_at)
        process.send_signal(signal.SIGKILL)
    time.sleep(0.1)  # a server may complete the commit that had reached it
    state, lease = state_table(url, "sync_state"), state_table(url, "sync_lease")
    left = int(run_sql(url, f"SELECT count(*) FROM {state} WHERE status = 'sending'")[0][0])
    run_sql(url, f"UPDATE {lease} SET expires_at = '2020-01-01T00:00:00.000000Z'")
    return left, rate


def measure(databases: Databases, port: int, kills: int, concurrency: int, seed: int) -> tuple[list[int], float]:
    """Return what each kill left, and the median rate."""
    chance = random.Random(seed)
    url = databases.copy(ROWS)
    settings = {
        "WAREHOUSE_URL": url,
        "API_URL": f"http://127.0.0.1:{port}",
        "API_KEY": "key",
        "API_SECRET": "secret",
        "ANONYMOUS_CALLS": "allow_with_user_id",
        "CONCURRENCY": str(concurrency),
    }
    environ = {**os.environ, **{f"REHOOK_SYNC_{name}": value for name, value in settings.items()}}
    subprocess.run([sys.executable, "-m", "rehook_sync", "init"], env=environ, check=True, stdout=subprocess.DEVNULL)
    found = [kill_one(environ, url, port, AT_LEAST + chance.randrange(2000)) for _ in range(kills)]
    return [left for left, _ in found], statistics.median(rate for _, rate in found)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=8, help="for each database and latency")
    parser.add_argument("--concurrency", type=int, default=64)
    parser.add_argument("--latency", type=int, action="append", choices=LATENCIES_MS)
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    lines = ["| database | the API takes | requests/s | in doubt per kill: least | median | most |", "|---|---|---|---|---|---|"]
    with tempfile.TemporaryDirectory() as folder, open_databases(["SQLite", "PostgreSQL"], Path(folder)) as found, receiver() as ports:
        for kind, databases in found.items():
            for latency in asked.latency or LATENCIES_MS:
                left, rate = measure(databases, ports[str(latency)], asked.kills, asked.concurrency, asked.seed)
                figures = (min(left), statistics.median_high(left), max(left))
                lines.append(f"| {kind} | {latency} ms | {rate:,.0f} | {' | '.join(map(str, figures))} |")
                sys.stderr.write(f"{lines[-1]} {left}\n")
    sys.stdout.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
