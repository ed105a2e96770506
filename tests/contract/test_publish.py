"""The copy for analysts: what is in the sync-state is there after each run, wherever both are, and whatever was cut off."""

import uuid
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
import roles
from accounting import ALL, Bench, ago, open_bench
from beds.snowflake.bed import SnowflakeBed
from copies import (
    check_catalog,
    fill,
    open_target,
    publish_killed,
    test_a_sync_state_that_was_restored_wants_the_copy_made_anew,
    test_after_a_run_all_is_there,
    test_an_earlier_publication_that_wakes_up_does_not_empty_the_copy,
    test_an_earlier_publication_that_wakes_up_writes_nothing,
    test_each_command_that_changes_the_state_shows_in_the_copy,
    test_tables_that_are_no_copy_are_left_alone,
    test_the_views_are_those_of_the_sync_state,
    test_what_a_dead_run_left_shows_in_the_copy,
    test_what_was_dropped_by_hand_is_made_again_or_told,
)
from published import check_copy, dying_at, read_copy, read_table
from sqlalchemy import inspect
from warehouse import OPTIONS, add_rows, run_sql, track

from rehook_sync.database.warehouses import WAREHOUSES
from rehook_sync.errors import SettingsError
from rehook_sync.jobs.results import RunOptions
from rehook_sync.models import Selection, Status
from rehook_sync.publish.rows import Batch
from rehook_sync.publish.tables import TABLES, VIEWS
from rehook_sync.publish.target import Target
from rehook_sync.runtime import Interrupt
from rehook_sync.sandbox.server import Sandbox
from rehook_sync.state.publication.publications import Publication

__all__ = [
    "test_a_sync_state_that_was_restored_wants_the_copy_made_anew",
    "test_after_a_run_all_is_there",
    "test_an_earlier_publication_that_wakes_up_does_not_empty_the_copy",
    "test_an_earlier_publication_that_wakes_up_writes_nothing",
    "test_each_command_that_changes_the_state_shows_in_the_copy",
    "test_tables_that_are_no_copy_are_left_alone",
    "test_the_views_are_those_of_the_sync_state",
    "test_what_a_dead_run_left_shows_in_the_copy",
    "test_what_was_dropped_by_hand_is_made_again_or_told",
]
"""What holds for every database that can have the copy."""
new_role = roles.new_role
ROOT = Path(__file__).resolve().parents[2]
TARGETS = {"sqlite": "main", "postgresql": "analytics", "duckdb": "analytics"}
CLOUDS = ("snowflake", "redshift")
"""Where the copy can be in a bed."""


@pytest.fixture(
    params=[*(f"{state}-{target}" for state in ("sqlite", "postgresql") for target in TARGETS), *(f"sqlite-{target}" for target in CLOUDS)]
)
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Bench, str, str]]:
    """A bench with its sync-state in the first kind of database, and the copy in the second: its URL and its schema."""
    state, _, target = request.param.partition("-")
    if target in CLOUDS:
        with Sandbox() as sandbox:
            url = str(request.getfixturevalue(f"{target}_url"))
            yield Bench(url, f"sqlite:///{tmp_path / 'state.db'}", sandbox, {"publish_schema": "analytics"}), url, "analytics"
        return
    with open_bench(f"{state}-same", request) as bench:
        urls = {
            "sqlite": f"sqlite:///{tmp_path / 'copy.db'}",
            "postgresql": str(request.getfixturevalue("shared_postgres_url")),
            "duckdb": str(request.getfixturevalue("duckdb_url")),
        }
        schema = f"copy_{abs(hash(tmp_path)) % 10**9}" if target == "postgresql" else TARGETS[target]
        bench.options.update(publish_schema=schema, publish_url=urls[target])
        yield bench, urls[target], schema


@pytest.mark.parametrize("place", ["sqlite-duckdb"], indirect=True)
def test_a_catalog_may_be_named_before_the_schema(place: tuple[Bench, str, str]) -> None:
    check_catalog(place, "warehouse")


@pytest.mark.parametrize("place", ["sqlite-snowflake"], indirect=True)
def test_another_database_may_be_named_before_the_schema(place: tuple[Bench, str, str], snowflake_bed: SnowflakeBed) -> None:
    other = f"other_{uuid.uuid4().hex}"
    url = snowflake_bed.url(other)
    OPTIONS[url] = snowflake_bed.options
    run_sql(url, "SELECT 1")  # which makes it
    check_catalog(place, other)


