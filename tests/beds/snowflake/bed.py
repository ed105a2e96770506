"""The Snowflake bed: a process of fakesnow, started for the tests that need it."""

import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from beds.processes import free_port, wait_for

__all__ = ["PASSWORD", "SnowflakeBed", "opened_account"]

PASSWORD = "s3cret-of-the-account"
_SERVER = Path(__file__).with_name("server.py")
_START_S = 60.0


@dataclass(frozen=True)
class SnowflakeBed:
    """An account. Shape:  options: how the connector finds it.  journal: what the server noted."""

    port: int
    journal: Path

    @property
    def options(self) -> dict[str, object]:
        """Return what the connector needs beside a URL."""
        return {"host": "127.0.0.1", "port": self.port, "protocol": "http"}

    def url(self, database: str, schema: str = "segment") -> str:
        """Return the URL of a database, which is made when somebody connects."""
        return f"snowflake://loader:{PASSWORD}@bed/{database}/{schema}?warehouse=small"

    def noted(self) -> list[dict[str, Any]]:
        """Return the bodies of logins and statements so far."""
        return [json.loads(line) for line in self.journal.read_text(encoding="utf-8").splitlines()]

    def statements(self) -> list[str]:
        """Return the statements so far."""
        return [each["sqlText"] for each in self.noted() if "sqlText" in each]


@contextmanager
def opened_account(environment: Path, folder: Path) -> Iterator[SnowflakeBed]:
    """Start a server and end it. Skips the test where fakesnow is not installed. `folder`: for its journal."""
    python = environment / "bin" / "python"
    if not python.exists():
        pytest.skip(f"fakesnow is not installed in {environment.name}: make test installs it")
    port = free_port()
    bed = SnowflakeBed(port, folder / "journal")
    bed.journal.touch()
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([python, _SERVER, str(port), bed.journal], stdout=log, stderr=log, env={**os.environ, "TZ": "UTC"})
    try:
        wait_for("fakesnow", process, port, folder / "log", _START_S)
        yield bed
    finally:
        process.terminate()
        process.wait()
