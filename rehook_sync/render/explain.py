"""What an explanation looks like: what arrived, what was decided and why, what was sent, Rehook's answer, what to do next."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

from rich.console import RenderableType
from rich.padding import Padding
from rich.table import Table as Grid
from rich.text import Text

from rehook_sync.jobs.notes.lines import shared_notes
from rehook_sync.jobs.results import Explanation, Unjudged
from rehook_sync.models import Reason, Status, Stream
from rehook_sync.render.advice import Advice, Shell, advise
from rehook_sync.render.console import visible
from rehook_sync.render.text import clock, counted, line, meaning, sentence, status_text
from rehook_sync.rules.watermark import Absence
from rehook_sync.times import FIRST_MOMENT, moment_text

__all__ = ["explanation_document", "explanation_view"]

_ABSENCES = {
    Absence.NO_RUN: "no run has got through this stream yet",
    Absence.FUTURE: "it is dated in the future; a run takes it up once its time has come",
    Absence.NEXT_RUN: "no run has come to it yet; the next one takes it up",
    Absence.LATE: "no run has come to it yet; the next one takes it up",
    Absence.TOO_LATE: "it arrived later than REHOOK_SYNC_LOOKBACK behind the watermark; no run looks that far back by itself",
    Absence.BEFORE_START: "it is older than the start of the first run{began}; no run takes it up by itself",
}
_LABEL_WIDTH = 9


def explanation_document(explanation: Explanation, shell: Shell) -> dict[str, object]:
    """Return all that is known about an id."""
    return {
        "id": explanation.key,
        "rows": [{**row, "meaning": _why(row), "next": _advice_document(advise(row, shell))} for row in explanation.rows],
        "related": list(explanation.related),
        "customer": explanation.customer,
        "not_judged": [_unjudged_document(each, explanation, shell) for each in explanation.unjudged] if explanation.looked else None,
        "detached": list(explanation.detached) if explanation.looked else None,
        "notes": [*shared_notes(explanation.shared), *explanation.notes],
    }


def explanation_view(explanation: Explanation, shell: Shell) -> Iterator[RenderableType]:
    """Yield who an id is, then each of its calls in time order."""
    known = bool(explanation.rows or explanation.unjudged or explanation.customer)
    yield from _head(explanation) if known else _nothing(explanation, shell)
    said = _Said()
    story: list[_JudgedCall | _UnjudgedCall] = [_JudgedCall(row, explanation, shell, said) for row in explanation.rows]
    story += [_UnjudgedCall(each, explanation, shell, said) for each in explanation.unjudged]
    for each in sorted(story, key=lambda each: each.at):
        yield ""
        yield from each.lines()
    if explanation.detached:
        detached = counted(len(explanation.detached), "call")
        yield line(f"{detached} of the warehouse judged, and the user id taken out here since, by `prune` or `forget`; one of them:")
        yield line(f"  {shell('explain', ids=(explanation.detached[0],))}", style="bold")
    for note in (*shared_notes(explanation.shared), *explanation.notes):
        yield sentence("note: ", note, style="yellow")


def _head(explanation: Explanation) -> Iterator[RenderableType]:
    customer = explanation.customer or {}
    counts = Counter(str(row["status"]) for row in explanation.rows)
    calls = len(explanation.rows) + len(explanation.unjudged)
    parts: list[str | Text | tuple[str, str]] = [(explanation.key, "bold"), f"  {counted(calls, 'call')}"]
    for place, status in enumerate(status for status in Status if counts[status]):
        parts += [", " if place else ": ", f"{counts[status]:,} ", status_text(status)]
    if explanation.unjudged:
        parts += [", " if explanation.rows else ": ", (f"{len(explanation.unjudged):,} not judged yet", "yellow")]
    yield line(*parts)
    code, sent_at, who = customer.get("referral_code"), customer.get("first_sent_at"), customer.get("source_id")
    user = "" if who in (None, explanation.key) else "its user: "
    if customer:
        elsewhere = "at Rehook from elsewhere, says a baseline" if counts[Status.SKIPPED] else "not at Rehook yet"
        at = f"at Rehook since {clock(sent_at)}" if sent_at else elsewhere
        yield line(user, at)
        yield line(f"owns referral code {code}" if code else "owns no referral code")
    else:
        named = any(row["user_id"] for row in explanation.rows) or not explanation.rows
        yield line("not at Rehook yet" if named else "no user id, so no customer")
    yield line(("times are UTC", "dim"))


def _nothing(explanation: Explanation, shell: Shell) -> Iterator[RenderableType]:
    yield line(f"nothing is known about {explanation.key}: no judged call has this user id or message id")
    if explanation.detached or explanation.shared.calls:
        return
    if explanation.looked:
        yield "The warehouse holds none either: if it was made, it has not been loaded yet."
    yield "Ids are compared exactly: look at spaces, letter case and leading zeros. A call"
    yield "without a user id, or whose detail was pruned, is found by its message id only."
    yield "How far the sync has come:"
    yield line(f"  {shell('status')}", style="bold")


class _Said:
    """The advice of a story so far: what was said of one call is not said again of another."""

    def __init__(self) -> None:
        self._since: dict[tuple[object, ...], datetime] = {}

    def next(self, advice: Advice | None, message_id: str, since: datetime = FIRST_MOMENT) -> Iterator[RenderableType]:
        """Yield an advice, or that it stands above. `since`: what it is about begins there, and includes what comes later."""
        if advice is None:
            return
        commands = " ".join(command for _, command in advice.commands).replace(moment_text(since), "")
        key, own = (advice.text, commands.replace(message_id, "")), message_id in commands
        if key in self._since and self._since[key] <= since:
            yield _fact("next", "as above, with this message id" if own else "as above")
            return
        self._since[key] = since
        yield from _next(advice)


@dataclass(frozen=True, slots=True)
class _JudgedCall:
    """A judged call."""

    row: Mapping[str, object]
    explanation: Explanation
    shell: Shell
    said: _Said

    @property
    def at(self) -> datetime:
        return _moment(self.row["occurred_at"])

    def lines(self) -> Iterator[RenderableType]:
        row = self.row
        yield line(f"{clock(row['occurred_at'])}  {_what(row)}  ", status_text(str(row["status"])))
        yield _message(str(row["message_id"]), row["received_at"])
        if row["user_id"] not in (None, self.explanation.key):
            yield _fact("user", str(row["user_id"]))
        if self.explanation.names_sources:
            yield _fact("source", str(row["source"]))
        yield _fact("decided", f"{clock(row['settled_at'] or row['first_seen_at'])} by run {row['run_id']}")
        if why := _why(row):
            yield _fact("why", why)
        if row["status"] == Status.WAITING:
            yield _fact("waits", f"since {clock(row['first_seen_at'])}")
        if earlier := self._earlier():
            yield _fact("", earlier)
        yield _fact("sent", self._sent())
        if answer := _answer(row):
            yield _fact("Rehook", answer)
        yield from self.said.next(advise(row, self.shell), str(row["message_id"]))

    def _sent(self) -> str:
        row = self.row
        if row["sent_as"]:
            return f"inside the Identify call {self._carrier(str(row['sent_as']))}"
        attempts = row["attempts"] if isinstance(row["attempts"], int) else 0
        if attempts:
            return counted(attempts, "request")
        return "in flight, or next in line" if row["status"] == Status.SENDING else "nothing"

    def _carrier(self, message_id: str) -> str:
        found = (*self.explanation.rows, *self.explanation.related)
        carrier = next((each for each in found if each["message_id"] == message_id and each["stream"] == Stream.IDENTIFIES), None)
        if carrier is None:
            return message_id
        return f"of {clock(carrier['occurred_at'])}, message {message_id}: {_answer(carrier) or carrier['status']}"

    def _earlier(self) -> str:
        """Return what a blocked call waits for: the last unsettled call of its user before it."""
        if self.row["reason"] != Reason.BLOCKED_BY_EARLIER:
            return ""
        before = [each for each in (*self.explanation.rows, *self.explanation.related) if _is_blocking(each, self.row)]
        if not before:
            return "the earlier call is settled by now"
        cause = max(before, key=_place)
        return f"the earlier call: {_what(cause)} of {clock(cause['occurred_at'])}, {cause['status']}, message {cause['message_id']}"


@dataclass(frozen=True, slots=True)
class _UnjudgedCall:
    """A call that only the warehouse knows."""

    found: Unjudged
    explanation: Explanation
    shell: Shell
    said: _Said

    @property
    def at(self) -> datetime:
        return _moment(self.found.row.occurred_at)

    def lines(self) -> Iterator[RenderableType]:
        row = self.found.row
        name = _what({"stream": row.stream, "event": row.event})
        yield line(f"{clock(row.occurred_at)}  {name}  ", ("not judged", "yellow"))
        yield _message(row.message_id, row.received_at)
        if self.explanation.names_sources:
            yield _fact("source", row.source)
        yield _fact("why", _absence(self.found))
        advice = _unjudged_advice(self.found, self.explanation, self.shell)
        yield from self.said.next(advice, row.message_id, row.received_at or FIRST_MOMENT)


def _fact(label: str, text: str) -> RenderableType:
    grid = Grid.grid(padding=(0, 0))
    grid.add_column(width=_LABEL_WIDTH, style="dim", no_wrap=True)
    grid.add_column(overflow="fold")
    grid.add_row(label, Text(visible(text)))
    return Padding(grid, (0, 0, 0, 2), expand=False)


def _message(message_id: str, received_at: object) -> Text:
    """Return the id unwrapped, so that people can copy it."""
    return line("  ", (f"{'message':<{_LABEL_WIDTH}}", "dim"), message_id, f"  received {clock(received_at)}")


def _next(advice: Advice) -> Iterator[RenderableType]:
    yield _fact("next", advice.text + (":" if advice.commands else ""))
    indent = " " * (_LABEL_WIDTH + 2)
    for remark, command in advice.commands:
        if remark:
            yield line((f"{indent}# {remark}", "dim"))
        yield line(f"{indent}{command}", style="bold")


def _what(row: Mapping[str, object]) -> str:
    stream = Stream(str(row["stream"]))
    return "identify" if stream.is_identify else f"{'track' if stream == Stream.TRACKS else stream} {row['event'] or '(no name)'}"


def _why(row: Mapping[str, object]) -> str:
    """Return the reason in words, its name and its detail; Rehook's own details stand under `_answer`."""
    words = {Status.UNCHANGED: "the customer has all of it already, by an earlier Identify call"}
    reason = str(row["reason"] or "")
    first = f"{meaning(reason)} ({reason})" if meaning(reason) else reason or words.get(Status(str(row["status"])), "")
    own = row["detail"] if not row["http_status"] else None
    return ": ".join(str(each) for each in (first, own) if each)


