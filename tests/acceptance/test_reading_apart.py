"""Reading and judging beside sending, in a process of their own, either of which may die. Promises 1, 2 and 4 of docs/delivery.md."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

import pytest
from accounting import read_rows
from warehouse import run_sql

from . import harness
from .conftest import wait_until
from .forks import ROOT
from .harness import LONGEST_HOLD_S, Forked, Forks, World, descendants, held_in_the_middle, is_sqlite, make_world

forks = harness.forks

CALLS = 2500
"""More than wait to be sent at once, so that reading is not over when the first requests leave."""
JUDGED = "stream, message_id, user_id, event, status, reason, detail, payload_hash, source"

pytestmark = pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="one process does it all on a single core")


@pytest.fixture
def world(forks: Forks, tmp_path: Path, database_url: str) -> Iterator[World]:
    """A warehouse with rows and sync-state tables, on each database."""
    with make_world(forks, tmp_path, database_url, seed=51, concurrency=8) as made:
        assert made("init").code == 0
        made.add(CALLS)
        yield made


def start(world: World) -> Forked:
    return world.start("run", "--json", REHOOK_SYNC_TIMEOUT=f"{LONGEST_HOLD_S:g}")


def reader_of(process: Forked) -> int:
    found = descendants(process.pid)
    assert len(found) == 1
    return found[0]


def test_a_killed_reader_ends_the_run_in_one_line_and_the_next_run_goes_on(world: World) -> None:
    process = start(world)
    with held_in_the_middle(world):
        os.kill(reader_of(process), signal.SIGKILL)
    done = process.wait()
    assert (done.code, done.json["status"]) == (1, "stopped")
    (line,) = [each for each in done.err.splitlines() if each.startswith("error: ")]
    assert line == (
        "error: the process that reads the warehouse was ended by signal 9, as by a machine that is short of memory; run again: "
        "what was sent is recorded"
    )
    assert world.count("status IN ('sending', 'in_doubt', 'failed')") == 0
    assert 20 < done.json["rows_read"] == world.count("true") < CALLS
    world.run_to_the_end()
    assert world("run", "--json").json["rows_read"] == 0


def test_the_reader_ends_by_itself_when_the_sender_is_killed(world: World) -> None:
    process = start(world)
    with held_in_the_middle(world):
        reader = reader_of(process)
        process.kill()
        process.wait()
        wait_until(lambda: not Path("/proc", str(reader)).exists(), LONGEST_HOLD_S)
    world.bury()
    world.run_to_the_end()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_to_both_is_the_senders_to_heed(world: World, number: signal.Signals) -> None:
    """As a terminal sends it, to all processes of a command."""
    process = start(world)
    with held_in_the_middle(world):
        reader = reader_of(process)
        os.kill(reader, number)
        process.send_signal(number)
    done = process.wait()
    assert (done.code, done.json["status"]) == (128 + number, "interrupted"), done
    assert not Path("/proc", str(reader)).exists()
    assert world.count("status IN ('sending', 'in_doubt', 'failed')") == 0
    world.run_to_the_end()


@contextmanager
def slow_identifies(url: str) -> Iterator[None]:
    """Let each row of identifies take its time to be read, in PostgreSQL; that there are such columns is known at once."""
    run_sql(url, "ALTER TABLE identifies RENAME TO all_identifies")
    run_sql(url, "CREATE VIEW identifies AS SELECT * FROM all_identifies WHERE CAST(pg_sleep(0.1) AS text) IS NOT NULL")
    yield
    run_sql(url, "DROP VIEW identifies")
    run_sql(url, "ALTER TABLE all_identifies RENAME TO identifies")


@contextmanager
def in_a_long_read(world: World) -> Iterator[Forked]:
    """A run whose reader is in a statement that would take minutes."""
    if is_sqlite(world.url):
        pytest.skip("nothing is far away")
    with slow_identifies(world.url):
        process = start(world)
        wait_until(lambda: len(descendants(process.pid)) == 1)
        time.sleep(0.5)  # tracks are read, and the look at identifies has begun
        yield process


def test_a_signal_cuts_off_a_read_that_would_take_minutes(world: World) -> None:
    with in_a_long_read(world) as process:
        asked_at = time.monotonic()
        process.send_signal(signal.SIGTERM)
        done = process.wait()
        assert (done.code, done.json["status"]) == (143, "interrupted")
        assert time.monotonic() - asked_at < 15
    assert world.store.log == []
    world.run_to_the_end()


AT_WORK = """
    SELECT query FROM pg_stat_activity
    WHERE state = 'active' AND backend_type = 'client backend' AND datname = CURRENT_DATABASE() AND pid <> pg_backend_pid()
"""


def test_a_read_that_would_take_minutes_ends_with_a_sender_that_is_killed(world: World) -> None:
    with in_a_long_read(world) as process:
        reader = reader_of(process)
        process.kill()
        process.wait()
        wait_until(lambda: not Path("/proc", str(reader)).exists(), 30)
        wait_until(lambda: not read_rows(world.url, AT_WORK))
    world.bury()
    world.run_to_the_end()


BROKEN = """
import sys
import rehook_sync.jobs.pipeline as pipeline

