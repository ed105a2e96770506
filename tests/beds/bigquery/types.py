"""GoogleSQL's types and values: as BigQuery writes them, as the engine takes them, and as the REST API answers them."""

import base64
import json
import re
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, time, timedelta
from decimal import Context, Decimal
from typing import Any

from zetasql.wasi._pb2.zetasql.public import type_pb2, value_pb2

__all__ = ["Type", "field_of", "from_parameter", "from_value", "parse_type", "to_cell", "to_value", "type_text"]

Type = Any
"""The engine's description of a type: a message, whose class has no types of its own."""
_KINDS = {
    "STRING": "STRING",
    "GEOGRAPHY": "STRING",  # the engine has no values of it; text is what the API answers
    "INT64": "INT64",
    "BOOL": "BOOL",
    "FLOAT64": "DOUBLE",
    "BYTES": "BYTES",
    "DATE": "DATE",
    "TIMESTAMP": "TIMESTAMP",
    "DATETIME": "DATETIME",
    "TIME": "TIME",
    "NUMERIC": "NUMERIC",
    "BIGNUMERIC": "BIGNUMERIC",
    "JSON": "JSON",
    "INTERVAL": "INTERVAL",
}
_NAMES = {type_pb2.TypeKind.Value(f"TYPE_{kind}"): name for name, kind in _KINDS.items() if name != "GEOGRAPHY"}
_OLD_NAMES = {"INT64": "INTEGER", "FLOAT64": "FLOAT", "BOOL": "BOOLEAN"}
"""What the REST API calls some types in answers, and takes in parameters as well."""
_NEW_NAMES = {old: new for new, old in _OLD_NAMES.items()}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FIRST_DAY = date(1970, 1, 1)
_TICK = timedelta.resolution
_EXACT = Context(prec=100)


def parse_type(text: str) -> Type:
    """Return the type that a text like `ARRAY<STRUCT<a STRING, b NUMERIC(10, 2)>>` names."""
    kind, _, inner = text.strip().partition("<")
    found = type_pb2.TypeProto()
    members = _split(inner[:-1])
    match kind.upper():
        case "ARRAY":
            found.type_kind = type_pb2.TYPE_ARRAY
            found.array_type.element_type.CopyFrom(parse_type(inner[:-1]))
        case "RANGE":
            found.type_kind = type_pb2.TYPE_RANGE
            found.range_type.element_type.CopyFrom(parse_type(inner[:-1]))
        case "STRUCT":
            found.type_kind = type_pb2.TYPE_STRUCT
            for name, _, member in (each.partition(" ") for each in members):
                found.struct_type.field.add(field_name=name, field_type=parse_type(member))
        case name:
            found.type_kind = type_pb2.TypeKind.Value(f"TYPE_{_KINDS[name.partition('(')[0]]}")
    return found


def type_text(kind: Type) -> str:
    """Return a type as BigQuery writes it."""
    if kind.type_kind == type_pb2.TYPE_ARRAY:
        return f"ARRAY<{type_text(kind.array_type.element_type)}>"
    if kind.type_kind == type_pb2.TYPE_RANGE:
        return f"RANGE<{type_text(kind.range_type.element_type)}>"
    if kind.type_kind == type_pb2.TYPE_STRUCT:
        return f"STRUCT<{', '.join(f'{each.field_name} {type_text(each.field_type)}' for each in kind.struct_type.field)}>"
    return _NAMES[kind.type_kind]


def to_value(value: Any, kind: Type) -> Any:
    """Return a Python value as the engine takes it. A STRUCT is a tuple, a RANGE two values, an INTERVAL its sixteen bytes."""
    out = value_pb2.ValueProto()
    if value is None:
        return out
    name = "STRUCT" if kind.type_kind == type_pb2.TYPE_STRUCT else type_text(kind).partition("<")[0]
    if name == "ARRAY":
        out.array_value.SetInParent()
        for each in value:
            out.array_value.element.add().CopyFrom(to_value(each, kind.array_type.element_type))
    elif name == "STRUCT":
        out.struct_value.SetInParent()
        for each, member in zip(value, kind.struct_type.field, strict=True):
            out.struct_value.field.add().CopyFrom(to_value(each, member.field_type))
    elif name == "RANGE":
        out.range_value.start.CopyFrom(to_value(value[0], kind.range_type.element_type))
        out.range_value.end.CopyFrom(to_value(value[1], kind.range_type.element_type))
    elif name == "TIMESTAMP":
        microseconds = (value - _EPOCH) // _TICK
        out.timestamp_value.seconds = microseconds // 10**6
        out.timestamp_value.nanos = microseconds % 10**6 * 1000
    elif name == "DATETIME":
        out.datetime_value.bit_field_datetime_seconds = (value.year << 26) | (value.month << 22) | (value.day << 17) | _clock(value)
        out.datetime_value.nanos = value.microsecond * 1000
    else:
        attribute, write = _WRITTEN[name]
        setattr(out, attribute, write(value))
    return out


