"""A copy of the sync-state elsewhere: the same rows, proven, and a run there goes on as if nothing had happened."""

from collections.abc import Callable, Iterator
from contextlib import closing
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from accounting import ALL, Bench, ago, open_bench
from rich.console import Console
from warehouse import add_rows, identify, run_sql, track

import rehook_sync.admin.copying
from rehook_sync.admin.copying import CopyReport
from rehook_sync.database.engine import open_database
from rehook_sync.errors import DatabaseError, LeaseHeldError, LeaseLostError, SourceError, UsageError
from rehook_sync.jobs.results import RunOptions
from rehook_sync.render.admin.copying import copy_view
from rehook_sync.runtime import Interrupt
from rehook_sync.state.migrations import upgrade

ROADS = ("sqlite-postgresql", "postgresql-sqlite", "sqlite-sqlite", "postgresql-postgresql")
USERS = 1203


@pytest.fixture(params=ROADS)
def road(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Bench, str]]:
    """A bench whose state is in the first kind of database, and the URL of an empty one of the second kind."""
    here, _, there = request.param.partition("-")
    place = "sqlite-same" if here == "sqlite" else "sqlite-postgresql"
    empty = f"sqlite:///{tmp_path / 'copy.db'}" if there == "sqlite" else str(request.getfixturevalue("shared_postgres_url"))
    if there == "postgresql":
        run_sql(empty, "DROP SCHEMA IF EXISTS rehook_sync CASCADE")
    with open_bench(place, request) as bench:
        yield bench, empty


def fill(bench: Bench) -> None:
    """Something of all that a state may hold: codes, failed and doubtful calls, open periods, parts, times before 2000."""
    traits = {"referral_code": "é'\"\\", "plan": "a"}
    identifies = [identify("i0", "ada", ago(days=9000), **traits), identify("i1", "o'brien", ago(hours=5), referral_code="X", plan=None)]
    bench.fill(identifies, [track(f"t{each:04}", f"u{each}", "Visited", ago(hours=4, seconds=-each)) for each in range(USERS)])
    bench.sandbox.faults.add("commit_then_drop", path="/events/invoke", source_id="u1", times=1)
    bench.sandbox.faults.add("status", status=503, source_id="u2")
    bench.run(ALL, max_attempts=1, limit=USERS - 100, check=False, concurrency=20, chunk_rows=500)
    bench.sandbox.faults.clear()
    with bench.sync() as sync:
        started = sync.start(RunOptions(since=ago(hours=4)), 2)
        sync.finish(started.run_id, interrupted=True)


def copy(bench: Bench, to: str, interrupt: Interrupt | None = None) -> CopyReport:
    with bench.sync() as sync:
        return sync.copy_state(to, interrupt or Interrupt())


def tables(report: CopyReport) -> dict[str, int]:
    return {each.name: each.rows for each in report.tables}


def test_all_rows_are_the_same_and_a_run_there_goes_on(road: tuple[Bench, str]) -> None:
    bench, there = road
    fill(bench)
    held = {table: sorted(map(repr, bench.read_state(table))) for table in ("sync_state", "sync_customers", "sync_runs", "sync_periods")}
    report = copy(bench, there)
    assert {table: tables(report)[table] for table in held} == {table: len(rows) for table, rows in held.items()}
    assert {table: sorted(map(repr, bench.read_state(table))) for table in held} == held, "nothing has changed here"
    events = len(bench.sandbox.store.events)
    moved = Bench(bench.warehouse_url, there, bench.sandbox, dict(bench.options))
    result = moved.run(check=False, concurrency=20, chunk_rows=500)
    with moved.sync() as sync:
        audit = sync.audit(RunOptions(since=ALL))
    assert (audit.missing, audit.count("in_doubt")) == (0, 1)
    assert len(bench.sandbox.store.events) - events == result.summary.sent
    assert len({each.idempotency_key for each in bench.sandbox.store.events}) == len(bench.sandbox.store.events), "nothing twice"
    moved.check()


