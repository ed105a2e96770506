"""What the API, the network or a dead process do to a run, and what the next run makes of it. Each run is audited."""

import errno
import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import timedelta

import accounting
import pytest
from accounting import ALL, Bench, ago, open_bench
from warehouse import Row, add_rows, identify, track

from rehook_sync.database.engine import open_database
from rehook_sync.errors import ApiDownError, CredentialsRefusedError, LeaseHeldError, LeaseLostError, UsageError
from rehook_sync.jobs.results import Progress, RunOptions
from rehook_sync.models import RunStatus, Selection, Status, Stream
from rehook_sync.runtime import Interrupt
from rehook_sync.state.ledger import Ledger

bench = accounting.bench
HoldLease = Callable[[str], Ledger]


def visits(user_id: str, *message_ids: str, hours: float = 9) -> list[Row]:
    """Events of one user, a second apart."""
    return [track(each, user_id, "Visited", ago(hours=hours) + timedelta(seconds=place)) for place, each in enumerate(message_ids)]


def crowd(count: int, hours: float = 9) -> list[Row]:
    """One event of each of many users."""
    return [track(f"c{each}", f"crowd{each}", "Visited", ago(hours=hours, seconds=-each)) for each in range(count)]


@pytest.fixture
def hold_lease(bench: Bench) -> Iterator[Callable[[str], Ledger]]:
    """Takes the lease as another process would."""
    opened = []

    def hold(run_id: str) -> Ledger:
        opened.append(open_database(bench.state_url or bench.warehouse_url, "STATE_URL", search_path="rehook_sync"))
        other = Ledger(opened[-1], run_id, 60)
        other.acquire()
        return other

    yield hold
    for each in opened:
        each.close()


