"""Names: columns of loaders, columns kept back, and names in the settings that match nothing. Each run is audited."""

from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from accounting import ALL, Bench, ago, open_bench
from rich.table import Table
from warehouse import Row, add_rows, event, identify, run_sql, track

from rehook_sync.jobs.check import CheckResult
from rehook_sync.jobs.notes.names import NamesCheck
from rehook_sync.jobs.results import RunOptions
from rehook_sync.models import Selection, Status
from rehook_sync.render.check import check_document, check_view
from rehook_sync.runtime import Interrupt

RUDDER = {"channel": "web", "record_id": "r"}


@pytest.fixture(params=["sqlite-same", "postgresql-same"])
def one_database(request: pytest.FixtureRequest) -> Iterator[Bench]:
    """A bench with warehouse and sync-state tables in one database."""
    with open_bench(request.param, request) as opened:
        yield opened


def checked(bench: Bench, **settings: object) -> NamesCheck:
    with bench.sync(**settings) as sync:
        return sync.check_names()


def said(bench: Bench, **settings: object) -> list[str]:
    """What check, plan and run say of the settings: all three the same, the run once."""
    warnings = list(checked(bench, **settings).warnings)
    assert bench.plan(ALL, 0, **settings).notes == warnings
    assert bench.run(ALL, **settings).notes == warnings
    return warnings


def add_old_calls(bench: Bench, slug: str) -> None:
    """Add more old calls of one event than a look at ten thousand rows gets past."""
    day = "'2026-01-01 00:00:00+00:00'"
    run_sql(
        bench.warehouse_url,
        "INSERT INTO tracks (id, user_id, event, event_text, received_at, timestamp) "
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 10050) "
        f"SELECT 'old' || i, 'ada', '{slug}', '{slug}', {day}, {day} FROM n",
    )


# Where properties are


def rudder_tables(marks: Mapping[str, object] = RUDDER) -> dict[str, list[Row]]:
    old = [track(f"o{n}", "ada", "Order", ago(hours=9), **marks) for n in range(12)]
    return {
        "identifies": [identify("m1", "ada", ago(hours=10), plan="pro", **marks)],
        "tracks": [*old, track("t1", "ada", "Order Completed", ago(hours=1), **marks)],
        "_order": [event(f"o{n}", ago(hours=9), n=n, **marks) for n in range(12)],
        "order_completed": [event("t1", ago(hours=1), total=5, **marks)],
    }


@pytest.mark.parametrize("marks", [RUDDER, {"channel": "web", "context_request_ip": "::1"}])
def test_rudderstacks_own_columns_are_no_traits_and_no_properties(one_database: Bench, marks: Mapping[str, object]) -> None:
    one_database.fill(**rudder_tables(marks))
    result = one_database.run(ALL)
    assert one_database.metadata() == [{"plan": "pro"}, *({"n": n} for n in sorted(range(12), key=str)), {"total": 5}]
    (note,) = result.notes
    assert "RudderStack's: tracks has" in note
    assert " of identifies, tracks, _order, order_completed; to send one" in note
    assert "TRAIT_NAMES or PROPERTY_NAMES" in note


def test_a_column_of_a_loader_is_sent_when_it_is_mapped(one_database: Bench) -> None:
    one_database.fill(**rudder_tables())
    one_database.run(ALL, trait_names={"channel": "cameBy"}, property_names={"channel": "channel"})
    assert one_database.metadata()[0] == {"plan": "pro", "cameBy": "web"}
    assert one_database.metadata()[-1] == {"total": 5, "channel": "web"}


def test_tables_decide_even_if_ten_thousand_rows_have_none(one_database: Bench) -> None:
    one_database.fill([], [track("t0", "ada", "Seen", ago(days=9), place="x")], order_completed=[event("t1", total=5)])
    add_old_calls(one_database, "seen")
    add_rows(one_database.warehouse_url, "tracks", [track("t1", "ada", "Order Completed", ago(hours=1), place="y")])
    with one_database.sync() as sync:
        assert sync.discover()["default"].track_properties == "event_tables"
    one_database.run(ago(days=1))
    assert one_database.metadata() == [{"place": "y", "total": 5}]


