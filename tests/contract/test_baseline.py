"""A baseline records a period as settled elsewhere: nothing of it is ever sent, and what comes later is."""

import re
from collections import Counter
from collections.abc import Callable
from datetime import datetime
from functools import partial
from typing import Any

import accounting
import pytest
from accounting import ALL, Bench, ago
from warehouse import Row, add_rows, identify, run_sql, track

from rehook_sync.errors import LeaseHeldError, UsageError
from rehook_sync.jobs.results import Progress, RunOptions, RunResult
from rehook_sync.models import DEFAULT_SOURCE, Status, Stream
from rehook_sync.rules.periods import Feed
from rehook_sync.rules.watermark import Beginning
from rehook_sync.runtime import Interrupt

bench = accounting.bench
CUT = ago(hours=10)
SKIPPED = "skipped:settled_elsewhere"
OLD = 23


class Death(BaseException):
    """Stands for the end of the process."""


def fill(bench: Bench, *identifies: Row) -> None:
    """Calls before the cut, and three after it."""
    tracks = [track(f"old{each:02}", f"u{each % 5}", "Visited", ago(hours=11, minutes=each)) for each in range(OLD)]
    new = [track(f"new{each}", f"u{each}", "Visited", ago(hours=9, minutes=each)) for each in range(3)]
    bench.fill([identify("i-ada", "ada", ago(hours=12), referral_code="ADA", plan="free", city=None), *identifies], [*tracks, *new])


def baseline(
    bench: Bench,
    since: datetime | Beginning = ALL,
    until: datetime = CUT,
    stream: Stream | None = None,
    listen: Callable[[Progress], None] | None = None,
    interrupt: Interrupt | None = None,
    **settings: Any,
) -> RunResult:
    with bench.sync(**settings) as sync:
        return sync.baseline(RunOptions(since=since, until=until, stream=stream), interrupt or Interrupt(), listen)


def audit(bench: Bench) -> Counter[str]:
    with bench.sync() as sync:
        report = sync.audit(RunOptions(since=ALL))
    return Counter({kind: report.count(kind) for kind in (*Status, "missing", "not_due", "before_start") if report.count(kind)})


def test_what_was_delivered_elsewhere_is_recorded_and_never_sent(bench: Bench) -> None:
    fill(bench)
    with bench.sync() as sync:
        plan = sync.plan_baseline(RunOptions(since=ALL, until=CUT))
    assert (plan.rows, bench.read_state("sync_runs"), bench.read_state("sync_state")) == (OLD + 1, [], [])
    done = baseline(bench)
    assert (done.summary.skipped, done.summary.rows_read, done.summary.status) == (OLD + 1, OLD + 1, "succeeded")
    assert bench.sandbox.store.log == []
    assert set(bench.statuses().values()) == {SKIPPED}
    bench.check()
    assert bench.run().summary.sent == 3, "the next run starts at the cut, without being told"
    assert bench.run(ALL).summary.rows_read == 0
    assert audit(bench) == {"skipped": OLD + 1, "sent": 3}
    assert {row["kind"]: row["skipped"] for row in bench.read_state("v1_runs") if row["skipped"]} == {"baseline": OLD + 1}


def test_what_arrives_later_and_is_dated_before_the_cut_stays_out(bench: Bench) -> None:
    fill(bench)
    baseline(bench)
    add_rows(bench.warehouse_url, "tracks", [track("late", "ada", "Visited", ago(hours=10, minutes=5))])
    assert bench.run().summary.sent == 3
    assert audit(bench)["before_start"] == 1
    bench.missed.add("late")
    bench.check()


