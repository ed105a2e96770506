"""The sandbox on a real socket: what clients see, when it is well and when it is told not to be."""

import os
import shlex
import signal
import socket
import subprocess
import sys
import threading
import time
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import httpx
import orjson
import pytest

from rehook_sync.errors import UsageError
from rehook_sync.sandbox.faults import Fault, FaultKind
from rehook_sync.sandbox.server import Sandbox, loopback_address, serve
from rehook_sync.sandbox.store import Behaviour

MANUAL = Path(__file__).resolve().parents[2] / "docs" / "sandbox.md"
EVENT = {"event_name": "viewed", "source_id": "u1", "metadata": {"n": 1}}


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(behaviour=Behaviour(conversion_events=frozenset({"signup"}))) as running:
        yield running


@pytest.fixture
def client(sandbox: Sandbox) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=sandbox.url, auth=(sandbox.credentials.key, sandbox.credentials.secret), timeout=5) as opened:
        yield opened


def raw_request(sandbox: Sandbox, body: object = EVENT, path: str = "/events/invoke") -> bytes:
    content = orjson.dumps(body)
    basic = b64encode(":".join(sandbox.credentials).encode()).decode()
    head = [f"POST {path} HTTP/1.1", "Host: localhost", f"Authorization: Basic {basic}", "Content-Type: application/json"]
    return "\r\n".join([*head, f"Content-Length: {len(content)}", "", ""]).encode() + content


def exchange(sandbox: Sandbox, *, patience_s: float = 5.0, request: bytes | None = None) -> bytes:
    """Send one request on a raw socket and return all bytes until the server closes."""
    with socket.create_connection((sandbox.host, sandbox.port), timeout=patience_s) as connection:
        connection.sendall(raw_request(sandbox) if request is None else request)
        received = b""
        while piece := connection.recv(65536):
            received += piece
        return received


def test_customers_and_events_arrive(sandbox: Sandbox, client: httpx.Client) -> None:
    assert client.post("/customers", json={"source_id": "ü/1", "metadata": {"plan": "pro"}, "referral_code": "ABC"}).status_code == 201
    assert client.post("/events/invoke", json=EVENT, headers={"Idempotency-Key": "k1"}).status_code == 201
    assert client.get("/customers/%C3%BC%2F1").json()["metadata"] == {"plan": "pro"}
    assert client.get("/customers/validate-code/ABC").json()["source_id"] == "ü/1"
    assert client.get("/events/segment/check-auth").status_code == 200
    assert sandbox.store.events[0].metadata == {"n": 1}
    assert sandbox.store.log[1].body == sandbox.store.events[0].body


def test_refusals_reach_the_client(sandbox: Sandbox, client: httpx.Client) -> None:
    assert client.post("/events/invoke", json={**EVENT, "event_name": "signup"}).status_code == 422
    assert client.post("/events/invoke", content=b"{", headers={"Content-Type": "application/json"}).status_code == 400
    assert client.post("/events/invoke", content=b"x").status_code == 415
    assert httpx.get(f"{sandbox.url}/events/segment/check-auth", auth=("wrong", "pair")).status_code == 401
    assert client.get("/nowhere").status_code == 404
    assert sandbox.store.events == []


def test_a_body_too_large_is_read_and_refused_without_losing_the_connection(sandbox: Sandbox, client: httpx.Client) -> None:
    body = orjson.dumps({**EVENT, "metadata": {"text": "x" * 10_000_000}})
    assert client.post("/events/invoke", content=body, headers={"Content-Type": "application/json"}).status_code == 413
    assert client.post("/events/invoke", json=EVENT).status_code == 201
    assert sandbox.store.log[0].body == b""


def test_requests_in_pieces_are_put_together(sandbox: Sandbox) -> None:
    request = raw_request(sandbox)
    with socket.create_connection((sandbox.host, sandbox.port), timeout=5) as connection:
        for at in range(0, len(request), 40):
            connection.sendall(request[at : at + 40])
            time.sleep(0.002)
        assert connection.recv(65536).startswith(b"HTTP/1.1 201")


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.4", "example.com", ""])
def test_only_loopback_can_be_bound(host: str) -> None:
    with pytest.raises(UsageError, match="loopback only"):
        Sandbox(host=host)
    with pytest.raises(UsageError, match="loopback only"):
        serve(0, host=host)


