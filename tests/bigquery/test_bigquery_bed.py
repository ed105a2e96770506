"""The test bed itself: it takes what BigQuery takes, refuses what BigQuery refuses, and answers as BigQuery does."""

from datetime import UTC, date, datetime, time
from decimal import Decimal

import pytest
from beds.bigquery.engine import GoogleSql, GoogleSqlError
from beds.bigquery.project import Project, Table
from beds.bigquery.server import Bed
from google.api_core.exceptions import BadRequest, Forbidden, NotFound
from google.cloud import bigquery
from sqlalchemy import ARRAY, String, bindparam, create_engine, text

NOON = datetime(2026, 11, 1, 12, tzinfo=UTC)
COLUMNS = {
    "id": "STRING",
    "received_at": "TIMESTAMP",
    "age": "INT64",
    "js": "JSON",
    "address": "STRUCT<city STRING, zip STRING>",
    "tags": "ARRAY<STRING>",
    "since": "DATETIME",
}
REFUSED = {
    "information_schema without a dataset": "SELECT table_name FROM information_schema.tables",
    "current_schema": "SELECT current_schema()",
    "VARCHAR": "SELECT CAST('a' AS VARCHAR)",
    "text": "SELECT CAST('a' AS text)",
    "FILTER": "SELECT COUNT(*) FILTER (WHERE age > 1) FROM shop.people",
    "a collation": 'SELECT id FROM shop.people ORDER BY id COLLATE "C"',
    "ANY of an array": "SELECT id FROM shop.people WHERE id = ANY(['a'])",
    "a cast by colons": "SELECT age::string FROM shop.people",
    "text equal to a number": "SELECT id FROM shop.people WHERE id = 1",
    "PostgreSQL's functions": "SELECT to_char(received_at, 'YYYY') FROM shop.people",
    "DISTINCT ON": "SELECT DISTINCT ON (id) id FROM shop.people",
    "an unknown column": "SELECT nope FROM shop.people",
    "an unknown table": "SELECT id FROM shop.nobody",
    "a column outside GROUP BY": "SELECT id, COUNT(*) FROM shop.people",
    "GROUP BY of JSON": "SELECT js, COUNT(*) FROM shop.people GROUP BY js",
    "DISTINCT of arrays": "SELECT DISTINCT tags FROM shop.people",
    "TIMESTAMP beside DATETIME": "SELECT id FROM shop.people WHERE received_at > since",
    "UNION alone": "SELECT 1 UNION SELECT 2",
    "a reserved word": "SELECT end FROM (SELECT 1 AS `end`)",
    "an array of another type": "SELECT id FROM shop.people WHERE id IN UNNEST([1, 2])",
    "LATERAL": "SELECT p.id FROM shop.people p, LATERAL (SELECT 1) x",
    "no such pseudo column": "SELECT _PARTITIONTIME FROM shop.people",
}
TAKEN = {
    "SELECT id FROM shop.people WHERE id IN UNNEST(['a', 'b'])": [("a",)],
    "SELECT p.id FROM `my-project.shop.people` AS p": [("a",)],
    "SELECT people.id FROM `my-project`.shop.people WHERE people.age = 7": [("a",)],
    "SELECT id FROM shop.people WHERE TRUE QUALIFY ROW_NUMBER() OVER (PARTITION BY id ORDER BY received_at DESC) = 1": [("a",)],
    "SELECT * EXCEPT (js, address, tags, since) FROM shop.people": [("a", NOON, 7)],
    "SELECT COUNTIF(age > 1), MAX(TIMESTAMP_TRUNC(received_at, DAY)) FROM shop.people": [(1, NOON.replace(hour=0))],
    "SELECT TO_JSON_STRING(js), address.city, tags FROM shop.people": [('{"n":1.5}', "Oslo", ["x", "y"])],
    "SELECT data_type FROM shop.INFORMATION_SCHEMA.COLUMNS WHERE column_name = 'tags'": [("ARRAY<STRING>",)],
    "SELECT COUNT(*) FROM `my-project.shop.INFORMATION_SCHEMA.TABLES`": [(1,)],
    "SELECT id FROM shop.people ORDER BY age DESC NULLS LAST, id LIMIT 1": [("a",)],
    "SELECT UNIX_MICROS(received_at), FARM_FINGERPRINT(id) FROM shop.people": [(1793534400000000, -5528939962900187677)],
}


@pytest.fixture
def project(bed: Bed) -> Project:
    """A project with one table."""
    rows = [("a", NOON, 7, '{"n": 1.50}', ("Oslo", "1"), ["x", "y"], NOON.replace(tzinfo=None))]
    bed.project.datasets["shop"]["people"] = Table(dict(COLUMNS), rows)
    return bed.project


@pytest.mark.parametrize("what", REFUSED)
def test_what_bigquery_refuses_is_refused(project: Project, what: str) -> None:
    with pytest.raises(GoogleSqlError):
        project.run(REFUSED[what])


@pytest.mark.parametrize("sql", TAKEN)
def test_what_bigquery_takes_is_taken(project: Project, sql: str) -> None:
    assert project.run(sql).rows == TAKEN[sql]


