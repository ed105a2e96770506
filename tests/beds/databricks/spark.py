"""Spark as a SQL warehouse of Databricks: sessions, statements with parameters, and the lists of Unity Catalog."""

import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F  # noqa: N812
from pyspark.sql import types as T  # noqa: N812

__all__ = ["MOST_PARAMETERS", "RefusedError", "Session", "start"]

MOST_PARAMETERS = 256
CATALOG = "spark_catalog"
_LISTS = re.compile(r"(?:`?\w+`?\.)?`?information_schema`?\.(schemata|tables|columns)\b", re.IGNORECASE)
_DELETE = re.compile(r"DELETE FROM (\S+) WHERE (.+)")
_UPDATE = re.compile(r"UPDATE (\S+) SET (.+?)(?: WHERE (.+))?")
_MERGE = re.compile(r"MERGE INTO (\S+) AS t USING \((.+)\) AS n ON (.+?) WHEN MATCHED THEN (?:DELETE|UPDATE SET (.+?) WHEN NOT MATCHED .+)")
_OF_DELTA = re.compile(r"(CREATE TABLE IF NOT EXISTS .+),\s*PRIMARY KEY \([\w, ]+\) NOT ENFORCED\s*\)(?:\s*CLUSTER BY \(\w+\))?", re.DOTALL)
_DROP = re.compile(r"ALTER TABLE (\S+) DROP COLUMN (\S+)")
"""What tables of Delta can and those of Parquet cannot."""
_NESTED = (T.ArrayType, T.MapType, T.StructType)
_TABLES = ("table_catalog", "table_schema", "table_name", "table_type")
_COLUMNS = (*_TABLES[:3], "column_name", "full_data_type", "ordinal_position")
_QUICK = {
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
    "spark.log.level": "OFF",
    "spark.driver.memory": "1g",
    "spark.driver.extraJavaOptions": "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC",
    "spark.sql.shuffle.partitions": "1",
    "spark.sql.leafNodeDefaultParallelism": "1",
    "spark.sql.adaptive.enabled": "false",
    "spark.sql.filesourceTableRelationCacheSize": "0",  # each session would go on with the files that it has seen
    "spark.sql.codegen.wholeStage": "false",
    "spark.sql.codegen.factoryMode": "NO_CODEGEN",
    "spark.hadoop.mapreduce.fileoutputcommitter.algorithm.version": "2",
    "spark.hadoop.mapreduce.fileoutputcommitter.marksuccessfuljobs": "false",
}
"""Its compilers take longer than the small statements of tests."""


class RefusedError(Exception):
    """A statement that the service itself refuses."""


def start(folder: Path, zone: str) -> SparkSession:
    """Return a Spark with one thread. `zone`: of sessions that set none."""
    builder = SparkSession.builder.master("local[1]").appName("bed")
    own = {"spark.sql.ansi.enabled": "true", "spark.sql.session.timeZone": zone, "spark.sql.warehouse.dir": str(folder / "tables")}
    for name, value in (_QUICK | own).items():
        builder = builder.config(name, value)
    return builder.getOrCreate()


