"""Bad input, as a stranger meets it: one clear line, the right exit code, nothing lost, nothing half written.

Each test runs the command line as a process against a small warehouse and a real local Rehook.
"""

import resource
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from urllib.parse import quote

import pytest
from accounting import assert_numbers_add_up
from sqlalchemy import make_url
from warehouse import Row, event, identify, make_warehouse, run_sql, track

from rehook_sync.sandbox.server import Sandbox

from .conftest import SECRET, Done, Program, write_settings

WHEN = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=1)
RUN = ("run", "--since", "beginning")
GOOD = [track("good", "ada", "Order Completed", WHEN)]


@dataclass
class Source:
    """A small warehouse with its settings, and the Rehook they lead to."""

    program: Program
    sandbox: Sandbox
    url: str

    def fill(self, identifies: list[Row] | None = None, tracks: list[Row] | None = None, **more: list[Row]) -> None:
        """Create the tables, and the sync-state tables beside them. Without event tables, events go out with what `tracks` has."""
        if not more:
            with (self.program.folder / "rehook_sync.toml").open("a", encoding="utf-8") as settings:
                settings.write('missing_properties = "send"\n')
        make_warehouse(self.url, {"identifies": identifies or [], "tracks": tracks if tracks is not None else GOOD, **more})
        assert self("init").code == 0

    def __call__(self, *arguments: str, **environ: str) -> Done:
        """Run a command."""
        return self.program(*arguments, **environ)

    def received(self) -> int:
        """Requests that changed something at the sandbox."""
        return sum(each.accepted for each in self.sandbox.store.log)

    def outcomes(self) -> dict[str, tuple[str, str | None, str | None]]:
        """Message id -> status, reason, detail."""
        table = "sync_state" if self.url.startswith("sqlite") else "rehook_sync.sync_state"
        return {key: tuple(rest) for key, *rest in run_sql(self.url, f"SELECT message_id, status, reason, detail FROM {table}")}

    def check(self) -> None:
        """All numbers add up, on both sides."""
        assert_numbers_add_up(self.url, received=self.sandbox.store)


def make_source(tmp_path: Path, sandbox: Sandbox, url: str) -> Source:
    settings = {"warehouse_url": url, "api_url": sandbox.url, "api_key": sandbox.credentials.key, "api_secret": sandbox.credentials.secret}
    write_settings(tmp_path / "rehook_sync.toml", settings)
    return Source(Program(tmp_path), sandbox, url)


@pytest.fixture
def source(tmp_path: Path, sandbox: Sandbox, sqlite_url: str) -> Iterator[Source]:
    made = make_source(tmp_path, sandbox, sqlite_url)
    yield made
    made.program.end_all()


@pytest.fixture
def pg_source(tmp_path: Path, sandbox: Sandbox, postgres_url: str) -> Iterator[Source]:
    made = make_source(tmp_path, sandbox, postgres_url)
    yield made
    made.program.end_all()


def refused(done: Done, code: int, *words: str) -> None:
    """One line on stderr with these words, nothing on stdout, no traceback, no secret."""
    assert done.code == code, done
    assert done.out == ""
    assert done.err.startswith("error: ")
    assert done.err.count("\n") == 1
    assert "Traceback" not in done.err
    assert SECRET not in done.err
    for word in words:
        assert word in done.err


# Databases that cannot be reached.


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("no url at all", ("WAREHOUSE_URL",)),
        ("nosuchdialect://host/name", ("REHOOK_SYNC_STATE_URL", "the warehouse is neither")),
        ("sqlite:///missing.db", ("no SQLite file", "missing.db")),
        (f"postgresql://me:{SECRET}@127.0.0.1:1/name", ("cannot connect", "WAREHOUSE_URL")),
        (f"postgresql://me:{SECRET}@host.invalid/name", ("cannot connect", "WAREHOUSE_URL")),
    ],
)
def test_wrong_or_unreachable_warehouse(source: Source, url: str, words: tuple[str, ...]) -> None:
    refused(source("plan", "--since", "7d", REHOOK_SYNC_WAREHOUSE_URL=url), 2, *words)


