"""A whole run over Airflow's hook of BigQuery, on a BigQuery of our own. The client asks for a token and then for the rows."""

import json
from collections.abc import Iterator
from pathlib import Path

import airflow_home
import pytest

pytest.importorskip("airflow.providers.google.cloud.hooks.bigquery")
pytest.importorskip("zetasql")

from accounting import ago
from airflow_home import run_own_dag
from beds.bigquery.engine import GoogleSql
from beds.bigquery.project import Project
from beds.bigquery.server import Bed, open_bed
from bigquery.tables import make_tables
from test_airflow_own_dags import ONE
from warehouse import event, identify, track

from rehook_sync.sandbox.server import Sandbox

airflow_database = airflow_home.airflow_database
SPEND = 50 << 20


@pytest.fixture(scope="module")
def googlesql() -> GoogleSql:
    """The engine, which takes a while to start."""
    return GoogleSql()


@pytest.fixture
def bed(googlesql: GoogleSql, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bed]:
    """A project with a source in the dataset `shop`: two customers, and seven events with their properties."""
    project = Project(googlesql, "my-project")
    project.datasets["shop"] = {}
    people = [identify(f"i{n}", f"u{n}", ago(hours=40), plan="pro") for n in range(2)]
    calls = [track(f"t{n}", f"u{n % 2}", when=ago(hours=30 - n)) for n in range(7)]
    tables = {"order_completed": [event(each["id"], each["received_at"], total=n) for n, each in enumerate(calls)]}
    make_tables(project, {"identifies": people, "tracks": calls, **tables})
    with open_bed(project) as bed:
        monkeypatch.setenv("BIGQUERY_EMULATOR_HOST", bed.host)
        yield bed


@pytest.mark.usefixtures("airflow_database")
@pytest.mark.parametrize("conn_type", ["gcpbigquery", "google_cloud_platform"])
def test_a_run_goes_over_the_hook_of_bigquery(bed: Bed, conn_type: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    key = json.loads(bed.write_key(tmp_path / "key.json").read_text(encoding="utf-8"))
    google = {"conn_type": conn_type, "schema": "shop", "extra": {"project": "my-project", "keyfile_dict": key, "location": "EU"}}
    monkeypatch.setenv("AIRFLOW_CONN_REHOOK_WAREHOUSE", json.dumps(google))
    monkeypatch.setenv("REHOOK_SYNC_STATE_URL", f"sqlite:///{tmp_path / 'state.db'}")
    monkeypatch.setenv("REHOOK_SYNC_WAREHOUSE_OPTIONS", json.dumps({"maximum_bytes_billed": SPEND}))
    with Sandbox() as sandbox:
        rehook = {"conn_type": "rehook", "host": sandbox.url, "login": sandbox.credentials.key, "password": sandbox.credentials.secret}
        monkeypatch.setenv("AIRFLOW_CONN_REHOOK_DEFAULT", json.dumps(rehook))
        ended = run_own_dag(ONE)
        assert ended.state == "success"
        assert ended.xcom["sync"]["sent"] == 9
        bodies = [json.loads(each.body) for each in sandbox.store.log if each.method == "POST"]
    assert sorted(each["metadata"]["total"] for each in bodies if "event_name" in each) == list(range(7))
    assert bed.tokens, "the server that the key of the connection names was asked"
    assert {each.location for each in bed.jobs} == {"EU"}
    assert {int(each.settings["maximumBytesBilled"]) for each in bed.jobs if not each.settings.get("dryRun")} == {SPEND}
