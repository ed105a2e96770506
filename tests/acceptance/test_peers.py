"""What goes wrong in other reverse-ETL tools, one test each: the installed command, a real HTTP server, a real database, row by row."""

import signal
import time
import uuid
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import orjson
import pytest
from accounting import NOW, Audit, Books, ago, idempotency_key, read_rows
from warehouse import Row, add_rows, identify, make_warehouse, run_sql, track

from rehook_sync.sandbox.server import Sandbox
from rehook_sync.settings import load_settings
from rehook_sync.sync import Sync

from .conftest import Program, stop, wait_until, write_settings
from .harness import Watched, state_table, watched_sandbox

EVENT = "/events/invoke"


@dataclass
class Site:
    """One warehouse, one Rehook, and the command that syncs them."""

    program: Program
    url: str
    sandbox: Sandbox
    store: Watched

    def __post_init__(self) -> None:
        self.audit = Audit(self.url, received=self.store)
        key, secret = self.store.credentials
        settings = {"warehouse_url": self.url, "api_url": self.sandbox.url, "api_key": key, "api_secret": secret}
        write_settings(
            self.program.folder / "rehook_sync.toml", {**settings, "concurrency": 8, "start_at": "beginning", "missing_properties": "send"}
        )

    def fill(self, tracks: Sequence[Row], identifies: Sequence[Row] = (), types: Mapping[str, str] | None = None) -> None:
        """Make the warehouse and the sync-state tables; types: of columns of `tracks`."""
        make_warehouse(self.url, {"identifies": identifies, "tracks": tracks}, types={"tracks": types or {}})
        with Sync(load_settings(self.program.folder / "rehook_sync.toml", {})) as sync:
            sync.init()

    def run(self, *arguments: str, code: int = 0, verb: str = "run", **environ: str) -> dict[str, Any]:
        """Run to the end with the exit code expected; gives its JSON."""
        done = self.program(verb, "--json", *arguments, **environ)
        assert done.code == code, done
        return done.json

    def start(self, *arguments: str, **environ: str) -> Any:
        """Start a run."""
        return self.program.start("run", "--json", *arguments, **environ)

    def wait_for(self, requests: int) -> None:
        """Wait until Rehook has got so many."""
        wait_until(lambda: len(self.store.log) >= requests)

    def check(self, **options: Any) -> Books:
        """Hold the rows of the warehouse, of the sync-state and of Rehook against each other."""
        wait_until(lambda: self.store.in_flight == 0)
        return self.audit.check(**options)

    def statuses(self) -> Counter[str]:
        """How many calls have which status and reason."""
        rows = read_rows(self.url, f"SELECT status, reason FROM {state_table(self.url, 'sync_state')}")
        return Counter(":".join(filter(None, (row["status"], row["reason"]))) for row in rows)

    def arrived(self, rows: Sequence[Row]) -> list[int]:
        """How often each of these events arrived, as often as it was carried out."""
        counts = Counter(each.idempotency_key for each in self.store.events)
        return [counts[idempotency_key("tracks", str(row["id"]))] for row in rows]

    def watermarks(self) -> list[datetime]:
        """All watermarks ever recorded for the events, oldest first."""
        table = state_table(self.url, "sync_watermarks")
        rows = read_rows(self.url, f"SELECT high_at FROM {table} WHERE stream = 'tracks' AND high_at IS NOT NULL ORDER BY recorded_at")
        return [row["high_at"] for row in rows]


@pytest.fixture
def site(program: Program, database_url: str) -> Iterator[Site]:
    """A site on each database."""
    with watched_sandbox() as (sandbox, store):
        yield Site(program, database_url, sandbox, store)


@pytest.fixture
def sqlite_site(program: Program, sqlite_url: str) -> Iterator[Site]:
    """A site on SQLite, where the database makes no difference."""
    with watched_sandbox() as (sandbox, store):
        yield Site(program, sqlite_url, sandbox, store)


