"""The books of a sync, audited from outside: warehouse, sync-state tables and what Rehook received must agree.

`assert_numbers_add_up` looks once. `Audit` looks after each run and also holds what was settled before against it.
`Bench` is a warehouse, sync-state tables and a sandbox for one test; each of its runs is audited.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from hashlib import blake2b, sha256
from itertools import pairwise
from typing import Any

import orjson
import pytest
from sqlalchemy import inspect, make_url
from warehouse import CLOUDS, OPTIONS, WAREHOUSES, Row, engine_to, make_warehouse, run_sql

from rehook_sync.jobs.results import Plan, Progress, RunOptions, RunResult
from rehook_sync.rules.watermark import Beginning
from rehook_sync.runtime import Interrupt
from rehook_sync.sandbox.server import Sandbox
from rehook_sync.sandbox.store import FakeRehook, Received
from rehook_sync.settings import Settings, load_settings
from rehook_sync.sync import Sync

__all__ = [
    "ALL",
    "NOW",
    "PLACES",
    "READ_ALONE",
    "Audit",
    "Bench",
    "Books",
    "ago",
    "assert_numbers_add_up",
    "bench",
    "idempotency_key",
    "open_bench",
    "read_metadata",
    "read_rows",
]

ALL = Beginning.BEGINNING
NOW = datetime.now(UTC).replace(microsecond=0) - timedelta(minutes=5)
"""A time that the databases' clocks have passed; tests date their rows before it."""
PLACES = ("sqlite-same", "postgresql-same", "postgresql-sqlite", "sqlite-postgresql")
"""Where the warehouse is, and where the sync-state tables are."""
READ_ALONE = ("duckdb-sqlite", "redshift-sqlite", "snowflake-sqlite")
"""The same for warehouses that cannot hold them."""

SETTLED = ("sent", "unchanged", "merged", "skipped", "rejected")
STATUSES = (*SETTLED, "failed", "waiting", "in_doubt")
_RANK = {"identifies": 0, "tracks": 1}
_TABLES = ("sync_runs", "sync_watermarks", "sync_state", "sync_customers")
Key = tuple[str, str]
Found = Mapping[str, Any]


@dataclass(frozen=True)
class Call:
    """One row of the warehouse as the audit sees it; `message_id` is None when it has none."""

    message_id: str | None
    received_at: datetime | None
    content: tuple[object, ...]


@dataclass(frozen=True)
class Books:
    """All that is written down at one moment; times are aware UTC.

    Shape:  calls: stream -> its rows, of all sources.  state: (stream, message id) -> row of sync_state.
            feeds: (source, stream) -> its rows; the source is empty where all that is recorded is of one.
    """

    calls: Mapping[str, Sequence[Call]]
    state: Mapping[Key, Found]
    runs: Sequence[Found]
    watermarks: Sequence[Found]
    customers: Sequence[Found]
    feeds: Mapping[Key, Sequence[Call]] = field(default_factory=dict)


def assert_numbers_add_up(
    warehouse_url: str, state_url: str | None = None, *, schema: str | None = None, received: FakeRehook | None = None, **options: Any
) -> Books:
    """Audit a finished run once; `options` are those of `Audit.check`."""
    return Audit(warehouse_url, state_url, schema=schema, received=received).check(**options)


