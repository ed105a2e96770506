"""Reading rows from a warehouse: in pages of a bounded size, and tolerant of values Python cannot hold."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from sqlalchemy import Connection, TextClause
from sqlalchemy.exc import OperationalError

from rehook_sync.database.engine import Database
from rehook_sync.times import iso_interval
from rehook_sync.values import BrokenText, InfiniteTime, exact_json, too_deep

__all__ = ["DriverText", "Page", "Pages", "fetch", "lenient_loader", "opened", "text_loader", "text_or_bytes"]

Page = Sequence[Sequence[Any]]
_FIRST_PAGE = 20
_PAGE_ROWS = 200
_PAGE_BYTES = 4 << 20
_POSTGRESQL_TIMES = ("date", "time", "timetz", "timestamp", "timestamptz")
_RANGES = ("int4", "int8", "num", "date", "ts", "tstz")
_POSTGRESQL_TEXTS = ("inet", "cidr", *(f"{each}range" for each in _RANGES), *(f"{each}multirange" for each in _RANGES))
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


@contextmanager
def opened(database: Database) -> Iterator[Connection]:
    """Open a connection whose driver gives values Python cannot hold as text, and decimals in JSON exactly."""
    with database.connect() as connection:
        if database.dialect == "postgresql" and not connection.info.get("rehook_loaders"):
            _add_loaders(connection)
            connection.info["rehook_loaders"] = True
        yield connection


class Pages:
    """How many rows are fetched at a time: as many as take a few megabytes, by the largest row met so far."""

    def __init__(self) -> None:
        """Begin with a small page."""
        self.rows = _FIRST_PAGE
        self._largest = 1

    def heed(self, largest: int) -> None:
        """Adapt to a page whose largest row takes so many bytes."""
        self._largest = max(self._largest, largest)
        self.rows = max(1, min(_PAGE_BYTES // self._largest, self.rows * 2, _PAGE_ROWS))


def fetch(connection: Connection, statement: TextClause, values: Mapping[str, object], pages: Pages | None = None) -> Iterator[Page]:
    """Yield pages of rows; the database keeps the rest until it is asked for."""
    yielded = 0
    pages = pages or Pages()
    try:
        for page in _pages(connection, statement, values, pages):
            yield page
            yielded += len(page)
    except OperationalError as error:
        if connection.dialect.name != "sqlite" or "decode" not in str(error.orig):
            raise
        driver: Any = connection.connection.dbapi_connection
        # A text in SQLite may be no UTF-8. The same snapshot gives the same rows in the same order, so go on after those yielded.
        driver.text_factory = text_or_bytes
        try:
            for page in _pages(connection, statement, values, pages):
                if len(page) > yielded:
                    yield page[yielded:]
                yielded = max(0, yielded - len(page))
        finally:
            driver.text_factory = str


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


def _read_json(content: bytes | memoryview) -> object:
    """Return a JSON value; one that Python cannot follow is as deep as to be refused like any that is too deep."""
    try:
        return exact_json(content)
    except RecursionError:
        return too_deep()


def _pages(connection: Connection, statement: TextClause, values: Mapping[str, object], pages: Pages) -> Iterator[Page]:
    with connection.execute(statement, values, execution_options={"stream_results": True}) as result:
        cursor = result.cursor
        try:
            while page := result.fetchmany(pages.rows):
                yield page
        finally:
            _close(cursor, connection)


def _close(cursor: Any, connection: Connection) -> None:  # noqa: ANN401 - the driver's
    """Close a cursor, also of a connection that is lost: SQLAlchemy leaves such a one open, and psycopg warns of it."""
    error = connection.dialect.loaded_dbapi.Error
    try:
        cursor.close()
    except error:
        connection.invalidate()
        with suppress(error):
            cursor.close()


def _add_loaders(connection: Connection) -> None:
    """Register lenient loaders with psycopg; any other driver stays as it is."""
    adapters = getattr(connection.connection.driver_connection, "adapters", None)
    if adapters is None:
        return
    failures = (connection.dialect.loaded_dbapi.DataError, ValueError, ArithmeticError, RecursionError)
    for name in (*_POSTGRESQL_TIMES, "json", "jsonb"):
        oid = adapters.types[name].oid
        loader = _read_json if name.startswith("json") else adapters.get_loader(oid, 0)
        adapters.register_loader(oid, lenient_loader(loader, failures))
    for name in (*_POSTGRESQL_TEXTS, "interval"):
        oid = adapters.types[name].oid
        former = lenient_loader(adapters.get_loader(oid, 0), failures)
        adapters.register_loader(oid, text_loader(former, iso_interval if name == "interval" else str))
