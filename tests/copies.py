"""What the copy for analysts must do in whichever database: tests for a fixture `place`, its bench, URL and schema."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import timedelta

import pytest
from accounting import ALL, Bench, ago
from published import Killed, check_copy, dying_at, read_table, small_batches
from warehouse import OPTIONS, add_rows, close_engines, engine_to, identify, run_sql, track

from rehook_sync.database.dialects.record import Connecting
from rehook_sync.database.engine import Database, open_database
from rehook_sync.errors import LeaseLostError, SettingsError
from rehook_sync.publish.rows import Batch
from rehook_sync.publish.tables import TABLES, VIEWS
from rehook_sync.publish.target import Target
from rehook_sync.runtime import Interrupt
from rehook_sync.state.publication.publications import Publication, Publications
from rehook_sync.sync import Sync

__all__ = [
    "check_catalog",
    "fill",
    "open_target",
    "publish_killed",
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


def fill(bench: Bench) -> None:
    """Something of all that may become of a call."""
    bench.fill(
        [
            identify("i0", "ada", ago(hours=9), referral_code="A", plan="é'\"\\"),
            identify("i1", "bob", ago(hours=8), referral_code="A", plan="b"),
        ],
        [track(f"t{each:03}", f"u{each % 7}", "Visited", ago(hours=6, seconds=-each)) for each in range(40)],
    )


def check_catalog(place: tuple[Bench, str, str], catalog: str) -> None:
    """The copy is in the catalog that is named before its schema; one that is not there is told of before anything is written."""
    bench, url, schema = place
    fill(bench)
    with bench.sync(publish_schema=f"no_such_catalog.{schema}") as sync:
        for act in (sync.check_publication, lambda: sync.publish(Interrupt())):
            with pytest.raises(SettingsError, match=r"(?i)^REHOOK_SYNC_PUBLISH_SCHEMA: .*no_such_catalog.* may not be seen[^\n]*$"):
                act()
    with bench.sync(publish_schema=f"{catalog}.{schema}.more") as sync, pytest.raises(SettingsError, match="leads nowhere in"):
        sync.check_publication()
    bench.options["publish_schema"] = f"{catalog}.{schema}"
    bench.run(ALL)
    bench.run()
    with bench.sync() as sync:
        assert str(sync.check_publication()).startswith("the copy is in ")
    named = engine_to(url).dialect.identifier_preparer.quote(catalog)
    check_copy(bench.state_url or bench.warehouse_url, url, f"{named}.{schema}")


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


def publish_killed(bench: Bench, url: str, schema: str, *, stride: int, whole: bool) -> int:
    """Kill publications at one step after the other, and look at what the next one makes of it. How many steps there were."""
    state = bench.state_url or bench.warehouse_url
    fill(bench)
    bench.run(ALL)
    step = 0
    with small_batches("sqlite", "postgresql", "duckdb", "redshift", "bigquery", "databricks", rows=25):
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


def test_an_earlier_publication_that_wakes_up_writes_nothing(place: tuple[Bench, str, str]) -> None:
    with fallen_asleep(place, whole=False) as (sync, database, asleep, begun):
        asleep.read_turn(begun.publication_id)
        asleep.take(begun)
        if database.dialect == "duckdb":
            database.close()  # which lets one process write
        sync.publish(Interrupt())
        with pytest.raises(LeaseLostError, match="leaves it alone"):
            asleep.put(Batch(TABLES["calls"], []))


@contextmanager
def fallen_asleep(place: tuple[Bench, str, str], *, whole: bool) -> Iterator[tuple[Sync, Database, Target, Publication]]:
    """A publication that has begun over a copy and done nothing yet, beside a job that goes on."""
    bench, url, schema = place
    fill(bench)
    bench.run(ALL)
    with bench.sync() as sync, closing(open_target(url, schema)) as database:
        state = sync._context().database
        publications = Publications(state)
        known = publications.read()
        assert known is not None
        with state.transaction() as connection:
            begun = publications.begin(connection, known.place, whole=whole)
        yield sync, database, Target(database, schema), begun


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


def test_a_sync_state_that_was_restored_wants_the_copy_made_anew(place: tuple[Bench, str, str]) -> None:
    bench, url, schema = place
    state = bench.state_url or bench.warehouse_url
    fill(bench)
    bench.run(ALL)
    publication = bench.name_of("sync_publication")
    bench.run()
    bench.change_state(f"UPDATE {publication} SET turn = 1", "DELETE FROM {sync_watermarks}", "DELETE FROM {sync_runs} WHERE rows_read = 0")
    with bench.sync() as sync:
        for _ in range(4):  # and not only until it has had as many turns as the copy
            with pytest.raises(SettingsError, match=r"is not of this sync-state as it is now .*`publish --whole`"):
                sync.publish(Interrupt())
        assert sync.publish(Interrupt(), whole=True).whole
        check_copy(state, url, schema)
        sync.publish(Interrupt())
    check_copy(state, url, schema)


def test_an_earlier_publication_that_wakes_up_does_not_empty_the_copy(place: tuple[Bench, str, str]) -> None:
    bench, url, schema = place
    with fallen_asleep(place, whole=True) as (sync, _, asleep, begun):
        assert sync.publish(Interrupt()).whole
        with pytest.raises(LeaseLostError, match="leaves it alone"):
            asleep.make(begun)
    check_copy(bench.state_url or bench.warehouse_url, url, schema)


def test_what_was_dropped_by_hand_is_made_again_or_told(place: tuple[Bench, str, str]) -> None:
    bench, url, schema = place
    state = bench.state_url or bench.warehouse_url
    fill(bench)
    bench.run(ALL)
    run_sql(url, f"DROP VIEW {schema}.v1_customer_timeline")
    with bench.sync() as sync:
        sync.publish(Interrupt())
        assert len(read_table(url, f"{schema}.v1_customer_timeline")) == 42
        run_sql(url, f"DROP VIEW {schema}.v1_freshness", f"DROP TABLE {schema}.sync_watermarks")
        for _ in range(2):
            with pytest.raises(SettingsError, match=r"has no table 'sync_watermarks' any more: `publish --whole` makes it anew"):
                sync.publish(Interrupt())
        sync.publish(Interrupt(), whole=True)
        check_copy(state, url, schema)
        run_sql(url, *(f"DROP VIEW {schema}.{view}" for view in reversed(list(VIEWS))))
        run_sql(url, *(f"DROP TABLE {schema}.{table}" for table in (*(each.name for each in TABLES.values()), "sync_published")))
        with pytest.raises(SettingsError, match=r"is gone: `publish --whole` makes it anew"):
            sync.publish(Interrupt())
        assert sync.publish(Interrupt(), whole=True).whole
    check_copy(state, url, schema)