@dataclass
class Audit:
    """Looks at the books after each run.

    Shape:  received: the memory of the Rehook that got the requests, None when nobody can look there.
            sources: name -> schema, if there are several.  others: tables of other calls, which are streams.
    """

    warehouse_url: str
    state_url: str | None = None
    schema: str | None = None
    received: FakeRehook | None = None
    cursor: str = "received_at"
    sources: Mapping[str, str] = field(default_factory=dict)
    others: Sequence[str] = ()
    _settled: dict[Key, Found] = field(default_factory=dict)
    _seen: int = 0

    def check(
        self,
        *,
        complete: bool = True,
        missed: Collection[str] = (),
        gone: Collection[str] = (),
        uncertain: bool = False,
        ordered: bool = True,
        customers: Mapping[str, Mapping[str, object]] | None = None,
    ) -> Books:
        """Hold everything against each other.

        complete: the newest run was to read its whole window.  missed: ids nobody looks for any more.  gone: ids that left the warehouse.
        uncertain: answers were lost, so requests may have arrived more than once.  ordered: look at the order of what arrived since.
        customers: user id -> what Rehook must have in the end.
        """
        books = read_books(self.warehouse_url, self.state_url, self.sources or {"": self.schema}, self.cursor, self.others)
        check_runs(books)
        check_coverage(books, complete=complete, missed=missed, gone=gone)
        for key, row in self._settled.items():
            assert books.state.get(key) == row, f"{key} was settled and changed"
        self._settled = {key: row for key, row in books.state.items() if row["status"] in SETTLED}
        if self.received is not None:
            check_events(books, self.received, uncertain=uncertain)
            known = check_customers(books, self.received, uncertain=uncertain)
            if ordered:
                check_order(books, known, self.received.log[self._seen :])
            assert uncertain or self.received.overlaps == 0, "two requests of one user were open at once"
            self._seen = len(self.received.log)
            for user_id, metadata in (customers or {}).items():
                assert self.received.customers[user_id].metadata == metadata
        return books

    def rename(self, sources: Mapping[str, str]) -> None:
        """Expect what was settled under other names of sources: old -> new."""
        self._settled = {key: {**row, "source": sources.get(row["source"], row["source"])} for key, row in self._settled.items()}


