"""What psycopg makes of values: tolerant of those that Python cannot hold, and exact."""

from collections.abc import Callable
from typing import Any

from rehook_sync.database.kinds import followed_json
from rehook_sync.times import iso_interval
from rehook_sync.values import BrokenText, InfiniteTime

__all__ = ["DriverText", "add_loaders", "lenient_loader", "text_loader", "text_or_bytes"]

_TIMES = ("date", "time", "timetz", "timestamp", "timestamptz")
_RANGES = ("int4", "int8", "num", "date", "ts", "tstz")
_TEXTS = ("inet", "cidr", *(f"{each}range" for each in _RANGES), *(f"{each}multirange" for each in _RANGES))
"""Types that psycopg gives as objects of its own, and we as PostgreSQL writes them."""
_INFINITIES = ("infinity", "-infinity")


class DriverText(str):
    """The text of a value that a driver gives as an object of its own. Its repr is the object's: calls without an id are named by it."""

    load: Callable[[], object]

    def __repr__(self) -> str:
        """Return the repr of the object."""
        return repr(self.load())

    def __reduce__(self) -> tuple[type[str], tuple[str]]:
        """Put the text alone aside: a call has its name by then."""
        return str, (str(self),)


def text_or_bytes(content: bytes) -> str | BrokenText:
    """Return UTF-8 as text, other bytes unchanged."""
    try:
        return content.decode()
    except UnicodeDecodeError:
        return BrokenText(content)


def lenient_loader(strict: Callable[..., Any], failures: tuple[type[Exception], ...]) -> type:
    """Return a psycopg loader that gives the text of a value Python cannot hold.

    Shape:  strict: a psycopg loader of the text format, or a function that reads one value.
    PostgreSQL has `infinity` and years that Python lacks; one such value must not end the whole read.
    """

    class LenientLoader:
        format = 0

        def __init__(self, oid: int, context: object = None) -> None:
            self._load = strict(oid, context).load if isinstance(strict, type) else strict

        def load(self, content: bytes | memoryview) -> object:
            try:
                return self._load(content)
            except failures:
                text = text_or_bytes(bytes(content))
                return InfiniteTime(text) if text in _INFINITIES else text

    return LenientLoader


def text_loader(loader: Callable[..., Any], form: Callable[[str], str]) -> type:
    """Return a psycopg loader that gives the text of a value.

    Shape:  loader: the psycopg loader whose objects name calls without an id.  form: PostgreSQL's text to ours.
    """

    class TextLoader:
        format = 0

        def __init__(self, oid: int, context: object = None) -> None:
            self._load = loader(oid, context).load

        def load(self, content: bytes | memoryview) -> object:
            content = bytes(content)
            text = content.decode()
            if text in _INFINITIES:
                return InfiniteTime(text)
            given = DriverText(form(text))
            given.load = lambda: self._load(content)
            return given

    return TextLoader


def add_loaders(connection: object, data_error: type[Exception]) -> None:
    """Let a connection of psycopg give values Python cannot hold as text, and decimals in JSON exactly; any other driver stays as it is.

    Shape:  data_error: the driver's, for a value that it cannot hold.
    """
    adapters = getattr(connection, "adapters", None)
    if adapters is None:
        return
    failures = (data_error, ValueError, ArithmeticError, RecursionError)
    for name in (*_TIMES, "json", "jsonb"):
        oid = adapters.types[name].oid
        loader = followed_json if name.startswith("json") else adapters.get_loader(oid, 0)
        adapters.register_loader(oid, lenient_loader(loader, failures))
    for name in (*_TEXTS, "interval"):
        oid = adapters.types[name].oid
        former = lenient_loader(adapters.get_loader(oid, 0), failures)
        adapters.register_loader(oid, text_loader(former, iso_interval if name == "interval" else str))
