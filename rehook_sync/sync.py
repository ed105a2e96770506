"""The facade: what the job can do, for the command line and Airflow. Each method loads what it needs, so that a run starts sooner."""

# ruff: noqa: PLC0415 - see above

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Self

from rehook_sync.database.dialects.record import Connector
from rehook_sync.database.engine import open_database
from rehook_sync.delivery.outcomes import stop_reason
from rehook_sync.errors import RehookSyncError, UsageError
from rehook_sync.jobs.context import JobContext, open_client, rebind, require_access, require_same, source_configs
from rehook_sync.jobs.reading.databases import open_both
from rehook_sync.jobs.results import Explanation, Plan, Progress, RunOptions, RunResult, StartedRun, StatusReport
from rehook_sync.jobs.run import leased, new_run_id, run_whole
from rehook_sync.models import Answer, Effect, RunKind, ShardResult, Status, Stream, Window
from rehook_sync.notify.telling import telling
from rehook_sync.rules.periods import Feed, Period
from rehook_sync.rules.watermark import Beginning
from rehook_sync.runtime import Interrupt
from rehook_sync.settings import Settings
from rehook_sync.state.destination import Destinations
from rehook_sync.state.migrations import Upgrade, require_version, upgrade
from rehook_sync.state.periods import Periods
from rehook_sync.state.sources import KnownSources
from rehook_sync.state.state import State
from rehook_sync.times import FIRST_MOMENT, duration_text
from rehook_sync.warehouse.layout import SourceLayout
from rehook_sync.warehouse.reader import Patience
from rehook_sync.warehouse.sources import Sources

if TYPE_CHECKING:
    import httpx

    from rehook_sync.admin.copying import CopyReport
    from rehook_sync.admin.verify import Verification
    from rehook_sync.jobs.audit import AuditReport
    from rehook_sync.jobs.check import CheckResult
    from rehook_sync.jobs.notes.names import NamesCheck
    from rehook_sync.publish.publisher import PublishReport
    from rehook_sync.state.person import Traces
    from rehook_sync.state.report import Facts

__all__ = ["Sync"]

_NONE: Mapping[str, Connector] = {}
_LOCKED_S = 15.0
"""How long a command that only looks waits for others' locks."""


