"""Grouped commits: marks and outcomes of many calls in one transaction, while other requests are on their way."""

import asyncio
import heapq
import math
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import datetime
from itertools import count
from typing import Protocol

from rehook_sync.errors import DatabaseError
from rehook_sync.lanes import Flight, Outbox
from rehook_sync.records import Batch, Entry, Status, Stream
from rehook_sync.times import FIRST_MOMENT

__all__ = ["Recorder", "Scribe"]

_WRITE_WAITS_S = (0.25, 0.5, 1.0, 2.0)


class Recorder(Protocol):
    """What delivery needs of the ledger."""

    @property
    def is_valid(self) -> bool:
        """Tell whether the lease cannot have passed to anybody else."""

    def write(self, batch: Batch) -> Collection[tuple[Stream, str]]:
        """Write one batch durably, all or nothing; an empty one renews the lease. Safe to repeat.

        Returns the calls whose mark did not take, because somebody else sends them or has sent them.
        """

    def read_customers(self, user_ids: Iterable[str]) -> dict[str, Mapping[str, str] | None]:
        """Return what these customers last got."""


class Scribe:
    """Marks calls before they are sent and records their outcomes; the only writer of one delivery.

    Shape:  outbox: what the next commit takes along.  sendable: flights durably marked, in order; None ends a worker.
            in_flight: requests on their way, kept by the sender.
    Units:  renew_s: seconds without a write after which the lease is renewed.
    """

    def __init__(self, recorder: Recorder, concurrency: int, rate_limit: float | None, renew_s: float) -> None:
        """Start with nothing to write."""
        self._recorder = recorder
        self._concurrency = concurrency
        self._ahead = concurrency if rate_limit is None else min(concurrency, math.ceil(rate_limit))
        self._renew_s = renew_s
        self._to_mark: list[tuple[datetime, int, Flight]] = []
        self._turns = count()
        self._marked: Counter[Stream] = Counter()
        self._wake = asyncio.Event()
        self._dropping = False
        self._closing = False
        self.outbox = Outbox()
        self.sendable: asyncio.Queue[Flight | None] = asyncio.Queue()
        self.in_flight = 0

    def mark(self, flight: Flight) -> None:
        """Have a call marked, the oldest first; it becomes sendable once that is durable."""
        heapq.heappush(self._to_mark, (flight.operation.call.occurred_at or FIRST_MOMENT, next(self._turns), flight))
        self._wake.set()

    def drop(self) -> list[Flight]:
        """Make nothing sendable any more: take back what is being marked, forget and return what waits for it."""
        self._dropping = True
        waiting = [flight for _, _, flight in sorted(self._to_mark)]
        self._to_mark.clear()
        self._wake.set()
        return waiting

    def wake(self) -> None:
        """Say that the outbox has something new."""
        self._wake.set()

    def close(self) -> None:
        """Write what is left, then end."""
        self._closing = True
        self._wake.set()

    async def run(self, thread: ThreadPoolExecutor, committed: Callable[[Outbox], None], refused: Callable[[Flight], None]) -> None:
        """Write until closed. Raises what the recorder raises once repeating no longer helps.

        refused: hears of flights whose mark did not take; they are not made sendable.
        """
        written_at = time.monotonic()
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(max(0.0, written_at + self._renew_s - time.monotonic())):
                    await self._wake.wait()
            self._wake.clear()
            outbox, self.outbox = self.outbox, Outbox()
            self._marked.subtract(outbox.landed)  # their outcomes and the marks that take their places become durable as one
            marks = self._take_marks()
            outbox.batch.entries.extend(Entry(flight.operation.call, Status.SENDING, attempts=flight.total_attempts) for flight in marks)
            if not outbox.batch and self._closing:
                return
            if not outbox.batch and time.monotonic() - written_at < self._renew_s:
                continue
            others = await self._write(thread, outbox.batch)
            written_at = time.monotonic()
            if others:
                marks = self._leave_to_others(marks, others, refused)
            if self._dropping:
                self._take_back(marks)
            else:
                for flight in marks:
                    self.sendable.put_nowait(flight)
            if self._to_mark or self._closing:
                self._wake.set()
            committed(outbox)

    def _take_marks(self) -> list[Flight]:
        """Take what may be marked now: of each stream, what is marked after this commit is at most twice `concurrency`.

        The events among them may be in doubt after a crash. Customers are only upserted again, so that they need not share
        the places of the events; the bound of their own keeps the order of time between users from slipping far.
        """
        taken: list[Flight] = []
        most = min(2 * self._concurrency, self.in_flight + 2 * self._ahead)
        while self._to_mark and self._marked[self._to_mark[0][2].operation.stream] < most:
            flight = heapq.heappop(self._to_mark)[2]
            self._marked[flight.operation.stream] += 1
            taken.append(flight)
        return taken

    def _leave_to_others(
        self, marks: Iterable[Flight], others: Collection[tuple[Stream, str]], refused: Callable[[Flight], None]
    ) -> list[Flight]:
        mine = []
        for flight in marks:
            call = flight.operation.call
            if (call.stream, call.message_id) in others:
                self._marked[call.stream] -= 1
                refused(flight)
            else:
                mine.append(flight)
        return mine

    def _take_back(self, marks: Iterable[Flight]) -> None:
        for flight in marks:
            self.outbox.batch.restores.append(flight.operation.call)
            self.outbox.landed.append(flight.operation.stream)
            self._wake.set()

    async def _write(self, thread: ThreadPoolExecutor, batch: Batch) -> Collection[tuple[Stream, str]]:
        """Write a batch; a database that fails for a moment gets more chances."""
        loop = asyncio.get_running_loop()
        waits = iter(_WRITE_WAITS_S)
        while True:
            try:
                return await loop.run_in_executor(thread, self._recorder.write, batch)
            except DatabaseError as error:
                wait_s = next(waits, None)
                if wait_s is None:
                    raise error from error.__cause__
                await asyncio.sleep(wait_s)
