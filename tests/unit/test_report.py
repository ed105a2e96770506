"""The numbers of a report add up, whatever the rows say, and the page shows data as text only."""

import html
import os
import re
from collections import Counter
from datetime import UTC, datetime, timedelta
from functools import cache
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rehook_sync.errors import UsageError
from rehook_sync.models import FAILED_REASONS, REJECTED_REASONS, Status, Stream
from rehook_sync.render.advice import Shell
from rehook_sync.report.figures import OTHER, build_figures, figures_document
from rehook_sync.report.page import render_page, write_page
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
    row = {"stream": stream, "event": event, "is_other": 0, "status": status, "reason": reason, "n": n, "timed": timed}
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
    assert '<div class="verdict warn" id="verdict"><strong>All is settled, and much of it was rejected</strong>' in page
    said = "93.3% of the calls, 794 of 851, were rejected. 790 of them: carries an anonymous_id; ANONYMOUS_CALLS decides"
    assert said in page
    few = [calls("e", Status.SENT, 80), calls("e", Status.REJECTED, 20, reason="invalid_row")]
    assert "<strong>All is settled</strong>" in render_page(build_figures(facts(calls=few, runs=[done]), Shell()), Shell())
    other = [calls("e", Status.SENT, 1), calls("e", Status.REJECTED, 1, reason="invalid_row")]
    page = render_page(build_figures(facts(calls=other, runs=[done]), Shell()), Shell())
    assert "50% of the calls, 1 of 2, were rejected. 1 of them: holds what cannot be sent." in page
    assert "ANONYMOUS_CALLS" not in page


def test_time_taken_counts_each_call_once() -> None:
    figures = build_figures(facts(calls=[calls("e", Status.SENT, 10, took=(1, 3, 6, 8, 9))]), Shell())
    assert list(figures.took.values()) == [1, 2, 3, 2, 1, 1]
    assert figures.mean_s == 60


def test_few_runs_stand_for_themselves_and_many_fall_into_equal_spans() -> None:
    few = [run(NOW - timedelta(minutes=each), f"r{each}", sent=each) for each in range(20)]
    figures = build_figures(facts(runs=few), Shell())
    assert (figures.step, len(figures.periods)) == (None, 20)
    many = [run(NOW - timedelta(hours=each), f"r{each}", sent=1, rejected=2) for each in range(0, 24 * 80, 2)]
    figures = build_figures(facts(runs=many), Shell())
    assert figures.step == timedelta(days=7)
    assert {later.begins_at - earlier.begins_at for earlier, later in zip(figures.periods, figures.periods[1:], strict=False)} == {
        figures.step
    }
    assert sum((each.calls for each in figures.periods), Counter()) == Counter(sent=len(many), rejected=2 * len(many))
    assert sum(each.runs for each in figures.periods) == len(many)


@given(st.lists(st.integers(0, 90 * 86400), min_size=25, max_size=60))
def test_no_run_falls_out_of_the_picture(ages: list[int]) -> None:
    runs = [run(NOW - timedelta(seconds=each), f"r{place}", sent=1) for place, each in enumerate(ages)]
    figures = build_figures(facts(runs=runs), Shell())
    assert sum(each.runs for each in figures.periods) == len(runs)
    assert len(figures.periods) <= 64


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
    assert max(each.lag_s["tracks"] or 0 for each in figures.periods) == 39 * 60


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
    rows = [calls(word, Status.SENT, 5, took=(1, 2, 3, 4, 5)), calls(word + "2", Status.REJECTED, 4, reason=word)]
    attention = [waiting(word, event=word, user_id=word, reason=word), waiting("--" + word, Status.FAILED)]
    unsettled = [{"status": "in_doubt", "reason": word, "n": 1, "occurred_at": NOW}]
    marks = [{"source": word, "stream": word, "high_at": NOW, "recorded_at": NOW, "run_id": word, "low_at": None, "rows_new": 1}]
    shell = Shell(word)
    return render_page(
        build_figures(facts(calls=rows, runs=runs, attention=attention, unsettled=unsettled, watermarks=marks), shell), shell
    )


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
    assert found.count('role="img" aria-label="Columns: calls judged') == 2
    assert re.search(r"The numbers behind this chart</summary>\s*<div[^>]*>\s*<table", found)


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
