"""What `check` found: a document for programs, lines for people."""

from collections.abc import Iterator, Sequence

from rich.console import RenderableType
from rich.table import Table as Grid
from rich.text import Text

from rehook_sync.jobs.check import CheckResult
from rehook_sync.jobs.notes.names import NamesCheck
from rehook_sync.models import STREAMS, Stream
from rehook_sync.render.console import error_document, visible
from rehook_sync.render.text import line, size_text
from rehook_sync.warehouse.layout import SourceLayout, Table
from rehook_sync.warehouse.names import listed

__all__ = ["check_document", "check_view"]

_SHOWN_NAMES = 12
_SHARED_IDS = (
    "the same message id in several sources is one call, sent once with the properties that any of them has; where its user or event "
    "differs, it is another call, which is not sent and ends a run with exit code 3: `audit` counts such calls as same_id_elsewhere"
)


def check_document(found: CheckResult) -> dict[str, object]:
    """Return the result of a check."""
    details: dict[str, dict[str, object]] = {
        "settings": {"values": found.settings},
        "warehouse": {
            "layout": _layouts_document(found),
            "bytes_scanned": _scans_document(found),
            "shared_ids": _SHARED_IDS if len(found.layouts or {}) > 1 else None,
        },
        "state": {"version": found.version, "warnings": found.warnings},
        "rehook": {"http_status": None if found.answer is None else found.answer.http_status},
        "notify": {"told": found.told},
        "publish": {"copy": found.copy},
    }
    items = {
        name: {"ok": found.is_good(name), **values, "error": error_document(found.errors.get(name))} for name, values in details.items()
    }
    return {"ok": not found.errors, **items, "error": error_document(found.first_error)}


def check_view(found: CheckResult, *, everything: bool = False) -> Iterator[RenderableType]:
    """Yield whether all is well, a line with details for each item, what is wrong first, and with `everything` all settings."""
    wrong = list(found.errors)
    yield line(("not ready: ", "bold red"), f"see {' and '.join(wrong)}") if wrong else line(("all is well", "bold green"))
    details: dict[str, list[str]] = {
        "settings": [],
        "warehouse": [*_layouts_lines(found), *_scans_lines(found)],
        "state": [f"sync-state tables, version {found.version}", *(f"warning: {each}" for each in found.warnings)],
        "rehook": ["the credentials are good"],
        "notify": _notify_lines(found),
        **({} if found.is_good("publish") is None else {"publish": [found.copy or ""]}),
    }
    items = Grid.grid(padding=(0, 2))
    items.add_column(no_wrap=True)
    items.add_column(no_wrap=True)
    items.add_column(overflow="fold")
    for name, lines in sorted(details.items(), key=lambda item: item[0] not in found.errors):
        good = found.is_good(name)
        mark = ("ok", "green") if good else ("problem", "bold red") if good is False else ("not looked at", "dim")
        told = lines if good else str(found.errors[name]).splitlines() if good is False else []
        items.add_row(name, Text(*mark), Text("\n".join(visible(each) for each in told)))
    yield items
    if everything and found.settings:
        yield ""
        rows = Grid.grid(padding=(0, 2))
        rows.add_column(no_wrap=True)
        rows.add_column(overflow="fold")
        for name, value in found.settings.items():
            rows.add_row(Text(name, "dim"), visible(value))
        yield rows


def _scans_document(found: CheckResult) -> dict[str, int] | None:
    return None if found.scans is None else dict(zip(("nothing_new", "whole_lookback"), found.scans, strict=True))


def _scans_lines(found: CheckResult) -> list[str]:
    if found.scans is None:
        return []
    nothing, whole = map(size_text, found.scans)
    return [f"a run with nothing new scans {nothing}, one that reads its whole lookback {whole} and the properties of its events (dry run)"]


def _notify_lines(found: CheckResult) -> list[str]:
    """Return who is told of runs, and when."""
    settings = found.settings or {}
    when = settings.get("notify_on", "")
    told = f"{', '.join(found.told)} on {when}" if found.told else "nobody is told of runs: see NOTIFY in docs/settings.md"
    beat = settings.get("heartbeat_url", "(none)")
    return [told] if beat == "(none)" else [told, f"heartbeat to {beat}"]


