"""What can go wrong on a real socket, and what we then believe about the request. One row per failure, seen from both ends."""

import asyncio
import contextlib
import gc
import random
import resource
import socket
import ssl
import threading
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

import httpx
import pytest
import trustme
import uvloop
from faulty_server import (
    Behaviour,
    Connection,
    FaultyServer,
    answers,
    answers_before_reading,
    closes_after_request,
    closes_when_idle,
    drips,
    half_a_response,
    never_answers,
    never_reads,
    resets_after_request,
    resets_inside_request,
    says,
    streams_without_end,
    tunnels_to,
)

from rehook_sync import __version__
from rehook_sync.models import Answer, Call, Effect, Operation, Reason, Stream
from rehook_sync.rehook.client import Rehook, idempotency_key
from rehook_sync.rehook.transport import AiohttpTransport

LOOPS = {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}
LONG_S = 20.0
SHORT_S = 0.4

ACCEPTED, REFUSED, UNPROCESSED, UNKNOWN, DENIED = Effect.ACCEPTED, Effect.REFUSED, Effect.UNPROCESSED, Effect.UNKNOWN, Effect.DENIED


def operation(message_id: str = "m-1", body: bytes = b'{"event_name":"Order","source_id":"user-1"}') -> Operation:
    call = Call(Stream.TRACKS, message_id, "user-1", "Order", None, None)
    return Operation(Stream.TRACKS, "user-1", (call,), body)


_Result = TypeVar("_Result")
_loop: list[str] = []


@pytest.fixture(autouse=True, params=LOOPS)
def each_loop(request: pytest.FixtureRequest) -> Iterator[None]:
    """Everything here holds on both event loops."""
    _loop.append(request.param)
    yield
    _loop.clear()


def run(main: Coroutine[Any, Any, _Result]) -> _Result:
    with asyncio.Runner(loop_factory=LOOPS[_loop[0]]) as runner:
        return runner.run(main)


class Watched(httpx.AsyncBaseTransport):
    """Another transport, and what it last raised or answered."""

    def __init__(self, inner: httpx.AsyncBaseTransport) -> None:
        self.inner = inner
        self.last: type[Exception] | int | None = None

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        try:
            response = await self.inner.handle_async_request(request)
        except Exception as error:
            self.last = type(error)
            raise
        self.last = response.status_code
        return response

    async def aclose(self) -> None:
        await self.inner.aclose()


class PlainHttpx(httpx.AsyncHTTPTransport):
    """httpx's own transport, given the deadline that its client would set."""

    def __init__(self, timeout_s: float, verify: ssl.SSLContext | bool) -> None:
        super().__init__(verify=verify)
        self.timeout = httpx.Timeout(timeout_s, connect=timeout_s / 2).as_dict()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        request.extensions["timeout"] = self.timeout
        return await super().handle_async_request(request)


MakeTransport = Callable[[float, "ssl.SSLContext | bool"], httpx.AsyncBaseTransport]


def over_aiohttp(timeout_s: float, verify: ssl.SSLContext | bool) -> httpx.AsyncBaseTransport:
    return AiohttpTransport(4, timeout_s, verify)


@dataclass(frozen=True, slots=True)
class Row:
    """One failure: what the server does, what the transport says, what we believe, how many whole requests were read."""

    name: str
    behaviour: Behaviour
    result: type[Exception] | int
    effect: Effect
    reason: Reason | None
    read: int
    timeout_s: float = LONG_S
    plain_httpx: bool = True


BROKEN_CHUNKS = says(b"HTTP/1.1 500 X\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n")
SWITCHES_PROTOCOLS = says(b"HTTP/1.1 101 X\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n", then_waits=True)

