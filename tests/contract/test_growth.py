"""What a run asks of the sync-state tables is found by an index: its cost does not grow with all that was ever settled."""

import re
from contextlib import closing
from datetime import timedelta

import pytest
import warehouse
from sqlalchemy import Connection, text
from sqlalchemy.event import listen
from warehouse import NOON, OpenSource, identify, make_warehouse, run_sql

from rehook_sync.database.engine import open_database
from rehook_sync.database.queries import load_queries
from rehook_sync.models import Stream, Window
from rehook_sync.state.migrations import upgrade

open_source = warehouse.open_source

EVERY_RUN = (
    "known_ids",
    "read_failed",
    "read_customers",
    "read_codes",
    "read_marks",
    "forget_marks",
    "restore_previous",
    "batch_trigger",
    "accept_claims",
    "clear_codes",
    "write_claims",
    "release_claim",
    "give_code_back",
    "doubt_marked",
    "fail_marked",
    "forget_marked_customers",
    "forget_open_claims",
    "restore_accepted_codes",
    "count_unsettled",
    "count_run",
    "count_reasons",
    "has_sent",
)
HALF_OPEN = {"forget_open_claims", "restore_accepted_codes"}
"""These go through an index that holds nothing but what they look for."""
ALIASES = r"(?:sync_state|sync_customers|s|c|other|same)"


def read_statements(name: str) -> list[str]:
    """A query, or the statements of a trigger with values in the place of the row that set it off."""
    sql = load_queries("state", "sqlite")[name].sql
    if name != "batch_trigger":
        return [sql]
    body = sql.partition("BEGIN")[2].rpartition("END")[0]
    statements = [each for each in re.sub(r"\bNEW\.(\w+)", r":\1", body).split(";") if each.strip() and "RAISE(" not in each]
    assert len(statements) == 5
    return statements


@pytest.mark.parametrize("name", EVERY_RUN)
@pytest.mark.parametrize("analyzed", [False, True])
def test_nothing_goes_through_all_that_was_settled(sqlite_url: str, name: str, analyzed: bool) -> None:
    statements = read_statements(name)
    with closing(open_database(sqlite_url, "STATE_URL", may_create=True)) as database:
        upgrade(database, None)
        with database.transaction() as connection:
            if analyzed:
                fill = (
                    "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3000) "
                    "INSERT INTO sync_state (stream, message_id, user_id, status, run_id, first_seen_at, settled_at) "
                    "SELECT 'tracks', 'm' || i, 'u' || i, 'sent', 'r', '2026', '2026' FROM n"
                )
                connection.exec_driver_sql(fill)
                connection.exec_driver_sql(
                    "INSERT INTO sync_customers (source_id, referral_code, accepted_code) SELECT user_id, user_id, user_id FROM sync_state"
                )
                connection.exec_driver_sql("ANALYZE")
            plan = [
                row[3]
                for sql in statements
                for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {sql}", dict.fromkeys(re.findall(r":(\w+)", sql)))
            ]
    for step in plan:
        found = re.fullmatch(rf"(SCAN|SEARCH) {ALIASES}(?: USING (.*))?", step)
        if not found:
            continue
        how, by = found[1], found[2] or ""
        assert how == "SEARCH" or (name in HALF_OPEN and re.search(r"INDEX sync_customers_(open|freed)$", by)), plan
        assert not re.search(r"PRIMARY KEY \(stream=\?\)|by_time \(stream=\?\)|by_run \(\)", by), plan


FILL_POSTGRES = (
    "INSERT INTO sync_state (stream, message_id, user_id, status, run_id, first_seen_at, settled_at) "
    "SELECT 'tracks', 'm' || i, 'u' || i, 'sent', 'r', now(), now() FROM generate_series(1, 3000) AS n (i)",
    "INSERT INTO sync_customers (source_id, referral_code, accepted_code) SELECT user_id, user_id, user_id FROM sync_state",
)


