"""A warehouse is data: what is special about one stands in its record, and nothing else asks for its name."""

import ast
from collections.abc import Iterator

import pytest

from rehook_sync.database.warehouses import WAREHOUSES

from .source_tree import parse, rooms

NAMES = {*WAREHOUSES, "bigquery", "databricks", "mssql", "mysql", "oracle", "redshift", "snowflake"}
OF_OTHERS = {
    "airflow/common/databases.py",  # of Airflow's own types
    "airflow/lineage.py",
    "settings.py",  # says before anything is opened where the state may live
    "sync.py",
    "state/migrations.py",
    "state/ledger.py",
    "state/report.py",
    "state/rights.py",
    "state/state.py",
}
"""The sync-state lives in SQLite or PostgreSQL, and nowhere else; Airflow has names of its own for connections."""


def named_dialects(tree: ast.AST) -> Iterator[int]:
    """Lines that compare something with the name of a dialect, or look something up by it."""
    for node in ast.walk(tree):
        sides: list[ast.expr] = []
        if not isinstance(node, ast.expr | ast.MatchValue):
            continue
        if isinstance(node, ast.Compare):
            sides = [node.left, *node.comparators]
        elif isinstance(node, ast.Dict):
            sides = [key for key in node.keys if key is not None]
        elif isinstance(node, ast.MatchValue):
            sides = [node.value]
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in {"startswith", "get"}:
            sides = node.args
        members = [each for side in sides for each in (side.elts if isinstance(side, ast.Set | ast.Tuple | ast.List) else [side])]
        if any(isinstance(each, ast.Constant) and each.value in NAMES for each in members):
            yield node.lineno


@pytest.mark.parametrize("room", [room for room in rooms() if not room.startswith("database/dialects/") and room not in OF_OTHERS])
def test_nothing_but_its_record_asks_for_the_name_of_a_warehouse(room: str) -> None:
    lines = list(named_dialects(parse(room)))
    assert not lines, f"rehook_sync/{room}: lines {lines}: make it a field of the record, or a statement of the dialect"


@pytest.mark.parametrize(
    "code",
    ['a == "sqlite"', 'a in {"duckdb", "b"}', 'a.startswith("sqlite")', '{"postgresql": 1}.get(a)', 'match a:\n  case "redshift": pass'],
)
def test_asking_for_a_name_is_noticed(code: str) -> None:
    assert list(named_dialects(ast.parse(code)))


@pytest.mark.parametrize("name", WAREHOUSES)
def test_a_record_has_the_name_by_which_it_is_found(name: str) -> None:
    assert WAREHOUSES[name].name == name
