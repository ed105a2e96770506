"""What a run reads: what is new of each feed, and the periods that are open or asked for."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from rehook_sync.errors import UsageError
from rehook_sync.jobs.context import JobContext, source_configs
from rehook_sync.jobs.results import RunOptions
from rehook_sync.models import STREAMS, RunKind, Window
from rehook_sync.rules.periods import Feed, MissingTable, Period, RunBounds
from rehook_sync.rules.watermark import Beginning, Coverage, missing_table, next_window, resumed_start, what_is_new
from rehook_sync.state.periods import Periods
from rehook_sync.state.sources import KnownSources
from rehook_sync.warehouse.layout import SourceConfig

__all__ = ["begin_command", "plan_bounds"]


def plan_bounds(context: JobContext, options: RunOptions, run_id: str) -> RunBounds:
    """Return what a run reads, without the newest rows.

    Raises: UsageError when there is no lower bound, or nothing between the bounds.
    """
    now, lookback = context.state.now(), context.settings.lookback
    windows: dict[Feed, Window] = {}
    absent: dict[Feed, MissingTable] = {}
    asked: list[Period] = []
    open_ = Periods(context.database).read_open(feeds := context.all_feeds(options), (RunKind.RUN,))
    for feed in feeds:
        coverage, mine = context.state.read_coverage(feed), [each for each in open_ if each.feed == feed]
        window = _find_window(context, feed, options, coverage, mine, now)
        table = context.lacks(feed)
        if table is not None:
            absent[feed] = missing_table(table, coverage, window, now)
        if window is None:
            continue
        period = Period(f"{run_id}-{'-'.join(feed)}", feed, window.low, window.high, run_id, has_end=options.until is not None)
        kept = table is not None and coverage.watermark is not None and absent[feed].keeps(period)
        if options.since is not None and not kept and not any(each.covers(period) for each in mine):
            asked.append(period)
        if table is None:
            windows[feed] = what_is_new(coverage, lookback, now, window)
    return RunBounds(windows, {}, (*open_, *asked), tuple(asked), absent)


def _find_window(
    context: JobContext, feed: Feed, options: RunOptions, coverage: Coverage, open_: Sequence[Period], now: datetime
) -> Window | None:
    """Return the window of a feed; None for one without a table where nothing says where it begins."""
    since = options.since
    if coverage.watermark is None and since is None:
        try:
            since = resumed_start(open_) if open_ else _start_of(context, feed, options)
        except UsageError:
            if context.lacks(feed) is None:
                raise
        if since is None and context.lacks(feed) is not None:
            return None
    return next_window(coverage, context.settings.lookback, now, since, options.until)


def begin_command(context: JobContext, feed: Feed) -> str | None:
    """Return the command that says where a feed begins that is new beside others.

    None for one that has begun or that somebody was asked to begin, and where a run without any stream or source begins it.
    """
    known = KnownSources(context.database).read_names()
    if not known or context.state.read_coverage(feed).watermark is not None:
        return None
    if Periods(context.database).read_open((feed,)):
        return None
    if feed.source not in known:
        return None if context.settings.start_at is not None else _begin(context, feed, whole=True)
    return None if feed.stream in STREAMS else _begin(context, feed)


def _begin(context: JobContext, feed: Feed, *, whole: bool = False) -> str:
    """Return a command that begins a feed. `whole`: with all others of its source."""
    source = f" --source {feed.source}" if len(context.sources) > 1 else ""
    return f"run{'' if whole else f' --stream {feed.stream}'}{source} --since 7d"


def _start_of(context: JobContext, feed: Feed, options: RunOptions) -> datetime | Beginning | None:
    """Return where the first run of a feed begins by the settings.

    Raises: UsageError for a source that is new beside others, and for other calls that are new to a source: `START_AT` was set
            before anybody thought of them, so it holds only for who names them.
    """
    start_at, known = context.settings.start_at, KnownSources(context.database).read_names()
    if feed.stream not in STREAMS and feed.source in known and not (start_at and options.stream == feed.stream):
        raise UsageError(
            f"stream {feed.text(named=len(context.sources) > 1)} is new to the sync-state tables, so nothing was begun: say where it "
            f"begins, for example `{_begin(context, feed)}` (each event sent pays out rewards); the others go on from their watermarks"
        )
    if start_at is not None:
        return start_at if isinstance(start_at, datetime) else Beginning.BEGINNING
    if feed.source in known or not known:
        return None
    lost = [each for each in known if each not in context.sources]
    raise UsageError(_new_source(feed.source, lost, source_configs(context.settings)))


def _new_source(name: str, lost: Sequence[str], configs: Mapping[str, SourceConfig]) -> str:
    """Return what to do about a source without a watermark beside others.

    Shape:  lost: sources that have one and are not in the settings.  configs: those of the settings, by name.
    """
    begin = (
        f"source {name!r} is new to the sync-state tables, so nothing was begun: say where it begins, for example "
        f"`run --source {name} --since 7d` (each event sent pays out rewards), or set REHOOK_SYNC_START_AT"
    )
    if not lost:
        return begin
    known = " or ".join(repr(each) for each in lost)
    schemas = {lost[0] if each == name else each: config.schema for each, config in configs.items()}
    value = ",".join(each if schema in {None, each} else f"{each}={schema}" for each, schema in schemas.items())
    return f"{begin}; if it is {known} under another schema, set REHOOK_SYNC_WAREHOUSE_SCHEMA={value}, which sends nothing again"
