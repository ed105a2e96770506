"""How to send, and how sending went."""

from collections import Counter
from dataclasses import dataclass, field

from rehook_sync.delivery.limits import AdaptiveConcurrency
from rehook_sync.delivery.outcomes import RetryPolicy
from rehook_sync.errors import RehookSyncError
from rehook_sync.models import Call, Reason, Status

__all__ = ["DeliveryConfig", "DeliveryReport"]

_QUEUED_ROWS = 2000
_QUEUED_PER_PLACE = 8


@dataclass(frozen=True, slots=True)
class DeliveryConfig:
    """How to send.

    Units:  rate_limit: requests per second.  renew_s: seconds between renewals of the lease when nothing is written.
    """

    concurrency: int
    rate_limit: float | None
    policy: RetryPolicy
    api_down_after: int
    skip_unchanged: bool
    renew_s: float

    @property
    def queue_rows(self) -> int:
        """Return how many operations may be queued before reading pauses.

        A longer queue holds more users to send in parallel; beyond this it only takes memory.
        """
        return max(_QUEUED_ROWS, _QUEUED_PER_PLACE * self.concurrency)


@dataclass(slots=True)
class DeliveryReport:
    """What was durably recorded, and why delivery ended early, if it did.

    Shape:  at_once: requests that may be in flight now.  slowed: how often that was halved.  lowest: its lowest value.
            left: calls whose ids somebody else had marked or settled meanwhile.
    """

    counts: Counter[Status] = field(default_factory=Counter)
    rejected: Counter[Reason] = field(default_factory=Counter)
    requests: int = 0
    error: RehookSyncError | None = None
    interrupted: bool = False
    at_once: int = 0
    slowed: int = 0
    lowest: int = 0
    left: list[Call] = field(default_factory=list)

    def heed(self, adaptive: AdaptiveConcurrency) -> None:
        """Copy the numbers of the adaptive concurrency."""
        self.at_once, self.slowed, self.lowest = adaptive.allowed, adaptive.slowed, adaptive.lowest
