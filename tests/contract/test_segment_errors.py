"""A warehouse that is not as Segment lays it out: one line, what is wrong, where, and which setting changes it."""

import pickle
from collections.abc import Iterator, Mapping

import pytest
import warehouse
from sqlalchemy import event as sqlalchemy_event
from sqlalchemy import make_url
from warehouse import NOON, OpenSource, identify, make_warehouse, run_sql, track

from rehook_sync.database.engine import Database, open_database
from rehook_sync.errors import DatabaseError, SourceError
from rehook_sync.models import Stream, Window
from rehook_sync.warehouse.segment import SegmentSource, SourceConfig

open_source = warehouse.open_source
NASTY = [
    'x"; DROP TABLE tracks; --',
    "x'; DROP TABLE tracks; --",
    "tracks; DROP TABLE tracks",
    ":low",
    "%(low)s",
    "",
    "a\nb",
    "日本",
    '"tracks"',
    "x" * 300,
]


def refusal(source: SegmentSource) -> str:
    with pytest.raises(SourceError) as caught:
        source.discover()
    message = str(caught.value)
    assert len(message.splitlines()) == 1
    assert str(pickle.loads(pickle.dumps(caught.value))) == message
    return message


def shop(url: str, schema: str | None = None, **types: Mapping[str, str | None]) -> None:
    make_warehouse(url, {"identifies": [identify("m", "u")], "tracks": [track("t", "u")]}, schema=schema, types=types)


@pytest.mark.parametrize("setting", ["schema", "identifies_table", "tracks_table", "cursor_column"])
def test_names_that_try_sql_only_lead_to_an_error(warehouse_url: str, open_source: OpenSource, setting: str) -> None:
    shop(warehouse_url)
    for name in NASTY:
        message = refusal(open_source(warehouse_url, **{setting: name}))
        assert {"schema": "WAREHOUSE_SCHEMA"}.get(setting, setting.upper()) in message
    assert run_sql(warehouse_url, "SELECT count(*) FROM tracks") == [(1,)]


@pytest.mark.parametrize(("table", "setting"), [("identifies", "IDENTIFIES_TABLE"), ("tracks", "TRACKS_TABLE")])
def test_a_missing_table_is_named_with_its_setting(warehouse_url: str, open_source: OpenSource, table: str, setting: str) -> None:
    shop(warehouse_url)
    run_sql(warehouse_url, f"DROP TABLE {table}", f"CREATE TABLE {table}_2 (id integer)")
    message = refusal(open_source(warehouse_url))
    assert f"no table '{table}'" in message
    assert f"did you mean '{table}_2'" in message
    assert setting in message


@pytest.mark.parametrize("table", ["identifies", "tracks"])
def test_a_source_without_one_kind_of_calls_is_told_what_to_do(postgres_url: str, open_source: OpenSource, table: str) -> None:
    shop(postgres_url, "web")
    shop(postgres_url, "server")
    run_sql(postgres_url, f"ALTER TABLE server.{table} RENAME TO aliases")
    message = refusal(open_source(postgres_url, schema="server"))
    assert f"no table '{table}' in schema 'server' (set {table.upper()}_TABLE); a source without such calls needs an empty view" in message
    assert "WAREHOUSE_SCHEMA" not in message, "another schema would be another source"
    run_sql(postgres_url, f"CREATE VIEW server.{table} AS SELECT * FROM server.aliases WHERE false")
    source = open_source(postgres_url, schema="server")
    assert list(source.read_window(Stream(table), Window(None, NOON.replace(year=2027)), None)) == []


def test_what_is_there_instead_is_listed(warehouse_url: str, open_source: OpenSource) -> None:
    make_warehouse(warehouse_url, {f"t{n}": [{"id": "x"}] for n in range(10)})
    message = refusal(open_source(warehouse_url))
    assert "'t0', 't1', 't2', 't3', 't4', 't5', 't6', 't7' and 2 more" in message


