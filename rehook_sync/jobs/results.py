"""What callers ask of `sync` and what it returns: plain data."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from rehook_sync.errors import RehookSyncError, UsageError
from rehook_sync.models import (
    Reason,
    RunKind,
    RunSummary,
    Selection,
    SourceRow,
    Status,
    Stream,
    Trigger,
    Window,
)
from rehook_sync.rules.identity import SharedIds
from rehook_sync.rules.periods import Feed, Period, RunBounds, feeds_text
from rehook_sync.rules.watermark import Absence, Beginning
from rehook_sync.times import parse_moment

__all__ = [
    "Explanation",
    "Listener",
    "Plan",
    "Progress",
    "RunAudit",
    "RunOptions",
    "RunResult",
    "StartedRun",
    "StatusReport",
    "Unjudged",
    "group_periods",
    "period_notes",
    "period_text",
    "read_options",
    "read_since",
]


@dataclass(frozen=True, slots=True)
class RunOptions:
    """What a caller asks of a run or a plan.

    Shape:  since: lower bound instead of the watermark.  stream, source: None for all.  limit: rows judged at most.
            only: retry these recorded calls and read no window; None: read the windows and retry failed calls.
    """

    since: datetime | Beginning | None = None
    until: datetime | None = None
    stream: Stream | None = None
    source: str | None = None
    limit: int | None = None
    only: Selection | None = None
    trigger: Trigger = Trigger.CLI

    @property
    def since_at(self) -> datetime | None:
        """Return the lower bound as a time, None for none and for all history."""
        return None if isinstance(self.since, Beginning) else self.since


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a run has got.

    Shape:  rows_total: rows to read, None while that is not known.  rows_known: rows read that are not judged.  rows_read: rows judged.
            at_once: requests that may be in flight now.  slowed: how often that was halved.  lowest: its lowest value.
    """

    run_id: str
    rows_total: int | None = None
    rows_known: int = 0
    rows_read: int = 0
    counts: Mapping[Status, int] = field(default_factory=dict)
    requests: int = 0
    at_once: int = 0
    slowed: int = 0
    lowest: int = 0

    @property
    def rows_due(self) -> int | None:
        """Return how many rows are to be judged in all, None while that is not known; rows found to be known do not count."""
        return None if self.rows_total is None else max(self.rows_total - self.rows_known, self.rows_read)


Listener = Callable[[Progress], None]
"""Is told how far a run has got."""


@dataclass(frozen=True, slots=True)
class RunAudit:
    """The lookback of a run, compared with the warehouse at its end.

    Shape:  rows: in the warehouse from `since` to `until`, about: where hours were only looked at, copies of a call count.
            missing: those that no run has judged and some run should have.
    """

    since: datetime
    until: datetime
    rows: int
    missing: int


@dataclass(frozen=True, slots=True)
class RunResult:
    """How a run ended.

    Shape:  watermarks: feed -> watermark, None when there is none yet.  rejected: recorded calls, by reason.
            error: what stopped the run.  recovered: dead runs that this one cleaned up after.
            unsettled: calls of all runs that are failed, in doubt or marked, or have waited too long.
            notes: what the user should know, one line each.
            customers: of a refresh, what became of its requests, one per customer; no call's record changes, so rows are 0.
            audit: None when it was not made.
    """

    summary: RunSummary
    watermarks: Mapping[Feed, datetime | None]
    rejected: Counter[Reason]
    error: RehookSyncError | None
    recovered: Sequence[RunSummary]
    unsettled: Mapping[Status, int]
    notes: Sequence[str]
    customers: Mapping[Status, int] | None = None
    audit: RunAudit | None = None


@dataclass(frozen=True, slots=True)
class StartedRun:
    """A run in shards that has begun.

    Shape:  shards: their numbers; empty when there is nothing to do.  rows: rows to read, as far as is known.
            recovered: dead runs that this one cleaned up after.  notes: what the user should know, one line each.
    """

    run_id: str
    shards: tuple[int, ...]
    rows: int
    recovered: Sequence[RunSummary]
    notes: Sequence[str] = ()


@dataclass(slots=True)
class Plan:
    """What a run would do.

    Shape:  actions: customer upserts, events, merged, unchanged, rejected, waiting -> rows.  samples: request bodies, JSON text.
            retried: rows that are taken up again, by the status they have.
    Units:  scanned: bytes of the warehouse that it took to find out, which a run scans as well; None: nobody says.
    """

    windows: Mapping[Feed, Window]
    rows: int = 0
    scanned: int | None = None
    retried: Counter[Status] = field(default_factory=Counter)
    actions: Counter[str] = field(default_factory=Counter)
    rejected: Counter[Reason] = field(default_factory=Counter)
    samples: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class StatusReport:
    """What the sync-state tables say at this moment; times are aware UTC. `periods`: those that are open."""

    now: datetime
    runs: Sequence[Mapping[str, object]]
    watermarks: Mapping[Feed, Mapping[str, object]]
    counts: Sequence[Mapping[str, object]]
    lease: Mapping[str, object] | None
    periods: Sequence[Period] = ()


