"""retry, resolve, revalidate and prune as processes: counts that equal what the API saw, and a line in sync_runs for each."""

import os
import pty
import subprocess
import sys
from collections.abc import Callable

import pytest
from accounting import assert_numbers_add_up

from .conftest import Shop

RUN = ("run", "--since", "beginning")


@pytest.fixture
def check(shop: Shop) -> Callable[[], None]:
    """All numbers of the shop add up, on both sides. What is taken up again goes out after what came later."""

    def add_up() -> None:
        assert_numbers_add_up(shop.url, received=shop.sandbox.store, ordered=False, uncertain=True)

    return add_up


def requests(shop: Shop) -> int:
    """Customer upserts and events that reached the sandbox."""
    return sum(entry.path in {"/customers", "/events/invoke"} for entry in shop.sandbox.store.log)


def last_run(shop: Shop) -> dict[str, object]:
    return dict(shop.report().runs[0])


def busiest_user(shop: Shop) -> str:
    counted = "SELECT user_id FROM tracks WHERE anonymous_id IS NULL AND user_id <> '' GROUP BY user_id ORDER BY count(*) DESC LIMIT 1"
    [(user_id,)] = shop.execute(counted)
    return str(user_id)


def statuses(shop: Shop) -> dict[str, str]:
    return dict(shop.execute("SELECT message_id, status FROM sync_state"))


def test_retry_sends_what_failed_and_nothing_else(shop: Shop, check: Callable[[], None]) -> None:
    shop.ready().sandbox.faults.add("status", status=503, source_id=busiest_user(shop))
    assert shop(*RUN, REHOOK_SYNC_MAX_ATTEMPTS="1").code == 3
    failed = shop.counts()["failed"]
    assert failed > 1
    still_failing = shop("retry", "--json", REHOOK_SYNC_MAX_ATTEMPTS="1")
    assert (still_failing.code, still_failing.json["failed"], still_failing.json["sent"]) == (3, failed, 0)
    shop.sandbox.faults.clear()
    before = requests(shop)
    planned = shop("retry", "--dry-run", "--json")
    assert (planned.code, planned.json["rows"], requests(shop)) == (0, failed, before)
    done = shop("retry", "--json")
    assert (done.code, done.json["failed"]) == (0, 0)
    assert done.json["rows_read"] == failed
    assert done.json["sent"] == requests(shop) - before
    assert "-retry-" in str(last_run(shop)["run_id"])
    check()


def test_retry_of_one_reason_leaves_other_users_alone(shop: Shop, check: Callable[[], None]) -> None:
    shop.ready().sandbox.faults.add("status", status=503, source_id="user_00007")
    shop.sandbox.faults.add("rate_limited", source_id="user_00008")
    assert shop(*RUN, REHOOK_SYNC_MAX_ATTEMPTS="1").code == 3
    shop.sandbox.faults.clear()
    assert shop("retry", "--reason", "rate_limited").code == 3
    left = {user for (user,) in shop.execute("SELECT DISTINCT user_id FROM sync_state WHERE status = 'failed'")}
    assert left == {"user_00007"}
    check()


@pytest.mark.parametrize(("command", "reason"), [("retry", "missing_user_id"), ("revalidate", "server_error"), ("retry", "nonsense")])
def test_reason_that_the_verb_does_not_know_is_refused(shop: Shop, command: str, reason: str) -> None:
    done = shop.ready()(command, "--reason", reason)
    assert done.code == 2
    assert done.err.startswith(f"error: --reason: '{reason}' is not one of ")


def in_doubt(shop: Shop) -> list[str]:
    """Deliver with every third event lost on the way back; returns the message ids in doubt."""
    shop.ready().sandbox.faults.add("commit_then_drop", path="/events/invoke", probability=0.3, seed=4)
    assert shop(*RUN).code == 3
    shop.sandbox.faults.clear()
    found = [message_id for message_id, status in statuses(shop).items() if status == "in_doubt"]
    assert len(found) > 3
    return sorted(found)