@pytest.mark.parametrize("analyzed", [False, True])
def test_postgresql_looks_for_what_was_sent_run_by_run(postgres_url: str, analyzed: bool) -> None:
    """Where nothing was ever sent, as after a baseline, all calls would be read."""
    queries = load_queries("state", "postgresql")
    with closing(open_database(postgres_url, "STATE_URL", search_path="rehook_sync")) as database:
        upgrade(database, "rehook_sync")
        with database.transaction() as connection:
            for each in (*(each.replace("'sent'", "'skipped'") for each in FILL_POSTGRES), *(["ANALYZE sync_state"] if analyzed else [])):
                connection.exec_driver_sql(each)
            run = "INSERT INTO sync_runs (run_id, trigger, status, started_at, version) VALUES ('r', 'cli', 'succeeded', now(), '0')"
            connection.exec_driver_sql(run)
            plan = "\n".join(connection.execute(text(f"EXPLAIN {queries['has_sent'].sql}")).scalars())
            assert connection.execute(queries["has_sent"].text(connection.dialect)).scalar_one() is False
            connection.exec_driver_sql("UPDATE sync_state SET status = 'in_doubt' WHERE message_id = 'm7'")
            assert connection.execute(queries["has_sent"].text(connection.dialect)).scalar_one() is True
    assert "Seq Scan on sync_state" not in plan, plan


@pytest.mark.parametrize("analyzed", [False, True])
def test_postgresql_finds_codes_by_an_index_whatever_it_knows_of_the_table(postgres_url: str, analyzed: bool) -> None:
    """During a first run nothing is known of the table yet, and the planner takes it for full of the same few codes."""
    queries = load_queries("state", "postgresql")
    with closing(open_database(postgres_url, "STATE_URL", search_path="rehook_sync")) as database:
        upgrade(database, "rehook_sync")
        with database.transaction() as connection:
            for each in (*FILL_POSTGRES, *(["ANALYZE sync_customers"] if analyzed else [])):
                connection.exec_driver_sql(each)
            values = {"ids": '["u1", "u2"]', "codes": '["u2", "u3", "u9999"]'}
            plan = "\n".join(connection.execute(text(f"EXPLAIN {queries['read_codes'].sql}"), values).scalars())
            found = {row.source_id for row in connection.execute(queries["read_codes"].text(connection.dialect), values)}
    assert plan.count("Index") >= 3, plan
    assert "Seq Scan" not in plan, plan
    assert found == {"u1", "u2", "u3"}


@pytest.mark.parametrize("name", ["forget_open_claims", "restore_accepted_codes", "doubt_marked", "fail_marked", "forget_marked_customers"])
def test_postgresql_finds_what_a_dead_run_left_by_an_index(postgres_url: str, name: str) -> None:
    queries = load_queries("state", "postgresql")
    with closing(open_database(postgres_url, "STATE_URL", search_path="rehook_sync")) as database:
        upgrade(database, "rehook_sync")
        with database.transaction() as connection:
            for each in (*FILL_POSTGRES, "ANALYZE sync_state, sync_customers"):
                connection.exec_driver_sql(each)
            connection.execute(queries["prefer_indexes"].text(connection.dialect))
            explain = text(f"EXPLAIN {queries[name].sql}")
            found = connection.execute(explain, {"low_user": "", "high_user": None, "detail": ""}).scalars()
            plan = "\n".join(found)
    assert "Seq Scan" not in plan, plan


def test_known_calls_are_compared_at_once_before_they_are_analyzed(postgres_url_with_state: str, open_source: OpenSource) -> None:
    url = postgres_url_with_state
    make_warehouse(url, {"identifies": [identify("m", "u")], "tracks": []})
    run_sql(
        url,
        "CREATE INDEX identifies_by_received_at ON identifies (received_at)",
        "INSERT INTO identifies (id, user_id, received_at, timestamp) SELECT 'm' || n, 'u', now() + n * interval '1 ms', now()"
        " FROM generate_series(1, 20000) AS n",
        "ANALYZE identifies",
        "INSERT INTO rehook_sync.sync_state (stream, message_id, received_at, status, attempts, run_id, first_seen_at)"
        " SELECT 'identifies', id, received_at, 'sent', 1, 'r', now() FROM identifies",
    )
    source, plans = open_source(url), list[str]()

    def explain(connection: Connection, _cursor: object, statement: str, values: dict[str, object], *_: object) -> None:
        if "rehook_sync__place" in statement and not statement.startswith("EXPLAIN"):
            plans.append("\n".join(row[0] for row in connection.exec_driver_sql(f"EXPLAIN {statement}", values)))

    listen(source._database.engine, "before_cursor_execute", explain)
    assert list(source.read_window(Stream.IDENTIFIES, Window(None, NOON + timedelta(days=9000)), ("rehook_sync", "sync_state"))) == []
    assert plans
    assert not any("Nested Loop" in each for each in plans), plans[0]