def test_an_empty_warehouse_is_an_error(warehouse_url: str, open_source: OpenSource) -> None:
    assert "WAREHOUSE_SCHEMA" in refusal(open_source(warehouse_url))


def test_a_missing_schema_is_named_with_those_like_it(postgres_url: str, open_source: OpenSource) -> None:
    shop(postgres_url, "shop")
    message = refusal(open_source(postgres_url, schema="shpo"))
    assert "schema 'shpo'" in message
    assert "did you mean 'shop'" in message
    assert "WAREHOUSE_SCHEMA" in message


def test_a_schema_is_not_a_matter_of_sqlite(sqlite_url: str, open_source: OpenSource) -> None:
    shop(sqlite_url)
    assert "WAREHOUSE_SCHEMA" in refusal(open_source(sqlite_url, schema="shop"))
    assert open_source(sqlite_url, schema="main").discover().tracks.name == "tracks"


def test_tables_in_another_schema_are_pointed_to(postgres_url: str, open_source: OpenSource) -> None:
    shop(postgres_url, "shop")
    make_warehouse(postgres_url, {"other": [{"id": "x"}]})
    assert "WAREHOUSE_SCHEMA could be 'shop'" in refusal(open_source(postgres_url))
    layout = open_source(postgres_url, schema="shop").discover()
    assert (layout.tables[Stream.IDENTIFIES].path, layout.tracks.path) == (("shop", "identifies"), ("shop", "tracks"))


def test_the_first_schema_of_the_search_path_is_the_default(postgres_url: str, open_source: OpenSource) -> None:
    shop(postgres_url, "shop")
    run_sql(postgres_url, f'ALTER DATABASE "{make_url(postgres_url).database}" SET search_path = shop')
    assert open_source(postgres_url).discover().tracks.path == ("shop", "tracks")


def test_an_odd_schema_name_is_only_a_name(postgres_url: str, open_source: OpenSource) -> None:
    odd = 'my "shop": 100%; --'
    shop(postgres_url, odd)
    source = open_source(postgres_url, schema=odd)
    assert source.discover().tracks.path == (odd, "tracks")
    assert len([*source.read_window(Stream.TRACKS, Window(None, NOON.replace(year=2027)), None)]) == 1


@pytest.mark.parametrize(("table", "setting"), [("identifies", "IDENTIFIES_TABLE"), ("tracks", "TRACKS_TABLE")])
def test_a_missing_column_is_named_with_table_and_setting(warehouse_url: str, open_source: OpenSource, table: str, setting: str) -> None:
    shop(warehouse_url)
    for column, renamed, said in (("id", "ids", setting), ("user_id", "userid", setting), ("received_at", "received", "CURSOR_COLUMN")):
        run_sql(warehouse_url, f"ALTER TABLE {table} RENAME COLUMN {column} TO {renamed}")
        message = refusal(open_source(warehouse_url))
        assert f"table '{table}' has no column '{column}'" in message
        assert f"did you mean '{renamed}'" in message
        assert said in message
        run_sql(warehouse_url, f"ALTER TABLE {table} RENAME COLUMN {renamed} TO {column}")


def test_the_cursor_column_is_found_whatever_its_case(warehouse_url: str, open_source: OpenSource) -> None:
    shop(warehouse_url)
    source = open_source(warehouse_url, cursor_column="Received_At", identifies_table="Identifies")
    assert source.discover().cursor == "received_at"
    assert source.newest(Stream.IDENTIFIES, Window(None, NOON.replace(year=2027))) == NOON


def test_a_cursor_written_in_two_ways_is_an_error(warehouse_url: str, open_source: OpenSource) -> None:
    shop(warehouse_url, identifies={"Synced": "timestamptz"}, tracks={"synced": "timestamptz"})
    assert "CURSOR_COLUMN" in refusal(open_source(warehouse_url, cursor_column="synced"))


