"""What a run over Databricks need not read again: a statement of each stream says how its hours look."""

from datetime import timedelta

import pytest
from accounting import ALL, NOW, Bench
from beds.databricks.bed import DatabricksBed
from warehouse import Row, add_rows, identify, make_warehouse, run_sql, track

FIRST = (NOW - timedelta(hours=9)).replace(minute=0, second=0, microsecond=0)
"""The start of an hour that is over."""


def calls(count: int, first: int = 0) -> list[Row]:
    return [track(f"t{n}", f"u{n % 5}", "Visited", FIRST + timedelta(minutes=n)) for n in range(first, first + count)]


def run(bed: DatabricksBed, bench: Bench) -> tuple[int, list[str]]:
    """The rows that a run took, and what it asked Databricks."""
    before = len(bed.statements())
    rows = bench.run(check=False).summary.rows_read
    schema = bench.warehouse_url.rpartition("=")[2]
    asked = [each for each in bed.statements()[before:] if schema in each]
    bench.check()
    return rows, asked


@pytest.mark.timeout(600)
def test_only_hours_that_look_different_are_read(bench: Bench, databricks_bed: DatabricksBed) -> None:
    bench.options["missing_properties"] = "send"
    make_warehouse(bench.warehouse_url, {"identifies": [identify("i1", "u1", FIRST)], "base": calls(61)})
    run_sql(bench.warehouse_url, "CREATE VIEW tracks AS SELECT * FROM base")
    assert bench.run(ALL).summary.sent == 62
    run(databricks_bed, bench)

    rows, asked = run(databricks_bed, bench)
    assert rows == 0, "nothing is new"
    assert len(bench.read_state("sync_stretches")) == 3
    assert [each for each in asked if "rehook_sync__place" in each or "NULL AS calls" in each] == []
    assert len([each for each in asked if "XXHASH64" in each]) == 2

    run_sql(bench.warehouse_url, "CREATE OR REPLACE VIEW tracks AS SELECT * FROM base WHERE id <> 't7'")
    bench.gone.add("t7")
    add_rows(bench.warehouse_url, "base", [track("other", "u1", "Visited", FIRST + timedelta(minutes=7))])
    assert run(databricks_bed, bench)[0] == 1, "as many rows, but another one"

    add_rows(bench.warehouse_url, "base", calls(2))
    rows, asked = run(databricks_bed, bench)
    assert rows == 0
    assert any("NULL AS calls" in each for each in asked), "two copies, of which an XOR shows nothing"
