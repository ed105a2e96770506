"""Several Segment sources that lead to one Rehook: each has its own watermark, all have one order and one memory. Each run is audited."""

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from accounting import ALL, Bench, ago, open_bench
from rich.console import Console
from sqlalchemy import make_url
from three_sources import measure
from warehouse import Row, add_rows, event, identify, run_sql, track

from rehook_sync.errors import SettingsError, SourceError, UsageError
from rehook_sync.jobs.results import Progress, RunOptions
from rehook_sync.models import STREAMS, RunStatus, Stream
from rehook_sync.render.advice import Shell
from rehook_sync.render.audit import audit_document, audit_view
from rehook_sync.render.check import check_document, check_view
from rehook_sync.render.explain import explanation_document, explanation_view
from rehook_sync.render.plan import plan_document, plan_view
from rehook_sync.render.run import run_document, run_view
from rehook_sync.render.status import abandoned_view, status_document, status_view
from rehook_sync.report.figures import build_figures
from rehook_sync.report.page import render_page
from rehook_sync.rules.periods import Feed
from rehook_sync.runtime import Interrupt
from rehook_sync.sync import Sync

WEB, IOS, SERVER = "web_prod", "ios_prod", "server_prod"
SMALL = {"chunk_rows": 7, "concurrency": 3, "missing_properties": "send"}
USERS = 5


@pytest.fixture(params=["postgresql-same", "postgresql-sqlite"])
def bench(request: pytest.FixtureRequest) -> Iterator[Bench]:
    """A warehouse with schemas, and the sync-state beside it or elsewhere."""
    with open_bench(request.param, request, "postgres_url_with_state", **SMALL) as opened:
        yield opened


def visits(source: str, count: int, hours: float = 5) -> list[Row]:
    return [track(f"{source}{at:02}", f"u{at % USERS}", "Visited", ago(hours=hours, minutes=-at), place=source) for at in range(count)]


def shown(parts: Any, width: int = 80) -> str:
    screen = Console(file=StringIO(), width=width)
    for part in parts:
        screen.print(part)
    assert isinstance(screen.file, StringIO)
    text = screen.file.getvalue()
    assert max(map(len, text.splitlines())) <= width
    return text


def watermarks(bench: Bench) -> dict[tuple[str, str], Any]:
    return {(row["source"], row["stream"]): row["watermark_at"] for row in bench.read_state("v1_freshness")}


def test_each_source_is_read_with_a_watermark_of_its_own(bench: Bench) -> None:
    bench.fill_sources({WEB: {"tracks": visits("w", 11)}, IOS: {"tracks": visits("i", 6, hours=90)}})
    result = bench.run(ALL)
    assert (result.summary.rows_read, result.summary.sent) == (17, 17)
    assert result.watermarks[Feed(WEB, Stream.TRACKS)] == ago(hours=5, minutes=-10)
    assert result.watermarks[Feed(IOS, Stream.TRACKS)] == ago(hours=90, minutes=-5)
    assert {row["source"] for row in bench.read_state("sync_state")} == {WEB, IOS}
    add_rows(bench.warehouse_url, "tracks", [track("late", "u0", "Visited", ago(hours=95))], schema=IOS)
    add_rows(bench.warehouse_url, "tracks", [track("lost", "u0", "Visited", ago(hours=95))], schema=WEB)
    bench.missed = {"lost"}
    assert bench.run().summary.sent == 1, "the lookback is that of the source: 3 days behind its own watermark"
    assert (bench.run().summary.requests, "late" in bench.statuses()) == (0, True)


def test_a_source_that_is_new_asks_where_to_begin_and_nothing_is_begun(bench: Bench) -> None:
    bench.fill_sources({WEB: {"tracks": visits("w", 4)}, IOS: {"tracks": visits("i", 4)}})
    bench.use(WEB)
    bench.run(ALL)
    add_rows(bench.warehouse_url, "tracks", [track("w-new", "u0", "Visited", ago(hours=1))], schema=WEB)
    bench.use(WEB, IOS)
    runs = len(bench.read_state("sync_runs"))
    for attempt in (bench.run, bench.plan):
        with pytest.raises(UsageError, match=f"source '{IOS}' is new .* nothing was begun.* `run --source {IOS} --since 7d`"):
            attempt()
    assert (len(bench.read_state("sync_runs")), "w-new" in bench.statuses()) == (runs, False)
    begun = bench.run(ago(hours=5, minutes=-2), source=IOS)
    assert (begun.summary.sent, set(begun.watermarks)) == (2, {Feed(IOS, stream) for stream in STREAMS})
    assert bench.run().summary.sent == 1
    assert {row["source"] for row in bench.read_state("sync_periods")} == {WEB, IOS}


