"""Creating and upgrading the sync-state tables: versioned steps in one transaction, one process at a time."""

from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import Connection

from rehook_sync.database.engine import Database
from rehook_sync.database.queries import Statements, load_migrations, split_statements
from rehook_sync.errors import SettingsError, StateVersionError

__all__ = ["Upgrade", "check_version", "require_version", "upgrade"]


@dataclass(frozen=True, slots=True)
class Upgrade:
    """What `upgrade` did.

    Shape:  applied: names of the steps taken now; empty when the tables were up to date.
    """

    version: int
    applied: tuple[str, ...]


def upgrade(database: Database, schema: str | None) -> Upgrade:
    """Bring the sync-state tables to this code's version; safe to repeat and to run concurrently.

    Raises: StateVersionError when the tables are newer than this code; nothing is changed.
    """
    queries = _queries(database)
    database.let_readers_in()
    with database.transaction() as connection:
        if database.dialect == "postgresql":
            connection.execute(queries["lock_migrations"])
            # Looked up first: CREATE SCHEMA needs a privilege even if the schema exists.
            if not connection.execute(queries["schema_exists"], {"schema": schema or "public"}).scalar():
                connection.execute(queries.fill("create_schema", schema=schema or "public"))
        connection.execute(queries["ensure_migrations_table"])
        return _apply(connection, queries)


def _apply(connection: Connection, queries: Statements) -> Upgrade:
    migrations = load_migrations(connection.dialect.name)
    have = _newest(connection, queries)
    _refuse_newer(have, len(migrations))
    applied = []
    for migration in migrations[have:]:
        for statement in split_statements(migration.sql):
            connection.exec_driver_sql(statement)
        row = {"version": migration.version, "name": migration.name, "applied_at": datetime.now(UTC).isoformat()}
        connection.execute(queries["record_migration"], row)
        applied.append(migration.name)
    return Upgrade(len(migrations), tuple(applied))


def check_version(database: Database, schema: str | None) -> int | None:
    """Return the version of the sync-state tables, None when they do not exist. Writes nothing.

    Raises: StateVersionError when they are older or newer than this code.
    """
    queries = _queries(database)
    if not database.exists:
        return None
    with database.connect() as connection:
        exists = queries["migrations_table_exists"]
        if not connection.execute(exists, {"schema": schema or ""}).scalar():
            return None
        have, want = _newest(connection, queries), len(load_migrations(connection.dialect.name))
    _refuse_newer(have, want)
    if have < want:
        raise StateVersionError(f"the sync-state tables have version {have}, this code needs {want}: run `python -m rehook_sync init`")
    return have


def require_version(database: Database, schema: str | None) -> int:
    """Return the version of the sync-state tables. Writes nothing.

    Raises: StateVersionError when they do not exist, or are older or newer than this code.
    """
    version = check_version(database, schema)
    if version is None:
        raise StateVersionError("the sync-state tables do not exist yet: run `python -m rehook_sync init` once")
    return version


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
