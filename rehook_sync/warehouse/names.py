"""Names of tables and columns: which is meant, which are similar, which belong to an event, and whose a column is. Pure.

Source: Segment's warehouse schemas; RudderStack's rudder-transformer, `src/warehouse`: RudderStack writes its columns itself
and drops a property of the same name.
"""

import difflib
from collections.abc import Collection, Container, Iterable, Sequence, Set
from dataclasses import dataclass
from enum import Enum, auto

from rehook_sync.models import Stream

__all__ = [
    "HIDDEN",
    "RUDDERSTACK_COLUMNS",
    "SYSTEM_COLUMNS",
    "ColumnRules",
    "Owner",
    "event_table_names",
    "find_name",
    "is_hidden",
    "listed",
    "rudderstack_mark",
    "similar",
    "tables_of",
    "view_names",
]

HIDDEN = "cannot be read"
"""How the detail of an event ends that waits since its table cannot be read."""
_VIEW = "_view"
_CALL = frozenset("id user_id anonymous_id received_at sent_at timestamp original_timestamp event event_text".split())  # noqa: SIM905
_EVENT = frozenset({"event", "event_text"})
_STAMPS = frozenset({"uuid_ts", "uuid", "loaded_at"})
SYSTEM_COLUMNS = _CALL | _STAMPS
_CONTEXT = "context_"
_VIEW_HELPER = "row_number"  # BigQuery's deduplicating views number their rows
_LOADERS = ("_fivetran_", "_airbyte_", "_dlt_", "_sdc_")
RUDDERSTACK_COLUMNS = frozenset({"channel", "record_id", "rudder_event"})
_RUDDERSTACK_MARKS = ("context_request_ip", "context_passed_ip")


def is_hidden(detail: str) -> bool:
    """Tell from the detail of an event that waits whether its table cannot be read; otherwise the event is not in it yet."""
    return detail.endswith(HIDDEN)


def find_name(names: Iterable[str], wanted: str) -> str | None:
    """Return the wanted name, else the only one that differs just in case, else None."""
    names = list(names)
    if wanted in names:
        return wanted
    same = [name for name in names if name.casefold() == wanted.casefold()]
    return same[0] if len(same) == 1 else None


def similar(names: Iterable[str], wanted: str) -> str:
    """Return the end of a message: the names similar to the wanted one, else some of all names."""
    names = sorted(names)
    close = difflib.get_close_matches(wanted.casefold(), names, n=3, cutoff=0.6)
    if close:
        return f"did you mean {' or '.join(map(repr, close))}?"
    return f"found: {listed([repr(name) for name in names]) or 'nothing'}"


def listed(texts: Sequence[str], most: int = 8, what: str = "") -> str:
    """Return texts between commas, the first of very many: `a, b and 3 more`. `what`: a noun after `more`, with its blank."""
    more = f" and {len(texts) - most} more{what}" if len(texts) > most else ""
    return ", ".join(texts[:most]) + more


def event_table_names(names: Iterable[str], not_events: Container[str]) -> list[str]:
    """Return the tables that may belong to an event: none named like another table's view.

    Shape:  not_events: names of tables that belong to none, in lower case.
    """
    viewed = _viewed(names := list(names))
    return [name for name in names if name not in viewed and name.casefold() not in not_events]


def view_names(names: Iterable[str], not_events: Container[str]) -> list[str]:
    """Return the tables that are named like another table's view, and may belong to an event of that name just as well."""
    return [name for name, table in _viewed(list(names)).items() if table not in not_events]


def tables_of(slug: str, names: Collection[str], longest: int | None) -> list[str]:
    """Return the tables that may hold the properties of an event, the likeliest first.

    A loader may write a slug in other case, with `_` before a reserved word, and cut to what the warehouse allows.
    Shape:  names: of tables.  longest: bytes of a table's name at most, None for no limit.
    """
    spellings = [_cut_to(name, longest).casefold() for name in (slug, f"_{slug}")]
    found = [(name != slug, spellings.index(name.casefold()), name) for name in names if name.casefold() in spellings]
    return [name for _, _, name in sorted(found)]


def _cut_to(name: str, longest: int | None) -> str:
    return name if longest is None else name.encode("utf-8", "replace")[:longest].decode("utf-8", "ignore")


def _viewed(names: Collection[str]) -> dict[str, str]:
    """Return each name that is another one with `_view` behind it, and that other one in lower case."""
    folded = {name.casefold() for name in names}
    shorter = {name: name.casefold().removesuffix(_VIEW) for name in names}
    return {name: own for name, own in shorter.items() if own in folded and own != name.casefold()}


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

    Shape:  trait_names, property_names: columns that the settings give a key; sent even if they are a loader's.
    """

    cursor: str
    trait_names: Set[str] = frozenset()
    property_names: Set[str] = frozenset()
    is_rudderstack: bool = False

    def fields(self, stream: Stream, table: str, columns: Iterable[str]) -> tuple[str, ...]:
        """Return the traits or properties. Shape:  stream: TRACKS for an event table.  table: its name."""
        return tuple(each for each in columns if self.owner(stream, table, each) is Owner.USER)

    def loaders(self, stream: Stream, table: str, columns: Iterable[str]) -> tuple[str, ...]:
        """Return the columns left out as a loader's, which the user may miss."""
        return tuple(each for each in columns if self.owner(stream, table, each) is Owner.LOADER)

    def owner(self, stream: Stream, table: str, column: str) -> Owner:
        """Return whose a column is."""
        call = _CALL - _EVENT if stream.is_identify else _CALL  # an Identify call has no event
        if column in call or column.startswith(_CONTEXT):
            return Owner.CALL
        if column in (self.trait_names if stream.is_identify else self.property_names):
            return Owner.USER
        is_helper = column == _VIEW_HELPER and table.casefold().endswith(_VIEW)
        if column in _STAMPS or column == self.cursor or is_helper:
            return Owner.STAMP
        name = column.casefold()
        is_loaders = name.startswith(_LOADERS) or name == "_loaded_at" or (self.is_rudderstack and name in RUDDERSTACK_COLUMNS)
        return Owner.LOADER if is_loaders else Owner.USER
