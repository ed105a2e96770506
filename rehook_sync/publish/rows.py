"""How rows come into the copy, and out of it: by the way of its database."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy import Connection

from rehook_sync.database.dialects.record import Warehouse
from rehook_sync.publish.statements import CopyStatements
from rehook_sync.publish.tables import Copied
from rehook_sync.times import FIRST_MOMENT, LAST_MOMENT
from rehook_sync.values import storable_json, storable_text

__all__ = ["Batch", "write_batch"]

Row = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Batch:
    """Rows of one table that are written as a whole.

    Shape:  gone: keys of rows that are to be there no more.
            is_new: whether no row with these keys can be there.  is_moved: whether one may be there with another `table.day`.
    """

    table: Copied
    rows: Sequence[Row]
    gone: Sequence[Mapping[str, str]] = ()
    is_new: bool = False
    is_moved: bool = False

    def parts(self, most_bytes: int) -> Iterator["Batch"]:
        """Yield the batch in parts that are no longer than this as JSON, but for single rows that are."""
        if len(self.rows) <= 1 or _size(_to_json(self.rows)) <= most_bytes:
            yield self
            return
        half = len(self.rows) // 2
        yield from replace(self, rows=self.rows[:half]).parts(most_bytes)
        yield from replace(self, rows=self.rows[half:], gone=()).parts(most_bytes)

    def span(self) -> tuple[datetime, datetime]:
        """Return the times between which the table's days have all rows with these keys."""
        if self.is_moved or not self.table.day:
            return FIRST_MOMENT, LAST_MOMENT
        days = [str(row[self.table.day]) for row in self.rows]
        return datetime.fromisoformat(min(days)), datetime.fromisoformat(max(days))


def _size(text: str) -> int:
    """Return about the bytes of a text in a request whose JSON is written in ASCII."""
    return len(text) if text.isascii() else len(text.encode("unicode_escape"))


def _to_json(rows: Sequence[Row]) -> str:
    """Return rows as JSON without what is NULL: not every database reads the null of JSON as NULL."""
    return storable_json([{name: value for name, value in row.items() if value is not None} for row in rows])


def write_batch(connection: Connection, warehouse: Warehouse, sql: CopyStatements, batch: Batch, turn: Row) -> None:
    """Write a batch. `turn`: the values by which a statement may look whether another publication has begun."""
    if warehouse.staged_rows:
        _write_staged(connection, warehouse.staged_rows, sql, batch)
        return
    table, gone = batch.table, list(batch.gone)
    if not (warehouse.replaces_rows or batch.is_new):
        gone += [table.key(each) for each in batch.rows]
    if gone:
        connection.execute(sql.on(table.remove, table), {"rows": storable_json(gone), **turn})
    if batch.rows:
        low, high = batch.span()
        put = table.add if batch.is_new and warehouse.adds_rows else table.put
        connection.execute(sql.on(put, table), {"rows": _to_json(batch.rows), "low": low, "high": high, **turn})


def _write_staged(connection: Connection, most: int, sql: CopyStatements, batch: Batch) -> None:
    """Write a batch over a table of the session."""
    table = batch.table
    keys = [{column: each[member] for member, column in table.keys.items()} for each in batch.gone]
    for rows, puts in ((keys, False), (batch.rows, True)):
        if not rows:
            continue
        connection.execute(sql.on("make_staged", table))
        for start in range(0, len(rows), most):
            some = rows[start : start + most]
            values = {f"{name}_{n}": _value(name, row.get(name)) for n, row in enumerate(some) for name in table.columns}
            connection.execute(sql.on(table.stage, table, len(some)), values)
        if not (puts and batch.is_new):
            connection.execute(sql.on(table.remove, table))
        if puts:
            connection.execute(sql.on(table.put, table))
        connection.execute(sql.on("drop_staged", table))


def _value(name: str, value: object) -> object:
    """Return a value as a driver takes it: times as times."""
    if not isinstance(value, str):
        return value
    return datetime.fromisoformat(value) if name.endswith("_at") else storable_text(value)
