"""The window and watermark rules, one fact each."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rehook_sync.errors import UsageError
from rehook_sync.models import Window
from rehook_sync.rules.watermark import Absence, Beginning, Coverage, next_watermark, next_window, why_unjudged

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
DAY = timedelta(days=1)
LOOKBACK = 3 * DAY
NOTHING = Coverage(None, None)


def test_first_run_needs_a_lower_bound() -> None:
    with pytest.raises(UsageError, match="--since beginning"):
        next_window(NOTHING, LOOKBACK, NOW, None, None)


def test_beginning_takes_all_history() -> None:
    assert next_window(NOTHING, LOOKBACK, NOW, Beginning.BEGINNING, None) == Window(None, NOW)


def test_later_runs_look_back_behind_the_watermark() -> None:
    coverage = Coverage(NOW - DAY, NOW - 30 * DAY)
    assert next_window(coverage, LOOKBACK, NOW, None, None) == Window(NOW - 4 * DAY, NOW)


def test_lookback_never_reaches_behind_the_first_start() -> None:
    coverage = Coverage(NOW - DAY, NOW - 2 * DAY)
    assert next_window(coverage, LOOKBACK, NOW, None, None).low == NOW - 2 * DAY


def test_lookback_is_unbounded_below_after_a_run_over_all_history() -> None:
    assert next_window(Coverage(NOW - DAY, None), LOOKBACK, NOW, None, None).low == NOW - 4 * DAY


@pytest.mark.parametrize(("watermark", "lookback"), [(datetime(1, 1, 1, tzinfo=UTC), LOOKBACK), (NOW, timedelta.max)])
def test_lookback_that_reaches_before_all_calendars_takes_all_history(watermark: datetime, lookback: timedelta) -> None:
    assert next_window(Coverage(watermark, None), lookback, NOW, None, None) == Window(None, NOW)
    assert next_window(Coverage(watermark, watermark), lookback, NOW, None, None) == Window(watermark, NOW)


def test_window_never_reaches_beyond_now() -> None:
    assert next_window(NOTHING, LOOKBACK, NOW, NOW - DAY, NOW + DAY).high == NOW


def test_until_behind_the_window_is_not_blamed_on_a_since_nobody_gave() -> None:
    with pytest.raises(UsageError, match=r"LOOKBACK behind the watermark, .* is not before --until"):
        next_window(Coverage(NOW - DAY, None), LOOKBACK, NOW, None, NOW - 5 * DAY)


@pytest.mark.parametrize(("since", "until"), [(NOW + DAY, None), (NOW - DAY, NOW - DAY), (NOW - DAY, NOW - 2 * DAY)])
def test_impossible_bounds_are_refused(since: datetime, until: datetime | None) -> None:
    with pytest.raises(UsageError, match="--since"):
        next_window(NOTHING, LOOKBACK, NOW, since, until)


def test_watermark_moves_to_the_newest_row() -> None:
    coverage, window = Coverage(NOW - 2 * DAY, None), Window(NOW - 5 * DAY, NOW)
    assert next_watermark(coverage, window, NOW - DAY, complete=True) == NOW - DAY


def test_watermark_stays_when_nothing_is_new() -> None:
    coverage, window = Coverage(NOW - 2 * DAY, None), Window(NOW - 5 * DAY, NOW)
    assert next_watermark(coverage, window, None, complete=True) == NOW - 2 * DAY


def test_watermark_stays_when_the_run_did_not_get_through() -> None:
    coverage, window = Coverage(NOW - 2 * DAY, None), Window(NOW - 5 * DAY, NOW)
    assert next_watermark(coverage, window, NOW - DAY, complete=False) == NOW - 2 * DAY


def test_watermark_stays_when_the_window_leaves_a_gap_above_it() -> None:
    coverage, window = Coverage(NOW - 9 * DAY, None), Window(NOW - 5 * DAY, NOW)
    assert next_watermark(coverage, window, NOW - DAY, complete=True) == NOW - 9 * DAY


def test_watermark_never_moves_back() -> None:
    coverage, window = Coverage(NOW - DAY, None), Window(NOW - 9 * DAY, NOW - 5 * DAY)
    assert next_watermark(coverage, window, NOW - 6 * DAY, complete=True) == NOW - DAY


def test_first_run_without_rows_keeps_its_start_as_the_watermark() -> None:
    assert next_watermark(NOTHING, Window(NOW - DAY, NOW), None, complete=True) == NOW - DAY


def test_first_run_over_an_empty_history_puts_the_watermark_before_all_rows() -> None:
    watermark = next_watermark(NOTHING, Window(None, NOW), None, complete=True)
    assert watermark == datetime(1970, 1, 1, tzinfo=UTC)
    assert next_window(Coverage(watermark, None), LOOKBACK, NOW, None, None).low == watermark - LOOKBACK


_MOMENTS = st.datetimes(datetime(2026, 11, 1), datetime(2026, 11, 23)).map(lambda moment: moment.replace(tzinfo=UTC))  # noqa: DTZ001


@given(st.none() | _MOMENTS, st.none() | _MOMENTS, _MOMENTS, st.none() | _MOMENTS, st.booleans())
def test_watermark_never_passes_now_or_a_row_nobody_judged(
    known: datetime | None, low: datetime | None, high: datetime, newest: datetime | None, complete: bool
) -> None:
    if newest is not None and not (newest < high and (low is None or newest >= low)):
        newest = None
    moved = next_watermark(Coverage(known, None), Window(low, high), newest, complete=complete)
    assert moved == known or (complete and moved in {newest, low, datetime(1970, 1, 1, tzinfo=UTC)})
    assert known is None or (moved is not None and moved >= known)
    gap = known is not None and low is not None and low > known
    assert not gap or moved == known


@given(st.none() | _MOMENTS, st.none() | _MOMENTS, st.none() | _MOMENTS, st.timedeltas(timedelta(0), timedelta(days=9)), _MOMENTS)
def test_only_what_a_run_should_have_read_is_missing(
    received_at: datetime | None, watermark: datetime | None, origin: datetime | None, lookback: timedelta, now: datetime
) -> None:
    watermark = watermark and min(watermark, now)
    origin = origin and watermark and min(origin, watermark)
    absence = why_unjudged(Coverage(watermark, origin), lookback, now, received_at)
    covered = watermark is not None and (received_at is None or (received_at <= watermark and (origin is None or received_at >= origin)))
    is_future = received_at is not None and received_at >= now
    is_first = received_at is not None and received_at == watermark == origin  # the next run begins right then
    assert absence.is_missing == (covered and not is_future and not is_first)
    assert (absence is Absence.FUTURE) == is_future
    if watermark is not None and not is_future:
        reads = next_window(Coverage(watermark, origin), lookback, now, None, None)
        found = received_at is None or ((reads.low is None or reads.low <= received_at) and received_at < reads.high)
        assert absence.ends_with_next_run == found
