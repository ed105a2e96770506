from collections import Counter
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rehook_sync.errors import StateVersionError
from rehook_sync.jobs.notes.findings import Findings, read_findings, write_findings
from rehook_sync.jobs.notes.names import MetNames
from rehook_sync.jobs.run import RunBounds
from rehook_sync.jobs.shards import cut_users, read_bounds, write_bounds
from rehook_sync.models import Shard, Stream, Window
from rehook_sync.rules.periods import Feed
from rehook_sync.settings import load_settings
from rehook_sync.warehouse.reader import Delays

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
        {Feed("web", Stream.TRACKS): Window(None, moment), Feed("ios", Stream.IDENTIFIES): Window(moment, moment)},
        {Feed("web", Stream.TRACKS): moment, Feed("ios", Stream.IDENTIFIES): None},
    )
    assert read_bounds(write_bounds(plan)) == plan


def test_a_plan_of_another_version_is_refused() -> None:
    with pytest.raises(StateVersionError, match="start a new one"):
        read_bounds('{"format": 0, "windows": {}}')


def findings(**found: Any) -> Findings:
    return Findings(**{"gone": 2, "standing": 1, "slowed": 3, "lowest": 8, "views": {"v"}, **found})


def test_findings_of_attempts_and_of_shards_add_up() -> None:
    settings = load_settings(None, {}, warehouse_url="sqlite:///x.db", exclude=["email"])
    counters: dict[str, Any] = {name: Counter(a=1) for name in ("bare", "left_out", "encoded")}
    met = MetNames(events={"far from any name"})
    met.fields[Stream.TRACKS] |= {"e-mail", "else"}
    begun = write_findings(Findings(delays=Delays(1, 0.5)), None, settings)
    first = write_findings(findings(**counters, met=met, delays=Delays(1, 2.0, Counter(cause=1))), begun, settings)
    second = write_findings(findings(**counters, lowest=4, views={"w"}, delays=Delays(0, 0.0, Counter(cause=2))), first, settings)
    one_shard = findings(**{name: Counter(a=2) for name in counters}, standing=2, slowed=6, lowest=4, views={"v", "w"})
    one_shard.delays = Delays(2, 2.5, Counter(cause=3))
    one_shard.met.fields[Stream.TRACKS] = {"e-mail"}
    assert read_findings([second, None]) == one_shard
    both = read_findings([second, second])
    assert (both.gone, both.lowest, both.encoded, both.views) == (4, 8, Counter(a=4), {"v", "w"})
