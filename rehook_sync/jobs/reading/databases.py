"""The warehouse and the database of the sync-state tables, as the settings name them."""

from collections.abc import Mapping

from rehook_sync.database.dialects.record import Connecting, Connector
from rehook_sync.database.engine import Database, open_database, same_database
from rehook_sync.settings import Settings

__all__ = ["open_both", "open_state"]

_NONE: Mapping[str, Connector] = {}


def open_both(settings: Settings, connectors: Mapping[str, Connector], *, read_only: bool) -> tuple[bool, Database, Database]:
    """Return whether the warehouse and the sync-state tables are in one database, and both; neither is connected yet.

    Shape:  connectors: setting of a URL -> who makes the connections of its database, if not we.
    """
    warehouse_url = settings.warehouse_url.get_secret_value()
    connecting = Connecting(settings.driver_options, busy_s=1, connector=connectors.get("warehouse_url"))
    warehouse = open_database(warehouse_url, "REHOOK_SYNC_WAREHOUSE_URL", read_only=True, connecting=connecting)
    return _is_one(settings), warehouse, open_state(settings, connectors, read_only=read_only)


def open_state(settings: Settings, connectors: Mapping[str, Connector] = _NONE, *, read_only: bool = True) -> Database:
    """Return the database of the sync-state tables, not yet connected. The driver of the warehouse need not be there."""
    is_one_database = _is_one(settings)
    return open_database(
        (settings.state_url or settings.warehouse_url).get_secret_value(),
        "REHOOK_SYNC_STATE_URL" if settings.state_url else "REHOOK_SYNC_WAREHOUSE_URL",
        read_only=read_only,
        may_create=not is_one_database,
        search_path=settings.state_schema_name,
        connecting=Connecting(
            settings.driver_options if is_one_database else {},
            connector=connectors.get("state_url" if settings.state_url else "warehouse_url"),
        ),
    )


def _is_one(settings: Settings) -> bool:
    state_url = settings.state_url or settings.warehouse_url
    return same_database(settings.warehouse_url.get_secret_value(), state_url.get_secret_value())
