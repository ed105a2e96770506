"""What an address says about where a request goes. Pure."""

import ipaddress

__all__ = ["is_loopback"]


def is_loopback(host: str) -> bool:
    """Tell whether a host is surely this machine: `localhost`, or an address of loopback.

    Names below `localhost` are not: not every resolver keeps them here.
    """
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
