"""Sync-state tables that were written before sources had names: what they hold is of the one source that the settings name."""

from collections.abc import Iterator
from contextlib import closing
from datetime import datetime
from typing import Any

import pytest
from accounting import ALL, Bench, ago, open_bench
from earlier import make_tables_of, write_rows
from sqlalchemy import inspect, text
from warehouse import add_rows, identify, run_sql, track

from rehook_sync.database.engine import open_database
from rehook_sync.database.queries import split_statements
from rehook_sync.errors import SettingsError, StateVersionError, UsageError
from rehook_sync.jobs.results import RunOptions

TABLES = ("sync_runs", "sync_watermarks", "sync_periods", "sync_state", "sync_customers", "sync_lease", "sync_destination")
ODD = 'it\'s 100% "odd": né'


@pytest.fixture(params=["sqlite-same", "postgresql-same"])
def bench(request: pytest.FixtureRequest) -> Iterator[Bench]:
    with open_bench(request.param, request, chunk_rows=7, concurrency=3) as opened:
        yield opened


def forget_sources(bench: Bench) -> None:
    """Write the tables anew as the version before wrote them."""
    rows = {name: bench.read_state(name) for name in TABLES}
    url = bench.state_url or bench.warehouse_url
    with closing(open_database(url, "STATE_URL", search_path="rehook_sync")) as database, database.transaction() as connection:
        if database.dialect == "postgresql":
            connection.execute(text("DROP SCHEMA rehook_sync CASCADE"))
            connection.execute(text("CREATE SCHEMA rehook_sync"))
        else:
            for view in inspect(connection).get_view_names():
                connection.execute(text(f"DROP VIEW {view}"))
            for table in ("sync_shards", *TABLES, "sync_stretches", "sync_notices", "sync_publication", "sync_changes", "sync_migrations"):
                connection.execute(text(f"DROP TABLE {table}"))
        make_tables_of(connection, 13)
        for name, found in rows.items():
            columns = [str(each["name"]) for each in inspect(connection).get_columns(name)]
            known = [{each: _stored(database, row[each]) for each in columns} for row in found]
            write_rows(connection, name, [{**row, "source": ""} if "source" in columns else row for row in known])


def _stored(database: Any, value: object) -> object:
    return database.as_stored(value) if isinstance(value, datetime) else value


def schema_of(bench: Bench) -> str:
    return "main" if bench.warehouse_url.startswith("sqlite") else "public"


def fill(bench: Bench) -> None:
    visits = [track(f"t{at:02}", f"u{at % 3}", "Visited", ago(days=5, hours=-at)) for at in range(23)]
    bench.fill([identify("i1", "u1", ago(hours=6), plan="pro")], visits)
    bench.sandbox.faults.add("status", status=429, source_id="u2")
    bench.run(ago(days=5, hours=-4), max_attempts=1)
    bench.run(ALL, limit=3, max_attempts=1)
    bench.sandbox.faults.clear()


@pytest.mark.parametrize("name", ["web", ODD])
def test_an_upgrade_gives_all_to_the_one_source_and_sends_nothing_again(bench: Bench, name: str) -> None:
    fill(bench)
    before, periods, log = bench.read_state("sync_state"), bench.read_state("sync_periods"), len(bench.sandbox.store.events)
    forget_sources(bench)
    bench.options["warehouse_schema"] = {name: schema_of(bench)}
    with pytest.raises(StateVersionError, match="run `python -m rehook_sync init`"):
        bench.run()
    with bench.sync() as sync:
        assert sync.init().adopted == name
        assert sync.init().adopted is None
    bench.audit.rename({"default": name})
    assert bench.read_state("sync_state") == [{**row, "source": name} for row in before]
    assert {row["source"] for table in ("sync_watermarks", "sync_periods", "v1_freshness") for row in bench.read_state(table)} == {name}
    left = sum(row["status"] == "failed" for row in before)
    assert (left > 0, len(periods)) == (True, 4)
    result = bench.run()
    assert (result.summary.sent, result.summary.status) == (23 + 1 - sum(row["status"] == "sent" for row in before), "succeeded")
    assert len(bench.sandbox.store.events) == 23
    assert log < 23
    add_rows(bench.warehouse_url, "tracks", [track("new", "u1", "Visited", ago(hours=1))])
    assert bench.run().summary.sent == 1
    assert {row["source"] for row in bench.read_state("sync_state")} == {name}


def test_without_a_schema_the_name_is_the_default_one(bench: Bench) -> None:
    fill(bench)
    forget_sources(bench)
    with bench.sync() as sync:
        assert sync.init().adopted == "default"
    bench.run()
    assert bench.run().summary.requests == 0
    schema = schema_of(bench)
    with pytest.raises(
        UsageError, match=rf"source '{schema}' is new .*; if it is 'default' under another schema, set .*=default={schema},"
    ):
        bench.run(warehouse_schema=schema)


def test_an_upgrade_asks_which_of_several_sources_it_was(request: pytest.FixtureRequest) -> None:
    with open_bench("postgresql-same", request) as bench:
        fill(bench)
        forget_sources(bench)
        run_sql(bench.warehouse_url, "CREATE SCHEMA ios")
        with bench.sync(warehouse_schema="public,ios") as sync, pytest.raises(SettingsError, match="run `init` once with the one alone"):
            sync.init()
        assert bench.read_state("sync_migrations")[-1]["version"] == 13
        with bench.sync(warehouse_schema="web=public") as sync:
            assert sync.init().adopted == "web"


def test_an_upgrade_that_breaks_half_way_changes_nothing(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(bench)
    forget_sources(bench)
    before = bench.read_state("sync_state"), bench.read_state("sync_watermarks")

    def broken(script: str) -> list[str]:
        return [*split_statements(script)[:6], "SELECT no_such_function_at_all()"]

    monkeypatch.setattr("rehook_sync.state.migrations.split_statements", broken)
    with bench.sync() as sync, pytest.raises(Exception, match="no_such_function_at_all"):
        sync.init()
    monkeypatch.undo()
    assert (bench.read_state("sync_state"), bench.read_state("sync_watermarks")) == before
    with bench.sync() as sync:
        assert sync.init().applied[0] == "sources"
        assert sync.audit(RunOptions(since=ALL)).missing == 0
