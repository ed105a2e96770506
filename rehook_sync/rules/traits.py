"""What customers have of each trait, and what an Identify request still brings. Pure.

A call can be found after newer ones were sent. Then it brings only the traits that no newer call carried, so that in the end
each trait has the value of the newest call that carried it, whatever the order in which calls were found.
"""

from collections.abc import Collection, Mapping
from datetime import datetime

import orjson

from rehook_sync.models import Moment, Operation, Traits
from rehook_sync.rules.bodies import without_traits
from rehook_sync.rules.hashes import earlier_hashes
from rehook_sync.times import FIRST_MOMENT

__all__ = [
    "CODE",
    "after_doubt",
    "after_elsewhere",
    "after_sending",
    "after_skipping",
    "find_news",
    "find_present",
    "is_superseded",
    "moment_of",
]

CODE = "referral_code"
"""The trait that takes a referral code."""
_UNKNOWN = ""
"""Stands for the hash of a value that is not known. No hash is like it."""


def moment_of(message_id: str, occurred_at: datetime | None, received_at: datetime | None) -> Moment:
    """Return the place of a call among all of its user, which is also its place among all rows that are read."""
    return occurred_at or received_at or FIRST_MOMENT, message_id


def find_news(operation: Operation, known: Traits | None) -> Operation | None:
    """Return what is sent of an Identify request: without the traits that newer calls carried; None if nothing is new.

    known: what the customer has; None when unknown.
    """
    if known is None:
        return operation
    own = _traits_of(operation)
    stale = _find_stale(own, known)
    changed = [key for key, (value, _) in own.items() if key not in stale and (key not in known or known[key][0] != value)]
    if not changed or _had_earlier_form(operation, changed, known):
        return None
    return without_traits(operation, stale) if stale else operation


def find_present(
    operation: Operation, moments: Mapping[str, Moment], known: Traits | None, left_out: Collection[str]
) -> tuple[Operation, Traits]:
    """Return a request for a customer's present traits, without those of which a newer call is known, and what the customer then has.

    Shape:  moments: trait -> the call that carried it.  left_out: traits that are not sent either.
    """
    own: Traits = {key: (value, moments.get(key)) for key, value in operation.trait_hashes.items()}
    stale = {*_find_stale(own, known or {}), *left_out} & own.keys()
    traits = {**(known or {}), **{key: trait for key, trait in own.items() if key not in stale}}
    return without_traits(operation, stale) if stale else operation, traits


def is_superseded(operation: Operation, known: Traits | None) -> bool:
    """Tell whether an Identify request that holds nothing new would change a trait that a newer call has set."""
    own = _traits_of(operation)
    return known is not None and any(known[key][0] != own[key][0] for key in _find_stale(own, known))


def after_sending(operation: Operation, known: Traits | None) -> Traits:
    """Return what a customer has once Rehook accepted a request."""
    return {**known, **_traits_of(operation)} if known else _traits_of(operation)


def after_skipping(operation: Operation, known: Traits | None) -> Traits | None:
    """Return what a customer has once a request was skipped: the same values, some carried by a newer call. None for no change."""
    if known is None:
        return None
    own = _traits_of(operation)
    newer = {key: (known[key][0], at) for key, (_, at) in own.items() if key in known and _is_older(known[key][1], at)}
    return {**known, **newer} if newer else None


def after_doubt(operation: Operation, known: Traits | None) -> Traits | None:
    """Return what a customer is known to have when nobody knows whether a request arrived: of its traits, no value."""
    return known and {key: (_UNKNOWN if key in operation.trait_hashes else value, at) for key, (value, at) in known.items()}


def after_elsewhere(operation: Operation, known: Traits | None) -> Traits:
    """Return what a customer has once an Identify call was settled elsewhere: of its traits that are not older, no known value."""
    own, known = _traits_of(operation), known or {}
    stale = _find_stale(own, known)
    return {**known, **{key: (_UNKNOWN, at) for key, (_, at) in own.items() if key not in stale}}


def _traits_of(operation: Operation) -> dict[str, tuple[str, Moment | None]]:
    """Return the traits of an Identify request, each with the newest of its calls that carried it."""
    if not operation.parts:
        call = operation.call
        at = moment_of(call.message_id, call.occurred_at, call.received_at)
        return {key: (value, at) for key, value in operation.trait_hashes.items()}
    found: dict[str, tuple[str, Moment | None]] = {}
    for part in operation.parts:
        found.update(_traits_of(part))
    return {key: found[key] for key in operation.trait_hashes}


def _find_stale(own: Traits, known: Traits) -> Collection[str]:
    return {key for key, (_, at) in own.items() if key in known and _is_older(at, known[key][1])}


def _is_older(left: Moment | None, right: Moment | None) -> bool:
    """Tell whether one call is older than another. Earlier versions kept no moments: what they recorded is older than any call."""
    return right is not None and (left is None or left < right)


def _had_earlier_form(operation: Operation, changed: Collection[str], known: Traits) -> bool:
    """Tell whether the customer has all these traits as earlier versions wrote them."""
    if not known.keys() >= set(changed):
        return False
    metadata = orjson.loads(operation.body)["metadata"]
    return all(known[key][0] in earlier_hashes(operation.user_id, key, metadata[key]) for key in changed)
