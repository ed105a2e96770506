"""The tables of calls of a source: which are there and can be read. Pure."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field

from rehook_sync.errors import SourceError
from rehook_sync.models import STREAMS, Stream
from rehook_sync.warehouse.layout import NO_EVENTS, TIME_KINDS, SourceConfig, Table
from rehook_sync.warehouse.names import find_name, similar

__all__ = ["CallTables", "check_columns", "find_calls"]


def check_columns(table: Table, setting: str, config: SourceConfig, *, typed: bool) -> str:
    """Return the cursor column of a table of calls as Segment writes it.

    Shape:  setting: the one that names the table.  typed: whether the type of a column says what it holds.
    Raises: SourceError when id, user_id or the cursor is missing, or when the cursor or timestamp is not of a time type.
    """
    for column in ("id", "user_id"):
        if not table.has(column):
            message = f"table {table.name!r} has no column {column!r}, which every call has ({setting} says which table is read)"
            raise SourceError(f"{message}; {similar(table.columns, column)}")
    cursor = find_name(table.columns, config.cursor_column)
    if cursor is None:
        message = f"table {table.name!r} has no column {config.cursor_column!r} to find new rows by (set CURSOR_COLUMN)"
        raise SourceError(f"{message}; {similar(table.columns, config.cursor_column)}")
    for column, advice in ((cursor, "set CURSOR_COLUMN to another column or "), ("timestamp", "")):
        if typed and table.has(column) and table.kinds[column] not in TIME_KINDS:
            message = f"table {table.name!r}, column {column!r}: {table.kinds[column]} where a timestamp belongs"
            raise SourceError(f"{message}; {advice}convert it in a view and name that in {setting}")
    return cursor


@dataclass(slots=True)
class CallTables:
    """The tables of calls of a source.

    Shape:  tables: stream -> its table.  cursor: of all of them.  absent, unusable: as in `SourceLayout`.
    """

    tables: dict[Stream, Table] = field(default_factory=dict)
    cursor: str = ""
    absent: dict[Stream, str] = field(default_factory=dict)
    unusable: dict[Stream, str] = field(default_factory=dict)

    def drop(self, problems: Mapping[Stream, str]) -> None:
        """Let tables be unusable. Raises SourceError when there is no other."""
        for stream in problems:
            self.tables.pop(stream, None)
        self.unusable |= problems
        self.require_any()

    def require_any(self) -> None:
        """Raise SourceError when there is no table of calls that can be read."""
        if not self.tables:
            raise SourceError(next(iter((self.unusable | self.absent).values())))


def find_calls(config: SourceConfig, names: Collection[str], require: Callable[[str, str, bool], Table], *, typed: bool) -> CallTables:
    """Return the tables of calls.

    Shape:  names: of the tables there are.  require: returns the table that a setting names, or raises SourceError; last, whether the
            schema is known to be the right one.
    Raises: SourceError when there is none that can be read.
    """
    has_one = any(find_name(names, config.table_of(stream)[0]) is not None for stream in STREAMS)
    found, cursors = CallTables(), dict[Stream, str]()
    for stream in config.streams:
        name, setting = config.table_of(stream)
        if stream not in STREAMS and find_name(names, name) is None:
            where = f"schema {config.schema!r}" if config.schema else "the default schema"
            found.absent[stream] = f"there is no table {name!r} in {where} (OTHER_CALLS names it); {similar(names, name)}"
            continue
        try:
            table = require(name, setting, has_one)
            if stream not in STREAMS:
                _refuse_event(table)
            cursors[stream] = check_columns(table, setting, config, typed=typed)
        except SourceError as error:
            (found.absent if find_name(names, name) is None else found.unusable)[stream] = str(error)
        else:
            found.tables[stream] = table
    found.require_any()
    first = Stream.TRACKS if Stream.TRACKS in cursors else next(iter(cursors))
    found.cursor = cursors[first]
    found.drop(
        {
            stream: f"CURSOR_COLUMN {config.cursor_column!r} is written differently in {stream} and {first}; use views"
            for stream, cursor in cursors.items()
            if cursor != found.cursor
        }
    )
    return found


def _refuse_event(table: Table) -> None:
    """Raise SourceError for a table of other calls that is an event's: its calls go out as Track calls."""
    if table.has("event") and table.name.casefold().removesuffix("_view") not in NO_EVENTS:
        message = f"OTHER_CALLS names table {table.name!r}, which is an event's, since it has a column 'event': its calls are tracks"
        raise SourceError(f"{message}; take it out, or name a view without that column if they are not")
