"""What a warehouse holds: tables, columns and their types, and what this user may not read of it. By SELECT and cursor metadata alone."""

from collections.abc import Collection, Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from typing import Any, NamedTuple

from sqlalchemy import Connection

from rehook_sync.database.dialects.record import Warehouse
from rehook_sync.database.failures import is_of_database, may_pass, one_line
from rehook_sync.database.kinds import Kind
from rehook_sync.database.queries import Identifier, load_queries
from rehook_sync.errors import SourceError
from rehook_sync.warehouse.columns import column_keys, holders, list_columns, list_partitions, refuse_columns, split_schema
from rehook_sync.warehouse.layout import SourceConfig, Table, needs_slugs
from rehook_sync.warehouse.names import event_table_names, find_name, listed, similar, tables_of, view_names

__all__ = ["Catalog", "Events"]

_SHOWN = 8
_LOOKED_INTO = 20
"""Tables of which a row is read, to tell whether they are named like events."""
_EVENTS_WAIT = "events without their table wait, unless MISSING_PROPERTIES is send"


@dataclass(frozen=True, slots=True)
class _Lack:
    """What keeps the user from reading a table.

    Shape:  missing: the right: `usage` of the schema, `table`, or that of some `columns`.  columns: of the table, all of them.
            denied: the columns that are missing, if not all are.
    """

    missing: str
    columns: Sequence[str]
    denied: Sequence[str]
    owner: str
    reader: str


class Events(NamedTuple):
    """The tables that may be events'.

    Shape:  tables: name -> table.  unreadable, views: as in SourceLayout.  named_like_events: whether some are named like events in use.
    """

    tables: Mapping[str, Table]
    unreadable: Mapping[str, str]
    named_like_events: bool = False
    views: Sequence[str] = ()


