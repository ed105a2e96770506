"""The lease and everything written under it: marks, outcomes, customers and referral codes.

Each write first proves, in the same transaction, that the lease is still ours: whoever lost it records nothing.
"""

import os
import socket
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from threading import Event, Thread
from typing import TypeVar

from sqlalchemy import Connection

from rehook_sync.database.engine import Database, json_time
from rehook_sync.database.queries import Statements
from rehook_sync.errors import ConflictError, DatabaseError, InternalError, LeaseHeldError, LeaseLostError, LockedError, RehookSyncError
from rehook_sync.models import Batch, Call, Claim, Customer, Outcome, Status, Stream, Traits
from rehook_sync.state.customers import Customers, customer_rows
from rehook_sync.state.publication.changes import Changes
from rehook_sync.values import storable_json, storable_text

__all__ = ["Ledger"]

_CLAIM_WAITS_S = (0.0, 0.05, 0.25, 1.0)
_CLOCK = getattr(time, "CLOCK_BOOTTIME", None)
_Result = TypeVar("_Result")
Key = tuple[Stream, str]


class Ledger:
    """The holder of one lease, who writes for a run or for one of its shards.

    Shape:  database: where it writes.  reopens: status of calls that may be written again, besides failed and marked.
            shard: its number, None for a whole run.
    Units:  ttl_s: seconds the lease lasts after each write, by the database's clock.
    A shard has its own lease and also renews the run's: whoever takes the run over retires all its shards.
    """

    def __init__(
        self, database: Database, run_id: str, ttl_s: float, shard: int | None = None, clock: Callable[[], float] | None = None
    ) -> None:
        """Prepare; the lease is taken by `acquire` or `resume`. `clock`: seconds that also pass while the machine sleeps."""
        self.run_id = run_id
        self.reopens = Status.FAILED
        self.database = database
        self._sql = Statements("state", database.engine.dialect)
        self._customers = Customers(self._sql)
        self._changes = Changes(self._sql)
        self._writer = database.writer([self._sql[name] for name in ("batch_view", "batch_trigger") if database.dialect == "sqlite"])
        self._clock = clock or elapsed_s
        self._ttl_s = ttl_s
        self._is_shard = shard is not None
        name = "run" if shard is None else f"shard {shard}"
        self._holder: dict[str, object] = {"name": name, "owner": owner_name(), "ttl_s": ttl_s, "fence": 0}
        self._valid_until = 0.0
        self._run_renewed_at = -ttl_s
        self._marked: set[Key] = set()

    def acquire(self) -> None:
        """Take the lease. Raises LeaseHeldError, which names the holder, while another run or attempt of this shard has it."""
        asked_at = self._clock()
        try:
            with self.database.transaction() as connection:
                self._renew_run(connection, asked_at)
                fence = connection.execute(self._sql["acquire_lease"], {**self._holder, "run_id": self.run_id}).scalar()
                if fence is None:
                    raise self._held(connection) or InternalError("a lease was neither taken nor held")
                if not self._is_shard:
                    connection.execute(self._sql["retire_shards"])
        except LockedError as error:
            # Whoever keeps the database locked for so long is a holder that was stopped inside a write, or a stranger.
            with self.database.connect() as connection:
                raise self._held(connection) or error from error
        self._holder["fence"] = int(fence)
        self._valid_until = asked_at + self._ttl_s

    def _held(self, connection: Connection) -> LeaseHeldError | None:
        """Return the error that names the holder of the lease, None when nobody took it or it was released."""
        held = connection.execute(self._sql["read_lease"], {"name": self._holder["name"]}).first()
        if held is None or held.owner is None:
            return None
        return LeaseHeldError(
            f"run {held.run_id} holds the lease until {held.expires_at} (owner {held.owner}); "
            "wait for it, or see `python -m rehook_sync status`"
        )

    def resume(self) -> None:
        """Take the lease over from another process of the same run. Raises LeaseLostError when another run has it."""
        asked_at = self._clock()
        with self.database.transaction() as connection:
            fence = connection.execute(self._sql["resume_run"], {**self._holder, "run_id": self.run_id}).scalar()
        if fence is None:
            raise self._lost()
        self._holder["fence"] = int(fence)
        self._valid_until = asked_at + self._ttl_s

    def release(self) -> None:
        """Release the lease; does nothing when it is already lost."""
        self._give_up("release_lease")

    def let_go(self) -> None:
        """Let another run begin. Until one does, the shards of this run may go on."""
        self._give_up("let_go_of_run")

    def _give_up(self, how: str) -> None:
        self._writer.close()
        with self.database.transaction() as connection:
            connection.execute(self._sql[how], {**self._holder, "run_id": self.run_id})
        self._valid_until = 0.0

    def _renew_run(self, connection: Connection, now: float) -> None:
        """Extend the run's lease, if this is a shard and a third of its time has passed; always before the shard's own.

        A takeover locks the rows in the same order, so there is no deadlock.
        """
        if self._run_is_due(now):
            if connection.execute(self._sql["renew_run"], {"ttl_s": self._ttl_s, "run_id": self.run_id}).scalar() is None:
                raise self._lost()
            self._run_renewed_at = now

    def _run_is_due(self, now: float) -> bool:
        return self._is_shard and now - self._run_renewed_at >= self._ttl_s / 3

    def _lost(self) -> LeaseLostError:
        self._valid_until = 0.0
        return LeaseLostError(
            f"run {self.run_id} lost its lease to another run or attempt (it was paused, cut off or over for too long); "
            "nothing more was recorded, the other one goes on"
        )

    @property
    def is_valid(self) -> bool:
        """Tell, without asking the database, whether the lease cannot have expired yet."""
        return self._clock() < self._valid_until

    @contextmanager
    def kept(self) -> Iterator[None]:
        """Renew the lease every third of its time, in a thread of its own. Whoever lost it learns that from the next write."""
        done = Event()

        def renew() -> None:
            while not done.wait(self._ttl_s / 3):
                with suppress(RehookSyncError), self.transaction():
                    pass

        thread = Thread(target=renew, name="lease", daemon=True)
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join()

    def transaction(self) -> AbstractContextManager[Connection]:
        """Open a transaction that holds the lease. Raises LeaseLostError when it is lost."""
        return self._holding(self.database.transaction())

    @contextmanager
    def _holding(self, transaction: AbstractContextManager[Connection]) -> Iterator[Connection]:
        asked_at = self._clock()
        with transaction as connection:
            self._renew_run(connection, asked_at)
            if connection.execute(self._sql["renew_lease"], self._holder).scalar() is None:
                raise self._lost()
            yield connection
        self._valid_until = asked_at + self._ttl_s

    def write(self, batch: Batch) -> frozenset[Key]:
        """Write one batch, all or nothing; an empty one renews the lease. Safe to repeat.

        Returns the calls that could not be marked and must not be sent: they are settled, or another shard is sending them.
        """
        newest = {(outcome.call.stream, outcome.call.message_id): outcome for outcome in batch.outcomes}
        is_plain = not (batch.restores or batch.accepted or batch.released or self._run_is_due(self._clock()))
        refused = self._write_at_once(newest, batch.customers) if is_plain else None
        if refused is None:
            refused = self._write_step_by_step(batch, newest)
        for key, outcome in newest.items():
            if outcome.status is Status.SENDING and key not in refused:
                self._marked.add(key)
            else:
                self._marked.discard(key)
        return refused

    def _write_at_once(self, newest: Mapping[Key, Outcome], customers: Sequence[Customer]) -> frozenset[Key] | None:
        """Write the usual batch as one statement. If a row is not as expected, write nothing and return None.

        A call marked here is only updated, half the work of an insert.
        """
        marks = [outcome for outcome in newest.values() if outcome.status is Status.SENDING]
        others = [(key, outcome) for key, outcome in newest.items() if outcome.status is not Status.SENDING]
        updates = [outcome for key, outcome in others if key in self._marked]
        inserts = [outcome for key, outcome in others if key not in self._marked]
        asked_at = self._clock()
        values = self._batch_values(updates, inserts, marks, customers)
        try:
            written = self._writer.execute(self._sql["write_batch"], {**values, "strict": True})
        except ConflictError:
            return None
        if written == []:
            return None
        self._valid_until = asked_at + self._ttl_s
        return frozenset()

    def _write_step_by_step(self, batch: Batch, newest: Mapping[Key, Outcome]) -> frozenset[Key]:
        """Write any batch. An outcome is written even if its mark is gone."""
        marks = {key: outcome for key, outcome in newest.items() if outcome.status is Status.SENDING}
        inserts = [outcome for outcome in newest.values() if outcome.status is not Status.SENDING]
        with self._holding(self._writer.transaction()) as connection:
            self._write_restores(connection, batch.restores)
            values = self._batch_values([], inserts, list(marks.values()), batch.customers)
            connection.execute(self._sql["write_batch"], {**values, "strict": False})
            refused = self._find_refused(connection, marks) if marks else frozenset()
            self._customers.accept_codes(connection, batch.accepted)
            self._customers.release_codes(connection, batch.released)
        return refused

    def _batch_values(
        self, updates: Sequence[Outcome], inserts: Sequence[Outcome], marks: Sequence[Outcome], customers: Sequence[Customer]
    ) -> dict[str, object]:
        return {
            **self._holder,
            "run_id": self.run_id,
            "reopens": self.reopens,
            "updates": storable_json([_update_row(outcome) for outcome in updates]),
            "inserts": storable_json([_insert_row(outcome) for outcome in inserts]),
            "marks": storable_json([_mark_row(outcome) for outcome in marks]),
            "customers": customer_rows(customers),
        }

    def _find_refused(self, connection: Connection, marks: Mapping[Key, Outcome]) -> frozenset[Key]:
        """Return the calls that could not be marked."""
        rows = storable_json(
            [{"stream": stream, "message_id": message_id, "user_id": mark.call.user_id} for (stream, message_id), mark in marks.items()]
        )
        taken = connection.execute(self._sql["read_marks"], {"rows": rows, "run_id": self.run_id}).all()
        mine = {(row.stream, row.message_id) for row in taken}
        return frozenset(key for key in marks if (key[0], storable_text(key[1])) not in mine)

    def _write_restores(self, connection: Connection, calls: Sequence[Call]) -> None:
        fresh = [{"stream": call.stream, "message_id": call.message_id} for call in calls if call.previous is None]
        if fresh:
            connection.execute(self._sql["forget_marks"], {"rows": storable_json(fresh), "run_id": self.run_id})
        earlier = [_previous_row(call) for call in calls if call.previous is not None]
        if earlier:
            connection.execute(self._sql["restore_previous"], {"rows": storable_json(earlier)})
        self._changes.note_calls(connection, ((call.stream, storable_text(call.message_id)) for call in calls))

    def read_customers(self, user_ids: Iterable[str]) -> dict[str, Traits]:
        """Return user id -> what the customer has, without users of whom that is unknown."""
        with self.database.connect() as connection:
            return self._customers.read_traits(connection, list(user_ids))

    def read_codes(self, user_ids: Iterable[str], codes: Iterable[str]) -> dict[str, str]:
        """Return user id -> code, for these users and for the owners of these codes."""
        with self.database.connect() as connection:
            return self._customers.read_codes(connection, list(user_ids), list(codes))[0]

    def claim(
        self,
        user_ids: Sequence[str],
        codes: Sequence[str],
        judge: Callable[[dict[str, str], dict[str, str]], tuple[_Result, Iterable[Claim]]],
    ) -> _Result:
        """Judge claims against the current owners and write those that hold.

        Shape:  judge: both results of `Customers.read_codes` -> the result and the claims to write.
        It judges outside the transaction first, so that nobody waits, and again inside if the owners have changed since.
        """
        with self.database.connect() as connection:
            owners = self._customers.read_codes(connection, user_ids, codes)
        result, claims = judge(*owners)
        tried = claims = list(claims)
        if not claims:
            return result
        for attempt, wait_s in enumerate((*_CLAIM_WAITS_S, None)):
            try:
                with self.transaction() as connection:
                    if attempt:
                        self._customers.release_codes(connection, tried)
                    current = self._customers.read_codes(connection, user_ids, codes)
                    if attempt or current != owners:
                        result, claims = judge(*current)
                        claims = list(claims)
                        tried = [*tried, *claims]
                    self._customers.write_claims(connection, claims)
                return result
            except DatabaseError:  # another shard won a code, or the database failed, perhaps after the commit
                if wait_s is None:
                    raise
                time.sleep(wait_s)
        raise InternalError("a claim was neither written nor refused")


