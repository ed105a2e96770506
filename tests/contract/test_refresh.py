"""A refresh sends each customer's present traits again, once, whatever cuts it off; never an event."""

import gc
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import accounting
import orjson
import pytest
from accounting import ALL, Bench, ago, open_bench, read_rows
from sqlalchemy import Engine, event
from warehouse import Row, add_rows, identify, track

from rehook_sync.errors import LeaseHeldError
from rehook_sync.jobs.results import Progress, RunOptions, RunResult
from rehook_sync.models import Status
from rehook_sync.render.run import run_document, run_view
from rehook_sync.runtime import Interrupt
from rehook_sync.sandbox.store import Received
from rehook_sync.state.customers import Refreshed

bench = accounting.bench
ROOT = Path(__file__).resolve().parents[2]
USERS = 23
RENAMED: dict[str, Any] = {"trait_names": {"plan_type": "planType"}}


class Death(BaseException):
    """Stands for the end of the process."""


def fill(bench: Bench, *more: Row) -> None:
    """Two calls of each user, the second with another plan, and an event."""
    first = [identify(f"a{each:02}", f"u{each:02}", ago(hours=9, minutes=each), plan_type="free", city="Rome") for each in range(USERS)]
    second = [identify(f"b{each:02}", f"u{each:02}", ago(hours=5, minutes=each), plan_type="pro", city=None) for each in range(USERS)]
    bench.fill([*first, *second, *more], [track(f"t{each}", f"u{each:02}", "Visited", ago(hours=4)) for each in range(3)])
    bench.run(ALL)


def refresh(bench: Bench, listen: Callable[[Progress], None] | None = None, interrupt: Interrupt | None = None, **more: Any) -> RunResult:
    options = RunOptions(since=more.pop("since", None))
    with bench.sync(**more) as sync:
        return sync.refresh(options, interrupt or Interrupt(), listen)


def arrived(bench: Bench, since: int) -> list[Received]:
    return [each for each in bench.sandbox.store.log[since:] if each.accepted and each.source_id is not None]


def test_each_customer_is_sent_once_with_what_is_present(bench: Bench) -> None:
    fill(bench)
    before, state = len(bench.sandbox.store.log), bench.read_state("sync_state")
    events = len(bench.sandbox.store.events)
    with bench.sync(**RENAMED) as sync:
        assert sync.count_refresh(RunOptions()) == USERS
    assert len(bench.sandbox.store.log) == before
    done = refresh(bench, **RENAMED)
    assert (done.summary.status, done.summary.rows_read) == ("succeeded", 0)
    sent = arrived(bench, before)
    assert Counter(each.source_id for each in sent) == {f"u{each:02}": 1 for each in range(USERS)}
    assert {orjson.dumps(orjson.loads(each.body)["metadata"]) for each in sent} == {orjson.dumps({"planType": "pro", "city": "Rome"})}
    assert len(bench.sandbox.store.events) == events
    assert bench.read_state("sync_state") == state, "no call's record changes"
    assert [row["closed_at"] is not None for row in bench.read_state("sync_periods") if "refresh" in row["opened_by"]] == [True]
    assert bench.run(check=False, **RENAMED).summary.rows_read == 0
    bench.check()


def test_a_second_refresh_sends_all_again_and_a_run_nothing(bench: Bench) -> None:
    fill(bench)
    for _ in range(2):
        before = len(bench.sandbox.store.log)
        refresh(bench)
        assert len(arrived(bench, before)) == USERS
    before = len(bench.sandbox.store.log)
    bench.run(check=False)
    assert arrived(bench, before) == []


@pytest.mark.parametrize("how", ["killed", "interrupted"])
def test_one_that_was_cut_off_goes_on(bench: Bench, how: str) -> None:
    fill(bench)
    before = len(bench.sandbox.store.log)
    interrupt = Interrupt()

    def cut_off(progress: Progress) -> None:
        if sum(progress.counts.values()) < 5:
            return
        if how == "killed":
            raise Death
        interrupt.request(2)

    if how == "killed":
        with pytest.raises(BaseException):  # noqa: B017, PT011 - a group of them
            refresh(bench, cut_off, rate_limit=20)
    else:
        assert refresh(bench, cut_off, interrupt, rate_limit=20).summary.status == "interrupted"
    first = {each.source_id for each in arrived(bench, before)}
    assert 0 < len(first) < USERS
    with bench.sync() as sync:
        assert [each.kind for each in sync.read_status(1).periods] == ["refresh"]
    recorded = {row["source_id"] for row in bench.read_state("sync_customers") if row["refreshed_by"]}
    assert recorded <= first
    middle = len(bench.sandbox.store.log)
    done = refresh(bench)
    assert any(note.startswith("goes on with the refresh of customers") for note in done.notes)
    assert {each.source_id for each in arrived(bench, middle)} == {f"u{each:02}" for each in range(USERS)} - recorded
    with bench.sync() as sync:
        assert sync.read_status(1).periods == []


