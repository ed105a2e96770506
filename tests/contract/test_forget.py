"""Forgetting a person, in each place: what goes, what stays, and that nothing of theirs is ever sent again."""

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import accounting
import pytest
from accounting import ALL, Bench, ago, open_bench, read_rows
from sqlalchemy import inspect
from sqlalchemy.engine import create_engine, make_url
from warehouse import add_rows, identify, track

import rehook_sync.jobs.maintenance
from rehook_sync.errors import LeaseHeldError, UsageError
from rehook_sync.jobs.results import RunOptions
from rehook_sync.models import Selection, Status
from rehook_sync.runtime import Interrupt
from rehook_sync.state.person import Person, Traces

bench = accounting.bench
ADA = "ada-lovelace-1815"


@pytest.fixture(autouse=True)
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rehook_sync.jobs.maintenance, "_PAGE", 3)


def forget(bench: Bench, user_id: str = ADA, *, give_up: bool = False, dry_run: bool = False, interrupt: Interrupt | None = None) -> Traces:
    with bench.sync() as sync:
        return sync.forget(user_id, interrupt or Interrupt(), give_up=give_up, dry_run=dry_run)


def fill(bench: Bench) -> None:
    """Ada and others; bob wants her code, and one of her calls is rejected."""
    ada = [identify("i1", ADA, ago(hours=9), plan="gold", referral_code="SUN"), identify("i2", ADA, ago(hours=8), plan="gold")]
    bob = [identify("b1", "bob", ago(hours=7), plan="free"), identify("b2", "bob", ago(hours=6), referral_code="SUN")]
    orders = [track(f"t{each}", ADA, when=ago(hours=5, minutes=-each)) for each in range(7)]
    anonymous = {**track("anon", ADA, when=ago(hours=4)), "anonymous_id": "browser-1"}
    bench.fill([*ada, *bob], [*orders, anonymous, track("t-bob", "bob", when=ago(hours=3))])
    bench.run(ALL)


def counted(bench: Bench) -> tuple[Counter[tuple[str, ...]], list[Mapping[str, Any]]]:
    """What must stay: of each call all but who it was and what was said of it, and the counts of earlier runs."""
    kept = (
        "stream",
        "message_id",
        "event",
        "received_at",
        "occurred_at",
        "status",
        "reason",
        "http_status",
        "attempts",
        "sent_as",
        "run_id",
    )
    calls = Counter(tuple(str(row[name]) for name in (*kept, "first_seen_at", "settled_at")) for row in bench.read_state("sync_state"))
    runs = [row for row in bench.read_state("sync_runs") if "-forget-" not in row["run_id"]]
    return calls, sorted(runs, key=lambda row: str(row["run_id"]))


def everything(bench: Bench) -> str:
    """All that the sync-state tables hold, as text."""
    url = bench.state_url or bench.warehouse_url
    engine = create_engine(url)
    schema = None if make_url(url).get_backend_name() == "sqlite" else "rehook_sync"
    names = [name for name in inspect(engine).get_table_names(schema=schema) if name.startswith("sync_")]
    engine.dispose()
    return "\n".join(str(row) for name in names for row in read_rows(url, f"SELECT * FROM {bench.name_of(name)}"))


def test_person_is_gone_and_counts_stay_and_nothing_is_sent_again(bench: Bench) -> None:
    fill(bench)
    assert everything(bench).count(ADA) > 9
    before, requests = counted(bench), len(bench.sandbox.store.log)
    planned = forget(bench, dry_run=True)
    assert (counted(bench), everything(bench).count(ADA) > 9) == (before, True)
    traces = forget(bench)
    assert traces == planned
    assert traces.calls == {Status.SENT: 8, Status.MERGED: 1, Status.REJECTED: 1}
    assert (traces.codes, traces.is_customer, traces.mentions, traces.errors) == (["SUN"], True, 1, 0)
    left = everything(bench)
    assert ADA not in left
    assert "SUN" not in left
    assert "owned by user […]" in left
    assert counted(bench) == before
    (run,) = [row for row in bench.read_state("sync_runs") if "-forget-" in row["run_id"]]
    assert (run["status"], run["rows_read"], run["requests"], run["error"]) == ("succeeded", 0, 0, None)
    for since in (None, ALL):
        assert bench.run(since, check=False).summary.rows_read == 0
    with bench.sync(anonymous_calls="allow_with_user_id") as sync:
        again = sync.run(RunOptions(only=Selection(Status.REJECTED)), Interrupt()).summary
        assert (again.rows_read, again.requests) == (1, 2), "bob's call with the code that is free here, and none of ada's"
        assert sync.explain(ADA).rows == []
    assert ADA not in {each.source_id for each in bench.sandbox.store.log[requests:]}


