"""Reading and judging in a process of their own: in one process they would take turns with sending at the interpreter.

It is a fork that goes on with the pipeline as it stands, and hands over chunks when it is asked. It reads the databases over connections
of its own and writes nothing: what it has to claim, the sender claims for it. It ends with the sender, who gets its errors.
"""

import gc
import os
import pickle
import signal
import socket
import threading
import time
import traceback
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from queue import SimpleQueue
from typing import Any, NamedTuple, NoReturn, TypeVar

from rehook_sync.database.engine import Database
from rehook_sync.errors import OperationalError, RehookSyncError
from rehook_sync.jobs.pipeline import ClaimDesk, Key, Pipeline, Told
from rehook_sync.models import Chunk, Claim, Traits
from rehook_sync.runtime import SIGNALS, Interrupt, tuned_interpreter

__all__ = ["Reading", "can_read_apart", "read_apart"]

_PICKLE = 5
_GRACE_S = 10.0
"""How long a read may take to end after a stop was asked for; it cuts itself off before that."""
_STEP_S = 0.01
_LOOK_S = 1.0
"""How often the reader looks whether the sender is still there."""
_STOP = signal.SIGUSR1
"""How the sender asks the reader to stop. What a terminal or a scheduler sends reaches both, but the sender decides."""
_Result = TypeVar("_Result")


class _Asked(NamedTuple):
    """The sender wants the next chunk. Shape:  recorded: the calls that have become durable since the last one."""

    recorded: list[Key]


class _Owners(NamedTuple):
    """Who has codes, as `ClaimDesk.claim` gives it to who judges."""

    codes: dict[str, str]
    leaving: dict[str, str]


class _Claim(NamedTuple):
    """The reader wants codes claimed."""

    user_ids: Sequence[str]
    codes: Sequence[str]


class _Wanted(NamedTuple):
    """The reader wants to know what customers have."""

    user_ids: list[str]


class _Ready(NamedTuple):
    """A chunk, None after the last one."""

    chunk: Chunk | None
    told: Told


class _Failed(NamedTuple):
    """What ended reading."""

    error: Exception
    told: Told


class _GoneError(Exception):
    """The process at the other end of the line is gone."""


class _Line:
    """One end of the line between sender and reader: any values, one after another."""

    def __init__(self, end: socket.socket) -> None:
        self._socket = end
        self._file = end.makefile("rwb", buffering=1 << 16)

    def say(self, value: object) -> None:
        """Say a value. Raises: _GoneError."""
        content = pickle.dumps(value, _PICKLE)
        try:
            self._file.write(content)
            self._file.flush()
        except OSError as error:
            raise _GoneError from error

    def hear(self) -> Any:  # noqa: ANN401 - whatever was said
        """Return what the other end said. Raises: _GoneError."""
        try:
            return pickle.load(self._file)  # noqa: S301 - our own process said it, over a line that nobody else has
        except (EOFError, OSError, pickle.UnpicklingError) as error:
            raise _GoneError from error

    def close(self) -> None:
        with suppress(OSError):  # what was not said yet cannot be
            self._file.close()
        self._socket.close()


class Reading(NamedTuple):
    """Where chunks come from. Shape:  note_recorded: is told whose outcomes have become durable, by any thread."""

    chunks: Iterator[Chunk]
    note_recorded: Callable[[Collection[Key]], None]


def can_read_apart(databases: Iterable[Database]) -> bool:
    """Tell whether this process can be forked and gains by it: a second core, no other thread, drivers that bear it."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1
    return cores > 1 and threading.active_count() == 1 and all(each.bears_fork for each in databases)


@contextmanager
def read_apart(
    pipeline: Pipeline, chunks: Iterator[Chunk], databases: Sequence[Database], interrupt: Interrupt
) -> Iterator[Reading | None]:
    """Go on with `chunks`, which are of the pipeline, in another process; the pipeline here knows what they tell of it.

    Shape:  databases: all that are in use: their connections are closed, and opened again when they are needed.
    Yields None if the system has no room for another process.
    Raises: OperationalError, when chunks are asked for, if the process has ended by itself.
    """
    for each in databases:
        each.close()
    ours, theirs = socket.socketpair()
    sender = os.getpid()
    gc.freeze()  # else each collection would copy the memory that both have
    before = signal.pthread_sigmask(signal.SIG_BLOCK, (*SIGNALS, _STOP))  # until the process that begins can hear them
    pid = None
    try:
        with suppress(OSError):
            pid = os.fork()
        if pid == 0:
            _read(pipeline, chunks, (ours, theirs), sender, interrupt, before)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    theirs.close()
    try:
        with closing(_Reader(pipeline, _Line(ours), pid or 0)) as reader:
            interrupt.listen(reader.stop)
            yield Reading(reader, reader.note_recorded) if pid else None
    finally:
        gc.unfreeze()


class _Reader(Iterator[Chunk]):
    """The sender's view of the process that reads. One thread at a time may ask for chunks."""

    def __init__(self, pipeline: Pipeline, line: _Line, pid: int) -> None:
        self._pipeline = pipeline
        self._line = line
        self._pid = pid
        self._recorded: SimpleQueue[Collection[Key]] = SimpleQueue()

    def note_recorded(self, keys: Collection[Key]) -> None:
        """Note whose outcomes have become durable; said when the next chunk is asked for. Safe to call from another thread."""
        self._recorded.put(keys)

    def __next__(self) -> Chunk:
        """Ask for the next chunk, and do meanwhile what the reader needs done."""
        recorded = [key for _ in range(self._recorded.qsize()) for key in self._recorded.get()]
        try:
            self._line.say(_Asked(recorded))
            while not isinstance(said := self._hear(), _Ready):
                self._serve(said)
        except _GoneError as error:
            raise OperationalError(f"the process that reads the warehouse {self._end()}; run again: what was sent is recorded") from error
        self._pipeline.hear(said.told)
        if said.chunk is None:
            raise StopIteration
        return said.chunk

    def _hear(self) -> Any:  # noqa: ANN401 - as the line
        """Return what the reader said. Raises what ended reading."""
        said = self._line.hear()
        if isinstance(said, _Failed):
            self._pipeline.hear(said.told)
            raise said.error
        return said

    def _serve(self, said: _Claim | _Wanted) -> None:
        if isinstance(said, _Wanted):
            self._line.say(dict(self._pipeline.desk.read_customers(said.user_ids)))
            return

        def judge(codes: dict[str, str], leaving: dict[str, str]) -> tuple[None, list[Claim]]:
            self._line.say(_Owners(codes, leaving))
            while isinstance(claims := self._hear(), _Wanted):
                self._serve(claims)
            return None, claims

        self._pipeline.desk.claim(said.user_ids, said.codes, judge)
        self._line.say(None)

    def _end(self) -> str:
        """Return how the process ended, which has closed its line."""
        pid, self._pid = self._pid, 0
        try:
            code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        except ChildProcessError:
            return "has ended"
        return f"was ended by signal {-code}, as by a machine that is short of memory" if code < 0 else f"ended with {code}"

    def stop(self) -> None:
        """Let a read end that is under way; what was asked for comes before the process ends. Safe to call from a signal handler."""
        if self._pid:
            with suppress(ProcessLookupError):
                os.kill(self._pid, _STOP)

    def close(self) -> None:
        """End the process, if it has not ended. A read that it is in is cut off."""
        self._line.close()
        self.stop()
        until = time.monotonic() + _GRACE_S
        with suppress(ChildProcessError, ProcessLookupError):  # where SIGCHLD is ignored, nobody is told of an end
            while self._pid and not os.waitpid(self._pid, os.WNOHANG)[0]:
                if time.monotonic() > until:
                    os.kill(self._pid, signal.SIGKILL)
                time.sleep(_STEP_S)
        self._pid = 0


