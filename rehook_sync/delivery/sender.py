"""Ordered, concurrent, rate-limited sending: operations in, outcomes out.

Per user one request after another, different users side by side. Before an event leaves, its call is durably
marked `sending`, and so is an Identify call of a customer we know something of; marks and outcomes are written in
grouped commits while other requests are on their way, so at most twice `concurrency` events are marked at any moment,
and as many Identify calls.
"""

import asyncio
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing, suppress
from operator import attrgetter
from random import Random
from typing import TYPE_CHECKING

from rehook_sync.delivery.batch_writer import BatchWriter, Outbox, Recorder
from rehook_sync.delivery.lanes import InFlight, Lane, OpenClaims
from rehook_sync.delivery.limits import AdaptiveConcurrency, CircuitBreaker, RateLimiter
from rehook_sync.delivery.orders import Chunk, DeliveryConfig, DeliveryReport
from rehook_sync.delivery.outcomes import HOPELESS, Decision, Next, backoff_s, build_outcome, decide, spread_outcome, stop_reason
from rehook_sync.errors import ApiDownError, LeaseLostError, RehookSyncError, StoppedError
from rehook_sync.models import ELSEWHERE, Answer, Customer, Effect, Operation, Outcome, Reason, Status, Stream
from rehook_sync.rules.bodies import is_unchanged
from rehook_sync.runtime import Interrupt, run_loop, tuned_interpreter

if TYPE_CHECKING:  # else httpx is loaded by whoever only looks
    from rehook_sync.rehook.client import Rehook

__all__ = ["Chunk", "DeliveryConfig", "DeliveryReport", "check_credentials", "deliver"]

_PRESSURE = frozenset({Reason.RATE_LIMITED, Reason.TIMEOUT})
_PROPER = frozenset({Effect.ACCEPTED, Effect.REFUSED})
_status = attrgetter("status")
_jitter = Random().random  # noqa: S311 - spreads retries, keeps no secret


def deliver(
    feed: Iterator[Chunk],
    client: "Rehook",
    recorder: Recorder,
    config: DeliveryConfig,
    interrupt: Interrupt,
    listen: Callable[[DeliveryReport, Sequence[Outcome]], None],
) -> DeliveryReport:
    """Send everything the feed gives and record what became of it.

    The feed is read and the recorder written in threads of their own. `listen` hears of each commit: the report so far
    and the outcomes that have just become durable.
    """
    with ThreadPoolExecutor(1, "reader") as reading, ThreadPoolExecutor(1, "writer") as writing, tuned_interpreter():
        sender = Sender(client, recorder, config, (reading, writing), listen)
        return run_loop(sender.run(feed, interrupt))


def check_credentials(client: "Rehook") -> Answer:
    """Ask Rehook once whether the credentials are good; writes nothing there."""

    async def ask() -> Answer:
        async with aclosing(client):
            return await client.check_credentials()

    return run_loop(ask())


