"""Windows, times, ids and the diff, the same on SQLite and PostgreSQL."""

import gc
import random
import tracemalloc
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from uuid import UUID

import pytest
import warehouse
from sqlalchemy import Connection
from sqlalchemy import event as sqlalchemy_event
from warehouse import NOON, OpenSource, Row, add_rows, at, event, identify, make_warehouse, run_sql, track

from rehook_sync.database.engine import open_database
from rehook_sync.models import SourceRow, Stream, Window
from rehook_sync.times import sortable_utc
from rehook_sync.warehouse.rows import usable_time
from rehook_sync.warehouse.segment import SegmentSource, SourceConfig, time_order

DAY = timedelta(days=1)
ALL = Window(None, NOON + 30 * DAY)


open_source = warehouse.open_source


def ids(rows: Iterator[SourceRow] | list[SourceRow]) -> list[str]:
    return [row.message_id for row in rows]


_KNOWN_TYPES = {"stream": "text", "message_id": "text", "received_at": "timestamptz"}


def known_table(url: str, *pairs: tuple[str, str]) -> None:
    rows = [{"stream": stream, "message_id": message_id} for stream, message_id in pairs]
    make_warehouse(url, {"sync_state": rows}, types={"sync_state": _KNOWN_TYPES})


def test_a_window_takes_its_low_end_and_leaves_its_high_end(warehouse_url: str, open_source: OpenSource) -> None:
    make_warehouse(warehouse_url, {"identifies": [identify(f"m{second}", "u", at(second)) for second in range(5)], "tracks": []})
    source = open_source(warehouse_url)
    assert ids(source.read_window(Stream.IDENTIFIES, Window(at(1), at(3)), None)) == ["m1", "m2"]
    assert ids(source.read_window(Stream.IDENTIFIES, Window(None, at(3)), None)) == ["m0", "m1", "m2"]
    assert source.newest(Stream.IDENTIFIES, Window(at(1), at(3))) == at(2)
    assert list(source.read_window(Stream.TRACKS, ALL, None)) == []
    assert source.newest(Stream.TRACKS, ALL) is None


def test_a_window_is_cut_between_microseconds(warehouse_url: str, open_source: OpenSource) -> None:
    make_warehouse(
        warehouse_url, {"identifies": [identify(f"m{micro}", "u", at(micro / 1e6)) for micro in (1, 2, 3, 999_999)], "tracks": []}
    )
    source = open_source(warehouse_url)
    assert ids(source.read_window(Stream.IDENTIFIES, Window(at(0.000002), at(0.999999)), None)) == ["m2", "m3"]
    assert source.newest(Stream.IDENTIFIES, Window(None, at(0.999999))) == at(0.000003)


def test_rows_dated_in_the_future_wait(warehouse_url: str, open_source: OpenSource) -> None:
    late = datetime(2099, 1, 1, tzinfo=UTC)
    make_warehouse(warehouse_url, {"identifies": [identify("now", "u"), identify("2099", "u", late)], "tracks": []})
    source = open_source(warehouse_url)
    window = Window(None, at(60))
    assert ids(source.read_window(Stream.IDENTIFIES, window, None)) == ["now"]
    assert source.newest(Stream.IDENTIFIES, window) == NOON


def test_rows_come_in_the_order_of_their_own_time_then_id(warehouse_url: str, open_source: OpenSource) -> None:
    calls = [("c", 5), ("Z", 5), ("a", 5), ("é", 5), ("b10", 1), ("b9", 1), ("late", 0)]
    rows = [identify(name, "u", at(100 - second), timestamp=at(second)) for name, second in calls]
    make_warehouse(warehouse_url, {"identifies": rows, "tracks": []})
    found = list(open_source(warehouse_url).read_window(Stream.IDENTIFIES, ALL, None))
    assert ids(found) == ["late", "b10", "b9", "Z", "a", "c", "é"]
    assert found == sorted(found, key=time_order)
    assert found[0].occurred_at == at(0)
    assert found[0].received_at == at(100)


