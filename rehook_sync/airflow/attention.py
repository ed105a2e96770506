"""Rows that failed, are in doubt or have waited too long: listed for a human, who decides, and the decision carried out."""

# ruff: noqa: PLC0415 - each task parses the DAG again; heavy modules load when a task runs

import signal
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rehook_sync.airflow.common.versions import AirflowException, AirflowSkipException
from rehook_sync.airflow.operators import Context, RehookOperator, as_document
from rehook_sync.errors import UsageError
from rehook_sync.runtime import Interrupt

if TYPE_CHECKING:
    from rehook_sync.sync import Sync

__all__ = ["CHOICES", "RehookListAttentionOperator", "RehookResolveOperator"]

RESEND, ACCEPT, LEAVE = CHOICES = ("Resend", "Accept", "Leave")
"""They did not arrive: send them again.  They arrived: count them as sent.  Decide later."""
_COLUMNS = ("stream", "event", "user_id", "message_id", "status", "reason", "detail", "attempts", "first_seen_at")
_SHOWN = 50


class RehookListAttentionOperator(RehookOperator):
    """List rows that failed, are in doubt or have waited too long. Without any, this task and those after it are skipped.

    Shape:  rows: most rows for one decision.  Returns the rows, counts, and a table in Markdown.
    """

    def __init__(self, *, rows: int = 500, **more: Any) -> None:  # noqa: ANN401 - what every operator takes
        """Keep the limit."""
        super().__init__(**more)
        self.rows = rows

    def execute(self, context: Context) -> dict[str, Any]:
        """List the rows. Raises AirflowSkipException when there are none."""
        del context
        with self.opened() as sync:
            counts, rows = sync.read_attention(self.rows)
        if not rows:
            raise AirflowSkipException("no row is failed, in doubt or waiting too long")
        listed = as_document({"rows": rows, "counts": counts})
        return {**listed, "text": _table(listed["rows"], listed["counts"])}


class RehookResolveOperator(RehookOperator):
    """Carry out the decision for the rows that were listed, and no others.

    Shape:  choice: one of `CHOICES`.  listed: what the list task returned.  Both may be templates or task outputs.
    """

    template_fields: Sequence[str] = (*RehookOperator.template_fields, "choice", "listed")

    def __init__(self, *, choice: str, listed: Mapping[str, Any], **more: Any) -> None:  # noqa: ANN401 - what every operator takes
        """Keep both; they are rendered when the task runs."""
        super().__init__(**more)
        self.choice = choice
        self.listed = listed
        self._interrupt = Interrupt()

    def execute(self, context: Context) -> dict[str, Any]:
        """Resolve the rows. Raises LeaseHeldError while a run is at work; a retry after it works."""
        del context
        if self.choice not in CHOICES:
            raise UsageError(f"choice: {self.choice!r} is not one of {', '.join(CHOICES)}")
        ids = {
            status: tuple(row["message_id"] for row in self.listed["rows"] if row["status"] == status)
            for status in ("in_doubt", "failed", "waiting")
        }
        if self.choice != LEAVE and ids["in_doubt"]:
            with self.opened() as sync:
                ids["in_doubt"] = self._still_doubtful(sync, ids["in_doubt"])
        done: dict[str, Any] = {"choice": self.choice}
        if self.choice == ACCEPT and ids["in_doubt"]:
            with self.opened() as sync:
                done["accepted"] = sync.accept(ids["in_doubt"])
        elif self.choice == RESEND:
            done |= {status: self._send_again(status, some) for status, some in ids.items() if some}
        self.log.info("%s", done)
        return done

    def _still_doubtful(self, sync: "Sync", ids: tuple[str, ...]) -> tuple[str, ...]:
        """Leave out what somebody settled since it was listed: while people think, others act, and tasks are repeated."""
        still = sync.read_doubtful(ids)
        if len(still) < len(ids):
            self.log.warning("%s of the listed calls in doubt were settled since; they stay as they are", len(ids) - len(still))
        return still

    def _send_again(self, status: str, ids: tuple[str, ...]) -> dict[str, Any]:
        from rehook_sync.jobs.results import RunOptions
        from rehook_sync.models import Selection, Status, Trigger
        from rehook_sync.render.run import run_document

        with self.opened() as sync:
            options = RunOptions(only=Selection(Status(status), ids=ids), trigger=Trigger.AIRFLOW)
            result = sync.run(options, self._interrupt, self.listener())
        if result.error is not None:
            raise result.error
        if self._interrupt.requested:
            raise AirflowException("interrupted; what was in flight is settled")
        return as_document(run_document(result))

    def on_kill(self) -> None:
        """Stop sending and settle what is in flight; Airflow kills the process some seconds later."""
        self._interrupt.request(signal.SIGTERM)


def _table(rows: Sequence[Mapping[str, Any]], counts: Mapping[str, int]) -> str:
    """Return the meaning of the choices and the rows, as Markdown."""
    told = ", ".join(f"**{count}** {status.replace('_', ' ')}" for status, count in counts.items() if count)
    lines = [
        f"{told}; {len(rows)} of them are put up for decision.",
        "",
        f"- **{RESEND}**: those in doubt did not arrive; they and the failed ones are sent now. Waiting ones are looked for once more.",
        f"- **{ACCEPT}**: those in doubt did arrive; they count as sent. The failed ones go out with the next run.",
        f"- **{LEAVE}**: nothing is done. The failed ones go out with the next run.",
        "",
        f"| {' | '.join(_COLUMNS)} |",
        f"|{' --- |' * len(_COLUMNS)}",
        *(f"| {' | '.join(_cell(row[name]) for name in _COLUMNS)} |" for row in rows[:_SHOWN]),
    ]
    return "\n".join([*lines, *([f"… and {len(rows) - _SHOWN} more"] if len(rows) > _SHOWN else [])])


def _cell(value: object) -> str:
    """Return one cell, with Markdown and HTML escaped."""
    text = "" if value is None else str(value)
    return "".join(f"&#{ord(each)};" if each in "|<>&`*_[]\\" or not each.isprintable() else each for each in text)
