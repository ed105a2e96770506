"""Every command as users meet it: a process with arguments, settings, two output streams and an exit code."""

import json
import os
import pty
import re
import resource
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from rehook_sync import __version__
from rehook_sync.jobs.results import RunOptions
from rehook_sync.rules.watermark import Beginning
from rehook_sync.runtime import Interrupt
from rehook_sync.sandbox.server import Sandbox

from .conftest import SECRET, STATUSES, Done, Program, Shop, make_shop, stop, wait_until, write_settings

EVERYWHERE = {"--config", "--json", "--quiet", "--help"}
OPTIONS = {
    "init": {"--rotated-key"},
    "check": {"--all"},
    "plan": {"--since", "--until", "--stream", "--source", "--sample"},
    "run": {"--since", "--until", "--stream", "--source", "--limit", "--workers", "--abandon", "--dry-run"},
    "retry": {"--reason", "--stream", "--dry-run"},
    "revalidate": {"--reason", "--stream", "--dry-run"},
    "resolve": {"--resend", "--accept", "--all", "--dry-run"},
    "audit": {"--since", "--until", "--stream", "--source"},
    "prune": {"--older-than", "--dry-run"},
    "forget": {"--give-up", "--dry-run"},
    "status": {"--runs", "--prometheus"},
    "explain": {"--state-only", "--ask"},
    "report": {"--audit", "--out", "--since"},
    "sandbox": {"--port"},
    "demo": {"--keep"},
    "baseline": {"--since", "--until", "--stream", "--source", "--dry-run"},
    "refresh": {"--since", "--dry-run"},
    "copy-state": {"--to"},
    "verify": {"--sample"},
    "publish": {"--whole", "--end"},
}
HEAVY = re.compile(r"\b(pandas|sqlalchemy|aiohttp|httpx|starlette|uvicorn|numpy|pydantic_settings)\b")
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")


def numbers_by_name(text: str) -> dict[str, int]:
    """Read lines such as `  1,234  sent   ...` as name -> number."""
    return {name: int(number.replace(",", "")) for number, name in re.findall(r"^ *([\d,]+)  +(\w+(?: \w+)?)\b", text, re.MULTILINE)}


def assert_one_error(done: Done, code: int, *words: str) -> None:
    """The process ended with this code and one line on stderr, which holds these words."""
    assert (done.code, done.out) == (code, "")
    assert re.fullmatch(r"error: [^\n]+\n", done.err)
    for word in words:
        assert word in done.err


# Help, version, usage.


def test_help_lists_the_commands(program: Program) -> None:
    done = program("--help")
    assert done.code == 0
    listed = re.findall(r"^  ([a-z-]+)  ", done.out.partition("Commands:")[2], re.MULTILINE)
    assert listed == list(OPTIONS)
    assert "..." not in done.out.partition("Commands:")[2], "a command's help is cut off"


@pytest.mark.parametrize("command", OPTIONS)
def test_help_lists_the_options_of_a_command(program: Program, command: str) -> None:
    done = program(command, "--help")
    assert done.code == 0
    assert set(re.findall(r"^  (?:-h, )?(--[a-z-]+)", done.out, re.MULTILINE)) == OPTIONS[command] | EVERYWHERE


def test_without_arguments_it_shows_help_and_counts_as_wrong_usage(program: Program) -> None:
    done = program()
    assert done.code == 2
    assert "Commands:" in done.out


FROM_NOTHING = [
    ("init",),
    ("check",),
    ("plan",),
    ("run", "--dry-run"),
    ("retry", "--dry-run"),
    ("revalidate", "--dry-run"),
    ("resolve", "--accept", "nothing", "--dry-run"),
    ("audit", "--since", "1d"),
    ("prune", "--older-than", "30d", "--dry-run"),
    ("forget", "nobody", "--dry-run"),
    ("status", "--json"),
    ("explain", "nobody"),
    ("report", "--since", "1d"),
    ("nonsense",),
]
"""One form of each command that ends by itself."""


@pytest.mark.parametrize("arguments", FROM_NOTHING, ids=" ".join)
def test_a_fork_of_the_tests_is_what_a_process_from_nothing_is(delivered: Shop, arguments: tuple[str, ...]) -> None:
    """So a module that a command forgets to import is missed, although the process that forks has it."""
    forked, begun = delivered(*arguments), delivered.program.run_from_nothing(*arguments)
    assert (forked.code, forked.out.count("\n")) == (begun.code, begun.out.count("\n"))
    assert re.sub(r"\d+", "0", forked.err) == re.sub(r"\d+", "0", begun.err)


