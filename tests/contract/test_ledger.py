"""Lease, marks, outcomes, customers and codes: the same facts on SQLite and PostgreSQL."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import create_engine, event, make_url, text
from warehouse import run_sql

from rehook_sync.database import postgresql, sqlite
from rehook_sync.database.engine import Database, open_database
from rehook_sync.database.queries import load_queries
from rehook_sync.errors import LeaseHeldError, LeaseLostError, LockedError, StateVersionError
from rehook_sync.models import (
    DEFAULT_SOURCE,
    Batch,
    Call,
    Claim,
    Customer,
    Outcome,
    PreviousOutcome,
    Reason,
    RunKind,
    RunStatus,
    RunSummary,
    Selection,
    Status,
    Stream,
    Window,
)
from rehook_sync.rules.periods import Feed, Mark
from rehook_sync.rules.watermark import Coverage
from rehook_sync.state.ledger import Ledger, elapsed_s
from rehook_sync.state.migrations import check_version, upgrade
from rehook_sync.state.state import RunStart, State

NOW = datetime(2026, 11, 23, 12, 0, 0, 123456, tzinfo=UTC)
SCHEMA = "rehook_sync"


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    opened = open_database(database_url, "REHOOK_SYNC_STATE_URL", search_path=SCHEMA)
    upgrade(opened, SCHEMA)
    yield opened
    opened.close()


@pytest.fixture
def state(database: Database) -> State:
    return State(database)


@pytest.fixture
def ledger(database: Database) -> Ledger:
    ledger = Ledger(database, "run-1", 60)
    ledger.acquire()
    return ledger


def call(message_id: str, stream: Stream = Stream.TRACKS, **changes: Any) -> Call:
    made = Call(stream, message_id, "user-1", "Order Completed", NOW, NOW - timedelta(seconds=1), "hash")
    return made._replace(**changes)


def rows(database: Database, message_id: str) -> list[dict[str, object]]:
    with database.connect() as connection:
        found = connection.execute(text("SELECT * FROM sync_state WHERE message_id = :id"), {"id": message_id}).mappings().all()
    return [dict(row) for row in found]


def expire(database: Database) -> None:
    with database.transaction() as connection:
        connection.execute(text("UPDATE sync_lease SET expires_at = '2020-01-01T00:00:00.000000Z'"))


def test_upgrade_twice_changes_nothing(database: Database) -> None:
    again = upgrade(database, SCHEMA)
    assert again.applied == ()
    assert check_version(database, SCHEMA) == again.version


def test_version_is_none_before_the_tables_exist(database_url: str) -> None:
    fresh = open_database(database_url, "REHOOK_SYNC_STATE_URL", search_path=SCHEMA)
    assert check_version(fresh, SCHEMA) is None
    fresh.close()


def test_tables_of_a_newer_version_are_left_alone(database: Database) -> None:
    with database.transaction() as connection:
        connection.execute(text("INSERT INTO sync_migrations (version, name, applied_at) VALUES (99, 'future', '')"))
    with pytest.raises(StateVersionError, match="have version 99"):
        check_version(database, SCHEMA)
    with pytest.raises(StateVersionError, match="have version 99"):
        upgrade(database, SCHEMA)


def test_second_run_does_not_get_the_lease(database: Database, ledger: Ledger) -> None:
    with pytest.raises(LeaseHeldError, match="run-1"):
        Ledger(database, "run-2", 60).acquire()


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A lock is waited for a third of a second instead of fifteen."""
    monkeypatch.setattr(sqlite, "BUSY_TIMEOUT_S", 0.3)
    monkeypatch.setitem(postgresql.WRITING, "lock_timeout", "300ms")


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("taken", [True, False])
def test_a_holder_that_was_stopped_inside_a_write_is_named(database_url: str, taken: bool) -> None:
    """Nobody else can write then, and not even look whether the lease is over."""
    opened = open_database(database_url, "REHOOK_SYNC_STATE_URL", search_path=SCHEMA)
    upgrade(opened, SCHEMA)
    if taken:
        Ledger(opened, "run-1", 60).acquire()
    stopped = create_engine(database_url, isolation_level="AUTOCOMMIT")
    with stopped.connect() as connection:
        connection.exec_driver_sql(
            "BEGIN IMMEDIATE" if opened.dialect == "sqlite" else "BEGIN; LOCK TABLE rehook_sync.sync_lease IN EXCLUSIVE MODE"
        )
        rival = open_database(database_url, "REHOOK_SYNC_STATE_URL", search_path=SCHEMA)
        with pytest.raises(LeaseHeldError if taken else LockedError, match="run-1" if taken else "lock"):
            Ledger(rival, "run-2", 60).acquire()
        connection.exec_driver_sql("ROLLBACK")
        rival.close()
    stopped.dispose()
    opened.close()


