"""The record of a kind of warehouse: all that differs from one to the next, beside the statements in `sql/warehouse`."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, cast

from sqlalchemy import URL, Engine, event
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.pool import ConnectionPoolEntry, PoolProxiedConnection

from rehook_sync.database.kinds import Kind
from rehook_sync.database.sqlite import BUSY_TIMEOUT_S
from rehook_sync.errors import DatabaseError
from rehook_sync.times import FIRST_MOMENT

__all__ = ["Connecting", "Connector", "Convert", "Meter", "Opening", "Warehouse", "set_session", "tag_sessions"]

Convert = Callable[[Any], object]


@dataclass(frozen=True, slots=True)
class Connector:
    """Somebody else, such as a hook of Airflow, who makes the connections of a database by what only he knows.

    Shape:  name: for messages.  connect: options that we would like -> a connection of the driver, or what `Warehouse.adopt` makes one of.
            options: what he gives the driver himself.
    """

    name: str
    connect: Callable[[Mapping[str, Any]], object]
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Connecting:
    """How a driver connects, beside the URL.

    Shape:  options: what the user gives it.  told_in: the setting that has them, for messages.
            connector: who connects; None: we, by the URL and the options.
            publishes: whether the copy for analysts is written there.
    Units:  busy_s: seconds that a statement waits while others lock the file (SQLite only).
    """

    options: Mapping[str, Any] = field(default_factory=dict)
    told_in: str = "REHOOK_SYNC_WAREHOUSE_OPTIONS"
    busy_s: float = BUSY_TIMEOUT_S
    connector: Connector | None = None
    publishes: bool = False


@dataclass(slots=True)
class Meter:
    """What the statements of a database are said to be of, and what they read.

    Shape:  run: id of the run they are of; empty: of none.  scanned: bytes read so far, where the database says it.
    """

    run: str = ""
    scanned: int | None = None


@dataclass(frozen=True, slots=True)
class Opening:
    """How a database is opened.

    Shape:  setting: the one that holds its URL, for messages.  search_path: schema of unqualified table names, if it holds the sync-state.
    """

    setting: str
    read_only: bool
    may_create: bool
    search_path: str | None
    connecting: Connecting
    meter: Meter = field(default_factory=Meter)

    @property
    def options(self) -> Mapping[str, Any]:
        """Return what the user gives the driver."""
        return self.connecting.options

    @property
    def told_in(self) -> str:
        """Return the setting that has the options."""
        return self.connecting.told_in


def _connect_args(_url: URL, opening: Opening) -> dict[str, Any]:
    return {"connect_args": dict(opening.options)}


def _as_list(ids: Sequence[str]) -> object:
    return list(ids)


def _texts(ids: Sequence[str | bytes]) -> object:
    return [each for each in ids if isinstance(each, str)]


def _same(moment: datetime) -> object:
    return moment


def _unknown(_described: object) -> Kind:
    return Kind.OTHER


def _as_given(connection: object, _opening: Opening) -> object:
    return connection


def _nothing(*_: object) -> None:
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Warehouse:
    """What a kind of warehouse has and does. A field that is not given is as most have it.

    Shape:  name: SQLAlchemy's name of the dialect, and that of its statements.  extra: of this package, which brings the driver.
            driver: of a URL that names none, where versions of SQLAlchemy differ.
            words: dialect word -> its SQL, with `{}` in the place of the argument.

            own_name: name of ours, in statements without quotes -> how it is quoted.
            name_levels: 2 for schema and table, 3 for a catalog before them.  longest_name: bytes of a table's name at most;
            None: no limit that an event's name comes near.  most_columns: of a result; None: more than a table will have.
            slice_rows: rows of a read at most; 0: a window is read by one statement, whose rows come as they are fetched.
            chunk_rows: calls that are at least judged at once, whose properties are read together: many where a statement takes long
            or costs money.  most_ids: ids that one statement takes.  value_types: bound value -> its type, where the driver cannot tell it.
            buffers_results: whether the driver holds a whole result before it gives the first row.
            bind_ids: ids -> the value of `:ids`.  bind_odd_ids: the same for ids that cannot be kept, which may be bytes.

            is_typed: whether the type of a column says what it holds.  has_times: whether there is a type for times;
            if not, they are bound and compared as `bind_time` writes them.  beginning: a time before all others.
            first_id: an id before all others, as `{place}` compares them.
            kind_of: type of a column as the driver's cursor or, if `lists_types`, the statement list_columns describes it -> Kind.
            lists_types: whether list_columns gives types: then event tables are not asked one by one.
            asks_tables: whether a table may be asked for its columns by a statement that reads no row: on some that costs.
            default_schema: URL -> the schema that is read when none is named, where the database has none by itself.
            pruned: partition column and cursor -> the fragment that reads only the partitions from `:loaded_from` on, if there is one.
            text_keys: kinds of ids that compare with text as they are, so that an index helps.
            select_as: kind -> SQL by which a column is read, with `{}` in its place.
            convert: kind -> what makes the driver's value right.  naming: the same for values that name a call without an id.
            decodes_json: whether the driver gives columns of type JSON decoded.

            bears_fork: whether the driver works in a fork of a process that has closed its connections.
            opens_slowly: whether a connection should be kept from one read to the next while there are several.
            pre_ping: whether a pooled connection is tried before it is used.  session: statements on each new connection.
            tagged: statement that tells a session which run it works for, with `{}` in the place of the run's id.
            dry: options of a statement that only says what it would read.
            refused: option of a URL or of WAREHOUSE_OPTIONS -> why it may not be given.
            file_options: options that end in `_file` and are the driver's own.
            arguments: the keywords of `create_engine`.  prepare: adds to the engine what its connections need.
            adopt: what a connector gave -> a connection of the driver.
            file: URL -> the file that is the database, if it is one.  one_writer: whether a writer locks all of it.
            copy_levels: as `name_levels`, of the name of the copy's schema.
            copy_catalog: URL -> what its schema is in, where that must be there already: to make it, one would have to know in which place.
            lacks_schema: error -> whether it says that the schema of the copy, or its catalog, is not there.
            has_transactions: if not, each statement looks by itself whether another publication has begun.
            adds_rows: whether a statement of its own puts rows that are surely new, since to look for their keys costs.
            publishes: whether the copy for analysts may be there.  replaces_views: whether a view can be put in the place of another.
            replaces_rows: whether one statement puts rows in the place of those with the same keys; if not, these are removed before.
            published_rows: rows of the copy that are written by one transaction.
            published_bytes: of them as JSON, at most, but for single rows that are longer.
            staged_rows: how many of them one statement puts into a table beside it, value by value; 0: all go over as one JSON.

            drivers: packages whose errors may come past SQLAlchemy.
            classify: error -> LockedError or TransientError if the same statement may succeed later, else None.
    """

    name: str
    extra: str = ""
    driver: str = ""
    words: Mapping[str, str]
    own_name: Callable[[str], str] = str
    name_levels: int = 2
    longest_name: int | None = None
    most_columns: int | None = None
    slice_rows: int = 20_000
    chunk_rows: int = 1
    most_ids: int = 500
    value_types: Mapping[str, Any] = field(default_factory=dict)
    default_schema: Callable[[URL], str | None] = _nothing
    buffers_results: bool = False
    bind_ids: Callable[[Sequence[str]], object] = _as_list
    bind_odd_ids: Callable[[Sequence[str | bytes]], object] = _texts
    is_typed: bool = True
    has_times: bool = True
    bind_time: Callable[[datetime], object] = _same
    beginning: object = FIRST_MOMENT
    first_id: str | bytes = ""
    kind_of: Callable[[Any], Kind] = _unknown
    lists_types: bool = False
    asks_tables: bool = True
    pruned: Callable[[str, str], str | None] = _nothing
    text_keys: frozenset[Kind] = frozenset({Kind.TEXT})
    select_as: Mapping[Kind, str] = field(default_factory=dict)
    convert: Mapping[Kind, Convert] = field(default_factory=dict)
    naming: Mapping[Kind, Convert] = field(default_factory=dict)
    decodes_json: bool = False
    bears_fork: bool = False
    opens_slowly: bool = False
    pre_ping: bool = True
    session: tuple[str, ...] = ()
    tagged: str = ""
    dry: Callable[[], Mapping[str, Any] | None] = _nothing
    refused: Mapping[str, str] = field(default_factory=dict)
    file_options: frozenset[str] = frozenset()
    arguments: Callable[[URL, Opening], dict[str, Any]] = _connect_args
    prepare: Callable[[Engine, Opening], None] = _nothing
    adopt: Callable[[Any, Opening], object] = _as_given
    file: Callable[[URL], Path | None] = _nothing
    one_writer: bool = False
    publishes: bool = False
    replaces_views: bool = True
    replaces_rows: bool = True
    copy_levels: int = 2
    copy_catalog: Callable[[URL], str | None] = _nothing
    lacks_schema: Callable[[BaseException], object] = _nothing
    has_transactions: bool = True
    adds_rows: bool = False
    published_rows: int = 5000
    published_bytes: int = 8_000_000
    staged_rows: int = 0
    drivers: frozenset[str] = frozenset()
    classify: Callable[[BaseException], type[DatabaseError] | None] = _nothing


def set_session(engine: Engine, statements: Sequence[str]) -> None:
    """Execute statements on each new connection."""
    if not statements:
        return

    @event.listens_for(engine, "connect")
    def connected(connection: DBAPIConnection, _record: object) -> None:
        cursor = connection.cursor()
        for each in statements:
            cursor.execute(each)
        cursor.close()
        engine.dialect.do_commit(cast("PoolProxiedConnection", connection))  # else the pool's rollback would undo them


def tag_sessions(engine: Engine, statement: str, meter: Meter) -> None:
    """Tell each connection that is used which run it works for, if it was not told before."""
    if not statement:
        return

    @event.listens_for(engine, "checkout")
    def taken(connection: DBAPIConnection, record: ConnectionPoolEntry, _proxy: object) -> None:
        if meter.run and record.info.get("run") != meter.run:
            cursor = connection.cursor()
            cursor.execute(statement.format(meter.run))
            cursor.close()
            engine.dialect.do_commit(cast("PoolProxiedConnection", connection))  # as for the session
            record.info["run"] = meter.run
