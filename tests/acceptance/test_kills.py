"""Runs that are killed with `kill -9`, at random and at exact moments, and run again: promises 1 and 2 of docs/delivery.md."""

import signal
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from accounting import idempotency_key
from rude_proxy import RudeProxy
from warehouse import add_rows, at, identify, run_sql, track

from rehook_sync.sandbox.store import Received

from . import harness
from .conftest import wait_until
from .harness import Forked, Forks, World, database_lock, is_sqlite, kill_at, kill_ever_later, make_old_calls, make_world, state_table

forks = harness.forks

KILLS = 12
LENGTH_S = 0.6  # of a whole run, more or less
OLD_CALLS = 30_000


@pytest.fixture
def world(forks: Forks, tmp_path: Path, database_url: str) -> Iterator[World]:
    """A warehouse with rows and sync-state tables, on each database."""
    with make_world(forks, tmp_path, database_url, seed=1) as made:
        assert made("init").code == 0
        made.add(60)
        yield made


def kill_somewhere(world: World) -> bool:
    """Start a run and kill it at a moment drawn by chance: a time, or what happens to a request. False when it ended before."""
    chance = world.rng.random()
    if chance < 0.3:
        process = world.start("run")
        time.sleep(world.rng.uniform(0, LENGTH_S))
        process.kill()
    else:
        process = kill_at(world, world.rng.randrange(1, 40), answered=chance < 0.65)
    return world.killed(process)


def test_killed_at_random_moments_nothing_is_lost_and_no_event_is_sent_twice(forks: Forks, tmp_path: Path, database_url: str) -> None:
    with make_world(forks, tmp_path, database_url, seed=11) as world:
        assert world("init").code == 0
        while world.kills < KILLS:
            world.add(70)
            while kill_somewhere(world):
                pass
            world.store.ignore_all()
            world.run_to_the_end()
        assert world("run", "--json").json["rows_read"] == 0


def before_the_first_mark(world: World) -> Forked:
    """The credentials are being checked; nothing is marked."""
    return kill_at(world, 1, answered=False)


def while_marking(world: World) -> Forked:
    """The statement that marks the first calls cannot write yet. Where it has reached a server, that may still carry it out."""
    with ExitStack() as held:

        def hold(_received: Received) -> None:
            world.store.ignore_all()
            held.enter_context(database_lock(world.url, "sync_state"))

        world.store.on_arrival = hold
        process = world.start("run")
        wait_until(lambda: bool(world.store.log) and not world.store.in_flight)
        time.sleep(0.3)
        process.kill()
        process.wait()
    assert world.count("status = 'sending'") in ({0} if world.url.startswith("sqlite") else {0, 5})
    assert world.store.log[0].method == "GET"
    assert all(each.path == "/customers" for each in world.store.log[1:]), "only customers of whom nothing is known need no mark"
    return process


def between_mark_and_send(world: World) -> Forked:
    """One request a minute: the next call is durably marked, perhaps one more, and they wait for their turn."""
    process = world.start("run", REHOOK_SYNC_RATE_LIMIT="0.016")
    wait_until(lambda: world.count("status = 'sent'") >= 1)
    wait_until(lambda: world.count("status = 'sending'") > 0)
    process.kill()
    return process


def before_it_is_carried_out(world: World) -> Forked:
    """Requests have arrived; Rehook does nothing with them."""
    return kill_hanging(world, carried_out=False)


def after_it_was_carried_out(world: World) -> Forked:
    """Requests have arrived and were carried out; the answers never come."""
    return kill_hanging(world, carried_out=True)


def kill_hanging(world: World, *, carried_out: bool) -> Forked:
    """Start a run that is killed when every request in flight hangs."""
    hang = world.sandbox.faults.add("hang", commit=carried_out, path="/events/invoke")
    process = world.start("run")
    wait_until(lambda: hang.met >= world.concurrency)
    process.kill()
    process.wait()
    world.sandbox.faults.remove(hang.id)
    return process


