"""Sync-state tables that the first version with customers and runs wrote, brought up to today by an `init` that is killed with `kill -9`.

`state_of_version_5.json` was written by that version itself: runs that sent, merged, rejected, failed and doubted, and one that was killed.
"""

import os
import signal
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from accounting import assert_numbers_add_up, idempotency_key, read_rows
from earlier import make_tables_of, read_kept, write_rows
from sqlalchemy import create_engine
from warehouse import Row, add_rows, at, make_warehouse, run_sql, track

from rehook_sync.database.engine import open_database
from rehook_sync.database.queries import load_migrations
from rehook_sync.sandbox.server import Sandbox
from rehook_sync.sandbox.store import Behaviour

from . import harness
from .conftest import ROOT, wait_until, write_settings
from .harness import Forked, Forks, database_lock, is_sqlite, state_table

forks = harness.forks

VERSION = 5
ENDLESS_S = 0.6  # `init` takes a tenth of a second of a processor
KEPT = Path(__file__).with_name("state_of_version_5.json")
TABLES = ("sync_runs", "sync_watermarks", "sync_state", "sync_customers", "sync_lease")
TYPES = {"identifies": {"plan": "text", "referral_code": "text"}, "tracks": {"referral_code": "text", "total": "double precision"}}
Found = Sequence[Mapping[str, Any]]


@dataclass
class Upgraded:
    """A warehouse and the tables beside it, as an earlier version left them, and a Rehook that knows of nothing."""

    forks: Forks
    folder: Path
    url: str
    sandbox: Sandbox
    kept: Mapping[str, Sequence[Row]]

    def __post_init__(self) -> None:
        make_warehouse(self.url, {name: self.kept[name] for name in TYPES}, types=TYPES)
        if not is_sqlite(self.url):
            run_sql(self.url, "CREATE SCHEMA rehook_sync")
        with closing(open_database(self.url, "STATE_URL", search_path="rehook_sync")) as database, database.transaction() as connection:
            make_tables_of(connection, VERSION)
            for name in TABLES:
                write_rows(connection, name, self.kept[name])
        values = {"warehouse_url": self.url, "api_url": self.sandbox.url, "api_key": self.sandbox.credentials.key, "chunk_rows": 11}
        more = {"api_secret": self.sandbox.credentials.secret, "conversion_events": ["signup"], "concurrency": 4}
        write_settings(self.folder / "rehook_sync.toml", {**values, **more, "start_at": "beginning"})

    def start(self, *arguments: str) -> Forked:
        """Start a command."""
        return self.forks.start(self.folder, {}, *arguments)

    def json(self, *arguments: str, code: int = 0) -> Any:
        """Run a command to its end."""
        done = self.start(*arguments, "--json").wait()
        assert done.code == code, done
        return done.json

    def read(self) -> Mapping[str, Found]:
        """All that the earlier version wrote, in its own columns."""
        return {name: self.read_columns(name, list(self.kept[name][0])) for name in TABLES}

    def read_columns(self, table: str, columns: Sequence[str]) -> Found:
        """The rows of a table, in one order."""
        rows = read_rows(self.url, f"SELECT {', '.join(columns)} FROM {state_table(self.url, table)}")
        return sorted(rows, key=lambda row: [str(value) for value in row.values()])

    def version(self) -> int:
        """The newest step that was taken."""
        return int(run_sql(self.url, f"SELECT max(version) FROM {state_table(self.url, 'sync_migrations')}")[0][0])


@pytest.fixture
def world(forks: Forks, tmp_path: Path, database_url: str) -> Iterator[Upgraded]:
    with Sandbox(behaviour=Behaviour(conversion_events=frozenset({"signup"}))) as sandbox:
        yield Upgraded(forks, tmp_path, database_url, sandbox, read_kept(KEPT))


