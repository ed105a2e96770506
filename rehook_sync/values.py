"""Source values to text, times and JSON. Exact; no error shows a value. Pure.

Source: observed text and JSON forms of Segment's connector, which are JavaScript's.
"""

import json
import math
import re
from base64 import b64encode
from collections.abc import Callable
from datetime import date, datetime, time, timedelta
from decimal import Decimal, InvalidOperation
from uuid import UUID

import orjson

from rehook_sync.times import iso_duration, to_utc

__all__ = [
    "BrokenText",
    "InfiniteTime",
    "exact_json",
    "key_flaw",
    "storable_json",
    "storable_text",
    "to_json",
    "to_json_value",
    "to_text",
    "too_deep",
    "without_infinite",
]

_LONGEST_KEY_BYTES = 2048
"""The limit of an id or a code: 512 characters, as in Segment. PostgreSQL cannot index much more."""

_NUL = "\\u0000"
_ESCAPE = re.compile(r"\\(?:u0000|.)")
_MAX_DEPTH = 200  # orjson gives up at 254 levels, and the body adds two
_MAX_DIGITS = 4000  # longer numbers get an exponent, else Decimal("1E+999999") is a million zeros
_BEYOND = 2**1024 - 2**970
"""From here on, a number is infinite to whoever reads JSON as JavaScript does, and a strict reader refuses the whole body."""
_JSON_INTEGERS = range(-(2**63), 2**64)
_EXACT_INTEGERS = 2.0**53
_JS_EXPONENT = 1e21  # from here on, JavaScript writes an exponent
_LEAST_EXPONENT = -5  # of numbers that orjson writes without an exponent, as JavaScript does; it does so for a few more
_JS_DECIMALS = 10.0**_LEAST_EXPONENT


class BrokenText(bytes):
    """The bytes of a text that is no UTF-8. Bytes of a column for bytes have a JSON form, these have none."""


class InfiniteTime(str):
    """The `infinity` of a time column, which Python's times lack."""

    __slots__ = ()


def to_text(value: object) -> str | None:
    """Return an id, a code or an event name as text, as Segment's connector writes it.

    Raises: ValueError for NaN, an infinity, bytes and other types without a text form.
    """
    if value is None or type(value) is str:
        return value
    for base, convert in _TEXT_FORMS.items():
        if isinstance(value, base):
            return convert(value)
    raise ValueError(f"{_kind(value)} has no text form")


def key_flaw(text: str) -> str | None:
    """Return why a text cannot be kept as an id or a code, None when it can: PostgreSQL's text holds no NUL."""
    if "\0" in text:
        return "holds a NUL character"
    is_too_long = len(text) * 4 > _LONGEST_KEY_BYTES and len(text.encode("utf-8", "surrogatepass")) > _LONGEST_KEY_BYTES
    return f"is longer than {_LONGEST_KEY_BYTES} bytes" if is_too_long else None


def to_json_value(value: object) -> object:
    """Return a source value in a form that orjson writes exactly: times as Segment sends them, members that are None left out.

    Raises: ValueError for NaN, infinity and beyond 1.8e308, text that is no Unicode, keys that are no text, and more than 200 levels.
    """
    return _json_value(value, 0)


def without_infinite(value: object) -> tuple[object, int]:
    """Return a value without NaN and infinities, and how many it had: None in the place of each, as in the connector's JSON.

    A number that JavaScript cannot hold is infinite.
    """
    if isinstance(value, dict):
        members = {key: without_infinite(member) for key, member in value.items()}
        return {key: member for key, (member, _) in members.items()}, sum(found for _, found in members.values())
    if isinstance(value, list | tuple):
        items = [without_infinite(member) for member in value]
        return [member for member, _ in items], sum(found for _, found in items)
    return (None, 1) if _is_infinite(value) else (value, 0)


def to_json(value: object) -> bytes:
    """Return compact UTF-8 JSON of a result of `to_json_value`.

    Raises: ValueError for any other value that has no JSON form.
    """
    try:
        return bytes(memoryview(orjson.dumps(value, option=_NO_GUESSING)))  # a copy: orjson's own keeps 4 KB, however short it is
    except TypeError:
        raise ValueError("a value that has no JSON form") from None


