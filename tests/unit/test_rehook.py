"""What is sent to Rehook, what each answer means, and what is kept of it. No sockets: the transport is a plain function."""

import asyncio
import json
import re
import ssl
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime

import httpx
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rehook_sync import __version__
from rehook_sync.errors import SettingsError
from rehook_sync.models import STREAMS, Answer, Call, Effect, Operation, Reason, Stream
from rehook_sync.rehook.answers import classify_error, classify_status, parse_retry_after
from rehook_sync.rehook.client import Rehook, idempotency_key
from rehook_sync.rehook.redaction import redact

ACCEPTED, REFUSED, UNPROCESSED, UNKNOWN, DENIED = Effect.ACCEPTED, Effect.REFUSED, Effect.UNPROCESSED, Effect.UNKNOWN, Effect.DENIED
NOW = datetime(2026, 11, 23, 12, 0, 0, tzinfo=UTC)
BODY = b'{"source_id":"user-1","metadata":{"email":"ada.lovelace@example.com","city":"Paris","age":234,"score":7.25}}'

Handler = Callable[[httpx.Request], httpx.Response]


def operation(
    stream: Stream = Stream.IDENTIFIES, message_ids: tuple[str, ...] = ("m-1",), body: bytes = BODY, user_id: str = "user-1"
) -> Operation:
    calls = tuple(Call(stream, message_id, user_id, None, None, None) for message_id in message_ids)
    return Operation(stream, user_id, calls, body)


def send(handler: Handler, sent: Operation | None = None, api_url: str = "https://api.rehook.test") -> Answer:
    async def scenario() -> Answer:
        client = Rehook(httpx.MockTransport(handler), api_url, "the-key", "the-secret")
        try:
            return await client.send(sent or operation())
        finally:
            await client.aclose()

    return asyncio.run(scenario())


def check(handler: Handler) -> Answer:
    return asyncio.run(Rehook(httpx.MockTransport(handler), "https://api.rehook.test", "the-key", "the-secret").check_credentials())


def answer_of(
    status: int, content: bytes | None = b"", headers: dict[str, str] | None = None, stream: httpx.AsyncByteStream | None = None
) -> Handler:
    def handler(request: httpx.Request) -> httpx.Response:
        return httpx.Response(status, headers=headers, content=None if stream else content, stream=stream)

    return handler


def raising(error: Exception) -> Handler:
    def handler(request: httpx.Request) -> httpx.Response:
        raise error

    return handler


# Requests


def captured(sent: Operation, api_url: str = "https://api.rehook.test") -> httpx.Request:
    requests: list[httpx.Request] = []

    def handler(request: httpx.Request) -> httpx.Response:
        requests.append(request)
        return httpx.Response(200)

    send(handler, sent, api_url)
    (request,) = requests
    return request


@pytest.mark.parametrize(("stream", "path"), [(Stream.IDENTIFIES, "/customers"), (Stream.TRACKS, "/events/invoke")])
def test_each_stream_has_its_address_and_the_body_goes_as_it_is(stream: Stream, path: str) -> None:
    request = captured(operation(stream))
    assert (request.method, str(request.url), request.content) == ("POST", f"https://api.rehook.test{path}", BODY)


def test_headers_are_exactly_these() -> None:
    assert captured(operation()).headers.multi_items() == [
        ("host", "api.rehook.test"),
        ("user-agent", f"rehook-sync/{__version__}"),
        ("accept", "application/json"),
        ("accept-encoding", "identity"),
        ("authorization", "Basic dGhlLWtleTp0aGUtc2VjcmV0"),
        ("content-type", "application/json"),
        ("idempotency-key", idempotency_key(Stream.IDENTIFIES, "m-1")),
        ("content-length", str(len(BODY))),
    ]


