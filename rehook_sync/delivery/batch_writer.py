"""Grouped commits: marks and outcomes of many calls in one transaction, while other requests are on their way.

The writing thread takes whatever was posted since its last commit and never waits for the loop: a busy loop needs
milliseconds to come round to it. What needs no mark is sendable at once, but never so much of it that a database which
stands still is left far behind.
"""

import asyncio
import heapq
import math
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import count
from queue import Empty, SimpleQueue
from typing import Protocol

from rehook_sync.delivery.lanes import InFlight, Lane
from rehook_sync.errors import DatabaseError
from rehook_sync.models import Batch, Call, Claim, Customer, Outcome, Status, Stream
from rehook_sync.times import FIRST_MOMENT

__all__ = ["BatchWriter", "Outbox", "Posting", "Recorder"]

_WRITE_WAITS_S = (0.25, 0.5, 1.0, 2.0)
_OPEN_PER_PLACE = 16
_Key = tuple[Stream, str]
_LAST_MOMENT = datetime.max.replace(tzinfo=UTC)


class Recorder(Protocol):
    """What delivery needs of the ledger."""

    @property
    def is_valid(self) -> bool:
        """Tell whether the lease cannot have passed to anybody else."""

    def write(self, batch: Batch) -> Collection[_Key]:
        """Write one batch durably, all or nothing; an empty one renews the lease. Safe to repeat.

        Returns the calls whose mark did not take, because somebody else sends them or has sent them.
        """

    def read_customers(self, user_ids: Iterable[str]) -> dict[str, Mapping[str, str] | None]:
        """Return what these customers last got."""


Turn = tuple[datetime, int, InFlight]
"""A flight that waits to be marked or sent, in the order it may go in: by time, then first come."""


@dataclass(slots=True)
class Posting:
    """What one commit takes along.

    Shape:  final: outcomes that end a call's part in this run.  undone: final outcomes of earlier commits taken back.
            lanes: one item per settled operation.  landed: the stream of each marked call whose fate this commit records;
            unmarked: how many calls without a mark it records.  marks: the calls it marks.  posts: how many postings it is made of.
    """

    batch: Batch = field(default_factory=Batch)
    final: list[Outcome] = field(default_factory=list)
    undone: list[Outcome] = field(default_factory=list)
    lanes: list[Lane] = field(default_factory=list)
    landed: list[Stream] = field(default_factory=list)
    unmarked: int = 0
    marks: list[Turn] = field(default_factory=list)
    posts: int = 1

    def join(self, later: "Posting") -> None:
        """Take over all that a later one holds."""
        batch, more = self.batch, later.batch
        batch.outcomes += more.outcomes
        batch.restores += more.restores
        batch.customers += more.customers
        batch.accepted += more.accepted
        batch.released += more.released
        self.final += later.final
        self.undone += later.undone
        self.lanes += later.lanes
        self.landed += later.landed
        self.marks += later.marks
        self.unmarked += later.unmarked
        self.posts += later.posts


