"""The job over Databricks: whole windows under any zone, every type, bounded statements, sessions, tokens, one line for what goes wrong."""

import json
import re
from collections.abc import Iterator
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
import warehouse
from accounting import ALL, Bench, ago
from beds.databricks.bed import SECRET, DatabricksBed
from sqlalchemy import create_engine, text
from warehouse import NOON, OPTIONS, OpenSource, at, event, identify, make_warehouse, run_sql, track

from rehook_sync.database.dialects.record import Connecting
from rehook_sync.database.engine import open_database
from rehook_sync.errors import SettingsError, SourceError
from rehook_sync.models import Stream, Window
from rehook_sync.rules.bodies import Names, shape
from rehook_sync.values import to_json

open_source = warehouse.open_source
WHOLE = Window(NOON - timedelta(days=2), NOON + timedelta(days=2))
NAIVE = dict.fromkeys(("received_at", "timestamp"), "timestamp_ntz")
VALUES: dict[str, tuple[str, object]] = {
    "string": ("' Zoë '", " Zoë "),
    "varchar(9)": ("'pro '", "pro "),
    "char(5)": ("'pro'", "pro"),
    "boolean": ("true", True),
    "tinyint": ("-5", -5),
    "smallint": ("-5", -5),
    "int": ("234", 234),
    "bigint": ("9007199254740993", 9007199254740993),
    "decimal(38, 4)": ("12345678901234567890.5000", Decimal("12345678901234567890.5")),
    "float": ("0.25", Decimal("0.25")),
    "double": ("1e300", Decimal("1e300")),
    "date": ("DATE'2026-11-01'", "2026-11-01"),
    "timestamp": ("TIMESTAMP'2026-11-01 14:00:00.123456+02:00'", "2026-11-01T12:00:00.123456Z"),
    "timestamp_ntz": ("TIMESTAMP_NTZ'2026-11-01 12:00:00.123'", "2026-11-01T12:00:00.123Z"),
    "binary": ("X'6162ff'", "YWL/"),
    "variant": ("""PARSE_JSON('{"a": 1.10, "b": [1, null, "x"], "c": null}')""", {"a": Decimal("1.1"), "b": [1, None, "x"]}),
    "array<int>": ("ARRAY(1, NULL, 3)", [1, None, 3]),
    "array<string>": ("ARRAY()", []),
    "map<string, bigint>": ("MAP('k', 9007199254740993)", {"k": 9007199254740993}),
    "struct<city: string, at: timestamp, zip: decimal(10, 2), no: int>": (
        "NAMED_STRUCT('city', 'Oslo', 'at', TIMESTAMP'2026-11-01 12:00:00.123456Z', 'zip', 1.10, 'no', NULL)",
        {"city": "Oslo", "at": "2026-11-01T12:00:00.123456Z", "zip": Decimal("1.1")},
    ),
    "array<struct<sku: string, price: decimal(20, 9)>>": (
        "ARRAY(NAMED_STRUCT('sku', 's', 'price', 0.000000001))",
        [{"sku": "s", "price": Decimal("1e-9")}],
    ),
    "interval year to month": ("INTERVAL '1-2' YEAR TO MONTH", "INTERVAL '1-2' YEAR TO MONTH"),
    "interval day to second": ("INTERVAL '3 04:05:06.7' DAY TO SECOND", "INTERVAL '3 04:05:06.7' DAY TO SECOND"),
}
"""Type -> SQL of a value, and what goes out. Each is a line of docs/sources.md."""


@pytest.fixture
def seen(databricks_bed: DatabricksBed) -> Iterator[int]:
    """How many requests were noted before the test; in the end, no statement may have had more values than Databricks takes."""
    before = len(databricks_bed.noted())
    yield before
    assert max((each.get("parameters", 0) for each in databricks_bed.noted()[before:]), default=0) < 20


def statements(bed: DatabricksBed, seen: int) -> list[str]:
    """What was read since."""
    found = [each["statement"] for each in bed.noted()[seen:] if "statement" in each]
    return [each for each in found if re.match(r"\s*(SELECT|WITH)\b", each) and each != "SELECT 1"]


def add_columns(url: str, kinds: dict[str, tuple[str, str]]) -> None:
    """Make `identifies` with one call that has these columns: name -> type, SQL of the value."""
    make_warehouse(url, {"tracks": []})
    own = "'i1', 'u', CAST(NULL AS STRING), TIMESTAMP'2026-11-01 12:00:00Z', TIMESTAMP'2026-11-01 12:00:00Z'"
    columns = "id string, user_id string, anonymous_id string, received_at timestamp, `timestamp` timestamp"
    declared, values = (
        ", ".join(each) for each in ([f"{name} {kind}" for name, (kind, _) in kinds.items()], [sql for _, sql in kinds.values()])
    )
    run_sql(url, f"CREATE TABLE identifies ({columns}, {declared})", f"INSERT INTO identifies SELECT {own}, {values}")


