"""Queries to the sync-state tables: runs, watermarks, judged calls.

Reading needs no lease. Writing takes the connection of a transaction that holds it.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice

import orjson
from sqlalchemy import Connection, Executable

from rehook_sync import __version__
from rehook_sync.database.engine import Database
from rehook_sync.database.queries import Statements
from rehook_sync.database.spool import Spool
from rehook_sync.models import PreviousOutcome, Reason, RunKind, RunStatus, RunSummary, Selection, Shard, Status, Stream, Trigger, Window
from rehook_sync.rules.periods import Feed, Mark
from rehook_sync.rules.watermark import Coverage
from rehook_sync.state.publication.changes import Changes
from rehook_sync.state.sources import KnownSources
from rehook_sync.times import to_time
from rehook_sync.values import storable_json, storable_text

__all__ = ["DueCall", "Judged", "RunStart", "State", "is_held", "read_rows"]

_PAGE = 500
_EVERYBODY = Shard(0, "", None)
_TIMES = frozenset(
    {"since_at", "until_at", "started_at", "finished_at", "low_at", "high_at", "recorded_at", "received_at", "occurred_at"}
    | {"first_seen_at", "settled_at", "first_sent_at", "last_sent_at", "expires_at", "overdue_at"}
)


@dataclass(frozen=True, slots=True)
class RunStart:
    """What is recorded of a run when it begins.

    Shape:  since, until: bounds that were asked for.  properties_wait: how long a call may wait; None when the run judges no calls.
            settings: those that shape what is sent, as text; None when it sends nothing and judges no calls.
    """

    kind: RunKind
    trigger: Trigger = Trigger.CLI
    since: datetime | None = None
    until: datetime | None = None
    properties_wait: timedelta | None = None
    settings: Mapping[str, str] | None = None


@dataclass(frozen=True, slots=True)
class DueCall:
    """A recorded call to retry."""

    message_id: str
    previous: PreviousOutcome


@dataclass(frozen=True, slots=True)
class Judged:
    """What is recorded of a call."""

    status: Status
    event: str | None
    received_at: datetime | None
    source: str
    user_id: str | None
    run_id: str
    detail: str | None = None


def read_rows(connection: Connection, statement: Executable, values: Mapping[str, object]) -> list[dict[str, object]]:
    """Return the rows of a statement, with times as times."""
    rows = connection.execute(statement, values).mappings().all()
    return [{key: to_time(value) if key in _TIMES else value for key, value in row.items()} for row in rows]


def is_held(lease: Mapping[str, object], now: datetime) -> bool:
    """Tell whether somebody holds the lease, given its row of `sync_lease`."""
    expires_at = lease["expires_at"]
    return lease["owner"] is not None and isinstance(expires_at, datetime) and expires_at > now


class State:
    """The sync-state tables of one database. They exist and have the right version."""

    def __init__(self, database: Database) -> None:
        """Wrap a database that `migrations.require_version` accepted."""
        self.database = database
        self._sql = Statements("state", database.engine.dialect)
        self._changes = Changes(self._sql)

    def now(self) -> datetime:
        """Return the time by the database's clock."""
        with self.database.connect() as connection:
            return _time(connection.execute(self._sql["database_now"]).scalar_one())

    def read_coverage(self, feed: Feed) -> Coverage:
        """Return what earlier runs covered of a feed without a gap."""
        with self.database.connect() as connection:
            row = connection.execute(self._sql["read_coverage"], feed._asdict()).one()
        return Coverage(to_time(row.watermark), None if row.unbounded else to_time(row.origin))

    def read_known(self, stream: Stream, message_ids: Iterable[str]) -> dict[str, Status]:
        """Return message id -> status, without ids never judged."""
        return {message_id: judged.status for message_id, judged in self.read_judged(stream, message_ids).items()}

    def read_judged(self, stream: Stream, message_ids: Iterable[str]) -> dict[str, Judged]:
        """Return message id -> record, without ids never judged."""
        stored = {storable_text(message_id): message_id for message_id in message_ids}
        with self.database.connect() as connection:
            rows = connection.execute(self._sql["known_ids"], {"stream": stream, "ids": _ids(stored)}).all()
        return {stored[row.message_id]: Judged(Status(row.status), row.event, to_time(row.received_at), *row[4:]) for row in rows}

    def count_recorded(self, feed: Feed, window: Window) -> dict[tuple[str | None, str | None], int]:
        """Return the recorded calls of a feed in a window: (day, event) -> number."""
        values = self._bounds(feed, window)
        with self.database.connect() as connection:
            return {(row.day, row.event): row.n for row in connection.execute(self._sql["count_recorded"], values).all()}

    def read_again(self, feed: Feed, selection: Selection) -> Iterator[list[DueCall]]:
        """Yield pages of the selected failed, waiting or rejected calls of a feed, in time order.

        All are read before the first is yielded, so no call comes twice, and no transaction stays open.
        """
        name = {Status.REJECTED: "read_rejected", Status.WAITING: "read_waiting"}.get(selection.status, "read_failed")
        values = {**feed._asdict(), "reason": selection.reason, "ids": None if selection.ids is None else _ids(selection.ids)}
        with Spool() as spool:
            with self.database.connect() as connection:
                rows = connection.execution_options(stream_results=True, max_row_buffer=_PAGE).execute(self._sql[name], values)
                for page in rows.partitions(_PAGE):
                    spool.put_each(
                        [
                            (row.message_id, row.reason, row.detail, row.http_status, row.attempts, row.run_id, Status(row.status))
                            for row in page
                        ]
                    )
            due = spool.in_order()
            while page := list(islice(due, _PAGE)):
                yield [DueCall(row[0], PreviousOutcome(*row[1:])) for row in page]

    def count_doubtful(self, ids: Iterable[str] | None) -> int:
        """Return how many calls are in doubt, of these message or user ids; None: of all."""
        with self.database.connect() as connection:
            return int(connection.execute(self._sql["count_doubtful"], {"ids": None if ids is None else _ids(ids)}).scalar_one())

    def _bounds(self, feed: Feed, window: Window) -> dict[str, object]:
        return {**feed._asdict(), "low": self.database.as_stored(window.low), "high": self.database.as_stored(window.high)}

    def count_doubtful_within(self, feed: Feed, window: Window) -> int:
        """Return how many calls of a feed in a window are in doubt."""
        with self.database.connect() as connection:
            return int(connection.execute(self._sql["count_doubtful_within"], self._bounds(feed, window)).scalar_one())

    def skip_gone(self, connection: Connection, run_id: str, feed: Feed, window: Window) -> int:
        """Settle the failed and waiting calls of a window as settled elsewhere. Returns how many."""
        return connection.execute(self._sql["skip_unsent"], {**self._bounds(feed, window), "run_id": run_id}).rowcount

    def read_not_doubtful(self, ids: Iterable[str]) -> list[str]:
        """Return those of these ids that are neither a call in doubt nor a user who has one."""
        stored = {storable_text(each): each for each in ids}
        with self.database.connect() as connection:
            return [stored[row] for row in connection.execute(self._sql["read_not_doubtful"], {"ids": _ids(stored)}).scalars()]

    def accept_doubtful(self, connection: Connection, run_id: str, ids: Iterable[str] | None) -> int:
        """Settle calls in doubt as sent. Returns how many."""
        values = {
            "ids": None if ids is None else _ids(ids),
            "run_id": run_id,
            "detail": "in doubt before; taken as arrived by the operator",
        }
        return len(connection.execute(self._sql["accept_doubtful"], values).all())

    def release_doubtful(self, connection: Connection, ids: Iterable[str] | None) -> list[str]:
        """Turn calls in doubt to failed, so that they are sent again. Returns their user ids, each once."""
        values = {"ids": None if ids is None else _ids(ids), "detail": "in doubt before; to be sent again as the operator decided"}
        released = connection.execute(self._sql["release_doubtful"], values).all()
        self._changes.note_calls(connection, ((row.stream, row.message_id) for row in released))
        return sorted({row.user_id for row in released})

    def count_unsettled(self) -> dict[Status, int]:
        """Return status -> calls of all runs that are failed, in doubt or marked, or have waited too long."""
        with self.database.connect() as connection:
            return {Status(row.status): row.n for row in connection.execute(self._sql["count_unsettled"]).all()}

    def count_due_again(self) -> int:
        """Return how many calls the next run takes up again."""
        with self.database.connect() as connection:
            return int(connection.execute(self._sql["count_due_again"]).scalar_one())

    def count_waiting(self, run_id: str) -> dict[tuple[str, str], int]:
        """Return (event, detail) -> calls that a run left waiting for their properties, the most frequent first."""
        with self.database.connect() as connection:
            rows = connection.execute(self._sql["count_waiting"], {"run_id": run_id})
            return {(row.event or "", row.detail or ""): row.n for row in rows}

    def count_prunable(self, before: datetime) -> int:
        """Return how many calls settled before a time are not pruned."""
        with self.database.connect() as connection:
            return int(connection.execute(self._sql["count_prunable"], {"before": self.database.as_stored(before)}).scalar_one())

    def prune_page(self, connection: Connection, before: datetime, after: tuple[str, str], rows: int) -> list[tuple[str, str]]:
        """Prune at most `rows` calls settled before a time, in key order from `after` on. Returns their keys."""
        values = {"before": self.database.as_stored(before), "stream": after[0], "message_id": after[1], "rows": rows}
        pruned = [(row.stream, row.message_id) for row in connection.execute(self._sql["prune_page"], values)]
        self._changes.note_calls(connection, pruned)
        return pruned

    def record_start(self, connection: Connection, run_id: str, start: RunStart) -> None:
        """Record that a run has begun."""
        stored = self.database.as_stored
        values = {"run_id": run_id, "kind": start.kind, "trigger": start.trigger, "version": __version__}
        bounds = {"since_at": stored(start.since), "until_at": stored(start.until), "started_at": stored(self._now(connection))}
        wait_s = None if start.properties_wait is None else int(start.properties_wait.total_seconds())
        kept = None if start.settings is None else storable_json(start.settings)
        connection.execute(self._sql["insert_run"], {**values, **bounds, "properties_wait_s": wait_s, "settings": kept})
        self._changes.note_run(connection, run_id)

    def read_last_settings(self) -> dict[str, str] | None:
        """Return the settings that were kept with the newest run that has any, None without one."""
        with self.database.connect() as connection:
            return _settings(connection.execute(self._sql["read_last_settings"]).scalar())

    def read_settings(self, run_id: str) -> dict[str, str] | None:
        """Return the settings that were kept with a run, None without any."""
        with self.database.connect() as connection:
            return _settings(connection.execute(self._sql["read_settings"], {"run_id": run_id}).scalar())

    def record_finish(self, connection: Connection, summary: RunSummary) -> None:
        """Record how a run ended."""
        names = ("rows_read", "sent", "rejected", "failed", "waiting", "in_doubt", "unchanged", "merged", "skipped")
        counts = {name: getattr(summary, name) for name in names}
        values = {"run_id": summary.run_id, "status": summary.status, "requests": summary.requests, "error": summary.error}
        finished_at = self.database.as_stored(self._now(connection))
        connection.execute(self._sql["finish_run"], {**values, **counts, "finished_at": finished_at})

    def record_watermark(self, connection: Connection, run_id: str, feed: Feed, mark: Mark) -> None:
        """Record how far a run got in a feed."""
        stored = self.database.as_stored
        values = {"run_id": run_id, **feed._asdict(), "low_at": stored(mark.read.low), "high_at": stored(mark.high_at)}
        values |= {"rows_new": mark.rows, "lacks_table": mark.lacks_table, "recorded_at": stored(self._now(connection))}
        connection.execute(self._sql["insert_watermark"], values)

    def recover(self, connection: Connection, run_id: str, *, hold: bool) -> list[RunSummary]:
        """Settle what dead runs left in flight: with `hold`, events are in doubt; all else fails and is sent again.

        Returns the summaries of the dead runs.
        """
        dead = connection.execute(self._sql["read_running_runs"], {"run_id": run_id}).scalars().all()
        # Also without a dead run: a commit that reported an error may have succeeded.
        self.recover_users(connection, _EVERYBODY, hold=hold)
        summaries = [self._count_dead(connection, each) for each in dead]
        for summary in summaries:
            self.record_finish(connection, summary)
            self._changes.note_run(connection, summary.run_id)
        return summaries

    def recover_users(self, connection: Connection, users: Shard, *, hold: bool) -> None:
        """Settle what dead processes left in flight of these users, and free codes claimed for calls that were not delivered."""
        if self.database.dialect == "postgresql":
            connection.execute(self._sql["prefer_indexes"])
        self._changes.note_crash(connection)
        bounds = {"low_user": users.low, "high_user": users.high}
        detail = "the run died while this was in flight; it may have arrived"
        if hold:
            connection.execute(self._sql["doubt_marked"], {"detail": detail, **bounds})
        connection.execute(self._sql["forget_marked_customers"], bounds)
        connection.execute(self._sql["fail_marked"], {"detail": detail + "; safe to repeat", **bounds})
        connection.execute(self._sql["forget_open_claims"], bounds)
        connection.execute(self._sql["restore_accepted_codes"], bounds)

    def _count_dead(self, connection: Connection, run_id: str) -> RunSummary:
        rows = connection.execute(self._sql["count_run"], {"run_id": run_id}).all()
        counts: dict[str, int] = {row.status: row.n for row in rows}
        return RunSummary(run_id, RunStatus.CRASHED, sum(counts.values()), error="the process died", **counts)

    def count_run(self, run_id: str) -> tuple[dict[str, int], Counter[Reason]]:
        """Return the calls a run recorded by status, and those it rejected by reason."""
        with self.database.connect() as connection:
            counts = {row.status: row.n for row in connection.execute(self._sql["count_run"], {"run_id": run_id})}
            reasons = connection.execute(self._sql["count_reasons"], {"run_id": run_id}).all()
        return counts, Counter({Reason(row.reason): row.n for row in reasons})

    def count_sent(self, run_id: str) -> dict[Stream, int]:
        """Return stream -> calls that a run sent."""
        with self.database.connect() as connection:
            return {Stream(row.stream): row.n for row in connection.execute(self._sql["count_sent"], {"run_id": run_id})}

    def read_attention(self, rows: int) -> list[dict[str, object]]:
        """Return at most `rows` calls of `v1_attention` that no run has in hand, first seen first."""
        return self._rows("read_attention", {"rows": rows})

    def read_runs(self, runs: int) -> list[dict[str, object]]:
        """Return at most `runs` rows of `sync_runs`, newest first."""
        return self._rows("read_runs", {"runs": runs})

    def read_end(self, run_id: str) -> tuple[RunSummary, dict[Feed, datetime | None]] | None:
        """Return what was recorded at the end of a run that got through, and its watermarks; None of any other run."""
        with self.database.connect() as connection:
            row = connection.execute(self._sql["read_end"], {"run_id": run_id}).mappings().first()
        if row is None:
            return None
        marks = self._rows("read_watermarks_of_run", {"run_id": run_id})
        summary = RunSummary(**{**row, "status": RunStatus(row["status"])})
        return summary, {Feed(str(each["source"]), Stream(str(each["stream"]))): to_time(each["high_at"]) for each in marks}

    def read_watermarks(self) -> dict[Feed, dict[str, object]]:
        """Return the newest watermark record of each feed."""
        return {Feed(str(row["source"]), Stream(str(row["stream"]))): row for row in self._rows("read_last_watermarks", {})}

    def read_lease(self, name: str = "run") -> dict[str, object] | None:
        """Return the row of a lease, None when it was never taken."""
        return next(iter(self._rows("read_lease", {"name": name})), None)

    def read_holder(self) -> str | None:
        """Return the id of the run that holds the lease now, None when it is free."""
        lease = self.read_lease()
        return str(lease["run_id"]) if lease is not None and is_held(lease, self.now()) else None

    def count_by_status(self) -> list[dict[str, object]]:
        """Return the number of calls ever judged, by stream, status and reason."""
        return self._rows("count_by_status", {})

    def explain(self, key: str) -> tuple[list[dict[str, object]], dict[str, object] | None]:
        """Return the calls of a user id or message id, oldest first, and the customer if there is one."""
        values = {"id": key, "streams": _ids(KnownSources(self.database).read_streams())}
        return self._rows("explain", values), next(iter(self._rows("explain_customer", values)), None)

    def read_related(self, key: str) -> list[dict[str, object]]:
        """Return, for a message id, the call that carried it and the other unsettled calls of its user, oldest first."""
        return self._rows("explain_related", {"id": key, "streams": _ids(KnownSources(self.database).read_streams())})

    def _rows(self, name: str, values: Mapping[str, object]) -> list[dict[str, object]]:
        with self.database.connect() as connection:
            return read_rows(connection, self._sql[name], values)

    def _now(self, connection: Connection) -> datetime:
        return _time(connection.execute(self._sql["database_now"]).scalar_one())


def _settings(kept: str | None) -> dict[str, str] | None:
    return None if kept is None else dict(orjson.loads(kept))


def _ids(message_ids: Iterable[str]) -> str:
    return orjson.dumps(list(message_ids)).decode()


def _time(value: object) -> datetime:
    moment = to_time(value)
    if moment is None:
        raise ValueError("the sync-state tables hold no time where one belongs")
    return moment
