"""What rows tell of the source: names in the settings that match nothing, loaders' columns. Pure."""

import difflib
import re
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from functools import partial

from rehook_sync.database.kinds import Kind
from rehook_sync.models import SourceRow, Stream
from rehook_sync.rules.names import Exclusion, spelling
from rehook_sync.settings import RESERVED_TRAITS, Settings
from rehook_sync.warehouse.layout import SourceLayout, Table
from rehook_sync.warehouse.names import listed, similar

__all__ = ["Layouts", "MetNames", "NamesCheck", "check_names", "close_names", "of_each", "source_notes"]

_MOST_MET = 10_000
_SHOWN_TABLES = 4
_CLOSE = 0.8
_LONGEST_SLUG = 60
"""A longer slug may be cut in the name of its table."""


@dataclass(slots=True)
class MetNames:
    """The names met in rows, to tell what a name in the settings could not match.

    Shape:  fields: stream -> traits or properties of rows, members of JSON columns included.  events: names of events.
            all_read: whether these are the names of all events.
    """

    fields: defaultdict[Stream, set[str]] = field(default_factory=partial(defaultdict, set))
    events: set[str] = field(default_factory=set)
    all_read: bool = False

    def note(self, rows: Iterable[SourceRow]) -> None:
        """Note the names in some rows. Of very many different names, only the first are kept."""
        for row in rows:
            fields = self.fields[row.stream]
            if len(fields) < _MOST_MET:
                fields.update(row.fields)
            if row.event is not None and len(self.events) < _MOST_MET:
                self.events.add(row.event)


@dataclass(frozen=True, slots=True)
class NamesCheck:
    """What names in the settings match. Shape:  excluded: columns that `EXCLUDE` keeps back.  warnings: one line each."""

    excluded: Sequence[str]
    warnings: Sequence[str]


Layouts = Mapping[str, SourceLayout]
"""Name of a source -> its layout."""


def check_names(settings: Settings, layouts: Layouts, events: Collection[str] | None) -> NamesCheck:
    """Return what the names in the settings match. Shape:  events: names of all events of the sources, None if not read."""
    met = MetNames(events=set(events or ()), all_read=events is not None)
    exclusion = Exclusion(settings.exclude)
    excluded = {column for column in _sent_columns(layouts, _streams(layouts)) if exclusion.holds(column)}
    return NamesCheck(sorted(excluded), [*of_each(layouts, _guarded_notes), *_name_notes(settings, layouts, met)])


def source_notes(settings: Settings, layouts: Layouts, met: MetNames) -> list[str]:
    """Return what a run or a plan says once about the columns and names of its sources, one line each."""
    return [*of_each(layouts, _guarded_notes), *of_each(layouts, _loader_notes), *_name_notes(settings, layouts, met)]


def of_each(layouts: Layouts, notes: Callable[[SourceLayout], Iterable[str]]) -> list[str]:
    """Return the notes on each source; with several, each names its own."""
    return [note if len(layouts) == 1 else f"{name}: {note}" for name, layout in layouts.items() for note in notes(layout)]


def _guarded_notes(layout: SourceLayout) -> list[str]:
    if not layout.guarded:
        return []
    tables = listed([repr(each) for each in layout.guarded])
    return [
        f"row-level security is active for this user on {tables}: rows that a policy hides are not seen, so they are neither sent nor "
        "missed; give this user a policy that shows all rows, or BYPASSRLS"
    ]


def _loader_notes(layout: SourceLayout) -> list[str]:
    """Return a note on the loaders' columns that are not sent, none if there are none."""
    found = layout.loader_columns()
    if not found:
        return []
    whose = f" (RudderStack's: tracks has {layout.rudderstack!r})" if layout.rudderstack else ""
    together: dict[tuple[str, ...], list[str]] = {}
    for column, tables in found.items():
        together.setdefault(tuple(tables), []).append(column)
    columns = "; ".join(f"{', '.join(each)} of {listed(tables, _SHOWN_TABLES)}" for tables, each in together.items())
    return [f"columns of loaders are not sent{whose}: {columns}; to send one, name it in TRAIT_NAMES or PROPERTY_NAMES"]


def _name_notes(settings: Settings, layouts: Layouts, met: MetNames) -> list[str]:
    """Return a note for each name in the settings that is known to match nothing in any source.

    What a JSON column holds is not known ahead: there, a name counts as wrong only if rows have one that is nearly the same.
    """
    traits = [name for name, key in settings.trait_names.items() if RESERVED_TRAITS.get(name) != key]
    return [
        *_unmatched_exclusions(settings.exclude, layouts, met),
        *_unmatched_columns("TRAIT_NAMES", traits, layouts, {Stream.IDENTIFIES}, met),
        *_unmatched_columns("PROPERTY_NAMES", settings.property_names, layouts, _streams(layouts) - {Stream.IDENTIFIES}, met),
        *_unmatched_events(settings.conversion_events, layouts, met),
    ]


