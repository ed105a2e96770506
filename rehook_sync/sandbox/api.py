"""Rehook's API in the sandbox: credentials, routes, refused bodies. Pure."""

import binascii
from base64 import b64decode
from collections.abc import Iterable
from typing import Any
from urllib.parse import unquote

import orjson

from rehook_sync.sandbox.store import Credentials, FakeRehook, Incoming, Received, Reply, refusal

__all__ = ["CUSTOMERS", "INVOKE", "answer", "build_incoming", "route_of"]

CUSTOMERS = "/customers"
INVOKE = "/events/invoke"
CHECK_AUTH = "/events/segment/check-auth"
VALIDATE_CODE = "/customers/validate-code/{referral_code}"
REFERRALS = "/customers/referral/list/{source_id}"
CUSTOMER = "/customers/{source_id}"


def build_incoming(method: str, path: str, headers: Iterable[tuple[bytes, bytes]], body: bytes | None) -> Incoming:
    """Return a request for the log and the rules. A body of None was too large to keep."""
    incoming = Incoming(method, path, body or b"", too_large=body is None)
    for name, value in headers:
        if name == b"authorization":
            incoming.authorization = value
        elif name == b"content-type":
            incoming.content_type = value
        elif name == b"idempotency-key":
            incoming.idempotency_key = value.decode("latin-1")
    if body:
        try:
            incoming.payload = orjson.loads(body)
        except orjson.JSONDecodeError:
            incoming.payload = None
    return incoming


def answer(store: FakeRehook, incoming: Incoming, received: Received) -> Reply:
    """Carry out a request and return Rehook's answer."""
    if not is_authorised(store.credentials, incoming.authorization):
        reply = refusal(401, "unauthorized", "API key or secret is wrong")
        return reply._replace(headers=(("www-authenticate", 'Basic realm="rehook sandbox"'),))
    if incoming.path in (CUSTOMERS, INVOKE):
        return _write(store, incoming, received)
    return _read(store, incoming)


def is_authorised(credentials: Credentials, header: bytes) -> bool:
    """Tell whether an Authorization header holds the credentials: HTTP Basic, UTF-8."""
    scheme, _, token = header.partition(b" ")
    if scheme.lower() != b"basic":
        return False
    try:
        return b64decode(token.strip(), validate=True) == f"{credentials.key}:{credentials.secret}".encode()
    except binascii.Error:
        return False


def route_of(path: str) -> tuple[str, str] | None:
    """Return the route of a raw path and its parameter, or None. Split before it is decoded, so that an id may hold a slash."""
    if path in (CUSTOMERS, INVOKE):
        return path, ""
    match [unquote(each) for each in path.split("/")[1:]]:
        case ["events", "segment", "check-auth"]:
            return CHECK_AUTH, ""
        case ["customers", "validate-code", code] if code:
            return VALIDATE_CODE, code
        case ["customers", "referral", "list", source_id] if source_id:
            return REFERRALS, source_id
        case ["customers", source_id] if source_id:
            return CUSTOMER, source_id
    return None


def _read(store: FakeRehook, incoming: Incoming) -> Reply:
    found = route_of(incoming.path)
    if found is None:
        return refusal(404, "not_found", "there is nothing at this path")
    if incoming.method != "GET":
        return _wrong_method("GET")
    route, value = found
    if route == CHECK_AUTH:
        return Reply(200, b'{"ok":true}')
    if route == VALIDATE_CODE:
        return store.read_owner(value)
    return store.read_referrals(value) if route == REFERRALS else store.read_customer(value)


def _write(store: FakeRehook, incoming: Incoming, received: Received) -> Reply:
    refused = _refused_envelope(store, incoming) or _refused_fields(store, incoming)
    if refused is not None:
        return refused
    body: dict[str, Any] = incoming.payload
    metadata = {} if body.get("metadata") is None else body["metadata"]
    if incoming.path == CUSTOMERS:
        reply = store.upsert_customer(body["source_id"], metadata, body.get("referral_code"))
    else:
        reply = store.invoke_event(received, body["event_name"], body["source_id"], metadata)
    received.accepted = reply.status < 300
    return reply


def _refused_envelope(store: FakeRehook, incoming: Incoming) -> Reply | None:
    if incoming.method != "POST":
        return _wrong_method("POST")
    if incoming.content_type.partition(b";")[0].strip().lower() != b"application/json":
        return refusal(415, "unsupported_media_type", "Content-Type must be application/json")
    if incoming.too_large:
        return refusal(413, "too_large", f"the body is larger than {store.behaviour.max_body_bytes} bytes")
    return None if isinstance(incoming.payload, dict) else refusal(400, "invalid_json", "the body is not a JSON object")


def _refused_fields(store: FakeRehook, incoming: Incoming) -> Reply | None:
    body: dict[str, Any] = incoming.payload
    keys = ["source_id"] if incoming.path == CUSTOMERS else ["event_name", "source_id"]
    if incoming.path == CUSTOMERS and body.get("referral_code") is not None:
        keys.append("referral_code")
    for key in keys:
        problem = _text_problem(body.get(key), store.behaviour.max_id_length)
        if problem:
            return refusal(422, "invalid_field", f"{key} {problem}")
    return None if isinstance(body.get("metadata"), dict | None) else refusal(422, "invalid_field", "metadata must be an object")


def _text_problem(value: object, max_length: int) -> str | None:
    if value is None:
        return "is required"
    if not isinstance(value, str):
        return "must be a string"
    if not value.strip():
        return "must not be empty"
    return f"is longer than {max_length} characters" if len(value) > max_length else None


def _wrong_method(allowed: str) -> Reply:
    return refusal(405, "method_not_allowed", f"use {allowed}")._replace(headers=(("allow", allowed),))
