"""Databricks as a warehouse, over Databricks' own connector, in UTC. Tables are those of Unity Catalog.

Source: databricks-sqlalchemy 2.0, whose URL takes three options and drops all others; databricks-sql-connector 4.9, `client.py`.
"""

import json
import logging
import re
import socket
from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any
from urllib.parse import urlsplit

from sqlalchemy import URL, Engine, event
from sqlalchemy.engine.interfaces import ExceptionContext

from rehook_sync.database.dialects.other import DATED, EPOCH, HOUR, IN_WINDOW
from rehook_sync.database.dialects.record import Opening, Warehouse
from rehook_sync.database.kinds import Kind, from_json, trimmed
from rehook_sync.errors import DatabaseError, SettingsError, SourceError, TransientError

__all__ = ["DATABRICKS"]

_APP = "rehook_sync"
_OF_THE_URL = ("http_path", "catalog", "schema")
_TOKEN = "access_token"  # noqa: S105 - the name of an option
_CLIENT = ("oauth_client_id", "oauth_client_secret")
_AZURE = ("azure_client_id", "azure_client_secret", "azure_tenant_id", "azure_workspace_resource_id")
_OPTIONS = (
    *("http_path", _TOKEN, *_CLIENT, *_AZURE, "identity_federation_client_id", "query_tags", "use_cloud_fetch", "max_download_threads"),
    *("enable_telemetry", "_connection_uri", "_socket_timeout", "_retry_stop_after_attempts_count", "_retry_stop_after_attempts_duration"),
    *("_tls_trusted_ca_file", "_tls_client_cert_file", "_tls_client_cert_key_file", "_tls_client_cert_key_password", "_use_cert_as_auth"),
)
"""What the connector is given. It would take any other name, too, and do nothing with it."""
_CONNECTING: Mapping[str, Any] = {
    "_use_arrow_native_complex_types": False,
    "_disable_pandas": True,  # it would make NULL of NaN
    "enable_telemetry": False,
    "use_cloud_fetch": False,
    "user_agent_entry": _APP,
    "_retry_stop_after_attempts_duration": 300,  # a warehouse that sleeps takes minutes to start
}
"""Option of the connector -> value, unless the user gives another."""
_OURS = "leave it out: what is read relies on how it is"
_REFUSED = {
    **dict.fromkeys(("_use_arrow_native_complex_types", "_use_arrow_native_timestamps", "_use_arrow_native_decimals"), _OURS),
    **dict.fromkeys(("_disable_pandas", "use_inline_params"), _OURS),
    **dict.fromkeys(("_tls_no_verify", "_tls_verify_hostname"), "the token would go to whoever answers: leave it out"),
    **dict.fromkeys(("use_kernel", "use_sea"), "rows are read over Thrift: leave it out"),
}
_NOT_TAKEN = {
    "auth_type": "it follows from what else is given; a run opens no browser",
    "session_configuration": "the session is ours",
    "user_agent_entry": "it is rehook_sync; query_tags take what is yours",
}
_LOOPBACK = ("127.0.0.1", "localhost", "::1")
_PROXIES = frozenset({"https", "all"})
"""Where another machine looks names up."""
_FETCHED_ROWS = 20_000
_FETCHED_BYTES = 16 << 20
"""Of a result, as much as is held at once."""

_STATE = re.compile(r"SQLSTATE: ([0-9A-Z]{5})")
_CONDITION = re.compile(r"\[[A-Z0-9_.]+\]")
_NOT_THERE = re.compile(r"\[(NO_SUCH_CATALOG_EXCEPTION|CATALOG_NOT_FOUND|SCHEMA_NOT_FOUND|TABLE_OR_VIEW_NOT_FOUND)\]")
"""Conditions of errors by which a catalog or a schema is not there, or may not be seen."""
_DATA_ERRORS = ("22", "23")
_LOST = (
    "invalid sessionhandle",
    "invalid session handle",
    "session handle is",
    "session is closed",
    "session was closed",
    "session is expired",
)
"""In messages about a session that is gone, as after an hour of silence."""
_OF_THE_NETWORK = frozenset({"HTTPError", "ConnectionError", "TimeoutError"})
_REFUSALS = frozenset({400, 401, 403, 404})