def test_a_new_source_begins_where_the_settings_say(bench: Bench) -> None:
    bench.fill_sources({WEB: {"tracks": visits("w", 4)}, IOS: {"tracks": visits("i", 4)}})
    bench.use(WEB)
    bench.run(ALL)
    bench.use(WEB, IOS)
    assert bench.run(start_at=ago(hours=5, minutes=-1).isoformat()).summary.sent == 3


def test_a_schema_with_another_name_keeps_its_watermark_under_the_old_one(bench: Bench) -> None:
    bench.fill_sources({WEB: {"tracks": visits("w", 4)}})
    bench.sandbox.faults.add("status", status=429, skip=2, times=1)
    bench.run(ALL, max_attempts=1)
    run_sql(bench.warehouse_url, f"ALTER SCHEMA {WEB} RENAME TO web_next")
    bench.use("web_next")
    with pytest.raises(UsageError, match=f"if it is '{WEB}' under another schema, set REHOOK_SYNC_WAREHOUSE_SCHEMA={WEB}=web_next,"):
        bench.run()
    bench.use(f"{WEB}=web_next")
    left = sum(row.startswith("failed") for row in bench.statuses().values())
    assert bench.run().summary.sent == left > 0
    assert bench.run().summary.requests == 0
    with bench.sync() as sync:
        report = sync.audit(RunOptions(since=ALL))
    assert (report.missing, sum(line.gone for feed in report.feeds for line in feed.lines)) == (0, 0)


def test_the_advice_about_a_renamed_schema_keeps_the_other_sources(bench: Bench) -> None:
    bench.fill_sources({WEB: {"tracks": visits("w", 4)}, IOS: {"tracks": visits("i", 4)}})
    bench.run(ALL)
    run_sql(bench.warehouse_url, f"ALTER SCHEMA {WEB} RENAME TO web_next")
    bench.use("web_next", IOS)
    with pytest.raises(UsageError, match=f"set REHOOK_SYNC_WAREHOUSE_SCHEMA={WEB}=web_next,{IOS}, which sends nothing again"):
        bench.run()
    bench.use(f"{WEB}=web_next", IOS)
    result = bench.run()
    assert result.summary.requests == 0
    assert any(f"from {WEB}, {IOS} to {WEB}=web_next, {IOS}: each source goes on under its name" in note for note in result.notes)


def test_each_run_names_a_source_that_the_settings_leave_out(bench: Bench) -> None:
    bench.fill_sources({WEB: {"tracks": visits("w", 4)}, IOS: {"tracks": visits("i", 4)}})
    bench.run(ALL)
    bench.run(ALL, source=IOS, limit=1)
    bench.use(WEB)
    for _ in range(2):
        notes = bench.run(check=False).notes
        assert f"source '{IOS}' is not read: REHOOK_SYNC_WAREHOUSE_SCHEMA does not name it" in notes
    bench.use(WEB, IOS)
    assert not any("is not read" in note for note in bench.run().notes)


def test_a_source_left_out_is_named_by_audit_and_not_counted_by_abandon(bench: Bench) -> None:
    bench.fill_sources({WEB: {"tracks": visits("w", 4)}, IOS: {"tracks": visits("i", 4)}})
    bench.run(ALL, limit=1)
    bench.use(WEB)
    with bench.sync() as sync:
        report = sync.audit(RunOptions(since=ALL))
        assert report.left == [f"source '{IOS}' is not read: REHOOK_SYNC_WAREHOUSE_SCHEMA does not name it"]
        assert report.left[0] in shown(audit_view(report), 200)
        found = sync.abandon(RunOptions(source=IOS))
    assert [calls for _, calls in found] == [None, None]
    text = shown(abandoned_view(found, dry_run=False), 200)
    assert (text.count(f"of {IOS} "), text.count("its calls cannot be counted")) == (2, 2)


def test_the_newest_value_of_a_trait_wins_over_all_sources(bench: Bench) -> None:
    web = [identify("w1", "ada", ago(hours=5), plan="free"), identify("w2", "ada", ago(hours=3), plan="free")]
    bench.fill_sources({WEB: {"identifies": web}, SERVER: {"identifies": [identify("s1", "ada", ago(hours=4), plan="pro")]}})
    bench.run(ALL, customer_updates="changed", customers={"ada": {"plan": "free"}})
    add_rows(bench.warehouse_url, "identifies", [identify("s2", "ada", ago(hours=3.5), plan="pro")], schema=SERVER)
    bench.run(customers={"ada": {"plan": "free"}})
    assert bench.statuses()["s2"] == "unchanged:superseded"
    add_rows(bench.warehouse_url, "identifies", [identify("s3", "ada", ago(hours=1), plan="pro")], schema=SERVER)
    bench.run(customers={"ada": {"plan": "pro"}})


