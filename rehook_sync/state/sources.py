"""What the sync-state tables hold of each source."""

from collections import Counter

from rehook_sync.database.engine import Database
from rehook_sync.database.queries import Statements
from rehook_sync.models import Stream
from rehook_sync.rules.periods import Feed

__all__ = ["KnownSources"]


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
