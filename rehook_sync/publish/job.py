"""Where the copy for analysts is, by the settings, and the two ways to bring it up to date: when asked for, and after a run."""

from contextlib import closing

from rehook_sync.database.dialects.record import Connecting
from rehook_sync.database.engine import Database, open_database
from rehook_sync.errors import RehookSyncError, SettingsError
from rehook_sync.inputs.places import backend_of
from rehook_sync.publish.publisher import Publisher, PublishReport
from rehook_sync.publish.target import PUBLISH_SCHEMA, Target
from rehook_sync.runtime import Interrupt
from rehook_sync.settings import Settings, without_userinfo
from rehook_sync.state.ledger import Ledger
from rehook_sync.state.publication.publications import Publications

__all__ = ["check_place", "end_publication", "note_publication", "publish"]


def publish(settings: Settings, ledger: Ledger, interrupt: Interrupt, *, whole: bool = False) -> PublishReport:
    """Bring the copy up to date. The ledger holds the lease. `whole`: make it anew.

    Raises: SettingsError when there is no place for it, or one that cannot have it, and what the databases raise.
    """
    database, schema = _open(settings, ledger.database)
    with closing(database):
        target = Target(database, schema)
        return Publisher(ledger, target, _place(settings, database), interrupt).publish(whole=whole)


def note_publication(settings: Settings, ledger: Ledger, interrupt: Interrupt) -> list[str]:
    """Bring the copy up to date after a run, if there is to be one. Returns notes for the user; the run is as good as it was."""
    try:
        report = publish(settings, ledger, interrupt)
    except RehookSyncError as error:
        return [f"the copy for analysts was not brought up to date, and the next run tries again: {error}"]
    return ["the copy for analysts is not up to date yet: the next run goes on with it"] if report.interrupted else []


def check_place(settings: Settings, state: Database) -> str:
    """Return where the copy is, and whether it is there. Raises: as `publish`; writes nothing."""
    database, schema = _open(settings, state)
    with closing(database):
        target = Target(database, schema)
        return f"{'the copy is' if target.check() else '`publish` makes the copy'} in {_place(settings, database)}"


def end_publication(ledger: Ledger) -> bool:
    """Note no changes any more. Tells whether there was a copy; it stays as it is."""
    known = Publications(ledger.database)
    if known.read() is None:
        return False
    with ledger.transaction() as connection:
        known.forget(connection)
    return True


def _open(settings: Settings, state: Database) -> tuple[Database, str]:
    schema = settings.publish_schema
    if schema is None:
        raise SettingsError(f"{PUBLISH_SCHEMA}: missing: nothing says where the copy is to be; example: {PUBLISH_SCHEMA}=analytics")
    own = settings.publish_url is not None
    url = (settings.publish_url or settings.warehouse_url).get_secret_value()
    database = open_database(
        url,
        "REHOOK_SYNC_PUBLISH_URL" if own else "REHOOK_SYNC_WAREHOUSE_URL",
        may_create=own,
        search_path=schema,
        connecting=_connecting(settings, url),
    )
    if not database.warehouse.publishes:
        raise SettingsError(f"{PUBLISH_SCHEMA}: a copy cannot be made in {database.dialect}")
    if database.file is not None and database.file == state.file:
        raise SettingsError(f"{PUBLISH_SCHEMA}: the sync-state is in {database.file}: let REHOOK_SYNC_PUBLISH_URL lead to another file")
    return database, schema


def _connecting(settings: Settings, url: str) -> Connecting:
    if settings.copy_driver_options:
        return Connecting(settings.copy_driver_options, "REHOOK_SYNC_PUBLISH_OPTIONS", publishes=True)
    same_driver = backend_of(url) == backend_of(settings.warehouse_url.get_secret_value())
    return Connecting(settings.driver_options if same_driver else {}, publishes=True)


def _place(settings: Settings, database: Database) -> str:
    """Return a text that tells one place from another, without user and password."""
    url = (settings.publish_url or settings.warehouse_url).get_secret_value()
    return f"{without_userinfo(url) if database.file is None else database.file} {settings.publish_schema}"
