"""The plain data that flows between the packages: rows down, facts up.

What is made per call or request is a named tuple: three times as fast to make as a frozen dataclass.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

from rehook_sync.errors import RehookSyncError
from rehook_sync.words import (
    FAILED_REASONS,
    REJECTED_REASONS,
    STREAMS,
    AnonymousCalls,
    CustomerUpdates,
    Effect,
    LogFormat,
    LogLevel,
    MissingProperties,
    OnAmbiguousEvent,
    Reason,
    RunKind,
    RunStatus,
    ShardStatus,
    Status,
    Stream,
    TrackProperties,
    Trigger,
)

__all__ = [
    "DEFAULT_SOURCE",
    "ELSEWHERE",
    "FAILED_REASONS",
    "REJECTED_REASONS",
    "REMOVED",
    "STREAMS",
    "AnonymousCalls",
    "Answer",
    "Batch",
    "Call",
    "Chunk",
    "Claim",
    "Customer",
    "CustomerUpdates",
    "Effect",
    "LogFormat",
    "LogLevel",
    "MissingProperties",
    "Moment",
    "OnAmbiguousEvent",
    "Operation",
    "OtherCalls",
    "Outcome",
    "PreviousOutcome",
    "Reason",
    "RunKind",
    "RunStatus",
    "RunSummary",
    "Selection",
    "Shard",
    "ShardResult",
    "ShardStatus",
    "SourceRow",
    "Status",
    "Stream",
    "Stretch",
    "TrackProperties",
    "Traits",
    "Trigger",
    "Window",
    "user_order",
]

DEFAULT_SOURCE = "default"
"""The name of a Segment source of which the settings name no schema."""
ELSEWHERE = "elsewhere"
"""Stands for the message id of an Identify call that another process delivers."""
REMOVED = "[…]"
"""Replaces what may not be kept of a text."""
_NONE: Mapping[str, str] = {}  # no proxy: operations are pickled


Moment = tuple[datetime, str]
Traits = Mapping[str, tuple[str, Moment | None]]
"""What a customer has: key -> hash of the value, and time and message id of the newest call that carried it, None when unknown."""


@dataclass(frozen=True, slots=True)
class Window:
    """A half-open range of the cursor column: `low <= received_at < high`. `low` None means all history."""

    low: datetime | None
    high: datetime


class Stretch(NamedTuple):
    """What an hour of a stream looked like. Shape:  fingerprint: of its ids, and of how the warehouse was asked for them."""

    rows: int
    fingerprint: str


@dataclass(frozen=True, slots=True)
class Shard:
    """A range of users: `low <= id < high`, compared as UTF-8 bytes. `high` None means no end."""

    number: int
    low: str
    high: str | None

    def holds(self, user_id: str | None) -> bool:
        """Tell whether a user belongs to this shard. Calls without a user belong to the first."""
        key = user_order(user_id or "")
        return user_order(self.low) <= key and (self.high is None or key < user_order(self.high))


@dataclass(slots=True)
class SourceRow:
    """One Segment call as the warehouse holds it.

    Shape:  fields: column -> value as the driver gave it, NULLs left out, traits or properties only.
            problem: why the row cannot be used (NULL id, text where a time belongs), else None; holds no values.
            unloaded: where the properties of a track were looked for and are not (yet), else None; holds no values.
            recorded_id: the message id under which earlier versions recorded it, if another.  encoded: a JSON column encoded twice.
    Units:  size: bytes that its fields take, about.  received_at, occurred_at: aware UTC; occurred_at falls back to received_at.
    A row with a NULL id gets a message id made from its content, so that it can be recorded.
    """

    stream: Stream
    message_id: str
    user_id: str | None
    anonymous_id: str | None
    event: str | None
    event_slug: str | None
    received_at: datetime | None
    occurred_at: datetime | None
    fields: dict[str, object]
    problem: str | None = None
    unloaded: str | None = None
    recorded_id: str | None = None
    encoded: str | None = None
    size: int = field(default=0, compare=False)
    source: str = DEFAULT_SOURCE


@dataclass(frozen=True, slots=True)
class PreviousOutcome:
    """What `sync_state` said of a call before this run retried it."""

    reason: str | None
    detail: str | None
    http_status: int | None
    attempts: int
    run_id: str
    status: Status = Status.FAILED


@dataclass(frozen=True, slots=True)
class Selection:
    """Which recorded calls are retried.

    Shape:  status: FAILED, WAITING, REJECTED or IN_DOUBT.  reason: only calls with it.  ids: only these message ids or user ids.
    Failed calls come with all failed calls of the same users, so that their order holds.
    """

    status: Status = Status.FAILED
    reason: Reason | None = None
    ids: tuple[str, ...] | None = None


class OtherCalls(NamedTuple):
    """A table of other calls than Identify and Track calls. Shape:  event: the name that they go out under."""

    table: str
    event: str


class Call(NamedTuple):
    """The identity of one judged Segment call, as `sync_state` keeps it."""

    stream: Stream
    message_id: str
    user_id: str | None
    event: str | None
    received_at: datetime | None
    occurred_at: datetime | None
    payload_hash: str | None = None
    previous: PreviousOutcome | None = None
    source: str = DEFAULT_SOURCE


class Answer(NamedTuple):
    """What one attempt to send a request came to.

    Shape:  effect: UNPROCESSED was not carried out and is safe to repeat; UNKNOWN may have been carried out;
            DENIED means wrong credentials or address, for every row.
            reason: why it was not accepted.  detail: one short line without secrets or the row's values.
    Units:  retry_after_s: seconds the API asked to wait, None when it did not.
    """

    effect: Effect
    reason: Reason | None = None
    detail: str | None = None
    http_status: int | None = None
    retry_after_s: float | None = None


class Claim(NamedTuple):
    """A referral code that a call takes for its user; `replaces`: the user's code before."""

    code: str
    user_id: str
    replaces: str | None