class Outbox:
    """Collects what the next commit takes along; each verb also asks for that commit."""

    def __init__(self, wake: Callable[[], None]) -> None:
        """Start empty. `wake` asks for a commit."""
        self._wake = wake
        self._next = Posting()

    def take(self) -> Posting:
        """Return what was collected, and start anew."""
        posting, self._next = self._next, Posting()
        return posting

    def record(self, outcomes: Iterable[Outcome]) -> None:
        """Record outcomes of calls that were never on their way."""
        added = list(outcomes)
        self._next.batch.outcomes += added
        self._next.final += added
        self._wake()

    def settle(self, lane: Lane, outcomes: Iterable[Outcome]) -> None:
        """Record the outcomes of one operation."""
        self.record(outcomes)
        self._next.lanes.append(lane)
        lane.unrecorded += 1

    def park(self, outcome: Outcome) -> None:
        """Record a failed attempt of a call that is sent again; it ends nothing."""
        self._next.batch.outcomes.append(outcome)
        self._wake()

    def restore(self, call: Call) -> None:
        """Take a call's mark or parked record back: it is as it was before this run."""
        self._next.batch.restores.append(call)
        self._wake()

    def take_back(self, outcome: Outcome) -> None:
        """Undo an outcome or a parked record, whether it waits here or was committed before."""
        batch = self._next.batch
        batch.outcomes = [each for each in batch.outcomes if each is not outcome]
        self.restore(outcome.call)

    def undo(self, outcome: Outcome) -> None:
        """Take a final outcome back that was counted already."""
        self.take_back(outcome)
        self._next.undone.append(outcome)

    def land(self, flight: InFlight) -> None:
        """Note that a call is no longer on its way: it has ended, well or not, or waits for its next attempt."""
        if flight.marked:
            self._next.landed.append(flight.operation.stream)
        else:
            self._next.unmarked += 1
        self._wake()

    def upsert(self, customer: Customer) -> None:
        """Record what a customer has now."""
        self._next.batch.customers.append(customer)
        self._wake()

    def accept(self, claim: Claim) -> None:
        """Record that Rehook has a referral code, without a new record of the customer."""
        self._next.batch.accepted.append(claim)
        self._wake()

    def release(self, claims: Sequence[Claim]) -> None:
        """Give back referral codes whose calls did not arrive."""
        if claims:
            self._next.batch.released += claims
            self._wake()


