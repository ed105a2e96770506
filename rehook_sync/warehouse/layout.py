"""The layout of a Segment source: its tables, their columns, and where the properties of tracks are. Pure."""

from collections.abc import Collection, Container, Iterable, Mapping
from dataclasses import dataclass, field

from rehook_sync.database.kinds import Kind
from rehook_sync.errors import SourceError
from rehook_sync.models import STREAMS, OtherCalls, Stream
from rehook_sync.warehouse.names import RUDDERSTACK_COLUMNS, ColumnRules, rudderstack_mark, similar

__all__ = [
    "JSON_PROPERTIES",
    "JSON_TRAITS",
    "NO_EVENTS",
    "TIME_KINDS",
    "SourceConfig",
    "SourceLayout",
    "Table",
    "build_layout",
    "needs_event_tables",
    "needs_slugs",
]

JSON_TRAITS = "traits"
JSON_PROPERTIES = "properties"
TIME_COLUMNS = ("timestamp", "original_timestamp")
NO_EVENTS = frozenset({"aliases", "groups", "accounts", "users", "pages", "screens", "identifies", "tracks"})
TIME_KINDS = frozenset({Kind.TIME, Kind.TEXT, Kind.PADDED, Kind.NUMBER, Kind.DECIMAL})
"""Kinds that a time may be kept as."""


@dataclass(frozen=True, slots=True)
class SourceConfig:
    """Where the Segment source is, and which of its columns have a key; one field per setting."""

    schema: str | None = None
    identifies_table: str = "identifies"
    tracks_table: str = "tracks"
    cursor_column: str = "received_at"
    track_properties: str = "auto"
    trait_names: frozenset[str] = frozenset()
    property_names: frozenset[str] = frozenset()
    other_calls: Mapping[Stream, OtherCalls] = field(default_factory=dict)

    @property
    def streams(self) -> tuple[Stream, ...]:
        """Return the streams, in the order of calls at the same instant."""
        return (*STREAMS, *self.other_calls)

    def table_of(self, stream: Stream) -> tuple[str, str]:
        """Return the name of a stream's table, and the setting that says it."""
        names = {Stream.IDENTIFIES: (self.identifies_table, "IDENTIFIES_TABLE"), Stream.TRACKS: (self.tracks_table, "TRACKS_TABLE")}
        return names[stream] if stream in names else (self.other_calls[stream].table, "OTHER_CALLS")

    @property
    def not_events(self) -> frozenset[str]:
        """Return the names of Segment's own tables, in lower case: no event's table is called so."""
        other = {each.table.casefold() for each in self.other_calls.values()}
        return NO_EVENTS | {self.identifies_table.casefold(), self.tracks_table.casefold()} | other


@dataclass(frozen=True, slots=True)
class Table:
    """One table of the warehouse.

    Shape:  columns: name as Segment writes it -> name in the warehouse.  kinds: name as Segment writes it -> Kind.
            id_width: characters of an id of type char(n), blanks at its end included; None for other types.
            catalog: what the schema is in, where names have three levels.  partition: column by which it is partitioned, if known.
    """

    schema: str | None
    name: str
    columns: Mapping[str, str]
    kinds: Mapping[str, Kind]
    id_width: int | None = None
    catalog: str | None = None
    partition: str | None = None

    @property
    def path(self) -> tuple[str, ...]:
        """Return the name behind those of its catalog and its schema, as far as it has them."""
        return tuple(each for each in (self.catalog, self.schema, self.name) if each is not None)

    def earlier_ids(self, ids: Iterable[str]) -> dict[str, str]:
        """Return the ids under which earlier versions recorded calls with these ids -> these ids, where they are others."""
        width = self.id_width or 0
        return {each.ljust(width): each for each in ids if len(each) < width}

    def has(self, column: str) -> bool:
        """Tell whether the table has a column, named as Segment writes it."""
        return column in self.columns


