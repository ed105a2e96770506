"""One lane per user: what is queued for a user, in order, and what is on its way."""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from rehook_sync.models import Call, Claim, Operation, Outcome, Status, Stream

__all__ = ["InFlight", "Lane", "OpenClaims"]


@dataclass(slots=True, eq=False)
class Lane:
    """The operations of one user, oldest first; the first is the one at work while `busy`.

    Shape:  known: trait hashes the customer surely has, None when unknown.  unrecorded: outcomes not committed yet.
    """

    user_id: str
    operations: deque[Operation] = field(default_factory=deque)
    known: Mapping[str, str] | None = None
    busy: bool = False
    blocked: bool = False
    unrecorded: int = 0

    @property
    def is_idle(self) -> bool:
        """Tell whether nothing of this user is queued, on its way or unrecorded."""
        return not self.operations and not self.busy and not self.unrecorded


@dataclass(slots=True, eq=False)
class InFlight:
    """One operation on its way, over all its attempts.

    Shape:  call: the one whose message id the request carries.
            attempts: requests sent so far, counting earlier runs' ones only in what is recorded.
            uncertain: an attempt may have arrived without our knowing.  parked: the record of the last failed attempt.
            marked: it is marked, or about to be, before it is sent.
    """

    operation: Operation
    lane: Lane
    attempts: int = 0
    uncertain: bool = False
    parked: Outcome | None = None
    marked: bool = False
    call: Call = field(init=False)

    def __post_init__(self) -> None:
        """Keep what is asked for again and again."""
        self.call = self.operation.call

    @property
    def needs_mark(self) -> bool:
        """Tell whether something would be wrong in our books if this were carried out and we died before recording it.

        An event may have paid out; a customer may no longer have what we know of it; what an earlier run recorded of the call
        would stand. A customer we know nothing of is only sent again.
        """
        return self.call.stream is Stream.TRACKS or self.lane.known is not None or self.call.previous is not None

    @property
    def total_attempts(self) -> int:
        """Return the attempts of this and earlier runs."""
        previous = self.call.previous
        return self.attempts + (previous.attempts if previous else 0)


class OpenClaims:
    """Referral codes that are taken in our books for calls which Rehook has not accepted yet.

    The code of a refused call is given back at once, that of a failed one when the run ends: until then nobody who came
    later may take it, and the next run finds the books as Rehook has them.
    """

    def __init__(self) -> None:
        """Begin without any."""
        self._claims: dict[str, Claim] = {}
        self._open: dict[str, int] = {}
        self._had: dict[str, str | None] = {}

    def open(self, operation: Operation) -> None:
        """Note the claim of an operation, if it has one; the first of a user says which code Rehook has until then."""
        claim = operation.claim
        if claim is not None:
            self._claims[operation.call.message_id] = claim
            self._open[claim.user_id] = self._open.get(claim.user_id, 0) + 1
            self._had.setdefault(claim.user_id, claim.replaces)

    def split(self, operation: Operation) -> None:
        """Put the claims of its parts in the place of a merged operation's."""
        claim = self._claims.pop(operation.call.message_id, None)
        for part in operation.parts:
            self.open(part)
        if claim is not None:
            self._open[claim.user_id] -= 1

    def settle(self, operation: Operation, status: Status) -> list[Claim]:
        """Return what is to be given back after an operation ended: nothing, or its claim."""
        claim = None if operation.claim is None or status is Status.FAILED else self._claims.pop(operation.call.message_id, None)
        if claim is None:
            return []
        user_id = claim.user_id
        self._open[user_id] -= 1
        if status not in {Status.SENT, Status.UNCHANGED}:
            return [replace(claim, replaces=self._had[user_id])]
        self._had[user_id] = claim.code
        if not self._open[user_id]:
            del self._open[user_id], self._had[user_id]
        return []

    def give_up(self) -> list[Claim]:
        """Return all that is still open, to be given back."""
        left, self._claims = self._claims, {}
        return [replace(claim, replaces=self._had[claim.user_id]) for claim in left.values()]
