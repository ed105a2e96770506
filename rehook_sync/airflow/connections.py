"""Settings from Airflow: arguments in the DAG over Airflow's connections over the worker's environment."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from rehook_sync.airflow.common.versions import AirflowNotFoundException  # first: says what an older Airflow lacks

# isort: split

from airflow.sdk import BaseHook
from airflow.sdk.log import mask_secret

from rehook_sync.airflow.common.databases import reach
from rehook_sync.errors import SettingsError
from rehook_sync.settings import SECRETS, Settings, load_settings

if TYPE_CHECKING:
    from pydantic import SecretStr

    from rehook_sync.database.dialects.record import Connector

__all__ = ["DEFAULT_REHOOK", "DEFAULT_WAREHOUSE", "read_job", "read_notifiers", "rehook_values"]

_NO_WAREHOUSE = "sqlite:///nowhere.db"
DEFAULT_REHOOK = "rehook_default"
DEFAULT_WAREHOUSE = "rehook_warehouse"


def read_job(
    arguments: Mapping[str, object], rehook_conn_id: str, warehouse_conn_id: str | None, state_conn_id: str | None = None
) -> "tuple[Settings, dict[str, Connector]]":
    """Return the settings of a run, and who connects: setting of a URL -> the hook of its connection, where there is one.

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
    connectors: dict[str, Connector] = {}
    for name, conn_id in (("warehouse_url", warehouse_conn_id), ("state_url", state_conn_id)):
        found = None if conn_id is None else _connection(conn_id, DEFAULT_WAREHOUSE)
        if found is not None:
            reached = reach(found)
            values[name] = reached.url
            connectors |= {name: reached.connector} if reached.connector else {}
    settings = load_settings(None, None, **{**values, **arguments})
    _hide(settings)
    return settings, connectors


def read_notifiers(rehook_conn_id: str) -> "tuple[SecretStr, ...]":
    """Return the URLs of NOTIFY. Where somebody is to be told, no warehouse needs to be known: a deadline's triggerer has none."""
    found = _connection(rehook_conn_id, DEFAULT_REHOOK)
    values = {} if found is None else rehook_values(found)
    try:
        settings = load_settings(None, None, **values)
    except SettingsError:
        settings = load_settings(None, None, **values, warehouse_url=_NO_WAREHOUSE)
    _hide(settings)
    return settings.notify


def rehook_values(connection: Any) -> dict[str, object]:  # noqa: ANN401 - Airflow has three classes of connections
    """Return the settings that a connection of the type `rehook` holds."""
    extra = {name: value for name, value in (connection.extra_dejson or {}).items() if value not in (None, "")}
    plain = {"api_url": _address(connection), "api_key": connection.login, "api_secret": connection.password}
    return {**extra, **{name: value for name, value in plain.items() if value}}


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


def _hide(settings: Settings) -> None:
    """Let Airflow mask secrets from the environment in its logs. It masks those of its connections already."""
    for name in SECRETS:
        value = getattr(settings, name) or ()
        for each in value if isinstance(value, tuple) else (value,):
            mask_secret(each.get_secret_value())
