"""A period that somebody asked for is gone on with until it is done: nothing of it is dropped silently."""

from typing import Any

import accounting
import pytest
from accounting import ALL, Bench, ago
from warehouse import add_rows, identify, track

from rehook_sync.errors import UsageError
from rehook_sync.jobs.results import Progress, RunOptions
from rehook_sync.models import RunStatus, Stream
from rehook_sync.render.advice import Shell
from rehook_sync.report.figures import build_figures
from rehook_sync.report.page import render_page
from rehook_sync.runtime import Interrupt

bench = accounting.bench

OLD = 23
SETTINGS = {"lookback": "1d", "chunk_rows": 7, "concurrency": 2}


def fill(bench: Bench) -> None:
    """A shop whose last hours were delivered; before that lie weeks that were not asked for."""
    old = [track(f"old{each:02}", f"u{each % 5}", "Visited", ago(days=20, hours=-each)) for each in range(OLD)]
    bench.options |= SETTINGS
    bench.fill([identify("i-old", "ada", ago(days=19), plan="pro")], [*old, track("t1", "ada", "Visited", ago(hours=3))])
    add_rows(bench.warehouse_url, "identifies", [identify("i1", "bob", ago(hours=3))])
    assert bench.run(ago(hours=5)).summary.sent == 2


def interrupted_after(requests: int) -> dict[str, Any]:
    """Arguments of a run that somebody interrupts."""
    interrupt = Interrupt()

    def listen(progress: Progress) -> None:
        if progress.requests >= requests:
            interrupt.request(2)

    return {"interrupt": interrupt, "listen": listen}


def audit(bench: Bench) -> tuple[int, int]:
    """Calls that are missing, and calls that the next run takes up."""
    with bench.sync() as sync:
        report = sync.audit(RunOptions(since=ALL))
    return report.missing, report.count("not_due")


def open_periods(bench: Bench) -> list[tuple[str, Any]]:
    with bench.sync() as sync:
        return [(each.feed.stream, each.since) for each in sync.read_status(1).periods]


def test_an_interrupted_period_is_gone_on_with_until_it_is_done(bench: Bench) -> None:
    fill(bench)
    first = bench.run(ALL, **interrupted_after(8), complete=False)
    assert first.summary.status is RunStatus.INTERRUPTED
    left = OLD + 1 - first.summary.rows_read
    assert 0 < left < OLD + 1
    assert open_periods(bench) == [("identifies", None), ("tracks", None)]
    assert audit(bench) == (0, left)
    assert any("is not done: each run goes on with it, and `run --abandon` gives it up" in note for note in first.notes)
    assert {row["run_id"]: row["open_periods"] for row in bench.read_state("v1_runs")}[first.summary.run_id] == 2
    assert bench.plan().rows == left
    with bench.sync() as sync:
        figures = build_figures(sync.read_report(ALL), Shell())
    assert "Asked for and not done: identifies from the beginning until" in render_page(figures, Shell())
    second = bench.run()
    assert second.summary.rows_read == left
    assert [note for note in second.notes if f"which run {first.summary.run_id} was asked for, is done" in note]
    assert (open_periods(bench), audit(bench)) == ([], (0, 0))
    assert all(str(row["done_to"])[:19].replace("T", " ") == str(row["until_at"])[:19] for row in bench.read_state("sync_periods"))
    assert bench.run().summary.rows_read == 0


@pytest.mark.parametrize("how", ["stopped", "limited", "killed"])
def test_a_period_outlives_whatever_ends_its_run(bench: Bench, how: str) -> None:
    fill(bench)
    if how == "stopped":
        bench.sandbox.faults.add("status", status=401, skip=8)
        assert bench.run(ALL, complete=False).summary.status is RunStatus.STOPPED
        bench.sandbox.faults.clear()
    elif how == "limited":
        assert bench.run(ALL, limit=9).summary.rows_read == 9
    else:

        def die(progress: Progress) -> None:
            if progress.requests >= 8:
                raise SystemExit

        with pytest.raises(SystemExit):
            bench.run(ALL, listen=die)
    assert len(open_periods(bench)) == 2
    assert bench.run(uncertain=how == "killed", ordered=how != "killed").summary.rows_read > 0
    assert (open_periods(bench), audit(bench)[0]) == ([], 0)


