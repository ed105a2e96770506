"""Runs that meet: at once, one paused while another takes over, on machines whose clocks disagree. Promise 4 of docs/delivery.md."""

import re
import signal
import time
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from accounting import read_rows
from sqlalchemy import create_engine
from sqlalchemy.exc import OperationalError
from warehouse import run_sql

from . import harness
from .conftest import Program, stop, wait_until
from .harness import Forked, Forks, World, database_lock, is_sqlite, make_world, state_table

forks = harness.forks

SHORTEST_LEASE_S = 15
HELD = re.compile(r"error: run \S+ holds the lease until [^\n]+\n")
LOST = re.compile(r"error: (run \S+ lost its lease|the lease could not be renewed)[^\n]+\n")
ENDED = re.compile(r"error: the database of REHOOK_SYNC_WAREHOUSE_URL failed: [^\n]+\n")
SHIFTED_CLOCK = """
import datetime, sys, time
import rehook_sync.__main__, rehook_sync.render.console, rehook_sync.sync, rehook_sync.render.text

shift_s, real, real_time = float(sys.argv.pop(1)), datetime.datetime, time.time
class Kind(type):
    def __instancecheck__(cls, value):
        return isinstance(value, real)
class Shifted(real, metaclass=Kind):
    @classmethod
    def now(cls, tz=None):
        return real.now(tz) + datetime.timedelta(seconds=shift_s)
time.time = lambda: real_time() + shift_s
for name, module in list(sys.modules.items()):
    if name.startswith("rehook_sync") and getattr(module, "datetime", None) is real:
        module.datetime = Shifted
rehook_sync.__main__.main()
"""


@pytest.fixture
def world(forks: Forks, tmp_path: Path, database_url: str) -> Iterator[World]:
    """A warehouse with rows and sync-state tables, on each database."""
    with make_world(forks, tmp_path, database_url, seed=21) as made:
        assert made("init").code == 0
        made.add(80)
        yield made


@pytest.mark.parametrize("processes", [2, 10])
def test_of_several_runs_at_once_one_works_and_the_others_say_who_does(world: World, processes: int) -> None:
    slow = world.sandbox.faults.add("delay", delay_s=1.0)
    together = [world.start("run") for _ in range(processes)]
    wait_until(lambda: sum(each.poll() is not None for each in together) == processes - 1)
    world.sandbox.faults.remove(slow.id)
    ends = sorted((each.wait() for each in together), key=lambda done: done.code)
    assert [done.code for done in ends] == [0] + [5] * (processes - 1)
    for done in ends[1:]:
        assert HELD.fullmatch(done.err), done.err
        assert done.out == ""
    books = world.check()
    assert [run["status"] for run in books.runs] == ["succeeded"]


@pytest.mark.parametrize("processes", [2, 10])
def test_tables_are_made_once_however_many_make_them(forks: Forks, tmp_path: Path, database_url: str, processes: int) -> None:
    with make_world(forks, tmp_path, database_url, seed=22) as world:
        together = [world.start("init", "--json") for _ in range(processes)]
        ends = [each.wait() for each in together]
        assert [done.code for done in ends] == [0] * processes, ends
        assert sum(bool(done.json["applied"]) for done in ends) == 1


def pause(world: World) -> Forked:
    """Start a run and stop it as SIGSTOP does, in the middle: answers are due, and calls are marked ahead."""
    world.sandbox.faults.add("delay", delay_s=0.1)
    process = world.start("run", REHOOK_SYNC_LEASE_TTL=f"{SHORTEST_LEASE_S}s")
    wait_until(lambda: len(world.store.log) > 20)
    process.send_signal(signal.SIGSTOP)
    while is_locked(world.url):  # it was caught inside a transaction, which is another test's matter
        process.send_signal(signal.SIGCONT)
        time.sleep(0.01)
        process.send_signal(signal.SIGSTOP)
    return process


def is_locked(url: str) -> bool:
    """Tell whether somebody's transaction keeps others from writing."""
    time.sleep(0.05)  # the server may be about to commit what it was told
    engine = create_engine(url, connect_args={"timeout": 0} if is_sqlite(url) else {}, isolation_level="AUTOCOMMIT")
    attempt = "BEGIN IMMEDIATE" if is_sqlite(url) else "BEGIN; SELECT 1 FROM rehook_sync.sync_lease FOR UPDATE NOWAIT"
    try:
        with engine.connect() as connection:
            connection.exec_driver_sql(attempt)
            connection.exec_driver_sql("ROLLBACK")
    except OperationalError:
        return True
    finally:
        engine.dispose()
    return False


def test_a_paused_run_whose_lease_ran_out_and_was_taken_neither_sends_nor_records(forks: Forks, tmp_path: Path, postgres_url: str) -> None:
    """No clock is turned and no row touched: the lease runs out as it does in production, on both databases side by side."""
    (tmp_path / "second").mkdir()
    (tmp_path / "second" / "warehouse.db").touch()
    with ExitStack() as opened:
        urls = {tmp_path: postgres_url, tmp_path / "second": f"sqlite:///{tmp_path / 'second' / 'warehouse.db'}"}
        worlds = [opened.enter_context(make_world(forks, folder, url, seed=23)) for folder, url in urls.items()]
        for world in worlds:
            assert world("init").code == 0
            world.add(120)
        paused = [pause(world) for world in worlds]
        began = time.monotonic()
        for world in worlds:
            early = world("run")
            assert early.code == 5
            assert HELD.fullmatch(early.err)
        time.sleep(max(0.0, began + SHORTEST_LEASE_S + 0.5 - time.monotonic()))
        for world, process in zip(worlds, paused, strict=True):
            world.kills += 1  # to its successor it is as good as dead
            done = world.run_to_the_end()
            assert done.json["recovered"][0]["status"] == "crashed"
            assert_wakes_up_powerless(world, process, LOST)
            assert world("run", "--json").json["rows_read"] == 0


