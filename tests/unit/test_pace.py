"""Spacing of requests and the breaker, on a clock of numbers."""

import pytest

from rehook_sync.pace import Breaker, Pace


def test_requests_are_spaced_to_the_rate() -> None:
    pace = Pace(10)
    assert [pace.reserve(100.0) for _ in range(4)] == pytest.approx([0.0, 0.1, 0.2, 0.3])


def test_unused_slots_are_not_saved_up() -> None:
    pace = Pace(10)
    pace.reserve(100.0)
    assert [pace.reserve(200.0), pace.reserve(200.0)] == pytest.approx([0.0, 0.1])


def test_without_a_rate_nobody_waits() -> None:
    pace = Pace(None)
    assert [pace.reserve(5.0) for _ in range(3)] == [0.0, 0.0, 0.0]


def test_a_pause_holds_everybody_back_and_ends() -> None:
    pace = Pace(None)
    pace.pause(10.0, 3.0)
    assert pace.reserve(11.0) == 2.0
    assert pace.pause_left(12.5) == 0.5
    assert pace.reserve(14.0) == 0.0


def test_a_shorter_pause_does_not_end_a_longer_one() -> None:
    pace = Pace(None)
    pace.pause(10.0, 30.0)
    pace.pause(11.0, 1.0)
    assert pace.reserve(11.0) == 29.0


def test_breaker_trips_after_failures_in_a_row() -> None:
    breaker = Breaker(3)
    assert [breaker.fail() for _ in range(3)] == [False, False, True]


def test_an_answer_starts_the_breaker_anew() -> None:
    breaker = Breaker(3)
    breaker.fail()
    breaker.fail()
    breaker.succeed()
    assert not breaker.fail()
    assert breaker.failures == 1
