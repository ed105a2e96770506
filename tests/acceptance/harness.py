"""Processes that can be killed at any moment, a Rehook that tells what reaches it, and a warehouse whose end is known.

`World` adds rows, runs, kills, and compares both sides in the end.
"""

import random
import signal
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest
from accounting import Audit, Books, check_events, idempotency_key, read_rows
from rude_proxy import REFUSAL_OF_NOBODY
from sqlalchemy import create_engine, make_url
from warehouse import Row, add_rows, identify, make_warehouse, run_sql, track

from rehook_sync.sandbox.server import Sandbox
from rehook_sync.sandbox.store import Behaviour, FakeRehook, Incoming, Received

from .conftest import wait_until, write_settings
from .forks import Done, Forked, Forks, shared_forks

__all__ = [
    "LONGEST_HOLD_S",
    "Forked",
    "Forks",
    "Population",
    "Watched",
    "World",
    "database_lock",
    "descendants",
    "forks",
    "held_in_the_middle",
    "is_sqlite",
    "make_world",
    "state_table",
    "watched_sandbox",
]

_TABLES = (
    "migrations",
    "runs",
    "watermarks",
    "state",
    "customers",
    "lease",
    "shards",
    "destination",
    "periods",
    "stretches",
    "notices",
    "publication",
    "changes",
)
LONGEST_HOLD_S = 60.0
"""A bound for a broken test. Requests are held for as long as a test needs, and nobody gives them up before."""
_PAST = "2020-01-01T00:00:00.000000Z"
_BEGINNING = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=30)


@pytest.fixture(scope="session")
def forks() -> Forks:
    """Where processes come from."""
    return shared_forks()


class Watched(FakeRehook):
    """A Rehook that tells when a request has arrived, before anything comes of it, and when it has been answered."""

    def __init__(self, behaviour: Behaviour | None = None) -> None:
        super().__init__(behaviour=behaviour or Behaviour())
        self.on_arrival: Callable[[Received], object] = _ignore
        self.on_answer: Callable[[Received], object] = _ignore

    def record_arrival(self, incoming: Incoming) -> Received:
        received = super().record_arrival(incoming)
        self.on_arrival(received)
        return received

    def record_end(self, received: Received, status: int | None) -> None:
        super().record_end(received, status)
        self.on_answer(received)

    def ignore_all(self) -> None:
        """Tell nobody any more."""
        self.on_arrival = self.on_answer = _ignore


def _ignore(_received: Received) -> None:
    """Hear of a request and do nothing."""


@contextmanager
def watched_sandbox() -> Iterator[tuple[Sandbox, Watched]]:
    """A local Rehook that tells what reaches it."""
    sandbox = Sandbox()
    store = sandbox.store = Watched(Behaviour(conversion_events=frozenset({"signup"})))
    with sandbox:
        yield sandbox, store


