"""Which failed tasks Airflow retries, and when."""

from datetime import timedelta
from typing import Any, Self

from rehook_sync.airflow.common.versions import RetryDecision, RetryPolicy
from rehook_sync.errors import (
    ApiDownError,
    ConfigurationError,
    CredentialsRefusedError,
    InternalError,
    LeaseHeldError,
    LeaseLostError,
    RehookSyncError,
    RunUnfinishedError,
)

__all__ = ["FINAL", "RehookRetryPolicy"]

FINAL = (CredentialsRefusedError, ConfigurationError, LeaseLostError, RunUnfinishedError, InternalError)
"""Errors that a retry would meet again."""


class RehookRetryPolicy(RetryPolicy):
    """Retry errors that may pass. Waits double from `shortest` to `longest`; a wait that Rehook asked for replaces them.

    Errors that need a human fail at once. The task's `retries` limit the attempts. Before Airflow 3.3, which knows no policies,
    `retry_delay` is the wait.
    """

    def __init__(self, shortest: timedelta = timedelta(seconds=30), longest: timedelta = timedelta(minutes=15)) -> None:
        """Keep the waits."""
        self.shortest = shortest
        self.longest = longest

    def evaluate(self, exception: BaseException, try_number: int, max_tries: int, context: object = None) -> RetryDecision:
        """Decide by the error; `try_number` counts from 1."""
        del max_tries, context
        if isinstance(exception, FINAL):
            return RetryDecision.fail(f"{type(exception).__name__}: another attempt would meet the same")
        if isinstance(exception, ApiDownError) and exception.retry_after_s is not None:
            return RetryDecision.retry(timedelta(seconds=exception.retry_after_s), "as long as Rehook asked to wait")
        if isinstance(exception, LeaseHeldError):
            return RetryDecision.retry(max(self.shortest, timedelta(minutes=1)), "another run is at work")
        if isinstance(exception, RehookSyncError):
            return RetryDecision.retry(self._backoff(try_number), f"{type(exception).__name__} may pass")
        return RetryDecision.default()

    def _backoff(self, try_number: int) -> timedelta:
        return min(self.shortest * int(2 ** min(try_number - 1, 20)), self.longest)

    def serialize(self) -> dict[str, Any]:
        """Return what `deserialize` takes."""
        return {"shortest_s": self.shortest.total_seconds(), "longest_s": self.longest.total_seconds()}

    @classmethod
    def deserialize(cls, data: dict[str, Any]) -> Self:
        """Return the policy that `serialize` described."""
        return cls(timedelta(seconds=data["shortest_s"]), timedelta(seconds=data["longest_s"]))