def test_wrong_password(pg_source: Source, postgres_server: str) -> None:
    run_sql(postgres_server, "DROP ROLE IF EXISTS guarded", f"CREATE ROLE guarded LOGIN PASSWORD '{SECRET}'")
    [(hba,)] = run_sql(postgres_server, "SHOW hba_file")
    before = Path(hba).read_text()
    Path(hba).write_text("local all guarded scram-sha-256\n" + before)
    run_sql(postgres_server, "SELECT pg_reload_conf()")
    try:
        url = make_url(pg_source.url).set(username="guarded", password="wrong-" + SECRET).render_as_string(hide_password=False)
        done = pg_source("plan", "--since", "7d", REHOOK_SYNC_WAREHOUSE_URL=url)
    finally:
        Path(hba).write_text(before)
        run_sql(postgres_server, "SELECT pg_reload_conf()", "DROP ROLE guarded")
    refused(done, 2, "password authentication failed", "REHOOK_SYNC_WAREHOUSE_URL")


# Tables and columns that are not there.


def test_missing_schema(pg_source: Source) -> None:
    pg_source.fill()
    refused(pg_source(*RUN, REHOOK_SYNC_WAREHOUSE_SCHEMA="shpo"), 2, "shpo")


def test_missing_table(source: Source) -> None:
    source.fill()
    refused(source(*RUN, REHOOK_SYNC_TRACKS_TABLE="trakcs"), 2, "trakcs", "TRACKS_TABLE", "did you mean 'tracks'")


@pytest.mark.parametrize("column", ["id", "user_id", "received_at"])
def test_missing_column(source: Source, column: str) -> None:
    source.fill()
    run_sql(source.url, f"ALTER TABLE tracks DROP COLUMN {column}")
    refused(source(*RUN), 2, f"no column '{column}'", "tracks")
    assert source.received() == 0


def test_text_where_a_timestamp_belongs_in_the_type(pg_source: Source) -> None:
    pg_source.fill()
    run_sql(pg_source.url, "ALTER TABLE tracks ALTER received_at TYPE text")
    done = pg_source(*RUN, "--json")
    assert (done.code, done.json["rows_read"], done.json["sent"]) == (0, 1, 1)
    assert pg_source(*RUN, "--json").json["rows_read"] == 0
    pg_source.check()


def test_text_where_a_timestamp_belongs_in_a_row(source: Source) -> None:
    source.fill(tracks=[*GOOD, track("garbage", "ada", "Order Completed", WHEN)])
    run_sql(source.url, "UPDATE tracks SET received_at = 'last tuesday' WHERE id = 'garbage'")
    done = source(*RUN, "--json")
    assert (done.code, done.json["sent"], done.json["rejected"]) == (0, 1, 1)
    assert source.outcomes()["garbage"] == ("rejected", "invalid_row", "received_at is not a time")
    assert source(*RUN, "--json").json["rows_read"] == 0
    source.check()


# Rows that cannot be used, and rows that only look like it.


def test_null_id_is_recorded_and_rejected_once(source: Source) -> None:
    source.fill(tracks=[*GOOD, track(None, "ada", "Order Completed", WHEN)])
    assert source(*RUN, "--json").json["rejected"] == 1
    [(status, reason, detail)] = [outcome for key, outcome in source.outcomes().items() if key.startswith("null-id:")]
    assert (status, reason, detail) == ("rejected", "invalid_row", "id is NULL")
    assert source(*RUN, "--json").json["rows_read"] == 0
    source.check()


def test_null_timestamp_falls_back_to_when_it_was_received(source: Source) -> None:
    source.fill(tracks=[{**track("one", "ada", "Order Completed", WHEN), "timestamp": None}])
    assert source(*RUN, "--json").json["sent"] == 1
    [(occurred_at, received_at)] = run_sql(source.url, "SELECT occurred_at, received_at FROM sync_state")
    assert occurred_at == received_at
    source.check()


