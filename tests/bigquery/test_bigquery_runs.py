"""The job over BigQuery: what its statements read, how many there are, what they carry, and what stops it."""

import json
import re
from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from accounting import ALL, Bench, ago
from beds.bigquery.project import Table
from beds.bigquery.server import Bed, Job
from warehouse import NOON, Row, event, identify, track

from rehook_sync.database.dialects.google_client import make
from rehook_sync.errors import SettingsError, SourceError
from rehook_sync.sync import Sync

from .tables import add_rows, make_tables

SINCE = ago(hours=48)
EVENTS = ("Order Completed", "Order Refunded", "Signed Up")
INTERVAL = (86_400_000_001).to_bytes(8, "little") + (3).to_bytes(4, "little") + (14 << 13).to_bytes(4, "little")
"""A year, two months, three days, and a day of 24 hours and a microsecond, as the engine has them."""
KINDS: dict[str, tuple[str, object, object]] = {
    "a_string": ("STRING", "é🙂", "é🙂"),
    "an_int64": ("INT64", 2**63 - 1, 2**63 - 1),
    "a_float64": ("FLOAT64", 0.1, Decimal("0.1")),
    "a_numeric": ("NUMERIC", Decimal("12345678901234567890.123456789"), Decimal("12345678901234567890.123456789")),
    "a_numeric_of_ten_digits": ("NUMERIC(10, 2)", Decimal("12.30"), Decimal("12.3")),
    "a_bignumeric": ("BIGNUMERIC", Decimal("0.00000000000000000000000000000000000001"), Decimal("1E-38")),
    "a_bool": ("BOOL", True, True),
    "a_timestamp": ("TIMESTAMP", datetime(2026, 11, 1, 1, 2, 3, 456789, tzinfo=UTC), "2026-11-01T01:02:03.456789Z"),
    "a_datetime": ("DATETIME", datetime(2026, 11, 1, 1, 2, 3, 456789, tzinfo=UTC).replace(tzinfo=None), "2026-11-01T01:02:03.456789Z"),
    "a_date": ("DATE", date(2026, 11, 1), "2026-11-01"),
    "a_time": ("TIME", time(1, 2, 3, 456789), "01:02:03.456789"),
    "bytes": ("BYTES", b"\x00\xff", "AP8="),
    "a_json": ("JSON", '{"a": 1.10, "b": [1, null]}', {"a": Decimal("1.1"), "b": [1, None]}),
    "an_array": ("ARRAY<INT64>", [1, 2**60], [1, 2**60]),
    "a_struct": ("STRUCT<city STRING, at TIMESTAMP>", ("Oslo", NOON), {"city": "Oslo", "at": "2026-11-01T12:00:00.000Z"}),
    "structs": ("ARRAY<STRUCT<n NUMERIC>>", [(Decimal("0.5"),)], [{"n": Decimal("0.5")}]),
    "a_geography": ("GEOGRAPHY", "POINT(1 2)", "POINT(1 2)"),
    "a_range": ("RANGE<DATE>", (date(2026, 11, 1), None), {"start": "2026-11-01"}),
    "an_interval": ("INTERVAL", INTERVAL, "P1Y2M4DT0.000001S"),
}
"""Name -> type, value, and what goes out."""


def orders(count: int, first: int = 0) -> tuple[list[Row], dict[str, list[Row]]]:
    """Track calls of three events, and the rows of their tables."""
    names = [EVENTS[n % len(EVENTS)] for n in range(first, first + count)]
    calls = [track(f"t{n + first}", f"u{n % 5}", name, ago(hours=30 - n / 10)) for n, name in enumerate(names)]
    tables: dict[str, list[Row]] = {}
    for n, call in enumerate(calls):
        tables.setdefault(str(call["event"]), []).append(event(call["id"], call["received_at"], total=Decimal(n)))
    return calls, tables


def run_jobs(bed: Bed, bench: Bench, **more: Any) -> Sequence[Job]:
    """Run once, and return the jobs of the run alone; the books are audited after it."""
    before = len(bed.jobs)
    result = bench.run(ALL if not bench.read_state("sync_watermarks") else None, check=False, **more)
    jobs = bed.jobs[before:]
    assert result.error is None
    bench.check()
    return jobs