@pytest.mark.parametrize(
    ("api_url", "expected", "host"),
    [
        ("https://api.rehook.test", "https://api.rehook.test/customers", "api.rehook.test"),
        ("https://api.rehook.test/", "https://api.rehook.test/customers", "api.rehook.test"),
        ("https://api.rehook.test:8443/a/b%2Fc/", "https://api.rehook.test:8443/a/b%2Fc/customers", "api.rehook.test:8443"),
        ("https://me:pw@api.rehook.test/v1", "https://api.rehook.test/v1/customers", "api.rehook.test"),
        ("https://api.rehook.test/?x=1#y", "https://api.rehook.test/customers", "api.rehook.test"),
        ("http://[::1]:8000", "http://[::1]:8000/customers", "[::1]:8000"),
    ],
)
def test_address_may_have_a_path(api_url: str, expected: str, host: str) -> None:
    request = captured(operation(), api_url)
    assert (str(request.url), request.headers["host"]) == (expected, host)


def test_address_that_cannot_be_read_is_a_matter_of_settings() -> None:
    with pytest.raises(SettingsError, match="API_URL"):
        Rehook(httpx.MockTransport(answer_of(200)), "https://exa mple:nix", "key", "secret")


@given(st.sampled_from(STREAMS), st.text(st.characters(codec=None)))
def test_idempotency_key_is_safe_in_a_header_for_any_id(stream: Stream, message_id: str) -> None:
    key = idempotency_key(stream, message_id)
    assert re.fullmatch("[0-9a-f]{64}", key)
    assert key == idempotency_key(stream, message_id)


def test_idempotency_key_differs_by_stream_and_id() -> None:
    assert len({idempotency_key(stream, message_id) for stream in STREAMS for message_id in ("a", "b", "a\nb", "")}) == 8


def test_merged_request_shares_no_key_with_the_calls_it_carries() -> None:
    merged = captured(operation(message_ids=("m-1", "m-2"))).headers["idempotency-key"]
    assert merged == captured(operation(message_ids=("m-1", "m-2"))).headers["idempotency-key"]
    assert merged not in {idempotency_key(Stream.IDENTIFIES, message_id) for message_id in ("m-1", "m-2")}


# Answers


STATUSES: list[tuple[Effect, Reason | None, list[int]]] = [
    (ACCEPTED, None, [200, 201, 202, 204, 299]),
    (DENIED, None, [300, 301, 302, 303, 304, 307, 308, 401, 402, 403, 405, 407]),
    (REFUSED, Reason.REFUSED_BY_REHOOK, [400, 404, 406, 409, 410, 411, 412, 413, 414, 415, 416, 417, 418, 421, 422]),
    (REFUSED, Reason.REFUSED_BY_REHOOK, [424, 426, 428, 431, 451, 499, 501, 505]),
    (UNPROCESSED, Reason.RATE_LIMITED, [429]),
    (UNPROCESSED, Reason.SERVER_ERROR, [423, 425, 503]),
    (UNKNOWN, Reason.TIMEOUT, [408]),
    (UNKNOWN, Reason.SERVER_ERROR, [500, 502, 504, 506, 507, 508, 511, 520, 599, 100, 101, 199, 600, 999]),
]
FLAT = [(status, effect, reason) for effect, reason, statuses in STATUSES for status in statuses]


@pytest.mark.parametrize(("status", "effect", "reason"), FLAT)
def test_status_decides(status: int, effect: Effect, reason: Reason | None) -> None:
    answer = send(answer_of(status))
    assert (answer.effect, answer.reason, answer.http_status) == (effect, reason, status)
    assert (answer.detail is None) == (effect is ACCEPTED)
    assert (classify_status(status).effect, classify_status(status).reason) == (effect, reason)


@given(st.integers(-1, 1200))
def test_every_status_means_something(status: int) -> None:
    answer = classify_status(status)
    assert (answer.effect is ACCEPTED) == (200 <= status < 300)
    assert (answer.reason is None) == (answer.effect in {ACCEPTED, DENIED})