def test_it_changes_nothing_that_is_settled_or_in_doubt(bench: Bench) -> None:
    fill(bench, {**identify("i-anon", "bob", ago(hours=12)), "anonymous_id": "a1"})
    bench.sandbox.faults.add("commit_then_drop", path="/events/invoke", source_id="u1", times=1)
    bench.run(ago(hours=11, minutes=13), until=ago(hours=11, minutes=3), max_attempts=1, uncertain=True)
    bench.run(ago(hours=12, minutes=1), until=ago(hours=11, minutes=50), stream=Stream.IDENTIFIES)
    before = {row["message_id"]: row for row in bench.read_state("sync_state")}
    assert {row["status"] for row in before.values()} >= {"sent", "in_doubt", "rejected"}
    done = baseline(bench)
    after = {row["message_id"]: row for row in bench.read_state("sync_state")}
    assert {key: after[key] for key in before} == before
    assert done.summary.skipped == len(after) - len(before)
    assert any("1 of the period in doubt stays so" in note for note in done.notes)
    assert (done.summary.status, audit(bench)["in_doubt"]) == ("attention", 1)


def test_failed_and_waiting_calls_of_the_period_are_skipped(bench: Bench) -> None:
    tables = {"order_done": [track("w2", "eve", "Order Done", ago(hours=8))]}
    tracks = [track(f"w{each}", "eve", "Order Done", ago(hours=hours)) for each, hours in ((1, 11), (2, 8), (3, 7))]
    bench.fill([identify("i1", "bob", ago(hours=12), plan="a"), identify("i2", "bob", ago(hours=9), plan="a")], tracks, **tables)
    bench.sandbox.faults.add("status", status=503, source_id="bob")
    bench.run(ALL, max_attempts=1)
    bench.sandbox.faults.clear()
    assert Counter(bench.statuses().values())["waiting:properties_not_loaded"] == 2
    done = baseline(bench)
    assert done.summary.skipped == 2
    assert {key for key, status in bench.statuses().items() if status == SKIPPED} == {"i1", "w1"}
    bench.check(complete=False)
    bench.run()
    assert bench.statuses()["i2"] == "sent", "its traits may be the same as those that were settled elsewhere"
    assert [each["plan"] for each in bench.metadata() if "plan" in each] == ["a"]


def test_failed_calls_that_left_the_warehouse_are_skipped_too(bench: Bench) -> None:
    fill(bench)
    bench.sandbox.faults.add("status", status=503, source_id="u1")
    bench.run(ALL, max_attempts=1)
    bench.sandbox.faults.clear()
    failed = sorted(key for key, status in bench.statuses().items() if status.startswith("failed") and key.startswith("old"))
    run_sql(bench.warehouse_url, f"DELETE FROM tracks WHERE id = '{failed[0]}'")
    bench.gone.add(failed[0])
    done = baseline(bench)
    assert done.summary.skipped == len(failed)
    assert any("1 of them had failed or waited and is no longer in the warehouse" in note for note in done.notes)
    bench.run()


def test_the_first_user_of_a_period_owns_a_code(bench: Bench) -> None:
    fill(bench, identify("i-bob", "bob", ago(hours=11), referral_code="ADA"), identify("i-eve", "eve", ago(hours=9), referral_code="ADA"))
    baseline(bench)
    assert {row["source_id"]: row["referral_code"] for row in bench.read_state("sync_customers") if row["referral_code"]} == {"ada": "ADA"}
    bench.run(check=False)
    assert bench.statuses()["i-eve"] == "rejected:referral_code_taken"
    with bench.sync() as sync:
        sync.prune(bench.settings().lookback, Interrupt())
    assert {row["referral_code"] for row in bench.read_state("sync_customers")} >= {"ADA"}, "no later run takes it for an open claim"


