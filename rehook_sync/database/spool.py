"""Values put aside and sorted, so that no transaction stays open on the database they came from.

A few are kept in memory. The others go into a private temporary file, as runs: each is sorted, and all are merged when they are read.
"""

import os
import pickle
import tempfile
from array import array
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from heapq import merge
from itertools import pairwise, starmap
from math import isqrt
from typing import IO, Any, Self

from rehook_sync.errors import DatabaseError
from rehook_sync.values import too_deep

__all__ = ["Spool", "as_kept"]

_KEPT_BYTES = 512 << 10
"""Of values in memory, at least. As objects they take three times as much."""
_BLOCK_BYTES = 8 << 10
"""Of a run that are in memory when runs are merged."""
_VALUE_BYTES = 200
"""Of a value with its key, beyond what is said of it: a call may have no field."""
_PICKLE = 5
_Entry = tuple[Any, int, Any]


class Spool:
    """Values put in any order and read in the order of their keys, equal keys as they came. Close it after use.

    Shape:  count: values in it.
    Raises: DatabaseError, also by its methods, when there is no room for them.
    """

    def __init__(self) -> None:
        """Make an empty one. One thread at a time may use it."""
        self.count = 0
        self._kept: list[_Entry] = []
        self._bytes = self._all_bytes = 0
        self._next = self._written = 0  # the number of the next value, and of the first that is not in the file
        self._removed: list[tuple[int, int]] = []
        self._runs: list[tuple[int, Sequence[int]]] = []
        self._file: IO[bytes] | None = None

    def __enter__(self) -> Self:
        """Return this object; the end of the block closes it."""
        return self

    def __exit__(self, *_error: object) -> None:
        """Close."""
        self.close()

    def put(self, values: Iterable[tuple[Any, object]], size: int) -> None:
        """Put values aside, each with its key. Units:  size: bytes of all that they hold, about."""
        before = len(self._kept)
        self._kept += [(key, number, value) for number, (key, value) in enumerate(values, self._next)]
        added = len(self._kept) - before
        size += _VALUE_BYTES * added
        self._next += added
        self.count += added
        self._bytes += size
        self._all_bytes += size
        # This size takes the least memory in all: the more values there are, the longer are runs, so that not too many are merged.
        if self._bytes > max(_KEPT_BYTES, isqrt(self._all_bytes * _BLOCK_BYTES)):
            self._write_run()

    def put_each(self, values: Sequence[tuple[object, ...]]) -> None:
        """Put small tuples aside, to be read as they came."""
        self.put(((0, each) for each in values), 0)

    def cut(self, count: int) -> None:
        """Remove what came after the first `count` values."""
        if count >= self.count:
            return
        first = count
        for start, end in self._removed:
            if start <= first:
                first += end - start
        while self._kept and self._kept[-1][1] >= first:
            self._kept.pop()
        if first < self._written:
            self._removed = [each for each in self._removed if each[0] < first] + [(first, self._written)]
        if not self._kept:
            self._bytes = 0
        self._next = max(first, self._written)
        self.count = count

    def in_order(self) -> Iterator[Any]:
        """Yield the values by their keys. Nothing can be put aside any more."""
        entries = _emptied(sorted(self._kept, reverse=True))
        self._kept = []
        for _, number, value in merge(*starmap(_read_run, self._runs), entries) if self._runs else entries:
            if not (self._removed and any(start <= number < end for start, end in self._removed)):
                yield value

    def close(self) -> None:
        """Remove the file."""
        if self._file is not None:
            with suppress(OSError):  # on a full disk, what is left in the buffer cannot be written, as was said before
                self._file.close()

    def _write_run(self) -> None:
        entries, self._kept = sorted(self._kept), []
        most = max(1, len(entries) * _BLOCK_BYTES // self._bytes)
        with _gate():
            file = self._file = self._file or tempfile.TemporaryFile()  # noqa: SIM115 - `close` closes it
            ends = array("Q", [file.tell()])
            for start in range(0, len(entries), most):
                file.write(pickle.dumps(entries[start : start + most], _PICKLE))
                ends.append(file.tell())
            file.flush()
        self._runs.append((file.fileno(), ends))
        self._bytes, self._written = 0, self._next


def as_kept(value: object) -> tuple[object, int]:
    """Return a value as it comes back, and its bytes: bytes for a driver's view of them, something too deep for what is too deep."""
    try:
        content = pickle.dumps(value, _PICKLE)
    except TypeError:
        return (bytes(value), len(value)) if isinstance(value, memoryview) else (value, 0)
    except RecursionError:
        return too_deep(), 0
    return pickle.loads(content), len(content)  # noqa: S301 - written by the line before


def _read_run(descriptor: int, ends: Sequence[int]) -> Iterator[_Entry]:
    """Yield the entries of a run, given where its blocks end."""
    for start, end in pairwise(ends):
        with _gate():
            content = os.pread(descriptor, end - start, start)
        yield from pickle.loads(content)  # noqa: S301 - this process wrote it, into a file that nobody else can open


def _emptied(entries: list[_Entry]) -> Iterator[_Entry]:
    """Yield the entries from the last to the first, and let go of each."""
    while entries:
        yield entries.pop()


@contextmanager
def _gate() -> Iterator[None]:
    """Turn an error of the file into one line."""
    try:
        yield
    except OSError as error:
        raise DatabaseError(
            f"rows could not be put aside in the folder for temporary files: {error.strerror or error}; "
            "let TMPDIR name a folder with room for the rows of the window, or read less at a time with --since and --until"
        ) from error
