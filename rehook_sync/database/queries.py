"""Named queries from `sql/`, loaded strictly.

The header grammar is in `sql/README.md`. `:"name"` is an identifier, always quoted by the dialect; values are always
bound; `{word}` is a word that differs between dialects.
"""

import re
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, TextClause, bindparam, event, literal, text
from sqlalchemy import __version__ as _sqlalchemy
from sqlalchemy.engine.interfaces import Dialect

from rehook_sync.database.dialects.other import EXPANDED
from rehook_sync.database.warehouses import ANY, WAREHOUSES, WITH_ARGUMENT, warehouse_of
from rehook_sync.errors import InternalError

__all__ = [
    "Column",
    "Identifier",
    "Migration",
    "Query",
    "Selected",
    "Statements",
    "load_migrations",
    "load_queries",
    "restore_names",
    "split_statements",
    "sql_folder",
    "with_literal",
]

_TAKES_NAMES_FOR_VALUES = _sqlalchemy.startswith("2.0.")
"""SQLAlchemy before 2.1 takes a name such as `%(id)s` for a bound value, quoted or not."""
_LOOKS_BOUND = "%(", "%\x01("
"""What makes a name look like one, and what stands for it until the statement is compiled."""


@dataclass(frozen=True, slots=True)
class Selected:
    """A column in the form in which it is read. Shape:  name: dotted.  form: SQL of a warehouse's record, with `{}` in its place."""

    name: Sequence[str]
    form: str


Column = Selected | Sequence[str]
"""A dotted name, or one that is selected in a form."""
Identifier = str | Column | Sequence[Column]
"""A name, a dotted name as a sequence of names, or a list of dotted names."""

_DIALECTS = frozenset({ANY, *WAREHOUSES})
_HEADER = re.compile(r"^--\s*(\w+):\s*(.*?)\s*$")
_IDENTIFIER = re.compile(r':"(\w+)"')
_WORD = re.compile(r"\{(\w+)(?:: ([^{}]+))?\}")
_VALUE = re.compile(r"(?<![:\\\w]):(\w+)")
_AMONG = re.compile(r"\{among: :(\w+)\}")
_EACH_ROW = re.compile(r"(?<=VALUES )\(.*\)\Z", re.DOTALL)
_KEYS = frozenset({"name", "does", "dialect", "identifiers", "fragments", "words"})


@dataclass(frozen=True, slots=True)
class Query:
    """One named statement, or fragment of one, for one dialect; `any` serves all.

    Shape:  words: the dialect words that `said` has still to replace.  expanding: values that are lists, bound member by member.
            fragments: names of queries that `joined` has still to put in.
    """

    name: str
    does: str
    dialect: str
    identifiers: frozenset[str]
    words: frozenset[str]
    sql: str
    expanding: frozenset[str] = frozenset()
    fragments: frozenset[str] = frozenset()

    def said(self, words: Mapping[str, str]) -> "Query":
        """Return the query with its dialect words replaced. `words`: word -> SQL."""
        said = {**words, **{name: f"{{{name}}}" for name in self.fragments}}
        sql = _WORD.sub(lambda found: said[found.group(1)].replace("{}", found.group(2) or ""), self.sql)
        lists = _AMONG.findall(self.sql) if words.get("among") == EXPANDED else ()
        return replace(self, words=frozenset(), sql=sql, expanding=frozenset(lists))

    def joined(self, queries: Mapping[str, "Query"]) -> "Query":
        """Return the query with its fragments put in. `queries`: those of the same folder and dialect, by name."""
        if missing := [name for name in self.fragments if name not in queries or queries[name].fragments]:
            raise InternalError(f"query {self.name} has a fragment that is none: {missing[0]}")
        parts = [queries[name] for name in self.fragments]
        return replace(
            self,
            sql=_WORD.sub(lambda found: queries[found.group(1)].sql, self.sql),
            identifiers=self.identifiers.union(*(each.identifiers for each in parts)),
            expanding=self.expanding.union(*(each.expanding for each in parts)),
            fragments=frozenset(),
        )

    def text(self, dialect: Dialect, rows: int = 0, /, **identifiers: Identifier) -> TextClause:
        """Return the statement with its identifiers filled in, quoted for the dialect. `rows`: for which it has values; 0: as written."""
        if identifiers.keys() != self.identifiers:
            raise InternalError(f"query {self.name} wants the identifiers {sorted(self.identifiers)}, got {sorted(identifiers)}")
        filled = _IDENTIFIER.sub(lambda found: quote(dialect, identifiers[found.group(1)]), _repeated(self.sql, rows))
        clause = text(filled)
        types = warehouse_of(dialect.name).value_types
        typed = [bindparam(name, type_=types[name]) for name in types if name in _VALUE.findall(filled)]
        return clause.bindparams(*typed, *(bindparam(name, expanding=True) for name in self.expanding))