def test_no_row_is_lost_whatever_the_sessions_zone(databricks_url: str, open_source: OpenSource) -> None:
    """The bed's own zone is New York's."""
    calls = [track(f"t{n}", "u", when=at(n * 600).replace(tzinfo=None)) for n in range(36)]
    make_warehouse(databricks_url, {"identifies": [], "tracks": calls}, types={"identifies": NAIVE, "tracks": NAIVE})
    source = open_source(databricks_url)
    window = Window(NOON, NOON + timedelta(hours=6))
    assert len([*source.read_window(Stream.TRACKS, window, None)]) == 36
    assert source.newest(Stream.TRACKS, window) == at(35 * 600)
    assert [row.received_at for row in source.read_window(Stream.TRACKS, window, None)] == [at(n * 600) for n in range(36)]


def test_each_type_goes_out_as_the_documentation_says(databricks_url: str, open_source: OpenSource) -> None:
    add_columns(databricks_url, {f"c{n}": (kind, sql) for n, (kind, (sql, _)) in enumerate(VALUES.items())})
    (row,) = open_source(databricks_url).read_window(Stream.IDENTIFIES, WHOLE, None)
    assert row.problem is None
    sent = json.loads(to_json(shape([row], Names())[0].metadata), parse_float=Decimal)
    assert sent == {f"c{n}": value for n, (_, value) in enumerate(VALUES.values())}


def test_numbers_and_times_beyond_json_and_python_do_not_end_the_read(databricks_url: str, open_source: OpenSource) -> None:
    kinds = {
        "late": ("timestamp", "TIMESTAMP'+20000-01-01 00:00:00Z'"),
        "day": ("date", "DATE'+20000-01-01'"),
        "plan": ("string", "'pro'"),
        "original_timestamp": ("timestamp", "TIMESTAMP'+20000-01-01 00:00:00Z'"),
    }
    add_columns(databricks_url, kinds)
    run_sql(databricks_url, "INSERT INTO identifies SELECT 'i2', 'u', NULL, received_at, late, NULL, NULL, 'basic', late FROM identifies")
    rows = list(open_source(databricks_url).read_window(Stream.IDENTIFIES, WHOLE, None))
    assert {row.message_id: row.fields["plan"] for row in rows} == {"i1": "pro", "i2": "basic"}
    assert [row for row in rows if {"late", "day"} & row.fields.keys()] == []


def test_a_run_sends_lists_and_structs_whole(bench: Bench, databricks_bed: DatabricksBed, seen: int) -> None:
    """One ARRAY column had every row rejected."""
    when = [ago(hours=6 - n / 10) for n in range(18)]
    bench.fill(
        identifies=[identify(f"i{n}", f"u{n}", when[n], plan={"a": [n]}) for n in range(18)],
        tracks=[track(f"t{n}", f"u{n}", "Order Completed", when[n]) for n in range(18)],
    )
    columns = "id string, received_at timestamp, products array<struct<sku: string, price: decimal(10, 2)>>"
    run_sql(
        bench.warehouse_url,
        f"CREATE TABLE order_completed ({columns})",
        "INSERT INTO order_completed SELECT id, received_at, ARRAY(NAMED_STRUCT('sku', id, 'price', 1.10)) FROM tracks",
    )
    result = bench.run(ALL)
    assert (result.summary.sent, result.summary.rejected) == (36, 0)
    products = [each["products"] for each in bench.metadata() if "products" in each]
    assert sorted(each[0]["sku"] for each in products) == sorted(f"t{n}" for n in range(18))
    assert {each[0]["price"] for each in products} == {1.1}
    assert bench.run().summary.rows_read == 0
    noted = databricks_bed.noted()[seen:]
    assert {each["agent"].partition("(")[2] for each in noted if "agent" in each} >= {"sqlalchemy + rehook_sync)"}
    assert [each for each in noted if "got" in each] == [], "nobody is asked about telemetry"


