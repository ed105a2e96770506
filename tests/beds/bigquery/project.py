"""A Google Cloud project with datasets: tables and views, and statements over them as BigQuery resolves their names."""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from zetasql.wasi._pb2.zetasql.local_service import local_service_pb2 as service

from beds.bigquery.changes import Change, parse_change
from beds.bigquery.engine import GoogleSql, GoogleSqlError
from beds.bigquery.types import Type, from_value, parse_type, to_value, type_text

__all__ = ["Answer", "DeniedError", "Project", "Table"]

Parameters = Mapping[str, tuple[str, object]]
_TABLES = {"table_catalog": "STRING", "table_schema": "STRING", "table_name": "STRING", "table_type": "STRING", "ddl": "STRING"}
_COLUMNS = {
    **dict.fromkeys(("table_catalog", "table_schema", "table_name", "column_name"), "STRING"),
    "ordinal_position": "INT64",
    **dict.fromkeys(("is_nullable", "data_type", "is_partitioning_column", "is_system_defined", "is_hidden"), "STRING"),
}
_CELL_BYTES = 8


class DeniedError(Exception):
    """The user may not do this."""


@dataclass
class Table:
    """A table or a view.

    Shape:  columns: name -> type, as declared.  partitioned_by: a column; or `_PARTITIONTIME`, which is then the last value of each row.
            required: columns that are never NULL.
            sql: of a view; it has no rows of its own.  denied: whether the user may not read its rows.
    """

    columns: dict[str, str]
    rows: list[tuple[Any, ...]] = field(default_factory=list)
    partitioned_by: str | None = None
    sql: str | None = None
    denied: bool = False
    required: frozenset[str] = frozenset()

    @property
    def pseudo(self) -> Mapping[str, str]:
        """Return the columns that `*` leaves out."""
        return {"_PARTITIONTIME": "TIMESTAMP"} if self.partitioned_by == "_PARTITIONTIME" else {}

    @property
    def types(self) -> dict[str, Type]:
        """Return the types of all columns."""
        return {name: parse_type(kind) for name, kind in {**self.columns, **self.pseudo}.items()}


@dataclass(frozen=True)
class Answer:
    """What a statement gives. Shape:  columns: name and type of each.  scanned: bytes of the columns that it reads, 8 for each value."""

    columns: Sequence[tuple[str, Type]] = ()
    rows: Sequence[tuple[Any, ...]] = ()
    scanned: int = 0


@dataclass(frozen=True)
class _Scan:
    """A table that a statement reads. Shape:  start, end: bytes of the statement between which its name stands, or nothing."""

    dataset: str
    name: str
    alias: str
    columns: int
    start: int
    end: int


