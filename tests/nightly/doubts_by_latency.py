"""How many events a `kill -9` leaves in doubt, by database and by how long the API takes. Prints a table for docs/delivery.md.

Run by hand: `PYTHONPATH=tests:. .venv/bin/python tests/nightly/doubts_by_latency.py`. Each run is killed at a moment drawn by chance
while it sends events at full speed, and the marks that it leaves are counted: of events that were with the API, of those that it had
answered and that were not recorded yet, and of those that had not left.
"""

import argparse
import asyncio
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
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import uvloop
from acceptance.harness import state_table
from accounting import idempotency_key
from bench.databases import Databases, open_databases
from bench.dataset import Layout
from bench.receiver import OK, Receiver, Tally
from warehouse import run_sql

LATENCIES_MS = (0, 5, 20, 100)
ROWS = 40_000
NEVER = 1e9
AT_LEAST = 300
"""Requests before a kill: the run is then at its usual speed."""


class Witness(Receiver):
    """One connection of an API that knows which events came, and when it answered each."""

    answered: ClassVar[dict[bytes, float]] = {}

    def _take(self, head: bytes, body: bytes) -> None:  # noqa: ARG002 - all are answered alike
        if not head.startswith(b"post "):
            whole = head.startswith(b"get /whole ")
            found = json.dumps({key.decode(): at for key, at in self.answered.items()} if whole else len(self.answered)).encode()
            self._transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(found), found))
            return
        start = head.index(b"idempotency-key: ") + len(b"idempotency-key: ")
        key = head[start : head.index(b"\r", start)]
        self.answered[key] = NEVER
        self._later(self._latency_s, self._answer, key)

    def _answer(self, key: bytes) -> None:
        self._transport.write(OK)
        self.answered[key] = time.monotonic()


@contextmanager
def witness(latency_ms: int) -> Iterator[int]:
    """Such an API in a process of its own; gives its port."""
    command = [sys.executable, __file__, "--witness", str(latency_ms)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdout is not None
        try:
            yield int(process.stdout.readline())
        finally:
            process.terminate()


async def serve(latency_ms: int) -> None:
    """Be that process."""
    made = await asyncio.get_running_loop().create_server(lambda: Witness(Tally(), latency_ms / 1000), "127.0.0.1", 0, backlog=4096)
    sys.stdout.write(f"{made.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    await made.serve_forever()


def ask(port: int, path: str) -> Any:
    """Ask the API: `/count` gives how many events came, `/whole` idempotency key -> when each was answered."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=10) as answer:
        return json.load(answer)


class Left(NamedTuple):
    """What a kill left marked, and how fast the run was."""

    with_api: int
    answered: int
    never_left: int
    rate: float

    @property
    def total(self) -> int:
        """All marks."""
        return self.with_api + self.answered + self.never_left


def kill_one(environ: Mapping[str, str], url: str, port: int, until: int) -> Left:
    """Kill a run once so many requests have come in, and look at what it leaves."""
    command = [sys.executable, "-m", "rehook_sync", "run", "--since", "beginning", "--stream", "tracks"]
    before = ask(port, "/count")
    with subprocess.Popen(command, env=environ, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        first_at, first = 0.0, 0
        while (number := ask(port, "/count") - before) < until:
            assert process.poll() is None, f"the run ended with {process.returncode} before it was killed"
            if not first and number:
                first_at, first = time.monotonic(), number
            time.sleep(0.002)
        rate = (number - first) / (time.monotonic() - first_at)
        killed_at = time.monotonic()
        process.send_signal(signal.SIGKILL)
    time.sleep(0.1)  # a server may complete the commit that had reached it
    state, lease = state_table(url, "sync_state"), state_table(url, "sync_lease")
    marked = [idempotency_key("tracks", row[0]) for row in run_sql(url, f"SELECT message_id FROM {state} WHERE status = 'sending'")]
    run_sql(url, f"UPDATE {lease} SET expires_at = '2020-01-01T00:00:00.000000Z'")
    answered_at = ask(port, "/whole")
    fates = Counter(answered_at[key] < killed_at if key in answered_at else None for key in marked)
    return Left(fates[False], fates[True], fates[None], rate)


def measure(databases: Databases, latency_ms: int, kills: int, concurrency: int, seed: int) -> list[Left]:
    """Return what each kill left."""
    chance = random.Random(seed)
    url = databases.copy(Layout(ROWS))
    with witness(latency_ms) as port:
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
        return [kill_one(environ, url, port, AT_LEAST + chance.randrange(2000)) for _ in range(kills)]


def line(kind: str, latency_ms: int, found: Sequence[Left]) -> str:
    """One line of the table."""
    totals = [each.total for each in found]
    parts = (statistics.median_high(each[part] for each in found) for part in range(3))
    figures = (min(totals), statistics.median_high(totals), max(totals), *parts)
    return f"| {kind} | {latency_ms} ms | {statistics.median(each.rate for each in found):,.0f} | {' | '.join(map(str, figures))} |"


HEAD = ("database", "the API takes", "requests/s", "in doubt per kill: least", "median", "most", "with the API", "answered", "never left")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=8, help="for each database and latency")
    parser.add_argument("--concurrency", type=int, default=64)
    parser.add_argument("--latency", type=int, action="append", choices=LATENCIES_MS)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--witness", type=int, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.witness is not None:
        uvloop.run(serve(asked.witness))
        return
    lines = [f"| {' | '.join(HEAD)} |", f"|{'---|' * len(HEAD)}"]
    with tempfile.TemporaryDirectory() as folder, open_databases(["SQLite", "PostgreSQL"], Path(folder)) as found:
        for kind, databases in found.items():
            for latency in asked.latency or LATENCIES_MS:
                left = measure(databases, latency, asked.kills, asked.concurrency, asked.seed)
                lines.append(line(kind, latency, left))
                sys.stderr.write(f"{lines[-1]} {[each.total for each in left]}\n")
    sys.stdout.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