def test_statements_are_bounded_by_streams_and_event_tables(bench: Bench, databricks_bed: DatabricksBed, seen: int) -> None:
    names = ("Order Completed", "Signed Up")
    calls = [track(f"t{n}", f"u{n % 5}", names[n % 2], ago(hours=30 - n / 10)) for n in range(61)]
    tables = {
        slug: [event(call["id"], call["received_at"], total=1) for call in calls if call["event"] == slug]
        for slug in ("order_completed", "signed_up")
    }
    bench.fill(identifies=[], tracks=calls, **tables, unused=[event("x1", n=1)])
    before = len(databricks_bed.noted())
    bench.run(ALL, chunk_rows=7, check=False)
    schema = bench.warehouse_url.rpartition("=")[2]
    sent = [each for each in statements(databricks_bed, before) if schema in each or "information_schema" in each]
    read = [len([each for each in sent if f"`{name}`" in each]) for name in ("order_completed", "signed_up", "unused")]
    assert read == [1, 1, 0], "one for each event table that has new rows"
    assert len(sent) <= 25, "\n---\n".join(sent)
    whole = [each for each in sent if "`tracks`" in each and ":`low`" not in each]
    assert [each for each in whole if "WHERE 1 = 0" not in each and "EXISTS" not in each] == []
    bench.check()


@pytest.mark.parametrize("kind", ["bigint", "decimal(38, 0)", "double", "decimal(20, 2)"])
def test_ids_that_are_numbers_are_found_again(databricks_url: str, open_source: OpenSource, kind: str) -> None:
    numbers = (7, 40_000_000)
    make_warehouse(
        databricks_url,
        {"identifies": [], "tracks": [track(n, "u") for n in numbers], "order_completed": [event(n, total=n) for n in numbers]},
        types={"tracks": {"id": kind}, "order_completed": {"id": kind}},
    )
    source = open_source(databricks_url)
    rows = list(source.fill_properties(list(source.read_window(Stream.TRACKS, WHOLE, None))))
    assert [(row.message_id, row.fields) for row in rows] == [("40000000", {"total": 40_000_000}), ("7", {"total": 7})]
    assert [row.message_id for row in source.read_ids(Stream.TRACKS, ["7"])] == ["7"]


def test_a_session_that_was_lost_is_opened_again(databricks_url: str, open_source: OpenSource) -> None:
    make_warehouse(databricks_url, {"identifies": [], "tracks": [track("t", "u")]})
    source = open_source(databricks_url)
    assert len([*source.read_window(Stream.TRACKS, WHOLE, None)]) == 1
    run_sql(databricks_url, "FORGET SESSIONS")
    assert len([*source.read_window(Stream.TRACKS, WHOLE, None)]) == 1


def test_an_error_of_the_server_is_one_line_without_values(databricks_url: str, open_source: OpenSource) -> None:
    make_warehouse(databricks_url, {"identifies": [], "tracks": [track("t", "u")]})
    columns = "CAST(secret AS INT) AS id, secret AS user_id, moment AS received_at, moment AS `timestamp`"
    run_sql(
        databricks_url,
        "CREATE TABLE base (secret string, moment timestamp)",
        "INSERT INTO base VALUES ('ann@example.com', TIMESTAMP'2026-11-01 12:00:00Z')",
        "DROP TABLE identifies",
        f"CREATE VIEW identifies AS SELECT {columns} FROM base",
    )
    source = open_source(databricks_url)
    with pytest.raises(Exception, match=r"\(22018\): \[CAST_INVALID_INPUT\]$") as caught:
        list(source.read_window(Stream.IDENTIFIES, WHOLE, None))
    assert "ann@" not in str(caught.value)
    with pytest.raises(SourceError, match=r"there is no table 'trakcs' in schema 'test_\w+' \(set TRACKS_TABLE\)"):
        open_source(databricks_url, tracks_table="trakcs").discover()


def test_a_schema_is_found_in_its_catalog_and_a_missing_one_is_one_line(
    databricks_bed: DatabricksBed, databricks_url: str, open_source: OpenSource
) -> None:
    make_warehouse(databricks_url, {"identifies": [], "tracks": [track("t", "u")]})
    schema = databricks_url.rpartition("=")[2]
    elsewhere = databricks_bed.url("default")
    for name in (schema.upper(), f"spark_catalog.{schema}"):
        assert len([*open_source(elsewhere, schema=name).read_window(Stream.TRACKS, WHOLE, None)]) == 1
    with pytest.raises(SourceError, match="schema 'nowhere' has no tables"):
        open_source(elsewhere, schema="nowhere").discover()


