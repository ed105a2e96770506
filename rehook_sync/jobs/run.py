"""One run under its lease: deliver, record, move the watermark."""

import secrets
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial

from rehook_sync.delivery.report import DeliveryReport
from rehook_sync.errors import ConfigurationError, DatabaseError, RehookSyncError, UsageError
from rehook_sync.jobs.context import JobContext, bind, read_change_notes, require_no_baseline
from rehook_sync.jobs.maintenance import require_doubtful
from rehook_sync.jobs.notes.copies import publish_notes
from rehook_sync.jobs.notes.findings import Findings
from rehook_sync.jobs.notes.lines import future_notes, left_notes, run_notes
from rehook_sync.jobs.pipeline import Pipeline
from rehook_sync.jobs.reading.bounds import plan_bounds
from rehook_sync.jobs.reading.lookback import Lookback
from rehook_sync.jobs.reading.selfaudit import audit_run
from rehook_sync.jobs.results import Listener, RunOptions, RunResult, period_notes
from rehook_sync.jobs.work import Reads, Work, deliver_work
from rehook_sync.models import Batch, RunKind, RunStatus, RunSummary, Selection, Status, Window
from rehook_sync.rules.periods import Extent, Feed, Mark, Period, RunBounds
from rehook_sync.rules.watermark import next_watermark
from rehook_sync.runtime import Interrupt
from rehook_sync.state.ledger import Ledger
from rehook_sync.state.periods import Periods, begun
from rehook_sync.state.sources import KnownSources, Stretches
from rehook_sync.warehouse.sources import Sources

__all__ = [
    "RunBounds",
    "discover",
    "find_bounds",
    "leased",
    "looking",
    "new_run_id",
    "note_delivery",
    "read_newest",
    "read_notes",
    "record_end",
    "run_status",
    "run_whole",
    "write_end",
]

_FUTURE = timedelta(hours=1)
"""Rows that are dated later than this from now are said to be of the future; clocks differ by less."""


def run_whole(context: JobContext, options: RunOptions, interrupt: Interrupt, listen: Listener) -> RunResult:
    """Do one run without shards and return how it ended.

    Raises: LeaseHeldError, and UsageError for options that cannot be meant, before anything is done.
    """
    state = context.state
    with leased(context, _kind(options)) as (ledger, recovered):
        reader = context.sources.reader
        reader.waiting = partial(ledger.write, Batch())  # renews the lease
        options, bounds, begun = _begin(context, ledger, options)
        ledger.reopens = options.only.status if options.only else Status.FAILED
        windows, parts = bounds.windows, bounds.parts()
        lookback = Lookback(context.sources, state, context.known_in, bounds)
        pipeline = Pipeline(context.sources, state, ledger, context.pipeline_config(ledger.run_id, options), lookback)
        report = DeliveryReport()
        try:
            reader.waiting = bool  # from here on, delivery renews the lease
            is_told = not options.limit and not options.only and _leaves_known_out(context, windows)
            work = Work(ledger, pipeline, Reads(windows, context.feeds(options), parts), is_told)
            report = deliver_work(context, work, interrupt, listen)
        except RehookSyncError as error:
            report.interrupted = interrupt.requested
            report.error = None if report.interrupted else error
        unsettled = state.count_unsettled()
        counts = {each.value: report.counts[each] for each in Status if each is not Status.SENDING}
        shares = bool(pipeline.findings.shared.calls)
        status = run_status(report.error, unsettled, interrupted=report.interrupted, shares=shares)
        message = str(report.error) if report.error else None
        summary = RunSummary(ledger.run_id, status, sum(counts.values()), requests=report.requests, error=message, **counts)
        extent = Extent.NOTHING if report.error or report.interrupted else pipeline.extent
        bounds = replace(bounds, newest=lookback.looks.newest, settled=lookback.looks.settled)
        watermarks = record_end(context, ledger, summary, bounds, pipeline.rows, extent)
        notes = [*begun, *period_notes(bounds, ledger.run_id, done=extent is Extent.ALL)]
        found = note_delivery(context, pipeline.findings, report)
        found.waiting = Counter(state.count_waiting(ledger.run_id))
        feeds = None if options.only else [feed for feed in windows if feed not in lookback.looks.quiet]
        notes += read_notes(context, found, pipeline.rows.total(), unsettled, feeds)
        audit = None if options.only or extent is not Extent.ALL else audit_run(context, windows, lookback.looks.looked)
        notes += publish_notes(context.settings, ledger, interrupt)
        return RunResult(summary, watermarks, report.rejected, report.error, recovered, unsettled, notes, audit=audit)


