"""An httpx transport over aiohttp's connections: fast with many requests in flight, and exact about what was sent.

The type of an error tells whether any of the request may have left. ConnectError, ConnectTimeout, ProxyError and
UnsupportedProtocol mean no, all others maybe. What decides is whether the request was written to the socket, not
the type of aiohttp's error.
"""

import asyncio
import math
import ssl
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

from rehook_sync.rehook.deadlines import Deadlines
from rehook_sync.rehook.http1 import Http1Connection, RawRequest, RawResponse, serialize
from rehook_sync.rehook.proxies import Proxy, read_proxy
from rehook_sync.rehook.trust import build_ssl_context
from rehook_sync.runtime import describe

__all__ = ["AiohttpTransport"]

_KEEPALIVE_S = 4.0  # many servers close after 5 s; ours close first, so that no request meets a closing connection
_TARGETS_KEPT = 256
_FIRST_REST_S, _LONGEST_REST_S = 0.004, 0.064
"""How long a connection rests between two requests to a server that was seen to close without a word."""
_LISTEN_S = 0.02
_LISTEN_TIMES = 2
"""A second answer is awaited for so long, and so many answers more: of the slowest lately at first, of the usual ones later."""
_FIRST_REFUSALS = 64
_GOOD = 2
"""Begins the status of an answer that accepts."""
_SMOOTHING, _FADING = 0.05, 0.999
_SCHEMES = frozenset({"http", "https"})

_FAILURES = (aiohttp.ClientError, HttpProcessingError, EofStream, OSError, ValueError)
"""What aiohttp raises; timeouts are OSErrors, header and address errors ValueErrors."""

_NEVER_LEFT: tuple[tuple[tuple[type[Exception], ...], type[httpx.TransportError]], ...] = (
    ((aiohttp.InvalidURL, aiohttp.NonHttpUrlClientError), httpx.UnsupportedProtocol),
    ((aiohttp.ClientProxyConnectionError, aiohttp.ClientHttpProxyError), httpx.ProxyError),
    ((TimeoutError,), httpx.ConnectTimeout),
    ((Exception,), httpx.ConnectError),
)


