"""Connections to PostgreSQL for the sync-state: what the code relies on is set anew in each transaction.

Server, database and role may each have another default. Nothing is set for a session: behind a pooler the next transaction
has another one, and ours goes to somebody else.
"""

import json
from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, Engine, event
from sqlalchemy.engine.interfaces import DBAPICursor, ExecutionContext

__all__ = ["CONNECTING", "READING", "WRITING", "can_send_together", "prepare_writer"]

READING: Mapping[str, str] = {
    "TimeZone": "UTC",
    "DateStyle": "ISO, YMD",
    "lock_timeout": "15s",
    "statement_timeout": "0",
    "transaction_timeout": "0",
    "idle_in_transaction_session_timeout": "0",
}
"""Setting -> value while something is read."""
WRITING: Mapping[str, str] = {
    **READING,
    "synchronous_commit": "on",
    "idle_in_transaction_session_timeout": "15s",
}
"""Setting -> value while something is written: what is committed is on the disk, and nobody waits long for a writer that stopped."""
CONNECTING: Mapping[str, Mapping[str, Any]] = {
    "psycopg": {"client_encoding": "utf8", "prepare_threshold": None},
    "psycopg2": {"client_encoding": "utf8"},
}
"""Driver -> how it connects. Statements are not prepared: behind a pooler, the next one goes to another session."""

_MAY_WRITE = "SET TRANSACTION READ WRITE"
_SET = (
    "SELECT set_config(wanted.key, wanted.value, true) FROM json_each_text(CAST(%s AS json)) AS wanted"
    " WHERE NOT (wanted.key = 'synchronous_commit' AND current_setting(wanted.key) = 'remote_apply')"
    " AND NOT (wanted.key = 'transaction_timeout' AND current_setting('server_version_num') < '170000')"
)
"""For one transaction. What is stricter than ours stays; what a server does not know yet is left out."""


def prepare_writer(engine: Engine, schema: str) -> None:
    """Set all of it, and the search path, at the beginning of each transaction."""
    # Bound as a value: the dialect's quoting would also double percent signs, which only a statement undoes.
    path = {"search_path": '"{}"'.format(schema.replace('"', '""'))}
    reading, writing = json.dumps({**READING, **path}), json.dumps({**WRITING, **path})

    @event.listens_for(engine, "begin")
    def begun(connection: Connection) -> None:
        if connection.get_execution_options().get("together"):
            return
        if connection.info.get("write"):
            connection.exec_driver_sql(_MAY_WRITE)
        connection.exec_driver_sql(_SET, (writing if connection.info.get("write") else reading,), {"stream_results": False})

    @event.listens_for(engine, "do_execute")
    def executing(cursor: DBAPICursor, statement: str, values: Any, context: ExecutionContext) -> bool:  # noqa: ANN401 - as SQLAlchemy has it
        """Send the settings together with a statement that is a whole transaction: one round trip, one transaction."""
        if not context.execution_options.get("together"):
            return False
        session: Any = cursor.connection
        with session.pipeline():
            session.execute(_SET, (writing,))
            cursor.execute(statement, values)
        return True


def can_send_together(engine: Engine) -> bool:
    """Tell whether the driver can send several statements as one transaction in one round trip."""
    return engine.dialect.name == "postgresql" and engine.dialect.driver == "psycopg"
