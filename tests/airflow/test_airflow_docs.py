"""The pages about Airflow, done as they say."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import airflow_home
import pytest
from accounting import read_rows
from cluster import free_port

ROOT = airflow_home.ROOT
PAGE = (ROOT / "docs" / "airflow.md").read_text(encoding="utf-8")
SCALING = (ROOT / "docs" / "scaling.md").read_text(encoding="utf-8")


@pytest.mark.timeout(320)  # 55 s of processor time, which other tests may want at once
def test_five_commands_lead_to_a_green_run(tmp_path: Path) -> None:
    found = re.search(r"^## On a laptop.*?```sh\n(.*?)```", PAGE, re.DOTALL | re.MULTILINE)
    assert found
    install, *commands = found.group(1).splitlines()
    assert re.fullmatch(r"pip install -c constraints\.txt -c constraints-airflow\.txt '\.\[airflow,demo\]'", install)
    assert len(commands) == 4
    shutil.copytree(ROOT / "dags", tmp_path / "dags", ignore=shutil.ignore_patterns("__pycache__"))
    commands.append("airflow dags test rehook_sync_attention")
    script = "\n".join(["set -e", "trap 'kill %1' EXIT", *commands]).replace("8790", str(free_port()))
    environ = {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "HOME": str(tmp_path),
        "LANG": "C.UTF-8",
        "PYTHONPATH": str(ROOT),
    }
    done = subprocess.run(["bash", "-c", script], cwd=tmp_path, env=environ, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    ended = re.findall(r"dag_id=(\w+)[^\n]*state=success", done.stdout + done.stderr)
    assert set(ended) == {"rehook_sync", "rehook_sync_attention"}
    (run,) = read_rows(f"sqlite:///{tmp_path}/shop/airflow.db", "SELECT * FROM sync_runs")
    assert (run["status"], run["trigger"]) == ("succeeded", "airflow")
    assert run["sent"] > 1000


def test_the_pod_override_is_one() -> None:
    pytest.importorskip("kubernetes")
    from rehook_sync.airflow.operators import RehookDeliverShardOperator

    found = re.search(r"```python\n(.*?)```", SCALING, re.DOTALL)
    assert found
    names: dict[str, Any] = {}
    exec(compile(found.group(1), "docs/scaling.md", "exec"), names)
    operator = RehookDeliverShardOperator(task_id="deliver", shard={}, **names["DELIVER"])
    pod = operator.executor_config["pod_override"]
    assert [container.name for container in pod.spec.containers] == ["base"], "Airflow lays it over the container of this name"


@pytest.mark.parametrize("setting", sorted(set(re.findall(r"AIRFLOW__(\w+?)__(\w+)=", PAGE + SCALING))))
def test_settings_of_airflow_exist(setting: tuple[str, str]) -> None:
    from airflow.configuration import retrieve_configuration_description

    section, name = (part.lower() for part in setting)
    if section == "celery":
        pytest.importorskip("airflow.providers.celery")
    assert name in retrieve_configuration_description()[section]["options"]


@pytest.mark.parametrize("name", ["since", "until", "stream", "source", "dry_run", "shards"])
def test_every_parameter_is_explained(name: str) -> None:
    assert set(airflow_home.load_dag("rehook_sync").params) == {"since", "until", "stream", "source", "dry_run", "shards"}
    assert f"`{name}`" in PAGE
