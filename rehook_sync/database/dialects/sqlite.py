"""SQLite as a warehouse. Types say little: a value of any type may be in any column, and times are texts and numbers."""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Engine

from rehook_sync.database import sqlite
from rehook_sync.database.dialects.record import Convert, Opening, Warehouse
from rehook_sync.database.kinds import Kind, to_boolean, to_moment
from rehook_sync.errors import DatabaseError, LockedError, SettingsError

__all__ = ["SQLITE"]

# Segment's own form is read by SQLite itself: a function in Python keeps the threads that send waiting, a microsecond for each time.
# The function gets bytes: given text that is no UTF-8, SQLite would end the statement.
_UTC = (
    "CASE TYPEOF({}) WHEN 'text' THEN"
    " CASE WHEN {} GLOB '[0-9][0-9][0-9][0-9]-[0-1][0-9]-[0-3][0-9][T ][0-2][0-9]:[0-5][0-9]:[0-5][0-9].[0-9]*Z'"
    " THEN SUBSTR({}, 1, 10) || 'T' || SUBSTR({}, 12, 8) || SUBSTR(RTRIM(SUBSTR({}, 20), 'Z') || '000000', 1, 7) || '+00:00'"
    " ELSE rehook_sync__utc(CAST({} AS BLOB)) END"
    " WHEN 'integer' THEN rehook_sync__utc({}) WHEN 'real' THEN rehook_sync__utc({}) END"
)
# The same to the minute, without what only smaller units need.
_MINUTE = (
    "CASE WHEN TYPEOF({}) = 'text'"
    " AND {} GLOB '[0-9][0-9][0-9][0-9]-[0-1][0-9]-[0-3][0-9][T ][0-2][0-9]:[0-5][0-9]:[0-5][0-9].[0-9]*Z'"
    " THEN SUBSTR({}, 1, 10) || 'T' || SUBSTR({}, 12, 5) ELSE SUBSTR(" + _UTC + ", 1, 16) END"
)
_WORDS = {
    "now": "strftime('%Y-%m-%dT%H:%M:%f000Z', 'now')",
    "clock": "strftime('%Y-%m-%dT%H:%M:%f000Z', 'now')",
    "clock_plus": "strftime('%Y-%m-%dT%H:%M:%f000Z', 'now', '+' || {} || ' seconds')",
    "ids": "json_each({})",
    "rows": "json_each({})",
    "bytes_order": "COLLATE BINARY",
    "text_type": "text",
    "in_window": "{} BETWEEN :low AND :last",
    "in_window_or_null": "COALESCE({}, :low) BETWEEN :low AND :last",
    "among": "IN (SELECT wanted.value FROM json_each({}) AS wanted)",
    "by_index": "INDEXED BY {}",
    "place": "CAST(COALESCE({}, '') AS BLOB)",
    "moment": _UTC,
    "minute": _MINUTE,
    "key_text": "CASE TYPEOF({}) WHEN 'real' THEN rehook_sync__text({}) ELSE CAST({} AS TEXT) END",
    "integer_type": "integer",
    "bigint_type": "bigint",
    "kept_text": "text",
    "time_type": "text",
    "number_type": "real",
    "not_enforced": "",
    "create_view": "CREATE VIEW",
    "micros": "(strftime('%s', substr({}, 1, 19)) * 1000000 + substr({}, 21, 6))",
    "time_of": "strftime('%Y-%m-%dT%H:%M:%S', {} / 1000000, 'unixepoch') || printf('.%06dZ', {} % 1000000)",
    "lag_s": "strftime('%s', 'now') - strftime('%s', substr({}, 1, 19))",
    "day": "substr({}, 1, 10)",
}
_KINDS = {
    "BOOL": Kind.BOOLEAN,
    "TIMESTAMP": Kind.TIME,
    "DATETIME": Kind.TIME,
    "JSON": Kind.JSON,
    "BLOB": Kind.UNTYPED,
    "CHAR": Kind.TEXT,
    "TEXT": Kind.TEXT,
    "INT": Kind.NUMBER,
    "NUMERIC": Kind.NUMBER,
    "REAL": Kind.DECIMAL,
    "FLOA": Kind.DECIMAL,
    "DOUB": Kind.DECIMAL,
}
"""By a text within the declared type; the first that is found decides."""
_CONVERT: Mapping[Kind, Convert] = {Kind.BOOLEAN: to_boolean, Kind.TIME: to_moment}


def kind_of(declared: str) -> Kind:
    """Return the kind of a column declared as this."""
    declared = declared.upper()
    if not declared:
        return Kind.UNTYPED
    return next((kind for name, kind in _KINDS.items() if name in declared), Kind.OTHER)


def _bind_time(moment: datetime) -> str:
    """Return a time as UTC text that sorts like time, as `rehook_sync__utc` writes it."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds")


def _bind_odd_ids(ids: Sequence[str | bytes]) -> str:
    """Return ids that cannot be kept, as a JSON list of the bytes of their texts: some are bytes to the driver."""
    return json.dumps([(each.encode() if isinstance(each, str) else each).hex().upper() for each in ids])


def _file(url: URL) -> Path | None:
    return Path(url.database).absolute() if sqlite.is_file(url.database) else None


def _arguments(url: URL, opening: Opening) -> dict[str, Any]:
    """Return how a file is opened. Raises SettingsError unless it is there or may be created."""
    if not opening.may_create and not (url.database and Path(url.database).is_file()):
        place = Path(url.database).absolute() if url.database else "(empty)"
        raise SettingsError(f"{opening.setting}: there is no SQLite file {place}")
    return {"connect_args": {"timeout": opening.connecting.busy_s, **opening.options, "check_same_thread": False}}


def _prepare(engine: Engine, opening: Opening) -> None:
    sqlite.prepare(engine, read_only=opening.read_only)
    if opening.may_create and not opening.read_only:
        sqlite.create_private(engine, engine.url.database)


def _classify(error: BaseException) -> type[DatabaseError] | None:
    return LockedError if sqlite.is_busy(error) else None


SQLITE = Warehouse(
    name="sqlite",
    words=_WORDS,
    most_columns=2000,
    slice_rows=200_000,  # each read looks at the whole window, and takes a second or two
    most_ids=20_000,
    bears_fork=True,
    bind_ids=json.dumps,
    bind_odd_ids=_bind_odd_ids,
    is_typed=False,
    has_times=False,
    bind_time=_bind_time,
    beginning="",
    first_id=b"",
    kind_of=kind_of,
    text_keys=frozenset(Kind) - {Kind.UNTYPED},
    convert=_CONVERT,
    naming=_CONVERT,
    arguments=_arguments,
    prepare=_prepare,
    file=_file,
    one_writer=True,
    publishes=True,
    replaces_views=False,
    classify=_classify,
)
