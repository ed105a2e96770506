"""DAGs as users write them, with our operators in whatever shape."""

import json
import re
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from importlib.util import find_spec
from typing import Any

import airflow_home
import pytest
from accounting import Audit, read_rows
from airflow_home import ROOT, AirflowShop, run_own_dag
from sqlalchemy import make_url

from rehook_sync.demo.shop import build_shop
from rehook_sync.sandbox.server import Sandbox

airflow_database, airflow_shop = airflow_home.airflow_database, airflow_home.airflow_shop

PAGE = (ROOT / "docs" / "airflow.md").read_text(encoding="utf-8")
EXAMPLES = {re.findall(r'dag_id="(\w+)"', each)[0]: each for each in re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL) if "@dag(" in each}
ONE = """
from airflow.sdk import dag
from rehook_sync.airflow.operators import RehookSyncOperator

@dag(dag_id="in_one_task", schedule=None)
def in_one_task():
    RehookSyncOperator(task_id="sync", settings={"conversion_events": ["signup"], "start_at": "beginning"})

in_one_task()
"""
GROUP = """
from airflow.sdk import dag, task_group
from rehook_sync.airflow.operators import (
    RehookCheckOperator, RehookDeliverShardOperator, RehookFinishOperator, RehookPlanOperator
)

@task_group
def rehook():
    check = RehookCheckOperator(task_id="check")
    plan = RehookPlanOperator(task_id="plan")
    deliver = RehookDeliverShardOperator.partial(task_id="deliver").expand(shard=plan.output)
    check >> plan >> deliver >> RehookFinishOperator(task_id="finish")

@dag(dag_id="in_a_group", schedule=None, default_args={"settings": {"conversion_events": ["signup"], "start_at": "beginning"}})
def in_a_group():
    rehook()

in_a_group()
"""

KILLED = """
from airflow.sdk import dag
from rehook_sync.airflow.operators import RehookSyncOperator

class Killed(RehookSyncOperator):
    def listener(self):
        listen = super().listener()

        def heard(progress):
            listen(progress)
            self.on_kill()

        return heard

@dag(dag_id="killed_in_the_middle", schedule=None)
def killed_in_the_middle():
    Killed(task_id="sync", settings={"conversion_events": ["signup"], "concurrency": 2})

killed_in_the_middle()
"""


def test_a_period_whose_task_is_killed_stays_open_and_is_gone_on_with(airflow_shop: AirflowShop) -> None:
    open_periods, calls = "SELECT * FROM sync_periods WHERE closed_at IS NULL", "SELECT * FROM sync_state"
    assert run_own_dag(KILLED, since="beginning").state == "failed"
    (run,) = read_rows(airflow_shop.url, "SELECT * FROM sync_runs")
    assert (run["status"], run["trigger"]) == ("interrupted", "airflow")
    first = len(read_rows(airflow_shop.url, calls))
    assert len(read_rows(airflow_shop.url, open_periods)) == 2
    airflow_shop.check(ordered=False, complete=False)
    assert run_own_dag(ONE.replace(', "start_at": "beginning"', "")).state == "success"
    assert 0 < first < len(read_rows(airflow_shop.url, calls))
    assert read_rows(airflow_shop.url, open_periods) == []
    airflow_shop.check(ordered=False)


def test_tasks_in_a_group_find_each_other_by_what_they_are(airflow_shop: AirflowShop) -> None:
    ended = run_own_dag(GROUP, shards=2)
    assert ended.state == "success"
    assert ended.states("rehook.deliver") == {"success": 2}
    assert ended.xcom["rehook.finish"]["status"] == "succeeded"
    airflow_shop.check(ordered=False)


def test_a_plan_that_is_not_found_is_looked_for_in_the_tables(airflow_shop: AirflowShop, capsys: pytest.CaptureFixture[str]) -> None:
    ended = run_own_dag(GROUP.replace('task_id="finish"', 'task_id="finish", plan_task_id="plan"'))
    assert ended.states("rehook.finish") == {"failed": 1}
    (run,) = read_rows(airflow_shop.url, "SELECT * FROM sync_runs")
    assert run["status"] == "running"
    said = capsys.readouterr().out
    assert f"run {run['run_id']} (airflow, begun 20" in said
    assert "nothing was sent" not in said


def test_one_task_does_a_whole_run_and_a_dry_one(airflow_shop: AirflowShop) -> None:
    dry = run_own_dag(ONE, dry_run=True)
    assert (dry.state, airflow_shop.sandbox.store.log[1:]) == ("success", [])
    assert dry.xcom["sync"]["rows"] == sum(airflow_shop.facts.distinct.values())
    ended = run_own_dag(ONE)
    assert (ended.state, ended.tries["sync", -1]) == ("success", 1)
    books = airflow_shop.check()
    report = ended.xcom["sync"]
    assert (report["run_id"], report["status"]) == (books.runs[-1]["run_id"], "succeeded")
    assert books.runs[-1]["trigger"] == "airflow"
    assert airflow_home.asset_events(ended.run_id).keys() == {"rehook://customers", "rehook://events"}


