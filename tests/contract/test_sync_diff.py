"""Which rows a run takes up: first start, watermark, lookback, late and future rows, bounds. Each run is audited."""

from datetime import UTC, datetime, timedelta

import accounting
import pytest
from accounting import ALL, NOW, Bench, ago, open_bench
from warehouse import Row, add_rows, identify, run_sql, track

from rehook_sync.errors import UsageError
from rehook_sync.models import RunStatus, Stream
from rehook_sync.runtime import Interrupt

bench = accounting.bench
ORDER = "Order Completed"


def orders(*message_ids: str, start: float = 0.0) -> list[Row]:
    """Events of different users, a minute apart; the first `start` hours before now."""
    return [track(each, f"u-{each}", ORDER, ago(hours=start) + timedelta(minutes=place)) for place, each in enumerate(message_ids)]


def people(count: int, hours: float = 5) -> list[Row]:
    return [identify(f"i{each}", f"u{each}", ago(hours=hours, seconds=-each), email=f"{each}@example.com") for each in range(count)]


def test_first_run_needs_a_beginning(bench: Bench) -> None:
    bench.fill(tracks=orders("a", start=2))
    with pytest.raises(UsageError, match="--since"):
        bench.run()
    assert bench.read_state("sync_runs") == []
    assert bench.sandbox.store.log == []
    assert bench.run(start_at="beginning").summary.sent == 1


def test_second_run_sends_nothing(bench: Bench) -> None:
    bench.fill(people(23), orders(*(f"t{each}" for each in range(31)), start=4))
    first = bench.run(ALL).summary
    assert (first.status, first.rows_read, first.sent) == (RunStatus.SUCCEEDED, 54, 54)
    assert bench.run().summary.rows_read == 0
    assert bench.run(ALL).summary.rows_read == 0
    assert bench.run(ago(days=400), chunk_rows=97).summary.requests == 0
    marks = bench.read_state("sync_watermarks")
    assert len(marks) == 8
    assert {(mark["stream"], mark["high_at"]) for mark in marks} == {
        ("identifies", ago(hours=5) + timedelta(seconds=22)),
        ("tracks", ago(hours=4) + timedelta(minutes=30)),
    }


def test_progress_says_how_many_rows_are_due_while_more_are_read_ahead(bench: Bench) -> None:
    """Rows that wait for their turn are not known ones. Those in flight while they are counted may be left out."""
    bench.fill(people(300), orders(*(f"t{each}" for each in range(103)), start=4))
    due: set[int | None] = set()
    bench.run(ALL, chunk_rows=20, listen=lambda progress: due.add(progress.rows_due))
    assert due - {None} <= set(range(403 - 8, 404))


def test_late_rows_within_the_lookback_are_found_and_sent_once(bench: Bench) -> None:
    bench.fill(people(5), orders("a", "b", start=1))
    bench.run(ALL)
    add_rows(bench.warehouse_url, "tracks", orders(*(f"late{each}" for each in range(11)), start=60))
    add_rows(bench.warehouse_url, "identifies", [identify("late-i", "u9", ago(hours=70), email="9@example.com")])
    assert bench.run().summary.sent == 12
    assert bench.run().summary.rows_read == 0
    assert set(bench.events().values()) == {1}
    assert bench.watermark() == ago(hours=1) + timedelta(minutes=1)


def test_rows_older_than_the_lookback_are_not_looked_for(bench: Bench) -> None:
    bench.fill(tracks=orders("new", start=1))
    bench.run(ALL, lookback=timedelta(hours=2))
    add_rows(bench.warehouse_url, "tracks", [*orders("old", start=9), *orders("late", start=2)])
    bench.missed = {"old"}
    assert bench.run(lookback=timedelta(hours=2)).summary.sent == 1
    assert set(bench.statuses()) == {"new", "late"}
    bench.missed = set()
    assert bench.run(lookback=timedelta(hours=9)).summary.sent == 1


def test_a_row_with_the_very_time_of_the_watermark_is_found(bench: Bench) -> None:
    bench.fill(tracks=orders("first", start=1))
    bench.run(ALL, lookback=timedelta(0))
    add_rows(bench.warehouse_url, "tracks", orders("twin", start=1))
    assert bench.run(lookback=timedelta(0)).summary.sent == 1
    assert bench.run(lookback=timedelta(0)).summary.rows_read == 0


