"""What a copy of the sync-state looks like: a document for programs, a table for people."""

from collections.abc import Iterator
from dataclasses import asdict

from rich.console import RenderableType

from rehook_sync.admin.copying import CopyReport
from rehook_sync.render.text import counted, headed, number_text, sentence

__all__ = ["copy_document", "copy_view"]


def copy_document(report: CopyReport, place: str) -> dict[str, object]:
    """Return what was copied, and where to. `place`: without user, password and query."""
    return {
        "to": place,
        "tables": [asdict(each) for each in report.tables],
        "interrupted": report.interrupted,
        "was_there": report.was_there,
    }


def copy_view(report: CopyReport, place: str) -> Iterator[RenderableType]:
    """Yield the tables with their rows and hashes, and what to do next."""
    if report.interrupted:
        yield sentence(f"interrupted: nothing was copied to {place}; the same command begins anew")
        return
    grid = headed("table", "rows", "hash of both")
    for each in report.tables:
        grid.add_row(each.name, number_text(each.rows), each.fingerprint)
    grid.columns[1].justify = "right"
    yield grid
    total = sum(each.rows for each in report.tables)
    if report.was_there:
        yield sentence(f"an earlier copy is whole: {place} has the same {counted(total, 'row')}; nothing was written")
    else:
        yield sentence(f"copied {counted(total, 'row')} to {place}; all are the same there, and nothing has changed here")
    yield sentence("next: ", "let REHOOK_SYNC_STATE_URL lead there before a run begins, and let `plan` confirm it", style="bold")