def test_a_code_belongs_to_whoever_took_it_first_in_any_source(bench: Bench) -> None:
    late, early = identify("w1", "ada", ago(hours=3), referral_code="R"), identify("i1", "bob", ago(hours=4), referral_code="R")
    bench.fill_sources({WEB: {"identifies": [late]}, IOS: {"identifies": [early]}})
    bench.run(ALL)
    assert bench.statuses() == {"w1": "rejected:referral_code_taken", "i1": "sent"}


def test_the_same_id_in_two_sources_is_one_call(bench: Bench) -> None:
    both = [track("both", "ada", "Visited", ago(hours=4)), track("own-w", "ada", "Visited", ago(hours=3))]
    bench.fill_sources({WEB: {"tracks": both}, IOS: {"tracks": [both[0], track("own-i", "ada", "Visited", ago(hours=2))]}})
    assert bench.run(ALL).summary.sent == 3
    assert bench.run().summary.requests == 0
    with bench.sync() as sync:
        report = sync.audit(RunOptions(since=ALL))
    assert (report.missing, [sum(line.gone for line in each.lines) for each in report.feeds]) == (0, [0, 0, 0, 0])
    assert (report.count("sent"), report.count("counted_elsewhere")) == (3, 1), "a call is counted once"
    assert [each.rows for each in report.feeds] == [0, 2, 0, 2]
    assert "1 of one source are in another one, too, and counted there" in shown(audit_view(report), 200)
    with bench.sync() as sync:
        assert sync.audit(RunOptions(since=ALL, source=IOS)).count("sent") == 2


def test_identify_goes_before_track_at_the_same_instant_in_any_source(bench: Bench) -> None:
    at = ago(hours=2)
    bench.fill_sources({WEB: {"tracks": [track("a", "ada", "Visited", at)]}, IOS: {"identifies": [identify("z", "ada", at, plan="pro")]}})
    bench.run(ALL)
    assert [each.path for each in bench.sandbox.store.log if each.source_id == "ada"] == ["/customers", "/customers/events"] or [
        "event" in each for each in bench.bodies("ada")
    ] == [False, True]


def test_each_source_has_a_layout_of_its_own(bench: Bench) -> None:
    tables: Mapping[str, Mapping[str, Sequence[Row]]] = {
        WEB: {"tracks": [track("w1", "ada", "Bought", ago(hours=5))], "bought": [event("w1", ago(hours=5), total=5)]},
        IOS: {"tracks": [track("i1", "ada", "Bought", ago(hours=4), place="app")]},
        SERVER: {"tracks": [track("s1", "ada", "Bought", ago(hours=3), properties='{"deep": [1]}')]},
    }
    types = {SERVER: {"tracks": {"properties": "jsonb", "received_at": "text"}}}
    bench.fill_sources(tables, types)
    bench.run(ALL)
    assert bench.metadata() == [{"total": 5}, {"place": "app"}, {"deep": [1]}]
    with bench.sync() as sync:
        kinds = {name: layout.track_properties for name, layout in sync.discover().items()}
    assert kinds == {WEB: "event_tables", IOS: "columns", SERVER: "json"}
    assert bench.run().summary.requests == 0


def test_a_call_waits_for_the_event_table_of_its_own_source(bench: Bench) -> None:
    old = [event("x", ago(days=9), total=1)]
    tracks = [track("w1", "ada", "Bought", ago(hours=5))], [track("i1", "ada", "Bought", ago(hours=4))]
    bench.options["missing_properties"] = "wait"
    bench.fill_sources({WEB: {"tracks": tracks[0], "bought": old}, IOS: {"tracks": tracks[1], "bought": old}})
    bench.run(ALL)
    assert set(bench.statuses().values()) == {"waiting:properties_not_loaded"}
    add_rows(bench.warehouse_url, "bought", [event("i1", ago(hours=4), total=2)], schema=IOS)
    assert bench.run().summary.sent == 1
    assert {row["message_id"]: row["source"] for row in bench.read_state("v1_waiting")} == {"w1": WEB}
    bench.use(IOS)
    with bench.sync() as sync:
        notes = sync.run(RunOptions(), Interrupt()).notes
    assert f"1 of source '{WEB}' that failed or wait are not taken up: REHOOK_SYNC_WAREHOUSE_SCHEMA does not name it" in notes