class _RemoteDesk(ClaimDesk):
    """The desk of the sender, at the other end of the line. It answers only while it waits for a chunk."""

    def __init__(self, line: _Line, asked: Callable[[], None]) -> None:
        self._line = line
        self._asked = asked

    def claim(
        self,
        user_ids: Sequence[str],
        codes: Sequence[str],
        judge: Callable[[dict[str, str], dict[str, str]], tuple[_Result, Iterable[Claim]]],
    ) -> _Result:
        self._asked()
        self._line.say(_Claim(user_ids, codes))
        results: list[_Result] = []
        while isinstance(said := self._line.hear(), _Owners):
            result, claims = judge(*said)
            results.append(result)
            self._line.say(list(claims))
        return results[-1]

    def read_customers(self, user_ids: Iterable[str]) -> Mapping[str, Traits]:
        self._asked()
        self._line.say(_Wanted(list(user_ids)))
        found: Mapping[str, Traits] = self._line.hear()
        return found


def _read(
    pipeline: Pipeline,
    chunks: Iterator[Chunk],
    ends: tuple[socket.socket, socket.socket],
    sender: int,
    interrupt: Interrupt,
    mask: Iterable[int],
) -> NoReturn:
    """Hand over the chunks, in the process that was forked for that. Nothing of the sender's is closed or flushed in the end."""
    code = 1
    try:
        ends[0].close()
        line = _Line(ends[1])
        with suppress(RuntimeError):  # where there is no room for a thread
            threading.Thread(target=_end_with, args=(sender, interrupt), daemon=True).start()
        for each in SIGNALS:
            signal.signal(each, signal.SIG_IGN)
        signal.signal(_STOP, lambda number, _frame: setattr(interrupt, "signal", number))  # the sender has told the listeners
        signal.pthread_sigmask(signal.SIG_SETMASK, {*mask} - {_STOP})
        with tuned_interpreter(), suppress(_GoneError):
            _hand_over(pipeline, chunks, line)
        code = 0
    finally:
        os._exit(code)


def _end_with(sender: int, interrupt: Interrupt) -> None:
    """End this process if the sender was killed. The line tells so only when something is said, and a read may take hours."""
    while os.getppid() == sender:
        time.sleep(_LOOK_S)
    interrupt.signal = _STOP
    time.sleep(_GRACE_S)
    os._exit(1)


def _hand_over(pipeline: Pipeline, chunks: Iterator[Chunk], line: _Line) -> None:
    asked = False
    is_first = True

    def wait() -> None:
        nonlocal asked
        if not asked:
            asked = True
            pipeline.note_recorded(line.hear().recorded)

    pipeline.desk = _RemoteDesk(line, wait)
    try:
        for chunk in chunks:
            ready = _Ready(chunk, pipeline.tell(looks=is_first))
            wait()
            line.say(ready)
            asked = is_first = False
        said: _Ready | _Failed = _Ready(None, pipeline.tell(looks=True))
    except _GoneError:
        raise
    except Exception as error:  # noqa: BLE001 - the sender raises it
        said = _Failed(_portable(error), pipeline.tell(looks=True))
    wait()
    line.say(said)


def _portable(error: Exception) -> Exception:
    """Return an error that the sender can raise, who would not see where it comes from."""
    if isinstance(error, RehookSyncError):
        return error
    note = "".join(traceback.format_exception(error))
    try:
        pickle.loads(pickle.dumps(error, _PICKLE))  # noqa: S301 - what was written a moment ago
    except Exception:  # noqa: BLE001 - whatever the error's own class makes of it
        error = RuntimeError(type(error).__name__)  # with the traceback of the other
    error.add_note(note)
    return error