class Sync:
    """One warehouse, one set of sync-state tables and one Rehook, by one set of settings. Close it after use."""

    def __init__(
        self,
        settings: Settings,
        transport: "httpx.AsyncBaseTransport | None" = None,
        *,
        read_only: bool = False,
        connectors: Mapping[str, Connector] = _NONE,
    ) -> None:
        """Check both database URLs; connect at first use. `transport` replaces the network in tests.

        read_only: nothing may write to the sync-state either; the warehouse is never written.
        connectors: setting of a URL -> who makes the connections of its database.
        Raises: SettingsError for a URL that cannot be used.
        """
        self.settings = settings
        self._transport = transport
        self._read_only = read_only
        self._is_one_database, self._warehouse, self._state_database = open_both(settings, connectors, read_only=read_only)
        self._sources = Sources(self._warehouse, source_configs(settings))
        self._sources.reader.patience = Patience(min(_LOCKED_S, settings.patience.total_seconds()))

    def __enter__(self) -> Self:
        """Return this object; the end of the block closes it."""
        return self

    def __exit__(self, *_error: object) -> None:
        """Close."""
        self.close()

    def close(self) -> None:
        """Close all database connections."""
        self._warehouse.close()
        self._state_database.close()

    def init(self) -> Upgrade:
        """Create or upgrade the sync-state tables."""
        return upgrade(self._state_database, self.settings.state_schema_name, tuple(self._sources))

    def rotate_key(self) -> None:
        """Let the sync-state tables know the API key of the settings as another one of the same project, once Rehook accepts it.

        Raises: SettingsError when they belong to another Rehook, LeaseHeldError while a run is at work, and what stops a run.
        """
        context = self._context()
        answer = self.check_credentials()
        if answer.effect is not Effect.ACCEPTED:
            raise stop_reason(answer)
        ledger = context.ledger(new_run_id(context.state.now(), RunKind.RUN))
        ledger.acquire()
        try:
            rebind(context, ledger)
        finally:
            ledger.release()

    def discover(self) -> dict[str, SourceLayout]:
        """Return what each Segment source looks like. Raises SourceError, as a run does."""
        found = self._sources.discover()
        self._sources.require_all(self._had)
        return found

    def _had(self, source: str, stream: Stream) -> bool:
        """Tell whether calls of a stream are known to be recorded. `check` tells what is wrong with the sync-state tables."""
        try:
            return KnownSources(self._state_database).has_calls(Feed(source, stream))
        except RehookSyncError:
            return False

    def check_names(self) -> "NamesCheck":
        """Return what the names in the settings match in the sources."""
        from rehook_sync.jobs.notes.names import check_names

        wanted = bool(self.settings.conversion_events)
        events = {each for source in self._sources.values() for each in source.read_event_names()} if wanted else None
        return check_names(self.settings, self.discover(), events)

    def estimate(self) -> tuple[int, int] | None:
        """Return how many bytes of the warehouse a run scans with nothing new, and if it reads its whole lookback; None: nobody says."""
        now = datetime.now(UTC)
        return self._sources.estimate(Window(now - min(self.settings.lookback, now - FIRST_MOMENT), now))

    @classmethod
    def check(cls, settings: Settings, connectors: Mapping[str, Connector] = _NONE) -> "CheckResult":
        """Look at settings, warehouse, state and credentials. Errors are in the result; writes nothing."""
        from rehook_sync.jobs.check import CheckResult, check_each

        found = CheckResult(settings.describe())
        try:
            with cls(settings, read_only=True, connectors=connectors) as sync:
                check_each(sync, found)
        except RehookSyncError as error:
            found.errors["warehouse"] = error
        return found

    def read_version(self) -> int:
        """Return the version of the sync-state tables.

        Raises: StateVersionError when they are missing, of another version, or not readable and writable for this user.
        """
        return require_version(self._state_database, self.settings.state_schema_name, writes=True)

    def read_durability(self) -> list[str]:
        """Return what may make the sync-state's server forget what it has committed, one line each."""
        from rehook_sync.state.rights import read_durability

        return read_durability(self._state_database)

    def check_destination(self) -> None:
        """Raise SettingsError when the sync-state tables belong to another Rehook than the settings lead to."""
        require_same(self.settings, Destinations(self._state_database).read())

    def check_notifiers(self) -> list[str]:
        """Return who would be told of runs, empty when nobody. Raises SettingsError when one of them cannot be."""
        from rehook_sync.notify.carriers import check_notifiers

        return check_notifiers(self.settings.notify) if self.settings.notify else []

    def check_credentials(self) -> Answer:
        """Ask Rehook whether the credentials are good."""
        from rehook_sync.delivery.sender import check_credentials

        return check_credentials(open_client(self.settings, self._transport))

    def plan(self, options: RunOptions, samples: int = 0) -> Plan:
        """Return what a run would do; sends nothing and writes nothing."""
        from rehook_sync.jobs.plan import plan_run

        return plan_run(self._context(), options, samples)

    def run(self, options: RunOptions, interrupt: Interrupt, listen: Callable[[Progress], None] | None = None) -> RunResult:
        """Do one run and return how it ended.

        Raises: ConfigurationError and LeaseHeldError, before anything is sent. What stops a run later is in the result.
        """
        with telling(self.settings, self._state_database, options) as teller:
            require_access(self.settings)
            return teller.ended(run_whole(self._context(interrupt), options, interrupt, listen or _ignore))

    def start(self, options: RunOptions, shards: int, interrupt: Interrupt | None = None) -> StartedRun:
        """Begin a run in at most `shards` shards, which several processes may then deliver. The run keeps the lease.

        Raises: ConfigurationError and LeaseHeldError, before the run has begun.
        """
        from rehook_sync.jobs.shards import start_shards

        with telling(self.settings, self._state_database, options) as teller:
            require_access(self.settings)
            return teller.began(start_shards(self._context(interrupt), options, shards))

    def deliver_shard(self, run_id: str, shard: int, interrupt: Interrupt, listen: Callable[[Progress], None] | None = None) -> ShardResult:
        """Deliver one shard of a run that `start` began. What stops it later is in the result; see `shards.deliver_shard`."""
        from rehook_sync.jobs.shards import deliver_shard

        return deliver_shard(self._context(interrupt), run_id, shard, interrupt, listen or _ignore)

    def finish(self, run_id: str, error: RehookSyncError | None = None, *, interrupted: bool = False) -> RunResult:
        """End a run in shards; see `shards.finish_shards`."""
        from rehook_sync.jobs.shards import finish_shards

        with telling(self.settings, self._state_database) as teller:
            return teller.ended(finish_shards(self._context(), run_id, error, interrupted=interrupted))

    def baseline(self, options: RunOptions, interrupt: Interrupt, listen: Callable[[Progress], None] | None = None) -> RunResult:
        """Record the calls of a period as settled elsewhere. Returns how that ended; see `admin/baseline.py`."""
        from rehook_sync.admin.baseline import record_baseline

        return record_baseline(self._context(interrupt), options, interrupt, listen or _ignore)

    def plan_baseline(self, options: RunOptions) -> Plan:
        """Return what a baseline would record; writes nothing."""
        from rehook_sync.admin.baseline import plan_baseline

        return plan_baseline(self._context(), options)

    def refresh(self, options: RunOptions, interrupt: Interrupt, listen: Callable[[Progress], None] | None = None) -> RunResult:
        """Send each customer's present traits again and return how that ended; see `admin/refresh.py`.

        Raises: as `run`.
        """
        from rehook_sync.admin.refresh import refresh

        require_access(self.settings)
        return refresh(self._context(interrupt), options, interrupt, listen or _ignore)

    def count_refresh(self, options: RunOptions) -> int:
        """Return how many customers a refresh would send; sends and writes nothing."""
        from rehook_sync.admin.refresh import count_refresh

        return count_refresh(self._context(), options)

    def copy_state(self, url: str, interrupt: Interrupt) -> "CopyReport":
        """Copy the sync-state to the empty database of a URL; see `admin/copying.py`. Changes nothing here.

        Raises: UsageError when the database is not empty, or of another kind than SQLite and PostgreSQL.
        """
        from rehook_sync.admin.copying import copy_state

        context, schema = self._context(), self.settings.state_schema or "rehook_sync"
        schemas = [None if each.startswith("sqlite") else schema for each in (self._state_database.dialect, url)]
        target = open_database(url, "--to", may_create=True, search_path=schemas[1])
        try:
            if target.dialect not in {"sqlite", "postgresql"}:
                raise UsageError(f"--to: the sync-state tables live in SQLite or PostgreSQL, not in {target.dialect}")
            ledger = context.ledger(f"{context.state.now():%Y%m%dT%H%M%SZ}-copy")
            return copy_state(ledger, self._state_database, schemas[0], target, schemas[1], interrupt)
        finally:
            target.close()

    def publish(self, interrupt: Interrupt, *, whole: bool = False) -> "PublishReport":
        """Bring the copy for analysts up to date, and first settle what dead runs left; see `publish/publisher.py`.

        whole: make it anew.
        Raises: SettingsError when there is no place for it, LeaseHeldError while a run is at work.
        """
        from rehook_sync.publish.job import publish

        with leased(self._context(), RunKind.RUN) as (ledger, _):
            return publish(self.settings, ledger, interrupt, whole=whole)

    def end_publication(self) -> bool:
        """Note no changes for the copy for analysts any more. Tells whether there was one; it stays as it is."""
        from rehook_sync.publish.job import end_publication

        with leased(self._context(), RunKind.RUN) as (ledger, _):
            return end_publication(ledger)

    def check_publication(self) -> str | None:
        """Return where the copy for analysts is, None when there is to be none. Raises SettingsError, SourceError."""
        from rehook_sync.publish.job import check_place

        wanted = self.settings.publish_schema or self.settings.publish_url
        return check_place(self.settings, self._state_database) if wanted else None

    def abandon(self, options: RunOptions, *, dry_run: bool = False) -> list[tuple[Period, int | None]]:
        """Give up the open periods of the streams. Returns what `count_unjudged` does."""
        from rehook_sync.jobs.maintenance import abandon, count_unjudged

        context = self._context()
        if dry_run:
            return count_unjudged(context, options)
        with leased(context, RunKind.RUN) as (ledger, _):
            return abandon(context, ledger, options)

    def accept(self, ids: Sequence[str] | None, *, dry_run: bool = False) -> int:
        """Settle calls in doubt as sent: all, or those of these message or user ids. Returns how many.

        Raises: UsageError naming the ids that are not in doubt; then nothing is done.
        """
        from rehook_sync.jobs.maintenance import accept_doubtful, require_doubtful

        state = self._state()
        if dry_run:
            require_doubtful(state, ids)
            return state.count_doubtful(ids)
        with leased(self._context(), RunKind.ACCEPT) as (ledger, _):
            return accept_doubtful(state, ledger, ids).sent

    def read_doubtful(self, ids: Sequence[str]) -> tuple[str, ...]:
        """Return those of these message or user ids that are in doubt."""
        settled = set(self._state().read_not_doubtful(ids))
        return tuple(each for each in ids if each not in settled)

    def prune(
        self, older_than: timedelta, interrupt: Interrupt, listen: Callable[[int], None] | None = None, *, dry_run: bool = False
    ) -> int:
        """Remove the detail of calls settled longer ago than `older_than`. Returns how many.

        Raises: UsageError for an age below the lookback, whose rows are still in use.
        """
        from rehook_sync.jobs.maintenance import prune

        if older_than < self.settings.lookback:
            raise UsageError(
                f"--older-than must not be less than the lookback ({duration_text(self.settings.lookback)}): those rows are still in use"
            )
        state = self._state()
        now = state.now()
        before = now - min(older_than, now - FIRST_MOMENT)
        if dry_run:
            return state.count_prunable(before)
        with leased(self._context(), RunKind.PRUNE) as (ledger, _):
            return prune(state, ledger, before, interrupt, listen or (lambda _pruned: None))

    def forget(self, user_id: str, interrupt: Interrupt, *, give_up: bool, dry_run: bool) -> "Traces":
        """Remove a person from the sync-state tables. Returns what was known before, which may be nothing.

        give_up: settle the person's failed calls as rejected instead of refusing.
        Raises: UsageError when calls of the person are not settled.
        """
        from rehook_sync.jobs.maintenance import check_forgettable, forget
        from rehook_sync.state.person import Person

        state = self._state()
        person = Person(self._state_database, user_id)
        traces = person.find()
        if not traces or dry_run:
            check_forgettable(user_id, traces, give_up=give_up)
            return traces
        with leased(self._context(), RunKind.FORGET) as (ledger, _):
            return forget(person, state, ledger, interrupt, give_up=give_up)

    def audit(self, options: RunOptions) -> "AuditReport":
        """Compare warehouse and sync-state from `since` to `until`, or to now. Writes nothing.

        Raises: UsageError for an empty period.
        """
        from rehook_sync.jobs.audit import audit

        return audit(self._context(), options)

    def read_status(self, runs: int) -> StatusReport:
        """Return the newest runs, watermarks, counts and the lease."""
        state = self._state()
        counts, periods = state.count_by_status(), Periods(self._state_database).read_open(kinds=RunKind)
        return StatusReport(state.now(), state.read_runs(runs), state.read_watermarks(), counts, state.read_lease(), periods)

    def read_sent(self, run_id: str) -> dict[Stream, int]:
        """Return how many calls a run sent, by stream."""
        return self._state().count_sent(run_id)

    def read_attention(self, rows: int) -> tuple[dict[Status, int], list[dict[str, object]]]:
        """Return how many calls of all runs are unsettled, and the failed and doubtful ones waiting longest, at most `rows`."""
        state = self._state()
        return state.count_unsettled(), state.read_attention(rows)

    def read_report(self, since: datetime | Beginning) -> "Facts":
        """Return the data of a report since a time."""
        from rehook_sync.state.report import read_report

        begins = datetime.fromtimestamp(0, UTC) if isinstance(since, Beginning) else since.astimezone(UTC)
        return read_report(self._state().database, begins)

    def explain(self, key: str, *, warehouse: bool = True) -> Explanation:
        """Return everything known about a user id or a message id. `warehouse`: look there for calls no run has judged."""
        from rehook_sync.jobs.explain import read_explanation

        return read_explanation(self._state(), self._sources if warehouse else None, key, self.settings.lookback)

    def verify(self, ids: Sequence[str], sample: int, interrupt: Interrupt) -> "Verification":
        """Compare what the sync-state says that Rehook has with what it has; see `admin/verify.py`. Writes nothing."""
        from rehook_sync.admin.verify import verify

        require_access(self.settings)
        return verify(self._context(), ids, sample, interrupt)

    def _state(self) -> State:
        require_version(self._state_database, self.settings.state_schema_name, writes=not self._read_only)
        return State(self._state_database)

    def _context(self, interrupt: Interrupt | None = None) -> JobContext:
        """Return the job context once the sync-state tables are checked. `interrupt`: of a run, which is patient with others' locks."""
        state = self._state()
        if interrupt is not None:
            locked_s = self.settings.patience.total_seconds()
            self._sources.reader.patience = Patience(locked_s, is_over=lambda: interrupt.requested)
        return JobContext(self.settings, self._sources, self._state_database, state, self._transport, self._is_one_database)


def _ignore(_progress: Progress) -> None:
    """Do nothing about progress."""