@dataclass
class Bench:
    """One warehouse, one set of sync-state tables and one Rehook.

    Shape:  options: settings of every run, by their field names.  missed, gone: as `Audit.check` takes them.
    """

    warehouse_url: str
    state_url: str | None
    sandbox: Sandbox
    options: dict[str, object] = field(default_factory=dict)
    missed: set[str] = field(default_factory=set)
    gone: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.audit = Audit(self.warehouse_url, self.state_url, received=self.sandbox.store)

    def fill(self, identifies: Sequence[Row] = (), tracks: Sequence[Row] = (), **more: Any) -> None:
        """Create the warehouse: identifies, tracks and event tables; `types` as `make_warehouse` takes them. Then `init`.

        Without event tables, events go out with what `tracks` has: no test loads their properties later.
        """
        types = more.pop("types", None)
        if not more:
            self.options.setdefault("missing_properties", "send")
        make_warehouse(self.warehouse_url, {"identifies": identifies, "tracks": tracks, **more}, types=types)
        with self.sync() as sync:
            sync.init()

    def fill_sources(self, sources: Mapping[str, Mapping[str, Sequence[Row]]], types: Mapping[str, Any] | None = None) -> None:
        """Create a schema for each source, with its tables, and name them all in the settings. Then `init`."""
        for name, tables in sources.items():
            make_warehouse(self.warehouse_url, {"identifies": [], "tracks": [], **tables}, schema=name, types=(types or {}).get(name))
        self.use(*sources)
        with self.sync() as sync:
            sync.init()

    def use(self, *entries: str) -> None:
        """Name these sources in the settings: schemas, or `name=schema`."""
        self.options["warehouse_schema"] = list(entries)
        self.audit.sources = {name: schema or name for name, _, schema in (each.partition("=") for each in entries)}

    def settings(self, **changes: object) -> Settings:
        """Settings for these databases and this sandbox."""
        key, secret = self.sandbox.credentials
        plain = {"warehouse_url": self.warehouse_url, "state_url": self.state_url, "api_url": self.sandbox.url}
        if self.warehouse_url in OPTIONS:
            plain["warehouse_options"] = OPTIONS[self.warehouse_url]  # type: ignore[assignment]
        small = {"api_key": key, "api_secret": secret, "concurrency": 4, "chunk_rows": 7, "timeout": 5, "max_attempts": 2}
        return load_settings(None, {}, **{**plain, **small, **self.options, **changes})

    @contextmanager
    def sync(self, **changes: object) -> Iterator[Sync]:
        """The job itself, as a new process would make it."""
        with Sync(self.settings(**changes)) as sync:
            yield sync

    def run(self, since: datetime | Beginning | None = None, **more: Any) -> RunResult:
        """Run once and audit. `more`: what `RunOptions` and `Audit.check` take, `interrupt` and `listen`; all else are settings."""
        asked = {name: more.pop(name) for name in ("until", "stream", "source", "limit") if name in more}
        interrupt: Interrupt = more.pop("interrupt", None) or Interrupt()
        listen: Callable[[Progress], None] | None = more.pop("listen", None)
        audited = {name: more.pop(name) for name in ("complete", "uncertain", "ordered", "customers") if name in more}
        looks = more.pop("check", True)
        with self.sync(**more) as sync:
            result = sync.run(RunOptions(since=since, **asked), interrupt, listen)
        if not looks:
            return result
        self._compare(result, self.check(**{"complete": asked.get("limit") is None, **audited}))
        return result

    def plan(self, since: datetime | Beginning | None = None, samples: int = 0, **settings: object) -> Plan:
        """Plan the whole of both streams."""
        with self.sync(**settings) as sync:
            return sync.plan(RunOptions(since=since), samples)

    def check(self, **options: Any) -> Books:
        """Audit now."""
        return self.audit.check(missed=self.missed, gone=self.gone, **options)

    def read_state(self, table: str) -> list[dict[str, Any]]:
        """All rows of a sync-state table."""
        return read_rows(self.state_url or self.warehouse_url, f"SELECT * FROM {self.name_of(table)}")

    def change_state(self, *statements: str) -> None:
        """Run statements on the sync-state tables, named as `{sync_state}`."""
        names = {table: self.name_of(table) for table in (*_TABLES, "sync_lease", "sync_migrations")}
        run_sql(self.state_url or self.warehouse_url, *(each.format(**names) for each in statements))

    def name_of(self, table: str) -> str:
        """A sync-state table as SQL names it."""
        return table if make_url(self.state_url or self.warehouse_url).get_backend_name() == "sqlite" else f"rehook_sync.{table}"

    def statuses(self) -> dict[str, str]:
        """Message id -> status, with the reason where there is one."""
        return {row["message_id"]: ":".join(filter(None, (row["status"], row["reason"]))) for row in self.read_state("sync_state")}

    def watermark(self, stream: str = "tracks") -> datetime | None:
        """The newest watermark of a stream."""
        return _newest_mark(self.read_state("sync_watermarks"), stream)

    def bodies(self, *user_ids: str) -> list[str]:
        """Accepted request bodies in order of arrival, of these users or all."""
        log = [each for each in self.sandbox.store.log if each.accepted and (not user_ids or each.source_id in user_ids)]
        return [each.body.decode() for each in log]

    def events(self) -> Counter[tuple[str, str]]:
        """How often each event of each user arrived."""
        return Counter((each.source_id, each.event_name) for each in self.sandbox.store.events)

    def metadata(self) -> list[dict[str, Any]]:
        """Metadata of the accepted requests in order of arrival."""
        return [read_metadata(body) for body in self.bodies()]

    def _compare(self, result: RunResult, books: Books) -> None:
        """What the caller hears is what is written down."""
        (row,) = [row for row in books.runs if row["run_id"] == result.summary.run_id]
        assert {name: getattr(result.summary, name) for name in (*STATUSES, "rows_read", "requests", "status", "error")} == {
            name: row[name] for name in (*STATUSES, "rows_read", "requests", "status", "error")
        }
        for feed, high_at in result.watermarks.items():
            marks = [row for row in books.watermarks if row["source"] == feed.source]
            assert high_at == _newest_mark(marks, feed.stream)


def _newest_mark(watermarks: Iterable[Found], stream: str) -> datetime | None:
    return max((row["high_at"] for row in watermarks if row["stream"] == stream and row["high_at"] is not None), default=None)


def read_metadata(body: bytes | str) -> dict[str, Any]:
    """The metadata of a request body."""
    metadata = orjson.loads(body)["metadata"]
    assert isinstance(metadata, dict)
    return metadata


def ago(**span: float) -> datetime:
    """A time before `NOW`."""
    return NOW - timedelta(**span)


