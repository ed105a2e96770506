"""Segment-shaped tables in a BigQuery project, from the rows that the tests of all warehouses are written with."""

import json
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from beds.bigquery.project import Project, Table
from warehouse import Row

__all__ = ["DATASET", "add_rows", "make_tables", "run_sql"]

DATASET = "shop"
_STAMPS = ("received_at", "sent_at", "timestamp", "original_timestamp", "uuid_ts", "loaded_at")
_STANDARD = {
    **dict.fromkeys(("id", "user_id", "anonymous_id", "event", "event_text"), "STRING"),
    **dict.fromkeys(_STAMPS, "TIMESTAMP"),
}
_TYPES: Mapping[type, str] = {
    bool: "BOOL",
    int: "INT64",
    float: "FLOAT64",
    Decimal: "NUMERIC",
    datetime: "TIMESTAMP",
    date: "DATE",
    dict: "JSON",
    list: "JSON",
    bytes: "BYTES",
}
_NAMED = {
    "text": "STRING",
    "varchar": "STRING",
    "uuid": "STRING",
    "integer": "INT64",
    "bigint": "INT64",
    "boolean": "BOOL",
    "numeric": "NUMERIC",
    "double precision": "FLOAT64",
    "json": "JSON",
    "jsonb": "JSON",
    "timestamptz": "TIMESTAMP",
    "timestamp": "DATETIME",
    "date": "DATE",
}
_COMMON = ("id", "user_id", "anonymous_id", "received_at", "timestamp")


def make_tables(
    project: Project,
    tables: Mapping[str, Sequence[Row]],
    types: Mapping[str, Mapping[str, str | None]] | None = None,
    *,
    dataset: str = DATASET,
    partitioned_by: str | None = None,
) -> None:
    """Create the tables with their rows. `types`: of columns, by PostgreSQL's or BigQuery's names; None leaves one out."""
    for name, rows in tables.items():
        columns = _columns(name, rows, (types or {}).get(name, {}))
        project.datasets.setdefault(dataset, {})[name] = Table(columns, partitioned_by=partitioned_by)
        add_rows(project, name, rows, dataset=dataset)


def add_rows(project: Project, name: str, rows: Sequence[Row], *, dataset: str = DATASET) -> None:
    """Add rows to a table that is there. What its partition column has is named like it."""
    table = project.datasets[dataset][name]
    columns = {**table.columns, **table.pseudo}
    table.rows += [tuple(_stored(row.get(column), kind) for column, kind in columns.items()) for row in rows]


def run_sql(project: Project, *statements: str) -> None:
    """Run statements that are written for all warehouses."""
    for each in statements:
        project.run(each.replace(" text", " STRING"), dataset=DATASET)


def _columns(table: str, rows: Sequence[Row], types: Mapping[str, str | None]) -> dict[str, str]:
    columns: dict[str, str] = {}
    if table in {"identifies", "tracks"}:
        columns = {name: _STANDARD[name] for name in (*_COMMON, *(("event", "event_text") if table == "tracks" else ()))}
    for row in rows:
        for name, value in row.items():
            if name in _STANDARD:
                columns.setdefault(name, _STANDARD[name])
            elif value is not None:
                columns.setdefault(name, _TYPES.get(type(value), "STRING"))
    for name in [name for row in rows for name in row if name != "_PARTITIONTIME"]:
        columns.setdefault(name, "STRING")
    for name, kind in types.items():
        if kind is None:
            columns.pop(name, None)
        else:
            columns[name] = _NAMED.get(kind.lower(), kind)
    return columns


def _stored(value: object, kind: str) -> Any:
    if isinstance(value, dict | list) and kind in {"JSON", "STRING"}:
        return json.dumps(value, default=str)
    return str(value) if isinstance(value, UUID) or (kind == "STRING" and value is not None) else value
