"""Habits of the house that linters do not know: what comments say, and how big a room may be."""

import ast
import io
import re
import sys
import tokenize
from collections.abc import Callable
from pathlib import Path

import pytest

import rehook_sync

from .source_tree import FUNCTIONS, PACKAGE, ROOT, parse, remarks, rooms

ROOM_LINES, ROOM_LINES_WITH_REASON = 350, 450
FUNCTION_LINES, FUNCTION_LINES_SOFT = 50, 40
MODULES = 12
NAME_OF_A_TEST = 80
PARAMETERS, PARAMETERS_SOFT = 8, 6
REASON = re.compile(r"^\| `([\w/]+\.py)` \| [^|]{20,} \|$", re.MULTILINE)

PYTHON_FILES = sorted(path for folder in ("rehook_sync", "tests", "dags") for path in (ROOT / folder).rglob("*.py"))
BANNER = re.compile(r"[-=#*~_+]{4,}")
ISSUE_NUMBER = re.compile(r"(?<![\w&])#\d+\b")
LEFTOVER = re.compile(r"\b(TODO|FIXME|XXX|HACK)\b")


def remarks_of(path: Path) -> list[tuple[int, str]]:
    """Line and text of every comment and docstring."""
    content = path.read_text(encoding="utf-8")
    if path.suffix == ".sql":
        return [(number, line.lstrip()[2:]) for number, line in enumerate(content.splitlines(), 1) if line.lstrip().startswith("--")]
    tokens = tokenize.generate_tokens(io.StringIO(content).readline)
    comments = [(token.start[0], token.string[1:]) for token in tokens if token.type == tokenize.COMMENT]
    tree = ast.parse(content)
    kept = remarks(tree)
    return comments + [(node.lineno, str(node.value)) for node in ast.walk(tree) if isinstance(node, ast.Constant) and id(node) in kept]


@pytest.mark.parametrize(
    "path", [*PYTHON_FILES, *sorted((ROOT / "sql").rglob("*.sql"))], ids=lambda path: path.relative_to(ROOT).as_posix()
)
def test_remarks_hold_no_banners_issue_numbers_or_leftovers(path: Path) -> None:
    wrong = [
        f"{path.relative_to(ROOT)}:{line}: {text.strip()[:60]}"
        for line, text in remarks_of(path)
        if BANNER.search(text) or ISSUE_NUMBER.search(text) or LEFTOVER.search(text)
    ]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("room", rooms())
def test_public_rooms_say_what_they_are(room: str) -> None:
    assert ast.get_docstring(parse(room)), f"rehook_sync/{room} has no docstring"


REASONS = set(REASON.findall((ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")))


@pytest.mark.parametrize("room", rooms())
def test_rooms_and_functions_stay_small(room: str, record_property: Callable[[str, object], None]) -> None:
    sizes = [(f"rehook_sync/{room}", "lines", count_lines(room), ROOM_LINES_WITH_REASON if room in REASONS else ROOM_LINES, ROOM_LINES)]
    for node in ast.walk(parse(room)):
        if isinstance(node, FUNCTIONS):
            where = f"rehook_sync/{room}:{node.lineno} {node.name}"
            sizes.append((where, "lines", (node.end_lineno or node.lineno) - node.lineno + 1, FUNCTION_LINES, FUNCTION_LINES_SOFT))
            if not is_command(node):
                sizes.append((where, "parameters", count_parameters(node), PARAMETERS, PARAMETERS_SOFT))
    for where, unit, size, _, soft in sizes:
        if size > soft:
            record_property("large", f"{where}: {size} {unit}")
            sys.stdout.write(f"a reason to look again: {where} has {size} {unit}\n")
    wrong = [f"{where} has {size} {unit}, at most {most}" for where, unit, size, most, _ in sizes if size > most]
    assert not wrong, "\n".join(wrong)


def count_lines(room: str) -> int:
    return len((PACKAGE / room).read_text(encoding="utf-8").splitlines())


def test_only_large_rooms_give_a_reason() -> None:
    assert [room for room in REASONS if count_lines(room) <= ROOM_LINES] == []


@pytest.mark.parametrize("folder", sorted({(PACKAGE / room).parent for room in rooms()}), ids=lambda path: path.name)
def test_folders_stay_small(folder: Path) -> None:
    assert len(list(folder.glob("*.py"))) <= MODULES


def is_command(node: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    """Whether a function is a command, with a parameter for each option, or one of the public API, with one for each filter."""
    return node.name in rehook_sync.__all__ or any(
        isinstance(each, ast.Call) and ast.unparse(each.func) == "app.command" for each in node.decorator_list
    )


def count_parameters(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    named = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
    return len([each for each in named if each.arg not in {"self", "cls"}])


@pytest.mark.parametrize(
    "path", [path for path in PYTHON_FILES if "tests" in path.parts], ids=lambda path: path.relative_to(ROOT).as_posix()
)
def test_names_of_tests_fit_a_line(path: Path) -> None:
    named = [node.name for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(node, FUNCTIONS)]
    assert [name for name in named if name.startswith("test_") and len(name) > NAME_OF_A_TEST] == []
