"""The statements on a copy, with the names that its tables have in their database."""

from typing import Any

from sqlalchemy import Connection, Row, TextClause
from sqlalchemy.exc import DBAPIError

from rehook_sync.database.dialects.record import Warehouse
from rehook_sync.database.engine import Database
from rehook_sync.database.queries import Identifier, Statements
from rehook_sync.errors import SettingsError
from rehook_sync.publish.tables import PUBLISHED, VIEWS, Copied

__all__ = ["PUBLISH_SCHEMA", "CopyStatements"]

PUBLISH_SCHEMA = "REHOOK_SYNC_PUBLISH_SCHEMA"

_STAGED = "sync_staged"
"""The table of the session in which rows are put beside those of the copy."""


class CopyStatements:
    """The statements of `sql/publish` for one schema of one database."""

    def __init__(self, database: Database, schema: str) -> None:
        """Load them. `look_around` is called before any is asked for. Raises SettingsError for a name that leads nowhere."""
        warehouse = database.warehouse
        self._own = warehouse.own_name
        self._lacks = warehouse.lacks_schema
        self._sql = Statements("publish", database.engine.dialect)
        catalog, own = _split(schema, warehouse)
        self.schema = self._own(own)
        self._named = None if catalog is None else self._own(catalog)
        in_url = warehouse.copy_catalog(database.engine.url)
        self._must_be_there = in_url is not None
        self._catalog = self._named or in_url

    @property
    def name(self) -> str:
        """Return the schema, as far as it is named, for messages."""
        return self.schema if self._named is None else f"{self._named}.{self.schema}"

    @property
    def place(self) -> dict[str, str | None]:
        """Return the values of a statement that looks for the schema."""
        return {"catalog": self._named, "schema": self.schema}

    def look_around(self, connection: Connection) -> bool:
        """Tell whether the schema is there, and learn how its tables are named. Raises SettingsError when its catalog is not."""
        if self._must_be_there:
            return True
        found = self._find(connection)
        if found is None or not found.seen:
            raise SettingsError(f"{PUBLISH_SCHEMA}: there is no catalog {self._named!r}, or it may not be seen")
        self._catalog = None if found.catalog is None else str(found.catalog)
        return bool(found.schemas)

    def _find(self, connection: Connection) -> Row[Any] | None:
        """Return where the schema is, None when its catalog is not there."""
        try:
            return connection.execute(self.on_schema("find_place"), self.place).one()
        except DBAPIError as error:
            if self._named is None or not self._lacks(error):
                raise
            return None

    def on_schema(self, query: str) -> TextClause:
        """Return a statement on the schema as a whole, which may take the values of `place`."""
        lists = (self._own("information_schema"),)
        return self._fill(query, {"holder": self._holder, "lists": lists if self._named is None else (self._named, *lists)})

    def on(self, query: str, table: Copied, rows: int = 0) -> TextClause:
        """Return a statement on a table. `rows`: that it has values for."""
        names: dict[str, Identifier] = {
            "table": self._name(table.name),
            "bare": self._own(table.name),
            "published": self._name(PUBLISHED.name),
            "staged": self._own(_STAGED),
            "trigger": self._own("trigger"),  # a word of SQL in some databases
        }
        return self._fill(query, names, rows)

    def on_view(self, query: str, view: str) -> TextClause:
        """Return a statement on a view, or on what it is made of."""
        names: dict[str, Identifier] = {each: self._name(each) for each in VIEWS[view][1]}
        return self._fill(query, {"view": self._name(view), "trigger": self._own("trigger"), **names})

    def _fill(self, query: str, names: dict[str, Identifier], rows: int = 0) -> TextClause:
        wanted = self._sql.identifiers(query)
        return self._sql.fill(query, rows, **{name: found for name, found in names.items() if name in wanted})

    @property
    def _holder(self) -> tuple[str, ...]:
        return (self.schema,) if self._catalog is None else (self._catalog, self.schema)

    def _name(self, table: str) -> tuple[str, ...]:
        return (*self._holder, self._own(table))


def _split(schema: str, warehouse: Warehouse) -> tuple[str | None, str]:
    """Return catalog and schema of a name. Raises SettingsError for one that has other parts than the warehouse's names have."""
    parts = schema.split(".")
    if len(parts) > warehouse.copy_levels - 1 or not all(parts):
        known = "a schema alone, without a point" if warehouse.copy_levels == 2 else "a schema, or catalog.schema"
        raise SettingsError(f"{PUBLISH_SCHEMA}: {schema!r} leads nowhere in {warehouse.name}: name {known}")
    return (parts[0] if len(parts) > 1 else None), parts[-1]
