"""Tables of other calls, such as pages and screens, go out as custom events, each as a stream of its own. Each run is audited."""

from collections.abc import Iterator
from functools import partial
from io import StringIO
from typing import Any

import accounting
import pytest
from accounting import ALL, Bench, ago, open_bench
from rich.console import Console
from warehouse import Row, add_rows, event, identify, track

from rehook_sync.errors import SourceError, UsageError
from rehook_sync.jobs.results import RunOptions
from rehook_sync.models import DEFAULT_SOURCE, RunStatus, Stream
from rehook_sync.render.audit import audit_document, audit_view
from rehook_sync.render.plan import plan_view
from rehook_sync.render.run import run_view
from rehook_sync.render.status import status_document, status_view
from rehook_sync.rules.periods import Feed
from rehook_sync.runtime import Interrupt

bench = accounting.bench
PAGES = Stream("pages")
BOTH = {"pages": "Page Viewed", "screens": "Screen Viewed"}
USERS = 5


@pytest.fixture
def shop(request: pytest.FixtureRequest) -> Iterator[Bench]:
    """One place, for what does not depend on it."""
    with open_bench("sqlite-same", request, missing_properties="send") as opened:
        yield opened


@pytest.fixture
def sources(request: pytest.FixtureRequest) -> Iterator[Bench]:
    """A warehouse with schemas."""
    with open_bench("postgresql-same", request, "postgres_url_with_state", missing_properties="send") as opened:
        yield opened


def page(message_id: str | None, user_id: str | None, when: Any = None, **columns: object) -> Row:
    """A row of `pages`: no event, and one column per property."""
    return identify(message_id, user_id, ago(hours=5) if when is None else when, name="Home", url="https://shop.test/", **columns)


def views(count: int, prefix: str = "p", hours: float = 5) -> list[Row]:
    return [page(f"{prefix}{at:02}", f"u{at % USERS}", ago(hours=hours, minutes=-at), place=at) for at in range(count)]


def send_others(bench: Bench, **calls: str) -> None:
    """Name tables of other calls in the settings, and let the audit look at them."""
    bench.options |= {"other_calls": calls, "missing_properties": "send"}
    bench.audit.others = tuple(calls)


def test_rows_of_named_tables_go_out_as_events_with_their_columns(bench: Bench) -> None:
    send_others(bench, **BOTH)
    bench.fill(
        [identify("i1", "ada", ago(hours=6), plan="pro")],
        [track("t1", "ada", "Visited", ago(hours=5))],
        pages=[page("p1", "ada", ago(hours=5), title="Start", context_ip="10.0.0.1", nested_name="x", amount=None)],
        screens=[identify("s1", "ada", ago(hours=4), name="Basket", total=20)],
    )
    result = bench.run(ALL)
    assert (result.summary.sent, set(result.watermarks)) == (
        4,
        {Feed(DEFAULT_SOURCE, Stream(each)) for each in ("identifies", "tracks", "pages", "screens")},
    )
    assert bench.bodies()[1:] == [
        '{"event_name":"Visited","source_id":"ada","metadata":{}}',
        '{"event_name":"Page Viewed","source_id":"ada",'
        '"metadata":{"name":"Home","url":"https://shop.test/","title":"Start","nested_name":"x"}}',
        '{"event_name":"Screen Viewed","source_id":"ada","metadata":{"name":"Basket","total":20}}',
    ], "in time order over all streams; tracks go first at the same instant"
    assert {(row["stream"], row["event"]) for row in bench.read_state("sync_state") if row["event"]} == {
        ("tracks", "Visited"),
        ("pages", "Page Viewed"),
        ("screens", "Screen Viewed"),
    }
    assert {row["stream"] for row in bench.read_state("v1_freshness")} == {"identifies", "tracks", "pages", "screens"}
    assert bench.run().summary.requests == 0
    add_rows(bench.warehouse_url, "pages", [page("late", "ada", ago(hours=30))])
    assert bench.run().summary.sent == 1, "the lookback is that of the stream"


