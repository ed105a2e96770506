"""Delivery against a scripted transport and a real ledger: order, concurrency, outcomes, marks, stops."""

import asyncio
import itertools
import json
import signal
import threading
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace

import httpx
import pytest
from builders import identify, track
from sqlalchemy import text
from warehouse import at

from rehook_sync.database.engine import Database, open_database
from rehook_sync.delivery.outcomes import RetryPolicy
from rehook_sync.delivery.report import DeliveryConfig, DeliveryReport
from rehook_sync.delivery.sender import deliver
from rehook_sync.errors import ApiDownError, CredentialsRefusedError, LeaseLostError
from rehook_sync.models import Batch, Chunk, Claim, Customer, Operation, Outcome, PreviousOutcome, SourceRow, Status
from rehook_sync.rehook.client import Rehook
from rehook_sync.rules.bodies import Names, build_operations, shape
from rehook_sync.runtime import Interrupt
from rehook_sync.state.ledger import Ledger
from rehook_sync.state.migrations import upgrade

POLICY = RetryPolicy(max_attempts=3, patience_s=60, hold=True)
CONFIG = DeliveryConfig(concurrency=4, rate_limit=None, policy=POLICY, api_down_after=50, skip_unchanged=True, renew_s=20)
Reply = int | tuple[int, dict[str, str]] | httpx.TransportError


@dataclass
class Api:
    """A Rehook behind a transport: answers as scripted per message, remembers what it received."""

    script: dict[str, list[Reply]] = field(default_factory=dict)
    auth: list[Reply] = field(default_factory=list)
    before: Callable[[str], Awaitable[None]] | None = None
    received: list[str] = field(default_factory=list)
    bodies: list[dict[str, object]] = field(default_factory=list)
    at_once: int = 0
    most_at_once: int = 0
    most_per_user: Counter[str] = field(default_factory=Counter)
    users_at_once: Counter[str] = field(default_factory=Counter)

    async def __call__(self, request: httpx.Request) -> httpx.Response:
        if request.method == "GET":
            return self._reply(self.auth)
        body = json.loads(request.content)
        label = str(body["metadata"].get("label"))
        user = body["source_id"]
        self.received.append(label)
        self.bodies.append(body)
        self.at_once += 1
        self.users_at_once[user] += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        self.most_per_user[user] = max(self.most_per_user[user], self.users_at_once[user])
        try:
            await (self.before(label) if self.before else asyncio.sleep(0))
            return self._reply(self.script.get(label, []))
        finally:
            self.at_once -= 1
            self.users_at_once[user] -= 1

    @staticmethod
    def _reply(replies: list[Reply]) -> httpx.Response:
        reply = replies.pop(0) if replies else 200
        if isinstance(reply, httpx.TransportError):
            raise reply
        status, headers = reply if isinstance(reply, tuple) else (reply, {})
        return httpx.Response(status, headers=headers, json={"status": "said"})


def operations(
    rows: Iterable[SourceRow], *, merge: bool = True, claims: dict[str, Claim] | None = None, waits: dict[str, str] | None = None
) -> list[Operation]:
    """The requests of the rows. The API knows each by its `label`; a row without one is labelled with its message id."""
    labelled = [replace(row, fields={"label": row.message_id, **row.fields}) for row in rows]
    return build_operations(shape(labelled, Names()), claims=claims or {}, previous={}, waits=waits or {}, merge=merge)


