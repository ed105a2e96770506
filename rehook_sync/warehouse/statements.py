"""Statements over Segment's calls, joined from the named fragments in `sql/warehouse`, and the values bound in them.

A name from the settings or the data gets into SQL only if a table or column has that name, and only quoted.
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
    """Statements for one source with one layout."""

    def __init__(self, database: Database, layout: SourceLayout) -> None:
        """Load the queries of the warehouse's dialect; nothing is read."""
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
        """Return a statement over the calls of a stream.

        Shape:  known: sync_state, whose calls are left out, or None.  what: the last fragment or fragments.  window: None for all rows.
                without: the fragment that leaves out known calls. `new_calls` is cheap, but gives calls recorded outside the window.
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
        fragments = ["timed", without if known else "all_calls", "some_users" if shard else "all_users", *last]
        if self._dialect == "sqlite":
            fragments.insert(0, "whole_table" if window is None or least_text(window) is None else "near_window")
            if what == "read_calls":
                fragments.insert(0, "keep_calls")
        return self.text(fragments, common | identifiers)

    def due(self, stream: Stream, window: Window, known: Identifier | None, what: str, **identifiers: Identifier) -> TextClause:
        """Return a statement over the ids of a window, each once; `what` names its last fragment."""
        table = self._layout.table(stream)
        events = [table.columns[each] for each in ("event_text", "event") if table.has(each)] if stream is Stream.TRACKS else []
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

    def user_column(self, alias: str, stream: Stream) -> Identifier:
        """Return the user id column of a stream's table."""
        return self.named(alias, [self._layout.table(stream).columns["user_id"]])

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

    def bounds(self, window: Window) -> dict[str, object]:
        """Return the bounds of a window as values that the cursor is compared with."""
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
    return ({"stream": stream.value} if known else {}) | ({"low_user": shard.low, "high_user": shard.high} if shard else {})
