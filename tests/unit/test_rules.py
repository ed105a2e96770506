"""The rules, against a reference of their own."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from builders import identify, track
from hypothesis import given
from hypothesis import strategies as st
from warehouse import NOON

from rehook_sync.models import STREAMS, AnonymousCalls, Claim, Reason, SourceRow, Stream
from rehook_sync.rules.bodies import Names, shape
from rehook_sync.rules.validation import CodeBook, Judgement, Policy, judge
from rehook_sync.values import BrokenText

DROP = Policy(AnonymousCalls.DROP, frozenset({"signup"}))
ALLOW = Policy(AnonymousCalls.ALLOW_WITH_USER_ID, frozenset({"signup"}))


def coded(message_id: str, user_id: str | None, code: object) -> SourceRow:
    """An Identify call with a referral code."""
    return identify(message_id, user_id, referral_code=code)


def judged(rows: Sequence[SourceRow], policy: Policy = DROP, book: CodeBook | None = None) -> Judgement:
    return judge(shape(rows, Names()), policy, book or CodeBook())


def accepted(judgement: Judgement) -> list[str]:
    return [call.row.message_id for call in judgement.accepted]


def reasons(judgement: Judgement) -> dict[str, Reason]:
    return {row.message_id: reason for row, reason, _ in judgement.rejected}


def details(judgement: Judgement) -> dict[str, str | None]:
    return {row.message_id: detail for row, _, detail in judgement.rejected}


@pytest.mark.parametrize("user_id", [None, "", " ", "\t\n", "\u00a0", "\u2003\u3000"])
@pytest.mark.parametrize("policy", [DROP, ALLOW])
def test_a_blank_user_id_is_missing(user_id: str | None, policy: Policy) -> None:
    judgement = judged([coded("m1", user_id, "X"), track("m2", user_id, "signup")], policy)
    assert reasons(judgement) == {"m1": Reason.MISSING_USER_ID, "m2": Reason.MISSING_USER_ID}
    assert judgement.claims == {}


def test_any_anonymous_id_is_a_reason_under_drop() -> None:
    rows = [
        identify("m1", "ann", anonymous_id="anon", referral_code="X"),
        identify("m2", "ann", anonymous_id=""),
        identify("m3", "ann", anonymous_id=" "),
        identify("m4", "ann"),
    ]
    judgement = judged(rows)
    assert reasons(judgement) == {"m1": Reason.ANONYMOUS_ID_PRESENT}
    assert accepted(judgement) == ["m2", "m3", "m4"]
    assert judgement.claims == {}


def test_an_anonymous_id_beside_a_user_id_may_be_allowed() -> None:
    judgement = judged([identify("m1", "ann", anonymous_id="anon", referral_code="X"), identify("m2", None, anonymous_id="anon")], ALLOW)
    assert reasons(judgement) == {"m2": Reason.MISSING_USER_ID}
    assert judgement.claims == {"m1": Claim("X", "ann", None)}


def test_the_first_user_by_time_gets_the_code() -> None:
    judgement = judged([coded("m1", "ann", "X"), coded("m2", "bob", "X"), coded("m3", "ann", "X")])
    assert accepted(judgement) == ["m1", "m3"]
    assert reasons(judgement) == {"m2": Reason.REFERRAL_CODE_TAKEN}
    assert details(judgement) == {"m2": "owned by user ann"}
    assert judgement.claims == {"m1": Claim("X", "ann", None)}
    assert judgement.book.owners == {"X": "ann"}


def test_an_owner_of_before_keeps_the_code_and_claims_nothing_anew() -> None:
    book = CodeBook({"X": "ann"}, {"ann": "X"})
    judgement = judged([coded("m1", "bob", "X"), coded("m2", "ann", "X")], book=book)
    assert reasons(judgement) == {"m1": Reason.REFERRAL_CODE_TAKEN}
    assert judgement.claims == {}
    assert judgement.book == book


def test_changing_a_code_frees_the_old_one_for_later_rows() -> None:
    book = CodeBook({"X": "ann"}, {"ann": "X"})
    judgement = judged([coded("m1", "bob", "X"), coded("m2", "ann", "Y"), coded("m3", "bob", "X"), coded("m4", "cid", "X")], book=book)
    assert reasons(judgement) == {"m1": Reason.REFERRAL_CODE_TAKEN, "m4": Reason.REFERRAL_CODE_TAKEN}
    assert judgement.claims == {"m2": Claim("Y", "ann", "X"), "m3": Claim("X", "bob", None)}
    assert judgement.waits == {"m3": "m2"}
    assert judgement.book == CodeBook({"Y": "ann", "X": "bob"}, {"ann": "Y", "bob": "X"}, {})


def test_a_code_that_passes_through_many_hands_waits_for_the_last_giver() -> None:
    rows = [
        coded("m1", "ann", "X"),
        coded("m2", "ann", "A"),
        coded("m3", "bob", "X"),
        coded("m4", "bob", "B"),
        coded("m5", "cid", "X"),
    ]
    judgement = judged(rows)
    assert judgement.waits == {"m3": "m2", "m5": "m4"}
    assert judgement.rejected == []


def test_a_code_taken_back_by_its_giver_waits_for_nobody() -> None:
    judgement = judged([coded("m1", "ann", "X"), coded("m2", "ann", "Y"), coded("m3", "ann", "X"), coded("m4", "bob", "Y")])
    assert judgement.waits == {"m4": "m3"}
    assert judgement.claims["m3"] == Claim("X", "ann", "Y")


def test_a_code_freed_in_an_earlier_frame_is_still_waited_for() -> None:
    first = judged([coded("m1", "ann", "Y")], book=CodeBook({"X": "ann"}, {"ann": "X"}))
    assert first.book.freed == {"X": "m1"}
    second = judged([coded("m2", "bob", "X")], book=first.book)
    assert second.waits == {"m2": "m1"}
    assert second.book.freed == {}


def test_a_call_that_is_rejected_claims_nothing() -> None:
    broken = replace(coded("m1", "ann", "X"), problem="NULL id")
    unreadable = identify("m2", "bob", referral_code="X", photo=BrokenText(b"x"))
    judgement = judged([broken, unreadable, coded("m3", "cid", "X")])
    assert reasons(judgement) == {"m1": Reason.INVALID_ROW, "m2": Reason.INVALID_ROW}
    assert details(judgement) == {"m1": "NULL id", "m2": "trait photo: text that is no UTF-8 has no JSON form"}
    assert judgement.claims == {"m3": Claim("X", "cid", None)}


def test_a_numeric_code_is_the_same_code_as_its_text() -> None:
    judgement = judged([coded("m1", "ann", 42), coded("m2", "bob", "42")])
    assert reasons(judgement) == {"m2": Reason.REFERRAL_CODE_TAKEN}


@pytest.mark.parametrize("without", [{}, {"referral_code": ""}, {"referral_code": ["X"]}])
def test_a_conversion_event_needs_a_referral_code(without: dict[str, Any]) -> None:
    rows = [track("m1", "ann", "signup", **without), track("m2", "ann", "signup", referral_code="X"), track("m3", "ann", "buy", **without)]
    judgement = judged(rows)
    assert reasons(judgement) == {"m1": Reason.MISSING_REFERRAL_CODE}


def test_a_track_never_claims_a_code_nor_minds_its_owner() -> None:
    book = CodeBook({"X": "bob"}, {"bob": "X"})
    judgement = judged(
        [track("m1", "ann", "signup", referral_code="X"), track("m2", "ann", "signup", referral_code="Y"), coded("m1", "cid", "Z")],
        book=book,
    )
    assert judgement.rejected == []
    assert judgement.claims == {"m1": Claim("Z", "cid", None)}


@pytest.mark.parametrize("event", [None, "", "  "])
def test_a_track_needs_an_event_name(event: str | None) -> None:
    judgement = judged([track("m1", "ann", event), identify("m2", "ann")])
    assert reasons(judgement) == {"m1": Reason.MISSING_EVENT_NAME}


def test_the_first_reason_in_the_order_of_the_contract_is_given() -> None:
    everything = replace(identify("m1", " ", None, anonymous_id="anon", referral_code="X"), problem="NULL id")
    book = CodeBook({"X": "bob"}, {"bob": "X"})
    steps = [
        (everything, Reason.MISSING_USER_ID),
        (replace(everything, user_id="ann"), Reason.ANONYMOUS_ID_PRESENT),
        (replace(everything, user_id="ann", anonymous_id=None), Reason.REFERRAL_CODE_TAKEN),
        (replace(everything, user_id="bob", anonymous_id=None), Reason.INVALID_ROW),
        (replace(track("m1", "ann", "signup"), problem="NULL id"), Reason.MISSING_REFERRAL_CODE),
        (replace(track("m1", "ann", None), problem="NULL id"), Reason.MISSING_EVENT_NAME),
        (replace(track("m1", "ann"), problem="NULL id"), Reason.INVALID_ROW),
    ]
    assert [reasons(judged([row], book=book))["m1"] for row, _ in steps] == [reason for _, reason in steps]


def test_no_calls_are_judged() -> None:
    book = CodeBook({"X": "ann"}, {"ann": "X"})
    assert judged([], book=book) == Judgement([], [], [], {}, {}, book)


def test_reasons_stay_enum_members_and_details_stay_none() -> None:
    rejected = judged([identify("m1", None), identify("m2", "ann")]).rejected
    assert [(type(reason), detail) for _, reason, detail in rejected] == [(Reason, None)]


def test_the_book_given_is_left_as_it_was() -> None:
    owners, codes, freed = {"X": "ann"}, {"ann": "X"}, {"W": "m0"}
    judged([coded("m1", "ann", "W"), coded("m2", "bob", "X")], book=CodeBook(owners, codes, freed))
    assert (owners, codes, freed) == ({"X": "ann"}, {"ann": "X"}, {"W": "m0"})


ROWS = st.lists(
    st.builds(
        SourceRow,
        stream=st.sampled_from(STREAMS),
        message_id=st.just(""),
        user_id=st.sampled_from([None, "", "\u2003", "ann", "bob", "cid", "ann", "bob", "cid"]),
        anonymous_id=st.sampled_from([None, None, None, "", " ", "anon"]),
        event=st.sampled_from([None, "", " ", "signup", "buy"]),
        event_slug=st.none(),
        received_at=st.just(NOON),
        occurred_at=st.just(NOON),
        fields=st.sampled_from([None, "", "X", "Y", "Z", 7]).map(lambda code: {} if code is None else {"referral_code": code}),
        problem=st.sampled_from([None, None, None, "NULL id"]),
    ),
    max_size=25,
).map(lambda rows: [replace(row, message_id=f"m{at}") for at, row in enumerate(rows)])
POLICIES = st.builds(Policy, st.sampled_from(AnonymousCalls), st.sampled_from([frozenset(), frozenset({"signup"})]))
BOOKS = st.sampled_from(
    [CodeBook(), CodeBook({"X": "ann"}, {"ann": "X"}), CodeBook({"X": "dan", "7": "bob"}, {"dan": "X", "bob": "7"}, {"Y": "m-earlier"})]
)


class Reference:
    """The rules, one row after the other."""

    def __init__(self, policy: Policy, book: CodeBook) -> None:
        self.policy = policy
        self.code_of = dict(book.codes)
        self.claims: dict[str, Claim] = {}

    def verdict(self, row: SourceRow) -> tuple[Reason | None, str | None]:
        code = str(row.fields.get("referral_code", ""))
        if row.user_id is None or row.user_id.strip() == "":
            return Reason.MISSING_USER_ID, None
        if self.policy.anonymous_calls == "drop" and row.anonymous_id is not None and row.anonymous_id.strip():
            return Reason.ANONYMOUS_ID_PRESENT, None
        reason, detail = self.identify(row.user_id, code) if row.stream == Stream.IDENTIFIES else (self.track(row, code), None)
        if reason is None and row.problem is not None:
            return Reason.INVALID_ROW, row.problem
        if reason is None and row.stream == Stream.IDENTIFIES and code and self.code_of.get(row.user_id) != code:
            self.claims[row.message_id] = Claim(code, row.user_id, self.code_of.get(row.user_id))
            self.code_of[row.user_id] = code
        return reason, detail

    def identify(self, own_id: str, code: str) -> tuple[Reason | None, str | None]:
        owners = [user_id for user_id, own in self.code_of.items() if own == code and user_id != own_id]
        return (Reason.REFERRAL_CODE_TAKEN, f"owned by user {owners[0]}") if owners and code else (None, None)

    def track(self, row: SourceRow, code: str) -> Reason | None:
        if row.event in self.policy.conversion_events and not code:
            return Reason.MISSING_REFERRAL_CODE
        return Reason.MISSING_EVENT_NAME if row.event is None or row.event.strip() == "" else None


@given(ROWS, POLICIES, BOOKS)
def test_the_rules_agree_with_the_reference(rows: list[SourceRow], policy: Policy, book: CodeBook) -> None:
    reference = Reference(policy, book)
    verdicts = {row.message_id: reference.verdict(row) for row in rows}
    judgement = judged(rows, policy, book)
    assert accepted(judgement) == [name for name, (reason, _) in verdicts.items() if reason is None]
    assert reasons(judgement) == {name: reason for name, (reason, _) in verdicts.items() if reason is not None}
    assert details(judgement) == {name: detail for name, (reason, detail) in verdicts.items() if reason is not None}
    assert judgement.claims == reference.claims
    assert judgement.book.codes == reference.code_of
    assert judgement.book.owners == {code: user_id for user_id, code in reference.code_of.items()}


@given(ROWS, POLICIES, BOOKS, st.integers(1, 7))
def test_chunks_of_any_size_give_the_same_verdicts(rows: list[SourceRow], policy: Policy, book: CodeBook, size: int) -> None:
    whole = judged(rows, policy, book)
    parts, current = [], book
    for start in range(0, len(rows), size):
        parts.append(judged(rows[start : start + size], policy, current))
        current = parts[-1].book
    assert [name for part in parts for name in accepted(part)] == accepted(whole)
    assert {name: reason for part in parts for name, reason in reasons(part).items()} == reasons(whole)
    assert {name: claim for part in parts for name, claim in part.claims.items()} == whole.claims
    waits = {name: wanted for part in parts for name, wanted in part.waits.items()}
    user_of = {row.message_id: row.user_id for row in rows}
    assert {name: wanted for name, wanted in waits.items() if user_of[name] != user_of.get(wanted)} == whole.waits
    assert current == whole.book


@given(ROWS, POLICIES, BOOKS)
def test_every_row_is_accepted_or_rejected_once(rows: list[SourceRow], policy: Policy, book: CodeBook) -> None:
    judgement = judged(rows, policy, book)
    both = [*accepted(judgement), *reasons(judgement)]
    assert sorted(both) == sorted(row.message_id for row in rows)
    assert set(judgement.claims) <= set(accepted(judgement))
    assert set(judgement.waits) <= set(judgement.claims)
