"""What an address says about where a request goes. Pure."""

import ipaddress
from urllib.parse import urlsplit

__all__ = ["is_loopback", "normal_url"]

_PORTS = {"https": 443, "http": 80}


def is_loopback(host: str) -> bool:
    """Tell whether a host is surely this machine: `localhost`, or an address of loopback.

    Names below `localhost` are not: not every resolver keeps them here.
    """
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def normal_url(url: str) -> str:
    """Return an address as it is compared with others: case of the host, default port, final dot and slashes say nothing."""
    parts = urlsplit(url)
    host = (parts.hostname or "").rstrip(".")
    port = "" if parts.port in {None, _PORTS.get(parts.scheme)} else f":{parts.port}"
    return f"{parts.scheme}://{f'[{host}]' if ':' in host else host}{port}{parts.path.rstrip('/')}"
