"""The bench cannot rot: figures are right, the page is made from records, a tiny round runs for real. No speed is asserted."""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import pytest

from bench.__main__ import command, is_whole, read_arguments
from bench.compare import compared_cases, other_revision, render_comparison, revisions
from bench.contestants import Peers, contestants
from bench.databases import open_databases
from bench.dataset import Layout, make_rows
from bench.figures import COUNT, DRT, EVERYBODY, KEEPING, LIMIT, LIMIT_PLAIN, OURS, OURS_TWO, RATE, STARTS, WALL, Figures, judge
from bench.machine import FOLDER, ReceiverProcess, open_receiver
from bench.page import BEGIN, END, put_section, render
from bench.parts import PARTS, QUICK, Bench, in_turn
from bench.records import Case, Record, Results

AT_ONCE = Case("speed", "SQLite", 0, 64, 100)


def record(who: str, round_: int, wall_s: float, case: Case = AT_ONCE, problem: str | None = None) -> Record:
    return Record(case, who, round_, wall_s, wall_s / 2, peak_mb=50 * wall_s, requests=case.expected, problem=problem)


def test_median_leaves_out_what_does_not_count() -> None:
    found = Figures([record(OURS, 0, 1), record(OURS, 1, 3), record(OURS, 2, 2), record(OURS, 3, 99, problem="exit 1")])
    assert found.median(AT_ONCE, OURS, WALL) == 2
    assert found.rounds(AT_ONCE, OURS) == 3
    assert found.median(AT_ONCE, LIMIT, WALL) is None


def test_ratio_is_that_of_medians_over_the_rounds_both_were_measured_in() -> None:
    ours = [record(OURS, 0, 4), record(OURS, 1, 8), record(OURS, 2, 100)]
    limit = [record(LIMIT, 0, 2), record(LIMIT, 1, 4), record(LIMIT, 2, 1, problem="199 requests arrived")]
    assert Figures([*ours, *limit]).ratio((AT_ONCE, OURS), (AT_ONCE, LIMIT), WALL) == 2
    assert Figures(ours).ratio((AT_ONCE, OURS), (AT_ONCE, LIMIT), RATE) is None


@pytest.mark.parametrize("round_", range(7))
def test_everybody_takes_every_turn(round_: int) -> None:
    orders = [in_turn("abc", each) for each in range(6)]
    assert sorted(in_turn("abc", round_)) == ["a", "b", "c"]
    assert {order[0] for order in orders} == {"a", "b", "c"} == {order[-1] for order in orders}


def test_what_must_be_reached_is_judged_from_the_records() -> None:
    slow, many = replace(AT_ONCE, latency_ms=20), replace(AT_ONCE, latency_ms=20, in_flight=256)
    large, history = replace(AT_ONCE, part="large", rows=1000), [Case("growth", "SQLite", rows=rows) for rows in (10, 1000)]
    lookback = [Case("lookback", "SQLite", rows=rows, elsewhere=there) for there in (False, True) for rows in (10, 1000)]
    backlog = [Case("memory", "SQLite", rows=rows) for rows in (10, 100, 1000)]
    backlog.append(replace(backlog[-1], elsewhere=True))
    tables = [Case("tables", "SQLite", rows=100, tables=each) for each in (1, 40)]
    records = [
        *(record(who, 0, wall_s) for who, wall_s in ((OURS, 4.0), (LIMIT, 2.0), (DRT, 12.0), (OURS_TWO, 2.0))),
        record(OURS, 0, 0.25, replace(AT_ONCE, again=True)),
        *(record(who, 0, 1.0, case) for case in (slow, many, large) for who in (OURS, LIMIT)),
        *(record(OURS, 0, wall_s, case) for case, wall_s in zip(history, (1.0, 1.05), strict=True)),
        *(record(OURS, 0, wall_s, case) for case, wall_s in zip(lookback, (1.0, 1.4, 1.0, 1.4), strict=True)),
        *(record(OURS, 0, wall_s, case) for case, wall_s in zip(backlog, (1.0, 1.0, 12.0, 15.0), strict=True)),
        *(record(OURS, 0, wall_s, case) for case, wall_s in zip(tables, (1.0, 1.3), strict=True)),
        *(record(option, 0, 0.3, Case("startup")) for option in STARTS),
    ]
    found = {must.text: must for must in judge(Figures(records))}
    assert [(must.bound, must.is_met) for must in found.values()] == [
        (0.8, False),
        (2.5, True),
        (1.0, True),
        (0.95, True),
        (0.95, True),
        (0.8, True),
        (0.3, True),
        (1.1, True),
        (1.3, False),
        (1.5, True),
        (1.1, False),
        (0.95, False),
        (1.3, True),
        (1.1, False),
        (0.4, True),
        (0.4, True),
    ]
    assert found["SQLite: time of a run with nothing new, 2,000 settled rows : 20"].value == pytest.approx(1.05)
    assert found["SQLite: rows/s, backlog of 2,000 rows : 200"].value == pytest.approx(10 / 12)
    assert found["SQLite: time of 2,000 rows, sync-state elsewhere : in the warehouse"].value == pytest.approx(1.25)


