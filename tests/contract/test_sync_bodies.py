"""What arrives at Rehook, byte for byte: the documented examples, the three layouts, exact values. Each run is audited."""

import json
import random
import string
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import accounting
import pytest
from accounting import ALL, Bench, ago, open_bench
from warehouse import NOON, Row, add_rows, event, identify, run_sql, track

from rehook_sync.jobs.results import RunOptions
from rehook_sync.models import Reason

bench = accounting.bench


@pytest.fixture(params=["sqlite-same", "postgresql-same"])
def one_database(request: pytest.FixtureRequest) -> Iterator[Bench]:
    """For what does not depend on where the sync-state tables are."""
    with open_bench(request.param, request) as opened:
        yield opened


def test_the_documented_examples_arrive_byte_for_byte(bench: Bench) -> None:
    traits = {"first_name": "Bob", "last_name": "Dole", "email": "bob.dole@example.com", "company": "Initech", "employees": 234}
    bench.fill(
        [
            identify("m0", "userId0", ago(hours=9), **dict.fromkeys(traits)),
            identify("m1", "userId12345", ago(hours=8), **traits, referral_code="ERTYUS"),
        ],
        [track("m2", "userId12345", "signup", ago(hours=7))],
        signup=[event("m2", ago(hours=7), referral_code="ERTYUS", order_id=None)],
    )
    bench.run(ALL, conversion_events=["signup"])
    assert bench.bodies("userId12345") == [
        '{"source_id":"userId12345","metadata":{"firstName":"Bob","lastName":"Dole","email":"bob.dole@example.com",'
        '"company":"Initech","employees":234,"referral_code":"ERTYUS"},"referral_code":"ERTYUS"}',
        '{"event_name":"signup","source_id":"userId12345","metadata":{"referral_code":"ERTYUS"}}',
    ]
    assert bench.bodies("userId0") == ['{"source_id":"userId0","metadata":{}}']
    (request, *_) = bench.sandbox.store.order_of("userId12345")
    assert request.idempotency_key == accounting.idempotency_key("identifies", "m1")


PROPERTIES: dict[str, Any] = {"order_id": "o-1", "quantity": 3, "gift": True, "note": "Grüße 🎁", "share": 0.25}


def layouts() -> dict[str, dict[str, Any]]:
    """The same two calls in each layout."""
    calls = [track("t1", "ada", "Order Completed", ago(hours=2)), track("t2", "ada", "Order Completed", ago(hours=1))]
    few = {"order_id": "o-2", "gift": False}
    table = [event("t1", ago(hours=2), **PROPERTIES), event("t2", ago(hours=1), **few)]
    return {
        "event_tables": {"tracks": calls, "order_completed": table},
        "columns": {"tracks": [{**calls[0], **PROPERTIES}, {**calls[1], **few}]},
        "json": {
            "tracks": [{**calls[0], "properties": PROPERTIES}, {**calls[1], "properties": few}],
            "types": {"tracks": {"properties": "json"}},
        },
    }


@pytest.mark.parametrize("layout", ["event_tables", "columns", "json"])
def test_every_layout_gives_the_same_bodies(one_database: Bench, layout: str) -> None:
    one_database.fill(**layouts()[layout])
    told = one_database.plan(ALL, samples=2, track_properties=layout).samples
    one_database.run(ALL)
    assert told == one_database.bodies()
    assert one_database.bodies() == [
        '{"event_name":"Order Completed","source_id":"ada","metadata":'
        '{"order_id":"o-1","quantity":3,"gift":true,"note":"Grüße 🎁","share":0.25}}',
        '{"event_name":"Order Completed","source_id":"ada","metadata":{"order_id":"o-2","gift":false}}',
    ]


