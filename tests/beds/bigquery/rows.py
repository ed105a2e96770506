"""Rows into tables of BigQuery by statements alone, as anybody may write them there."""

import json
from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from itertools import groupby

from sqlalchemy import Connection

__all__ = ["insert"]

Row = Mapping[str, object]


def insert(connection: Connection, path: str, rows: Iterable[Row]) -> None:
    """Insert rows into a table, those with the same columns by one statement. What is NULL is left out: alone it would be a number."""
    filled = [{name: value for name, value in row.items() if value is not None} for row in rows]
    with connection.exec_driver_sql(f"SELECT * FROM {path} WHERE 1 = 0") as result:
        kinds = {str(column[0]): str(column[1]) for column in result.cursor.description}
    quoted = connection.dialect.identifier_preparer.quote_identifier
    for names, alike in groupby(filled, key=tuple):
        into = ", ".join(map(quoted, names))
        values = (", ".join(f"{_literal(row[name], kinds.get(name, ''))} AS {quoted(name)}" for name in names) for row in alike)
        written = f"INSERT INTO {path} ({into}) SELECT {' UNION ALL SELECT '.join(values)}"
        connection.exec_driver_sql(written.replace("%", "%%"))


def _literal(value: object, kind: str) -> str:
    match value:
        case bool() | int() | float() | Decimal():
            return _number(value, kind)
        case bytes():
            return f"FROM_HEX('{value.hex()}')"
        case datetime() if value.tzinfo is None:
            return f"DATETIME '{value.isoformat(' ')}'"
        case datetime():
            return f"TIMESTAMP '{value.astimezone(UTC).isoformat(' ')}'"
        case date():
            return f"DATE '{value.isoformat()}'"
    text = json.dumps(value, default=str) if isinstance(value, dict | list) else str(value)
    return f"{'JSON ' if kind == 'JSON' else ''}{json.dumps(text, ensure_ascii=False)}"


def _number(value: object, kind: str) -> str:
    if isinstance(value, float):
        return f"CAST('{value}' AS FLOAT64)"
    if isinstance(value, bool) or (isinstance(value, int) and kind != "STRING"):
        return str(value)
    return f"CAST('{Decimal(str(value)):f}' AS {kind if kind in {'STRING', 'BIGNUMERIC'} else 'NUMERIC'})"
