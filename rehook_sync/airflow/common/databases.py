"""Databases by Airflow's connections. The hook of a connection connects, so that nothing of it is lost: TLS, tokens, keys, roles."""

# ruff: noqa: PLC0415 - SQLAlchemy loads when a task runs

import json
from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

from rehook_sync.errors import SettingsError, SourceError

if TYPE_CHECKING:
    from rehook_sync.database.dialects.record import Connector

__all__ = ["Reached", "reach"]

Connection = Any
Hook = Any
"""Airflow has three classes of connections, and each provider has its own hooks."""
Make = Callable[[Connection, Mapping[str, Any]], Hook]

_OF_THE_HOOK = frozenset({"ssl", "sslmode"})
"""Options that are the hook's to decide, whatever we would like."""
_SESSION = "session_parameters"
"""Of Snowflake: the user's, over which ours are laid."""
_UNKNOWN = "Unknown hook type"
_PLAIN = {"postgres": "postgresql", "postgresql": "postgresql", "redshift": "redshift+redshift_connector"}
"""Types that need no provider where nothing stands in the extra, which would be lost."""
_NO_ROWS_OF_OURS = "cursor"
"""An extra that would let the driver give rows of another shape."""


@dataclass(frozen=True, slots=True)
class Reached:
    """How a database is reached. Shape:  url: names it, without a secret.  connector: who connects; None: we, by the URL."""

    url: str
    connector: "Connector | None"


@dataclass(frozen=True, slots=True)
class _Type:
    """A type of connections.

    Shape:  make: connection, options that we would like -> a hook.  url: connection, hook -> the URL that names its database.
            connects: hook -> a connection.
    """

    make: Make
    url: Callable[[Connection, Hook], Any]
    connects: Callable[[Hook], object] = lambda hook: hook.get_conn()


def reach(connection: Connection) -> Reached:
    """Return how the database of a connection is reached.

    Raises: SettingsError, with the hook's own error, for a connection that leads to no database SQLAlchemy knows.
    """
    from rehook_sync.database.dialects.record import Connector

    if connection.conn_type == "sqlite":
        return Reached(f"sqlite:///{connection.host}", None)
    kind = _TYPES.get(connection.conn_type, _ANY)
    try:
        url = kind.url(connection, kind.make(connection, {}))
    except Exception as error:
        if _UNKNOWN in str(error) and connection.conn_type in _PLAIN and not connection.extra_dejson:
            url = _plain_url(_PLAIN[connection.conn_type], connection).set(password=connection.password or None)
            return Reached(url.render_as_string(hide_password=False), None)
        raise SettingsError(
            f"{_named(connection)} gives no database that SQLAlchemy knows: {_said(error)}; "
            "install the provider of that type with its driver, or set REHOOK_SYNC_WAREHOUSE_URL in the environment of the workers"
        ) from error
    options = {name: value for name, value in (connection.extra_dejson or {}).items() if name != _SESSION}
    connector = Connector(_named(connection), _connecting(kind, connection), options)
    return Reached(url.render_as_string(hide_password=False), connector)


def _connecting(kind: _Type, connection: Connection) -> Callable[[Mapping[str, Any]], object]:
    def connect(wanted: Mapping[str, Any]) -> object:
        try:
            return kind.connects(kind.make(connection, wanted))
        except Exception as error:
            if {each.__name__ for each in type(error).__mro__} & {"DatabaseError", "InterfaceError"}:
                raise  # the driver's own, which is told like all errors of databases
            raise SourceError(f"{_named(connection)}: {_said(error)}") from error

    return connect


def _named(connection: Connection) -> str:
    return f"connection {connection.conn_id!r} of the type {connection.conn_type!r}"


def _said(error: BaseException) -> str:
    return "; ".join(line.strip() for line in f"{type(error).__name__}: {error}".splitlines() if line.strip())[:300]


def _with_extra(connection: Connection, wanted: Mapping[str, Any]) -> Connection:
    """Return a copy of a connection that gives the driver what we would like, too, where the user says nothing else."""
    changed = deepcopy(connection)
    extra = {**{name: value for name, value in wanted.items() if name not in _OF_THE_HOOK}, **(connection.extra_dejson or {})}
    extra.pop(_NO_ROWS_OF_OURS, None)
    changed.extra = json.dumps(extra)
    return changed


def _any_hook(connection: Connection, _wanted: Mapping[str, Any]) -> Hook:
    return connection.get_hook()


def _any_url(_connection: Connection, hook: Hook) -> Any:  # noqa: ANN401 - SQLAlchemy's, which loads when a task runs
    from sqlalchemy import make_url

    try:
        return make_url(hook.sqlalchemy_url)
    except (AttributeError, NotImplementedError):
        return make_url(hook.get_uri())


