"""The copy for analysts: what is in the sync-state is there after each run, wherever both are, and whatever was cut off."""

from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest
from accounting import ALL, Bench, ago, open_bench
from published import Killed, check_copy, dying_at, read_copy, read_table, small_batches
from sqlalchemy import inspect
from warehouse import OPTIONS, add_rows, close_engines, engine_to, identify, run_sql, track

from rehook_sync.database.dialects.record import Connecting
from rehook_sync.database.engine import Database, open_database
from rehook_sync.errors import LeaseLostError, SettingsError
from rehook_sync.jobs.results import RunOptions
from rehook_sync.models import Selection, Status
from rehook_sync.publish.rows import Batch
from rehook_sync.publish.tables import TABLES, VIEWS
from rehook_sync.publish.target import Target
from rehook_sync.runtime import Interrupt
from rehook_sync.sandbox.server import Sandbox
from rehook_sync.state.publication.publications import Publication, Publications

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


def fill(bench: Bench) -> None:
    """Something of all that may become of a call."""
    bench.fill(
        [
            identify("i0", "ada", ago(hours=9), referral_code="A", plan="é'\"\\"),
            identify("i1", "bob", ago(hours=8), referral_code="A", plan="b"),
        ],
        [track(f"t{each:03}", f"u{each % 7}", "Visited", ago(hours=6, seconds=-each)) for each in range(40)],
    )


def test_after_a_run_all_is_there(place: tuple[Bench, str, str]) -> None:
    bench, url, schema = place
    fill(bench)
    bench.sandbox.faults.add("commit_then_drop", path="/events/invoke", source_id="u1", times=1)
    bench.sandbox.faults.add("status", status=503, source_id="u2")
    result = bench.run(ALL, max_attempts=1)
    assert [each for each in result.notes if "copy" in each] == []
    check_copy(bench.state_url or bench.warehouse_url, url, schema)
    bench.sandbox.faults.clear()
    add_rows(bench.warehouse_url, "tracks", [track("t900", "u9", "Visited", ago(hours=1))])
    bench.run()
    found = check_copy(bench.state_url or bench.warehouse_url, url, schema)
    assert len(found["sync_runs"]) == 2


def test_each_command_that_changes_the_state_shows_in_the_copy(place: tuple[Bench, str, str]) -> None:
    bench, url, schema = place
    state = bench.state_url or bench.warehouse_url
    fill(bench)
    bench.sandbox.faults.add("commit_then_drop", path="/events/invoke", source_id="u1", times=1)
    bench.sandbox.faults.add("status", status=400, source_id="u3")
    bench.run(ALL, max_attempts=1)
    bench.sandbox.faults.clear()
    with bench.sync(lookback="0s") as sync:
        assert sync.accept(None) == 1
        sync.publish(Interrupt())
        check_copy(state, url, schema)
        sync.forget("ada", Interrupt(), give_up=True, dry_run=False)
        assert sync.publish(Interrupt()).removed["customers"] == 1
        found = check_copy(state, url, schema)
        assert not any("'ada'" in row for rows in found.values() for row in rows)
        assert sync.prune(timedelta(0), Interrupt()) > 20
        sync.publish(Interrupt())
        found = check_copy(state, url, schema)
        assert not any("Visited" in row for row in found["sync_state"])
        assert sync.publish(Interrupt()).rows.total() == 0, "nothing has changed since"


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


def test_what_a_dead_run_left_shows_in_the_copy(place: tuple[Bench, str, str]) -> None:
    bench, url, schema = place
    fill(bench)
    bench.run(ALL)
    bench.change_state("UPDATE {sync_state} SET status = 'sending', settled_at = NULL WHERE user_id IN ('u1', 'bob')")
    bench.run(check=False)
    found = check_copy(bench.state_url or bench.warehouse_url, url, schema)
    assert any("'status', 'in_doubt'" in row for row in found["sync_state"])


def test_the_views_are_those_of_the_sync_state(place: tuple[Bench, str, str]) -> None:
    bench, url, schema = place
    fill(bench)
    bench.sandbox.faults.add("status", status=503, source_id="u2")
    bench.run(ALL, max_attempts=1)
    state = bench.state_url or bench.warehouse_url
    prefix = "" if state.startswith("sqlite") else "rehook_sync."
    for view in VIEWS:
        here, there = read_table(state, prefix + view), read_table(url, f"{schema}.{view}")
        assert [list(each) for each in there[:1]] == [list(each) for each in here[:1]], view
        if view != "v1_freshness":
            assert sorted(map(str, there)) == sorted(map(str, here)), view


def expire_lease(bench: Bench) -> None:
    bench.change_state("UPDATE {sync_lease} SET expires_at = '2020-01-01T00:00:00.000000Z'")


def change_something(bench: Bench, step: int) -> None:
    """Calls and a customer that change, one of each that goes, and a run with calls: as all commands together note it."""
    changes = bench.name_of("sync_changes")
    notes = [
        ("call", "tracks", "t001"),
        ("call", "tracks", "t002"),
        ("call", "tracks", "gone"),
        ("customer", "", "bob"),
        ("customer", "", "x"),
    ]
    bench.change_state(
        f"UPDATE {{sync_state}} SET detail = 'step {step}' WHERE message_id IN ('t001', 't002')",
        f"UPDATE {{sync_customers}} SET last_message_id = 'step {step}' WHERE source_id = 'bob'",
        f"UPDATE {{sync_runs}} SET error = 'step {step}'",
        *(f"INSERT INTO {changes} VALUES ('{kind}', '{stream}', '{each}') ON CONFLICT DO NOTHING" for kind, stream, each in notes),
        f"INSERT INTO {changes} SELECT 'run', '', run_id FROM {{sync_runs}} WHERE true ON CONFLICT DO NOTHING",
    )


