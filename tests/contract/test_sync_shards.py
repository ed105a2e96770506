"""A run in parts: what several processes may do of one run, and what none of them may."""

import asyncio
import math
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import accounting
import httpx
import pytest
from acceptance.conftest import wait_until
from accounting import ALL, Bench, ago, open_bench
from warehouse import Row, add_rows, event, identify, track

from rehook_sync.errors import ApiDownError, LeaseHeldError, LeaseLostError, RunUnfinishedError, UsageError
from rehook_sync.jobs.results import RunOptions, RunResult
from rehook_sync.models import RunStatus, ShardResult, ShardStatus, Stream
from rehook_sync.rehook.http1 import RawRequest
from rehook_sync.rehook.transport import AiohttpTransport
from rehook_sync.runtime import Interrupt
from rehook_sync.sync import Sync

bench = accounting.bench
USERS = [f"user{number:02d}" for number in range(23)]


def crowd(hours: float = 9) -> tuple[list[Row], list[Row]]:
    """One Identify call and two events of each user."""
    identifies = [identify(f"i-{user}", user, ago(hours=hours), plan=user) for user in USERS]
    tracks = [track(f"{kind}-{user}", user, "Visited", ago(hours=hours - place)) for place, kind in enumerate("ab", 1) for user in USERS]
    return identifies, tracks


def deliver(bench: Bench, run_id: str, *shards: int, **settings: object) -> list[ShardResult]:
    done = []
    for shard in shards:
        with bench.sync(**settings) as sync:
            done.append(sync.deliver_shard(run_id, shard, Interrupt()))
    return done


class HeldUser(httpx.AsyncBaseTransport):
    """The network, but requests of one user wait until they are let go."""

    def __init__(self, user_id: str) -> None:
        self._network = AiohttpTransport(4, 5.0)
        self._mark = f'"{user_id}"'.encode()
        self.let_go = threading.Event()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if isinstance(request, RawRequest) and self._mark in request.body:
            assert await asyncio.to_thread(self.let_go.wait, 60)
        return await self._network.handle_async_request(request)

    async def aclose(self) -> None:
        await self._network.aclose()


def finish(bench: Bench, run_id: str) -> RunResult:
    with bench.sync() as sync:
        return sync.finish(run_id)


def start(bench: Bench, shards: int, request: RunOptions | None = None) -> tuple[str, tuple[int, ...]]:
    with bench.sync() as sync:
        plan = sync.start(request or RunOptions(since=ALL), shards)
    return plan.run_id, plan.shards


def test_parts_together_do_what_one_run_does(bench: Bench) -> None:
    identifies, tracks = crowd()
    nobody = [track("t-nobody", None, "Visited", ago(hours=2)), identify("i-blank", " ", ago(hours=2))]
    bench.fill([*identifies, nobody[1]], [*tracks, nobody[0]])
    run_id, shards = start(bench, 3)
    assert shards == (0, 1, 2)
    done = deliver(bench, run_id, *shards)
    assert [each.status for each in done] == [ShardStatus.DONE] * 3
    assert all(sum(each.rows.values()) > 12 for each in done)
    result = finish(bench, run_id)
    assert (result.summary.status, result.summary.rows_read, result.summary.sent) == (RunStatus.SUCCEEDED, 71, 69)
    assert sum(result.rejected.values()) == result.summary.rejected == 2
    assert result.summary.requests == len(bench.sandbox.store.log)
    bench.check(ordered=False)
    assert set(result.watermarks.values()) == {ago(hours=2)}
    assert bench.run().summary.rows_read == 0


def test_parts_together_say_what_one_run_says(bench: Bench) -> None:
    people = [identify(f"i{n}", f"u{n:02}", ago(hours=3), traits={"e_mail": "x"}, score=math.inf if n % 3 else 1.5) for n in range(13)]
    calls = [track(f"t{n}", f"u{n:02}", "Visited" if n % 2 else "Paid", ago(hours=2)) for n in range(13)]
    bench.fill(people, calls, paid=[event(f"t{n}", total=n) for n in range(0, 10, 2)])
    bench.options |= {"missing_properties": "send", "exclude": ["mail"], "conversion_events": ["visited"], "anonymous_calls": "drop"}
    expected = bench.plan(ALL).notes
    assert len(expected) == 4
    run_id, shards = start(bench, 3)
    deliver(bench, run_id, *shards)
    assert finish(bench, run_id).notes == expected


