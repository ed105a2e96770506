"""A client of the Rehook API: addresses, credentials, one request per operation."""

import base64
import hashlib
from collections.abc import Coroutine
from typing import NamedTuple
from urllib.parse import quote

import httpx
import orjson

from rehook_sync import __version__
from rehook_sync.errors import SettingsError
from rehook_sync.models import Answer, Effect, Operation, Stream
from rehook_sync.rehook.answers import DETAIL_LIMIT, build_detail, classify_error, classify_status, read_answer, read_body
from rehook_sync.rehook.http1 import Address, RawRequest
from rehook_sync.rehook.redaction import redact

__all__ = ["Found", "Rehook", "idempotency_key"]

_CUSTOMERS, _EVENTS = "/customers", "/events/invoke"
_CODES = "/customers/validate-code"
_CHECK_PATH = "/events/segment/check-auth"
_NOT_REHOOK = "the address is not Rehook's, check API_URL"


class Found(NamedTuple):
    """What Rehook has at an address.

    Shape:  is_there: None when the answer does not say.  source_id: of the customer there, None when the answer names none.
    """

    answer: Answer
    is_there: bool | None = None
    source_id: str | None = None


class Rehook:
    """Sends operations to Rehook. Failures of the network or the API are Answers, not exceptions."""

    def __init__(self, transport: httpx.AsyncBaseTransport, api_url: str, api_key: str, api_secret: str) -> None:
        """Prepare addresses and headers; nothing is sent.

        Raises: SettingsError for an address that cannot be read.
        """
        self._transport = transport
        base = _parse_api_url(api_url)
        token = base64.b64encode(f"{api_key}:{api_secret}".encode("utf-8", "surrogateescape")).decode()
        self._secrets = (token, token.rstrip("="), api_secret, api_key)
        self._base = base
        self._customers, self._events = (Address(url, str(url)) for url in (_joined(base, _CUSTOMERS), _joined(base, _EVENTS)))
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
        """Return a coroutine that sends one operation once and returns its answer."""
        body = operation.body
        lines = b"%b\r\nIdempotency-Key: %b" % (self._post_lines, _operation_key(operation).encode())
        request = RawRequest(self._customers if operation.stream.is_identify else self._events, lines, body)
        return self._exchange(request, body, operation.user_id)

    async def check_credentials(self) -> Answer:
        """Ask Rehook whether key and secret are right; changes nothing there."""
        request = httpx.Request("GET", self._check_url, headers=self._headers, stream=httpx.ByteStream(b""))
        answer = await self._exchange(request, b"", "")
        if answer.http_status == 404:
            return Answer(Effect.DENIED, detail=build_detail(404, _NOT_REHOOK), http_status=404)
        return answer

    async def find_customer(self, source_id: str) -> Found:
        """Ask Rehook for a customer; changes nothing there."""
        return await self._find(f"{_CUSTOMERS}/{_segment(source_id)}")

    async def find_owner(self, code: str) -> Found:
        """Ask Rehook who owns a referral code; changes nothing there."""
        return await self._find(f"{_CODES}/{_segment(code)}")

    async def _find(self, path: str) -> Found:
        request = httpx.Request("GET", _joined(self._base, path), headers=self._headers, stream=httpx.ByteStream(b""))
        try:
            response = await self._transport.handle_async_request(request)
        except (httpx.TransportError, httpx.InvalidURL) as error:
            return Found(self._failed(error, b"", ""))
        if response.status_code == 200:
            return Found(classify_status(200), is_there=True, source_id=_read_source_id(await read_body(response)))
        answer = await read_answer(response, lambda text: redact(text, b"", "", self._secrets))
        return Found(answer, is_there=False if response.status_code == 404 else None)

    async def aclose(self) -> None:
        """Close the transport."""
        await self._transport.aclose()

    async def _exchange(self, request: httpx.Request, body: bytes, user_id: str) -> Answer:
        try:
            response = await self._transport.handle_async_request(request)
        except (httpx.TransportError, httpx.InvalidURL) as error:
            return self._failed(error, body, user_id)
        if 200 <= response.status_code < 300 and isinstance(response.stream, httpx.ByteStream):
            return classify_status(response.status_code)
        return await read_answer(response, lambda text: redact(text, body, user_id, self._secrets))

    def _failed(self, error: Exception, body: bytes, user_id: str) -> Answer:
        answer = classify_error(error)
        return answer._replace(detail=redact(answer.detail or "", body, user_id, self._secrets)[:DETAIL_LIMIT])


def idempotency_key(stream: Stream, message_id: str) -> str:
    """Return a key that is the same for every attempt to send a call. It is a hash, so that any id is safe in a header."""
    return hashlib.sha256(f"{stream}:{message_id}".encode("utf-8", "surrogatepass")).hexdigest()


def _operation_key(operation: Operation) -> str:
    """Key a merged request by all its calls: each may be sent alone later, under its own key."""
    calls = operation.calls
    ids = calls[0].message_id if len(calls) == 1 else "\n".join([call.message_id for call in calls])
    return idempotency_key(operation.stream, ids)


def _segment(text: str) -> str:
    """Return an id as one segment of a path. Dots alone would lead elsewhere."""
    quoted = quote(text, safe="", errors="surrogatepass")
    return quoted.replace(".", "%2E") if text in {".", ".."} else quoted


def _read_source_id(body: bytes) -> str | None:
    """Return whom an answer is about; fields that are not known are not interpreted."""
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
    found = document.get("source_id") if isinstance(document, dict) else None
    return found if isinstance(found, str) else None


def _parse_api_url(api_url: str) -> httpx.URL:
    try:
        url = httpx.URL(api_url)
    except httpx.InvalidURL as error:
        raise SettingsError("API_URL is not an address, for example https://api.rehook.ai") from error
    return url.copy_with(userinfo=b"", query=None, fragment=None)


def _joined(base: httpx.URL, path: str) -> httpx.URL:
    return base.copy_with(raw_path=base.raw_path.rstrip(b"/") + path.encode())