def test_events_leave_with_the_properties_of_their_tables(bed: Bed, bench: Bench) -> None:
    calls, tables = orders(61)
    make_tables(bed.project, {"identifies": [identify("i1", "u1", ago(hours=40), plan="pro")], "tracks": [*calls, calls[7]], **tables})
    run_jobs(bed, bench)
    sent = [json.loads(body) for body in bench.bodies()]
    assert sorted(each["metadata"]["total"] for each in sent if "event_name" in each) == list(range(61))


def test_statements_are_bounded_by_streams_and_event_tables(bed: Bed, bench: Bench) -> None:
    calls, tables = orders(61)
    make_tables(bed.project, {"identifies": [], "tracks": calls, **tables, "unused": [event("x1", n=1)]})
    first = [each.sql for each in run_jobs(bed, bench)]
    more, rows = orders(10, 61)
    add_rows(bed.project, "tracks", [{**each, "event": "signed_up", "event_text": "Signed Up"} for each in more])
    add_rows(bed.project, "signed_up", [row for each in rows.values() for row in each])
    second = [each.sql for each in run_jobs(bed, bench)]
    for jobs, names in ((first, tables), (second, ["signed_up"])):
        read = [name for name in [*tables, "unused"] if any(f"`{name}` AS" in sql and "INFORMATION_SCHEMA" not in sql for sql in jobs)]
        assert read == [*names]
        assert len(jobs) <= 16 + 2 * len(read), "\n---\n".join(jobs)


@pytest.mark.parametrize("partition", ["_PARTITIONTIME", "loaded_at"])
def test_only_partitions_with_calls_of_the_window_are_read(bed: Bed, bench: Bench, partition: str) -> None:
    calls, tables = orders(11)
    day = {partition: ago(hours=1)}
    whole = {"identifies": [identify("i1", "u1", ago(hours=30))], "tracks": calls, **tables}
    make_tables(bed.project, {name: [{**row, **day} for row in rows] for name, rows in whole.items()}, partitioned_by=partition)
    before = len(bed.jobs)
    result = bench.run(SINCE, check=False)
    assert result.error is None
    jobs = [each for each in bed.jobs[before:] if "INFORMATION_SCHEMA" not in each.sql and "`received_at`" in each.sql]
    bound = "_PARTITIONTIME >= TIMESTAMP_TRUNC(@`loaded_from`, DAY)" if partition == "_PARTITIONTIME" else "`loaded_at` >= @`loaded_from`"
    assert len(jobs) >= 4
    assert [each.sql for each in jobs if bound not in each.sql] == []
    assert min(each.parameters["loaded_from"][1] for each in jobs) == SINCE - timedelta(days=1)
    bench.check()


def test_every_type_goes_out_as_documented(bed: Bed, bench: Bench) -> None:
    make_tables(bed.project, {"identifies": [], "tracks": [track("t1", "u1", when=ago(hours=3))]})
    columns = {"id": "STRING", "received_at": "TIMESTAMP", **{name: kind for name, (kind, _, _) in KINDS.items()}}
    bed.project.datasets["shop"]["order_completed"] = Table(columns, [("t1", ago(hours=3), *(value for _, value, _ in KINDS.values()))])
    run_jobs(bed, bench)
    assert [row["detail"] for row in bench.read_state("sync_state")] == [None]
    [body] = [json.loads(body, parse_float=Decimal) for body in bench.bodies()]
    assert body["metadata"] == {name: shown for name, (_, _, shown) in KINDS.items()}


def test_jobs_carry_a_label_a_limit_and_a_place(bed: Bed, bench: Bench) -> None:
    bench.options["warehouse_options"] = {"location": "EU", "maximum_bytes_billed": 10**9, "labels": "team=growth"}
    make_tables(bed.project, {"identifies": [], "tracks": []})
    jobs = run_jobs(bed, bench)
    (run,) = bench.read_state("sync_runs")
    labels = {"app": "rehook_sync", "team": "growth", "run_id": run["run_id"].lower()}
    assert [each.settings["labels"] for each in jobs if each.settings["labels"] != labels] == []
    assert re.fullmatch("[a-z0-9_-]{1,63}", labels["run_id"])
    assert {each.settings["maximumBytesBilled"] for each in jobs} == {str(10**9)}
    assert {each.location for each in jobs} == {"EU"}


