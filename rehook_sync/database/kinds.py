"""Kinds of columns, and what makes a driver's values of a kind right. Pure."""

import re
from enum import StrEnum

from rehook_sync.times import to_time
from rehook_sync.values import exact_json, to_text, too_deep

__all__ = ["Kind", "array_members", "followed_json", "from_json", "from_json_list", "nested_members", "to_boolean", "to_moment", "trimmed"]

_ARRAY = re.compile(r"(?:\[[-0-9:\[\]]+=)?\{.*\}", re.DOTALL)
_ARRAY_TOKEN = re.compile(r'("(?:[^"\\]|\\.)*")|([{},])|([^{},"]+)', re.DOTALL)
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)


class Kind(StrEnum):
    """The type of a column, as far as reading needs it. OTHER is any other type, or an unknown one.

    PADDED: `char(n)`, whose blanks at the end are no content.  ARRAY: of a type that the driver may not know and then gives as text.
    NUMBER: integers, and what SQLite stores as such.  DECIMAL: a number that may be written with decimals, such as `42.00`.
    NESTED: lists, structs and maps that the driver gives as Python's.  JSON_LIST: lists of JSON, which it gives as lists of texts.
    """

    TEXT = "text"
    PADDED = "char"
    UUID = "uuid"
    ARRAY = "array"
    TIME = "time"
    BOOLEAN = "boolean"
    JSON = "json"
    NESTED = "nested"
    JSON_LIST = "list of JSON"
    INTERVAL = "interval"
    NUMBER = "number"
    DECIMAL = "decimal number"
    UNTYPED = "untyped"
    OTHER = "another type"


def to_boolean(value: object) -> object:
    """Return the boolean that SQLite stored as 0 or 1; any other value stays."""
    return bool(value) if type(value) is int and value in (0, 1) else value


def to_moment(value: object) -> object:
    """Return the aware time that SQLite stored as text; any other value stays."""
    try:
        return to_time(value) if isinstance(value, str) else value
    except ValueError:
        return value


def trimmed(value: object) -> object:
    """Return a text of type char(n), or an array of such, without the blanks that PostgreSQL fills it up with."""
    if isinstance(value, list):
        return [trimmed(member) for member in value]
    return value.rstrip(" ") if isinstance(value, str) else value


def followed_json(content: str | bytes | memoryview) -> object:
    """Return a JSON value; one that Python cannot follow is as deep as to be refused like any that is too deep.

    Raises: ValueError for what is no JSON.
    """
    try:
        return exact_json(content)
    except RecursionError:
        return too_deep()


def from_json(value: object) -> object:
    """Return the JSON value that a driver gives as text; any other value, and text that is none, stays."""
    try:
        return followed_json(value) if isinstance(value, str) else value
    except ValueError:
        return value


def from_json_list(value: object) -> object:
    """Return a list whose members are JSON that a driver gives as text."""
    return [from_json_list(member) for member in value] if isinstance(value, list | tuple) else from_json(value)


def nested_members(value: object) -> object:
    """Return a list, struct or map as JSON has them: the keys of an object are texts."""
    if isinstance(value, dict):
        return {_key(key): nested_members(member) for key, member in value.items()}
    return [nested_members(member) for member in value] if isinstance(value, list | tuple) else value


def _key(key: object) -> str:
    try:
        return str(to_text(key))
    except ValueError:
        return str(key)


def array_members(value: object) -> object:
    """Return the list that PostgreSQL writes as `{a,"b c",NULL}`; any other value stays."""
    if not isinstance(value, str) or not _ARRAY.fullmatch(value):
        return value
    lists: list[list[object]] = [[]]
    for quoted, mark, plain in _ARRAY_TOKEN.findall(value.partition("=")[2] if value.startswith("[") else value):
        if mark == "{":
            lists.append([])
        elif mark == "}":
            inner = lists.pop()
            lists[-1].append(inner)
        elif not mark:
            lists[-1].append(_ESCAPED.sub(r"\1", quoted[1:-1]) if quoted else None if plain == "NULL" else plain)
    return lists[0][0]
