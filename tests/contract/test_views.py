"""The views for analysts: their shape is a promise, and both databases give the same answers, by index where tables are large."""

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from earlier import make_tables_of
from sqlalchemy import MetaData, Table, insert, text

from rehook_sync.database.engine import Database, open_database, utc_text
from rehook_sync.state.migrations import upgrade
from rehook_sync.state.report import read_report
from rehook_sync.state.state import State

SHAPE = Path(__file__).resolve().parents[2] / "sql" / "v1_shape.txt"
VIEWS = ["v1_runs", "v1_rejections", "v1_attention", "v1_waiting", "v1_customer_timeline", "v1_freshness", "v1_unsettled_by_day"]
VIEWS += ["v1_calls_by_day", "v1_customers", "v1_referral_codes"]
NOON = datetime(2026, 11, 1, 12, tzinfo=UTC)
KEPT_BY_SQLITE = {"text": "text", "timestamp with time zone": "text", "date": "text", "double precision": "real"}
"""Type in PostgreSQL -> what SQLite keeps; every other one is an integer there."""
Row = dict[str, object]
Rows = list[Row]


def migrated(url: str) -> Database:
    database = open_database(url, "STATE_URL", search_path="rehook_sync")
    upgrade(database, None if database.dialect == "sqlite" else "rehook_sync")
    return database


@pytest.fixture
def state(database_url: str) -> Iterator[Database]:
    with closing(migrated(database_url)) as database:
        yield database


def read_shape() -> dict[str, list[tuple[str, str]]]:
    """View -> its columns in order, each with its type in PostgreSQL."""
    shape: dict[str, list[tuple[str, str]]] = {}
    for line in SHAPE.read_text(encoding="utf-8").splitlines():
        if line and not line.startswith("#"):
            name, kind = line.split(" ", 1)
            view, _, column = name.partition(".")
            shape.setdefault(view, []).append((column, kind))
    return shape


def fill(database: Database, table: str, rows: Sequence[Mapping[str, object]]) -> None:
    """Write rows as the program stores them."""
    stored = [{name: database.as_stored(value) if isinstance(value, datetime) else value for name, value in row.items()} for row in rows]
    with database.transaction() as connection:
        connection.execute(insert(Table(table, MetaData(), autoload_with=connection)), stored)


def ask(database: Database, view: str) -> Rows:
    """All rows of a view, times as text in UTC and days as text, in an order of their own."""
    with database.connect() as connection:
        found = [dict(row._mapping) for row in connection.execute(text(f"SELECT * FROM {view}"))]
    return sorted(({name: plain(value) for name, value in row.items()} for row in found), key=repr)


def plain(value: object) -> object:
    if isinstance(value, datetime):
        return utc_text(value)
    return value.isoformat() if isinstance(value, date) else value


def run(run_id: str, started_at: datetime, took: timedelta | None, **values: object) -> Row:
    counts = dict.fromkeys(
        ("rows_read", "sent", "rejected", "failed", "waiting", "in_doubt", "unchanged", "merged", "skipped", "requests"), 0
    )
    own = {
        "run_id": run_id,
        "kind": "run",
        "trigger": "cli",
        "status": "succeeded",
        "since_at": None,
        "until_at": None,
        "error": None,
        "version": "1",
        "properties_wait_s": None,
    }
    return {**counts, **own, "started_at": started_at, "finished_at": None if took is None else started_at + took, **values}


def call(message_id: str, status: str, **values: object) -> Row:
    settled = status in {"sent", "unchanged", "merged", "skipped", "rejected"}
    times: Row = {"received_at": NOON, "occurred_at": NOON - timedelta(minutes=1), "first_seen_at": NOON + timedelta(hours=1)}
    own = {
        "source": "web",
        "stream": "tracks",
        "user_id": "ada",
        "event": "Order Completed",
        "reason": None,
        "detail": None,
        "http_status": None,
    }
    more = {
        "attempts": 1,
        "payload_hash": "h",
        "sent_as": None,
        "run_id": "r1",
        "settled_at": NOON + timedelta(hours=2) if settled else None,
    }
    return {**own, **times, **more, "message_id": message_id, "status": status, **values}