# Java's regular expressions have no classes by name in brackets.
_DATED, _EPOCH = (each.replace("[[:space:]]", r"\s") for each in (DATED, EPOCH))
_TEXT = "CAST({} AS STRING)"
# A FLOAT of more than seven digits is written with an exponent.
_KEY = (
    "CASE WHEN TYPEOF({}) IN ('float', 'double') OR TYPEOF({}) LIKE 'decimal%' THEN REGEXP_REPLACE("
    "CASE WHEN TYPEOF({}) IN ('float', 'double') THEN CAST(TRY_CAST({} AS DECIMAL(38, 9)) AS STRING) ELSE CAST({} AS STRING) END,"
    r" r'\.0+$|(\.[0-9]*[1-9])0+$', '$1') ELSE CAST({} AS STRING) END"
)
_MOMENT = (
    f"CASE WHEN {_TEXT} RLIKE r'^({_DATED})$' AND {_TEXT} NOT LIKE '0000%'"
    rf" THEN TRY_CAST(UPPER(REGEXP_REPLACE({_TEXT}, r'\s+([+-])', '$1')) AS TIMESTAMP)"
    f" WHEN {_TEXT} RLIKE r'^({_EPOCH})$' THEN TIMESTAMP_MICROS(CAST(FLOOR(TRY_CAST({_TEXT} AS DECIMAL(38, 9))"
    f" * CASE LENGTH(REGEXP_EXTRACT({_TEXT}, '^[0-9]+', 0)) WHEN 10 THEN 1000000 WHEN 13 THEN 1000 ELSE 1 END) AS BIGINT)) END"
)
_SUM = "CAST(SUM(CAST(XXHASH64({}) AS DECIMAL(20, 0))) AS STRING)"
"""A sum, since copies of a call leave an XOR as it is; BIGINT has no room for it."""
_AS_JSON = (
    """TO_JSON({}, MAP('timestampFormat', "yyyy-MM-dd'T'HH:mm:ss.SSSSSSXXX","""
    """ 'timestampNTZFormat', "yyyy-MM-dd'T'HH:mm:ss.SSSSSS'Z'"))"""
)
"""Its own form has milliseconds alone."""
_KINDS: Mapping[str, Kind] = {
    **dict.fromkeys(("string", "varchar"), Kind.TEXT),
    **dict.fromkeys(("char", "character"), Kind.PADDED),
    **dict.fromkeys(("timestamp", "timestamp_ltz", "timestamp_ntz", "date"), Kind.TIME),
    **dict.fromkeys(("tinyint", "smallint", "int", "integer", "bigint", "byte", "short", "long"), Kind.NUMBER),
    **dict.fromkeys(("decimal", "dec", "numeric", "float", "real", "double"), Kind.DECIMAL),
    **dict.fromkeys(("array", "map", "struct", "variant", "object"), Kind.JSON),
    "interval": Kind.INTERVAL,
    "boolean": Kind.BOOLEAN,
}
"""By the first word of `full_data_type`."""
_TYPE = re.compile(r"\s*(\w+)")

# The connector tells in a log what it raises as well; without a handler Python would print that.
logging.getLogger("databricks").addHandler(logging.NullHandler())


def kind_of(declared: str) -> Kind:
    """Return the kind of a column of a type as information_schema writes it: `decimal(10,2)`, `array<string>`, `interval day`."""
    found = _TYPE.match(declared.lower())
    return _KINDS.get(found[1], Kind.OTHER) if found else Kind.OTHER


def _default_schema(url: URL) -> str | None:
    """Return `catalog.schema` of a URL, as far as it names them."""
    catalog, schema = url.query.get("catalog"), url.query.get("schema")
    return f"{catalog}.{schema}" if catalog and schema else str(schema) if schema else None


