"""The tasks of a run: check, plan, deliver a shard, finish. Each wraps a call of `rehook_sync.sync`."""

# ruff: noqa: PLC0415 - each task parses the DAG again; heavy modules load when a task runs

import json
import signal
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

from airflow.sdk import AssetAlias, TriggerRule
from airflow.sdk.exceptions import AirflowException, AirflowFailException

from rehook_sync.airflow.assets import SENT, count_assets
from rehook_sync.airflow.common.base import REPORT, Context, RehookOperator, as_document
from rehook_sync.airflow.common.relatives import find_relative
from rehook_sync.airflow.xcom import Order, PlannedRun, ShardOrder, refuse_unknown
from rehook_sync.errors import RehookSyncError
from rehook_sync.models import Stream
from rehook_sync.runtime import Interrupt

if TYPE_CHECKING:
    from airflow.providers.openlineage.extractors import OperatorLineage

    from rehook_sync.jobs.results import RunOptions, RunResult

__all__ = [
    "Context",
    "RehookCheckOperator",
    "RehookDeliverShardOperator",
    "RehookFinishOperator",
    "RehookOperator",
    "RehookPlanOperator",
    "as_document",
]

PLAN_KEY = "plan"


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
        from rehook_sync.sync import Sync

        del context
        if self.prepare_tables:
            with self.opened() as sync:
                done = sync.init()
            self.log.info("sync-state tables: version %s%s", done.version, f", applied {', '.join(done.applied)}" if done.applied else "")
        found = Sync.check(self.read_settings())
        for name, value in (found.settings or {}).items():
            self.log.info("%s = %s", name, value)
        for name, error in found.errors.items():
            self.log.error("%s: %s", name, error)
        if found.first_error is not None:
            raise found.first_error


class RehookPlanOperator(RehookOperator):
    """Start a run: take the lease, settle what dead runs left, divide the users into shards.

    Shape:  since, until: as on the command line.  stream: a name, empty for all.  source: a name, empty for all.
            dry_run: count only.  shards: most tasks that deliver.  All may be templates.  Returns one element per shard, to expand over.
    """

    template_fields: Sequence[str] = (*RehookOperator.template_fields, "since", "until", "stream", "source", "dry_run", "shards")
    gives: ClassVar[str] = PLAN_KEY

    def __init__(
        self,
        *,
        since: str | None = "{{ params.since or '' }}",
        until: str | None = "{{ params.until or '' }}",
        stream: str | None = "{{ params.stream or '' }}",
        source: str | None = "{{ params.get('source') or '' }}",
        dry_run: bool | str = "{{ params.dry_run }}",
        shards: int | str = "{{ params.shards }}",
        **more: Any,  # noqa: ANN401 - what every operator takes
    ) -> None:
        """Keep the parameters; they are rendered and checked when the task runs."""
        super().__init__(**more)
        self.since = since
        self.until = until
        self.stream = stream
        self.source = source
        self.dry_run = dry_run
        self.shards = shards

    def execute(self, context: Context) -> list[dict[str, object]]:
        """Start the run. Raises UsageError for bad parameters, LeaseHeldError while another run is at work."""
        refuse_unknown(context["dag_run"].conf or {}, context["dag"].params)
        order = Order.read({name: getattr(self, name) for name in ("since", "until", "stream", "source", "dry_run", "shards")})
        return self._plan_only(context, order) if order.dry_run else self._start(context, order)

    def _start(self, context: Context, order: Order) -> list[dict[str, object]]:
        with self.opened() as sync:
            plan = sync.start(_request(order), order.shards)
        for each in plan.recovered:
            self.log.warning("cleaned up after run %s, which died", each.run_id)
        for note in plan.notes:
            self.log.warning("%s", note)
        self.log.info("run %s: about %s rows in %s shards", plan.run_id, plan.rows, len(plan.shards))
        context["ti"].xcom_push(PLAN_KEY, PlannedRun(plan.run_id, len(plan.shards), plan.rows).document())
        return [ShardOrder(plan.run_id, shard).document() for shard in plan.shards]

    def _plan_only(self, context: Context, order: Order) -> list[dict[str, object]]:
        from rehook_sync.render.plan import plan_document

        with self.opened() as sync:
            plan = sync.plan(_request(order))
        self.log.info("a dry run; nothing is sent: %s", as_document(plan_document(plan)))
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


