"""What counts as what in a Segment source, without a database."""

import pytest

from rehook_sync.database.kinds import Kind
from rehook_sync.errors import SourceError
from rehook_sync.models import Stream
from rehook_sync.warehouse.discovery.calls import check_columns
from rehook_sync.warehouse.layout import SourceConfig, Table, build_layout
from rehook_sync.warehouse.names import event_table_names, find_name, similar, tables_of, view_names

COMMON = ("id", "user_id", "received_at", "timestamp")


def table(name: str, *columns: str, **kinds: Kind) -> Table:
    names = dict.fromkeys((*COMMON, *columns))
    return Table("shop", name, {each: each for each in names}, {each: kinds.get(each, Kind.OTHER) for each in names})


def test_a_name_is_found_by_itself_before_one_of_another_case() -> None:
    assert find_name(["ID", "id"], "id") == "id"
    assert find_name(["ID"], "id") == "ID"
    assert find_name(["ID", "Id"], "id") is None, "nobody can say which"
    assert find_name([], "id") is None


def test_similar_names_are_offered_else_some_of_all() -> None:
    assert similar(["tracks_2", "users"], "tracks") == "did you mean 'tracks_2'?"
    assert similar(["b", "a"], "tracks") == "found: 'a', 'b'"
    assert similar([], "tracks") == "found: nothing"


def test_names_of_event_tables() -> None:
    names = ["signed_up", "users", "Users", "users_view", "_users", "signed_up_view", "product_view", "my_tracks", "SHOUTED", "Mixed"]
    config = SourceConfig(tracks_table="My_Tracks")
    events = ["signed_up", "_users", "product_view", "SHOUTED", "Mixed"]
    assert event_table_names(names, config.not_events) == events
    assert view_names(names, config.not_events) == ["signed_up_view"]


@pytest.mark.parametrize(
    ("slug", "names", "expected"),
    [
        ("order", ["order", "_order"], ["order", "_order"]),
        ("order", ["_order", "Orders", "ord"], ["_order"]),
        ("signup", ["Signup", "SIGNUP", "signup_x"], ["SIGNUP", "Signup"]),
        ("signup", ["Signup", "signup"], ["signup", "Signup"]),
        ("users", ["_users"], ["_users"]),
        ("a" * 69, ["a" * 63, "a" * 62], ["a" * 63]),
        ("a" * 69, ["_" + "a" * 62, "a" * 69], ["_" + "a" * 62]),
        ("é" * 32, ["é" * 31, "é" * 32], ["é" * 31]),
        ("order", [], []),
    ],
)
def test_an_event_is_looked_for_as_loaders_write_it(slug: str, names: list[str], expected: list[str]) -> None:
    assert tables_of(slug, names, 63) == expected


@pytest.mark.parametrize(
    ("columns", "slugs", "setting", "expected", "properties"),
    [
        ((), set(), "auto", "event_tables", ()),
        (("total",), {"order"}, "auto", "event_tables", ("total",)),
        (("total",), {"other"}, "auto", "columns", ("total",)),
        (("total",), {"bare"}, "auto", "columns", ("total",)),
        (("properties",), {"order"}, "auto", "json", ()),
        (("properties", "total"), {"order"}, "auto", "json", ("total",)),
        (("properties", "total"), {"order"}, "json", "json", ()),
        (("properties", "total"), {"order"}, "columns", "columns", ("properties", "total")),
        (("properties", "total"), {"order"}, "event_tables", "event_tables", ()),
    ],
)
def test_where_properties_are(columns: tuple[str, ...], slugs: set[str], setting: str, expected: str, properties: tuple[str, ...]) -> None:
    tracks = table("tracks", "event", "event_text", "context_ip", *columns)
    bare = Table("shop", "bare", {"total": "total"}, {"total": Kind.OTHER})
    events = {"order": table("order", "total"), "bare": bare}
    with_id = {name: found for name, found in events.items() if found.has("id")}
    named = any(tables_of(slug, with_id, None) for slug in slugs)
    config = SourceConfig(track_properties=setting)
    layout = build_layout(
        config, "received_at", {Stream.IDENTIFIES: table("identifies"), Stream.TRACKS: tracks}, events, named_like_events=named, typed=False
    )
    assert (layout.track_properties, layout.fields[Stream.TRACKS]) == (expected, properties)
    assert set(layout.event_tables) == ({"order"} if expected == "event_tables" else set())
    assert layout.reason
    assert layout.json == ({Stream.TRACKS: "properties"} if expected == "json" else {})


def test_only_views_that_number_their_rows_lose_that_column() -> None:
    def traits(name: str) -> tuple[str, ...]:
        calls = {Stream.IDENTIFIES: table(name, "row_number", "plan"), Stream.TRACKS: table("tracks")}
        return build_layout(SourceConfig(), "received_at", calls, {}, named_like_events=False, typed=False).fields[Stream.IDENTIFIES]

    assert traits("identifies") == ("row_number", "plan")
    assert traits("identifies_view") == ("plan",)


def test_types_matter_only_where_the_database_keeps_them() -> None:
    found = table("tracks", received_at=Kind.JSON)
    assert check_columns(found, "TRACKS_TABLE", SourceConfig(), typed=False) == "received_at"
    with pytest.raises(SourceError, match="json where a timestamp belongs"):
        check_columns(found, "TRACKS_TABLE", SourceConfig(), typed=True)
