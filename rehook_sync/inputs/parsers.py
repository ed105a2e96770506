"""What people write as settings, read into values. Pure.

Each function takes what the environment, a file or a caller gives, and raises a ValueError that says what the value must be.
"""

import json
import re
from collections.abc import Mapping
from datetime import timedelta
from urllib.parse import urlsplit

from pydantic import SecretStr

from rehook_sync.models import Stream
from rehook_sync.rehook.addresses import is_loopback
from rehook_sync.times import read_duration, read_moment

__all__ = [
    "as_api_key",
    "as_api_url",
    "as_database_url",
    "as_duration",
    "as_names",
    "as_number",
    "as_options",
    "as_renames",
    "as_sources",
    "as_start",
]


def as_start(value: object) -> object:
    """Read a time, a date or `beginning`."""
    try:
        return value if value is None or value == "beginning" else read_moment(value)
    except (ValueError, OverflowError):
        raise ValueError("must be 'beginning' or an ISO-8601 time") from None


def as_duration(value: object) -> object:
    """Read a duration: a text such as `3d`, or seconds."""
    try:
        if isinstance(value, str):
            found = read_duration(value)
            return found if found is not None else timedelta(seconds=float(value))
        if isinstance(value, int | float) and not isinstance(value, bool):
            return timedelta(seconds=value)
        if isinstance(value, timedelta):
            return value
    except (ValueError, OverflowError):
        pass
    raise ValueError("must be a duration such as 3d, 36h, 90m, P3D, or seconds")


def as_number(value: object) -> object:
    """Refuse a truth value, which counts as a number elsewhere."""
    if isinstance(value, bool):
        raise ValueError("must be a number")  # noqa: TRY004 - as all others here
    return value


def as_names(value: object) -> object:
    """Read a list of names: a list, JSON, or names separated by commas."""
    if isinstance(value, str):
        value = _from_json(value) if value.lstrip().startswith("[") else [part.strip() for part in value.split(",") if part.strip()]
    if not isinstance(value, list | tuple | set | frozenset) or not all(isinstance(name, str) and name for name in value):
        raise ValueError("must be a list of names: JSON, or separated by commas")
    return frozenset(value)


def as_renames(value: object) -> object:
    """Read column -> key: a table, JSON, or `column=key` separated by commas."""
    if isinstance(value, str):
        pairs = [part.partition("=") for part in value.split(",") if part.strip()]
        value = _from_json(value) if value.lstrip().startswith("{") else {column.strip(): key.strip() for column, _, key in pairs}
    if not isinstance(value, Mapping) or not all(isinstance(name, str) and name for pair in value.items() for name in pair):
        raise ValueError("must name a key for each column: JSON, or column=key separated by commas")
    return dict(value)


def as_options(value: object) -> dict[str, SecretStr | int | float | bool]:
    """Read name -> what a driver is given: a table, JSON, or `name=value` between commas. A text may be a secret."""
    if isinstance(value, str):
        pairs = [part.partition("=") for part in value.split(",") if part.strip()]
        value = _from_json(value) if value.lstrip().startswith("{") else {name.strip(): text.strip() for name, _, text in pairs}
    if not isinstance(value, Mapping) or not all(isinstance(name, str) and name.isidentifier() for name in value):
        raise ValueError("must be a table of a driver's options: JSON, or name=value between commas")
    for name, given in value.items():
        if not isinstance(given, str | SecretStr | int | float) or given == "":
            raise ValueError(f"must give a text, a number or a truth value for {name}")
    return {name: SecretStr(given) if isinstance(given, str) else given for name, given in value.items()}


def as_other_calls(value: object) -> object:
    """Read table -> event name: a table, JSON, or `table=event` separated by commas."""
    try:
        return as_renames(value)
    except ValueError as error:
        known = str(error) if "JSON" in str(error) and "separated" not in str(error) else ""
        raise ValueError(known or "must name an event for each table: JSON, or table=event separated by commas") from None


def stream_of(table: str) -> Stream:
    """Return the stream of a table of calls: BigQuery's view and its table are one, in any case."""
    return Stream(table.casefold().removesuffix("_view"))


def as_sources(value: object) -> object:
    """Read name -> schema: a table, a list or JSON, or between commas; an entry is a schema, which is also the name, or `name=schema`."""
    if isinstance(value, str):
        value = _from_json(value) if value.lstrip().startswith(("[", "{")) else value.split(",")
    if not isinstance(value, Mapping):
        entries = [entry for entry in value if isinstance(entry, str)] if isinstance(value, list | tuple) else []
        if not isinstance(value, list | tuple) or len(entries) < len(value):
            raise ValueError("must be the schema of one source, or a list of schemas")
        parts = [(name.strip(), mark, schema.strip()) for name, mark, schema in (entry.partition("=") for entry in entries)]
        value = {name: schema if mark else name for name, mark, schema in parts}
        if len(value) < len(parts):
            raise ValueError("must name each source once")
    if not all(isinstance(text, str) and text and text.isprintable() for pair in value.items() for text in pair):
        raise ValueError("must be schemas, or name=schema, between commas")
    if len(set(value.values())) < len(value):
        raise ValueError("must name each schema once")
    return dict(value)


def _from_json(text: str) -> object:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise ValueError("is no valid JSON") from None


def as_database_url(value: SecretStr) -> SecretStr:
    """Read a SQLAlchemy URL."""
    if not re.match(r"[A-Za-z][A-Za-z0-9_+.-]*://", value.get_secret_value()):
        raise ValueError("is not a database URL")
    # What libpq and most hosts of PostgreSQL write; SQLAlchemy knows only the longer name.
    return SecretStr(re.sub(r"^postgres(?=\+|:)", "postgresql", value.get_secret_value()))


def as_api_url(value: str) -> str:
    """Read the address of an API."""
    if not value.isascii() or not value.isprintable() or " " in value or "\\" in value:
        raise ValueError("must be a URL without spaces or special characters")
    try:
        parts = urlsplit(value)
        host = parts.hostname if parts.port != 0 else None
    except ValueError:
        host = None
    if not host or parts.scheme not in ("https", "http"):
        raise ValueError("must be a URL with a host")
    if "@" in parts.netloc:
        raise ValueError("must not hold a user or password; they are REHOOK_SYNC_API_KEY and REHOOK_SYNC_API_SECRET")
    if "?" in value or "#" in value:
        raise ValueError("must not hold a query or fragment")
    if parts.scheme == "http" and not is_loopback(host):
        raise ValueError("must use https; plain http is only for a loopback host such as http://127.0.0.1:8080")
    return value.rstrip("/")


def as_api_key(value: SecretStr) -> SecretStr:
    """Read an API key."""
    if ":" in value.get_secret_value():
        raise ValueError("must not hold a colon; it ends the user name of HTTP Basic")
    return value