class Session:
    """A session of a client. Shape:  native: whether lists and structs go out as Arrow has them, or as text."""

    def __init__(self, spark: SparkSession, schema: str | None) -> None:
        """Begin in a schema."""
        self._spark = spark.newSession()
        if schema:
            self._spark.sql(f"USE `{schema}`")

    def execute(self, statement: str, parameters: Sequence[Any], *, native: bool) -> tuple[pa.Table, T.StructType]:
        """Return the result of a statement, and its types. Raises: RefusedError, and what Spark raises."""
        if len(parameters) > MOST_PARAMETERS:
            raise RefusedError(f"[TOO_MANY_PARAMETERS] {len(parameters)} parameters were given but the limit is {MOST_PARAMETERS}.")
        values = {each.name: _value(each) for each in parameters}
        if self._rewrite(statement, values):
            statement = "SELECT 1"
        elif found := _OF_DELTA.fullmatch(statement):
            self._parse(statement)
            statement = f"{found[1]})"
        if _LISTS.search(statement):
            named = {each.name: each.value and each.value.stringValue for each in parameters}
            self._list(named.get("schema"))
            statement = _LISTS.sub(lambda found: f"information_schema_{found[1].lower()}", statement)
        frame = self._spark.sql(statement, args=dict(values) or None)
        return _as_arrow(frame, native=native), frame.schema

    def _rewrite(self, statement: str, values: Mapping[str, Any]) -> bool:
        """Change a table by writing it anew, if the statement is one that takes Delta. Spark's parser has a look at it first."""
        plain = " ".join(statement.split())
        if found := _DROP.fullmatch(plain):
            self._spark.table(found[1]).drop(found[2]).write.saveAsTable("rewritten")
            self._spark.sql(f"DROP TABLE {found[1]}")
            self._spark.sql(f"ALTER TABLE rewritten RENAME TO {found[1]}")
            return True
        if found := _DELETE.fullmatch(plain):
            asked = f"SELECT * FROM {found[1]} WHERE NOT COALESCE({found[2]}, false)"
        elif found := _UPDATE.fullmatch(plain):
            asked = self._updated(found[1], _changes(found[2]), found[3] or "true")
        elif found := _MERGE.fullmatch(plain):
            asked = self._merged(found[1], found[2], found[3], _changes(found[4]) if found[4] else None)
        else:
            return False
        self._parse(statement)
        used = {name: value for name, value in values.items() if f":`{name}`" in asked}
        # The rows are put aside, as no table is overwritten with what is read from it.
        self._spark.sql(asked, args=used or None).localCheckpoint().write.insertInto(found[1], overwrite=True)
        return True

    def _updated(self, table: str, changes: Mapping[str, str], condition: str) -> str:
        columns = self._spark.table(table).columns
        shown = [f"CASE WHEN {condition} THEN {changes[each]} ELSE {each} END AS {each}" if each in changes else each for each in columns]
        return f"SELECT {', '.join(shown)} FROM {table}"

    def _merged(self, table: str, source: str, condition: str, changes: Mapping[str, str] | None) -> str:
        """Return the rows of a table after a MERGE. `changes`: of rows that match; None: they are removed. Others get all columns."""
        kept = f"SELECT t.* FROM {table} AS t LEFT ANTI JOIN ({source}) AS n ON {condition}"
        if changes is None:
            return kept
        columns = self._spark.table(table).columns
        changed = ", ".join(f"{changes.get(each, f't.{each}')} AS {each}" for each in columns)
        added = ", ".join(f"n.{each}" for each in columns)
        return (
            f"{kept} UNION ALL SELECT {changed} FROM {table} AS t JOIN ({source}) AS n ON {condition}"
            f" UNION ALL SELECT {added} FROM ({source}) AS n LEFT ANTI JOIN {table} AS t ON {condition}"
        )

    def _parse(self, statement: str) -> None:
        """Raise what Spark's parser says of a statement that its tables cannot carry out."""
        self._spark._jsparkSession.sessionState().sqlParser().parsePlan(statement)

    def _list(self, schema: object) -> None:
        """Make views of what Unity Catalog lists. Columns are those of one schema."""
        databases = [(CATALOG, each.name) for each in self._spark.catalog.listDatabases()]
        self._show("information_schema_schemata", ("catalog_name", "schema_name"), databases)
        wanted = str(schema or self._spark.catalog.currentDatabase()).lower()
        tables, columns = [], []
        for database in self._spark.catalog.listDatabases():
            for table in self._spark.catalog.listTables(database.name):
                if table.isTemporary:
                    continue
                kind = "VIEW" if table.tableType == "VIEW" else "MANAGED"
                tables.append((CATALOG, database.name, table.name, kind))
                if database.name != wanted:
                    continue
                with suppress(Exception):  # a view whose table is gone is listed, but has no columns
                    fields = self._spark.table(f"`{database.name}`.`{table.name}`").schema.fields
                    columns += [(CATALOG, database.name, table.name, each.name, _declared(each), n) for n, each in enumerate(fields, 1)]
        self._show("information_schema_tables", _TABLES, tables)
        self._show("information_schema_columns", _COLUMNS, columns)

    def _show(self, name: str, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
        """Make a view of some rows."""
        listed = ", ".join(f"({', '.join(map(_literal, row))})" for row in rows or [[None] * len(columns)])
        self._spark.sql(f"CREATE OR REPLACE TEMPORARY VIEW {name} AS SELECT * FROM VALUES {listed} AS t({', '.join(columns)})")


def _changes(text: str) -> dict[str, str]:
    """Return what an UPDATE sets: column -> value."""
    return {name.strip("`"): value for name, _, value in (each.partition(" = ") for each in text.split(", "))}


def _literal(value: object) -> str:
    if isinstance(value, str):
        escaped = value.replace("\\", "\\\\").replace("'", "\\'")
        return f"'{escaped}'"
    return "NULL" if value is None else str(value)


def _declared(field: T.StructField) -> str:
    """Return the type of a column as it was declared; Spark keeps `char(n)` aside."""
    return str(field.metadata.get("__CHAR_VARCHAR_TYPE_STRING") or field.dataType.simpleString())


def _value(parameter: Any) -> Any:
    text, kind = parameter.value and parameter.value.stringValue, parameter.type
    if text is None or kind == "VOID":
        return F.lit(None)
    if kind in {"TIMESTAMP", "DATE"}:  # Python's would go by another calendar before 1582
        return F.expr(f"{kind}'{text}'")
    readers: Mapping[str, Any] = {
        "STRING": str,
        "INT": int,
        "BIGINT": int,
        "BOOLEAN": lambda each: each.lower() == "true",
        "DOUBLE": float,
    }
    return F.lit(Decimal(text) if kind.startswith("DECIMAL") else readers[kind](text))


def _as_arrow(frame: DataFrame, *, native: bool) -> pa.Table:
    fields = frame.schema.fields
    if not fields:
        return pa.table({})
    variants = [n for n, each in enumerate(fields) if isinstance(each.dataType, T.VariantType)]
    texts = [n for n, each in enumerate(fields) if isinstance(each.dataType, _NESTED) and not native]
    spans = [n for n, each in enumerate(fields) if isinstance(each.dataType, T.DayTimeIntervalType | T.YearMonthIntervalType)]
    if variants or texts or spans:
        named = frame.toDF(*(f"c{n}" for n in range(len(fields))))
        shown = {**dict.fromkeys((*variants, *texts), F.to_json), **dict.fromkeys(spans, lambda each: each.cast("string"))}
        frame = named.select(*(shown.get(n, lambda each: each)(F.col(f"c{n}")).alias(each.name) for n, each in enumerate(fields)))
    table = frame.toArrow()
    schema = table.schema
    for n in variants:
        schema = schema.set(n, schema.field(n).with_metadata({"Spark:DataType:SqlName": "VARIANT"}))
    return table.cast(schema) if variants else table
