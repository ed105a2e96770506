"""What the commands say: nothing that is not so, in lines that can be read where they are shown."""

import os
import pty
import re
import subprocess
import time
from pathlib import Path

import pytest

from .conftest import Shop

ROOT = Path(__file__).resolve().parents[2]
ISO = re.compile(r"\+00:00|\d\.\d{6}")


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_plan_has_rejected_nothing_and_a_run_says_what_to_do_then(shop: Shop, workers: str) -> None:
    shop.ready().execute("UPDATE tracks SET anonymous_id = 'a'")
    plan = shop("plan", "--since", "beginning", "--json").json
    rejected = plan["rejected_by_reason"]["anonymous_id_present"]
    (note,) = [each for each in plan["notes"] if "anonymous_id" in each]
    assert note == (
        f"{rejected} of {plan['rows']} rows carry an anonymous_id and would be rejected for it; all of these carry a user_id, too: "
        "if they should go out, set REHOOK_SYNC_ANONYMOUS_CALLS=allow_with_user_id"
    )
    run = shop("run", "--since", "beginning", "--json", "--workers", workers).json
    assert note.replace("would be", "were") + ", then `revalidate --reason anonymous_id_present`" in run["notes"]
    nobodies = shop.execute("SELECT count(*) FROM sync_state WHERE reason = 'anonymous_id_present' AND trim(coalesce(user_id, '')) = ''")
    assert nobodies == [(0,)]
    again = shop("revalidate", "--dry-run", REHOOK_SYNC_ANONYMOUS_CALLS="allow_with_user_id").out
    assert re.search(r"[\d,]+  rows +of them [\d,]+ rejected before\n", again)
    assert "failed before" not in again


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("prune --older-than 1d", "--older-than must not be less than the lookback (3d): those rows are still in use"),
        ("run --since 2099-01-01T12:00:00.123", "--since 2099-01-01T12:00:00Z lies in the future; give a --since before now"),
        ("plan --since 2026-01-02 --until 2026-01-01", "--since 2026-01-02T00:00:00Z is not before --until 2026-01-01T00:00:00Z"),
        ("audit --since 2099-01-01", "--since 2099-01-01T00:00:00Z is not before the end of the period, 20"),
        ("baseline --since 2020-01-01 --until 2099-01-01", "--until 2099-01-01T00:00:00Z lies in the future: give a time before now (20"),
        ("baseline --since 2026-01-02 --until 2026-01-01", "--since 2026-01-02T00:00:00Z is not before --until 2026-01-01T00:00:00Z"),
    ],
)
def test_times_and_durations_are_written_as_people_write_them(delivered: Shop, command: str, said: str) -> None:
    done = delivered(*command.split())
    assert done.code == 2
    assert done.err.startswith(f"error: {said}")
    assert ISO.search(done.err) is None


@pytest.mark.parametrize("command", ["init", "run", "status", "check"])
def test_a_missing_folder_of_the_state_is_one_line(delivered: Shop, command: str) -> None:
    done = delivered(command, REHOOK_SYNC_STATE_URL="sqlite:////nowhere/at/all/state.db")
    assert done.code == 2
    said = "REHOOK_SYNC_STATE_URL: there is no folder '/nowhere/at/all' for the SQLite file 'state.db'; make it"
    assert said in (done.out if command == "check" else done.err)


def test_a_copy_to_a_missing_folder_is_one_line(delivered: Shop) -> None:
    done = delivered("copy-state", "--to", "sqlite:////nowhere/at/all/state.db")
    assert re.fullmatch(r"error: [^\n]*there is no folder '/nowhere/at/all'[^\n]*\n", done.err)


@pytest.mark.parametrize("url", ["mysql://u:p@h/d", "oracle://u:p@h/d", "nonsense://h/d"])
def test_the_driver_of_another_warehouse_is_not_that_of_postgresql(delivered: Shop, url: str) -> None:
    done = delivered("plan", REHOOK_SYNC_WAREHOUSE_URL=url, REHOOK_SYNC_STATE_URL="sqlite:///state.db")
    assert done.code == 2
    assert re.fullmatch(r"error: [^\n]*is missing: [^\n]*; install the SQLAlchemy driver of that database\n", done.err)


def test_check_says_first_whether_all_is_well(delivered: Shop) -> None:
    lines = delivered("check").out.splitlines()
    assert lines[0] == "all is well"
    assert [line.split()[:2] for line in lines if re.match(r"\w+ +ok", line)] == [
        [name, "ok"] for name in ("settings", "warehouse", "state", "rehook", "notify")
    ]
    assert not any(line.startswith("chunk_rows") for line in lines)
    everything = delivered("check", "--all").out.splitlines()
    assert everything[: len(lines)] == lines
    assert any(line.startswith("chunk_rows") for line in everything)