def test_one_task_is_red_for_rows_in_doubt_and_stops_at_refused_credentials(airflow_shop: AirflowShop) -> None:
    airflow_shop.sandbox.faults.add("commit_then_drop", path="/events/invoke", times=2)
    assert run_own_dag(ONE.replace('"sync",', '"sync", retries=2,')).tasks["sync", -1] == "failed"
    assert airflow_shop.check().runs[-1]["status"] == "attention"
    assert run_own_dag(ONE.replace('"sync",', '"sync", fail_on_attention=False,')).state == "success"
    airflow_shop.sandbox.faults.add("status", status=401)
    ended = run_own_dag(ONE.replace('"sync",', '"sync", retries=2,'))
    assert (ended.state, ended.tries["sync", -1]) == ("failed", 1)


@pytest.mark.parametrize("conf", [{"sinse": "7d"}, {"shards": 3}, {"since": "2026-13-45"}])
def test_a_conf_that_one_task_does_not_heed_is_refused(airflow_shop: AirflowShop, conf: dict[str, Any]) -> None:
    assert run_own_dag(ONE, **conf).state == "failed"
    assert airflow_shop.sandbox.store.log == []


def test_a_conf_is_not_ignored_where_an_argument_says_otherwise(airflow_shop: AirflowShop) -> None:
    assert run_own_dag(ONE.replace('"sync",', '"sync", since="beginning",'), since="1h").state == "failed"
    assert airflow_shop.sandbox.store.log == []


@pytest.fixture
def rehooks(airflow_database: None, postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Sandbox]]:
    """Two sources in one PostgreSQL database, a Rehook for each and one for both."""
    now = datetime.now(UTC) - timedelta(hours=1)
    for seed, schema in enumerate(("web_prod", "ios_prod")):
        build_shop(postgres_url, users=50, now=now, schema=schema, seed=seed)
    url = make_url(postgres_url)
    warehouse = {"conn_type": "postgres", "host": url.query["host"], "login": url.username, "schema": url.database}
    monkeypatch.setenv("AIRFLOW_CONN_REHOOK_WAREHOUSE", json.dumps(warehouse))
    with ExitStack() as stack:
        rehooks = {name: stack.enter_context(Sandbox()) for name in ("rehook_default", "rehook_web", "rehook_ios")}
        for name, each in rehooks.items():
            told = {"conn_type": "rehook", "host": each.url, "login": each.credentials.key, "password": each.credentials.secret}
            monkeypatch.setenv(f"AIRFLOW_CONN_{name.upper()}", json.dumps(told))
        yield rehooks


@pytest.mark.timeout(320)  # half a minute of processor time, which other tests may want at once
def test_the_documented_dags_of_ones_own_deliver(rehooks: dict[str, Sandbox], postgres_url: str) -> None:
    """One after the other on the same warehouse, so that each finds done what the one before has delivered."""
    read = {}
    for name, text in EXAMPLES.items():
        if "AsyncCallback" in text and find_spec("airflow.sdk.definitions.callback") is None:
            continue  # deadlines of this form came with Airflow 3.2
        # Airflow's own way to run a DAG in one process looks for deadlines by what it has not stored (3.3.2).
        ended = run_own_dag(text.replace(", deadline=LATE", ""))
        assert ended.state == "success", ended.tasks
        read[name] = {task: each["rows_read"] for task, each in ended.xcom.items() if isinstance(each, dict) and "rows_read" in each}
    assert read.pop("rehook_with_a_deadline", {"rehook.finish": 0}) == {"rehook.finish": 0}
    first = read["rehook_in_one_task"]["sync"]
    assert read == {
        "rehook_in_one_task": {"sync": first},
        "rehook_after_load": {"rehook.finish": 0},
        "rehook_two_sources": {"web": 0, "both": (both := read["rehook_two_sources"]["both"])},
        "rehook_two_projects": {"rehook_web.finish": first, "rehook_ios.finish": both},
    }
    assert min(first, both) > 100
    sources = {name: name for name in ("web_prod", "ios_prod")}
    Audit(postgres_url, received=rehooks["rehook_default"].store, sources=sources).check(ordered=False)  # one run came after the other
    arrived = {name: len(each.store.events) for name, each in rehooks.items()}
    assert arrived["rehook_default"] == arrived["rehook_web"] + arrived["rehook_ios"]
