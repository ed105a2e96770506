"""What is decided of reads of a warehouse: how large they are, how long they wait, and how rows are put aside."""

from dataclasses import replace
from decimal import Decimal
from typing import Any
from uuid import UUID

from builders import identify
from warehouse import NOON

from rehook_sync.database.fetch import Pages
from rehook_sync.database.loaders import DriverText
from rehook_sync.database.spool import Spool
from rehook_sync.models import SourceRow
from rehook_sync.values import BrokenText, InfiniteTime
from rehook_sync.warehouse.reader import pause_s
from rehook_sync.warehouse.rows import weigh
from rehook_sync.warehouse.slices import fitting_rows, next_rows


def test_slices_grow_where_each_makes_the_database_look_at_the_whole_table() -> None:
    assert next_rows(20_000, 0.1, 0.5) == 20_000
    assert next_rows(20_000, 0.5, 0.1) == 40_000
    assert next_rows(900_000, 0.5, 0.1) == 1_000_000


def test_slices_fit_into_memory_where_the_driver_holds_them_whole() -> None:
    assert fitting_rows(20_000, 8 << 20) == 80_000
    assert fitting_rows(20_000, 320 << 20) == 2_000
    assert fitting_rows(1, 1 << 30) == 1
    assert fitting_rows(5, 0) > 1_000_000


def test_pauses_grow_to_a_bound() -> None:
    assert [pause_s(attempt) for attempt in range(1, 9)] == [0.25, 0.5, 1, 2, 4, 5, 5, 5]


def test_pages_hold_a_few_megabytes() -> None:
    pages = Pages()
    first = pages.rows
    pages.heed(100)
    assert pages.rows == 2 * first
    for _ in range(9):
        pages.heed(100)
    assert pages.rows == 250
    pages.heed(1 << 20)
    assert pages.rows == 4
    pages.heed(100)
    assert pages.rows == 4, "another large row may come"
    pages.heed(1 << 30)
    assert pages.rows == 1


def through_a_file(row: SourceRow) -> SourceRow:
    with Spool() as spool:
        spool.put([(0, row)], 1 << 30)
        (again,) = spool.in_order()
    assert again is not row
    assert isinstance(again, SourceRow)
    return again


def test_a_row_comes_back_from_a_spool_as_it_went() -> None:
    odd: dict[str, Any] = {
        "raw": BrokenText(b"\xff"),
        "never": InfiniteTime("infinity"),
        "deep": [{"a": [None, 1.5]}],
        "half": "\ud800",
        "bytes": b"\0",
        "exact": Decimal("1.50"),
        "id": UUID(int=1),
    }
    row = replace(identify("m", "ada", **odd), problem="id is blank", message_id="\ud800", recorded_id="m ", source="web")
    row.size = weigh(row.fields)
    again = through_a_file(row)
    assert again == row
    assert (again.size, again.source) == (row.size, "web")
    assert [type(value) for value in again.fields.values()] == [BrokenText, InfiniteTime, list, str, bytes, Decimal, UUID]


def test_what_cannot_be_put_aside_as_it_is_becomes_what_it_means() -> None:
    interval = DriverText("P1D")
    interval.load = lambda: 1
    deep: object = 1
    for _ in range(5000):
        deep = [deep]
    row = identify("m", "ada", view=memoryview(b"x"), interval=interval, deep=deep)
    weigh(row.fields)
    fields = row.fields
    assert (fields["view"], fields["interval"], type(fields["interval"])) == (b"x", "P1D", str)
    levels = 0
    found = fields["deep"]
    while isinstance(found, list) and found:
        found, levels = found[0], levels + 1
    assert levels > 200, "still too deep for JSON"
    assert through_a_file(row) == row


def test_the_weight_of_fields_is_about_that_of_their_content() -> None:
    assert 1000 <= weigh({"text": "x" * 1000}) < 1100
    assert 1000 <= weigh({"members": [{"text": "x" * 1000}]}) < 1100
    assert 1000 <= weigh({"view": memoryview(b"x" * 1000)}) < 1100
    assert 0 < weigh({"price": Decimal("1.5"), "at": NOON, "many": 3, "yes": True}) < 200
