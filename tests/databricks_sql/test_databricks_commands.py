"""The commands as processes over Databricks, with the sync-state in a SQLite file: what a shop there gets."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from accounting import ago, assert_numbers_add_up
from beds.databricks.bed import SECRET, DatabricksBed
from warehouse import event, identify, make_warehouse, track

from rehook_sync.sandbox.server import Sandbox

PEOPLE = 5
CALLS = 13


@pytest.mark.timeout(900)
def test_every_command_works_on_a_shop_in_databricks(databricks_bed: DatabricksBed, databricks_url: str, tmp_path: Path) -> None:
    calls = [track(f"t{n}", f"u{n % PEOPLE}", "Order Completed", ago(hours=2, minutes=n)) for n in range(CALLS)]
    tables = {
        "identifies": [identify(f"i{n}", f"u{n}", ago(hours=9), plan="pro") for n in range(PEOPLE)],
        "tracks": calls,
        "order_completed": [event(call["id"], call["received_at"], total=n, products=[{"sku": "s"}]) for n, call in enumerate(calls)],
    }
    make_warehouse(databricks_url, tables)
    (tmp_path / "token").write_text(SECRET, encoding="utf-8")
    said = []

    with Sandbox() as sandbox:
        options = {**databricks_bed.options, "access_token_file": "token"}
        settings = {
            "warehouse_url": databricks_url.replace(f"token:{SECRET}@", ""),
            "state_url": "sqlite:///state.db",
            "api_url": sandbox.url,
            "api_key": sandbox.credentials.key,
            "api_secret": sandbox.credentials.secret,
            "chunk_rows": 7,
        }
        lines = [f"{name} = {json.dumps(value)}" for name, value in settings.items()]
        lines += ["[warehouse_options]", *(f"{name} = {json.dumps(value)}" for name, value in options.items())]
        (tmp_path / "rehook_sync.toml").write_text("\n".join(lines), encoding="utf-8")

        def done(*arguments: str) -> str:
            command = [sys.executable, "-W", "error", "-m", "rehook_sync", *arguments]
            environ = {"PATH": os.environ["PATH"], "HOME": str(tmp_path)}
            result = subprocess.run(command, cwd=tmp_path, env=environ, capture_output=True, encoding="utf-8", timeout=300, check=False)
            said.append(result.stdout + result.stderr)
            assert result.returncode == 0, said[-1]
            return result.stdout

        done("init")
        done("check")
        assert json.loads(done("plan", "--since", "beginning", "--json"))["rows"] == PEOPLE + CALLS
        first = json.loads(done("run", "--since", "beginning", "--workers", "2", "--json"))
        assert (first["status"], first["rows_read"], first["sent"]) == ("succeeded", PEOPLE + CALLS, PEOPLE + CALLS)
        assert json.loads(done("run", "--json"))["rows_read"] == 0
        for arguments in (
            ("audit", "--since", "beginning"),
            ("explain", "u1"),
            ("explain", "t1"),
            ("status",),
            ("report", "--out", "r.html"),
        ):
            done(*arguments)
        sent = [json.loads(each.body)["metadata"] for each in sandbox.store.events]
        assert sorted(each["total"] for each in sent) == list(range(CALLS))
        assert {json.dumps(each["products"]) for each in sent} == {'[{"sku": "s"}]'}
        assert_numbers_add_up(databricks_url, f"sqlite:///{tmp_path / 'state.db'}", received=sandbox.store)
    page = (tmp_path / "r.html").read_text(encoding="utf-8")
    assert SECRET not in "".join([*said, page])