def test_a_lease_also_runs_out_while_the_machine_sleeps(database: Database) -> None:
    """The clock that a test turns stands for one that counts the sleep; Python's own stands still meanwhile."""
    passed_s = [0.0]
    ledger = Ledger(database, "run-1", 60, clock=lambda: passed_s[-1])
    ledger.acquire()
    valid = []
    for moment_s in (59.0, 61.0):
        passed_s.append(moment_s)
        valid.append(ledger.is_valid)
    ledger.write(Batch(outcomes=[Outcome(call("a"), Status.SENDING)]))
    assert [*valid, ledger.is_valid] == [True, False, True], "a write proves that nobody took it meanwhile"
    ledger.release()


def test_the_clock_of_leases_counts_sleep() -> None:
    assert elapsed_s() == pytest.approx(time.clock_gettime(time.CLOCK_BOOTTIME), abs=5)


def test_released_lease_goes_to_the_next_run_with_a_higher_fence(database: Database, state: State, ledger: Ledger) -> None:
    ledger.release()
    Ledger(database, "run-2", 60).acquire()
    lease = state.read_lease()
    assert lease is not None
    assert (lease["run_id"], lease["fence"]) == ("run-2", 2)


def test_expired_holder_can_record_nothing_after_a_takeover(database: Database, ledger: Ledger) -> None:
    expire(database)
    Ledger(database, "run-2", 60).acquire()
    with pytest.raises(LeaseLostError, match="run-1 lost its lease"):
        ledger.write(Batch(outcomes=[Outcome(call("a"), Status.SENT)]))
    assert rows(database, "a") == []
    assert not ledger.is_valid


def test_expired_holder_goes_on_when_nobody_took_over(database: Database, ledger: Ledger) -> None:
    expire(database)
    ledger.write(Batch(outcomes=[Outcome(call("a"), Status.SENT)]))
    assert ledger.is_valid
    with pytest.raises(LeaseHeldError):
        Ledger(database, "run-2", 60).acquire()


def test_late_release_does_not_take_the_lease_from_its_new_holder(database: Database, ledger: Ledger) -> None:
    expire(database)
    Ledger(database, "run-2", 60).acquire()
    ledger.release()
    with pytest.raises(LeaseHeldError, match="run-2"):
        Ledger(database, "run-3", 60).acquire()


def test_mark_becomes_an_outcome_and_keeps_when_it_was_first_seen(database: Database, state: State, ledger: Ledger) -> None:
    ledger.write(Batch(outcomes=[Outcome(call("a"), Status.SENDING)]))
    [marked] = rows(database, "a")
    ledger.write(Batch(outcomes=[Outcome(call("a"), Status.SENT, http_status=200, attempts=1)]))
    [sent] = rows(database, "a")
    assert (marked["status"], marked["settled_at"]) == ("sending", None)
    assert (sent["status"], sent["http_status"], sent["attempts"]) == ("sent", 200, 1)
    assert sent["settled_at"] is not None
    assert sent["first_seen_at"] == marked["first_seen_at"]


