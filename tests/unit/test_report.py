"""The numbers of a report add up, whatever the rows say, and the page shows data as text only."""

import html
import os
import re
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cache
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from screenshots import make_audit

from rehook_sync.errors import UsageError
from rehook_sync.jobs.audit import AuditLine, AuditReport, FeedAudit
from rehook_sync.models import FAILED_REASONS, REJECTED_REASONS, Status, Stream, Window
from rehook_sync.render.advice import Shell
from rehook_sync.report.coverage import build_coverage
from rehook_sync.report.figures import OTHER, build_figures, figures_document
from rehook_sync.report.page import render_page, write_page
from rehook_sync.rules.identity import SharedIds
from rehook_sync.rules.periods import Feed
from rehook_sync.rules.watermark import Coverage
from rehook_sync.state.report import Facts

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
BOUNDS = ("within_15m", "within_1h", "within_6h", "within_1d", "within_3d")
COUNTS = ("sent", "rejected", "failed", "waiting", "in_doubt", "unchanged", "merged", "skipped")
EVIL = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "' onmouseover='alert(1)",
    "</style><script>alert(1)</script>",
    "{{ 7 * 7 }}{% for x in y %}",
    "<!--",
    "]]><script>1</script>",
    "\u202egnp.exe\x1b[31m\x00\r\n",
    "javascript:alert(1)",
)


def facts(**some: object) -> Facts:
    empty = dict.fromkeys(("calls", "runs", "lags", "watermarks", "unsettled", "attention"), ())
    return Facts(**{"now": NOW, "since": NOW - timedelta(days=90), "last_success": None, **empty, **some})  # type: ignore[arg-type]


def calls(event: str | None, status: Status, n: int, *, reason: str | None = None, took: tuple[int, ...] = ()) -> dict[str, object]:
    """A row of `report_calls`; `took` counts up to each bound."""
    timed = n if took else 0
    stream = Stream.TRACKS if event else Stream.IDENTIFIES
    row = {"source": "shop", "stream": stream, "event": event, "is_other": 0, "status": status, "reason": reason, "n": n, "timed": timed}
    return {**row, "total_s": 60.0 * timed, "longest_s": 90.0 if timed else None, **dict(zip(BOUNDS, took or (0,) * 5, strict=True))}


def run(started_at: datetime, name: str = "r", status: str = "succeeded", **counts: int) -> dict[str, object]:
    whole = {each: counts.get(each, 0) for each in COUNTS}
    more = {"finished_at": started_at, "requests": 3, "error": None, "trigger": "cli", "kind": "run", "version": "1"}
    return {"run_id": name, "status": status, "started_at": started_at, "rows_read": sum(whole.values()), **whole, **more}


def waiting(message_id: str, status: Status = Status.IN_DOUBT, **more: object) -> dict[str, object]:
    row = {"stream": Stream.TRACKS, "message_id": message_id, "user_id": "u", "event": "e", "occurred_at": NOW, "received_at": NOW}
    return {**row, "status": status, "reason": "timeout", "attempts": 1, "run_id": "r", **more}


@st.composite
def call_rows(draw: st.DrawFn) -> list[dict[str, object]]:
    rows = []
    for event in draw(st.lists(st.text(max_size=5) | st.none(), max_size=6, unique=True)):
        for status in draw(st.lists(st.sampled_from(Status), unique=True)):
            reason = {Status.REJECTED: REJECTED_REASONS[0], Status.FAILED: FAILED_REASONS[0]}.get(status)
            n = draw(st.integers(1, 1000))
            took = tuple(sorted(draw(st.lists(st.integers(0, n), min_size=5, max_size=5)))) if status is Status.SENT else ()
            rows.append(calls(event, status, n, reason=reason, took=took))
    return rows


