"""The properties of tracks, from the table of each event."""

from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from sqlalchemy import Connection, TextClause

from rehook_sync.database.fetch import Pages, fetch
from rehook_sync.database.kinds import Kind, trimmed
from rehook_sync.database.queries import Identifier
from rehook_sync.database.spool import Spool
from rehook_sync.models import SourceRow, Stream
from rehook_sync.warehouse.layout import SourceLayout, Table
from rehook_sync.warehouse.names import HIDDEN, tables_of
from rehook_sync.warehouse.reader import Reader
from rehook_sync.warehouse.rows import NAMELESS, read_fields, read_message_id, spellings, weigh
from rehook_sync.warehouse.statements import CallStatements

__all__ = ["EventProperties"]


class EventProperties:
    """The event tables of a source with one layout. Shape:  views: those among them that are views beside tables."""

    def __init__(
        self,
        reader: Reader,
        layout: Callable[[], SourceLayout],
        probe: Callable[[Container[str]], Mapping[str, Table]],
        longest_name: int | None,
    ) -> None:
        """Prepare; nothing is read.

        Shape:  layout: returns the present one.  probe: returns name -> table, for those of the tables that can be read.
                longest_name: bytes of a table's name at most.
        """
        self._reader = reader
        self._layout = layout
        self._probe = probe
        self._longest_name = longest_name
        self._events = layout().event_tables
        self._holders: dict[str, list[Table]] = {}
        self._pages: dict[str, Pages] = {}
        self.views: set[str] = set()

    def read(self, rows: Sequence[SourceRow], sql: CallStatements, spool: Spool) -> tuple[list[Table], set[int]]:
        """Put aside the properties that the event tables have for these tracks, and note in each track what keeps it from having any.

        Beside a JSON column, only calls without properties in it are looked for, and only in tables that loaders made.
        Shape:  spool: gets places in `rows` and properties; more than one of a place are of one call.
        Returns the tables that were read, and the places of tracks that more than one of them has.
        """
        calls: dict[str, dict[str, int]] = {}
        layout = self._layout()
        is_named = layout.tracks.has("event")
        beside_json = layout.track_properties == "json"
        for place, row in enumerate(rows):
            if row.stream != Stream.TRACKS or (beside_json and (row.fields or not is_named)):
                continue
            if not is_named:
                row.unloaded = "the table of tracks has no column 'event', which names the event table"
            elif row.event_slug:  # an event whose slug is empty has no table
                calls.setdefault(row.event_slug, {})[row.message_id] = place
        tables = {slug: self._tables_of(slug) for slug in calls}
        if beside_json:  # such a table has the columns of calls, unlike one of the shop that happens to be called so
            tables = {slug: own for slug, found in tables.items() if (own := [table for table in found if table.has("event")])}
        contested: set[int] = set()
        for slug, candidates in tables.items():
            places = calls[slug]
            if candidates:
                contested |= self._read_event(candidates, places, rows, sql, spool)
                continue
            hidden = tables_of(slug, self._layout().unreadable, self._longest_name)
            for place in places.values():
                rows[place].unloaded = f"table {hidden[0]!r} {HIDDEN}" if hidden else f"there is no table {slug!r} yet"
        return [table for found in tables.values() for table in found], contested

    def _tables_of(self, slug: str) -> list[Table]:
        """Return the tables that may hold the properties of an event; looked for once."""
        if slug not in self._holders:
            if views := tables_of(slug, self._layout().event_views, self._longest_name):
                self._events = {**self._events, **self._probe(views)}
                self.views.update(views)
            self._holders[slug] = [self._events[name] for name in tables_of(slug, self._events, self._longest_name)]
        return self._holders[slug]

    def look_again(self) -> bool:
        """Read the event tables again; tell whether a table or column was added or dropped, or may no longer be read."""
        before, self._holders = self._events, {}
        self._events = self._probe(before)
        return self._events != before

    def _read_event(
        self, candidates: Sequence[Table], places: Mapping[str, int], rows: Sequence[SourceRow], sql: CallStatements, spool: Spool
    ) -> set[int]:
        """Take each call's properties from the one table that has its id; two that have it are a problem of the call.

        Returns the places of such calls.
        """
        holders: dict[int, Table] = {}
        contested: set[int] = set()
        for table in candidates:
            for place in self._look_up(table, places, rows, sql, spool):
                if place in holders:
                    row = rows[place]
                    contested.add(place)
                    row.problem = row.problem or f"its id is in two event tables, {holders[place].name} and {table.name}"
                holders[place] = table
        names = " or ".join(repr(table.name) for table in candidates)
        for place in places.values():
            rows[place].unloaded = None if place in holders else f"its id is not in table {names} yet"
        return contested

    def _look_up(self, table: Table, places: Mapping[str, int], rows: Sequence[SourceRow], sql: CallStatements, spool: Spool) -> set[int]:
        """Put aside what a table has for some calls: message id -> place. Returns the places of those it has.

        It looks near the calls' own times first, which bounds the scan, then anywhere for the rest.
        """
        layout = self._layout()
        names = layout.event_columns(table)
        identifiers: dict[str, Identifier] = {
            "id": table.columns["id"],
            "key": sql.key("found", table),
            "columns": [*sql.named("found", [table.columns["id"]]), *sql.selected("found", table, names)],
            "cursor": sql.named("found", [table.columns.get(layout.cursor, "")]),
        }
        one_is_uuid = Kind.UUID in {table.kinds["id"], layout.tracks.kinds["id"]}
        found: set[int] = set()
        for page in sql.cut([each for each in places if not each.startswith(NAMELESS)]):
            missing = set(page)
            for bounds in (sql.near(table, [rows[places[each]] for each in page]), {}):
                if bounds is None or not missing:
                    continue
                read = {"table": sql.read(table, near=bool(bounds)), **identifiers}
                statement = sql.text(sql.properties(table, near=bool(bounds)), read)
                asked = {spelling: places[each] for each in missing for spelling in (spellings(each) if one_is_uuid else (each,))}
                values = {"ids": sql.ids(sorted(asked)), **bounds}
                pages = self._pages.setdefault(table.name, Pages())
                spooler = _PropertySpooler(table, names, sql.converters(table, names), asked, spool, pages)
                here = self._reader.read(partial(spooler.put, statement, values, spool.count))
                found |= here
                missing = {each for each in missing if places[each] not in here}
        return found


