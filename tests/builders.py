"""Source rows for tests: `identify("m1", "ada", plan="pro")`.

`warehouse` builds the rows of tables; these are the same calls as the job has read them, with the same arguments.
"""

from datetime import datetime

from warehouse import NOON

from rehook_sync.models import SourceRow, Stream

__all__ = ["identify", "track"]


def identify(
    message_id: str, user_id: str | None, /, when: datetime | None = NOON, *, anonymous_id: str | None = None, **traits: object
) -> SourceRow:
    """An Identify call."""
    return SourceRow(Stream.IDENTIFIES, message_id, user_id, anonymous_id, None, None, when, when, traits)


def track(
    message_id: str, user_id: str | None, name: str | None = "Order Completed", /, when: datetime | None = NOON, **properties: object
) -> SourceRow:
    """A Track call; the slug follows from the name. A property may be called `name`."""
    slug = name and name.lower().replace(" ", "_")
    return SourceRow(Stream.TRACKS, message_id, user_id, None, name, slug, when, when, properties)
