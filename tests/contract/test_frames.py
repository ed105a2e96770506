"""The sync-state as DataFrames: columns and types are a promise, and the numbers are those of the views."""

import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import roles
from earlier import make_tables_of
from sqlalchemy import Connection, Engine, event, text
from test_views import CALLS, NOON, RUNS, ask, call, fill, migrated, plain
from warehouse import run_sql

import rehook_sync
from rehook_sync import Settings, load_settings, read_calls, read_runs
from rehook_sync.database.engine import Database, open_database
from rehook_sync.errors import RehookSyncError, StateVersionError, UsageError
from rehook_sync.models import Reason, RunKind, RunStatus, Status

new_role = roles.new_role
TIME = "datetime64[us, UTC]"
CALLS_SHAPE = {
    "stream": "category",
    "message_id": "string",
    "user_id": "string",
    "event": "category",
    "received_at": TIME,
    "occurred_at": TIME,
    "status": "category",
    "reason": "category",
    "detail": "string",
    "http_status": "Int64",
    "attempts": "Int64",
    "sent_as": "string",
    "run_id": "string",
    "first_seen_at": TIME,
    "settled_at": TIME,
    "source": "category",
}
RUNS_SHAPE = {
    "run_id": "string",
    "kind": "category",
    "trigger": "category",
    "status": "category",
    "since_at": TIME,
    "until_at": TIME,
    "started_at": TIME,
    "finished_at": TIME,
    "duration_s": "Float64",
    **dict.fromkeys(("rows_read", "sent", "unchanged", "merged", "skipped", "rejected", "failed", "waiting", "in_doubt"), "Int64"),
    **dict.fromkeys(("requests", "open_periods"), "Int64"),
    "error": "string",
    "version": "string",
}
"""What is promised: columns may be added at the end; nothing else here ever changes."""


@pytest.fixture
def settings(database_url: str) -> Settings:
    return load_settings(None, {}, warehouse_url=database_url)


@pytest.fixture
def state(database_url: str) -> Iterator[Database]:
    with closing(migrated(database_url)) as database:
        fill(database, "sync_runs", RUNS)
        fill(database, "sync_state", CALLS)
        yield database


def shape_of(frame: pd.DataFrame) -> dict[str, str]:
    return {str(name): str(kind) for name, kind in frame.dtypes.items()}


def records(frame: pd.DataFrame) -> list[dict[str, object]]:
    """The rows as a view gives them, in an order of their own."""
    rows = [{name: None if pd.isna(value) else value for name, value in row.items()} for row in frame.to_dict("records")]
    return sorted(({str(name): plain(value) for name, value in row.items()} for row in rows), key=repr)


def ids(frame: pd.DataFrame) -> set[str]:
    return set(frame["message_id"])


def wanted(test: Callable[[dict[str, object]], object]) -> set[str]:
    return {str(each["message_id"]) for each in CALLS if test(each)}


def test_frames_have_the_promised_columns_and_types(settings: Settings, state: Database) -> None:
    assert shape_of(read_calls(settings)) == CALLS_SHAPE
    assert shape_of(read_runs(settings)) == RUNS_SHAPE
    assert list(read_calls(settings).columns) == list(CALLS_SHAPE)
    assert list(read_runs(settings).columns) == list(RUNS_SHAPE)


def test_an_empty_state_gives_empty_frames_of_the_same_types(settings: Settings, database_url: str) -> None:
    migrated(database_url).close()
    for frame, shape in ((read_calls(settings), CALLS_SHAPE), (read_runs(settings), RUNS_SHAPE)):
        assert frame.empty
        assert shape_of(frame) == shape
    assert shape_of(read_calls(settings, since="7d", user_id="nobody")) == CALLS_SHAPE


def test_calls_are_those_of_the_table_in_the_order_of_arrival(settings: Settings, state: Database) -> None:
    frame = read_calls(settings)
    assert records(frame) == sorted(({name: row[name] for name in CALLS_SHAPE} for row in ask(state, "sync_state")), key=repr)
    assert frame["received_at"].dropna().is_monotonic_increasing
    assert frame["received_at"].isna().sum() == frame["received_at"].tail(2).isna().sum() == 2