class Bench:
    """One delivery on a real database."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.ledger = Ledger(database, "run-1", 60)
        self.ledger.acquire()
        self.recorded: list[Outcome] = []

    def deliver(
        self, api: Api, loads: Iterable[list[Operation]], config: DeliveryConfig = CONFIG, interrupt: Interrupt | None = None
    ) -> DeliveryReport:
        feed = (Chunk(each, []) for each in loads)
        client = Rehook(httpx.MockTransport(api), "http://127.0.0.1:1", "key", "secret")
        return deliver(feed, client, self.ledger, config, interrupt or Interrupt(), self._hear)

    def _hear(self, _report: DeliveryReport, outcomes: Iterable[Outcome]) -> None:
        self.recorded.extend(outcomes)

    def statuses(self) -> dict[str, str]:
        with self.database.connect() as connection:
            return {row.message_id: row.status for row in connection.execute(text("SELECT message_id, status FROM sync_state"))}

    def column(self, name: str) -> dict[str, object]:
        with self.database.connect() as connection:
            return {row["message_id"]: row[name] for row in connection.execute(text("SELECT * FROM sync_state")).mappings()}


@pytest.fixture
def bench(sqlite_url: str) -> Iterator[Bench]:
    database = open_database(sqlite_url, "REHOOK_SYNC_STATE_URL")
    upgrade(database, None)
    yield Bench(database)
    database.close()


def test_everything_is_sent_once_and_recorded(bench: Bench) -> None:
    rows = [track(f"e{n}", f"user-{n % 37}", when=at(n)) for n in range(999)]
    api = Api()
    report = bench.deliver(api, [operations(rows[:333]), operations(rows[333:])])
    assert Counter(api.received) == Counter(row.message_id for row in rows)
    assert report.counts == Counter({Status.SENT: 999})
    assert set(bench.statuses().values()) == {"sent"}
    assert len(bench.statuses()) == 999
    assert sorted(outcome.call.message_id for outcome in bench.recorded) == sorted(api.received)


def test_a_user_is_served_in_order_one_request_at_a_time(bench: Bench) -> None:
    rows = [track(f"e{n}", f"user-{n % 5}", when=at(n)) for n in range(200)]
    api = Api()
    bench.deliver(api, [operations(rows[:77]), operations(rows[77:])])
    assert max(api.most_per_user.values()) == 1
    per_user: dict[str, list[int]] = defaultdict(list)
    for body, label in zip(api.bodies, api.received, strict=True):
        per_user[str(body["source_id"])].append(int(label[1:]))
    assert all(labels == sorted(labels) for labels in per_user.values())


def test_different_users_are_served_side_by_side_up_to_concurrency(bench: Bench) -> None:
    api = Api(before=lambda _label: asyncio.sleep(0.01))
    bench.deliver(api, [operations([track(f"e{n}", f"user-{n}", when=at(n)) for n in range(40)])])
    assert api.most_at_once == CONFIG.concurrency


def test_no_more_is_read_while_enough_waits_to_be_sent(bench: Bench) -> None:
    api = Api()
    waiting: list[int] = []

    def portions() -> Iterator[list[Operation]]:
        for start in range(0, 3000, 250):
            waiting.append(start - len(api.received))
            yield operations([identify(f"i{n}", f"user-{n}", at(n)) for n in range(start, start + 250)])

    bench.deliver(api, portions())
    assert max(waiting) <= CONFIG.queue_rows == 2000
    assert len(bench.statuses()) == 3000


def test_more_may_wait_where_more_is_sent_at_once() -> None:
    assert replace(CONFIG, concurrency=1000).queue_rows == 8000


def test_call_is_durably_marked_before_its_request_leaves_and_never_too_many_are(bench: Bench) -> None:
    seen: list[tuple[str | None, int]] = []

    async def look(label: str) -> None:
        statuses = bench.statuses()
        seen.append((statuses.get(label), sum(status == "sending" for status in statuses.values())))

    bench.deliver(Api(before=look), [operations([track(f"e{n}", f"user-{n}", when=at(n)) for n in range(60)])])
    assert {status for status, _ in seen} == {"sending"}
    assert max(marked for _, marked in seen) <= 2 * CONFIG.concurrency


def test_while_the_api_is_slow_few_calls_are_marked_that_have_not_left(bench: Bench) -> None:
    marked: list[int] = []
    api = Api()
    full = asyncio.Event()

    async def wait(_label: str) -> None:
        if api.at_once == 40 and not full.is_set():
            marked.append(sum(status == "sending" for status in bench.statuses().values()))
            full.set()
        await full.wait()

    api.before = wait
    rows = [track(f"e{n}", f"user-{n}", when=at(n)) for n in range(120)]
    bench.deliver(api, [operations(rows)], replace(CONFIG, concurrency=40))
    assert len(marked) == 1
    assert 40 <= marked[0] <= 50


def test_known_customers_take_no_places_of_events_and_stay_roughly_in_time_order(bench: Bench) -> None:
    marked: Counter[str] = Counter()
    sent: list[str] = []

    async def look(label: str) -> None:
        sent.append(label)
        with bench.database.connect() as connection:
            for row in connection.execute(text("SELECT stream, count(*) AS n FROM sync_state WHERE status = 'sending' GROUP BY stream")):
                marked[row.stream] = max(marked[row.stream], row.n)

    bench.deliver(Api(), [operations([identify(f"known-{n}", f"user-{n}") for n in range(200)])])
    pairs = [(identify(f"i{n}", f"user-{n}", at(2 * n)), track(f"e{n}", f"user-{n}", when=at(2 * n + 1))) for n in range(200)]
    rows = [row for pair in pairs for row in pair]
    bench.deliver(Api(before=look), [operations(rows)])
    assert CONFIG.concurrency < max(marked.values()) <= 2 * CONFIG.concurrency
    places = {row.message_id: place for place, row in enumerate(rows)}
    assert max(abs(places[label] - place) for place, label in enumerate(sent)) <= 6 * CONFIG.concurrency


def test_customers_nobody_knows_of_need_no_mark_but_not_many_of_them_are_unrecorded(bench: Bench) -> None:
    seen: list[tuple[str, str | None]] = []
    unrecorded: list[int] = []

    async def look(label: str) -> None:
        statuses = bench.statuses()
        seen.append((label.partition("-")[0], statuses.get(label)))
        unrecorded.append(sum(kind == "first" for kind, _ in seen) - sum(label.startswith("first") for label in statuses))

    users = [f"user-{n}" for n in range(300)]
    rows = [identify(f"first-{user}", user, at(n)) for n, user in enumerate(users)]
    rows += [track(f"event-{user}", user, when=at(1000 + n)) for n, user in enumerate(users)]
    rows += [identify(f"second-{user}", user, at(2000 + n), plan="pro") for n, user in enumerate(users)]
    bench.deliver(Api(before=look), [operations(rows)])
    assert set(seen) == {("first", None), ("event", "sending"), ("second", "sending")}
    assert max(unrecorded) <= 17 * CONFIG.concurrency
    assert set(bench.statuses().values()) == {"sent"}
    assert len(bench.statuses()) == 900


def test_refused_row_is_rejected_and_does_not_hold_its_user_back(bench: Bench) -> None:
    api = Api({"e1": [400]})
    report = bench.deliver(api, [operations([track(f"e{n}", "u", when=at(n)) for n in range(3)])])
    assert bench.statuses() == {"e0": "sent", "e1": "rejected", "e2": "sent"}
    assert bench.column("reason")["e1"] == "refused_by_rehook"
    assert bench.column("http_status")["e1"] == 400
    assert report.counts == Counter({Status.SENT: 2, Status.REJECTED: 1})


@pytest.mark.parametrize("lost", [httpx.ReadTimeout(""), httpx.RemoteProtocolError(""), 500, 502, 504])
def test_event_that_may_have_arrived_is_held_and_not_sent_again(bench: Bench, lost: Reply) -> None:
    api = Api({"e0": [lost]})
    bench.deliver(api, [operations([track("e0", "u"), track("e1", "u", when=at(1))])])
    assert api.received == ["e0", "e1"]
    assert bench.statuses() == {"e0": "in_doubt", "e1": "sent"}


def test_event_that_may_have_arrived_is_sent_again_under_resend(bench: Bench) -> None:
    api = Api({"e0": [httpx.ReadTimeout("")]})
    config = replace(CONFIG, policy=replace(POLICY, hold=False))
    bench.deliver(api, [operations([track("e0", "u")])], config)
    assert api.received == ["e0", "e0"]
    assert bench.statuses() == {"e0": "sent"}
    assert bench.column("attempts") == {"e0": 2}


@pytest.mark.parametrize("unprocessed", [httpx.ConnectError(""), 429, 503])
def test_event_that_provably_did_not_arrive_is_sent_again(bench: Bench, unprocessed: Reply) -> None:
    api = Api({"e0": [unprocessed]})
    bench.deliver(api, [operations([track("e0", "u")])])
    assert api.received == ["e0", "e0"]
    assert bench.statuses() == {"e0": "sent"}


def test_stuck_user_holds_back_nobody_else(bench: Bench) -> None:
    api = Api({"a0": [503] * 3})
    rows = [track("a0", "a"), track("a1", "a", when=at(1)), *(track(f"b{n}", "b", when=at(n)) for n in range(2, 9))]
    bench.deliver(api, [operations(rows[:3]), operations(rows[3:])])
    assert bench.statuses() == {"a0": "failed", "a1": "failed", **{f"b{n}": "sent" for n in range(2, 9)}}
    assert bench.column("reason")["a1"] == "blocked_by_earlier"
    assert bench.column("attempts") == {"a0": 3, "a1": 0, **{f"b{n}": 1 for n in range(2, 9)}}
    assert "a1" not in api.received


def test_blocked_user_stays_blocked_in_later_portions(bench: Bench) -> None:
    api = Api({"a0": [503] * 3})

    def portions() -> Iterator[list[Operation]]:
        yield operations([track("a0", "a")])
        while bench.statuses().get("a0") != "failed" or bench.column("attempts").get("a0") != 3:
            pass
        yield operations([track("b0", "b", when=at(1)), track("a1", "a", when=at(2))])

    bench.deliver(api, portions())
    assert bench.statuses() == {"a0": "failed", "a1": "failed", "b0": "sent"}


def test_neighbouring_identifies_travel_as_one(bench: Bench) -> None:
    api = Api()
    bench.deliver(api, [operations([identify("i0", "u", plan="a"), identify("i1", "u", at(1), vip=True)])])
    assert api.bodies == [{"source_id": "u", "metadata": {"label": "i1", "plan": "a", "vip": True}}]
    assert bench.statuses() == {"i0": "merged", "i1": "sent"}
    assert bench.column("sent_as") == {"i0": "i1", "i1": None}


def test_refused_merged_request_is_taken_apart_and_only_the_guilty_call_rejected(bench: Bench) -> None:
    api = Api({"i2": [400, 400]})
    rows = [identify("i0", "u", plan="a"), identify("i1", "u", at(1)), identify("i2", "u", at(2), bad=1), track("e3", "u", when=at(3))]
    report = bench.deliver(api, [operations(rows)])
    assert api.received == ["i2", "i0", "i1", "i2", "e3"]
    assert bench.statuses() == {"i0": "sent", "i1": "sent", "i2": "rejected", "e3": "sent"}
    assert report.counts.total() == 4


def test_unchanged_customer_is_not_sent_again(bench: Bench) -> None:
    api = Api()
    bench.deliver(api, [operations([identify("i0", "u")])])
    again = [identify("i1", "u", at(5), label="i0"), track("e", "u", when=at(6)), identify("i2", "u", at(7), label="i0")]
    bench.deliver(api, [operations(again)])
    assert api.received == ["i0", "e"]
    assert bench.statuses() == {"i0": "sent", "i1": "unchanged", "e": "sent", "i2": "unchanged"}


def test_every_identify_is_sent_when_asked_for(bench: Bench) -> None:
    api = Api()
    rows = [identify("i0", "u"), identify("i1", "u", at(1), label="i0")]
    bench.deliver(api, [operations(rows, merge=False)], replace(CONFIG, skip_unchanged=False))
    assert api.received == ["i0", "i0"]


def test_unchanged_is_judged_against_what_surely_arrived(bench: Bench) -> None:
    api = Api({"x": [400]})
    rows = [identify("x", "u", plan="b"), track("e", "u", when=at(1)), identify("y", "u", at(2), plan="b")]
    bench.ledger.write(Batch(customers=[Customer("u", {"plan": ("old", None)}, "m", sent=True)]))
    bench.deliver(api, [operations(rows)])
    assert api.received == ["x", "e", "y"]


def test_identify_with_unknown_outcome_makes_the_customer_unknown(bench: Bench) -> None:
    bench.deliver(Api(), [operations([identify("i0", "u")])])
    bench.deliver(Api({"i1": [httpx.ReadTimeout("")] * 3}), [operations([identify("i1", "u", at(1))])])
    assert bench.statuses()["i1"] == "failed"
    assert {value for value, _ in bench.ledger.read_customers(["u"])["u"].values()} <= {""}


def test_refused_claim_is_released(bench: Bench) -> None:
    claim = Claim("X", "u", None)
    bench.ledger.claim(["u"], ["X"], lambda codes, _leaving: (codes, [claim]))
    bench.deliver(Api({"i0": [409]}), [operations([identify("i0", "u")], claims={"i0": claim})])
    assert bench.ledger.read_codes(["u"], []) == {}


def test_code_is_taken_only_after_it_was_freed(bench: Bench) -> None:
    async def slow(label: str) -> None:
        await asyncio.sleep(0.05 if label == "a" else 0)

    rows = [identify("a", "a"), identify("b", "b", at(1)), identify("c", "c", at(2))]
    claims = {"a": Claim("Y", "a", "X"), "b": Claim("X", "b", None)}
    api = Api(before=slow)
    bench.deliver(api, [operations(rows, claims=claims, waits={"b": "a"})])
    assert set(api.received[:2]) == {"a", "c"}
    assert api.received[2] == "b"


def test_code_that_was_not_freed_blocks_who_waits_for_it(bench: Bench) -> None:
    claims = {"a": Claim("Y", "a", "X"), "b": Claim("X", "b", None)}
    api = Api({"a": [503] * 3})
    bench.deliver(api, [operations([identify("a", "a"), identify("b", "b", at(1))], claims=claims, waits={"b": "a"})])
    assert bench.statuses() == {"a": "failed", "b": "failed"}
    assert bench.column("reason")["b"] == "blocked_by_earlier"


@pytest.mark.parametrize("refusal", [401, 403, 302])
def test_refused_credentials_stop_the_run_and_mark_no_row(bench: Bench, refusal: int) -> None:
    api = Api({"e5": [refusal]})
    report = bench.deliver(api, [operations([track(f"e{n}", "u", when=at(n)) for n in range(10)])])
    assert isinstance(report.error, CredentialsRefusedError)
    assert bench.statuses() == {f"e{n}": "sent" for n in range(5)}
    assert report.counts == Counter({Status.SENT: 5})


def test_credentials_are_tried_before_the_first_row(bench: Bench) -> None:
    api = Api(auth=[401])
    report = bench.deliver(api, [operations([track("e", "u")])])
    assert isinstance(report.error, CredentialsRefusedError)
    assert api.received == []
    assert bench.statuses() == {}


def test_api_that_is_down_from_the_start_stops_the_run(bench: Bench) -> None:
    api = Api(auth=[httpx.ConnectError("")] * 3)
    report = bench.deliver(api, [operations([track("e", "u")])])
    assert isinstance(report.error, ApiDownError)
    assert bench.statuses() == {}


def test_api_that_goes_down_stops_the_run_and_fails_no_row(bench: Bench) -> None:
    rows = [track(f"e{n}", f"user-{n}", when=at(n)) for n in range(60)]
    api = Api({f"e{n}": [httpx.ConnectError("")] * 9 for n in range(10, 60)})
    report = bench.deliver(api, [operations(rows)], replace(CONFIG, api_down_after=6))
    assert isinstance(report.error, ApiDownError)
    assert bench.statuses() == {f"e{n}": "sent" for n in range(10)}
    assert report.counts == Counter({Status.SENT: 10})


def test_last_user_is_not_blamed_for_an_api_that_is_down(bench: Bench) -> None:
    api = Api({"e": [httpx.ConnectError("")] * 3}, auth=[200, httpx.ConnectError("")])
    report = bench.deliver(api, [operations([track("e", "u")])])
    assert isinstance(report.error, ApiDownError)
    assert bench.statuses() == {}


def test_events_lost_while_the_api_goes_down_stay_in_doubt(bench: Bench) -> None:
    rows = [track(f"e{n}", f"user-{n}", when=at(n)) for n in range(60)]
    api = Api({row.message_id: [httpx.ReadTimeout("")] for row in rows})
    report = bench.deliver(api, [operations(rows)], replace(CONFIG, api_down_after=6))
    assert isinstance(report.error, ApiDownError)
    assert set(bench.statuses().values()) == {"in_doubt"}
    assert set(bench.statuses()) == set(api.received)
    assert 6 <= len(api.received) <= 6 + CONFIG.concurrency


def test_api_that_loses_every_event_of_one_user_stops_before_all_are_in_doubt(bench: Bench) -> None:
    rows = [track(f"e{n}", "u", when=at(n)) for n in range(60)]
    api = Api({row.message_id: [500] for row in rows})
    report = bench.deliver(api, [operations(rows)], replace(CONFIG, api_down_after=6))
    assert isinstance(report.error, ApiDownError)
    assert bench.statuses() == {f"e{n}": "in_doubt" for n in range(6)}


def test_longer_wait_than_patience_stops_the_run_and_says_when_to_come_back(bench: Bench) -> None:
    api = Api({"e1": [(429, {"Retry-After": "3600"})]})
    report = bench.deliver(api, [operations([track(f"e{n}", "u", when=at(n)) for n in range(3)])])
    assert isinstance(report.error, ApiDownError)
    assert report.error.retry_after_s == 3600
    assert "3600 s" in str(report.error)
    assert bench.statuses() == {"e0": "sent"}


def test_row_that_failed_before_gets_its_record_back_when_the_run_stops(bench: Bench) -> None:
    previous = PreviousOutcome("server_error", "503", 503, 3, "run-0")
    [operation] = operations([track("e", "u")])
    failed = operation._replace(calls=tuple(call._replace(previous=previous) for call in operation.calls))
    bench.ledger.write(Batch(outcomes=[Outcome(operation.call, Status.FAILED, None, "503", 503, 3)]))
    bench.deliver(Api({"e": [401]}), [[failed]])
    assert bench.statuses() == {"e": "failed"}
    assert bench.column("run_id") == {"e": "run-0"}
    assert bench.column("attempts") == {"e": 3}


def test_interrupt_settles_what_is_in_flight_and_leaves_the_rest_unjudged(bench: Bench) -> None:
    interrupt = Interrupt()

    async def stop_at_tenth(label: str) -> None:
        if label == "e10":
            interrupt.request(signal.SIGTERM)
        await asyncio.sleep(0.02)

    api = Api(before=stop_at_tenth)
    report = bench.deliver(api, [operations([track(f"e{n}", f"user-{n}", when=at(n)) for n in range(100)])], interrupt=interrupt)
    assert report.interrupted
    assert bench.statuses() == dict.fromkeys(api.received, "sent")
    assert 10 < len(api.received) <= 10 + 2 * CONFIG.concurrency


def test_interrupt_ends_waits_at_once_and_records_what_failed(bench: Bench) -> None:
    interrupt = Interrupt()
    api = Api({"e": [(429, {"Retry-After": "50"})]})
    timer = threading.Timer(0.3, interrupt.request, [signal.SIGINT])
    timer.start()
    report = bench.deliver(api, [operations([track("e", "u"), track("f", "v", when=at(1))])], interrupt=interrupt)
    timer.join()
    assert report.interrupted
    assert bench.statuses()["e"] == "failed"
    assert report.counts.total() == len(bench.statuses())


def test_writer_that_lost_its_lease_sends_and_records_nothing_more(bench: Bench) -> None:
    async def take_over(label: str) -> None:
        if label == "e5":
            with bench.database.transaction() as connection:
                connection.execute(text("UPDATE sync_lease SET owner = 'other', fence = fence + 1"))

    api = Api(before=take_over)
    report = bench.deliver(api, [operations([track(f"e{n}", "u", when=at(n)) for n in range(50)])])
    assert isinstance(report.error, LeaseLostError)
    assert api.received == [f"e{n}" for n in range(6)]
    assert bench.statuses()["e5"] == "sending"


def test_rate_limit_is_kept(bench: Bench) -> None:
    times: list[float] = []

    async def note(_label: str) -> None:
        times.append(asyncio.get_running_loop().time())

    api = Api(before=note)
    bench.deliver(api, [operations([track(f"e{n}", f"user-{n}", when=at(n)) for n in range(12)])], replace(CONFIG, rate_limit=50.0))
    gaps = [later - earlier for earlier, later in itertools.pairwise(times)]
    assert sum(gaps) >= 0.9 * 11 / 50


def test_a_rate_limit_leaves_room_for_all_that_a_slow_api_keeps_in_flight(bench: Bench) -> None:
    """Nothing is answered before all places are taken: calls are marked when others leave, not when they are answered."""
    api = Api()
    full = asyncio.Event()

    async def wait(_label: str) -> None:
        if api.at_once == 12:
            full.set()
        await full.wait()

    api.before = wait
    rows = [track(f"e{n}", f"user-{n}", when=at(n)) for n in range(20)]
    report = bench.deliver(api, [operations(rows)], replace(CONFIG, concurrency=12, rate_limit=150.0))
    assert report.counts == Counter({Status.SENT: 20})
    assert api.most_at_once == 12


def test_an_api_that_asks_for_fewer_requests_gets_fewer_and_then_more_again(bench: Bench) -> None:
    rows = [track(f"e{number}", f"user{number}", when=at(number)) for number in range(60)]
    api = Api({f"e{number}": [429] for number in range(CONFIG.concurrency)})
    seen: list[tuple[int, int]] = []
    client = Rehook(httpx.MockTransport(api), "http://127.0.0.1:1", "key", "secret")
    feed = iter([Chunk(operations(rows), [])])
    report = deliver(feed, client, bench.ledger, CONFIG, Interrupt(), lambda report, _entries: seen.append((report.at_once, report.slowed)))
    assert set(bench.statuses().values()) == {"sent"}
    assert (report.slowed, report.lowest) == (1, CONFIG.concurrency // 2)
    assert report.at_once == CONFIG.concurrency
    assert (CONFIG.concurrency // 2, 1) in seen


def test_requests_are_counted_with_the_credentials_check(bench: Bench) -> None:
    report = bench.deliver(Api({"e1": [503]}), [operations([track(f"e{n}", "u", when=at(n)) for n in range(3)])])
    assert report.requests == 5