def test_a_source_that_cannot_be_read_stops_the_run_before_anything_is_sent(bench: Bench) -> None:
    bench.fill_sources({WEB: {"tracks": visits("w", 4)}, IOS: {"tracks": visits("i", 4)}})
    run_sql(bench.warehouse_url, f"ALTER TABLE {IOS}.tracks DROP COLUMN user_id")
    with pytest.raises(SourceError, match=f"^source '{IOS}': "), bench.sync() as sync:
        sync.run(RunOptions(since=ALL), Interrupt())
    assert (bench.sandbox.store.log, bench.statuses()) == ([], {})


def test_one_source_alone_needs_no_other_to_be_readable(bench: Bench) -> None:
    bench.fill_sources({WEB: {"tracks": visits("w", 4), "identifies": [identify("i", "u0", ago(hours=6), plan="a")]}, IOS: {}})
    run_sql(bench.warehouse_url, f"ALTER TABLE {IOS}.tracks DROP COLUMN user_id")
    with bench.sync() as sync:
        assert sync.plan(RunOptions(since=ALL, source=WEB)).rows == 5
        result = sync.run(RunOptions(since=ALL, source=WEB, limit=2), Interrupt())
        assert result.summary.rows_read == 2
        started = sync.start(RunOptions(source=WEB), 2)
        for number in started.shards:
            assert sync.deliver_shard(started.run_id, number, Interrupt()).error is None
        assert sync.finish(started.run_id).summary.rows_read == 3
        done = sync.baseline(RunOptions(since=ALL, until=ago(hours=1), source=WEB), Interrupt())
        assert (done.error, done.summary.skipped, len(bench.statuses())) == (None, 0, 5)
        with pytest.raises(SourceError, match=f"^source '{IOS}': "):
            sync.run(RunOptions(since=ALL), Interrupt())


def test_a_source_that_is_not_in_the_settings_cannot_be_asked_for(bench: Bench) -> None:
    bench.fill_sources({WEB: {}, IOS: {}})
    with pytest.raises(UsageError, match=f"source 'web': REHOOK_SYNC_WAREHOUSE_SCHEMA names '{WEB}', '{IOS}'"), bench.sync() as sync:
        sync.plan(RunOptions(since=ALL, source="web"))


def test_an_interrupted_period_is_gone_on_with_source_by_source(bench: Bench) -> None:
    bench.fill_sources({WEB: {"tracks": visits("w", 23)}, IOS: {"tracks": visits("i", 17)}})
    interrupt = Interrupt()

    def listen(progress: Progress) -> None:
        if progress.requests >= 9:
            interrupt.request(2)

    first = bench.run(ALL, interrupt=interrupt, listen=listen, complete=False)
    assert first.summary.status is RunStatus.INTERRUPTED
    assert any(f"tracks of {WEB}, {IOS} from the beginning until" in note for note in first.notes)
    assert bench.run(source=IOS, limit=3).summary.rows_read == 3
    while len(bench.statuses()) < 40:
        bench.run(limit=11)
    assert bench.run().summary.requests == 0
    assert all(row["closed_at"] is not None for row in bench.read_state("sync_periods"))


def test_a_stream_that_never_had_a_row_has_no_watermark_to_show(bench: Bench) -> None:
    bench.fill_sources({WEB: {"tracks": visits("w", 4)}, IOS: {}})
    result = bench.run(ALL)
    with bench.sync() as sync:
        report, figures = sync.read_status(3), build_figures(sync.read_report(ALL), Shell())
    for text in (shown(run_view(result), 200), shown(status_view(report, 200), 200)):
        assert (text.count("none yet"), "1970" in text) == (3, False)
    assert "1970" not in render_page(figures, Shell())
    watermarks: Any = status_document(report)["watermarks"]
    assert watermarks[IOS]["tracks"]["lag_s"] is None
    assert {(row["source"], row["lag_s"] is None) for row in bench.read_state("v1_freshness") if row["watermark_at"] is None} == {
        (WEB, True),
        (IOS, True),
    }


