"""The Redshift bed greets, encrypts and names types as Redshift does, and sees what Redshift would refuse."""

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.exc import InterfaceError
from warehouse import run_sql

from beds.redshift.bed import PASSWORD, RedshiftBed
from beds.redshift.proxy import refused_by_redshift


def test_the_driver_meets_redshift_over_tls(redshift_bed: RedshiftBed, redshift_url: str) -> None:
    engine = create_engine(redshift_url)
    with engine.connect() as connection:
        assert connection.execute(text("SELECT CAST(:a AS varchar)"), {"a": "x%:y"}).scalar() == "x%:y"
        driver = connection.connection.driver_connection
        assert (b"server_version", b"8.0.2") in driver.parameter_statuses  # type: ignore[union-attr]
    engine.dispose()
    assert redshift_bed.proxy.in_clear == 0
    assert redshift_bed.proxy.startups[-1]["driver_version"].startswith("Redshift Python Driver")
    assert "SELECT CAST($1 AS varchar)" in redshift_bed.proxy.statements
    assert PASSWORD not in str(redshift_bed.proxy.statements)


def test_types_are_named_as_in_redshift(redshift_url: str) -> None:
    run_sql(
        redshift_url,
        "CREATE TABLE t (a jsonb, b text, c numeric(38, 4), d timestamptz)",
        """INSERT INTO t VALUES ('{"x": 1.10}', 'b', 1.5)""",
    )
    engine = create_engine(redshift_url)
    with engine.connect() as connection:
        result = connection.execute(text("SELECT t.* FROM t"))
        assert [column[1] for column in result.cursor.description] == [4000, 1043, 1700, 1184]
        assert [str(each) for each in result.one()] == ['{"x": 1.10}', "b", "1.5000", "None"]
        listed = connection.execute(text("SELECT column_name, data_type FROM svv_columns WHERE table_name = 't' ORDER BY 1"))
        assert listed.all()[:2] == [("a", "super"), ("b", "character varying")]
    engine.dispose()


def test_a_client_that_trusts_nobody_does_not_get_in(redshift_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SSL_CERT_FILE")
    with pytest.raises(InterfaceError, match="CERTIFICATE_VERIFY_FAILED"):
        create_engine(redshift_url).connect()


def test_what_redshift_refuses_is_seen() -> None:
    refused = ["SELECT 1 WHERE a = ANY($1)", 'SELECT a COLLATE "C"', "SELECT a IS DISTINCT FROM b", "SAVEPOINT x", "SELECT a ->> 'b'"]
    assert [each.partition(":")[0] for each in refused_by_redshift([*refused, "SELECT many FROM collated WHERE a IN ($1, $2)"])] == [
        "an array",
        "COLLATE",
        "IS DISTINCT FROM",
        "a savepoint",
        "json of PostgreSQL",
    ]
