"""What `explain` finds out about an id, on both databases: what was decided, what belongs to it, and what no run has judged."""

from datetime import timedelta

import accounting
from accounting import ALL, Bench, ago
from warehouse import add_rows, identify, run_sql, track

from rehook_sync.jobs.results import Explanation
from rehook_sync.models import Stream
from rehook_sync.rules.watermark import Absence

bench = accounting.bench


def explain(bench: Bench, key: str, *, warehouse: bool = True) -> Explanation:
    with bench.sync() as sync:
        return sync.explain(key, warehouse=warehouse)


def test_merged_call_comes_with_the_call_that_carried_it_and_its_customer(bench: Bench) -> None:
    bench.fill([identify("i1", "ada", ago(hours=3), plan="free"), identify("i2", "ada", ago(hours=2), plan="pro")], [])
    bench.run(ALL)
    found = explain(bench, "i1")
    assert [(row["message_id"], row["status"], row["sent_as"]) for row in found.rows] == [("i1", "merged", "i2")]
    assert [(row["message_id"], row["status"]) for row in found.related] == [("i2", "sent")]
    assert (found.customer or {})["source_id"] == "ada"
    assert (found.unjudged, found.notes, found.looked) == ([], [], True)


def test_blocked_call_comes_with_what_blocks_it(bench: Bench) -> None:
    bench.fill([identify("i1", "ada", ago(hours=3), plan="free")], [track("t1", "ada", "Visited", ago(hours=2))])
    bench.sandbox.faults.add("status", status=503, source_id="ada")
    bench.run(ALL, max_attempts=1)
    found = explain(bench, "t1")
    assert [(row["message_id"], row["reason"]) for row in found.related] == [("i1", "server_error")]
    assert [row["message_id"] for row in explain(bench, "ada").rows] == ["i1", "t1"]


def test_calls_that_no_run_judged_are_found_with_the_reason(bench: Bench) -> None:
    bench.fill([], [track("old", "ada", "Visited", ago(days=9)), track("seen", "ada", "Visited", ago(hours=1))])
    bench.missed = {"old"}
    bench.run(accounting.NOW - timedelta(days=6))
    late = [track("late", "ada", "Visited", ago(days=5)), track("soon", "ada", "Visited", ago(hours=2))]
    ahead = [track("new", "ada", "Visited", ago(minutes=5)), track("never", "ada", "Visited", ago(days=-2))]
    add_rows(bench.warehouse_url, "tracks", [*late, *ahead])
    found = explain(bench, "ada")
    assert [row["message_id"] for row in found.rows] == ["seen"]
    assert {each.row.message_id: each.absence for each in found.unjudged} == {
        "old": Absence.BEFORE_START,
        "late": Absence.TOO_LATE,
        "soon": Absence.LATE,
        "new": Absence.NEXT_RUN,
        "never": Absence.FUTURE,
    }
    assert all(each.row.fields == {} for each in found.unjudged), "traits and properties stay where they are"
    assert [each.row.message_id for each in explain(bench, "late").unjudged] == ["late"]
    assert explain(bench, "ada", warehouse=False).looked is False
    assert {each.absence for each in found.unjudged if each.row.stream == Stream.TRACKS} == set(Absence) - {Absence.NO_RUN}


def test_call_before_any_run_waits_for_the_first(bench: Bench) -> None:
    bench.fill([identify("i1", "ada", ago(hours=3))], [])
    (found,) = explain(bench, "i1").unjudged
    assert (found.absence, found.began_at) == (Absence.NO_RUN, None)


def test_only_the_very_id_is_looked_for(bench: Bench) -> None:
    bench.fill([identify("i1", "ada", ago(hours=3))], [track("t1", "ada", "Visited", ago(hours=2))])
    for key in ("' OR '1'='1", "%", "ad_", 'ada"', ""):
        assert explain(bench, key).unjudged == []


def test_warehouse_that_is_gone_takes_nothing_from_what_the_state_says(bench: Bench) -> None:
    bench.fill([identify("i1", "ada", ago(hours=3))], [])
    bench.run(ALL)
    run_sql(bench.warehouse_url, "ALTER TABLE tracks RENAME TO gone")
    found = explain(bench, "ada")
    assert [row["message_id"] for row in found.rows] == ["i1"]
    assert len(found.notes) == 1
    assert "the warehouse was not looked at" in found.notes[0]
    assert found.looked is False
