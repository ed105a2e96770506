"""What the errors of databases and drivers mean, and how they are told: one line, no password and no value of a row."""

import re
from collections.abc import Iterable, Mapping

from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from rehook_sync.database.dialects.record import Warehouse
from rehook_sync.errors import DatabaseError, LockedError, TransientError

__all__ = ["is_of_database", "kind_of", "may_pass", "one_line", "sqlstate"]

_PASSWORD = re.compile(r"://[^@\s]*@")
_DATA_ERRORS = ("22", "23")
"""SQLSTATE classes whose messages may quote values of rows."""
_LOCKED = "55P03"
_TRANSIENT = ("08", "40001", "40P01", "57P01", "57P02", "57P03", "57P05", "25P03", "25P04", "53300")
"""SQLSTATEs of a server that ended a statement or a session for causes of its own: a restart, an administrator, a timeout,
a standby whose recovery needed the rows, a deadlock."""


def is_of_database(error: BaseException, warehouse: Warehouse) -> bool:
    """Tell whether an error came from SQLAlchemy or a driver, and not from code of ours: some drivers raise errors of their own."""
    return isinstance(error, SQLAlchemyError) or _is_from(error, warehouse.drivers)


def one_line(error: BaseException, hidden: Iterable[str] = ()) -> str:
    """Return the message of a database error as one line, without URL credentials, statement and parameters.

    Shape:  hidden: texts that may be secret: some drivers quote what they were given to connect.
    """
    cause = error.orig if isinstance(error, DBAPIError) and error.orig is not None else error
    state, message = sqlstate(cause), _fields(cause).get("M") or str(cause)
    if state.startswith(_DATA_ERRORS):
        return f"{type(cause).__name__} ({state}): {message.partition(':')[0].splitlines()[0]}"
    lines = [line.strip() for line in message.splitlines() if line.strip()]
    kept = [line for line in lines if not line.startswith(("LINE ", "^", "DETAIL:", "CONTEXT:", "[SQL", "(Background"))]
    line = _PASSWORD.sub("://…@", "; ".join(kept) or type(cause).__name__)
    for secret in hidden:
        line = line.replace(secret, "…")
    return line[:300]


def sqlstate(error: BaseException) -> str:
    """Return the five characters by which PostgreSQL names a kind of error, empty for others."""
    cause = error.orig if isinstance(error, DBAPIError) and error.orig is not None else error
    return str(getattr(cause, "sqlstate", None) or getattr(cause, "pgcode", None) or _fields(cause).get("C", ""))


def _fields(error: BaseException) -> Mapping[str, str]:
    """Return the fields of PostgreSQL's message, as a driver may give them: C is the SQLSTATE, M the message."""
    found = error.args[0] if error.args else None
    return found if isinstance(found, dict) else {}


def may_pass(error: BaseException, warehouse: Warehouse) -> bool:
    """Tell whether an error lies in what others do at the moment, so that the same statement may succeed later."""
    return kind_of(error, warehouse) is not DatabaseError


def kind_of(error: BaseException, warehouse: Warehouse) -> type[DatabaseError]:
    """Return which of ours an error becomes."""
    if found := warehouse.classify(error):
        return found
    if sqlstate(error) == _LOCKED:
        return LockedError
    is_lost = isinstance(error, DBAPIError) and error.connection_invalidated
    return TransientError if is_lost or sqlstate(error).startswith(_TRANSIENT) else DatabaseError


def _is_from(error: BaseException, packages: frozenset[str]) -> bool:
    """Tell whether an error is of a class of one of these packages, or was raised by their code."""
    if type(error).__module__.partition(".")[0] in packages:
        return True
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return trace is not None and str(trace.tb_frame.f_globals.get("__name__", "")).partition(".")[0] in packages
