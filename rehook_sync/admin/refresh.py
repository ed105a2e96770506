"""A refresh: each customer's present traits go out again, merged from the warehouse; never an event.

Present is what the newest of a user's Identify calls that carried a trait says, under today's names. Only calls that are
sent, unchanged, merged or skipped count, and only users of whom the sync-state has a customer. No call's record changes:
`sync_customers` remembers which refresh sent whom. So one that was cut off goes on where it was, with the same command.
"""

import heapq
from collections import Counter
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice, starmap

from rehook_sync.database.spool import Spool
from rehook_sync.delivery.report import DeliveryReport
from rehook_sync.delivery.sender import deliver
from rehook_sync.errors import RehookSyncError
from rehook_sync.jobs.context import JobContext, bind, read_change_notes
from rehook_sync.jobs.results import Listener, Progress, RunOptions, RunResult, period_text
from rehook_sync.jobs.run import discover, leased, looking, run_status
from rehook_sync.jobs.work import start_loading
from rehook_sync.models import (
    Batch,
    Call,
    Chunk,
    Moment,
    Operation,
    Outcome,
    RunKind,
    RunStatus,
    RunSummary,
    SourceRow,
    Status,
    Stream,
    Traits,
    Window,
    user_order,
)
from rehook_sync.rules.bodies import Names, build_customer, shape
from rehook_sync.rules.identity import is_other_call
from rehook_sync.rules.periods import Feed, Period, RunBounds
from rehook_sync.rules.traits import find_present, moment_of
from rehook_sync.rules.validation import REJECTED_ELSEWHERE
from rehook_sync.runtime import Interrupt
from rehook_sync.state.customers import Refreshed, Refreshes
from rehook_sync.state.ledger import Ledger
from rehook_sync.state.periods import Periods, begun
from rehook_sync.state.sources import KnownSources
from rehook_sync.state.state import Judged
from rehook_sync.times import FIRST_MOMENT
from rehook_sync.warehouse.rows import time_order, values_of

__all__ = ["count_refresh", "refresh"]

_ACCEPTED = frozenset({Status.SENT, Status.UNCHANGED, Status.MERGED, Status.SKIPPED})
_IDENTIFIES = RunOptions(stream=Stream.IDENTIFIES)
_LOOKED_UP = 2000
_USERS = 250


def count_refresh(context: JobContext, options: RunOptions) -> int:
    """Return how many customers a refresh would send; sends and writes nothing."""
    discover(context, _IDENTIFIES)
    period, _ = _find_period(context, options, "plan")
    feed, customers = _Refresh(context, period), 0
    for chunk in feed.chunks():
        customers += len(chunk.operations)
        feed.told.clear()  # nobody records that they were sent
    return customers


def refresh(context: JobContext, options: RunOptions, interrupt: Interrupt, listen: Listener) -> RunResult:
    """Send each customer's present traits again and return how that ended.

    Raises: LeaseHeldError, and SettingsError as a run does, before anything is sent.
    """
    state = context.state
    with leased(context, RunKind.REFRESH) as (ledger, recovered):
        period, notes, outdated = _begin(context, ledger, options)
        with looking(context, ledger, RunBounds({}, {})):
            discover(context, _IDENTIFIES)
        with ledger.transaction() as connection:
            Periods(context.database).close(connection, outdated, ledger.run_id, done=False)
        feed = _Refresh(context, period)
        report = _send(context, ledger, feed, interrupt, listen)
        customers = {each: report.counts[each] for each in (Status.SENT, Status.REJECTED, Status.FAILED)}
        failed, refused = customers[Status.FAILED], customers[Status.REJECTED]
        done = feed.complete and not failed and report.error is None and not report.interrupted
        unsettled = state.count_unsettled()
        status = run_status(report.error, unsettled, interrupted=report.interrupted)
        status = RunStatus.ATTENTION if status is RunStatus.SUCCEEDED and (failed or refused) else status
        message = None if report.error is None else str(report.error)
        summary = RunSummary(ledger.run_id, status, requests=report.requests, error=message)
        with ledger.transaction() as connection:
            Periods(context.database).close(connection, [period] if done else [], ledger.run_id, done=True)
            state.record_finish(connection, summary)
        notes += _notes(report, feed, done=done)
        return RunResult(summary, {}, Counter(), report.error, recovered, unsettled, notes, customers)


