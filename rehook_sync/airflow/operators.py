"""The tasks of a run: check, plan, deliver a shard, finish; or all of it in one. Each wraps calls of `rehook_sync.sync`."""

# ruff: noqa: PLC0415 - each task parses the DAG again; heavy modules load when a task runs

import signal
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from rehook_sync.airflow.common.versions import AirflowException, AirflowFailException  # first: says what an older Airflow lacks

# isort: split

from airflow.sdk import TriggerRule

from rehook_sync.airflow.common.asking import RehookAskingOperator
from rehook_sync.airflow.common.base import Context, RehookOperator, as_document
from rehook_sync.airflow.common.relatives import find_relative
from rehook_sync.airflow.common.reporting import RehookReportingOperator
from rehook_sync.airflow.xcom import Order, PlannedRun, ShardOrder
from rehook_sync.errors import RehookSyncError
from rehook_sync.runtime import Interrupt

__all__ = [
    "SHARDS",
    "Context",
    "RehookCheckOperator",
    "RehookDeliverShardOperator",
    "RehookFinishOperator",
    "RehookOperator",
    "RehookPlanOperator",
    "RehookSyncOperator",
    "as_document",
]

PLAN_KEY = "plan"
SHARDS = 4
"""Most tasks that deliver, where nobody says otherwise."""


class RehookCheckOperator(RehookOperator):
    """Check settings, warehouse, sync-state tables and credentials before a run.

    Shape:  prepare_tables: create or upgrade the sync-state tables first; False leaves that to `python -m rehook_sync init`.
    """

    def __init__(self, *, prepare_tables: bool = True, **more: Any) -> None:  # noqa: ANN401 - what every operator takes
        """Keep the choice."""
        super().__init__(**more)
        self.prepare_tables = prepare_tables

    def execute(self, context: Context) -> None:
        """Check; raises the first error."""
        del context
        self.check(prepare_tables=self.prepare_tables)


class RehookSyncOperator(RehookAskingOperator, RehookReportingOperator):
    """Do a whole run in one task: check, deliver what is new, what came late and what failed before, and report.

    Shape:  prepare_tables: as in `RehookCheckOperator`.  Returns the report of the run; of a dry run, what it would do.
    """

    def __init__(self, *, prepare_tables: bool = True, **more: Any) -> None:  # noqa: ANN401 - what every operator takes
        """Keep the choice."""
        super().__init__(**more)
        self.prepare_tables = prepare_tables
        self._interrupt = Interrupt()

    def execute(self, context: Context) -> dict[str, Any]:
        """Run. Raises what stopped it, LeaseHeldError while another run is at work; after a retry, the next run goes on."""
        order = self.read_order(context)
        options = self.as_options(order)
        self.check(prepare_tables=self.prepare_tables)
        with self.opened() as sync:
            if order.dry_run:
                return self.log_plan(sync.plan(options))
            result = sync.run(options, self._interrupt, self.listener())
            self.log_recovered(result.recovered)
            report = self.log_report(result)
            if result.error is not None:
                raise result.error
            if self._interrupt.requested:
                raise AirflowException(f"run {result.summary.run_id} was interrupted; what was in flight is settled, the rest is not sent")
            self.note_sent(context, sync, result)
        self.require_settled(result)
        return report

    def on_kill(self) -> None:
        """Stop sending and settle what is in flight; Airflow kills the process some seconds later."""
        self._interrupt.request(signal.SIGTERM)


class RehookPlanOperator(RehookAskingOperator):
    """Start a run: take the lease, settle what dead runs left, divide the users into shards.

    Shape:  shards: most tasks that deliver; may be a template.  Returns one element per shard, to expand over.
    """

    template_fields: Sequence[str] = (*RehookAskingOperator.template_fields, "shards")
    gives: ClassVar[str] = PLAN_KEY

    def __init__(
        self,
        *,
        shards: int | str = f"{{{{ params.get('shards') or {SHARDS} }}}}",
        **more: Any,  # noqa: ANN401 - what every operator takes
    ) -> None:
        """Keep the number; it is rendered and checked when the task runs."""
        super().__init__(**more)
        self.shards = shards
        self.asked_of_the_run = self.find_asked()

    def execute(self, context: Context) -> list[dict[str, object]]:
        """Start the run. Raises UsageError for bad parameters, LeaseHeldError while another run is at work."""
        order = self.read_order(context, self.shards)
        return self._plan_only(context, order) if order.dry_run else self._start(context, order)

    def _start(self, context: Context, order: Order) -> list[dict[str, object]]:
        with self.opened() as sync:
            plan = sync.start(self.as_options(order), order.shards)
        self.log_recovered(plan.recovered)
        for note in plan.notes:
            self.log.warning("%s", note)
        self.log.info("run %s: about %s rows in %s shards", plan.run_id, plan.rows, len(plan.shards))
        context["ti"].xcom_push(PLAN_KEY, PlannedRun(plan.run_id, len(plan.shards), plan.rows).document())
        return [ShardOrder(plan.run_id, shard).document() for shard in plan.shards]

    def _plan_only(self, context: Context, order: Order) -> list[dict[str, object]]:
        with self.opened() as sync:
            plan = sync.plan(self.as_options(order))
        self.log_plan(plan)
        context["ti"].xcom_push(PLAN_KEY, PlannedRun(None, 0, plan.rows).document())
        return []