@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")  # who is killed closes nothing
@pytest.mark.parametrize(
    ("place", "stride"),
    [("sqlite-sqlite", 3), ("postgresql-postgresql", 11), ("sqlite-duckdb", 17), ("sqlite-snowflake", 29), ("sqlite-redshift", 47)],
    indirect=["place"],
)
@pytest.mark.parametrize("whole", [False, True], ids=["changes", "everything"])
def test_killed_at_any_step_the_copy_ends_up_the_same(place: tuple[Bench, str, str], stride: int, whole: bool) -> None:
    assert publish_killed(*place, stride=stride, whole=whole) > 50


def publish_killed(bench: Bench, url: str, schema: str, *, stride: int, whole: bool) -> int:
    """Kill publications at one step after the other, and look at what the next one makes of it. How many steps there were."""
    state = bench.state_url or bench.warehouse_url
    fill(bench)
    bench.run(ALL)
    step = 0
    with small_batches("sqlite", "postgresql", "duckdb", "redshift", "bigquery", rows=25):
        while True:
            change_something(bench, step)
            with bench.sync() as sync, dying_at(step):
                try:
                    sync.publish(Interrupt(), whole=whole)
                    break
                except Killed:
                    step += stride
            close_engines()
            expire_lease(bench)
            with bench.sync() as sync:
                sync.publish(Interrupt())
            check_copy(state, url, schema)
    check_copy(state, url, schema)
    return step


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


def test_an_earlier_publication_that_wakes_up_writes_nothing(place: tuple[Bench, str, str]) -> None:
    bench, url, schema = place
    fill(bench)
    bench.run(ALL)
    with bench.sync() as sync, closing(open_target(url, schema)) as database:
        state, asleep = sync._context().database, Target(database, schema)
        publications = Publications(state)
        known = publications.read()
        assert known is not None
        with state.transaction() as connection:
            asleep.take(publications.begin(connection, known.place, whole=False))
        if database.dialect == "duckdb":
            database.close()  # which lets one process write
        sync.publish(Interrupt())
        with pytest.raises(LeaseLostError, match="leaves it alone"):
            asleep.put(Batch(TABLES["calls"], []))


def open_target(url: str, schema: str) -> Database:
    return open_database(
        url, "PUBLISH_URL", may_create=True, search_path=schema, connecting=Connecting(OPTIONS.get(url, {}), publishes=True)
    )


def test_tables_that_are_no_copy_are_left_alone(place: tuple[Bench, str, str]) -> None:
    bench, url, schema = place
    fill(bench)
    bench.run(ALL, publish_schema=None, publish_url=None)
    if schema != "main":
        run_sql(url, f"CREATE SCHEMA {schema}")
    run_sql(url, f"CREATE TABLE {schema}.sync_state (note varchar(9))")
    with bench.sync() as sync:
        with pytest.raises(SettingsError, match=r"has a table 'sync_state' that `publish` did not make: name another schema"):
            sync.publish(Interrupt())
        run_sql(url, f"CREATE TABLE {schema}.sync_lease (note varchar(9))")
        with pytest.raises(SettingsError, match=r"holds a sync-state \(sync_lease\): name a schema of its own"):
            sync.check_publication()
    with engine_to(url).connect() as connection:
        assert connection.exec_driver_sql(f"SELECT * FROM {schema}.sync_state").keys() == ["note"]


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


def test_a_sync_state_that_was_restored_wants_the_copy_made_anew(place: tuple[Bench, str, str]) -> None:
    bench, url, schema = place
    state = bench.state_url or bench.warehouse_url
    fill(bench)
    bench.run(ALL)
    publication = bench.name_of("sync_publication")
    bench.run()
    bench.change_state(f"UPDATE {publication} SET turn = 1", "DELETE FROM {sync_watermarks}", "DELETE FROM {sync_runs} WHERE rows_read = 0")
    with bench.sync() as sync:
        with pytest.raises(SettingsError, match=r"is not of this sync-state as it is now .*`publish --whole`"):
            sync.publish(Interrupt())
        assert sync.publish(Interrupt(), whole=True).whole
        check_copy(state, url, schema)
        sync.publish(Interrupt())
    check_copy(state, url, schema)


def test_what_analysts_built_on_the_views_outlives_a_copy_made_anew(request: pytest.FixtureRequest) -> None:
    with open_bench("postgresql-same", request, publish_schema="analytics") as bench:
        fill(bench)
        bench.run(ALL)
        run_sql(bench.warehouse_url, "CREATE VIEW public.mine AS SELECT count(*) AS n FROM analytics.v1_runs")
        with bench.sync() as sync:
            assert sync.publish(Interrupt(), whole=True).whole
        assert run_sql(bench.warehouse_url, "SELECT n FROM public.mine")[0][0] == 1
        check_copy(bench.warehouse_url, bench.warehouse_url, "analytics")


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
