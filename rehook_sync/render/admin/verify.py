"""What a comparison with Rehook looks like: a document for programs, lines for people."""

from collections.abc import Iterator
from dataclasses import asdict

from rich.console import RenderableType

from rehook_sync.admin.verify import Difference, Kind, Verification
from rehook_sync.render.advice import Shell
from rehook_sync.render.text import counted, line

__all__ = ["asked_view", "verification_document", "verification_view"]

_SHOWN = 20


def verification_document(found: Verification, shell: Shell) -> dict[str, object]:
    """Return what was asked and where the two sides disagree."""
    return {
        "agrees": found.agrees,
        "customers": found.customers,
        "codes": found.codes,
        "differences": [{**asdict(each), "next": _mend(each, shell)} for each in found.differences],
        "unsent": [{"user_id": user_id, "at_rehook": there} for user_id, there in found.unsent.items()],
        "interrupted": found.interrupted,
    }


def verification_view(found: Verification, shell: Shell) -> Iterator[RenderableType]:
    """Yield how many agree, then each that does not, with what mends it."""
    asked = f"{counted(found.customers, 'customer')} and {counted(found.codes, 'referral code')} asked for"
    if found.agrees:
        yield line(("both sides agree", "bold green"))
    else:
        things = f"{'1 thing' if len(found.differences) == 1 else f'{len(found.differences):,} things'}"
        yield line((f"the two sides disagree in {things}", "bold red"))
    yield line(f"{asked}; nothing was written")
    for each in found.differences[:_SHOWN]:
        yield line("  ", (each.user_id, "bold"), f"  {_what(each)}")
    if (left := len(found.differences) - _SHOWN) > 0:
        yield line(f"  and {left:,} more: see --json")
    for command in dict.fromkeys(_mend(each, shell) for each in found.differences[:_SHOWN]):
        yield line(("next  ", "dim"), command)
    for user_id, there in found.unsent.items():
        yield line(f"{user_id}: never sent by these tables; Rehook {'has' if there else 'does not have'} such a customer")
    if found.interrupted:
        yield line("interrupted: the rest was not asked for", style="yellow")


def asked_view(found: Verification) -> Iterator[RenderableType]:
    """Yield Rehook's side of one user's story."""
    yield line(("Rehook was asked", "dim"))
    for each in found.differences:
        yield line(f"  {_what(each)}", style="bold red")
    if found.agrees and found.customers:
        yield line(f"  it has the customer{' and the code' if found.codes else ''}, as is recorded here")
    for there in found.unsent.values():
        yield line(f"  it {'has' if there else 'does not have'} this customer, to whom nothing was sent from here")


def _what(each: Difference) -> str:
    return {
        Kind.NO_CUSTOMER: "was sent, and Rehook has no such customer",
        Kind.ANOTHER_CUSTOMER: f"Rehook answers with another customer, {each.other}",
        Kind.NO_CODE: f"its code {each.code} was accepted, and Rehook knows no owner of it",
        Kind.ANOTHER_OWNER: f"its code {each.code} was accepted, and at Rehook {each.other} owns it",
    }[each.kind]


def _mend(each: Difference, shell: Shell) -> str:
    """Return the command that mends a difference: what these tables know is sent again, or two people are looked at."""
    if each.kind in {Kind.NO_CUSTOMER, Kind.NO_CODE}:
        return shell("refresh")
    return shell("explain", "--ask", ids=(each.other or each.user_id,))