def test_a_later_identify_is_sent_and_an_older_one_changes_nothing_newer(bench: Bench) -> None:
    fill(bench)
    baseline(bench)
    late = {**identify("late", "ada", ago(hours=9), plan="old", city="Rome"), "timestamp": ago(hours=13)}
    add_rows(bench.warehouse_url, "identifies", [late, identify("same", "ada", ago(hours=8), plan="free")])
    bench.run()
    assert {message_id: bench.statuses()[message_id] for message_id in ("late", "same")} == {"late": "merged", "same": "sent"}
    assert [each for each in bench.metadata() if each.keys() & {"plan", "city"}] == [{"plan": "free", "city": "Rome"}]
    later = {**identify("later", "ada", ago(hours=7), plan="older"), "timestamp": ago(hours=12, minutes=1)}
    add_rows(bench.warehouse_url, "identifies", [later])
    bench.run()
    assert bench.statuses()["later"] == "unchanged:superseded"


@pytest.mark.parametrize("how", ["killed", "interrupted"])
def test_a_baseline_that_was_cut_off_holds_runs_up_until_it_is_done(bench: Bench, how: str) -> None:
    fill(bench)
    bench.run(ago(hours=9, minutes=30))
    interrupt = Interrupt()

    def cut_off(progress: Progress) -> None:
        if how == "killed":
            raise Death
        interrupt.request(2)

    if how == "killed":
        with pytest.raises(Death):
            baseline(bench, listen=cut_off)
    else:
        assert baseline(bench, listen=cut_off, interrupt=interrupt).summary.status == "interrupted"
    left = OLD + 1 - Counter(bench.statuses().values())[SKIPPED]
    assert 0 < left < OLD + 1
    log = len(bench.sandbox.store.log)
    for attempt in (bench.run, bench.plan):
        with pytest.raises(UsageError, match="is not done, and a run would send its calls: `baseline --since beginning --until 20"):
            attempt(ALL)
    with bench.sync() as sync:
        assert [each.kind for each in sync.read_status(1).periods] == ["baseline"] * 2
    assert baseline(bench).summary.skipped == left
    assert bench.run().summary.rows_read == 0
    assert (len(bench.sandbox.store.log), audit(bench)["skipped"]) == (log, OLD + 1)


def test_the_command_that_goes_on_settles_no_other_stream(bench: Bench) -> None:
    fill(bench)
    interrupt = Interrupt()
    done = baseline(bench, stream=Stream.TRACKS, listen=lambda _: interrupt.request(2), interrupt=interrupt)
    command = r"`baseline --since beginning --until [^ ]*Z --stream tracks` goes on with it"
    assert any(re.search(command, note) for note in done.notes)
    with pytest.raises(UsageError, match=command):
        bench.run(ALL)
    baseline(bench, stream=Stream.TRACKS)
    assert bench.run(ALL).summary.sent == 4, "the Identify call and the three events after the cut"


def test_the_same_age_on_another_day_opens_no_second_baseline(bench: Bench) -> None:
    fill(bench)
    interrupt = Interrupt()
    first = baseline(bench, since=ago(days=3), listen=lambda _: interrupt.request(2), interrupt=interrupt)
    options = RunOptions(since=ago(days=3, seconds=-5), until=ago(hours=10, seconds=-5))
    with bench.sync() as sync:
        for attempt in (sync.plan_baseline, partial(sync.baseline, interrupt=Interrupt())):
            with pytest.raises(UsageError, match="an age such as 3d is another time than it was then") as refused:
                attempt(options)
    assert f"which run {first.summary.run_id} was asked for, is not done" in str(refused.value)
    since, until = re.findall(r"20[^ ]*Z", str(refused.value).split("`")[1])
    again = baseline(bench, since=datetime.fromisoformat(since), until=datetime.fromisoformat(until))
    assert not any("not done" in note for note in again.notes)
    assert {row["opened_by"] for row in bench.read_state("sync_periods")} == {first.summary.run_id}
    bench.run(ago(days=3))


def test_a_baseline_says_which_other_is_still_open(bench: Bench) -> None:
    fill(bench)
    interrupt = Interrupt()
    first = baseline(bench, since=ago(days=3), listen=lambda _: interrupt.request(2), interrupt=interrupt)
    second = baseline(bench, since=ago(days=9), until=ago(days=3))
    assert second.summary.status == "succeeded"
    assert any(f"which run {first.summary.run_id} was asked for, is not done" in note for note in second.notes)
    assert not any("not done" in note for note in baseline(bench, since=ago(days=9)).notes), "what holds both is done with both"
    bench.run(ago(days=3))


