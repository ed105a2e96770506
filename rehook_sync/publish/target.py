"""The tables and views of the copy, in the schema where it is."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from sqlalchemy import Connection, TextClause

from rehook_sync.database.engine import Database
from rehook_sync.database.queries import Identifier, Statements
from rehook_sync.errors import LeaseLostError, SettingsError
from rehook_sync.state.publication.publications import Publication
from rehook_sync.values import storable_json

__all__ = ["PUBLISH_SCHEMA", "TABLES", "VIEWS", "Target"]

PUBLISH_SCHEMA = "REHOOK_SYNC_PUBLISH_SCHEMA"


@dataclass(frozen=True, slots=True)
class Copied:
    """A table of the copy, and the statements that make, write and clear it.

    Shape:  columns: those that this version writes.  keys: part of a key, as it is told to `remove` -> its column.
    """

    name: str
    make: str
    put: str
    remove: str
    columns: frozenset[str]
    keys: Mapping[str, str] = field(default_factory=dict)

    def key(self, row: Mapping[str, object]) -> dict[str, str]:
        """Return the key of a row, by the names that the statement which removes rows has for its parts."""
        return {member: str(row[column]) for member, column in self.keys.items()}


def _columns(text: str) -> frozenset[str]:
    return frozenset(text.split())


TABLES: Mapping[str, Copied] = {
    "calls": Copied(
        "sync_state",
        "make_calls",
        "put_calls",
        "remove_calls",
        _columns(
            "stream message_id user_id event received_at occurred_at status reason detail http_status attempts sent_as run_id "
            "first_seen_at settled_at source"
        ),
        {"stream": "stream", "id": "message_id"},
    ),
    "customers": Copied(
        "sync_customers",
        "make_customers",
        "put_customers",
        "remove_customers",
        _columns("source_id referral_code accepted_code first_sent_at last_sent_at last_message_id refreshed_by code_carried_at"),
        {"id": "source_id"},
    ),
    "runs": Copied(
        "sync_runs",
        "make_runs",
        "put_runs",
        "remove_runs",
        _columns(
            "run_id trigger status since_at until_at started_at finished_at rows_read sent rejected failed in_doubt unchanged merged "
            "requests error version waiting properties_wait_s skipped kind settings open_periods"
        ),
        {"id": "run_id"},
    ),
    "watermarks": Copied(
        "sync_watermarks",
        "make_watermarks",
        "put_watermarks",
        "remove_watermarks",
        _columns("run_id stream low_at high_at rows_new recorded_at source lacks_table"),
        {each: each for each in ("run_id", "source", "stream")},
    ),
}
"""What the rows are of -> their table."""
_PUBLISHED = Copied("sync_published", "make_published", "", "", _columns("publication_id turn version is_whole published_at"))
VIEWS: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "v1_runs": ("make_v1_runs", ("sync_runs",)),
    "v1_rejections": ("make_v1_rejections", ("sync_state",)),
    "v1_waiting": ("make_v1_waiting", ("sync_state", "sync_runs")),
    "v1_attention": ("make_v1_attention", ("sync_state", "v1_waiting")),
    "v1_customer_timeline": ("make_v1_customer_timeline", ("sync_state", "sync_customers")),
    "v1_freshness": ("make_v1_freshness", ("sync_watermarks",)),
    "v1_unsettled_by_day": ("make_v1_unsettled_by_day", ("sync_state",)),
    "v1_calls_by_day": ("make_v1_calls_by_day", ("sync_state",)),
    "v1_customers": ("make_v1_customers", ("sync_customers",)),
    "v1_referral_codes": ("make_v1_referral_codes", ("sync_customers", "sync_state")),
}
"""View -> its statement, and the tables and views that it is made of, which stand before it."""
_STATES = frozenset({"sync_migrations", "sync_lease"})
"""Tables that only a sync-state has."""


class Target:
    """One schema of one database that has the copy, or is to have it."""

    def __init__(self, database: Database, schema: str) -> None:
        """Wrap a database that may be written."""
        self.database = database
        self._own = database.warehouse.own_name
        self.schema = self._own(schema)
        self._sql = Statements("publish", database.engine.dialect)
        self._catalog: tuple[str, ...] = ()
        self._publication: Publication | None = None

    @property
    def place(self) -> str:
        """Return the schema, for messages."""
        return f"schema {self.schema!r} of {self.database.setting}"

    def check(self) -> bool:
        """Tell whether the copy is there. Raises SettingsError when the schema belongs to somebody else."""
        with self.database.connect() as connection:
            return _PUBLISHED.name in self._find(connection)

    def _find(self, connection: Connection) -> set[str]:
        """Return the names of ours that are there. Raises SettingsError when they are not of a copy."""
        names = {str(each).lower() for each in connection.execute(self._sql["list_names"], {"schema": self.schema}).scalars()}
        if states := names & _STATES:
            raise SettingsError(f"{PUBLISH_SCHEMA}: {self.place} holds a sync-state ({min(states)}): name a schema of its own for the copy")
        ours = names & {*(each.name for each in TABLES.values()), *VIEWS, _PUBLISHED.name}
        if ours and _PUBLISHED.name not in ours:
            raise SettingsError(
                f"{PUBLISH_SCHEMA}: {self.place} has a table {min(ours)!r} that `publish` did not make: name another schema"
            )
        return ours

    def read_turn(self, publication_id: str | None) -> int:
        """Return the last turn of the copy that is there, 0 without one.

        Raises: SettingsError when it is another sync-state's, or what is there is no copy.
        """
        with self.database.connect() as connection:
            self._look_around(connection)
            if _PUBLISHED.name not in self._find(connection):
                return 0
            found = connection.execute(self._fill("read_published", table=_PUBLISHED.name)).first()
        if found is None:
            return 0
        if found.publication_id != publication_id:
            raise SettingsError(
                f"{PUBLISH_SCHEMA}: {self.place} has the copy of another sync-state: name another schema, or drop its tables and views"
            )
        return int(found.turn)

    def make(self, publication: Publication) -> None:
        """Make the copy, without rows, in the place of the one that is there. Tables that are as they must be are only emptied.

        Raises: SettingsError as `read_turn`.
        """
        self.read_turn(publication.publication_id)
        with self.database.transaction() as connection:
            found = self._find(connection)
            if not self._look_around(connection):
                connection.execute(self._sql.fill("make_schema", schema=self.schema))
            self._make_tables(connection, found)
            connection.execute(self._fill("empty_table", table=_PUBLISHED.name))
            values = {"publication_id": publication.publication_id, "turn": publication.turn, "version": publication.version}
            connection.execute(self._fill("claim_published", table=_PUBLISHED.name), values)
            for view, (statement, parts) in VIEWS.items():
                names: dict[str, Identifier] = {each: self._name(each) for each in parts}
                connection.execute(self._sql.fill(statement, view=self._name(view), **names, **self._trigger(view == "v1_runs")))
        self._publication = publication

    def _make_tables(self, connection: Connection, found: set[str]) -> None:
        """Make the tables that are missing or not as they must be, and empty the others."""
        tables = (_PUBLISHED, *TABLES.values())
        altered = [each for each in tables if each.name in found and not self._fits(connection, each)]
        for view in reversed(list(VIEWS)):
            if view in found and (altered or not self.database.warehouse.replaces_views):
                connection.execute(self._fill("drop_view", view=view))
        for each in tables:
            if each in altered:
                connection.execute(self._fill("drop_table", table=each.name))
            connection.execute(self._on(each.make, each))
            if each.name in found and each not in altered:
                connection.execute(self._fill("empty_table", table=each.name))

    def _fits(self, connection: Connection, table: Copied) -> bool:
        """Tell whether a table has the columns that this version writes."""
        found = connection.execute(self._fill("read_columns", table=table.name)).keys()
        return {str(each).lower() for each in found} == table.columns

    def take(self, publication: Publication) -> None:
        """Go on with the copy that is there. Raises SettingsError when it is gone, or not the one that was left."""
        with self.database.transaction() as connection:
            self._look_around(connection)
            if _PUBLISHED.name not in self._find(connection):
                raise SettingsError(f"the copy in {self.place} is gone: `publish --whole` makes it anew")
            found = connection.execute(self._fill("read_published", table=_PUBLISHED.name)).first()
            if found is None or found.publication_id != publication.publication_id or found.turn >= publication.turn:
                raise SettingsError(
                    f"the copy in {self.place} is not of this sync-state as it is now (was one of them restored from a backup?): "
                    "`publish --whole` makes it anew"
                )
            values = {"publication_id": publication.publication_id, "turn": publication.turn}
            connection.execute(self._fill("take_published", table=_PUBLISHED.name), values)
        self._publication = publication

    def put(self, rows: str, page: Sequence[Mapping[str, object]], gone: Sequence[Mapping[str, str]] = ()) -> None:
        """Write a batch of rows, and remove those that are gone. Raises LeaseLostError when another publication has begun."""
        table = TABLES[rows]
        if not self.database.warehouse.replaces_rows:
            gone = [*gone, *(table.key(each) for each in page)]
        with self._held() as connection:
            if gone:
                connection.execute(self._on(table.remove, table), {"rows": storable_json(gone)})
            if page:
                # What is NULL is left out: not every database reads the null of JSON as NULL.
                told = [{name: value for name, value in row.items() if value is not None} for row in page]
                connection.execute(self._on(table.put, table), {"rows": storable_json(told)})

    def finish(self) -> None:
        """Say that the copy is whole."""
        with self._held() as connection:
            connection.execute(self._fill("finish_published", table=_PUBLISHED.name), self._turn)

    @property
    def _turn(self) -> dict[str, object]:
        if self._publication is None:
            return {}
        return {"publication_id": self._publication.publication_id, "turn": self._publication.turn}

    @contextmanager
    def _held(self) -> Iterator[Connection]:
        """Open a transaction that keeps others from taking the copy over. Raises LeaseLostError when one has."""
        with self.database.transaction() as connection:
            connection.execute(self._fill("hold_published", table=_PUBLISHED.name), self._turn)
            found = connection.execute(self._fill("read_published", table=_PUBLISHED.name)).first()
            if found is None or found.turn != self._turn["turn"]:
                raise LeaseLostError(f"another run has begun to bring the copy in {self.place} up to date; this one leaves it alone")
            yield connection

    def _look_around(self, connection: Connection) -> bool:
        """Tell whether the schema is there, and learn how its tables are named."""
        found = connection.execute(self._sql["find_place"], {"schema": self.schema}).one()
        self._catalog = () if found.catalog is None else (str(found.catalog),)
        return bool(found.schemas)

    def _name(self, table: str) -> tuple[str, ...]:
        return (*self._catalog, self.schema, self._own(table))

    def _fill(self, query: str, **names: str) -> TextClause:
        return self._sql.fill(query, **{name: self._name(table) for name, table in names.items()})

    def _on(self, query: str, table: Copied) -> TextClause:
        """Return a statement on a table."""
        is_written = query in {table.make, table.put}
        return self._sql.fill(query, table=self._name(table.name), **self._trigger("trigger" in table.columns and is_written))

    def _trigger(self, named: bool) -> dict[str, Identifier]:
        """Return the name of a column that is a word of SQL in some databases."""
        return {"trigger": self._own("trigger")} if named else {}
