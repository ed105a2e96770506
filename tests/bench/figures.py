"""From records to figures: medians, ratios, and whether what must be reached is reached (pure)."""

import operator
import statistics
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from bench.records import Case, Record

__all__ = [
    "COUNT",
    "DLT",
    "DLT_ARROW",
    "DRT",
    "EVERYBODY",
    "KEEPING",
    "LIBRARIES",
    "LIMIT",
    "LIMIT_PLAIN",
    "OURS",
    "OURS_PLAIN",
    "OURS_TWO",
    "STARTS",
    "Figures",
    "Must",
    "judge",
]

OURS, OURS_PLAIN, OURS_TWO = "rehook-sync", "rehook-sync, plain loop", "rehook-sync, two workers"
LIMIT, LIMIT_PLAIN = "bare aiohttp loop", "bare aiohttp loop, plain loop"
KEEPING = "bare loop that keeps order and marks"
DLT, DLT_ARROW, DRT = "dlt, async destination", "dlt, async destination, arrow", "drt"
EVERYBODY = (OURS, OURS_TWO, OURS_PLAIN, LIMIT, LIMIT_PLAIN, KEEPING, DLT, DLT_ARROW, DRT)
COUNT = "the warehouse's own count"
LIBRARIES = "import sqlalchemy, pydantic_settings"
"""What a run with nothing new cannot do without: no such run takes less time."""
STARTS = ("--version", "--help", LIBRARIES)
_LESS = (LIMIT, DLT_ARROW)
"""Those that promise less than the loop that keeps order and marks: what this one reaches beside them is shown."""
Value = Callable[[Record], float]
RATE: Value = operator.attrgetter("rows_per_s")
WALL: Value = operator.attrgetter("wall_s")
PEAK: Value = operator.attrgetter("peak_mb")


class Figures:
    """Medians and ratios of the records that count."""

    def __init__(self, records: Iterable[Record]) -> None:
        self._good: dict[tuple[Case, str], dict[int, Record]] = {}
        self._tried: set[tuple[Case, str]] = set()
        for each in records:
            self._tried.add((each.case, each.who))
            if each.problem is None:
                self._good.setdefault((each.case, each.who), {})[each.round] = each

    def cases(self, part: str) -> list[Case]:
        """The cases of a part, second runs left out."""
        return sorted({case for case, _ in self._tried if case.part == part and not case.again})

    def took_part(self, case: Case, who: str) -> bool:
        """Tell whether it was tried, well or not."""
        return (case, who) in self._tried

    def rounds(self, case: Case, who: str) -> int:
        """How often it was measured."""
        return len(self._good.get((case, who), {}))

    def median(self, case: Case, who: str, value: Value) -> float | None:
        """The median over all rounds, None when there is no good one."""
        found = self._good.get((case, who), {})
        return statistics.median(map(value, found.values())) if found else None

    def ratio(self, above: tuple[Case, str], below: tuple[Case, str], value: Value) -> float | None:
        """The ratio of two medians over the rounds in which both were measured; None when there is no such round."""
        first, second = self._good.get(above, {}), self._good.get(below, {})
        both = first.keys() & second.keys()
        if not both:
            return None
        return statistics.median(value(first[each]) for each in both) / statistics.median(value(second[each]) for each in both)


@dataclass(frozen=True)
class Must:
    """One thing to be reached.

    Shape:  value: what was measured, None when it was not.  beside: the same figure of somebody who does less, and who that is.
    """

    text: str
    bound: float
    value: float | None
    at_least: bool = True
    unit: str = ""
    beside: tuple[float, str] | None = None

    @property
    def is_met(self) -> bool | None:
        if self.value is None:
            return None
        return self.value >= self.bound if self.at_least else self.value <= self.bound


def judge(figures: Figures) -> list[Must]:
    """Everything that must be reached, in each case that was measured."""
    return [*_judge_speed(figures), *_judge_again(figures), *_judge_growth(figures), *_judge_start(figures)]


def _judge_speed(figures: Figures) -> list[Must]:
    bounds: dict[tuple[str, int, int], Sequence[tuple[str, str, float]]] = {
        ("speed", 0, 64): (
            (OURS, LIMIT, 0.8),
            (OURS_PLAIN, LIMIT_PLAIN, 0.8),
            (OURS, DLT, 1.0),
            (OURS, DLT_ARROW, 1.15),
            (OURS, DRT, 2.5),
            (OURS_TWO, OURS, 1.0),
        ),
        ("large", 0, 64): ((OURS, LIMIT, 0.8), (OURS, DLT_ARROW, 1.15)),
        ("speed", 20, 64): ((OURS, LIMIT, 0.95),),
        ("speed", 20, 256): ((OURS, LIMIT, 0.95),),
    }
    return [
        Must(
            f"{case.database}, {case.latency_ms} ms, {case.in_flight} in flight, {_both(case.rows)}: rows/s of {ours}, of those of {other}",
            bound,
            figures.ratio((case, ours), (case, other), RATE),
            beside=_beside(figures.ratio((case, KEEPING), (case, other), RATE), KEEPING) if other in _LESS else None,
        )
        for part in ("speed", "large")
        for case in figures.cases(part)
        for ours, other, bound in bounds.get((part, case.latency_ms, case.in_flight), ())
        if figures.took_part(case, ours) and figures.took_part(case, other)
    ]


