"""What a job works on: one warehouse, one set of sync-state tables, one Rehook, and the settings each module needs."""

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from rehook_sync.database.engine import Database
from rehook_sync.database.queries import Identifier
from rehook_sync.delivery.outcomes import RetryPolicy
from rehook_sync.delivery.sender import DeliveryConfig
from rehook_sync.jobs.pipeline import PipelineConfig
from rehook_sync.jobs.results import RunOptions
from rehook_sync.models import CustomerUpdates, OnAmbiguousEvent, Selection, Shard, Status, Stream, Window
from rehook_sync.rules.bodies import Names
from rehook_sync.rules.validation import Policy
from rehook_sync.rules.watermark import Beginning, next_window
from rehook_sync.runtime import require_files
from rehook_sync.settings import Settings
from rehook_sync.state.ledger import Ledger
from rehook_sync.state.state import State
from rehook_sync.warehouse.layout import SourceConfig
from rehook_sync.warehouse.segment import SegmentSource

if TYPE_CHECKING:
    import httpx
    from pydantic import SecretStr

    from rehook_sync.rehook.client import Rehook

__all__ = ["JobContext", "load_heavy", "open_client", "require_access", "source_config"]


@dataclass(frozen=True, slots=True)
class JobContext:
    """What a run works on. The sync-state tables exist and have the right version.

    Shape:  transport: replaces the network in tests.  is_one_database: the warehouse can join the sync-state tables.
    """

    settings: Settings
    source: SegmentSource
    database: Database
    state: State
    transport: "httpx.AsyncBaseTransport | None"
    is_one_database: bool

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
        """Return the ledger of a run or of one of its shards. It holds no lease yet."""
        return Ledger(self.database, run_id, self.settings.lease_ttl.total_seconds(), shard)

    def windows(self, options: RunOptions) -> dict[Stream, Window]:
        """Return the window of each stream. Raises UsageError when it has no lower bound or is empty."""
        now = self.state.now()
        windows = {}
        for stream in options.streams:
            coverage = self.state.read_coverage(stream)
            since = options.since if coverage.watermark is not None else options.since or _start(self.settings)
            windows[stream] = next_window(coverage, self.settings.lookback, now, since, options.until)
        return windows

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
            chunk_rows=settings.chunk_rows,
            known_in=self.known_in,
            limit=options.limit,
            selections=(options.only,) if options.only else (Selection(Status.FAILED), Selection(Status.WAITING)),
            shard=shard,
        )

    def delivery_config(self, shards: int = 1) -> DeliveryConfig:
        """Return how to send; `shards` that are delivered at the same time share the limits."""
        settings = self.settings
        return DeliveryConfig(
            concurrency=max(settings.concurrency // shards, 1),
            rate_limit=settings.rate_limit and settings.rate_limit / shards,
            policy=RetryPolicy(settings.max_attempts, settings.patience.total_seconds(), self.holds),
            api_down_after=settings.api_down_after,
            skip_unchanged=self.changes_only,
            renew_s=settings.lease_ttl.total_seconds() / 3,
        )

    def client(self, shards: int = 1) -> "Rehook":
        """Return a client of Rehook; `shards` that are delivered at the same time share the connections."""
        return open_client(self.settings, self.transport, shards)


def load_heavy() -> None:
    """Load the modules that only judging and sending need: without them, a command starts in half the time."""
    import pandas  # noqa: F401, PLC0415

    import rehook_sync.rehook.client  # noqa: PLC0415
    import rehook_sync.rehook.transport  # noqa: F401, PLC0415


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
    from rehook_sync.rehook.client import Rehook  # noqa: PLC0415 - see `load_heavy`
    from rehook_sync.rehook.transport import AiohttpTransport  # noqa: PLC0415

    key, secret = require_access(settings)
    transport = transport or AiohttpTransport(max(settings.concurrency // shards, 1), settings.timeout)
    return Rehook(transport, settings.api_url, key.get_secret_value(), secret.get_secret_value())


def source_config(settings: Settings) -> SourceConfig:
    """Return where the Segment source is."""
    return SourceConfig(
        settings.warehouse_schema,
        settings.identifies_table,
        settings.tracks_table,
        settings.cursor_column,
        settings.track_properties,
        frozenset(settings.trait_names),
        frozenset(settings.property_names),
    )


def _start(settings: Settings) -> datetime | Beginning | None:
    return settings.start_at if isinstance(settings.start_at, datetime | None) else Beginning.BEGINNING
