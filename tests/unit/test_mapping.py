"""Bodies exactly as Segment's connector sends them, and merging that nobody at Rehook can tell from sending each call."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import partial
from itertools import pairwise

import pytest
from builders import identify, track
from hypothesis import given
from hypothesis import strategies as st
from warehouse import NOON

from rehook_sync.models import STREAMS, AnonymousCalls, Claim, Operation, PreviousOutcome, SourceRow, Stream, Traits
from rehook_sync.rules.bodies import Names, build_operations, shape
from rehook_sync.rules.hashes import payload_hash, value_hash
from rehook_sync.rules.traits import after_sending, find_news
from rehook_sync.rules.validation import CodeBook, Policy, judge
from rehook_sync.values import BrokenText, InfiniteTime

RESERVED = Names({"first_name": "firstName", "last_name": "lastName", "created_at": "createdAt"}, {}, frozenset())
SECRET = "s3cret-value"

an_identify = partial(identify, "m1", "userId12345")
a_track = partial(track, "m1", "userId12345", "signup")


def operations(rows: Sequence[SourceRow], names: Names = RESERVED, *, merge: bool = True) -> list[Operation]:
    judgement = judge(shape(rows, names), Policy(AnonymousCalls.DROP, frozenset()), CodeBook())
    return build_operations(judgement.accepted, judgement.claims, {}, waits=judgement.waits, merge=merge)


def body(row: SourceRow, names: Names = RESERVED) -> str:
    return operations([row], names)[0].body.decode()


def metadata(row: SourceRow, names: Names = RESERVED) -> Mapping[str, object]:
    return shape([row], names)[0].metadata


def problem(row: SourceRow, names: Names = RESERVED) -> object:
    return shape([row], names)[0].problem


def test_the_identify_of_the_page_has_exactly_its_body() -> None:
    row = an_identify(
        first_name="Bob", last_name="Dole", email="bob.dole@example.com", company="Initech", employees=234, referral_code="ERTYUS"
    )
    assert body(row) == (
        '{"source_id":"userId12345","metadata":{"firstName":"Bob","lastName":"Dole","email":"bob.dole@example.com",'
        '"company":"Initech","employees":234,"referral_code":"ERTYUS"},"referral_code":"ERTYUS"}'
    )


def test_the_track_of_the_page_has_exactly_its_body() -> None:
    assert (
        body(a_track(referral_code="ERTYUS")) == '{"event_name":"signup","source_id":"userId12345","metadata":{"referral_code":"ERTYUS"}}'
    )


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        (an_identify(), '{"source_id":"userId12345","metadata":{}}'),
        (an_identify(referral_code=""), '{"source_id":"userId12345","metadata":{"referral_code":""}}'),
        (an_identify(referral_code=" "), '{"source_id":"userId12345","metadata":{"referral_code":" "}}'),
        (an_identify(referral_code=" x "), '{"source_id":"userId12345","metadata":{"referral_code":" x "},"referral_code":" x "}'),
        (an_identify(referral_code=7), '{"source_id":"userId12345","metadata":{"referral_code":7},"referral_code":"7"}'),
        (an_identify(referral_code=7.0), '{"source_id":"userId12345","metadata":{"referral_code":7},"referral_code":"7"}'),
        (an_identify(referral_code=True), '{"source_id":"userId12345","metadata":{"referral_code":true},"referral_code":"true"}'),
        (
            an_identify(referral_code=2**70),
            f'{{"source_id":"userId12345","metadata":{{"referral_code":{2**70}}},"referral_code":"{2**70}"}}',
        ),
        (an_identify(name="Zoë 🎁"), '{"source_id":"userId12345","metadata":{"name":"Zoë 🎁"}}'),
        (track("m1", "userId12345", "Order Completed"), '{"event_name":"Order Completed","source_id":"userId12345","metadata":{}}'),
        (a_track(referral_code=7), '{"event_name":"signup","source_id":"userId12345","metadata":{"referral_code":7}}'),
        (a_track(referral_code=["X"]), '{"event_name":"signup","source_id":"userId12345","metadata":{"referral_code":["X"]}}'),
    ],
)
def test_bodies_follow_the_connector(row: SourceRow, expected: str) -> None:
    assert body(row) == expected


def test_values_keep_their_kind_beside_rows_without_them() -> None:
    rows = [
        identify("m1", "userId12345", employees=234, vip=True, spent=Decimal("19.99"), created_at=NOON, born=date(1990, 2, 3)),
        identify("m2", "userId12345"),
        identify("m3", "userId12345", employees=2**53 + 1, vip=False, spent=Decimal("0.12345678901234567890"), created_at=None),
    ]
    bodies = [operation.body.decode() for operation in operations(rows, merge=False)]
    assert bodies[0] == (
        '{"source_id":"userId12345","metadata":{"employees":234,"vip":true,"spent":19.99,'
        '"createdAt":"2026-11-01T12:00:00.000Z","born":"1990-02-03"}}'
    )
    assert bodies[1] == '{"source_id":"userId12345","metadata":{}}'
    assert bodies[2] == '{"source_id":"userId12345","metadata":{"employees":9007199254740993,"vip":false,"spent":0.12345678901234567890}}'


@pytest.mark.parametrize("rows", [[], [an_identify()], [an_identify(), track("m2", "ann", referral_code="X"), identify("m3", "ann", None)]])
def test_each_row_is_shaped_in_its_place(rows: list[SourceRow]) -> None:
    calls = shape(rows, RESERVED)
    assert [call.row for call in calls] == rows
    assert all(call.row is row for call, row in zip(calls, rows, strict=True))


def test_reserved_traits_are_translated_back_and_properties_are_not() -> None:
    assert metadata(an_identify(first_name="Bob", plan_type="x")) == {"firstName": "Bob", "plan_type": "x"}
    assert metadata(a_track(first_name="Bob")) == {"first_name": "Bob"}
    assert metadata(a_track(order_id=1), Names({}, {"order_id": "orderId"})) == {"orderId": 1}


def test_excluded_columns_are_never_sent_even_when_they_could_not_be() -> None:
    names = Names({"ssn": "socialNumber"}, {}, frozenset({"ssn", "photo", "referral_code"}))
    for row in (
        an_identify(ssn="1", photo=b"x", name="Bob", referral_code="X"),
        a_track(ssn="1", photo=b"x", name="Bob", referral_code="X"),
    ):
        assert metadata(row, names) == {"name": "Bob"}
        assert problem(row, names) is None
        assert shape([row], names)[0].referral_code is None


def test_a_renamed_column_can_be_the_referral_code() -> None:
    names = Names({"ref": "referral_code"}, {"ref": "referral_code"})
    assert body(an_identify(ref="X"), names) == '{"source_id":"userId12345","metadata":{"referral_code":"X"},"referral_code":"X"}'
    assert shape([a_track(ref="X")], names)[0].referral_code == "X"


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"firstName": "plain", "first_name": "named"}, {"firstName": "named"}),
        ({"first_name": "named", "firstName": "plain"}, {"firstName": "named"}),
        ({"fname": "later entry", "first_name": "named"}, {"firstName": "later entry"}),
        ({"first_name": "named", "x": 1, "fname": "later entry"}, {"firstName": "later entry", "x": 1}),
        ({"first_name": None, "firstName": "plain"}, {"firstName": "plain"}),
        ({"fname": BrokenText(b"x"), "firstName": "plain"}, {"firstName": "plain"}),
        ({"fname": float("nan"), "firstName": "plain"}, {"firstName": "plain"}),
    ],
)
def test_the_column_named_in_the_settings_wins_a_key(fields: dict[str, object], expected: dict[str, object]) -> None:
    found = metadata(replace(an_identify(), fields=fields), Names({"first_name": "firstName", "fname": "firstName"}))
    assert list(found.items()) == list(expected.items())


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (an_identify(photo=BrokenText(SECRET.encode())), "trait photo: text that is no UTF-8 has no JSON form"),
        (a_track(total=float("inf"), things={SECRET}), "property things: a value of type set has no JSON form"),
        (an_identify(note=f"{SECRET}\ud800"), "trait note: text with half a surrogate pair has no JSON form"),
        (an_identify(referral_code=[SECRET]), "referral_code: a value of type list has no text form"),
        (replace(an_identify(), fields={"bad\ud800": 1}), "trait bad\\ud800: text with half a surrogate pair has no JSON form"),
        (replace(an_identify(), fields={"line\n": BrokenText()}), "trait line\\n: text that is no UTF-8 has no JSON form"),
        (replace(an_identify(photo=BrokenText(b"x")), problem="NULL id"), "NULL id"),
    ],
)
def test_a_problem_names_column_and_kind_but_not_the_value(row: SourceRow, message: str) -> None:
    assert problem(row) == message
    assert SECRET not in message


def test_what_is_not_finite_is_left_out_like_null_and_counted() -> None:
    left_out: Counter[str] = Counter()
    nan = float("nan")
    rows = [
        an_identify(email="a", employees=nan, until=InfiniteTime("infinity")),
        identify("m2", "ann", employees=Decimal("Infinity"), scores=[1.0, nan], nested={"a": nan, "b": 2.0}),
        track("m3", "ann", total=float("-inf")),
    ]
    calls = shape(rows, RESERVED, left_out)
    assert [call.metadata for call in calls] == [{"email": "a"}, {"scores": [1, None], "nested": {"b": 2}}, {}]
    assert [call.problem for call in calls] == [None, None, None]
    assert left_out == {"employees": 2, "until": 1, "scores": 1, "nested": 1, "total": 1}


def test_a_code_that_is_not_finite_is_none() -> None:
    assert body(an_identify(referral_code=float("nan"))) == '{"source_id":"userId12345","metadata":{}}'


def test_what_the_state_holds_of_earlier_versions_is_not_sent_again() -> None:
    """The hashes are those that version 0.1.0 wrote."""
    fields: dict[str, object] = {
        "seats": 20.0,
        "zero": -0.0,
        "seen": datetime(2026, 11, 1, 12, 0, 0, 123456, tzinfo=UTC),
        "plan": "pro",
        "half": 0.5,
    }
    known: Traits = {
        "seats": ("f4177a2796c7dcb4", None),
        "zero": ("7c77a08de500c483", None),
        "seen": ("531f2ed67c459700", None),
        "plan": ("c8909adeaa0d8b8b", None),
        "half": ("9dc20b0f158046e0", None),
    }
    [operation] = operations([replace(an_identify(), fields=fields)])
    assert find_news(operation, known) is None
    for name, other in {"seats": 21.0, "zero": 1.0, "seen": NOON, "plan": "free", "half": 1.0}.items():
        [operation] = operations([replace(an_identify(), fields={**fields, name: other})])
        assert find_news(operation, known) == operation
    [operation] = operations([replace(an_identify(), fields={**fields, "more": 1})])
    assert find_news(operation, known) == operation


def test_what_can_be_sent_of_a_broken_row_is_still_judged() -> None:
    [call] = shape([an_identify(photo=BrokenText(b"x"), referral_code="X", first_name="Bob")], RESERVED)
    assert call.metadata == {"referral_code": "X", "firstName": "Bob"}
    assert call.referral_code == "X"


def test_an_operation_carries_its_call_hashes_claim_and_previous_outcome() -> None:
    previous = PreviousOutcome("server_error", None, 500, 3, "run-1")
    calls = shape([an_identify(email="a", referral_code=7)], RESERVED)
    claims = {"m1": Claim("7", "userId12345", None)}
    [operation] = build_operations(calls, claims, {(Stream.IDENTIFIES, "m1"): previous}, waits={"m1": "m0"}, merge=True)
    assert operation.call.payload_hash == payload_hash(operation.body)
    assert operation.call.previous is previous
    assert (operation.call.message_id, operation.call.received_at, operation.call.occurred_at) == ("m1", NOON, NOON)
    assert operation.claim == claims["m1"]
    assert operation.waits_for == "m0"
    assert operation.parts == ()
    assert operation.trait_hashes == {
        "email": value_hash("userId12345", "email", "a"),
        "referral_code": value_hash("userId12345", "referral_code", 7),
    }


def test_a_track_of_the_same_message_id_has_no_part_in_a_claim() -> None:
    [operation] = build_operations(
        shape([a_track()], RESERVED), {"m1": Claim("X", "userId12345", None)}, {}, waits={"m1": "m0"}, merge=True
    )
    assert (operation.claim, operation.waits_for, dict(operation.trait_hashes)) == (None, None, {})
    assert (operation.call.event, operation.stream) == ("signup", Stream.TRACKS)


def test_neighbouring_identifies_become_one_request_where_the_first_stood() -> None:
    rows = [
        identify("m1", "userId12345", a=1, b=1, referral_code="X"),
        identify("m2", "bob", c=3),
        identify("m3", "userId12345", b=2, d=4, referral_code="Y"),
    ]
    merged, other = operations(rows)
    assert merged.body.decode() == '{"source_id":"userId12345","metadata":{"a":1,"b":2,"referral_code":"Y","d":4},"referral_code":"Y"}'
    assert [call.message_id for call in merged.calls] == ["m1", "m3"]
    assert merged.call.message_id == "m3"
    assert [part.body.decode() for part in merged.parts] == [
        '{"source_id":"userId12345","metadata":{"a":1,"b":1,"referral_code":"X"},"referral_code":"X"}',
        '{"source_id":"userId12345","metadata":{"b":2,"d":4,"referral_code":"Y"},"referral_code":"Y"}',
    ]
    assert [part.calls for part in merged.parts] == [(call,) for call in merged.calls]
    assert [call.payload_hash for call in merged.calls] == [payload_hash(part.body) for part in merged.parts]
    assert merged.claim == Claim("Y", "userId12345", None)
    assert [part.claim for part in merged.parts] == [Claim("X", "userId12345", None), Claim("Y", "userId12345", "X")]
    assert merged.trait_hashes == {
        key: value_hash("userId12345", key, value) for key, value in {"a": 1, "b": 2, "referral_code": "Y", "d": 4}.items()
    }
    assert (other.user_id, other.parts) == ("bob", ())


def test_an_event_of_the_user_keeps_identifies_apart() -> None:
    rows = [identify("m1", "ann", a=1), track("m2", "bob"), identify("m3", "ann", a=2), track("m4", "ann"), identify("m5", "ann", a=3)]
    assert [[call.message_id for call in operation.calls] for operation in operations(rows)] == [["m1", "m3"], ["m2"], ["m4"], ["m5"]]


def test_nothing_is_merged_when_every_call_is_wanted() -> None:
    rows = [identify("m1", "ann", a=1), identify("m2", "ann", a=1)]
    assert [operation.call.message_id for operation in operations(rows, merge=False)] == ["m1", "m2"]
    assert all(operation.parts == () for operation in operations(rows, merge=False))


def test_a_code_emptied_later_stays_the_customers_code() -> None:
    [merged] = operations([identify("m1", "userId12345", referral_code="X"), identify("m2", "userId12345", referral_code="")])
    assert merged.body.decode() == '{"source_id":"userId12345","metadata":{"referral_code":""},"referral_code":"X"}'


def test_a_code_given_away_and_taken_back_is_no_claim() -> None:
    calls = shape([identify("m1", "userId12345", referral_code="Y"), identify("m2", "userId12345", referral_code="X")], RESERVED)
    book = CodeBook({"X": "userId12345"}, {"userId12345": "X"})
    judgement = judge(calls, Policy(AnonymousCalls.DROP, frozenset()), book)
    [merged] = build_operations(judgement.accepted, judgement.claims, {}, waits=judgement.waits, merge=True)
    assert merged.claim is None
    assert [part.claim for part in merged.parts] == [Claim("Y", "userId12345", "X"), Claim("X", "userId12345", "Y")]


def test_a_call_that_waits_starts_a_new_request() -> None:
    rows = [
        identify("m1", "ann", referral_code="X"),
        identify("m2", "bob", a=1),
        identify("m3", "ann", referral_code="Y"),
        identify("m4", "bob", referral_code="X"),
        identify("m5", "bob", a=2),
    ]
    found = operations(rows)
    assert [[call.message_id for call in operation.calls] for operation in found] == [["m1", "m3"], ["m2"], ["m4", "m5"]]
    assert [operation.waits_for for operation in found] == [None, None, "m3"]


def test_unchanged_means_every_trait_is_known_to_be_there() -> None:
    [operation] = operations([an_identify(a=1, b=2)])
    known = after_sending(operation, None)
    assert find_news(operation, known) is None
    assert find_news(operation, {**known, "c": ("more", None)}) is None
    assert find_news(operation, {"a": known["a"]}) == operation
    assert find_news(operation, {**known, "b": known["a"]}) == operation
    assert find_news(operation, None) == operation


def test_no_traits_at_all_are_unchanged_only_for_a_known_customer() -> None:
    [operation] = operations([an_identify()])
    assert find_news(operation, {}) is None
    assert find_news(operation, None) == operation


VALUES = st.none() | st.booleans() | st.integers(-3, 3) | st.sampled_from(["", "x", "ä"])
CODES = st.sampled_from(["", "X", "Y", "Z", 7])
FIELDS: st.SearchStrategy[dict[str, object]] = st.dictionaries(st.sampled_from(["a", "b", "first_name", "firstName"]), VALUES, max_size=3)


def with_code(fields: dict[str, object], code: object) -> dict[str, object]:
    return fields if code is None else {**fields, "referral_code": code}


ROWS = st.lists(st.tuples(st.sampled_from(STREAMS), st.sampled_from(["ann", "bob"]), FIELDS, st.none() | CODES), max_size=20).map(
    lambda rows: [
        SourceRow(stream, f"m{at}", user_id, None, "buy", "buy", NOON, NOON, with_code(fields, code))
        for at, (stream, user_id, fields, code) in enumerate(rows)
    ]
)


def received(found: Sequence[Operation]) -> tuple[dict[str, object], list[object]]:
    """What a Rehook double holds in the end, and each event with its customer as it was then."""
    customers: dict[str, dict[str, object]] = {}
    events: dict[str, list[object]] = {}
    for operation in found:
        sent = json.loads(operation.body)
        customer = customers.setdefault(operation.user_id, {"metadata": {}})
        if operation.stream == Stream.TRACKS:
            events.setdefault(operation.user_id, []).append((sent, json.dumps(customer, sort_keys=True)))
            continue
        customer["metadata"] = {**dict(customer["metadata"]), **sent["metadata"]}  # type: ignore[call-overload]
        if "referral_code" in sent:
            customer["referral_code"] = sent["referral_code"]
    return dict(customers), [events.get(user_id) for user_id in ("ann", "bob")]


@given(ROWS)
def test_merged_requests_leave_the_same_customers_and_events(rows: list[SourceRow]) -> None:
    assert received(operations(rows)) == received(operations(rows, merge=False))


@given(ROWS)
def test_merging_loses_no_call_and_keeps_each_users_order(rows: list[SourceRow]) -> None:
    alone, merged = operations(rows, merge=False), operations(rows)
    carried = [call for operation in merged for call in operation.calls]
    for user_id in ("ann", "bob"):
        assert [call for call in carried if call.user_id == user_id] == [each.call for each in alone if each.user_id == user_id]
    single = {operation.call: operation for operation in alone}
    for operation in merged:
        assert operation.parts == (() if len(operation.calls) == 1 else tuple(single[call] for call in operation.calls))


@given(ROWS)
def test_a_request_waits_only_for_one_that_stands_before_it(rows: list[SourceRow]) -> None:
    found = operations(rows)
    place = {call.message_id: at for at, operation in enumerate(found) for call in operation.calls if operation.stream == Stream.IDENTIFIES}
    for at, operation in enumerate(found):
        assert operation.waits_for is None or place[operation.waits_for] < at


@given(ROWS)
def test_merged_neighbours_are_really_neighbours(rows: list[SourceRow]) -> None:
    found = operations(rows)
    order = {row.message_id: at for at, row in enumerate(rows)}
    for operation in found:
        for earlier, later in pairwise(operation.calls):
            between = rows[order[earlier.message_id] + 1 : order[later.message_id]]
            assert not any(row.stream == Stream.TRACKS and row.user_id == operation.user_id for row in between)


@given(ROWS)
def test_bodies_are_json_with_the_keys_in_the_connectors_order(rows: list[SourceRow]) -> None:
    for operation in operations(rows):
        keys = list(json.loads(operation.body))
        assert keys in (["event_name", "source_id", "metadata"], ["source_id", "metadata"], ["source_id", "metadata", "referral_code"])
        assert json.dumps(json.loads(operation.body), separators=(",", ":"), ensure_ascii=False).encode() == operation.body


def test_operations_come_in_the_order_of_the_calls() -> None:
    calls = shape([identify("m1", "userId12345", a=1), identify("m2", "bob")], RESERVED)
    assert [operation.user_id for operation in build_operations(calls[::-1], {}, {}, waits={}, merge=True)] == ["bob", "userId12345"]