@pytest.mark.parametrize("place", ["sqlite-postgresql", "sqlite-redshift"], indirect=True)
def test_a_catalog_is_refused_where_names_have_two_levels(place: tuple[Bench, str, str]) -> None:
    bench, _url, schema = place
    fill(bench)
    with bench.sync(publish_schema=f"other.{schema}") as sync, pytest.raises(SettingsError) as raised:
        sync.check_publication()
    assert str(raised.value).startswith(f"REHOOK_SYNC_PUBLISH_SCHEMA: 'other.{schema}' leads nowhere in ")
    assert str(raised.value).endswith(": name a schema alone, without a point")


def test_calls_let_go_of_and_not_sent_again_show_in_the_copy(place: tuple[Bench, str, str]) -> None:
    bench, url, schema = place
    fill(bench)
    bench.sandbox.faults.add("commit_then_drop", path="/events/invoke", source_id="u1", times=1)
    bench.run(ALL, max_attempts=1)
    bench.sandbox.faults.add("status", status=503)
    with bench.sync(max_attempts=1) as sync:
        sync.run(RunOptions(only=Selection(Status.IN_DOUBT)), Interrupt())
    found = check_copy(bench.state_url or bench.warehouse_url, url, schema)
    assert not any("in_doubt" in row for row in found["sync_state"] if "'status', 'in_doubt'" in row)


@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")  # who is killed closes nothing
@pytest.mark.parametrize(
    ("place", "stride"),
    [("sqlite-sqlite", 3), ("postgresql-postgresql", 11), ("sqlite-duckdb", 17), ("sqlite-snowflake", 29), ("sqlite-redshift", 47)],
    indirect=["place"],
)
@pytest.mark.parametrize("whole", [False, True], ids=["changes", "everything"])
def test_killed_at_any_step_the_copy_ends_up_the_same(place: tuple[Bench, str, str], stride: int, whole: bool) -> None:
    assert publish_killed(*place, stride=stride, whole=whole) > 50


def test_a_run_says_that_the_copy_is_out_of_reach_and_the_next_one_goes_on(place: tuple[Bench, str, str], tmp_path: Path) -> None:
    bench, url, schema = place
    fill(bench)
    away = f"sqlite:///{tmp_path / 'nowhere' / 'copy.db'}"
    result = bench.run(ALL, publish_url=away, publish_schema="main")
    assert result.summary.status == "succeeded"
    (note,) = [each for each in result.notes if "copy" in each]
    assert note.startswith("the copy for analysts was not brought up to date, and the next run tries again: ")
    bench.run()
    check_copy(bench.state_url or bench.warehouse_url, url, schema)


def test_a_copy_of_another_sync_state_is_left_alone(place: tuple[Bench, str, str], tmp_path: Path) -> None:
    bench, url, schema = place
    fill(bench)
    bench.run(ALL)
    before = check_copy(bench.state_url or bench.warehouse_url, url, schema)
    other = Bench(bench.warehouse_url, f"sqlite:///{tmp_path / 'other.db'}", bench.sandbox, dict(bench.options))
    with other.sync() as sync:
        sync.init()
        for whole in (False, True):
            with pytest.raises(SettingsError, match="has the copy of another sync-state"):
                sync.publish(Interrupt(), whole=whole)
    assert read_copy(url, schema) == before


def test_what_analysts_built_on_the_views_outlives_a_copy_made_anew(request: pytest.FixtureRequest) -> None:
    with open_bench("postgresql-same", request, publish_schema="analytics") as bench:
        fill(bench)
        bench.run(ALL)
        run_sql(bench.warehouse_url, "CREATE VIEW public.mine AS SELECT count(*) AS n FROM analytics.v1_runs")
        with bench.sync() as sync:
            assert sync.publish(Interrupt(), whole=True).whole
        assert run_sql(bench.warehouse_url, "SELECT n FROM public.mine")[0][0] == 1
        check_copy(bench.warehouse_url, bench.warehouse_url, "analytics")


def test_a_view_that_was_replaced_by_hand_is_put_right_when_the_copy_is_made_anew(request: pytest.FixtureRequest) -> None:
    with open_bench("postgresql-same", request, publish_schema="analytics") as bench:
        fill(bench)
        bench.run(ALL)
        view = "analytics.v1_customers"
        run_sql(bench.warehouse_url, f"DROP VIEW {view}", f"CREATE VIEW {view} AS SELECT 1 AS mine")
        bench.run()
        with bench.sync() as sync:
            sync.publish(Interrupt(), whole=True)
        assert read_table(bench.warehouse_url, view) == read_table(bench.warehouse_url, "rehook_sync.v1_customers")


