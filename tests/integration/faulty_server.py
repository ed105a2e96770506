"""A real HTTP server on loopback that misbehaves on purpose, and that counts the whole requests it has read.

    async with FaultyServer(closes_after_request) as server:
        ... send something to server.url ...
        assert len(server.requests) == 1

A behaviour is a coroutine function that gets one connection and does with it what it likes; the ones below are ready
to use, those with parentheses take arguments.
"""

import asyncio
import socket
import ssl
import struct
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

__all__ = [
    "Behaviour",
    "Connection",
    "FaultyServer",
    "Received",
    "answers",
    "answers_before_reading",
    "closes_after_request",
    "closes_when_idle",
    "drips",
    "half_a_response",
    "never_answers",
    "never_reads",
    "resets_after_request",
    "resets_inside_request",
    "says",
    "streams_without_end",
    "tunnels_to",
]


@dataclass(frozen=True, slots=True)
class Received:
    """One whole request as it came over the wire."""

    method: str
    target: str
    headers: tuple[tuple[str, str], ...]
    body: bytes

    def header(self, name: str) -> str | None:
        """Return the only value of a header."""
        values = [value for key, value in self.headers if key.lower() == name.lower()]
        assert len(values) <= 1, f"{name} was sent {len(values)} times"
        return values[0] if values else None


@dataclass(slots=True)
class Connection:
    """One accepted connection."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    server: "FaultyServer"
    requests: int = 0

    async def read_request(self) -> Received | None:
        """Read one whole request and count it; None when the client hung up before or inside it."""
        try:
            head = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            line, *lines = head.rstrip("\r\n").split("\r\n")
            pairs = tuple((name, value.strip()) for name, _, value in (each.partition(":") for each in lines))
            length = next((int(value) for name, value in pairs if name.lower() == "content-length"), 0)
            body = await self.reader.readexactly(length)
        except (asyncio.IncompleteReadError, OSError):
            return None
        method, target, _ = line.split(" ")
        received = Received(method, target, pairs, body)
        self.requests += 1
        self.server.requests.append(received)
        return received

    async def write(self, data: bytes) -> None:
        """Write bytes as they are."""
        self.writer.write(data)
        self.server.bytes_written += len(data)
        await self.writer.drain()

    async def answer(self, status: int = 200, body: bytes = b'{"ok":true}', headers: str = "") -> None:
        """Write one proper answer; `headers` are lines that end with CRLF."""
        head = f"HTTP/1.1 {status} X\r\nContent-Length: {len(body)}\r\n{headers}\r\n"
        await self.write(head.encode() + body)

    def reset(self) -> None:
        """End the connection with a reset instead of a proper close."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()

    @property
    def socket(self) -> socket.socket:
        """The socket behind the connection."""
        found: socket.socket = self.writer.get_extra_info("socket")
        return found


Behaviour = Callable[[Connection], Awaitable[None]]


