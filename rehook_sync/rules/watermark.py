"""How far the watermark may move, and where the next window begins: pure rules over times.

The watermark of a stream means that every source row at or below it is settled or recorded.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import Enum

from rehook_sync.errors import UsageError
from rehook_sync.models import Window
from rehook_sync.times import FIRST_MOMENT

__all__ = ["Absence", "Beginning", "Coverage", "next_watermark", "next_window", "why_unjudged"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
"""The watermark over all history while there is none."""


class Beginning(Enum):
    """The lower bound of a window that takes all history."""

    BEGINNING = "beginning"


class Absence(Enum):
    """Why no run has judged a row that the warehouse holds."""

    NO_RUN = "no_run"
    FUTURE = "future"
    NEXT_RUN = "next_run"
    LATE = "late"
    TOO_LATE = "too_late"
    BEFORE_START = "before_start"

    @property
    def is_missing(self) -> bool:
        """Tell whether a run should have judged the row: it came after the watermark had passed its time."""
        return self in {Absence.LATE, Absence.TOO_LATE}

    @property
    def ends_with_next_run(self) -> bool:
        """Tell whether the next run finds the row, new or within the lookback."""
        return self in {Absence.NEXT_RUN, Absence.LATE}


@dataclass(frozen=True, slots=True)
class Coverage:
    """What earlier runs of one stream have covered.

    Shape:  watermark: None before the first run that saw the stream.
            origin: where the very first window began; None with a watermark means all history.
    """

    watermark: datetime | None
    origin: datetime | None


def next_window(
    coverage: Coverage, lookback: timedelta, now: datetime, since: datetime | Beginning | None, until: datetime | None
) -> Window:
    """Return the window of a run: from the lookback behind the watermark up to now.

    `since` replaces the lower bound. Rows older than the first run's start stay out for good: whoever chose that
    start chose not to pay out rewards for them.
    Raises: UsageError when there is no lower bound, or the bounds leave nothing between them.
    """
    high = now if until is None else min(until, now)
    if since is not None:
        low = None if isinstance(since, Beginning) else since
    elif coverage.watermark is not None:
        low = coverage.watermark - lookback if coverage.watermark - FIRST_MOMENT > lookback else None
        low = max((each for each in (low, coverage.origin) if each is not None), default=None)
    else:
        raise UsageError(
            "there is no watermark yet, since no run has got through: say where to begin, for example --since 7d, --since 2026-11-01 "
            "or --since beginning for all history (each event sent pays out rewards); or set REHOOK_SYNC_START_AT"
        )
    begins = "--since" if since is not None else "the start of this run, REHOOK_SYNC_LOOKBACK behind the watermark,"
    if low is not None and low > now:
        raise UsageError(f"{begins} {low.isoformat()} lies in the future; give a --since before now ({now.isoformat()})")
    if low is not None and until is not None and low >= until:
        raise UsageError(f"{begins} {low.isoformat()} is not before --until {until.isoformat()}")
    return Window(low, high)


def next_watermark(coverage: Coverage, window: Window, newest: datetime | None, *, complete: bool) -> datetime | None:
    """Return the watermark after a run over a window whose newest row was received at `newest`.

    It stays where it was when the run did not get through its window, or when the window begins above it:
    rows between the two have been judged by nobody. A first run over a stream without rows leaves it where that run began.
    """
    known = coverage.watermark
    if not complete or (known is not None and window.low is not None and window.low > known):
        return known
    begins = window.low or _EPOCH
    if known is None:
        return begins if newest is None else newest
    return known if newest is None else max(known, newest)


def why_unjudged(coverage: Coverage, lookback: timedelta, now: datetime, received_at: datetime | None) -> Absence:
    """Return why no run has judged a row received then.

    Shape:  received_at: None is no usable time; every run reads such rows.
    """
    if received_at is not None and received_at >= now:
        return Absence.FUTURE
    if coverage.watermark is None:
        return Absence.NO_RUN
    if received_at is None:
        return Absence.LATE
    if received_at > coverage.watermark:
        return Absence.NEXT_RUN
    if coverage.origin is not None and received_at < coverage.origin:
        return Absence.BEFORE_START
    low = next_window(coverage, lookback, now, None, None).low
    return Absence.TOO_LATE if low is not None and received_at < low else Absence.LATE
