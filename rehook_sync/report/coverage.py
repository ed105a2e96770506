"""What an audit found, for the report: which part of the warehouse's calls is recorded, by day and by event. Pure."""

from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field

from rehook_sync.jobs.audit import AuditLine, AuditReport
from rehook_sync.models import Status, Stream

__all__ = ["Coverage", "CoverageLine", "build_coverage"]

_DAYS, _EVENTS, _LINES = 31, 20, 500


@dataclass(slots=True)
class CoverageLine:
    """The calls of one day, of one event, or of both.

    Shape:  day: None where it is not told apart, or unknown.  recorded: calls that a run has judged, or that another source has.
            missing: calls that should have been judged.  counts: status or kind of an audit -> calls; they add up to `rows`.
    """

    day: str | None
    name: str
    counts: Counter[str] = field(default_factory=Counter)

    @property
    def rows(self) -> int:
        """Calls in the warehouse."""
        return self.counts.total()

    @property
    def recorded(self) -> int:
        """Calls that are recorded."""
        return sum(self.counts[each] for each in (*Status, "counted_elsewhere"))

    @property
    def missing(self) -> int:
        """Calls that should be recorded and are not."""
        return self.counts["missing"] + self.counts["same_id_elsewhere"]

    @property
    def later(self) -> int:
        """Calls that no run should have judged yet, or should ever judge by itself."""
        return self.rows - self.recorded - self.missing


@dataclass(frozen=True, slots=True)
class Coverage:
    """An audit by day and by event.

    Shape:  since, until: bounds of the period in words.  days: newest first.  events: most calls first.
            lines: each day and event, what is missing first; `lines_left` more are not among them.
            repair: the command that judges what is missing, None when nothing is.
    """

    since: object
    until: object
    whole: CoverageLine
    days: Sequence[CoverageLine]
    events: Sequence[CoverageLine]
    lines: Sequence[CoverageLine]
    lines_left: int
    repair: str | None

    def document(self) -> dict[str, object]:
        """Return it for programs."""
        plain = asdict(self)
        return {
            **plain,
            **{name: [_document(each) for each in getattr(self, name)] for name in ("days", "events", "lines")},
            "whole": _document(self.whole),
        }


def build_coverage(found: AuditReport) -> Coverage:
    """Return what the report shows of an audit."""
    lines = [line for feed in found.feeds for line in feed.lines if line.rows]
    days = _sum(lines, lambda line: (line.day, ""))
    each = _sum(lines, lambda line: (line.day, _name(line)))
    each.sort(key=lambda line: line.day or "", reverse=True)
    each.sort(key=lambda line: not line.missing)
    return Coverage(
        since=found.feeds[0].window.low if found.feeds else None,
        until=found.feeds[0].window.high if found.feeds else None,
        whole=next(iter(_sum(lines, lambda _: (None, ""))), CoverageLine(None, "")),
        days=sorted(days, key=lambda line: line.day or "", reverse=True)[:_DAYS],
        events=sorted(_sum(lines, lambda line: (None, _name(line))), key=lambda line: (-line.rows, line.name))[:_EVENTS],
        lines=each[:_LINES],
        lines_left=len(each[_LINES:]),
        repair=found.repair,
    )


def _sum(lines: Sequence[AuditLine], key: Callable[[AuditLine], tuple[str | None, str]]) -> list[CoverageLine]:
    found: dict[tuple[str | None, str], Counter[str]] = defaultdict(Counter)
    for line in lines:
        found[key(line)].update(line.counts)
    return [CoverageLine(day, name, counts) for (day, name), counts in found.items()]


def _name(line: AuditLine) -> str:
    return "Identify" if line.feed.stream == Stream.IDENTIFIES else line.event or "(no name)"


def _document(line: CoverageLine) -> dict[str, object]:
    plain = {
        "day": line.day,
        "event": line.name,
        "rows": line.rows,
        "recorded": line.recorded,
        "missing": line.missing,
        "later": line.later,
    }
    return {name: value for name, value in plain.items() if value not in {None, ""}}
