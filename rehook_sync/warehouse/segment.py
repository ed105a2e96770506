"""Reading a Segment source: its layout, the calls of a window, properties from event tables.

Nothing is written to the warehouse; in SQLite, the calls of a window go through a temporary table.
"""

from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from functools import cached_property
from typing import NamedTuple, TypeVar

from sqlalchemy import Connection
from sqlalchemy.exc import ProgrammingError

from rehook_sync.database.dialects import LONGEST_NAMES
from rehook_sync.database.engine import Database
from rehook_sync.database.fetch import fetch, keep, opened
from rehook_sync.database.queries import Identifier
from rehook_sync.errors import DatabaseError, SourceError
from rehook_sync.models import Shard, SourceRow, Stream, Window
from rehook_sync.times import LAST_MOMENT
from rehook_sync.warehouse.catalog import Catalog, Events
from rehook_sync.warehouse.layout import Kind, SourceConfig, SourceLayout, Table, build_layout, check_columns, needs_event_tables
from rehook_sync.warehouse.names import tables_of
from rehook_sync.warehouse.rows import (
    NAMELESS,
    RowPlan,
    build_rows,
    read_fields,
    read_message_id,
    spellings,
    time_order,
    trimmed,
    usable_time,
)
from rehook_sync.warehouse.statements import CallStatements, known_values

__all__ = ["JudgedGroup", "SegmentSource", "SourceConfig", "SourceLayout", "Table", "time_order"]

_IDS_PER_STATEMENT = 500
_TILES = 128
_ONE_TEXT = {Kind.PADDED: Kind.TEXT, Kind.DECIMAL: Kind.NUMBER}
"""Kinds whose ids have one text form with those of another kind."""
_T = TypeVar("_T")


class JudgedGroup(NamedTuple):
    """The number of ids of a window in sync_state, of one day, event and status.

    Shape:  day, event: from the warehouse; days are `2026-11-01`, None for calls without a usable time.
            recorded_day, recorded_event: from sync_state.  recorded_within: whether the recorded time is in the window.
    """

    day: str | None
    event: str | None
    status: str
    recorded_day: str | None
    recorded_event: str | None
    recorded_within: bool
    calls: int


