"""The periods that runs were asked for, in the sync-state tables."""

from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager, nullcontext

from sqlalchemy import Connection

from rehook_sync.database.engine import Database
from rehook_sync.database.queries import Statements
from rehook_sync.models import RunKind, Stream
from rehook_sync.rules.periods import Feed, Period
from rehook_sync.state.ledger import Ledger
from rehook_sync.state.publication.changes import Changes
from rehook_sync.state.state import RunStart, State
from rehook_sync.times import to_time
from rehook_sync.values import storable_json

__all__ = ["ASKED", "Periods", "begun"]

ASKED = (RunKind.RUN, RunKind.BASELINE)
"""The kinds of runs that are asked for the calls of a period."""


class Periods:
    """The periods recorded in one database. Writing takes the connection of a transaction that holds the lease."""

    def __init__(self, database: Database) -> None:
        """Wrap a database that `migrations.require_version` accepted."""
        self._database = database
        self._sql = Statements("state", database.engine.dialect)

    def read_open(
        self, feeds: Collection[Feed] | None = None, kinds: Iterable[RunKind] = ASKED, connection: Connection | None = None
    ) -> list[Period]:
        """Return the periods of these feeds, or of all, that are not done, in the order in which they were asked for.

        kinds: what the runs that were asked for them are for.  connection: one that is open; None: one of its own.
        """
        with nullcontext(connection) if connection is not None else self._database.connect() as reading:
            rows = reading.execute(self._sql["read_open_periods"], {"kinds": storable_json(list(kinds))}).all()
        found = []
        for row in rows:
            feed, until = Feed(row.source, Stream(row.stream)), to_time(row.until_at)
            if until is not None and (feeds is None or feed in feeds):
                bounds = to_time(row.since_at), until
                found.append(Period(row.period_id, feed, *bounds, row.opened_by, bool(row.has_end), RunKind(row.kind)))
        return found

    def open(self, connection: Connection, periods: Iterable[Period]) -> None:
        """Record periods that a run was asked for."""
        stored = self._database.as_stored
        for each in periods:
            values = {"period_id": each.period_id, **each.feed._asdict(), "opened_by": each.opened_by}
            bounds = {"since_at": stored(each.since), "until_at": stored(each.until)}
            connection.execute(self._sql["open_period"], {**values, **bounds})

    def close(self, connection: Connection, periods: Iterable[Period], run_id: str, *, done: bool) -> None:
        """Record that periods are done, or given up."""
        periods = list(periods)
        for each in periods:
            connection.execute(self._sql["close_period"], {"period_id": each.period_id, "run_id": run_id, "done": done})
        Changes(self._sql).note_summaries(connection, (each.opened_by for each in periods))

    def take_back(self, connection: Connection, run_id: str) -> None:
        """Remove the record of a run that has begun and done nothing, and of the periods that it was asked for."""
        for name in ("remove_periods", "remove_run"):
            connection.execute(self._sql[name], {"run_id": run_id})


@contextmanager
def begun(state: State, ledger: Ledger, start: RunStart, asked: Iterable[Period]) -> Iterator[Connection]:
    """Record in one transaction that a run has begun, the periods it was asked for, and what the caller adds."""
    with ledger.transaction() as connection:
        state.record_start(connection, ledger.run_id, start)
        Periods(state.database).open(connection, asked)
        yield connection
