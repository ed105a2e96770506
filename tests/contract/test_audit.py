"""Warehouse against sync-state, in each place: what is missing and what is not, by day and event, and the command that repairs it."""

import shlex
from datetime import datetime
from typing import Any

import accounting
import pytest
from accounting import ALL, Bench, ago, open_bench
from warehouse import add_rows, identify, run_sql, track

import rehook_sync.jobs.audit
from rehook_sync.errors import UsageError
from rehook_sync.jobs.audit import UNJUDGED, AuditReport
from rehook_sync.jobs.results import RunOptions
from rehook_sync.models import Stream
from rehook_sync.render.audit import audit_document
from rehook_sync.rules.watermark import Beginning
from rehook_sync.times import parse_moment

bench = accounting.bench
KINDS = ("sent", "unchanged", "merged", "rejected", "failed", "in_doubt", "sending", *UNJUDGED)


@pytest.fixture(autouse=True)
def small_questions(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ask the sync-state a few ids at a time, a number that no count of rows here is a multiple of."""
    monkeypatch.setattr(rehook_sync.jobs.audit, "_LOOKED_UP", 3)


def look(bench: Bench, since: datetime | Beginning = ALL, until: datetime | None = None, **changes: object) -> AuditReport:
    """Audit, and see that nothing was written and that all numbers add up."""
    tables = ("sync_runs", "sync_watermarks", "sync_state", "sync_customers", "sync_lease")
    before = {table: bench.read_state(table) for table in tables}
    with bench.sync(**changes) as sync:
        report = sync.audit(RunOptions(since=since, until=until))
    assert {table: bench.read_state(table) for table in tables} == before
    check_sums(bench, report)
    return report


def check_sums(bench: Bench, report: AuditReport) -> None:
    """The rows of each stream are those that the warehouse itself counts, and the sum of all kinds; the document says the same."""
    document: Any = audit_document(report)
    books = accounting.read_books(bench.warehouse_url, bench.state_url)
    for audit in report.feeds:
        low, high = audit.window.low, audit.window.high
        calls = [
            call
            for call in books.calls[audit.feed.stream]
            if call.received_at is None or ((low is None or low <= call.received_at) and call.received_at < high)
        ]
        named = {call.message_id for call in calls if call.message_id is not None and call.message_id.strip()}
        nameless = {call.content for call in calls if call.message_id is None or not call.message_id.strip()}
        of_stream = document["streams"][audit.feed.stream]
        assert of_stream["rows"] == len(named) + len(nameless) == sum(of_stream[kind] for kind in KINDS)
        lines = [each for each in document["lines"] if each["stream"] == audit.feed.stream]
        assert sum(each["rows"] for each in lines) == of_stream["rows"]
        assert len({(each["day"], each["event"]) for each in lines}) == len(lines)


def found(report: AuditReport, kind: str) -> dict[tuple[str | None, str, str | None], int]:
    """(Day, stream, event) -> calls of a kind."""
    lines = [line for feed in report.feeds for line in feed.lines if line.counts.get(kind)]
    return {(line.day, line.feed.stream, line.event): line.counts[kind] for line in lines}


def day(moment: datetime) -> str:
    return moment.date().isoformat()


def test_everything_delivered_nothing_is_missing(bench: Bench) -> None:
    people = [identify(f"i{each}", f"u{each}", ago(hours=5), email=f"{each}@example.com") for each in range(8)]
    orders = [track(f"t{each}", f"u{each}", when=ago(hours=4, days=each)) for each in range(7)]
    bench.fill(people, [*orders, *orders[:2], track(None, "u1", when=ago(hours=3)), track(None, "u2", when=ago(hours=3))])
    bench.run(ALL)
    report = look(bench)
    assert (report.missing, report.repair, report.run_at_work) == (0, None, None)
    identified = {(day(ago(hours=5)), "identifies", None): 8}
    assert found(report, "sent") == identified | {(day(ago(hours=4, days=each)), "tracks", "Order Completed"): 1 for each in range(7)}
    assert sum(found(report, "rejected").values()) == 2


def test_rows_that_came_later_than_the_lookback_are_missing_until_the_repair(bench: Bench) -> None:
    bench.fill(tracks=[track(f"t{each}", f"u{each}", when=ago(days=each)) for each in range(20)])
    bench.run(ALL)
    late = [track(f"late{each}", f"u{each}", "Product Viewed", ago(days=10, minutes=each)) for each in range(7)]
    add_rows(bench.warehouse_url, "tracks", [*late, late[0], track("late-order", "u3", when=ago(days=8))])
    bench.missed.update({*(f"late{each}" for each in range(7)), "late-order"})
    bench.run()
    report = look(bench)
    assert report.missing == 8
    assert sum(n for (_, _, event), n in found(report, "missing").items() if event == "Product Viewed") == 7
    assert found(report, "missing")[day(ago(days=8)), "tracks", "Order Completed"] == 1
    assert report.found_by_next_run == 0
    assert look(bench, ago(days=9)).missing == 1
    assert look(bench, ago(days=9, hours=1), ago(days=8, hours=1)).missing == 0
    repair(bench, report)
    assert look(bench).missing == 0
    assert bench.events()["u3", "Product Viewed"] == 1


def repair(bench: Bench, report: AuditReport) -> None:
    """Do what the report says."""
    assert report.repair is not None
    *command, option, since = shlex.split(report.repair)
    assert (command, option) == (["python", "-m", "rehook_sync", "run"], "--since")
    assert bench.run(parse_moment(since, datetime.now().astimezone())).summary.rows_read == report.missing


def test_missing_rows_within_the_lookback_are_found_by_the_next_run(bench: Bench) -> None:
    bench.fill(tracks=[track("a", "ada", when=ago(hours=1))])
    bench.run(ALL)
    add_rows(bench.warehouse_url, "tracks", [track("b", "ada", when=ago(hours=30)), track("c", "ada", when=ago(days=30))])
    report = look(bench)
    assert (report.missing, report.found_by_next_run) == (2, 1)
    bench.missed.add("c")
    bench.run()
    assert (look(bench).missing, look(bench).found_by_next_run) == (1, 0)


def test_unread_rows_are_not_due_and_rows_before_the_start_stay_out(bench: Bench) -> None:
    bench.fill(tracks=[track("old", "ada", when=ago(days=40)), track("a", "ada", when=ago(days=5)), track("b", "ada", when=ago(days=1))])
    assert found(look(bench), "not_due") == {(day(ago(days=each)), "tracks", "Order Completed"): 1 for each in (40, 5, 1)}
    bench.run(ago(days=6))
    add_rows(bench.warehouse_url, "tracks", [track("new", "ada", when=ago(minutes=1)), track("future", "ada", when=ago(days=-3))])
    report = look(bench, until=ago(days=-5))
    assert report.missing == 0
    assert found(report, "before_start") == {(day(ago(days=40)), "tracks", "Order Completed"): 1}
    assert found(report, "not_due") == {(day(ago(minutes=1)), "tracks", "Order Completed"): 1}
    assert found(report, "future") == {(day(ago(days=-3)), "tracks", "Order Completed"): 1}
    assert look(bench).feeds[1].count("not_due") == 1
    bench.run(ago(days=50))
    assert found(look(bench), "before_start") == {}


def test_unsettled_rows_are_judged_and_not_missing(bench: Bench) -> None:
    bench.fill(tracks=[track(f"t{each}", f"u{each}", when=ago(hours=each + 1)) for each in range(5)])
    bench.sandbox.faults.add("status", status=503, source_id="u1")
    bench.sandbox.faults.add("commit_then_drop", path="/events/invoke", source_id="u2")
    bench.run(ALL, uncertain=True)
    report = look(bench)
    assert (report.count("failed"), report.count("in_doubt"), report.count("sent"), report.missing) == (1, 1, 3, 0)


def test_rows_that_left_the_warehouse_are_named_and_change_no_sum(bench: Bench) -> None:
    bench.fill(tracks=[track(f"t{each}", "ada", when=ago(days=each)) for each in range(7)])
    bench.run(ALL)
    run_sql(bench.warehouse_url, "DELETE FROM tracks WHERE id IN ('t2', 't4')")
    report = look(bench)
    assert (report.missing, report.count("sent")) == (0, 5)
    gone = {(line.day, line.event): line.gone for line in report.feeds[1].lines if line.gone}
    assert gone == {(day(ago(days=each)), "Order Completed"): 1 for each in (2, 4)}
    assert [line.gone for line in look(bench, ago(days=1, hours=1)).feeds[1].lines] == [0, 0]


def test_rows_whose_id_or_time_is_unusable_are_accounted_for(bench: Bench) -> None:
    odd = [track(None, "ada", when=ago(hours=2)), track("\t", "ada", when=ago(hours=2)), track("x" * 3000, "ada", when=ago(hours=2))]
    bench.fill(tracks=[track("a", "ada", when=ago(hours=1)), *odd, odd[0], {**track("timeless", "ada"), "received_at": None}])
    before = look(bench)
    assert (before.missing, before.count("not_due")) == (0, 5)
    bench.run(ALL, check=False)
    report = look(bench)
    assert (report.missing, report.count("rejected"), report.count("sent")) == (0, 4, 1)
    assert found(report, "rejected")[None, "tracks", "Order Completed"] == 1
    add_rows(bench.warehouse_url, "tracks", [track(None, "bob", when=ago(hours=30))])
    assert look(bench).missing == 1
    bench.run(check=False)
    assert look(bench).missing == 0


def test_calls_without_an_id_are_counted_page_by_page_and_copies_once(bench: Bench) -> None:
    calls = [track(None, f"user {each}", when=ago(hours=1 + each % 3)) for each in range(11)]
    bench.fill(tracks=[*calls, *calls[2:9], *calls[:5]])
    assert look(bench).count("not_due") == 11
    bench.run(ALL, check=False)
    report = look(bench)
    assert (report.missing, report.feeds[1].rows) == (0, 11)


def test_pruned_rows_still_count(bench: Bench) -> None:
    bench.fill(tracks=[track(f"t{each}", "ada", when=ago(days=20)) for each in range(4)])
    bench.run(ALL)
    bench.change_state("UPDATE {sync_state} SET user_id = NULL, event = NULL, payload_hash = NULL")
    report = look(bench)
    assert found(report, "sent") == {(day(ago(days=20)), "tracks", "Order Completed"): 4}
    assert [line.gone for line in report.feeds[1].lines] == [0]


def test_one_stream_and_a_period_that_ends_before_it_begins(bench: Bench) -> None:
    bench.fill(tracks=[track("a", "ada", when=ago(days=1))])
    with bench.sync() as sync:
        assert [each.feed.stream for each in sync.audit(RunOptions(since=ALL, stream=Stream.TRACKS)).feeds] == [Stream.TRACKS]
        with pytest.raises(UsageError, match="is not before the end of the period"):
            sync.audit(RunOptions(since=ago(days=1), until=ago(days=2)))


def test_what_a_run_at_work_holds_is_said(bench: Bench) -> None:
    bench.fill(tracks=[track("a", "ada", when=ago(days=1))])
    bench.run(ALL)
    bench.change_state("UPDATE {sync_lease} SET owner = 'someone', run_id = 'their-run', expires_at = '2999-01-01T00:00:00.000000Z'")
    assert look(bench).run_at_work == "their-run"


@pytest.mark.parametrize("place", ["sqlite-same", "postgresql-sqlite"])
def test_warehouse_without_event_names_is_audited(place: str, request: pytest.FixtureRequest) -> None:
    with open_bench(place, request) as bench:
        rows = [{name: value for name, value in track("a", "ada", when=ago(days=1)).items() if not name.startswith("event")}]
        bench.fill(tracks=rows, types={"tracks": {"event": None, "event_text": None}})
        bench.run(ALL)
        assert found(look(bench), "rejected") == {(day(ago(days=1)), "tracks", None): 1}


def test_a_row_of_the_future_is_due_when_its_time_has_come(bench: Bench) -> None:
    bench.fill(tracks=[track("a", "ada", when=ago(days=-30))])
    for _ in range(2):  # before the first run, and after it
        report = look(bench, until=ago(days=-60))
        assert (report.count("future"), report.count("not_due"), report.missing) == (1, 0, 0)
        assert bench.run(ALL).summary.rows_read == 0
