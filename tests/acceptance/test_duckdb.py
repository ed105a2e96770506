"""A stranger's way with a DuckDB file: four settings and where the sync-state is, then every command as a process."""

import json
from pathlib import Path

import pytest
from accounting import Audit, ago
from warehouse import event, identify, make_warehouse, track

from rehook_sync.sandbox.server import Sandbox

from .conftest import Program, write_settings

USERS, CALLS = 13, 57


@pytest.fixture
def audit(program: Program, duckdb_url: str, sandbox: Sandbox) -> Audit:
    """The settings of a file with a schema of Segment's, and what looks at the books."""
    tables = {
        "identifies": [identify(f"i{n}", f"u{n % USERS}", ago(hours=30 - n / 10), plan="pro", tags=["a"]) for n in range(CALLS)],
        "tracks": [track(f"t{n}", f"u{n % USERS}", "Order Completed", ago(hours=20 - n / 10)) for n in range(CALLS)],
        "order_completed": [event(f"t{n}", ago(hours=20 - n / 10), total=n + 0.5, items=[{"sku": "a"}]) for n in range(CALLS)],
    }
    make_warehouse(duckdb_url, tables, schema="shop")
    key, secret = sandbox.credentials
    values = {"warehouse_url": duckdb_url, "warehouse_schema": "shop", "api_key": key, "api_secret": secret, "api_url": sandbox.url}
    write_settings(program.folder / "rehook_sync.toml", values)
    return Audit(duckdb_url, f"sqlite:///{program.folder / 'state.db'}", schema="shop", received=sandbox.store)


def test_each_command_does_its_work_on_a_duckdb_file(program: Program, audit: Audit, sandbox: Sandbox) -> None:
    refused = program("check")
    assert refused.code == 2
    assert "REHOOK_SYNC_STATE_URL" in refused.out
    with (program.folder / "rehook_sync.toml").open("a", encoding="utf-8") as settings:
        settings.write('state_url = "sqlite:///state.db"\n')
    said = {}
    until = ago(hours=18).isoformat()
    for command in (
        "init",
        "check",
        f"baseline --since 7d --until {until} --json",
        "plan --since 7d --json",
        "run --since 7d --workers 2 --json",
        "run --json",
        "audit --since 7d --json",
        "explain u3 --json",
        "status --json",
        "report --out report.html",
        "refresh --json",
    ):
        done = program(*command.split())
        assert done.code == 0, (command, done.out, done.err)
        said[command.partition(" ")[0]] = json.loads(done.out) if command.endswith("--json") else done.out
    audit.check()
    assert sum(1 for _ in sandbox.store.events) == sum(1 for n in range(CALLS) if ago(hours=20 - n / 10) >= ago(hours=18))
    assert Path(program.folder / "report.html").stat().st_size > 1000
