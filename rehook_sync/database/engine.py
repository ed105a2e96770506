"""Engines and transactions, and the gate that turns every database error into one of ours."""

import logging
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import UTC, datetime
from pathlib import Path
from threading import Lock
from typing import Any
from weakref import WeakSet

from sqlalchemy import URL, Connection, Engine, Row, TextClause, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, IntegrityError, NoSuchModuleError

from rehook_sync.database import postgresql, sqlite
from rehook_sync.database.dialects.record import Connecting, Meter, Opening, Warehouse, set_session, tag_sessions
from rehook_sync.database.failures import is_of_database, kind_of, one_line, sqlstate
from rehook_sync.database.queries import restore_names
from rehook_sync.database.warehouses import warehouse_of
from rehook_sync.errors import ConflictError, DatabaseError, LockedError, RehookSyncError, SettingsError, SourceError, TransientError

__all__ = ["Database", "json_time", "open_database", "same_database", "utc_text"]

_REFUSED = ("22", "23", "25", "40")
"""The same of statements that changed nothing: an error of their own, a constraint, or what a transaction may do by default."""
_EXAMPLE = "postgresql://user:password@host:5432/name"
_ADVICE = "write special characters of user and password as %XX: @ is %40, : is %3A, / is %2F, ? is %3F"

for _name in ("sqlalchemy", "psycopg"):
    # They log errors that they cannot raise; without a handler Python would print them with their tracebacks.
    logging.getLogger(_name).addHandler(logging.NullHandler())


class Database:
    """One database: short transactions, streamed reads, errors through the gate.

    Shape:  setting: name of the setting that holds its URL, for messages.
            bears_fork: whether a fork of this process can connect anew once all connections are closed.
    """

    def __init__(self, engine: Engine, setting: str, connecting: Connecting | None = None, meter: Meter | None = None) -> None:
        """Wrap an engine; use `open_database` to make one. `connecting`: no message shows what options it has."""
        self.meter = meter or Meter()
        given = connecting or Connecting()
        self._options, self._told_in = sorted(given.options), given.told_in
        self._hidden = [each for each in given.options.values() if isinstance(each, str)]
        self.engine = engine
        self.setting = setting
        self.bears_fork = self.warehouse.bears_fork and given.connector is None
        self._worked = False
        # SQLite lets one writer in and the others poll; with a lock, our own threads need not poll.
        self.turn: AbstractContextManager[object] = Lock() if self.warehouse.one_writer else nullcontext()
        self._writers: WeakSet[Writer] = WeakSet()

    @property
    def dialect(self) -> str:
        """Return the dialect's name: `sqlite`, `postgresql`, or another for a warehouse."""
        return self.engine.dialect.name

    @property
    def warehouse(self) -> Warehouse:
        """Return what is special about the dialect."""
        return warehouse_of(self.dialect)

    @property
    def file(self) -> Path | None:
        """Return the absolute path of the file that is the database, None where it is no file."""
        return self.warehouse.file(self.engine.url)

    @property
    def exists(self) -> bool:
        """Tell whether there is anything to connect to: connecting creates a missing SQLite file."""
        return self.file is None or self.file.exists()

    def as_stored(self, moment: datetime | None) -> datetime | str | None:
        """Return a time as the sync-state tables store it: aware for PostgreSQL, fixed-width UTC text for SQLite."""
        if moment is None or self.warehouse.has_times:
            return moment
        return utc_text(moment)

    @contextmanager
    def connect(self) -> Iterator[Connection]:
        """Open a connection for reading; it is rolled back at the end."""
        with self.gate(), self.open() as connection:
            yield connection

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """Open a transaction for writing; commits at the end, rolls back on any error."""
        with self.gate(), self.open() as connection, self.turn:
            connection.info["write"] = True
            try:
                with connection.begin():
                    yield connection
            finally:
                connection.info["write"] = False

    def open(self) -> Connection:
        """Return a pooled connection, just opened or pinged.

        Raises: SourceError when the first connection fails, DatabaseError when a later one does, LockedError when others lock all of it.
        """
        try:
            connection = self.engine.connect()
        except Exception as error:
            if isinstance(error, TypeError) and self._options and not self._worked:
                names = ", ".join(self._options)
                raise SettingsError(f"{self._told_in}: the driver does not take {names} so: {self._said(error)}") from error
            if not is_of_database(error, self.warehouse):
                raise
            if self.warehouse.classify(error) is LockedError:
                raise LockedError(f"the database of {self.setting} is locked: {self._said(error)}") from error
            if self._worked:
                raise TransientError(f"the database of {self.setting} is lost: {self._said(error)}") from error
            raise SourceError(f"cannot connect to the database of {self.setting}: {self._said(error)}; {self._advice()}") from error
        self._worked = True
        return connection

    def _advice(self) -> str:
        """Return what to look at when nobody can connect."""
        if self.file is None:
            return "check host, name, user and password"
        if not self.file.parent.is_dir():
            return f"there is no folder {str(self.file.parent)!r}: make it, or name another file"
        return f"check that the file {self.file.name!r} and its folder may be read and written by this user"

    def writer(self, preparing: Sequence[TextClause] = ()) -> "Writer":
        """Return connections outside the pool for many short transactions; each executes `preparing` when it is opened."""
        writer = Writer(self, preparing)
        self._writers.add(writer)
        return writer

    @contextmanager
    def gate(self) -> Iterator[None]:
        """Turn every database error into a DatabaseError of one line, without passwords and values of rows."""
        try:
            yield
        except RehookSyncError:
            raise
        except IntegrityError as error:
            raise ConflictError(f"the database of {self.setting} refused a conflicting row: {one_line(error)}") from error
        except Exception as error:
            if not is_of_database(error, self.warehouse):
                raise
            room = "; make room on its disk, or set TMPDIR to another if that of temporary files is full" if sqlite.is_full(error) else ""
            raise kind_of(error, self.warehouse)(f"the database of {self.setting} failed: {self._said(error)}{room}") from error

    def _said(self, error: BaseException) -> str:
        return one_line(error, self._hidden)

    def let_readers_in(self) -> None:
        """Switch a SQLite file to write-ahead logging for good: readers and the writer then do not wait for each other.

        Raises: SettingsError for a database in memory.
        """
        if not self.warehouse.one_writer:
            return
        with self.gate():
            connection = self.engine.raw_connection()
            try:
                cursor = connection.cursor()
                if sqlite.is_in_memory(cursor):
                    raise SettingsError(f"{self.setting}: a database in memory ends with the command: name a file, sqlite:///state.db")
                sqlite.switch_to_wal(cursor)
            except sqlite3.Error as error:
                raise DatabaseError(f"the database of {self.setting} failed: {one_line(error)}") from error
            finally:
                connection.close()

    def close(self) -> None:
        """Close all connections."""
        for writer in list(self._writers):
            writer.close()
        self.engine.dispose()


