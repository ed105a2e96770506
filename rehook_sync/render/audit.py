"""What an audit looks like: a document for programs, tables for people."""

from collections.abc import Iterator, Sequence

from rich.console import RenderableType
from rich.table import Table as Grid
from rich.text import Text

from rehook_sync.jobs.audit import KINDS, AuditLine, AuditReport, FeedAudit
from rehook_sync.jobs.notes.lines import shared_notes
from rehook_sync.models import Status
from rehook_sync.render.console import visible
from rehook_sync.render.text import are_several, by_source, headed, line, number_text, sentence

__all__ = ["audit_document", "audit_view"]

_NAMES: dict[str, str] = {"not_due": "not yet due", "future": "in the future", "before_start": "before the start"}
_ALWAYS = (Status.SENT, Status.UNCHANGED, Status.MERGED, Status.REJECTED)
_UNSETTLED = (Status.FAILED, Status.IN_DOUBT, Status.SENDING)
_STYLES: dict[str, str] = {"missing": "bold red", "same_id_elsewhere": "bold red", Status.FAILED: "red", Status.IN_DOUBT: "red"}
_SHOWN = 40
"""Lines shown of what is missing; the document has all."""


def audit_document(report: AuditReport) -> dict[str, object]:
    """Return an audit with all its lines."""
    return {
        "missing": report.missing,
        "found_by_next_run": report.found_by_next_run,
        "repair": report.repair,
        "begin": list(dict.fromkeys(each.begin for each in report.feeds if each.begin is not None)),
        "run_at_work": report.run_at_work,
        "left": list(report.left),
        "streams": by_source({each.feed: _feed_document(each) for each in report.feeds}),
        "lines": [_line_document(each) for feed in report.feeds for each in feed.lines],
    }


def _feed_document(audit: FeedAudit) -> dict[str, object]:
    return {
        "since": audit.window.low,
        "until": audit.window.high,
        "watermark": audit.coverage.watermark,
        "start": audit.coverage.origin,
        "rows": audit.rows,
        **{kind: audit.count(kind) for kind in KINDS},
        "gone": sum(each.gone for each in audit.lines),
        "first_missing_at": audit.first_missing_at,
    }


def _line_document(found: AuditLine) -> dict[str, object]:
    plain = {"day": found.day, **found.feed._asdict(), "event": found.event}
    return {**plain, "rows": found.rows, **{kind: found.counts.get(kind, 0) for kind in KINDS}, "gone": found.gone}


def audit_view(report: AuditReport) -> Iterator[RenderableType]:
    """Yield the counts of both streams, what is missing by day and event, and the repair."""
    named = are_several(each.feed for each in report.feeds)
    yield _counts_by_source(report.feeds) if named else _counts(report.feeds)
    for each in report.feeds:
        if each.coverage.watermark is None:
            yield sentence(f"no run has come through {each.feed.text(named=named)} yet: nothing of it is due", style="yellow")
    if report.run_at_work is not None:
        yield sentence(f"note: run {report.run_at_work} was at work meanwhile; audit again after it", style="yellow")
    yield from _remarks(report)
    yield from (sentence(note, style="yellow") for note in report.left)
    yield from (sentence(note, style="bold red") for note in shared_notes(report.shared))
    if not report.missing:
        if report.is_complete:
            yield line(("nothing is missing", "green"))
        return
    yield ""
    yield line((f"{report.missing:,} missing", "bold red"), ": below the watermark, and no run has judged them")
    yield _missing(report)
    if report.found_by_next_run:
        yield sentence(f"{report.found_by_next_run:,} of them are within the lookback: the next run takes them up by itself")
    yield line("repair: ", report.repair or "", style="bold")


