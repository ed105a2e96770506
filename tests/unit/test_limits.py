"""Spacing of requests and the breaker, on a clock of numbers."""

import pytest

from rehook_sync.delivery.limits import AdaptiveConcurrency, CircuitBreaker, RateLimiter


def test_requests_are_spaced_to_the_rate() -> None:
    pace = RateLimiter(10)
    assert [pace.reserve(100.0) for _ in range(4)] == pytest.approx([0.0, 0.1, 0.2, 0.3])


def test_unused_slots_are_not_saved_up() -> None:
    pace = RateLimiter(10)
    pace.reserve(100.0)
    assert [pace.reserve(200.0), pace.reserve(200.0)] == pytest.approx([0.0, 0.1])


def test_without_a_rate_nobody_waits() -> None:
    pace = RateLimiter(None)
    assert [pace.reserve(5.0) for _ in range(3)] == [0.0, 0.0, 0.0]


def test_a_pause_holds_everybody_back_and_ends() -> None:
    pace = RateLimiter(None)
    pace.pause(10.0, 3.0)
    assert pace.reserve(11.0) == 2.0
    assert pace.pause_left(12.5) == 0.5
    assert pace.reserve(14.0) == 0.0


def test_a_shorter_pause_does_not_end_a_longer_one() -> None:
    pace = RateLimiter(None)
    pace.pause(10.0, 30.0)
    pace.pause(11.0, 1.0)
    assert pace.reserve(11.0) == 29.0


def test_breaker_trips_after_failures_in_a_row() -> None:
    breaker = CircuitBreaker(3)
    assert [breaker.fail() for _ in range(3)] == [False, False, True]


def test_an_answer_starts_the_breaker_anew() -> None:
    breaker = CircuitBreaker(3)
    breaker.fail()
    breaker.fail()
    breaker.succeed()
    assert not breaker.fail()
    assert breaker.failures == 1


def steady(throttle: AdaptiveConcurrency, answers: int, took_s: float = 0.02, since: float = 0.0) -> float:
    """Answers one after another, each taking as long; returns the time of the last."""
    now = since
    for _ in range(answers):
        now += took_s
        throttle.answered(now, took_s)
    return now


def test_one_burst_of_refusals_halves_once() -> None:
    throttle = AdaptiveConcurrency(64)
    for each in range(64):
        throttle.pressed(0.001 * each)
    assert (throttle.allowed, throttle.slowed, throttle.lowest) == (32, 1, 32)
    throttle.pressed(5.0)
    assert (throttle.allowed, throttle.slowed, throttle.lowest) == (16, 2, 16)


def test_never_fewer_than_one_is_open() -> None:
    throttle = AdaptiveConcurrency(4)
    for each in range(9):
        throttle.pressed(10.0 * each)
    assert (throttle.allowed, throttle.lowest) == (1, 1)


def test_it_recovers_by_one_for_each_full_round_of_good_answers() -> None:
    throttle = AdaptiveConcurrency(64)
    throttle.pressed(0.0)
    steady(throttle, 33, since=1.0)
    assert throttle.allowed == 33
    steady(throttle, 5000, since=9.0)
    assert throttle.allowed == 64
    assert throttle.lowest == 32


def test_answers_that_take_far_longer_than_before_slow_it_down() -> None:
    throttle = AdaptiveConcurrency(64)
    now = steady(throttle, 200)
    assert throttle.slowed == 0
    steady(throttle, 60, took_s=2.0, since=now)
    assert throttle.slowed >= 1
    assert throttle.allowed < 64


def test_a_slow_api_that_was_always_slow_is_not_held_back() -> None:
    throttle = AdaptiveConcurrency(64)
    steady(throttle, 500, took_s=3.0)
    assert (throttle.slowed, throttle.allowed) == (0, 64)


def test_an_api_that_stays_slower_is_not_held_back_for_ever() -> None:
    throttle = AdaptiveConcurrency(8)
    now = steady(throttle, 200)
    now = steady(throttle, 12_000, took_s=0.6, since=now)
    assert throttle.slowed >= 1
    assert throttle.allowed == 8


def test_a_share_of_the_rate_spaces_requests_further() -> None:
    pace = RateLimiter(10.0)
    pace.share = 0.5
    assert [pace.reserve(0.0) for _ in range(3)] == pytest.approx([0.0, 0.2, 0.4])