@dataclass(slots=True)
class FaultyServer:
    """Serve each connection with one behaviour; at the end of `async with` everything is closed.

    Shape:  requests: the whole requests read, in order.  connections: how many were accepted.
    """

    behaviour: Behaviour
    context: ssl.SSLContext | None = None
    requests: list[Received] = field(default_factory=list)
    connections: int = 0
    bytes_written: int = 0
    open: list[Connection] = field(default_factory=list)
    _server: asyncio.Server | None = None
    _tasks: "set[asyncio.Task[None]]" = field(default_factory=set)

    @property
    def port(self) -> int:
        """The port it listens on."""
        assert self._server is not None
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    @property
    def url(self) -> str:
        """The address of the server."""
        return f"{'https' if self.context else 'http'}://127.0.0.1:{self.port}"

    async def __aenter__(self) -> Self:
        """Start to listen on a free port of loopback."""
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0, ssl=self.context)
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Stop listening, cancel what still runs, close every connection."""
        assert self._server is not None
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._server.wait_closed()

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        task = asyncio.create_task(self._serve(Connection(reader, writer, self)))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, connection: Connection) -> None:
        self.open.append(connection)
        try:
            await self.behaviour(connection)
        except OSError:
            return  # the client hung up, which is what some tests are about
        finally:
            self.open.remove(connection)
            connection.writer.close()
            try:
                await connection.writer.wait_closed()
            except (OSError, asyncio.CancelledError):
                connection.writer.transport.abort()


def answers(status: int = 200, body: bytes = b'{"ok":true}', headers: str = "") -> Behaviour:
    """Answer every request of a connection properly."""

    async def behave(connection: Connection) -> None:
        while await connection.read_request():
            await connection.answer(status, body, headers)

    return behave


def answers_before_reading(status: int = 200) -> Behaviour:
    """Answer as soon as somebody connects, then wait for the request."""

    async def behave(connection: Connection) -> None:
        await connection.answer(status)
        await connection.read_request()

    return behave


def says(raw: bytes, *, then_waits: bool = False) -> Behaviour:
    """Answer each request with these bytes, then close, or keep the connection open."""

    async def behave(connection: Connection) -> None:
        while await connection.read_request():
            await connection.write(raw)
            if not then_waits:
                return

    return behave


async def closes_after_request(connection: Connection) -> None:
    """Read one request and hang up."""
    await connection.read_request()


async def resets_after_request(connection: Connection) -> None:
    """Read one request and reset the connection."""
    if await connection.read_request():
        connection.reset()


async def resets_inside_request(connection: Connection) -> None:
    """Read the head of a request and reset the connection."""
    await connection.reader.readuntil(b"\r\n\r\n")
    connection.reset()


async def half_a_response(connection: Connection) -> None:
    """Promise a hundred bytes after a proper head, send three, hang up."""
    if await connection.read_request():
        await connection.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabc")


async def never_answers(connection: Connection) -> None:
    """Read requests and say nothing."""
    while await connection.read_request():
        await asyncio.sleep(60)


async def never_reads(connection: Connection) -> None:
    """Accept and do nothing: with TLS on the other side, a handshake that never ends."""
    connection.writer.transport.pause_reading()  # type: ignore[attr-defined]  # a transport for both directions
    await asyncio.sleep(60)


async def drips(connection: Connection) -> None:
    """Answer one byte of an endless head at a time."""
    if await connection.read_request():
        await connection.write(b"HTTP/1.1 200 OK\r\nX: ")
        while True:
            await connection.write(b"x")
            await asyncio.sleep(0.01)


def streams_without_end(status: int) -> Behaviour:
    """Answer with a body that does not end."""

    async def behave(connection: Connection) -> None:
        if await connection.read_request():
            await connection.write(f"HTTP/1.1 {status} X\r\nContent-Length: {1 << 40}\r\n\r\n".encode())
            while True:
                await connection.write(b"x" * 65_536)

    return behave


def closes_when_idle(after_s: float = 0.0) -> Behaviour:
    """Answer one request, then hang up without having said so."""

    async def behave(connection: Connection) -> None:
        if await connection.read_request():
            await connection.answer()
            await asyncio.sleep(after_s)

    return behave


def tunnels_to(port: int, answer: bytes = b"HTTP/1.1 200 Connection established\r\n\r\n") -> Behaviour:
    """Be a proxy: answer CONNECT, and if that was a yes, lead every tunnel to one port of loopback."""

    async def behave(connection: Connection) -> None:
        if not await connection.read_request():
            return
        await connection.write(answer)
        if b" 200 " not in answer:
            return
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            await asyncio.gather(_pipe(connection.reader, writer), _pipe(reader, connection.writer))
        finally:
            writer.close()

    return behave


async def _pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65_536):
        writer.write(data)
        await writer.drain()
    if writer.can_write_eof():
        writer.write_eof()
