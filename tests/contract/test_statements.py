"""The statements that each warehouse gets, and that they do not grow with the rows; BigQuery and Databricks have tests of their own."""

import pytest
from accounting import open_bench
from statements import FEW, MANY, check_dialect
from warehouse import CLOUDS, WAREHOUSES


@pytest.mark.parametrize("count", [FEW, MANY])
@pytest.mark.parametrize("kind", [*WAREHOUSES, *CLOUDS])
def test_what_is_asked_is_what_is_kept_and_does_not_grow_with_the_rows(kind: str, count: int, request: pytest.FixtureRequest) -> None:
    with open_bench(f"{kind}-sqlite", request) as bench:
        check_dialect(bench, kind, count)