class Project:
    """Datasets and their tables. Names are `dataset.table`, `project.dataset.table`, in parts or all in one pair of backquotes."""

    def __init__(self, engine: GoogleSql, name: str) -> None:
        """Make an empty project."""
        self.name = name
        self.datasets: dict[str, dict[str, Table]] = {}
        self._engine = engine
        self._kept: dict[str | None, tuple[object, int]] = {}
        self._changes = 0

    def run(self, sql: str, parameters: Parameters | None = None, *, dataset: str | None = None, dry: bool = False) -> Answer:
        """Run a statement; `dry`: only say what it would give and scan.

        Raises: GoogleSqlError for what GoogleSQL refuses, DeniedError for a table that the user may not read.
        """
        sql, parameters = sql.strip().rstrip(";"), parameters or {}
        if (change := parse_change(sql)) and change.is_loose:
            return self._change_rows(change, parameters, dataset)
        request = service.AnalyzeRequest(sql_statement=sql, registered_catalog_id=self._catalog(dataset))
        self._fill_options(request, parameters)
        statement = self._engine.analyze(request).resolved_statement
        if change is not None:
            return Answer() if dry else self._change_rows(change, parameters, dataset)
        which = statement.WhichOneof("node")
        if which != "resolved_query_stmt_node":
            return self._define(sql, statement, dataset)
        scans = list(_scans(statement, self.name))
        if any(self._is_denied(each) for each in scans):
            raise DeniedError(
                f"Access Denied: Table {self.name}:{scans[0].dataset}.{scans[0].name}: User does not have permission to query it"
            )
        for each in scans:
            if (view := self.table(each.dataset, each.name).sql) is not None:
                self.run(view, dataset=each.dataset, dry=True)
        scanned = sum(_CELL_BYTES * each.columns * len(self.table(each.dataset, each.name).rows) for each in scans)
        columns = statement.resolved_query_stmt_node.output_column_list
        if dry:
            return Answer([(each.name, each.column.type) for each in columns], (), scanned)
        return self._evaluate(sql, parameters, dataset, scans, scanned)

    def _evaluate(self, sql: str, parameters: Parameters, dataset: str | None, scans: Sequence[_Scan], scanned: int) -> Answer:
        request = service.EvaluateQueryRequest(sql=self._named(sql, scans), registered_catalog_id=self._catalog(dataset))
        self._fill_options(request, parameters)
        for name, (kind, value) in parameters.items():
            request.params.add(name=name, value=to_value(value, parse_type(kind)))
        found = self._engine.evaluate(request)
        columns = [(each.name, each.type) for each in found.prepared.columns]
        rows = [
            tuple(from_value(cell, kind) for cell, (_, kind) in zip(row.cell, columns, strict=True)) for row in found.content.table_data.row
        ]
        return Answer(columns, rows, scanned)

    def _named(self, sql: str, scans: Sequence[_Scan]) -> str:
        """Return a query with tables by the one name by which the engine has their rows, and with views written out."""
        content = sql.encode()
        for each in sorted({scan for scan in scans if scan.end}, key=lambda scan: -scan.start):
            alias = "" if each.alias else f" AS `{each.name.rpartition('.')[2]}`"
            name = f"`{self.name}.{each.dataset}.{each.name}`"
            if (view := self.table(each.dataset, each.name).sql) is not None:
                request = service.AnalyzeRequest(sql_statement=view, registered_catalog_id=self._catalog(each.dataset))
                self._fill_options(request, {})
                name = f"({self._named(view, list(_scans(self._engine.analyze(request).resolved_statement, self.name)))})"
            content = content[: each.start] + f"{name}{alias}".encode() + content[each.end :]
        return content.decode()

    def table(self, dataset: str, name: str) -> Table:
        """Return a table, also one of INFORMATION_SCHEMA."""
        return self._information_schema(dataset)[name] if name.startswith("INFORMATION_SCHEMA.") else self.datasets[dataset][name]

    def _is_denied(self, scan: _Scan) -> bool:
        return self.table(scan.dataset, scan.name).denied

    def _fill_options(self, request: Any, parameters: Parameters) -> None:
        request.options.CopyFrom(self._engine.options)
        for name, (kind, _) in parameters.items():
            request.options.query_parameters.add(name=name, type=parse_type(kind))

    def _information_schema(self, dataset: str) -> dict[str, Table]:
        tables = self.datasets[dataset]
        listed = [(self.name, dataset, name, "BASE TABLE" if table.sql is None else "VIEW", table.sql) for name, table in tables.items()]
        columns = [row for name, table in tables.items() for row in _columns_of(self.name, dataset, name, table)]
        return {"INFORMATION_SCHEMA.TABLES": Table(_TABLES, listed), "INFORMATION_SCHEMA.COLUMNS": Table(_COLUMNS, columns)}

    def _catalog(self, default: str | None) -> int:
        """Return the engine's catalogue of what there is now, with the rows. `default`: the dataset of bare names.

        To make one takes longer than most statements, so it is kept until a table is another.
        """
        now = self._fingerprint()
        kept, catalog = self._kept.get(default, (None, 0))
        if kept != now:
            new = self._engine.register(self._described(default))
            if kept is not None:
                self._engine.forget(catalog)
            self._kept[default] = _, catalog = now, new
        return catalog

    def _fingerprint(self) -> object:
        return self._changes, [
            (dataset, name, [*table.columns.items()], id(table.rows), len(table.rows), table.sql, table.partitioned_by)
            for dataset, tables in self.datasets.items()
            for name, table in tables.items()
        ]

    def _described(self, default: str | None) -> Any:
        """Return a catalogue. Views have no rows in it: what they show is read by their own statements."""
        request = service.RegisterCatalogRequest()
        catalog = request.simple_catalog
        catalog.name = "bigquery"
        catalog.builtin_function_options.language_options.CopyFrom(self._engine.options.language_options)
        own = catalog.catalog.add(name=self.name)
        for dataset, tables in self.datasets.items():
            views = self._information_schema(dataset)
            for parent in (catalog, own):
                holder = parent.catalog.add(name=dataset)
                for name, table in tables.items():
                    self._add(holder, dataset, name, name, table)
                described = holder.catalog.add(name="INFORMATION_SCHEMA")
                for name, table in views.items():
                    self._add(described, dataset, name, name.partition(".")[2], table)
            for name, table in {**tables, **views}.items():
                for whole in (f"{self.name}.{dataset}.{name}", f"{dataset}.{name}", *([name] if dataset == default else [])):
                    self._add(catalog, dataset, name, whole, table)
                self._add_rows(request, dataset, name, table)
        return request

    def _add_rows(self, request: Any, dataset: str, name: str, table: Table) -> None:
        data = request.table_content[f"{self.name}.{dataset}.{name}"].table_data
        data.SetInParent()
        types = list(table.types.values())
        for values in table.rows:
            data.row.add(cell=[to_value(value, kind) for value, kind in zip(values, types, strict=True)])

    def _add(self, holder: Any, dataset: str, name: str, alias: str, table: Table) -> None:
        described = holder.table.add(name=f"{self.name}.{dataset}.{name}", name_in_catalog=alias)
        for column, kind in table.types.items():
            described.column.add(name=column, type=kind, is_pseudo_column=column in table.pseudo)

    def _look_at_views(self, dataset: str) -> None:
        """Let views have the columns that their tables have by now."""
        for view in self.datasets[dataset].values():
            if view.sql is not None:
                with suppress(GoogleSqlError):
                    view.columns = {name: type_text(kind) for name, kind in self.run(view.sql, dataset=dataset, dry=True).columns}

    def _define(self, sql: str, statement: Any, dataset: str | None) -> Answer:
        """Carry out a CREATE, ALTER or DROP."""
        [node] = [each for each in _nodes(statement) if each.DESCRIPTOR.name in _DEFINITIONS]
        path = ".".join(_name_path(node)).removeprefix(f"{self.name}.").split(".")
        if node.DESCRIPTOR.name == _SCHEMA or getattr(node, "object_type", "") == "SCHEMA":
            return self._define_dataset(path[-1], sql, is_new=node.DESCRIPTOR.name == _SCHEMA)
        dataset, name = path[0] if len(path) > 1 else str(dataset), path[-1]
        tables = self.datasets[dataset]
        kind = node.DESCRIPTOR.name
        self._changes += 1
        if kind == "ResolvedCreateTableStmtProto":
            columns = node.parent.column_definition_list
            required = frozenset(each.name for each in columns if each.annotations.not_null)
            day = re.search(r"PARTITION BY TIMESTAMP_TRUNC\((\w+), DAY\)", sql)
            made = Table({each.name: type_text(each.type) for each in columns}, partitioned_by=day and day[1], required=required)
            tables[name] = tables[name] if name in tables and " IF NOT EXISTS " in sql else made
        elif kind == "ResolvedCreateViewStmtProto":
            columns = {each.name: type_text(each.column.type) for each in node.parent.output_column_list}
            tables[name] = Table(columns, sql=re.split(r"\sAS\s", sql, maxsplit=1, flags=re.IGNORECASE)[1])
        elif kind == "ResolvedDropStmtProto" and " IF EXISTS " in sql:
            tables.pop(name, None)
        elif kind == "ResolvedDropStmtProto":
            del tables[name]
        else:
            for action in node.parent.alter_action_list:
                _alter(tables, name, action)
        if kind != "ResolvedCreateViewStmtProto":
            self._look_at_views(dataset)
        return Answer()

    def _define_dataset(self, name: str, sql: str, *, is_new: bool) -> Answer:
        """Make a dataset, or drop it with all that is in it."""
        if (name in self.datasets) == is_new and " EXISTS " not in sql:
            raise GoogleSqlError(f"Already Exists: Dataset {name}" if is_new else f"Not found: Dataset {name}")
        if is_new:
            self.datasets.setdefault(name, {})
        elif self.datasets.get(name) and not sql.rstrip().endswith("CASCADE"):
            raise GoogleSqlError(f"Dataset {name} is still in use")
        else:
            self.datasets.pop(name, None)
        self._changes += 1
        return Answer()

    def _change_rows(self, change: Change, parameters: Parameters, dataset: str | None) -> Answer:
        """Carry out an INSERT, UPDATE, DELETE, MERGE or TRUNCATE, by the queries that give what the table has afterwards."""
        path = change.target.replace("`", "").removeprefix(f"{self.name}.").split(".")
        table = self.datasets[path[0] if len(path) > 1 else str(dataset)][path[-1]]
        found = [self.run(query, parameters, dataset=dataset).rows for query in change.queries(list(table.columns), list(table.pseudo))]
        rows = [row for each in found for row in each]
        if change.keeps_rows and len(found[0]) > len(table.rows):
            raise GoogleSqlError("UPDATE/MERGE must match at most one source row for each target row")
        names = list(table.types)
        if empty := [names[at] for row in rows for at, value in enumerate(row) if value is None and names[at] in table.required]:
            raise GoogleSqlError(f"Required field {empty[0]} cannot be null")
        table.rows = [*(table.rows if change.adds_rows else ()), *rows]
        self._changes += 1
        return Answer()


