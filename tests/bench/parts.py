"""The parts of the bench. Within a part all contestants take turns, each round in another order, so that all meet the same machine."""

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from bench.contestants import Prepare, Site, our_command, prepare_count, prepare_ours
from bench.databases import Databases
from bench.dataset import Layout
from bench.figures import COUNT, DLT, DLT_ARROW, DRT, EVERYBODY, KEEPING, LIBRARIES, LIMIT, OURS, STARTS, second_run
from bench.history import settle
from bench.machine import Command, ReceiverProcess, measure, run_quietly
from bench.records import Case, Record

__all__ = ["FULL", "PARTS", "QUICK", "Bench", "Sizes", "in_turn"]

PARTS = ("speed", "large", "tables", "growth", "lookback", "memory", "startup")
_Item = TypeVar("_Item")


@dataclass(frozen=True)
class Sizes:
    """How much is done.

    Units:  calls of each of the two streams; `slow_rows` is for who sends one request after another to a slow API.
    Shape:  tables: numbers of event tables.
    """

    rows: int
    slow_rows: int
    large_rows: int
    history_rows: tuple[int, ...]
    lookback_rows: tuple[int, ...]
    backlog_rows: tuple[int, ...]
    table_rows: int
    tables: tuple[int, ...]
    rounds: int
    short_rounds: int


FULL = Sizes(
    rows=20_000,
    slow_rows=500,
    large_rows=200_000,
    history_rows=(50_000, 5_000_000),
    lookback_rows=(5_000, 500_000),
    backlog_rows=(5_000, 50_000, 500_000),
    table_rows=100_000,
    tables=(1, 40, 200),
    rounds=3,
    short_rounds=7,
)
QUICK = Sizes(
    rows=1_000,
    slow_rows=50,
    large_rows=4_000,
    history_rows=(2_000, 20_000),
    lookback_rows=(500, 5_000),
    backlog_rows=(1_000, 5_000),
    table_rows=2_000,
    tables=(1, 5),
    rounds=1,
    short_rounds=1,
)


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
            "tables": self._tables,
            "growth": lambda: self._settled("growth", self.sizes.history_rows),
            "lookback": self._lookback,
            "memory": self._memory,
            "startup": self._startup,
        }[part]()

    def _speed(self) -> Iterator[Record]:
        pairs = [pair for kind in self.databases for pair in self._speed_of(kind)]
        yield from self.rounds(pairs, self.sizes.rounds)
        for each in self.databases.values():
            each.forget(Layout(self.sizes.rows))

    def _speed_of(self, kind: str) -> Iterator[tuple[Case, str]]:
        at_once = Case("speed", kind, 0, 64, self.sizes.rows)
        slow, many = replace(at_once, latency_ms=20), replace(at_once, latency_ms=20, in_flight=256)
        yield from ((at_once, who) for who in EVERYBODY)
        yield from ((slow, who) for who in (OURS, LIMIT))
        yield from ((many, who) for who in (OURS, LIMIT, KEEPING))
        if kind == next(iter(self.databases)):  # the database makes no difference to those that wait for the API
            yield slow, DLT
            yield replace(slow, rows=self.sizes.slow_rows), DRT

    def _large(self) -> Iterator[Record]:
        for kind, databases in self.databases.items():
            case = Case("large", kind, 0, 64, self.sizes.large_rows)
            yield from self.rounds([(case, who) for who in (OURS, LIMIT, KEEPING, DLT_ARROW)], self.sizes.rounds)
            databases.forget(case.layout)

    def _tables(self) -> Iterator[Record]:
        for kind, databases in self.databases.items():
            cases = [Case("tables", kind, 0, 64, self.sizes.table_rows, tables=tables) for tables in self.sizes.tables]
            for round_ in range(self.sizes.rounds):
                for case in in_turn(cases, round_):
                    yield self._measure(case, OURS, prepare_ours(self._site(case), "--stream", "tracks"), round_)
            for case in cases:
                databases.forget(case.layout)

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

    def _lookback(self) -> Iterator[Record]:
        for elsewhere in (False, True):
            yield from self._settled("lookback", self.sizes.lookback_rows, elsewhere=elsewhere)

    def _settled(self, part: str, sizes: Sequence[int], *, elsewhere: bool = False) -> Iterator[Record]:
        """Runs with nothing new, over settled calls: the sizes take turns."""
        for kind, databases in self.databases.items():
            sites = [self._site(Case(part, kind, 0, 64, rows, elsewhere=elsewhere)) for rows in sizes]
            commands = [(site.case, OURS, self._settle(site)) for site in sites]
            if part == "lookback" and not elsewhere:
                commands += [(site.case, COUNT, prepare_count(databases.pristine(site.case.layout), self.folder)) for site in sites]
            for round_ in range(-1, self.sizes.short_rounds):
                for case, who, command in in_turn(commands, round_):
                    record = self._measure(case, who, command, round_)
                    if round_ >= 0:  # the one before fills the caches
                        yield record
            for site in sites:
                databases.forget(site.case.layout)

    def _settle(self, site: Site) -> Command:
        """A warehouse whose calls are all settled; it is no longer pristine, so its layout is used by nobody else."""
        say(f"  making {2 * site.case.rows:,} settled rows on {site.case.database}")
        url = site.databases.pristine(site.case.layout)
        here = replace(site, case=replace(site.case, elsewhere=False), folder=self.folder / f"site_{site.case.rows}")
        command = our_command(here, url)
        run_quietly([*command.words[:3], "init"], command)
        settle(url)
        if site.case.elsewhere:
            there = our_command(replace(here, case=site.case), url)
            run_quietly([*command.words[:3], "copy-state", "--to", there.environ["REHOOK_SYNC_STATE_URL"]], command)
            command = there
        return replace(command, words=command.again)

    def _memory(self) -> Iterator[Record]:
        """The largest backlog also with the sync-state elsewhere."""
        for kind, databases in self.databases.items():
            cases = [Case("memory", kind, 0, 64, rows) for rows in self.sizes.backlog_rows]
            for case in (*cases, replace(cases[-1], elsewhere=True)):
                yield self._measure(case, OURS, prepare_ours(self._site(case)), 0)
            for case in cases:
                databases.forget(case.layout)

    def _startup(self) -> Iterator[Record]:
        folder = self.folder / "site"
        folder.mkdir(exist_ok=True)
        for round_ in range(-1, self.sizes.short_rounds):
            for what in in_turn(STARTS, round_):
                words = ["-c", LIBRARIES] if what == LIBRARIES else ["-m", "rehook_sync", what]
                record = measure(
                    Case("startup"), what, Command([sys.executable, *words], folder), databases=None, receiver=self.receiver, round_=round_
                )
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
