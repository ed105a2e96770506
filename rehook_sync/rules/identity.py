"""Which calls with one message id are the same call, and what to count of those that are not. Pure."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Protocol

from rehook_sync.models import Call, SourceRow
from rehook_sync.values import storable_text

__all__ = ["SharedIds", "is_other_call"]


class Identity(Protocol):
    """What tells calls with the same message id apart, in a row or in a record.

    A record without a user id may be of any user, and without an event, too, of any event: `prune` has emptied it.
    """

    @property
    def source(self) -> str:
        """Return the name of the source."""

    @property
    def user_id(self) -> str | None:
        """Return the user id."""

    @property
    def event(self) -> str | None:
        """Return the name of the event, None for identifies."""


def is_other_call(row: Identity, recorded: Identity) -> bool:
    """Tell whether a row is another call than the one that has its message id: of another source, with another user or event."""
    if row.source == recorded.source:
        return False
    if recorded.user_id is None:
        return recorded.event is not None and _differ(row.event, recorded.event)
    return _differ(row.event, recorded.event) or _differ(row.user_id, recorded.user_id)


def _differ(one: str | None, other: str | None) -> bool:
    return (None if one is None else storable_text(one)) != (None if other is None else storable_text(other))


@dataclass(slots=True)
class SharedIds:
    """Calls that cannot be recorded, since another call of another source has their message id.

    Shape:  calls: the source, and the one that has the ids, as text -> how many.  example: the first such id.
    """

    calls: Counter[str] = field(default_factory=Counter)
    example: str = ""

    def note(self, row: SourceRow | Call, first: Identity | None) -> bool:
        """Tell whether a row is another call than the first one with its message id, and count it then."""
        if first is None or not is_other_call(row, first):
            return False
        self.calls[f"{row.source!r} (ids of {first.source!r})"] += 1
        self.example = self.example or row.message_id
        return True