def test_parts_of_a_run_deliver_all_sources(bench: Bench) -> None:
    bench.fill_sources({WEB: {"tracks": visits("w", 23)}, IOS: {"tracks": visits("i", 17)}})
    with bench.sync() as sync:
        started = sync.start(RunOptions(since=ALL), 3)
        assert (len(started.shards), started.rows) == (3, 40)
        for number in started.shards:
            assert sync.deliver_shard(started.run_id, number, Interrupt()).error is None
        result = sync.finish(started.run_id)
    assert result.summary.sent == 40
    assert {(row["source"], row["stream"]): row["rows_new"] for row in bench.read_state("sync_watermarks")} == {
        (WEB, "identifies"): 0,
        (WEB, "tracks"): 23,
        (IOS, "identifies"): 0,
        (IOS, "tracks"): 17,
    }
    bench.check(ordered=False)
    assert bench.run().summary.requests == 0


def test_what_is_shown_of_six_sources_fits_into_80_columns(bench: Bench) -> None:
    names = [f"{kind}_production" for kind in ("web", "ios", "android", "server", "tv", "partner_shop")]
    bench.fill_sources({name: {"identifies": [], "tracks": visits(name, 3)} for name in names})
    plan = bench.plan(ALL)
    text = shown(plan_view(plan))
    assert all(text.count(name) == 2 for name in names)
    narrow = shown(plan_view(plan, 40), 40).splitlines()
    assert all(f"{stream} of {name}" in narrow for name in names for stream in ("identifies", "tracks"))
    assert narrow.count("  from  the beginning") == 2 * len(names)
    assert set(plan_document(plan)["windows"]) == set(names)  # type: ignore[call-overload]
    begun = bench.run(ALL, limit=1, check=False)
    asked = f"identifies, tracks of {', '.join(names)} from the beginning until "
    (open_,) = [note for note in begun.notes if note.startswith(asked)]
    assert open_.endswith("are not done: each run goes on with them, and `run --abandon` gives them up")
    assert [note.startswith(f"goes on with identifies, tracks of {', '.join(sorted(names))}") for note in bench.plan().notes].count(
        True
    ) == 1
    with bench.sync() as sync:
        assert shown(status_view(sync.read_status(3), 80)).count("open  identifies, tracks of ") == 1
    result = bench.run()
    assert [note.endswith("was asked for, are done") for note in result.notes].count(True) == 1
    text = shown(run_view(result))
    assert all(name in text for name in names)
    assert set(run_document(result)["watermarks"]) == set(names)  # type: ignore[call-overload]
    add_rows(bench.warehouse_url, "tracks", [track("new", "ada", "Visited", ago(hours=1))], schema=names[0])
    with bench.sync() as sync:
        report, audit, explanation = sync.read_status(3), sync.audit(RunOptions(since=ALL)), sync.explain("ada")
        found, figures = Sync.check(bench.settings()), build_figures(sync.read_report(ALL), Shell())
    text = shown(status_view(report, 80))
    assert all(text.count(name) == 1 for name in names)
    watermark: Any = status_document(report)["watermarks"]
    assert watermark["tv_production"]["tracks"]["rows_new"] == 3
    text = shown(audit_view(audit))
    assert all(name in text for name in names)
    document: Any = audit_document(audit)
    assert document["streams"]["web_production"]["tracks"]["not_due"] == 1
    assert {line["source"] for line in document["lines"]} == set(names)
    assert re.search(rf"\n  source +{names[0]}\n", shown(explanation_view(explanation, Shell())))
    unjudged: Any = explanation_document(explanation, Shell())["not_judged"]
    assert unjudged[0]["source"] == names[0]
    assert all(f"tracks: table {name}.tracks" in shown(check_view(found), 200) for name in names)
    assert "the same message id in several sources is one call, sent once" in shown(check_view(found), 200)
    layouts: Any = check_document(found)["warehouse"]
    assert layouts["shared_ids"].endswith("`audit` counts such calls as same_id_elsewhere")
    assert set(layouts["layout"]) == set(names)
    assert "tracks of tv_production" in render_page(figures, Shell())


def test_what_is_missing_is_repaired_in_its_source_alone(bench: Bench) -> None:
    bench.fill_sources({WEB: {"tracks": visits("w", 4)}, IOS: {"tracks": visits("i", 4)}})
    bench.run(ALL)
    add_rows(bench.warehouse_url, "tracks", [track("lost", "u0", "Visited", ago(days=9))], schema=IOS)
    with bench.sync() as sync:
        report = sync.audit(RunOptions(since=ALL))
    assert report.missing == 1
    assert report.repair is not None
    assert report.repair.startswith(f"python -m rehook_sync run --source {IOS} --since ")
    assert bench.run(ago(days=9), source=IOS).summary.sent == 1