@pytest.fixture
def postgres_site(program: Program, postgres_url: str) -> Iterator[Site]:
    """A site on PostgreSQL, for values SQLite does not have."""
    with watched_sandbox() as (sandbox, store):
        yield Site(program, postgres_url, sandbox, store)


def visits(count: int, first: int = 0, hours: float = 9, **columns: object) -> list[Row]:
    """One event of each of many users, a second apart."""
    numbers = range(first, first + count)
    return [track(f"m{each:05d}", f"user{each}", "Visited", ago(hours=hours, seconds=-each), number=each, **columns) for each in numbers]


def test_01_refused_row_fixed_and_run_again(site: Site) -> None:
    rows = visits(100)
    site.fill(rows)
    wrong = site.sandbox.faults.add("status", status=400, source_id="user35")
    assert site.run()["sent"] == 99
    site.check()
    site.sandbox.faults.remove(wrong.id)
    assert (site.run()["sent"], site.arrived(rows).count(1)) == (0, 99)
    assert site.run("--reason", "refused_by_rehook", verb="revalidate")["sent"] == 1
    site.audit = Audit(site.url, received=site.store)  # a new one: what was settled did change, since that was asked for
    site.check(ordered=False)
    assert site.arrived(rows) == [1] * 100
    assert site.statuses() == {"sent": 100}


def test_02_row_refused_forever_holds_nobody_up(site: Site) -> None:
    rows = visits(30)
    site.fill(rows)
    site.sandbox.faults.add("status", status=422, source_id="user9")
    for sent in (29, 0, 5):
        if sent == 5:
            add_rows(site.url, "tracks", visits(5, first=30))
        assert site.run()["sent"] == sent
        site.check()
    assert site.arrived(visits(35)) == [int(number != 9) for number in range(35)]
    assert site.statuses() == {"sent": 34, "rejected:refused_by_rehook": 1}


def test_03_wrong_api_key_for_one_run_loses_nothing(site: Site) -> None:
    rows = visits(30)
    site.fill(rows)
    stopped = site.run(code=4, REHOOK_SYNC_API_KEY="not-the-key")
    assert (stopped["status"], stopped["sent"], stopped["failed"]) == ("stopped", 0, 0)
    assert (site.statuses(), site.watermarks(), site.store.events) == ({}, [], [])
    assert site.run()["sent"] == 30
    site.check()
    assert site.arrived(rows) == [1] * 30
    assert site.watermarks() == [rows[-1]["received_at"]]


def test_04_answer_lost_after_the_commit_is_not_sent_again(site: Site) -> None:
    rows = visits(20)
    site.fill(rows)
    site.sandbox.faults.add("commit_then_drop", path=EVENT, skip=5, times=1)
    run = site.run(code=3)
    assert (run["sent"], run["in_doubt"]) == (19, 1)
    site.check()
    assert site.run(code=3)["requests"] == 0
    assert site.arrived(rows) == [1] * 20
    assert site.statuses() == {"sent": 19, "in_doubt:connection_lost": 1}
    site.check()


def test_05_killed_half_way_sends_no_event_again(site: Site) -> None:
    rows = visits(300)
    site.fill(rows)
    site.sandbox.faults.add("delay", delay_s=0.01)
    process = site.start()
    site.wait_for(150)
    assert stop(process, signal.SIGKILL).code == -signal.SIGKILL
    # Not the wait for the lease is what this is about.
    run_sql(site.url, f"UPDATE {state_table(site.url, 'sync_lease')} SET expires_at = '2020-01-01T00:00:00.000000Z'")
    done = site.program("run", "--json")
    assert done.code in {0, 3}
    site.check(ordered=False)
    doubtful = site.statuses()["in_doubt:crashed_in_flight"]
    assert doubtful <= 16
    assert site.statuses()["sent"] == 300 - doubtful
    assert site.arrived(rows).count(1) >= 300 - doubtful
    assert max(site.arrived(rows)) == 1


