"""Sync-state tables as an earlier version left them."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from sqlalchemy import Connection, text
from warehouse import Row

from rehook_sync.database.queries import load_migrations, split_statements

__all__ = ["make_tables_of", "read_kept", "write_rows"]


def make_tables_of(connection: Connection, version: int) -> None:
    """Create the tables of a version, empty, by the steps that it was made of."""
    connection.execute(text("CREATE TABLE sync_migrations (version integer PRIMARY KEY, name text NOT NULL, applied_at text NOT NULL)"))
    for step in load_migrations(connection.dialect.name)[:version]:
        for statement in split_statements(step.sql):
            connection.exec_driver_sql(statement)
        row = {"version": step.version, "name": step.name}
        connection.execute(text("INSERT INTO sync_migrations VALUES (:version, :name, 'long ago')"), row)


def write_rows(connection: Connection, table: str, rows: Sequence[Row]) -> None:
    """Write rows as they are into a table."""
    for row in rows:
        columns = f"{', '.join(row)}) VALUES ({', '.join(f':{name}' for name in row)}"
        connection.execute(text(f"INSERT INTO {table} ({columns})"), dict(row))


def read_kept(path: Path) -> Mapping[str, Sequence[Row]]:
    """Read tables that a test keeps in a file: table -> its rows."""
    tables = json.loads(path.read_text(encoding="utf-8"))
    return {name: [dict(zip(kept["columns"], row, strict=True)) for row in kept["rows"]] for name, kept in tables.items()}
