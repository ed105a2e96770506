"""httpx's transport interface over an aiohttp session: fast with many requests in flight, and exact about what left.

An error raised here answers one question: may any of the request's body have been handed to the network? Only
ConnectError, ConnectTimeout, ProxyError and UnsupportedProtocol say no. For a request with a body this does not rest
on the type of aiohttp's error, but on whether the body was ever given to the socket.
"""

import asyncio
import ipaddress
import math
import re
import select
import ssl
import time
import urllib.request
from collections.abc import AsyncIterator
from dataclasses import dataclass

import aiohttp
import httpx
import yarl
from aiohttp.abc import AbstractStreamWriter
from aiohttp.client_proto import ResponseHandler
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.streams import EofStream
from multidict import CIMultiDict, istr

__all__ = ["AiohttpTransport"]

_KEEPALIVE_S = 4.0  # below the 5 s after which many servers close an idle connection: nothing is then lost in a race
_LONGEST_HEADER_BYTES = 65_536
_TARGETS_KEPT = 256
_STALLED_S = 0.05
"""Without an answer for so long the loop may have been held up, and connections may have ended unnoticed."""
_STEPS_TO_NOTICE = 3
"""Turns of the loop until a connection whose end has arrived says so: one to poll, one to read, one for TLS to close."""
_SCHEMES = frozenset({"http", "https"})
_QUOTED = re.compile(r"[^\w /-]|\bb(?=')")
"""Where in aiohttp's words about an answer the quotation begins."""

_FAILURES = (aiohttp.ClientError, HttpProcessingError, EofStream, OSError, ValueError)
"""All that aiohttp raises when an exchange fails; timeouts are OSErrors, header and address errors ValueErrors."""

_NEVER_LEFT: tuple[tuple[tuple[type[Exception], ...], type[httpx.TransportError]], ...] = (
    ((aiohttp.InvalidURL, aiohttp.NonHttpUrlClientError), httpx.UnsupportedProtocol),
    ((aiohttp.ClientProxyConnectionError, aiohttp.ClientHttpProxyError), httpx.ProxyError),
    ((TimeoutError,), httpx.ConnectTimeout),
    ((Exception,), httpx.ConnectError),
)
_MAY_HAVE_LEFT: tuple[tuple[tuple[type[Exception], ...], type[httpx.TransportError]], ...] = (
    ((TimeoutError,), httpx.ReadTimeout),
    ((OSError,), httpx.ReadError),
    (
        (aiohttp.ServerDisconnectedError, aiohttp.ClientResponseError, aiohttp.ClientPayloadError, HttpProcessingError, EofStream),
        httpx.RemoteProtocolError,
    ),
    ((Exception,), httpx.ReadError),
)
_BEFORE_CONNECTED = (
    aiohttp.ClientConnectorError,
    aiohttp.ConnectionTimeoutError,
    aiohttp.ClientHttpProxyError,
    aiohttp.InvalidURL,
    aiohttp.NonHttpUrlClientError,
)


