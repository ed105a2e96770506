"""Whether the sync-state tables can be reached, read and written: what is not there, what is only hidden, and how to change it."""

from collections.abc import Sequence
from typing import Any

from rehook_sync.database.engine import Database
from rehook_sync.database.queries import Statements
from rehook_sync.errors import SettingsError, StateVersionError
from rehook_sync.values import storable_json

__all__ = ["Rights", "read_durability", "require_folder"]

_STATE_URL = "REHOOK_SYNC_STATE_URL"
_FORGETS = "the sync-state may lack what was sent last, and it would be sent again"


class Rights:
    """What this user may do in a PostgreSQL schema, asked once. Each method that requires a right raises one line with the GRANT."""

    def __init__(self, database: Database, queries: Statements, schema: str, needed: Sequence[str] | None = None) -> None:
        """Ask the catalog, for some tables or for all: information_schema would not tell what is absent from what is hidden."""
        self._queries = queries
        self._schema = schema
        self._needs_all = needed is None
        self._setting = database.setting
        values = {"schema": schema, "needed": None if needed is None else storable_json(list(needed))}
        with database.connect() as connection:
            self._found: Any = connection.execute(queries["read_rights"], values).one()

    @property
    def has_schema(self) -> bool:
        """Tell whether the schema is there."""
        return bool(self._found.has_schema)

    @property
    def has_tables(self) -> bool:
        """Tell whether the sync-state tables are there."""
        return bool(self._found.has_tables)

    def require_reading(self) -> None:
        """Raise StateVersionError when the sync-state tables cannot be read."""
        found = self._found
        if found.has_schema and not found.may_use:
            what = f"may not use schema {self._schema!r}, which is there"
            raise StateVersionError(self._refusal(what, found.owner, "grant_state_usage", "grant_state_tables"))
        if found.has_tables and not found.may_read:
            what = f"may not read all sync-state tables in schema {self._schema!r}"
            grant = "grant_state_tables" if self._needs_all else "grant_state_reading"
            raise StateVersionError(self._refusal(what, found.tables_owner, grant))

    def require_writing(self) -> None:
        """Raise SettingsError when the server only reads, StateVersionError when the sync-state tables cannot be written."""
        found = self._found
        if found.only_reads:
            only_reads = f"the database of {self._setting} can only be read, as on a hot standby"
            raise SettingsError(f"{only_reads}: set {_STATE_URL} to one that can be written")
        if found.has_tables and not found.may_write:
            what = f"may not write all sync-state tables in schema {self._schema!r}"
            raise StateVersionError(self._refusal(what, found.tables_owner, "grant_state_tables"))

    def require_upgrading(self) -> None:
        """Raise StateVersionError when this user cannot create or change the sync-state tables."""
        found = self._found
        if found.has_tables and not found.owns_tables:
            who = f"user {found.writer!r} of {self._setting} may not change the sync-state tables in schema {self._schema!r}"
            raise StateVersionError(f"{who}: run `python -m rehook_sync init` as their owner, {found.tables_owner!r}")
        if not found.may_create and found.has_schema:
            what = f"may not create tables in schema {self._schema!r}"
            raise StateVersionError(self._refusal(what, found.owner, "grant_state_creation"))
        if not found.may_create:
            what = f"may not create schema {self._schema!r} in database {found.database!r}"
            raise StateVersionError(self._refusal(what, "its owner", "give_state_schema"))

    def _refusal(self, what: str, owner: str, *grants: str) -> str:
        told = "; ".join(str(self._queries.fill(each, schema=self._schema, writer=self._found.writer)) for each in grants)
        return f"user {self._found.writer!r} of {self._setting} {what}; let {owner} run: {told}"


def read_durability(database: Database) -> list[str]:
    """Return what may make the server of the sync-state forget a mark that it has committed, one line each."""
    if database.dialect != "postgresql":
        return []
    with database.connect() as connection:
        found = connection.execute(Statements("state", database.engine.dialect)["read_durability"]).one()
    off = [name for name, is_on in (("fsync", found.syncs), ("full_page_writes", found.writes_pages)) if not is_on]
    notes = (
        [f"{' and '.join(off)} of the server {'are' if len(off) > 1 else 'is'} off: when its machine crashes, {_FORGETS}"] if off else []
    )
    if found.replicas and not found.waits:
        follow = "1 replica follows" if found.replicas == 1 else f"{found.replicas} replicas follow"
        notes.append(f"{follow} the server and it waits for none (synchronous_standby_names is empty): after a failover, {_FORGETS}")
    return notes


def require_folder(database: Database) -> None:
    """Raise SettingsError when the folder of a SQLite file is not there: `init` could not create the file either."""
    path = database.file
    if path is not None and not path.parent.is_dir():
        missing = f"{database.setting}: there is no folder {str(path.parent)!r} for the SQLite file {path.name!r}"
        raise SettingsError(f"{missing}; make it, or set {_STATE_URL}")