def test_tables_that_nobody_named_are_not_sent(bench: Bench) -> None:
    bench.fill([], [], pages=views(3))
    assert bench.run(ALL).summary.requests == 0


def test_other_calls_obey_the_rules_of_events(bench: Bench) -> None:
    send_others(bench, pages="Page Viewed")
    rows = [
        page("nobody", None),
        page("anonymous", "ada", anonymous_id="a-1"),
        page("no-code", "ada"),
        page("coded", "bob", referral_code="BOB", first_name="Bob", secret="x"),
        page(None, "eve", referral_code="EVE"),
    ]
    bench.fill([], [], pages=rows)
    result = bench.run(ALL, conversion_events=["Page Viewed"], exclude=["secret"], property_names={"first_name": "given"})
    assert (result.summary.sent, result.summary.rejected) == (1, 4)
    assert {key if key[:4] != "null" else "null-id": value for key, value in bench.statuses().items()} == {
        "null-id": "rejected:invalid_row",
        "nobody": "rejected:missing_user_id",
        "anonymous": "rejected:anonymous_id_present",
        "no-code": "rejected:missing_referral_code",
        "coded": "sent",
    }
    assert bench.metadata() == [{"name": "Home", "url": "https://shop.test/", "referral_code": "BOB", "given": "Bob"}]
    assert bench.read_state("sync_customers") == [], "no event takes a code"
    assert bench.run(conversion_events=["Page Viewed"]).summary.requests == 0


def test_one_id_in_two_streams_is_two_calls(bench: Bench) -> None:
    send_others(bench, pages="Page Viewed")
    bench.fill([identify("m", "ada", ago(hours=5))], [track("m", "ada", "Visited", ago(hours=5))], pages=[page("m", "ada")])
    assert bench.run(ALL).summary.sent == 3
    assert bench.events() == {("ada", "Visited"): 1, ("ada", "Page Viewed"): 1}
    with bench.sync() as sync:
        assert sorted(str(row["stream"]) for row in sync.explain("m").rows) == ["identifies", "pages", "tracks"]


def test_an_unknown_outcome_of_another_call_is_in_doubt(bench: Bench) -> None:
    send_others(bench, pages="Page Viewed")
    bench.fill([], [], pages=views(3))
    bench.sandbox.faults.add("commit_then_drop", path="/events/invoke", skip=1, times=1)
    result = bench.run(ALL, uncertain=True)
    assert (result.summary.status, result.summary.sent, result.summary.in_doubt) == (RunStatus.ATTENTION, 2, 1)
    assert bench.run().summary.requests == 0, "an event whose outcome is unknown is held, of any stream"


def test_a_new_stream_asks_where_to_begin_and_nothing_is_begun(bench: Bench) -> None:
    bench.options["missing_properties"] = "send"
    bench.fill([], [track("t1", "ada", "Visited", ago(hours=6))], pages=views(11))
    bench.run(ALL)
    add_rows(bench.warehouse_url, "tracks", [track("t2", "ada", "Visited", ago(hours=1))])
    send_others(bench, pages="Page Viewed")
    runs = len(bench.read_state("sync_runs"))
    for attempt in (bench.run, bench.plan, partial(bench.run, start_at="beginning"), partial(bench.plan, start_at="beginning")):
        with pytest.raises(UsageError, match=r"stream pages is new .* nothing was begun.* `run --stream pages --since 7d` .*others go on"):
            attempt()
    assert (len(bench.read_state("sync_runs")), "t2" in bench.statuses()) == (runs, False)
    assert bench.run(stream=Stream.TRACKS, complete=False).summary.sent == 1, "the others go on where they are named"
    begun = bench.run(ago(hours=5, minutes=-8), stream=PAGES)
    assert (begun.summary.sent, set(begun.watermarks)) == (3, {Feed(DEFAULT_SOURCE, PAGES)})
    assert bench.run().summary.requests == 0, "what is older than its start stays out"


