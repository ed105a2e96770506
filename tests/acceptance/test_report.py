"""`report` as people call it: a page and its numbers, of a shop that was delivered and of one in trouble."""

import html
import json
import os
import re
import stat
from pathlib import Path

from rehook_sync.sandbox.server import Sandbox

from .conftest import STATUSES, Program, Shop, make_shop, write_settings


def numbers(page: str) -> dict[str, int]:
    """The tiles of a page: status -> calls."""
    found = re.findall(r'data-status="(\w+)">.*?<b>([\d,]+)</b>', page)
    return {status: int(number.replace(",", "")) for status, number in found}


def test_page_and_numbers_agree_with_the_tables(delivered: Shop) -> None:
    done = delivered("report")
    assert (done.code, done.err) == (0, "")
    assert done.out == f"wrote rehook_sync_report.html: {delivered.calls:,} calls, 0 need attention\n"
    path = delivered.program.folder / "rehook_sync_report.html"
    page = path.read_text(encoding="utf-8")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    counts = delivered.counts()
    assert numbers(page) == {status: counts[status] for status in STATUSES if status != "skipped"}
    assert f"{delivered.calls:,} calls = {counts['sent']:,} sent" in re.sub(r"\s+", " ", page)
    assert "All is settled" in page
    document = delivered("report", "--json").json
    assert document["calls"]["total"] == delivered.calls == sum(document["calls"][each] for each in (*STATUSES, "sending"))
    assert document["received_to_settled"]["calls"] == sum(counts[each] for each in ("sent", "merged", "unchanged"))
    assert document["attention"] == document["attention_rows"] == []
    assert document["file"] is None


def test_page_goes_where_it_is_told(delivered: Shop) -> None:
    before = set(delivered.program.folder.iterdir())
    to_stdout = delivered("report", "--out", "-")
    assert to_stdout.out.startswith("<!doctype html>")
    assert to_stdout.out.rstrip().endswith("</html>")
    assert set(delivered.program.folder.iterdir()) == before
    both = delivered("report", "--json", "--out", "seen.html")
    assert both.json["file"] == "seen.html"
    assert (delivered.program.folder / "seen.html").read_text(encoding="utf-8").startswith("<!doctype html>")


def test_an_audit_joins_the_page_when_asked(shop: Shop) -> None:
    shop.ready()
    assert shop("run", "--since", "beginning").code == 0
    shop.execute("DELETE FROM sync_state WHERE message_id IN (SELECT message_id FROM sync_state WHERE event = 'Product Viewed' LIMIT 3)")
    document = shop("report", "--audit", "beginning", "--json", "--out", "page.html").json
    page = (shop.program.folder / "page.html").read_text(encoding="utf-8")
    whole = shop("audit", "--since", "beginning", "--json").json
    found = document["coverage"]
    assert found["whole"]["missing"] == whole["missing"] == 3
    assert found["whole"]["rows"] == sum(line["rows"] for line in whole["lines"]) == shop.calls
    assert found["repair"] == whole["repair"]
    assert [line["event"] for line in found["events"] if line["missing"]] == ["Product Viewed"]
    assert "3 calls of the warehouse are not recorded" in page
    assert html.escape(whole["repair"]) in page
    told = shop("report", "--audit", "beginning", "--out", "page.html").out.rstrip()
    assert told.endswith(f"; 3 calls of the warehouse are not recorded: {whole['repair']}")
    assert "Is all of it there?" not in shop("report", "--out", "-").out


def test_wrong_use_is_one_line(delivered: Shop) -> None:
    for arguments, word in (
        (("--out", "-", "--json"), "stdout"),
        (("--since", "soon"), "--since"),
        (("--audit", "soon"), "--audit"),
        (("--out", "no/such/page.html"), "No such file"),
    ):
        done = delivered("report", *arguments)
        assert done.code == 2
        assert word in done.err
        assert len(done.err.splitlines()) == 1


def test_period_is_told_and_bounds_the_calls(delivered: Shop) -> None:
    assert "at any time" in delivered("report", "--since", "beginning", "--out", "-").out
    delivered.program.folder.joinpath("rehook_sync_report.html").unlink(missing_ok=True)
    later = delivered("report", "--since", "2999-01-01", "--json").json
    assert (later["calls"]["total"], later["runs"]) == (0, 0)


def test_nothing_but_the_state_is_needed(tmp_path: Path, sandbox: Sandbox) -> None:
    shop = make_shop(tmp_path, f"sqlite:///{tmp_path / 'shop.db'}", sandbox).ready()
    shop.execute("DROP TABLE tracks")
    assert "Nothing to report yet" in shop("report", "--out", "-").out
    assert "run --since 7d" in shop("report", "--out", "-").out


def test_state_that_does_not_exist_is_said_in_one_line(program: Program) -> None:
    (program.folder / "w.db").touch()
    write_settings(program.folder / "rehook_sync.toml", {"warehouse_url": f"sqlite:///{program.folder / 'w.db'}"})
    done = program("report")
    assert done.code == 2
    assert "init" in done.err
    assert os.listdir(program.folder).count("rehook_sync_report.html") == 0  # noqa: PTH208


def test_trouble_comes_with_commands_that_settle_it(shop: Shop) -> None:
    shop.ready()
    shop.sandbox.faults.add("commit_then_drop", path="/events/invoke", times=3)
    shop.sandbox.faults.add("status", status=503, path="/customers", times=6)
    assert shop("run", "--since", "beginning", REHOOK_SYNC_MAX_ATTEMPTS="1").code == 3
    document = shop("report", "--json", "--out", "page.html").json
    page = (shop.program.folder / "page.html").read_text(encoding="utf-8")
    counts = shop.counts()
    assert {each["status"]: each["calls"] for each in document["attention"]} == {"in_doubt": 3, "failed": counts["failed"]}
    doubtful = [row for row in document["attention_rows"] if row["status"] == "in_doubt"]
    assert len(doubtful) == 3
    assert "Needs attention" in page
    for row in doubtful:
        command = f"python -m rehook_sync resolve --accept {row['message_id']}"
        assert command in page
        assert shop(*command.split()[3:]).code == 0
    (retry,) = [each for each in document["attention"] if each["status"] == "failed"]
    assert shop(*retry["commands"][0].split()[3:]).code == 0
    assert shop("report", "--json").json["attention"] == []


def test_page_holds_no_traits_properties_or_referral_codes(shop: Shop) -> None:
    shop.ready()
    assert shop("run", "--since", "beginning").code == 0
    page, document = shop("report", "--out", "-").out, json.dumps(shop("report", "--json").json)
    people = [value for row in shop.execute("SELECT first_name, last_name, email, referral_code FROM identifies") for value in row if value]
    assert len(people) > 100
    for value in people:
        assert not re.search(rf"\b{re.escape(str(value))}\b", page + document), value
