"""Ordered, concurrent, rate-limited sending: operations in, outcomes out.

One request at a time per user, users in parallel. Before it is sent, an event is durably marked `sending`, and so is an
Identify call whose customer or previous outcome is known. Marks and outcomes are written in grouped commits while other
requests are in flight. How many are marked at most, `MarkLimit` says: of events, and as many Identify calls.
"""

import asyncio
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing, suppress
from operator import attrgetter
from random import Random
from typing import TYPE_CHECKING

from rehook_sync.delivery.batch_writer import BatchWriter, Recorder
from rehook_sync.delivery.dispatcher import Dispatcher
from rehook_sync.delivery.lanes import InFlight
from rehook_sync.delivery.limits import AdaptiveConcurrency, CircuitBreaker, MarkLimit, RateLimiter
from rehook_sync.delivery.measures import find_measures
from rehook_sync.delivery.outbox import Posting
from rehook_sync.delivery.outcomes import HOPELESS, Decision, Next, backoff_s, decide, stop_reason
from rehook_sync.delivery.report import DeliveryConfig, DeliveryReport
from rehook_sync.errors import LeaseLostError, RehookSyncError, StoppedError
from rehook_sync.models import Answer, Chunk, Effect, Outcome, Reason, Status
from rehook_sync.runtime import Interrupt, run_loop, tuned_interpreter

if TYPE_CHECKING:  # commands that send nothing do not load httpx
    from rehook_sync.rehook.client import Rehook

__all__ = ["Chunk", "check_credentials", "deliver"]

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
    """Send everything the feed yields and record the outcomes.

    The feed is read and the recorder written in threads of their own. `listen` is called after each commit with the report
    so far and the outcomes it made final.
    """
    with ThreadPoolExecutor(1, "reader") as reading, ThreadPoolExecutor(1, "writer") as writing, tuned_interpreter():
        sender = Sender(client, recorder, config, (reading, writing), listen)
        return run_loop(sender.run(feed, interrupt))


def check_credentials(client: "Rehook") -> Answer:
    """Ask Rehook once whether the credentials are good; changes nothing there."""

    async def ask() -> Answer:
        async with aclosing(client):
            return await client.check_credentials()

    return run_loop(ask())


