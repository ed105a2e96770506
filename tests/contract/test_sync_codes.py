"""Who gets which referral code, within a run and over runs; the audit holds our books against Rehook's after each."""

import accounting
from accounting import ALL, Bench, ago
from warehouse import Row, add_rows, identify, track

from rehook_sync.errors import ApiDownError, CredentialsRefusedError
from rehook_sync.models import RunStatus

bench = accounting.bench


def coded(message_id: str, user_id: str | None, code: str | None, hours: float, **traits: object) -> Row:
    """An Identify call with a referral code; `step` makes each call differ from the one before."""
    return identify(message_id, user_id, ago(hours=hours), step=message_id, referral_code=code, **traits)


def codes(bench: Bench) -> dict[str, str]:
    """Code -> owner, as Rehook has it."""
    return dict(bench.sandbox.store.owners)


def test_the_first_user_by_time_owns_a_code(bench: Bench) -> None:
    calls = [coded("late", "bob", "X", 5), coded("first", "ada", "X", 9), coded("again", "ada", "X", 3), coded("own", "bob", "Y", 4)]
    bench.fill(calls)
    bench.run(ALL)
    assert bench.statuses()["late"] == "rejected:referral_code_taken"
    assert codes(bench) == {"X": "ada", "Y": "bob"}
    add_rows(bench.warehouse_url, "identifies", [coded("later", "eve", "X", 2), coded("before all", "eve", "X", 20)])
    bench.run()
    assert {bench.statuses()["later"], bench.statuses()["before all"]} == {"rejected:referral_code_taken"}
    (row,) = [row for row in bench.read_state("sync_state") if row["message_id"] == "later"]
    assert "ada" in row["detail"]


def test_a_rejected_call_takes_no_code(bench: Bench) -> None:
    anonymous = {**coded("anonymous", "ada", "X", 9), "anonymous_id": "a-1"}
    bench.fill(
        [
            anonymous,
            coded("nobody", None, "X", 8),
            coded("broken", "ada", "X", 7, timestamp=None, received_at=None),
            coded("ok", "bob", "X", 5),
        ]
    )
    bench.run(ALL)
    assert codes(bench) == {"X": "bob"}


def test_changing_a_code_frees_the_old_one_in_the_same_run(bench: Bench) -> None:
    bench.sandbox.faults.add("delay", source_id="ada", delay_s=0.1)
    calls = [
        coded("a1", "ada", "X", 9),
        coded("a2", "ada", "Y", 7),
        coded("b1", "bob", "X", 6),
        coded("b2", "bob", "Z", 5),
        coded("e1", "eve", "X", 4),
    ]
    bench.fill(calls, [track("t1", "ada", "Visited", ago(hours=8)), track("t2", "bob", "Visited", ago(hours=5.5))])
    assert bench.run(ALL).summary.rejected == 0
    assert codes(bench) == {"Y": "ada", "Z": "bob", "X": "eve"}


def test_changing_a_code_frees_the_old_one_for_later_runs(bench: Bench) -> None:
    bench.fill([coded("a1", "ada", "X", 9)])
    bench.run(ALL)
    add_rows(bench.warehouse_url, "identifies", [coded("b0", "bob", "X", 8), coded("a2", "ada", "Y", 7)])
    bench.run()
    assert bench.statuses()["b0"] == "rejected:referral_code_taken"
    add_rows(bench.warehouse_url, "identifies", [coded("b1", "bob", "X", 3), coded("a3", "ada", "X", 2), coded("a4", "ada", "Y", 1)])
    bench.run()
    assert codes(bench) == {"X": "bob", "Y": "ada"}
    assert bench.statuses()["a3"] == "rejected:referral_code_taken"


def test_a_code_that_rehook_refuses_is_free_again(bench: Bench) -> None:
    bench.fill([coded("a0", "ada", "W", 10), coded("a1", "ada", "X", 9)])
    bench.sandbox.faults.add("status", status=409, source_id="ada", skip=1)
    bench.run(ALL, customer_updates="every")
    assert bench.statuses()["a1"] == "rejected:refused_by_rehook"
    bench.sandbox.faults.clear()
    add_rows(bench.warehouse_url, "identifies", [coded("b1", "bob", "X", 5), coded("e1", "eve", "W", 4)])
    bench.run()
    assert codes(bench) == {"W": "ada", "X": "bob"}


def test_a_code_whose_call_failed_goes_to_nobody_who_came_later(bench: Bench) -> None:
    bench.fill([coded("a1", "ada", "X", 9), *(coded(f"n{each}", f"u{each}", None, 8) for each in range(20)), coded("b1", "bob", "X", 7)])
    bench.sandbox.faults.add("status", status=503, source_id="ada", times=1)
    bench.run(ALL, max_attempts=1)
    assert bench.statuses()["b1"] == "rejected:referral_code_taken"
    bench.run()
    assert codes(bench) == {"X": "ada"}


