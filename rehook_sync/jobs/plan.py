"""What a run would do: the same rows, rules and bodies, with nothing sent and nothing written."""

from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

from rehook_sync.jobs.context import JobContext, read_change_notes, require_no_baseline, require_same
from rehook_sync.jobs.pipeline import Pipeline
from rehook_sync.jobs.reading.bounds import plan_bounds
from rehook_sync.jobs.reading.lookback import Lookback
from rehook_sync.jobs.results import Plan, RunOptions, group_periods, period_text
from rehook_sync.jobs.run import discover, read_notes
from rehook_sync.models import Claim, Operation, Traits
from rehook_sync.rules.periods import RunBounds
from rehook_sync.rules.traits import after_sending, after_skipping, find_news
from rehook_sync.state.destination import Destinations
from rehook_sync.state.ledger import Ledger

__all__ = ["PlannedClaims", "plan_run"]

_Result = TypeVar("_Result")


def plan_run(context: JobContext, options: RunOptions, samples: int) -> Plan:
    """Return what a run would do, with at most `samples` request bodies."""
    require_same(context.settings, Destinations(context.database).read())
    discover(context, options)
    require_no_baseline(context, options)
    bounds = RunBounds({}, {}) if options.only else plan_bounds(context, options, "plan")
    ledger = context.ledger("plan")
    lookback = Lookback(context.sources, context.state, context.known_in, bounds)
    pipeline = Pipeline(context.sources, context.state, PlannedClaims(ledger), context.pipeline_config("plan", options), lookback)
    plan = Plan({feed: bounds.reached(feed) for feed in bounds.windows})
    known: dict[str, Traits | None] = {}
    for chunk in pipeline.read_chunks(bounds.windows, context.feeds(options), bounds.parts()):
        users = {operation.user_id for operation in chunk.operations if operation.stream.is_identify} - known.keys()
        known.update(dict.fromkeys(users) | ledger.read_customers(users))
        decided = [call for each in chunk.operations for call in each.calls] + [each.call for each in chunk.outcomes]
        plan.retried.update(call.previous.status for call in decided if call.previous is not None)
        for operation in chunk.operations:
            _plan_operation(plan, operation, known, sample=len(plan.samples) < samples, changes_only=context.changes_only)
    found = pipeline.findings
    found.views = context.sources.views_read
    plan.rejected.update(found.rejected)
    plan.actions["rejected"] = found.rejected.total()
    plan.actions["waiting"] = found.waiting.total()
    plan.rows = pipeline.rows.total()
    plan.notes.extend(read_change_notes(context))
    named = len(context.sources) > 1
    continued = [each for each in bounds.continued if each.feed in bounds.windows]
    for group in group_periods(continued, named=named):
        plan.notes.append(f"goes on with {period_text(*group, named=named)}, which run {group[0].opened_by} was asked for")
    plan.notes.extend(read_notes(context, found, plan.rows, None, None if options.only else bounds.windows))
    plan.scanned = context.sources.reader.meter.scanned
    return plan


class PlannedClaims:
    """A claim desk for a plan: keeps claims in memory and writes nothing."""

    def __init__(self, ledger: Ledger) -> None:
        """Look customers and codes up in a ledger, which need not hold the lease."""
        self.read_customers = ledger.read_customers
        self._read_codes = ledger.read_codes
        self._planned: dict[str, str] = {}
        self._owners: dict[str, str] = {}

    def claim(
        self,
        user_ids: Sequence[str],
        codes: Sequence[str],
        judge: Callable[[dict[str, str], dict[str, str]], tuple[_Result, Iterable[Claim]]],
    ) -> _Result:
        """Judge claims against the sync-state and the claims planned so far."""
        stored = self._read_codes(user_ids, codes)
        owned = {user_id: code for user_id, code in stored.items() if user_id not in self._planned}
        concerned = {*user_ids, *(self._owners[code] for code in codes if code in self._owners)}
        owned.update((user_id, self._planned[user_id]) for user_id in concerned if user_id in self._planned)
        result, claims = judge(owned, {})
        for claim in claims:
            if self._owners.get(claim.replaces or "") == claim.user_id:
                del self._owners[claim.replaces or ""]
            self._planned[claim.user_id] = claim.code
            self._owners[claim.code] = claim.user_id
        return result


def _plan_operation(plan: Plan, operation: Operation, known: dict[str, Traits | None], *, sample: bool, changes_only: bool) -> None:
    user_id = operation.user_id
    news: Operation | None = operation
    if not operation.stream.is_identify:
        plan.actions["events"] += 1
    elif changes_only and (news := find_news(operation, known.get(user_id))) is None:
        known[user_id] = after_skipping(operation, known.get(user_id)) or known.get(user_id)
        plan.actions["unchanged"] += len(operation.calls)
    else:
        known[user_id] = after_sending(news or operation, known.get(user_id))
        plan.actions["customer upserts"] += 1
        plan.actions["merged"] += len(operation.calls) - 1
    if sample and news is not None:
        plan.samples.append(news.body.decode())
