"""Prose is checked: every path, command, option, setting, table and make target that the documents quote exists."""

import ast
import importlib
import re
import shlex
import signal
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import rehook_sync
import rehook_sync.errors
from rehook_sync.settings import PREFIX, SECRETS, Settings

from .source_tree import DOCS, PACKAGE, ROOT, has_room, parse

FENCE = re.compile(r"^[ \t]*```(\w*)[^\n]*\n(.*?)^[ \t]*```", re.DOTALL | re.MULTILINE)
SPAN = re.compile(r"(?<!`)`([^`\n]+)`(?!`)")
LINK = re.compile(r"\]\(([^)\s]+)\)")
COMMAND = re.compile(r"(?:^|&&|;|\$ |\b[A-Z_]+=\S+ )\s*(?:\S*/)?(?:python[\d.]* -m rehook_sync|rehook-sync)(?:[ \t]+(.*))?$")
MAKE = re.compile(r"(?:^|&&|;|\$ )\s*make((?:[ \t]+[\w=./-]+)*)")
SETTING = re.compile(rf"\b{PREFIX}([A-Z][A-Z0-9_]*)\b(?!\*)")
TABLE = re.compile(r"(?<![\w/-])(sync_[a-z_]+|v\d+_[a-z_]+)\b(?![/(]|\.\w+\()")
PATH = re.compile(r"[\w.*-]+(?:/[\w.*-]+)*/?")
FILE_KINDS = (".py", ".md", ".sql", ".txt", "pyproject.toml", "Makefile", "LICENSE")
USERS_FILES = {"rehook_sync.toml"}
"""Files that the documents name and users make."""


def read(doc: Path) -> str:
    return doc.read_text(encoding="utf-8")


def fences(doc: Path) -> list[tuple[str, str]]:
    """Language and content of every fenced block; lines that go on with a backslash are joined."""
    return [(kind, re.sub(r"\\\n\s*", "", body)) for kind, body in FENCE.findall(read(doc))]


def spans(doc: Path) -> list[str]:
    return [text.strip() for text in SPAN.findall(FENCE.sub("", read(doc)))]


def code_lines(doc: Path) -> list[str]:
    return [*spans(doc), *(line.strip() for _, body in fences(doc) for line in body.splitlines())]


def words(doc: Path) -> list[str]:
    """Every word of code that could be a path."""
    inside = [word for _, body in fences(doc) for word in body.split()]
    return [word.strip(",:;()'\"") for word in [*spans(doc), *inside]]


def names_of(doc: Path) -> str:
    return doc.relative_to(ROOT).as_posix()


each_document = pytest.mark.parametrize("doc", DOCS, ids=names_of)


@pytest.mark.parametrize(
    "name", ["README.md", "CONTRIBUTING.md", "CHANGELOG.md", "docs/architecture.md", "docs/dependencies.md", "sql/README.md"]
)
def test_document_exists(name: str) -> None:
    assert (ROOT / name).is_file()


def test_version_is_the_newest_of_the_changelog() -> None:
    versions = re.findall(r"^## \[?(\d+\.\d+\.\d+)", read(ROOT / "CHANGELOG.md"), re.MULTILINE)
    assert versions[0] == rehook_sync.__version__
    assert f'\nversion: "{versions[0]}"\n' in read(ROOT / "sql" / "dbt" / "dbt_project.yml")
    assert versions == sorted(versions, key=lambda each: [int(part) for part in each.split(".")], reverse=True)


def test_exit_codes_stand_in_the_readme_and_nowhere_else() -> None:
    rows = re.findall(
        r"^\| ([\d, ]+) \| .+ \|$", read(ROOT / "README.md").partition("\n## Exit codes\n")[2].partition("\n## ")[0], re.MULTILINE
    )
    errors = {
        each.exit_code
        for each in vars(rehook_sync.errors).values()
        if isinstance(each, type) and issubclass(each, rehook_sync.errors.RehookSyncError)
    }
    by_signal = {128 + signal.SIGINT, 128 + signal.SIGTERM}
    assert [int(code) for row in rows for code in row.split(",")] == sorted({0, 3, *errors, *by_signal})
    assert [names_of(doc) for doc in DOCS if re.search(r"^\| (?:exit )?code \|", read(doc), re.MULTILINE)] == ["README.md"]


