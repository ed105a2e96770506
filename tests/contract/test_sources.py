"""Each awkward source of `sources` in each warehouse there is: what arrives, what is said, and that the books agree."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from accounting import Bench
from awkward import run, shown
from sources import SOURCES, Step
from warehouse import CLOUDS, WAREHOUSES, add_rows, make_warehouse, run_sql

from rehook_sync.sandbox.server import Sandbox

KINDS = {**WAREHOUSES, **CLOUDS}


@pytest.fixture(params=KINDS)
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[str, Bench]]:
    """Each kind of warehouse, with the sync-state tables in it, or in a file if it is only read."""
    url = str(request.getfixturevalue(KINDS[request.param].fixture))
    state_url = None if KINDS[request.param].holds_state else f"sqlite:///{tmp_path / 'state.db'}"
    with Sandbox() as sandbox:
        bench = Bench(url, state_url, sandbox)
        with bench.sync() as sync:
            sync.init()
        yield request.param, bench


@pytest.mark.parametrize("name", SOURCES)
def test_an_awkward_source_is_synced_whole_or_says_why_not(place: tuple[str, Bench], name: str) -> None:
    kind, bench = place
    if name in KINDS[kind].beyond:
        pytest.skip(KINDS[kind].beyond[name])
    built = SOURCES[name](KINDS[kind])
    known: set[str] = set()
    for number, step in enumerate(built.steps):
        bench.options |= step.settings
        bench.audit.cursor = str(bench.options.get("cursor_column", "received_at"))
        known |= change(bench, step, known)
        seen = len(bench.bodies())
        code, said = run(bench)
        assert sorted(map(shown, bench.bodies()[seen:])) == sorted(json.dumps(each) for each in step.sent), f"run {number + 1}"
        assert (code, len(said)) == (step.code, len(step.says)), said
        assert [part for part, line in zip(step.says, said, strict=True) if part not in line] == [], said
    statuses = {key.partition(":")[0]: status for key, status in bench.statuses().items()}
    assert {key: status for key, status in statuses.items() if status != "sent"} == dict(built.unsent)


def change(bench: Bench, step: Step, known: set[str]) -> set[str]:
    """Change the warehouse; give the tables made."""
    run_sql(bench.warehouse_url, *step.sql)
    bench.gone |= set(step.gone)
    added = {name: rows for name, rows in step.tables.items() if name in known or name.startswith("base_")}
    for name, rows in added.items():
        add_rows(bench.warehouse_url, name, rows)
    made = {name: rows for name, rows in step.tables.items() if name not in added}
    make_warehouse(bench.warehouse_url, made, types=step.types)
    return set(made)
