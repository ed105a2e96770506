"""What a run says of the copy for analysts, which it brings up to date at its end."""

from rehook_sync.runtime import Interrupt
from rehook_sync.settings import Settings
from rehook_sync.state.ledger import Ledger

__all__ = ["publish_notes"]


def publish_notes(settings: Settings, ledger: Ledger, interrupt: Interrupt) -> list[str]:
    """Bring the copy up to date, if there is to be one. The ledger holds the lease. Returns notes for the user."""
    if settings.publish_schema is None or interrupt.requested:
        return []
    from rehook_sync.publish.job import note_publication  # noqa: PLC0415 - loads what only a copy needs

    return note_publication(settings, ledger, interrupt)