def test_null_cursor_is_not_lost(source: Source) -> None:
    source.fill(tracks=[*GOOD, {**track("one", "ada", "Order Completed", WHEN), "received_at": None}])
    assert source(*RUN, "--json").json["rejected"] == 1
    assert source.outcomes()["one"] == ("rejected", "invalid_row", "received_at is NULL")
    source.check()


def test_value_of_10_mb_hurts_no_other_row(source: Source) -> None:
    rows = [track(name, "ada", "Order Completed", WHEN) for name in ("before", "huge", "z-after")]
    notes = [event("before"), event("huge", WHEN, note="x" * 10_000_000), event("z-after")]
    source.fill(tracks=rows, order_completed=notes)
    done = source(*RUN, "--json")
    assert (done.code, done.json["sent"], done.json["rejected"]) == (0, 2, 1)
    status, reason, detail = source.outcomes()["huge"]
    assert (status, reason) == ("rejected", "refused_by_rehook")
    assert len(detail or "") < 300
    source.check()


@pytest.mark.parametrize("value", ["NaN", "Infinity", "-Infinity"])
def test_numbers_that_are_none(pg_source: Source, value: str) -> None:
    pg_source.fill(
        tracks=[*GOOD, track("bad", "ada", "Order Completed", WHEN)], order_completed=[event("good"), event("bad", WHEN, total=1.5)]
    )
    run_sql(pg_source.url, f"UPDATE order_completed SET total = '{value}' WHERE id = 'bad'")
    done = pg_source(*RUN, "--json")
    assert (done.code, done.json["sent"], done.json["rejected"]) == (0, 2, 0)
    assert pg_source.outcomes()["bad"][0] == "sent"
    assert [each.metadata for each in pg_source.sandbox.store.events if not each.metadata]
    assert done.json["notes"] == ["values that are NaN or infinite were left out, as NULL is: 1, in total (1)"]
    pg_source.check()


def test_numbers_that_are_none_are_noted_once_by_all_workers(pg_source: Source) -> None:
    people = [identify(f"m{number}", f"user{number}", WHEN, score=1.5, plan="pro") for number in range(8)]
    pg_source.fill(identifies=people, tracks=[])
    run_sql(pg_source.url, "UPDATE identifies SET score = 'NaN'")
    done = pg_source(*RUN, "--workers", "2", "--json")
    assert (done.code, done.json["sent"]) == (0, 8), done
    assert done.json["notes"] == ["values that are NaN or infinite were left out, as NULL is: 8, in score (8)"]
    pg_source.check()


def test_bytes_are_base64(source: Source) -> None:
    source.fill(identifies=[identify("one", "ada", WHEN, picture=b"\xff\xd8\xff"), identify("good", "bob", WHEN, plan="pro")], tracks=[])
    assert source(*RUN, "--json").json["sent"] == 2
    assert source.sandbox.store.customers["ada"].metadata == {"picture": "/9j/"}
    source.check()


def test_text_that_is_no_utf8_has_no_json_form(source: Source) -> None:
    if source.url.startswith("postgresql"):
        pytest.skip("PostgreSQL holds no such text")
    source.fill(identifies=[identify("bad", "ada", WHEN, plan="x"), identify("good", "bob", WHEN, plan="pro")], tracks=[])
    run_sql(source.url, "UPDATE identifies SET plan = CAST(x'ff' AS TEXT) WHERE id = 'bad'")
    assert source(*RUN, "--json").json["rejected"] == 1
    assert source.outcomes()["bad"] == ("rejected", "invalid_row", "trait plan: text that is no UTF-8 has no JSON form")
    run_sql(source.url, "UPDATE identifies SET plan = NULL")
    source.check()


