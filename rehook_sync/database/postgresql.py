"""Connections that write to PostgreSQL: search path, isolation, and timeouts for locks."""

from sqlalchemy import Connection, Engine, event
from sqlalchemy.engine.interfaces import DBAPIConnection

__all__ = ["prepare_single_statements", "prepare_writer"]

_LOCK_TIMEOUT = "15s"
_SET_SESSION = "SELECT set_config('idle_in_transaction_session_timeout', %s, false), set_config('default_transaction_isolation', %s, false)"
"""A statement outside a transaction has the session's isolation level, not the one that SQLAlchemy sets for its transactions."""


def prepare_writer(engine: Engine, schema: str) -> None:
    """Set the search path, limit waits for locks, and end sessions that stay idle in a writing transaction."""
    # Bound as a value: the dialect's quoting would also double percent signs, which only a statement undoes.
    quoted = '"{}"'.format(schema.replace('"', '""'))

    @event.listens_for(engine, "connect")
    def connected(connection: DBAPIConnection, _record: object) -> None:
        cursor = connection.cursor()
        cursor.execute("SELECT set_config('search_path', %s, false), set_config('lock_timeout', %s, false)", (quoted, _LOCK_TIMEOUT))
        # A plan cached while the tables were empty would go on scanning them.
        cursor.execute("SET plan_cache_mode = force_custom_plan")
        cursor.close()
        connection.commit()

    @event.listens_for(engine, "begin")
    def begun(connection: Connection) -> None:
        if connection.info.get("write") and not connection.info.get("bounded"):
            connection.exec_driver_sql("SELECT set_config('idle_in_transaction_session_timeout', %s, true)", (_LOCK_TIMEOUT,))


def prepare_single_statements(connection: Connection) -> None:
    """Set for the whole session what is otherwise set per transaction; the connection must not return to the pool."""
    connection.exec_driver_sql(_SET_SESSION, (_LOCK_TIMEOUT, "read committed"))
