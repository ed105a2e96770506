"""One run under its lease: deliver, record, move the watermark."""

import secrets
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import datetime
from itertools import chain, islice
from threading import Thread

from rehook_sync.delivery.sender import DeliveryReport, Load, deliver
from rehook_sync.errors import RehookSyncError
from rehook_sync.jobs.context import Site, load_heavy
from rehook_sync.jobs.pipeline import Intake
from rehook_sync.jobs.results import Progress, Request, RunResult, advice, slowness
from rehook_sync.models import Entry, RunStatus, RunSummary, Selection, Status, Stream, Window
from rehook_sync.rules.watermark import Beginning, next_watermark
from rehook_sync.runtime import Interrupt
from rehook_sync.state.ledger import Ledger
from rehook_sync.state.state import State

__all__ = ["Listener", "RunBounds", "Work", "deliver_work", "leased", "new_run_id", "record_end", "run_status", "run_whole"]

Listener = Callable[[Progress], None]


@dataclass(frozen=True, slots=True)
class RunBounds:
    """What a run goes through: the window of each stream.

    Shape:  newest: stream -> time of its newest row when the run began, None for a stream without rows.
    """

    windows: Mapping[Stream, Window]
    newest: Mapping[Stream, datetime | None]


def run_whole(site: Site, request: Request, interrupt: Interrupt, listen: Listener) -> RunResult:
    """Do one run in one piece and say how it ended. Raises LeaseHeldError, before anything was done."""
    state = site.state
    with leased(site, _verb(request)) as (ledger, recovered):
        windows = {} if request.only else site.windows(request)
        with ledger.transaction() as connection:
            since = None if isinstance(request.since, Beginning) else request.since
            state.record_start(connection, ledger.run_id, request.trigger, since, request.until)
            if request.only and request.only.status is Status.IN_DOUBT:
                # Whoever has something in doubt may have failed calls as well; all go out, in order.
                user_ids = state.release_doubtful(connection, request.only.ids)
                request = Request(
                    stream=request.stream, limit=request.limit, only=Selection(Status.FAILED, ids=tuple(user_ids)), trigger=request.trigger
                )
        ledger.reopens = request.only.status if request.only else Status.FAILED
        intake = Intake(site.source, state, ledger, site.intake_config(ledger.run_id, request))
        newest: dict[Stream, datetime | None] = {}
        report = DeliveryReport()
        try:
            # Read before the rows are: what arrives in between is then never below a watermark without being seen.
            watermarks = {stream: state.read_coverage(stream).watermark for stream in windows}
            loading = Thread(target=load_heavy)
            if None in watermarks.values():
                loading.start()
            newest = {stream: site.source.newest(stream, window) for stream, window in windows.items()}
            if not loading.ident and any(moment > (watermarks[stream] or moment) for stream, moment in newest.items() if moment):
                loading.start()
            work = Work(ledger, intake, intake.read_loads(windows, request.streams), windows)
            report = deliver_work(site, work, interrupt, listen)
        except RehookSyncError as error:
            report.error = error
        unsettled = state.count_unsettled()
        counts = {each.value: report.counts[each] for each in Status if each is not Status.SENDING}
        status = run_status(report.error, unsettled, interrupted=report.interrupted)
        message = str(report.error) if report.error else None
        summary = RunSummary(ledger.run_id, status, sum(counts.values()), requests=report.requests, error=message, **counts)
        complete = intake.complete and report.error is None and not report.interrupted
        watermarks = record_end(state, ledger, summary, RunBounds(windows, newest), intake.rows, complete=complete)
        notes = advice(intake.rejected, intake.rows.total()) + slowness(report.slowed, report.lowest, site.settings.concurrency)
        return RunResult(summary, watermarks, report.rejected, report.error, recovered, unsettled, notes)


