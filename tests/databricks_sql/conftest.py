"""A schema of a Databricks workspace for each test."""

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from accounting import Bench
from beds.databricks.bed import DatabricksBed, opened_workspace
from warehouse import OPTIONS, run_sql

from rehook_sync.sandbox.server import Sandbox


@pytest.fixture(scope="session")
def databricks_bed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DatabricksBed]:
    """A server with Spark; a test that needs it is skipped where there is no Java."""
    with opened_workspace(tmp_path_factory.mktemp("databricks")) as bed:
        OPTIONS[bed.url("default")] = bed.options
        yield bed


@pytest.fixture
def databricks_url(databricks_bed: DatabricksBed) -> Iterator[str]:
    """A fresh, empty schema."""
    schema = f"test_{uuid.uuid4().hex[:12]}"
    run_sql(databricks_bed.url("default"), f"CREATE SCHEMA {schema}")
    url = databricks_bed.url(schema)
    OPTIONS[url] = databricks_bed.options
    yield url
    run_sql(databricks_bed.url("default"), f"DROP SCHEMA {schema} CASCADE")


@pytest.fixture
def bench(databricks_url: str, tmp_path: Path) -> Iterator[Bench]:
    """The job, with that schema as its warehouse and its sync-state in a SQLite file."""
    with Sandbox() as sandbox:
        bench = Bench(databricks_url, f"sqlite:///{tmp_path / 'state.db'}", sandbox)
        with bench.sync() as sync:
            sync.init()
        yield bench