def _layouts_document(found: CheckResult) -> dict[str, object] | None:
    """Return the layout of the source, or of each of several by name."""
    documents = {name: _layout_document(layout, found.names) for name, layout in (found.layouts or {}).items()}
    return dict(documents) if len(documents) > 1 else next(iter(documents.values()), None)


def _layouts_lines(found: CheckResult) -> list[str]:
    """Return the lines of the source; those of several stand below their names."""
    lines = {name: _layout_lines(layout, found.names) for name, layout in (found.layouts or {}).items()}
    names = list(found.names.warnings) if found.names else []
    told = [text for name, each in lines.items() for text in ((name, *(f"  {text}" for text in each)) if len(lines) > 1 else each)]
    return told + ([_SHARED_IDS] if len(lines) > 1 else []) + [f"warning: {each}" for each in names]


def _layout_document(layout: SourceLayout, checked: NamesCheck | None) -> dict[str, object]:
    return {
        **{stream: _table_document(layout.tables[stream]) if stream in layout.tables else None for stream in STREAMS},
        "other_calls": {
            stream: {**_table_document(layout.tables[stream]), "properties": layout.fields[stream], "event": event}
            for stream, event in layout.events.items()
            if stream in layout.tables
        },
        "cursor": layout.cursor,
        "traits": layout.fields.get(Stream.IDENTIFIES, ()),
        "properties": layout.fields.get(Stream.TRACKS, ()),
        "json_columns": layout.json,
        "track_properties": layout.track_properties,
        "reason": layout.reason,
        "event_tables": {slug: _table_document(table) for slug, table in sorted(layout.event_tables.items())},
        "unreadable": layout.unreadable,
        "loader_columns": layout.loader_columns(),
        "rudderstack": layout.rudderstack,
        "excluded": checked.excluded if checked else (),
        "warnings": (*layout.absent_lines, *layout.warnings, *(checked.warnings if checked else ())),
    }


def _table_document(table: Table) -> dict[str, object]:
    return {"table": ".".join(table.path), "columns": list(table.columns)}


def _layout_lines(layout: SourceLayout, checked: NamesCheck | None) -> list[str]:
    """Return which tables are read, and which of their columns are sent."""
    lines = []
    for stream, table in layout.tables.items():
        names, kind = layout.fields[stream], "traits" if stream.is_identify else "properties"
        sent = f", {len(names)} of them {kind}{_listed(names)}" if names else ""
        name = f", sent as {layout.events[stream]!r}" if stream in layout.events else ""
        lines.append(f"{stream}: table {'.'.join(table.path)}, {len(table.columns)} columns{sent}{name}")
        if stream in layout.json:
            lines.append(f"{stream}: {kind} also in the JSON column {layout.json[stream]}")
    if Stream.TRACKS in layout.tables:
        lines.append(f"properties of tracks: {layout.track_properties} ({layout.reason})")
    if layout.event_tables:
        events = [f"{slug} ({len(layout.event_columns(table))})" for slug, table in sorted(layout.event_tables.items())]
        lines.append(f"{len(events)} event tables and their properties{_listed(events)}")
    lines += _unsent_lines(layout, checked)
    lines.append(f"new rows are found by {layout.cursor}")
    return lines + [f"warning: {warning}" for warning in (*layout.absent_lines, *layout.warnings)]


def _unsent_lines(layout: SourceLayout, checked: NamesCheck | None) -> list[str]:
    """Return which columns are not sent although they are none of Segment's, and why."""
    lines = []
    if layout.rudderstack:
        lines.append(f"RudderStack loaded this source: tracks has {layout.rudderstack}")
    if doubtful := layout.doubtful_columns():
        lines.append(f"sent, though RudderStack writes such columns, since nothing else shows that it loaded tracks{_listed(doubtful)}")
    if columns := layout.loader_columns():
        found = [f"{column} ({', '.join(tables[:2])}{' and more' if len(tables) > 2 else ''})" for column, tables in columns.items()]
        lines.append(f"not sent, since they are loaders' own{_listed(found)}")
    if checked and checked.excluded:
        lines.append(f"not sent, by EXCLUDE{_listed(checked.excluded)}")
    return lines


def _listed(names: Sequence[str]) -> str:
    return f": {listed(names, _SHOWN_NAMES)}" if names else ""
