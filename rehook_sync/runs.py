"""One run under its lease: deliver, record, move the watermark; in one piece, or in parts that several processes do.

In parts: `start_parts` takes the lease, cuts the users into ranges and writes them down; `deliver_part` does one of them,
in whichever process, and may be repeated; `finish_parts` finds all of them done and moves the watermark.
"""

import secrets
import time
from collections import Counter
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from itertools import chain, islice
from threading import Thread

from rehook_sync.delivery.sender import DeliveryReport, Load, deliver
from rehook_sync.errors import LeaseHeldError, RehookSyncError, RunUnfinishedError, StoppedError, UsageError
from rehook_sync.intake import Intake
from rehook_sync.jobs.shards import ShardedPlan, cut_users, read_plan, write_plan
from rehook_sync.models import Entry, RunStatus, RunSummary, Selection, ShardResult, ShardStatus, Status, Stream, Window
from rehook_sync.reports import Progress, Request, RunPlan, RunResult
from rehook_sync.rules.watermark import Beginning, next_watermark
from rehook_sync.runtime import Interrupt
from rehook_sync.site import Site, advice, load_heavy, slowness
from rehook_sync.state.ledger import Ledger
from rehook_sync.state.state import State

__all__ = ["deliver_part", "finish_parts", "leased", "new_run_id", "run_whole", "start_parts"]

Listener = Callable[[Progress], None]
_POLL_S = 0.25


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
            work = _Work(ledger, intake, intake.read_loads(windows, request.streams), windows)
            report = _deliver(site, work, interrupt, listen)
        except RehookSyncError as error:
            report.error = error
        unsettled = state.count_unsettled()
        counts = {each.value: report.counts[each] for each in Status if each is not Status.SENDING}
        status = _run_status(report.error, unsettled, interrupted=report.interrupted)
        message = str(report.error) if report.error else None
        summary = RunSummary(ledger.run_id, status, sum(counts.values()), requests=report.requests, error=message, **counts)
        complete = intake.complete and report.error is None and not report.interrupted
        watermarks = _record_end(state, ledger, summary, ShardedPlan(windows, newest), intake.rows, complete=complete)
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


def start_parts(site: Site, request: Request, parts: int) -> RunPlan:
    """Take the lease, begin a run and cut its users into at most `parts` ranges; the lease stays with the run.

    Raises: UsageError for what cannot be done in parts, LeaseHeldError while another run is at work.
    """
    if request.only is not None or request.limit is not None:
        raise UsageError("a run in parts takes neither --limit nor a choice of rows: use one worker")
    state, source = site.state, site.source
    ledger = site.ledger(new_run_id(state.now()))
    ledger.acquire()
    try:
        with ledger.transaction() as connection:
            recovered = state.recover(connection, ledger.run_id, hold=site.holds)
        windows = site.windows(request)
        plan = ShardedPlan(windows, {stream: source.newest(stream, window) for stream, window in windows.items()})
        tiles = [tile for stream, window in windows.items() for tile in source.read_user_tiles(stream, window, site.known_in)]
        due = sum(number for _, number in tiles) + state.count_unsettled().get(Status.FAILED, 0)
        parts = min(parts, site.settings.concurrency) if source.can_split_users() else 1
        shards = cut_users(tiles, parts if due else 1)
        with ledger.transaction() as connection:
            since = None if isinstance(request.since, Beginning) else request.since
            state.record_start(connection, ledger.run_id, request.trigger, since, request.until)
            status = ShardStatus.WAITING if due else ShardStatus.DONE
            state.record_shards(connection, ledger.run_id, write_plan(plan), shards, status)
    except BaseException:
        ledger.release()
        raise
    return RunPlan(ledger.run_id, tuple(shard.number for shard in shards) if due else (), due, recovered)


