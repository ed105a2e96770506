"""The SQL files are found from a plain checkout, an editable install and a wheel, and nothing else slips into the wheel."""

import os
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

from .source_tree import ROOT

LOOK = """
import site, sys
[site.addsitedir(each) for each in sys.argv[1:]]
import rehook_sync
from rehook_sync.database.queries import load_migrations, load_queries, sql_folder
assert load_migrations("sqlite") and load_queries("state", "postgresql") and load_queries("warehouse", "sqlite")
print(rehook_sync.__file__, sql_folder(), sep="\\n")
"""


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the project elsewhere, so that finding this one instead is noticed."""
    copy = tmp_path_factory.mktemp("dist") / "checkout"
    copy.mkdir()
    for name in ("pyproject.toml", "README.md", "LICENSE", "CHANGELOG.md", ".gitignore"):
        shutil.copy(ROOT / name, copy / name)
    for name in ("rehook_sync", "sql", "dags", "tests/house"):
        shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
    return copy


@pytest.fixture(scope="module")
def wheel(checkout: Path) -> Path:
    run(sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(checkout.parent / "wheel"), cwd=checkout)
    (built,) = (checkout.parent / "wheel").glob("*.whl")
    return built


def run(*command: str, cwd: Path) -> str:
    done = subprocess.run(command, cwd=cwd, env={**os.environ, **environment()}, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def environment() -> dict[str, str]:
    """The installed libraries without the .pth files beside them: an editable install of this checkout must not help."""
    return {"PYTHONPATH": sysconfig.get_path("purelib"), "PYTHONDONTWRITEBYTECODE": "1", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}


def look(cwd: Path, *sites: Path) -> list[Path]:
    """Ask a fresh process where it finds the package and its SQL."""
    return [Path(line) for line in run(sys.executable, "-S", "-c", LOOK, *map(str, sites), cwd=cwd).splitlines()]


def install(what: str, target: Path, cwd: Path) -> None:
    options = ("--quiet", "--no-deps", "--no-index", "--no-build-isolation", "--root-user-action=ignore", "--target", str(target))
    run(sys.executable, "-m", "pip", "install", *options, *what.split(), cwd=cwd)


def test_plain_checkout_finds_its_sql(checkout: Path) -> None:
    assert look(checkout) == [checkout / "rehook_sync" / "__init__.py", checkout / "sql"]


def test_editable_install_finds_its_sql(checkout: Path, tmp_path: Path) -> None:
    install("--editable .", tmp_path / "site", checkout)
    assert look(tmp_path, tmp_path / "site") == [checkout / "rehook_sync" / "__init__.py", checkout / "sql"]


def test_wheel_finds_its_sql(wheel: Path, tmp_path: Path) -> None:
    site = tmp_path / "site"
    install(str(wheel), site, tmp_path)
    assert look(tmp_path, site) == [site / "rehook_sync" / "__init__.py", site / "rehook_sync" / "sql"]


def test_wheel_holds_the_package_its_sql_and_nothing_else(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    sql = {f"rehook_sync/{path.relative_to(ROOT).as_posix()}" for path in (ROOT / "sql").rglob("*") if path.is_file()}
    assert sql <= names
    assert {f"rehook_sync/airflow/example_dags/{path.name}" for path in (ROOT / "dags").glob("*.py")} <= names
    assert "rehook_sync/report/page.html.jinja" in names
    assert {name.partition("/")[0].partition("-")[0] for name in names} == {"rehook_sync"}
    assert {"rehook_sync/sql/dbt/dbt_project.yml", "rehook_sync/sql/v1_shape.txt"} <= sql
    assert [name for name in names if ("test" in name and name not in sql) or name.endswith((".db", ".pyc"))] == []


def test_wheel_carries_its_types_and_its_license(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    assert "rehook_sync/py.typed" in names
    assert any(name.endswith("licenses/LICENSE") for name in names)