class AiohttpTransport(httpx.AsyncBaseTransport):
    """Sends requests over connections that aiohttp opens: no redirects, cookies, repeats or decompression.

    aiohttp opens connections: names, TLS, proxies. Its work per request costs three times as much as the exchange itself,
    so requests go through `Http1Connection`, which also knows whether a request may have left.
    Shape:  verify: True trusts the authorities of system and certifi, False any certificate; a context is used as it is.
    Units:  timeout_s: for the whole exchange, to the last byte of the answer; getting a connection may take half of it.
    Proxies come from the environment (HTTPS_PROXY, ALL_PROXY, NO_PROXY); loopback never uses one.
    """

    def __init__(self, concurrency: int, timeout_s: float, verify: ssl.SSLContext | bool = True) -> None:
        """Open nothing yet: connections belong to the loop of the first request."""
        self._concurrency = concurrency
        self._timeout_s = timeout_s
        # aiohttp rounds long timers up; a connect could then outlast the whole deadline.
        self._timeout = aiohttp.ClientTimeout(connect=timeout_s / 2, ceil_threshold=math.inf)
        self._verify = verify
        self._connector: aiohttp.TCPConnector | None = None
        self._loop: asyncio.AbstractEventLoop
        self._closed = False
        self._rest_s = 0.0
        self._speaks_unasked = False
        self._usual_s = 0.0
        self._slowest_s = 0.0
        self._refusals = 0
        self._targets: dict[str, _Target] = {}
        self._idle: dict[object, list[_PooledConnection]] = {}
        self._busy = 0
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._deadlines = Deadlines()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request once; return the answer when its head is there. The body is streamed.

        Raises: httpx.TransportError; its type tells whether any of the request may have left.
        """
        connector = self._connector or self._open_connector()
        now = self._loop.time()
        address = request.address if isinstance(request, RawRequest) else str(request.url)
        target = self._targets.get(address) or self._read_target(request, address)
        try:
            whole = request.serialize(target.path) if isinstance(request, RawRequest) else await serialize(request, target.path)
            pooled = self._take_warm(target, now) or await self._get_connection(connector, target, now + self._timeout_s / 2)
        except _FAILURES as error:
            raise _translated(error, request, target.proxy) from error
        connection = pooled.connection
        answered = False
        self._deadlines.keep(connection, now + self._timeout_s)
        try:
            await connection.send(whole)
            if pooled.used_at and (connection.has_surplus or (connection.status // 100 != _GOOD and await self._says_more(connection))):
                raise httpx.RemoteProtocolError("more than one answer came, and nobody knows which belongs to the request")
            answered = True
        except httpx.TransportError as error:
            if pooled.used_at and connection.is_mute and not isinstance(error, httpx.TimeoutException):
                self._rest_longer(pooled)
            error.request = request
            raise
        finally:
            if not answered:
                self._put_back(pooled)
        stream: httpx.ByteStream | _ResponseBody
        if connection.complete:
            stream = httpx.ByteStream(connection.read_nowait())
            self._put_back(pooled)
        else:
            stream = _ResponseBody(pooled, request, self._put_back)
        return RawResponse(connection, stream)

    async def aclose(self) -> None:
        """Close all connections."""
        self._closed = True
        self._deadlines.close()
        connector, self._connector = self._connector, None
        if connector is not None:
            await connector.close()
        for pooled in chain.from_iterable(self._idle.values()):
            pooled.opened.close()
        self._idle.clear()

    def _open_connector(self) -> aiohttp.TCPConnector:
        if self._closed:
            raise RuntimeError("this transport is closed")
        self._loop = asyncio.get_running_loop()  # kept: each look-up costs a system call
        self._connector = aiohttp.TCPConnector(limit=0)
        return self._connector

    def _take_warm(self, target: "_Target", now: float) -> "_PooledConnection | None":
        """Return an idle connection that can be used without a wait."""
        if target.idle and self._busy < self._concurrency and not self._rest_s and not self._speaks_unasked:
            pooled = target.idle[-1]
            if now - pooled.used_at < _KEEPALIVE_S and pooled.connection.is_quiet:
                self._busy += 1
                pooled.asked_at = now
                return target.idle.pop()
        return None

    async def _get_connection(self, connector: aiohttp.TCPConnector, target: "_Target", until: float) -> "_PooledConnection":
        """Return a connection that nobody else uses: an idle one that still works, or a new one."""
        async with asyncio.timeout_at(until):
            while self._busy >= self._concurrency:
                await self._wait_for_place()
            self._busy += 1
            try:
                while target.idle:
                    pooled = target.idle.pop(0 if self._rest_s else -1)
                    rested_s = self._loop.time() - pooled.used_at
                    if rested_s < self._rest_s:
                        await asyncio.sleep(self._rest_s - rested_s)
                    pooled.asked_at = self._loop.time()
                    if pooled.asked_at - pooled.used_at < _KEEPALIVE_S and await pooled.connection.look() and not self._speaks_unasked:
                        return pooled
                    self._heed(pooled)
                    pooled.opened.close()
                return await self._open_line(connector, target)
            except BaseException:
                self._leave_place()
                raise

    async def _open_line(self, connector: aiohttp.TCPConnector, target: "_Target") -> "_PooledConnection":
        opened = await connector.connect(target.route, [], self._timeout)
        protocol, transport = opened.protocol, opened.transport
        if protocol is None or transport is None or transport.is_closing() or protocol.should_close:
            opened.close()
            raise aiohttp.ClientConnectionResetError("the connection was closed, or spoken to, at once")
        connection = Http1Connection()
        connection.take_over(transport, protocol.connection_lost)
        return _PooledConnection(opened, connection, target.idle, asked_at=self._loop.time())

    async def _says_more(self, connection: Http1Connection) -> bool:
        """Tell whether a second answer follows one that does more than accept: either may be one that nobody asked for.

        The first is believed once no other came for as long as answers usually take.
        """
        self._refusals += 1
        answer_s = self._slowest_s if self._refusals <= _FIRST_REFUSALS else self._usual_s
        return await connection.listen(_LISTEN_S + _LISTEN_TIMES * answer_s)

    def _heed(self, pooled: "_PooledConnection") -> None:
        """Use no connection twice once one has said what nobody asked: only on a fresh one an answer is surely the request's."""
        self._speaks_unasked = self._speaks_unasked or pooled.connection.has_surplus

    def _rest_longer(self, pooled: "_PooledConnection") -> None:
        """Let connections rest before they are used again, so that their end is seen: this server closes them without a word.

        The request that was just lost met the end of its connection on its way.
        """
        if pooled.asked_at - pooled.used_at >= self._rest_s:
            self._rest_s = min(max(2 * self._rest_s, _FIRST_REST_S), _LONGEST_REST_S)

    def _put_back(self, pooled: "_PooledConnection") -> None:
        """Keep a connection for reuse if its exchange is complete and clean, else close it."""
        self._deadlines.forget(pooled.connection)
        self._heed(pooled)
        if pooled.connection.complete and pooled.connection.is_clean and not self._closed and not self._speaks_unasked:
            pooled.used_at = now = self._loop.time()
            if pooled.connection.status < 300:
                took_s = now - pooled.asked_at
                self._usual_s += (took_s - self._usual_s) * (_SMOOTHING if self._usual_s else 1.0)
                self._slowest_s = max(took_s, self._slowest_s * _FADING)
            pooled.idle.append(pooled)
        else:
            if not pooled.connection.complete:
                pooled.connection.abort()
            pooled.opened.close()
        self._leave_place()

    async def _wait_for_place(self) -> None:
        turn = self._loop.create_future()
        self._waiting.append(turn)
        try:
            await turn
        except BaseException:
            if not turn.cancelled():  # our turn came too late; pass it on
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
            proxy = read_proxy(url)
        except ValueError as error:
            raise httpx.ProxyError(str(error), request=request) from error
        if proxy is not None and url.scheme == "http":
            raise httpx.UnsupportedProtocol("plain http is not sent through a proxy", request=request)
        if self._verify is True and "https" in (url.scheme, proxy.url.scheme if proxy else ""):
            self._verify = build_ssl_context()  # slow, and plain http does not need it
        if len(self._targets) >= _TARGETS_KEPT:
            self._targets.clear()
        route = aiohttp.ClientRequest("GET", url, proxy=proxy.url if proxy else None, ssl=self._verify, loop=self._loop)
        idle = self._idle.setdefault(route.connection_key, [])
        self._targets[text] = _Target(route, url.raw_path_qs.encode("ascii"), idle, proxy)
        return self._targets[text]


