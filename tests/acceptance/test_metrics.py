"""The status as metrics: a file that Prometheus's own rules of form accept, with the numbers of the state."""

import re
import stat
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

from .conftest import Shop

ROOT = Path(__file__).resolve().parents[2]
SAMPLE = re.compile(r'(rehook_sync_\w+)(?:\{((?:\w+="(?:[^"\\\n]|\\["\\n])*",?)+)\})? (-?[\d.e+]+)')


def read_metrics(text: str) -> dict[str, list[tuple[dict[str, str], float]]]:
    """The samples by name. Each must stand below a help and a type of its name, and be well formed."""
    found: dict[str, list[tuple[dict[str, str], float]]] = {}
    assert text.endswith("\n")
    for line in text.splitlines():
        if line.startswith("# HELP "):
            name = line.split()[2]
            assert name not in found
            found[name] = []
        elif line.startswith("# TYPE "):
            assert line.split()[2:] == [name, "gauge"]
        else:
            sample = SAMPLE.fullmatch(line)
            assert sample, line
            assert sample[1] == name
            found[name].append((dict(re.findall(r'(\w+)="((?:[^"\\]|\\.)*)"', sample[2] or "")), float(sample[3])))
    return found


def test_status_writes_metrics_with_the_numbers_of_the_state(delivered: Shop) -> None:
    file = delivered.program.folder / "rehook_sync.prom"
    file.write_text("old")
    done = delivered("status", "--quiet", "--prometheus", str(file))
    assert (done.code, done.out, done.err) == (0, "", "")
    assert stat.S_IMODE(file.stat().st_mode) == 0o644
    assert [each.name for each in file.parent.glob(".rehook_sync.prom*")] == []
    found = read_metrics(file.read_text(encoding="utf-8"))
    counts = Counter[str]()
    for labels, value in found["rehook_sync_calls"]:
        counts[labels["status"]] += int(value)
    assert counts == delivered.counts()
    ages = {labels["stream"]: value for labels, value in found["rehook_sync_lag_seconds"]}
    marks = {labels["stream"]: value for labels, value in found["rehook_sync_watermark_timestamp_seconds"]}
    ((_, now),) = found["rehook_sync_status_timestamp_seconds"]
    assert abs(now - datetime.now(UTC).timestamp()) < 60
    assert all(abs(now - marks[stream] - ages[stream]) < 0.01 for stream in ("identifies", "tracks"))
    (run,) = delivered("status", "--json", "--runs", "1").json["runs"]
    assert {labels["status"]: value for labels, value in found["rehook_sync_last_run_status"] if value} == {"succeeded": 1}
    assert sum(value for _, value in found["rehook_sync_last_run_rows"]) == run["rows_read"]
    assert found["rehook_sync_last_run_requests"] == [({}, run["requests"])]
    assert found["rehook_sync_lease_held"] == [({}, 0)]


def test_documented_metrics_are_those_that_are_written(delivered: Shop) -> None:
    file = delivered.program.folder / "m.prom"
    assert delivered("status", "--quiet", "--prometheus", str(file)).code == 0
    page = (ROOT / "docs" / "operating.md").read_text(encoding="utf-8").partition("\n## Metrics\n")[2].partition("\n## ")[0]
    rows = [line for line in page.splitlines() if line.startswith("| `")]
    documented = {name: set(re.findall(r"`(\w+)`", row.split("|")[2])) for row in rows for name in re.findall(r"`(rehook_sync_\w+)`", row)}
    found = read_metrics(file.read_text(encoding="utf-8"))
    assert {name: {label for labels, _ in samples for label in labels} for name, samples in found.items()} == documented


def test_metrics_before_the_first_run_and_of_odd_names(shop: Shop) -> None:
    file = shop.program.folder / "m.prom"
    assert shop.ready()("status", "--prometheus", str(file)).code == 0
    assert read_metrics(file.read_text(encoding="utf-8"))["rehook_sync_last_run_status"] == []
    assert shop("run", "--since", "beginning", "--json").code == 0
    shop.execute("""UPDATE sync_watermarks SET source = 'a"b\\' || char(10) || 'c'""")
    assert shop("status", "--quiet", "--prometheus", str(file)).code == 0
    sources = {labels["source"] for labels, _ in read_metrics(file.read_text(encoding="utf-8"))["rehook_sync_lag_seconds"]}
    assert sources == {'a\\"b\\\\\\nc'}


def test_a_file_that_cannot_be_written_is_one_line(delivered: Shop) -> None:
    done = delivered("status", "--prometheus", "/nowhere/at/all.prom")
    assert done.code == 2
    assert done.err == "error: --prometheus: '/nowhere/at/all.prom' cannot be written: No such file or directory\n"
