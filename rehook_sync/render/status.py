"""What the status looks like: a document for programs, tables for people."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime

from rich.console import RenderableType
from rich.table import Table as Grid
from rich.text import Text

from rehook_sync.jobs.results import StatusReport
from rehook_sync.models import Status
from rehook_sync.render.console import visible
from rehook_sync.render.text import clock, headed, line, meaning, number_text, seconds_between, status_text, whole
from rehook_sync.state.state import is_held
from rehook_sync.times import span

__all__ = ["status_document", "status_view"]

_WIDE = 120


def status_document(report: StatusReport) -> dict[str, object]:
    """Return runs, watermarks, counts and the lease."""
    watermarks = {stream: {**row, "lag_s": _lag_s(report.now, row.get("high_at"))} for stream, row in report.watermarks.items()}
    lease = None if report.lease is None else {**report.lease, "held": is_held(report.lease, report.now)}
    return {"now": report.now, "watermarks": watermarks, "counts": list(report.counts), "runs": list(report.runs), "lease": lease}


def status_view(report: StatusReport, width: int) -> Iterator[RenderableType]:
    """Yield watermarks, counts, what needs attention, the newest runs, the lease."""
    if not report.runs:
        yield "no run yet"
    else:
        yield _watermarks_grid(report)
        if report.counts:
            yield ""
            yield _counts_grid(report.counts)
        yield from _reasons_grid(report.counts)
        yield ""
        yield _runs_grid(report.runs, wide=width >= _WIDE)
    yield ""
    if report.lease is not None and is_held(report.lease, report.now):
        lease = report.lease
        yield line(
            "lease  ", ("held", "yellow"), f" by run {lease['run_id']} until {clock(lease['expires_at'])} UTC, owner {lease['owner']}"
        )
    else:
        yield line("lease  free")


def _watermarks_grid(report: StatusReport) -> Grid:
    grid = headed("stream", "watermark (UTC)", "behind", "recorded by run")
    for stream, row in report.watermarks.items():
        lag_s = _lag_s(report.now, row.get("high_at"))
        grid.add_row(stream, clock(row.get("high_at")), "" if lag_s is None else span(lag_s), visible(row.get("run_id")))
    return grid


def _counts_grid(counts: Sequence[Mapping[str, object]]) -> Grid:
    totals: dict[str, Counter[str]] = {}
    for row in counts:
        totals.setdefault(str(row["stream"]), Counter())[str(row["status"])] += whole(row["n"])
    shown = [status.value for status in Status if status is not Status.SENDING or any(each[status] for each in totals.values())]
    grid = headed("calls ever judged", *(name.replace("_", " ") for name in shown), "total", numbers=True)
    for stream, found in totals.items():
        grid.add_row(visible(stream), *(number_text(found[name]) for name in shown), number_text(found.total()))
    return grid


def _reasons_grid(counts: Sequence[Mapping[str, object]]) -> Iterator[RenderableType]:
    found: Counter[tuple[str, str]] = Counter()
    for row in counts:
        if row["reason"]:
            found[str(row["status"]), str(row["reason"])] += whole(row["n"])
    if not found:
        return
    yield ""
    grid = Grid.grid(padding=(0, 2))
    grid.add_column(justify="right", min_width=9)
    for (status, reason), n in found.most_common():
        grid.add_row(number_text(n), status_text(status), visible(reason), Text(meaning(reason), "dim"))
    yield grid


def _runs_grid(runs: Sequence[Mapping[str, object]], *, wide: bool) -> Grid:
    names = ("rows_read", "sent", "unchanged", "merged", "rejected", "failed", "waiting", "in_doubt")
    heads = ("rows", "sent", "same", "merged", "reject", "failed", "wait", "doubt")
    grid = headed(*(("run", "by", "took") if wide else ("run at (UTC)",)), "ended", *heads, numbers=True)
    for run in runs:
        ran = span(seconds_between(run["started_at"], run["finished_at"]))
        first = (visible(run["run_id"]), visible(run["trigger"]), ran) if wide else (clock(run["started_at"]),)
        grid.add_row(*first, status_text(str(run["status"])), *(number_text(run[name]) for name in names))
    for column in grid.columns[: 3 if wide else 1]:
        column.justify = "left"
    grid.columns[3 if wide else 1].justify = "left"
    return grid


def _lag_s(now: datetime, high_at: object) -> float | None:
    return seconds_between(high_at, now)