def _unmatched_exclusions(names: Iterable[str], layouts: Layouts, met: MetNames) -> list[str]:
    streams = _streams(layouts)
    columns = {column for table in _tables(layouts, streams) for column in table.columns}
    in_json = _json_streams(layouts)
    members = {name for stream in in_json for name in met.fields[stream]}
    sent = members | _sent_columns(layouts, streams)
    known = {spelling(each) for each in columns | members}
    notes = []
    for name in sorted(names):
        if spelling(name) in known or _is_member(name, layouts):
            continue
        if not in_json:
            notes.append(f"EXCLUDE: {name!r} matches no column; {_meant(name, sent)}")
        elif close := close_names(name, sent):
            notes.append(f"EXCLUDE: {name!r} matches no column, and nothing in the rows read; {_meant(name, close)}")
    return notes


def _unmatched_columns(setting: str, names: Iterable[str], layouts: Layouts, streams: Set[Stream], met: MetNames) -> list[str]:
    tables, own = _tables(layouts, streams), _own_tables(layouts, streams)
    in_json = streams & _json_streams(layouts)
    columns = {column for table in tables for column in table.columns}
    sent = _sent_columns(layouts, streams).union(*(met.fields[stream] for stream in in_json))
    where = " or ".join(dict.fromkeys(table.name for table in own)) + (" or an event table" if len(tables) > len(own) else "")
    notes = []
    for name in sorted(set(names) - sent):
        same = [each for each in sent if spelling(each) == spelling(name)]
        if name in columns:
            notes.append(f"{setting}: {name!r} is not sent; it is a column of the call itself, or TRACK_PROPERTIES leaves it out")
        elif not in_json:
            notes.append(f"{setting}: {name!r} is no column of {where}; {_meant(name, sent)}")
        elif same:
            notes.append(f"{setting}: {name!r} is no column of {where}, and in none of the rows read; {_meant(name, same)}")
    return notes


def _unmatched_events(names: Iterable[str], layouts: Layouts, met: MetNames) -> list[str]:
    event_tables = [table for layout in layouts.values() for table in layout.event_tables]
    tables = {spelling(table) for table in event_tables}
    notes = []
    for name in sorted(set(names) - met.events):
        same = [each for each in met.events if spelling(each) == spelling(name)]
        has_table = spelling(name) in tables or not name.isascii() or len(name) > _LONGEST_SLUG
        if same or (met.all_read and len(met.events) < _MOST_MET):
            notes.append(f"CONVERSION_EVENTS: no event read is called {name!r}; {_meant(name, same or met.events)}")
        elif tables and not has_table:
            notes.append(f"CONVERSION_EVENTS: no event table is named like {name!r}; {_meant(name, met.events or event_tables)}")
        elif not tables and (close := close_names(name, met.events)):
            notes.append(f"CONVERSION_EVENTS: no event read is called {name!r}; {_meant(name, close)}")
    return notes


def _streams(layouts: Layouts) -> set[Stream]:
    return {stream for layout in layouts.values() for stream in layout.tables}


def _own_tables(layouts: Layouts, streams: Set[Stream]) -> list[Table]:
    return [table for layout in layouts.values() for stream, table in layout.tables.items() if stream in streams]


def _tables(layouts: Layouts, streams: Set[Stream]) -> list[Table]:
    """Return the tables of streams, with the event tables of tracks."""
    events = [table for layout in layouts.values() for table in layout.event_tables.values() if Stream.TRACKS in streams]
    return _own_tables(layouts, streams) + events


def _json_streams(layouts: Layouts) -> set[Stream]:
    """Return the streams that keep fields in a JSON column, in some source."""
    return {stream for layout in layouts.values() for stream in layout.json}


def _sent_columns(layouts: Layouts, streams: Set[Stream]) -> set[str]:
    """Return the traits or properties among the columns, before any is excluded."""
    own = {column for layout in layouts.values() for stream, fields in layout.fields.items() if stream in streams for column in fields}
    events = [(layout, table) for layout in layouts.values() for table in layout.event_tables.values() if Stream.TRACKS in streams]
    return own.union(*(layout.event_columns(table) for layout, table in events))


def _is_member(name: str, layouts: Layouts) -> bool:
    """Tell whether a name may be that of a member of a column, such as `address.city` of `address`: nobody knows ahead."""
    kinds = {column: kind for table in _tables(layouts, _streams(layouts)) for column, kind in table.kinds.items()}
    starts = {spelling(name[: found.start()]) for found in re.finditer(r"[\W_]+", name)}
    return any(
        kind in {Kind.JSON, Kind.NESTED, Kind.JSON_LIST, Kind.OTHER} and spelling(column) in starts for column, kind in kinds.items()
    )


def close_names(name: str, names: Iterable[str]) -> list[str]:
    """Return the names that are nearly the same."""
    by_spelling: dict[str, list[str]] = {}
    for each in names:
        by_spelling.setdefault(spelling(each), []).append(each)
    close = difflib.get_close_matches(spelling(name), by_spelling, 3, _CLOSE)
    return [each for found in close for each in by_spelling[found]]


def _meant(name: str, names: Collection[str]) -> str:
    """Return the end of a note: what the name could mean."""
    close = close_names(name, names)[:3]
    return f"did you mean {' or '.join(map(repr, close))}?" if close else similar(names, name)
