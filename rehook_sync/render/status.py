"""What the status looks like: a document for programs, tables for people."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime

from rich.console import Console, RenderableType
from rich.table import Table as Grid
from rich.text import Text

from rehook_sync.jobs.notes.lines import missing_table_note
from rehook_sync.jobs.results import StatusReport, group_periods, period_text
from rehook_sync.models import DEFAULT_SOURCE, RunKind, Status
from rehook_sync.render.console import visible
from rehook_sync.render.text import (
    NARROW,
    are_several,
    by_source,
    clock,
    counted,
    headed,
    line,
    meaning,
    number_text,
    row_time,
    seconds_between,
    sentence,
    status_text,
    whole,
)
from rehook_sync.rules.periods import Period
from rehook_sync.state.state import is_held
from rehook_sync.times import span

__all__ = ["abandoned_document", "abandoned_view", "status_document", "status_view"]

_WIDE = 120
_SCREEN = Console(width=1000)
"""Measures tables."""


def status_document(report: StatusReport) -> dict[str, object]:
    """Return runs, watermarks, counts and the lease."""
    ages = {feed: _lag_s(report.now, _reached(row)) for feed, row in report.watermarks.items()}
    watermarks = by_source({feed: {**row, "lag_s": ages[feed]} for feed, row in report.watermarks.items()})
    lease = None if report.lease is None else {**report.lease, "held": is_held(report.lease, report.now)}
    plain = {"now": report.now, "watermarks": watermarks, "counts": list(report.counts), "runs": list(report.runs), "lease": lease}
    return {**plain, "periods": [_period_document(each) for each in report.periods]}


def status_view(report: StatusReport, width: int) -> Iterator[RenderableType]:
    """Yield watermarks, counts, what needs attention, the newest runs, the lease."""
    if not report.runs:
        yield "no run yet"
    elif width < NARROW:
        yield from _narrow_view(report)
    else:
        yield _watermarks_grid(report, wide=width >= _WIDE)
        yield from _lacks_view(report)
        if report.counts:
            yield ""
            yield _counts_grid(report.counts)
        yield from _reasons_grid(report.counts)
        yield ""
        yield from _runs_view(report.runs, width)
    yield from _periods_view(report)
    yield ""
    if report.lease is not None and is_held(report.lease, report.now):
        lease = report.lease
        yield line(
            "lease  ", ("held", "yellow"), f" by run {lease['run_id']} until {clock(lease['expires_at'])} UTC, owner {lease['owner']}"
        )
    else:
        yield line("lease  free")


def _narrow_view(report: StatusReport) -> Iterator[RenderableType]:
    """Yield what the tables hold, in lines that fit 40 columns."""
    named = are_several(report.watermarks)
    for feed, row in report.watermarks.items():
        mark = _reached(row)
        lag_s = _lag_s(report.now, mark)
        yield line(feed.text(named=named), "" if lag_s is None else f"  {span(lag_s)} behind")
        yield line(f"  watermark {clock(mark)}" if row.get("lacks_table") is None else "  no table")
    yield from _lacks_view(report)
    for stream in dict.fromkeys(str(row["stream"]) for row in report.counts):
        yield line("")
        yield line((f"calls of {stream}, ever judged", "dim"))
        own = [row for row in report.counts if row["stream"] == stream]
        for status in dict.fromkeys(str(row["status"]) for row in own):
            rows = [row for row in own if row["status"] == status]
            yield line(f"{number_text(sum(whole(row['n']) for row in rows)):>9}  ", status_text(status))
            for row in rows:
                if row["reason"]:
                    yield line((f"{number_text(row['n']):>11}  {row['reason']}", "dim"))
    for run in report.runs:
        yield line("")
        kind = "" if run["kind"] == RunKind.RUN else f"  {run['kind']}"
        yield line(f"{clock(run['started_at'])[:-3]}{kind}  ", status_text(str(run["status"])))
        counts = [f"{number_text(run[name])} {name.replace('_', ' ').removesuffix(' read')}" for name in _COUNTS if run[name]]
        for place in range(0, max(len(counts), 1), 2):
            yield line(f"  {', '.join(counts[place : place + 2]) or 'no rows'}")


def abandoned_document(found: Sequence[tuple[Period, int | None]], *, dry_run: bool) -> dict[str, object]:
    """Return the periods that were given up, with the calls that stay out."""
    return {"abandoned": [{**_period_document(period), "calls": calls} for period, calls in found], "dry_run": dry_run}


def abandoned_view(found: Sequence[tuple[Period, int | None]], *, dry_run: bool) -> Iterator[RenderableType]:
    """Yield one line per period."""
    if not found:
        yield "no period is open"
    for period, calls in found:
        verb = "would give up" if dry_run else "gave up"
        if period.kind is RunKind.REFRESH:
            yield sentence(f"{verb} {period_text(period)}: customers that it did not reach keep what they have")
            continue
        text = period_text(period, named=period.feed.source != DEFAULT_SOURCE)  # of several sources, one alone may be given up
        left = "not recorded, and a run that reads them sends them" if period.kind is RunKind.BASELINE else "left out"
        if calls is None:
            yield sentence(f"{verb} {text}: its calls cannot be counted, since REHOOK_SYNC_WAREHOUSE_SCHEMA does not name its source")
        else:
            yield sentence(f"{verb} {text}: {counted(calls, 'call')} of it {'is' if calls == 1 else 'are'} {left}")


def _period_document(period: Period) -> dict[str, object]:
    return {**period.feed._asdict(), "since": period.since, "until": period.until, "opened_by": period.opened_by, "kind": period.kind}


def _periods_view(report: StatusReport) -> Iterator[RenderableType]:
    """Yield the open periods: what each run goes on with."""
    periods = report.periods
    if not periods:
        return
    yield ""
    named = are_several((*report.watermarks, *(each.feed for each in periods)))
    for group in group_periods(periods, named=named):
        yield line(("open  ", "yellow"), period_text(*group, named=named))
    kinds = Counter(each.kind for each in periods)
    if kinds[RunKind.REFRESH]:
        yield line("`refresh` goes on with the refresh", style="dim")
    if kinds[RunKind.BASELINE]:
        yield line("no run begins before the same `baseline` is done; `run --abandon` gives up", style="dim")
    elif asked := kinds[RunKind.RUN]:
        yield line(f"each run goes on with {'it' if asked == 1 else 'them'} until done; `run --abandon` gives up", style="dim")


def _watermarks_grid(report: StatusReport, *, wide: bool) -> Grid:
    """Return a line for each stream; among several sources with the name of its own, which in a narrow table takes the run's place."""
    named = are_several(report.watermarks)
    heads = ["stream", "watermark (UTC)", "behind"]
    grid = headed(*(["source"] if named else []), *heads, *(["recorded by run"] if wide or not named else []))
    last = ""
    for feed, row in report.watermarks.items():
        lag_s = _lag_s(report.now, _reached(row))
        reached = clock(_reached(row)) if row.get("lacks_table") is None else "no table"
        cells = [feed.stream, reached, "" if lag_s is None else span(lag_s), visible(row.get("run_id"))]
        source = ["" if feed.source == last else visible(feed.source)] if named else []
        grid.add_row(*source, *cells[: len(grid.columns) - len(source)])
        last = feed.source
    return grid


