"""One measurement, and all of a bench run with where it was made: what figures and the page are made from."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from bench.dataset import Layout

__all__ = ["Case", "Record", "Results"]


@dataclass(frozen=True, order=True)
class Case:
    """What was to be done.

    Shape:  part: one of `parts.PARTS`.  rows: calls of each of the two streams.
            database: empty where there is none.  again: the second run, with nothing new.
            tables: event tables that hold the properties.  elsewhere: the sync-state is in another database than the warehouse.
    """

    part: str
    database: str = ""
    latency_ms: int = 0
    in_flight: int = 64
    rows: int = 0
    again: bool = False
    tables: int = 1
    elsewhere: bool = False

    @property
    def layout(self) -> Layout:
        """The warehouse that it needs."""
        return Layout(self.rows, self.tables, within=self.part == "lookback")

    @property
    def expected(self) -> int:
        """How many requests must arrive."""
        if self.again or self.part in {"growth", "lookback", "startup"}:
            return 0
        return self.rows if self.part == "tables" else 2 * self.rows


@dataclass(frozen=True)
class Record:
    """What one process did and used.

    Units:  cpu_s: whole tree of processes.  peak_mb: resident memory of its largest process.  receiver_cpu_s, database_cpu_s: meanwhile.
            strangers: cores that everybody else kept busy meanwhile.
    Shape:  problem: why it does not count, None when all is well.
    """

    case: Case
    who: str
    round: int
    wall_s: float
    cpu_s: float
    peak_mb: float
    requests: int = 0
    receiver_cpu_s: float = 0.0
    database_cpu_s: float = 0.0
    strangers: float = 0.0
    problem: str | None = None

    @property
    def rows_per_s(self) -> float:
        return self.requests / self.wall_s

    @property
    def cpu_s_per_1000(self) -> float:
        return 1000 * self.cpu_s / max(self.requests, 1)

    @property
    def cores_busy(self) -> float:
        """How many cores the process, its database and the receiver kept busy together."""
        return (self.cpu_s + self.database_cpu_s + self.receiver_cpu_s) / self.wall_s

    @property
    def receiver_share(self) -> float:
        return self.receiver_cpu_s / self.wall_s


@dataclass(frozen=True)
class Results:
    """A whole bench run. Shape:  about: what the reader must know of machine, versions and command, title -> text."""

    about: Mapping[str, str]
    records: Sequence[Record] = field(default_factory=list)

    def document(self) -> dict[str, Any]:
        """As JSON holds it, without more digits than were measured."""
        return {"about": dict(self.about), "records": [_rounded(asdict(each)) for each in self.records]}

    @staticmethod
    def of(document: Mapping[str, Any]) -> "Results":
        return Results(document["about"], [Record(**{**each, "case": Case(**each["case"])}) for each in document["records"]])


def _rounded(fields: dict[str, Any]) -> dict[str, Any]:
    return {name: round(value, 4) if isinstance(value, float) else value for name, value in fields.items()}
