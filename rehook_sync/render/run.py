"""What the end of a run looks like: a document for programs, tables for people."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from datetime import datetime

from rich.console import RenderableType
from rich.table import Table as Grid
from rich.text import Text

from rehook_sync.jobs.results import RunAudit, RunResult
from rehook_sync.models import RunStatus, RunSummary, Status
from rehook_sync.render.console import error_document, visible
from rehook_sync.render.text import (
    COLOURS,
    NOTES,
    OUTCOMES,
    add_reasons,
    are_several,
    by_source,
    clock,
    counted,
    headed,
    largest,
    line,
    number_text,
    row_time,
    sentence,
    status_text,
)
from rehook_sync.rules.periods import Feed
from rehook_sync.times import moment_text

__all__ = ["run_document", "run_view"]


def run_document(result: RunResult) -> dict[str, object]:
    """Return how a run ended."""
    return {
        **asdict(result.summary),
        **({} if result.customers is None else {"customers": dict(result.customers)}),
        "rejected_by_reason": dict(largest(result.rejected)),
        "watermarks": by_source(result.watermarks),
        "audit": None if result.audit is None else asdict(result.audit),
        "unsettled": {status: result.unsettled.get(status, 0) for status in (Status.FAILED, Status.WAITING, Status.IN_DOUBT)},
        "recovered": [asdict(each) for each in result.recovered],
        "notes": list(result.notes),
        "error": error_document(result.error),
    }


def run_view(result: RunResult) -> Iterator[RenderableType]:
    """Yield the summary of a run: counts that add up, watermarks, what is left to do."""
    summary = result.summary
    yield line("run ", (summary.run_id, "bold"), " ", status_text(summary.status))
    yield _rows(result) if result.customers is None else _customers(result.customers, summary.requests)
    yield from _watermarks(result.watermarks)
    if result.audit is not None:
        yield _audit(result.audit)
    for each in result.recovered:
        yield line(f"cleaned up after run {each.run_id}, which died: {_counts_text(each)}")
    for status in (Status.FAILED, Status.IN_DOUBT):
        earlier = result.unsettled.get(status, 0) - getattr(summary, status)
        if earlier > 0:
            yield line(f"{earlier:,} {status.replace('_', ' ')} from earlier runs", style="yellow")
    for note in result.notes:
        yield sentence("note: ", note, style="yellow")
    if result.error is None and (advice := _advice(result)):
        yield line("next: ", advice, style="bold")


def _audit(audit: RunAudit) -> Text:
    """Return whether the lookback is complete."""
    period = f"since {clock(audit.since)} UTC: {counted(audit.rows, 'row')}, "
    if not audit.missing:
        return line(("audit      ", "dim"), period, ("none missing", "green"))
    command = f"`audit --since {moment_text(audit.since)}` says which"
    return line(("audit      ", "dim"), period, (f"{audit.missing:,} missing", "bold red"), f"; {command}")


def _counts_grid() -> Grid:
    """Return an empty table of counts, names and remarks."""
    rows = Grid.grid(padding=(0, 2))
    rows.add_column(justify="right", min_width=9)
    rows.add_column(no_wrap=True)
    rows.add_column(style="dim")
    return rows


def _customers(customers: Mapping[Status, int], requests: int) -> Grid:
    """Return what became of the customers of a refresh."""
    rows = _counts_grid()
    total = sum(customers.values())
    rows.add_row(number_text(total), "customer" if total == 1 else "customers", counted(requests, "request"))
    remarks = {Status.REJECTED: "Rehook refused them", Status.FAILED: "`refresh` sends them again"}
    for status, count in customers.items():
        style = COLOURS.get(status) if count else "dim"
        rows.add_row(number_text(count), Text(f"  {status}", style or ""), remarks.get(status, "") if count else "")
    return rows


def _rows(result: RunResult) -> Grid:
    """Return what became of the rows of a run."""
    summary, rows = result.summary, _counts_grid()
    rows.add_row(number_text(summary.rows_read), "rows", counted(summary.requests, "request"))
    for status in OUTCOMES:
        count = getattr(summary, status)
        if status is Status.SKIPPED and not count:
            continue
        style = COLOURS.get(status) if count else "dim"
        rows.add_row(number_text(count), Text(f"  {status.replace('_', ' ')}", style or ""), NOTES.get(status, "") if count else "")
        if status is Status.REJECTED:
            add_reasons(rows, result.rejected)
    return rows


def _watermarks(found: Mapping[Feed, datetime | None]) -> Iterator[RenderableType]:
    """Yield the watermarks in one line, or a line for each of several sources."""
    if are_several(found):
        streams = dict.fromkeys(feed.stream for feed in found)
        grid = headed("watermark (UTC)", *streams)
        for source in dict.fromkeys(feed.source for feed in found):
            grid.add_row(visible(source), *(clock(row_time(found.get(Feed(source, stream)))) for stream in streams))
        yield grid
    elif found:
        times = {feed: row_time(at) for feed, at in found.items()}
        marks = " · ".join(f"{feed.stream} {clock(at)}" for feed, at in times.items())
        yield line("watermark  ", f"{marks} UTC" if any(times.values()) else clock(None))


_NEXT = {
    Status.FAILED: "the next run retries what failed",
    Status.WAITING: "what waits goes out once its properties are loaded",
    Status.IN_DOUBT: "`resolve` settles what is in doubt",
}


def _advice(result: RunResult) -> str:
    summary = result.summary
    if summary.status is RunStatus.INTERRUPTED:
        return "run again to go on; requests in flight were settled, nothing is sent twice"
    if summary.status is not RunStatus.ATTENTION:
        return ""
    parts = [text for status, text in _NEXT.items() if result.unsettled.get(status)]
    if result.customers is None:
        parts.insert(0, "`explain ID` tells the story of one user or call")
    return "; ".join(parts)


def _counts_text(summary: RunSummary) -> str:
    counts = [(status.replace("_", " "), getattr(summary, status)) for status in OUTCOMES]
    return ", ".join(f"{count:,} {name}" for name, count in counts if count) or "nothing was recorded"
