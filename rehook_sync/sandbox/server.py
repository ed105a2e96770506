"""Runs the sandbox: in a thread inside a test, or in the foreground for the command line. Loopback only."""

import asyncio
import ipaddress
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from types import FrameType, TracebackType
from typing import Self

import uvicorn

from rehook_sync.errors import InternalError, UsageError
from rehook_sync.sandbox.app import SandboxApp
from rehook_sync.sandbox.faults import FaultBoard
from rehook_sync.sandbox.store import DEFAULT_CREDENTIALS, Behaviour, Credentials, FakeRehook

__all__ = ["Sandbox", "serve"]

_BACKLOG = 2048
_KEEP_ALIVE_S = 600
"""Long, so that the server closes no idle connection during a test."""
_STOP_WITHIN_S = 10.0


class Sandbox:
    """A local Rehook in its own thread: `with Sandbox() as sandbox: ...`.

    Shape:  store: customers, events and log.  faults: `sandbox.faults.add("status", status=503, times=2)`.
    After `stop` and `start` it is back at the same address with the same store.
    """

    def __init__(
        self,
        *,
        behaviour: Behaviour | None = None,
        credentials: Credentials = DEFAULT_CREDENTIALS,
        host: str = "127.0.0.1",
        port: int = 0,
    ) -> None:
        """Prepare; nothing listens before `start`. Raises UsageError for an address that is not loopback."""
        self.host = loopback_address(host)
        self.port = port
        self.credentials = credentials
        self.store = FakeRehook(behaviour or Behaviour(), credentials)
        self.faults = FaultBoard()
        self._server: _Server | None = None
        self._thread: threading.Thread | None = None

    @property
    def url(self) -> str:
        """The base URL, valid once started."""
        return base_url(self.host, self.port)

    def start(self) -> Self:
        """Listen. Raises UsageError when the port is taken."""
        listener = open_listener(self.host, self.port)
        self.port = listener.getsockname()[1]
        self._server = _Server(SandboxApp(self.store, self.faults), listener)
        self._thread = threading.Thread(target=self._server.run_to_end, name="rehook-sandbox", daemon=True)
        self._thread.start()
        if not self._server.ready.wait(_STOP_WITHIN_S):
            raise InternalError("the sandbox did not start")
        return self

    def stop(self) -> None:
        """Close the port and every connection, unanswered requests included."""
        if self._server is None or self._thread is None:
            return
        self._server.request_stop()
        self._thread.join(_STOP_WITHIN_S)
        if self._thread.is_alive():
            raise InternalError("the sandbox did not stop")
        self._server = self._thread = None

    def __enter__(self) -> Self:
        """Start."""
        return self.start()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Stop."""
        self.stop()


def serve(
    port: int,
    *,
    host: str = "127.0.0.1",
    behaviour: Behaviour | None = None,
    credentials: Credentials = DEFAULT_CREDENTIALS,
    on_start: Callable[[str], None] | None = None,
) -> None:
    """Run a local Rehook until SIGINT or SIGTERM. `on_start` gets the base URL; port 0 takes a free one.

    Raises: UsageError for an address that is not loopback and for a port that is taken.
    """
    address = loopback_address(host)
    listener = open_listener(address, port)
    url = base_url(address, listener.getsockname()[1])
    app = SandboxApp(FakeRehook(behaviour or Behaviour(), credentials), FaultBoard())
    _Server(app, listener, on_start=None if on_start is None else lambda: on_start(url)).run_to_end()


def loopback_address(host: str) -> str:
    """Return the address to bind to. Raises UsageError unless it is loopback, since the credentials are public."""
    address = "127.0.0.1" if host == "localhost" else host
    try:
        allowed = ipaddress.ip_address(address).is_loopback
    except ValueError:
        allowed = False
    if not allowed:
        raise UsageError(f"the sandbox listens on loopback only, not on '{host}'; use 127.0.0.1 or ::1")
    return address


def base_url(address: str, port: int) -> str:
    """Return the base URL of an address and a port."""
    return f"http://[{address}]:{port}" if ":" in address else f"http://{address}:{port}"


def open_listener(address: str, port: int) -> socket.socket:
    """Return a bound socket. Raises UsageError when the port cannot be bound."""
    # asyncio sets TCP_NODELAY only if IPPROTO_TCP is named; without it each answer waits 40 ms
    listener = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((address, port))
    except (OSError, OverflowError) as error:
        listener.close()
        reason = error.strerror if isinstance(error, OSError) else "no such port"
        raise UsageError(f"the sandbox cannot listen on {address} port {port}: {reason}; choose another with --port") from error
    return listener


class _Server(uvicorn.Server):
    """Uvicorn without its polling: it stops at once and drops hanging requests."""

    def __init__(self, app: SandboxApp, listener: socket.socket, on_start: Callable[[], None] | None = None) -> None:
        config = uvicorn.Config(
            app,
            lifespan="off",
            ws="none",
            log_config=None,
            log_level="error",
            access_log=False,
            proxy_headers=False,
            server_header=False,
            date_header=False,
            backlog=_BACKLOG,
            timeout_keep_alive=_KEEP_ALIVE_S,
        )
        config.load()
        config.http_protocol_class = _with_transport(config.http_protocol_class)
        super().__init__(config)
        self.ready = threading.Event()
        self._listener = listener
        self._on_start = on_start
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop = asyncio.Event()

    def run_to_end(self) -> None:
        """Serve until a stop is requested."""
        try:
            with asyncio.Runner(loop_factory=_loop_factory()) as runner:
                runner.run(self.serve(sockets=[self._listener]))
        finally:
            self._listener.close()

    def request_stop(self) -> None:
        """Request a stop; safe from any thread and from a signal handler."""
        self.should_exit = True
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._stop.set)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        self._loop = asyncio.get_running_loop()
        await super().startup(sockets)
        if self.should_exit:
            self._stop.set()
        self.ready.set()
        if self._on_start is not None:
            self._on_start()

    async def main_loop(self) -> None:
        await self._stop.wait()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for server in self.servers:
            server.close()
        for each in sockets or []:
            each.close()
        tasks = list(self.server_state.tasks)
        for connection in list(self.server_state.connections):
            transport = getattr(connection, "transport", None)
            if transport is not None:
                transport.abort()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Stop at SIGINT or SIGTERM without raising it again: a sandbox stopped by hand has not failed."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {each: signal.signal(each, self._signalled) for each in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for each, handler in before.items():
                signal.signal(each, handler)

    def _signalled(self, _number: int, _frame: FrameType | None) -> None:
        self.request_stop()


def _with_transport(protocol: type[asyncio.Protocol]) -> type[asyncio.Protocol]:
    """Return the protocol with its connection in `scope["state"]`, where faults need it."""

    class Connected(protocol):  # type: ignore[misc, valid-type]
        def connection_made(self, transport: asyncio.Transport) -> None:
            self.app_state = {"transport": transport}
            super().connection_made(transport)

    return Connected


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """Return uvloop's factory where it is installed."""
    try:
        factory: Callable[[], asyncio.AbstractEventLoop] = import_module("uvloop").new_event_loop
    except ImportError:
        return None
    return factory
