"""`explain` in the hands of an analyst: why didn't this user get it, and what to type next. The commands shown are run."""

import re
import shlex

import pytest

from rehook_sync.render.advice import Shell
from rehook_sync.render.console import Screen
from rehook_sync.render.explain import explanation_view

from .conftest import Done, Shop


def commands(done: Done) -> list[list[str]]:
    """The command lines that a story shows, without the program's name."""
    return [shlex.split(line)[3:] for line in done.out.splitlines() if line.strip().startswith("python -m rehook_sync ")]


def facts(done: Done) -> dict[str, str]:
    """The labelled lines of a story of one call, with those that go on below them."""
    found: dict[str, str] = {}
    label = ""
    for line in done.out.splitlines():
        match = re.match(r"^  (\w* +)(\S.*)$", line)
        if match and len(match[1]) == 9 and not line.strip().startswith(("#", "python -m")):
            label = match[1].strip() or label
            found[label] = f"{found.get(label, '')} {match[2]}".strip()
    return found


def one(shop: Shop, condition: str) -> str:
    return str(shop.execute(f"SELECT min(message_id) FROM sync_state WHERE {condition}")[0][0])


def test_every_story_fits_80_columns_and_breaks_no_id(
    delivered: Shop, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    screen = Screen(as_json=False)
    found = delivered.execute("SELECT DISTINCT user_id FROM sync_state WHERE user_id IS NOT NULL UNION SELECT message_id FROM sync_state")
    with delivered.opened() as sync:
        for (key,) in found:
            explanation = sync.explain(key)
            screen.say(*explanation_view(explanation, Shell()))
            story = capsys.readouterr().out
            ids = {str(row["message_id"]) for row in explanation.rows}
            assert all(message_id in story for message_id in ids)
            prose = [line for line in story.splitlines() if "python -m" not in line and not any(each in line for each in (key, *ids))]
            assert max(len(line.rstrip()) for line in prose) <= 80


def test_story_of_each_fate_fits_80_columns_and_says_what_to_do(shop: Shop) -> None:
    shop.ready()
    shop.sandbox.faults.add("commit_then_drop", path="/events/invoke", times=2)
    shop.sandbox.faults.add("status", status=503, path="/customers", times=8)
    assert shop("run", "--since", "beginning", REHOOK_SYNC_MAX_ATTEMPTS="1").code == 3
    shop.sandbox.faults.clear()
    fates = shop.execute("SELECT min(message_id), status, reason FROM sync_state GROUP BY status, reason, stream")
    assert {row[1] for row in fates} == {"sent", "unchanged", "merged", "rejected", "failed", "in_doubt"}
    for message_id, status, reason in fates:
        done = shop("explain", message_id, COLUMNS="80")
        told = facts(done)
        prose = [line for line in done.out.splitlines() if "python -m" not in line and message_id not in line]
        assert max(len(line.rstrip()) for line in prose) <= 80
        assert {"message", "decided", "sent"} <= told.keys()
        assert (reason or "") in told.get("why", "")
        assert ("next" in told) is (status in {"rejected", "failed", "in_doubt"})
        for command in commands(done):
            quiet = ["--dry-run"] if command[0] in {"revalidate", "resolve", "retry"} else []
            assert shop(*command, *quiet).code == 0, command


def test_merged_call_names_its_carrier_and_blocked_call_its_cause(shop: Shop) -> None:
    shop.ready()
    # Whoever has most calls after an Identify call: the shop ends now, so what is left of a user depends on the time of day.
    (user,) = shop.execute(
        "SELECT t.user_id FROM tracks AS t JOIN identifies AS i ON i.user_id = t.user_id AND i.timestamp < t.timestamp"
        " WHERE t.anonymous_id IS NULL AND i.anonymous_id IS NULL GROUP BY t.user_id ORDER BY count(*) DESC, t.user_id"
    )[0]
    shop.sandbox.faults.add("status", status=503, source_id=user)
    assert shop("run", "--since", "beginning", REHOOK_SYNC_MAX_ATTEMPTS="1").code == 3
    merged = facts(shop("explain", one(shop, "status = 'merged'"), COLUMNS="200"))
    (carrier,) = shop.execute("SELECT sent_as FROM sync_state WHERE message_id = ?", one(shop, "status = 'merged'"))[0]
    assert re.fullmatch(rf"inside the Identify call of \S+ \S+, message {carrier}: HTTP 20[01], accepted", merged["sent"])
    blocked = facts(shop("explain", one(shop, "reason = 'blocked_by_earlier'"), COLUMNS="200"))
    # The request that failed may have carried several Identify calls; the last of them is named.
    sql = "SELECT message_id FROM sync_state WHERE reason = 'server_error' ORDER BY occurred_at DESC, message_id DESC"
    (cause,) = shop.execute(sql)[0]
    assert f"failed, message {cause}" in blocked["why"]
    shop.sandbox.faults.clear()
    assert shop("retry").code == 0
    assert "next" not in facts(shop("explain", cause))


def test_taken_code_names_its_owner(delivered: Shop) -> None:
    message_id = one(delivered, "reason = 'referral_code_taken'")
    (owner,) = delivered.execute("SELECT substr(detail, 15) FROM sync_state WHERE message_id = ?", message_id)[0]
    done = delivered("explain", message_id)
    assert f"owned by user {owner}" in facts(done)["why"]
    assert commands(done)[0] == ["explain", owner]
    assert "owns referral code" in delivered("explain", owner).out


def test_call_that_no_run_judged_says_why_and_how_to_take_it_up(shop: Shop) -> None:
    shop.ready()
    assert shop("run", "--since", "3d").code == 0
    sql = "SELECT id FROM tracks WHERE id NOT IN (SELECT message_id FROM sync_state) AND user_id IS NOT NULL AND anonymous_id IS NULL"
    (message_id,) = shop.execute(sql + " ORDER BY received_at")[0]
    done = shop("explain", message_id)
    assert "older than the start of the first run" in facts(done)["why"]
    document = shop("explain", message_id, "--json").json
    assert (document["rows"], document["not_judged"][0]["absence"]) == ([], "before_start")
    plan, run = commands(done)
    assert (plan[0], run[0]) == ("plan", "run")
    assert shop(*plan).code == 0
    assert shop(*run).code == 0
    assert shop("explain", message_id, "--json").json["rows"][0]["message_id"] == message_id