def test_what_keeps_no_time_is_named_with_its_type(postgres_url: str, open_source: OpenSource) -> None:
    for kind, said in (
        ("jsonb", "json"),
        ("boolean", "boolean"),
        ("uuid", "uuid"),
        ("inet", "another type"),
    ):
        run_sql(postgres_url, "DROP TABLE IF EXISTS identifies", "DROP TABLE IF EXISTS tracks")
        make_warehouse(postgres_url, {"identifies": [identify("m", "u")], "tracks": []}, types={"tracks": {"received_at": kind}})
        message = refusal(open_source(postgres_url))
        assert f"table 'tracks', column 'received_at': {said} where a timestamp belongs" in message
        assert "CURSOR_COLUMN" in message
        assert "TRACKS_TABLE" in message


def test_a_boolean_where_the_time_of_a_call_belongs_is_an_error(postgres_url: str, open_source: OpenSource) -> None:
    make_warehouse(postgres_url, {"identifies": [], "tracks": []}, types={"identifies": {"timestamp": "boolean"}})
    assert "table 'identifies', column 'timestamp': boolean where a timestamp belongs" in refusal(open_source(postgres_url))


def test_json_in_original_timestamp_is_a_warning(postgres_url: str, open_source: OpenSource) -> None:
    shop(postgres_url, identifies={"original_timestamp": "json"})
    layout = open_source(postgres_url).discover()
    assert layout.times == {Stream.IDENTIFIES: ("timestamp",), Stream.TRACKS: ("timestamp",)}
    assert any("original_timestamp" in warning for warning in layout.warnings)


def test_json_that_was_asked_for_must_be_there(warehouse_url: str, open_source: OpenSource) -> None:
    shop(warehouse_url, tracks={"property": "text"})
    message = refusal(open_source(warehouse_url, track_properties="json"))
    assert "TRACK_PROPERTIES is 'json'" in message


def test_a_failing_database_is_no_reason_to_send_events_without_properties(warehouse_url: str, open_source: OpenSource) -> None:
    make_warehouse(warehouse_url, {"identifies": [], "tracks": [track("t", "u")], "base": [warehouse.event("t", total=5)]})
    failing = "abs(-9223372036854775803 - total)" if warehouse_url.startswith("sqlite") else "CAST(CONCAT('x', total) AS integer)"
    run_sql(warehouse_url, f"CREATE VIEW order_completed AS SELECT id, received_at, {failing} AS ratio FROM base")
    source = open_source(warehouse_url)
    rows = list(source.read_window(Stream.TRACKS, Window(None, NOON.replace(year=2027)), None))
    with pytest.raises(DatabaseError):
        list(source.fill_properties(rows))


@pytest.mark.parametrize("list_of", ["is_guarded", "data_type"])
def test_a_list_that_fails_ends_before_anything_is_read(warehouse_url: str, open_source: OpenSource, list_of: str) -> None:
    """The first is the list of tables, the second that of columns where it says their types."""
    make_warehouse(warehouse_url, {"identifies": [], "tracks": [track("t", "u")], "order_completed": [warehouse.event("t", total=5)]})
    source = open_source(warehouse_url)
    refused: list[str] = []

    def refuse(_connection: object, _cursor: object, statement: str, values: object, *_more: object) -> tuple[str, object]:
        if list_of not in statement:
            return statement, values
        refused.append(statement)
        return "SELECT 1 FROM nowhere", ()

    sqlalchemy_event.listen(source._database.engine, "before_cursor_execute", refuse, retval=True)
    if list_of == "data_type" and not source._database.warehouse.lists_types:
        assert source.discover().event_tables
        return
    with pytest.raises(SourceError, match=r"cannot be listed: .*nowhere"):
        source.discover()
    assert refused


def tracks_of(source: SegmentSource) -> dict[str, tuple[Mapping[str, object], str | None]]:
    rows = list(source.read_window(Stream.TRACKS, Window(None, NOON.replace(year=2027)), None))
    list(source.fill_properties(rows))
    return {row.message_id: (row.fields, row.unloaded) for row in rows}


