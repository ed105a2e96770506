"""How connections to SQLite files work: locks taken at once, files of our own kept private, text times read by a function."""

import sqlite3
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import ParamSpec, TypeGuard, TypeVar

from sqlalchemy import Connection, Engine, event
from sqlalchemy.engine.interfaces import DBAPICursor
from sqlalchemy.exc import OperationalError

from rehook_sync.times import sortable_utc

__all__ = ["BUSY_TIMEOUT_S", "ask_often", "create_private", "insist", "is_file", "prepare", "switch_to_wal"]

BUSY_TIMEOUT_S = 15.0
"""How long a lock is waited for that others hold."""

_Values = ParamSpec("_Values")
_Result = TypeVar("_Result")
_NO_FILE = (":memory:", "file:")
_ASK_OFTEN = "PRAGMA busy_timeout = 5"
_BE_PATIENT = "PRAGMA busy_timeout = 15000"
"""In milliseconds, the same time."""
_SWITCH_WAIT_S = 0.05


def is_file(path: str | None) -> TypeGuard[str]:
    """Tell whether what a URL names is a file."""
    return bool(path) and not str(path).startswith(_NO_FILE)


def prepare(engine: Engine, *, read_only: bool) -> None:
    """Take transactions into our own hands: a writer locks at once, a reader never writes."""

    @event.listens_for(engine, "connect")
    def connected(connection: sqlite3.Connection, _record: object) -> None:
        connection.isolation_level = None
        connection.create_function("rehook_sync__utc", 1, _read_utc, deterministic=True)
        connection.execute("PRAGMA synchronous = FULL")
        if read_only:
            connection.execute("PRAGMA query_only = ON")
        else:
            # What is forgotten or pruned is overwritten in the file; without this it would stay there until the place is used again.
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
    """Let a busy file refuse at once, for whoever asks again by itself."""
    connection.exec_driver_sql(_ASK_OFTEN)


def insist(execute: Callable[_Values, _Result], *values: _Values.args, **named: _Values.kwargs) -> _Result:
    """Do what needs the lock of a SQLite file, asking for it again and again.

    By itself SQLite asks ever more seldom for a lock that others hold: of two that write all the time, one would hardly get it.
    """
    until = time.monotonic() + BUSY_TIMEOUT_S
    while True:
        try:
            return execute(*values, **named)
        except OperationalError as error:
            is_busy = getattr(error.orig, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_BUSY
            if not is_busy or time.monotonic() > until:
                raise


def switch_to_wal(cursor: DBAPICursor) -> None:
    """Switch, unless it is done. While others have the file open SQLite refuses at once instead of waiting."""
    until = time.monotonic() + BUSY_TIMEOUT_S
    while cursor.execute("PRAGMA journal_mode").fetchone() != ("wal",):
        try:
            cursor.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError:
            if time.monotonic() > until:
                raise
            time.sleep(_SWITCH_WAIT_S)


def create_private(engine: Engine, path: str | None) -> None:
    """Have a SQLite file that we create readable for its owner alone; one that is there keeps its permissions."""
    if not is_file(path):
        return

    @event.listens_for(engine, "do_connect")
    def connecting(*_: object) -> None:
        with suppress(OSError):  # what is wrong with the path, SQLite says next
            Path(path).touch(mode=0o600, exist_ok=False)


def _begin_writing(connection: Connection) -> None:
    """Lock the file at once."""
    ask_often(connection)
    try:
        insist(connection.exec_driver_sql, "BEGIN IMMEDIATE")
    finally:
        connection.exec_driver_sql(_BE_PATIENT)


def _read_utc(content: bytes) -> str | None:
    """Return the time that a text of a SQLite file says, as `sortable_utc` does.

    Shape:  content: the bytes of the text. As text SQLite would refuse to hand over what is no UTF-8, which ends the statement.
    """
    if 0 not in content:
        return sortable_utc(content.decode("ascii", "replace"))
    # Text of a file in UTF-16, or a NUL, where SQLite's own functions take a text to end.
    encoding = "utf-16-be" if content[0] == 0 else "utf-16-le" if content[1:2] == b"\0" else "ascii"
    return sortable_utc(content.decode(encoding, "replace").partition("\0")[0])
