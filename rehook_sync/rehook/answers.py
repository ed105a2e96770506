"""What Rehook's answers mean, and what is kept of their text.

Source: observed answers. Whether a status means that the work was done follows HTTP.
"""

import re
import ssl
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import cast

import httpx
import orjson

from rehook_sync.models import Answer, Effect, Reason
from rehook_sync.rehook.redaction import BODY_LIMIT

__all__ = ["DETAIL_LIMIT", "build_detail", "classify_error", "classify_status", "parse_retry_after", "read_answer", "read_body"]

DETAIL_LIMIT = 200
"""Characters kept of an answer."""
_LONGEST_WAIT_S = 1e12
"""Caps an absurd Retry-After, so that times can be computed with it."""

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
_SECONDS = re.compile(r"[+-]?\d+(?:\.\d*)?", re.ASCII)


async def read_answer(response: httpx.Response, clean: Callable[[str], str]) -> Answer:
    """Read an HTTP answer and return what it says about its request.

    clean: takes secrets and the row's values out of the server's text.
    """
    # The status alone decides: a body that breaks off changes nothing.
    status = response.status_code
    received = await read_body(response)
    if 200 <= status < 300:
        return classify_status(status)
    text = _MOVED if 300 <= status < 400 else clean(_read_message(response, received))
    return classify_status(status, _read_retry_after(response), build_detail(status, text))


def classify_status(status: int, retry_after_s: float | None = None, detail: str | None = None) -> Answer:
    """Return what an HTTP status says about its request."""
    effect, reason = _BY_STATUS.get(status) or _BY_CLASS.get(status // 100, _OTHERWISE)
    return Answer(effect, reason, detail, status, retry_after_s)


def classify_error(error: Exception) -> Answer:
    """Return what a failed exchange says about its request. `detail` may quote the server and is not redacted yet."""
    complaint = _find_certificate_complaint(error)
    if complaint is not None:
        advice = "check API_URL, or name the file of your certificate authority in SSL_CERT_FILE"
        return Answer(Effect.DENIED, detail=f"the certificate is not trusted ({complaint}); {advice}")
    (effect, reason), words = next((verdict, words) for types, verdict, words in _BY_ERROR if isinstance(error, types))
    said = str(error)
    return Answer(effect, reason, f"{words}: {said}" if said else words)


def parse_retry_after(value: str | None, now: datetime) -> float | None:
    """Return the seconds that a Retry-After header asks to wait, None for an unusable one.

    Units:  now: aware; a date in the header is measured from it. A negative wait is 0.
    """
    text = (value or "").strip()
    if _SECONDS.fullmatch(text):
        return min(max(float(text), 0.0), _LONGEST_WAIT_S)
    moment = _parse_http_date(text)
    return None if moment is None else max((moment - now).total_seconds(), 0.0)


async def read_body(response: httpx.Response) -> bytes:
    """Read the body until it exceeds the limit or breaks off, then close; return what came."""
    stream = cast(httpx.AsyncByteStream, response.stream)
    chunks: list[bytes] = []
    size = 0
    try:
        if response.status_code >= 200:
            with suppress(httpx.TransportError):
                async for chunk in stream:
                    chunks.append(chunk)
                    size += len(chunk)
                    if size > BODY_LIMIT:
                        break
    finally:
        await stream.aclose()
    return b"".join(chunks)


def _read_message(response: httpx.Response, received: bytes) -> str:
    """Return the message in a JSON error body, else the whole text."""
    if len(received) > BODY_LIMIT:
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
    # Measured by the server's clock where it sends one; ours may be wrong.
    return parse_retry_after(value, _parse_http_date(response.headers.get("date", "")) or datetime.now(UTC))


def _parse_http_date(text: str) -> datetime | None:
    try:
        moment = parsedate_to_datetime(text)
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None


def _find_certificate_complaint(error: BaseException | None) -> str | None:
    """Return what is wrong with the certificate, if that caused the error."""
    for _ in range(10):
        if error is None:
            break
        # aiohttp's error is a subclass, but has no message.
        if isinstance(error, ssl.SSLCertVerificationError) and hasattr(error, "verify_message"):
            return error.verify_message
        error = error.__cause__ or error.__context__
    return None


def build_detail(status: int, text: str) -> str:
    """Return an answer in one short line: status, its name, the server's text."""
    head = f"{status} {httpx.codes.get_reason_phrase(status)}".rstrip()
    line = f"{head}: {text}" if text else head
    return line if len(line) <= DETAIL_LIMIT else line[: DETAIL_LIMIT - 1] + "…"
