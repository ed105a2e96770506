"""The calls of a window in slices: each is read in a transaction of its own and put aside."""

import time
from collections.abc import Callable, Container, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from sqlalchemy import Connection, TextClause

from rehook_sync.database.fetch import Page, Pages, fetch
from rehook_sync.database.spool import Spool
from rehook_sync.warehouse.rows import RowPlan, build_rows, time_order, values_of, weigh

__all__ = ["CallSpooler", "Place", "fitting_rows", "next_rows"]

_MOST_BYTES = 32 << 20
_MOST_ROWS = 1_000_000


@dataclass(frozen=True, slots=True)
class Place:
    """Where a slice begins.

    Shape:  at: time of arrival, name: id, both as the database compares them.  rows: at most in the slice; 0 for all.
            count: values in the spool before it.  buffers: whether the driver holds all rows of a slice before it gives the first one.
    """

    at: object
    name: object
    rows: int
    count: int = 0
    buffers: bool = False


@dataclass(slots=True)
class CallSpooler:
    """Calls of one stream put aside in a spool, as `values_of` them. Shape:  clock: seconds, as `time.monotonic`."""

    spool: Spool
    clock: Callable[[], float] = time.monotonic
    _pages: Pages = field(default_factory=Pages)

    def put(self, found: Iterable[Page], plan: RowPlan, wanted: Container[str] | None = None) -> Iterator[tuple[Page, int]]:
        """Put the calls of each page aside, and yield the page and the bytes it takes. `wanted`: ids of those that count; None: all."""
        for page in found:
            rows = [row for row in build_rows(plan, page) if wanted is None or row.message_id in wanted]
            largest = size = 0
            for row in rows:
                row.size = weigh(row.fields)
                size += row.size
                largest = max(largest, row.size)
            self.spool.put(((time_order(row), values_of(row)) for row in rows), size)
            self._pages.heed(largest)
            yield page, size

    def put_all(
        self,
        connection: Connection,
        statement: TextClause,
        values: Mapping[str, object],
        plan: RowPlan,
        wanted: Container[str] | None = None,
    ) -> None:
        """Put the calls of a statement aside."""
        for _ in self.put(fetch(connection, statement, values, self._pages), plan, wanted):
            pass

    def put_slice(
        self, connection: Connection, statement: TextClause, values: Mapping[str, object], plan: RowPlan, place: Place
    ) -> Place | None:
        """Put the calls of a slice aside, and return where the next one begins, None at the end of the window.

        Shape:  statement: gives the time of arrival first and the id as it is sorted last.
        The next slice begins with the last place of this one, whose calls are left to it: there may be more of them.
        """
        self.spool.cut(place.count)
        asked_at = first_at = self.clock()
        last, begins, size = (place.at, place.name), place.count, 0
        found = fetch(connection, statement, {**values, "place": place.name, "rows": place.rows}, self._pages)
        for page, page_size in self.put(found, plan):
            if not size:
                first_at = self.clock()
            last, begins = _end(page, last, begins, self.spool.count - len(page))
            size += page_size
            if place.rows and size > _MOST_BYTES and begins > place.count:
                break
        else:
            if not place.rows or self.spool.count - place.count < place.rows:
                return None
        if begins == place.count:
            return replace(place, rows=place.rows * 2)
        rows = next_rows(place.rows, first_at - asked_at, self.clock() - first_at)
        if place.buffers:
            rows = min(rows, fitting_rows(self.spool.count - place.count, size))
        self.spool.cut(begins)
        return Place(*last, rows, self.spool.count, place.buffers)


def next_rows(rows: int, until_first_s: float, until_last_s: float) -> int:
    """Return how many rows the next slice may have.

    Without an index, each slice makes the database look at the whole table: then they become fewer and larger.
    """
    return min(rows * 2, _MOST_ROWS) if until_first_s > until_last_s else rows


def fitting_rows(rows: int, size: int) -> int:
    """Return how many rows fit into memory, if so many rows took so many bytes."""
    return max(1, rows * _MOST_BYTES // max(size, 1))


def _end(page: Page, last: tuple[object, object], begins: int, count: int) -> tuple[tuple[object, object], int]:
    """Return the last place of a page and how many values come before its first call; `last` and `begins`: of the page before."""
    end = page[-1][0], page[-1][-1]
    at = len(page) - 1
    while at >= 0 and (page[at][0], page[at][-1]) == end:
        at -= 1
    return end, begins if at < 0 and end == last else count + at + 1
