"""Runs as OpenTelemetry metrics: with the real SDK in memory, over OTLP to a real receiver, and not at all where nobody listens."""

import gzip
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

from .conftest import STATUSES, Shop

ROOT = Path(__file__).resolve().parents[2]
IN_MEMORY = """
import json, sys
from opentelemetry import metrics
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
reader = InMemoryMetricReader()
metrics.set_meter_provider(MeterProvider([reader]))
from rehook_sync import __main__ as entry
sys.argv = ["rehook-sync", *sys.argv[1:]]
try:
    entry.main()
finally:
    open("metrics.json", "w").write(reader.get_metrics_data().to_json())
"""
OVER_OTLP = """
import sys
from opentelemetry import metrics
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
exporter = OTLPMetricExporter(endpoint=sys.argv.pop(1))
metrics.set_meter_provider(MeterProvider([PeriodicExportingMetricReader(exporter)]))
from rehook_sync import __main__ as entry
sys.argv = ["rehook-sync", *sys.argv[1:]]
entry.main()
"""


def run(shop: Shop, code: str, *arguments: str) -> str:
    """Run the program in a process that has set up its metrics; returns its answer."""
    process = shop.program.start_python("-c", code, *arguments)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    return out


def points(found: dict[str, Any]) -> dict[str, list[tuple[dict[str, str], Any]]]:
    """Name -> attributes and value of each point, as the SDK writes its metrics."""
    (resource,) = found["resource_metrics"]
    (scope,) = resource["scope_metrics"]
    assert scope["scope"]["name"] == "rehook_sync"
    return {
        each["name"]: [(point["attributes"], point.get("value", point.get("sum"))) for point in each["data"]["data_points"]]
        for each in scope["metrics"]
    }


def test_a_run_in_an_instrumented_process_is_recorded(shop: Shop) -> None:
    document = json.loads(run(shop.ready(), IN_MEMORY, "run", "--since", "beginning", "--json"))
    found = points(json.loads((shop.program.folder / "metrics.json").read_text()))
    rows = dict.fromkeys(STATUSES, 0)
    reasons = {}
    for labels, value in found["rehook.rows"]:
        rows[labels["status"]] += value
        if "reason" in labels:
            reasons[labels["reason"]] = value
    assert rows == {status: document[status] for status in STATUSES}
    assert reasons == document["rejected_by_reason"]
    assert found["rehook.requests"] == [({}, document["requests"])]
    assert found["rehook.runs"] == [({"status": "succeeded"}, 1)]
    assert {labels["stream"] for labels, _ in found["rehook.lag"]} == {"identifies", "tracks"}
    assert all(3000 < value < 40_000_000 for _, value in found["rehook.lag"])
    assert {labels["status"]: value for labels, value in found["rehook.unsettled"]} == {"failed": 0, "waiting": 0, "in_doubt": 0}
    page = (ROOT / "docs" / "operating.md").read_text(encoding="utf-8")
    assert set(re.findall(r"^\| `(rehook\.[\w.]+)` \|", page, re.MULTILINE)) == set(found)


def test_latency_retries_and_commits_are_recorded_while_a_run_goes_on(shop: Shop) -> None:
    shop.ready()
    shop.sandbox.faults.add("status", status=429, path="/events/invoke", times=7)
    document = json.loads(run(shop, IN_MEMORY, "run", "--since", "beginning", "--json"))
    (resource,) = json.loads((shop.program.folder / "metrics.json").read_text())["resource_metrics"]
    found = {each["name"]: each["data"]["data_points"] for each in resource["scope_metrics"][0]["metrics"]}
    asked = {
        (point["attributes"]["stream"], point["attributes"]["http_status"]): point["count"] for point in found["rehook.request.duration"]
    }
    assert asked["tracks", "429"] == 7
    assert {stream for stream, _ in asked} == {"identifies", "tracks"}
    assert sum(asked.values()) == document["requests"] - 1, "all but the check of the credentials"
    assert [point["value"] for point in found["rehook.retries"]] == [7]
    for name, most_s in (("rehook.request.duration", 60), ("rehook.commit.duration", 60)):
        for point in found[name]:
            assert sum(point["bucket_counts"]) == point["count"]
            assert point["explicit_bounds"][0] < 0.01, "in seconds"
            assert 0 < point["max"] < most_s
    ((commits),) = found["rehook.commit.duration"]
    assert 1 <= commits["count"] <= 3 * document["requests"]


@contextmanager
def collecting() -> Iterator[tuple[str, list[bytes]]]:
    """A collector on loopback."""
    taken: list[bytes] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            taken.append(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}/v1/metrics", taken
        server.shutdown()
        thread.join()


def test_the_metrics_of_a_run_reach_a_collector(shop: Shop) -> None:
    with collecting() as (url, taken):
        run(shop.ready(), OVER_OTLP, url, "run", "--since", "beginning", "--quiet")
    sent = [ExportMetricsServiceRequest.FromString(gzip.decompress(each) if each[:2] == b"\x1f\x8b" else each) for each in taken]
    names = {
        metric.name
        for request in sent
        for resource in request.resource_metrics
        for scope in resource.scope_metrics
        for metric in scope.metrics
    }
    assert names == {
        f"rehook.{name}"
        for name in ("runs", "run.duration", "rows", "requests", "request.duration", "retries", "commit.duration", "unsettled", "lag")
    }


def test_a_process_that_is_not_instrumented_loads_nothing_for_it(delivered: Shop) -> None:
    process = delivered.program.start_python("-X", "importtime", "-m", "rehook_sync", "run")
    _, loaded = process.communicate(timeout=60)
    assert process.returncode == 0
    assert "rehook_sync.notify.metrics" in loaded
    assert "opentelemetry" not in loaded


def test_the_api_without_an_sdk_does_nothing(delivered: Shop) -> None:
    code = "import sys, opentelemetry.metrics\nfrom rehook_sync import __main__ as entry\nsys.argv = ['x', *sys.argv[1:]]\nentry.main()"
    assert run(delivered, code, "run", "--quiet") == ""
