"""Source rows to metadata, accepted rows to request bodies. Pure; nothing else knows the bodies.

Source: bodies observed from Segment's connector. Key order: `source_id, metadata, referral_code` and
`event_name, source_id, metadata`; no times, message ids or anonymous ids.
"""

import json
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import orjson

from rehook_sync.models import Call, Claim, Operation, PreviousOutcome, SourceRow, Stream
from rehook_sync.rules.hashes import payload_hash, trait_hashes
from rehook_sync.rules.names import Exclusion
from rehook_sync.values import key_flaw, to_json, to_json_value, to_text, without_infinite

__all__ = ["Names", "ShapedCall", "build_customer", "build_operations", "shape", "without_traits"]


class ShapedCall(NamedTuple):
    """A call with what a request needs of it.

    Shape:  metadata: key -> JSON-ready value, columns in their order, NULLs, NaN, infinities and what is excluded left out.
            referral_code: that metadata as text, None when absent or empty.
            problem: that of the row, or the first column whose value cannot be sent; holds no value.
    """

    row: SourceRow
    metadata: Mapping[str, object]
    referral_code: str | None
    problem: str | None


@dataclass(frozen=True, slots=True)
class Names:
    """How columns become metadata keys. If two columns are renamed to one key, the later wins."""

    trait_names: Mapping[str, str] = field(default_factory=dict)
    property_names: Mapping[str, str] = field(default_factory=dict)
    exclude: frozenset[str] = frozenset()

    def of(self, stream: Stream) -> Mapping[str, str]:
        """Return column -> key for one stream."""
        return self.trait_names if stream.is_identify else self.property_names


def shape(rows: Sequence[SourceRow], names: Names, left_out: Counter[str] | None = None) -> list[ShapedCall]:
    """Return the calls in the given order, with what a request needs. If two columns lead to one key, the one in `names` wins.

    Shape:  left_out: counts NaN and infinities by column, if given.
    """
    counted: Counter[str] = Counter() if left_out is None else left_out
    shapers = {stream: _Shaper(stream, names, counted) for stream in {row.stream for row in rows}}
    return [ShapedCall(row, *shapers[row.stream].shape(row)) for row in rows]


class _Shaper:
    """Makes the metadata of one stream's rows."""

    def __init__(self, stream: Stream, names: Names, left_out: Counter[str]) -> None:
        self._left_out = left_out
        self._kind = "trait" if stream.is_identify else "property"
        self._stream = stream
        self._exclusion = Exclusion(names.exclude)
        self._keys = _Keys(names.of(stream))

    def shape(self, row: SourceRow) -> tuple[dict[str, object], str | None, str | None]:
        """Return metadata, referral code and problem."""
        fields, keys, problem = self._exclusion.strip(row.fields), self._keys, row.problem
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
            # a track sends its code in the metadata only, in any form
            problem = problem or (unusable if self._stream.is_identify else None)
        if code is not None and self._stream.is_identify and (flaw := key_flaw(code)):
            code, problem = None, problem or f"referral_code {flaw}"
        return metadata, code, problem

    def _sendable(self, fields: Mapping[str, object]) -> tuple[dict[str, object], str | None]:
        """Return the fields that have a JSON form, without NaN and infinities, and the problem of the first that has none."""
        sendable: dict[str, object] = {}
        problem = None
        for column, given in fields.items():
            value, infinite = without_infinite(given)
            shown = (column if column.isprintable() else ascii(column)[1:-1])[:100]
            try:
                to_json_value(self._keys[column])
                to_json_value(value)
            except ValueError as error:
                problem = problem or f"{self._kind} {shown}: {error}"
            else:
                sendable[column] = value
                self._left_out.update({shown: infinite} if infinite else {})
        return sendable, problem

    def _one_column_per_key(self, fields: Mapping[str, object]) -> dict[str, object]:
        """Return the metadata when columns hold None, or several lead to one key."""
        winners: dict[str, str] = {}
        for column, value in fields.items():
            key = self._keys[column]
            if value is not None and self._keys.rank(column) > self._keys.rank(winners.setdefault(key, column)):
                winners[key] = column
        return {key: to_json_value(fields[column]) for key, column in winners.items()}


