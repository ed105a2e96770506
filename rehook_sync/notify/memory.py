"""What people were told of: the memory by which they get one message per state, not per run.

No lease is needed: a run that has ended writes here, and two that write the same at once do no harm.
"""

from datetime import datetime, timedelta

from rehook_sync.database.engine import Database
from rehook_sync.database.queries import Statements
from rehook_sync.times import to_time

__all__ = ["Notices"]

_SHARE_OF = timedelta(days=1)
"""The runs of so long tell how much is rejected: that of one run says little."""


class Notices:
    """Reads and writes `sync_notices`."""

    def __init__(self, database: Database) -> None:
        """Wrap a database that `migrations.require_version` accepted."""
        self._database = database
        self._sql = Statements("state", database.engine.dialect)

    def read(self) -> dict[str, datetime | None]:
        """Return the states that people know of -> when they were told."""
        with self._database.connect() as connection:
            return {row.state: to_time(row.told_at) for row in connection.execute(self._sql["read_notices"])}

    def record(self, state: str, run_id: str | None) -> None:
        """Record that people were told of a state."""
        with self._database.transaction() as connection:
            connection.execute(self._sql["record_notice"], {"state": state, "run_id": run_id})

    def drop(self, state: str) -> None:
        """Record that people were told that a state is over."""
        with self._database.transaction() as connection:
            connection.execute(self._sql["drop_notice"], {"state": state})

    def count(self, now: datetime) -> tuple[int, int, int]:
        """Return the calls that wait, and for the runs of the last day their rows and how many of these they rejected."""
        with self._database.connect() as connection:
            row = connection.execute(self._sql["count_for_notices"], {"since": self._database.as_stored(now - _SHARE_OF)}).one()
        return int(row.waiting), int(row.rows_read), int(row.rejected)