def test_with_a_limit_what_is_new_comes_before_an_old_period(bench: Bench) -> None:
    fill(bench)
    bench.run(ALL, limit=4)
    add_rows(bench.warehouse_url, "tracks", [track(f"new{each}", "cy", "Visited", ago(hours=1, seconds=-each)) for each in range(3)])
    before, watermark = set(bench.statuses()), bench.watermark()
    bench.run(limit=5)
    judged = set(bench.statuses()) - before
    assert {"new0", "new1", "new2"} < judged
    assert len(judged) == 5
    moved = bench.watermark()
    assert watermark is not None
    assert moved is not None
    assert moved > watermark, "the watermark moves by what is new"
    while open_periods(bench):
        assert bench.run(limit=5).summary.rows_read == 5 or not open_periods(bench)
    assert audit(bench) == (0, 0)


def test_a_period_that_is_given_up_stays_out_and_says_how_many(bench: Bench) -> None:
    fill(bench)
    first = bench.run(ALL, limit=9)
    left = OLD + 1 - first.summary.rows_read
    log = len(bench.sandbox.store.log)
    with bench.sync() as sync:
        assert sum(calls or 0 for _, calls in sync.abandon(RunOptions(), dry_run=True)) == left
        assert len(open_periods(bench)) == 2
        found = sync.abandon(RunOptions(stream=Stream.TRACKS))
        assert [period.feed.stream for period, _ in found] == [Stream.TRACKS]
        assert sum(calls or 0 for _, calls in [*found, *sync.abandon(RunOptions())]) == left
        assert sync.abandon(RunOptions()) == []
    assert (open_periods(bench), len(bench.sandbox.store.log)) == ([], log)
    assert bench.run().summary.rows_read == 0
    with bench.sync() as sync:
        report = sync.audit(RunOptions(since=ALL))
    assert (report.missing, report.count("before_start")) == (0, left)


def test_a_first_run_that_was_interrupted_needs_no_since_again(bench: Bench) -> None:
    bench.options |= SETTINGS
    bench.fill(tracks=[track(f"t{each:02}", f"u{each % 5}", "Visited", ago(days=20, hours=-each)) for each in range(OLD)])
    with pytest.raises(UsageError, match="there is no watermark yet"):
        bench.run()
    first = bench.run(ago(days=20, hours=-2), **interrupted_after(8), complete=False)
    assert 0 < first.summary.rows_read < OLD - 2
    assert bench.run().summary.rows_read == OLD - 2 - first.summary.rows_read
    assert (open_periods(bench), audit(bench)) == ([], (0, 0))
    assert len(bench.statuses()) == OLD - 2


def test_only_what_was_asked_for_is_read_of_two_periods(bench: Bench) -> None:
    fill(bench)
    low, high = ago(days=20, hours=-2), ago(days=20, hours=-9)
    bench.run(low, until=high, limit=2)
    bench.run(ago(days=20, hours=-5), until=ago(days=20, hours=-12), limit=2)
    bench.run(ago(days=20, hours=-20), until=ago(days=20, hours=-22), stream=Stream.TRACKS, limit=1)
    assert len(open_periods(bench)) == 5
    while open_periods(bench):
        bench.run(limit=3)
    judged = sorted(each for each in bench.statuses() if each.startswith("old"))
    assert judged == [f"old{each:02}" for each in (*range(2, 12), 20, 21)]
    assert bench.run().summary.rows_read == 0


def test_a_run_over_one_stream_goes_on_with_that_stream_alone(bench: Bench) -> None:
    fill(bench)
    bench.run(ALL, limit=1)
    bench.run(stream=Stream.IDENTIFIES)
    assert open_periods(bench) == [("tracks", None)]
    assert bench.statuses().get("i-old") == "sent"


def test_the_same_period_is_not_asked_for_twice(bench: Bench) -> None:
    fill(bench)
    for _ in range(3):
        bench.run(ALL, limit=2)
    assert len(bench.read_state("sync_periods")) == 2 + 2
    bench.run()
    assert open_periods(bench) == []


def test_parts_of_a_run_go_on_with_an_open_period(bench: Bench) -> None:
    fill(bench)
    bench.run(ALL, limit=3)
    with bench.sync() as sync:
        started = sync.start(RunOptions(), 3)
        for number in started.shards:
            assert sync.deliver_shard(started.run_id, number, Interrupt()).error is None
        result = sync.finish(started.run_id)
    assert result.summary.rows_read == OLD + 1 - 3
    assert (open_periods(bench), audit(bench)) == ([], (0, 0))
    bench.check(ordered=False)


def test_a_period_of_parts_stays_open_until_all_are_delivered(bench: Bench) -> None:
    fill(bench)
    with bench.sync() as sync:
        started = sync.start(RunOptions(since=ALL), 3)
        assert len(started.shards) > 1
        sync.deliver_shard(started.run_id, started.shards[0], Interrupt())
        sync.finish(started.run_id, interrupted=True)
    assert len(open_periods(bench)) == 2
    bench.run()
    assert (open_periods(bench), audit(bench)) == ([], (0, 0))
