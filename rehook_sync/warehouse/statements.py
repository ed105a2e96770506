"""Statements over Segment's calls, joined from the named fragments in `sql/warehouse`, and the values bound in them.

A name from the settings or the data gets into SQL only if a table or column has that name, and only quoted.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import Connection, TextClause

from rehook_sync.database.dialects.record import Convert, Meter
from rehook_sync.database.engine import Database
from rehook_sync.database.kinds import Kind
from rehook_sync.database.queries import Column, Identifier, Selected, load_queries
from rehook_sync.models import Shard, SourceRow, Stream, Window
from rehook_sync.times import FIRST_MOMENT
from rehook_sync.warehouse.layout import SourceLayout, Table
from rehook_sync.warehouse.rows import RowPlan, least_text
from rehook_sync.warehouse.slices import Place

__all__ = ["CallStatements", "JudgedGroup", "known_values"]

_MARGIN = timedelta(days=1)
_TICK = timedelta.resolution
_WITH_DECIMALS = frozenset({Kind.DECIMAL, Kind.UNTYPED})
_FOR_NUMBERS = {"timed": "timed_numbers", "minutes": "minutes_numbers", "read_properties": "read_properties_numbers"}


class JudgedGroup(NamedTuple):
    """The number of ids of a window in sync_state, of one day, event and status.

    Shape:  day, event: from the warehouse; days are `2026-11-01`, None for calls without a usable time.
            recorded_day, recorded_event: from sync_state.  recorded_within: whether it is recorded for this source, in the window.
    """

    day: str | None
    event: str | None
    status: str
    recorded_day: str | None
    recorded_event: str | None
    recorded_within: bool
    calls: int


class CallStatements:
    """Statements for one source with one layout. Shape:  source: its name."""

    def __init__(self, database: Database, layout: SourceLayout, source: str, *, alone: bool) -> None:
        """Load the queries of the warehouse's dialect; nothing is read. `alone`: whether no other source has calls in sync_state."""
        self.source = source
        self._without = "new_calls" if alone else "new_calls_of_source"
        self._database = database
        self._warehouse = database.warehouse
        self._layout = layout
        self._queries = load_queries("warehouse", database.dialect)

    def calls(
        self,
        stream: Stream,
        known: Identifier | None,
        what: str | Sequence[str],
        shard: Shard | None = None,
        *,
        window: Window | None = None,
        without: str | None = None,
        **identifiers: Identifier,
    ) -> TextClause:
        """Return a statement over the calls of a stream.

        Shape:  known: sync_state, whose calls are left out, or None.  what: the last fragment or fragments.  window: None for all rows.
                without: the fragment that leaves out known calls; None: a cheap one, which gives calls recorded outside the window.
        """
        without = without or self._without
        layout = self._layout
        table = layout.tables[stream]
        cursor = table.columns[layout.cursor]
        times = [*(table.columns[name] for name in layout.times[stream]), cursor, cursor]
        common: dict[str, Identifier] = {
            "table": self.read(table, near=window is not None and self._loaded_from(window.low) is not None),
            "cursor": cursor,
            "times": self.named("t", times),
            "first": times[0],
            "second": times[1],
            "id": table.columns["id"],
            "user_id": table.columns["user_id"],
            "known": known or "",
        }
        if shard is not None:
            common["user"] = self.user_column("due")
        last = (what,) if isinstance(what, str) else what
        fragments = [
            self._timed(stream),
            without if known else "all_calls",
            "some_users" if shard else "all_users",
            *last,
        ]
        if not self._warehouse.has_times or layout.has_text(stream, layout.cursor):
            fragments.insert(0, "whole_table" if window is None or least_text(window) is None else "near_window")
        statement = self.text(fragments, common | identifiers)
        return statement.bindparams(source=self.source) if known and without != "new_calls" else statement

    def stretches(self, stream: Stream, window: Window) -> TextClause:
        """Return the statement that gives the stretches of a window, and the calls without a time."""
        if not self.has("minutes"):
            return self.calls(stream, None, "read_stretches", window=window)
        table = self._layout.tables[stream]
        named: dict[str, Identifier] = {"table": table.path, "cursor": table.columns[self._layout.cursor], "id": table.columns["id"]}
        near = "whole_table" if least_text(window) is None else "near_window"
        return self.text([near, self._by_kind("minutes", table, "id"), "read_stretches"], named)

    @property
    def dry_options(self) -> Mapping[str, Any] | None:
        """Return what makes a statement say what it would read; None where no statement does."""
        return self._warehouse.dry()

    @property
    def meter(self) -> Meter:
        """Return what is counted of the statements."""
        return self._database.meter

    def has(self, name: str) -> bool:
        """Tell whether there is such a statement for this warehouse."""
        return name in self._queries

    def properties(self, table: Table, *, near: bool) -> list[str]:
        """Return the fragments that read an event table by ids, `near`: within bounds of time."""
        return [self._by_kind("read_properties", table, "id"), *(["near_in_time"] if near else [])]

    def _timed(self, stream: Stream) -> str:
        """Return the fragment that adds times and ids to the calls of a stream."""
        layout = self._layout
        if layout.has_text(stream, layout.cursor):
            return "timed_text_cursor"
        return (
            "timed_texts"
            if layout.has_text(stream, *layout.times[stream])
            else self._by_kind("timed", layout.tables[stream], "id", "user_id")
        )

    def _by_kind(self, fragment: str, table: Table, *keys: str) -> str:
        """Return the version of a fragment for ids that may be written with decimals, if there are such."""
        has_decimals = _WITH_DECIMALS.intersection(table.kinds[key] for key in keys)
        return _FOR_NUMBERS[fragment] if has_decimals and _FOR_NUMBERS[fragment] in self._queries else fragment

    def due(self, stream: Stream, window: Window, known: Identifier | None, what: str, **identifiers: Identifier) -> TextClause:
        """Return a statement over the ids of a window, each once; `what` names its last fragment."""
        table = self._layout.tables[stream]
        events = [table.columns[each] for each in ("event_text", "event") if table.has(each)] if stream == Stream.TRACKS else []
        if not events:
            return self.calls(stream, known, ("due_identifies", what), None, window=window, without="unjudged_calls", **identifiers)
        # The last one twice: COALESCE needs at least two values.
        named = self.named("calls", (*events, events[-1]))
        return self.calls(stream, known, ("due_tracks", what), None, window=window, without="unjudged_calls", events=named, **identifiers)

    def text(self, parts: Sequence[str], identifiers: Mapping[str, Identifier]) -> TextClause:
        """Join named fragments into a statement."""
        queries = [self._queries[part] for part in parts]
        whole = replace(
            queries[-1],
            sql="\n".join(each.sql for each in queries),
            identifiers=frozenset().union(*(each.identifiers for each in queries)),
            expanding=frozenset().union(*(each.expanding for each in queries)),
        )
        return whole.text(self._database.engine.dialect, **{name: identifiers[name] for name in whole.identifiers})

    def read(self, table: Table, *, near: bool) -> Identifier:
        """Return the table as it is read; `near`: without the partitions that are older than the bound `loaded_from`."""
        fragment = self._warehouse.pruned(table.partition, self._layout.cursor) if near and table.partition else None
        if fragment is None:
            return table.path
        names: dict[str, Identifier] = {"table": table.path, "partition": table.partition or ""}
        query = self._queries[fragment]
        return Selected(table.path, str(query.text(self._database.engine.dialect, **{each: names[each] for each in query.identifiers})))

    def _loaded_from(self, low: datetime | None) -> datetime | None:
        """Return when the calls from a time on were loaded at the earliest: clocks differ by less than a day."""
        return None if low is None or low - FIRST_MOMENT < _MARGIN else low - _MARGIN

    def prepare(self, connection: Connection) -> None:
        """Let a statement that leaves out known calls compare all of them at once, where a planner might not."""
        if self.has("compare_all_at_once"):
            connection.execute(self.text(["compare_all_at_once"], {}))

    def user_column(self, alias: str) -> Identifier:
        """Return the user ids of a stream as text."""
        return self.named(alias, [self._warehouse.own_name("rehook_sync__user")])

    def key(self, alias: str, table: Table) -> Identifier:
        """Return the column to look ids up in: the id column if it compares with text, so that an index helps, else the id as text."""
        comparable = table.kinds["id"] in self._warehouse.text_keys
        return self.named(alias, [table.columns["id"] if comparable else self._warehouse.own_name("rehook_sync__id")])

    def named(self, alias: str, columns: Iterable[str]) -> list[tuple[str, ...]]:
        """Return columns as identifiers. They are qualified: SQLite takes a bare quoted name that is no column for text."""
        return [(self._warehouse.own_name(alias), column) for column in columns]

    def selected(self, alias: str, table: Table, columns: Iterable[str]) -> list[Column]:
        """Return columns, named as Segment writes them, in the form in which they are read."""
        forms = self._warehouse.select_as
        return [Selected((self._warehouse.own_name(alias), table.columns[each]), forms.get(table.kinds[each], "{}")) for each in columns]

    def ids(self, ids: Sequence[str]) -> object:
        """Return message ids as the value of a list in the dialect."""
        return self._warehouse.bind_ids(ids)

    def cut(self, ids: Sequence[str]) -> Iterator[Sequence[str]]:
        """Yield ids in portions that one statement can take: a list is one value, or in other warehouses one for each id."""
        most = self._warehouse.most_ids
        for start in range(0, len(ids), most):
            yield ids[start : start + most]

    def unusable_ids(self, ids: Sequence[str | bytes]) -> object:
        """Return ids that cannot be kept as the value of a list in the dialect."""
        return self._warehouse.bind_odd_ids(ids)

    def row_plan(self, stream: Stream) -> tuple[RowPlan, list[Column]]:
        """Return the positions of a call's columns, and the columns to select."""
        layout = self._layout
        table = layout.tables[stream]
        system = ["id", *(each for each in ("user_id", "anonymous_id", "event", "event_text") if table.has(each))]
        if stream != Stream.TRACKS:
            system = [each for each in system if not each.startswith("event")]
        raw_cursor = [layout.cursor] if not self._warehouse.has_times or layout.has_text(stream, layout.cursor) else []
        json_column = layout.json.get(stream)
        fields = layout.fields[stream] + ((json_column,) if json_column else ()) + layout.unsent[stream]
        place = {name: at + 2 for at, name in enumerate(system)}
        converted = layout.fields[stream] + layout.unsent[stream]
        plan = RowPlan(
            stream=stream,
            source=self.source,
            event=layout.events.get(stream),
            cursor=layout.cursor,
            id=place["id"],
            texts=(place["user_id"], place.get("anonymous_id"), place.get("event"), place.get("event_text")),
            raw_cursor=len(system) + 2 if raw_cursor else None,
            fields=fields,
            first_field=len(system) + len(raw_cursor) + 2,
            convert=_by_column(self._warehouse.convert, table, converted),
            naming=_by_column(self._warehouse.naming, table, converted),
            json=json_column,
            json_is_text=not self._warehouse.decodes_json or json_column is None or table.kinds[json_column] is not Kind.JSON,
            unsent=layout.unsent[stream],
            padded=tuple(at for name, at in place.items() if table.kinds[name] is Kind.PADDED),
            folds_user=table.kinds["user_id"] is not Kind.UUID
            and any(each.kinds["user_id"] is Kind.UUID for each in layout.tables.values()),
        )
        return plan, [
            *self.named("calls", (table.columns[name] for name in (*system, *raw_cursor))),
            *self.selected("calls", table, fields),
        ]

    def converters(self, table: Table, names: Sequence[str]) -> dict[str, Convert]:
        """Return column -> function for the values that the driver does not give exactly."""
        return _by_column(self._warehouse.convert, table, names)

    def bounds(self, window: Window, *, timed: bool = False) -> dict[str, object]:
        """Return the bounds of a window as values that the cursor is compared with. `timed`: calls without a time are left out."""
        bind, beginning = self._warehouse.bind_time, self._warehouse.beginning
        near = {} if (least := least_text(window, timed=timed)) is None else {"near": least}
        low = beginning if window.low is None else bind(window.low)
        last, loaded_from = bind(window.high - _TICK), self._loaded_from(window.low)
        return {"low": low, "high": bind(window.high), "last": last, "loaded_from": loaded_from, **near}

    def first_place(self, window: Window, count: int) -> Place:
        """Return where the first slice of a window begins. `count`: values in the spool before it."""
        return Place(self.bounds(window)["low"], self._warehouse.first_id, self.slice_rows, count, self._warehouse.buffers_results)

    @property
    def slice_rows(self) -> int:
        """Return how many rows the first slice of a window has at most."""
        return self._warehouse.slice_rows

    def near(self, table: Table, rows: Sequence[SourceRow]) -> dict[str, object] | None:
        """Return bounds at least a day around the rows' times of arrival, None when the event table or the rows have no such times."""
        cursor = self._layout.cursor
        times = [row.received_at for row in rows if row.received_at is not None]
        if not times or not table.has(cursor) or (self._layout.typed and table.kinds[cursor] is not Kind.TIME):
            return None
        try:
            low, high = min(times) - _MARGIN, max(times) + _MARGIN
            if self._warehouse.has_times:
                return {"low": low, "high": high, "loaded_from": low}
            # A time begins with its date, which an offset moves by at most a day.
            return {"low": (low - _MARGIN).date().isoformat(), "high": (high + 2 * _MARGIN).date().isoformat()}
        except OverflowError:
            return None


def _by_column(convert: Mapping[Kind, Convert], table: Table, names: Sequence[str]) -> dict[str, Convert]:
    return {name: convert[table.kinds[name]] for name in names if table.kinds[name] in convert}


def known_values(stream: Stream, known: Identifier | None, shard: Shard | None = None) -> dict[str, object]:
    """Return the values that select known calls and the users of a shard."""
    return ({"stream": stream} if known else {}) | ({"low_user": shard.low, "high_user": shard.high} if shard else {})
