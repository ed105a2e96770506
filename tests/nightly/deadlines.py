"""A run that misses its deadline under a real scheduler: who is told, and by what."""

import json
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

from cluster import Cluster, wait_for

__all__ = ["DAG", "Webhook", "add_dag", "opened_webhook", "wait_for_the_news"]

DAG = "rehook_with_a_deadline"
PAGE = Path(__file__).resolve().parents[2] / "docs" / "airflow.md"
LATE_S = 3
TOLD_S = 180


@dataclass
class Webhook:
    """An address on loopback as NOTIFY takes it, and what was sent there."""

    url: str
    messages: list[dict[str, Any]] = field(default_factory=list)


@contextmanager
def opened_webhook() -> Iterator[Webhook]:
    """Listen until the end."""
    webhook = Webhook("")

    class Hook(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            webhook.messages.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_given: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Hook) as server:
        webhook.url = f"json://127.0.0.1:{server.server_port}/"
        thread = Thread(target=server.serve_forever)
        thread.start()
        try:
            yield webhook
        finally:
            server.shutdown()
            thread.join()


def add_dag(airflow: Cluster) -> None:
    """Let Airflow have the documented DAG with a deadline, that of some seconds instead of an hour, and what watches deadlines."""
    (text,) = [
        each for each in re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL) if f'dag_id="{DAG}"' in each
    ]
    for old, new in (
        ("timedelta(hours=1)", f"timedelta(seconds={LATE_S})"),
        ('schedule="@hourly"', "schedule=None"),
        ('"warehouse_schema": "web_prod", ', ""),
    ):
        assert old in text, old
        text = text.replace(old, new)
    (airflow.folder / "dags" / "late.py").write_text(text, encoding="utf-8")
    if "triggerer" not in airflow.parts:
        airflow.start("triggerer", "--skip-serve-logs")
    wait_for(lambda: airflow.client.get(f"/api/v2/dags/{DAG}").is_success, TOLD_S, "the DAG with a deadline")


def wait_for_the_news(webhook: Webhook, run_id: str) -> tuple[str, float]:
    """Return what people were told of a run that was late, and how long it took to tell them."""
    began = time.monotonic()

    def told() -> Any:
        return next((each["message"] for each in webhook.messages if run_id in each["message"]), None)

    return str(wait_for(told, TOLD_S, "news of the missed deadline")), time.monotonic() - began