ERRORS = [
    (httpx.ConnectError, UNPROCESSED, Reason.NETWORK_ERROR),
    (httpx.ConnectTimeout, UNPROCESSED, Reason.NETWORK_ERROR),
    (httpx.PoolTimeout, UNPROCESSED, Reason.NETWORK_ERROR),
    (httpx.ProxyError, UNPROCESSED, Reason.NETWORK_ERROR),
    (httpx.ReadTimeout, UNKNOWN, Reason.TIMEOUT),
    (httpx.WriteTimeout, UNKNOWN, Reason.TIMEOUT),
    (httpx.ReadError, UNKNOWN, Reason.CONNECTION_LOST),
    (httpx.WriteError, UNKNOWN, Reason.CONNECTION_LOST),
    (httpx.CloseError, UNKNOWN, Reason.CONNECTION_LOST),
    (httpx.RemoteProtocolError, UNKNOWN, Reason.CONNECTION_LOST),
    (httpx.LocalProtocolError, UNKNOWN, Reason.CONNECTION_LOST),
    (httpx.UnsupportedProtocol, DENIED, None),
    (httpx.InvalidURL, DENIED, None),
]


@pytest.mark.parametrize(("kind", "effect", "reason"), ERRORS)
def test_error_decides(kind: type[Exception], effect: Effect, reason: Reason | None) -> None:
    answer = send(raising(kind("it broke")))
    assert (answer.effect, answer.reason, answer.http_status, answer.retry_after_s) == (effect, reason, None, None)
    assert answer.detail is not None
    assert answer.detail.endswith(": it broke")


def test_every_transport_error_of_httpx_is_in_the_table() -> None:
    def leaves(kind: type[Exception]) -> set[type[Exception]]:
        below = kind.__subclasses__()
        return set().union(*map(leaves, below)) if below else {kind}

    assert leaves(httpx.TransportError) <= {kind for kind, _, _ in ERRORS}


def test_untrusted_certificate_stops_everything() -> None:
    complaint = ssl.SSLCertVerificationError(1, "certificate verify failed")
    complaint.verify_message = "certificate has expired"
    error = httpx.ConnectError("x")
    error.__cause__ = OSError("between")
    error.__cause__.__context__ = complaint
    answer = classify_error(error)
    assert (answer.effect, answer.reason) == (DENIED, None)
    assert "certificate has expired" in str(answer.detail)
    assert "SSL_CERT_FILE" in str(answer.detail)


def test_error_text_keeps_no_password_of_an_address_and_no_value() -> None:
    answer = send(raising(httpx.ReadError("https://me:hunter2@api.rehook.test said Paris,\r\nthe-secret")))
    assert answer.detail == "connection lost: https://api.rehook.test said […], […]"


def test_a_bug_is_not_mistaken_for_an_answer() -> None:
    with pytest.raises(ZeroDivisionError):
        send(raising(ZeroDivisionError()))


@pytest.mark.parametrize(
    ("status", "effect"), [(200, ACCEPTED), (204, ACCEPTED), (401, DENIED), (403, DENIED), (404, DENIED), (302, DENIED), (503, UNPROCESSED)]
)
def test_check_of_credentials(status: int, effect: Effect) -> None:
    assert check(answer_of(status)).effect is effect


def test_check_says_when_the_address_is_not_rehooks() -> None:
    assert check(answer_of(404, b"nginx")).detail == "404 Not Found: the address is not Rehook's, check API_URL"


def test_check_writes_nothing_and_sends_no_body() -> None:
    requests: list[httpx.Request] = []

    def handler(request: httpx.Request) -> httpx.Response:
        requests.append(request)
        return httpx.Response(200)

    check(handler)
    (request,) = requests
    assert (request.method, request.url.path, request.content) == ("GET", "/events/segment/check-auth", b"")
    assert "idempotency-key" not in request.headers
    assert "content-type" not in request.headers


