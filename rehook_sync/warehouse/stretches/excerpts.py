"""The stretches of a window: which of them have to be read. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from rehook_sync.models import Stretch, Window
from rehook_sync.times import FIRST_MOMENT

__all__ = ["Excerpt", "OpenCalls", "find_changed", "joined", "plan_excerpt", "start_of"]

_LENGTH = timedelta(hours=1)
_MOST_WINDOWS = 4
"""Without an index, each window makes the warehouse look at the whole table."""


@dataclass(frozen=True, slots=True)
class OpenCalls:
    """The calls of a stretch that are no settled calls of its feed.

    Shape:  unrecorded: those of them that no run has recorded.  new: ids of these in the window; None: they are not told.
    """

    unsettled: int = 0
    unrecorded: int = 0
    new: Sequence[str] | None = None


@dataclass(frozen=True, slots=True)
class Excerpt:
    """What is read of a window.

    Shape:  timeless: whether the calls without a usable time of arrival are read, too.
            sparse: windows of which only the calls with these ids are read.
    """

    windows: tuple[Window, ...]
    timeless: bool = True
    sparse: tuple[Window, ...] = ()
    ids: tuple[str, ...] = ()

    @property
    def all_windows(self) -> tuple[Window, ...]:
        """Return the windows of which anything is read."""
        return (*self.windows, *self.sparse)

    @property
    def is_empty(self) -> bool:
        """Tell whether nothing is read."""
        return not self.all_windows and not self.timeless

    def parts(self, window: Window, *, sliced: bool = True) -> list[tuple[str, Window]]:
        """Return the statements that read it, each with its window. `sliced`: whether a statement reads a part of a window."""
        if sliced:
            return [*(("read_slice", each) for each in self.windows), *([("read_timeless_slice", window)] if self.timeless else ())]
        whole = self.windows or replace(self, sparse=(), ids=()).asked(window)  # what is read by its ids is not read once more
        return [("read_window", each) for each in joined(whole)]

    def asked(self, window: Window) -> tuple[Window, ...]:
        """Return windows for a statement that gives the calls without a time with each: those that are near enough to its start."""
        if not self.timeless or window.low is None or (self.windows and self.windows[0].low == window.low):
            return self.all_windows
        return (Window(window.low, window.low + timedelta.resolution), *self.all_windows)


def joined(windows: Sequence[Window]) -> tuple[Window, ...]:
    """Return the one window from the first to the last: where a statement costs more than what it reads."""
    if not windows:
        return ()
    lows = [each.low for each in windows if each.low is not None]
    return (Window(min(lows) if len(lows) == len(windows) else None, max(each.high for each in windows)),)


def start_of(moment: datetime | None) -> datetime:
    """Return the start of the stretch that a time lies in; calls without a usable time have one of their own, at the first moment."""
    return FIRST_MOMENT if moment is None else moment.replace(minute=0, second=0, microsecond=0)


def find_changed(found: Mapping[datetime, Stretch | None], remembered: Mapping[datetime, Stretch]) -> set[datetime]:
    """Return the stretches that look otherwise than they are remembered. None: how it looks cannot be told."""
    return {start for start, stretch in found.items() if stretch is None or remembered.get(start) != stretch}


def plan_excerpt(window: Window, found: Iterable[datetime], wanted: set[datetime]) -> Excerpt:
    """Return what to read of a window to have the wanted ones of the stretches found: few windows, with as little else as possible."""
    timed = sorted(start for start in found if start != FIRST_MOMENT and start < window.high)
    runs: list[tuple[int, int]] = []
    for place, start in enumerate(timed):
        if start in wanted:
            if runs and runs[-1][1] == place - 1:
                runs[-1] = runs[-1][0], place
            else:
                runs.append((place, place))
    while len(runs) > _MOST_WINDOWS:
        nearest = min(range(len(runs) - 1), key=lambda at: runs[at + 1][0] - runs[at][1])
        runs[nearest : nearest + 2] = [(runs[nearest][0], runs[nearest + 1][1])]
    windows = (_clipped(window, Window(timed[first], timed[last] + _LENGTH)) for first, last in runs)
    return Excerpt(tuple(each for each in windows if each.low is None or each.low < each.high), FIRST_MOMENT in wanted)


def _clipped(window: Window, part: Window) -> Window:
    low = part.low if window.low is None or part.low is None else max(window.low, part.low)
    return Window(low, min(window.high, part.high))