def test_control_characters_arrive_as_they_are_and_drive_no_terminal(source: Source) -> None:
    wild = "a\x1b[31m\x00b\nerror: all is lost\r\t\u202e"
    user = wild.replace("\x00", "")
    source.fill(identifies=[identify("one", user, WHEN, note=wild)], tracks=[track("two", user, wild, WHEN + timedelta(seconds=1))])
    done = source(*RUN)
    assert done.code == 0
    assert source.sandbox.store.customers[user].metadata == {"note": wild}
    assert [each.event_name for each in source.sandbox.store.events] == [wild]
    story = source("explain", "two")
    assert story.code == 0
    assert not {"\x1b", "\x00", "\u202e", "\r"} & set(done.out + done.err + story.out + story.err)
    source.check()


def test_names_that_try_sql_injection_are_only_names(source: Source) -> None:
    evil = 'x"; DROP TABLE tracks; --'
    rows = [track("one", "ada", evil, WHEN), {**track("two", "'; DELETE FROM sync_state; --", "Order Completed", WHEN), "event": evil}]
    source.fill(tracks=rows)
    assert source(*RUN, "--json").json["sent"] == 2
    refused(source(*RUN, REHOOK_SYNC_TRACKS_TABLE=evil), 2, "TRACKS_TABLE")
    refused(source(*RUN, REHOOK_SYNC_CURSOR_COLUMN=evil), 2, "CURSOR_COLUMN")
    assert source("explain", "' OR '1'='1").out.startswith("nothing is known")
    assert len(run_sql(source.url, "SELECT * FROM tracks")) == 2
    source.check()


def test_exact_values_arrive_exactly(pg_source: Source) -> None:
    total = Decimal("12345678901234567890.10")
    pg_source.fill(tracks=[track("one", "ada", "Order Completed", WHEN)], order_completed=[event("one", WHEN, total=total, big=2**53 + 1)])
    assert pg_source(*RUN).code == 0
    assert b'"total":12345678901234567890.10,"big":9007199254740993' in pg_source.sandbox.store.events[0].body


# Arguments and settings.


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--since", "2999-01-01"), ("--since", "future")),
        (("--since", "soon"), ("--since", "is no time")),
        (("--since", "2026-11-02", "--until", "2026-11-01"), ("--since", "not before --until")),
        (("--since", "7d", "--until", "2026-13-01"), ("--until", "is no time")),
    ],
)
def test_bounds_that_make_no_sense(source: Source, arguments: tuple[str, ...], words: tuple[str, ...]) -> None:
    source.fill()
    refused(source("run", *arguments), 2, *words)
    assert (source.received(), source.outcomes()) == (0, {})


@pytest.mark.parametrize(
    ("environ", "words"),
    [
        ({"REHOOK_SYNC_LOOKBAK": "3d"}, ("REHOOK_SYNC_LOOKBAK", "REHOOK_SYNC_LOOKBACK")),
        ({"REHOOK_SYNC_LOOKBACK": "often"}, ("REHOOK_SYNC_LOOKBACK", "3d")),
        ({"REHOOK_SYNC_API_URL": "http://api.rehook.ai"}, ("REHOOK_SYNC_API_URL", "https")),
        ({"REHOOK_SYNC_API_SECRET_FILE": "nowhere"}, ("REHOOK_SYNC_API_SECRET_FILE",)),
    ],
)
def test_settings_that_make_no_sense(source: Source, environ: dict[str, str], words: tuple[str, ...]) -> None:
    source.fill()
    refused(source(*RUN, **environ), 2, *words)
    assert source.received() == 0


@pytest.mark.parametrize(("command", "setting"), [(("init",), "REHOOK_SYNC_STATE_URL"), (("copy-state", "--to", "sqlite://"), "--to")])
def test_a_state_in_memory_is_refused(source: Source, command: tuple[str, ...], setting: str) -> None:
    environ = {} if setting == "--to" else {setting: "sqlite://"}
    assert source("init").code == 0
    refused(source(*command, **environ), 2, setting, "in memory", "sqlite:///state.db")


def test_missing_credentials_are_each_named(source: Source) -> None:
    source.fill()
    write_settings(source.program.folder / "rehook_sync.toml", {"warehouse_url": source.url, "api_url": source.sandbox.url})
    done = source(*RUN)
    assert done.code == 2
    assert [line.split(":")[1].strip() for line in done.err.splitlines()] == ["REHOOK_SYNC_API_KEY", "REHOOK_SYNC_API_SECRET"]


