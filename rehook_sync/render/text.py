"""What all renderings share: lines and tables for 80 columns, numbers, times, colours."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import TypeVar

from rich.table import Table as Grid
from rich.text import Text

from rehook_sync.models import Reason, Status
from rehook_sync.render.advice import MEANING
from rehook_sync.render.console import Sentence, visible
from rehook_sync.rules.periods import Feed
from rehook_sync.rules.watermark import EPOCH

__all__ = [
    "COLOURS",
    "NARROW",
    "NOTES",
    "OUTCOMES",
    "add_reasons",
    "are_several",
    "by_source",
    "clock",
    "counted",
    "headed",
    "largest",
    "line",
    "meaning",
    "number_text",
    "row_time",
    "seconds_between",
    "sentence",
    "size_text",
    "status_text",
    "whole",
]

T = TypeVar("T")
NARROW = 64
"""Tables need as many columns; below, each number has a line of its own."""
COLOURS = {
    "succeeded": "green",
    "attention": "yellow",
    "interrupted": "yellow",
    "stopped": "red",
    "crashed": "red",
    "sent": "green",
    "rejected": "yellow",
    "failed": "red",
    "waiting": "yellow",
    "in_doubt": "red",
}
NOTES = {
    Status.UNCHANGED: "the customer has it all already",
    Status.MERGED: "carried by the user's next Identify call",
    Status.SKIPPED: "settled elsewhere, not sent",
    Status.FAILED: "the next run sends them again",
    Status.WAITING: "their event tables do not have them yet",
    Status.IN_DOUBT: "may have arrived; not sent again by themselves",
}
OUTCOMES = (Status.SENT, Status.UNCHANGED, Status.MERGED, Status.SKIPPED, Status.REJECTED, Status.FAILED, Status.WAITING, Status.IN_DOUBT)


def add_reasons(rows: Grid, reasons: Mapping[Reason, int]) -> None:
    """Add one line for each reason, the most frequent first."""
    for reason, count in largest(reasons):
        rows.add_row(number_text(count), Text(f"    {reason}", "dim"), meaning(reason))


def by_source(found: Mapping[Feed, T]) -> dict[str, object]:
    """Return what is known of each feed as a document: by stream, and by source before that if there are several."""
    sources = dict.fromkeys(feed.source for feed in found)
    documents = {name: {feed.stream: value for feed, value in found.items() if feed.source == name} for name in sources}
    return dict(documents) if len(documents) > 1 else {stream: value for each in documents.values() for stream, value in each.items()}


def are_several(feeds: Iterable[Feed]) -> bool:
    """Tell whether feeds are of several sources: then each is shown with the name of its own."""
    return len({feed.source for feed in feeds}) > 1


def largest(reasons: Mapping[Reason, int]) -> list[tuple[Reason, int]]:
    """Return the reasons that occur, the most frequent first."""
    return sorted(((each, count) for each, count in reasons.items() if count), key=lambda pair: (-pair[1], pair[0]))


def meaning(reason: str) -> str:
    """Return a reason in words, empty for one that this version does not know."""
    return MEANING[Reason(reason)] if reason in set(Reason) else ""


def headed(*heads: str, numbers: bool = False) -> Grid:
    """Return an empty table with these heads. `numbers`: all columns but the first hold numbers."""
    grid = Grid(box=None, pad_edge=False, padding=(0, 2 if not numbers else 1, 0, 0), header_style="dim")
    for place, head in enumerate(heads):
        grid.add_column(head, justify="right" if numbers and place else "left", overflow="fold")
    return grid


def line(*parts: str | Text | tuple[str, str], style: str = "") -> Text:
    """Return one line of texts and (text, style) pairs; unprintable characters are escaped."""
    made = [
        part if isinstance(part, Text) else (visible(part), "") if isinstance(part, str) else (visible(part[0]), part[1]) for part in parts
    ]
    return Text.assemble(*made, style=style)


def sentence(*parts: str | Text | tuple[str, str], style: str = "") -> Sentence:
    """Return one line to be read rather than copied, made as `line` makes it."""
    made = line(*parts)
    return Sentence(made.plain, style=style, spans=made.spans)


def status_text(status: str) -> Text:
    """Return a status in its colour."""
    return Text(visible(status).replace("_", " "), COLOURS.get(status, ""))


def number_text(value: object) -> str:
    """Return a whole number with commas."""
    return f"{whole(value):,}"


def size_text(size: int) -> str:
    """Return a number of bytes in the largest unit of which there are ten: `12 MB`, `9,500 kB`."""
    for unit, name in ((10**12, "TB"), (10**9, "GB"), (10**6, "MB"), (10**3, "kB")):
        if size >= 10 * unit:
            return f"{size / unit:,.0f} {name}"
    return f"{size:,} bytes"


def whole(value: object) -> int:
    """Return an integer as it is, 0 for anything else."""
    return value if isinstance(value, int) else 0


def counted(count: int, noun: str) -> str:
    """Return a number with its noun in singular or plural."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def clock(value: object) -> str:
    """Return a time in UTC as `2026-11-01 12:00:00`."""
    return f"{value.astimezone(UTC):%Y-%m-%d %H:%M:%S}" if isinstance(value, datetime) else "none yet"


def row_time(watermark: object) -> datetime | None:
    """Return the watermark of a stream that has had a row, else None."""
    return watermark if isinstance(watermark, datetime) and watermark != EPOCH else None


def seconds_between(start: object, end: object) -> float | None:
    """Return the seconds between two times, None when one is missing."""
    return (end - start).total_seconds() if isinstance(start, datetime) and isinstance(end, datetime) else None
