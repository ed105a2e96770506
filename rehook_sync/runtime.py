"""The process of a job: its interpreter, its event loop, its outputs, and a request to stop."""

import asyncio
import errno
import gc
import os
import resource
import signal
import sys
from collections.abc import Callable, Coroutine, Iterator
from contextlib import closing, contextmanager
from typing import IO, Any, TypeVar

from rehook_sync.errors import SettingsError

__all__ = ["SIGNALS", "Interrupt", "Output", "describe", "require_files", "run_loop", "tuned_interpreter"]

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)
"""What asks a process to stop: Ctrl-C, a scheduler, a terminal that closes or a connection to it that drops, Ctrl-\\."""

_Result = TypeVar("_Result")

_SPARE_FILES = 48
"""Files that a job has open beside its connections to Rehook, with some to spare: measured are 28."""
_ADVICE = {
    errno.EMFILE: "`ulimit -n` says how many this process may open",
    errno.ENFILE: "the machine has no more",
    errno.ENOSPC: "make room, or set TMPDIR to another disk if that of temporary files is full",
}
_GARBAGE_THRESHOLDS = (50_000, 20, 50)
_SWITCH_S = 0.0005


@contextmanager
def tuned_interpreter() -> Iterator[None]:
    """Collect garbage less often, and switch threads more often.

    With thousands of rows in memory, collections that find nothing take a tenth of the time.
    Short switch intervals keep sender and writer from starving behind the reader.
    """
    thresholds, switch_s = gc.get_threshold(), sys.getswitchinterval()
    gc.set_threshold(*_GARBAGE_THRESHOLDS)
    sys.setswitchinterval(_SWITCH_S)
    try:
        yield
    finally:
        gc.set_threshold(*thresholds)
        sys.setswitchinterval(switch_s)


def require_files(connections: int = 0) -> None:
    """Let this process open as many files as so many connections need, as far as its hard limit allows.

    Raises: SettingsError with both numbers when that is too low: what then fails first is a matter of chance.
    """
    needed = connections + _SPARE_FILES
    allowed, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    if allowed == resource.RLIM_INFINITY or allowed >= needed:
        return
    if most != resource.RLIM_INFINITY and most < needed:
        lower = f", or set CONCURRENCY to less than {connections}" if connections > 1 else ""
        raise SettingsError(
            f"too many open files: this process may open {most}, and needs up to {needed}; raise the limit (`ulimit -n {needed}`){lower}"
        )
    resource.setrlimit(resource.RLIMIT_NOFILE, (needed, most))


def describe(error: OSError) -> str:
    """Return what the system says of an error, with what to do where that is known; names no file and no address."""
    said = os.strerror(error.errno) if error.errno and error.errno > 0 else error.strerror or type(error).__name__
    return f"{said} ({_ADVICE[error.errno]})" if error.errno in _ADVICE else said


def run_loop(main: Coroutine[object, object, _Result]) -> _Result:
    """Run a coroutine to its end, on uvloop where it is installed, which is faster."""
    with closing(main):  # a Ctrl-C may come before the loop starts
        try:
            from uvloop import new_event_loop  # noqa: PLC0415 - optional, and not needed before something is sent
        except ImportError:
            return asyncio.run(main)
        with asyncio.Runner(loop_factory=new_event_loop) as runner:
            return runner.run(main)


class Interrupt:
    """Keeps the first request to stop and calls the listeners.

    Shape:  signal: the number of the signal that asked, None before.
    """

    def __init__(self) -> None:
        """Start with no request."""
        self.signal: int | None = None
        self._listeners: list[Callable[[], object]] = []

    @property
    def requested(self) -> bool:
        """Tell whether a stop was requested."""
        return self.signal is not None

    def request(self, signal: int) -> None:
        """Request a stop; only the first request counts. Safe to call from a signal handler."""
        if self.signal is None:
            self.signal = signal
            for listener in self._listeners:
                listener()

    def listen(self, listener: Callable[[], object]) -> None:
        """Call `listener` at the request; at once if it has come already."""
        self._listeners.append(listener)
        if self.requested:
            listener()


class Output:
    """A stream that discards what follows once nobody can read it: a broken pipe, a full disk, a closed terminal.

    The exit code stays that of the work. What is lost of a result is said on stderr, unless its reader just went away.
    """

    def __init__(self, stream: IO[str], *, is_result: bool) -> None:
        """Wrap a stream of this process. `is_result`: it carries what the command was asked for."""
        self._stream = stream
        self._is_result = is_result

    def write(self, text: str) -> int:
        """Write text."""
        with self._going_on():
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        """Write what is buffered."""
        with self._going_on():
            self._stream.flush()

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever the stream has
        """Give all else as the stream has it."""
        return getattr(self._stream, name)

    @contextmanager
    def _going_on(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self._stream.fileno())
            os.close(nowhere)
            if self._is_result and not isinstance(error, BrokenPipeError):
                sys.stderr.write(f"error: stdout cannot be written ({error.strerror}); what was done is recorded, but not shown\n")