def test_a_run_that_ended_is_told_again_as_it_was(bench: Bench) -> None:
    bench.fill(*crowd())
    run_id, shards = start(bench, 2)
    deliver(bench, run_id, *shards)
    first = replace(finish(bench, run_id), audit=None)  # which is of its moment
    before = {table: bench.read_state(table) for table in ("sync_runs", "sync_watermarks", "sync_lease")}
    assert finish(bench, run_id) == first
    assert {table: bench.read_state(table) for table in before} == before
    assert bench.run().summary.rows_read == 0
    assert finish(bench, run_id) == first, "a later run has nothing to do with what this one did"
    bench.check(ordered=False)


def test_a_run_with_nothing_to_do_has_no_parts_and_moves_the_watermark(bench: Bench) -> None:
    bench.fill([identify("i1", "ada", ago(hours=5))])
    bench.run(ALL)
    asked = len(bench.sandbox.store.log)
    run_id, shards = start(bench, 4, RunOptions())
    assert shards == ()
    deliver(bench, run_id, *shards)
    assert finish(bench, run_id).summary.status is RunStatus.SUCCEEDED
    assert len(bench.sandbox.store.log) == asked
    bench.check()


def test_no_other_run_begins_between_start_and_finish(bench: Bench) -> None:
    bench.fill(*crowd())
    run_id, shards = start(bench, 2)
    with pytest.raises(LeaseHeldError, match=run_id):
        bench.run(ALL)
    deliver(bench, run_id, *shards)
    with pytest.raises(LeaseHeldError, match=run_id):
        bench.run(ALL)
    finish(bench, run_id)
    assert bench.run(ordered=False).summary.rows_read == 0


def test_a_missing_part_keeps_the_run_from_ending_and_can_be_delivered_later(bench: Bench) -> None:
    bench.fill(*crowd())
    run_id, _ = start(bench, 3)
    deliver(bench, run_id, 0, 2)
    with pytest.raises(RunUnfinishedError, match="part 1"):
        finish(bench, run_id)
    assert bench.read_state("sync_watermarks") == []
    deliver(bench, run_id, 1)
    assert finish(bench, run_id).summary.sent == 69
    bench.check(ordered=False)


def test_a_part_that_is_done_is_left_alone(bench: Bench) -> None:
    bench.fill(*crowd())
    run_id, _ = start(bench, 2)
    (once,) = deliver(bench, run_id, 0)
    asked = len(bench.sandbox.store.log)
    (again,) = deliver(bench, run_id, 0)
    assert (again.status, again.rows, again.requests) == (once.status, once.rows, once.requests)
    assert len(bench.sandbox.store.log) == asked


def test_a_stopped_part_ends_the_run_as_stopped_and_can_be_taken_up_again(bench: Bench) -> None:
    bench.fill(*crowd())
    run_id, (first, second) = start(bench, 2)
    deliver(bench, run_id, first)
    bench.sandbox.faults.add("status", status=503)
    (stopped,) = deliver(bench, run_id, second, max_attempts=1)
    assert stopped.status is ShardStatus.STOPPED
    assert isinstance(stopped.error, ApiDownError)
    result = finish(bench, run_id)
    assert result.summary.status is RunStatus.STOPPED
    assert result.error is not None
    assert result.error.exit_code == 4
    assert set(result.watermarks.values()) == {None}
    bench.check(complete=False, ordered=False)
    bench.sandbox.faults.clear()
    assert deliver(bench, run_id, second)[0].status is ShardStatus.DONE
    result = finish(bench, run_id)
    assert (result.summary.status, result.summary.sent) == (RunStatus.SUCCEEDED, 69)
    bench.check(ordered=False)


def test_once_another_run_took_over_no_part_can_send_or_record(bench: Bench) -> None:
    bench.fill(*crowd())
    run_id, _ = start(bench, 2)
    bench.change_state("UPDATE {sync_lease} SET expires_at = '2020-01-01T00:00:00.000000Z'")
    assert bench.run(ALL).summary.sent == 69
    asked = len(bench.sandbox.store.log)
    with pytest.raises(LeaseLostError):
        deliver(bench, run_id, 0)
    with pytest.raises(LeaseLostError):
        finish(bench, run_id)
    assert len(bench.sandbox.store.log) == asked
    assert [run["status"] for run in bench.read_state("sync_runs")] == ["crashed", "succeeded"]