def test_06_terminated_half_way_leaves_the_rest_to_the_next_run(site: Site) -> None:
    """The rows came in another order than they happened in."""
    rows = [{**row, "received_at": ago(hours=3, seconds=place)} for place, row in enumerate(visits(300))]
    site.fill(rows)
    site.sandbox.faults.add("delay", delay_s=0.01)
    process = site.start()
    site.wait_for(150)
    done = stop(process, signal.SIGTERM)
    assert (done.code, done.json["status"]) == (143, "interrupted")
    first = site.check()
    assert site.statuses() == {"sent": done.json["sent"]} == {"sent": len(site.store.events)}
    assert site.watermarks() == []
    assert first.runs[0]["finished_at"] is not None
    assert site.run()["sent"] == 300 - done.json["sent"]
    site.check()
    assert site.arrived(rows) == [1] * 300


def test_07_terminated_while_a_request_hangs_settles_within_the_timeout(site: Site) -> None:
    rows = visits(40)
    site.fill(rows)
    site.sandbox.faults.add("delay", delay_s=0.05)
    hang = site.sandbox.faults.add("hang", path=EVENT, source_id="user3", times=1)
    process = site.start(REHOOK_SYNC_TIMEOUT="2")
    wait_until(lambda: hang.met == 1)
    began = time.monotonic()
    done = stop(process, signal.SIGTERM)
    assert time.monotonic() - began < 5
    assert (done.code, done.json["in_doubt"]) == (143, 1)
    site.check()
    assert site.statuses() == {"sent": done.json["sent"], "in_doubt:timeout": 1}
    assert site.run(code=3)["sent"] == 39 - done.json["sent"]
    site.check()
    assert site.arrived(rows) == [int(number != 3) for number in range(40)]


def test_08_overlapping_runs_deliver_once(site: Site) -> None:
    rows = visits(200)
    site.fill(rows)
    slow = site.sandbox.faults.add("delay", delay_s=0.5)
    first = site.start()
    site.wait_for(2)
    assert site.run(code=5)["error"]["type"] == "LeaseHeldError"
    site.sandbox.faults.remove(slow.id)
    out, err = first.communicate(timeout=60)
    assert (first.returncode, orjson.loads(out)["sent"]) == (0, 200), err
    site.check()
    assert site.arrived(rows) == [1] * 200


def test_09_row_at_the_watermark_or_before_it_is_found_and_sent_once(site: Site) -> None:
    rows = visits(20)
    site.fill(rows)
    site.run()
    same = track("same-time", "ada", "Visited", rows[-1]["received_at"])
    older = track("older", "bob", "Visited", ago(hours=50))
    add_rows(site.url, "tracks", [same, older])
    assert site.run()["sent"] == 2
    assert site.run()["sent"] == 0
    site.check()
    assert site.arrived([*rows, same, older]) == [1] * 22


def test_10_failed_row_with_times_decimals_and_uuids_is_stored_and_retried(postgres_site: Site) -> None:
    site = postgres_site
    number, when = uuid.UUID(int=7), datetime(2026, 10, 1, 12, 30, tzinfo=UTC)
    row = track("rich", "ada", "Order Completed", ago(hours=2), total=Decimal("19.99"), order_id=number, shipped_at=when, big=2**53 + 1)
    site.fill([row, *visits(9)])
    site.sandbox.faults.add("status", status=503, source_id="ada")
    assert site.run(code=3, REHOOK_SYNC_MAX_ATTEMPTS="1")["failed"] == 1
    site.check()
    assert site.statuses() == {"sent": 9, "failed:server_error": 1}
    site.sandbox.faults.clear()
    assert site.run()["sent"] == 1
    site.check(ordered=False)
    (event,) = site.store.events_of("ada")
    body = event.body.decode()
    for text in ('"total":19.99', f'"order_id":"{number}"', '"shipped_at":"2026-10-01T12:30:00.000Z"', f'"big":{2**53 + 1}'):
        assert text in body