def right_after_an_answer(world: World) -> Forked:
    """An answer has just left Rehook."""
    return kill_at(world, 20, answered=True)


def while_recording(world: World) -> Forked:
    """Answers have come back, and the transaction that records them cannot write."""
    with ExitStack() as held:

        def hold(received: Received) -> None:
            if received.path == "/events/invoke":
                world.store.ignore_all()
                held.enter_context(database_lock(world.url, "sync_state"))

        world.store.on_arrival = hold
        process = world.start("run")
        wait_until(lambda: bool(world.store.events) and not world.store.in_flight)
        time.sleep(0.3)
        process.kill()
        process.wait()
    return process


def while_finishing(world: World) -> Forked:
    """Every outcome is recorded; watermarks and the end of the run are not."""
    with ExitStack() as held:
        if is_sqlite(world.url):
            endless = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n"
            run_sql(world.url, f"CREATE TRIGGER endless BEFORE INSERT ON sync_watermarks BEGIN {endless}; END")
            held.callback(run_sql, world.url, "DROP TRIGGER endless")
        else:
            held.enter_context(database_lock(world.url, "sync_watermarks"))
        process = world.start("run")
        wait_until(lambda: world.count("status NOT IN ('sending', 'failed')") == world.rows)
        time.sleep(0.1)
        process.kill()
        process.wait()
    assert world.read_state("sync_watermarks") == []
    return process


@pytest.mark.parametrize(
    ("moment", "doubts", "arrived"),
    [
        (before_the_first_mark, range(1), range(1)),
        (while_marking, range(9), range(1)),
        (between_mark_and_send, range(3), range(1)),
        (before_it_is_carried_out, range(4, 9), range(1)),
        (after_it_was_carried_out, range(4, 9), range(4, 5)),
        (right_after_an_answer, range(9), range(9)),
        (while_recording, range(1, 9), range(1, 9)),
        (while_finishing, range(1), range(1)),
    ],
)
def test_killed(world: World, moment: Callable[[World], Forked], doubts: range, arrived: range) -> None:
    """`doubts`: how many events are in doubt afterwards; `arrived`: how many of these had arrived."""
    assert world.killed(moment(world))
    world.store.ignore_all()
    world.run_to_the_end()
    doubtful = [row["message_id"] for row in world.read_state() if row["status"] == "in_doubt"]
    keys = {each.idempotency_key for each in world.store.events}
    assert len(doubtful) in doubts
    assert sum(idempotency_key("tracks", each) in keys for each in doubtful) in arrived
    assert world("run", "--json").json["rows_read"] == 0


def test_killed_while_the_tables_are_made(forks: Forks, tmp_path: Path, database_url: str) -> None:
    with make_world(forks, tmp_path, database_url, seed=5) as world:
        kill_ever_later(world, "init")
        assert world.is_ready()
        assert world("init", "--json").json["applied"] == []
        world.add(40)
        world.run_to_the_end()


def test_killed_while_old_detail_is_pruned(world: World) -> None:
    world.run_to_the_end()
    make_old_calls(world, OLD_CALLS)
    before = Counter(row["status"] for row in world.read_state())
    kill_ever_later(world, "prune", "--older-than", "7d")
    assert world.count("run_id = 'long ago' AND (user_id IS NOT NULL OR payload_hash IS NOT NULL)") == 0
    assert Counter(row["status"] for row in world.read_state()) == before
    assert {run["status"] for run in world.read_state("sync_runs")} == {"succeeded", "crashed"}
    sent = len(world.store.log)
    assert world("run", "--json").json["rows_read"] == 0
    assert len(world.store.log) == sent