def test_version(program: Program) -> None:
    done = program("--version")
    assert (done.code, done.out, done.err) == (0, f"rehook-sync {__version__}\n", "")


@pytest.mark.parametrize("arguments", [("--version",), ("--help",), ("run", "--help")])
def test_help_and_version_load_nothing_heavy(program: Program, arguments: tuple[str, ...]) -> None:
    process = program.start_python("-X", "importtime", "-m", "rehook_sync", *arguments)
    _, loaded = process.communicate(timeout=60)
    assert process.returncode == 0
    assert HEAVY.findall(loaded) == []


def test_version_is_there_at_once(program: Program) -> None:
    spent = []
    for _ in range(3):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        program.run_from_nothing("--version")
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        spent.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    assert min(spent) < 0.4


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--nonsense",), ("--nonsense", "--help")),
        (("nonsense",), ("nonsense", "--help")),
        (("run", "--nonsense"), ("--nonsense", "run --help")),
        (("run", "--limit", "0"), ("--limit",)),
        (("run", "--stream", "pages"), ("--stream", "identifies")),
        (("status", "--runs", "many"), ("--runs",)),
        (("explain",), ("ID",)),
        (("run", "--since", "yesterday"), ("--since", "'yesterday' is no time")),
        (("run", "--until", "beginning"), ("--until",)),
        (("sandbox", "--port", "70000"), ("--port",)),
        (("run", "--source", "a", "--source=b"), ("--source takes one",)),
        (("plan", "--stream", "tracks", "--stream", "identifies"), ("--stream takes one",)),
    ],
)
def test_wrong_usage_is_one_line_and_exit_2(program: Program, arguments: tuple[str, ...], words: tuple[str, ...]) -> None:
    write_settings(program.folder / "rehook_sync.toml", {"warehouse_url": "sqlite:///none.db"})
    assert_one_error(program(*arguments), 2, *words)


def test_wrong_usage_as_json(program: Program) -> None:
    done = program("run", "--nonsense", "--json")
    assert done.code == 2
    assert done.json["error"]["exit_code"] == 2
    assert f"error: {done.json['error']['message']}\n" == done.err


# Settings.


@pytest.mark.parametrize("command", [("init",), ("plan",), ("run",), ("status",), ("explain", "user_00001")])
def test_wrong_settings_are_one_line_each_and_exit_2(program: Program, command: tuple[str, ...]) -> None:
    done = program(*command, REHOOK_SYNC_TIMOUT="3", REHOOK_SYNC_CONCURRENCY="none")
    assert (done.code, done.out) == (2, "")
    lines = done.err.splitlines()
    assert all(line.startswith("error: REHOOK_SYNC_") for line in lines)
    assert {re.findall(r"REHOOK_SYNC_\w+", line)[0] for line in lines} == {
        "REHOOK_SYNC_TIMOUT",
        "REHOOK_SYNC_CONCURRENCY",
        "REHOOK_SYNC_WAREHOUSE_URL",
    }


def test_missing_settings_file_is_named(program: Program) -> None:
    assert_one_error(program("status", "--config", "none.toml"), 2, "none.toml")


def test_settings_file_can_be_anywhere(shop: Shop, tmp_path: Path) -> None:
    elsewhere = tmp_path / "conf" / "mine.toml"
    elsewhere.parent.mkdir()
    (tmp_path / "rehook_sync.toml").rename(elsewhere)
    assert_one_error(shop("init"), 2, "REHOOK_SYNC_WAREHOUSE_URL")
    assert shop("init", "--config", str(elsewhere)).code == 0


# init and check.


def test_init_creates_and_is_safe_to_repeat(shop: Shop) -> None:
    first = shop("init", "--json").json
    assert first["applied"]
    assert shop("init", "--json").json == {"version": first["version"], "applied": []}
    assert f"version {first['version']}" in shop("init").out


def test_init_says_what_it_did_in_one_short_line(shop: Shop) -> None:
    created = shop("init").out
    assert re.fullmatch(r"created: the sync-state tables have version \d+\n", created)
    assert shop("init").out == created.replace("created", "up to date")


