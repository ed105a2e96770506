"""README.md, walked through command by command: each is run as a process, and what the page shows is what is printed.

Addresses and credentials are replaced by those of a fresh PostgreSQL warehouse and of the sandbox that the page starts.
What installs is not run here; it is looked at.
"""

import json
import os
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from urllib.request import urlopen

import pytest
from sqlalchemy import create_engine, text

from rehook_sync.demo.shop import build_shop

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
FENCE = re.compile(r"^```(\w+)\n(.*?)^```", re.DOTALL | re.MULTILINE)
PROGRAM = "python -m rehook_sync"
INSTALLS = re.compile(r"make|pip (install|wheel)|python3 -m venv|\. \.venv/bin/activate")
EXAMPLE_URL = "postgresql://user:password@host:5432/name"
SERVICE_FOLDER = "/srv/rehook-sync"
COMMAND_TIMEOUT_S = 60


@dataclass(frozen=True)
class Step:
    """One command of the page and the lines shown below it."""

    kind: str
    command: str
    shown: list[str] = field(default_factory=list)


def read_steps() -> list[Step]:
    """Every command of the fenced blocks, in order; a whole block where it is no shell."""
    steps: list[Step] = []
    for kind, body in FENCE.findall(README):
        if kind == "sh":
            steps += [Step(kind, line) for line in body.replace("\\\n", "").splitlines() if line.strip()]
        elif kind == "console":
            for line in body.splitlines():
                if line.startswith("$ "):
                    steps.append(Step(kind, line[2:]))
                elif line.strip():
                    steps[-1].shown.append(line)
        else:
            steps.append(Step(kind, body))
    return steps


STEPS = read_steps()


SAME_EACH_TIME = (f"{PROGRAM} init", f"{PROGRAM} check")
"""Commands that print the same numbers each time: versions, columns."""


def label(line: str) -> list[str]:
    """The words of a line that stay the same from run to run: no numbers, times and ids."""
    return [word for word in line.split() if not re.search(r"\d", word)]


def missing_lines(shown: list[str], printed: str, words_of: Callable[[str], list[str]] = label) -> list[str]:
    """The shown lines whose words do not stand, in this order, in a printed line below that of the line before."""
    rest = iter([words_of(line) for line in printed.splitlines()])
    return [line for line in shown if line.strip() != "..." and not any(contains(words, words_of(line)) for words in rest)]


def contains(words: list[str], wanted: list[str]) -> bool:
    found = iter(words)
    return all(word in found for word in wanted)


class Shell:
    """One terminal: a folder of its own, and variables that last from command to command."""

    def __init__(self, folder: Path, replace: Mapping[str, str]) -> None:
        self.folder = folder
        self._replace = replace
        self.environment = {"PATH": os.environ["PATH"], "HOME": str(folder), "PYTHONPATH": str(ROOT), "COLUMNS": "80"}

    def fill(self, content: str) -> str:
        """Put what is real in the place of the page's examples."""
        for example, real in self._replace.items():
            content = content.replace(example, real)
        return content

    def export(self, line: str) -> None:
        name, _, value = self.fill(line.strip().removeprefix("export ")).partition("=")
        self.environment[name] = "".join(shlex.split(value))

    def run(self, command: str) -> str:
        done = subprocess.run(
            ["sh", "-c", self.fill(self._as_here(command))],
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=COMMAND_TIMEOUT_S,
            check=False,
        )
        assert done.returncode == 0, f"{command}: exit {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def run_as_cron(self, line: str) -> str:
        """Run a crontab's line as cron would: with the settings file and no variable of ours."""
        *when, command = line.split(maxsplit=5)
        assert len(when) == 5
        for name in [each for each in self.environment if each.startswith("REHOOK_SYNC_")]:
            del self.environment[name]
        return self.run(
            command.replace(f"cd {SERVICE_FOLDER} ", f"cd {shlex.quote(str(self.folder))} ").replace(".venv/bin/python", "python")
        )

    @contextmanager
    def start(self, command: str) -> Iterator[list[str]]:
        """Start a command that stays, and give the lines it prints at first."""
        words = shlex.split(self._as_here(command))
        process = subprocess.Popen([*words, "--port", "0"], cwd=self.folder, env=self.environment, stdout=subprocess.PIPE, text=True)
        try:
            assert process.stdout is not None
            lines: list[str] = []
            while not any("/_sandbox/faults" in line for line in lines):
                line = process.stdout.readline()
                assert line, f"{command} ended early"
                lines.append(line.rstrip())
            yield lines
        finally:
            process.terminate()
            process.communicate(timeout=COMMAND_TIMEOUT_S)

    @staticmethod
    def _as_here(command: str) -> str:
        return re.sub(r"(?<![\w./-])python ", f"{shlex.quote(sys.executable)} ", command)


