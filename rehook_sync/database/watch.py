"""A watch over reads of PostgreSQL: one that nobody works on any more is cut off, however long honest ones take.

TCP finds out when the other machine is gone. It does not when a proxy swallows bytes or the server is stuck: the kernel at the
other end goes on acknowledging. So whoever has waited long asks the server over another connection what has become of the read.
"""

import os
import socket
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from threading import Event, Thread
from typing import Any

from sqlalchemy import Connection, Engine, NullPool, create_engine
from sqlalchemy.exc import SQLAlchemyError

from rehook_sync.database.queries import load_queries

__all__ = ["Watch"]

_STEP_S = 0.1
_GRACE_S = 5.0
"""How long a read may go on after a stop was asked for."""
_STRIKES = 2
"""Times in a row that nobody works on a read before it is cut off: once, its answer may be on its way."""


@dataclass(slots=True)
class Watch:
    """What cuts reads off.

    Units:  silence_s: how long a read may take between two looks at it.  answer_s: how long the server may take to tell.
    """

    engine: Engine
    silence_s: float = 60.0
    answer_s: float = 10.0
    cause: str | None = field(default=None, init=False)
    """Why the read was cut off, None if it was not."""

    @contextmanager
    def over(self, connection: Connection, is_over: Callable[[], bool]) -> Iterator[None]:
        """Watch a connection while something is read over it. One whose server process is not known is left alone: behind a pooler.

        is_over: tells whether a stop was asked for, after which a read has a few seconds left.
        """
        self.cause = None
        pid = connection.info.get("server_process")
        if pid is None:
            yield
            return
        ended = Event()
        driver: Any = connection.connection.driver_connection
        ours = socket.socket(fileno=os.dup(driver.fileno()))  # stays ours if the driver closes its own
        thread = Thread(target=self._watch, args=(ours, pid, ended, is_over), daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join(_STEP_S)

    def _watch(self, ours: socket.socket, pid: int, ended: Event, is_over: Callable[[], bool]) -> None:
        strikes = 0
        with ours:
            while (wrong := self._look(pid, ended, is_over)) is not None:
                strikes = strikes + 1 if wrong else 0
                if strikes == _STRIKES or is_over():
                    self.cause = wrong
                    with suppress(OSError):
                        ours.shutdown(socket.SHUT_RDWR)
                    self._ask("cancel_read", {"pid": pid})  # else the server might go on for nobody
                    return

    def _look(self, pid: int, ended: Event, is_over: Callable[[], bool]) -> str | None:
        """Wait, then look at a read. Returns None when the read has ended, else what is wrong with it, empty if nothing is."""
        left = self.silence_s
        while left > 0:
            if ended.wait(min(_STEP_S, left)):
                return None
            if is_over():
                return None if ended.wait(_GRACE_S) else ""
            left -= _STEP_S
        told = self._ask("read_activity", {"pid": pid, "silence_s": self.silence_s})
        if ended.is_set():
            return None
        if not told:
            return "the server does not answer at all"
        return {True: "", False: "its answer does not arrive", None: "the server has ended the session"}[told[0]]

    def _ask(self, query: str, values: Mapping[str, object]) -> list[bool | None]:
        """Ask the server over a connection of its own. Returns its answer, nothing when there is none in time."""
        told: list[bool | None] = []

        def ask() -> None:
            within = {"connect_timeout": max(2, int(self.answer_s))}
            engine = create_engine(self.engine.url, poolclass=NullPool, connect_args=within, hide_parameters=True)
            with suppress(SQLAlchemyError), engine.connect() as other:
                told.append(other.execute(load_queries("warehouse", "postgresql")[query].text(other.dialect), values).scalar())

        asking = Thread(target=ask, daemon=True)
        asking.start()
        asking.join(self.answer_s)
        return told
