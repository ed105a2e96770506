"""Values put aside in a private temporary file, so that no transaction stays open on the database they came from."""

import pickle
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Self

from rehook_sync.database.queries import load_queries
from rehook_sync.errors import DatabaseError

__all__ = ["Spool", "pack", "unpack"]

_PICKLE = 5

_FILE = ""
"""SQLite's name for a database in a temporary file: readable for its owner alone, removed from its folder as soon as it is
made, so gone with the process however that ends. What fits into the cache never reaches the disk."""
_SETTINGS = ("PRAGMA journal_mode = OFF", "PRAGMA synchronous = OFF", "PRAGMA cache_size = -4096")
_ALL_AT_ONCE = "BEGIN"


class Spool:
    """Values put in any order and read in the order of their keys: a number, then bytes. Close it after use.

    Shape:  count: values in it.
    Raises: DatabaseError, also by its methods, when there is no room for them.
    """

    def __init__(self) -> None:
        """Make an empty one. One thread at a time may use it."""
        self._sql = {name: query.sql for name, query in load_queries("spool", "sqlite").items()}
        self.count = 0
        with _gate():
            self._file = sqlite3.connect(_FILE, isolation_level=None, check_same_thread=False)
            for each in (*_SETTINGS, self._sql["create_spool"], _ALL_AT_ONCE):
                self._file.execute(each)

    def __enter__(self) -> Self:
        """Return this object; the end of the block closes it."""
        return self

    def __exit__(self, *_error: object) -> None:
        """Close."""
        self.close()

    def put(self, values: Iterable[tuple[int, bytes, bytes]]) -> None:
        """Put values aside: the number and the bytes of the key, and the content."""
        with _gate():
            self.count += self._file.executemany(self._sql["put_aside"], values).rowcount

    def put_each(self, values: Iterable[tuple[object, ...]]) -> None:
        """Put tuples aside, to be read as they came."""
        self.put((0, b"", pack(each)) for each in values)

    def cut(self, count: int) -> None:
        """Remove what came after the first `count` values."""
        if count < self.count:
            with _gate():
                self._file.execute(self._sql["cut_spool"], (count,))
            self.count = count

    def in_order(self) -> Iterator[bytes]:
        """Yield the contents by their keys, equal keys as they came. Nothing can be put aside any more."""
        with _gate():
            self._file.execute(self._sql["sort_spool"])
            for (content,) in self._file.execute(self._sql["read_spool"]):
                yield content

    def each(self) -> Iterator[Any]:
        """Yield what `put_each` put aside."""
        return map(unpack, self.in_order())

    def close(self) -> None:
        """Remove the file."""
        self._file.close()


def pack(values: tuple[object, ...]) -> bytes:
    """Return values as a spool keeps them. Raises: TypeError and RecursionError for what cannot be kept."""
    return pickle.dumps(values, _PICKLE)


def unpack(content: bytes) -> Any:  # noqa: ANN401 - whatever was packed
    """Return what `pack` packed."""
    return pickle.loads(content)  # noqa: S301 - this process wrote it, into a file that nobody else can open


@contextmanager
def _gate() -> Iterator[None]:
    """Turn an error of the file into one line."""
    try:
        yield
    except sqlite3.Error as error:
        raise DatabaseError(
            f"rows could not be put aside in the folder for temporary files: {error}; "
            "let TMPDIR name a folder with room for the rows of the window, or read less at a time with --since and --until"
        ) from error