ROWS = [
    Row("closed after the request", closes_after_request, httpx.RemoteProtocolError, UNKNOWN, Reason.CONNECTION_LOST, 1),
    Row("reset after the request", resets_after_request, httpx.ReadError, UNKNOWN, Reason.CONNECTION_LOST, 1),
    Row("reset inside the request", resets_inside_request, httpx.ReadError, UNKNOWN, Reason.CONNECTION_LOST, 0),
    Row("half a body after 200", half_a_response, 200, ACCEPTED, None, 1),
    Row("half a body after 400", says(b"HTTP/1.1 400 X\r\nContent-Length: 9\r\n\r\nabc"), 400, REFUSED, Reason.REFUSED_BY_REHOOK, 1),
    Row("half a head", says(b"HTTP/1.1 200 OK\r\nContent-Le"), httpx.RemoteProtocolError, UNKNOWN, Reason.CONNECTION_LOST, 1),
    Row("no answer", never_answers, httpx.ReadTimeout, UNKNOWN, Reason.TIMEOUT, 1, timeout_s=SHORT_S),
    Row("slow drip", drips, httpx.ReadTimeout, UNKNOWN, Reason.TIMEOUT, 1, timeout_s=SHORT_S, plain_httpx=False),
    Row("garbage", says(b"NOT HTTP AT ALL\r\n\r\n"), httpx.RemoteProtocolError, UNKNOWN, Reason.CONNECTION_LOST, 1),
    Row("no status", says(b"HTTP/1.1 \r\n\r\n"), httpx.RemoteProtocolError, UNKNOWN, Reason.CONNECTION_LOST, 1),
    Row("broken chunks", BROKEN_CHUNKS, 500, UNKNOWN, Reason.SERVER_ERROR, 1),
    Row("status 600", says(b"HTTP/1.1 600 X\r\nContent-Length: 0\r\n\r\n"), 600, UNKNOWN, Reason.SERVER_ERROR, 1),
    Row("switching protocols", SWITCHES_PROTOCOLS, 101, UNKNOWN, Reason.SERVER_ERROR, 1, plain_httpx=False),
    Row("100 before 200", says(b"HTTP/1.1 100 X\r\n\r\nHTTP/1.1 200 X\r\nContent-Length: 0\r\n\r\n"), 200, ACCEPTED, None, 1),
    Row("no content", says(b"HTTP/1.1 204 X\r\n\r\n", then_waits=True), 204, ACCEPTED, None, 1),
    Row("body without length", says(b"HTTP/1.1 200 X\r\n\r\nabc"), 200, ACCEPTED, None, 1),
    Row("redirect", answers(302, headers="Location: /elsewhere\r\n"), 302, DENIED, None, 1),
    Row("redirect that keeps the method", answers(307, headers="Location: /elsewhere\r\n"), 307, DENIED, None, 1),
    Row("wrong content type", answers(200, b"<p>", "Content-Type: text/html\r\n"), 200, ACCEPTED, None, 1),
    Row("garbage as body", answers(200, bytes(range(256))), 200, ACCEPTED, None, 1),
    Row("garbage as gzip", answers(400, b"\x00\x01", "Content-Encoding: gzip\r\n"), 400, REFUSED, Reason.REFUSED_BY_REHOOK, 1),
    Row("a cookie of 40 KB", answers(200, headers=f"Set-Cookie: a={'x' * 40_000}\r\n"), 200, ACCEPTED, None, 1),
    Row("error of 1 MB", answers(400, b"x" * 1_000_000), 400, REFUSED, Reason.REFUSED_BY_REHOOK, 1),
    Row("endless error", streams_without_end(500), 500, UNKNOWN, Reason.SERVER_ERROR, 1),
    Row("endless success", streams_without_end(200), 200, ACCEPTED, None, 1),
    Row("too many requests", answers(429, headers="Retry-After: 7\r\n"), 429, UNPROCESSED, Reason.RATE_LIMITED, 1),
]


async def attempt(transport: httpx.AsyncBaseTransport, url: str) -> tuple[Answer, type[Exception] | int | None]:
    watched = Watched(transport)
    client = Rehook(watched, url, "key", "secret")
    try:
        return await client.send(operation()), watched.last
    finally:
        await client.aclose()
        await asyncio.sleep(0.01)  # what is still on its way may arrive now


async def try_row(row: Row, make_transport: MakeTransport) -> tuple[Answer, type[Exception] | int | None, int]:
    async with FaultyServer(row.behaviour) as server:
        answer, result = await attempt(make_transport(row.timeout_s, False), server.url)
        assert server.bytes_written < 30_000_000
        return answer, result, len(server.requests)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_failure_is_judged_by_what_may_have_left(row: Row) -> None:
    answer, result, read = run(try_row(row, over_aiohttp))
    assert (result, answer.effect, answer.reason, read) == (row.result, row.effect, row.reason, row.read)
    if isinstance(result, type) and answer.effect is UNPROCESSED:
        assert read == 0
    gc.collect()  # whatever was left open complains now, in its own test


@pytest.mark.parametrize("row", [row for row in ROWS if row.plain_httpx], ids=lambda row: row.name)
def test_same_verdict_over_plain_httpx(row: Row) -> None:
    answer, _, read = run(try_row(row, PlainHttpx))
    assert (answer.effect, answer.reason, read) == (row.effect, row.reason, row.read)


# Failures before a connection stands