def _arguments(url: URL, opening: Opening) -> dict[str, Any]:
    """Return how the connector connects.

    Raises: SettingsError for options that would do nothing or harm, and for a URL and options that do not say where to, and as whom.
    """
    options = dict(opening.options)
    if strange := [name for name in url.query if name not in _OF_THE_URL]:
        raise SettingsError(f"{opening.setting}: {', '.join(strange)}: from the URL it would do nothing: give it in {opening.told_in}")
    if strange := [name for name in options if name not in _OPTIONS]:
        why = _NOT_TAKEN.get(strange[0], f"is not known here: it takes {', '.join(_OPTIONS)}")
        raise SettingsError(f"{opening.told_in}: {strange[0]}: {why}")
    if opening.connecting.connector is None:
        _require_place(url, opening)
        options |= _credentials(url, opening)
    if "query_tags" in options:
        options["query_tags"] = {**_tags(options["query_tags"], opening.told_in), "app": _APP}
    return {"connect_args": {**_CONNECTING, **options}}


def _require_place(url: URL, opening: Opening) -> None:
    """Raise SettingsError unless it is said where to connect, and nothing goes in clear over a network."""
    if not url.host or not (url.query.get("http_path") or opening.options.get("http_path")):
        example = "databricks://host?http_path=/sql/1.0/warehouses/1234567890abcdef&catalog=main&schema=shop"
        raise SettingsError(f"{opening.setting}: the URL of Databricks names a host and the http_path of a warehouse: {example}")
    uri = urlsplit(str(opening.options.get("_connection_uri") or "https:"))
    if uri.scheme != "https" and uri.hostname not in _LOOPBACK:
        raise SettingsError(f"{opening.told_in}: _connection_uri: the token would go in clear over the network: write https://")


def _credentials(url: URL, opening: Opening) -> dict[str, Any]:
    """Return the options that say as whom. Raises SettingsError where none do: the connector would open a browser and wait."""
    options = opening.options
    if options.get("oauth_client_id") or options.get("oauth_client_secret"):
        if not all(options.get(each) for each in _CLIENT):
            raise SettingsError(f"{opening.told_in}: oauth_client_id and oauth_client_secret are given together")
        uri = urlsplit(str(options.get("_connection_uri") or f"https://{url.host}"))
        # It imports what speaks HTTP, which most commands do without.
        oauth = import_module("rehook_sync.database.dialects.databricks_oauth")
        return {"credentials_provider": oauth.ClientCredentials(f"{uri.scheme}://{uri.netloc}", options)}
    if options.get("azure_client_id"):
        return {"auth_type": "azure-sp-m2m"}
    if not (url.password or options.get(_TOKEN) or options.get("_use_cert_as_auth")):
        ways = f"{_TOKEN}_file, or oauth_client_id and oauth_client_secret_file"
        raise SettingsError(f"{opening.told_in}: nothing says as whom to connect: give {ways}")
    return {}


def _tags(text: object, told_in: str) -> dict[str, str]:
    """Return tags written as `team=data,cost=42`."""
    tags = dict(each.strip().partition("=")[::2] for each in str(text).split(",") if each.strip())
    if not all(tags) or not all(tags.values()):
        raise SettingsError(f"{told_in}: query_tags are written as team=data,cost=42")
    return tags


def _prepare(engine: Engine, opening: Opening) -> None:
    """Hold little of a result at once, let SQLAlchemy know sessions that are gone, and keep values of rows out of messages."""
    if opening.connecting.connector is None:
        _look_for_host(engine, opening.setting)

    @event.listens_for(engine, "before_cursor_execute")
    def executing(_connection: object, cursor: Any, *_more: object) -> None:  # noqa: ANN401 - the connector's
        cursor.arraysize, cursor.buffer_size_bytes = _FETCHED_ROWS, _FETCHED_BYTES

    @event.listens_for(engine, "handle_error")
    def failed(failure: ExceptionContext) -> None:
        error: Any = failure.original_exception
        message = str(getattr(error, "message", None) or error)
        failure.is_disconnect = failure.is_disconnect or _is_lost(message)
        if state := _STATE.search(message):
            error.sqlstate = state[1]
            if state[1].startswith(_DATA_ERRORS):  # which quote the value
                condition = _CONDITION.search(message)
                error.message = condition[0] if condition else "a value"