@dataclass(frozen=True, slots=True)
class _Target:
    """Where a request goes.

    Shape:  route: tells aiohttp host, proxy and whom to trust; is never sent.  path: as in the request line.
            idle: connections there that wait for a request, last used last.
    """

    route: aiohttp.ClientRequest
    path: bytes
    idle: "list[_PooledConnection]"
    proxy: Proxy | None


@dataclass(slots=True, eq=False)
class _PooledConnection:
    """An open connection: aiohttp's object, ours, and the idle list to which it returns.

    Units:  asked_at, used_at: times of the loop: of the current request, and of the last answer, 0 before the first.
    """

    opened: Connection
    connection: Http1Connection
    idle: "list[_PooledConnection]"
    asked_at: float
    used_at: float = 0.0


class _ResponseBody(httpx.AsyncByteStream):
    """The body of an answer as it arrives. Its end, or `aclose`, gives the connection back."""

    def __init__(self, pooled: _PooledConnection, request: httpx.Request, put_back: Callable[[_PooledConnection], None]) -> None:
        self._pooled: _PooledConnection | None = pooled
        self._request = request
        self._put_back = put_back

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        if self._pooled is None:
            raise StopAsyncIteration
        try:
            chunk = await self._pooled.connection.read()
        except httpx.TransportError as error:
            error.request = self._request
            raise
        if not chunk:
            await self.aclose()
            raise StopAsyncIteration
        return chunk

    async def aclose(self) -> None:
        pooled, self._pooled = self._pooled, None
        if pooled is not None:
            self._put_back(pooled)


def _translated(error: Exception, request: httpx.Request, proxy: Proxy | None) -> httpx.TransportError:
    kind = next(kind for types, kind in _NEVER_LEFT if isinstance(error, types))
    text = _described(error)
    if proxy is not None:
        text = f"the proxy {proxy.place}: {text}"
    return kind(text, request=request)


def _described(error: Exception) -> str:
    """Return the cause in a few words, without addresses, which may hold a password, and without the server's text."""
    match error:
        case TimeoutError():
            text = "timed out"
        case aiohttp.ClientHttpProxyError(status=407):
            text = "it answered 407: it wants a name and a password that it knows"
        case aiohttp.ClientHttpProxyError():
            text = f"it answered {error.status}"
        case aiohttp.ClientConnectorError():
            text = describe(error.os_error)
        case aiohttp.ClientResponseError() | HttpProcessingError():
            text = "its answer is not HTTP"
        case aiohttp.ServerDisconnectedError():
            text = "the server closed the connection without an answer"
        case _:
            text = f"the connection was lost ({type(error).__name__})"
    return text
