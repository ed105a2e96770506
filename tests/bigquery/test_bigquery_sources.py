"""The awkward sources of all warehouses, as BigQuery has them: what arrives, what is said, and that the books agree."""

import json
import os

import pytest
from accounting import Bench
from awkward import run, shown
from beds.bigquery.server import Bed
from sources import SOURCES
from warehouse import Warehouse

from .tables import add_rows, make_tables, run_sql

KIND = Warehouse("bigquery_url")
IMPOSSIBLE = {
    "with_names_that_are_no_names": "BigQuery allows no such names",
}
"""What cannot be in BigQuery."""
CHOSEN = (
    "in_capitals",
    "with_ids_that_come_again",
    "with_objects_in_json_columns_and_in_texts_in_them",
    "with_times_at_the_ends_of_the_calendar",
)
"""Those that take little and in which warehouses differ. All take minutes; they run where ALL_SOURCES is set."""
NAMES = [name for name in SOURCES if name not in IMPOSSIBLE and (name in CHOSEN or os.environ.get("ALL_SOURCES"))]


def test_chosen_sources_are_there() -> None:
    assert set(CHOSEN) - SOURCES.keys() == set()


@pytest.mark.parametrize("name", NAMES)
def test_an_awkward_source_is_synced_whole_or_says_why_not(bed: Bed, bench: Bench, name: str) -> None:
    built = SOURCES[name](KIND)
    for number, step in enumerate(built.steps):
        bench.options |= step.settings
        bench.audit.cursor = str(bench.options.get("cursor_column", "received_at"))
        run_sql(bed.project, *step.sql)
        bench.gone |= set(step.gone)
        there = bed.project.datasets["shop"]
        for table, rows in step.tables.items():
            if table in there:
                add_rows(bed.project, table, rows)
            else:
                make_tables(bed.project, {table: rows}, step.types)
        seen = len(bench.bodies())
        code, said = run(bench)
        assert sorted(map(shown, bench.bodies()[seen:])) == sorted(json.dumps(each) for each in step.sent), f"run {number + 1}: {said}"
        assert (code, len(said)) == (step.code, len(step.says)), said
        assert [part for part, line in zip(step.says, said, strict=True) if part not in line] == [], said
    statuses = {key.partition(":")[0]: status for key, status in bench.statuses().items()}
    assert {key: status for key, status in statuses.items() if status != "sent"} == dict(built.unsent)
