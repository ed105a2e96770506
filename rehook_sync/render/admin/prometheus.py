"""The status as metrics in Prometheus's text format, for node_exporter's textfile collector. docs/operating.md lists the names."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from tempfile import NamedTemporaryFile

from rehook_sync.errors import UsageError
from rehook_sync.jobs.results import StatusReport
from rehook_sync.models import RunStatus
from rehook_sync.render.text import OUTCOMES, row_time, seconds_between, whole
from rehook_sync.runtime import describe
from rehook_sync.state.state import is_held

__all__ = ["metrics_text", "write_metrics"]

_Sample = tuple[Mapping[str, str], float]


def metrics_text(report: StatusReport) -> str:
    """Return the metrics, each with its help, its type and its samples."""
    lines = []
    for name, (about, samples) in _metrics(report).items():
        lines += [f"# HELP rehook_sync_{name} {about}", f"# TYPE rehook_sync_{name} gauge"]
        lines += [f"rehook_sync_{name}{_labels(labels)} {value:.15g}" for labels, value in samples]
    return "\n".join(lines) + "\n"


def write_metrics(report: StatusReport, file: str) -> None:
    """Write the metrics to a file, all or nothing: a collector may read at any moment. Raises: UsageError when it cannot be written."""
    path = Path(file)
    try:
        with NamedTemporaryFile("w", encoding="utf-8", dir=path.parent, prefix=f".{path.name}.", delete=False) as out:
            out.write(metrics_text(report))
        made = Path(out.name)
        try:
            made.chmod(0o644)  # the collector is another user, and nothing in it is personal
            made.replace(path)
        except OSError:
            made.unlink(missing_ok=True)
            raise
    except OSError as error:
        raise UsageError(f"--prometheus: {file!r} cannot be written: {describe(error)}") from None


def _metrics(report: StatusReport) -> dict[str, tuple[str, list[_Sample]]]:
    none: dict[str, str] = {}
    marks = {feed: row_time(row.get("high_at")) for feed, row in report.watermarks.items()}
    known = {feed: mark for feed, mark in marks.items() if mark is not None}
    ended = [run for run in report.runs if isinstance(run["finished_at"], datetime)]
    last = ended[0] if ended else None
    good = next((run for run in ended if run["status"] in {RunStatus.SUCCEEDED, RunStatus.ATTENTION}), None)
    return {
        "calls": ("Calls ever judged.", [*_calls(report)]),
        "watermark_timestamp_seconds": (
            "Everything at or below it is settled or recorded.",
            [({"source": feed.source, "stream": feed.stream}, mark.timestamp()) for feed, mark in known.items()],
        ),
        "lag_seconds": (
            "Age of the watermark.",
            [({"source": feed.source, "stream": feed.stream}, (report.now - mark).total_seconds()) for feed, mark in known.items()],
        ),
        "open_periods": ("Periods asked for and not done.", [(none, len(report.periods))]),
        "lease_held": ("1 while a run is at work.", [(none, float(report.lease is not None and is_held(report.lease, report.now)))]),
        "last_run_timestamp_seconds": ("End of the newest run.", [(none, _time(last))] if last else []),
        "last_good_run_timestamp_seconds": ("End of the newest run that got through.", [(none, _time(good))] if good else []),
        "last_run_status": (
            "1 for how the newest run ended.",
            [({"status": status.value}, float(last["status"] == status)) for status in RunStatus if status is not RunStatus.RUNNING]
            if last
            else [],
        ),
        "last_run_rows": (
            "Rows of the newest run, by what became of them.",
            [({"status": status.value}, whole(last[status.value])) for status in OUTCOMES] if last else [],
        ),
        "last_run_requests": ("Requests of the newest run.", [(none, whole(last["requests"]))] if last else []),
        "last_run_duration_seconds": (
            "Duration of the newest run.",
            [(none, seconds_between(last["started_at"], last["finished_at"]) or 0.0)] if last else [],
        ),
        "status_timestamp_seconds": ("When this was written.", [(none, report.now.timestamp())]),
    }


def _calls(report: StatusReport) -> Iterator[_Sample]:
    for row in report.counts:
        yield {name: str(row[name] or "") for name in ("stream", "status", "reason")}, whole(row["n"])


def _time(run: Mapping[str, object]) -> float:
    finished_at = run["finished_at"]
    return finished_at.timestamp() if isinstance(finished_at, datetime) else 0.0


def _labels(labels: Mapping[str, str]) -> str:
    if not labels:
        return ""
    return "{" + ",".join(f'{name}="{_escaped(value)}"' for name, value in labels.items()) + "}"


def _escaped(text: str) -> str:
    return text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
