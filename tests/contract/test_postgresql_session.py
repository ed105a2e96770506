"""A PostgreSQL whose every default is set against us, and one behind a pooler that keeps no session."""

import json
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest
from accounting import ALL, Bench, ago, open_bench
from sqlalchemy import create_engine, make_url
from warehouse import identify, run_sql, track

from rehook_sync.database.engine import open_database
from rehook_sync.models import Batch, Call, Customer, Outcome, Reason, RunStatus, Status, Stream
from rehook_sync.state.ledger import Ledger
from rehook_sync.state.migrations import upgrade

HOSTILE: Mapping[str, str] = {
    "synchronous_commit": "off",
    "default_transaction_read_only": "on",
    "default_transaction_isolation": "serializable",
    "default_transaction_deferrable": "on",
    "search_path": "nowhere",
    "statement_timeout": "1s",
    "lock_timeout": "1s",
    "idle_in_transaction_session_timeout": "1s",
    "TimeZone": "Asia/Kolkata",
    "DateStyle": "SQL, DMY",
    "client_encoding": "LATIN1",
    "plan_cache_mode": "force_generic_plan",
    "jit_above_cost": "0",
}
UNICODE = "Zoë 漢"


@pytest.fixture
def bench(request: pytest.FixtureRequest) -> Iterator[Bench]:
    """The warehouse on SQLite, the sync-state on PostgreSQL."""
    with open_bench("sqlite-postgresql", request) as opened:
        yield opened


@contextmanager
def hostile_role(url: str, **changes: str | None) -> Iterator[str]:
    """A role of its own for whom every default is set against the code; gives the URL with which it comes."""
    name = f"hostile_{uuid.uuid4().hex}"
    settings = {setting: value for setting, value in {**HOSTILE, **changes}.items() if value is not None}
    run_sql(
        url, f"CREATE ROLE {name} SUPERUSER LOGIN", *(f"ALTER ROLE {name} SET {setting} = '{value}'" for setting, value in settings.items())
    )
    yield make_url(url).set(username=name).render_as_string(hide_password=False)
    run_sql(url, f"REASSIGN OWNED BY {name} TO CURRENT_USER", f"DROP OWNED BY {name}", f"DROP ROLE {name}")


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


def unflushed(url: str) -> int:
    """Bytes of the log that are not on the disk."""
    engine = create_engine(url)
    with engine.connect() as connection:
        found = connection.exec_driver_sql("SELECT pg_current_wal_insert_lsn() - pg_current_wal_flush_lsn()").scalar_one()
    engine.dispose()
    return int(found)


@pytest.mark.parametrize("read_only", ["on", "off"])
def test_every_commit_is_on_the_disk_whatever_the_database_says(postgres_url: str, read_only: str) -> None:
    with hostile_role(postgres_url, default_transaction_read_only=read_only) as url, opened_ledger(url) as ledger:
        for number in range(5):
            marked = Batch(
                outcomes=[Outcome(call(f"m-{number}"), Status.SENDING)], customers=[Customer(UNICODE, {"a": ("1", None)}, "m", sent=True)]
            )
            assert ledger.write(marked) == frozenset()
            assert unflushed(postgres_url) == 0, "a mark, in one round trip"
        assert ledger._writer._connection is None, "one trip suffices"
        ledger.write(Batch(restores=[call("m-0")], outcomes=[Outcome(call("m-9"), Status.SENDING)]))
        assert unflushed(postgres_url) == 0, "a mark, step by step"


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


@contextmanager
def pooled(url: str, mode: str) -> Iterator[str]:
    """The same database through a pgbouncer of two sessions."""
    parsed = make_url(url)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    host = parsed.query.get("host") or parsed.host
    with tempfile.TemporaryDirectory(prefix="rehook-bouncer-") as folder:
        Path(folder).chmod(0o755)
        config = Path(folder, "pgbouncer.ini")
        lines = ["[databases]", f"* = host={host} port={parsed.port or 5432} user={parsed.username}", "[pgbouncer]"]
        lines += [
            "listen_addr = 127.0.0.1",
            f"listen_port = {port}",
            "unix_socket_dir =",
            "auth_type = any",
            f"pool_mode = {mode}",
            f"default_pool_size = {3 if mode == 'transaction' else 20}",
        ]
        config.write_text("\n".join(lines) + "\n", encoding="utf-8")
        owner = Path(str(host)).stat().st_uid
        user = ["-u", pwd.getpwuid(owner).pw_name] if owner != os.getuid() else []
        process = subprocess.Popen(["pgbouncer", *user, str(config)], stderr=subprocess.DEVNULL)
        try:
            through = parsed.set(host="127.0.0.1", port=port, query={})
            wait_for(lambda: socket.create_connection(("127.0.0.1", port), 1).close())
            yield through.render_as_string(hide_password=False)
        finally:
            process.terminate()
            process.wait()


def wait_for(connect: Callable[[], object]) -> None:
    """Try until a server listens."""
    for _ in range(200):
        try:
            connect()
        except OSError:
            time.sleep(0.02)
        else:
            return
    raise AssertionError("it does not listen")


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
