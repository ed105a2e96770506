"""Source rows to request metadata, accepted rows to requests. Pure; the only place that knows the bodies Rehook gets.

Source: bodies observed from Segment's connector: key order `source_id, metadata, referral_code` and
`event_name, source_id, metadata`; no times, message ids or anonymous ids.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

import orjson

from rehook_sync.models import Call, Claim, Operation, PreviousOutcome, SourceRow, Stream
from rehook_sync.values import LONGEST_KEY_BYTES, is_too_long, payload_hash, to_json, to_json_value, to_text, trait_hashes

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["COLUMNS", "Names", "build_operations", "is_unchanged", "shape"]

COLUMNS = (
    "row",
    "stream",
    "message_id",
    "user_id",
    "anonymous_id",
    "event",
    "received_at",
    "occurred_at",
    "metadata",
    "referral_code",
    "problem",
)


@dataclass(frozen=True, slots=True)
class Names:
    """How columns become metadata keys: the later of two entries for one key wins."""

    trait_names: Mapping[str, str] = field(default_factory=dict)
    property_names: Mapping[str, str] = field(default_factory=dict)
    exclude: frozenset[str] = frozenset()

    def of(self, stream: Stream) -> Mapping[str, str]:
        """Return column -> key of one stream."""
        return self.trait_names if stream is Stream.IDENTIFIES else self.property_names


def shape(rows: Sequence[SourceRow], names: Names) -> "pd.DataFrame":
    """Return one row per message, in the order given, with what a request needs.

    Shape:  columns as `COLUMNS`, all of dtype object, so that integers beside NULLs, booleans and None stay what they are.
            metadata: key -> JSON-ready value, columns in their order, NULLs and excluded columns left out.
            referral_code: the text of that metadata, None when absent or empty.
            problem: that of the source row, or the first column whose value cannot be sent; never holds a value.
    When two columns lead to one key, the one named in `names` wins.
    """
    import pandas as pd  # noqa: PLC0415 - takes a third of a second, which a run with nothing new does without

    shapers = {stream: _Shaper(stream, names) for stream in Stream}
    shaped = [shapers[row.stream].shape(row) for row in rows]
    columns = {
        "row": list(rows),
        **{name: [getattr(row, name) for row in rows] for name in COLUMNS[1:8]},
        "metadata": [metadata for metadata, _, _ in shaped],
        "referral_code": [code for _, code, _ in shaped],
        "problem": [problem for _, _, problem in shaped],
    }
    return pd.DataFrame(columns, dtype=object)


class _Shaper:
    """Makes the metadata of the rows of one stream; each column name is looked at once."""

    def __init__(self, stream: Stream, names: Names) -> None:
        self._kind = "trait" if stream is Stream.IDENTIFIES else "property"
        self._stream = stream
        self._exclude = names.exclude
        self._keys = _Keys(names.of(stream))

    def shape(self, row: SourceRow) -> tuple[dict[str, object], str | None, str | None]:
        """Return metadata, referral code and problem."""
        fields, keys, problem = row.fields, self._keys, row.problem
        if not self._exclude.isdisjoint(fields):
            fields = {column: value for column, value in fields.items() if column not in self._exclude}
        try:
            metadata = {
                keys[column]: value if type(value) is str and value.isascii() else to_json_value(value)
                for column, value in fields.items()
                if value is not None
            }
            if len(metadata) < len(fields):
                metadata = self._one_column_per_key(fields)
        except ValueError:
            sendable, found = self._sendable(fields)
            metadata, problem = self._one_column_per_key(sendable), problem or found
        try:
            code = _code_text(metadata.get("referral_code"))
        except ValueError as error:
            code, unusable = None, f"referral_code: {error}"
            # a track keeps its code in the metadata only, in whatever form
            problem = problem or (unusable if self._stream is Stream.IDENTIFIES else None)
        if code is not None and is_too_long(code) and self._stream is Stream.IDENTIFIES:
            code, problem = None, problem or f"referral_code: longer than {LONGEST_KEY_BYTES} bytes"
        return metadata, code, problem

    def _sendable(self, fields: Mapping[str, object]) -> tuple[dict[str, object], str | None]:
        """Return the fields without those that have no JSON form, and what is wrong with the first of these."""
        sendable: dict[str, object] = {}
        problem = None
        for column, value in fields.items():
            try:
                to_json_value(self._keys[column])
                to_json_value(value)
            except ValueError as error:
                shown = column if column.isprintable() else ascii(column)[1:-1]
                problem = problem or f"{self._kind} {shown[:100]}: {error}"
            else:
                sendable[column] = value
        return sendable, problem

    def _one_column_per_key(self, fields: Mapping[str, object]) -> dict[str, object]:
        """Return the metadata where several columns may lead to one key, or hold None."""
        winners: dict[str, str] = {}
        for column, value in fields.items():
            key = self._keys[column]
            if value is not None and self._keys.rank(column) > self._keys.rank(winners.setdefault(key, column)):
                winners[key] = column
        return {key: to_json_value(fields[column]) for key, column in winners.items()}


class _Keys(dict[str, str]):
    """Column -> metadata key, remembered after the first look.

    Raises: ValueError for a column name that JSON cannot hold.
    """

    def __init__(self, renames: Mapping[str, str]) -> None:
        self._renames = renames
        self._ranks = {column: place for place, column in enumerate(renames, start=1)}

    def __missing__(self, column: str) -> str:
        key = self._renames.get(column, column)
        to_json_value(key)
        self[column] = key
        return key

    def rank(self, column: str) -> int:
        """Order the columns that lead to one key: those named in the settings win, the later one over the earlier."""
        return self._ranks.get(column, 0)


def _code_text(value: object) -> str | None:
    """Return a referral code as text; None for none and for an empty one."""
    if isinstance(value, orjson.Fragment):
        return to_json(value).decode()
    return to_text(value) or None


def build_operations(
    accepted: "pd.DataFrame",
    claims: Mapping[str, Claim],
    previous: Mapping[tuple[Stream, str], PreviousOutcome],
    *,
    waits: Mapping[str, str],
    merge: bool,
) -> list[Operation]:
    """Return the requests for one frame of accepted rows, in its order.

    Shape:  accepted: columns as `COLUMNS`, oldest first.  claims: message id -> the code it takes.
            previous: (stream, message id) -> what an earlier run said.  waits: message id -> message id of the other
            user's Identify call that frees the code it takes.
    With `merge`, neighbouring Identify calls of a user become one request where the first of them stood: traits are
    united and the later value wins. Neighbouring means: no event of that user between them. A call that waits for
    another user starts a new request, so that a request only ever waits for one that stands before it.
    """
    identities = zip(*(accepted[name].tolist() for name in _IDENTITY), strict=True)
    metadata, codes = accepted["metadata"].tolist(), accepted["referral_code"].tolist()
    operations = [
        _operation(identity, sent, code, previous.get(identity[:2]) if previous else None, claims, waits)
        for identity, sent, code in zip(identities, metadata, codes, strict=True)
    ]
    if not merge:
        return operations
    return [
        operations[group[0]] if len(group) == 1 else _merged([(operations[at], metadata[at], codes[at]) for at in group])
        for group in _neighbours(operations)
    ]


def is_unchanged(operation: Operation, known: Mapping[str, str] | None) -> bool:
    """Tell whether a customer already has every trait of an Identify request. `known`: its trait hashes; None: unknown."""
    return known is not None and all(known.get(key) == value for key, value in operation.trait_hashes.items())


_Metadata = Mapping[str, object]
_Identity = tuple[Stream, str, str, str, datetime | None, datetime | None]
_IDENTITY = ("stream", "message_id", "user_id", "event", "received_at", "occurred_at")


def _operation(
    identity: _Identity,
    metadata: _Metadata,
    code: str | None,
    previous: PreviousOutcome | None,
    claims: Mapping[str, Claim],
    waits: Mapping[str, str],
) -> Operation:
    stream, message_id, user_id, event, _, _ = identity
    if stream is Stream.TRACKS:
        body = to_json({"event_name": event, "source_id": user_id, "metadata": metadata})
        return Operation(stream, user_id, (Call(*identity, payload_hash(body), previous),), body)
    body = _customer_body(user_id, metadata, code)
    call = Call(*identity, payload_hash(body), previous)
    hashes = trait_hashes(user_id, metadata)
    return Operation(stream, user_id, (call,), body, hashes, claims.get(message_id), (), waits.get(message_id))


def _customer_body(user_id: str, metadata: _Metadata, code: str | None) -> bytes:
    body: dict[str, object] = {"source_id": user_id, "metadata": metadata}
    if code is not None:
        body["referral_code"] = code
    return to_json(body)


def _neighbours(operations: Sequence[Operation]) -> list[list[int]]:
    """Return the places of the operations that become one request each, by the first of them."""
    groups: list[list[int]] = []
    growing: dict[str, list[int]] = {}
    for place, operation in enumerate(operations):
        group = growing.get(operation.user_id)
        if operation.stream is Stream.IDENTIFIES and group is not None and operation.waits_for is None:
            group.append(place)
            continue
        groups.append([place])
        if operation.stream is Stream.IDENTIFIES:
            growing[operation.user_id] = groups[-1]
        else:
            growing.pop(operation.user_id, None)
    return groups


def _merged(group: Sequence[tuple[Operation, _Metadata, str | None]]) -> Operation:
    parts = tuple(operation for operation, _, _ in group)
    metadata: dict[str, object] = {}
    code: str | None = None
    for _, own, own_code in group:
        metadata.update(own)
        code = own_code or code
    user_id = parts[0].user_id
    return Operation(
        stream=Stream.IDENTIFIES,
        user_id=user_id,
        calls=tuple(part.call for part in parts),
        body=_customer_body(user_id, metadata, code),
        trait_hashes=trait_hashes(user_id, metadata),
        claim=_merged_claim([part.claim for part in parts if part.claim is not None]),
        parts=parts,
        waits_for=parts[0].waits_for,
    )


def _merged_claim(claims: Sequence[Claim]) -> Claim | None:
    """Return what the claims come to: nothing when the last takes back what the first gave away."""
    if not claims or claims[-1].code == claims[0].replaces:
        return None
    return Claim(claims[-1].code, claims[-1].user_id, claims[0].replaces)
