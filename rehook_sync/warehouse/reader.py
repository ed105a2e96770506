"""Reads of a warehouse: each a short transaction, begun again when a lock, the server or the network keeps it from its end."""

import math
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from typing import Self, TypeVar

from sqlalchemy import Connection

from rehook_sync.database.dialects.record import Meter
from rehook_sync.database.engine import Database
from rehook_sync.database.queries import load_queries
from rehook_sync.database.watch import Watch
from rehook_sync.errors import DatabaseError, LockedError, TransientError

__all__ = ["Delays", "Patience", "Reader", "pause_s"]

_T = TypeVar("_T")
_MOST_REPEATS = 8
_MOST_SILENT = 1
"""Repeats of a read that got no answer: each takes minutes."""
_LONGEST_PAUSE_S = 5.0
_STEP_S = 0.1
"""How often somebody who waits looks whether a stop was asked for."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a read that cannot go on is tried again.

    Shape:  sleep, clock: as in `time`.  is_over: tells whether a stop was asked for, which ends each wait.
    Units:  locked_s: seconds that one read waits for locks of others, in all.
    """

    locked_s: float = 15.0
    sleep: Callable[[float], None] = time.sleep
    clock: Callable[[], float] = time.monotonic
    is_over: Callable[[], bool] = bool  # which returns False


@dataclass(slots=True)
class Delays:
    """What others did to reads.

    Shape:  locked: reads that waited for a lock.  repeated: what ended a read -> how often it was begun again.
    Units:  locked_s: seconds that they waited, in all.
    """

    locked: int = 0
    locked_s: float = 0.0
    repeated: Counter[str] = field(default_factory=Counter)

    def __add__(self, other: Self) -> "Delays":
        """Return both together."""
        return Delays(self.locked + other.locked, self.locked_s + other.locked_s, self.repeated + other.repeated)


class Reader:
    """Reads of one warehouse. Shape:  waiting: called before each further attempt."""

    def __init__(self, database: Database, schemas: Sequence[str | None]) -> None:
        """Prepare; nothing is read. `schemas`: of the sources, to tell whose locks are in the way."""
        self.patience = Patience()
        self._delays = Delays()
        self._watch = Watch(database.engine)
        self.waiting: Callable[[], object] = bool  # which does nothing
        self._database = database
        self._schemas = schemas

    def read(self, read: Callable[[Connection], _T]) -> _T:
        """Return what `read` returns, which may be called several times, each time with a transaction of its own.

        Raises: LockedError, which names who holds the lock, and TransientError when patience is at its end, or nothing answers.
        """
        began = self.patience.clock()
        locked = repeats = silent = 0
        while True:
            left_s = math.inf
            try:
                with self._database.connect() as connection, self._watch.over(connection, self.patience.is_over):
                    found = read(connection)
            except LockedError as error:
                locked += 1
                waited_s = self.patience.clock() - began
                if self.patience.is_over() or waited_s >= self.patience.locked_s:
                    raise LockedError(f"the warehouse is locked, for {waited_s:.0f} s at least: {self._blame(error)}") from error
                left_s = self.patience.locked_s - waited_s
            except TransientError as error:
                repeats += 1
                silent += bool(self._watch.cause)
                cause = f"the warehouse gave no answer: {self._watch.cause}" if self._watch.cause else str(error)
                if self.patience.is_over() or repeats > _MOST_REPEATS or silent > _MOST_SILENT:
                    raise TransientError(cause) from error
                self._delays.repeated[cause] += 1
            else:
                if locked:
                    self._delays.locked += 1
                    self._delays.locked_s += self.patience.clock() - began
                return found
            self._pause(min(pause_s(locked + repeats), left_s))  # the last attempt begins when patience ends
            self.waiting()

    @property
    def meter(self) -> Meter:
        """Return what is counted of the statements, and the run that they are of."""
        return self._database.meter

    @contextmanager
    def together(self) -> Iterator[None]:
        """Keep a connection open while several reads follow each other, where opening one is slow; nothing is kept from others after."""
        with ExitStack() as kept:
            if self._database.warehouse.opens_slowly:
                with suppress(DatabaseError):  # the reads themselves wait for a lock
                    kept.enter_context(self._database.open())
            yield

    def take_delays(self) -> Delays:
        """Return the delays since this was asked before, so that each is told once."""
        taken, self._delays = self._delays, Delays()
        return taken

    def _pause(self, seconds: float) -> None:
        until = self.patience.clock() + seconds
        while not self.patience.is_over() and (left := until - self.patience.clock()) > 0:
            self.patience.sleep(min(left, _STEP_S))

    def _blame(self, error: LockedError) -> str:
        """Return who keeps readers out of which table, as far as the database can tell; else the error itself."""
        queries = load_queries("warehouse", self._database.dialect)
        if "list_locks" not in queries:
            return str(error)
        try:
            with self._database.connect() as connection:
                statement = queries["list_locks"].text(connection.dialect)
                found = [row for schema in self._schemas for row in connection.execute(statement, {"schema": schema})]
        except DatabaseError:
            found = []
        return "; ".join(_describe(*row) for row in found[:3]) or str(error)


def pause_s(attempt: int) -> float:
    """Return how many seconds to wait after an attempt; the first is 1."""
    return min(0.125 * 2.0**attempt, _LONGEST_PAUSE_S)


def _describe(table: str, pid: int | None, user: str | None, application: str | None, blockers: str | None) -> str:
    who = f"process {pid}" if pid else "a prepared transaction"
    named = ", ".join(filter(None, (user and f"user {user}", application)))
    who += f" ({named})" if named else ""
    if blockers:
        return f"{who} wants to change table {table!r} and waits for process {blockers}"
    return f"table {table!r} is locked by {who}"