def test_an_expired_lease_that_nobody_took_is_still_the_runs(bench: Bench) -> None:
    bench.fill(*crowd())
    run_id, shards = start(bench, 2)
    bench.change_state("UPDATE {sync_lease} SET expires_at = '2020-01-01T00:00:00.000000Z'")
    deliver(bench, run_id, *shards)
    bench.change_state("UPDATE {sync_lease} SET expires_at = '2020-01-01T00:00:00.000000Z'")
    assert finish(bench, run_id).summary.sent == 69


def test_an_orphan_whose_part_was_taken_over_sends_and_records_nothing(bench: Bench) -> None:
    """Two attempts of one part: the first is cut off in the middle, the second one takes over and does the rest."""
    bench.fill(*crowd())
    run_id, _ = start(bench, 2)
    taken: list[ShardResult] = []

    def steal(_progress: object) -> None:
        if not taken:
            time.sleep(0.2)  # a commit that is on its way extends the lease
            bench.change_state("UPDATE {sync_lease} SET expires_at = '2020-01-01T00:00:00.000000Z' WHERE name = 'shard 0'")
            taken.append(ShardResult(run_id, 0, ShardStatus.RUNNING, {}, 0))
            with ThreadPoolExecutor(1) as other:
                taken.extend(other.submit(deliver, bench, run_id, 0).result())

    with bench.sync() as sync, pytest.raises(LeaseLostError):
        sync.deliver_shard(run_id, 0, Interrupt(), steal)
    assert taken[1].status is ShardStatus.DONE
    deliver(bench, run_id, 1)
    result = finish(bench, run_id)
    assert result.summary.rows_read == 69
    assert result.summary.in_doubt <= 2 * 4
    bench.check(uncertain=True, ordered=False)
    arrived = [each.idempotency_key for each in bench.sandbox.store.events]
    assert len(arrived) == len(set(arrived)), "an event arrived twice"


def test_one_id_under_two_users_goes_out_once(bench: Bench) -> None:
    """Each part sees one of the two rows, and only the mark in the sync-state can tell them apart."""
    identifies, tracks = crowd()
    twins = [track("twin", "user00", "Visited", ago(hours=3)), track("twin", "user22", "Visited", ago(hours=3))]
    bench.fill(identifies, [*tracks, *twins])
    run_id, shards = start(bench, 2)
    deliver(bench, run_id, *shards)
    result = finish(bench, run_id)
    assert result.summary.rows_read == result.summary.sent == 70
    arrived = [each.idempotency_key for each in bench.sandbox.store.events]
    assert len(arrived) == len(set(arrived)) == 47
    bench.check(ordered=False)


@pytest.mark.parametrize("place", ["postgresql-same", "postgresql-sqlite"])
def test_an_id_of_two_sources_that_two_parts_meet_at_once_is_noted(place: str, request: pytest.FixtureRequest) -> None:
    """Each part reads its call before the other one records its own, so only the mark in the sync-state can tell them apart."""
    ids = {"tracks": {"id": "bigint"}}
    web = {"tracks": [track(number, "ann", "Visited", ago(hours=3)) for number in (1, 2)]}
    ios = {"tracks": [track(number, "zoe", "Visited", ago(hours=5 - number)) for number in range(2)]}
    zoe = HeldUser("zoe")
    with open_bench(place, request, "postgres_url_with_state", missing_properties="send") as bench:
        bench.fill_sources({"web_prod": web, "ios_prod": ios}, {"web_prod": ids, "ios_prod": ids})
        run_id, shards = start(bench, 2)
        assert len(shards) == 2
        with ThreadPoolExecutor(1) as other, Sync(bench.settings(concurrency=1), zoe) as sync:
            second = other.submit(sync.deliver_shard, run_id, 1, Interrupt())
            try:
                wait_until(lambda: bench.statuses().get("0") == "sending")
                deliver(bench, run_id, 0)
            finally:
                zoe.let_go.set()
            assert second.result().error is None
        result = finish(bench, run_id)
        assert {row["message_id"]: row["user_id"] for row in bench.read_state("sync_state")} == {"0": "zoe", "1": "ann", "2": "ann"}
        assert bench.events() == {("ann", "Visited"): 2, ("zoe", "Visited"): 1}
        assert (result.summary.sent, result.summary.status) == (3, RunStatus.ATTENTION)
        assert any(note.startswith("1 call of source 'ios_prod' (ids of 'web_prod') not sent") for note in result.notes)
        bench.check(ordered=False)


