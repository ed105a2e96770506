"""Values put aside: in order, private, and with one line when there is no room."""

import os
from contextlib import suppress
from pathlib import Path

import pytest

from rehook_sync.database.spool import Spool
from rehook_sync.errors import DatabaseError


def open_files() -> set[tuple[int, str]]:
    """The descriptors of this process, and what they are open to."""
    found = set()
    for each in Path("/proc/self/fd").iterdir():
        with suppress(OSError):  # the folder's own, closed by now
            found.add((int(each.name), str(each.readlink())))
    return found


def test_values_come_in_the_order_of_their_keys_and_equal_ones_as_they_came() -> None:
    with Spool() as spool:
        spool.put([(2, b"a", b"third"), (1, b"b", b"first")])
        spool.put([(1, b"b", b"second"), (2, b"\xff", b"last"), (-(2**62), b"", b"before")])
        assert list(spool.in_order()) == [b"before", b"first", b"second", b"third", b"last"]


def test_what_came_last_can_be_cut_off() -> None:
    with Spool() as spool:
        spool.put([(1, b"", b"kept"), (2, b"", b"cut")])
        spool.cut(1)
        spool.put([(0, b"", b"instead")])
        spool.cut(5)
        assert (spool.count, list(spool.in_order())) == (2, [b"instead", b"kept"])


def test_tuples_come_as_they_came() -> None:
    with Spool() as spool:
        spool.put_each([("b", 2), ("a", None)])
        assert list(spool.each()) == [("b", 2), ("a", None)]


def test_no_other_process_can_open_what_is_put_aside() -> None:
    before = open_files()
    with Spool() as spool:
        spool.put((at, b"", b"personal" * 1000) for at in range(2000))
        ((descriptor, name),) = open_files() - before
        assert name.endswith(" (deleted)"), "it has no name"
        found = os.fstat(descriptor)
        assert (found.st_mode & 0o777, found.st_nlink, found.st_size > 1_000_000) == (0o600, 0, True)
    assert open_files() == before


def test_a_full_disk_is_one_line() -> None:
    with Spool() as spool:
        spool._file.execute("PRAGMA max_page_count = 10")
        with pytest.raises(DatabaseError, match="folder for temporary files: database or disk is full; let TMPDIR") as error:
            spool.put((at, b"", b"x" * 5000) for at in range(100))
    assert "\n" not in str(error.value)
