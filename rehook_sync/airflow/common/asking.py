"""What the tasks share that begin a run: what it is asked for."""

# ruff: noqa: PLC0415 - each task parses the DAG again; heavy modules load when a task runs

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from rehook_sync.airflow.common.base import Context, RehookOperator
from rehook_sync.airflow.xcom import Order, refuse_unknown
from rehook_sync.errors import UsageError

if TYPE_CHECKING:
    from datetime import datetime

    from rehook_sync.jobs.results import RunOptions

__all__ = ["RehookAskingOperator"]

_NO_BACKFILL = (
    "a backfill would deliver what is new, once for each of its dates: to deliver a period, begin one run with "
    '`airflow dags trigger {dag_id} --conf \'{{"since": "{since}", "until": "{until}"}}\'`'
)
_GIVEN = "{{{{ params.get('{}') or '' }}}}"


class RehookAskingOperator(RehookOperator):
    """Begin a run as it is asked for, by arguments, else by the parameters or the conf of the DAG run.

    Shape:  since, until: as on the command line.  stream: a name, empty for all.  source: a name, empty for all.
            dry_run: count only.  All may be templates.
    """

    template_fields: Sequence[str] = (*RehookOperator.template_fields, "since", "until", "stream", "source", "dry_run")

    def __init__(
        self,
        *,
        since: str | None = _GIVEN.format("since"),
        until: str | None = _GIVEN.format("until"),
        stream: str | None = _GIVEN.format("stream"),
        source: str | None = _GIVEN.format("source"),
        dry_run: bool | str = _GIVEN.format("dry_run"),
        **more: Any,  # noqa: ANN401 - what every operator takes
    ) -> None:
        """Keep the parameters; they are rendered and checked when the task runs."""
        super().__init__(**more)
        self.since = since
        self.until = until
        self.stream = stream
        self.source = source
        self.dry_run = dry_run
        self.asked_of_the_run = self.find_asked()

    def find_asked(self) -> list[str]:
        """Return the parameters that are left to the DAG run; only before they are rendered."""
        return [name for name in self.template_fields if str(getattr(self, name, "")).startswith(_GIVEN.format(name)[:-10])]

    def read_order(self, context: Context, shards: int | str = 1) -> Order:
        """Return what is asked for. Raises UsageError for a bad value, a conf that nothing here heeds, and in a backfill."""
        run = context["dag_run"]
        if getattr(run.run_type, "value", run.run_type) == "backfill":
            raise UsageError(
                _NO_BACKFILL.format(dag_id=run.dag_id, since=_text(run.data_interval_start), until=_text(run.data_interval_end))
            )
        refuse_unknown(run.conf or {}, {*context["dag"].params, *self.asked_of_the_run})
        names = ("since", "until", "stream", "source", "dry_run")
        return Order.read({**{name: getattr(self, name) for name in names}, "shards": shards})

    def as_options(self, order: Order) -> "RunOptions":
        """Return an order as the job takes it. Raises UsageError for what is no time."""
        from rehook_sync.jobs.results import read_options
        from rehook_sync.models import Trigger

        return replace(read_options(order.since, order.until, order.stream, Trigger.AIRFLOW), source=order.source)


def _text(moment: "datetime | None") -> str:
    """Return a time as it is written on a command line."""
    return "…" if moment is None else moment.isoformat(timespec="seconds").replace("+00:00", "Z")