def test_second_forget_changes_nothing_and_unknown_users_are_told(bench: Bench) -> None:
    fill(bench)
    forget(bench)
    before = everything(bench)
    assert not forget(bench)
    assert not forget(bench, "nobody")
    assert everything(bench) == before


def test_others_are_left_alone(bench: Bench) -> None:
    """Ids that only look alike, and calls and customers of others."""
    alike = ("a", "a-1", "a1", "A", "a.b", "a@example.com", "a b", "b a")
    people = [identify(f"i-{user}", user, ago(hours=5), plan="x", referral_code=f"C-{user}") for user in alike]
    bench.fill([*people, *(identify(f"w-{user}", f"w{user}", ago(hours=4), referral_code=f"C-{user}") for user in alike[1:])])
    bench.run(ALL)

    def others() -> list[str]:
        rows = [row for row in bench.read_state("sync_state") if row["message_id"] != "i-a"]
        return sorted(map(str, [*rows, *(row for row in bench.read_state("sync_customers") if row["source_id"] != "a")]))

    before = others()
    assert forget(bench, "a").mentions == 0
    assert others() == before


def test_new_calls_of_a_forgotten_user_are_calls_of_a_new_one(bench: Bench) -> None:
    fill(bench)
    forget(bench)
    add_rows(bench.warehouse_url, "identifies", [identify("i9", ADA, ago(minutes=5), plan="gold")])
    assert bench.run(check=False).summary.sent == 1
    assert forget(bench).calls == {Status.SENT: 1}


def test_failed_calls_are_refused_or_given_up_and_never_sent(bench: Bench) -> None:
    bench.sandbox.faults.add("status", status=503, source_id=ADA)
    fill(bench)
    before = everything(bench)
    with pytest.raises(UsageError, match=rf"{ADA} has calls that are not settled \(9 failed\), nothing was forgotten: `retry`"):
        forget(bench)
    with pytest.raises(UsageError, match="9 failed"):
        forget(bench, dry_run=True)
    assert sorted(everything(bench).count(each) for each in (ADA, "failed")) == sorted(before.count(each) for each in (ADA, "failed"))
    totals = Counter(row["status"] for row in bench.read_state("sync_state"))
    assert forget(bench, give_up=True).calls == {Status.FAILED: 9, Status.REJECTED: 1}
    assert ADA not in everything(bench)
    reasons = Counter(row["reason"] for row in bench.read_state("sync_state") if row["status"] == "rejected")
    assert reasons["forgotten"] == 9
    assert Counter(row["status"] for row in bench.read_state("sync_state")).total() == totals.total()
    (run,) = [row for row in bench.read_state("sync_runs") if "-forget-" in row["run_id"] and row["rejected"]]
    assert (run["rows_read"], run["rejected"]) == (9, 9)
    bench.sandbox.faults.clear()
    requests = len(bench.sandbox.store.log)
    assert bench.run(ALL, check=False).summary.rows_read == 0
    with bench.sync() as sync:
        for status in (Status.FAILED, Status.REJECTED):
            sync.run(RunOptions(only=Selection(status)), Interrupt())
    assert ADA not in {each.source_id for each in bench.sandbox.store.log[requests:]}


