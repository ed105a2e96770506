"""Which states hold after a run, and what people are told of them."""

from datetime import UTC, datetime, timedelta

import pytest

from rehook_sync.errors import (
    ApiDownError,
    CredentialsRefusedError,
    DatabaseError,
    InternalError,
    LeaseHeldError,
    RehookSyncError,
    SourceError,
    UsageError,
)
from rehook_sync.inputs.notices import Condition
from rehook_sync.models import RunStatus, Status
from rehook_sync.notify.messages import begun_message, over_message
from rehook_sync.notify.states import Ending, holds
from rehook_sync.settings import load_settings

ALL = [
    *map(Condition, ("attention", "stopped", "crashed", "waiting")),
    Condition("rejected_share", above=0.2),
    Condition("lag", longer_than=timedelta(hours=2)),
]
SUCCEEDED, ATTENTION, STOPPED = (Ending("r", status) for status in (RunStatus.SUCCEEDED, RunStatus.ATTENTION, RunStatus.STOPPED))


@pytest.mark.parametrize(
    ("ending", "attention", "stopped", "crashed"),
    [
        (SUCCEEDED, False, False, False),
        (ATTENTION, True, False, False),
        (STOPPED, None, True, None),
        (Ending("r", RunStatus.INTERRUPTED), None, None, None),
        (Ending("r", RunStatus.SUCCEEDED, died=("q",)), False, False, True),
        (Ending("r", died=("q",)), None, None, True),
        (Ending(error=SourceError("gone")), None, True, None),
        (Ending(error=UsageError("where to begin")), None, True, None),
        (Ending(error=CredentialsRefusedError("no")), None, True, None),
        (Ending(error=DatabaseError("disk")), None, None, True),
        (Ending(error=InternalError("bug")), None, None, True),
        (Ending(error=ValueError("bug")), None, None, True),
        (Ending(error=LeaseHeldError("another")), None, None, None),
        (Ending(error=KeyboardInterrupt()), None, None, None),
        (Ending(error=SystemExit(143)), None, None, None),
    ],
)
def test_the_end_of_a_run_says_which_states_hold(
    ending: Ending, attention: bool | None, stopped: bool | None, crashed: bool | None
) -> None:
    assert [holds(Condition(kind), ending) for kind in ("attention", "stopped", "crashed")] == [attention, stopped, crashed]


@pytest.mark.parametrize(
    ("figures", "waiting", "share", "lag"),
    [
        ({}, None, None, None),
        ({"waiting": 0, "rows": 0, "rejected": 0}, False, None, None),
        ({"waiting": 1, "rows": 100, "rejected": 20, "lag": timedelta(hours=2)}, True, False, False),
        ({"waiting": 1, "rows": 100, "rejected": 21, "lag": timedelta(hours=2, minutes=1)}, True, True, True),
    ],
)
def test_figures_are_compared_with_their_bounds(
    figures: dict[str, object], waiting: bool | None, share: bool | None, lag: bool | None
) -> None:
    ending = Ending("r", RunStatus.SUCCEEDED, **figures)  # type: ignore[arg-type]
    assert [holds(each, ending) for each in ALL[3:]] == [waiting, share, lag]


def test_messages_say_what_is_known_and_no_text_of_an_error() -> None:
    error = ApiDownError("the answer was secret")
    message = begun_message(Condition("stopped"), Ending("r1", RunStatus.STOPPED, error), ["web", "ios"])
    assert message.title == "rehook-sync (web, ios): runs are stopped"
    assert message.body == (
        "The Rehook API does not work (exit code 4). Nothing is lost: no watermark moved, and the next run tries again.\n"
        "Run r1. `python -m rehook_sync status` on its machine shows more."
    )
    crashed = begun_message(Condition("crashed"), Ending(error=ValueError("secret")), [])
    assert crashed.title == "rehook-sync: a run died"
    assert crashed.body.startswith("It ended with an error that nobody expected (ValueError).")
    assert "secret" not in message.body + crashed.body
    over = over_message(Condition("lag", longer_than=timedelta(hours=2)), datetime(2026, 11, 1, 12, tzinfo=UTC), SUCCEEDED, ["web"])
    assert (over.title, over.tone) == ("rehook-sync (web): over: no new rows", "success")
    assert over.body.startswith("It was so since 2026-11-01 12:00 UTC.\nRun r.")


@pytest.mark.parametrize("condition", ALL, ids=lambda each: each.kind)
def test_every_state_has_words(condition: Condition) -> None:
    ending = Ending("r", RunStatus.ATTENTION, None, ("q", "p"), {Status.FAILED: 3, Status.WAITING: 1}, timedelta(hours=3), 1234, 1000, 234)
    said = begun_message(condition, ending, ["web"])
    assert said.title.count("\n") == 0
    assert (
        said.body.partition("\n")[0]
        == {
            "attention": "Rows of all runs: 3 failed, 1 have waited too long.",
            "stopped": "Something around the job fails. Nothing is lost: no watermark moved, and the next run tries again.",
            "crashed": "Runs q, p did not end by themselves. What was in flight then is known to the sync-state, and the next run goes on.",
            "waiting": "1,234 calls wait; each run looks again.",
            "rejected_share": "23.4% of the rows of the last day: 234 of 1,000.",
            "lag": "The newest row of a source is 3h old; the bound is 2h. Is the warehouse loaded?",
        }[condition.kind]
    )


def test_every_error_that_may_stop_a_job_has_words() -> None:
    kinds = [each for each in RehookSyncError.__subclasses__() if each.exit_code in {2, 4}]
    leaves = [leaf for each in kinds for leaf in each.__subclasses__()]
    said = [begun_message(Condition("stopped"), Ending(error=each("x")), []).body for each in leaves]
    assert leaves
    assert [body for body in said if body.startswith("Something around")] == []


def test_urls_of_notifiers_are_shown_by_their_kind_alone() -> None:
    secret = "s3cr3t-value"
    notify, heartbeat = f"Slack://{secret}/b,mailto://me:{secret}@host", f"https://me:{secret}@hc.test/{secret}?{secret}"
    shown = load_settings(environ={"REHOOK_SYNC_WAREHOUSE_URL": "sqlite://"}, notify=notify, heartbeat_url=heartbeat).describe()
    assert (shown["notify"], shown["heartbeat_url"]) == ("slack://***, mailto://***", "https://hc.test/***")