@given(call_rows())
def test_totals_are_the_sums_of_their_parts(rows: list[dict[str, object]]) -> None:
    figures = build_figures(facts(calls=rows), Shell())
    assert figures.total == sum(int(str(row["n"])) for row in rows)
    for status in (Status.REJECTED, Status.FAILED):
        assert sum(n for (of, _), n in figures.reasons.items() if of == status) == figures.calls[status]
    assert sum(figures.took.values()) == figures.timed
    assert all(n >= 0 for n in figures.took.values())
    document = figures_document(figures)
    numbers = document["calls"]
    assert isinstance(numbers, dict)
    assert numbers.pop("total") == sum(numbers.values())


def test_a_large_share_of_rejections_speaks_up_in_the_headline() -> None:
    done = run(NOW, sent=57, rejected=794)
    rows = [
        calls("e", Status.SENT, 57),
        calls("e", Status.REJECTED, 790, reason="anonymous_id_present"),
        calls("f", Status.REJECTED, 4, reason="invalid_row"),
    ]
    page = render_page(build_figures(facts(calls=rows, runs=[done]), Shell()), Shell())
    assert '<div class="verdict warn" id="verdict"><strong>93.3% of the calls were rejected</strong>' in page
    assert "790 of 794 carry an anonymous_id, see ANONYMOUS_CALLS. All others are settled, too." in page
    unsettled = [{"status": "failed", "reason": "server_error", "n": 3, "occurred_at": NOW}]
    page = render_page(build_figures(facts(calls=rows, runs=[done], unsettled=unsettled), Shell()), Shell())
    assert "3 calls need attention; 93.3% of the calls were rejected. 790 of 794 carry an anonymous_id, see ANONYMOUS_CALLS." in page
    few = [calls("e", Status.SENT, 80), calls("e", Status.REJECTED, 20, reason="invalid_row")]
    assert "<strong>All is settled</strong>" in render_page(build_figures(facts(calls=few, runs=[done]), Shell()), Shell())
    other = [calls("e", Status.SENT, 1), calls("e", Status.REJECTED, 1, reason="invalid_row")]
    page = render_page(build_figures(facts(calls=other, runs=[done]), Shell()), Shell())
    assert "50% of the calls were rejected</strong>" in page
    assert "1 of 1 mostly as `invalid_row`: holds what cannot be sent." in page
    assert "ANONYMOUS_CALLS" not in page


def test_time_taken_counts_each_call_once() -> None:
    figures = build_figures(facts(calls=[calls("e", Status.SENT, 10, took=(1, 3, 6, 8, 9))]), Shell())
    assert list(figures.took.values()) == [1, 2, 3, 2, 1, 1]
    assert figures.mean_s == 60


def test_runs_stand_where_they_were_in_time_few_or_many() -> None:
    few = [run(NOW - timedelta(minutes=each), f"r{each}", sent=each + 1) for each in (0, 1, 2, 50)]
    found = build_figures(facts(runs=few), Shell()).timeline
    assert found.step == timedelta(minutes=1)
    assert [(each.begins_at, each.runs) for each in found.busy] == [(NOW - timedelta(minutes=each), 1) for each in (50, 2, 1, 0)]
    assert len(found.periods) == 51
    many = [run(NOW - timedelta(hours=each), f"r{each}", sent=1, rejected=2) for each in range(0, 24 * 80, 2)]
    found = build_figures(facts(runs=many), Shell()).timeline
    assert found.step == timedelta(days=7)
    assert {later.begins_at - earlier.begins_at for earlier, later in pairwise(found.periods)} == {found.step}
    assert sum((each.calls for each in found.periods), Counter()) == Counter(sent=len(many), rejected=2 * len(many))
    assert sum(each.runs for each in found.periods) == len(many)