def test_the_collation_of_a_column_changes_nothing(warehouse_url: str, open_source: OpenSource) -> None:
    collation = "NOCASE" if warehouse_url.startswith("sqlite") else '"POSIX"'
    rows = [identify(name, "u") for name in ("b", "A", "a", "B", "é")]
    make_warehouse(warehouse_url, {"identifies": rows, "tracks": []}, types={"identifies": {"id": f"text COLLATE {collation}"}})
    known_table(warehouse_url, ("identifies", "B"))
    source = open_source(warehouse_url)
    assert ids(source.read_window(Stream.IDENTIFIES, ALL, "sync_state")) == ["A", "a", "b", "é"]
    assert ids(source.read_ids(Stream.IDENTIFIES, ["b", "A"])) == ["A", "b"]


def test_a_call_without_its_own_time_falls_back(warehouse_url: str, open_source: OpenSource) -> None:
    rows = [
        identify("own", "u", at(9), timestamp=at(3), original_timestamp=at(8)),
        identify("original", "u", at(9), timestamp=None, original_timestamp=at(2)),
        identify("received", "u", at(1), timestamp=None, original_timestamp=None),
    ]
    make_warehouse(warehouse_url, {"identifies": rows, "tracks": []})
    found = list(open_source(warehouse_url).read_window(Stream.IDENTIFIES, ALL, None))
    assert [(row.message_id, row.occurred_at, row.problem) for row in found] == [
        ("received", at(1), None),
        ("original", at(2), None),
        ("own", at(3), None),
    ]


def test_a_table_without_times_but_the_cursor_is_read(warehouse_url: str, open_source: OpenSource) -> None:
    rows = [{"id": "m1", "user_id": "u", "loaded_at": NOON}]
    gone = {"received_at": None, "timestamp": None, "anonymous_id": None}
    make_warehouse(
        warehouse_url, {"identifies": rows, "tracks": []}, types={"identifies": gone, "tracks": {**gone, "loaded_at": "timestamptz"}}
    )
    source = open_source(warehouse_url, cursor_column="loaded_at")
    (row,) = source.read_window(Stream.IDENTIFIES, ALL, None)
    assert (row.received_at, row.occurred_at, row.anonymous_id, row.fields) == (NOON, NOON, None, {})
    assert any("timestamp" in warning for warning in source.discover().warnings)


@pytest.mark.parametrize("kind", ["timestamp", "timestamptz", "date"])
def test_every_type_of_time_column_is_utc(warehouse_url: str, open_source: OpenSource, kind: str) -> None:
    day = NOON.replace(hour=0)
    types = {"received_at": kind, "timestamp": kind}
    rows = [identify("m1", "u", day.strftime("%Y-%m-%d")), identify("m2", "u", (day + DAY).strftime("%Y-%m-%d"))]
    make_warehouse(warehouse_url, {"identifies": rows, "tracks": []}, types={"identifies": types, "tracks": types})
    source = open_source(warehouse_url)
    (row,) = source.read_window(Stream.IDENTIFIES, Window(day + DAY, day + 2 * DAY), None)
    assert (row.message_id, row.received_at, row.occurred_at) == ("m2", day + DAY, day + DAY)
    assert source.newest(Stream.IDENTIFIES, ALL) == day + DAY


def test_times_are_aware_utc(warehouse_url: str, open_source: OpenSource) -> None:
    make_warehouse(warehouse_url, {"identifies": [identify("m", "u", "2026-11-01T14:00:00+02:00")], "tracks": []})
    (row,) = open_source(warehouse_url).read_window(Stream.IDENTIFIES, ALL, None)
    assert row.received_at == row.occurred_at == NOON
    assert row.received_at is not None
    assert row.received_at.utcoffset() == timedelta(0)


EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
EPOCHS: tuple[Callable[[datetime], str], ...] = (
    lambda moment: str((moment - EPOCH) // timedelta(seconds=1)),
    lambda moment: f"{(moment - EPOCH) // timedelta(seconds=1)}.{moment:%f}",
    lambda moment: str((moment - EPOCH) // timedelta(milliseconds=1)),
    lambda moment: str((moment - EPOCH) // timedelta(microseconds=1)),
)


END = datetime(9999, 12, 31, tzinfo=UTC)
TEXT_TIMES = {"received_at": "text", "timestamp": "text"}


def test_text_is_compared_and_ordered_as_time(warehouse_url: str, open_source: OpenSource) -> None:
    chance = random.Random(7)
    shapes: tuple[Callable[[datetime], str], ...] = (
        lambda moment: moment.strftime("%Y-%m-%d %H:%M:%S"),
        lambda moment: moment.strftime("%Y-%m-%dT%H:%M:%SZ"),
        lambda moment: moment.strftime("%Y-%m-%dT%H:%M"),
        lambda moment: moment.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        lambda moment: moment.isoformat(timespec="microseconds"),
        lambda moment: moment.astimezone(timezone(timedelta(hours=chance.randint(-12, 14), minutes=30))).isoformat(),
        lambda moment: moment.astimezone(timezone(timedelta(hours=2))).strftime("%Y-%m-%d %H:%M:%S.%f%z"),
        lambda moment: moment.astimezone(timezone(timedelta(hours=-3))).strftime("%Y-%m-%d %H:%M:%S.%f-03"),
        lambda moment: moment.strftime("%Y-%m-%dT%H:%M:%S.%f999Z"),
        lambda moment: moment.strftime("%Y-%m-%d"),
        *EPOCHS,
        lambda moment: moment.strftime("%Y-%m-%d %H:%M:%S UTC"),
        lambda moment: moment.strftime("%Y-%m-%d %H:%M:%S.%f +0000"),
    )
    texts = [chance.choice(shapes)(NOON + timedelta(microseconds=chance.randint(-3 * 10**11, 3 * 10**11))) for _ in range(600)]
    tables = {"identifies": [identify(f"m{n}", "u", text) for n, text in enumerate(texts)], "tracks": []}
    make_warehouse(warehouse_url, tables, types={"identifies": TEXT_TIMES})
    source = open_source(warehouse_url)

    def moment(text: str) -> datetime:
        if text.replace(".", "").isdecimal():
            whole, _, fraction = text.partition(".")
            return EPOCH + timedelta(microseconds=int(f"{whole}{fraction}".ljust(16, "0")))
        parsed = datetime.fromisoformat(text.removesuffix(" UTC").replace(" +0000", "+00:00"))
        return parsed.replace(tzinfo=UTC) if parsed.tzinfo is None else parsed

    for _ in range(20):
        low, high = sorted((moment(chance.choice(texts)), moment(chance.choice(texts))))
        expected = sorted((moment(text), f"m{n}") for n, text in enumerate(texts) if low <= moment(text) < high)
        found = list(source.read_window(Stream.IDENTIFIES, Window(low, high), None))
        assert [(row.received_at, row.message_id) for row in found] == expected
        assert all(row.problem is None for row in found)
        assert source.newest(Stream.IDENTIFIES, Window(low, high)) == (expected[-1][0] if expected else None)


@pytest.mark.parametrize(
    ("database", "kind"),
    [
        *(("sqlite_url", kind) for kind in ("TIMESTAMP", "INTEGER", "REAL", "TEXT", "")),
        *(("postgres_url", kind) for kind in ("text", "varchar(30)", "char(30)", "numeric", "numeric(30, 6)")),
    ],
)
def test_a_unix_time_is_a_time_in_any_column_that_holds_it(
    request: pytest.FixtureRequest, open_source: OpenSource, database: str, kind: str
) -> None:
    url = str(request.getfixturevalue(database))
    seconds = int(NOON.timestamp())
    stored = [seconds, seconds + 1.5, (seconds + 2) * 1000, (seconds + 3) * 1000 + 250, (seconds + 4) * 1_000_000 + 5]
    rows = [identify(f"m{n}", "u", value) for n, value in enumerate(stored)]
    times = {"received_at": kind, "timestamp": kind}
    make_warehouse(url, {"identifies": [*rows, identify("odd", "u", 5)], "tracks": []}, types={"identifies": times})
    source = open_source(url)
    found = {row.message_id: (row.received_at, row.occurred_at, row.problem) for row in source.read_window(Stream.IDENTIFIES, ALL, None)}
    assert found.pop("odd") == (None, None, "received_at is not a time")
    expected = [at(0), at(1.5), at(2), at(3.25), at(4.000005)]
    assert found == {f"m{n}": (moment, moment, None) for n, moment in enumerate(expected)}
    window = Window(at(1.5), at(4))
    given = ids(source.read_window(Stream.IDENTIFIES, window, None))
    assert (sorted(given), [each for each in given if each != "odd"]) == (["m1", "m2", "m3", "odd"], ["m1", "m2", "m3"])
    assert source.newest(Stream.IDENTIFIES, window) == at(3.25)


def test_text_that_is_no_time_is_given_in_every_window_until_known(warehouse_url: str, open_source: OpenSource) -> None:
    texts = [
        "2026-9-30",
        "yesterday",
        "",
        "now",
        "12:00",
        "2460000.5",
        "20261101T120000",
        "01/11/2026",
        "2026-11-01T25:61:00",
        "176722560",
        "20261101120000",
        "2027-02-30 12:00:00",
        "2027-02-29",
        "1900-02-29T00:00:00Z",
        "0000-01-01",
        "2026-11-01 12:00:00+15",
        "2026-11-01 24:00:00",
        "2026-11-01T12:60:00Z",
        "infinity",
        "2026-11-01 12:00:00 CET",
        "2026-11-01 BC",
        "9" * 400,
    ]
    odd = {f"odd{n}": text for n, text in enumerate(texts)}
    rows = [*(identify(name, "u", text) for name, text in odd.items()), identify("m", "u", NOON.isoformat())]
    make_warehouse(warehouse_url, {"identifies": rows, "tracks": []}, types={"identifies": TEXT_TIMES})
    source = open_source(warehouse_url)
    known_table(warehouse_url, *(("identifies", name) for name in odd))
    for window in (ALL, Window(NOON - 500 * DAY, NOON - 499 * DAY), Window(NOON + DAY, NOON + 2 * DAY)):
        found = [row for row in source.read_window(Stream.IDENTIFIES, window, None) if row.message_id != "m"]
        assert {row.message_id: row.problem for row in found} == dict.fromkeys(odd, "received_at is not a time")
        assert all(row.received_at is row.occurred_at is None for row in found)
        assert not any(row.problem for row in source.read_window(Stream.IDENTIFIES, window, "sync_state"))
    assert source.newest(Stream.IDENTIFIES, ALL) == NOON


def test_postgresql_reads_a_text_as_the_time_that_sqlite_reads(postgres_url: str, open_source: OpenSource) -> None:
    chance = random.Random(11)
    whole = ["2026-11-01T12:00:00.123Z", "2024-02-29 23:59", "1764590400.25", "2026-11-01 12:00:00 UTC", "2026-12-31T23:00:00.5+05:30"]
    texts = set(whole)
    for _ in range(2000):
        text = list(chance.choice(whole))
        for _ in range(chance.randint(1, 2)):
            place = chance.randrange(len(text))
            text[place : place + chance.randint(0, 1)] = chance.choice("0123456789-:.+TZ zUTC\n")
        texts |= {"".join(text), "".join(text)[: chance.randint(1, 30)]}
    rows = [identify(f"m{n}", "u", text) for n, text in enumerate(sorted(texts)) if not text.strip().endswith("T")]
    make_warehouse(postgres_url, {"identifies": rows, "tracks": []}, types={"identifies": TEXT_TIMES})
    found = {row.message_id: row.received_at for row in open_source(postgres_url).read_window(Stream.IDENTIFIES, Window(None, END), None)}
    read = {row["received_at"]: (found.get(str(row["id"])), usable_time(sortable_utc(str(row["received_at"])))) for row in rows}
    assert sum(moment is not None for _, moment in read.values()) > 150
    assert {text: pair for text, pair in read.items() if pair[0] != pair[1]} == {}


def test_sqlite_text_that_only_begins_with_a_year_is_read_unless_before_the_window(sqlite_url: str, open_source: OpenSource) -> None:
    rows = [identify("slashes", "u", "2024/01/01"), identify("short", "u", "2024-9-30T12:00:00Z"), identify("m", "u")]
    make_warehouse(sqlite_url, {"identifies": rows, "tracks": []})
    source = open_source(sqlite_url)
    for low, given in ((None, 2), (NOON - 1000 * DAY, 2), (NOON - 3 * DAY, 0)):
        found = [row for row in source.read_window(Stream.IDENTIFIES, Window(low, NOON - DAY), None) if row.problem]
        assert len(found) == given


def test_an_index_on_the_cursor_bounds_what_is_looked_at_in_sqlite(sqlite_url: str, open_source: OpenSource) -> None:
    make_warehouse(sqlite_url, {"identifies": [identify("m", "u")], "tracks": []})
    run_sql(sqlite_url, "CREATE INDEX identifies_by_received_at ON identifies (received_at)")
    database = open_database(sqlite_url, "REHOOK_SYNC_WAREHOUSE_URL", read_only=True)
    asked: list[tuple[str, Any]] = []
    sqlalchemy_event.listen(database.engine, "before_cursor_execute", lambda *said: asked.append((said[2], said[3])))
    source = SegmentSource(database, SourceConfig())
    source.discover()
    asked.clear()
    window = Window(NOON - DAY, NOON + DAY)
    source.newest(Stream.IDENTIFIES, window)
    assert ids(source.read_window(Stream.IDENTIFIES, window, None)) == ["m"]
    with database.connect() as connection:
        reads = [each for each in asked if "looked_at" in each[0]]
        assert len(reads) == 3
        for statement, values in reads:
            plan = [row[3] for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", values)]
            assert not any(step.startswith("SCAN near") for step in plan), plan
            assert sum("INDEX identifies_by_received_at" in step for step in plan) == 3, plan
    database.close()


def test_reading_a_window_does_not_keep_the_log_of_a_sqlite_file_growing(sqlite_url: str, open_source: OpenSource) -> None:
    make_warehouse(sqlite_url, {"identifies": [identify(f"m{second:04}", "u", at(second)) for second in range(1300)], "tracks": []})
    run_sql(sqlite_url, "PRAGMA journal_mode = WAL")
    found = open_source(sqlite_url).read_window(Stream.IDENTIFIES, ALL, None)
    given = [next(found)]
    run_sql(sqlite_url, "DELETE FROM identifies")
    assert run_sql(sqlite_url, "PRAGMA wal_checkpoint(RESTART)")[0][0] == 0, "somebody holds the log"
    assert ids([*given, *found]) == [f"m{second:04}" for second in range(1300)]


def test_a_date_that_the_calendar_lacks_is_a_problem(warehouse_url: str, open_source: OpenSource) -> None:
    rows = [
        identify("feb", "u", "2026-02-30T12:00:00.000Z"),
        identify("hour", "u", "2026-02-10T29:00:00Z"),
        identify("m", "u", NOON.isoformat()),
    ]
    make_warehouse(warehouse_url, {"identifies": rows, "tracks": []}, types={"identifies": TEXT_TIMES})
    found = {row.message_id: row.problem for row in open_source(warehouse_url).read_window(Stream.IDENTIFIES, ALL, None)}
    assert found == {"feb": "received_at is not a time", "hour": "received_at is not a time", "m": None}


@pytest.mark.parametrize("encoding", ["UTF-8", "UTF-16le", "UTF-16be"])
def test_odd_values_in_a_time_column_of_sqlite_do_not_stop_the_read(sqlite_url: str, open_source: OpenSource, encoding: str) -> None:
    noon = "2026-11-01T12:00:00Z"
    odd: dict[str, object] = {
        "blob": noon.encode(),
        "number": 2026,
        "real": 1.5,
        "none": None,
        "kanji": "㈰㈶-11-01",
        "text": noon,
        "nul": noon + "\0x",
    }
    rows = [identify(name, "u", at(9), timestamp=value) for name, value in odd.items()] + [identify("bytes", "u"), identify("tail", "u")]
    run_sql(sqlite_url, f"PRAGMA encoding = '{encoding}'", "CREATE TABLE any_table (id)")
    make_warehouse(sqlite_url, {"identifies": rows, "tracks": []}, types={"identifies": {"timestamp": "blob", "received_at": "blob"}})
    if encoding == "UTF-8":
        run_sql(sqlite_url, "UPDATE identifies SET timestamp = CAST(x'323032362d31312d3031ff' AS TEXT) WHERE id = 'bytes'")
        run_sql(sqlite_url, "UPDATE identifies SET timestamp = CAST(x'323032362d31312d303100ff' AS TEXT) WHERE id = 'tail'")
    found = {
        row.message_id: row.occurred_at for row in open_source(sqlite_url).read_window(Stream.IDENTIFIES, ALL, None) if not row.problem
    }
    midnight = NOON.replace(hour=0)
    assert {name: found.get(name) for name in ("text", "nul", "none")} == {"text": NOON, "nul": NOON, "none": at(9)}
    assert found.get("tail") == (midnight if encoding == "UTF-8" else NOON)
    assert not found.keys() & {"blob", "number", "real", "kanji"}
    assert ("bytes" in found) == (encoding != "UTF-8")


def test_a_row_without_a_cursor_is_given_in_every_window_until_known(warehouse_url: str, open_source: OpenSource) -> None:
    rows = [identify("lost", "u", at(5), received_at=None), identify("none", "u", None), identify("m", "u")]
    make_warehouse(warehouse_url, {"identifies": rows, "tracks": []})
    source = open_source(warehouse_url)
    known_table(warehouse_url, ("identifies", "none"), ("tracks", "lost"))
    early = Window(NOON - 2 * DAY, NOON - DAY)
    found = {row.message_id: (row.problem, row.received_at, row.occurred_at) for row in source.read_window(Stream.IDENTIFIES, early, None)}
    assert found == {"lost": ("received_at is NULL", None, at(5)), "none": ("received_at is NULL", None, None)}
    assert ids(source.read_window(Stream.IDENTIFIES, early, "sync_state")) == ["lost"]


def test_text_in_timestamp_is_a_problem_of_that_row_alone(warehouse_url: str, open_source: OpenSource) -> None:
    rows = [identify("odd", "u", at(1), timestamp="soon"), identify("m", "u", at(2), timestamp=at(2).isoformat())]
    make_warehouse(warehouse_url, {"identifies": rows, "tracks": []}, types={"identifies": {"timestamp": "text"}})
    found = [(row.message_id, row.problem, row.occurred_at) for row in open_source(warehouse_url).read_window(Stream.IDENTIFIES, ALL, None)]
    assert found == [("odd", "timestamp is not a time", at(1)), ("m", None, at(2))]


def test_times_beyond_the_calendar_do_not_stop_the_read(postgres_url: str, open_source: OpenSource) -> None:
    rows = [
        identify("past", "u", "-infinity"),
        identify("forever", "u", at(1), timestamp="infinity", born="infinity", seen="0044-03-15 BC"),
        identify("m", "u", at(2), born=at(3), seen="2026-11-01"),
    ]
    make_warehouse(postgres_url, {"identifies": rows, "tracks": []}, types={"identifies": {"born": "timestamptz", "seen": "date"}})
    source = open_source(postgres_url)
    found = {row.message_id: row for row in source.read_window(Stream.IDENTIFIES, ALL, None)}
    assert found["past"].problem == "received_at is not a time"
    assert found["forever"].problem == "timestamp is not a time"
    assert found["forever"].fields == {"born": "infinity", "seen": "0044-03-15 BC"}
    assert found["m"].problem is None
    assert found["m"].fields == {"born": at(3), "seen": NOON.date()}
    assert source.newest(Stream.IDENTIFIES, Window(None, NOON)) is None


def test_a_call_without_an_id_gets_one_from_its_content(warehouse_url: str, open_source: OpenSource) -> None:
    rows = [
        identify(None, "ada", email="a@x"),
        identify(None, "bob", email="b@x"),
        identify(None, "ada", email="a@x"),
        identify("", "eve"),
        identify(" \t", "eve", at(1)),
    ]
    make_warehouse(warehouse_url, {"identifies": rows, "tracks": []})
    found = list(open_source(warehouse_url).read_window(Stream.IDENTIFIES, ALL, None))
    assert sorted(row.problem or "" for row in found) == ["id is NULL"] * 3 + ["id is blank"] * 2
    assert all(row.message_id.startswith("null-id:") and len(row.message_id) == len("null-id:") + 64 for row in found)
    assert len(set(ids(found))) == 4
    run_sql(warehouse_url, "ALTER TABLE identifies ADD COLUMN plan text")
    again = open_source(warehouse_url)
    assert sorted(ids(again.read_window(Stream.IDENTIFIES, ALL, None))) == sorted(ids(found)), "a new empty column changes nothing"
    one = found[0].message_id
    assert ids(again.read_ids(Stream.IDENTIFIES, [one])) == [one]


def test_the_diff_leaves_out_what_is_known_of_the_same_stream(warehouse_url: str, open_source: OpenSource) -> None:
    calls = {"identifies": [identify(name, "u", at(n)) for n, name in enumerate("abc")], "tracks": [track("a", "u"), track("d", "u")]}
    make_warehouse(warehouse_url, calls)
    known_table(warehouse_url, ("identifies", "a"), ("identifies", "c"), ("tracks", "d"))
    source = open_source(warehouse_url)
    everything = list(source.read_window(Stream.IDENTIFIES, ALL, None))
    assert ids(everything) == ["a", "b", "c"]
    assert list(source.read_window(Stream.IDENTIFIES, ALL, "sync_state")) == [everything[1]]
    assert ids(source.read_window(Stream.TRACKS, ALL, "sync_state")) == ["a"]
    assert source.newest(Stream.IDENTIFIES, ALL) == at(2), "known or not"


def test_the_diff_finds_the_state_in_its_own_schema(postgres_url: str, open_source: OpenSource) -> None:
    make_warehouse(postgres_url, {"identifies": [identify("a", "u"), identify("b", "u")], "tracks": []}, schema="shop")
    state: Row = {"stream": "identifies", "message_id": "a"}
    make_warehouse(postgres_url, {"sync_state": [state]}, schema="rehook_sync", types={"sync_state": _KNOWN_TYPES})
    source = open_source(postgres_url, schema="shop")
    assert ids(source.read_window(Stream.IDENTIFIES, ALL, ("rehook_sync", "sync_state"))) == ["b"]


def test_ids_that_are_numbers_are_text_everywhere(warehouse_url: str, open_source: OpenSource) -> None:
    rows = [identify(40 + n, 7, at(n), anonymous_id=8) for n in range(3)]
    numbers = {"id": "bigint", "user_id": "integer", "anonymous_id": "bigint"}
    make_warehouse(
        warehouse_url,
        {"identifies": rows, "tracks": [track(42, 7)], "order_completed": [event(42, total=5)]},
        types={"identifies": numbers, "tracks": numbers, "order_completed": {"id": "bigint"}},
    )
    known_table(warehouse_url, ("identifies", "41"))
    source = open_source(warehouse_url)
    found = list(source.read_window(Stream.IDENTIFIES, ALL, "sync_state"))
    assert [(row.message_id, row.user_id, row.anonymous_id) for row in found] == [("40", "7", "8"), ("42", "7", "8")]
    assert list(source.read_ids(Stream.IDENTIFIES, ["42", "nobody"])) == found[1:]
    (call,) = source.read_window(Stream.TRACKS, ALL, None)
    list(source.fill_properties([call]))
    assert call.fields == {"total": 5}


def test_ids_that_are_uuids_are_text_everywhere(warehouse_url: str, open_source: OpenSource) -> None:
    one, two = UUID(int=1), UUID(int=2)
    make_warehouse(
        warehouse_url,
        {"identifies": [identify(one, two), identify(two, two)], "tracks": []},
        types={"identifies": {"id": "uuid", "user_id": "uuid"}},
    )
    known_table(warehouse_url, ("identifies", str(two)))
    source = open_source(warehouse_url)
    (row,) = source.read_window(Stream.IDENTIFIES, ALL, "sync_state")
    assert (row.message_id, row.user_id) == (str(one), str(two))
    assert ids(source.read_ids(Stream.IDENTIFIES, [str(two), "no uuid"])) == [str(two)]


def test_ids_of_a_column_without_a_type_are_found(sqlite_url: str, open_source: OpenSource) -> None:
    make_warehouse(sqlite_url, {"identifies": [identify(42, "u"), identify("m", "u")], "tracks": []}, types={"identifies": {"id": ""}})
    source = open_source(sqlite_url)
    assert ids(source.read_ids(Stream.IDENTIFIES, ["42", "m"])) == ["42", "m"]


def test_an_id_without_a_text_form_is_a_problem(sqlite_url: str, open_source: OpenSource) -> None:
    make_warehouse(sqlite_url, {"identifies": [identify(b"\xff", b"\xfe"), identify("m", b"\xfe", at(1))], "tracks": []})
    first, second = open_source(sqlite_url).read_window(Stream.IDENTIFIES, ALL, None)
    assert first.problem == "id is no text"
    assert first.message_id.startswith("null-id:")
    assert (second.problem, second.user_id) == ("user_id is no text", None)


def test_rows_are_found_by_id_whatever_their_time(warehouse_url: str, open_source: OpenSource) -> None:
    rows = [identify(f"m{n:04}", "u", at(-n)) for n in range(1201)]
    rows += [identify("m0007", "u", at(99)), identify("none", "u", None), identify("2099", "u", datetime(2099, 1, 1, tzinfo=UTC))]
    make_warehouse(warehouse_url, {"identifies": rows, "tracks": [track("m0001", "t")]})
    source = open_source(warehouse_url)
    wanted = [f"m{n:04}" for n in range(1201)]
    found = list(source.read_ids(Stream.IDENTIFIES, [*wanted, "m0007", "none", "2099", "gone", "x'; --"]))
    assert ids(found) == ["none", *reversed(wanted), "2099"]
    assert {row.user_id for row in found} == {"u"}
    seventh = next(row for row in found if row.message_id == "m0007")
    assert seventh.occurred_at == at(-7), "the first of two rows of one id"
    assert not list(source.read_ids(Stream.IDENTIFIES, []))
    assert [row.user_id for row in source.read_ids(Stream.TRACKS, ["m0001"])] == ["t"]


def test_the_iterator_may_live_in_another_thread(warehouse_url: str, open_source: OpenSource) -> None:
    make_warehouse(warehouse_url, {"identifies": [identify(f"m{n:03}", "u", at(n)) for n in range(700)], "tracks": []})
    rows = open_source(warehouse_url).read_window(Stream.IDENTIFIES, ALL, None)
    with ThreadPoolExecutor(1) as worker:
        assert worker.submit(lambda: len(list(rows))).result() == 700


@pytest.mark.parametrize("end", ["close", "forget"])
def test_an_abandoned_iterator_gives_its_connection_back(warehouse_url: str, open_source: OpenSource, end: str) -> None:
    make_warehouse(warehouse_url, {"identifies": [identify(f"m{n:04}", "u", at(n)) for n in range(1500)], "tracks": []})
    source = open_source(warehouse_url)
    for _ in range(2):
        rows = source.read_window(Stream.IDENTIFIES, ALL, None)
        assert next(rows).message_id == "m0000"
        if end == "close":
            rows.close()  # type: ignore[attr-defined]
        del rows
        gc.collect()
    assert len([*source.read_window(Stream.IDENTIFIES, ALL, None)]) == 1500


def test_several_windows_are_read_side_by_side(warehouse_url: str, open_source: OpenSource) -> None:
    calls = {
        "identifies": [identify(f"i{n}", "u", at(n)) for n in range(600)],
        "tracks": [track(f"t{n}", "u", when=at(n)) for n in range(600)],
    }
    make_warehouse(warehouse_url, calls)
    source = open_source(warehouse_url)
    pairs = zip(source.read_window(Stream.IDENTIFIES, ALL, None), source.read_window(Stream.TRACKS, ALL, None), strict=True)
    assert [(one.message_id, two.message_id) for one, two in pairs] == [(f"i{n}", f"t{n}") for n in range(600)]


def test_a_backlog_is_streamed(warehouse_url: str, open_source: OpenSource) -> None:
    make_warehouse(warehouse_url, {"identifies": [], "tracks": []}, types={"identifies": {"note": "text"}})
    series = "SELECT n FROM generate_series(1, 20000) AS s (n)"
    if warehouse_url.startswith("sqlite"):
        series = "WITH RECURSIVE s (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s WHERE n < 20000) SELECT n FROM s"
    moment = "'2026-11-01T12:00:00Z'"
    run_sql(
        warehouse_url,
        f"INSERT INTO identifies (id, user_id, received_at, timestamp, note) SELECT CAST(n AS text), 'u', {moment}, {moment}, "
        f"'{'long text ' * 20}' FROM ({series}) AS numbers",
    )
    source = open_source(warehouse_url)
    source.discover()
    cursors = []

    def executed(_connection: Connection, cursor: object, *_rest: object) -> None:
        cursors.append(type(cursor).__name__)

    sqlalchemy_event.listen(source._database.engine, "before_cursor_execute", executed)
    tracemalloc.start()
    count = sum(1 for _ in source.read_window(Stream.IDENTIFIES, ALL, None))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert count == 20000
    assert peak < 3_000_000, f"{peak / 1e6:.1f} MB for rows of 12 MB"
    assert not warehouse_url.startswith("postgresql") or "ServerCursor" in cursors


def test_rows_that_arrive_later_are_seen_by_the_next_read(warehouse_url: str, open_source: OpenSource) -> None:
    make_warehouse(warehouse_url, {"identifies": [identify("a", "u")], "tracks": []})
    source = open_source(warehouse_url)
    assert ids(source.read_window(Stream.IDENTIFIES, ALL, None)) == ["a"]
    add_rows(warehouse_url, "identifies", [identify("b", "u", at(-9))])
    assert ids(source.read_window(Stream.IDENTIFIES, ALL, None)) == ["b", "a"]