def test_refused_credentials_stop_before_the_first_row(source: Source) -> None:
    source.fill()
    done = source(*RUN, REHOOK_SYNC_API_SECRET=SECRET)
    assert (done.code, source.outcomes(), source.received()) == (4, {}, 0)
    assert "REHOOK_SYNC_API_SECRET" in done.err
    assert SECRET not in done.out + done.err
    assert source(*RUN, "--json").json["sent"] == 1
    source.check()


# The sync-state tables.


def test_state_of_a_newer_version_is_left_alone(source: Source) -> None:
    source.fill()
    run_sql(source.url, "INSERT INTO sync_migrations (version, name, applied_at) VALUES (99, 'later', '')")
    for command in (RUN, ("init",), ("status",)):
        refused(source(*command), 2, "version 99", "newer")
    assert source.received() == 0


def test_state_that_may_not_be_written(pg_source: Source, postgres_server: str) -> None:
    pg_source.fill()
    role = "reader_" + str(make_url(pg_source.url).database)
    run_sql(pg_source.url, f"CREATE ROLE {role} LOGIN", f"GRANT USAGE ON SCHEMA rehook_sync TO {role}")
    run_sql(pg_source.url, f"GRANT SELECT ON ALL TABLES IN SCHEMA rehook_sync TO {role}")
    url = make_url(pg_source.url).set(username=role).render_as_string(hide_password=False)
    try:
        grant = f'GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA "rehook_sync" TO "{role}"'
        refused(pg_source(*RUN, REHOOK_SYNC_STATE_URL=url), 2, "may not write", "REHOOK_SYNC_STATE_URL", grant)
        assert pg_source("status", REHOOK_SYNC_STATE_URL=url).code == 0, "whoever only looks needs no more"
    finally:
        run_sql(pg_source.url, f"DROP OWNED BY {role}", f"DROP ROLE {role}")
    assert (pg_source.received(), pg_source.outcomes()) == (0, {})


def test_read_only_sqlite_state(source: Source) -> None:
    source.fill()
    url = f"sqlite:///file:{quote(str(make_url(source.url).database))}?mode=ro&uri=true"
    done = source(*RUN, REHOOK_SYNC_STATE_URL=url)
    assert done.code in {1, 2}
    assert done.err.count("\n") == 1
    assert (source.received(), source.outcomes()) == (0, {})


def test_disk_full_on_sqlite_loses_nothing(source: Source, in_small_disk: Callable[..., Done]) -> None:
    source.fill(tracks=[track(f"m{at}", f"user-{at % 37}", "Order Completed", WHEN + timedelta(seconds=at)) for at in range(997)])
    done = in_small_disk(source, *RUN)
    assert done.code == 1
    assert "Traceback" not in done.err
    assert "REHOOK_SYNC_WAREHOUSE_URL" in done.err
    run_sql(source.url, "UPDATE sync_lease SET expires_at = '2020-01-01T00:00:00.000000Z'")
    again = source(*RUN, "--json")
    assert again.code in {0, 3}
    assert max(source.sandbox.store.events, key=lambda each: each.seq).seq > 0
    received = [each.idempotency_key for each in source.sandbox.store.events]
    assert len(received) == len(set(received)), "an event was sent twice"
    assert len(received) >= 997 - again.json["unsettled"].get("in_doubt", 0)
    source.check()


@pytest.fixture
def in_small_disk() -> Callable[..., Done]:
    """Runs a command that may make no file larger than a little more than the database is now."""

    def run(source: Source, *arguments: str) -> Done:
        size = sum(each.stat().st_size for each in source.program.folder.glob("warehouse.db"))
        limit = size + 60_000
        process = subprocess.run(
            [sys.executable, "-m", "rehook_sync", *arguments],
            cwd=source.program.folder,
            env=source.program.clean_environ({}),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)),
        )
        return Done(process.returncode, process.stdout, process.stderr)

    return run
