"""Grouped commits: marks and outcomes of many calls in one transaction, while other requests are in flight.

The writing thread takes whatever was posted since its last commit. It never waits for the event loop, which may be busy
for milliseconds. A call without a mark is sendable at once, up to a bound on unrecorded ones, in case the database stalls.
"""

import asyncio
import heapq
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from itertools import count
from queue import Empty, SimpleQueue
from typing import Protocol

from rehook_sync.delivery.lanes import InFlight
from rehook_sync.delivery.limits import MarkLimit
from rehook_sync.delivery.measures import Measures
from rehook_sync.delivery.outbox import Outbox, Posting, Turn
from rehook_sync.errors import DatabaseError
from rehook_sync.models import Batch, Outcome, Status, Stream, Traits
from rehook_sync.times import FIRST_MOMENT

__all__ = ["BatchWriter", "Recorder"]

_WRITE_WAITS_S = (0.25, 0.5, 1.0, 2.0)
_OPEN_PER_PLACE = 16
_Key = tuple[Stream, str]
_LAST_MOMENT = datetime.max.replace(tzinfo=UTC)


class Recorder(Protocol):
    """What delivery needs of the ledger."""

    @property
    def is_valid(self) -> bool:
        """Tell whether nobody else can have the lease."""

    def write(self, batch: Batch) -> Collection[_Key]:
        """Write one batch durably, all or nothing; an empty one renews the lease. Safe to repeat.

        Returns the calls whose mark did not take: somebody else sends them or has sent them.
        """

    def read_customers(self, user_ids: Iterable[str]) -> Mapping[str, Traits]:
        """Return user id -> what the customer has, without users of whom that is unknown."""


