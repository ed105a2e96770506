"""Redshift as a warehouse, in its bed: whole windows under any zone, TLS always, exact values, one line for what goes wrong."""

import json
from collections import Counter
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest
import warehouse
from accounting import ALL, Bench
from beds.redshift.bed import PASSWORD, RedshiftBed
from sqlalchemy import make_url
from warehouse import NOON, OpenSource, at, event, identify, make_warehouse, run_sql, track

from rehook_sync.database.dialects.record import Connecting
from rehook_sync.database.engine import open_database
from rehook_sync.errors import SettingsError, SourceError
from rehook_sync.models import Stream, Window
from rehook_sync.rules.bodies import Names, shape
from rehook_sync.sandbox.server import Sandbox
from rehook_sync.values import to_json

open_source = warehouse.open_source
WHOLE = Window(NOON - timedelta(days=2), NOON + timedelta(days=2))
NAIVE = dict.fromkeys(("received_at", "timestamp"), "timestamp")
VALUES = {
    "boolean": ("true", True),
    "smallint": ("-5", -5),
    "bigint": ("9007199254740993", 9007199254740993),
    "numeric(38, 4)": ("1234567890123456789012345678.5000", 1234567890123456789012345678.5),
    "real": ("20", 20),
    "double precision": ("0.25", 0.25),
    "varchar": (" Zoë ", " Zoë "),
    "char(5)": ("pro", "pro"),
    "date": ("2026-11-01", "2026-11-01"),
    "time": ("09:30:00.5", "09:30:00.500000"),
    "timestamp": ("2026-11-01 12:00:00.123", "2026-11-01T12:00:00.123Z"),
    "timestamptz": ("2026-11-01 14:00:00.123456+02", "2026-11-01T12:00:00.123456Z"),
    "jsonb": ('{"a": 20.10, "b": [1, null, "x"], "c": null}', {"a": 20.1, "b": [1, None, "x"]}),
}
"""PostgreSQL's name of a type -> text of a value, and the value in JSON; jsonb is SUPER to the driver."""


@pytest.fixture
def bench(redshift_url: str, tmp_path: Path) -> Iterator[Bench]:
    """A bed, and sync-state tables in a SQLite file."""
    with Sandbox() as sandbox:
        yield Bench(redshift_url, f"sqlite:///{tmp_path / 'state.db'}", sandbox)


def fill(bench: Bench, calls: int = 18) -> None:
    """So many people, each with a call of an event that has a table."""
    when = [datetime.now(NOON.tzinfo) - timedelta(hours=6) + timedelta(minutes=n) for n in range(calls)]
    bench.fill(
        identifies=[identify(f"i{n}", f"u{n}", when[n], plan={"a": [n]}) for n in range(calls)],
        tracks=[track(f"t{n}", f"u{n}", "Order Completed", when[n]) for n in range(calls)],
        order_completed=[event(f"t{n}", when[n], total=n) for n in range(calls)],
        types=dict.fromkeys(("identifies", "tracks", "order_completed"), NAIVE),
    )


@pytest.mark.parametrize("zone", ["UTC", "America/New_York", "Asia/Kolkata"])
def test_no_row_is_lost_whatever_the_clusters_zone(redshift_url: str, open_source: OpenSource, zone: str) -> None:
    calls = [track(f"t{n}", "u", when=at(n * 600)) for n in range(36)]
    make_warehouse(redshift_url, {"identifies": [], "tracks": calls}, types={"identifies": NAIVE, "tracks": NAIVE})
    run_sql(redshift_url, f"ALTER DATABASE {make_url(redshift_url).database} SET timezone = '{zone}'")
    source = open_source(redshift_url)
    window = Window(NOON, NOON + timedelta(hours=6))
    assert len([*source.read_window(Stream.TRACKS, window, None)]) == 36
    assert source.newest(Stream.TRACKS, window) == at(35 * 600)
    assert [row.received_at for row in source.read_window(Stream.TRACKS, window, None)] == [at(n * 600) for n in range(36)]


