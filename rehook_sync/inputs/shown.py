"""Settings as text to show: secrets masked, URLs without user, password and query."""

from collections.abc import Collection, Mapping
from datetime import datetime, timedelta

from pydantic import SecretStr

from rehook_sync.inputs.notices import Condition
from rehook_sync.inputs.places import host_alone, scheme_alone, without_userinfo
from rehook_sync.times import duration_text

__all__ = ["shown"]


def shown(name: str, value: object, options: Collection[str]) -> str:
    """Return the value of a setting. `options`: settings whose values are the options of a driver, which may be secret."""
    if isinstance(value, SecretStr):
        text = value.get_secret_value()
        return host_alone(text) if name == "heartbeat_url" else without_userinfo(text) if name.endswith("_url") else "***"
    if isinstance(value, timedelta):
        return duration_text(value)
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    if isinstance(value, tuple):
        return ", ".join(each.text if isinstance(each, Condition) else scheme_alone(each.get_secret_value()) for each in value) or "(none)"
    if isinstance(value, frozenset | Mapping):
        if name in options:
            found = sorted(value)  # their values may be secret
        elif isinstance(value, Mapping):
            found = [key if column == key and name == "warehouse_schema" else f"{column}={key}" for column, key in value.items()]
        else:
            found = sorted(value)
        return ", ".join(found) or "(none)"
    return "(none)" if value is None else f"{value:g}" if isinstance(value, float) else str(value)
