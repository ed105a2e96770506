"""The command line as a process of its own, in a clean environment, beside a sample shop and a local Rehook."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from rehook_sync.demo.shop import CONVERSION_EVENTS, ShopFacts, build_shop
from rehook_sync.jobs.results import StatusReport
from rehook_sync.sandbox.server import Sandbox
from rehook_sync.sandbox.store import Behaviour
from rehook_sync.settings import load_settings
from rehook_sync.sync import Sync

from .forks import ROOT, Done, shared_forks

__all__ = ["ROOT", "SECRET", "STATUSES", "Done", "Program", "Shop", "make_shop", "stop", "wait_until", "write_settings"]
SECRET = "s3cret-of-the-tests"
AT_START = ("PYTHON", "LANG", "LC_", "TZ")
"""How variables begin that an interpreter reads once, when it starts."""
STATUSES = ("sent", "unchanged", "merged", "skipped", "rejected", "failed", "waiting", "in_doubt")


@dataclass
class Program:
    """Runs `python -m rehook_sync` in a folder: called, as a fork of a process that has imported everything; started, from nothing."""

    folder: Path
    started: list[subprocess.Popen[str]] = field(default_factory=list)

    def __call__(self, *arguments: str, **environ: str) -> Done:
        """Run to the end."""
        if any(name.startswith(AT_START) for name in environ):
            return self.run_from_nothing(*arguments, **environ)
        return shared_forks().start(self.folder, environ, *arguments).wait()

    def run_from_nothing(self, *arguments: str, **environ: str) -> Done:
        """Run to the end with all that an interpreter does at its start."""
        process = self.start(*arguments, **environ)
        out, err = process.communicate(timeout=60)
        return Done(process.returncode, out, err)

    def start(self, *arguments: str, **environ: str) -> subprocess.Popen[str]:
        """Start and go on."""
        return self.start_python("-m", "rehook_sync", *arguments, **environ)

    def start_python(self, *arguments: str, **environ: str) -> subprocess.Popen[str]:
        """Start Python itself, in the same clean environment."""
        process = subprocess.Popen(
            [sys.executable, *arguments],
            cwd=self.folder,
            env=self.clean_environ(environ),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            encoding="utf-8",
        )
        self.started.append(process)
        return process

    def end_all(self) -> None:
        """End what a test left running when it failed."""
        for process in self.started:
            if process.poll() is None:
                process.kill()
                process.communicate()

    def clean_environ(self, more: Mapping[str, str]) -> dict[str, str]:
        """What the process finds: nothing of this machine but where programs are."""
        return {"PATH": os.environ["PATH"], "HOME": str(self.folder), "LANG": "C.UTF-8", "PYTHONPATH": str(ROOT), **more}


@dataclass
class Shop:
    """A sample shop, its settings in `rehook_sync.toml`, and the Rehook they lead to."""

    program: Program
    sandbox: Sandbox
    url: str
    facts: ShopFacts

    @property
    def calls(self) -> int:
        """Different calls in the warehouse."""
        return sum(self.facts.distinct.values())

    @property
    def database(self) -> Path:
        """The SQLite file."""
        return self.program.folder / "shop.db"

    def __call__(self, *arguments: str, **environ: str) -> Done:
        """Run a command."""
        return self.program(*arguments, **environ)

    @contextmanager
    def opened(self) -> Iterator[Sync]:
        """The same job in this process, where a test only wants to look or to prepare."""
        with Sync(load_settings(self.program.folder / "rehook_sync.toml", {})) as sync:
            yield sync

    def ready(self) -> "Shop":
        """Create the sync-state tables."""
        with self.opened() as sync:
            sync.init()
        return self

    def report(self) -> StatusReport:
        """What the sync-state tables say."""
        with self.opened() as sync:
            return sync.read_status(10)

    def counts(self) -> Counter[str]:
        """Rows of the sync-state tables by status."""
        counts: Counter[str] = Counter()
        for row in self.report().counts:
            counts[str(row["status"])] += row["n"] if isinstance(row["n"], int) else 0
        return counts

    def execute(self, statement: str, *values: object) -> list[Any]:
        """Run one statement on the SQLite file."""
        with closing(sqlite3.connect(self.database)) as connection, connection:
            return connection.execute(statement, values).fetchall()


def make_shop(folder: Path, url: str, sandbox: Sandbox, **settings: object) -> Shop:
    """Build a small shop in an empty database and write the settings that lead to it."""
    facts = build_shop(url, users=50, now=datetime.now(UTC) - timedelta(hours=1))
    values: dict[str, object] = {
        "warehouse_url": url,
        "api_url": sandbox.url,
        "api_key": sandbox.credentials.key,
        "api_secret": sandbox.credentials.secret,
        "conversion_events": list(CONVERSION_EVENTS),
        **settings,
    }
    write_settings(folder / "rehook_sync.toml", values)
    return Shop(Program(folder), sandbox, url, facts)


def write_settings(path: Path, values: Mapping[str, object]) -> None:
    path.write_text("".join(f"{name} = {json.dumps(value)}\n" for name, value in values.items()), encoding="utf-8")


def wait_until(reached: Callable[[], bool], timeout_s: float = 20.0) -> None:
    """Wait for something that another process or thread brings about."""
    until = time.monotonic() + timeout_s
    while not reached():
        assert time.monotonic() < until, "it did not happen in time"
        time.sleep(0.02)


def stop(process: subprocess.Popen[str], number: signal.Signals) -> Done:
    """Send a signal and wait for the end."""
    process.send_signal(number)
    out, err = process.communicate(timeout=60)
    return Done(process.returncode, out, err)


@pytest.fixture(scope="session", autouse=True)
def heeding_interrupts() -> Iterator[None]:
    """Let programs that tests start heed signals: what a shell starts in the background ignores some, and that is inherited."""
    wanted: dict[int, Any] = {signal.SIGINT: signal.default_int_handler, signal.SIGHUP: signal.SIG_DFL, signal.SIGQUIT: signal.SIG_DFL}
    before = {number: signal.signal(number, handler) for number, handler in wanted.items()}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture(scope="session", autouse=True)
def end_of_forks(heeding_interrupts: None) -> Iterator[None]:
    """End the process that forks, if a test has begun one; it heeds signals as those that it forks do."""
    yield
    if shared_forks.cache_info().currsize:
        shared_forks().close()
        shared_forks.cache_clear()


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    """A fresh local Rehook."""
    with Sandbox(behaviour=Behaviour(conversion_events=frozenset(CONVERSION_EVENTS))) as running:
        yield running


@pytest.fixture
def shop(tmp_path: Path, sandbox: Sandbox) -> Iterator[Shop]:
    """A fresh shop on SQLite; nothing is initialised yet."""
    made = make_shop(tmp_path, f"sqlite:///{tmp_path / 'shop.db'}", sandbox)
    yield made
    made.program.end_all()


@pytest.fixture(scope="module")
def delivered(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """A shop whose every call was delivered by one run, for commands that only look."""
    folder = tmp_path_factory.mktemp("delivered")
    with Sandbox(behaviour=Behaviour(conversion_events=frozenset(CONVERSION_EVENTS))) as running:
        made = make_shop(folder, f"sqlite:///{folder / 'shop.db'}", running).ready()
        assert made("run", "--since", "beginning").code == 0
        yield made


@pytest.fixture
def program(tmp_path: Path) -> Iterator[Program]:
    """The command line in an empty folder without any setting."""
    made = Program(tmp_path / "empty")
    made.folder.mkdir()
    yield made
    made.end_all()
