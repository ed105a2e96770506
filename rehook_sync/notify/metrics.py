"""Runs as OpenTelemetry metrics, where somebody has set that up for this process; docs/operating.md lists the names.

Without it nothing is loaded: an instrumented process has the library loaded before any of ours, and nobody else would hear.
"""

import sys
from datetime import UTC, datetime
from typing import Any

from rehook_sync.jobs.results import RunResult
from rehook_sync.models import Status
from rehook_sync.rules.watermark import EPOCH

__all__ = ["record_run"]

_UNSETTLED = (Status.FAILED, Status.WAITING, Status.IN_DOUBT)
_SETTLED = (Status.SENT, Status.UNCHANGED, Status.MERGED, Status.SKIPPED, *_UNSETTLED)


def record_run(result: RunResult, took_s: float) -> None:
    """Record how a run ended. Units:  took_s: seconds."""
    metrics = sys.modules.get("opentelemetry.metrics")
    if metrics is not None:
        _record(metrics.get_meter("rehook_sync"), result, took_s)


def _record(meter: Any, result: RunResult, took_s: float) -> None:  # noqa: ANN401 - the library need not be there
    summary = result.summary
    meter.create_counter("rehook.runs", "{run}", "Runs that ended.").add(1, {"status": summary.status.value})
    meter.create_histogram("rehook.run.duration", "s", "Duration of runs.").record(took_s, {"status": summary.status.value})
    meter.create_counter("rehook.requests", "{request}", "Requests to Rehook, repeated ones included.").add(summary.requests)
    rows = meter.create_counter("rehook.rows", "{row}", "Rows judged, by what became of them.")
    for status in _SETTLED:
        if count := getattr(summary, status.value):
            rows.add(count, {"status": status.value})
    for reason, count in result.rejected.items():
        rows.add(count, {"status": Status.REJECTED.value, "reason": reason.value})
    unsettled = meter.create_gauge("rehook.unsettled", "{row}", "Rows of all runs that are not settled.")
    for status in _UNSETTLED:
        unsettled.set(result.unsettled.get(status, 0), {"status": status.value})
    lag = meter.create_gauge("rehook.lag", "s", "Age of the watermark at the end of the run.")
    now = datetime.now(UTC)
    for feed, mark in result.watermarks.items():
        if mark is not None and mark != EPOCH:
            lag.set((now - mark).total_seconds(), {"source": feed.source, "stream": str(feed.stream)})