def _beside(value: float | None, who: str) -> tuple[float, str] | None:
    return None if value is None else (value, who)


def _judge_again(figures: Figures) -> list[Must]:
    least = _beside(figures.median(Case("startup"), LIBRARIES, WALL), LIBRARIES)
    cases = [second_run(case) for case in figures.cases("speed") if not case.latency_ms]
    return [
        Must(
            f"{case.database}: time of a run with nothing new",
            0.3,
            figures.median(case, OURS, WALL),
            at_least=False,
            unit=" s",
            beside=least,
        )
        for case in cases
        if figures.took_part(case, OURS)
    ]


class Growth(NamedTuple):
    """What the largest case of a part may need more than the smallest; with `{next}` in its text, than the one before it."""

    part: str
    text: str
    value: Value
    bound: float
    at_least: bool = False


_GROWTHS = (
    Growth("growth", "time of a run with nothing new, {large} settled rows : {small}", WALL, 1.1),
    Growth("lookback", "time of a run with nothing new, {large} rows in the lookback : {small}", WALL, 1.3),
    Growth("memory", "peak memory, backlog of {large} rows : {small}", PEAK, 1.1),
    Growth("memory", "rows/s, backlog of {large} rows : {next}", RATE, 0.95, at_least=True),
)


def _judge_growth(figures: Figures) -> list[Must]:
    musts = []
    for growth in _GROWTHS:
        for elsewhere in (False, True):
            for cases in _by_database(figures, growth.part, elsewhere=elsewhere):
                if len(cases) < 2:
                    continue
                large, below = cases[-1], cases[-2] if "{next}" in growth.text else cases[0]
                words = growth.text.format(large=f"{2 * large.rows:,}", small=f"{2 * below.rows:,}", next=f"{2 * below.rows:,}")
                bound = 1.5 if elsewhere and growth.part == "lookback" else growth.bound
                where = ", sync-state elsewhere" if elsewhere else ""
                value = figures.ratio((large, OURS), (below, OURS), growth.value)
                share = _count_share(figures, large, below) if growth.part == "lookback" else None
                if value is not None and share is not None:
                    value, words = value - share, f"{words}, less {COUNT}"
                musts.append(Must(f"{large.database}{where}: {words}", bound, value, at_least=growth.at_least))
    return [*musts, *_judge_elsewhere(figures), *_judge_tables(figures)]


def _count_share(figures: Figures, large: Case, small: Case) -> float | None:
    """How many times a run over the small lookback the warehouse's own count of the rows takes that only the large one has."""
    counts = [figures.median(replace(case, elsewhere=False), COUNT, WALL) for case in (large, small)]
    run = figures.median(small, OURS, WALL)
    if run is None or counts[0] is None or counts[1] is None:
        return None
    return (counts[0] - counts[1]) / run


def _by_database(figures: Figures, part: str, *, elsewhere: bool) -> list[list[Case]]:
    """The cases of a part, for each database, the smallest first."""
    cases = sorted((case for case in figures.cases(part) if case.elsewhere is elsewhere), key=lambda case: (case.rows, case.tables))
    return [[case for case in cases if case.database == each] for each in sorted({case.database for case in cases})]


def _judge_elsewhere(figures: Figures) -> list[Must]:
    return [
        Must(
            f"{case.database}: time of {2 * case.rows:,} rows, sync-state elsewhere : in the warehouse",
            1.3,
            figures.ratio((case, OURS), (replace(case, elsewhere=False), OURS), WALL),
            at_least=False,
        )
        for case in figures.cases("memory")
        if case.elsewhere
    ]


def _judge_tables(figures: Figures) -> list[Must]:
    return [
        Must(
            f"{case.database}: time of {case.rows:,} events, {case.tables} event tables : 1",
            1.1,
            figures.ratio((case, OURS), (replace(case, tables=1), OURS), WALL),
            at_least=False,
        )
        for case in figures.cases("tables")
        if case.tables > 1
    ]


def _judge_start(figures: Figures) -> list[Must]:
    return [
        Must(f"time of `rehook-sync {option}`", 0.4, figures.median(case, option, WALL), at_least=False, unit=" s")
        for case in figures.cases("startup")
        for option in STARTS[:2]
    ]


def second_run(case: Case) -> Case:
    """The run after it, with nothing new."""
    return replace(case, again=True)


def _both(rows: int) -> str:
    return f"{rows:,} + {rows:,} rows"