def _begin(context: JobContext, ledger: Ledger, options: RunOptions) -> tuple[RunOptions, RunBounds, list[str]]:
    """Record that a run has begun and what it was asked for, let calls in doubt go that it is to send, and look at the sources.

    Returns what it takes up, what it reads, and notes for the user.

    Raises: ConfigurationError when something else must be asked for, or another Rehook or source; then nothing is recorded.
    """
    only = options.only
    if only:
        discover(context, options)  # before any call in doubt is let go
    bounds = RunBounds({}, {}) if only else find_bounds(context, options, ledger.run_id)
    if only and only.status is Status.IN_DOUBT:
        require_doubtful(context.state, only.ids)
    notes = [*bind(context, ledger), *read_change_notes(context)]
    with begun(context.state, ledger, context.run_start(_kind(options), options), bounds.asked) as connection:
        if only and only.status is Status.IN_DOUBT:
            # Users with calls in doubt may have failed calls too: all are sent, in order.
            user_ids = context.state.release_doubtful(connection, only.ids)
            options = replace(options, only=Selection(Status.FAILED, ids=tuple(user_ids)))
    with looking(context, ledger, bounds):
        discover(context, options)
    return options, bounds, notes


def find_bounds(context: JobContext, options: RunOptions, run_id: str) -> RunBounds:
    """Return what a run reads, before it looks at the sources. Raises: UsageError, or SourceError if that says more."""
    require_no_baseline(context, options)
    try:
        return plan_bounds(context, options, run_id)
    except UsageError:
        discover(context, options)  # a schema that is not there is not a new source
        raise


def discover(context: JobContext, options: RunOptions) -> None:
    """Look at the sources asked for.

    Raises: SourceError for a table that cannot be read, or when there is none; UsageError for a source that the settings do not name.
    """
    for feed in context.feeds(options) or context.all_feeds(options):
        context.sources.require(*feed, had=context.had.get(feed, False))


@contextmanager
def looking(context: JobContext, ledger: Ledger, bounds: RunBounds) -> Iterator[None]:
    """Look at the sources under the lease, for a run that was recorded before: what it was asked for stays open if that is cut off.

    If settings or sources must change first, the run is taken back as if it had not begun.
    """
    try:
        yield
    except ConfigurationError:
        with ledger.transaction() as connection:
            Periods(context.database).take_back(connection, ledger.run_id)
        raise
    except RehookSyncError as error:
        interrupted = context.sources.reader.patience.is_over()
        message = None if interrupted else str(error)
        summary = RunSummary(ledger.run_id, run_status(error, {}, interrupted=interrupted), error=message)
        record_end(context, ledger, summary, bounds, {}, Extent.NOTHING)
        raise


def read_newest(sources: Sources, windows: Mapping[Feed, Window]) -> dict[Feed, datetime | None]:
    """Return the newest time in each window, None without one. Raises SourceError for a table that has rows, but no time in any."""
    newest = {feed: sources[feed.source].newest(feed.stream, window) for feed, window in windows.items()}
    for feed, moment in newest.items():
        if moment is None:
            sources[feed.source].require_times(feed.stream)
    return newest


def read_notes(
    context: JobContext, found: Findings, rows: int, unsettled: Mapping[Status, int] | None, feeds: Iterable[Feed] | None
) -> list[str]:
    """Return what a run or a plan says of itself in the end, one line each.

    Shape:  rows, unsettled: as in `run_notes`.  feeds: which may have calls that are dated in the future; None: no window was read.
    """
    future = [] if feeds is None else _read_future_notes(context, feeds)
    found.delays += context.sources.reader.take_delays()
    layouts = context.sources.discover_readable()
    known = KnownSources(context.database)
    open_ = [each.feed for each in Periods(context.database).read_open()]
    left = left_notes(known.read_feeds(), known.count_due(), open_, context.all_feeds(RunOptions()))
    return [*left, *future, *run_notes(context.settings, layouts, found, rows=rows, unsettled=unsettled, window=feeds is not None)]


def _read_future_notes(context: JobContext, feeds: Iterable[Feed]) -> list[str]:
    try:
        later = {each: context.sources[each.source].count_from(each.stream, context.state.now() + _FUTURE) for each in feeds}
    except DatabaseError as error:  # no reason to fail what is done
        return [f"rows of the future were not counted: {error}"]
    return future_notes(later, _FUTURE)


