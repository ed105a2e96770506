"""The commands as processes over BigQuery, with the sync-state in a SQLite file."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from accounting import ago, assert_numbers_add_up
from beds.bigquery.engine import GoogleSql
from beds.bigquery.project import Project
from beds.bigquery.server import open_bed
from warehouse import event, identify, track

from rehook_sync.sandbox.server import Sandbox

from .tables import make_tables


@dataclass
class Program:
    """Runs `python -m rehook_sync` in a folder, with these variables."""

    folder: Path
    environ: Mapping[str, str]
    sandbox: Sandbox

    def __call__(self, *arguments: str) -> str:
        """Run to the end, which is a good one: what it printed."""
        command = [sys.executable, "-m", "rehook_sync", *arguments]
        done = subprocess.run(command, cwd=self.folder, env=self.environ, capture_output=True, encoding="utf-8", timeout=120, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def json(self, *arguments: str) -> Any:
        """Run to the end: its document."""
        return json.loads(self(*arguments, "--json"))


@contextmanager
def open_program(googlesql: GoogleSql, folder: Path) -> Iterator[Program]:
    """Serve one identify call and two track calls with their event tables, and make the sync-state tables."""
    project = Project(googlesql, "my-project")
    calls = [track("t1", "u1", "Signed Up", ago(hours=2)), track("t2", "u2", "Signed Up", ago(hours=1))]
    rows = [event(call["id"], call["received_at"], total=Decimal(n)) for n, call in enumerate(calls)]
    make_tables(project, {"identifies": [identify("i1", "u1", ago(hours=3), plan="pro")], "tracks": calls, "signed_up": rows})
    with Sandbox() as sandbox, open_bed(project) as bed:
        key, secret = sandbox.credentials
        environ = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "BIGQUERY_EMULATOR_HOST": bed.host,
            "GOOGLE_APPLICATION_CREDENTIALS": str(bed.write_key(folder / "key.json")),
            "REHOOK_SYNC_WAREHOUSE_URL": "bigquery://my-project/shop",
            "REHOOK_SYNC_STATE_URL": f"sqlite:///{folder / 'state.db'}",
            "REHOOK_SYNC_API_URL": sandbox.url,
            "REHOOK_SYNC_API_KEY": key,
            "REHOOK_SYNC_API_SECRET": secret,
        }
        program = Program(folder, environ, sandbox)
        program("init")
        yield program


def check_sent(program: Program, document: Mapping[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """All three calls went out, once, with what they have, and the books agree."""
    monkeypatch.setenv("BIGQUERY_EMULATOR_HOST", program.environ["BIGQUERY_EMULATOR_HOST"])
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", program.environ["GOOGLE_APPLICATION_CREDENTIALS"])
    assert (document["status"], document["rows_read"], document["sent"]) == ("succeeded", 3, 3)
    assert sorted(json.loads(each.body)["metadata"]["total"] for each in program.sandbox.store.events) == [0, 1]
    urls = (program.environ[f"REHOOK_SYNC_{each}_URL"] for each in ("WAREHOUSE", "STATE"))
    assert_numbers_add_up(*urls, received=program.sandbox.store)


@pytest.fixture(scope="module")
def synced(googlesql: GoogleSql, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Program, Any]]:
    """A warehouse after one run, which no test changes, and the document of the run."""
    with open_program(googlesql, tmp_path_factory.mktemp("synced")) as program:
        yield program, program.json("run", "--since", "beginning")


def test_run_sends_every_call(synced: tuple[Program, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    program, document = synced
    check_sent(program, document, monkeypatch)


def test_run_in_workers_sends_every_call(googlesql: GoogleSql, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with open_program(googlesql, tmp_path) as program:
        check_sent(program, program.json("run", "--since", "beginning", "--workers", "2"), monkeypatch)


def test_audit_misses_no_call(synced: tuple[Program, Any]) -> None:
    document = synced[0].json("audit", "--since", "beginning")
    assert (document["missing"], document["found_by_next_run"], sum(line["rows"] for line in document["lines"])) == (0, 0, 3)


def test_explain_tells_of_a_call(synced: tuple[Program, Any]) -> None:
    document = synced[0].json("explain", "t2")
    assert [(row["message_id"], row["status"]) for row in document["rows"]] == [("t2", "sent")]


def test_status_counts_the_run(synced: tuple[Program, Any]) -> None:
    document = synced[0].json("status")
    assert [(run["status"], run["rows_read"]) for run in document["runs"]] == [("succeeded", 3)]


def test_report_is_a_page(synced: tuple[Program, Any]) -> None:
    assert synced[0]("report", "--out", "-").startswith("<!doctype html>")
