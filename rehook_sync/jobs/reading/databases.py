"""The warehouse and the database of the sync-state tables, as the settings name them."""

from collections.abc import Mapping

from rehook_sync.database.dialects.record import Connecting, Connector
from rehook_sync.database.engine import Database, open_database, same_database
from rehook_sync.settings import Settings

__all__ = ["open_both"]


def open_both(settings: Settings, connectors: Mapping[str, Connector], *, read_only: bool) -> tuple[bool, Database, Database]:
    """Return whether the warehouse and the sync-state tables are in one database, and both; neither is connected yet.

    Shape:  connectors: setting of a URL -> who makes the connections of its database, if not we.
    """
    warehouse_url = settings.warehouse_url.get_secret_value()
    state_url = (settings.state_url or settings.warehouse_url).get_secret_value()
    is_one_database = same_database(warehouse_url, state_url)
    options = settings.driver_options
    connecting = Connecting(options, busy_s=1, connector=connectors.get("warehouse_url"))
    warehouse = open_database(warehouse_url, "REHOOK_SYNC_WAREHOUSE_URL", read_only=True, connecting=connecting)
    state = open_database(
        state_url,
        "REHOOK_SYNC_STATE_URL" if settings.state_url else "REHOOK_SYNC_WAREHOUSE_URL",
        read_only=read_only,
        may_create=not is_one_database,
        search_path=settings.state_schema_name,
        connecting=Connecting(
            options if is_one_database else {}, connector=connectors.get("state_url" if settings.state_url else "warehouse_url")
        ),
    )
    return is_one_database, warehouse, state