def _counts(feeds: Sequence[FeedAudit]) -> Grid:
    """Return a column per stream and a line per kind of call, which add up to the rows."""
    grid = Grid(box=None, pad_edge=False, padding=(0, 3, 0, 0), header_style="dim")
    grid.add_column("calls in the warehouse")
    for each in feeds:
        grid.add_column(each.feed.stream, justify="right")
    grid.add_row("rows", *(f"{each.rows:,}" for each in feeds), style="bold")
    for kind in KINDS:
        counts = [each.count(kind) for each in feeds]
        if any(counts) or kind in _ALWAYS:
            name = Text(f"  {_NAMES.get(kind, kind.replace('_', ' '))}", _STYLES.get(kind, "") if any(counts) else "dim")
            grid.add_row(name, *(f"{count:,}" for count in counts))
    return grid


def _counts_by_source(feeds: Sequence[FeedAudit]) -> Grid:
    """Return a line per feed and a column per kind of call that occurs, which add up to the rows."""
    shown = [kind for kind in KINDS if any(each.count(kind) for each in feeds)]
    grid = headed("calls in the warehouse", "rows", *(_NAMES.get(kind, kind.replace("_", " ")) for kind in shown), numbers=True)
    for each in feeds:
        counts = (Text(number_text(each.count(kind)), _STYLES.get(kind, "") if each.count(kind) else "dim") for kind in shown)
        grid.add_row(visible(each.feed.text(named=True)), Text(number_text(each.rows), "bold"), *counts)
    return grid


def _remarks(report: AuditReport) -> Iterator[RenderableType]:
    if unsettled := sum(report.count(kind) for kind in _UNSETTLED):
        yield sentence(f"{unsettled:,} judged but not settled: the next run retries what failed, `resolve` settles what is in doubt")
    if waiting := report.count(Status.WAITING):
        yield sentence(f"{waiting:,} wait for their properties: their event tables do not have them yet, and each run looks again")
    new = [each for each in report.feeds if each.coverage.watermark is None and each.begin is not None and each.count("not_due")]
    for command in dict.fromkeys(each.begin for each in new):
        those = [each for each in new if each.begin == command]
        names = " and ".join(each.feed.text(named=report.several) for each in those)
        yield sentence(
            f"{sum(each.count('not_due') for each in those):,} of {names} not judged, since nothing says where to begin: "
            f"`{command}`, for example; each event sent pays out rewards"
        )
    before = sum(each.count("not_due") for each in report.feeds if each.coverage.watermark is None and each not in new)
    if before:
        yield sentence(
            f"{before:,} not judged, and no watermark yet: the next run goes on with an open period, which `status` shows; "
            "without one it needs --since or REHOOK_SYNC_START_AT"
        )
    if newer := report.count("not_due") - before - sum(each.count("not_due") for each in new):
        yield sentence(f"{newer:,} newer than the watermark, or in an open period: the next run reads them")
    if same := report.count("counted_elsewhere"):
        yield sentence(f"{same:,} of one source are in another one, too, and counted there: the same id is one call")
    if future := report.count("future"):
        yield sentence(f"{future:,} dated in the future: a run reads them once their time has come")
    if early := report.count("before_start"):
        yield sentence(f"{early:,} older than the first start: they stay out on purpose; only an earlier `run --since` would send them")
    if gone := sum(each.gone for feed in report.feeds for each in feed.lines):
        yield sentence(f"{gone:,} more are recorded for this period, but the warehouse no longer has them there")


def _missing(report: AuditReport) -> Grid:
    grid = Grid(box=None, pad_edge=False, padding=(0, 3, 0, 0), header_style="dim")
    for head in ("day (UTC)", "stream", "event"):
        grid.add_column(head, overflow="fold")
    grid.add_column("missing", justify="right")
    found = [each for feed in report.feeds for each in feed.lines if each.counts.get("missing")]
    named = are_several(each.feed for each in report.feeds)
    for each in found[:_SHOWN]:
        grid.add_row(each.day or "no time", visible(each.feed.text(named=named)), visible(each.event or ""), f"{each.counts['missing']:,}")
    if len(found) > _SHOWN:
        rest = sum(each.counts["missing"] for each in found[_SHOWN:])
        grid.add_row(f"{len(found) - _SHOWN} more lines", "", "--json has all", f"{rest:,}")
    return grid
