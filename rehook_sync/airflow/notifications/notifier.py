"""Tells the people of NOTIFY what no run can tell: that a task failed, or that a run is late."""

# ruff: noqa: PLC0415 - each task parses the DAG again; heavy modules load when there is something to say

import asyncio
from collections.abc import Coroutine, Mapping, Sequence
from typing import Any

import rehook_sync.airflow.common.versions  # noqa: F401 - first: says what an older Airflow lacks

# isort: split

from airflow.sdk import BaseNotifier

from rehook_sync.airflow.connections import DEFAULT_REHOOK, read_notifiers
from rehook_sync.errors import RehookSyncError

__all__ = ["RehookNotifier"]

_FIELDS = {"dag_id": "dag_id", "dag_run_id": "run_id"}
"""Of a run in Airflow's API -> of a task or a run."""


class RehookNotifier(BaseNotifier):
    """Send a message by the URLs of NOTIFY: as `on_failure_callback` of tasks and DAGs, or as the callback of a deadline.

    Shape:  text: what is said of it, may be a template; None: which task of which run failed.
            rehook_conn_id: connection that may hold NOTIFY in its extra; else it comes from the environment.
    """

    template_fields: Sequence[str] = ("text",)

    def __init__(self, text: str | None = None, rehook_conn_id: str = DEFAULT_REHOOK, **more: Any) -> None:  # noqa: ANN401 - as Airflow has it
        """Keep the words."""
        super().__init__(**more)
        self.text = text
        self.rehook_conn_id = rehook_conn_id

    def notify(self, context: Mapping[str, Any]) -> None:
        """Send it. Raises SettingsError when NOTIFY is missing or cannot be used."""
        from rehook_sync.errors import SettingsError
        from rehook_sync.notify.carriers import send
        from rehook_sync.notify.messages import Message, Tone

        urls = read_notifiers(self.rehook_conn_id)
        if not urls:
            raise SettingsError("REHOOK_SYNC_NOTIFY: missing: nothing says who is to be told; example: REHOOK_SYNC_NOTIFY=mailto://...")
        title, body = self._words(context)
        if failed := send(Message(title, body, Tone.FAILURE), urls):
            self.log.error("no message went to %s", ", ".join(failed))

    def async_notify(self, context: Mapping[str, Any]) -> Coroutine[Any, Any, None]:
        """Send it from the triggerer, where deadlines are watched; in a thread, since connections are asked for and others wait."""
        return asyncio.to_thread(self.notify, context)

    def _words(self, context: Mapping[str, Any]) -> tuple[str, str]:
        """Return a title and a text. Of an error that is not ours only its kind is told: its text may hold anything."""
        task, run, error = context.get("ti"), context.get("dag_run"), context.get("exception")
        # The scheduler tells of a deadline what its API says of the run: a document with other names.
        told = run if isinstance(run, Mapping) else {name: getattr(task or run, field, None) for name, field in _FIELDS.items()}
        dag_id, run_id = told.get("dag_id") or "a DAG", told.get("dag_run_id")
        what = f"task {task.task_id} failed" if task is not None else "look at this run"
        why = "" if error is None else str(error) if isinstance(error, RehookSyncError) else type(error).__name__
        lines = (self.text, f"Run {run_id}." if run_id else None, why, getattr(task, "log_url", None))
        return f"{dag_id}: {what}", "\n".join(line for line in lines if line) or what
