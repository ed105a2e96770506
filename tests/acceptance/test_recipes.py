"""The recipes of docs/operating.md, carried out as they stand there."""

import re
import shlex
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from accounting import Audit, assert_numbers_add_up
from sqlalchemy import make_url
from warehouse import event, make_warehouse, run_sql, track

from rehook_sync.sandbox.server import Sandbox
from rehook_sync.sandbox.store import Credentials

from .conftest import ROOT, Done, Shop, make_shop, wait_until


def carry_out(shop: Shop, title: str, **environ: str) -> list[Done]:
    """Run the commands below a title, with what they export; `environ` stands for what only the reader knows."""
    page = (ROOT / "docs" / "operating.md").read_text(encoding="utf-8")
    _, _, after = page.partition(f"**{title}.**")
    found = re.search(r"```sh\n(.*?)```", after, re.DOTALL)
    assert found, f"docs/operating.md has no recipe {title!r}"
    done = []
    for line in found[1].splitlines():
        words = shlex.split(line, comments=True)
        if words[0] == "export":
            name, _, value = words[1].partition("=")
            environ.setdefault(name, environ.get(value[1:], value) if value.startswith("$") else value)
        else:
            assert words[:3] == ["python", "-m", "rehook_sync"]
            done.append(shop(*(environ.get(word[1:], word) if word.startswith("$") else word for word in words[3:]), **environ))
    return done


def test_page_and_screen_calls(shop: Shop) -> None:
    assert shop.ready()("run", "--since", "beginning").code == 0
    now = datetime.now(UTC)
    calls = [track(f"c{at}", f"user-{at % 3}", when=now - timedelta(days=at)) for at in range(1, 11)]
    rows = [{name: value for name, value in call.items() if not name.startswith("event")} | {"title": "Home"} for call in calls]
    make_warehouse(shop.url, {"pages": rows, "screens": rows})
    refused = shop("run", REHOOK_SYNC_OTHER_CALLS="pages=Page Viewed")
    assert (refused.code, refused.out) == (2, "")
    assert "stream pages is new to the sync-state tables, so nothing was begun" in refused.err
    before = len(shop.sandbox.store.events)
    checked, planned, *ran = carry_out(shop, "Page and Screen calls")
    assert [each.code for each in (checked, planned, *ran)] == [0] * 5
    assert "pages: table " in checked.out
    assert "sent as 'Page Viewed'" in checked.out
    sent = Counter(each.event_name for each in shop.sandbox.store.events[before:])
    assert sent == {"Page Viewed": 6, "Screen Viewed": 6}, "those of the last seven days"
    audit = Audit(shop.url, received=shop.sandbox.store, others=("pages", "screens"))
    audit.check(ordered=False)  # the new streams' old calls come after the others' new ones


def test_from_a_trial_to_production(shop: Shop) -> None:
    assert shop.ready()("run", "--since", "beginning").code == 0
    with Sandbox(credentials=Credentials("live-key", "live-secret")) as live:
        access = {"REHOOK_SYNC_API_URL": live.url, "REHOOK_SYNC_API_KEY": "live-key", "REHOOK_SYNC_API_SECRET": "live-secret"}
        for command in ("run", "plan", "check"):
            done = shop(command, **access)
            assert done.code == 2
            assert f"these tables belong to {shop.sandbox.url}" in done.err + done.out
        assert len(live.store.events) == 0
        created, ran = carry_out(shop, "From a trial to production", **access)
        assert (created.code, ran.code) == (0, 0)
        assert 0 < len(live.store.events) <= len(shop.sandbox.store.events)
        assert_numbers_add_up(shop.url, f"sqlite:///{shop.program.folder / 'live.db'}", received=live.store)
    assert_numbers_add_up(shop.url, received=shop.sandbox.store)


def test_a_new_api_key(shop: Shop) -> None:
    assert shop.ready()("run", "--since", "beginning").code == 0
    before = len(shop.sandbox.store.log)
    shop.sandbox.store.credentials = Credentials("key-2", shop.sandbox.credentials.secret)
    done = shop("run", REHOOK_SYNC_API_KEY="key-2")
    assert (done.code, done.out) == (2, "")
    assert "python -m rehook_sync init --rotated-key" in done.err
    assert len(shop.sandbox.store.log) == before
    known, ran = carry_out(shop, "A new API key", REHOOK_SYNC_API_KEY="key-2")
    assert (known.code, ran.code) == (0, 0)
    assert known.out.endswith("they know the API key of the settings\n")
    assert "key-2" not in (shop.program.folder / "shop.db").read_bytes().decode("latin-1")
    assert_numbers_add_up(shop.url, received=shop.sandbox.store)


def test_an_interrupted_backfill(shop: Shop) -> None:
    assert shop.ready()("run", "--since", "1h").code == 0
    assert shop("run", "--since", "beginning", "--limit", "40").code == 0
    left = shop.calls - sum(shop.counts().values())
    assert left > 0
    shown = shop("status", COLUMNS="80").out
    assert "open  tracks from the beginning until" in shown
    assert f"{shop('plan', '--json').json['rows']}" == str(left)
    ran, status = carry_out(shop, "An interrupted backfill")
    assert (ran.code, status.code) == (0, 0)
    assert "open  " not in status.out
    assert sum(shop.counts().values()) == shop.calls
    assert shop("audit", "--since", "beginning").code == 0
    assert_numbers_add_up(shop.url, received=shop.sandbox.store)


