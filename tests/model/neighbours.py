"""What others do to the warehouse between any two reads of a run."""

import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress

from sqlalchemy import Connection, Engine, event
from sqlalchemy.exc import OperationalError

from rehook_sync.sync import Sync

__all__ = ["ACTS", "beside"]

ACTS = ("alter", "lock", "vacuum", "end")
_HELD_S = 0.05


@contextmanager
def beside(sync: Sync, other: Engine, tables: Sequence[str], acts: Mapping[int, str]) -> Iterator[None]:
    """Let others act before the reads with these numbers, the first of which is 0, over connections of `other`."""
    reads = 0
    threads: list[threading.Thread] = []

    def begun(connection: Connection) -> None:
        nonlocal reads
        act = acts.get(reads)
        table = tables[reads % len(tables)]
        reads += 1
        if act == "alter":
            _execute(
                other, f"ALTER TABLE {table} ADD COLUMN {'context' if table.endswith('tracks') else 'extra'}_{time.monotonic_ns()} text"
            )
        elif act == "vacuum":
            _execute(other, f"VACUUM {table}" if other.dialect.name == "postgresql" else "VACUUM")
        elif act == "end" and other.dialect.name == "postgresql":
            _execute(other, f"SELECT pg_terminate_backend({connection.info['server_process']}, 5000)")
        elif act == "lock":
            is_held = threading.Event()
            threads.append(threading.Thread(target=_hold, args=(other, table, is_held)))
            threads[-1].start()
            is_held.wait(5)

    event.listen(sync._warehouse.engine, "begin", begun)
    try:
        yield
    finally:
        for each in threads:
            each.join()


def _execute(other: Engine, statement: str) -> None:
    with other.connect() as connection, suppress(OperationalError):  # a lock of ours may be in the way; then it gives up
        connection.execution_options(isolation_level="AUTOCOMMIT").exec_driver_sql(statement)


def _hold(other: Engine, table: str, is_held: threading.Event) -> None:
    """Keep all others out of a table, in SQLite out of the file, for a moment."""
    postgres = other.dialect.name == "postgresql"
    with other.connect() as opened, suppress(OperationalError):
        connection = opened.execution_options(isolation_level="AUTOCOMMIT")
        connection.exec_driver_sql("BEGIN" if postgres else "BEGIN EXCLUSIVE")
        if postgres:
            connection.exec_driver_sql(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE")
        is_held.set()
        time.sleep(_HELD_S)
        connection.exec_driver_sql("ROLLBACK")
    is_held.set()
