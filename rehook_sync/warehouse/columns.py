"""The columns of tables: by one statement for all where the warehouse has one, and their names as Segment writes them."""

from collections.abc import Collection, Iterable, Mapping, Sequence

from sqlalchemy import Connection

from rehook_sync.database.dialects.record import Warehouse
from rehook_sync.database.queries import Identifier, Query, load_queries
from rehook_sync.errors import SourceError
from rehook_sync.warehouse.layout import Table
from rehook_sync.warehouse.names import SYSTEM_COLUMNS

__all__ = ["altered", "column_keys", "holders", "list_columns", "list_partitions", "refuse_columns", "split_schema"]

_OWN_PREFIX = "rehook_sync__"
"""Begins the names of the columns that our statements compute."""
_ROOM_FOR_OWN = 10


def split_schema(schema: str | None, warehouse: Warehouse) -> tuple[str | None, str | None]:
    """Return the catalog and the schema in `catalog.schema`, where names have three levels."""
    catalog, dot, rest = (schema or "").partition(".")
    return (catalog, rest) if dot and warehouse.name_levels == 3 else (None, schema)


def altered(connection: Connection, warehouse: Warehouse, tables: Sequence[Table]) -> list[str]:
    """Return the names of tables that have other columns by now, or are gone."""
    if not tables:
        return []
    found: Mapping[str, Collection[str]] | None
    found = list_columns(connection, warehouse, (tables[0].catalog, tables[0].schema), [table.name for table in tables])
    if found is None:
        asked = {}
        for table in tables:
            statement = load_queries("warehouse", warehouse.name)["probe_table"].text(connection.dialect, table=table.path)
            with connection.execute(statement) as result:
                asked[table.name] = {column[0] for column in result.cursor.description}
        found = asked
    return [table.name for table in tables if set(found.get(table.name, ())) != set(table.columns.values())]


def list_columns(
    connection: Connection, warehouse: Warehouse, holder: tuple[str | None, str | None], names: Sequence[str]
) -> dict[str, dict[str, str]] | None:
    """Return table -> column -> type by one statement, None where the warehouse has no such statement.

    Shape:  holder: catalog and schema.  The type is empty where it is not listed.
    """
    query = load_queries("warehouse", warehouse.name).get("list_columns")
    if query is None:
        return None
    found: dict[str, dict[str, str]] = {}
    catalog, schema = holder
    statement = query.text(connection.dialect, **holders(query, catalog, schema))
    values = {"catalog": catalog, "schema": schema, "tables": warehouse.bind_ids(names)}
    for name, column, *declared in connection.execute(statement, values) if names else ():
        found.setdefault(str(name), {})[str(column)] = str(declared[0]) if declared else ""
    return found


def list_partitions(connection: Connection, warehouse: Warehouse, holder: tuple[str | None, str | None]) -> dict[str, str]:
    """Return table -> the column by which it is partitioned; nothing where the warehouse has no such statement."""
    query = load_queries("warehouse", warehouse.name).get("list_partitions")
    if query is None:
        return {}
    statement = query.text(connection.dialect, **holders(query, *holder))
    return {str(name): str(column) for name, column in connection.execute(statement)}


def holders(query: Query, catalog: str | None, schema: str | None) -> dict[str, Identifier]:
    """Return the identifiers of a statement over a catalog or schema that it names, as some warehouses want it."""
    known: dict[str, Identifier] = {
        "catalog": catalog or "",
        "schema": schema or "",
        "holder": [each for each in (catalog, schema) if each],
        "lists": [each for each in (catalog, "information_schema") if each],
    }
    return {each: known[each] for each in query.identifiers}


def column_keys(names: Iterable[str]) -> dict[str, str]:
    """Return name -> name as Segment writes it; some warehouses store all names in upper case."""
    names = list(names)
    folded = "id" not in names and "ID" in names
    return {
        name: name.lower() if name.lower() not in names and ((folded and name.isupper()) or name.lower() in SYSTEM_COLUMNS) else name
        for name in names
    }


def refuse_columns(table: str, columns: Sequence[str], most: int | None) -> None:
    """Raise SourceError for columns beside which our statements have no room for their own."""
    ours = [name for name in columns if name.casefold().startswith(_OWN_PREFIX)]
    if ours:
        message = f"table {table!r} has a column {ours[0]!r}, and names that begin with {_OWN_PREFIX} belong to this program"
        raise SourceError(f"{message}: rename it, or read a view without it")
    if most is not None and len(columns) > most - _ROOM_FOR_OWN:
        message = f"table {table!r} has {len(columns)} columns, and at most {most - _ROOM_FOR_OWN} can be read from this database"
        raise SourceError(f"{message}: read a view with fewer")
