"""Rows as many at a time as are judged at once, each track with its properties, from whichever source has them."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice

from rehook_sync.models import SourceRow, Stream
from rehook_sync.rules.identity import is_other_call
from rehook_sync.warehouse.rows import NAMELESS
from rehook_sync.warehouse.segment import SegmentSource
from rehook_sync.warehouse.sources import Sources

__all__ = ["read_portions"]

_FIRST_ROWS = 250
"""Rows of the first chunk: few, so that sending begins early."""
_CHUNKS_AHEAD = 4
_PORTION_BYTES = 8 << 20
"""Of the fields of a chunk, beyond its last row; what becomes of them takes a few times as much."""


def read_portions(
    sources: Sources, rows: Iterator[SourceRow], fresh: Callable[[list[SourceRow]], list[SourceRow]], chunk_rows: int
) -> Iterator[list[SourceRow]]:
    """Yield the rows to judge, as many at a time as a chunk may have. Shape:  fresh: leaves out the rows that are not to be judged.

    Properties are read for several chunks at once: each event table is then asked less often.
    """
    most = ahead = min(_FIRST_ROWS, chunk_rows)
    while read := list(_first_bytes(islice(rows, ahead))):
        portion: list[SourceRow] = []
        size = 0
        for row in _fill_properties(sources, fresh(read)):
            portion.append(row)
            size += row.size
            if len(portion) == most or size > _PORTION_BYTES:
                yield portion
                portion, size = [], 0
        if portion:
            yield portion
        most, ahead = chunk_rows, _CHUNKS_AHEAD * chunk_rows


def _first_bytes(rows: Iterable[SourceRow]) -> Iterator[SourceRow]:
    """Yield the first rows, as many as fit into a portion, and at least one."""
    size = 0
    for row in rows:
        yield row
        size += row.size
        if size > _PORTION_BYTES:
            return


def _fill_properties(sources: Sources, rows: Sequence[SourceRow]) -> Iterator[SourceRow]:
    """Yield the rows in their order, each track with the properties that its source has, or else another one for the same call.

    The same id in two sources is one call.
    """
    filled = sources.fill_properties(rows)
    first = next(filled, None)
    absent = {row.message_id: row for row in rows if row.unloaded and not row.message_id.startswith(NAMELESS)}
    layouts = sources.discover_readable() if absent and len(sources) > 1 else {}
    for name in (each for each, layout in layouts.items() if Stream.TRACKS in layout.tables):
        _lend(sources[name], {each: row for each, row in absent.items() if row.unloaded and row.source != name})
    if first is not None:
        yield first
        yield from filled


def _lend(source: SegmentSource, absent: Mapping[str, SourceRow]) -> None:
    """Give tracks of other sources the properties that this source has for the same calls. Shape:  absent: message id -> track."""
    has = absent if source.layout.track_properties != "event_tables" else _look_up(source, absent)
    rows = [row for row in source.read_ids(Stream.TRACKS, has) if not is_other_call(row, absent[row.message_id])] if has else []
    for row in source.fill_properties(rows):
        if row.unloaded is None:
            lent = absent[row.message_id]
            lent.fields, lent.size, lent.unloaded = {**lent.fields, **row.fields}, lent.size + row.size, None
            lent.problem = lent.problem or row.problem


def _look_up(source: SegmentSource, absent: Mapping[str, SourceRow]) -> list[str]:
    """Return the ids that event tables have. Only theirs are looked for in tracks, which may have no index on ids."""
    asked = [replace(row, fields={}, unloaded=None) for row in absent.values()]
    return [row.message_id for row in source.fill_properties(asked) if row.unloaded is None]
