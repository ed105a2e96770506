"""Small Segment-shaped warehouses for tests: `make_warehouse(url, {"identifies": [identify("m1", "ada")], "tracks": []})`.

Rows are dicts. A column's type follows from its first value that is not None; Segment's own columns have theirs, and
`types` says it for the others: `types={"tracks": {"total": "numeric"}}`. SQLite keeps times and JSON as text.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import cache
from typing import Any
from uuid import UUID

import pytest
from beds.bigquery.rows import insert as bigquery_rows
from beds.databricks.rows import insert as databricks_rows
from beds.redshift.rows import insert as redshift_rows
from sqlalchemy import Connection, Engine, NullPool, create_engine, make_url
from sqlalchemy.engine.interfaces import Dialect

from rehook_sync.database.dialects.record import Connecting
from rehook_sync.database.engine import open_database
from rehook_sync.warehouse.segment import SegmentSource, SourceConfig

__all__ = [
    "APART",
    "BEHIND",
    "CLOUDS",
    "MADE",
    "NOON",
    "OPTIONS",
    "WAREHOUSES",
    "OpenSource",
    "Row",
    "Warehouse",
    "add_rows",
    "at",
    "close_engines",
    "engine_to",
    "event",
    "identify",
    "make_warehouse",
    "open_source",
    "run_sql",
    "track",
]

Row = Mapping[str, object]
OpenSource = Callable[..., SegmentSource]
NOON = datetime(2026, 11, 1, 12, tzinfo=UTC)
_STANDARD = {
    **dict.fromkeys(("id", "user_id", "anonymous_id", "event", "event_text"), "text"),
    **dict.fromkeys(("received_at", "sent_at", "timestamp", "original_timestamp", "uuid_ts", "loaded_at"), "timestamptz"),
}
_TYPES: dict[type, str] = {
    bool: "boolean",
    int: "bigint",
    float: "double precision",
    Decimal: "numeric",
    datetime: "timestamptz",
    date: "date",
    dict: "jsonb",
    list: "jsonb",
    UUID: "uuid",
    bytes: "bytea",
}


@dataclass(frozen=True)
class Warehouse:
    """A kind of warehouse. All that tests must know of one stands here, so that a further one takes one entry.

    Shape:  fixture: gives the URL of an empty one.  mark: where a statement has a value.  types: PostgreSQL's name -> its own, if another.
            as_text: types of values that it has no type for.  longest_name: bytes of a table's name at most.
            beyond: source of `sources` -> why it cannot be made in a bed.
            holds_state: whether the sync-state tables may be in it.  insert: writes rows, where one statement for each would take long.
    """

    fixture: str
    mark: str = "%s"
    types: Mapping[str, str] = field(default_factory=dict)
    as_text: tuple[type, ...] = ()
    longest_name: int | None = None
    beyond: Mapping[str, str] = field(default_factory=dict)
    holds_state: bool = True
    insert: Callable[[Connection, str, Iterable[Row]], None] | None = None


WAREHOUSES: Mapping[str, Warehouse] = {
    "sqlite": Warehouse(
        "sqlite_url",
        mark="?",
        types={"timestamptz": "TIMESTAMP", "jsonb": "JSON", "bytea": "BLOB", "bigint": "INTEGER", "uuid": "TEXT"},
        as_text=(Decimal, UUID, date),
    ),
    "postgresql": Warehouse("postgres_url", longest_name=63),
    "duckdb": Warehouse("duckdb_url", mark="?", types={"jsonb": "JSON", "bytea": "BLOB", "numeric": "DECIMAL(38, 9)"}, holds_state=False),
}
_TEXT_TIMES = "times that are texts or numbers are refused in this warehouse"
_NO_TEXT_TIMES = {
    f"with_times_of_{kind}_in_units_of_{unit}": _TEXT_TIMES
    for kind, unit in (("bigint", 1), ("bigint", 1000), ("text", 1000), ("text", 1_000_000))
}
_PLAIN_SQL = (
    "with_a_column_of_another_type_than_before",
    "with_tables_replaced_by_views",
    "views_beside_all_tables",
    "with_views_of_which_one_is_an_events",
)
CLOUDS: Mapping[str, Warehouse] = {
    "redshift": Warehouse(
        "redshift_url",
        types={
            "text": "varchar(65535)",
            "varchar": "varchar(65535)",
            "jsonb": "super",
            "json": "super",
            "bytea": "varbyte",
            "numeric": "numeric(38, 9)",
            "uuid": "varchar(36)",
        },
        as_text=(UUID,),
        longest_name=127,
        holds_state=False,
        insert=redshift_rows,
        beyond={"with_names_cut_by_the_warehouse": "PostgreSQL behind the bed cuts names after 63 bytes", **_NO_TEXT_TIMES},
    ),
    "snowflake": Warehouse(
        "snowflake_url",
        types={
            "text": "varchar",
            "timestamptz": "timestamp_ntz",
            "timestamp": "timestamp_ntz",
            "jsonb": "variant",
            "json": "variant",
            "bytea": "binary",
            "bigint": "number(38, 0)",
            "numeric": "number(38, 9)",
            "double precision": "float",
            "uuid": "varchar",
        },
        as_text=(UUID,),
        longest_name=255,
        holds_state=False,
        beyond={
            "with_names_that_are_no_names": "fakesnow cannot make a table with such names",
            **_NO_TEXT_TIMES,
            **dict.fromkeys(_PLAIN_SQL, "its SQL names tables without quotes, which fakesnow then keeps in capitals"),
        },
    ),
}
"""Warehouses that are only read, and have beds."""
APART: Mapping[str, Warehouse] = {
    "databricks": Warehouse(
        "databricks_url",
        mark="?",
        types={
            "text": "string",
            "timestamptz": "timestamp",
            "timestamp": "timestamp_ntz",
            "jsonb": "variant",
            "json": "variant",
            "bytea": "binary",
            "numeric": "decimal(38, 9)",
            "double precision": "double",
            "uuid": "string",
        },
        longest_name=255,
        holds_state=False,
        insert=databricks_rows,
        beyond={"with_names_that_are_no_names": "its catalogs allow no tables with such names"},
    ),
    "bigquery": Warehouse(
        "bigquery_url",
        types={
            "text": "STRING",
            "varchar": "STRING",
            "uuid": "STRING",
            "integer": "INT64",
            "bigint": "INT64",
            "boolean": "BOOL",
            "double precision": "FLOAT64",
            "jsonb": "JSON",
            "json": "JSON",
            "bytea": "BYTES",
            "timestamptz": "TIMESTAMP",
            "timestamp": "DATETIME",
        },
        holds_state=False,
        insert=bigquery_rows,
        beyond={"with_names_that_are_no_names": "BigQuery allows no such names"},
    ),
}
"""Those whose beds need an environment of their own, where their own tests take them."""
_KINDS = {**WAREHOUSES, **CLOUDS, **APART}
OPTIONS: dict[str, Mapping[str, object]] = {}
"""URL of a stand-in -> what its driver needs beside it."""
_PLAIN: Mapping[str, Mapping[str, object]] = {
    "bigquery": {"prefer_bqstorage_client": False},
    "databricks": {"enable_telemetry": False, "use_cloud_fetch": False},
}
"""Dialect -> what its driver needs in order to do nothing of its own."""
BEHIND: dict[str, str] = {}
"""URL of a stand-in -> URL under which tests prepare what it shows, and look at it."""
MADE: dict[str, Engine] = {}
"""URL -> an engine that is used as it is, to prepare and to look with."""
_POOLED: list[Engine] = []
_COMMON = ("id", "user_id", "anonymous_id", "received_at", "timestamp")


@pytest.fixture
def open_source() -> Iterator[OpenSource]:
    """Opens a source over a URL, with the fields of SourceConfig; in the end all its connections must be back."""
    opened = []

    def source(url: str, **config: str | None) -> SegmentSource:
        database = open_database(url, "WAREHOUSE_URL", read_only=True, connecting=Connecting(OPTIONS.get(url, {})))
        opened.append(database)
        return SegmentSource(database, SourceConfig(**config))  # type: ignore[arg-type]

    yield source
    for each in opened:
        assert isinstance(each.engine.pool, NullPool) or each.engine.pool.checkedout() == 0, "a connection was not given back"  # type: ignore[attr-defined]
        each.close()


def at(seconds: float = 0) -> datetime:
    """A time so many seconds after noon."""
    return NOON + timedelta(seconds=seconds)


def identify(message_id: object, user_id: object, /, when: object = NOON, **traits: object) -> Row:
    """An Identify call; traits may replace the common columns, too."""
    return {"id": message_id, "user_id": user_id, "anonymous_id": None, "received_at": when, "timestamp": when, **traits}


def track(message_id: object, user_id: object, /, name: str = "Order Completed", when: object = NOON, **columns: object) -> Row:
    """A Track call as `tracks` holds it; the slug follows from the name."""
    slug = name.lower().replace(" ", "_")
    return {**identify(message_id, user_id, when), "event": slug, "event_text": name, **columns}


def event(message_id: object, /, when: object = NOON, **properties: object) -> Row:
    """The same call as the table of its event holds it."""
    return {"id": message_id, "received_at": when, **properties}


def make_warehouse(
    url: str,
    tables: Mapping[str, Sequence[Row]],
    schema: str | None = None,
    types: Mapping[str, Mapping[str, str | None]] | None = None,
) -> None:
    """Create the tables with their rows; a type of None leaves a column out."""
    with _transaction(url) as connection:
        if schema is not None:
            connection.exec_driver_sql(_escaped(connection.dialect, f"CREATE SCHEMA IF NOT EXISTS {_quoted(connection.dialect, schema)}"))
        for name, rows in tables.items():
            columns = _columns(name, rows, (types or {}).get(name, {}))
            known = _KINDS[connection.dialect.name].types
            declared = ", ".join(f"{_quoted(connection.dialect, each)} {known.get(kind, kind)}" for each, kind in columns.items())
            connection.exec_driver_sql(_escaped(connection.dialect, f"CREATE TABLE {_path(connection.dialect, schema, name)} ({declared})"))
            _insert(connection, _path(connection.dialect, schema, name), rows)


def add_rows(url: str, table: str, rows: Sequence[Row], schema: str | None = None) -> None:
    """Add rows to a table that is there."""
    with _transaction(url) as connection:
        _insert(connection, _path(connection.dialect, schema, table), rows)


def run_sql(url: str, *statements: str) -> list[Any]:
    """Run statements as they are; give the rows of the last one."""
    rows: list[Any] = []
    with _transaction(url) as connection:
        for statement in statements:
            result = connection.exec_driver_sql(statement)
            rows = [tuple(row) for row in result] if result.returns_rows else []
    return rows


@contextmanager
def _transaction(url: str) -> Iterator[Connection]:
    with engine_to(url).begin() as connection:
        yield connection


@cache
def engine_to(url: str) -> Engine:
    """An engine to prepare and to look with; `close_engines` ends it.

    That of a PostgreSQL keeps its connection: for a new one the server does as much as for a hundred statements.
    """
    if url in MADE:
        return MADE[url]
    url = BEHIND.get(url, url)
    parsed = make_url(url)
    if parsed.get_backend_name() != "postgresql":
        plain = _PLAIN.get(parsed.get_backend_name(), {})
        return create_engine(url, poolclass=NullPool, connect_args={**plain, **OPTIONS.get(url, {})})
    # A statement that was prepared fails once its table is altered.
    options = {"prepare_threshold": None} if parsed.get_driver_name() == "psycopg" else {}
    engine = create_engine(url, pool_size=1, max_overflow=-1, pool_pre_ping=True, connect_args=options)
    _POOLED.append(engine)
    return engine


def close_engines() -> None:
    """Close the connections that are kept."""
    while _POOLED:
        _POOLED.pop().dispose()
    engine_to.cache_clear()


def _columns(table: str, rows: Iterable[Row], types: Mapping[str, str | None]) -> dict[str, str]:
    columns: dict[str, str] = {}
    if table in {"identifies", "tracks"}:
        columns = {name: _STANDARD[name] for name in (*_COMMON, *(("event", "event_text") if table == "tracks" else ()))}
    for row in rows:
        for name, value in row.items():
            if name in _STANDARD:
                columns.setdefault(name, _STANDARD[name])
            elif value is not None:
                columns.setdefault(name, _TYPES.get(type(value), "text"))
    for name in [name for row in rows for name in row]:
        columns.setdefault(name, "text")
    for name, kind in types.items():
        if kind is None:
            columns.pop(name, None)
        else:
            columns[name] = kind
    return columns


def _insert(connection: Connection, path: str, rows: Iterable[Row]) -> None:
    dialect = connection.dialect
    if (insert := _KINDS[dialect.name].insert) is not None:
        insert(connection, path, rows)
        return
    mark = _KINDS[dialect.name].mark
    for row in rows:
        into = _escaped(dialect, f"{path} ({', '.join(_quoted(dialect, name) for name in row)})")
        values = tuple(_stored(value, dialect) for value in row.values())
        connection.exec_driver_sql(f"INSERT INTO {into} VALUES ({', '.join([mark] * len(row))})", values)


def _stored(value: object, dialect: Dialect) -> object:
    """What the driver can store."""
    if isinstance(value, dict | list):
        return json.dumps(value, default=str)
    if not isinstance(value, _KINDS[dialect.name].as_text):
        return value
    return value.isoformat(timespec="microseconds").replace("+00:00", "Z") if isinstance(value, datetime) else str(value)


def _escaped(dialect: Dialect, sql: str) -> str:
    return sql.replace("%", "%%") if _KINDS[dialect.name].mark.startswith("%") else sql


def _path(dialect: Dialect, schema: str | None, table: str) -> str:
    return ".".join(_quoted(dialect, part) for part in (schema, table) if part is not None)


def _quoted(dialect: Dialect, name: str) -> str:
    quoted = dialect.identifier_preparer.quote_identifier(name)
    return quoted if quoted.count("%") == name.count("%") else quoted.replace("%%", "%")