def exact_json(content: str | bytes | bytearray | memoryview) -> object:
    """Parse JSON with exact decimals. Of members with the same name the last one counts.

    Raises: ValueError for what is no JSON, NaN and Infinity included; RecursionError for too many levels.
    """
    text = bytes(content) if isinstance(content, memoryview) else content
    try:
        return json.loads(text, parse_float=Decimal, parse_constant=_no_number)
    except json.JSONDecodeError:
        raise
    except (ValueError, InvalidOperation):  # perhaps thousands of digits, or an exponent that Decimal cannot hold
        return json.loads(text, parse_int=Decimal, parse_float=_any_decimal, parse_constant=_no_number)


def too_deep() -> object:
    """Return a value of more levels than JSON may have here, and fewer than Python can follow."""
    deep: object = None
    for _ in range(_MAX_DEPTH + 50):
        deep = [deep]
    return deep


def storable_json(value: object) -> str:
    """Return JSON without NUL characters, which PostgreSQL's text cannot hold. Text that only spells one out stays."""
    text = orjson.dumps(value, option=orjson.OPT_UTC_Z).decode()
    return _ESCAPE.sub(lambda found: "\\ufffd" if found[0] == _NUL else found[0], text) if _NUL in text else text


def storable_text(text: str) -> str:
    """Return a text as `storable_json` stores it."""
    return text.replace("\x00", "\ufffd")


_NO_GUESSING = orjson.OPT_PASSTHROUGH_DATETIME | orjson.OPT_PASSTHROUGH_DATACLASS | orjson.OPT_PASSTHROUGH_SUBCLASS


def _no_number(_name: str) -> object:
    raise ValueError("NaN and Infinity are no JSON")


def _any_decimal(text: str) -> Decimal:
    try:
        return Decimal(text)
    except InvalidOperation:
        return Decimal(float(text))  # infinite, or zero


def _json_value(value: object, depth: int) -> object:
    """Test the exact type first: this runs for each value of each row, and most are of a few types."""
    kind = type(value)
    if kind is str:
        return _valid_text(value)  # type: ignore[arg-type]
    if value is None or kind is bool:
        return value
    convert = _JSON_FORMS.get(kind)
    if convert is not None:
        return convert(value)
    if isinstance(value, dict | list | tuple):
        return _json_container(value, depth + 1)
    for base, convert_base in _JSON_FORMS.items():
        if isinstance(value, base):
            return convert_base(value)
    raise ValueError(f"{_kind(value)} has no JSON form")


def _json_container(value: dict[object, object] | list[object] | tuple[object, ...], depth: int) -> object:
    if depth > _MAX_DEPTH:
        raise ValueError(f"nested more than {_MAX_DEPTH} levels deep")
    if not isinstance(value, dict):
        return [_json_value(member, depth) for member in value]
    if not all(isinstance(key, str) for key in value):
        raise ValueError("an object with a key that is no text has no JSON form")
    return {_valid_text(str(key)): _json_value(member, depth) for key, member in value.items() if member is not None}


def _valid_text(value: str) -> str:
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError:
            raise ValueError("text with half a surrogate pair has no JSON form") from None
    return value


def _json_integer(value: int) -> object:
    value = int(value)
    if value in _JSON_INTEGERS:
        return value
    if _is_beyond(value):
        raise ValueError("an infinite number has no JSON form")
    return orjson.Fragment(_integer_text(value))


def _json_float(value: float) -> object:
    """Return a number that orjson writes as JavaScript does: an integer for `20.0`, text for the smallest."""
    if -_EXACT_INTEGERS <= value <= _EXACT_INTEGERS:
        if value.is_integer():
            return int(value)
        if value >= _JS_DECIMALS or value <= -_JS_DECIMALS:
            return float(value)
        return orjson.Fragment(_float_text(value))
    if not math.isfinite(value):
        raise ValueError(f"{_not_finite(value)} has no JSON form")
    return float(value) if abs(value) >= _JS_EXPONENT else _json_integer(int(Decimal(repr(float(value)))))