class Operation(NamedTuple):
    """One request to Rehook, or several Identify calls merged into one.

    Shape:  body: JSON bytes.  calls: those it carries, oldest first; the operation is recorded under the last.
            parts: of a merged request, one operation per call, sent one by one when the merged one is refused.
            trait_hashes: metadata key -> hash; empty for tracks.
            waits_for: message id of another user's Identify call, which frees the referral code wanted here.
    """

    stream: Stream
    user_id: str
    calls: tuple[Call, ...]
    body: bytes
    trait_hashes: Mapping[str, str] = _NONE
    claim: Claim | None = None
    parts: tuple["Operation", ...] = ()
    waits_for: str | None = None

    @property
    def call(self) -> Call:
        """Return the call that the operation is recorded under."""
        return self.calls[-1]


class Outcome(NamedTuple):
    """What became of one call: a row of `sync_state`."""

    call: Call
    status: Status
    reason: Reason | None = None
    detail: str | None = None
    http_status: int | None = None
    attempts: int = 0
    sent_as: str | None = None


@dataclass(frozen=True, slots=True)
class Chunk:
    """One portion of work: operations in time order, and rows that were settled without a request."""

    operations: list[Operation]
    outcomes: list[Outcome]


@dataclass(frozen=True, slots=True)
class Customer:
    """What was last sent to one customer: a row of `sync_customers`.

    Shape:  traits: None means unknown: the next Identify call is sent.
            code: the referral code that Rehook accepted with it.
    """

    user_id: str
    traits: Traits | None
    message_id: str | None = None
    sent: bool = False
    code: str | None = None


@dataclass(slots=True)
class Batch:
    """What one commit writes, all or nothing: restores first, then outcomes, then codes.

    Shape:  outcomes: marks and outcomes, newest last.  restores: marked or parked calls, put back as they were before this run.
            customers: newest last.  accepted: codes that Rehook has, without a new record of the customer.
            released: claims whose calls did not arrive.
    """

    outcomes: list[Outcome] = field(default_factory=list)
    restores: list[Call] = field(default_factory=list)
    customers: list[Customer] = field(default_factory=list)
    accepted: list[Claim] = field(default_factory=list)
    released: list[Claim] = field(default_factory=list)

    def __bool__(self) -> bool:
        """Tell whether there is anything to write."""
        return bool(self.outcomes or self.restores or self.customers or self.accepted or self.released)


@dataclass(frozen=True, slots=True)
class RunSummary:
    """What one run did. The counts from `sent` to `in_doubt` add up to `rows_read`."""

    run_id: str
    status: RunStatus
    rows_read: int = 0
    sent: int = 0
    unchanged: int = 0
    merged: int = 0
    skipped: int = 0
    rejected: int = 0
    failed: int = 0
    waiting: int = 0
    in_doubt: int = 0
    requests: int = 0
    error: str | None = None


@dataclass(frozen=True, slots=True)
class ShardResult:
    """How one shard ended. Shape:  rows: stream -> rows judged.  error: what stopped it.  findings: of all attempts, as JSON text."""

    run_id: str
    shard: int
    status: ShardStatus
    rows: Mapping[Stream, int]
    requests: int
    error: RehookSyncError | None = None
    findings: str | None = None


def user_order(user_id: str) -> bytes:
    """Return what user ids are ordered by: their UTF-8 bytes."""
    return user_id.encode("utf-8", "surrogatepass")
