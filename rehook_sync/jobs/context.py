"""What a job works on: one warehouse, one set of sync-state tables, one Rehook, and the settings each module needs."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from rehook_sync.database.engine import Database
from rehook_sync.database.queries import Identifier
from rehook_sync.delivery.outcomes import RetryPolicy
from rehook_sync.delivery.report import DeliveryConfig
from rehook_sync.errors import SettingsError, UsageError
from rehook_sync.jobs.notes.lines import change_notes
from rehook_sync.jobs.pipeline import PipelineConfig
from rehook_sync.jobs.results import RunOptions, period_text
from rehook_sync.models import CustomerUpdates, OnAmbiguousEvent, RunKind, Selection, Shard, Status
from rehook_sync.rehook.addresses import normal_url
from rehook_sync.rules.bodies import Names
from rehook_sync.rules.changes import SHAPING, find_changes
from rehook_sync.rules.periods import Feed, Period
from rehook_sync.rules.validation import Policy
from rehook_sync.rules.watermark import Beginning
from rehook_sync.runtime import require_files
from rehook_sync.settings import Settings
from rehook_sync.state.destination import Destination, Destinations
from rehook_sync.state.ledger import Ledger
from rehook_sync.state.periods import Periods
from rehook_sync.state.sources import KnownSources
from rehook_sync.state.state import RunStart, State
from rehook_sync.warehouse.layout import SourceConfig
from rehook_sync.warehouse.sources import Sources

if TYPE_CHECKING:
    import httpx
    from pydantic import SecretStr

    from rehook_sync.rehook.client import Rehook

__all__ = [
    "JobContext",
    "bind",
    "how_to_go_on",
    "open_client",
    "read_change_notes",
    "rebind",
    "require_access",
    "require_no_baseline",
    "require_same",
    "source_configs",
]


@dataclass(frozen=True, slots=True)
class JobContext:
    """What a run works on. The sync-state tables exist and have the right version.

    Shape:  transport: replaces the network in tests.  is_one_database: the warehouse can join the sync-state tables.
            had: feed without a table -> whether its calls are recorded, as far as it was asked for.
    """

    settings: Settings
    sources: Sources
    database: Database
    state: State
    transport: "httpx.AsyncBaseTransport | None"
    is_one_database: bool
    had: dict[Feed, bool] = field(default_factory=dict)

    @property
    def holds(self) -> bool:
        """Tell whether an event whose outcome is unknown waits for a person."""
        return self.settings.on_ambiguous_event is OnAmbiguousEvent.HOLD

    @property
    def changes_only(self) -> bool:
        """Tell whether unchanged customers are not sent."""
        return self.settings.customer_updates is CustomerUpdates.CHANGED

    @property
    def known_in(self) -> Identifier | None:
        """Return the name of `sync_state` when the warehouse can join it, else None."""
        if not self.is_one_database:
            return None
        schema = self.settings.state_schema_name
        return ("sync_state",) if schema is None else (schema, "sync_state")

    def ledger(self, run_id: str, shard: int | None = None) -> Ledger:
        """Return the ledger of a run or of one of its shards. It holds no lease yet. From now on, the warehouse is read for that run."""
        self.sources.reader.meter.run = run_id
        return Ledger(self.database, run_id, self.settings.lease_ttl.total_seconds(), shard)

    def run_start(self, kind: RunKind, options: RunOptions) -> RunStart:
        """Return what is recorded of a run that judges calls when it begins."""
        return RunStart(kind, options.trigger, options.since_at, options.until, self.settings.properties_wait, self.kept_settings)

    @property
    def kept_settings(self) -> dict[str, str]:
        """Return the settings that shape what is sent, as text: setting -> value. No secret and no URL is among them."""
        shown = self.settings.describe()
        return {name: shown[name] for name in SHAPING}

    def feeds(self, options: RunOptions) -> list[Feed]:
        """Return the streams asked for, of each source asked for, without those of `lacks`.

        Raises: UsageError for a source or stream that the settings do not name.
        """
        return [feed for feed in self.all_feeds(options) if self.lacks(feed) is None]

    def lacks(self, feed: Feed) -> str | None:
        """Return the name of the table of a feed if that is none to be read, else None: its source never had it, and another one has it.

        Whose calls are recorded had a table, which is gone: it must be read.
        """
        name = self.sources.lacks(*feed)
        if name is not None and feed not in self.had:
            self.had[feed] = KnownSources(self.database).has_calls(feed)
        return None if name is None or self.had[feed] else name

    def all_feeds(self, options: RunOptions) -> list[Feed]:
        """Return the streams asked for, of each source asked for. Raises: as `feeds`."""
        if options.source is not None and options.source not in self.sources:
            raise UsageError(f"source {options.source!r}: REHOOK_SYNC_WAREHOUSE_SCHEMA names {', '.join(map(repr, self.sources))}")
        if options.stream is not None and options.stream not in self.sources.streams:
            raise UsageError(f"stream {options.stream!r}: there are {', '.join(map(repr, self.sources.streams))}")
        sources = self.sources if options.source is None else (options.source,)
        streams = self.sources.streams if options.stream is None else (options.stream,)
        return [Feed(source, stream) for source in sources for stream in streams]

    def pipeline_config(self, run_id: str, options: RunOptions, shard: Shard | None = None) -> PipelineConfig:
        """Return how rows are judged and shaped."""
        settings = self.settings
        names = Names(settings.trait_names, settings.property_names, settings.exclude)
        policy = Policy(settings.anonymous_calls, settings.conversion_events, settings.missing_properties)
        return PipelineConfig(
            run_id=run_id,
            names=names,
            policy=policy,
            merge=self.changes_only,
            chunk_rows=max(settings.chunk_rows, self.sources.chunk_rows),
            known_in=self.known_in,
            limit=options.limit,
            selections=(options.only,) if options.only else (Selection(Status.FAILED), Selection(Status.WAITING)),
            shard=shard,
            # The same id in two sources is one call: a source that is left out may have failed or waited with it.
            also_of=sorted({feed.source for feed in KnownSources(self.database).count_due()} - {*self.sources}),
        )

    def delivery_config(self, shards: int = 1, *, resend: bool = False) -> DeliveryConfig:
        """Return how to send; `shards` that are delivered at the same time share the limits. `resend`: also what has not changed."""
        settings = self.settings
        return DeliveryConfig(
            concurrency=max(settings.concurrency // shards, 1),
            rate_limit=settings.rate_limit and settings.rate_limit / shards,
            policy=RetryPolicy(settings.max_attempts, settings.patience.total_seconds(), self.holds),
            api_down_after=settings.api_down_after,
            skip_unchanged=self.changes_only and not resend,
            renew_s=settings.lease_ttl.total_seconds() / 3,
        )

    def client(self, shards: int = 1) -> "Rehook":
        """Return a client of Rehook; `shards` that are delivered at the same time share the connections."""
        return open_client(self.settings, self.transport, shards)


def require_access(settings: Settings) -> "tuple[SecretStr, SecretStr]":
    """Return API key and secret, before anything begins that could not connect.

    Raises: SettingsError when the credentials are missing, what tells whom to trust cannot be read, the proxy cannot be used,
            or too few files may be open.
    """
    credentials = settings.require_credentials()
    require_files(settings.concurrency)
    if settings.api_url.startswith("https:"):
        from rehook_sync.rehook.proxies import check_proxy  # noqa: PLC0415 - loads the parser of addresses
        from rehook_sync.rehook.trust import check_trust  # noqa: PLC0415 - loads TLS

        check_trust()
        check_proxy(settings.api_url)
    return credentials


def open_client(settings: Settings, transport: "httpx.AsyncBaseTransport | None", shards: int = 1) -> "Rehook":
    """Return a client of Rehook. Raises SettingsError as `require_access`, and when the address cannot be read."""
    from rehook_sync.rehook.client import Rehook  # noqa: PLC0415 - see `run.start_loading`
    from rehook_sync.rehook.transport import AiohttpTransport  # noqa: PLC0415

    key, secret = require_access(settings)
    transport = transport or AiohttpTransport(max(settings.concurrency // shards, 1), settings.timeout)
    return Rehook(transport, settings.api_url, key.get_secret_value(), secret.get_secret_value())


def require_same(settings: Settings, known: Destination | None) -> None:
    """Refuse another Rehook than the one that calls went to, once something went there. Writes nothing.

    Raises: SettingsError, with what to do.
    """
    if known is None or not known.is_used:
        return
    if known.api_url != normal_url(settings.api_url):
        other = "another REHOOK_SYNC_STATE_URL" + ("" if settings.state_schema_name is None else " or REHOOK_SYNC_STATE_SCHEMA")
        raise SettingsError(
            f"these tables belong to {known.api_url}, where all went that they call sent, and REHOOK_SYNC_API_URL is {settings.api_url}: "
            f"to go on, set it back; to begin anew at another Rehook, give that its own tables, with {other}, and run `init`"
        )
    if settings.api_key is not None and not known.knows(settings.api_key.get_secret_value()):
        since = f"{known.bound_at:%Y-%m-%d %H:%M} UTC" if known.bound_at else "their first run"
        raise SettingsError(
            f"these tables know another API key of {known.api_url} since {since}, and another key may lead to another project's customers: "
            "if REHOOK_SYNC_API_KEY changed and the project did not, say so once with `python -m rehook_sync init --rotated-key`; "
            "another project needs tables of its own"
        )


def require_no_baseline(context: JobContext, options: RunOptions) -> None:
    """Raise UsageError while a baseline of these feeds is not done: a run would send what it was to settle."""
    unfinished = Periods(context.database).read_open(context.feeds(options), (RunKind.BASELINE,))
    if unfinished:
        first, named = unfinished[0], len(context.sources) > 1
        raise UsageError(
            f"{period_text(first, named=named)}, which run {first.opened_by} was asked for, is not done, "
            f"and a run would send its calls: {how_to_go_on(first, unfinished, context.sources)}"
        )


def how_to_go_on(baseline: Period, unfinished: Iterable[Period], sources: Sources) -> str:
    """Return the commands that get a baseline done or give it up. They settle nothing that no baseline was asked for.

    Shape:  unfinished: all that are open; those with the same bounds are done by the same command.  sources: those of the settings.
    """
    same = {baseline.feed, *(each.feed for each in unfinished if (each.since, each.until) == (baseline.since, baseline.until))}
    names, streams = {each.source for each in same}, {each.stream for each in same}
    if names != set(sources) or len(same) < len(names) * len(streams):
        names, streams = {baseline.feed.source}, {each.stream for each in same if each.source == baseline.feed.source}
    low = Beginning.BEGINNING.value if baseline.since is None else baseline.since.isoformat()
    command = f"baseline --since {low} --until {baseline.until.isoformat()}".replace("+00:00", "Z")
    command += f" --source {baseline.feed.source}" if names != set(sources) else ""
    command += f" --stream {baseline.feed.stream}" if streams != set(sources.streams) else ""
    return f"`{command}` goes on with it, `run --abandon` gives it up"


def read_change_notes(context: JobContext) -> list[str]:
    """Return notes for the user on settings that have changed since the last run. To be read before this run is recorded."""
    return change_notes(find_changes(context.state.read_last_settings() or {}, context.kept_settings))


def bind(context: JobContext, ledger: Ledger) -> list[str]:
    """Let the tables belong to the Rehook of the settings, before anything is sent there. Returns notes for the user.

    Raises: SettingsError as `require_same`.
    """
    destinations, settings = Destinations(context.database), context.settings
    known = destinations.read()
    require_same(settings, known)
    address, (key, _) = normal_url(settings.api_url), settings.require_credentials()
    if known is not None and known.api_url == address and known.knows(key.get_secret_value()):
        return []
    with ledger.transaction() as connection:
        destinations.bind(connection, address, key.get_secret_value())
    if known is not None or not destinations.has_sent():
        return []
    return [
        f"these tables did not say to which Rehook they belong: from this run on it is {address} with this API key, "
        "and a run with another one is refused"
    ]


def rebind(context: JobContext, ledger: Ledger) -> None:
    """Let the tables know another API key of the same Rehook. Raises SettingsError for another address."""
    destinations, settings = Destinations(context.database), context.settings
    require_same(settings.model_copy(update={"api_key": None}), destinations.read())
    key, _ = settings.require_credentials()
    with ledger.transaction() as connection:
        destinations.bind(connection, normal_url(settings.api_url), key.get_secret_value())


def source_configs(settings: Settings) -> dict[str, SourceConfig]:
    """Return where the Segment sources are, by name."""
    return {
        name: SourceConfig(
            schema,
            settings.identifies_table,
            settings.tracks_table,
            settings.cursor_column,
            settings.track_properties,
            frozenset(settings.trait_names),
            frozenset(settings.property_names),
            settings.other_streams,
        )
        for name, schema in settings.sources.items()
    }