@pytest.mark.parametrize("column", ["rehook_sync__id", "Rehook_Sync__received_at", "rehook_sync__"])
def test_a_column_called_like_one_of_ours_stops_only_its_table(warehouse_url: str, open_source: OpenSource, column: str) -> None:
    events = {"order_completed": [warehouse.event("t", **{column: "x"}, total=5)], "signed_up": [warehouse.event("s", n=1)]}
    make_warehouse(warehouse_url, {"identifies": [], "tracks": [track("t", "u"), track("s", "u", "Signed Up")], **events})
    source = open_source(warehouse_url)
    assert tracks_of(source) == {"t": ({}, "table 'order_completed' cannot be read"), "s": ({"n": 1}, None)}
    (line,) = source.discover().unreadable_lines
    assert f"table 'order_completed' has a column {column!r}" in line


@pytest.mark.parametrize("table", ["identifies", "tracks"])
def test_a_column_of_calls_called_like_one_of_ours_is_named(warehouse_url: str, open_source: OpenSource, table: str) -> None:
    types = {table: {"rehook_sync__received_at": "text"}}
    make_warehouse(warehouse_url, {"identifies": [identify("m", "u")], "tracks": [track("t", "u")]}, types=types)
    message = refusal(open_source(warehouse_url))
    assert f"table '{table}' has a column 'rehook_sync__received_at'" in message
    assert f"{table.upper()}_TABLE" in message


def make_wide(url: str, table: str, columns: int) -> None:
    """A table of so many columns with one call, `wide`."""
    own = ["id", "user_id", "received_at", "timestamp"]
    kinds = ["text", "text", *["timestamp with time zone"] * 2, *["integer"] * (columns - len(own) - 1)]
    names = [*own, *(f"c{n}" for n in range(columns - len(own) - 1))]
    declared = ", ".join(f"{name} {kind}" for name, kind in zip(names, kinds, strict=True))
    run_sql(url, f"DROP TABLE IF EXISTS {table}", f"CREATE TABLE {table} ({declared}, last integer)")
    run_sql(url, f"INSERT INTO {table} (id, user_id, received_at, last) VALUES ('wide', 'u', '{NOON.isoformat()}', 7)")


@pytest.mark.parametrize(("kind", "most"), [("sqlite", 1990), ("postgresql", 1600)])
def test_a_table_of_as_many_columns_as_there_may_be_is_read(
    request: pytest.FixtureRequest, open_source: OpenSource, kind: str, most: int
) -> None:
    url = request.getfixturevalue("sqlite_url" if kind == "sqlite" else "postgres_url")
    make_warehouse(url, {"identifies": [], "tracks": [track("wide", "u")]})
    make_wide(url, "identifies", most)
    make_wide(url, "order_completed", most)
    source = open_source(url)
    window = Window(None, NOON.replace(year=2027))
    assert [row.fields for row in source.read_window(Stream.IDENTIFIES, window, None)] == [{"last": 7}]
    assert [row.fields for row in source.read_ids(Stream.IDENTIFIES, ["wide"])] == [{"last": 7}]
    assert tracks_of(source) == {"wide": ({"last": 7}, None)}


@pytest.mark.parametrize("columns", [1991, 2000])
def test_a_table_of_more_columns_than_can_be_read_is_named(sqlite_url: str, open_source: OpenSource, columns: int) -> None:
    make_warehouse(sqlite_url, {"identifies": [], "tracks": [track("wide", "u"), track("s", "u", "Signed Up")]})
    make_warehouse(sqlite_url, {"signed_up": [warehouse.event("s", n=1)]})
    make_wide(sqlite_url, "order_completed", columns)
    source = open_source(sqlite_url)
    assert tracks_of(source) == {"wide": ({}, "table 'order_completed' cannot be read"), "s": ({"n": 1}, None)}
    said = f"has {columns} columns, and at most 1990 can be read from this database"
    assert said in source.discover().unreadable["order_completed"]
    make_wide(sqlite_url, "identifies", columns)
    message = refusal(open_source(sqlite_url))
    assert f"table 'identifies' {said}" in message
    assert "IDENTIFIES_TABLE" in message


