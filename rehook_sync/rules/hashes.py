"""Hashes of traits and bodies, which the sync-state keeps instead of values. Pure."""

import re
from collections.abc import Mapping
from hashlib import blake2b

import orjson

__all__ = ["earlier_hashes", "payload_hash", "trait_hashes", "value_hash"]

_MICROSECONDS = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3})\d{3}Z")


def value_hash(user_id: str, key: str, json_value: object) -> str:
    """Return 16 hex characters for one trait of one customer. Equal values of two users or two keys differ."""
    return trait_hashes(user_id, {key: json_value})[key]


def trait_hashes(user_id: str, metadata: Mapping[str, object]) -> dict[str, str]:
    """Return `value_hash` for each trait of one customer. The user is hashed once for all, which saves a fifth of the time."""
    try:
        copy_hash = blake2b(orjson.dumps([user_id]), digest_size=8).copy
        hashes = {}
        for pair in metadata.items():
            hashed = copy_hash()
            hashed.update(orjson.dumps(pair))
            hashes[pair[0]] = hashed.hexdigest()
    except TypeError:
        raise ValueError("a value that has no JSON form") from None
    return hashes


def earlier_hashes(user_id: str, key: str, json_value: object) -> set[str]:
    """Return the hashes that earlier versions, which wrote `20.0` and cut times to milliseconds, may have of this value.

    Shape:  json_value: read back from a body.
    """
    forms = [_earlier_form(json_value, zero) for zero in (0.0, -0.0)]
    return {value_hash(user_id, key, form) for form in forms}


def payload_hash(body: bytes) -> str:
    """Return 32 hex characters for one request body."""
    return blake2b(body, digest_size=16).hexdigest()


def _earlier_form(value: object, zero: float) -> object:
    if type(value) is int:
        return float(value) if value else zero
    if isinstance(value, str):
        found = _MICROSECONDS.fullmatch(value)
        return f"{found[1]}Z" if found else value
    if isinstance(value, list):
        return [_earlier_form(member, zero) for member in value]
    return {key: _earlier_form(member, zero) for key, member in value.items()} if isinstance(value, dict) else value
