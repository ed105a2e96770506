"""The only module that knows Segment's tables: what there is, windowed reads, properties out of event tables.

Reads with SELECT and cursor metadata alone, in SQLite by way of a table of the connection's own.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, NamedTuple, TypeVar

from sqlalchemy import Connection
from sqlalchemy.exc import ProgrammingError

from rehook_sync.database.engine import Database
from rehook_sync.database.fetch import fetch, keep, opened
from rehook_sync.database.queries import Identifier
from rehook_sync.errors import DatabaseError, SourceError
from rehook_sync.models import Shard, SourceRow, Stream, Window
from rehook_sync.warehouse.catalog import Catalog
from rehook_sync.warehouse.layout import (
    Kind,
    SourceConfig,
    SourceLayout,
    Table,
    build_layout,
    check_columns,
    event_table_names,
    needs_event_tables,
)
from rehook_sync.warehouse.rows import (
    NAMELESS,
    RowPlan,
    build_rows,
    read_fields,
    read_message_id,
    time_order,
    to_boolean,
    to_moment,
    usable_time,
)
from rehook_sync.warehouse.statements import CallStatements, known_values

__all__ = ["JudgedGroup", "SegmentSource", "SourceConfig", "SourceLayout", "Table", "time_order"]

_IDS_PER_STATEMENT = 500
_TILES = 128
_CONVERT: dict[Kind, Callable[[Any], object]] = {Kind.BOOLEAN: to_boolean, Kind.TIME: to_moment}
_T = TypeVar("_T")


class JudgedGroup(NamedTuple):
    """Ids of a window that sync_state has, of one kind.

    Shape:  day, event: as the warehouse says, days as `2026-11-01`, None for calls without a usable time.
            recorded_day, recorded_event: as sync_state says.  recorded_within: whether its time is in the window, too.
    """

    day: str | None
    event: str | None
    status: str
    recorded_day: str | None
    recorded_event: str | None
    recorded_within: bool
    calls: int


class SegmentSource:
    """One Segment source in one warehouse, as it is while this object lives."""

    def __init__(self, database: Database, config: SourceConfig) -> None:
        """Take note of where the source is; nothing is read yet."""
        self._database = database
        self._config = config
        self._layout: SourceLayout | None = None
        self._events: Mapping[str, Table] = {}

    def discover(self) -> SourceLayout:
        """Return what there is; looks once.

        Raises: SourceError when it is not a Segment source, with the setting that would change it.
        """
        if self._layout is None:
            try:
                self._layout = self._discover()
            except DatabaseError as error:
                if isinstance(error.__cause__, ProgrammingError):
                    raise SourceError(str(error)) from error
                raise
            self._events = self._layout.event_tables
        return self._layout

    @property
    def _sql(self) -> CallStatements:
        return CallStatements(self._database, self.discover())

    def newest(self, stream: Stream, window: Window) -> datetime | None:
        """Return the newest time in a window, over all calls, known or not; None when it has none."""
        statement = self._sql.calls(stream, None, "read_newest", window=window)
        with opened(self._database) as connection:
            value = connection.execute(statement, self._sql.bounds(window)).scalar()
        return usable_time(value)

    def read_user_tiles(self, stream: Stream, window: Window, known: Identifier | None) -> list[tuple[str, int]]:
        """Return the users of a window in some dozens of tiles of like size: the first user id of each, and its calls."""
        statement = self._sql.calls(stream, known, "read_user_tiles", window=window, user=self._sql.user_column("calls", stream))
        with opened(self._database) as connection:
            values = self._sql.bounds(window) | known_values(stream, known) | {"tiles": _TILES}
            return [(row[0], int(row[1])) for row in connection.execute(statement, values).all()]

    def can_split_users(self) -> bool:
        """Tell whether a user id has one text form in both tables, so that ranges of it hold the same users in both."""
        layout = self.discover()
        return len({layout.table(stream).kinds["user_id"] for stream in Stream}) == 1

    def count(self, stream: Stream, window: Window, known: Identifier | None) -> int:
        """Return how many different calls `read_window` gives."""
        statement = self._sql.calls(stream, known, "count_calls", window=window)
        with opened(self._database) as connection:
            return int(connection.execute(statement, self._sql.bounds(window) | known_values(stream, known)).scalar_one())

    def read_window(self, stream: Stream, window: Window, known: Identifier | None, shard: Shard | None = None) -> Iterator[SourceRow]:
        """Yield the calls of a window in `time_order`, and those whose cursor is no time; an id may come twice.

        Shape:  known: the sync_state table when it is in this database, its calls are left out; None leaves out nothing.
                shard: the users whose calls are read; None: all.
        One connection is open until the iterator ends or is closed. Only calls with a problem may be out of order.
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
        """Return the calls with these message ids whatever their time, one for each id that is there, in `time_order`."""
        plan, columns = self._plan(stream)
        key = self._sql.key("calls", self.discover().table(stream))
        by_id = self._sql.calls(stream, None, "read_calls_by_id", columns=columns, key=key)
        nameless = self._sql.calls(stream, None, "read_nameless_calls", columns=columns)
        wanted = set(ids)
        found: dict[str, SourceRow] = {}
        with opened(self._database) as connection:
            for some in _cut(sorted(each for each in wanted if not each.startswith(NAMELESS))):
                for row in build_rows(plan, fetch(connection, by_id, {"ids": self._sql.ids(some)})):
                    found.setdefault(row.message_id, row)
            if any(each.startswith(NAMELESS) for each in wanted):
                for row in build_rows(plan, fetch(connection, nameless, {}, streamed=True)):
                    found.setdefault(row.message_id, row)
        return sorted((row for row in found.values() if row.message_id in wanted), key=time_order)

    def read_due(self, stream: Stream, window: Window, known: Identifier | None) -> Iterator[tuple[object, datetime | None, str | None]]:
        """Yield each id of a window once: id, oldest time of arrival, event; one id None stands for all calls without one.

        Shape:  known: as in `read_window`.  The time is None where it is unusable, the event for identifies.
        """
        statement = self._sql.due(stream, window, known, "read_due")
        with opened(self._database) as connection:
            values = self._sql.bounds(window) | known_values(stream, known)
            for message_id, received_at, event in fetch(connection, statement, values, streamed=True):
                yield message_id, usable_time(received_at), None if event is None else str(event)

    def count_judged(self, stream: Stream, window: Window, known: Identifier) -> list[JudgedGroup]:
        """Return how many ids of a window the sync_state table, which is in this database, has; grouped by what both say."""
        statement = self._sql.due(stream, window, None, "count_judged", recorded=known)
        with opened(self._database) as connection:
            rows = connection.execute(statement, self._sql.bounds(window) | known_values(stream, known)).all()
        return [JudgedGroup(row[0], row[1], row[2], row[3], row[4], bool(row[5]), row[6]) for row in rows]

    def read_unusable(self, stream: Stream, window: Window, ids: Sequence[str]) -> Iterator[SourceRow]:
        """Yield the calls of a window without an id, and those with one of these ids, which cannot be used; one may come twice."""
        plan, columns = self._plan(stream)
        statement = self._sql.calls(stream, None, "read_unusable_ids", window=window, columns=columns)
        with opened(self._database) as connection:
            yield from build_rows(plan, fetch(connection, statement, self._sql.bounds(window) | {"ids": self._sql.ids(ids)}, streamed=True))

    def read_user(self, stream: Stream, user_id: str, rows: int) -> list[SourceRow]:
        """Return the newest calls of a user, so many at most, in `time_order`; without an index it reads the whole table."""
        plan, columns = self._plan(stream)
        user = self._sql.named("calls", [self.discover().table(stream).columns["user_id"]])
        statement = self._sql.calls(stream, None, "read_calls_of_user", columns=columns, user=user)
        with opened(self._database) as connection:
            found = build_rows(plan, fetch(connection, statement, {"user_id": user_id, "rows": rows}))
            return sorted({row.message_id: row for row in found}.values(), key=time_order)

    def fill_properties(self, rows: Sequence[SourceRow]) -> None:
        """Add to each track what its event table has of it, in place; a call that is not there stays as it is."""
        self.discover()
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
            events: dict[str, Table] = {}
            slugs: set[str] = set()
            if needs_event_tables(config, tracks):
                events = catalog.probe_events(event_table_names(catalog.tables, config))
                slugs = catalog.sample_slugs(tracks)
        layout = build_layout(config, cursor, (identifies, tracks), events, slugs, typed=typed)
        return replace(layout, warnings=(*layout.warnings, *catalog.warnings))

    def _catalog(self, connection: Connection) -> Catalog:
        config = self._config
        return Catalog(connection, self._database.dialect, config.schema, (config.identifies_table, config.tracks_table))

    def _events_changed(self) -> bool:
        """Look at the event tables again; tell whether a table or a column came or went since."""
        with opened(self._database) as connection:
            catalog = self._catalog(connection)
            names = event_table_names(catalog.tables, self._config)
            found = catalog.probe_events({slug: name for slug, name in names.items() if slug in self._events})
        changed = found != self._events
        self._events = found
        return changed

    def _fill(self, rows: Sequence[SourceRow]) -> None:
        calls: dict[str, list[SourceRow]] = {}
        for row in rows:
            if row.event_slug is not None and row.event_slug in self._events:
                calls.setdefault(row.event_slug, []).append(row)
        if not calls:
            return
        with opened(self._database) as connection:
            for slug, those in calls.items():
                for some in _cut(those):
                    self._fill_from(connection, self._events[slug], some)

    def _fill_from(self, connection: Connection, table: Table, rows: Sequence[SourceRow]) -> None:
        """Look near the calls' own times first, which bounds the scan, then anywhere for those not found."""
        layout = self.discover()
        names = layout.event_columns(table)
        convert = self._converters(table, names)
        missing = {row.message_id for row in rows if not row.message_id.startswith(NAMELESS)} if names else set()
        found: dict[str, dict[str, object]] = {}
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
            statement = self._sql.text(["read_properties", "near_in_time"] if bounds else ["read_properties"], identifiers)
            for row in fetch(connection, statement, {"ids": self._sql.ids(sorted(missing)), **bounds}):
                message_id, _ = read_message_id(row[0])
                if message_id is not None:
                    found[message_id] = read_fields(names, row[1:], convert) | found.get(message_id, {})
            missing -= found.keys()
        for call in rows:
            call.fields.update(found.get(call.message_id, {}))

    def _plan(self, stream: Stream) -> tuple[RowPlan, Identifier]:
        """Return what to select and where each part of it will be."""
        layout = self.discover()
        table = layout.table(stream)
        parts = ["id", *(each for each in ("user_id", "anonymous_id", "event", "event_text") if table.has(each))]
        if stream is Stream.IDENTIFIES:
            parts = [each for each in parts if not each.startswith("event")]
        raw_cursor = [layout.cursor] if self._database.dialect == "sqlite" else []
        json_column = layout.json.get(stream)
        fields = layout.fields(stream) + ((json_column,) if json_column else ())
        place = {name: at + 2 for at, name in enumerate(parts)}
        plan = RowPlan(
            stream=stream,
            cursor=layout.cursor,
            id=place["id"],
            texts=(place["user_id"], place.get("anonymous_id"), place.get("event"), place.get("event_text")),
            raw_cursor=len(parts) + 2 if raw_cursor else None,
            fields=fields,
            first_field=len(parts) + len(raw_cursor) + 2,
            convert=self._converters(table, layout.fields(stream)),
            json=json_column,
        )
        return plan, self._sql.named("calls", (table.columns[name] for name in (*parts, *raw_cursor, *fields)))

    def _converters(self, table: Table, names: Sequence[str]) -> dict[str, Callable[[Any], object]]:
        """Return what makes exact values of SQLite's, which has neither booleans nor times; other drivers give them."""
        if self._database.dialect != "sqlite":
            return {}
        return {name: _CONVERT[table.kinds[name]] for name in names if table.kinds[name] in _CONVERT}


def _cut(items: Sequence[_T]) -> Iterator[Sequence[_T]]:
    for start in range(0, len(items), _IDS_PER_STATEMENT):
        yield items[start : start + _IDS_PER_STATEMENT]
