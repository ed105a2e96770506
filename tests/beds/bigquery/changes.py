"""Statements that change rows, as queries for what a table has afterwards: the engine takes them, but gives no rows for them.

Only what the engine has taken comes here, so that the text may be read by expressions; `Change.is_loose` tells the exception.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

__all__ = ["Change", "parse_change"]

_FLAGS = re.IGNORECASE | re.DOTALL
_KINDS = {
    "insert": re.compile(
        r"INSERT INTO (?P<target>\S+)\s*\((?P<columns>[^)]*)\)\s*(?:VALUES\s*\((?P<values>.+)\)|(?P<source>SELECT.+))", _FLAGS
    ),
    "update": re.compile(r"UPDATE (?P<target>\S+) SET (?P<set>.+?)(?: WHERE (?P<where>.+))?", _FLAGS),
    "delete": re.compile(r"DELETE FROM (?P<target>\S+)(?: AS (?P<alias>\w+))?\s+WHERE (?P<where>.+)", _FLAGS),
    "truncate": re.compile(r"TRUNCATE TABLE (?P<target>\S+)", _FLAGS),
    "merge": re.compile(
        r"MERGE INTO (?P<target>\S+) AS (?P<alias>\w+)\s+USING \((?P<source>.+)\) AS (?P<other>\w+)\s+ON (?P<on>.+?)\s+"
        r"WHEN MATCHED THEN UPDATE SET\s+(?P<set>.+?)\s+WHEN NOT MATCHED THEN INSERT \((?P<columns>[^)]*)\) VALUES \((?P<values>.+)\)",
        _FLAGS,
    ),
}
_SET = re.compile(r"(\S+) = ('[^']*'|[^,]+)")


@dataclass(frozen=True)
class Change:
    """One statement. Shape:  parts: the pieces of its text."""

    kind: str
    parts: dict[str, str]

    @property
    def target(self) -> str:
        """Return the name of the table, as it is written."""
        return self.parts["target"]

    @property
    def is_loose(self) -> bool:
        """Tell whether it is a test's own UPDATE of all rows, which BigQuery would want a condition for."""
        return self.kind == "update" and not self.parts["where"]

    @property
    def adds_rows(self) -> bool:
        """Tell whether the queries give rows to add, instead of all that there are."""
        return self.kind == "insert"

    @property
    def keeps_rows(self) -> bool:
        """Tell whether the first query gives each row of the table once."""
        return self.kind == "merge"

    def queries(self, columns: Sequence[str], pseudo: Sequence[str]) -> Iterator[str]:
        """Yield the queries, whose rows are to be put together. `pseudo`: columns that `*` leaves out."""
        more = "".join(f", {each}" for each in pseudo)
        match self.kind:
            case "insert":
                yield f"SELECT {self._placed(columns)} FROM ({self._source()}) AS n"
            case "update":
                changed = (
                    f"IF({_true(self.parts['where'])}, {value}, {name}) AS {name}" for name, value in _SET.findall(self.parts["set"])
                )
                yield f"SELECT * REPLACE ({', '.join(changed)}){more} FROM {self.target}"
            case "delete":
                alias = f" AS {self.parts['alias']}" if self.parts["alias"] else ""
                yield f"SELECT *{more} FROM {self.target}{alias} WHERE NOT {_true(self.parts['where'])}"
            case "merge":
                yield from self._merged(columns)

    def _source(self) -> str:
        names = [each.strip() for each in self.parts["columns"].split(",")]
        if self.parts["source"]:
            # Columns are matched by their place.
            return self.parts["source"]
        values = self.parts["values"].split(",")
        return "SELECT " + ", ".join(f"{value} AS {name}" for name, value in zip(names, values, strict=True))

    def _placed(self, columns: Sequence[str]) -> str:
        named = {each.strip().strip("`") for each in self.parts["columns"].split(",")}
        return ", ".join(f"n.`{each}`" if each in named else "NULL" for each in columns)

    def _merged(self, columns: Sequence[str]) -> Iterator[str]:
        t, n, on = self.parts["alias"], self.parts["other"], self.parts["on"]
        source = f"(SELECT s.*, TRUE AS is_there FROM ({self.parts['source']}) AS s) AS {n}"
        sets = (f"IF({n}.is_there, {value.strip()}, {t}.{name}) AS {name}" for name, value in _SET.findall(self.parts["set"]))
        yield f"SELECT {t}.* REPLACE ({', '.join(sets)}) FROM {self.target} AS {t} LEFT JOIN {source} ON {on}"
        names = [each.strip().strip("`") for each in self.parts["columns"].split(",")]
        values = dict(zip(names, (each.strip() for each in self.parts["values"].split(",")), strict=True))
        new = ", ".join(f"{values.get(each, 'NULL')} AS `{each}`" for each in columns)
        there = f"(SELECT s.*, TRUE AS is_there FROM {self.target} AS s) AS {t}"
        yield f"SELECT {new} FROM ({self.parts['source']}) AS {n} LEFT JOIN {there} ON {on} WHERE {t}.is_there IS NULL"


def _true(condition: str | None) -> str:
    return f"COALESCE({condition or 'TRUE'}, FALSE)"


def parse_change(sql: str) -> Change | None:
    """Return what a statement changes, None if it changes no rows."""
    for kind, form in _KINDS.items():
        if found := form.fullmatch(sql):
            return Change(kind, found.groupdict())
    return None
