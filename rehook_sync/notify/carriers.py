"""Who carries a message: the notifiers of the `apprise` library, and the URL that is called after good runs.

None of them ever fails a run, and what they say themselves is not repeated: it may hold a URL, and that a secret.
"""

import logging
from collections.abc import Sequence
from types import ModuleType
from typing import Any

from pydantic import SecretStr

from rehook_sync.errors import SettingsError
from rehook_sync.notify.messages import Message

__all__ = ["call_heartbeat", "check_notifiers", "send"]

_TIMEOUT_S = 10.0


def send(message: Message, urls: Sequence[SecretStr]) -> list[str]:
    """Send a message by each notifier. Returns the kinds of those that failed. Raises: SettingsError without the library."""
    apprise = _library()
    failed = []
    for url in urls:
        try:
            carrier = _carrier(apprise, url)
            took = bool(carrier) and carrier.notify(
                title=message.title, body=message.body, notify_type=message.tone.value, body_format="text"
            )
        except Exception:  # noqa: BLE001 - of any library that a notifier uses
            took = False
        if not took:
            failed.append(_kind(url))
    return failed


def check_notifiers(urls: Sequence[SecretStr]) -> list[str]:
    """Return the kinds of the notifiers. Sends nothing.

    Raises: SettingsError when the library is missing, or does not understand a URL.
    """
    apprise = _library()
    if wrong := [_kind(url) for url in urls if not _carrier(apprise, url)]:
        raise SettingsError(f"REHOOK_SYNC_NOTIFY: the apprise library cannot use {', '.join(wrong)}: see its page on that service")
    return [_kind(url) for url in urls]


def call_heartbeat(url: SecretStr) -> str | None:
    """Call the URL that hears of good runs. Returns what went wrong, None when nothing did."""
    from urllib.error import HTTPError  # noqa: PLC0415 - loads TLS, which a run with nothing new does not need
    from urllib.request import urlopen  # noqa: PLC0415

    try:
        with urlopen(url.get_secret_value(), timeout=_TIMEOUT_S):  # noqa: S310 - the settings allow http and https alone
            return None
    except HTTPError as error:
        with error:
            return f"HTTP {error.code}"
    except Exception as error:  # noqa: BLE001 - whatever it is, the run went well
        return type(getattr(error, "reason", None) or error).__name__


def _library() -> ModuleType:
    try:
        import apprise  # noqa: PLC0415 - takes half a second, and is only there with the extra
    except ImportError:
        raise SettingsError("REHOOK_SYNC_NOTIFY needs the apprise library: pip install -c constraints.txt '.[notify]'") from None
    log = logging.getLogger("apprise")
    log.disabled = True
    return apprise


def _carrier(apprise: ModuleType, url: SecretStr) -> Any:  # noqa: ANN401 - the library has no types
    """Return the notifier of a URL, empty if the library cannot use it."""
    carrier = apprise.Apprise(asset=apprise.AppriseAsset(app_id="rehook-sync", app_desc="rehook-sync", async_mode=False))
    carrier.add(url.get_secret_value())
    return carrier


def _kind(url: SecretStr) -> str:
    return url.get_secret_value().partition(":")[0].lower()