def test_a_baseline_can_be_given_up(bench: Bench) -> None:
    fill(bench)
    interrupt = Interrupt()
    baseline(bench, listen=lambda _: interrupt.request(2), interrupt=interrupt)
    with bench.sync() as sync:
        assert sum(calls or 0 for _, calls in sync.abandon(RunOptions())) == OLD + 4 - len(bench.statuses()) - 3
        assert sync.read_status(1).periods == []
    bench.run(CUT)


def test_a_period_in_the_middle_moves_no_watermark_over_a_gap(bench: Bench) -> None:
    fill(bench)
    first = bench.run(ago(hours=13), until=ago(hours=11, minutes=15))
    done = baseline(bench, since=ago(hours=11, minutes=10))
    assert done.watermarks == first.watermarks
    assert bench.run().summary.sent == OLD + 4 - first.summary.rows_read - done.summary.skipped
    assert audit(bench)["missing"] == 0


def test_one_that_joins_the_watermark_moves_it(bench: Bench) -> None:
    fill(bench)
    bench.run(ago(hours=13), until=ago(hours=11, minutes=15))
    done = baseline(bench, since=ago(hours=12))
    assert done.watermarks[Feed(DEFAULT_SOURCE, Stream.TRACKS)] == ago(hours=11)
    assert bench.run().summary.sent == 3


def test_on_fresh_tables_only_one_from_the_beginning_says_where_to_start(bench: Bench) -> None:
    fill(bench)
    done = baseline(bench, since=ago(days=3))
    assert any("still needs --since" in note for note in done.notes)
    with pytest.raises(UsageError, match="there is no watermark yet"):
        bench.run()
    assert baseline(bench).summary.rows_read == 0
    assert bench.run().summary.sent == 3


def test_calls_without_a_time_belong_to_a_period_from_the_beginning(bench: Bench) -> None:
    fill(bench)
    timeless = {**track("timeless", "ada", "Visited", ago(hours=11)), "received_at": None}
    add_rows(bench.warehouse_url, "tracks", [timeless])
    done = baseline(bench, since=ago(days=3))
    assert any("1 without a time of arrival" in note for note in done.notes)
    assert "timeless" not in bench.statuses()
    assert baseline(bench).summary.skipped == 1
    assert bench.statuses()["timeless"] == SKIPPED


def test_one_stream_alone(bench: Bench) -> None:
    fill(bench)
    assert baseline(bench, stream=Stream.TRACKS).summary.skipped == OLD
    bench.run(CUT)
    assert bench.statuses().get("i-ada") is None


@pytest.mark.parametrize(
    ("since", "until", "words"),
    [(ALL, ago(days=-2), "lies in the future"), (CUT, CUT, "is not before --until"), (ALL, None, "needs both")],
)
def test_a_period_that_cannot_be_meant_is_refused(bench: Bench, since: Any, until: Any, words: str) -> None:
    fill(bench)
    with pytest.raises(UsageError, match=words):
        baseline(bench, since=since, until=until)
    assert bench.read_state("sync_runs") == []


def test_it_takes_the_lease_and_no_key(bench: Bench) -> None:
    fill(bench)
    bench.options |= {"api_key": None, "api_secret": None}
    held = bench.sync()
    with held as sync, bench.sync() as other:
        started = sync._context().ledger("somebody")
        started.acquire()
        with pytest.raises(LeaseHeldError):
            other.baseline(RunOptions(since=ALL, until=CUT), Interrupt())
        started.release()
        assert other.baseline(RunOptions(since=ALL, until=CUT), Interrupt()).summary.skipped == OLD + 1
