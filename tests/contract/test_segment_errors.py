"""A warehouse that is not as Segment lays it out: one line, what is wrong, where, and which setting changes it."""

import pickle
from collections.abc import Iterator, Mapping

import pytest
import warehouse
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
def test_names_that_try_sql_only_lead_to_an_error(database_url: str, open_source: OpenSource, setting: str) -> None:
    shop(database_url)
    for name in NASTY:
        message = refusal(open_source(database_url, **{setting: name}))
        assert {"schema": "WAREHOUSE_SCHEMA"}.get(setting, setting.upper()) in message
    assert run_sql(database_url, "SELECT count(*) FROM tracks") == [(1,)]


@pytest.mark.parametrize(("table", "setting"), [("identifies", "IDENTIFIES_TABLE"), ("tracks", "TRACKS_TABLE")])
def test_a_missing_table_is_named_with_its_setting(database_url: str, open_source: OpenSource, table: str, setting: str) -> None:
    shop(database_url)
    run_sql(database_url, f"DROP TABLE {table}", f"CREATE TABLE {table}_2 (id integer)")
    message = refusal(open_source(database_url))
    assert f"no table '{table}'" in message
    assert f"did you mean '{table}_2'" in message
    assert setting in message


def test_what_is_there_instead_is_listed(database_url: str, open_source: OpenSource) -> None:
    make_warehouse(database_url, {f"t{n}": [{"id": "x"}] for n in range(10)})
    message = refusal(open_source(database_url))
    assert "'t0', 't1', 't2', 't3', 't4', 't5', 't6', 't7' and 2 more" in message


def test_an_empty_warehouse_is_an_error(database_url: str, open_source: OpenSource) -> None:
    assert "WAREHOUSE_SCHEMA" in refusal(open_source(database_url))


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
    assert (layout.identifies.path, layout.tracks.path) == (("shop", "identifies"), ("shop", "tracks"))


def test_the_first_schema_of_the_search_path_is_the_default(postgres_url: str, open_source: OpenSource) -> None:
    shop(postgres_url, "shop")
    run_sql(postgres_url, f'ALTER DATABASE "{make_url(postgres_url).database}" SET search_path = shop')
    assert open_source(postgres_url).discover().tracks.path == ("shop", "tracks")


def test_an_odd_schema_name_is_only_a_name(postgres_url: str, open_source: OpenSource) -> None:
    odd = 'my "shop": 100%; --'
    shop(postgres_url, odd)
    source = open_source(postgres_url, schema=odd)
    assert source.discover().tracks.path == (odd, "tracks")
    assert source.count(Stream.TRACKS, Window(None, NOON.replace(year=2027)), None) == 1


@pytest.mark.parametrize(("table", "setting"), [("identifies", "IDENTIFIES_TABLE"), ("tracks", "TRACKS_TABLE")])
def test_a_missing_column_is_named_with_table_and_setting(database_url: str, open_source: OpenSource, table: str, setting: str) -> None:
    shop(database_url)
    for column, renamed, said in (("id", "ids", setting), ("user_id", "userid", setting), ("received_at", "received", "CURSOR_COLUMN")):
        run_sql(database_url, f"ALTER TABLE {table} RENAME COLUMN {column} TO {renamed}")
        message = refusal(open_source(database_url))
        assert f"table '{table}' has no column '{column}'" in message
        assert f"did you mean '{renamed}'" in message
        assert said in message
        run_sql(database_url, f"ALTER TABLE {table} RENAME COLUMN {renamed} TO {column}")


def test_the_cursor_column_is_found_whatever_its_case(database_url: str, open_source: OpenSource) -> None:
    shop(database_url)
    source = open_source(database_url, cursor_column="Received_At", identifies_table="Identifies")
    assert source.discover().cursor == "received_at"
    assert source.newest(Stream.IDENTIFIES, Window(None, NOON.replace(year=2027))) == NOON


def test_a_cursor_written_in_two_ways_is_an_error(database_url: str, open_source: OpenSource) -> None:
    shop(database_url, identifies={"Synced": "timestamptz"}, tracks={"synced": "timestamptz"})
    assert "CURSOR_COLUMN" in refusal(open_source(database_url, cursor_column="synced"))


