"""What the copy for analysts still lacks, noted in the transaction of the change. Without a copy, nothing is noted.

A run is noted once, when it begins: all calls that carry its id, and the customers of these, are its own. What a command changes of
calls that keep the id of another run, it notes one by one.
"""

from collections.abc import Iterable

from sqlalchemy import Connection

from rehook_sync.database.queries import Statements
from rehook_sync.values import storable_json

__all__ = ["Changes"]


class Changes:
    """Notes on what has changed, by the connection of a transaction that holds the lease."""

    def __init__(self, sql: Statements) -> None:
        """Take the statements of the state."""
        self._sql = sql

    def is_published(self, connection: Connection) -> bool:
        """Tell whether there is a copy."""
        return bool(connection.execute(self._sql["is_published"]).scalar_one())

    def note_run(self, connection: Connection, run_id: str) -> None:
        """Note a run, with the calls that carry its id, and their customers."""
        self._note(connection, "run", [{"id": run_id}])

    def note_summaries(self, connection: Connection, run_ids: Iterable[str]) -> None:
        """Note what is recorded of these runs themselves."""
        self._note(connection, "summary", [{"id": each} for each in run_ids])

    def note_calls(self, connection: Connection, keys: Iterable[tuple[str, str]]) -> None:
        """Note calls, by stream and message id."""
        self._note(connection, "call", [{"stream": stream, "id": message_id} for stream, message_id in keys])

    def note_customers(self, connection: Connection, user_ids: Iterable[str]) -> None:
        """Note customers, by user id."""
        self._note(connection, "customer", [{"id": each} for each in user_ids])

    def note_crash(self, connection: Connection) -> None:
        """Note what settling after a dead process may change, before that is done."""
        if self.is_published(connection):
            for name in ("note_marked", "note_open_claims"):
                connection.execute(self._sql[name])

    def _note(self, connection: Connection, kind: str, rows: list[dict[str, str]]) -> None:
        if rows and self.is_published(connection):
            connection.execute(self._sql["note_changes"], {"kind": kind, "rows": storable_json(rows)})
