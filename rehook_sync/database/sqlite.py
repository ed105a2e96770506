"""Connections to SQLite files: locks, write-ahead log, file mode, and the functions that read times and write numbers."""

import sqlite3
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import ParamSpec, TypeGuard, TypeVar

from sqlalchemy import Connection, Engine, event
from sqlalchemy.engine.interfaces import DBAPICursor
from sqlalchemy.exc import OperationalError

from rehook_sync.times import epoch_utc, sortable_utc
from rehook_sync.values import to_text

__all__ = [
    "BUSY_TIMEOUT_S",
    "ask_often",
    "create_private",
    "insist",
    "is_busy",
    "is_file",
    "is_full",
    "is_undecodable",
    "prepare",
    "switch_to_wal",
]

BUSY_TIMEOUT_S = 15.0
"""How long to wait for a lock that others hold."""

_Values = ParamSpec("_Values")
_Result = TypeVar("_Result")
_NO_FILE = (":memory:", "file:")
_ASK_OFTEN = "PRAGMA busy_timeout = 5"
_BE_PATIENT = "PRAGMA busy_timeout = 15000"
"""In milliseconds; the same as BUSY_TIMEOUT_S."""
_SWITCH_WAIT_S = 0.05


def is_file(path: str | None) -> TypeGuard[str]:
    """Tell whether the database part of a URL is a path."""
    return bool(path) and not str(path).startswith(_NO_FILE)


def prepare(engine: Engine, *, read_only: bool) -> None:
    """Begin transactions ourselves: a writer locks the file at once. `read_only`: nothing can be written."""

    @event.listens_for(engine, "connect")
    def connected(connection: sqlite3.Connection, _record: object) -> None:
        connection.isolation_level = None
        connection.create_function("rehook_sync__utc", 1, _read_utc, deterministic=True)
        connection.create_function("rehook_sync__text", 1, _number_text, deterministic=True)
        connection.execute("PRAGMA synchronous = FULL")
        if read_only:
            connection.execute("PRAGMA query_only = ON")
        else:
            # Forgotten and pruned values are overwritten in the file; otherwise they would stay until the space is used again.
            connection.execute("PRAGMA secure_delete = ON")

    @event.listens_for(engine, "begin")
    def begun(connection: Connection) -> None:
        if connection.info.get("for_one"):
            return
        if connection.info.get("write"):
            _begin_writing(connection)
        else:
            connection.exec_driver_sql("BEGIN")


def ask_often(connection: Connection) -> None:
    """Let a locked file refuse within milliseconds, for a caller that retries by itself."""
    connection.exec_driver_sql(_ASK_OFTEN)


def insist(execute: Callable[_Values, _Result], *values: _Values.args, **named: _Values.kwargs) -> _Result:
    """Call `execute`, and again while the SQLite file is locked, for up to BUSY_TIMEOUT_S.

    SQLite's own retries become ever rarer: of two constant writers, one would hardly get the lock.
    """
    until = time.monotonic() + BUSY_TIMEOUT_S
    while True:
        try:
            return execute(*values, **named)
        except OperationalError as error:
            if not is_busy(error) or time.monotonic() > until:
                raise


def is_busy(error: BaseException) -> bool:
    """Tell whether the file was locked by somebody else."""
    return bool(getattr(getattr(error, "orig", None), "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_BUSY)


def is_full(error: BaseException) -> bool:
    """Tell whether a disk was full: that of the file, or that of temporary files."""
    return bool(getattr(getattr(error, "orig", None), "sqlite_errorcode", 0) == sqlite3.SQLITE_FULL)


def is_undecodable(error: BaseException) -> bool:
    """Tell whether a text of a file is no UTF-8."""
    cause = getattr(error, "orig", None)
    return isinstance(cause, sqlite3.OperationalError) and "decode" in str(cause)


def switch_to_wal(cursor: DBAPICursor) -> None:
    """Switch to write-ahead logging, once. Retried here, since SQLite refuses at once while others have the file open.

    Raises: sqlite3.OperationalError when it cannot be done, as on some file systems.
    """
    until = time.monotonic() + BUSY_TIMEOUT_S
    while cursor.execute("PRAGMA journal_mode").fetchone() != ("wal",):
        try:
            cursor.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError:
            if time.monotonic() > until:
                raise
        if time.monotonic() > until:
            raise sqlite3.OperationalError("write-ahead logging cannot be switched on for this file")
        time.sleep(_SWITCH_WAIT_S)


def is_in_memory(cursor: DBAPICursor) -> bool:
    """Tell whether the database has no file, and so ends with its connection."""
    return not cursor.execute("PRAGMA database_list").fetchone()[2]


def create_private(engine: Engine, path: str | None) -> None:
    """Create the file with mode 0600 when connecting; an existing file keeps its mode."""
    if not is_file(path):
        return

    @event.listens_for(engine, "do_connect")
    def connecting(*_: object) -> None:
        with suppress(OSError):  # if the path is wrong, SQLite reports it next
            Path(path).touch(mode=0o600, exist_ok=False)


def _begin_writing(connection: Connection) -> None:
    """Lock the file at once."""
    ask_often(connection)
    try:
        insist(connection.exec_driver_sql, "BEGIN IMMEDIATE")
    finally:
        connection.exec_driver_sql(_BE_PATIENT)


def _number_text(number: float) -> str | None:
    """Return a number that is an id as text, None for an infinity."""
    try:
        return to_text(number)
    except ValueError:
        return None


def _read_utc(content: bytes | float) -> str | None:
    """Return the time in a text or number of a SQLite file, as `sortable_utc` does.

    Shape:  content: the bytes of the text; for a text that is no UTF-8, SQLite would end the statement.
    """
    if not isinstance(content, bytes):
        return epoch_utc(content)
    if 0 not in content:
        return sortable_utc(content.decode("ascii", "replace"))
    # Text of a UTF-16 file, or a NUL, at which SQLite's own functions end a text.
    encoding = "utf-16-be" if content[0] == 0 else "utf-16-le" if content[1:2] == b"\0" else "ascii"
    return sortable_utc(content.decode(encoding, "replace").partition("\0")[0])
