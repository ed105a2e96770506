"""Our wheel beside the newest version of each provider: does pip find versions of everything that fit together? Prints a table.

Run by `make nightly-resolve`; asks the package registry and installs nothing. A provider that needs another version of a library than we
do would otherwise be found by the first user who installs both.
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
PROVIDERS = ("postgres", "sqlite", "snowflake", "google", "databricks", "amazon", "openlineage")
SHOWN = ("apache-airflow-core", "sqlalchemy", "protobuf", "tenacity", "python-dateutil")


@dataclass(frozen=True)
class Answer:
    """What pip says. Shape:  versions: distribution -> version, empty if there is no solution.  why: its last words then."""

    versions: dict[str, str]
    why: str = ""


def resolve(*requirements: str) -> Answer:
    """Ask pip what it would install."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder, "report.json")
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--dry-run", "--ignore-installed", "--only-binary", ":all:"]
        done = subprocess.run([*command, "--report", str(report), *requirements], capture_output=True, text=True, check=False, cwd=folder)
        if done.returncode:
            return Answer({}, next((line for line in done.stderr.splitlines() if line.startswith("ERROR:")), done.stderr[-200:]))
        found = json.loads(report.read_text(encoding="utf-8"))["install"]
    return Answer({each["metadata"]["name"].lower().replace("_", "-"): each["metadata"]["version"] for each in found})


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


def main() -> int:
    """Ask for each provider."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="*", default=PROVIDERS, help="names of providers")
    names = parser.parse_args().only
    failed = []
    sys.stdout.write(f"| provider | version | {' | '.join(SHOWN)} |\n|{'---|' * (len(SHOWN) + 2)}\n")
    with tempfile.TemporaryDirectory() as folder:
        wheel = build_wheel(Path(folder))
        for name in names:
            provider = f"apache-airflow-providers-{name}"
            newest = find_newest(provider)
            both = resolve(f"{wheel}[airflow]", f"{provider}=={newest}")
            cells = [both.versions.get(each, "-") for each in SHOWN] if both.versions else [f"**no**: {both.why}"]
            sys.stdout.write(f"| {name} | {newest} | {' | '.join(cells)} |\n")
            sys.stdout.flush()
            failed += [] if both.versions else [name]
    if failed:
        sys.stdout.write(f"\nNOT beside us: {', '.join(failed)}\n")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
