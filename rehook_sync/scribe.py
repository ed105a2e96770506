"""Grouped commits: marks and outcomes of many calls in one transaction, while other requests are on their way."""

import asyncio
import math
import time
from collections import deque
from collections.abc import Callable, Collection, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Protocol

from rehook_sync.errors import DatabaseError
from rehook_sync.lanes import Flight, Outbox
from rehook_sync.records import Batch, Entry, Status, Stream

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
        self._to_mark: deque[Flight] = deque()
        self._marked = 0
        self._wake = asyncio.Event()
        self._dropping = False
        self._closing = False
        self.outbox = Outbox()
        self.sendable: asyncio.Queue[Flight | None] = asyncio.Queue()
        self.in_flight = 0

    def mark(self, flight: Flight) -> None:
        """Have a call marked; it becomes sendable once that is durable."""
        self._to_mark.append(flight)
        self._wake.set()

    def drop(self) -> list[Flight]:
        """Make nothing sendable any more: take back what is being marked, forget and return what waits for it."""
        self._dropping = True
        waiting = list(self._to_mark)
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
            marks = self._take_marks()
            outbox.batch.entries.extend(Entry(flight.operation.call, Status.SENDING, attempts=flight.total_attempts) for flight in marks)
            if not outbox.batch and self._closing:
                return
            if not outbox.batch and time.monotonic() - written_at < self._renew_s:
                continue
            others = await self._write(thread, outbox.batch)
            written_at = time.monotonic()
            self._marked -= outbox.landed
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
        """Take what may be marked now: in flight, marked ahead and unrecorded together are at most twice `concurrency`."""
        taken: list[Flight] = []
        while self._to_mark and self._marked < min(2 * self._concurrency, self.in_flight + 2 * self._ahead):
            taken.append(self._to_mark.popleft())
            self._marked += 1
        return taken

    def _leave_to_others(
        self, marks: Iterable[Flight], others: Collection[tuple[Stream, str]], refused: Callable[[Flight], None]
    ) -> list[Flight]:
        mine = []
        for flight in marks:
            call = flight.operation.call
            if (call.stream, call.message_id) in others:
                self._marked -= 1
                refused(flight)
            else:
                mine.append(flight)
        return mine

    def _take_back(self, marks: Iterable[Flight]) -> None:
        for flight in marks:
            self.outbox.batch.restores.append(flight.operation.call)
            self.outbox.landed += 1
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