def test_check_finds_all_in_order(delivered: Shop) -> None:
    found = delivered("check", "--json")
    assert found.code == 0
    assert found.json["ok"] is True
    assert found.json["error"] is None
    assert all(found.json[name]["ok"] for name in ("settings", "warehouse", "state", "rehook"))
    layout = found.json["warehouse"]["layout"]
    assert layout["track_properties"] == "event_tables"
    assert "signup" in layout["event_tables"]
    assert "email" in layout["traits"]
    shown = delivered("check", "--all")
    assert shown.code == 0
    for word in ("identifies", "event_tables", "received_at", "api_secret", "***"):
        assert word in shown.out


def test_check_goes_on_after_a_problem(shop: Shop) -> None:
    found = shop("check", "--json")
    assert found.code == 2
    assert found.json["error"]["type"] == "StateVersionError"
    assert "init" in found.json["state"]["error"]["message"]
    assert found.json["warehouse"]["ok"]
    assert found.json["rehook"]["ok"]


def test_check_exits_with_the_first_problem(shop: Shop) -> None:
    shop.ready()
    refused = shop("check", "--json", REHOOK_SYNC_API_SECRET="wrong")
    assert (refused.code, refused.json["error"]["type"]) == (4, "CredentialsRefusedError")
    missing_table = shop("check", "--json", REHOOK_SYNC_TRACKS_TABLE="nowhere", REHOOK_SYNC_API_SECRET="wrong")
    assert (missing_table.code, missing_table.json["warehouse"]["ok"], missing_table.json["rehook"]["ok"]) == (2, False, False)
    assert "nowhere" in shop("check", REHOOK_SYNC_TRACKS_TABLE="nowhere").out
    shop.sandbox.stop()
    down = shop("check", "--json")
    assert (down.code, down.json["error"]["type"]) == (4, "ApiDownError")


def test_check_tells_wrong_settings_and_looks_no_further(program: Program) -> None:
    found = program("check", "--json", REHOOK_SYNC_WAREHOUSE_URL="nonsense")
    assert found.code == 2
    assert [found.json[name]["ok"] for name in ("settings", "warehouse", "state", "rehook")] == [False, None, None, None]
    assert "REHOOK_SYNC_WAREHOUSE_URL" in program("check", REHOOK_SYNC_WAREHOUSE_URL="nonsense").out


def test_check_writes_nothing(shop: Shop) -> None:
    before = shop.database.read_bytes()
    assert shop("check").code == 2
    assert shop.database.read_bytes() == before


@pytest.mark.parametrize("command", ["check", "plan", "status"])
def test_commands_that_look_create_no_state_file(shop: Shop, tmp_path: Path, command: str) -> None:
    elsewhere = tmp_path / "state.db"
    assert shop(command, REHOOK_SYNC_STATE_URL=f"sqlite:///{elsewhere}").code == 2
    assert not elsewhere.exists()


# plan.


def test_plan_accounts_for_every_call_and_touches_nothing(shop: Shop) -> None:
    shop.ready()
    asked = len(shop.sandbox.store.log)
    before = shop.database.read_bytes()
    plan = shop("plan", "--since", "beginning", "--json").json
    assert plan["rows"] == sum(plan["actions"].values()) == shop.calls
    assert plan["actions"]["rejected"] == sum(plan["rejected_by_reason"].values())
    assert plan["windows"]["tracks"]["low"] is None
    assert TIME.fullmatch(plan["windows"]["tracks"]["high"])
    assert plan["samples"] == []
    assert shop.database.read_bytes() == before
    assert len(shop.sandbox.store.log) == asked
    assert shop.report().runs == []


def test_plan_says_what_run_then_does(shop: Shop) -> None:
    shop.ready()
    plan = shop("plan", "--since", "beginning", "--json").json
    run = shop("run", "--since", "beginning", "--json").json
    refused = run["rejected_by_reason"].get("refused_by_rehook", 0)
    assert plan["actions"]["events"] + plan["actions"]["customer_upserts"] == run["sent"] + refused
    assert plan["actions"]["rejected"] == run["rejected"] - refused


def test_plan_shows_sample_bodies(shop: Shop) -> None:
    shop.ready()
    samples = shop("plan", "--since", "beginning", "--sample", "3", "--json").json["samples"]
    assert [set(json.loads(each)) >= {"source_id", "metadata"} for each in samples] == [True] * 3
    shown = shop("plan", "--since", "beginning", "--sample", "3").out
    assert all(f"sample {number}  {body}\n" in shown for number, body in enumerate(samples, 1))