def test_values_arrive_exactly(one_database: Bench) -> None:
    values: dict[str, tuple[Any, str | None]] = {
        "big": (2**53 + 1, "9007199254740993"),
        "bool": (True, "true"),
        "text": ('a"b\\c\n\u2028é漢🎉', None),
        "moment": (datetime(2026, 2, 28, 23, 59, 59, 987654, tzinfo=UTC), '"2026-02-28T23:59:59.987654Z"'),
        "exact": (datetime(2026, 2, 28, 23, 59, 59, 987000, tzinfo=UTC), '"2026-02-28T23:59:59.987Z"'),
        "whole": (20.0, "20"),
        "nothing": (-0.0, "0"),
        "large": (1e20, "100000000000000000000"),
        "larger": (1.5e21, "1.5e+21"),
        "small": (1.5e-7, "1.5e-7"),
        "empty": ("", '""'),
        "json_text": ('["a", {"b": 1}]', None),
        "half": (0.1, "0.1"),
        "negative": (-0.5, "-0.5"),
    }
    rows = [identify("m1", "ada", ago(hours=3), **{name: value for name, (value, _) in values.items()})]
    rows.append(identify("m2", "bob", ago(hours=2), **dict.fromkeys(values)))
    rows.append(identify("m3", "eve", ago(hours=1), big=0, bool=False))
    one_database.fill(rows)
    one_database.run(ALL, trait_names={})
    shown = {name: json.dumps(value, ensure_ascii=False) if text is None else text for name, (value, text) in values.items()}
    expected = ",".join(f'"{name}":{text}' for name, text in shown.items())
    assert one_database.bodies("ada") == [f'{{"source_id":"ada","metadata":{{{expected}}}}}']
    assert one_database.bodies("bob") == ['{"source_id":"bob","metadata":{}}']
    assert one_database.bodies("eve") == ['{"source_id":"eve","metadata":{"big":0,"bool":false}}']


EARLIER = {
    "seats": "6ad34fd74b589713",
    "zero": "cb048b632a2df322",
    "seen": "23d54a87b078f5fb",
    "plan": "c8dafd2394cf080e",
}


def test_properties_arrive_as_the_connector_sends_them(one_database: Bench) -> None:
    properties: dict[str, Any] = {
        "price": 20.0,
        "discount": -0.0,
        "total": 19.99,
        "ordered": datetime(2026, 11, 1, 12, 0, 0, 123456, tzinfo=UTC),
    }
    one_database.fill(
        [identify("m1", "ada", ago(hours=2), event="signup", event_text="Signup", type="b2b", score=5.0)],
        [track("t1", "ada", "Order Completed", ago(hours=1))],
        order_completed=[event("t1", ago(hours=1), **properties)],
    )
    one_database.run(ALL)
    assert one_database.bodies() == [
        '{"source_id":"ada","metadata":{"event":"signup","event_text":"Signup","type":"b2b","score":5}}',
        '{"event_name":"Order Completed","source_id":"ada",'
        '"metadata":{"price":20,"discount":0,"total":19.99,"ordered":"2026-11-01T12:00:00.123456Z"}}',
    ]


def test_customers_whom_an_earlier_version_told_the_same_are_not_sent_again(one_database: Bench) -> None:
    """The hashes are those that version 0.1.0 wrote."""
    traits = {"seats": 20.0, "zero": -0.0, "seen": datetime(2026, 11, 1, 12, 0, 0, 123456, tzinfo=UTC), "plan": "pro"}
    one_database.fill([identify("m1", "ada", ago(hours=3), **traits)])
    one_database.run(ALL)
    told = json.dumps(EARLIER).replace("{", "{{").replace("}", "}}")
    one_database.change_state(f"UPDATE {{sync_customers}} SET trait_hashes = '{told}'")
    add_rows(one_database.warehouse_url, "identifies", [identify("m2", "ada", ago(hours=2), **traits)])
    assert one_database.plan().actions["unchanged"] == 1
    result = one_database.run()
    assert (result.summary.unchanged, result.summary.requests, len(one_database.bodies())) == (1, 1, 1)
    add_rows(one_database.warehouse_url, "identifies", [identify("m3", "ada", ago(hours=1), **{**traits, "seats": 21.0})])
    assert one_database.run().summary.sent == 1


def test_decimals_arrive_with_every_digit(request: pytest.FixtureRequest) -> None:
    with open_bench("postgresql-sqlite", request) as bench:
        rows = [identify("m1", "ada", ago(hours=1), total=Decimal("12345678901234567890.123456789"), price=Decimal("19.90"), none=None)]
        bench.fill(rows, types={"identifies": {"none": "numeric"}})
        bench.run(ALL)
        assert bench.bodies() == ['{"source_id":"ada","metadata":{"total":12345678901234567890.123456789,"price":19.9}}']


