"""What is read to find a source's tables and where its properties are."""

from collections.abc import Mapping

import pytest
import sqlalchemy
import warehouse
from warehouse import NOON, OpenSource, Row, event, identify, make_warehouse, run_sql, track

from rehook_sync.models import Stream, Window
from rehook_sync.warehouse.layout import SourceLayout
from rehook_sync.warehouse.segment import SegmentSource

open_source = warehouse.open_source
MARKS = {"channel": "web", "record_id": "r"}


def discovered(source: SegmentSource) -> tuple[SourceLayout, list[str]]:
    """The layout, and the statements that read rows of tracks to find it."""
    said: list[str] = []
    sqlalchemy.event.listen(source._database.engine, "before_cursor_execute", lambda *given: said.append(given[2]))
    layout = source.discover()
    return layout, [each for each in said if "tracks" in each and "1 = 0" not in each]


def properties_of(source: SegmentSource) -> dict[str, Mapping[str, object]]:
    rows = list(source.read_window(Stream.TRACKS, Window(None, NOON.replace(year=2027)), None))
    list(source.fill_properties(rows))
    assert [row.unloaded for row in rows] == [None] * len(rows)
    return {row.message_id: row.fields for row in rows}


def named(row: Row, slug: str) -> Row:
    """A row of an event table as Segment and RudderStack write it, with its event."""
    return {**row, "event": slug}


def test_tables_with_their_views_are_found_without_reading_tracks(warehouse_url: str, open_source: OpenSource) -> None:
    orders = [named(event("t1", total=5), "order")]
    make_warehouse(warehouse_url, {"identifies": [identify("m", "u")], "tracks": [track("t1", "u", "Order")], "order": orders})
    for name in ("identifies", "tracks", "order"):
        run_sql(warehouse_url, f'CREATE VIEW {name}_view AS SELECT * FROM "{name}"')
    source = open_source(warehouse_url)
    layout, said = discovered(source)
    assert (layout.track_properties, list(layout.event_tables), said) == ("event_tables", ["order"], [])
    assert properties_of(source) == {"t1": {"total": 5}}
    assert list(source.discover().event_tables) == ["order"], "nobody reads the view of the table"


def test_tables_without_an_id_are_not_looked_at_one_by_one(warehouse_url: str, open_source: OpenSource) -> None:
    ours = {f"table{number}": [{"name": "x", "received_at": NOON}] for number in range(9)}
    make_warehouse(warehouse_url, {"identifies": [], "tracks": [track("t1", "u", "Order")], "order": [event("t1", total=5)], **ours})
    source = open_source(warehouse_url)
    said: list[str] = []
    sqlalchemy.event.listen(source._database.engine, "before_cursor_execute", lambda *given: said.append(given[2]))
    assert list(source.discover().event_tables) == ["order"]
    assert [each for each in said if "1 = 0" in each and "table" in each] == []
    assert properties_of(source) == {"t1": {"total": 5}}


@pytest.mark.parametrize("kind", ["TABLE", "VIEW"])
def test_an_event_called_like_a_view_is_found_when_it_occurs(warehouse_url: str, open_source: OpenSource, kind: str) -> None:
    calls = [track("t1", "u", "Order"), track("t2", "u", "Order View")]
    make_warehouse(warehouse_url, {"identifies": [], "tracks": calls, "order": [event("t1", total=5)], "base": [event("t2", seen=2)]})
    run_sql(warehouse_url, f"CREATE {kind} order_view AS SELECT * FROM base")
    source = open_source(warehouse_url)
    assert discovered(source)[1] == []
    assert properties_of(source) == {"t1": {"total": 5}, "t2": {"seen": 2}}


def test_a_table_of_its_own_event_tells_that_events_have_tables(warehouse_url: str, open_source: OpenSource) -> None:
    calls = [track("t1", "u", "Order", place="x", **MARKS)]
    tables = {"_order": [named(event("t1", total=5), "order")], "products": [event("p", price=1)]}
    make_warehouse(warehouse_url, {"identifies": [], "tracks": calls, **tables})
    source = open_source(warehouse_url)
    layout, said = discovered(source)
    assert (layout.track_properties, layout.rudderstack, said) == ("event_tables", "record_id", [])
    assert properties_of(source) == {"t1": {"place": "x", "total": 5}}


def test_a_model_of_many_events_does_not_tell_so(warehouse_url: str, open_source: OpenSource) -> None:
    calls = [track("t1", "u", "Order", total=5)]
    make_warehouse(warehouse_url, {"identifies": [], "tracks": calls, "funnel": [named(event("t1"), "order")]})
    layout, said = discovered(open_source(warehouse_url))
    assert (layout.track_properties, layout.fields[Stream.TRACKS]) == ("columns", ("total",))
    assert len(said) == 1, "only the names of all calls tell"


def test_a_view_that_fails_at_its_rows_is_no_error(postgres_url: str, open_source: OpenSource) -> None:
    make_warehouse(postgres_url, {"identifies": [], "tracks": [track("t1", "u", "Order", total=5)], "base": [named(event("x"), "y")]})
    run_sql(postgres_url, "CREATE VIEW broken AS SELECT id, event, received_at FROM base WHERE 1 / (LENGTH(id) - 1) = 1")
    assert discovered(open_source(postgres_url))[0].track_properties == "columns"
