"""Order per user at the receiver, and the two ways to update customers, which must come to the same. Each run is audited."""

import random
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import accounting
import pytest
from accounting import ALL, Bench, ago, open_bench
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from warehouse import Row, add_rows, identify, make_warehouse, track

from rehook_sync.sandbox.server import Sandbox

bench = accounting.bench
DELAYS = [{"kind": "delay", "delay_s": delay_s, "probability": 0.3, "seed": seed} for seed, delay_s in enumerate((0.002, 0.01, 0.03))]


@pytest.fixture(params=["sqlite-same", "postgresql-sqlite"])
def two_places(request: pytest.FixtureRequest) -> Iterator[Bench]:
    """For what hardly depends on where the sync-state tables are."""
    with open_bench(request.param, request) as opened:
        yield opened


def test_requests_of_a_user_keep_their_order_whatever_each_takes(two_places: Bench) -> None:
    rng = random.Random(5)
    identifies: list[Row] = []
    tracks: list[Row] = []
    for place in range(240):
        user, when = f"u{rng.randrange(12)}", ago(minutes=rng.randrange(60))
        if rng.random() < 0.4:
            identifies.append(identify(f"i{place}", user, when, received_at=ago(minutes=rng.randrange(60)), step=place))
        else:
            tracks.append(track(f"t{place}", user, "Visited", when, received_at=ago(minutes=rng.randrange(60)), step=place))
    two_places.fill(identifies, tracks)
    for fault in DELAYS:
        two_places.sandbox.faults.add(**fault)  # type: ignore[arg-type]
    result = two_places.run(ALL, concurrency=16, chunk_rows=97, customer_updates="every")
    assert result.summary.sent == 240
    assert two_places.sandbox.store.max_in_flight > 4
    in_order = sorted((*identifies, *tracks), key=lambda row: (str(row["timestamp"]), "event" in row, str(row["id"])))
    for name in {str(row["user_id"]) for row in in_order}:
        arrived = [metadata["step"] for metadata in metadata_of(two_places, name)]
        assert arrived == [row["step"] for row in in_order if row["user_id"] == name]


def metadata_of(bench: Bench, user_id: str) -> list[dict[str, Any]]:
    bodies = [each.body for each in bench.sandbox.store.order_of(user_id) if each.accepted]
    return [accounting.read_metadata(body) for body in bodies]


def test_identify_goes_first_at_the_same_instant(bench: Bench) -> None:
    when = ago(hours=1)
    bench.fill([identify("zz", "ada", when, plan="pro")], [track("aa", "ada", "Visited", when)])
    bench.run(ALL)
    assert [each.path for each in bench.sandbox.store.order_of("ada")] == ["/customers", "/events/invoke"]


def test_neighbouring_identifies_are_merged_and_unchanged_ones_not_sent(bench: Bench) -> None:
    calls = [
        identify(f"i{hour}", "ada", ago(hours=hour), plan=plan, seats=seats)
        for hour, plan, seats in [(9, "a", 1), (8, "b", None), (6, None, 1)]
    ]
    bench.fill(calls, [track("t1", "ada", "Visited", ago(hours=7))])
    first = bench.run(ALL)
    assert (first.summary.sent, first.summary.merged, first.summary.unchanged) == (2, 1, 1)
    assert bench.bodies() == [
        '{"source_id":"ada","metadata":{"plan":"b","seats":1}}',
        '{"event_name":"Visited","source_id":"ada","metadata":{}}',
    ]
    add_rows(
        bench.warehouse_url, "identifies", [identify("same", "ada", ago(hours=3), plan="b"), identify("new", "ada", ago(hours=2), plan="c")]
    )
    second = bench.run(customers={"ada": {"plan": "c", "seats": 1}})
    assert (second.summary.sent, second.summary.merged) == (1, 1)


_TRAITS = st.fixed_dictionaries(
    {}, optional={"plan": st.sampled_from(["a", "b"]), "seats": st.integers(0, 2), "referral_code": st.sampled_from(["X", "Y", "Z"])}
)
_CALLS = st.lists(st.tuples(st.sampled_from(["ada", "bob", "eve"]), st.none() | _TRAITS, st.integers(0, 3)), min_size=1, max_size=24)


@given(_CALLS, st.integers(0, 24), st.sampled_from([1, 3, 7]))
@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_both_ways_to_update_customers_end_in_the_same_state(
    calls: list[tuple[str, dict[str, object] | None, int]], cut: int, chunk_rows: int
) -> None:
    ends = [_play(calls, cut, chunk_rows, way) for way in ("changed", "every")]
    assert ends[0] == ends[1]


def _play(calls: list[tuple[str, dict[str, object] | None, int]], cut: int, chunk_rows: int, way: str) -> tuple[object, ...]:
    """Run over the calls before the cut, then over all; give what Rehook has in the end, and who was rejected."""
    with TemporaryDirectory() as folder, Sandbox() as sandbox:
        path = Path(folder) / "shop.db"
        path.touch()
        bench = Bench(f"sqlite:///{path}", None, sandbox, {"chunk_rows": chunk_rows, "customer_updates": way})
        when = ago(hours=1)
        rows: dict[str, list[Row]] = {"identifies": [], "tracks": []}
        make_warehouse(bench.warehouse_url, rows, types={"identifies": {"plan": "text", "seats": "bigint", "referral_code": "text"}})
        with bench.sync() as sync:
            sync.init()
        for place, (user, traits, gap) in enumerate(calls):
            when += timedelta(seconds=gap)
            if place == cut:
                _add(bench, rows)
                bench.run(ALL)
            if traits is None:
                rows["tracks"].append(track(f"m{place:02}", user, "Visited", when))
            else:
                rows["identifies"].append(identify(f"m{place:02}", user, when, **traits))
        _add(bench, rows)
        bench.run(ALL)
        customers = {name: (each.metadata, each.referral_code) for name, each in sandbox.store.customers.items()}
        events = [(each.source_id, each.event_name) for each in sandbox.store.events]
        rejected = sorted(name for name, status in bench.statuses().items() if status.startswith("rejected"))
        return customers, sorted(events), rejected


def _add(bench: Bench, rows: dict[str, list[Row]]) -> None:
    for table, added in rows.items():
        add_rows(bench.warehouse_url, table, added)
        added.clear()
