"""docs/analysts.md is up to date: each query runs on both databases and gives what the page shows."""

import re
from typing import Any

import analysts
import pytest
import roles
from house.dictionary import read_dictionary
from sqlalchemy.exc import ProgrammingError
from warehouse import run_sql

PAGE = analysts.PAGE.read_text(encoding="utf-8")
QUESTIONS, _, AFTER = PAGE.partition("\n## In pandas\n")
new_role = roles.new_role


def test_each_question_has_its_query_and_result() -> None:
    queries = analysts.read_queries(PAGE)
    numbers = [int(number) for number in re.findall(r"^## (\d+)\. ", PAGE, re.MULTILINE)]
    assert numbers == list(range(1, len(queries) + 1))
    assert len(set(queries)) == len(queries) == QUESTIONS.count("```sql") == 18


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
    assert analysts.with_example(PAGE, analysts.run_example(database_url, PAGE)) == PAGE, "run `make docs`"


def test_every_question_can_be_asked_in_pandas(database_url: str) -> None:
    analysts.make_sample(database_url)
    blocks = re.findall(r"```python\n(.*?)```", AFTER, re.DOTALL)
    assert len(blocks) == 2
    with analysts.opened(database_url) as database:
        named: dict[str, Any] = {"url": database_url}
        exec(blocks[0], named)
        named["engine"] = database.engine
        for asked in analysts.read_queries(PAGE):
            query = asked.replace("shop.", "") if database.dialect == "sqlite" else asked
            found = named["ask"](query)
            assert len(found) == analysts.render(database, query).count("\n") - 2
            kinds = {name: str(found[name].dtype) for name in found.columns if re.search(r"_at$|^day$", name)}
            assert all("UTC" in kind for kind in kinds.values()), kinds
        exec(blocks[1], named)
        shares = named["ask"](next(query for query in analysts.read_queries(PAGE) if "AS percent" in query)).set_index("event")
    assert named["share"]["percent"].to_dict() == shares["percent"].drop("(identify)").to_dict()
    assert named["by_day"].to_numpy().sum() == named["calls"]["calls"][named["calls"]["day"].notna()].sum()
    assert len(named["tried"]) == len(named["tried"].dropna(subset=["owner"])) > 0
    assert int(named["waiting"]["count"].sum()) > 0
    assert int(named["new"]["size"].sum()) > 50
    assert int(named["rejected"].sum()) == int(named["calls"]["calls"][named["calls"]["status"] == "rejected"].sum())


def test_a_role_that_may_only_look_can_ask_every_question(postgres_url: str, new_role: roles.NewRole) -> None:
    analysts.make_sample(postgres_url)
    analyst = new_role(postgres_url, "analyst")
    (recipe,) = re.findall(r"```sql\n(.*?)```", AFTER, re.DOTALL)
    owner, reader = roles.name_in(postgres_url), roles.name_in(analyst)
    statements = re.sub(r"\banalyst\b", reader, re.sub(r"\bsyncer\b", owner, recipe)).split(";")
    run_sql(postgres_url, *filter(str.strip, statements))
    run_sql(postgres_url, f"GRANT USAGE ON SCHEMA shop TO {reader}", f"GRANT SELECT ON ALL TABLES IN SCHEMA shop TO {reader}")
    run_sql(postgres_url, "CREATE TABLE rehook_sync.sync_later AS SELECT 1 AS a")
    with analysts.opened(postgres_url) as whole, analysts.opened(analyst) as database:
        for query in analysts.read_queries(PAGE):
            assert analysts.render(database, query) == analysts.render(whole, query)
    assert analysts.run_example(analyst, PAGE) == analysts.run_example(postgres_url, PAGE)
    assert run_sql(analyst, "SELECT a FROM rehook_sync.sync_later") == [(1,)]
    for statement in (
        "SELECT * FROM rehook_sync.sync_destination",
        "DELETE FROM rehook_sync.sync_state",
        "UPDATE rehook_sync.sync_runs SET error = 'x'",
        "INSERT INTO rehook_sync.sync_notices VALUES ('a', 'b', now())",
        "CREATE TABLE rehook_sync.mine (a int)",
    ):
        with pytest.raises(ProgrammingError, match="permission denied"):
            run_sql(analyst, statement)


@pytest.mark.parametrize("old", ["", "something\nelse\n"])
def test_results_replace_what_stood_there(old: str) -> None:
    page = f"# Page\n\n```sql\nSELECT 1 AS one;\n```\n\n```text\n{old}```\n\nend\n"
    assert analysts.with_results(page, ["one\n---\n1\n"]) == "# Page\n\n```sql\nSELECT 1 AS one;\n```\n\n```text\none\n---\n1\n```\n\nend\n"
