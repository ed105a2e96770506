"""What `check` looks at, one item after another, and how it says what it found."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from rich.console import RenderableType
from rich.table import Table as Grid
from rich.text import Text

from rehook_sync.console import error_document, visible
from rehook_sync.delivery.outcomes import stop_reason
from rehook_sync.errors import RehookSyncError, StateVersionError
from rehook_sync.models import Answer, Effect, Stream
from rehook_sync.settings import Settings
from rehook_sync.sync import Sync
from rehook_sync.warehouse.layout import SourceLayout, Table

__all__ = ["Examination", "examination_document", "examination_view", "examine"]

_SHOWN_NAMES = 12


@dataclass(slots=True)
class Examination:
    """What `check` found; an item that was not reached has neither a finding nor an error.

    Shape:  errors: settings, warehouse, state or rehook -> what is wrong with it.
    """

    settings: Mapping[str, str] | None = None
    layout: SourceLayout | None = None
    version: int | None = None
    answer: Answer | None = None
    errors: dict[str, RehookSyncError] = field(default_factory=dict)

    @property
    def first_error(self) -> RehookSyncError | None:
        """The first problem, None when all is well."""
        return next(iter(self.errors.values()), None)

    def note(self, name: str, look: Callable[[], None]) -> None:
        """Look at one item and keep what is wrong with it."""
        try:
            look()
        except RehookSyncError as error:
            self.errors[name] = error

    def is_good(self, name: str) -> bool | None:
        """Tell whether an item is in order; None when it was not looked at."""
        found = {"settings": self.settings, "warehouse": self.layout, "state": self.version, "rehook": self.answer}[name]
        return False if name in self.errors else None if found is None else True


def examine(settings: Settings) -> Examination:
    """Look at warehouse, state and credentials, each even if another one is not in order; writes nothing."""
    found = Examination(settings.describe())
    try:
        with Sync(settings, read_only=True) as sync:
            found.note("warehouse", lambda: _look_at_warehouse(sync, found))
            found.note("state", lambda: _look_at_state(sync, found))
            found.note("rehook", lambda: _look_at_rehook(sync, found))
    except RehookSyncError as error:
        found.errors["warehouse"] = error
    return found


def _look_at_warehouse(sync: Sync, found: Examination) -> None:
    found.layout = sync.discover()


def _look_at_state(sync: Sync, found: Examination) -> None:
    found.version = sync.read_version()
    if found.version is None:
        raise StateVersionError("the sync-state tables do not exist yet: run `python -m rehook_sync init` once")


def _look_at_rehook(sync: Sync, found: Examination) -> None:
    found.answer = sync.check_credentials()
    if found.answer.effect is not Effect.ACCEPTED:
        raise stop_reason(found.answer)


def examination_document(found: Examination) -> dict[str, object]:
    """Return what `check` found."""
    details: dict[str, dict[str, object]] = {
        "settings": {"values": found.settings},
        "warehouse": {"layout": None if found.layout is None else _layout_document(found.layout)},
        "state": {"version": found.version},
        "rehook": {"http_status": None if found.answer is None else found.answer.http_status},
    }
    items = {
        name: {"ok": found.is_good(name), **values, "error": error_document(found.errors.get(name))} for name, values in details.items()
    }
    return {"ok": not found.errors, **items, "error": error_document(found.first_error)}


def examination_view(found: Examination) -> Iterator[RenderableType]:
    """Give what `check` found: the settings, then a line and details for each item."""
    rows = Grid.grid(padding=(0, 2))
    rows.add_column(no_wrap=True)
    rows.add_column(overflow="fold")
    for name, value in (found.settings or {}).items():
        rows.add_row(Text(name, "dim"), visible(value))
    yield rows
    yield ""
    details: dict[str, list[str]] = {
        "settings": [],
        "warehouse": [] if found.layout is None else _layout_lines(found.layout),
        "state": [f"sync-state tables, version {found.version}"],
        "rehook": ["the credentials are good"],
    }
    items = Grid.grid(padding=(0, 2))
    items.add_column(no_wrap=True)
    items.add_column(no_wrap=True)
    items.add_column(overflow="fold")
    for name, lines in details.items():
        good = found.is_good(name)
        mark = ("ok", "green") if good else ("problem", "bold red") if good is False else ("not looked at", "dim")
        told = lines if good else str(found.errors[name]).splitlines() if good is False else []
        items.add_row(name, Text(*mark), Text("\n".join(visible(each) for each in told)))
    yield items


def _layout_document(layout: SourceLayout) -> dict[str, object]:
    return {
        "identifies": _table_document(layout.identifies),
        "tracks": _table_document(layout.tracks),
        "cursor": layout.cursor,
        "traits": layout.traits,
        "properties": layout.properties,
        "json_columns": layout.json,
        "track_properties": layout.track_properties,
        "reason": layout.reason,
        "event_tables": {slug: _table_document(table) for slug, table in sorted(layout.event_tables.items())},
        "warnings": layout.warnings,
    }


def _table_document(table: Table) -> dict[str, object]:
    return {"table": ".".join(table.path), "columns": list(table.columns)}


def _layout_lines(layout: SourceLayout) -> list[str]:
    """Say which tables are read, and what is sent of them."""
    lines = []
    for stream, kind in ((Stream.IDENTIFIES, "traits"), (Stream.TRACKS, "properties")):
        table, names = layout.table(stream), layout.fields(stream)
        sent = f", {len(names)} of them {kind}{_listed(names)}" if names else ""
        lines.append(f"{stream}: table {'.'.join(table.path)}, {len(table.columns)} columns{sent}")
        if stream in layout.json:
            lines.append(f"{stream}: {kind} also in the JSON column {layout.json[stream]}")
    lines.append(f"properties of tracks: {layout.track_properties} ({layout.reason})")
    if layout.event_tables:
        events = [f"{slug} ({len(layout.event_columns(table))})" for slug, table in sorted(layout.event_tables.items())]
        lines.append(f"{len(events)} event tables and their properties{_listed(events)}")
    lines.append(f"new rows are found by {layout.cursor}")
    return lines + [f"warning: {warning}" for warning in layout.warnings]


def _listed(names: Sequence[str]) -> str:
    if not names:
        return ""
    more = f" and {len(names) - _SHOWN_NAMES} more" if len(names) > _SHOWN_NAMES else ""
    return f": {', '.join(names[:_SHOWN_NAMES])}{more}"