def test_accepted_calls_count_as_sent_without_a_request(shop: Shop, check: Callable[[], None]) -> None:
    doubtful, before = in_doubt(shop), requests(shop)
    assert shop("resolve", "--accept", "--all", "--dry-run", "--json").json["in_doubt"] == len(doubtful)
    done = shop("resolve", "--accept", doubtful[0], "--json")
    assert (done.code, done.json) == (0, {"verb": "accept", "in_doubt": 1, "dry_run": False})
    assert statuses(shop)[doubtful[0]] == "sent"
    assert shop("resolve", "--accept", "--all").out.strip() == f"accepted {len(doubtful) - 1} in doubt: they count as sent"
    assert requests(shop) == before
    assert "-accept-" in str(last_run(shop)["run_id"])
    assert shop("run").code == 0
    check()


def test_resent_calls_go_out_once_more_and_only_those(shop: Shop) -> None:
    doubtful, before = in_doubt(shop), requests(shop)
    assert shop("resolve", "--resend", "--all", "--dry-run", "--json").json["in_doubt"] == len(doubtful)
    assert (requests(shop), shop.counts()["in_doubt"]) == (before, len(doubtful))
    done = shop("resolve", "--resend", *doubtful[:2], "--json")
    assert (done.code, done.json["sent"], requests(shop) - before) == (3, 2, 2)
    assert shop.counts()["in_doubt"] == len(doubtful) - 2
    assert shop("resolve", "--resend", "--all").code == 0
    assert requests(shop) - before == len(doubtful)
    assert shop.counts()["in_doubt"] == 0


def test_resolve_wants_one_decision(shop: Shop) -> None:
    for choice in ([], ["--resend", "--accept"]):
        done = shop.ready()("resolve", *choice)
        assert (done.code, done.err.count("\n")) == (2, 1)
        assert done.err.startswith("error: give either --resend")


def test_resolve_says_which_ids_are_not_in_doubt_and_does_nothing(shop: Shop) -> None:
    doubtful, before = in_doubt(shop), requests(shop)
    for verb in ("--accept", "--resend"):
        for dry in ([], ["--dry-run"]):
            done = shop("resolve", verb, doubtful[0], "TYPO", *dry)
            assert (done.code, done.out) == (2, "")
            assert done.err == (
                "error: 'TYPO' is not in doubt, and no user with a call in doubt; nothing was done: see `status` and `explain ID`\n"
            )
    assert (requests(shop), shop.counts()["in_doubt"]) == (before, len(doubtful))


@pytest.mark.parametrize("choice", [(), ("--all", "some-id")])
@pytest.mark.parametrize("verb", ["--accept", "--resend"])
def test_resolve_wants_either_ids_or_all(shop: Shop, verb: str, choice: tuple[str, ...]) -> None:
    done = shop.ready()("resolve", verb, *choice)
    assert (done.code, done.out) == (2, "")
    assert done.err == "error: say which calls: either message ids or user ids, or --all for all that are in doubt\n"


@pytest.mark.parametrize(("answer", "code", "left"), [("\n", 2, True), ("no\n", 2, True), ("y\n", 0, False)])
def test_resolve_of_all_asks_on_a_terminal(shop: Shop, answer: str, code: int, left: bool) -> None:
    doubtful, before = in_doubt(shop), requests(shop)
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "rehook_sync", "resolve", "--resend", "--all"]
    environ = shop.program.clean_environ({"TERM": "dumb", "COLUMNS": "200"})
    process = subprocess.Popen(command, cwd=shop.program.folder, env=environ, stdin=theirs, stdout=subprocess.PIPE, stderr=theirs)
    os.close(theirs)
    os.write(ours, answer.encode())
    out, _ = process.communicate(timeout=60)
    shown = os.read(ours, 65536).decode()
    os.close(ours)
    assert f"{len(doubtful)} in doubt: send again; a reward that was paid may be paid twice. Go on? [y/N]" in shown
    assert process.returncode == code
    assert (b"nothing was done" in out) is left
    assert (requests(shop) - before, shop.counts()["in_doubt"]) == ((0, len(doubtful)) if left else (len(doubtful), 0))


