"""A run in shards: its users are cut into ranges, which several processes deliver.

`start_shards` takes the lease, cuts the users into ranges and records them. `deliver_shard` delivers one, in any process,
and may be repeated. `finish_shards` moves the watermark when all are done.
"""

import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from functools import partial

import orjson

from rehook_sync.delivery.report import DeliveryReport
from rehook_sync.errors import (
    LeaseHeldError,
    LeaseLostError,
    RehookSyncError,
    RunUnfinishedError,
    StateVersionError,
    StoppedError,
    UsageError,
)
from rehook_sync.jobs.context import JobContext, bind, read_change_notes, require_same
from rehook_sync.jobs.notes.copies import publish_notes
from rehook_sync.jobs.notes.findings import Findings, read_findings, write_findings
from rehook_sync.jobs.pipeline import Pipeline
from rehook_sync.jobs.reading.lookback import Lookback
from rehook_sync.jobs.reading.selfaudit import audit_run
from rehook_sync.jobs.results import Listener, RunOptions, RunResult, StartedRun, period_notes
from rehook_sync.jobs.run import (
    discover,
    find_bounds,
    looking,
    new_run_id,
    note_delivery,
    read_notes,
    record_end,
    run_status,
)
from rehook_sync.jobs.work import Reads, Work, deliver_work
from rehook_sync.models import Batch, RunKind, RunSummary, Shard, ShardResult, ShardStatus, Stream, Window, user_order
from rehook_sync.rules.periods import Extent, Feed, MissingTable, Period, RunBounds
from rehook_sync.runtime import Interrupt
from rehook_sync.state.destination import Destinations
from rehook_sync.state.ledger import Ledger
from rehook_sync.state.periods import begun
from rehook_sync.state.shards import ShardRecord, Shards
from rehook_sync.state.sources import KnownSources, Stretches

__all__ = [
    "cut_users",
    "deliver_shard",
    "finish_shards",
    "read_bounds",
    "start_shards",
    "write_bounds",
]

_FORMAT = 5


def cut_users(tiles: Iterable[tuple[str, int]], most: int) -> list[Shard]:
    """Return at most `most` ranges of users with about as many calls each; together they hold every possible user id.

    Shape:  tiles: first user id of a tile and the calls in it, in any order, of all feeds.
    """
    calls: Counter[str] = Counter()
    for first, number in tiles:
        calls[first] += number
    starts = sorted(calls, key=user_order)
    share = calls.total() / max(most, 1)
    cuts, passed = [""], 0
    for place, first in enumerate(starts):
        if place and len(cuts) < most and passed >= share * len(cuts):
            cuts.append(first)
        passed += calls[first]
    return [Shard(number, low, high) for number, (low, high) in enumerate(zip(cuts, [*cuts[1:], None], strict=True))]


def write_bounds(bounds: RunBounds) -> str:
    """Return as JSON the bounds that all shards of a run share."""
    windows = [[*feed, _text(window.low), _text(window.high), _text(bounds.newest.get(feed))] for feed, window in bounds.windows.items()]
    periods = [[each.period_id, *each.feed, _text(each.since), _text(each.until), each.opened_by, each.has_end] for each in bounds.periods]
    absent = [[*feed, name, _text(window.low), _text(window.high), _text(mark)] for feed, (name, window, mark) in bounds.absent.items()]
    return orjson.dumps({"format": _FORMAT, "windows": windows, "periods": periods, "absent": absent}).decode()


def read_bounds(text: str) -> RunBounds:
    """Return what `write_bounds` wrote.

    Raises: StateVersionError when another version of this program wrote it: a deployment came between start and shards.
    """
    document = orjson.loads(text)
    if document.get("format") != _FORMAT:
        raise StateVersionError("another version of rehook-sync began this run: start a new one")
    windows, newest = {}, {}
    for source, stream, low, high, last in document["windows"]:
        feed = Feed(source, Stream(stream))
        windows[feed] = Window(_time(low), datetime.fromisoformat(high))
        newest[feed] = _time(last)
    periods = [
        Period(period_id, Feed(source, Stream(stream)), _time(since), datetime.fromisoformat(until), opened_by, has_end)
        for period_id, source, stream, since, until, opened_by, has_end in document["periods"]
    ]
    absent = {
        Feed(source, Stream(stream)): MissingTable(name, Window(_time(low), datetime.fromisoformat(high)), datetime.fromisoformat(mark))
        for source, stream, name, low, high, mark in document["absent"]
    }
    return RunBounds(windows, newest, tuple(periods), absent=absent)