def test_cut_over_from_segments_own_destination(shop: Shop) -> None:
    cut = (datetime.now(UTC) - timedelta(days=2)).isoformat()
    _, planned, recorded, ran = carry_out(shop, "Cut-over from Segment's own destination", CUT=cut)
    assert (planned.code, recorded.code, ran.code) == (0, 0, 0)
    counts = shop.counts()
    assert counts["skipped"] > 0
    assert planned.out.startswith(f"would record {counts['skipped']:,} calls as settled elsewhere")
    assert "0 requests" in recorded.out
    assert sum(counts.values()) == shop.calls
    assert counts["sent"] > 0
    moments = shop.execute("SELECT count(*) FROM sync_state WHERE (status = 'skipped') <> (received_at < ?)", cut.replace("+00:00", "Z"))
    assert moments == [(0,)]
    assert shop("audit", "--since", "beginning").code == 0
    assert_numbers_add_up(shop.url, received=shop.sandbox.store)


def test_after_a_restored_backup(shop: Shop) -> None:
    state = shop.program.folder / "state.db"
    environ = {"REHOOK_SYNC_STATE_URL": f"sqlite:///{state}"}
    assert shop("init", **environ).code == 0
    (refused,) = shop.execute("SELECT received_at FROM identifies WHERE user_id LIKE 'legacy-crm-%'")[0]
    until = min(refused, str(datetime.now(UTC) - timedelta(days=3)))
    assert shop("run", "--since", "beginning", "--until", until, **environ).code == 0
    backup = state.read_bytes()
    assert shop("run", **environ).code == 0
    sent = len(shop.sandbox.store.events)
    last = datetime.now(UTC).isoformat()
    state.write_bytes(backup)
    plan = shop("plan", "--json", **environ).json
    assert plan["actions"]["events"] > 0, "without the baseline they would be paid out twice"
    recorded, ran, refreshed = carry_out(shop, "After a restored backup", LAST=last, **environ)
    assert (recorded.code, ran.code, refreshed.code) == (0, 0, 3)
    assert re.search(r"^ +1 +rejected", refreshed.out, re.MULTILINE), "the customer whose traits Rehook refuses: the lost record knew it"
    assert len(shop.sandbox.store.events) == sent
    assert shop("audit", "--since", "beginning", **environ).code == 0


def test_a_killed_baseline_ends_the_same_with_the_same_command(shop: Shop) -> None:
    words = ("baseline", "--since", "beginning", "--until", (datetime.now(UTC) - timedelta(days=2)).isoformat())
    process = shop.ready().program.start(*words, REHOOK_SYNC_CHUNK_ROWS="1")
    wait_until(lambda: process.poll() is not None or sum(shop.counts().values()) > 0)
    process.kill()
    process.communicate()
    left = sum(shop.counts().values())
    shop.execute("UPDATE sync_lease SET expires_at = '2026-01-01T00:00:00.000000Z'")
    assert left
    if shop.execute("SELECT count(*) FROM sync_periods WHERE closed_at IS NULL") != [(0,)]:
        done = shop("run")
        assert (done.code, "goes on with it" in done.err) == (2, True)
    done = shop(*words, "--json")
    assert done.code == 0
    assert shop("run").code == 0
    assert sum(shop.counts().values()) == shop.calls
    assert shop("audit", "--since", "beginning").code == 0
    assert_numbers_add_up(shop.url, received=shop.sandbox.store)


def test_a_changed_mapping(shop: Shop) -> None:
    assert shop.ready()("run", "--since", "beginning").code == 0
    before, events = len(shop.sandbox.store.log), len(shop.sandbox.store.events)
    planned, refreshed, ran = carry_out(shop, "A changed mapping")
    assert (planned.code, refreshed.code, ran.code) == (0, 0, 0)
    sent = Counter(each.source_id for each in shop.sandbox.store.log[before:] if each.path == "/customers")
    assert planned.out.startswith(f"would send {len(sent):,} customers")
    assert set(sent.values()) == {1}
    assert len(shop.sandbox.store.events) == events
    assert "has changed since the last run" not in ran.out
    assert shop("run").out.count("REHOOK_SYNC_TRAIT_NAMES has changed since the last run") == 1
    assert_numbers_add_up(shop.url, received=shop.sandbox.store)


