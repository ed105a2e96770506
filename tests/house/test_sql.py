"""SQL lives in sql/ only; every query loads, is used, and every name used is a query."""

import ast
import re
from collections.abc import Iterator

import pytest

from rehook_sync.database.queries import load_migrations, load_queries, split_statements, sql_folder
from rehook_sync.database.warehouses import ANY, WAREHOUSES

from .source_tree import FUNCTIONS, ROOT, parse, read_strings, rooms

SHOUTED = re.compile(
    r"\bSELECT\b.+\bFROM\b|^\s*SELECT\s+\S|\bINSERT\s+INTO\b|\bUPDATE\b.+\bSET\b|\bDELETE\s+FROM\b|\bTRUNCATE\s+TABLE\b|\bON\s+CONFLICT\b"
    r"|\b(CREATE|ALTER|DROP)\s+(\w+\s+)?(TABLE|VIEW|INDEX|SCHEMA|TRIGGER)\b|^\s*WITH\s+\w+\s+AS\s*\(|^\s*(PRAGMA|BEGIN|COMMIT|ROLLBACK|ATTACH)\b",
    re.DOTALL,
)
SPOKEN = re.compile(r"\s*(select\s.+\sfrom|insert\s+into|update\s.+\sset|delete\s+from|create\s+(table|view|index)|pragma)\s", re.DOTALL)
EXCEPTIONS = {
    "database/sqlite.py": re.compile(r"PRAGMA \w+( = \w+)?|BEGIN( IMMEDIATE)?"),  # how a connection works, not what it asks
    "database/postgresql.py": re.compile(
        r"SELECT set_config\(wanted\.key, wanted\.value, (%s|false)\) FROM json_each_text\(.*|SELECT pg_backend_pid\(\)"
    ),  # the same
    "database/dialects/sqlite.py": re.compile(r"IN \(SELECT wanted\.value FROM json_each\(\{\}\) AS wanted\)|CREATE VIEW"),  # dialect words
    "state/migrations.py": re.compile(r"PRAGMA journal_mode = WAL"),  # must stand outside any transaction
}
DIALECTS = ("sqlite", "postgresql")
OTHERS = {"migrations", "dbt", "."}
"""Folders without named queries: scripts, and what dbt reads."""
FOLDERS = sorted({path.relative_to(ROOT / "sql").parent.parts[0] for path in (ROOT / "sql").rglob("*/*.sql")} - OTHERS)


def looks_like_sql(text: str) -> bool:
    """SQL words in capitals anywhere, or in small letters where a statement begins with them."""
    return bool(SHOUTED.search(text) or SPOKEN.match(text))


@pytest.mark.parametrize(
    "text", ["SELECT 1", "a; DELETE FROM b", "select a\nfrom b", "UPDATE a\nSET b = 1", "CREATE UNIQUE INDEX a", "BEGIN"]
)
def test_statements_are_recognised(text: str) -> None:
    assert looks_like_sql(text)


@pytest.mark.parametrize("text", ["select one of these", "the update has set in", "from here", "Created the table", "beginning", "begin"])
def test_prose_is_not_taken_for_sql(text: str) -> None:
    assert not looks_like_sql(text)


@pytest.mark.parametrize("room", rooms())
def test_no_sql_in_python(room: str) -> None:
    allowed = EXCEPTIONS.get(room)
    wrong = [
        f"rehook_sync/{room}:{line}: {text[:60]!r}"
        for line, text in read_strings(room)
        if looks_like_sql(text) and not (allowed and allowed.fullmatch(text))
    ]
    assert not wrong, "move to sql/:\n" + "\n".join(wrong)


def test_every_sql_file_belongs_to_a_loaded_folder() -> None:
    assert sql_folder() == ROOT / "sql"
    stray = [path.name for path in (ROOT / "sql").glob("*.sql") if path.name != "schema.sql"]
    assert not stray, f"put these into a folder of sql/: {stray}"


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("folder", FOLDERS)
def test_queries_load(folder: str, dialect: str) -> None:
    assert load_queries(folder, dialect)


