"""Connections to PostgreSQL: what each session is set to, search path, isolation, and timeouts for locks."""

import json
from collections.abc import Mapping

from sqlalchemy import Connection, Engine, event
from sqlalchemy.engine.interfaces import DBAPIConnection, Dialect

__all__ = ["SESSION", "prepare", "prepare_single_statements"]

SESSION: Mapping[str, str] = {
    "TimeZone": "UTC",
    "DateStyle": "ISO, YMD",
    "IntervalStyle": "postgres",
    "bytea_output": "hex",
    "extra_float_digits": "3",
    "client_encoding": "UTF8",
    "standard_conforming_strings": "on",
}
"""Setting -> value of every session, since drivers read values in these forms alone. A server, a database, a role, the URL
and the environment may each have another default. All other settings stay as they are."""

_LOCK_TIMEOUT = "15s"
_CONNECT_TIMEOUT_S = 10
_SET_SESSION = "SELECT set_config(wanted.key, wanted.value, false) FROM json_each_text(CAST(%s AS json)) AS wanted"


def prepare(engine: Engine, schema: str | None = None) -> None:
    """Set the SESSION on each new connection. Nothing that the user set in the URL or the environment is replaced by an option of ours.

    Shape:  schema: the search path of connections that write; their waits for locks end, and so do sessions idle in a writing transaction.
    """
    session = dict(SESSION)
    if schema is not None:
        # Bound as a value: the dialect's quoting would also double percent signs, which only a statement undoes.
        session["search_path"] = '"{}"'.format(schema.replace('"', '""'))
        session["lock_timeout"] = _LOCK_TIMEOUT
        # A plan cached while the tables were empty would go on scanning them.
        session["plan_cache_mode"] = "force_custom_plan"

    @event.listens_for(engine, "do_connect")
    def connecting(dialect: Dialect, _record: object, _arguments: object, named: dict[str, object]) -> None:
        # Without it, a host that does not answer is waited for as long as TCP tries.
        if "connect_timeout" not in named and not _has_default(dialect, b"connect_timeout"):
            named["connect_timeout"] = _CONNECT_TIMEOUT_S

    @event.listens_for(engine, "connect")
    def connected(connection: DBAPIConnection, _record: object) -> None:
        cursor = connection.cursor()
        cursor.execute(_SET_SESSION, (json.dumps(session),))
        cursor.close()
        connection.commit()

    @event.listens_for(engine, "begin")
    def begun(connection: Connection) -> None:
        if connection.info.get("write") and not connection.info.get("bounded"):
            connection.exec_driver_sql("SELECT set_config('idle_in_transaction_session_timeout', %s, true)", (_LOCK_TIMEOUT,))


def prepare_single_statements(connection: Connection) -> None:
    """Set for the whole session what is otherwise set per transaction; the connection must not return to the pool.

    A statement outside a transaction has the session's isolation level, not the one that SQLAlchemy sets for its transactions.
    """
    session = {"idle_in_transaction_session_timeout": _LOCK_TIMEOUT, "default_transaction_isolation": "read committed"}
    connection.exec_driver_sql(_SET_SESSION, (json.dumps(session),))


def _has_default(dialect: Dialect, option: bytes) -> bool:
    """Tell whether libpq has a value for an option of a connection, from the environment or a service file."""
    libpq = getattr(dialect.loaded_dbapi, "pq", None)
    return libpq is not None and any(each.keyword == option and each.val for each in libpq.Conninfo.get_defaults())
