"""A request to stop, from a signal handler or another thread to whoever is at work."""

from collections.abc import Callable

__all__ = ["Interrupt"]


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
