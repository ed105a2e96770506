"""The data of a report, read from one snapshot."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from rehook_sync.database.engine import Database
from rehook_sync.database.queries import Statements
from rehook_sync.models import RunKind
from rehook_sync.rules.periods import Period
from rehook_sync.state.periods import Periods
from rehook_sync.state.state import read_rows
from rehook_sync.times import to_time

__all__ = ["Facts", "read_report"]

_REPORT_EVENTS = 1000
_REPORT_RUNS = 30_000
_REPORT_ROWS = 50
_REPORT_WAITING = 100


@dataclass(frozen=True, slots=True)
class Facts:
    """The data of a report: rows of the queries in `sql/state/report.sql`, from one snapshot.

    Shape:  calls: those last decided by runs since `since`.  runs, lags: newest first.
            unsettled, attention, waiting: of all time.  periods: the open ones.
    """

    now: datetime
    since: datetime
    calls: Sequence[Mapping[str, object]]
    runs: Sequence[Mapping[str, object]]
    lags: Sequence[Mapping[str, object]]
    watermarks: Sequence[Mapping[str, object]]
    last_success: Mapping[str, object] | None
    unsettled: Sequence[Mapping[str, object]]
    attention: Sequence[Mapping[str, object]]
    waiting: Sequence[Mapping[str, object]] = ()
    periods: Sequence[Period] = ()


def read_report(database: Database, since: datetime) -> Facts:
    """Return the data of a report since a time."""
    sql, at = Statements("state", database.engine.dialect), database.as_stored(since)
    with database.connect() as connection:
        if database.dialect == "postgresql":
            connection.execution_options(isolation_level="REPEATABLE READ")

        def read(name: str, **values: object) -> list[dict[str, object]]:
            return read_rows(connection, sql[name], values)

        now = to_time(connection.execute(sql["database_now"]).scalar_one())
        return Facts(
            now=now or since,
            since=since,
            # The smallest run id that a run started then can have.
            calls=read("report_calls", since_run=f"{since:%Y%m%dT%H%M%SZ}", events=_REPORT_EVENTS),
            runs=read("report_runs", since=at, runs=_REPORT_RUNS),
            lags=read("report_lags", since=at, runs=2 * _REPORT_RUNS),
            watermarks=read("read_last_watermarks"),
            last_success=next(iter(read("report_last_success")), None),
            unsettled=read("report_unsettled"),
            attention=read("report_attention", rows=_REPORT_ROWS),
            waiting=read("report_waiting", rows=_REPORT_WAITING),
            periods=Periods(database).read_open(kinds=RunKind, connection=connection),
        )
