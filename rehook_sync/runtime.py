"""The process of a job: its interpreter, its event loop, and a request to stop."""

import asyncio
import gc
import sys
from collections.abc import Callable, Coroutine, Iterator
from contextlib import closing, contextmanager
from typing import TypeVar

__all__ = ["Interrupt", "run_loop", "tuned_interpreter"]

_Result = TypeVar("_Result")

_GARBAGE_THRESHOLDS = (50_000, 20, 50)
_SWITCH_S = 0.0005


@contextmanager
def tuned_interpreter() -> Iterator[None]:
    """Look for garbage in cycles less often, and let threads take turns more often.

    A tenth of the time goes to the search when thousands of rows are held and none is garbage. And whoever has little to
    do between two waits, as sending and writing have, else waits ten times as long for the one who reads and judges.
    """
    thresholds, switch_s = gc.get_threshold(), sys.getswitchinterval()
    gc.set_threshold(*_GARBAGE_THRESHOLDS)
    sys.setswitchinterval(_SWITCH_S)
    try:
        yield
    finally:
        gc.set_threshold(*thresholds)
        sys.setswitchinterval(switch_s)


def run_loop(main: Coroutine[object, object, _Result]) -> _Result:
    """Run a coroutine to its end, on uvloop where that is installed: it does the same work in less time."""
    with closing(main):  # a Ctrl-C may come before the loop has begun
        try:
            from uvloop import new_event_loop  # noqa: PLC0415 - may not be there, and is not needed before something is sent
        except ImportError:
            return asyncio.run(main)
        with asyncio.Runner(loop_factory=new_event_loop) as runner:
            return runner.run(main)


class Interrupt:
    """Remembers the first request to stop and tells those who listen.

    Shape:  signal: the number of the signal that asked, None while nobody did.
    """

    def __init__(self) -> None:
        """Start with no request."""
        self.signal: int | None = None
        self._listeners: list[Callable[[], object]] = []

    @property
    def requested(self) -> bool:
        """Tell whether somebody asked to stop."""
        return self.signal is not None

    def request(self, signal: int) -> None:
        """Ask to stop; only the first request counts. Safe to call from a signal handler."""
        if self.signal is None:
            self.signal = signal
            for listener in self._listeners:
                listener()

    def listen(self, listener: Callable[[], object]) -> None:
        """Call `listener` at the request, at once if it was made already."""
        self._listeners.append(listener)
        if self.requested:
            listener()
