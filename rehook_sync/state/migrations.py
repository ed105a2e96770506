"""Creating and upgrading the sync-state tables: versioned steps in one transaction, one process at a time."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import Connection

from rehook_sync.database.engine import Database
from rehook_sync.database.queries import Statements, load_migrations, split_statements, with_literal
from rehook_sync.errors import SettingsError, StateVersionError
from rehook_sync.models import DEFAULT_SOURCE
from rehook_sync.state.rights import Rights, require_folder

__all__ = ["Upgrade", "check_version", "require_version", "upgrade"]

_NAMED_SOURCES = 14
"""The version from which on each call is recorded with its source."""


@dataclass(frozen=True, slots=True)
class Upgrade:
    """What `upgrade` did.

    Shape:  applied: names of the steps taken now; empty when the tables were up to date.
            adopted: the source that all is of from now on that was recorded before sources had names; None when nothing was.
    """

    version: int
    applied: tuple[str, ...]
    adopted: str | None = None


def upgrade(database: Database, schema: str | None, sources: Sequence[str] = (DEFAULT_SOURCE,)) -> Upgrade:
    """Bring the sync-state tables to this code's version; safe to repeat and to run concurrently.

    Shape:  sources: names of the Segment sources; what was recorded before sources had names is of the only one.
    Raises: StateVersionError when the tables are newer than this code, or this user may not change them; nothing is changed.
            SettingsError when nothing can be created there, or when it is not known which source earlier records are of.
    """
    queries = _queries(database)
    require_folder(database)
    rights = None if database.dialect == "sqlite" else Rights(database, queries, schema or "public")
    if rights is not None:
        rights.require_reading()
        rights.require_writing()
        if not rights.has_tables or _version(database, queries) < len(load_migrations(database.dialect)):
            rights.require_upgrading()
    database.let_readers_in()
    with database.transaction() as connection:
        if rights is not None:
            connection.execute(queries["lock_migrations"])
            # Only when it is missing: CREATE SCHEMA needs a privilege even if the schema exists.
            if not rights.has_schema:
                connection.execute(queries.fill("create_schema", schema=schema or "public"))
        # Likewise for CREATE TABLE.
        if rights is None or not rights.has_tables:
            connection.execute(queries["ensure_migrations_table"])
        return _apply(connection, queries, sources)


def _apply(connection: Connection, queries: Statements, sources: Sequence[str]) -> Upgrade:
    migrations = load_migrations(connection.dialect.name)
    have = _newest(connection, queries)
    _refuse_newer(have, len(migrations))
    applied = []
    adopts = 0 < have < _NAMED_SOURCES and bool(connection.execute(queries["has_runs"]).scalar_one())
    if adopts and len(sources) > 1:
        raise SettingsError(
            "these tables were written when there was one source, and REHOOK_SYNC_WAREHOUSE_SCHEMA names several: "
            "run `init` once with the one alone that they were written from, then name them all"
        )
    for migration in migrations[have:]:
        for statement in split_statements(migration.sql):
            connection.exec_driver_sql(with_literal(statement, "source", sources[0], connection.dialect))
        row = {"version": migration.version, "name": migration.name, "applied_at": datetime.now(UTC).isoformat()}
        connection.execute(queries["record_migration"], row)
        applied.append(migration.name)
    return Upgrade(len(migrations), tuple(applied), sources[0] if adopts else None)


def check_version(database: Database, schema: str | None, *, writes: bool = False, needed: Sequence[str] | None = None) -> int | None:
    """Return the version of the sync-state tables, None when they do not exist. Writes nothing.

    Shape:  writes: the tables will be written, too.  needed: those that will be used; None: all.
    Raises: StateVersionError when they are older or newer than this code, or this user may not read or write them.
            SettingsError when the SQLite file has no folder, or the server only reads.
    """
    queries = _queries(database)
    require_folder(database)
    if not database.exists:
        return None
    if database.dialect == "sqlite":
        with database.connect() as connection:
            if not connection.execute(queries["migrations_table_exists"]).scalar():
                return None
    else:
        rights = Rights(database, queries, schema or "public", needed)
        rights.require_reading()
        if not rights.has_tables:
            return None
        if writes:
            rights.require_writing()
    have, want = _version(database, queries), len(load_migrations(database.dialect))
    _refuse_newer(have, want)
    if have < want:
        raise StateVersionError(f"the sync-state tables have version {have}, this code needs {want}: run `python -m rehook_sync init`")
    return have


def require_version(database: Database, schema: str | None, *, writes: bool = False, needed: Sequence[str] | None = None) -> int:
    """Return the version of the sync-state tables. Writes nothing.

    Raises: StateVersionError when they do not exist, and as `check_version`.
    """
    version = check_version(database, schema, writes=writes, needed=needed)
    if version is None:
        place, setting = f"the SQLite file {database.file}", "REHOOK_SYNC_STATE_URL"
        if database.file is None:
            place, setting = f"schema {schema!r} of the database", f"{setting} or REHOOK_SYNC_STATE_SCHEMA"
        raise StateVersionError(
            f"the sync-state tables do not exist yet in {place} of {database.setting}: run `python -m rehook_sync init` once; "
            f"if they are elsewhere, set {setting} to there"
        )
    return version


def _version(database: Database, queries: Statements) -> int:
    with database.connect() as connection:
        return _newest(connection, queries)


def _newest(connection: Connection, queries: Statements) -> int:
    return int(connection.execute(queries["newest_migration"]).scalar_one())


def _refuse_newer(have: int, want: int) -> None:
    if have > want:
        raise StateVersionError(
            f"the sync-state tables have version {have}, this code knows {want}: install the newer rehook-sync that upgraded them"
        )


def _queries(database: Database) -> Statements:
    if database.dialect not in {"sqlite", "postgresql"}:
        raise SettingsError(
            f"REHOOK_SYNC_STATE_URL: the sync-state tables live in SQLite or PostgreSQL, not in {database.dialect}; "
            "set it to such a database, for example sqlite:///rehook_sync_state.db"
        )
    return Statements("state", database.engine.dialect)
