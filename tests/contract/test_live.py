"""What `make test-live` does in an account, here in the beds; in the end, nothing of it is left."""

import json
import re

import pytest
from live import main, sources_for
from sqlalchemy import inspect
from warehouse import CLOUDS, OPTIONS, WAREHOUSES, engine_to

KINDS = {name: kind for name, kind in {**WAREHOUSES, **CLOUDS}.items() if name != "sqlite"}


@pytest.mark.parametrize("kind", KINDS)
def test_a_source_is_synced_in_a_schema_of_its_own_which_is_dropped(
    kind: str, request: pytest.FixtureRequest, capsys: pytest.CaptureFixture[str]
) -> None:
    url = str(request.getfixturevalue(KINDS[kind].fixture))
    name = next(iter(sources_for(kind)))
    assert main([url, "--options", json.dumps(OPTIONS.get(url, {})), "--sources", name]) == 0, capsys.readouterr().out
    first, whole, cost = capsys.readouterr().out.splitlines()
    assert (first.partition(",")[0], whole.partition(",")[0]) == (f"ok      {name}", "1 of 1 sources are synced whole")
    assert re.match(r"cost: \d+ statements, \d+\.\d s spent waiting for them", cost)
    assert int(cost.split()[1]) > 10
    assert [each for each in inspect(engine_to(url)).get_schema_names() if "rehook_live" in each] == []


def test_a_failure_drops_the_schema_and_is_told(
    postgres_url: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("live.shown", lambda _body: "another body")
    name = next(name for name, source in sources_for("postgresql").items() if source.steps[0].sent)
    assert main([postgres_url, "--sources", name]) == 1
    assert f"FAILED  {name}: what arrived" in capsys.readouterr().out
    assert [each for each in inspect(engine_to(postgres_url)).get_schema_names() if "rehook_live" in each] == []


def test_a_warehouse_whose_tables_it_cannot_make_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sqlite:///shop.db"]) == 2
    assert "sqlite is not among them" in capsys.readouterr().err


@pytest.mark.parametrize(("url", "options"), [("bigquery://", "{}"), ("postgresql://host/shop", "{"), ("nonsense", "{}")])
def test_an_url_or_options_that_lead_nowhere_are_one_line(url: str, options: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([url, "--options", options]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: ")


def test_the_history_of_snowflake_is_told_or_why_it_cannot_be_read(snowflake_url: str, capsys: pytest.CaptureFixture[str]) -> None:
    name = next(iter(sources_for("snowflake")))
    assert main([snowflake_url, "--options", json.dumps(OPTIONS[snowflake_url]), "--sources", name]) == 0
    assert "; its query history" in capsys.readouterr().out.splitlines()[-1]