def test_times_come_back_to_the_microsecond(state: State, ledger: Ledger) -> None:
    ledger.write(Batch(outcomes=[Outcome(call("a"), Status.SENT)]))
    [row], _ = state.explain("a")
    assert row["received_at"] == NOW
    assert row["occurred_at"] == NOW - timedelta(seconds=1)


@pytest.mark.parametrize("settled", [Status.SENT, Status.UNCHANGED, Status.MERGED, Status.REJECTED, Status.IN_DOUBT])
def test_settled_row_is_never_touched_again(database: Database, ledger: Ledger, settled: Status) -> None:
    ledger.write(Batch(outcomes=[Outcome(call("a"), settled)]))
    ledger.write(Batch(outcomes=[Outcome(call("a"), Status.FAILED, Reason.NETWORK_ERROR)]))
    assert [row["status"] for row in rows(database, "a")] == [settled]


def test_same_message_id_in_both_streams_is_two_rows(database: Database, ledger: Ledger) -> None:
    ledger.write(Batch(outcomes=[Outcome(call("a"), Status.SENT), Outcome(call("a", Stream.IDENTIFIES), Status.REJECTED)]))
    assert {row["stream"]: row["status"] for row in rows(database, "a")} == {"tracks": "sent", "identifies": "rejected"}


def test_last_entry_of_a_call_in_one_batch_counts(database: Database, ledger: Ledger) -> None:
    ledger.write(Batch(outcomes=[Outcome(call("a"), Status.FAILED, Reason.NETWORK_ERROR), Outcome(call("a"), Status.SENDING)]))
    assert [row["status"] for row in rows(database, "a")] == ["sending"]


def test_taken_back_mark_of_a_new_call_leaves_no_trace(database: Database, ledger: Ledger) -> None:
    ledger.write(Batch(outcomes=[Outcome(call("a"), Status.SENDING)]))
    ledger.write(Batch(restores=[call("a")]))
    assert rows(database, "a") == []


def test_taken_back_mark_of_a_failed_call_gets_its_record_back(database: Database, ledger: Ledger) -> None:
    previous = PreviousOutcome("server_error", "500", 500, 5, "run-0")
    failed = Outcome(call("a"), Status.FAILED, Reason.SERVER_ERROR, "500", 500, 5)
    ledger.write(Batch(outcomes=[failed]))
    ledger.write(Batch(outcomes=[Outcome(call("a", previous=previous), Status.SENDING)]))
    ledger.write(Batch(restores=[call("a", previous=previous)]))
    [row] = rows(database, "a")
    assert {key: row[key] for key in ("status", "reason", "detail", "http_status", "attempts", "run_id")} == {
        "status": "failed",
        "reason": "server_error",
        "detail": "500",
        "http_status": 500,
        "attempts": 5,
        "run_id": "run-0",
    }


def test_taking_back_never_touches_a_settled_row(database: Database, ledger: Ledger) -> None:
    ledger.write(Batch(outcomes=[Outcome(call("a"), Status.SENT)]))
    ledger.write(Batch(restores=[call("a")]))
    assert [row["status"] for row in rows(database, "a")] == ["sent"]


def test_batch_is_written_whole_or_not_at_all(database: Database, ledger: Ledger) -> None:
    broken = Outcome(call("b"), "nonsense")  # type: ignore[arg-type]
    with pytest.raises(Exception, match="REHOOK_SYNC_STATE_URL"):
        ledger.write(Batch(outcomes=[Outcome(call("a"), Status.SENT), broken]))
    assert rows(database, "a") == []


