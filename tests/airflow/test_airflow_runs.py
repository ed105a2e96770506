"""Whole runs of the DAG, in this process: what Airflow shows is what became of the rows."""

import html
import json
from datetime import UTC, datetime
from typing import Any

import airflow_home
import pytest
from accounting import read_rows
from airflow_home import HOME, AirflowShop, asset_events, run_again, run_dag

from rehook_sync.demo.shop import add_second_batch
from rehook_sync.jobs.results import RunOptions
from rehook_sync.models import Selection, Status
from rehook_sync.rules.watermark import Beginning
from rehook_sync.runtime import Interrupt
from rehook_sync.settings import load_settings
from rehook_sync.sync import Sync

airflow_database, airflow_shop = airflow_home.airflow_database, airflow_home.airflow_shop


def test_new_rows_go_out_in_shards_and_none_the_second_time(airflow_shop: AirflowShop) -> None:
    first = airflow_shop.run(shards=3)
    books = airflow_shop.check()
    assert first.state == "success"
    assert first.states("deliver") == {"success": 3}
    report = first.xcom["finish"]
    assert report["run_id"] == books.runs[-1]["run_id"]
    assert books.runs[-1]["trigger"] == "airflow"
    assert report["rows_read"] == sum(airflow_shop.facts.distinct.values())
    sent = {stream: sum(row["status"] == "sent" for (own, _), row in books.state.items() if own == stream) for stream in books.calls}
    marks = {row["stream"]: datetime.fromisoformat(str(row["high_at"])).isoformat() for row in books.watermarks}
    assert asset_events(first.run_id) == {
        "rehook://customers": {"run_id": report["run_id"], "sent": sent["identifies"], "watermark": marks["identifies"]},
        "rehook://events": {"run_id": report["run_id"], "sent": sent["tracks"], "watermark": marks["tracks"]},
    }
    requests = count_posts(airflow_shop)

    second = airflow_shop.run(shards=3)
    airflow_shop.check()
    assert second.state == "success"
    assert second.states("deliver").total() == 1, "calls without an id are looked at each time; all others are known to be done"
    assert count_posts(airflow_shop) == requests, "nothing was due, and something was sent"
    assert asset_events(second.run_id) == {}
    assert second.xcom["finish"]["rows_read"] == 0


def test_a_finish_task_that_is_cleared_gives_the_same_report_again(airflow_shop: AirflowShop) -> None:
    first = airflow_shop.run(shards=2)
    again = run_again("rehook_sync", first.run_id, "finish")
    assert (again.tasks["finish", -1], again.tries["finish", -1]) == ("success", 2)
    assert {**again.xcom["finish"], "audit": None} == {**first.xcom["finish"], "audit": None}, "which is of its moment"
    assert airflow_shop.run(shards=2).xcom["finish"]["rows_read"] == 0
    airflow_shop.check(ordered=False)


def count_posts(shop: AirflowShop) -> int:
    return sum(each.method == "POST" for each in shop.sandbox.store.log)


def test_lineage_names_tables_and_rows_but_no_secret(airflow_shop: AirflowShop) -> None:
    pytest.importorskip("airflow.providers.openlineage")
    (HOME / "lineage.json").unlink(missing_ok=True)
    airflow_shop.run(shards=1)
    text = (HOME / "lineage.json").read_text(encoding="utf-8")
    told = [json.loads(line) for line in text.splitlines()]
    (finished,) = [each for each in told if each["job"]["name"] == "rehook_sync.finish" and each["eventType"] == "COMPLETE"]
    assert {each["name"].rpartition(".")[2] for each in finished["inputs"]} == {"identifies", "tracks"}
    rows = {each["name"]: each["outputFacets"]["outputStatistics"]["rowCount"] for each in finished["outputs"]}
    assert rows == {name: sum(row["n"] for row in sent_rows(airflow_shop) if row["stream"] == stream) for stream, name in NAMES.items()}
    assert airflow_shop.sandbox.credentials.secret not in text


