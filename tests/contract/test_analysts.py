"""docs/analysts.md is up to date: each query runs on both databases and gives what the page shows."""

import re

import analysts
import pytest
from house.dictionary import read_dictionary

PAGE = analysts.PAGE.read_text(encoding="utf-8")


def test_each_question_has_its_query_and_result() -> None:
    queries = analysts.read_queries(PAGE)
    numbers = [int(number) for number in re.findall(r"^## (\d+)\. ", PAGE, re.MULTILINE)]
    assert numbers == list(range(1, len(queries) + 1))
    assert len(set(queries)) == len(queries) == PAGE.count("```sql") > 10


def test_every_view_is_asked_or_named() -> None:
    views = {name for name, item in read_dictionary().items() if item.kind == "View"}
    assert views
    assert views == set(re.findall(r"\bv\d+_\w+", PAGE))


def test_results_are_what_the_queries_give(database_url: str) -> None:
    analysts.make_sample(database_url)
    with analysts.opened(database_url) as database:
        results = [analysts.render(database, query) for query in analysts.read_queries(PAGE)]
    assert analysts.with_results(PAGE, results) == PAGE, "run `make docs`"
    assert all(result.count("\n") > 2 for result in results), "a query without a result shows nothing"


@pytest.mark.parametrize("old", ["", "something\nelse\n"])
def test_results_replace_what_stood_there(old: str) -> None:
    page = f"# Page\n\n```sql\nSELECT 1 AS one;\n```\n\n```text\n{old}```\n\nend\n"
    assert analysts.with_results(page, ["one\n---\n1\n"]) == "# Page\n\n```sql\nSELECT 1 AS one;\n```\n\n```text\none\n---\n1\n```\n\nend\n"
