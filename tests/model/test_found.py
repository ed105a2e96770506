"""What the model tests have found, each told plainly."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from rehook_sync.jobs.results import RunOptions
from rehook_sync.models import Reason, Selection, Status, Stream
from rehook_sync.rules.watermark import Beginning

from .receiver import Trouble
from .reference import Row
from .world import Circumstances, World

ALL = RunOptions(since=Beginning.BEGINNING)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """A world of its own."""
    Path(tmp_path, "world.db").touch()
    made = World(f"sqlite:///{tmp_path}/world.db")
    yield made
    made.close()


def load(world: World, message_id: str, user_id: str, code: str | None, *, anonymous_id: str | None = None, event: bool = False) -> Row:
    """Load an Identify call with a referral code, or an event, a minute after the one before."""
    world.tick += 1
    moment = world.at(1000 + world.tick)
    stream, name = (Stream.TRACKS, "Order") if event else (Stream.IDENTIFIES, None)
    row = Row(stream, message_id, user_id, anonymous_id, (name, None), moment, {} if code is None else {"referral_code": code})
    world.add(row, moment)
    return row


def test_codes_handed_on_in_a_chain_go_out_one_after_another(world: World) -> None:
    load(world, "a1", "ada", "X")
    load(world, "b1", "bob", "Y")
    world.run(ALL, Circumstances())
    load(world, "a2", "ada", "W")
    load(world, "b2", "bob", "X")
    load(world, "e1", "eve", "Y")
    done = world.run(ALL, Circumstances()).result
    assert done is not None
    assert (done.summary.sent, done.summary.rejected) == (3, 0)
    assert world.receiver.store.owners == {"W": "ada", "X": "bob", "Y": "eve"}


@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize("fail_at", range(10))
def test_no_claim_outlives_a_run_whose_commit_only_seemed_to_fail(world: World, fail_at: int, late: bool) -> None:
    world.options["anonymous_calls"] = "allow_with_user_id"
    call = load(world, "a1", "ada", "X", anonymous_id="a-1")
    world.run(ALL, Circumstances(fail_at=fail_at, late=late))
    world.options["anonymous_calls"] = "drop"
    load(world, "b1", "bob", "X")
    world.run(ALL, Circumstances())
    world.finish(resend=False)
    first = world.books.state[call.key]["status"]
    assert world.receiver.store.owners == {"X": "ada" if first == "sent" else "bob"}


@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize("fail_at", range(10))
def test_codes_are_as_rehook_has_them_after_a_commit_that_only_seemed_to_fail(world: World, fail_at: int, late: bool) -> None:
    load(world, "a1", "ada", "X")
    world.run(ALL, Circumstances())
    load(world, "a2", "ada", "W")
    load(world, "b1", "bob", "X")
    world.run(ALL, Circumstances(fail_at=fail_at, late=late))
    load(world, "e1", "eve", "W")
    world.run(ALL, Circumstances())
    assert world.books.codes == {"ada": "W", "bob": "X"}
    assert world.receiver.store.owners == {"W": "ada", "X": "bob"}
    assert world.books.state[Stream.IDENTIFIES, "e1"]["reason"] == "referral_code_taken"


@pytest.mark.parametrize("promise", ["hold", "resend"])
def test_what_got_no_answer_while_rehook_was_down_is_in_doubt_or_goes_out_again(world: World, promise: str) -> None:
    world.options["on_ambiguous_event"] = promise
    calls = [load(world, f"t{each}", user_id, None, event=True) for each, user_id in enumerate(("ada", "bob", "eve"))]
    down = world.run(ALL, Circumstances(troubles=[Trouble("timeout_after", skip=1)])).result
    assert down is not None
    assert down.summary.status == ("attention" if promise == "hold" else "stopped")
    found = {world.books.state[call.key]["status"] for call in calls if call.key in world.books.state}
    assert found == ({"in_doubt"} if promise == "hold" else set())
    world.finish(resend=False)
    times = {user_id: sum(each.source_id == user_id for each in world.receiver.store.events) for user_id in ("ada", "bob", "eve")}
    assert min(times.values()) >= 1
    assert max(times.values()) == 1 if promise == "hold" else max(times.values()) > 1


@pytest.mark.parametrize("kill_at", [3, 5])
@pytest.mark.parametrize("had", ["X", ""])
def test_a_refresh_after_a_kill_says_the_code_that_was_settled(world: World, had: str, kill_at: int) -> None:
    load(world, "a1", "ada", had)
    world.run(ALL, Circumstances())
    load(world, "a2", "ada", "Y")
    assert world.run(ALL, Circumstances(kill_at=kill_at, late=True)).died
    assert world.books.codes == {"ada": "Y"}, "claimed, and not settled"
    world.refresh(Circumstances())
    assert [each.body["metadata"] for each in world.receiver.arrivals] == [{"referral_code": had}]
    world.finish(resend=False)
    assert world.receiver.store.owners == {"Y": "ada"}


@pytest.mark.parametrize("stream", [Stream.IDENTIFIES, Stream.TRACKS])
def test_what_was_in_flight_when_a_run_died_is_retried_by_its_reason(world: World, stream: Stream) -> None:
    world.options["on_ambiguous_event"] = "resend"
    load(world, "a1", "ada", None, event=stream == Stream.TRACKS)
    load(world, "a2", "ada", "X")
    for kill_at in range(4, 8):
        world.run(ALL, Circumstances(kill_at=kill_at))
        world.run(RunOptions(only=Selection(Status.FAILED, Reason.NETWORK_ERROR)), Circumstances())
    world.finish(resend=False)
