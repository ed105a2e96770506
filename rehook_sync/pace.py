"""When the next request may leave, and when the API counts as down. No clock inside: times are passed in."""

__all__ = ["Breaker", "Pace"]


class Pace:
    """Spaces requests to a rate and keeps the pauses the API asks for.

    Units:  rate_limit: requests per second or None; all times are seconds of one monotonic clock.
    """

    def __init__(self, rate_limit: float | None) -> None:
        """Start with no request sent and no pause."""
        self._gap_s = 1.0 / rate_limit if rate_limit else 0.0
        self._next_at = 0.0
        self._paused_until = 0.0

    def reserve(self, now: float) -> float:
        """Take the next free slot and return the seconds until it."""
        slot = max(now, self._next_at, self._paused_until)
        self._next_at = slot + self._gap_s
        return slot - now

    def pause_left(self, now: float) -> float:
        """Return the seconds that a pause asked for still lasts, 0 or less without one."""
        return self._paused_until - now

    def pause(self, now: float, seconds: float) -> None:
        """Let nobody send before `seconds` from now."""
        self._paused_until = max(self._paused_until, now + seconds)


class Breaker:
    """Counts failed requests in a row, over all users; any proper answer of the API starts it anew."""

    def __init__(self, threshold: int) -> None:
        """Trip after `threshold` failures in a row."""
        self._threshold = threshold
        self.failures = 0

    def succeed(self) -> None:
        """Note that the API answered properly."""
        self.failures = 0

    def fail(self) -> bool:
        """Note a failure and tell whether the API now counts as down."""
        self.failures += 1
        return self.failures >= self._threshold
