"""The figures of a run for Airflow's own metrics, which it sends by StatsD or OpenTelemetry where that is switched on."""

from typing import TYPE_CHECKING

from rehook_sync.airflow.common.versions import find_stats
from rehook_sync.models import Status

if TYPE_CHECKING:
    from rehook_sync.jobs.results import RunResult

__all__ = ["measure"]


def measure(dag_id: str, result: "RunResult") -> None:
    """Send what became of the rows of a run, and what is not settled of all. Gauges: a report that is repeated counts nothing twice."""
    gauge, tags = find_stats().gauge, {"dag_id": dag_id}
    for status in Status:
        if (rows := getattr(result.summary, status, None)) is not None:
            gauge(f"rehook.rows.{status}", rows, tags=tags)
    gauge("rehook.requests", result.summary.requests, tags=tags)
    gauge("rehook.unsettled", sum(result.unsettled.values()), tags=tags)
