"""The proxy through which an address is reached, as the environment says it."""

import urllib.request
from dataclasses import dataclass

import yarl

from rehook_sync.errors import SettingsError
from rehook_sync.rehook.addresses import is_loopback

__all__ = ["Proxy", "check_proxy", "read_proxy"]

_SCHEMES = ("http", "https")


@dataclass(frozen=True, slots=True)
class Proxy:
    """A proxy.

    Shape:  place: its host and port, and what names it, for messages: the URL may hold a password.
    """

    url: yarl.URL
    place: str


def read_proxy(url: yarl.URL) -> Proxy | None:
    """Return the proxy for an address, None without one. Raises ValueError, which says what is wrong, for one that cannot be used."""
    host = url.raw_host or ""
    if is_loopback(host) or urllib.request.proxy_bypass(f"{host}:{url.port}" if ":" not in host else host):
        return None
    proxies = urllib.request.getproxies()
    kind = next((each for each in (url.scheme, "all") if proxies.get(each)), None)
    if kind is None:
        return None
    variable = f"{kind.upper()}_PROXY" if kind in urllib.request.getproxies_environment() else "the system's settings"
    text = proxies[kind]
    try:
        proxy = yarl.URL(text if "://" in text else f"http://{text}")
        port = proxy.port
    except ValueError:
        raise ValueError(f"{variable} is no address of a proxy, for example http://proxy.example.com:3128") from None
    if proxy.scheme not in _SCHEMES or not proxy.host:
        raise ValueError(f"{variable} must begin with http:// or https:// and name a host: no other proxy can be used")
    return Proxy(proxy, f"{proxy.host}:{port} of {variable}")


def check_proxy(api_url: str) -> None:
    """Look, before anything begins, whether the proxy for an address can be used. Raises SettingsError naming the variable."""
    try:
        read_proxy(yarl.URL(api_url))
    except ValueError as error:
        raise SettingsError(str(error)) from None