def test_a_usual_batch_is_one_trip_to_the_database(database: Database, ledger: Ledger) -> None:
    first, second = call("m-1"), call("m-2")
    ledger.write(Batch(outcomes=[Outcome(first, Status.SENDING)]))
    said: list[str] = []
    event.listen(database.engine, "before_cursor_execute", lambda _connection, _cursor, statement, *_: said.append(statement))
    batch = Batch(
        outcomes=[Outcome(first, Status.SENT, attempts=1), Outcome(second, Status.SENDING)],
        customers=[Customer("user-1", {"a": ("1", (NOW, "m"))}, "m-0")],
    )
    assert ledger.write(batch) == frozenset()
    assert len(said) == 1
    if database.dialect == "postgresql":  # its own words for the begin and the end of a transaction pass by the listener
        with database.connect() as connection:
            others = "SELECT query FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
            last = connection.execute(text(others)).scalars().all()
        assert any(each.startswith("WITH held") for each in last)


def test_a_batch_of_which_a_part_does_not_take_is_written_once(database: Database, state: State, ledger: Ledger) -> None:
    ledger.write(Batch(outcomes=[Outcome(call("m-1"), Status.SENT), Outcome(call("m-2"), Status.SENDING)]))
    outcomes = [Outcome(call("m-1"), Status.SENDING), Outcome(call("m-2"), Status.SENT, attempts=1), Outcome(call("m-3"), Status.SENDING)]
    assert ledger.write(Batch(outcomes=outcomes)) == {(Stream.TRACKS, "m-1")}
    assert state.read_known(Stream.TRACKS, ["m-1", "m-2", "m-3"]) == {"m-1": Status.SENT, "m-2": Status.SENT, "m-3": Status.SENDING}


def test_known_ids_tell_their_status(state: State, ledger: Ledger) -> None:
    ledger.write(Batch(outcomes=[Outcome(call("a"), Status.SENT), Outcome(call("b\x00b"), Status.REJECTED)]))
    assert state.read_known(Stream.TRACKS, ["a", "b\x00b", "c"]) == {"a": Status.SENT, "b\x00b": Status.REJECTED}
    assert state.read_known(Stream.IDENTIFIES, ["a"]) == {}


def test_failed_calls_come_in_time_order_page_by_page(state: State, ledger: Ledger) -> None:
    moments = {f"m{at}": NOW + timedelta(microseconds=(37 * at) % 1201) for at in range(1201)}
    failed = [Outcome(call(name, occurred_at=moment), Status.FAILED, Reason.NETWORK_ERROR) for name, moment in moments.items()]
    ledger.write(Batch(outcomes=failed))
    pages = list(state.read_again(Feed(DEFAULT_SOURCE, Stream.TRACKS), Selection()))
    assert [len(page) for page in pages] == [500, 500, 201]
    assert [moments[each.message_id] for page in pages for each in page] == sorted(moments.values())
    assert pages[0][0].previous == PreviousOutcome("network_error", None, None, 0, "run-1")


def test_call_that_fails_while_the_failed_are_read_does_not_come_again(state: State, ledger: Ledger) -> None:
    ledger.write(Batch(outcomes=[Outcome(call(f"m{at}"), Status.FAILED, Reason.NETWORK_ERROR) for at in range(501)]))
    seen: list[str] = []
    for page in state.read_again(Feed(DEFAULT_SOURCE, Stream.TRACKS), Selection()):
        seen.extend(each.message_id for each in page)
        ledger.write(Batch(outcomes=[Outcome(call("z"), Status.FAILED, Reason.NETWORK_ERROR)]))
    assert len(seen) == 501
    assert "z" not in seen


def test_failed_calls_of_one_reason_bring_all_failed_calls_of_their_users(state: State, ledger: Ledger) -> None:
    outcomes = [
        Outcome(call("a1", user_id="a"), Status.FAILED, Reason.SERVER_ERROR),
        Outcome(call("a2", user_id="a"), Status.FAILED, Reason.BLOCKED_BY_EARLIER),
        Outcome(call("b1", user_id="b"), Status.FAILED, Reason.RATE_LIMITED),
    ]
    ledger.write(Batch(outcomes=outcomes))

    def found(selection: Selection) -> set[str]:
        return {each.message_id for page in state.read_again(Feed(DEFAULT_SOURCE, Stream.TRACKS), selection) for each in page}

    assert found(Selection(reason=Reason.BLOCKED_BY_EARLIER)) == {"a1", "a2"}
    assert found(Selection(ids=("b",))) == found(Selection(ids=("b1",))) == {"b1"}
    assert found(Selection()) == {"a1", "a2", "b1"}