@contextlib.contextmanager
def full_backlog() -> Iterator[int]:
    """A port whose queue of waiting connections is full: to connect takes for ever."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(4):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                waiting.connect(listener.getsockname())
        yield listener.getsockname()[1]


def closed_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


MAKERS = pytest.mark.parametrize("make_transport", [over_aiohttp, PlainHttpx])


@MAKERS
def test_refused_connection_never_left(make_transport: MakeTransport) -> None:
    answer, result = run(attempt(make_transport(LONG_S, True), f"http://127.0.0.1:{closed_port()}"))
    assert (result, answer.effect, answer.reason) == (httpx.ConnectError, UNPROCESSED, Reason.NETWORK_ERROR)


@MAKERS
def test_unknown_host_never_left(make_transport: MakeTransport) -> None:
    answer, result = run(attempt(make_transport(4.0, True), "http://nohost.invalid"))
    assert result in (httpx.ConnectError, httpx.ConnectTimeout)
    assert (answer.effect, answer.reason) == (UNPROCESSED, Reason.NETWORK_ERROR)


@MAKERS
def test_connect_that_takes_too_long_never_left(make_transport: MakeTransport) -> None:
    with full_backlog() as port:
        started_s = time.monotonic()
        answer, result = run(attempt(make_transport(1.0, True), f"http://127.0.0.1:{port}"))
        assert 0.4 < time.monotonic() - started_s < 0.95, "half of the deadline is for the connection"
    assert (result, answer.effect, answer.reason) == (httpx.ConnectTimeout, UNPROCESSED, Reason.NETWORK_ERROR)


def test_wait_for_a_free_connection_never_left() -> None:
    async def scenario() -> None:
        async with FaultyServer(never_answers) as server, client_of(server, AiohttpTransport(1, SHORT_S)) as client:
            first, second = await asyncio.gather(client.send(operation("m-1")), client.send(operation("m-2")))
            assert (first.effect, first.reason) == (UNKNOWN, Reason.TIMEOUT)
            assert (second.effect, second.reason) == (UNPROCESSED, Reason.NETWORK_ERROR)
            assert len(server.requests) == 1

    run(scenario())


@pytest.mark.parametrize("url", ["ftp://127.0.0.1", "http://", "/customers"])
def test_address_that_cannot_be_used_stops_everything(url: str) -> None:
    answer, result = run(attempt(AiohttpTransport(1, LONG_S), url))
    assert (result, answer.effect) == (httpx.UnsupportedProtocol, DENIED)


# TLS


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


def server_context(authority: trustme.CA, *names: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(*names).configure_cert(context)
    return context


@pytest.fixture(scope="module")
def trusting(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context


@MAKERS
def test_trusted_certificate_is_accepted(make_transport: MakeTransport, authority: trustme.CA, trusting: ssl.SSLContext) -> None:
    async def scenario() -> None:
        async with FaultyServer(answers(), server_context(authority, "127.0.0.1")) as server:
            answer, _ = await attempt(make_transport(LONG_S, trusting), server.url)
            assert (answer.effect, len(server.requests)) == (ACCEPTED, 1)

    run(scenario())


@MAKERS
@pytest.mark.parametrize("case", ["unknown authority", "another name"])
def test_wrong_certificate_stops_everything(
    make_transport: MakeTransport, case: str, authority: trustme.CA, trusting: ssl.SSLContext
) -> None:
    async def scenario() -> None:
        name, verify = ("127.0.0.1", True) if case == "unknown authority" else ("other.test", trusting)
        async with FaultyServer(answers(), server_context(authority, name)) as server:
            answer, result = await attempt(make_transport(LONG_S, verify), server.url)
            assert (result, answer.effect, len(server.requests)) == (httpx.ConnectError, DENIED, 0)
            assert answer.detail is not None
            assert answer.detail.startswith("the certificate is not trusted (")

    run(scenario())


def test_certificate_is_not_checked_when_asked_not_to(authority: trustme.CA) -> None:
    async def scenario() -> None:
        async with FaultyServer(answers(), server_context(authority, "other.test")) as server:
            answer, _ = await attempt(AiohttpTransport(1, LONG_S, verify=False), server.url)
            assert answer.effect is ACCEPTED

    run(scenario())


@MAKERS
def test_no_tls_on_the_other_side_never_left(make_transport: MakeTransport) -> None:
    async def scenario() -> None:
        async with FaultyServer(lambda connection: connection.write(b"hello\r\n\r\n")) as server:
            answer, result = await attempt(make_transport(LONG_S, True), server.url.replace("http:", "https:"))
            assert (result, answer.effect, answer.reason) == (httpx.ConnectError, UNPROCESSED, Reason.NETWORK_ERROR)

    run(scenario())


@MAKERS
def test_handshake_that_takes_too_long_never_left(make_transport: MakeTransport) -> None:
    async def scenario() -> None:
        async with FaultyServer(never_reads) as server:
            answer, result = await attempt(make_transport(SHORT_S, True), server.url.replace("http:", "https:"))
            assert (result, answer.effect, answer.reason) == (httpx.ConnectTimeout, UNPROCESSED, Reason.NETWORK_ERROR)

    run(scenario())


@pytest.mark.parametrize(
    ("behaviour", "result", "read"),
    [
        (closes_after_request, httpx.RemoteProtocolError, 1),
        (resets_after_request, httpx.ReadError, 1),
        (never_answers, httpx.ReadTimeout, 1),
    ],
)
def test_tls_connection_that_breaks_may_have_left(
    behaviour: Behaviour, result: type[Exception], read: int, authority: trustme.CA, trusting: ssl.SSLContext
) -> None:
    async def scenario() -> None:
        async with FaultyServer(behaviour, server_context(authority, "127.0.0.1")) as server:
            answer, raised = await attempt(AiohttpTransport(1, 2.0, trusting), server.url)
            assert (raised, answer.effect, len(server.requests)) == (result, UNKNOWN, read)

    run(scenario())


# Connections that are used again


@contextlib.asynccontextmanager
async def client_of(server: FaultyServer, transport: AiohttpTransport | None = None) -> AsyncIterator[Rehook]:
    client = Rehook(transport or AiohttpTransport(4, LONG_S), server.url, "key", "secret")
    try:
        yield client
    finally:
        await client.aclose()


@pytest.mark.parametrize(
    "behaviour",
    [
        answers(),
        answers(400, b"x" * 60_000),
        says(b"HTTP/1.1 200 X\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", then_waits=True),
        says(b"HTTP/1.1 204 X\r\n\r\n", then_waits=True),
    ],
    ids=["success", "error", "chunked", "no content"],
)
def test_connection_is_used_again_after_a_short_answer(behaviour: Behaviour) -> None:
    async def scenario() -> None:
        async with FaultyServer(behaviour) as server, client_of(server) as client:
            for number in range(5):
                await client.send(operation(f"m-{number}"))
            assert (len(server.requests), server.connections) == (5, 1)

    run(scenario())


def test_never_more_connections_than_concurrency() -> None:
    async def scenario() -> None:
        async with FaultyServer(answers()) as server, client_of(server, AiohttpTransport(3, LONG_S)) as client:
            answered = await asyncio.gather(*(client.send(operation(f"m-{number}")) for number in range(40)))
            assert {answer.effect for answer in answered} == {ACCEPTED}
            assert (len(server.requests), server.connections) == (40, 3)

    run(scenario())


def test_connection_closed_while_idle_is_replaced() -> None:
    async def scenario() -> None:
        async with FaultyServer(closes_when_idle()) as server, client_of(server) as client:
            for number in range(3):
                assert (await client.send(operation(f"m-{number}"))).effect is ACCEPTED
                await asyncio.sleep(0.05)
            assert (len(server.requests), server.connections) == (3, 3)

    run(scenario())


@contextlib.contextmanager
def serving_elsewhere(server: FaultyServer) -> Iterator[None]:
    """Run a server in a thread of its own, so that it acts while the client's loop is held up."""
    started, stop = threading.Event(), threading.Event()

    async def serve() -> None:
        async with server:
            started.set()
            while not stop.is_set():
                await asyncio.sleep(0.005)

    thread = threading.Thread(target=asyncio.run, args=(serve(),))
    thread.start()
    try:
        assert started.wait(10)
        yield
    finally:
        stop.set()
        thread.join()


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
def test_connection_closed_while_the_loop_was_held_up_is_noticed_before_sending(
    tls: bool, authority: trustme.CA, trusting: ssl.SSLContext
) -> None:
    server = FaultyServer(closes_when_idle(0.05), server_context(authority, "127.0.0.1") if tls else None)

    async def scenario() -> None:
        async with client_of(server, AiohttpTransport(4, LONG_S, trusting)) as client:
            assert (await client.send(operation("m-1"))).effect is ACCEPTED
            time.sleep(0.3)  # holds up the loop, on purpose
            assert (await client.send(operation("m-2"))).effect is ACCEPTED
            assert (len(server.requests), server.connections) == (2, 2)

    with serving_elsewhere(server):
        run(scenario())


