"""Events whose properties are not loaded yet wait, hold nobody back, and go out once and whole. Each run is audited."""

import re
from collections.abc import Iterator
from datetime import timedelta

import accounting
import pytest
from accounting import ALL, Bench, ago, open_bench
from latecomers import arrive_late
from rich.console import Console
from rich.table import Table
from warehouse import Row, add_rows, event, identify, make_warehouse, run_sql, track

from rehook_sync.jobs.results import RunOptions
from rehook_sync.models import Reason, RunStatus, Selection, Status
from rehook_sync.render.advice import Shell
from rehook_sync.render.explain import explanation_view
from rehook_sync.render.plan import plan_view
from rehook_sync.render.run import run_view
from rehook_sync.runtime import Interrupt

bench = accounting.bench
WAITS = "waiting:properties_not_loaded"


@pytest.fixture(params=["sqlite-same", "postgresql-same"])
def one_database(request: pytest.FixtureRequest) -> Iterator[Bench]:
    """For what does not depend on where the sync-state tables are."""
    with open_bench(request.param, request) as opened:
        yield opened


def order(message_id: str, hours: float, user: str = "ann") -> Row:
    """A call of the event table `order_completed`."""
    return track(message_id, user, "Order Completed", ago(hours=hours))


def test_an_event_waits_for_its_row_and_goes_out_once_and_whole(bench: Bench) -> None:
    bench.fill(tracks=[order("t1", 3), order("t2", 2)], order_completed=[event("t2", ago(hours=2), total=7)])
    first = bench.run(ALL)
    assert bench.statuses() == {"t1": WAITS, "t2": "sent"}
    assert (first.summary.status, first.summary.waiting, first.summary.sent) == (RunStatus.SUCCEEDED, 1, 1)
    add_rows(bench.warehouse_url, "order_completed", [event("t1", ago(hours=3), total=5)])
    second = bench.run()
    assert (second.summary.rows_read, second.summary.sent) == (1, 1)
    assert bench.metadata() == [{"total": 7}, {"total": 5}]
    assert bench.run().summary.rows_read == 0


def test_an_event_waits_for_its_whole_table(bench: Bench) -> None:
    bench.fill(tracks=[order("t1", 3)], signup=[event("t9")])
    assert bench.run(ALL).summary.waiting == 1
    assert bench.run().summary.waiting == 1, "each run looks again"
    make_warehouse(bench.warehouse_url, {"order_completed": [event("t1", ago(hours=3), total=5)]})
    assert bench.run().summary.sent == 1
    assert bench.metadata() == [{"total": 5}]


def test_without_any_event_table_all_events_wait(one_database: Bench) -> None:
    one_database.fill(tracks=[order("t1", 3)])
    assert one_database.run(ALL, missing_properties="wait").summary.waiting == 1
    assert one_database.bodies() == []


def test_a_table_without_properties_is_enough(one_database: Bench) -> None:
    one_database.fill(tracks=[order("t1", 3)], order_completed=[event("t1", ago(hours=3))])
    assert one_database.run(ALL).summary.sent == 1
    assert one_database.metadata() == [{}]


def test_a_name_without_slug_has_no_table_to_wait_for(one_database: Bench) -> None:
    bare = {**order("t1", 3), "event": "", "event_text": "!!!"}
    one_database.fill(tracks=[bare, {**bare, "id": "t2", "event": None}], order_completed=[event("t9", total=1)])
    assert one_database.run(ALL).summary.sent == 2


def test_without_a_column_for_the_table_no_event_goes_out_bare(one_database: Bench) -> None:
    plain = {name: value for name, value in order("t1", 3).items() if name != "event"}
    one_database.fill(tracks=[plain], types={"tracks": {"event": None}}, order_completed=[event("t1", ago(hours=3), total=5)])
    one_database.run(ALL)
    assert one_database.statuses() == {"t1": WAITS}


