"""The Snowflake bed takes the real connector, keeps databases apart and notes what it is asked."""

from decimal import Decimal

from sqlalchemy import create_engine, text

from beds.snowflake.bed import SnowflakeBed


def test_the_connector_meets_snowflake(snowflake_bed: SnowflakeBed, snowflake_url: str) -> None:
    engine = create_engine(snowflake_url, connect_args=snowflake_bed.options)
    with engine.connect() as connection:
        connection.exec_driver_sql("CREATE TABLE t (a varchar, b number(38, 4), c timestamp_tz, d variant)")
        connection.exec_driver_sql("INSERT INTO t SELECT 'x', 1.5, '2026-11-01 10:00:00.123456 +02:00'::timestamp_tz, PARSE_JSON('[1]')")
        result = connection.execute(text("SELECT * FROM t WHERE a = :a"), {"a": "x"})
        assert [column[0] for column in result.cursor.description] == ["A", "B", "C", "D"]
        name, number, moment, content = result.one()
        assert (name, number, moment.isoformat(), content) == ("x", Decimal("1.5000"), "2026-11-01T08:00:00.123456+00:00", "[1]")
    engine.dispose()
    assert "SELECT * FROM t WHERE a = 'x'" in snowflake_bed.statements()
