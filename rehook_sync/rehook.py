"""The only module that knows the Rehook API: addresses, headers, what each answer means, and what may be kept of it."""

import base64
import hashlib
import html
import json
import re
import ssl
from collections.abc import Coroutine, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import cast
from urllib.parse import unquote

import httpx
import orjson

from rehook_sync import __version__
from rehook_sync.errors import SettingsError
from rehook_sync.models import Answer, Effect, Operation, Reason, Stream
from rehook_sync.wire import Address, SpelledRequest

__all__ = ["Rehook", "classify_error", "classify_status", "idempotency_key", "parse_retry_after", "redact"]

_PATHS = {Stream.IDENTIFIES: "/customers", Stream.TRACKS: "/events/invoke"}
_CHECK_PATH = "/events/segment/check-auth"

_BODY_LIMIT = 65_536
_DETAIL_LIMIT = 200
_LONGEST_WAIT_S = 1e12
"""Keeps an absurd Retry-After a number that time arithmetic survives."""

_Verdict = tuple[Effect, Reason | None]
_BY_STATUS: Mapping[int, _Verdict] = {
    401: (Effect.DENIED, None),
    402: (Effect.DENIED, None),
    403: (Effect.DENIED, None),
    405: (Effect.DENIED, None),
    407: (Effect.DENIED, None),
    408: (Effect.UNKNOWN, Reason.TIMEOUT),
    423: (Effect.UNPROCESSED, Reason.SERVER_ERROR),
    425: (Effect.UNPROCESSED, Reason.SERVER_ERROR),
    429: (Effect.UNPROCESSED, Reason.RATE_LIMITED),
    501: (Effect.REFUSED, Reason.REFUSED_BY_REHOOK),
    503: (Effect.UNPROCESSED, Reason.SERVER_ERROR),
    505: (Effect.REFUSED, Reason.REFUSED_BY_REHOOK),
}
_BY_CLASS: Mapping[int, _Verdict] = {
    2: (Effect.ACCEPTED, None),
    3: (Effect.DENIED, None),
    4: (Effect.REFUSED, Reason.REFUSED_BY_REHOOK),
    5: (Effect.UNKNOWN, Reason.SERVER_ERROR),
}
_OTHERWISE: _Verdict = (Effect.UNKNOWN, Reason.SERVER_ERROR)

_BY_ERROR: tuple[tuple[tuple[type[Exception], ...], _Verdict, str], ...] = (
    ((httpx.UnsupportedProtocol, httpx.InvalidURL), (Effect.DENIED, None), "the address cannot be used, check API_URL"),
    (
        (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ProxyError),
        (Effect.UNPROCESSED, Reason.NETWORK_ERROR),
        "no connection",
    ),
    ((httpx.TimeoutException,), (Effect.UNKNOWN, Reason.TIMEOUT), "no answer in time"),
    ((Exception,), (Effect.UNKNOWN, Reason.CONNECTION_LOST), "connection lost"),
)

_MOVED = "redirects are not followed, check API_URL"
_NOT_REHOOK = "the address is not Rehook's, check API_URL"

_SECONDS = re.compile(r"[+-]?\d+(?:\.\d*)?", re.ASCII)
_UNPRINTABLE = re.compile(r"[\s\x00-\x1f\x7f-\x9f\xad\u061c\u180e\u200b-\u200f\u2028-\u202f\u2060-\u206f\ufeff\ufff9-\ufffb\ud800-\udfff]+")
_USERINFO = re.compile(r"//[^/@\s]*@")
_BETWEEN_WORDS = re.compile(r"[\W_]+")
_REMOVED = "[…]"
_SHORTEST_VALUE = 3
_LONG_VALUE = 32
_MOST_SPELLINGS = 4
_JSON_ESCAPE = re.compile(r"""(?:\\u[0-9a-fA-F]{4})+|\\["\\/bfnrt]""")
_LONGEST_ADDRESS = 320


