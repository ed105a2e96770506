"""The statements of a plan and of runs over Databricks, as they are kept, and that they do not grow with the rows."""

import pytest
from accounting import Bench
from statements import FEW, MANY, check_dialect


@pytest.mark.timeout(600)
@pytest.mark.parametrize("count", [FEW, MANY])
def test_what_is_asked_is_what_is_kept_and_does_not_grow_with_the_rows(bench: Bench, count: int) -> None:
    check_dialect(bench, "databricks", count)