class Catalog:
    """The tables of one schema, read over one connection. `schema` and `catalog` are its names in the warehouse, None when unknown."""

    def __init__(self, connection: Connection, warehouse: Warehouse, schema: str | None, expected: Sequence[str] = ()) -> None:
        """Read the names of the tables.

        Shape:  expected: names of the tables, used if the warehouse cannot list them; empty if the list is needed.
        Raises: SourceError when there is no such schema, it has no tables, or they cannot be listed.
        """
        self._connection = connection
        self._warehouse = warehouse
        self._queries = load_queries("warehouse", warehouse.name)
        self._lacks: dict[str, _Lack] = {}
        self._broken: dict[str, str] = {}
        self._views: set[str] = set()
        self.guarded: set[str] = set()
        self.warnings: list[str] = []
        named = warehouse.default_schema(connection.engine.url) if schema is None else schema
        self.catalog, self.schema = split_schema(named, warehouse)
        self.schema, self.tables = self._list_tables(self.schema, expected)

    def require(self, wanted: str, setting: str, is_schema_right: bool = False) -> Table:
        """Return the table that a setting names. Raises SourceError when it is missing or cannot be read.

        Shape:  is_schema_right: whether the schema has another table of calls, so that no other schema was meant.
        """
        name = find_name(self.tables, wanted)
        if name in self._lacks:
            raise SourceError(f"{self._denial([name])} ({setting} says which table is read); {self._advice([name])}")
        if name is not None:
            try:
                return self._look_at(name, asks=True)
            except SourceError as error:
                raise SourceError(f"{error} ({setting} says which table is read)") from None
        problem = f"there is no table {wanted!r} in schema {self.schema!r} (set {setting})"
        if is_schema_right:
            problem = f"{problem}; a source without such calls needs an empty view of that name"
            raise SourceError(f"{problem}; {similar(self.tables, wanted)}")
        elsewhere = [schema for schema, holds_it in self._schemas(wanted).items() if holds_it and schema != self.schema]
        ending = f"WAREHOUSE_SCHEMA could be {' or '.join(map(repr, elsewhere[:3]))}" if elsewhere else similar(self.tables, wanted)
        raise SourceError(f"{problem}; {ending}")

    def probe(self, name: str) -> Table:
        """Return a table with its columns, by asking it. Raises SourceError when no statement of ours can read them."""
        statement = self._queries["probe_table"].text(self._connection.dialect, table=self._path(name))
        with self._connection.execute(statement) as result:
            described = {str(column[0]): (column[1], column[2]) for column in result.cursor.description}
        return self._table(name, list(described), self._kinds(name, described), {each: width for each, (_, width) in described.items()})

    def _kinds(self, name: str, described: Mapping[str, tuple[Any, object]]) -> Mapping[str, Kind]:
        """Return column -> kind. `described`: column -> type and width by the driver."""
        kind_of = self._warehouse.kind_of
        if self._warehouse.lists_types:
            return {each: kind_of(declared) for each, declared in self._listed.get(name, {}).items()}
        if "read_declared_types" in self._queries:
            statement = self._queries["read_declared_types"].text(self._connection.dialect)
            return {str(each): kind_of(str(declared)) for each, declared in self._connection.execute(statement, {"table": name})}
        kinds = {each: kind_of(code) for each, (code, _) in described.items()}
        if "list_array_types" in self._queries:
            rare = {each for each, kind in kinds.items() if kind is Kind.OTHER and described[each][0] in self._array_types}
            kinds |= dict.fromkeys(rare, Kind.ARRAY)
        return kinds

    def _table(self, name: str, names: Sequence[str], kinds: Mapping[str, Kind], widths: Mapping[str, Any]) -> Table:
        refuse_columns(name, names, self._warehouse.most_columns)
        keys = column_keys(names)
        return Table(
            schema=self.schema,
            name=name,
            columns={keys[each]: each for each in names},
            kinds={keys[each]: kinds.get(each, Kind.OTHER) for each in names},
            id_width=next((widths.get(each) for each, kind in kinds.items() if keys[each] == "id" and kind is Kind.PADDED), None),
            catalog=self.catalog,
            partition=self._partitions.get(name),
        )

    def find_events(self, config: SourceConfig, tracks: Table, cursor: str) -> Events:
        """Return the tables that may be events', those that cannot be read as well.

        The names of all calls are read only if neither the names of the tables nor their rows tell.
        """
        views = view_names(self.tables, config.not_events)
        # Loaders write events into tables: what is a table in spite of its name is looked at like all others.
        names = event_table_names(self.tables, config.not_events) + [name for name in views if name not in self._views]
        tables = self.probe_events(names)
        hidden = [name for name in names if name in self._lacks or name in self._broken]
        matters = needs_slugs(config, cursor, tracks, [*tables, *hidden])
        named = matters and any(map(self._holds_its_event, islice(tables.values(), _LOOKED_INTO)))
        in_use: set[str] = set()
        if self._broken or (matters and not named):
            in_use = {name for slug in self.read_event_names(tracks, ["event"]) for name in self._named_like(slug, names)}
        unreadable = self.tell_unreadable(names, in_use, cursor)
        named = named or any(name in tables or name in unreadable for name in in_use)
        return Events(tables, unreadable, named, [name for name in views if name in self._views])

    def find_possible(self, config: SourceConfig) -> Events:
        """Return the names of tables and views that may be events', looked at once an event turns out to be called so."""
        return Events({}, {}, views=[*event_table_names(self.tables, config.not_events), *view_names(self.tables, config.not_events)])

    def _named_like(self, slug: str, names: Collection[str]) -> list[str]:
        return tables_of(slug, names, self._warehouse.longest_name)

    def _holds_its_event(self, table: Table) -> bool:
        """Tell whether a row of the table is of the event that the table is named like."""
        if not table.has("event"):
            return False
        statement = self._queries["read_own_event"].text(self._connection.dialect, event=table.columns["event"], table=table.path)
        try:
            event = self._connection.execute(statement).scalar()
        except Exception as error:  # a view may fail at its rows only
            if not self._is_refused(error):
                raise
            self._connection.rollback()
            return False
        return isinstance(event, str) and bool(self._named_like(event, [table.name]))

    @cached_property
    def _array_types(self) -> frozenset[int]:
        """The arrays of PostgreSQL; one query, for a schema that has columns of rare types."""
        statement = self._queries["list_array_types"].text(self._connection.dialect)
        return frozenset(int(oid) for (oid,) in self._connection.execute(statement))

    @cached_property
    def _listed(self) -> Mapping[str, Mapping[str, str]]:
        """Table -> column -> its type as declared, of all tables, by one statement; where the warehouse lists types."""
        try:
            return list_columns(self._connection, self._warehouse, (self.catalog, self.schema), self.tables) or {}
        except Exception as error:
            if not self._is_refused(error):
                raise
            self._connection.rollback()
            raise SourceError(
                f"the columns of the warehouse's tables cannot be listed: {one_line(error)}; give this user the right to"
            ) from error

    @cached_property
    def _partitions(self) -> Mapping[str, str]:
        """Table -> the column by which it is partitioned."""
        return list_partitions(self._connection, self._warehouse, (self.catalog, self.schema))

    def probe_events(self, names: Iterable[str], *, asks: bool = False) -> dict[str, Table]:
        """Return name -> table, for tables that can be read and have an `id`; `tell_unreadable` tells of the others.

        Shape:  asks: ask each table for its columns, also where a list says them: a table may be listed that cannot be read.
        """
        found = {}
        names = [name for name in names if name not in self._lacks]
        columns = self._read_columns(names)
        for name in names:
            if not any(each.lower() == "id" for each in columns.get(name, ("id",))):
                continue  # one statement for all tables spares those for each that is no event's
            try:
                table = self._look_at(name, asks=asks)
            except SourceError as error:
                self._broken[name] = str(error)
                continue
            except Exception as error:
                if not self._is_refused(error):
                    raise
                self._connection.rollback()
                self._broken[name] = f"table {name!r} cannot be read: {one_line(error)}"
                continue
            if table.has("id"):
                found[name] = table
        return found

    def _look_at(self, name: str, *, asks: bool) -> Table:
        if (asks and self._warehouse.asks_tables) or not self._warehouse.lists_types:
            return self.probe(name)
        return self._table(name, list(self._listed.get(name, ())), self._kinds(name, {}), {})

    def _read_columns(self, names: Sequence[str]) -> Mapping[str, Collection[str]]:
        """Return the columns of tables; nothing for those, or for all, that cannot be listed."""
        if self._warehouse.lists_types:
            return self._listed
        try:
            return list_columns(self._connection, self._warehouse, (self.catalog, self.schema), names) or {}
        except Exception as error:
            if not self._is_refused(error):
                raise
            self._connection.rollback()
            return {}

    def probe_in_use(self, wanted: Container[str], cursor: str) -> tuple[dict[str, Table], Mapping[str, str]]:
        """Return those of the tables that can be read, which events in use are called like, and what to tell of the others."""
        names = [name for name in self.tables if name in wanted]
        return self.probe_events(names, asks=True), self.tell_unreadable(names, names, cursor)

    def tell_unreadable(self, names: Iterable[str], in_use: Collection[str], cursor: str) -> Mapping[str, str]:
        """Return, for each of these tables that cannot be read and is likely to be an event's, why and what to do.

        Shape:  names: that `probe_events` looked at.  in_use: names that events in use are known to give a table.
        An event's table has an id, and the cursor column or the name of an event in use. Of the others, `warnings` tells.
        """
        broken: dict[str, str] = {}
        denied: dict[bool, list[str]] = {True: [], False: []}
        for name in names:
            if name in self._broken and name in in_use:
                broken[name] = f"{self._broken[name]}; {_EVENTS_WAIT}"
            elif name in self._broken:
                self.warnings.append(f"{self._broken[name]}; if it is an event's: {_EVENTS_WAIT}")
            elif name in self._lacks:
                columns = column_keys(self._lacks[name].columns).values()
                if "id" in columns:
                    denied[name in in_use or find_name(columns, cursor) is not None].append(name)
        if denied[False]:
            self.warnings.append(f"{self._denial(denied[False])}; if one is an event's: {_EVENTS_WAIT}; {self._advice(denied[False])}")
        if not denied[True]:
            return broken
        line = f"{self._denial(denied[True])}; {_EVENTS_WAIT}; {self._advice(denied[True])}"
        return broken | dict.fromkeys(denied[True], line)

    def read_event_names(self, tracks: Table, columns: Sequence[str]) -> set[str]:
        """Return every name that calls have in the first of these columns that is not NULL. Scans the table."""
        names = [(self._warehouse.own_name("t"), tracks.columns[each]) for each in columns if tracks.has(each)]
        if not names:
            return set()
        statement = self._queries["read_event_names"].text(self._connection.dialect, names=names, table=tracks.path)
        found = (next((name for name in row if name is not None), None) for row in self._connection.execute(statement))
        return {str(name) for name in found if name is not None}

    def _is_refused(self, error: Exception) -> bool:
        """Tell whether the warehouse or its driver refused a statement, for no cause that may pass."""
        return is_of_database(error, self._warehouse) and not may_pass(error, self._warehouse)

    def _path(self, name: str) -> tuple[str, ...]:
        return tuple(each for each in (self.catalog, self.schema, name) if each is not None)

    def _denial(self, names: Sequence[str]) -> str:
        """Return which tables cannot be read, and of which only some columns."""
        whole = [repr(name) for name in names if not self._lacks[name].denied]
        found = [f"table{'s' if len(whole) > 1 else ''} {listed(whole)}"] if whole else []
        for name, hidden in ((name, [repr(each) for each in self._lacks[name].denied]) for name in names):
            if hidden:
                found.append(f"column{'s' if len(hidden) > 1 else ''} {listed(hidden)} of table {name!r}")
        return f"{listed(found)} cannot be read: permission denied"

    def _advice(self, names: Sequence[str]) -> str:
        """Return the statements that give the user the right to read some tables, and those that their owner will create."""
        lacks = [self._lacks[name] for name in names]
        common: dict[str, Identifier] = {"schema": self.schema or "", "reader": lacks[0].reader}
        grants = [self._told("grant_usage", common)] if any(each.missing == "usage" for each in lacks) else []
        if grants or len(names) > _SHOWN:
            grants.append(self._told("grant_select_on_all", common))
        else:
            if whole := [self._path(name) for name in names if not self._lacks[name].denied]:
                grants.append(self._told("grant_select", {**common, "tables": whole}))
            some = {self._path(name): [(each,) for each in self._lacks[name].denied] for name in names if self._lacks[name].denied}
            grants += [self._told("grant_select_of_columns", {**common, "table": table, "columns": some[table]}) for table in some]
        later = [self._told("grant_later_tables", {**common, "owner": owner}) for owner in sorted({each.owner for each in lacks})]
        return f"let their owner run: {'; '.join(grants)}; for tables to come: {'; '.join(later)}"

    def _told(self, name: str, identifiers: Mapping[str, Identifier]) -> str:
        query = self._queries[name]
        return str(query.text(self._connection.dialect, **{each: identifiers[each] for each in query.identifiers}))

    def _list_tables(self, schema: str | None, expected: Sequence[str]) -> tuple[str | None, Sequence[str]]:
        found: dict[str, list[str]] = {}
        catalogs = {}
        try:
            for catalog, holder, name, is_view, is_guarded, missing, *lack in self._ask("list_tables", {"schema": schema}):
                catalogs[str(holder)] = catalog
                found.setdefault(str(holder), []).append(str(name))
                self._views.update([str(name)] if is_view else [])
                self.guarded.update([str(name)] if is_guarded else [])
                if missing is not None:
                    columns, denied, owner, reader = lack
                    self._lacks[str(name)] = _Lack(missing, columns or (), denied or (), owner, reader)
        except Exception as error:
            if not self._is_refused(error):
                raise
            self._connection.rollback()
            problem = f"the tables of the warehouse cannot be listed: {one_line(error)}"
            if not expected:
                advice = "give this user the right to, or say where properties are: TRACK_PROPERTIES=columns or json needs no list"
                raise SourceError(f"{problem}; without the list no event table is found; {advice}") from error
            self.warnings.append(problem)
            return schema, expected
        if not found:
            where = "the default schema" if schema is None else f"schema {schema!r}"
            message = f"{where} has no tables, or none that this user may see (set WAREHOUSE_SCHEMA)"
            raise SourceError(f"{message}; {similar(self._schemas(''), schema or '')}")
        actual = (schema and find_name(found, schema)) or next(iter(found))
        self.catalog = catalogs[actual]
        return actual, found[actual]

    def _schemas(self, table: str) -> dict[str, bool]:
        return {str(schema): bool(holds_it) for schema, holds_it in self._ask("list_schemas", {"table": table})}

    def _ask(self, name: str, values: Mapping[str, object]) -> Iterable[Sequence[Any]]:
        query = self._queries[name]
        statement = query.text(self._connection.dialect, **holders(query, self.catalog, self.schema))
        return self._connection.execute(statement, {"catalog": self.catalog, **values})
