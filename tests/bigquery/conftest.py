"""A BigQuery project for each test, behind the REST API that Google's client speaks."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from beds.bigquery.engine import GoogleSql
from beds.bigquery.project import Project
from beds.bigquery.server import Bed, open_bed


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