def assert_wakes_up_powerless(world: World, process: Forked, said: re.Pattern[str]) -> None:
    """Let a paused run go on: it ends with its error, and nothing has changed on either side."""
    received, tables = (
        len(world.store.log),
        [world.read_state(each) for each in ("sync_state", "sync_runs", "sync_customers", "sync_lease")],
    )
    process.send_signal(signal.SIGCONT)
    done = process.wait()
    assert done.code == 1
    assert said.search(done.err), done.err
    assert done.err.count("error: ") == 1
    assert len(world.store.log) == received
    assert tables == [world.read_state(each) for each in ("sync_state", "sync_runs", "sync_customers", "sync_lease")]


def test_a_run_paused_inside_a_transaction_does_not_lock_others_out_for_good(forks: Forks, tmp_path: Path, postgres_url: str) -> None:
    """PostgreSQL ends a transaction that stands still; SQLite cannot, see docs/delivery.md."""
    with make_world(forks, tmp_path, postgres_url, seed=24) as world:
        assert world("init").code == 0
        world.add(80)
        process = world.start("run", REHOOK_SYNC_LEASE_TTL=f"{SHORTEST_LEASE_S}s")
        with database_lock(postgres_url, "sync_state"):
            wait_until(lambda: waiting_for_a_lock(postgres_url) > 0)
            process.send_signal(signal.SIGSTOP)
        world.kills += 1
        began = time.monotonic()
        done = world("run", "--json")
        while done.code in {1, 5} and time.monotonic() - began < 45:
            done = world("run", "--json")
        assert done.code in {0, 3}, done
        world.check()
        assert_wakes_up_powerless(world, process, ENDED)


def waiting_for_a_lock(url: str) -> int:
    """Sessions that wait for a lock."""
    return int(run_sql(url, "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'")[0][0])


@pytest.mark.parametrize("minutes", [-10, 10])
def test_a_host_whose_clock_is_minutes_off_keeps_the_promise(forks: Forks, tmp_path: Path, postgres_url: str, minutes: int) -> None:
    """Leases, windows and watermarks go by the clock of the database; only a clock of SQLite is the host's own."""
    with make_world(forks, tmp_path, postgres_url, seed=25) as world:
        assert world("init").code == 0
        world.add(80)
        off = Program(tmp_path)
        slow = world.sandbox.faults.add("delay", delay_s=1.0)
        first = off.start_python("-c", SHIFTED_CLOCK, str(minutes * 60), "run", REHOOK_SYNC_LEASE_TTL=f"{SHORTEST_LEASE_S}s")
        wait_until(lambda: len(world.store.log) > 3)
        (lease,) = read_rows(postgres_url, f"SELECT *, clock_timestamp() AS now_at FROM {state_table(postgres_url, 'sync_lease')}")
        assert timedelta(0) < lease["expires_at"] - lease["now_at"] <= timedelta(seconds=SHORTEST_LEASE_S)
        assert world("run").code == 5, "a run with the right clock takes the lease for held"
        also_off = off.start_python("-c", SHIFTED_CLOCK, str(-minutes * 60), "run")
        assert stop(also_off, signal.SIGCONT).code == 5, "and so does one whose clock is off the other way"
        world.sandbox.faults.remove(slow.id)
        _, err = first.communicate(timeout=60)
        assert first.returncode == 0, err
        books = world.check()
        for mark in books.watermarks:
            assert mark["high_at"] <= datetime.now(UTC)
        (run,) = books.runs
        assert abs(run["started_at"] - datetime.now(UTC)) < timedelta(minutes=2)
        world.add(20)
        shifted = off.start_python("-c", SHIFTED_CLOCK, str(minutes * 60), "run", "--json")
        assert stop(shifted, signal.SIGCONT).json["rows_read"] == 20
        world.check()


def test_a_lease_of_the_future_holds_and_one_of_the_past_does_not(world: World) -> None:
    """Expiry is compared in the database, whatever the host believes."""
    now = "strftime('%Y-%m-%dT%H:%M:%f000Z', 'now', '{} seconds')" if "sqlite" in world.url else "clock_timestamp() + interval '{} seconds'"
    table = state_table(world.url, "sync_lease")
    run_sql(
        world.url,
        f"INSERT INTO {table} (name, owner, run_id, fence, expires_at) VALUES ('run', 'ghost', 'far-away', 7, {now.format('+30')})",
    )
    held = world("run")
    assert held.code == 5
    assert "run far-away holds the lease" in held.err
    assert world.store.log == []
    run_sql(world.url, f"UPDATE {table} SET expires_at = {now.format('-1')}")
    world.run_to_the_end()
    assert [row["fence"] for row in world.read_state("sync_lease")] == [8]
