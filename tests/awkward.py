"""One run over an awkward source of `sources`, and what it sent, in the form in which they say it."""

import json
from collections.abc import Sequence

from accounting import ALL, Bench

from rehook_sync.errors import RehookSyncError
from rehook_sync.jobs.results import RunOptions
from rehook_sync.render.console import run_exit_code
from rehook_sync.render.run import run_document
from rehook_sync.runtime import Interrupt

__all__ = ["run", "shown"]


def run(bench: Bench) -> tuple[int, Sequence[str]]:
    """Run once and audit: the exit code, and the notes or the error as `--json` has them."""
    interrupt = Interrupt()
    try:
        with bench.sync() as sync:
            result = sync.run(RunOptions(since=ALL if not bench.read_state("sync_watermarks") else None), interrupt)
    except RehookSyncError as error:
        assert bench.bodies() == [], "nothing is sent before a refusal"
        return error.exit_code, [str(error)]
    bench.check()
    document = run_document(result)
    lines = [str(result.error)] if result.error else [str(note) for note in document["notes"]]  # type: ignore[attr-defined]
    return run_exit_code(result, interrupt), lines


def shown(body: str) -> str:
    found = json.loads(body)
    return json.dumps([found.get("event_name", found["source_id"]), found["metadata"]])
