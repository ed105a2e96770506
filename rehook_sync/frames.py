"""The sync-state as pandas DataFrames, for notebooks and code of one's own. Nothing else uses pandas, and only a call loads it."""

# ruff: noqa: PLC0415 - so that `from rehook_sync import read_calls` does not load pandas

import reprlib
from array import array
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

from rehook_sync.database.queries import Statements
from rehook_sync.errors import UsageError
from rehook_sync.jobs.reading.databases import open_state
from rehook_sync.models import Reason, RunKind, RunStatus, Status, Trigger
from rehook_sync.settings import Settings, load_settings
from rehook_sync.state.migrations import require_version
from rehook_sync.times import FIRST_MOMENT, LAST_MOMENT, parse_moment, read_moment
from rehook_sync.values import storable_json

if TYPE_CHECKING:
    import pandas as pd
    from pandas.api.extensions import ExtensionArray

__all__ = ["read_calls", "read_runs"]

_Moment = datetime | date | timedelta | str
_Wanted = str | Iterable[str]
_PAGE_ROWS = 2000
_BEGINNING = "beginning"
_NEEDED = {
    "frame_runs": ("sync_migrations",),
    **dict.fromkeys(("frame_calls", "frame_calls_by_time", "frame_calls_of_users"), ("sync_migrations", "sync_state")),
}
"""Statement -> the tables that a user of it must be allowed to read; of a view its owner is."""


def read_calls(  # noqa: PLR0913 - one argument for each filter, all named
    settings: Settings | None = None,
    *,
    since: _Moment | None = None,
    until: _Moment | None = None,
    status: _Wanted | None = None,
    reason: _Wanted | None = None,
    stream: _Wanted | None = None,
    source: _Wanted | None = None,
    event: _Wanted | None = None,
    user_id: _Wanted | None = None,
) -> "pd.DataFrame":
    """Return the judged calls, one row for each, in the order in which they arrived. Reads one snapshot and writes nothing.

    Shape:  columns of `sync_state`: those of `_CALLS`, in this order.  One value or several for each filter; None: any.
            settings: None means those of the environment and of `rehook_sync.toml`.
    Units:  since <= received_at < until, each an aware time, ISO-8601 text, a date, or an age such as `7d`; naive means UTC.
            A call without `received_at` is in no period.
    Raises: UsageError for a value that cannot be, SettingsError, SourceError, StateVersionError, DatabaseError.
    """
    low, high = _read_period(since, until)
    values = {
        "statuses": _read_wanted("status", status, Status),
        "reasons": _read_wanted("reason", reason, Reason),
        "streams": _read_wanted("stream", stream),
        "sources": _read_wanted("source", source),
        "events": _read_wanted("event", event),
    }
    bounds = {"low": low or FIRST_MOMENT, "high": high or LAST_MOMENT}
    period = None if low is None and high is None else "asked for"
    if user_id is not None:
        whose = {"users": _read_wanted("user_id", user_id), "period": period}
        return _read(settings, "frame_calls_of_users", {**values, **whose}, _CALLS, bounds)
    if period is not None:
        return _read(settings, "frame_calls_by_time", values, _CALLS, bounds)
    return _read(settings, "frame_calls", values, _CALLS, {})


def read_runs(
    settings: Settings | None = None,
    *,
    since: _Moment | None = None,
    until: _Moment | None = None,
    kind: _Wanted | None = None,
    status: _Wanted | None = None,
) -> "pd.DataFrame":
    """Return the runs, and the other commands that changed the sync-state, oldest first: the rows of `v1_runs`.

    Shape:  columns: those of `_RUNS`, in this order.  The arguments are those of `read_calls`.
    Units:  since <= started_at < until.
    Raises: as `read_calls`.
    """
    low, high = _read_period(since, until)
    values = {"kinds": _read_wanted("kind", kind, RunKind), "statuses": _read_wanted("status", status, RunStatus)}
    return _read(settings, "frame_runs", values, _RUNS, {"low": low or FIRST_MOMENT, "high": high or LAST_MOMENT})


