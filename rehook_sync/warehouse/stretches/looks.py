"""How the stretches of a window look in the warehouse, and which of their calls are not settled, seen at one moment.

The warehouse counts and hashes in its own terms, so that hardly anything leaves it. SQLite has no hash of its own: it joins the ids
of each minute, which are hashed here.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import blake2b
from typing import Any, NamedTuple

from sqlalchemy import Connection

from rehook_sync.database.fetch import fetch
from rehook_sync.database.queries import Identifier
from rehook_sync.database.spool import Spool
from rehook_sync.models import Stream, Stretch, Window
from rehook_sync.times import FIRST_MOMENT, LAST_MOMENT
from rehook_sync.warehouse.rows import usable_time
from rehook_sync.warehouse.statements import CallStatements
from rehook_sync.warehouse.stretches.excerpts import Excerpt, OpenCalls, find_changed, joined, plan_excerpt, start_of

__all__ = ["Look", "Lookout", "estimate", "read_look"]

_MINUTE = timedelta(minutes=1)
_SEPARATOR = b"\x1f"
_HASH_BYTES = 16


class Look(NamedTuple):
    """A window at one moment.

    Shape:  newest: the newest time of arrival in it.  found: start of a stretch -> what it holds, None if that cannot be told.
            changed: the stretches that look otherwise than they are remembered.
            compared: those of them whose calls were compared with sync_state, or whose ids were put aside for that.
            open: stretch -> its open calls, without stretches that have none; None when the ids were put aside.
    """

    newest: datetime | None
    found: Mapping[datetime, Stretch | None]
    changed: set[datetime]
    compared: set[datetime]
    open: Mapping[datetime, OpenCalls] | None


@dataclass(frozen=True, slots=True)
class Lookout:
    """What is looked at.

    Shape:  remembered: how its stretches looked when they were settled.  settled_to: later stretches are not compared with sync_state;
            None: none is.  known: sync_state, if it is in the warehouse; else ids are put aside: start of the stretch, id, and
            whether the call is in the window.
    """

    stream: Stream
    window: Window
    remembered: Mapping[datetime, Stretch]
    settled_to: datetime | None
    known: Identifier | None


def read_look(sql: CallStatements, what: Lookout, spool: Spool, connection: Connection) -> Look | None:
    """Return how a window looks. All of it is seen at one moment, so nothing that is called settled came later.

    None: a text in Segment's form is no time, such as 25 o'clock or the 31st of a shorter month. It lies in no hour.
    """
    if sql.has("same_snapshot"):
        connection.execute(sql.text(["same_snapshot"], {}))
    # Whole stretches: what lies beyond the window is no settled call, and then the stretch is not remembered.
    low = start_of(what.window.low)
    whole = Window(low, LAST_MOMENT)
    statement = sql.stretches(what.stream, whole)
    values = sql.bounds(whole) | {"until": sql.bounds(what.window)["high"]}
    rows = [row for page in fetch(connection, statement, values) for row in page]
    if any(row[0] is not None and usable_time(row[0]) is None for row in rows):
        return None
    newest = _newest(sql, what, [moment for row in rows if (moment := usable_time(row[4])) is not None], connection)
    found = _stretches(rows, str(statement))
    changed = find_changed(found, what.remembered)
    if what.settled_to is None:
        return Look(newest, found, changed, set(), {})
    compared = {start for start in changed if start <= what.settled_to and found[start] is not None}
    parts = _parts(sql, plan_excerpt(whole, found, compared), low)
    if what.known is not None:
        return Look(newest, found, changed, compared, _count_open(sql, what, parts, connection))
    seen = _put_ids(sql, what, parts, spool, connection)
    if sql.has("list_ids_and_stretches"):
        # What was compared is what the warehouse had with the ids; a stretch that is gone meanwhile is none.
        now = _stretches(seen, str(statement))
        found = {
            start: now[start] if start in compared else stretch for start, stretch in found.items() if start not in compared - now.keys()
        }
        changed, compared = changed & found.keys(), compared & found.keys()
    return Look(newest, found, changed, compared, None)


def _parts(sql: CallStatements, excerpt: Excerpt, low: datetime) -> list[tuple[Window, bool | None]]:
    """Return the windows to ask for ids, and whether calls with a time are meant, or those without; None: all."""
    beginning = (Window(low, low + timedelta.resolution),) if excerpt.timeless else ()
    if not sql.slice_rows:
        return [(each, None) for each in joined(excerpt.windows or beginning)]
    return [*((each, True) for each in excerpt.windows), *((each, False) for each in beginning)]


def _put_ids(
    sql: CallStatements, what: Lookout, parts: Iterable[tuple[Window, bool | None]], spool: Spool, connection: Connection
) -> list[Sequence[Any]]:
    """Put ids aside, each with its stretch. Returns how the stretches looked then, where two statements see two moments."""
    seen: list[Sequence[Any]] = []
    list_ids = "list_ids_and_stretches" if sql.has("list_ids_and_stretches") else "list_ids"
    spool.cut(0)
    for window, timed in parts:
        for page in fetch(connection, sql.calls(what.stream, None, list_ids, window=window), sql.bounds(window, timed=bool(timed))):
            dated = [(moment, row) for row in page if _is_of(start_of(moment := usable_time(row[0])), timed=timed)]
            seen += [(*row[:1], *row[2:], None) for _, row in dated if len(row) > 2 and row[2] is not None]
            calls = ((moment, row[1]) for moment, row in dated if len(row) == 2 or row[2] is None)
            spool.put_each([(start_of(moment), name, _is_within(what.window, moment)) for moment, name in calls])
    return seen


def _is_within(window: Window, moment: datetime | None) -> bool:
    return moment is None or ((window.low is None or window.low <= moment) and moment < window.high)


def _is_of(start: datetime, *, timed: bool | None) -> bool:
    """Tell whether a stretch is one with times, as asked for, or that of the calls without a time. None: either."""
    return timed is None or (start != FIRST_MOMENT) is timed


def _newest(sql: CallStatements, what: Lookout, found: Iterable[datetime], connection: Connection) -> datetime | None:
    """Return the newest time in the window. `found`: that of each stretch, or only its minute."""
    for moment in sorted(found, reverse=True):
        if not sql.has("minutes"):
            return moment
        window = Window(moment, min(moment + _MINUTE, what.window.high))
        statement = sql.calls(what.stream, None, "read_newest", window=window)
        newest = usable_time(connection.execute(statement, sql.bounds(window, timed=True)).scalar())
        if newest is not None:
            return newest
    return None


def _count_open(
    sql: CallStatements, what: Lookout, parts: Iterable[tuple[Window, bool | None]], connection: Connection
) -> Mapping[datetime, OpenCalls]:
    found: dict[datetime, OpenCalls] = {}
    for window, timed in parts:
        statement = sql.calls(what.stream, None, "count_open", window=window, recorded=what.known or "")
        values = sql.bounds(window, timed=bool(timed)) | {"stream": what.stream, "source": sql.source}
        for page in fetch(connection, statement, values):
            counted = ((start_of(usable_time(row[0])), OpenCalls(int(row[1]), int(row[2]))) for row in page)
            found.update((start, calls) for start, calls in counted if _is_of(start, timed=timed))
    return found


def estimate(sql: CallStatements, stream: Stream, window: Window, connection: Connection) -> tuple[int, int] | None:
    """Return how many bytes a look at a window reads, and its calls; None where the warehouse does not say. Nothing is read."""
    options = sql.dry_options
    if options is None:
        return None
    _, columns = sql.row_plan(stream)
    values = sql.bounds(window) | {"until": sql.bounds(window)["high"]}
    found = []
    for statement in (sql.stretches(stream, window), sql.calls(stream, None, "read_window", window=window, columns=columns)):
        before = sql.meter.scanned or 0
        connection.execute(statement, values, execution_options=options).close()
        found.append((sql.meter.scanned or 0) - before)
        sql.meter.scanned = before
    return found[0], found[1]


def _stretches(rows: Iterable[Sequence[Any]], asked: str) -> dict[datetime, Stretch | None]:
    """Return the stretches. `asked`: the statement, so that what is asked of another table or in another way looks different."""
    terms = blake2b(asked.encode(), digest_size=_HASH_BYTES).digest()
    hashes: defaultdict[datetime, blake2b] = defaultdict(lambda: blake2b(terms, digest_size=_HASH_BYTES))
    counts: Counter[datetime] = Counter()
    unknown = set()
    for stretch, calls, ids, content, _ in sorted(rows, key=lambda row: str(row[0])):
        start = start_of(usable_time(stretch))
        counts[start] += calls
        if calls != ids or (isinstance(content, bytes) and content.count(_SEPARATOR) != ids - 1):
            unknown.add(start)  # a call without an id, or an id that reads like two
        else:
            hashes[start].update(f"{stretch if isinstance(stretch, str) else usable_time(stretch)} {ids} ".encode())
            hashes[start].update(content if isinstance(content, bytes) else content.encode())
    return {start: None if start in unknown else Stretch(calls, hashes[start].hexdigest()) for start, calls in counts.items()}
