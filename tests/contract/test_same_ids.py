"""The same message id in two sources is one call: it has the properties that either source has. Each run is audited."""

from collections.abc import Iterator

import pytest
from accounting import ALL, Bench, ago, open_bench
from warehouse import Row, add_rows, event, track

WEB, IOS, SERVER = "web_prod", "ios_prod", "server_prod"
SMALL = {"chunk_rows": 7, "concurrency": 3}
OLD = [event("old", ago(days=9), total=1)]


@pytest.fixture(params=["postgresql-same", "postgresql-sqlite"])
def bench(request: pytest.FixtureRequest) -> Iterator[Bench]:
    """A warehouse with schemas, and the sync-state beside it or elsewhere."""
    with open_bench(request.param, request, "postgres_url_with_state", **SMALL) as opened:
        yield opened


def bought(count: int, **columns: object) -> list[Row]:
    return [track(f"t{at:02}", f"u{at % 3}", "Bought", ago(hours=5, minutes=-at), **columns) for at in range(count)]


def loaded(count: int) -> list[Row]:
    return [event(f"t{at:02}", ago(hours=5, minutes=-at), total=at) for at in range(count)]


@pytest.mark.parametrize("missing_properties", ["wait", "send"])
def test_a_call_goes_out_whole_if_either_source_has_its_properties(bench: Bench, missing_properties: str) -> None:
    bench.options["missing_properties"] = missing_properties
    bench.fill_sources(
        {
            WEB: {"tracks": bought(23), "bought": OLD},
            IOS: {"tracks": bought(23), "bought": loaded(16)},
            SERVER: {"tracks": [], "bought": loaded(23)},
        }
    )
    result = bench.run(ALL)
    assert sorted(each["total"] for each in bench.metadata() if each) == [*range(16)], "an event table alone is no call"
    assert (result.summary.sent, result.summary.waiting) == ((16, 7) if missing_properties == "wait" else (23, 0))


def test_a_waiting_call_is_filled_once_the_other_source_has_it(bench: Bench) -> None:
    bench.fill_sources({WEB: {"tracks": bought(9), "bought": OLD}, IOS: {"tracks": [], "bought": OLD}})
    assert bench.run(ALL).summary.waiting == 9
    add_rows(bench.warehouse_url, "tracks", bought(9), schema=IOS)
    add_rows(bench.warehouse_url, "bought", loaded(9), schema=IOS)
    assert bench.run().summary.sent == 9
    assert sorted(each["total"] for each in bench.metadata()) == [*range(9)]
    assert bench.run().summary.requests == 0


@pytest.mark.parametrize("layout", ["columns", "json"])
def test_the_other_source_may_keep_properties_with_its_calls(bench: Bench, layout: str) -> None:
    columns = {"total": 5} if layout == "columns" else {"properties": '{"total": 5}'}
    types = {IOS: {"tracks": {"properties": "jsonb"}}} if layout == "json" else {}
    bench.fill_sources({WEB: {"tracks": bought(9), "bought": OLD}, IOS: {"tracks": bought(9, **columns)}}, types)
    assert bench.run(ALL).summary.sent == 9
    assert bench.metadata() == [{"total": 5}] * 9


def test_no_call_gets_the_properties_of_another_call_with_its_id(bench: Bench) -> None:
    other = [track("t00", "somebody", "Bought", ago(hours=5)), track("t01", "u1", "Sold", ago(hours=5))]
    tables = {"bought": loaded(2), "sold": loaded(2)}
    bench.fill_sources({WEB: {"tracks": bought(2), "bought": OLD}, IOS: {"tracks": other, **tables}})
    bench.run(ALL, source=WEB)
    assert bench.statuses() == dict.fromkeys(["t00", "t01"], "waiting:properties_not_loaded")


def test_what_a_source_that_is_left_out_waited_with_goes_out_from_the_others(bench: Bench) -> None:
    lost = track("lost", "u0", "Bought", ago(hours=1))
    bench.fill_sources({WEB: {"tracks": [*bought(9), lost], "bought": OLD}, IOS: {"bought": OLD}, SERVER: {"bought": OLD}})
    assert bench.run(ALL).summary.waiting == 10
    for source in (IOS, SERVER):
        add_rows(bench.warehouse_url, "tracks", bought(9), schema=source)
    bench.use(IOS, SERVER)
    bench.gone = {"lost"}
    assert bench.run(check=False).summary.waiting == 9, "each is judged once"
    add_rows(bench.warehouse_url, "bought", loaded(9), schema=SERVER)
    result = bench.run(check=False)
    assert (result.summary.sent, result.summary.waiting) == (9, 0)
    assert sorted(each["total"] for each in bench.metadata()) == [*range(9)]
    assert any(note.startswith(f"1 of source '{WEB}' that failed or wait are not taken up") for note in result.notes)
    bench.use(WEB, IOS, SERVER)
    assert bench.run().summary.waiting == 1