class SegmentSource:
    """One Segment source in one warehouse. Its layout is read once."""

    def __init__(self, database: Database, config: SourceConfig) -> None:
        """Prepare; nothing is read."""
        self._database = database
        self._config = config
        self._layout: SourceLayout | None = None
        self._events: Mapping[str, Table] = {}
        self._holders: dict[str, list[Table]] = {}
        self._longest_name = LONGEST_NAMES.get(database.dialect)

    def discover(self) -> SourceLayout:
        """Return the layout, read at the first call.

        Raises: SourceError when it is not a Segment source; the message names the setting to change.
        """
        if self._layout is None:
            try:
                self._layout = self._discover()
            except DatabaseError as error:
                if isinstance(error.__cause__, ProgrammingError):
                    raise SourceError(str(error)) from error
                raise
            self._events, self._holders = self._layout.event_tables, {}
        return self._layout

    @cached_property
    def _sql(self) -> CallStatements:
        return CallStatements(self._database, self.discover())

    def read_event_names(self) -> set[str]:
        """Return the names of all events, as calls have them. Scans tracks."""
        tracks = self.discover().tracks
        with opened(self._database) as connection:
            return self._catalog(connection).read_event_names(tracks, ["event_text", "event"])

    def newest(self, stream: Stream, window: Window) -> datetime | None:
        """Return the newest time of arrival in a window, known calls included; None when there is none."""
        statement = self._sql.calls(stream, None, "read_newest", window=window)
        with opened(self._database) as connection:
            value = connection.execute(statement, self._sql.bounds(window)).scalar()
        return usable_time(value)

    def count_from(self, stream: Stream, moment: datetime) -> int:
        """Return how many calls arrived at this time or later, as far as a thousand."""
        window = Window(moment, LAST_MOMENT)
        statement = self._sql.calls(stream, None, "count_from", window=window)
        with opened(self._database) as connection:
            return int(connection.execute(statement, self._sql.bounds(window)).scalar_one())

    def require_times(self, stream: Stream) -> None:
        """Raise SourceError when a table has rows, but none with a usable time of arrival."""
        statement = self._sql.calls(stream, None, "find_time")
        with opened(self._database) as connection:
            has_time, has_rows = connection.execute(statement).one()
        if has_rows and not has_time:
            layout = self.discover()
            name, column = layout.table(stream).name, layout.cursor
            raise SourceError(
                f"no row of table {name!r} has a time in column {column!r} that can be read; set CURSOR_COLUMN to another column, "
                f"or convert it in a view and name that in {stream.value.upper()}_TABLE"
            )

    def read_user_tiles(self, stream: Stream, window: Window, known: Identifier | None) -> list[tuple[str, int]]:
        """Return the users of a window in tiles of about as many calls: the first user id and the calls of each."""
        statement = self._sql.calls(stream, known, "read_user_tiles", window=window, user=self._sql.user_column("calls"))
        with opened(self._database) as connection:
            values = self._sql.bounds(window) | known_values(stream, known) | {"tiles": _TILES}
            return [(row[0], int(row[1])) for row in connection.execute(statement, values).all()]

    def can_split_users(self) -> bool:
        """Tell whether user ids have one text form in both tables, so that a range of ids holds the same users in both."""
        kinds = {self.discover().table(stream).kinds["user_id"] for stream in Stream}
        return len({_ONE_TEXT.get(kind, kind) for kind in kinds}) == 1

    def count(self, stream: Stream, window: Window, known: Identifier | None) -> int:
        """Return how many calls `read_window` yields, each id once."""
        statement = self._sql.calls(stream, known, "count_calls", window=window)
        with opened(self._database) as connection:
            return int(connection.execute(statement, self._sql.bounds(window) | known_values(stream, known)).scalar_one())

    def read_window(self, stream: Stream, window: Window, known: Identifier | None, shard: Shard | None = None) -> Iterator[SourceRow]:
        """Yield the calls of a window, and those whose cursor is no time, in `time_order`; an id may come twice.

        Shape:  known: sync_state, if it is in this database; leaves out calls recorded in the same window or without a time.
                shard: the users whose calls are read; None: all.
        A connection is open until the iterator ends or is closed. Only calls with a problem may be out of order.
        """
        plan, columns = self._plan(stream)
        statement = self._sql.calls(stream, known, "read_calls", shard, window=window, columns=columns)
        with opened(self._database) as connection:
            values = self._sql.bounds(window) | known_values(stream, known, shard)
            if self._database.dialect == "sqlite":
                keep(connection, statement, values)
                statement, values = self._sql.text(["read_kept_calls"], {}), {}
            yield from build_rows(plan, fetch(connection, statement, values, streamed=True))

    def read_ids(self, stream: Stream, ids: Sequence[str]) -> list[SourceRow]:
        """Return the calls with these message ids, of any time, one per id found, in `time_order`."""
        plan, columns = self._plan(stream)
        key = self._sql.key("calls", self.discover().table(stream))
        by_id = self._sql.calls(stream, None, "read_calls_by_id", columns=columns, key=key)
        nameless = self._sql.calls(stream, None, "read_nameless_calls", columns=columns)
        padded = self.discover().table(stream).kinds["id"] is Kind.PADDED
        asked = {str(trimmed(each)) if padded else each: each for each in ids}
        wanted = set(asked)
        found: dict[str, SourceRow] = {}
        with opened(self._database) as connection:
            for page in _cut(sorted(each for each in wanted if not each.startswith(NAMELESS))):
                for row in build_rows(plan, fetch(connection, by_id, {"ids": self._sql.ids(page)})):
                    found.setdefault(row.message_id, row)
            if any(each.startswith(NAMELESS) for each in wanted):
                for row in build_rows(plan, fetch(connection, nameless, {}, streamed=True)):
                    found.setdefault(row.message_id, row)
        rows = [row for row in found.values() if row.message_id in wanted]
        for row in rows:
            row.message_id = asked[row.message_id]
        return sorted(rows, key=time_order)

    def read_due(self, stream: Stream, window: Window, known: Identifier | None) -> Iterator[tuple[object, datetime | None, str | None]]:
        """Yield each id of a window once: id, oldest time of arrival, event.

        Shape:  known: sync_state, if it is in this database; leaves out every call that is recorded.
                id: None stands for all calls without one.  time: None if unusable.  event: None for identifies.
        """
        statement = self._sql.due(stream, window, known, "read_due")
        with opened(self._database) as connection:
            values = self._sql.bounds(window) | known_values(stream, known)
            for message_id, received_at, event in fetch(connection, statement, values, streamed=True):
                yield message_id, usable_time(received_at), None if event is None else str(event)

    def count_judged(self, stream: Stream, window: Window, known: Identifier) -> list[JudgedGroup]:
        """Return how many ids of a window are in sync_state, by day, event and status. `known`: sync_state, in this database."""
        statement = self._sql.due(stream, window, None, "count_judged", recorded=known)
        with opened(self._database) as connection:
            rows = connection.execute(statement, self._sql.bounds(window) | known_values(stream, known)).all()
        return [JudgedGroup(row[0], row[1], row[2], row[3], row[4], bool(row[5]), row[6]) for row in rows]

    def read_unusable(self, stream: Stream, window: Window, ids: Sequence[str | bytes]) -> Iterator[SourceRow]:
        """Yield the calls of a window without an id or with one of these unusable ids; a call may come twice."""
        plan, columns = self._plan(stream)
        statement = self._sql.calls(stream, None, "read_unusable_ids", window=window, columns=columns)
        with opened(self._database) as connection:
            values = self._sql.bounds(window) | {"ids": self._sql.unusable_ids(ids)}
            yield from build_rows(plan, fetch(connection, statement, values, streamed=True))

    def read_user(self, stream: Stream, user_id: str, rows: int) -> list[SourceRow]:
        """Return at most `rows` newest calls of a user, in `time_order`. Without an index on user ids it scans the table."""
        plan, columns = self._plan(stream)
        statement = self._sql.calls(stream, None, "read_calls_of_user", columns=columns, user=self._sql.user_column("calls"))
        found: dict[str, SourceRow] = {}
        with opened(self._database) as connection:
            for each in sorted(spellings(user_id)) if plan.folds_user else [user_id]:
                values = {"user_id": each, "rows": rows}
                found.update((row.message_id, row) for row in build_rows(plan, fetch(connection, statement, values)))
        return sorted(found.values(), key=time_order)[-rows:]

    def fill_properties(self, rows: Sequence[SourceRow]) -> None:
        """Add the properties of each track from its event table, in place; a call that is not there gets `unloaded`."""
        if self.discover().track_properties != "event_tables":
            return
        try:
            self._fill(rows)
        except DatabaseError:
            if not self._events_changed():
                raise
            self._fill(rows)

    def _discover(self) -> SourceLayout:
        config = self._config
        typed = self._database.dialect == "postgresql"
        with opened(self._database) as connection:
            catalog = self._catalog(connection)
            identifies = catalog.require(config.identifies_table, "IDENTIFIES_TABLE")
            tracks = catalog.require(config.tracks_table, "TRACKS_TABLE")
            cursor = check_columns(tracks, "TRACKS_TABLE", config, typed=typed)
            if check_columns(identifies, "IDENTIFIES_TABLE", config, typed=typed) != cursor:
                raise SourceError(f"CURSOR_COLUMN {config.cursor_column!r} is written differently in identifies and tracks; use views")
            events = catalog.find_events(config, tracks, cursor) if needs_event_tables(config, tracks) else Events({}, {})
        layout = build_layout(config, cursor, (identifies, tracks), events.tables, named_like_events=events.named_like_events, typed=typed)
        unreadable = events.unreadable if layout.track_properties == "event_tables" else {}
        return replace(layout, warnings=(*layout.warnings, *catalog.warnings), unreadable=unreadable, event_views=tuple(events.views))

    def _catalog(self, connection: Connection) -> Catalog:
        config = self._config
        needs_list = config.track_properties in {"auto", "event_tables"}
        expected = () if needs_list else (config.identifies_table, config.tracks_table)
        return Catalog(connection, self._database.dialect, config.schema, expected)

    def _events_changed(self) -> bool:
        """Read the event tables again; tell whether a table or column was added or dropped, or may no longer be read."""
        before, self._holders = self._events, {}
        self._events = self._probe_events(before)
        return self._events != before

    def _probe_events(self, wanted: Container[str]) -> Mapping[str, Table]:
        """Return tables that events in use are called like; those that cannot be read are `unreadable` from now on."""
        layout = self.discover()
        with opened(self._database) as connection:
            found, lost = self._catalog(connection).probe_in_use(wanted, layout.cursor)
        self._layout = replace(layout, unreadable={**layout.unreadable, **lost})
        return found

    def _tables_of(self, slug: str) -> list[Table]:
        """Return the tables that may hold the properties of an event; looked for once."""
        if slug not in self._holders:
            if views := tables_of(slug, self.discover().event_views, self._longest_name):
                self._events = {**self._events, **self._probe_events(views)}
            self._holders[slug] = [self._events[name] for name in tables_of(slug, self._events, self._longest_name)]
        return self._holders[slug]

    def _fill(self, rows: Sequence[SourceRow]) -> None:
        calls: dict[str, list[SourceRow]] = {}
        layout = self.discover()
        is_named = layout.tracks.has("event")
        for row in rows:
            if not is_named:
                row.unloaded = "the table of tracks has no column 'event', which names the event table"
            elif row.event_slug:  # an event whose slug is empty has no table
                calls.setdefault(row.event_slug, []).append(row)
        tables = {slug: found for slug in calls if (found := self._tables_of(slug))}
        for slug in calls.keys() - tables.keys():
            hidden = tables_of(slug, layout.unreadable, self._longest_name)
            for call in calls[slug]:
                call.unloaded = f"table {hidden[0]!r} cannot be read" if hidden else f"there is no table {slug!r} yet"
        if not tables:
            return
        with opened(self._database) as connection:
            for slug, candidates in tables.items():
                for page in _cut(calls[slug]):
                    self._fill_from(connection, candidates, page)

    def _fill_from(self, connection: Connection, candidates: Sequence[Table], rows: Sequence[SourceRow]) -> None:
        """Take each call's properties from the one table that has its id; two that have it are a problem of the call."""
        found: dict[str, tuple[Table, dict[str, object]]] = {}
        problems: dict[str, str] = {}
        for table in candidates:
            for message_id, fields in self._look_up(connection, table, rows).items():
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

    def _look_up(self, connection: Connection, table: Table, rows: Sequence[SourceRow]) -> dict[str, dict[str, object]]:
        """Return message id -> properties. Look near the calls' own times first, which bounds the scan, then anywhere for the rest."""
        layout = self.discover()
        names = layout.event_columns(table)
        convert = self._sql.converters(table, names)
        missing = {row.message_id for row in rows if not row.message_id.startswith(NAMELESS)}
        found: dict[str, dict[str, object]] = {}
        one_is_uuid = Kind.UUID in {table.kinds["id"], layout.tracks.kinds["id"]}
        identifiers: dict[str, Identifier] = {
            "table": table.path,
            "id": table.columns["id"],
            "key": self._sql.key("found", table),
            "columns": self._sql.named("found", (table.columns[name] for name in ("id", *names))),
            "cursor": self._sql.named("found", [table.columns.get(layout.cursor, "")]),
        }
        for bounds in (self._sql.near(table, rows), {}):
            if bounds is None or not missing:
                continue
            statement = self._sql.text(self._sql.properties(table, near=bool(bounds)), identifiers)
            asked = {spelling: each for each in missing for spelling in (spellings(each) if one_is_uuid else (each,))}
            for row in fetch(connection, statement, {"ids": self._sql.ids(sorted(asked)), **bounds}):
                text, _ = read_message_id(trimmed(row[0]) if table.kinds["id"] is Kind.PADDED else row[0])
                message_id = asked.get(text or "")
                if message_id is not None:
                    found[message_id] = read_fields(names, row[1:], convert) | found.get(message_id, {})
            missing -= found.keys()
        return found

    def _plan(self, stream: Stream) -> tuple[RowPlan, Identifier]:
        """Return the positions of a call's columns, and the columns to select."""
        return self._sql.row_plan(stream)


def _cut(items: Sequence[_T]) -> Iterator[Sequence[_T]]:
    for start in range(0, len(items), _IDS_PER_STATEMENT):
        yield items[start : start + _IDS_PER_STATEMENT]
