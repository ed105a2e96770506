"""The awkward sources of all warehouses, as Databricks has them: what arrives, what is said, and that the books agree."""

import json

import pytest
from accounting import Bench
from awkward import run, shown
from sources import SOURCES
from warehouse import APART, add_rows, make_warehouse, run_sql

KIND = APART["databricks"]


@pytest.mark.timeout(400)
@pytest.mark.parametrize("name", SOURCES)
def test_an_awkward_source_is_synced_whole_or_says_why_not(bench: Bench, name: str) -> None:
    if name in KIND.beyond:
        pytest.skip(KIND.beyond[name])
    built = SOURCES[name](KIND)
    known: set[str] = set()
    for number, step in enumerate(built.steps):
        bench.options |= step.settings
        bench.audit.cursor = str(bench.options.get("cursor_column", "received_at"))
        run_sql(bench.warehouse_url, *(each.replace(" text", " STRING") for each in step.sql))
        bench.gone |= set(step.gone)
        added = {each: rows for each, rows in step.tables.items() if each in known or each.startswith("base_")}
        for table, rows in added.items():
            add_rows(bench.warehouse_url, table, rows)
        made = {each: rows for each, rows in step.tables.items() if each not in added}
        make_warehouse(bench.warehouse_url, made, types=step.types)
        known |= set(made)
        seen = len(bench.bodies())
        code, said = run(bench)
        assert sorted(map(shown, bench.bodies()[seen:])) == sorted(json.dumps(each) for each in step.sent), f"run {number + 1}: {said}"
        assert (code, len(said)) == (step.code, len(step.says)), said
        assert [part for part, line in zip(step.says, said, strict=True) if part not in line] == [], said
    statuses = {key.partition(":")[0]: status for key, status in bench.statuses().items()}
    assert {key: status for key, status in statuses.items() if status != "sent"} == dict(built.unsent)