class Writer:
    """Connections for one writing transaction after another, prepared once and not pinged each time.

    Made by `Database.writer`. An error closes them, and the next transaction opens new ones.
    """

    def __init__(self, database: Database, preparing: Sequence[TextClause]) -> None:
        """Prepare; the first transaction connects."""
        self._database = database
        self._preparing = preparing
        self._connection: Connection | None = None
        self._for_one: Connection | None = None

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """Open a transaction; commits at the end, rolls back on any error."""
        with self._database.gate(), self._closed_on_error():
            self._connection = self._connection or self._open()
            with self._database.turn, self._connection.begin():
                yield self._connection

    def execute(self, statement: TextClause, values: Mapping[str, object]) -> Sequence[Row[Any]] | None:
        """Execute a statement as a whole transaction, in one round trip. Returns its rows, None when it has no result.

        Raises: ConflictError when the statement fails by a constraint, by an error that it raises itself, or because the
                database's defaults do not let it write: a transaction of its own, with all settings, may still succeed.
        """
        with self._database.gate():
            try:
                with self._closed_on_error():
                    self._for_one = self._for_one or self._open(for_one=True)
                    with self._database.turn, self._for_one.begin():
                        found = sqlite.insist(self._for_one.execute, statement, values)
                        return found.all() if found.returns_rows else None
            except DBAPIError as error:
                if not sqlstate(error).startswith(_REFUSED):
                    raise
                raise ConflictError(f"a statement for the database of {self._database.setting} refused: {one_line(error)}") from error

    def close(self) -> None:
        """Close the connections that are open."""
        connections, self._connection, self._for_one = (self._connection, self._for_one), None, None
        for connection in connections:
            if connection is not None:
                connection.close()

    @contextmanager
    def _closed_on_error(self) -> Iterator[None]:
        try:
            yield
        except BaseException:
            self.close()
            raise

    def _open(self, *, for_one: bool = False) -> Connection:
        """Open a connection. `for_one`: each statement is a transaction, and SQLAlchemy's BEGIN does not reach the database."""
        connection = self._database.open()
        if for_one and not self._database.warehouse.one_writer:
            for_one = postgresql.let_statements_commit(connection)
        connection.detach()  # others must not get what is set below
        with connection.begin():  # nothing here is written to the file, so no lock is needed
            for each in self._preparing:
                connection.execute(each)
            if self._database.warehouse.one_writer and for_one:
                sqlite.ask_often(connection)
        connection.info.update(write=True, for_one=for_one)
        return connection


