"""Whose a column is: Segment's own, a loader's, or a trait or property. Pure.

Source: Segment's warehouse schemas; RudderStack's rudder-transformer, `src/warehouse`: RudderStack writes its columns itself
and drops a property of the same name.
"""

from collections.abc import Collection, Iterable, Mapping, Set
from dataclasses import dataclass, field
from enum import Enum, auto

from rehook_sync.models import Stream

__all__ = ["RUDDERSTACK_COLUMNS", "SYSTEM_COLUMNS", "ColumnRules", "Owner", "rudderstack_mark"]

_CALL = frozenset("id user_id anonymous_id received_at sent_at timestamp original_timestamp event event_text".split())  # noqa: SIM905
_EVENT = frozenset({"event", "event_text"})
_STAMPS = frozenset({"uuid_ts", "uuid", "loaded_at"})
SYSTEM_COLUMNS = _CALL | _STAMPS
_CONTEXT = "context_"
_VIEW = "_view"
_VIEW_HELPER = "row_number"  # BigQuery's deduplicating views number their rows
_LOADERS = ("_fivetran_", "_airbyte_", "_dlt_", "_sdc_")
RUDDERSTACK_COLUMNS = frozenset({"channel", "record_id", "rudder_event"})
_RUDDERSTACK_MARKS = ("context_request_ip", "context_passed_ip")


class Owner(Enum):
    """Whose a column is. STAMP: says when a row was loaded; in every source. LOADER: of another loader; might be a user's."""

    CALL = auto()
    STAMP = auto()
    LOADER = auto()
    USER = auto()


def rudderstack_mark(tracks: Collection[str], *, event_tables: bool) -> str | None:
    """Return the column that shows that RudderStack loaded tracks, None if nothing does. `channel` alone may be a property.

    Shape:  tracks: its columns.  event_tables: whether there are any: then a `record_id` in tracks is no property.
    """
    if "channel" not in tracks:
        return None
    marks = (*_RUDDERSTACK_MARKS, *(["record_id"] if event_tables else []))
    return next((each for each in marks if each in tracks), None)


@dataclass(frozen=True, slots=True)
class ColumnRules:
    """Which columns of a table are traits or properties.

    Shape:  mapped: stream -> columns that the settings give a key; sent even if they are a loader's.
    """

    cursor: str
    mapped: Mapping[Stream, Set[str]] = field(default_factory=dict)
    is_rudderstack: bool = False

    def fields(self, stream: Stream, table: str, columns: Iterable[str]) -> tuple[str, ...]:
        """Return the traits or properties. Shape:  stream: TRACKS for an event table.  table: its name."""
        return tuple(each for each in columns if self.owner(stream, table, each) is Owner.USER)

    def loaders(self, stream: Stream, table: str, columns: Iterable[str]) -> tuple[str, ...]:
        """Return the columns left out as a loader's, which the user may miss."""
        return tuple(each for each in columns if self.owner(stream, table, each) is Owner.LOADER)

    def owner(self, stream: Stream, table: str, column: str) -> Owner:
        """Return whose a column is."""
        call = _CALL if stream is Stream.TRACKS else _CALL - _EVENT  # an Identify call has no event
        if column in call or column.startswith(_CONTEXT):
            return Owner.CALL
        if column in self.mapped.get(stream, ()):
            return Owner.USER
        is_helper = column == _VIEW_HELPER and table.casefold().endswith(_VIEW)
        if column in _STAMPS or column == self.cursor or is_helper:
            return Owner.STAMP
        name = column.casefold()
        is_loaders = name.startswith(_LOADERS) or name == "_loaded_at" or (self.is_rudderstack and name in RUDDERSTACK_COLUMNS)
        return Owner.LOADER if is_loaders else Owner.USER