def _begin(context: JobContext, ledger: Ledger, options: RunOptions) -> tuple[Period, list[str], list[Period]]:
    """Record that a refresh has begun or goes on. Returns its period, notes for the user, and refreshes that it begins anew."""
    records = Periods(context.database)
    period, is_new = _find_period(context, options, ledger.run_id)
    notes = [*bind(context, ledger), *(each for each in read_change_notes(context) if "`refresh`" not in each)]
    outdated = [each for each in records.read_open(kinds=(RunKind.REFRESH,)) if each.period_id != period.period_id]
    start = context.run_start(RunKind.REFRESH, options)
    with begun(context.state, ledger, start, [period] if is_new else []):
        pass
    if not is_new:
        notes.append(f"goes on with {period_text(period)}, which run {period.opened_by} began")
    notes += [f"{period_text(each)}, which run {each.opened_by} began, was not done: this one begins anew" for each in outdated]
    lost = [name for name in KnownSources(context.database).read_names() if name not in context.sources]
    if lost:
        notes.append(
            f"calls of {', '.join(map(repr, lost))} are not read, since REHOOK_SYNC_WAREHOUSE_SCHEMA does not name "
            f"{'it' if len(lost) == 1 else 'them'}: what customers have from there alone is not sent, and a trait that gets another "
            "name goes out as the other sources have it, even if that is older"
        )
    return period, notes, outdated


def _send(context: JobContext, ledger: Ledger, feed: "_Refresh", interrupt: Interrupt, listen: Listener) -> DeliveryReport:
    """Send what the feed yields and record who was sent."""
    start_loading()

    def committed(latest: DeliveryReport, _outcomes: Sequence[Outcome]) -> None:
        settled = sum(latest.counts.values())
        listen(Progress(ledger.run_id, None, feed.sent, settled, dict(latest.counts), latest.requests))

    try:
        with closing(feed.chunks()) as chunks:
            return deliver(chunks, context.client(), _Recorder(ledger, feed), context.delivery_config(resend=True), interrupt, committed)
    except RehookSyncError as error:
        stopped = interrupt.requested
        return DeliveryReport(error=None if stopped else error, interrupted=stopped)


def _notes(report: DeliveryReport, feed: "_Refresh", *, done: bool) -> list[str]:
    """Return what a refresh says of itself, one line each."""
    notes = ["no call's record changes by a refresh"]
    if report.counts[Status.REJECTED]:
        notes.append("whom Rehook refused keeps what is there; a query on refreshed_by in docs/operating.md lists them")
    if unusable := feed.unusable:
        held = "1 call holds what cannot be sent under today's settings, and was"
        notes.append(f"{held if unusable == 1 else f'{unusable:,} calls hold what cannot be sent under the settings, and were'} left out")
    if not done:
        notes.append("the refresh is not done: `refresh` goes on with it, `run --abandon` gives it up")
    return notes


def _find_period(context: JobContext, options: RunOptions, run_id: str) -> tuple[Period, bool]:
    """Return the refresh to do, and whether it is a new one: one that is open goes on, unless another is asked for or the names changed."""
    for period in Periods(context.database).read_open(kinds=(RunKind.REFRESH,)):
        same = options.since is None or options.since_at == period.since
        if same and context.state.read_settings(period.opened_by) == context.kept_settings:
            return period, False
    # It is of all sources; the first stands for them.
    feed = Feed(next(iter(context.sources)), Stream.IDENTIFIES)
    until = context.state.now()
    return Period(f"{run_id}-{'-'.join(feed)}", feed, options.since_at, until, run_id, has_end=False, kind=RunKind.REFRESH), True


@dataclass(slots=True)
class _Present:
    """What the calls of one user say, oldest first, up to the one read last."""

    user_id: str
    message_id: str = ""
    at: tuple[datetime | None, datetime | None] = (None, None)
    metadata: dict[str, object] = field(default_factory=dict)
    moments: dict[str, Moment] = field(default_factory=dict)
    code: str | None = None
    is_due: bool = False

    def operation(self, refresh_id: str) -> Operation:
        """Return the request. Its key differs from those of the calls themselves: an API that knows them would not take it."""
        call = Call(Stream.IDENTIFIES, f"refresh {refresh_id} {self.message_id}", self.user_id, None, *self.at)
        return build_customer(call, self.metadata, self.code)


