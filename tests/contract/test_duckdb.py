"""DuckDB files as a warehouse: whatever the machine's zone is, whoever has the file open, and what each type becomes."""

import json
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from decimal import Decimal
from pathlib import Path

import pytest
import warehouse
from accounting import ALL, Bench, ago
from sqlalchemy import event as sqlalchemy_event
from warehouse import OpenSource, Row, add_rows, at, event, identify, run_sql, track

from rehook_sync.database.dialects.record import Connecting
from rehook_sync.database.engine import open_database
from rehook_sync.errors import DatabaseError, LockedError, SettingsError, SourceError
from rehook_sync.jobs.results import RunOptions
from rehook_sync.models import Stream, Window
from rehook_sync.runtime import Interrupt
from rehook_sync.sandbox.server import Sandbox

open_source = warehouse.open_source
ROOT = Path(__file__).resolve().parents[2]
TYPES: dict[str, tuple[str, object]] = {
    "VARCHAR": ("' Zoë '", " Zoë "),
    "BOOLEAN": ("true", True),
    "TINYINT": ("-5", -5),
    "UBIGINT": ("18446744073709551615", 18446744073709551615),
    "HUGEINT": ("170141183460469231731687303715884105727", 170141183460469231731687303715884105727),
    "DECIMAL(38, 10)": ("20.50", 20.5),
    "DECIMAL(5, 2)": ("20.00", 20),
    "DOUBLE": ("0.25", 0.25),
    "FLOAT": ("20", 20),
    "DATE": ("'2026-11-01'", "2026-11-01"),
    "TIME": ("'09:30:00.5'", "09:30:00.500000"),
    "TIMETZ": ("'09:30:00+02'", "09:30:00+02:00"),
    "TIMESTAMP": ("'2026-11-01 12:00:00.123'", "2026-11-01T12:00:00.123Z"),
    "TIMESTAMP_S": ("'2026-11-01 12:00:00'", "2026-11-01T12:00:00.000Z"),
    "TIMESTAMP_MS": ("'2026-11-01 12:00:00.123'", "2026-11-01T12:00:00.123Z"),
    "TIMESTAMP_NS": ("'2026-11-01 12:00:00.123456789'", "2026-11-01T12:00:00.123456Z"),
    "TIMESTAMPTZ": ("'2026-11-01 14:00:00.123456+02'", "2026-11-01T12:00:00.123456Z"),
    "INTERVAL": ("'1 year 2 months -3 days 04:05:06.7'", "P1Y2M-3DT4H5M6.7S"),
    "UUID": ("'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11'", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"),
    "BLOB": ("'\\x61\\x62\\xFF'", "YWL/"),
    "BIT": ("'101'", "101"),
    "ENUM('happy', 'sad')": ("'happy'", "happy"),
    "JSON": ("""'{"a": 12345678901234567.89, "b": null, "c": [1.50]}'""", {"a": Decimal("12345678901234567.89"), "c": [1.5]}),
    "INTEGER[]": ("[1, NULL]", [1, None]),
    "INTEGER[2]": ("[1, 2]", [1, 2]),
    "STRUCT(a DECIMAL(5, 2), b TIMESTAMP)": ("{'a': 1.50, 'b': '2026-11-01 12:00:00'}", {"a": 1.5, "b": "2026-11-01T12:00:00.000Z"}),
    "MAP(VARCHAR, INTEGER)": ("MAP {'a': 1}", {"a": 1}),
    "MAP(INTEGER, VARCHAR)": ("MAP {1: 'a'}", {"1": "a"}),
    "UNION(n INTEGER, s VARCHAR)": ("'x'::VARCHAR", "x"),
    "JSON[]": (
        """['{"a": 1.50, "b": 12345678901234567.89}', 'null', NULL, '[1]']""",
        [{"a": 1.5, "b": Decimal("12345678901234567.89")}, None, None, [1]],
    ),
    "STRUCT(j JSON)": ("""{'j': '{"a": 1}'}""", {"j": '{"a": 1}'}),
}
"""Type -> a value in SQL, and what goes out. The table in docs/sources.md has a line for each."""
WITHOUT_VALUE = {"TIMESTAMP": "'infinity'", "TIMESTAMPTZ": "'-infinity'", "DATE": "'infinity'", "JSON": "'null'", "VARCHAR": "NULL"}


@pytest.fixture
def bench(duckdb_url: str, tmp_path: Path) -> Iterator[Bench]:
    with Sandbox() as sandbox:
        yield Bench(duckdb_url, f"sqlite:///{tmp_path / 'state.db'}", sandbox)


@contextmanager
def another_process(url: str, *statements: str) -> Iterator[None]:
    """A process that has the file open for writing."""
    path = url.removeprefix("duckdb:///")
    code = "\n".join(
        [
            "import duckdb, sys",
            "connection = duckdb.connect(sys.argv[1])",
            "for each in sys.argv[2:]: connection.execute(each)",
            "print('open', flush=True)",
            "input()",
        ]
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, path, *statements], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout
        assert process.stdout.readline() == "open\n"
        try:
            yield
        finally:
            process.communicate("\n")


def test_each_type_goes_out_as_documented(bench: Bench) -> None:
    bench.fill([], [])
    columns = [f"c{n} {kind}" for n, kind in enumerate([*TYPES, *WITHOUT_VALUE])]
    values = [value for value, _ in TYPES.values()] + list(WITHOUT_VALUE.values())
    run_sql(
        bench.warehouse_url,
        "DROP TABLE identifies",
        f"CREATE TABLE identifies (id VARCHAR, user_id VARCHAR, received_at TIMESTAMP, timestamp TIMESTAMP, {', '.join(columns)})",
        f"INSERT INTO identifies VALUES ('m1', 'ann', '2026-11-01 12:00:00', '2026-11-01 12:00:00', {', '.join(values)})",
    )
    done = bench.run(ALL)
    assert [each for each in done.notes if each.startswith("values that are NaN or infinite were left out, as NULL is: 3, in")]
    (body,) = bench.bodies("ann")
    found = json.loads(body, parse_float=Decimal)["metadata"]
    expected = {f"c{n}": value for n, (_, value) in enumerate(TYPES.values())}
    assert {name: (value, found.get(name)) for name, value in expected.items() if found.get(name) != value} == {}
    assert found.keys() == expected.keys(), "what has no value is left out"


def test_the_documented_types_are_those_that_are_tested() -> None:
    section = (ROOT / "docs" / "sources.md").read_text(encoding="utf-8").partition("### Types of DuckDB")[2].partition("###")[0]
    documented = {name for line in section.splitlines() if line.startswith("| ") for name in re.findall(r"`([A-Z_]+)`", line.split("|")[1])}
    assert documented >= {"VARCHAR", "HUGEINT", "JSON", "MAP"}
    assert documented <= {kind.partition("(")[0] for kind in TYPES}


def test_a_naive_cursor_is_utc_whatever_the_zone_of_the_machine(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    types = {"received_at": "timestamp", "timestamp": "timestamp"}
    rows = [identify(f"m{n}", f"u{n}", ago(hours=n).replace(tzinfo=None)) for n in range(1, 40)]
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    try:
        bench.fill(rows, [], types={"identifies": types})
        with bench.sync() as sync:
            assert sync.discover()
        bench.run(ago(hours=20.5))
        assert bench.statuses().keys() == {f"m{n}" for n in range(1, 21)}
    finally:
        monkeypatch.undo()
        time.tzset()


def test_a_file_named_like_its_schema_is_read(tmp_path: Path, open_source: OpenSource) -> None:
    url = f"duckdb:///{tmp_path / 'shop.duckdb'}"
    columns = "id VARCHAR, user_id VARCHAR, received_at TIMESTAMP"
    run_sql(
        url,
        "CREATE SCHEMA shop",
        *(f"CREATE TABLE shop.shop.{name} ({columns}, event VARCHAR)" for name in ("identifies", "tracks")),
        "INSERT INTO shop.shop.identifies VALUES ('m1', 'ann', '2026-11-01 12:00:00', NULL)",
    )
    for schema in ("shop", "SHOP", "shop.shop"):
        source = open_source(url, schema=schema)
        assert [row.message_id for row in source.read_window(Stream.IDENTIFIES, Window(None, at(1)), None)] == ["m1"]


def test_a_reader_leaves_the_file_to_writers_between_reads(bench: Bench) -> None:
    bench.fill([identify("m1", "ann", ago(hours=2))], [])
    with bench.sync() as sync:
        sync.discover()
        with another_process(bench.warehouse_url, "INSERT INTO identifies (id) VALUES ('m2')"):
            pass


def test_a_file_that_somebody_writes_is_waited_for_and_then_said(bench: Bench) -> None:
    bench.fill([identify("m1", "ann", ago(hours=2))], [])
    with another_process(bench.warehouse_url), bench.sync(patience="0s") as sync, pytest.raises(LockedError) as caught:
        sync.discover()
    assert re.match(r"the warehouse is locked, for 0 s at least: the database of REHOOK_SYNC_WAREHOUSE_URL is locked: ", str(caught.value))
    assert "\n" not in str(caught.value)


def test_nothing_can_be_written_to_the_file(duckdb_url: str) -> None:
    database = open_database(duckdb_url, "WAREHOUSE_URL", read_only=True)
    with closing(database), pytest.raises(DatabaseError, match="read-only"), database.connect() as connection:
        connection.exec_driver_sql("CREATE TABLE t (a INTEGER)")


def test_a_file_that_is_missing_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"^WAREHOUSE_URL: there is no DuckDB file /.*nothing.duckdb$"):
        open_database(f"duckdb:///{tmp_path / 'nothing.duckdb'}", "WAREHOUSE_URL", read_only=True)
    assert not (tmp_path / "nothing.duckdb").exists()


def test_options_are_duckdbs_own_settings(duckdb_url: str) -> None:
    connecting = Connecting({"memory_limit": "100MiB", "threads": 1})
    database = open_database(duckdb_url, "WAREHOUSE_URL", read_only=True, connecting=connecting)
    with closing(database), database.connect() as connection:
        found = connection.exec_driver_sql("SELECT current_setting('memory_limit'), current_setting('threads')").one()
        shows_progress = connection.exec_driver_sql("SELECT current_setting('enable_progress_bar')").scalar_one()
    assert tuple(found) == ("100.0 MiB", 1)
    assert not shows_progress, "DuckDB writes nothing between our lines"


def test_an_option_that_is_refused_or_unknown_is_one_line_without_its_value(duckdb_url: str) -> None:
    for url, options in ((f"{duckdb_url}?access_mode=READ_WRITE", {}), (duckdb_url, {"access_mode": "READ_WRITE"})):
        with pytest.raises(SettingsError, match=r": access_mode: leave it out: a file is opened for reading alone$"):
            open_database(url, "WAREHOUSE_URL", read_only=True, connecting=Connecting(options))
    database = open_database(duckdb_url, "WAREHOUSE_URL", read_only=True, connecting=Connecting({"memory_limit": "s3cr3t"}))
    with closing(database), pytest.raises(SourceError) as caught, database.connect():
        pass
    assert "\n" not in str(caught.value)
    assert "s3cr3t" not in str(caught.value)


def test_what_is_no_duckdb_file_is_one_line(tmp_path: Path, open_source: OpenSource) -> None:
    path = tmp_path / "warehouse.duckdb"
    path.write_text("no database " * 1000)
    with pytest.raises(SourceError) as caught:
        open_source(f"duckdb:///{path}").discover()
    assert "\n" not in str(caught.value)


def test_an_event_table_that_cannot_be_read_keeps_its_events_waiting(bench: Bench) -> None:
    paid = track("t1", "ann", "Paid", ago(hours=2))
    bench.fill([], [paid, track("t2", "ann", "Bought", ago(hours=1))], bought=[event("t2", n=1)], base=[event("t1", n=1)])
    bench.options["missing_properties"] = "wait"
    run_sql(bench.warehouse_url, "CREATE VIEW paid AS SELECT * FROM base", "DROP TABLE base")
    bench.run(ALL)
    assert bench.statuses() == {"t1": "waiting:properties_not_loaded", "t2": "sent"}


def test_statements_are_bounded_by_streams_and_event_tables(bench: Bench) -> None:
    names = [f"Event {n}" for n in range(20)]
    calls = [track(f"t{n}", f"u{n % 7}", names[n % 20], ago(seconds=n)) for n in range(400)]
    tables: dict[str, list[Row]] = {name.lower().replace(" ", "_"): [] for name in names}
    for n, call in enumerate(calls):
        tables[str(call["event"])].append(event(f"t{n}", ago(seconds=n), n=n))
    bench.fill([identify("m1", "u1", ago(hours=3))], calls, **tables)
    seen: list[str] = []
    with bench.sync(concurrency=64, chunk_rows=7) as sync:
        engine = sync._warehouse.engine
        sqlalchemy_event.listen(engine, "before_cursor_execute", lambda *given: seen.append(given[2]))
        sync.run(RunOptions(since=ALL), Interrupt())
    bench.check()
    assert set(bench.statuses().values()) == {"sent"}
    assert len(seen) <= 20 + 2 * 20, "\n".join(seen)


def test_late_rows_are_found_and_nothing_is_sent_twice(bench: Bench) -> None:
    bench.fill([identify("m1", "ann", ago(hours=2), plan="pro")], [track("t1", "ann", "Paid", ago(hours=1))], paid=[event("t1", n=1)])
    bench.run(ALL)
    add_rows(bench.warehouse_url, "tracks", [track("t2", "ann", "Paid", ago(hours=3))])
    add_rows(bench.warehouse_url, "paid", [event("t2", ago(hours=3), n=2)])
    bench.run()
    assert [each["n"] for each in bench.metadata() if "n" in each] == [1, 2]