def elapsed_s() -> float:
    """Return seconds from some moment on. Where the system can tell, they also pass while the machine sleeps."""
    return time.clock_gettime(_CLOCK) if _CLOCK is not None else time.monotonic()


def owner_name() -> str:
    """Return a unique name for this process: host, process id and random digits."""
    return f"{socket.gethostname()}:{os.getpid()}:{uuid.uuid4().hex[:8]}"


def _update_row(outcome: Outcome) -> Sequence[object]:
    call, status, reason, detail, http_status, attempts, sent_as = outcome
    return call.stream, call.message_id, status, reason, detail, http_status, attempts, sent_as


def _mark_row(outcome: Outcome) -> Sequence[object]:
    return *_call_row(outcome), outcome.call.source


def _call_row(outcome: Outcome) -> Sequence[object]:
    call = outcome.call
    received_at, occurred_at = json_time(call.received_at), json_time(call.occurred_at)
    return call.stream, call.message_id, call.user_id, call.event, received_at, occurred_at, outcome.attempts, call.payload_hash


def _insert_row(outcome: Outcome) -> Sequence[object]:
    settled = outcome.status, outcome.reason, outcome.detail, outcome.http_status, outcome.sent_as
    return *_call_row(outcome), *settled, outcome.call.source


def _previous_row(call: Call) -> dict[str, object]:
    previous = call.previous
    if previous is None:
        raise InternalError("a call without an earlier record cannot get it back")
    return {
        "stream": call.stream,
        "message_id": call.message_id,
        "status": previous.status,
        "reason": previous.reason,
        "detail": previous.detail,
        "http_status": previous.http_status,
        "attempts": previous.attempts,
        "run_id": previous.run_id,
    }
