"""The awkward sources in an owner's own account: `make test-live WAREHOUSE=URL`.

Each source gets a schema of a random name, which is dropped in the end, also after a failure. It is filled; then come `check`, `plan`,
`run` and `audit`, the sync-state in a file, against a sandbox on this machine: nothing leaves for Rehook. Last it says what that cost.
"""

import argparse
import json
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

from accounting import ALL, Bench, Books
from awkward import run, shown
from costs import counted
from sources import SOURCES, Source
from sqlalchemy import make_url
from sqlalchemy.exc import ArgumentError
from warehouse import APART, CLOUDS, MADE, OPTIONS, WAREHOUSES, add_rows, close_engines, engine_to, make_warehouse

from rehook_sync.database.dialects.record import Connecting
from rehook_sync.database.engine import Database, open_database
from rehook_sync.errors import RehookSyncError, UsageError
from rehook_sync.jobs.results import RunOptions
from rehook_sync.sandbox.server import Sandbox
from rehook_sync.settings import load_settings
from rehook_sync.sync import Sync

__all__ = ["LiveBench", "main", "sources_for"]

_KINDS = {**WAREHOUSES, **CLOUDS, **APART}
_NAMED = ("postgresql", "duckdb", "redshift", "snowflake", "bigquery", "databricks")

_TOO_LONG = {"redshift": ("with_json_that_javascript_cannot_hold",)}
"""Kind -> sources with texts that its tables cannot hold, which those behind its bed can."""


class LiveBench(Bench):
    """A bench that looks at the warehouse by the program's own audit alone."""

    def check(self, **_options: object) -> Books:
        """Audit: no row may be missing."""
        with self.sync() as sync:
            found = sync.audit(RunOptions(since=ALL))
        assert found.missing == 0, "the audit misses rows"
        return Books({}, {}, (), (), ())


def sources_for(kind: str) -> dict[str, Source]:
    """Return the sources that can be made in a schema of their own: those whose steps are no SQL over tables without a schema."""
    beyond = {*_KINDS[kind].beyond, *_TOO_LONG.get(kind, ())}
    built = {name: build(_KINDS[kind]) for name, build in SOURCES.items() if name not in beyond}
    return {name: source for name, source in built.items() if not any(step.sql for step in source.steps)}


@contextmanager
def _schema(url: str) -> Iterator[str]:
    """The name of a schema that is not there yet; it is dropped in the end."""
    name = f"rehook_live_{uuid.uuid4().hex[:12]}"
    try:
        yield name
    finally:
        with engine_to(url).begin() as connection:
            quoted = connection.dialect.identifier_preparer.quote_identifier(name)
            connection.exec_driver_sql(f"DROP SCHEMA IF EXISTS {quoted} CASCADE")


def sync_source(url: str, source: Source) -> int | None:
    """Sync a source. Returns the bytes that its plan scanned, None where the warehouse does not say. Raises AssertionError."""
    known: set[str] = set()
    scanned = None
    with tempfile.TemporaryDirectory() as folder, Sandbox() as sandbox, _schema(url) as schema:
        bench = LiveBench(url, f"sqlite:///{Path(folder, 'state.db')}", sandbox, {"warehouse_schema": [schema]})
        with bench.sync() as sync:
            sync.init()
        for step in source.steps:
            bench.options |= step.settings
            made = {name: rows for name, rows in step.tables.items() if name not in known}
            make_warehouse(url, made, schema=schema, types=step.types)
            for name in known & step.tables.keys():
                add_rows(url, name, step.tables[name], schema=schema)
            known |= set(made)
            seen = len(bench.bodies())
            if step.code == 0:
                # What it says of the warehouse may be right: of a table, say, that a run goes on without.
                wrong = Sync.check(bench.settings()).errors.keys() - {"warehouse"}
                assert not wrong, f"check: {wrong}"
                scanned = bench.plan(None if bench.read_state("sync_watermarks") else ALL).scanned
            code, said = run(bench)
            assert sorted(map(shown, bench.bodies()[seen:])) == sorted(json.dumps(each) for each in step.sent), "what arrived"
            assert code == step.code, said
    return scanned


def main(arguments: Sequence[str] | None = None) -> int:
    """Sync all sources, or those that are named, and print what became of each."""
    parser = argparse.ArgumentParser(prog="make test-live", description="Sync the awkward sources in an account of your own.")
    parser.add_argument("url", help="URL of the warehouse, as in WAREHOUSE_URL")
    parser.add_argument("--options", default="{}", help="WAREHOUSE_OPTIONS as JSON")
    parser.add_argument("--sources", default="", help="names between commas; all of them")
    given = parser.parse_args(arguments)
    try:
        kind = make_url(given.url).get_backend_name()
        if kind not in _NAMED:
            raise UsageError(f"test-live makes its tables in {', '.join(_NAMED)}; {kind} is not among them")
        database = _open(given.url, json.loads(given.options))
    except (RehookSyncError, ArgumentError, ValueError) as error:
        sys.stderr.write(f"error: {error}\n")
        return 2
    wanted = [each for each in given.sources.split(",") if each]
    found = {name: source for name, source in sources_for(kind).items() if not wanted or name in wanted}
    began = time.monotonic()
    with closing(database), counted(kind) as costs:
        if database.file is None:  # a file takes no reader beside a writer that stays connected
            MADE[given.url] = database.engine
        try:
            failed = sum(not _tried(given.url, name, source) for name, source in found.items())
            cost = costs.told(database.engine)
        finally:
            MADE.pop(given.url, None)
            close_engines()
    sys.stdout.write(f"{len(found) - failed} of {len(found)} sources are synced whole, in {time.monotonic() - began:.0f} s\ncost: {cost}\n")
    return 1 if failed or not found else 0


def _open(url: str, options: Mapping[str, object]) -> Database:
    """Return the warehouse, open for writing, as settings lead to it. Raises: SettingsError."""
    if options:
        OPTIONS[url] = options
    # A state of its own, as most warehouses cannot hold it.
    settings = load_settings(None, {}, warehouse_url=url, warehouse_options=options, state_url="sqlite:///state.db")
    connecting = Connecting(settings.driver_options, publishes=True)
    return open_database(url, "WAREHOUSE", may_create=True, connecting=connecting)


def _tried(url: str, name: str, source: Source) -> bool:
    """Sync a source and print what became of it. Tells whether it was synced whole."""
    try:
        scanned = sync_source(url, source)
    except Exception as error:  # noqa: BLE001 - whatever it is, the next source is tried
        lines = str(error).splitlines() or [type(error).__name__]
        sys.stdout.write(f"FAILED  {name}: {lines[0][:300]}\n")
        return False
    else:
        sys.stdout.write(f"ok      {name}{'' if scanned is None else f', {scanned:,} bytes scanned'}\n")
        return True
    finally:
        sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
