"""The hook behind connections of the type `rehook`."""

# ruff: noqa: PLC0415 - Airflow's web server loads this file to draw a form, and needs none of what sends requests

from typing import TYPE_CHECKING, Any, ClassVar

from airflow.sdk import BaseHook

from rehook_sync.airflow.connections import DEFAULT_REHOOK, rehook_values
from rehook_sync.errors import RehookSyncError

if TYPE_CHECKING:
    from rehook_sync.rehook.client import Rehook

__all__ = ["RehookHook"]


class RehookHook(BaseHook):
    """Rehook's API by the values of one connection; what the connection leaves out, the environment says."""

    conn_name_attr: ClassVar[str] = "rehook_conn_id"
    default_conn_name: ClassVar[str] = DEFAULT_REHOOK
    conn_type: ClassVar[str] = "rehook"
    hook_name: ClassVar[str] = "Rehook"

    def __init__(self, rehook_conn_id: str = DEFAULT_REHOOK, **more: Any) -> None:  # noqa: ANN401 - what every hook takes
        """Take the name of the connection; it is read at first use."""
        super().__init__(**more)
        self.rehook_conn_id = rehook_conn_id

    def get_conn(self) -> "Rehook":
        """Return a client for one event loop. Raises SettingsError for values that cannot be used."""
        from rehook_sync.rehook.client import Rehook
        from rehook_sync.rehook.transport import AiohttpTransport
        from rehook_sync.settings import load_settings

        # Settings are checked as a whole, and a warehouse is none of this hook's business.
        aside: dict[str, object] = {"warehouse_url": "sqlite://"}
        settings = load_settings(None, None, **aside, **rehook_values(self.get_connection(self.rehook_conn_id)))
        key, secret = settings.require_credentials()
        transport = AiohttpTransport(1, settings.timeout)
        return Rehook(transport, settings.api_url, key.get_secret_value(), secret.get_secret_value())

    def test_connection(self) -> tuple[bool, str]:
        """Ask Rehook whether the credentials are good, for the button in the connection's form; sends nothing else."""
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
