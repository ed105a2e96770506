"""What an answer of Rehook leads to: an outcome, another attempt, or the end of the run. Pure."""

import math
from dataclasses import dataclass
from enum import StrEnum

from rehook_sync.delivery.lanes import InFlight
from rehook_sync.errors import ApiDownError, CredentialsRefusedError, StoppedError
from rehook_sync.models import Answer, Effect, Operation, Outcome, Reason, Status, Stream

__all__ = [
    "HOPELESS",
    "Decision",
    "Next",
    "RetryPolicy",
    "build_outcome",
    "decide",
    "spread_outcome",
    "stop_reason",
]

HOPELESS = frozenset({Effect.DENIED, Effect.REFUSED})
"""Answers to the credentials check that a retry cannot mend."""


def build_outcome(flight: InFlight, status: Status, reason: Reason | None, answer: Answer | None) -> Outcome:
    """Return the outcome of the call that an operation is recorded under."""
    detail, http_status = (answer.detail, answer.http_status) if answer else (None, None)
    return Outcome(flight.call, status, reason, detail, http_status, flight.total_attempts)


def spread_outcome(operation: Operation, outcome: Outcome) -> list[Outcome]:
    """Return one outcome per call of an operation. If it was sent, all but the last are merged; else all share the outcome."""
    if len(operation.calls) == 1:
        return [outcome]
    others = operation.calls[:-1]
    if outcome.status is Status.SENT:
        return [*(Outcome(call, Status.MERGED, sent_as=outcome.call.message_id) for call in others), outcome]
    return [*(outcome._replace(call=call) for call in others), outcome]


def stop_reason(answer: Answer) -> StoppedError:
    """Return the error that stops the whole run, with what to do."""
    said = answer.detail or (f"HTTP {answer.http_status}" if answer.http_status else str(answer.reason))
    if answer.effect in HOPELESS:
        return CredentialsRefusedError(
            f"Rehook refused this job, not its rows: {said}; check REHOOK_SYNC_API_URL, REHOOK_SYNC_API_KEY and REHOOK_SYNC_API_SECRET, "
            "then run again: no row was marked for it"
        )
    when = f" in {math.ceil(answer.retry_after_s)} s or later" if answer.retry_after_s else " when it is up"
    return ApiDownError(f"the Rehook API does not work: {said}; run again{when}: no row was marked for it", answer.retry_after_s)


_FIRST_WAIT_S = 0.5


_LONGEST_WAIT_S = 30.0


_FAILED_REASONS = {Reason.TIMEOUT: Reason.NETWORK_ERROR, Reason.CONNECTION_LOST: Reason.NETWORK_ERROR}


class Next(StrEnum):
    """What happens to a call after an attempt."""

    SETTLE = "settle"
    WAIT = "wait"
    STOP = "stop"


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often one request is tried, and how long a wait is accepted.

    Units:  patience_s: seconds; an API that asks for a longer wait stops the run.
    Shape:  hold: an event whose outcome is unknown stays in doubt and is not retried.
    """

    max_attempts: int
    patience_s: float
    hold: bool


@dataclass(frozen=True, slots=True)
class Decision:
    """What to do next.

    Shape:  SETTLE: status and reason to record.  WAIT: wait_s before the next attempt; status and reason recorded until then.
            STOP: the whole run stops and the call is restored.
    """

    next: Next
    status: Status = Status.FAILED
    reason: Reason | None = None
    wait_s: float = 0.0


_SETTLED = {
    Effect.ACCEPTED: Decision(Next.SETTLE, Status.SENT),
    Effect.REFUSED: Decision(Next.SETTLE, Status.REJECTED, Reason.REFUSED_BY_REHOOK),
    Effect.DENIED: Decision(Next.STOP),
}


def decide(stream: Stream, answer: Answer, attempts: int, policy: RetryPolicy, jitter: float) -> Decision:
    """Return what to do after attempt number `attempts` (1 is the first) of a request.

    jitter: a random number in [0, 1), so that clients do not retry in step.
    """
    settled = _SETTLED.get(answer.effect)
    if settled is not None:
        return settled
    if answer.effect is Effect.UNKNOWN and not stream.is_identify and policy.hold:
        return Decision(Next.SETTLE, Status.IN_DOUBT, answer.reason)
    reason = _FAILED_REASONS.get(answer.reason, answer.reason) if answer.reason else Reason.NETWORK_ERROR
    if answer.retry_after_s is not None and answer.retry_after_s > policy.patience_s:
        return Decision(Next.STOP, Status.FAILED, reason)
    if attempts >= policy.max_attempts:
        return Decision(Next.SETTLE, Status.FAILED, reason)
    return Decision(Next.WAIT, Status.FAILED, reason, max(answer.retry_after_s or 0.0, backoff_s(attempts, jitter)))


def backoff_s(attempts: int, jitter: float) -> float:
    """Return the wait after a number of attempts: exponential backoff, half of it random, at most 30 s."""
    full = min(_LONGEST_WAIT_S, _FIRST_WAIT_S * 2.0 ** min(attempts - 1, 16))
    return full * (0.5 + 0.5 * jitter)
