"""The layout of a Segment source, read from its warehouse."""

from dataclasses import replace

from sqlalchemy import Connection

from rehook_sync.database.dialects.record import Warehouse
from rehook_sync.errors import SourceError
from rehook_sync.models import Stream
from rehook_sync.warehouse.catalog import Catalog, Events
from rehook_sync.warehouse.discovery.calls import CallTables, find_calls
from rehook_sync.warehouse.layout import SourceConfig, SourceLayout, build_layout, needs_event_tables

__all__ = ["open_catalog", "read_layout"]


def open_catalog(connection: Connection, warehouse: Warehouse, config: SourceConfig) -> Catalog:
    """Return the catalog of a source's schema. Raises SourceError as `Catalog`."""
    needs_list = config.track_properties in {"auto", "event_tables"}
    expected = () if needs_list else [config.table_of(stream)[0] for stream in config.streams]
    return Catalog(connection, warehouse, config.schema, expected)


def read_layout(connection: Connection, warehouse: Warehouse, config: SourceConfig) -> SourceLayout:
    """Return the layout of a source. Raises SourceError when it has no table of calls that can be read."""
    catalog = open_catalog(connection, warehouse, config)
    found = find_calls(config, catalog.tables, catalog.require, typed=warehouse.is_typed)
    while True:
        events = _find_events(catalog, config, found)
        layout = _build(warehouse, config, found, events)
        if layout is not None:
            break
    unreadable = events.unreadable if layout.track_properties == "event_tables" else {}
    looks = layout.track_properties == "event_tables" or (layout.track_properties == "json" and config.track_properties == "auto")
    return replace(
        layout,
        warnings=tuple(dict.fromkeys((*layout.warnings, *catalog.warnings))),
        unreadable=unreadable,
        event_views=tuple(events.views) if looks else (),
        guarded=tuple(sorted(catalog.guarded & {*(table.name for table in found.tables.values()), *events.tables})),
        absent=found.absent,
        unusable=found.unusable,
        lacks={stream: config.table_of(stream)[0] for stream in found.absent},
    )


def _find_events(catalog: Catalog, config: SourceConfig, found: CallTables) -> Events:
    tracks = found.tables.get(Stream.TRACKS)
    if tracks is None:
        return Events({}, {})
    return catalog.find_events(config, tracks, found.cursor) if needs_event_tables(config, tracks) else catalog.find_possible(config)


def _build(warehouse: Warehouse, config: SourceConfig, found: CallTables, events: Events) -> SourceLayout | None:
    """Return the layout of the tables found; None once some of these turned out to be unusable and others are left."""
    try:
        layout = build_layout(
            config, found.cursor, found.tables, events.tables, named_like_events=events.named_like_events, typed=warehouse.is_typed
        )
    except SourceError as error:  # of tracks alone
        found.drop({Stream.TRACKS: str(error)})
        return None
    refused = layout.refused_forms(warehouse.words)
    found.drop(refused)
    return None if refused else layout
