"""The parts of the bench. Within a part all contestants take turns, each round in another order, so that all meet the same machine."""

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from bench.contestants import Prepare, Site, our_command, prepare_ours
from bench.databases import Databases
from bench.figures import DLT, DLT_ARROW, DRT, LIMIT, LIMIT_PLAIN, OURS, OURS_PLAIN, OURS_TWO, second_run
from bench.history import settle
from bench.machine import Command, ReceiverProcess, measure, run_quietly
from bench.records import Case, Record

__all__ = ["FULL", "PARTS", "QUICK", "Bench", "Sizes", "in_turn"]

PARTS = ("speed", "large", "growth", "memory", "startup")
_Item = TypeVar("_Item")


@dataclass(frozen=True)
class Sizes:
    """How much is done. Units: calls of each of the two streams; `slow_rows` is for who sends one request after another to a slow API."""

    rows: int
    slow_rows: int
    large_rows: int
    history_rows: tuple[int, ...]
    backlog_rows: tuple[int, ...]
    rounds: int
    short_rounds: int


FULL = Sizes(20_000, 500, 200_000, (50_000, 5_000_000), (5_000, 50_000, 500_000), rounds=3, short_rounds=7)
QUICK = Sizes(1_000, 50, 4_000, (2_000, 20_000), (1_000, 5_000), rounds=1, short_rounds=1)


def in_turn(items: Sequence[_Item], round_: int) -> list[_Item]:
    """The order of a round: each begins with another one, and every second goes backwards."""
    start = round_ % max(len(items), 1)
    order = [*items[start:], *items[:start]]
    return order[::-1] if round_ % 2 else order


@dataclass(frozen=True)
class Bench:
    """Everything a part needs; `run` yields its records as they come."""

    sizes: Sizes
    databases: Mapping[str, Databases]
    contestants: Mapping[str, Prepare]
    receiver: ReceiverProcess
    folder: Path

    def run(self, part: str) -> Iterator[Record]:
        """Run one part."""
        yield from {
            "speed": self._speed,
            "large": self._large,
            "growth": self._growth,
            "memory": self._memory,
            "startup": self._startup,
        }[part]()

    def _speed(self) -> Iterator[Record]:
        pairs = [pair for kind in self.databases for pair in self._speed_of(kind)]
        yield from self.rounds(pairs, self.sizes.rounds)
        for each in self.databases.values():
            each.forget(self.sizes.rows)

    def _speed_of(self, kind: str) -> Iterator[tuple[Case, str]]:
        at_once = Case("speed", kind, 0, 64, self.sizes.rows)
        slow, many = replace(at_once, latency_ms=20), replace(at_once, latency_ms=20, in_flight=256)
        yield from ((at_once, who) for who in (OURS, OURS_PLAIN, OURS_TWO, LIMIT, LIMIT_PLAIN, DLT, DLT_ARROW, DRT))
        yield from ((slow, who) for who in (OURS, LIMIT))
        yield from ((many, who) for who in (OURS, LIMIT))
        if kind == next(iter(self.databases)):  # the database makes no difference to those that wait for the API
            yield slow, DLT
            yield replace(slow, rows=self.sizes.slow_rows), DRT

    def _large(self) -> Iterator[Record]:
        kind = next(iter(self.databases))
        case = Case("large", kind, 0, 64, self.sizes.large_rows)
        yield from self.rounds([(case, who) for who in (OURS, LIMIT, DLT_ARROW)], self.sizes.rounds)
        self.databases[kind].forget(self.sizes.large_rows)

    def rounds(self, pairs: Sequence[tuple[Case, str]], rounds: int) -> Iterator[Record]:
        """Measure each pair once per round, in turn; where the API answers at once, also a second run of each, with nothing new."""
        present = [(case, who) for case, who in pairs if who in self.contestants]
        for round_ in range(rounds):
            for case, who in in_turn(present, round_):
                site = self._site(case)
                command = self.contestants[who](site)
                yield self._measure(case, who, command, round_)
                if case.part == "speed" and case.latency_ms == 0:
                    yield self._measure(second_run(case), who, command, round_)

    def _growth(self) -> Iterator[Record]:
        for kind, databases in self.databases.items():
            sites = [self._site(Case("growth", kind, 0, 64, rows)) for rows in self.sizes.history_rows]
            commands = [(site.case, self._make_history(site)) for site in sites]
            for round_ in range(-1, self.sizes.short_rounds):
                for case, command in in_turn(commands, round_):
                    record = self._measure(case, OURS, command, round_)
                    if round_ >= 0:  # the one before fills the caches
                        yield record
            for rows in self.sizes.history_rows:
                databases.forget(rows)

    def _make_history(self, site: Site) -> Command:
        """A warehouse whose calls are all settled; it is no longer pristine, so its size is used by nobody else."""
        say(f"  making {2 * site.case.rows:,} settled rows on {site.case.database}")
        url = site.databases.pristine(site.case.rows)
        command = our_command(replace(site, folder=self.folder / f"site_{site.case.rows}"), url)
        run_quietly([*command.words[:3], "init"], command)
        settle(url)
        return replace(command, words=command.again)

    def _memory(self) -> Iterator[Record]:
        for kind, databases in self.databases.items():
            for rows in self.sizes.backlog_rows:
                site = self._site(Case("memory", kind, 0, 64, rows))
                yield self._measure(site.case, OURS, prepare_ours(site), 0)
                databases.forget(rows)

    def _startup(self) -> Iterator[Record]:
        folder = self.folder / "site"
        folder.mkdir(exist_ok=True)
        for round_ in range(-1, self.sizes.short_rounds):
            for option in in_turn(("--version", "--help"), round_):
                command = Command([sys.executable, "-m", "rehook_sync", option], folder)
                record = measure(Case("startup"), option, command, databases=None, receiver=self.receiver, round_=round_)
                if round_ >= 0:
                    yield record

    def _site(self, case: Case) -> Site:
        return Site(case, self.databases[case.database], self.receiver.url(case.latency_ms), self.folder / "site")

    def _measure(self, case: Case, who: str, command: Command, round_: int) -> Record:
        return measure(case, who, command, databases=self.databases[case.database], receiver=self.receiver, round_=round_)


def say(text: str) -> None:
    """Tell how it goes."""
    with suppress(BrokenPipeError):
        sys.stderr.write(f"{text}\n")
        sys.stderr.flush()
