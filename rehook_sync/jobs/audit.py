"""Warehouse against sync-state: what became of each call of a period, and which calls no run has judged.

If both are in one database, a join counts the recorded calls. All others are looked up page by page. No call is kept
once it is counted, and nothing is written.
"""

import hashlib
import shlex
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from itertools import islice

from rehook_sync.errors import UsageError
from rehook_sync.jobs.context import JobContext
from rehook_sync.jobs.notes.lines import left_notes, missing_table_note
from rehook_sync.jobs.reading.bounds import begin_command
from rehook_sync.jobs.results import RunOptions
from rehook_sync.models import SourceRow, Status, Stream, Window
from rehook_sync.rules.identity import SharedIds
from rehook_sync.rules.periods import Feed
from rehook_sync.rules.watermark import Absence, Coverage, why_unjudged
from rehook_sync.state.periods import Periods
from rehook_sync.state.sources import KnownSources
from rehook_sync.state.state import Judged
from rehook_sync.times import moment_text
from rehook_sync.warehouse.rows import read_message_id

__all__ = ["KINDS", "UNJUDGED", "AuditLine", "AuditReport", "FeedAudit", "audit", "audit_feed"]

_LOOKED_UP = 2000
"""Ids per lookup in the sync-state."""


_KINDS: Mapping[Absence, str] = {
    Absence.LATE: "missing",
    Absence.TOO_LATE: "missing",
    Absence.NO_RUN: "not_due",
    Absence.NEXT_RUN: "not_due",
    Absence.FUTURE: "future",
    Absence.BEFORE_START: "before_start",
}
_SHARED = "same_id_elsewhere"
_SAME = "counted_elsewhere"
UNJUDGED: Sequence[str] = (*dict.fromkeys(_KINDS.values()), _SHARED)
"""The kinds of calls that no run has judged."""
KINDS: Sequence[str] = (*Status, _SAME, *UNJUDGED)
"""All kinds of calls. What is counted elsewhere is a call of another source that is audited too: the same id is one call."""


@dataclass(frozen=True, slots=True)
class AuditLine:
    """The calls of one day and event of a feed.

    Shape:  day: UTC, as `2026-11-01`; None for calls without a usable time.  event: None for identifies.
            counts: Status or kind of UNJUDGED -> calls in the warehouse, without zeros.
            gone: calls recorded under this day and event that the warehouse no longer has in the period; not in `counts`.
    """

    day: str | None
    feed: Feed
    event: str | None
    counts: Mapping[str, int]
    gone: int = 0

    @property
    def rows(self) -> int:
        """Return the calls in the warehouse, each id once."""
        return sum(self.counts.values())


@dataclass(frozen=True, slots=True)
class FeedAudit:
    """What became of the calls of one feed in a window.

    Shape:  lines: by day and event.  first_missing_at: None when no missing call has a usable time.
            found_by_next_run: how many of the missing calls the next run finds.
            shared: calls that another source's call with the same id keeps from being sent.
            begin: of a feed that is new beside others, the command that says where it begins; None once somebody did.
    """

    feed: Feed
    window: Window
    coverage: Coverage
    lines: Sequence[AuditLine]
    first_missing_at: datetime | None
    found_by_next_run: int
    shared: SharedIds
    begin: str | None = None

    @property
    def rows(self) -> int:
        """Return the calls in the warehouse, each id once."""
        return sum(each.rows for each in self.lines)

    def count(self, kind: str) -> int:
        """Return the number of calls with a Status or of a kind of UNJUDGED."""
        return sum(line.counts.get(kind, 0) for line in self.lines)


