"""The hook behind connections of the type `rehook`."""

# ruff: noqa: PLC0415 - Airflow's web server loads this file for a form and needs no HTTP client

from typing import TYPE_CHECKING, Any, ClassVar

import rehook_sync.airflow.common.versions  # noqa: F401 - first: says what an older Airflow lacks

# isort: split

from airflow.sdk import BaseHook

from rehook_sync.airflow.connections import DEFAULT_REHOOK, rehook_values
from rehook_sync.errors import RehookSyncError

if TYPE_CHECKING:
    from rehook_sync.rehook.client import Rehook

__all__ = ["RehookHook"]


class RehookHook(BaseHook):
    """Rehook's API by one connection; what it leaves out comes from the environment."""

    conn_name_attr: ClassVar[str] = "rehook_conn_id"
    default_conn_name: ClassVar[str] = DEFAULT_REHOOK
    conn_type: ClassVar[str] = "rehook"
    hook_name: ClassVar[str] = "Rehook"

    def __init__(self, rehook_conn_id: str = DEFAULT_REHOOK, **more: Any) -> None:  # noqa: ANN401 - what every hook takes
        """Keep the connection's name; it is read at first use."""
        super().__init__(**more)
        self.rehook_conn_id = rehook_conn_id

    def get_conn(self) -> "Rehook":
        """Return a client for one event loop. Raises SettingsError for unusable values."""
        from rehook_sync.rehook.client import Rehook
        from rehook_sync.rehook.transport import AiohttpTransport
        from rehook_sync.settings import load_settings

        # Settings are checked as a whole; this hook needs no warehouse.
        aside: dict[str, object] = {"warehouse_url": "sqlite://"}
        settings = load_settings(None, None, **aside, **rehook_values(self.get_connection(self.rehook_conn_id)))
        key, secret = settings.require_credentials()
        transport = AiohttpTransport(1, settings.timeout)
        return Rehook(transport, settings.api_url, key.get_secret_value(), secret.get_secret_value())

    def test_connection(self) -> tuple[bool, str]:
        """Ask Rehook whether the credentials are good: the button in the connection's form."""
        from rehook_sync.delivery.outcomes import stop_reason
        from rehook_sync.delivery.sender import check_credentials
        from rehook_sync.models import Effect

        try:
            answer = check_credentials(self.get_conn())
        except RehookSyncError as error:
            return False, str(error)
        if answer.effect is Effect.ACCEPTED:
            return True, "Rehook accepts the credentials"
        return False, str(stop_reason(answer))
