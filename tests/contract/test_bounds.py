"""Each period holds its first moment and not its last: `since <= received_at < until`, in every command that takes one."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from accounting import ALL, Bench, ago, open_bench
from warehouse import identify, track

from rehook_sync.jobs.results import RunOptions
from rehook_sync.runtime import Interrupt

INSTANT = timedelta(microseconds=1)
EDGE = ago(hours=5)
MOMENTS = {"before": EDGE - INSTANT, "at": EDGE, "after": EDGE + INSTANT}


@pytest.fixture(params=["sqlite-same", "postgresql-same"])
def bench(request: pytest.FixtureRequest) -> Iterator[Bench]:
    """A customer with an Identify call and an event each, right before, at and right after the edge."""
    with open_bench(request.param, request, "postgres_url_with_state") as opened:
        opened.fill(
            [identify(f"i-{name}", f"user {name}", moment, plan="pro") for name, moment in MOMENTS.items()],
            [track(f"t-{name}", f"user {name}", "Visited", moment) for name, moment in MOMENTS.items()],
        )
        yield opened


def judged(bench: Bench) -> dict[str, str]:
    return {row["message_id"]: row["status"] for row in bench.read_state("sync_state")}


def names(*moments: str) -> set[str]:
    return {f"{letter}-{moment}" for letter in "it" for moment in moments}


@pytest.mark.parametrize(
    ("since", "until", "held"),
    [(EDGE, None, ("at", "after")), (ALL, EDGE, ("before",)), (EDGE, EDGE + INSTANT, ("at",)), (EDGE - INSTANT, EDGE, ("before",))],
)
def test_run_plan_and_audit_hold_the_first_moment_and_not_the_last(bench: Bench, since: Any, until: Any, held: tuple[str, ...]) -> None:
    options = RunOptions(since=since, until=until)
    with bench.sync() as sync:
        assert sync.plan(options, 0).rows == 2 * len(held)
    bench.run(since, until=until)
    assert judged(bench).keys() == names(*held)
    assert bench.events() == {(f"user {name}", "Visited"): 1 for name in held}
    with bench.sync() as sync:
        audit = sync.audit(options)
        assert (audit.count("sent"), audit.missing) == (2 * len(held), 0)
    bench.run(ALL)
    assert judged(bench).keys() == names(*MOMENTS)
    assert bench.events() == {(f"user {name}", "Visited"): 1 for name in MOMENTS}


def test_what_came_at_the_end_of_a_first_baseline_is_sent_by_the_run_after_it(bench: Bench) -> None:
    with bench.sync() as sync:
        options = RunOptions(since=ALL, until=EDGE)
        assert sync.plan_baseline(options).rows == 2
        assert sync.baseline(options, Interrupt()).summary.skipped == 2
        before = sync.audit(RunOptions(since=ALL))
        assert (before.missing, before.count("not_due")) == (0, 4)
    assert judged(bench) == dict.fromkeys(names("before"), "skipped")
    bench.run()
    assert judged(bench) == {**dict.fromkeys(names("before"), "skipped"), **dict.fromkeys(names("at", "after"), "sent")}
    assert bench.events() == {("user at", "Visited"): 1, ("user after", "Visited"): 1}
    with bench.sync() as sync:
        assert sync.audit(RunOptions(since=ALL)).missing == 0


def test_a_baseline_that_joins_another_leaves_nothing_between(bench: Bench) -> None:
    with bench.sync() as sync:
        sync.baseline(RunOptions(since=ALL, until=EDGE), Interrupt())
        assert sync.baseline(RunOptions(since=EDGE, until=EDGE + INSTANT), Interrupt()).summary.skipped == 2
    bench.run()
    assert judged(bench) == {**dict.fromkeys(names("before", "at"), "skipped"), **dict.fromkeys(names("after"), "sent")}


def test_a_run_after_one_with_an_end_begins_there(bench: Bench) -> None:
    bench.run(ALL, until=EDGE, lookback=timedelta())
    bench.run(lookback=timedelta())
    assert judged(bench) == dict.fromkeys(names(*MOMENTS), "sent")
    assert bench.events() == {(f"user {name}", "Visited"): 1 for name in MOMENTS}


def test_a_refresh_holds_the_first_moment(bench: Bench) -> None:
    bench.run(ALL)
    before = len(bench.sandbox.store.log)
    with bench.sync() as sync:
        options = RunOptions(since=EDGE)
        assert sync.count_refresh(options) == 2
        sync.refresh(options, Interrupt())
    sent = {each.source_id for each in bench.sandbox.store.log[before:] if each.source_id is not None}
    assert sent == {"user at", "user after"}
    bench.check()


def test_an_open_period_holds_its_first_moment(bench: Bench) -> None:
    bench.run(EDGE + INSTANT)
    interrupt = Interrupt()
    interrupt.request(2)
    with bench.sync() as sync:
        sync.run(RunOptions(since=EDGE), interrupt)
        audit = sync.audit(RunOptions(since=ALL))
        assert (audit.count("not_due"), audit.count("before_start"), audit.count("sent")) == (2, 2, 2)
        assert sum(calls or 0 for _, calls in sync.abandon(RunOptions(), dry_run=True)) == 2
    bench.run()
    assert judged(bench) == dict.fromkeys(names("at", "after"), "sent")