def on_second_request(then: Callable[[Connection], Awaitable[None]]) -> Behaviour:
    async def behave(connection: Connection) -> None:
        await connection.read_request()
        await connection.answer()
        await then(connection)

    return behave


async def reset_at_first_byte(connection: Connection) -> None:
    await connection.reader.readexactly(1)
    connection.reset()


@pytest.mark.parametrize(
    ("behaviour", "read"),
    [
        (on_second_request(closes_after_request), 2),
        (on_second_request(resets_after_request), 2),
        (on_second_request(reset_at_first_byte), 1),
    ],
    ids=["closed", "reset", "reset at the first byte"],
)
def test_request_lost_on_a_used_connection_is_not_sent_again(behaviour: Behaviour, read: int) -> None:
    async def scenario() -> None:
        async with FaultyServer(behaviour) as server, client_of(server) as client:
            assert (await client.send(operation("m-1"))).effect is ACCEPTED
            answer = await client.send(operation("m-2"))
            assert (answer.effect, answer.reason) == (UNKNOWN, Reason.CONNECTION_LOST)
            await asyncio.sleep(0.02)
            assert (len(server.requests), server.connections) == (read, 1)

    run(scenario())


def speaks_unasked(unasked: bytes, after_s: float | None = None) -> Behaviour:
    """With or after the very first answer, send what nobody asked for; be good from then on."""

    async def behave(connection: Connection) -> None:
        while await connection.read_request():
            first = len(connection.server.requests) == 1
            await connection.write(GOOD + unasked if first and after_s is None else GOOD)
            if first and after_s is not None:
                await asyncio.sleep(after_s)
                await connection.write(unasked)

    return behave


GOOD = b"HTTP/1.1 200 X\r\nContent-Length: 4\r\n\r\ngood"
WHOLE = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
HALF = b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nok"


@pytest.mark.parametrize("unasked", [WHOLE, HALF, b"HTTP/1.1 2", b"what?"], ids=["an answer", "half an answer", "half a line", "garbage"])
def test_answer_nobody_asked_for_is_not_taken_for_the_next_request(unasked: bytes) -> None:
    async def scenario() -> None:
        async with FaultyServer(speaks_unasked(unasked, 0.02)) as server, client_of(server) as client:
            assert (await client.send(operation("m-1"))).effect is ACCEPTED
            await asyncio.sleep(0.06)
            effects = [(await client.send(operation(f"m-{number}"))).effect for number in (2, 3)]
            assert effects.count(ACCEPTED) == len(server.requests) - 1
            assert set(effects) <= {ACCEPTED, UNPROCESSED}

    run(scenario())


@pytest.mark.parametrize("unasked", [WHOLE, HALF], ids=["an answer", "half an answer"])
def test_connection_with_more_than_was_asked_for_is_not_used_again(unasked: bytes) -> None:
    async def scenario() -> None:
        async with FaultyServer(speaks_unasked(unasked)) as server, client_of(server) as client:
            assert (await client.send(operation("m-1"))).effect is ACCEPTED
            assert (await client.send(operation("m-2"))).effect is ACCEPTED
            assert (len(server.requests), server.connections) == (2, 2)

    run(scenario())


def test_server_that_spoke_unasked_gets_a_fresh_connection_for_each_request() -> None:
    async def scenario() -> None:
        async with FaultyServer(speaks_unasked(WHOLE)) as server, client_of(server) as client:
            for number in range(5):
                assert (await client.send(operation(f"m-{number}"))).effect is ACCEPTED
            assert (len(server.requests), server.connections) == (5, 5)

    run(scenario())


