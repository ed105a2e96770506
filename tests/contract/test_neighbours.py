"""A run beside the loader of its warehouse: it holds nobody up, and nobody ends it. Each run is audited."""

import re
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from datetime import timedelta
from typing import TypeVar

import pytest
from accounting import ALL, Bench, ago, open_bench
from sqlalchemy import Connection, Engine, create_engine
from sqlalchemy import event as sqlalchemy_event
from warehouse import Row, add_rows, event, identify, run_sql, track

from rehook_sync.database import postgresql
from rehook_sync.database.engine import open_database
from rehook_sync.errors import LeaseHeldError, LockedError
from rehook_sync.jobs.results import Progress, RunOptions
from rehook_sync.models import RunStatus
from rehook_sync.runtime import Interrupt
from rehook_sync.state.ledger import Ledger
from rehook_sync.sync import Sync
from rehook_sync.warehouse.reader import Patience, Reader

_T = TypeVar("_T")
ENDING = threading.Lock()
ROWS = 64
"""More than are queued and fetched before the first request has been answered, and no multiple of a chunk."""


@pytest.fixture
def bench(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    """A warehouse in PostgreSQL, and the sync-state elsewhere: all sessions in the warehouse are readers."""
    monkeypatch.setattr(postgresql, "LOCK_TIMEOUT", "50ms")
    with open_bench("postgresql-sqlite", request, rate_limit=1000) as opened:
        yield opened


def orders(count: int, first: int = 0) -> tuple[list[Row], list[Row]]:
    """Calls of `tracks`, each of another user, and their rows in the event's table."""
    numbers = range(first, first + count)
    calls = [track(f"t{n:04}", f"u{n % 23}", "Order Completed", ago(hours=9) + timedelta(seconds=n)) for n in numbers]
    return calls, [event(f"t{n:04}", ago(hours=9) + timedelta(seconds=n), total=n) for n in numbers]


def fill(bench: Bench, count: int = ROWS) -> None:
    calls, properties = orders(count)
    bench.fill([identify("i", "u1", ago(hours=10), plan="pro")], calls, order_completed=properties)


def once(act: Callable[[], object]) -> Callable[[Progress], None]:
    """A listener that acts when the first outcomes are recorded, while the others are being sent."""
    done = False

    def listen(progress: Progress) -> None:
        nonlocal done
        if progress.counts and not done:
            done = True
            act()

    return listen


def alter(url: str, *statements: str) -> Callable[[], object]:
    """What a loader does for a new property. It gives up after some seconds, so that a failing test ends."""
    return lambda: run_sql(url, "SET lock_timeout = '5s'", *statements)


@contextmanager
def locked(url: str, table: str = "tracks") -> Iterator[Engine]:
    """A session of somebody else that keeps readers out of a table."""
    engine = create_engine(url)
    try:
        with engine.begin() as other:
            other.exec_driver_sql(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE")
            yield engine
    finally:
        engine.dispose()


def read_locks(url: str) -> list[tuple[object, ...]]:
    """The locks on tables of the source that anybody holds or waits for."""
    found = run_sql(
        url,
        "SELECT c.relname, l.granted FROM pg_locks l JOIN pg_class c ON c.oid = l.relation "
        "WHERE c.relname IN ('tracks', 'identifies', 'order_completed')",
    )
    return [tuple(row) for row in found]


def wait_for_waiting(url: str) -> None:
    """Return once somebody waits for a lock."""
    while all(granted for _, granted in read_locks(url)):
        pass


def wait_for_giving_way(url: str) -> None:
    """Return once somebody waits for a lock for a second time, after having let others through."""
    wait_for_waiting(url)
    while not all(granted for _, granted in read_locks(url)):
        pass
    wait_for_waiting(url)


def test_a_loader_that_adds_a_column_does_not_wait_for_a_run_that_sends(bench: Bench) -> None:
    fill(bench)
    added = "ALTER TABLE tracks ADD COLUMN context_new text", "ALTER TABLE order_completed ADD COLUMN coupon text"
    result = bench.run(ALL, listen=once(alter(bench.warehouse_url, *added)))
    assert (result.summary.status, result.summary.sent) == (RunStatus.SUCCEEDED, ROWS + 1)


def test_no_table_is_locked_when_all_is_read(bench: Bench) -> None:
    fill(bench, 20)
    seen: list[object] = []
    bench.run(ALL, listen=lambda _progress: seen.extend(read_locks(bench.warehouse_url)), chunk_rows=1000)
    assert seen == []


def test_a_run_with_many_failed_rows_does_not_wait_behind_itself(bench: Bench) -> None:
    fill(bench, 1100)
    bench.sandbox.faults.add("status", status=503, path="/events/invoke")
    first = bench.run(ALL, max_attempts=1, api_down_after=100_000, check=False)
    assert first.summary.failed > 1000
    bench.sandbox.faults.clear()
    add_rows(bench.warehouse_url, "tracks", orders(50, 2000)[0])
    add_rows(bench.warehouse_url, "order_completed", orders(50, 2000)[1])
    result = bench.run(listen=once(alter(bench.warehouse_url, "ALTER TABLE tracks ADD COLUMN context_new text")), rate_limit=None)
    assert (result.summary.status, result.summary.failed) == (RunStatus.SUCCEEDED, 0)


def test_a_session_that_may_not_idle_in_a_transaction_finishes(bench: Bench) -> None:
    fill(bench)
    name = run_sql(bench.warehouse_url, "SELECT current_database()")[0][0]
    run_sql(bench.warehouse_url, f"ALTER DATABASE {name} SET idle_in_transaction_session_timeout = '100ms'")
    result = bench.run(ALL, rate_limit=100)
    assert (result.summary.status, result.summary.sent) == (RunStatus.SUCCEEDED, ROWS + 1)


def end_sessions(url: str) -> None:
    """What an administrator does to the sessions of readers; one at a time, or they would end each other's."""
    with ENDING:
        run_sql(
            url, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )


def test_sessions_that_are_ended_between_reads_are_replaced(bench: Bench) -> None:
    fill(bench)
    result = bench.run(ALL, listen=lambda _progress: end_sessions(bench.warehouse_url))
    assert (result.summary.status, result.summary.sent) == (RunStatus.SUCCEEDED, ROWS + 1)


@pytest.mark.parametrize("part", ["rehook_sync__place", "list_columns", "order_completed"])
def test_a_read_that_is_cut_off_is_begun_again_and_said(bench: Bench, part: str) -> None:
    fill(bench)
    wanted = {"list_columns": "pg_attribute"}.get(part, part)
    ended: list[str] = []

    def executed(connection: Connection, _cursor: object, statement: str, *_rest: object) -> None:
        if wanted in statement and not ended:
            ended.append(statement)
            end_sessions(bench.warehouse_url)

    with bench.sync() as sync:
        sqlalchemy_event.listen(sync._warehouse.engine, "before_cursor_execute", executed)
        result = sync.run(RunOptions(since=ALL), Interrupt())
    bench.check()
    assert (result.summary.status, result.summary.sent, len(ended)) == (RunStatus.SUCCEEDED, ROWS + 1, 1)
    (note,) = [each for each in result.notes if "cut off" in each]
    assert note.startswith("began a read of the warehouse again, since it was cut off: the database of REHOOK_SYNC_WAREHOUSE_URL failed")


def test_a_lock_is_waited_out_and_said(bench: Bench) -> None:
    fill(bench)
    with bench.sync() as sync, ThreadPoolExecutor(1) as thread:
        with locked(bench.warehouse_url):
            run = thread.submit(sync.run, RunOptions(since=ALL), Interrupt())
            wait_for_giving_way(bench.warehouse_url)
        result = run.result()
    bench.check()
    assert (result.summary.status, result.summary.sent) == (RunStatus.SUCCEEDED, ROWS + 1)
    (note,) = [each for each in result.notes if "locks" in each]
    assert re.fullmatch(r"waited \d s for others' locks on the warehouse, in 1 read", note)


def test_a_run_in_shards_says_what_it_waited_for_and_read_again(bench: Bench) -> None:
    """The lock is in the way of its beginning, and of the first shard; the second shard's session is ended."""
    fill(bench)
    ended: list[str] = []

    def executed(_connection: Connection, _cursor: object, statement: str, *_rest: object) -> None:
        if "rehook_sync__place" in statement and not ended:
            ended.append(statement)
            end_sessions(bench.warehouse_url)

    def beside_a_lock(act: Callable[[Sync], _T]) -> _T:
        with bench.sync() as sync, ThreadPoolExecutor(1) as thread:
            with locked(bench.warehouse_url):
                done = thread.submit(act, sync)
                wait_for_giving_way(bench.warehouse_url)
            return done.result()

    started = beside_a_lock(lambda sync: sync.start(RunOptions(since=ALL), 2))
    beside_a_lock(lambda sync: sync.deliver_shard(started.run_id, 0, Interrupt()))
    with bench.sync() as sync:
        sqlalchemy_event.listen(sync._warehouse.engine, "before_cursor_execute", executed)
        sync.deliver_shard(started.run_id, 1, Interrupt())
        result = sync.finish(started.run_id)
    bench.check()
    assert (started.shards, result.summary.status, result.summary.sent) == ((0, 1), RunStatus.SUCCEEDED, ROWS + 1)
    waited, again = [each for each in result.notes if "locks" in each or "cut off" in each]
    assert re.fullmatch(r"waited \d s for others' locks on the warehouse, in 2 reads", waited)
    assert again.startswith("began a read of the warehouse again, since it was cut off: ")


def test_a_lock_that_stays_ends_in_one_line_that_names_its_holder(bench: Bench) -> None:
    fill(bench)
    with locked(bench.warehouse_url, "order_completed"), bench.sync(patience="0s") as sync:
        (((pid,),)) = run_sql(bench.warehouse_url, "SELECT pid FROM pg_locks WHERE mode = 'AccessExclusiveLock' AND locktype = 'relation'")
        line = rf"the warehouse is locked, for \d+ s at least: table 'order_completed' is locked by process {pid} \(user postgres\)"
        with pytest.raises(LockedError, match=line):
            sync.plan(RunOptions(since=ALL))
        with pytest.raises(LockedError, match=line):
            sync.run(RunOptions(since=ALL), Interrupt())


def test_who_waits_for_whom_is_told(bench: Bench) -> None:
    """An analyst reads, a loader waits for the analyst, and all who come later wait for the loader."""
    fill(bench)
    reading, loading = create_engine(bench.warehouse_url), create_engine(bench.warehouse_url)
    with reading.connect() as analyst, loading.connect() as loader, bench.sync(patience="0s") as sync:
        reader_pid = analyst.exec_driver_sql("SELECT pg_backend_pid() FROM tracks LIMIT 1").scalar_one()
        loader_pid = loader.exec_driver_sql("SELECT pg_backend_pid()").scalar_one()
        thread = threading.Thread(target=loader.exec_driver_sql, args=("ALTER TABLE tracks ADD COLUMN context_new text",))
        thread.start()
        wait_for_waiting(bench.warehouse_url)
        line = f"process {loader_pid} .user postgres. wants to change table 'tracks' and waits for process {reader_pid}$"
        with pytest.raises(LockedError, match=line):
            sync.plan(RunOptions(since=ALL))
        analyst.rollback()
        thread.join()
        loader.rollback()
    reading.dispose()
    loading.dispose()


def test_a_second_run_says_so_before_it_looks_at_the_warehouse(bench: Bench) -> None:
    fill(bench)
    state = open_database(str(bench.state_url), "STATE_URL")
    Ledger(state, "other", 60).acquire()
    with locked(bench.warehouse_url), bench.sync() as sync, pytest.raises(LeaseHeldError, match="other"):
        sync.run(RunOptions(since=ALL), Interrupt())
    state.close()


def test_a_stop_ends_a_run_that_waits_for_a_lock(bench: Bench) -> None:
    fill(bench)
    interrupt = Interrupt()
    with locked(bench.warehouse_url), bench.sync() as sync:

        def stop_when_it_waits() -> None:
            wait_for_waiting(bench.warehouse_url)
            interrupt.request(signal.SIGTERM)

        thread = threading.Thread(target=stop_when_it_waits)
        thread.start()
        with pytest.raises(LockedError):
            sync.run(RunOptions(since=ALL), interrupt)
        thread.join()
        assert (sync.read_status(1).lease or {"owner": "nobody ever"})["owner"] is None, "the lease is free"


def test_properties_take_one_statement_for_each_table_and_some_chunks(bench: Bench) -> None:
    names = [f"Happened {n}" for n in range(20)]
    calls = [track(f"t{n:03}", f"u{n % 9}", names[n % 20], ago(hours=9) + timedelta(seconds=n)) for n in range(300)]
    tables = {f"happened_{n}": [event(f"t{each:03}", ago(hours=9), total=each) for each in range(n, 300, 20)] for n in range(20)}
    bench.fill([], calls, **tables)
    asked: list[str] = []
    with bench.sync(chunk_rows=50) as sync:
        sqlalchemy_event.listen(sync._warehouse.engine, "before_cursor_execute", lambda *said: asked.append(said[2]))
        assert sync.plan(RunOptions(since=ALL)).actions["events"] == 300
    read = [each for each in asked if "rehook_sync__id FROM" in each and "happened" in each]
    assert len(read) == 20 * 3, "the first 50 rows, 200 rows, the rest: not six chunks"


def test_five_thousand_tracks_in_fifty_tables_take_two_statements_for_each(bench: Bench) -> None:
    """The first rows are read for themselves, so that sending begins early; the rest together. All else is the same for any number."""
    calls = [track(f"t{n:04}", f"u{n % 97}", f"Happened {n % 50}", ago(hours=9) + timedelta(seconds=n)) for n in range(5000)]
    tables = {f"happened_{n}": [event(f"t{each:04}", ago(hours=9), total=each) for each in range(n, 5000, 50)] for n in range(50)}
    bench.fill([], calls, **tables)
    asked: list[str] = []
    with bench.sync(chunk_rows=2000) as sync:
        sync.discover()
        sqlalchemy_event.listen(sync._warehouse.engine, "before_cursor_execute", lambda *said: asked.append(said[2]))
        plan = sync.plan(RunOptions(since=ALL))
    assert (plan.actions["events"], plan.actions["waiting"]) == (5000, 0)
    assert len([each for each in asked if "happened_" in each]) <= 2 * 50
    assert len(asked) < 2 * 50 + 40


def test_a_read_is_given_up_when_patience_ends_and_no_pause_later(sqlite_url: str) -> None:
    now = 0.0

    def sleep(seconds: float) -> None:
        nonlocal now
        now += seconds

    def refuse(_: Connection) -> None:
        sleep(1)  # as long as a read waits for a lock
        raise LockedError("locked")

    with closing(open_database(sqlite_url, "WAREHOUSE_URL")) as database:
        reader = Reader(database, [None])
        reader.patience = Patience(15, sleep, lambda: now)
        with pytest.raises(LockedError, match="for 16 s at least"):
            reader.read(refuse)
    assert now == 16
