"""The statements that each warehouse gets, and that they do not grow with the rows; BigQuery and Databricks have tests of their own."""

from collections.abc import Callable, Mapping, Sequence

import pytest
from accounting import open_bench
from statements import ask, check_bounds, check_kept, hear, small_source
from warehouse import CLOUDS, WAREHOUSES, Row, add_rows

FEW, MANY = 8, 200


@pytest.mark.parametrize("count", [FEW, MANY])
@pytest.mark.parametrize("kind", [*WAREHOUSES, *CLOUDS])
def test_what_is_asked_is_what_is_kept_and_does_not_grow_with_the_rows(kind: str, count: int, request: pytest.FixtureRequest) -> None:
    with open_bench(f"{kind}-sqlite", request) as bench:
        bench.fill(**small_source(count))

        def listen(act: Callable[[], object]) -> Sequence[str]:
            with hear(kind) as found:
                act()
            return list(found)

        def add(tables: Mapping[str, Sequence[Row]]) -> None:
            for name, rows in tables.items():
                add_rows(bench.warehouse_url, name, rows)

        heard = ask(bench, listen, add)
    if count == FEW:
        check_kept(kind, heard)
    check_bounds(kind, heard)