def test_a_table_without_columns_is_no_events(postgres_url: str, open_source: OpenSource) -> None:
    shop(postgres_url)
    run_sql(postgres_url, "CREATE TABLE order_completed ()")
    assert not open_source(postgres_url).discover().event_tables


def test_nothing_is_written(sqlite_url: str, open_source: OpenSource) -> None:
    shop(sqlite_url)
    before = run_sql(sqlite_url, "SELECT name, sql FROM sqlite_master")
    source = open_source(sqlite_url)
    source.discover()
    list(source.read_window(Stream.TRACKS, Window(None, NOON), None))
    assert run_sql(sqlite_url, "SELECT name, sql FROM sqlite_master") == before


class OtherWarehouse(Database):
    """A database whose dialect this package knows nothing of."""

    dialect = "other"


@pytest.fixture
def open_other() -> Iterator[OpenSource]:
    """Opens a source with the SQL that is for no dialect in particular."""
    engines = []

    def source(url: str, **config: str | None) -> SegmentSource:
        engines.append(open_database(url, "WAREHOUSE_URL").engine)
        return SegmentSource(OtherWarehouse(engines[-1], "WAREHOUSE_URL"), SourceConfig(**config))  # type: ignore[arg-type]

    yield source
    for engine in engines:
        engine.dispose()


def test_plain_sql_serves_other_warehouses(postgres_url: str, open_other: OpenSource) -> None:
    tables = {"identifies": [identify(f"m{n}", "u", warehouse.at(n), plan="a") for n in range(5)], "tracks": [track("t", "u")]}
    make_warehouse(postgres_url, {**tables, "order_completed": [warehouse.event("t", total=5)]}, schema="Shop")
    source = open_other(postgres_url, schema="SHOP")
    window = Window(None, warehouse.at(3))
    assert source.discover().tracks.path == ("Shop", "tracks")
    assert [row.message_id for row in source.read_window(Stream.IDENTIFIES, window, None)] == ["m0", "m1", "m2"]
    assert source.newest(Stream.IDENTIFIES, window) == warehouse.at(2)
    (call,) = source.read_ids(Stream.TRACKS, ["t", "gone"])
    list(source.fill_properties([call]))
    assert call.fields == {"total": 5}
    assert "WAREHOUSE_SCHEMA" in refusal(open_other(postgres_url, schema="shpo"))


@pytest.mark.parametrize("told", ["columns", "json"])
def test_a_warehouse_without_a_list_of_tables_is_read_if_no_event_table_is(sqlite_url: str, open_other: OpenSource, told: str) -> None:
    shop(sqlite_url, identifies={"plan": "text"}, tracks={"properties": "json"})
    layout = open_other(sqlite_url, track_properties=told).discover()
    assert (layout.tables[Stream.IDENTIFIES].path, layout.fields[Stream.IDENTIFIES], layout.event_tables) == (
        ("identifies",),
        ("plan",),
        {},
    )
    assert any("information_schema" in warning for warning in layout.warnings)
    with pytest.raises(DatabaseError, match="no such table"):
        open_other(sqlite_url, track_properties=told, tracks_table='x"; --').discover()


@pytest.mark.parametrize("told", ["auto", "event_tables"])
def test_a_list_of_tables_that_fails_ends_before_any_event_is_bare(sqlite_url: str, open_other: OpenSource, told: str) -> None:
    shop(sqlite_url)
    message = refusal(open_other(sqlite_url, track_properties=told))
    assert "the tables of the warehouse cannot be listed: no such table: information_schema.tables" in message
    assert "TRACK_PROPERTIES" in message
