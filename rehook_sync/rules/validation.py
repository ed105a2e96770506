"""Rehook's rules for one frame of rows in time order: accepted, waiting, or rejected with the first reason that applies. Pure.

Source: Segment's page on the Rehook destination. The order of the reasons is part of the contract.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from rehook_sync.models import AnonymousCalls, Claim, MissingProperties, Moment, Reason, Stream
from rehook_sync.rules.traits import moment_of

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["OWNED_BY", "CodeBook", "Judgement", "Policy", "judge"]

OWNED_BY = "owned by user "
"""Begins the detail of `referral_code_taken`; the owner's id follows."""


@dataclass(frozen=True, slots=True)
class Policy:
    """The settings that change a verdict."""

    anonymous_calls: AnonymousCalls
    conversion_events: frozenset[str]
    missing_properties: MissingProperties = MissingProperties.WAIT


@dataclass(frozen=True, slots=True)
class CodeBook:
    """Who owns which referral code.

    Shape:  owners: code -> user id.  codes: user id -> code.
            freed: code without an owner -> message id of the Identify call that gave it up.
            since: user id -> the call that brought the user's code, where known; older calls take no code any more.
    It needs only the codes and users of the frame to judge.
    """

    owners: Mapping[str, str] = field(default_factory=dict)
    codes: Mapping[str, str] = field(default_factory=dict)
    freed: Mapping[str, str] = field(default_factory=dict)
    since: Mapping[str, Moment] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Judgement:
    """The verdict on one frame.

    Shape:  accepted: rows of the frame, in its order.  waiting: those whose properties are not loaded yet.
            rejected: the others, with columns `reason` and `detail` added.
            claims: message id -> the code that this Identify call takes.
            waits: message id of such a call -> message id of the call that gave the code up, if another user's. Across
            frames it may be the same user's, since `freed` does not tell whose call it was.
            book: who owns which code after this frame.
    """

    accepted: "pd.DataFrame"
    waiting: "pd.DataFrame"
    rejected: "pd.DataFrame"
    claims: dict[str, Claim]
    waits: dict[str, str]
    book: CodeBook


def judge(frame: "pd.DataFrame", policy: Policy, book: CodeBook) -> Judgement:
    """Judge every row of a frame in time order. `book`: who owned which code before it.

    Shape:  frame: columns `stream, message_id, user_id, anonymous_id, event, referral_code, problem, unloaded`, dtype object,
            a unique index.
    A rejected call takes no code. A user who changes codes frees the old one for later rows. A call without its properties waits
    unless it is rejected whatever these are.
    """
    import pandas as pd  # noqa: PLC0415 - as in `bodies`

    identifies = frame["stream"] == Stream.IDENTIFIES
    has_code = frame["referral_code"].notna()
    no_user = frame["user_id"].map(_is_blank).astype(bool)
    anonymous = ~frame["anonymous_id"].map(_is_blank).astype(bool) & (policy.anonymous_calls is AnonymousCalls.DROP)
    claimed = _take_codes(frame[identifies & has_code & ~no_user & ~anonymous], book)
    unloaded = frame["unloaded"].notna() & (policy.missing_properties is MissingProperties.WAIT)
    owner = pd.Series(claimed.owner_of_row, dtype=object).reindex(frame.index)
    reasons = {
        Reason.MISSING_USER_ID: no_user,
        Reason.ANONYMOUS_ID_PRESENT: anonymous,
        Reason.REFERRAL_CODE_TAKEN: owner.notna(),
        Reason.MISSING_REFERRAL_CODE: ~identifies & ~has_code & ~unloaded & frame["event"].isin(policy.conversion_events),
        Reason.MISSING_EVENT_NAME: ~identifies & frame["event"].map(_is_blank).astype(bool),
        Reason.INVALID_ROW: frame["problem"].notna(),
    }
    verdict = pd.Series(None, index=frame.index, dtype=object)
    for reason, applies in reversed(reasons.items()):
        verdict[applies] = reason
    detail = frame["problem"].where(verdict == Reason.INVALID_ROW, None)
    detail = detail.where(verdict != Reason.REFERRAL_CODE_TAKEN, OWNED_BY + owner)
    refused = verdict.notna()
    waiting = unloaded & ~refused
    return Judgement(
        accepted=frame[~refused & ~waiting],
        waiting=frame[waiting],
        rejected=frame[refused].assign(reason=verdict[refused], detail=detail[refused]),
        claims=claimed.claims,
        waits=claimed.waits,
        book=claimed.book,
    )


def _is_blank(value: str | None) -> bool:
    return not value or value.isspace()


@dataclass(slots=True)
class _CodeClaims:
    """The codes taken in a frame. `owner_of_row`: index of a refused row -> owner of its code."""

    book: CodeBook
    claims: dict[str, Claim] = field(default_factory=dict)
    waits: dict[str, str] = field(default_factory=dict)
    owner_of_row: dict[int, str] = field(default_factory=dict)


def _take_codes(rows: "pd.DataFrame", book: CodeBook) -> _CodeClaims:
    """Take codes in time order. Only here does a verdict depend on the rows before."""
    columns = (rows[name].tolist() for name in ("message_id", "user_id", "referral_code", "problem"))
    calls = list(zip(rows.index.tolist(), *columns, strict=True))
    if all(book.codes.get(user_id) == code for _, _, user_id, code, _ in calls):
        return _CodeClaims(book)
    late = _find_late(rows, book.since) if book.since else frozenset[str]()
    owners, codes, freed = dict(book.owners), dict(book.codes), dict(book.freed)
    claimed = _CodeClaims(CodeBook(owners, codes, freed, book.since))
    given_up_by: set[tuple[str, str]] = set()
    for index, message_id, user_id, code, problem in calls:
        owner = owners.get(code)
        if owner is not None and owner != user_id:
            claimed.owner_of_row[index] = owner
        elif problem is None and codes.get(user_id) != code and message_id not in late:
            replaced = codes.get(user_id)
            claimed.claims[message_id] = Claim(code, user_id, replaced)
            given_up_in = freed.pop(code, None)
            if given_up_in is not None and (user_id, given_up_in) not in given_up_by:
                claimed.waits[message_id] = given_up_in
            if replaced is not None:
                owners.pop(replaced, None)
                freed[replaced] = message_id
                given_up_by.add((user_id, message_id))
            owners[code], codes[user_id] = user_id, code
    return claimed


def _find_late(rows: "pd.DataFrame", since: Mapping[str, Moment]) -> frozenset[str]:
    """Return the calls that are older than the one that brought the code their user has."""
    columns = (rows[name].tolist() for name in ("user_id", "message_id", "occurred_at", "received_at"))
    calls = zip(*columns, strict=True)
    return frozenset(call[0] for user_id, *call in calls if user_id in since and moment_of(*call) < since[user_id])