async def send_all(client: Rehook, number: int, at_once: int) -> dict[str, Answer]:
    """Send so many operations, some at a time; gives the answer to each message id."""
    left = iter([f"m-{each}" for each in range(number)])
    answers: dict[str, Answer] = {}

    async def work() -> None:
        for message_id in left:
            answers[message_id] = await client.send(operation(message_id))

    await asyncio.gather(*(work() for _ in range(at_once)))
    return answers


def read_keys(server: FaultyServer) -> Counter[str | None]:
    return Counter(each.header("Idempotency-Key") for each in server.requests)


def test_server_that_closes_a_tenth_of_its_connections_leaves_few_in_doubt() -> None:
    chance = random.Random(1)
    closes = 0

    async def behave(connection: Connection) -> None:
        nonlocal closes
        while await connection.read_request():
            await connection.answer()
            if chance.random() < 0.1:
                await asyncio.sleep(chance.choice((0.0, 0.0005, 0.002)))
                closes += 1
                return

    server = FaultyServer(behave)

    async def scenario() -> dict[str, Answer]:
        async with client_of(server, AiohttpTransport(16, LONG_S)) as client:
            return await send_all(client, 2000, 16)

    with serving_elsewhere(server):
        answers = run(scenario())
    keys = read_keys(server)
    assert max(keys.values()) == 1, "no event is sent twice"
    assert all(keys[idempotency_key(Stream.TRACKS, each)] for each, answer in answers.items() if answer.effect is ACCEPTED)
    doubts = [each for each, answer in answers.items() if answer.effect is UNKNOWN]
    assert {answer.effect for answer in answers.values()} <= {ACCEPTED, UNKNOWN}
    assert closes > 100
    assert len(doubts) <= closes / 20


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_answers_nobody_asked_for_reject_nothing_that_was_received(seed: int) -> None:
    """A refusal comes 0.5 to 10 ms after a good answer, while the connection rests or has its next request."""
    chance = random.Random(seed)
    unasked = 0

    async def behave(connection: Connection) -> None:
        nonlocal unasked
        while await connection.read_request():
            await connection.answer()
            if chance.random() < 0.1:
                await asyncio.sleep(chance.uniform(0.0005, 0.01))
                unasked += 1
                with contextlib.suppress(ConnectionError):
                    await connection.answer(400, b'{"message":"nobody asked"}')

    server = FaultyServer(behave)

    async def scenario() -> dict[str, Answer]:
        async with client_of(server, AiohttpTransport(16, LONG_S)) as client:
            return await send_all(client, 1500, 16)

    with serving_elsewhere(server):
        answers = run(scenario())
    keys = read_keys(server)
    received = {each for each in answers if keys[idempotency_key(Stream.TRACKS, each)]}
    assert unasked > 50
    assert max(keys.values()) == 1
    assert not [each for each, answer in answers.items() if answer.effect is ACCEPTED and each not in received]
    assert not [each for each, answer in answers.items() if answer.effect is REFUSED]


def test_refusal_of_nobody_is_noticed_before_an_answer_as_slow_as_the_slowest() -> None:
    """The eleventh answer is slow, and so is the last, which the refusal of nobody stands before."""

    async def behave(connection: Connection) -> None:
        while await connection.read_request():
            number = len(connection.server.requests)
            if number == 99:
                await connection.answer(400, b'{"message":"nobody asked"}')
            if number in {11, 99}:
                await asyncio.sleep(0.08)
            await connection.answer()

    async def scenario() -> None:
        async with FaultyServer(behave) as server, client_of(server) as client:
            answers = [await client.send(operation(f"m-{number}")) for number in range(99)]
            assert {answer.effect for answer in answers[:-1]} == {ACCEPTED}
            assert answers[-1].effect is UNKNOWN

    run(scenario())


def test_overloaded_server_that_answers_before_reading_is_understood() -> None:
    async def scenario() -> None:
        async with FaultyServer(answers_before_reading(503)) as server:
            answer, _ = await attempt(AiohttpTransport(1, LONG_S), server.url)
            assert answer.effect is UNPROCESSED

    run(scenario())


def test_check_is_a_plain_get() -> None:
    async def scenario() -> None:
        async with FaultyServer(answers()) as server, client_of(server) as client:
            assert (await client.check_credentials()).effect is ACCEPTED
            (received,) = server.requests
            assert (received.method, received.target, received.body) == ("GET", "/events/segment/check-auth", b"")
            assert received.header("Content-Type") is None

    run(scenario())


# On the wire


@pytest.mark.parametrize("make_transport", [over_aiohttp, PlainHttpx])
def test_request_is_exactly_this(make_transport: MakeTransport) -> None:
    body = '{"event_name":"Zażółć 🎉","source_id":"user-1"}'.encode()

    async def scenario() -> None:
        async with FaultyServer(answers()) as server:
            client = Rehook(make_transport(LONG_S, True), f"{server.url}/prefix/", "kéy", "sécret")
            await client.send(operation("m-1", body))
            await client.aclose()
            (received,) = server.requests
            assert (received.method, received.target, received.body) == ("POST", "/prefix/events/invoke", body)
            assert received.headers == (
                ("Host", f"127.0.0.1:{server.port}"),
                ("User-Agent", f"rehook-sync/{__version__}"),
                ("Accept", "application/json"),
                ("Accept-Encoding", "identity"),
                ("Authorization", "Basic a8OpeTpzw6ljcmV0"),
                ("Content-Type", "application/json"),
                ("Idempotency-Key", idempotency_key(Stream.TRACKS, "m-1")),
                ("Content-Length", str(len(body))),
            )

    run(scenario())