class AiohttpTransport(httpx.AsyncBaseTransport):
    """Send requests through one aiohttp session: no redirects, no cookies, no repeated POST, no decompression.

    Units:  timeout_s covers the whole exchange, to the last byte of the answer; getting a connection may take half of it.
    Shape:  verify: False trusts any certificate; a context is used as it is; True trusts what the system and certifi trust.
    Proxies come from the environment (HTTPS_PROXY, ALL_PROXY, NO_PROXY); loopback is never reached through one.
    """

    def __init__(self, concurrency: int, timeout_s: float, verify: ssl.SSLContext | bool = True) -> None:
        """Keep the figures; the session opens with the first request, inside the loop that sends it."""
        self._concurrency = concurrency
        # Rounded timers could let a connect outlast the whole deadline, so no timer is rounded.
        self._timeout = aiohttp.ClientTimeout(total=timeout_s, connect=timeout_s / 2, ceil_threshold=math.inf)
        self._verify = verify
        self._session: aiohttp.ClientSession | None = None
        self._closed = False
        self._answered_at_s = 0.0
        self._targets: dict[str, _Target] = {}
        self._header_names: dict[bytes, istr] = {}

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send one request once and return the answer as soon as its head is there; the body is streamed.

        Raises: httpx.TransportError, whose type says whether any of the request may have left.
        """
        session = self._session or self._open_session()
        target = self._targets.get(str(request.url)) or self._read_target(request)
        content = await request.aread()
        body = _RequestBody(content, stalled=time.monotonic() - self._answered_at_s > _STALLED_S) if content else None
        try:
            response = await session.request(
                request.method,
                target.url,
                data=body,
                headers=self._build_headers(request),
                proxy=target.proxy,
                ssl=target.verify,
                allow_redirects=False,
            )
        except _FAILURES as error:
            left = body.left if body is not None else not isinstance(error, _BEFORE_CONNECTED)
            raise _translated(error, request, left=left) from error
        self._answered_at_s = time.monotonic()
        if body is not None and not body.left:
            # Bytes that nobody asked for, already on the connection: they belong to no request of ours.
            response.close()
            raise httpx.ConnectError("the server answered before the request was sent", request=request)
        return httpx.Response(
            response.status,
            headers=response.raw_headers,
            stream=_ResponseBody(response, request),
            extensions={"reason_phrase": (response.reason or "").encode("utf-8", "surrogateescape")},
        )

    async def aclose(self) -> None:
        """Close the session and all its connections."""
        self._closed = True
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    def _open_session(self) -> aiohttp.ClientSession:
        if self._closed:
            raise RuntimeError("this transport is closed")
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=self._concurrency, keepalive_timeout=_KEEPALIVE_S),
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=self._timeout,
            auto_decompress=False,
            # aiohttp would look up proxies and .netrc in a thread for each request; _read_target does it once per address.
            trust_env=False,
            max_line_size=_LONGEST_HEADER_BYTES,
            max_field_size=_LONGEST_HEADER_BYTES,
        )
        return self._session

    def _read_target(self, request: httpx.Request) -> "_Target":
        text = str(request.url)
        try:
            url = yarl.URL(text, encoded=True).with_user(None)
        except ValueError as error:
            raise httpx.UnsupportedProtocol("the address cannot be used", request=request) from error
        if url.scheme not in _SCHEMES or not url.raw_host:
            raise httpx.UnsupportedProtocol("the address must begin with https:// or http://", request=request)
        try:
            proxy = _read_proxy(url)
        except ValueError as error:
            raise httpx.ProxyError("the proxy's address cannot be used", request=request) from error
        if proxy is not None and proxy.scheme not in _SCHEMES:
            raise httpx.ProxyError("the proxy's address must begin with http:// or https://", request=request)
        if self._verify is True and "https" in (url.scheme, proxy.scheme if proxy else ""):
            self._verify = _build_ssl_context()  # takes a while, and plain http does without
        if len(self._targets) >= _TARGETS_KEPT:
            self._targets.clear()
        self._targets[text] = _Target(url, proxy, self._verify)
        return self._targets[text]

    def _build_headers(self, request: httpx.Request) -> CIMultiDict[str]:
        names = self._header_names
        headers: CIMultiDict[str] = CIMultiDict()
        for name, value in request.headers.raw:
            known = names.get(name)
            if known is None:
                known = names[name] = istr(name.decode("ascii"))
            headers.add(known, value.decode())
        # Without it aiohttp would ask for compressed answers, which nobody here unpacks.
        headers.setdefault("Accept-Encoding", "identity")
        return headers


@dataclass(frozen=True, slots=True)
class _Target:
    """An address, the proxy that leads to it, and whom to trust there."""

    url: yarl.URL
    proxy: yarl.URL | None
    verify: ssl.SSLContext | bool


class _RequestBody(aiohttp.Payload):
    """A request's body that knows whether it was ever handed to a connection; aiohttp sends the head along with it."""

    _autoclose = True

    def __init__(self, content: bytes, *, stalled: bool) -> None:
        super().__init__(content, content_type="application/octet-stream")
        self._content = content
        self._stalled = stalled
        self._size = len(content)
        self.left = False

    def decode(self, encoding: str = "utf-8", errors: str = "strict") -> str:
        return self._content.decode(encoding, errors)

    async def write(self, writer: AbstractStreamWriter) -> None:
        transport = writer.transport
        if self._stalled and transport is not None and _is_readable(transport):
            # Nothing is due yet: the server may have hung up, or sent what nobody asked for. Let the loop read it.
            for _ in range(_STEPS_TO_NOTICE):
                await asyncio.sleep(0)
        protocol = transport.get_protocol() if transport is not None else None
        if transport is None or transport.is_closing() or (isinstance(protocol, ResponseHandler) and protocol.should_close):
            raise aiohttp.ClientConnectionResetError("the connection was closed while idle")
        self.left = True
        await writer.write(self._content)

    async def write_with_length(self, writer: AbstractStreamWriter, content_length: int | None) -> None:  # noqa: ARG002 - aiohttp's signature
        await self.write(writer)


