"""Dialect words: what named queries write as `{word}` or `{word: argument}`, and the SQL of each dialect for it."""

from collections.abc import Mapping

__all__ = ["LONGEST_NAMES", "MOST_COLUMNS", "SLICE_ROWS", "WITH_ARGUMENT", "WORDS"]

# Segment's own form is read by SQLite itself: a function in Python keeps the threads that send waiting, a microsecond for each time.
# The function gets bytes: given text that is no UTF-8, SQLite would end the statement.
_SQLITE_UTC = (
    "CASE TYPEOF({}) WHEN 'text' THEN"
    " CASE WHEN {} GLOB '[0-9][0-9][0-9][0-9]-[0-1][0-9]-[0-3][0-9][T ][0-2][0-9]:[0-5][0-9]:[0-5][0-9].[0-9]*Z'"
    " THEN SUBSTR({}, 1, 10) || 'T' || SUBSTR({}, 12, 8) || SUBSTR(RTRIM(SUBSTR({}, 20), 'Z') || '000000', 1, 7) || '+00:00'"
    " ELSE rehook_sync__utc(CAST({} AS BLOB)) END"
    " WHEN 'integer' THEN rehook_sync__utc({}) WHEN 'real' THEN rehook_sync__utc({}) END"
)
# As `to_text` writes numbers: without `.0`, without an exponent. Of a float, an integer keeps its digits only as bigint.
_POSTGRESQL_KEY = (
    "CASE WHEN PG_TYPEOF({}) IN (CAST('real' AS regtype), CAST('double precision' AS regtype), CAST('numeric' AS regtype)) THEN"
    " CASE WHEN CAST({} AS text) IN ('NaN', 'Infinity', '-Infinity') THEN NULL"
    " WHEN PG_TYPEOF({}) <> CAST('numeric' AS regtype) AND ABS(CAST(CAST({} AS text) AS double precision)) < 9e18"
    " AND CAST(CAST({} AS text) AS double precision) = TRUNC(CAST(CAST({} AS text) AS double precision))"
    " THEN CAST(CAST(CAST(CAST({} AS text) AS double precision) AS bigint) AS text)"
    " ELSE REGEXP_REPLACE(CAST(CAST(CAST({} AS text) AS numeric) AS text), '\\.0+$|(\\.[0-9]*[1-9])0+$', '\\1') END"
    " ELSE CAST({} AS text) END"
)
# The forms that SQLite's times may have. Whatever a cast would refuse ends the statement, so all of it is looked at before.
_MONTH_DAYS = "(0[13578]|1[02])-(0[1-9]|[12][0-9]|3[01])|(0[469]|11)-(0[1-9]|[12][0-9]|30)|02-(0[1-9]|1[0-9]|2[0-8])"
_LEAP_YEARS = "([0-9]{2}(0[48]|[2468][048]|[13579][26])|([02468][048]|[13579][26])00)"
_CLOCK = "([01][0-9]|2[0-3])[:][0-5][0-9]([:][0-5][0-9]([.][0-9]*)?)?"
_ZONE = "([[:space:]]*[Zz]|[[:space:]]+UTC|[[:space:]]*[+-](0[0-9]|1[0-4])([:]?[0-5][0-9])?)?"
_DATED = f"^(?!0000)([0-9]{{4}}-({_MONTH_DAYS})|{_LEAP_YEARS}-02-29)([T ]{_CLOCK}{_ZONE})?[[:space:]]*$"
_EPOCH = "^[1-9][0-9]{9}([0-9]{3}){0,2}([.][0-9]*)?[[:space:]]*$"
_POSTGRESQL_MOMENT = (
    f"CASE WHEN {{}} ~ '{_DATED}'"
    " THEN CAST(CASE WHEN {} LIKE '%U%' OR LENGTH({}) > 26"
    " THEN REGEXP_REPLACE(REGEXP_REPLACE({}, '([.][0-9]{6})[0-9]+', '\\1'), '[[:space:]]*UTC[[:space:]]*$', '+00')"
    " ELSE {} END AS timestamptz)"
    f" WHEN {{}} ~ '{_EPOCH}' THEN TO_TIMESTAMP(0) + CAST('1 microsecond' AS interval) * CAST(TRUNC(CAST({{}} AS numeric)"
    " * CASE LENGTH(SUBSTRING({} FROM '^[0-9]+')) WHEN 10 THEN 1000000 WHEN 13 THEN 1000 ELSE 1 END) AS double precision) END"
)
_SQLITE = {
    "now": "strftime('%Y-%m-%dT%H:%M:%f000Z', 'now')",
    "clock": "strftime('%Y-%m-%dT%H:%M:%f000Z', 'now')",
    "clock_plus": "strftime('%Y-%m-%dT%H:%M:%f000Z', 'now', '+' || {} || ' seconds')",
    "ids": "json_each({})",
    "rows": "json_each({})",
    "bytes_order": "COLLATE BINARY",
    "text_type": "text",
    "in_window": "{} BETWEEN :low AND :last",
    "in_window_or_null": "COALESCE({}, :low) BETWEEN :low AND :last",
    "by_index": "INDEXED BY {}",
    "place": "CAST(COALESCE({}, '') AS BLOB)",
    "moment": _SQLITE_UTC,
    "key_text": "CASE TYPEOF({}) WHEN 'real' THEN rehook_sync__text({}) ELSE CAST({} AS TEXT) END",
}
_POSTGRESQL = {
    "now": "now()",
    "clock": "clock_timestamp()",
    "clock_plus": "clock_timestamp() + make_interval(secs => {})",
    "ids": "jsonb_array_elements_text(CAST({} AS jsonb))",
    "rows": "jsonb_array_elements(CAST({} AS jsonb))",
    "bytes_order": 'COLLATE "C"',
    "text_type": "text",
    "in_window": "{} >= :low AND {} < :high",
    "in_window_or_null": "(({} >= :low AND {} < :high) OR {} IS NULL)",
    "by_index": "",
    "place": "COALESCE({}, '') COLLATE \"C\"",
    "key_text": _POSTGRESQL_KEY,
    "moment": _POSTGRESQL_MOMENT,
}
_OTHER = {
    "bytes_order": "",
    "text_type": "VARCHAR",
    "in_window": _POSTGRESQL["in_window"],
    "in_window_or_null": _POSTGRESQL["in_window_or_null"],
    "place": "COALESCE(CAST({} AS VARCHAR), '')",
}
"""For other warehouses, which are only read: words that only the sync-state tables need are missing."""

WORDS: Mapping[str, Mapping[str, str]] = {"sqlite": _SQLITE, "postgresql": _POSTGRESQL, "any": _OTHER}
"""Dialect -> word -> its SQL, with `{}` in the place of the argument."""

WITH_ARGUMENT = frozenset({"clock_plus", "ids", "rows", "in_window", "in_window_or_null", "by_index", "moment", "key_text", "place"})
"""Words written as `{word: argument}`; all others as `{word}`."""

LONGEST_NAMES: Mapping[str, int] = {"postgresql": 63}
"""Dialect -> bytes of a table's name at most; others have no limit that an event's name comes near."""

MOST_COLUMNS: Mapping[str, int] = {"sqlite": 2000, "postgresql": 1664}
"""Dialect -> columns of a result at most; others allow more than a table will have."""

SLICE_ROWS: Mapping[str, int] = {"sqlite": 50_000}
"""Dialect -> rows of a read at most, 20,000 for all others. In SQLite each read looks at the whole window, and holds up few."""
