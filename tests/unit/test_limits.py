"""Spacing of requests and the breaker, on a clock of numbers."""

import pytest

from rehook_sync.delivery.limits import AdaptiveConcurrency, CircuitBreaker, MarkLimit, RateLimiter, marks_ahead


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


@pytest.mark.parametrize(
    ("rate", "commit_s", "most", "ahead"),
    [
        (3200.0, 0.002, 64, 8),
        (640.0, 0.002, 64, 2),
        (3200.0, 0.02, 64, 64),
        (8000.0, 0.02, 64, 64),
        (0.01, 0.002, 64, 1),
        (40.0, 10.0, 4, 4),
        (1000.0, 0.0, 4, 1),
    ],
)
def test_as_many_are_marked_ahead_as_leave_during_a_commit(rate: float, commit_s: float, most: int, ahead: int) -> None:
    assert marks_ahead(rate, commit_s, most) == ahead


def measured(places: int, rate_limit: float | None, *, answer_s: float, commit_s: float) -> MarkLimit:
    """A limit that has seen many answers and commits."""
    limit = MarkLimit(places, rate_limit)
    for _ in range(2000):
        limit.answered(answer_s)
        limit.committed(commit_s, 10)
    return limit


@pytest.mark.parametrize(("answer_s", "most"), [(0.0, 128), (0.002, 128), (0.005, 96), (0.02, 72), (0.1, 66), (10.0, 65)])
def test_a_slow_api_needs_few_marks_ahead_and_a_quick_one_all(answer_s: float, most: int) -> None:
    limit = measured(64, None, answer_s=answer_s, commit_s=0.002)
    assert {limit.most(in_flight) for in_flight in (0, 64)} == {most}


def test_before_anything_is_measured_a_sixteenth_is_marked_ahead() -> None:
    assert [MarkLimit(places, None).most(0) for places in (1, 4, 64, 256)] == [2, 5, 68, 272]


def test_calls_are_not_marked_for_places_that_a_rate_limit_leaves_empty() -> None:
    limit = measured(64, 10.0, answer_s=0.1, commit_s=0.002)
    assert [limit.most(in_flight) for in_flight in (0, 1, 5)] == [1, 2, 6]


def test_one_slow_answer_or_commit_changes_little() -> None:
    limit = measured(64, None, answer_s=0.02, commit_s=0.002)
    limit.answered(0.2)
    limit.committed(0.05, 6)
    assert limit.most(64) in range(72, 76)


def test_the_first_commit_which_opens_a_connection_says_little() -> None:
    limit = MarkLimit(64, None)
    limit.committed(0.5, 68)
    assert limit.most(64) <= 64 + 64 // 10
    for _ in range(20):
        limit.committed(0.5, 68)
    assert limit.most(64) == 128


def test_fewer_places_need_fewer_marks() -> None:
    limit = measured(64, None, answer_s=0.02, commit_s=0.002)
    limit.places = 8
    assert limit.most(8) == 9