def test_text_where_the_cursor_belongs_is_named_with_its_type(postgres_url: str, open_source: OpenSource) -> None:
    for kind, said in (
        ("text", "text"),
        ("varchar(30)", "text"),
        ("bigint", "number"),
        ("jsonb", "json"),
        ("uuid", "uuid"),
        ("inet", "another type"),
    ):
        run_sql(postgres_url, "DROP TABLE IF EXISTS identifies", "DROP TABLE IF EXISTS tracks")
        make_warehouse(postgres_url, {"identifies": [identify("m", "u")], "tracks": []}, types={"tracks": {"received_at": kind}})
        message = refusal(open_source(postgres_url))
        assert f"table 'tracks', column 'received_at': {said} where a timestamp belongs" in message
        assert "CURSOR_COLUMN" in message
        assert "TRACKS_TABLE" in message


def test_text_where_the_time_of_a_call_belongs_is_an_error(postgres_url: str, open_source: OpenSource) -> None:
    shop(postgres_url, identifies={"timestamp": "text"})
    assert "table 'identifies', column 'timestamp': text where a timestamp belongs" in refusal(open_source(postgres_url))


def test_text_in_original_timestamp_is_a_warning(postgres_url: str, open_source: OpenSource) -> None:
    shop(postgres_url, identifies={"original_timestamp": "text"})
    layout = open_source(postgres_url).discover()
    assert layout.times == {Stream.IDENTIFIES: ("timestamp",), Stream.TRACKS: ("timestamp",)}
    assert any("original_timestamp" in warning for warning in layout.warnings)


def test_json_that_was_asked_for_must_be_there(database_url: str, open_source: OpenSource) -> None:
    shop(database_url, tracks={"property": "text"})
    message = refusal(open_source(database_url, track_properties="json"))
    assert "TRACK_PROPERTIES is 'json'" in message


def test_a_user_without_rights_is_told_so(postgres_url: str, open_source: OpenSource) -> None:
    shop(postgres_url)
    exists = "SELECT 1 FROM pg_roles WHERE rolname = 'stranger'"
    run_sql(postgres_url, f"DO $$ BEGIN IF NOT EXISTS ({exists}) THEN CREATE ROLE stranger LOGIN; END IF; END $$")
    url = make_url(postgres_url).set(username="stranger").render_as_string(hide_password=False)
    assert "may see" in refusal(open_source(url))
    run_sql(postgres_url, "GRANT INSERT ON identifies, tracks TO stranger")
    message = refusal(open_source(url))
    assert "permission denied" in message
    assert "identifies" in message


def test_a_failing_database_is_no_reason_to_send_events_without_properties(database_url: str, open_source: OpenSource) -> None:
    make_warehouse(database_url, {"identifies": [], "tracks": [track("t", "u")], "base": [warehouse.event("t", total=5)]})
    failing = "abs(-9223372036854775803 - total)" if database_url.startswith("sqlite") else "1 / (total - 5)"
    run_sql(database_url, f"CREATE VIEW order_completed AS SELECT id, received_at, {failing} AS ratio FROM base")
    source = open_source(database_url)
    rows = list(source.read_window(Stream.TRACKS, Window(None, NOON.replace(year=2027)), None))
    with pytest.raises(DatabaseError):
        source.fill_properties(rows)


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
    assert (source.count(Stream.IDENTIFIES, window, None), source.newest(Stream.IDENTIFIES, window)) == (3, warehouse.at(2))
    (call,) = source.read_ids(Stream.TRACKS, ["t", "gone"])
    source.fill_properties([call])
    assert call.fields == {"total": 5}
    assert "WAREHOUSE_SCHEMA" in refusal(open_other(postgres_url, schema="shpo"))


def test_a_warehouse_without_a_list_of_tables_is_read_by_the_names_in_the_settings(sqlite_url: str, open_other: OpenSource) -> None:
    shop(sqlite_url, identifies={"plan": "text"})
    layout = open_other(sqlite_url).discover()
    assert (layout.identifies.path, layout.traits, layout.event_tables) == (("identifies",), ("plan",), {})
    assert any("information_schema" in warning for warning in layout.warnings)
    with pytest.raises(DatabaseError, match="no such table"):
        open_other(sqlite_url, tracks_table='x"; --').discover()
