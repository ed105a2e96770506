"""A whole Airflow in processes of its own: api-server, scheduler, dag-processor and, if asked for, Celery workers, on one PostgreSQL.

`with Cluster(folder, database_url, connections) as airflow: airflow.trigger("rehook_sync", shards=4)`. Each part is stopped by its pid.
"""

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx
import psutil
from sqlalchemy import create_engine, make_url

__all__ = ["Cluster", "free_port", "make_database", "wait_for"]

ROOT = Path(__file__).resolve().parents[2]
FINAL = {"success", "failed"}
START_S = 300


def wait_for(reached: Callable[[], Any], timeout_s: float, what: str) -> Any:
    """Wait for something to become true, and give it."""
    until = time.monotonic() + timeout_s
    while time.monotonic() < until:
        with suppress(httpx.TransportError):
            if found := reached():
                return found
        time.sleep(0.1)
    raise AssertionError(f"{what} did not happen within {timeout_s:.0f} s")


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def make_database(server_url: str, name: str) -> str:
    """Create an empty database; its URL without a driver."""
    engine = create_engine(server_url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.exec_driver_sql(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
        connection.exec_driver_sql(f"CREATE DATABASE {name}")
    engine.dispose()
    return make_url(server_url).set(database=name).render_as_string(hide_password=False)


@dataclass
class Cluster:
    """One Airflow. Its copy of our DAGs starts by itself only once a year, so that runs are those a scenario starts.

    Shape:  workers: Celery workers; 0 for LocalExecutor.  environ: more of Airflow's settings.
    """

    folder: Path
    database_url: str
    environ: Mapping[str, str]
    workers: int = 0
    parts: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    port: int = field(default_factory=free_port)

    def __enter__(self) -> Self:
        self.folder.mkdir(parents=True, exist_ok=True)
        url = f"http://127.0.0.1:{self.port}"
        self.client = httpx.Client(base_url=url, timeout=30)
        dags = self.folder / "dags"
        dags.mkdir()
        for path in (ROOT / "dags").glob("*.py"):
            text = path.read_text(encoding="utf-8")
            (dags / path.name).write_text(re.sub(r'^CRON = ".*"$', 'CRON = "0 0 1 1 *"', text, flags=re.MULTILINE), encoding="utf-8")
        self.run("db", "migrate")
        self.start("api-server", "--port", str(self.port), "--workers", "1")
        wait_for(lambda: self.client.get("/api/v2/version").is_success, START_S, "the api-server's first answer")
        token = self.client.get("/auth/token").json()["access_token"]
        self.client.headers["Authorization"] = f"Bearer {token}"
        self.start("scheduler")
        self.start("dag-processor")
        for number in range(self.workers):
            self.start_worker(number)
        wait_for(self.is_healthy, START_S, "a healthy scheduler and dag-processor")
        wait_for(lambda: self.client.get("/api/v2/dags/rehook_sync").is_success, START_S, "the DAG's appearance")
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for name in reversed(list(self.parts)):
            self.stop(name)
        self.client.close()

    def settings(self) -> dict[str, str]:
        """The environment of all parts."""
        driver = make_url(self.database_url).set(drivername="postgresql+psycopg2").render_as_string(hide_password=False)
        asynchronous = make_url(self.database_url).set(drivername="postgresql+asyncpg").render_as_string(hide_password=False)
        base = {
            "AIRFLOW_HOME": str(self.folder),
            "AIRFLOW__CORE__DAGS_FOLDER": str(self.folder / "dags"),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__CORE__EXECUTOR": "CeleryExecutor" if self.workers else "LocalExecutor",
            "AIRFLOW__CORE__PARALLELISM": "8",
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "True",
            "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"http://127.0.0.1:{self.port}/execution/",
            "AIRFLOW__CORE__TEST_CONNECTION": "Enabled",
            "AIRFLOW__API__BASE_URL": f"http://127.0.0.1:{self.port}",
            "AIRFLOW__API_AUTH__JWT_SECRET": "a-secret-of-the-tests-that-is-long-enough-for-sha512-to-be-quiet-about-it",
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": driver,
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN_ASYNC": asynchronous,
            "AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL": "5",
            "AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL": "1",
            "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "15",
            "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "3",
            "AIRFLOW__CELERY__BROKER_URL": f"sqla+{driver}",
            "AIRFLOW__CELERY__RESULT_BACKEND": f"db+{driver}",
            "AIRFLOW__CELERY__WORKER_CONCURRENCY": "2",
            "AIRFLOW__OPENLINEAGE__DISABLED": "True",
            "PYTHONPATH": str(ROOT),
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "HOME": str(self.folder),
            "LANG": "C.UTF-8",
        }
        return {**base, **self.environ}

    def run(self, *arguments: str) -> str:
        """Run one `airflow` command to its end."""
        command = [sys.executable, "-m", "airflow", *arguments]
        done = subprocess.run(command, env=self.settings(), capture_output=True, text=True, check=False, timeout=200, cwd=self.folder)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def start(self, name: str, *arguments: str, known_as: str | None = None) -> None:
        """Start a part."""
        with (self.folder / f"{known_as or name.replace(' ', '-')}.log").open("wb") as log:
            self.parts[known_as or name] = subprocess.Popen(
                [sys.executable, "-m", "airflow", *name.split(), *arguments],
                env=self.settings(),
                cwd=self.folder,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def start_worker(self, number: int) -> None:
        """Start a Celery worker."""
        name = f"worker-{number}"
        self.start("celery worker", "--celery-hostname", f"{name}@%h", "--skip-serve-logs", known_as=name)
        # The first one makes the broker's tables; a second one that does it at the same time dies of it.
        log = self.folder / f"{name}.log"
        wait_for(lambda: " ready." in log.read_text(encoding="utf-8", errors="replace"), START_S, f"a ready {name}")

    def stop(self, name: str) -> None:
        """Stop a part, in the end by force."""
        process = self.parts.pop(name)
        for number in (signal.SIGTERM, signal.SIGTERM, signal.SIGKILL):
            if process.poll() is None:
                process.send_signal(number)
                with suppress(subprocess.TimeoutExpired):
                    process.wait(timeout=10)
        for each in self.members(process.pid):
            with suppress(psutil.NoSuchProcess):
                each.kill()

    def members(self, session: int) -> list[psutil.Process]:
        """What is left of a part that led a session of its own."""
        found = []
        for each in psutil.process_iter():
            with suppress(psutil.NoSuchProcess, ProcessLookupError):
                if os.getsid(each.pid) == session:
                    found.append(each)
        return found

    def kill(self, name: str) -> None:
        """End a part and all it started, as when a machine dies."""
        process = self.parts.pop(name)
        for each in [*psutil.Process(process.pid).children(recursive=True), psutil.Process(process.pid)]:
            with suppress(psutil.NoSuchProcess):
                each.kill()
        process.wait()

    def is_healthy(self) -> bool:
        """Tell whether scheduler and dag-processor say that they are well."""
        health = self.client.get("/api/v2/monitor/health").json()
        return all((health[name] or {}).get("status") == "healthy" for name in ("scheduler", "dag_processor"))

    def post(self, path: str, document: object) -> Any:
        """POST to the REST API."""
        answer = self.client.post(f"/api/v2{path}", json=document)
        assert answer.is_success, answer.text
        return answer.json()

    def patch(self, path: str, document: object) -> Any:
        """PATCH by the REST API."""
        answer = self.client.patch(f"/api/v2{path}", json=document)
        assert answer.is_success, answer.text
        return answer.json()

    def get(self, path: str) -> Any:
        """GET from the REST API."""
        answer = self.client.get(f"/api/v2{path}")
        assert answer.is_success, answer.text
        return answer.json()

    def trigger(self, dag_id: str, **conf: object) -> str:
        """Trigger a run; its id."""
        self.patch(f"/dags/{dag_id}", {"is_paused": False})
        return str(self.post(f"/dags/{dag_id}/dagRuns", {"logical_date": None, "conf": conf})["dag_run_id"])

    def state(self, dag_id: str, run_id: str) -> str:
        """The state of a run."""
        return str(self.get(f"/dags/{dag_id}/dagRuns/{run_id}")["state"])

    def finish(self, dag_id: str, run_id: str, timeout_s: float = 300) -> str:
        """Wait for the end of a run; how it ended."""
        wait_for(lambda: self.state(dag_id, run_id) in FINAL, timeout_s, f"the end of {dag_id} {run_id}")
        return self.state(dag_id, run_id)

    def tasks(self, dag_id: str, run_id: str) -> dict[tuple[str, int], dict[str, Any]]:
        """(task id, map index) -> the task instance."""
        found = self.get(f"/dags/{dag_id}/dagRuns/{run_id}/taskInstances?limit=100")["task_instances"]
        return {(each["task_id"], each["map_index"]): each for each in found}

    def report(self, dag_id: str, run_id: str) -> dict[str, Any]:
        """What the finish task returned."""
        path = f"/dags/{dag_id}/dagRuns/{run_id}/taskInstances/finish/xcomEntries/return_value?stringify=false"
        found = self.get(path)["value"]
        assert isinstance(found, dict), found
        return found
