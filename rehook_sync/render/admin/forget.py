"""What `forget` removed and what stays: a document for programs, lines for people."""

from collections.abc import Iterator

from rich.console import RenderableType

from rehook_sync.models import Status
from rehook_sync.render.text import sentence
from rehook_sync.state.person import Traces

__all__ = ["forget_document", "forget_view"]


def forget_document(user_id: str, traces: Traces, *, give_up: bool, dry_run: bool, interrupted: bool) -> dict[str, object]:
    """Return what was known of a person. All of it is gone, unless dry run or interrupted."""
    return {
        "user_id": user_id,
        "known": bool(traces),
        "calls": sum(traces.calls.values()),
        "calls_by_status": dict(traces.calls),
        "given_up": traces.calls.get(Status.FAILED, 0) if give_up else 0,
        "customer": traces.is_customer,
        "referral_codes": list(traces.codes),
        "mentions": traces.mentions,
        "run_errors": traces.errors,
        "dry_run": dry_run,
        "interrupted": interrupted,
    }


def forget_view(user_id: str, traces: Traces, *, dry_run: bool, interrupted: bool) -> Iterator[RenderableType]:
    """Yield what was removed, what stays, and what must be removed elsewhere."""
    if not traces:
        yield sentence(f"nothing is known about user {user_id}: no call of theirs was judged, or they were forgotten or pruned before")
        return
    calls = sum(traces.calls.values())
    parts = [f"user id and hashes (calls: {calls:,})"] if calls else []
    parts += ["the customer record"] if traces.is_customer else []
    parts += [f"the name in details (others' calls: {traces.mentions:,})"] if traces.mentions else []
    parts += [f"the name in errors (runs: {traces.errors:,})"] if traces.errors else []
    if interrupted:
        yield sentence(f"interrupted while forgetting user {user_id}: run it again, it goes on where it was", style="yellow")
        return
    yield sentence(("would forget" if dry_run else "forgot", "bold"), f" user {user_id}: {', '.join(parts)}")
    if failed := traces.calls.get(Status.FAILED):
        yield sentence(f"{failed:,} failed calls {'would be' if dry_run else 'were'} given up: rejected, and never sent", style="yellow")
    yield sentence("stays: message ids, events, statuses, reasons and times; so counts hold and no old call is sent again")
    for code in traces.codes:
        yield sentence(f"referral code {code} is free here: the next Identify call that carries it takes it, if Rehook agrees")
    yield sentence("not done here: the warehouse and Rehook keep what they hold; new calls of this user are sent like any others")
