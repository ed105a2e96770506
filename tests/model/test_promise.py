"""Rows arrive, runs go well or badly, processes die, people decide: the promise holds after every step."""

import tempfile
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test
from sqlalchemy import create_engine, make_url, text

from rehook_sync.delivery import batch_writer, outcomes
from rehook_sync.jobs.results import RunOptions
from rehook_sync.models import Reason, Selection, Status, Stream
from rehook_sync.rules.watermark import Beginning

from .neighbours import ACTS
from .receiver import EFFECTS, Trouble
from .reference import PAGES, RANK, Row
from .world import MINUTE, PAGE_VIEWED, Circumstances, World

IS_NIGHTLY = settings.get_current_profile_name() == "nightly"
SIZE = (
    settings()
    if IS_NIGHTLY
    else settings(
        max_examples=18, stateful_step_count=12, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck)
    )
)
PLACES = (
    "sqlite",
    "sqlite-apart",
    "sqlite-tables",
    "postgresql-sources",
    *(("postgresql", "postgresql-apart", "postgresql-tables")[: 3 * IS_NIGHTLY]),
)
"""The warehouse; `apart`: the sync-state tables are in a database of their own; `tables`: events have tables of their own;
`sources`: two schemas are two sources."""

USERS = ("ada", "bob", "eve", "o'brien", "ünï")
EVENTS = (("Order", "order"), ("signup", "signup"), (None, "order"))
NO_EVENTS = ((None, None), ("", "order"))
NOBODY = (None, "", " ")
ODDITIES = ("future", "no id", "no time of arrival", "no time of its own", "id of the other stream", "nobody", "no event")
CODES = ("X", "Y", "Z")
minutes = st.sampled_from((1, 0, 2, 5, 20, 60))
users = st.sampled_from((*USERS, *USERS[:3]))
anonymous_ids = st.sampled_from((None, None, None, None, None, "", "a-1"))
traits = st.fixed_dictionaries(
    {},
    optional={
        "plan": st.sampled_from("abc"),
        "city": st.sampled_from("ab"),
        "referral_code": st.sampled_from((*CODES, *CODES, *CODES, "")),
    },
)
troubles = st.builds(
    Trouble,
    effect=st.sampled_from(sorted(EFFECTS)),
    path=st.sampled_from(("all", "events", "customers")),
    user_id=st.sampled_from((None, None, None, *USERS)),
    skip=st.sampled_from((0, 0, 1, 2, 4)),
    times=st.sampled_from((1, 2, 3, None)),
)
steps = st.sampled_from((*range(4, 20), *range(5, 14), 0, 1, 2, 3, 30))
choices = st.one_of(st.none(), st.lists(st.one_of(st.integers(0, 3), st.sampled_from(USERS)), min_size=1, max_size=3))
calm = st.builds(Circumstances)
beside_others = st.builds(Circumstances, neighbours=st.dictionaries(st.integers(0, 25), st.sampled_from(ACTS), min_size=1, max_size=6))
trouble = st.builds(Circumstances, troubles=st.lists(troubles, min_size=1, max_size=2))
death = st.builds(Circumstances, kill_at=steps, late=st.booleans())
failing = st.builds(Circumstances, fail_at=steps, late=st.booleans())
stopping = st.builds(Circumstances, interrupt_at=st.integers(0, 10))
mixed = st.builds(Circumstances, troubles=st.lists(troubles, max_size=1), kill_at=steps, late=st.booleans())
anything = st.one_of(calm, beside_others, trouble, death, mixed, failing, stopping)


