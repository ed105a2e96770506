"""Rows flow down, facts flow up: who may import whom, as the table in docs/architecture.md says."""

import ast
import json
import re
import subprocess
import sys
from graphlib import CycleError, TopologicalSorter

import pytest

from .source_tree import PACKAGE, ROOT, dotted, has_room, parse, read_imports, room_of, rooms

ARCHITECTURE = ROOT / "docs" / "architecture.md"
IMPORT_LINE = re.compile(r"^\| (\w+) \| ?([\w, ]*?) ?\|$", re.MULTILINE)
FOR_ALL = {"errors", "models"}

ASYNC_ROOMS = re.compile(r"rehook/\w+\.py|delivery/(sender|batch_writer|lookups)\.py|sandbox/\w+\.py")
ALLOWED_AT = {
    "airflow": re.compile(r"airflow/.+\.py"),
    "aiohttp": re.compile(r"rehook/transport\.py"),
    "pandas": re.compile(r"frames\.py"),
    "numpy": re.compile(r"frames\.py"),
    "httptools": re.compile(r"rehook/http1\.py"),
    "sqlalchemy": re.compile(
        r"(database/(queries|engine|failures|sqlite|postgresql|fetch|watch|dialects/\w+)|state/(migrations|state|ledger|customers|person|shards|destination|periods|sources|publication/changes|publication/publications)|publish/(target|rows|statements)|warehouse/(segment|statements|catalog|columns|properties|reader|slices|stretches/(looks|sparse)|discovery/layouts)|admin/copying|airflow/common/databases)\.py|demo/(shop_tables|shop)\.py"
    ),
}
LIGHT = ("__init__.py", "settings.py", "cli/__init__.py", "__main__.py")
HEAVY = {"aiohttp", "airflow", "httpx", "numpy", "pandas", "sqlalchemy", "starlette", "uvicorn"}


def read_table() -> dict[str, set[str]]:
    """Package or top-level module -> those it may import, out of docs/architecture.md."""
    _, _, after = ARCHITECTURE.read_text(encoding="utf-8").partition("| package | may import |\n|---|---|\n")
    table, _, _ = after.partition("\n\n")
    found = {name: set(filter(None, re.split(r",\s*", allowed))) for name, allowed in IMPORT_LINE.findall(table)}
    assert len(found) == len(table.splitlines()), "docs/architecture.md: a line of the import table cannot be read, or stands twice"
    return found


MAY_IMPORT = read_table()


def duty_of(room: str) -> str:
    """The folder of a room, or its own name at the top."""
    return room.partition("/")[0].removesuffix(".py")


def imported_rooms(room: str) -> dict[str, int]:
    """Rooms this one imports, with the line of the first import."""
    found: dict[str, int] = {}
    for each in read_imports(room):
        target = room_of(each.target)
        if target and target != room:
            found.setdefault(target, each.line)
    return found


def test_import_table_has_every_package() -> None:
    duties = {duty_of(room) for room in rooms()} - {"__init__"}
    assert duties - MAY_IMPORT.keys() == set()


def test_import_table_names_packages_that_exist() -> None:
    duties = {duty_of(room) for room in rooms()}
    assert {*MAY_IMPORT, *(each for allowed in MAY_IMPORT.values() for each in allowed)} - duties == set()


def test_import_table_names_only_packages_above() -> None:
    above: set[str] = set()
    for package, allowed in MAY_IMPORT.items():
        assert allowed <= above, f"{package} may import {sorted(allowed - above)}, which does not stand above it"
        above.add(package)


@pytest.mark.parametrize("room", [room for room in rooms() if room != "__init__.py"])
def test_imports_follow_the_table(room: str) -> None:
    duty = duty_of(room)
    allowed = {duty, "__init__", *FOR_ALL, *MAY_IMPORT[duty]}
    wrong = [
        f"rehook_sync/{room}:{line} imports {target}" for target, line in imported_rooms(room).items() if duty_of(target) not in allowed
    ]
    assert not wrong, "\n".join(wrong)


def test_no_import_cycles() -> None:
    graph = {room: set(imported_rooms(room)) for room in rooms() if room != "__init__.py"}
    try:
        tuple(TopologicalSorter(graph).static_order())
    except CycleError as error:
        pytest.fail(f"import cycle: {' -> '.join(error.args[1])}")


def test_modules_take_nothing_but_the_version_from_the_package_itself() -> None:
    targets = {each.target for room in rooms() for each in read_imports(room) if room_of(each.target) == "__init__.py"}
    assert targets == {"rehook_sync.__version__"}, "its other names are for users, and would make cycles"


@pytest.mark.parametrize("room", rooms())
def test_async_code_stays_with_delivery_and_the_sandbox(room: str) -> None:
    lines = [node.lineno for node in ast.walk(parse(room)) if isinstance(node, ast.AsyncFunctionDef)]
    assert not lines or ASYNC_ROOMS.fullmatch(room), f"rehook_sync/{room} has `async def` in lines {lines}"


@pytest.mark.parametrize("library", sorted(ALLOWED_AT))
def test_library_is_imported_only_where_it_belongs(library: str) -> None:
    wrong = [
        f"rehook_sync/{room}:{each.line} imports {each.target}"
        for room in rooms()
        for each in read_imports(room)
        if each.target.partition(".")[0] == library and not ALLOWED_AT[library].fullmatch(room)
    ]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("room", [room for room in LIGHT if has_room(room)])
def test_importing_the_command_line_loads_nothing_heavy(room: str) -> None:
    code = f"import sys, json, {dotted(room)}; json.dump(sorted(sys.modules), sys.stdout)"
    done = subprocess.run([sys.executable, "-c", code], cwd=PACKAGE.parent, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert HEAVY & set(json.loads(done.stdout)) == set()