@contextmanager
def open_bench(place: str, request: pytest.FixtureRequest, prepared: str = "postgres_url", **options: object) -> Iterator[Bench]:
    """A bench with empty databases. Shape:  place: one of `PLACES`.  prepared: the fixture for the sync-state in PostgreSQL."""
    warehouse, _, state = place.partition("-")
    urls = {name: kind.fixture for name, kind in {**WAREHOUSES, **CLOUDS}.items()}
    urls["postgresql"] = prepared if state == "same" else "postgres_url"
    warehouse_url = str(request.getfixturevalue(urls[warehouse]))
    state_url = None
    if state == "sqlite":
        state_url = f"sqlite:///{request.getfixturevalue('tmp_path') / 'state.db'}"
    elif state == "postgresql":
        state_url = str(request.getfixturevalue(prepared))
    with Sandbox() as sandbox:
        yield Bench(warehouse_url, state_url, sandbox, dict(options))


@pytest.fixture(params=PLACES)
def bench(request: pytest.FixtureRequest) -> Iterator[Bench]:
    """A bench in each of the places, with sync-state tables in PostgreSQL; a test module takes it as `bench = accounting.bench`."""
    with open_bench(request.param, request, "postgres_url_with_state") as opened:
        yield opened


def read_books(
    warehouse_url: str,
    state_url: str | None = None,
    sources: Mapping[str, str | None] | None = None,
    cursor: str = "received_at",
    others: Sequence[str] = (),
) -> Books:
    """Read everything, with SQL of the audit's own. Tables and columns may be written in capitals. `sources`: name -> schema."""
    feeds = {}
    for source, schema in (sources or {"": None}).items():
        named = dict(zip((*_RANK, *others), (*_named(warehouse_url), *others), strict=True))
        may_lack = named if sources and len(sources) > 1 else others
        lacked = [each for each in may_lack if not inspect(engine_to(warehouse_url)).has_table(named[each].strip('"'), schema=schema)]
        quoted = {stream: f"{f'{schema}.' if schema else ''}{name}" for stream, name in named.items() if stream not in lacked}
        for stream, rows in zip(quoted, read_tables(warehouse_url, *(f"SELECT * FROM {name}" for name in quoted.values())), strict=True):
            feeds[source, stream] = [
                Call(_text(row["id"]), _time(row[cursor]), tuple(map(repr, row.values()))) for row in map(_small, rows)
            ]
    calls = {stream: [call for (_, own), rows in feeds.items() for call in rows if own == stream] for stream in (*_RANK, *others)}
    url = state_url or warehouse_url
    where = "" if make_url(url).get_backend_name() == "sqlite" else "rehook_sync."
    runs, watermarks, state, customers = read_tables(url, *(f"SELECT * FROM {where}{table}" for table in _TABLES))
    return Books(
        calls=calls,
        state={(row["stream"], row["message_id"]): row for row in state},
        runs=sorted(runs, key=lambda row: (row["started_at"], row["run_id"])),
        watermarks=sorted(watermarks, key=lambda row: row["recorded_at"]),
        customers=customers,
        feeds=feeds,
    )


def _named(url: str) -> list[str]:
    """The tables of both streams, as they are written."""
    quoted = engine_to(url).dialect.identifier_preparer.quote_identifier
    loud = [quoted(stream.upper()) for stream in _RANK]
    return loud if inspect(engine_to(url)).has_table("IDENTIFIES") and make_url(url).get_backend_name() != "sqlite" else list(_RANK)


def _small(row: Mapping[str, Any]) -> dict[str, Any]:
    return {name.lower() if name.isupper() else name: value for name, value in row.items()}


def read_rows(url: str, statement: str) -> list[dict[str, Any]]:
    """Read rows; the times of the sync-state tables as times."""
    (rows,) = read_tables(url, statement)
    return rows


def read_tables(url: str, *statements: str) -> list[list[dict[str, Any]]]:
    """Read the rows of each statement over one connection."""
    with engine_to(url).connect() as connection:
        found = [[dict(row) for row in connection.exec_driver_sql(each).mappings()] for each in statements]
    return [[{name: _time(value) if name.endswith("_at") else value for name, value in row.items()} for row in rows] for rows in found]


