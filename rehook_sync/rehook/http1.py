"""One HTTP/1.1 connection: requests are written in one piece, answers parsed as they come in.

The caller opens connections and hands them over with `take_over`.
"""

import asyncio
import select
import socket
import struct
from collections.abc import Callable
from contextlib import suppress
from functools import cached_property
from typing import NamedTuple

import httpx
from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser

__all__ = ["Address", "Http1Connection", "RawRequest", "RawResponse", "serialize"]

_LONGEST_HEAD_BYTES = 131_072
_MOST_UNREAD_BYTES = 65_536
"""Reading pauses when so much of a body is unread."""
_STEPS_TO_NOTICE = 3
"""Turns of the loop until the end of a connection is noticed: to poll, to read, and for TLS to close."""
_SWITCHING = 101
_LINGER_NONE = struct.pack("ii", 1, 0)
"""SO_LINGER with a time of 0: what the system still holds of a request is dropped with its connection."""
_NO_HEADERS = httpx.Headers()
_FRAMING = frozenset({b"content-length", b"transfer-encoding"})

_NO_ANSWER = "the server closed the connection without an answer"
_BROKE_OFF = "the answer broke off"


class Address(NamedTuple):
    """A URL and its text, which httpx would build anew for each request."""

    url: httpx.URL
    text: str


class RawRequest(httpx.Request):
    """A POST whose header lines are bytes already; `headers` parses them on demand.

    It is made five times and written ten times as fast as an ordinary request.
    """

    def __init__(self, address: Address, headers: bytes, body: bytes) -> None:
        """Take header lines such as `Host: api.rehook.ai`, without a line end after the last; Content-Length is added."""
        self.method = "POST"
        self.url, self.address = address
        self.extensions = {}
        self.lines = b"%b\r\nContent-Length: %d" % (headers, len(body))
        self.body = body

    def serialize(self, path: bytes) -> bytes:
        """Return the request as bytes."""
        return b"POST %b HTTP/1.1\r\n%b\r\n\r\n%b" % (path, self.lines, self.body)

    @cached_property
    def stream(self) -> httpx.ByteStream:  # type: ignore[override]
        """The body as an httpx stream."""
        return httpx.ByteStream(self.body)

    @cached_property
    def headers(self) -> httpx.Headers:  # type: ignore[override]
        """The headers, parsed."""
        pairs = (line.partition(b": ") for line in self.lines.split(b"\r\n"))
        return httpx.Headers([(name, value) for name, _, value in pairs])


class RawResponse(httpx.Response):
    """An answer that parses its headers on demand; nobody asks for those of a good one."""

    def __init__(self, connection: "Http1Connection", stream: httpx.AsyncByteStream) -> None:
        """Take status and headers from a connection."""
        super().__init__(connection.status, headers=_NO_HEADERS, stream=stream)
        del self.headers  # the base class set them; the property below takes their place
        self._received = connection.headers

    @cached_property
    def headers(self) -> httpx.Headers:  # type: ignore[override]
        """The headers, parsed."""
        return httpx.Headers(self._received)


async def serialize(request: httpx.Request, path: bytes) -> bytes:
    """Return any request as bytes.

    Raises: ValueError for a header that holds a line end.
    """
    headers = request.headers.raw
    if isinstance(request.stream, httpx.ByteStream):
        content = b"".join(request.stream)
    else:
        content = await request.aread()  # sent in one piece, so its framing headers are replaced
        headers = [*(pair for pair in headers if pair[0].lower() not in _FRAMING), (b"Content-Length", b"%d" % len(content))]
    head = b"\r\n".join([b"%s %s HTTP/1.1" % (request.method.encode("ascii"), path), *map(b": ".join, headers)])
    if head.count(b"\r") != len(headers) or head.count(b"\n") != len(headers):
        raise ValueError("a header holds the end of a line")
    return b"%s\r\n\r\n%s" % (head, content)


