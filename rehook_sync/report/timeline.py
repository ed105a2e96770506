"""What runs did over time: periods of equal length, and the gaps in which none began. Pure."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from statistics import median

from rehook_sync.models import RunKind, RunStatus, Status
from rehook_sync.render.text import whole
from rehook_sync.state.report import Facts

__all__ = ["COUNTED", "Gap", "Period", "Timeline", "build_timeline", "moment", "seconds_apart"]

COUNTED = tuple(status for status in Status if status is not Status.SENDING)
"""The statuses that runs are counted by."""
_PERIODS = 62
_STEPS = (
    *(timedelta(minutes=1), timedelta(minutes=5), timedelta(minutes=15), timedelta(hours=1), timedelta(hours=6)),
    *(timedelta(days=1), timedelta(days=7), timedelta(days=28), timedelta(days=364)),
)
_EPOCH = datetime(1970, 1, 5, tzinfo=UTC)
"""A Monday, so that weeks begin on Mondays."""
_LEAST_RUNS = 5
"""From so many runs on, there is a usual time between them."""
_REGULAR = 2 / 3
"""A usual time is one that so many of the times between two runs come near to, by a factor of two."""
_GAP = 2.5
"""A gap is so many times the usual time between two runs."""
_SHOWN_GAPS = 5


@dataclass(slots=True)
class Period:
    """What the runs did that began in one period. Shape:  lag_s: stream -> its greatest lag at the end of a run, None if unknown."""

    begins_at: datetime
    runs: int = 0
    ended: Counter[str] = field(default_factory=Counter)
    calls: Counter[str] = field(default_factory=Counter)
    requests: int = 0
    lag_s: dict[str, float | None] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Gap:
    """A time in which no run began. Shape:  until_at: None while it lasts.  Units:  length_s: seconds."""

    from_at: datetime
    until_at: datetime | None
    length_s: float


@dataclass(frozen=True, slots=True)
class Timeline:
    """What runs did over time.

    Shape:  step: length of a period, None without runs.  periods: oldest first, those without a run included.
            kinds: what runs were for -> runs.  gaps: oldest first.
    Units:  every_s: the usual seconds between two runs, None where runs come at no usual time.
    """

    step: timedelta | None
    periods: Sequence[Period]
    kinds: Mapping[str, int]
    every_s: float | None
    gaps: Sequence[Gap]

    @property
    def busy(self) -> Sequence[Period]:
        """Return the periods in which a run began."""
        return [each for each in self.periods if each.runs]

    @property
    def longest(self) -> Sequence[Gap]:
        """Return the gaps that are shown, oldest first."""
        return sorted(sorted(self.gaps, key=lambda each: -each.length_s)[:_SHOWN_GAPS], key=lambda each: each.from_at)

    def is_silent(self, period: Period) -> bool:
        """Tell whether a period lies in a gap."""
        at = period.begins_at
        return not period.runs and any(each.from_at <= at and (each.until_at is None or at < each.until_at) for each in self.gaps)

    def document(self) -> dict[str, object]:
        """Return it for programs; periods without a run are left out."""
        return {
            "kinds": dict(self.kinds),
            "every_s": self.every_s,
            "gaps": [asdict(each) for each in self.gaps],
            "period_s": None if self.step is None else self.step.total_seconds(),
            "periods": [_period_document(each) for each in self.busy],
        }


def build_timeline(facts: Facts) -> Timeline:
    """Return what the runs of a report did over time."""
    runs = sorted((run for run in facts.runs if moment(run["started_at"])), key=_started)
    kinds = Counter(str(run["kind"]) for run in runs)
    step, periods = _periods(runs, facts)
    every_s, gaps = _gaps([run for run in runs if run["kind"] == RunKind.RUN], facts.now)
    return Timeline(step, periods, dict(kinds.most_common()), every_s, gaps)


def _periods(runs: Sequence[Mapping[str, object]], facts: Facts) -> tuple[timedelta | None, list[Period]]:
    """Return periods of equal length from the first run to now, the shortest that are not too many."""
    if not runs:
        return None, []
    lags: dict[str, dict[str, float | None]] = defaultdict(dict)
    for row in facts.lags:
        of_run, stream = lags[str(row["run_id"])], str(row["stream"])
        found = [each for each in (of_run.get(stream), seconds_apart(row["high_at"], row["recorded_at"])) if each is not None]
        of_run[stream] = max(found, default=None)
    first, last = _started(runs[0]), max(facts.now, _started(runs[-1]))
    step = next((each for each in _STEPS if (last - first) / each <= _PERIODS), _STEPS[-1])
    begins = _EPOCH + (first - _EPOCH) // step * step
    periods = [Period(begins + step * place) for place in range((last - begins) // step + 1)]
    for run in runs:
        _add(periods[(_started(run) - begins) // step], run, lags)
    return step, periods


def _add(period: Period, run: Mapping[str, object], lags: Mapping[str, Mapping[str, float | None]]) -> None:
    period.runs += 1
    period.ended[str(run["status"])] += 1
    period.requests += whole(run["requests"])
    period.calls.update({status.value: whole(run[status.value]) for status in COUNTED})
    for stream, lag_s in lags.get(str(run["run_id"]), {}).items():
        worst = [each for each in (period.lag_s.get(stream), lag_s) if each is not None]
        period.lag_s[stream] = max(worst, default=None)


def _gaps(runs: Sequence[Mapping[str, object]], now: datetime) -> tuple[float | None, list[Gap]]:
    """Return the usual seconds between two runs, and where far more passed from the end of the runs before to the next start."""
    starts = [_started(run) for run in runs]
    apart = [(later - one).total_seconds() for one, later in pairwise(starts)]
    every_s = median(apart) if len(starts) >= _LEAST_RUNS else 0.0
    if sum(every_s / 2 <= each <= 2 * every_s for each in apart) <= _REGULAR * len(apart):
        return None, []
    gaps = []
    ended = starts[0]
    for run, next_at in zip(runs, [*starts[1:], None], strict=True):
        ended = max(ended, now if run["status"] == RunStatus.RUNNING else moment(run["finished_at"]) or _started(run))
        if (length_s := ((next_at or now) - ended).total_seconds()) > _GAP * every_s:
            gaps.append(Gap(ended, next_at, length_s))
    return every_s, gaps


def _period_document(period: Period) -> dict[str, object]:
    return {
        "begins_at": period.begins_at,
        "runs": period.runs,
        "ended": {status.value: period.ended[status] for status in RunStatus if period.ended[status]},
        "calls": {status.value: period.calls[status] for status in COUNTED},
        "requests": period.requests,
        "lag_s": period.lag_s,
    }


def _started(run: Mapping[str, object]) -> datetime:
    return moment(run["started_at"]) or _EPOCH


def seconds_apart(earlier: object, later: object) -> float | None:
    """Return the seconds between two times, never less than 0; None when one is missing."""
    one, other = moment(earlier), moment(later)
    return None if one is None or other is None else max((other - one).total_seconds(), 0.0)


def moment(value: object) -> datetime | None:
    """Return a time as it is, None for anything else."""
    return value if isinstance(value, datetime) else None
