"""The dbt package on the adapters of clouds: compiled without an account by dbt 1 and 2, and built over the beds of Snowflake and Redshift.

`make nightly-dbt` installs these adapters, and runs what is here; elsewhere it is skipped.
"""

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from accounting import ALL, Bench
from beds.redshift.bed import PASSWORD, RedshiftBed
from beds.snowflake.bed import PASSWORD as ACCOUNT_PASSWORD
from beds.snowflake.bed import SnowflakeBed
from dbt_projects import PROFILES, compiled, dbt_of, make_project, run_dbt
from published import read_table
from sqlalchemy import make_url
from warehouse import BEHIND, identify, track

from rehook_sync.sandbox.server import Sandbox

pytestmark = pytest.mark.timeout(600)

FOREIGN: Mapping[str, str] = {
    "snowflake": r"at time zone|octet_length\(encode|timestamp with time zone| trigger as",
    "bigquery": r"at time zone|double precision|with time zone|varchar|octet_length\(encode",
    "databricks": r"at time zone|double precision|with time zone|varchar|[( ]trim\(|octet_length\(encode",
    "redshift": r"pg_typeof|regtype|[( ]trim\(|octet_length\(encode",
    "duckdb": r"pg_typeof",
    "postgres": r"try_cast",
}
"""Words of others, which an adapter's warehouse does not know."""
EVENT = "It's a \\ page"
MORE: Mapping[str, object] = {"rehook_coverage_since": "2026-11-01", "rehook_other_calls": {"pages": EVENT}}


def check_compiled(folder: Path, adapter: str) -> None:
    """Everything was compiled, and no word of it is another warehouse's."""
    found = compiled(folder)
    assert {"stg_rehook_calls", "rehook_coverage", "rehook_coverage_counts_every_call"} <= found.keys()
    assert {name: hit[0] for name, text in found.items() if (hit := re.search(FOREIGN[adapter], text))} == {}
    literal = r"'It\'s a \\ page'" if adapter in {"snowflake", "bigquery", "databricks"} else "'It''s a \\ page'"
    assert literal in found["stg_rehook_segment_calls"]


@pytest.mark.parametrize("adapter", PROFILES)
def test_dbt_compiles_for_each_adapter(adapter: str, tmp_path: Path) -> None:
    dbt = dbt_of("databricks" if adapter == "databricks" else "adapters")
    make_project(tmp_path / "project", adapter, MORE)
    run_dbt(dbt, tmp_path / "project", "deps")
    run_dbt(dbt, tmp_path / "project", "compile", "--no-introspect", "--no-populate-cache")
    check_compiled(tmp_path / "project", adapter)


@pytest.mark.parametrize("adapter", PROFILES)
def test_dbt_2_compiles_for_each_adapter(adapter: str, tmp_path: Path) -> None:
    dbt = dbt_of("2")
    make_project(tmp_path / "project", adapter, MORE)
    run_dbt(dbt, tmp_path / "project", "deps")
    run_dbt(dbt, tmp_path / "project", "compile", "--no-introspect")
    check_compiled(tmp_path / "project", adapter)


def fill_and_publish(bench: Bench, schema: str) -> None:
    """People and their orders, some without a user, all of a day; a run, and the copy of what it recorded."""
    when = [datetime.now(UTC) - timedelta(hours=6) + timedelta(minutes=n, microseconds=n) for n in range(17)]
    bench.fill(
        identifies=[identify(f"i{n}", f"u{n}", when[n], plan=f"plan {n}") for n in range(17)],
        tracks=[track(f"t{n}", None if n % 5 == 0 else f"u{n}", "Order Completed", when[n]) for n in range(17)],
    )
    bench.options["publish_schema"] = schema
    result = bench.run(since=ALL)
    assert (result.summary.sent, result.summary.rejected) == (30, 4)


def check_models(url: str, folder: Path) -> None:
    """The build went well, and coverage counts what was sent and why the rest was not."""
    results = json.loads((folder / "target" / "run_results.json").read_text(encoding="utf-8"))["results"]
    assert {each["status"] for each in results} <= {"success", "pass", "no-op"}
    assert sum(each["status"] == "pass" for each in results) > 40
    rows = read_table(url, "analytics.rehook_coverage")
    totals = {name: sum(int(row[name]) for row in rows) for name in ("calls", "loads", "sent", "rejected_missing_user_id", "not_judged")}
    assert totals == {"calls": 34, "loads": 34, "sent": 30, "rejected_missing_user_id": 4, "not_judged": 0}
    assert min(float(row["settled_after_s"]) for row in read_table(url, "analytics.fct_rehook_deliveries")) > 0


def test_dbt_builds_on_the_snowflake_bed(snowflake_bed: SnowflakeBed, snowflake_url: str, tmp_path: Path) -> None:
    dbt = dbt_of("adapters")
    with Sandbox() as sandbox:
        bench = Bench(snowflake_url, f"sqlite:///{tmp_path / 'state.db'}", sandbox)
        fill_and_publish(bench, "rehook")
    database = str(make_url(snowflake_url).database).partition("/")[0]
    place = {"user": "loader", "password": ACCOUNT_PASSWORD, "database": database, **snowflake_bed.options}
    make_project(tmp_path / "project", "snowflake", {"rehook_warehouse_schema": "segment"}, place)
    run_dbt(dbt, tmp_path / "project", "deps")
    run_dbt(dbt, tmp_path / "project", "build", SNOWFLAKE_DISABLE_PLATFORM_DETECTION="true")
    check_models(snowflake_url, tmp_path / "project")


def test_dbt_builds_on_the_redshift_bed(redshift_bed: RedshiftBed, redshift_url: str, tmp_path: Path) -> None:
    dbt = dbt_of("adapters")
    with Sandbox() as sandbox:
        bench = Bench(redshift_url, f"sqlite:///{tmp_path / 'state.db'}", sandbox)
        bench.options["publish_url"] = BEHIND[redshift_url]
        fill_and_publish(bench, "rehook")
    place = {"port": make_url(redshift_url).port, "user": "postgres", "password": PASSWORD, "dbname": make_url(redshift_url).database}
    make_project(tmp_path / "project", "redshift", {"rehook_warehouse_schema": "public"}, place)
    run_dbt(dbt, tmp_path / "project", "deps")
    run_dbt(dbt, tmp_path / "project", "build", SSL_CERT_FILE=str(redshift_bed.ca_file))
    check_models(redshift_url, tmp_path / "project")
