"""What the next commit writes: marks and outcomes of many calls, collected until it begins."""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from rehook_sync.delivery.lanes import InFlight, Lane
from rehook_sync.models import Batch, Call, Claim, Customer, Outcome

__all__ = ["Outbox", "Posting", "Turn"]

Turn = tuple[datetime, int, InFlight]
"""A call waiting to be marked or sent: its time, its number on arrival, itself. Sorts by time, then first come."""


@dataclass(slots=True)
class Posting:
    """What one commit writes.

    Shape:  final: outcomes that are final for this run.  undone: some of them, taken back.  lanes: one per settled operation.
            landed: whether each marked call that is no longer in flight is an Identify call.  unmarked: how many such calls had no mark.
            marks: the calls to mark.  posts: how many postings are joined here.
    Units:  asked_at: monotonic time at which the first mark was asked for.
    """

    batch: Batch = field(default_factory=Batch)
    final: list[Outcome] = field(default_factory=list)
    undone: list[Outcome] = field(default_factory=list)
    lanes: list[Lane] = field(default_factory=list)
    landed: list[bool] = field(default_factory=list)
    unmarked: int = 0
    marks: list[Turn] = field(default_factory=list)
    posts: int = 1
    asked_at: float = math.inf

    def join(self, later: "Posting") -> None:
        """Add all that a later posting holds."""
        batch, more = self.batch, later.batch
        batch.outcomes += more.outcomes
        batch.restores += more.restores
        batch.customers += more.customers
        batch.accepted += more.accepted
        batch.released += more.released
        self.final += later.final
        self.undone += later.undone
        self.lanes += later.lanes
        self.landed += later.landed
        self.marks += later.marks
        self.unmarked += later.unmarked
        self.posts += later.posts
        self.asked_at = min(self.asked_at, later.asked_at)


class Outbox:
    """Collects what the next commit writes; each verb also asks for that commit."""

    def __init__(self, wake: Callable[[], None]) -> None:
        """Start empty. `wake` asks for a commit."""
        self._wake = wake
        self._next = Posting()

    def take(self) -> Posting:
        """Return what was collected and start an empty posting."""
        posting, self._next = self._next, Posting()
        return posting

    def record(self, outcomes: Iterable[Outcome]) -> None:
        """Record final outcomes."""
        added = list(outcomes)
        self._next.batch.outcomes += added
        self._next.final += added
        self._wake()

    def settle(self, lane: Lane, outcomes: Iterable[Outcome]) -> None:
        """Record the final outcomes of one operation."""
        self.record(outcomes)
        self._next.lanes.append(lane)
        lane.unrecorded += 1

    def park(self, outcome: Outcome) -> None:
        """Record a failed attempt of a call that will be sent again; not final."""
        self._next.batch.outcomes.append(outcome)
        self._wake()

    def restore(self, call: Call) -> None:
        """Put a marked or parked call back as it was before this run."""
        self._next.batch.restores.append(call)
        self._wake()

    def take_back(self, outcome: Outcome) -> None:
        """Undo a final or parked outcome, committed or not."""
        batch = self._next.batch
        batch.outcomes = [each for each in batch.outcomes if each is not outcome]
        self.restore(outcome.call)

    def undo(self, outcome: Outcome) -> None:
        """Undo a final outcome and its count."""
        self.take_back(outcome)
        self._next.undone.append(outcome)

    def land(self, flight: InFlight) -> None:
        """Note that a call is no longer in flight: it is settled, or waits for its next attempt."""
        if flight.marked:
            self._next.landed.append(flight.operation.stream.is_identify)
        else:
            self._next.unmarked += 1
        self._wake()

    def upsert(self, customer: Customer) -> None:
        """Record what a customer has now."""
        self._next.batch.customers.append(customer)
        self._wake()

    def accept(self, claim: Claim) -> None:
        """Record that Rehook has a referral code; the customer record stays as it is."""
        self._next.batch.accepted.append(claim)
        self._wake()

    def release(self, claims: Sequence[Claim]) -> None:
        """Release referral codes that Rehook did not accept."""
        if claims:
            self._next.batch.released += claims
            self._wake()