def test_where_no_further_process_may_be_started_one_does_it_all(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> int:
        raise BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable")

    monkeypatch.setattr("rehook_sync.jobs.work.can_read_apart", lambda _databases: True)
    monkeypatch.setattr(os, "fork", refuse)
    bench.fill([identify("i1", "ada", ago(hours=9), plan="free")], crowd(11))
    assert bench.run(ALL).summary.sent == 12


def test_failed_rows_come_back_however_old_and_in_order_with_new_ones(bench: Bench) -> None:
    bench.fill([identify("i1", "ada", ago(days=30), plan="free")], [*visits("ada", "a1", "a2", hours=700), *crowd(11)])
    bench.sandbox.faults.add("status", status=503, source_id="ada")
    first = bench.run(ALL, max_attempts=1)
    assert (first.summary.status, first.summary.sent, first.summary.failed) == (RunStatus.ATTENTION, 11, 3)
    assert {
        "i1": "failed:server_error",
        "a1": "failed:blocked_by_earlier",
        "a2": "failed:blocked_by_earlier",
    }.items() <= bench.statuses().items()
    bench.sandbox.faults.clear()
    add_rows(bench.warehouse_url, "identifies", [identify("i2", "ada", ago(hours=1), plan="pro")])
    add_rows(bench.warehouse_url, "tracks", [*visits("ada", "a3", hours=2), *visits("ada", "a4", hours=0.5)])
    again = bench.run(lookback=timedelta(hours=4), chunk_rows=2)
    assert (again.summary.status, again.summary.sent, again.summary.rows_read) == (RunStatus.SUCCEEDED, 6, 6)
    names = [each.path for each in bench.sandbox.store.order_of("ada") if each.accepted]
    assert names == ["/customers", *["/events/invoke"] * 3, "/customers", "/events/invoke"]
    assert bench.run().summary.rows_read == 0


def test_attempts_add_up_over_runs(bench: Bench) -> None:
    bench.fill(tracks=[*visits("ada", "a1"), *crowd(3)])
    bench.sandbox.faults.add("status", status=503, source_id="ada", times=2)
    bench.run(ALL, max_attempts=1)
    bench.run(max_attempts=1)
    assert bench.statuses()["a1"] == "failed:server_error"
    bench.run(max_attempts=1)
    (row,) = [row for row in bench.read_state("sync_state") if row["message_id"] == "a1"]
    assert (row["status"], row["attempts"]) == ("sent", 3)


def test_a_refused_row_stops_nobody_behind_it(bench: Bench) -> None:
    bench.fill(tracks=[*visits("ada", "a1", "a2", "a3"), *crowd(9)])
    bench.sandbox.faults.add("status", status=400, source_id="ada", times=1)
    result = bench.run(ALL)
    assert (result.summary.status, result.summary.sent, result.summary.rejected) == (RunStatus.SUCCEEDED, 11, 1)
    assert bench.statuses()["a1"] == "rejected:refused_by_rehook"
    assert bench.run().summary.rows_read == 0


@pytest.mark.parametrize(
    ("fault", "arrived", "reason"), [("commit_then_drop", 1, "connection_lost"), ("drop_before", 0, "connection_lost")]
)
def test_an_event_in_doubt_is_never_sent_again_under_hold(bench: Bench, fault: str, arrived: int, reason: str) -> None:
    bench.fill(tracks=[*visits("ada", "a1", "a2"), *crowd(9)])
    bench.sandbox.faults.add(fault, source_id="ada", times=1)  # type: ignore[arg-type]
    first = bench.run(ALL)
    assert (first.summary.status, first.summary.in_doubt, first.summary.sent) == (RunStatus.ATTENTION, 1, 10)
    assert bench.statuses()["a1"] == f"in_doubt:{reason}"
    assert bench.run(ALL).summary.rows_read == 0
    assert bench.run(ALL, on_ambiguous_event="resend").summary.rows_read == 0
    assert bench.events()["ada", "Visited"] == arrived + 1


def test_ids_that_are_not_in_doubt_are_named_and_nothing_is_done(bench: Bench) -> None:
    bench.fill([identify("i1", "ada", ago(hours=10))], [*visits("ada", "a1", "a2"), *crowd(9)])
    bench.sandbox.faults.add("commit_then_drop", path="/events/invoke", source_id="ada", times=1)
    assert bench.run(ALL).summary.in_doubt == 1
    asked = RunOptions(only=Selection(Status.IN_DOUBT, ids=("a1", "c3", "nobody")))
    before = bench.check()
    with bench.sync() as sync:
        for act in (lambda: sync.accept(["c3", "ada", "nobody"]), lambda: sync.run(asked, Interrupt())):
            with pytest.raises(UsageError, match=r"'c3', 'nobody' are not in doubt, and no user with a call in doubt; nothing was done"):
                act()
        assert bench.check() == before
        assert sync.read_doubtful(["a1", "c3", "ada"]) == ("a1", "ada")
        assert sync.accept(["ada", "a1"]) == 1
    assert bench.statuses()["a1"] == "sent"
    bench.check(uncertain=True)


def test_a_server_error_on_an_event_is_in_doubt(bench: Bench) -> None:
    bench.fill(tracks=[*visits("ada", "a1"), *crowd(3)])
    bench.sandbox.faults.add("commit_then_status", status=500, source_id="ada", times=1)
    bench.run(ALL)
    assert bench.statuses()["a1"] == "in_doubt:server_error"
    assert bench.run().summary.requests == 0


def test_resend_repeats_an_event_until_it_is_known_to_have_arrived(bench: Bench) -> None:
    bench.fill(tracks=[*visits("ada", "a1"), *crowd(3)])
    bench.sandbox.faults.add("commit_then_drop", source_id="ada", times=2)
    first = bench.run(ALL, on_ambiguous_event="resend", uncertain=True)
    assert (first.summary.failed, bench.statuses()["a1"]) == (1, "failed:network_error")
    assert bench.run(on_ambiguous_event="resend", uncertain=True).summary.sent == 1
    assert bench.events()["ada", "Visited"] == 3


def test_an_identify_without_an_answer_is_repeated(bench: Bench) -> None:
    bench.fill([identify("i1", "ada", ago(hours=3), plan="free")], [*visits("ada", "a1", hours=2), *crowd(3)])
    bench.sandbox.faults.add("commit_then_drop", path="/customers", times=1)
    assert bench.run(ALL, uncertain=True).summary.sent == 5
    add_rows(bench.warehouse_url, "identifies", [identify("i2", "ada", ago(hours=1), plan="free")])
    assert bench.run(uncertain=True).summary.unchanged == 1


def test_an_identify_that_may_have_arrived_makes_the_next_one_go_out(bench: Bench) -> None:
    bench.fill([identify("i1", "ada", ago(hours=3), plan="free")], crowd(3))
    bench.run(ALL)
    add_rows(bench.warehouse_url, "identifies", [identify("i2", "ada", ago(hours=2), plan="pro")])
    bench.sandbox.faults.add("commit_then_drop", path="/customers")
    assert bench.run(uncertain=True).summary.failed == 1
    bench.sandbox.faults.clear()
    add_rows(bench.warehouse_url, "identifies", [identify("i3", "ada", ago(hours=1), plan="free")])
    result = bench.run(uncertain=True, customers={"ada": {"plan": "free"}})
    assert result.summary.failed == 0


def test_wrong_credentials_mark_nothing_and_move_nothing(bench: Bench) -> None:
    bench.fill([identify(f"i{each}", f"u{each}", ago(hours=3), plan="x") for each in range(5)], [*crowd(9), track("nobody", None)])
    result = bench.run(ALL, api_secret="wrong")
    assert isinstance(result.error, CredentialsRefusedError)
    assert "wrong" not in str(result.error)
    assert result.summary.status is RunStatus.STOPPED
    assert set(bench.statuses()) <= {"nobody"}
    assert (bench.watermark(), bench.watermark("identifies"), bench.bodies()) == (None, None, [])
    assert bench.run(ALL).summary.sent == 14


def test_credentials_revoked_on_the_way_mark_nothing_and_move_nothing(bench: Bench) -> None:
    bench.fill(tracks=crowd(30))
    bench.run(ALL, until=ago(hours=9, seconds=-4))
    before = bench.watermark()
    bench.sandbox.faults.add("status", status=401, skip=10, path="/events/invoke")
    result = bench.run()
    assert isinstance(result.error, CredentialsRefusedError)
    assert (result.summary.failed, result.summary.in_doubt, bench.watermark()) == (0, 0, before)
    assert set(bench.statuses().values()) == {"sent"}
    bench.sandbox.faults.clear()
    assert bench.run().summary.sent == 16


@pytest.mark.parametrize(("status", "error"), [(401, CredentialsRefusedError), (503, ApiDownError)])
def test_a_call_about_to_be_tried_again_is_not_blamed_when_the_run_stops(
    status: int, error: type[Exception], request: pytest.FixtureRequest
) -> None:
    with open_bench("sqlite-same", request) as bench:
        bench.fill(tracks=[*visits("ada", "a1", hours=20), *crowd(3)])
        bench.sandbox.faults.add("status", status=503, source_id="ada", times=1)
        bench.sandbox.faults.add("status", status=status, source_id="crowd0", delay_s=0.7)
        bench.sandbox.faults.add("status", status=503, path="/events/segment/check-auth", skip=1)
        result = bench.run(ALL, concurrency=1, api_down_after=2)
        assert isinstance(result.error, error)
        assert (result.summary.rows_read, bench.statuses()) == (0, {})


def test_an_api_that_goes_down_stops_the_run_and_blames_no_row(bench: Bench) -> None:
    bench.fill([identify("i1", "crowd29", ago(hours=20), plan="x")], crowd(30))
    bench.sandbox.faults.add("status", status=503, skip=12)
    result = bench.run(ALL, max_attempts=1)
    assert isinstance(result.error, ApiDownError)
    assert (result.summary.failed, result.summary.in_doubt, bench.watermark()) == (0, 0, None)
    assert set(bench.statuses().values()) == {"sent"}
    bench.sandbox.faults.clear()
    assert bench.run(ALL).summary.sent == 31 - result.summary.sent


def test_an_api_that_vanishes_leaves_at_most_what_was_in_flight_in_doubt(bench: Bench) -> None:
    bench.fill(tracks=crowd(60))

    def pull_the_plug(progress: Progress) -> None:
        if progress.counts.get(Status.SENT, 0) >= 10:
            bench.sandbox.stop()

    result = bench.run(ALL, max_attempts=1, listen=pull_the_plug)
    assert isinstance(result.error, ApiDownError)
    assert (result.summary.failed, bench.watermark()) == (0, None)
    assert result.summary.in_doubt <= 4
    bench.sandbox.start()
    assert bench.run(ALL).summary.sent == 60 - result.summary.sent - result.summary.in_doubt


def test_a_wait_longer_than_the_patience_stops_the_run(bench: Bench) -> None:
    bench.fill(tracks=crowd(9))
    bench.sandbox.faults.add("rate_limited", retry_after_s=3600, path="/events/invoke")
    result = bench.run(ALL, patience=timedelta(seconds=1))
    assert isinstance(result.error, ApiDownError)
    assert result.error.retry_after_s == 3600
    assert (bench.statuses(), bench.watermark()) == ({}, None)


def test_a_short_wait_is_waited_out(bench: Bench) -> None:
    bench.fill(tracks=crowd(9))
    bench.sandbox.faults.add("rate_limited", retry_after_s=0, path="/events/invoke", times=2)
    assert bench.run(ALL, max_attempts=4).summary.sent == 9


def test_a_second_run_finds_the_lease_held_and_sends_nothing(bench: Bench, hold_lease: HoldLease) -> None:
    bench.fill(tracks=crowd(9))
    other = hold_lease("run-of-another")
    with pytest.raises(LeaseHeldError, match="run-of-another"):
        bench.run(ALL)
    assert bench.sandbox.store.log == []
    assert bench.statuses() == {}
    assert bench.read_state("sync_runs") == []
    other.release()
    assert bench.run(ALL).summary.sent == 9


def test_a_run_that_lost_its_lease_records_nothing_more(bench: Bench, hold_lease: HoldLease) -> None:
    bench.fill(tracks=crowd(60))
    thieves: list[Ledger] = []

    def steal(progress: Progress) -> None:
        while progress.counts.get(Status.SENT, 0) >= 10 and not thieves:
            bench.change_state("UPDATE {sync_lease} SET expires_at = '2020-01-01T00:00:00.000000Z'")
            with suppress(LeaseHeldError):  # a commit of the run itself came in between
                thieves.append(hold_lease("thief"))

    with pytest.raises(LeaseLostError):
        bench.run(ALL, listen=steal)
    known = {message_id: status for message_id, status in bench.statuses().items() if status != "sending"}
    assert set(known.values()) == {"sent"}
    assert len(known) < 60
    thieves[0].release()
    result = bench.run(ALL, ordered=False)
    assert result.summary.in_doubt == 0
    doubts = sum(run["in_doubt"] for run in bench.read_state("sync_runs"))
    assert {row["status"] for row in bench.read_state("sync_runs")} == {"crashed", "attention" if doubts else "succeeded"}
    assert [status for status in bench.statuses().values() if status != "sent"] == ["in_doubt:crashed_in_flight"] * doubts


def test_an_interrupted_run_settles_what_is_in_flight_and_the_next_does_the_rest(bench: Bench) -> None:
    bench.fill([identify("i1", "crowd5", ago(hours=20), plan="x")], crowd(60))
    interrupt = Interrupt()

    def stop(progress: Progress) -> None:
        if progress.counts.get(Status.SENT, 0) >= 10:
            interrupt.request(15)

    result = bench.run(ALL, interrupt=interrupt, listen=stop)
    assert (result.summary.status, result.summary.in_doubt, result.summary.failed) == (RunStatus.INTERRUPTED, 0, 0)
    assert 10 <= result.summary.sent < 61
    assert bench.watermark() is None
    assert bench.run(ALL).summary.sent == 61 - result.summary.sent


@pytest.mark.parametrize("mode", ["hold", "resend"])
def test_what_a_dead_run_left_in_flight_is_taken_care_of(bench: Bench, mode: str) -> None:
    bench.fill([identify("i1", "ada", ago(hours=9), plan="pro")], [*visits("ada", "a1", hours=8), *crowd(5)])
    bench.run(ALL)
    bench.change_state(
        "INSERT INTO {sync_runs} (run_id, trigger, status, started_at, version) "
        "VALUES ('dead', 'cli', 'running', '2026-01-01T00:00:00Z', '0')",
        "UPDATE {sync_state} SET status = 'sending', run_id = 'dead', settled_at = NULL WHERE message_id IN ('i1', 'a1')",
        "UPDATE {sync_lease} SET owner = 'ghost:1', run_id = 'dead', fence = 40, expires_at = '2026-01-01T00:00:00.000000Z'",
    )
    bench.audit = accounting.Audit(bench.warehouse_url, bench.state_url, received=bench.sandbox.store)
    result = bench.run(on_ambiguous_event=mode, uncertain=mode == "resend", ordered=False)
    assert [(run.run_id, run.status) for run in result.recovered] == [("dead", RunStatus.CRASHED)]
    assert bench.statuses()["i1"] == "sent"
    assert bench.statuses()["a1"] == ("sent" if mode == "resend" else "in_doubt:crashed_in_flight")
    assert bench.events()["ada", "Visited"] == (2 if mode == "resend" else 1)
    (dead,) = [run for run in bench.read_state("sync_runs") if run["run_id"] == "dead"]
    assert dead["status"] == "crashed"
    assert bench.run(uncertain=mode == "resend").summary.rows_read == 0


def test_watermark_row_is_written_by_every_run_that_ends(bench: Bench) -> None:
    bench.fill(tracks=crowd(9))
    bench.run(ALL, until=ago(hours=9, seconds=-5))
    bench.run(api_secret="wrong")
    bench.run()
    marks = [row for row in bench.read_state("sync_watermarks") if row["stream"] == Stream.TRACKS]
    assert len(marks) == 3
    assert sorted(mark["high_at"] for mark in marks) == [ago(hours=9, seconds=-4), ago(hours=9, seconds=-4), ago(hours=9, seconds=-8)]
