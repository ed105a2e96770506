"""What the model tests have found, each told plainly."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from rehook_sync.jobs.results import RunOptions
from rehook_sync.models import Stream
from rehook_sync.rules.watermark import Beginning

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


def load(world: World, message_id: str, user_id: str, code: str, *, anonymous_id: str | None = None) -> Row:
    """Load an Identify call with a referral code, a minute after the one before."""
    world.tick += 1
    moment = world.at(1000 + world.tick)
    row = Row(Stream.IDENTIFIES, message_id, user_id, anonymous_id, (None, None), moment, {"referral_code": code})
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