def test_loopback_has_three_names() -> None:
    assert [loopback_address(each) for each in ("localhost", "127.0.0.1", "::1")] == ["127.0.0.1", "127.0.0.1", "::1"]


def test_a_taken_port_is_said_in_one_line(sandbox: Sandbox) -> None:
    with pytest.raises(UsageError, match=f"port {sandbox.port}") as caught:
        Sandbox(port=sandbox.port).start()
    assert "\n" not in str(caught.value)
    with pytest.raises(UsageError, match="no such port"):
        Sandbox(port=70_000).start()


def test_it_can_go_down_and_come_back_with_its_memory(sandbox: Sandbox, client: httpx.Client) -> None:
    client.post("/events/invoke", json=EVENT)
    sandbox.stop()
    with pytest.raises(httpx.ConnectError):
        httpx.get(sandbox.url)
    sandbox.start()
    client.post("/events/invoke", json=EVENT)
    assert len(sandbox.store.events) == 2


def test_start_and_stop_are_quick() -> None:
    took = []
    for _ in range(3):
        began = time.perf_counter()
        with Sandbox():
            pass
        took.append(time.perf_counter() - began)
    assert min(took) < 0.3


def test_stopping_does_not_wait_for_hanging_requests(sandbox: Sandbox) -> None:
    sandbox.faults.add("hang", times=1)
    sandbox.faults.add("delay", delay_s=60)
    seen: list[bytes] = []
    callers = [threading.Thread(target=lambda: seen.append(exchange(sandbox, patience_s=20))) for _ in range(4)]
    for each in callers:
        each.start()
    while len(sandbox.store.log) < 4:
        time.sleep(0.005)
    began = time.perf_counter()
    sandbox.stop()
    assert time.perf_counter() - began < 1
    for each in callers:
        each.join()
    assert seen == [b""] * 4
    assert sandbox.store.events == []


def test_status_answers_without_carrying_out(sandbox: Sandbox, client: httpx.Client) -> None:
    sandbox.faults.add("status", status=503, times=2, headers={"X-Why": "fault"}, body_bytes=200_000)
    answers = [client.post("/events/invoke", json=EVENT) for _ in range(3)]
    assert [each.status_code for each in answers] == [503, 503, 201]
    assert (len(answers[0].content), answers[0].headers["x-why"]) == (200_000, "fault")
    assert [(each.status, each.fault, each.accepted) for each in sandbox.store.log] == [
        (503, "status", False),
        (503, "status", False),
        (201, None, True),
    ]


def test_rate_limits_carry_retry_after(sandbox: Sandbox, client: httpx.Client) -> None:
    sandbox.faults.add("rate_limited", retry_after_s=7, path="/customers")
    answer = client.post("/customers", json={"source_id": "u1"})
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "7")
    assert client.post("/events/invoke", json=EVENT).status_code == 201
    assert sandbox.store.customers == {}


def test_delay_answers_late(sandbox: Sandbox, client: httpx.Client) -> None:
    sandbox.faults.add("delay", delay_s=0.15)
    began = time.perf_counter()
    assert client.post("/events/invoke", json=EVENT).status_code == 201
    assert time.perf_counter() - began >= 0.15


def test_commit_then_drop_closes_the_connection_without_a_byte(sandbox: Sandbox) -> None:
    sandbox.faults.add("commit_then_drop")
    assert exchange(sandbox) == b""
    assert len(sandbox.store.events) == 1
    line = sandbox.store.log[0]
    assert (line.status, line.fault, line.accepted) == (None, "commit_then_drop", True)


def test_drop_before_closes_without_carrying_out(sandbox: Sandbox) -> None:
    sandbox.faults.add("drop_before")
    assert exchange(sandbox) == b""
    assert sandbox.store.events == []
    assert len(sandbox.store.log) == 1


@pytest.mark.parametrize("kind", ["commit_then_drop", "drop_before"])
def test_a_drop_can_be_a_reset(sandbox: Sandbox, kind: FaultKind) -> None:
    sandbox.faults.add(kind, reset=True)
    with pytest.raises(ConnectionResetError):
        exchange(sandbox)