class RehookFinishOperator(RehookOperator):
    """Finish a run by what the sync-state tables say, move the watermark, and fail if the run did.

    Shape:  plan_task_id: id of the task that planned the run; None: the plan task before this one.
            fail_on_attention: fail when rows are failed or in doubt, so that alerts fire.
    Returns the report of the run, and the same again when it is repeated.
    """

    gives: ClassVar[str] = REPORT

    def __init__(
        self,
        *,
        plan_task_id: str | None = None,
        fail_on_attention: bool = True,
        **more: Any,  # noqa: ANN401 - what every operator takes
    ) -> None:
        """Keep the choice. The task runs whatever became of the tasks before it."""
        super().__init__(**{"trigger_rule": TriggerRule.ALL_DONE, "outlets": [SENT], **more})
        self.plan_task_id = plan_task_id
        self.fail_on_attention = fail_on_attention
        self._sent: Mapping[Stream, int] = {}
        self._sources: Sequence[tuple[str, str]] = ()

    def execute(self, context: Context) -> dict[str, Any] | None:
        """Finish the run. Raises when shards have not ended, when the run was stopped, or when rows need attention."""
        from rehook_sync.airflow.lineage import sources

        plan = self.plan_task_id or find_relative(self, PLAN_KEY, "plan", upstream=True)
        document = context["ti"].xcom_pull(task_ids=plan, key=PLAN_KEY)
        if document is None:
            raise AirflowFailException(self._say_unplanned(plan))
        run_id = PlannedRun.read(document).run_id
        if run_id is None:
            return None
        with self.opened() as sync:
            result = sync.finish(run_id)
            self._sent = sync.read_sent(run_id)
            self._sources = sources(sync)
        self._announce(context, run_id, self._sent)
        return self._tell(result)

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

    def get_openlineage_facets_on_complete(self, _task_instance: object) -> "OperatorLineage":
        """Return for OpenLineage which tables were read and how many calls Rehook got."""
        from rehook_sync.airflow.lineage import describe

        return describe(self._sources, self._sent)

    def _tell(self, result: "RunResult") -> dict[str, Any]:
        from rehook_sync.models import RunStatus
        from rehook_sync.render.run import run_document

        report = as_document(run_document(result))
        self.log.info("%s", json.dumps(report))
        if result.error is not None:
            raise AirflowFailException(f"run {result.summary.run_id} was stopped: {result.error}")
        if result.summary.status is RunStatus.INTERRUPTED:
            raise AirflowFailException(f"run {result.summary.run_id} was interrupted: clear the shards that failed, and {self.task_id}")
        if self.fail_on_attention and result.summary.status is RunStatus.ATTENTION:
            left = ", ".join(f"{count} {status.replace('_', ' ')}" for status, count in result.unsettled.items() if count)
            raise AirflowFailException(
                f"run {result.summary.run_id} is done, but rows need attention: {left or 'see its notes'}; see v1_attention"
            )
        return report

    def _announce(self, context: Context, run_id: str, sent: "Mapping[Stream, int]") -> None:
        """Add the assets that this run changed to the aliases among the outlets."""
        for alias in [each for each in self.outlets if isinstance(each, AssetAlias)]:
            for asset, count in count_assets(sent):
                if count:
                    context["outlet_events"][alias].add(asset, extra={"run_id": run_id, "sent": count})


def _request(order: Order) -> "RunOptions":
    from rehook_sync.jobs.results import read_options
    from rehook_sync.models import Trigger

    return replace(read_options(order.since, order.until, order.stream, Trigger.AIRFLOW), source=order.source)
