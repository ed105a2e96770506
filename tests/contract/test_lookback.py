"""What a run need not read again: hours of the lookback that look as they did when all in them was settled, and only those."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import accounting
import pytest
import warehouse
from accounting import ALL, NOW, PLACES, READ_ALONE, Bench, ago, open_bench
from sqlalchemy import Engine, event
from warehouse import OpenSource, Row, add_rows, engine_to, identify, make_warehouse, run_sql, track

from rehook_sync.jobs.results import RunOptions
from rehook_sync.models import Selection, Status, Stream, Window
from rehook_sync.runtime import Interrupt
from rehook_sync.warehouse.stretches.excerpts import Excerpt

open_source = warehouse.open_source
HOUR = timedelta(hours=1)
NO_TEXT_TIMES = ("redshift", "snowflake")
FIRST = (NOW - 9 * HOUR).replace(minute=0, second=0, microsecond=0)
"""The start of an hour that is over."""
USERS = [f"user{number:02d}" for number in range(17)]


@pytest.fixture(params=(*PLACES, *READ_ALONE))
def bench(request: pytest.FixtureRequest) -> Iterator[Bench]:
    """A bench in each place there is."""
    with open_bench(request.param, request, "postgres_url_with_state") as opened:
        yield opened


def crowd() -> tuple[list[Row], list[Row]]:
    """An Identify call and two events of each user, in four hours."""
    identifies = [identify(f"i-{user}", user, FIRST + timedelta(minutes=place), plan=user) for place, user in enumerate(USERS)]
    tracks = [
        track(f"{kind}-{user}", user, "Visited", FIRST + hours * HOUR + timedelta(minutes=place))
        for kind, hours in (("a", 1), ("b", 3))
        for place, user in enumerate(USERS)
    ]
    return identifies, tracks


@contextmanager
def statements() -> Iterator[list[str]]:
    """The statements of all databases meanwhile."""
    seen: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_rest: object) -> None:
        seen.append(statement)

    event.listen(Engine, "before_cursor_execute", note)
    try:
        yield seen
    finally:
        event.remove(Engine, "before_cursor_execute", note)


def rows_asked_for(seen: list[str]) -> int:
    """How many statements asked for whole rows."""
    return sum("rehook_sync__place" in each for each in seen)


def compares(statement: str) -> bool:
    """Whether a statement lets ids be compared with the sync-state: there, or here."""
    return "known.message_id = calls.rehook_sync__id" in statement or "SELECT rehook_sync__received_at, rehook_sync__id" in statement


def quiet_run(bench: Bench, **options: Any) -> int:
    """A run with nothing new. Returns how many statements asked for whole rows."""
    with statements() as seen:
        assert bench.run(**options).summary.rows_read == 0
    return rows_asked_for(seen)


def remembered(bench: Bench) -> set[tuple[str, Any]]:
    return {(row["stream"], row["from_at"]) for row in bench.read_state("sync_stretches")}


def settle(bench: Bench, *rows: Any, **more: Any) -> None:
    """Send all there is, and let a second run see that it is settled."""
    bench.fill(*rows, **more)
    bench.run(ALL)
    bench.run()


def test_a_run_with_nothing_new_asks_for_no_row(bench: Bench) -> None:
    bench.fill(*crowd())
    bench.run(ALL)
    assert remembered(bench) == set(), "it was not settled before the run"
    assert quiet_run(bench) == 0
    assert len(remembered(bench)) == 3
    before = bench.read_state("sync_stretches")
    with statements() as seen:
        bench.run()
    assert rows_asked_for(seen) == 0
    assert not any(map(compares, seen))
    assert bench.read_state("sync_stretches") == before


def test_a_late_row_of_an_hour_that_was_settled_is_sent(bench: Bench) -> None:
    settle(bench, *crowd())
    add_rows(bench.warehouse_url, "tracks", [track("late", USERS[3], "Visited", FIRST + HOUR + timedelta(minutes=5, seconds=1))])
    with statements() as seen:
        assert bench.run().summary.sent == 1
    assert rows_asked_for(seen) == 1, "one hour of one stream"
    assert quiet_run(bench) == 0


def test_of_an_hour_that_changed_what_is_new_alone_is_fetched(bench: Bench) -> None:
    settle(bench, *crowd())
    late = [track(f"late-{n}", USERS[n], "Visited", FIRST + hours * HOUR + timedelta(minutes=5)) for n, hours in enumerate((1, 1, 3))]
    add_rows(bench.warehouse_url, "tracks", late)
    with statements() as seen:
        assert bench.run().summary.sent == 3
    sliced = [each for each in seen if "rehook_sync__place" in each and "LIMIT" in each]
    assert bool(sliced) == (bench.state_url is None), "a statement leaves out known calls, or asks for ids"
    assert quiet_run(bench) == 0


def test_windows_are_read_whole_if_an_id_is_not_found_in_them(warehouse_url: str, open_source: OpenSource) -> None:
    """It has left, or the database writes an id otherwise than it compares it."""
    make_warehouse(warehouse_url, {"identifies": [], "tracks": crowd()[1]})
    hour = Window(FIRST + HOUR, FIRST + 2 * HOUR)
    source = open_source(warehouse_url)

    def read(*ids: str) -> list[str]:
        excerpt = Excerpt((), timeless=False, sparse=(hour,), ids=ids)
        return sorted(row.message_id for row in source.read_window(Stream.TRACKS, Window(None, NOW), None, excerpt=excerpt))

    assert read("a-user03", "a-user05") == ["a-user03", "a-user05"]
    assert read("a-user03", "a-gone") == [f"a-{user}" for user in USERS]


def test_a_row_in_the_place_of_another_is_sent(bench: Bench) -> None:
    settle(bench, *crowd())
    run_sql(bench.warehouse_url, f"""DELETE FROM "tracks" WHERE "id" = 'a-{USERS[5]}'""")
    bench.gone.add(f"a-{USERS[5]}")
    add_rows(bench.warehouse_url, "tracks", [track("other", USERS[5], "Visited", FIRST + HOUR + timedelta(minutes=5))])
    assert bench.run().summary.sent == 1
    assert bench.statuses()["other"] == "sent"


def test_a_copy_of_a_row_and_a_row_that_left_cost_one_look(bench: Bench) -> None:
    settle(bench, *crowd())
    add_rows(bench.warehouse_url, "tracks", [track(f"a-{USERS[0]}", USERS[0], "Visited", FIRST + 3 * HOUR)])
    run_sql(bench.warehouse_url, f"""DELETE FROM "tracks" WHERE "id" = 'b-{USERS[6]}'""")
    bench.gone.add(f"b-{USERS[6]}")
    assert quiet_run(bench) == 0
    with statements() as seen:
        bench.run()
    assert not any(map(compares, seen)), "it is remembered as it looks now"


@pytest.mark.parametrize("fault", ["failed", "in_doubt"])
def test_an_hour_with_a_call_that_is_not_settled_is_compared_each_time(bench: Bench, fault: str) -> None:
    bench.fill(*crowd())
    if fault == "failed":
        bench.sandbox.faults.add("status", path="/events/invoke", source_id=USERS[2], status=503)
    else:
        bench.sandbox.faults.add("commit_then_drop", path="/events/invoke", source_id=USERS[2])
    bench.run(ALL, max_attempts=1, uncertain=True)
    bench.run(max_attempts=1, uncertain=True)
    bench.sandbox.faults.clear()
    assert fault in {each.partition(":")[0] for each in bench.statuses().values()}
    assert {stream for stream, _ in remembered(bench)} == {"identifies"}
    with bench.sync() as sync:
        sync.run(RunOptions(only=Selection(Status(fault))), Interrupt())
    bench.run(uncertain=True)
    assert len(remembered(bench)) == 3


def test_an_hour_with_a_call_that_waits_for_its_properties_is_compared_each_time(bench: Bench) -> None:
    identifies, tracks = crowd()
    bench.fill(identifies, tracks, visited=[{"id": row["id"], "received_at": row["received_at"], "total": 1} for row in tracks[1:]])
    bench.run(ALL)
    bench.run()
    assert len(remembered(bench)) == 2
    add_rows(bench.warehouse_url, "visited", [{"id": tracks[0]["id"], "received_at": tracks[0]["received_at"], "total": 2}])
    assert bench.run().summary.sent == 1
    bench.run()
    assert len(remembered(bench)) == 3


def test_calls_without_an_id_are_compared_each_time_those_without_a_time_not(bench: Bench) -> None:
    identifies, tracks = crowd()
    settle(bench, [*identifies, identify(None, "ada", FIRST + timedelta(minutes=30))], [*tracks, track("timeless", "ada", when=None)])
    assert {(stream, str(start)[:4]) for stream, start in remembered(bench)} == {("tracks", "0001"), ("tracks", str(FIRST.year))}
    add_rows(bench.warehouse_url, "tracks", [track("timeless too", "ada", when=None)])
    assert bench.run().summary.rows_read == 1
    assert bench.statuses()["timeless too"] == "rejected:invalid_row"


def test_calls_dated_in_the_future_are_sent_when_their_time_has_come(bench: Bench) -> None:
    soon = accounting.NOW + 2 * HOUR
    settle(bench, *crowd())
    add_rows(bench.warehouse_url, "tracks", [track("soon", "ada", "Visited", soon), track("last", "ada", "Visited", ago(minutes=1))])
    result = bench.run()
    assert result.summary.sent == 1
    assert any("later than" in note or "future" in note for note in result.notes), result.notes
    bench.run()
    run_sql(
        bench.warehouse_url,
        'UPDATE "tracks" SET "received_at" = (SELECT "received_at" FROM "tracks" WHERE "id" = \'last\') WHERE "id" = \'soon\'',
    )
    assert bench.run().summary.sent == 1


def test_a_period_that_is_asked_for_is_read_as_a_whole(bench: Bench) -> None:
    """What somebody deletes from the records is seen by the audit, and sent when it is asked for."""
    settle(bench, *crowd())
    bench.change_state(f"DELETE FROM {{sync_state}} WHERE message_id = 'a-{USERS[4]}'")
    assert bench.run(check=False).summary.rows_read == 0
    with bench.sync() as sync:
        audit = sync.audit(RunOptions(since=ago(days=2)))
    assert audit.missing == 1
    assert bench.run(since=ago(days=2), check=False).summary.sent == 1


def test_what_is_judged_or_sent_again_need_not_look_different(bench: Bench) -> None:
    identifies, tracks = crowd()
    bench.fill([*identifies, {**identify("odd", "eve", FIRST + timedelta(minutes=40)), "anonymous_id": "a-1"}], tracks)
    bench.run(ALL)
    bench.run()
    assert len(remembered(bench)) == 3
    with bench.sync(anonymous_calls="allow_with_user_id") as sync:
        assert sync.run(RunOptions(only=Selection(Status.REJECTED)), Interrupt()).summary.sent == 1
    assert quiet_run(bench, check=False) == 0


def test_another_cursor_column_or_table_is_another_look(bench: Bench) -> None:
    identifies, tracks = crowd()
    settle(
        bench,
        [{**row, "loaded_at": row["received_at"]} for row in identifies],
        [{**row, "loaded_at": row["received_at"]} for row in tracks],
    )
    first = {(row["stream"], row["from_at"]): row["fingerprint"] for row in bench.read_state("sync_stretches")}
    assert quiet_run(bench, cursor_column="loaded_at") == 0
    second = {(row["stream"], row["from_at"]): row["fingerprint"] for row in bench.read_state("sync_stretches")}
    assert first.keys() == second.keys()
    assert not set(first.values()) & set(second.values())
    if bench.warehouse_url.startswith("snowflake"):
        return  # fakesnow lists no view with a name in small letters
    run_sql(bench.warehouse_url, 'CREATE VIEW "newer" AS SELECT * FROM "tracks" WHERE "user_id" <> \'user01\'')
    assert quiet_run(bench, tracks_table="newer") == 0


def test_parts_are_not_made_for_nothing_and_read_what_is_new_alone(bench: Bench) -> None:
    settle(bench, *crowd())
    with bench.sync() as sync:
        started = sync.start(RunOptions(), 3)
        assert (started.shards, started.rows) == ((), 0)
        sync.finish(started.run_id)
    bench.check()
    add_rows(bench.warehouse_url, "tracks", [track(f"late{n}", f"user{n:02}", "Visited", FIRST + HOUR) for n in range(7)])
    with bench.sync() as sync:
        started = sync.start(RunOptions(), 3)
        assert len(started.shards) > 1
        with statements() as seen:
            for shard in started.shards:
                sync.deliver_shard(started.run_id, shard, Interrupt())
        assert rows_asked_for(seen) == len(started.shards)
        assert sync.finish(started.run_id).summary.sent == 7
    bench.check(ordered=False)
    with bench.sync() as sync:
        started = sync.start(RunOptions(), 3)
        sync.finish(started.run_id)
    assert started.shards == ()
    assert quiet_run(bench) == 0


def test_a_plan_reads_what_a_run_would_read(bench: Bench) -> None:
    settle(bench, *crowd())
    with statements() as seen:
        assert bench.plan().rows == 0
    assert rows_asked_for(seen) == 0
    add_rows(bench.warehouse_url, "identifies", [identify("late", "ada", FIRST + timedelta(minutes=50))])
    assert bench.plan().rows == 1


def test_a_row_that_leaves_during_a_look_and_comes_back_is_not_hidden(bench: Bench) -> None:
    """A loader that replaces rows deletes and inserts them: what was seen then must be what was compared then."""
    settle(bench, *crowd())
    row = track("replaced", USERS[1], "Visited", FIRST + HOUR + timedelta(minutes=1, seconds=1))
    add_rows(bench.warehouse_url, "tracks", [row])
    left: list[str] = []

    def leave(_connection: object, _cursor: object, statement: str, *_rest: object) -> None:
        if not left and compares(statement):
            left.append(statement)
            with engine_to(bench.warehouse_url).begin() as other:
                other.exec_driver_sql('DELETE FROM "tracks" WHERE "id" = \'replaced\'')

    event.listen(Engine, "before_cursor_execute", leave)
    try:
        bench.run(check=False)
    finally:
        event.remove(Engine, "before_cursor_execute", leave)
    assert left
    found = {row["rows"] for row in bench.read_state("sync_stretches") if (row["stream"], row["from_at"]) == ("tracks", FIRST + HOUR)}
    assert found == {len(USERS)}, "remembered is the hour without the row, as it was settled before"
    if "replaced" not in bench.statuses():
        add_rows(bench.warehouse_url, "tracks", [row])
        bench.run()
    assert bench.statuses()["replaced"] == "sent"


def test_text_that_is_no_time_is_not_hidden_behind_an_hour_that_changed(bench: Bench) -> None:
    """Of such text, SQL gives what sorts after the start of its window: the hours that changed begin later than the lookback."""
    if bench.warehouse_url.startswith(NO_TEXT_TIMES):
        pytest.skip("times that are texts are refused in this warehouse")
    identifies, tracks = crowd()
    texts = [{**row, "received_at": str(row["received_at"])} for row in tracks]
    odd = {**texts[0], "received_at": f"{(FIRST - timedelta(days=2)).date().isoformat()} 25:00"}
    settle(bench, identifies, [*texts, {**odd, "id": "known"}], types={"tracks": {"received_at": "text"}})
    add_rows(bench.warehouse_url, "tracks", [{**odd, "id": "odd"}, {**texts[-1], "id": "last"}])
    assert bench.run().summary.rows_read == 2
    assert {name: status for name, status in bench.statuses().items() if name in {"odd", "last"}} == {
        "odd": "rejected:invalid_row",
        "last": "sent",
    }
    assert quiet_run(bench) == 0


@pytest.mark.parametrize("clock", ["24:00:00.000Z", "25:10:00.000Z"])
def test_text_in_the_form_of_a_time_that_is_none_is_judged_once(bench: Bench, clock: str) -> None:
    """It lies in no hour, and is not without a time to SQL."""
    if bench.warehouse_url.startswith(NO_TEXT_TIMES):
        pytest.skip("times that are texts are refused in this warehouse")
    identifies, tracks = crowd()
    texts = [{**row, "received_at": f"{row['received_at']:%Y-%m-%dT%H:%M:%S.000Z}"} for row in tracks]
    settle(bench, identifies, texts, types={"tracks": {"received_at": "text"}})
    odd = f"{FIRST - timedelta(days=1):%Y-%m-%d}T{clock}"
    add_rows(bench.warehouse_url, "tracks", [{**texts[0], "id": "odd", "received_at": odd}])
    assert bench.run().summary.rows_read == 1
    assert bench.run().summary.rows_read == 0
    assert bench.statuses()["odd"].startswith(("sent", "rejected"))
