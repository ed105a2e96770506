"""What the tasks share that end a run: its report, its assets, its lineage."""

# ruff: noqa: PLC0415 - each task parses the DAG again; heavy modules load when a task runs

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from rehook_sync.airflow.common.versions import AirflowFailException  # first: says what an older Airflow lacks

# isort: split

from airflow.sdk import AssetAlias

from rehook_sync.airflow.assets import SENT, count_assets, find_watermark
from rehook_sync.airflow.common.base import REPORT, Context, RehookOperator, as_document
from rehook_sync.airflow.common.measures import measure
from rehook_sync.models import Stream

if TYPE_CHECKING:
    from airflow.providers.openlineage.extractors import OperatorLineage

    from rehook_sync.jobs.results import RunResult
    from rehook_sync.sync import Sync

__all__ = ["RehookReportingOperator"]


class RehookReportingOperator(RehookOperator):
    """Return the report of a run, and fail if the run did.

    Shape:  fail_on_attention: fail when rows are failed or in doubt, so that alerts fire.
    """

    gives: ClassVar[str] = REPORT

    def __init__(self, *, fail_on_attention: bool = True, **more: Any) -> None:  # noqa: ANN401 - what every operator takes
        """Keep the choice."""
        super().__init__(**{"outlets": [SENT], **more})
        self.fail_on_attention = fail_on_attention
        self._sent: Mapping[Stream, int] = {}
        self._sources: Sequence[tuple[str, str]] = ()

    def note_sent(self, context: Context, sync: "Sync", result: "RunResult") -> None:
        """Read what a run sent and from where, for lineage, and add the assets it changed to the aliases among the outlets."""
        from rehook_sync.airflow.lineage import sources

        run_id = result.summary.run_id
        watermarks = [(feed.stream, at) for feed, at in result.watermarks.items()]
        self._sent = sync.read_sent(run_id)
        self._sources = sources(sync)
        for alias in [each for each in self.outlets if isinstance(each, AssetAlias)]:
            for asset, count in count_assets(self._sent):
                if count:
                    extra = {"run_id": run_id, "sent": count, "watermark": find_watermark(asset, watermarks)}
                    context["outlet_events"][alias].add(asset, extra=extra)

    def log_report(self, result: "RunResult") -> dict[str, Any]:
        """Log the report of a run and return it as a document."""
        from rehook_sync.render.run import run_document

        report = as_document(run_document(result))
        self.log.info("%s", json.dumps(report))
        measure(self.dag_id, result)
        return report

    def require_settled(self, result: "RunResult") -> None:
        """Raise AirflowFailException when rows need attention, unless that is to be green."""
        from rehook_sync.models import RunStatus

        if self.fail_on_attention and result.summary.status is RunStatus.ATTENTION:
            left = ", ".join(f"{count} {status.replace('_', ' ')}" for status, count in result.unsettled.items() if count)
            raise AirflowFailException(
                f"run {result.summary.run_id} is done, but rows need attention: {left or 'see its notes'}; see v1_attention"
            )

    def get_openlineage_facets_on_complete(self, _task_instance: object) -> "OperatorLineage":
        """Return for OpenLineage which tables were read and how many calls Rehook got."""
        from rehook_sync.airflow.lineage import describe

        return describe(self._sources, self._sent)