def test_plan_for_people_adds_up(shop: Shop) -> None:
    shop.ready()
    numbers = numbers_by_name(shop("plan", "--since", "beginning").out)
    parts = [numbers[name] for name in ("events", "customer upserts", "merged", "unchanged", "rejected")]
    assert numbers["rows"] == sum(parts) == shop.calls


def test_dry_run_is_a_plan(shop: Shop) -> None:
    shop.ready()
    dry = shop("run", "--dry-run", "--since", "beginning", "--limit", "20", "--json").json
    assert dry["rows"] == sum(dry["actions"].values()) == 20
    assert shop.sandbox.store.log == []
    assert shop.report().runs == []


def test_plan_of_one_stream_and_a_window(delivered: Shop) -> None:
    plan = delivered("plan", "--since", "7d", "--until", "1d", "--stream", "tracks", "--json").json
    assert list(plan["windows"]) == ["tracks"]
    assert plan["rows"] == 0


# run.


def test_first_run_must_say_where_to_begin(shop: Shop) -> None:
    shop.ready()
    assert_one_error(shop("run"), 2, "--since beginning", "REHOOK_SYNC_START_AT")


def test_run_before_init_says_so(shop: Shop) -> None:
    assert_one_error(shop("run", "--since", "beginning"), 2, "init")


def test_run_adds_up_on_both_sides_and_a_second_one_sends_nothing(shop: Shop) -> None:
    shop.ready()
    done = shop("run", "--since", "beginning", "--json")
    assert done.code == 0
    run = done.json
    assert run["status"] == "succeeded"
    assert run["rows_read"] == sum(run[status] for status in STATUSES) == shop.calls
    assert run["rejected"] == sum(run["rejected_by_reason"].values()) == sum(shop.facts.rejected.values())
    assert run["requests"] == len(shop.sandbox.store.log)
    assert len(shop.sandbox.store.events) == shop.facts.events
    assert len(shop.sandbox.store.customers) == shop.facts.customers
    assert all(TIME.fullmatch(each) for each in run["watermarks"].values())
    assert run["error"] is None
    again = shop("run", "--json")
    assert (again.code, again.json["rows_read"], again.json["requests"]) == (0, 0, 0)


def test_run_for_people_adds_up(shop: Shop) -> None:
    shop.ready()
    done = shop("run", "--since", "beginning")
    assert done.code == 0
    numbers = numbers_by_name(done.out)
    assert numbers["rows"] == sum(numbers[status.replace("_", " ")] for status in STATUSES if status != "skipped") == shop.calls
    assert sum(count for name, count in numbers.items() if name in shop.facts.rejected) == numbers["rejected"]
    assert "succeeded" in done.out
    assert "watermark" in done.out


def test_run_without_a_terminal_writes_log_lines(shop: Shop) -> None:
    shop.ready()
    done = shop("run", "--since", "beginning", "--json")
    assert "run_id" in done.json
    assert done.err
    for log_line in done.err.splitlines():
        assert re.match(r'timestamp=\S+Z level=info event="run (started|goes on|ended)" run_id=\S+', log_line)


def test_run_on_a_terminal_shows_a_bar_and_leaves_none(shop: Shop) -> None:
    shop.ready()
    shop.sandbox.faults.add("delay", delay_s=0.02)
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "rehook_sync", "run", "--since", "beginning"]
    environ = shop.program.clean_environ({"TERM": "xterm", "COLUMNS": "80", "REHOOK_SYNC_CONCURRENCY": "4"})
    process = subprocess.Popen(command, cwd=shop.program.folder, env=environ, stdout=subprocess.PIPE, stderr=theirs)
    os.close(theirs)
    shown = read_terminal(ours)
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    bars = [each for each in re.split(r"[\r\n]", strip_colours(shown)) if "delivering" in each]
    assert bars
    assert re.search(r"read \d+ · sent \d+ · rejected \d+", bars[-1])
    assert any(re.search(r"\d/s \d\d:\d\d", each) for each in bars)
    assert shown.rstrip().endswith("\x1b[2K"), "the bar is wiped at the end"
    assert "timestamp=" not in shown
    assert b"succeeded" in out


def read_terminal(descriptor: int) -> str:
    """Read until the other side is closed."""
    pieces: list[bytes] = []
    while True:
        try:
            piece = os.read(descriptor, 65536)
        except OSError:
            piece = b""
        if not piece:
            os.close(descriptor)
            return b"".join(pieces).decode()
        pieces.append(piece)


