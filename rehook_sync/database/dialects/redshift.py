"""Amazon Redshift as a warehouse, over Amazon's own driver, in UTC.

The driver reads a whole result before it gives the first row, so no read may be large. Options reach it from WAREHOUSE_OPTIONS alone:
it compares switches with `is True`, so that the text of a URL, `ssl=true`, would turn TLS off.

Source: redshift_connector 2.2, `core.py`; Redshift's documentation, "Unsupported PostgreSQL features".
"""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import URL, Engine, event
from sqlalchemy.engine.interfaces import ExceptionContext

from rehook_sync.database.dialects.other import EXPANDED, HOUR, IN_WINDOW, expanded_ids
from rehook_sync.database.dialects.record import Opening, Warehouse
from rehook_sync.database.kinds import Kind, from_json, trimmed
from rehook_sync.errors import SettingsError

__all__ = ["REDSHIFT"]

_DRIVER = "redshift_connector"
_CONNECTING: Mapping[str, Any] = {
    "ssl": True,
    "sslmode": "verify-full",
    "application_name": "rehook-sync",
    "tcp_keepalive_idle": 30,
    "tcp_keepalive_interval": 10,
    "tcp_keepalive_count": 3,
}
"""Option of the driver -> value, unless the user gives another: TLS with the host's name, and who is gone is noticed within a minute."""
_NOW = "CAST(GETDATE() AS TIMESTAMPTZ)"
"""GETDATE gives the clock of the session's zone, by which it is read back; NOW and CURRENT_TIMESTAMP see no tables."""
_EPOCH = "TIMESTAMP '1970-01-01 00:00:00'"
_LOST = ("server socket closed", "communication error", "connection is closed", "connection time out")
"""In messages of the driver about a connection that is gone; it has no other mark."""
_KINDS: Mapping[str, Kind] = {
    **dict.fromkeys(("character varying", "varchar", "text", "string"), Kind.TEXT),
    **dict.fromkeys(("character", "char", "bpchar"), Kind.PADDED),
    **dict.fromkeys(("date", "timestamp", "timestamptz", "timestamp without time zone", "timestamp with time zone"), Kind.TIME),
    **dict.fromkeys(("smallint", "integer", "bigint", "int"), Kind.NUMBER),
    **dict.fromkeys(("numeric", "decimal", "real", "float", "double", "double precision"), Kind.DECIMAL),
    "boolean": Kind.BOOLEAN,
    "super": Kind.JSON,
}
"""By the name in SVV_COLUMNS; tables of Spectrum have Hive's names there."""

_SUM = "CAST(SUM(CAST(STRTOL(SUBSTRING(MD5({}), PART), 16) AS DECIMAL(38, 0))) AS VARCHAR)"
"""A sum of 60 bits of MD5 each: as many hexadecimal digits as a BIGINT has room for, and whatever rows an hour has."""


def kind_of(declared: str) -> Kind:
    """Return the kind of a column of a type as SVV_COLUMNS names it: `numeric`, `varchar(256)`."""
    return _KINDS.get(declared.lower().partition("(")[0].strip(), Kind.OTHER)


def _arguments(url: URL, opening: Opening) -> dict[str, Any]:
    """Return how the driver connects. Raises SettingsError for another driver, and for options in the URL."""
    if url.get_driver_name() != _DRIVER:
        raise SettingsError(f"{opening.setting}: Redshift is read over {_DRIVER}: write redshift+{_DRIVER}://user:password@host:5439/name")
    if url.query:
        names = ", ".join(sorted(url.query))
        cause = "the driver takes ssl=true for no TLS, since a URL holds texts alone" if "ssl" in url.query else "a URL holds texts alone"
        raise SettingsError(f"{opening.setting}: {names}: {cause}: give it in {opening.told_in}; TLS is on without it")
    return {"connect_args": {**_CONNECTING, **opening.options}}


def _prepare(engine: Engine, _opening: Opening) -> None:
    """Let SQLAlchemy know connections that are gone: the pool opens new ones, and the read is begun again."""

    @event.listens_for(engine, "before_cursor_execute", retval=True)
    def executing(*given: Any) -> tuple[str, object]:  # noqa: ANN401 - as SQLAlchemy has it
        """Undo the doubling of percent signs in names and texts, which the driver leaves as it is."""
        _connection, _cursor, statement, values, *_more = given
        return statement.replace("%%", "%"), values

    @event.listens_for(engine, "handle_error")
    def failed(failure: ExceptionContext) -> None:
        if any(each in str(failure.original_exception) for each in _LOST):
            failure.is_disconnect = True


REDSHIFT = Warehouse(
    name="redshift",
    extra="redshift",
    words={
        **IN_WINDOW,
        "bytes_order": "",  # texts are compared by their bytes
        "text_type": "VARCHAR",
        "among": EXPANDED,
        "place": "COALESCE({}, '')",
        "hour": HOUR,
        "fingerprint": f"{_SUM.replace('PART', '1, 15')} || ' ' || {_SUM.replace('PART', '16, 15')}",
        "now": _NOW,
        "integer_type": "integer",
        "bigint_type": "bigint",
        "kept_text": "VARCHAR(65535)",  # without a length it would be 256 bytes
        "time_type": "TIMESTAMPTZ",
        "number_type": "DOUBLE PRECISION",
        "not_enforced": "",  # it never is
        "create_view": "CREATE OR REPLACE VIEW",
        "micros": f"DATEDIFF(microsecond, {_EPOCH}, {{}} AT TIME ZONE 'UTC')",
        "time_of": "TIMESTAMP WITH TIME ZONE 'epoch' + CAST({} AS DOUBLE PRECISION) / 1000000 * INTERVAL '1 second'",
        "lag_s": f"DATEDIFF(microsecond, {{}} AT TIME ZONE 'UTC', {_NOW} AT TIME ZONE 'UTC') / 1000000",
        "day": "CAST({} AT TIME ZONE 'UTC' AS DATE)",
    },
    longest_name=127,
    most_columns=1600,
    chunk_rows=5_000,
    most_ids=5_000,
    bind_ids=expanded_ids,
    bind_odd_ids=expanded_ids,
    buffers_results=True,
    kind_of=kind_of,
    lists_types=True,
    convert={Kind.JSON: from_json, Kind.PADDED: trimmed},
    session=("SET timezone TO 'UTC'", "SET query_group TO 'rehook_sync'"),
    tagged="SET query_group TO 'rehook_sync {}'",
    refused={"numeric_to_float": "decimals would lose digits: leave it out"},
    arguments=_arguments,
    prepare=_prepare,
    drivers=frozenset({"redshift_connector", "boto3", "botocore"}),
    publishes=True,
    replaces_rows=False,
    staged_rows=500,
)
