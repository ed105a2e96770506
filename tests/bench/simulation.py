"""A model of shards that share cores, a rate limit, an API and a database: says how fast they are together, and what holds them back.

Row by row: a row waits for a place, its mark, the rate limit and the interpreter of its shard, and then for the answer of the API.
What a row costs comes from a bench run; the model is checked against cases of that run that it was not made from.

    PYTHONPATH=tests python -m bench.simulation
"""

import heapq
import json
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from bench.figures import OURS, OURS_TWO, Figures
from bench.records import Case, Record, Results

__all__ = ["BEGIN", "END", "Cost", "Plan", "checks", "cost_of", "main", "render", "simulate"]

BEGIN, END = "<!-- written by bench.simulation: begin -->", "<!-- written by bench.simulation: end -->"
DOCS = Path(__file__).resolve().parents[2] / "docs"
_ROWS_PER_SHARD = 10_000
_MARKS = 1.5
"""Commits in the time of which `concurrency` events leave: one is under way when a mark is asked for."""


@dataclass(frozen=True)
class Cost:
    """What a row takes. Units: seconds of the job's interpreter, of the database's processors and of who receives; start_s: of a run."""

    interpreter_s: float
    database_s: float
    receiver_s: float
    start_s: float


@dataclass(frozen=True)
class Plan:
    """How rows are sent.

    Units:  rate: requests per second of all shards, None for no limit.  commit_s: seconds of a commit.  events: share of the rows.
    Shape:  cores: of the machines that the shards are on; the database and whoever receives are on them too if `shared`.
    """

    shards: int = 1
    cores: int = 2
    concurrency: int = 64
    latency_s: float = 0.0
    commit_s: float = 0.002
    rate: float | None = None
    events: float = 0.5
    shared: bool = False