class RehookDeliverShardOperator(RehookOperator):
    """Deliver one shard of a run; expand it over what the plan task returned.

    A shard that is done returns at once, so it may be cleared and repeated. Two attempts of one shard never send at
    the same time: the later waits for the lease of the earlier.
    """

    map_index_label: ClassVar[str] = "shard {{ task.shard['shard'] }}"

    def __init__(self, *, shard: Mapping[str, object], **more: Any) -> None:  # noqa: ANN401 - what every operator takes
        """Keep the order that the plan task wrote."""
        super().__init__(**more)
        self.shard = shard
        self._interrupt = Interrupt()

    def execute(self, context: Context) -> dict[str, object]:
        """Deliver the shard and return counts. Raises what stopped it."""
        del context
        order = ShardOrder.read(self.shard)
        with self.opened() as sync:
            done = sync.deliver_shard(order.run_id, order.shard, self._interrupt, self.listener())
            if done.error is not None:
                raise done.error
        rows = sum(done.rows.values())
        self.log.info("shard %s: %s, %s rows, %s requests", order.shard, done.status, rows, done.requests)
        if done.status != "done":
            raise AirflowException(f"shard {order.shard} was interrupted; what was in flight is settled, the rest is not sent")
        return {"rows": rows, "requests": done.requests}

    def on_kill(self) -> None:
        """Stop sending and settle what is in flight; Airflow kills the process some seconds later."""
        self._interrupt.request(signal.SIGTERM)


class RehookFinishOperator(RehookReportingOperator):
    """Finish a run by what the sync-state tables say, move the watermark, and fail if the run did.

    Shape:  plan_task_id: id of the task that planned the run; None: the plan task before this one.
    Returns the report of the run, and the same again when it is repeated.
    """

    def __init__(self, *, plan_task_id: str | None = None, **more: Any) -> None:  # noqa: ANN401 - what every operator takes
        """Keep the id. The task runs whatever became of the tasks before it."""
        super().__init__(**{"trigger_rule": TriggerRule.ALL_DONE, **more})
        self.plan_task_id = plan_task_id

    def execute(self, context: Context) -> dict[str, Any] | None:
        """Finish the run. Raises when shards have not ended, when the run was stopped, or when rows need attention."""
        from rehook_sync.models import RunStatus

        plan = self.plan_task_id or find_relative(self, PLAN_KEY, "plan", upstream=True)
        document = context["ti"].xcom_pull(task_ids=plan, key=PLAN_KEY)
        if document is None:
            raise AirflowFailException(self._say_unplanned(plan))
        run_id = PlannedRun.read(document).run_id
        if run_id is None:
            return None
        with self.opened() as sync:
            result = sync.finish(run_id)
            self.note_sent(context, sync, result)
        report = self.log_report(result)
        if result.error is not None:
            raise AirflowFailException(f"run {run_id} was stopped: {result.error}")
        if result.summary.status is RunStatus.INTERRUPTED:
            raise AirflowFailException(f"run {run_id} was interrupted: clear the shards that failed, and {self.task_id}")
        self.require_settled(result)
        return report

    def _say_unplanned(self, plan: str) -> str:
        """Return what is known of a run without a plan, by the sync-state tables: it may have begun all the same."""
        nothing = f"nothing was planned, so nothing was sent: see the log of {plan} and those before it"
        try:
            with self.opened() as sync:
                found = sync.read_status(runs=50)
        except RehookSyncError:
            return nothing
        run = next((each for each in found.runs if each["status"] == "running"), None)
        if run is None:
            return nothing
        return (
            f"task {plan} left no plan, and run {run['run_id']} ({run['trigger']}, begun {str(run['started_at'])[:16]} UTC) has not ended: "
            f"if it is of this DAG run, set plan_task_id to the task that planned it and clear {self.task_id}; "
            "else it goes on, or the next run settles what it left once its lease is over"
        )
