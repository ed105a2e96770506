"""The shards of runs in the sync-state tables."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import orjson
from sqlalchemy import Connection

from rehook_sync.database.engine import Database
from rehook_sync.database.queries import Statements
from rehook_sync.errors import UsageError
from rehook_sync.models import Shard, ShardResult, ShardStatus, Stream

__all__ = ["ShardRecord", "Shards"]


@dataclass(frozen=True, slots=True)
class ShardRecord:
    """A recorded shard of a run, with the requests, rows and findings of all its attempts.

    Shape:  rows: all events count as tracks.  findings: JSON text.
    """

    shard: Shard
    status: ShardStatus
    requests: int
    rows: Counter[Stream]
    error: str | None
    findings: str | None


class Shards:
    """The shards recorded in one database. Writing takes the connection of a transaction that holds the lease."""

    def __init__(self, database: Database) -> None:
        """Wrap a database that `migrations.require_version` accepted."""
        self._database = database
        self._sql = Statements("state", database.engine.dialect)

    def record(self, connection: Connection, run_id: str, bounds: str, shards: Sequence[Shard], status: ShardStatus, findings: str) -> None:
        """Record the shards of a run, and `bounds`, the text that they share. `findings`: of the beginning, kept with the first."""
        rows = orjson.dumps([{"shard": each.number, "low_user": each.low, "high_user": each.high} for each in shards]).decode()
        values = {"run_id": run_id, "plan": bounds, "rows": rows, "status": status, "findings": findings}
        connection.execute(self._sql["insert_shards"], values)

    def read(self, run_id: str) -> tuple[str, list[ShardRecord]]:
        """Return the text that the shards of a run share, and the shards in order. Raises UsageError for a run without shards."""
        with self._database.connect() as connection:
            rows = connection.execute(self._sql["read_shards"], {"run_id": run_id}).all()
        if not rows:
            raise UsageError(f"there is no run {run_id} in parts")
        shards = [
            ShardRecord(
                Shard(row.shard, row.low_user, row.high_user),
                ShardStatus(row.status),
                row.requests,
                Counter({Stream.IDENTIFIES: row.rows_identifies, Stream.TRACKS: row.rows_tracks}),
                row.error,
                row.findings,
            )
            for row in rows
        ]
        return rows[0].plan, shards

    def begin(self, connection: Connection, run_id: str, number: int) -> None:
        """Record that a shard is running."""
        connection.execute(self._sql["begin_shard"], {"run_id": run_id, "shard": number})

    def finish(self, connection: Connection, result: ShardResult) -> None:
        """Record how an attempt at a shard ended; its requests and rows are added to those before."""
        values = {"run_id": result.run_id, "shard": result.shard, "status": result.status, "requests": result.requests}
        identifies = result.rows.get(Stream.IDENTIFIES, 0)
        rows = {"rows_identifies": identifies, "rows_tracks": sum(result.rows.values()) - identifies}
        error = str(result.error) if result.error else None
        connection.execute(self._sql["finish_shard"], {**values, **rows, "error": error, "findings": result.findings})