def strip_colours(text: str) -> str:
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text)


def test_run_in_portions(shop: Shop) -> None:
    shop.ready()
    first = shop("run", "--since", "beginning", "--limit", "30", "--json").json
    assert first["rows_read"] == 30
    one = shop("run", "--since", "beginning", "--stream", "identifies", "--json").json
    assert list(one["watermarks"]) == ["identifies"]
    rest = shop("run", "--since", "beginning", "--json").json
    assert first["rows_read"] + one["rows_read"] + rest["rows_read"] == shop.calls == sum(shop.counts().values())


def test_run_bounds_that_leave_nothing_are_refused(delivered: Shop) -> None:
    assert_one_error(delivered("run", "--since", "2099-01-01"), 2, "future")
    assert_one_error(delivered("run", "--since", "2026-01-02", "--until", "2026-01-01"), 2, "--until")


def test_rows_that_need_attention_give_exit_3(shop: Shop) -> None:
    shop.ready()
    shop.sandbox.faults.add("commit_then_drop", path="/events/invoke", times=1)
    done = shop("run", "--since", "beginning", "--json")
    assert done.code == 3
    assert (done.json["status"], done.json["in_doubt"], done.json["unsettled"]["in_doubt"]) == ("attention", 1, 1)
    assert done.json["rows_read"] == sum(done.json[status] for status in STATUSES)
    later = shop("run")
    assert later.code == 3
    assert "1 in doubt from earlier runs" in later.out
    assert "next: " in later.out
    assert shop.counts()["in_doubt"] == 1


def test_refused_credentials_give_exit_4_and_mark_nothing(shop: Shop) -> None:
    shop.ready()
    done = shop("run", "--since", "beginning", "--json", REHOOK_SYNC_API_SECRET=SECRET)
    assert done.code == 4
    assert (done.json["status"], done.json["error"]["type"], done.json["error"]["exit_code"]) == ("stopped", "CredentialsRefusedError", 4)
    assert done.json["watermarks"] == {"identifies": None, "tracks": None}
    assert sum(done.json["rejected_by_reason"].values()) == done.json["rejected"]
    assert SECRET not in done.out + done.err
    assert re.search(r"^error: .*REHOOK_SYNC_API_SECRET", done.err, re.MULTILINE)
    assert shop.counts().keys() <= {"rejected"}


def test_missing_credentials_give_exit_2(shop: Shop, tmp_path: Path) -> None:
    shop.ready()
    config = tmp_path / "rehook_sync.toml"
    config.write_text(re.sub(r"api_(key|secret) = .*\n", "", config.read_text()))
    done = shop("run", "--since", "beginning")
    assert (done.code, len(done.err.splitlines())) == (2, 2)


def test_api_that_is_down_gives_exit_4(shop: Shop) -> None:
    shop.ready()
    shop.sandbox.stop()
    done = shop("run", "--since", "beginning", REHOOK_SYNC_MAX_ATTEMPTS="1")
    assert done.code == 4
    assert "stopped" in done.out
    assert done.err.count("error: ") == 1


def test_second_run_at_the_same_time_gives_exit_5(shop: Shop) -> None:
    shop.ready()
    shop.sandbox.faults.add("delay", delay_s=0.2)
    first = shop.program.start("run", "--since", "beginning", "--json", REHOOK_SYNC_CONCURRENCY="1")
    wait_until(lambda: len(shop.sandbox.store.log) > 3)
    second = shop("run", "--since", "beginning", "--json")
    assert (second.code, second.json["error"]["type"], second.json["error"]["exit_code"]) == (5, "LeaseHeldError", 5)
    held = shop("status", "--json").json["lease"]
    assert held["held"] is True
    assert f"held by run {held['run_id']}" in shop("status").out
    assert stop(first, signal.SIGTERM).code == 143


# Interrupts.


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130), (signal.SIGHUP, 129), (signal.SIGQUIT, 131)])
def test_interrupted_run_settles_what_is_in_flight(shop: Shop, number: signal.Signals, code: int) -> None:
    shop.ready()
    slow = shop.sandbox.faults.add("delay", delay_s=0.3)
    process = shop.program.start("run", "--since", "beginning", "--json", REHOOK_SYNC_CONCURRENCY="8")
    wait_until(lambda: len(shop.sandbox.store.log) > 20)
    done = stop(process, number)
    assert done.code == code
    run = done.json
    assert run["status"] == "interrupted"
    assert run["rows_read"] == sum(run[status] for status in STATUSES) == sum(shop.counts().values())
    assert run["sent"] == sum(each.accepted for each in shop.sandbox.store.log)
    assert 0 < run["sent"] < shop.facts.events
    assert (run["failed"], run["in_doubt"]) == (0, 0)
    assert "event=stopping" in done.err
    shop.sandbox.faults.remove(slow.id)
    rest = shop("run", "--since", "beginning", "--json")
    assert rest.code == 0
    assert len(shop.sandbox.store.events) == shop.facts.events
    assert sum(shop.counts().values()) == shop.calls