def note_delivery(context: JobContext, found: Findings, report: DeliveryReport) -> Findings:
    """Add to what was found in the rows what sending and reading them showed."""
    found.slowed, found.lowest = report.slowed, report.lowest
    found.views |= context.sources.views_read
    found.delays += context.sources.reader.take_delays()
    for stream in {call.stream for call in report.left}:
        calls = {call.message_id: call for call in report.left if call.stream == stream}
        for message_id, judged in context.state.read_judged(stream, calls).items():
            found.shared.note(calls[message_id], judged)
    return found


@contextmanager
def leased(context: JobContext, kind: RunKind) -> Iterator[tuple[Ledger, list[RunSummary]]]:
    """Hold the lease for one run, and first settle what dead runs left. Yields the ledger and their summaries."""
    ledger = context.ledger(new_run_id(context.state.now(), kind))
    ledger.acquire()
    try:
        with ledger.transaction() as connection:
            recovered = context.state.recover(connection, ledger.run_id, hold=context.holds)
        yield ledger, recovered
    finally:
        ledger.release()


def new_run_id(now: datetime, kind: RunKind) -> str:
    """Return a unique run id that sorts by time and names the kind, unless it is a plain run."""
    return "-".join(filter(None, (f"{now:%Y%m%dT%H%M%SZ}", "" if kind is RunKind.RUN else kind, secrets.token_hex(4))))


def _leaves_known_out(context: JobContext, feeds: Iterable[Feed]) -> bool:
    """Tell whether known rows are not put aside: the warehouse can leave them out, or there are none."""
    return context.known_in is not None or all(context.state.read_coverage(feed).watermark is None for feed in feeds)


def record_end(
    context: JobContext, ledger: Ledger, summary: RunSummary, bounds: RunBounds, rows: Mapping[Feed, int], extent: Extent
) -> dict[Feed, datetime | None]:
    """Record the end of a run, with the watermarks and the periods that are done by what it read."""
    marks: dict[Feed, Mark] = {}
    for feed, table in bounds.absent.items():
        known = context.state.read_coverage(feed).watermark
        read = table.window if known is None else Window(table.mark, table.mark)
        marks[feed] = Mark(read, table.mark if extent is not Extent.NOTHING else known, 0, table.name)
    for feed, window in bounds.windows.items():
        coverage = context.state.read_coverage(feed)
        high_at = next_watermark(coverage, window, bounds.newest.get(feed), complete=extent is not Extent.NOTHING)
        marks[feed] = Mark(bounds.reached(feed) if extent is Extent.ALL else window, high_at, rows.get(feed, 0))
    return write_end(context, ledger, summary, marks, bounds.done if extent is Extent.ALL else (), bounds)


def write_end(
    context: JobContext,
    ledger: Ledger,
    summary: RunSummary,
    marks: Mapping[Feed, Mark],
    done: Iterable[Period],
    bounds: RunBounds | None = None,
) -> dict[Feed, datetime | None]:
    """Record counts, watermarks, periods that are done and the end of a run in one transaction. Returns the watermarks of what was read.

    bounds: of a run that may have found stretches settled.
    """
    state = context.state
    with ledger.transaction() as connection:
        for feed, mark in marks.items():
            state.record_watermark(connection, ledger.run_id, feed, mark)
        Periods(context.database).close(connection, done, ledger.run_id, done=True)
        if bounds:
            Stretches(context.database).remember(connection, bounds)
        state.record_finish(connection, summary)
    return {feed: mark.high_at for feed, mark in marks.items() if mark.lacks_table is None}


def _kind(options: RunOptions) -> RunKind:
    if options.only is None:
        return RunKind.RUN
    return {Status.REJECTED: RunKind.REVALIDATE, Status.IN_DOUBT: RunKind.RESEND}.get(options.only.status, RunKind.RETRY)


def run_status(error: RehookSyncError | None, unsettled: Mapping[Status, int], *, interrupted: bool, shares: bool = False) -> RunStatus:
    """Return how a run ended, given what stopped it and the unsettled calls of all runs. `shares`: calls have the ids of others."""
    if interrupted:
        return RunStatus.INTERRUPTED
    if error is not None:
        return RunStatus.STOPPED
    return RunStatus.ATTENTION if shares or any(unsettled.values()) else RunStatus.SUCCEEDED
