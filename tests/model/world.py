"""One warehouse, one job and one Rehook, with a model beside them that checks the promise after each step.

Rows are dated on a calendar of minutes that lies in the past, so that the databases' real clocks have passed all of it.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from itertools import combinations
from typing import Any

from sqlalchemy import Engine, NullPool, create_engine, make_url, text
from warehouse import make_warehouse

from rehook_sync.errors import CredentialsRefusedError, DatabaseError, LeaseHeldError, RehookSyncError, StoppedError, UsageError
from rehook_sync.jobs.results import Plan, RunOptions, RunResult
from rehook_sync.models import DEFAULT_SOURCE, Reason, RunStatus, Selection, Status, Stream
from rehook_sync.rules.periods import Feed
from rehook_sync.rules.watermark import Beginning
from rehook_sync.runtime import Interrupt
from rehook_sync.settings import load_settings
from rehook_sync.sync import Sync

from .neighbours import beside
from .receiver import Arrival, Killed, Receiver, Switch, Trouble
from .reference import CODE, PAGES, RANK, Copy, Customer, Key, Order, Reach, Row, Span, fold, judge, plain_reason

__all__ = ["DEFAULTS", "MINUTE", "PAGE_VIEWED", "Books", "Circumstances", "Outcome", "World"]

MINUTE = timedelta(minutes=1)
CALENDAR = timedelta(days=20)
SETTLED = frozenset({"sent", "unchanged", "merged", "skipped", "rejected"})
STATUSES = (*sorted(SETTLED), "failed", "waiting", "in_doubt")
DEFAULTS: dict[str, object] = {
    "anonymous_calls": "drop",
    "customer_updates": "changed",
    "on_ambiguous_event": "hold",
    "conversion_events": (),
    "lookback": timedelta(minutes=60),
    "chunk_rows": 7,
    "concurrency": 3,
    "max_attempts": 2,
}
PAGE_VIEWED = "Page Viewed"
_BASELINE = "-baseline-"
"""In the ids of such runs."""
_PRUNED = ("user_id", "event", "http_status", "payload_hash", "sent_as")
_TIMES = {"received_at": "timestamptz", "timestamp": "timestamptz"}
_FIELDS = {"referral_code": "text", "plan": "text", "city": "text"}
_EVENT_TABLES = {"order": "_order", "signup": "signup"}
"""Slug -> table, where events have tables of their own; one is a reserved word."""
Found = dict[str, Any]


@dataclass
class Circumstances:
    """What one step of the job meets.

    Shape:  kill_at, fail_at: the request or commit at which the process dies or the commit fails; late: it is done, but nobody hears of it.
            interrupt_at: the request at which somebody asks it to stop.
            neighbours: what others do to the warehouse, by the number of the read before which they do it; no trouble for a run.
    """

    troubles: list[Trouble] = field(default_factory=list)
    kill_at: int | None = None
    fail_at: int | None = None
    late: bool = False
    interrupt_at: int | None = None
    neighbours: dict[int, str] = field(default_factory=dict)

    @property
    def are_calm(self) -> bool:
        """Whether nothing goes wrong."""
        return not self.troubles and self.kill_at is None and self.fail_at is None and self.interrupt_at is None


@dataclass
class Books:
    """The sync-state tables at one moment."""

    state: dict[Key, Found]
    runs: list[Found]
    watermarks: list[Found]
    codes: dict[str, str]
    open_periods: list[Found]


@dataclass
class Outcome:
    """How a step ended. `died`: the process did not live to say."""

    result: RunResult | None = None
    error: RehookSyncError | None = None
    died: bool = False
    count: int | None = None


class World:
    """Everything there is, and what must hold of it.

    has_tables: events have tables of their own, which may be loaded late.  sources: schemas, each a source; none: one without a name.
    """

    def __init__(self, warehouse_url: str, state_url: str | None = None, *, has_tables: bool = False, sources: Sequence[str] = ()) -> None:
        tables = (*RANK, *(_EVENT_TABLES.values() if has_tables else ()))
        types: dict[str, dict[str, str | None]] = {table: {"id": "text", **_TIMES, **_FIELDS} for table in tables}
        types[PAGES] = {"id": "text", "user_id": "text", "anonymous_id": "text", **_TIMES, **_FIELDS}
        if has_tables:
            types["tracks"] = {**_TIMES}
        for schema in sources or (None,):
            make_warehouse(warehouse_url, {table: [] for table in tables}, types=types, schema=schema)
        self.sources = tuple(sources or (DEFAULT_SOURCE,))
        self.has_tables = has_tables
        self.now = datetime.now(UTC).replace(microsecond=0)
        self.start = self.now - CALENDAR
        self.tick = 0
        self.rows: dict[Key, Row] = {}
        self.options = dict(DEFAULTS)
        self.reach = {Feed(source, stream): Reach() for source in self.sources for stream in RANK}
        self.receiver = Receiver(self._resolve, self._look)
        self.lease_is_held = False
        self.healthy = True
        self._place: dict[str, object] = {"warehouse_url": warehouse_url, "state_url": state_url}
        self._place |= {"other_calls": {PAGES: PAGE_VIEWED}, **({"warehouse_schema": list(sources)} if sources else {})}
        self._warehouse = _open(warehouse_url)
        self._tables = [f"{schema}.{table}" if schema else table for schema in sources or (None,) for table in tables]
        self._state = _open(state_url or warehouse_url)
        self._schema = "" if make_url(state_url or warehouse_url).get_backend_name() == "sqlite" else "rehook_sync."
        self._complaints: list[str] = []
        self._refreshing = False
        self._elsewhere: set[Key] = set()
        self._may_repeat: set[Key] = set()
        self._left: set[Key] = set()
        self._carried_out: dict[Key, int] = defaultdict(int)
        self._believed: set[Key] = set()
        self._customers: dict[str, Customer] = defaultdict(Customer)
        self._codes: dict[str, str] = {}
        self._since: dict[str, Order] = {}
        self._unsure: dict[str, set[str]] = defaultdict(set)
        self._periods: list[Found] = []
        with self.sync() as sync:
            sync.init()
        self.books = self.read_books()

    def close(self) -> None:
        """Give the connections back."""
        self._warehouse.dispose()
        self._state.dispose()

    # The warehouse.

    def at(self, minute: int) -> datetime:
        """A time of the calendar."""
        return self.start + minute * MINUTE

    def add(self, row: Row, received_at: datetime | None, source: str | None = None) -> None:
        """Load a row, or one more copy of it, into a source or the first one."""
        source = source or self.sources[0]
        watermark = self.reach[Feed(source, row.stream)].watermark
        row.copies.append(Copy(received_at, received_at is not None and (watermark is None or received_at > watermark), source))
        self.rows[row.key] = row
        event, slug = row.event
        columns: dict[str, object] = {"id": row.message_id, "user_id": row.user_id, "anonymous_id": row.anonymous_id}
        columns |= {"received_at": self._stored(received_at), "timestamp": self._stored(row.occurred_at)}
        if row.stream == Stream.TRACKS:
            columns |= {"event_text": event, "event": slug}
        if row.stream != Stream.TRACKS or not self.has_tables:
            columns |= row.fields
        elif row.loaded and len(row.copies) == 1:
            self._load(row)
        self._insert(row.stream if source == DEFAULT_SOURCE else f"{source}.{row.stream}", columns)

    def load_late(self, rows: Iterable[Row]) -> None:
        """Load the properties of rows that are in `tracks` already."""
        for row in rows:
            row.loaded = True
            self._load(row)

    def _load(self, row: Row) -> None:
        table = _EVENT_TABLES.get(row.event[1] or "")
        if table is not None:
            self._insert(table, {"id": row.message_id, "received_at": self._stored(row.copies[0].received_at), **row.fields})

    def _insert(self, table: str, columns: Mapping[str, object]) -> None:
        names = ", ".join(f'"{name}"' for name in columns)
        marks = ", ".join(f":{name}" for name in columns)
        with self._warehouse.begin() as connection:
            connection.execute(text(f"INSERT INTO {table} ({names}) VALUES ({marks})"), columns)

    def _stored(self, moment: datetime | None) -> object:
        if moment is None or self._warehouse.dialect.name != "sqlite":
            return moment
        return moment.isoformat(timespec="microseconds").replace("+00:00", "Z")

    # The sync-state tables.

    def read_books(self) -> Books:
        """Read everything."""
        tables = ("sync_state", "sync_runs", "sync_watermarks", "sync_periods")
        found = {name: self._read(f"SELECT * FROM {self._schema}{name}") for name in tables}
        customers = self._read(f"SELECT source_id, referral_code FROM {self._schema}sync_customers WHERE referral_code IS NOT NULL")
        state = {(row["stream"], self._name_of(row)): row for row in found["sync_state"]}
        assert len(state) == len(found["sync_state"])
        return Books(
            state,
            sorted(found["sync_runs"], key=lambda row: (row["started_at"], row["run_id"])),
            sorted(found["sync_watermarks"], key=lambda row: row["recorded_at"]),
            {row["source_id"]: row["referral_code"] for row in customers},
            [row for row in found["sync_periods"] if row["closed_at"] is None and "-refresh-" not in row["opened_by"]],
        )

    def _name_of(self, row: Found) -> str:
        return f"at {row['occurred_at']}" if row["message_id"].startswith("null-id:") else row["message_id"]

    def _read(self, statement: str, **values: object) -> list[Found]:
        with self._state.connect() as connection:
            found = [dict(row) for row in connection.execute(text(statement), values).mappings()]
        return [{name: _time(value) if name.endswith("_at") else value for name, value in row.items()} for row in found]

    def write_state(self, statement: str) -> None:
        """Change the sync-state tables; `{}` is where they are."""
        with self._state.begin() as connection:
            connection.execute(text(statement.format(self._schema)))

    def expire_lease(self) -> None:
        """Let time pass until a dead process has lost its lease."""
        self.write_state("UPDATE {}sync_lease SET expires_at = '2020-01-01T00:00:00.000000Z'")
        self.lease_is_held = False

    def age(self, span: timedelta) -> None:
        """Let all that is settled have been settled longer ago."""
        with self._state.begin() as connection:
            for row in self._read(f"SELECT stream, message_id, settled_at FROM {self._schema}sync_state WHERE settled_at IS NOT NULL"):
                moment = row["settled_at"] - span
                stored = moment if self._schema else moment.isoformat(timespec="microseconds").replace("+00:00", "Z")
                values = {"moment": stored, "stream": row["stream"], "message_id": row["message_id"]}
                statement = f"UPDATE {self._schema}sync_state SET settled_at = :moment WHERE stream = :stream AND message_id = :message_id"
                connection.execute(text(statement), values)
        self.books = self.read_books()

    # The job.

    def sync(self, *, read_only: bool = False) -> Sync:
        """The job as a new process would make it."""
        key, secret = self.receiver.store.credentials
        place = {**self._place, "api_url": "http://localhost", "api_key": key, "api_secret": secret}
        return Sync(load_settings(None, {}, **place, **self.options), self.receiver.transport, read_only=read_only)

    def plan(self, request: RunOptions) -> Plan:
        """Plan; nothing changes and nothing is sent."""
        self.receiver.prepare([], Switch())
        with self.sync(read_only=True) as sync:
            plan = sync.plan(request, 3)
        assert self.receiver.calls == 0, "a plan sent something"
        assert self.read_books() == self.books, "a plan wrote something"
        return plan

    def run(self, request: RunOptions, around: Circumstances) -> Outcome:
        """Run, and check all that must hold."""
        self._periods = self.books.open_periods
        wrong = self._refusal(request)
        outcome = self._step(lambda sync, interrupt: sync.run(request, interrupt), request, around)
        if wrong and around.are_calm:
            assert isinstance(outcome.error, UsageError)
        elif outcome.error and not isinstance(outcome.error, UsageError):
            assert isinstance(outcome.error, DatabaseError), outcome.error
            assert around.fail_at is not None
        elif not outcome.died:
            assert wrong == isinstance(outcome.error, UsageError), outcome.error
        return outcome

    def accept(self, ids: Sequence[str] | None, around: Circumstances) -> None:
        """Take what is in doubt as arrived."""
        doubtful = {key for key, row in self._recovered().items() if row["status"] == "in_doubt" and _is_meant(row, ids)}
        wrong = self._names_others(ids)
        outcome = self._step(lambda sync, _: sync.accept(ids), "accept", around)
        assert not (wrong and around.are_calm) or isinstance(outcome.error, UsageError)
        if outcome.count is not None:
            assert outcome.count == len(doubtful)
            assert all(self.books.state[key]["status"] == "sent" for key in doubtful)
        self._believed |= {key for key in doubtful if self.books.state[key]["status"] == "sent"}

    def prune(self, older_than: timedelta, around: Circumstances) -> None:
        """Take old detail out."""
        outcome = self._step(lambda sync, interrupt: sync.prune(older_than, interrupt), "prune", around)
        assert isinstance(outcome.error, UsageError) == (older_than < self.options["lookback"])  # type: ignore[operator]

    def refresh(self, around: Circumstances) -> None:
        """Send customers their present traits again: no call's record changes, no event leaves, no customer gets two in one go."""
        self._refreshing = True
        self._step(lambda sync, interrupt: sync.refresh(RunOptions(), interrupt), "refresh", around)
        self._refreshing = False

    def baseline(self, since: datetime | None, until: datetime, stream: Stream | None, source: str | None, around: Circumstances) -> None:
        """Settle the calls of a period as delivered elsewhere: nothing is sent, and what is settled or in doubt stays."""
        low: datetime | Beginning = Beginning.BEGINNING if since is None else since
        request = RunOptions(since=low, until=until, stream=stream, source=source)
        feeds, before = self.feeds_of(request), self.books
        wrong = low == until or any(
            feed in feeds and _overlap_in_part((since, until), (begins, ends)) for feed, begins, ends in self.open_baselines()
        )
        outcome = self._step(lambda sync, interrupt: sync.baseline(request, interrupt), "baseline", around)
        assert not self.receiver.calls, "a baseline sent something"
        if wrong:
            assert isinstance(outcome.error, UsageError)
            return
        assert around.fail_at is not None or outcome.died or outcome.error is None, outcome.error
        marks = self.books.watermarks[len(before.watermarks) :]
        for feed in feeds:
            reach = self.reach[feed]
            found = [mark["high_at"] for mark in marks if Feed(mark["source"], mark["stream"]) == feed]
            known, reach.watermark = reach.watermark, found[0] if found else reach.watermark
            assert known is None or (reach.watermark is not None and reach.watermark >= known)
            if known is None and reach.watermark is not None:
                assert (since, reach.watermark) == (None, until)
                reach.spans.append(Span(until, None, complete=True))
            self._check_nothing_passed(feed)
        self._check_skipped(before, feeds, since, until)
        if outcome.result is not None and outcome.result.summary.status in {RunStatus.SUCCEEDED, RunStatus.ATTENTION}:
            for row in self.rows.values():
                if all(Feed(copy.source, row.stream) in feeds and _holds(since, until, copy) for copy in row.copies):
                    assert self.books.state[row.key]["status"] in SETTLED | {"in_doubt"}, self.books.state[row.key]
            assert (since, until) not in {(begins, ends) for feed, begins, ends in self.open_baselines() if feed in feeds}

    def _check_skipped(self, before: Books, feeds: Sequence[Feed], since: datetime | None, until: datetime) -> None:
        """Only calls of the period are skipped, and what has no time only by a baseline from the beginning."""
        for key, found in self.books.state.items():
            if found["status"] == "skipped" and before.state.get(key, {}).get("status") != "skipped":
                copies = [copy for copy in self.rows[key].copies if Feed(copy.source, Stream(key[0])) in feeds]
                assert any(_holds(since, until, copy) or (since is None and copy.received_at is None) for copy in copies), found

    def finish_baselines(self) -> None:
        """Get done what baselines were asked for."""
        while unfinished := self.open_baselines():
            feed, since, until = unfinished[0]
            self.baseline(since, until, feed.stream, feed.source if len(self.sources) > 1 else None, Circumstances())
            assert len(self.open_baselines()) < len(unfinished)

    def _refusal(self, request: RunOptions) -> bool:
        """Whether a request cannot be meant."""
        if request.only is not None:
            return request.only.status is Status.IN_DOUBT and self._names_others(request.only.ids)
        if any(feed in self.feeds_of(request) for feed, _, _ in self.open_baselines()):
            return True
        for feed in self.feeds_of(request):
            low, _ = self._bounds(feed, request)
            if request.since is None and self.reach[feed].watermark is None and not self._open(feed):
                return True
            if low is not None and (low > self.now or (request.until is not None and low >= request.until)):
                return True
        return False

    def feeds_of(self, request: RunOptions) -> list[Feed]:
        """The feeds that a request names, which are all if it names none."""
        return [feed for feed in self.reach if request.stream in {None, feed.stream} and request.source in {None, feed.source}]

    def open_baselines(self) -> list[tuple[Feed, datetime | None, datetime]]:
        """The baselines that are not done, each with its bounds."""
        found = [row for row in self.books.open_periods if _BASELINE in row["opened_by"]]
        return [(Feed(row["source"], Stream(row["stream"])), row["since_at"], row["until_at"]) for row in found]

    def _open(self, feed: Feed) -> list[tuple[Any, Any]]:
        """The bounds of the periods of a feed that were not done when this step began."""
        mine = [row for row in self._periods if Feed(row["source"], row["stream"]) == feed and _BASELINE not in row["opened_by"]]
        return [(row["since_at"], row["until_at"]) for row in mine]

    def _names_others(self, ids: Sequence[str] | None) -> bool:
        """Whether one of these ids is neither a call in doubt nor a user who has one."""
        doubtful = [row for row in self._recovered().values() if row["status"] == "in_doubt"]
        return not {*(ids or ())} <= {row[name] for row in doubtful for name in ("message_id", "user_id")}

    def _bounds(self, feed: Feed, request: RunOptions) -> tuple[datetime | None, datetime | None]:
        """Where the window of a run begins at the latest, and at the earliest."""
        reach = self.reach[feed]
        if request.since is None and reach.watermark is None and (periods := self._open(feed)):
            starts = [low for low, _ in periods]
            low = None if None in starts else min(starts)
            return low, low
        if request.since is not None or reach.watermark is None:
            low = request.since if isinstance(request.since, datetime) else None
            return low, low
        lookback = self.options["lookback"]
        assert isinstance(lookback, timedelta)
        low = reach.watermark - lookback
        latest, earliest = (reach.begun_at(certain=certain) for certain in (True, False))
        return (low if latest is None else max(low, latest)), (low if earliest is None else max(low, earliest))

    def _step(self, act: Callable[[Sync, Interrupt], RunResult | int], request: RunOptions | str, around: Circumstances) -> Outcome:
        """Do one thing in one process, then hold what changed against what may change."""
        self.healthy = False
        before, self._complaints = self.books, []
        self.receiver.prepare(around.troubles, Switch(around.kill_at, around.fail_at, around.late))
        if self.lease_is_held:
            self._expect_held(act)
            self.expire_lease()
        self._license_repeats(request)
        self._codes = self._read_codes()
        self._since = {user_id: each.orders[CODE] for user_id, each in self._customers.items() if self._newest_wins and CODE in each.orders}
        outcome = self._act(act, around)
        self.books = self.read_books()
        assert not self._complaints, self._complaints
        self._check(request, around, before, outcome)
        self.healthy = True
        return outcome

    def _act(self, act: Callable[[Sync, Interrupt], RunResult | int], around: Circumstances) -> Outcome:
        interrupt = Interrupt()
        if around.interrupt_at is not None:
            self.receiver.listeners.append(lambda: interrupt.request(15) if self.receiver.calls > (around.interrupt_at or 0) else None)
        switch = self.receiver.switch
        with switch.between(), self.sync() as sync, beside(sync, self._warehouse, self._tables, around.neighbours):
            outcome = _hear(lambda: act(sync, interrupt), switch)
        lease = self._read(f"SELECT owner, expires_at FROM {self._schema}sync_lease WHERE owner IS NOT NULL")
        self.lease_is_held = any(row["expires_at"].year > 2020 for row in lease)
        assert not self.lease_is_held or outcome.died or isinstance(outcome.error, DatabaseError)
        return outcome

    def _expect_held(self, act: Callable[[Sync, Interrupt], RunResult | int]) -> None:
        """While a dead process still has the lease, nobody gets to do anything."""
        try:
            with self.sync() as sync:
                act(sync, Interrupt())
        except (LeaseHeldError, UsageError):
            pass
        else:
            raise AssertionError("a second process got the lease")
        assert self.read_books() == self.books
        assert self.receiver.calls == 0

    def _recovered(self, books: Books | None = None) -> dict[Key, Found]:
        """The state as the next process finds it once it has cleaned up after a dead one."""
        state = (books or self.books).state
        held = self.options["on_ambiguous_event"] == "hold"
        doubt = {"status": "in_doubt", "reason": Reason.CRASHED_IN_FLIGHT}
        failed = {"status": "failed", "reason": Reason.NETWORK_ERROR}
        return {
            key: {**row, **(doubt if held and row["stream"] != "identifies" else failed)} if row["status"] == "sending" else row
            for key, row in state.items()
        }

    def _license_repeats(self, request: RunOptions | str) -> None:
        """Note which events may be sent again although they may have arrived: somebody chose so."""
        if self.options["on_ambiguous_event"] == "resend":
            self._may_repeat |= {key for key, row in self.books.state.items() if row["status"] == "sending"}
        if isinstance(request, RunOptions) and request.only is not None:
            if request.only.status is Status.IN_DOUBT:
                self._may_repeat |= {
                    key for key, row in self._recovered().items() if row["status"] == "in_doubt" and _is_meant(row, request.only.ids)
                }
            if request.only.reason is Reason.REFUSED_BY_REHOOK:
                self._may_repeat |= {key for key, row in self.books.state.items() if row["reason"] == Reason.REFUSED_BY_REHOOK}

    # What the receiver sees.

    def _resolve(self, is_event: bool, user_id: str, key: str) -> tuple[Row, ...]:
        """Find the rows of a request by its key: one, or some Identify calls of the user."""
        mine = sorted((row for row in self.rows.values() if row.user_id == user_id), key=lambda row: row.order)
        mine = [row for row in mine if row.message_id is not None and (row.stream != Stream.IDENTIFIES) == is_event]
        for size in range(1, (1 if is_event else len(mine)) + 1):
            for some in combinations(mine, size):
                if sha256(f"{some[0].stream}:{chr(10).join(str(row.message_id) for row in some)}".encode()).hexdigest() == key:
                    return some
        if not self._refreshing:
            self._complaints.append(f"a request of {user_id} that stands for no row")
        return ()

    def _look(self, arrival: Arrival) -> None:
        if self._refreshing:
            self._watch_refresh(arrival)
        else:
            self._watch(arrival)

    def _watch(self, arrival: Arrival) -> None:
        """What must hold at the moment a request arrives."""
        marked = self._read(f"SELECT stream, message_id FROM {self._schema}sync_state WHERE status = 'sending'")
        most = 2 * int(str(self.options["concurrency"]))
        for stream, count in Counter(str(row["stream"]) for row in marked).items():
            if count > most:
                self._complaints.append(f"{count} rows of {stream} are marked, at most {most} may be")
        last = arrival.rows[-1] if arrival.rows else None
        if last is not None and last.key not in {(row["stream"], row["message_id"]) for row in marked} and not self._needs_no_mark(last):
            self._complaints.append(f"{last.key} was sent without a durable mark")
        if self.receiver.open[arrival.user_id]:
            self._complaints.append(f"two requests of {arrival.user_id} are open at once")
        if not self._says_what_the_rows_say(arrival):
            self._complaints.append(f"{[row.key for row in arrival.rows]} went out as {arrival.body}")
        if arrival.stream != Stream.IDENTIFIES and last is not None and arrival.left:
            settled = last.key in self._left and last.key not in self._may_repeat
            for each in self.receiver.arrivals:
                if each.rows == arrival.rows and each.left and each.outcome not in {"unprocessed", "denied"}:
                    settled = each.outcome != "unknown" or self.options["on_ambiguous_event"] != "resend"
            if settled:
                self._complaints.append(f"{last.key} was sent again")

    def _watch_refresh(self, arrival: Arrival) -> None:
        """A refresh says what the customer's settled calls say, each trait by the newest, and says it once."""
        expected, unsure = self._customers[arrival.user_id], self._unsure[arrival.user_id]
        if arrival.stream != Stream.IDENTIFIES or arrival.rows:
            self._complaints.append(f"a refresh sent {arrival.body} for {[row.key for row in arrival.rows]}")
        if any(each.accepted and each.user_id == arrival.user_id and each is not arrival for each in self.receiver.arrivals):
            self._complaints.append(f"a refresh sent {arrival.user_id} twice")
        if self.receiver.open[arrival.user_id]:
            self._complaints.append(f"two requests of {arrival.user_id} are open at once")
        if not unsure and (arrival.body["metadata"], arrival.body.get(CODE)) != (expected.metadata, expected.code):
            self._complaints.append(f"{arrival.user_id} was refreshed with {arrival.body}, and has {expected.metadata}")

    def _needs_no_mark(self, row: Row) -> bool:
        """Tell whether a call that is carried out, but never recorded, leaves the books right: a customer of whom they know nothing."""
        known = self._read(f"SELECT source_id FROM {self._schema}sync_customers WHERE trait_hashes IS NOT NULL")
        recorded = self._read(f"SELECT stream, message_id FROM {self._schema}sync_state WHERE status <> 'failed'")
        return (
            row.stream == Stream.IDENTIFIES
            and row.user_id not in {each["source_id"] for each in known}
            and row.key not in {(each["stream"], each["message_id"]) for each in recorded}
        )

    def _says_what_the_rows_say(self, arrival: Arrival) -> bool:
        folded, code = fold(arrival.rows)
        metadata: Mapping[str, object] = folded
        if arrival.stream == Stream.IDENTIFIES and self._newest_wins:
            newest = {trait: row for row in arrival.rows for trait in row.fields}
            stale = {trait for trait, row in newest.items() if trait in self._customers[arrival.user_id].stale(row)}
            metadata, code = _without(metadata, stale), None if CODE in stale else code
        expected: dict[str, object] = {"source_id": arrival.user_id, "metadata": metadata}
        if arrival.stream != Stream.IDENTIFIES:
            expected["event_name"] = arrival.rows[-1].event_name if arrival.rows else None
        elif code is not None:
            expected["referral_code"] = code
        return arrival.body == expected

    def _note_arrivals(self) -> None:
        """Remember which events may be with Rehook, and whether they may ever be sent again."""
        resend = self.options["on_ambiguous_event"] == "resend"
        for arrival in self.receiver.arrivals:
            for row in arrival.rows:
                self._carried_out[row.key] += arrival.accepted
                if not arrival.left or arrival.outcome in {"unprocessed", "denied"}:
                    continue
                self._left.add(row.key)
                self._may_repeat.discard(row.key)
                if arrival.outcome == "unknown" and resend:
                    self._may_repeat.add(row.key)

    # What must hold after each step.

    def _check(self, request: RunOptions | str, around: Circumstances, before: Books, outcome: Outcome) -> None:
        arrivals = self.receiver.arrivals
        changed = {key: row for key, row in self.books.state.items() if before.state.get(key) != row}
        if isinstance(outcome.error, UsageError | LeaseHeldError):
            assert not arrivals
            assert {key: row for key, row in changed.items() if before.state[key]["status"] != "sending"} == {}
            return
        assert before.state.keys() <= self.books.state.keys(), "what was recorded is gone"
        self._check_settled(request, before)
        self._check_events_are_known()
        self._check_order(request)
        for key, row in changed.items():
            self._check_status(key, row, before.state.get(key), request)
        self._note_arrivals()
        self._note_settled({key: row for key, row in changed.items() if request != "prune"}, before.codes)
        self._check_customers()
        marked = Counter(str(row["stream"]) for row in self.books.state.values() if row["status"] == "sending")
        assert all(count <= 2 * int(str(self.options["concurrency"])) for count in marked.values())
        if outcome.result is not None and isinstance(request, RunOptions):
            assert not marked
            self._check_result(outcome.result, request, around, before)
        if not isinstance(request, str) and request.only is None:
            self._check_reach(request, around, before, outcome)
        if outcome.error is None and not outcome.died:
            self._check_runs()
            if not self._codes_are_unsure and around.fail_at is None:
                codes = self._read_codes()
                assert self.books.codes == codes, f"the books of codes say {self.books.codes}, the calls {codes}"

    @property
    def _newest_wins(self) -> bool:
        return self.options["customer_updates"] == "changed"

    def _read_codes(self) -> dict[str, str]:
        """The codes that customers have by the calls that were settled."""
        return {user_id: each.code for user_id, each in self._customers.items() if each.code is not None}

    @property
    def _codes_are_unsure(self) -> bool:
        """Whether a request with a code was carried out, and the call that it stood for rejected after all."""
        return any("code" in unsure for unsure in self._unsure.values())

    def _check_settled(self, request: RunOptions | str, before: Books) -> None:
        """What is settled stays as it is; only what a verb is for changes."""
        selection = request.only if isinstance(request, RunOptions) else None
        for key, old in before.state.items():
            new = self.books.state[key]
            if old["status"] not in SETTLED or new == old:
                continue
            if request == "prune":
                emptied = _PRUNED if old["status"] == "skipped" else (*_PRUNED, "detail")
                assert new == {**old, **dict.fromkeys(emptied)}
                continue
            assert selection is not None, f"{key} was settled and changed: {old} {new}"
            assert selection.status is Status.REJECTED
            assert old["status"] == "rejected"
            assert old["reason"] == selection.reason or (selection.reason is None and old["reason"] != Reason.REFUSED_BY_REHOOK)

    def _check_events_are_known(self) -> None:
        """Whatever may be with Rehook is recorded as sent, in doubt or in flight."""
        for arrival in self.receiver.arrivals:
            if arrival.stream != Stream.IDENTIFIES and arrival.accepted:
                (row,) = arrival.rows
                if self.options["on_ambiguous_event"] == "resend" and arrival.outcome == "unknown" and row.key not in self.books.state:
                    continue  # Rehook was down, for which no row is to blame: the next run takes it as new
                assert row.key in self.books.state, f"{row.key} arrived and is not recorded"
                status = self.books.state[row.key]["status"]
                ended = {"sent", "in_doubt", "sending"}
                if self.options["on_ambiguous_event"] == "resend" or row.key in self._may_repeat:
                    ended |= {"failed", "rejected"}
                assert status in ended, f"{row.key} arrived and is {status}"

    def _check_order(self, request: RunOptions | str) -> None:
        """A user's requests arrive in the order of their times; what is merged stands where its first call stood.

        With a limit, what is new comes before periods that are open, in which older calls may lie.
        """
        if isinstance(request, RunOptions) and request.limit is not None and self._periods:
            return
        last: dict[str, tuple[datetime, int, str]] = {}
        merged: list[tuple[Row, ...]] = []
        for arrival in self.receiver.arrivals if not self._refreshing else ():
            place = arrival.rows[0].order
            assert last.get(arrival.user_id, place) <= place, f"out of order: {arrival}"
            if arrival.accepted:
                last[arrival.user_id] = place
                if len(arrival.rows) > 1:
                    merged.append(arrival.rows)
        for arrival in self.receiver.arrivals:
            if arrival.stream != Stream.IDENTIFIES and arrival.accepted:
                (event,) = arrival.rows
                for rows in merged:
                    assert rows[0].user_id != event.user_id or not rows[0].order < event.order < rows[-1].order, "merged over an event"

    def _check_status(self, key: Key, row: Found, old: Found | None, request: RunOptions | str) -> None:
        """A status is explained by the rules, or by what the receiver saw."""
        call = self.rows[key]
        requests = [arrival for arrival in self.receiver.arrivals if call in arrival.rows]
        outcomes = [arrival.outcome for arrival in requests]
        reason, status = row["reason"], row["status"]
        explained = status in {"skipped", "rejected", "failed", "waiting", "in_doubt"}
        assert (reason is not None) == explained or (status, reason) == ("unchanged", Reason.SUPERSEDED), row
        assert (row["settled_at"] is not None) == (status in SETTLED), row
        assert (row["sent_as"] is not None) == (status == "merged" and row["user_id"] is not None), row
        assert status != "skipped" or request == "baseline" or (old is not None and old["status"] == "skipped"), row
        if request in ("accept", "prune", "baseline") or (
            old is not None and old["status"] == "sending" and row["run_id"] == old["run_id"]
        ):
            return
        if old is not None and status == old["status"] and status != "failed":
            return
        if status == "sent":
            assert "ok" in outcomes, f"{key} is sent and was never answered for"
        elif status == "merged":
            assert self.books.state[key[0], row["sent_as"]]["status"] == "sent"
            assert "ok" in outcomes
            assert self.options["customer_updates"] == "changed"
        elif status == "unchanged":
            assert self.options["customer_updates"] == "changed"
            assert call.stream == Stream.IDENTIFIES
        elif status == "rejected":
            self._check_rejection(call, row, requests)
        elif status == "waiting":
            assert not outcomes
            assert reason == plain_reason(call, self.options)[0] == Reason.PROPERTIES_NOT_LOADED
        elif status == "in_doubt":
            assert call.stream != Stream.IDENTIFIES
            assert self.options["on_ambiguous_event"] == "hold"
            assert outcomes[-1] == "unknown"
        elif status == "failed" and reason != Reason.BLOCKED_BY_EARLIER:
            assert not outcomes or outcomes[-1] in {"unprocessed", "unknown", None}, f"{key} failed after {outcomes}"

    def _check_rejection(self, call: Row, row: Found, requests: Sequence[Arrival]) -> None:
        expected, certain = plain_reason(call, self.options)
        if row["reason"] == Reason.REFUSED_BY_REHOOK:
            assert expected is None
            assert requests[-1].rows == (call,), f"{call.key} was refused together with others"
            assert requests[-1].outcome == "refused"
            return
        assert not requests
        if row["reason"] == Reason.REFERRAL_CODE_TAKEN:
            assert not certain
            assert call.stream == Stream.IDENTIFIES
            assert call.code is not None
        else:
            assert row["reason"] == expected

    def _note_settled(self, changed: Mapping[Key, Found], codes: Mapping[str, str]) -> None:
        """Keep what each customer was given, in order. Where a request got lost and then refused, nobody can be sure."""
        # What our rules reject was delivered by nobody: it leaves nothing behind.
        skipped = judge(
            (self.rows[key] for key, found in changed.items() if found["status"] == "skipped"), self.options, dict(codes), dict(self._since)
        )
        for key in sorted(changed, key=lambda each: self.rows[each].order):
            row, status = self.rows[key], changed[key]["status"]
            if row.stream != Stream.IDENTIFIES or row.user_id is None:
                continue
            touched = {*row.fields, *(["code"] if row.code else [])}
            customer = self._customers[row.user_id]
            if status in {"sent", "merged", "unchanged"} and row not in customer.rows:
                stale = customer.stale(row) if self._newest_wins else set()
                customer.settle(row, newest_wins=self._newest_wins)
                self._unsure[row.user_id] -= touched - stale - ({"code"} if CODE in stale else set())
            elif status == "skipped" and row not in customer.rows and skipped[key] is None:
                # Nobody gave them to this Rehook: what it has of these traits is not what the calls say.
                self._elsewhere.add(key)
                self._unsure[row.user_id] |= touched - customer.stale(row)
                customer.settle(row, newest_wins=True)
            elif status == "rejected" and self._carried_out[key]:
                self._unsure[row.user_id] |= touched

    def _check_customers(self) -> None:
        """A customer without anything unsettled has what his settled Identify calls say, each trait by the newest."""
        open_users = {self.rows[key].user_id for key, row in self.books.state.items() if row["status"] in {"failed", "sending"}}
        open_users |= {self.rows[key].user_id for key, times in self._carried_out.items() if times and key not in self.books.state}
        for user_id, expected in self._customers.items():
            if user_id in open_users or not expected.rows:
                continue
            if user_id not in self.receiver.store.customers:
                assert any(row.key in self._elsewhere for row in expected.rows), f"{user_id} was sent and is not there"
                continue
            customer, unsure = self.receiver.store.customers[user_id], self._unsure[user_id]
            assert _without(customer.metadata, unsure) == _without(expected.metadata, unsure), f"{user_id} has other traits than were sent"
            if "code" not in unsure:
                assert customer.referral_code == expected.code, f"{user_id} has another code than was sent"

    def _check_result(self, result: RunResult, request: RunOptions, around: Circumstances, before: Books) -> None:
        summary = result.summary
        assert summary.requests == self.receiver.calls
        own = [row for row in self.books.state.values() if row["run_id"] == summary.run_id]
        counted = {status: sum(row["status"] == status for row in own) for status in STATUSES}
        assert counted == {status: getattr(summary, status) for status in STATUSES}, (counted, summary)
        assert summary.rows_read == sum(counted.values())
        judged = {(row["stream"], self._name_of(row)) for row in own}
        assert request.limit is None or len(judged - self._still_waiting(before)) <= request.limit
        if around.troubles and {"denied", "later"} & self.receiver.met.keys():
            assert isinstance(result.error, StoppedError)
        if result.error is not None:
            assert around.troubles or around.fail_at is not None, result.error
            assert summary.status is RunStatus.STOPPED or around.interrupt_at is not None
        if set(self.receiver.met) == {"denied"}:
            assert isinstance(result.error, CredentialsRefusedError)
            assert not [row for row in own if row["status"] in {"failed", "in_doubt"} and row["reason"] != Reason.CRASHED_IN_FLIGHT]
        if {each.effect for each in around.troubles} == {"no_connection"} and all(
            each.path == "all" and each.user_id is None and each.times is None for each in around.troubles
        ):
            assert not self.receiver.met or isinstance(result.error, StoppedError)
            assert not [row for row in own if row["status"] in {"failed", "in_doubt"}]
        if around.are_calm:
            self._check_calm(result, request, own, before)
        users = {each.user_id for each in around.troubles}
        if around.troubles and None not in users and around.fail_at is None and around.interrupt_at is None and not result.error:
            self._check_bystanders(own, users)

    def _check_calm(self, result: RunResult, request: RunOptions, own: Sequence[Found], before: Books) -> None:
        """Nothing went wrong: every row that is due is judged, by the rules alone, and settled."""
        assert result.error is None
        assert {row["status"] for row in own} <= SETTLED | {"waiting"}, [row for row in own if row["status"] not in SETTLED]
        judged = {(row["stream"], self._name_of(row)) for row in own}
        if request.only is not None:
            meant = self._meant(request.only, before)
            stand = (
                {key for key in meant - judged if self._stands(key, before.state[key])} if request.only.status is Status.REJECTED else set()
            )
            assert judged | stand == meant
        else:
            must, may = self._due(request, before)
            assert judged <= may
            if request.limit is None:
                assert must <= judged, must - judged
            else:
                still = self._still_waiting(before)
                assert len(judged - still) >= min(request.limit, len(must - still))
        if self._codes_are_unsure:
            return
        verdicts = judge((self.rows[key] for key in judged), self.options, self._codes, dict(self._since))
        for key in judged:
            row = self.books.state[key]
            found = row["reason"] if row["status"] in {"rejected", "waiting"} else None
            assert found == verdicts[key], f"{key} is {row['status']} {found} and should be {verdicts[key]}"

    def _still_waiting(self, before: Books) -> set[Key]:
        """Rows that waited before and wait now: no limit counts them."""
        return {key for key, row in before.state.items() if row["status"] == self.books.state[key]["status"] == "waiting"}

    def _stands(self, key: Key, row: Found) -> bool:
        """Whether a rejected call is rejected again for the same reason: then its record stays as it was."""
        reason = row["reason"]
        return bool(reason == Reason.REFERRAL_CODE_TAKEN or plain_reason(self.rows[key], self.options)[0] == reason)

    def _meant(self, selection: Selection, before: Books) -> set[Key]:
        """Recorded rows that a verb takes up again."""
        rows = self._recovered(before)
        chosen = {
            key
            for key, row in rows.items()
            if row["status"] == selection.status
            and _is_meant(row, selection.ids)
            and (selection.reason or row["reason"]) == row["reason"]
            and (selection.reason is not None or row["reason"] != Reason.REFUSED_BY_REHOOK)
        }
        if selection.status is Status.REJECTED:
            return chosen
        if selection.status is Status.FAILED and selection.reason is None:
            return chosen
        users = {rows[key]["user_id"] for key in chosen}
        return {key for key, row in rows.items() if key in chosen or (row["status"] == "failed" and row["user_id"] in users)}

    def _due(self, request: RunOptions, before: Books) -> tuple[set[Key], set[Key]]:
        """Rows that a run must take up, and those it may."""
        high = self.now if request.until is None else min(request.until, self.now)
        must: set[Key] = set()
        may: set[Key] = set()
        for row in self.rows.values():
            feeds = [feed for feed in self.feeds_of(request) if feed.stream == row.stream]
            if not feeds:
                continue
            bounds = {feed.source: self._bounds(feed, request) for feed in feeds}
            asked = any(row.is_due(low, end, feed.source) for feed in feeds for low, end in self._open(feed))
            old = before.state.get(row.key)
            again = old is not None and old["status"] in {"failed", "waiting", "sending"}
            if old is None or again:
                due = any(row.is_due(latest, high, source) for source, (latest, _) in bounds.items()) or (asked and request.until is None)
                if (old is not None and again and old["status"] != "sending" and old["source"] in bounds) or (not again and due):
                    must.add(row.key)
                if again or asked or any(row.is_due(earliest, high, source) for source, (_, earliest) in bounds.items()):
                    may.add(row.key)
        return must, may

    def _check_bystanders(self, own: Sequence[Found], users: set[str | None]) -> None:
        """Who has no trouble is not held up, unless he waits for a code."""
        stuck: dict[str, list[Row]] = defaultdict(list)
        for row in own:
            call = self.rows[row["stream"], self._name_of(row)]
            if row["status"] == "failed" and call.user_id not in users:
                stuck[str(call.user_id)].append(call)
        for user_id, calls in stuck.items():
            first = min(calls, key=lambda each: each.order)
            assert any(each.code for each in calls if each.stream == Stream.IDENTIFIES), f"{user_id} is held up at {first.key}"

    def _check_reach(self, request: RunOptions, around: Circumstances, before: Books, outcome: Outcome) -> None:
        """The watermark moves forward only, never beyond now, and over nothing that is not recorded."""
        high = self.now if request.until is None else min(request.until, self.now)
        marks = self.books.watermarks[len(before.watermarks) :]
        for feed in self.feeds_of(request):
            reach, (low, _) = self.reach[feed], self._bounds(feed, request)
            known = reach.watermark
            found = [mark["high_at"] for mark in marks if Feed(mark["source"], mark["stream"]) == feed]
            assert len(found) <= 1
            if not found:
                assert outcome.result is None
                continue
            watermark = found[0]
            reach.watermark = watermark
            if watermark is not None:
                complete = outcome.result is not None and outcome.result.error is None and around.are_calm and request.limit is None
                reach.spans.append(Span(low, request.until, complete))
            assert known is None or (watermark is not None and watermark >= known)
            assert watermark is None or watermark <= self.now
            assert outcome.result is None or outcome.result.watermarks[feed] == watermark
            if outcome.result is not None and (outcome.result.error or outcome.result.summary.status is RunStatus.INTERRUPTED):
                assert watermark == known
            self._check_nothing_passed(feed)
            if around.are_calm and request.limit is None and (known is None or low is None or low <= known):
                times = [copy.received_at for row in self.rows.values() for copy in row.copies if Feed(copy.source, row.stream) == feed]
                due = [time for time in times if time is not None and time < high and (low is None or low <= time)]
                assert watermark is not None
                assert watermark >= max(due, default=watermark)

    def _check_nothing_passed(self, feed: Feed) -> None:
        reach = self.reach[feed]
        if reach.watermark is None:
            return
        begun_at = reach.begun_at(certain=True)
        for row in self.rows.values():
            if row.stream == feed.stream and row.key not in self.books.state:
                for copy in row.copies if row.key not in self.books.state else ():
                    time = copy.received_at
                    # Where nothing was read yet, the watermark is the start itself, and the next run begins with what came then.
                    passed = (
                        copy.source == feed.source
                        and time is not None
                        and time <= reach.watermark
                        and (begun_at is None or time >= begun_at)
                        and not time == reach.watermark == begun_at
                    )
                    assert not (passed and copy.promised), f"the watermark passed {row.key}"

    def _check_runs(self) -> None:
        for run in self.books.runs:
            assert run["status"] != "running"
            assert run["rows_read"] == sum(run[status] for status in STATUSES), run

    # The end.

    def finish(self, *, resend: bool) -> None:
        """Let everything come right: nothing goes wrong any more, doubts are resolved, all history is read."""
        calm = Circumstances
        self.finish_baselines()
        self.load_late([row for row in self.rows.values() if not row.loaded])
        beginning = RunOptions(since=Beginning.BEGINNING)
        self.run(beginning, calm())
        if resend:
            self.run(RunOptions(only=Selection(Status.IN_DOUBT)), calm())
        else:
            self.accept(None, calm())
        last = self.run(beginning, calm())
        assert last.result is not None
        assert last.result.summary.status is RunStatus.SUCCEEDED
        due = {key for key, row in self.rows.items() if row.is_due(None, self.now)}
        assert self.books.state.keys() == due
        for key, row in self.books.state.items():
            assert row["status"] in SETTLED
            if row["stream"] != "identifies" and row["status"] == "sent" and key not in self._believed:
                assert self._carried_out[key], f"{key} is recorded as sent and never arrived"
            elif row["stream"] != "identifies" and row["status"] != "sent" and key not in self._left:
                assert not self._carried_out[key]
        if not self._codes_are_unsure:
            owners = {user_id: code for code, user_id in self.receiver.store.owners.items()}
            assert self.books.codes == owners, "the books of referral codes differ"
        quiet = self.run(RunOptions(), calm())
        assert quiet.result is not None
        assert (quiet.result.summary.rows_read, self.receiver.calls) == (0, 0)


