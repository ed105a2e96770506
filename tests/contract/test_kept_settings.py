"""The settings that shape what is sent are kept with each run, and a change is said once."""

from typing import Any

import accounting
import orjson
from accounting import ALL, Bench, ago
from warehouse import identify, track

from rehook_sync.jobs.results import RunOptions
from rehook_sync.runtime import Interrupt

bench = accounting.bench


def said(notes: object) -> list[str]:
    assert isinstance(notes, list)
    return [each.split(" has changed")[0].removeprefix("REHOOK_SYNC_") for each in notes if "has changed since the last run" in each]


def test_a_change_is_said_once_with_the_command_for_the_past(bench: Bench) -> None:
    bench.fill([identify("i1", "ada", ago(hours=5), plan="a")], [track("t1", "ada", "Visited", ago(hours=4))])
    assert said(bench.run(ALL).notes) == []
    changes: dict[str, Any] = {"exclude": ["email"], "lookback": "5d"}
    assert said(bench.plan(**changes).notes) == ["LOOKBACK", "EXCLUDE"]
    result = bench.run(**changes)
    assert said(result.notes) == ["LOOKBACK", "EXCLUDE"]
    assert any("from (none) to email: `refresh` sends" in note for note in result.notes)
    assert said(bench.run(**changes).notes) == []
    assert said(bench.run().notes) == ["LOOKBACK", "EXCLUDE"]


def test_a_run_in_parts_says_it_too(bench: Bench) -> None:
    bench.fill([identify("i1", "ada", ago(hours=5), plan="a")], [track("t1", "ada", "Visited", ago(hours=4))])
    bench.run(ALL)
    with bench.sync(anonymous_calls="allow_with_user_id") as sync:
        started = sync.start(RunOptions(), 2)
        for number in started.shards:
            sync.deliver_shard(started.run_id, number, Interrupt())
        sync.finish(started.run_id)
    assert said(started.notes) == ["ANONYMOUS_CALLS"]


def test_what_is_kept_holds_no_secret_and_no_url(bench: Bench) -> None:
    bench.fill([identify("i1", "ada", ago(hours=5), plan="a")])
    bench.run(ALL)
    (row,) = bench.read_state("sync_runs")
    kept = orjson.loads(row["settings"])
    assert {"cursor_column", "exclude", "trait_names", "start_at"} < kept.keys()
    assert not any(secret in row["settings"] for secret in (*bench.sandbox.credentials, bench.sandbox.url, "sqlite", "postgresql"))