def test_a_sync_state_that_was_copied_goes_on_with_the_copy_and_the_old_one_does_not(
    tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    url = f"sqlite:///{tmp_path / 'copy.db'}"
    with open_bench("sqlite-same", request, publish_schema="main", publish_url=url) as bench:
        fill(bench)
        bench.run(ALL)
        moved = f"sqlite:///{tmp_path / 'moved.db'}"
        with bench.sync() as sync:
            sync.copy_state(moved, Interrupt())
        add_rows(bench.warehouse_url, "tracks", [track("t900", "u9", "Visited", ago(hours=1))])
        with bench.sync(state_url=moved) as sync:
            sync.run(RunOptions(), Interrupt())
        assert "'message_id', 't900'" in str(check_copy(moved, url, "main")["sync_state"])
        with bench.sync() as sync:
            for _ in range(2):
                with pytest.raises(SettingsError, match="is not of this sync-state as it is now"):
                    sync.publish(Interrupt())
        check_copy(moved, url, "main")


def test_an_upgraded_sync_state_makes_its_copy_anew(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    url = f"sqlite:///{tmp_path / 'copy.db'}"
    with open_bench("sqlite-same", request, publish_schema="main", publish_url=url) as bench:
        fill(bench)
        bench.run(ALL)
        bench.change_state(f"UPDATE {bench.name_of('sync_publication')} SET version = version - 1")
        run_sql(url, "DROP VIEW v1_freshness", "ALTER TABLE sync_watermarks DROP COLUMN lacks_table")
        with bench.sync() as sync:
            assert sync.publish(Interrupt()).whole
        check_copy(bench.warehouse_url, url, "main")


def test_a_copy_in_the_schema_of_the_source_is_not_taken_for_events(request: pytest.FixtureRequest) -> None:
    with open_bench("postgresql-same", request, publish_schema="public") as bench:
        fill(bench)
        bench.run(ALL)
        add_rows(bench.warehouse_url, "tracks", [track("t900", "u9", "Sync State", ago(hours=1), event="sync_state")])
        result = bench.run()
        assert (result.summary.status, result.summary.sent) == ("succeeded", 1)
        check_copy(bench.warehouse_url, bench.warehouse_url, "public")


def test_a_table_with_other_columns_is_made_anew(place: tuple[Bench, str, str]) -> None:
    bench, url, schema = place
    fill(bench)
    bench.run(ALL)
    run_sql(url, f"ALTER TABLE {schema}.sync_watermarks ADD COLUMN odd varchar(9)")
    with bench.sync() as sync:
        sync.publish(Interrupt(), whole=True)
    check_copy(bench.state_url or bench.warehouse_url, url, schema)


def test_a_run_in_parts_publishes_when_it_is_finished(place: tuple[Bench, str, str]) -> None:
    bench, url, schema = place
    fill(bench)
    with bench.sync() as sync:
        started = sync.start(RunOptions(since=ALL), 2)
        for each in started.shards:
            sync.deliver_shard(started.run_id, each, Interrupt())
        assert [each for each in sync.finish(started.run_id).notes if "copy" in each] == []
    check_copy(bench.state_url or bench.warehouse_url, url, schema)


def test_without_a_copy_nothing_is_noted(place: tuple[Bench, str, str]) -> None:
    bench, *_ = place
    fill(bench)
    bench.run(ALL, publish_schema=None, publish_url=None)
    with bench.sync() as sync:
        sync.forget("ada", Interrupt(), give_up=True, dry_run=False)
    assert bench.read_state("sync_changes") == []
    bench.run(check=False)
    with bench.sync() as sync:
        assert sync.end_publication()
        assert not sync.end_publication()
    bench.run(publish_schema=None, publish_url=None, check=False)
    assert bench.read_state("sync_changes") == []


def test_a_batch_that_takes_several_statements_arrives_whole(redshift_url: str) -> None:
    moment = "2026-11-01T12:00:00.000001Z"
    same = {"stream": "tracks", "user_id": "é'%:x\\", "attempts": 1, "run_id": "r1", "first_seen_at": moment, "source": "default"}
    rows: list[dict[str, object]] = [{**same, "message_id": f"t{n}", "status": "failed", "reason": "timeout"} for n in range(1203)]
    with closing(open_target(redshift_url, "analytics")) as database, dying_at(1000) as done:
        target = Target(database, "analytics")
        target.make(Publication("an id", "a place", 1, 1, None))
        target.put(Batch(TABLES["calls"], rows, is_new=True))
        again = [{**row, "status": "sent", "reason": None} for row in rows[:702]]
        target.put(Batch(TABLES["calls"], again, [{"stream": "tracks", "id": f"t{n}"} for n in range(702, 1203, 2)]))
    found = read_table(redshift_url, "analytics.sync_state")
    assert sorted(row["message_id"] for row in found) == sorted(f"t{n}" for n in range(1203) if n < 702 or n % 2)
    assert {(row["status"], row["reason"], row["user_id"], row["first_seen_at"]) for row in found} == {
        ("sent", None, same["user_id"], moment),
        ("failed", "timeout", same["user_id"], moment),
    }
    assert len([each for each in done if each.startswith('INSERT INTO "sync_staged"')]) == 3 + 1 + 2


def test_no_statement_takes_more_values_than_its_driver() -> None:
    most = max(len(each.columns) for each in TABLES.values())
    assert {name: each.staged_rows * most < 2**15 for name, each in WAREHOUSES.items()} == dict.fromkeys(WAREHOUSES, True)


def test_the_columns_of_the_tables_are_those_that_the_code_knows(tmp_path: Path) -> None:
    database = open_target(f"sqlite:///{tmp_path / 'copy.db'}", "main")
    with closing(database):
        target = Target(database, "main")
        target.make(Publication("an id", "a place", 1, 1, None))
        found = {each.name: {column["name"] for column in inspect(database.engine).get_columns(each.name)} for each in TABLES.values()}
        assert found == {each.name: set(each.columns) for each in TABLES.values()}


def test_the_views_have_the_columns_and_types_that_are_promised(request: pytest.FixtureRequest) -> None:
    with open_bench("postgresql-same", request, publish_schema="analytics") as bench:
        fill(bench)
        bench.run(ALL)
        statement = (
            "SELECT table_name || '.' || column_name || ' ' || data_type FROM information_schema.columns "
            "WHERE table_schema = 'analytics' AND table_name LIKE 'v1%%' ORDER BY table_name, ordinal_position"
        )
        found = [row[0] for row in run_sql(bench.warehouse_url, statement)]
    promised = (ROOT / "sql" / "v1_shape.txt").read_text(encoding="utf-8").splitlines()
    wanted = [each for each in promised if each.partition(".")[0] in VIEWS]
    assert sorted(found) == sorted(wanted)
    for view in VIEWS:
        assert [each for each in found if each.startswith(f"{view}.")] == [each for each in wanted if each.startswith(f"{view}.")]
    assert {each.partition(".")[0] for each in promised if each.startswith("v1_")} == set(VIEWS), "a view of the sync-state is missing"


def test_the_driver_of_the_copy_is_given_its_own_options(
    request: pytest.FixtureRequest, postgres_url: str, new_role: roles.NewRole
) -> None:
    with open_bench("sqlite-same", request) as bench:
        url = postgres_url
        writer = roles.name_in(new_role(url, "writer"))
        run_sql(url, f"CREATE SCHEMA analytics AUTHORIZATION {writer}")
        bench.options.update(publish_schema="analytics", publish_url=url, publish_options={"user": writer})
        fill(bench)
        bench.run(ALL)
        check_copy(bench.warehouse_url, url, "analytics")
        owners = run_sql(url, "SELECT DISTINCT tableowner FROM pg_tables WHERE schemaname = 'analytics'")
        assert owners == [(writer,)]


def test_an_option_that_the_driver_of_the_copy_does_not_take_is_told_by_its_own_name(
    request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    with open_bench("sqlite-same", request, publish_schema="main", publish_url=f"sqlite:///{tmp_path / 'copy.db'}") as bench:
        fill(bench)
        with bench.sync(publish_options={"s3cret": "s3cret-value"}) as sync, pytest.raises(SettingsError) as raised:
            sync.check_publication()
    assert str(raised.value).startswith("REHOOK_SYNC_PUBLISH_OPTIONS: ")
    assert "s3cret-value" not in str(raised.value)