def _columns_of(project: str, dataset: str, name: str, table: Table) -> Iterator[tuple[Any, ...]]:
    for at, (column, kind) in enumerate({**table.columns, **table.pseudo}.items()):
        own = column in table.pseudo
        by = "YES" if column == table.partitioned_by else "NO"
        yield project, dataset, name, column, None if own else at + 1, "YES", kind, by, *("YES" if own else "NO" for _ in range(2))


def _alter(tables: dict[str, Table], name: str, action: Any) -> None:
    [(_, change)] = action.ListFields()
    while "parent" in change.DESCRIPTOR.fields_by_name and change.DESCRIPTOR.name not in _ACTIONS:
        [(_, change)] = change.ListFields()
    table = tables[name]
    if change.DESCRIPTOR.name == "ResolvedDropColumnActionProto":
        at = list(table.columns).index(change.name)
        del table.columns[change.name]
        table.rows = [(*row[:at], *row[at + 1 :]) for row in table.rows]
    elif change.DESCRIPTOR.name == "ResolvedAddColumnActionProto":
        at = len(table.columns)
        table.columns[change.column_definition.name] = type_text(change.column_definition.type)
        table.rows = [(*row[:at], None, *row[at:]) for row in table.rows]
    else:
        tables[change.new_path[-1]] = tables.pop(name)


