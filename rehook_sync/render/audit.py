"""What an audit looks like: a document for programs, tables for people."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict

from rich.console import RenderableType
from rich.table import Table as Grid
from rich.text import Text

from rehook_sync.jobs.audit import UNJUDGED, AuditLine, AuditReport, StreamAudit
from rehook_sync.models import Status
from rehook_sync.render.console import visible
from rehook_sync.render.text import line

__all__ = ["audit_document", "audit_view"]

_KINDS: tuple[str, ...] = (*Status, *UNJUDGED)
_NAMES: dict[str, str] = {"not_due": "not yet due", "future": "in the future", "before_start": "before the start"}
_UNSETTLED = (Status.FAILED, Status.IN_DOUBT, Status.SENDING)
_STYLES: dict[str, str] = {"missing": "bold red", Status.FAILED: "red", Status.IN_DOUBT: "red"}
_SHOWN = 40
"""Lines shown of what is missing; the document has all."""


def audit_document(report: AuditReport) -> dict[str, object]:
    """Return an audit with all its lines."""
    return {
        "missing": report.missing,
        "found_by_next_run": report.found_by_next_run,
        "repair": report.repair,
        "run_at_work": report.run_at_work,
        "streams": {each.stream: _stream_document(each) for each in report.streams},
        "lines": [_line_document(each) for stream in report.streams for each in stream.lines],
    }


def _stream_document(audit: StreamAudit) -> dict[str, object]:
    return {
        "since": audit.window.low,
        "until": audit.window.high,
        "watermark": audit.coverage.watermark,
        "start": audit.coverage.origin,
        "rows": sum(each.rows for each in audit.lines),
        **{kind: audit.count(kind) for kind in _KINDS},
        "gone": sum(each.gone for each in audit.lines),
        "first_missing_at": audit.first_missing_at,
    }


def _line_document(found: AuditLine) -> dict[str, object]:
    plain = {name: value for name, value in asdict(found).items() if name not in {"counts", "gone"}}
    return {**plain, "rows": found.rows, **{kind: found.counts.get(kind, 0) for kind in _KINDS}, "gone": found.gone}


def audit_view(report: AuditReport) -> Iterator[RenderableType]:
    """Yield the counts of both streams, what is missing by day and event, and the repair."""
    yield _counts(report.streams)
    for each in report.streams:
        if each.coverage.watermark is None:
            yield line(f"no run has come through {each.stream} yet: nothing of it is due", style="yellow")
    if report.run_at_work is not None:
        yield line(f"note: run {report.run_at_work} was at work meanwhile; audit again after it", style="yellow")
    yield from _remarks(report)
    if not report.missing:
        yield line(("nothing is missing", "green"))
        return
    yield ""
    yield line((f"{report.missing:,} missing", "bold red"), ": below the watermark, and no run has judged them")
    yield _missing(report)
    if report.found_by_next_run:
        yield line(f"{report.found_by_next_run:,} of them are within the lookback: the next run takes them up by itself")
    yield line("repair: ", report.repair or "", style="bold")


def _counts(streams: Sequence[StreamAudit]) -> Grid:
    """Return a column per stream and a line per kind of call, which add up to the rows."""
    grid = Grid(box=None, pad_edge=False, padding=(0, 3, 0, 0), header_style="dim")
    grid.add_column("calls in the warehouse")
    for each in streams:
        grid.add_column(each.stream.value, justify="right")
    grid.add_row("rows", *(f"{sum(line.rows for line in each.lines):,}" for each in streams), style="bold")
    always = (Status.SENT, Status.UNCHANGED, Status.MERGED, Status.REJECTED)
    for kind in _KINDS:
        counts = [each.count(kind) for each in streams]
        if any(counts) or kind in always:
            name = Text(f"  {_NAMES.get(kind, kind.replace('_', ' '))}", _STYLES.get(kind, "") if any(counts) else "dim")
            grid.add_row(name, *(f"{count:,}" for count in counts))
    return grid


def _remarks(report: AuditReport) -> Iterator[RenderableType]:
    if unsettled := sum(report.count(kind) for kind in _UNSETTLED):
        yield line(f"{unsettled:,} judged but not settled: the next run retries what failed, `resolve` settles what is in doubt")
    if waiting := report.count(Status.WAITING):
        yield line(f"{waiting:,} wait for their properties: their event tables do not have them yet, and each run looks again")
    if newer := report.count("not_due"):
        yield line(f"{newer:,} newer than the watermark: the next run reads them")
    if future := report.count("future"):
        yield line(f"{future:,} dated in the future: a run reads them once their time has come")
    if early := report.count("before_start"):
        yield line(f"{early:,} older than the first start: they stay out on purpose; only an earlier `run --since` would send them")
    if gone := sum(each.gone for stream in report.streams for each in stream.lines):
        yield line(f"{gone:,} more are recorded for this period, but the warehouse no longer has them there")


def _missing(report: AuditReport) -> Grid:
    grid = Grid(box=None, pad_edge=False, padding=(0, 3, 0, 0), header_style="dim")
    for head in ("day (UTC)", "stream", "event"):
        grid.add_column(head, overflow="fold")
    grid.add_column("missing", justify="right")
    found = [each for stream in report.streams for each in stream.lines if each.counts.get("missing")]
    for each in found[:_SHOWN]:
        grid.add_row(each.day or "no time", each.stream.value, visible(each.event or ""), f"{each.counts['missing']:,}")
    if len(found) > _SHOWN:
        rest = sum(each.counts["missing"] for each in found[_SHOWN:])
        grid.add_row(f"{len(found) - _SHOWN} more lines", "", "--json has all", f"{rest:,}")
    return grid
