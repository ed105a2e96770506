"""Bringing the copy up to date, under the lease.

First all rows once, by their keys, then what has changed since. Each batch is written as a whole and may be written again, and what
it was is forgotten only after that: wherever this is cut off, the next publication goes on, and the copy ends up the same.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass, field

from rehook_sync.publish.rows import Batch
from rehook_sync.publish.tables import TABLES
from rehook_sync.publish.target import Target
from rehook_sync.runtime import Interrupt
from rehook_sync.state.ledger import Ledger
from rehook_sync.state.publication.publications import Publication, Publications

__all__ = ["PublishReport", "Publisher"]


@dataclass(slots=True)
class PublishReport:
    """What was brought into the copy.

    Shape:  place: where it is, without secrets.  whole: whether all rows were, not only those that had changed.
            rows: calls, customers, runs, watermarks -> rows written.  removed: the same -> rows removed.
    """

    place: str
    whole: bool = False
    rows: Counter[str] = field(default_factory=Counter)
    removed: Counter[str] = field(default_factory=Counter)
    interrupted: bool = False


class _CutOffError(Exception):
    """Ends a publication that was interrupted."""


class Publisher:
    """One publication. The ledger holds the lease."""

    def __init__(self, ledger: Ledger, target: Target, place: str, interrupt: Interrupt) -> None:
        """Prepare. `place`: where the copy is, without secrets."""
        self._ledger = ledger
        self._target = target
        self._interrupt = interrupt
        self._known = Publications(ledger.database)
        self._rows = target.database.warehouse.published_rows
        self._report = PublishReport(place)

    def publish(self, *, whole: bool) -> PublishReport:
        """Bring the copy up to date; `whole`: make it anew. Raises: SettingsError for a place that cannot have it, DatabaseError."""
        with self._ledger.kept():
            publication = self._begin(whole=whole)
            try:
                self._put_all(publication)
                self._put_changed("calls")
                self._put_changed("customers")
                self._put_runs()
            except _CutOffError:
                self._report.interrupted = True
                return self._report
            self._target.finish()
            with self._ledger.transaction() as connection:
                self._known.end(connection)
        return self._report

    def _begin(self, *, whole: bool) -> Publication:
        known = self._known.read()
        turn = self._target.read_turn(known.publication_id if known else None)
        # Only who asks for it anew may go behind what a copy says of itself. No turn is taken before that is known: enough of them
        # would make a sync-state that was restored look like the newer one.
        if known is not None and known.place == self._report.place and not whole:
            self._target.compare(known, turn)
        with self._ledger.transaction() as connection:
            begun = self._known.begin(connection, self._report.place, whole=whole, least_turn=turn)
        if begun.reached is not None and begun.reached.is_first:
            self._target.make(begun)
        else:
            self._target.take(begun)
        self._report.whole = begun.reached is not None
        return begun

    def _put_all(self, publication: Publication) -> None:
        """Bring all rows there, from where an earlier publication was cut off."""
        position = publication.reached
        # Where an earlier publication was cut off, it may have written more than it recorded.
        is_new = position is not None and position.is_first
        while position is not None:
            page, following = self._known.read_page(position, self._rows)
            self._put(Batch(TABLES[position.table], page.rows, is_new=is_new), position.table)
            with self._ledger.transaction() as connection:
                self._known.note_reached(connection, following)
            position = following

    def _put_changed(self, table: str) -> None:
        """Bring there what has changed one by one."""
        while page := self._known.read_changed(table, self._rows):
            self._put(Batch(TABLES[table], page.rows, page.gone, is_moved=True), table)
            with self._ledger.transaction() as connection:
                self._known.drop_changed(connection, table, page)

    def _put_runs(self) -> None:
        """Bring runs there with their calls and customers, and the watermarks last."""
        for run_id in self._known.read_changed_runs(calls=True):
            for table in ("calls", "customers"):
                with closing(self._known.read_run(table, run_id, self._rows)) as pages:
                    for page in pages:
                        self._put(Batch(TABLES[table], page), table)
        run_ids = self._known.read_changed_runs(calls=False)
        for table in ("runs", "watermarks"):
            for some in _parts(run_ids, self._rows):
                found = self._known.read_of_runs(table, some)
                here = {each["run_id"] for each in found}
                gone = [{"id": each} for each in some if each not in here] if table == "runs" else []
                self._put(Batch(TABLES[table], found, gone), table)

    def _put(self, batch: Batch, table: str) -> None:
        if self._interrupt.requested:
            raise _CutOffError
        if batch.rows or batch.gone:
            self._target.put(batch)
            self._report.rows[table] += len(batch.rows)
            self._report.removed[table] += len(batch.gone)


def _parts(texts: Sequence[str], size: int) -> Iterable[Sequence[str]]:
    return (texts[start : start + size] for start in range(0, len(texts), size))
