"""Runs over sources whose times are written in other ways, or not at all."""

from collections.abc import Iterator
from typing import Any

import accounting
import pytest
from accounting import ALL, NOW, Bench, ago, open_bench
from warehouse import Row, add_rows, event, identify, track

from rehook_sync.errors import SourceError
from rehook_sync.jobs.results import RunOptions
from rehook_sync.models import STREAMS, RunStatus, Stream

bench = accounting.bench
SECONDS = int(NOW.timestamp()) - 7200
FORMS: dict[str, tuple[str, Any]] = {
    "seconds": ("INTEGER", SECONDS),
    "seconds as text": ("TEXT", str(SECONDS)),
    "seconds with a fraction": ("REAL", SECONDS + 0.25),
    "milliseconds": ("INTEGER", SECONDS * 1000),
    "UTC": ("TEXT", ago(hours=2).strftime("%Y-%m-%d %H:%M:%S UTC")),
    "no colon": ("TEXT", ago(hours=2).strftime("%Y-%m-%d %H:%M:%S+0000")),
}


POSTGRESQL_FORMS: dict[str, tuple[str, Any]] = {
    "seconds": ("bigint", SECONDS),
    "seconds as text": ("text", str(SECONDS)),
    "seconds with a fraction": ("double precision", SECONDS + 0.25),
    "milliseconds": ("numeric", SECONDS * 1000),
    "UTC": FORMS["UTC"],
    "no colon": FORMS["no colon"],
}


@pytest.fixture
def sqlite_bench(request: pytest.FixtureRequest) -> Iterator[Bench]:
    """A warehouse that keeps times as it likes."""
    with open_bench("sqlite-same", request) as opened:
        yield opened


def calls(when: object) -> dict[str, list[Row]]:
    """One call of each kind, with properties."""
    return {
        "identifies": [identify("m1", "ada", when, plan="pro")],
        "tracks": [track("t1", "ada", "Signup", when)],
        "signup": [event("t1", when, total=5)],
    }


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(("place", "forms"), [("sqlite-same", FORMS), ("postgresql-same", POSTGRESQL_FORMS)])
def test_calls_are_sent_once_however_their_time_is_written(
    request: pytest.FixtureRequest, place: str, forms: dict[str, tuple[str, Any]], form: str
) -> None:
    kind, when = forms[form]
    times = dict.fromkeys(("received_at", "timestamp"), kind)
    with open_bench(place, request) as bench:
        bench.fill(**calls(when), types={"identifies": times, "tracks": times, "signup": {"received_at": kind}})
        assert bench.run(ALL).summary.sent == 2
        assert bench.metadata() == [{"plan": "pro"}, {"total": 5}]
        assert bench.run().summary.rows_read == 0
        mark = bench.watermark()
        assert mark is not None
        assert abs((mark - ago(hours=2)).total_seconds()) < 1
        with bench.sync() as sync:
            assert sync.audit(RunOptions(since=ALL)).missing == 0


@pytest.mark.parametrize("column", ["received_at", "timestamp"])
def test_one_column_of_text_beside_one_of_times_is_read(request: pytest.FixtureRequest, column: str) -> None:
    with open_bench("postgresql-same", request) as bench:
        texts = {column: "text"}
        rows = calls(ago(hours=2))
        rows = {name: [{**row, column: "2026-11-01T12:00:00Z"} for row in found] for name, found in rows.items()}
        bench.fill(**rows, types={"identifies": texts, "tracks": texts, "signup": texts})
        assert bench.run(ALL).summary.sent == 2
        assert bench.metadata() == [{"plan": "pro"}, {"total": 5}]


@pytest.mark.parametrize("stream", STREAMS)
@pytest.mark.parametrize("place", ["sqlite-same", "postgresql-same", "postgresql-sqlite"])
def test_a_table_in_which_no_row_has_a_time_ends_the_run_before_anything_is_sent(
    place: str, stream: Stream, request: pytest.FixtureRequest
) -> None:
    with open_bench(place, request) as bench:
        rows = calls(ago(hours=2))
        rows[stream] = [{**row, "received_at": None} for row in rows[stream]]
        bench.fill(**rows)
        result = bench.run(ALL, check=False)
        assert isinstance(result.error, SourceError)
        assert str(result.error) == (
            f"no row of table '{stream}' has a time in column 'received_at' that can be read; set CURSOR_COLUMN to another column, "
            f"or convert it in a view and name that in {stream.upper()}_TABLE"
        )
        assert (result.summary.status, result.summary.rows_read, bench.bodies()) == (RunStatus.STOPPED, 0, [])
        with bench.sync() as sync, pytest.raises(SourceError, match="no row of table"):
            sync.plan(RunOptions(since=ALL))
        with bench.sync() as sync, pytest.raises(SourceError, match="no row of table"):
            sync.start(RunOptions(since=ALL), 2)
        add_rows(bench.warehouse_url, stream, [identify("late", "eve", ago(hours=1))])
        assert bench.run(ALL, check=False).summary.rejected >= 1


def test_text_that_is_no_time_in_any_row_ends_the_run(sqlite_bench: Bench) -> None:
    sqlite_bench.fill(**calls("last tuesday"))
    assert isinstance(sqlite_bench.run(ALL, check=False).error, SourceError)
    assert sqlite_bench.bodies() == []


def test_a_stream_that_is_not_asked_for_needs_no_times(bench: Bench) -> None:
    rows = calls(ago(hours=2))
    rows["identifies"] = [{**rows["identifies"][0], "received_at": None}]
    bench.fill(**rows)
    assert bench.run(ALL, stream=Stream.TRACKS, check=False).summary.sent == 1


def test_an_empty_table_needs_no_times(bench: Bench) -> None:
    bench.fill()
    assert bench.run(ALL).error is None


def test_rows_without_a_time_beside_others_are_rejected_alone(bench: Bench) -> None:
    bench.fill([identify("m1", "ada", ago(hours=2)), identify("m2", "ada", None)])
    result = bench.run(ALL)
    assert (result.summary.sent, result.summary.rejected) == (1, 1)
