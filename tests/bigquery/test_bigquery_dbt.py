"""The dbt package on BigQuery: compiled by its adapter, and run by GoogleSQL over what a real run has recorded.

Only `make nightly-dbt` installs that adapter. dbt asks BigQuery for more than the bed has, so what it compiled is run here by hand.
"""

import json
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from accounting import ALL, Bench, ago, read_rows
from beds.bigquery.project import Table
from beds.bigquery.server import Bed
from beds.bigquery.types import type_text
from dbt_projects import compiled, dbt_of, make_project, run_dbt
from warehouse import identify, track

from .tables import make_tables

pytestmark = pytest.mark.timeout(600)

COPIED = ("sync_state", "sync_customers", "sync_runs", "sync_watermarks")
EVENT = "It's a \\ page"


def publish(bed: Bed, state_url: str) -> None:
    """Put a copy of the sync-state where Segment's tables are, with times as times."""
    for name in COPIED:
        rows = read_rows(state_url, f"SELECT * FROM {name}")
        numbers = {column for row in rows for column, value in row.items() if isinstance(value, int)}
        declared = {
            str(row["name"]): "TIMESTAMP" if row["name"].endswith("_at") else "INT64" if row["name"] in numbers else "STRING"
            for row in read_rows(state_url, f"SELECT name FROM pragma_table_info('{name}')")
        }
        values = [tuple(_moment(row[each]) if kind == "TIMESTAMP" else row[each] for each, kind in declared.items()) for row in rows]
        bed.project.datasets.setdefault("rehook", {})[name] = Table(declared, values)


def _moment(value: object) -> object:
    return None if value is None else datetime.fromisoformat(str(value))


def test_what_dbt_compiles_for_bigquery_counts_every_call(bed: Bed, bench: Bench, tmp_path: Path) -> None:
    dbt = dbt_of("adapters")
    when = [ago(hours=30) + timedelta(minutes=n, microseconds=n) for n in range(17)]
    pages = [identify(f"p{n}" if n else " \t", f"u{n}", when[n], name="Home") for n in range(3)]
    nameless = [identify(None, f"u{n}", when[n // 2]) for n in range(3)]
    tracks = [track(f"t{n}", None if n % 5 == 0 else f"u{n}", "Order Completed", when[n]) for n in range(17)]
    identifies = [identify(f"i{n}", f"u{n}", when[n], plan=f"plan {n}") for n in range(17)]
    make_tables(bed.project, {"identifies": [*identifies, *nameless], "tracks": [*tracks, *tracks[:2]]})
    bench.options["missing_properties"] = "send"
    result = bench.run(since=ALL)
    publish(bed, str(bench.state_url))
    make_tables(bed.project, {"pages": pages})  # a stream that no run has looked at
    folder = tmp_path / "project"
    make_project(folder, "bigquery", {"rehook_other_calls": {"pages": EVENT}})
    run_dbt(dbt, folder, "deps")
    run_dbt(dbt, folder, "compile", "--no-introspect", "--no-populate-cache")
    found = compiled(folder)
    manifest = json.loads((folder / "target" / "manifest.json").read_text(encoding="utf-8"))
    bed.project.datasets["analytics"] = {}
    models = [name for name in found if f"model.rehook_sync.{name}" in manifest["nodes"]]
    for name in sorted(models, key=lambda each: (not each.startswith("stg_"), each != "dim_rehook_customers", each)):
        answer = bed.project.run(found[name])
        bed.project.datasets["analytics"][name] = Table({column: type_text(kind) for column, kind in answer.columns}, list(answer.rows))
    coverage = bed.project.run(
        "SELECT SUM(calls), SUM(loads), SUM(sent), SUM(rejected), SUM(not_judged) FROM `my-project.analytics.rehook_coverage`"
    )
    calls = 17 + 3 + 17 + 3
    assert [*coverage.rows] == [(calls, calls + 2, result.summary.sent, result.summary.rejected, 3)]
    events = bed.project.run("SELECT DISTINCT event FROM `my-project.analytics.rehook_coverage` WHERE stream = 'pages'")
    assert [*events.rows] == [(EVENT,)]
    failing = {name: rows for name, text in found.items() if name not in models and (rows := bed.project.run(text).rows)}
    assert failing == {}