def test_there_and_back_again_is_what_it_was(road: tuple[Bench, str], tmp_path: Path) -> None:
    bench, there = road
    fill(bench)
    report = copy(bench, there)
    moved = Bench(bench.warehouse_url, there, bench.sandbox, dict(bench.options))
    assert copy(moved, f"sqlite:///{tmp_path / 'back.db'}").tables == report.tables


def test_each_table_but_those_of_a_place_is_copied(road: tuple[Bench, str]) -> None:
    bench, there = road
    fill(bench)
    known = {"sync_runs", "sync_watermarks", "sync_state", "sync_customers", "sync_shards", "sync_periods", "sync_destination"}
    report = copy(bench, there)
    assert known <= tables(report).keys()
    assert tables(report).keys() & {"sync_lease", "sync_migrations"} == set()
    assert tables(report)["sync_shards"] == 2


def test_a_database_that_is_not_empty_is_refused(road: tuple[Bench, str]) -> None:
    bench, there = road
    fill(bench)
    copy(bench, there)
    Bench(bench.warehouse_url, there, bench.sandbox).change_state("UPDATE {sync_state} SET detail = 'x' WHERE message_id = 't0007'")
    with pytest.raises(UsageError, match=r"not empty: .*sync_runs.*nothing was copied"):
        copy(bench, there)


def test_a_copy_that_is_whole_already_is_proven_and_left_alone(road: tuple[Bench, str]) -> None:
    bench, there = road
    fill(bench)
    first = copy(bench, there)
    again = copy(bench, there)
    assert (first.was_there, again.was_there, again.tables) == (False, True, first.tables)
    screen = Console(file=StringIO(), width=200)
    for part in copy_view(again, "there"):
        screen.print(part)
    assert "an earlier copy is whole: there has the same" in screen.file.getvalue()  # type: ignore[attr-defined]


def test_a_table_of_somebody_else_is_named_and_nothing_copied(road: tuple[Bench, str]) -> None:
    bench, there = road
    fill(bench)
    moved = Bench(bench.warehouse_url, there, bench.sandbox)
    if there.startswith("postgresql"):
        run_sql(there, "CREATE SCHEMA rehook_sync")
    run_sql(there, f"CREATE TABLE {moved.name_of('sync_notes')} (id bigint)")
    with pytest.raises(UsageError, match=r"only in the database of --to are tables named sync_notes; nothing was copied"):
        copy(bench, there)
    assert moved.read_state("sync_state") == []
    run_sql(there, f"DROP TABLE {moved.name_of('sync_notes')}", f"DROP TABLE {moved.name_of('sync_shards')}")
    with pytest.raises(UsageError, match=r"only here are tables named sync_shards; nothing was copied"):
        copy(bench, there)


def test_it_refuses_while_a_run_is_at_work(road: tuple[Bench, str]) -> None:
    bench, there = road
    fill(bench)
    with bench.sync() as sync:
        holder = sync._context().ledger("somebody")
        holder.acquire()
        with pytest.raises(LeaseHeldError):
            copy(bench, there)
        holder.release()
    assert copy(bench, there).tables


def test_a_copy_that_lost_its_lease_to_a_run_leaves_nothing(road: tuple[Bench, str], monkeypatch: pytest.MonkeyPatch) -> None:
    bench, there = road
    fill(bench)
    url = bench.state_url or bench.warehouse_url
    tables_of, schema = rehook_sync.admin.copying._tables, "" if url.startswith("sqlite") else "rehook_sync."
    sent = 0

    def frozen(*which: Any) -> Any:
        """Stands for a process that is stopped for longer than the lease lasts, once it has read a part."""
        nonlocal sent
        if which[0].info.get("write") and not sent:
            run_sql(url, f"UPDATE {schema}sync_lease SET expires_at = '2020-01-01T00:00:00.000000Z'")
            sent = bench.run(check=False).summary.sent
        return tables_of(*which)

    monkeypatch.setattr(rehook_sync.admin.copying, "_tables", frozen)
    with pytest.raises(LeaseLostError, match="lost its lease to another run"):
        copy(bench, there)
    assert sent
    assert Bench(bench.warehouse_url, there, bench.sandbox).read_state("sync_state") == []


