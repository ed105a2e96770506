"""The data dictionary of sql/README.md is held against migrated databases."""

import re
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing

import pytest
from sqlalchemy import inspect, text

from rehook_sync.database.engine import Database, open_database
from rehook_sync.models import STREAMS, Reason, RunStatus, Status, Trigger
from rehook_sync.state.migrations import upgrade

from .dictionary import DOCS_BLOCKS, Column, comment_statement, comments, docs_blocks, read_dictionary, read_section

DICTIONARY = read_dictionary()
SCHEMA = "rehook_sync"
TYPES: Mapping[str, Mapping[str, set[str]]] = {
    "postgresql": {"text": {"TEXT"}, "integer": {"BIGINT", "INTEGER"}, "time": {"TIMESTAMP"}, "date": {"DATE"}, "number": {"DOUBLE"}},
    "sqlite": {"text": {"TEXT"}, "integer": {"INTEGER"}, "number": {"REAL"}, "time": {"TEXT"}, "date": {"TEXT"}},
}
UNITS = {"UTC", "s", "calls", "parts", "periods", "runs", "steps", "takings", "HTTP requests", "HTTP status"}
COMPUTED = {"", "NUMERIC", "NULL", "NULLTYPE"}
"""What SQLite says of a view's column that is no plain column."""


def documented(kind: str) -> dict[str, Sequence[Column]]:
    """Name -> columns of everything the dictionary calls a table or a view."""
    return {name: item.columns for name, item in DICTIONARY.items() if item.kind == kind}


def first_cells(title: str) -> list[str]:
    """What the rows of a section are about."""
    return [next(iter(row.values())).strip("`") for row in read_section(title)[1]]


@pytest.fixture
def migrated(database_url: str) -> Database:
    database = open_database(database_url, "STATE_URL", search_path=SCHEMA)
    upgrade(database, None if database.dialect == "sqlite" else SCHEMA)
    return database


def schema_of(database: Database) -> str | None:
    return None if database.dialect == "sqlite" else SCHEMA


def test_dictionary_lists_the_tables_and_views_that_exist(migrated: Database) -> None:
    with closing(migrated):
        found = inspect(migrated.engine)
        assert sorted(documented("Table")) == sorted(found.get_table_names(schema=schema_of(migrated)))
        assert sorted(documented("View")) == sorted(found.get_view_names(schema=schema_of(migrated)))


def test_dictionary_has_every_column_in_its_order_with_its_type(migrated: Database) -> None:
    with closing(migrated):
        kinds = TYPES[migrated.dialect]
        inspector = inspect(migrated.engine)
        for name, columns in {**documented("Table"), **documented("View")}.items():
            actual = inspector.get_columns(name, schema=schema_of(migrated))
            assert [column.name for column in columns] == [each["name"] for each in actual], name
            for column, each in zip(columns, actual, strict=True):
                found = str(each["type"]).partition("(")[0].partition(" ")[0]
                known = kinds[column.kind] | (COMPUTED if migrated.dialect == "sqlite" and name.startswith("v1_") else set())
                assert found in known, f"{name}.{column.name}: {found}"


def test_dictionary_says_which_columns_may_be_null(migrated: Database) -> None:
    with closing(migrated):
        inspector = inspect(migrated.engine)
        for name, columns in documented("Table").items():
            keys = set(inspector.get_pk_constraint(name, schema=schema_of(migrated))["constrained_columns"])
            actual = {
                each["name"]: each["nullable"] and each["name"] not in keys
                for each in inspector.get_columns(name, schema=schema_of(migrated))
            }
            assert {column.name: column.may_be_null for column in columns} == actual, name


def test_times_of_postgresql_have_a_zone(postgres_url: str) -> None:
    database = open_database(postgres_url, "STATE_URL", search_path=SCHEMA)
    with closing(database):
        upgrade(database, SCHEMA)
        with database.connect() as connection:
            statement = text(
                "SELECT table_name || '.' || column_name FROM information_schema.columns "
                "WHERE table_schema = :s AND data_type = 'timestamp without time zone'"
            )
            assert connection.execute(statement, {"s": SCHEMA}).scalars().all() == []


def test_every_line_says_something() -> None:
    columns = [column for item in DICTIONARY.values() for column in item.columns]
    assert [column for column in columns if not column.holds] == []
    assert {column.unit for column in columns} - {""} == UNITS
    assert [column for column in columns if column.kind != "text" and not column.unit] == []


def test_every_table_says_who_writes_it_and_when_each_column_changes() -> None:
    assert [name for name, item in DICTIONARY.items() if item.kind == "Table" and not re.search(r"\. Written by .*`\w+`", item.about)] == []
    assert [(name, column.name) for name, columns in documented("Table").items() for column in columns if not column.changes] == []


def test_comments_of_postgresql_are_those_of_the_dictionary(postgres_url: str) -> None:
    database = open_database(postgres_url, "STATE_URL", search_path=SCHEMA)
    statement = text(
        "SELECT CASE WHEN c.relkind = 'r' THEN 'TABLE ' ELSE 'VIEW ' END || c.relname, obj_description(c.oid, 'pg_class')"
        " FROM pg_class AS c WHERE c.relnamespace = to_regnamespace(:s) AND c.relkind IN ('r', 'v')"
        " UNION ALL SELECT 'COLUMN ' || c.relname || '.' || a.attname, col_description(c.oid, a.attnum)"
        " FROM pg_class AS c JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0"
        " WHERE c.relnamespace = to_regnamespace(:s) AND c.relkind IN ('r', 'v')"
    )
    with closing(database):
        upgrade(database, SCHEMA)
        with database.connect() as connection:
            found = {str(row[0]): row[1] for row in connection.execute(statement, {"s": SCHEMA})}
    wanted = dict(comment for item in DICTIONARY.values() for comment in comments(item))
    missing = [comment_statement(thing, each) for thing, each in wanted.items() if found.get(thing) != each]
    assert not missing, "a new step in sql/migrations must say:\n" + "\n".join(missing)
    assert found.keys() == wanted.keys()


def test_docs_blocks_of_the_dbt_package_are_those_of_the_dictionary() -> None:
    assert DOCS_BLOCKS.read_text(encoding="utf-8") == docs_blocks(), "run: python tests/house/dictionary.py"


def test_statuses_and_reasons_are_all_there() -> None:
    assert first_cells("Statuses") == list(Status)
    reasons = {row["reason"].strip("`"): row["status"] for row in read_section("Reasons")[1]}
    assert list(reasons) == list(Reason)
    assert {text for statuses in reasons.values() for text in re.findall(r"`(\w+)`", statuses)} <= set(Status)


@pytest.mark.parametrize(
    ("table", "column", "values"),
    [
        ("sync_runs", "trigger", Trigger),
        ("sync_runs", "status", RunStatus),
        ("sync_state", "stream", STREAMS),
        ("sync_watermarks", "stream", STREAMS),
    ],
)
def test_values_of_a_column_are_all_there(table: str, column: str, values: Iterable[str]) -> None:
    (holds,) = [each.holds for each in documented("Table")[table] if each.name == column]
    assert set(re.findall(r"`(\w+)`", holds)) == set(values)