class Sender:
    """The engine of one delivery; lives in one event loop."""

    def __init__(
        self,
        client: "Rehook",
        recorder: Recorder,
        config: DeliveryConfig,
        threads: tuple[ThreadPoolExecutor, ThreadPoolExecutor],
        listen: Callable[[DeliveryReport, Sequence[Outcome]], None],
    ) -> None:
        self._client = client
        self._recorder = recorder
        self._config = config
        self._reading, self._writing = threads
        self._listen = listen
        self._report = DeliveryReport()
        self._limiter = RateLimiter(config.rate_limit)
        self._breaker = CircuitBreaker(config.api_down_after)
        self._adaptive = AdaptiveConcurrency(config.concurrency)
        self._room = asyncio.Event()
        self._lanes: dict[str, Lane] = {}
        self._blocked_users: set[str] = set()
        self._freeing: dict[str, list[Lane]] = {}
        self._unfreed = {ELSEWHERE}
        self._claims = OpenClaims()
        self._writer = BatchWriter(recorder, config.concurrency, config.rate_limit, config.renew_s)
        self._parked: dict[InFlight, asyncio.TimerHandle] = {}
        self._failed_in_a_row: list[Outcome] = []
        self._progressed = asyncio.Event()
        self._stopped = asyncio.Event()
        self._probing = asyncio.Lock()
        self._queued = 0
        self._most_queued = config.queue_rows
        self._greeted = False
        self._closing = False

    async def run(self, feed: Iterator[Chunk], interrupt: Interrupt) -> DeliveryReport:
        """Send until the feed ends or something stops the run; what is in flight is always settled."""
        loop = asyncio.get_running_loop()

        def wake() -> None:
            with suppress(RuntimeError):  # the loop has ended: nothing is left to stop
                loop.call_soon_threadsafe(self._interrupt)

        interrupt.listen(wake)
        async with aclosing(self._client), asyncio.TaskGroup() as tasks:
            writer = tasks.create_task(self._write())
            workers = [tasks.create_task(self._work(place)) for place in range(self._config.concurrency)]
            await self._read(feed)
            await self._until(lambda: self._queued == 0)
            self._closing = True
            self._room.set()
            self._writer.end(len(workers))
            await asyncio.wait(workers)
            self._writer.outbox.batch.released.extend(self._claims.give_up())
            self._writer.close()
            await writer
        return self._report

    async def _until(self, reached: Callable[[], bool]) -> None:
        """Wait until a condition holds or the run stops."""
        while not reached() and not self._stopped.is_set():
            self._progressed.clear()
            await self._progressed.wait()

    async def _sleep(self, seconds: float) -> None:
        """Wait, but not beyond a stop."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._stopped.wait()

    # From the feed into the lanes.

    async def _read(self, feed: Iterator[Chunk]) -> None:
        loop = asyncio.get_running_loop()
        try:
            while not self._stopped.is_set():
                chunk = await loop.run_in_executor(self._reading, next, feed, None)
                if chunk is None:
                    return
                for operation in chunk.operations:
                    self._claims.open(operation)
                if chunk.operations and not self._greeted:
                    await self._greet()
                await self._admit(chunk)
                await self._until(lambda: self._queued <= self._most_queued)
        except RehookSyncError as error:
            self._stop(error)

    async def _greet(self) -> None:
        """Ask once, before the first request of the run, whether the credentials are good and the API is up."""
        self._greeted = True
        for attempt in range(1, self._config.policy.max_attempts + 1):
            answer = await self._check()
            if answer.effect is Effect.ACCEPTED or self._stopped.is_set():
                return
            wait_s = max(answer.retry_after_s or 0.0, backoff_s(attempt, _jitter()))
            patient = wait_s <= self._config.policy.patience_s and attempt < self._config.policy.max_attempts
            if answer.effect in HOPELESS or not patient:
                raise stop_reason(answer)
            await self._sleep(wait_s)

    async def _admit(self, chunk: Chunk) -> None:
        await self._open_lanes(chunk.operations)
        if self._stopped.is_set():
            return
        self._writer.outbox.batch.outcomes.extend(chunk.outcomes)
        self._writer.outbox.final.extend(chunk.outcomes)
        self._writer.wake()
        for operation in chunk.operations:
            lane = self._lanes[operation.user_id]
            lane.operations.append(operation)
            self._queued += 1
            if operation.claim is not None:
                self._freeing.update((call.message_id, []) for call in operation.calls)
            if not lane.busy:
                self._advance(lane)

    async def _open_lanes(self, operations: Iterable[Operation]) -> None:
        """Make a lane for each user, knowing what the customer last got; close lanes with nothing left to record."""
        for user_id in [lane.user_id for lane in self._lanes.values() if lane.is_idle]:
            del self._lanes[user_id]
        wanted = {operation.user_id for operation in operations} - self._lanes.keys()
        if wanted:
            loop = asyncio.get_running_loop()
            known = await loop.run_in_executor(self._reading, self._recorder.read_customers, wanted)
            for user_id in wanted:
                self._lanes[user_id] = Lane(user_id, known=known.get(user_id), blocked=user_id in self._blocked_users)

    # What of a lane may go next.

    def _advance(self, lane: Lane) -> None:
        """Start the next operation of a lane that is not busy; settle what needs no request on the way."""
        while lane.operations and not lane.busy and not self._stopped.is_set():
            operation = lane.operations[0]
            if lane.blocked or operation.waits_for in self._unfreed:
                self._settle(InFlight(operation, lane), Status.FAILED, Reason.BLOCKED_BY_EARLIER)
            elif self._config.skip_unchanged and operation.stream is Stream.IDENTIFIES and is_unchanged(operation, lane.known):
                self._settle(InFlight(operation, lane), Status.UNCHANGED)
            elif not self._waits(operation, lane):
                lane.busy = True
                self._writer.submit(InFlight(operation, lane))

    def _waits(self, operation: Operation, lane: Lane) -> bool:
        """Tell whether the code wanted here is about to be freed by another user's call, and wait for it then.

        No circle can form: that call stands before this one in the order of the feed, and so does all that it waits for.
        """
        freeing = operation.waits_for
        if freeing is None or freeing not in self._freeing or freeing in _ids(operation):
            return False
        lane.busy = True
        self._freeing[freeing].append(lane)
        return True

    # Sending.

    async def _work(self, place: int) -> None:
        """Send one call after another, unless fewer than `place` are to be open at once."""
        while True:
            while place >= self._adaptive.allowed and not self._closing:
                self._room.clear()
                await self._room.wait()
            _, _, flight = await self._writer.sendable.get()
            if flight is None:
                return
            wait_s = self._limiter.reserve(time.monotonic())
            while wait_s > 0 and not self._stopped.is_set():
                await self._sleep(wait_s)
                wait_s = self._limiter.pause_left(time.monotonic())
            if not self._recorder.is_valid:
                self._stop(LeaseLostError("the lease could not be renewed in time; nothing more was sent"))
            if self._stopped.is_set():
                self._unmark(flight)
                continue
            self._writer.in_flight += 1
            self._report.requests += 1
            asked_at = time.monotonic()
            answer = await self._client.send(flight.operation)
            self._feel(answer, asked_at, time.monotonic())
            self._writer.in_flight -= 1
            flight.attempts += 1
            flight.uncertain = flight.uncertain or answer.effect is Effect.UNKNOWN
            decision = self._decide(flight, answer)
            if decision.next is Next.SETTLE and decision.status is Status.FAILED:
                await self._probe(flight)
            self._land(flight, answer, decision)

    def _feel(self, answer: Answer, asked_at: float, now: float) -> None:
        """Let the API say how much it can take."""
        adaptive, before = self._adaptive, self._adaptive.allowed
        if answer.reason in _PRESSURE:
            adaptive.pressed(now)
        elif answer.effect is Effect.ACCEPTED:
            adaptive.answered(now, now - asked_at)
        if adaptive.allowed != before:
            self._limiter.share = adaptive.allowed / adaptive.most
            self._room.set()

    def _decide(self, flight: InFlight, answer: Answer) -> Decision:
        """Say what comes of an answer, and let the run stop or pause for it."""
        decision = decide(flight.operation.stream, answer, flight.attempts, self._config.policy, _jitter())
        if answer.effect in _PROPER or answer.reason is Reason.RATE_LIMITED:
            self._breaker.succeed()
            self._failed_in_a_row.clear()
        elif answer.effect is not Effect.DENIED and self._breaker.fail():
            self._stop(stop_reason(answer))
        if decision.next is Next.STOP:
            self._stop(stop_reason(answer))
        elif decision.next is Next.WAIT and (answer.retry_after_s or answer.reason is Reason.RATE_LIMITED):
            self._limiter.pause(time.monotonic(), decision.wait_s)
        return decision

    async def _probe(self, flight: InFlight) -> None:
        """Before a call is given up, ask whether the API as a whole is up: if it is not, the call is not to blame."""
        async with self._probing:
            if self._stopped.is_set() or self._breaker.failures < flight.attempts:
                return
            answer = await self._check()
            if answer.effect is not Effect.ACCEPTED:
                self._stop(stop_reason(answer))

    async def _check(self) -> Answer:
        self._report.requests += 1
        return await self._client.check_credentials()

    # What came of it.

    def _land(self, flight: InFlight, answer: Answer, decision: Decision) -> None:
        """Record what came of a request."""
        systemic = decision.status is Status.FAILED and isinstance(self._report.error, StoppedError)
        if decision.next is Next.STOP or systemic:
            self._unmark(flight)
            return
        self._writer.outbox.land(flight)
        if decision.next is Next.WAIT and not self._stopped.is_set():
            self._park(flight, build_outcome(flight, decision.status, decision.reason, answer), decision.wait_s)
        elif decision.status is Status.REJECTED and flight.operation.parts:
            self._take_apart(flight)
        else:
            self._settle(flight, decision.status, decision.reason, answer)
            self._advance(flight.lane)
        self._writer.wake()

    def _settle(self, flight: InFlight, status: Status, reason: Reason | None = None, answer: Answer | None = None) -> None:
        """End an operation's part in this run; its lane may go on."""
        operation, lane = flight.operation, flight.lane
        outcome = build_outcome(flight, status, reason, answer)
        outcomes = spread_outcome(operation, outcome)
        self._writer.outbox.settle(lane, outcomes)
        self._record_customer(flight, status)
        self._writer.outbox.batch.released.extend(self._claims.settle(operation, status))
        if operation.claim is not None and status is Status.UNCHANGED:
            self._writer.outbox.batch.accepted.append(operation.claim)
        if status is Status.FAILED:
            lane.blocked = True
            self._unfreed.update(call.message_id for call in operation.calls if call.message_id in self._freeing)
            self._blocked_users.add(lane.user_id)
            self._failed_in_a_row.extend(outcomes)
        self._take_off(lane)
        self._writer.wake()
        if self._freeing:
            self._let_go_on(operation, status)

    def _take_off(self, lane: Lane) -> None:
        """Take the operation at work off its lane, and let reading go on once there is room for more."""
        lane.operations.popleft()
        lane.busy = False
        self._queued -= 1
        if self._queued <= self._most_queued:
            self._progressed.set()

    def _let_go_on(self, operation: Operation, status: Status) -> None:
        """Start the lanes that waited for the code which an operation was to free."""
        for waiting in [each for call in operation.calls for each in self._freeing.pop(call.message_id, ())]:
            waiting.busy = False
            waiting.blocked = waiting.blocked or status is Status.FAILED
            self._advance(waiting)

    def _leave(self, flight: InFlight) -> None:
        """Let go of a call that somebody else sends or has sent: a second row of its id, under another user."""
        self._take_off(flight.lane)
        self._writer.outbox.batch.released.extend(self._claims.settle(flight.operation, Status.REJECTED))
        self._advance(flight.lane)

    def _record_customer(self, flight: InFlight, status: Status) -> None:
        operation, lane = flight.operation, flight.lane
        if operation.stream is not Stream.IDENTIFIES:
            return
        if status is Status.SENT:
            lane.known = {**lane.known, **operation.trait_hashes} if lane.known else operation.trait_hashes
            code = None if operation.claim is None else operation.claim.code
            self._writer.outbox.batch.customers.append(Customer(lane.user_id, lane.known, flight.call.message_id, sent=True, code=code))
        elif flight.uncertain:
            lane.known = None
            self._writer.outbox.batch.customers.append(Customer(lane.user_id, None))

    def _take_apart(self, flight: InFlight) -> None:
        """Send the calls of a refused merged request one by one: only the guilty one is rejected."""
        lane = flight.lane
        lane.operations.popleft()
        lane.operations.extendleft(reversed(flight.operation.parts))
        self._claims.split(flight.operation)
        self._queued += len(flight.operation.parts) - 1
        self._writer.outbox.batch.restores.append(flight.call)
        lane.busy = False
        self._advance(lane)

    def _park(self, flight: InFlight, outcome: Outcome, wait_s: float) -> None:
        """Record a failed attempt and send again after a wait; meanwhile the call is not marked."""
        flight.parked = outcome
        self._record_customer(flight, Status.FAILED)
        self._writer.outbox.batch.outcomes.append(outcome)
        self._parked[flight] = asyncio.get_running_loop().call_later(wait_s, self._unpark, flight)

    def _unpark(self, flight: InFlight) -> None:
        del self._parked[flight]
        self._writer.submit(flight)

    def _unmark(self, flight: InFlight) -> None:
        """Take the mark of a call back that was not sent, or not for a cause of its own."""
        self._writer.outbox.batch.restores.append(flight.call)
        self._writer.outbox.land(flight)
        self._record_customer(flight, Status.FAILED)
        self._writer.wake()

    # Writing and stopping.

    async def _write(self) -> None:
        try:
            await self._writer.run(self._writing, self._committed, self._leave)
        except RehookSyncError as error:
            self._stop(error)
            self._report.error = error

    def _interrupt(self) -> None:
        self._report.interrupted = True
        self._stop(None)

    def _stop(self, error: RehookSyncError | None) -> None:
        """Send nothing more. What is in flight is settled; what was not sent is as it was before this run."""
        if self._stopped.is_set():
            return
        self._report.error = error
        self._stopped.set()
        for timer in self._parked.values():
            timer.cancel()
        for flight in [*self._parked, *self._writer.drop()]:
            if flight.parked is None:
                continue
            if isinstance(error, StoppedError):
                self._writer.outbox.take_back(flight.parked)
            else:
                self._writer.outbox.settle(flight.lane, [flight.parked])
        self._parked.clear()
        if isinstance(error, ApiDownError):
            for outcome in self._failed_in_a_row:
                self._writer.outbox.take_back(outcome)
                self._writer.outbox.undone.append(outcome)
        self._writer.wake()
        self._progressed.set()

    def _committed(self, outbox: Outbox) -> None:
        for lane in outbox.lanes:
            lane.unrecorded -= 1
        self._report.counts.update(map(_status, outbox.final))
        self._report.counts.subtract(map(_status, outbox.undone))
        self._report.rejected.update(outcome.reason for outcome in outbox.final if outcome.status is Status.REJECTED and outcome.reason)
        self._report.heed(self._adaptive)
        self._listen(self._report, outbox.final)


def _ids(operation: Operation) -> set[str]:
    return {call.message_id for call in operation.calls}
