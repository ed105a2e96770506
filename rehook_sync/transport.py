"""httpx's transport interface over aiohttp's connections: fast with many requests in flight, and exact about what left.

An error raised here answers one question: may any of the request have been handed to the network? Only ConnectError,
ConnectTimeout, ProxyError and UnsupportedProtocol say no. This does not rest on the type of aiohttp's error, but on
whether the request was ever given to the socket.
"""

import asyncio
import ipaddress
import math
import re
import select
import ssl
import urllib.request
from collections.abc import AsyncIterator, Coroutine
from dataclasses import dataclass
from typing import TypeVar

import aiohttp
import httpx
import yarl
from aiohttp.client_proto import ResponseHandler
from aiohttp.connector import Connection
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.streams import EofStream, StreamReader

__all__ = ["AiohttpTransport", "run_loop"]

_Result = TypeVar("_Result")

_KEEPALIVE_S = 4.0  # below the 5 s after which many servers close an idle connection: nothing is then lost in a race
_LONGEST_HEADER_BYTES = 65_536
_TARGETS_KEPT = 256
_STALLED_S = 0.05
"""Without an answer for so long the loop may have been held up, and connections may have ended unnoticed."""
_STEPS_TO_NOTICE = 3
"""Turns of the loop until a connection whose end has arrived says so: one to poll, one to read, one for TLS to close."""
_SCHEMES = frozenset({"http", "https"})
_FRAMING = frozenset({b"content-length", b"transfer-encoding"})
"""Said anew for a request that is sent in one piece."""
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


def run_loop(main: Coroutine[object, object, _Result]) -> _Result:
    """Run a coroutine to its end, on uvloop where that is installed: it does the same work in less time."""
    try:
        from uvloop import new_event_loop  # noqa: PLC0415 - may not be there, and is not needed before something is sent
    except ImportError:
        return asyncio.run(main)
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        return runner.run(main)


class AiohttpTransport(httpx.AsyncBaseTransport):
    """Send requests over aiohttp's connections: no redirects, no cookies, no repeated request, no decompression.

    aiohttp opens, keeps and reuses the connections, through TLS and proxies, and parses the answers. What its session does
    beside that costs as much again for each request and is not needed here; and a request that is written in one piece
    tells exactly whether it was ever given to the socket.
    Units:  timeout_s covers the whole exchange, to the last byte of the answer; getting a connection may take half of it.
    Shape:  verify: False trusts any certificate; a context is used as it is; True trusts what the system and certifi trust.
    Proxies come from the environment (HTTPS_PROXY, ALL_PROXY, NO_PROXY); loopback is never reached through one.
    """

    def __init__(self, concurrency: int, timeout_s: float, verify: ssl.SSLContext | bool = True) -> None:
        """Keep the figures; connections open with the first request, inside the loop that sends it."""
        self._concurrency = concurrency
        self._timeout_s = timeout_s
        # Rounded timers could let a connect outlast the whole deadline, so no timer is rounded.
        self._timeout = aiohttp.ClientTimeout(connect=timeout_s / 2, ceil_threshold=math.inf)
        self._verify = verify
        self._connector: aiohttp.TCPConnector | None = None
        self._closed = False
        self._answered_at_s = 0.0
        self._targets: dict[str, _Target] = {}
        self._deadlines = _Deadlines()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send one request once and return the answer as soon as its head is there; the body is streamed.

        Raises: httpx.TransportError, whose type says whether any of the request may have left.
        """
        loop = asyncio.get_running_loop()
        connector = self._connector or self._open_connector()
        target = self._targets.get(str(request.url)) or self._read_target(request, loop)
        content = b"".join(request.stream) if isinstance(request.stream, httpx.ByteStream) else await request.aread()
        connection: Connection | None = None
        left = answered = False
        deadline = loop.time() + self._timeout_s
        try:
            whole = _build_head(request, target.path, len(content)) + content
            connection = await connector.connect(target.route, [], self._timeout)
            protocol, transport = await self._prepare(connection, request.method)
            left = True
            self._deadlines.keep(connection, protocol, deadline)
            transport.write(whole)
            message, payload = await protocol.read()
            while 100 <= message.code < 200 and message.code != 101:
                message, payload = await protocol.read()
            answered = True
        except _FAILURES as error:
            raise _translated(error, request, left=left) from error
        finally:
            if connection is not None:
                self._deadlines.forget(connection)
                if not answered:
                    connection.close()
        self._answered_at_s = loop.time()
        body = _ResponseBody(connection, payload, deadline, request)
        return httpx.Response(
            message.code,
            headers=message.raw_headers,
            stream=httpx.ByteStream(payload.read_nowait()) if body.has_all else body,
            extensions={"reason_phrase": (message.reason or "").encode("utf-8", "surrogateescape")},
        )

    async def aclose(self) -> None:
        """Close all connections."""
        self._closed = True
        self._deadlines.close()
        connector, self._connector = self._connector, None
        if connector is not None:
            await connector.close()

    def _open_connector(self) -> aiohttp.TCPConnector:
        if self._closed:
            raise RuntimeError("this transport is closed")
        self._connector = aiohttp.TCPConnector(limit=self._concurrency, keepalive_timeout=_KEEPALIVE_S)
        return self._connector

    async def _prepare(self, connection: Connection, method: str) -> tuple[ResponseHandler, asyncio.Transport]:
        """Make a connection ready for one answer. Raises ClientConnectionResetError when it ended, or was spoken to, while idle."""
        protocol, transport = connection.protocol, connection.transport
        if protocol is not None and transport is not None:
            protocol.set_response_params(
                skip_payload=method == "HEAD",
                read_until_eof=True,
                auto_decompress=False,
                max_line_size=_LONGEST_HEADER_BYTES,
                max_field_size=_LONGEST_HEADER_BYTES,
            )
            if asyncio.get_running_loop().time() - self._answered_at_s > _STALLED_S and _is_readable(transport):
                # Nothing is due yet: the server may have hung up, or sent what nobody asked for. Let the loop read it.
                for _ in range(_STEPS_TO_NOTICE):
                    await asyncio.sleep(0)
            if not transport.is_closing() and not protocol.should_close:
                return protocol, transport
        raise aiohttp.ClientConnectionResetError("the connection was closed while idle")

    def _read_target(self, request: httpx.Request, loop: asyncio.AbstractEventLoop) -> "_Target":
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
        if proxy is not None and url.scheme == "http":
            raise httpx.UnsupportedProtocol("plain http is not sent through a proxy", request=request)
        if self._verify is True and "https" in (url.scheme, proxy.scheme if proxy else ""):
            self._verify = _build_ssl_context()  # takes a while, and plain http does without
        if len(self._targets) >= _TARGETS_KEPT:
            self._targets.clear()
        route = aiohttp.ClientRequest("GET", url, proxy=proxy, ssl=self._verify, loop=loop)
        self._targets[text] = _Target(route, url.raw_path_qs.encode("ascii"))
        return self._targets[text]


class _Deadlines:
    """Ends the exchanges that take too long, all with one timer: one of its own for each costs a tenth of the whole request."""

    def __init__(self) -> None:
        self._kept: dict[Connection, tuple[ResponseHandler, float]] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._due_at = math.inf

    def keep(self, connection: Connection, protocol: ResponseHandler, deadline: float) -> None:
        """Have what reads from a connection fail once its time is over."""
        self._kept[connection] = protocol, deadline
        if deadline < self._due_at:
            self._set(deadline)

    def forget(self, connection: Connection) -> None:
        """Leave a connection alone from now on."""
        self._kept.pop(connection, None)

    def close(self) -> None:
        """Let go of the timer."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer, self._due_at = None, math.inf

    def _set(self, deadline: float) -> None:
        self.close()
        self._due_at = deadline
        self._timer = asyncio.get_running_loop().call_at(deadline, self._end_late)

    def _end_late(self) -> None:
        self._due_at = math.inf
        now = asyncio.get_running_loop().time()
        for protocol, deadline in list(self._kept.values()):
            if deadline <= now:
                protocol.set_exception(TimeoutError())
        left = [deadline for _, deadline in self._kept.values() if deadline > now]
        if left:
            self._set(min(left))