def test_headers_of_an_answer_are_those_the_server_sent() -> None:
    async def scenario() -> None:
        async with FaultyServer(answers(headers="Retry-After: 7\r\nX-Two: a\r\nX-Two: b\r\n")) as server:
            transport = over_aiohttp(LONG_S, True)
            response = await transport.handle_async_request(httpx.Request("GET", server.url))
            assert response.headers["retry-after"] == "7"
            assert response.headers.get_list("X-Two") == ["a", "b"]
            assert await response.aread() == b'{"ok":true}'
            await transport.aclose()

    run(scenario())


def test_body_of_10_mb_arrives_whole() -> None:
    body = b'{"source_id":"u","metadata":{"x":"' + b"y" * 10_000_000 + b'"}}'

    async def scenario() -> None:
        async with FaultyServer(answers()) as server, client_of(server) as client:
            assert (await client.send(operation(body=body))).effect is ACCEPTED
            assert server.requests[0].body == body

    run(scenario())


def test_no_cookie_comes_back() -> None:
    async def scenario() -> None:
        async with FaultyServer(answers(headers="Set-Cookie: a=b; Path=/\r\n")) as server, client_of(server) as client:
            await client.send(operation("m-1"))
            await client.send(operation("m-2"))
            assert server.requests[1].header("Cookie") is None

    run(scenario())


# Streaming, closing, cancelling


def post(server: FaultyServer) -> httpx.Request:
    return httpx.Request("POST", f"{server.url}/customers", content=b"{}")


def test_works_under_an_ordinary_httpx_client() -> None:
    async def scenario() -> None:
        async with FaultyServer(answers(201, b'{"id":7}')) as server, httpx.AsyncClient(transport=AiohttpTransport(2, LONG_S)) as client:
            response = await client.post(f"{server.url}/customers", json={"source_id": "u"})
            assert (response.status_code, response.json()) == (201, {"id": 7})

    run(scenario())


@pytest.mark.parametrize(
    "raw",
    [
        b"HTTP/1.1 " + b"s3cr3t " * 9 + b"\r\n\r\n",
        b"HTTP/9 s3cr3t\r\n\r\n",
        b's3cr3t "HTTP/1.1" 200\r\n\r\n',
        b"HTTP/1.1 200 OK\r\ns3\x00cr3t s3cr3t\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: s3cr3t\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: s3cr3t\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"X-S3cr3t: s3cr3t\r\n" * 20_000,
    ],
    ids=["line", "version", "quotes", "header", "length", "two framings", "head without end"],
)
def test_what_is_no_http_is_not_quoted(raw: bytes) -> None:
    async def scenario() -> None:
        transport = AiohttpTransport(1, LONG_S)
        async with FaultyServer(says(raw, then_waits=True)) as server:
            request = post(server)
            with pytest.raises(httpx.RemoteProtocolError, match=r"the answer is not HTTP \(") as caught:
                await transport.handle_async_request(request)
            assert "cr3t" not in str(caught.value)
            assert caught.value.request is request
            await transport.aclose()

    run(scenario())


@pytest.mark.parametrize("framing", [b"Content-Length: 34\r\n", b"Transfer-Encoding: chunked\r\n"], ids=["length", "chunked"])
def test_answer_that_comes_byte_by_byte_is_read_whole(framing: bytes) -> None:
    said = b'{"message":"no such event, sorry"}'
    body = said if framing.startswith(b"C") else b"%x\r\n%s\r\n0\r\n\r\n" % (len(said), said)

    async def behave(connection: Connection) -> None:
        while await connection.read_request():
            for byte in b"HTTP/1.1 404 Not\r\nX: y\r\n" + framing + b"\r\n" + body:
                await connection.write(bytes([byte]))
                await asyncio.sleep(0)

    async def scenario() -> None:
        async with FaultyServer(behave) as server, client_of(server) as client:
            for number in range(2):
                answer = await client.send(operation(f"m-{number}"))
                assert (answer.effect, "no such event, sorry" in str(answer.detail)) == (REFUSED, True)
            assert (len(server.requests), server.connections) == (2, 1)

    run(scenario())


@pytest.mark.parametrize("last_words", [b"Connection: close\r\n", b""], ids=["says so", "does not"])
def test_connection_that_the_server_ends_is_not_used_again(last_words: bytes) -> None:
    async def scenario() -> None:
        raw = b"HTTP/1.1 200 OK\r\n" + last_words + b"Content-Length: 2\r\n\r\nok"
        async with FaultyServer(says(raw)) as server, client_of(server) as client:
            for number in range(3):
                assert (await client.send(operation(f"m-{number}"))).effect is ACCEPTED
                await asyncio.sleep(0.02)
            assert (len(server.requests), server.connections) == (3, 3)

    run(scenario())


def test_body_that_breaks_off_raises_while_it_is_read() -> None:
    async def scenario() -> None:
        transport = AiohttpTransport(1, LONG_S)
        async with FaultyServer(half_a_response) as server:
            response = await transport.handle_async_request(post(server))
            with pytest.raises(httpx.RemoteProtocolError, match="broke off"):
                await response.aread()
            await response.aclose()
            await transport.aclose()

    run(scenario())