def test_json_columns_of_traits_and_properties_arrive_as_they_are(one_database: Bench) -> None:
    traits = {"plan": "pro", "address": {"city": "Köln", "zip": None}, "tags": ["a", 1, None], "seats": 2**60}
    calls = [track("t1", "ada", "Bought", ago(hours=1), properties={"total": 1.5, "list": [{}]})]
    types = {"identifies": {"traits": "json"}, "tracks": {"properties": "json"}}  # jsonb keeps no order of its keys
    one_database.fill([identify("m1", "ada", ago(hours=2), traits=traits)], calls, types=types)
    one_database.run(ALL)
    assert one_database.bodies() == [
        '{"source_id":"ada","metadata":{"plan":"pro","address":{"city":"Köln"},"tags":["a",1,null],"seats":1152921504606846976}}',
        '{"event_name":"Bought","source_id":"ada","metadata":{"total":1.5,"list":[{}]}}',
    ]


def test_names_renamed_and_excluded_columns_never_leave(one_database: Bench) -> None:
    calls = [track("t1", "ada", "Bought", ago(hours=1), order_id="o1", secret="s")]
    one_database.fill([identify("m1", "ada", ago(hours=2), plan_type="pro", phone="123", created_at=NOON)], calls)
    one_database.run(ALL, trait_names={"plan_type": "planType"}, property_names={"order_id": "orderId"}, exclude=["phone", "secret"])
    assert one_database.bodies() == [
        '{"source_id":"ada","metadata":{"planType":"pro","createdAt":"2026-11-01T12:00:00.000Z"}}',
        '{"event_name":"Bought","source_id":"ada","metadata":{"orderId":"o1"}}',
    ]


def test_tables_and_columns_come_and_go_between_runs(bench: Bench) -> None:
    def bought(message_id: str, hours: float) -> Row:
        return track(message_id, "ada", "Bought", ago(hours=hours))

    bench.fill(tracks=[bought("t1", 9)], bought=[event("t1", ago(hours=9), size="L")])
    bench.run(ALL)
    run_sql(bench.warehouse_url, "ALTER TABLE bought ADD COLUMN colour text", "ALTER TABLE identifies ADD COLUMN plan text")
    add_rows(bench.warehouse_url, "tracks", [bought("t2", 8), track("s1", "ada", "Sold", ago(hours=7))])
    add_rows(bench.warehouse_url, "bought", [event("t2", ago(hours=8), size="M", colour="red")])
    add_rows(bench.warehouse_url, "identifies", [identify("i1", "ada", ago(hours=8.5), plan="pro")])
    bench.run()
    run_sql(bench.warehouse_url, "CREATE TABLE sold (id text, price bigint)", "INSERT INTO sold VALUES ('s2', 5)", "DROP TABLE bought")
    add_rows(bench.warehouse_url, "tracks", [track("s2", "ada", "Sold", ago(hours=6)), bought("t3", 5)])
    bench.run()
    assert bench.metadata() == [{"size": "L"}, {"plan": "pro"}, {"size": "M", "colour": "red"}, {"price": 5}]
    waits = "waiting:properties_not_loaded"
    assert bench.statuses() == {"t1": "sent", "i1": "sent", "t2": "sent", "s1": waits, "s2": "sent", "t3": waits}


def test_ids_that_are_numbers_are_sent_as_text_and_once(one_database: Bench) -> None:
    rows = [{**track("0", "0", "Bought", ago(hours=1)), "id": number, "user_id": 7} for number in range(1, 10)]
    types = {"tracks": {"id": "bigint", "user_id": "bigint"}}
    one_database.sandbox.faults.add("status", status=503, times=1, path="/events/invoke")
    one_database.fill(tracks=rows, bought=[{"id": number, "number": number} for number in range(1, 10)], types=types)
    assert one_database.run(ALL, max_attempts=1).summary.failed == 9
    assert one_database.run().summary.sent == 9
    assert one_database.run(ALL).summary.rows_read == 0
    assert sorted(one_database.bodies()) == [
        f'{{"event_name":"Bought","source_id":"7","metadata":{{"number":{number}}}}}' for number in range(1, 10)
    ]


STRANGE = [
    "\\u0000",
    "\\\\u0000",
    'quote"',
    "back\\slash",
    "ünï🎉",
    "null-id:x",
    " pad ",
    "new\nline",
    "'; DROP TABLE tracks; --",
    "%s :id {x}",
]


def test_strange_ids_names_and_codes_are_sent_once(bench: Bench) -> None:
    calls = [track(each, each, each, ago(hours=2)) for each in STRANGE]
    bench.fill([identify(each, each, ago(hours=3), referral_code=each) for each in STRANGE], calls)
    assert bench.run(ALL).summary.sent == 2 * len(STRANGE)
    assert bench.run(ALL).summary.rows_read == 0
    assert set(bench.statuses()) == set(STRANGE)
    assert {row["source_id"]: row["referral_code"] for row in bench.read_state("sync_customers")} == dict(
        zip(STRANGE, STRANGE, strict=True)
    )
    assert bench.events() == dict.fromkeys(((each, each) for each in STRANGE), 1)