@dataclass(frozen=True, slots=True)
class Unjudged:
    """A call that the warehouse holds and no run has judged. Shape:  began_at: where the first run began."""

    row: SourceRow
    absence: Absence
    began_at: datetime | None


@dataclass(slots=True)
class Explanation:
    """Everything known about a user id or a message id; rows are oldest first.

    Shape:  related: for a message id, the call that carried it and what else of its user is not settled.
            unjudged: calls in the warehouse only.  looked: whether the warehouse was read.
            detached: message ids of judged calls whose user id was removed since.  names_sources: whether there are several.
            shared: calls in the warehouse whose id is that of another source's call.
    """

    key: str
    rows: Sequence[Mapping[str, object]]
    customer: Mapping[str, object] | None
    related: Sequence[Mapping[str, object]] = ()
    unjudged: list[Unjudged] = field(default_factory=list)
    detached: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    looked: bool = False
    names_sources: bool = False
    shared: SharedIds = field(default_factory=SharedIds)

    @property
    def user_id(self) -> str | None:
        """Return whose calls they are, None when nobody knows."""
        known = [self.customer or {}, *self.rows]
        return next((str(found) for row in known if (found := row.get("source_id") or row.get("user_id"))), None)


def read_options(
    since: str | None, until: str | None, stream: str | None, trigger: Trigger = Trigger.CLI, *, marks: str = ""
) -> RunOptions:
    """Read options given as text: times as people write them, `beginning`, the name of a stream, which the settings may not have.

    marks: prefix of option names in errors.
    Raises: UsageError naming the option.
    """
    now = datetime.now(UTC)
    low = None if since is None else read_since(since, now, marks=marks)
    high = None if until is None else _moment(f"{marks}until", until, now)
    return RunOptions(low, high, None if stream is None else Stream(stream), trigger=trigger)


def read_since(text: str, now: datetime, *, marks: str = "", name: str = "since") -> datetime | Beginning:
    """Read a lower bound: a time as people write it, or `beginning`. Raises UsageError naming the option."""
    return Beginning.BEGINNING if text == Beginning.BEGINNING.value else _moment(f"{marks}{name}", text, now)


def _moment(option: str, text: str, now: datetime) -> datetime:
    try:
        return parse_moment(text, now)
    except UsageError as error:
        raise UsageError(f"{option}: {error}") from None


def period_text(*periods: Period, named: bool = False) -> str:
    """Return what a period, or several with the same bounds, are for people: `tracks from the beginning until 2026-11-01 12:00 UTC`.

    `named`: with the sources.
    """
    first = periods[0]
    low = "the beginning" if first.since is None else f"{first.since:%Y-%m-%d %H:%M}"
    if first.kind is RunKind.REFRESH:
        return f"the refresh of customers with calls from {low} on"
    what = "the baseline of " if first.kind is RunKind.BASELINE else ""
    return f"{what}{feeds_text((each.feed for each in periods), named=named)} from {low} until {first.until:%Y-%m-%d %H:%M} UTC"


def group_periods(periods: Iterable[Period], *, named: bool) -> list[list[Period]]:
    """Return those together that one run was asked for with the same bounds; each alone unless they are of several sources, `named`."""
    groups: dict[object, list[Period]] = {}
    for each in periods:
        groups.setdefault((each.kind, each.since, each.until, each.opened_by) if named else each.period_id, []).append(each)
    return list(groups.values())


def period_notes(bounds: RunBounds, run_id: str, *, done: bool) -> list[str]:
    """Return notes for the user on the periods that a run was asked for or went on with, one line for those that were asked for at once."""
    closed = {each.period_id for each in bounds.done} if done else set()
    named = len({feed.source for feed in (*bounds.windows, *bounds.absent)}) > 1
    left = [each for each in bounds.periods if each.period_id not in closed]
    notes = []
    for group in group_periods([each for each in left if each.feed in bounds.absent], named=named):
        stays = "stays open: there is no such table yet" if len(group) == 1 else "stay open: there are no such tables yet"
        notes.append(f"{_asked(group, run_id, named=named)} {stays}")
    for group in group_periods([each for each in left if each.feed not in bounds.absent], named=named):
        is_, it = ("is", "it") if len(group) == 1 else ("are", "them")
        notes.append(f"{_asked(group, run_id, named=named)} {is_} not done: each run goes on with {it}, and `run --abandon` gives {it} up")
    earlier = [each for each in bounds.periods if each.period_id in closed and each.opened_by != run_id]
    groups = group_periods(earlier, named=named)
    return [*notes, *(f"{_asked(each, run_id, named=named)} {'is' if len(each) == 1 else 'are'} done" for each in groups)]


def _asked(group: Sequence[Period], run_id: str, *, named: bool) -> str:
    """Return periods for people, with the run that was asked for them if it was another one."""
    text = period_text(*group, named=named)
    return text if group[0].opened_by == run_id else f"{text}, which run {group[0].opened_by} was asked for,"