NAMES = {"identifies": "customers", "tracks": "events"}


def sent_rows(shop: AirflowShop) -> list[dict[str, Any]]:
    return read_rows(shop.url, "SELECT stream, count(*) AS n FROM sync_state WHERE status = 'sent' GROUP BY stream")


def test_refused_credentials_fail_once_and_touch_no_row(airflow_shop: AirflowShop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_REHOOK_DEFAULT", json.dumps({**connection(airflow_shop), "password": "wrong"}))
    ended = airflow_shop.run(retries=3, shards=2)
    assert ended.state == "failed"
    assert ended.tasks["check", -1] == "failed"
    assert ended.tries["check", -1] == 1, "another attempt was made although it would meet the same"
    assert ended.states("plan") == {"upstream_failed": 1}
    assert ended.tasks["finish", -1] == "failed", "the leaf decides whether the run is red"
    assert read_rows(airflow_shop.url, "SELECT * FROM sync_state") == []
    assert read_rows(airflow_shop.url, "SELECT * FROM sync_runs") == []


def connection(shop: AirflowShop) -> dict[str, object]:
    return {
        "conn_type": "rehook",
        "host": shop.sandbox.url,
        "login": shop.sandbox.credentials.key,
        "password": shop.sandbox.credentials.secret,
    }


def test_a_shard_waits_as_long_as_rehook_asks_and_goes_on(airflow_shop: AirflowShop) -> None:
    airflow_shop.sandbox.faults.add("rate_limited", retry_after_s=2.0, path="/events/invoke", times=1)
    ended = airflow_shop.run({"patience": "1s"}, retries=2, shards=2)
    assert ended.state == "success"
    assert sorted(ended.tries["deliver", shard] for shard in (0, 1)) == [1, 2]
    airflow_shop.check(ordered=False)


def test_one_bad_shard_leaves_the_others_done_and_can_be_repeated_alone(airflow_shop: AirflowShop) -> None:
    airflow_shop.sandbox.faults.add("status", status=401, path="/events/invoke", times=1)
    ended = airflow_shop.run(retries=2, shards=3)
    assert ended.state == "failed"
    assert ended.states("deliver") == {"failed": 1, "success": 2}
    (bad,) = [number for (name, number), state in ended.tasks.items() if (name, state) == ("deliver", "failed")]
    assert ended.tries["deliver", bad] == 1
    (run,) = read_rows(airflow_shop.url, "SELECT * FROM sync_runs")
    assert run["status"] == "stopped"
    requests = len(airflow_shop.sandbox.store.log)

    with Sync(load_settings(None, {}, **direct_settings(airflow_shop))) as sync:
        done = sync.deliver_shard(run["run_id"], bad, Interrupt())
        again = sync.deliver_shard(run["run_id"], (bad + 1) % 3, Interrupt())
        result = sync.finish(run["run_id"])
    assert (done.status, again.status, result.error) == ("done", "done", None)
    assert len(airflow_shop.sandbox.store.log) > requests
    books = airflow_shop.check(ordered=False)
    assert books.runs[-1]["status"] == "succeeded"
    assert all(watermark["high_at"] is not None for watermark in books.watermarks)


def direct_settings(shop: AirflowShop, **more: object) -> dict[str, object]:
    key, secret = shop.sandbox.credentials
    told = {"warehouse_url": shop.url, "api_url": shop.sandbox.url, "api_key": key, "api_secret": secret}
    return {**told, "conversion_events": ["signup"], **more}


def test_rows_in_doubt_end_red_and_wait_for_a_human(airflow_shop: AirflowShop) -> None:
    airflow_shop.sandbox.faults.add("commit_then_drop", path="/events/invoke", times=2)
    ended = airflow_shop.run(shards=1)
    assert ended.state == "failed"
    assert ended.states("deliver") == {"success": 1}
    books = airflow_shop.check()
    assert books.runs[-1]["status"] == "attention"
    assert [row["high_at"] for row in books.watermarks if row["high_at"] is None] == []
    assert asset_events(ended.run_id) == {}


def test_a_run_of_the_command_line_keeps_the_dag_out(airflow_shop: AirflowShop) -> None:
    with Sync(load_settings(None, {}, **direct_settings(airflow_shop))) as sync:
        sync.init()
        sync.start(RunOptions(since=Beginning.BEGINNING), 1)
        ended = airflow_shop.run(shards=2)
    assert ended.state == "failed"
    assert ended.tasks["plan", -1] == "failed"
    assert ended.tasks["finish", -1] == "failed"
    assert airflow_shop.sandbox.store.events == []


@pytest.mark.parametrize(
    "conf",
    [{"sinse": "7d"}, {"since": "2026-13-45"}, {"dry_run": True, "until": "2026-02-30"}],
    ids=["unknown name", "no such day", "no such day in a dry run"],
)
def test_bad_parameters_are_refused_before_anything_is_touched(airflow_shop: AirflowShop, conf: dict[str, Any]) -> None:
    ended = airflow_shop.run(retries=2, **conf)
    assert ended.state == "failed"
    assert (ended.tasks["plan", -1], ended.tries["plan", -1]) == ("failed", 1)
    assert read_rows(airflow_shop.url, "SELECT * FROM sync_runs") == []


def test_a_dry_run_is_green_and_sends_nothing(airflow_shop: AirflowShop) -> None:
    ended = airflow_shop.run(dry_run=True, shards=2)
    assert ended.state == "success"
    assert read_rows(airflow_shop.url, "SELECT * FROM sync_runs") == []
    assert airflow_shop.sandbox.store.customers == {}


@pytest.mark.parametrize(("choice", "status"), [("Resend", "sent"), ("Accept", "sent"), ("Leave", "in_doubt")])
def test_a_humans_choice_is_carried_out(airflow_shop: AirflowShop, choice: str, status: str) -> None:
    airflow_shop.sandbox.faults.add("drop_before", path="/events/invoke", times=2)
    airflow_shop.run(shards=1)
    (before, *_) = doubtful = read_rows(airflow_shop.url, "SELECT * FROM sync_state WHERE status = 'in_doubt'")
    requests = len(airflow_shop.sandbox.store.log)

    ended = decide(choice, direct_settings(airflow_shop))
    assert ended["choice"] == choice
    after = {row["message_id"]: row["status"] for row in read_rows(airflow_shop.url, "SELECT * FROM sync_state")}
    assert {after[row["message_id"]] for row in doubtful} == {status}
    assert (len(airflow_shop.sandbox.store.log) > requests) == (choice == "Resend")
    assert before["reason"] == "connection_lost"


def decide(choice: str, settings: dict[str, object]) -> Any:
    """Do what the tasks around the decision do; the decision itself needs Airflow's web server, and has its test where that runs."""
    from rehook_sync.airflow.attention import RehookListAttentionOperator, RehookResolveOperator

    names: dict[str, Any] = {"settings": {"conversion_events": settings["conversion_events"]}}
    listed = RehookListAttentionOperator(task_id="list", **names).execute({})
    shown = html.unescape(listed["text"])
    assert all(row["message_id"] in shown for row in listed["rows"])
    return RehookResolveOperator(task_id="resolve", choice=choice, listed=listed, **names).execute({})


def test_nothing_to_decide_is_green(airflow_shop: AirflowShop) -> None:
    airflow_shop.run(shards=1)
    add_second_batch(airflow_shop.url, datetime.now(UTC))
    ended = run_dag("rehook_sync_attention", {}, {"retries": 0})
    assert ended.state == "success"
    assert set(ended.tasks.values()) == {"skipped"}
    with Sync(load_settings(None, {}, **direct_settings(airflow_shop))) as sync:
        assert sync.plan(RunOptions(only=Selection(Status.FAILED))).rows == 0