class Machine(RuleBasedStateMachine):
    """One world, and all that can happen to it."""

    urls: tuple[str, str | None]
    has_tables = False
    sources: tuple[str, ...] = ()

    def __init__(self) -> None:
        super().__init__()
        self.world = World(*self.urls, has_tables=self.has_tables, sources=self.sources)
        self.count = 0
        self.sent_every = False

    @initialize(rows=st.integers(8, 20), data=st.data())
    def begin(self, rows: int, data: st.DataObject) -> None:
        self._arrive_on_time(rows, data)

    def _arrive_on_time(self, count: int, data: st.DataObject) -> None:
        for _ in range(count):
            self._arrive(data.draw(st.sampled_from(tuple(RANK))), data, 0)

    @rule(count=st.integers(1, 6), stream=st.sampled_from(tuple(RANK)), late=st.sampled_from((5, 30, 90, 500)), data=st.data())
    def arrive(self, count: int, stream: Stream, late: int, data: st.DataObject) -> None:
        for _ in range(count):
            self._arrive(stream, data, late)

    def _arrive(self, stream: Stream, data: st.DataObject, late: int) -> None:
        world = self.world
        world.tick += data.draw(st.sampled_from((1, 0, 3, 10)), "minutes")
        received_at = world.at(1000 + world.tick - late)
        self.count += 1
        row = Row(
            stream,
            f"m{self.count}",
            data.draw(users, "user"),
            data.draw(anonymous_ids, "anonymous"),
            self._event(stream, EVENTS, data),
            received_at - data.draw(minutes, "before") * MINUTE,
            data.draw(traits, "fields"),
        )
        row.loaded = not (self.has_tables and stream == Stream.TRACKS) or data.draw(st.booleans(), "loaded")
        world.add(row, received_at, data.draw(st.sampled_from(world.sources), "source"))

    def _event(
        self, stream: Stream, names: tuple[tuple[str | None, str | None], ...], data: st.DataObject
    ) -> tuple[str | None, str | None]:
        """Text and slug of an event; all rows of other calls have one name."""
        if stream == PAGES:
            return PAGE_VIEWED, None
        return data.draw(st.sampled_from(names), "event") if stream == Stream.TRACKS else (None, None)

    @rule(data=st.data())
    def load_late(self, data: st.DataObject) -> None:
        """Some event tables get what they lack."""
        unloaded = [row for row in self.world.rows.values() if not row.loaded]
        if unloaded:
            self.world.load_late(data.draw(st.lists(st.sampled_from(unloaded), min_size=1, unique_by=id), "rows"))

    @rule(stream=st.sampled_from(tuple(RANK)), kind=st.sampled_from(ODDITIES), data=st.data())
    def arrive_oddly(self, stream: Stream, kind: str, data: st.DataObject) -> None:
        world = self.world
        self.count += 1
        received_at: datetime | None = world.at(1000 + world.tick)
        occurred_at: datetime | None = world.at(1000 + world.tick) + timedelta(microseconds=self.count)
        message_id: str | None = f"m{self.count}"
        if kind == "future":
            received_at = world.now + timedelta(days=2)
        elif kind == "no id":
            message_id = None
        elif kind == "no time of arrival":
            received_at = None
        elif kind == "no time of its own":
            occurred_at = None
        elif kind == "id of the other stream":
            others = sorted(
                {row.message_id for row in world.rows.values() if row.message_id} - {key[1] for key in world.rows if key[0] == stream}
            )
            message_id = data.draw(st.sampled_from(others)) if others else message_id
        user_id = data.draw(st.sampled_from(NOBODY) if kind == "nobody" else users, "user")
        names = NO_EVENTS if kind == "no event" else EVENTS
        event = self._event(stream, names, data)
        row = Row(stream, message_id, user_id, None, event, occurred_at, data.draw(traits, "fields"))
        world.add(row, received_at, data.draw(st.sampled_from(world.sources), "source"))

    @rule(ago=st.sampled_from((0, 0, 30, 120)), data=st.data())
    def load_again(self, ago: int, data: st.DataObject) -> None:
        """The same call once more, with another time of arrival."""
        world = self.world
        known = [row for row in world.rows.values() if row.occurred_at and row.message_id and row.copies[0].received_at]
        if known:
            world.add(
                data.draw(st.sampled_from(known)), world.at(1000 + world.tick - ago), data.draw(st.sampled_from(world.sources), "source")
            )

    @rule(request=st.data(), around=anything)
    def run(self, request: st.DataObject, around: Circumstances) -> None:
        self.world.run(self._request(request), around)

    @rule(around=calm)
    def run_calmly(self, around: Circumstances) -> None:
        self.world.run(RunOptions(since=self._first()), around)

    @rule(count=st.integers(2, 8), around=beside_others, data=st.data())
    def run_beside_others(self, count: int, around: Circumstances, data: st.DataObject) -> None:
        self._arrive_on_time(count, data)
        self.world.run(RunOptions(self._first()), around)

    @rule(count=st.integers(2, 8), around=trouble, data=st.data())
    def run_in_trouble(self, count: int, around: Circumstances, data: st.DataObject) -> None:
        self._arrive_on_time(count, data)
        self.world.run(RunOptions(since=self._first()), around)

    @rule(count=st.integers(2, 8), around=st.one_of(death, mixed), data=st.data())
    def run_and_die(self, count: int, around: Circumstances, data: st.DataObject) -> None:
        self._arrive_on_time(count, data)
        self.world.run(RunOptions(since=self._first()), around)

    @rule(count=st.integers(2, 8), around=st.one_of(failing, stopping), data=st.data())
    def run_and_break_off(self, count: int, around: Circumstances, data: st.DataObject) -> None:
        self._arrive_on_time(count, data)
        self.world.run(RunOptions(since=self._first()), around)

    @rule(
        count=st.integers(2, 8),
        limit=st.one_of(st.none(), st.integers(1, 4)),
        around=st.one_of(calm, death, failing, stopping),
        data=st.data(),
    )
    def leave_a_period(self, count: int, limit: int | None, around: Circumstances, data: st.DataObject) -> None:
        """What a run was asked for is not done when it ends: the others go on with it."""
        for _ in range(count):
            self._arrive(data.draw(st.sampled_from(tuple(RANK)), "stream"), data, 500)
        stream = data.draw(st.one_of(st.none(), st.sampled_from(tuple(RANK))), "stream")
        self.world.run(RunOptions(since=Beginning.BEGINNING, limit=limit, stream=stream), around)

    def _first(self) -> Beginning | None:
        return Beginning.BEGINNING if any(reach.watermark is None for reach in self.world.reach.values()) else None

    def _request(self, data: st.DataObject) -> RunOptions:
        world = self.world
        minute = st.integers(900, 1000 + world.tick + 20).map(world.at)
        since = data.draw(
            st.one_of(st.just(self._first()), st.just(self._first()), st.none(), st.just(Beginning.BEGINNING), minute), "since"
        )
        until = data.draw(st.one_of(st.none(), st.none(), st.none(), minute, st.just(world.now + timedelta(days=9))), "until")
        stream = data.draw(st.one_of(st.none(), st.none(), st.sampled_from(tuple(RANK))), "stream")
        limit = data.draw(st.one_of(st.none(), st.none(), st.integers(1, 8)), "limit")
        source = data.draw(st.one_of(st.none(), st.none(), st.sampled_from(world.sources)), "source")
        return RunOptions(since=since, until=until, stream=stream, source=source, limit=limit)

    @rule(data=st.data())
    def plan_then_run(self, data: st.DataObject) -> None:
        """What a plan says is what the run does."""
        world = self.world
        request = self._request(data)
        if world._refusal(request) or any(row["status"] == "sending" for row in world.books.state.values()):
            return
        plan = world.plan(request)
        done = world.run(request, Circumstances()).result
        assert done is not None
        assert plan.rows == done.summary.rows_read
        assert plan.rejected == done.rejected
        assert plan.actions["events"] + plan.actions["customer upserts"] == done.summary.sent
        assert (plan.actions["merged"], plan.actions["unchanged"]) == (done.summary.merged, done.summary.unchanged)
        assert plan.actions["waiting"] == done.summary.waiting

    def _again(self, selection: Selection, around: Circumstances, *statuses: str) -> None:
        """Take recorded calls up again; where there are none to take up, go on with the others."""
        if any(row["status"] in statuses for row in self.world.books.state.values()):
            self.world.run(RunOptions(only=selection), around)
        else:
            self.world.run(RunOptions(since=self._first()), around)

    @rule(reason=st.sampled_from((None, None, Reason.SERVER_ERROR, Reason.NETWORK_ERROR, Reason.RATE_LIMITED)), around=anything)
    def retry(self, reason: Reason | None, around: Circumstances) -> None:
        self._again(Selection(Status.FAILED, reason), around, "failed", "sending")

    @rule(
        reason=st.sampled_from((None, None, Reason.ANONYMOUS_ID_PRESENT, Reason.REFERRAL_CODE_TAKEN, Reason.REFUSED_BY_REHOOK)),
        around=anything,
    )
    def revalidate(self, reason: Reason | None, around: Circumstances) -> None:
        self._again(Selection(Status.REJECTED, reason), around, "rejected")

    @rule(ids=choices, around=anything)
    def resend(self, ids: list[int | str] | None, around: Circumstances) -> None:
        self._again(Selection(Status.IN_DOUBT, ids=self._ids(ids)), around, "in_doubt", "sending")

    @rule(ids=choices, around=st.one_of(calm, death))
    def accept(self, ids: list[int | str] | None, around: Circumstances) -> None:
        self.world.accept(self._ids(ids), around)

    def _ids(self, chosen: list[int | str] | None) -> tuple[str, ...] | None:
        """User ids as they are, and places in the list of what is in doubt as message ids."""
        if chosen is None:
            return None
        known = sorted(row["message_id"] for row in self.world.books.state.values() if row["status"] in {"in_doubt", "sending"}) or ["none"]
        return tuple(each if isinstance(each, str) else known[each % len(known)] for each in chosen)

    @rule(aged=st.booleans(), older_than=st.sampled_from((0, 60, 600)), around=st.one_of(calm, death))
    def prune(self, aged: bool, older_than: int, around: Circumstances) -> None:
        if aged:
            self.world.age(timedelta(days=3))
        self.world.prune(older_than * MINUTE, around)

    @rule(around=st.one_of(calm, calm, death, stopping))
    def refresh(self, around: Circumstances) -> None:
        """Only while newest calls have won: what `every` sent out of order is no longer what a merge of all calls says."""
        if not self.sent_every:
            self.world.refresh(around)

    @rule(around=st.one_of(calm, calm, death, failing, stopping), data=st.data())
    def baseline(self, around: Circumstances, data: st.DataObject) -> None:
        """A period was delivered elsewhere, or what a baseline was cut off from is done."""
        world = self.world
        self._arrive_on_time(3, data)
        if self.sent_every:
            return
        if world.open_baselines():
            world.finish_baselines()
            return
        since = data.draw(st.one_of(st.none(), st.integers(900, 1000 + world.tick).map(world.at)), "since")
        until = world.at(data.draw(st.integers(940, 1000 + world.tick), "until"))
        if since is None or since < until:
            stream = data.draw(st.one_of(st.none(), st.sampled_from(tuple(RANK))), "stream")
            source = data.draw(st.one_of(st.none(), st.none(), st.sampled_from(world.sources)), "source")
            world.baseline(since, until, stream, source, around)

    @rule(
        change=st.one_of(
            st.tuples(st.just("anonymous_calls"), st.sampled_from(("drop", "allow_with_user_id"))),
            st.tuples(st.just("customer_updates"), st.sampled_from(("changed", "every"))),
            st.tuples(st.just("on_ambiguous_event"), st.sampled_from(("hold", "resend"))),
            st.tuples(st.just("conversion_events"), st.sampled_from(((), ("signup",), ("order", "signup")))),
            st.tuples(st.just("lookback"), st.sampled_from((0, 15, 60, 10_000)).map(lambda many: many * MINUTE)),
            st.tuples(st.just("chunk_rows"), st.sampled_from((1, 2, 7, 100))),
            st.tuples(st.just("concurrency"), st.sampled_from((1, 2, 5, 20))),
            st.tuples(st.just("max_attempts"), st.sampled_from((1, 2, 3))),
        )
    )
    def change_setting(self, change: tuple[str, object]) -> None:
        name, value = change
        self.world.options[name] = value
        self.sent_every = self.sent_every or value == "every"

    def teardown(self) -> None:
        try:
            if self.world.healthy:
                self.world.finish(resend=self.count % 2 == 0)
        finally:
            self.world.close()


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Waits between attempts are a thousand times shorter."""
    monkeypatch.setattr(outcomes, "_FIRST_WAIT_S", 0.0005)
    monkeypatch.setattr(batch_writer, "_WRITE_WAITS_S", (0.0005, 0.001))


@pytest.mark.usefixtures("impatient")
@pytest.mark.timeout(20_000 if IS_NIGHTLY else 300)
@pytest.mark.parametrize("place", PLACES)
def test_the_promise_holds_whatever_happens(place: str, request: pytest.FixtureRequest) -> None:
    warehouse, _, kind = place.partition("-")
    server = request.getfixturevalue("postgres_server") if warehouse == "postgresql" else None
    with tempfile.TemporaryDirectory() as folder:
        fresh = _postgresql(server) if server else _sqlite(Path(folder))

        class Placed(Machine):
            def __init__(self) -> None:
                self.urls = next(fresh), next(fresh) if kind == "apart" else None
                self.has_tables = kind == "tables"
                self.sources = ("web", "ios") if kind == "sources" else ()
                super().__init__()

        few = kind == "sources" and not IS_NIGHTLY  # each step asks the server many times
        run_state_machine_as_test(Placed, settings=settings(SIZE, max_examples=6) if few else SIZE)


def _sqlite(folder: Path) -> Iterator[str]:
    number = 0
    while True:
        path = folder / f"{number}.db"
        path.touch()
        yield f"sqlite:///{path}"
        number += 1


def _postgresql(server: str) -> Iterator[Any]:
    """Databases of one server, each gone when the next but one is wanted."""
    admin = create_engine(server, isolation_level="AUTOCOMMIT")
    number = 0
    while True:
        name = f"model_{number}"
        with admin.connect() as connection:
            connection.execute(text(f'DROP DATABASE IF EXISTS "model_{number - 4}" WITH (FORCE)'))
            connection.execute(text(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)"))
            connection.execute(text(f"CREATE DATABASE {name}"))
        yield make_url(server).set(database=name).render_as_string(hide_password=False)
        number += 1