def test_check_and_plan_say_what_would_be_scanned(bed: Bed, bench: Bench) -> None:
    calls, tables = orders(9)
    make_tables(bed.project, {"identifies": [identify("i1", "u1", ago(hours=40), plan="pro")], "tracks": calls, **tables})
    checked = Sync.check(bench.settings())
    assert checked.errors == {}
    dry = [each for each in bed.jobs if each.settings.get("dryRun")]
    assert len(dry) == 4, "two of each stream"
    assert checked.scans is not None
    assert 0 < checked.scans[0] <= checked.scans[1], "the engine names every column of a table, also one that is not needed"
    before = len(bed.jobs)
    plan = bench.plan(ALL)
    planned = [each.sql for each in bed.jobs[before:]]
    assert plan.scanned == sum(bed.project.run(each.sql, each.parameters, dataset="shop", dry=True).scanned for each in bed.jobs[before:])
    before = len(bed.jobs)
    bench.run(ALL)
    assert set(planned) <= {each.sql for each in bed.jobs[before:]}, "a run reads what its plan read"


def test_credentials_come_from_the_file_that_is_named(bed: Bed, bench: Bench, tmp_path: Path) -> None:
    bench.options["warehouse_options"] = {"credentials_file": str(bed.write_key(tmp_path / "key.json"))}
    make_tables(bed.project, {"identifies": [], "tracks": []})
    run_jobs(bed, bench)
    assert bed.tokens, "the key's own server was asked"


def test_another_account_stands_in_for_the_own(bed: Bed, tmp_path: Path) -> None:
    account = "reader@my-project.iam.gserviceaccount.com"
    config: dict[str, Any] = {"labels": {}, "maximum_bytes_billed": None}
    options = {"credentials_file": str(bed.write_key(tmp_path / "key.json")), "project": "payer"}
    client = make("my-project", {**options, "impersonate": account}, config, "OPTIONS")
    assert (client.project, client._credentials.service_account_email) == ("payer", account)
    file = bed.write_key(tmp_path / "other.json", impersonated=account)
    assert make("my-project", {"credentials_file": str(file)}, config, "OPTIONS")._credentials.service_account_email == account


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"maximum_bytes_billed": "much"}, "maximum_bytes_billed is a number of bytes"),
        ({"labels": "growth"}, "labels are written as team=data,cost=42"),
        ({"role": "LOADER"}, "role is not known here: it takes"),
        ({"credentials": "no json"}, "credentials is not the JSON of a key file"),
        ({"credentials": '{"type": "service_account", "private_key": "secret"}'}, "lead to no credentials of Google"),
    ],
)
def test_an_option_that_cannot_be_used_is_named(bed: Bed, bench: Bench, options: dict[str, object], says: str) -> None:
    with pytest.raises(SettingsError, match=says) as raised, bench.sync(warehouse_options=options) as sync:
        sync.discover()
    assert "secret" not in str(raised.value)


def test_an_option_in_the_url_is_told_its_place(bed: Bed, bench: Bench) -> None:
    url = "bigquery://my-project/shop?credentials_path=/key.json"
    with pytest.raises(SettingsError, match="credentials_path: give it in REHOOK_SYNC_WAREHOUSE_OPTIONS"), bench.sync(warehouse_url=url):
        pass


@pytest.mark.parametrize("dataset", ["nowhere", "my-project.nowhere", "other-project.shop"])
def test_a_list_of_tables_that_fails_ends_the_run(bed: Bed, bench: Bench, dataset: str) -> None:
    calls, tables = orders(9)
    make_tables(bed.project, {"identifies": [], "tracks": calls, **tables})
    with pytest.raises(SourceError, match="the tables of the warehouse cannot be listed"):
        bench.run(ALL, warehouse_schema=dataset)
    assert bench.bodies() == []


def test_a_job_beyond_the_limit_ends_the_run(bed: Bed, bench: Bench) -> None:
    calls, tables = orders(9)
    make_tables(bed.project, {"identifies": [], "tracks": calls, **tables})
    bench.options["warehouse_options"] = {"maximum_bytes_billed": 2}
    with pytest.raises(SourceError, match="exceeded limit for bytes billed"):
        bench.run(ALL)
    assert bench.bodies() == []


def test_datasets_of_several_sources_are_read(bed: Bed, bench: Bench) -> None:
    calls, tables = orders(5)
    make_tables(bed.project, {"identifies": [], "tracks": calls, **tables}, dataset="web")
    more, rows = orders(5, 5)
    make_tables(bed.project, {"identifies": [], "tracks": more, **rows}, dataset="app")
    bench.options["warehouse_schema"] = ["web=web", "app=my-project.app"]
    result = bench.run(ALL, check=False)
    assert (result.error, len(bench.bodies())) == (None, 10)