def test_a_code_that_another_part_is_to_free_waits_for_the_next_run(bench: Bench) -> None:
    bench.fill([identify("a1", "ada", ago(hours=30), referral_code="X"), identify("z0", "zoe", ago(hours=30), plan="free")])
    bench.run(ALL)
    _, tracks = crowd()
    add_rows(bench.warehouse_url, "tracks", tracks)
    change = [identify("a2", "ada", ago(hours=20), referral_code="Y"), identify("z1", "zoe", ago(hours=10), referral_code="X")]
    add_rows(bench.warehouse_url, "identifies", change)
    ada = HeldUser("ada")
    run_id, (first, second) = start(bench, 2, RunOptions())
    with Sync(bench.settings(), ada) as sync, ThreadPoolExecutor(1) as other:
        meanwhile = other.submit(sync.deliver_shard, run_id, first, Interrupt())
        try:
            wait_until(lambda: any(row["referral_code"] == "Y" for row in bench.read_state("sync_customers")))
            deliver(bench, run_id, second)
            assert bench.statuses()["z1"] == "failed:blocked_by_earlier"
            assert bench.sandbox.store.owners == {"X": "ada"}
        finally:
            ada.let_go.set()
        assert meanwhile.result().status is ShardStatus.DONE
    assert finish(bench, run_id).summary.failed == 1
    assert bench.run(ordered=False).summary.failed == 0
    assert bench.sandbox.store.owners == {"Y": "ada", "X": "zoe"}


def test_failed_rows_go_to_the_part_of_their_user(bench: Bench) -> None:
    bench.fill(*crowd())
    bench.sandbox.faults.add("status", status=503, path="/events/invoke", source_id="user05")
    bench.sandbox.faults.add("status", status=503, path="/events/invoke", source_id="user20")
    bench.run(ALL, max_attempts=1, api_down_after=50)
    assert sum(status.startswith("failed") for status in bench.statuses().values()) == 4
    bench.sandbox.faults.clear()
    run_id, shards = start(bench, 2, RunOptions())
    deliver(bench, run_id, *shards)
    result = finish(bench, run_id)
    assert (result.summary.sent, result.summary.failed) == (4, 0)
    bench.check(ordered=False)


def test_an_interrupted_part_is_done_by_its_next_attempt(bench: Bench) -> None:
    bench.fill(*crowd())
    run_id, shards = start(bench, 2)
    interrupt = Interrupt()
    with bench.sync() as sync:
        done = sync.deliver_shard(run_id, 0, interrupt, lambda _progress: interrupt.request(15))
    assert done.status is ShardStatus.INTERRUPTED
    deliver(bench, run_id, *shards)
    assert finish(bench, run_id).summary.sent == 69
    bench.check(ordered=False)


def test_one_stream_in_parts(bench: Bench) -> None:
    bench.fill(*crowd())
    run_id, shards = start(bench, 2, RunOptions(since=ALL, stream=Stream.TRACKS))
    deliver(bench, run_id, *shards)
    result = finish(bench, run_id)
    assert (result.summary.sent, {feed.stream for feed in result.watermarks}) == (46, {Stream.TRACKS})


@pytest.mark.parametrize("request_", [RunOptions(since=ALL, limit=5)])
def test_what_cannot_be_done_in_parts_is_refused_before_anything_is_done(bench: Bench, request_: RunOptions) -> None:
    bench.fill(*crowd())
    with pytest.raises(UsageError, match="--limit"):
        start(bench, 2, request_)
    assert bench.read_state("sync_runs") == []


def test_parts_that_do_not_exist_are_named(bench: Bench) -> None:
    bench.fill(*crowd())
    run_id, _ = start(bench, 2)
    with pytest.raises(UsageError, match="no part 7"):
        deliver(bench, run_id, 7)
    with pytest.raises(UsageError, match="no run nonsense in parts"):
        deliver(bench, "nonsense", 0)