def test_one_that_was_cut_off_leaves_nothing_and_begins_anew(road: tuple[Bench, str], monkeypatch: pytest.MonkeyPatch) -> None:
    bench, there = road
    fill(bench)
    interrupt = Interrupt()
    plain = rehook_sync.admin.copying._plain
    seen = 0

    def counting(value: object) -> object:
        nonlocal seen
        seen += 1
        if seen == 5000:
            interrupt.request(2)
        return plain(value)

    monkeypatch.setattr(rehook_sync.admin.copying, "_plain", counting)
    report = copy(bench, there, interrupt)
    assert (report.interrupted, report.tables) == (True, ())
    moved = Bench(bench.warehouse_url, there, bench.sandbox)
    assert (moved.read_state("sync_runs"), moved.read_state("sync_state")) == ([], [])
    assert copy(bench, there).tables


def test_rows_that_arrive_changed_undo_the_copy(road: tuple[Bench, str], monkeypatch: pytest.MonkeyPatch) -> None:
    bench, there = road
    fill(bench)
    stored: Callable[..., dict[str, Any]] = rehook_sync.admin.copying._as_stored
    monkeypatch.setattr(
        rehook_sync.admin.copying, "_as_stored", lambda row, times: stored(row, times) | ({"detail": "other"} if "detail" in row else {})
    )
    with pytest.raises(DatabaseError, match=r"table sync_state: .* nothing was copied"):
        copy(bench, there)
    assert Bench(bench.warehouse_url, there, bench.sandbox).read_state("sync_runs") == []


def test_tables_that_are_there_and_empty_are_filled(road: tuple[Bench, str]) -> None:
    bench, there = road
    fill(bench)
    schema = None if there.startswith("sqlite") else "rehook_sync"
    with closing(open_database(there, "STATE_URL", may_create=True, search_path=schema)) as database:
        upgrade(database, schema)
    assert tables(copy(bench, there))["sync_state"] == len(bench.read_state("sync_state"))


def test_what_arrives_after_the_copy_is_delivered_from_there(road: tuple[Bench, str]) -> None:
    bench, there = road
    bench.fill([identify("i0", "ada", ago(hours=5), plan="a")])
    bench.run(ALL)
    copy(bench, there)
    add_rows(
        bench.warehouse_url, "identifies", [identify("i1", "ada", ago(hours=1), plan="a"), identify("i2", "bob", ago(hours=1), plan="b")]
    )
    moved = Bench(bench.warehouse_url, there, bench.sandbox, dict(bench.options))
    assert (moved.run().summary.unchanged, moved.statuses()["i2"]) == (1, "sent")


@pytest.mark.parametrize("url", ["mysql://u:s3cret@h/db", "duckdb:///x.db"])
def test_another_kind_of_database_is_refused(tmp_path: Path, request: pytest.FixtureRequest, url: str) -> None:
    with open_bench("sqlite-same", request) as bench:
        bench.fill([identify("i0", "ada", ago(hours=5), plan="a")])
        with pytest.raises(Exception, match="--to") as caught:
            copy(bench, url)
        assert "s3cret" not in str(caught.value)


def test_a_folder_that_is_not_there_is_named(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    with open_bench("sqlite-same", request) as bench:
        bench.fill()
        with pytest.raises(SourceError, match=f"--to: .*; there is no folder '{tmp_path}/none': make it, or name another file"):
            copy(bench, f"sqlite:///{tmp_path}/none/copy.db")