def from_value(value: Any, kind: Type) -> Any:
    """Return the Python value of what the engine answers; the inverse of `to_value`."""
    which = value.WhichOneof("value")
    if which is None:
        return None
    read = _READ.get(which)
    return getattr(value, which) if read is None else read(getattr(value, which), kind)


def _from_datetime(value: Any, _: Type) -> datetime:
    bits = value.bit_field_datetime_seconds
    return datetime.combine(date(bits >> 26, bits >> 22 & 15, bits >> 17 & 31), _from_clock(bits, value.nanos))


def _from_struct(value: Any, kind: Type) -> tuple[Any, ...]:
    return tuple(from_value(each, member.field_type) for each, member in zip(value.field, kind.struct_type.field, strict=True))


def field_of(name: str, kind: Type) -> dict[str, Any]:
    """Return a column of a schema as the REST API describes it."""
    if kind.type_kind == type_pb2.TYPE_ARRAY:
        return {**field_of(name, kind.array_type.element_type), "mode": "REPEATED"}
    found: dict[str, Any] = {"name": name, "mode": "NULLABLE"}
    if kind.type_kind == type_pb2.TYPE_STRUCT:
        return {**found, "type": "RECORD", "fields": [field_of(each.field_name, each.field_type) for each in kind.struct_type.field]}
    if kind.type_kind == type_pb2.TYPE_RANGE:
        return {**found, "type": "RANGE", "rangeElementType": {"type": type_text(kind.range_type.element_type)}}
    return {**found, "type": _OLD_NAMES.get(type_text(kind), type_text(kind))}


