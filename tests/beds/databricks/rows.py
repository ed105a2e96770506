"""Rows into tables of the bed, many by one statement: each takes Spark half a second."""

import json
from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from itertools import groupby

from sqlalchemy import Connection

__all__ = ["insert"]

Row = Mapping[str, object]
_NESTED = (dict, list)


def insert(connection: Connection, path: str, rows: Iterable[Row]) -> None:
    """Insert rows into a table."""
    rows = list(rows)
    kinds: Mapping[str, str] = {}
    if any(_may_be_json(value) for row in rows for value in row.values()):
        with connection.exec_driver_sql(f"SELECT * FROM {path} WHERE 1 = 0") as result:
            kinds = {str(column[0]): str(column[1]) for column in result.cursor.description}
    quoted = connection.dialect.identifier_preparer.quote_identifier
    for names, alike in groupby(rows, key=_names):
        listed = ", ".join(f"({_literals(row, kinds)})" for row in alike)
        connection.exec_driver_sql(f"INSERT INTO {path} ({', '.join(map(quoted, names))}) VALUES {listed}")


def _may_be_json(value: object) -> bool:
    return isinstance(value, _NESTED) or (isinstance(value, str) and value.startswith(("{", "[", '"')))


def _names(row: Row) -> tuple[str, ...]:
    return tuple(row)


def _literals(row: Row, kinds: Mapping[str, str]) -> str:
    return ", ".join(_literal(value, kinds.get(name, "")) for name, value in row.items())


def _literal(value: object, kind: str) -> str:
    written = "NULL"
    match value:
        case None:
            pass
        case bool():
            written = str(value)
        case int() | Decimal():
            written = f"{Decimal(value):f}BD"
        case float():
            written = f"DOUBLE('{value}')"
        case bytes():
            written = f"X'{value.hex()}'"
        case datetime() if value.tzinfo is None:
            written = f"TIMESTAMP_NTZ'{value.isoformat(' ')}'"
        case datetime():
            written = f"TIMESTAMP'{value.astimezone(UTC).replace(tzinfo=None).isoformat(' ')}Z'"
        case date():
            written = f"DATE'{value.isoformat()}'"
        case dict() | list():
            written = _text(json.dumps(value, default=str))
        case _:
            written = _text(str(value))
    return f"PARSE_JSON({written})" if kind == "variant" else written


def _text(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"