def _field(connection: Connection, name: str) -> Any:  # noqa: ANN401 - what stands in an extra
    """Return a field of the extra; forms of older Airflows wrote it with the type in front."""
    extra = connection.extra_dejson or {}
    return extra.get(name) or extra.get(f"extra__{connection.conn_type}__{name}")


def _plain_url(drivername: str, connection: Connection) -> Any:  # noqa: ANN401 - as above
    from sqlalchemy import URL

    host, port = connection.host or None, connection.port or None
    if host is not None and host.startswith("/"):  # a folder of sockets
        return URL.create(drivername, connection.login, None, None, port, connection.schema or None, {"host": host})
    return URL.create(drivername, connection.login or None, None, host, port, connection.schema or None)


def _postgres_hook(connection: Connection, wanted: Mapping[str, Any]) -> Hook:
    return connection.get_hook(hook_params={"connection": _with_extra(connection, wanted)})


def _postgres_url(connection: Connection, hook: Hook) -> Any:  # noqa: ANN401 - as above
    extra = connection.extra_dejson or {}
    if extra.get("redshift") or extra.get("redshift-serverless"):
        raise ValueError("PostgreSQL's driver does not do for Redshift: make it a connection of the type 'redshift'")
    module = import_module("airflow.providers.postgres.hooks.postgres")
    url = _plain_url(f"postgresql+{'psycopg' if getattr(module, 'USE_PSYCOPG3', False) else 'psycopg2'}", connection)
    return url.set(database=getattr(hook, "database", None) or url.database)


def _redshift_hook(connection: Connection, wanted: Mapping[str, Any]) -> Hook:
    hook = connection.get_hook()
    hook.conn = _with_extra(connection, wanted)
    return hook


def _redshift_url(connection: Connection, _hook: Hook) -> Any:  # noqa: ANN401 - as above
    return _plain_url("redshift+redshift_connector", connection)


def _snowflake_hook(connection: Connection, wanted: Mapping[str, Any]) -> Hook:
    session = {**((connection.extra_dejson or {}).get(_SESSION) or {}), **wanted.get(_SESSION, {})}
    return connection.get_hook(hook_params={_SESSION: session})


def _snowflake_url(connection: Connection, _hook: Hook) -> Any:  # noqa: ANN401 - as above
    from sqlalchemy import URL

    database = "/".join(filter(None, (_field(connection, "database"), connection.schema)))
    account = "".join(
        filter(None, (_field(connection, "account"), f".{_field(connection, 'region')}" if _field(connection, "region") else ""))
    )
    if not account or not database:
        raise ValueError("its extra names no account and database")
    return URL.create("snowflake", connection.login or None, None, account, None, database)


def _bigquery_hook(connection: Connection, _wanted: Mapping[str, Any]) -> Hook:
    return import_module("airflow.providers.google.cloud.hooks.bigquery").BigQueryHook(gcp_conn_id=connection.conn_id, use_legacy_sql=False)


def _bigquery_url(connection: Connection, hook: Hook) -> Any:  # noqa: ANN401 - as above
    from sqlalchemy import URL

    return URL.create("bigquery", host=hook.project_id, database=connection.schema or None)


def _bigquery_client(hook: Hook) -> object:
    return hook.get_client(project_id=hook.project_id, location=hook.location)


def _databricks_hook(connection: Connection, wanted: Mapping[str, Any]) -> Hook:
    module = import_module("airflow.providers.databricks.hooks.databricks_sql")
    names = {"catalog": _field(connection, "catalog"), "schema": connection.schema or _field(connection, "schema")}
    extra = connection.extra_dejson or {}
    session = {"timezone": "UTC", **(extra.get("session_configuration") or {})}
    named = {name: value for name, value in names.items() if value}
    ours = {name: value for name, value in wanted.items() if name not in extra}
    return module.DatabricksSqlHook(databricks_conn_id=connection.conn_id, session_configuration=session, **{**ours, **named})


def _databricks_url(connection: Connection, hook: Hook) -> Any:  # noqa: ANN401 - as above
    from sqlalchemy import URL

    path = _field(connection, "http_path")
    if not path:
        raise ValueError("its extra names no http_path")
    names = {"http_path": path, "catalog": hook.catalog, "schema": hook.schema}
    return URL.create("databricks", "token", None, hook.host, query={name: str(value) for name, value in names.items() if value})


_ANY = _Type(_any_hook, _any_url)
_TYPES: Mapping[str, _Type] = {
    **dict.fromkeys(("postgres", "postgresql"), _Type(_postgres_hook, _postgres_url)),
    "redshift": _Type(_redshift_hook, _redshift_url),
    "snowflake": _Type(_snowflake_hook, _snowflake_url),
    **dict.fromkeys(("gcpbigquery", "google_cloud_platform"), _Type(_bigquery_hook, _bigquery_url, _bigquery_client)),
    "databricks": _Type(_databricks_hook, _databricks_url),
}
