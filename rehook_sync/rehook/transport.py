"""httpx's transport interface over aiohttp's connections: fast with many requests in flight, and exact about what left.

An error raised here answers one question: may any of the request have been handed to the network? Only ConnectError,
ConnectTimeout, ProxyError and UnsupportedProtocol say no. This does not rest on the type of aiohttp's error, but on
whether the request was ever given to the socket.
"""

import asyncio
import math
import ssl
import urllib.request
from collections import deque
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from itertools import chain

import aiohttp
import httpx
import yarl
from aiohttp.connector import Connection
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.streams import EofStream

from rehook_sync.rehook.addresses import is_loopback
from rehook_sync.rehook.http1 import Http1Connection, SpelledRequest, SpelledResponse, spell

__all__ = ["AiohttpTransport"]

_KEEPALIVE_S = 4.0  # below the 5 s after which many servers close an idle connection: nothing is then lost in a race
_TARGETS_KEPT = 256
_STALLED_S = 0.05
"""Without an answer for so long the loop may have been held up, and connections may have ended unnoticed."""
_SCHEMES = frozenset({"http", "https"})

_FAILURES = (aiohttp.ClientError, HttpProcessingError, EofStream, OSError, ValueError)
"""All that aiohttp raises when an exchange fails; timeouts are OSErrors, header and address errors ValueErrors."""

_NEVER_LEFT: tuple[tuple[tuple[type[Exception], ...], type[httpx.TransportError]], ...] = (
    ((aiohttp.InvalidURL, aiohttp.NonHttpUrlClientError), httpx.UnsupportedProtocol),
    ((aiohttp.ClientProxyConnectionError, aiohttp.ClientHttpProxyError), httpx.ProxyError),
    ((TimeoutError,), httpx.ConnectTimeout),
    ((Exception,), httpx.ConnectError),
)


class AiohttpTransport(httpx.AsyncBaseTransport):
    """Send requests over connections that aiohttp opens: no redirects, no cookies, no repeated request, no decompression.

    aiohttp finds the way: names, TLS, proxies. What it does for each request costs three times as much as the exchange itself
    and is not needed here, so an open connection speaks our `Http1Connection`, which also tells exactly whether a request may have left.
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
        self._loop: asyncio.AbstractEventLoop
        self._closed = False
        self._answered_at_s = 0.0
        self._targets: dict[str, _Target] = {}
        self._idle: dict[object, list[_Line]] = {}
        self._busy = 0
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._deadlines = _Deadlines()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send one request once and return the answer as soon as its head is there; the body is streamed.

        Raises: httpx.TransportError, whose type says whether any of the request may have left.
        """
        connector = self._connector or self._open_connector()
        now = self._loop.time()
        address = request.address if isinstance(request, SpelledRequest) else str(request.url)
        target = self._targets.get(address) or self._read_target(request, address)
        try:
            whole = request.spell(target.path) if isinstance(request, SpelledRequest) else await spell(request, target.path)
            line = self._take_warm(target, now) or await self._get_line(connector, target, now + self._timeout_s / 2)
        except _FAILURES as error:
            raise _translated(error, request) from error
        wire = line.wire
        answered = False
        self._deadlines.keep(wire, now + self._timeout_s)
        try:
            await wire.send(whole)
            answered = True
        except httpx.TransportError as error:
            error.request = request
            raise
        finally:
            if not answered:
                self._put_back(line)
        stream: httpx.ByteStream | _ResponseBody
        if wire.complete:
            stream = httpx.ByteStream(wire.read_nowait())
            self._put_back(line)
        else:
            stream = _ResponseBody(line, request, self._put_back)
        return SpelledResponse(wire, stream)

    async def aclose(self) -> None:
        """Close all connections."""
        self._closed = True
        self._deadlines.close()
        connector, self._connector = self._connector, None
        if connector is not None:
            await connector.close()
        for line in chain.from_iterable(self._idle.values()):
            line.opened.close()
        self._idle.clear()

    def _open_connector(self) -> aiohttp.TCPConnector:
        if self._closed:
            raise RuntimeError("this transport is closed")
        self._loop = asyncio.get_running_loop()  # kept, since asking for it costs a call of the system
        self._connector = aiohttp.TCPConnector(limit=0)
        return self._connector

    def _take_warm(self, target: "_Target", now: float) -> "_Line | None":
        """Return a connection of which we have heard so lately that nothing can have happened to it unnoticed."""
        if target.idle and self._busy < self._concurrency and now - self._answered_at_s < _STALLED_S:
            line = target.idle[-1]
            if line.wire.is_clean and now - line.used_at < _KEEPALIVE_S:
                self._busy += 1
                return target.idle.pop()
        return None

    async def _get_line(self, connector: aiohttp.TCPConnector, target: "_Target", until: float) -> "_Line":
        """Return a connection nobody else uses: one that still stands, or a new one."""
        async with asyncio.timeout_at(until):
            while self._busy >= self._concurrency:
                await self._wait_for_place()
            self._busy += 1
            try:
                while target.idle:
                    line = target.idle.pop()
                    if self._loop.time() - line.used_at < _KEEPALIVE_S and await line.wire.look():
                        return line
                    line.opened.close()
                return await self._open_line(connector, target)
            except BaseException:
                self._leave_place()
                raise

    async def _open_line(self, connector: aiohttp.TCPConnector, target: "_Target") -> "_Line":
        opened = await connector.connect(target.route, [], self._timeout)
        protocol, transport = opened.protocol, opened.transport
        if protocol is None or transport is None or transport.is_closing() or protocol.should_close:
            opened.close()
            raise aiohttp.ClientConnectionResetError("the connection was closed, or spoken to, at once")
        wire = Http1Connection()
        wire.take_over(transport, protocol.connection_lost)
        return _Line(opened, wire, target.idle)

    def _put_back(self, line: "_Line") -> None:
        """Let a connection be used again if its last exchange came to a good end, else close it."""
        self._deadlines.forget(line.wire)
        if line.wire.complete and line.wire.is_clean and not self._closed:
            line.used_at = self._answered_at_s = self._loop.time()
            line.idle.append(line)
        else:
            line.opened.close()
        self._leave_place()

    async def _wait_for_place(self) -> None:
        turn = self._loop.create_future()
        self._waiting.append(turn)
        try:
            await turn
        except BaseException:
            if not turn.cancelled():  # it came too late for us: it is the next one's
                self._call_next()
            raise

    def _leave_place(self) -> None:
        self._busy -= 1
        if self._waiting:
            self._call_next()

    def _call_next(self) -> None:
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                break

    def _read_target(self, request: httpx.Request, text: str) -> "_Target":
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
        route = aiohttp.ClientRequest("GET", url, proxy=proxy, ssl=self._verify, loop=self._loop)
        idle = self._idle.setdefault(route.connection_key, [])
        self._targets[text] = _Target(route, url.raw_path_qs.encode("ascii"), idle)
        return self._targets[text]