def _hear(act: Callable[[], RunResult | int], switch: Switch) -> Outcome:
    """Do something and say how it ended."""
    try:
        done = act()
    except RehookSyncError as error:
        return Outcome(error=error)
    except (Killed, BaseExceptionGroup):
        if not switch.dead:
            raise
        return Outcome(died=True)
    return Outcome(done) if isinstance(done, RunResult) else Outcome(count=done)


def _open(url: str) -> Engine:
    return (
        create_engine(url, poolclass=NullPool)
        if url.startswith("sqlite")
        else create_engine(url, connect_args={"options": "-c timezone=UTC"})
    )


def _time(value: object) -> datetime | None:
    moment = datetime.fromisoformat(value) if isinstance(value, str) else value
    assert moment is None or isinstance(moment, datetime)
    return moment if moment is None else moment.astimezone(UTC)


def _earlier(left: datetime | None, right: datetime | None) -> datetime | None:
    return None if left is None or right is None else min(left, right)


def _holds(since: datetime | None, until: datetime, copy: Copy) -> bool:
    """Whether a load came in a period."""
    return copy.received_at is not None and (since is None or since <= copy.received_at) and copy.received_at < until


def _overlap_in_part(one: tuple[datetime | None, datetime], other: tuple[datetime | None, datetime]) -> bool:
    """Whether two periods have a time in common, and neither holds the other."""
    (low, high), (begins, ends) = ((since or datetime.min.replace(tzinfo=UTC), until) for since, until in (one, other))
    apart = low >= ends or begins >= high
    return not apart and not (low <= begins and ends <= high) and not (begins <= low and high <= ends)


def _is_meant(row: Found, ids: Iterable[str] | None) -> bool:
    return ids is None or row["message_id"] in ids or row["user_id"] in ids


def _without(metadata: Mapping[str, object], keys: Iterable[str]) -> dict[str, object]:
    return {key: value for key, value in metadata.items() if key not in keys}
