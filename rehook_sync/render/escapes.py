"""Text that can be shown: no control characters and no markup reach a terminal or a log."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from enum import Enum

__all__ = ["document_json", "time_text", "visible"]


def visible(value: object) -> str:
    """Return text with unprintable characters, line ends included, as escapes."""
    text = str(value)
    return text if text.isprintable() else "".join(each if each.isprintable() else _escape(each) for each in text)


def _escape(character: str) -> str:
    number = ord(character)
    return f"\\x{number:02x}" if number < 0x100 else f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}"


def document_json(document: Mapping[str, object], indent: int | None = None) -> str:
    """Return a document as JSON: times as ISO-8601 UTC, enums as text, unprintable characters escaped."""
    text = json.dumps(_plain(document), ensure_ascii=False, indent=indent)
    return text if text.isprintable() else "".join(each if each.isprintable() or each == "\n" else _json_escape(each) for each in text)


def _json_escape(character: str) -> str:
    return json.dumps(character)[1:-1]


def time_text(value: datetime) -> str:
    """Return a time as ISO-8601 in UTC."""
    return value.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _plain(value: object) -> object:
    if isinstance(value, Enum):
        return _plain(value.value)
    if isinstance(value, datetime):
        return time_text(value)
    if isinstance(value, Mapping):
        return {str(_plain(key)): _plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(each) for each in value]
    return value if value is None or isinstance(value, str | int | float) else str(value)
