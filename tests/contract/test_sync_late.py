"""Identify calls that are found after newer ones were sent. Each run is audited."""

import random
from collections.abc import Iterator, Sequence
from io import StringIO
from typing import Any

import pytest
from accounting import ALL, Audit, Bench, ago, open_bench
from rich.console import Console
from warehouse import Row, add_rows, identify, track

from rehook_sync.jobs.results import RunOptions
from rehook_sync.models import Selection, SourceRow, Status
from rehook_sync.render.advice import Shell
from rehook_sync.render.explain import explanation_view
from rehook_sync.runtime import Interrupt
from rehook_sync.warehouse.segment import SegmentSource

TYPES: dict[str, dict[str, str | None]] = {
    "identifies": {"plan": "text", "city": "text", "seats": "bigint", "referral_code": "text", "anonymous_id": "text"}
}


@pytest.fixture(params=["sqlite-same", "postgresql-same"])
def bench(request: pytest.FixtureRequest) -> Iterator[Bench]:
    with open_bench(request.param, request) as opened:
        yield opened


def load(bench: Bench, *rows: Row) -> None:
    add_rows(bench.warehouse_url, "identifies", rows)


def customer(bench: Bench, user_id: str = "ada") -> tuple[dict[str, Any], str | None]:
    found = bench.sandbox.store.customers[user_id]
    return dict(found.metadata), found.referral_code


def test_a_late_call_changes_only_what_no_newer_call_carried(bench: Bench) -> None:
    bench.fill([identify("m5", "ada", ago(hours=5), plan="pro", seats=5)], types=TYPES)
    bench.run(ALL)
    late = ago(hours=9)
    load(bench, identify("m1", "ada", late, plan="free", city="Bonn"), identify("m2", "bob", late, plan="free"))
    load(bench, identify("m3", "cyd", ago(hours=4), plan="free"))
    planned = bench.plan(ALL, samples=9)
    result = bench.run(customers={"ada": {"plan": "pro", "seats": 5, "city": "Bonn"}})
    assert (result.summary.sent, result.summary.unchanged) == (3, 0)
    assert bench.bodies("ada")[-1] == '{"source_id":"ada","metadata":{"city":"Bonn"}}'
    assert sorted(planned.samples) == sorted(bench.bodies()[-3:])
    load(bench, identify("m0", "ada", ago(hours=10), plan="trial", city="Kiel"))
    assert bench.plan(ALL).actions["unchanged"] == 1
    result = bench.run(customers={"ada": {"plan": "pro", "seats": 5, "city": "Bonn"}})
    assert (result.summary.unchanged, result.summary.requests) == (1, 1), "only the credentials were checked"
    assert bench.statuses()["m0"] == "unchanged:superseded"
    with bench.sync() as sync:
        assert sync.audit(RunOptions(since=ALL)).missing == 0
        console = Console(file=(told := StringIO()), width=120)
        console.print(*explanation_view(sync.explain("m0"), Shell()))
        assert "why      newer calls carried what it would change (superseded)" in told.getvalue()
        assert {(row["status"], row["reason"]): row["n"] for row in sync.read_status(1).counts} == {
            ("sent", None): 4,
            ("unchanged", "superseded"): 1,
        }


def test_a_late_call_takes_no_code_back(bench: Bench) -> None:
    bench.fill([identify("m5", "ada", ago(hours=5), referral_code="NEW", plan="pro")], types=TYPES)
    bench.run(ALL)
    load(
        bench,
        identify("m1", "ada", ago(hours=9), referral_code="OLD", city="Bonn"),
        identify("m2", "bob", ago(hours=8), referral_code="OLD"),
    )
    bench.run(customers={"ada": {"referral_code": "NEW", "plan": "pro", "city": "Bonn"}})
    assert (customer(bench)[1], customer(bench, "bob")[1]) == ("NEW", "OLD"), "a code that a late call does not take is free"
    assert {row["source_id"]: row["referral_code"] for row in bench.read_state("sync_customers")} == {"ada": "NEW", "bob": "OLD"}
    load(bench, identify("m9", "ada", ago(hours=1), referral_code="NEWEST"), identify("m0", "ada", ago(hours=10), referral_code="BOB"))
    bench.run()
    assert customer(bench)[1] == "NEWEST"


def test_with_every_call_sent_a_late_one_overwrites(bench: Bench) -> None:
    bench.fill([identify("m5", "ada", ago(hours=5), plan="pro", referral_code="NEW")], types=TYPES)
    bench.run(ALL, customer_updates="every")
    load(bench, identify("m1", "ada", ago(hours=9), plan="free", referral_code="OLD"))
    bench.run(customer_updates="every")
    assert customer(bench) == ({"plan": "free", "referral_code": "OLD"}, "OLD")
    load(bench, identify("m3", "ada", ago(hours=7), plan="plus"))
    bench.run()
    assert customer(bench)[0]["plan"] == "plus", "Rehook has the value of nine hours ago"


def test_a_call_that_is_judged_again_later_is_late(bench: Bench) -> None:
    bench.fill([identify("m1", "ada", ago(hours=9), anonymous_id="x", plan="free", city="Bonn")], types=TYPES)
    bench.run(ALL)
    load(bench, identify("m5", "ada", ago(hours=5), plan="pro"))
    bench.run()
    with bench.sync(anonymous_calls="allow_with_user_id") as sync:
        assert sync.run(RunOptions(only=Selection(Status.REJECTED)), Interrupt()).summary.sent == 1
    assert customer(bench)[0] == {"plan": "pro", "city": "Bonn"}


