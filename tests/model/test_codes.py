"""Referral codes through random histories: who owns which in the end, however the runs went."""

import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rehook_sync.delivery import batch_writer, outcomes
from rehook_sync.jobs.results import RunOptions
from rehook_sync.models import Stream
from rehook_sync.rules.watermark import Beginning

from .receiver import Trouble
from .reference import Order, Row, judge
from .world import MINUTE, Circumstances, World

IS_NIGHTLY = settings.get_current_profile_name() == "nightly"
USERS = ("ada", "bob", "eve")
SIZE = (
    settings()
    if IS_NIGHTLY
    else settings(max_examples=40, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
)

calls = st.tuples(
    st.sampled_from(USERS), st.sampled_from(("X", "Y", "Z", None)), st.sampled_from("abc"), st.booleans(), st.sampled_from((1, 0, -7))
)
batches = st.lists(calls, min_size=1, max_size=8)
calm = st.builds(Circumstances)
death = st.builds(Circumstances, kill_at=st.integers(3, 20), late=st.booleans())
troubles = st.builds(
    Trouble,
    effect=st.sampled_from(("refuse", "busy", "lost_after", "lost_before", "denied", "later", "no_connection")),
    user_id=st.sampled_from((None, *USERS)),
    skip=st.sampled_from((0, 1, 2, 4)),
    times=st.sampled_from((1, 2, None)),
)
trouble = st.builds(Circumstances, troubles=st.lists(troubles, min_size=1, max_size=2))
options = st.fixed_dictionaries(
    {
        "customer_updates": st.sampled_from(("changed", "every")),
        "chunk_rows": st.sampled_from((1, 3, 50)),
        "concurrency": st.sampled_from((1, 4)),
        "max_attempts": st.sampled_from((1, 2)),
    }
)


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outcomes, "_FIRST_WAIT_S", 0.0005)
    monkeypatch.setattr(batch_writer, "_WRITE_WAITS_S", (0.0005, 0.001))


def play(history: list[tuple[list[tuple[str, str | None, str, bool, int]], Circumstances]], chosen: dict[str, object]) -> World:
    """Load each batch and run over it; then let everything come right."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "world.db").touch()
        world = World(f"sqlite:///{folder}/world.db")
        world.options |= chosen
        number = 0
        for batch, around in history:
            for user_id, code, plan, is_event, step in batch:
                number += 1
                world.tick += max(step, 0)
                received_at = world.at(1000 + world.tick)
                stream = Stream.TRACKS if is_event else Stream.IDENTIFIES
                fields = {"plan": plan} | ({"referral_code": code} if code else {})
                event = ("Order", "order") if is_event else (None, None)
                world.add(Row(stream, f"m{number}", user_id, None, event, received_at + min(step, 0) * MINUTE, fields), received_at)
            world.run(RunOptions(since=Beginning.BEGINNING), around)
        world.finish(resend=True)
        world.close()
        return world


@pytest.mark.timeout(20_000 if IS_NIGHTLY else 300)
@SIZE
@given(history=st.lists(st.tuples(batches, calm), min_size=1, max_size=4), chosen=options)
def test_without_trouble_the_first_by_time_owns_a_code(history: list, chosen: dict[str, object]) -> None:  # type: ignore[type-arg]
    world = play(history, chosen)
    codes: dict[str, str] = {}
    since: dict[str, Order] = {}
    number = 0
    for batch, _ in history:
        rows = list(world.rows.values())[number : number + len(batch)]
        number += len(batch)
        judge(rows, world.options, codes, since)
    assert world.receiver.store.owners == {code: user_id for user_id, code in codes.items()}


@pytest.mark.timeout(20_000 if IS_NIGHTLY else 300)
@SIZE
@given(history=st.lists(st.tuples(batches, st.one_of(calm, death, trouble)), min_size=2, max_size=4), chosen=options)
def test_whatever_happened_our_books_of_codes_are_those_of_rehook(history: list, chosen: dict[str, object]) -> None:  # type: ignore[type-arg]
    play(history, chosen)
