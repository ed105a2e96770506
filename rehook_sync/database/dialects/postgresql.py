"""PostgreSQL as a warehouse."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import URL, Engine

from rehook_sync.database import postgresql
from rehook_sync.database.dialects.other import DATED, EPOCH, HOUR, IN_WINDOW
from rehook_sync.database.dialects.record import Convert, Opening, Warehouse
from rehook_sync.database.kinds import Kind, array_members, trimmed

__all__ = ["POSTGRESQL"]

# As `to_text` writes numbers: without `.0`, without an exponent. Of a float, an integer keeps its digits only as bigint.
_KEY = (
    "CASE WHEN PG_TYPEOF({}) IN (CAST('real' AS regtype), CAST('double precision' AS regtype), CAST('numeric' AS regtype)) THEN"
    " CASE WHEN CAST({} AS text) IN ('NaN', 'Infinity', '-Infinity') THEN NULL"
    " WHEN PG_TYPEOF({}) <> CAST('numeric' AS regtype) AND ABS(CAST(CAST({} AS text) AS double precision)) < 9e18"
    " AND CAST(CAST({} AS text) AS double precision) = TRUNC(CAST(CAST({} AS text) AS double precision))"
    " THEN CAST(CAST(CAST(CAST({} AS text) AS double precision) AS bigint) AS text)"
    " ELSE REGEXP_REPLACE(CAST(CAST(CAST({} AS text) AS numeric) AS text), '\\.0+$|(\\.[0-9]*[1-9])0+$', '\\1') END"
    " ELSE CAST({} AS text) END"
)
# Whatever a cast would refuse ends the statement, so all of it is looked at before.
_MOMENT = (
    f"CASE WHEN {{}} ~ '^(?!0000){DATED}$'"
    " THEN CAST(CASE WHEN {} LIKE '%U%' OR LENGTH({}) > 26"
    " THEN REGEXP_REPLACE(REGEXP_REPLACE({}, '([.][0-9]{6})[0-9]+', '\\1'), '[[:space:]]*UTC[[:space:]]*$', '+00')"
    " ELSE {} END AS timestamptz)"
    f" WHEN {{}} ~ '^{EPOCH}$' THEN TO_TIMESTAMP(0) + CAST('1 microsecond' AS interval) * CAST(TRUNC(CAST({{}} AS numeric)"
    " * CASE LENGTH(SUBSTRING({} FROM '^[0-9]+')) WHEN 10 THEN 1000000 WHEN 13 THEN 1000 ELSE 1 END) AS double precision) END"
)
_WORDS = {
    "now": "now()",
    "clock": "clock_timestamp()",
    "clock_plus": "clock_timestamp() + make_interval(secs => {})",
    "ids": "jsonb_array_elements_text(CAST({} AS jsonb))",
    "rows": "jsonb_array_elements(CAST({} AS jsonb))",
    "bytes_order": 'COLLATE "C"',
    "text_type": "text",
    **IN_WINDOW,
    "among": "= ANY({})",
    "by_index": "",
    "place": "COALESCE({}, '') COLLATE \"C\"",
    "key_text": _KEY,
    "moment": _MOMENT,
    "hour": HOUR,
    "fingerprint": 'CONCAT_WS(\' \', SUM(HASHTEXTEXTENDED({} COLLATE "C", 0)), SUM(HASHTEXTEXTENDED({} COLLATE "C", 1)))',
    "integer_type": "integer",
    "bigint_type": "bigint",
    "kept_text": "text",
    "time_type": "timestamptz",
    "number_type": "double precision",
    "not_enforced": "",
    "create_view": "CREATE OR REPLACE VIEW",
    "micros": "CAST(EXTRACT(epoch FROM {}) * 1000000 AS bigint)",
    "time_of": "TO_TIMESTAMP(0) + {} * CAST('1 microsecond' AS interval)",
    "lag_s": "CAST(FLOOR(EXTRACT(epoch FROM now() - {})) AS bigint)",
    "day": "CAST({} AT TIME ZONE 'UTC' AS date)",
}
_KINDS: Mapping[int, Kind] = {
    **dict.fromkeys((25, 1043), Kind.TEXT),
    **dict.fromkeys((1042, 1014), Kind.PADDED),
    2950: Kind.UUID,
    **dict.fromkeys((1082, 1114, 1184), Kind.TIME),
    **dict.fromkeys((20, 21, 23), Kind.NUMBER),
    **dict.fromkeys((700, 701, 1700), Kind.DECIMAL),
    **dict.fromkeys((114, 3802), Kind.JSON),
    16: Kind.BOOLEAN,
}
"""By type oid, which is the same in every PostgreSQL."""
_CONVERT: Mapping[Kind, Convert] = {Kind.PADDED: trimmed, Kind.ARRAY: array_members}


def kind_of(oid: int) -> Kind:
    """Return the kind of a column whose type has this oid."""
    return _KINDS.get(oid, Kind.OTHER)


def _arguments(url: URL, opening: Opening) -> dict[str, Any]:
    if opening.search_path is None:
        return {"connect_args": dict(opening.options)}
    connecting = postgresql.CONNECTING.get(url.get_driver_name(), {})
    # Writes rely on locks. A stricter level, perhaps the server's default, fails a transaction that waited for one.
    return {"connect_args": {**connecting, **opening.options}, "isolation_level": "READ COMMITTED"}


def _prepare(engine: Engine, opening: Opening) -> None:
    postgresql.limit_connecting(engine)
    if opening.search_path is None:
        postgresql.prepare_reader(engine)
    else:
        postgresql.prepare_writer(engine, opening.search_path)


POSTGRESQL = Warehouse(
    name="postgresql",
    extra="postgres",
    driver="psycopg",
    words=_WORDS,
    longest_name=63,
    most_columns=1664,
    most_ids=20_000,
    bears_fork=True,
    beginning="-infinity",
    kind_of=kind_of,
    convert=_CONVERT,
    decodes_json=True,
    refused={"autocommit": "a read is a transaction, and so is each write: leave it out"},
    arguments=_arguments,
    prepare=_prepare,
    publishes=True,
)