def to_cell(value: Any, kind: Type, *, ticks: bool) -> Any:
    """Return a value as the REST API answers it. `ticks`: times as whole microseconds, as newer clients ask for."""
    if kind.type_kind == type_pb2.TYPE_ARRAY:
        return [{"v": to_cell(each, kind.array_type.element_type, ticks=ticks)} for each in value or ()]
    if value is None:
        return None
    match type_text(kind).partition("<")[0]:
        case "STRUCT":
            members = zip(value, kind.struct_type.field, strict=True)
            found: Any = {"f": [{"v": to_cell(each, member.field_type, ticks=ticks)} for each, member in members]}
        case "RANGE":
            ends = [to_cell(each, kind.range_type.element_type, ticks=True) or "UNBOUNDED" for each in value]
            found = f"[{ends[0]}, {ends[1]})"
        case "TIMESTAMP":
            found = _timestamp_text((value - _EPOCH) // _TICK, ticks=ticks)
        case name:
            found = _CELLS.get(name, str)(value)
    return found


def from_parameter(parameter: Mapping[str, Any]) -> tuple[str, Any]:
    """Return the type and the value of a query's parameter."""
    kind = parameter["parameterType"]["type"]
    value = parameter.get("parameterValue", {})
    if kind == "ARRAY":
        inner = _NEW_NAMES.get(inner := parameter["parameterType"]["arrayType"]["type"], inner)
        return f"ARRAY<{inner}>", [_scalar(each.get("value"), inner) for each in value.get("arrayValues", ())]
    kind = _NEW_NAMES.get(kind, kind)
    return kind, _scalar(value.get("value"), kind)


def _scalar(text: str | None, kind: str) -> Any:
    if text is None:
        return None
    return _FROM_TEXT.get(kind, str)(text)


def _timestamp_text(microseconds: int, *, ticks: bool) -> str:
    return str(microseconds) if ticks else f"{microseconds / 10**6:.6f}"


def _timestamp(text: str) -> datetime:
    moment = datetime.fromisoformat(re.sub(r"\s*(UTC|Z)$", "+00:00", text))
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _split(text: str) -> list[str]:
    """Split at the commas that stand in no brackets."""
    members, depth = [""], 0
    for each in text:
        depth += (each in "<(") - (each in ">)")
        if each == "," and not depth:
            members.append("")
        else:
            members[-1] += each
    return [each.strip() for each in members if each.strip()]


def _clock(value: datetime | time) -> int:
    return (value.hour << 12) | (value.minute << 6) | value.second


def _from_clock(bits: int, nanos: int) -> time:
    return time(bits >> 12 & 31, bits >> 6 & 63, bits & 63, nanos // 1000)


def _interval_text(content: bytes) -> str:
    """Return an interval as BigQuery writes it, `1-2 3 4:5:6.789`, from microseconds, days and months with a sign of their own."""
    microseconds = int.from_bytes(content[:8], "little", signed=True)
    days = int.from_bytes(content[8:12], "little", signed=True)
    more = int.from_bytes(content[12:], "little")
    months = (more >> 13 & 0x3FFFF) * (-1 if more >> 31 else 1)
    seconds, fraction = divmod(abs(microseconds), 10**6)
    clock = f"{seconds // 3600}:{seconds // 60 % 60}:{seconds % 60}" + (f".{fraction:06}".rstrip("0") if fraction else "")
    return f"{'-' * (months < 0)}{abs(months) // 12}-{abs(months) % 12} {days} {'-' * (microseconds < 0)}{clock}"


def _scaled(value: Any, digits: int) -> bytes:
    number = int(Decimal(value).scaleb(digits, _EXACT))
    return number.to_bytes((number.bit_length() + 8) // 8, "little", signed=True)


def _unscaled(content: bytes, digits: int) -> Decimal:
    return Decimal(int.from_bytes(content, "little", signed=True)).scaleb(-digits, _EXACT)


_WRITTEN: Mapping[str, tuple[str, Callable[[Any], object]]] = {
    "STRING": ("string_value", str),
    "INT64": ("int64_value", int),
    "BOOL": ("bool_value", bool),
    "FLOAT64": ("double_value", float),
    "BYTES": ("bytes_value", bytes),
    "INTERVAL": ("interval_value", bytes),
    "JSON": ("json_value", lambda value: value if isinstance(value, str) else json.dumps(value)),
    "DATE": ("date_value", lambda value: (value - _FIRST_DAY).days),
    "TIME": ("time_value", lambda value: (_clock(value) << 30) | (value.microsecond * 1000)),
    "NUMERIC": ("numeric_value", lambda value: _scaled(value, 9)),
    "BIGNUMERIC": ("bignumeric_value", lambda value: _scaled(value, 38)),
}
_READ: Mapping[str, Callable[[Any, Type], object]] = {
    "array_value": lambda value, kind: [from_value(each, kind.array_type.element_type) for each in value.element],
    "struct_value": _from_struct,
    "range_value": lambda value, kind: tuple(from_value(each, kind.range_type.element_type) for each in (value.start, value.end)),
    "timestamp_value": lambda value, _: _EPOCH + timedelta(seconds=value.seconds, microseconds=value.nanos // 1000),
    "datetime_value": _from_datetime,
    "date_value": lambda days, _: _FIRST_DAY + timedelta(days=days),
    "time_value": lambda bits, _: _from_clock(bits >> 30, bits & ((1 << 30) - 1)),
    "numeric_value": lambda content, _: _unscaled(content, 9),
    "bignumeric_value": lambda content, _: _unscaled(content, 38),
}
_CELLS: Mapping[str, Callable[[Any], str]] = {
    "BOOL": lambda value: str(value).lower(),
    "BYTES": lambda value: base64.b64encode(value).decode(),
    "INTERVAL": _interval_text,
    "DATETIME": lambda value: str(value.isoformat()),
    "NUMERIC": lambda value: format(value.normalize(_EXACT), "f"),
    "BIGNUMERIC": lambda value: format(value.normalize(_EXACT), "f"),
}
_FROM_TEXT: Mapping[str, Callable[[str], object]] = {
    "INT64": int,
    "FLOAT64": float,
    "BOOL": lambda text: text.lower() == "true",
    "TIMESTAMP": _timestamp,
    "DATE": date.fromisoformat,
    "DATETIME": datetime.fromisoformat,
    "TIME": time.fromisoformat,
    "NUMERIC": Decimal,
    "BIGNUMERIC": Decimal,
    "BYTES": base64.b64decode,
}