def _look_for_host(engine: Engine, setting: str) -> None:
    """Look a host up before the first connection: for one that does not exist, the connector tries for minutes."""
    from urllib.request import getproxies  # noqa: PLC0415 - it imports what speaks HTTP, which most commands do without

    host, asked = str(engine.url.host), not _PROXIES.isdisjoint(getproxies())

    @event.listens_for(engine, "do_connect")
    def connecting(*_given: object) -> None:
        nonlocal asked
        try:
            asked = asked or bool(socket.getaddrinfo(host, None))
        except OSError as error:
            raise SourceError(f"cannot connect to the database of {setting}: the host {host} is not known: {error.strerror}") from error


def _is_lost(message: str) -> bool:
    return any(each in message.lower() for each in _LOST)


def _classify(error: BaseException) -> type[DatabaseError] | None:
    """Tell whether the same statement may succeed later: the session is gone, or the network or the service are not well."""
    cause = getattr(error, "orig", None) or error
    names = {base.__name__ for base in type(cause).__mro__}
    message = str(getattr(cause, "message", None) or cause)
    if "CERTIFICATE_VERIFY_FAILED" in message or _code(cause) in _REFUSALS:
        return None
    return TransientError if _is_lost(message) or names & {"RequestError", *_OF_THE_NETWORK} else None


def _lacks(error: BaseException) -> bool:
    cause = getattr(error, "orig", None) or error
    return _NOT_THERE.search(str(getattr(cause, "message", None) or cause)) is not None


def _code(error: object) -> object:
    context = getattr(error, "context", None)
    return context.get("http-code") if isinstance(context, dict) else None


def _texts(ids: Sequence[str | bytes]) -> object:
    return json.dumps([each for each in ids if isinstance(each, str)])


DATABRICKS = Warehouse(
    name="databricks",
    extra="databricks",
    words={
        **IN_WINDOW,
        "bytes_order": "",  # texts are compared by their bytes
        "text_type": "STRING",
        # One value, since a statement takes 256.
        "among": "IN (SELECT EXPLODE(FROM_JSON({}, 'ARRAY<STRING>')))",
        "place": "COALESCE({}, '')",
        "key_text": _KEY,
        "moment": _MOMENT,
        "hour": HOUR,
        "fingerprint": f"CONCAT({_SUM}, ' ', {_SUM.replace('{}', 'REVERSE({})')})",
        "now": "CURRENT_TIMESTAMP()",
        "integer_type": "INT",
        "bigint_type": "BIGINT",
        "kept_text": "STRING",
        "time_type": "TIMESTAMP",
        "number_type": "DOUBLE",
        "not_enforced": "NOT ENFORCED",
        "create_view": "CREATE OR REPLACE VIEW",
        "micros": "UNIX_MICROS({})",
        "time_of": "TIMESTAMP_MICROS({})",
        "lag_s": "CAST(FLOOR((UNIX_MICROS(CURRENT_TIMESTAMP()) - UNIX_MICROS({})) / 1000000) AS BIGINT)",
        # Sessions of analysts may be in any zone.
        "day": "DATE_FROM_UNIX_DATE(CAST(FLOOR(UNIX_MICROS({}) / 86400000000) AS INT))",
    },
    own_name=str.lower,
    name_levels=3,
    longest_name=255,
    most_ids=10_000,
    slice_rows=0,
    chunk_rows=5_000,
    bind_ids=json.dumps,
    bind_odd_ids=_texts,
    default_schema=_default_schema,
    kind_of=kind_of,
    lists_types=True,
    select_as={
        # Years that Python lacks would end the whole read.
        Kind.TIME: "CASE WHEN YEAR({}) BETWEEN 1 AND 9999 THEN {} END",
        Kind.JSON: _AS_JSON,
        Kind.INTERVAL: "CAST({} AS STRING)",
    },
    convert={Kind.JSON: from_json, Kind.PADDED: trimmed},
    pre_ping=False,
    session=("SET TIME ZONE 'UTC'",),
    refused=_REFUSED,
    arguments=_arguments,
    prepare=_prepare,
    drivers=frozenset({"databricks", "pyarrow", "requests", "thrift", "urllib3"}),
    classify=_classify,
    publishes=True,
    copy_levels=3,
    lacks_schema=_lacks,
    has_transactions=False,
    adds_rows=True,
)
