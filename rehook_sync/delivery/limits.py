"""When the next request may be sent, how many at once, how many are marked, and when the API counts as down. Times are passed in."""

import math

__all__ = ["AdaptiveConcurrency", "CircuitBreaker", "MarkLimit", "RateLimiter", "marks_ahead"]

_CALM_S = 1.0
_SMOOTHING = 0.05
_DRIFT = 1.0005
_SLOWER = 4.0
_SLOW_S = 0.5
_ASSUMED_COMMIT_S = 0.005
_ASSUMED_ANSWER_S = 0.1
_COMMIT_SMOOTHING = 1 / 512
_ANSWER_SMOOTHING = 1 / 128
_ROOM = 1.25
_OUTLIER = 4.0


class RateLimiter:
    """Spaces requests to a rate and keeps the pauses the API asks for.

    Units:  rate_limit: requests per second or None; all times are seconds of one monotonic clock.
    Shape:  share: fraction of the rate in use, above 0 and up to 1.
    """

    def __init__(self, rate_limit: float | None) -> None:
        """Start with no request sent and no pause."""
        self._gap_s = 1.0 / rate_limit if rate_limit else 0.0
        self.share = 1.0
        self._next_at = 0.0
        self._paused_until = 0.0

    def reserve(self, now: float) -> float:
        """Take the next free slot and return the seconds until it."""
        slot = max(now, self._next_at, self._paused_until)
        self._next_at = slot + self._gap_s / self.share
        return slot - now

    def pause_left(self, now: float) -> float:
        """Return the seconds left of a pause, 0 or less without one."""
        return self._paused_until - now

    def pause(self, now: float, seconds: float) -> None:
        """Send nothing for `seconds` from now."""
        self._paused_until = max(self._paused_until, now + seconds)


class AdaptiveConcurrency:
    """How many requests may be in flight: one more after as many good answers, half as many under pressure.

    Pressure is a 429, a timeout, or answers that take far longer than usual. A burst counts once.
    Shape:  allowed: how many may be in flight now.  most: the upper limit.  slowed: how often it was halved.  lowest: fewest ever allowed.
    """

    def __init__(self, most: int) -> None:
        """Start at the upper limit."""
        self.most = self.allowed = most
        self.slowed = 0
        self.lowest = most
        self._allowed = float(most)
        self._calm_from = 0.0
        self._usual_s = 0.0
        self._lately_s = 0.0

    def answered(self, now: float, took_s: float) -> None:
        """Note a good answer, and how long it took."""
        self._lately_s += (took_s - self._lately_s) * (_SMOOTHING if self._lately_s else 1.0)
        # The usual latency drifts upward: an API that stays slower is not held back for ever.
        self._usual_s = min(self._usual_s * _DRIFT, self._lately_s) if self._usual_s else self._lately_s
        if self._lately_s > self._usual_s * _SLOWER and self._lately_s > _SLOW_S:
            self.pressed(now)
        elif self.allowed < self.most:
            self._allow(min(self._allowed + 1 / self._allowed, self.most))

    def pressed(self, now: float) -> None:
        """Note a sign of pressure."""
        if now < self._calm_from:
            return
        self._calm_from = now + max(_CALM_S, 2 * self._lately_s)
        self._allow(max(self._allowed / 2, 1.0))
        self.slowed += 1
        self.lowest = min(self.lowest, self.allowed)

    def _allow(self, requests: float) -> None:
        self._allowed, self.allowed = requests, int(requests)


def marks_ahead(rate: float, commit_s: float, most: int) -> int:
    """Return how many calls to mark beyond those in flight, at least 1 and up to `most`.

    As many leave while a mark is committed, and a quarter more, since not every commit takes as long. With fewer, requests would
    wait for commits; more would only be in doubt after a crash.
    Units:  rate: requests per second.  commit_s: seconds from the wish to mark a call until it may leave.
    """
    return max(1, min(most, math.ceil(_ROOM * rate * commit_s)))


class MarkLimit:
    """How many calls may be marked at once: those that may be in flight, and `marks_ahead`.

    Shape:  places: requests that may be in flight now.
    Durations are moving means, of commits over the calls marked by them, and assumed until they are measured.
    """

    def __init__(self, places: int, rate_limit: float | None) -> None:
        """Start with assumed durations. rate_limit: requests per second."""
        self.places = places
        self._rate_limit = rate_limit
        self._commit_s = _ASSUMED_COMMIT_S
        self._answer_s = _ASSUMED_ANSWER_S

    def answered(self, took_s: float) -> None:
        """Note how long a request was in flight."""
        self._answer_s += (took_s - self._answer_s) * _ANSWER_SMOOTHING

    def committed(self, took_s: float, marks: int) -> None:
        """Note how long it took until so many marked calls could leave. A single slow commit, as the first one is, says little."""
        took_s = min(took_s, _OUTLIER * self._commit_s)
        self._commit_s += (took_s - self._commit_s) * min(1.0, marks * _COMMIT_SMOOTHING)

    def most(self, in_flight: int) -> int:
        """Return how many calls may be marked while so many requests are in flight.

        Where a rate limit leaves places empty, calls are not marked for them.
        """
        rate = self.places / max(self._answer_s, self._commit_s / 1000)
        if self._rate_limit is None:
            return self.places + marks_ahead(rate, self._commit_s, self.places)
        return min(in_flight, self.places) + marks_ahead(min(rate, self._rate_limit), self._commit_s, self.places)


class CircuitBreaker:
    """Counts failed requests in a row, over all users. An answer that shows the API works resets it."""

    def __init__(self, threshold: int) -> None:
        """Trip after `threshold` failures in a row."""
        self._threshold = threshold
        self.failures = 0

    def succeed(self) -> None:
        """Note that the API works."""
        self.failures = 0

    def fail(self) -> bool:
        """Note a failure and tell whether the API now counts as down."""
        self.failures += 1
        return self.failures >= self._threshold
