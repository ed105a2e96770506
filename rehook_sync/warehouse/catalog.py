"""What a warehouse holds: tables, columns and their types, by SELECT and cursor metadata alone."""

from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import Any

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from rehook_sync.database.queries import load_queries
from rehook_sync.errors import SourceError
from rehook_sync.warehouse.columns import SYSTEM_COLUMNS
from rehook_sync.warehouse.layout import Kind, Table, find_name, similar

__all__ = ["Catalog"]

_POSTGRESQL_KINDS = {
    **dict.fromkeys((25, 1043), Kind.TEXT),
    **dict.fromkeys((1042, 1014), Kind.PADDED),
    2950: Kind.UUID,
    **dict.fromkeys((1082, 1114, 1184), Kind.TIME),
    **dict.fromkeys((20, 21, 23), Kind.NUMBER),
    **dict.fromkeys((700, 701, 1700), Kind.DECIMAL),
    **dict.fromkeys((114, 3802), Kind.JSON),
    16: Kind.BOOLEAN,
}
"""By type oid; the oids are the same in every PostgreSQL and in Redshift."""
_SQLITE_KINDS = {
    "BOOL": Kind.BOOLEAN,
    "TIMESTAMP": Kind.TIME,
    "DATETIME": Kind.TIME,
    "JSON": Kind.JSON,
    "BLOB": Kind.UNTYPED,
    "CHAR": Kind.TEXT,
    "TEXT": Kind.TEXT,
    "INT": Kind.NUMBER,
    "NUMERIC": Kind.NUMBER,
    "REAL": Kind.DECIMAL,
    "FLOA": Kind.DECIMAL,
    "DOUB": Kind.DECIMAL,
}
"""By a text within the declared type; the first that is found decides."""


class Catalog:
    """The tables of one schema, read over one connection. `schema` is its name in the warehouse, None when unknown."""

    def __init__(self, connection: Connection, dialect: str, schema: str | None, expected: Sequence[str]) -> None:
        """Read the names of the tables.

        Shape:  expected: names of the tables, used if the warehouse cannot list them.
        Raises: SourceError when there is no such schema, or none of its tables is visible to this user.
        """
        self._connection = connection
        self._dialect = dialect
        self._queries = load_queries("warehouse", dialect)
        self.warnings: list[str] = []
        self.schema, self.tables = self._list_tables(schema, expected)

    def require(self, wanted: str, setting: str) -> Table:
        """Return the table that a setting names. Raises SourceError when it is missing."""
        name = find_name(self.tables, wanted)
        if name is not None:
            return self.probe(name)
        elsewhere = [schema for schema, holds_it in self._schemas(wanted).items() if holds_it and schema != self.schema]
        ending = f"WAREHOUSE_SCHEMA could be {' or '.join(map(repr, elsewhere[:3]))}" if elsewhere else similar(self.tables, wanted)
        raise SourceError(f"there is no table {wanted!r} in schema {self.schema!r} that this user may see (set {setting}); {ending}")

    def probe(self, name: str) -> Table:
        """Return a table with its columns."""
        path = (name,) if self.schema is None else (self.schema, name)
        with self._connection.execute(self._queries["probe_table"].text(self._connection.dialect, table=path)) as result:
            described: dict[str, Any] = {column[0]: column[1] for column in result.cursor.description}
        names = list(described)
        keys = _keys(names)
        if self._dialect == "sqlite":
            statement = self._queries["read_declared_types"].text(self._connection.dialect)
            kinds = {str(each): _sqlite_kind(str(declared)) for each, declared in self._connection.execute(statement, {"table": name})}
        elif self._dialect == "postgresql":
            kinds = {each: self._postgresql_kind(oid) for each, oid in described.items()}
        else:
            kinds = {}
        return Table(
            schema=self.schema,
            name=name,
            columns={keys[each]: each for each in names},
            kinds={keys[each]: kinds.get(each, Kind.OTHER) for each in names},
        )

    def _postgresql_kind(self, oid: int) -> Kind:
        kind = _POSTGRESQL_KINDS.get(oid, Kind.OTHER)
        return Kind.ARRAY if kind is Kind.OTHER and oid in self._array_types else kind

    @cached_property
    def _array_types(self) -> frozenset[int]:
        """The arrays of PostgreSQL; one query, for a schema that has columns of rare types."""
        statement = self._queries["list_array_types"].text(self._connection.dialect)
        return frozenset(int(oid) for (oid,) in self._connection.execute(statement))

    def probe_events(self, names: Iterable[str]) -> dict[str, Table]:
        """Return name -> table, for tables that can be read and have an `id`. One that cannot be read gives a warning."""
        found = {}
        for name in names:
            try:
                table = self.probe(name)
            except DBAPIError as error:
                if error.connection_invalidated:
                    raise
                self._connection.rollback()
                self.warnings.append(
                    f"table {name!r} cannot be read; should it belong to an event, MISSING_PROPERTIES says what becomes of that"
                )
                continue
            if table.has("id"):
                found[name] = table
        return found

    def read_event_names(self, tracks: Table, columns: Sequence[str]) -> set[str]:
        """Return every name that calls have in the first of these columns that is not NULL. Scans the table."""
        names = [("t", tracks.columns[each]) for each in columns if tracks.has(each)]
        if not names:
            return set()
        statement = self._queries["read_event_names"].text(self._connection.dialect, names=names, table=tracks.path)
        found = (next((name for name in row if name is not None), None) for row in self._connection.execute(statement))
        return {str(name) for name in found if name is not None}

    def _list_tables(self, schema: str | None, expected: Sequence[str]) -> tuple[str | None, Sequence[str]]:
        statement = self._queries["list_tables"].text(self._connection.dialect)
        found: dict[str, list[str]] = {}
        try:
            for holder, name in self._connection.execute(statement, {"schema": schema}):
                found.setdefault(str(holder), []).append(str(name))
        except DBAPIError as error:
            if error.connection_invalidated or self._dialect in {"sqlite", "postgresql"}:
                raise
            self._connection.rollback()
            self.warnings.append(
                "this warehouse has no information_schema.tables, so event tables cannot be found: use TRACK_PROPERTIES columns or json"
            )
            return schema, expected
        if not found:
            where = "the default schema" if schema is None else f"schema {schema!r}"
            message = f"{where} has no tables, or none that this user may see (set WAREHOUSE_SCHEMA)"
            raise SourceError(f"{message}; {similar(self._schemas(''), schema or '')}")
        actual = (schema and find_name(found, schema)) or next(iter(found))
        return actual, found[actual]

    def _schemas(self, table: str) -> dict[str, bool]:
        statement = self._queries["list_schemas"].text(self._connection.dialect)
        values = {"table": table} if "table" in statement.compile().params else {}
        return {str(schema): bool(holds_it) for schema, holds_it in self._connection.execute(statement, values)}


def _keys(names: Iterable[str]) -> dict[str, str]:
    """Return name -> name as Segment writes it; some warehouses store all names in upper case."""
    names = list(names)
    folded = "id" not in names and "ID" in names
    return {
        name: name.lower() if name.lower() not in names and ((folded and name.isupper()) or name.lower() in SYSTEM_COLUMNS) else name
        for name in names
    }


def _sqlite_kind(declared: str) -> Kind:
    declared = declared.upper()
    if not declared:
        return Kind.UNTYPED
    return next((kind for name, kind in _SQLITE_KINDS.items() if name in declared), Kind.OTHER)