def _read_period(since: _Moment | None, until: _Moment | None) -> tuple[datetime | None, datetime | None]:
    now = datetime.now(UTC)
    low = None if since is None or (isinstance(since, str) and since == _BEGINNING) else _read_moment("since", since, now)
    high = None if until is None else _read_moment("until", until, now)
    if low and high and low >= high:
        raise UsageError(f"until: {high.isoformat()} must be later than since, {low.isoformat()}")
    return low, high


def _read_moment(name: str, value: _Moment, now: datetime) -> datetime:
    """Return a time as the command line reads it. A Timestamp of pandas becomes a plain time."""
    try:
        if isinstance(value, str):
            return parse_moment(value, now)
        moment = now - value if isinstance(value, timedelta) else read_moment(value)
        return datetime.combine(moment.date(), moment.time(), UTC)
    except UsageError as error:
        raise UsageError(f"{name}: {error}") from None
    except (ValueError, OverflowError):
        raise UsageError(f"{name}: {reprlib.repr(str(value))} is no time: give a time, a date, ISO-8601 text or an age (36h, 7d)") from None


def _read_wanted(name: str, wanted: _Wanted | None, words: Iterable[str] | None = None) -> str | None:
    """Return the values of a filter as JSON, None for any. `words`: those that there are."""
    if wanted is None:
        return None
    try:
        values: list[object] = [wanted] if isinstance(wanted, str) else list(wanted)
    except TypeError:
        values = [wanted]
    known = None if words is None else list(words)
    for each in values:
        if not isinstance(each, str):
            raise UsageError(f"{name}: {reprlib.repr(each)} is no text")
        if any("\ud800" <= letter <= "\udfff" for letter in each):
            raise UsageError(f"{name}: {reprlib.repr(each)} is no valid text")
        if known is not None and each not in known:
            raise UsageError(f"{name}: {reprlib.repr(str(each))} is not one of {', '.join(known)}")
    return storable_json([str(each) for each in values])


def _read(
    settings: Settings | None,
    query: str,
    values: Mapping[str, object],
    shape: "Mapping[str, Callable[[], _Column]]",
    bounds: Mapping[str, datetime],
) -> "pd.DataFrame":
    """Return the rows of a statement as a frame. Rows are fetched in pages, and kept as what the frame is made of."""
    import pandas as pd

    settings = settings or load_settings()
    with closing(open_state(settings)) as database:
        require_version(database, settings.state_schema_name, needed=_NEEDED[query])
        statement = Statements("state", database.engine.dialect)[query]
        bound = {**values, **{name: database.as_stored(moment) for name, moment in bounds.items()}}
        columns = {name: make() for name, make in shape.items()}
        with database.connect() as connection, connection.execute(statement, bound, execution_options={"stream_results": True}) as rows:
            names = rows.keys()
            made = [columns[name] for name in names]
            for page in rows.partitions(_PAGE_ROWS):
                for column, fetched in zip(made, zip(*page, strict=True), strict=True):
                    column.add(fetched)
    return pd.DataFrame({name: columns.pop(name).take() for name in shape}, copy=False)


class _Column(Protocol):
    """One column while its rows are read."""

    def add(self, values: Sequence[Any]) -> None:
        """Add the values of a page."""

    def take(self) -> "ExtensionArray":
        """Return the whole column. It may be called once."""


class _Texts:
    """Text; equal ones are one object."""

    def __init__(self) -> None:
        self._texts: list[str | None] = []
        self._same: dict[str | None, str | None] = {}

    def add(self, values: Sequence[Any]) -> None:
        self._texts += [self._same.setdefault(each, each) for each in values]

    def take(self) -> "ExtensionArray":
        import pandas as pd

        self._same.clear()
        return pd.array(self._texts, dtype="string")