def test_a_change_of_names_begins_anew(bench: Bench) -> None:
    fill(bench)
    interrupt = Interrupt()
    refresh(bench, lambda _: interrupt.request(2), interrupt, rate_limit=20)
    before = len(bench.sandbox.store.log)
    done = refresh(bench, **RENAMED)
    assert any("begins anew" in note for note in done.notes)
    assert len(arrived(bench, before)) == USERS


def test_what_a_later_call_brought_is_not_overwritten(bench: Bench) -> None:
    fill(bench)
    add_rows(bench.warehouse_url, "identifies", [identify("c1", "u01", ago(hours=1), plan_type="max")])
    before = len(bench.sandbox.store.log)
    refresh(bench)
    bench.run(check=False)
    plans = [orjson.loads(each.body)["metadata"]["plan_type"] for each in arrived(bench, before) if each.source_id == "u01"]
    assert plans == ["pro", "max"], "a call that no run has judged is none of the refresh's"
    late = {**identify("late", "u02", ago(hours=1), plan_type="old", city="Oslo"), "timestamp": ago(hours=7)}
    add_rows(bench.warehouse_url, "identifies", [late])
    before = len(bench.sandbox.store.log)
    bench.run(check=False)
    (only,) = arrived(bench, before)
    assert orjson.loads(only.body)["metadata"] == {"city": "Oslo"}, "each trait keeps the time of the call that carried it"


def test_only_customers_with_a_call_since_then(bench: Bench) -> None:
    fill(bench)
    before = len(bench.sandbox.store.log)
    refresh(bench, since=ago(hours=5, minutes=4))
    sent = arrived(bench, before)
    assert {each.source_id for each in sent} == {f"u{each:02}" for each in range(5)}
    assert all(orjson.loads(each.body)["metadata"]["city"] == "Rome" for each in sent), "what is present is whole all the same"


def test_no_code_is_taken_and_no_rejected_or_forgotten_user_is_sent(bench: Bench) -> None:
    fill(
        bench,
        identify("x1", "ada", ago(hours=8), referral_code="X"),
        identify("x2", "bob", ago(hours=7), referral_code="X"),
        identify("x3", "cy", ago(hours=6), referral_code="C"),
    )
    with bench.sync() as sync:
        sync.forget("cy", Interrupt(), give_up=False, dry_run=False)
    before = len(bench.sandbox.store.log)
    refresh(bench)
    codes = {each.source_id: orjson.loads(each.body).get("referral_code") for each in arrived(bench, before)}
    assert codes.keys() & {"ada", "bob", "cy"} == {"ada"}
    assert codes["ada"] == "X"


def test_customers_that_cannot_be_sent_need_attention_and_are_sent_next_time(bench: Bench) -> None:
    fill(bench)
    bench.sandbox.faults.add("status", status=503, source_id="u07")
    done = refresh(bench, max_attempts=1)
    assert done.summary.status == "attention"
    assert done.customers == {"sent": USERS - 1, "rejected": 0, "failed": 1}
    shown = [" ".join(str(part).split()) for part in run_view(done)]
    assert not any("1 customers" in each for each in shown)
    bench.sandbox.faults.clear()
    before = len(bench.sandbox.store.log)
    assert refresh(bench).summary.status == "succeeded"
    assert [each.source_id for each in arrived(bench, before)] == ["u07"]


def test_customers_that_rehook_refuses_need_attention_and_a_query_finds_them(bench: Bench) -> None:
    fill(bench)
    for user in ("u03", "u11"):
        bench.sandbox.faults.add("status", status=422, source_id=user)
    done = refresh(bench)
    assert (done.summary.status, done.customers) == ("attention", {"sent": USERS - 2, "rejected": 2, "failed": 0})
    document: Any = run_document(done)
    assert (document["rejected"], document["rejected_by_reason"], document["customers"]["rejected"]) == (0, {}, 2)
    page = (ROOT / "docs" / "operating.md").read_text(encoding="utf-8").partition("**Refused:**")[2]
    query = page.partition("```sql\n")[2].partition("```")[0]
    for table in ("sync_customers", "sync_runs"):
        query = query.replace(f"rehook_sync.{table}", bench.name_of(table))
    assert [row["source_id"] for row in read_rows(bench.state_url or bench.warehouse_url, query)] == ["u03", "u11"]


