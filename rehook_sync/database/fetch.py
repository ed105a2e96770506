"""Reading rows from a warehouse: in pages, tolerant of values Python cannot hold, and without holding up writers."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import chain, islice
from typing import Any

from sqlalchemy import Connection, TextClause
from sqlalchemy.exc import OperationalError

from rehook_sync.database.engine import Database
from rehook_sync.times import iso_interval
from rehook_sync.values import BrokenText, InfiniteTime, exact_json

__all__ = ["DriverText", "fetch", "keep", "lenient_loader", "opened", "text_loader", "text_or_bytes"]

_FETCH_ROWS = 500
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


@contextmanager
def opened(database: Database) -> Iterator[Connection]:
    """Open a connection whose driver gives values Python cannot hold as text, and decimals in JSON exactly."""
    with database.connect() as connection:
        if database.dialect == "postgresql" and not connection.info.get("rehook_loaders"):
            _add_loaders(connection)
            connection.info["rehook_loaders"] = True
        yield connection


def keep(connection: Connection, statement: TextClause, values: Mapping[str, object]) -> None:
    """Execute a statement that creates a temporary table on a SQLite connection; closing the connection drops it.

    While a statement reads the file, its write-ahead log cannot be reset: during a long delivery it would outgrow the
    file many times over. A temporary table is not in the file.
    """
    connection.detach()
    connection.exec_driver_sql("PRAGMA query_only = OFF")
    connection.execute(statement, values)
    connection.commit()
    connection.exec_driver_sql("PRAGMA query_only = ON")
    connection.exec_driver_sql("PRAGMA temp.cache_size = 16")  # pages; each is read once
    connection.exec_driver_sql("PRAGMA shrink_memory")
    connection.rollback()


def fetch(
    connection: Connection, statement: TextClause, values: Mapping[str, object], *, streamed: bool = False
) -> Iterator[Sequence[Any]]:
    """Yield rows, fetched in pages. `streamed`: the database keeps the rest until it is asked for."""
    yielded = 0
    try:
        for page in _partitions(connection, statement, values, streamed):
            yield from page
            yielded += len(page)
    except OperationalError as error:
        if connection.dialect.name != "sqlite" or "decode" not in str(error.orig):
            raise
        driver: Any = connection.connection.dbapi_connection
        # A text in SQLite may be no UTF-8. The same snapshot gives the same rows in the same order, so go on after those yielded.
        driver.text_factory = text_or_bytes
        try:
            again = chain.from_iterable(_partitions(connection, statement, values, streamed))
            yield from islice(again, yielded, None)
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


def _partitions(connection: Connection, statement: TextClause, values: Mapping[str, object], streamed: bool) -> Iterator[Sequence[Any]]:
    # The size is given here: for textual statements SQLAlchemy ignores the option `yield_per` and would read all rows at once.
    with connection.execute(statement, values, execution_options={"stream_results": streamed}) as result:
        yield from result.partitions(_FETCH_ROWS)


def _add_loaders(connection: Connection) -> None:
    """Register lenient loaders with psycopg; any other driver stays as it is."""
    adapters = getattr(connection.connection.driver_connection, "adapters", None)
    if adapters is None:
        return
    failures = (connection.dialect.loaded_dbapi.DataError, ValueError, ArithmeticError, RecursionError)
    for name in (*_POSTGRESQL_TIMES, "json", "jsonb"):
        oid = adapters.types[name].oid
        loader = exact_json if name.startswith("json") else adapters.get_loader(oid, 0)
        adapters.register_loader(oid, lenient_loader(loader, failures))
    for name in (*_POSTGRESQL_TEXTS, "interval"):
        oid = adapters.types[name].oid
        former = lenient_loader(adapters.get_loader(oid, 0), failures)
        adapters.register_loader(oid, text_loader(former, iso_interval if name == "interval" else str))
