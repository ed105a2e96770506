"""Rehook sync: check, plan, deliver in shards, finish. Copy this file into your DAGs folder and edit what stands in capitals.

At the top it imports only Airflow, the standard library and the provider: each task parses this file again.
"""

from datetime import timedelta

from rehook_sync.airflow.common.versions import AssetOrTimeSchedule, CronTriggerTimetable  # first: says what an older Airflow lacks

# isort: split

from airflow.sdk import Asset, Param, dag

from rehook_sync.airflow.operators import (
    RehookCheckOperator,
    RehookDeliverShardOperator,
    RehookFinishOperator,
    RehookPlanOperator,
)

# The outlet of a DAG that fills the warehouse, such as a dbt run; its event starts a run within seconds.
WAREHOUSE_LOADED = Asset(name="segment_warehouse_loaded", uri="x-segment://warehouse/loaded")
CRON = "17 * * * *"
SCHEDULE = AssetOrTimeSchedule(timetable=CronTriggerTimetable(CRON, timezone="UTC"), assets=WAREHOUSE_LOADED)

# Settings of rehook-sync, over those of the connections and of the workers' environment. No secrets.
SETTINGS: dict[str, object] = {}

SHARDS = 4
SHARDS_AT_ONCE = 4
LONGEST_RUN = timedelta(hours=6)

_TIME = r"^(beginning|\d+(\.\d+)?[smhdw]|\d{4}-\d{2}-\d{2}([T ]\d{2}:\d{2}(:\d{2}(\.\d+)?)?(Z|[+-]\d{2}:?\d{2})?)?)$"
PARAMS = {
    "since": Param(
        None,
        type=["null", "string"],
        pattern=_TIME,
        description="from this time on, instead of the watermark: a time, an age (7d), 'beginning'",
    ),
    "until": Param(None, type=["null", "string"], pattern=_TIME, description="up to this time; empty: now"),
    "stream": Param(None, type=["null", "string"], description="only this stream, such as tracks; empty: all"),
    "source": Param(None, type=["null", "string"], description="only this one of several sources, by its name; empty: all"),
    "dry_run": Param(False, type="boolean", description="count what would be done; send and write nothing"),
    "shards": Param(SHARDS, type="integer", minimum=1, maximum=1000, description="most tasks that deliver"),
}


@dag(
    dag_id="rehook_sync",
    schedule=SCHEDULE,
    catchup=False,
    max_active_runs=1,
    dagrun_timeout=LONGEST_RUN,
    params=PARAMS,
    default_args={"retries": 3, "retry_delay": timedelta(seconds=30), "settings": SETTINGS},
    tags=["rehook", "reverse-etl"],
    doc_md=__doc__,
)
def rehook_sync() -> None:
    """Deliver what is new, what came late and what failed before."""
    check = RehookCheckOperator(task_id="check")
    plan = RehookPlanOperator(task_id="plan")
    deliver = RehookDeliverShardOperator.partial(
        task_id="deliver", max_active_tis_per_dagrun=SHARDS_AT_ONCE, map_index_template=RehookDeliverShardOperator.map_index_label
    ).expand(shard=plan.output)
    finish = RehookFinishOperator(task_id="finish")
    check >> plan >> deliver >> finish


rehook_sync()