class _Ids(_Texts):
    """Text of which each is another one."""

    def add(self, values: Sequence[Any]) -> None:
        self._texts += values


class _Words:
    """Categories: all of `words`, and whatever else comes; without `words` those that come, sorted."""

    def __init__(self, words: Iterable[str] = ()) -> None:
        self._codes = array("i")
        self._places: dict[str | None, int] = {None: -1, **{str(each): place for place, each in enumerate(words)}}
        self._sorts = not words

    def add(self, values: Sequence[Any]) -> None:
        places = self._places
        self._codes.extend([places.setdefault(each, len(places) - 1) for each in values])

    def take(self) -> "ExtensionArray":
        import numpy as np
        import pandas as pd

        words = [each for each in self._places if each is not None]
        found = pd.Categorical.from_codes(np.frombuffer(self._codes, dtype=np.intc), categories=pd.Index(words, dtype="str"))
        return found.reorder_categories(sorted(words)) if self._sorts else found


class _Times:
    """Aware times in UTC, to the microsecond."""

    def __init__(self) -> None:
        self._microseconds = array("q")

    def add(self, values: Sequence[Any]) -> None:
        import numpy as np

        self._microseconds.frombytes(np.array([_naive(each) for each in values], dtype="datetime64[us]").tobytes())

    def take(self) -> "ExtensionArray":
        import numpy as np
        import pandas as pd

        return pd.DatetimeIndex(np.frombuffer(self._microseconds, dtype="datetime64[us]")).tz_localize("UTC").array


def _naive(moment: datetime | str | None) -> datetime | str | None:
    """Return a time of the sync-state tables in UTC, as numpy reads it: without its zone."""
    if isinstance(moment, datetime):
        return moment.astimezone(UTC).replace(tzinfo=None)
    return moment and moment.removesuffix("Z")


class _Numbers:
    """Whole numbers, or those with a fraction, any of which may be missing."""

    def __init__(self, dtype: str = "Int64") -> None:
        self._dtype, self._numbers, self._missing = dtype, array("q" if dtype == "Int64" else "d"), bytearray()

    def add(self, values: Sequence[Any]) -> None:
        self._numbers.extend([each or 0 for each in values])
        self._missing.extend([each is None for each in values])

    def take(self) -> "ExtensionArray":
        import numpy as np
        import pandas as pd

        numbers, missing = np.frombuffer(self._numbers, dtype=self._numbers.typecode), np.frombuffer(self._missing, dtype=bool)
        return pd.arrays.IntegerArray(numbers, missing) if self._dtype == "Int64" else pd.arrays.FloatingArray(numbers, missing)


_CALLS: Mapping[str, Callable[[], _Column]] = {
    "stream": _Words,
    "message_id": _Ids,
    "user_id": _Texts,
    "event": _Words,
    "received_at": _Times,
    "occurred_at": _Times,
    "status": partial(_Words, tuple(Status)),
    "reason": partial(_Words, tuple(Reason)),
    "detail": _Texts,
    "http_status": _Numbers,
    "attempts": _Numbers,
    "sent_as": _Texts,
    "run_id": _Texts,
    "first_seen_at": _Times,
    "settled_at": _Times,
    "source": _Words,
}
_RUNS: Mapping[str, Callable[[], _Column]] = {
    "run_id": _Ids,
    "kind": partial(_Words, tuple(RunKind)),
    "trigger": partial(_Words, tuple(Trigger)),
    "status": partial(_Words, tuple(RunStatus)),
    "since_at": _Times,
    "until_at": _Times,
    "started_at": _Times,
    "finished_at": _Times,
    "duration_s": partial(_Numbers, "Float64"),
    **dict.fromkeys(("rows_read", "sent", "unchanged", "merged", "skipped", "rejected", "failed", "waiting", "in_doubt"), _Numbers),
    **dict.fromkeys(("requests", "open_periods"), _Numbers),
    "error": _Texts,
    "version": _Texts,
}
