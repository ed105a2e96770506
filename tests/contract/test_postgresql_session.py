"""A PostgreSQL whose every default is set against us, and one behind a pooler that keeps no session."""

import json
import shutil
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager

import pytest
from accounting import ALL, Bench, ago, open_bench
from hostile import hostile_role, pooled
from sqlalchemy import create_engine
from warehouse import identify, track

from rehook_sync.database.engine import open_database
from rehook_sync.models import Batch, Call, Customer, Outcome, Reason, RunStatus, Status, Stream
from rehook_sync.state.ledger import Ledger
from rehook_sync.state.migrations import upgrade

UNICODE = "Zoë 漢"


@pytest.fixture
def bench(request: pytest.FixtureRequest) -> Iterator[Bench]:
    """The warehouse on SQLite, the sync-state on PostgreSQL."""
    with open_bench("sqlite-postgresql", request) as opened:
        yield opened


@contextmanager
def opened_ledger(url: str) -> Iterator[Ledger]:
    """The holder of the lease of fresh sync-state tables."""
    database = open_database(url, "REHOOK_SYNC_STATE_URL", search_path="rehook_sync")
    upgrade(database, "rehook_sync")
    ledger = Ledger(database, "run-1", 60)
    ledger.acquire()
    yield ledger
    database.close()


def call(message_id: str, **changes: object) -> Call:
    return Call(Stream.TRACKS, message_id, UNICODE, "Order Completed", ago(hours=1), ago(hours=2), "hash")._replace(**changes)  # type: ignore[arg-type]


@contextmanager
def watched_log(url: str) -> Iterator[Callable[[], int]]:
    """Tell the bytes of the log that are not on the disk.

    One session asks, and has asked before: a session that begins may tidy up pages of the catalog, which is logged and not flushed.
    """
    engine = create_engine(url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:

        def unflushed() -> int:
            found = connection.exec_driver_sql("SELECT pg_current_wal_insert_lsn() - pg_current_wal_flush_lsn()").scalar_one()
            return int(found)

        unflushed()
        yield unflushed
    engine.dispose()


@pytest.mark.parametrize("read_only", ["on", "off"])
def test_every_commit_is_on_the_disk_whatever_the_database_says(postgres_url: str, read_only: str) -> None:
    with (
        hostile_role(postgres_url, default_transaction_read_only=read_only) as url,
        opened_ledger(url) as ledger,
        watched_log(postgres_url) as unflushed,
    ):
        for number in range(5):
            marked = Batch(
                outcomes=[Outcome(call(f"m-{number}"), Status.SENDING)], customers=[Customer(UNICODE, {"a": ("1", None)}, "m", sent=True)]
            )
            assert ledger.write(marked) == frozenset()
            assert unflushed() == 0, "a mark, in one round trip"
        assert ledger._writer._connection is None, "one trip suffices"
        ledger.write(Batch(restores=[call("m-0")], outcomes=[Outcome(call("m-9"), Status.SENDING)]))
        assert unflushed() == 0, "a mark, step by step"


def test_in_a_session_of_ours_a_batch_is_planned_once(postgres_url: str) -> None:
    with hostile_role(postgres_url, plan_cache_mode="force_custom_plan") as url, opened_ledger(url) as ledger:
        for number in range(3):
            ledger.write(Batch(outcomes=[Outcome(call(f"m-{number}"), Status.SENDING)]))
        session = ledger._writer._for_one
        assert session is not None
        plans = "SELECT generic_plans, custom_plans FROM pg_prepared_statements WHERE statement LIKE 'WITH held%%'"
        assert session.exec_driver_sql(plans).all() == [(3, 0)]


@pytest.mark.parametrize("restores", [[], [call("m-0")]], ids=["one trip", "step by step"])
def test_a_lock_is_waited_for_longer_than_the_defaults_allow(postgres_url: str, restores: list[Call]) -> None:
    """A write waits for two seconds, where each of three defaults ends it after one."""
    with hostile_role(postgres_url, default_transaction_read_only=None) as url, opened_ledger(url) as ledger:
        engine = create_engine(postgres_url)
        with ThreadPoolExecutor(1) as thread:
            with engine.begin() as other:
                other.exec_driver_sql("LOCK TABLE rehook_sync.sync_state IN EXCLUSIVE MODE")
                written = thread.submit(ledger.write, Batch(outcomes=[Outcome(call("m-1"), Status.SENDING)], restores=restores))
                time.sleep(2)
            assert written.result() == frozenset()
        engine.dispose()


def test_a_stricter_durability_than_ours_stays(postgres_url: str) -> None:
    with hostile_role(postgres_url, synchronous_commit="remote_apply") as url:
        opened = open_database(url, "REHOOK_SYNC_STATE_URL", search_path="rehook_sync")
        with opened.transaction() as connection:
            assert connection.exec_driver_sql("SHOW synchronous_commit").scalar_one() == "remote_apply"
        opened.close()


def test_runs_go_as_ever_where_every_default_is_hostile(bench: Bench) -> None:
    assert bench.state_url is not None
    with hostile_role(bench.state_url) as url:
        bench.options["state_url"] = url
        deliver(bench)


def deliver(bench: Bench) -> None:
    """Fail, retry, reject, and end well; both sides are compared after each run."""
    people = [identify(f"i{each}", f"u{each}", ago(hours=5), name=f"{UNICODE} {each}", referral_code=f"C{each}") for each in range(20)]
    orders = [track(f"t{each}", f"u{each % 20}", "Order Completed", ago(hours=4, seconds=-each), total=each) for each in range(60)]
    bench.fill(people, [*orders, track("none", " ", "Order Completed", ago(hours=3))])
    bench.sandbox.faults.add("status", status=503, path="/events/invoke", times=3)
    first = bench.run(ALL, max_attempts=1, api_down_after=50).summary
    assert (first.rejected, first.rows_read) == (1, 81)
    assert first.failed >= 3
    second = bench.run().summary
    assert (second.status, second.sent) == (RunStatus.SUCCEEDED, first.failed)
    assert bench.run().summary.rows_read == 0
    assert {row["reason"] for row in bench.read_state("sync_state")} == {None, Reason.MISSING_USER_ID}


# A pooler in transaction mode gives every transaction another session.

_needs_pgbouncer = pytest.mark.skipif(shutil.which("pgbouncer") is None, reason="needs pgbouncer: apt-get install pgbouncer")


@_needs_pgbouncer
@pytest.mark.parametrize("mode", ["transaction", "session"])
def test_runs_go_as_ever_behind_a_pooler_and_leave_its_sessions_as_they_were(bench: Bench, mode: str) -> None:
    direct = bench.state_url
    assert direct is not None
    with pooled(direct, mode) as url:
        bench.options["state_url"] = url
        before = shown(url)
        deliver(bench)
        assert shown(url) == before


def shown(url: str) -> list[str]:
    """What other applications find in the sessions of a pool."""
    engine = create_engine(url)
    names = ("search_path", "lock_timeout", "synchronous_commit", "statement_timeout", "idle_in_transaction_session_timeout")
    found = []
    for _ in range(6):
        with engine.connect() as connection:
            found.append(json.dumps([connection.exec_driver_sql(f"SHOW {name}").scalar_one() for name in names]))
    engine.dispose()
    return found


def test_a_url_without_a_driver_means_psycopg_in_each_version_of_sqlalchemy() -> None:
    with closing(open_database("postgresql://nobody@nowhere/db", "WAREHOUSE_URL")) as database:
        assert database.engine.url.drivername == "postgresql+psycopg"