@dataclass(frozen=True, slots=True)
class AuditReport:
    """Warehouse and sync-state compared for a period.

    Shape:  run_at_work: id of the run that held the lease when the comparison ended, None when it was free.
            left: what is recorded and not compared, since the settings leave its source out, one line each.
            several: whether there are several sources.  new: whether some feed of the settings, audited or not, has not begun.
    """

    feeds: Sequence[FeedAudit]
    run_at_work: str | None
    left: Sequence[str] = ()
    several: bool = False
    new: bool = False

    def count(self, kind: str) -> int:
        """Return the number of calls with a Status or of a kind of UNJUDGED, over all feeds."""
        return sum(each.count(kind) for each in self.feeds)

    @property
    def missing(self) -> int:
        """Return how many calls should have been judged and were not."""
        return self.count("missing")

    @property
    def shared(self) -> SharedIds:
        """Return the calls that are not sent, since another source's call has their id."""
        calls = sum((each.shared.calls for each in self.feeds), Counter[str]())
        return SharedIds(calls, next((each.shared.example for each in self.feeds if each.shared.example), ""))

    @property
    def is_complete(self) -> bool:
        """Return whether every call that is due has been judged."""
        return not self.missing and not self.shared.calls

    @property
    def found_by_next_run(self) -> int:
        """Return how many of the missing calls the next run finds."""
        return sum(each.found_by_next_run for each in self.feeds)

    @property
    def repair(self) -> str | None:
        """Return the command that judges the missing calls, None when there are none.

        It names a source if one of several lacks calls. Where a stream has not begun, it would begin with a run that names none:
        then it is a command for each stream that lacks calls.
        """
        lacking = [each for each in self.feeds if each.count("missing")]
        if not lacking:
            return None
        if self.new:
            return " && ".join(_run_since([each], each.feed.source if self.several else None, each.feed.stream) for each in lacking)
        sources = {each.feed.source for each in lacking}
        return _run_since(lacking, next(iter(sources)) if self.several and len(sources) == 1 else None)


def _run_since(feeds: Iterable[FeedAudit], source: str | None, stream: Stream | None = None) -> str:
    """Return the command that runs from the first missing call on."""
    since = min((each.first_missing_at for each in feeds if each.first_missing_at is not None), default=None)
    named = [("source", source), ("stream", stream), ("since", since and since.isoformat().replace("+00:00", "Z"))]
    return " ".join(["python -m rehook_sync run", *(f"--{name} {shlex.quote(value)}" for name, value in named if value)])


def audit(context: JobContext, options: RunOptions) -> AuditReport:
    """Compare warehouse and sync-state from `since` to `until`, or to now. Writes nothing.

    Raises: UsageError for an empty period, SourceError for a table that cannot be read.
    """
    state = context.state
    window = Window(options.since_at, options.until or state.now())
    if window.low is not None and window.low >= window.high:
        raise UsageError(f"--since {moment_text(window.low)} is not before the end of the period, {moment_text(window.high)}")
    asked = context.all_feeds(options)
    lacking = {feed: name for feed in asked if (name := context.lacks(feed)) is not None}
    feeds = [feed for feed in asked if feed not in lacking]
    for feed in feeds or asked:
        context.sources.require(*feed, had=context.had.get(feed, False))
    audited = {feed.source for feed in feeds}
    found = [replace(audit_feed(context, each, window, audited), begin=begin_command(context, each)) for each in feeds]
    left = [missing_table_note(feed.source, name) for feed, name in lacking.items()]
    if options.source is options.stream is None:
        known = KnownSources(state.database)
        left += left_notes(known.read_feeds(), known.count_due(), (), asked)
    coverages = (state.read_coverage(feed) for feed in context.all_feeds(RunOptions()) if feed not in lacking)
    new = any(each.watermark is None for each in coverages)
    return AuditReport(found, state.read_holder(), left, several=len(context.sources) > 1, new=new)


def audit_feed(context: JobContext, feed: Feed, window: Window, audited: Collection[str] = ()) -> FeedAudit:
    """Compare one feed of the warehouse with the sync-state. Shape:  audited: the sources that are compared in the same window.

    A call that a run records meanwhile may be left out, but is never called missing: coverage is read first.
    """
    source, stream, state, known_in = context.sources[feed.source], feed.stream, context.state, context.known_in
    coverage, periods = state.read_coverage(feed), Periods(state.database).read_open((feed,))
    now = state.now()
    why = partial(why_unjudged, coverage, context.settings.lookback, now, periods=periods)
    tally = _Tally(feed, window, coverage, why, partial(source.read_ids, stream), audited)
    tally.recorded.update(state.count_recorded(feed, window))
    if known_in is not None:
        for group in source.count_judged(stream, window, known_in):
            tally.counts[group.day, group.event][group.status] += group.calls
            if group.recorded_within:
                tally.matched[group.recorded_day, group.recorded_event] += group.calls

    def look_up(ids: Iterable[str]) -> Mapping[str, Judged]:
        judged = state.read_judged(stream, ids := list(ids))
        earlier = source.layout.tables[stream].earlier_ids(set(ids) - judged.keys())
        under_earlier = state.read_judged(stream, earlier) if earlier else {}
        return judged | {earlier[message_id]: found for message_id, found in under_earlier.items()}

    unusable: list[str | bytes] = []
    has_unusable = False
    due = iter(source.read_due(stream, window, known_in))
    while page := list(islice(due, _LOOKED_UP)):
        calls = []
        for value, received_at, event in page:
            message_id, flaw = read_message_id(value)
            if message_id is not None and flaw is None:
                calls.append((message_id, received_at, event))
                continue
            has_unusable = True
            if isinstance(value, str | bytes):
                unusable.append(value)
        tally.add(calls, look_up)
    if has_unusable:
        _add_unusable(tally, source.read_unusable(stream, window, unusable), look_up)
    return tally.result()