def test_revalidate_judges_again_under_todays_settings(shop: Shop, check: Callable[[], None]) -> None:
    assert shop.ready()(*RUN).code == 0
    rejected = shop.execute("SELECT reason, count(*), count(user_id) FROM sync_state WHERE status = 'rejected' GROUP BY reason")
    anonymous = next(count for reason, count, _ in rejected if reason == "anonymous_id_present")
    before, decided = requests(shop), shop.execute("SELECT * FROM sync_state ORDER BY stream, message_id")
    same = shop("revalidate", "--json")
    assert (same.code, same.json["sent"], requests(shop)) == (0, 0, before)
    judged = sum(count for reason, count, _ in rejected if reason != "refused_by_rehook")
    assert (same.json["rejected"], same.json["rows_read"]) == (0, 0)
    assert same.json["notes"][-1].startswith(f"{judged} rejected calls were judged again and stay rejected for the same reason")
    assert shop.execute("SELECT * FROM sync_state ORDER BY stream, message_id") == decided, "the first decision keeps its run and time"
    allowed = {"REHOOK_SYNC_ANONYMOUS_CALLS": "allow_with_user_id"}
    done = shop("revalidate", "--reason", "anonymous_id_present", "--json", **allowed)
    assert done.code == 0
    assert done.json["rows_read"] == anonymous
    assert done.json["sent"] == requests(shop) - before > 0
    check()


def test_what_rehook_refused_is_sent_again_only_when_named(shop: Shop, check: Callable[[], None]) -> None:
    shop.ready().sandbox.faults.add("status", status=422, source_id="user_00007")
    assert shop(*RUN).code == 0
    refused = {
        key for (key,) in shop.execute("SELECT message_id FROM sync_state WHERE user_id = 'user_00007' AND reason = 'refused_by_rehook'")
    }
    shop.sandbox.faults.clear()
    assert shop("revalidate").code == 0
    assert {statuses(shop)[key] for key in refused} == {"rejected"}
    assert shop("revalidate", "--reason", "refused_by_rehook").code == 0
    assert {statuses(shop)[key] for key in refused} <= {"sent", "merged", "unchanged"}
    check()


def test_refused_credentials_leave_rejected_rows_rejected(shop: Shop, check: Callable[[], None]) -> None:
    assert shop.ready()(*RUN).code == 0
    before = statuses(shop)
    shop.sandbox.faults.add("status", status=401, path="/events/invoke")
    shop.sandbox.faults.add("status", status=401, path="/customers")
    done = shop("revalidate", REHOOK_SYNC_ANONYMOUS_CALLS="allow_with_user_id")
    assert done.code == 4
    assert {status for _, status in statuses(shop).items() - before.items()} <= {"unchanged"}
    check()


def test_pruned_rows_keep_what_the_diff_needs(shop: Shop) -> None:
    assert shop.ready()(*RUN).code == 0
    settled = len(statuses(shop))
    shop.execute("UPDATE sync_state SET settled_at = '2026-01-01T00:00:00.000000Z'")
    assert shop("prune", "--older-than", "30d", "--dry-run", "--json").json["rows"] > 0
    before = requests(shop)
    done = shop("prune", "--older-than", "30d", "--json")
    assert done.code == 0
    assert done.json["rows"] > 0
    assert shop.execute("SELECT count(*) FROM sync_state WHERE coalesce(user_id, event, detail, payload_hash, sent_as) IS NOT NULL") == [
        (0,)
    ]
    assert shop("prune", "--older-than", "30d", "--json").json["rows"] == 0
    assert (shop(*RUN).code, requests(shop), len(statuses(shop))) == (0, before, settled)
    assert "-prune-" in str(shop.report().runs[1]["run_id"])


@pytest.mark.parametrize(("age", "why"), [("2d", "must not be less than the lookback"), ("soon", "is no age")])
def test_prune_refuses_what_is_still_in_use_and_what_is_no_age(shop: Shop, age: str, why: str) -> None:
    done = shop.ready()("prune", "--older-than", age)
    assert done.code == 2
    assert why in done.err


@pytest.mark.parametrize(
    "command",
    [("retry",), ("revalidate",), ("resolve", "--accept", "--all"), ("resolve", "--resend", "--all"), ("prune", "--older-than", "30d")],
)
def test_no_verb_works_beside_a_run(shop: Shop, command: tuple[str, ...]) -> None:
    shop.ready().execute("INSERT INTO sync_lease VALUES ('run', 'someone', 'their-run', 1, '2999-01-01T00:00:00.000000Z')")
    done = shop(*command)
    assert done.code == 5
    assert "their-run" in done.err
