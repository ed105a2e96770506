"""Statements over Segment's calls, joined from the named fragments in `sql/warehouse`, and the values bound in them.

A name from the settings or the data gets into SQL only if a table or column has that name, and only quoted.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

from sqlalchemy import Connection, TextClause

from rehook_sync.database.dialects import SLICE_ROWS
from rehook_sync.database.engine import Database
from rehook_sync.database.queries import Identifier, load_queries
from rehook_sync.models import Shard, SourceRow, Stream, Window
from rehook_sync.times import FIRST_MOMENT
from rehook_sync.warehouse.layout import Kind, SourceLayout, Table
from rehook_sync.warehouse.rows import RowPlan, array_members, least_text, sortable, to_boolean, to_moment, trimmed
from rehook_sync.warehouse.slices import Place

__all__ = ["CallStatements", "known_values"]

_LISTED_IDS = 20_000
_BOUND_IDS = 500
_SLICE_ROWS = 20_000

_MARGIN = timedelta(days=1)
_TICK = timedelta.resolution
_CONVERT: Mapping[str, Mapping[Kind, Callable[[Any], object]]] = {
    "sqlite": {Kind.BOOLEAN: to_boolean, Kind.TIME: to_moment},
    "postgresql": {Kind.PADDED: trimmed, Kind.ARRAY: array_members},
}
"""Dialect -> what the driver gives in another form than the column's type says, and what makes it right."""
_WITH_DECIMALS = frozenset({Kind.DECIMAL, Kind.UNTYPED})
_FOR_NUMBERS = {"timed": "timed_numbers", "read_properties": "read_properties_numbers"}