@pytest.mark.parametrize("place", ["sqlite-same", "sqlite-postgresql"])
def test_nul_characters_are_sent_once(place: str, request: pytest.FixtureRequest) -> None:
    with open_bench(place, request) as bench:
        bench.fill(tracks=[track("ok", "ada", "Bought", ago(hours=2), note="a\x00b"), track("ok2", "ada", "Bou\x00ght", ago(hours=1))])
        assert bench.run(ALL).summary.sent == 2
        assert bench.run(ALL).summary.rows_read == 0
        assert [body.count("\\u0000") for body in bench.bodies()] == [1, 1]


@pytest.mark.parametrize("place", ["sqlite-same", "sqlite-postgresql"])
def test_ids_and_codes_that_differ_in_a_nul_alone_stop_nobody(place: str, request: pytest.FixtureRequest) -> None:
    one, other = "a\x00", "a\ufffd"
    with open_bench(place, request) as bench:
        codes = [identify("i1", "carl", ago(hours=9), referral_code=one), identify("i2", "dora", ago(hours=8), referral_code=other)]
        users = [identify("i3", one, ago(hours=7), referral_code="X"), identify("i4", other, ago(hours=6), referral_code="Y")]
        tracks = [track(one, "ada", "Bought", ago(hours=2)), track(other, "ada", "Bought", ago(hours=1)), track("ok", "bob")]
        bench.fill(codes + users, tracks)
        result = bench.run(ALL, check=False)
        assert (result.summary.rows_read, result.summary.sent, result.rejected) == (7, 4, {Reason.INVALID_ROW: 3})
        rejected = [row for row in bench.read_state("sync_state") if row["status"] == "rejected"]
        flaw = "holds a NUL character"
        assert sorted(str(row["detail"]) for row in rejected) == [f"id {flaw}", f"referral_code {flaw}", f"user_id {flaw}"]
        assert bench.run(ALL, check=False).summary.rows_read == 0
        with bench.sync() as sync:
            audit = sync.audit(RunOptions(ALL))
        assert (audit.missing, audit.count("sent"), audit.count("rejected")) == (0, 4, 3)


def test_ids_that_differ_in_half_a_surrogate_pair_alone_stop_nobody(request: pytest.FixtureRequest) -> None:
    with open_bench("sqlite-same", request) as bench:
        bench.fill(tracks=[track(each, "ada", "Bought", ago(hours=1)) for each in ("x", "y", "ok")])
        halves = {"x": "EDA080", "y": "EDA081"}
        run_sql(
            bench.warehouse_url, *(f"UPDATE tracks SET id = CAST(X'{half}' AS TEXT) WHERE id = '{key}'" for key, half in halves.items())
        )
        result = bench.run(ALL, check=False)
        assert (result.summary.rows_read, result.summary.sent, result.rejected) == (3, 1, {Reason.INVALID_ROW: 2})
        assert bench.run(ALL, check=False).summary.rows_read == 0
        with bench.sync() as sync:
            audit = sync.audit(RunOptions(ALL))
        gone = sum(line.gone for feed in audit.feeds for line in feed.lines)
        assert (audit.missing, audit.count("sent"), audit.count("rejected"), gone) == (0, 1, 2, 0)


def test_ids_and_codes_too_long_to_be_kept_are_rejected_and_hold_nobody_up(bench: Bench) -> None:
    long = "".join(random.Random(3).choices(string.ascii_letters, k=9000))
    identifies = [identify("code", "ada", ago(hours=4), referral_code=long), identify("user", long, ago(hours=3))]
    tracks = [track(long, "ada", "Bought", ago(hours=2)), track("ok", "ada", "Signed", ago(hours=1), referral_code=long)]
    just = [track("ü" * 512, "é" * 250, "Bought", ago(hours=1)), track("漢" * 512, "ada", "Bought", ago(hours=1))]
    bench.fill(identifies, [*tracks, *just])
    result = bench.run(ALL, conversion_events=["Signed"], check=False)
    assert (result.summary.sent, result.rejected) == (3, {Reason.INVALID_ROW: 3})
    assert bench.run(ALL, check=False).summary.rows_read == 0
    assert all(len(row["user_id"]) < 300 for row in bench.read_state("sync_state"))