def check_runs(books: Books) -> None:
    """Each run's counts are its rows; nothing is left in flight."""
    assert {row["status"] for row in books.state.values()} <= set(STATUSES)
    for run in books.runs:
        assert run["status"] != "running"
        assert run["finished_at"] >= run["started_at"]
        assert run["rows_read"] == sum(run[status] for status in STATUSES), run
    if books.runs:
        newest = books.runs[-1]
        counts = Counter(row["status"] for row in books.state.values() if row["run_id"] == newest["run_id"])
        assert counts == Counter({status: newest[status] for status in STATUSES}), newest
    for row in books.state.values():
        assert (row["settled_at"] is not None) == (row["status"] in SETTLED), row
        assert (row["sent_as"] is not None) == (row["status"] == "merged"), row
        explained = row["status"] in {"skipped", "rejected", "failed", "waiting", "in_doubt"}
        assert (row["reason"] is not None) == explained or (row["status"], row["reason"]) == ("unchanged", "superseded"), row


def check_coverage(books: Books, *, complete: bool, missed: Collection[str], gone: Collection[str]) -> None:
    """Every row of the newest window and every row up to the watermark is recorded, and nothing that is nowhere."""
    for (source, stream), calls in books.feeds.items():
        everywhere = {message_id for own, message_id in books.state if own == stream}
        recorded = {key[1] for key, row in books.state.items() if key[0] == stream and source in {"", row["source"]}}
        named = {call.message_id for call in calls if call.message_id is not None}
        contents = {call.content for call in calls if call.message_id is None}
        nameless = {each for each in recorded if each.startswith("null-id:")} - named
        assert recorded - nameless <= named | set(gone)
        assert len(nameless) <= len(contents)
        marks = [row for row in books.watermarks if row["stream"] == stream and source in {"", row["source"]}]
        check_watermarks(marks)
        newest = books.runs[-1] if books.runs and marks and marks[-1]["run_id"] == books.runs[-1]["run_id"] else None
        if newest is None or newest["status"] not in {"succeeded", "attention"} or not complete:
            continue
        mark = marks[-1]
        high = newest["started_at"] if newest["until_at"] is None else min(newest["until_at"], newest["started_at"])
        due = [call for call in calls if call.received_at is None or _within(mark["low_at"], call.received_at, high)]
        assert {call.message_id for call in due} - {None} <= everywhere
        assert len({call.content for call in due if call.message_id is None}) <= len(nameless)
        moved = [each for each in marks if each["high_at"] is not None]
        origin = moved[0]["low_at"] if moved else None
        passed = [
            call for call in calls if call.received_at and moved and _within(origin, call.received_at, min(high, moved[-1]["high_at"]))
        ]
        assert {call.message_id for call in passed} - {None} <= everywhere | set(missed)


def check_watermarks(marks: Iterable[Found]) -> None:
    """The watermark never moves back, nor beyond now."""
    known = [mark for mark in marks if mark["high_at"] is not None]
    assert all(mark["high_at"] <= mark["recorded_at"] for mark in known)
    for before, after in pairwise(known):
        assert before["high_at"] <= after["high_at"]


def check_events(books: Books, received: FakeRehook, *, uncertain: bool) -> None:
    """Each sent event arrived once, as it was recorded; one in doubt at most once; no other ever."""
    arrived: dict[str | None, list[bytes]] = defaultdict(list)
    for event in received.events:
        arrived[event.idempotency_key].append(event.body)
    for (stream, message_id), row in books.state.items():
        if stream == "identifies":
            continue
        bodies = arrived.pop(idempotency_key(stream, message_id), [])
        most = 1 if row["status"] in {"sent", "in_doubt"} else 0
        assert uncertain or len(bodies) <= most, f"{message_id} is {row['status']} and arrived {len(bodies)} times"
        if row["status"] == "sent":
            assert bodies, f"{message_id} is recorded as sent and never arrived"
            assert blake2b(bodies[-1], digest_size=16).hexdigest() == row["payload_hash"]
    assert not arrived, f"events of nobody: {list(arrived)}"