RUNS = [
    run("r1", NOON, timedelta(seconds=3661, microseconds=999_999), rows_read=13, sent=5, waiting=1, requests=9, properties_wait_s=60),
    run(
        "r2",
        NOON + timedelta(microseconds=999_700),
        timedelta(microseconds=1),
        trigger="airflow",
        status="stopped",
        error="down",
        properties_wait_s=3600,
    ),
    run("r3", NOON + timedelta(days=40), timedelta(days=31), since_at=NOON, until_at=NOON, status="attention"),
    run("r4", NOON, None, trigger="demo", status="running"),
]
WATERMARKS: Rows = [
    {"source": "web", "run_id": "r1", "stream": "tracks", "low_at": None, "high_at": NOON, "rows_new": 7, "recorded_at": NOON},
    {
        "source": "web",
        "run_id": "r3",
        "stream": "tracks",
        "low_at": NOON,
        "high_at": NOON + timedelta(microseconds=1),
        "rows_new": 0,
        "recorded_at": NOON,
    },
    {"source": "web", "run_id": "r1", "stream": "identifies", "low_at": None, "high_at": None, "rows_new": 0, "recorded_at": NOON},
]
MIDNIGHT = datetime(2026, 11, 2, tzinfo=UTC)
SOON = datetime.now(UTC) + timedelta(days=1)
CALLS = [
    call("sent", "sent", http_status=200),
    call("sent earlier", "sent", occurred_at=NOON - timedelta(days=400), user_id="bob"),
    call("pruned", "sent", user_id=None, event=None, payload_hash=None),
    call("unchanged", "unchanged", stream="identifies", event=None, attempts=0),
    call("merged", "merged", stream="identifies", event=None, attempts=0, sent_as="unchanged"),
    call("taken", "rejected", stream="identifies", event=None, reason="referral_code_taken", detail="it belongs to 'ada'", user_id="bob"),
    call("refused", "rejected", reason="refused_by_rehook", http_status=422, detail="it's broken; 100% äöü"),
    call("null-id:1", "rejected", reason="invalid_row", received_at=None, occurred_at=None, user_id=None, payload_hash=None),
    call("failed", "failed", reason="server_error", http_status=503, attempts=5, received_at=MIDNIGHT - timedelta(microseconds=1)),
    call("failed, too", "failed", reason="server_error", http_status=503, received_at=MIDNIGHT),
    call("failed again", "failed", reason="blocked_by_earlier", attempts=0, received_at=MIDNIGHT),
    call("doubt", "in_doubt", reason="timeout", received_at=MIDNIGHT),
    call("doubt, too", "in_doubt", reason="timeout", received_at=MIDNIGHT + timedelta(hours=23, minutes=59)),
    call("no time", "in_doubt", reason="timeout", received_at=None),
    call("in flight", "sending", attempts=0),
    call("waits", "waiting", reason="properties_not_loaded", attempts=0),
    call("waits since today", "waiting", reason="properties_not_loaded", attempts=0, first_seen_at=SOON),
]
CUSTOMERS: Rows = [
    {"source_id": "ada", "referral_code": "ADA", "first_sent_at": NOON, "last_sent_at": NOON, "last_message_id": "m"},
    {"source_id": "bob", "referral_code": None, "first_sent_at": None, "last_sent_at": None, "last_message_id": None},
]


@pytest.fixture
def filled(state: Database) -> Database:
    for table, rows in {"sync_runs": RUNS, "sync_watermarks": WATERMARKS, "sync_state": CALLS, "sync_customers": CUSTOMERS}.items():
        fill(state, table, rows)
    return state


def columns_of(rows: Sequence[Mapping[str, object]], *names: str) -> Rows:
    return sorted(({name: plain(row[name]) for name in names} for row in rows), key=repr)


def test_the_shape_of_the_views_is_the_recorded_one(postgres_url: str) -> None:
    statement = text(
        "SELECT c.relname, a.attname, format_type(a.atttypid, a.atttypmod) FROM pg_class AS c JOIN pg_attribute AS a ON a.attrelid = c.oid"
        " WHERE c.relnamespace = to_regnamespace('rehook_sync') AND c.relkind = 'v' AND a.attnum > 0 ORDER BY c.relname, a.attnum"
    )
    found: dict[str, list[tuple[str, str]]] = {}
    with closing(migrated(postgres_url)) as database, database.connect() as connection:
        for view, column, kind in connection.execute(statement):
            found.setdefault(view, []).append((column, kind))
    assert found == read_shape(), f"the views are a promise; add to {SHAPE.name} what was added to them, and take nothing out"
    assert set(found) == set(VIEWS)


