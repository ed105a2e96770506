"""The Databricks bed: a process with Spark, started for the tests that need it."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from beds.processes import free_port, wait_for

__all__ = ["SECRET", "DatabricksBed", "opened_workspace"]

SECRET = "dapi-s3cret-of-the-workspace"
_TESTS = Path(__file__).parents[2]
_START_S = 180.0


@dataclass(frozen=True)
class DatabricksBed:
    """A workspace. Shape:  options: how the connector finds it.  journal: what the server noted."""

    port: int
    journal: Path

    @property
    def options(self) -> dict[str, object]:
        """Return what the connector needs beside a URL."""
        return {"_connection_uri": f"http://127.0.0.1:{self.port}/sql/1.0/warehouses/bed", "_retry_stop_after_attempts_count": 1}

    def url(self, schema: str, *, token: str | None = SECRET) -> str:
        """Return the URL of a schema."""
        who = f"token:{token}@" if token else ""
        return f"databricks://{who}127.0.0.1?http_path=/sql/1.0/warehouses/bed&catalog=spark_catalog&schema={schema}"

    def noted(self) -> list[dict[str, Any]]:
        """Return what was asked so far."""
        return [json.loads(line) for line in self.journal.read_text(encoding="utf-8").splitlines()]

    def statements(self) -> list[str]:
        """Return the statements so far."""
        return [each["statement"] for each in self.noted() if "statement" in each]


@contextmanager
def opened_workspace(folder: Path) -> Iterator[DatabricksBed]:
    """Start a server and end it. Skips the test where there is no Java. `folder`: for tables and journal."""
    if shutil.which("java") is None and "JAVA_HOME" not in os.environ:
        pytest.skip("there is no Java here, which Spark needs: install a JDK 17 (Debian: openjdk-17-jre-headless)")
    port = free_port()
    bed = DatabricksBed(port, folder / "journal")
    bed.journal.touch()
    with (folder / "log").open("wb") as log:
        command = [sys.executable, "-m", "beds.databricks.server", str(port), str(folder), SECRET]
        environ = {**os.environ, "TZ": "UTC", "PYTHONPATH": str(_TESTS)}
        process = subprocess.Popen(command, cwd=folder, stdout=log, stderr=log, env=environ, start_new_session=True)
    try:
        wait_for("Spark", process, port, folder / "log", _START_S)
        yield bed
    finally:
        os.killpg(process.pid, 15)  # Spark's own process as well
        process.wait()