class _ResponseBody(httpx.AsyncByteStream):
    """The body of an answer as it arrives; closing it before its end drops the connection."""

    def __init__(self, response: aiohttp.ClientResponse, request: httpx.Request) -> None:
        self._response = response
        self._request = request

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        try:
            chunk = await self._response.content.readany()
        except (*_FAILURES, RuntimeError) as error:
            raise _translated(error, self._request, left=True) from error
        if not chunk:
            raise StopAsyncIteration
        return chunk

    async def aclose(self) -> None:
        if not self._response.closed:
            self._response.close()


def _is_readable(transport: asyncio.WriteTransport) -> bool:
    poll = select.poll()
    try:
        poll.register(transport.get_extra_info("socket").fileno(), select.POLLIN)
    except (AttributeError, ValueError):
        return True
    return bool(poll.poll(0))


def _translated(error: Exception, request: httpx.Request, *, left: bool) -> httpx.TransportError:
    table = _MAY_HAVE_LEFT if left else _NEVER_LEFT
    kind = next(kind for types, kind in table if isinstance(error, types))
    return kind(_described(error), request=request)


def _described(error: Exception) -> str:
    """Say in a few words what happened, without addresses, which may carry a password, and without what the other side sent.

    What aiohttp quotes of an answer is spelled in its own way and cut anywhere: no secret or value could be found in it.
    """
    match error:
        case TimeoutError():
            text = "timed out"
        case aiohttp.ClientHttpProxyError():
            text = f"the proxy answered {error.status}"
        case aiohttp.ClientConnectorError():
            text = error.os_error.strerror or str(error.os_error) or type(error.os_error).__name__
        case aiohttp.ClientResponseError() | HttpProcessingError():
            text = f"the answer is not HTTP ({_QUOTED.split(error.message, maxsplit=1)[0].strip()})"
        case aiohttp.ServerDisconnectedError():
            text = "the server closed the connection without an answer"
        case aiohttp.ClientPayloadError():
            text = "the answer broke off"
        case _:
            text = f"the connection was lost ({type(error).__name__})"
    return text


def _build_ssl_context() -> ssl.SSLContext:
    """Trust certifi's list, which is always there, and the system's, which knows a company's own authority."""
    context = httpx.create_ssl_context()
    context.load_default_certs()
    context.set_alpn_protocols(["http/1.1"])
    return context


def _read_proxy(url: yarl.URL) -> yarl.URL | None:
    host = url.raw_host or ""
    if _is_loopback(host) or urllib.request.proxy_bypass(f"{host}:{url.port}" if ":" not in host else host):
        return None
    proxies = urllib.request.getproxies()
    text = proxies.get(url.scheme) or proxies.get("all")
    if not text:
        return None
    return yarl.URL(text if "://" in text else f"http://{text}")


def _is_loopback(host: str) -> bool:
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