class Rehook:
    """Send operations to one Rehook site. Never raises for what the network or the API does: each attempt has an Answer."""

    def __init__(self, transport: httpx.AsyncBaseTransport, api_url: str, api_key: str, api_secret: str) -> None:
        """Prepare addresses and headers once; nothing is sent.

        Raises: SettingsError for an address that cannot be read.
        """
        self._transport = transport
        base = _parse_api_url(api_url)
        token = base64.b64encode(f"{api_key}:{api_secret}".encode("utf-8", "surrogateescape")).decode()
        self._secrets = (token, token.rstrip("="), api_secret, api_key)
        urls = {stream: _joined(base, path) for stream, path in _PATHS.items()}
        self._addresses = {stream: Address(url, str(url)) for stream, url in urls.items()}
        self._check_url = _joined(base, _CHECK_PATH)
        self._headers = [
            (b"Host", base.netloc),
            (b"User-Agent", f"rehook-sync/{__version__}".encode()),
            (b"Accept", b"application/json"),
            (b"Accept-Encoding", b"identity"),
            (b"Authorization", f"Basic {token}".encode()),
        ]
        self._post_lines = b"\r\n".join([*map(b": ".join, self._headers), b"Content-Type: application/json"])

    def send(self, operation: Operation) -> Coroutine[object, object, Answer]:
        """Send one operation once and say what came of it, once this is awaited."""
        body = operation.body
        lines = b"%b\r\nIdempotency-Key: %b" % (self._post_lines, _operation_key(operation).encode())
        request = SpelledRequest(self._addresses[operation.stream], lines, body)
        return self._exchange(request, body, operation.user_id)

    async def check_credentials(self) -> Answer:
        """Ask whether the key and secret are right; writes nothing at Rehook."""
        request = httpx.Request("GET", self._check_url, headers=self._headers, stream=httpx.ByteStream(b""))
        answer = await self._exchange(request, b"", "")
        if answer.http_status == 404:
            return Answer(Effect.DENIED, detail=_build_detail(404, _NOT_REHOOK), http_status=404)
        return answer

    async def aclose(self) -> None:
        """Close the transport."""
        await self._transport.aclose()

    async def _exchange(self, request: httpx.Request, body: bytes, user_id: str) -> Answer:
        try:
            response = await self._transport.handle_async_request(request)
        except (httpx.TransportError, httpx.InvalidURL) as error:
            answer = classify_error(error)
            return answer._replace(detail=redact(answer.detail or "", body, user_id, self._secrets)[:_DETAIL_LIMIT])
        # Decided by the status line alone: whatever happens to the body afterwards changes nothing.
        status = response.status_code
        is_good = 200 <= status < 300
        received = b"" if is_good and isinstance(response.stream, httpx.ByteStream) else await _read_body(response)
        if is_good:
            return classify_status(status)
        text = _MOVED if 300 <= status < 400 else redact(_read_message(response, received), body, user_id, self._secrets)
        return classify_status(status, _read_retry_after(response), _build_detail(status, text))


