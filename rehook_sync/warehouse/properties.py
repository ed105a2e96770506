"""The properties of tracks, from the table of each event."""

from collections.abc import Callable, Container, Mapping, Sequence
from functools import partial
from typing import Any

from sqlalchemy import Connection, TextClause

from rehook_sync.database.fetch import fetch
from rehook_sync.database.queries import Identifier
from rehook_sync.models import SourceRow
from rehook_sync.warehouse.layout import Kind, SourceLayout, Table
from rehook_sync.warehouse.names import tables_of
from rehook_sync.warehouse.reader import Reader
from rehook_sync.warehouse.rows import NAMELESS, read_fields, read_message_id, spellings, trimmed
from rehook_sync.warehouse.statements import CallStatements, cut

__all__ = ["EventProperties"]


class EventProperties:
    """The event tables of a source with one layout."""

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

    def fill(self, rows: Sequence[SourceRow], sql: CallStatements) -> list[Table]:
        """Add the properties of each track from its event table, in place; a call that is not there gets `unloaded`.

        Beside a JSON column, only calls without properties in it are looked for, and only in tables that loaders made.
        Returns the tables that were read.
        """
        calls: dict[str, list[SourceRow]] = {}
        layout = self._layout()
        is_named = layout.tracks.has("event")
        beside_json = layout.track_properties == "json"
        for row in rows:
            if beside_json and (row.fields or not is_named):
                continue
            if not is_named:
                row.unloaded = "the table of tracks has no column 'event', which names the event table"
            elif row.event_slug:  # an event whose slug is empty has no table
                calls.setdefault(row.event_slug, []).append(row)
        tables = {slug: found for slug in calls if (found := self._tables_of(slug))}
        if beside_json:  # such a table has the columns of calls, unlike one of the shop that happens to be called so
            tables = {slug: own for slug, found in tables.items() if (own := [table for table in found if table.has("event")])}
            calls = {slug: calls[slug] for slug in tables}
        layout = self._layout()  # names what has just turned out to be unreadable, too
        for slug in calls.keys() - tables.keys():
            hidden = tables_of(slug, layout.unreadable, self._longest_name)
            for call in calls[slug]:
                call.unloaded = f"table {hidden[0]!r} cannot be read" if hidden else f"there is no table {slug!r} yet"
        for slug, candidates in tables.items():
            for page in cut(calls[slug]):
                self._fill_from(candidates, page, sql)
        return [table for found in tables.values() for table in found]

    def _tables_of(self, slug: str) -> list[Table]:
        """Return the tables that may hold the properties of an event; looked for once."""
        if slug not in self._holders:
            if views := tables_of(slug, self._layout().event_views, self._longest_name):
                self._events = {**self._events, **self._probe(views)}
            self._holders[slug] = [self._events[name] for name in tables_of(slug, self._events, self._longest_name)]
        return self._holders[slug]

    def look_again(self) -> bool:
        """Read the event tables again; tell whether a table or column was added or dropped, or may no longer be read."""
        before, self._holders = self._events, {}
        self._events = self._probe(before)
        return self._events != before

    def _fill_from(self, candidates: Sequence[Table], rows: Sequence[SourceRow], sql: CallStatements) -> None:
        """Take each call's properties from the one table that has its id; two that have it are a problem of the call."""
        found: dict[str, tuple[Table, dict[str, object]]] = {}
        problems: dict[str, str] = {}
        for table in candidates:
            for message_id, fields in self._look_up(table, rows, sql).items():
                if message_id in found:
                    problems[message_id] = f"its id is in two event tables, {found[message_id][0].name} and {table.name}"
                found[message_id] = table, fields
        names = " or ".join(repr(table.name) for table in candidates)
        for call in rows:
            if call.message_id in problems:
                call.problem = call.problem or problems[call.message_id]
            elif call.message_id in found:
                call.fields.update(found[call.message_id][1])
                call.unloaded = None
            else:
                call.unloaded = f"its id is not in table {names} yet"

    def _look_up(self, table: Table, rows: Sequence[SourceRow], sql: CallStatements) -> dict[str, dict[str, object]]:
        """Return message id -> properties. Look near the calls' own times first, which bounds the scan, then anywhere for the rest."""
        layout = self._layout()
        names = layout.event_columns(table)
        convert = sql.converters(table, names)
        missing = {row.message_id for row in rows if not row.message_id.startswith(NAMELESS)}
        found: dict[str, dict[str, object]] = {}
        one_is_uuid = Kind.UUID in {table.kinds["id"], layout.tracks.kinds["id"]}
        identifiers: dict[str, Identifier] = {
            "table": table.path,
            "id": table.columns["id"],
            "key": sql.key("found", table),
            "columns": sql.named("found", (table.columns[name] for name in ("id", *names))),
            "cursor": sql.named("found", [table.columns.get(layout.cursor, "")]),
        }
        for bounds in (sql.near(table, rows), {}):
            if bounds is None or not missing:
                continue
            statement = sql.text(sql.properties(table, near=bool(bounds)), identifiers)
            asked = {spelling: each for each in missing for spelling in (spellings(each) if one_is_uuid else (each,))}
            values = {"ids": sql.ids(sorted(asked)), **bounds}
            for row in self._reader.read(partial(_read_rows, statement, values)):
                text, _ = read_message_id(trimmed(row[0]) if table.kinds["id"] is Kind.PADDED else row[0])
                message_id = asked.get(text or "")
                if message_id is not None:
                    found[message_id] = read_fields(names, row[1:], convert) | found.get(message_id, {})
            missing -= found.keys()
        return found


def _read_rows(statement: TextClause, values: Mapping[str, object], connection: Connection) -> list[Sequence[Any]]:
    return [row for page in fetch(connection, statement, values) for row in page]
