"""What a dialect says in its own way stands in a macro for that adapter, with one for all others; models and tests have nothing of it."""

import re
from pathlib import Path

import pytest

from .source_tree import ROOT

PACKAGE = ROOT / "sql" / "dbt"
MACRO = re.compile(r"\{%-?\s*macro (\w+)\(.*?\)\s*-?%\}(.*?)\{%-?\s*endmacro\s*-?%\}", re.DOTALL)
ADAPTERS = {"default", "postgres", "redshift", "duckdb", "snowflake", "bigquery", "databricks"}
OF_A_DIALECT = re.compile(
    r"at time zone|octet_length|double precision|\|\||::|\b(pg_\w+|varchar|bigint|integer|regtype|chr|trim|encode|epoch)\b"
)


def macros() -> dict[str, str]:
    """Name -> what it is made of."""
    return {name: body for path in sorted((PACKAGE / "macros").glob("*.sql")) for name, body in MACRO.findall(path.read_text("utf-8"))}


def test_every_macro_of_an_adapter_is_dispatched_and_has_a_default() -> None:
    found = macros()
    own = {name for name in found if "__" in name}
    assert len(own) > 20
    assert {name.partition("__")[0] for name in own} == ADAPTERS
    for shared in {name.partition("__")[2] for name in own}:
        assert f"adapter.dispatch('{shared}', 'rehook_sync')" in found[shared], shared
        assert f"default__{shared}" in own


def test_only_macros_of_an_adapter_have_words_of_a_dialect() -> None:
    shared = {name: body for name, body in macros().items() if "__" not in name and name != "rehook_blanks"}
    wrong = {name: hit[0] for name, body in shared.items() if (hit := OF_A_DIALECT.search(body))}
    assert wrong == {}


@pytest.mark.parametrize(
    "path", sorted([*(PACKAGE / "models").rglob("*.sql"), *(PACKAGE / "tests").rglob("*.sql")]), ids=lambda path: path.stem
)
def test_models_and_tests_have_no_words_of_a_dialect(path: Path) -> None:
    hit = OF_A_DIALECT.search(re.sub(r"\{#.*?#\}|\{\{.*?\}\}", "", path.read_text("utf-8"), flags=re.DOTALL))
    assert hit is None, f"{hit[0]!r}: write a macro with one version for each adapter"
