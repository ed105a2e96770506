"""What commands write beside their answers: log lines in the form and from the level that the settings say, or nothing if all is well."""

import json
import os
import pty
import re
import sqlite3
import subprocess
import sys
from contextlib import closing

import pytest

from rehook_sync.sandbox.server import Sandbox

from .conftest import SECRET, STATUSES, Program, Shop, make_shop

TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")


def read_lines(err: str) -> list[dict[str, object]]:
    """The log lines of a command, which must be JSON objects and nothing else."""
    return [json.loads(line) for line in err.splitlines()]


def test_log_lines_as_json_say_how_a_run_began_and_ended(shop: Shop) -> None:
    done = shop.ready()("run", "--since", "beginning", "--json", REHOOK_SYNC_LOG_FORMAT="json")
    lines = read_lines(done.err)
    assert [line["event"] for line in lines if line["event"] != "run goes on"] == ["run started", "run ended"]
    assert all(TIME.fullmatch(str(line["timestamp"])) and line["level"] == "info" for line in lines)
    assert {line["run_id"] for line in lines} == {done.json["run_id"]}
    end = lines[-1]
    assert {name: end[name] for name in ("status", "rows_read", "requests", *STATUSES)} == {
        name: done.json[name] for name in ("status", "rows_read", "requests", *STATUSES)
    }


def test_errors_are_log_lines_where_logs_are_json(shop: Shop) -> None:
    environ = {"REHOOK_SYNC_LOG_FORMAT": "json", "REHOOK_SYNC_API_SECRET": SECRET}
    stopped = shop.ready()("run", "--since", "beginning", **environ)
    assert stopped.code == 4
    ended, why = read_lines(stopped.err)[-2:]
    assert (ended["event"], ended["level"], ended["status"]) == ("run ended", "error", "stopped")
    assert (why["level"], why["type"], why["exit_code"]) == ("error", "CredentialsRefusedError", 4)
    assert SECRET not in stopped.err
    not_begun = shop("run", "--since", "2099-01-01", **environ)
    (line,) = read_lines(not_begun.err)
    assert (not_begun.code, line["level"], line["exit_code"]) == (2, "error", 2)


def test_a_run_that_needs_somebody_ends_with_a_warning(shop: Shop) -> None:
    shop.ready().sandbox.faults.add("commit_then_drop", path="/events/invoke", times=1)
    done = shop("run", "--since", "beginning", REHOOK_SYNC_LOG_LEVEL="warning")
    assert done.code == 3
    assert re.fullmatch(
        r'timestamp=\S+Z level=warning event="run ended" run_id=\S+ status=attention rows_read=\d+ .*in_doubt=1 .*\n', done.err
    )


@pytest.mark.parametrize(
    ("level", "events"), [("error", set[str]()), ("warning", set()), ("debug", {"run started", "rows recorded", "run ended"})]
)
def test_a_level_says_how_much_is_logged(shop: Shop, level: str, events: set[str]) -> None:
    done = shop.ready()("run", "--since", "beginning", "--json", REHOOK_SYNC_LOG_FORMAT="json", REHOOK_SYNC_LOG_LEVEL=level)
    assert {line["event"] for line in read_lines(done.err)} - {"run goes on"} == events


@pytest.mark.parametrize("options", [("--limit", "70"), ()], ids=["limited", "whole"])
@pytest.mark.parametrize("elsewhere", [False, True], ids=["beside the warehouse", "elsewhere"])
def test_log_lines_say_no_wrong_number_of_rows(shop: Shop, options: tuple[str, ...], *, elsewhere: bool) -> None:
    state = {"REHOOK_SYNC_STATE_URL": f"sqlite:///{shop.program.folder / 'state.db'}"} if elsewhere else {}
    environ = {**state, "REHOOK_SYNC_LOG_FORMAT": "json", "REHOOK_SYNC_LOG_LEVEL": "debug", "REHOOK_SYNC_CHUNK_ROWS": "20"}
    assert shop("init", **state).code == 0
    with closing(sqlite3.connect(shop.database)) as warehouse:
        ((rows,),) = warehouse.execute("SELECT (SELECT COUNT(*) FROM identifies) + (SELECT COUNT(*) FROM tracks)")
    for most in (rows, 0):
        done = shop("run", "--since", "beginning", *options, "--json", **environ)
        said = [int(str(line["rows_found"])) for line in read_lines(done.err) if "rows_found" in line]
        # Copies of a call count until they are met.
        assert [each for each in said if not done.json["rows_read"] <= each <= most] == []


def test_quiet_says_nothing_when_all_is_well(delivered: Shop) -> None:
    user_id = delivered.sandbox.store.events[0].source_id
    commands = [
        ("check",),
        ("plan",),
        ("run",),
        ("run", "--json"),
        ("audit", "--since", "7d"),
        ("status",),
        ("explain", user_id),
        ("retry",),
    ]
    for command in commands:
        done = delivered(*command, "--quiet")
        assert (done.code, done.out, done.err) == (0, "", ""), command


def test_quiet_on_a_terminal_shows_no_bar(delivered: Shop) -> None:
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "rehook_sync", "run", "--quiet"]
    environ = delivered.program.clean_environ({"TERM": "xterm", "COLUMNS": "80"})
    done = subprocess.run(command, check=False, cwd=delivered.program.folder, env=environ, stdout=theirs, stderr=theirs, timeout=60)
    os.write(theirs, b"end")
    os.close(theirs)
    assert (done.returncode, os.read(ours, 65536)) == (0, b"end")
    os.close(ours)


def test_quiet_says_what_is_wrong(shop: Shop, program: Program) -> None:
    shop.ready().sandbox.faults.add("commit_then_drop", path="/events/invoke", times=1)
    done = shop("run", "--since", "beginning", "--quiet")
    assert done.code == 3
    assert "1    in doubt" in done.out
    assert done.err == ""
    assert shop("run", "--quiet", "--json").json["unsettled"]["in_doubt"] == 1
    shop.execute(
        "DELETE FROM sync_state WHERE stream = 'tracks' AND status = 'sent' AND message_id = (SELECT min(message_id) FROM sync_state)"
    )
    refused = shop("check", "--quiet", REHOOK_SYNC_API_SECRET="wrong")
    assert refused.code == 4
    assert "REHOOK_SYNC_API_SECRET" in refused.out
    unset = program("status", "--quiet")
    assert (unset.code, unset.out) == (2, "")
    assert "REHOOK_SYNC_WAREHOUSE_URL" in unset.err


def test_a_quiet_run_that_is_stopped_says_how_it_ended(shop: Shop) -> None:
    shop.ready().sandbox.stop()
    done = shop("run", "--since", "beginning", "--quiet", REHOOK_SYNC_MAX_ATTEMPTS="1")
    assert done.code == 4
    assert "stopped" in done.out
    assert re.fullmatch(r"error: [^\n]+\n", done.err)


def test_a_quiet_demo_prints_nothing(program: Program) -> None:
    done = program("demo", "--quiet")
    assert (done.code, done.out, done.err) == (0, "", "")


def test_a_run_with_nothing_new_loads_nothing_to_say_so(sandbox: Sandbox, program: Program) -> None:
    shop = make_shop(program.folder, f"sqlite:///{program.folder / 'shop.db'}", sandbox, start_at="beginning").ready()
    shop("run")
    process = shop.program.start_python("-X", "importtime", "-m", "rehook_sync", "run")
    _, loaded = process.communicate(timeout=60)
    assert process.returncode == 0
    assert 'event="run ended"' in loaded
    assert re.findall(r"\|\s+(structlog)\b", loaded) == []
