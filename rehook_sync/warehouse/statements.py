"""Statements over Segment's calls, put together from the named parts in `sql/warehouse`, with the values bound in them.

A name from the settings or from the data becomes SQL only when it was found among the names that exist, and quoted.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta

from sqlalchemy import TextClause

from rehook_sync.database.engine import Database
from rehook_sync.database.queries import Identifier, load_queries
from rehook_sync.models import Shard, SourceRow, Stream, Window
from rehook_sync.times import FIRST_MOMENT
from rehook_sync.warehouse.layout import Kind, SourceLayout, Table
from rehook_sync.warehouse.rows import least_text, sortable

__all__ = ["CallStatements", "known_values"]

_MARGIN = timedelta(days=1)
_TICK = timedelta.resolution


class CallStatements:
    """Makes statements for one source as it is laid out in one warehouse."""

    def __init__(self, database: Database, layout: SourceLayout) -> None:
        """Take note of where the calls are; nothing is asked."""
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
        without: str = "new_calls",
        **identifiers: Identifier,
    ) -> TextClause:
        """Return a statement over the calls of a stream; `what` names its last part or parts. `window`: only of these, if it says so.

        without: the part that leaves out known calls. `new_calls` may give one that sync_state has for other days, and is cheap.
        """
        layout = self._layout
        table = layout.table(stream)
        cursor = table.columns[layout.cursor]
        common: dict[str, Identifier] = {
            "table": table.path,
            "cursor": cursor,
            "times": self.named("t", (*(table.columns[name] for name in layout.times[stream]), cursor, cursor)),
            "id": table.columns["id"],
            "known": known or "",
        }
        if shard is not None:
            common["user"] = self.user_column("due", stream)
        last = (what,) if isinstance(what, str) else what
        parts = ["timed", without if known else "all_calls", "some_users" if shard else "all_users", *last]
        if self._dialect == "sqlite":
            parts.insert(0, "whole_table" if window is None or least_text(window) is None else "near_window")
            if what == "read_calls":
                parts.insert(0, "keep_calls")
        return self.text(parts, common | identifiers)

    def due(self, stream: Stream, window: Window, known: Identifier | None, what: str, **identifiers: Identifier) -> TextClause:
        """Return a statement over the different ids of a stream."""
        table = self._layout.table(stream)
        events = [table.columns[each] for each in ("event_text", "event") if table.has(each)] if stream is Stream.TRACKS else []
        if not events:
            return self.calls(stream, known, ("due_identifies", what), None, window=window, without="unjudged_calls", **identifiers)
        # Twice the last one: a function of several values wants two at least.
        named = self.named("calls", (*events, events[-1]))
        return self.calls(stream, known, ("due_tracks", what), None, window=window, without="unjudged_calls", events=named, **identifiers)

    def text(self, parts: Sequence[str], identifiers: Mapping[str, Identifier]) -> TextClause:
        """Put a statement together from named parts."""
        queries = [self._queries[part] for part in parts]
        whole = replace(
            queries[-1],
            sql="\n".join(each.sql for each in queries),
            identifiers=frozenset().union(*(each.identifiers for each in queries)),
            expanding=frozenset().union(*(each.expanding for each in queries)),
        )
        return whole.text(self._database.engine.dialect, **{name: identifiers[name] for name in whole.identifiers})

    def user_column(self, alias: str, stream: Stream) -> Identifier:
        """Return the column of user ids."""
        return self.named(alias, [self._layout.table(stream).columns["user_id"]])

    def key(self, alias: str, table: Table) -> Identifier:
        """Return the column to look ids up in: the id itself where text compares with it, which an index serves, else the id as text."""
        kind = table.kinds["id"]
        comparable = {"postgresql": kind is Kind.TEXT, "sqlite": kind is not Kind.UNTYPED}.get(self._dialect, True)
        return self.named(alias, [table.columns["id"] if comparable else "rehook_sync__id"])

    def named(self, alias: str, columns: Iterable[str]) -> list[tuple[str, ...]]:
        """Return columns as identifiers. SQLite takes a quoted name that is no column for text, unless it is said whose column."""
        return [(alias, column) if self._dialect == "sqlite" else (column,) for column in columns]

    def ids(self, ids: Sequence[str]) -> object:
        """Return message ids as the dialect takes a list of them."""
        return json.dumps(ids) if self._dialect == "sqlite" else list(ids)

    def bounds(self, window: Window) -> dict[str, object]:
        """Return the values of a window, as the cursor is compared with them."""
        dialect = self._dialect
        if dialect == "sqlite":
            return {
                "low": sortable(window.low) if window.low else "",
                "high": sortable(window.high),
                "last": sortable(window.high - _TICK),
                **({} if (near := least_text(window)) is None else {"near": near}),
            }
        beginning = "-infinity" if dialect == "postgresql" else FIRST_MOMENT
        return {"low": window.low or beginning, "high": window.high}

    def near(self, table: Table, rows: Sequence[SourceRow]) -> dict[str, object] | None:
        """Return bounds a day around the rows, None when the event table or the rows have no such time."""
        cursor = self._layout.cursor
        times = [row.received_at for row in rows if row.received_at is not None]
        if not times or not table.has(cursor) or (self._dialect == "postgresql" and table.kinds[cursor] is not Kind.TIME):
            return None
        try:
            low, high = min(times) - _MARGIN, max(times) + _MARGIN
            if self._dialect != "sqlite":
                return {"low": low, "high": high}
            # Text with any offset is at most a day off as text, and begins with its date.
            return {"low": (low - _MARGIN).date().isoformat(), "high": (high + 2 * _MARGIN).date().isoformat()}
        except OverflowError:
            return None


def known_values(stream: Stream, known: Identifier | None, shard: Shard | None = None) -> dict[str, object]:
    """Return the values by which known calls and the users of a shard are told."""
    return ({"stream": stream.value} if known else {}) | ({"low_user": shard.low, "high_user": shard.high} if shard else {})