def simulate(plan: Plan, cost: Cost, rows: int = _ROWS_PER_SHARD) -> float:
    """Return rows per second of all shards together, start-up left out, each with so many rows."""
    places, row_s = max(1, plan.concurrency // plan.shards), cost.interpreter_s * _slowed(plan, cost)
    mark_s = _MARKS * plan.commit_s * plan.events / places
    token_s = 0.0 if plan.rate is None else plan.shards / plan.rate
    free, running, marked, token, end = [0.0] * places, 0.0, 0.0, 0.0, 0.0
    for _ in range(rows):
        marked += mark_s
        token += token_s
        begins = max(heapq.heappop(free), running, marked, token)
        running = begins + row_s
        end = max(end, running + plan.latency_s)
        heapq.heappush(free, running + plan.latency_s)
    return plan.shards * rows / end


def _slowed(plan: Plan, cost: Cost) -> float:
    """How many times longer the interpreters take since there are fewer cores than busy processes."""
    others = (cost.database_s + cost.receiver_s) / cost.interpreter_s if plan.shared else 0.0
    return max(1.0, plan.shards * (1 + others) / plan.cores)


def limits(plan: Plan, cost: Cost) -> Mapping[str, float]:
    """What holds a plan back -> rows per second that it allows."""
    found = {
        "cores": plan.shards / (cost.interpreter_s * _slowed(plan, cost)),
        "commits": plan.concurrency / (_MARKS * plan.commit_s * plan.events) if plan.commit_s else float("inf"),
        "API": plan.concurrency / (plan.latency_s + cost.interpreter_s * _slowed(plan, cost)),
    }
    return found if plan.rate is None else {**found, "rate limit": plan.rate}


def cost_of(figures: Figures, database: str) -> Cost:
    """What a row costs, by the case whose API answers at once, and what a run costs, by the one with nothing new."""
    case = next(each for each in figures.cases("speed") if (each.database, each.latency_ms, each.in_flight) == (database, 0, 64))
    start_s = _median(figures, replace(case, again=True), lambda record: record.wall_s)
    rows = 2 * case.rows
    return Cost(
        (_median(figures, case, lambda record: record.wall_s) - start_s) / rows,
        _median(figures, case, lambda record: record.database_cpu_s) / rows,
        _median(figures, case, lambda record: record.receiver_cpu_s) / rows,
        start_s,
    )


def checks(figures: Figures) -> list[tuple[Case, int, float, float]]:
    """What a cost was not made from: the case, how many shards, the rows per second that were measured and those of the model.

    Start-up is included.
    """
    found = []
    for case in figures.cases("speed"):
        who, shards = (OURS, 1) if case.latency_ms else (OURS_TWO, 2)
        measured = figures.median(case, who, lambda record: record.rows_per_s)
        if measured is None or (shards > 1 and case.database == "SQLite"):
            continue
        cost, rows = cost_of(figures, case.database), 2 * case.rows
        plan = Plan(shards=shards, concurrency=case.in_flight, latency_s=case.latency_ms / 1000, shared=True)
        found.append((case, shards, measured, rows / (cost.start_s + rows / simulate(plan, cost, rows // shards))))
    return found


def _median(figures: Figures, case: Case, value: Callable[[Record], float]) -> float:
    found = figures.median(case, OURS, value)
    if found is None:
        raise ValueError(f"the bench run lacks {case}")
    return found


_PLANS = (
    ("1 shard, API after 50 ms", Plan(latency_s=0.05)),
    ("the same, 256 at once", Plan(latency_s=0.05, concurrency=256)),
    ("4 shards, 256 at once", Plan(shards=4, cores=4, latency_s=0.05, concurrency=256)),
    ("the same, a commit takes 20 ms", Plan(shards=4, cores=4, latency_s=0.05, concurrency=256, commit_s=0.02)),
    ("4 shards, 1,024 at once", Plan(shards=4, cores=4, latency_s=0.05, concurrency=1024)),
    ("the same, `RATE_LIMIT` 10,400", Plan(shards=4, cores=4, latency_s=0.05, concurrency=1024, rate=10_400)),
    ("8 shards, 1,024 at once, a commit takes 20 ms", Plan(shards=8, cores=8, latency_s=0.05, concurrency=1024, commit_s=0.02)),
)


def render(results: Results) -> str:
    """The section of docs/scaling.md."""
    figures = Figures(results.records)
    cost = cost_of(figures, "PostgreSQL")
    million = {
        "the job's interpreter": cost.interpreter_s,
        "PostgreSQL's processes": cost.database_s,
    }
    lines = [
        f"Measured {results.about['Date']} on {results.about['Machine']}, of PostgreSQL and an API that answers at once:",
        "",
        "| a million rows take | seconds of a core |",
        "|---|---|",
        *(f"| {name} | {seconds * 1e6:,.0f} |" for name, seconds in million.items()),
        "",
        "The model beside cases of that run from which it was not made:",
        "",
        "| case | measured, rows/s | model, rows/s | model : measured |",
        "|---|---|---|---|",
        *(
            f"| {case.database}, {case.latency_ms} ms, {case.in_flight} at once, {_shards(shards)} | {measured:,.0f} | {model:,.0f} "
            f"| {model / measured:.2f} |"
            for case, shards, measured, model in checks(figures)
        ),
        "",
        "And where no machine of ours goes, each shard on a core of its own, database and API on other machines:",
        "",
        "| plan | rows/s | held back by |",
        "|---|---|---|",
        *(f"| {text} | {simulate(plan, cost):,.0f} | {_held_back(plan, cost)} |" for text, plan in _PLANS),
    ]
    return "\n".join(lines)


def _shards(number: int) -> str:
    return "1 shard" if number == 1 else f"{number} shards"


def _held_back(plan: Plan, cost: Cost) -> str:
    found = limits(plan, cost)
    first, second = sorted(found, key=found.__getitem__)[:2]
    return f"{first}; next: {second}, at {found[second]:,.0f}"


def main() -> None:
    """Write the section."""
    results = Results.of(json.loads((DOCS / "performance.json").read_text(encoding="utf-8")))
    page = DOCS / "scaling.md"
    head, _, rest = page.read_text(encoding="utf-8").partition(BEGIN)
    page.write_text(f"{head}{BEGIN}\n\n{render(results)}\n\n{END}{rest.partition(END)[2]}", encoding="utf-8")
    sys.stdout.write(f"written to {page}\n")


if __name__ == "__main__":
    main()
