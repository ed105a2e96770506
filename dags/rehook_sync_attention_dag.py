"""Rehook attention: rows that failed or are in doubt, a human's decision in Airflow's UI, and what follows from it.

Separate from the sync, so that a decision that takes days holds no run back. Trigger it when an alert says that rows need attention.
"""

from datetime import timedelta

from rehook_sync.airflow.attention import CHOICES, RehookListAttentionOperator, RehookResolveOperator

# isort: split

from airflow.providers.standard.operators.hitl import HITLOperator
from airflow.sdk import dag

SETTINGS: dict[str, object] = {}
PATIENCE = timedelta(days=7)


@dag(
    dag_id="rehook_sync_attention",
    schedule=None,
    catchup=False,
    max_active_runs=1,
    default_args={"retries": 3, "retry_delay": timedelta(minutes=1)},
    tags=["rehook", "reverse-etl"],
    doc_md=__doc__,
)
def rehook_sync_attention() -> None:
    """Put up for decision what needs attention now."""
    listed = RehookListAttentionOperator(task_id="list", settings=SETTINGS, finish_task_id="resolve")
    decide = HITLOperator(
        task_id="decide",
        subject="Did these calls reach Rehook?",
        body="{{ ti.xcom_pull(task_ids='list')['text'] }}",
        options=list(CHOICES),
        defaults=[CHOICES[-1]],
        response_timeout=PATIENCE,
    )
    resolve = RehookResolveOperator(
        task_id="resolve",
        settings=SETTINGS,
        finish_task_id="resolve",
        choice="{{ ti.xcom_pull(task_ids='decide')['chosen_options'][0] }}",
        listed=listed.output,
    )
    listed >> decide >> resolve


rehook_sync_attention()
