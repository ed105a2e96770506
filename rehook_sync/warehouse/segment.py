"""The only module that knows Segment's tables: what there is, windowed reads, properties out of event tables.

Reads with SELECT and cursor metadata alone, in SQLite by way of a table of the connection's own. A name from the
settings or from the data becomes SQL only when it was found among the names that exist, and quoted.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, NamedTuple, TypeVar

from sqlalchemy import Connection, TextClause
from sqlalchemy.exc import ProgrammingError

from rehook_sync.database.engine import Database
from rehook_sync.database.fetch import fetch, keep, opened
from rehook_sync.database.queries import Identifier, load_queries
from rehook_sync.errors import DatabaseError, SourceError
from rehook_sync.models import Shard, SourceRow, Stream, Window
from rehook_sync.times import FIRST_MOMENT
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
    least_text,
    read_fields,
    read_message_id,
    sortable,
    time_order,
    to_boolean,
    to_moment,
    usable_time,
)

__all__ = ["JudgedGroup", "SegmentSource", "SourceConfig", "SourceLayout", "Table", "time_order"]

_IDS_PER_STATEMENT = 500
_TILES = 128
_MARGIN = timedelta(days=1)
_TICK = timedelta.resolution
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
        self._queries = load_queries("warehouse", database.dialect)
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

    def newest(self, stream: Stream, window: Window) -> datetime | None:
        """Return the newest time in a window, over all calls, known or not; None when it has none."""
        statement = self._calls(stream, None, "read_newest", window=window)
        with opened(self._database) as connection:
            value = connection.execute(statement, self._bounds(window)).scalar()
        return usable_time(value)

    def read_user_tiles(self, stream: Stream, window: Window, known: Identifier | None) -> list[tuple[str, int]]:
        """Return the users of a window in some dozens of tiles of like size: the first user id of each, and its calls."""
        statement = self._calls(stream, known, "read_user_tiles", window=window, user=self._user_column("calls", stream))
        with opened(self._database) as connection:
            values = self._bounds(window) | _known_values(stream, known) | {"tiles": _TILES}
            return [(row[0], int(row[1])) for row in connection.execute(statement, values).all()]

    def can_split_users(self) -> bool:
        """Tell whether a user id has one text form in both tables, so that ranges of it hold the same users in both."""
        layout = self.discover()
        return len({layout.table(stream).kinds["user_id"] for stream in Stream}) == 1

    def count(self, stream: Stream, window: Window, known: Identifier | None) -> int:
        """Return how many different calls `read_window` gives."""
        statement = self._calls(stream, known, "count_calls", window=window)
        with opened(self._database) as connection:
            return int(connection.execute(statement, self._bounds(window) | _known_values(stream, known)).scalar_one())

    def read_window(self, stream: Stream, window: Window, known: Identifier | None, shard: Shard | None = None) -> Iterator[SourceRow]:
        """Yield the calls of a window in `time_order`, and those whose cursor is no time; an id may come twice.

        Shape:  known: the sync_state table when it is in this database, its calls are left out; None leaves out nothing.
                shard: the users whose calls are read; None: all.
        One connection is open until the iterator ends or is closed. Only calls with a problem may be out of order.
        """
        plan, columns = self._plan(stream)
        statement = self._calls(stream, known, "read_calls", shard, window=window, columns=columns)
        with opened(self._database) as connection:
            values = self._bounds(window) | _known_values(stream, known, shard)
            if self._database.dialect == "sqlite":
                keep(connection, statement, values)
                statement, values = self._text(["read_kept_calls"], {}), {}
            yield from build_rows(plan, fetch(connection, statement, values, streamed=True))

    def read_ids(self, stream: Stream, ids: Sequence[str]) -> list[SourceRow]:
        """Return the calls with these message ids whatever their time, one for each id that is there, in `time_order`."""
        plan, columns = self._plan(stream)
        key = self._key("calls", self.discover().table(stream))
        by_id = self._calls(stream, None, "read_calls_by_id", columns=columns, key=key)
        nameless = self._calls(stream, None, "read_nameless_calls", columns=columns)
        wanted = set(ids)
        found: dict[str, SourceRow] = {}
        with opened(self._database) as connection:
            for some in _cut(sorted(each for each in wanted if not each.startswith(NAMELESS))):
                for row in build_rows(plan, fetch(connection, by_id, {"ids": self._ids(some)})):
                    found.setdefault(row.message_id, row)
            if any(each.startswith(NAMELESS) for each in wanted):
                for row in build_rows(plan, fetch(connection, nameless, {}, streamed=True)):
                    found.setdefault(row.message_id, row)
        return sorted((row for row in found.values() if row.message_id in wanted), key=time_order)

    def read_due(self, stream: Stream, window: Window, known: Identifier | None) -> Iterator[tuple[object, datetime | None, str | None]]:
        """Yield each id of a window once: id, oldest time of arrival, event; one id None stands for all calls without one.

        Shape:  known: as in `read_window`.  The time is None where it is unusable, the event for identifies.
        """
        statement = self._due(stream, window, known, "read_due")
        with opened(self._database) as connection:
            values = self._bounds(window) | _known_values(stream, known)
            for message_id, received_at, event in fetch(connection, statement, values, streamed=True):
                yield message_id, usable_time(received_at), None if event is None else str(event)

    def count_judged(self, stream: Stream, window: Window, known: Identifier) -> list[JudgedGroup]:
        """Return how many ids of a window the sync_state table, which is in this database, has; grouped by what both say."""
        statement = self._due(stream, window, None, "count_judged", recorded=known)
        with opened(self._database) as connection:
            rows = connection.execute(statement, self._bounds(window) | _known_values(stream, known)).all()
        return [JudgedGroup(row[0], row[1], row[2], row[3], row[4], bool(row[5]), row[6]) for row in rows]

    def read_unusable(self, stream: Stream, window: Window, ids: Sequence[str]) -> Iterator[SourceRow]:
        """Yield the calls of a window without an id, and those with one of these ids, which cannot be used; one may come twice."""
        plan, columns = self._plan(stream)
        statement = self._calls(stream, None, "read_unusable_ids", window=window, columns=columns)
        with opened(self._database) as connection:
            yield from build_rows(plan, fetch(connection, statement, self._bounds(window) | {"ids": self._ids(ids)}, streamed=True))

    def read_user(self, stream: Stream, user_id: str, rows: int) -> list[SourceRow]:
        """Return the newest calls of a user, so many at most, in `time_order`; without an index it reads the whole table."""
        plan, columns = self._plan(stream)
        user = self._named("calls", [self.discover().table(stream).columns["user_id"]])
        statement = self._calls(stream, None, "read_calls_of_user", columns=columns, user=user)
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
            "key": self._key("found", table),
            "columns": self._named("found", (table.columns[name] for name in ("id", *names))),
            "cursor": self._named("found", [table.columns.get(layout.cursor, "")]),
        }
        for bounds in (self._near(table, rows), {}):
            if bounds is None or not missing:
                continue
            statement = self._text(["read_properties", "near_in_time"] if bounds else ["read_properties"], identifiers)
            for row in fetch(connection, statement, {"ids": self._ids(sorted(missing)), **bounds}):
                message_id, _ = read_message_id(row[0])
                if message_id is not None:
                    found[message_id] = read_fields(names, row[1:], convert) | found.get(message_id, {})
            missing -= found.keys()
        for call in rows:
            call.fields.update(found.get(call.message_id, {}))

    def _near(self, table: Table, rows: Sequence[SourceRow]) -> dict[str, object] | None:
        """Return bounds a day around the rows, None when the event table or the rows have no such time."""
        cursor = self.discover().cursor
        times = [row.received_at for row in rows if row.received_at is not None]
        if not times or not table.has(cursor) or (self._database.dialect == "postgresql" and table.kinds[cursor] is not Kind.TIME):
            return None
        try:
            low, high = min(times) - _MARGIN, max(times) + _MARGIN
            if self._database.dialect != "sqlite":
                return {"low": low, "high": high}
            # Text with any offset is at most a day off as text, and begins with its date.
            return {"low": (low - _MARGIN).date().isoformat(), "high": (high + 2 * _MARGIN).date().isoformat()}
        except OverflowError:
            return None

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
        return plan, self._named("calls", (table.columns[name] for name in (*parts, *raw_cursor, *fields)))

    def _converters(self, table: Table, names: Sequence[str]) -> dict[str, Callable[[Any], object]]:
        """Return what makes exact values of SQLite's, which has neither booleans nor times; other drivers give them."""
        if self._database.dialect != "sqlite":
            return {}
        return {name: _CONVERT[table.kinds[name]] for name in names if table.kinds[name] in _CONVERT}

    def _key(self, alias: str, table: Table) -> Identifier:
        """Return the column to look ids up in: the id itself where text compares with it, which an index serves, else the id as text."""
        kind = table.kinds["id"]
        comparable = {"postgresql": kind is Kind.TEXT, "sqlite": kind is not Kind.UNTYPED}.get(self._database.dialect, True)
        return self._named(alias, [table.columns["id"] if comparable else "rehook_sync__id"])

    def _named(self, alias: str, columns: Iterable[str]) -> list[tuple[str, ...]]:
        """Return columns as identifiers. SQLite takes a quoted name that is no column for text, unless it is said whose column."""
        return [(alias, column) if self._database.dialect == "sqlite" else (column,) for column in columns]

    def _ids(self, ids: Sequence[str]) -> object:
        return json.dumps(ids) if self._database.dialect == "sqlite" else list(ids)

    def _bounds(self, window: Window) -> dict[str, object]:
        dialect = self._database.dialect
        if dialect == "sqlite":
            return {
                "low": sortable(window.low) if window.low else "",
                "high": sortable(window.high),
                "last": sortable(window.high - _TICK),
                **({} if (near := least_text(window)) is None else {"near": near}),
            }
        beginning = "-infinity" if dialect == "postgresql" else FIRST_MOMENT
        return {"low": window.low or beginning, "high": window.high}

    def _user_column(self, alias: str, stream: Stream) -> Identifier:
        return self._named(alias, [self.discover().table(stream).columns["user_id"]])

    def _due(self, stream: Stream, window: Window, known: Identifier | None, what: str, **identifiers: Identifier) -> TextClause:
        """Return a statement over the different ids of a stream."""
        table = self.discover().table(stream)
        events = [table.columns[each] for each in ("event_text", "event") if table.has(each)] if stream is Stream.TRACKS else []
        if not events:
            return self._calls(stream, known, ("due_identifies", what), None, window=window, without="unjudged_calls", **identifiers)
        # Twice the last one: a function of several values wants two at least.
        named = self._named("calls", (*events, events[-1]))
        return self._calls(stream, known, ("due_tracks", what), None, window=window, without="unjudged_calls", events=named, **identifiers)

    def _calls(
        self,
        stream: Stream,
        known: Identifier | None,
        what: str | Sequence[str],
        shard: Shard | None = None,
        *,
        window: Window | None = None,
        without: str = "new_calls",
        **identifiers: Identifier,
    ) -> TextClause:
        """Return a statement over the calls of a stream; `what` names its last part or parts. `window`: only of these, if it says so.

        without: the part that leaves out known calls. `new_calls` may give one that sync_state has for other days, and is cheap.
        """
        layout = self.discover()
        table = layout.table(stream)
        cursor = table.columns[layout.cursor]
        common: dict[str, Identifier] = {
            "table": table.path,
            "cursor": cursor,
            "times": self._named("t", (*(table.columns[name] for name in layout.times[stream]), cursor, cursor)),
            "id": table.columns["id"],
            "known": known or "",
        }
        if shard is not None:
            common["user"] = self._user_column("due", stream)
        last = (what,) if isinstance(what, str) else what
        parts = ["timed", without if known else "all_calls", "some_users" if shard else "all_users", *last]
        if self._database.dialect == "sqlite":
            parts.insert(0, "whole_table" if window is None or least_text(window) is None else "near_window")
            if what == "read_calls":
                parts.insert(0, "keep_calls")
        return self._text(parts, common | identifiers)

    def _text(self, parts: Sequence[str], identifiers: Mapping[str, Identifier]) -> TextClause:
        """Put a statement together from named parts."""
        queries = [self._queries[part] for part in parts]
        whole = replace(
            queries[-1],
            sql="\n".join(each.sql for each in queries),
            identifiers=frozenset().union(*(each.identifiers for each in queries)),
            expanding=frozenset().union(*(each.expanding for each in queries)),
        )
        return whole.text(self._database.engine.dialect, **{name: identifiers[name] for name in whole.identifiers})


def _known_values(stream: Stream, known: Identifier | None, shard: Shard | None = None) -> dict[str, object]:
    return ({"stream": stream.value} if known else {}) | ({"low_user": shard.low, "high_user": shard.high} if shard else {})


def _cut(items: Sequence[_T]) -> Iterator[Sequence[_T]]:
    for start in range(0, len(items), _IDS_PER_STATEMENT):
        yield items[start : start + _IDS_PER_STATEMENT]