def test_a_waiting_event_holds_nobody_back(bench: Bench) -> None:
    bench.fill(
        [identify("i1", "ann", ago(hours=4), plan="pro"), identify("i2", "ann", ago(hours=1), plan="max")],
        [order("t1", 3), order("t2", 2)],
        order_completed=[event("t2", ago(hours=2), total=7)],
    )
    bench.run(ALL)
    assert bench.statuses() == {"i1": "sent", "t1": WAITS, "t2": "sent", "i2": "sent"}


def test_a_conversion_event_waits_for_its_referral_code(bench: Bench) -> None:
    bench.fill(tracks=[order("t1", 3), order("t2", 2)], order_completed=[event("t2", ago(hours=2), referral_code=None)])
    bench.run(ALL, conversion_events=["Order Completed"])
    assert bench.statuses() == {"t1": WAITS, "t2": "rejected:missing_referral_code"}
    add_rows(bench.warehouse_url, "order_completed", [event("t1", ago(hours=3), referral_code="C1")])
    bench.run(conversion_events=["Order Completed"])
    assert bench.metadata() == [{"referral_code": "C1"}]


def test_what_no_property_can_mend_is_rejected_at_once(one_database: Bench) -> None:
    rows = [
        {**order("t1", 5), "user_id": None},
        {**order("t2", 4), "anonymous_id": "a"},
        {**order("t3", 3), "event_text": " "},
        {**order("t4", 2)},
    ]
    one_database.fill(tracks=rows, order_completed=[event("t9", total=1)])
    one_database.run(ALL)
    assert one_database.statuses() == {
        "t1": "rejected:missing_user_id",
        "t2": "rejected:anonymous_id_present",
        "t3": "rejected:missing_event_name",
        "t4": WAITS,
    }


def test_send_is_for_who_wants_events_without_properties(bench: Bench) -> None:
    bench.fill(tracks=[order("t1", 3)], order_completed=[event("t9", total=1)])
    bench.run(ALL)
    assert bench.statuses() == {"t1": WAITS}
    plan = bench.plan(missing_properties="send")
    (rows,) = (each for each in list(plan_view(plan)) if isinstance(each, Table))
    assert plan.retried == {Status.WAITING: 1}
    assert "of them 1 waited before" in list(rows.columns[2].cells)
    result = bench.run(missing_properties="send")
    said = "1 event goes out with what the table of tracks has alone, as MISSING_PROPERTIES=send says: Order Completed 1"
    changed, note = result.notes
    assert changed.startswith("REHOOK_SYNC_MISSING_PROPERTIES has changed since the last run, from wait to send")
    assert "next run" not in changed, "this run has done it"
    assert (result.summary.sent, note) == (1, said)
    assert bench.metadata() == [{}]


def test_its_story_says_since_when_it_waits(one_database: Bench) -> None:
    one_database.fill(tracks=[order("t1", 3)], order_completed=[event("t9", total=1)])
    one_database.run(ALL)
    (first,) = one_database.read_state("sync_state")
    one_database.run()
    console = Console(width=200)
    with one_database.sync() as sync, console.capture() as shown:
        console.print(*explanation_view(sync.explain("t1"), Shell()))
    assert re.search(rf"\n  waits +since {first['first_seen_at']:%Y-%m-%d %H:%M:%S}\s*\n", shown.get())


def test_it_needs_attention_once_it_has_waited_too_long(bench: Bench) -> None:
    bench.fill(tracks=[order("t1", 3)], order_completed=[event("t9", total=1)])
    young = bench.run(ALL)
    assert (young.summary.status, young.unsettled) == (RunStatus.SUCCEEDED, {})
    assert bench.read_state("v1_attention") == []
    (waiting,) = bench.read_state("v1_waiting")
    assert waiting["overdue_at"] - waiting["first_seen_at"] == timedelta(days=1)
    old = bench.run(properties_wait="0s")
    assert (old.summary.status, old.unsettled) == (RunStatus.ATTENTION, {Status.WAITING: 1})
    (row,) = bench.read_state("v1_attention")
    assert (row["message_id"], row["status"], row["reason"]) == ("t1", "waiting", "properties_not_loaded")
    assert "PROPERTIES_WAIT" in old.notes[1]
    advice = "next: `explain ID` tells the story of one user or call; what waits goes out once its properties are loaded"
    assert str(list(run_view(old))[-1]) == advice
    assert bench.run().summary.status is RunStatus.SUCCEEDED, "the newest run says how long"


