"""What each answer of the job looks like: a document for scripts, and lines and tables for people who have 80 columns."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime

from rich.console import RenderableType
from rich.table import Table as Grid
from rich.text import Text

from rehook_sync.advice import MEANING
from rehook_sync.console import error_document, visible
from rehook_sync.jobs.results import Plan, RunResult, StatusReport
from rehook_sync.models import Reason, RunStatus, RunSummary, Status

__all__ = [
    "clock",
    "counted",
    "line",
    "meaning",
    "plan_document",
    "plan_view",
    "run_document",
    "run_view",
    "span",
    "status_document",
    "status_text",
    "status_view",
]

_COLOURS = {
    "succeeded": "green",
    "attention": "yellow",
    "interrupted": "yellow",
    "stopped": "red",
    "crashed": "red",
    "sent": "green",
    "rejected": "yellow",
    "failed": "red",
    "in_doubt": "red",
}
_NOTES = {
    Status.UNCHANGED: "the customer has it all already",
    Status.MERGED: "carried by the user's next Identify call",
    Status.FAILED: "the next run sends them again",
    Status.IN_DOUBT: "may have arrived; not sent again by themselves",
}
_SETTLED = (Status.SENT, Status.UNCHANGED, Status.MERGED, Status.REJECTED, Status.FAILED, Status.IN_DOUBT)
_WIDE = 120


def run_document(result: RunResult) -> dict[str, object]:
    """Return how a run ended."""
    return {
        **asdict(result.summary),
        "rejected_by_reason": dict(_largest(result.rejected)),
        "watermarks": result.watermarks,
        "unsettled": {status: result.unsettled.get(status, 0) for status in (Status.FAILED, Status.IN_DOUBT)},
        "recovered": [asdict(each) for each in result.recovered],
        "notes": list(result.notes),
        "error": error_document(result.error),
    }


def run_view(result: RunResult) -> Iterator[RenderableType]:
    """Give the summary of a run: counts that add up, watermarks, what is left to do."""
    summary = result.summary
    yield line("run ", (summary.run_id, "bold"), " ", status_text(summary.status))
    rows = Grid.grid(padding=(0, 2))
    rows.add_column(justify="right", min_width=9)
    rows.add_column(no_wrap=True)
    rows.add_column(style="dim")
    rows.add_row(_number(summary.rows_read), "rows", counted(summary.requests, "request"))
    for status in _SETTLED:
        count = getattr(summary, status)
        style = _COLOURS.get(status) if count else "dim"
        rows.add_row(_number(count), Text(f"  {status.replace('_', ' ')}", style or ""), _NOTES.get(status, "") if count else "")
        if status is Status.REJECTED:
            _add_reasons(rows, result.rejected)
    yield rows
    marks = " · ".join(f"{stream} {clock(at)}" for stream, at in result.watermarks.items())
    if result.watermarks:
        yield line("watermark  ", f"{marks} UTC" if any(result.watermarks.values()) else clock(None))
    for each in result.recovered:
        yield line(f"cleaned up after run {each.run_id}, which died: {_counts_text(each)}")
    for status in (Status.FAILED, Status.IN_DOUBT):
        earlier = result.unsettled.get(status, 0) - getattr(summary, status)
        if earlier > 0:
            yield line(f"{earlier:,} {status.replace('_', ' ')} from earlier runs", style="yellow")
    for note in result.notes:
        yield line("note: ", note, style="yellow")
    if result.error is None and (advice := _advice(summary)):
        yield line("next: ", advice, style="bold")


def _advice(summary: RunSummary) -> str:
    if summary.status is RunStatus.INTERRUPTED:
        return "run again to go on; requests in flight were settled, nothing is sent twice"
    if summary.status is not RunStatus.ATTENTION:
        return ""
    return "`explain ID` tells the story of one user or call; the next run retries what failed, `resolve` settles what is in doubt"


def plan_document(plan: Plan) -> dict[str, object]:
    """Return what a run would do. Samples stay text: the exact bodies."""
    names = ("events", "customer upserts", "merged", "unchanged", "rejected")
    return {
        "rows": plan.rows,
        "retried": plan.retried,
        "actions": {name.replace(" ", "_"): plan.actions[name] for name in names},
        "rejected_by_reason": dict(_largest(plan.rejected)),
        "windows": {stream: asdict(window) for stream, window in plan.windows.items()},
        "samples": list(plan.samples),
        "notes": list(plan.notes),
    }


def plan_view(plan: Plan) -> Iterator[RenderableType]:
    """Give what a run would do."""
    yield line(("a run would do this", "bold"), "; nothing was sent, nothing was written")
    rows = Grid.grid(padding=(0, 2))
    rows.add_column(justify="right", min_width=9)
    rows.add_column(no_wrap=True)
    rows.add_column(style="dim")
    rows.add_row(_number(plan.rows), "rows", f"{plan.retried:,} of them failed before" if plan.retried else "")
    rows.add_row(_number(plan.actions["events"]), "  events", "one request each")
    rows.add_row(_number(plan.actions["customer upserts"]), "  customer upserts", "one request each")
    for status in (Status.MERGED, Status.UNCHANGED):
        rows.add_row(_number(plan.actions[status]), f"  {status}", _NOTES[status])
    rows.add_row(_number(plan.actions["rejected"]), Text("  rejected", "yellow" if plan.actions["rejected"] else ""), "")
    _add_reasons(rows, plan.rejected)
    yield rows
    for stream, window in plan.windows.items():
        low = "the beginning" if window.low is None else clock(window.low)
        yield line(f"{stream:<10} from {low} until {clock(window.high)} UTC")
    for note in plan.notes:
        yield line("note: ", note, style="yellow")
    for number, body in enumerate(plan.samples, 1):
        yield line((f"sample {number}  ", "dim"), body)


def status_document(report: StatusReport) -> dict[str, object]:
    """Return how things stand."""
    watermarks = {stream: {**row, "lag_s": _lag_s(report.now, row.get("high_at"))} for stream, row in report.watermarks.items()}
    lease = None if report.lease is None else {**report.lease, "held": _is_held(report)}
    return {"now": report.now, "watermarks": watermarks, "counts": list(report.counts), "runs": list(report.runs), "lease": lease}


def status_view(report: StatusReport, width: int) -> Iterator[RenderableType]:
    """Give how things stand: watermarks, counts, what needs attention, the newest runs, the lease."""
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
    if report.lease is not None and _is_held(report):
        lease = report.lease
        yield line(
            "lease  ", ("held", "yellow"), f" by run {lease['run_id']} until {clock(lease['expires_at'])} UTC, owner {lease['owner']}"
        )
    else:
        yield line("lease  free")


def _watermarks_grid(report: StatusReport) -> Grid:
    grid = _headed("stream", "watermark (UTC)", "behind", "recorded by run")
    for stream, row in report.watermarks.items():
        lag_s = _lag_s(report.now, row.get("high_at"))
        grid.add_row(stream, clock(row.get("high_at")), "" if lag_s is None else span(lag_s), visible(row.get("run_id")))
    return grid


def _counts_grid(counts: Sequence[Mapping[str, object]]) -> Grid:
    totals: dict[str, Counter[str]] = {}
    for row in counts:
        totals.setdefault(str(row["stream"]), Counter())[str(row["status"])] += _int(row["n"])
    shown = [status.value for status in Status if status is not Status.SENDING or any(each[status] for each in totals.values())]
    grid = _headed("calls ever judged", *(name.replace("_", " ") for name in shown), "total", numbers=True)
    for stream, found in totals.items():
        grid.add_row(visible(stream), *(_number(found[name]) for name in shown), _number(found.total()))
    return grid


def _reasons_grid(counts: Sequence[Mapping[str, object]]) -> Iterator[RenderableType]:
    found: Counter[tuple[str, str]] = Counter()
    for row in counts:
        if row["reason"]:
            found[str(row["status"]), str(row["reason"])] += _int(row["n"])
    if not found:
        return
    yield ""
    grid = Grid.grid(padding=(0, 2))
    grid.add_column(justify="right", min_width=9)
    for (status, reason), n in found.most_common():
        grid.add_row(_number(n), status_text(status), visible(reason), Text(meaning(reason), "dim"))
    yield grid


def _runs_grid(runs: Sequence[Mapping[str, object]], *, wide: bool) -> Grid:
    names = ("rows_read", "sent", "unchanged", "merged", "rejected", "failed", "in_doubt")
    heads = ("rows", "sent", "same", "merged", "reject", "failed", "doubt")
    grid = _headed(*(("run", "by", "took") if wide else ("run at (UTC)",)), "ended", *heads, numbers=True)
    for run in runs:
        ran = span(_seconds(run["started_at"], run["finished_at"]))
        first = (visible(run["run_id"]), visible(run["trigger"]), ran) if wide else (clock(run["started_at"]),)
        grid.add_row(*first, status_text(str(run["status"])), *(_number(run[name]) for name in names))
    for column in grid.columns[: 3 if wide else 1]:
        column.justify = "left"
    grid.columns[3 if wide else 1].justify = "left"
    return grid


def _add_reasons(rows: Grid, reasons: Mapping[Reason, int]) -> None:
    for reason, count in _largest(reasons):
        rows.add_row(_number(count), Text(f"    {reason}", "dim"), meaning(reason))


def _largest(reasons: Mapping[Reason, int]) -> list[tuple[Reason, int]]:
    return sorted(((each, count) for each, count in reasons.items() if count), key=lambda pair: (-pair[1], pair[0]))


def meaning(reason: str) -> str:
    """Return a reason in words; nothing for one that this version does not know."""
    return MEANING[Reason(reason)] if reason in set(Reason) else ""


def _counts_text(summary: RunSummary) -> str:
    counts = [(status.replace("_", " "), getattr(summary, status)) for status in _SETTLED]
    return ", ".join(f"{count:,} {name}" for name, count in counts if count) or "nothing was recorded"


def _headed(*heads: str, numbers: bool = False) -> Grid:
    grid = Grid(box=None, pad_edge=False, padding=(0, 2 if not numbers else 1, 0, 0), header_style="dim")
    for place, head in enumerate(heads):
        grid.add_column(head, justify="right" if numbers and place else "left", overflow="fold")
    return grid


def line(*parts: str | Text | tuple[str, str], style: str = "") -> Text:
    """Return one line made of parts, each with its style or without one; what does not print is escaped."""
    made = [
        part if isinstance(part, Text) else (visible(part), "") if isinstance(part, str) else (visible(part[0]), part[1]) for part in parts
    ]
    return Text.assemble(*made, style=style)


def status_text(status: str) -> Text:
    """Return a status in its colour."""
    return Text(visible(status).replace("_", " "), _COLOURS.get(status, ""))


def _number(value: object) -> str:
    return f"{_int(value):,}"


def _int(value: object) -> int:
    return value if isinstance(value, int) else 0


def counted(count: int, noun: str) -> str:
    """Return a number with its noun."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def clock(value: object) -> str:
    """Return a time as people read it, in UTC."""
    return f"{value.astimezone(UTC):%Y-%m-%d %H:%M:%S}" if isinstance(value, datetime) else "none yet"


def _seconds(start: object, end: object) -> float | None:
    return (end - start).total_seconds() if isinstance(start, datetime) and isinstance(end, datetime) else None


def _lag_s(now: datetime, high_at: object) -> float | None:
    return _seconds(high_at, now)


def span(seconds: float | None) -> str:
    """Return a length of time with its two largest units."""
    if seconds is None:
        return ""
    if seconds < 60:
        return f"{seconds:.1f}s" if seconds < 10 else f"{seconds:.0f}s"
    minutes, whole = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    units: Iterable[tuple[int, str]] = ((days, "d"), (hours, "h"), (minutes, "m"), (whole, "s"))
    parts = [f"{number}{unit}" for number, unit in units if number]
    return " ".join(parts[:2])


def _is_held(report: StatusReport) -> bool:
    lease = report.lease or {}
    expires_at = lease.get("expires_at")
    return lease.get("owner") is not None and isinstance(expires_at, datetime) and expires_at > report.now
