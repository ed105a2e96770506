"""Cutting the users of a run into parts of like size, and what is written down of such a run: pure."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

import orjson

from rehook_sync.errors import StateVersionError
from rehook_sync.models import Shard, Stream, Window

__all__ = ["ShardedPlan", "cut_users", "holds_user", "read_plan", "write_plan"]

_FORMAT = 1


@dataclass(frozen=True, slots=True)
class ShardedPlan:
    """What all parts of one run share.

    Shape:  newest: stream -> time of its newest row when the run began, None for a stream without rows.
    """

    windows: Mapping[Stream, Window]
    newest: Mapping[Stream, datetime | None]


def cut_users(tiles: Iterable[tuple[str, int]], parts: int) -> list[Shard]:
    """Return at most `parts` ranges of users with about as many calls each; together they hold every user there is.

    Shape:  tiles: first user id of a tile and the calls in it, in any order, of both streams.
    """
    calls: Counter[str] = Counter()
    for first, number in tiles:
        calls[first] += number
    starts = sorted(calls, key=_bytes)
    share = calls.total() / max(parts, 1)
    cuts, passed = [""], 0
    for place, first in enumerate(starts):
        if place and len(cuts) < parts and passed >= share * len(cuts):
            cuts.append(first)
        passed += calls[first]
    return [Shard(number, low, high) for number, (low, high) in enumerate(zip(cuts, [*cuts[1:], None], strict=True))]


def holds_user(shard: Shard, user_id: str | None) -> bool:
    """Tell whether a user belongs to a shard; a call without a user belongs to the first."""
    key = _bytes(user_id or "")
    return _bytes(shard.low) <= key and (shard.high is None or key < _bytes(shard.high))


def write_plan(plan: ShardedPlan) -> str:
    """Return a plan as JSON."""
    windows = {
        stream.value: [_text(window.low), _text(window.high), _text(plan.newest.get(stream))] for stream, window in plan.windows.items()
    }
    return orjson.dumps({"format": _FORMAT, "windows": windows}).decode()


def read_plan(text: str) -> ShardedPlan:
    """Return the plan that `write_plan` wrote.

    Raises: StateVersionError when another version of this program wrote it: plan and parts may run different code after a deployment.
    """
    document = orjson.loads(text)
    if document.get("format") != _FORMAT:
        raise StateVersionError("another version of rehook-sync began this run: start a new one")
    windows, newest = {}, {}
    for name, (low, high, last) in document["windows"].items():
        windows[Stream(name)] = Window(_time(low), datetime.fromisoformat(high))
        newest[Stream(name)] = _time(last)
    return ShardedPlan(windows, newest)


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def _text(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat()


def _time(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)