def test_a_start_at_counts_for_a_new_stream_that_is_named(shop: Bench) -> None:
    shop.fill([], [], pages=views(4))
    shop.run(ALL)
    send_others(shop, pages="Page Viewed")
    assert shop.run(stream=PAGES, start_at=ago(hours=5, minutes=-2).isoformat()).summary.sent == 2


def test_a_first_run_begins_all_streams_at_start_at(shop: Bench) -> None:
    send_others(shop, pages="Page Viewed")
    shop.fill([], [], pages=views(4))
    assert shop.run(start_at=ago(hours=5, minutes=-2).isoformat()).summary.sent == 2


def test_a_stream_taken_out_keeps_its_record(shop: Bench) -> None:
    send_others(shop, **BOTH)
    shop.fill([], [track("t1", "ada", "Visited", ago(hours=6))], pages=views(4), screens=[page("s1", "bob", ago(hours=7))])
    shop.sandbox.faults.add("status", status=429, path="/events/invoke", skip=3, times=1)
    shop.run(ALL, max_attempts=1, concurrency=1)
    failed = sum(row.startswith("failed") for row in shop.statuses().values())
    del shop.options["other_calls"]
    notes = shop.run(check=False).notes
    assert f"{failed} of stream 'pages' that failed or wait are not taken up: REHOOK_SYNC_OTHER_CALLS does not name it" in notes
    assert "stream 'screens' is not read: REHOOK_SYNC_OTHER_CALLS does not name it" in notes
    with pytest.raises(UsageError, match="stream 'pages': there are 'identifies', 'tracks'"):
        shop.run(stream=PAGES)
    send_others(shop, **BOTH)
    assert shop.run().summary.sent == failed > 0
    assert shop.run().summary.requests == 0


def test_audit_and_explain_know_other_streams(bench: Bench) -> None:
    send_others(bench, pages="Page Viewed")
    bench.fill([], [], pages=views(5))
    bench.run(ago(hours=5, minutes=-2))
    with bench.sync() as sync:
        report = sync.audit(RunOptions(since=ALL))
        (feed,) = [each for each in report.feeds if each.feed.stream == PAGES]
        assert [(line.event, dict(line.counts)) for line in feed.lines] == [("Page Viewed", {"sent": 3, "before_start": 2})]
        assert (report.missing, [each.row.message_id for each in sync.explain("p00").unjudged]) == (0, ["p00"])
        assert [row["message_id"] for row in sync.explain("p04").rows] == ["p04"]
        status = status_document(sync.read_status(3))
        assert "pages" in status["watermarks"]  # type: ignore[operator]
    bench.change_state("DELETE FROM {sync_state} WHERE message_id = 'p03'")
    with bench.sync() as sync:
        assert sync.audit(RunOptions(since=ALL)).missing == 1


def test_audit_names_the_command_that_begins_a_new_stream(bench: Bench) -> None:
    bench.fill([], [track("t1", "ada", "Visited", ago(hours=6))], pages=views(5))
    bench.run(ALL, missing_properties="send")
    add_rows(bench.warehouse_url, "tracks", [track("lost", "u0", "Visited", ago(days=9))])
    send_others(bench, pages="Page Viewed")
    with bench.sync() as sync:
        report = sync.audit(RunOptions(since=ALL))
        text = "".join(map(str, audit_view(report)))
        assert "5 of pages not judged, since nothing says where to begin: `run --stream pages --since 7d`, for example" in text
        assert "START_AT" not in text
        document = audit_document(report)
    assert (document["missing"], document["begin"]) == (1, ["run --stream pages --since 7d"])
    assert report.repair is not None
    assert report.repair.startswith("python -m rehook_sync run --stream tracks --since "), "a run of all would begin the new stream"
    bench.run(ALL, stream=PAGES, limit=1)
    with bench.sync() as sync:
        report = sync.audit(RunOptions(since=ALL))
        assert "the next run goes on with an open period" in "".join(map(str, audit_view(report)))
    assert audit_document(report)["begin"] == []


