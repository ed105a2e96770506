"""The sandbox as an ASGI application: reads requests, carries out faults on the connection, answers.

Only `/_sandbox/` goes through a router. `server` puts the connection into `scope["state"]["transport"]`.
"""

import asyncio
import re
import socket
import struct
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

from starlette.types import Message, Receive, Scope, Send

from rehook_sync.sandbox.admin import build_admin
from rehook_sync.sandbox.api import answer, build_incoming
from rehook_sync.sandbox.faults import Fault, FaultBoard
from rehook_sync.sandbox.store import FakeRehook, Incoming, Received, Reply, refusal

__all__ = ["SandboxApp"]

_PIECE_BYTES = 64 * 1024
_LINGER_NONE = struct.pack("ii", 1, 0)
"""SO_LINGER with a time of 0: closing sends a reset."""
_LOCAL = re.compile(rb"(?:https?://)?(?:localhost|127(?:\.\d{1,3}){3}|\[::1\])(?::\d+)?", re.IGNORECASE)
"""A Host or Origin of loopback."""
_GARBAGE = b"\x00\x01 this is not HTTP \xff\xfe\r\n\r\n"


class SandboxApp:
    """One local Rehook behind ASGI."""

    def __init__(self, store: FakeRehook, faults: FaultBoard) -> None:
        """Serve this store with these fault switches."""
        self.store = store
        self.faults = faults
        self._admin = build_admin(store, faults)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            return
        if not is_local(scope["headers"]):
            await Exchange(scope, receive, send).send_reply(refusal(403, "not_local", "only pages and programs of this machine may ask"))
            return
        if scope["path"].startswith("/_sandbox"):
            await self._admin(scope, receive, send)
            return
        exchange = Exchange(scope, receive, send)
        incoming = await exchange.read_request(self.store.behaviour.max_body_bytes)
        if incoming is None:
            return
        received = self.store.record_arrival(incoming)
        status: int | None = None
        try:
            if self.faults.armed:
                status = await self._answer_with_faults(exchange, incoming, received)
            else:
                reply = answer(self.store, incoming, received)
                status = reply.status
                await exchange.send_reply(reply)
        except asyncio.CancelledError:
            exchange.abort()
        finally:
            self.store.record_end(received, status)

    async def _answer_with_faults(self, exchange: "Exchange", incoming: Incoming, received: Received) -> int | None:
        delay_s, fault = self.faults.choose(incoming)
        if delay_s:
            received.fault = "delay"
            await asyncio.sleep(delay_s)
        if fault is None:
            reply = answer(self.store, incoming, received)
            await exchange.send_reply(reply)
            return reply.status
        received.fault = fault.kind
        if fault.kind in ("status", "rate_limited", "commit_then_status", "another_customer"):
            if fault.kind == "commit_then_status":
                answer(self.store, incoming, received)
            reply = build_fault_reply(fault)
            await exchange.send_reply(reply)
            return reply.status
        return await self._break(exchange, fault, lambda: answer(self.store, incoming, received))

    async def _break(self, exchange: "Exchange", fault: Fault, carry_out: Callable[[], Reply]) -> int | None:
        """Misbehave on the connection. Returns the status if a whole answer was sent."""
        if fault.kind == "hang":
            if fault.commit:
                carry_out()
            await exchange.wait_for_disconnect()
        elif fault.kind == "drop_before":
            await exchange.drop(reset=fault.reset)
        elif fault.kind == "commit_then_drop":
            carry_out()
            await exchange.drop(reset=fault.reset)
        elif fault.kind == "garbage":
            carry_out()
            await exchange.send_raw(_GARBAGE)
        elif fault.kind == "half_answer":
            await exchange.send_half(carry_out())
        else:
            reply = carry_out()
            await exchange.send_slowly(_padded(reply, fault.body_bytes), fault.interval_s)
            return None if exchange.disconnected else reply.status
        return None


def is_local(headers: Iterable[tuple[bytes, bytes]]) -> bool:
    """Tell whether Host, and Origin if there is one, are of this machine.

    A web site can send a browser to loopback, by a link or by a name that resolves to it, but cannot hide its own name.
    """
    return all(_LOCAL.fullmatch(value) for name, value in headers if name in (b"host", b"origin"))


