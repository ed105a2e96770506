"""What the house tests look at: the files of the project, parsed but not imported."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "rehook_sync"
DOCS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "sql").rglob("README.md")])
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


@dataclass(frozen=True)
class Import:
    """One import statement's target, as a dotted name; `line` is where it stands."""

    target: str
    line: int


def rooms() -> list[str]:
    """Every module of the package, as a path below it: `sync.py`, `sandbox/app.py`."""
    return sorted(path.relative_to(PACKAGE).as_posix() for path in PACKAGE.rglob("*.py"))


def has_room(room: str) -> bool:
    return (PACKAGE / room).is_file()


@cache
def parse(room: str) -> ast.Module:
    return ast.parse((PACKAGE / room).read_text(encoding="utf-8"), filename=room)


def dotted(room: str) -> str:
    """`sandbox/app.py` -> `rehook_sync.sandbox.app`."""
    return ".".join(("rehook_sync", *Path(room).with_suffix("").parts)).removesuffix(".__init__")


def room_of(name: str) -> str | None:
    """The room a dotted name leads into, None when it is not one of ours."""
    parts = name.split(".")
    if parts[0] != "rehook_sync":
        return None
    for end in range(len(parts), 0, -1):
        inside = "/".join(parts[1:end])
        for candidate in (f"{inside}.py", f"{inside}/__init__.py".lstrip("/")):
            if has_room(candidate):
                return candidate
    return None


def read_imports(room: str) -> list[Import]:
    """All imports of a room, those inside functions and under TYPE_CHECKING too."""
    return [each for node in ast.walk(parse(room)) for each in _targets(node, room)]


def _targets(node: ast.AST, room: str) -> Iterator[Import]:
    if isinstance(node, ast.Import):
        yield from (Import(alias.name, node.lineno) for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        base = ".".join(filter(None, (_package_above(room, node.level), node.module)))
        yield from (Import(f"{base}.{alias.name}", node.lineno) for alias in node.names)
    elif isinstance(node, ast.Call) and _called(node) in {"import_module", "__import__"} and node.args:
        name = node.args[0]
        if isinstance(name, ast.Constant) and isinstance(name.value, str):
            yield Import(name.value, node.lineno)


def _package_above(room: str, level: int) -> str:
    parts = ("rehook_sync", *Path(room).parts[:-1])
    return ".".join(parts[: len(parts) - level + 1]) if level else ""


def _called(node: ast.Call) -> str:
    return node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")


def remarks(tree: ast.Module) -> set[int]:
    """The ids of the nodes that hold docstrings: strings that stand alone as a statement."""
    return {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)}


def read_strings(room: str) -> list[tuple[int, str]]:
    """Line and text of every string of a room that is no docstring; the fixed parts of an f-string count as one."""
    tree = parse(room)
    skipped = remarks(tree)
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            parts = [part for part in node.values if isinstance(part, ast.Constant)]
            skipped |= {id(part) for part in parts}
            found.append((node.lineno, "…".join(str(part.value) for part in parts)))
    found += [
        (node.lineno, node.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in skipped
    ]
    return sorted(found)
