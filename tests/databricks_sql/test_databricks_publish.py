"""The copy for analysts in Databricks: what it must hold in any database, and how many statements that takes."""

import re
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from accounting import ALL, Bench, ago
from beds.databricks.bed import DatabricksBed
from copies import (
    check_catalog,
    fill,
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
from published import check_copy, read_table
from statements import hear
from warehouse import add_rows, run_sql, track

from rehook_sync.errors import SettingsError
from rehook_sync.runtime import Interrupt
from rehook_sync.sandbox.server import Sandbox

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
pytestmark = pytest.mark.timeout(900)
Place = tuple[Bench, str, str]


@pytest.fixture
def place(databricks_bed: DatabricksBed, tmp_path: Path) -> Iterator[Place]:
    """A bench with warehouse and sync-state in a SQLite file, and the copy in a schema of Databricks: its URL and its schema."""
    url, schema = databricks_bed.url("default"), f"copy_{uuid.uuid4().hex[:12]}"
    file = tmp_path / "warehouse.db"
    file.touch()
    options: dict[str, object] = {"publish_schema": schema, "publish_url": url, "publish_options": databricks_bed.options}
    with Sandbox() as sandbox:
        yield Bench(f"sqlite:///{file}", None, sandbox, options), url, schema
    run_sql(url, f"DROP SCHEMA IF EXISTS {schema} CASCADE")


def test_the_catalog_may_be_named_before_the_schema(place: Place) -> None:
    check_catalog(place, "spark_catalog")


@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")  # who is killed closes nothing
def test_killed_at_any_step_the_copy_ends_up_the_same(place: Place) -> None:
    assert publish_killed(*place, stride=23, whole=False) > 40


def statements_of(place: Place) -> Sequence[str]:
    """The statements of a run's publication, in order, without the names of catalog and schema."""
    bench, url, schema = place
    with hear("databricks") as found:
        bench.run()
    check_copy(bench.warehouse_url, url, schema)
    return [re.sub(r"\s+", " ", each.replace(f"`spark_catalog`.`{schema}`.", "").replace("`", "")) for each in found]


def test_a_run_with_new_rows_publishes_by_few_statements(place: Place) -> None:
    bench, *_ = place
    fill(bench)
    bench.run(ALL)
    add_rows(bench.warehouse_url, "tracks", [track("t900", "u9", "Visited", ago(hours=1))])
    told = "SELECT publication_id, turn"
    found = statements_of(place)
    assert [each[:27].rstrip() for each in found] == [
        "SELECT COALESCE(:catalog, C",
        "SELECT table_name AS name F",
        told,
        "UPDATE sync_published SET t",
        told,
        "MERGE INTO sync_state AS t",
        told,
        "MERGE INTO sync_runs AS t U",
        told,
        "MERGE INTO sync_watermarks",
        told,
        "UPDATE sync_published SET i",
        told,
    ]
    assert "t.first_seen_at BETWEEN :low AND :high" in found[5], "only files with these days are read"


def test_the_first_copy_looks_for_no_keys(place: Place) -> None:
    bench, url, schema = place
    fill(bench)
    with hear("databricks") as found:
        bench.run(ALL)
    assert [each for each in found if each.startswith("MERGE")] == []
    check_copy(bench.warehouse_url, url, schema)


def test_a_call_that_was_pruned_and_seen_again_is_there_once(place: Place) -> None:
    bench, url, schema = place
    fill(bench)
    bench.run(ALL)
    changes = bench.name_of("sync_changes")
    bench.change_state(
        "UPDATE {sync_state} SET first_seen_at = '2026-01-01T00:00:00.000000Z' WHERE message_id = 't001'",
        f"INSERT INTO {changes} VALUES ('call', 'tracks', 't001')",
    )
    with bench.sync() as sync:
        sync.publish(Interrupt())
    check_copy(bench.warehouse_url, url, schema)


def test_days_of_the_views_are_those_of_utc_whatever_the_zone_of_who_reads(place: Place) -> None:
    bench, url, schema = place
    fill(bench)
    bench.run(ALL)
    bench.change_state(
        "UPDATE {sync_state} SET received_at = '2026-11-02T01:30:00.000000Z'",
        "INSERT INTO sync_changes SELECT 'call', stream, message_id FROM {sync_state} WHERE true",
    )
    with bench.sync() as sync:
        sync.publish(Interrupt())
    assert run_sql(url, "SELECT CURRENT_TIMEZONE()") == [("America/New_York",)]
    assert {row["day"] for row in read_table(url, f"{schema}.v1_calls_by_day")} == {"2026-11-02"}


def test_a_schema_in_capital_letters_is_the_one_that_is_there(place: Place) -> None:
    bench, url, schema = place
    bench.options["publish_schema"] = schema.upper()
    fill(bench)
    bench.run(ALL)
    bench.run()
    check_copy(bench.warehouse_url, url, schema)


def test_an_option_that_the_driver_does_not_take_is_told_by_its_own_name(place: Place) -> None:
    bench, *_ = place
    fill(bench)
    with bench.sync(publish_options={"s3cret": "s3cret-value"}) as sync, pytest.raises(SettingsError) as raised:
        sync.check_publication()
    assert str(raised.value).startswith("REHOOK_SYNC_PUBLISH_OPTIONS: s3cret: ")
    assert "s3cret-value" not in str(raised.value)