@pytest.mark.timeout(300)
def test_readme_walked_through(postgres_url: str, tmp_path: Path) -> None:
    build_shop(postgres_url, now=datetime.now(UTC), schema="shop")
    shell = Shell(tmp_path, {EXAMPLE_URL: postgres_url, "your-key": "sandbox-key", "your-secret": "sandbox-secret"})
    url = ""
    with ExitStack() as stack:
        for step in STEPS:
            printed = ""
            if step.kind == "toml":
                (tmp_path / "rehook_sync.toml").write_text(shell.fill(step.command) + f'api_url = "{url}"\n', encoding="utf-8")
            elif step.kind == "text":
                printed = shell.run_as_cron(step.command)
            elif INSTALLS.match(step.command):
                continue
            elif step.command.startswith("export "):
                shell.export(step.command)
            elif step.command == f"{PROGRAM} sandbox":
                lines = stack.enter_context(shell.start(step.command))
                printed = "\n".join(lines)
                for line in lines:
                    if line.strip().startswith("export "):
                        shell.export(line)
                url = shell.environment["REHOOK_SYNC_API_URL"]
            else:
                printed = shell.run(step.command)
            words_of = str.split if step.command in SAME_EACH_TIME else label
            assert missing_lines(step.shown, printed, words_of) == [], f"{step.command} printed:\n{printed}"
        assert received(url) == recorded(postgres_url)


def received(url: str) -> dict[str, int]:
    with urlopen(f"{url}/_sandbox/counts") as answer:
        counts = json.load(answer)
    upserts = sum(counts["by_path"]["POST /customers"].get(status, 0) for status in ("200", "201"))
    return {"tracks": counts["events"], "identifies": upserts}


def recorded(url: str) -> dict[str, int]:
    engine = create_engine(url)
    with engine.connect() as connection:
        rows = connection.execute(text("SELECT stream, count(*) FROM rehook_sync.sync_state WHERE status = 'sent' GROUP BY stream")).all()
    engine.dispose()
    return {str(stream): int(count) for stream, count in rows}


def test_demo_shows_what_the_readme_shows(tmp_path: Path) -> None:
    (step,) = [step for step in STEPS if step.command == "make demo"]
    printed = Shell(tmp_path, {}).run(f"{PROGRAM} demo")
    assert missing_lines(step.shown, printed) == [], printed
    assert (tmp_path / "rehook_sync_demo" / "rehook_sync.toml").is_file()
    tried = Shell(tmp_path, {})
    in_whole_lines = re.sub(r"\s*\\\n\s*", " ", printed)
    for command in re.findall(r"^\s+(\S*python\S* -m rehook_sync .+)$", in_whole_lines, re.MULTILINE):
        tried.run(re.sub(r"^\S+", "python", command))


def test_make_demo_runs_the_demo() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert re.search(r"^demo:.*\n\t@\$\(RUN\) -m rehook_sync demo$", makefile, re.MULTILINE)


def test_what_is_installed_exists() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    lines = [step.command for step in STEPS if INSTALLS.match(step.command)]
    pips = [line for line in lines if line.startswith("pip ")]
    assert pips
    for line in pips:
        for word in shlex.split(line):
            extra = re.fullmatch(r"\.\[(\w+)\]", word)
            assert extra is None or extra[1] in project["optional-dependencies"]
    assert all("-c constraints.txt" in line for line in pips if line.startswith("pip install"))
    assert any(each.startswith("psycopg[binary]") for each in project["optional-dependencies"]["postgres"])


def test_only_commands_that_exist_are_shown() -> None:
    shown = {step.command.removeprefix(PROGRAM).split()[0] for step in STEPS if step.command.startswith(PROGRAM)}
    assert shown == {"init", "check", "plan", "run", "status", "explain", "sandbox"}


def test_a_different_output_is_noticed() -> None:
    printed = "run 7 succeeded\n  12 rows   3 requests\n   9   sent"
    assert missing_lines(["   1 rows    2 requests", "...", "  4  sent"], printed) == []
    assert missing_lines(["   1 rows    2 requests", "  4  merged"], printed) == ["  4  merged"]
    assert missing_lines(["  12 rows"], printed, str.split) == []
    assert missing_lines(["   1 rows"], printed, str.split) == ["   1 rows"]
    assert missing_lines(["  4  sent", "   1 rows    2 requests"], printed) == ["   1 rows    2 requests"]