class Statements:
    """The queries of one folder for one dialect, each made into a statement once."""

    def __init__(self, folder: str, dialect: Dialect) -> None:
        """Load the folder's queries for the dialect."""
        self._queries = load_queries(folder, dialect.name)
        self._dialect = dialect
        self._ready: dict[str, TextClause] = {}

    def __getitem__(self, name: str) -> TextClause:
        """Return a statement without identifiers. Raises InternalError when there is no such query."""
        ready = self._ready.get(name)
        if ready is None:
            ready = self._ready[name] = self.fill(name)
        return ready

    def fill(self, name: str, rows: int = 0, /, **identifiers: Identifier) -> TextClause:
        """Return a statement with its identifiers filled in. Raises InternalError when there is no such query."""
        return self._query(name).text(self._dialect, rows, **identifiers)

    def identifiers(self, name: str) -> frozenset[str]:
        """Return the identifiers that a statement wants. Raises InternalError when there is no such query."""
        return self._query(name).identifiers

    def _query(self, name: str) -> Query:
        if name not in self._queries:
            raise InternalError(f"there is no query named {name} for {self._dialect.name}")
        return self._queries[name]


@dataclass(frozen=True, slots=True)
class Migration:
    """One step of the sync-state schema; versions count from 1 without gaps."""

    version: int
    name: str
    sql: str


def quote(dialect: Dialect, identifier: Identifier) -> str:
    """Return an identifier quoted for the dialect; a colon in it never becomes a bound value."""
    preparer = dialect.identifier_preparer
    if isinstance(identifier, Selected):
        return identifier.form.replace("{}", quote(dialect, identifier.name))
    if isinstance(identifier, str):
        quoted = preparer.quote_identifier(identifier).replace(":", "\\:")
        # Some dialects double percent signs here, and the compiler of textual statements doubles them again.
        quoted = quoted if quoted.count("%") == identifier.count("%") else quoted.replace("%%", "%")
        return quoted.replace(*_LOOKS_BOUND) if dialect.positional and _TAKES_NAMES_FOR_VALUES else quoted
    if all(isinstance(name, str) for name in identifier):
        return ".".join(quote(dialect, name) for name in identifier)
    return ", ".join(quote(dialect, name) for name in identifier)


def _repeated(sql: str, rows: int) -> str:
    """Return a statement that takes several rows value by value: `:name` of the first one becomes `:name_0`."""
    found = _EACH_ROW.search(sql)
    if found is None or not rows:
        return sql
    values = (_VALUE.sub(rf":\1_{n}", found[0]) for n in range(rows))
    return sql[: found.start()] + ",\n".join(values)


def restore_names(engine: Engine) -> None:
    """Give names that `quote` had to disguise their own form, right before a statement is executed."""
    if not (engine.dialect.positional and _TAKES_NAMES_FOR_VALUES):
        return

    @event.listens_for(engine, "before_cursor_execute", retval=True)
    def executing(*given: Any) -> tuple[str, object]:  # noqa: ANN401 - as SQLAlchemy has it
        _connection, _cursor, statement, values, *_more = given
        return statement.replace(*reversed(_LOOKS_BOUND)), values


def sql_folder() -> Traversable:
    """Return the folder of SQL files: inside the package in a wheel, beside it in a checkout."""
    inside = files("rehook_sync") / "sql"
    if inside.is_dir():
        return inside
    beside = Path(__file__).resolve().parents[2] / "sql"
    if beside.is_dir():
        return beside
    raise InternalError("the sql/ folder is missing from this installation; install rehook-sync again")


@cache
def load_queries(folder: str, dialect: str) -> Mapping[str, Query]:
    """Return the queries of one folder of `sql/` by name; a dialect's own version goes before the general one.

    Queries with a word that the dialect lacks are left out.
    """
    wanted, words = warehouse_of(dialect).name, warehouse_of(dialect).words
    found: dict[tuple[str, str], Query] = {}
    for file in sorted((sql_folder() / folder).iterdir(), key=lambda each: each.name):
        if file.name.endswith(".sql"):
            for query in parse_queries(file.read_text(encoding="utf-8"), f"{folder}/{file.name}", {ANY, wanted}):
                if (query.name, query.dialect) in found:
                    raise InternalError(f"sql/{folder}/{file.name}: query {query.name} [{query.dialect}] is defined twice")
                found[query.name, query.dialect] = query
    chosen = {name: query for (name, own), query in sorted(found.items()) if own == wanted or (own == ANY and (name, wanted) not in found)}
    said = {name: query.said(words) for name, query in chosen.items() if query.words <= words.keys()}
    return {name: query.joined(said) if query.fragments else query for name, query in said.items()}


