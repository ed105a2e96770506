"""Where properties are, and what values come out, the same on SQLite and PostgreSQL."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
import warehouse
from warehouse import NOON, OpenSource, Row, at, event, identify, make_warehouse, run_sql, track

from rehook_sync.models import SourceRow, Stream, Window
from rehook_sync.warehouse.segment import SegmentSource

open_source = warehouse.open_source
ALL = Window(None, NOON + timedelta(days=30))
ODD = 'off": 50% :now; DROP TABLE tracks; --'


def tracks_of(source: SegmentSource) -> dict[str, SourceRow]:
    rows = list(source.read_window(Stream.TRACKS, ALL, None))
    list(source.fill_properties(rows))
    return {row.message_id: row for row in rows}


def fields_of(source: SegmentSource) -> dict[str, Mapping[str, object]]:
    return {message_id: row.fields for message_id, row in tracks_of(source).items()}


def traits_of(source: SegmentSource) -> list[Mapping[str, object]]:
    return [row.fields for row in source.read_window(Stream.IDENTIFIES, ALL, None)]


# Values


def test_traits_keep_their_types(warehouse_url: str, open_source: OpenSource) -> None:
    big = 2**53 + 1
    traits = {
        "name": "Zoë 🦊",
        "plan": 'a "b" {c} %s :d',
        "seats": 234,
        "big": big,
        "vip": True,
        "old": False,
        "rate": 0.1,
        "born": at(0.25),
    }
    rows = [identify("m1", "u", **traits), identify("m2", "u", at(1), seats=None, name="x"), identify("m3", "u", at(2), seats=7)]
    make_warehouse(warehouse_url, {"identifies": rows, "tracks": []})
    first, second, third = traits_of(open_source(warehouse_url))
    assert first == traits
    assert {name: type(value) for name, value in first.items()} == {name: type(value) for name, value in traits.items()}
    assert (second, third) == ({"name": "x"}, {"seats": 7})
    assert type(third["seats"]) is int


def test_columns_of_segment_itself_are_no_traits(warehouse_url: str, open_source: OpenSource) -> None:
    own = {
        "sent_at": NOON,
        "original_timestamp": NOON,
        "uuid_ts": NOON,
        "loaded_at": NOON,
        "uuid": 5,
        "context_ip": "::1",
        "context_": "x",
    }
    make_warehouse(warehouse_url, {"identifies": [identify("m", "u", **own, referral_code="REF", contexts="mine")], "tracks": []})
    source = open_source(warehouse_url)
    assert source.discover().fields[Stream.IDENTIFIES] == ("referral_code", "contexts")
    assert traits_of(source) == [{"referral_code": "REF", "contexts": "mine"}]


def test_no_trait_name_is_special(warehouse_url: str, open_source: OpenSource) -> None:
    traits = {
        "rehook_id": "r",
        "calls": "c",
        "timed": "t",
        "t": "x",
        "known": "k",
        "judged": "j",
        "dated": "d",
        "undated": "u",
        "select": "s",
        "found": "f",
        "stream": "a",
        "message_id": "m",
    }
    tables = {"identifies": [identify("m", "u", **traits)], "tracks": [track("t", "u")], "order_completed": [event("t", **traits)]}
    make_warehouse(warehouse_url, {**tables, "sync_state": [{"stream": "identifies", "message_id": "other", "received_at": at(0)}]})
    source = open_source(warehouse_url)
    assert [row.fields for row in source.read_window(Stream.IDENTIFIES, ALL, "sync_state")] == [traits]
    assert [row.fields for row in source.read_ids(Stream.IDENTIFIES, ["m"])] == [traits]
    assert fields_of(source) == {"t": traits}


def test_the_cursor_column_is_no_trait(warehouse_url: str, open_source: OpenSource) -> None:
    rows = {
        "identifies": [identify("m", "u", synced=at(1))],
        "tracks": [track("t", "u", synced=at(2))],
        "order_completed": [event("t", synced=at(2), total=5)],
    }
    make_warehouse(warehouse_url, rows)
    source = open_source(warehouse_url, cursor_column="synced")
    assert traits_of(source) == [{}]
    assert fields_of(source) == {"t": {"total": 5}}
    assert source.newest(Stream.TRACKS, ALL) == at(2)


def test_decimals_are_exact(postgres_url: str, open_source: OpenSource) -> None:
    exact = Decimal("12345678901234567890.123456789")
    make_warehouse(postgres_url, {"identifies": [identify("m", "u", total=exact, odd=Decimal("NaN"))], "tracks": []})
    (traits,) = traits_of(open_source(postgres_url))
    assert traits["total"] == exact
    assert str(traits["odd"]) == "NaN"


def test_json_and_arrays_of_postgresql_are_objects_with_exact_numbers(postgres_url: str, open_source: OpenSource) -> None:
    rows = [identify("m", "u", address='{"zip": 12345678901234567890, "lat": 0.1234567890123456789, "none": null}', tags=["a", "b"])]
    make_warehouse(postgres_url, {"identifies": rows, "tracks": []}, types={"identifies": {"address": "jsonb", "words": "text[]"}})
    run_sql(postgres_url, "UPDATE identifies SET words = '{x,y}'")
    address = {"zip": 12345678901234567890, "lat": Decimal("0.1234567890123456789"), "none": None}
    assert traits_of(open_source(postgres_url)) == [{"address": address, "tags": ["a", "b"], "words": ["x", "y"]}]


def test_sqlite_keeps_what_is_no_boolean_and_no_time(sqlite_url: str, open_source: OpenSource) -> None:
    traits = {
        "vip": 2,
        "ok": 0,
        "since": "some day",
        "until": "2026-11-01 12:00:00+02:00",
        "at": 1767225600,
        "day": "2026-11-01",
        "raw": b"\x00",
    }
    types = {"vip": "BOOLEAN", "ok": "bool", "since": "TIMESTAMP", "until": "DATETIME", "at": "TIMESTAMP", "day": "DATE"}
    make_warehouse(sqlite_url, {"identifies": [identify("m", "u", **traits)], "tracks": []}, types={"identifies": types})
    (found,) = traits_of(open_source(sqlite_url))
    assert found == {**traits, "ok": False, "until": NOON - timedelta(hours=2)}
    assert found["ok"] is False


def test_sqlite_text_that_is_no_utf8_comes_as_bytes(sqlite_url: str, open_source: OpenSource) -> None:
    make_warehouse(sqlite_url, {"identifies": [identify(f"m{n:04}", "u", at(n), name="é") for n in range(1300)], "tracks": []})
    run_sql(sqlite_url, "UPDATE identifies SET name = CAST(x'ff41' AS TEXT) WHERE id IN ('m0700', 'm1200')")
    source = open_source(sqlite_url)
    found = [(row.message_id, row.fields["name"]) for row in source.read_window(Stream.IDENTIFIES, ALL, None)]
    assert found == [(f"m{n:04}", b"\xffA" if n in {700, 1200} else "é") for n in range(1300)]
    assert traits_of(open_source(sqlite_url))[0] == {"name": "é"}


def test_a_huge_value_is_read_whole(warehouse_url: str, open_source: OpenSource) -> None:
    huge = "ü" * 5_000_000
    make_warehouse(warehouse_url, {"identifies": [identify("m", "u", bio=huge)], "tracks": []})
    assert traits_of(open_source(warehouse_url)) == [{"bio": huge}]


# Event names


def test_the_event_is_its_text_else_its_slug(warehouse_url: str, open_source: OpenSource) -> None:
    names: list[tuple[str | None, str | None]] = [
        ("order_completed", "Order Completed"),
        ("order", None),
        (None, "Order"),
        ("order", ""),
        (None, None),
    ]
    calls = [{**track(f"t{n}", "u"), "event": slug, "event_text": text} for n, (slug, text) in enumerate(names)]
    make_warehouse(warehouse_url, {"identifies": [], "tracks": calls})
    assert [(row.event, row.event_slug) for row in tracks_of(open_source(warehouse_url)).values()] == [
        ("Order Completed", "order_completed"),
        ("order", "order"),
        ("Order", None),
        ("", "order"),
        (None, None),
    ]


def test_a_tracks_table_without_event_text_is_read(warehouse_url: str, open_source: OpenSource) -> None:
    row = {name: value for name, value in track("t", "u").items() if name != "event_text"}
    make_warehouse(warehouse_url, {"identifies": [], "tracks": [row]}, types={"tracks": {"event_text": None}})
    assert tracks_of(open_source(warehouse_url))["t"].event == "order_completed"


# Properties in event tables


def test_properties_come_from_event_tables(warehouse_url: str, open_source: OpenSource) -> None:
    calls = [track("t1", "u"), track("t2", "u", "Signed Up"), track("t3", "u", "No Table"), track("t4", "u")]
    tables: dict[str, list[Row]] = {
        "identifies": [],
        "tracks": calls,
        "order_completed": [
            {**track("t1", "u"), "total": 5, "coupon": None, "context_ip": "::1"},
            {**track("t4", "u"), "total": None, "coupon": "X"},
        ],
        "signed_up": [event("t2", referral_code="REF", vip=True)],
    }
    make_warehouse(warehouse_url, tables)
    source = open_source(warehouse_url)
    layout = source.discover()
    assert layout.track_properties == "event_tables"
    assert {slug: layout.event_columns(table) for slug, table in layout.event_tables.items()} == {
        "order_completed": ("total", "coupon"),
        "signed_up": ("referral_code", "vip"),
    }
    assert fields_of(source) == {"t1": {"total": 5}, "t2": {"referral_code": "REF", "vip": True}, "t3": {}, "t4": {"coupon": "X"}}


def test_an_event_whose_row_is_missing_goes_with_what_there_is(warehouse_url: str, open_source: OpenSource) -> None:
    tables: dict[str, list[Row]] = {
        "identifies": [],
        "tracks": [track("t1", "u"), track("t2", "u", "Bare")],
        "order_completed": [event("other", total=5)],
        "bare": [event("t2")],
    }
    make_warehouse(warehouse_url, tables)
    assert fields_of(open_source(warehouse_url)) == {"t1": {}, "t2": {}}


def test_an_event_row_of_another_day_is_found(warehouse_url: str, open_source: OpenSource) -> None:
    days = [timedelta(days=each) for each in (-400, -2, 0, 2, 400)]
    rows = [event(f"t{n}", NOON + day, total=n) for n, day in enumerate(days)] + [event("t5", None, total=5)]
    calls = [track(f"t{n}", "u") for n in range(5)] + [track("t5", "u", received_at=None)]
    make_warehouse(warehouse_url, {"identifies": [], "tracks": calls, "order_completed": rows})
    assert fields_of(open_source(warehouse_url)) == {f"t{n}": {"total": n} for n in range(6)}


def test_an_event_table_without_the_cursor_column_is_read(warehouse_url: str, open_source: OpenSource) -> None:
    tables: dict[str, list[Row]] = {"identifies": [], "tracks": [track("t", "u")], "order_completed": [{"id": "t", "total": 5}]}
    make_warehouse(warehouse_url, tables)
    assert fields_of(open_source(warehouse_url)) == {"t": {"total": 5}}


def test_rows_at_the_ends_of_the_calendar_are_filled(warehouse_url: str, open_source: OpenSource) -> None:
    first = datetime(1, 1, 1, tzinfo=UTC)
    make_warehouse(
        warehouse_url, {"identifies": [], "tracks": [track("t", "u", when=first)], "order_completed": [event("t", first, total=5)]}
    )
    assert fields_of(open_source(warehouse_url)) == {"t": {"total": 5}}


def test_traits_may_be_called_like_columns_of_tracks(warehouse_url: str, open_source: OpenSource) -> None:
    make_warehouse(warehouse_url, {"identifies": [identify("m", "u", event="Gala", event_text="soon", type="vip")], "tracks": []})
    source = open_source(warehouse_url)
    (row,) = source.read_window(Stream.IDENTIFIES, ALL, None)
    assert (row.fields, row.event) == ({"event": "Gala", "event_text": "soon", "type": "vip"}, None)


def test_the_table_that_holds_the_id_is_taken_and_never_one_of_two(warehouse_url: str, open_source: OpenSource) -> None:
    tables: dict[str, list[Row]] = {
        "identifies": [],
        "tracks": [track("t1", "u", "Order"), track("t2", "u", "Order"), track("both", "u", "Order")],
        "order": [event("t1", total=1), event("both", total=1)],
        "_order": [event("t2", total=2), event("both", total=2)],
    }
    make_warehouse(warehouse_url, tables)
    source = open_source(warehouse_url)
    assert fields_of(source) == {"t1": {"total": 1}, "t2": {"total": 2}, "both": {}}
    rows = tracks_of(source)
    list(source.fill_properties(list(rows.values())))
    assert rows["both"].problem == "its id is in two event tables, order and _order"


def test_many_events_are_filled_in_one_go(warehouse_url: str, open_source: OpenSource) -> None:
    calls = [track(f"t{n}", "u", f"Event {n % 3}", at(n)) for n in range(1700)]
    tables = {f"event_{slug}": [event(f"t{n}", at(n), n=n) for n in range(1700) if n % 3 == slug] for slug in range(3)}
    make_warehouse(warehouse_url, {"identifies": [], "tracks": calls, **tables})
    assert fields_of(open_source(warehouse_url)) == {f"t{n}": {"n": n} for n in range(1700)}


def test_duplicated_event_rows_collapse(warehouse_url: str, open_source: OpenSource) -> None:
    rows = [event("t", total=5, coupon=None), event("t", total=5, coupon="X"), event("t", total=5, coupon=None)]
    make_warehouse(warehouse_url, {"identifies": [], "tracks": [track("t", "u")], "order_completed": rows})
    assert fields_of(open_source(warehouse_url)) == {"t": {"total": 5, "coupon": "X"}}


def test_tables_that_belong_to_no_event_are_never_read_as_one(warehouse_url: str, open_source: OpenSource) -> None:
    names = ["users", "accounts", "groups", "aliases", "pages", "screens", "identifies", "tracks", "users_view", "people", "calls"]
    tables: dict[str, list[Row]] = {name: [identify(name, "u", password="secret")] for name in names}
    tables["calls"] = [{**track(name, "u"), "event": name} for name in names]
    make_warehouse(warehouse_url, tables)
    source = open_source(warehouse_url, identifies_table="people", tracks_table="calls")
    assert source.discover().event_tables == {}
    assert fields_of(source) == {name: {} for name in names}


def test_event_names_are_data_and_tables_with_odd_names_work(warehouse_url: str, open_source: OpenSource) -> None:
    slugs = [ODD, "tracks; --", "日本語", "naïve_café", "a b", "%(id)s", "100%%", ":ids", "a::b", "a\\:b", "?", "\\"]
    properties = {'100% "sure": yes': "x", ":ids": 1}
    calls = [{**track(f"t{n}", "u"), "event": slug, "event_text": slug} for n, slug in enumerate(slugs)]
    without = {**track("t", "u"), "event": "'; DROP TABLE tracks; --"}
    tables = {slug: [{"id": f"t{n}", **properties}] for n, slug in enumerate(slugs)}
    make_warehouse(warehouse_url, {"identifies": [], "tracks": [*calls, without], **tables})
    assert fields_of(open_source(warehouse_url)) == {"t": {}} | {f"t{n}": properties for n in range(len(slugs))}


def test_a_slug_matches_its_table_whatever_the_case(warehouse_url: str, open_source: OpenSource) -> None:
    call = {**track("t", "u"), "event": "ORDER_completed"}
    make_warehouse(warehouse_url, {"identifies": [], "tracks": [call], "order_completed": [event("t", total=5)]})
    assert fields_of(open_source(warehouse_url)) == {"t": {"total": 5}}


def test_columns_that_come_and_go_between_runs_just_work(warehouse_url: str, open_source: OpenSource) -> None:
    tables = {
        "identifies": [identify("m", "u", plan="a")],
        "tracks": [track("t", "u")],
        "order_completed": [event("t", total=5, coupon="X")],
    }
    make_warehouse(warehouse_url, tables)
    assert fields_of(open_source(warehouse_url)) == {"t": {"total": 5, "coupon": "X"}}
    run_sql(
        warehouse_url,
        "ALTER TABLE order_completed DROP COLUMN coupon",
        "ALTER TABLE order_completed ADD COLUMN gift text",
        "UPDATE order_completed SET gift = 'Y'",
        "ALTER TABLE identifies DROP COLUMN plan",
        "ALTER TABLE identifies ADD COLUMN seats integer",
        "UPDATE identifies SET seats = 5",
    )
    source = open_source(warehouse_url)
    assert (fields_of(source), traits_of(source)) == ({"t": {"total": 5, "gift": "Y"}}, [{"seats": 5}])
    run_sql(warehouse_url, "DROP TABLE order_completed")
    assert fields_of(open_source(warehouse_url)) == {"t": {}}


def test_an_event_table_may_change_or_vanish_during_a_run(warehouse_url: str, open_source: OpenSource) -> None:
    tables = {
        "identifies": [],
        "tracks": [track("t", "u"), track("s", "u", "Signed Up")],
        "order_completed": [event("t", total=5, coupon="X")],
        "signed_up": [event("s", code="REF")],
    }
    make_warehouse(warehouse_url, tables)
    source = open_source(warehouse_url)
    source.discover()
    run_sql(warehouse_url, "ALTER TABLE order_completed DROP COLUMN coupon")
    assert fields_of(source) == {"t": {"total": 5}, "s": {"code": "REF"}}
    run_sql(warehouse_url, "DROP TABLE order_completed")
    assert fields_of(source) == {"t": {}, "s": {"code": "REF"}}


def test_a_call_with_a_problem_may_be_filled(warehouse_url: str, open_source: OpenSource) -> None:
    calls = [track(None, "u"), track("t", "u", when=None)]
    make_warehouse(warehouse_url, {"identifies": [], "tracks": calls, "order_completed": [event(None, total=1), event("t", total=5)]})
    assert sorted(len(fields) for fields in fields_of(open_source(warehouse_url)).values()) == [0, 1]


def test_views_are_tables(warehouse_url: str, open_source: OpenSource) -> None:
    calls = {"id_base": [identify("m", "u", plan="a")], "tr_base": [track("t", "u")], "oc_base": [event("t", total=5)]}
    make_warehouse(warehouse_url, calls)
    run_sql(
        warehouse_url,
        "CREATE VIEW identifies_view AS SELECT *, 1 AS row_number FROM id_base",
        "CREATE VIEW tracks_view AS SELECT *, 1 AS row_number FROM tr_base",
        "CREATE VIEW order_completed AS SELECT * FROM oc_base",
    )
    source = open_source(warehouse_url, identifies_table="identifies_view", tracks_table="tracks_view")
    assert source.discover().event_tables.keys() >= {"order_completed"}
    assert (traits_of(source), fields_of(source)) == ([{"plan": "a"}], {"t": {"total": 5}})


def test_materialized_views_are_tables(postgres_url: str, open_source: OpenSource) -> None:
    make_warehouse(postgres_url, {"base": [identify("m", "u", plan="a")], "tracks": []})
    run_sql(postgres_url, "CREATE MATERIALIZED VIEW identifies AS SELECT * FROM base")
    assert traits_of(open_source(postgres_url)) == [{"plan": "a"}]


def test_events_of_a_broken_view_wait_and_it_is_said_why(sqlite_url: str, open_source: OpenSource) -> None:
    make_warehouse(sqlite_url, {"identifies": [], "tracks": [track("t", "u")], "base": [event("t", total=5)], "side": [event("x")]})
    run_sql(sqlite_url, "CREATE VIEW order_completed AS SELECT * FROM base", "CREATE VIEW report AS SELECT * FROM side")
    run_sql(sqlite_url, "DROP TABLE base", "DROP TABLE side")
    source = open_source(sqlite_url)
    (call,) = tracks_of(source).values()
    assert (call.fields, call.unloaded) == ({}, "table 'order_completed' cannot be read")
    assert list(source.discover().unreadable) == ["order_completed"]
    assert "no such table: main.base" in source.discover().unreadable["order_completed"]
    assert any("'report' cannot be read" in warning for warning in source.discover().warnings), "it may be no event's"


def test_no_event_table_at_all_is_a_warning(warehouse_url: str, open_source: OpenSource) -> None:
    make_warehouse(warehouse_url, {"identifies": [], "tracks": [track("t", "u")]})
    source = open_source(warehouse_url)
    assert source.discover().track_properties == "event_tables"
    assert any("without properties" in warning for warning in source.discover().warnings)


def test_names_in_upper_case_are_read_as_segment_writes_them(warehouse_url: str, open_source: OpenSource) -> None:
    def shout(row: Row) -> Row:
        return {name.upper(): value for name, value in row.items()}

    types = {"RECEIVED_AT": "timestamptz", "TIMESTAMP": "timestamptz"}
    tables = {
        "IDENTIFIES": [shout(identify("m", "u", first_name="Ada"))],
        "TRACKS": [shout(track("t", "u"))],
        "ORDER_COMPLETED": [shout(event("t", total=5))],
    }
    make_warehouse(warehouse_url, tables, types=dict.fromkeys(("IDENTIFIES", "TRACKS", "ORDER_COMPLETED"), types))
    source = open_source(warehouse_url)
    assert (traits_of(source), fields_of(source)) == ([{"first_name": "Ada"}], {"t": {"total": 5}})


# Properties in tracks itself


def test_properties_come_from_columns_of_tracks(warehouse_url: str, open_source: OpenSource) -> None:
    make_warehouse(
        warehouse_url,
        {"identifies": [], "tracks": [track("t1", "u", total=5, coupon=None), track("t2", "u", coupon="X")], "accounts_2": [{"id": "t1"}]},
    )
    source = open_source(warehouse_url)
    layout = source.discover()
    assert (layout.track_properties, layout.fields[Stream.TRACKS], layout.event_tables) == ("columns", ("total", "coupon"), {})
    assert fields_of(source) == {"t1": {"total": 5}, "t2": {"coupon": "X"}}


def test_event_tables_and_columns_merge_and_the_event_table_wins(warehouse_url: str, open_source: OpenSource) -> None:
    call = track("t", "u", total=1, channel="web")
    make_warehouse(warehouse_url, {"identifies": [], "tracks": [call], "order_completed": [event("t", total=5, coupon="X")]})
    source = open_source(warehouse_url)
    assert source.discover().track_properties == "event_tables"
    assert "columns of tracks" in source.discover().reason
    assert fields_of(source) == {"t": {"total": 5, "channel": "web", "coupon": "X"}}


def test_the_setting_takes_one_place_alone(warehouse_url: str, open_source: OpenSource) -> None:
    call = track("t", "u", channel="web", properties={"deep": 1})
    make_warehouse(warehouse_url, {"identifies": [], "tracks": [call], "order_completed": [event("t", total=5)]})
    assert fields_of(open_source(warehouse_url, track_properties="event_tables")) == {"t": {"total": 5}}
    assert fields_of(open_source(warehouse_url, track_properties="json")) == {"t": {"deep": 1}}
    columns = fields_of(open_source(warehouse_url, track_properties="columns"))["t"]
    assert columns.keys() == {"channel", "properties"}
    assert open_source(warehouse_url, track_properties="columns").discover().reason == "TRACK_PROPERTIES says so"


# Properties as JSON


@pytest.mark.parametrize("kind", ["text", "json", "jsonb"])
def test_properties_come_from_a_json_column(warehouse_url: str, open_source: OpenSource, kind: str) -> None:
    numbers = '"total": 0.30000000000000004, "price": 10.10, "big": 9007199254740993'
    content = f'{{{numbers}, "none": null, "tags": ["a", {{"b": null}}], "ok": true, "id": 5, "é": "ü"}}'
    make_warehouse(
        warehouse_url,
        {
            "identifies": [],
            "tracks": [track("t1", "u", properties=content), track("t2", "u", properties=None), track("t3", "u", properties="{}")],
        },
        types={"tracks": {"properties": kind}},
    )
    source = open_source(warehouse_url)
    assert (source.discover().track_properties, source.discover().json) == ("json", {Stream.TRACKS: "properties"})
    found = tracks_of(source)
    expected = {
        "total": Decimal("0.30000000000000004"),
        "price": Decimal("10.10"),
        "big": 9007199254740993,
        "tags": ["a", {"b": None}],
        "ok": True,
        "id": 5,
        "é": "ü",
    }
    assert found["t1"].fields == expected
    assert {name: type(value) for name, value in found["t1"].fields.items()} == {name: type(value) for name, value in expected.items()}
    assert (found["t2"].fields, found["t3"].fields) == ({}, {})
    assert all(row.problem is None for row in found.values())


def test_json_that_is_no_object_is_a_problem(warehouse_url: str, open_source: OpenSource) -> None:
    contents = [
        "{",
        "[1]",
        "5",
        '"text"',
        '"{"',
        '"[1]"',
        json.dumps(json.dumps('{"a": 1}')),
        "{'a': 1}",
        '{"a": NaN}',
        '{"a": 1e}',
    ]
    calls = [track(f"t{n}", "u", properties=content) for n, content in enumerate(contents)]
    make_warehouse(warehouse_url, {"identifies": [], "tracks": [*calls, track("t", "u", properties='{"a": 1}')]})
    found = tracks_of(open_source(warehouse_url))
    assert (found["t"].problem, found.pop("t").fields) == (None, {"a": 1})
    assert [(row.problem, row.fields) for row in found.values()] == [("properties is not a JSON object", {})] * len(contents)


def test_json_that_nobody_can_follow_is_a_problem(warehouse_url: str, open_source: OpenSource) -> None:
    make_warehouse(warehouse_url, {"identifies": [], "tracks": [track("t", "u", properties="[" * 5000 + "]" * 5000)]})
    (row,) = tracks_of(open_source(warehouse_url)).values()
    assert (row.problem, row.fields) == ("properties is nested too deep", {})


@pytest.mark.parametrize(
    ("kind", "content", "fields"),
    [
        *((kind, content, {}) for kind in ("text", "json", "jsonb") for content in ("null", "{}", '""', '" "', '"null"', '"{}"')),
        *(("text", content, {}) for content in ("", " ", "\n")),
        *((kind, json.dumps('{"a": 20.0, "b": null}'), {"a": Decimal("20.0")}) for kind in ("text", "json", "jsonb")),
    ],
)
def test_json_that_says_nothing_or_is_encoded_twice_is_read(
    warehouse_url: str, open_source: OpenSource, kind: str, content: str, fields: dict[str, object]
) -> None:
    calls = {"identifies": [identify("m", "u", traits=content)], "tracks": [track("t", "u", properties=content, channel="web")]}
    make_warehouse(warehouse_url, calls, types={"identifies": {"traits": kind}, "tracks": {"properties": kind}})
    source = open_source(warehouse_url)
    (call,) = source.read_window(Stream.TRACKS, ALL, None)
    assert (call.problem, call.fields) == (None, {"channel": "web", **fields})
    (person,) = source.read_window(Stream.IDENTIFIES, ALL, None)
    assert (person.problem, person.fields) == (None, fields)


def test_further_columns_are_properties_where_the_json_has_none_of_that_name(warehouse_url: str, open_source: OpenSource) -> None:
    call = track("t", "u", properties={"total": 5, "a": None}, total=1, channel="web", a="b")
    make_warehouse(warehouse_url, {"identifies": [], "tracks": [call]})
    assert fields_of(open_source(warehouse_url)) == {"t": {"total": 5, "channel": "web", "a": "b"}}


def test_traits_come_from_a_json_column_too(warehouse_url: str, open_source: OpenSource) -> None:
    people = [identify("m", "u", traits={"email": "a@x", "seats": 5}, referral_code="REF"), identify("n", "u", at(1), traits="5")]
    make_warehouse(
        warehouse_url,
        {"identifies": people, "tracks": [track("t", "u", properties={"total": 5})]},
        types={"identifies": {"traits": "text"}},
    )
    source = open_source(warehouse_url)
    assert source.discover().json == {Stream.IDENTIFIES: "traits", Stream.TRACKS: "properties"}
    first, second = source.read_window(Stream.IDENTIFIES, ALL, None)
    assert first.fields == {"email": "a@x", "seats": 5, "referral_code": "REF"}
    assert second.problem == "traits is not a JSON object"


@pytest.mark.parametrize(
    ("kind", "others", "is_json"), [("text", {}, True), ("text", {"email": "e"}, False), ("jsonb", {"email": "e"}, True)]
)
def test_a_trait_may_be_called_traits(warehouse_url: str, open_source: OpenSource, kind: str, others: Row, is_json: bool) -> None:
    make_warehouse(
        warehouse_url,
        {"identifies": [identify("m", "u", traits='{"a": 1}', **others)], "tracks": []},
        types={"identifies": {"traits": kind}},
    )
    assert traits_of(open_source(warehouse_url)) == [{"a": 1, **others} if is_json else {"traits": '{"a": 1}', **others}]
