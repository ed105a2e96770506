"""What `make test-live` does in a workspace, here in the bed; in the end, nothing of it is left."""

import json

import pytest
from beds.databricks.bed import DatabricksBed
from live import main
from warehouse import OPTIONS, run_sql


@pytest.mark.timeout(600)
def test_a_source_is_synced_in_a_schema_of_its_own_which_is_dropped(
    databricks_bed: DatabricksBed, capsys: pytest.CaptureFixture[str]
) -> None:
    url = databricks_bed.url("default")
    code = main([url, "--options", json.dumps(OPTIONS[url]), "--sources", "in_capitals"])
    out = capsys.readouterr().out
    assert code == 0, out
    assert out.splitlines()[-1].startswith("cost: ")
    assert [name for (name,) in run_sql(url, "SHOW SCHEMAS") if "rehook_live" in name] == []