def test_deadline_covers_the_body() -> None:
    async def drip_body(connection: Connection) -> None:
        if await connection.read_request():
            await connection.write(b"HTTP/1.1 200 X\r\nContent-Length: 100000\r\n\r\n")
            while True:
                await connection.write(b"x")
                await asyncio.sleep(0.01)

    async def scenario() -> None:
        transport = AiohttpTransport(1, SHORT_S)
        async with FaultyServer(drip_body) as server:
            response = await transport.handle_async_request(post(server))
            with pytest.raises(httpx.ReadTimeout):
                await response.aread()
            await response.aclose()
            await transport.aclose()

    run(scenario())


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
def test_what_has_not_left_of_a_request_at_its_deadline_never_does(tls: bool, authority: trustme.CA, trusting: ssl.SSLContext) -> None:
    read = asyncio.Event()

    async def read_late(connection: Connection) -> None:
        await asyncio.sleep(2 * SHORT_S)
        await connection.read_request()
        read.set()

    async def scenario() -> None:
        server = FaultyServer(read_late, server_context(authority, "127.0.0.1") if tls else None)
        async with server, client_of(server, AiohttpTransport(1, SHORT_S, trusting)) as client:
            answer = await client.send(operation(body=b'{"event_name":"Order","source_id":"user-1"}'.ljust(16 << 20)))
            assert (answer.effect, answer.reason) == (UNKNOWN, Reason.TIMEOUT)
            async with asyncio.timeout(LONG_S):
                await read.wait()
            assert not server.requests

    run(scenario())


def test_closing_an_unread_answer_drops_its_connection_and_frees_its_place() -> None:
    async def scenario() -> None:
        transport = AiohttpTransport(1, LONG_S)
        async with FaultyServer(streams_without_end(200)) as server:
            for _ in range(2):
                response = await transport.handle_async_request(post(server))
                await response.aclose()
            await transport.aclose()
            assert server.connections == 2

    run(scenario())


@pytest.mark.parametrize("behaviour", [never_answers, streams_without_end(200)], ids=["waiting", "reading"])
def test_cancelled_request_ends_at_once_and_leaves_nothing_behind(behaviour: Behaviour) -> None:
    async def scenario() -> None:
        transport = AiohttpTransport(1, LONG_S)

        async def exchange() -> None:
            response = await transport.handle_async_request(post(server))
            async with contextlib.aclosing(response):
                while True:
                    async for _ in response.stream:  # type: ignore[union-attr]  # always asynchronous here
                        pass

        async with FaultyServer(behaviour) as server:
            task = asyncio.create_task(exchange())
            while not server.requests:
                await asyncio.sleep(0.005)
            await asyncio.sleep(0.02)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            server.behaviour = answers()
            response = await transport.handle_async_request(post(server))
            assert await response.aread() == b'{"ok":true}'
            await response.aclose()
            await transport.aclose()

    run(scenario())
    gc.collect()


def test_closed_transport_stays_closed() -> None:
    async def scenario() -> None:
        transport = AiohttpTransport(1, LONG_S)
        await transport.aclose()
        with pytest.raises(RuntimeError, match="closed"):
            await transport.handle_async_request(httpx.Request("GET", "http://127.0.0.1"))

    run(scenario())


def test_closing_the_transport_ends_what_is_in_flight() -> None:
    async def scenario() -> None:
        async with FaultyServer(never_answers) as server:
            client = Rehook(AiohttpTransport(1, LONG_S), server.url, "key", "secret")
            task = asyncio.create_task(client.send(operation()))
            while not server.requests:
                await asyncio.sleep(0.005)
            await client.aclose()
            assert (await task).effect is UNKNOWN

    run(scenario())


# Proxies


@contextlib.asynccontextmanager
async def rehook_behind_proxy(authority: trustme.CA, behaviour: Behaviour) -> AsyncIterator[tuple[FaultyServer, FaultyServer]]:
    """A server that calls itself rehook.test, and a proxy as the only way there."""
    async with FaultyServer(behaviour, server_context(authority, "rehook.test")) as server, FaultyServer(tunnels_to(server.port)) as proxy:
        yield server, proxy


