"""Snowflake as a warehouse, over Snowflake's own connector, in UTC. Names that were not quoted are in capitals.

Source: snowflake-sqlalchemy 2.1 and snowflake-connector-python 5.2; Snowflake's documentation of session parameters.
"""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import URL, Engine, event

from rehook_sync.database.dialects.other import EXPANDED, IN_WINDOW, expanded_ids
from rehook_sync.database.dialects.record import Opening, Warehouse
from rehook_sync.database.kinds import Kind, from_json
from rehook_sync.errors import SettingsError

__all__ = ["SNOWFLAKE"]

_SESSION: Mapping[str, Any] = {
    "TIMEZONE": "UTC",
    "QUERY_TAG": "rehook_sync",
    "QUOTED_IDENTIFIERS_IGNORE_CASE": False,
    "GEOGRAPHY_OUTPUT_FORMAT": "GeoJSON",
    "GEOMETRY_OUTPUT_FORMAT": "GeoJSON",
    "CLIENT_TELEMETRY_ENABLED": False,
}
"""Session parameter -> value, whatever the account and the user have: what is read relies on them."""
_NOT_IN_A_URL = frozenset(
    {"host", "port", "protocol", "private_key_file", "private_key_file_pwd", "private_key_password", "token", "token_file_path"}
)
"""Options that the dialect refuses in a URL, since they lead elsewhere or to files, and secrets."""
_NOT_THERE = frozenset({2003, 2043})
"""Numbers of errors: an object does not exist, or one may not see it."""
_KINDS: Mapping[str, Kind] = {
    **dict.fromkeys(("TEXT", "VARCHAR"), Kind.TEXT),
    **dict.fromkeys(("DATE", "TIMESTAMP_NTZ", "TIMESTAMP_LTZ", "TIMESTAMP_TZ"), Kind.TIME),
    "INTEGER": Kind.NUMBER,
    **dict.fromkeys(("NUMBER", "FLOAT", "DECFLOAT"), Kind.DECIMAL),
    **dict.fromkeys(("VARIANT", "OBJECT", "ARRAY", "MAP", "GEOGRAPHY", "GEOMETRY"), Kind.JSON),
    "BOOLEAN": Kind.BOOLEAN,
}
"""By the name in INFORMATION_SCHEMA; INTEGER is a NUMBER without decimals."""


def kind_of(declared: str) -> Kind:
    """Return the kind of a column of a type as INFORMATION_SCHEMA names it."""
    return _KINDS.get(declared.upper().partition("(")[0], Kind.OTHER)


def _arguments(url: URL, opening: Opening) -> dict[str, Any]:
    """Return how the connector connects. Raises SettingsError for options that may not stand in a URL."""
    if wrong := sorted(_NOT_IN_A_URL.intersection(url.query)):
        where = f"give it in {opening.told_in}"
        raise SettingsError(f"{opening.setting}: {', '.join(wrong)}: a URL may not lead to files, secrets or another host: {where}")
    return {"connect_args": {"application": "rehook_sync", **opening.options, "session_parameters": dict(_SESSION)}}


def _prepare(engine: Engine, _opening: Opening) -> None:
    """Undo the doubling of percent signs in statements without values, which the connector leaves as they are."""

    @event.listens_for(engine, "before_cursor_execute", retval=True)
    def executing(*given: Any) -> tuple[str, object]:  # noqa: ANN401 - as SQLAlchemy has it
        _connection, _cursor, statement, values, *_more = given
        return statement if values else statement.replace("%%", "%"), values


def _lacks(error: BaseException) -> bool:
    return getattr(getattr(error, "orig", None) or error, "errno", None) in _NOT_THERE


SNOWFLAKE = Warehouse(
    name="snowflake",
    extra="snowflake",
    words={
        **IN_WINDOW,
        "bytes_order": "",  # texts are compared by their bytes
        "text_type": "VARCHAR",
        "among": EXPANDED,
        "place": "COALESCE({}, '')",
        "hour": "DATE_TRUNC('HOUR', CONVERT_TIMEZONE('UTC', {}))",  # a TIMESTAMP_TZ has an hour of its own zone
        "fingerprint": "CAST(HASH_AGG({}) AS VARCHAR) || ' ' || CAST(HASH_AGG(REVERSE({})) AS VARCHAR)",
        "now": "CURRENT_TIMESTAMP()",
        "integer_type": "integer",
        "bigint_type": "bigint",
        "kept_text": "VARCHAR",
        "time_type": "TIMESTAMP_TZ(6)",
        "number_type": "DOUBLE",
        "not_enforced": "",  # it never is
        "create_view": "CREATE OR REPLACE VIEW",
        "micros": "DATE_PART(epoch_microsecond, {})",
        "time_of": "TO_TIMESTAMP_TZ({}, 6)",
        "lag_s": "FLOOR((DATE_PART(epoch_microsecond, CURRENT_TIMESTAMP()) - DATE_PART(epoch_microsecond, {})) / 1000000)",
        "day": "TO_DATE(CONVERT_TIMEZONE('UTC', {}))",
    },
    own_name=str.upper,
    longest_name=255,
    chunk_rows=5_000,
    most_ids=10_000,
    bind_ids=expanded_ids,
    bind_odd_ids=expanded_ids,
    kind_of=kind_of,
    lists_types=True,
    convert={Kind.JSON: from_json},
    tagged="ALTER SESSION SET QUERY_TAG = 'rehook_sync {}'",
    refused={"session_parameters": "the session is ours"},
    arguments=_arguments,
    prepare=_prepare,
    drivers=frozenset({"snowflake"}),
    publishes=True,
    copy_levels=3,
    lacks_schema=_lacks,
    replaces_rows=False,
)