class Exchange:
    """One request and its connection."""

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Keep the ASGI channel and its transport."""
        self._scope = scope
        self._receive = receive
        self._send = send
        self._transport: asyncio.Transport = scope["state"]["transport"]
        self.disconnected = False

    async def read_request(self, max_body_bytes: int) -> Incoming | None:
        """Read the whole request; a body that is too large is discarded. None if the client left."""
        body, size, more = b"", 0, True
        while more:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                return None
            piece: bytes = message.get("body", b"")
            size += len(piece)
            if size <= max_body_bytes:
                body = body + piece if body else piece
            more = message.get("more_body", False)
        scope = self._scope
        return build_incoming(
            scope["method"], scope["raw_path"].decode("ascii"), scope["headers"], body if size <= max_body_bytes else None
        )

    async def send_reply(self, reply: Reply) -> None:
        """Answer, in pieces when the body is large."""
        await self._start(reply, len(reply.body))
        body = reply.body
        for at in range(0, max(len(body), 1), _PIECE_BYTES):
            end = at + _PIECE_BYTES
            await self._send({"type": "http.response.body", "body": body[at:end], "more_body": end < len(body)})

    async def send_half(self, reply: Reply) -> None:
        """Announce the whole body, send half of it and close."""
        await self._start(reply, len(reply.body))
        await self._send({"type": "http.response.body", "body": reply.body[: len(reply.body) // 2], "more_body": True})
        await self._hang_up()

    async def send_slowly(self, reply: Reply, interval_s: float) -> None:
        """Send the body byte by byte, until the client leaves."""
        await self._start(reply, len(reply.body))
        watcher = asyncio.ensure_future(self.wait_for_disconnect())
        try:
            for at in range(len(reply.body)):
                if watcher.done():
                    self.disconnected = True
                    return
                await self._send({"type": "http.response.body", "body": reply.body[at : at + 1], "more_body": at + 1 < len(reply.body)})
                await asyncio.sleep(interval_s)
        finally:
            watcher.cancel()

    async def send_raw(self, data: bytes) -> None:
        """Send raw bytes, unless the client has left, then close."""
        if not self._transport.is_closing():
            self._transport.write(data)
        await self._hang_up()

    async def drop(self, *, reset: bool = False) -> None:
        """Close the connection without an answer; with `reset` by a TCP reset."""
        connection = self._transport.get_extra_info("socket")
        if reset and connection is not None and not self._transport.is_closing():
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_NONE)
        self.abort()
        await self.wait_for_disconnect()

    def abort(self) -> None:
        """Close the connection without waiting for it."""
        self._transport.abort()

    async def wait_for_disconnect(self) -> None:
        """Wait until the client goes away."""
        while (await self._receive())["type"] != "http.disconnect":
            pass

    async def _hang_up(self) -> None:
        """Close after everything written is sent. Returning earlier would make uvicorn send a 500."""
        self._transport.close()
        await self.wait_for_disconnect()

    async def _start(self, reply: Reply, length: int) -> None:
        headers = [(b"content-type", b"application/json"), (b"content-length", str(length).encode())]
        headers += [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in reply.headers]
        start: Message = {"type": "http.response.start", "status": reply.status, "headers": headers}
        await self._send(start)


def build_fault_reply(fault: Fault) -> Reply:
    """Return the answer of a fault that answers."""
    headers = tuple(fault.headers.items())
    if fault.kind == "another_customer":
        return Reply(200, b'{"id":"cus_another","source_id":"somebody-else"}', headers)
    if fault.kind != "rate_limited":
        reply = refusal(fault.status, "sandbox_fault", f"the fault switch '{fault.kind}' answered")
    else:
        reply = refusal(fault.status if "status" in fault.model_fields_set else 429, "rate_limited", "too many requests")
        if fault.retry_after_s is not None:
            headers += (("retry-after", _retry_after(fault.retry_after_s, fault.retry_after_as)),)
    return _padded(reply._replace(headers=headers), fault.body_bytes)


def _retry_after(seconds: float, form: str) -> str:
    if form == "date":
        return format_datetime(datetime.now(UTC) + timedelta(seconds=seconds), usegmt=True)
    return f"{seconds:g}"


def _padded(reply: Reply, size: int) -> Reply:
    """Return the reply with its JSON padded to at least `size` bytes."""
    return reply if size <= len(reply.body) else reply._replace(body=reply.body + b" " * (size - len(reply.body)))