def test_an_event_called_a_view_is_found_behind_ten_thousand_others(one_database: Bench) -> None:
    one_database.fill([], [], order=[event("o")], order_view=[event("t1", seen=2)])
    add_old_calls(one_database, "order")
    add_rows(one_database.warehouse_url, "tracks", [track("t1", "ada", "Order View", ago(hours=1))])
    one_database.run(ago(days=1))
    assert one_database.metadata() == [{"seen": 2}]


def test_a_hand_made_source_keeps_its_columns_beside_tables_of_the_shop(one_database: Bench) -> None:
    products: list[Row] = [{"id": "p1", "price": 5, "received_at": ago(hours=1)}]
    calls = [track("t1", "ada", "Bought", ago(hours=1), total=5, channel="store", record_id="r7", _fivetran_synced=ago(hours=1))]
    one_database.fill([identify("m1", "ada", ago(hours=2), channel="store")], calls, products=products)
    with one_database.sync() as sync:
        layout = sync.discover()["default"]
    assert (layout.track_properties, layout.event_tables) == ("columns", {})
    result = one_database.run(ALL)
    assert one_database.metadata() == [{"channel": "store"}, {"total": 5, "channel": "store", "record_id": "r7"}]
    assert [note.partition(";")[0] for note in result.notes] == ["columns of loaders are not sent: _fivetran_synced of tracks"]


def test_a_friendly_source_says_nothing(one_database: Bench) -> None:
    stamps = {"uuid_ts": ago(hours=1), "context_ip": "::1"}
    calls = [track("t1", "ada", "Order Completed", ago(hours=1), **stamps)]
    properties = {"total": 5, "channel": "web", "referral_code": "REF"}
    one_database.fill(
        [identify("m1", "ada", ago(hours=2), plan="pro", **stamps)], calls, order_completed=[event("t1", **properties, **stamps)]
    )
    assert said(one_database, conversion_events=["Order Completed"], exclude=["plan"], property_names={"total": "sum"}) == []
    assert one_database.metadata() == [{}, {"sum": 5, "channel": "web", "referral_code": "REF"}]


# Names in the settings


@pytest.mark.parametrize("name", ["Email", "e-mail", "E_mail"])
def test_what_is_excluded_is_kept_back_however_it_is_written(one_database: Bench, name: str) -> None:
    calls = [track("t1", "ada", "Bought", ago(hours=1))]
    one_database.fill([identify("m1", "ada", ago(hours=2), email="a@b.c", plan="pro")], calls, bought=[event("t1", email="x", n=1)])
    assert said(one_database, exclude=[name]) == []
    assert checked(one_database, exclude=[name]).excluded == ["email"]
    assert one_database.metadata() == [{"plan": "pro"}, {"n": 1}]


def test_names_that_match_nothing_are_said_with_what_was_meant(one_database: Bench) -> None:
    calls = [track("t1", "ada", "Order Completed", ago(hours=1))]
    traits = {"email": "a@b.c", "plan_type": "pro", "context_ip": "::1"}
    one_database.fill([identify("m1", "ada", ago(hours=2), **traits)], calls, order_completed=[event("t1", total=5)])
    warnings = said(
        one_database,
        exclude=["emial", "plan_type", "password"],
        trait_names={"planType": "plan", "context_ip": "ip"},
        property_names={"totals": "sum"},
        conversion_events=["order_completed", "Sign Up"],
    )
    assert [warning.partition(";")[0] for warning in warnings] == [
        "EXCLUDE: 'emial' matches no column",
        "EXCLUDE: 'password' matches no column",
        "TRAIT_NAMES: 'context_ip' is not sent",
        "TRAIT_NAMES: 'planType' is no column of identifies",
        "PROPERTY_NAMES: 'totals' is no column of tracks or an event table",
        "CONVERSION_EVENTS: no event read is called 'Sign Up'",
        "CONVERSION_EVENTS: no event read is called 'order_completed'",
    ]
    meant = [warning.rpartition("; ")[2] for warning in warnings]
    assert meant[0] == "did you mean 'email'?"
    assert meant[3] == "did you mean 'plan_type'?"
    assert meant[4] == "did you mean 'total'?"
    assert meant[6] == "did you mean 'Order Completed'?"


