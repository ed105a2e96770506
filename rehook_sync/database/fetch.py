"""Reading rows from a warehouse: in pages of a bounded size, and tolerant of values Python cannot hold."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any

from sqlalchemy import Connection, TextClause
from sqlalchemy.exc import OperationalError

from rehook_sync.database import sqlite
from rehook_sync.database.loaders import text_or_bytes

__all__ = ["Page", "Pages", "fetch"]

Page = Sequence[Sequence[Any]]
_FIRST_PAGE = 20
_PAGE_ROWS = 250
_PAGE_BYTES = 4 << 20


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
        if not sqlite.is_undecodable(error):
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


def _pages(connection: Connection, statement: TextClause, values: Mapping[str, object], pages: Pages) -> Iterator[Page]:
    with connection.execute(statement, values, execution_options={"stream_results": True}) as result:
        cursor = result.cursor
        try:
            while page := result.fetchmany(pages.rows):
                yield page
        finally:
            if result.cursor is not None:  # at the end it is closed, and some drivers take it ill to be asked again
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