class Http1Connection(asyncio.Protocol):
    """One connection, open or closed.

    Shape:  status, headers: of the current answer, once `send` has returned.  complete: its body has arrived to the end.
            is_clean: another request may follow. False once the connection ended, sent what nobody asked for, or said `close`.
            has_surplus: more came than one answer.  is_mute: nothing has come of the current answer.
    """

    def __init__(self) -> None:
        """Start without a transport."""
        self.status = 0
        self.headers: list[tuple[bytes, bytes]] = []
        self.complete = True
        self.is_clean = True
        self.has_surplus = False
        self._is_lost = False
        self._chunks: list[bytes] = []
        self._unread = self._head_size = 0
        self._has_head = False
        self._paused = False
        self._error: httpx.TransportError | None = None
        self._news: asyncio.Future[None] | None = None
        self._parser = HttpResponseParser(self)
        # As lenient as aiohttp: an answer that can be understood leaves no doubt.
        self._parser.set_dangerous_leniencies(
            lenient_headers=True, lenient_optional_cr_before_lf=True, lenient_spaces_after_chunk_size=True
        )
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport
        self._told: Callable[[Exception | None], None]

    def take_over(self, transport: asyncio.Transport, told: Callable[[Exception | None], None]) -> None:
        """Use an open transport from now on. `told` is called when it ends."""
        self._transport = transport
        self._told = told
        self._poll = _open_poll(transport)
        transport.set_protocol(self)

    @property
    def is_quiet(self) -> bool:
        """Tell, by a look at the socket, whether another request may follow and nothing has come in that the loop has not seen."""
        return self.is_clean and self._poll is not None and not self._poll.poll(0)

    @property
    def is_mute(self) -> bool:
        """Tell whether nothing has come of the current answer."""
        return not self._has_head and not self._head_size

    async def look(self) -> bool:
        """Tell whether the connection is usable. The loop gets the turns it needs to notice its end."""
        if self.is_clean and not self.is_quiet:
            for _ in range(_STEPS_TO_NOTICE):
                await asyncio.sleep(0)
        return self.is_clean and not self._transport.is_closing()

    async def listen(self, seconds: float) -> bool:
        """Wait for what comes after the answer. Tells at once when something does: then nobody knows what the first was about."""
        with suppress(TimeoutError, httpx.TransportError):
            async with asyncio.timeout(seconds):
                while not (self.has_surplus or self._is_lost):
                    await self._wait()
        return self.has_surplus

    async def send(self, whole: bytes) -> None:
        """Write a request and wait for the head of its answer. The exchange before must be complete.

        Raises: httpx.TransportError of a type that means: the request may have arrived.
        """
        self.status = 0
        self.headers = []
        self.complete = self._has_head = False
        self._head_size = 0
        try:
            self._transport.write(whole)
        except (OSError, RuntimeError) as error:
            raise httpx.WriteError(f"the connection was lost ({type(error).__name__})") from error
        while not self._has_head:
            await self._wait()

    async def read(self) -> bytes:
        """Return what has arrived of the body; waits if nothing has. Empty at the end.

        Raises: httpx.TransportError when it breaks off.
        """
        while not self._chunks and not self.complete:
            await self._wait()
        return self.read_nowait()

    def read_nowait(self) -> bytes:
        """Return what has arrived of the body, without waiting."""
        body = b"".join(self._chunks)
        self._chunks.clear()
        self._unread = 0
        if self._paused and self.is_clean:
            self._paused = False
            self._transport.resume_reading()
        return body

    def fail(self, error: httpx.TransportError) -> None:
        """End the current exchange with an error, unless it is complete."""
        self.is_clean = False
        if not self.complete and self._error is None:
            self._error = error
            self._tell()

    def abort(self) -> None:
        """End the connection at once. What has not left of its request never does: later ones do not overtake it on their way out."""
        with suppress(AttributeError, OSError, ValueError):  # there is no socket any more
            self._transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_NONE)
        self._transport.abort()

    def _wait(self) -> asyncio.Future[None]:
        if self._error is not None:
            raise self._error
        self._news = self._loop.create_future()
        return self._news

    def _tell(self) -> None:
        if self._news is not None and not self._news.done():
            self._news.set_result(None)

    # Called by the transport.

    def data_received(self, data: bytes) -> None:
        """Parse data. Data that nobody asked for closes the connection."""
        if self.complete:
            self._note_surplus()
            self._transport.close()
            self._tell()
            return
        try:
            self._parser.feed_data(data)
        except HttpParserUpgrade:
            self.is_clean = False
        except HttpParserError as error:
            self.fail(httpx.RemoteProtocolError(f"the answer is not HTTP ({error})"))
            self.has_surplus = self.complete
        if self._has_head:
            self._tell()
        else:
            self._head_size += len(data)
            if self._head_size > _LONGEST_HEAD_BYTES:
                self.fail(httpx.RemoteProtocolError("the answer is not HTTP (a head without end)"))

    def connection_lost(self, exc: Exception | None) -> None:
        """End the current exchange: complete if its body ends with the connection, else with an error."""
        self._told(exc)
        self._is_lost = True
        if not self.complete and exc is None and self._has_head and self._ends_with_connection():
            self.complete = True
            self._tell()
        elif exc is None:
            self.fail(httpx.RemoteProtocolError(_BROKE_OFF if self._has_head else _NO_ANSWER))
        else:
            error = httpx.ReadError(f"the connection was lost ({type(exc).__name__})")
            error.__cause__ = exc
            self.fail(error)
        self.is_clean = False
        self._tell()

    def _note_surplus(self) -> None:
        self.has_surplus = True
        self.is_clean = False

    def _ends_with_connection(self) -> bool:
        said = {name.lower(): value.lower() for name, value in self.headers}
        coding = said.get(b"transfer-encoding")
        return b"content-length" not in said if coding is None else not coding.endswith(b"chunked")

    # Called by the parser.

    def on_message_begin(self) -> None:
        """Notice an answer that nobody asked for."""
        if self.complete:
            self._note_surplus()

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take one header."""
        if not self.complete:
            self.headers.append((name, value))

    def on_headers_complete(self) -> None:
        """Keep the status, except that of an interim answer."""
        status = self._parser.get_status_code()
        if self.complete:
            return
        if status // 100 == 1 and status != _SWITCHING:
            self.headers.clear()
            return
        self.status = status
        self._has_head = True

    def on_body(self, chunk: bytes) -> None:
        """Keep a piece of the body; pause reading when too much is unread."""
        if self.complete:
            return
        self._chunks.append(chunk)
        self._unread += len(chunk)
        if self._unread > _MOST_UNREAD_BYTES and not self._paused:
            self._paused = True
            self._transport.pause_reading()

    def on_message_complete(self) -> None:
        """Complete the answer, unless it is an interim one."""
        if self._has_head and not self.complete:
            self.complete = True
            self.is_clean = self.is_clean and self.status != _SWITCHING and self._parser.should_keep_alive()


def _open_poll(transport: asyncio.BaseTransport) -> "select.poll | None":
    """Return what tells whether something has come in, None where the socket cannot be asked."""
    poll = select.poll()
    try:
        poll.register(transport.get_extra_info("socket").fileno(), select.POLLIN)
    except (AttributeError, ValueError):
        return None
    return poll
