"""The statements of a plan and of runs over Databricks, as they are kept, and that they do not grow with the rows."""

from collections.abc import Callable, Mapping, Sequence

import pytest
from accounting import Bench
from statements import ask, check_bounds, check_kept, hear, small_source
from warehouse import Row, add_rows

FEW, MANY = 8, 200


@pytest.mark.timeout(600)
@pytest.mark.parametrize("count", [FEW, MANY])
def test_what_is_asked_is_what_is_kept_and_does_not_grow_with_the_rows(bench: Bench, count: int) -> None:
    bench.fill(**small_source(count))

    def listen(act: Callable[[], object]) -> Sequence[str]:
        with hear("databricks") as found:
            act()
        return list(found)

    def add(tables: Mapping[str, Sequence[Row]]) -> None:
        for name, rows in tables.items():
            add_rows(bench.warehouse_url, name, rows)

    heard = ask(bench, listen, add)
    if count == FEW:
        check_kept("databricks", heard)
    check_bounds("databricks", heard)
