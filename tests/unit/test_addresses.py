"""Addresses that mean the same, and those that do not."""

import pytest

from rehook_sync.rehook.addresses import normal_url


@pytest.mark.parametrize(
    ("url", "normal"),
    [
        ("https://api.rehook.ai", "https://api.rehook.ai"),
        ("HTTPS://API.Rehook.AI.:443//", "https://api.rehook.ai"),
        ("http://127.0.0.1:8790/", "http://127.0.0.1:8790"),
        ("http://localhost:80", "http://localhost"),
        ("https://localhost:80", "https://localhost:80"),
        ("http://[::1]:443/Api/", "http://[::1]:443/Api"),
    ],
)
def test_addresses_that_lead_to_the_same_place_have_one_form(url: str, normal: str) -> None:
    assert normal_url(url) == normal
    assert normal_url(normal) == normal
