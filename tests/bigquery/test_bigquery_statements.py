"""The jobs of a plan and of runs over BigQuery, as they are kept, and that they do not grow with the rows."""

from collections.abc import Callable, Mapping, Sequence

import pytest
from accounting import Bench
from beds.bigquery.server import Bed
from statements import FEW, MANY, ask, check_heard, small_source
from warehouse import Row

from .tables import add_rows, make_tables


@pytest.mark.parametrize("count", [FEW, MANY])
def test_what_is_asked_is_what_is_kept_and_does_not_grow_with_the_rows(bed: Bed, bench: Bench, count: int) -> None:
    source = {name: [{**row, "loaded_at": row["received_at"]} for row in rows] for name, rows in small_source(count).items()}
    make_tables(bed.project, source, partitioned_by="loaded_at")

    def listen(act: Callable[[], object]) -> Sequence[str]:
        before = len(bed.jobs)
        act()
        return [each.sql for each in bed.jobs[before:]]

    def add(tables: Mapping[str, Sequence[Row]]) -> None:
        for name, rows in tables.items():
            add_rows(bed.project, name, [{**row, "loaded_at": row["received_at"]} for row in rows])

    heard = ask(bench, listen, add)
    check_heard("bigquery", count, heard)
    windows = [each for each in heard["run with nothing new"] if "FARM_FINGERPRINT" in each]
    assert len(windows) == 2
    assert all("`loaded_at` >= @`loaded_from`" in each for each in windows)
