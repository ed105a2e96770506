"""What a report reads, on both databases: the same numbers, bounded by the period, and the sum of what the tables hold."""

from collections import Counter
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from history import HISTORIES, NOW, History, make_history, write_history
from sqlalchemy import make_url

from rehook_sync.database.engine import open_database
from rehook_sync.jobs.run import new_run_id
from rehook_sync.models import RunKind
from rehook_sync.render.advice import Shell
from rehook_sync.report.figures import Figures, build_figures, figures_document
from rehook_sync.state.report import Facts, read_report


def read_facts(url: str, since: datetime) -> Facts:
    database = open_database(url, "STATE_URL", read_only=True, search_path="rehook_sync")
    try:
        return replace(read_report(database, since), now=NOW)
    finally:
        database.close()


def read_figures(url: str, days: float = 90) -> Figures:
    return build_figures(read_facts(url, NOW - timedelta(days=days)), Shell())


def write(url: str, history: History) -> None:
    write_history(url, history, None if make_url(url).get_backend_name() == "sqlite" else "rehook_sync")


@pytest.mark.parametrize("kind", HISTORIES)
def test_numbers_are_those_of_the_tables(database_url: str, kind: str) -> None:
    history = make_history(kind)
    write(database_url, history)
    figures = read_figures(database_url)
    assert figures.calls == Counter(str(each["status"]) for each in history.calls)
    assert figures.reasons == Counter((each["status"], each["reason"]) for each in history.calls if each["reason"])
    assert sum((each.calls for each in figures.timeline.periods), Counter()) == figures.calls
    assert figures.runs == len(history.runs) == sum(each.runs for each in figures.timeline.periods)
    took = [each["settled_at"] - each["received_at"] for each in history.calls if each["status"] in {"sent", "merged", "unchanged"}]  # type: ignore[operator]
    assert figures.timed == len(took)
    bounds = [timedelta(0), *(timedelta(seconds=each) for each in (900, 3600, 21600, 86400, 259200)), timedelta.max]
    spans = [sum(low < each <= high for each in took) for low, high in pairwise(bounds)]
    assert list(figures.took.values()) == (spans if took else [])
    if took:
        assert figures.mean_s == pytest.approx(sum(took, timedelta()).total_seconds() / len(took), abs=0.01)
    waiting = [each for each in history.calls if each["status"] == "waiting"]
    assert sum(int(str(each["n"])) for each in figures.waiting) == len(waiting)
    by_source = Counter((each["source"], each["status"]) for each in history.calls)
    if kind == "sources":
        assert Counter({(each.source, status): n for each in figures.sources for status, n in each.calls.items()}) == by_source
    unsettled = [each for each in history.calls if each["settled_at"] is None and each not in waiting]
    assert figures.unsettled == len(unsettled)
    assert {str(each["message_id"]) for each in figures.rows} <= {str(each["message_id"]) for each in unsettled}
    assert len(figures.rows) == min(50, len(unsettled))


@pytest.mark.parametrize("kind", ["trouble", "sources"])
def test_both_databases_give_the_same_document(sqlite_url: str, postgres_url: str, kind: str) -> None:
    for url in (sqlite_url, postgres_url):
        write(url, make_history(kind))
    one, other = (figures_document(read_figures(url)) for url in (sqlite_url, postgres_url))
    assert round_off(one) == round_off(other)


def round_off(value: Any) -> Any:
    """SQLite counts days as floating point."""
    if isinstance(value, dict):
        return {key: round_off(each) for key, each in value.items()}
    if isinstance(value, list):
        return [round_off(each) for each in value]
    return round(value, 2) if isinstance(value, float) else value


def test_period_bounds_runs_and_calls_but_not_what_needs_attention(database_url: str) -> None:
    history = make_history("trouble")
    write(database_url, history)
    since = NOW - timedelta(days=1)
    recent = {str(each["run_id"]) for each in history.runs if each["started_at"] >= since}  # type: ignore[operator]
    figures = read_figures(database_url, 1)
    assert figures.total == sum(str(each["run_id"]) in recent for each in history.calls)
    assert figures.runs == len(recent)
    assert figures.unsettled == sum(each["settled_at"] is None for each in history.calls)
    before = new_run_id(since - timedelta(seconds=1), RunKind.RETRY)
    assert new_run_id(since, RunKind.RUN) >= f"{since:%Y%m%dT%H%M%SZ}" > before


def test_events_beyond_the_most_frequent_are_counted_together(database_url: str) -> None:
    history = make_history("healthy")
    sample = next(each for each in history.calls if each["status"] == "sent" and each["event"])
    history.calls = [{**sample, "message_id": f"m{place}", "event": f"event {place % 1100}"} for place in range(2200)]
    history.calls += [{**sample, "message_id": f"n{place}", "event": "often"} for place in range(5)]
    write(database_url, history)
    figures = read_figures(database_url)
    assert (figures.total, figures.lumped) == (2205, 2 * 101)