def test_sqlite_has_the_same_shape(sqlite_url: str) -> None:
    with closing(migrated(sqlite_url)) as database:
        for table, rows in {"sync_runs": RUNS, "sync_watermarks": WATERMARKS, "sync_state": CALLS, "sync_customers": CUSTOMERS}.items():
            fill(database, table, rows)
        with database.connect() as connection:
            names = {str(each) for each in connection.execute(text("SELECT name FROM sqlite_master WHERE type = 'view'")).scalars()}
            assert names == set(read_shape())
            for view, columns in read_shape().items():
                found = connection.execute(text(f"SELECT * FROM {view}"))
                assert list(found.keys()) == [name for name, _ in columns]
                for name, kind in columns:
                    kinds = set(connection.execute(text(f"SELECT typeof({name}) FROM {view}")).scalars())
                    assert kinds - {"null"} <= {KEPT_BY_SQLITE.get(kind, "integer")}, f"{view}.{name}"


def test_v1_runs_says_how_long_each_took(filled: Database) -> None:
    took = {"r1": 3661.999999, "r2": 0.000001, "r3": 31 * 86400.0, "r4": None}
    dead = {"running": "crashed"}  # nobody holds the lease
    expected = [
        {**each, "duration_s": took[str(each["run_id"])], "status": dead.get(str(each["status"]), each["status"]), "open_periods": 0}
        for each in RUNS
    ]
    assert ask(filled, "v1_runs") == columns_of(expected, *(name for name, _ in read_shape()["v1_runs"]))


def test_v1_runs_counts_the_periods_of_each_that_are_not_done(filled: Database) -> None:
    period = {"source": "", "since_at": None, "until_at": NOON, "closed_at": None, "closed_by": None}
    closed = {"closed_at": SOON, "closed_by": "r2"}
    fill(
        filled,
        "sync_periods",
        [
            {**period, "period_id": "r1-identifies", "stream": "identifies", "opened_by": "r1"},
            {**period, "period_id": "r1-tracks", "stream": "tracks", "opened_by": "r1"},
            {**period, "period_id": "r2-tracks", "stream": "tracks", "opened_by": "r2", **closed},
        ],
    )
    assert {row["run_id"]: row["open_periods"] for row in ask(filled, "v1_runs")} == {"r1": 2, "r2": 0, "r3": 0, "r4": 0}


@pytest.mark.parametrize(
    ("lease", "status"),
    [
        ({"run_id": "r4", "expires_at": SOON}, "running"),
        ({"run_id": "r4", "expires_at": NOON}, "crashed"),
        ({"run_id": "r4", "expires_at": NOON, "owner": None}, "crashed"),
        ({"run_id": "r1", "expires_at": SOON}, "crashed"),
        ({"run_id": None, "expires_at": NOON, "owner": None}, "crashed"),
        ({"run_id": "r4", "expires_at": SOON, "name": "shard 1"}, "crashed"),
    ],
)
def test_a_run_without_an_end_is_crashed_once_its_lease_is_over(filled: Database, lease: Row, status: str) -> None:
    fill(filled, "sync_lease", [{"name": "run", "owner": "host:1", "fence": 1, **lease}])
    assert {row["run_id"]: row["status"] for row in ask(filled, "v1_runs")}["r4"] == status
    assert {row["run_id"]: row["status"] for row in State(filled).read_runs(9)}["r4"] == status
    facts = read_report(filled, NOON)
    assert {row["run_id"]: row["status"] for row in facts.runs} == {"r1": "succeeded", "r2": "stopped", "r3": "attention", "r4": status}


def test_v1_rejections_are_the_rejected_calls(filled: Database) -> None:
    rejected = [each for each in CALLS if each["status"] == "rejected"]
    assert ask(filled, "v1_rejections") == columns_of(rejected, *(name for name, _ in read_shape()["v1_rejections"]))
    assert len(rejected) == 3


def test_v1_attention_is_what_is_not_settled_or_waits_too_long(filled: Database) -> None:
    open_ = [each for each in CALLS if each["status"] in {"failed", "in_doubt", "sending"} or each["message_id"] == "waits"]
    assert ask(filled, "v1_attention") == columns_of(open_, *(name for name, _ in read_shape()["v1_attention"]))
    assert len(open_) == 8


def test_v1_waiting_says_until_when_by_the_newest_run_that_knows(filled: Database) -> None:
    waiting = [each for each in CALLS if each["status"] == "waiting"]
    overdue = [{**each, "overdue_at": _later(each["first_seen_at"], timedelta(hours=1))} for each in waiting]
    assert ask(filled, "v1_waiting") == columns_of(overdue, *(name for name, _ in read_shape()["v1_waiting"]))