def test_calls_in_doubt_are_refused_until_they_are_settled(bench: Bench) -> None:
    bench.sandbox.faults.add("commit_then_drop", path="/events/invoke", source_id=ADA)
    bench.fill(tracks=[track(f"t{each}", ADA, when=ago(hours=each + 1)) for each in range(4)])
    bench.run(ALL, uncertain=True)
    for give_up in (False, True):
        with pytest.raises(UsageError, match=r"\(4 in doubt\), nothing was forgotten: `resolve --accept`"):
            forget(bench, give_up=give_up)
    with bench.sync() as sync:
        assert sync.accept([ADA]) == 4
    assert forget(bench).calls == {Status.SENT: 4}
    assert ADA not in everything(bench)


def test_what_was_in_flight_when_a_run_died_is_not_forgotten_over(bench: Bench) -> None:
    fill(bench)
    bench.change_state("UPDATE {sync_state} SET status = 'sending', settled_at = NULL WHERE message_id = 't3'")
    with pytest.raises(UsageError, match="1 in doubt"):
        forget(bench, give_up=True)
    assert bench.statuses()["t3"] == "in_doubt:crashed_in_flight"


def test_interrupted_it_goes_on_where_it_was(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(bench)
    before = counted(bench)
    interrupt = Interrupt()
    page = Person.forget_page

    def one_page(*arguments: Any) -> int:
        interrupt.request(2)
        return page(*arguments)

    monkeypatch.setattr(Person, "forget_page", one_page)
    forget(bench, interrupt=interrupt)
    monkeypatch.undo()
    assert counted(bench) == before
    assert Counter(row["user_id"] == ADA for row in bench.read_state("sync_state")) == {True: 7, False: 6}
    traces = forget(bench)
    assert (sum(traces.calls.values()), traces.is_customer) == (7, True)
    assert ADA not in everything(bench)
    assert counted(bench) == before
    assert [row["status"] for row in bench.read_state("sync_runs") if "-forget-" in row["run_id"]] == ["interrupted", "succeeded"]


def test_errors_of_runs_lose_the_name(bench: Bench) -> None:
    fill(bench)
    bench.change_state(f"UPDATE {{sync_runs}} SET error = 'the API does not work: customer {ADA}/SUN is locked, {ADA}2 is not'")
    assert forget(bench).errors == 1
    assert bench.read_state("sync_runs")[0]["error"] == f"the API does not work: customer […]/[…] is locked, {ADA}2 is not"


def test_another_run_keeps_it_out(bench: Bench) -> None:
    fill(bench)
    bench.change_state("UPDATE {sync_lease} SET owner = 'someone', run_id = 'their-run', expires_at = '2999-01-01T00:00:00.000000Z'")
    before = everything(bench)
    with pytest.raises(LeaseHeldError, match="their-run"):
        forget(bench)
    assert everything(bench) == before


def test_pruned_calls_are_not_judged_again(bench: Bench) -> None:
    """Their detail is gone, so nobody could tell whose they were: also a person who was forgotten meanwhile."""
    fill(bench)
    bench.change_state("UPDATE {sync_state} SET user_id = NULL, event = NULL, detail = NULL, payload_hash = NULL")
    with bench.sync(anonymous_calls="allow_with_user_id") as sync:
        assert sync.run(RunOptions(only=Selection(Status.REJECTED)), Interrupt()).summary.rows_read == 0


def test_sqlite_file_does_not_keep_the_bytes(request: pytest.FixtureRequest) -> None:
    with open_bench("postgresql-sqlite", request) as bench:
        fill(bench)
        path = Path(make_url(bench.state_url or "").database or "")
        assert ADA.encode() in path.read_bytes()
        forget(bench)
        kept = [each for each in path.parent.glob(f"{path.name}*") if ADA.encode() in each.read_bytes()]
        assert kept == []


def test_calls_of_a_forgotten_person_are_told_from_calls_that_nobody_has_judged(bench: Bench) -> None:
    fill(bench)
    forget(bench)
    add_rows(bench.warehouse_url, "tracks", [track("new", ADA, when=ago(hours=1))])
    with bench.sync() as sync:
        found = sync.explain(ADA)
    assert [each.row.message_id for each in found.unjudged] == ["new"]
    assert set(found.detached) == {"i1", "i2", "anon", *(f"t{each}" for each in range(7))}
