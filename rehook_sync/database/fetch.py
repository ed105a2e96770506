"""Reading rows from a warehouse: in pages, tolerant of values Python cannot hold, and without holding up writers."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import chain, islice
from typing import Any

from sqlalchemy import Connection, TextClause
from sqlalchemy.exc import OperationalError

from rehook_sync.database.engine import Database
from rehook_sync.values import exact_json

__all__ = ["fetch", "keep", "lenient_loader", "opened", "text_or_bytes"]

_FETCH_ROWS = 500
_POSTGRESQL_TIMES = ("date", "time", "timetz", "timestamp", "timestamptz", "interval")


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


def text_or_bytes(content: bytes) -> str | bytes:
    """Return UTF-8 as text, other bytes unchanged."""
    try:
        return content.decode()
    except UnicodeDecodeError:
        return content


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
                return text_or_bytes(bytes(content))

    return LenientLoader


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