def test_a_service_principal_gets_in_by_its_secret(databricks_bed: DatabricksBed, databricks_url: str, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text(f"{SECRET}\n", encoding="utf-8")
    url = databricks_bed.url(databricks_url.rpartition("=")[2], token=None)
    database = open_database(
        url,
        "WAREHOUSE_URL",
        read_only=True,
        connecting=Connecting({**databricks_bed.options, "oauth_client_id": "principal", "oauth_client_secret": SECRET}),
    )
    with database.connect() as connection:
        assert connection.execute(text("SELECT CURRENT_TIMEZONE()")).scalar() == "UTC"
    database.close()
    assert {"grant_type": ["client_credentials"], "scope": ["all-apis"]} in [each.get("token") for each in databricks_bed.noted()]


@pytest.mark.parametrize("wrong", ["token", "secret", "port"])
def test_who_is_not_let_in_is_told_in_one_line_without_the_secret(databricks_bed: DatabricksBed, wrong: str) -> None:
    options = dict(databricks_bed.options)
    url = databricks_bed.url("default", token="dapi-wr0ng" if wrong == "token" else None)
    if wrong == "secret":
        options |= {"oauth_client_id": "principal", "oauth_client_secret": "dapi-wr0ng"}
    if wrong == "port":
        options |= {"_connection_uri": "http://127.0.0.1:9/sql", "access_token": "dapi-wr0ng"}
    database = open_database(url, "WAREHOUSE_URL", read_only=True, connecting=Connecting(options))
    with pytest.raises(SourceError) as caught, database.connect():
        pass
    said = str(caught.value)
    assert len(said.splitlines()) == 1
    assert "wr0ng" not in said
    assert {"token": "Invalid access token", "secret": "HTTP 401", "port": "refused"}[wrong] in said


def test_a_host_that_does_not_exist_is_told_at_once() -> None:
    """The connector would try for five minutes, and not say what is wrong."""
    url = "databricks://token:dapi-wr0ng@dbc-nowhere.invalid?http_path=/sql/1.0/warehouses/1"
    database = open_database(url, "WAREHOUSE_URL", read_only=True)
    with pytest.raises(SourceError, match=r"WAREHOUSE_URL: the host dbc-nowhere.invalid is not known: "), database.connect():
        pass


def test_a_value_beyond_the_limit_of_parameters_is_refused_by_the_bed(databricks_url: str) -> None:
    engine = create_engine(databricks_url, connect_args=OPTIONS[databricks_url])
    names = [f"p{n}" for n in range(257)]
    with engine.connect() as connection, pytest.raises(Exception, match="the limit is 256"):
        connection.execute(text(f"SELECT {', '.join(f':{name}' for name in names)}"), dict.fromkeys(names, "x"))
    engine.dispose()


def test_a_list_of_tables_that_fails_ends_the_run(bench: Bench) -> None:
    bench.fill(identifies=[], tracks=[track("t1", "u1", when=ago(hours=1))])
    with pytest.raises((SourceError, SettingsError)):
        bench.run(ALL, warehouse_schema="no_catalog.shop")
    assert bench.bodies() == []


def test_columns_with_names_that_are_no_names_are_read(databricks_url: str, open_source: OpenSource) -> None:
    odd = {
        "select": "x",
        'off"': "x",
        "100%": "x",
        ":id": "x",
        "%s": "x",
        "日本語": "x",
        "a'b": "x",
        "\\": "x",
        "a`b": "x",
        "?": "x",
    }
    make_warehouse(databricks_url, {"identifies": [identify("i1", "u", **odd)], "tracks": []})
    (row,) = open_source(databricks_url).read_window(Stream.IDENTIFIES, WHOLE, None)
    assert row.fields == odd


def test_times_as_texts_and_numbers_are_read(databricks_url: str, open_source: OpenSource) -> None:
    texts = {
        "i1": ("2026-11-01T12:00:00.123456Z", at(0.123456)),
        "i2": ("2026-11-01 14:00:01 +02:00", at(1)),
        "i3": (str(int(at(2).timestamp() * 1000)), at(2)),
        "i4": ("2026-11-31", None),
        "i5": ("soon", None),
    }
    rows = [identify(name, "u", when=said) for name, (said, _) in texts.items()]
    make_warehouse(
        databricks_url,
        {"identifies": rows, "tracks": []},
        types={"identifies": {"received_at": "string", "timestamp": "string"}},
    )
    found = {row.message_id: row.received_at for row in open_source(databricks_url).read_window(Stream.IDENTIFIES, WHOLE, None)}
    assert {name: each if isinstance(each, datetime) else None for name, each in found.items()} == {
        name: when for name, (_, when) in texts.items()
    }
