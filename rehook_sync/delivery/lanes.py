"""One lane per user: the operations queued in order, and the one in flight."""

from collections import deque
from dataclasses import dataclass, field

from rehook_sync.models import Call, Claim, Operation, Outcome, Status, Traits

__all__ = ["InFlight", "Lane", "OpenClaims"]


@dataclass(slots=True, eq=False)
class Lane:
    """The operations of one user, oldest first. While `busy`, the first is in flight or waits.

    Shape:  known: what the customer has, None when unknown.  unrecorded: settled operations not committed yet.
            blocked: an earlier operation failed.
    """

    user_id: str
    operations: deque[Operation] = field(default_factory=deque)
    known: Traits | None = None
    busy: bool = False
    blocked: bool = False
    unrecorded: int = 0

    @property
    def is_idle(self) -> bool:
        """Tell whether nothing of this user is queued, in flight or unrecorded."""
        return not self.operations and not self.busy and not self.unrecorded


@dataclass(slots=True, eq=False)
class InFlight:
    """One operation in flight, over all its attempts.

    Shape:  call: the one it is recorded under; others are merged into it.  attempts: requests sent in this run.
            uncertain: an attempt may have arrived unanswered.  parked: outcome of the last failed attempt.
            marked: it is marked before it is sent.
    """

    operation: Operation
    lane: Lane
    attempts: int = 0
    uncertain: bool = False
    parked: Outcome | None = None
    marked: bool = False
    call: Call = field(init=False)

    def __post_init__(self) -> None:
        """Cache the call of the operation."""
        self.call = self.operation.call

    @property
    def needs_mark(self) -> bool:
        """Tell whether a crash between sending and recording would leave the sync-state wrong.

        An event may have paid out, what is known of the customer may be outdated, a previous outcome may no longer hold. An unknown
        customer is just sent again.
        """
        return not self.call.stream.is_identify or self.lane.known is not None or self.call.previous is not None

    @property
    def total_attempts(self) -> int:
        """Return the attempts of this and earlier runs."""
        previous = self.call.previous
        return self.attempts + (previous.attempts if previous else 0)


class OpenClaims:
    """Referral codes claimed in the sync-state for calls that Rehook has not accepted yet.

    A rejected call's code is released at once. A failed call's code is released when the run ends: no later call may take
    it before, and the next run finds the codes as Rehook has them.
    """

    def __init__(self) -> None:
        """Start with no claim."""
        self._claims: dict[str, Claim] = {}
        self._open: dict[str, int] = {}
        self._had: dict[str, str | None] = {}

    def open(self, operation: Operation) -> None:
        """Note the claim of an operation, if it has one. A user's first claim tells which code Rehook has for now."""
        claim = operation.claim
        if claim is not None:
            self._claims[operation.call.message_id] = claim
            self._open[claim.user_id] = self._open.get(claim.user_id, 0) + 1
            self._had.setdefault(claim.user_id, claim.replaces)

    def split(self, operation: Operation) -> None:
        """Replace the claim of a merged operation by the claims of its parts."""
        claim = self._claims.pop(operation.call.message_id, None)
        for part in operation.parts:
            self.open(part)
        if claim is not None:
            self._open[claim.user_id] -= 1

    def settle(self, operation: Operation, status: Status) -> list[Claim]:
        """Note how an operation ended; return its claim if that must be released now."""
        claim = None if operation.claim is None or status is Status.FAILED else self._claims.pop(operation.call.message_id, None)
        if claim is None:
            return []
        user_id = claim.user_id
        self._open[user_id] -= 1
        if status not in {Status.SENT, Status.UNCHANGED}:
            return [claim._replace(replaces=self._had[user_id])]
        self._had[user_id] = claim.code
        if not self._open[user_id]:
            del self._open[user_id], self._had[user_id]
        return []

    def give_up(self) -> list[Claim]:
        """Return all claims that are still open, to be released."""
        left, self._claims = self._claims, {}
        return [claim._replace(replaces=self._had[claim.user_id]) for claim in left.values()]
