"""What a run reads of its windows: only stretches that look otherwise than when all in them was settled.

What is read anew by each run is not all of the lookback but what may have changed in it. A stretch is remembered as the set of its ids,
each of which is a settled call of its feed. Settled calls stay so: the same set, whenever it is met again, holds nothing to do. A set is
remembered only as it was seen at one moment together with what the sync-state has of it.
"""

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import chain, islice
from typing import NamedTuple

from rehook_sync.database.queries import Identifier
from rehook_sync.database.spool import Spool
from rehook_sync.models import Stretch, Window
from rehook_sync.rules.periods import Feed, RunBounds
from rehook_sync.state.sources import Stretches
from rehook_sync.state.state import State
from rehook_sync.times import FIRST_MOMENT
from rehook_sync.warehouse.rows import read_message_id
from rehook_sync.warehouse.sources import Sources
from rehook_sync.warehouse.stretches.excerpts import Excerpt, OpenCalls, plan_excerpt, start_of
from rehook_sync.warehouse.stretches.looks import Look, Lookout

__all__ = ["Lookback", "Looked", "Looks"]

_LOOKED_UP = 5000
"""Ids per lookup in the sync-state."""
_MOST_SPARSE = 5000
"""Calls that are read by their ids, as one statement of each warehouse takes; of more, the hours are read as a whole."""


class Looked(NamedTuple):
    """What was looked at of a window.

    Shape:  rows: what the warehouse has in it.  windows: those that were read.  untold: hours whose rows do not count in `rows`.
    """

    rows: int
    windows: tuple[Window, ...]
    untold: tuple[Window, ...]


@dataclass(frozen=True, slots=True)
class Looks:
    """What looks at windows have shown.

    Shape:  newest: the newest time of arrival in each window looked at, None without one.
            settled: the stretches found settled, which are not remembered so yet.  quiet: feeds that have nothing dated in the future.
            looked: of the feeds whose stretches the warehouse could count.
    """

    newest: dict[Feed, datetime | None] = field(default_factory=dict)
    settled: dict[Feed, dict[datetime, Stretch]] = field(default_factory=dict)
    quiet: set[Feed] = field(default_factory=set)
    looked: dict[Feed, Looked] = field(default_factory=dict)


class Lookback:
    """The windows of one run, looked at one by one, each right before it is read. Shape:  looks: what they have shown so far."""

    def __init__(
        self,
        sources: Sources,
        state: State,
        known_in: Identifier | None,
        bounds: RunBounds,
        *,
        compares: bool = True,
    ) -> None:
        """Prepare; nothing is read. `compares`: find out which stretches are settled; else what looks different is read."""
        self._sources = sources
        self._state = state
        self._stretches = Stretches(state.database)
        self._known_in = known_in
        self._asked = {each.feed for each in bounds.periods}
        self._compares = compares
        self._ahead: dict[Feed, Excerpt] = {}
        self.looks = Looks()

    def has_news(self, feed: Feed, window: Window) -> bool:
        """Look at a window that is read next, and tell whether there is anything to read. Raises: as `look`."""
        self._ahead[feed], has_news = self._look(feed, window)
        return has_news

    def look(self, feed: Feed, window: Window) -> Excerpt:
        """Return what to read of a window.

        A row that arrives after the look stays above the newest time, or makes its stretch look different to the next run.
        Raises: SourceError for a table that has rows, but no time in any.
        """
        ahead = self._ahead.pop(feed, None)
        return self._look(feed, window)[0] if ahead is None else ahead

    def _look(self, feed: Feed, window: Window) -> tuple[Excerpt, bool]:
        """Return what to read of a window, and whether there is anything."""
        source, watermark = self._sources[feed.source], self._state.read_coverage(feed).watermark
        excerpt = None
        # A period that somebody asked for is read as a whole, with all that each run reads anew.
        if watermark is not None and window.low is not None and feed not in self._asked:
            excerpt = self._find_excerpt(feed, window, watermark)
        if excerpt is None:
            self.looks.newest[feed] = source.newest(feed.stream, window)
        newest = self.looks.newest[feed]
        if newest is None:
            source.require_times(feed.stream)
        has_changed = excerpt is not None and not excerpt.is_empty
        has_news = has_changed or watermark is None or feed in self._asked or (newest is not None and newest > watermark)
        return excerpt or Excerpt((window,)), has_news

    def _find_excerpt(self, feed: Feed, window: Window, watermark: datetime) -> Excerpt | None:
        """Return the stretches to read, None if the warehouse cannot be asked for them."""
        remembered = self._stretches.read(feed)
        what = Lookout(feed.stream, window, remembered, watermark if self._compares else None, self._known_in)
        with Spool() as spool:
            look = self._sources[feed.source].look(what, spool)
            if look is None:
                return None
            open_ = self._look_up(feed, spool) if look.open is None else look.open
        self.looks.newest[feed] = look.newest
        self._note(feed, window, look, open_)
        wanted = {start for start in look.changed if start not in look.compared or open_.get(start, OpenCalls()).unrecorded}
        told = {start: new for start in wanted & open_.keys() if (new := open_[start].new) is not None and start != FIRST_MOMENT}
        ids = tuple({each for new in told.values() for each in new})
        if len(ids) > _MOST_SPARSE:
            told, ids = {}, ()
        excerpt = plan_excerpt(window, look.found, wanted - told.keys())
        excerpt = replace(excerpt, sparse=plan_excerpt(window, look.found, set(told)).windows, ids=ids)
        within = {start: stretch for start, stretch in look.found.items() if FIRST_MOMENT < start < window.high}
        rows = sum(stretch.rows for stretch in within.values() if stretch is not None)
        untold = [plan_excerpt(window, [start], {start}).windows for start, stretch in within.items() if stretch is None]
        self.looks.looked[feed] = Looked(rows, excerpt.all_windows, tuple(chain.from_iterable(untold)))
        return excerpt

    def _note(self, feed: Feed, window: Window, look: Look, open_: Mapping[datetime, OpenCalls]) -> None:
        found = {start: look.found[start] for start in look.compared - open_.keys()}
        self.looks.settled[feed] = {start: stretch for start, stretch in found.items() if stretch is not None}
        if not any(start > start_of(window.high) for start in look.found):
            self.looks.quiet.add(feed)

    def _look_up(self, feed: Feed, ids: Spool) -> dict[datetime, OpenCalls]:
        """Return the open calls of the stretches whose ids were put aside."""
        unsettled: Counter[datetime] = Counter()
        unrecorded: Counter[datetime] = Counter()
        new: defaultdict[datetime, list[str]] = defaultdict(list)
        due = ids.in_order()
        while page := list(islice(due, _LOOKED_UP)):
            usable = {value for _, value, _ in page if _is_usable(value)}
            found = self._stretches.read_open(feed, usable)
            for start, value, is_within in page:
                if value in usable and value not in found:
                    continue
                unsettled[start] += 1
                if is_within and not found.get(value, False):
                    unrecorded[start] += 1
                    if value in usable and len(new[start]) <= _MOST_SPARSE:
                        new[start].append(value)
        told = {start: each for start, each in new.items() if len(each) == unrecorded[start] <= _MOST_SPARSE}
        return {start: OpenCalls(calls, unrecorded[start], told.get(start)) for start, calls in unsettled.items()}


def _is_usable(value: object) -> bool:
    return isinstance(value, str) and read_message_id(value) == (value, None)
