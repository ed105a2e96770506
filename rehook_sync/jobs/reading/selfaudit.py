"""What a run that got through says of the lookback: how many rows the warehouse has there, and how many of them no run has judged.

It costs little beside the run itself. Hours that look as when all in them was settled were compared already, by a hash over their ids:
their rows are only counted. The hours that were read are compared like `audit` does, where the warehouse can do that by itself.
"""

from collections.abc import Mapping

from rehook_sync.errors import RehookSyncError
from rehook_sync.jobs.audit import audit_feed
from rehook_sync.jobs.context import JobContext
from rehook_sync.jobs.reading.lookback import Looked
from rehook_sync.jobs.results import RunAudit
from rehook_sync.models import Window
from rehook_sync.rules.periods import Feed
from rehook_sync.times import FIRST_MOMENT

__all__ = ["audit_run"]


def audit_run(context: JobContext, windows: Mapping[Feed, Window], looked: Mapping[Feed, Looked]) -> RunAudit | None:
    """Return the audit of a run that got through its windows, None where it would cost too much or nothing was read.

    Shape:  looked: of the feeds whose hours were looked at.  Writes nothing and raises nothing: the run is over.
    """
    asked = {feed: window for feed, window in windows.items() if feed in looked or context.known_in is not None}
    if not asked or len(asked) < len(windows):
        return None
    first, lookback = min(window.high for window in asked.values()), context.settings.lookback
    since = first - lookback if first - FIRST_MOMENT > lookback else FIRST_MOMENT
    rows = missing = 0
    try:
        for feed, window in asked.items():
            counted: tuple[Window, ...] = (Window(since if window.low is None else max(window.low, since), window.high),)
            compared: tuple[Window, ...] = ()
            if feed in looked:
                rows, counted = rows + looked[feed].rows, looked[feed].untold
                compared = tuple(each for each in looked[feed].windows if each not in counted)
            for part in (*counted, *compared):
                found = audit_feed(context, feed, part)
                rows += found.rows if part in counted else 0
                missing += found.count("missing")
    except RehookSyncError:
        return None
    return RunAudit(since, max(window.high for window in asked.values()), rows, missing)
