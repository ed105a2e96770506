"""The tables and views of the copy, in the schema where it is."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, Row
from sqlalchemy.exc import DBAPIError

from rehook_sync.database.engine import Database
from rehook_sync.errors import DatabaseError, LeaseLostError, LockedError, SettingsError, TransientError
from rehook_sync.publish.rows import Batch, write_batch
from rehook_sync.publish.statements import PUBLISH_SCHEMA, CopyStatements
from rehook_sync.publish.tables import PUBLISHED, TABLES, VIEWS, Copied
from rehook_sync.state.publication.publications import Publication

__all__ = ["PUBLISH_SCHEMA", "Target"]

_STATES = frozenset({"sync_migrations", "sync_lease"})
"""Tables that only a sync-state has."""


class Target:
    """One schema of one database that has the copy, or is to have it."""

    def __init__(self, database: Database, schema: str) -> None:
        """Wrap a database that may be written."""
        self.database = database
        self._sql = CopyStatements(database, schema)
        self._publication: Publication | None = None
        self._found: set[str] = set()

    @property
    def place(self) -> str:
        """Return the schema, for messages."""
        return f"schema {self._sql.name!r} of {self.database.setting}"

    def check(self) -> bool:
        """Tell whether the copy is there. Raises SettingsError when the schema belongs to somebody else."""
        with self.database.connect() as connection:
            self._sql.look_around(connection)
            return PUBLISHED.name in self._find(connection)

    def _find(self, connection: Connection) -> set[str]:
        """Return the names of ours that are there. Raises SettingsError when they are not of a copy."""
        try:
            listed = connection.execute(self._sql.on_schema("list_names"), self._sql.place).scalars().all()
        except DBAPIError as error:
            if not self.database.warehouse.lacks_schema(error):
                raise
            raise SettingsError(f"{PUBLISH_SCHEMA}: {self.place} is not there, or may not be seen: make it where it is to be") from error
        names = {str(each).lower() for each in listed}
        if states := names & _STATES:
            raise SettingsError(f"{PUBLISH_SCHEMA}: {self.place} holds a sync-state ({min(states)}): name a schema of its own for the copy")
        ours = names & {*(each.name for each in TABLES.values()), *VIEWS, PUBLISHED.name}
        if ours and PUBLISHED.name not in ours:
            raise SettingsError(
                f"{PUBLISH_SCHEMA}: {self.place} has a table {min(ours)!r} that `publish` did not make: name another schema"
            )
        return ours

    def read_turn(self, publication_id: str | None) -> int:
        """Return the last turn of the copy that is there, 0 without one.

        Raises: SettingsError when it is another sync-state's, or what is there is no copy.
        """
        with self.database.connect() as connection:
            self._sql.look_around(connection)
            self._found = self._find(connection)
            found = self._read(connection) if PUBLISHED.name in self._found else None
        if found is None:
            return 0
        if found.publication_id != publication_id:
            raise SettingsError(
                f"{PUBLISH_SCHEMA}: {self.place} has the copy of another sync-state: name another schema, or drop its tables and views"
            )
        return int(found.turn)

    def compare(self, known: Publication, turn: int) -> None:
        """Tell whether the copy is the one that a sync-state knows. `turn`: its last one.

        Raises: SettingsError when it is gone, in whole or in part, or has had turns that the sync-state has not.
        """
        anew = "`publish --whole` makes it anew"
        if known.reached is None or not known.reached.is_first:
            if not turn:
                raise SettingsError(f"the copy in {self.place} is gone: {anew}")
            if missing := [each.name for each in TABLES.values() if each.name not in self._found]:
                raise SettingsError(f"the copy in {self.place} has no table {missing[0]!r} any more: {anew}")
        if turn > known.turn:
            raise SettingsError(
                f"the copy in {self.place} is not of this sync-state as it is now (was one of them restored from a backup?): {anew}"
            )

    def make(self, publication: Publication) -> None:
        """Make the copy, without rows, in the place of the one that is there. Tables that are as they must be are only emptied.

        Raises: SettingsError as `read_turn`, which is asked before whose copy it is; LeaseLostError when a later publication has begun.
        """
        self._publication = publication
        try:
            self._make(publication, drops_views=not self.database.warehouse.replaces_views)
        except (LockedError, TransientError):
            raise
        except DatabaseError:
            # Views that somebody put in the place of ours may have other columns, and then most databases do not replace them.
            self._make(publication, drops_views=True)

    def _make(self, publication: Publication, *, drops_views: bool) -> None:
        with self.database.transaction() as connection:
            is_there = self._sql.look_around(connection)
            found = self._find(connection)
            if not is_there:
                connection.execute(self._sql.on_schema("make_schema"))
            if PUBLISHED.name in found and self._read(connection) is not None:
                self._take(connection)
            self._make_tables(connection, found, drops_views=drops_views)
            connection.execute(self._sql.on("empty_table", PUBLISHED))
            connection.execute(self._sql.on("claim_published", PUBLISHED), {**self._turn, "version": publication.version})
            self._make_views(connection, list(VIEWS))

    def _make_views(self, connection: Connection, views: Sequence[str]) -> None:
        for view in views:
            connection.execute(self._sql.on_view(VIEWS[view][0], view))

    def _make_tables(self, connection: Connection, found: set[str], *, drops_views: bool) -> None:
        """Make the tables that are missing or not as they must be, and empty the others."""
        tables = (PUBLISHED, *TABLES.values())
        altered = [each for each in tables if each.name in found and not self._fits(connection, each)]
        for view in reversed(list(VIEWS)):
            if view in found and (altered or drops_views):
                connection.execute(self._sql.on_view("drop_view", view))
        for each in tables:
            if each in altered:
                connection.execute(self._sql.on("drop_table", each))
            connection.execute(self._sql.on(each.make, each))
            if each.name in found and each not in altered and each is not PUBLISHED:
                connection.execute(self._sql.on("empty_table", each))

    def _fits(self, connection: Connection, table: Copied) -> bool:
        """Tell whether a table has the columns that this version writes."""
        found = connection.execute(self._sql.on("read_columns", table)).keys()
        return {str(each).lower() for each in found} == table.columns

    def take(self, publication: Publication) -> None:
        """Go on with the copy that is there, which `compare` has looked at. Raises LeaseLostError when a later one has begun."""
        self._publication = publication
        with self.database.transaction() as connection:
            self._take(connection)
            self._make_views(connection, [view for view in VIEWS if view not in self._found])

    def _take(self, connection: Connection) -> None:
        """Let no earlier publication write any more. Raises LeaseLostError when a later one has begun."""
        connection.execute(self._sql.on("take_published", PUBLISHED), self._turn)
        self._insist(connection)

    def put(self, batch: Batch) -> None:
        """Write a batch of rows, and remove those that are gone. Raises LeaseLostError when another publication has begun."""
        for part in batch.parts(self.database.warehouse.published_bytes):
            with self._held() as connection:
                write_batch(connection, self.database.warehouse, self._sql, part, self._turn)

    def finish(self) -> None:
        """Say that the copy is whole."""
        with self._held() as connection:
            connection.execute(self._sql.on("finish_published", PUBLISHED), self._turn)

    @property
    def _turn(self) -> dict[str, object]:
        if self._publication is None:
            return {}
        return {"publication_id": self._publication.publication_id, "turn": self._publication.turn}

    @contextmanager
    def _held(self) -> Iterator[Connection]:
        """Open a transaction that keeps others from taking the copy over. Raises LeaseLostError when one has.

        Without transactions each statement looks for itself, and writes nothing then.
        """
        holds = self.database.warehouse.has_transactions
        with self.database.transaction() as connection:
            if holds:
                connection.execute(self._sql.on("hold_published", PUBLISHED), self._turn)
                self._insist(connection)
            yield connection
            if not holds:
                self._insist(connection)

    def _insist(self, connection: Connection) -> None:
        found = self._read(connection)
        if found is None or found.turn != self._turn["turn"]:
            raise self._lost()

    def _read(self, connection: Connection) -> Row[Any] | None:
        """Return whose copy it is, None when nobody has begun it."""
        return connection.execute(self._sql.on("read_published", PUBLISHED)).first()

    def _lost(self) -> LeaseLostError:
        return LeaseLostError(f"another run has begun to bring the copy in {self.place} up to date; this one leaves it alone")
