"""What a delivery is given and what it answers: plain data."""

from collections import Counter
from dataclasses import dataclass, field

from rehook_sync.delivery.limits import AdaptiveConcurrency
from rehook_sync.delivery.outcomes import RetryPolicy
from rehook_sync.errors import RehookSyncError
from rehook_sync.models import Operation, Outcome, Reason, Status

__all__ = ["Chunk", "DeliveryConfig", "DeliveryReport"]

_QUEUED_ROWS = 2000
_QUEUED_PER_PLACE = 8


@dataclass(frozen=True, slots=True)
class DeliveryConfig:
    """How to send.

    Units:  rate_limit: requests per second; renew_s: seconds between renewals of the lease when nothing is written.
    """

    concurrency: int
    rate_limit: float | None
    policy: RetryPolicy
    api_down_after: int
    skip_unchanged: bool
    renew_s: float

    @property
    def queue_rows(self) -> int:
        """Return how many operations are held before no more are read.

        More of them would hold calls of more users, to be sent side by side; beyond that they only take memory.
        """
        return max(_QUEUED_ROWS, _QUEUED_PER_PLACE * self.concurrency)


@dataclass(frozen=True, slots=True)
class Chunk:
    """One portion of work: operations in time order, and rows that were settled without a request."""

    operations: list[Operation]
    outcomes: list[Outcome]


@dataclass(slots=True)
class DeliveryReport:
    """What was durably recorded, and why delivery ended early, if it did.

    Shape:  at_once: requests that may be open now.  slowed: how often that was stepped down.  lowest: how far.
    """

    counts: Counter[Status] = field(default_factory=Counter)
    rejected: Counter[Reason] = field(default_factory=Counter)
    requests: int = 0
    error: RehookSyncError | None = None
    interrupted: bool = False
    at_once: int = 0
    slowed: int = 0
    lowest: int = 0

    def heed(self, adaptive: AdaptiveConcurrency) -> None:
        """Take over what a throttle says now."""
        self.at_once, self.slowed, self.lowest = adaptive.allowed, adaptive.slowed, adaptive.lowest
