"""The Segment sources of one warehouse: several schemas, each with a layout of its own."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import chain

from rehook_sync.database.engine import Database
from rehook_sync.database.kinds import Kind
from rehook_sync.errors import RehookSyncError, SourceError
from rehook_sync.models import STREAMS, SourceRow, Stream, Window
from rehook_sync.warehouse.layout import SourceConfig, SourceLayout
from rehook_sync.warehouse.reader import Reader
from rehook_sync.warehouse.segment import SegmentSource

__all__ = ["Sources"]

_ONE_TEXT = {Kind.PADDED: Kind.TEXT, Kind.DECIMAL: Kind.NUMBER}
"""Kinds whose ids have one text form with those of another kind."""


class Sources(Mapping[str, SegmentSource]):
    """The sources by name, in the order of the settings.

    Shape:  database: where all of them are.  reader: the reads of all of them, and how patient they are.
            chunk_rows: calls that should be judged at once, at least.
    """

    def __init__(self, database: Database, configs: Mapping[str, SourceConfig]) -> None:
        """Prepare; nothing is read. `configs`: name of a source -> where it is."""
        self.database = database
        self.chunk_rows = database.warehouse.chunk_rows
        self.reader = Reader(database, [config.schema for config in configs.values()])
        alone = len(configs) == 1
        self._streams = next((config.streams for config in configs.values()), STREAMS)
        self._unreadable: set[str] = set()
        self._sources = {name: SegmentSource(database, config, name, self.reader, alone=alone) for name, config in configs.items()}

    def __getitem__(self, name: str) -> SegmentSource:
        """Return a source."""
        return self._sources[name]

    def __iter__(self) -> Iterator[str]:
        """Yield the names."""
        return iter(self._sources)

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self._sources)

    def discover(self, names: Iterable[str] | None = None) -> dict[str, SourceLayout]:
        """Return the layout of these sources, or of all, read at the first call.

        Raises: SourceError for what is no Segment source; the message names it and the setting to change.
        """
        return {name: self._discover(name) for name in (self if names is None else names)}

    def require(self, source: str, stream: Stream, *, had: bool = False) -> None:
        """Raise SourceError when a source is none, or its table of a stream is not there or cannot be read. `had`: it was there before."""
        layout = self._discover(source)
        try:
            layout.require(stream)
        except SourceError as error:
            before = "; calls of it are recorded, so it was there before" if had else ""
            raise self._named(source, SourceError(f"{error}{before}")) from error

    def require_all(self, had: Callable[[str, Stream], bool]) -> None:
        """Raise SourceError for a table that is not there or cannot be read, unless its source never had it.

        had: tells whether calls of a stream of a source are recorded.
        """
        for name, stream in ((name, stream) for name in self for stream in self._streams):
            lacks = self.lacks(name, stream) is not None
            if not lacks or had(name, stream):
                self.require(name, stream, had=lacks)

    def discover_readable(self) -> dict[str, SourceLayout]:
        """Return the layout of each source that is one. What is none is not looked at again."""
        found = {}
        for name in self:
            if name not in self._unreadable:
                try:
                    found[name] = self[name].layout
                except SourceError:
                    self._unreadable.add(name)
        return found

    def _discover(self, name: str) -> SourceLayout:
        try:
            return self[name].layout
        except SourceError as error:
            raise self._named(name, error) from error

    def _named(self, name: str, error: SourceError) -> SourceError:
        return SourceError(f"source {name!r}: {error}") if len(self) > 1 else error

    @property
    def streams(self) -> Sequence[Stream]:
        """Return the streams of the settings, in the order of calls at the same instant."""
        return self._streams

    def lacks(self, source: str, stream: Stream) -> str | None:
        """Return the name of the table of a stream that a source is known not to have, while another one has it; else None.

        What cannot be looked at may have it.
        """
        others = [name for name in self if name != source]
        lacking = self._look(source) if others else None
        if lacking is None or stream not in lacking.absent:
            return None
        found = filter(None, map(self._look, others))
        return lacking.lacks[stream] if any(stream not in layout.absent for layout in found) else None

    def _look(self, name: str) -> SourceLayout | None:
        """Return the layout of a source, None when it cannot be looked at."""
        try:
            return self[name].layout
        except RehookSyncError:
            return None

    @property
    def views_read(self) -> set[str]:
        """Return the names of the views that were read for an event that is called so."""
        return {view for source in self.values() for view in source.views_read}

    def estimate(self, window: Window) -> tuple[int, int] | None:
        """Return how many bytes looks at a window of all streams read, and all its calls; None where the warehouse does not say."""
        found = [each for source in self.values() for stream in source.layout.tables if (each := source.estimate(stream, window))]
        return (sum(look for look, _ in found), sum(whole for _, whole in found)) if found else None

    def can_split_users(self, names: Iterable[str]) -> bool:
        """Tell whether user ids have one text form in all tables of these sources, so that a range of ids holds the same users in each."""
        kinds = {table.kinds["user_id"] for layout in self.discover(names).values() for table in layout.tables.values()}
        return len({_ONE_TEXT.get(kind, kind) for kind in kinds}) == 1

    def fill_properties(self, rows: Sequence[SourceRow]) -> Iterator[SourceRow]:
        """Yield the rows in their order, each track with its properties, as its source has them.

        Before the first is yielded, all tracks are `unloaded` whose source has none.
        """
        own = {name: [row for row in rows if row.source == name] for name in self}
        filled = {name: _begun(source.fill_properties(own[name])) for name, source in self.items() if own[name]}
        for row in rows:
            yield next(filled[row.source])
        for each in filled.values():
            next(each, None)  # its temporary file goes


def _begun(rows: Iterator[SourceRow]) -> Iterator[SourceRow]:
    """Return the same rows, once the first is there."""
    return chain([next(rows)], rows)