def test_runs_are_those_of_the_view_oldest_first(settings: Settings, state: Database) -> None:
    frame = read_runs(settings)
    assert records(frame) == sorted(({name: row[name] for name in RUNS_SHAPE} for row in ask(state, "v1_runs")), key=repr)
    assert frame["started_at"].is_monotonic_increasing
    assert frame.set_index("run_id").loc["r1", "duration_s"] == 3661.999999


@pytest.mark.parametrize("view", ["v1_rejections", "v1_attention", "v1_waiting", "v1_customer_timeline"])
def test_frames_hold_what_the_views_hold(settings: Settings, state: Database, view: str) -> None:
    found = ask(state, view)
    shared = [name for name in CALLS_SHAPE if name in found[0]]
    frame = read_calls(settings)
    frame = frame[frame["message_id"].isin([row["message_id"] for row in found])][shared]
    assert records(frame) == sorted(({name: row[name] for name in shared} for row in found), key=repr)


def test_categories_are_all_the_words_there_are(settings: Settings, state: Database) -> None:
    calls, runs = read_calls(settings, status="sent"), read_runs(settings, status="stopped")
    assert list(calls["status"].cat.categories) == list(Status)
    assert list(calls["reason"].cat.categories) == list(Reason)
    assert list(runs["status"].cat.categories) == list(RunStatus)
    assert list(runs["kind"].cat.categories) == list(RunKind)
    assert list(read_calls(settings)["stream"].cat.categories) == ["identifies", "tracks"]


def test_a_filter_takes_one_value_or_several(settings: Settings, state: Database) -> None:
    assert ids(read_calls(settings, status="sent")) == wanted(lambda each: each["status"] == "sent")
    some = (Status.FAILED, "in_doubt")
    assert ids(read_calls(settings, status=some)) == wanted(lambda each: each["status"] in some)
    assert ids(read_calls(settings, reason="timeout")) == wanted(lambda each: each["reason"] == "timeout")
    assert ids(read_calls(settings, stream=["identifies"])) == wanted(lambda each: each["stream"] == "identifies")
    assert ids(read_calls(settings, event=["Order Completed", "x"])) == wanted(lambda each: each["event"] == "Order Completed")
    assert ids(read_calls(settings, user_id=pd.Series(["bob", "x"]))) == wanted(lambda each: each["user_id"] == "bob")
    assert ids(read_calls(settings, source="web", user_id="bob", status="rejected")) == {"taken"}
    assert read_calls(settings, source="ios").empty
    assert read_calls(settings, status=[]).empty
    assert set(read_runs(settings, status=["crashed", "stopped"])["run_id"]) == {"r2", "r4"}
    assert read_runs(settings, kind="retry").empty
    assert len(read_runs(settings, kind=RunKind.RUN)) == len(RUNS)


def test_a_filter_needs_whole_values(settings: Settings, state: Database) -> None:
    fill(state, "sync_state", [call("odd", "sent", user_id='it\'s "100%" :a\\ äöü', event="A, B")])
    assert ids(read_calls(settings, user_id='it\'s "100%" :a\\ äöü', event="A, B")) == {"odd"}
    assert read_calls(settings, user_id="a\x00b").empty


MIDNIGHT = datetime(2026, 11, 2, tzinfo=UTC)


@pytest.mark.parametrize(
    "midnight", [MIDNIGHT, MIDNIGHT.replace(tzinfo=None), date(2026, 11, 2), "2026-11-02", "2026-11-02T01:00+01:00", pd.Timestamp(MIDNIGHT)]
)
def test_a_period_is_half_open_and_read_as_the_command_line_does(settings: Settings, state: Database, midnight: datetime) -> None:
    later = wanted(lambda each: each["received_at"] is not None and each["received_at"] >= MIDNIGHT)  # type: ignore[operator]
    known = wanted(lambda each: each["received_at"] is not None)
    assert later
    assert ids(read_calls(settings, since=midnight)) == later
    assert ids(read_calls(settings, until=midnight)) == known - later
    assert ids(read_calls(settings, since=midnight, user_id=["ada"])) == later
    assert ids(read_calls(settings, since=midnight, stream="identifies")) == set()
    assert set(read_runs(settings, since=midnight)["run_id"]) == {"r3"}
    assert set(read_runs(settings, until=midnight)["run_id"]) == {"r1", "r2", "r4"}
    assert ids(read_calls(settings, since="beginning")) == ids(read_calls(settings))