def _text(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat()


def _time(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)


_POLL_S = 0.25


def start_shards(context: JobContext, options: RunOptions, most: int) -> StartedRun:
    """Take the lease, begin a run and cut its users into at most `most` ranges. The run keeps the lease.

    Raises: UsageError for options that shards do not support, LeaseHeldError while another run holds the lease.
    """
    if options.only is not None or options.limit is not None:
        raise UsageError("a run in parts takes neither --limit nor a choice of rows: use one worker")
    state, sources = context.state, context.sources
    ledger = context.ledger(new_run_id(state.now(), RunKind.RUN))
    ledger.acquire()
    try:
        with ledger.transaction() as connection:
            recovered = state.recover(connection, ledger.run_id, hold=context.holds)
        sources.reader.waiting = partial(ledger.write, Batch())  # renews the lease
        bounds = find_bounds(context, options, ledger.run_id)
        notes = [*bind(context, ledger), *read_change_notes(context)]
        with begun(state, ledger, context.run_start(RunKind.RUN, options), bounds.asked):
            pass
        with looking(context, ledger, bounds):
            discover(context, options)
            lookback = Lookback(sources, state, context.known_in, bounds)
            read = [(feed, each) for feed, window in bounds.windows.items() for each in lookback.look(feed, window).asked(window)]
            read += bounds.parts()
            bounds = replace(bounds, newest=lookback.looks.newest, settled=lookback.looks.settled)
            tiles = [tile for feed, window in read for tile in sources[feed.source].read_user_tiles(feed.stream, window, context.known_in)]
            due = sum(number for _, number in tiles) + state.count_due_again()
            most = min(most, context.settings.concurrency) if sources.can_split_users({feed.source for feed in bounds.windows}) else 1
            shards = cut_users(tiles, most if due else 1)
        with ledger.transaction() as connection:
            status = ShardStatus.WAITING if due else ShardStatus.DONE
            findings = write_findings(Findings(delays=sources.reader.take_delays()), None, context.settings)
            Shards(context.database).record(connection, ledger.run_id, write_bounds(bounds), shards, status, findings)
            Stretches(context.database).remember(connection, bounds)
    except BaseException:
        ledger.release()
        raise
    return StartedRun(ledger.run_id, tuple(shard.number for shard in shards) if due else (), due, recovered, notes)


def deliver_shard(context: JobContext, run_id: str, number: int, interrupt: Interrupt, listen: Listener) -> ShardResult:
    """Deliver one shard of a run and record how it ended; one that is done already is left alone.

    Waits until an earlier attempt has released its lease or the lease has expired, then settles what that attempt left in flight.
    Raises: LeaseLostError when another run has taken over, UsageError when there is no such shard, and as `read_bounds`.
    """
    state = context.state
    require_same(context.settings, Destinations(context.database).read())
    records = Shards(context.database)
    text, shards = records.read(run_id)
    bounds = read_bounds(text)
    found = next((each for each in shards if each.shard.number == number), None)
    if found is None:
        raise UsageError(f"run {run_id} has no part {number}")
    if found.status is ShardStatus.DONE:
        return ShardResult(run_id, number, found.status, found.rows, found.requests)
    ledger = context.ledger(run_id, number)
    if not _acquire_patiently(ledger, interrupt):
        return ShardResult(run_id, number, ShardStatus.INTERRUPTED, {}, 0)
    try:
        with ledger.transaction() as connection:
            records.begin(connection, run_id, number)
            state.recover_users(connection, found.shard, hold=context.holds)
        lookback = Lookback(context.sources, state, context.known_in, bounds, compares=False)
        pipeline = Pipeline(context.sources, state, ledger, context.pipeline_config(run_id, RunOptions(), found.shard), lookback)
        report = DeliveryReport()
        try:
            work = Work(ledger, pipeline, Reads(bounds.windows, list(bounds.windows), bounds.parts()))
            report = deliver_work(context, work, interrupt, listen, shards=len(shards))
        except RehookSyncError as error:
            report.interrupted = interrupt.requested
            report.error = None if report.interrupted else error
        status = ShardStatus.DONE if pipeline.extent is Extent.ALL else ShardStatus.INTERRUPTED
        status = ShardStatus.STOPPED if report.error else ShardStatus.INTERRUPTED if report.interrupted else status
        findings = write_findings(note_delivery(context, pipeline.findings, report), found.findings, context.settings)
        rows: Counter[Stream] = Counter()
        for feed, count in pipeline.rows.items():
            rows[feed.stream] += count
        result = ShardResult(run_id, number, status, rows, report.requests, report.error, findings)
        with ledger.transaction() as connection:
            records.finish(connection, result)
    finally:
        ledger.release()
    return result


def finish_shards(context: JobContext, run_id: str, error: RehookSyncError | None = None, *, interrupted: bool = False) -> RunResult:
    """End a run in shards: record its counts and, when all shards are done, its watermarks.

    Shape:  error: what stopped a shard, if the caller knows; else the error that a shard recorded.
    Raises: RunUnfinishedError naming the shards that have not ended, LeaseLostError when another run has taken over.
    A run that has ended with all its shards is not ended again: what was recorded is returned once more. A run with
    stopped shards ends as stopped. Until another run begins, these can be delivered and the run finished again.
    """
    state = context.state
    ledger = context.ledger(run_id)
    ended = None
    try:
        ledger.resume()
    except LeaseLostError:
        if (ended := state.read_end(run_id)) is None:
            raise
    text, shards = Shards(context.database).read(run_id)
    bounds = read_bounds(text)
    if ended is not None:
        return _result(context, shards, bounds, *ended)
    missing = [each.shard.number for each in shards if each.status in {ShardStatus.WAITING, ShardStatus.RUNNING}]
    if missing and not (error or interrupted):
        ledger.let_go()
        names = ", ".join(str(each) for each in missing)
        raise RunUnfinishedError(
            f"run {run_id} is not finished: nothing is known of the end of part {names} of {len(shards)}; deliver it again"
        )
    stopped = next((each.error for each in shards if each.error), None)
    if error is None and stopped is not None:
        error = StoppedError(stopped)
    done = all(each.status is ShardStatus.DONE for each in shards)
    counted, _ = state.count_run(run_id)
    shares = bool(read_findings(each.findings for each in shards).shared.calls)
    status = run_status(error, state.count_unsettled(), interrupted=interrupted or not (done or error), shares=shares)
    requests = sum(each.requests for each in shards)
    summary = RunSummary(run_id, status, sum(counted.values()), requests=requests, error=str(error) if error else None, **counted)
    extent = Extent.ALL if done and error is None else Extent.NOTHING
    watermarks = record_end(context, ledger, summary, bounds, KnownSources(context.database).count_feeds(run_id), extent)
    published = publish_notes(context.settings, ledger, Interrupt()) if done else []  # else parts may still be written
    if done:
        ledger.release()
    else:
        ledger.let_go()
    audit = audit_run(context, bounds.windows, {}) if extent is Extent.ALL and shards else None
    result = _result(context, shards, bounds, summary, watermarks)
    return replace(result, error=error, audit=audit, notes=[*result.notes, *published])


def _result(
    context: JobContext, shards: Sequence[ShardRecord], bounds: RunBounds, summary: RunSummary, watermarks: Mapping[Feed, datetime | None]
) -> RunResult:
    """Return what is to be said of a run in shards whose end is recorded."""
    state, run_id = context.state, summary.run_id
    unsettled = state.count_unsettled()
    found = read_findings(each.findings for each in shards)
    found.rejected, found.waiting = state.count_run(run_id)[1], Counter(state.count_waiting(run_id))
    done = summary.error is None and all(each.status is ShardStatus.DONE for each in shards)
    notes = period_notes(bounds, run_id, done=done)
    notes += read_notes(context, found, summary.rows_read, unsettled, bounds.windows)
    return RunResult(summary, watermarks, found.rejected, None, (), unsettled, notes)


def _acquire_patiently(ledger: Ledger, interrupt: Interrupt) -> bool:
    """Wait until an earlier attempt has released its lease or lost it; tell whether it is ours now, False on an interrupt."""
    while not interrupt.requested:
        with suppress(LeaseHeldError):
            ledger.acquire()
            return True
        time.sleep(_POLL_S)
    return False