class Population:
    """Users whose calls come in batches, and what Rehook must know of each in the end.

    Shape:  customers: user id -> metadata.  events: message id -> user id, of the events that may go out.
    All calls of a user that may go out carry a number `seq` that never falls with time, so that order shows at the receiver.
    """

    def __init__(self, rng: random.Random, users: int = 25) -> None:
        self.customers: dict[str, dict[str, object]] = defaultdict(dict)
        self.events: dict[str, str] = {}
        self._rng = rng
        self._users = [f"user{number}" for number in range(users)]
        self._seq: dict[str, int] = defaultdict(int)
        self._traits: dict[str, dict[str, object]] = {}
        self._made = 0

    def batch(self, calls: int) -> tuple[list[Row], list[Row]]:
        """Identify and Track calls in order of time, with some that break the rules and some loaded twice."""
        made = [self._make() for _ in range(calls)]
        made += [self._rng.choice(made) for _ in range(calls // 20)]
        self._rng.shuffle(made)
        return [row for stream, row in made if stream == "identifies"], [row for stream, row in made if stream == "tracks"]

    def _make(self) -> tuple[str, Row]:
        self._made += 1
        message_id, when = f"m{self._made:05d}", _BEGINNING + timedelta(seconds=self._made)
        user_id, chance = self._rng.choice(self._users), self._rng.random()
        if chance < 0.06:
            return self._break_a_rule(message_id, when, user_id)
        if chance < 0.45:
            return "identifies", identify(message_id, user_id, when, **self._identify(user_id))
        self._seq[user_id] += 1
        self.events[message_id] = user_id
        name = self._rng.choice(("Order Completed", "Product Viewed", "signup"))
        code = "FRIEND" if name == "signup" else None
        return "tracks", track(message_id, user_id, name, when, seq=self._seq[user_id], referral_code=code, total=self._rng.random())

    def _identify(self, user_id: str) -> dict[str, object]:
        if user_id in self._traits and self._rng.random() < 0.25:
            return self._traits[user_id]
        self._seq[user_id] += 1
        chosen = {"plan": f"plan {self._rng.random()}", "level": self._rng.randrange(9), "referral_code": self._code(user_id)}
        traits = {"seq": self._seq[user_id], **{name: value for name, value in chosen.items() if self._rng.random() < 0.5}}
        self._traits[user_id] = traits
        self.customers[user_id].update(traits)
        return traits

    def _code(self, user_id: str) -> str:
        return f"CODE-{user_id}-{self._seq[user_id] // 8}"

    def _break_a_rule(self, message_id: str, when: datetime, user_id: str) -> tuple[str, Row]:
        wrong = self._rng.randrange(3)
        if wrong == 0:
            return "identifies", identify(message_id, " ", when, plan="nobody's")
        if wrong == 1:
            return "tracks", {**track(message_id, user_id, "Product Viewed", when), "anonymous_id": "anon"}
        return "tracks", track(message_id, user_id, "signup", when)


@dataclass
class World:
    """A warehouse that grows, and the runs that deliver it, however often they are killed.

    Shape:  kills: processes that died of it.  doubtful: requests whose answer a fault withheld.
            late: idempotency keys of events that were loaded while a run read, after the Identify calls of their users.
    """

    forks: Forks
    folder: Path
    url: str
    sandbox: Sandbox
    store: Watched
    rng: random.Random
    concurrency: int = 4
    environ: dict[str, str] = field(default_factory=dict)
    kills: int = 0
    doubtful: int = 0
    late: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.people = Population(self.rng)
        self.audit = Audit(self.url, received=self.store)
        self.rows = 0
        none: list[Row] = []
        types = {
            "identifies": {"seq": "bigint", "plan": "text", "level": "bigint", "referral_code": "text"},
            "tracks": {"seq": "bigint", "referral_code": "text", "total": "double precision"},
        }
        make_warehouse(self.url, {"identifies": none, "tracks": none}, types=types)
        values = {"warehouse_url": self.url, "api_url": self.sandbox.url, "api_key": self.store.credentials.key}
        more = {"api_secret": self.store.credentials.secret, "conversion_events": ["signup"], "concurrency": self.concurrency}
        write_settings(self.folder / "rehook_sync.toml", {**values, **more, "chunk_rows": 40, "start_at": "beginning"})

    def add(self, calls: int) -> None:
        """Let calls arrive in the warehouse."""
        identifies, tracks = self.people.batch(calls)
        add_rows(self.url, "identifies", identifies)
        add_rows(self.url, "tracks", tracks)
        self.rows += calls

    def start(self, *arguments: str, **environ: str) -> Forked:
        """Start a command."""
        return self.forks.start(self.folder, {**self.environ, **environ}, *arguments)

    def __call__(self, *arguments: str, **environ: str) -> Done:
        """Run a command to its end."""
        return self.start(*arguments, **environ).wait()

    def killed(self, process: Forked, also: Collection[int] = (3,)) -> bool:
        """Wait for the end of a process that was, or is about to be, killed; tells whether that is how it ended.

        also: exit codes that are as good as 0.

        The lease of a dead holder lasts until it expires. Here it is made to expire at once; that it does so by
        itself is shown where runs overlap.
        """
        done = process.wait()
        if done.code != -signal.SIGKILL:
            assert done.code in {0, *also}, done
            return False
        self.bury()
        return True

    def bury(self) -> None:
        """Take note of a process that died, or left something in flight: promise 2 says how much, at most."""
        self.kills += 1
        if self.is_ready():
            for stream in ("identifies", "tracks"):
                assert self.count(f"status = 'sending' AND stream = '{stream}'") <= 2 * self.concurrency
            self.expire_lease()

    def expire_lease(self) -> None:
        """Let the lease be over, whoever holds it. With another fence, no write of theirs that has reached a server can renew it."""
        run_sql(self.url, f"UPDATE {state_table(self.url, 'sync_lease')} SET expires_at = '{_PAST}', fence = fence + 1")

    def is_ready(self) -> bool:
        """Tell whether the sync-state tables exist: all of them or none."""
        where = "sqlite_master WHERE type = 'table'" if is_sqlite(self.url) else "pg_tables WHERE schemaname = 'rehook_sync'"
        names = {str(row[0]) for row in run_sql(self.url, f"SELECT {'name' if is_sqlite(self.url) else 'tablename'} FROM {where}")}
        ours = {name for name in names if name.startswith("sync_")}
        assert ours in (
            set(),
            {f"sync_{name}" for name in _TABLES},
        ), ours
        return bool(ours)

    def count(self, condition: str) -> int:
        """Rows of sync_state of which a condition holds."""
        return int(run_sql(self.url, f"SELECT count(*) FROM {state_table(self.url, 'sync_state')} WHERE {condition}")[0][0])

    def read_state(self, table: str = "sync_state") -> list[dict[str, Any]]:
        """All rows of a sync-state table."""
        return read_rows(self.url, f"SELECT * FROM {state_table(self.url, table)}")

    def run_to_the_end(self, *arguments: str, **environ: str) -> Done:
        """Run without killing it, and hold both sides against each other."""
        done = self("run", "--json", *arguments, **environ)
        assert done.code in {0, 3}, done
        self.check()
        return done

    def check(self) -> Books:
        """Compare both sides: nothing lost, no event twice, order kept, customers as they must be, doubts within their bound."""
        wait_until(lambda: self.store.in_flight == 0)
        books = self.audit.check(uncertain=True, ordered=False)
        books = replace(books, state={key: as_rehook_knows(row) for key, row in books.state.items()})
        check_events(books, self.store, uncertain=False)
        tracks = {message_id: row["status"] for (stream, message_id), row in books.state.items() if stream == "tracks"}
        fates = {tracks[message_id] for message_id in self.people.events}
        assert fates <= {"sent", "in_doubt"}, "an event is neither sent nor in doubt"
        assert sum(status == "in_doubt" for status in tracks.values()) <= 2 * self.concurrency * self.kills + self.doubtful
        found = {user_id: customer.metadata for user_id, customer in self.store.customers.items()}
        assert found == self.people.customers, "customers did not end as they must"
        self.check_order()
        return books

    def check_order(self) -> None:
        """The calls of each user reached Rehook in order of time, over all runs; only Identify calls may come again.

        Neighbouring ones travel as one. When nobody knows whether that arrived, they come again, and may be grouped in
        another way: back to the user's last event at most. An event in doubt may have been on its way while others went.
        One that was loaded late may go after newer Identify calls, but never an Identify call after a newer event.
        """
        newest: dict[str, int] = {}
        last_event: dict[str, int] = {}
        in_doubt = {idempotency_key("tracks", row["message_id"]) for row in self.read_state() if row["status"] == "in_doubt"}
        for each in self.store.log:
            if not each.accepted or each.source_id is None or each.idempotency_key in in_doubt:
                continue
            user_id, seq = each.source_id, int(orjson.loads(each.body)["metadata"]["seq"])
            before = newest.get(user_id, 0)
            again = each.path == "/customers" and seq > last_event.get(user_id, 0)
            same = each.path == "/customers" and seq == before
            late = each.idempotency_key in self.late and seq > last_event.get(user_id, 0)
            assert seq > before or again or same or late, f"{seq} came after {before}: {self.story(user_id, each)}"
            newest[user_id] = max(before, seq)
            if each.path != "/customers":
                last_event[user_id] = seq

    def story(self, user_id: str, wrong: Received) -> str:
        """The requests of a user up to a wrong one and some more, and what is recorded of them: nobody can repeat that moment."""
        log = [each for each in self.store.log if each.source_id == user_id]
        place = log.index(wrong)
        requests = [
            f"{each.at:.3f} {each.path} {each.status} accepted={each.accepted} {each.fault} {each.body.decode()[:120]}"
            for each in log[max(0, place - 30) : place + 10]
        ]
        rows = sorted((row for row in self.read_state() if row["user_id"] == user_id), key=lambda row: str(row["occurred_at"]))
        return "\n".join([*requests, *map(str, rows), *map(str, self.read_state("sync_runs")[-10:])])


def as_rehook_knows(row: Mapping[str, Any]) -> Mapping[str, Any]:
    """A call that was rejected by a refusal of nobody is in doubt to us, who know that Rehook never said so."""
    is_misled = row["status"] == "rejected" and REFUSAL_OF_NOBODY in (row["detail"] or "")
    return {**row, "status": "in_doubt"} if is_misled else row


@contextmanager
def make_world(forks: Forks, folder: Path, url: str, seed: int, concurrency: int = 4) -> Iterator[World]:
    """An empty warehouse and a fresh Rehook that takes a little time for each answer, a random one."""
    with watched_sandbox() as (sandbox, store):
        world = World(forks, folder, url, sandbox, store, random.Random(seed), concurrency)
        for delay_s, probability in ((0.002, 1.0), (0.01, 0.4), (0.05, 0.05)):
            sandbox.faults.add("delay", delay_s=delay_s, probability=probability, seed=seed)
        yield world


def kill_at(world: World, number: int, *, answered: bool, **environ: str) -> Forked:
    """Start a run that is killed when a request has arrived, or when it has been answered."""
    left = number

    def count(received: Received) -> None:
        nonlocal left
        left -= 1
        if left == 0:
            process.kill()

    with world.store.lock:  # no request gets through before the process has its name
        process = world.start("run", **environ)
        world.store.ignore_all()
        if answered:
            world.store.on_answer = count
        else:
            world.store.on_arrival = count
    return process


def kill_ever_later(world: World, *arguments: str) -> None:
    """Start a command and kill it, each time a little later, until it ends before."""
    wait_s = 0.02
    while True:
        process = world.start(*arguments)
        time.sleep(wait_s * world.rng.uniform(0.8, 1.2))
        process.kill()
        if not world.killed(process):
            return
        wait_s *= 1.3


def make_old_calls(world: World, calls: int) -> None:
    """Record many calls as settled long ago."""
    columns = "stream, message_id, user_id, status, payload_hash, run_id, first_seen_at, settled_at"
    numbers = f"WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {calls}) SELECT"
    values = "'tracks', 'old' || i, 'user' || i, 'sent', 'hash', 'long ago', '2020-01-01T00:00:00.000000Z', '2020-01-01T00:00:00.000000Z'"
    values = values if is_sqlite(world.url) else values.replace("'2020-01-01T00:00:00.000000Z'", "CAST('2020-01-01' AS timestamptz)")
    run_sql(world.url, f"INSERT INTO {state_table(world.url, 'sync_state')} ({columns}) {numbers} {values} FROM n")


@contextmanager
def database_lock(url: str, *tables: str) -> Iterator[None]:
    """Keep all others from writing: these sync-state tables on PostgreSQL, the whole file on SQLite."""
    engine = create_engine(url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        if is_sqlite(url):
            connection.exec_driver_sql("BEGIN IMMEDIATE")
        else:
            connection.exec_driver_sql("BEGIN")
            for table in tables:
                connection.exec_driver_sql(f"LOCK TABLE {state_table(url, table)} IN EXCLUSIVE MODE")
        try:
            yield
        finally:
            connection.exec_driver_sql("ROLLBACK")
    engine.dispose()


def is_sqlite(url: str) -> bool:
    """Tell which of the two databases a URL leads to."""
    return make_url(url).get_backend_name() == "sqlite"


def state_table(url: str, name: str) -> str:
    """A sync-state table as SQL names it."""
    return name if is_sqlite(url) else f"rehook_sync.{name}"


def descendants(pid: int) -> list[int]:
    """Processes that this one started, and those they started."""
    parents: dict[int, int] = {}
    for each in Path("/proc").iterdir():
        if each.name.isdigit():
            with suppress(OSError):
                parents[int(each.name)] = int((each / "stat").read_text().rpartition(")")[2].split()[1])
    found = [pid]
    for ancestor in found:
        found.extend(child for child, parent in parents.items() if parent == ancestor)
    return found[1:]


@contextmanager
def held_in_the_middle(world: World) -> Iterator[None]:
    """Let nothing be answered from the 21st request on until the block has ended, so that no worker can be done before."""
    ended = threading.Event()

    def hold(_received: Received) -> None:
        if len(world.store.log) > 20:
            ended.wait(LONGEST_HOLD_S)

    world.store.on_arrival = hold
    try:
        wait_until(lambda: len(world.store.log) > 20, LONGEST_HOLD_S)
        yield
    finally:
        ended.set()
        world.store.ignore_all()