@dataclass(frozen=True, slots=True)
class _Target:
    """Where a request goes.

    Shape:  route: tells aiohttp the host, the proxy that leads there and whom to trust; it is never sent itself.
            path: as it stands in the request line.
    """

    route: aiohttp.ClientRequest
    path: bytes


class _ResponseBody(httpx.AsyncByteStream):
    """The body of an answer as it arrives; read to its end it gives the connection back, closed before it drops it."""

    def __init__(self, connection: Connection, payload: StreamReader, deadline: float, request: httpx.Request) -> None:
        self._connection = connection
        self._payload = payload
        self._deadline = deadline
        self._request = request
        payload.on_eof(connection.release)

    @property
    def has_all(self) -> bool:
        """Tell whether the whole body is here already, as it mostly is; the connection is given back then."""
        return self._payload.is_eof() and self._payload.exception() is None

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        payload = self._payload
        try:
            if payload.is_eof():
                chunk = await payload.readany()
            else:
                async with asyncio.timeout_at(self._deadline):
                    chunk = await payload.readany()
        except (*_FAILURES, RuntimeError) as error:
            raise _translated(error, self._request, left=True) from error
        if not chunk:
            raise StopAsyncIteration
        return chunk

    async def aclose(self) -> None:
        self._connection.close()


def _build_head(request: httpx.Request, path: bytes, size: int) -> bytes:
    """Return the request line and headers, as they go over the wire.

    Raises: ValueError for a header that would end its line.
    """
    lines = [b"%s %s HTTP/1.1" % (request.method.encode("ascii"), path)]
    lines += [b"%s: %s" % pair for pair in request.headers.raw if pair[0].lower() not in _FRAMING]
    if size or request.method != "GET":
        lines.append(b"Content-Length: %d" % size)
    head = b"\r\n".join(lines)
    if head.count(b"\r") != len(lines) - 1 or head.count(b"\n") != len(lines) - 1:
        raise ValueError("a header holds the end of a line")
    return head + b"\r\n\r\n"


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