def test_what_was_tried_in_vain_is_not_reached() -> None:
    (must,) = judge(Figures([record(OURS, 0, 1.0, problem="exit 1"), record(LIMIT, 0, 1.0)]))
    assert (must.value, must.is_met) == (None, None)
    text = render(Results({}, [record(OURS, 0, 1.0, problem="exit 1: a | b\nc"), record(LIMIT, 0, 1.0)]))
    assert "not measured" in text
    assert "exit 1: a / b c" in text


def test_page_shows_the_records_and_only_its_section_changes() -> None:
    slow, some = replace(AT_ONCE, latency_ms=20), replace(AT_ONCE, latency_ms=20, rows=5)
    records = [record(OURS, 0, 0.5), record(LIMIT, 0, 0.25), record(LIMIT, 0, 1.0, slow), record(DRT, 0, 1.0, some)]
    records.append(record(OURS, 0, 0.125, replace(AT_ONCE, again=True)))
    text = render(Results({"Machine": "this one"}, records))
    assert "| Machine | this one |" in text
    assert "| rehook-sync | 400 | 0.50 | 1.250 | 0.50 | 25 | 0.12 | 0.00 | 0.00 | 1 |" in text
    assert "| drt (only 5 + 5 rows) | 10 | 0.05 |" in text
    page = put_section(f"before\n{BEGIN}\nold\n{END}\nafter", text)
    assert page.startswith(f"before\n{BEGIN}\n\n| | measured |")
    assert page.endswith(f"\n\n{END}\nafter")
    assert "old" not in page
    with pytest.raises(ValueError, match="lacks the markers"):
        put_section("no markers", text)


def test_page_leaves_nobody_out() -> None:
    text = render(Results({}, [record(who, 0, 1.0) for who in EVERYBODY]))
    assert [line.split(" | ")[0].removeprefix("| ") for line in text.splitlines() if line.count("|") == 11][2:] == list(EVERYBODY)
    assert set(contestants(Peers(Path("none")))) <= set(EVERYBODY)
    keeping, limit = record(KEEPING, 0, 1.25), record(LIMIT, 0, 1.0)
    assert "| 0.50 | **no** | 0.80: bare loop that keeps order and marks |" in render(Results({}, [record(OURS, 0, 2.0), keeping, limit]))


def test_own_count_of_the_warehouse_is_not_counted_as_ours() -> None:
    small, large = (Case("lookback", "SQLite", rows=rows) for rows in (10, 1000))
    there = replace(small, elsewhere=True), replace(large, elsewhere=True)
    ours = [record(OURS, 0, 1.0, small), record(OURS, 0, 3.0, large), record(OURS, 0, 2.0, there[0]), record(OURS, 0, 3.0, there[1])]
    counts = [record(COUNT, 0, 0.5, small), record(COUNT, 0, 2.0, large)]
    assert [must.value for must in judge(Figures(ours))] == [3.0, 1.5]
    assert [must.value for must in judge(Figures([*ours, *counts]))] == [1.5, 0.75]
    assert "| SQLite | the warehouse's own count | 2,000 | 2.00 |" in render(Results({}, [*ours, *counts]))


def test_results_survive_json() -> None:
    results = Results({"Machine": "this one"}, [record(OURS, 0, 0.5), record(DRT, 1, 0.25, problem="exit 1")])
    assert Results.of(json.loads(json.dumps(results.document()))) == results


@pytest.mark.parametrize("layout", [Layout(300), Layout(300, 7), Layout(300, within=True)])
def test_rows_fit_their_table_and_are_the_same_each_time(layout: Layout) -> None:
    for table, columns in layout.columns.items():
        rows = list(make_rows(table, layout))
        assert rows == list(make_rows(table, layout))
        assert {len(row) for row in rows} == {len(columns.split(", "))}
        assert len({row[0] for row in rows}) == len(rows)
        assert [row[3] for row in rows] == sorted(row[3] for row in rows)


