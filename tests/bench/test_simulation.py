"""The model of shards: near to what was measured, and never faster than what holds it back. No speed is asserted."""

import json
from dataclasses import replace

import pytest

from bench.figures import Figures
from bench.records import Results
from bench.simulation import BEGIN, DOCS, END, Cost, Plan, checks, limits, render, simulate

COST = Cost(interpreter_s=1e-4, database_s=5e-5, receiver_s=2e-5, start_s=0.5)
ROOMY = Plan(cores=64, concurrency=1000, commit_s=0.0)


def read_results() -> Results:
    return Results.of(json.loads((DOCS / "performance.json").read_text(encoding="utf-8")))


def test_the_model_is_near_to_what_was_measured() -> None:
    found = checks(Figures(read_results().records))
    assert len(found) >= 3
    assert [case for case, _, measured, model in found if not 0.8 <= model / measured <= 1.25] == []


def test_the_page_has_what_the_model_says_of_the_data() -> None:
    page = (DOCS / "scaling.md").read_text(encoding="utf-8")
    assert page.partition(BEGIN)[2].partition(END)[0].strip() == render(read_results())


@pytest.mark.parametrize(
    ("plan", "holds", "rows_per_s"),
    [
        (ROOMY, "cores", 10_000),
        (replace(ROOMY, shards=8), "cores", 80_000),
        (replace(ROOMY, shards=8, cores=2), "cores", 20_000),
        (replace(ROOMY, shards=2, cores=2, shared=True), "cores", 20_000 / 1.7),
        (replace(ROOMY, concurrency=10, latency_s=0.1), "API", 10 / 0.1001),
        (replace(ROOMY, rate=500.0), "rate limit", 500),
        (replace(ROOMY, shards=4, rate=500.0), "rate limit", 500),
        (replace(ROOMY, concurrency=60, commit_s=0.02), "commits", 4000),
    ],
)
def test_what_is_scarce_holds_a_plan_back(plan: Plan, holds: str, rows_per_s: float) -> None:
    bounds = limits(plan, COST)
    assert min(bounds, key=bounds.__getitem__) == holds
    assert bounds[holds] == pytest.approx(rows_per_s, rel=0.01)
    assert 0.95 * rows_per_s <= simulate(plan, COST) <= 1.001 * rows_per_s
