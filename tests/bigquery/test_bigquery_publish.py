"""The copy for analysts in BigQuery: what it must hold in any database, and how many jobs that takes."""

import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from accounting import ALL, Bench, ago
from beds.bigquery.project import Table
from beds.bigquery.server import Bed
from copies import (
    check_catalog,
    fill,
    publish_killed,
    test_a_sync_state_that_was_restored_wants_the_copy_made_anew,
    test_after_a_run_all_is_there,
    test_an_earlier_publication_that_wakes_up_does_not_empty_the_copy,
    test_an_earlier_publication_that_wakes_up_writes_nothing,
    test_each_command_that_changes_the_state_shows_in_the_copy,
    test_the_views_are_those_of_the_sync_state,
    test_what_a_dead_run_left_shows_in_the_copy,
    test_what_was_dropped_by_hand_is_made_again_or_told,
)
from published import check_copy
from warehouse import add_rows, track

from rehook_sync.errors import SettingsError
from rehook_sync.runtime import Interrupt
from rehook_sync.sandbox.server import Sandbox

__all__ = [
    "test_a_sync_state_that_was_restored_wants_the_copy_made_anew",
    "test_after_a_run_all_is_there",
    "test_an_earlier_publication_that_wakes_up_does_not_empty_the_copy",
    "test_an_earlier_publication_that_wakes_up_writes_nothing",
    "test_each_command_that_changes_the_state_shows_in_the_copy",
    "test_the_views_are_those_of_the_sync_state",
    "test_what_a_dead_run_left_shows_in_the_copy",
    "test_what_was_dropped_by_hand_is_made_again_or_told",
]
"""What holds for every database that can have the copy."""
URL = "bigquery://my-project"
ALL_STEPS = bool(os.environ.get("ALL_SOURCES"))
"""Each publication takes seconds here, so that most steps to be killed at run where that is set."""


@pytest.fixture
def place(bed: Bed, tmp_path: Path) -> Iterator[tuple[Bench, str, str]]:
    """A bench with warehouse and sync-state in a SQLite file, and the copy in a dataset: its URL and its schema."""
    bed.project.datasets["analytics"] = {}
    with Sandbox() as sandbox:
        file = tmp_path / "warehouse.db"
        file.touch()
        yield Bench(f"sqlite:///{file}", None, sandbox, {"publish_schema": "analytics", "publish_url": URL}), URL, "analytics"


def test_the_project_may_be_named_before_the_dataset(place: tuple[Bench, str, str]) -> None:
    check_catalog(place, "my-project")


@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")  # who is killed closes nothing
@pytest.mark.parametrize("whole", [False, True] if ALL_STEPS else [False], ids=lambda whole: "everything" if whole else "changes")
def test_killed_at_any_step_the_copy_ends_up_the_same(place: tuple[Bench, str, str], whole: bool) -> None:
    assert publish_killed(*place, stride=3 if ALL_STEPS else 23, whole=whole) > 40


def jobs_on(bed: Bed, place: tuple[Bench, str, str]) -> Sequence[str]:
    """The first words of the jobs of a run's publication, in order."""
    bench, url, schema = place
    before = len(bed.jobs)
    bench.run()
    jobs = [each.sql for each in bed.jobs[before:]]
    check_copy(bench.warehouse_url, url, schema)
    return [re.sub(r"\s+", " ", each.replace("`my-project`.`analytics`.", "").replace("`", ""))[:27] for each in jobs]


def test_a_run_with_new_rows_publishes_by_few_jobs(bed: Bed, place: tuple[Bench, str, str]) -> None:
    bench, _, _ = place
    fill(bench)
    bench.run(ALL)
    add_rows(bench.warehouse_url, "tracks", [track("t900", "u9", "Visited", ago(hours=1))])
    told = "SELECT publication_id, turn"
    assert jobs_on(bed, place) == [
        "SELECT t.table_name AS name",
        told,
        "UPDATE sync_published SET t",
        told,
        "MERGE INTO sync_state AS t ",
        told,
        "MERGE INTO sync_runs AS t U",
        told,
        "MERGE INTO sync_watermarks ",
        told,
        "UPDATE sync_published SET i",
        told,
    ]


def test_only_the_days_of_the_rows_are_scanned(bed: Bed, place: tuple[Bench, str, str]) -> None:
    bench, *_ = place
    fill(bench)
    bench.run(ALL)
    table = bed.project.datasets["analytics"]["sync_state"]
    assert table.partitioned_by == "first_seen_at"
    add_rows(bench.warehouse_url, "tracks", [track("t900", "u9", "Visited", ago(hours=1))])
    before = len(bed.jobs)
    bench.run()
    [merge] = [each for each in bed.jobs[before:] if each.sql.startswith("MERGE INTO `my-project`.`analytics`.`sync_state`")]
    assert "t.first_seen_at BETWEEN @`low` AND @`high`" in merge.sql
    [row] = [row for row in bench.read_state("sync_state") if row["message_id"] == "t900"]
    low, high = merge.parameters["low"], merge.parameters["high"]
    assert low == high == ("TIMESTAMP", row["first_seen_at"])


def test_the_first_copy_looks_for_no_keys(bed: Bed, place: tuple[Bench, str, str]) -> None:
    bench, url, schema = place
    fill(bench)
    bench.run(ALL)
    assert [each.sql for each in bed.jobs if each.sql.startswith("MERGE")] == []
    check_copy(bench.warehouse_url, url, schema)


def test_tables_that_are_no_copy_are_left_alone(bed: Bed, place: tuple[Bench, str, str]) -> None:
    bench, *_ = place
    fill(bench)
    bed.project.datasets["analytics"]["sync_state"] = Table({"note": "STRING"})
    bench.run(ALL, publish_schema=None, publish_url=None)
    with bench.sync() as sync, pytest.raises(SettingsError, match="has a table 'sync_state' that `publish` did not make"):
        sync.publish(Interrupt())
    assert list(bed.project.datasets["analytics"]) == ["sync_state"]


def test_a_missing_dataset_is_told_in_one_line(bed: Bed, place: tuple[Bench, str, str]) -> None:
    bench, *_ = place
    fill(bench)
    del bed.project.datasets["analytics"]
    result = bench.run(ALL)
    [note] = [each for each in result.notes if "copy" in each]
    assert note.endswith("schema 'analytics' of REHOOK_SYNC_PUBLISH_URL is not there, or may not be seen: make it where it is to be")


def test_a_call_that_was_pruned_and_seen_again_is_there_once(place: tuple[Bench, str, str]) -> None:
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