@pytest.mark.parametrize("dialect", DIALECTS)
def test_migrations_load(dialect: str) -> None:
    migrations = load_migrations(dialect)
    assert migrations
    assert all(split_statements(each.sql) or each.sql.startswith("-- Nothing to do: ") for each in migrations)


def test_migrations_are_the_same_for_both_dialects() -> None:
    sqlite, postgresql = ([(each.version, each.name) for each in load_migrations(dialect)] for dialect in DIALECTS)
    assert sqlite == postgresql
    for step in zip(*(load_migrations(dialect) for dialect in DIALECTS), strict=True):
        assert any(split_statements(each.sql) for each in step), step[0].name
    assert len(list((ROOT / "sql" / "migrations").iterdir())) == 2 * len(sqlite), "a file in sql/migrations has a name that is not loaded"


def test_every_dialect_word_is_explained_and_used() -> None:
    explained = re.findall(r"`\{(\w+)[^`]*\}`", (ROOT / "sql" / "README.md").read_text(encoding="utf-8").partition("### Dialect words")[2])
    used = {word for path in (ROOT / "sql").glob("*/*.sql") for word in re.findall(r"\{(\w+)(?:: |\})", path.read_text(encoding="utf-8"))}
    words = WAREHOUSES["sqlite"].words.keys() | WAREHOUSES["postgresql"].words.keys()
    assert set(explained) == words == used & words


def known_names() -> dict[str, str]:
    """Query name -> folder, over all dialects."""
    return {name: folder for folder in FOLDERS for dialect in (*WAREHOUSES, ANY) for name in load_queries(folder, dialect)}


def test_every_query_is_used() -> None:
    mentioned = {text for room in rooms() for _, text in read_strings(room)}
    for path in (ROOT / "sql").glob("*/*.sql"):
        mentioned |= {
            name
            for line in re.findall(r"^-- fragments: (.+)$", path.read_text(encoding="utf-8"), re.MULTILINE)
            for name in line.split(", ")
        }
    unused = sorted(f"sql/{folder}: {name}" for name, folder in known_names().items() if name not in mentioned)
    assert not unused, f"no room uses these queries: {unused}"


def test_every_query_named_in_python_exists() -> None:
    names = known_names()
    wrong = [f"rehook_sync/{room}:{line}: {name}" for room in rooms() for line, name in query_names(room) if name not in names]
    assert not wrong, "no such query:\n" + "\n".join(wrong)


def test_query_names_are_found_in_the_ways_they_are_written() -> None:
    assert any(name == "create_schema" for _, name in query_names("state/migrations.py")), "fill() on a parameter"
    assert any(name == "acquire_lease" for _, name in query_names("state/ledger.py")), "[] on an attribute"


def query_names(room: str) -> Iterator[tuple[int, str]]:
    """Constant names asked of anything that holds `Statements`: `queries["x"]`, `self._sql["x"]`, `queries.fill("x", ...)`."""
    tree = parse(room)
    holders = set(_holders(tree))
    for node in ast.walk(tree):
        name: ast.expr | None = None
        if isinstance(node, ast.Subscript) and _last_name(node.value) in holders:
            name = node.slice
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "fill" and node.args:
            name = node.args[0] if _last_name(node.func.value) in holders else None
        if isinstance(name, ast.Constant) and isinstance(name.value, str):
            yield name.lineno, name.value


def _holders(tree: ast.Module) -> Iterator[str]:
    makers = {"Statements"} | {
        node.name for node in ast.walk(tree) if isinstance(node, FUNCTIONS) and _last_name(node.returns) == "Statements"
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Call) and _last_name(node.value.func) in makers:
            yield from (_last_name(target) for target in node.targets)
        elif isinstance(node, ast.AnnAssign) and _last_name(node.annotation) == "Statements":
            yield _last_name(node.target)
        elif isinstance(node, ast.arg) and _last_name(node.annotation) == "Statements":
            yield node.arg


def _last_name(node: ast.expr | None) -> str:
    return node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "")
