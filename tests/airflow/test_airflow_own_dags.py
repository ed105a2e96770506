"""DAGs as users write them, with our operators in whatever shape."""

import airflow_home
import pytest
from accounting import read_rows
from airflow_home import AirflowShop, run_own_dag

airflow_database, airflow_shop = airflow_home.airflow_database, airflow_home.airflow_shop

SETTINGS = "{'conversion_events': ['signup'], 'start_at': 'beginning'}"
GROUP = f"""
from airflow.sdk import dag, task_group
from rehook_sync.airflow.operators import (
    RehookCheckOperator, RehookDeliverShardOperator, RehookFinishOperator, RehookPlanOperator
)

@task_group
def rehook():
    check = RehookCheckOperator(task_id="check")
    plan = RehookPlanOperator(task_id="plan", since=None, until=None, stream=None, source=None, dry_run=False, shards=2)
    deliver = RehookDeliverShardOperator.partial(task_id="deliver").expand(shard=plan.output)
    check >> plan >> deliver >> RehookFinishOperator(task_id="finish")

@dag(dag_id="in_a_group", schedule=None, default_args={{"settings": {SETTINGS}}})
def in_a_group():
    rehook()

in_a_group()
"""


def test_tasks_in_a_group_find_each_other_by_what_they_are(airflow_shop: AirflowShop) -> None:
    ended = run_own_dag(GROUP)
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
