"""DuckDB as a warehouse: a file, opened for reading alone, in UTC whatever the machine's zone is."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sqlalchemy import URL, NullPool

from rehook_sync.database.dialects.other import DATED, EPOCH, HOUR, IN_WINDOW
from rehook_sync.database.dialects.record import Convert, Opening, Warehouse
from rehook_sync.database.kinds import Kind, from_json, from_json_list, nested_members
from rehook_sync.errors import DatabaseError, LockedError, SettingsError
from rehook_sync.times import iso_interval
from rehook_sync.values import InfiniteTime

__all__ = ["DUCKDB"]

_KEY = (
    "CASE WHEN TYPEOF({}) IN ('FLOAT', 'DOUBLE') OR TYPEOF({}) LIKE 'DECIMAL%'"
    " THEN REGEXP_REPLACE(CAST({} AS VARCHAR), '\\.0+$|(\\.[0-9]*[1-9])0+$', '\\1') ELSE CAST({} AS VARCHAR) END"
)
_MOMENT = (
    f"CASE WHEN REGEXP_FULL_MATCH({{}}, '{DATED}') AND {{}} NOT LIKE '0000%'"
    f" THEN TRY_CAST(REGEXP_REPLACE({{}}, '[[:space:]]+([+-])', '\\1') AS TIMESTAMPTZ)"
    f" WHEN REGEXP_FULL_MATCH({{}}, '{EPOCH}') THEN MAKE_TIMESTAMPTZ(CAST(TRUNC(TRY_CAST({{}} AS DECIMAL(38, 9))"
    " * CASE LENGTH(REGEXP_EXTRACT({}, '^[0-9]+')) WHEN 10 THEN 1000000 WHEN 13 THEN 1000 ELSE 1 END) AS BIGINT)) END"
)
_KINDS: Mapping[str, Kind] = {
    "VARCHAR": Kind.TEXT,
    "UUID": Kind.UUID,
    "BOOLEAN": Kind.BOOLEAN,
    "JSON": Kind.JSON,
    "INTERVAL": Kind.INTERVAL,
    **dict.fromkeys(("STRUCT", "MAP", "UNION"), Kind.NESTED),
    "DATE": Kind.TIME,
    **dict.fromkeys((f"TIMESTAMP{each}" for each in ("", "_S", "_MS", "_NS", " WITH TIME ZONE")), Kind.TIME),
    **dict.fromkeys((f"{sign}{size}INT" for sign in ("", "U") for size in ("TINY", "SMALL", "BIG", "HUGE")), Kind.NUMBER),
    **dict.fromkeys(("INTEGER", "UINTEGER", "BIGNUM"), Kind.NUMBER),
    **dict.fromkeys(("FLOAT", "DOUBLE", "DECIMAL"), Kind.DECIMAL),
}
_ANY_TIME = "UNION(d DATE, n TIMESTAMP, s TIMESTAMP_S, m TIMESTAMP_MS, ns TIMESTAMP_NS, z TIMESTAMPTZ, infinite VARCHAR)"


def _from_time(value: object) -> object:
    return InfiniteTime(value) if isinstance(value, str) else value


_NAMING: Mapping[Kind, Convert] = {
    Kind.JSON: from_json,
    Kind.NESTED: nested_members,
    Kind.JSON_LIST: nested_members,  # as an earlier version read them: a call without an id keeps its name
    Kind.INTERVAL: iso_interval,
}
_CONVERT: Mapping[Kind, Convert] = {**_NAMING, Kind.JSON_LIST: from_json_list, Kind.TIME: _from_time}
_LOCKED = "Could not set lock on file"


def kind_of(declared: str) -> Kind:
    """Return the kind of a column of a type as the catalog writes it: `DECIMAL(18,3)`, `INTEGER[]`, `STRUCT(a INTEGER)`."""
    if declared.endswith("]"):
        return Kind.JSON_LIST if declared.startswith("JSON[") else Kind.NESTED
    return _KINDS.get(declared.partition("(")[0], Kind.OTHER)


def _file(url: URL) -> Path | None:
    return None if not url.database or url.database.startswith((":memory:", "md:", "motherduck:")) else Path(url.database).absolute()


def _arguments(url: URL, opening: Opening) -> dict[str, Any]:
    """Return how a file is opened: options are DuckDB's own settings. Raises SettingsError unless it is there."""
    path = _file(url)
    if path is not None and not path.is_file():
        raise SettingsError(f"{opening.setting}: there is no DuckDB file {path}")
    if opening.connecting.publishes:
        return {"connect_args": {"config": dict(opening.options)}}
    # A file that is open keeps its writers out, also while requests are sent: each read opens it anew.
    return {"connect_args": {"config": dict(opening.options), "read_only": path is not None}, "poolclass": NullPool}


def _classify(error: BaseException) -> type[DatabaseError] | None:
    return LockedError if _LOCKED in str(getattr(error, "orig", error)) else None


DUCKDB = Warehouse(
    name="duckdb",
    extra="duckdb",
    words={
        **IN_WINDOW,
        "bytes_order": "",
        "text_type": "VARCHAR",
        "among": "IN (SELECT UNNEST(CAST({} AS VARCHAR[])))",
        "place": "COALESCE({}, '')",
        "key_text": _KEY,
        "moment": _MOMENT,
        "hour": HOUR,
        # The XOR of MD5 takes a fifth of the time of its sum, but copies of a call leave it as it is: the sum of other hashes shows them.
        "fingerprint": "CONCAT_WS(' ', SUM(HASH({})), BIT_XOR(MD5_NUMBER({})))",
        "now": "NOW()",
        "rows": "(SELECT UNNEST(CAST({} AS JSON[])) AS value)",
        "integer_type": "integer",
        "bigint_type": "bigint",
        "kept_text": "VARCHAR",
        "time_type": "TIMESTAMPTZ",
        "number_type": "DOUBLE",
        "not_enforced": "",
        "create_view": "CREATE OR REPLACE VIEW",
        "micros": "EPOCH_US({})",
        "time_of": "MAKE_TIMESTAMPTZ({})",
        "lag_s": "CAST(FLOOR((EPOCH_US(NOW()) - EPOCH_US({})) / 1000000.0) AS BIGINT)",
        "day": "CAST({} AT TIME ZONE 'UTC' AS DATE)",
    },
    name_levels=3,
    chunk_rows=20_000,
    most_ids=100_000,
    kind_of=kind_of,
    select_as={
        # Infinite times would arrive as the last ones of Python's calendar, months as days, and JSON as text or not, by the driver.
        Kind.TIME: f"CASE WHEN ISFINITE({{}}) THEN CAST({{}} AS {_ANY_TIME})"
        f" WHEN {{}} IS NOT NULL THEN CAST(CAST({{}} AS VARCHAR) AS {_ANY_TIME}) END",
        Kind.INTERVAL: "CAST({} AS VARCHAR)",
        Kind.JSON: "CAST({} AS VARCHAR)",
    },
    convert=_CONVERT,
    naming=_NAMING,
    lists_types=True,
    refused=dict.fromkeys(("access_mode", "read_only"), "leave it out: a file is opened for reading alone"),
    arguments=_arguments,
    opens_slowly=True,
    session=("SET TimeZone = 'UTC'", "SET enable_progress_bar = false"),  # which would be written between our own lines
    file=_file,
    drivers=frozenset({"duckdb", "_duckdb", "duckdb_engine"}),
    classify=_classify,
    publishes=True,
    copy_levels=3,
)