def test_signals_at_once_are_one_request(shop: Shop) -> None:
    """As `timeout` sends them: to its command, and to the group of processes that the command is in."""
    shop.ready()
    slow = shop.sandbox.faults.add("delay", delay_s=0.3)
    process = shop.program.start("run", "--since", "beginning", "--json", REHOOK_SYNC_CONCURRENCY="8")
    wait_until(lambda: len(shop.sandbox.store.log) > 20)
    process.send_signal(signal.SIGTERM)
    time.sleep(0.05)
    done = stop(process, signal.SIGTERM)
    assert (done.code, done.json["status"], done.json["in_doubt"]) == (143, "interrupted", 0)
    shop.sandbox.faults.remove(slow.id)
    assert shop("run").code == 0
    assert sum(shop.counts().values()) == shop.calls
    assert len(shop.sandbox.store.events) == shop.facts.events


def test_second_interrupt_gives_up_at_once_and_the_next_run_cleans_up(shop: Shop) -> None:
    shop.ready()
    hang = shop.sandbox.faults.add("hang", path="/events/invoke", skip=5)
    process = shop.program.start("run", "--since", "beginning", REHOOK_SYNC_CONCURRENCY="8")
    wait_until(lambda: hang.met > 3)
    process.send_signal(signal.SIGTERM)
    time.sleep(1.1)
    assert process.poll() is None, "it waits for what hangs"
    began = time.monotonic()
    done = stop(process, signal.SIGTERM)
    assert done.code == 143
    assert time.monotonic() - began < 2
    assert done.err.splitlines()[-1].startswith("error: gave up at once")
    shop.sandbox.faults.clear()
    shop.execute("UPDATE sync_lease SET expires_at = '2026-01-01T00:00:00.000000Z'")  # as if its time had passed
    after = shop("run", "--since", "beginning", "--json")
    assert after.code == 3
    assert [each["status"] for each in after.json["recovered"]] == ["crashed"]
    counts = shop.counts()
    assert sum(counts.values()) == shop.calls
    assert counts["in_doubt"] <= 16
    assert len(shop.sandbox.store.events) + counts["in_doubt"] == shop.facts.events


def test_other_commands_end_quietly_when_interrupted(shop: Shop) -> None:
    shop.ready()
    shop.sandbox.faults.add("hang")
    for number, code in ((signal.SIGTERM, 143), (signal.SIGINT, 130)):
        process = shop.program.start("check")
        asked = len(shop.sandbox.store.log)
        wait_until(lambda asked=asked: len(shop.sandbox.store.log) > asked)  # type: ignore[misc]
        done = stop(process, number)
        assert (done.code, done.err) == (code, "")


STOPPED_WHILE_LOADING = """
import os, runpy, sys
number = int(sys.argv.pop(1))
class Stop:
    def find_spec(self, name, path=None, target=None):
        if name == "rehook_sync.cli.commands":
            os.kill(os.getpid(), number)
sys.meta_path.insert(0, Stop())
runpy.run_module("rehook_sync", run_name="__main__", alter_sys=True)
"""


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_command_that_is_stopped_while_it_loads_ends_quietly(program: Program, number: signal.Signals, code: int) -> None:
    process = program.start_python("-c", STOPPED_WHILE_LOADING, str(int(number)), "--version")
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out, err) == (code, "", "")


# status and explain.


def test_status_shows_runs_watermarks_counts_and_lease(delivered: Shop) -> None:
    report = delivered("status", "--json").json
    assert [run["status"] for run in report["runs"]] == ["succeeded"]
    assert report["runs"][0]["trigger"] == "cli"
    assert sum(row["n"] for row in report["counts"]) == delivered.calls
    assert report["lease"]["held"] is False
    for stream in ("identifies", "tracks"):
        mark = report["watermarks"][stream]
        assert TIME.fullmatch(mark["high_at"])
        assert mark["lag_s"] > 0
    shown = delivered("status", COLUMNS="80").out
    assert report["runs"][0]["started_at"][:10] in shown
    assert f"{delivered.calls:,}" in shown
    assert "anonymous_id_present" in shown
    assert "lease  free" in shown
    assert max(len(line) for line in shown.splitlines()) <= 80


