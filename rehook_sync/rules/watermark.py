"""How far the watermark may move, and where the next window begins. Pure.

Every source row at or below the watermark of its source's stream is settled or recorded.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum

from rehook_sync.errors import UsageError
from rehook_sync.models import Window
from rehook_sync.rules.periods import EPOCH, MissingTable, Period
from rehook_sync.times import FIRST_MOMENT, moment_text

__all__ = [
    "EPOCH",
    "Absence",
    "Beginning",
    "Coverage",
    "after_baseline",
    "missing_table",
    "next_watermark",
    "next_window",
    "resumed_start",
    "what_is_new",
    "why_unjudged",
]


class Beginning(Enum):
    """The lower bound of a window over all history."""

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

    Shape:  watermark: None before the first complete run.
            origin: where the first window began; None beside a watermark means all history.
    """

    watermark: datetime | None
    origin: datetime | None


def next_window(
    coverage: Coverage, lookback: timedelta, now: datetime, since: datetime | Beginning | None, until: datetime | None
) -> Window:
    """Return the window of a run: from the lookback behind the watermark up to now.

    `since` replaces the lower bound. Without it, rows older than the first run's start stay out: whoever chose that
    start chose not to pay out rewards for them.
    Raises: UsageError when there is no lower bound, or it is later than now or not before `until`.
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
        raise UsageError(f"{begins} {moment_text(low)} lies in the future; give a --since before now ({moment_text(now)})")
    if low is not None and until is not None and low >= until:
        raise UsageError(f"{begins} {moment_text(low)} is not before --until {moment_text(until)}")
    return Window(low, high)


def resumed_start(periods: Sequence[Period]) -> datetime | Beginning:
    """Return where a first run goes on that did not get through, given the periods it was asked for. It reads up to now."""
    starts = [each.since for each in periods if each.since is not None]
    return min(starts) if len(starts) == len(periods) else Beginning.BEGINNING


def what_is_new(coverage: Coverage, lookback: timedelta, now: datetime, window: Window) -> Window:
    """Return the part of a window that a run without a lower bound would read; all of it, if that lies apart or nothing is known."""
    if coverage.watermark is None:
        return window
    low = next_window(coverage, lookback, now, None, None).low
    return Window(low, window.high) if low is not None and (window.low is None or window.low < low) and low < window.high else window


def next_watermark(coverage: Coverage, window: Window, newest: datetime | None, *, complete: bool) -> datetime | None:
    """Return the watermark after a run over a window whose newest row was received at `newest`.

    It stays when the run did not complete, or when its window begins above it: nobody has judged the rows between.
    A first run that finds no rows puts it at the window's lower bound.
    """
    known = coverage.watermark
    if not complete or (known is not None and window.low is not None and window.low > known):
        return known
    begins = window.low or EPOCH
    if known is None:
        return begins if newest is None else newest
    return known if newest is None else max(known, newest)


def missing_table(name: str, coverage: Coverage, window: Window | None, now: datetime) -> MissingTable:
    """Return what is known of a table that is not there and never had a row: what comes later is read from its watermark on.

    That stays where the stream began, as that of an empty table does. Where nothing says where that is, window None, it begins now.
    """
    window = window or Window(now, now)
    return MissingTable(name, window, window.low or EPOCH if coverage.watermark is None else coverage.watermark)


def after_baseline(coverage: Coverage, window: Window, newest: datetime | None, *, complete: bool) -> tuple[Window, datetime | None]:
    """Return what is recorded of a stream after a baseline: its window, and the watermark.

    One from the beginning says where the first run starts: what arrives later and is dated before was settled elsewhere too.
    The start of earlier runs stays: whoever chose it wants nothing older.
    """
    if coverage.watermark is not None:
        low = max((each for each in (window.low, coverage.origin) if each is not None), default=None)
        return Window(low, window.high), next_watermark(coverage, window, newest, complete=complete)
    if complete and window.low is None:
        return Window(window.high, window.high), window.high
    return window, None


def why_unjudged(
    coverage: Coverage, lookback: timedelta, now: datetime, received_at: datetime | None, periods: Iterable[Period] = ()
) -> Absence:
    """Return why no run has judged a row received then.

    Shape:  received_at: None for no usable time; every run reads such rows.  periods: the open ones of its stream.
    """
    if received_at is not None and received_at >= now:
        return Absence.FUTURE
    if coverage.watermark is None:
        return Absence.NO_RUN
    if received_at is None:
        return Absence.LATE
    # Where nothing was read yet, the watermark is the start itself, and the next run begins with what was received right then.
    unread = received_at > coverage.watermark or received_at == coverage.watermark == coverage.origin
    if unread or any(each.holds(received_at) for each in periods):
        return Absence.NEXT_RUN
    if coverage.origin is not None and received_at < coverage.origin:
        return Absence.BEFORE_START
    low = next_window(coverage, lookback, now, None, None).low
    return Absence.TOO_LATE if low is not None and received_at < low else Absence.LATE