def parse_queries(content: str, where: str, dialects: Container[str] = _DIALECTS) -> Iterable[Query]:
    """Yield the queries of one file, those of some dialects. Raises InternalError for whatever the header grammar does not allow."""
    header: dict[str, str] = {}
    body: list[str] = []
    for line in content.splitlines():
        match = _HEADER.match(line)
        if match and match.group(1) in _KEYS:
            key, value = match.groups()
            if key == "name" and header:
                yield from _queries(header, body, where, dialects)
                header, body = {}, []
            if key in header or (key != "name" and not header) or any(each.strip() for each in body):
                raise InternalError(f"sql/{where}: header line {line!r} is out of place")
            header[key] = value
        elif not line.lstrip().startswith("--"):
            if line.strip() and not header:
                raise InternalError(f"sql/{where}: a statement stands before the first '-- name:'")
            body.append(line)
    if header:
        yield from _queries(header, body, where, dialects)


def _queries(header: Mapping[str, str], body: Sequence[str], where: str, dialects: Container[str]) -> Iterable[Query]:
    """Yield a query once for each of its dialects that are asked for."""
    own = _names(header["dialect"]) if "dialect" in header else frozenset({ANY})
    for dialect in sorted(own):
        if dialect in dialects or dialect not in _DIALECTS:
            yield _query(header, body, where, dialect)


def _query(header: Mapping[str, str], body: Sequence[str], where: str, dialect: str) -> Query:
    sql = "\n".join(body).strip().rstrip(";")
    if not sql or not header.get("does") or dialect not in _DIALECTS:
        raise InternalError(f"sql/{where}: query {header['name']} lacks a statement, a '-- does:' or a known dialect")
    identifiers, words, fragments = (_names(header.get(key, "")) for key in ("identifiers", "words", "fragments"))
    if identifiers != frozenset(_IDENTIFIER.findall(sql)):
        raise InternalError(f"sql/{where}: query {header['name']} declares other identifiers than it uses")
    used = dict(_WORD.findall(sql))
    if words & fragments or words | fragments != used.keys() or any(used[name] for name in fragments):
        raise InternalError(f"sql/{where}: query {header['name']} declares other words or fragments than it uses")
    known = [each.words.keys() for each in WAREHOUSES.values() if dialect in (each.name, ANY)]
    if not words <= frozenset().union(*known) or any(bool(argument) != (word in WITH_ARGUMENT) for word, argument in _WORD.findall(sql)):
        raise InternalError(f"sql/{where}: query {header['name']} has a word that no dialect knows, or one without its argument")
    if set("{}") & set(_WORD.sub("", sql)):
        raise InternalError(f"sql/{where}: query {header['name']} has a brace that belongs to no word")
    return Query(header["name"], header["does"], dialect, identifiers, words, sql, fragments=fragments)


def _names(line: str) -> frozenset[str]:
    return frozenset(filter(None, re.split(r"[,\s]+", line)))


def load_migrations(dialect: str) -> tuple[Migration, ...]:
    """Return the migrations of a dialect in order. Raises InternalError when a version is missing."""
    found = []
    for file in (sql_folder() / "migrations").iterdir():
        match = re.fullmatch(rf"(\d{{4}})_(\w+)\.{dialect}\.sql", file.name)
        if match:
            found.append(Migration(int(match.group(1)), match.group(2), file.read_text(encoding="utf-8")))
    found.sort(key=lambda each: each.version)
    if [each.version for each in found] != list(range(1, len(found) + 1)):
        raise InternalError(f"sql/migrations: the versions for {dialect} have a gap")
    return tuple(found)


def with_literal(statement: str, name: str, value: str, dialect: Dialect) -> str:
    """Return a statement with a text in the place of `:'name'`, quoted for the dialect: where a value cannot be bound, as in DEFAULT."""
    written = str(literal(value).compile(dialect=dialect, compile_kwargs={"literal_binds": True}))
    return statement.replace(f":'{name}'", written)


def split_statements(script: str) -> list[str]:
    """Split a script into its statements. A semicolon at the end of a line ends one; comments are left out."""
    lines = [line for line in script.splitlines() if not line.lstrip().startswith("--")]
    return [each.strip() for each in re.split(r";[ \t]*(?:\n|$)", "\n".join(lines)) if each.strip()]