@pytest.mark.parametrize("name", ["HTTPS_PROXY", "https_proxy", "ALL_PROXY"])
def test_proxy_of_the_environment_is_used(
    name: str, authority: trustme.CA, trusting: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario() -> None:
        async with rehook_behind_proxy(authority, answers()) as (server, proxy):
            monkeypatch.setenv(name, f"http://me:p%40ss@127.0.0.1:{proxy.port}")
            client = Rehook(AiohttpTransport(1, LONG_S, trusting), "https://rehook.test", "key", "secret")
            assert [(await client.send(operation(f"m-{number}"))).effect for number in range(3)] == [ACCEPTED] * 3
            await client.aclose()
            (asked,) = proxy.requests
            assert (asked.method, asked.target, asked.header("Authorization")) == ("CONNECT", "rehook.test:443", None)
            assert asked.header("Proxy-Authorization") == "Basic bWU6cEBzcw=="
            assert (len(server.requests), server.connections) == (3, 1)
            assert server.requests[0].header("Proxy-Authorization") is None

    run(scenario())


def test_no_proxy_is_respected(authority: trustme.CA, monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario() -> None:
        async with rehook_behind_proxy(authority, answers()) as (_, proxy):
            monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{proxy.port}")
            monkeypatch.setenv("NO_PROXY", "other.test,.invalid")
            answer, _result = await attempt(AiohttpTransport(1, 4.0), "https://nohost.invalid")
            assert (answer.effect, proxy.connections) == (UNPROCESSED, 0)

    run(scenario())


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_loopback_is_never_reached_through_a_proxy(host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario() -> None:
        async with FaultyServer(answers()) as server:
            monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{closed_port()}")
            answer, _ = await attempt(AiohttpTransport(1, LONG_S), f"http://{host}:{server.port}")
            assert answer.effect is ACCEPTED

    run(scenario())


@pytest.mark.parametrize(
    ("behaviour", "result", "said"),
    [
        (
            tunnels_to(0, b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n"),
            httpx.ProxyError,
            "it answered 407: it wants a name and a password that it knows",
        ),
        (tunnels_to(0, b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n"), httpx.ProxyError, "it answered 502"),
        (closes_after_request, httpx.ConnectError, "the server closed the connection without an answer"),
        (resets_after_request, httpx.ConnectError, "the connection was lost ("),
        (says(b"NOT HTTP\r\n\r\n"), httpx.ConnectError, "its answer is not HTTP"),
        (never_answers, httpx.ConnectTimeout, "timed out"),
    ],
    ids=["wants a password", "cannot reach it", "closes", "resets", "garbage", "silence"],
)
def test_proxy_that_opens_no_tunnel_means_nothing_left(
    behaviour: Behaviour, result: type[Exception], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario() -> None:
        async with FaultyServer(behaviour) as proxy:
            monkeypatch.setenv("HTTPS_PROXY", f"http://me:secretpassword@127.0.0.1:{proxy.port}")
            # Half of it for the connection, in which the certificates are loaded: half a second is not enough everywhere.
            timeout_s = 4.0 if result is httpx.ConnectTimeout else LONG_S
            answer, raised = await attempt(AiohttpTransport(1, timeout_s), "https://rehook.test")
            assert (raised, answer.effect, answer.reason) == (result, UNPROCESSED, Reason.NETWORK_ERROR)
            assert str(answer.detail).startswith(f"no connection: the proxy 127.0.0.1:{proxy.port} of HTTPS_PROXY: {said}")
            assert "secretpassword" not in str(answer)
            assert [each.method for each in proxy.requests] == ["CONNECT"]

    run(scenario())


def test_proxy_that_is_not_there_means_nothing_left(monkeypatch: pytest.MonkeyPatch) -> None:
    port = closed_port()
    monkeypatch.setenv("ALL_PROXY", f"me:secretpassword@127.0.0.1:{port}")
    answer, result = run(attempt(AiohttpTransport(1, LONG_S), "https://rehook.test"))
    assert (result, answer.effect, answer.reason) == (httpx.ProxyError, UNPROCESSED, Reason.NETWORK_ERROR)
    assert answer.detail == f"no connection: the proxy 127.0.0.1:{port} of ALL_PROXY: Connection refused"


def test_proxy_whose_name_is_unknown_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("https_proxy", "http://me:secretpassword@proxy.invalid")
    answer, _ = run(attempt(AiohttpTransport(1, LONG_S), "https://rehook.test"))
    assert (answer.effect, answer.reason) == (UNPROCESSED, Reason.NETWORK_ERROR)
    assert str(answer.detail).startswith("no connection: the proxy proxy.invalid:80 of HTTPS_PROXY: ")
    assert "secretpassword" not in str(answer)


@pytest.mark.parametrize("proxy", ["socks5://127.0.0.1:1", "http://[oops", "http://127.0.0.1:port", "http://"])
def test_proxy_that_cannot_be_used_is_named(proxy: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", proxy)
    answer, result = run(attempt(AiohttpTransport(1, LONG_S), "https://rehook.test"))
    assert (result, answer.effect) == (httpx.ProxyError, UNPROCESSED)
    assert str(answer.detail).startswith("no connection: HTTPS_PROXY ")


def test_a_process_that_may_open_no_more_files_says_so() -> None:
    async def scenario() -> None:
        async with FaultyServer(answers()) as server:
            client = Rehook(AiohttpTransport(2, LONG_S), server.url, "key", "secret")
            allowed = resource.getrlimit(resource.RLIMIT_NOFILE)
            with socket.socket() as highest:
                resource.setrlimit(resource.RLIMIT_NOFILE, (highest.fileno(), allowed[1]))
            try:
                answer = await client.send(operation())
            finally:
                resource.setrlimit(resource.RLIMIT_NOFILE, allowed)
            assert (answer.effect, answer.reason) == (UNPROCESSED, Reason.NETWORK_ERROR)
            assert answer.detail == "no connection: Too many open files (`ulimit -n` says how many this process may open)"
            assert (await client.send(operation())).effect is ACCEPTED
            await client.aclose()

    run(scenario())


@pytest.mark.parametrize(
    ("behaviour", "reason"), [(closes_after_request, Reason.CONNECTION_LOST), (never_answers, Reason.TIMEOUT)], ids=["closed", "silence"]
)
def test_tunnel_that_breaks_after_the_request_may_have_left(
    behaviour: Behaviour, reason: Reason, authority: trustme.CA, trusting: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario() -> None:
        async with rehook_behind_proxy(authority, behaviour) as (server, proxy):
            monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{proxy.port}")
            answer, _ = await attempt(AiohttpTransport(1, 2.0, trusting), "https://rehook.test")
            assert (answer.effect, answer.reason, len(server.requests)) == (UNKNOWN, reason, 1)

    run(scenario())
