"""The Snowflake bed: a process of fakesnow, started for the tests that need it."""

import json
import os
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

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
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    bed = SnowflakeBed(port, folder / "journal")
    bed.journal.touch()
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([python, _SERVER, str(port), bed.journal], stdout=log, stderr=log, env={**os.environ, "TZ": "UTC"})
    try:
        _wait_for(process, port, folder / "log")
        yield bed
    finally:
        process.terminate()
        process.wait()


def _wait_for(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    until = time.monotonic() + _START_S
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            if process.poll() is not None or time.monotonic() > until:
                pytest.fail(f"fakesnow did not start: {log.read_text(encoding='utf-8')[-500:]}")
            time.sleep(0.05)
        else:
            return