def test_a_run_sends_all_over_tls_and_says_who_it_is(bench: Bench, redshift_bed: RedshiftBed) -> None:
    fill(bench)
    assert bench.run(since=ALL).summary.sent == 36
    assert {json.dumps(each) for each in bench.metadata()} == {
        *(json.dumps({"total": n}) for n in range(18)),
        *(json.dumps({"plan": {"a": [n]}}) for n in range(18)),
    }
    again = bench.run()
    assert (again.summary.sent, again.summary.rows_read) == (0, 0)
    proxy = redshift_bed.proxy
    assert proxy.in_clear == 0
    assert {each["application_name"] for each in proxy.startups} == {"rehook-sync"}
    sessions = [each for each in proxy.statements if each.startswith("SET ")]
    groups = [f"SET query_group TO 'rehook_sync {run['run_id']}'" for run in bench.read_state("sync_runs")]
    assert Counter(sessions) == Counter(["SET timezone TO 'UTC'", "SET query_group TO 'rehook_sync'"] * len(proxy.startups) + groups)


def test_statements_do_not_grow_with_the_rows(bench: Bench, redshift_bed: RedshiftBed) -> None:
    fill(bench, 40)
    bench.run(since=ALL, chunk_rows=100)
    statements = [each for each in redshift_bed.proxy.statements if each.startswith(("SELECT", "WITH"))]
    assert len(statements) < 35


@pytest.mark.parametrize("option", ["ssl=true", "ssl=false", "sslmode=require", "iam=true&region=eu-west-1"])
def test_options_in_the_url_are_refused(redshift_url: str, redshift_bed: RedshiftBed, option: str) -> None:
    with pytest.raises(SettingsError) as caught:
        open_database(f"{redshift_url}?{option}", "WAREHOUSE_URL", read_only=True)
    message = str(caught.value)
    assert "REHOOK_SYNC_WAREHOUSE_OPTIONS" in message
    assert len(message.splitlines()) == 1
    assert PASSWORD not in message
    assert ("no TLS" in message) == option.startswith("ssl=")
    assert redshift_bed.proxy.startups == []


def test_another_driver_is_refused_by_name() -> None:
    with pytest.raises(SettingsError, match=r"write redshift\+redshift_connector://"):
        open_database("redshift://u:p@host/name", "WAREHOUSE_URL", read_only=True)


def test_decimals_may_not_become_floats(redshift_url: str) -> None:
    options = Connecting(options={"numeric_to_float": True})
    with pytest.raises(SettingsError, match="numeric_to_float: decimals would lose digits"):
        open_database(redshift_url, "WAREHOUSE_URL", read_only=True, connecting=options)


