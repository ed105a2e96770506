"""One text form for an id, whatever the types of its columns: for the request, the event table, the state and the audit."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
import warehouse
from accounting import ALL, Bench, ago, open_bench
from warehouse import NOON, OpenSource, at, event, identify, make_warehouse, run_sql, track

from rehook_sync.jobs.results import RunOptions
from rehook_sync.models import Shard, Stream, Window
from rehook_sync.runtime import Interrupt
from rehook_sync.warehouse.segment import SegmentSource

open_source = warehouse.open_source
WHOLE = Window(None, NOON + timedelta(days=30))
CAPITALS = "A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11"
KNOWN = {"stream": "text", "message_id": "text", "received_at": "timestamptz"}


@pytest.fixture
def postgres_bench(request: pytest.FixtureRequest) -> Iterator[Bench]:
    """Warehouse and state in one PostgreSQL database, where statements join the two."""
    with open_bench("postgresql-same", request) as opened:
        yield opened


def types(kind: str) -> dict[str, dict[str, str]]:
    """The same type for all ids and users."""
    return {"identifies": {"id": kind, "user_id": kind}, "tracks": {"id": kind, "user_id": kind}, "order_completed": {"id": kind}}


def one_of_each(message_id: Any, user_id: Any) -> dict[str, Any]:
    """An Identify call, and an event with a property."""
    return {
        "identifies": [identify(message_id, user_id, ago(hours=2), plan="pro")],
        "tracks": [track(message_id, user_id, "Order Completed", ago(hours=1))],
        "order_completed": [event(message_id, ago(hours=1), total=5)],
    }


def settles(bench: Bench, message_id: str, user_id: str) -> None:
    """One run sends both calls whole, under this id and user; then nothing is left, for the next run, the audit or the story."""
    assert bench.run(ALL, check=False).summary.sent == 2
    assert bench.bodies() == [
        f'{{"source_id":"{user_id}","metadata":{{"plan":"pro"}}}}',
        f'{{"event_name":"Order Completed","source_id":"{user_id}","metadata":{{"total":5}}}}',
    ]
    assert {row["message_id"] for row in bench.read_state("sync_state")} == {message_id}
    assert bench.run(ALL, check=False).summary.rows_read == 0
    with bench.sync() as sync:
        report = sync.audit(RunOptions(since=ALL))
        assert (report.missing, [each.count("sent") for each in report.feeds]) == (0, [1, 1])
        assert sync.plan(RunOptions(since=ALL)).rows == 0
        for key in (message_id, user_id):
            story = sync.explain(key)
            assert (len(story.rows), story.unjudged, story.looked) == (2, [], True)


@pytest.mark.parametrize("kind", ["numeric(20,2)", "double precision", "real", "bigint"])
@pytest.mark.parametrize("place", ["sqlite-same", "postgresql-same", "postgresql-sqlite"])
def test_a_number_is_an_id_without_decimals(place: str, kind: str, request: pytest.FixtureRequest) -> None:
    with open_bench(place, request) as bench:
        bench.fill(**one_of_each(42, 7), types=types(kind))
        settles(bench, "42", "7")


@pytest.mark.parametrize(("tracks", "events"), [("double precision", "text"), ("text", "numeric(20,2)"), ("numeric(20,2)", "bigint")])
@pytest.mark.parametrize("place", ["sqlite-same", "postgresql-same"])
def test_tables_that_write_one_number_differently_belong_together(
    place: str, tracks: str, events: str, request: pytest.FixtureRequest
) -> None:
    with open_bench(place, request) as bench:
        mixed = types(tracks) | {"order_completed": {"id": events}, "identifies": {"id": "text", "user_id": "text"}}
        calls = one_of_each("42", "7")
        bench.fill(**calls, types=mixed)
        settles(bench, "42", "7")


@pytest.mark.parametrize("place", ["sqlite-same", "postgresql-same"])
def test_numbers_of_any_size_have_one_text(place: str, request: pytest.FixtureRequest) -> None:
    with open_bench(place, request) as bench:
        numbers = [0.5, 7.25, 1e6, 123456789.5, 9007199254740991.0, 175928847299117063.0, -3.0]
        calls = [track(number, number, "Order Completed", ago(minutes=place)) for place, number in enumerate(numbers)]
        bench.fill(tracks=calls, order_completed=[event(number, total=1) for number in numbers], types=types("double precision"))
        assert bench.run(ALL, check=False).summary.sent == len(numbers)
        assert bench.metadata() == [{"total": 1}] * len(numbers)
        assert bench.run(ALL, check=False).summary.rows_read == 0
        with bench.sync() as sync:
            assert sync.audit(RunOptions(since=ALL)).missing == 0


def test_what_is_no_number_in_a_column_of_numbers_is_no_id(postgres_bench: Bench) -> None:
    postgres_bench.fill(tracks=[track("NaN", 7, "Bought", ago(hours=1)), track(1, 7, "Bought", ago(hours=1))], types=types("numeric"))
    result = postgres_bench.run(ALL, check=False)
    assert (result.summary.sent, result.summary.rejected) == (1, 1)
    with postgres_bench.sync() as sync:
        assert sync.audit(RunOptions(since=ALL)).missing == 0


def test_users_who_are_numbers_are_cut_into_shards_by_their_text(postgres_bench: Bench) -> None:
    people = [identify(f"i{number}", number, ago(hours=2), plan="pro") for number in range(30)]
    calls = [track(f"t{number}", number, "Bought", ago(hours=1)) for number in range(30)]
    mixed = {"identifies": {"user_id": "numeric(20,2)"}, "tracks": {"user_id": "bigint"}}
    postgres_bench.fill(people, calls, types=mixed)
    with postgres_bench.sync() as sync:
        started = sync.start(RunOptions(since=ALL), 3)
        assert len(started.shards) == 3
        for shard in started.shards:
            assert sum(sync.deliver_shard(started.run_id, shard, Interrupt()).rows.values()) > 0
        assert sync.finish(started.run_id).summary.sent == 60
    order = [each.path for each in postgres_bench.sandbox.store.order_of("7")]
    assert order == ["/customers", "/events/invoke"]


def test_a_padded_id_is_trimmed_everywhere(postgres_bench: Bench) -> None:
    postgres_bench.fill(**one_of_each("m1", "ada"), types=types("char(10)"))
    settles(postgres_bench, "m1", "ada")


@pytest.mark.parametrize(("tracks", "events"), [("char(10)", "text"), ("text", "char(12)"), ("char(8)", "char(12)")])
def test_padding_does_not_part_a_call_from_its_properties(postgres_bench: Bench, tracks: str, events: str) -> None:
    postgres_bench.fill(**one_of_each("m1", "ada"), types=types("text") | {"tracks": {"id": tracks}, "order_completed": {"id": events}})
    settles(postgres_bench, "m1", "ada")


def test_a_padded_name_and_code_are_trimmed(postgres_bench: Bench) -> None:
    people = [identify("m1", "ada", ago(hours=2), referral_code="ERTYUS", plan=" pro")]
    padded = {"identifies": {"referral_code": "char(10)", "plan": "char(6)"}, "tracks": {"event_text": "char(30)", "event": "char(30)"}}
    postgres_bench.fill(people, [track("t1", "ada", "Signup", ago(hours=1))], signup=[event("t1", ago(hours=1), total=5)], types=padded)
    postgres_bench.run(ALL, check=False)
    assert postgres_bench.bodies() == [
        '{"source_id":"ada","metadata":{"referral_code":"ERTYUS","plan":" pro"},"referral_code":"ERTYUS"}',
        '{"event_name":"Signup","source_id":"ada","metadata":{"total":5}}',
    ]


def test_a_text_id_keeps_its_blanks(open_source: OpenSource, postgres_url: str) -> None:
    make_warehouse(postgres_url, {"identifies": [identify("m ", "ada ")], "tracks": []})
    source = open_source(postgres_url)
    assert [(row.message_id, row.user_id) for row in source.read_window(Stream.IDENTIFIES, WHOLE, None)] == [("m ", "ada ")]
    assert [row.message_id for row in source.read_ids(Stream.IDENTIFIES, ["m ", "m"])] == ["m "]


def test_a_call_that_was_recorded_with_its_padding_is_not_sent_again(postgres_bench: Bench) -> None:
    """Earlier versions recorded ids of type char(n) as the driver gives them."""
    postgres_bench.fill(**one_of_each("m1", "ada"), types=types("char(10)"))
    postgres_bench.run(ALL, check=False)
    postgres_bench.change_state("UPDATE {sync_state} SET message_id = 'm1        '")
    assert postgres_bench.run(ALL, check=False).summary.rows_read == 0
    with postgres_bench.sync() as sync:
        assert [(each.count("sent"), each.count("missing"), each.lines[0].gone) for each in sync.audit(RunOptions(since=ALL)).feeds] == [
            (1, 0, 0),
            (1, 0, 0),
        ]
        found = sync.explain("m1")
    assert [(row["message_id"], row["status"]) for row in found.rows] == [("m1        ", "sent")] * 2
    assert (found.unjudged, found.detached) == ([], [])
    postgres_bench.change_state("UPDATE {sync_state} SET status = 'failed', reason = 'server_error'")
    again = postgres_bench.run(ALL, check=False)
    assert (again.summary.rows_read, {row["message_id"] for row in postgres_bench.read_state("sync_state")}) == (2, {"m1        "})
    assert postgres_bench.bodies()[-1] == '{"event_name":"Order Completed","source_id":"ada","metadata":{"total":5}}'


@pytest.mark.parametrize(("tracks", "events"), [("text", "uuid"), ("uuid", "text"), ("uuid", "uuid")])
def test_a_uuid_is_the_same_id_in_capitals(postgres_bench: Bench, tracks: str, events: str) -> None:
    postgres_bench.fill(**one_of_each(CAPITALS, "ada"), types=types("text") | {"tracks": {"id": tracks}, "order_completed": {"id": events}})
    postgres_bench.run(ALL, check=False)
    assert postgres_bench.metadata() == [{"plan": "pro"}, {"total": 5}]
    assert postgres_bench.run(ALL, check=False).summary.rows_read == 0
    with postgres_bench.sync() as sync:
        assert sync.audit(RunOptions(since=ALL)).missing == 0


@pytest.mark.parametrize(("people", "calls"), [("text", "uuid"), ("uuid", "text")])
def test_a_user_who_is_a_uuid_in_one_table_is_the_same_in_both(postgres_bench: Bench, people: str, calls: str) -> None:
    mixed = {"identifies": {"user_id": people}, "tracks": {"user_id": calls}}
    postgres_bench.fill(**(one_of_each("m1", CAPITALS)), types=mixed)
    settles(postgres_bench, "m1", CAPITALS.lower())


def test_a_uuid_in_capitals_stays_where_no_table_has_uuids(postgres_bench: Bench) -> None:
    postgres_bench.fill(**one_of_each(CAPITALS, CAPITALS))
    settles(postgres_bench, CAPITALS, CAPITALS)


def test_the_diff_knows_the_trimmed_id(open_source: OpenSource, postgres_url: str) -> None:
    make_warehouse(
        postgres_url,
        {
            "identifies": [identify("m1", "u"), identify("m2", "u", at(1))],
            "tracks": [],
            "sync_state": [{"stream": "identifies", "message_id": "m1"}],
        },
        types=types("char(10)") | {"sync_state": KNOWN},
    )
    source = open_source(postgres_url)
    assert [row.message_id for row in source.read_window(Stream.IDENTIFIES, WHOLE, "sync_state")] == ["m2"]
    assert [row.user_id for row in source.read_window(Stream.IDENTIFIES, WHOLE, None, Shard(0, "u", "u "))] == ["u", "u"]


def nameless(source: SegmentSource) -> str:
    """The name of the one Identify call, which has no id."""
    (row,) = source.read_window(Stream.IDENTIFIES, WHOLE, None)
    return row.message_id


def test_a_call_without_an_id_keeps_the_name_that_earlier_versions_gave_it(open_source: OpenSource, postgres_url: str) -> None:
    """The name is the one of version 0.1.0."""
    values = {"score": 20.0, "code": "x", "wait": "1 mon 02:00:00", "net": "10.0.0.0/8", "moods": "{a,b}", "span": "[1,5)"}
    kinds = {
        **dict.fromkeys(("user_id", "code"), "char(10)"),
        "wait": "interval",
        "net": "cidr",
        "moods": "mood[]",
        "span": "int4range",
        "zero": "double precision",
        "key": "uuid",
    }
    run_sql(postgres_url, "CREATE TYPE mood AS ENUM ('a', 'b')")
    row = identify(None, "ada", timestamp=at(0.123456), zero=-0.0, key=UUID(CAPITALS), **values)
    make_warehouse(postgres_url, {"identifies": [row], "tracks": []}, types={"identifies": kinds})
    assert nameless(open_source(postgres_url)) == "null-id:c1099adfe15b84c9eb05135dfa053060224763930ab639ad1b8ac712cad2162d"


def test_a_call_without_an_id_keeps_its_name_in_sqlite(open_source: OpenSource, sqlite_url: str) -> None:
    """The name is the one of version 0.1.0."""
    row = identify(None, 7.0, total=20.0, seen=at(0.123456), ok=True, picture=b"x", traits='"{\\"a\\": 20.0}"')
    kinds = {"user_id": "REAL", "traits": "JSON"}
    make_warehouse(sqlite_url, {"identifies": [row], "tracks": []}, types={"identifies": kinds})
    assert nameless(open_source(sqlite_url)) == "null-id:9d4e79e9fb5332eb644c3392b496c9f68e778d1eac450323191ab549f5c8871f"
