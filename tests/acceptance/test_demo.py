"""The demo as its first user meets it: it tells the truth about both sides, and what it prints can be pasted."""

import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from .conftest import Done, Program

FOLDER = "rehook_sync_demo"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Program:
    """Where the demo of this module was played."""
    return Program(tmp_path_factory.mktemp("place with a space"))


@pytest.fixture(scope="module")
def played(place: Program) -> Iterator[Done]:
    """The demo, played once in the default folder while this shell has settings of a real warehouse."""
    real = {"REHOOK_SYNC_WAREHOUSE_URL": "sqlite:////nowhere/real.db", "REHOOK_SYNC_API_URL": "https://api.rehook.ai", "COLUMNS": "80"}
    yield place("demo", **real)
    place.end_all()


def printed_commands(done: Done) -> list[str]:
    assert max(len(line) for line in done.out.splitlines() if " -m rehook_sync " in line or " --config " in line) < 80
    return [line.strip() for line in done.out.replace("\\\n", "").splitlines() if " -m rehook_sync " in line]


def run_printed(place: Program, command: str) -> Done:
    """Paste a line into a shell, as the next day's user would."""
    environ = place.clean_environ({"PATH": f"{Path(sys.executable).parent}:{place.clean_environ({})['PATH']}"})
    done = subprocess.run(command, shell=True, cwd=place.folder, env=environ, capture_output=True, text=True, timeout=60, check=False)
    return Done(done.returncode, done.stdout, done.stderr)


def test_demo_ends_well_and_says_that_both_sides_are_equal(played: Done) -> None:
    assert played.code == 0
    assert "error" not in played.err
    assert played.out.count(" succeeded") == 2
    assert played.out.count(" equal") == 6
    assert "differ" not in played.out
    sides = re.findall(r"^ +(events|customer upserts|requests in all) +([\d,]+) +([\d,]+)", played.out, re.MULTILINE)
    assert len(sides) == 6
    assert all(ours == theirs for _, ours, theirs in sides)


def test_demo_fits_a_small_terminal(played: Done) -> None:
    prose = [line for line in played.out.splitlines() if " -m rehook_sync " not in line]
    assert max(len(line) for line in prose if not line.startswith("note: ")) <= 80
    assert len(prose) < 85


def test_demo_shows_no_personal_data(played: Done) -> None:
    assert "@" not in played.out + played.err


def test_demo_warns_of_settings_that_would_win_over_its_own(played: Done) -> None:
    assert "note: REHOOK_SYNC_API_URL, REHOOK_SYNC_WAREHOUSE_URL would win" in played.out


def test_demo_leaves_settings_that_load(played: Done, place: Program) -> None:
    settings = tomllib.loads((place.folder / FOLDER / "rehook_sync.toml").read_text())
    assert settings["warehouse_url"].endswith(f"{FOLDER}/warehouse.db")
    assert (place.folder / FOLDER / ".gitignore").read_text() == "*\n"


def test_the_three_commands_it_prints_work(played: Done, place: Program) -> None:
    commands = printed_commands(played)
    assert [shlex.split(command)[3] for command in commands] == ["status", "explain", "run"]
    status, explain, run = (run_printed(place, command) for command in commands)
    assert [done.code for done in (status, explain, run)] == [0, 0, 0], (status.err, explain.err, run.err)
    assert len(re.findall(r"succeeded", status.out)) == 2
    assert "at Rehook since" in explain.out
    assert len(re.findall(r"^20\S+ \S+  (?:identify|track)", explain.out, re.MULTILINE)) >= 3
    assert re.search(r"^ +0  rows +0 requests", run.out, re.MULTILINE)


def test_demo_as_json_takes_the_place_of_the_demo_before(played: Done, place: Program, tmp_path: Path) -> None:
    assert played.code == 0
    shutil.copytree(place.folder / FOLDER, tmp_path / FOLDER)
    (tmp_path / FOLDER / "notes.txt").write_text("mine")
    done = Program(tmp_path)("demo", "--json")
    assert done.code == 0
    assert (tmp_path / FOLDER / "notes.txt").read_text() == "mine"
    told = done.json
    assert [run["status"] for run in told["runs"]] == ["succeeded", "succeeded"]
    for batch, run in zip(told["batches"], told["runs"], strict=True):
        assert sum(batch["distinct"].values()) == run["rows_read"]
        assert batch["rejected"] == run["rejected_by_reason"]
    for sides in told["both_sides"]:
        assert all(side["sync_state"] == side["rehook"] > 0 for side in sides.values())
    assert told["both_sides"][1]["events"]["rehook"] == sum(batch["events"] for batch in told["batches"])
    assert len(told["next"]) == 3


@pytest.mark.parametrize("kind", ["folder", "file", "settings"])
def test_demo_touches_nothing_that_is_not_its_own(program: Program, kind: str) -> None:
    mine = program.folder / "mine"
    if kind == "file":
        mine.write_text("precious")
    else:
        mine.mkdir()
        (mine / ("rehook_sync.toml" if kind == "settings" else "warehouse.db")).write_text("precious")
    done = program("demo", "--keep", "mine")
    assert (done.code, done.out) == (2, "")
    assert re.fullmatch(r"error: mine exists and is not a demo's; [^\n]+--keep[^\n]+\n", done.err)
    assert [each.read_text() for each in program.folder.rglob("*") if each.is_file()] == ["precious"]


def test_demo_needs_a_place_it_can_write_to(program: Program) -> None:
    (program.folder / "file").write_text("")
    done = program("demo", "--keep", "file/below")
    assert done.code == 2
    assert re.fullmatch(r"error: the demo cannot write to file/below: [^\n]+\n", done.err)