def test_customers_of_an_earlier_version_are_not_sent_again_and_learn_the_times(bench: Bench) -> None:
    calls = [identify(f"m{number}", f"u{number}", ago(hours=5), plan="pro") for number in range(9)]
    bench.fill(calls, types=TYPES)
    bench.run(ALL)
    for row in bench.read_state("sync_customers"):
        hashed = row["trait_hashes"].partition('"plan":"')[2][:16]
        told = f'{{{{"plan":"{hashed}"}}}}'
        bench.change_state(f"UPDATE {{sync_customers}} SET trait_hashes = '{told}' WHERE source_id = '{row['source_id']}'")
    load(bench, *(identify(f"n{number}", f"u{number}", ago(hours=4), plan="pro") for number in range(9)))
    result = bench.run()
    assert (result.summary.unchanged, result.summary.requests) == (9, 1), "only the credentials were checked"
    load(bench, *(identify(f"o{number}", f"u{number}", ago(hours=4.5), plan="free") for number in range(9)))
    assert (bench.run().summary.unchanged, customer(bench, "u3")[0]) == (9, {"plan": "pro"})


def test_after_a_crash_a_late_call_still_overwrites_nothing_newer(bench: Bench) -> None:
    bench.fill([identify("m4", "ada", ago(hours=4), plan="pro"), identify("m5", "ada", ago(hours=3), city="Bonn")], types=TYPES)
    bench.run(ALL, customer_updates="every")
    bench.change_state(
        "INSERT INTO {sync_runs} (run_id, trigger, status, started_at, version) "
        "VALUES ('dead', 'cli', 'running', '2026-01-01T00:00:00Z', '0')",
        "UPDATE {sync_state} SET status = 'sending', run_id = 'dead', settled_at = NULL WHERE message_id = 'm5'",
    )
    bench.audit = Audit(bench.warehouse_url, bench.state_url, received=bench.sandbox.store)
    load(bench, identify("m1", "ada", ago(hours=9), plan="free"))
    bench.run(uncertain=True, ordered=False)
    assert (bench.statuses()["m1"], bench.statuses()["m5"]) == ("merged", "sent"), "neighbours go out as one, without the older plan"
    assert bench.bodies()[-1] == '{"source_id":"ada","metadata":{"city":"Bonn"}}'
    assert customer(bench)[0] == {"plan": "pro", "city": "Bonn"}


def test_each_trait_ends_as_the_newest_call_says_whatever_is_loaded_when(bench: Bench) -> None:
    """Forty users whose calls are loaded in six portions, out of order: in chunks, in parts, by an API with troubles."""
    rng = random.Random(8)
    calls = [_random_call(rng, number) for number in range(500)]
    bench.fill(types=TYPES)
    for portion in range(6):
        load(bench, *calls[portion::6])
        busy = bench.sandbox.faults.add("status", status=503, probability=0.3, seed=portion) if portion % 2 else None
        lost = bench.sandbox.faults.add("commit_then_drop", probability=0.05, seed=portion) if portion % 2 else None
        if portion == 4:
            with bench.sync() as sync:
                started = sync.start(RunOptions(since=ALL), 3)
                for shard in started.shards:
                    sync.deliver_shard(started.run_id, shard, Interrupt())
                sync.finish(started.run_id)
            bench.check()
        else:
            bench.run(ALL, chunk_rows=37, max_attempts=1, uncertain=portion > 0)
        for fault in (busy, lost):
            if fault is not None:
                bench.sandbox.faults.remove(fault.id)
    result = bench.run(ALL, uncertain=True)
    assert result.unsettled == {}
    wanted: dict[str, dict[str, object]] = {}
    for row in sorted(calls, key=lambda each: (each["timestamp"], each["id"])):
        wanted.setdefault(str(row["user_id"]), {}).update(_traits(row))
    assert {user_id: dict(each.metadata) for user_id, each in bench.sandbox.store.customers.items()} == wanted
    assert sum(status == "unchanged:superseded" for status in bench.statuses().values()) > 20


def _random_call(rng: random.Random, number: int) -> Row:
    traits: Sequence[tuple[str, object]] = [("plan", rng.choice("abc")), ("city", rng.choice("xyz")), ("seats", rng.randrange(3))]
    return identify(f"m{number:03}", f"u{rng.randrange(40)}", ago(minutes=rng.randrange(60)), **dict(rng.sample(traits, rng.randint(1, 2))))


def _traits(row: Row) -> dict[str, object]:
    return {name: row[name] for name in ("plan", "city", "seats") if name in row}


def test_calls_that_are_loaded_while_a_run_reads_leave_in_order(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.fill([identify("m1", "ada", ago(hours=9), plan="free"), track("m2", "ada", "Order", ago(hours=8))], types=TYPES)
    later = {"identifies": identify("m3", "bob", ago(hours=5), plan="pro"), "tracks": track("m4", "bob", "Order", ago(hours=4))}
    read_window = SegmentSource.read_window

    def read_beside_a_load(*arguments: Any) -> Iterator[SourceRow]:
        rows = read_window(*arguments)
        first = next(rows, None)
        while later:  # the loader goes by name: identifies come first
            name = min(later)
            add_rows(bench.warehouse_url, name, [later.pop(name)])
        yield from filter(None, [first])
        yield from rows

    monkeypatch.setattr(SegmentSource, "read_window", read_beside_a_load)
    bench.run(ALL, complete=False)
    bench.run()
    assert [each.path for each in bench.sandbox.store.log if each.source_id == "bob"] == ["/customers", "/events/invoke"]