# Retry-After


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("7", 7.0),
        (" 120 ", 120.0),
        ("1.5", 1.5),
        ("0", 0.0),
        ("-5", 0.0),
        ("1000000000000", 1e12),
        ("9" * 400, 1e12),
        ("Mon, 23 Nov 2026 12:01:40 GMT", 100.0),
        ("Monday, 23-Nov-26 12:01:40 GMT", 100.0),
        ("Mon Nov 23 12:01:40 2026", 100.0),
        ("Mon, 23 Nov 2026 14:01:40 +0200", 100.0),
        ("Mon, 23 Nov 2026 11:00:00 GMT", 0.0),
        ("Fri, 31 Dec 9999 23:59:59 GMT", 251606865599.0),
        ("NaN", None),
        ("Infinity", None),
        ("1e3", None),
        ("٣", None),
        ("soon", None),
        ("5, 10", None),
        ("", None),
        (None, None),
    ],
)
def test_retry_after(value: str | None, expected: float | None) -> None:
    assert parse_retry_after(value, NOW) == expected


@given(st.one_of(st.text(), st.from_regex(r"[A-Z][a-z]{2}, \d{1,2} [A-Z][a-z]{2} \d{2,5} \d\d:\d\d:\d\d [-+A-Z0-9]{1,6}", fullmatch=True)))
def test_retry_after_is_none_or_a_usable_number(value: str) -> None:
    waited_s = parse_retry_after(value, NOW)
    assert waited_s is None or 0.0 <= waited_s <= 1e12


def test_date_to_come_back_is_measured_by_the_servers_clock() -> None:
    headers = {"Retry-After": "Mon, 23 Nov 2026 12:01:40 GMT", "Date": "Mon, 23 Nov 2026 12:01:00 GMT"}
    answer = send(answer_of(429, headers=headers))
    assert (answer.effect, answer.retry_after_s) == (UNPROCESSED, 40.0)


@pytest.mark.parametrize("date", ["", "nonsense"])
def test_without_a_servers_clock_ours_is_used(date: str) -> None:
    answer = send(answer_of(503, headers={"Retry-After": "Fri, 31 Dec 9999 23:59:59 GMT", "Date": date}))
    assert answer.retry_after_s is not None
    assert answer.retry_after_s > 1e9


def test_accepted_request_needs_no_wait() -> None:
    assert send(answer_of(200, headers={"Retry-After": "9"})).retry_after_s is None


# Bodies


class Counted(httpx.AsyncByteStream):
    """A body in pieces, and how many of them were taken."""

    def __init__(self, pieces: int, size: int = 10_000, error: Exception | None = None) -> None:
        self.pieces, self.size, self.error = pieces, size, error
        self.taken = 0
        self.closed = False

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while self.taken < self.pieces:
            self.taken += 1
            yield b"x" * self.size
        if self.error is not None:
            raise self.error

    async def aclose(self) -> None:
        self.closed = True


@pytest.mark.parametrize("status", [200, 400])
def test_no_more_than_64_kb_are_read(status: int) -> None:
    body = Counted(1_000)
    answer = send(answer_of(status, stream=body))
    assert (body.taken, body.closed) == (7, True)
    assert answer.detail == (None if status == 200 else "400 Bad Request: an answer of more than 64 KB")


@pytest.mark.parametrize("status", [200, 404])
def test_short_body_is_read_to_its_end_so_that_the_connection_can_be_used_again(status: int) -> None:
    body = Counted(3, 10)
    send(answer_of(status, stream=body))
    assert (body.taken, body.closed) == (3, True)


class Once(httpx.AsyncByteStream):
    """A body that can be read once, as one that still comes in."""

    def __init__(self, content: bytes) -> None:
        self._left = [content]

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while self._left:
            yield self._left.pop()


def test_a_question_that_is_refused_keeps_what_the_answer_says() -> None:
    handler = answer_of(400, None, stream=Once(b'{"message": "unknown customer"}'))
    found = asyncio.run(Rehook(httpx.MockTransport(handler), "https://api.rehook.test", "the-key", "the-secret").find_customer("ada"))
    assert found.is_there is None
    assert "unknown customer" in (found.answer.detail or "")