def test_tables_change_as_statements_say(googlesql: GoogleSql) -> None:
    project = Project(googlesql, "my-project")
    project.datasets["shop"] = {}
    project.run("CREATE TABLE shop.t (id STRING, n NUMERIC(10, 2), a ARRAY<STRUCT<x INT64, y STRING>>)")
    project.datasets["shop"]["t"].rows += [("a", Decimal("1.25"), [(1, "é")]), ("b", None, [])]
    project.run("CREATE VIEW shop.v AS SELECT * FROM shop.t WHERE n IS NOT NULL")
    project.run("ALTER TABLE t ADD COLUMN m STRING", dataset="shop")
    project.run("UPDATE t SET m = 'ü' WHERE id = 'a'", dataset="shop")
    assert project.run("SELECT * FROM v", dataset="shop").rows == [("a", Decimal("1.25"), [(1, "é")], "ü")]
    project.run("DELETE FROM shop.t WHERE id = 'a'")
    project.run("ALTER TABLE shop.t DROP COLUMN n")
    project.run("DROP VIEW shop.v")
    project.run("ALTER TABLE shop.t RENAME TO u")
    assert project.datasets["shop"] == {
        "u": Table({"id": "STRING", "a": "ARRAY<STRUCT<x INT64, y STRING>>", "m": "STRING"}, [("b", [], None)])
    }


def test_rows_of_an_ingestion_day_have_a_pseudo_column(project: Project) -> None:
    day = NOON.replace(hour=0)
    project.datasets["shop"]["days"] = Table({"id": "STRING"}, [("a", day), ("b", None)], partitioned_by="_PARTITIONTIME")
    assert project.run("SELECT * FROM shop.days WHERE _PARTITIONTIME IS NULL").rows == [("b",)]
    columns = "SELECT column_name, is_partitioning_column, is_system_defined FROM shop.INFORMATION_SCHEMA.COLUMNS WHERE table_name = 'days'"
    assert project.run(columns).rows == [("id", "NO", "NO"), ("_PARTITIONTIME", "YES", "YES")]


def test_googles_client_reads_every_type(bed: Bed) -> None:
    values = {
        "t": ("TIMESTAMP", NOON.replace(microsecond=123457)),
        "last": ("TIMESTAMP", datetime(9999, 12, 31, 23, 59, 59, 999999, tzinfo=UTC)),
        "first": ("TIMESTAMP", datetime(1, 1, 1, tzinfo=UTC)),
        "d": ("DATE", date(2026, 11, 1)),
        "dt": ("DATETIME", NOON.replace(tzinfo=None, microsecond=456)),
        "tm": ("TIME", time(1, 2, 3, 456)),
        "n": ("NUMERIC", Decimal("-12345678901234567890123456789.123456789")),
        "bn": ("BIGNUMERIC", Decimal("0.00000000000000000000000000000000000001")),
        "i": ("INT64", -(2**63)),
        "f": ("FLOAT64", 0.1),
        "b": ("BOOL", False),
        "by": ("BYTES", b"\x00\xff"),
        "s": ("STRING", "\0é🙂"),
        "r": ("RANGE<DATE>", (date(2026, 11, 1), None)),
    }
    bed.project.datasets["shop"]["kinds"] = Table(
        {name: kind for name, (kind, _) in values.items()}, [tuple(each for _, each in values.values())]
    )
    [row] = bigquery.Client("my-project").query_and_wait("SELECT * FROM shop.kinds")
    assert dict(row) == {**{name: value for name, (_, value) in values.items()}, "r": {"start": date(2026, 11, 1), "end": None}}
    [interval] = bigquery.Client("my-project").query_and_wait("SELECT INTERVAL '-1-2 3 -4:5:6.789' YEAR TO SECOND")
    assert (interval[0].years, interval[0].months, interval[0].days, interval[0].microseconds) == (-1, -2, 3, -789000)


def test_sqlalchemy_reads_over_a_client_of_our_own(bed: Bed, project: Project) -> None:
    client = bigquery.Client("my-project", location="EU", default_query_job_config=bigquery.QueryJobConfig(labels={"app": "us"}))
    engine = create_engine(
        "bigquery://my-project/shop?user_supplied_client=True", connect_args={"client": client, "prefer_bqstorage_client": False}
    )
    statement = text("SELECT id FROM `shop`.`people` WHERE id IN UNNEST(:ids)").bindparams(bindparam("ids", type_=ARRAY(String)))
    with engine.connect() as connection:
        assert connection.execute(statement, {"ids": ["a", "z"]}).all() == [("a",)]
        assert connection.execute(statement, {"ids": []}).all() == []
    engine.dispose()
    job = bed.jobs[-1]
    assert (job.settings["labels"], job.location, job.parameters) == ({"app": "us"}, "EU", {"ids": ("ARRAY<STRING>", [])})
    assert project.datasets["shop"]


def test_long_answers_come_in_pages(bed: Bed) -> None:
    bed.page = 7
    bed.project.datasets["shop"]["many"] = Table({"n": "INT64"}, [(n,) for n in range(100)])
    assert [row.n for row in bigquery.Client("my-project").query_and_wait("SELECT n FROM shop.many")] == list(range(100))


def test_a_dry_run_says_what_would_be_scanned(bed: Bed, project: Project) -> None:
    job = bigquery.Client("my-project").query("SELECT id, age FROM shop.people", bigquery.QueryJobConfig(dry_run=True))
    assert job.total_bytes_processed == 16
    assert bed.statements() == []
    assert project.datasets["shop"]


def test_limits_and_rights_are_kept(bed: Bed, project: Project) -> None:
    client = bigquery.Client("my-project")
    with pytest.raises(BadRequest, match="exceeded limit for bytes billed: 1"):
        client.query_and_wait("SELECT id FROM shop.people", job_config=bigquery.QueryJobConfig(maximum_bytes_billed=1))
    with pytest.raises(NotFound, match="in location US"):
        client.query_and_wait("SELECT 1", location="US")
    project.datasets["shop"]["people"].denied = True
    with pytest.raises(Forbidden, match="Access Denied"):
        client.query_and_wait("SELECT id FROM shop.people")
    assert "Access Denied" in str(bed.jobs[-1].error)