def _answer(row: Mapping[str, object]) -> str:
    number, detail = row["http_status"], str(row["detail"] or "")
    if not number:
        return ""
    said = detail if detail.startswith(str(number)) else " ".join(each for each in (str(number), detail) if each)
    return f"HTTP {said}" + (", accepted" if row["status"] == Status.SENT else "")


def _is_blocking(row: Mapping[str, object], blocked: Mapping[str, object]) -> bool:
    return (
        row["status"] in (Status.FAILED, Status.IN_DOUBT, Status.SENDING)
        and row["reason"] != Reason.BLOCKED_BY_EARLIER
        and row["user_id"] == blocked["user_id"]
        and _place(row) < _place(blocked)
    )


def _moment(value: object) -> datetime:
    return value if isinstance(value, datetime) else FIRST_MOMENT


def _place(row: Mapping[str, object]) -> tuple[datetime, str, str]:
    return _moment(row["occurred_at"]), str(row["stream"]), str(row["message_id"])


def _absence(found: Unjudged) -> str:
    return _ABSENCES[found.absence].format(began="" if found.began_at is None else f", {clock(found.began_at)}")


def _unjudged_advice(found: Unjudged, explanation: Explanation, shell: Shell) -> Advice | None:
    at = found.row.received_at
    only = ("--stream", found.row.stream, *(("--source", found.row.source) if explanation.names_sources else ()))
    if found.absence.ends_with_next_run:
        return Advice("wait for the next run, or start one", (("", shell("run")),))
    if found.absence is Absence.FUTURE or at is None:
        return None
    since = ("--since", moment_text(at))
    commands = [("look first", shell("plan", *since, *only)), ("then", shell("run", *since, *only))]
    also = " with everything received since then that no run has judged; each event sent pays out rewards"
    return Advice(f"if it shall go out, take it up{also}", tuple(commands))


def _unjudged_document(found: Unjudged, explanation: Explanation, shell: Shell) -> dict[str, object]:
    row = found.row
    return {
        **{name: getattr(row, name) for name in ("source", "stream", "message_id", "user_id", "event", "received_at", "occurred_at")},
        "absence": Absence.NEXT_RUN if found.absence.ends_with_next_run else found.absence,
        "meaning": _absence(found),
        "next": _advice_document(_unjudged_advice(found, explanation, shell)),
    }


def _advice_document(advice: Advice | None) -> dict[str, object] | None:
    if advice is None:
        return None
    return {"text": advice.text, "commands": [command for _, command in advice.commands]}