def deliver_part(site: Site, run_id: str, number: int, interrupt: Interrupt, listen: Listener) -> ShardResult:
    """Deliver one part of a run and record how it ended; one that is done already is left alone.

    Waits for the lease of an earlier attempt that does not give it back to run out; what that one left in flight is
    settled first. Raises LeaseLostError when another run has taken over, UsageError when there is no such part.
    """
    state = site.state
    text, shards = state.read_shards(run_id)
    plan = read_plan(text)
    part = next((each for each in shards if each.shard.number == number), None)
    if part is None:
        raise UsageError(f"run {run_id} has no part {number}")
    if part.status is ShardStatus.DONE:
        return ShardResult(run_id, number, part.status, part.rows, part.requests)
    ledger = site.ledger(run_id, number)
    if not _acquire_patiently(ledger, interrupt):
        return ShardResult(run_id, number, ShardStatus.INTERRUPTED, {}, 0)
    try:
        with ledger.transaction() as connection:
            state.begin_shard(connection, run_id, number)
            state.recover_users(connection, part.shard, hold=site.holds)
        request = Request(stream=next(iter(plan.windows)) if len(plan.windows) == 1 else None)
        intake = Intake(site.source, state, ledger, site.intake_config(run_id, request, part.shard))
        report = DeliveryReport()
        Thread(target=load_heavy).start()
        try:
            work = _Work(ledger, intake, intake.read_loads(plan.windows, request.streams))
            report = _deliver(site, work, interrupt, listen, parts=len(shards))
        except RehookSyncError as error:
            report.error = error
        status = ShardStatus.DONE if intake.complete else ShardStatus.INTERRUPTED
        status = ShardStatus.STOPPED if report.error else ShardStatus.INTERRUPTED if report.interrupted else status
        result = ShardResult(run_id, number, status, intake.rows, report.requests, report.error)
        with ledger.transaction() as connection:
            state.finish_shard(connection, result)
    finally:
        ledger.release()
    return result


def finish_parts(site: Site, run_id: str, error: RehookSyncError | None = None, *, interrupted: bool = False) -> RunResult:
    """End a run in parts: record its counts and, when all parts are done, its watermarks.

    Shape:  error: what stopped a part, if the caller knows; else what that part wrote down.
    Raises: RunUnfinishedError naming the parts of which nobody knows how they ended, LeaseLostError when another run has
            taken over. A run with parts that stopped ends as stopped; until another run begins, these can be delivered
            and the run be finished again.
    """
    state = site.state
    ledger = site.ledger(run_id)
    ledger.resume()
    text, shards = state.read_shards(run_id)
    plan = read_plan(text)
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
    rows: Counter[Stream] = Counter()
    for each in shards:
        rows.update(each.rows)
    counted, rejected = state.count_run(run_id)
    unsettled = state.count_unsettled()
    status = _run_status(error, unsettled, interrupted=interrupted or not (done or error))
    requests = sum(each.requests for each in shards)
    summary = RunSummary(run_id, status, sum(counted.values()), requests=requests, error=str(error) if error else None, **counted)
    watermarks = _record_end(state, ledger, summary, plan, rows, complete=done and error is None)
    if done:
        ledger.release()
    else:
        ledger.let_go()
    return RunResult(summary, watermarks, rejected, error, (), unsettled, advice(rejected, summary.rows_read))


@dataclass(frozen=True, slots=True)
class _Work:
    """What is delivered, and by whom it is recorded.

    Shape:  counted: the windows whose calls are counted for the progress; None where somebody else counts.
    """

    ledger: Ledger
    intake: Intake
    loads: Generator[Load, None, None]
    counted: Mapping[Stream, Window] | None = None


def _deliver(site: Site, work: _Work, interrupt: Interrupt, listen: Listener, *, parts: int = 1) -> DeliveryReport:
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


def _record_end(
    state: State, ledger: Ledger, summary: RunSummary, plan: ShardedPlan, rows: Mapping[Stream, int], *, complete: bool
) -> dict[Stream, datetime | None]:
    """Record counts, watermarks and the end of the run."""
    watermarks = {}
    with ledger.transaction() as connection:
        for stream, window in plan.windows.items():
            high_at = next_watermark(state.read_coverage(stream), window, plan.newest.get(stream), complete=complete)
            watermarks[stream] = high_at
            state.record_watermark(connection, ledger.run_id, stream, window, high_at, rows.get(stream, 0))
        state.record_finish(connection, summary)
    return watermarks


def _acquire_patiently(ledger: Ledger, interrupt: Interrupt) -> bool:
    """Wait until an earlier attempt has given its lease back or lost it; tells whether it is ours now."""
    while not interrupt.requested:
        with suppress(LeaseHeldError):
            ledger.acquire()
            return True
        time.sleep(_POLL_S)
    return False


def _verb(request: Request) -> str:
    if request.only is None:
        return ""
    return {Status.REJECTED: "revalidate", Status.IN_DOUBT: "resend"}.get(request.only.status, "retry")


def _run_status(error: RehookSyncError | None, unsettled: Mapping[Status, int], *, interrupted: bool) -> RunStatus:
    if interrupted:
        return RunStatus.INTERRUPTED
    if error is not None:
        return RunStatus.STOPPED
    return RunStatus.ATTENTION if any(unsettled.values()) else RunStatus.SUCCEEDED