def _json_decimal(value: Decimal) -> object:
    if _is_infinite(value):
        raise ValueError(f"{_not_finite(value)} has no JSON form")
    exponent = value.adjusted()
    if exponent < -_MAX_DIGITS:
        return orjson.Fragment(str(value))
    if value == value.to_integral_value():
        return _json_integer(int(value))
    as_float = float(value)
    if Decimal(repr(as_float)) != value:
        return orjson.Fragment(format(value, "f"))
    return as_float if exponent >= _LEAST_EXPONENT else _json_float(as_float)


def _json_bytes(value: bytes | bytearray | memoryview) -> str:
    return b64encode(value).decode()


def _no_json_form(what: str) -> Callable[[object], object]:
    def refuse(_value: object) -> object:
        raise ValueError(f"{what} has no JSON form")

    return refuse


def _moment(value: date) -> str:
    """Return `2026-11-01T12:00:00.000Z`, with microseconds where there are any, or `2026-11-01` for a date."""
    if not isinstance(value, datetime):
        return value.isoformat()
    if value.microsecond % 1000:
        return to_utc(value).isoformat("T", "microseconds")[:26] + "Z"
    return to_utc(value).isoformat("T", "milliseconds")[:23] + "Z"


def _boolean_text(value: bool) -> str:
    return "true" if value else "false"


def _integer_text(value: int) -> str:
    try:
        return int.__repr__(value)
    except ValueError:
        raise ValueError("an integer with more than 4,300 digits") from None


def _float_text(value: float) -> str:
    if not math.isfinite(value):
        raise ValueError(_not_finite(value))
    if value.is_integer() and abs(value) < _JS_EXPONENT:
        return str(int(value))
    text = float.__repr__(value)
    digits, found, exponent = text.partition("e")
    if not found:
        return text
    if -7 < int(exponent) < 0:
        return format(Decimal(text), "f")
    return f"{digits}e{int(exponent):+d}"


def _decimal_text(value: Decimal) -> str:
    if not value.is_finite():
        raise ValueError(_not_finite(value))
    if abs(value.adjusted()) > _MAX_DIGITS:
        return str(value)
    text = format(value, "f")
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


def _not_finite(value: float | Decimal) -> str:
    nan = value.is_nan() if isinstance(value, Decimal) else math.isnan(value)
    return "not a number" if nan else "an infinite number"


def _is_infinite(value: object) -> bool:
    if isinstance(value, float):
        return not math.isfinite(value)
    if isinstance(value, Decimal):
        return not value.is_finite() or _is_beyond(value)
    return isinstance(value, InfiniteTime) or (isinstance(value, int) and _is_beyond(value))


def _is_beyond(value: int | Decimal) -> bool:
    return value >= _BEYOND or value <= -_BEYOND


def _kind(value: object) -> str:
    return "bytes" if isinstance(value, bytes | bytearray | memoryview) else f"a value of type {type(value).__name__}"


# The order matters for `isinstance`: a bool is an int, a datetime is a date.
_TEXT_FORMS: dict[type, Callable[..., str]] = {
    str: str,
    bool: _boolean_text,
    int: _integer_text,
    float: _float_text,
    Decimal: _decimal_text,
    date: _moment,
    UUID: str,
}
_JSON_FORMS: dict[type, Callable[..., object]] = {
    InfiniteTime: _no_json_form("an infinite time"),
    BrokenText: _no_json_form("text that is no UTF-8"),
    str: lambda value: _valid_text(str(value)),
    bool: bool,
    int: _json_integer,
    float: _json_float,
    Decimal: _json_decimal,
    datetime: _moment,
    date: _moment,
    time: time.isoformat,
    timedelta: iso_duration,
    UUID: str,
    bytes: _json_bytes,
    bytearray: _json_bytes,
    memoryview: _json_bytes,
}
