"""The statements on a copy, with the names that its tables have in their database."""

from sqlalchemy import Connection, TextClause

from rehook_sync.database.engine import Database
from rehook_sync.database.queries import Identifier, Statements
from rehook_sync.publish.tables import PUBLISHED, VIEWS, Copied

__all__ = ["CopyStatements"]

_STAGED = "sync_staged"
"""The table of the session in which rows are put beside those of the copy."""


class CopyStatements:
    """The statements of `sql/publish` for one schema of one database."""

    def __init__(self, database: Database, schema: str) -> None:
        """Load them. `look_around` is called before any is asked for."""
        self._own = database.warehouse.own_name
        self._given_catalog = database.warehouse.copy_catalog(database.engine.url)
        self._sql = Statements("publish", database.engine.dialect)
        self._catalog = self._given_catalog
        self.schema = self._own(schema)

    def look_around(self, connection: Connection) -> bool:
        """Tell whether the schema is there, and learn how its tables are named."""
        if self._given_catalog is not None:
            return True
        found = connection.execute(self._sql["find_place"], {"schema": self.schema}).one()
        self._catalog = None if found.catalog is None else str(found.catalog)
        return bool(found.schemas)

    def make_schema(self) -> TextClause:
        """Return what creates the schema."""
        return self._sql.fill("make_schema", schema=self.schema)

    def on_schema(self, query: str) -> TextClause:
        """Return a statement on the schema as a whole; it takes the value `schema`."""
        return self._fill(query, {"holder": self._holder})

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
