"""What Airflow has for telling: a notifier, deadlines, metrics, and what an asset's event says."""

import asyncio
import json
import os
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from types import SimpleNamespace
from typing import Any

import airflow_home
import pytest
from airflow_home import OWN, AirflowShop, load_dag, run_own_dag
from test_airflow_own_dags import EXAMPLES, ONE

from rehook_sync.errors import CredentialsRefusedError, SettingsError

airflow_database, airflow_shop = airflow_home.airflow_database, airflow_home.airflow_shop

TOLD = ONE.replace('task_id="sync",', 'task_id="sync", on_failure_callback=RehookNotifier("the night run of {{ dag.dag_id }}"),').replace(
    "import RehookSyncOperator", "import RehookSyncOperator\nfrom rehook_sync.airflow.notifications.notifier import RehookNotifier"
)
NOTIFY = "REHOOK_SYNC_NOTIFY"


@pytest.fixture
def heard(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[dict[str, Any]]]:
    """What a webhook on loopback gets, to which NOTIFY leads."""
    pytest.importorskip("apprise")
    messages: list[dict[str, Any]] = []

    class Hook(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            messages.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_given: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Hook)
    thread = Thread(target=server.serve_forever)
    thread.start()
    monkeypatch.setenv(NOTIFY, f"json://127.0.0.1:{server.server_port}/")
    try:
        yield messages
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_a_task_that_fails_tells_the_people_of_notify(airflow_shop: AirflowShop, heard: list[dict[str, Any]]) -> None:
    airflow_shop.sandbox.faults.add("status", status=401)
    assert run_own_dag(TOLD).state == "failed"
    (message,) = [each for each in heard if each["title"].startswith("in_one_task")]
    assert message["title"] == "in_one_task: task sync failed"
    assert message["message"].startswith("the night run of in_one_task\nRun ")
    assert airflow_shop.sandbox.credentials.secret not in json.dumps(heard)


def test_of_somebody_elses_error_only_its_kind_is_told(heard: list[dict[str, Any]]) -> None:
    from rehook_sync.airflow.notifications.notifier import RehookNotifier

    task = SimpleNamespace(task_id="load", dag_id="shop", run_id="r1", log_url="http://airflow/log")
    for error in (ValueError("password=s3cret"), CredentialsRefusedError("Rehook refused the credentials")):
        RehookNotifier().notify({"ti": task, "exception": error})
    said = [each["message"] for each in heard]
    assert said == ["Run r1.\nValueError\nhttp://airflow/log", "Run r1.\nRehook refused the credentials\nhttp://airflow/log"]


def test_a_deadline_tells_them_from_the_triggerer(heard: list[dict[str, Any]]) -> None:
    from rehook_sync.airflow.notifications.notifier import RehookNotifier

    async def missed() -> None:
        run = {"dag_id": "rehook_with_a_deadline", "dag_run_id": "r2", "state": "running"}  # as the scheduler tells it
        await RehookNotifier("the hourly run is late", context={"dag_run": run})

    asyncio.run(missed())
    assert [(each["title"], each["message"]) for each in heard] == [
        ("rehook_with_a_deadline: look at this run", "the hourly run is late\nRun r2.")
    ]


def test_without_notify_the_notifier_says_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    from rehook_sync.airflow.notifications.notifier import RehookNotifier

    monkeypatch.delenv(NOTIFY, raising=False)
    with pytest.raises(SettingsError, match=NOTIFY):
        RehookNotifier().notify({})


def test_the_example_with_a_deadline_is_kept_by_airflow() -> None:
    pytest.importorskip("airflow.sdk.definitions.callback", reason="deadlines of this form came with Airflow 3.2")
    from airflow.serialization.serialized_objects import DagSerialization

    for each in OWN.glob("*.py"):
        each.unlink()
    (OWN / "late.py").write_text(EXAMPLES["rehook_with_a_deadline"], encoding="utf-8")
    found: Any = load_dag("rehook_with_a_deadline", OWN).deadline
    alert = found[0] if isinstance(found, list) else found
    assert alert.callback.path == "rehook_sync.airflow.notifications.notifier.RehookNotifier"
    assert "RehookNotifier" in json.dumps(DagSerialization.to_dict(load_dag("rehook_with_a_deadline", OWN)))


def test_a_run_gives_its_figures_to_airflows_metrics(monkeypatch: pytest.MonkeyPatch) -> None:
    from rehook_sync.airflow.common.measures import measure
    from rehook_sync.airflow.common.versions import find_stats
    from rehook_sync.models import RunStatus, RunSummary, Status

    sent: dict[str, float] = {}

    class Backend:
        def gauge(self, stat: str, value: float, *_more: object, tags: dict[str, str], **_named: object) -> None:
            assert tags == {"dag_id": "rehook_sync"}
            sent[stat] = value

    stats = find_stats()
    if isinstance(stats, type):  # before Airflow 3.3
        monkeypatch.setattr(stats, "instance", Backend())
        monkeypatch.setattr(stats, "_instance_pid", os.getpid(), raising=False)
    else:
        for name in ("_backend", "_factory"):
            monkeypatch.setitem(stats.initialize.__globals__, name, None)
        stats.initialize(factory=Backend, export_legacy_names=False)
    summary = RunSummary("r", RunStatus.SUCCEEDED, rows_read=5, sent=3, rejected=2, requests=4)
    measure("rehook_sync", SimpleNamespace(summary=summary, unsettled={Status.FAILED: 1, Status.IN_DOUBT: 2}))  # type: ignore[arg-type]
    assert {name.removeprefix("rehook."): value for name, value in sent.items() if value} == {
        "rows.sent": 3,
        "rows.rejected": 2,
        "requests": 4,
        "unsettled": 3,
    }