@pytest.mark.parametrize("age", ["7d", "P7D", timedelta(days=7)])
def test_a_period_may_begin_by_an_age(settings: Settings, state: Database, age: str | timedelta) -> None:
    now = datetime.now(UTC)
    fill(state, "sync_state", [call(f"{days} days", "sent", received_at=now - timedelta(days=days)) for days in (6, 8)])
    found = ids(read_calls(settings, since=age, until=now))
    assert "6 days" in found
    assert "8 days" not in found


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"status": "snt"}, "status: 'snt' is not one of sent, unchanged, merged"),
        ({"reason": ["timeout", "late"]}, "reason: 'late' is not one of missing_user_id"),
        ({"user_id": 44}, "user_id: 44 is no text"),
        ({"event": [None]}, "event: None is no text"),
        ({"event": "\ud800"}, "event: '\\ud800' is no valid text"),
        ({"since": "yesterday"}, "since: 'yesterday' is no time: give ISO-8601"),
        ({"until": "1M"}, "until: '1M' is no time"),
        ({"since": pd.NaT}, "since: 'NaT' is no time"),
        ({"since": 7}, "since: '7' is no time"),
        ({"since": timedelta(days=999_999_999)}, "since: '999999999 days, 0:00:00' is no time"),
        ({"since": "2026-11-02", "until": "2026-11-02"}, "until: 2026-11-02T00:00:00+00:00 must be later than since"),
    ],
)
def test_a_value_that_cannot_be_is_one_clear_line(settings: Settings, state: Database, arguments: dict[str, object], said: str) -> None:
    with pytest.raises(UsageError) as caught:
        read_calls(settings, **arguments)  # type: ignore[arg-type]
    assert str(caught.value).startswith(said)
    assert "\n" not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


def test_kinds_and_states_of_runs_are_checked_too(settings: Settings, state: Database) -> None:
    with pytest.raises(UsageError, match=r"^kind: 'sync' is not one of run, retry, "):
        read_runs(settings, kind="sync")
    with pytest.raises(UsageError, match=r"^status: 'sent' is not one of running, "):
        read_runs(settings, status="sent")


def test_a_state_of_another_version_is_refused_as_by_commands(settings: Settings, database_url: str) -> None:
    with pytest.raises(StateVersionError, match=r"the sync-state tables do not exist yet in .*: run `python -m rehook_sync init` once"):
        read_calls(settings)
    schema = None if database_url.startswith("sqlite") else "rehook_sync"
    with closing(open_database(database_url, "STATE_URL", search_path=schema)) as database, database.transaction() as connection:
        if schema:
            connection.execute(text(f"CREATE SCHEMA {schema}"))
        make_tables_of(connection, 5)
    for read in (read_calls, read_runs):
        with pytest.raises(StateVersionError, match=r"have version 5, this code needs [0-9]+: run `python -m rehook_sync init`"):
            read(settings)