class _Keys(dict[str, str]):
    """Column -> metadata key, checked once per column.

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
        """Rank the columns that lead to one key: the highest wins. Renamed ones beat others, later ones earlier ones."""
        return self._ranks.get(column, 0)


def _code_text(value: object) -> str | None:
    """Return a referral code as text, None for an empty or blank one."""
    text = to_json(value).decode() if isinstance(value, orjson.Fragment) else to_text(value)
    return text if text and not text.isspace() else None


def build_operations(
    accepted: Sequence[ShapedCall],
    claims: Mapping[str, Claim],
    previous: Mapping[tuple[Stream, str], PreviousOutcome],
    *,
    waits: Mapping[str, str],
    merge: bool,
) -> list[Operation]:
    """Return the requests for accepted calls, in their order.

    Shape:  accepted: oldest first.  claims: message id -> the code it takes.
            previous: (stream, message id) -> its previous outcome.
            waits: message id -> message id of another user's Identify call, which frees the code it takes.
    With `merge`, Identify calls of a user with no event of that user between them become one request, in the place of
    the first. Their traits are united; the later value wins. A call that waits for another user starts a new request,
    so that a request only waits for one before it.
    """
    operations = [
        _operation(call, previous.get((call.row.stream, call.row.message_id)) if previous else None, claims, waits) for call in accepted
    ]
    if not merge:
        return operations
    return [
        operations[group[0]] if len(group) == 1 else _merged([(operations[at], accepted[at]) for at in group])
        for group in _neighbours(operations)
    ]


def build_customer(call: Call, metadata: Mapping[str, object], code: str | None) -> Operation:
    """Return the request that brings a customer these traits, recorded under a call."""
    user_id = call.user_id or ""
    body = _customer_body(user_id, metadata, code)
    return Operation(Stream.IDENTIFIES, user_id, (call._replace(payload_hash=payload_hash(body)),), body, trait_hashes(user_id, metadata))


def without_traits(operation: Operation, left_out: Collection[str]) -> Operation:
    """Return an Identify request without some of its traits; numbers stay as they are written."""
    body = json.loads(operation.body, parse_int=orjson.Fragment, parse_float=orjson.Fragment)
    metadata = {key: value for key, value in body["metadata"].items() if key not in left_out}
    code = None if "referral_code" in left_out else body.get("referral_code")
    hashes = {key: value for key, value in operation.trait_hashes.items() if key not in left_out}
    return operation._replace(body=_customer_body(operation.user_id, metadata, code), trait_hashes=hashes)


def _operation(shaped: ShapedCall, previous: PreviousOutcome | None, claims: Mapping[str, Claim], waits: Mapping[str, str]) -> Operation:
    row, metadata, code, _ = shaped
    user_id, is_identify = row.user_id or "", row.stream.is_identify
    if is_identify:
        body = _customer_body(user_id, metadata, code)
    else:
        body = to_json({"event_name": row.event, "source_id": user_id, "metadata": metadata})
    identity = row.stream, row.message_id, user_id, row.event, row.received_at, row.occurred_at
    call = Call(*identity, payload_hash(body), previous, row.source)
    if not is_identify:
        return Operation(row.stream, user_id, (call,), body)
    hashes = trait_hashes(user_id, metadata)
    return Operation(row.stream, user_id, (call,), body, hashes, claims.get(row.message_id), (), waits.get(row.message_id))


def _customer_body(user_id: str, metadata: Mapping[str, object], code: str | None) -> bytes:
    body: dict[str, object] = {"source_id": user_id, "metadata": metadata}
    if code is not None:
        body["referral_code"] = code
    return to_json(body)


def _neighbours(operations: Sequence[Operation]) -> list[list[int]]:
    """Return groups of positions; each group becomes one request. Ordered by their first position."""
    groups: list[list[int]] = []
    growing: dict[str, list[int]] = {}
    for place, operation in enumerate(operations):
        group = growing.get(operation.user_id)
        if operation.stream.is_identify and group is not None and operation.waits_for is None:
            group.append(place)
            continue
        groups.append([place])
        if operation.stream.is_identify:
            growing[operation.user_id] = groups[-1]
        else:
            growing.pop(operation.user_id, None)
    return groups


def _merged(group: Sequence[tuple[Operation, ShapedCall]]) -> Operation:
    parts = tuple(operation for operation, _ in group)
    metadata: dict[str, object] = {}
    code: str | None = None
    for _, call in group:
        metadata.update(call.metadata)
        code = call.referral_code or code
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
    """Return the net claim: None when the last takes back the code that the first gave up."""
    if not claims or claims[-1].code == claims[0].replaces:
        return None
    return Claim(claims[-1].code, claims[-1].user_id, claims[0].replaces)