def open_database(
    url: str,
    setting: str,
    *,
    read_only: bool = False,
    may_create: bool = False,
    search_path: str | None = None,
    connecting: Connecting | None = None,
) -> Database:
    """Return the database of a SQLAlchemy URL; connects at first use.

    Shape:  search_path: schema of unqualified table names (PostgreSQL only); it need not exist yet.
    Raises: SettingsError for a URL that cannot be read, a driver that is not installed, an option that is refused, or, unless
            `may_create`, a file that does not exist.
    """
    parsed = _parsed(url, setting)
    setting = connecting.connector.name if connecting and connecting.connector else setting
    warehouse = warehouse_of(parsed.get_backend_name())
    opening = Opening(setting, read_only, may_create, search_path, connecting or Connecting())
    _refuse_options(parsed, warehouse, opening)
    common = {"pool_pre_ping": warehouse.pre_ping, "hide_parameters": True}  # errors reach schedulers' logs; bound values must not
    arguments = warehouse.arguments(parsed, opening)
    if opening.connecting.connector is not None:
        arguments.pop("creator", None)
    try:
        engine = create_engine(**{"url": parsed, **common, **arguments})
    except (NoSuchModuleError, ImportError) as error:
        how = f"pip install 'rehook-sync[{warehouse.extra}]'" if warehouse.extra else "install the SQLAlchemy driver of that database"
        raise SettingsError(f"{setting}: the driver of '{parsed.drivername}' is missing: {error}; {how}") from error
    except (ArgumentError, TypeError) as error:
        raise SettingsError(f"{setting}: {one_line(error)}") from error
    warehouse.prepare(engine, opening)
    _let_connect(engine, warehouse, opening)
    restore_names(engine)
    set_session(engine, warehouse.session)
    tag_sessions(engine, warehouse.tagged, opening.meter)
    return Database(engine, setting, opening.connecting, opening.meter)


def _let_connect(engine: Engine, warehouse: Warehouse, opening: Opening) -> None:
    """Let the connector make the connections, if there is one; it learns our options, but not what the URL says."""
    connector = opening.connecting.connector
    if connector is None:
        return
    of_the_url = engine.dialect.create_connect_args(engine.url)[1]

    @event.listens_for(engine, "do_connect")
    def connecting(_dialect: object, _record: object, _arguments: object, named: dict[str, object]) -> object:
        wanted = {name: value for name, value in named.items() if name not in of_the_url}
        return warehouse.adopt(connector.connect(wanted), opening)


def _refuse_options(url: URL, warehouse: Warehouse, opening: Opening) -> None:
    """Raise SettingsError for an option that would do harm, or that would do nothing."""
    connector = opening.connecting.connector
    told = [(url.query, opening.setting), (opening.options, opening.told_in)]
    for names, where in [*told, *([(connector.options, connector.name)] if connector else [])]:
        for name in names:
            if name in warehouse.refused:
                raise SettingsError(f"{where}: {name}: {warehouse.refused[name]}")


def utc_text(moment: datetime) -> str:
    """Return a time as fixed-width UTC text, which sorts like time."""
    utc = moment if moment.tzinfo is UTC else moment.astimezone(UTC)
    return utc.isoformat(timespec="microseconds")[:26] + "Z"


def json_time(moment: datetime | None) -> datetime | str | None:
    """Return a time for `storable_json`, which writes one with microseconds as `utc_text` does, in a tenth of the time."""
    return moment if moment is None or (moment.microsecond and moment.tzinfo is UTC) else utc_text(moment)


def same_database(left: str, right: str) -> bool:
    """Tell whether two URLs are of the same database and user, so that one statement can join both."""
    try:
        return make_url(left) == make_url(right)
    except (ArgumentError, ValueError):
        return left == right


def _parsed(url: str, setting: str) -> URL:
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        # Not chained: part of a password may be parsed as a port, and the cause quotes it.
        raise SettingsError(f"{setting} is not a database URL, for example {_EXAMPLE}; {_ADVICE}") from None
    place, _, query = url.partition("?")
    if warehouse_of(parsed.get_backend_name()).file(parsed) is None and (place.count("@") > 1 or "@" in query):
        raise SettingsError(f"{setting} has an @ that may belong to the password, so that part of it would pass for the host; {_ADVICE}")
    driver = warehouse_of(parsed.get_backend_name()).driver
    return parsed.set(drivername=f"{parsed.drivername}+{driver}") if driver and "+" not in parsed.drivername else parsed