def test_an_open_period_of_another_stream_is_gone_on_with(bench: Bench) -> None:
    send_others(bench, pages="Page Viewed")
    bench.fill([], [], pages=views(20, hours=200))
    bench.run(ago(hours=1))
    assert bench.run(ALL, stream=PAGES, limit=3).summary.sent == 3
    assert bench.run().summary.sent == 17
    assert bench.events().total() == 20


def test_a_baseline_settles_other_calls(bench: Bench) -> None:
    send_others(bench, pages="Page Viewed")
    bench.fill([], [], pages=views(6))
    with bench.sync() as sync:
        done = sync.baseline(RunOptions(since=ALL, until=ago(hours=5, minutes=-4), stream=PAGES), Interrupt())
    assert done.summary.skipped == 4
    assert bench.run(ago(hours=9)).summary.sent == 2


def test_tables_of_other_calls_are_no_event_tables(shop: Bench) -> None:
    send_others(shop, visits="Visit")
    tracks = [track("t1", "ada", "Order Completed", ago(hours=5))]
    shop.fill([], tracks, order_completed=[event("t1", ago(hours=5), total=5)], visits=views(2))
    assert shop.run(ALL).summary.sent == 3
    assert set(shop.sync().__enter__().discover()[DEFAULT_SOURCE].event_tables) == {"order_completed"}


@pytest.mark.parametrize(
    ("calls", "said"),
    [
        ({"page": "Page Viewed"}, r"^there is no table 'page' in the default schema \(OTHER_CALLS names it\); did you mean 'pages'\?$"),
        ({"order_completed": "Order"}, "OTHER_CALLS names table 'order_completed', which is an event's, since it has a column 'event'"),
        ({"users": "User"}, "table 'users' has no column 'user_id', which every call has .OTHER_CALLS says which table is read"),
    ],
)
def test_a_table_that_cannot_be_meant_is_told_in_one_line(shop: Bench, calls: dict[str, str], said: str) -> None:
    order = {**event("t1", total=5), "user_id": "ada", "event": "order_completed"}
    shop.fill([], [track("t1", "ada")], pages=views(2), order_completed=[order], users=[{"id": "ada", "received_at": ago(hours=5)}])
    shop.options["other_calls"] = calls
    for attempt in (shop.run, shop.plan):
        with pytest.raises(SourceError, match=said) as caught:
            attempt(ALL)
        assert "\n" not in str(caught.value)
    assert shop.read_state("sync_runs") == []


def test_a_run_in_parts_sends_other_calls_in_order(bench: Bench) -> None:
    send_others(bench, **BOTH)
    tracks = [track(f"t{at:02}", f"u{at % USERS}", "Visited", ago(hours=5, minutes=-at)) for at in range(17)]
    bench.fill([], tracks, pages=views(23), screens=views(19, "s"))
    with bench.sync() as sync:
        started = sync.start(RunOptions(since=ALL), 3)
        done = [sync.deliver_shard(started.run_id, shard, Interrupt()) for shard in started.shards]
        result = sync.finish(started.run_id)
    assert (len(done) > 1, sum(sum(each.rows.values()) for each in done), result.summary.sent) == (True, 59, 59)
    assert set(result.watermarks) == {Feed(DEFAULT_SOURCE, Stream(each)) for each in ("identifies", "tracks", "pages", "screens")}
    bench.check()
    assert bench.run().summary.requests == 0


def test_four_streams_can_be_read_at_eighty_columns(shop: Bench) -> None:
    send_others(shop, **BOTH)
    shop.fill([], [], pages=views(3), screens=views(2, "s"))
    plan, result = shop.plan(ALL), shop.run(ALL)
    with shop.sync() as sync:
        parts = [*plan_view(plan), *run_view(result), *status_view(sync.read_status(3), 80), *audit_view(sync.audit(RunOptions(since=ALL)))]
    screen = Console(file=StringIO(), width=80)
    for part in parts:
        screen.print(part)
    text = screen.file.getvalue()  # type: ignore[attr-defined]
    assert max(map(len, text.splitlines())) <= 80
    assert all(stream in text for stream in ("identifies", "tracks", "pages", "screens"))
    assert "…" not in text, "nothing is cut"
