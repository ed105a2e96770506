"""The words in which people are told. No personal data, no secret: counts, names of sources, times and run ids. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from rehook_sync.errors import (
    ApiDownError,
    CredentialsRefusedError,
    RehookSyncError,
    SettingsError,
    SourceError,
    StateVersionError,
    UsageError,
)
from rehook_sync.inputs.notices import Condition
from rehook_sync.models import Status
from rehook_sync.notify.states import Ending
from rehook_sync.times import duration_text

__all__ = ["Message", "Tone", "begun_message", "over_message"]

_WHY = {
    CredentialsRefusedError: "Rehook refused the credentials",
    ApiDownError: "the Rehook API does not work",
    SourceError: "the warehouse cannot be read, or is not laid out as before",
    StateVersionError: "the sync-state tables are missing, or of another version",
    SettingsError: "settings must change first",
    UsageError: "somebody must decide first how to go on",
}
_WHAT = {
    "attention": "rows need attention",
    "stopped": "runs are stopped",
    "crashed": "a run died",
    "waiting": "events wait for their properties",
    "rejected_share": "many rows are rejected",
    "lag": "no new rows",
}
_LOOK = "`python -m rehook_sync status` on its machine shows more."


class Tone(StrEnum):
    """How urgent a message is, in the words of the notifiers."""

    WARNING = "warning"
    FAILURE = "failure"
    SUCCESS = "success"


@dataclass(frozen=True, slots=True)
class Message:
    """What people are told."""

    title: str
    body: str
    tone: Tone


def begun_message(condition: Condition, ending: Ending, sources: Iterable[str]) -> Message:
    """Return the message that a state has begun."""
    tone = Tone.FAILURE if condition.kind in {"stopped", "crashed"} else Tone.WARNING
    return Message(f"{_name(sources)}: {_WHAT[condition.kind]}", f"{_said(condition, ending)}\n{_run(ending)}{_LOOK}", tone)


def over_message(condition: Condition, since: datetime | None, ending: Ending, sources: Iterable[str]) -> Message:
    """Return the message that a state is over."""
    began = f"It was so since {since:%Y-%m-%d %H:%M} UTC.\n" if since else ""
    return Message(f"{_name(sources)}: over: {_WHAT[condition.kind]}", f"{began}{_run(ending)}{_LOOK}", Tone.SUCCESS)


def _name(sources: Iterable[str]) -> str:
    names = ", ".join(sources)
    return f"rehook-sync ({names})" if names else "rehook-sync"


def _run(ending: Ending) -> str:
    return f"Run {ending.run_id}. " if ending.run_id else ""


def _said(condition: Condition, ending: Ending) -> str:
    """Return what is known of a state, in one line."""
    if condition.kind == "attention":
        counts = {status.replace("_", " "): count for status, count in (ending.unsettled or {}).items() if count}
        counts = {("have waited too long" if name == "waiting" else name): count for name, count in counts.items()}
        parts = ", ".join(f"{count:,} {name}" for name, count in counts.items())
        later = " Those in doubt wait for `resolve`." if (ending.unsettled or {}).get(Status.IN_DOUBT) else ""
        return f"Rows of all runs: {parts or 'some could not be sent under their ids'}.{later}"
    if condition.kind == "stopped":
        return f"{_why(ending.error)}. Nothing is lost: no watermark moved, and the next run tries again."
    if condition.kind == "crashed":
        return f"{_died(ending)} What was in flight then is known to the sync-state, and the next run goes on."
    if condition.kind == "waiting":
        return f"{ending.waiting or 0:,} calls wait; each run looks again."
    if condition.longer_than is not None:
        age = duration_text(ending.lag) if ending.lag is not None else "unknown"
        return f"The newest row of a source is {age} old; the bound is {duration_text(condition.longer_than)}. Is the warehouse loaded?"
    rows, rejected = ending.rows or 0, ending.rejected or 0
    return f"{rejected / max(rows, 1):.1%} of the rows of the last day: {rejected:,} of {rows:,}."


def _died(ending: Ending) -> str:
    if ending.died:
        many = len(ending.died) > 1
        return f"Run{'s' * many} {', '.join(ending.died)} did not end by {'themselves' if many else 'itself'}."
    return f"It ended with an error that nobody expected ({type(ending.error).__name__})."


def _why(error: BaseException | None) -> str:
    said = next((text for kind, text in _WHY.items() if isinstance(error, kind)), "something around the job fails")
    code = f" (exit code {error.exit_code})" if isinstance(error, RehookSyncError) else ""
    return f"{said[0].upper()}{said[1:]}{code}"