def _later(moment: object, span: timedelta) -> datetime:
    assert isinstance(moment, datetime)
    return moment + span


def test_v1_customer_timeline_tells_every_call_of_a_user_with_the_code_of_today(filled: Database) -> None:
    with_user = [{**each, "referral_code": "ADA" if each["user_id"] == "ada" else None} for each in CALLS if each["user_id"] is not None]
    assert ask(filled, "v1_customer_timeline") == columns_of(with_user, *(name for name, _ in read_shape()["v1_customer_timeline"]))
    assert len(with_user) == len(CALLS) - 2


def test_v1_freshness_gives_the_newest_watermark_and_its_age(filled: Database) -> None:
    found = ask(filled, "v1_freshness")
    ages = {row["stream"]: row.pop("lag_s") for row in found}
    newest = plain(NOON + timedelta(microseconds=1))
    assert found == [
        {"stream": "identifies", "watermark_at": None, "last_run_at": plain(NOON), "runs": 1, "source": "web"},
        {"stream": "tracks", "watermark_at": newest, "last_run_at": plain(NOON), "runs": 2, "source": "web"},
    ]
    assert ages["identifies"] is None
    assert isinstance(ages["tracks"], int)
    assert abs(ages["tracks"] - (datetime.now(UTC) - NOON).total_seconds()) < 5


def test_v1_unsettled_by_day_counts_by_the_day_in_utc(filled: Database) -> None:
    counted = Counter(
        (None if each["received_at"] is None else str(plain(each["received_at"]))[:10], each["status"], each["reason"])
        for each in CALLS
        if each["settled_at"] is None
    )
    found = ask(filled, "v1_unsettled_by_day")
    assert {(row["day"], row["status"], row["reason"]): row["calls"] for row in found} == counted
    assert counted["2026-11-01", "failed", "server_error"] == counted["2026-11-02", "failed", "server_error"] == 1
    assert all((row["stream"], row["event"]) == ("tracks", "Order Completed") for row in found)


def test_v1_calls_by_day_counts_every_call_once(filled: Database) -> None:
    fields = ("source", "stream", "event", "status", "reason")
    counted = Counter(
        (None if each["received_at"] is None else str(plain(each["received_at"]))[:10], *(each[name] for name in fields)) for each in CALLS
    )
    found = ask(filled, "v1_calls_by_day")
    assert {(row["day"], *(row[name] for name in fields)): row["calls"] for row in found} == counted
    assert len(found) == len(counted)


def test_v1_customers_shows_no_hashes(filled: Database) -> None:
    names = ("referral_code", "first_sent_at", "last_sent_at", "last_message_id")
    expected = [{"user_id": each["source_id"], **{name: each[name] for name in names}} for each in CUSTOMERS]
    assert ask(filled, "v1_customers") == columns_of(expected, "user_id", *names)


def test_v1_referral_codes_names_the_owner_and_who_else_tried(state: Database) -> None:
    hashes = json.dumps(
        [["2026-11-01T10:00:00.000000Z", "m1", {"plan": "h"}], ["2026-11-01T11:00:00.000000Z", "m2", {"referral_code": "h"}]]
    )
    blank: Row = {"first_sent_at": None, "last_sent_at": None, "last_message_id": None}
    fill(
        state,
        "sync_customers",
        [
            {"source_id": "ada", "referral_code": "ADA", "trait_hashes": hashes, **blank},
            {"source_id": "bob", "referral_code": None, "trait_hashes": hashes, **blank},
            {"source_id": "cy", "referral_code": "CY", "trait_hashes": '[[null, null, {"referral_code": "h"}]]', **blank},
            {"source_id": "di", "referral_code": "DI", "trait_hashes": '{"referral_code": "h"}', **blank},
            {"source_id": "ed", "referral_code": "ED", "trait_hashes": None, **blank},
        ],
    )
    taken = {"stream": "identifies", "event": None, "reason": "referral_code_taken", "detail": "owned by user ada"}
    later = NOON + timedelta(hours=1)
    fill(
        state,
        "sync_state",
        [
            call("t1", "rejected", user_id="bob", **taken),
            call("t2", "rejected", user_id="bob", **{**taken, "occurred_at": later}),
            call("t3", "rejected", user_id="cy", **taken),
            call("t4", "rejected", user_id="bob", reason="invalid_row", detail="owned by user ada"),
        ],
    )
    names = ("referral_code", "owner", "carried_at", "tried_by", "tried_calls", "last_tried_at")
    earlier, at = NOON - timedelta(minutes=1), NOON - timedelta(hours=1)
    rows = [
        ("ADA", "ada", at, "bob", 2, later),
        ("ADA", "ada", at, "cy", 1, earlier),
        ("CY", "cy", None, None, None, None),
        ("DI", "di", None, None, None, None),
        ("ED", "ed", None, None, None, None),
    ]
    assert ask(state, "v1_referral_codes") == columns_of([dict(zip(names, row, strict=True)) for row in rows], *names)


