"""The proxy through which an address is reached, as the environment says it."""

import urllib.request

import yarl

from rehook_sync.rehook.addresses import is_loopback

__all__ = ["read_proxy"]


def read_proxy(url: yarl.URL) -> yarl.URL | None:
    """Return the proxy for an address, None without one. Raises ValueError for one that is no address."""
    host = url.raw_host or ""
    if is_loopback(host) or urllib.request.proxy_bypass(f"{host}:{url.port}" if ":" not in host else host):
        return None
    proxies = urllib.request.getproxies()
    text = proxies.get(url.scheme) or proxies.get("all")
    if not text:
        return None
    return yarl.URL(text if "://" in text else f"http://{text}")