def test_11_retry_counts_what_rehook_saw(site: Site) -> None:
    rows = visits(5)
    site.fill(rows)
    for name in ("user0", "user1", "user2", "user3"):
        site.sandbox.faults.add("status", status=503, source_id=name)
    assert site.run(code=3, REHOOK_SYNC_MAX_ATTEMPTS="1")["failed"] == 4
    site.check()
    site.sandbox.faults.replace([each.fault for each in site.sandbox.faults.armed if each.fault.source_id == "user0"])
    seen = len(site.store.log)
    again = site.run(code=3, verb="retry", REHOOK_SYNC_MAX_ATTEMPTS="1")
    new = site.store.log[seen:]
    assert (again["sent"], again["failed"]) == (3, 1)
    assert again["sent"] == sum(each.accepted for each in new)
    assert again["requests"] == len(new)
    site.check(ordered=False, complete=False)
    assert site.statuses() == {"sent": 4, "failed:server_error": 1}
    assert site.arrived(rows) == [0, 1, 1, 1, 1]


def test_12_exit_code_and_json_tell_the_truth_when_all_rows_are_refused_or_fail(sqlite_site: Site) -> None:
    """The state of the Airflow task is told by these two; see the tests of the DAG."""
    site = sqlite_site
    site.fill(visits(10))
    refusing = site.sandbox.faults.add("status", status=400, path=EVENT)
    run = site.run()
    assert (run["rows_read"], run["sent"], run["rejected"], run["rejected_by_reason"]) == (10, 0, 10, {"refused_by_rehook": 10})
    site.check()
    site.sandbox.faults.remove(refusing.id)
    site.sandbox.faults.add("status", status=500, path=EVENT)
    add_rows(site.url, "tracks", visits(10, first=10))
    run = site.run(code=3)
    assert (run["status"], run["rows_read"], run["sent"], run["in_doubt"]) == ("attention", 10, 0, 10)
    assert run["unsettled"]["in_doubt"] == 10
    site.check()
    site.sandbox.faults.clear()
    site.sandbox.faults.add("drop_before", path="*")
    add_rows(site.url, "tracks", visits(10, first=20))
    run = site.run(code=4, REHOOK_SYNC_MAX_ATTEMPTS="1")
    assert (run["status"], run["sent"], run["error"]["type"]) == ("stopped", 0, "ApiDownError")
    assert site.watermarks() == [visits(10)[-1]["received_at"], visits(20)[-1]["received_at"], visits(20)[-1]["received_at"]]
    assert site.store.events == []