class _Refresh:
    """The requests of a refresh, one per customer, users in order of their ids.

    Shape:  refresh_id: the run that asked for it.  sent: requests made so far.
            unusable: calls left out, since they cannot be sent under today's settings.
            complete: whether all were read.  told: user id -> what the customer has once the request is accepted.
    """

    def __init__(self, context: JobContext, period: Period) -> None:
        """Prepare; nothing is read before `chunks`."""
        settings = context.settings
        self._context = context
        self._period = period
        self._names = Names(settings.trait_names, settings.property_names, settings.exclude)
        self._refreshes = Refreshes(context.database)
        self.refresh_id = period.opened_by
        self.sent = 0
        self.unusable = 0
        self.complete = False
        self.told: dict[str, Refreshed] = {}

    def chunks(self) -> Generator[Chunk, None, None]:
        """Yield the requests. The calls are put aside in order of their users first, so that memory holds a few users alone."""
        with Spool() as spool:
            self._put_aside(spool)
            users = self._fold(starmap(SourceRow, spool.in_order()))
            while page := list(islice(users, _USERS)):
                if operations := self._build(page):
                    self.sent += len(operations)
                    yield Chunk(operations, [])
        self.complete = True

    def _put_aside(self, spool: Spool) -> None:
        """Put the calls aside that Rehook has, in the order of users, then of time."""
        window = Window(None, self._period.until)
        rows = heapq.merge(
            *(self._context.sources[feed.source].read_window(feed.stream, window, None) for feed in self._context.feeds(_IDENTIFIES)),
            key=time_order,
        )
        while page := list(islice(rows, _LOOKED_UP)):
            ids = [each for row in page for each in _ids(row)]
            known = self._context.state.read_judged(Stream.IDENTIFIES, ids)
            accepted = [row for row in page if row.user_id and any(_is_accepted(row, known.get(each)) for each in _ids(row))]
            spool.put(((user_order(row.user_id or ""), values_of(row)) for row in accepted), sum(row.size for row in accepted))

    def _fold(self, rows: Iterator[SourceRow]) -> Iterator[_Present]:
        """Yield what the calls of each user say."""
        present: _Present | None = None
        while page := list(islice(rows, _LOOKED_UP)):
            for row, metadata, code, problem in shape(page, self._names):
                if problem is not None or row.user_id is None:
                    self.unusable += 1
                    continue
                if present is None or present.user_id != row.user_id:
                    if present is not None:
                        yield present
                    present = _Present(row.user_id)
                present.metadata.update(metadata)
                present.moments.update(dict.fromkeys(metadata, moment_of(row.message_id, row.occurred_at, row.received_at)))
                present.code = code or present.code
                present.message_id, present.at = row.message_id, (row.received_at, row.occurred_at)
                since = self._period.since
                present.is_due = present.is_due or since is None or (row.received_at or FIRST_MOMENT) >= since
        if present is not None:
            yield present

    def _build(self, page: Sequence[_Present]) -> list[Operation]:
        """Return the requests of these users, without those that this refresh has sent, and those that are no customers (any more)."""
        known = self._refreshes.read([each.user_id for each in page])
        operations = []
        for present in page:
            customer = known.get(present.user_id)
            if not present.is_due or customer is None or customer.refreshed_by == self.refresh_id:
                continue
            left_out = {"referral_code"} if present.code != customer.code else frozenset[str]()
            operation, traits = find_present(present.operation(self.refresh_id), present.moments, customer.traits, left_out)
            self.told[present.user_id] = Refreshed(traits, present.message_id)
            operations.append(operation)
        return operations


def _ids(row: SourceRow) -> Iterable[str]:
    """Return the ids under which a call may be recorded."""
    return filter(None, (row.message_id, row.recorded_id))


def _is_accepted(row: SourceRow, judged: Judged | None) -> bool:
    """Tell whether Rehook has what a call carries. Another source's record may be of another call, if its user is not known any more."""
    if judged is None or judged.status not in _ACCEPTED:
        return False
    if judged.status is Status.SKIPPED and (judged.detail or "").startswith(REJECTED_ELSEWHERE):
        return False
    return row.source == judged.source or (judged.user_id is not None and not is_other_call(row, judged))


class _Recorder:
    """Records which customers were sent. Delivery takes it for the ledger of a run, but no call is marked or judged."""

    def __init__(self, ledger: Ledger, feed: _Refresh) -> None:
        """Record under the lease of a ledger."""
        self._ledger = ledger
        self._feed = feed
        self._refreshes = Refreshes(ledger.database)

    @property
    def is_valid(self) -> bool:
        """Tell whether nobody else can have the lease."""
        return self._ledger.is_valid

    def read_customers(self, _user_ids: Iterable[str]) -> dict[str, Traits]:
        """Return nothing: all that is present is sent."""
        return {}

    def write(self, batch: Batch) -> frozenset[tuple[Stream, str]]:
        """Write which customers Rehook took or refused. A batch without any renews the lease."""
        told: dict[str, Refreshed] = {}
        for outcome in batch.outcomes:
            user_id = outcome.call.user_id or ""
            if outcome.status is Status.SENT:
                told[user_id] = self._feed.told[user_id]
            elif outcome.status is Status.REJECTED:
                told[user_id] = Refreshed(None, None)
        with self._ledger.transaction() as connection:
            self._refreshes.write(connection, told, self._feed.refresh_id)
        for outcome in batch.outcomes:
            self._feed.told.pop(outcome.call.user_id or "", None)
        return frozenset()
