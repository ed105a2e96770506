"""What a publication looks like: a document for programs, lines for people."""

from collections.abc import Iterator

from rich.console import RenderableType

from rehook_sync.publish.publisher import PublishReport
from rehook_sync.render.text import counted, line

__all__ = ["publish_document", "publish_view"]

_TABLES = ("calls", "customers", "runs", "watermarks")


def publish_document(report: PublishReport) -> dict[str, object]:
    """Return what was brought into the copy, and what was removed from it."""
    return {
        "place": report.place,
        "whole": report.whole,
        "rows": {each: report.rows[each] for each in _TABLES},
        "removed": {each: report.removed[each] for each in _TABLES},
        "interrupted": report.interrupted,
    }


def publish_view(report: PublishReport) -> Iterator[RenderableType]:
    """Yield what was brought into the copy, and what to do next."""
    if report.interrupted:
        yield line(f"interrupted: the copy in {report.place} is not up to date; the same command goes on")
        return
    told = ", ".join(counted(report.rows[each], each.removesuffix("s")) for each in _TABLES)
    yield line(f"{'all rows' if report.whole else 'what has changed'}: {told} to {report.place}")
    if report.removed.total():
        yield line(f"removed there: {counted(report.removed.total(), 'row')}")
