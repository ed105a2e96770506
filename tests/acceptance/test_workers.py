"""`run --workers N`: one run in several processes, any of which may die. Promises 1, 2 and 4 of docs/delivery.md."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from warehouse import run_sql

from . import harness
from .conftest import wait_until
from .harness import LONGEST_HOLD_S, Forked, Forks, World, descendants, held_in_the_middle, make_world, state_table

forks = harness.forks

WORKERS = 3


@pytest.fixture
def world(forks: Forks, tmp_path: Path, database_url: str) -> Iterator[World]:
    """A warehouse with rows and sync-state tables, on each database."""
    with make_world(forks, tmp_path, database_url, seed=41, concurrency=9) as made:
        assert made("init").code == 0
        made.add(150)
        yield made


def start(world: World, **environ: str) -> Forked:
    return world.start("run", "--workers", str(WORKERS), "--json", REHOOK_SYNC_TIMEOUT=f"{LONGEST_HOLD_S:g}", **environ)


def workers_of(process: Forked) -> list[int]:
    """The processes that deliver: started by the one that forks them."""
    servers = [child for child in descendants(process.pid) if descendants(child)]
    return [worker for server in servers for worker in descendants(server)]


def test_several_processes_deliver_one_run(world: World) -> None:
    done = start(world).wait()
    assert done.code == 0, done
    books = world.check()
    assert done.json["rows_read"] == len(books.state)
    assert done.json["rows_read"] == sum(done.json[name] for name in ("sent", "unchanged", "merged", "rejected", "failed", "in_doubt"))
    assert sum(done.json["rejected_by_reason"].values()) == done.json["rejected"]
    assert done.json["requests"] == len(world.store.log) == sum(row["requests"] for row in world.read_state("sync_shards"))
    assert all(row["rows_tracks"] for row in world.read_state("sync_shards"))
    assert len(world.read_state("sync_shards")) == WORKERS
    assert world("run", "--json").json["rows_read"] == 0


def test_a_signal_to_the_first_process_settles_what_is_in_flight_in_all(world: World) -> None:
    process = start(world)
    with held_in_the_middle(world):
        process.send_signal(signal.SIGTERM)
    done = process.wait()
    assert (done.code, done.json["status"]) == (143, "interrupted")
    assert world.count("status IN ('sending', 'in_doubt', 'failed')") == 0
    world.run_to_the_end("--workers", str(WORKERS))


def test_a_killed_worker_is_named_and_the_next_run_does_its_part(world: World) -> None:
    process = start(world)
    with held_in_the_middle(world):
        os.kill(workers_of(process)[0], signal.SIGKILL)
    done = process.wait()
    assert done.code == 1, done
    assert "is not finished: nothing is known of the end of part" in done.err
    world.bury()
    world.run_to_the_end()


def test_workers_end_by_themselves_when_the_first_process_is_killed(world: World) -> None:
    process = start(world)
    workers: list[int] = []

    def all_at_work() -> bool:
        workers[:] = workers_of(process)
        return len(workers) == WORKERS

    with held_in_the_middle(world):
        wait_until(all_at_work, LONGEST_HOLD_S)
        process.kill()
        process.wait()
    wait_until(lambda: not any(Path("/proc", str(each)).exists() for each in workers), LONGEST_HOLD_S)
    assert world.count("status = 'sending'") == 0
    world.bury()
    world.run_to_the_end()


def test_refused_credentials_stop_all_parts_and_mark_nothing(world: World) -> None:
    done = start(world, REHOOK_SYNC_API_SECRET="wrong").wait()
    assert (done.code, done.json["status"], done.json["error"]["type"]) == (4, "stopped", "CredentialsRefusedError")
    assert world.count("status NOT IN ('rejected')") == 0
    assert run_sql(world.url, f"SELECT count(*) FROM {state_table(world.url, 'sync_watermarks')} WHERE high_at IS NOT NULL")[0][0] == 0
    world.run_to_the_end()


def test_a_limit_is_refused_before_anything_is_done(world: World) -> None:
    done = world("run", "--workers", "2", "--limit", "5")
    assert done.code == 2
    assert "--limit" in done.err
    assert world.read_state("sync_runs") == []
