"""The calls of windows that were found to be new by their ids: they alone are read as whole rows."""

from sqlalchemy import Connection

from rehook_sync.database.fetch import fetch
from rehook_sync.database.spool import Spool
from rehook_sync.models import Stream
from rehook_sync.warehouse.slices import CallSpooler
from rehook_sync.warehouse.statements import CallStatements
from rehook_sync.warehouse.stretches.excerpts import Excerpt, joined

__all__ = ["put_sparse"]


def put_sparse(sql: CallStatements, stream: Stream, excerpt: Excerpt, spool: Spool, connection: Connection) -> bool:
    """Put the calls of the sparse windows with their ids aside. Returns whether all were found.

    One that is not found has left, or the database compares its id otherwise than it writes it.
    """
    plan, columns = sql.row_plan(stream)
    left = set(excerpt.ids)
    for window in excerpt.sparse if sql.slice_rows else joined(excerpt.sparse):
        statement = sql.calls(stream, None, "read_chosen", window=window, columns=columns)
        for ids in sql.cut(excerpt.ids):
            values = sql.bounds(window, timed=True) | {"ids": sql.ids(ids)}
            for page, _ in CallSpooler(spool).put(fetch(connection, statement, values), plan):
                left.difference_update(row[-1] for row in page)
    return not left
