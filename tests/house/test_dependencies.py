"""What the project needs is pinned, explained and declared, each in one place that cannot drift from the others."""

import re
import sys
import tomllib
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.metadata import PackageNotFoundError, packages_distributions, requires, version
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from .source_tree import ROOT, read_imports, rooms

PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
EXTRAS: dict[str, list[str]] = PROJECT["project"]["optional-dependencies"]
SECTIONS = {
    "Runtime": PROJECT["project"]["dependencies"],
    "Build": PROJECT["build-system"]["requires"],
    **{f"Extra `{name}`": lines for name, lines in EXTRAS.items()},
}
PIN = re.compile(r"(?P<name>[a-z0-9]+(?:-[a-z0-9]+)*)==(?P<version>[0-9][0-9a-z.+!]*)")
ADDED = re.compile(r"# added by '\.\[(\w+)\]'")
"""The lines of constraints.txt below which are the tools of an extra that is not installed where the tests run."""
OPTIONAL = {"uvloop"}
"""Used where it happens to be installed; nothing is missing without it."""
COMES_WITH = {
    "markupsafe": "jinja2",
    "multidict": "aiohttp",
    "yarl": "aiohttp",
    "pydantic": "pydantic-settings",
    "numpy": "pandas",
    "click": "uvicorn",
}


def read_blocks() -> dict[str, dict[str, str]]:
    """Extra -> name -> version, in the order of constraints.txt; what the tests need comes first and is that of no extra."""
    blocks: dict[str, dict[str, str]] = {"": {}}
    for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines():
        if added := ADDED.fullmatch(line):
            blocks[added[1]] = {}
        elif pin := PIN.fullmatch(line):
            blocks[[*blocks][-1]][pin["name"]] = pin["version"]
    return blocks


def read_pins() -> dict[str, str]:
    return {name: version for block in read_blocks().values() for name, version in block.items()}


def needed(extra_lines: Sequence[str] = EXTRAS["test"]) -> set[str]:
    """Names of all distributions that the project with its test extra, or another, and its build backend needs on this machine."""
    queue = [Requirement(line) for line in (*SECTIONS["Runtime"], *SECTIONS["Build"], *extra_lines)]
    seen: set[tuple[str, str]] = set()
    while queue:
        requirement = queue.pop()
        name = str(canonicalize_name(requirement.name))
        for extra in (*requirement.extras, ""):
            if (name, extra) in seen:
                continue
            seen.add((name, extra))
            lines = EXTRAS.get(extra, []) if name == "rehook-sync" else requires(name) or []
            below = [Requirement(line) for line in lines]
            queue += [each for each in below if each.marker is None or each.marker.evaluate({"extra": extra})]
    return {name for name, _ in seen} - {"rehook-sync"}


def test_constraints_hold_names_and_versions_only() -> None:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = [line for line in lines if not line.startswith("#")]
    assert [line for line in pins if not PIN.fullmatch(line)] == []
    assert len({line.partition("==")[0] for line in pins}) == len(pins)
    assert lines[0].startswith("#"), "a header says how to refresh the file"
    assert [[*block] for block in read_blocks().values()] == [sorted(block, key="{}==".format) for block in read_blocks().values()]


@pytest.mark.parametrize("environment", ["airflow", "bigquery", "databricks"])
def test_no_version_is_written_down_twice(environment: str) -> None:
    """The file of another environment holds only what that brings beside the project's own."""
    lines = (ROOT / f"constraints-{environment}.txt").read_text(encoding="utf-8").splitlines()
    pins = {line.partition("==")[0] for line in lines if PIN.fullmatch(line)}
    assert pins
    assert pins & read_pins().keys() == set()


@pytest.mark.parametrize("path", sorted((ROOT / "constraints").iterdir()), ids=lambda path: path.stem)
def test_the_file_of_a_whole_environment_holds_names_and_versions_only(path: Path) -> None:
    """Whether they fit together is asked of pip: `make nightly-resolve`."""
    lines = path.read_text(encoding="utf-8").splitlines()
    head, pins = lines[:2], [PIN.fullmatch(line) for line in lines[2:]]
    assert all(line.startswith("# ") for line in head)
    assert [line for line, pin in zip(lines[2:], pins, strict=True) if pin is None] == []
    names = [pin["name"] for pin in pins if pin]
    assert names == sorted(set(names))
    assert {"apache-airflow", "sqlalchemy", "pytest"} <= set(names)
    assert path.stem.removeprefix("airflow-") in (ROOT / "docs" / "airflow.md").read_text(encoding="utf-8")


