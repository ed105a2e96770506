"""The periods that runs were asked for, in the sync-state tables."""

from collections.abc import Iterable

from sqlalchemy import Connection

from rehook_sync.database.engine import Database
from rehook_sync.database.queries import Statements
from rehook_sync.models import Stream
from rehook_sync.rules.periods import Period
from rehook_sync.times import to_time

__all__ = ["Periods"]


class Periods:
    """The periods recorded in one database. Writing takes the connection of a transaction that holds the lease."""

    def __init__(self, database: Database) -> None:
        """Wrap a database that `migrations.require_version` accepted."""
        self._database = database
        self._sql = Statements("state", database.engine.dialect)

    def read_open(self, streams: Iterable[Stream] = tuple(Stream)) -> list[Period]:
        """Return the periods of these streams that are not done, in the order in which they were asked for."""
        with self._database.connect() as connection:
            rows = connection.execute(self._sql["read_open_periods"]).all()
        found = [
            Period(row.period_id, Stream(row.stream), to_time(row.since_at), until, row.opened_by, bool(row.has_end))
            for row in rows
            if (until := to_time(row.until_at)) is not None
        ]
        return [each for each in found if each.stream in streams]

    def open(self, connection: Connection, periods: Iterable[Period], source: str) -> None:
        """Record periods that a run was asked for. `source`: the schema they are of."""
        stored = self._database.as_stored
        for each in periods:
            values = {"period_id": each.period_id, "source": source, "stream": each.stream, "opened_by": each.opened_by}
            bounds = {"since_at": stored(each.since), "until_at": stored(each.until)}
            connection.execute(self._sql["open_period"], {**values, **bounds})

    def close(self, connection: Connection, periods: Iterable[Period], run_id: str, *, done: bool) -> None:
        """Record that periods are done, or given up."""
        for each in periods:
            connection.execute(self._sql["close_period"], {"period_id": each.period_id, "run_id": run_id, "done": done})