def test_rejected_calls_are_found_by_reason_and_refused_ones_only_when_named(state: State, ledger: Ledger) -> None:
    outcomes = [
        Outcome(call(reason, occurred_at=None), Status.REJECTED, reason) for reason in (Reason.INVALID_ROW, Reason.REFUSED_BY_REHOOK)
    ]
    ledger.write(Batch(outcomes=outcomes))

    def found(reason: Reason | None) -> set[str]:
        selection = Selection(Status.REJECTED, reason)
        return {each.message_id for page in state.read_again(Feed(DEFAULT_SOURCE, Stream.TRACKS), selection) for each in page}

    assert found(None) == {"invalid_row"}
    assert found(Reason.REFUSED_BY_REHOOK) == {"refused_by_rehook"}


def test_rejected_call_is_only_reopened_by_a_run_that_says_so(database: Database, ledger: Ledger) -> None:
    ledger.write(Batch(outcomes=[Outcome(call("a"), Status.REJECTED, Reason.INVALID_ROW)]))
    previous = PreviousOutcome("invalid_row", None, None, 0, "run-1", Status.REJECTED)
    ledger.write(Batch(outcomes=[Outcome(call("a", previous=previous), Status.SENDING)]))
    assert [row["status"] for row in rows(database, "a")] == ["rejected"]
    ledger.reopens = Status.REJECTED
    ledger.write(Batch(outcomes=[Outcome(call("a", previous=previous), Status.SENDING)]))
    assert [row["status"] for row in rows(database, "a")] == ["sending"]
    ledger.write(Batch(restores=[call("a", previous=previous)]))
    [row] = rows(database, "a")
    assert (row["status"], row["reason"]) == ("rejected", "invalid_row")
    assert row["settled_at"] is not None


def test_calls_in_doubt_are_accepted_or_released_by_message_or_user_id(database: Database, state: State, ledger: Ledger) -> None:
    ledger.write(Batch(outcomes=[Outcome(call(name, user_id=f"user-{name}"), Status.IN_DOUBT, Reason.TIMEOUT) for name in "abc"]))
    with ledger.transaction() as connection:
        assert state.accept_doubtful(connection, "run-1", ["a", "nobody"]) == 1
        assert state.release_doubtful(connection, ["user-b"]) == ["user-b"]
    assert [rows(database, name)[0]["status"] for name in "abc"] == ["sent", "failed", "in_doubt"]
    assert state.count_doubtful(None) == 1


def test_customers_keep_what_they_last_got(ledger: Ledger) -> None:
    later = NOW + timedelta(microseconds=1)
    traits = {"a": ("2", (later, "m2")), "b": ("1", (NOW, "m1")), "c": ("3", (later, "m2")), "d": ("4", None)}
    ledger.write(Batch(customers=[Customer("u", {"a": ("1", (NOW, "m1"))}, "m1", sent=True), Customer("u", traits, "m2", sent=True)]))
    assert ledger.read_customers(["u", "v"]) == {"u": traits}
    ledger.write(Batch(customers=[Customer("u", None)]))
    assert ledger.read_customers(["u"]) == {}


def test_customer_sent_once_keeps_when_and_by_which_message(database: Database, state: State, ledger: Ledger) -> None:
    ledger.write(Batch(customers=[Customer("u", {}, "m1", sent=True)]))
    ledger.write(Batch(customers=[Customer("u", None)]))
    _, customer = state.explain("u")
    assert customer is not None
    assert customer["last_message_id"] == "m1"
    assert customer["first_sent_at"] is not None
    assert customer["last_sent_at"] == customer["first_sent_at"]


