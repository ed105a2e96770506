"""Spark as a SQL warehouse of Databricks: sessions, statements with parameters, and the lists of Unity Catalog."""

import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import date, datetime
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
_LISTS = re.compile(r"(?:`?\w+`?\.)?`?information_schema`?\.(tables|columns)\b", re.IGNORECASE)
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
        if _LISTS.search(statement):
            self._list(values.get("schema"))
            statement = _LISTS.sub(lambda found: f"information_schema_{found[1].lower()}", statement)
        frame = self._spark.sql(statement, args={name: F.lit(value) for name, value in values.items()} or None)
        return _as_arrow(frame, native=native), frame.schema

    def _list(self, schema: object) -> None:
        """Make views of what Unity Catalog lists. Columns are those of one schema."""
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


def _literal(value: object) -> str:
    if isinstance(value, str):
        escaped = value.replace("\\", "\\\\").replace("'", "\\'")
        return f"'{escaped}'"
    return "NULL" if value is None else str(value)


def _declared(field: T.StructField) -> str:
    """Return the type of a column as it was declared; Spark keeps `char(n)` aside."""
    return str(field.metadata.get("__CHAR_VARCHAR_TYPE_STRING") or field.dataType.simpleString())


def _value(parameter: Any) -> object:
    text, kind = parameter.value and parameter.value.stringValue, parameter.type
    if text is None or kind == "VOID":
        return None
    readers: Mapping[str, Any] = {
        "STRING": str,
        "INT": int,
        "BIGINT": int,
        "BOOLEAN": lambda each: each.lower() == "true",
        "DOUBLE": float,
        "DATE": date.fromisoformat,
        "TIMESTAMP": datetime.fromisoformat,
    }
    return Decimal(text) if kind.startswith("DECIMAL") else readers[kind](text)


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