def test_moving_the_state(shop: Shop, postgres_url: str) -> None:
    assert shop.ready()("run", "--since", "beginning", "--until", "3d").code == 0
    held = shop.counts()
    there = make_url(postgres_url).update_query_dict({"application_name": "s3cret-name"}).render_as_string(hide_password=False)
    copied, planned, ran = carry_out(shop, "Moving the state", NEW_STATE_URL=there)
    assert (copied.code, planned.code, ran.code) == (0, 0, 0), copied.err
    assert "s3cret-name" not in copied.out + copied.err
    assert shop.counts() == held, "nothing has changed here"
    assert sum(held.values()) + shop("status", "--json", REHOOK_SYNC_STATE_URL=there).json["runs"][0]["rows_read"] == shop.calls
    assert shop("audit", "--since", "beginning", REHOOK_SYNC_STATE_URL=there).code == 0
    # A call that was loaded late may stand before the bound by its time, and behind it by its arrival: then the second run sends it.
    assert_numbers_add_up(shop.url, there, received=shop.sandbox.store, ordered=False)
    again = shop("copy-state", "--to", there)
    assert (again.code, again.out, again.err.count("\n")) == (2, "", 1)
    assert "are not empty" in again.err
    wrong = shop("copy-state", "--to", "s3cret-name")
    assert (wrong.code, "s3cret-name" in wrong.err) == (2, False)


def test_giving_a_period_up_says_what_stays_out(shop: Shop) -> None:
    assert shop.ready()("run", "--since", "1h").code == 0
    assert shop("run", "--since", "beginning", "--limit", "40").code == 0
    left = shop.calls - sum(shop.counts().values())
    before = len(shop.sandbox.store.log)
    for dry in (["--dry-run"], []):
        done = shop("run", "--abandon", "--json", *dry).json
        assert (sum(each["calls"] for each in done["abandoned"]), done["dry_run"]) == (left, bool(dry))
    assert shop("run", "--abandon").out == "no period is open\n"
    wrong = shop("run", "--abandon", "--since", "1d")
    assert (wrong.code, wrong.err.count("\n")) == (2, 1)
    assert shop("run", "--json").json["rows_read"] == 0
    assert len(shop.sandbox.store.log) == before
    audit = shop("audit", "--since", "beginning", "--json")
    assert (audit.code, sum(each["before_start"] for each in audit.json["streams"].values())) == (0, left)


@pytest.fixture
def web_shop(tmp_path: Path, sandbox: Sandbox, postgres_url: str) -> Iterator[Shop]:
    """The shop in the schema `web_prod` of a PostgreSQL server, delivered, and another source beside it."""
    shop = make_shop(tmp_path, postgres_url, sandbox)
    run_sql(postgres_url, "ALTER SCHEMA public RENAME TO web_prod")
    tracks = [track(f"i{at:03}", f"user_{at % 7:05}", "App Opened", datetime.now(UTC) - timedelta(days=9, hours=-at)) for at in range(200)]
    make_warehouse(
        postgres_url, {"identifies": [], "tracks": tracks, "app_opened": [event(row["id"]) for row in tracks]}, schema="ios_prod"
    )
    environ = {"REHOOK_SYNC_WAREHOUSE_SCHEMA": "web_prod"}
    assert [shop(*words, **environ).code for words in (("init",), ("run", "--since", "beginning"))] == [0, 0]
    yield shop
    shop.program.end_all()


def test_a_new_source(web_shop: Shop) -> None:
    sent = len(web_shop.sandbox.store.events)
    done = web_shop("run", REHOOK_SYNC_WAREHOUSE_SCHEMA="web_prod,ios_prod")
    assert (done.code, done.out) == (2, "")
    assert "source 'ios_prod' is new to the sync-state tables, so nothing was begun" in done.err
    checked, planned, begun, ran = carry_out(web_shop, "A new source")
    assert [each.code for each in (checked, planned, begun, ran)] == [0, 0, 0, 0]
    assert "tracks: table ios_prod.tracks" in checked.out
    new = len(web_shop.sandbox.store.events) - sent
    assert 100 < new < 200, "of the last 7 days"
    assert f"{new:,}    events" in planned.out
    shown = web_shop("status", REHOOK_SYNC_WAREHOUSE_SCHEMA="web_prod,ios_prod", COLUMNS="80").out
    assert "ios_prod" in shown
    assert "web_prod" in shown
    audit = Audit(web_shop.url, received=web_shop.sandbox.store, sources={"web_prod": "web_prod", "ios_prod": "ios_prod"})
    audit.check(ordered=False)  # the new source's old calls come after the other one's new ones


def test_a_renamed_schema(web_shop: Shop) -> None:
    log = len(web_shop.sandbox.store.log)
    run_sql(web_shop.url, "ALTER SCHEMA web_prod RENAME TO web_production")
    done = web_shop("run", REHOOK_SYNC_WAREHOUSE_SCHEMA="web_production")
    assert (done.code, done.out) == (2, "")
    assert "if it is 'web_prod' under another schema, set REHOOK_SYNC_WAREHOUSE_SCHEMA=web_prod=web_production" in done.err
    planned, ran = carry_out(web_shop, "A renamed schema")
    assert (planned.code, ran.code) == (0, 0)
    assert "0  rows  " in ran.out
    assert len(web_shop.sandbox.store.log) == log
    Audit(web_shop.url, received=web_shop.sandbox.store, sources={"web_prod": "web_production"}).check()
