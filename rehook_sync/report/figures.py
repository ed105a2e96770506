"""The numbers of a report, computed from rows of the sync-state tables. Pure; every total is the sum of its items."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime

from rehook_sync.jobs.results import period_text
from rehook_sync.models import Status, Stream
from rehook_sync.render.advice import Shell, advise
from rehook_sync.render.text import row_time, whole
from rehook_sync.report.coverage import Coverage
from rehook_sync.report.timeline import Timeline, build_timeline, moment, seconds_apart
from rehook_sync.state.report import Facts

__all__ = ["OTHER", "SHOWN", "Attention", "EventFigures", "Figures", "Freshness", "SourceFigures", "build_figures", "figures_document"]

SHOWN = (
    *(Status.SENT, Status.UNCHANGED, Status.MERGED, Status.SKIPPED, Status.REJECTED, Status.FAILED, Status.WAITING),
    *(Status.IN_DOUBT, Status.SENDING),
)
OTHER = "(all other events)"
_DELIVERED = (Status.SENT, Status.UNCHANGED, Status.MERGED)
_WITHIN = (
    ("within_15m", "up to 15 minutes"),
    ("within_1h", "up to 1 hour"),
    ("within_6h", "up to 6 hours"),
    ("within_1d", "up to 1 day"),
    ("within_3d", "up to 3 days"),
)
_LONGER = "longer"
_TOP = 10
_NEWEST_RUNS = 15


@dataclass(slots=True)
class EventFigures:
    """What became of the calls of one event name, or of all Identify calls."""

    stream: str
    event: str | None
    is_other: bool = False
    calls: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    timed: int = 0
    total_s: float = 0.0
    longest_s: float = 0.0

    @property
    def name(self) -> str:
        """The name for people."""
        if self.is_other:
            return OTHER
        return "Identify" if self.stream == Stream.IDENTIFIES else self.event or "(no name, or pruned)"

    @property
    def mean_s(self) -> float:
        """Mean seconds from receipt to delivery."""
        return self.total_s / self.timed if self.timed else 0.0


@dataclass(slots=True)
class SourceFigures:
    """What became of the calls of one source. Shape:  newest_at: the newest watermark of its streams."""

    source: str
    calls: Counter[str] = field(default_factory=Counter)
    newest_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Freshness:
    """How far a stream has come.

    Shape:  source: its name, if there are several.  behind_s: age of its watermark in seconds, None without one.
    """

    stream: str
    watermark_at: datetime | None
    behind_s: float | None
    recorded_at: datetime | None
    source: str | None = None

    @property
    def name(self) -> str:
        """The name for people."""
        return self.stream if self.source is None else f"{self.stream} of {self.source}"


@dataclass(frozen=True, slots=True)
class Attention:
    """Unsettled calls of one status. Shape:  reasons: reason -> calls.  commands: (purpose, command line)."""

    status: str
    reasons: Mapping[str, int]
    calls: int
    oldest_at: datetime | None
    text: str
    commands: Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Figures:
    """All numbers of a report.

    Shape:  calls: status -> calls last decided in the period; `total` is their sum.  reasons: (status, reason) -> calls.
            took: time to delivery in words -> calls, which add up to `timed`.  timeline: what runs did.
            newest: rows of `sync_runs`.  attention, rows, waiting: of all time; waiting: rows of `report_waiting`.
            sources: empty for a single one.  open_periods: what runs were asked for and is not done, in words.
            coverage: what an audit found, None without one.
    """

    now: datetime
    since: datetime
    calls: Counter[str]
    reasons: Counter[tuple[str, str]]
    took: Mapping[str, int]
    timed: int
    mean_s: float
    timeline: Timeline
    runs: int
    newest: Sequence[Mapping[str, object]]
    freshness: Sequence[Freshness]
    last_success_at: datetime | None
    slowest: Sequence[EventFigures]
    most_rejected: Sequence[EventFigures]
    lumped: int
    attention: Sequence[Attention]
    rows: Sequence[Mapping[str, object]]
    waiting: Sequence[Mapping[str, object]] = ()
    sources: Sequence[SourceFigures] = ()
    open_periods: Sequence[str] = ()
    coverage: Coverage | None = None

    @property
    def total(self) -> int:
        """Calls decided in the period."""
        return self.calls.total()

    @property
    def unsettled(self) -> int:
        """Calls of all time that need attention."""
        return sum(each.calls for each in self.attention)


def build_figures(facts: Facts, shell: Shell, coverage: Coverage | None = None) -> Figures:
    """Return the numbers of a report; `shell` writes its commands, `coverage` is what an audit found."""
    events = _by_event(facts.calls)
    calls: Counter[str] = Counter()
    reasons: Counter[tuple[str, str]] = Counter()
    for row in facts.calls:
        calls[str(row["status"])] += whole(row["n"])
        if row["reason"]:
            reasons[str(row["status"]), str(row["reason"])] += whole(row["n"])
    took = _took(facts.calls)
    timed = sum(took.values())
    success = facts.last_success or {}
    return Figures(
        now=facts.now,
        since=facts.since,
        calls=calls,
        reasons=reasons,
        took=took,
        timed=timed,
        mean_s=sum(each.total_s for each in events) / timed if timed else 0.0,
        timeline=build_timeline(facts),
        runs=len(facts.runs),
        newest=facts.runs[:_NEWEST_RUNS],
        freshness=[_freshness(row, facts.now, named=_named(facts)) for row in facts.watermarks],
        last_success_at=moment(success.get("finished_at")) or moment(success.get("started_at")),
        slowest=sorted((each for each in events if each.timed), key=lambda each: (-each.mean_s, each.name))[:_TOP],
        most_rejected=_most_rejected(events),
        lumped=sum(each.calls.total() for each in events if each.is_other),
        attention=_attention(facts.unsettled, shell),
        rows=facts.attention,
        waiting=facts.waiting,
        sources=_sources(facts),
        coverage=coverage,
        open_periods=[period_text(each, named=_named(facts)) for each in facts.periods],
    )


def figures_document(figures: Figures) -> dict[str, object]:
    """Return the numbers for programs."""
    return {
        "now": figures.now,
        "since": figures.since,
        "calls": {"total": figures.total, **{status.value: figures.calls[status] for status in SHOWN}},
        "reasons": [{"status": status, "reason": reason, "calls": n} for (status, reason), n in figures.reasons.most_common()],
        "received_to_settled": {"calls": figures.timed, "mean_s": figures.mean_s, "spans": figures.took},
        "runs": figures.runs,
        "last_success_at": figures.last_success_at,
        "freshness": [asdict(each) for each in figures.freshness],
        **figures.timeline.document(),
        "sources": [{"source": each.source, "calls": dict(each.calls), "newest_at": each.newest_at} for each in figures.sources],
        "slowest_events": [_event_document(each) for each in figures.slowest],
        "most_rejected_events": [_event_document(each) for each in figures.most_rejected],
        "attention": [{**asdict(each), "commands": [command for _, command in each.commands]} for each in figures.attention],
        "attention_rows": list(figures.rows),
        "waiting_events": list(figures.waiting),
        "open_periods": list(figures.open_periods),
        "coverage": None if figures.coverage is None else figures.coverage.document(),
    }


def _by_event(rows: Iterable[Mapping[str, object]]) -> list[EventFigures]:
    found: dict[tuple[str, object, object], EventFigures] = {}
    for row in rows:
        stream, event, is_other = str(row["stream"]), row["event"], bool(row["is_other"])
        name = None if event is None else str(event)
        each = found.setdefault((stream, name, is_other), EventFigures(stream, name, is_other))
        each.calls[str(row["status"])] += whole(row["n"])
        if row["status"] == Status.REJECTED:
            each.reasons[str(row["reason"])] += whole(row["n"])
        each.timed += whole(row["timed"])
        each.total_s += _seconds(row["total_s"])
        each.longest_s = max(each.longest_s, _seconds(row["longest_s"]))
    return list(found.values())


def _most_rejected(events: Iterable[EventFigures]) -> list[EventFigures]:
    rejected = [each for each in events if each.calls[Status.REJECTED]]
    return sorted(rejected, key=lambda each: (-each.calls[Status.REJECTED], each.name))[:_TOP]


def _took(rows: Iterable[Mapping[str, object]]) -> dict[str, int]:
    """Return time to delivery -> calls. The rows count all calls up to a bound; here each call counts once."""
    up_to: Counter[str] = Counter()
    timed = 0
    for row in rows:
        timed += whole(row["timed"])
        for name, _ in _WITHIN:
            up_to[name] += whole(row[name])
    took: dict[str, int] = {}
    before = 0
    for name, words in _WITHIN:
        took[words] = up_to[name] - before
        before = up_to[name]
    took[_LONGER] = timed - before
    return took if timed else {}


def _named(facts: Facts) -> bool:
    """Tell whether there are several sources."""
    return len({str(row["source"]) for row in facts.watermarks} | {each.feed.source for each in facts.periods}) > 1


def _sources(facts: Facts) -> list[SourceFigures]:
    """Return what became of each source's calls, nothing where there is one source alone."""
    found = {name: SourceFigures(name) for name in sorted({str(row["source"]) for row in (*facts.watermarks, *facts.calls)})}
    for row in facts.calls:
        found[str(row["source"])].calls[str(row["status"])] += whole(row["n"])
    for row in facts.watermarks:
        source, high_at = found[str(row["source"])], row_time(moment(row["high_at"]))
        source.newest_at = max((each for each in (source.newest_at, high_at) if each), default=None)
    return list(found.values()) if len(found) > 1 else []


