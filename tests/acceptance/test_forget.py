"""`forget` as a process: what it says, its exit codes, and that both sides stay as they were."""

import pytest

from .conftest import Shop
from .test_verbs import RUN, busiest_user, requests


def owner_of_a_wanted_code(shop: Shop) -> tuple[str, str]:
    """A user whose code another one tried to take, and that code."""
    found = """SELECT c.source_id, c.referral_code FROM sync_customers AS c
        JOIN sync_state AS s ON s.reason = 'referral_code_taken' AND s.detail = 'owned by user ' || c.source_id LIMIT 1"""
    [(user_id, code)] = shop.execute(found)
    return str(user_id), str(code)


def mentions(shop: Shop, word: str) -> int:
    """In how many values of the sync-state tables a word stands."""
    tables = ("sync_state", "sync_customers", "sync_runs", "sync_watermarks", "sync_lease")
    values = [value for table in tables for row in shop.execute(f"SELECT * FROM {table}") for value in row]
    return sum(word in str(value) for value in values)


def test_it_says_what_goes_and_what_stays(shop: Shop) -> None:
    assert shop.ready()(*RUN).code == 0
    user_id, code = owner_of_a_wanted_code(shop)
    before, counts, sent = mentions(shop, user_id), shop.counts(), requests(shop)
    planned = shop("forget", user_id, "--dry-run")
    assert planned.code == 0
    assert f"would forget user {user_id}: user id and hashes (calls: " in planned.out
    assert mentions(shop, user_id) == before > 2
    done = shop("forget", user_id, "--json")
    assert (done.code, done.err) == (0, "")
    document = done.json
    assert (document["known"], document["customer"], document["referral_codes"]) == (True, True, [code])
    assert document["calls"] == sum(document["calls_by_status"].values()) > 0
    assert document["mentions"] > 0
    assert (mentions(shop, user_id), mentions(shop, code)) == (0, 0)
    assert shop.counts() == counts
    assert (shop(*RUN).code, requests(shop)) == (0, sent)
    assert f"nothing is known about {user_id}" in shop("explain", user_id).out
    assert "-forget-" in str(shop.report().runs[1]["run_id"])


def test_second_forget_and_unknown_users(shop: Shop) -> None:
    assert shop.ready()(*RUN).code == 0
    done = shop("forget", "user_00007")
    assert done.out.startswith("forgot user user_00007: ")
    assert "stays: message ids" in done.out
    runs = len(shop.report().runs)
    for user_id in ("user_00007", "nobody"):
        again = shop("forget", user_id)
        assert (again.code, again.err) == (0, "")
        assert again.out.startswith(f"nothing is known about user {user_id}: no call of theirs")
        assert shop("forget", user_id, "--json").json["known"] is False
    assert len(shop.report().runs) == runs


def test_failed_calls_need_a_decision(shop: Shop) -> None:
    user_id = busiest_user(shop)
    shop.ready().sandbox.faults.add("status", status=503, source_id=user_id)
    assert shop(*RUN, REHOOK_SYNC_MAX_ATTEMPTS="1").code == 3
    failed = shop.counts()["failed"]
    for more in ([], ["--dry-run"]):
        refused = shop("forget", user_id, *more)
        assert (refused.code, refused.err.count("\n")) == (2, 1)
        assert f"({failed} failed), nothing was forgotten" in refused.err
    total = shop.counts().total()
    done = shop("forget", user_id, "--give-up", "--json")
    assert (done.code, done.json["given_up"]) == (0, failed)
    assert (shop.counts()["failed"], shop.counts().total()) == (0, total)
    shop.sandbox.faults.clear()
    sent = requests(shop)
    assert (shop(*RUN).code, requests(shop)) == (0, sent)


@pytest.mark.parametrize(("arguments", "why"), [([" "], "USER_ID is blank"), ([], "Missing argument 'USER_ID'")])
def test_wrong_calls_are_2(shop: Shop, arguments: list[str], why: str) -> None:
    done = shop.ready()("forget", *arguments)
    assert (done.code, done.err.count("\n")) == (2, 1)
    assert why in done.err


def test_it_does_not_work_beside_a_run(shop: Shop) -> None:
    assert shop.ready()(*RUN).code == 0
    shop.execute("UPDATE sync_lease SET owner = 'someone', run_id = 'their-run', expires_at = '2999-01-01T00:00:00.000000Z'")
    done = shop("forget", "user_00007")
    assert done.code == 5
    assert "their-run" in done.err