def test_gaps_between_runs_are_said_with_how_often_one_is_expected() -> None:
    quarter = timedelta(minutes=15)
    starts = [NOW - quarter * each for each in range(40) if not 10 <= each < 22]
    runs = [run(each, f"r{place}", sent=1) for place, each in enumerate(starts)]
    hand = {**run(NOW - quarter * 15, "by hand"), "kind": "retry"}
    figures = build_figures(facts(runs=[*runs, hand]), Shell())
    assert [(each.from_at, each.until_at) for each in figures.timeline.gaps] == [(NOW - quarter * 22, NOW - quarter * 9)]
    page = read(render_page(figures, Shell())).text
    assert "One is expected every 15m, as most came." in page
    assert "no run for 3h 15m, from Nov 23 06:30 to 09:45" in page
    assert "29 runs: 28 run, 1 retry." in page
    late = replace(facts(runs=runs), now=NOW + timedelta(hours=5))
    gap = build_figures(late, Shell()).timeline.gaps[-1]
    assert (gap.from_at, gap.until_at) == (NOW, None)
    assert "no run for 5h, from Nov 23 12:00 to now" in read(render_page(build_figures(late, Shell()), Shell())).text


@pytest.mark.parametrize("minutes", [(0, 15, 30, 200), (0, 1, 40, 41, 600, 700, 3000), ()])
def test_runs_that_come_at_no_usual_time_have_no_gaps(minutes: tuple[int, ...]) -> None:
    runs = [run(NOW - timedelta(minutes=each), f"r{each}", sent=1) for each in minutes]
    found = build_figures(facts(runs=runs), Shell()).timeline
    assert (found.every_s, found.gaps) == (None, [])


def test_a_run_that_lasts_leaves_no_gap() -> None:
    runs = [run(NOW - timedelta(hours=each), f"r{each}") for each in (0, 8, 9, 10, 11, 12, 13)]
    long = {**run(NOW - timedelta(hours=7), "long"), "finished_at": NOW - timedelta(minutes=30)}
    assert build_figures(facts(runs=[*runs, long]), Shell()).timeline.gaps == []
    at_work = {**run(NOW, "now", status="running"), "finished_at": None}
    later = replace(facts(runs=[*runs[1:], long, at_work]), now=NOW + timedelta(hours=9))
    assert build_figures(later, Shell()).timeline.gaps == []


def test_a_line_of_lag_ends_where_no_run_was_due() -> None:
    times = [NOW - timedelta(hours=each) for each in range(12) if each not in {4, 5, 6, 7}]
    runs = [run(each, f"r{place}") for place, each in enumerate(times)]
    lags = [
        {"run_id": f"r{place}", "stream": "tracks", "high_at": each - timedelta(minutes=9), "recorded_at": each}
        for place, each in enumerate(times)
    ]
    page = render_page(build_figures(facts(runs=runs, lags=lags), Shell()), Shell())
    wide = page[page.index('aria-label="Lines over time') :].partition("</svg>")[0]
    assert len(re.findall(r'<path d="M[^"]+" class="line', wide.partition('class="series tracks"')[2])) == 2
    assert wide.count("<title>") == len(runs)


def test_sources_and_waiting_events_are_told_apart() -> None:
    rows = [calls("e", Status.SENT, 3), {**calls("e", Status.REJECTED, 2, reason="invalid_row"), "source": "ios_prod"}]
    marks = [
        {"source": each, "stream": "tracks", "high_at": NOW, "recorded_at": NOW, "run_id": "r", "low_at": None, "rows_new": 1}
        for each in ("shop", "ios_prod", "quiet")
    ]
    detail = "there is no table 'review_submitted' yet"
    late = {"source": "shop", "event": "Review Submitted", "detail": detail, "n": 7, "first_seen_at": NOW, "overdue_at": NOW}
    figures = build_figures(facts(calls=rows, runs=[run(NOW, sent=3)], watermarks=marks, waiting=[late]), Shell())
    assert [(each.source, dict(each.calls)) for each in figures.sources] == [
        ("ios_prod", {"rejected": 2}),
        ("quiet", {}),
        ("shop", {"sent": 3}),
    ]
    assert sum((each.calls for each in figures.sources), Counter()) == figures.calls
    page = read(render_page(figures, Shell())).text
    assert "Review Submitted of shop" in page
    assert detail in page
    one = build_figures(facts(calls=rows[:1], watermarks=marks[:1]), Shell())
    assert one.sources == []