def test_run_and_plan_name_what_waits(one_database: Bench) -> None:
    one_database.fill(
        tracks=[order("t1", 3), order("t2", 2), track("t3", "ann", "Signed Up", ago(hours=1))], order_completed=[event("t9", total=1)]
    )
    plan = one_database.plan(ALL)
    assert plan.actions["waiting"] == 3
    told = "waiting for the properties of 3 events that their event tables do not have yet: Order Completed 2, Signed Up 1"
    assert [note.partition(";")[0] for note in plan.notes] == [told]
    assert [note.partition(";")[0] for note in one_database.run(ALL).notes] == [told]
    details = {row["message_id"]: row["detail"] for row in one_database.read_state("v1_waiting")}
    assert details == {
        **dict.fromkeys(("t1", "t2"), "its id is not in table 'order_completed' yet"),
        "t3": "there is no table 'signed_up' yet",
    }


def test_many_that_wait_leave_room_for_others_under_a_limit(one_database: Bench) -> None:
    late = [order(f"t{n}", 9) for n in range(5)]
    one_database.fill(tracks=[*late, *(order(f"u{n}", 2) for n in range(4))], order_completed=[event(f"u{n}", total=n) for n in range(4)])
    assert one_database.run(ALL, limit=5).summary.waiting == 5
    assert one_database.run(ALL, limit=3).summary.sent == 3
    assert one_database.run(ALL, limit=3).summary.sent == 1


def test_retry_looks_again_when_asked_for_the_reason(one_database: Bench) -> None:
    one_database.fill(tracks=[order("t1", 3)], order_completed=[event("t9", total=1)])
    one_database.run(ALL)
    add_rows(one_database.warehouse_url, "order_completed", [event("t1", total=5)])
    with one_database.sync() as sync:
        assert sync.run(RunOptions(only=Selection()), Interrupt()).summary.rows_read == 0
        assert sync.run(RunOptions(only=Selection(Status.WAITING, Reason.PROPERTIES_NOT_LOADED)), Interrupt()).summary.sent == 1
    one_database.check()


def test_a_rejected_event_may_wait_once_it_is_judged_again(one_database: Bench) -> None:
    one_database.fill(tracks=[order("t1", 3)], order_completed=[event("t1", referral_code=None)])
    one_database.run(ALL, conversion_events=["Order Completed"])
    run_sql(one_database.warehouse_url, "DELETE FROM order_completed")
    with one_database.sync(conversion_events=["Order Completed"]) as sync:
        sync.run(RunOptions(only=Selection(Status.REJECTED)), Interrupt())
    assert one_database.statuses() == {"t1": WAITS}


def test_a_stopped_run_leaves_a_waiting_event_waiting(one_database: Bench) -> None:
    one_database.fill(tracks=[order("t1", 3)], order_completed=[event("t9", total=1)])
    one_database.run(ALL)
    add_rows(one_database.warehouse_url, "order_completed", [event("t1", total=5)])
    one_database.sandbox.store.events.clear()
    stopped = one_database.run(api_secret="wrong")
    assert stopped.summary.status is RunStatus.STOPPED
    assert one_database.statuses() == {"t1": WAITS}
    assert one_database.run().summary.sent == 1


def test_tables_loaded_in_any_order_while_runs_go_on(bench: Bench) -> None:
    found = arrive_late(bench, calls=211, tables=13, turns=3, latest=5)
    assert max(found.waited) > 50
    assert found.is_whole, found