@dataclass(frozen=True, slots=True)
class SourceLayout:
    """The layout of the Segment source, for `check` and for reading.

    Shape:  cursor: the cursor column as Segment writes it.  times: stream -> columns with the time of a call, best first.
            tables: stream -> its table.  fields: stream -> traits or properties among its columns, without the JSON column.
            json: stream -> the column that holds all traits or properties as one JSON object, if there is one.
            event_tables: name -> table; empty unless `track_properties` is `event_tables`.
            reason: why `track_properties` was chosen.  rules: which columns are traits or properties.
            unsent: stream -> columns of its table left out as a loader's.
            rudderstack: the column that shows that RudderStack loaded tracks, None if nothing does.
            unreadable: table that may be an event's and cannot be read -> why, and what to do; several may share one line.
            event_views: names of views that are looked at once an event turns out to be called so; with JSON, those of tables, too.
            guarded: tables of which row-level security may hide rows from this user.
            typed: whether the type of a column says what it holds.
            absent: stream -> what to say of its table, which the source does not have.
            unusable: stream -> what to say of its table, which is there and cannot be read.
            lacks: stream of `absent` -> the name that its table would have.
            events: stream of other calls -> the name of all its events.
    """

    tables: Mapping[Stream, Table]
    cursor: str
    times: Mapping[Stream, tuple[str, ...]]
    fields: Mapping[Stream, tuple[str, ...]]
    json: Mapping[Stream, str]
    track_properties: str
    event_tables: Mapping[str, Table]
    reason: str
    rules: ColumnRules
    unsent: Mapping[Stream, tuple[str, ...]]
    rudderstack: str | None
    warnings: tuple[str, ...]
    unreadable: Mapping[str, str] = field(default_factory=dict)
    event_views: tuple[str, ...] = ()
    guarded: tuple[str, ...] = ()
    typed: bool = False
    absent: Mapping[Stream, str] = field(default_factory=dict)
    unusable: Mapping[Stream, str] = field(default_factory=dict)
    lacks: Mapping[Stream, str] = field(default_factory=dict)
    events: Mapping[Stream, str] = field(default_factory=dict)

    def has_text(self, stream: Stream, *times: str) -> bool:
        """Tell whether some of these columns keep times as text or numbers where the database has a type for them."""
        return self.typed and any(self.tables[stream].kinds[each] is not Kind.TIME for each in times)

    def refused_forms(self, words: Container[str]) -> dict[Stream, str]:
        """Return what to say of tables whose times are texts or numbers, or ids have decimals, and the warehouse has no words to read them.

        Shape:  words: the warehouse's dialect words.
        """
        found: dict[Stream, str] = {}
        for stream, table in self.tables.items() if self.typed else ():
            texts = [each for each in (self.cursor, *self.times[stream]) if self.has_text(stream, each) and "moment" not in words]
            decimals = [each for each in ("id", "user_id") if table.kinds[each] is Kind.DECIMAL and "key_text" not in words]
            for column, wanted in [*((each, "timestamp") for each in texts), *((each, "text") for each in decimals)]:
                message = f"table {table.name!r}, column {column!r}: {table.kinds[column]} where this warehouse needs a {wanted}"
                found.setdefault(stream, f"{message}; convert it in a view and name that in {stream.upper()}_TABLE")
        return found

    def require(self, stream: Stream) -> None:
        """Raise SourceError when the table of a stream is not there, or cannot be read."""
        if stream not in self.tables:
            raise SourceError(self.absent.get(stream) or self.unusable[stream])

    @property
    def absent_lines(self) -> list[str]:
        """Return what to tell of tables that the source does not have, one line each."""
        return [f"there is no table {name!r}: nothing is read of it" for name in self.lacks.values()]

    @property
    def unreadable_lines(self) -> list[str]:
        """Return what to tell of event tables that cannot be read, one line each."""
        return list(dict.fromkeys(self.unreadable.values()))

    @property
    def tracks(self) -> Table:
        """Return the table of tracks, of a source that has one."""
        return self.tables[Stream.TRACKS]

    def event_columns(self, table: Table) -> tuple[str, ...]:
        """Return the property columns of an event table."""
        return self.rules.fields(Stream.TRACKS, table.name, table.columns)

    def doubtful_columns(self) -> list[str]:
        """Return the properties in tracks that RudderStack may have written, though nothing shows it and nobody asked for them."""
        mapped = self.rules.property_names
        return [each for each in self.fields.get(Stream.TRACKS, ()) if each in RUDDERSTACK_COLUMNS and each not in mapped]

    def loader_columns(self) -> dict[str, list[str]]:
        """Return each column left out as a loader's, and the tables it is in."""
        found: dict[str, list[str]] = {}
        tables = [(self.tables[stream].name, columns) for stream, columns in self.unsent.items()]
        tables += [(name, self.rules.loaders(Stream.TRACKS, name, table.columns)) for name, table in self.event_tables.items()]
        for name, columns in tables:
            for column in columns:
                found.setdefault(column, []).append(name)
        return found


def needs_event_tables(config: SourceConfig, tracks: Table) -> bool:
    """Tell whether the layout depends on the event tables."""
    wanted = config.track_properties
    return wanted == "event_tables" or (wanted == "auto" and not tracks.has(JSON_PROPERTIES))


def needs_slugs(config: SourceConfig, cursor: str, tracks: Table, events: Collection[str]) -> bool:
    """Tell whether only the event slugs in use say where properties are: tracks has columns of its own, and there are other tables."""
    rules = _column_rules(config, cursor, rudderstack_mark(tracks.columns, event_tables=False))
    return config.track_properties == "auto" and bool(events) and bool(rules.fields(Stream.TRACKS, tracks.name, tracks.columns))


