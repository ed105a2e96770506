"""A baseline: the calls of a period are recorded as settled elsewhere, and nothing is sent.

Whatever is not settled of the period becomes `skipped`: calls that no run has judged, failed ones and waiting ones. Calls
in doubt stay so. Customers get what their calls carried as values that nobody knows: a later Identify call is sent, an
older one changes nothing that is newer. Referral codes get their owners, as if the calls had been sent from here.

Each chunk is a transaction. A baseline that did not get through keeps its period open, and no run begins before it is
done: a run would send what the baseline was to settle.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from rehook_sync.errors import RehookSyncError, UsageError
from rehook_sync.jobs.context import JobContext, how_to_go_on, read_change_notes
from rehook_sync.jobs.notes.lines import shared_notes
from rehook_sync.jobs.pipeline import ClaimDesk, Pipeline
from rehook_sync.jobs.plan import PlannedClaims
from rehook_sync.jobs.results import Listener, Plan, Progress, RunOptions, RunResult, period_text
from rehook_sync.jobs.run import discover, leased, looking, read_newest, run_status, write_end
from rehook_sync.models import Batch, Chunk, Customer, Operation, Outcome, Reason, RunKind, RunSummary, Status, Traits, Window
from rehook_sync.rules.periods import Extent, Feed, Mark, Period, RunBounds
from rehook_sync.rules.traits import after_elsewhere
from rehook_sync.rules.validation import REJECTED_ELSEWHERE
from rehook_sync.rules.watermark import after_baseline
from rehook_sync.runtime import Interrupt
from rehook_sync.state.ledger import Ledger
from rehook_sync.state.periods import Periods, begun
from rehook_sync.state.sources import KnownSources
from rehook_sync.times import moment_text
from rehook_sync.warehouse.sources import Sources

__all__ = ["plan_baseline", "record_baseline"]


def plan_baseline(context: JobContext, options: RunOptions) -> Plan:
    """Return what a baseline would record; writes nothing. Raises UsageError as `record_baseline`."""
    periods = _periods(context, options, "plan")
    _read_unfinished(context, periods)
    discover(context, options)
    pipeline = _pipeline(context, PlannedClaims(context.ledger("plan")), options, "plan", periods)
    plan = Plan({feed: _window(period) for feed, period in periods.items()})
    for chunk in pipeline.read_chunks(plan.windows, plan.windows):
        plan.retried.update(each.call.previous.status for each in _skip(chunk) if each.call.previous is not None)
    plan.rows = pipeline.rows.total()
    plan.actions["skipped"] = plan.rows
    plan.notes.extend([*shared_notes(pipeline.findings.shared), *_notes(context, periods, pipeline.timeless)])
    return plan


def record_baseline(context: JobContext, options: RunOptions, interrupt: Interrupt, listen: Listener) -> RunResult:
    """Record the calls of a period as settled elsewhere and return how it ended.

    Raises: LeaseHeldError, UsageError for a period that is empty or not over, and SourceError, before anything is done.
    """
    state = context.state
    with leased(context, RunKind.BASELINE) as (ledger, recovered):
        periods = _periods(context, options, ledger.run_id)
        unfinished = _read_unfinished(context, periods)
        asked = [each for each in periods.values() if not any(earlier.covers(each) for earlier in unfinished)]
        changes = read_change_notes(context)
        with begun(state, ledger, context.run_start(RunKind.BASELINE, options), asked):
            pass
        windows = {feed: _window(period) for feed, period in periods.items()}
        with looking(context, ledger, RunBounds({}, {})):
            discover(context, options)
            newest = read_newest(context.sources, windows)
        pipeline = _pipeline(context, ledger, options, ledger.run_id, periods)
        skipped, error = 0, None
        try:
            with ledger.kept():
                for chunk in pipeline.read_chunks(windows, windows):
                    skipped += _record(ledger, chunk)
                    listen(Progress(ledger.run_id, None, pipeline.known, skipped, {Status.SKIPPED: skipped}))
                    if interrupt.requested:
                        break
        except RehookSyncError as caught:
            error = None if interrupt.requested else caught
        done = pipeline.extent is Extent.ALL and error is None
        gone = _skip_gone(context, ledger, periods) if done else 0
        left = [each for each in (*unfinished, *asked) if not (done and _is_settled(each, periods))]
        unsettled = state.count_unsettled()
        status = run_status(error, unsettled, interrupted=not done and error is None)
        summary = RunSummary(ledger.run_id, status, skipped + gone, skipped=skipped + gone, error=None if error is None else str(error))
        marks = {
            feed: Mark(*after_baseline(state.read_coverage(feed), window, newest.get(feed), complete=done), pipeline.rows[feed])
            for feed, window in windows.items()
        }
        settled = [each for each in (*unfinished, *asked) if each not in left]
        watermarks = write_end(context, ledger, summary, marks, settled)
        notes = [*changes, *shared_notes(pipeline.findings.shared), *_notes(context, periods, pipeline.timeless, gone)]
        notes += [_open_note(each, left, context.sources) for each in left]
        return RunResult(summary, watermarks, Counter(), error, recovered, unsettled, notes)


def _read_unfinished(context: JobContext, periods: Mapping[Feed, Period]) -> list[Period]:
    """Return the baselines that are not done. Raises UsageError when one of them has only a part of these periods, or they of it."""
    unfinished = Periods(context.database).read_open(context.feeds(RunOptions()), (RunKind.BASELINE,))
    for earlier in unfinished:
        period = periods.get(earlier.feed)
        if period is not None and period.meets(earlier) and not (period.covers(earlier) or earlier.covers(period)):
            raise UsageError(
                f"{_open_note(earlier, unfinished, context.sources)}; what is asked for now, {period_text(period)}, has a part of it: "
                "an age such as 3d is another time than it was then"
            )
    return unfinished


def _periods(context: JobContext, options: RunOptions, run_id: str) -> dict[Feed, Period]:
    """Return the period of each feed. Raises UsageError for one that is empty or not over."""
    now, until = context.state.now(), options.until
    if options.since is None or until is None:
        raise UsageError("a baseline needs both --since and --until: the period that was settled elsewhere")
    if until > now:
        raise UsageError(f"--until {moment_text(until)} lies in the future: give a time before now ({moment_text(now)})")
    if isinstance(options.since, datetime) and options.since >= until:
        raise UsageError(f"--since {moment_text(options.since)} is not before --until {moment_text(until)}")
    for feed in context.all_feeds(options):
        if (table := context.lacks(feed)) is not None:
            raise UsageError(
                f"source {feed.source!r} has no table {table!r}, so no call of it can be recorded as settled elsewhere: "
                "name what has one, with --source and --stream"
            )
    return {
        feed: Period(f"{run_id}-{'-'.join(feed)}", feed, options.since_at, until, run_id, has_end=True, kind=RunKind.BASELINE)
        for feed in context.feeds(options)
    }


def _window(period: Period) -> Window:
    return Window(period.since, period.until)


def _pipeline(context: JobContext, desk: ClaimDesk, options: RunOptions, run_id: str, periods: Mapping[Feed, Period]) -> Pipeline:
    # The same id in two sources is one call: what failed under another source's name may be of this period.
    others = {feed.source for feed in KnownSources(context.database).count_due()} - {feed.source for feed in periods}
    config = replace(context.pipeline_config(run_id, options), within=next(iter(periods.values())), also_of=sorted(others))
    return Pipeline(context.sources, context.state, desk, config)


def _skip(chunk: Chunk) -> list[Outcome]:
    """Return the outcomes of all calls of a chunk. Those that our rules would reject say so: nobody delivered what they carry."""
    accepted = [(call, None) for operation in chunk.operations for call in operation.calls]
    rejected = [(each.call, each.reason if each.status is Status.REJECTED else None) for each in chunk.outcomes]
    return [
        Outcome(
            call._replace(payload_hash=None),
            Status.SKIPPED,
            Reason.SETTLED_ELSEWHERE,
            attempts=call.previous.attempts if call.previous else 0,
            detail=None if reason is None else f"{REJECTED_ELSEWHERE}{reason}",
        )
        for call, reason in [*accepted, *rejected]
    ]


def _record(ledger: Ledger, chunk: Chunk) -> int:
    """Record a chunk in one transaction; return how many calls it has."""
    outcomes = _skip(chunk)
    identifies = [each for each in chunk.operations if each.stream.is_identify]
    known: dict[str, Traits] = dict(ledger.read_customers({each.user_id for each in identifies}))
    ledger.write(Batch(outcomes=outcomes, customers=[_customer(each, known) for each in identifies]))
    return len(outcomes)


def _customer(operation: Operation, known: dict[str, Traits]) -> Customer:
    """Return what a customer has after an Identify call that was settled elsewhere; `known` learns it."""
    traits = known[operation.user_id] = after_elsewhere(operation, known.get(operation.user_id))
    return Customer(operation.user_id, traits, code=operation.claim.code if operation.claim else None)


def _skip_gone(context: JobContext, ledger: Ledger, periods: Mapping[Feed, Period]) -> int:
    """Settle what failed or waits in the periods and has left the warehouse. Returns how many calls."""
    with ledger.transaction() as connection:
        return sum(context.state.skip_gone(connection, ledger.run_id, feed, _window(period)) for feed, period in periods.items())


def _is_settled(asked: Period, periods: Mapping[Feed, Period]) -> bool:
    """Tell whether all of a baseline that was asked for lies in one of the periods that are done."""
    return asked.feed in periods and periods[asked.feed].covers(asked)


def _open_note(asked: Period, unfinished: Sequence[Period], sources: Sources) -> str:
    """Return a note on a baseline that is not done."""
    return (
        f"{period_text(asked, named=len(sources) > 1)}, which run {asked.opened_by} was asked for, is not done, "
        f"and no run begins before: {how_to_go_on(asked, unfinished, sources)}"
    )


def _notes(context: JobContext, periods: Mapping[Feed, Period], timeless: int, gone: int = 0) -> list[str]:
    """Return what a baseline says of itself, one line each."""
    notes = []
    doubtful = sum(context.state.count_doubtful_within(feed, _window(period)) for feed, period in periods.items())
    if doubtful:
        notes.append(f"{doubtful:,} of the period in doubt {'stays' if doubtful == 1 else 'stay'} so: `resolve` settles them")
    if timeless:
        notes.append(f"{timeless:,} without a time of arrival are of no period: the next run takes them, unless it begins at the beginning")
    if gone:
        notes.append(f"{gone:,} of them had failed or waited and {'is' if gone == 1 else 'are'} no longer in the warehouse")
    starts = {period.since for period in periods.values()}
    if starts != {None} and any(context.state.read_coverage(feed).watermark is None for feed in periods):
        notes.append("the next run still needs --since, since nothing says where what is older was settled")
    return notes