@dataclass(frozen=True, slots=True)
class _Target:
    """Where a request goes.

    Shape:  route: tells aiohttp the host, the proxy that leads there and whom to trust; it is never sent itself.
            path: as it stands in the request line.  idle: the connections there that wait for a request, the latest last.
    """

    route: aiohttp.ClientRequest
    path: bytes
    idle: "list[_Line]"


@dataclass(slots=True, eq=False)
class _Line:
    """An open connection: what aiohttp knows of it, what is spoken over it, and where it waits for its next request."""

    opened: Connection
    wire: Http1Connection
    idle: "list[_Line]"
    used_at: float = 0.0


class _Deadlines:
    """Ends the exchanges that take too long, all with one timer: one of its own for each costs a tenth of the whole request."""

    def __init__(self) -> None:
        self._kept: dict[Http1Connection, float] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._due_at = math.inf

    def keep(self, wire: Http1Connection, deadline: float) -> None:
        """Have the exchange at hand fail once its time is over."""
        self._kept[wire] = deadline
        if deadline < self._due_at:
            self._set(deadline)

    def forget(self, wire: Http1Connection) -> None:
        """Leave a connection alone from now on."""
        self._kept.pop(wire, None)

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
        for wire, deadline in list(self._kept.items()):
            if deadline <= now:
                wire.fail(httpx.ReadTimeout("timed out"))
                del self._kept[wire]
        if self._kept:
            self._set(min(self._kept.values()))


class _ResponseBody(httpx.AsyncByteStream):
    """The body of an answer as it arrives; read to its end or closed, it gives the connection back."""

    def __init__(self, line: _Line, request: httpx.Request, put_back: Callable[[_Line], None]) -> None:
        self._line: _Line | None = line
        self._request = request
        self._put_back = put_back

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        if self._line is None:
            raise StopAsyncIteration
        try:
            chunk = await self._line.wire.read()
        except httpx.TransportError as error:
            error.request = self._request
            raise
        if not chunk:
            await self.aclose()
            raise StopAsyncIteration
        return chunk

    async def aclose(self) -> None:
        line, self._line = self._line, None
        if line is not None:
            self._put_back(line)


def _translated(error: Exception, request: httpx.Request) -> httpx.TransportError:
    kind = next(kind for types, kind in _NEVER_LEFT if isinstance(error, types))
    return kind(_described(error), request=request)


def _described(error: Exception) -> str:
    """Say in a few words what happened, without addresses, which may carry a password, and without what the other side sent."""
    match error:
        case TimeoutError():
            text = "timed out"
        case aiohttp.ClientHttpProxyError():
            text = f"the proxy answered {error.status}"
        case aiohttp.ClientConnectorError():
            text = error.os_error.strerror or str(error.os_error) or type(error.os_error).__name__
        case aiohttp.ClientResponseError() | HttpProcessingError():
            text = "the answer of the proxy is not HTTP"
        case aiohttp.ServerDisconnectedError():
            text = "the server closed the connection without an answer"
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
    if is_loopback(host) or urllib.request.proxy_bypass(f"{host}:{url.port}" if ":" not in host else host):
        return None
    proxies = urllib.request.getproxies()
    text = proxies.get(url.scheme) or proxies.get("all")
    if not text:
        return None
    return yarl.URL(text if "://" in text else f"http://{text}")
