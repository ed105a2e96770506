"""The run: plan, deliver, record, watermark. The only module that knows the order; the CLI and Airflow call it."""

import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Self

import httpx

from rehook_sync.database import open_database, same_database
from rehook_sync.delivery import DeliveryConfig, DeliveryReport, check_credentials, deliver
from rehook_sync.errors import RehookSyncError, StateVersionError, UsageError
from rehook_sync.inquiry import read_explanation
from rehook_sync.intake import Intake, IntakeConfig, PlannedClaims
from rehook_sync.interrupt import Interrupt
from rehook_sync.layout import SourceConfig, SourceLayout
from rehook_sync.ledger import Ledger
from rehook_sync.mapping import Names, is_unchanged
from rehook_sync.migrations import Upgrade, check_version, upgrade
from rehook_sync.queries import Identifier
from rehook_sync.records import Answer, Entry, Operation, Reason, RunStatus, RunSummary, Selection, Status, Stream, Window
from rehook_sync.rehook import Rehook
from rehook_sync.reports import Explanation, Facts, Plan, Progress, Request, RunResult, StatusReport
from rehook_sync.retry import RetryPolicy
from rehook_sync.rules import Policy
from rehook_sync.segment import SegmentSource
from rehook_sync.settings import CustomerUpdates, OnAmbiguousEvent, Settings
from rehook_sync.state import State
from rehook_sync.transport import AiohttpTransport
from rehook_sync.upkeep import accept_doubtful, prune
from rehook_sync.watermark import Beginning, next_watermark, next_window

__all__ = ["Sync", "new_run_id"]

_MANY_ANONYMOUS = 0.2