def test_an_audit_of_one_source_looks_at_it_alone(bench: Bench) -> None:
    bench.fill_sources({WEB: {"tracks": visits("w", 4)}, IOS: {"tracks": visits("i", 4)}, SERVER: {"tracks": visits("s", 2)}})
    bench.use(WEB, IOS)
    bench.run(ALL)
    add_rows(bench.warehouse_url, "tracks", [track("lost", "u0", "Visited", ago(days=9))], schema=IOS)
    bench.use(WEB, IOS, SERVER)
    with bench.sync() as sync:
        report = sync.audit(RunOptions(since=ALL))
    begin = f"2 of tracks of {SERVER} not judged, since nothing says where to begin: `run --source {SERVER} --since 7d`"
    assert begin in shown(audit_view(report), 200)
    run_sql(bench.warehouse_url, f"DROP SCHEMA {WEB} CASCADE", f"DROP SCHEMA {SERVER} CASCADE")
    with bench.sync() as sync:
        report = sync.audit(RunOptions(since=ALL, source=IOS))
        assert ({each.feed.source for each in report.feeds}, report.missing) == ({IOS}, 1)
        assert report.repair is not None
        assert report.repair.startswith(f"python -m rehook_sync run --source {IOS} --stream tracks --since ")
        with pytest.raises(SourceError, match=f"^source '{WEB}': "):
            sync.audit(RunOptions(since=ALL))


def test_a_name_in_the_settings_may_match_in_one_source_only(bench: Bench) -> None:
    bench.fill_sources(
        {WEB: {"tracks": [track("w", "ada", "A", ago(hours=2), total=1)]}, IOS: {"tracks": [track("i", "ada", "A", ago(hours=1), x=1)]}}
    )
    notes = bench.run(ALL, property_names={"total": "sum", "place": "where"}, exclude=["x"]).notes
    assert [note.partition(";")[0] for note in notes] == ["PROPERTY_NAMES: 'place' is no column of tracks"]


def test_a_file_of_sqlite_holds_one_source_with_any_name(request: pytest.FixtureRequest) -> None:
    with open_bench("sqlite-same", request) as bench:
        bench.fill(tracks=visits("w", 3))
        with pytest.raises(SettingsError, match="must name one source: SQLite has no schemas, so a file holds one"):
            bench.settings(warehouse_schema="web,ios")
        bench.run(ALL, warehouse_schema="web=main")
        assert {row["source"] for row in bench.read_state("sync_state")} == {"web"}
        assert make_url(bench.warehouse_url).get_backend_name() == "sqlite"


def test_a_killed_backfill_of_three_sources_ends_complete_and_in_order(postgres_url: str, tmp_path: Path) -> None:
    found = measure(postgres_url, tmp_path, rows=230, users=53)
    assert (found.rows, found.out_of_order, found.sent_again) == (690, 0, 0)
    assert 0 < found.killed_after < 690


def test_a_baseline_of_one_source_settles_no_other(bench: Bench) -> None:
    bench.fill_sources({WEB: {"tracks": visits("w", 9)}, IOS: {"tracks": visits("i", 8)}})
    with bench.sync() as sync:
        done = sync.baseline(RunOptions(since=ALL, until=ago(hours=4), source=IOS), Interrupt())
    assert (done.summary.skipped, bench.sandbox.store.log) == (8, [])
    assert {row["source"] for row in bench.read_state("sync_state")} == {IOS}
    with pytest.raises(UsageError, match=f"source '{WEB}' is new"):
        bench.run()
    assert bench.run(ALL, source=WEB).summary.sent == 9
    assert bench.run().summary.requests == 0


def test_a_baseline_of_one_source_settles_what_failed_under_another(bench: Bench) -> None:
    both, late = track("both", "ada", "Visited", ago(hours=5)), track("late", "ada", "Visited", ago(hours=2))
    own = track("own", "ada", "Visited", ago(hours=4.5))
    bench.fill_sources({WEB: {"tracks": [both, own, late]}, IOS: {"tracks": [both, late]}})
    bench.sandbox.faults.add("status", status=503, source_id="ada")
    bench.run(ALL, max_attempts=1, source=WEB)
    bench.sandbox.faults.clear()
    assert {status.partition(":")[0] for status in bench.statuses().values()} == {"failed"}
    with bench.sync() as sync:
        options = RunOptions(since=ALL, until=ago(hours=3), source=IOS)
        assert sync.plan_baseline(options).rows == 1
        assert sync.baseline(options, Interrupt()).summary.skipped == 1
    assert bench.statuses()["both"] == "skipped:settled_elsewhere"
    assert bench.run().summary.sent == 2
    assert len(bench.sandbox.store.events) == 2