def test_readme_lists_the_promises_that_the_page_on_delivery_explains() -> None:
    explained = re.findall(r"^### (\d)\. (.+)$", read(ROOT / "docs" / "delivery.md"), re.MULTILINE)
    assert re.findall(r"^(\d)\. \[(.+?)\]\(docs/delivery\.md#", read(ROOT / "README.md"), re.MULTILINE) == explained
    assert [number for number, _ in explained] == [str(number) for number in range(1, len(explained) + 1)] != []


def test_readme_is_read_in_two_minutes() -> None:
    """At 250 words a minute, without what a screen shows; the list of pages at its end is looked up, not read."""
    prose = FENCE.sub("", read(ROOT / "README.md").partition("\n## More\n")[0])
    assert 200 < len(re.findall(r"[^\s|]*\w[^\s|]*", prose)) <= 500


@each_document
def test_links_lead_somewhere(doc: Path) -> None:
    broken = []
    for link in LINK.findall(FENCE.sub("", read(doc))):
        if re.match(r"\w+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = (doc.parent / path).resolve() if path else doc
        if not target.exists() or (anchor and anchor not in anchors(target)):
            broken.append(link)
    assert not broken, f"{names_of(doc)}: {broken}"


def anchors(doc: Path) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", FENCE.sub("", read(doc)), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@each_document
def test_paths_exist(doc: Path) -> None:
    missing = [word for word in words(doc) if is_path(word) and not exists(word, doc)]
    assert not missing, f"{names_of(doc)}: {sorted(set(missing))}"


def is_path(word: str) -> bool:
    if not PATH.fullmatch(word) or word in USERS_FILES or "NNNN" in word:
        return False
    first, slash, _ = word.partition("/")
    ours = bool(slash) and first not in {"", ".", ".."} and any((base / first).is_dir() for base in (ROOT, PACKAGE, ROOT / "sql"))
    return ours or (word.endswith(FILE_KINDS) and not word.startswith((".", "*")))


def exists(word: str, doc: Path) -> bool:
    """Look where a reader would: from the top, beside the document, among the rooms, the queries and the tests."""
    return any(any(base.glob(word.rstrip("/"))) for base in (ROOT, doc.parent, PACKAGE, ROOT / "sql", ROOT / "tests"))


@each_document
def test_make_targets_exist(doc: Path) -> None:
    makefile = read(ROOT / "Makefile")
    targets = set(re.findall(r"^([a-z][\w-]*):(?!=)", makefile, re.MULTILINE))
    quoted = [word for line in code_lines(doc) for match in MAKE.finditer(line) for word in match[1].split() if "=" not in word]
    assert [word for word in quoted if word not in targets] == []


@each_document
def test_installs_are_of_the_checkout(doc: Path) -> None:
    """A registry's package of this name would be somebody else's."""
    assert [line for line in code_lines(doc) if re.search(r"pip install .*rehook-sync\b", line)] == []


@each_document
def test_settings_exist(doc: Path) -> None:
    fields = set(Settings.model_fields)
    known = {name.upper() for name in fields} | {f"{name}_file".upper() for name in SECRETS}
    assert [name for name in SETTING.findall(read(doc)) if name not in known] == []
    for kind, body in fences(doc):
        if kind == "toml" and "[project" not in body and "[tool" not in body:
            assert set(tomllib.loads(body)) <= fields | {f"{name}_file" for name in SECRETS}, f"{names_of(doc)}: unknown setting"


@each_document
def test_tables_exist(doc: Path) -> None:
    scripts = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "sql").rglob("*.sql"))
    tables = set(re.findall(r"CREATE\s+(?:OR REPLACE\s+)?(?:TABLE|VIEW)\s+(?:IF NOT EXISTS\s+)?(\w+)", scripts))
    tables.add("sync_published")  # of the copy, which may be in any schema
    assert {"sync_runs", "sync_state"} <= tables
    wrong = [name for line in code_lines(doc) for name in TABLE.findall(line) if name not in tables and not has_room(f"{name}.py")]
    assert not wrong, f"{names_of(doc)}: {sorted(set(wrong))}"


@each_document
def test_names_of_the_package_exist(doc: Path) -> None:
    wrong = []
    for line in spans(doc):
        match = re.fullmatch(r"rehook_sync\.([a-z_]+)((?:\.\w+)*)(?:[:(].*)?", line)
        if match and line not in USERS_FILES and not TABLE.match(match[1]):
            room = next((each for each in (f"{match[1]}.py", f"{match[1]}/__init__.py") if has_room(each)), None)
            if room is None or (match[2] and room.endswith(f"{match[1]}.py") and match[2].split(".")[1] not in defined_in(room)):
                wrong.append(line)
    assert not wrong, f"{names_of(doc)}: {wrong}"