def take(ledger: Ledger, *claims: Claim) -> dict[str, str]:
    return ledger.claim([claim.user_id for claim in claims], [claim.code for claim in claims], lambda codes, _leaving: (codes, claims))


def test_claims_are_durable_and_found_by_user_and_by_code(ledger: Ledger) -> None:
    assert take(ledger, Claim("X", "a", None)) == {}
    assert ledger.read_codes(["a"], []) == ledger.read_codes([], ["X"]) == {"a": "X"}


def test_a_server_that_serializes_by_default_refuses_nobody_who_waited_for_his_turn(postgres_url: str) -> None:
    """Claims are written by one thread and outcomes by another, both under the row of the lease."""
    run_sql(postgres_url, f"ALTER DATABASE \"{make_url(postgres_url).database}\" SET default_transaction_isolation = 'serializable'")
    with closing(open_database(postgres_url, "REHOOK_SYNC_STATE_URL", search_path=SCHEMA)) as database, ThreadPoolExecutor(1) as writing:
        upgrade(database, SCHEMA)
        ledger = Ledger(database, "run-1", 60)
        ledger.acquire()
        with ledger.transaction():
            written = writing.submit(ledger.write, Batch(outcomes=[Outcome(call("m1"), Status.SENT)]))
            while not run_sql(postgres_url, "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock'"):
                assert not written.done()
        assert written.result() == frozenset()
        assert rows(database, "m1")[0]["status"] == "sent"
        ledger.release()


def test_codes_can_change_hands_within_one_step(ledger: Ledger) -> None:
    take(ledger, Claim("X", "a", None))
    take(ledger, Claim("Y", "a", "X"), Claim("X", "b", None))
    assert ledger.read_codes(["a", "b"], []) == {"a": "Y", "b": "X"}


def test_refused_claim_gives_the_earlier_code_back(ledger: Ledger) -> None:
    take(ledger, Claim("X", "a", None))
    take(ledger, Claim("Y", "a", "X"))
    ledger.write(Batch(released=[Claim("Y", "a", "X")]))
    assert ledger.read_codes(["a"], []) == {"a": "X"}


def test_refused_claim_does_not_take_a_code_back_from_its_new_owner(ledger: Ledger) -> None:
    take(ledger, Claim("X", "a", None))
    take(ledger, Claim("Y", "a", "X"), Claim("X", "b", None))
    ledger.write(Batch(released=[Claim("Y", "a", "X")]))
    assert ledger.read_codes(["a", "b"], []) == {"b": "X"}


def test_release_of_a_code_that_changed_since_does_nothing(ledger: Ledger) -> None:
    take(ledger, Claim("Y", "a", None))
    take(ledger, Claim("Z", "a", "Y"))
    ledger.write(Batch(released=[Claim("Y", "a", None)]))
    assert ledger.read_codes(["a"], []) == {"a": "Z"}


def test_two_shards_cannot_both_win_a_code(database: Database, ledger: Ledger) -> None:
    other = Ledger(database, "run-1", 60, shard=2)
    other.acquire()
    seen: list[dict[str, str]] = []

    def judge(codes: dict[str, str], _leaving: dict[str, str]) -> tuple[bool, list[Claim]]:
        seen.append(codes)
        if codes:
            return False, []
        if database.dialect == "postgresql" and len(seen) == 1:
            take(other, Claim("X", "b", None))
        return True, [Claim("X", "a", None)]

    if database.dialect == "sqlite":  # a writer locks the whole file, so the other one can only be before or after
        take(other, Claim("X", "b", None))
    assert ledger.claim(["a"], ["X"], judge) is False
    assert seen[-1] == {"b": "X"}
    assert ledger.read_codes([], ["X"]) == {"b": "X"}


def start(state: State, ledger: Ledger) -> None:
    with ledger.transaction() as connection:
        state.record_start(connection, ledger.run_id, RunStart(RunKind.RUN))