def _add_unusable(tally: "_Tally", rows: Iterable[SourceRow], look_up: Callable[[Iterable[str]], Mapping[str, Judged]]) -> None:
    """Count calls that are recorded under a hash of their content, which needs all of their columns. One may come again."""
    seen: set[bytes] = set()
    new = ((row.message_id, row.received_at, row.event) for row in rows if _is_new(row.message_id, seen))
    while page := list(islice(new, _LOOKED_UP)):
        tally.add(page, look_up)


def _is_new(message_id: str, seen: set[bytes]) -> bool:
    """Tell whether an id comes for the first time, and note it in 16 bytes."""
    known, digest = len(seen), hashlib.blake2b(message_id.encode("utf-8", "surrogatepass"), digest_size=16).digest()
    seen.add(digest)
    return len(seen) > known


class _Tally:
    """The running counts of one feed: (day, event) -> kind -> calls."""

    def __init__(
        self,
        feed: Feed,
        window: Window,
        coverage: Coverage,
        why: Callable[[datetime | None], Absence],
        read_ids: Callable[[Iterable[str]], Iterable[SourceRow]],
        audited: Collection[str],
    ) -> None:
        self._audited = audited
        self._read_ids = read_ids
        self._feed = feed
        self._window = window
        self._coverage = coverage
        self._why = why
        self._first_missing_at: datetime | None = None
        self._found_by_next_run = 0
        self._shared = SharedIds()
        self.counts: defaultdict[tuple[str | None, str | None], Counter[str]] = defaultdict(Counter)
        self.recorded: Counter[tuple[str | None, str | None]] = Counter()
        self.matched: Counter[tuple[str | None, str | None]] = Counter()

    def add(
        self, calls: Sequence[tuple[str, datetime | None, str | None]], look_up: Callable[[Iterable[str]], Mapping[str, Judged]]
    ) -> None:
        """Look up calls and count them: message id, time, event."""
        judged = look_up([message_id for message_id, _, _ in calls]) if calls else {}
        elsewhere = [message_id for message_id, found in judged.items() if found.source != self._feed.source]
        rows = {row.message_id: row for row in self._read_ids(elsewhere)} if elsewhere else {}
        for message_id, received_at, event in calls:
            found = judged.get(message_id)
            if found is None:
                self._add_unjudged(received_at, event)
                continue
            if message_id in rows and self._shared.note(rows[message_id], found):
                self.counts[_day(received_at), event][_SHARED] += 1
                continue
            within = found.received_at is not None and _within(self._window, found.received_at)
            is_counted = within and found.source != self._feed.source and found.source in self._audited
            self.counts[_day(received_at), event][_SAME if is_counted else found.status] += 1
            if found.received_at is not None and found.source == self._feed.source and _within(self._window, found.received_at):
                self.matched[_day(found.received_at), found.event] += 1

    def _add_unjudged(self, received_at: datetime | None, event: str | None) -> None:
        absence = self._why(received_at)
        self.counts[_day(received_at), event][_KINDS[absence]] += 1
        if absence.is_missing:
            self._found_by_next_run += absence.ends_with_next_run
            if received_at is not None:
                self._first_missing_at = min(received_at, self._first_missing_at or received_at)

    def result(self) -> FeedAudit:
        """Return the counts as lines."""
        gone = {key: n - self.matched[key] for key, n in self.recorded.items() if n > self.matched[key]}
        keys = sorted(self.counts.keys() | gone.keys(), key=lambda key: (key[0] or "", key[1] or ""))
        lines = [AuditLine(day, self._feed, event, dict(self.counts[day, event]), gone.get((day, event), 0)) for day, event in keys]
        return FeedAudit(self._feed, self._window, self._coverage, lines, self._first_missing_at, self._found_by_next_run, self._shared)


def _day(moment: datetime | None) -> str | None:
    return None if moment is None else moment.astimezone(UTC).date().isoformat()


def _within(window: Window, moment: datetime) -> bool:
    return (window.low is None or window.low <= moment) and moment < window.high