@dataclass(frozen=True, slots=True)
class _PropertySpooler:
    """Properties of one table put aside.

    Shape:  names: of its columns behind the id.  asked: id -> place of the call.  pages: of this table, as large as its rows let them be.
    """

    table: Table
    names: Sequence[str]
    convert: Mapping[str, Callable[[Any], object]]
    asked: Mapping[str, int]
    spool: Spool
    pages: Pages

    def put(self, statement: TextClause, values: Mapping[str, object], count: int, connection: Connection) -> set[int]:
        """Put the properties aside, after the first `count` values of the spool; return the places of their calls."""
        self.spool.cut(count)
        found: set[int] = set()
        padded = self.table.kinds["id"] is Kind.PADDED
        for page in fetch(connection, statement, values, self.pages):
            largest = total = 0
            properties: list[tuple[int, tuple[int, dict[str, object], int]]] = []
            for row in page:
                text, _ = read_message_id(trimmed(row[0]) if padded else row[0])
                place = self.asked.get(text or "")
                if place is not None:
                    found.add(place)
                    fields = read_fields(self.names, row[1:], self.convert)
                    size = weigh(fields)
                    properties.append((place, (place, fields, size)))
                    largest, total = max(largest, size), total + size
            self.spool.put(properties, total)
            self.pages.heed(largest)
        return found
