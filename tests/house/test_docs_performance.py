"""docs/performance.md: what it shows was written by the bench from the data beside it, and its prose claims no figure of its own."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from bench.figures import LIMIT, OURS, RATE, Figures, judge
from bench.page import BEGIN, END, put_section, render
from bench.records import Results

from .source_tree import DOCS, ROOT

PAGE = ROOT / "docs" / "performance.md"
DATA = ROOT / "docs" / "performance.json"


def read_data() -> dict[str, Any]:
    found = json.loads(DATA.read_text(encoding="utf-8"))
    assert isinstance(found, dict)
    return found


def test_section_is_what_the_bench_makes_of_the_data() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert put_section(page, render(Results.of(read_data()))) == page


def test_what_must_be_reached_comes_from_the_same_data() -> None:
    text = PAGE.read_text(encoding="utf-8").partition("### What must be reached\n")[2].partition("\n### ")[0]
    shown = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line.startswith("| ")][2:]
    musts = judge(Figures(Results.of(read_data()).records))
    assert [line[0] for line in shown] == [must.text for must in musts]
    assert [line[3] == "yes" for line in shown] == [must.is_met is True for must in musts]
    assert shown


def test_prose_of_the_page_claims_no_figure() -> None:
    page = PAGE.read_text(encoding="utf-8")
    prose = page.partition(BEGIN)[0] + page.partition(END)[2]
    prose = re.sub(r"```.*?```|`[^`]*`|\]\([^)]*\)", "", prose, flags=re.DOTALL)
    assert re.findall(r"\d+", prose) == []


NIGHTLY = ROOT / "docs" / "scaling.md"
"""Holds what `make nightly-airflow` measures, and arithmetic with it."""


@pytest.mark.parametrize("doc", [each for each in DOCS if each not in {PAGE, NIGHTLY}], ids=lambda path: path.name)
def test_no_other_page_claims_a_speed(doc: Path) -> None:
    lines = [line for line in doc.read_text(encoding="utf-8").splitlines() if re.search(r"rows/s|rows (per|a) second", line)]
    assert lines == []


def test_plot_is_drawn_from_the_same_data() -> None:
    plot = (ROOT / "docs" / "performance.svg").read_text(encoding="utf-8")
    figures = Figures(Results.of(read_data()).records)
    cases = [case for part in ("speed", "large") for case in figures.cases(part) if figures.took_part(case, LIMIT)]
    assert plot.count("rows/s: ") == len(cases) > 0
    rates = [figures.median(case, OURS, RATE) for case in cases]
    assert [rate for rate in rates if rate is not None and f">{rate:,.0f}<" not in plot] == []
