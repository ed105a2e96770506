"""What is decided of reads of a warehouse: how large they are, how long they wait, and how rows are put aside."""

from dataclasses import replace
from typing import Any

import pytest
from builders import identify
from warehouse import NOON

from rehook_sync.database.fetch import DriverText, Pages
from rehook_sync.models import Stream
from rehook_sync.values import BrokenText, InfiniteTime
from rehook_sync.warehouse.reader import pause_s
from rehook_sync.warehouse.rows import pack_row, time_order, unpack_row
from rehook_sync.warehouse.slices import next_rows


def test_slices_grow_where_each_makes_the_database_look_at_the_whole_table() -> None:
    assert next_rows(20_000, 0.1, 0.5) == 20_000
    assert next_rows(20_000, 0.5, 0.1) == 40_000
    assert next_rows(900_000, 0.5, 0.1) == 1_000_000


def test_pauses_grow_to_a_bound() -> None:
    assert [pause_s(attempt) for attempt in range(1, 9)] == [0.25, 0.5, 1, 2, 4, 5, 5, 5]


def test_pages_hold_a_few_megabytes() -> None:
    pages = Pages()
    first = pages.rows
    pages.heed(100)
    assert pages.rows == 2 * first
    for _ in range(9):
        pages.heed(100)
    assert pages.rows == 200
    pages.heed(1 << 20)
    assert pages.rows == 4
    pages.heed(100)
    assert pages.rows == 4, "another large row may come"
    pages.heed(1 << 30)
    assert pages.rows == 1


def test_a_row_comes_back_from_a_spool_as_it_went() -> None:
    odd: dict[str, Any] = {
        "raw": BrokenText(b"\xff"),
        "never": InfiniteTime("infinity"),
        "deep": [{"a": [None, 1.5]}],
        "half": "\ud800",
        "bytes": b"\0",
    }
    row = replace(identify("m", "ada", **odd), problem="id is blank", message_id="\ud800", recorded_id="m ")
    at, name, packed = pack_row(row)
    again = unpack_row(Stream.IDENTIFIES, packed)
    assert again == row
    assert [type(value) for value in again.fields.values()] == [BrokenText, InfiniteTime, list, str, bytes]
    assert again.size == len(packed)
    assert (at, name) < pack_row(replace(row, message_id="\uffff"))[:2]


def test_what_cannot_be_put_aside_as_it_is_becomes_what_it_means() -> None:
    interval = DriverText("P1D")
    interval.load = lambda: 1
    deep: object = 1
    for _ in range(5000):
        deep = [deep]
    _, _, packed = pack_row(identify("m", "ada", view=memoryview(b"x"), interval=interval, deep=deep))
    fields = unpack_row(Stream.IDENTIFIES, packed).fields
    assert (fields["view"], fields["interval"], type(fields["interval"])) == (b"x", "P1D", str)
    levels = 0
    found = fields["deep"]
    while isinstance(found, list) and found:
        found, levels = found[0], levels + 1
    assert levels > 200, "still too deep for JSON"


@pytest.mark.parametrize("moment", [None, NOON, NOON.replace(year=1), NOON.replace(year=9999)])
def test_rows_are_sorted_by_time_then_id(moment: object) -> None:
    rows = [replace(identify("m", "ada"), message_id=each, occurred_at=when) for each in ("b", "B", "é", "") for when in (NOON, moment)]  # type: ignore[arg-type]
    assert sorted(rows, key=lambda row: pack_row(row)[:2]) == sorted(rows, key=time_order)
