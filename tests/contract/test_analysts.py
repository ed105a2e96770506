"""docs/analysts.md is up to date: each query runs on both databases and gives what the page shows."""

import re

import analysts
import pytest

PAGE = analysts.PAGE.read_text(encoding="utf-8")


def test_page_has_twelve_questions_and_each_its_query_and_result() -> None:
    queries = analysts.read_queries(PAGE)
    assert len(queries) == len(re.findall(r"^## \d+\. ", PAGE, re.MULTILINE)) == PAGE.count("```sql") == 12
    assert len(set(queries)) == 12


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