_ACTIONS = ("ResolvedDropColumnActionProto", "ResolvedAddColumnActionProto", "ResolvedRenameToActionProto")
_SCHEMA = "ResolvedCreateSchemaStmtProto"
_DEFINITIONS = (
    _SCHEMA,
    "ResolvedCreateTableStmtProto",
    "ResolvedCreateViewStmtProto",
    "ResolvedDropStmtProto",
    "ResolvedAlterTableStmtProto",
)


def _nodes(message: Any) -> Iterator[Any]:
    """Yield all messages in a message."""
    yield message
    for of, value in message.ListFields():
        if of.type == of.TYPE_MESSAGE:
            for each in value if of.is_repeated else [value]:
                yield from _nodes(each)


def _name_path(node: Any) -> Sequence[str]:
    while not (path := getattr(node, "name_path", ())):
        node = node.parent
    return list(path)


def _scans(statement: Any, project: str) -> Iterator[_Scan]:
    for node in _nodes(statement):
        if node.DESCRIPTOR.name == "ResolvedTableScanProto":
            dataset, _, name = str(node.table.name).removeprefix(f"{project}.").partition(".")
            place = node.parent.parent.parse_location_range
            yield _Scan(dataset, name, node.alias, len(node.parent.column_list), place.start, place.end)
