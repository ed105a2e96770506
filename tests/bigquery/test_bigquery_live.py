"""What `make test-live` does in a project, here in the bed: with statements alone, and nothing is left of it."""

import pytest
from beds.bigquery.server import Bed
from live import main, sources_for

SOURCES = ["in_capitals", "with_objects_in_json_columns_and_in_texts_in_them", "with_times_at_the_ends_of_the_calendar"]


def test_sources_are_synced_in_datasets_that_are_dropped_and_the_bill_is_told(bed: Bed, capsys: pytest.CaptureFixture[str]) -> None:
    assert set(SOURCES) <= sources_for("bigquery").keys()
    code = main([f"bigquery://{bed.project.name}", "--sources", ",".join(SOURCES)])
    out = capsys.readouterr().out
    assert code == 0, out
    assert [line.split()[0] for line in out.splitlines()] == ["ok"] * len(SOURCES) + [str(len(SOURCES)), "cost:"]
    billed = int(out.rpartition(" bytes billed")[0].rpartition(" ")[2].replace(",", ""))
    jobs = [each for each in bed.jobs if not each.settings.get("dryRun") and each.error is None]
    assert billed == len(jobs) * (10 << 20), "the bed bills ten megabytes for each"
    assert [name for name in bed.project.datasets if name.startswith("rehook_live")] == []