def test_13_as_many_requests_are_in_flight_as_concurrency_allows(site: Site) -> None:
    """With so many in flight all the time, the rate is `CONCURRENCY` over the latency, whatever the machine."""
    rows = visits(1000)
    site.fill(rows)
    site.sandbox.faults.add("delay", delay_s=0.02)
    open_at_arrival: list[int] = []
    site.store.on_arrival = lambda _received: open_at_arrival.append(site.store.in_flight)
    assert site.run(REHOOK_SYNC_CONCURRENCY="16")["sent"] == 1000
    assert site.store.max_in_flight == 16
    middle = sorted(open_at_arrival)[len(open_at_arrival) // 2]
    assert middle >= 8, "most of the time at least half of the places were taken"
    site.check()


def test_14_cursors_and_numbers_are_compared_by_their_type(program: Program, sqlite_url: str, postgres_url: str) -> None:
    with watched_sandbox() as (sandbox, store):
        site = Site(program, postgres_url, sandbox, store)
        when = ago(hours=2)
        rows = [
            track(2**53, "ada", "Visited", when, big=2**53),
            track(2**53 + 1, "ada", "Visited", when + timedelta(microseconds=1), big=2**53 + 1),
        ]
        site.fill(rows[:1], types={"id": "bigint"})
        assert site.run(REHOOK_SYNC_LOOKBACK="0")["sent"] == 1
        add_rows(site.url, "tracks", rows[1:])
        assert site.run(REHOOK_SYNC_LOOKBACK="0")["sent"] == 1
        site.check()
        assert [each.metadata["big"] for each in store.events] == [2**53, 2**53 + 1]
        assert site.watermarks() == [when, when + timedelta(microseconds=1)]
    with watched_sandbox() as (sandbox, store):
        site = Site(program, sqlite_url, sandbox, store)
        texts = {"first": "2026-09-30T22:30:00Z", "third": "2026-10-01", "second": "2026-10-01 00:30:00+02:00", "none": "2026-9-30"}
        site.fill([{**track(name, "ada", "Visited", NOW), "received_at": text, "timestamp": text} for name, text in texts.items()])
        run = site.run()
        assert (run["sent"], run["rejected_by_reason"]) == (3, {"invalid_row": 1})
        keys = [idempotency_key("tracks", each) for each in ("first", "second", "third")]
        assert {each.idempotency_key for each in store.events} == set(keys)
        assert store.events[-1].idempotency_key == keys[2]
        assert site.watermarks() == [datetime(2026, 10, 1, tzinfo=UTC)]


def test_15_retry_after_beyond_the_patience_stops_the_run_and_says_when_to_come_back(sqlite_site: Site) -> None:
    site = sqlite_site
    rows = visits(50)
    site.fill(rows)
    limited = site.sandbox.faults.add("rate_limited", retry_after_s=3600, path=EVENT, skip=10)
    began = time.monotonic()
    done = site.program("run", "--json")
    assert done.code == 4
    assert time.monotonic() - began < 30
    assert "3600 s" in done.json["error"]["message"]
    asked = len(site.store.log)
    assert limited.met <= 8, "nobody asks a second time"
    site.check()
    assert site.statuses() == {"sent": done.json["sent"]}
    assert site.watermarks() == []
    site.sandbox.faults.replace([])
    short = site.sandbox.faults.add("rate_limited", retry_after_s=1, path=EVENT, times=1)
    assert site.run()["sent"] == 50 - done.json["sent"]
    assert short.met == 1
    gaps = [after.at - before.at for before, after in zip(site.store.log[asked:], site.store.log[asked + 1 :], strict=False)]
    assert max(gaps) >= 0.9, "and a short wait is waited out"
    site.check(ordered=False)
    assert site.arrived(rows) == [1] * 50


def test_16_row_of_the_far_future_moves_no_watermark(site: Site) -> None:
    rows = visits(10)
    future = track("future", "zoe", "Visited", datetime(2099, 1, 1, tzinfo=UTC))
    site.fill([*rows, future])
    assert site.run()["sent"] == 10
    add_rows(site.url, "tracks", visits(10, first=10))
    assert site.run()["sent"] == 10
    site.check()
    assert site.watermarks() == [visits(10)[-1]["received_at"], visits(20)[-1]["received_at"]]
    assert site.arrived([*visits(20), future]) == [*[1] * 20, 0]


def test_17_conservation_at_sizes_that_do_not_divide(site: Site) -> None:
    """2,500 rows in portions of 999, in chunks of 140, 13 at a time: nothing divides."""
    rows = visits(2500)
    site.fill(rows, [identify("i1", "user2499", ago(hours=1), plan="pro")])
    for sent in (999, 999, 503, 0):
        assert site.run("--limit", "999", REHOOK_SYNC_CHUNK_ROWS="140", REHOOK_SYNC_CONCURRENCY="13")["sent"] == sent
    site.check(ordered=False)
    assert site.arrived(rows) == [1] * 2500
    assert site.statuses() == {"sent": 2501}
    assert len(site.store.events) == 2500
