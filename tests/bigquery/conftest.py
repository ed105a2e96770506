"""A BigQuery project for each test, behind the REST API that Google's client speaks."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from accounting import Bench
from beds.bigquery.engine import GoogleSql
from beds.bigquery.project import Project
from beds.bigquery.server import Bed, open_bed

from rehook_sync.sandbox.server import Sandbox


@pytest.fixture(scope="session")
def googlesql() -> GoogleSql:
    """The engine."""
    return GoogleSql()


@pytest.fixture(scope="session")
def key_file(googlesql: GoogleSql, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The key of a service account, for which a token server stands until the end."""
    with open_bed(Project(googlesql, "keys")) as bed:
        yield bed.write_key(tmp_path_factory.mktemp("keys") / "key.json")


@pytest.fixture
def bed(googlesql: GoogleSql, key_file: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bed]:
    """A server with one empty dataset, `shop`, that Google's client finds by its environment."""
    project = Project(googlesql, "my-project")
    project.datasets["shop"] = {}
    with open_bed(project) as bed:
        monkeypatch.setenv("BIGQUERY_EMULATOR_HOST", bed.host)
        monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(key_file))
        yield bed


@pytest.fixture
def bench(bed: Bed, tmp_path: Path) -> Iterator[Bench]:
    """The job, with that server as its warehouse and its sync-state in a SQLite file."""
    with Sandbox() as sandbox:
        bench = Bench(f"bigquery://{bed.project.name}/shop", f"sqlite:///{tmp_path / 'state.db'}", sandbox)
        with bench.sync() as sync:
            sync.init()
        yield bench
