"""Which operation of a user goes next: chunks into lanes, answers into the outbox."""

import asyncio
from collections.abc import Callable, Iterable, Mapping

from rehook_sync.delivery.batch_writer import BatchWriter
from rehook_sync.delivery.lanes import InFlight, Lane, OpenClaims
from rehook_sync.delivery.outcomes import Decision, Next, build_outcome, spread_outcome
from rehook_sync.errors import ApiDownError, RehookSyncError, StoppedError
from rehook_sync.models import ELSEWHERE, Answer, Chunk, Customer, Operation, Outcome, Reason, Status, Traits
from rehook_sync.rules.traits import after_doubt, after_sending, after_skipping, find_news, is_superseded

__all__ = ["Dispatcher"]

_MOST_BYTES = 32 << 20
"""Of the requests in the queue: with large rows, reading pauses long before there are many."""


class Dispatcher:
    """The lanes of one delivery, between the feed and the batch writer. Runs in the event loop and never blocks.

    Shape:  queued: operations in lanes, those in flight included; queued_bytes: of their requests.
            has_room: called when there is room for more of them.
    """

    def __init__(self, writer: BatchWriter, most_queued: int, has_room: Callable[[], None], *, skip_unchanged: bool) -> None:
        """Start with no lane. `skip_unchanged`: do not send an Identify call that changes nothing."""
        self._writer = writer
        self._outbox = writer.outbox
        self._most_queued = most_queued
        self._has_room = has_room
        self._skip_unchanged = skip_unchanged
        self._lanes: dict[str, Lane] = {}
        self._blocked_users: set[str] = set()
        self._waiting_for: dict[str, list[Lane]] = {}
        self._unfreed = {ELSEWHERE}
        self._claims = OpenClaims()
        self._parked: dict[InFlight, asyncio.TimerHandle] = {}
        self._failed_in_a_row: list[Outcome] = []
        self._stopped = False
        self.queued = 0
        self.queued_bytes = 0

    @property
    def is_full(self) -> bool:
        """Tell whether reading should pause."""
        return self.queued > self._most_queued or self.queued_bytes > _MOST_BYTES

    # From chunks into lanes.

    def open_claims(self, operations: Iterable[Operation]) -> None:
        """Note the referral codes claimed by operations that Rehook has not accepted yet."""
        for operation in operations:
            self._claims.open(operation)

    def close_idle_lanes(self, operations: Iterable[Operation]) -> set[str]:
        """Forget idle lanes; return the users of the operations who have no lane."""
        for user_id in [lane.user_id for lane in self._lanes.values() if lane.is_idle]:
            del self._lanes[user_id]
        return {operation.user_id for operation in operations} - self._lanes.keys()

    def open_lanes(self, user_ids: Iterable[str], known: Mapping[str, Traits]) -> None:
        """Make a lane for each user. `known`: user id -> what the customer has."""
        for user_id in user_ids:
            self._lanes[user_id] = Lane(user_id, known=known.get(user_id), blocked=user_id in self._blocked_users)

    def admit(self, chunk: Chunk) -> None:
        """Queue the operations of a chunk, whose users all have lanes, and record its outcomes."""
        if self._stopped:
            return
        self._outbox.record(chunk.outcomes)
        for operation in chunk.operations:
            lane = self._lanes[operation.user_id]
            lane.operations.append(operation)
            self.queued += 1
            self.queued_bytes += _size(operation)
            if operation.claim is not None:
                self._waiting_for.update((call.message_id, []) for call in operation.calls)
            if not lane.busy:
                self._advance(lane)

    def _advance(self, lane: Lane) -> None:
        """Start the next operation of a lane that is not busy; settle those before it that need no request."""
        while lane.operations and not lane.busy and not self._stopped:
            operation = lane.operations[0]
            news = find_news(operation, lane.known) if self._skip_unchanged and operation.stream.is_identify else operation
            if lane.blocked or operation.waits_for in self._unfreed:
                self._settle(InFlight(operation, lane), Status.FAILED, Reason.BLOCKED_BY_EARLIER)
            elif news is None:
                reason = Reason.SUPERSEDED if is_superseded(operation, lane.known) else None
                self._settle(InFlight(operation, lane), Status.UNCHANGED, reason)
            elif not self._waits(operation, lane):
                lane.busy = True
                self._writer.submit(InFlight(news, lane))

    def _waits(self, operation: Operation, lane: Lane) -> bool:
        """Tell whether another user's call is about to free the code wanted here; if so, wait for it.

        There is no deadlock: an operation only waits for one before it in the feed.
        """
        freeing = operation.waits_for
        if freeing is None or freeing not in self._waiting_for or freeing in {call.message_id for call in operation.calls}:
            return False
        lane.busy = True
        self._waiting_for[freeing].append(lane)
        return True

    # From answers into the outbox.

    def note_success(self) -> None:
        """Note that the API works: earlier failures had causes of their own."""
        self._failed_in_a_row.clear()

    def land(self, flight: InFlight, answer: Answer, decision: Decision) -> None:
        """Record what an answer leads to, and start the user's next operation when the call is settled."""
        self._outbox.land(flight)
        if decision.next is Next.WAIT and not self._stopped:
            self._park(flight, build_outcome(flight, decision.status, decision.reason, answer), decision.wait_s)
        elif decision.status is Status.REJECTED and flight.operation.parts:
            self._take_apart(flight)
        else:
            self._settle(flight, decision.status, decision.reason, answer)
            self._advance(flight.lane)

    def unmark(self, flight: InFlight) -> None:
        """Restore a call that was not sent, or that failed because the API is down or denies access."""
        self._outbox.restore(flight.call)
        self._outbox.land(flight)
        self._record_customer(flight, Status.FAILED)

    def leave(self, flight: InFlight) -> None:
        """Drop a call that somebody else sends or has sent: its message id occurs again under another user."""
        self._take_off(flight.lane)
        self._outbox.release(self._claims.settle(flight.operation, Status.REJECTED))
        self._advance(flight.lane)

    def _settle(self, flight: InFlight, status: Status, reason: Reason | None = None, answer: Answer | None = None) -> None:
        """Record the final outcome of an operation and free its lane."""
        operation, lane = flight.operation, flight.lane
        outcomes = spread_outcome(operation, build_outcome(flight, status, reason, answer))
        self._outbox.settle(lane, outcomes)
        self._record_customer(flight, status)
        self._outbox.release(self._claims.settle(operation, status))
        if operation.claim is not None and status is Status.UNCHANGED:
            self._outbox.accept(operation.claim)
        if status is Status.FAILED:
            lane.blocked = True
            self._unfreed.update(call.message_id for call in operation.calls if call.message_id in self._waiting_for)
            self._blocked_users.add(lane.user_id)
            self._failed_in_a_row.extend(outcomes)
        self._take_off(lane)
        if self._waiting_for:
            self._let_go_on(operation, status)

    def _take_off(self, lane: Lane) -> None:
        """Remove the current operation from its lane, and let reading go on once there is room for more."""
        self.queued_bytes -= _size(lane.operations.popleft())
        lane.busy = False
        self.queued -= 1
        if not self.is_full:
            self._has_room()

    def _let_go_on(self, operation: Operation, status: Status) -> None:
        """Start the lanes that waited for the code this operation was to free."""
        for waiting in [each for call in operation.calls for each in self._waiting_for.pop(call.message_id, ())]:
            waiting.busy = False
            waiting.blocked = waiting.blocked or status is Status.FAILED
            self._advance(waiting)

    def _record_customer(self, flight: InFlight, status: Status) -> None:
        operation, lane = flight.operation, flight.lane
        if not operation.stream.is_identify:
            return
        if status is Status.SENT:
            lane.known = after_sending(operation, lane.known)
            code = None if operation.claim is None else operation.claim.code
            self._outbox.upsert(Customer(lane.user_id, lane.known, flight.call.message_id, sent=True, code=code))
        elif status is Status.UNCHANGED and (known := after_skipping(operation, lane.known)) is not None:
            lane.known = known
            self._outbox.upsert(Customer(lane.user_id, known))
        elif flight.uncertain:
            lane.known = after_doubt(operation, lane.known)
            self._outbox.upsert(Customer(lane.user_id, lane.known))

    def _take_apart(self, flight: InFlight) -> None:
        """Send the calls of a refused merged request one by one: only those at fault are rejected."""
        lane = flight.lane
        self.queued_bytes -= _size(lane.operations.popleft())
        self.queued_bytes += sum(map(_size, flight.operation.parts))
        lane.operations.extendleft(reversed(flight.operation.parts))
        self._claims.split(flight.operation)
        self.queued += len(flight.operation.parts) - 1
        self._outbox.restore(flight.call)
        lane.busy = False
        self._advance(lane)

    def _park(self, flight: InFlight, outcome: Outcome, wait_s: float) -> None:
        """Record a failed attempt and send again after a wait; until then the call is not marked."""
        flight.parked = outcome
        self._record_customer(flight, Status.FAILED)
        self._outbox.park(outcome)
        self._parked[flight] = asyncio.get_running_loop().call_later(wait_s, self._unpark, flight)

    def _unpark(self, flight: InFlight) -> None:
        del self._parked[flight]
        self._writer.submit(flight)

    # Stopping.

    def stop(self, error: RehookSyncError | None) -> None:
        """Start nothing more. Calls that wait for their next attempt end as failed, or are restored on a StoppedError.

        error: what stops the run, None for an interrupt. ApiDownError also undoes the latest failures in a row.
        """
        self._stopped = True
        for timer in self._parked.values():
            timer.cancel()
        for flight in [*self._parked, *self._writer.drop()]:
            if flight.parked is None:
                continue
            if isinstance(error, StoppedError):
                self._outbox.take_back(flight.parked)
            else:
                self._outbox.settle(flight.lane, [flight.parked])
        self._parked.clear()
        if isinstance(error, ApiDownError):
            for outcome in self._failed_in_a_row:
                self._outbox.undo(outcome)

    def give_up_claims(self) -> None:
        """Release the codes of all calls that Rehook has not accepted."""
        self._outbox.release(self._claims.give_up())


def _size(operation: Operation) -> int:
    """Return the bytes of an operation's requests, also of those it may be taken apart into."""
    own = len(operation.body)
    return own + sum(len(part.body) for part in operation.parts) if operation.parts else own