def test_status_shows_so_many_runs(shop: Shop) -> None:
    shop.ready()
    assert "no run yet" in shop("status").out
    with shop.opened() as sync:
        for _ in range(3):
            sync.run(RunOptions(Beginning.BEGINNING, limit=1), Interrupt())
    assert len(shop("status", "--json").json["runs"]) == 3
    assert len(shop("status", "--json", "--runs", "2").json["runs"]) == 2


def test_explain_tells_of_a_user_and_of_a_message(delivered: Shop) -> None:
    user_id = delivered.sandbox.store.events[0].source_id
    story = delivered("explain", user_id, "--json").json
    assert story["id"] == user_id
    assert story["customer"]["source_id"] == user_id
    assert {row["user_id"] for row in story["rows"]} == {user_id}
    occurred = [row["occurred_at"] for row in story["rows"]]
    assert occurred == sorted(occurred)
    message_id = story["rows"][0]["message_id"]
    assert delivered("explain", message_id, "--json").json["rows"] == story["rows"][:1]
    shown = delivered("explain", user_id).out
    assert all(row["message_id"] in shown and row["run_id"] in shown for row in story["rows"])
    assert user_id in delivered("explain", message_id).out


def test_explain_says_why_a_call_was_rejected(delivered: Shop) -> None:
    (message_id,) = delivered.execute("SELECT message_id FROM sync_state WHERE reason = 'missing_referral_code'")[0]
    shown = delivered("explain", message_id).out
    assert "rejected" in shown
    assert "a conversion event without referral_code (missing_referral_code)" in shown


def test_explain_of_an_unknown_id(delivered: Shop) -> None:
    done = delivered("explain", "nobody")
    assert (done.code, done.err) == (0, "")
    assert "nothing is known about nobody" in done.out
    empty: dict[str, object] = {"id": "nobody", "rows": [], "related": [], "customer": None, "notes": []}
    assert delivered("explain", "nobody", "--json").json == empty | {"not_judged": [], "detached": []}
    assert delivered("explain", "nobody", "--json", "--state-only").json == empty | {"not_judged": None, "detached": None}


def test_what_comes_from_data_cannot_drive_the_terminal(shop: Shop) -> None:
    shop.ready()
    event, user_id = "[red]\x1b[31mevil\r\n\x9b2J\u202e", "[/]\x07user"
    columns, times = "(id, user_id, event, event_text, received_at, timestamp)", "(SELECT min(received_at) FROM tracks)"
    shop.execute(f"INSERT INTO tracks {columns} VALUES ('evil-1', ?, 'evil', ?, {times}, {times})", user_id, event)
    with shop.opened() as sync:
        sync.run(RunOptions(Beginning.BEGINNING), Interrupt())
    by_message, by_user, document = shop("explain", "evil-1"), shop("explain", user_id), shop("explain", "evil-1", "--json")
    for done in (by_message, by_user, document):
        assert done.code == 0
        assert all(each.isprintable() for each in done.out.replace("\n", ""))
    assert r"[red]\x1b[31mevil\x0d\x0a\x9b2J\u202e" in by_message.out
    assert r"[/]\x07user" in by_message.out
    assert r"[/]\x07user  1 call" in by_user.out
    assert (document.json["rows"][0]["event"], document.json["rows"][0]["user_id"]) == (event, user_id)


# Streams, secrets, surprises.


def test_secrets_are_never_shown(shop: Shop) -> None:
    shop.ready()
    environ = {"REHOOK_SYNC_API_KEY": f"key-{SECRET}", "REHOOK_SYNC_API_SECRET": SECRET}
    environ["REHOOK_SYNC_STATE_URL"] = f"postgresql://someone:{SECRET}@127.0.0.1:9/state"
    for command in (
        ("check",),
        ("run", "--since", "beginning"),
        ("status",),
        ("plan",),
        ("init",),
        ("check", "--json"),
        ("status", "--json"),
    ):
        done = shop(*command, **environ)
        assert done.code != 0
        assert SECRET not in done.out + done.err