def test_future_rows_wait_and_never_move_the_watermark(bench: Bench) -> None:
    bench.fill(
        people(3), [*orders("now", start=1), track("2099", "u", ORDER, NOW + timedelta(days=400)), track("soon", "u", ORDER, ago(hours=-2))]
    )
    assert bench.run(ALL).summary.sent == 4
    assert bench.watermark() == ago(hours=1)
    assert bench.run(until=NOW + timedelta(days=900)).summary.rows_read == 0
    assert "2099" not in bench.statuses()
    run_sql(bench.warehouse_url, f"UPDATE tracks SET received_at = '{ago(minutes=1).isoformat()}' WHERE id = 'soon'")
    assert bench.run().summary.sent == 1
    assert bench.watermark() == ago(minutes=1)


def test_duplicates_count_once_within_a_chunk_across_chunks_and_across_runs(bench: Bench) -> None:
    calls = orders("a", "b", "c", start=30)
    again = [{**each, "received_at": ago(hours=1)} for each in calls]
    later = [{**each, "timestamp": ago(hours=2), "received_at": ago(hours=2)} for each in calls]
    bench.fill(people(9), [*calls, *calls, *again, *orders(*"defghijkl", start=20), *later])
    assert bench.run(ALL).summary.rows_read == 9 + 12
    add_rows(bench.warehouse_url, "tracks", [{**each, "received_at": ago(minutes=3), "timestamp": ago(minutes=3)} for each in calls])
    add_rows(bench.warehouse_url, "identifies", [{**each, "received_at": ago(minutes=3)} for each in people(2)])
    assert bench.run().summary.rows_read == 0
    assert set(bench.events().values()) == {1}


def test_rows_before_the_first_start_are_never_sent_by_the_lookback(bench: Bench) -> None:
    bench.fill(people(4, hours=30), [*orders("old1", "old2", start=30), *orders("a", "b", start=4)])
    assert bench.run(ago(hours=5)).summary.sent == 2
    add_rows(bench.warehouse_url, "tracks", orders("old3", start=6))
    assert bench.run().summary.rows_read == 0
    assert bench.watermark("identifies") == ago(hours=5)


def test_backfill_sends_what_is_older_and_nothing_twice(bench: Bench) -> None:
    bench.fill(people(4, hours=30), [*orders("old1", "old2", start=30), *orders("a", "b", start=4)])
    bench.run(ago(hours=5))
    result = bench.run(ago(hours=40))
    assert result.summary.sent == 6
    assert bench.watermark() == ago(hours=4) + timedelta(minutes=1)
    assert bench.run(ago(hours=40)).summary.rows_read == 0


def test_backfill_of_a_part_does_not_open_what_lies_between(bench: Bench) -> None:
    bench.fill(tracks=[*orders("far", start=60), *orders("between", start=20), *orders("a", start=4)])
    assert bench.run(ago(hours=5)).summary.sent == 1
    assert bench.run(ago(hours=70), until=ago(hours=50)).summary.sent == 1
    assert bench.run().summary.rows_read == 0
    assert bench.run(ALL, until=ago(hours=50)).summary.rows_read == 0
    assert bench.run().summary.rows_read == 0
    assert bench.run(ago(hours=70), until=ago(hours=3)).summary.sent == 1


def test_since_above_the_watermark_leaves_it_where_it_is(bench: Bench) -> None:
    bench.fill(tracks=orders("a", start=50))
    bench.run(ALL)
    add_rows(bench.warehouse_url, "tracks", [*orders("gap", start=30), *orders("new", start=2)])
    assert bench.run(ago(hours=3)).summary.sent == 1
    assert bench.watermark() == ago(hours=50)
    assert bench.run().summary.sent == 1
    assert bench.watermark() == ago(hours=2)


def test_a_row_whose_time_of_arrival_changed_after_it_was_judged_is_the_same_call(bench: Bench) -> None:
    bench.fill(people(7), orders(*(f"t{each}" for each in range(11)), start=4))
    assert bench.run(ALL).summary.sent == 18
    is_sqlite = bench.warehouse_url.startswith("sqlite")
    later = "strftime('%Y-%m-%dT%H:%M:%fZ', received_at, '+1 hour')" if is_sqlite else "received_at + interval '1 hour'"
    run_sql(bench.warehouse_url, f"UPDATE tracks SET received_at = {later} WHERE id < 't5'")
    add_rows(bench.warehouse_url, "tracks", orders("new", start=1))
    result = bench.run(ALL)
    assert (result.summary.rows_read, result.summary.sent) == (1, 1)
    assert set(bench.events().values()) == {1}


