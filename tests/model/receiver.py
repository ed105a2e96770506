"""A Rehook in memory behind `httpx.MockTransport`: what arrives, what goes wrong on the way, and when the process dies."""

import asyncio
import sqlite3
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

import httpx
import orjson
from sqlalchemy import Connection, Engine, event
from sqlalchemy.exc import OperationalError

from rehook_sync.models import Stream
from rehook_sync.sandbox.api import CUSTOMERS, INVOKE, answer, build_incoming
from rehook_sync.sandbox.store import FakeRehook

from .reference import Row

__all__ = ["EFFECTS", "Arrival", "Killed", "Receiver", "Switch", "Trouble"]

Outcome = Literal["ok", "refused", "unprocessed", "unknown", "denied"]
EFFECTS: dict[str, tuple[Outcome, bool, int | type[httpx.TransportError]]] = {
    "refuse": ("refused", False, 400),
    "busy": ("unprocessed", False, 503),
    "limited": ("unprocessed", False, 429),
    "later": ("unprocessed", False, 429),
    "no_connection": ("unprocessed", False, httpx.ConnectError),
    "lost_after": ("unknown", True, httpx.ReadError),
    "lost_before": ("unknown", False, httpx.RemoteProtocolError),
    "timeout_after": ("unknown", True, httpx.ReadTimeout),
    "error_after": ("unknown", True, 500),
    "error_before": ("unknown", False, 500),
    "denied": ("denied", False, 401),
}
"""Name -> what it means for the request, whether Rehook carries it out, what the client sees."""


class Killed(BaseException):
    """The process died. No handler of ours may catch it."""


@dataclass
class Trouble:
    """Requests that meet an effect.

    Shape:  path: `events`, `customers`, or `all`, which takes the credentials check along.  user_id: only this user's.
            skip: so many that match are spared first.  times: so many are met; None: all.
    """

    effect: str
    path: str = "all"
    user_id: str | None = None
    skip: int = 0
    times: int | None = None

    def meets(self, path: str, user_id: str | None) -> bool:
        """Whether this request is met; counts it."""
        paths = {"events": {INVOKE}, "customers": {CUSTOMERS}}.get(self.path)
        if (paths is not None and path not in paths) or (self.user_id is not None and user_id != self.user_id):
            return False
        if self.skip:
            self.skip -= 1
            return False
        if self.times is None:
            return True
        self.times -= 1
        return self.times >= 0


@dataclass
class Arrival:
    """One request that reached the transport.

    Shape:  rows: what it carries, oldest first.  accepted: Rehook carried it out.  outcome: what the client could know, None if it died.
    """

    stream: Stream
    user_id: str
    rows: tuple[Row, ...]
    body: dict[str, Any]
    left: bool = True
    accepted: bool = False
    outcome: Outcome | None = None


@dataclass
class Switch:
    """Ends the process, or fails a commit, at a chosen step: requests and commits are what the world sees of it.

    Shape:  kill_at, fail_at: steps until then; None: never.  late: the step is done, but nobody hears of it.
    """

    kill_at: int | None = None
    fail_at: int | None = None
    late: bool = False
    dead: bool = False
    lock: threading.Lock = field(default_factory=threading.Lock)

    def step(self) -> bool:
        """Take one step. Raises Killed when the process is dead, or dies before it; True: it dies right after."""
        with self.lock:
            if self.dead:
                raise Killed
            if self.kill_at is None:
                return False
            self.kill_at -= 1
            if self.kill_at >= 0:
                return False
            self.dead = True
            if not self.late:
                raise Killed
            return True

    def commit(self, connection: Connection) -> None:
        """Stand between the job and one of its commits."""
        if not connection.info.get("write"):
            return
        with self.lock:
            fails = self.fail_at == 0
            self.fail_at = self.fail_at - 1 if self.fail_at else None
        if fails:
            if self.late:
                _commit(connection)
            raise OperationalError("COMMIT", {}, sqlite3.OperationalError("disk I/O error"))
        if self.step():
            _commit(connection)
            raise Killed

    @contextmanager
    def between(self) -> Iterator[None]:
        """Watch all commits of the job."""
        event.listen(Engine, "commit", self.commit)
        try:
            yield
        finally:
            event.remove(Engine, "commit", self.commit)


def _commit(connection: Connection) -> None:
    driver: Any = connection.connection.dbapi_connection
    driver.commit()


class Receiver:
    """The transport of one job.

    Shape:  resolve: whether it is an event, user id, idempotency key -> the rows that a request carries.
            watch: hears of each arrival before anything is done about it.
            calls: requests the job made, of all kinds.  met: troubles that were met, by effect.
    """

    def __init__(self, resolve: Callable[[bool, str, str], tuple[Row, ...]], watch: Callable[[Arrival], None]) -> None:
        self.store = FakeRehook()
        self.transport = httpx.MockTransport(self._handle)
        self.switch = Switch()
        self.troubles: list[Trouble] = []
        self.arrivals: list[Arrival] = []
        self.listeners: list[Callable[[], None]] = []
        self.met: Counter[str] = Counter()
        self.calls = 0
        self.open: Counter[str] = Counter()
        self._resolve = resolve
        self._watch = watch

    def prepare(self, troubles: list[Trouble], switch: Switch) -> None:
        """Get ready for the next process."""
        self.troubles, self.switch = troubles, switch
        self.calls = 0
        self.listeners = []
        self.arrivals.clear()
        self.met.clear()
        self.open.clear()

    async def _handle(self, request: httpx.Request) -> httpx.Response:  # noqa: C901 - one branch for each trouble
        ends = self.switch.step()
        self.calls += 1
        for listener in self.listeners:
            listener()
        incoming = build_incoming(
            request.method, request.url.path, ((name.lower(), value) for name, value in request.headers.raw), request.content
        )
        user_id = incoming.source_id
        effect = next((each.effect for each in self.troubles if each.meets(incoming.path, user_id)), None)
        outcome, carried_out, sight = EFFECTS[effect] if effect else ("ok", True, 200)
        if effect:
            self.met[effect] += 1
        arrival = None
        if user_id is not None:
            rows = self._resolve(incoming.path == INVOKE, user_id, incoming.idempotency_key or "")
            stream = rows[0].stream if rows else Stream.TRACKS if incoming.path == INVOKE else Stream.IDENTIFIES
            arrival = Arrival(stream, user_id, rows, orjson.loads(incoming.body), left=effect != "no_connection")
            self._watch(arrival)
            self.arrivals.append(arrival)
            self.open[user_id] += 1
        await asyncio.sleep(0)
        received = self.store.record_arrival(incoming)
        status, body = sight, b"{}"
        if carried_out:
            reply = answer(self.store, incoming, received)
            status, body = (reply.status, reply.body) if effect is None else (sight, b"{}")
            if arrival is not None:
                arrival.accepted = received.accepted
            if effect is None and reply.status >= 400:
                outcome = "refused"
        if ends:
            raise Killed
        await asyncio.sleep(0.0005 * (len(incoming.body) % 3))
        if self.switch.dead:
            raise Killed
        self.store.record_end(received, status if isinstance(status, int) else None)
        if arrival is not None and user_id is not None:
            arrival.outcome = outcome
            self.open[user_id] -= 1
        if not isinstance(status, int):
            raise status("cut")
        headers = {"retry-after": "3600" if effect == "later" else "0"} if status == 429 else {}
        return httpx.Response(status, content=body, headers=headers)