def test_commit_then_status_carries_out_and_answers_an_error(sandbox: Sandbox, client: httpx.Client) -> None:
    sandbox.faults.add("commit_then_status", times=1)
    assert client.post("/events/invoke", json=EVENT).status_code == 500
    assert client.post("/events/invoke", json=EVENT).status_code == 201
    assert len(sandbox.store.events) == 2


@pytest.mark.parametrize("commit", [False, True])
def test_hang_never_answers(sandbox: Sandbox, client: httpx.Client, commit: bool) -> None:
    sandbox.faults.add("hang", commit=commit, times=1)
    with pytest.raises(httpx.ReadTimeout):
        client.post("/events/invoke", json=EVENT, timeout=0.15)
    assert len(sandbox.store.events) == commit
    assert client.post("/events/invoke", json=EVENT).status_code == 201


def test_half_answer_ends_in_the_middle_of_the_body(sandbox: Sandbox) -> None:
    sandbox.faults.add("half_answer")
    received = exchange(sandbox)
    head, _, body = received.partition(b"\r\n\r\n")
    promised = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
    assert 0 < len(body) < promised
    assert len(sandbox.store.events) == 1


def test_garbage_is_no_http(sandbox: Sandbox, client: httpx.Client) -> None:
    sandbox.faults.add("garbage", times=2)
    assert not exchange(sandbox).startswith(b"HTTP")
    with pytest.raises(httpx.RemoteProtocolError):
        client.post("/events/invoke", json=EVENT)
    assert len(sandbox.store.events) == 2


def test_a_drip_comes_slowly_and_whole(sandbox: Sandbox, client: httpx.Client) -> None:
    sandbox.faults.add("drip", interval_s=0.002)
    began = time.perf_counter()
    answer = client.post("/events/invoke", json=EVENT)
    assert answer.json()["event_name"] == "viewed"
    assert time.perf_counter() - began >= 0.002 * len(answer.content)


def test_a_drip_stops_when_the_client_leaves(sandbox: Sandbox) -> None:
    sandbox.faults.add("drip", interval_s=0.01, body_bytes=100_000)
    with socket.create_connection((sandbox.host, sandbox.port), timeout=5) as connection:
        connection.sendall(raw_request(sandbox))
        connection.recv(1000)
    deadline = time.monotonic() + 5
    while client_is_served(sandbox) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not client_is_served(sandbox)


def client_is_served(sandbox: Sandbox) -> bool:
    with httpx.Client(base_url=sandbox.url, timeout=5) as admin:
        return bool(admin.get("/_sandbox/counts").json()["in_flight"])


def test_faults_are_set_by_hand(sandbox: Sandbox, client: httpx.Client) -> None:
    added = client.post("/_sandbox/faults", json={"kind": "status", "status": 418, "times": 1})
    assert (added.status_code, added.json()["kind"]) == (201, "status")
    assert client.post("/events/invoke", json=EVENT).status_code == 418
    assert client.get("/_sandbox/faults").json()[0]["met"] == 1
    assert [each["kind"] for each in client.put("/_sandbox/faults", json=[{"kind": "hang"}, {"kind": "drip"}]).json()] == ["hang", "drip"]
    assert client.delete(f"/_sandbox/faults/{sandbox.faults.armed[0].id}").status_code == 200
    assert client.delete("/_sandbox/faults/999").status_code == 404
    assert client.delete("/_sandbox/faults").json() == []
    wrong = client.post("/_sandbox/faults", json={"kind": "explode"})
    assert (wrong.status_code, "kind" in wrong.json()["error"][0]) == (400, True)
    assert client.put("/_sandbox/faults", content=b"{").status_code == 400


