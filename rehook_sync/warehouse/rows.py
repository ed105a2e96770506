"""A driver's tuples to source rows: times, ids, exact values, and a problem instead of an exception. Pure."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from hashlib import sha256
from operator import attrgetter
from typing import Any
from uuid import UUID

from rehook_sync.database.kinds import trimmed
from rehook_sync.database.spool import as_kept
from rehook_sync.models import DEFAULT_SOURCE, SourceRow, Stream, Window
from rehook_sync.times import FIRST_MOMENT, to_time
from rehook_sync.values import exact_json, key_flaw, to_text

__all__ = [
    "NAMELESS",
    "RowPlan",
    "build_rows",
    "least_text",
    "read_fields",
    "read_message_id",
    "spellings",
    "time_order",
    "usable_time",
    "values_of",
    "weigh",
]

NAMELESS = "null-id:"
"""Begins the message id of a call without a usable id; a hash of its content follows."""
_SHOWN = 100
_MOST_OFFSET = timedelta(hours=15)
"""What an offset moves a time by is less."""
values_of = attrgetter(*SourceRow.__slots__)
"""Returns what a row is made of, in the order in which `SourceRow` takes it: so it is put aside, in half the time of a row itself."""

_SMALL = frozenset({bool, int, float, Decimal, date, datetime, time, UUID})
_SMALL_BYTES = 16

_UUID = re.compile(r"[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")
_TEXTS = ("user_id", "anonymous_id", "event", "event_text")


@dataclass(frozen=True, slots=True)
class RowPlan:
    """The positions of a call's columns in a driver's tuple; None for a missing column.

    Shape:  0 and 1: the times of arrival and of the call, NULL when unusable.  raw_cursor: time of arrival as stored.
            texts: user_id, anonymous_id, event, event_text.
            padded: positions of ids and names of type char(n).  folds_user: user ids are UUIDs in the other table, so write them as such.
            fields: names of the columns from `first_field` to the end.  convert: field -> function for the driver's value.
            naming: the same for the values that name a call without an id: as they were when such names were first made.
            json: the field whose JSON object holds further fields.  json_is_text: whether the driver gives it as text.
            unsent: fields that count for the message id of a call without one, and are not sent.
            event: the name of all events, None if each call has its own.  columns: where the fields are; what is behind is not the call's.
    """

    stream: Stream
    cursor: str
    id: int
    texts: tuple[int | None, int | None, int | None, int | None]
    raw_cursor: int | None
    fields: tuple[str, ...]
    first_field: int
    convert: Mapping[str, Callable[[Any], object]]
    json: str | None = None
    naming: Mapping[str, Callable[[Any], object]] = field(default_factory=dict)
    padded: tuple[int, ...] = ()
    folds_user: bool = False
    unsent: tuple[str, ...] = ()
    json_is_text: bool = True
    event: str | None = None
    source: str = DEFAULT_SOURCE
    columns: slice = field(init=False)

    def __post_init__(self) -> None:
        """Keep where the fields are: it is needed for each row."""
        object.__setattr__(self, "columns", slice(self.first_field, self.first_field + len(self.fields)))


def build_rows(plan: RowPlan, found: Iterable[Sequence[Any]]) -> Iterator[SourceRow]:
    """Yield one source row for each tuple."""
    build = _build_respelled if plan.padded or plan.folds_user else _build_row
    for row in found:
        yield build(plan, row)


def time_order(row: SourceRow) -> tuple[datetime, str]:
    """Return the sort key of a call: time, then message id; calls without a time come first."""
    return row.occurred_at or FIRST_MOMENT, row.message_id


def weigh(fields: dict[str, object]) -> int:
    """Return the bytes that fields take, about. A value that cannot be put aside as it is becomes what it means."""
    size = 0
    for name, value in fields.items():
        kind = type(value)
        if kind is str:
            size += len(value)  # type: ignore[arg-type]
        elif kind in _SMALL:
            size += _SMALL_BYTES
        else:
            fields[name], more = as_kept(value)
            size += more
    return size + _SMALL_BYTES * len(fields)


def read_message_id(value: object) -> tuple[str | None, str | None]:
    """Return the message id and None, or None and what is wrong with it."""
    try:
        text = to_text(value)
    except ValueError:
        return None, "id is no text"
    if text is None:
        return None, "id is NULL"
    if flaw := key_flaw(text):
        return None, f"id {flaw}"
    return (text, None) if text.strip() else (None, "id is blank")


def read_fields(names: Sequence[str], values: Iterable[Any], convert: Mapping[str, Callable[[Any], object]]) -> dict[str, object]:
    """Return the fields that are not NULL, converted."""
    fields = {name: value for name, value in zip(names, values, strict=True) if value is not None}
    for name, function in convert.items():
        if name in fields:
            fields[name] = function(fields[name])
            if fields[name] is None:  # JSON's null
                del fields[name]
    return fields


def least_text(window: Window, *, timed: bool = False) -> str | None:
    """Return a text that sorts before any time of the window as SQLite text, whatever its offset; None without a lower bound.

    timed: texts that are no time may be left out; else those are met as well that look like times of the day before.
    """
    try:
        if timed and window.low is not None:
            return (window.low.astimezone(UTC) - _MOST_OFFSET).isoformat(" ")[:16]
        return None if window.low is None else (window.low - timedelta(days=2)).date().isoformat()
    except OverflowError:
        return None


def usable_time(value: object) -> datetime | None:
    """Return an aware time, None when the value is no time."""
    try:
        moment = datetime.fromisoformat(value) if type(value) is str else value
        return moment if type(moment) is datetime and moment.tzinfo is UTC else to_time(moment)
    except ValueError:
        return None


def spellings(text: str) -> set[str]:
    """Return how a text column may write an id that is a UUID elsewhere."""
    return {text, text.lower(), text.upper()} if _UUID.fullmatch(text) else {text}


def _build_row(plan: RowPlan, row: Sequence[Any]) -> SourceRow:
    problem = encoded = None
    received, occurred = usable_time(row[0]), usable_time(row[1])
    if occurred is None or received is None:
        problem = _time_problem(plan, row, received)
        occurred = occurred or received
    fields = read_fields(plan.fields, row[plan.columns], plan.convert)
    for column in plan.unsent:
        fields.pop(column, None)
    if plan.json is not None and plan.json in fields:
        fields, flaw, times = _with_members(plan.json, fields)
        problem = problem or flaw
        encoded = plan.json if times > plan.json_is_text else None
    texts = [None if at is None else row[at] for at in plan.texts]
    for value in texts:
        if type(value) is not str and value is not None:
            texts, flaw = _as_text(texts)
            problem = problem or flaw
            break
    message_id = row[plan.id]
    if type(message_id) is not str or not message_id or message_id.isspace() or key_flaw(message_id):
        message_id, flaw = read_message_id(message_id)
        problem = flaw or problem
        message_id = message_id or _name(plan, row)
    user_id, anonymous_id, slug, name = texts
    if user_id is not None and (flaw := key_flaw(user_id)):
        problem = problem or f"user_id {flaw}"
        user_id = user_id[:_SHOWN] + ("…" if len(user_id) > _SHOWN else "")
    event = plan.event or (slug if name is None else name)
    values = plan.stream, message_id, user_id, anonymous_id, event, slug, received, occurred, fields
    return SourceRow(*values, problem, encoded=encoded, source=plan.source)


def _build_respelled(plan: RowPlan, given: Sequence[Any]) -> SourceRow:
    """Build the row of a call whose ids are written otherwise than elsewhere."""
    row = _build_row(plan, [trimmed(value) if at in plan.padded else value for at, value in enumerate(given)])
    if read_message_id(given[plan.id])[0] is None:
        row.message_id = _name(plan, given)
    elif plan.id in plan.padded and given[plan.id] != row.message_id:
        row.recorded_id = given[plan.id]
    if plan.folds_user and row.user_id is not None and _UUID.fullmatch(row.user_id):
        row.user_id = row.user_id.lower()
    return row


def _time_problem(plan: RowPlan, row: Sequence[Any], received: datetime | None) -> str:
    raw = row[0] if plan.raw_cursor is None else row[plan.raw_cursor]
    if received is None:
        return f"{plan.cursor} is NULL" if raw is None else f"{plan.cursor} is not a time"
    return "timestamp is not a time"


def _as_text(values: Sequence[object]) -> tuple[list[str | None], str | None]:
    """Return ids and names as text, None for those without a text form, and what is wrong with the first such."""
    texts: list[str | None] = []
    flaw = None
    for name, value in zip(_TEXTS, values, strict=True):
        try:
            texts.append(to_text(value))
        except ValueError:
            texts.append(None)
            flaw = flaw or f"{name} is no text"
    return texts, flaw


def _with_members(column: str, fields: Mapping[str, object], *, most: int = 2) -> tuple[dict[str, object], str | None, int]:
    """Return the members of a JSON column and the other fields, what is wrong with the column, and how often it was encoded as text.

    Shape:  most: how often it may be: loaders encode once more what is text already.
    Members take precedence. JSON's null and an empty text are no members.
    """
    others = {name: value for name, value in fields.items() if name != column}
    times = 0
    try:
        found, times = _decoded(fields[column], most)
    except RecursionError:
        return others, f"{column} is nested too deep", times
    except ValueError:
        found = None
    if not isinstance(found, dict):
        return others, f"{column} is not a JSON object", times
    members = {name: member for name, member in found.items() if member is not None}
    return {**members, **{name: other for name, other in others.items() if name not in members}}, None, times


def _decoded(value: object, most: int) -> tuple[object, int]:
    if isinstance(value, memoryview):
        value = bytes(value)
    times = 0
    while isinstance(value, str | bytes | bytearray) and times < most:
        value = exact_json(value) if value.strip() else None
        times += 1
    return {} if value is None else value, times


def _name(plan: RowPlan, row: Sequence[Any]) -> str:
    """Return the message id of a call without one. What the same row was called before, it is called for ever."""
    fields = read_fields(plan.fields, row[plan.columns], plan.naming)
    if plan.json is not None and plan.json in fields:
        fields, _, _ = _with_members(plan.json, fields, most=1)
    texts, _ = _as_text([None if at is None else row[at] for at in plan.texts])
    return NAMELESS + _content_hash([*row[: plan.first_field], *texts], fields)


def _content_hash(parts: Iterable[object], fields: Mapping[str, object]) -> str:
    """Return a hash of the content that is the same in every run. NULL traits and properties do not count."""
    content = [_canonical(part) for part in parts], sorted((name, _canonical(value)) for name, value in fields.items())
    return sha256(repr(content).encode("utf-8", "backslashreplace")).hexdigest()


def _canonical(value: object) -> str:
    if isinstance(value, date):
        try:
            return f"time {to_time(value)}"
        except ValueError:
            return f"time {value}"
    return repr(bytes(value)) if isinstance(value, memoryview) else repr(value)
