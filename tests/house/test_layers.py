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
FLOOR_LINE = re.compile(r"^(?:floor (\d))?\s+([\w/]+\.py)(?:\s{2,}\S.*)?$")

ASYNC_ROOMS = re.compile(r"(wire|transport|rehook|delivery|scribe)\.py|sandbox/\w+\.py")
ALLOWED_AT = {
    "airflow": re.compile(r"airflow/\w+\.py"),
    "aiohttp": re.compile(r"transport\.py"),
    "httptools": re.compile(r"wire\.py"),
    "sqlalchemy": re.compile(
        r"(database/(queries|engine|fetch)|migrations|state|ledger|person|segment|catalog)\.py|sandbox/(tables|warehouse)\.py"
    ),
}
LIGHT = ("__init__.py", "settings.py", "cli.py", "__main__.py")
HEAVY = {"aiohttp", "airflow", "httpx", "numpy", "pandas", "sqlalchemy", "starlette", "uvicorn"}


def read_floors() -> dict[str, tuple[int, int]]:
    """Room -> (floor, place on it), in the order of the table."""
    table = re.search(r"```text\n(floor 0 .*?)```", ARCHITECTURE.read_text(encoding="utf-8"), re.DOTALL)
    assert table, "docs/architecture.md has lost its table of floors"
    floors: dict[str, tuple[int, int]] = {}
    floor = 0
    for place, line in enumerate(table.group(1).splitlines()):
        match = FLOOR_LINE.match(line)
        assert match, f"docs/architecture.md: cannot read {line!r} in the table of floors"
        floor = int(match.group(1) or floor)
        assert match.group(2) not in floors, f"docs/architecture.md: {match.group(2)} stands twice in the table of floors"
        floors[match.group(2)] = (floor, place)
    return floors


FLOORS = read_floors()
EDGE = max(floor for floor, _ in FLOORS.values())


def imported_rooms(room: str) -> dict[str, int]:
    """Rooms this one imports, with the line of the first import."""
    found: dict[str, int] = {}
    for each in read_imports(room):
        target = room_of(each.target)
        if target and target != room:
            found.setdefault(target, each.line)
    return found


def is_bare(room: str) -> bool:
    """Tell whether a room is a package file that imports none of the others: everybody may import it."""
    return room.endswith("__init__.py") and not imported_rooms(room)


def test_every_room_has_a_floor() -> None:
    without = [room for room in rooms() if room not in FLOORS and not is_bare(room)]
    assert not without, f"give these rooms a floor in docs/architecture.md: {without}"


def test_every_floor_lists_rooms_that_exist() -> None:
    assert [room for room in FLOORS if not has_room(room)] == []


@pytest.mark.parametrize("room", rooms())
def test_imports_lead_only_to_floors_below(room: str) -> None:
    floor, place = FLOORS.get(room, (-1, -1))
    wrong = []
    for target, line in imported_rooms(room).items():
        below, above_in_table = FLOORS.get(target, (-1, -1))
        if not (below < floor or (below == floor == EDGE and above_in_table < place)):
            wrong.append(f"rehook_sync/{room}:{line} (floor {floor}) imports {target} (floor {below})")
    assert not wrong, "\n".join(wrong)


def test_no_import_cycles() -> None:
    graph = {room: set(imported_rooms(room)) for room in rooms()}
    try:
        tuple(TopologicalSorter(graph).static_order())
    except CycleError as error:
        pytest.fail(f"import cycle: {' -> '.join(error.args[1])}")


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
