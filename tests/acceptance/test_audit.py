"""`audit` as a process: exit codes, the document, what people see, and the repair that it names."""

import shlex
from datetime import timedelta

from accounting import NOW
from warehouse import add_rows, track

from .conftest import Shop

AUDIT = ("audit", "--since", "beginning")


def test_all_delivered_is_0_and_adds_up(delivered: Shop) -> None:
    done = delivered(*AUDIT, "--json")
    assert (done.code, done.err) == (0, "")
    streams = done.json["streams"]
    assert {stream: streams[stream]["rows"] for stream in streams} == dict(delivered.facts.distinct)
    assert sum(stream["rejected"] for stream in streams.values()) == sum(delivered.facts.rejected.values())
    assert (done.json["missing"], done.json["repair"]) == (0, None)
    assert sum(line["rows"] for line in done.json["lines"]) == delivered.calls
    seen = delivered(*AUDIT)
    assert "nothing is missing" in seen.out
    assert not any("missing" in line and "nothing" not in line for line in seen.out.splitlines())


def test_missing_rows_are_3_and_the_named_command_repairs(shop: Shop) -> None:
    assert shop.ready()("run", "--since", "beginning").code == 0
    add_rows(shop.url, "tracks", [track("lost", "user_00007", "Order Completed", NOW - timedelta(days=9))])
    assert shop("run").code == 0
    seen = shop(*AUDIT)
    assert seen.code == 3
    assert "1 missing: below the watermark" in seen.out
    assert any("Order Completed" in line and line.split()[-1] == "1" for line in seen.out.splitlines())
    repair = shop(*AUDIT, "--json").json["repair"]
    assert f"repair: {repair}" in seen.out
    assert shop(*shlex.split(repair.removeprefix("python -m rehook_sync "))).code == 0
    assert shop(*AUDIT).code == 0


def test_it_reads_beside_a_run_and_says_so(shop: Shop) -> None:
    shop.ready().execute("INSERT INTO sync_lease VALUES ('run', 'someone', 'their-run', 1, '2999-01-01T00:00:00.000000Z')")
    done = shop(*AUDIT)
    assert done.code == 0
    assert "note: run their-run was at work meanwhile" in done.out
    assert "no run has come through tracks yet" in done.out
    said = " ".join(done.out.split())
    assert "not judged, and no watermark yet: the next run goes on with an open period" in said
    assert "newer than the watermark" not in said


def test_wrong_calls_are_2(shop: Shop) -> None:
    assert "Missing option '--since'" in shop.ready()("audit").err
    for wrong in (["--since", "soon"], ["--since", "2d", "--until", "3d"]):
        done = shop("audit", *wrong)
        assert (done.code, done.err.count("\n")) == (2, 1)
        assert done.err.startswith("error: --since")
