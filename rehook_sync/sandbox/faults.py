"""Fault switches: which requests fail, and how. Pure; `app` carries them out."""

import random
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from rehook_sync.sandbox.store import Incoming

__all__ = ["Armed", "Fault", "FaultBoard", "FaultKind"]

FaultKind = Literal[
    "delay",
    "status",
    "rate_limited",
    "commit_then_status",
    "commit_then_drop",
    "drop_before",
    "hang",
    "drip",
    "half_answer",
    "garbage",
    "another_customer",
]


class Fault(BaseModel):
    """One switch: what happens (first block) and to which requests (second block).

    Shape:  status, headers, body_bytes: of the answer; body_bytes pads it.  reset: close with a TCP reset.
            commit: `hang` carries the request out first.  delay_s: wait before all else, for every kind.
            skip: let so many matching requests pass first.  times: strike at most so many.
            probability: strike each with this chance, drawn from `seed`.
    Units:  retry_after_s: seconds, sent as seconds or as an HTTP date.  interval_s: between two bytes of a drip.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: FaultKind
    status: int = Field(default=500, ge=200, le=599)
    headers: Mapping[str, str] = Field(default_factory=dict)
    body_bytes: int = Field(default=0, ge=0)
    delay_s: float = Field(default=0.0, ge=0)
    retry_after_s: float | None = Field(default=1.0, ge=0)
    retry_after_as: Literal["seconds", "date"] = "seconds"
    interval_s: float = Field(default=0.05, ge=0)
    commit: bool = False
    reset: bool = False

    method: str | None = None
    path: str | None = None
    source_id: str | None = None
    event_name: str | None = None
    skip: int = Field(default=0, ge=0)
    times: int | None = Field(default=None, ge=0)
    probability: float = Field(default=1.0, ge=0, le=1)
    seed: int = 0

    def concerns(self, incoming: Incoming) -> bool:
        """Tell whether the selectors match a request, regardless of counts and chance. A final `*` in the path matches any ending."""
        return (
            self.method in (None, incoming.method)
            and self.source_id in (None, incoming.source_id)
            and self.event_name in (None, incoming.event_name)
            and (self.path in (None, incoming.path) or self._begins(incoming.path))
        )

    def _begins(self, path: str) -> bool:
        return self.path is not None and self.path.endswith("*") and path.startswith(self.path[:-1])


@dataclass(slots=True)
class Armed:
    """An active fault. Shape:  seen: matching requests.  met: those it struck."""

    id: int
    fault: Fault
    seen: int = 0
    met: int = 0
    chance: random.Random = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Seed the chance with the fault's seed, so that a test strikes the same requests every time."""
        self.chance = random.Random(self.fault.seed)  # noqa: S311 - no secret depends on it

    def meets(self, incoming: Incoming) -> bool:
        """Count a request and tell whether this fault strikes it."""
        if not self.fault.concerns(incoming) or (self.fault.times is not None and self.met >= self.fault.times):
            return False
        self.seen += 1
        if self.seen <= self.fault.skip or (self.fault.probability < 1 and self.chance.random() >= self.fault.probability):
            return False
        self.met += 1
        return True

    def as_json(self) -> dict[str, Any]:
        """Return the fault with its counts."""
        return {"id": self.id, **self.fault.model_dump(exclude_defaults=True), "seen": self.seen, "met": self.met}


class FaultBoard:
    """All switches, in order. Delays add up; of the others the first that strikes decides. Thread-safe."""

    def __init__(self) -> None:
        """Start without faults."""
        self.armed: tuple[Armed, ...] = ()
        self._lock = threading.Lock()
        self._next_id = 1

    def add(self, kind: FaultKind, **options: object) -> Armed:
        """Switch on a fault, after the others. Raises ValueError for invalid options."""
        return self.arm(Fault.model_validate({"kind": kind, **options}))

    def arm(self, fault: Fault) -> Armed:
        """Switch on a fault, after the others."""
        with self._lock:
            armed = Armed(self._next_id, fault)
            self._next_id += 1
            self.armed = (*self.armed, armed)
            return armed

    def replace(self, faults: Sequence[Fault]) -> None:
        """Replace all faults by these."""
        self.clear()
        for each in faults:
            self.arm(each)

    def remove(self, fault_id: int) -> bool:
        """Switch off one fault; False when there is none with this id."""
        with self._lock:
            left = tuple(each for each in self.armed if each.id != fault_id)
            found = len(left) < len(self.armed)
            self.armed = left
            return found

    def clear(self) -> None:
        """Switch off all faults. Hanging requests stay so."""
        with self._lock:
            self.armed = ()

    def choose(self, incoming: Incoming) -> tuple[float, Fault | None]:
        """Return the seconds to wait and the fault that strikes a request, if any."""
        with self._lock:
            delay_s = 0.0
            for each in self.armed:
                if each.meets(incoming):
                    delay_s += each.fault.delay_s
                    if each.fault.kind != "delay":
                        return delay_s, each.fault
            return delay_s, None
