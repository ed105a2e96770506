"""From what Rehook answered to what is recorded, and to why a run stops: pure."""

import math

from rehook_sync.errors import ApiDownError, CredentialsRefusedError, StoppedError
from rehook_sync.lanes import Flight
from rehook_sync.models import Answer, Effect, Entry, Operation, Reason, Status

__all__ = ["HOPELESS", "build_entry", "spread_entry", "stop_reason"]

HOPELESS = frozenset({Effect.DENIED, Effect.REFUSED})
"""What the credentials check may answer that no repetition mends."""


def build_entry(flight: Flight, status: Status, reason: Reason | None, answer: Answer | None) -> Entry:
    """Return the record of the call that carries an operation."""
    detail, http_status = (answer.detail, answer.http_status) if answer else (None, None)
    return Entry(flight.call, status, reason, detail, http_status, flight.total_attempts)


def spread_entry(operation: Operation, entry: Entry) -> list[Entry]:
    """Return the records of all calls of an operation: those that its last call carried are merged, or share its fate."""
    if len(operation.calls) == 1:
        return [entry]
    others = operation.calls[:-1]
    if entry.status is Status.SENT:
        return [*(Entry(call, Status.MERGED, sent_as=entry.call.message_id) for call in others), entry]
    return [*(entry._replace(call=call) for call in others), entry]


def stop_reason(answer: Answer) -> StoppedError:
    """Return why the whole run stops, with what to do."""
    said = answer.detail or (f"HTTP {answer.http_status}" if answer.http_status else str(answer.reason))
    if answer.effect in HOPELESS:
        return CredentialsRefusedError(
            f"Rehook refused this job, not its rows: {said}; check REHOOK_SYNC_API_URL, REHOOK_SYNC_API_KEY and REHOOK_SYNC_API_SECRET, "
            "then run again: no row was marked for it"
        )
    when = f" in {math.ceil(answer.retry_after_s)} s or later" if answer.retry_after_s else " when it is up"
    return ApiDownError(f"the Rehook API does not work: {said}; run again{when}: no row was marked for it", answer.retry_after_s)