def build_layout(
    config: SourceConfig,
    cursor: str,
    tables: Mapping[Stream, Table],
    events: Mapping[str, Table],
    *,
    named_like_events: bool,
    typed: bool,
) -> SourceLayout:
    """Return the layout.

    Shape:  tables: stream -> its table.  events: name -> table that may be an event's.
            named_like_events: whether some are known to be named like events in use.
    Raises: SourceError when `TRACK_PROPERTIES` is `json` and tracks has no JSON column.
    """
    tracks = tables.get(Stream.TRACKS)
    events = {name: table for name, table in events.items() if table.has("id")}
    asked = config.track_properties == "event_tables"
    mark = None if tracks is None else rudderstack_mark(tracks.columns, event_tables=named_like_events or asked)
    rules = _column_rules(config, cursor, mark)
    fields = {stream: rules.fields(stream, table.name, table.columns) for stream, table in tables.items()}
    unsent = {stream: rules.loaders(stream, table.name, table.columns) for stream, table in tables.items()}
    chosen, reason = _choose(config, fields, named_like_events=named_like_events)
    json = _json_columns(chosen, tables, fields)
    if chosen == "json" and tracks is not None and Stream.TRACKS not in json:
        message = f"TRACK_PROPERTIES is 'json', but table {tracks.name!r} has no column {JSON_PROPERTIES!r}"
        raise SourceError(f"{message}; {similar(tracks.columns, JSON_PROPERTIES)}")
    if tracks is not None and config.track_properties in {"event_tables", "json"}:
        fields[Stream.TRACKS], unsent[Stream.TRACKS] = (), ()
    warnings = _slow_cursors(cursor, tables.values()) if typed else []
    if tracks is not None and chosen == "event_tables" and not events:
        warnings.append(
            f"no event table beside {tracks.name!r}: MISSING_PROPERTIES says whether events wait for one or go out without properties"
        )
    return SourceLayout(
        tables=tables,
        cursor=cursor,
        times={stream: _times(table, typed=typed, warnings=warnings) for stream, table in tables.items()},
        fields={stream: _without(columns, json.get(stream)) for stream, columns in fields.items()},
        json=json,
        track_properties=chosen,
        event_tables=events if chosen == "event_tables" else {},
        typed=typed,
        reason=reason,
        rules=rules,
        unsent=unsent,
        rudderstack=mark,
        events={stream: each.event for stream, each in config.other_calls.items()},
        warnings=tuple(warnings),
    )


def _column_rules(config: SourceConfig, cursor: str, mark: str | None) -> ColumnRules:
    return ColumnRules(cursor, config.trait_names, config.property_names, mark is not None)


def _choose(config: SourceConfig, fields: Mapping[Stream, tuple[str, ...]], *, named_like_events: bool) -> tuple[str, str]:
    """Return where the properties of tracks are, or without tracks those of other calls, and why."""
    own = fields.get(Stream.TRACKS)
    if own is None:
        others = any(JSON_PROPERTIES in columns for stream, columns in fields.items() if not stream.is_identify)
        is_json = config.track_properties == "json" or (config.track_properties == "auto" and others)
        return "json" if is_json else "columns", "there is no table of tracks"
    if config.track_properties != "auto":
        return config.track_properties, "TRACK_PROPERTIES says so"
    if JSON_PROPERTIES in own:
        more = "; its further columns are properties, too" if len(own) > 1 else ""
        return "json", f"tracks has a column {JSON_PROPERTIES!r}{more}"
    if not own:
        return "event_tables", "tracks has no columns beyond Segment's and loaders' own"
    if named_like_events:
        return "event_tables", "there are tables named like events; where these have no such column, columns of tracks are properties, too"
    return "columns", "tracks has columns beyond Segment's and loaders' own, and no table is named like an event"


def _json_columns(chosen: str, tables: Mapping[Stream, Table], fields: Mapping[Stream, tuple[str, ...]]) -> dict[Stream, str]:
    """Return stream -> JSON column. `traits` may be one trait: it counts if it is the only one, of type JSON, or tracks use JSON."""
    found = {stream: JSON_PROPERTIES for stream, table in tables.items() if chosen == "json" and table.has(JSON_PROPERTIES)}
    identifies = tables.get(Stream.IDENTIFIES)
    found.pop(Stream.IDENTIFIES, None)
    if identifies is None:
        return found
    alone = fields[Stream.IDENTIFIES] == (JSON_TRAITS,)
    if identifies.has(JSON_TRAITS) and (alone or chosen == "json" or identifies.kinds[JSON_TRAITS] is Kind.JSON):
        found[Stream.IDENTIFIES] = JSON_TRAITS
    return found


def _slow_cursors(cursor: str, calls: Collection[Table]) -> list[str]:
    """Return a warning for each table whose cursor has no type for times."""
    return [
        f"table {table.name!r}: {cursor!r} keeps times as {table.kinds[cursor]}, so each run looks at every row; a time type is quicker"
        for table in calls
        if table.kinds[cursor] is not Kind.TIME
    ]


def _times(table: Table, *, typed: bool, warnings: list[str]) -> tuple[str, ...]:
    times = []
    for column in TIME_COLUMNS:
        if table.has(column) and typed and table.kinds[column] not in TIME_KINDS:
            warnings.append(f"table {table.name!r}: column {column!r} is not of a time type, so it is not read")
        elif table.has(column):
            times.append(column)
    if not times:
        warnings.append(f"table {table.name!r} has no column 'timestamp': calls are ordered by the cursor column")
    return tuple(times)


def _without(columns: tuple[str, ...], left_out: str | None) -> tuple[str, ...]:
    return tuple(column for column in columns if column != left_out)
