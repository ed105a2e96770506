"""Names as people and warehouses write them: which are the same, and what `EXCLUDE` keeps back. Pure."""

from collections.abc import Iterable, Mapping
from functools import lru_cache
from unicodedata import category, normalize

__all__ = ["Exclusion", "spelling"]

_SEPARATORS = "PSZC"


@lru_cache(maxsize=4096)
def spelling(name: str) -> str:
    """Return what is left of a name without case, separators and signs: `email` of `E-Mail`, `firstname` of `first_name`."""
    folded = normalize("NFKC", name).casefold()
    return "".join(each for each in folded if category(each)[0] not in _SEPARATORS) or folded


class Exclusion:
    """What is never sent: columns, members of a JSON column, and members of these, named like `address_city`.

    Names match without regard to case and spelling: who keeps back `email` does not want to send `E-Mail`.
    """

    def __init__(self, names: Iterable[str]) -> None:
        """Take the names of `EXCLUDE`."""
        self._spellings = frozenset(map(spelling, names))
        self._columns: dict[str, tuple[bool, bool]] = {}

    def holds(self, column: str) -> bool:
        """Tell whether a column is kept back."""
        return spelling(column) in self._spellings

    def strip(self, fields: Mapping[str, object]) -> Mapping[str, object]:
        """Return the fields without what is kept back."""
        if not self._spellings:
            return fields
        kept = {}
        for column, value in fields.items():
            excluded, leads = self._verdict(column)
            if not excluded:
                kept[column] = self._strip_members(value, spelling(column)) if leads and isinstance(value, dict | list) else value
        return kept

    def _verdict(self, column: str) -> tuple[bool, bool]:
        """Tell whether a column is kept back, and whether a member of it may be."""
        verdict = self._columns.get(column)
        if verdict is None:
            verdict = self._columns[column] = self.holds(column), self._leads(spelling(column))
        return verdict

    def _leads(self, path: str) -> bool:
        return bool(path) and any(each.startswith(path) and each != path for each in self._spellings)

    def _strip_members(self, value: object, path: str) -> object:
        """Return a value without the members kept back; `path` is the spelling of the names that lead to it."""
        if isinstance(value, list):
            return [self._strip_members(each, path) if isinstance(each, dict) else each for each in value]
        if not isinstance(value, dict):
            return value
        kept = {}
        for name, member in value.items():
            longer = path + spelling(name)
            if longer not in self._spellings:
                kept[name] = self._strip_members(member, longer) if longer != path and self._leads(longer) else member
        return kept
