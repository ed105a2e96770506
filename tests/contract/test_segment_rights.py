"""What a user may not read is seen, named with the GRANT, and never taken for what is not there. PostgreSQL."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import roles
import warehouse
from accounting import ALL, Bench
from roles import NewRole, name_in
from sqlalchemy import make_url
from warehouse import OpenSource, add_rows, at, event, identify, make_warehouse, run_sql, track

from rehook_sync.errors import SourceError
from rehook_sync.jobs.results import RunOptions
from rehook_sync.models import Stream, Window
from rehook_sync.render.advice import Shell, advise
from rehook_sync.runtime import Interrupt
from rehook_sync.sandbox.server import Sandbox
from rehook_sync.sync import Sync

open_source = warehouse.open_source
new_role = roles.new_role
ROOT = Path(__file__).resolve().parents[2]
TABLES = {
    "identifies": [identify("m", "u")],
    "tracks": [track("t1", "u"), track("t2", "u", "Signed Up", at(1))],
    "order_completed": [event("t1", total=5)],
    "signed_up": [event("t2", n=1)],
}
WINDOW = Window(None, at(3600))


@pytest.fixture
def shop(postgres_url: str) -> str:
    """A warehouse in a schema of its own."""
    make_warehouse(postgres_url, TABLES, schema="shop")
    return postgres_url


def grant(url: str, role_url: str, *rights: str) -> None:
    run_sql(url, *(f"GRANT {each} TO {name_in(role_url)}" for each in ("USAGE ON SCHEMA shop", *rights)))


def told(role_url: str, table: str) -> str:
    """The statement that is to be run for one table."""
    return f'GRANT SELECT ON "shop"."{table}" TO "{name_in(role_url)}"'


def refusal(url: str, open_source: OpenSource, **config: str) -> str:
    with pytest.raises(SourceError) as caught:
        open_source(url, schema="shop", **config).discover()
    assert len(str(caught.value).splitlines()) == 1
    return str(caught.value)


def test_an_event_table_without_select_is_seen_and_its_events_wait(shop: str, new_role: NewRole, open_source: OpenSource) -> None:
    reader = new_role(shop, "reader")
    grant(shop, reader, "SELECT ON shop.identifies, shop.tracks, shop.signed_up")
    source = open_source(reader, schema="shop")
    layout = source.discover()
    assert (list(layout.event_tables), list(layout.unreadable), layout.track_properties) == (
        ["signed_up"],
        ["order_completed"],
        "event_tables",
    )
    (line,) = layout.unreadable_lines
    assert "'order_completed'" in line
    assert told(reader, "order_completed") in line
    assert f'ALTER DEFAULT PRIVILEGES FOR ROLE "postgres" IN SCHEMA "shop" GRANT SELECT ON TABLES TO "{name_in(reader)}"' in line
    rows = list(source.read_window(Stream.TRACKS, WINDOW, None))
    list(source.fill_properties(rows))
    assert {row.message_id: (row.fields, row.unloaded) for row in rows} == {
        "t1": ({}, "table 'order_completed' cannot be read"),
        "t2": ({"n": 1}, None),
    }


def test_what_is_told_to_run_is_enough(shop: str, new_role: NewRole, open_source: OpenSource) -> None:
    reader = new_role(shop, "reader")
    for table in ("identifies", "tracks"):
        message = refusal(reader, open_source)
        assert f"table '{table}' cannot be read: permission denied ({table.upper()}_TABLE says which table is read)" in message
        run_sql(shop, *message.partition("run: ")[2].partition("; for tables to come")[0].split("; "))
        run_sql(shop, f"REVOKE SELECT ON shop.order_completed, shop.signed_up FROM {name_in(reader)}")
        if table == "identifies":  # without USAGE all tables were told
            run_sql(shop, f"REVOKE SELECT ON shop.tracks FROM {name_in(reader)}")
    (line,) = open_source(reader, schema="shop").discover().unreadable_lines
    run_sql(shop, line.partition("run: ")[2].partition("; for tables to come")[0], line.partition("for tables to come: ")[2])
    make_warehouse(shop, {"later": [event("x")]}, schema="shop")
    layout = open_source(reader, schema="shop").discover()
    assert (sorted(layout.event_tables), layout.unreadable) == (["later", "order_completed", "signed_up"], {})


def test_a_right_to_some_columns_is_not_enough(shop: str, new_role: NewRole, open_source: OpenSource) -> None:
    reader = new_role(shop, "reader")
    grant(shop, reader, "SELECT ON shop.identifies, shop.tracks, shop.signed_up", "SELECT (id, received_at) ON shop.order_completed")
    assert list(open_source(reader, schema="shop").discover().unreadable) == ["order_completed"]
    grant(shop, reader, "SELECT (total) ON shop.order_completed")
    layout = open_source(reader, schema="shop").discover()
    assert (sorted(layout.event_tables), layout.unreadable) == (["order_completed", "signed_up"], {})
    run_sql(shop, f"REVOKE SELECT ON shop.tracks FROM {name_in(reader)}")
    grant(shop, reader, "SELECT (id) ON shop.tracks")
    hidden = "columns 'user_id', 'anonymous_id', 'received_at', 'timestamp', 'event', 'event_text' of table 'tracks'"
    assert f"{hidden} cannot be read: permission denied" in refusal(reader, open_source)


def test_one_column_without_a_right_is_named_with_its_grant(shop: str, new_role: NewRole, open_source: OpenSource) -> None:
    reader = new_role(shop, "reader")
    grant(shop, reader, "SELECT ON shop.identifies, shop.signed_up", "SELECT (id, received_at) ON shop.order_completed")
    columns = "id, user_id, anonymous_id, event, event_text, received_at"
    grant(shop, reader, f"SELECT ({columns}) ON shop.tracks")
    message = refusal(reader, open_source)
    assert message.startswith("column 'timestamp' of table 'tracks' cannot be read: permission denied (TRACKS_TABLE says")
    told_to_run = message.partition("run: ")[2].partition("; for tables to come")[0]
    assert told_to_run == f'GRANT SELECT ("timestamp") ON "shop"."tracks" TO "{name_in(reader)}"'
    run_sql(shop, told_to_run)
    (line,) = open_source(reader, schema="shop").discover().unreadable_lines
    assert line.startswith("column 'total' of table 'order_completed' cannot be read: permission denied; events without their table wait")
    run_sql(shop, line.partition("run: ")[2].partition("; for tables to come")[0])
    assert not open_source(reader, schema="shop").discover().unreadable


def test_rights_by_membership_count(shop: str, new_role: NewRole, open_source: OpenSource) -> None:
    group, reader = new_role(shop, "analysts"), new_role(shop, "reader")
    grant(shop, group, "SELECT ON ALL TABLES IN SCHEMA shop")
    run_sql(shop, f"GRANT {name_in(group)} TO {name_in(reader)}")
    assert not open_source(reader, schema="shop").discover().unreadable


def test_a_schema_without_usage_is_told_from_an_absent_one(shop: str, new_role: NewRole, open_source: OpenSource) -> None:
    reader = new_role(shop, "reader")
    assert f'GRANT USAGE ON SCHEMA "shop" TO "{name_in(reader)}"' in refusal(reader, open_source)
    with pytest.raises(SourceError, match=r"schema 'shpo' has no tables.*did you mean 'shop'"):
        open_source(reader, schema="shpo").discover()
    with pytest.raises(SourceError, match="found: 'shop'"):
        open_source(reader).discover()


def test_tables_that_are_no_events_are_not_asked_for(shop: str, new_role: NewRole, open_source: OpenSource) -> None:
    others = {"secrets": [{"id": 1, "text": "x"}], "rates": [{"day": "x", "rate": 1}]}
    make_warehouse(shop, {**others, "late_event": [event("x", n=1)]}, schema="shop")
    reader = new_role(shop, "reader")
    grant(shop, reader, "SELECT ON shop.identifies, shop.tracks, shop.signed_up, shop.order_completed")
    layout = open_source(reader, schema="shop").discover()
    assert list(layout.unreadable) == ["late_event"], "it has an id and the cursor column, like any event's table"
    assert [each for each in layout.warnings if "'secrets'" in each]
    assert not [each for each in layout.warnings if "'rates'" in each]


def test_with_every_event_table_hidden_columns_are_not_taken_for_all(postgres_url: str, new_role: NewRole, open_source: OpenSource) -> None:
    tables = {"identifies": [], "tracks": [track("t1", "u", channel2="web")], "order_completed": [event("t1", total=5)]}
    make_warehouse(postgres_url, tables, schema="shop")
    reader = new_role(postgres_url, "reader")
    grant(postgres_url, reader, "SELECT ON shop.identifies, shop.tracks")
    layout = open_source(reader, schema="shop").discover()
    assert (layout.track_properties, list(layout.unreadable)) == ("event_tables", ["order_completed"])


def test_many_hidden_tables_are_one_line(postgres_url: str, new_role: NewRole, open_source: OpenSource) -> None:
    events = {f'event "{n}%:a"': [event(f"t{n}")] for n in range(12)}
    make_warehouse(postgres_url, {"identifies": [], "tracks": [track("t", "u")], **events}, schema="shop")
    reader = new_role(postgres_url, "reader")
    grant(postgres_url, reader, "SELECT ON shop.identifies, shop.tracks")
    layout = open_source(reader, schema="shop").discover()
    (line,) = layout.unreadable_lines
    assert len(layout.unreadable) == 12
    assert "and 4 more" in line
    assert f'GRANT SELECT ON ALL TABLES IN SCHEMA "shop" TO "{name_in(reader)}"' in line


def test_an_odd_name_is_told_as_it_must_be_written(postgres_url: str, new_role: NewRole, open_source: OpenSource) -> None:
    odd = 'off": 50% :now; --'
    make_warehouse(postgres_url, {"identifies": [], "tracks": [], odd: [event("t")]}, schema="shop")
    reader = new_role(postgres_url, "reader")
    grant(postgres_url, reader, "SELECT ON shop.identifies, shop.tracks")
    (line,) = open_source(reader, schema="shop").discover().unreadable_lines
    assert 'GRANT SELECT ON "shop"."off"": 50% :now; --" TO' in line


def test_a_right_that_is_lost_on_the_way_makes_events_wait(shop: str, new_role: NewRole, open_source: OpenSource) -> None:
    reader = new_role(shop, "reader")
    grant(shop, reader, "SELECT ON ALL TABLES IN SCHEMA shop")
    source = open_source(reader, schema="shop")
    rows = list(source.read_window(Stream.TRACKS, WINDOW, None))
    run_sql(shop, f"REVOKE SELECT ON shop.order_completed FROM {name_in(reader)}")
    list(source.fill_properties(rows))
    assert [row.unloaded for row in rows] == ["table 'order_completed' cannot be read", None]
    assert list(source.discover().unreadable) == ["order_completed"]


@pytest.fixture
def hidden(shop: str, new_role: NewRole) -> Iterator[Bench]:
    """The job of a role that may not read one event table, beside a Rehook."""
    reader = new_role(shop, "reader")
    grant(shop, reader, "SELECT ON shop.identifies, shop.tracks, shop.signed_up")
    with Sandbox() as sandbox:
        bench = Bench(reader, shop, sandbox, {"warehouse_schema": "shop"})
        with bench.sync() as sync:
            sync.init()
        yield bench


def test_check_fails_and_a_run_says_what_it_leaves_waiting(hidden: Bench, shop: str) -> None:
    found = Sync.check(hidden.settings())
    assert found.first_error is not None
    assert found.first_error.exit_code == 2
    assert told(hidden.warehouse_url, "order_completed") in str(found.errors["warehouse"])
    for notes in (hidden.plan(ALL).notes, hidden.run(ALL, check=False).notes):
        assert [note for note in notes if told(hidden.warehouse_url, "order_completed") in note]
        (waits,) = [note for note in notes if note.startswith("waiting")]
        assert waits == ("waiting for the properties of 1 event, whose event table cannot be read: Order Completed 1; each run looks again")
    assert hidden.statuses() == {"m": "sent", "t1": "waiting:properties_not_loaded", "t2": "sent"}
    with hidden.sync() as sync:
        (row,) = sync.explain("t1").rows
    advice = advise(row, Shell())
    assert advice is not None
    assert "grant" in advice.text
    run_sql(shop, told(hidden.warehouse_url, "order_completed"))
    assert "warehouse" not in Sync.check(hidden.settings()).errors
    result = hidden.run(check=False)
    assert (result.summary.sent, result.notes, hidden.metadata()[-1]) == (1, [], {"total": 5})


def test_rows_that_a_policy_may_hide_are_told_of(hidden: Bench, shop: str) -> None:
    grant(shop, hidden.warehouse_url, "SELECT ON ALL TABLES IN SCHEMA shop")
    run_sql(shop, "ALTER TABLE shop.tracks ENABLE ROW LEVEL SECURITY", "CREATE POLICY half ON shop.tracks USING (id = 't1')")
    plan, result = hidden.plan(ALL), hidden.run(ALL, check=False)
    with hidden.sync() as sync:
        warnings = list(sync.check_names().warnings)
    assert (plan.notes, result.notes) == (warnings, warnings)
    assert warnings == [
        "row-level security is active for this user on 'tracks': rows that a policy hides are not seen, so they are neither sent nor "
        "missed; give this user a policy that shows all rows, or BYPASSRLS"
    ]
    assert hidden.statuses() == {"m": "sent", "t1": "sent"}


def test_a_run_in_shards_says_it_too(hidden: Bench) -> None:
    with hidden.sync() as sync:
        started = sync.start(RunOptions(ALL), 2)
        for shard in started.shards:
            sync.deliver_shard(started.run_id, shard, Interrupt())
        result = sync.finish(started.run_id)
    assert (result.summary.rows_read, result.summary.sent, result.summary.waiting) == (3, 2, 1)
    assert [note for note in result.notes if told(hidden.warehouse_url, "order_completed") in note]


def test_all_that_is_added_while_a_right_is_missing_goes_out_whole(hidden: Bench, shop: str) -> None:
    hidden.run(ALL, check=False)
    add_rows(shop, "order_completed", [event("t3", total=7)], schema="shop")
    add_rows(shop, "tracks", [track("t3", "u", when=at(9))], schema="shop")
    assert hidden.run(check=False).summary.waiting == 2
    run_sql(shop, told(hidden.warehouse_url, "order_completed"))
    assert hidden.run(check=False).summary.sent == 2
    assert hidden.metadata()[-2:] == [{"total": 5}, {"total": 7}]


def test_the_documented_recipe_is_enough_for_tables_to_come(postgres_url: str, new_role: NewRole, open_source: OpenSource) -> None:
    """Run to the letter, but for the names of the roles, which are new in each test."""
    loader, reader, syncer = (new_role(postgres_url, name) for name in ("loader", "reader", "syncer"))
    run_sql(postgres_url, f'GRANT CREATE ON DATABASE "{make_url(postgres_url).database}" TO {name_in(loader)}')
    make_warehouse(loader, TABLES, schema="shop")
    page = (ROOT / "docs" / "operating.md").read_text(encoding="utf-8").partition("## Database permissions")[2]
    recipe = page.partition("```sql\n")[2].partition("```")[0]
    for role in (loader, reader, syncer):
        recipe = re.sub(rf"\b{name_in(role).partition('_')[0]}\b", name_in(role), recipe)
    run_sql(postgres_url, *(line for line in recipe.splitlines() if not line.startswith("--")))
    make_warehouse(loader, {"late_event": [event("t3", n=1)]}, schema="shop")
    layout = open_source(reader, schema="shop").discover()
    assert (sorted(layout.event_tables), layout.unreadable) == (["late_event", "order_completed", "signed_up"], {})
    with Sandbox() as sandbox:
        bench = Bench(reader, syncer, sandbox, {"warehouse_schema": "shop"})
        with bench.sync() as sync:
            sync.init()
        assert bench.run(ALL, check=False).summary.sent == 3
