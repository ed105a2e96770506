"""What a plan looks like: a document for programs, tables for people."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict

from rich.console import RenderableType
from rich.table import Table as Grid
from rich.text import Text

from rehook_sync.jobs.results import Plan
from rehook_sync.models import Status, Window
from rehook_sync.render.console import visible
from rehook_sync.render.text import (
    NARROW,
    NOTES,
    add_reasons,
    are_several,
    by_source,
    clock,
    counted,
    headed,
    largest,
    line,
    number_text,
    sentence,
    size_text,
)
from rehook_sync.rules.periods import Feed

__all__ = ["baseline_document", "baseline_view", "plan_document", "plan_view"]

_BEFORE = {Status.FAILED: "failed", Status.WAITING: "waited", Status.REJECTED: "rejected", Status.IN_DOUBT: "in doubt"}


def plan_document(plan: Plan) -> dict[str, object]:
    """Return what a run would do. Samples are the exact bodies, as text."""
    names = ("events", "customer upserts", "merged", "unchanged", "waiting", "rejected")
    return {
        "rows": plan.rows,
        "retried": plan.retried.total(),
        "actions": {name.replace(" ", "_"): plan.actions[name] for name in names},
        "rejected_by_reason": dict(largest(plan.rejected)),
        "windows": by_source({feed: asdict(window) for feed, window in plan.windows.items()}),
        "bytes_scanned": plan.scanned,
        "samples": list(plan.samples),
        "notes": list(plan.notes),
    }


def plan_view(plan: Plan, width: int = 80) -> Iterator[RenderableType]:
    """Yield what a run would do; below 64 columns, without what explains the counts."""
    yield line(("a run would do this", "bold"), "; nothing was sent, nothing was written")
    rows = Grid.grid(padding=(0, 2))
    rows.add_column(justify="right", min_width=9)
    rows.add_column(no_wrap=True)
    rows.add_column(style="dim")
    rows.add_row(number_text(plan.rows), "rows", _before(plan))
    rows.add_row(number_text(plan.actions["events"]), "  events", "one request each")
    rows.add_row(number_text(plan.actions["customer upserts"]), "  customer upserts", "one request each")
    for status in (Status.MERGED, Status.UNCHANGED, *((Status.WAITING,) if plan.actions[Status.WAITING] else ())):
        rows.add_row(number_text(plan.actions[status]), f"  {status}", NOTES[status])
    rows.add_row(number_text(plan.actions["rejected"]), Text("  rejected", "yellow" if plan.actions["rejected"] else ""), "")
    add_reasons(rows, plan.rejected)
    if width < NARROW:
        rows.columns.pop()
    yield rows
    if width < NARROW and (before := _before(plan)):
        yield line(before)
    if plan.scanned is not None:
        yield line(f"the plan scanned {size_text(plan.scanned)} of the warehouse, as a run would")
    yield from _windows_and_notes(plan, width)
    for number, body in enumerate(plan.samples, 1):
        yield line((f"sample {number}  ", "dim"), body)


def _before(plan: Plan) -> str:
    """Return what became before of the rows that are taken up again."""
    found = [f"{plan.retried[status]:,} {word} before" for status, word in _BEFORE.items() if plan.retried[status]]
    return f"of them {', '.join(found)}" if found else ""


def baseline_document(plan: Plan) -> dict[str, object]:
    """Return what a baseline would record."""
    windows = by_source({feed: asdict(window) for feed, window in plan.windows.items()})
    return {"rows": plan.rows, "retried": plan.retried.total(), "windows": windows, "notes": list(plan.notes), "dry_run": True}


def baseline_view(plan: Plan, width: int = 80) -> Iterator[RenderableType]:
    """Yield what a baseline would record."""
    before = f", {plan.retried.total():,} of which failed or wait" if plan.retried else ""
    yield line((f"would record {counted(plan.rows, 'call')} as settled elsewhere", "bold"), f"{before}; nothing was sent or written")
    yield from _windows_and_notes(plan, width)


def _windows_and_notes(plan: Plan, width: int) -> Iterator[RenderableType]:
    yield from _narrow_windows(plan.windows) if width < NARROW else _windows(plan.windows)
    for note in plan.notes:
        yield sentence("note: ", note, style="yellow")


def _windows(windows: Mapping[Feed, Window]) -> Iterator[RenderableType]:
    grid = headed("source", "stream", "from (UTC)", "until")
    width = max((len(feed.stream) for feed in windows), default=0)
    for feed, window in windows.items():
        low = "the beginning" if window.low is None else clock(window.low)
        if are_several(windows):
            grid.add_row(visible(feed.source), feed.stream, low, clock(window.high))
        else:
            yield line(f"{feed.stream:<{width}} from {low} until {clock(window.high)} UTC")
    if grid.rows:
        yield grid


def _narrow_windows(windows: Mapping[Feed, Window]) -> Iterator[RenderableType]:
    """Yield each window in lines that fit 40 columns."""
    named = are_several(windows)
    for feed, window in windows.items():
        yield line(visible(feed.text(named=named)))
        yield line(f"  from  {'the beginning' if window.low is None else clock(window.low)}")
        yield line(f"  until {clock(window.high)} UTC")
