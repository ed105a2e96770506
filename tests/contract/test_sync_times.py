"""Runs over sources whose times are written in other ways, or not at all."""

from collections.abc import Iterator
from typing import Any

import accounting
import pytest
from accounting import ALL, NOW, Bench, ago, open_bench
from warehouse import Row, add_rows, event, identify, track

from rehook_sync.errors import SourceError
from rehook_sync.jobs.results import RunOptions
from rehook_sync.models import RunStatus, Stream

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
def test_calls_are_sent_once_however_their_time_is_written(sqlite_bench: Bench, form: str) -> None:
    kind, when = FORMS[form]
    times = dict.fromkeys(("received_at", "timestamp"), kind)
    sqlite_bench.fill(**calls(when), types={"identifies": times, "tracks": times, "signup": {"received_at": kind}})
    assert sqlite_bench.run(ALL, check=False).summary.sent == 2
    assert sqlite_bench.metadata() == [{"plan": "pro"}, {"total": 5}]
    assert sqlite_bench.run(check=False).summary.rows_read == 0
    mark = sqlite_bench.watermark()
    assert mark is not None
    assert abs((mark - ago(hours=2)).total_seconds()) < 1
    with sqlite_bench.sync() as sync:
        assert sync.audit(RunOptions(since=ALL)).missing == 0


@pytest.mark.parametrize("stream", Stream)
@pytest.mark.parametrize("place", ["sqlite-same", "postgresql-same", "postgresql-sqlite"])
def test_a_table_in_which_no_row_has_a_time_ends_the_run_before_anything_is_sent(
    place: str, stream: Stream, request: pytest.FixtureRequest
) -> None:
    with open_bench(place, request) as bench:
        rows = calls(ago(hours=2))
        rows[stream.value] = [{**row, "received_at": None} for row in rows[stream.value]]
        bench.fill(**rows)
        result = bench.run(ALL, check=False)
        assert isinstance(result.error, SourceError)
        assert str(result.error) == (
            f"no row of table '{stream.value}' has a time in column 'received_at' that can be read; set CURSOR_COLUMN to another column, "
            f"or convert it in a view and name that in {stream.value.upper()}_TABLE"
        )
        assert (result.summary.status, result.summary.rows_read, bench.bodies()) == (RunStatus.STOPPED, 0, [])
        with bench.sync() as sync, pytest.raises(SourceError, match="no row of table"):
            sync.plan(RunOptions(since=ALL))
        with bench.sync() as sync, pytest.raises(SourceError, match="no row of table"):
            sync.start(RunOptions(since=ALL), 2)
        add_rows(bench.warehouse_url, stream.value, [identify("late", "eve", ago(hours=1))])
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