def test_a_later_run_warns_of_what_it_can_know(one_database: Bench) -> None:
    calls = [track("t1", "ada", "Order Completed", ago(hours=5)), track("s1", "ada", "Sign Up", ago(hours=5))]
    tables: dict[str, list[Row]] = {"order_completed": [event("t1", total=5)], "sign_up": [event("s1", n=1)]}
    one_database.fill([], calls, **tables)
    one_database.options["conversion_events"] = ["order completed", "Sign Up", "Purchase"]
    one_database.run(ALL)
    assert [note.partition(";")[0] for note in one_database.run().notes] == ["CONVERSION_EVENTS: no event table is named like 'Purchase'"]
    add_rows(one_database.warehouse_url, "tracks", [track("t2", "ada", "Order Completed", ago(hours=1))])
    add_rows(one_database.warehouse_url, "order_completed", [event("t2", total=5)])
    assert [note.partition(";")[0] for note in one_database.run().notes] == [
        "CONVERSION_EVENTS: no event table is named like 'Purchase'",
        "CONVERSION_EVENTS: no event read is called 'order completed'",
    ]


def test_what_may_be_in_a_json_column_is_no_false_alarm(one_database: Bench) -> None:
    calls = [track("t1", "ada", "Bought", ago(hours=2), properties={"orderId": "o", "email": "x"})]
    one_database.fill([identify("m1", "ada", ago(hours=3), traits={"plan": "pro", "contact": {"phone": 1, "kind": "x"}})], calls)
    rare = {"exclude": ["password", "contact.phone"], "trait_names": {"seats": "places"}, "property_names": {"coupon": "code"}}
    assert said(one_database, **rare) == []
    assert one_database.metadata()[0] == {"plan": "pro", "contact": {"kind": "x"}}


def test_a_name_written_otherwise_in_json_is_said_by_the_run_that_read_it(one_database: Bench) -> None:
    calls = [track("t1", "ada", "Bought", ago(hours=2), properties={"orderId": "o", "email": "x"})]
    one_database.fill([], calls)
    settings = {"exclude": ["emial"], "property_names": {"order_id": "id"}, "conversion_events": ["bought"]}
    assert len(checked(one_database, **settings).warnings) == 1, "check reads no rows but the names of events"
    notes = one_database.run(ALL, **settings).notes
    assert [note.rpartition("; ")[2] for note in notes] == ["did you mean 'email'?", "did you mean 'orderId'?", "did you mean 'Bought'?"]


def test_a_run_in_shards_says_it_once_at_its_end(one_database: Bench) -> None:
    one_database.fill(**rudder_tables())
    with one_database.sync(exclude=["emial"]) as sync:
        started = sync.start(RunOptions(since=ALL), 2)
        for shard in started.shards:
            sync.deliver_shard(started.run_id, shard, Interrupt())
        notes = sync.finish(started.run_id).notes
    assert [note.partition(" ")[0] for note in notes] == ["columns", "EXCLUDE:"]
    one_database.check()


def test_numbers_as_event_names_are_names(one_database: Bench) -> None:
    calls = [{**track("t1", "ada", "x", ago(hours=1)), "event": 7, "event_text": 42}]
    one_database.fill([], calls, types={"tracks": {"event": "bigint", "event_text": "bigint"}})
    (warning,) = checked(one_database, conversion_events=["42", "7"]).warnings
    assert warning == "CONVERSION_EVENTS: no event read is called '7'; found: '42'"


def test_check_says_what_is_taken_for_a_property_and_what_is_not(one_database: Bench) -> None:
    one_database.fill([], [track("t1", "ada", "Bought", ago(hours=1), channel="store", _sdc_sequence=1)])
    with one_database.sync(exclude=["Channel"]) as sync:
        shown = CheckResult(layouts=sync.discover(), names=sync.check_names())
    lines = " ".join(str(column._cells) for each in check_view(shown) if isinstance(each, Table) for column in each.columns)
    assert "sent, though RudderStack writes such columns" in lines
    assert "not sent, since they are loaders' own: _sdc_sequence (tracks)" in lines
    assert "not sent, by EXCLUDE: channel" in lines
    document: Any = check_document(shown)["warehouse"]
    assert document["layout"]["loader_columns"] == {"_sdc_sequence": ["tracks"]}
    assert document["layout"]["excluded"] == ["channel"]


def test_a_retry_says_nothing_of_names(one_database: Bench) -> None:
    one_database.fill(**rudder_tables())
    one_database.run(ALL)
    with one_database.sync(exclude=["nothing"]) as sync:
        (note,) = sync.run(RunOptions(only=Selection(Status.FAILED)), Interrupt()).notes
    assert note.startswith("REHOOK_SYNC_EXCLUDE has changed since the last run")