def test_coverage_adds_up_and_what_is_missing_comes_first() -> None:
    found = build_coverage(make_audit())
    for lines in (found.days, found.events, found.lines):
        for name in ("rows", "recorded", "missing", "later"):
            assert sum(getattr(each, name) for each in lines) == getattr(found.whole, name)
    assert (found.lines[0].day, found.lines[0].name, found.lines[0].missing) == ("2026-11-20", "Order Completed", 12)
    assert found.repair == "python -m rehook_sync run --source web_prod --since 2026-11-20T08:00:00Z"
    figures = build_figures(facts(runs=[run(NOW, sent=1)]), Shell(), found)
    page = read(render_page(figures, Shell())).text
    assert "12 calls of the warehouse are not recorded." in page
    assert found.repair in page
    document = figures_document(figures)["coverage"]
    assert isinstance(document, dict)
    assert document["whole"] == {"rows": 2064, "recorded": 2043, "missing": 12, "later": 9}


@given(st.lists(st.integers(0, 90 * 86400), min_size=1, max_size=60))
def test_no_run_falls_out_of_the_picture(ages: list[int]) -> None:
    runs = [run(NOW - timedelta(seconds=each), f"r{place}", sent=1) for place, each in enumerate(ages)]
    found = build_figures(facts(runs=runs), Shell()).timeline
    assert sum(each.runs for each in found.periods) == len(runs)
    assert len(found.periods) <= 64


def test_worst_lag_of_a_span_counts() -> None:
    runs = [run(NOW - timedelta(hours=2 * each), f"r{each}") for each in range(40)]
    lags = [
        {
            "run_id": f"r{each}",
            "stream": "tracks",
            "high_at": NOW - timedelta(hours=2 * each, minutes=each),
            "recorded_at": NOW - timedelta(hours=2 * each),
        }
        for each in range(40)
    ]
    figures = build_figures(facts(runs=runs, lags=lags), Shell())
    assert max(each.lag_s["tracks"] or 0 for each in figures.timeline.periods) == 39 * 60


def test_events_are_ranked() -> None:
    rows = [calls(f"e{each}", Status.REJECTED, each + 1, reason="missing_referral_code") for each in range(15)]
    rows += [{**calls("slow", Status.SENT, 2, took=(0,) * 5), "total_s": 9e5}, calls("quick", Status.SENT, 2, took=(2,) * 5)]
    rows.append({**calls("x", Status.SENT, 5, took=(5,) * 5), "event": None, "is_other": 1})
    figures = build_figures(facts(calls=rows), Shell())
    assert [each.name for each in figures.most_rejected][:2] == ["e14", "e13"]
    assert len(figures.most_rejected) == 10
    assert figures.slowest[0].name == "slow"
    assert figures.lumped == 5
    assert OTHER in {each.name for each in figures.slowest}


def test_what_cannot_settle_itself_comes_first_with_its_commands() -> None:
    rows = [
        {"status": status, "reason": reason, "n": n, "occurred_at": NOW}
        for status, reason, n in (("failed", "server_error", 3), ("in_doubt", "timeout", 2))
    ]
    figures = build_figures(facts(unsettled=rows), Shell("a b.toml"))
    assert [(each.status, each.calls, each.reasons) for each in figures.attention] == [
        ("in_doubt", 2, {"timeout": 2}),
        ("failed", 3, {"server_error": 3}),
    ]
    assert figures.unsettled == 5
    assert figures.attention[0].commands[0][1] == "python -m rehook_sync resolve --accept --all --config 'a b.toml'"


