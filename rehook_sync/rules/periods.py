"""Periods that somebody asked for: what of them a run reads beside its windows, and when they are done. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import Enum
from typing import NamedTuple

from rehook_sync.models import RunKind, Stream, Stretch, Window

__all__ = ["EPOCH", "Extent", "Feed", "Mark", "MissingTable", "Period", "RunBounds", "feeds_text", "older_parts"]

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
"""The watermark after a first run over all history that found no rows."""
_FIRST = datetime.min.replace(tzinfo=UTC)


class Feed(NamedTuple):
    """One stream of one source, with a watermark of its own."""

    source: str
    stream: Stream

    def text(self, *, named: bool) -> str:
        """Return what it is called: `tracks`, or among several sources, `named`, `tracks of web_prod`."""
        return f"{self.stream} of {self.source}" if named else self.stream


def feeds_text(feeds: Iterable[Feed], *, named: bool) -> str:
    """Return what feeds are called together: `identifies, tracks of web, ios; tracks of server`."""
    streams: dict[str, list[str]] = {}
    for feed in feeds:
        streams.setdefault(feed.source, []).append(feed.stream)
    sources: dict[str, list[str]] = {}
    for source, found in streams.items():
        sources.setdefault(", ".join(found), []).append(source)
    return "; ".join(f"{found} of {', '.join(names)}" if named else found for found, names in sources.items())


class Extent(Enum):
    """What a run has read to its end: nothing, what is new, or also the periods it was asked for."""

    NOTHING = 0
    NEW = 1
    ALL = 2


@dataclass(frozen=True, slots=True)
class Period:
    """A period of one stream of one source that a run was asked for.

    Shape:  since: None means all history.  until: its end, itself excluded.  opened_by: id of that run.
            has_end: that end was asked for; else it is the time at which the run began.  kind: what that run was for.
    """

    period_id: str
    feed: Feed
    since: datetime | None
    until: datetime
    opened_by: str
    has_end: bool
    kind: RunKind = RunKind.RUN

    def holds(self, moment: datetime | None) -> bool:
        """Tell whether a time lies in the period. No time lies in one that begins at the beginning."""
        if moment is None:
            return self.since is None
        return (self.since is None or self.since <= moment) and moment < self.until

    def covers(self, other: "Period") -> bool:
        """Tell whether all of another period lies in this one, or in what each run reads after this one began."""
        begins_earlier = (self.since or _FIRST) <= (other.since or _FIRST)
        return self.feed == other.feed and begins_earlier and (not self.has_end or other.until <= self.until)

    def meets(self, other: "Period") -> bool:
        """Tell whether the two have a time in common."""
        apart = (self.since or _FIRST) >= other.until or (other.since or _FIRST) >= self.until
        return self.feed == other.feed and not apart


class Mark(NamedTuple):
    """What a run records of a feed: what it read, the watermark, the calls judged, and the table that the source does not have."""

    read: Window
    high_at: datetime | None
    rows: int
    lacks_table: str | None = None


class MissingTable(NamedTuple):
    """A table that a source does not have and never had a row of.

    Shape:  window: what would be read of it.  mark: the watermark, or what it will be: what arrives later is read.
    """

    name: str
    window: Window
    mark: datetime

    def keeps(self, period: Period) -> bool:
        """Tell whether the watermark remembers all of a period: a table that comes later is read from there."""
        return (period.since or EPOCH) >= self.mark


@dataclass(frozen=True, slots=True)
class RunBounds:
    """What a run reads.

    Shape:  windows: where it looks for what is new; the watermark moves by these.
            newest: time of the newest row in its window when the run began, None without rows.
            periods: those that are open, with those that this run was asked for.  asked: the latter.
            absent: feeds whose source has no such table, of which nothing is read.
            settled: stretches of the windows that hold settled calls alone and are not remembered so yet.
    """

    windows: Mapping[Feed, Window]
    newest: Mapping[Feed, datetime | None]
    periods: Sequence[Period] = ()
    asked: Sequence[Period] = field(default=(), compare=False)
    absent: Mapping[Feed, MissingTable] = field(default_factory=dict)
    settled: Mapping[Feed, Mapping[datetime, Stretch]] = field(default_factory=dict, compare=False)

    def parts(self, *feeds: Feed) -> list[tuple[Feed, Window]]:
        """Return what lies below the windows and is asked for, of these feeds or of all."""
        return [(feed, part) for feed in feeds or self.windows for part in older_parts(self.windows[feed], self._of(feed))]

    def reached(self, feed: Feed) -> Window:
        """Return the window of a feed together with the parts of periods that touch it: what a complete run has read without a gap."""
        window = self.windows[feed]
        low = window.low
        for _, part in reversed(self.parts(feed)):
            if low is not None and part.high >= low:
                low = part.low
        return Window(low, window.high)

    @property
    def done(self) -> list[Period]:
        """Return the periods that are done once the run has read all of its bounds.

        Without a table, those are done that the watermark remembers; the others stay open until there is one.
        """
        read = [each for each in self.periods if each.feed in self.windows and each.until <= self.windows[each.feed].high]
        return read + [each for each in self.periods if each.feed in self.absent and self.absent[each.feed].keeps(each)]

    @property
    def continued(self) -> list[Period]:
        """Return the periods that earlier runs were asked for."""
        return [each for each in self.periods if each not in self.asked]

    def _of(self, feed: Feed) -> list[Period]:
        return [each for each in self.periods if each.feed == feed]


def older_parts(window: Window, periods: Iterable[Period]) -> list[Window]:
    """Return the parts of periods that lie below a window, oldest first. They neither overlap nor touch."""
    if window.low is None:
        return []
    parts: list[Window] = []
    for period in sorted(periods, key=lambda each: (each.since or _FIRST, each.until)):
        high = min(period.until, window.low)
        if period.since is not None and period.since >= high:
            continue
        if parts and (period.since is None or period.since <= parts[-1].high):
            parts[-1] = Window(parts[-1].low, max(parts[-1].high, high))
        else:
            parts.append(Window(period.since, high))
    return parts
