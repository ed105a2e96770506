"""What sync-state and warehouse know about one user id or message id."""

from collections import defaultdict
from collections.abc import Iterator
from datetime import timedelta

from rehook_sync.errors import RehookSyncError
from rehook_sync.jobs.results import Explanation, Unjudged
from rehook_sync.models import SourceRow
from rehook_sync.rules.identity import is_other_call
from rehook_sync.rules.periods import Feed
from rehook_sync.rules.watermark import why_unjudged
from rehook_sync.state.periods import Periods
from rehook_sync.state.sources import KnownSources
from rehook_sync.state.state import Judged, State
from rehook_sync.warehouse.sources import Sources

__all__ = ["read_explanation"]

_ROWS = 200
"""So many of a user's newest calls are read from the warehouse, per stream."""


def read_explanation(state: State, sources: Sources | None, key: str, lookback: timedelta) -> Explanation:
    """Return everything known about a user id or a message id; without sources, from the sync-state alone.

    A warehouse that cannot be read becomes a note.
    """
    rows, customer = state.explain(key)
    named = len({row["source"] for row in rows}) > 1 or (sources is not None and len(sources) > 1)
    found = Explanation(key, rows, customer, state.read_related(key), names_sources=named)
    if sources is None:
        return found
    try:
        sources.require_all(lambda *feed: KnownSources(state.database).has_calls(Feed(*feed)))
        tables = [table for layout in sources.discover().values() for table in layout.tables.values()]
        earlier = {each for table in tables for each in table.earlier_ids([key])} if not rows else set()
        if recorded := next((each for each in earlier if state.explain(each)[0]), None):
            return read_explanation(state, sources, recorded, lookback)
        for row, judged in _read_warehouse(state, sources, key):
            if judged is not None and found.shared.note(row, judged):
                continue
            if judged is None:
                feed = Feed(row.source, row.stream)
                coverage, periods = state.read_coverage(feed), Periods(state.database).read_open((feed,))
                absence = why_unjudged(coverage, lookback, state.now(), row.received_at, periods)
                found.unjudged.append(Unjudged(row, absence, coverage.origin))
            elif row.message_id not in {each["message_id"] for each in rows}:
                found.detached.append(row.message_id)
    except RehookSyncError as error:
        found.notes.append(f"the warehouse was not looked at: {error}")
    else:
        found.looked = True
    return found


def _read_warehouse(state: State, sources: Sources, key: str) -> Iterator[tuple[SourceRow, Judged | None]]:
    """Yield the warehouse's calls of an id, each once, and what is recorded under the message id of each."""
    for stream in sources.streams:
        rows: defaultdict[str, list[SourceRow]] = defaultdict(list)
        for source in (each for each in sources.values() if stream in each.layout.tables):
            for row in (*source.read_ids(stream, [key]), *source.read_user(stream, key, _ROWS)):
                if all(is_other_call(row, other) for other in rows[row.message_id]):
                    rows[row.message_id].append(row)
        judged = state.read_judged(stream, rows)
        for message_id, same in rows.items():
            for row in same:
                yield _without_fields(row), judged.get(message_id)


def _without_fields(row: SourceRow) -> SourceRow:
    """Drop traits and properties in place: they are personal, and no explanation needs them."""
    row.fields.clear()
    return row