@pytest.mark.parametrize(("status", "effect"), [(200, ACCEPTED), (429, UNPROCESSED), (500, UNKNOWN)])
@pytest.mark.parametrize("error", [httpx.ReadError("x"), httpx.ReadTimeout("x"), httpx.RemoteProtocolError("x")])
def test_body_that_breaks_off_changes_nothing(status: int, effect: Effect, error: Exception) -> None:
    body = Counted(1, 3, error)
    answer = send(answer_of(status, stream=body))
    assert (answer.effect, body.closed) == (effect, True)


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b'{"message":"bad code"}', "bad code"),
        (b'{"error":"bad code","status":400}', "bad code"),
        (b'{"error":{"message":"bad code","id":7}}', "bad code"),
        (b'{"errors":[{"message":"one"},"two"]}', "one; two"),
        (b'{"message":["one","two"],"error":"Bad Request"}', "one; two"),
        (b'{"message":"","error":"bad code"}', "bad code"),
        (b'["one","two"]', "one; two"),
        (b'{"problem":"bad code"}', '{"problem":"bad code"}'),
        (b'{"errors":{"name":["is missing"]}}', '{"errors":{"name":["is missing"]}}'),
        (b"<h1>no\r\n\tway</h1>", "<h1>no way</h1>"),
        (b"\x1b[31mred\x00\xe2\x80\xaegnol\xc2\x85", "[31mred gnol"),
        (b"\xff\xfe", "��"),
        (b"[" * 5_000, "["),
        (b"", None),
        (b"  \r\n", None),
    ],
)
def test_detail_is_the_message_of_the_answer_in_one_line(content: bytes, text: str | None) -> None:
    detail = send(answer_of(400, content)).detail
    assert detail is not None
    if text is None:
        assert detail == "400 Bad Request"
    else:
        assert detail.startswith(f"400 Bad Request: {text}")
    assert len(detail) <= 200


def test_compressed_answer_is_not_unpacked() -> None:
    body = Counted(1, 100)
    answer = send(answer_of(400, headers={"Content-Encoding": "gzip"}, stream=body))
    assert answer.detail == "400 Bad Request: a compressed answer"


def test_redirect_says_what_to_look_at() -> None:
    detail = send(answer_of(302, b"<a>moved</a>", {"Location": "https://me:pw@elsewhere.test"})).detail
    assert detail == "302 Found: redirects are not followed, check API_URL"


def test_unknown_status_has_no_phrase() -> None:
    assert send(answer_of(599, b"odd")).detail == "599: odd"


# Redaction


def detail_of(text: str, body: bytes = BODY, user_id: str = "user-1") -> str:
    answer = send(answer_of(400, text.encode()), operation(body=body, user_id=user_id))
    assert answer.detail is not None
    return answer.detail.removeprefix("400 Bad Request: ")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("city Paris, age 234, score 7.25", "city […], age […], score […]"),
        ("PARIS and paris", "[…] and […]"),
        ("no such customer user-1", "no such customer […]"),
        ("who is Ada?", "who is […]?"),
        ("lovelace at example dot com", "[…] at […] dot […]"),
        ("a compass on an adamant user", "a compass on an adamant […]"),
        ("the-key, the-secret", "[…], […]"),
        ("Basic dGhlLWtleTp0aGUtc2VjcmV0", "Basic […]"),
        ("see https://me:pw@rehook.test/x", "see https://rehook.test/x"),
        ("mail ada.lovelace%40example.com", "mail […]"),
        ("referral code is taken", "referral code is taken"),
    ],
)
def test_values_and_secrets_are_removed(text: str, expected: str) -> None:
    assert detail_of(text) == expected


@pytest.mark.parametrize(
    ("value", "spelled"),
    [
        ('say "hi" now', r"say \"hi\" now"),
        ("Zoë Łuk", r"Zo\u00eb \u0141uk"),
        ("a & b <c>", "a &amp; b &lt;c&gt;"),
        ("one two", "one+two"),
        ("x/y z", "x%2Fy%20z"),
        ("two\nlines", "two lines"),
        ("tab\there", r"tab\there"),
    ],
)
def test_values_are_removed_however_they_are_spelled(value: str, spelled: str) -> None:
    body = orjson.dumps({"source_id": "u", "metadata": {"a": value}})
    assert detail_of(f"bad: {spelled}!", body) == "bad: […]!"