def test_tables_of_the_first_version_are_upgraded_with_their_rows(database_url: str) -> None:
    schema = "public" if database_url.startswith("postgresql") else None
    with closing(open_database(database_url, "STATE_URL", search_path="public")) as database:
        with database.transaction() as connection:
            make_tables_of(connection, 1)
        later = {"waiting", "properties_wait_s", "skipped", "kind"}
        fill(database, "sync_runs", [{name: value for name, value in each.items() if name not in later} for each in RUNS])
        known = [{name: value for name, value in each.items() if name != "source"} for each in CALLS if each["status"] != "waiting"]
        fill(database, "sync_state", known)
        before = ask(database, "sync_state")
        assert {"analyst_views", "rows_by_arrival", "waiting"} <= set(upgrade(database, schema).applied)
        assert {row["run_id"]: row["duration_s"] for row in ask(database, "v1_runs")}["r1"] == 3661.999999
        assert ask(database, "sync_state") == [{**row, "source": "default"} for row in before]
        assert len(ask(database, "v1_rejections")) == sum(each["status"] == "rejected" for each in CALLS) > 0


@pytest.mark.parametrize(
    ("query", "index"),
    [
        ("SELECT * FROM v1_customer_timeline WHERE user_id = 'user7'", "sync_state_by_user"),
        (
            "SELECT * FROM v1_customer_timeline WHERE stream = 'tracks' AND message_id = 'm7'",
            "sync_state_pkey|sqlite_autoindex_sync_state_1",
        ),
        ("SELECT reason, count(*) FROM v1_rejections GROUP BY reason", "sync_rejections_by_time"),
        ("SELECT * FROM v1_rejections WHERE settled_at > '2026-11-01T12:00:00Z'", "sync_rejections_by_time"),
        ("SELECT * FROM v1_rejections WHERE run_id = 'r7'", "sync_state_by_run"),
        ("SELECT status, count(*) FROM v1_attention GROUP BY status", "sync_state_unsettled"),
        ("SELECT * FROM v1_unsettled_by_day", "sync_state_unsettled"),
        ("SELECT * FROM v1_waiting", "sync_state_waiting"),
        ("SELECT * FROM v1_runs WHERE started_at > '2030-01-01T00:00:00Z'", "sync_runs_by_start"),
    ],
)
def test_views_find_their_rows_by_index(large: Database, query: str, index: str) -> None:
    ask_plan = "EXPLAIN QUERY PLAN " if large.dialect == "sqlite" else "EXPLAIN "
    with large.connect() as connection:
        plan = "\n".join(str(row[-1]) for row in connection.execute(text(ask_plan + query)))
    assert re.search(index, plan), plan
    assert "Seq Scan on sync_state" not in plan, plan


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def large(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    """Tables where a scan would be dear: 30,000 calls, a hundredth of them rejected, a thousandth unsettled."""
    url = f"sqlite:///{tmp_path_factory.mktemp('large') / 'large.db'}"
    if request.param == "sqlite":
        Path(url.removeprefix("sqlite:///")).touch()
    else:
        url = request.getfixturevalue("shared_postgres_url")
    with closing(migrated(url)) as database:
        calls = []
        for number in range(30_000):
            status = "rejected" if number % 100 == 0 else "failed" if number % 1000 == 1 else "sent"
            calls.append(call(f"m{number}", status, user_id=f"user{number % 3000}", run_id=f"r{number // 100}"))
        fill(database, "sync_state", calls)
        fill(database, "sync_runs", [run(f"r{number}", NOON + timedelta(hours=number), timedelta(0)) for number in range(3000)])
        with database.transaction() as connection:
            connection.execute(text("ANALYZE"))
        yield database
