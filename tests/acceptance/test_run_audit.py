"""The line of a run's end that says whether the lookback is complete."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from rehook_sync.demo.shop import add_second_batch
from rehook_sync.jobs.reading.selfaudit import audit_run
from rehook_sync.models import Stream, Window
from rehook_sync.rules.periods import Feed
from rehook_sync.sandbox.server import Sandbox

from .conftest import Shop, make_shop


@pytest.fixture(params=["sqlite", "postgresql"])
def audited(request: pytest.FixtureRequest, shop: Shop, sandbox: Sandbox) -> Shop:
    url = shop.url if request.param == "sqlite" else request.getfixturevalue("postgres_url")
    made = shop if request.param == "sqlite" else make_shop(shop.program.folder, url, sandbox)
    assert made("init").code == 0
    return made


def require_complete(shop: Shop, audit: dict[str, Any]) -> None:
    """Compare with `audit`; copies of a call count where hours were only looked at."""
    since, until = (datetime.fromisoformat(audit[name]) for name in ("since", "until"))
    assert abs(until - since - timedelta(days=3)) < timedelta(seconds=2)
    whole = shop("audit", "--since", audit["since"], "--json").json
    assert (audit["missing"], whole["missing"]) == (0, 0)
    assert 0 <= audit["rows"] - sum(each["rows"] for each in whole["streams"].values()) <= 30


def test_each_run_says_that_nothing_is_missing_in_its_lookback(audited: Shop) -> None:
    require_complete(audited, audited("run", "--since", "beginning", "--json").json["audit"])
    add_second_batch(audited.url, datetime.now(UTC))
    for _ in range(3):
        require_complete(audited, audited("run", "--json").json["audit"])
    shown = audited("run").out
    assert re.search(r"^audit {6}since [\d-]+ [\d:]+ UTC: [\d,]+ rows, none missing$", shown, re.MULTILINE)


def test_a_run_in_processes_says_it_too(shop: Shop) -> None:
    assert shop.ready()("run", "--since", "beginning", "--workers", "2", "--json").json["audit"]["missing"] == 0


def test_a_run_that_did_not_get_through_or_would_read_again_says_nothing(shop: Shop) -> None:
    shop.ready()
    assert shop("run", "--since", "beginning", "--limit", "20", "--json").json["audit"] is None
    assert "audit" not in shop("run", "--since", "beginning", "--limit", "20").out
    elsewhere = {"REHOOK_SYNC_STATE_URL": f"sqlite:///{shop.program.folder / 'state.db'}"}
    assert shop("init", **elsewhere).code == 0
    assert shop("run", "--since", "beginning", "--json", **elsewhere).json["audit"] is None, "it would read all ids again"
    assert shop("run", "--json", **elsewhere).json["audit"]["missing"] == 0, "the hours were looked at"


def test_a_call_that_no_run_judged_is_missing(shop: Shop) -> None:
    assert shop.ready()("run", "--since", "beginning", "--json").code == 0
    old = "stream = 'tracks' AND status = 'sent' AND received_at < (SELECT max(received_at) FROM sync_state WHERE stream = 'tracks')"
    ((message_id,),) = shop.execute(f"SELECT message_id FROM sync_state WHERE {old} ORDER BY received_at DESC LIMIT 1")
    shop.execute("DELETE FROM sync_state WHERE message_id = ?", message_id)
    with shop.opened() as sync:
        context = sync._context()
        found = audit_run(context, {Feed("default", Stream.TRACKS): Window(None, context.state.now())}, {})
    assert found is not None
    assert found.missing == 1
