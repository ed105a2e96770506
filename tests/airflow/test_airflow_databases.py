"""Databases by Airflow's connections: their hooks connect, and nothing of a connection is lost. The servers here have no TLS."""

import json
import socket
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from threading import Thread
from typing import Any

import airflow_home
import pytest
from sqlalchemy import make_url, text

from rehook_sync.demo.shop import build_shop
from rehook_sync.errors import RehookSyncError, SettingsError, SourceError
from rehook_sync.sandbox.server import Sandbox
from rehook_sync.sync import Sync

airflow_database = airflow_home.airflow_database
pytestmark = pytest.mark.usefixtures("airflow_database")
Tell = Callable[..., None]
NO_CREDENTIALS = {
    "AWS_EC2_METADATA_DISABLED": "true",
    "AWS_CONFIG_FILE": "/dev/null",
    "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
    "SNOWFLAKE_DISABLE_PLATFORM_DETECTION": "true",
}


@pytest.fixture
def door(postgres_url: str) -> Iterator[int]:
    """A port that leads to the server's socket: over a socket, nobody asks for TLS."""
    target = str(Path(str(make_url(postgres_url).query["host"]), ".s.PGSQL.5432"))

    def pump(source: socket.socket, sink: socket.socket) -> None:
        try:
            while data := source.recv(65536):
                sink.sendall(data)
        except OSError:
            pass
        for each in (source, sink):
            each.close()

    def serve(listener: socket.socket) -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            server = socket.socket(socket.AF_UNIX)
            server.connect(target)
            for pair in ((client, server), (server, client)):
                Thread(target=pump, args=pair, daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        Thread(target=serve, args=(listener,), daemon=True).start()
        yield int(listener.getsockname()[1])
        listener.shutdown(socket.SHUT_RDWR)


@pytest.fixture
def tell(monkeypatch: pytest.MonkeyPatch, door: int, postgres_url: str, tmp_path: Path) -> Tell:
    """Tell Airflow of a warehouse of some type behind the door. No driver looks for credentials on this machine."""
    for name, value in NO_CREDENTIALS.items():
        monkeypatch.setenv(name, value)

    def told(conn_type: str, **more: Any) -> None:
        database = {
            "conn_type": conn_type,
            "host": "127.0.0.1",
            "port": door,
            "login": "postgres",
            "schema": make_url(postgres_url).database,
        }
        monkeypatch.setenv("AIRFLOW_CONN_REHOOK_WAREHOUSE", json.dumps({**database, **more}))
        if conn_type != "postgres":
            monkeypatch.setenv("REHOOK_SYNC_STATE_URL", f"sqlite:///{tmp_path / 'state.db'}")

    return told


def opened() -> Sync:
    from rehook_sync.airflow.connections import read_job

    settings, connectors = read_job({}, "rehook_default", "rehook_warehouse")
    return Sync(settings, connectors=connectors)


def refused() -> str:
    """What is said when the warehouse is looked at."""
    with pytest.raises(RehookSyncError) as caught, opened() as sync:
        sync.discover()
    return str(caught.value)


def test_a_demand_for_tls_in_a_postgres_connection_is_kept(tell: Tell, postgres_url: str) -> None:
    build_shop(postgres_url, users=50, now=airflow_home.an_hour_ago())
    tell("postgres", extra={"sslmode": "disable"})
    with opened() as sync:
        assert list(sync.discover()) == ["default"]
    for mode in ("require", "verify-full"):
        tell("postgres", extra={"sslmode": mode, "sslrootcert": "system"} if mode == "verify-full" else {"sslmode": mode})
        assert "SSL was required" in (said := refused())
        assert said.startswith("cannot connect to the database of connection 'rehook_warehouse' of the type 'postgres': ")


def test_what_a_postgres_connection_says_of_its_session_stays(tell: Tell, door: int) -> None:
    tell("postgres", extra={"application_name": "of the connection", "connect_timeout": 3, "cursor": "dictcursor"})
    with opened() as sync:
        sync.init()
        for database in (sync._warehouse, sync._state_database):
            with database.connect() as connection:
                assert connection.execute(text("SHOW application_name")).scalar_one() == "of the connection"
                driver: Any = connection.connection.driver_connection
                said = driver.info.get_parameters()
                assert (said["connect_timeout"], said["keepalives_idle"], said["port"]) == ("3", "30", str(door))


def test_a_whole_run_goes_through_a_hook(tell: Tell, postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from rehook_sync.jobs.results import RunOptions
    from rehook_sync.rules.watermark import Beginning
    from rehook_sync.runtime import Interrupt

    facts = build_shop(postgres_url, users=50, now=airflow_home.an_hour_ago())
    tell("postgres", extra={"sslmode": "disable"})
    with Sandbox() as sandbox:
        rehook = {"conn_type": "rehook", "host": sandbox.url, "login": sandbox.credentials.key, "password": sandbox.credentials.secret}
        monkeypatch.setenv("AIRFLOW_CONN_REHOOK_DEFAULT", json.dumps(rehook))
        with opened() as sync:
            sync.init()
            result = sync.run(RunOptions(since=Beginning.BEGINNING), Interrupt())
        assert result.error is None
        assert result.summary.rows_read == sum(facts.distinct.values())


def test_a_failure_names_the_hooks_own_error(tell: Tell) -> None:
    tell("postgres", extra={"iam": True, "aws_conn_id": "not_there"})
    said = refused()
    assert said.startswith("connection 'rehook_warehouse' of the type 'postgres': ")
    assert "apache-airflow-providers-amazon not installed" in said or "You must specify a region" in said


def test_a_redshift_by_the_postgres_type_is_refused(tell: Tell) -> None:
    tell("postgres", extra={"redshift": True})
    with pytest.raises(SettingsError, match="make it a connection of the type 'redshift'"):
        opened()


def test_no_extra_is_lost_where_a_provider_is_missing(tell: Tell, monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(self: Any, **_: object) -> None:
        raise RuntimeError(f'Unknown hook type "{self.conn_type}"')

    for module in ("airflow.sdk.definitions.connection", "airflow.models.connection"):  # outside of tasks, Airflow 3.1 has the second
        monkeypatch.setattr(import_module(module).Connection, "get_hook", unknown)
    tell("postgres", password="p@ss:w/rd")
    from rehook_sync.airflow.connections import read_job

    url = make_url(read_job({}, "rehook_default", "rehook_warehouse")[0].warehouse_url.get_secret_value())
    assert (url.password, url.host) == ("p@ss:w/rd", "127.0.0.1")
    tell("postgres", password="p@ss:w/rd", extra={"sslmode": "require"})
    with pytest.raises(SettingsError, match=r"Unknown hook type .* install the provider"):
        read_job({}, "rehook_default", "rehook_warehouse")


def test_a_redshift_connection_keeps_tls_and_goes_over_its_hook(tell: Tell) -> None:
    for module in ("airflow.providers.amazon.aws.hooks.redshift_sql", "sqlalchemy_redshift"):
        pytest.importorskip(module)
    tell("redshift", password="x", extra={"sslmode": "verify-full"})
    assert "SSL" in refused()
    tell("redshift", extra={"iam": True, "cluster_identifier": "c", "region": "eu-west-1"})
    assert refused().startswith("connection 'rehook_warehouse' of the type 'redshift': NoRegionError: ")


def test_a_databricks_connection_keeps_tls_and_goes_over_its_hook(tell: Tell, door: int) -> None:
    pytest.importorskip("airflow.providers.databricks.hooks.databricks_sql")
    tell("databricks", password="token", extra={})
    with pytest.raises(SettingsError, match="names no http_path"):
        opened()
    tell(
        "databricks",
        host=f"localhost:{door}",
        password="token",
        extra={"http_path": "/sql/1.0/warehouses/1", "_retry_stop_after_attempts_count": 1},
    )
    assert "databricks" in refused()


def test_a_databricks_connection_gives_its_driver_what_reading_relies_on(tell: Tell, monkeypatch: pytest.MonkeyPatch) -> None:
    """There is no Databricks here, so the driver only notes what it is given."""
    hooks = pytest.importorskip("airflow.providers.databricks.hooks.databricks_sql")
    given: dict[str, Any] = {}

    def connect(*place: object, **options: Any) -> object:
        given.update(options, place=place)
        raise hooks.sql.exc.OperationalError("no such warehouse")

    monkeypatch.setattr(hooks.sql, "connect", connect)
    extra = {"http_path": "/sql/1.0/warehouses/1", "catalog": "main", "_tls_trusted_ca_file": "/ca.pem"}
    session = {"session_configuration": {"ansi_mode": "true"}}
    tell("databricks", host="dbc-1.cloud.databricks.com", login=None, schema="shop", password="dapi-s3cret", extra={**extra, **session})
    assert "no such warehouse" in (said := refused())
    assert said.startswith("cannot connect to the database of connection 'rehook_warehouse' of the type 'databricks': ")
    assert "s3cret" not in said
    assert given["place"] == ("dbc-1.cloud.databricks.com", "/sql/1.0/warehouses/1", "dapi-s3cret")
    assert (given["catalog"], given["schema"], given["_tls_trusted_ca_file"]) == ("main", "shop", "/ca.pem")
    assert given["session_configuration"] == {"timezone": "UTC", "ansi_mode": "true"}
    ours = ("_use_arrow_native_complex_types", "_disable_pandas", "enable_telemetry", "use_cloud_fetch")
    assert [given[name] for name in ours] == [False, True, False, False]
    tell("databricks", host="h", login=None, password="dapi-s3cret", extra={**extra, "_use_arrow_native_complex_types": True})
    with pytest.raises(SettingsError, match="_use_arrow_native_complex_types: leave it out"), opened() as sync:
        sync.discover()


def test_a_snowflake_connection_gives_its_driver_all_of_it(tell: Tell, monkeypatch: pytest.MonkeyPatch) -> None:
    """The driver would ask the machine and the network who they are, so it only notes what it is given."""
    pytest.importorskip("airflow.providers.snowflake.hooks.snowflake")
    import snowflake.connector

    given: dict[str, Any] = {}

    def connect(**options: Any) -> object:
        given.update(options)
        raise snowflake.connector.errors.OperationalError("no such account")

    monkeypatch.setattr(snowflake.connector, "connect", connect)
    extra = {"account": "acct", "region": "eu", "database": "shop", "warehouse": "wh", "role": "reader", "ocsp_fail_open": False}
    tell("snowflake", schema="prod", extra={**extra, "session_parameters": {"TIMEZONE": "Asia/Tokyo", "WEEK_START": 1}}, password="x")
    assert "no such account" in (said := refused())
    assert said.startswith("cannot connect to the database of connection 'rehook_warehouse' of the type 'snowflake': ")
    assert {name: given[name] for name in extra} == extra
    assert (given["session_parameters"]["TIMEZONE"], given["session_parameters"]["WEEK_START"]) == ("UTC", 1)


@pytest.mark.parametrize("conn_type", ["gcpbigquery", "google_cloud_platform"])
def test_a_google_connection_goes_over_its_hook(tell: Tell, conn_type: str) -> None:
    pytest.importorskip("airflow.providers.google.cloud.hooks.bigquery")
    tell(conn_type, extra={"project": "p", "keyfile_dict": "{}"})
    with pytest.raises((SettingsError, SourceError), match=f"of the type '{conn_type}'"), opened() as sync:
        sync.discover()