class BatchWriter:
    """Marks calls before they are sent and records their outcomes; the only writer of one delivery.

    Shape:  outbox: what the next commit takes along.  in_flight: requests on their way, kept by the sender.
            sendable: calls durably marked, or in no need of it, the oldest first; None in the place of one ends a worker.
    Units:  renew_s: seconds without a write after which the lease is renewed.
    """

    def __init__(self, recorder: Recorder, concurrency: int, rate_limit: float | None, renew_s: float) -> None:
        """Start with nothing to write."""
        self._recorder = recorder
        self._concurrency = concurrency
        self._ahead = concurrency if rate_limit is None else min(concurrency, math.ceil(rate_limit))
        self._renew_s = renew_s
        self._to_mark: list[Turn] = []
        self._unmarked: list[Turn] = []
        self._open = 0
        self._turns = count()
        self._marked: Counter[Stream] = Counter()
        self._posted: SimpleQueue[Posting | None] = SimpleQueue()
        self._left: list[Posting | None] = []
        self._pending = 0
        self._will_post = False
        self._dropping = False
        self._closing = False
        self.outbox = Outbox(self._wake)
        self.sendable: asyncio.PriorityQueue[tuple[datetime, int, InFlight | None]] = asyncio.PriorityQueue()
        self.in_flight = 0

    def submit(self, flight: InFlight) -> None:
        """Have a call sent, the oldest first: once it is durably marked, or at once if it needs no mark."""
        turn = (flight.call.occurred_at or FIRST_MOMENT, next(self._turns), flight)
        flight.marked = flight.needs_mark
        if flight.marked:
            heapq.heappush(self._to_mark, turn)
            self._wake()
        else:
            heapq.heappush(self._unmarked, turn)
            self._release()

    def drop(self) -> list[InFlight]:
        """Make nothing sendable any more: take back what is being marked, forget and return what waits for it."""
        self._dropping = True
        waiting = [flight for _, _, flight in sorted([*self._to_mark, *self._unmarked])]
        self._to_mark.clear()
        self._unmarked.clear()
        self._wake()
        return waiting

    def end(self, workers: int) -> None:
        """End so many workers once nothing is sendable any more."""
        for _ in range(workers):
            self.sendable.put_nowait((_LAST_MOMENT, next(self._turns), None))

    def close(self) -> None:
        """Write what is left, then end."""
        self._closing = True
        self._wake()

    async def run(self, thread: ThreadPoolExecutor, committed: Callable[[Posting], None], refused: Callable[[InFlight], None]) -> None:
        """Write until closed. Raises what the recorder raises once repeating no longer helps.

        refused: hears of flights whose mark did not take; they are not made sendable.
        """
        loop = asyncio.get_running_loop()
        news: asyncio.Queue[tuple[Posting, list[InFlight]] | None] = asyncio.Queue()

        def learn(posting: Posting, others: Collection[_Key]) -> None:
            news.put_nowait((posting, self._learn(posting, others)))

        writing = loop.run_in_executor(thread, self._keep_writing, lambda *said: loop.call_soon_threadsafe(learn, *said))
        writing.add_done_callback(lambda _: news.put_nowait(None))
        try:
            while (told := await news.get()) is not None:
                posting, left = told
                for flight in left:
                    refused(flight)
                committed(posting)
            await writing
        finally:
            self._posted.put(None)

    # In the loop.

    def _wake(self) -> None:
        """Post the outbox once all that happens in this turn of the loop is in it."""
        if not self._will_post:
            self._will_post = True
            asyncio.get_running_loop().call_soon(self._post)

    def _post(self) -> None:
        """Hand what was collected to the writing thread, with the marks that take the places of the calls it records."""
        self._will_post = False
        posting = self.outbox.take()
        self._marked.subtract(posting.landed)  # both become durable as one
        posting.marks = self._take_marks()
        posting.batch.outcomes += [Outcome(flight.call, Status.SENDING, attempts=flight.total_attempts) for _, _, flight in posting.marks]
        if posting.batch:
            self._pending += 1
            self._posted.put(posting)
        elif self._closing and not self._pending:
            self._posted.put(None)

    def _learn(self, posting: Posting, others: Collection[_Key]) -> list[InFlight]:
        """Make sendable what is marked now; return what somebody else sends."""
        self._pending -= posting.posts
        left = []
        for turn in posting.marks:
            flight = turn[2]
            call = flight.call
            if (call.stream, call.message_id) in others:
                self._marked[call.stream] -= 1
                left.append(flight)
            elif self._dropping:
                self.outbox.restore(call)
                self.outbox.land(flight)
            else:
                self.sendable.put_nowait(turn)
        self._open -= posting.unmarked
        self._release()
        if self._to_mark or self._dropping or self._closing:
            self._wake()
        return left

    def _release(self) -> None:
        """Make what needs no mark sendable, as long as not too much of it is unrecorded."""
        while self._unmarked and self._open < _OPEN_PER_PLACE * self._concurrency:
            self.sendable.put_nowait(heapq.heappop(self._unmarked))
            self._open += 1

    def _take_marks(self) -> list[Turn]:
        """Take what may be marked now: of each stream, what is marked after this commit is at most twice `concurrency`.

        The events among them may be in doubt after a crash. Customers are only upserted again, so that they need not share
        the places of the events; a separate limit keeps users roughly in time order.
        """
        taken: list[Turn] = []
        most = min(2 * self._concurrency, self.in_flight + 2 * self._ahead)
        while self._to_mark and self._marked[self._to_mark[0][2].operation.stream] < most:
            turn = heapq.heappop(self._to_mark)
            self._marked[turn[2].operation.stream] += 1
            taken.append(turn)
        return taken

    # In the writing thread.

    def _keep_writing(self, tell: Callable[[Posting, Collection[_Key]], object]) -> None:
        """Write what is posted until the end is; without news, renew the lease."""
        while (posting := self._take_posted()) is not None:
            tell(posting, self._write(posting.batch))

    def _take_posted(self) -> Posting | None:
        """Return all that is posted as one, None at the end.

        What is taken back stands first in a batch, and so must not be joined with what was posted before it.
        """
        try:
            first = self._left.pop() if self._left else self._posted.get(timeout=self._renew_s)
        except Empty:
            return Posting(posts=0)
        while first is not None:
            try:
                after = self._posted.get_nowait()
            except Empty:
                break
            if after is None or after.batch.restores:
                self._left.append(after)
                break
            first.join(after)
        return first

    def _write(self, batch: Batch) -> Collection[_Key]:
        """Write a batch; a database that fails for a moment gets more chances."""
        waits = iter(_WRITE_WAITS_S)
        while True:
            try:
                return self._recorder.write(batch)
            except DatabaseError as error:
                wait_s = next(waits, None)
                if wait_s is None:
                    raise error from error.__cause__
                time.sleep(wait_s)
