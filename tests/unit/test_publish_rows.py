"""Batches of the copy: how they are cut, and how many days they are looked for in."""

from datetime import UTC, datetime

from rehook_sync.publish.rows import Batch
from rehook_sync.publish.tables import TABLES
from rehook_sync.times import FIRST_MOMENT, LAST_MOMENT

MOMENTS = [f"2026-11-0{day}T12:00:00.000000Z" for day in (3, 1, 2)]
ROWS = [{"message_id": f"t{n}", "first_seen_at": MOMENTS[n % 3]} for n in range(11)]


def test_a_batch_is_cut_until_its_parts_are_short_enough_and_removes_once() -> None:
    gone = [{"stream": "tracks", "id": "t99"}]
    parts = list(Batch(TABLES["calls"], ROWS, gone, is_moved=True).parts(200))
    assert [row for part in parts for row in part.rows] == ROWS
    assert [len(part.rows) for part in parts] == [2, 3, 3, 3]
    assert [part.gone for part in parts] == [gone, (), (), ()]
    assert all(part.is_moved for part in parts)


def test_a_row_that_is_too_long_by_itself_stays_whole() -> None:
    long = [{"source_id": "é" * 99}, {"source_id": "b"}]
    assert [part.rows for part in Batch(TABLES["customers"], long).parts(200)] == [long[:1], long[1:]]


def test_rows_are_looked_for_in_the_days_on_which_they_were_first_seen() -> None:
    days = datetime(2026, 11, 1, 12, tzinfo=UTC), datetime(2026, 11, 3, 12, tzinfo=UTC)
    assert Batch(TABLES["calls"], ROWS).span() == days
    assert Batch(TABLES["calls"], ROWS, is_moved=True).span() == (FIRST_MOMENT, LAST_MOMENT)
    assert Batch(TABLES["customers"], [{"source_id": "a"}]).span() == (FIRST_MOMENT, LAST_MOMENT)
