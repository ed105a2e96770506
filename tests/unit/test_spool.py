"""Values put aside: in order, private, and with one line when there is no room."""

import os
import random
import tempfile
import tracemalloc
import weakref
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


@pytest.fixture(params=["in memory", "in a file", "in many runs"])
def size(request: pytest.FixtureRequest) -> int:
    """Bytes that a value claims to take: all are kept in memory, all but the last are written, each is a run of its own."""
    return {"in memory": 1, "in a file": 300 << 10, "in many runs": 9 << 20}[request.param]


def put(spool: Spool, size: int, *values: tuple[tuple[int, str], object]) -> None:
    for each in values:
        spool.put([each], size)


def test_values_come_in_the_order_of_their_keys_and_equal_ones_as_they_came(size: int) -> None:
    with Spool() as spool:
        put(spool, size, ((2, "a"), "third"), ((1, "b"), "first"))
        put(spool, size, ((1, "b"), "second"), ((2, "\udcff"), "last"), ((-(2**62), ""), "before"))
        assert list(spool.in_order()) == ["before", "first", "second", "third", "last"]


def test_what_came_last_can_be_cut_off(size: int) -> None:
    with Spool() as spool:
        put(spool, size, ((1, ""), "kept"), ((2, ""), "cut"))
        spool.cut(1)
        put(spool, size, ((0, ""), "instead"))
        spool.cut(5)
        assert (spool.count, list(spool.in_order())) == (2, ["instead", "kept"])


def test_any_cuts_leave_what_a_list_would_hold(size: int) -> None:
    rng = random.Random(size)
    for _ in range(50):
        held: list[tuple[int, int]] = []
        with Spool() as spool:
            for number in range(60):
                if rng.random() < 0.2:
                    count = rng.randint(0, len(held) + 1)
                    spool.cut(count)
                    del held[count:]
                key = rng.randrange(9)
                held.append((key, number))
                spool.put([(key, number)], rng.choice((1, size)))
                assert spool.count == len(held)
            assert list(spool.in_order()) == [number for _, number in sorted(held, key=lambda each: each[0])]


def test_tuples_come_as_they_came() -> None:
    with Spool() as spool:
        spool.put_each([("b", 2), ("a", None)])
        assert list(spool.in_order()) == [("b", 2), ("a", None)]


def test_values_in_memory_are_let_go_of_as_they_are_read() -> None:
    class Value:
        """What a weak reference can be made to."""

    with Spool() as spool:
        spool.put(((at, Value()) for at in range(3)), 1)
        values = spool.in_order()
        first = weakref.ref(next(values))
        next(values)
        assert first() is None


def test_no_other_process_can_open_what_is_put_aside() -> None:
    before = open_files()
    with Spool() as spool:
        spool.put(((at, b"personal" * 1000) for at in range(2000)), 16_000_000)
        ((descriptor, name),) = open_files() - before
        assert name.endswith(" (deleted)"), "it has no name"
        found = os.fstat(descriptor)
        assert (found.st_mode & 0o777, found.st_nlink, found.st_size > 15_000_000) == (0o600, 0, True)
    assert open_files() == before


def test_many_values_make_few_runs() -> None:
    with Spool() as spool:
        for _ in range(20_000):
            spool.put([(0, None)], 100 << 10)
        assert 100 < len(spool._runs) < 1000


def test_values_that_hold_nothing_take_little_memory_too() -> None:
    tracemalloc.start()
    try:
        with Spool() as spool:
            for start in range(0, 100_000, 1000):
                spool.put(((number, (number, {})) for number in range(start, start + 1000)), 0)
            peak = tracemalloc.get_traced_memory()[1]
            assert sum(1 for _ in spool.in_order()) == 100_000
    finally:
        tracemalloc.stop()
    assert peak < 3_000_000, "in memory they would take 20 MB"


def test_little_is_written_nowhere() -> None:
    before = open_files()
    with Spool() as spool:
        spool.put(((at, b"personal" * 1000) for at in range(50)), 400_000)
        assert open_files() == before


def fill_a_full_disk(size: int) -> None:
    with Spool() as spool:
        spool._file = open("/dev/full", "rb+")  # noqa: PTH123, SIM115 - a device; the spool closes it
        spool.put(((at, b"x" * size) for at in range(2000)), 10_000_000)


@pytest.mark.parametrize("size", [5000, 50])
def test_a_full_disk_is_one_line(size: int) -> None:
    with pytest.raises(DatabaseError, match="folder for temporary files: No space left on device; let TMPDIR") as error:
        fill_a_full_disk(size)
    assert "\n" not in str(error.value)


def test_a_file_that_cannot_be_made_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", "/nowhere")
    with Spool() as spool, pytest.raises(DatabaseError, match="folder for temporary files: No such file or directory; let TMPDIR"):
        spool.put(((at, b"x" * 5000) for at in range(2000)), 10_000_000)