def classify_status(status: int, retry_after_s: float | None = None, detail: str | None = None) -> Answer:
    """Return what an HTTP status says about the request that got it."""
    effect, reason = _BY_STATUS.get(status) or _BY_CLASS.get(status // 100, _OTHERWISE)
    return Answer(effect, reason, detail, status, retry_after_s)


def classify_error(error: Exception) -> Answer:
    """Return what a failed exchange says about its request; `detail` may still quote what the server sent."""
    complaint = _find_certificate_complaint(error)
    if complaint is not None:
        advice = "check API_URL, or name the file of your certificate authority in SSL_CERT_FILE"
        return Answer(Effect.DENIED, detail=f"the certificate is not trusted ({complaint}); {advice}")
    (effect, reason), words = next((verdict, words) for types, verdict, words in _BY_ERROR if isinstance(error, types))
    said = str(error)
    return Answer(effect, reason, f"{words}: {said}" if said else words)


def parse_retry_after(value: str | None, now: datetime) -> float | None:
    """Return the seconds a Retry-After header asks to wait, None when it says nothing usable.

    Units:  now: aware, the moment a date in the header is measured from. A moment or number below zero is 0.
    """
    text = (value or "").strip()
    if _SECONDS.fullmatch(text):
        return min(max(float(text), 0.0), _LONGEST_WAIT_S)
    moment = _parse_http_date(text)
    return None if moment is None else max((moment - now).total_seconds(), 0.0)


def idempotency_key(stream: Stream, message_id: str) -> str:
    """Return the key that is the same for each attempt to send one Segment call: a hash, so that any id is safe in a header."""
    return hashlib.sha256(f"{stream}:{message_id}".encode("utf-8", "surrogatepass")).hexdigest()


def redact(text: str, body: bytes, user_id: str, secrets: Sequence[str]) -> str:
    """Return a text as one line without secrets and without the values of the request it speaks of.

    Shape:  body: the request's JSON; each of its strings and numbers of three characters or more is removed, also as
            JSON, HTML or a URL would spell it, and each word of the user id and of e-mail addresses.
    """
    line = _USERINFO.sub("//", _one_line(_decoded(_USERINFO.sub("//", _one_line(text)))))
    values = {*secrets, user_id, *_read_leaves(body)}
    folded = line.casefold()
    forms = sorted(_build_forms(values, line), key=len, reverse=True)
    long = [form for form in forms if len(form) >= _LONG_VALUE]
    line = _without(line, long, folded)
    for form in long:
        line = _without_beginnings(line, form)
    line = _without(line, forms[len(long) :], folded)
    names = {word for value in values if value == user_id or "@" in value[:_LONGEST_ADDRESS] for word in _split_words(value)}
    if found := [re.escape(name) for name in names if name.casefold() in folded]:
        line = re.sub(rf"(?<![^\W_])(?:{'|'.join(found)})(?![^\W_])", _REMOVED, line, flags=re.IGNORECASE)
    return line


def _operation_key(operation: Operation) -> str:
    """Key a merged request by all it carries: its calls may have to go out one by one later, each under its own key."""
    calls = operation.calls
    ids = calls[0].message_id if len(calls) == 1 else "\n".join([call.message_id for call in calls])
    return idempotency_key(operation.stream, ids)


def _parse_api_url(api_url: str) -> httpx.URL:
    try:
        url = httpx.URL(api_url)
    except httpx.InvalidURL as error:
        raise SettingsError("API_URL is not an address, for example https://api.rehook.ai") from error
    return url.copy_with(userinfo=b"", query=None, fragment=None)


def _joined(base: httpx.URL, path: str) -> httpx.URL:
    return base.copy_with(raw_path=base.raw_path.rstrip(b"/") + path.encode())


async def _read_body(response: httpx.Response) -> bytes:
    """Read up to the limit and a little more, then close; what breaks off is kept as far as it came."""
    stream = cast(httpx.AsyncByteStream, response.stream)
    chunks: list[bytes] = []
    size = 0
    try:
        if response.status_code >= 200:
            with suppress(httpx.TransportError):
                async for chunk in stream:
                    chunks.append(chunk)
                    size += len(chunk)
                    if size > _BODY_LIMIT:
                        break
    finally:
        await stream.aclose()
    return b"".join(chunks)


def _read_message(response: httpx.Response, received: bytes) -> str:
    """Return what an error body says: its message if it is JSON and has one, else its text."""
    if len(received) > _BODY_LIMIT:
        return "an answer of more than 64 KB"
    if response.headers.get("content-encoding", "identity").lower() != "identity":
        return "a compressed answer"
    with suppress(orjson.JSONDecodeError):
        if message := _find_message(orjson.loads(received)):
            return message
    return received.decode("utf-8", "replace")


def _find_message(document: object, depth: int = 0) -> str:
    if isinstance(document, str):
        return document
    if depth < 3 and isinstance(document, list):
        return "; ".join(filter(None, (_find_message(each, depth + 1) for each in document)))
    if depth < 3 and isinstance(document, dict):
        found = (_find_message(document[name], depth + 1) for name in ("message", "error", "errors") if name in document)
        return next(filter(None, found), "")
    return ""


def _read_retry_after(response: httpx.Response) -> float | None:
    value = response.headers.get("retry-after")
    if value is None:
        return None
    # The server's own clock, if it tells: ours may be wrong.
    return parse_retry_after(value, _parse_http_date(response.headers.get("date", "")) or datetime.now(UTC))


def _parse_http_date(text: str) -> datetime | None:
    try:
        moment = parsedate_to_datetime(text)
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None


def _find_certificate_complaint(error: BaseException | None) -> str | None:
    """Return what TLS found wrong with the certificate, if that is what an error is about."""
    for _ in range(10):
        if error is None:
            break
        # aiohttp's own error is of this type as well, but knows no message.
        if isinstance(error, ssl.SSLCertVerificationError) and hasattr(error, "verify_message"):
            return error.verify_message
        error = error.__cause__ or error.__context__
    return None


def _build_detail(status: int, text: str) -> str:
    head = f"{status} {httpx.codes.get_reason_phrase(status)}".rstrip()
    line = f"{head}: {text}" if text else head
    return line if len(line) <= _DETAIL_LIMIT else line[: _DETAIL_LIMIT - 1] + "…"


def _one_line(text: str) -> str:
    return _UNPRINTABLE.sub(" ", text).strip()


def _read_leaves(body: bytes) -> Iterator[str]:
    """Give each string and number of a JSON document as text; numbers as they are written and as Python would."""
    try:
        rest = [json.loads(body, parse_int=str, parse_float=lambda token: [token, repr(float(token))])] if body else []
    except ValueError:
        rest = [body.decode("utf-8", "replace")]
    while rest:
        value = rest.pop()
        if isinstance(value, str):
            yield value
        elif isinstance(value, list):
            rest.extend(value)
        elif isinstance(value, dict):
            rest.extend(value.values())


def _build_forms(values: Iterable[str], line: str) -> set[str]:
    """Return what to look for in a decoded line: the values as they are, and as decoding leaves them."""
    forms = {_UNPRINTABLE.sub(" ", form) for value in values for form in (value[:_BODY_LIMIT], _decoded(value[:_BODY_LIMIT]))}
    forms |= {form.strip() for form in forms}
    if "+" in line:
        forms |= {form.replace(" ", "+") for form in forms}
    return {form for form in forms if len(form) >= _SHORTEST_VALUE}


def _decoded(text: str) -> str:
    """Undo what JSON, HTML and URLs do to text, in whatever order and however often one was put into another."""
    for _ in range(_MOST_SPELLINGS):
        before = text
        if "\\" in text:
            text = _JSON_ESCAPE.sub(lambda found: str(json.loads(f'"{found[0]}"')), text)
        text = unquote(html.unescape(text))
        if text == before:
            break
    return text


def _without(line: str, forms: Iterable[str], folded: str) -> str:
    """Remove texts in upper and lower case. `folded`: the line before anything was removed, to see quickly what it cannot hold."""
    for form in forms:
        if form.casefold() in folded:
            line = re.sub(re.escape(form), _REMOVED, line, flags=re.IGNORECASE)
    return line


def _without_beginnings(line: str, value: str) -> str:
    """Remove a long value also where a server quotes only its beginning."""
    pieces: list[str] = []
    start = 0
    while (at := line.find(value[: _LONG_VALUE // 2], start)) >= 0:
        pieces += (line[start:at], _REMOVED)
        end = min(len(line), at + len(value))
        start = next((here for here in range(at, end) if line[here] != value[here - at]), end)
    return "".join((*pieces, line[start:]))


def _split_words(value: str) -> list[str]:
    return [word for word in _BETWEEN_WORDS.split(value[:_BODY_LIMIT]) if len(word) >= _SHORTEST_VALUE]