def test_an_unfinished_baseline_names_its_source_in_the_command_that_goes_on(bench: Bench) -> None:
    bench.fill_sources({WEB: {"tracks": visits("w", 9)}, IOS: {"tracks": visits("i", 18)}})
    interrupt = Interrupt()
    with bench.sync() as sync:
        sync.baseline(RunOptions(since=ALL, until=ago(hours=4), source=IOS), interrupt, lambda _progress: interrupt.request(2))
    with pytest.raises(UsageError, match=f"`baseline --since beginning --until .*Z --source {IOS}` goes on with it"):
        bench.run(ALL)
    assert bench.run(ALL, source=WEB).summary.sent == 9, "no baseline of this source is open"


def test_a_refresh_sends_what_is_newest_over_all_sources(bench: Bench) -> None:
    web = [identify("w1", "ada", ago(hours=5), plan="free"), identify("w2", "ada", ago(hours=3), plan="free")]
    server = [identify("s1", "ada", ago(hours=4), plan="pro", seats=3)]
    bench.fill_sources({WEB: {"identifies": web}, SERVER: {"identifies": server}})
    bench.run(ALL)
    with bench.sync(trait_names={"plan": "planName"}) as sync:
        result = sync.refresh(RunOptions(), Interrupt())
    assert result.error is None
    assert bench.metadata()[-1] == {"planName": "free", "seats": 3}
    assert bench.run(trait_names={"plan": "planName"}, check=False).summary.sent == 0


def serial(source: str, ids: Sequence[int], hours: float) -> dict[str, list[Row]]:
    """Calls with bigint ids: one of each stream for each id, and a user of its own for each id."""
    people = [identify(each, f"{source}-{each}", ago(hours=hours), plan=source) for each in ids]
    return {"identifies": people, "tracks": [track(each, f"{source}-{each}", "Visited", ago(hours=hours)) for each in ids]}


SERIAL: Mapping[str, Any] = {name: {"identifies": {"id": "bigint"}, "tracks": {"id": "bigint"}} for name in (WEB, IOS)}


def test_calls_with_the_id_of_another_call_are_noted_by_plan_run_and_audit(bench: Bench) -> None:
    bench.fill_sources({WEB: serial("w", range(1, 10), 5), IOS: serial("i", range(3, 14), 4)}, SERIAL)
    noted = f"14 calls of source '{IOS}' (ids of '{WEB}') not sent: calls of another user or event have the same message ids, such as "
    assert any(note.startswith(noted) for note in bench.plan(ALL).notes)
    for since, sent in ((ALL, 26), (None, 0), (None, 0)):
        result = bench.run(since)
        assert (result.summary.sent, result.summary.status) == (sent, RunStatus.ATTENTION)
        assert any(note.startswith(noted) for note in result.notes)
    with bench.sync() as sync:
        report = sync.audit(RunOptions(since=ALL))
    assert (report.missing, report.count("same_id_elsewhere"), report.is_complete) == (0, 14, False)
    assert [each.count("sent") for each in report.feeds] == [9, 9, 4, 4]
    assert [each.rows for each in report.feeds] == [9, 9, 11, 11]
    assert sum(line.gone for each in report.feeds for line in each.lines) == 0
    text = shown(audit_view(report))
    assert f"14 calls of source '{IOS}'" in text
    assert "nothing is missing" not in text


def test_a_later_call_with_the_id_of_an_earlier_one_is_noted(bench: Bench) -> None:
    bench.fill_sources({WEB: serial("w", range(1, 6), 5), IOS: serial("i", range(6, 8), 5)}, SERIAL)
    assert bench.run(ALL).summary.status is RunStatus.SUCCEEDED
    add_rows(bench.warehouse_url, "tracks", serial("i", [2], 1)["tracks"], schema=IOS)
    for source in (None, IOS):
        result = bench.run(source=source)
        assert (result.summary.sent, result.summary.status) == (0, RunStatus.ATTENTION)
        assert any(note.startswith(f"1 call of source '{IOS}' (ids of '{WEB}') not sent") for note in result.notes)


