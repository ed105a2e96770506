"""What PostgreSQL makes of tables that it knows nothing of yet: after a first large run, statistics may be a minute away."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from accounting import ALL, Bench, ago, open_bench
from sqlalchemy import Connection, Engine, create_engine, event
from warehouse import run_sql, track


@pytest.fixture
def bench(request: pytest.FixtureRequest) -> Iterator[Bench]:
    """A warehouse and its sync-state in one database of PostgreSQL."""
    with open_bench("postgresql-same", request) as opened:
        yield opened


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """A node of a plan, and those below."""
    yield plan
    for each in plan.get("Plans", ()):
        yield from nodes(each)


def test_no_call_is_compared_with_every_other_one(bench: Bench) -> None:
    """To look for what is unsettled, missing or judged took 37 seconds of 39 for 20,000 calls, and four times as much for twice as many."""
    bench.fill([], [track(f"t{each}", f"user{each % 50}", "Visited", ago(hours=5, seconds=-each)) for each in range(50)])
    asked: dict[str, tuple[Any, str]] = {}

    @event.listens_for(Engine, "before_cursor_execute")
    def note(connection: Connection, _cursor: object, statement: str, values: Any, *_: object) -> None:
        if all(each in statement for each in ("timed AS", '"tracks"', "sync_state")):
            cursor = connection.connection.cursor()
            cursor.execute("SHOW enable_nestloop")
            asked[statement] = (values, cursor.fetchall()[0][0])

    try:
        assert bench.run(ALL).summary.sent == 50
        assert bench.run().summary.sent == 0
    finally:
        event.remove(Engine, "before_cursor_execute", note)
    assert {nestloop for _, nestloop in asked.values()} == {"on", "off"}
    assert len(asked) >= 4
    for table, name in (("tracks", "id"), ("rehook_sync.sync_state", "message_id")):
        run_sql(
            bench.warehouse_url,
            f"INSERT INTO {table} SELECT (jsonb_populate_record(t, jsonb_build_object('{name}', t.{name} || '-' || place))).* "
            f"FROM {table} AS t, generate_series(1, 400) AS place",
        )
        run_sql(bench.warehouse_url, f"DELETE FROM pg_statistic WHERE starelid = '{table}'::regclass")
    engine = create_engine(bench.warehouse_url)
    with engine.connect() as connection:
        for statement, (values, nestloop) in asked.items():
            connection.exec_driver_sql(f"SET enable_nestloop TO {nestloop}")
            ((found,),) = connection.exec_driver_sql(f"EXPLAIN (FORMAT JSON) {statement}", values).all()
            (document,) = found if isinstance(found, list) else json.loads(found)
            slow = [each for each in nodes(document["Plan"]) if "message_id" in each.get("Join Filter", "")]
            assert slow == [], statement
    engine.dispose()
