"""Numbers in prose are true: each version, count and limit that a document quotes is compared with what it speaks of."""

import ast
import re
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from functools import cache

import analysts
import pytest

from rehook_sync.sandbox.store import Behaviour
from rehook_sync.settings import PREFIX, Settings, load_settings

from .source_tree import DOCS, PACKAGE, ROOT
from .test_style import FUNCTION_LINES, MODULES, ROOM_LINES

WORDS = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"]
WORDS += ["eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen", "twenty"]
NUMBER = rf"(\d[\d,]*\.?\d*|{'|'.join(WORDS[1:])})"
FENCED = re.compile(r"^[ \t]*```.*?^[ \t]*```$", re.DOTALL | re.MULTILINE)
WRITTEN = re.compile(r"^<!-- written by ([\w. ]+): begin -->$.*?^<!-- written by \1: end -->$", re.DOTALL | re.MULTILINE)
UNITS_S = {"second": 1, "minute": 60, "hour": 3600, "day": 86400}
COUNTED = "tables|views|migrations|questions|settings|commands|statuses|reasons|models|DAGs|promises|rules|tests|modules|floors|faults"
"""What documents like to count, and what grows: such a count may stand in a document only if a claim below checks it."""


def value(text: str) -> float:
    """The number that digits or a word mean."""
    word = text.lower()
    return float(WORDS.index(word)) if word in WORDS else float(text.replace(",", ""))


