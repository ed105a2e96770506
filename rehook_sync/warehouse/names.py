"""Names of tables and columns: which is meant, which are similar, and which belong to an event. Pure."""

import difflib
from collections.abc import Collection, Container, Iterable, Sequence

__all__ = ["event_table_names", "find_name", "listed", "similar", "tables_of", "view_names"]

_VIEW = "_view"


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
