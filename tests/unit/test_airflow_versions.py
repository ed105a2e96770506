"""What an Airflow that is too old says where a DAG is parsed."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(
    "name", ["rehook_sync.airflow.operators", "rehook_sync.airflow.task_groups", "rehook_sync_dag", "rehook_sync_attention_dag"]
)
@pytest.mark.parametrize("version", ["2.10.5", "3.0.6"])
def test_an_airflow_that_is_too_old_gets_one_line(tmp_path: Path, name: str, version: str) -> None:
    (tmp_path / "airflow").mkdir()
    (tmp_path / "airflow" / "__init__.py").touch()
    metadata = tmp_path / f"apache_airflow-{version}.dist-info" / "METADATA"
    metadata.parent.mkdir()
    metadata.write_text(f"Metadata-Version: 2.1\nName: apache-airflow\nVersion: {version}\n", encoding="utf-8")
    path = os.pathsep.join(map(str, (tmp_path, ROOT, ROOT / "dags")))
    command = [sys.executable, "-c", f"import {name}"]
    done = subprocess.run(command, env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True, check=False, timeout=60)
    last = done.stderr.splitlines()[-1]
    assert last.startswith(f"ImportError: rehook-sync's operators need Airflow 3.1 or later, and this is {version}: run `python -m")
    assert "During handling" not in done.stderr
