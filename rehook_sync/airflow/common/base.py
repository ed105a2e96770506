"""What all our tasks share: settings, retries, the link to the report."""

# ruff: noqa: PLC0415 - each task parses the DAG again; heavy modules load when a task runs

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, ClassVar

from rehook_sync.airflow.common.versions import HAS_RETRY_POLICY, failing_at_once  # first: says what an older Airflow lacks

# isort: split

from airflow.sdk import BaseOperator

from rehook_sync.airflow.common.relatives import find_relative
from rehook_sync.airflow.connections import DEFAULT_REHOOK, DEFAULT_WAREHOUSE, read_job
from rehook_sync.airflow.links import RunReportLink
from rehook_sync.airflow.retries import FINAL, RehookRetryPolicy
from rehook_sync.errors import RehookSyncError

if TYPE_CHECKING:
    from rehook_sync.database.dialects.record import Connector
    from rehook_sync.jobs.results import Plan, Progress
    from rehook_sync.models import RunSummary
    from rehook_sync.settings import Settings
    from rehook_sync.sync import Sync

__all__ = ["REPORT", "Context", "RehookOperator", "as_document"]

Context = Mapping[str, Any]
REPORT = "report"


class RehookOperator(BaseOperator):
    """What all tasks share: settings, retries, the link to the report.

    Shape:  settings: setting -> value, over the connections, over the worker's environment; no secrets.
            warehouse_conn_id, state_conn_id: connections to databases; None: from the environment.
            report_url: address of the run's report, may hold `{dag_id}` and `{run_id}`; None: in Airflow.
            finish_task_id: id of the task that returns the report; None: the finish task after this one.
    """

    template_fields: Sequence[str] = ("settings",)
    operator_extra_links = (RunReportLink(),)
    ui_color = "#e8f1fb"
    gives: ClassVar[str] = ""
    """What other tasks look for in this one: `plan`, `report`."""

    def __init_subclass__(cls, **more: Any) -> None:  # noqa: ANN401 - what every class takes
        """Let errors that another attempt would meet again fail at once where Airflow has no policy for it."""
        super().__init_subclass__(**more)
        if not HAS_RETRY_POLICY and "execute" in cls.__dict__:
            cls.execute = failing_at_once(cls.execute, FINAL)

    def __init__(
        self,
        *,
        rehook_conn_id: str = DEFAULT_REHOOK,
        warehouse_conn_id: str | None = DEFAULT_WAREHOUSE,
        state_conn_id: str | None = None,
        settings: Mapping[str, object] | None = None,
        report_url: str | None = None,
        finish_task_id: str | None = None,
        **more: Any,  # noqa: ANN401 - what every operator takes
    ) -> None:
        """Keep the names; nothing opens before the task runs."""
        if HAS_RETRY_POLICY:
            more["retry_policy"] = more.get("retry_policy") or RehookRetryPolicy()
        super().__init__(**more)
        self.rehook_conn_id = rehook_conn_id
        self.warehouse_conn_id = warehouse_conn_id
        self.state_conn_id = state_conn_id
        self.settings = dict(settings or {})
        self.report_url = report_url
        self.finish_task_id = finish_task_id

    def find_report(self) -> str:
        """Return the id of the task that returns the report of the run."""
        if self.finish_task_id or self.gives == REPORT:
            return str(self.finish_task_id or self.task_id)
        return find_relative(self, REPORT, "finish", upstream=False)

    def read_job(self) -> "tuple[Settings, dict[str, Connector]]":
        """Return the settings of this task, and who makes the connections of which database. Raises SettingsError."""
        return read_job(self.settings, self.rehook_conn_id, self.warehouse_conn_id, self.state_conn_id)

    @contextmanager
    def opened(self) -> "Iterator[Sync]":
        """Open the job; log an error line by line before Airflow prints its traceback."""
        from rehook_sync.sync import Sync

        try:
            settings, connectors = self.read_job()
            with Sync(settings, connectors=connectors) as sync:
                yield sync
        except RehookSyncError as error:
            for line in str(error).splitlines():
                self.log.error("%s", line)
            raise

    def check(self, *, prepare_tables: bool) -> None:
        """Check settings, warehouse, sync-state tables and credentials; raises the first error."""
        from rehook_sync.sync import Sync

        if prepare_tables:
            with self.opened() as sync:
                done = sync.init()
            self.log.info("sync-state tables: version %s%s", done.version, f", applied {', '.join(done.applied)}" if done.applied else "")
        found = Sync.check(*self.read_job())
        for name, value in (found.settings or {}).items():
            self.log.info("%s = %s", name, value)
        for name, error in found.errors.items():
            self.log.error("%s: %s", name, error)
        if found.first_error is not None:
            raise found.first_error

    def log_recovered(self, dead: "Sequence[RunSummary]") -> None:
        """Log which dead runs were cleaned up after."""
        for each in dead:
            self.log.warning("cleaned up after run %s, which died", each.run_id)

    def log_plan(self, plan: "Plan") -> dict[str, Any]:
        """Log what a run would do and return it as a document."""
        from rehook_sync.render.plan import plan_document

        document = as_document(plan_document(plan))
        self.log.info("a dry run; nothing is sent: %s", document)
        return document

    def listener(self) -> "Callable[[Progress], None]":
        """Return a listener that logs progress every few seconds."""
        from rehook_sync.render.logs import ProgressLog

        return ProgressLog(self.log).listen


def as_document(document: Mapping[str, object]) -> dict[str, Any]:
    """Return a document for XCom and JSON: times and enums as text."""
    from rehook_sync.render.escapes import document_json

    return dict(json.loads(document_json(document)))
