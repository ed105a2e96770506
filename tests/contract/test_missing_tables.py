"""A source that does not have a table that another source has: its other tables are read, and what was asked for stays so. Audited."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from io import StringIO
from typing import Any

import pytest
from accounting import ALL, Bench, ago, open_bench
from rich.console import Console
from warehouse import Row, add_rows, identify, make_warehouse, run_sql, track

from rehook_sync.errors import SourceError, UsageError
from rehook_sync.jobs.results import RunOptions
from rehook_sync.models import Stream
from rehook_sync.render.advice import Shell
from rehook_sync.render.check import check_document, check_view
from rehook_sync.render.status import status_document, status_view
from rehook_sync.report.figures import build_figures
from rehook_sync.rules.periods import Feed
from rehook_sync.runtime import Interrupt
from rehook_sync.sync import Sync

WEB, IOS = "web", "ios"
PAGES = Stream("pages")
USERS = 3
LACKS = "source 'ios' has no table 'pages': nothing is read of it"


@pytest.fixture(params=["postgresql-same", "postgresql-sqlite"])
def bench(request: pytest.FixtureRequest) -> Iterator[Bench]:
    """A warehouse with schemas, and the sync-state beside it or elsewhere."""
    with open_bench(request.param, request, "postgres_url_with_state", missing_properties="send") as opened:
        opened.options |= {"other_calls": {"pages": "Page Viewed"}}
        opened.audit.others = ("pages",)
        yield opened


def page(message_id: str, when: datetime) -> Row:
    return identify(message_id, "u0", when, name="Home")


def pages(count: int, prefix: str = "p", hours: float = 5) -> list[Row]:
    return [page(f"{prefix}{at}", ago(hours=hours, minutes=-at)) for at in range(count)]


def visits(prefix: str, count: int, hours: float = 5) -> list[Row]:
    return [track(f"{prefix}{at}", f"u{at % USERS}", "Visited", ago(hours=hours, minutes=-at)) for at in range(count)]


def fill(bench: Bench, **ios: Sequence[Row]) -> None:
    """Web has all three tables; ios lacks `pages`."""
    bench.fill_sources({WEB: {"pages": pages(3), "tracks": visits("w", 4)}, IOS: {"tracks": visits("i", 2), **ios}})


def give_pages(bench: Bench, *rows: Row) -> None:
    make_warehouse(bench.warehouse_url, {"pages": rows}, schema=IOS)


def marks(bench: Bench) -> list[tuple[Any, Any, Any]]:
    """What was recorded of the pages of ios: lower bound, watermark, table."""
    rows = [row for row in bench.read_state("sync_watermarks") if (row["source"], row["stream"]) == (IOS, PAGES)]
    return [(row["low_at"], row["high_at"], row["lacks_table"]) for row in sorted(rows, key=lambda row: str(row["recorded_at"]))]


def open_periods(bench: Bench) -> list[tuple[str, str]]:
    return [(row["source"], row["stream"]) for row in bench.read_state("sync_periods") if row["closed_at"] is None]


def shown(parts: Any, width: int = 200) -> str:
    screen = Console(file=StringIO(), width=width)
    for part in parts:
        screen.print(part)
    assert isinstance(screen.file, StringIO)
    return screen.file.getvalue()


def test_a_table_that_one_source_lacks_is_told_everywhere_and_no_error(bench: Bench) -> None:
    fill(bench)
    plan, result = bench.plan(ALL), bench.run(ALL)
    assert (plan.rows, result.summary.sent) == (9, 9)
    assert [note for note in plan.notes if "has no table" in note] == [note for note in result.notes if "has no table" in note] == [LACKS]
    assert Feed(IOS, PAGES) not in result.watermarks
    found = Sync.check(bench.settings())
    assert "warehouse" not in found.errors
    document: Any = check_document(found)
    assert "there is no table 'pages': nothing is read of it" in document["warehouse"]["layout"][IOS]["warnings"]
    assert "warning: there is no table 'pages': nothing is read of it" in shown(check_view(found))
    with bench.sync() as sync:
        report: Any = sync.read_status(3)
        status: Any = status_document(report)
        assert (status["watermarks"][IOS]["pages"]["lacks_table"], status["watermarks"][IOS]["pages"]["lag_s"]) == ("pages", None)
        assert status["watermarks"][WEB]["pages"]["lacks_table"] is None
        for width in (80, 40):
            text = " ".join(shown(status_view(report, width), width).split())
            assert LACKS in text
            assert "no table" in text.partition(LACKS)[0]
        assert sync.audit(RunOptions(since=ALL)).left == [LACKS]
        figures = build_figures(sync.read_report(ago(days=30)), Shell())
    assert {(each.source, each.stream): each.watermark_at for each in figures.freshness}[IOS, PAGES] is None
    fresh = {(row["source"], row["stream"]): (row["watermark_at"], row["lag_s"]) for row in bench.read_state("v1_freshness")}
    assert fresh[IOS, PAGES] == (None, None)
    assert open_periods(bench) == []
    assert bench.run().summary.requests == 0


@pytest.mark.parametrize("table", ["identifies", "tracks"])
def test_a_source_may_lack_identifies_or_tracks(bench: Bench, table: str) -> None:
    fill(bench, pages=pages(2, "q"), identifies=[identify("a", "u0", ago(hours=6), plan="pro")])
    run_sql(bench.warehouse_url, f"DROP TABLE {IOS}.{table}")
    bench.options |= {"exclude": ["secret"], "conversion_events": ["Signed Up"]}
    assert "warehouse" not in Sync.check(bench.settings()).errors
    result = bench.run(ALL)
    assert result.summary.sent == (11 if table == "identifies" else 10)
    assert f"source 'ios' has no table {table!r}: nothing is read of it" in result.notes
    with bench.sync() as sync:
        assert sync.refresh(RunOptions(), Interrupt(), lambda _: None).error is None
        assert sync.explain("u0").notes == []
    assert bench.run().summary.requests == 0


def test_a_table_that_comes_later_is_read_from_where_its_stream_began(bench: Bench) -> None:
    fill(bench)
    start = ago(hours=9)
    bench.run(start)
    bench.run()
    assert marks(bench) == [(start, start, "pages")] * 2, "what is asked for again moves nothing"
    bench.missed = {"old"}
    give_pages(bench, page("old", ago(hours=10)), page("new", ago(hours=8)))
    assert bench.run().summary.sent == 1
    assert bench.run().summary.requests == 0
    assert "new" in bench.statuses()


def test_history_asked_for_is_read_once_the_table_is_there(bench: Bench) -> None:
    fill(bench)
    bench.run(ALL)
    assert open_periods(bench) == [], "the watermark remembers it"
    give_pages(bench, *pages(5, "h", hours=2000))
    assert bench.run().summary.sent == 5
    assert bench.run().summary.requests == 0


def test_a_period_below_the_watermark_stays_open_until_there_is_a_table(bench: Bench) -> None:
    fill(bench)
    bench.run(ago(hours=9))
    bench.run(ago(hours=3))
    assert open_periods(bench) == []
    notes = bench.run(ALL).notes
    assert open_periods(bench) == [(IOS, PAGES)]
    assert any("pages of ios from the beginning until" in note and "stays open: there is no such table yet" in note for note in notes)
    assert any("stays open: there is no such table yet" in note for note in bench.run().notes)
    give_pages(bench, *pages(5, "h", hours=2000))
    assert bench.run().summary.sent == 5
    assert open_periods(bench) == []


def test_what_an_interrupted_first_run_was_asked_for_can_be_given_up(bench: Bench) -> None:
    fill(bench)
    bench.run(ALL, limit=2)
    assert (marks(bench), (IOS, PAGES) in open_periods(bench)) == ([(None, None, "pages")], True)
    with bench.sync() as sync:
        sync.abandon(RunOptions())
    start = ago(hours=1)
    bench.missed = {f"{prefix}{at}" for prefix in "wip" for at in range(5)} | {"old"}
    bench.run(start)
    give_pages(bench, page("old", ago(hours=2)), page("new", ago(minutes=50)))
    assert bench.run().summary.sent == 1, "the history was given up"


def test_a_run_in_parts_moves_the_same_marks(bench: Bench) -> None:
    fill(bench)
    start = ago(hours=9)
    with bench.sync() as sync:
        started = sync.start(RunOptions(since=start), 2)
        for number in started.shards:
            assert sync.deliver_shard(started.run_id, number, Interrupt()).error is None
        notes = sync.finish(started.run_id).notes
    assert (marks(bench), open_periods(bench), LACKS in notes) == ([(start, start, "pages")], [], True)
    bench.check()
    give_pages(bench, *pages(2, "q"))
    assert bench.run().summary.sent == 2


def test_a_stream_named_later_begins_when_its_lack_was_seen(bench: Bench) -> None:
    fill(bench)
    calls = bench.options.pop("other_calls")
    bench.audit.others = ()
    bench.run(ALL)
    bench.options["other_calls"] = calls
    bench.audit.others = ("pages",)
    bench.run(ago(hours=6), stream=PAGES, source=WEB)
    bench.run()
    ((low, high, _),) = marks(bench)
    assert low == high > ago(minutes=5), "nobody said where it begins, and nobody is to be asked at the night it comes"
    bench.missed = {"old"}
    give_pages(bench, page("old", ago(hours=2)))
    assert bench.run().summary.requests == 0


def test_a_table_that_is_gone_ends_the_run_and_changes_nothing(bench: Bench) -> None:
    fill(bench, pages=pages(3, "q"))
    bench.run(ALL)
    bench.run(ALL, stream=PAGES, source=IOS, limit=1)
    before = marks(bench), open_periods(bench), len(bench.read_state("sync_runs"))
    run_sql(bench.warehouse_url, f"ALTER TABLE {IOS}.pages RENAME TO pages_being_loaded")
    said = "^source 'ios': there is no table 'pages' in schema 'ios' .*; calls of it are recorded, so it was there before$"
    for attempt in (bench.run, bench.plan):
        with pytest.raises(SourceError, match=said):
            attempt()
    assert str(Sync.check(bench.settings()).errors["warehouse"]).endswith("so it was there before")
    with bench.sync() as sync, pytest.raises(SourceError, match=said):
        sync.audit(RunOptions(since=ALL))
    assert (marks(bench), open_periods(bench), len(bench.read_state("sync_runs"))) == before
    add_rows(bench.warehouse_url, "tracks", [track("meanwhile", "u0", "Visited", ago(hours=3))], schema=IOS)
    assert bench.run(stream=Stream.TRACKS, complete=False).summary.sent == 1, "other streams go on where they are named"
    run_sql(bench.warehouse_url, f"ALTER TABLE {IOS}.pages_being_loaded RENAME TO pages")
    assert bench.run().summary.requests == 0


def test_a_table_that_no_source_has_is_an_error(bench: Bench) -> None:
    fill(bench)
    run_sql(bench.warehouse_url, f"DROP TABLE {WEB}.pages")
    with pytest.raises(SourceError, match=r"there is no table 'pages' in schema 'web' .OTHER_CALLS names it"):
        bench.run(ALL)
    assert bench.read_state("sync_runs") == []


def test_a_source_with_no_table_of_calls_is_an_error(bench: Bench) -> None:
    fill(bench)
    for table in ("identifies", "tracks"):
        run_sql(bench.warehouse_url, f"ALTER TABLE {IOS}.{table} RENAME TO {table}_old")
    with pytest.raises(SourceError, match=r"^source 'ios': there is no table 'identifies' in schema 'ios'"):
        bench.run(ALL)


def test_who_names_a_table_that_is_not_there_is_told(bench: Bench) -> None:
    fill(bench)
    with bench.sync() as sync:
        for attempt in (sync.plan, lambda options: sync.run(options, Interrupt())):
            with pytest.raises(SourceError, match=r"^source 'ios': there is no table 'pages'.* names it.; found: 'identifies', 'tracks'$"):
                attempt(RunOptions(since=ALL, source=IOS, stream=PAGES))
    assert bench.run(ALL, source=IOS).summary.sent == 2


@pytest.mark.parametrize("table", ["identifies", "tracks", "pages"])
def test_a_stream_alone_needs_no_table_of_another(bench: Bench, table: str) -> None:
    fill(bench, pages=pages(1, "q"), identifies=[identify("a", "u0", ago(hours=6), plan="pro")])
    bench.run(ALL)
    for source in (WEB, IOS):
        run_sql(bench.warehouse_url, f"ALTER TABLE {source}.{table} DROP COLUMN user_id")
    new = {"tracks": track("n", "u1", "Visited", ago(hours=1)), "pages": page("n", ago(hours=1))}
    new["identifies"] = identify("n", "u1", ago(hours=1), plan="x")
    for stream in map(Stream, new.keys() - {table}):
        add_rows(bench.warehouse_url, stream, [new[stream]], schema=WEB if stream != "identifies" else IOS)
        with bench.sync() as sync:
            assert sync.plan(RunOptions(stream=stream)).rows == 1
        assert bench.run(stream=stream, check=False).summary.sent == 1
    with pytest.raises(SourceError, match=f"table '{table}' has no column 'user_id'"):
        bench.run(stream=Stream(table))


def test_one_source_without_tracks_is_read_by_stream(request: pytest.FixtureRequest) -> None:
    with open_bench("sqlite-same", request, missing_properties="send") as shop:
        shop.fill([identify("a", "u0", ago(hours=6), plan="pro")], [])
        run_sql(shop.warehouse_url, "DROP TABLE tracks")
        with pytest.raises(SourceError, match=r"there is no table 'tracks'.* a source without such calls needs an empty view of that name"):
            shop.run(ALL)
        assert shop.run(ALL, stream=Stream.IDENTIFIES, check=False).summary.sent == 1


def test_a_baseline_refuses_a_table_that_is_not_there(bench: Bench) -> None:
    fill(bench)
    asked = RunOptions(since=ALL, until=ago(hours=1))
    with bench.sync() as sync:
        for attempt in (sync.plan_baseline, lambda options: sync.baseline(options, Interrupt())):
            with pytest.raises(UsageError, match=r"^source 'ios' has no table 'pages', so no call of it can be recorded as settled"):
                attempt(asked)
        assert bench.read_state("sync_runs") == []
        for stream, source in ((Stream.TRACKS, None), (PAGES, WEB)):
            options = RunOptions(since=ALL, until=ago(hours=1), stream=stream, source=source)
            assert sync.baseline(options, Interrupt()).error is None