class BatchWriter:
    """Marks calls before they are sent and records their outcomes; the only writer of one delivery.

    Shape:  outbox: what the next commit writes.  limit: how many calls may be marked.
            sendable: calls that are durably marked or need no mark, oldest first; a None ends a worker.
    Units:  renew_s: seconds without a write after which the lease is renewed.
    """

    def __init__(self, recorder: Recorder, limit: MarkLimit, renew_s: float, measures: Measures | None = None) -> None:
        """Start with nothing to write. `measures`: where commits are recorded."""
        self._measures = measures
        self._recorder = recorder
        self._most_open = _OPEN_PER_PLACE * limit.places
        self._renew_s = renew_s
        self._in_flight = 0
        self._to_mark: list[Turn] = []
        self._unmarked: list[Turn] = []
        self._open = 0
        self._turns = count()
        self._marked: Counter[bool] = Counter()  # whether Identify calls -> marked calls that are in flight or next in line
        self._posted: SimpleQueue[Posting | None] = SimpleQueue()
        self._left: list[Posting | None] = []
        self._pending = 0
        self._will_post = False
        self._dropping = False
        self._closing = False
        self.outbox = Outbox(self._wake)
        self.limit = limit
        self.sendable: asyncio.PriorityQueue[tuple[datetime, int, InFlight | None]] = asyncio.PriorityQueue()

    def submit(self, flight: InFlight) -> None:
        """Make a call sendable, oldest first: once it is durably marked, or without a mark if it needs none."""
        turn = (flight.call.occurred_at or FIRST_MOMENT, next(self._turns), flight)
        flight.marked = flight.needs_mark
        if flight.marked:
            heapq.heappush(self._to_mark, turn)
            self._wake()
        else:
            heapq.heappush(self._unmarked, turn)
            self._release()

    def depart(self) -> None:
        """Note that a request leaves: the next call may be marked."""
        self._in_flight += 1
        if self._to_mark:
            self._wake()

    def arrive(self, took_s: float) -> None:
        """Note that a request is in flight no more, and how long it was."""
        self._in_flight -= 1
        self.limit.answered(took_s)

    def drop(self) -> list[InFlight]:
        """Make nothing sendable any more. Marks being written are taken back; calls still waiting are dropped and returned."""
        self._dropping = True
        waiting = [flight for _, _, flight in sorted([*self._to_mark, *self._unmarked])]
        self._to_mark.clear()
        self._unmarked.clear()
        self._wake()
        return waiting

    def end(self, workers: int) -> None:
        """End that many workers, after all that is sendable."""
        for _ in range(workers):
            self.sendable.put_nowait((_LAST_MOMENT, next(self._turns), None))

    def close(self) -> None:
        """Write what is left, then end `run`."""
        self._closing = True
        self._wake()

    async def run(self, thread: ThreadPoolExecutor, committed: Callable[[Posting], None], refused: Callable[[InFlight], None]) -> None:
        """Write until closed. `committed` gets each posting once it is durable.

        refused: gets the calls whose mark did not take; they do not become sendable.
        Raises: what the recorder raises; a DatabaseError only after several tries.
        """
        loop = asyncio.get_running_loop()
        commits: asyncio.Queue[tuple[Posting, list[InFlight]] | None] = asyncio.Queue()

        def on_commit(posting: Posting, others: Collection[_Key]) -> None:
            commits.put_nowait((posting, self._learn(posting, others)))

        writing = loop.run_in_executor(thread, self._keep_writing, lambda *written: loop.call_soon_threadsafe(on_commit, *written))
        writing.add_done_callback(lambda _: commits.put_nowait(None))
        try:
            while (commit := await commits.get()) is not None:
                posting, not_ours = commit
                for flight in not_ours:
                    refused(flight)
                committed(posting)
            await writing
        finally:
            self._posted.put(None)

    # In the event loop.

    def _wake(self) -> None:
        """Post the outbox at the end of this iteration of the loop, when all of it is in."""
        if not self._will_post:
            self._will_post = True
            asyncio.get_running_loop().call_soon(self._post)

    def _post(self) -> None:
        """Post the outbox to the writing thread, with new marks in the places of the calls it records."""
        self._will_post = False
        posting = self.outbox.take()
        self._marked.subtract(posting.landed)  # the same commit records these and marks new ones
        posting.marks = self._take_marks()
        if posting.marks:
            posting.asked_at = time.monotonic()
        posting.batch.outcomes += [Outcome(flight.call, Status.SENDING, attempts=flight.total_attempts) for _, _, flight in posting.marks]
        if posting.batch:
            self._pending += 1
            self._posted.put(posting)
        elif self._closing and not self._pending:
            self._posted.put(None)

    def _learn(self, posting: Posting, others: Collection[_Key]) -> list[InFlight]:
        """Make newly marked calls sendable; return those that somebody else sends."""
        self._pending -= posting.posts
        if posting.marks:
            self.limit.committed(time.monotonic() - posting.asked_at, len(posting.marks))
        not_ours = []
        for turn in posting.marks:
            flight = turn[2]
            call = flight.call
            if (call.stream, call.message_id) in others:
                self._marked[call.stream.is_identify] -= 1
                not_ours.append(flight)
            elif self._dropping:
                self.outbox.restore(call)
                self.outbox.land(flight)
            else:
                self.sendable.put_nowait(turn)
        self._open -= posting.unmarked
        self._release()
        if self._to_mark or self._dropping or self._closing:
            self._wake()
        return not_ours

    def _release(self) -> None:
        """Make calls without a mark sendable, while not too many of them are unrecorded."""
        while self._unmarked and self._open < self._most_open:
            self.sendable.put_nowait(heapq.heappop(self._unmarked))
            self._open += 1

    def _take_marks(self) -> list[Turn]:
        """Take the calls that may be marked now.

        After a crash, marked events may be in doubt, while customers are only upserted again. So each of the two has a limit of
        its own, which keeps users roughly in time order.
        """
        taken: list[Turn] = []
        most = self.limit.most(self._in_flight)
        while self._to_mark and self._marked[self._to_mark[0][2].operation.stream.is_identify] < most:
            turn = heapq.heappop(self._to_mark)
            self._marked[turn[2].operation.stream.is_identify] += 1
            taken.append(turn)
        return taken

    # In the writing thread.

    def _keep_writing(self, tell: Callable[[Posting, Collection[_Key]], object]) -> None:
        """Write what is posted until None is; renew the lease when nothing is."""
        while (posting := self._take_posted()) is not None:
            began_at = time.monotonic()
            others = self._write(posting.batch)
            if self._measures is not None and posting.batch:
                self._measures.committed(time.monotonic() - began_at)
            tell(posting, others)

    def _take_posted(self) -> Posting | None:
        """Return all that is posted as one posting, None at the end; an empty one renews the lease.

        A batch writes its restores first, so a posting with restores is not joined to earlier ones.
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
        """Write a batch; retry while the database fails for a moment."""
        waits = iter(_WRITE_WAITS_S)
        while True:
            try:
                return self._recorder.write(batch)
            except DatabaseError as error:
                wait_s = next(waits, None)
                if wait_s is None:
                    raise error from error.__cause__
                time.sleep(wait_s)