@contextmanager
def stopped_after(url: str, version: int) -> Iterator[None]:
    """Let `init` get no further than to the end of one step, which is not recorded then."""
    table = state_table(url, "sync_migrations")
    if is_sqlite(url):
        endless = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n"
        run_sql(url, f"CREATE TRIGGER stop BEFORE INSERT ON {table} WHEN new.version = {version} BEGIN {endless}; END")
        yield
        run_sql(url, "DROP TRIGGER stop")
        return
    wait = f"BEGIN IF new.version = {version} THEN PERFORM pg_advisory_xact_lock(4711); END IF; RETURN new; END"
    run_sql(
        url,
        f"CREATE FUNCTION stop() RETURNS trigger LANGUAGE plpgsql AS $$ {wait} $$",
        f"CREATE TRIGGER stop BEFORE INSERT ON {table} FOR EACH ROW EXECUTE FUNCTION stop()",
    )
    engine = create_engine(url)
    with engine.connect() as connection:
        connection.exec_driver_sql("SELECT pg_advisory_xact_lock(4711)")
        yield
    engine.dispose()
    run_sql(url, f"DROP TRIGGER stop ON {table}", "DROP FUNCTION stop()")


def is_stopped(url: str, process: Forked) -> bool:
    """Tell whether `init` waits for a lock of ours; on SQLite, whether it has worked for longer than all the steps take."""
    if not is_sqlite(url):
        waits = "FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
        return int(run_sql(url, f"SELECT count(*) {waits}")[0][0]) > 0
    user_ticks = Path(f"/proc/{process.pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[11]
    return int(user_ticks) / os.sysconf("SC_CLK_TCK") > ENDLESS_S


def kill_init(world: Upgraded) -> None:
    """Start `init` and kill it where it has been stopped."""
    process = world.start("init")
    wait_until(lambda: is_stopped(world.url, process))
    process.kill()
    assert process.wait().code == -signal.SIGKILL


def test_an_upgrade_killed_at_any_point_loses_nothing_and_sends_nothing_again(world: Upgraded) -> None:
    before, steps = world.read(), load_migrations("sqlite" if is_sqlite(world.url) else "postgresql")[VERSION:]
    holds = [stopped_after(world.url, step.version) for step in (steps[len(steps) // 2], steps[-1])]
    holds += [] if is_sqlite(world.url) else [database_lock(world.url, table) for table in TABLES[:-1]]
    for hold in holds:
        with hold:
            kill_init(world)
        assert (world.version(), world.read()) == (VERSION, before)
    assert world.json("init")["applied"] == [step.name for step in steps]
    assert world.json("init")["applied"] == []
    assert world.read() == before
    assert {row["source"] for name in ("sync_state", "sync_watermarks") for row in world.read_columns(name, ["source"])} == {"default"}
    check_views(world, before["sync_state"])
    check_run(world, before["sync_state"])


def check_views(world: Upgraded, state: Found) -> None:
    """Every view of today is there, and shows what was recorded."""
    shape = (ROOT / "sql" / "v1_shape.txt").read_text(encoding="utf-8")
    views = {line.partition(".")[0] for line in shape.splitlines() if line.startswith("v1_")}
    sizes = {name: len(world.read_columns(name, ["*"])) for name in views}
    counts = Counter(row["status"] for row in state)
    assert sizes["v1_rejections"] == counts["rejected"] == 5
    assert sizes["v1_attention"] == counts["failed"] + counts["in_doubt"] + counts["sending"] == 6
    assert (sizes["v1_runs"], sizes["v1_freshness"], sizes["v1_waiting"]) == (3, 2, 0)


def check_run(world: Upgraded, before: Found) -> None:
    """The next run sends what had failed and what is new; all else stays as it was."""
    ids = {status: {row["message_id"] for row in before if row["status"] == status} for status in ("failed", "in_doubt", "sending")}
    add_rows(world.url, "tracks", [track("t-new", "user0", "Visited", at(70), referral_code=None, total=9.5)])
    due = {*ids["failed"], "t-new"}
    summary = world.json("run", code=3)
    assert (summary["sent"], summary["rows_read"]) == (len(due), len(due))
    events = [each.idempotency_key for each in world.sandbox.store.events]
    assert sorted(map(str, events)) == sorted(idempotency_key("tracks", each) for each in due if each.startswith("t"))
    assert [each.source_id for each in world.sandbox.store.log if each.path == "/customers"] == ["user3"]
    after = {row["message_id"]: row for row in world.read()["sync_state"]}
    assert {key for key, row in after.items() if row["status"] == "in_doubt"} == ids["in_doubt"] | ids["sending"]
    settled = [row for row in before if row["settled_at"] is not None]
    assert [after[row["message_id"]] for row in settled] == settled
    assert_numbers_add_up(world.url)
    again = world.json("run", code=3)
    assert (again["rows_read"], again["requests"]) == (0, 0)
