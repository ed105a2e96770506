"""How connections to PostgreSQL work that write: tables found by their schema, and no lock held for ever."""

from sqlalchemy import Connection, Engine, event
from sqlalchemy.engine.interfaces import DBAPIConnection

__all__ = ["prepare_single_statements", "prepare_writer"]

_LOCK_TIMEOUT = "15s"
_SET_SESSION = "SELECT set_config('idle_in_transaction_session_timeout', %s, false), set_config('default_transaction_isolation', %s, false)"
"""A statement that is a transaction of its own has the session's isolation, not the one that SQLAlchemy gives its transactions."""


def prepare_writer(engine: Engine, schema: str) -> None:
    """Find tables by the schema, and let no lock last for ever: a writer that stands still inside a transaction loses it."""
    # Bound as a value: the dialect's own quoting would double the percent signs as well, which only a statement takes back.
    quoted = '"{}"'.format(schema.replace('"', '""'))

    @event.listens_for(engine, "connect")
    def connected(connection: DBAPIConnection, _record: object) -> None:
        cursor = connection.cursor()
        cursor.execute("SELECT set_config('search_path', %s, false), set_config('lock_timeout', %s, false)", (quoted, _LOCK_TIMEOUT))
        # A plan kept from when the tables were empty reads them whole for ever.
        cursor.execute("SET plan_cache_mode = force_custom_plan")
        cursor.close()
        connection.commit()

    @event.listens_for(engine, "begin")
    def begun(connection: Connection) -> None:
        if connection.info.get("write") and not connection.info.get("bounded"):
            connection.exec_driver_sql("SELECT set_config('idle_in_transaction_session_timeout', %s, true)", (_LOCK_TIMEOUT,))


def prepare_single_statements(connection: Connection) -> None:
    """Set for the whole session what else is set for each transaction, on a connection that nobody else will have."""
    connection.exec_driver_sql(_SET_SESSION, (_LOCK_TIMEOUT, "read committed"))