class Odd(Exception):
    def __init__(self, first, second):
        super().__init__(f"{first} {second}")

def broken(*_given):
    raise ERROR

pipeline.judge = broken
from rehook_sync.__main__ import main
main()
"""


CHILDREN_IGNORED = """
import os, signal, sys
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
os.execv(sys.executable, [sys.executable, "-m", "rehook_sync", "run", "--json"])
"""


@pytest.mark.parametrize("killed", [False, True])
def test_where_nobody_is_told_of_the_end_of_a_child_a_run_ends_as_it_does_elsewhere(world: World, *, killed: bool) -> None:
    """SIGCHLD stays ignored in what a program starts that ignores it."""
    environ = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "REHOOK_SYNC_TIMEOUT": f"{LONGEST_HOLD_S:g}"}
    process = subprocess.Popen(
        [sys.executable, "-c", CHILDREN_IGNORED], cwd=world.folder, env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    with held_in_the_middle(world):
        (reader,) = descendants(process.pid)
        if killed:
            os.kill(reader, signal.SIGKILL)
    out, err = process.communicate(timeout=120)
    assert (process.returncode, json.loads(out)["status"]) == ((1, "stopped") if killed else (0, "succeeded"))
    assert ("error: the process that reads the warehouse has ended; run again: what was sent is recorded" in err) is killed
    world.run_to_the_end()


STOPPED_AT_ONCE = """
from rehook_sync.jobs.reading.apart import read_apart
from rehook_sync.runtime import Interrupt

class Pipeline:
    def tell(self, looks): pass
    def hear(self, told): pass
    def note_recorded(self, keys): pass

for _ in range(20):
    interrupt = Interrupt()
    interrupt.request(15)
    with read_apart(Pipeline(), iter(["a chunk"]), [], interrupt) as reading:
        print(*reading.chunks)
"""


def test_a_stop_asked_for_while_the_process_begins_is_no_accident() -> None:
    done = subprocess.run([sys.executable, "-c", STOPPED_AT_ONCE], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr, done.stdout.split("\n")) == (0, "", ["a chunk"] * 20 + [""])


@pytest.mark.parametrize(
    ("error", "told"),
    [
        ('ZeroDivisionError("a value")', "unexpected ZeroDivisionError at rehook_sync/jobs/"),
        ('Odd("a", "value")', "unexpected RuntimeError at rehook_sync/jobs/"),
    ],
)
def test_a_bug_in_the_reader_ends_the_run_as_one_in_the_sender_does(world: World, error: str, told: str) -> None:
    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        environ = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)}
        command = [sys.executable, "-c", BROKEN.replace("ERROR", error), *arguments, "run"]
        return subprocess.run(command, cwd=world.folder, env=environ, capture_output=True, text=True, timeout=60, check=False)

    done = run()
    assert done.returncode == 1
    assert told in done.stderr
    assert "a value" not in done.stderr
    traced = run("--traceback").stderr
    assert "in broken" in traced
    assert f"{error.partition('(')[0]}: a value" in traced
    assert world.count("true") == 0
    world.run_to_the_end()


def test_nothing_new_is_read_without_a_process_of_its_own(world: World) -> None:
    world.run_to_the_end()
    world.store.log.clear()
    process = world.start("run", "--json")
    seen: set[int] = set()
    while process.poll() is None:
        seen.update(descendants(process.pid))
    assert seen == set()
    assert process.wait().json["rows_read"] == 0


@contextmanager
def on_one_core(forks: Forks) -> Iterator[None]:
    """Let processes that are started meanwhile have a single core."""
    before = os.sched_getaffinity(forks.pid)
    os.sched_setaffinity(forks.pid, {min(before)})
    try:
        yield
    finally:
        os.sched_setaffinity(forks.pid, before)


def test_one_process_and_two_come_to_the_same(forks: Forks, tmp_path: Path) -> None:
    """Claims of codes, changes of customers and refusals included: each row has the same end, and the requests the same bodies."""
    ends = []
    for name, cores in (("one", on_one_core(forks)), ("two", nullcontext())):
        folder = tmp_path / name
        folder.mkdir()
        with make_world(forks, folder, f"sqlite:///{folder / 'warehouse.db'}", seed=52) as world, cores:
            assert world("init").code == 0
            world.add(400)
            process = world.start("run", "--json", REHOOK_SYNC_CHUNK_ROWS="30")
            seen = set()
            while process.poll() is None:
                seen.update(descendants(process.pid))
            assert len(seen) == (name == "two")
            done = process.wait()
            assert done.code in {0, 3}, done
            world.check()
            rows = read_rows(world.url, f"SELECT {JUDGED} FROM sync_state ORDER BY stream, message_id")
            counts = [done.json[each] for each in ("rows_read", "sent", "unchanged", "merged", "rejected", "requests")]
            ends.append((rows, sorted(each.body for each in world.store.log), counts))
    assert ends[0] == ends[1]