def _reached(row: Mapping[str, object]) -> datetime | None:
    """Return the watermark of a stream that has a table and has had a row, else None."""
    return row_time(row.get("high_at")) if row.get("lacks_table") is None else None


def _lacks_view(report: StatusReport) -> Iterator[RenderableType]:
    """Yield a line for each table that a source does not have."""
    for feed, row in report.watermarks.items():
        if row.get("lacks_table") is not None:
            yield line(visible(missing_table_note(feed.source, str(row["lacks_table"]))), style="dim")


def _counts_grid(counts: Sequence[Mapping[str, object]]) -> Grid:
    totals: dict[str, Counter[str]] = {}
    for row in counts:
        totals.setdefault(str(row["stream"]), Counter())[str(row["status"])] += whole(row["n"])
    rare = {Status.SENDING, Status.SKIPPED}
    shown = [status.value for status in Status if status not in rare or any(each[status] for each in totals.values())]
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


_COUNTS = {"rows_read": "rows", "sent": "sent", "unchanged": "same", "merged": "merged", "skipped": "skip", "rejected": "reject"}
_COUNTS |= {"failed": "failed", "waiting": "wait", "in_doubt": "doubt"}
_SELDOM = ("skipped", "failed", "waiting", "in_doubt")
"""Counts that a narrow table shows only if a run has any."""
_DROPPED = ("unchanged", "merged", "skipped")
"""Counts that a narrow table does not show if it would be too wide, the first one first."""


def _runs_view(runs: Sequence[Mapping[str, object]], width: int) -> Iterator[RenderableType]:
    """Yield a line for each run, no wider than the screen, and which counts have no room."""
    wide = width >= _WIDE
    seldom = ("skipped",) if wide else _SELDOM
    counts = {name: head for name, head in _COUNTS.items() if name not in seldom or any(run[name] for run in runs)}
    dropped = []
    for name in _DROPPED if not wide else ():
        if _runs_grid(runs, counts, wide=wide).__rich_measure__(_SCREEN, _SCREEN.options).maximum <= width:
            break
        if name in counts:
            dropped.append(counts.pop(name))
    yield _runs_grid(runs, counts, wide=wide)
    if dropped:
        yield line(f"no room for {' and '.join(dropped)}: see {_WIDE} columns, or --json", style="dim")


def _runs_grid(runs: Sequence[Mapping[str, object]], counts: Mapping[str, str], *, wide: bool) -> Grid:
    """Return a line for each run, with these counts: name -> head. The id of a run names its kind; without it, a line of its own does."""
    grid = headed(*(("run", "by", "took") if wide else ("run at (UTC)",)), "ended", *counts.values(), numbers=True)
    for run in runs:
        requests = f"\n  {counted(whole(run['requests']), 'request')}" if run["kind"] == RunKind.REFRESH else ""
        kind = "" if run["kind"] == RunKind.RUN else f"\n  {run['kind']}"
        first = [f"{clock(run['started_at'])[:-3]}{kind}{requests}"]
        if wide:
            took = span(seconds_between(run["started_at"], run["finished_at"]))
            first = [visible(run["run_id"]) + requests, visible(run["trigger"]), took]
        grid.add_row(*first, status_text(str(run["status"])), *(number_text(run[name]) for name in counts))
    for column in grid.columns[: 4 if wide else 2]:
        column.justify = "left"
    return grid


def _lag_s(now: datetime, high_at: object) -> float | None:
    return seconds_between(high_at, now)
