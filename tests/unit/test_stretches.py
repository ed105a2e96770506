"""Which hours of a window are read, given which look different."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from rehook_sync.models import Stretch, Window
from rehook_sync.times import FIRST_MOMENT
from rehook_sync.warehouse.rows import least_text
from rehook_sync.warehouse.stretches.excerpts import Excerpt, find_changed, plan_excerpt, start_of

NOON = datetime(2026, 11, 1, 12, tzinfo=UTC)
HOURS = [NOON + timedelta(hours=hour) for hour in range(12)]
WHOLE = Window(NOON + timedelta(minutes=20), NOON + timedelta(hours=11, minutes=30))


def windows(*hours: tuple[int, int]) -> tuple[Window, ...]:
    return tuple(Window(max(HOURS[first], WHOLE.low or NOON), min(HOURS[last] + timedelta(hours=1), WHOLE.high)) for first, last in hours)


@pytest.mark.parametrize(
    ("wanted", "read"),
    [
        ([], []),
        ([0], [(0, 0)]),
        ([3, 4, 5], [(3, 5)]),
        ([0, 2, 11], [(0, 0), (2, 2), (11, 11)]),
        ([0, 2, 5, 7, 11], [(0, 2), (5, 5), (7, 7), (11, 11)]),
        (list(range(0, 12, 2)), [(0, 4), (6, 6), (8, 8), (10, 10)]),
        (list(range(12)), [(0, 11)]),
    ],
)
def test_hours_that_look_different_are_read_in_few_windows(wanted: list[int], read: list[tuple[int, int]]) -> None:
    assert plan_excerpt(WHOLE, HOURS, {HOURS[hour] for hour in wanted}) == Excerpt(windows(*read), timeless=False)


def test_hours_without_a_row_do_not_part_a_window() -> None:
    assert plan_excerpt(WHOLE, [HOURS[1], HOURS[7]], {HOURS[1], HOURS[7]}).windows == windows((1, 7))


def test_what_lies_beyond_the_window_is_not_read() -> None:
    later = WHOLE.high + timedelta(hours=3)
    found = {start_of(NOON - timedelta(hours=1)), start_of(later), FIRST_MOMENT}
    assert plan_excerpt(WHOLE, found, found) == Excerpt((), timeless=True)


def test_calls_without_a_time_are_asked_for_from_the_start_of_the_window() -> None:
    """Of texts that are no time, a statement gives those that sort after the start of its window."""
    for excerpt in (Excerpt((), timeless=True), Excerpt(windows((3, 3)), timeless=True)):
        first, *others = excerpt.asked(WHOLE)
        assert (first.low, tuple(others)) == (WHOLE.low, excerpt.windows)
        assert first.low is not None
        assert first.low < first.high
    assert Excerpt((WHOLE,)).asked(WHOLE) == (WHOLE,)
    assert Excerpt((), timeless=False).asked(WHOLE) == ()


def test_hours_that_were_read_by_ids_are_not_read_as_a_whole_as_well() -> None:
    by_ids = Excerpt((), timeless=False, sparse=windows((3, 3)), ids=("late",))
    assert by_ids.parts(WHOLE, sliced=False) == []
    assert replace(by_ids, windows=windows((7, 7))).parts(WHOLE, sliced=False) == [("read_window", *windows((7, 7)))]
    (part,) = replace(by_ids, timeless=True).parts(WHOLE, sliced=False)
    assert part == ("read_window", Window(WHOLE.low, NOON + timedelta(minutes=20, microseconds=1))), "calls without a time alone"


def test_an_hour_whose_look_cannot_be_told_has_always_changed() -> None:
    same, other = Stretch(3, "a"), Stretch(3, "b")
    found = {HOURS[0]: same, HOURS[1]: other, HOURS[2]: None, HOURS[3]: same}
    assert find_changed(found, {HOURS[0]: same, HOURS[1]: same, HOURS[2]: same}) == set(HOURS[1:4])


@pytest.mark.parametrize("offset", ["Z", "+14:59", "-14:59", " +05", "-0330", ""])
@pytest.mark.parametrize("between", "T ")
@pytest.mark.parametrize("low", [NOON, NOON.replace(hour=15), NOON.replace(hour=15, minute=1), NOON.replace(hour=0)])
def test_a_time_of_a_window_sorts_after_its_least_text_whatever_its_offset(low: datetime, between: str, offset: str) -> None:
    sign, hours = (-1 if "-" in offset else 1), offset.strip().lstrip("+-").replace(":", "").replace("Z", "")
    moved = sign * timedelta(hours=int(hours[:2] or 0), minutes=int(hours[2:] or 0))
    text = (low + moved).replace(tzinfo=None).isoformat(between) + offset
    least = least_text(Window(low, low + timedelta(hours=1)), timed=True)
    assert least is not None
    assert least <= text
    assert low.hour or least <= low.date().isoformat(), "a day is its midnight"