class Sync:
    """One warehouse, one set of sync-state tables and one Rehook, by one set of settings. Close it after use."""

    def __init__(self, settings: Settings, transport: httpx.AsyncBaseTransport | None = None, *, read_only: bool = False) -> None:
        """Open nothing yet but check that both databases can be named; `transport` replaces the network in tests.

        read_only: nothing may write to either database.
        """
        self.settings = settings
        self._transport = transport
        warehouse_url = settings.warehouse_url.get_secret_value()
        state_url = (settings.state_url or settings.warehouse_url).get_secret_value()
        setting = "REHOOK_SYNC_STATE_URL" if settings.state_url else "REHOOK_SYNC_WAREHOUSE_URL"
        self._is_one_database = same_database(warehouse_url, state_url)
        self._warehouse = open_database(warehouse_url, "REHOOK_SYNC_WAREHOUSE_URL", read_only=True)
        self._state_database = open_database(
            state_url, setting, read_only=read_only, may_create=not self._is_one_database, search_path=settings.state_schema_name
        )
        self._source = SegmentSource(self._warehouse, _source_config(settings))

    def __enter__(self) -> Self:
        """Return this object; it is closed at the end of the block."""
        return self

    def __exit__(self, *_error: object) -> None:
        """Close."""
        self.close()

    def close(self) -> None:
        """Give all database connections back."""
        self._warehouse.close()
        self._state_database.close()

    def init(self) -> Upgrade:
        """Create or upgrade the sync-state tables."""
        return upgrade(self._state_database, self.settings.state_schema_name)

    def discover(self) -> SourceLayout:
        """Return what the Segment source looks like."""
        return self._source.discover()

    def read_version(self) -> int | None:
        """Return the version of the sync-state tables, None when they do not exist."""
        return check_version(self._state_database, self.settings.state_schema_name)

    def check_credentials(self) -> Answer:
        """Ask Rehook whether the credentials are good."""
        return check_credentials(self._client())

    def plan(self, request: Request, samples: int = 0) -> Plan:
        """Return what a run would do; sends nothing and writes nothing."""
        state = self._state()
        self.discover()
        windows = {} if request.only else self._windows(state, request)
        ledger = Ledger(self._state_database, "plan", 0.0)
        intake = Intake(self._source, state, PlannedClaims(ledger.read_codes), self._intake_config("plan", request))
        plan = Plan(windows)
        known: dict[str, Mapping[str, str] | None] = {}
        for load in intake.read_loads(windows, request.streams):
            users = {operation.user_id for operation in load.operations if operation.stream is Stream.IDENTIFIES} - known.keys()
            known.update(dict.fromkeys(users) | ledger.read_customers(users))
            for operation in load.operations:
                self._plan_operation(plan, operation, known, samples)
        plan.rejected.update(intake.rejected)
        plan.actions["rejected"] = intake.rejected.total()
        plan.rows = intake.rows.total()
        plan.notes.extend(self._notes(intake))
        return plan

    def _plan_operation(self, plan: Plan, operation: Operation, known: dict[str, Mapping[str, str] | None], samples: int) -> None:
        plan.retried += sum(call.prior is not None for call in operation.calls)
        if operation.stream is Stream.TRACKS:
            plan.actions["events"] += 1
        elif self._changes_only and is_unchanged(operation, known.get(operation.user_id)):
            plan.actions["unchanged"] += len(operation.calls)
            return
        else:
            known[operation.user_id] = {**(known.get(operation.user_id) or {}), **operation.trait_hashes}
            plan.actions["customer upserts"] += 1
            plan.actions["merged"] += len(operation.calls) - 1
        if len(plan.samples) < samples:
            plan.samples.append(operation.body.decode())

    def run(self, request: Request, interrupt: Interrupt, listen: Callable[[Progress], None] | None = None) -> RunResult:
        """Do one run and say how it ended.

        Raises: ConfigurationError and LeaseHeldError, before anything was done. What stops a run later is in the result.
        """
        self.settings.require_credentials()
        state = self._state()
        self.discover()
        with self._leased(state, _verb(request)) as (ledger, recovered):
            windows = {} if request.only else self._windows(state, request)
            with ledger.transaction() as connection:
                since = None if isinstance(request.since, Beginning) else request.since
                state.record_start(connection, ledger.run_id, request.trigger, since, request.until)
                if request.only and request.only.status is Status.IN_DOUBT:
                    # Whoever has something in doubt may have failed calls as well; all go out, in order.
                    user_ids = state.release_doubtful(connection, request.only.ids)
                    request = replace(request, only=Selection(Status.FAILED, ids=tuple(user_ids)))
            ledger.reopens = request.only.status if request.only else Status.FAILED
            return self._run(_Leased(state, ledger, windows, recovered), request, interrupt, listen or _ignore)

    def _run(self, leased: "_Leased", request: Request, interrupt: Interrupt, listen: Callable[[Progress], None]) -> RunResult:
        """Deliver the windows and record how it ended; the lease is held and the run has begun."""
        run_id, windows = leased.ledger.run_id, leased.windows
        intake = Intake(self._source, leased.state, leased.ledger, self._intake_config(run_id, request))
        newest: dict[Stream, datetime | None] = {}
        report = DeliveryReport()
        try:
            # Read before the rows are: what arrives in between is then never below a watermark without being seen.
            newest = {stream: self._source.newest(stream, window) for stream, window in windows.items()}
            total = sum(self._source.count(stream, window, self._known_in) for stream, window in windows.items())
            listen(Progress(run_id, total))

            def committed(latest: DeliveryReport, entries: Sequence[Entry]) -> None:
                intake.note_recorded(entries)
                listen(Progress(run_id, total, intake.seen, intake.rows.total(), dict(latest.counts), latest.requests))

            with closing(intake.read_loads(windows, request.streams)) as loads:
                report = deliver(loads, self._client(), leased.ledger, self._delivery_config(), interrupt, committed)
        except RehookSyncError as error:
            report.error = error
        return self._finish(leased, intake, report, newest)

    def _finish(self, leased: "_Leased", intake: Intake, report: DeliveryReport, newest: Mapping[Stream, datetime | None]) -> RunResult:
        """Record counts, watermarks and the end of the run."""
        state, ledger = leased.state, leased.ledger
        unsettled = state.count_unsettled()
        status = _run_status(report, unsettled)
        counts = {each.value: report.counts[each] for each in Status if each is not Status.SENDING}
        message = str(report.error) if report.error else None
        summary = RunSummary(ledger.run_id, status, sum(counts.values()), requests=report.requests, error=message, **counts)
        complete = intake.complete and report.error is None and not report.interrupted
        watermarks = {}
        with ledger.transaction() as connection:
            for stream, window in leased.windows.items():
                coverage = state.read_coverage(stream)
                high_at = next_watermark(coverage, window, newest.get(stream), complete=complete)
                watermarks[stream] = high_at
                state.record_watermark(connection, ledger.run_id, stream, window, high_at, intake.rows[stream])
            state.record_finish(connection, summary)
        return RunResult(summary, watermarks, intake.rejected, report.error, leased.recovered, unsettled, self._notes(intake))

    def accept(self, ids: Sequence[str] | None, *, dry_run: bool = False) -> int:
        """Take calls in doubt as arrived, of these message or user ids, or all; returns how many."""
        state = self._state()
        if dry_run:
            return state.count_doubtful(ids)
        with self._leased(state, "accept") as (ledger, _):
            return accept_doubtful(state, ledger, ids).sent

    def prune(
        self, older_than: timedelta, interrupt: Interrupt, listen: Callable[[int], None] | None = None, *, dry_run: bool = False
    ) -> int:
        """Take the detail out of calls settled longer ago than `older_than`; returns how many.

        Raises: UsageError for an age within the lookback, whose rows are still in use.
        """
        if older_than < self.settings.lookback:
            raise UsageError(f"--older-than must not be less than the lookback ({self.settings.lookback}): those rows are still in use")
        state = self._state()
        now = state.now()
        before = now - min(older_than, now - datetime.min.replace(tzinfo=UTC))
        if dry_run:
            return state.count_prunable(before)
        with self._leased(state, "prune") as (ledger, _):
            return prune(state, ledger, before, interrupt, listen or (lambda _pruned: None))

    @contextmanager
    def _leased(self, state: State, verb: str) -> Iterator[tuple[Ledger, list[RunSummary]]]:
        """Hold the lease for one run, and first settle what dead runs left; gives their summaries as well."""
        ledger = Ledger(self._state_database, new_run_id(state.now(), verb), self.settings.lease_ttl.total_seconds())
        ledger.acquire()
        try:
            with ledger.transaction() as connection:
                recovered = state.recover(connection, ledger.run_id, hold=self._holds)
            yield ledger, recovered
        finally:
            ledger.release()

    def read_status(self, runs: int) -> StatusReport:
        """Return the newest runs, watermarks, counts and the lease."""
        state = self._state()
        return StatusReport(state.now(), state.read_runs(runs), state.read_watermarks(), state.count_by_status(), state.read_lease())

    def read_report(self, since: datetime | Beginning) -> Facts:
        """Return what a report from a time on is made of."""
        begins = datetime.fromtimestamp(0, UTC) if isinstance(since, Beginning) else since.astimezone(UTC)
        return self._state().read_report(begins, f"{begins:%Y%m%dT%H%M%SZ}")

    def explain(self, key: str, *, warehouse: bool = True) -> Explanation:
        """Return everything known about a user id or a message id; `warehouse` looks there for calls no run has judged."""
        return read_explanation(self._state(), self._source if warehouse else None, key, self.settings.lookback)

    # The settings, as each room wants them.

    @property
    def _holds(self) -> bool:
        return self.settings.on_ambiguous_event is OnAmbiguousEvent.HOLD

    @property
    def _changes_only(self) -> bool:
        return self.settings.customer_updates is CustomerUpdates.CHANGED

    @property
    def _known_in(self) -> Identifier | None:
        if not self._is_one_database:
            return None
        schema = self.settings.state_schema_name
        return ("sync_state",) if schema is None else (schema, "sync_state")

    def _state(self) -> State:
        if self.read_version() is None:
            raise StateVersionError("the sync-state tables do not exist yet: run `python -m rehook_sync init` once")
        return State(self._state_database)

    def _windows(self, state: State, request: Request) -> dict[Stream, Window]:
        now = state.now()
        windows = {}
        for stream in request.streams:
            coverage = state.read_coverage(stream)
            since = request.since if coverage.watermark is not None else request.since or _start(self.settings)
            windows[stream] = next_window(coverage, self.settings.lookback, now, since, request.until)
        return windows

    def _intake_config(self, run_id: str, request: Request) -> IntakeConfig:
        settings = self.settings
        names = Names(settings.trait_names, settings.property_names, settings.exclude)
        policy = Policy(settings.anonymous_calls, settings.conversion_events)
        return IntakeConfig(
            run_id, names, policy, self._changes_only, settings.chunk_rows, self._known_in, request.limit, request.only or Selection()
        )

    def _delivery_config(self) -> DeliveryConfig:
        settings = self.settings
        policy = RetryPolicy(settings.max_attempts, settings.patience.total_seconds(), self._holds)
        renew_s = settings.lease_ttl.total_seconds() / 3
        return DeliveryConfig(settings.concurrency, settings.rate_limit, policy, settings.api_down_after, self._changes_only, renew_s)

    def _client(self) -> Rehook:
        key, secret = self.settings.require_credentials()
        transport = self._transport or AiohttpTransport(self.settings.concurrency, self.settings.timeout)
        return Rehook(transport, self.settings.api_url, key.get_secret_value(), secret.get_secret_value())

    def _notes(self, intake: Intake) -> list[str]:
        dropped, rows = intake.rejected[Reason.ANONYMOUS_ID_PRESENT], intake.rows.total()
        if dropped <= _MANY_ANONYMOUS * rows:
            return []
        return [
            f"{dropped} of {rows} rows carry an anonymous_id and were rejected for it; if they also carry a user_id and should go "
            "out, set REHOOK_SYNC_ANONYMOUS_CALLS=allow_with_user_id"
        ]