@cache
def pages() -> dict[str, str]:
    return {path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8") for path in DOCS}


def block_after(page: str, words: str) -> list[str]:
    """The lines of the first fenced block after these words."""
    found = re.search(r"```\w*\n(.*?)```", pages()[page].partition(words)[2], re.DOTALL)
    assert found, f"{page}: no block after {words!r}"
    return found[1].splitlines()


def in_source(pattern: str) -> float:
    """What the one place of the package's source says that the pattern finds; wherever it has moved to."""
    found = [match[1] for path in PACKAGE.rglob("*.py") for match in re.finditer(pattern, path.read_text(encoding="utf-8"), re.MULTILINE)]
    assert len(found) == 1, f"{pattern!r} is in {len(found)} places"
    return float(ast.literal_eval(found[0]))


def project() -> dict[str, object]:
    return dict(tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"])


def lowest(requirement: object) -> float:
    """`apache-airflow>=3.3` -> 3.3."""
    found = re.search(r">=(\d+\.\d+)", str(requirement))
    assert found, requirement
    return float(found[1])


def migrations() -> list[str]:
    """The names of the steps, in order; both dialects have the same."""
    names = {
        kind: sorted(path.name.removesuffix(f".{kind}.sql") for path in (ROOT / "sql" / "migrations").glob(f"*.{kind}.sql"))
        for kind in ("sqlite", "postgresql")
    }
    assert names["sqlite"] == names["postgresql"]
    return [name.partition("_")[2] for name in names["sqlite"]]


@dataclass(frozen=True)
class Claim:
    """A number that documents quote: `pattern` finds it as its first group, `truth` gives what it must be."""

    name: str
    pattern: str
    truth: Callable[[], float]


CLAIMS = [
    Claim("version of the tables", r"sync-state tables(?: have|,) version (\d+)", lambda: len(migrations())),
    Claim("questions", rf"\b{NUMBER} questions", lambda: len(analysts.read_queries(pages()["docs/analysts.md"]))),
    Claim("Python", r"\bPython (\d+\.\d+) or newer", lambda: lowest(project()["requires-python"])),
    Claim("Airflow", r"\bAirflow (?:before )?(\d+\.\d+)", lambda: lowest(project()["optional-dependencies"]["airflow"])),  # type: ignore[index]
    Claim("dbt", r"\bdbt (\d+\.\d+) or newer", lambda: lowest((ROOT / "sql" / "dbt" / "dbt_project.yml").read_text(encoding="utf-8"))),
    Claim("DAGs", rf"\b{NUMBER} DAGs", lambda: len(list((ROOT / "dags").glob("*.py")))),
    Claim("README's settings", rf"^{NUMBER} settings, here", lambda: len(block_after("README.md", "warehouses/README.md):\n"))),
    Claim("Airflow's commands", rf"^{NUMBER} commands from a checkout", lambda: len(block_after("docs/airflow.md", "## On a laptop"))),
    Claim("ids of the sandbox", rf"\b{NUMBER} characters(?: for ids|\. |, 404)", lambda: Behaviour().max_id_length),
    Claim("bodies of the sandbox", rf"\b{NUMBER} MiB(?:, 415| for bodies)", lambda: Behaviour().max_body_bytes / 2**20),
    Claim("modules in a folder", rf"{NUMBER} modules stand at the top and 12 in a folder", lambda: MODULES),
    Claim("lines of a function", rf"no function has more than {NUMBER} lines", lambda: FUNCTION_LINES),
    Claim("lines of a module", rf"module with more than {NUMBER} lines has its reason", lambda: ROOM_LINES),
    Claim("error text that is kept", rf"\b{NUMBER} characters is kept", lambda: in_source(r"^DETAIL_LIMIT = (\d+)")),
    Claim("error body that is read", rf"\b{NUMBER} KB of a body", lambda: in_source(r"^BODY_LIMIT = ([\d_]+)") / 1024),
    Claim("events of the report", rf"\b{NUMBER} event names", lambda: in_source(r"^_REPORT_EVENTS = (\d+)")),
    Claim("calls of the report", rf"\bfirst {NUMBER} calls", lambda: in_source(r"^_REPORT_ROWS = (\d+)")),
    Claim("lines of the report", rf"\b{NUMBER} each, by", lambda: in_source(r"^_TOP = (\d+)")),
    Claim("days of the report", rf"\blast {NUMBER} days, unless", lambda: in_source(r'Runs that began from this time on.*= "(\d+)d"')),
    Claim("rows of a decision", rf"\bat most {NUMBER} at a time", lambda: in_source(r"\*, rows: int = (\d+)")),
]


def quoted(claim: Claim) -> Iterator[tuple[str, str]]:
    """Document and number, wherever the claim is made."""
    for name, text in pages().items():
        yield from ((name, match[1]) for match in re.finditer(claim.pattern, text, re.MULTILINE | re.IGNORECASE))


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: claim.name)
def test_quoted_number_is_true(claim: Claim) -> None:
    found, truth = list(quoted(claim)), claim.truth()
    assert found, "no document says this any more: take the claim away, or mend its pattern"
    wrong = [f"{name} says {text}, it is {truth:g}" for name, text in found if value(text) != truth]
    assert not wrong, "\n".join(wrong)


def test_readme_names_the_version_of_the_tables() -> None:
    (version,) = re.findall(r"^created: the sync-state tables have version (\d+)$", pages()["README.md"], re.MULTILINE)
    assert int(version) == len(migrations())


def test_quoted_defaults_are_those_of_the_settings() -> None:
    settings = load_settings(None, {f"{PREFIX}WAREHOUSE_URL": "sqlite:///warehouse.db"})
    found = [
        (name, *match.groups())
        for name, text in pages().items()
        for match in re.finditer(r"`([A-Z][A-Z_]+)` \((\d+) (second|minute|hour|day)s?\)", text)
    ]
    assert len(found) >= 3
    for name, setting, number, unit in found:
        assert setting.lower() in Settings.model_fields, f"{name}: {setting}"
        default = getattr(settings, setting.lower())
        seconds = default.total_seconds() if isinstance(default, timedelta) else default
        assert seconds == int(number) * UNITS_S[unit], f"{name}: {setting} is {default}"


def unchecked(text: str) -> list[str]:
    """The counts in a text that no claim checks. What a program writes has tests that compare it with its data."""
    prose = WRITTEN.sub("", FENCED.sub("", text))
    checked = [match.span() for claim in CLAIMS for match in re.finditer(claim.pattern, prose, re.MULTILINE | re.IGNORECASE)]
    counts = re.finditer(rf"\b{NUMBER} (?:[\w-]+ )?(?:{COUNTED})\b", prose, re.IGNORECASE)
    return [match[0] for match in counts if not any(begin < match.end() and match.start() < end for begin, end in checked)]


@pytest.mark.parametrize("name", sorted(pages()))
def test_every_count_is_checked(name: str) -> None:
    assert unchecked(pages()[name]) == [], "leave the number out, or add a claim that checks it"


def test_a_count_that_nobody_checks_is_noticed() -> None:
    assert unchecked("It has seven views and 1,234 fast tests. Three of the tables are large.\n") == ["seven views", "1,234 fast tests"]
    assert unchecked("Fourteen questions, the same on both databases.\n") == []
    written = "<!-- written by make bench: begin -->\n\n7 tables\n\n<!-- written by make bench: end -->\n"
    assert unchecked(f"8 tables\n{written}9 tables\n{written}") == ["8 tables", "9 tables"]


LONG_RUN = re.compile(r"^\| (SQLite|PostgreSQL) \| \d+ \| (\d+) \(([^)]+)\) \| (\d+) \|", re.MULTILINE)
COUNT = re.compile(r"^( +[\d,]+ +)([a-z][a-z ]*?)(?:  .*)?$", re.MULTILINE)


def test_counts_that_the_readme_shows_add_up() -> None:
    blocks = [block for block in FENCED.findall(pages()["README.md"]) if re.search(r"^ +[1-9][\d,]* +rows", block, re.MULTILINE)]
    assert len(blocks) == 3
    for block in blocks:
        lines = [(len(match[1]), match[2], value(match[1].strip())) for match in COUNT.finditer(block)]
        (column, rows), *_ = [(column, count) for column, label, count in lines if label == "rows"]
        parts = [count for at, _, count in lines if at == column + 2]
        assert len(parts) > 3
        assert sum(parts) == rows, block


def test_room_that_the_tables_take_adds_up() -> None:
    page = pages()["docs/operating.md"]
    rows = re.findall(r"^\| (SQLite|PostgreSQL), [^|]+((?:\| \d+ \+ \d+ = \d+ )+)\|$", page, re.MULTILINE)
    sums = {name: [tuple(map(int, each)) for each in re.findall(r"(\d+) \+ (\d+) = (\d+)", cells)] for name, cells in rows}
    assert {name: len(each) for name, each in sums.items()} == {"SQLite": 3, "PostgreSQL": 3}
    assert [each for some in sums.values() for each in some if abs(each[0] + each[1] - each[2]) > 1] == []
    (told,) = re.findall(r"about (\d+) MiB in SQLite and (\d+) MiB in PostgreSQL; pruned and compacted, (\d+) and (\d+) MiB", page)
    true = [sums[name][column][2] * 1_000_000 / 2**20 for column in (0, 2) for name in ("SQLite", "PostgreSQL")]
    assert [float(text) for text in told] == pytest.approx(true, rel=0.01)


def test_counts_of_the_long_run_add_up() -> None:
    page = pages()["docs/delivery.md"]
    runs = {name: (int(kills), parts, int(faults)) for name, kills, parts, faults in LONG_RUN.findall(page)}
    assert set(runs) == {"SQLite", "PostgreSQL"}
    by_fault = page.partition("\n| fault | SQLite | PostgreSQL |\n")[2].partition("\n\n")[0]
    columns = list(zip(*re.findall(r"^\| [\w ]+ \| (\d+) \| (\d+) \|$", by_fault, re.MULTILINE), strict=True))
    for (kills, parts, faults), column in zip(runs.values(), columns, strict=True):
        assert sum(map(int, re.findall(r"(\d+) in", parts))) == kills
        assert sum(map(int, column)) == faults
