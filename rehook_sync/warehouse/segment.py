"""Reading a Segment source: its layout, the calls of a window, properties from event tables.

Nothing is written to the warehouse. Each read is a short transaction: what it gives is put aside before it is used.
"""

from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from functools import partial
from itertools import starmap
from typing import Any, TypeVar

from sqlalchemy import Connection, TextClause
from sqlalchemy.exc import DataError, ProgrammingError

from rehook_sync.database.engine import Database
from rehook_sync.database.fetch import fetch
from rehook_sync.database.kinds import Kind, trimmed
from rehook_sync.database.queries import Identifier
from rehook_sync.database.spool import Spool
from rehook_sync.errors import AlteredError, DatabaseError, LockedError, SourceError, TransientError
from rehook_sync.models import DEFAULT_SOURCE, STREAMS, Shard, SourceRow, Stream, Window
from rehook_sync.times import LAST_MOMENT
from rehook_sync.warehouse.catalog import Catalog
from rehook_sync.warehouse.columns import altered
from rehook_sync.warehouse.discovery.layouts import open_catalog, read_layout
from rehook_sync.warehouse.layout import SourceConfig, SourceLayout, Table
from rehook_sync.warehouse.properties import EventProperties
from rehook_sync.warehouse.reader import Reader
from rehook_sync.warehouse.rows import NAMELESS, build_rows, spellings, time_order, usable_time
from rehook_sync.warehouse.slices import CallSpooler, Place
from rehook_sync.warehouse.statements import CallStatements, JudgedGroup, known_values
from rehook_sync.warehouse.stretches.excerpts import Excerpt
from rehook_sync.warehouse.stretches.looks import Look, Lookout, estimate, read_look
from rehook_sync.warehouse.stretches.sparse import put_sparse

__all__ = ["SegmentSource", "SourceConfig", "SourceLayout", "Table", "time_order"]

_TILES = 128
_NOTHING: tuple[int, Mapping[str, object], int] = (-1, {}, 0)
_T = TypeVar("_T")