def test_until_bounds_the_run_and_the_watermark(bench: Bench) -> None:
    bench.fill(tracks=orders("a", "b", "c", start=5))
    assert bench.run(ALL, until=ago(hours=5) + timedelta(minutes=1)).summary.sent == 1
    assert bench.watermark() == ago(hours=5)
    assert bench.run(until=ago(hours=5) + timedelta(minutes=2)).summary.sent == 1
    assert bench.run().summary.sent == 1


def test_until_behind_the_window_is_refused_in_its_own_words(bench: Bench) -> None:
    bench.fill(tracks=orders("a", start=1))
    bench.run(ALL, lookback=timedelta(hours=1))
    with pytest.raises(UsageError, match="--until") as raised:
        bench.run(until=ago(hours=9), lookback=timedelta(hours=1))
    assert "--since 20" not in str(raised.value)


def test_one_stream_alone_leaves_the_other_untouched(bench: Bench) -> None:
    bench.fill(people(5), orders("a", "b", start=1))
    assert bench.run(ALL, stream=Stream.TRACKS).summary.sent == 2
    assert {row["stream"] for row in bench.read_state("sync_watermarks")} == {"tracks"}
    with pytest.raises(UsageError, match="--since"):
        bench.run()
    assert bench.run(ALL, stream=Stream.IDENTIFIES).summary.sent == 5
    assert bench.run().summary.rows_read == 0


def test_limited_run_moves_the_watermark_only_when_nothing_is_left(bench: Bench) -> None:
    bench.fill(people(5), orders(*"abcdefghijklmnopqrs", start=1))
    bench.run(ago(hours=9), until=ago(hours=8))
    before = bench.watermark()
    assert before == ago(hours=9)
    taken = [bench.run(limit=10).summary.rows_read, bench.run(limit=10).summary.rows_read]
    assert (taken, bench.watermark(), bench.watermark("identifies")) == ([10, 10], before, before)
    assert bench.run(limit=4, complete=True).summary.rows_read == 4
    assert bench.watermark() == ago(hours=1) + timedelta(minutes=18)
    assert bench.run(limit=1, complete=True).summary.rows_read == 0


def test_limit_takes_the_oldest_rows_first(bench: Bench) -> None:
    bench.fill(people(3, hours=2), orders("late", start=1))
    bench.run(ALL, limit=3)
    assert set(bench.statuses()) == {"i0", "i1", "i2"}


def test_a_stream_without_rows_asks_for_no_beginning_again(bench: Bench) -> None:
    bench.fill(people(2))
    bench.run(ALL)
    assert bench.run().summary.rows_read == 0
    add_rows(bench.warehouse_url, "tracks", orders("old", start=24 * 300))
    assert bench.run().summary.sent == 1


def test_rows_of_the_first_year_and_endless_spans_break_nothing(bench: Bench) -> None:
    bench.fill(tracks=[track("zero", "u", ORDER, datetime(1, 1, 1, tzinfo=UTC))])
    assert bench.run(ALL).summary.sent == 1
    assert bench.run().summary.rows_read == 0
    assert bench.run(lookback=timedelta.max).summary.rows_read == 0
    with bench.sync() as sync:
        assert sync.prune(timedelta.max, Interrupt()) == 0


@pytest.mark.parametrize("schema", ["Sync State", "public", "o'brien\"s"])
def test_sync_state_lives_in_any_schema(schema: str, request: pytest.FixtureRequest) -> None:
    with open_bench("postgresql-same", request, state_schema=schema) as bench:
        bench.fill(people(3), orders("a", "b", start=1))
        assert bench.run(ALL, check=False).summary.sent == 5
        assert bench.run(check=False).summary.rows_read == 0
        quoted = schema.replace('"', '""')
        assert run_sql(bench.warehouse_url, f'SELECT count(*) FROM "{quoted}".sync_state') == [(5,)]
