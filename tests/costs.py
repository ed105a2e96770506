"""What statements cost, as far as a warehouse says it: for `make test-live`."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Engine, event, text

__all__ = ["Costs", "counted"]

_HISTORY = text(
    "SELECT COUNT(*), SUM(execution_time) / 1000, SUM(credits_used_cloud_services)"
    " FROM TABLE(INFORMATION_SCHEMA.QUERY_HISTORY_BY_USER(RESULT_LIMIT => 10000))"
    " WHERE start_time >= TO_TIMESTAMP_LTZ(:began)"
)
"""Snowflake's own: what its warehouse did, which is billed by the second, and its services."""


@dataclass
class Costs:
    """Shape:  kind: of the warehouse.  billed: bytes that BigQuery bills for them, None elsewhere.

    Units:  seconds: spent waiting for them.
    """

    kind: str
    statements: int = 0
    seconds: float = 0.0
    billed: int | None = None
    began: float = field(default_factory=time.time)

    def told(self, engine: Engine) -> str:
        """Return a line on them. `engine`: leads to the warehouse, whose history is asked where it has one."""
        line = f"{self.statements:,} statements, {self.seconds:.1f} s spent waiting for them"
        if self.billed is not None:
            return f"{line}, {self.billed:,} bytes billed"
        return f"{line}; {_history(engine, self.began)}" if self.kind == "snowflake" else line


def _history(engine: Engine, began: float) -> str:
    try:
        with engine.connect() as connection:
            count, seconds, paid = connection.execute(_HISTORY, {"began": int(began)}).one()
    except Exception as error:  # noqa: BLE001 - a right that lacks must not hide what became of the sources
        return f"its query history cannot be read: {str(error).splitlines()[0][:120]}"
    return f"its query history: {count} statements, {seconds or 0} s of execution, {paid or 0} credits of cloud services"


@contextmanager
def counted(kind: str) -> Iterator[Costs]:
    """Count the statements that go to a kind of warehouse meanwhile."""
    costs = Costs(kind, billed=0 if kind == "bigquery" else None)
    begun: dict[int, float] = {}

    def before(connection: Any, _cursor: object, *_: object) -> None:
        if connection.dialect.name == kind:
            begun[id(connection)] = time.monotonic()

    def after(connection: Any, cursor: Any, *_: object) -> None:
        if connection.dialect.name == kind:
            costs.statements += 1
            costs.seconds += time.monotonic() - begun.pop(id(connection))
            job = cursor.query_job if costs.billed is not None else None
            if job is not None and not job.dry_run:
                costs.billed = (costs.billed or 0) + (job.total_bytes_billed or 0)

    event.listen(Engine, "before_cursor_execute", before)
    event.listen(Engine, "after_cursor_execute", after)
    try:
        yield costs
    finally:
        event.remove(Engine, "before_cursor_execute", before)
        event.remove(Engine, "after_cursor_execute", after)