def check_customers(books: Books, received: FakeRehook, *, uncertain: bool) -> dict[str, tuple[datetime, int]]:
    """Each sent Identify call arrived, with those merged into it; the books of referral codes agree.

    Returns the time and rank of what each idempotency key stands for, events included.
    """
    groups: dict[str, list[Found]] = defaultdict(list)
    for (stream, message_id), row in books.state.items():
        if stream == "identifies" and row["status"] in {"sent", "merged"}:
            groups[row["sent_as"] or message_id].append(row)
    known = {}
    for message_id, rows in groups.items():
        rows.sort(key=lambda row: (row["status"] == "sent", row["occurred_at"], row["message_id"]))
        assert rows[-1]["message_id"] == message_id
        known[idempotency_key("identifies", *(row["message_id"] for row in rows))] = (rows[0]["occurred_at"], 0)
    arrived = {each.idempotency_key for each in received.log if each.path == "/customers" and each.accepted}
    assert known.keys() <= arrived, "an Identify call is recorded as sent and never arrived"
    # What a refresh sent is of no call: its key is made of the refresh and the newest call in it.
    refreshed = {
        idempotency_key("identifies", f"refresh {row['refreshed_by']} {row['last_message_id']}")
        for row in books.customers
        if row["refreshed_by"] is not None
    }
    assert uncertain or arrived <= known.keys() | refreshed, "an Identify call arrived and is not recorded as sent"
    settled = all(row["status"] != "failed" for row in books.state.values())
    if settled and not uncertain and books.runs and books.runs[-1]["status"] == "succeeded":
        # A code that was taken elsewhere, as a baseline says, never came to this Rehook.
        elsewhere = {row["user_id"] for (stream, _), row in books.state.items() if (stream, row["status"]) == ("identifies", "skipped")}
        owned = {row["referral_code"]: row["source_id"] for row in books.customers if row["referral_code"] is not None}
        codes = {code: user_id for code, user_id in owned.items() if user_id not in elsewhere or code in received.owners}
        assert codes.items() <= received.owners.items(), "the books of referral codes differ"
        # A call without news about its code does not take it again after an earlier one with it was refused.
        assert codes == received.owners or any(row["reason"] == "refused_by_rehook" for row in books.state.values())
    rank = {stream: place for place, stream in enumerate(("identifies", "tracks", *sorted(books.calls.keys() - _RANK.keys())))}
    events = {idempotency_key(*key): (row["occurred_at"], rank[key[0]]) for key, row in books.state.items() if key[0] != "identifies"}
    return known | events


def check_order(books: Books, known: Mapping[str, tuple[datetime, int]], log: Iterable[Received]) -> None:
    """Within a run the requests of a user arrive in the order of their times, identify first at the same instant."""
    last: dict[str, tuple[datetime, int]] = {}
    for each in log:
        place = known.get(each.idempotency_key or "")
        if each.accepted and each.source_id is not None and place is not None:
            assert last.get(each.source_id, place) <= place, f"out of order: {each.body!r}"
            last[each.source_id] = place


def idempotency_key(stream: str, *message_ids: str) -> str:
    """The key of a request that carries these calls."""
    return sha256(f"{stream}:{chr(10).join(message_ids)}".encode()).hexdigest()


def _within(low: datetime | None, moment: datetime, high: datetime) -> bool:
    return (low is None or low <= moment) and moment < high


def _text(value: object) -> str | None:
    return None if value is None else str(value)


def _time(value: object) -> datetime | None:
    """The time a column holds; None for what is none."""
    if isinstance(value, int | float | Decimal) or (isinstance(value, str) and value.isdecimal()):
        return _epoch(float(value))
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value.replace(" UTC", "+00:00"))
        except ValueError:
            return None
    if not isinstance(value, datetime):
        return None
    return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


def _epoch(number: float) -> datetime | None:
    """A Unix time in seconds, milliseconds or microseconds; None for other numbers."""
    unit = {10: 1, 13: 10**3, 16: 10**6}.get(len(str(int(number))))
    return None if unit is None else datetime.fromtimestamp(number / unit, UTC)