def test_coverage_knows_watermark_and_origin(state: State, ledger: Ledger) -> None:
    assert state.read_coverage(Feed(DEFAULT_SOURCE, Stream.TRACKS)) == Coverage(None, None)
    start(state, ledger)
    with ledger.transaction() as connection:
        state.record_watermark(
            connection,
            "run-1",
            Feed(DEFAULT_SOURCE, Stream.TRACKS),
            Mark(Window(NOW - timedelta(days=3), NOW), NOW - timedelta(hours=1), 7),
        )
    assert state.read_coverage(Feed(DEFAULT_SOURCE, Stream.TRACKS)) == Coverage(NOW - timedelta(hours=1), NOW - timedelta(days=3))
    assert state.read_coverage(Feed(DEFAULT_SOURCE, Stream.IDENTIFIES)) == Coverage(None, None)


def test_origin_is_open_after_a_run_over_all_history(state: State, ledger: Ledger) -> None:
    start(state, ledger)
    with ledger.transaction() as connection:
        state.record_watermark(connection, "run-1", Feed(DEFAULT_SOURCE, Stream.TRACKS), Mark(Window(None, NOW), NOW, 7))
    assert state.read_coverage(Feed(DEFAULT_SOURCE, Stream.TRACKS)) == Coverage(NOW, None)


@pytest.mark.parametrize(("hold", "status"), [(True, "in_doubt"), (False, "failed")])
def test_dead_run_leaves_counts_that_add_up(database: Database, state: State, ledger: Ledger, *, hold: bool, status: str) -> None:
    start(state, ledger)
    ledger.write(
        Batch(
            outcomes=[
                Outcome(call("a"), Status.SENT),
                Outcome(call("b"), Status.SENDING),
                Outcome(call("c", Stream.IDENTIFIES), Status.SENDING),
            ],
            customers=[Customer("user-1", {"a": ("1", (NOW, "m"))}, "m", sent=True)],
        )
    )
    expire(database)
    successor = Ledger(database, "run-2", 60)
    successor.acquire()
    with successor.transaction() as connection:
        [dead] = state.recover(connection, "run-2", hold=hold)
    assert [row["status"] for row in rows(database, "b")] == [status]
    assert [row["status"] for row in rows(database, "c")] == ["failed"]
    assert successor.read_customers(["user-1"]) == {"user-1": {"a": ("", (NOW, "m"))}}, "the value is unknown, the call is not"
    assert (dead.status, dead.rows_read, dead.sent) == (RunStatus.CRASHED, 3, 1)
    assert dead.in_doubt + dead.failed == 2
    [run] = state.read_runs(5)
    assert (run["status"], run["rows_read"]) == ("crashed", 3)


def test_finished_run_keeps_its_counts(state: State, ledger: Ledger) -> None:
    start(state, ledger)
    with ledger.transaction() as connection:
        state.record_finish(connection, RunSummary("run-1", RunStatus.ATTENTION, 3, sent=1, failed=2, requests=9, error="why"))
    [run] = state.read_runs(5)
    assert (run["status"], run["rows_read"], run["sent"], run["failed"], run["requests"], run["error"]) == ("attention", 3, 1, 2, 9, "why")
    assert isinstance(run["finished_at"], datetime)


def test_known_ids_are_looked_up_one_by_one_and_not_by_going_through_all(sqlite_url: str) -> None:
    """PostgreSQL plans by the size of its tables; SQLite chooses the same for all."""
    database = open_database(sqlite_url, "REHOOK_SYNC_STATE_URL")
    upgrade(database, None)
    query = load_queries("state", "sqlite")["known_ids"].sql
    with database.connect() as connection:
        plan = connection.execute(text(f"EXPLAIN QUERY PLAN {query}"), {"stream": "tracks", "ids": "[]"}).all()
    database.close()
    assert any("stream=? AND message_id=?" in row[3] for row in plan), plan