@pytest.mark.parametrize("tables", [1, 7])
def test_events_stand_in_their_tables_under_the_ids_of_their_tracks(tables: int) -> None:
    layout = Layout(50, tables)
    stands = {row[0]: table for table in layout.columns if table not in {"identifies", "tracks"} for row in make_rows(table, layout)}
    assert stands == {row[0]: row[-2] for row in make_rows("tracks", layout)}
    assert len(set(stands.values())) == tables


def test_what_is_within_the_lookback_arrives_in_less_than_that() -> None:
    moments = [datetime.fromisoformat(row[3]) for row in make_rows("tracks", Layout(500, within=True))]
    assert timedelta(days=1) < max(moments) - min(moments) < timedelta(days=3)


@pytest.fixture(scope="module")
def receiver() -> Iterator[ReceiverProcess]:
    with open_receiver([0, 50]) as running:
        yield running


def post(url: str, body: bytes, **headers: str) -> float:
    """Post once; gives the seconds it took."""
    began_s = time.monotonic()
    with urlopen(Request(url, body, headers), timeout=10) as answer:
        assert (answer.status, json.load(answer)) == (200, {"status": "ok"})
    return time.monotonic() - began_s


def test_receiver_counts_requests_and_tells_them_apart(receiver: ReceiverProcess) -> None:
    url = f"{receiver.url(0)}/customers"
    receiver.clear()
    for body in (b"a", b"b", b"a"):
        post(url, body)
    assert (receiver.counts()["requests"], receiver.counts()["distinct"]) == (3, 2)
    for key in ("1", "2", "1"):
        post(url, b"a", **{"Idempotency-Key": key})
    assert (receiver.counts()["requests"], receiver.counts()["distinct"]) == (6, 4)
    receiver.clear()
    assert receiver.counts()["requests"] == 0


def test_receiver_reads_a_body_that_comes_later_and_answers_after_its_latency(receiver: ReceiverProcess) -> None:
    receiver.clear()
    assert post(f"{receiver.url(50)}/events/invoke", b"x" * 500_000) >= 0.05
    assert receiver.counts()["requests"] == 1
    with urlopen(f"{receiver.url(50)}/events/segment/check-auth", timeout=10) as answer:
        assert answer.status == 200
    assert receiver.counts()["requests"] == 1


def test_memory_of_whoever_starts_a_program_does_not_count(tmp_path: Path) -> None:
    held = bytearray(b"x") * 200_000_000
    words = [
        sys.executable,
        "-S",
        "-E",
        str(FOLDER / "launch.py"),
        str(tmp_path / "used.json"),
        sys.executable,
        "-S",
        "-c",
        "raise SystemExit(3)",
    ]
    subprocess.run(words, check=True)
    used = json.loads((tmp_path / "used.json").read_text())
    assert len(held) > 1e6 * used["peak_mb"] > 1e6
    assert used["code"] == 3
    assert used["cpu_s"] > 0


BUSY = "x = bytearray(b'x') * 90_000_000; sum(range(6_000_000))"


@pytest.mark.parametrize("wait", [".wait()", ""], ids=["waited for", "left behind"])
def test_launcher_reports_what_a_tree_of_processes_used(tmp_path: Path, wait: str) -> None:
    starter = f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {BUSY!r}]){wait}"
    words = [
        sys.executable,
        "-S",
        "-E",
        str(FOLDER / "launch.py"),
        str(tmp_path / "used.json"),
        sys.executable,
        "-W",
        "ignore",
        "-c",
        starter,
    ]
    subprocess.run(words, check=True)
    used = json.loads((tmp_path / "used.json").read_text())
    assert used["peak_mb"] > 90
    assert used["cpu_s"] > 0.08
    assert used["code"] == 0


@contextmanager
def tiny_bench(kind: str, **sizes: Any) -> Iterator[Bench]:
    """A bench of ours and of the limit on the plain loop, since uvloop may not be here."""
    with (
        tempfile.TemporaryDirectory(prefix="rehook-bench-test-") as folder,
        open_databases([kind], Path(folder)) as databases,
        open_receiver([0, 20]) as receiver,
    ):
        chosen = {who: prepare for who, prepare in contestants(Peers(None)).items() if who in {OURS, LIMIT_PLAIN}}
        yield Bench(replace(QUICK, **sizes), databases, chosen, receiver, Path(folder))