def test_everything_needed_is_installed_as_pinned() -> None:
    pins = read_pins()
    names = needed()
    installed = {}
    for name in names:
        try:
            installed[name] = version(name)
        except PackageNotFoundError:
            installed[name] = "missing"
    assert {name: pins.get(name) for name in sorted(names)} == dict(sorted(installed.items()))


def test_nothing_else_is_pinned() -> None:
    assert set(read_blocks()[""]) - needed() == set()


@pytest.mark.parametrize("extra", ["security", "bench"])
def test_tools_of_an_extra_are_pinned_apart(extra: str) -> None:
    """Each of them once: in the block of the first extra that brings it."""
    blocks = read_blocks()
    before = {name for each in [*blocks][: [*blocks].index(extra)] for name in blocks[each]}
    declared = {str(canonicalize_name(Requirement(line).name)) for line in EXTRAS[extra]} - {"rehook-sync"}
    assert declared <= before | set(blocks[extra])
    if all(map(is_installed, declared)):
        assert set(blocks[extra]) == needed(EXTRAS[extra]) - before - {"pip"}


def is_installed(name: str) -> bool:
    try:
        version(name)
    except PackageNotFoundError:
        return False
    return True


@pytest.mark.parametrize("section", sorted(SECTIONS))
def test_every_dependency_has_its_reason(section: str) -> None:
    text = (ROOT / "docs" / "dependencies.md").read_text(encoding="utf-8")
    body = re.search(rf"^## {re.escape(section)}\n(.*?)(?=^## |\Z)", text, re.DOTALL | re.MULTILINE)
    assert body, f"docs/dependencies.md lacks the section {section!r}"
    explained = dict(re.findall(r"^\| `([\w.-]+)(?:\[[\w,]+\])?` \| (.+?) \|$", body.group(1), re.MULTILINE))
    declared = {Requirement(line).name for line in SECTIONS[section]}
    assert set(explained) == declared
    assert all(len(reason) > 20 for reason in explained.values())


@cache
def providers() -> Mapping[str, Sequence[str]]:
    """Module at the top -> names of the distributions that have it. Reads the list of files of each that is installed."""
    return packages_distributions()


@pytest.mark.parametrize("room", rooms())
def test_imported_libraries_are_declared(room: str) -> None:
    lines = (*SECTIONS["Runtime"], *(line for name, lines in EXTRAS.items() if name not in {"test", "security", "bench"} for line in lines))
    declared = {str(canonicalize_name(Requirement(line).name)) for line in lines}
    for each in read_imports(room):
        top = each.target.partition(".")[0]
        if (
            top in {*sys.stdlib_module_names, *OPTIONAL, "rehook_sync"}
            or (top in {"airflow", "openlineage"} and room.startswith("airflow/"))
            or (top == "google" and room == "database/dialects/google_client.py")
        ):
            continue
        names = {str(canonicalize_name(name)) for name in providers().get(top, [])}
        assert declared & (names | {COMES_WITH.get(name, name) for name in names}), f"rehook_sync/{room}:{each.line}: {top} is not declared"


def test_what_runs_the_dbt_package_is_pinned_and_explained() -> None:
    pinned: set[str] = set()
    for path in sorted((ROOT / "sql" / "dbt").glob("requirements*.txt")):
        pins = [line for line in path.read_text(encoding="utf-8").splitlines() if not line.startswith("#")]
        names = [line.partition("==")[0] for line in pins]
        assert all(PIN.fullmatch(line) for line in pins), path.name
        assert names == sorted(set(names)), path.name
        pinned |= set(names)
    section = (ROOT / "docs" / "dependencies.md").read_text(encoding="utf-8").partition("\n## dbt\n")[2]
    explained = set(re.findall(r"^\| `([\w-]+)` \| .{15,} \|$", section, re.MULTILINE))
    assert explained <= pinned
    adapters = {f"dbt-{name}" for name in ("bigquery", "databricks", "duckdb", "postgres", "redshift", "snowflake")}
    assert explained >= {"dbt", "dbt-core", "duckdb", *adapters}
