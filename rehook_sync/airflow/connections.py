"""Settings from Airflow: arguments in the DAG over Airflow's connections over the worker's environment."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from airflow.sdk import BaseHook
from airflow.sdk.exceptions import AirflowNotFoundException
from airflow.sdk.log import mask_secret

from rehook_sync.errors import SettingsError
from rehook_sync.settings import SECRETS, Settings, load_settings

__all__ = ["DEFAULT_REHOOK", "DEFAULT_WAREHOUSE", "read_settings", "rehook_values"]

DEFAULT_REHOOK = "rehook_default"
DEFAULT_WAREHOUSE = "rehook_warehouse"
_BACKENDS = {"postgres": "postgresql", "postgresql": "postgresql", "mysql": "mysql", "redshift": "postgresql"}


def read_settings(
    arguments: Mapping[str, object], rehook_conn_id: str, warehouse_conn_id: str | None, state_conn_id: str | None = None
) -> Settings:
    """Return the settings of a run.

    Shape:  arguments: setting -> value, from the DAG; no secrets.
            An id of None, or a missing connection with a default name, leaves its settings to the environment.
    Raises: SettingsError with one line per problem.
    """
    told = sorted(set(arguments) & (SECRETS | {f"{name}_file" for name in SECRETS}))
    if told:
        raise SettingsError(f"{told[0]}: no secret may stand in a DAG, where everybody can read it; put it into a connection")
    values: dict[str, object] = {}
    if (rehook := _connection(rehook_conn_id, DEFAULT_REHOOK)) is not None:
        values |= rehook_values(rehook)
    for name, conn_id in (("warehouse_url", warehouse_conn_id), ("state_url", state_conn_id)):
        found = None if conn_id is None else _connection(conn_id, DEFAULT_WAREHOUSE)
        if found is not None:
            values[name] = database_url(found)
    settings = load_settings(None, None, **{**values, **arguments})
    _hide(settings)
    return settings


def rehook_values(connection: Any) -> dict[str, object]:  # noqa: ANN401 - Airflow has three classes of connections
    """Return the settings that a connection of the type `rehook` holds."""
    extra = {name: value for name, value in (connection.extra_dejson or {}).items() if value not in (None, "")}
    plain = {"api_url": _address(connection), "api_key": connection.login, "api_secret": connection.password}
    return {**extra, **{name: value for name, value in plain.items() if value}}


def database_url(connection: Any) -> str:  # noqa: ANN401 - see above
    """Return the SQLAlchemy URL of a database connection, from its provider's hook if that is installed.

    Raises: SettingsError for a connection that leads to no database SQLAlchemy knows.
    """
    try:
        url = _url_of_hook(connection)
    except Exception as error:  # noqa: BLE001 - each provider fails in its own way; the name is reported below
        url, why = None, type(error).__name__
    else:
        why = "its hook has no SQLAlchemy URL"
    url = url or _plain_url(connection)
    if url is None:
        raise SettingsError(
            f"connection {connection.conn_id!r} of the type {connection.conn_type!r} gives no SQLAlchemy URL ({why}); "
            "install the provider of that type with its driver, or set REHOOK_SYNC_WAREHOUSE_URL in the environment of the workers"
        )
    return url


def _connection(conn_id: str, default: str) -> Any | None:  # noqa: ANN401 - see above
    try:
        return BaseHook.get_connection(conn_id)
    except AirflowNotFoundException:
        if conn_id == default:
            return None
        raise SettingsError(f"there is no connection {conn_id!r}: make it, or leave its name out of the DAG") from None


def _address(connection: Any) -> str | None:  # noqa: ANN401 - see above
    """Return the API's address. A host without scheme, as in the URI form of a connection, means https."""
    if not connection.host or "://" in connection.host:
        return connection.host or None
    port = f":{connection.port}" if connection.port else ""
    return f"https://{connection.host}{port}"


def _url_of_hook(connection: Any) -> str | None:  # noqa: ANN401 - see above
    hook = connection.get_hook()
    try:
        url = hook.sqlalchemy_url
    except (AttributeError, NotImplementedError):
        return str(hook.get_uri())
    text = str(url.render_as_string(hide_password=False))
    # Airflow's hook names its own driver; ours depends on what is installed.
    return f"postgresql://{text.partition('://')[2]}" if text.startswith("postgresql+") else text


def _plain_url(connection: Any) -> str | None:  # noqa: ANN401 - see above
    """Build the URL from the fields, for types that need no more."""
    if connection.conn_type == "sqlite":
        return f"sqlite:///{connection.host}"
    backend = _BACKENDS.get(connection.conn_type)
    if backend is None or not connection.host:
        return None
    user = quote(connection.login or "", safe="")
    password = f":{quote(connection.password, safe='')}" if connection.password else ""
    port = f":{connection.port}" if connection.port else ""
    return f"{backend}://{user}{password}{'@' if user else ''}{connection.host}{port}/{connection.schema or ''}"


def _hide(settings: Settings) -> None:
    """Let Airflow mask secrets from the environment in its logs. It masks those of its connections already."""
    for name in SECRETS:
        value = getattr(settings, name)
        if value is not None:
            mask_secret(value.get_secret_value())
