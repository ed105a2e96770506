"""Any other database with an information_schema, of which nothing more is known. It is only read."""

from collections.abc import Mapping, Sequence

from rehook_sync.database.dialects.record import Warehouse
from rehook_sync.database.kinds import Kind

__all__ = ["DATED", "EPOCH", "EXPANDED", "HOUR", "IN_WINDOW", "OTHER", "expanded_ids"]

_MONTH_DAYS = "(0[13578]|1[02])-(0[1-9]|[12][0-9]|3[01])|(0[469]|11)-(0[1-9]|[12][0-9]|30)|02-(0[1-9]|1[0-9]|2[0-8])"
_LEAP_YEARS = "([0-9]{2}(0[48]|[2468][048]|[13579][26])|([02468][048]|[13579][26])00)"
_CLOCK = "([01][0-9]|2[0-3])[:][0-5][0-9]([:][0-5][0-9]([.][0-9]*)?)?"
_ZONE = "([[:space:]]*[Zz]|[[:space:]]+UTC|[[:space:]]*[+-](0[0-9]|1[0-4])([:]?[0-5][0-9])?)?"
DATED = f"([0-9]{{4}}-({_MONTH_DAYS})|{_LEAP_YEARS}-02-29)([T ]{_CLOCK}{_ZONE})?[[:space:]]*"
EPOCH = "[1-9][0-9]{9}([0-9]{3}){0,2}([.][0-9]*)?[[:space:]]*"
"""Regular expressions of whole texts that are times, as SQLite's may be: a date with or without a clock, or seconds and parts of them."""
IN_WINDOW: Mapping[str, str] = {
    "in_window": "{} >= :low AND {} < :high",
    "in_window_or_null": "(({} >= :low AND {} < :high) OR {} IS NULL)",
}
"""The windows of every database that has a type for times."""

HOUR = "DATE_TRUNC('hour', {})"
"""The word `hour` where sessions are in UTC."""

EXPANDED = "IN {}"
"""The word `among` where each id is bound by itself."""


def expanded_ids(ids: Sequence[str | bytes]) -> object:
    """Return ids as values that are bound one by one. NULL stands for none: SQLAlchemy's own empty list is one of numbers."""
    return [each for each in ids if isinstance(each, str)] or [None]


OTHER = Warehouse(
    name="any",
    words={**IN_WINDOW, "bytes_order": "", "text_type": "VARCHAR", "among": EXPANDED, "place": "COALESCE(CAST({} AS VARCHAR), '')"},
    bind_ids=expanded_ids,
    bind_odd_ids=expanded_ids,
    is_typed=False,
    text_keys=frozenset(Kind),
)
"""Words that only the sync-state tables need are missing."""
