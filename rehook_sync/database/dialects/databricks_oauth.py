"""Tokens for a service principal of Databricks: OAuth of a machine, which the connector leaves to its user.

Source: Databricks' documentation, "Authorize service principal access with OAuth": the workspace's own token endpoint.
"""

import ssl
import time
from collections.abc import Callable, Mapping
from threading import Lock
from typing import Any

import httpx

from rehook_sync.errors import SourceError, TransientError

__all__ = ["ClientCredentials"]

_ENDPOINT = "/oidc/v1/token"
_ASKED = {"grant_type": "client_credentials", "scope": "all-apis"}
_TIMEOUT_S = 30.0
_EARLY_S = 60.0
"""So long before its end a token is not used any more."""


class ClientCredentials:
    """Gives the connector its headers, with a token that is asked for when it is needed. One for all connections of an engine."""

    def __init__(self, origin: str, options: Mapping[str, Any]) -> None:
        """Prepare; nothing is asked.

        Shape:  origin: the workspace, as `https://host`.  options: of the connector, with client id and secret.
        """
        self._url = origin + _ENDPOINT
        self._client = (str(options["oauth_client_id"]), str(options["oauth_client_secret"]))
        self._trusted = options.get("_tls_trusted_ca_file")
        self._lock = Lock()
        self._token, self._until = "", 0.0

    def __call__(self) -> Callable[[], dict[str, str]]:
        """Return what gives the headers of a request, as the connector wants it."""
        return self._headers

    def _headers(self) -> dict[str, str]:
        with self._lock:
            if time.monotonic() >= self._until:
                self._token, seconds = self._ask()
                self._until = time.monotonic() + seconds - _EARLY_S
            return {"Authorization": f"Bearer {self._token}"}

    def _ask(self) -> tuple[str, float]:
        """Return a token, and how long it lasts. Raises SourceError for refused credentials, TransientError for what may pass."""
        trusted = ssl.create_default_context(cafile=str(self._trusted)) if self._trusted else httpx.create_ssl_context()
        try:
            answer = httpx.post(self._url, data=_ASKED, auth=self._client, timeout=_TIMEOUT_S, verify=trusted)
        except httpx.HTTPError as error:
            raise TransientError(f"Databricks' tokens cannot be had: {type(error).__name__}") from None
        if answer.status_code == 429 or answer.status_code >= 500:
            raise TransientError(f"Databricks' tokens cannot be had: HTTP {answer.status_code}")
        try:
            found = answer.raise_for_status().json()
            return str(found["access_token"]), float(found.get("expires_in", 0))
        except (httpx.HTTPStatusError, ValueError, KeyError, TypeError):
            # Not chained: its message may quote the request.
            raise SourceError(f"Databricks gives no token for oauth_client_id and oauth_client_secret: HTTP {answer.status_code}") from None