@dataclass(frozen=True, slots=True)
class _Leased:
    """What a run has in hand once the lease is its own."""

    state: State
    ledger: Ledger
    windows: Mapping[Stream, Window]
    recovered: Sequence[RunSummary]


def new_run_id(now: datetime, verb: str = "") -> str:
    """Return an id that sorts by time and that no other run has; `verb` names what is no plain run."""
    return "-".join(filter(None, (f"{now:%Y%m%dT%H%M%SZ}", verb, secrets.token_hex(4))))


def _verb(request: Request) -> str:
    if request.only is None:
        return ""
    return {Status.REJECTED: "revalidate", Status.IN_DOUBT: "resend"}.get(request.only.status, "retry")


def _run_status(report: DeliveryReport, unsettled: Mapping[Status, int]) -> RunStatus:
    if report.interrupted:
        return RunStatus.INTERRUPTED
    if report.error is not None:
        return RunStatus.STOPPED
    return RunStatus.ATTENTION if any(unsettled.values()) else RunStatus.SUCCEEDED


def _start(settings: Settings) -> datetime | Beginning | None:
    return settings.start_at if isinstance(settings.start_at, datetime | None) else Beginning.BEGINNING


def _source_config(settings: Settings) -> SourceConfig:
    return SourceConfig(
        settings.warehouse_schema, settings.identifies_table, settings.tracks_table, settings.cursor_column, settings.track_properties
    )


def _ignore(_progress: Progress) -> None:
    """Hear of progress and do nothing."""