@contextmanager
def leased(site: Site, verb: str) -> Iterator[tuple[Ledger, list[RunSummary]]]:
    """Hold the lease for one run, and first settle what dead runs left; gives their summaries as well."""
    ledger = site.ledger(new_run_id(site.state.now(), verb))
    ledger.acquire()
    try:
        with ledger.transaction() as connection:
            recovered = site.state.recover(connection, ledger.run_id, hold=site.holds)
        yield ledger, recovered
    finally:
        ledger.release()


def new_run_id(now: datetime, verb: str = "") -> str:
    """Return an id that sorts by time and that no other run has; `verb` names what is no plain run."""
    return "-".join(filter(None, (f"{now:%Y%m%dT%H%M%SZ}", verb, secrets.token_hex(4))))


@dataclass(frozen=True, slots=True)
class Work:
    """What is delivered, and by whom it is recorded.

    Shape:  counted: the windows whose calls are counted for the progress; None where somebody else counts.
    """

    ledger: Ledger
    intake: Intake
    loads: Generator[Load, None, None]
    counted: Mapping[Stream, Window] | None = None


def deliver_work(site: Site, work: Work, interrupt: Interrupt, listen: Listener, *, parts: int = 1) -> DeliveryReport:
    """Send what is read, record what became of it, and tell how far it is."""
    intake = work.intake
    total = 0

    def begin(loads: Iterator[Load]) -> Iterator[Load]:
        """Count while something is being sent, and only if there is more: what little there is is then looked through once, not twice."""
        nonlocal total
        yield from islice(loads, 2)
        if work.counted is not None:
            if intake.complete:
                total = intake.rows.total()
            elif intake.seen:
                due = sum(site.source.count(stream, window, site.known_in) for stream, window in work.counted.items())
                total = due + intake.recorded
            listen(Progress(work.ledger.run_id, total))
        yield from loads

    def committed(latest: DeliveryReport, entries: Sequence[Entry]) -> None:
        intake.note_recorded(entries)
        due = max(total, intake.seen)
        pressure = latest.at_once, latest.slowed, latest.lowest
        listen(Progress(work.ledger.run_id, due, intake.seen, intake.rows.total(), dict(latest.counts), latest.requests, *pressure))

    with closing(work.loads) as loads, ThreadPoolExecutor(1, "first") as thread:
        first = thread.submit(next, loads, None)
        client = site.client(parts)  # what it needs is loaded while the first rows are read
        feed = begin(chain(_one(first), loads))
        return deliver(feed, client, work.ledger, site.delivery_config(parts), interrupt, committed)


def _one(first: Future[Load | None]) -> Iterator[Load]:
    load = first.result()
    if load is not None:
        yield load


def record_end(
    state: State, ledger: Ledger, summary: RunSummary, bounds: RunBounds, rows: Mapping[Stream, int], *, complete: bool
) -> dict[Stream, datetime | None]:
    """Record counts, watermarks and the end of the run."""
    watermarks = {}
    with ledger.transaction() as connection:
        for stream, window in bounds.windows.items():
            high_at = next_watermark(state.read_coverage(stream), window, bounds.newest.get(stream), complete=complete)
            watermarks[stream] = high_at
            state.record_watermark(connection, ledger.run_id, stream, window, high_at, rows.get(stream, 0))
        state.record_finish(connection, summary)
    return watermarks


def _verb(request: Request) -> str:
    if request.only is None:
        return ""
    return {Status.REJECTED: "revalidate", Status.IN_DOUBT: "resend"}.get(request.only.status, "retry")


def run_status(error: RehookSyncError | None, unsettled: Mapping[Status, int], *, interrupted: bool) -> RunStatus:
    """Return how a run ended, given what stopped it and what is left of all runs."""
    if interrupted:
        return RunStatus.INTERRUPTED
    if error is not None:
        return RunStatus.STOPPED
    return RunStatus.ATTENTION if any(unsettled.values()) else RunStatus.SUCCEEDED