def test_killed_while_a_person_is_forgotten(world: World) -> None:
    world.run_to_the_end()
    make_old_calls(world, OLD_CALLS)
    user_id = next(row["user_id"] for row in world.read_state() if row["status"] == "sent" and row["run_id"] != "long ago")
    state = state_table(world.url, "sync_state")
    run_sql(world.url, f"UPDATE {state} SET user_id = '{user_id}', detail = 'said by {user_id}' WHERE run_id = 'long ago'")
    run_sql(world.url, f"UPDATE {state} SET detail = 'owned by user {user_id}' WHERE user_id <> '{user_id}'")
    before = Counter((row["stream"], row["message_id"], row["status"], row["reason"]) for row in world.read_state())
    kill_ever_later(world, "forget", user_id)
    assert world.kills
    tables = ("sync_state", "sync_customers", "sync_runs")
    values = {str(value) for name in tables for row in world.read_state(name) for value in row.values()}
    assert values.isdisjoint({user_id, f"said by {user_id}", f"owned by user {user_id}"})
    assert "owned by user […]" in values
    assert Counter((row["stream"], row["message_id"], row["status"], row["reason"]) for row in world.read_state()) == before
    sent = len(world.store.log)
    assert world("run", "--since", "beginning", "--json").json["rows_read"] == 0
    assert len(world.store.log) == sent
    assert {run["status"] for run in world.read_state("sync_runs")} <= {"succeeded", "crashed"}


def test_killed_before_anything_was_sent_codes_go_to_the_same_users_again(forks: Forks, tmp_path: Path, database_url: str) -> None:
    """A user gives up a code that another one takes: what was judged before the kill must not stand in the way of judging it again."""
    with make_world(forks, tmp_path, database_url, seed=6) as world:
        assert world("init").code == 0
        first = identify("a1", "ada", at(-9), plan="gold", referral_code="SUN")
        second = identify("a2", "ada", at(-7), level=1, referral_code="MOON")
        add_rows(database_url, "identifies", [first, second, identify("b1", "bob", at(-6), referral_code="SUN")])
        add_rows(database_url, "tracks", [track("t1", "ada", "Product Viewed", at(-8))])
        assert world.killed(before_the_first_mark(world))
        world.store.ignore_all()
        assert world("run").code == 0
        assert {row["status"] for row in world.read_state()} == {"sent"}
        assert world.store.owners == {"MOON": "ada", "SUN": "bob"}
        assert world.store.customers["ada"].metadata == {"plan": "gold", "level": 1, "referral_code": "MOON"}


def test_asked_to_stop_while_finishing_it_finishes(forks: Forks, tmp_path: Path, postgres_url: str) -> None:
    with make_world(forks, tmp_path, postgres_url, seed=7) as world:
        assert world("init").code == 0
        world.add(40)
        with database_lock(postgres_url, "sync_watermarks"):
            process = world.start("run")
            wait_until(lambda: world.count("status NOT IN ('sending', 'failed')") == world.rows)
            time.sleep(0.2)
            process.send_signal(signal.SIGTERM)
            time.sleep(0.2)
        assert process.wait().code == 0
        assert [run["status"] for run in world.check().runs] == ["succeeded"]


def test_an_event_that_arrives_after_its_connection_was_closed_comes_late_but_once(forks: Forks, tmp_path: Path, database_url: str) -> None:
    with make_world(forks, tmp_path, database_url, seed=3) as world:
        assert world("init").code == 0
        world.add(400)
        with RudeProxy.before(world.sandbox, "late", 3) as rude:
            assert world("run", "--json").code == 3
            wait_until(lambda: len(world.store.events) == len(world.people.events))
        world.doubtful += rude.done
        world.run_to_the_end()
        assert world.count("status = 'in_doubt'") == world.count("reason = 'connection_lost'") == rude.done > 5
        arrived: defaultdict[str, list[int]] = defaultdict(list)
        for event in world.store.events:
            arrived[event.source_id].append(event.metadata["seq"])
        assert any(each != sorted(each) for each in arrived.values()), "none was overtaken"
