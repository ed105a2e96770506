"""A window read in slices: the same rows whatever the slices, each once, also when tables are altered between them."""

import random
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing

import pytest
import warehouse
from sqlalchemy import event as sqlalchemy_event
from warehouse import OpenSource, Row, add_rows, at, event, identify, make_warehouse, run_sql, track

from rehook_sync.database.engine import Database, open_database
from rehook_sync.errors import DatabaseError, SourceError
from rehook_sync.models import Stream, Window
from rehook_sync.warehouse.segment import SegmentSource, SourceConfig
from rehook_sync.warehouse.statements import CallStatements

open_source = warehouse.open_source
ALL = Window(None, at(86_400))


@pytest.fixture(autouse=True)
def small_slices(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Slices of three rows, or as many as the test says."""

    def cut(rows: int) -> None:
        monkeypatch.setattr(CallStatements, "slice_rows", rows)

    cut(3)
    return cut


def awkward_rows(count: int, seed: int) -> list[Row]:
    """Calls that share their times of arrival and their ids, or have none."""
    rng = random.Random(seed)
    rows = []
    for n in range(count):
        message_id = rng.choice([f"m{n}", f"m{n}", f"m{rng.randrange(count)}", None, "", " ", "é", "B", "b"])
        arrived = rng.choice([None, *map(at, (0, 0, 0.000001, 7, rng.randrange(9)))])
        rows.append(identify(message_id, f"u{n}", arrived, n=n, timestamp=rng.choice([None, at(rng.randrange(-5, 5))])))
    return rows


class Other(Database):
    """A database whose dialect this package knows nothing of."""

    dialect = "other"


@pytest.fixture(params=["sqlite", "postgresql", "other"])
def source_of(request: pytest.FixtureRequest) -> Iterator[tuple[str, Callable[[], SegmentSource]]]:
    """The URL of an empty database, and what opens a source in it."""
    url = str(request.getfixturevalue("sqlite_url" if request.param == "sqlite" else "postgres_url"))
    with closing(open_database(url, "URL", read_only=True)) as database:
        found = Other(database.engine, "URL") if request.param == "other" else database
        yield url, lambda: SegmentSource(found, SourceConfig())


@pytest.mark.parametrize("seed", range(3))
def test_slices_of_any_size_give_the_same_rows_in_the_same_order(
    source_of: tuple[str, Callable[[], SegmentSource]], small_slices: Callable[[int], None], seed: int
) -> None:
    url, make = source_of
    make_warehouse(url, {"identifies": awkward_rows(41, seed), "tracks": []})

    def read(rows: int) -> list[tuple[str, object, str | None]]:
        small_slices(rows)
        return [(row.message_id, row.fields["n"], row.problem) for row in make().read_window(Stream.IDENTIFIES, ALL, None)]

    whole = read(1000)
    assert Counter(n for _, n, _ in whole) == Counter(range(41)), "each row once"
    for rows in (1, 2, 7, 40, 41, 42):
        assert Counter(read(rows)) == Counter(whole)
        assert [each for each, _, _ in read(rows)] == [each for each, _, _ in whole]


def alter_after(source: SegmentSource, reads: int, *acts: Callable[[], object]) -> None:
    """Act once, when so many slices have been read."""
    seen = 0

    def executing(*said: object) -> None:
        nonlocal seen
        if "rehook_sync__place" in str(said[2]):
            seen += 1
            if seen == reads + 1:
                for act in acts:
                    act()

    sqlalchemy_event.listen(source._database.engine, "before_cursor_execute", executing)


def test_rows_that_a_loader_adds_with_a_new_column_come_with_it(postgres_url: str, open_source: OpenSource) -> None:
    make_warehouse(postgres_url, {"identifies": [identify(f"m{n}", f"u{n}", at(n), plan="a") for n in range(7)], "tracks": []})
    source = open_source(postgres_url)
    source.discover()

    def load() -> None:
        run_sql(postgres_url, "ALTER TABLE identifies ADD COLUMN coupon text")
        add_rows(postgres_url, "identifies", [identify(f"late{n}", f"u{n}", at(10 + n), plan="a", coupon="x") for n in range(5)])

    alter_after(source, 1, load)
    found = {row.message_id: dict(row.fields) for row in source.read_window(Stream.IDENTIFIES, ALL, None)}
    assert len(found) == 12
    assert found["late4"] == {"plan": "a", "coupon": "x"}
    assert found["m6"] == {"plan": "a"}


def test_a_column_that_is_dropped_or_renamed_is_read_without_or_under_its_name(postgres_url: str, open_source: OpenSource) -> None:
    make_warehouse(
        postgres_url, {"identifies": [identify(f"m{n}", f"u{n}", at(n), plan="a", old=1, gone=2) for n in range(7)], "tracks": []}
    )
    source = open_source(postgres_url)
    source.discover()
    alter_after(
        source,
        0,
        lambda: run_sql(postgres_url, "ALTER TABLE identifies RENAME COLUMN old TO fresh", "ALTER TABLE identifies DROP COLUMN gone"),
    )
    assert {str(row.fields) for row in source.read_window(Stream.IDENTIFIES, ALL, None)} == {str({"plan": "a", "fresh": 1})}


def test_a_table_that_goes_while_it_is_read_is_one_line(postgres_url: str, open_source: OpenSource) -> None:
    make_warehouse(postgres_url, {"identifies": [identify(f"m{n}", f"u{n}", at(n)) for n in range(7)], "tracks": []})
    source = open_source(postgres_url)
    source.discover()
    alter_after(source, 0, lambda: run_sql(postgres_url, "DROP TABLE identifies"))
    with pytest.raises(SourceError, match="there is no table 'identifies'"):
        list(source.read_window(Stream.IDENTIFIES, ALL, None))


def test_properties_added_while_they_are_read_are_read_again(postgres_url: str, open_source: OpenSource) -> None:
    make_warehouse(postgres_url, {"identifies": [], "tracks": [track("t", "u")], "order_completed": [event("t", total=5)]})
    source = open_source(postgres_url)
    rows = list(source.read_window(Stream.TRACKS, ALL, None))
    run_sql(postgres_url, "ALTER TABLE order_completed ADD COLUMN coupon text", "UPDATE order_completed SET coupon = 'x'")
    assert [row.fields for row in source.fill_properties(rows)] == [{"total": 5, "coupon": "x"}]


def test_where_properties_are_may_not_change_while_they_are_read(postgres_url: str, open_source: OpenSource) -> None:
    make_warehouse(postgres_url, {"identifies": [], "tracks": [track(f"t{n}", "u", when=at(n)) for n in range(5)], "order_completed": []})
    source = open_source(postgres_url)
    source.discover()
    alter_after(source, 0, lambda: run_sql(postgres_url, "ALTER TABLE tracks ADD COLUMN properties jsonb"))
    with pytest.raises(DatabaseError, match="table 'tracks' was altered while it was read; run again"):
        list(source.read_window(Stream.TRACKS, ALL, None))