def test_the_state_can_be_read_and_reset(sandbox: Sandbox, client: httpx.Client) -> None:
    client.post("/customers", json={"source_id": "u1", "metadata": {"a": 1}})
    for _ in range(2):
        client.post("/events/invoke", json=EVENT, headers={"Idempotency-Key": "same"})
    client.post("/events/invoke", json={})
    state = client.get("/_sandbox/state").json()
    assert state["customers"]["u1"]["metadata"] == {"a": 1}
    assert [each["event_name"] for each in state["events"]] == ["viewed", "viewed"]
    assert [each["seq"] for each in state["order"]["u1"]] == [1, 2, 3]
    assert state["idempotency_keys"] == {"same": 2}
    counts = client.get("/_sandbox/counts").json()
    assert counts["by_path"] == {"POST /customers": {"201": 1}, "POST /events/invoke": {"201": 2, "422": 1}}
    assert (counts["requests"], counts["events"], counts["idempotency_keys_repeated"]) == (4, 2, 1)
    assert [each["seq"] for each in client.get("/_sandbox/requests?after=1&limit=2").json()] == [2, 3]
    assert client.get("/_sandbox/requests?after=x").status_code == 400
    sandbox.faults.add("hang")
    client.post("/_sandbox/reset")
    assert (sandbox.store.log, sandbox.faults.armed) == ([], ())
    assert client.get("/_sandbox/nothing").status_code == 404


def test_the_behaviour_can_be_switched(sandbox: Sandbox, client: httpx.Client) -> None:
    assert client.get("/_sandbox/behaviour").json()["conversion_events"] == ["signup"]
    switched = client.put("/_sandbox/behaviour", json={"unknown_customers": "refuse", "code_taken_status": 422})
    assert switched.json()["conversion_events"] == []
    assert client.post("/events/invoke", json=EVENT).status_code == 404
    assert client.put("/_sandbox/behaviour", json={"unknown_customers": "maybe"}).status_code == 400


def test_every_command_of_the_manual_works(sandbox: Sandbox) -> None:
    commands = [shlex.split(line) for line in MANUAL.read_text(encoding="utf-8").splitlines() if line.startswith("curl ")]
    for command in commands:
        url = next(each for each in command if each.startswith("http"))
        data = command[command.index("-d") + 1] if "-d" in command else None
        method = command[command.index("-X") + 1] if "-X" in command else "GET" if data is None else "POST"
        answer = httpx.request(method, url.replace("http://127.0.0.1:8765", sandbox.url), content=data)
        assert answer.is_success, (command, answer.text)
    assert len(commands) > 5


def test_the_manual_names_every_kind_and_option() -> None:
    manual = MANUAL.read_text(encoding="utf-8")
    names = {*get_args(FaultKind), *Fault.model_fields, *Behaviour.model_fields} - {"kind"}
    assert [name for name in names if f"`{name}" not in manual and f'"{name}"' not in manual] == []


def test_answers_do_not_wait_for_acknowledgements(sandbox: Sandbox) -> None:
    with socket.create_connection((sandbox.host, sandbox.port), timeout=5) as connection:
        began = time.perf_counter()
        for _ in range(60):
            connection.sendall(raw_request(sandbox))
            received = b""
            while not received.endswith(b"}"):
                received += connection.recv(65536)
        assert time.perf_counter() - began < 1


def test_overlaps_of_one_customer_are_seen(sandbox: Sandbox) -> None:
    sandbox.faults.add("delay", delay_s=0.2)
    request = raw_request(sandbox).replace(b"Host: localhost", b"Host: localhost\r\nConnection: close")
    callers = [threading.Thread(target=exchange, args=(sandbox,), kwargs={"request": request}) for _ in range(3)]
    for each in callers:
        each.start()
    for each in callers:
        each.join()
    assert (sandbox.store.overlaps, sandbox.store.max_in_flight) == (2, 3)


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
def test_serving_in_the_foreground_ends_cleanly_on_a_signal(stop: signal.Signals) -> None:
    script = (
        "import sys; from rehook_sync.sandbox.server import serve; "
        "serve(0, on_start=lambda url: (sys.stdout.write(url + '\\n'), sys.stdout.flush())); sys.stdout.write('ended\\n')"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    with subprocess.Popen(
        [sys.executable, "-W", "error", "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    ) as process:
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        httpx.post(f"{url}/_sandbox/faults", json={"kind": "hang"})
        with pytest.raises(httpx.ReadTimeout):
            httpx.get(f"{url}/events/segment/check-auth", timeout=0.1)
        process.send_signal(stop)
        output, errors = process.communicate(timeout=10)
    assert (process.returncode, output, errors) == (0, "ended\n", "")
