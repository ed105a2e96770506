"""What happens after one attempt: the table is the documentation."""

import pytest

from rehook_sync.delivery.outcomes import Decision, Next, RetryPolicy, backoff_s, decide
from rehook_sync.models import Answer, Effect, Reason, Status, Stream

HOLD = RetryPolicy(max_attempts=3, patience_s=60, hold=True)
RESEND = RetryPolicy(max_attempts=3, patience_s=60, hold=False)
I, T = Stream.IDENTIFIES, Stream.TRACKS  # noqa: E741
LOST = Answer(Effect.UNKNOWN, Reason.CONNECTION_LOST)
TIMEOUT = Answer(Effect.UNKNOWN, Reason.TIMEOUT)
CRASH = Answer(Effect.UNKNOWN, Reason.SERVER_ERROR, http_status=500)
DOWN = Answer(Effect.UNPROCESSED, Reason.NETWORK_ERROR)
BUSY = Answer(Effect.UNPROCESSED, Reason.RATE_LIMITED, http_status=429, retry_after_s=7)
LATER = Answer(Effect.UNPROCESSED, Reason.RATE_LIMITED, http_status=429, retry_after_s=61)

TABLE = [
    (T, Answer(Effect.ACCEPTED), 1, HOLD, Decision(Next.SETTLE, Status.SENT)),
    (T, Answer(Effect.REFUSED), 1, HOLD, Decision(Next.SETTLE, Status.REJECTED, Reason.REFUSED_BY_REHOOK)),
    (T, Answer(Effect.DENIED), 1, HOLD, Decision(Next.STOP)),
    (T, LOST, 1, HOLD, Decision(Next.SETTLE, Status.IN_DOUBT, Reason.CONNECTION_LOST)),
    (T, TIMEOUT, 1, HOLD, Decision(Next.SETTLE, Status.IN_DOUBT, Reason.TIMEOUT)),
    (T, CRASH, 1, HOLD, Decision(Next.SETTLE, Status.IN_DOUBT, Reason.SERVER_ERROR)),
    (T, LOST, 1, RESEND, Decision(Next.WAIT, Status.FAILED, Reason.NETWORK_ERROR, 0.5)),
    (I, TIMEOUT, 1, HOLD, Decision(Next.WAIT, Status.FAILED, Reason.NETWORK_ERROR, 0.5)),
    (I, CRASH, 2, HOLD, Decision(Next.WAIT, Status.FAILED, Reason.SERVER_ERROR, 1.0)),
    (I, CRASH, 3, HOLD, Decision(Next.SETTLE, Status.FAILED, Reason.SERVER_ERROR)),
    (T, DOWN, 1, HOLD, Decision(Next.WAIT, Status.FAILED, Reason.NETWORK_ERROR, 0.5)),
    (T, DOWN, 3, HOLD, Decision(Next.SETTLE, Status.FAILED, Reason.NETWORK_ERROR)),
    (T, BUSY, 1, HOLD, Decision(Next.WAIT, Status.FAILED, Reason.RATE_LIMITED, 7.0)),
    (T, LATER, 1, HOLD, Decision(Next.STOP, Status.FAILED, Reason.RATE_LIMITED)),
]


@pytest.mark.parametrize(("stream", "answer", "attempts", "policy", "expected"), TABLE)
def test_decision(stream: Stream, answer: Answer, attempts: int, policy: RetryPolicy, expected: Decision) -> None:
    assert decide(stream, answer, attempts, policy, jitter=1.0) == expected


def test_backoff_grows_is_random_and_has_a_ceiling() -> None:
    assert [backoff_s(attempt, 1.0) for attempt in range(1, 5)] == [0.5, 1.0, 2.0, 4.0]
    assert backoff_s(1, 0.0) == 0.25
    assert backoff_s(10_000, 1.0) == 30.0
