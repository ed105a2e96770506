"""Rehook's rules for calls in time order: accepted, waiting, or rejected with the first reason that applies. Pure.

Source: Segment's page on the Rehook destination. The order of the reasons is part of the contract.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from rehook_sync.models import AnonymousCalls, Claim, MissingProperties, Moment, Reason, SourceRow
from rehook_sync.rules.bodies import ShapedCall
from rehook_sync.rules.traits import moment_of

__all__ = ["OWNED_BY", "REJECTED_ELSEWHERE", "CodeBook", "Judgement", "Policy", "Rejection", "judge"]

OWNED_BY = "owned by user "
"""Begins the detail of `referral_code_taken`; the owner's id follows."""
REJECTED_ELSEWHERE = "our rules reject it: "
"""Begins the detail of a call settled elsewhere that a run would have rejected; the reason follows."""


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
    It needs only the codes and users of the calls to judge.
    """

    owners: Mapping[str, str] = field(default_factory=dict)
    codes: Mapping[str, str] = field(default_factory=dict)
    freed: Mapping[str, str] = field(default_factory=dict)
    since: Mapping[str, Moment] = field(default_factory=dict)


class Rejection(NamedTuple):
    """A rejected call. Shape:  detail: one short line, None where the reason says it all."""

    row: SourceRow
    reason: Reason
    detail: str | None


@dataclass(frozen=True, slots=True)
class Judgement:
    """The verdict on some calls, each in one of the three lists, in their order.

    Shape:  waiting: those whose properties are not loaded yet.
            claims: message id -> the code that this Identify call takes.
            waits: message id of such a call -> message id of the call that gave the code up, if another user's. Across
            judgements it may be the same user's, since `freed` does not tell whose call it was.
            book: who owns which code after these calls.
    """

    accepted: list[ShapedCall]
    waiting: list[SourceRow]
    rejected: list[Rejection]
    claims: dict[str, Claim]
    waits: dict[str, str]
    book: CodeBook


def judge(calls: Sequence[ShapedCall], policy: Policy, book: CodeBook) -> Judgement:
    """Judge calls in time order. `book`: who owned which code before them.

    A rejected call takes no code. A user who changes codes frees the old one for later calls. A call without its properties waits
    unless it is rejected whatever these are.
    """
    flaws = [_flaw_of_user(call.row, policy) for call in calls]
    known = [(at, call) for at, (call, flaw) in enumerate(zip(calls, flaws, strict=True)) if flaw is None]
    claimed = _take_codes([each for each in known if each[1].referral_code is not None and each[1].row.stream.is_identify], book)
    found = Judgement([], [], [], claimed.claims, claimed.waits, claimed.book)
    for at, call in enumerate(calls):
        owner = claimed.owner_of.get(at)
        reason = flaws[at] or (Reason.REFERRAL_CODE_TAKEN if owner is not None else _flaw_of_content(call, policy))
        if reason is not None:
            taken = None if reason is not Reason.REFERRAL_CODE_TAKEN else f"{OWNED_BY}{owner}"
            found.rejected.append(Rejection(call.row, reason, call.problem if reason is Reason.INVALID_ROW else taken))
        elif _is_unloaded(call.row, policy):
            found.waiting.append(call.row)
        else:
            found.accepted.append(call)
    return found


def _flaw_of_user(row: SourceRow, policy: Policy) -> Reason | None:
    if _is_blank(row.user_id):
        return Reason.MISSING_USER_ID
    if policy.anonymous_calls is AnonymousCalls.DROP and not _is_blank(row.anonymous_id):
        return Reason.ANONYMOUS_ID_PRESENT
    return None


def _flaw_of_content(call: ShapedCall, policy: Policy) -> Reason | None:
    row = call.row
    if not row.stream.is_identify:
        if call.referral_code is None and row.event in policy.conversion_events and not _is_unloaded(row, policy):
            return Reason.MISSING_REFERRAL_CODE
        if _is_blank(row.event):
            return Reason.MISSING_EVENT_NAME
    return None if call.problem is None else Reason.INVALID_ROW


def _is_unloaded(row: SourceRow, policy: Policy) -> bool:
    return row.unloaded is not None and policy.missing_properties is MissingProperties.WAIT


def _is_blank(value: str | None) -> bool:
    return not value or value.isspace()


@dataclass(slots=True)
class _CodeClaims:
    """The codes taken by some calls. `owner_of`: place of a refused call -> owner of its code."""

    book: CodeBook
    claims: dict[str, Claim] = field(default_factory=dict)
    waits: dict[str, str] = field(default_factory=dict)
    owner_of: dict[int, str] = field(default_factory=dict)


def _take_codes(claiming: Sequence[tuple[int, ShapedCall]], book: CodeBook) -> _CodeClaims:
    """Take codes in time order. Only here does a verdict depend on the calls before. Shape:  claiming: place and call, with a code."""
    if all(book.codes.get(call.row.user_id or "") == call.referral_code for _, call in claiming):
        return _CodeClaims(book)
    late = _find_late([call.row for _, call in claiming], book.since) if book.since else frozenset[str]()
    owners, codes, freed = dict(book.owners), dict(book.codes), dict(book.freed)
    claimed = _CodeClaims(CodeBook(owners, codes, freed, book.since))
    given_up_by: set[tuple[str, str]] = set()
    for at, call in claiming:
        message_id, user_id, code = call.row.message_id, call.row.user_id or "", call.referral_code or ""
        owner = owners.get(code)
        if owner is not None and owner != user_id:
            claimed.owner_of[at] = owner
        elif call.problem is None and codes.get(user_id) != code and message_id not in late:
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


def _find_late(rows: Sequence[SourceRow], since: Mapping[str, Moment]) -> frozenset[str]:
    """Return the calls that are older than the one that brought the code their user has."""
    moments = ((row, since.get(row.user_id or "")) for row in rows)
    return frozenset(
        row.message_id for row, at in moments if at is not None and moment_of(row.message_id, row.occurred_at, row.received_at) < at
    )
