"""Requests and commits as OpenTelemetry metrics, where somebody has set that up for this process; docs/operating.md lists the names."""

import sys
from typing import Any

from rehook_sync.models import Answer, Stream

__all__ = ["Measures", "find_measures"]

_REQUEST_BOUNDS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
_COMMIT_BOUNDS_S = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5)


class Measures:
    """Records each answer and each commit of a delivery. It may be used from several threads."""

    def __init__(self, meter: Any) -> None:  # noqa: ANN401 - the library need not be there
        """Create the instruments."""
        histogram = meter.create_histogram
        self._requests = histogram(
            "rehook.request.duration", "s", "From sending a request to its answer.", explicit_bucket_boundaries_advisory=_REQUEST_BOUNDS_S
        )
        self._commits = histogram(
            "rehook.commit.duration", "s", "Recording marks and outcomes durably.", explicit_bucket_boundaries_advisory=_COMMIT_BOUNDS_S
        )
        self._retries = meter.create_counter("rehook.retries", "{request}", "Requests that repeated an earlier one of the same run.")
        self._retries.add(0)

    def answered(self, stream: Stream, answer: Answer, took_s: float, *, repeated: bool) -> None:
        """Record a request. Units:  took_s: seconds.  repeated: whether the same call was sent before in this run."""
        attributes = {"stream": str(stream)}
        if answer.http_status is not None:
            attributes["http_status"] = str(answer.http_status)
        self._requests.record(took_s, attributes)
        if repeated:
            self._retries.add(1)

    def committed(self, took_s: float) -> None:
        """Record a commit. Units:  took_s: seconds."""
        self._commits.record(took_s)


def find_measures() -> Measures | None:
    """Return where to record, None in a process that is not instrumented: an instrumented one has the library loaded before ours."""
    metrics = sys.modules.get("opentelemetry.metrics")
    return None if metrics is None else Measures(metrics.get_meter("rehook_sync"))