def test_a_handover_that_failed_half_way_is_finished_in_order(bench: Bench) -> None:
    bench.fill([coded("a1", "ada", "X", 9)])
    bench.run(ALL)
    add_rows(bench.warehouse_url, "identifies", [coded("a2", "ada", "Y", 8), coded("b1", "bob", "X", 7)])
    bench.sandbox.faults.add("status", status=503, source_id="ada", times=1)
    assert bench.run(max_attempts=1).summary.failed == 2
    bench.sandbox.faults.clear()
    bench.sandbox.faults.add("delay", source_id="ada", delay_s=0.2)
    assert bench.run().summary.status is RunStatus.SUCCEEDED
    assert codes(bench) == {"Y": "ada", "X": "bob"}


def test_who_comes_to_the_code_after_its_handover_failed_waits_for_the_next_run(bench: Bench) -> None:
    bench.fill([coded("a1", "ada", "X", 9)])
    bench.run(ALL)
    add_rows(bench.warehouse_url, "identifies", [coded("a2", "ada", "Y", 8), coded("b1", "bob", "X", 7)])
    add_rows(bench.warehouse_url, "tracks", [track("t1", "bob", "Visited", ago(hours=7.5))])
    bench.sandbox.faults.add("status", status=503, source_id="ada", times=1)
    bench.sandbox.faults.add("delay", event_name="Visited", delay_s=0.2)
    assert bench.run(max_attempts=1).summary.sent == 1
    assert bench.statuses()["b1"] == "failed:blocked_by_earlier"
    assert bench.run().summary.status is RunStatus.SUCCEEDED
    assert codes(bench) == {"Y": "ada", "X": "bob"}


def test_a_handover_that_was_stopped_half_way_is_finished_in_order(bench: Bench) -> None:
    bench.fill([coded("a1", "ada", "X", 9)])
    bench.run(ALL)
    add_rows(bench.warehouse_url, "identifies", [coded("a2", "ada", "Y", 8), coded("b1", "bob", "X", 7)])
    bench.sandbox.faults.add("status", status=503, path="/customers")
    bench.sandbox.faults.add("status", status=503, path="/events/segment/check-auth", skip=1)
    assert isinstance(bench.run(max_attempts=1).error, ApiDownError)
    bench.sandbox.faults.clear()
    bench.sandbox.faults.add("delay", source_id="ada", delay_s=0.2)
    assert bench.run().summary.status is RunStatus.SUCCEEDED
    assert codes(bench) == {"Y": "ada", "X": "bob"}


def test_a_stopped_run_leaves_no_claim_of_what_it_never_sent(bench: Bench) -> None:
    bench.fill([coded("a1", "ada", "X", 5)])
    assert isinstance(bench.run(ALL, api_secret="wrong").error, CredentialsRefusedError)
    add_rows(bench.warehouse_url, "identifies", [coded("b1", "bob", "X", 9)])
    bench.run(ALL)
    assert codes(bench) == {"X": "bob"}


def test_of_merged_calls_with_codes_only_the_refused_one_loses_its_code(bench: Bench) -> None:
    bench.fill([coded("a1", "ada", "X", 9), coded("a2", "ada", "TAKEN", 8), coded("a3", "ada", "Y", 7)])
    bench.sandbox.store.upsert_customer("somebody", {}, "TAKEN")
    bench.sandbox.faults.add("status", status=409, path="/customers", times=1)
    bench.run(ALL, check=False)
    assert bench.statuses()["a2"] == "rejected:refused_by_rehook"
    assert codes(bench) == {"TAKEN": "somebody", "Y": "ada"}
    assert {row["referral_code"]: row["source_id"] for row in bench.read_state("sync_customers")} == {"Y": "ada"}


def test_refused_codes_in_a_row_leave_the_last_good_one(bench: Bench) -> None:
    bench.sandbox.store.upsert_customer("somebody", {}, "T1")
    bench.sandbox.store.upsert_customer("somebody else", {}, "T2")
    bench.fill([coded("a1", "ada", "X", 9)])
    bench.run(ALL, check=False)
    add_rows(bench.warehouse_url, "identifies", [coded("a2", "ada", "T1", 8), coded("a3", "ada", "T2", 7)])
    bench.run(check=False)
    assert bench.statuses() == {"a1": "sent", "a2": "rejected:refused_by_rehook", "a3": "rejected:refused_by_rehook"}
    assert {row["source_id"]: row["referral_code"] for row in bench.read_state("sync_customers")} == {"ada": "X"}