def defined_in(room: str) -> set[str]:
    tree = parse(room)
    assigned = {target.id for node in tree.body if isinstance(node, ast.Assign) for target in node.targets if isinstance(target, ast.Name)}
    return assigned | {node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)}


@pytest.fixture(scope="module")
def program() -> Any:
    """The whole command line as typer builds it."""
    if not has_room("cli.py") and not has_room("cli/__init__.py"):
        pytest.skip("there is no command line yet")
    from typer import Typer
    from typer.main import get_command

    module = importlib.import_module("rehook_sync.cli")
    app = next(value for value in vars(module).values() if isinstance(value, Typer))
    return get_command(app)


@each_document
def test_commands_and_their_options_exist(doc: Path, program: Any) -> None:
    wrong = [f"{line!r}: {problem}" for line in code_lines(doc) for problem in problems(line, program)]
    assert not wrong, f"{names_of(doc)}:\n" + "\n".join(wrong)


@each_document
def test_options_quoted_alone_exist(doc: Path, program: Any) -> None:
    known = options_of(program).union(*(options_of(command) for command in program.commands.values()))
    quoted = [match[0] for text in spans(doc) if (match := re.match(r"--[a-z][a-z-]*", text))]
    assert [option for option in quoted if option not in known] == []


def options_of(command: Any) -> set[str]:
    return {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)} | {"--help"}


def problems(line: str, program: Any) -> Iterator[str]:
    """What is wrong with a line that calls the program, or with a span that begins like one of its commands."""
    match = COMMAND.search(line)
    if match:
        rest = re.split(r"\s(?:#|\||>|2>|&&|;|&|<)", f"{match[1] or ''} ")[0]
    elif re.match(r"[a-z]+ --?[a-z]", line) and line.split(maxsplit=1)[0] in program.commands:
        rest = line
    else:
        return
    tokens = shlex.split(rest.replace("[", " ").replace("]", " ").replace("|", " "))
    flags = {option for parameter in program.params if getattr(parameter, "is_flag", False) for option in parameter.opts}
    while tokens and tokens[0].startswith("-"):
        option, equals, _ = tokens.pop(0).partition("=")
        if option not in options_of(program):
            yield f"no option {option}"
        if option not in flags | {"--help"} and not equals and tokens:
            tokens.pop(0)
    if not tokens or not re.match(r"[a-z]", tokens[0]):
        return
    command = program.commands.get(tokens[0])
    if command is None:
        yield f"no command {tokens[0]}"
        return
    for token in tokens[1:]:
        option = token.partition("=")[0]
        if re.match(r"--?[a-z]", option) and option not in options_of(command):
            yield f"{tokens[0]} has no option {option}"


def sample_program() -> Any:
    from typer import Option, Typer
    from typer.main import get_command

    app = Typer()

    @app.callback()
    def main(verbose: bool = Option(False)) -> None: ...

    @app.command()
    def run(since: str = "", workers: int = 1, as_json: bool = Option(False, "--json")) -> None: ...

    @app.command()
    def status() -> None: ...

    return get_command(app)


@pytest.mark.parametrize(
    "line",
    [
        "python -m rehook_sync run --since 7d --json | jq .sent",
        "REHOOK_SYNC_TIMEOUT=3 .venv/bin/python -m rehook_sync --verbose status",
        "$ rehook-sync run --since=2026-11-01 > out.json",
        "0 * * * * cd /srv && .venv/bin/rehook-sync run  # every hour",
        "python -m rehook_sync COMMAND [--json]",
        "run --since T --workers N",
        "pip install 'rehook-sync[postgres]'",
        "rehook-sync",
        "running --since",
    ],
)
def test_right_commands_pass(line: str) -> None:
    assert list(problems(line, sample_program())) == []


@pytest.mark.parametrize(
    "line",
    [
        "python -m rehook_sync runs",
        "python -m rehook_sync run --sinc 7d",
        ".venv/bin/rehook-sync --quiet run",
        "cd /srv && rehook-sync status --json",
        "status --since 3d",
    ],
)
def test_wrong_commands_are_noticed(line: str) -> None:
    assert list(problems(line, sample_program())) != []