class CallStatements:
    """Statements for one source with one layout."""

    def __init__(self, database: Database, layout: SourceLayout, source: str, *, alone: bool) -> None:
        """Load the queries of the warehouse's dialect; nothing is read. `alone`: whether no other source has calls in sync_state."""
        self._source = source
        self._without = "new_calls" if alone else "new_calls_of_source"
        self._database = database
        self._dialect = database.dialect
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
            "table": table.path,
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
        if self._dialect == "sqlite" or layout.has_text(stream, layout.cursor):
            fragments.insert(0, "whole_table" if window is None or least_text(window) is None else "near_window")
        statement = self.text(fragments, common | identifiers)
        return statement.bindparams(source=self._source) if known and without != "new_calls" else statement

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
        return _FOR_NUMBERS[fragment] if _WITH_DECIMALS.intersection(table.kinds[key] for key in keys) else fragment

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

    def prepare(self, connection: Connection) -> None:
        """Let a statement that leaves out known calls compare all of them at once, where a planner might not."""
        if "compare_all_at_once" in self._queries:
            connection.execute(self.text(["compare_all_at_once"], {}))

    def user_column(self, alias: str) -> Identifier:
        """Return the user ids of a stream as text."""
        return self.named(alias, ["rehook_sync__user"])

    def key(self, alias: str, table: Table) -> Identifier:
        """Return the column to look ids up in: the id column if it compares with text, so that an index helps, else the id as text."""
        kind = table.kinds["id"]
        comparable = {"postgresql": kind is Kind.TEXT, "sqlite": kind is not Kind.UNTYPED}.get(self._dialect, True)
        return self.named(alias, [table.columns["id"] if comparable else "rehook_sync__id"])

    def named(self, alias: str, columns: Iterable[str]) -> list[tuple[str, ...]]:
        """Return columns as identifiers. For SQLite they are qualified: it takes a bare quoted name that is no column for text."""
        return [(alias, column) if self._dialect == "sqlite" else (column,) for column in columns]

    def ids(self, ids: Sequence[str]) -> object:
        """Return message ids as the value of a list in the dialect."""
        return json.dumps(ids) if self._dialect == "sqlite" else list(ids)

    def cut(self, ids: Sequence[str]) -> Iterator[Sequence[str]]:
        """Yield ids in portions that one statement can take: a list is one value, or in other warehouses one for each id."""
        most = _LISTED_IDS if self._dialect in {"sqlite", "postgresql"} else _BOUND_IDS
        for start in range(0, len(ids), most):
            yield ids[start : start + most]

    def unusable_ids(self, ids: Sequence[str | bytes]) -> object:
        """Return ids that cannot be kept as the value of a list in the dialect; only SQLite has texts that are bytes to the driver."""
        if self._dialect != "sqlite":
            return [each for each in ids if isinstance(each, str)]
        return json.dumps([(each.encode() if isinstance(each, str) else each).hex().upper() for each in ids])

    def row_plan(self, stream: Stream) -> tuple[RowPlan, Identifier]:
        """Return the positions of a call's columns, and the columns to select."""
        layout = self._layout
        table = layout.tables[stream]
        system = ["id", *(each for each in ("user_id", "anonymous_id", "event", "event_text") if table.has(each))]
        if stream.is_identify:
            system = [each for each in system if not each.startswith("event")]
        raw_cursor = [layout.cursor] if self._dialect == "sqlite" or layout.has_text(stream, layout.cursor) else []
        json_column = layout.json.get(stream)
        fields = layout.fields[stream] + ((json_column,) if json_column else ()) + layout.unsent[stream]
        place = {name: at + 2 for at, name in enumerate(system)}
        convert = self.converters(table, layout.fields[stream] + layout.unsent[stream])
        plan = RowPlan(
            stream=stream,
            cursor=layout.cursor,
            id=place["id"],
            texts=(place["user_id"], place.get("anonymous_id"), place.get("event"), place.get("event_text")),
            raw_cursor=len(system) + 2 if raw_cursor else None,
            fields=fields,
            first_field=len(system) + len(raw_cursor) + 2,
            convert=convert,
            naming=convert if self._dialect == "sqlite" else {},
            json=json_column,
            json_is_text=self._dialect != "postgresql" or json_column is None or table.kinds[json_column] is not Kind.JSON,
            unsent=layout.unsent[stream],
            padded=tuple(at for name, at in place.items() if table.kinds[name] is Kind.PADDED),
            folds_user=table.kinds["user_id"] is not Kind.UUID
            and any(each.kinds["user_id"] is Kind.UUID for each in layout.tables.values()),
        )
        return plan, self.named("calls", (table.columns[name] for name in (*system, *raw_cursor, *fields)))

    def converters(self, table: Table, names: Sequence[str]) -> dict[str, Callable[[Any], object]]:
        """Return column -> function for the values that the driver does not give exactly."""
        convert = _CONVERT.get(self._dialect, {})
        return {name: convert[table.kinds[name]] for name in names if table.kinds[name] in convert}

    def bounds(self, window: Window) -> dict[str, object]:
        """Return the bounds of a window as values that the cursor is compared with."""
        dialect = self._dialect
        near = {} if (least := least_text(window)) is None else {"near": least}
        if dialect == "sqlite":
            low, high = sortable(window.low) if window.low else "", sortable(window.high)
            return {"low": low, "high": high, "last": sortable(window.high - _TICK), **near}
        beginning = "-infinity" if dialect == "postgresql" else FIRST_MOMENT
        return {"low": window.low or beginning, "high": window.high, **near}

    def first_place(self, window: Window, count: int) -> Place:
        """Return where the first slice of a window begins. `count`: values in the spool before it."""
        first = b"" if self._dialect == "sqlite" else ""
        return Place(self.bounds(window)["low"], first, SLICE_ROWS.get(self._dialect, _SLICE_ROWS), count)

    def near(self, table: Table, rows: Sequence[SourceRow]) -> dict[str, object] | None:
        """Return bounds at least a day around the rows' times of arrival, None when the event table or the rows have no such times."""
        cursor = self._layout.cursor
        times = [row.received_at for row in rows if row.received_at is not None]
        if not times or not table.has(cursor) or (self._dialect == "postgresql" and table.kinds[cursor] is not Kind.TIME):
            return None
        try:
            low, high = min(times) - _MARGIN, max(times) + _MARGIN
            if self._dialect != "sqlite":
                return {"low": low, "high": high}
            # A time begins with its date, which an offset moves by at most a day.
            return {"low": (low - _MARGIN).date().isoformat(), "high": (high + 2 * _MARGIN).date().isoformat()}
        except OverflowError:
            return None


def known_values(stream: Stream, known: Identifier | None, shard: Shard | None = None) -> dict[str, object]:
    """Return the values that select known calls and the users of a shard."""
    return ({"stream": stream} if known else {}) | ({"low_user": shard.low, "high_user": shard.high} if shard else {})