class Sender:
    """Sends what a feed yields, within the limits, until it ends or the run stops. One event loop."""

    def __init__(
        self,
        client: "Rehook",
        recorder: Recorder,
        config: DeliveryConfig,
        threads: tuple[ThreadPoolExecutor, ThreadPoolExecutor],
        listen: Callable[[DeliveryReport, Sequence[Outcome]], None],
    ) -> None:
        """Prepare. `threads`: the reader's and the writer's."""
        self._client = client
        self._recorder = recorder
        self._config = config
        self._reading, self._writing = threads
        self._listen = listen
        self._report = DeliveryReport()
        self._limiter = RateLimiter(config.rate_limit)
        self._breaker = CircuitBreaker(config.api_down_after)
        self._adaptive = AdaptiveConcurrency(config.concurrency)
        self._may_work = asyncio.Event()
        self._progressed = asyncio.Event()
        self._stopped = asyncio.Event()
        self._probing = asyncio.Lock()
        self._measures = find_measures()
        self._writer = BatchWriter(recorder, MarkLimit(config.concurrency, config.rate_limit), config.renew_s, self._measures)
        self._dispatcher = Dispatcher(self._writer, config.queue_rows, self._progressed.set, skip_unchanged=config.skip_unchanged)
        self._greeted = False
        self._closing = False

    async def run(self, feed: Iterator[Chunk], interrupt: Interrupt) -> DeliveryReport:
        """Send until the feed ends or something stops the run; answers to requests in flight are always awaited."""
        loop = asyncio.get_running_loop()

        def wake() -> None:
            with suppress(RuntimeError):  # the loop has ended, nothing is left to stop
                loop.call_soon_threadsafe(self._interrupt)

        interrupt.listen(wake)
        async with aclosing(self._client), asyncio.TaskGroup() as tasks:
            writer = tasks.create_task(self._write())
            workers = [tasks.create_task(self._work(place)) for place in range(self._config.concurrency)]
            await self._read(feed)
            await self._until(lambda: self._dispatcher.queued == 0)
            self._closing = True
            self._may_work.set()
            self._writer.end(len(workers))
            await asyncio.wait(workers)
            self._dispatcher.give_up_claims()
            self._writer.close()
            await writer
        return self._report

    async def _until(self, reached: Callable[[], bool]) -> None:
        """Wait until a condition holds or the run stops."""
        while not reached() and not self._stopped.is_set():
            self._progressed.clear()
            await self._progressed.wait()

    async def _sleep(self, seconds: float) -> None:
        """Wait, at most until the run stops."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._stopped.wait()

    # Reading.

    async def _read(self, feed: Iterator[Chunk]) -> None:
        loop = asyncio.get_running_loop()
        try:
            while not self._stopped.is_set():
                chunk = await loop.run_in_executor(self._reading, next, feed, None)
                if chunk is None:
                    return
                self._dispatcher.open_claims(chunk.operations)
                if chunk.operations and not self._greeted:
                    await self._greet()
                if new_users := self._dispatcher.close_idle_lanes(chunk.operations):
                    known = await loop.run_in_executor(self._reading, self._recorder.read_customers, new_users)
                    self._dispatcher.open_lanes(new_users, known)
                self._dispatcher.admit(chunk)
                await self._until(lambda: not self._dispatcher.is_full)
        except RehookSyncError as error:
            self._stop(error)

    async def _greet(self) -> None:
        """Check before the first request that the credentials are good and the API is up."""
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

    # Sending.

    async def _work(self, place: int) -> None:
        """Send one call after another, while more than `place` requests may be in flight."""
        while True:
            while place >= self._adaptive.allowed and not self._closing:
                self._may_work.clear()
                await self._may_work.wait()
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
                self._dispatcher.unmark(flight)
                continue
            self._writer.depart()
            self._report.requests += 1
            asked_at = time.monotonic()
            answer = await self._client.send(flight.operation)
            now = time.monotonic()
            self._writer.arrive(now - asked_at)
            self._adapt(answer, asked_at, now)
            flight.attempts += 1
            if self._measures is not None:
                self._measures.answered(flight.operation.stream, answer, now - asked_at, repeated=flight.attempts > 1)
            flight.uncertain = flight.uncertain or answer.effect is Effect.UNKNOWN
            decision = self._decide(flight, answer)
            if decision.next is Next.SETTLE and decision.status is Status.FAILED:
                await self._probe(flight)
            if decision.next is Next.STOP or (decision.status is Status.FAILED and isinstance(self._report.error, StoppedError)):
                self._dispatcher.unmark(flight)
            else:
                self._dispatcher.land(flight, answer, decision)

    def _adapt(self, answer: Answer, asked_at: float, now: float) -> None:
        """Adapt concurrency and rate to an answer and its latency."""
        adaptive, before = self._adaptive, self._adaptive.allowed
        if answer.reason in _PRESSURE:
            adaptive.pressed(now)
        elif answer.effect is Effect.ACCEPTED:
            adaptive.answered(now, now - asked_at)
        if adaptive.allowed != before:
            self._limiter.share = adaptive.allowed / adaptive.most
            self._writer.limit.places = adaptive.allowed
            self._may_work.set()

    def _decide(self, flight: InFlight, answer: Answer) -> Decision:
        """Decide what an answer leads to; stop the run or pause sending if need be."""
        decision = decide(flight.operation.stream, answer, flight.attempts, self._config.policy, _jitter())
        if answer.effect in _PROPER or answer.reason is Reason.RATE_LIMITED:
            self._breaker.succeed()
            self._dispatcher.note_success()
        elif answer.effect is not Effect.DENIED and self._breaker.fail():
            self._stop(stop_reason(answer))
        if decision.next is Next.STOP:
            self._stop(stop_reason(answer))
        elif decision.next is Next.WAIT and (answer.retry_after_s or answer.reason is Reason.RATE_LIMITED):
            self._limiter.pause(time.monotonic(), decision.wait_s)
        return decision

    async def _probe(self, flight: InFlight) -> None:
        """Check before a call fails whether the API is up: if not, stop the run; the call is not to blame."""
        async with self._probing:
            if self._stopped.is_set() or self._breaker.failures < flight.attempts:
                return
            answer = await self._check()
            if answer.effect is not Effect.ACCEPTED:
                self._stop(stop_reason(answer))

    async def _check(self) -> Answer:
        self._report.requests += 1
        return await self._client.check_credentials()

    # Writing and stopping.

    def _leave(self, flight: InFlight) -> None:
        self._report.left.append(flight.call)
        self._dispatcher.leave(flight)

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
        """Send nothing more. Requests in flight are awaited; calls about to be sent are restored."""
        if self._stopped.is_set():
            return
        self._report.error = error
        self._stopped.set()
        self._dispatcher.stop(error)
        self._progressed.set()

    def _committed(self, posting: Posting) -> None:
        for lane in posting.lanes:
            lane.unrecorded -= 1
        self._report.counts.update(map(_status, posting.final))
        self._report.counts.subtract(map(_status, posting.undone))
        self._report.rejected.update(outcome.reason for outcome in posting.final if outcome.status is Status.REJECTED and outcome.reason)
        self._report.heed(self._adaptive)
        self._listen(self._report, posting.final)