def test_longest_value_goes_first() -> None:
    body = orjson.dumps({"source_id": "u", "metadata": {"a": "abc", "b": "abc-def", "c": "xabc-def-ghi"}})
    assert detail_of("xabc-def-ghi abc-def abc", body) == "[…] […] […]"


def test_beginning_of_a_long_value_is_removed_too() -> None:
    value = "".join(f"{number:04d};" for number in range(2_000))
    body = orjson.dumps({"source_id": "u", "metadata": {"a": value}})
    assert detail_of(f"too long: '{value[:100]}...', again {value[:20]}.", body) == "too long: '[…]...', again […]."


def test_huge_answers_and_bodies_take_no_time() -> None:
    values = [f"{number:05d}" * 10 for number in range(300)]
    body = orjson.dumps({"source_id": "u", "metadata": {"a": values, "b": "0123456789abcdef" * 100_000}})
    line = redact("0123456789abcdef" * 4_000, body, "u", ())
    assert line == "[…]"


def test_number_is_removed_as_written_and_as_computed() -> None:
    assert detail_of("7.250 or 7.25 or 12345678901234567890123", b'{"a":7.250,"b":12345678901234567890123}') == "[…] or […] or […]"


def test_body_that_is_no_json_is_one_value() -> None:
    assert detail_of("got not json there", b"not json") == "got […] there"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=12,
)


def leaves_of(document: object) -> list[str]:
    if isinstance(document, dict):
        return [leaf for value in document.values() for leaf in leaves_of(value)]
    if isinstance(document, list):
        return [leaf for value in document for leaf in leaves_of(value)]
    return [str(document)] if isinstance(document, (str, int, float)) and not isinstance(document, bool) else []


def pieces(text: str, removed: str = "[…]") -> list[str]:
    return text.split(removed)


@settings(deadline=None)  # each example runs a loop of its own
@given(JSON, st.text(min_size=1, max_size=20), st.data())
def test_no_value_of_the_request_is_in_the_detail(metadata: object, user_id: str, data: st.DataObject) -> None:
    body = orjson.dumps({"source_id": user_id, "metadata": metadata})
    leaves = [user_id, *leaves_of(metadata)]
    quoted = data.draw(st.lists(st.sampled_from(leaves) | st.text(max_size=5), max_size=8))
    text = data.draw(st.sampled_from([" ", "", '"', "\n"])).join(quoted)
    echoed = data.draw(st.sampled_from([text.encode(), orjson.dumps({"message": text}), json.dumps({"got": text}).encode(), body]))
    detail = detail_of_bytes(echoed, body, user_id)
    for leaf in leaves:
        if len(leaf) >= 3:
            assert all(leaf not in piece for piece in pieces(detail))


def detail_of_bytes(answer: bytes, body: bytes, user_id: str) -> str:
    detail = send(answer_of(400, answer), operation(body=body, user_id=user_id)).detail
    assert detail is not None
    return detail.removeprefix("400 Bad Request").removeprefix(": ")


@given(st.text(min_size=3, max_size=40).filter(lambda text: len(text.strip()) >= 3), st.text(max_size=10), st.text(max_size=10))
def test_secrets_never_appear(secret: str, before: str, after: str) -> None:
    line = redact(f"{before}{secret}{after}", b"{}", "", (secret,))
    assert all(secret not in piece for piece in pieces(line))


@given(st.text())
def test_redacted_text_is_one_printable_line(text: str) -> None:
    line = redact(text, b"{}", "", ())
    assert line == line.strip()
    assert not re.search(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]", line)
    line.encode()


def test_an_id_that_ends_in_a_blank_is_removed_with_it() -> None:
    assert "00 " not in redact("no user 00 00 here", b"{}", "00 ", ())