class SegmentSource:
    """One Segment source in one warehouse. Its layout is read once, and again when a table turns out to be altered.

    Shape:  name: what the sync-state tables call it.  reader: its reads, and how patient they are.
    """

    def __init__(
        self, database: Database, config: SourceConfig, name: str = DEFAULT_SOURCE, reader: Reader | None = None, *, alone: bool = True
    ) -> None:
        """Prepare; nothing is read. `reader`: shared with other sources of the warehouse, unless the source is `alone`."""
        self.name = name
        self._alone = alone
        self._database = database
        self._config = config
        self._layout: SourceLayout | None = None
        self._properties: EventProperties | None = None
        self.reader = reader or Reader(database, (config.schema,))

    @property
    def layout(self) -> SourceLayout:
        """Return the layout, read at the first use.

        Raises: SourceError when no table of calls can be read; the message names the setting to change.
        """
        if self._layout is None:
            self._layout = self._look()
        return self._layout

    def discover(self) -> SourceLayout:
        """Return the layout of a source that has all tables of calls. Raises: SourceError for each that cannot be read."""
        for stream in self._config.streams:
            self.layout.require(stream)
        return self.layout

    @property
    def views_read(self) -> set[str]:
        """Return the views beside tables that were read for events that are called so."""
        return set(self._properties.views) if self._properties else set()

    @property
    def _sql(self) -> CallStatements:
        return CallStatements(self._database, self.layout, self.name, alone=self._alone)

    def read_event_names(self) -> set[str]:
        """Return the names of all events, as calls have them. Scans tracks."""
        layout = self.layout
        others = {event for stream, event in layout.events.items() if stream in layout.tables}
        if Stream.TRACKS not in layout.tables:
            return others
        tracks = layout.tracks
        return others | self.reader.read(lambda connection: self._catalog(connection).read_event_names(tracks, ["event_text", "event"]))

    def newest(self, stream: Stream, window: Window) -> datetime | None:
        """Return the newest time of arrival in a window, known calls included; None when there is none."""
        statement = self._sql.calls(stream, None, "read_newest", window=window)
        return usable_time(self._read_rows(statement, self._sql.bounds(window, timed=True))[0][0])

    def count_from(self, stream: Stream, moment: datetime) -> int:
        """Return how many calls arrived at this time or later, as far as a thousand."""
        window = Window(moment, LAST_MOMENT)
        statement = self._sql.calls(stream, None, "count_from", window=window)
        ((calls,),) = self._read_rows(statement, self._sql.bounds(window, timed=True))
        return int(calls)

    def require_times(self, stream: Stream) -> None:
        """Raise SourceError when a table has rows, but none with a usable time of arrival."""
        statement = self._sql.calls(stream, None, "find_time")
        ((has_time, has_rows),) = self._read_rows(statement, {})
        if has_rows and not has_time:
            layout, setting = self.layout, f"{stream.upper()}_TABLE" if stream in STREAMS else "OTHER_CALLS"
            raise SourceError(
                f"no row of table {layout.tables[stream].name!r} has a time in column {layout.cursor!r} that can be read; set "
                f"CURSOR_COLUMN to another column, or convert it in a view and name that in {setting}"
            )

    def read_user_tiles(self, stream: Stream, window: Window, known: Identifier | None) -> list[tuple[str, int]]:
        """Return the users of a window in tiles of about as many calls: the first user id and the calls of each."""
        statement = self._sql.calls(stream, known, "read_user_tiles", window=window, user=self._sql.user_column("calls"))
        values = self._sql.bounds(window) | known_values(stream, known) | {"tiles": _TILES}
        return [(row[0], int(row[1])) for row in self._read_rows(statement, values)]

    def look(self, what: Lookout, spool: Spool) -> Look | None:
        """Return how a window looks, None where the warehouse cannot tell. `spool`: for ids, see `Lookout`."""
        if not self._sql.has("read_stretches"):
            return None
        try:
            return self._read(lambda connection: read_look(self._sql, what, spool, connection))
        except DatabaseError as error:
            if isinstance(error.__cause__, DataError):  # SQLite can join a gigabyte of ids at most
                return None
            raise

    def estimate(self, stream: Stream, window: Window) -> tuple[int, int] | None:
        """Return how many bytes a look at a window reads, and its calls; None where the warehouse does not say."""
        return self._read(lambda connection: estimate(self._sql, stream, window, connection))

    def read_window(
        self,
        stream: Stream,
        window: Window,
        known: Identifier | None,
        shard: Shard | None = None,
        excerpt: Excerpt | None = None,
        count: Callable[[int], object] = bool,
    ) -> Iterator[SourceRow]:
        """Yield the calls of a window, and those whose cursor is no time, in `time_order`; an id may come twice.

        Shape:  known: sync_state, if it is in this database; leaves out calls recorded in the same window or without a time.
                shard: the users whose calls are read; None: all.  excerpt: what of the window is read; None: all.  count: is told how many.
        All are read before the first is yielded. Only calls with a problem may be out of order.
        """
        chosen = excerpt or Excerpt((window,))
        with Spool() as spool:
            with self.reader.together():
                if chosen.ids and not self._read(partial(self._read_sparse, stream, chosen, spool, spool.count)):
                    spool.cut(0)
                    chosen = replace(chosen, windows=chosen.all_windows, sparse=())
                for part, each in chosen.parts(window, sliced=bool(self._sql.slice_rows)):
                    place: Place | None = self._sql.first_place(each, spool.count)
                    while place is not None:
                        place = self._read(partial(self._read_slice, (stream, each, known, shard), part, CallSpooler(spool), place))
            count(spool.count)
            yield from starmap(SourceRow, spool.in_order())

    def _read_sparse(self, stream: Stream, excerpt: Excerpt, spool: Spool, count: int, connection: Connection) -> bool:
        spool.cut(count)
        found = put_sparse(self._sql, stream, excerpt, spool, connection)
        self._require_same([self.layout.tables[stream]], connection)
        return found

    def _read_slice(
        self,
        calls: tuple[Stream, Window, Identifier | None, Shard | None],
        part: str,
        spooler: CallSpooler,
        place: Place,
        connection: Connection,
    ) -> Place | None:
        """Put the calls from a place of a window on aside; return where the next slice begins, None at the end."""
        stream, window, known, shard = calls
        plan, columns = self._sql.row_plan(stream)
        rest = replace(window, low=usable_time(place.at) or window.low)
        statement = self._sql.calls(stream, known, part, shard, window=rest, columns=columns)
        values = self._sql.bounds(rest, timed=part == "read_slice") | known_values(stream, known, shard) | {"low": place.at}
        if known:
            self._sql.prepare(connection)
        next_place = spooler.put_slice(connection, statement, values, plan, place)
        self._require_same([self.layout.tables[stream]], connection)
        return next_place

    def read_ids(self, stream: Stream, ids: Iterable[str]) -> Iterator[SourceRow]:
        """Yield the calls with these message ids, of any time, one per id found, in `time_order`."""
        padded = self.layout.tables[stream].kinds["id"] is Kind.PADDED
        wanted = {str(trimmed(each)) if padded else each: each for each in ids}
        with Spool() as spool:
            for page in self._sql.cut(sorted(each for each in wanted if not each.startswith(NAMELESS))):
                self._read(partial(self._read_by_id, stream, page, wanted, spool, spool.count))
            if any(each.startswith(NAMELESS) for each in wanted):
                self._read(partial(self._read_by_id, stream, None, wanted, spool, spool.count))
            for row in starmap(SourceRow, spool.in_order()):
                message_id = wanted.pop(row.message_id, None)
                if message_id is not None:
                    row.message_id = message_id
                    yield row

    def _read_by_id(
        self, stream: Stream, page: Sequence[str] | None, wanted: Container[str], spool: Spool, count: int, connection: Connection
    ) -> None:
        """Put the wanted calls aside: those with the ids of a page, or, without a page, those that have no id."""
        spool.cut(count)
        plan, columns = self._sql.row_plan(stream)
        table = self.layout.tables[stream]
        if page is None:
            statement = self._sql.calls(stream, None, "read_nameless_calls", columns=columns)
        else:
            statement = self._sql.calls(stream, None, "read_calls_by_id", columns=columns, key=self._sql.key("calls", table))
        CallSpooler(spool).put_all(connection, statement, {"ids": self._sql.ids(page or ())}, plan, wanted)
        self._require_same([table], connection)

    def read_due(self, stream: Stream, window: Window, known: Identifier | None) -> Iterator[tuple[object, datetime | None, str | None]]:
        """Yield each id of a window once: id, oldest time of arrival, event.

        Shape:  known: sync_state, if it is in this database; leaves out every call that is recorded.
                id: None stands for all calls without one.  time: None if unusable.  event: None for identifies.
        All are read before the first is yielded.
        """
        every = self.layout.events.get(stream)
        statement = self._sql.due(stream, window, known, "read_due")
        values = self._sql.bounds(window) | known_values(stream, known)
        with Spool() as spool:

            def read(connection: Connection) -> None:
                spool.cut(0)
                for page in fetch(connection, statement, values):
                    spool.put_each([tuple(row) for row in page])

            self._read(read)
            for message_id, received_at, event in spool.in_order():
                yield message_id, usable_time(received_at), every if event is None else str(event)

    def count_judged(self, stream: Stream, window: Window, known: Identifier) -> list[JudgedGroup]:
        """Return how many ids of a window sync_state has of this source, by day, event and status. `known`: its name."""
        statement = self._sql.due(stream, window, None, "count_judged", recorded=known)
        rows = self._read_rows(statement, self._sql.bounds(window) | known_values(stream, known) | {"source": self.name})
        every = self.layout.events.get(stream)
        return [JudgedGroup(row[0], every if row[1] is None else row[1], row[2], row[3], row[4], bool(row[5]), row[6]) for row in rows]

    def read_unusable(self, stream: Stream, window: Window, ids: Sequence[str | bytes]) -> Iterator[SourceRow]:
        """Yield the calls of a window without an id or with one of these unusable ids; a call may come twice."""
        plan, columns = self._sql.row_plan(stream)
        statement = self._sql.calls(stream, None, "read_unusable_ids", window=window, columns=columns)
        values = self._sql.bounds(window) | {"ids": self._sql.unusable_ids(ids)}
        with Spool() as spool:

            def read(connection: Connection) -> None:
                spool.cut(0)
                CallSpooler(spool).put_all(connection, statement, values, plan)

            self._read(read)
            yield from starmap(SourceRow, spool.in_order())

    def read_user(self, stream: Stream, user_id: str, rows: int) -> list[SourceRow]:
        """Return at most `rows` newest calls of a user, in `time_order`. Without an index on user ids it scans the table."""
        plan, columns = self._sql.row_plan(stream)
        statement = self._sql.calls(stream, None, "read_calls_of_user", columns=columns, user=self._sql.user_column("calls"))
        found: dict[str, SourceRow] = {}
        for each in sorted(spellings(user_id)) if plan.folds_user else [user_id]:
            values = {"user_id": each, "rows": rows}
            found.update((row.message_id, row) for row in build_rows(plan, self._read_rows(statement, values)))
        return sorted(found.values(), key=time_order)[-rows:]

    def fill_properties(self, rows: Sequence[SourceRow]) -> Iterator[SourceRow]:
        """Yield the rows, each track with the properties that its event table has, or `unloaded` if there are none."""
        if self.layout.track_properties != "event_tables" and not self.layout.event_views:
            yield from rows
            return
        with Spool() as spool:
            with self.reader.together():
                contested = self._read_properties(rows, spool)
            found = spool.in_order()
            place, fields, size = next(found, _NOTHING)
            for at, row in enumerate(rows):
                properties: dict[str, object] = {}
                while place == at:
                    properties = {**fields, **properties}
                    row.size += size
                    place, fields, size = next(found, _NOTHING)
                if at not in contested:
                    row.fields.update(properties)
                yield row

    def _read_properties(self, rows: Sequence[SourceRow], spool: Spool) -> set[int]:
        """Put the properties aside, all by one layout. Returns the places of rows that more than one table has."""
        longest = self._database.warehouse.longest_name
        self._properties = self._properties or EventProperties(self.reader, lambda: self.layout, self._probe_events, longest)
        while True:
            spool.cut(0)
            try:
                tables, contested = self._properties.read(rows, self._sql, spool)
                self.reader.read(partial(self._require_same, tables))
                return contested
            except (LockedError, TransientError):
                raise
            except DatabaseError:
                if not self._properties.look_again():
                    raise

    def _probe_events(self, wanted: Container[str]) -> Mapping[str, Table]:
        """Return tables that events in use are called like; those that cannot be read are `unreadable` from now on."""
        found, lost = self.reader.read(lambda connection: self._catalog(connection).probe_in_use(wanted, self.layout.cursor))
        self._layout = replace(self.layout, unreadable={**self.layout.unreadable, **lost})
        return found

    def _read_rows(self, statement: TextClause, values: Mapping[str, object]) -> list[Sequence[Any]]:
        """Return the few rows of a statement."""
        return self.reader.read(lambda connection: [row for page in fetch(connection, statement, values) for row in page])

    def _read(self, read: Callable[[Connection], _T]) -> _T:
        """Return what `read` returns; call it again with the layout there is when a table was altered meanwhile."""
        while True:
            try:
                return self.reader.read(read)
            except DatabaseError as error:
                self._look_again(error)

    def _require_same(self, tables: Sequence[Table], connection: Connection) -> None:
        """Raise AlteredError when a table has other columns than the layout says: what was read may lack some."""
        if names := altered(connection, self._database.warehouse, tables):
            raise AlteredError(f"table {names[0]!r} was altered while it was read; run again")

    def _look_again(self, error: DatabaseError) -> None:
        """Read the layout again after an error. Raises the error unless the layout has changed and the same can be read."""
        if isinstance(error, LockedError | TransientError):
            raise error
        before, found = self.layout, self._look()
        if replace(found, unreadable=before.unreadable) == before or found.track_properties != before.track_properties:
            raise error
        for stream in before.tables:
            found.require(stream)
        self._layout = replace(found, unreadable={**before.unreadable, **found.unreadable})

    def _look(self) -> SourceLayout:
        try:
            return self.reader.read(lambda connection: read_layout(connection, self._database.warehouse, self._config))
        except DatabaseError as error:
            if isinstance(error.__cause__, ProgrammingError):
                raise SourceError(str(error)) from error
            raise

    def _catalog(self, connection: Connection) -> Catalog:
        return open_catalog(connection, self._database.warehouse, self._config)
