"""A late Identify call brings only what no newer call carried: examples, and any order of loads against the simplest model."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from decimal import Decimal

import orjson
from builders import identify
from hypothesis import given, settings
from hypothesis import strategies as st
from warehouse import at

from rehook_sync.models import AnonymousCalls, Customer, Operation, SourceRow, Traits
from rehook_sync.rules.bodies import Names, build_operations, shape
from rehook_sync.rules.traits import after_doubt, after_sending, after_skipping, find_news, is_superseded
from rehook_sync.rules.validation import CodeBook, Policy, judge
from rehook_sync.state.customers import customer_rows, parse_traits, write_traits


def operations(*rows: SourceRow, merge: bool = True) -> list[Operation]:
    judgement = judge(shape(rows, Names()), Policy(AnonymousCalls.DROP, frozenset()), CodeBook())
    return build_operations(judgement.accepted, judgement.claims, {}, waits=judgement.waits, merge=merge)


def known_of(*rows: SourceRow) -> Traits:
    known: Traits | None = None
    for operation in operations(*rows):
        known = after_sending(operation, known)
    assert known is not None
    return known


def sent_of(known: Traits, *rows: SourceRow) -> list[str | None]:
    found = [find_news(operation, known) for operation in operations(*rows)]
    return [None if each is None else each.body.decode() for each in found]


NEW = identify("m5", "ada", at(5), plan="pro", seats=5)


def test_a_late_call_brings_only_what_no_newer_call_carried() -> None:
    known = known_of(NEW)
    assert sent_of(known, identify("m1", "ada", at(1), plan="free", city="Bonn")) == ['{"source_id":"ada","metadata":{"city":"Bonn"}}']
    assert sent_of(known, identify("m9", "ada", at(9), plan="free", city="Bonn")) == [
        '{"source_id":"ada","metadata":{"plan":"free","city":"Bonn"}}'
    ]


def test_of_two_calls_at_one_instant_the_greater_id_is_newer() -> None:
    known = known_of(NEW)
    assert sent_of(known, identify("m4", "ada", at(5), plan="free")) == [None]
    assert sent_of(known, identify("m6", "ada", at(5), plan="free")) == ['{"source_id":"ada","metadata":{"plan":"free"}}']


def test_only_a_late_call_that_says_something_else_is_superseded() -> None:
    known = known_of(NEW)
    [other], [same] = operations(identify("m1", "ada", at(1), plan="free")), operations(identify("m1", "ada", at(1), plan="pro"))
    assert (find_news(other, known), is_superseded(other, known)) == (None, True)
    assert (find_news(same, known), is_superseded(same, known)) == (None, False)
    assert not is_superseded(other, None)


def test_of_a_merged_request_each_trait_has_the_time_of_the_call_that_carried_it() -> None:
    rows = [identify("m1", "ada", at(1), plan="free", city="Bonn"), identify("m9", "ada", at(9), city="Ulm")]
    assert sent_of(known_of(NEW), *rows) == ['{"source_id":"ada","metadata":{"city":"Ulm"}}']
    assert sent_of(known_of(*rows), identify("m5", "ada", at(5), plan="pro", city="Kiel")) == [
        '{"source_id":"ada","metadata":{"plan":"pro"}}'
    ]


def test_a_call_that_says_the_same_again_makes_its_traits_newer() -> None:
    known = known_of(NEW)
    [again] = operations(identify("m7", "ada", at(7), plan="pro"))
    assert find_news(again, known) is None
    known = after_skipping(again, known) or {}
    assert after_skipping(again, known) is None
    assert sent_of(known, identify("m6", "ada", at(6), plan="free", seats=6)) == ['{"source_id":"ada","metadata":{"seats":6}}']


def test_a_late_call_keeps_its_numbers_digit_by_digit() -> None:

    row = identify("m1", "ada", at(1), plan="free", total=Decimal("12345678901234567890.123456789"), big=2**70, small=1e-7, note="ä\u2028")
    assert sent_of(known_of(NEW), row) == [
        '{"source_id":"ada","metadata":{"total":12345678901234567890.123456789,"big":1180591620717411303424,"small":1e-7,"note":"ä\u2028"}}'
    ]


def test_a_late_code_is_left_out_with_its_trait() -> None:
    known = known_of(identify("m5", "ada", at(5), referral_code="NEW"))
    row = identify("m1", "ada", at(1), referral_code="OLD", plan="free")
    assert sent_of(known, row) == ['{"source_id":"ada","metadata":{"plan":"free"}}']


def test_what_earlier_versions_recorded_has_no_time_and_is_older_than_any_call() -> None:
    [operation] = operations(NEW)
    known = parse_traits(orjson.dumps(dict(operation.trait_hashes)).decode())
    assert known == {key: (value, None) for key, value in operation.trait_hashes.items()}
    assert sent_of(known, NEW) == [None]
    assert sent_of(known, identify("m1", "ada", at(1), plan="free")) == ['{"source_id":"ada","metadata":{"plan":"free"}}']


def test_traits_are_written_by_the_calls_that_carried_them_and_read_back() -> None:
    known = {**known_of(NEW), "old": ("0123456789abcdef", None), "city": ("fedcba9876543210", (at(9), "m9"))}
    text = write_traits(known)
    assert orjson.loads(text)[1:] == [
        [None, "", {"old": "0123456789abcdef"}],
        [at(9).isoformat()[:19] + ".000000Z", "m9", {"city": "fedcba9876543210"}],
    ]
    assert parse_traits(text) == known
    assert parse_traits(f'["unsure",["unsure",{text}]]') == {key: ("", moment) for key, (_, moment) in known.items()}
    assert parse_traits('["unsure",{"plan":"0123456789abcdef"}]') == {"plan": ("", None)}


def test_the_time_and_the_id_of_a_call_take_73_bytes_per_customer() -> None:
    row = identify("2a62ae7e-6722-48b1-9ca4-4b00309e30a8", "ada", at(5), plan="pro", seats=5)
    assert len(write_traits(known_of(row))) - len(orjson.dumps({key: value for key, (value, _) in known_of(row).items()})) == 73


CALLS = st.lists(
    st.tuples(
        st.integers(0, 6),
        st.dictionaries(st.sampled_from("abcd"), st.integers(0, 2), max_size=3),
        st.integers(0, 4),
        st.sampled_from("oooolu"),
    ),
    min_size=1,
    max_size=14,
)


@given(CALLS)
@settings(max_examples=40)
def test_each_trait_ends_as_the_newest_call_says_whatever_the_order_of_loads(calls: Sequence[tuple[int, dict[str, int], int, str]]) -> None:
    """Each call has a time, traits, the load that brings it, and what becomes of its first request: ok, lost on its way, unanswered."""
    rows = [replace(identify(f"m{place:02}", "ada", at(second)), fields=dict(traits)) for place, (second, traits, _, _) in enumerate(calls)]
    fate = {f"m{place:02}": each for place, (_, _, _, each) in enumerate(calls)}
    load = {f"m{place:02}": each for place, (_, _, each, _) in enumerate(calls)}
    receiver: dict[str, object] = {}
    known: Traits | None = None
    waiting: list[SourceRow] = []
    for number in range(6):
        due = sorted([*waiting, *(row for row in rows if load[row.message_id] == number)], key=_order)
        waiting = []
        for operation in operations(*due):
            known, lost = _deliver(operation, receiver, known, fate, blocked=bool(waiting))
            waiting += [row for row in due if lost and row.message_id in {call.message_id for call in operation.calls}]
    assert not waiting
    wanted: dict[str, object] = {}
    for row in sorted(rows, key=_order):
        wanted.update(row.fields)
    assert receiver == wanted


def _order(row: SourceRow) -> tuple[object, str]:
    return row.occurred_at, row.message_id


def _deliver(
    operation: Operation, receiver: dict[str, object], known: Traits | None, fate: dict[str, str], *, blocked: bool
) -> tuple[Traits | None, bool]:
    """Deliver one request; tell what is known afterwards, and whether it is tried again with the next load."""
    news = find_news(operation, known)
    if blocked:
        return known, True
    if news is None:
        return after_skipping(operation, known) or known, False
    now, fate[news.call.message_id] = fate[news.call.message_id], "o"
    if now != "l":
        metadata: Mapping[str, object] = orjson.loads(news.body)["metadata"]
        receiver.update(metadata)
    if now == "o":
        return after_sending(news, known), False
    return (after_doubt(news, known) if now == "u" else known), True


def test_a_customer_sent_and_unchanged_in_one_batch_was_sent() -> None:
    first, known = known_of(identify("m1", "u", plan="a")), known_of(identify("m2", "u", plan="a"))
    rows = orjson.loads(customer_rows([Customer("u", first, "m1", sent=True, code="C"), Customer("u", known)]))
    assert rows == [["u", write_traits(known), "m1", True, "C"]]
