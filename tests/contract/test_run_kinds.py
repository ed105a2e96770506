"""What each run was for, in the tables, in the views and on the screen."""

from collections import Counter
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from io import StringIO

import accounting
import pytest
from accounting import ALL, Bench, ago
from earlier import make_tables_of
from rich.console import Console
from sqlalchemy import text
from warehouse import add_rows, identify, track

from rehook_sync.database.engine import open_database
from rehook_sync.jobs.results import RunOptions
from rehook_sync.models import Selection, Status
from rehook_sync.render.status import status_view
from rehook_sync.runtime import Interrupt
from rehook_sync.state.migrations import upgrade

bench = accounting.bench


def do_all(bench: Bench) -> None:
    """Run, and do with what became of it each thing that there is."""
    taken = {"anonymous_id": "a1"}
    tracks = [track("t1", "ada", "Visited", ago(hours=5)), {**track("t2", "ada", "Visited", ago(hours=4)), **taken}]
    bench.fill([identify("i1", "bob", ago(hours=5))], [*tracks, track("t3", "cy", "Visited", ago(hours=3))])
    bench.sandbox.faults.add("commit_then_drop", path="/events/invoke", times=1)
    bench.sandbox.faults.add("status", status=503, source_id="bob")
    bench.run(ALL, max_attempts=1)
    bench.sandbox.faults.clear()
    with bench.sync() as sync:
        for only in (Selection(Status.FAILED), Selection(Status.REJECTED), Selection(Status.IN_DOUBT)):
            sync.run(RunOptions(only=only), Interrupt())
        bench.sandbox.faults.add("commit_then_drop", path="/events/invoke", times=1)
        add_rows(bench.warehouse_url, "tracks", [track("t4", "cy", "Visited", ago(hours=1))])
        sync.run(RunOptions(), Interrupt())
        assert sync.accept(None) == 1
        sync.prune(timedelta(days=30), Interrupt())
        sync.forget("bob", Interrupt(), give_up=False, dry_run=False)


KINDS = ["run", "retry", "revalidate", "resend", "run", "accept", "prune", "forget"]


def test_each_run_says_what_it_was_for(bench: Bench) -> None:
    do_all(bench)
    for table in ("sync_runs", "v1_runs"):
        found = sorted(bench.read_state(table), key=lambda row: row["started_at"])
        assert [row["kind"] for row in found] == KINDS, table
        assert all(f"-{row['kind']}-" in row["run_id"] or row["kind"] == "run" for row in found)
    bench.check(uncertain=True, ordered=False)


@pytest.mark.parametrize("width", [80, 140])
def test_status_says_what_each_run_was_for(bench: Bench, width: int) -> None:
    do_all(bench)
    with bench.sync() as sync:
        report = sync.read_status(10)
    assert [row["kind"] for row in report.runs] == KINDS[::-1]
    screen = Console(file=StringIO(), width=width)
    for part in status_view(report, width):
        screen.print(part)
    assert isinstance(screen.file, StringIO)
    shown = screen.file.getvalue()
    words = Counter(shown.replace("-", " ").split())
    assert all(words[kind] == 1 for kind in ("retry", "revalidate", "resend", "accept", "prune", "forget")), shown
    assert max(map(len, shown.splitlines())) <= width


def test_each_run_has_a_line_in_80_columns_whatever_it_counted(bench: Bench) -> None:
    do_all(bench)
    with bench.sync() as sync:
        report = sync.read_status(10)
    names = ("rows_read", "sent", "unchanged", "merged", "skipped", "rejected", "failed", "waiting", "in_doubt")
    plain = dict.fromkeys(names, 0)
    baseline = {**report.runs[0], **plain, "kind": "run", "rows_read": 12345, "skipped": 12345}
    refresh = {**report.runs[0], **plain, "kind": "refresh", "requests": 4321}
    full = {**report.runs[0], "kind": "run", "status": "interrupted", **dict.fromkeys(names, 10000)}
    for runs, told in (([baseline], "12,345"), ([baseline, refresh], "4,321 requests"), ([baseline, full], "no room for same and merged")):
        screen = Console(file=StringIO(), width=80)
        for part in status_view(replace(report, runs=runs), 80):
            screen.print(part)
        assert isinstance(screen.file, StringIO)
        shown = screen.file.getvalue()
        lines = shown.partition("run at (UTC)")[2].partition("\n\n")[0].splitlines()[1:]
        extra = sum(each.startswith(("  ", "no room")) for each in lines)
        assert len(lines) - extra == len(runs), shown
        assert told in shown


def test_the_id_of_an_earlier_run_tells_its_kind(database_url: str) -> None:
    with closing(open_database(database_url, "STATE_URL", search_path="public")) as database:
        with database.transaction() as connection:
            make_tables_of(connection, 9)
            for middle in ("", "retry-", "resend-", "accept-", "revalidate-", "prune-", "forget-"):
                run = {"id": f"20261101T100000Z-{middle}0a1b2c3d", "at": "2026-11-01T10:00:00.000000Z"}
                connection.execute(
                    text("INSERT INTO sync_runs (run_id, trigger, status, started_at, version) VALUES (:id, 'cli', 'stopped', :at, '0')"),
                    run,
                )
        upgrade(database, "public" if database.dialect == "postgresql" else None)
        with database.connect() as connection:
            found = {row.run_id: row.kind for row in connection.execute(text("SELECT run_id, kind FROM v1_runs"))}
    assert {run_id.split("-")[1] if run_id.count("-") == 2 else "run": kind for run_id, kind in found.items()} == {
        kind: kind for kind in ("run", "retry", "resend", "accept", "revalidate", "prune", "forget")
    }
