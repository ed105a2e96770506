from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rehook_sync.errors import StateVersionError
from rehook_sync.jobs.run import RunBounds
from rehook_sync.jobs.shards import cut_users, read_bounds, write_bounds
from rehook_sync.models import Shard, Stream, Window

TILES = st.lists(st.tuples(st.text(max_size=4), st.integers(1, 50)), max_size=40)


@given(tiles=TILES, parts=st.integers(1, 9), user=st.none() | st.text(max_size=5))
def test_every_user_belongs_to_exactly_one_part(tiles: list[tuple[str, int]], parts: int, user: str | None) -> None:
    shards = cut_users(tiles, parts)
    assert 1 <= len(shards) <= parts
    assert [shard.number for shard in shards] == list(range(len(shards)))
    assert sum(shard.holds(user) for shard in shards) == 1


def test_parts_are_of_like_size() -> None:
    tiles = [(f"u{number:03d}", 10) for number in range(100)]
    shards = cut_users([*tiles, *tiles], 4)
    sizes = [sum(calls for first, calls in tiles if shard.holds(first)) for shard in shards]
    assert sizes == [250, 250, 250, 250]


def test_a_user_with_most_of_the_calls_fills_a_part_alone() -> None:
    shards = cut_users([("a", 10), ("b", 10), ("giant", 1000), ("giant", 1000), ("z", 10)], 3)
    assert [(shard.low, shard.high) for shard in shards] == [("", "z"), ("z", None)]


def test_users_are_ordered_by_their_bytes() -> None:
    """UTF-16 and some collations put this letter before the other; bytes do not."""
    shard = Shard(0, "\uffff", None)
    assert shard.holds("\U00010000")
    assert not shard.holds("z")


def test_calls_without_a_user_belong_to_the_first_part() -> None:
    first, second = cut_users([("a", 1), ("b", 1)], 2)
    assert first.holds(None)
    assert not second.holds(None)


def test_a_plan_is_read_as_it_was_written() -> None:
    moment = datetime(2026, 11, 1, 12, 0, 0, 123456, tzinfo=UTC)
    plan = RunBounds(
        {Stream.TRACKS: Window(None, moment), Stream.IDENTIFIES: Window(moment, moment)}, {Stream.TRACKS: moment, Stream.IDENTIFIES: None}
    )
    assert read_bounds(write_bounds(plan)) == plan


def test_a_plan_of_another_version_is_refused() -> None:
    with pytest.raises(StateVersionError, match="start a new one"):
        read_bounds('{"format": 0, "windows": {}}')