def test_settings_come_from_the_environment_and_the_file(
    state: Database, database_url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("REHOOK_SYNC_WAREHOUSE_URL", database_url)
    assert len(read_calls()) == len(CALLS)
    monkeypatch.setenv("REHOOK_SYNC_STATE_URL", f"sqlite:///{tmp_path / 'none.db'}")
    with pytest.raises(RehookSyncError, match=r"REHOOK_SYNC_STATE_URL"):
        read_calls()
    assert not (tmp_path / "none.db").exists()


def test_the_driver_of_the_warehouse_need_not_be_there(state: Database, database_url: str) -> None:
    settings = load_settings(None, {}, warehouse_url="oracle+nothing://user@host/x", state_url=database_url)
    assert len(read_runs(settings)) == len(RUNS)


def test_pages_make_one_frame(settings: Settings, state: Database) -> None:
    many = [call(f"m{number:05}", "sent", event=f"E{number % 3}", user_id=f"u{number % 7}") for number in range(4500)]
    fill(state, "sync_state", many)
    frame = read_calls(settings, event=["E0", "E1", "E2"])
    assert list(frame["message_id"]) == [f"m{number:05}" for number in range(4500)]
    assert list(frame["event"].cat.categories) == ["E0", "E1", "E2"]
    assert frame["event"].value_counts().to_dict() == dict.fromkeys(("E0", "E1", "E2"), 1500)


def test_calls_of_a_time_or_a_user_are_found_by_index(settings: Settings, state: Database) -> None:
    fill(state, "sync_state", [call(f"m{n}", "sent", user_id=f"u{n}", received_at=NOON + timedelta(seconds=n)) for n in range(20_000)])
    with state.transaction() as connection:
        connection.execute(text("ANALYZE"))
    found = {
        "sync_state_by_time": [{"since": "2030-01-01"}, {"since": "2026-11-01T12:10", "until": "2026-11-01T12:20", "status": "sent"}],
        "sync_state_by_user": [{"user_id": "u7", "since": "2026-11-01"}],
    }
    for index, asked in found.items():
        for arguments in asked:
            plan = explain(settings, arguments)
            assert index in plan, plan
            assert not re.search(r"Seq Scan on sync_state|SCAN s\b", plan), plan


def explain(settings: Settings, arguments: dict[str, str]) -> str:
    """How the database goes about the statement for these arguments."""
    plan: list[str] = []

    def look(connection: Connection, cursor: object, statement: str, values: Any, *_rest: object) -> None:
        if "sync_state AS s" in statement:
            word = "EXPLAIN QUERY PLAN " if connection.dialect.name == "sqlite" else "EXPLAIN "
            driver: Any = connection.connection.dbapi_connection
            with closing(driver.cursor()) as other:
                other.execute(word + statement, values)
                plan.extend(str(row[-1]) for row in other.fetchall())

    with listening(look):
        read_calls(settings, **arguments)
    return "\n".join(plan)


@contextmanager
def listening(look: Callable[..., None]) -> Iterator[None]:
    """Show each statement to `look` before it is executed."""
    event.listen(Engine, "before_cursor_execute", look)
    try:
        yield
    finally:
        event.remove(Engine, "before_cursor_execute", look)


def test_reading_writes_nothing_and_is_one_statement(settings: Settings, state: Database) -> None:
    seen: list[str] = []

    def look(_connection: object, _cursor: object, statement: str, *_rest: object) -> None:
        seen.append(statement)

    with listening(look):
        read_calls(settings)
        read_runs(settings, since="7d")
    assert [bool(re.search(r"FROM (sync_state|v1_runs) ", each)) for each in seen].count(True) == 2
    assert not [each for each in seen if each.split()[0].upper() in {"INSERT", "UPDATE", "DELETE", "CREATE", "LOCK"}]


def test_a_role_needs_the_rights_to_read_what_it_asks_for(postgres_url: str, new_role: roles.NewRole) -> None:
    migrated(postgres_url).close()
    reader = new_role(postgres_url, "reader")
    settings = load_settings(None, {}, warehouse_url=reader)
    grant = f"GRANT SELECT ON {{}} TO {roles.name_in(reader)}"
    with pytest.raises(StateVersionError, match=r"may not use schema 'rehook_sync'"):
        read_runs(settings)
    run_sql(postgres_url, f"GRANT USAGE ON SCHEMA rehook_sync TO {roles.name_in(reader)}")
    run_sql(postgres_url, grant.format("rehook_sync.v1_runs, rehook_sync.sync_migrations"))
    assert read_runs(settings).empty
    with pytest.raises(StateVersionError, match=r"may not read all sync-state tables.* run: GRANT SELECT ON ALL TABLES"):
        read_calls(settings)
    run_sql(postgres_url, grant.format("rehook_sync.sync_state"))
    assert read_calls(settings, since="7d").empty


def test_importing_the_package_loads_no_library() -> None:
    code = (
        "import sys, rehook_sync; names = dir(rehook_sync); light = set(sys.modules)\n"
        "from rehook_sync import Settings, Sync, load_settings, read_calls, read_runs\n"
        "heavy = {'pandas', 'numpy', 'sqlalchemy', 'pydantic', 'pydantic_settings', 'httpx', 'aiohttp', 'orjson'}\n"
        "print(light & heavy, sorted(each for each in light if each.startswith('rehook_sync')), {'pandas', 'numpy'} & set(sys.modules))\n"
        "print(set(rehook_sync.__all__) <= set(names), rehook_sync.Sync is Sync, hasattr(rehook_sync, 'nothing'))"
    )
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set() ['rehook_sync'] set()\nTrue True False\n"


def test_the_public_names_are_those_that_are_promised() -> None:
    assert rehook_sync.__all__ == ["Settings", "Sync", "load_settings", "read_calls", "read_runs"]
    assert all(getattr(rehook_sync, name).__doc__ for name in rehook_sync.__all__)
