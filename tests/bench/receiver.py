"""What all contestants send to: answers 200 as cheaply as Python can, at once or after a while, and counts what came.

Run as a process of its own: `python receiver.py 0 20` listens on one port for each latency in milliseconds and prints them as JSON.
It reads by Content-Length and keeps connections open; there is no pipelining and no check of what is sent.
"""

import asyncio
import json
import sys
import time
from typing import Any

OK = b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 15\r\n\r\n{"status":"ok"}'


class Tally:
    """What has come since it was last cleared, over all ports; `distinct` tells requests apart by idempotency key, else by body."""

    def __init__(self) -> None:
        self.requests = 0
        self.seen: set[int] = set()
        self.began_s = time.process_time()

    def clear(self) -> None:
        self.requests = 0
        self.seen = set()
        self.began_s = time.process_time()

    def document(self) -> bytes:
        return json.dumps({"requests": self.requests, "distinct": len(self.seen), "cpu_s": time.process_time() - self.began_s}).encode()


class Receiver(asyncio.Protocol):
    """One connection."""

    def __init__(self, tally: Tally, latency_s: float) -> None:
        self._tally = tally
        self._latency_s = latency_s
        self._rest = b""
        self._transport: Any = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        self._later = asyncio.get_running_loop().call_later

    def data_received(self, data: bytes) -> None:
        data = self._rest + data
        end = data.find(b"\r\n\r\n") + 4
        if end > 3:
            head = data[:end].lower()
            start = head.find(b"content-length:")
            whole = end + (int(head[start + 15 : head.index(b"\r", start)]) if start > 0 else 0)
            if len(data) >= whole:
                self._rest = data[whole:]
                self._take(head, data[end:whole])
                return
        self._rest = data

    def _take(self, head: bytes, body: bytes) -> None:
        if not head.startswith(b"post "):
            self._transport.write(self._look(head))
            return
        start = head.find(b"idempotency-key:")
        self._tally.requests += 1
        self._tally.seen.add(hash(body if start < 0 else head[start : head.index(b"\r", start)]))
        if self._latency_s:
            self._later(self._latency_s, self._transport.write, OK)
        else:
            self._transport.write(OK)

    def _look(self, head: bytes) -> bytes:
        if head.startswith(b"get /bench/clear "):
            self._tally.clear()
        if head.startswith(b"get /bench/"):
            found = self._tally.document()
            return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(found) + found
        return OK


async def serve(latencies_ms: list[float]) -> None:
    """Listen until the process is ended."""
    tally, loop = Tally(), asyncio.get_running_loop()
    servers = [await loop.create_server(_factory(tally, each / 1000), "127.0.0.1", 0, backlog=4096) for each in latencies_ms]
    sys.stdout.write(json.dumps({each: server.sockets[0].getsockname()[1] for each, server in zip(sys.argv[1:], servers, strict=True)}))
    sys.stdout.write("\n")
    sys.stdout.flush()
    await asyncio.gather(*(each.serve_forever() for each in servers))


def _factory(tally: Tally, latency_s: float) -> Any:
    return lambda: Receiver(tally, latency_s)


if __name__ == "__main__":
    try:
        import uvloop
    except ImportError:
        new_loop = None
    else:
        new_loop = uvloop.new_event_loop
    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(serve([float(each) for each in sys.argv[1:]]))
