"""What the code never does: no code out of data, no shell, no way around TLS, no secret as an argument."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from rehook_sync.cli import app
from rehook_sync.settings import PREFIX, SECRETS, Settings

ROOT = Path(__file__).resolve().parents[2]
FILES = sorted(path for folder in ("rehook_sync", "dags") for path in (ROOT / folder).rglob("*.py"))

LIBRARIES = {
    **dict.fromkeys(("pickle", "cPickle", "dill", "cloudpickle", "marshal", "shelve", "jsonpickle"), "objects out of bytes"),
    **dict.fromkeys(("yaml", "ruamel", "xml", "lxml"), "formats that can do more than hold data"),
    **dict.fromkeys(("subprocess", "pty", "pexpect", "commands", "multiprocessing"), "other programs"),
    **dict.fromkeys(("ctypes", "cffi", "code", "codeop", "runpy"), "code out of data"),
    **dict.fromkeys(("telnetlib", "ftplib", "smtplib", "xmlrpc"), "ways out that nobody watches"),
}
BUILTINS = {"eval", "exec", "compile", "__import__", "breakpoint", "input"}
CALLS = {"system", "popen", "fork", "create_subprocess_exec", "create_subprocess_shell", "mktemp", "_create_unverified_context"}
ARGUMENTS = {"verify", "shell", "check_hostname", "verify_mode", "ssl", "verify_ssl", "trust_env", "auto_decompress"}
ARGUMENTS |= {"allow_redirects", "follow_redirects"}
SAFE_ARGUMENTS = {"ssl=self._verify", "verify=trusted", "trust_env=False", "allow_redirects=False", "auto_decompress=False"}
MADE_NOT_READ = {"Element", "SubElement"}
"""XML of our own making; nothing of it reads any."""
OWN_PROCESSES = "imports multiprocessing"
"""The parts of a run talk to each other over pipes that nobody else has."""
OWN_FILE = "imports pickle"
"""What a run puts aside is in a file without a name, which no other user can open and no other process writes."""
OWN_FORK = (OWN_FILE, "calls fork")
"""The process that reads is a copy of the one that sends, and talks to it over a line that nobody else has."""
NAMES = {"CERT_NONE", "CERT_OPTIONAL", "check_hostname", "verify_mode"}


def parse(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def sins(tree: ast.AST) -> Iterator[str]:
    """Everything in a module that this page forbids."""
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.ImportFrom)
            and node.module == "xml.etree.ElementTree"
            and {alias.name for alias in node.names} <= MADE_NOT_READ
        ):
            continue
        if isinstance(node, ast.Import | ast.ImportFrom):
            targets = [node.module or ""] if isinstance(node, ast.ImportFrom) else [alias.name for alias in node.names]
            yield from (f"imports {target}: {LIBRARIES[top]}" for target in targets if (top := target.partition(".")[0]) in LIBRARIES)
        elif isinstance(node, ast.Attribute | ast.Name):
            name = node.attr if isinstance(node, ast.Attribute) else node.id
            if name in NAMES:
                yield f"touches {name}"
        if isinstance(node, ast.Call):
            yield from sins_of_call(node)


def sins_of_call(node: ast.Call) -> Iterator[str]:
    name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
    if name in CALLS or (isinstance(node.func, ast.Name) and name in BUILTINS) or name.startswith(("spawn", "execv", "execl")):
        yield f"calls {name}"
    if name == "import_module" and not (node.args and isinstance(node.args[0], ast.Constant)):
        yield "imports by a name that is not written down"
    for keyword in node.keywords:
        said = f"{keyword.arg}={ast.unparse(keyword.value)}"
        if keyword.arg in ARGUMENTS and said not in SAFE_ARGUMENTS:
            yield f"passes {said}"


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_no_room_runs_data_a_shell_or_an_unchecked_connection(path: Path) -> None:
    own: dict[str, str | tuple[str, ...]] = {"workers.py": OWN_PROCESSES, "spool.py": OWN_FILE, "apart.py": OWN_FORK}
    allowed = own.get(path.name, " ")
    found = [sin for sin in sins(parse(path)) if not sin.startswith(allowed)]
    assert found == []


@pytest.mark.parametrize(
    "code",
    [
        "import pickle",
        "from yaml import load",
        "import xml.etree.ElementTree",
        "from xml.etree.ElementTree import Element, fromstring",
        "def f():\n    import subprocess",
        "eval(x)",
        "os.system(x)",
        "os.execvp(x, y)",
        "import_module(x)",
        "importlib.import_module(name='x' + y)",
        "AiohttpTransport(1, 2, verify=False)",
        "session.request('GET', u, ssl=False)",
        "session.request('GET', u, allow_redirects=True)",
        "ClientSession(trust_env=True)",
        "run(x, shell=True)",
        "context.check_hostname = False",
        "context.verify_mode = ssl.CERT_NONE",
        "ssl._create_unverified_context()",
    ],
)
def test_each_sin_is_noticed(code: str) -> None:
    assert list(sins(ast.parse(code)))


def test_the_transport_is_made_without_saying_whom_to_trust() -> None:
    calls = [
        node
        for path in FILES
        for node in ast.walk(parse(path))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "AiohttpTransport"
    ]
    assert calls
    assert all(len(call.args) == 2 and not call.keywords for call in calls)


def test_no_setting_speaks_of_verification() -> None:
    names = [*Settings.model_fields, *(f"{name}_file" for name in SECRETS)]
    assert [name for name in names if any(word in name for word in ("tls", "ssl", "verify", "cert", "insecure", "trust"))] == []


def test_what_looks_like_a_secret_is_one() -> None:
    looks = {name for name in Settings.model_fields if name.endswith(("_url", "key", "secret", "password", "token"))}
    assert looks - {"api_url"} == SECRETS - {"notify"}, "notify holds URLs"


def test_no_option_takes_a_secret_and_none_reads_the_environment() -> None:
    program: Any = get_command(app)
    options = [parameter for command in (program, *program.commands.values()) for parameter in command.params]
    assert len(options) > 20
    assert [each.name for each in options if each.envvar] == []
    words = ("key", "secret", "password", "url", "token", "user")
    named = [each for each in options if any(word in option for option in each.opts if option.startswith("-") for word in words)]
    assert [each.name for each in named if not getattr(each, "is_flag", False)] == []


def test_no_code_reads_variables_of_its_own() -> None:
    """Settings come through one door, which the demo closes again; proxy variables are read by the standard library.

    The variables of TLS are OpenSSL's; that they lead to certificates is looked at before a run begins.
    """
    readers = [
        path.name
        for path in FILES
        if any(isinstance(node, ast.Attribute) and node.attr in {"environ", "getenv"} for node in ast.walk(parse(path)))
    ]
    assert set(readers) <= {"settings.py", "demo.py", "trust.py"}
    assert PREFIX == "REHOOK_SYNC_"


def test_every_threat_on_the_page_has_a_defence_and_tests_that_exist() -> None:
    page = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
    table = re.search(r"^\| threat \| defence \| test \|\n\|[-|]+\|\n((?:\|.*\n)+)", page, re.MULTILINE)
    assert table
    rows = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in table[1].splitlines()]
    assert len(rows) > 10
    files = [ROOT / "tests/acceptance/test_security.py", ROOT / "tests/integration/test_transport.py", ROOT / "tests/unit/test_spool.py"]
    files += ROOT.glob("tests/unit/test_security_*.py")
    tests = {name for path in files for name in re.findall(r"^def (test_\w+)", path.read_text(encoding="utf-8"), re.MULTILINE)}
    for threat, defence, proof in rows:
        assert threat
        assert defence
        assert set(re.findall(r"`(\w+)`", proof)) <= tests, threat
        assert proof.startswith("`test_"), threat
    assert all(path.relative_to(ROOT).as_posix() in page for path in files)
