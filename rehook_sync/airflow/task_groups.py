"""A whole run as a group of tasks, for any DAG."""

from typing import Any

import rehook_sync.airflow.common.versions  # noqa: F401 - first: says what an older Airflow lacks

# isort: split

from airflow.sdk import TaskGroup

from rehook_sync.airflow.operators import (
    SHARDS,
    RehookCheckOperator,
    RehookDeliverShardOperator,
    RehookFinishOperator,
    RehookPlanOperator,
)

__all__ = ["rehook_sync_task_group"]


def rehook_sync_task_group(
    group_id: str = "rehook_sync",
    *,
    shards: int | str | None = None,
    shards_at_once: int = SHARDS,
    prepare_tables: bool = True,
    fail_on_attention: bool = True,
    plan: dict[str, Any] | None = None,
    **common: Any,  # noqa: ANN401 - what every operator takes
) -> TaskGroup:
    """Add check, plan, deliver (one task per shard) and finish to the present DAG, as a group.

    Shape:  shards: most tasks that deliver; None: the DAG run's parameter of this name, else as many as run at once.
            shards_at_once: most of them that run at the same time.  prepare_tables, fail_on_attention: as in the operators.
            plan: further arguments of `RehookPlanOperator`, such as since and source.  common: arguments of all four, such as
            rehook_conn_id, warehouse_conn_id, state_conn_id, settings and retries.
    """
    most = f"{{{{ params.get('shards') or {shards_at_once} }}}}" if shards is None else shards
    with TaskGroup(group_id) as group:
        check = RehookCheckOperator(task_id="check", prepare_tables=prepare_tables, **common)
        planned = RehookPlanOperator(task_id="plan", **{"shards": most, **(plan or {})}, **common)
        deliver = RehookDeliverShardOperator.partial(
            task_id="deliver",
            max_active_tis_per_dagrun=shards_at_once,
            map_index_template=RehookDeliverShardOperator.map_index_label,
            **common,
        ).expand(shard=planned.output)
        finish = RehookFinishOperator(task_id="finish", fail_on_attention=fail_on_attention, **common)
        check >> planned >> deliver >> finish
    return group