class Reader(HTMLParser):
    """Notes all tags, attributes and text of a page."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: Counter[str] = Counter()
        self.attributes: list[tuple[str, str]] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag] += 1
        self.attributes += [(name, value or "") for name, value in attrs]

    def handle_data(self, data: str) -> None:
        self.text += data


def read(page: str) -> Reader:
    reader = Reader()
    reader.feed(page)
    reader.close()
    return reader


def busy_page(word: str) -> str:
    """A page on which every place that takes data holds this word."""
    runs = [run(NOW - timedelta(minutes=each), f"{word}{each}", status="stopped", sent=3) | {"error": word} for each in range(3)]
    rows = [
        {**calls(word, Status.SENT, 5, took=(1, 2, 3, 4, 5)), "source": word},
        {**calls(word + "2", Status.REJECTED, 4, reason=word), "source": word + "2"},
    ]
    attention = [waiting(word, event=word, user_id=word, reason=word), waiting("--" + word, Status.FAILED)]
    unsettled = [{"status": "in_doubt", "reason": word, "n": 1, "occurred_at": NOW}]
    marks = [{"source": word, "stream": word, "high_at": NOW, "recorded_at": NOW, "run_id": word, "low_at": None, "rows_new": 1}]
    late = [{"source": word, "event": word, "detail": word, "n": 7, "first_seen_at": NOW, "overdue_at": NOW}]
    shell = Shell(word)
    known = facts(calls=rows, runs=runs, attention=attention, unsettled=unsettled, watermarks=marks, waiting=late)
    one = AuditLine("2026-11-01", Feed(word, Stream.TRACKS), word, {"missing": 1})
    found = AuditReport([FeedAudit(one.feed, Window(None, NOW), Coverage(NOW, None), [one], NOW, 0, SharedIds())], None, several=True)
    return render_page(build_figures(known, shell, build_coverage(found)), shell)


@cache
def plain_page() -> Reader:
    return read(busy_page("plain"))


@pytest.mark.parametrize("word", EVIL)
def test_data_stays_text(word: str) -> None:
    page, plain = busy_page(word), plain_page()
    found = read(page)
    assert found.tags == plain.tags
    assert [name for name, _ in found.attributes] == [name for name, _ in plain.attributes]
    assert found.tags["script"] == found.tags["img"] == 0
    assert not [name for name, _ in found.attributes if name.startswith("on")]
    assert [each for each in page if not each.isprintable() and each != "\n"] == []
    shown = word if word.isprintable() else "gnp.exe"
    assert found.text.count(shown) >= 5


@settings(max_examples=40, deadline=None)
@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=30))
def test_no_text_becomes_markup(word: str) -> None:
    assert read(busy_page(word)).tags == plain_page().tags


def test_page_forbids_scripts_and_asks_for_nothing() -> None:
    page = busy_page("word")
    policy = re.search(r'Content-Security-Policy" content="([^"]+)"', page)
    assert policy
    assert html.unescape(policy[1]).startswith("default-src 'none'; style-src 'unsafe-inline'; img-src data:;")
    found = read(page)
    links = [value for name, value in found.attributes if name in {"src", "href", "xlink:href", "action", "data"}]
    assert links == ["data:,"]
    assert not re.search(r"url\(|@import|https?://(?!www\.w3\.org/)", page)


def test_chart_has_words_and_a_table() -> None:
    found = busy_page("word")
    assert found.count("<svg") == 2
    assert found.count('role="img" aria-label="Columns over time: calls judged') == 2
    assert re.search(r"The numbers behind this chart</summary>\s*(<p[^>]*>[^<]*</p>\s*)?<div[^>]*>\s*<table", found)


@pytest.mark.parametrize("place", ["missing/page.html", ".", "nul\x00.html"])
def test_place_that_cannot_be_written_is_one_line(place: str) -> None:
    with pytest.raises(UsageError, match=r"^--out: cannot write .*name another file$"):
        write_page("<p>", place)


def test_a_pipe_or_a_device_is_not_replaced_by_the_page(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with pytest.raises(UsageError, match=r"pipe: it is a device or a pipe, which the page would replace; name another file$"):
        write_page("page", str(pipe))
    assert pipe.is_fifo()
    assert list(tmp_path.iterdir()) == [pipe]