def test_an_untrusted_cluster_gets_no_password(redshift_url: str, redshift_bed: RedshiftBed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SSL_CERT_FILE")
    database = open_database(redshift_url, "WAREHOUSE_URL", read_only=True)
    with pytest.raises(SourceError, match="CERTIFICATE_VERIFY_FAILED") as caught, database.connect():
        pass
    assert PASSWORD not in str(caught.value)
    assert redshift_bed.proxy.startups == []


def test_each_type_goes_out_as_the_documentation_says(redshift_url: str, open_source: OpenSource) -> None:
    columns = {f"c{n}": (kind, *VALUES[kind]) for n, kind in enumerate(VALUES)}
    make_warehouse(
        redshift_url,
        {"identifies": [identify("i1", "u", **{name: text for name, (_, text, _) in columns.items()})], "tracks": []},
        types={"identifies": dict.fromkeys(columns, "text")},
    )
    for name, (kind, _, _) in columns.items():
        run_sql(redshift_url, f"ALTER TABLE identifies ALTER COLUMN {name} TYPE {kind} USING CAST({name} AS {kind})")
    (row,) = open_source(redshift_url).read_window(Stream.IDENTIFIES, WHOLE, None)
    assert row.problem is None
    sent = shape([row], Names())[0].metadata
    assert json.loads(to_json(sent)) == {name: value for name, (_, _, value) in columns.items()}


def test_a_decimal_keeps_all_its_digits(redshift_url: str, open_source: OpenSource) -> None:
    number = "1234567890123456789012345678.1234"
    make_warehouse(redshift_url, {"identifies": [identify("i1", "u")], "tracks": []})
    run_sql(redshift_url, f"ALTER TABLE identifies ADD COLUMN total numeric(38, 4) DEFAULT {number}")
    (row,) = open_source(redshift_url).read_window(Stream.IDENTIFIES, WHOLE, None)
    assert str(row.fields["total"]) == number


@pytest.mark.parametrize("kind", ["bigint", "numeric(38, 0)"])
def test_ids_that_are_numbers_are_found_again(redshift_url: str, open_source: OpenSource, kind: str) -> None:
    make_warehouse(
        redshift_url,
        {"identifies": [], "tracks": [track(7, "u"), track(8, "u")], "order_completed": [event(7, total=1), event(8, total=2)]},
        types={"tracks": {"id": kind}, "order_completed": {"id": kind}},
    )
    source = open_source(redshift_url)
    rows = list(source.fill_properties(list(source.read_window(Stream.TRACKS, WHOLE, None))))
    assert [(row.message_id, row.fields) for row in rows] == [("7", {"total": 1}), ("8", {"total": 2})]
    assert [row.message_id for row in source.read_ids(Stream.TRACKS, ["8"])] == ["8"]


def test_calls_without_an_id_are_found_where_no_id_is_unusable(redshift_url: str, open_source: OpenSource) -> None:
    make_warehouse(redshift_url, {"identifies": [], "tracks": [track(None, "u"), track("t", "u")]})
    source = open_source(redshift_url)
    assert [row.problem for row in source.read_unusable(Stream.TRACKS, WHOLE, [])] == ["id is NULL"]


def test_a_time_that_is_a_text_is_refused_by_name(redshift_url: str, open_source: OpenSource) -> None:
    make_warehouse(redshift_url, {"identifies": [], "tracks": []}, types={"tracks": {"received_at": "text"}})
    with pytest.raises(SourceError, match=r"table 'tracks', column 'received_at': text where this warehouse needs a timestamp; convert it"):
        open_source(redshift_url).discover()


def test_an_id_with_decimals_is_refused_by_name(redshift_url: str, open_source: OpenSource) -> None:
    make_warehouse(redshift_url, {"identifies": [], "tracks": []}, types={"tracks": {"user_id": "numeric(20, 2)"}})
    with pytest.raises(SourceError, match=r"table 'tracks', column 'user_id': decimal number where this warehouse needs a text"):
        open_source(redshift_url).discover()


def test_a_connection_that_was_lost_is_opened_again(redshift_url: str, open_source: OpenSource) -> None:
    make_warehouse(redshift_url, {"identifies": [], "tracks": [track("t", "u")]})
    source = open_source(redshift_url)
    assert len([*source.read_window(Stream.TRACKS, WHOLE, None)]) == 1
    ended = run_sql(
        redshift_url,
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'rehook-sync' AND datname = current_database()",
    )
    assert ended == [(True,)]
    assert len([*source.read_window(Stream.TRACKS, WHOLE, None)]) == 1


def test_an_error_of_the_server_is_one_line_without_values(redshift_url: str, open_source: OpenSource) -> None:
    make_warehouse(redshift_url, {"identifies": [], "tracks": [track("t", "u")]})
    run_sql(
        redshift_url,
        "CREATE TABLE base (secret text, moment timestamptz)",
        "INSERT INTO base VALUES ('ann@example.com', '2026-11-01 12:00Z')",
    )
    columns = "CAST(secret AS integer) AS id, secret AS user_id, moment AS received_at, moment AS timestamp"
    run_sql(redshift_url, "DROP TABLE identifies", f"CREATE VIEW identifies AS SELECT {columns} FROM base")
    source = open_source(redshift_url)
    with pytest.raises(Exception, match=r"\(22P02\): invalid input syntax for type integer") as caught:
        list(source.read_window(Stream.IDENTIFIES, WHOLE, None))
    assert "ann@" not in str(caught.value)
    assert "{" not in str(caught.value)
    with pytest.raises(SourceError, match=r"there is no table 'trakcs' in schema 'public'"):
        open_source(redshift_url, tracks_table="trakcs").discover()


def test_the_default_schema_is_public_and_others_are_named(redshift_url: str, open_source: OpenSource) -> None:
    make_warehouse(redshift_url, {"identifies": [], "tracks": [track("t", "u")]}, schema="Shop")
    with pytest.raises(SourceError, match=r"the default schema has no tables.*'Shop'"):
        open_source(redshift_url).discover()
    assert len([*open_source(redshift_url, schema="shop").read_window(Stream.TRACKS, WHOLE, None)]) == 1