def test_a_tiny_round_runs_for_real() -> None:
    """Whoever is measured must have delivered every row once, and none in the second run."""
    with tiny_bench("SQLite") as bench:
        records = list(bench.rounds([(AT_ONCE, OURS), (AT_ONCE, LIMIT_PLAIN)], 1))
    assert [each.problem for each in records] == [None] * 4
    assert [(each.who, each.requests, each.case.again) for each in records] == [
        (OURS, 200, False),
        (OURS, 0, True),
        (LIMIT_PLAIN, 200, False),
        (LIMIT_PLAIN, 0, True),
    ]
    assert all(each.cpu_s > 0 and each.peak_mb > 10 and each.receiver_cpu_s > 0 for each in records)


def test_a_settled_history_leaves_nothing_to_send() -> None:
    with tiny_bench("PostgreSQL", history_rows=(30,)) as bench:
        (found,) = bench.run("growth")
    assert (found.problem, found.requests, found.case.rows) == (None, 0, 30)
    assert found.database_cpu_s > 0
    assert judge(Figures([found])) == []


def test_a_settled_lookback_leaves_nothing_to_send_wherever_the_state_is() -> None:
    with tiny_bench("SQLite", lookback_rows=(30,)) as bench:
        found = list(bench.run("lookback"))
    assert [(each.who, each.problem, each.requests, each.case.elsewhere) for each in found] == [
        (OURS, None, 0, False),
        (COUNT, None, 0, False),
        (OURS, None, 0, True),
    ]


def test_events_of_all_tables_are_sent_and_a_backlog_wherever_the_state_is() -> None:
    with tiny_bench("SQLite", table_rows=20, tables=(1, 3), backlog_rows=(10,)) as bench:
        found = [each for part in ("tables", "memory") for each in bench.run(part)]
    assert [each.problem for each in found] == [None] * 4
    assert [(each.requests, each.case.tables, each.case.elsewhere) for each in found] == [
        (20, 1, False),
        (20, 3, False),
        (20, 1, False),
        (20, 1, True),
    ]


def test_every_part_can_be_asked_for() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "bench", "--help"], env={"PYTHONPATH": str(FOLDER.parent)}, capture_output=True, text=True, check=True
    )
    assert all(part in done.stdout for part in PARTS)


@pytest.mark.parametrize("less", ["--quick", "--only growth", "--rounds 1", "--databases SQLite"])
def test_only_a_whole_run_may_stand_in_the_documents(less: str) -> None:
    assert is_whole(read_arguments(["--peers", "peers"]))
    assert not is_whole(read_arguments(["--peers", "peers", *less.split()]))
    assert not is_whole(read_arguments([]))


def test_command_of_the_page_is_what_makes_the_same() -> None:
    assert command(["--peers", "some/folder"]) == "`make bench`"
    assert command(["--peers", "some/folder", "--only", "speed"]) == '`make bench BENCH_ARGS="--only speed"`'


def test_comparison_shows_medians_of_both_and_their_ratio() -> None:
    again = replace(AT_ONCE, again=True)
    records = [record(OURS, 0, 1), record("v1", 0, 2), record(OURS, 1, 3), record("v1", 1, 4), record(OURS, 0, 0.3, case=again)]
    head, _, first, second = render_comparison(records, "v1").splitlines()
    assert head.startswith("| case | seconds: v1, here, ratio |")
    assert first == "| SQLite, 0 ms, 100 + 100 rows | 3.00, 2.00, **0.67** | 1.50, 1.00, **0.67** | 150, 100, **0.67** |"
    assert second.count("not measured") == 3


def test_another_revision_stands_beside_this_one_and_goes(tmp_path: Path) -> None:
    root, home = tmp_path / "root", {"GIT_AUTHOR_NAME": "a", "GIT_AUTHOR_EMAIL": "a@example.com"}
    root.mkdir()

    def git(*words: str) -> None:
        committer = {key.replace("AUTHOR", "COMMITTER"): value for key, value in home.items()}
        subprocess.run(["git", *words], cwd=root, check=True, capture_output=True, env={**os.environ, **home, **committer})

    git("init", "-q")
    for text in ("old", "new"):
        (root / "file").write_text(text, encoding="utf-8")
        git("add", "file")
        git("commit", "-qm", text)
    with other_revision(root, "HEAD~1", tmp_path) as place:
        assert (place / "file").read_text(encoding="utf-8") == "old"
        assert list(revisions("HEAD~1", place)) == [OURS, "HEAD~1"]
    assert not place.exists()
    with pytest.raises(ValueError, match="--compare: 'nothing' is no revision"), other_revision(root, "nothing", tmp_path):
        pass


def test_both_revisions_are_measured_at_once_and_after_a_wait() -> None:
    assert [(case.database, case.latency_ms) for case in compared_cases(["SQLite"], 10)] == [("SQLite", 0), ("SQLite", 20)]
