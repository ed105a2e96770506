"""Work on the sync-state tables that sends nothing: accepting calls in doubt, pruning old detail, forgetting a person.

Each is a run of its own in `sync_runs`, under the same lease as all others.
"""

from collections.abc import Callable, Iterable
from datetime import datetime

from rehook_sync.errors import UsageError
from rehook_sync.jobs.audit import UNJUDGED, audit_feed
from rehook_sync.jobs.context import JobContext
from rehook_sync.jobs.results import RunOptions
from rehook_sync.models import RunKind, RunStatus, RunSummary, Status, Window
from rehook_sync.rules.periods import Period
from rehook_sync.runtime import Interrupt
from rehook_sync.state.ledger import Ledger
from rehook_sync.state.periods import Periods
from rehook_sync.state.person import Person, Traces
from rehook_sync.state.state import RunStart, State
from rehook_sync.warehouse.names import listed

__all__ = ["abandon", "accept_doubtful", "check_forgettable", "count_unjudged", "forget", "prune", "require_doubtful"]

_PAGE = 2000
_PAGES_PER_RENEWAL = 100
"""Pages without a finding that are read before the lease is renewed."""
_NAMED = 5


def require_doubtful(state: State, ids: Iterable[str] | None) -> None:
    """Refuse ids that are neither a call in doubt nor a user who has one. Raises UsageError naming them."""
    wrong = [] if ids is None else state.read_not_doubtful(ids)
    if wrong:
        named = listed([repr(each) for each in wrong], _NAMED, " ids")
        verb = "is" if len(wrong) == 1 else "are"
        raise UsageError(f"{named} {verb} not in doubt, and no user with a call in doubt; nothing was done: see `status` and `explain ID`")


def count_unjudged(context: JobContext, options: RunOptions) -> list[tuple[Period, int | None]]:
    """Return the open periods of the feeds, each with the number of its calls that no run has judged.

    That is None for a refresh, which judges none, and for what is not read: a source or stream that the settings do not name,
    a table that is not there.
    """
    found: list[tuple[Period, int | None]] = []
    feeds = context.feeds(RunOptions())
    for period in Periods(context.database).read_open(kinds=RunKind):
        if options.stream not in {None, period.feed.stream} or options.source not in {None, period.feed.source}:
            continue
        if period.kind is RunKind.REFRESH or period.feed not in feeds:
            found.append((period, None))
            continue
        window = Window(period.since, period.until)
        audit = audit_feed(context, period.feed, window)
        found.append((period, sum(audit.count(kind) for kind in UNJUDGED)))
    return found


def abandon(context: JobContext, ledger: Ledger, options: RunOptions) -> list[tuple[Period, int | None]]:
    """Give up the open periods of the streams; return what `count_unjudged` does. The ledger holds the lease."""
    found = count_unjudged(context, options)
    with ledger.transaction() as connection:
        context.state.record_start(connection, ledger.run_id, RunStart(RunKind.RUN, options.trigger))
        Periods(context.database).close(connection, [period for period, _ in found], ledger.run_id, done=False)
        context.state.record_finish(connection, RunSummary(ledger.run_id, RunStatus.SUCCEEDED))
    return found


def accept_doubtful(state: State, ledger: Ledger, ids: Iterable[str] | None) -> RunSummary:
    """Settle calls in doubt as sent: all, or those of these message or user ids. The ledger holds the lease.

    Raises: UsageError as `require_doubtful`.
    """
    require_doubtful(state, ids)
    with ledger.transaction() as connection:
        state.record_start(connection, ledger.run_id, RunStart(RunKind.ACCEPT))
        accepted = state.accept_doubtful(connection, ledger.run_id, ids)
        summary = RunSummary(ledger.run_id, RunStatus.SUCCEEDED, accepted, sent=accepted)
        state.record_finish(connection, summary)
    return summary


def prune(state: State, ledger: Ledger, before: datetime, interrupt: Interrupt, listen: Callable[[int], None]) -> int:
    """Remove the detail of calls settled before a time; return how many. The ledger holds the lease.

    Each page is a transaction, so an interrupt loses no work. Keys and statuses stay, so nothing is sent again.
    """
    with ledger.transaction() as connection:
        state.record_start(connection, ledger.run_id, RunStart(RunKind.PRUNE, until=before))
    pruned, last = 0, ("", "")
    while not interrupt.requested:
        with ledger.transaction() as connection:
            page = state.prune_page(connection, before, last, _PAGE)
        pruned += len(page)
        listen(pruned)
        if len(page) < _PAGE:
            break
        last = max(page)
    status = RunStatus.INTERRUPTED if interrupt.requested else RunStatus.SUCCEEDED
    with ledger.transaction() as connection:
        state.record_finish(connection, RunSummary(ledger.run_id, status))
    return pruned


def check_forgettable(user_id: str, traces: Traces, *, give_up: bool) -> None:
    """Refuse to forget a person with unsettled calls; with `give_up`, failed and waiting ones are allowed.

    Raises: UsageError, with the commands that settle them.
    """
    left = {status: calls for status, calls in traces.unsettled.items() if not (give_up and status in {Status.FAILED, Status.WAITING})}
    if not left:
        return
    what = " and ".join(f"{calls} {status.replace('_', ' ')}" for status, calls in left.items())
    ways = {
        Status.FAILED: "`retry` sends failed ones, `forget --give-up` settles them as rejected without sending",
        Status.WAITING: "a run sends waiting ones once their properties are loaded, `forget --give-up` rejects them",
        Status.IN_DOUBT: "`resolve --accept` with this user id settles those in doubt as sent",
        Status.SENDING: "a run is at work on it, or died: run again first",
    }
    advice = "; ".join(ways[status] for status in left)
    raise UsageError(f"user {user_id} has calls that are not settled ({what}), nothing was forgotten: {advice}")


def forget(person: Person, state: State, ledger: Ledger, interrupt: Interrupt, *, give_up: bool) -> Traces:
    """Remove a person from the sync-state tables; return what was known before. The ledger holds the lease.

    Each page is a transaction. The customer record goes last: while it is there, another `forget` finds what is left.
    Keys, statuses, reasons and times stay, so no old call is sent again.
    Raises: UsageError when calls of the person are not settled.
    """
    traces = person.find()
    check_forgettable(person.user_id, traces, give_up=give_up)
    with ledger.transaction() as connection:
        state.record_start(connection, ledger.run_id, RunStart(RunKind.FORGET))
        given_up = person.give_up_unsent(connection, ledger.run_id)
    for number, notes in enumerate(person.read_notes(traces.codes)):
        if interrupt.requested:
            break
        if notes or number % _PAGES_PER_RENEWAL == 0:
            with ledger.transaction() as connection:
                person.write_notes(connection, notes)
    more = True
    while more and not interrupt.requested:
        with ledger.transaction() as connection:
            more = person.forget_page(connection, _PAGE) == _PAGE
    status = RunStatus.INTERRUPTED if interrupt.requested else RunStatus.SUCCEEDED
    with ledger.transaction() as connection:
        if status is RunStatus.SUCCEEDED:
            person.forget_customer(connection)
        state.record_finish(connection, RunSummary(ledger.run_id, status, given_up, rejected=given_up))
    return traces