def test_unexpected_errors_tell_their_place_and_no_data(program: Program) -> None:
    code = (
        "import sys\nfrom rehook_sync import __main__ as entry, cli\n"
        "@cli.app.command()\ndef boom() -> None:\n    cli._moment('--since', object(), None)\n"
        "sys.argv = ['rehook-sync', *sys.argv[1:]]\nentry.main()"
    )
    process = program.start_python("-c", code, "boom")
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (1, "")
    assert re.fullmatch(r"error: unexpected \w+ at rehook_sync/[\w/]+\.py:\d+; `--traceback` before the command shows more\n", err)
    process = program.start_python("-c", code, "--traceback", "boom")
    _, err = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "Traceback" in err


@pytest.mark.parametrize("command", [("status",), ("status", "--json"), ("explain", "user_00001"), ("check",)])
def test_reader_that_leaves_is_no_error(delivered: Shop, command: tuple[str, ...]) -> None:
    process = delivered.program.start(*command)
    assert process.stdout is not None
    process.stdout.close()
    process.stdout = None
    _, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (0, "")


def test_output_that_cannot_show_all_letters(delivered: Shop) -> None:
    done = delivered("plan", "--since", "beginning", "--sample", "5", PYTHONIOENCODING="ascii", LANG="C")
    assert (done.code, done.err) == (0, "")


def test_times_are_utc_text_in_every_document(delivered: Shop) -> None:
    user_id = delivered.sandbox.store.events[0].source_id
    documents = [delivered(*command, "--json").json for command in (("status",), ("explain", user_id), ("plan",))]
    times = [value for document in documents for name, value in leaves(document) if name.endswith("_at") or name in {"low", "high", "now"}]
    assert len(times) > 10
    assert [each for each in times if each is not None and not TIME.fullmatch(each)] == []


def leaves(value: Any, name: str = "") -> list[tuple[str, Any]]:
    if isinstance(value, dict):
        return [leaf for key, each in value.items() for leaf in leaves(each, key)]
    if isinstance(value, list):
        return [leaf for each in value for leaf in leaves(each, name)]
    return [(name, value)]


# The sandbox, and the other database.


def test_sandbox_says_how_to_reach_it_and_stops_quietly(program: Program, shop: Shop) -> None:
    shop.ready()
    process = program.start("sandbox", "--port", "0", "--json")
    assert process.stdout is not None
    greeting = json.loads(process.stdout.readline())
    assert greeting["url"] == greeting["settings"]["REHOOK_SYNC_API_URL"]
    assert shop("check", **greeting["settings"]).code == 0
    taken = program("sandbox", "--port", greeting["url"].rpartition(":")[2])
    assert_one_error(taken, 2, "--port")
    done = stop(process, signal.SIGTERM)
    assert (done.code, done.out, done.err) == (0, "", "")


def test_sandbox_prints_settings_a_shell_understands(program: Program) -> None:
    write_settings(program.folder / "shop.toml", {"warehouse_url": "sqlite:///none.db", "conversion_events": ["signup"]})
    process = program.start("sandbox", "--port", "0", "--config", "shop.toml")
    assert process.stdout is not None
    lines: list[str] = []
    while not lines or "_sandbox/faults" not in lines[-1]:
        lines.append(process.stdout.readline())
    exports = dict(shlex.split(each)[1].split("=", 1) for each in lines if each.startswith("  export "))
    assert set(exports) == {"REHOOK_SYNC_API_URL", "REHOOK_SYNC_API_KEY", "REHOOK_SYNC_API_SECRET"}
    assert stop(process, signal.SIGINT).code == 0


def test_the_same_on_postgresql(tmp_path: Path, sandbox: Sandbox, postgres_url: str) -> None:
    shop = make_shop(tmp_path, postgres_url, sandbox).ready()
    done = shop("run", "--since", "beginning", "--json")
    assert done.code == 0
    assert done.json["rows_read"] == sum(done.json[status] for status in STATUSES) == shop.calls
    assert len(sandbox.store.events) == shop.facts.events
    report = shop("status", "--json").json
    assert sum(row["n"] for row in report["counts"]) == shop.calls
    assert all(TIME.fullmatch(report["watermarks"][stream]["high_at"]) for stream in ("identifies", "tracks"))
    assert shop("status").code == 0
    assert shop("check").code == 0
    assert shop("run", "--json").json["requests"] == 0
    user_id = sandbox.store.events[0].source_id
    assert shop("explain", user_id, "--json").json["rows"]
