"""Which requests meet a fault."""

from email.utils import parsedate_to_datetime

import pytest
from pydantic import ValidationError

from rehook_sync.sandbox.app import build_fault_reply
from rehook_sync.sandbox.faults import Fault, FaultBoard
from rehook_sync.sandbox.store import Incoming


def invoke(source_id: str = "u1", event_name: str = "viewed") -> Incoming:
    return Incoming("POST", "/events/invoke", payload={"source_id": source_id, "event_name": event_name})


def kinds(board: FaultBoard, *requests: Incoming) -> list[str | None]:
    return [None if fault is None else fault.kind for _, fault in map(board.choose, requests)]


def test_without_selectors_a_fault_meets_everything() -> None:
    board = FaultBoard()
    board.add("hang")
    assert kinds(board, invoke(), Incoming("GET", "/customers/u1")) == ["hang", "hang"]


@pytest.mark.parametrize(
    ("selector", "expected"),
    [
        ({"path": "/events/invoke"}, [True, True, False]),
        ({"path": "/events/*"}, [True, True, False]),
        ({"path": "/customers/*"}, [False, False, True]),
        ({"method": "GET"}, [False, False, True]),
        ({"source_id": "u2"}, [False, True, False]),
        ({"event_name": "signup"}, [False, True, False]),
        ({"source_id": "u1", "event_name": "signup"}, [False, False, False]),
    ],
)
def test_selectors_narrow(selector: dict[str, object], expected: list[bool]) -> None:
    board = FaultBoard()
    board.add("status", **selector)
    requests = [invoke(), invoke("u2", "signup"), Incoming("GET", "/customers/u1")]
    assert [kind is not None for kind in kinds(board, *requests)] == expected


def test_skip_and_times_count_matching_requests_only() -> None:
    board = FaultBoard()
    armed = board.add("status", source_id="u1", skip=1, times=2)
    found = kinds(board, invoke("u2"), invoke(), invoke(), invoke("u2"), invoke(), invoke())
    assert found == [None, None, "status", None, "status", None]
    assert armed.met == 2


def test_chance_is_repeatable() -> None:
    def draw() -> list[str | None]:
        board = FaultBoard()
        board.add("status", probability=0.3, seed=5)
        return kinds(board, *(invoke() for _ in range(200)))

    assert draw() == draw()
    assert 35 < sum(each is not None for each in draw()) < 85


def test_delays_add_up_and_the_first_other_fault_decides() -> None:
    board = FaultBoard()
    board.add("delay", delay_s=0.1)
    board.add("delay", delay_s=0.2, times=1)
    board.add("status", status=503, delay_s=0.4, times=1)
    board.add("hang", skip=0)
    first_s, first = board.choose(invoke())
    second_s, second = board.choose(invoke())
    assert (round(first_s, 3), first and first.kind) == (0.7, "status")
    assert (round(second_s, 3), second and second.kind) == (0.1, "hang")


def test_faults_can_be_replaced_removed_and_cleared() -> None:
    board = FaultBoard()
    first = board.add("hang")
    assert board.remove(first.id)
    assert not board.remove(first.id)
    board.replace([Fault(kind="drop_before"), Fault(kind="drip")])
    assert [each.fault.kind for each in board.armed] == ["drop_before", "drip"]
    board.clear()
    assert kinds(board, invoke()) == [None]


@pytest.mark.parametrize(
    "options", [{"kind": "explode"}, {"kind": "status", "status": 99}, {"kind": "hang", "tims": 1}, {"kind": "delay", "delay_s": -1}]
)
def test_options_that_make_no_sense_are_refused(options: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Fault.model_validate(options)


def test_rate_limits_say_when_to_come_back() -> None:
    seconds = build_fault_reply(Fault(kind="rate_limited", retry_after_s=30))
    assert (seconds.status, dict(seconds.headers)["retry-after"]) == (429, "30")
    date = build_fault_reply(Fault(kind="rate_limited", retry_after_s=30, retry_after_as="date"))
    assert parsedate_to_datetime(dict(date.headers)["retry-after"]).tzinfo is not None
    assert build_fault_reply(Fault(kind="rate_limited", retry_after_s=None)).headers == ()
    assert build_fault_reply(Fault(kind="rate_limited", status=503)).status == 503


def test_a_fault_answer_can_be_large_and_carry_headers() -> None:
    reply = build_fault_reply(Fault(kind="status", status=302, headers={"Location": "/elsewhere"}, body_bytes=100_000))
    assert (reply.status, len(reply.body)) == (302, 100_000)
    assert reply.headers == (("Location", "/elsewhere"),)
