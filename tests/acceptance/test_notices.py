"""People are told of runs: by real requests to a receiver on loopback, one for each state and one when it is over."""

import json
import re
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from warehouse import run_sql

from rehook_sync.demo.shop import add_second_batch
from rehook_sync.sandbox.server import Sandbox

from .conftest import SECRET, Done, Shop, make_shop, stop, wait_until


@dataclass
class Receiver:
    """A server that takes messages. Shape:  taken: method, path and JSON body of each.  status: its answer."""

    port: int = 0
    taken: list[tuple[str, str, dict[str, Any]]] = field(default_factory=list)
    status: int = 200

    @property
    def notify(self) -> str:
        """A URL of the library that leads here, with a secret in it."""
        return f"json://user:{SECRET}@127.0.0.1:{self.port}/told"

    @property
    def heartbeat(self) -> str:
        return f"http://127.0.0.1:{self.port}/beat-{SECRET}"

    @property
    def titles(self) -> list[str]:
        """The titles of the messages since the last look."""
        taken, self.taken = self.taken, []
        return [body["title"] for method, _, body in taken if method == "POST"]

    @property
    def beats(self) -> int:
        return sum(method == "GET" and path == f"/beat-{SECRET}" for method, path, _ in self.taken)


@contextmanager
def receiving() -> Iterator[Receiver]:
    found = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"] or 0))
            found.taken.append((self.command, self.path, json.loads(body) if body else {}))
            self.send_response(found.status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def do_GET(self) -> None:
            found.taken.append((self.command, self.path, {}))
            self.send_response(found.status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        found.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield found
        server.shutdown()
        thread.join()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as found:
        yield found


@pytest.fixture
def told(request: pytest.FixtureRequest, tmp_path: Path, sandbox: Sandbox, receiver: Receiver) -> Iterator[Shop]:
    """A shop whose runs are told of, on SQLite unless a test asks for PostgreSQL."""
    url = (
        f"sqlite:///{tmp_path / 'shop.db'}" if getattr(request, "param", "sqlite") == "sqlite" else request.getfixturevalue("postgres_url")
    )
    made = make_shop(tmp_path, url, sandbox, start_at="beginning", notify=[receiver.notify])
    assert made("init").code == 0
    yield made
    made.program.end_all()


on_both = pytest.mark.parametrize("told", ["sqlite", "postgresql"], indirect=True)


def silent(done: Done) -> Done:
    """A command's answer, which holds no secret of a notifier."""
    assert SECRET not in done.out + done.err
    return done


@on_both
def test_one_message_when_rows_need_attention_and_one_when_that_is_over(told: Shop, receiver: Receiver) -> None:
    told.sandbox.faults.add("commit_then_drop", path="/events/invoke", times=2)
    assert silent(told("run")).code == 3
    ((_, path, body),) = receiver.taken
    assert (path, body["type"]) == ("/told", "warning")
    assert body["message"].startswith("Rows of all runs: 2 in doubt. Those in doubt wait for `resolve`.\nRun 20")
    assert "user_" not in body["message"]
    assert receiver.titles == ["rehook-sync: rows need attention"]
    for _ in range(2):
        assert told("run").code == 3
    assert receiver.titles == []
    assert told("resolve", "--all", "--accept").code == 0
    assert silent(told("run")).code == 0
    ((_, _, body),) = receiver.taken
    assert (body["title"], body["type"]) == ("rehook-sync: over: rows need attention", "success")
    assert "It was so since 20" in body["message"]
    receiver.taken.clear()
    assert told("run").code == 0
    assert receiver.titles == []


def test_a_stopped_job_is_told_once_and_attention_stays_as_it_was(told: Shop, receiver: Receiver) -> None:
    told.sandbox.faults.add("commit_then_drop", path="/events/invoke", times=1)
    assert told("run").code == 3
    assert receiver.titles == ["rehook-sync: rows need attention"]
    for _ in range(2):
        assert silent(told("run", REHOOK_SYNC_API_KEY="another-key")).code == 2
    ((_, _, body),) = receiver.taken
    assert body["type"] == "failure"
    assert "Settings must change first (exit code 2)" in body["message"]
    assert "another-key" not in json.dumps(body)
    assert receiver.titles == ["rehook-sync: runs are stopped"]
    assert told("run").code == 3
    assert receiver.titles == ["rehook-sync: over: runs are stopped"]


def test_an_api_that_is_down_is_a_stop(told: Shop, receiver: Receiver) -> None:
    told.sandbox.faults.add("status", status=503)
    done = told("run", REHOOK_SYNC_MAX_ATTEMPTS="1", REHOOK_SYNC_API_DOWN_AFTER="2", REHOOK_SYNC_CONCURRENCY="1")
    assert done.code == 4
    ((_, _, body),) = receiver.taken
    assert "The Rehook API does not work (exit code 4)" in body["message"]
    told.sandbox.faults.clear()
    assert told("run").code == 0
    assert receiver.titles == ["rehook-sync: runs are stopped", "rehook-sync: over: runs are stopped"]


def test_who_gave_options_is_not_told_that_they_were_wrong(told: Shop, receiver: Receiver) -> None:
    assert told("run", "--since", "2099-01-01").code == 2
    assert told("run", "--stream", "tracks", "--source", "nowhere").code == 2
    assert receiver.taken == []


def test_a_run_that_died_is_told_by_the_next_one(told: Shop, receiver: Receiver) -> None:
    on = {"REHOOK_SYNC_NOTIFY_ON": "crashed"}
    told.sandbox.faults.add("delay", delay_s=0.2)
    process = told.program.start("run", **on)
    wait_until(lambda: len(told.sandbox.store.log) > 20)
    stop(process, signal.SIGKILL)
    told.sandbox.faults.clear()
    told.execute("UPDATE sync_lease SET expires_at = '2026-01-01T00:00:00.000000Z'")
    assert receiver.taken == []
    assert told("run", **on).code in {0, 3}
    ((_, _, body),) = receiver.taken
    assert "did not end by itself" in body["message"]
    assert told("run", **on).code in {0, 3}
    assert receiver.titles == ["rehook-sync: a run died", "rehook-sync: over: a run died"]


def test_an_interrupted_run_and_one_beside_another_tell_nothing(told: Shop, receiver: Receiver) -> None:
    told.sandbox.faults.add("delay", delay_s=0.3)
    process = told.program.start("run", REHOOK_SYNC_NOTIFY_ON="attention,stopped,crashed")
    wait_until(lambda: len(told.sandbox.store.log) > 5)
    assert told("run", REHOOK_SYNC_NOTIFY_ON="attention,stopped,crashed").code == 5
    assert stop(process, signal.SIGTERM).code == 143
    assert receiver.taken == []


@on_both
def test_states_of_the_warehouse_are_told_when_they_are_wanted(told: Shop, receiver: Receiver) -> None:
    environ = {"REHOOK_SYNC_NOTIFY_ON": "waiting,rejected_share>0.05,lag>10m"}
    for statement in (
        "CREATE TABLE zz_kept AS SELECT * FROM signup ORDER BY id LIMIT 2",
        "DELETE FROM signup WHERE id IN (SELECT id FROM zz_kept)",
    ):
        run_sql(told.url, statement)
    assert told("run", **environ).code == 0
    said = {body["title"]: body["message"] for _, _, body in receiver.taken}
    assert re.match(r"\d+\.\d% of the rows of the last day: \d+ of \d+\.\n", said.pop("rehook-sync: many rows are rejected"))
    assert re.match(r"The newest row of a source is \d+h(\d+m)? old; the bound is 10m", said.pop("rehook-sync: no new rows"))
    assert re.match(r"2 calls wait", said.pop("rehook-sync: events wait for their properties"))
    assert said == {}
    receiver.taken.clear()
    assert told("run", **environ).code == 0
    assert receiver.titles == []
    run_sql(told.url, "INSERT INTO signup SELECT * FROM zz_kept")
    add_second_batch(told.url, datetime.now(UTC))
    assert told("run", **environ).code == 0
    assert sorted(receiver.titles) == ["rehook-sync: over: events wait for their properties", "rehook-sync: over: no new rows"]


def test_a_notifier_that_fails_fails_no_run_and_is_tried_again(told: Shop, receiver: Receiver) -> None:
    told.sandbox.faults.add("commit_then_drop", path="/events/invoke", times=1)
    receiver.status = 500
    done = silent(told("run"))
    assert done.code == 3
    assert "note: no message on 'attention' went to json: the next run tries again" in done.out
    receiver.taken.clear()
    receiver.status = 200
    assert told("run").code == 3
    assert receiver.titles == ["rehook-sync: rows need attention"]


def test_one_notifier_that_takes_a_message_is_enough(told: Shop, receiver: Receiver) -> None:
    told.sandbox.faults.add("commit_then_drop", path="/events/invoke", times=1)
    nobody = f"json://user:{SECRET}@127.0.0.1:1"
    done = silent(told("run", "--json", REHOOK_SYNC_NOTIFY=f"{nobody},{receiver.notify}"))
    assert "no message on 'attention' went to json" in done.json["notes"]
    assert receiver.titles == ["rehook-sync: rows need attention"]
    assert told("run").code == 3
    assert receiver.titles == []


def test_a_url_is_called_after_each_good_run_and_after_no_other(told: Shop, receiver: Receiver) -> None:
    environ = {"REHOOK_SYNC_HEARTBEAT_URL": receiver.heartbeat}
    assert silent(told("run", **environ)).code == 0
    assert told("run", **environ).code == 0
    assert receiver.beats == 2
    assert told("plan", **environ).code == told("retry", **environ).code == 0
    assert told("run", REHOOK_SYNC_API_KEY="another-key", **environ).code == 2
    assert receiver.beats == 2
    receiver.status = 404
    done = silent(told("run", **environ))
    assert done.code == 0
    assert "note: REHOOK_SYNC_HEARTBEAT_URL could not be called: HTTP 404" in done.out
    done = silent(told("run", REHOOK_SYNC_HEARTBEAT_URL=f"http://127.0.0.1:1/{SECRET}"))
    assert (done.code, "could not be called: ConnectionRefusedError" in done.out) == (0, True)


def test_check_says_who_would_be_told_and_tells_nobody(told: Shop, receiver: Receiver) -> None:
    done = silent(told("check", REHOOK_SYNC_HEARTBEAT_URL=receiver.heartbeat))
    assert done.code == 0
    assert "json on attention, stopped" in done.out
    assert "heartbeat to http://127.0.0.1/***" in done.out
    assert receiver.taken == []
    assert told("check", "--json").json["notify"] == {"ok": True, "told": ["json"], "error": None}
    wrong = silent(told("check", REHOOK_SYNC_NOTIFY=f"nonsense://{SECRET}"))
    assert wrong.code == 2
    assert "REHOOK_SYNC_NOTIFY: the apprise library cannot use nonsense" in wrong.out
    assert "nobody is told of runs" in told("check", REHOOK_SYNC_NOTIFY="[]").out


def test_without_the_library_runs_go_on_and_say_so(told: Shop) -> None:
    folder = told.program.folder / "without"
    folder.mkdir()
    (folder / "apprise.py").write_text("raise ImportError('not here')\n", encoding="utf-8")
    told.sandbox.faults.add("commit_then_drop", path="/events/invoke", times=1)
    environ = {"PYTHONPATH": f"{folder}:{told.program.clean_environ({})['PYTHONPATH']}"}
    done = silent(told.program.run_from_nothing("run", **environ))
    assert done.code == 3
    assert "nobody could be told how this run ended: REHOOK_SYNC_NOTIFY needs the apprise library: pip install" in done.out
    checked = told.program.run_from_nothing("check", **environ)
    assert (checked.code, "needs the apprise library" in checked.out) == (2, True)


def test_a_run_with_nothing_to_say_does_not_load_the_library(told: Shop) -> None:
    assert told("run").code == 0
    process = told.program.start_python("-X", "importtime", "-m", "rehook_sync", "run")
    _, loaded = process.communicate(timeout=60)
    assert process.returncode == 0
    assert "rehook_sync.notify.telling" in loaded
    assert "apprise" not in loaded


@pytest.mark.parametrize("told", ["postgresql"], indirect=True)
def test_a_run_in_processes_tells_how_it_ended(told: Shop, receiver: Receiver) -> None:
    told.sandbox.faults.add("commit_then_drop", path="/events/invoke", times=1)
    assert told("run", "--workers", "2").code == 3
    assert receiver.titles == ["rehook-sync: rows need attention"]


def test_a_state_that_nobody_wants_to_hear_of_any_more_is_forgotten(told: Shop, receiver: Receiver) -> None:
    told.sandbox.faults.add("commit_then_drop", path="/events/invoke", times=1)
    assert told("run").code == 3
    assert told("run", REHOOK_SYNC_NOTIFY_ON="crashed").code == 3
    assert told("run").code == 3
    assert receiver.titles == ["rehook-sync: rows need attention"] * 2
