"""A plan writes nothing and says what the run then does; the notes of a run. Each run is audited."""

from datetime import UTC, datetime

import accounting
import pytest
from accounting import ALL, PLACES, Bench, ago, open_bench, read_rows
from warehouse import add_rows, event, identify, track

from rehook_sync.demo.shop import CONVERSION_EVENTS, add_second_batch, build_shop
from rehook_sync.errors import StateVersionError
from rehook_sync.jobs.results import Plan, RunResult
from rehook_sync.models import Reason, Status

bench = accounting.bench
TABLES = ("sync_runs", "sync_watermarks", "sync_state", "sync_customers", "sync_lease", "sync_migrations")


def dump(bench: Bench) -> list[str]:
    """Everything in both databases that a plan could touch, as text: NaN is not even equal to itself."""
    state = [repr(row) for table in TABLES for row in bench.read_state(table)]
    return state + [repr(row) for table in ("identifies", "tracks") for row in read_rows(bench.warehouse_url, f"SELECT * FROM {table}")]


def own_reasons(result: RunResult) -> dict[Reason, int]:
    """Why our own rules rejected calls."""
    return {reason: number for reason, number in result.rejected.items() if reason is not Reason.REFUSED_BY_REHOOK}


def assert_plan_held(plan: Plan, result: RunResult) -> None:
    """What the plan counted is what the run did; only Rehook's own refusals come on top."""
    summary = result.summary
    assert plan.rows == summary.rows_read
    assert plan.actions["events"] + plan.actions["customer upserts"] == summary.sent + summary.rejected - plan.actions["rejected"]
    assert (plan.actions["merged"], plan.actions["unchanged"]) == (summary.merged, summary.unchanged)
    assert plan.rejected == own_reasons(result)
    assert result.rejected.total() == summary.rejected
    assert plan.notes == result.notes


def test_a_plan_writes_nothing_and_the_run_does_what_it_said(bench: Bench) -> None:
    shop = build_shop(bench.warehouse_url, users=60, now=datetime.now(UTC))
    bench.options.update(conversion_events=list(CONVERSION_EVENTS), chunk_rows=97, concurrency=8)
    with bench.sync() as sync:
        sync.init()
    for since in (ALL, None):
        before = dump(bench)
        plan = bench.plan(since, samples=3)
        assert dump(bench) == before
        asked = len(bench.sandbox.store.log)
        result = bench.run(since)
        assert_plan_held(plan, result)
        assert asked == 0 or since is None
        assert set(plan.samples) <= set(bench.bodies())
        if since is ALL:
            assert result.summary.rows_read == sum(shop.distinct.values())
            assert shop.rejected == result.rejected
            add_second_batch(bench.warehouse_url, now=datetime.now(UTC))
    assert bench.plan().rows == 0


def test_a_plan_knows_failed_rows_and_codes_taken_before(bench: Bench) -> None:
    bench.fill(
        [identify(f"i{each}", f"u{each}", ago(hours=5), referral_code=f"C{each}") for each in range(5)],
        [track("t1", "u1", "Visited", ago(hours=4))],
    )
    bench.sandbox.faults.add("status", status=503, source_id="u1")
    bench.run(ALL, max_attempts=1)
    bench.sandbox.faults.clear()
    add_rows(
        bench.warehouse_url,
        "identifies",
        [identify("taken", "eve", ago(hours=1), referral_code="C2"), identify("free", "bob", ago(hours=1), referral_code="D")],
    )
    plan = bench.plan()
    assert (plan.rows, plan.retried, plan.rejected) == (4, {Status.FAILED: 2}, {Reason.REFERRAL_CODE_TAKEN: 1})
    assert_plan_held(plan, bench.run())


def test_a_plan_needs_no_credentials(bench: Bench) -> None:
    bench.fill(tracks=[track("t1", "ada", "Visited", ago(hours=4))])
    assert bench.plan(ALL, api_key=None, api_secret=None).rows == 1


@pytest.mark.parametrize("place", PLACES)
def test_nothing_works_before_the_tables_exist(place: str, request: pytest.FixtureRequest) -> None:
    with open_bench(place, request) as bench:
        build_shop(bench.warehouse_url, users=50, now=datetime.now(UTC))
        for call in (bench.plan, bench.run):
            with pytest.raises(StateVersionError, match="init"):
                call(ALL)
        assert bench.sandbox.store.log == []


@pytest.mark.parametrize(("anonymous", "noted"), [(2, False), (3, True)])
def test_a_note_when_more_than_a_fifth_is_dropped_for_an_anonymous_id(bench: Bench, anonymous: int, noted: bool) -> None:
    rows = [track(f"t{each}", f"u{each}", "Visited", ago(hours=4), anonymous_id="a" if each < anonymous else None) for each in range(10)]
    bench.fill(tracks=rows, visited=[event(f"t{each}") for each in range(10)])
    result = bench.run(ALL)
    assert result.rejected == {Reason.ANONYMOUS_ID_PRESENT: anonymous}
    assert ["REHOOK_SYNC_ANONYMOUS_CALLS" in note for note in result.notes] == [True] * noted


def test_anonymous_ids_are_let_through_with_a_user_id_when_told(bench: Bench) -> None:
    rows = [track(f"t{each}", user, "Visited", ago(hours=4), anonymous_id="a") for each, user in enumerate(["ada", None, " "])]
    bench.fill(tracks=rows, visited=[event(f"t{each}") for each in range(3)])
    result = bench.run(ALL, anonymous_calls="allow_with_user_id")
    assert (result.summary.sent, result.rejected, result.notes) == (1, {Reason.MISSING_USER_ID: 2}, [])
