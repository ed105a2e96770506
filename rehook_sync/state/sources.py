"""What the sync-state tables hold of each source: its calls, and how its hours looked when all in them was settled."""

from collections import Counter
from collections.abc import Collection
from datetime import datetime, timedelta

from sqlalchemy import Connection

from rehook_sync.database.engine import Database
from rehook_sync.database.queries import Statements
from rehook_sync.models import Stream, Stretch
from rehook_sync.rules.periods import Feed, RunBounds
from rehook_sync.times import FIRST_MOMENT, to_time
from rehook_sync.values import storable_json, storable_text

__all__ = ["KnownSources", "Stretches"]

_MARGIN = timedelta(hours=1)
"""A window may begin within a stretch."""


class KnownSources:
    """The sources that one database knows."""

    def __init__(self, database: Database) -> None:
        """Wrap a database that `migrations.require_version` accepted."""
        self._database = database
        self._sql = Statements("state", database.engine.dialect)

    def read_feeds(self) -> list[Feed]:
        """Return the feeds that some run has got through, or was asked for a period of."""
        with self._database.connect() as connection:
            return [Feed(row.source, Stream(row.stream)) for row in connection.execute(self._sql["read_feeds"])]

    def read_names(self) -> list[str]:
        """Return the sources of `read_feeds`."""
        return sorted({feed.source for feed in self.read_feeds()})

    def has_calls(self, feed: Feed) -> bool:
        """Tell whether calls of a feed are recorded."""
        with self._database.connect() as connection:
            return bool(connection.execute(self._sql["has_calls"], feed._asdict()).scalar())

    def read_streams(self) -> list[str]:
        """Return the streams of all calls ever judged."""
        with self._database.connect() as connection:
            return list(connection.execute(self._sql["read_streams"]).scalars())

    def count_due(self) -> Counter[Feed]:
        """Return feed -> calls that a run takes up again if the settings name their source and stream."""
        with self._database.connect() as connection:
            rows = connection.execute(self._sql["count_due"]).all()
        return Counter({Feed(row.source, Stream(row.stream)): row.n for row in rows})

    def count_feeds(self, run_id: str) -> Counter[Feed]:
        """Return how many calls of each feed a run recorded."""
        with self._database.connect() as connection:
            rows = connection.execute(self._sql["count_feeds"], {"run_id": run_id}).all()
        return Counter({Feed(row.source, Stream(row.stream)): row.n for row in rows})


class Stretches:
    """The stretches remembered in one database, by their starts; that of calls without a time starts at the first moment."""

    def __init__(self, database: Database) -> None:
        """Wrap a database that `migrations.require_version` accepted."""
        self._database = database
        self._sql = Statements("state", database.engine.dialect)

    def read(self, feed: Feed) -> dict[datetime, Stretch]:
        """Return the remembered stretches of a feed."""
        with self._database.connect() as connection:
            rows = connection.execute(self._sql["read_stretches"], feed._asdict()).all()
        return {start: Stretch(row.rows, row.fingerprint) for row in rows if (start := to_time(row.from_at)) is not None}

    def remember(self, connection: Connection, bounds: RunBounds) -> None:
        """Remember how the stretches look that a run found settled, and drop those before its windows.

        connection: of a transaction that holds the lease.
        """
        stored = self._database.as_stored
        for feed, settled in bounds.settled.items():
            for start, stretch in settled.items():
                connection.execute(self._sql["remember_stretch"], {**feed._asdict(), "from_at": stored(start), **stretch._asdict()})
            low = bounds.windows[feed].low
            if settled and low is not None:
                values = {**feed._asdict(), "timeless": stored(FIRST_MOMENT), "low": stored(low - _MARGIN)}
                connection.execute(self._sql["drop_stretches"], values)

    def read_open(self, feed: Feed, ids: Collection[str]) -> dict[str, bool]:
        """Return those of these ids that are no settled calls of a feed: id -> whether it is recorded for it."""
        kept = {storable_text(each): each for each in ids}
        with self._database.connect() as connection:
            rows = connection.execute(self._sql["list_open"], {**feed._asdict(), "ids": storable_json(list(kept))}).all()
        return {kept[row.message_id]: bool(row.is_recorded) for row in rows}
