"""A server in front of another that behaves badly now and then.

It closes the connection after a good answer, or says what nobody asked, or closes before the answer and passes an event on later.
"""

import asyncio
import random
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from rehook_sync.sandbox.server import Sandbox

__all__ = ["REFUSAL_OF_NOBODY", "RudeProxy"]

_EVENT = b"POST /events/invoke "
REFUSAL_OF_NOBODY = "not for you"
_UNASKED = b"HTTP/1.1 400 Bad Request\r\nContent-Length: 11\r\n\r\n%b" % REFUSAL_OF_NOBODY.encode()


class RudeProxy:
    """Passes requests on to a port and answers back.

    Shape:  kind: `close` or `unasked`, what follows a tenth of the answers, some milliseconds later; or `late`: a tenth of the events
            get no answer, and arrive when others have overtaken them.  done: how often it did.
    """

    def __init__(self, port: int, kind: str, seed: int) -> None:
        self.kind = kind
        self.done = 0
        self._port = port
        self._chance = random.Random(seed)
        self._loop = asyncio.new_event_loop()

    @classmethod
    @contextmanager
    def before(cls, sandbox: Sandbox, kind: str, seed: int) -> Iterator["RudeProxy"]:
        """Stand at the address of a sandbox, which moves to another port: to its callers it is still the same Rehook."""
        known = sandbox.port
        move(sandbox, 0)
        try:
            with cls(sandbox.port, kind, seed).serving(known) as rude:
                yield rude
        finally:
            move(sandbox, known)

    @contextmanager
    def serving(self, port: int = 0) -> Iterator["RudeProxy"]:
        """Serve in a thread of its own."""
        server = self._loop.run_until_complete(asyncio.start_server(self._serve, "127.0.0.1", port))
        thread = threading.Thread(target=self._loop.run_forever)
        thread.start()
        try:
            yield self
        finally:
            asyncio.run_coroutine_threadsafe(self._end(server), self._loop).result(10)
            self._loop.call_soon_threadsafe(self._loop.stop)
            thread.join()
            self._loop.close()

    async def _end(self, server: asyncio.Server) -> None:
        server.close()
        await asyncio.sleep(0)  # connections that were just accepted begin
        while own := asyncio.all_tasks() - {asyncio.current_task()}:
            for task in own:
                task.cancel()
            await asyncio.gather(*own, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        upstream: asyncio.StreamWriter | None = None
        try:
            answers, upstream = await asyncio.open_connection("127.0.0.1", self._port)
            is_over = False
            while not is_over:
                request = await _read_message(reader)
                is_rude = self._chance.random() < 0.1
                if is_rude and self.kind == "late" and request.startswith(_EVENT):
                    await self._fall_behind(writer)
                upstream.write(request)
                writer.write(await _read_message(answers))
                await writer.drain()
                is_over = is_rude and await self._misbehave(writer)
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            return  # one of the three is over: the client, the sandbox or this server
        finally:
            for each in (writer, upstream):
                if each is not None:
                    each.close()

    async def _fall_behind(self, writer: asyncio.StreamWriter) -> None:
        """Hang up, and wait while others overtake the request."""
        self.done += 1
        writer.close()
        await asyncio.sleep(self._chance.uniform(0.05, 0.5))

    async def _misbehave(self, writer: asyncio.StreamWriter) -> bool:
        """Tell whether the connection is over."""
        if self.kind == "late":
            return writer.is_closing()
        if self.kind == "close":
            await asyncio.sleep(self._chance.choice((0.0, 0.0005, 0.002)))
        else:
            await asyncio.sleep(self._chance.uniform(0.0005, 0.01))
            writer.write(_UNASKED)
            await writer.drain()
        self.done += 1
        return self.kind == "close"


def move(sandbox: Sandbox, port: int) -> None:
    """Start a sandbox at another port; 0 takes a free one."""
    sandbox.stop()
    sandbox.port = port
    sandbox.start()


async def _read_message(reader: asyncio.StreamReader) -> bytes:
    """Read a request or an answer to its end."""
    head = await reader.readuntil(b"\r\n\r\n")
    _, found, length = head.lower().partition(b"content-length:")
    return head + await reader.readexactly(int(length.partition(b"\r")[0]) if found else 0)