def test_an_api_that_is_down_stops_it(bench: Bench) -> None:
    fill(bench)
    bench.sandbox.faults.add("status", status=503)
    done = refresh(bench, max_attempts=1, api_down_after=2)
    assert (done.summary.status, done.error and done.error.exit_code) == ("stopped", 4)
    bench.sandbox.faults.clear()
    assert refresh(bench).summary.status == "succeeded"


def test_it_takes_the_lease(bench: Bench) -> None:
    fill(bench)
    with bench.sync() as sync:
        holder = sync._context().ledger("somebody")
        holder.acquire()
        with pytest.raises(LeaseHeldError):
            sync.refresh(RunOptions(), Interrupt())
        holder.release()


def test_what_our_rules_reject_is_not_sent_though_it_was_settled_elsewhere(bench: Bench) -> None:
    rows = [
        identify("a1", "ada", ago(hours=9), plan="pro", referral_code="A"),
        identify("a2", "ada", ago(hours=8), plan="free", anonymous_id="x"),
        identify("b1", "bob", ago(hours=7), plan="pro"),
        identify("b2", "bob", ago(hours=6), plan="team", referral_code="A"),
    ]
    bench.fill(rows, [])
    with bench.sync() as sync:
        assert sync.baseline(RunOptions(since=ALL, until=ago(hours=1)), Interrupt()).summary.skipped == 4
        assert sync.refresh(RunOptions(), Interrupt(), lambda _: None).customers == {Status.SENT: 2, Status.REJECTED: 0, Status.FAILED: 0}
    assert {user_id: each.metadata["plan"] for user_id, each in bench.sandbox.store.customers.items()} == {"ada": "pro", "bob": "pro"}
    details = {row["message_id"]: row["detail"] for row in bench.read_state("sync_state")}
    assert details["a2"] == "our rules reject it: anonymous_id_present"


@pytest.mark.parametrize("way", ["prune", "forget"])
def test_what_our_rules_reject_is_not_sent_after_its_record_was_emptied(bench: Bench, way: str) -> None:
    rows = [
        identify("a1", "ada", ago(hours=9), plan="pro", referral_code="A"),
        identify("a2", "ada", ago(hours=8), plan="free", anonymous_id="x"),
        identify("b1", "rules", ago(hours=7), plan="pro", city=None),
        identify("b2", "rules", ago(hours=6), plan="team", referral_code="A"),
    ]
    bench.fill(rows, [])
    with bench.sync(lookback=timedelta()) as sync:
        sync.baseline(RunOptions(since=ALL, until=ago(hours=1)), Interrupt())
        if way == "prune":
            assert sync.prune(timedelta(), Interrupt()) == 4
            assert sync.prune(timedelta(), Interrupt(), dry_run=True) == 0
        else:
            sync.forget("rules", Interrupt(), give_up=False, dry_run=False)
            add_rows(bench.warehouse_url, "identifies", [identify("b3", "rules", ago(minutes=30), city="Rome")])
            bench.run(check=False)
        before = len(bench.sandbox.store.log)
        sync.refresh(RunOptions(), Interrupt())
    sent = {each.source_id: orjson.loads(each.body)["metadata"] for each in arrived(bench, before)}
    assert sent["ada"] == {"plan": "pro", "referral_code": "A"}
    assert sent["rules"] == ({"plan": "pro"} if way == "prune" else {"plan": "pro", "city": "Rome"})
    assert {row["detail"] for row in bench.read_state("sync_state") if row["message_id"] == "a2"} == {
        "our rules reject it: anonymous_id_present"
    }
    bench.check()


def test_counting_keeps_no_customers_in_memory(request: pytest.FixtureRequest) -> None:
    users, kept = 800, []

    def look(*_: object) -> None:
        kept.append(sum(type(each) is Refreshed for each in gc.get_objects()))

    with open_bench("sqlite-same", request) as shop:
        shop.fill([identify(f"i{each}", f"u{each}", ago(hours=5), plan="pro") for each in range(users)], [])
        with shop.sync() as sync:
            assert sync.baseline(RunOptions(since=ALL, until=ago(hours=1)), Interrupt()).summary.skipped == users
            event.listen(Engine, "before_cursor_execute", look)
            try:
                assert sync.count_refresh(RunOptions()) == users
            finally:
                event.remove(Engine, "before_cursor_execute", look)
    assert len(kept) > 5
    assert max(kept) <= 250, "those of one page"
