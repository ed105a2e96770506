"""Rows into tables of Redshift by its own driver: what a SUPER holds is parsed there."""

import json
from collections.abc import Iterable, Mapping

from sqlalchemy import Connection

__all__ = ["insert"]

Row = Mapping[str, object]
_SUPER = 4000
"""The driver's number of the type."""


def insert(connection: Connection, path: str, rows: Iterable[Row]) -> None:
    """Insert rows into a table."""
    quote = connection.dialect.identifier_preparer.quote_identifier
    with connection.exec_driver_sql(f"SELECT * FROM {path} WHERE 1 = 0") as result:
        parsed = {str(column[0]) for column in result.cursor.description if column[1] == _SUPER}
    for row in rows:
        names = ", ".join(quote(name) for name in row)  # which doubles percent signs
        marks = ", ".join("JSON_PARSE(%s)" if name in parsed else "%s" for name in row)
        values = tuple(_stored(value) for value in row.values())
        connection.exec_driver_sql(f"INSERT INTO {path} ({names}) VALUES ({marks})", values)


def _stored(value: object) -> object:
    return json.dumps(value, default=str) if isinstance(value, dict | list) else value
