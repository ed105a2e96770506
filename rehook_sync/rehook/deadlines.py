"""When exchanges are over that take too long."""

import asyncio
import math

import httpx

from rehook_sync.rehook.http1 import Http1Connection

__all__ = ["Deadlines"]


class Deadlines:
    """Fails late exchanges with one timer for all: a timer per request costs a tenth of its time."""

    def __init__(self) -> None:
        """Start without a timer."""
        self._kept: dict[Http1Connection, float] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._due_at = math.inf

    def keep(self, connection: Http1Connection, deadline: float) -> None:
        """Fail the current exchange at its deadline."""
        self._kept[connection] = deadline
        if deadline < self._due_at:
            self._set(deadline)

    def forget(self, connection: Http1Connection) -> None:
        """Drop a connection's deadline."""
        self._kept.pop(connection, None)

    def close(self) -> None:
        """Cancel the timer."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer, self._due_at = None, math.inf

    def _set(self, deadline: float) -> None:
        self.close()
        self._due_at = deadline
        self._timer = asyncio.get_running_loop().call_at(deadline, self._end_late)

    def _end_late(self) -> None:
        self._due_at = math.inf
        now = asyncio.get_running_loop().time()
        for connection, deadline in list(self._kept.items()):
            if deadline <= now:
                connection.fail(httpx.ReadTimeout("timed out"))
                del self._kept[connection]
        if self._kept:
            self._set(min(self._kept.values()))
