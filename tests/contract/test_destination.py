"""Sync-state tables belong to one Rehook: no run goes on with another one, or with another key, by mistake."""

from collections.abc import Callable

import accounting
import pytest
from accounting import ALL, Bench, ago
from warehouse import add_rows, identify, track

from rehook_sync.errors import CredentialsRefusedError, SettingsError
from rehook_sync.jobs.results import RunOptions, RunResult
from rehook_sync.models import RunStatus, Selection, Status
from rehook_sync.runtime import Interrupt
from rehook_sync.sandbox.server import Sandbox
from rehook_sync.sandbox.store import Credentials, FakeRehook
from rehook_sync.sync import Sync

bench = accounting.bench

ACTS: dict[str, Callable[[Sync], object]] = {
    "run": lambda sync: sync.run(RunOptions(), Interrupt()),
    "run --since beginning": lambda sync: sync.run(RunOptions(since=ALL), Interrupt()),
    "retry": lambda sync: sync.run(RunOptions(only=Selection(Status.FAILED)), Interrupt()),
    "a run in parts": lambda sync: sync.start(RunOptions(), 2),
    "plan": lambda sync: sync.plan(RunOptions()),
    "check": lambda sync: sync.check_destination(),
}


def fill(bench: Bench) -> None:
    """A shop whose first calls were delivered, and another call that was not."""
    bench.fill([identify("i1", "ada", ago(hours=5))], [track(f"t{each}", f"u{each}", "Visited", ago(hours=4)) for each in range(9)])
    assert bench.run(ALL).summary.sent == 10
    add_rows(bench.warehouse_url, "tracks", [track("late", "ada", "Visited", ago(hours=1))])


def about_tables(result: RunResult) -> list[str]:
    """The notes of a run on where the tables belong."""
    return [each for each in result.notes if each.startswith("these tables")]


def refused(bench: Bench, match: str, **settings: object) -> None:
    """Whatever is tried with these settings is refused; nothing is sent and nothing is written."""
    before, log = bench.check(complete=False), len(bench.sandbox.store.log)
    for act in ACTS.values():
        with bench.sync(**settings) as sync, pytest.raises(SettingsError, match=match):
            act(sync)
    assert (bench.check(complete=False), len(bench.sandbox.store.log)) == (before, log)


def test_another_address_is_refused_with_the_way_to_begin_anew(bench: Bench) -> None:
    fill(bench)
    with Sandbox() as other:
        refused(bench, f"these tables belong to {bench.sandbox.url}, where all went that they call sent", api_url=other.url)
        assert len(other.store.log) == 0
    with pytest.raises(SettingsError) as found:
        bench.plan(api_url="https://api.rehook.ai")
    is_sqlite = bench.name_of("sync_state") == "sync_state"
    assert ("REHOOK_SYNC_STATE_SCHEMA" in str(found.value)) is not is_sqlite
    assert "REHOOK_SYNC_STATE_URL" in str(found.value)
    assert bench.run().summary.sent == 1


def test_another_key_is_refused_until_it_is_said_to_be_of_the_same_project(bench: Bench) -> None:
    fill(bench)
    (before,) = bench.read_state("sync_destination")
    bench.sandbox.store.credentials = Credentials("another-key", bench.sandbox.credentials.secret)
    refused(bench, "know another API key .* init --rotated-key", api_key="another-key")
    with bench.sync(api_key="another-key") as sync:
        sync.rotate_key()
    (after,) = bench.read_state("sync_destination")
    assert before["api_url"] == after["api_url"] == bench.sandbox.url
    assert "key" not in before["key_fingerprint"] + after["key_fingerprint"]
    assert bench.run(api_key="another-key").summary.sent == 1
    refused(bench, "know another API key", api_key="some-key")


def test_a_key_that_rehook_refuses_is_not_taken_for_the_rotated_one(bench: Bench) -> None:
    fill(bench)
    (before,) = bench.read_state("sync_destination")
    with bench.sync(api_key="typo") as sync, pytest.raises(CredentialsRefusedError):
        sync.rotate_key()
    assert bench.read_state("sync_destination") == [before]
    with Sandbox() as other, bench.sync(api_url=other.url) as sync, pytest.raises(SettingsError, match="these tables belong to"):
        sync.rotate_key()
    assert bench.run().summary.sent == 1


def test_where_nothing_was_sent_yet_another_rehook_may_be_named(bench: Bench) -> None:
    bench.fill(tracks=[track(f"t{each}", f"u{each}", "Visited", ago(hours=4)) for each in range(9)])
    assert bench.run(ALL, api_key="typo", check=False).summary.status is RunStatus.STOPPED
    with Sandbox(credentials=Credentials("other", "other")) as other:
        assert bench.run(ALL, api_url=other.url, check=False).summary.status is RunStatus.STOPPED
    result = bench.run(ALL)
    assert (result.summary.sent, about_tables(result)) == (9, [])
    (row,) = bench.read_state("sync_destination")
    assert row["api_url"] == bench.sandbox.url


def test_tables_that_did_not_say_where_they_belong_say_it_once(bench: Bench) -> None:
    fill(bench)
    bench.change_state(f"DELETE FROM {bench.name_of('sync_destination')}")
    notes = [about_tables(bench.run()), about_tables(bench.run())]
    assert notes == [
        [
            f"these tables did not say to which Rehook they belong: from this run on it is {bench.sandbox.url} with this API key, "
            "and a run with another one is refused"
        ],
        [],
    ]
    refused(bench, "these tables belong to", api_url="https://api.rehook.ai")


def test_the_same_address_may_be_written_in_another_way(bench: Bench) -> None:
    fill(bench)
    assert bench.run(api_url=f"{bench.sandbox.url.replace('http', 'HTTP')}///").summary.sent == 1
    assert isinstance(bench.sandbox.store, FakeRehook)