def _freshness(row: Mapping[str, object], now: datetime, *, named: bool) -> Freshness:
    high_at = row_time(moment(row["high_at"])) if row.get("lacks_table") is None else None
    return Freshness(
        str(row["stream"]), high_at, seconds_apart(high_at, now), moment(row["recorded_at"]), str(row["source"]) if named else None
    )


def _attention(rows: Sequence[Mapping[str, object]], shell: Shell) -> list[Attention]:
    """Return calls that need attention by status; those in doubt first, since they need a human."""
    found = []
    for status in (Status.IN_DOUBT, Status.WAITING, Status.SENDING, Status.FAILED):
        those = [row for row in rows if row["status"] == status]
        if those:
            reasons = Counter({str(row["reason"]): whole(row["n"]) for row in those if row["reason"]})
            oldest = min((at for row in those if (at := moment(row["occurred_at"]))), default=None)
            calls = sum(whole(row["n"]) for row in those)
            found.append(Attention(status, dict(reasons.most_common()), calls, oldest, *_settle(status, shell)))
    return found


def _settle(status: Status, shell: Shell) -> tuple[str, Sequence[tuple[str, str]]]:
    """Return the advice and commands that settle all calls of a status."""
    if status is Status.IN_DOUBT:
        return "See at Rehook whether they arrived. Then settle each one as listed below, or all of them at once.", (
            ("all arrived", shell("resolve", "--accept", "--all")),
            ("none arrived", shell("resolve", "--resend", "--all")),
        )
    advice = advise({"status": status, "reason": None}, shell)
    text = "The next run sends them again by itself. To do it now:" if status is Status.FAILED else f"{advice.text if advice else ''}:"
    return f"{text[0].upper()}{text[1:]}", () if advice is None else advice.commands


def _event_document(event: EventFigures) -> dict[str, object]:
    return {
        "stream": event.stream,
        "event": OTHER if event.is_other else event.event,
        "calls": event.calls.total(),
        "delivered": sum(event.calls[status] for status in _DELIVERED),
        "rejected": event.calls[Status.REJECTED],
        "rejected_by_reason": dict(event.reasons.most_common()),
        "mean_s": event.mean_s if event.timed else None,
        "longest_s": event.longest_s if event.timed else None,
    }


def _seconds(value: object) -> float:
    return float(value) if isinstance(value, int | float) else 0.0