@pytest.mark.parametrize("way", ["prune", "forget"])
def test_a_call_whose_record_was_emptied_is_no_other_call(bench: Bench, way: str) -> None:
    calls = {"identifies": [identify("i1", "ada", ago(hours=5))], "tracks": [track("t1", "ada", "Visited", ago(hours=4))]}
    bench.fill_sources({WEB: calls, IOS: {}})
    bench.run(ALL)
    with bench.sync(lookback=timedelta()) as sync:
        if way == "prune":
            assert sync.prune(timedelta(), Interrupt()) == 2
        else:
            sync.forget("ada", Interrupt(), give_up=False, dry_run=False)
    for table, rows in calls.items():
        add_rows(bench.warehouse_url, table, rows, schema=IOS)
    result = bench.run(ALL, check=False)
    assert (result.summary.status, result.summary.requests) == (RunStatus.SUCCEEDED, 0)
    with bench.sync() as sync:
        report = sync.audit(RunOptions(since=ALL))
    assert (report.is_complete, report.count("counted_elsewhere"), report.count("same_id_elsewhere")) == (True, 2, 0)


def test_a_failed_call_is_not_retried_with_the_call_of_another_source(bench: Bench) -> None:
    bench.fill_sources({WEB: {"tracks": serial("w", [1, 2], 4)["tracks"]}, IOS: {}}, SERIAL)
    bench.sandbox.faults.add("status", status=503, source_id="w-1", times=1)
    bench.run(ALL, max_attempts=1)
    assert bench.statuses() == {"1": "failed:server_error", "2": "sent"}
    add_rows(bench.warehouse_url, "tracks", serial("i", [1], 5)["tracks"], schema=IOS)
    assert bench.run().summary.sent == 1
    assert bench.events() == {("w-1", "Visited"): 1, ("w-2", "Visited"): 1}


def test_explain_says_that_another_call_has_the_id(bench: Bench) -> None:
    bench.fill_sources({WEB: serial("w", range(1, 6), 5), IOS: serial("i", range(1, 6), 4)}, SERIAL)
    bench.run(ALL)
    with bench.sync() as sync:
        lost, sent = sync.explain("i-3"), sync.explain("w-3")
    text = " ".join(shown(explanation_view(lost, Shell())).split())
    assert "prune" not in text
    assert f"2 calls of source '{IOS}' (ids of '{WEB}') not sent" in text
    assert (lost.detached, sent.detached, dict(sent.shared.calls)) == ([], [], {})


def test_parts_of_a_run_note_calls_with_the_id_of_another_call(bench: Bench) -> None:
    bench.fill_sources({WEB: serial("w", range(1, 6), 5), IOS: serial("i", range(6, 8), 5)}, SERIAL)
    bench.run(ALL)
    add_rows(bench.warehouse_url, "tracks", serial("i", range(1, 4), 1)["tracks"], schema=IOS)
    with bench.sync() as sync:
        started = sync.start(RunOptions(since=ALL), 2)
        for number in started.shards:
            assert sync.deliver_shard(started.run_id, number, Interrupt()).error is None
        result = sync.finish(started.run_id)
    assert (result.summary.sent, result.summary.status) == (0, RunStatus.ATTENTION)
    assert any(note.startswith(f"3 calls of source '{IOS}' (ids of '{WEB}') not sent") for note in result.notes)


def test_a_refresh_names_the_sources_that_it_does_not_read(bench: Bench) -> None:
    bench.fill_sources({WEB: {"identifies": [identify("w", "ada", ago(hours=5), plan="a")]}, IOS: {"identifies": []}})
    bench.run(ALL)
    bench.use(IOS)
    with bench.sync() as sync:
        notes = sync.refresh(RunOptions(), Interrupt()).notes
    assert [note for note in notes if "are not read" in note] == [
        f"calls of '{WEB}' are not read, since REHOOK_SYNC_WAREHOUSE_SCHEMA does not name it: "
        "what customers have from there alone is not sent, and a trait that gets another name goes out as the other sources have it, "
        "even if that is older"
    ]


def test_a_refresh_takes_no_value_from_a_call_that_another_ones_id_kept_back(bench: Bench) -> None:
    web = [identify(1, "ada", ago(hours=5), plan="free"), identify(2, "bob", ago(hours=5), plan="free")]
    bench.fill_sources({WEB: {"identifies": web}, IOS: {"identifies": [identify(1, "bob", ago(hours=1), plan="pro")]}}, SERIAL)
    bench.run(ALL, customers={"bob": {"plan": "free"}})
    with bench.sync(trait_names={"plan": "planName"}) as sync:
        sync.refresh(RunOptions(), Interrupt())
    assert bench.metadata()[-2:] == [{"planName": "free"}] * 2
    bench.change_state("UPDATE {sync_state} SET user_id = NULL")
    with bench.sync(trait_names={"plan": "planKind"}) as sync:
        sync.refresh(RunOptions(), Interrupt())
    assert bench.metadata()[-2:] == [{"planKind": "free"}] * 2, "prune leaves ids without users"
