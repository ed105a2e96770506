"""This checkout beside another revision of it: both take turns, and each figure is a ratio of medians.

Both run with the libraries that are installed here: what is compared is the code.
"""

import subprocess
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from bench.contestants import Prepare, prepare_ours
from bench.figures import OURS, PEAK, WALL, Figures, second_run
from bench.records import Case, Record

__all__ = ["compared_cases", "other_revision", "render_comparison", "revisions"]

_CPU: Callable[[Record], float] = lambda record: record.cpu_s + record.database_cpu_s  # noqa: E731 - one of three alike
_COLUMNS = (("seconds", WALL, 2), ("CPU, with the database's", _CPU, 2), ("peak MB", PEAK, 0))


@contextmanager
def other_revision(root: Path, revision: str, folder: Path) -> Iterator[Path]:
    """A checkout of another revision, gone in the end.

    Raises: ValueError for what is no revision of this repository.
    """
    place = folder / "other"
    found = _git(root, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}")
    if found.returncode:
        raise ValueError(f"--compare: {revision!r} is no revision of this repository")
    _git(root, "worktree", "add", "--detach", str(place), found.stdout.strip()).check_returncode()
    try:
        yield place
    finally:
        _git(root, "worktree", "remove", "--force", str(place))


def revisions(name: str, place: Path) -> Mapping[str, Prepare]:
    """The two that take turns; `name` and `place` of the other one."""
    return {OURS: prepare_ours, name: lambda site: prepare_ours(site, environ={"PYTHONPATH": str(place)})}


def compared_cases(kinds: Iterable[str], rows: int) -> list[Case]:
    """What both do: where the API answers at once, and after 20 ms."""
    at_once = (Case("speed", kind, 0, 64, rows) for kind in kinds)
    return [case for each in at_once for case in (each, replace(each, latency_ms=20))]


def render_comparison(records: list[Record], name: str) -> str:
    """A table: what the other revision needs, what this one needs, and how many times as much that is."""
    figures = Figures(records)
    lines = ["| case | " + " | ".join(f"{title}: {name}, here, ratio" for title, _, _ in _COLUMNS) + " |"]
    lines.append("|---" * (1 + len(_COLUMNS)) + "|")
    cases = [each for case in figures.cases("speed") for each in (case, second_run(case)) if figures.took_part(each, OURS)]
    lines += [f"| {_title(each)} | " + " | ".join(_cell(figures, each, name, *column[1:]) for column in _COLUMNS) + " |" for each in cases]
    return "\n".join(lines)


def _title(case: Case) -> str:
    return f"{case.database}, {case.latency_ms} ms, " + ("nothing new" if case.again else f"{case.rows:,} + {case.rows:,} rows")


def _cell(figures: Figures, case: Case, name: str, value: Callable[[Record], float], digits: int) -> str:
    other, ours = figures.median(case, name, value), figures.median(case, OURS, value)
    ratio = figures.ratio((case, OURS), (case, name), value)
    return "not measured" if other is None or ours is None or ratio is None else f"{other:.{digits}f}, {ours:.{digits}f}, **{ratio:.2f}**"


def _git(root: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["git", "-C", str(root), *words], capture_output=True, text=True, check=False)
