"""Connections to PostgreSQL: what the code relies on, whatever server, database, role, URL and environment have for defaults.

A warehouse's session is set when it begins. For the sync-state, all is set anew in each transaction: behind a pooler the next
transaction has another session, and ours goes to somebody else. Where the session is provably ours, the many short transactions of
a run find it set once, and their statements are prepared, since planning one takes as long as carrying it out.
"""

import json
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from sqlalchemy import Connection, Engine, event
from sqlalchemy.engine.interfaces import DBAPIConnection, DBAPICursor, Dialect, ExceptionContext, ExecutionContext
from sqlalchemy.pool import ConnectionPoolEntry

from rehook_sync.database.loaders import add_loaders

__all__ = [
    "CONNECTING",
    "KEPT",
    "LOCK_TIMEOUT",
    "READING",
    "SESSION",
    "WRITING",
    "let_statements_commit",
    "limit_connecting",
    "prepare_reader",
    "prepare_writer",
]

SESSION: Mapping[str, str] = {
    "TimeZone": "UTC",
    "DateStyle": "ISO, YMD",
    "IntervalStyle": "postgres",
    "bytea_output": "hex",
    "extra_float_digits": "3",
    "client_encoding": "UTF8",
    "standard_conforming_strings": "on",
}
"""Setting -> value of every session with a warehouse, since drivers read values in these forms alone. All others stay as they are."""
LOCK_TIMEOUT = "1s"
"""How long a read of a warehouse waits for a lock before it lets those behind it through, and asks again."""
READING: Mapping[str, str] = {
    **{name: SESSION[name] for name in ("TimeZone", "DateStyle")},
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
KEPT: Mapping[str, str] = {
    "default_transaction_read_only": "off",
    "default_transaction_isolation": "read committed",
    "default_transaction_deferrable": "off",
    "plan_cache_mode": "force_generic_plan",
    "jit": "off",
}
"""Setting -> value beside WRITING where the session is ours: it may write, and plans a statement once."""
CONNECTING: Mapping[str, Mapping[str, Any]] = {
    "psycopg": {"client_encoding": "utf8", "prepare_threshold": None},
    "psycopg2": {"client_encoding": "utf8"},
}
"""Driver -> how it connects. Statements are not prepared: behind a pooler, the next one goes to another session."""

_MAY_WRITE = "SET TRANSACTION READ WRITE"
_SET = (
    "SELECT set_config(wanted.key, wanted.value, %s) FROM json_each_text(CAST(%s AS json)) AS wanted"
    " WHERE NOT (wanted.key = 'synchronous_commit' AND current_setting(wanted.key) = 'remote_apply')"
    " AND NOT (wanted.key = 'transaction_timeout' AND current_setting('server_version_num') < '170000')"
)
"""For one transaction, if true is bound first. What is stricter than ours stays; what a server does not know yet is left out."""

_LIMITS: Mapping[str, int] = {
    "connect_timeout": 10,
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
    "tcp_user_timeout": 60_000,
}
"""Option of libpq -> value: seconds to connect, and how soon a host that is gone is noticed, a minute at most."""
_WHO = "SELECT pg_backend_pid()"
_SET_SESSION = "SELECT set_config(wanted.key, wanted.value, false) FROM json_each_text(CAST(%s AS json)) AS wanted"
_WRITING_OPTION = "rehook_sync_writing"


def limit_connecting(engine: Engine) -> None:
    """Wait for a host that does not answer, or does not any more, for a limited time alone, unless the user has set how long."""

    @event.listens_for(engine, "do_connect")
    def connecting(dialect: Dialect, _record: object, _arguments: object, named: dict[str, object]) -> None:
        for option, value in _LIMITS.items():
            if option not in named and not _has_default(dialect, option.encode()):
                named[option] = value


def prepare_reader(engine: Engine) -> None:
    """Set the SESSION on each new connection, how values are read, and note its server process, unless a pooler is in between.

    Nothing that the user set in the URL or the environment is replaced by an option of ours.
    """
    wanted = json.dumps({**SESSION, "lock_timeout": LOCK_TIMEOUT})

    @event.listens_for(engine, "connect")
    def connected(connection: DBAPIConnection, record: ConnectionPoolEntry) -> None:
        driver: Any = connection
        cursor = driver.cursor()
        cursor.execute(_SET_SESSION, (wanted,))
        cursor.execute(_WHO)
        pid = cursor.fetchone()[0]
        cursor.close()
        record.info["server_process"] = pid if driver.info.backend_pid == pid else None
        connection.commit()
        add_loaders(driver, engine.dialect.loaded_dbapi.DataError)

    @event.listens_for(engine, "handle_error")
    def failed(failure: ExceptionContext) -> None:
        """Close the cursor of a lost connection, which SQLAlchemy leaves open and psycopg then warns of."""
        cursor: Any = failure.execution_context and failure.execution_context.cursor
        if failure.is_disconnect and cursor:
            with suppress(Exception):
                cursor.connection.close()
            with suppress(Exception):
                cursor.close()


def prepare_writer(engine: Engine, schema: str) -> None:
    """Set all of it, and the search path, at the beginning of each transaction."""
    # Bound as a value: the dialect's quoting would also double percent signs, which only a statement undoes.
    path = {"search_path": '"{}"'.format(schema.replace('"', '""'))}
    reading, writing = json.dumps({**READING, **path}), json.dumps({**WRITING, **path})
    engine.update_execution_options(**{_WRITING_OPTION: {**WRITING, **path}})

    @event.listens_for(engine, "begin")
    def begun(connection: Connection) -> None:
        if connection.info.get("for_one"):
            return
        if connection.info.get("write"):
            connection.exec_driver_sql(_MAY_WRITE)
        connection.exec_driver_sql(_SET, (True, writing if connection.info.get("write") else reading), {"stream_results": False})

    @event.listens_for(engine, "do_execute")
    def executing(cursor: DBAPICursor, statement: str, values: Any, context: ExecutionContext) -> bool:  # noqa: ANN401 - as SQLAlchemy has it
        """Send the settings together with a statement that is a whole transaction: one round trip, one transaction."""
        if not context.execution_options.get("settings_along"):
            return False
        session: Any = cursor.connection
        with session.pipeline():
            session.execute(_SET, (True, writing))
            cursor.execute(statement, values)
        return True


def let_statements_commit(connection: Connection) -> bool:
    """Let each statement of a new connection be a transaction that has all settings. Tells whether the driver can do that.

    Where the server's process is the one that answered when we connected, the session is ours: a pooler in between makes up
    the number that it gives. Else the settings go along with each statement.
    """
    if connection.dialect.driver != "psycopg":
        return False
    connection.execution_options(isolation_level="AUTOCOMMIT")
    session: Any = connection.connection.driver_connection
    connection.detach()  # others must not get what is set below
    with connection.begin():
        is_ours = session.info.backend_pid == connection.exec_driver_sql(_WHO).scalar_one()
        if is_ours:
            kept = json.dumps({**connection.get_execution_options()[_WRITING_OPTION], **KEPT})
            connection.exec_driver_sql(_SET, (False, kept))
            session.prepare_threshold = 0
    if not is_ours:
        connection.execution_options(settings_along=True)
    return True


def _has_default(dialect: Dialect, option: bytes) -> bool:
    """Tell whether libpq has a value for an option of a connection, from the environment or a service file."""
    libpq = getattr(dialect.loaded_dbapi, "pq", None)
    return libpq is not None and any(each.keyword == option and each.val for each in libpq.Conninfo.get_defaults())