def test_check_says_next_what_is_wrong(delivered: Shop) -> None:
    done = delivered("check", REHOOK_SYNC_API_SECRET="wrong")
    lines = done.out.splitlines()
    assert (done.code, lines[0]) == (4, "not ready: see rehook")
    assert lines[1].split()[:2] == ["rehook", "problem"]
    assert [line.split()[1] for line in lines[2:] if re.match(r"\w+ +(ok|problem)", line)] == ["ok"] * 4


@pytest.mark.parametrize("command", ["check", "status", "plan"])
def test_piped_output_is_neither_wrapped_nor_padded(delivered: Shop, command: str) -> None:
    done = delivered(command, REHOOK_SYNC_API_SECRET="wrong")
    assert all(line == line.rstrip() for line in done.out.splitlines())
    if command == "check":
        (problem,) = [line for line in done.out.splitlines() if line.startswith("rehook ")]
        assert problem.endswith("then run again: no row was marked for it")
        assert max(map(len, done.out.splitlines())) > 120


@pytest.mark.parametrize("columns", ["40", "63"])
def test_status_fits_a_narrow_screen(shop: Shop, columns: str) -> None:
    shop.ready().sandbox.faults.add("commit_then_drop", path="/events/invoke", times=1)
    assert shop("run", "--since", "beginning", "--json").code == 3
    lines = shop("status", COLUMNS=columns).out.splitlines()
    assert [line for line in lines if len(line) > 40] == []
    counts = shop.counts()
    assert "        1  in doubt" in lines
    assert counts["in_doubt"] == 1
    assert any(line.startswith("  watermark 20") for line in lines)
    assert any(line.endswith("  attention") for line in lines)


def test_a_story_counts_all_its_calls_and_says_an_advice_once(shop: Shop) -> None:
    shop.ready()
    user, *_ = shop.execute("SELECT user_id FROM tracks WHERE user_id IS NOT NULL GROUP BY user_id ORDER BY count(*) DESC LIMIT 1")[0]
    until = shop.execute("SELECT received_at FROM tracks WHERE user_id = ? ORDER BY received_at LIMIT 1 OFFSET 3", user)[0][0]
    assert shop("run", "--since", until.partition(".")[0].rstrip("Z") + "Z").code == 0
    story = shop("explain", user)
    document = shop("explain", user, "--json").json
    calls = len(document["rows"]) + len(document["not_judged"])
    assert len(document["not_judged"]) > 2
    assert story.out.splitlines()[0].startswith(f"{user}  {calls} calls: ")
    assert len(re.findall(r"^\d{4}-\d\d-\d\d ", story.out, re.MULTILINE)) == calls
    streams = {each["stream"] for each in document["not_judged"]}
    assert story.out.count("if it shall go out, take it up") == len(streams)
    advised = [each["next"] for each in (*document["rows"], *document["not_judged"]) if each["next"]]
    assert story.out.count("  next  ") == len(advised)
    assert story.out.count("as above") == len(advised) - len({each["text"] for each in advised}) - len(streams) + 1


@pytest.mark.parametrize(
    ("command", "reasons"),
    [("retry", "network_error, blocked_by_earlier, properties_not_loaded"), ("revalidate", "missing_user_id, anonymous_id_present")],
)
def test_help_lists_the_reasons_that_an_option_takes(shop: Shop, command: str, reasons: str) -> None:
    help_text = " ".join(shop(command, "--help").out.split())
    assert reasons in help_text
    listed = re.search(r"Only rows with this reason: ([\w, ]+)\.", help_text)
    assert listed
    for reason in listed[1].split(", "):
        assert shop.ready()(command, "--dry-run", "--reason", reason).code == 0, reason


def test_the_first_installation_shows_that_it_goes_on(tmp_path: Path) -> None:
    venv = tmp_path / "venv"
    venv.mkdir()
    (venv / ".created").touch()
    future = time.time() + 60
    os.utime(venv / ".created", (future, future))
    command = ["make", "-C", str(ROOT), f"VENV={venv}", "PIP=sleep 1.3;:", f"{venv}/.installed"]
    ours, theirs = pty.openpty()
    done = subprocess.run(command, check=False, stdout=theirs, stderr=theirs, timeout=60)
    os.close(theirs)
    shown = os.read(ours, 65536).decode()
    os.close(ours)
    assert done.returncode == 0, shown
    assert re.search(r"\.\.\.\r?\n\.{1,4}\r?\n", shown), shown
    piped = subprocess.run([*command, "-B"], check=False, capture_output=True, text=True, timeout=60)
    assert re.search(r"^\.", piped.stdout, re.MULTILINE) is None


def test_an_installation_that_fails_ends_make(tmp_path: Path) -> None:
    venv = tmp_path / "venv"
    venv.mkdir()
    (venv / ".created").touch()
    command = ["make", "-C", str(ROOT), f"VENV={venv}", "PIP=false", "-o", f"{venv}/.created", f"{venv}/.installed"]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    assert not (venv / ".installed").exists()
