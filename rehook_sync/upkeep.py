"""Work on the sync-state tables that sends nothing: accepting what is in doubt, pruning old detail.

Each is a run of its own in `sync_runs`, under the same lease as all others.
"""

from collections.abc import Callable, Iterable
from datetime import datetime

from rehook_sync.interrupt import Interrupt
from rehook_sync.ledger import Ledger
from rehook_sync.records import RunStatus, RunSummary, Trigger
from rehook_sync.state import State

__all__ = ["accept_doubtful", "prune"]

_PAGE = 2000


def accept_doubtful(state: State, ledger: Ledger, ids: Iterable[str] | None) -> RunSummary:
    """Take calls in doubt as arrived, of these message or user ids, or all. The ledger holds the lease."""
    with ledger.transaction() as connection:
        state.record_start(connection, ledger.run_id, Trigger.CLI, None, None)
        accepted = state.accept_doubtful(connection, ledger.run_id, ids)
        summary = RunSummary(ledger.run_id, RunStatus.SUCCEEDED, accepted, sent=accepted)
        state.record_finish(connection, summary)
    return summary


def prune(state: State, ledger: Ledger, before: datetime, interrupt: Interrupt, listen: Callable[[int], None]) -> int:
    """Take the detail out of calls settled before a time; returns how many. The ledger holds the lease.

    It goes page by page, each a transaction of its own: whenever it ends, what is done is done. Keys and statuses
    stay, so that nothing is ever sent again for it.
    """
    with ledger.transaction() as connection:
        state.record_start(connection, ledger.run_id, Trigger.CLI, None, before)
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
