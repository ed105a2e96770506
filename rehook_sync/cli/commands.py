"""The commands that deliver, look and settle. Heavy imports stand inside them."""

# ruff: noqa: PLC0415 - so that --help and --version answer at once

from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from rehook_sync import __version__
from rehook_sync.cli.arguments import (
    RETRIED_REASONS,
    Config,
    DryRun,
    FailedReason,
    Json,
    OneSource,
    OneStream,
    Quiet,
    RejectedReason,
    Since,
    Until,
    needing,
    read_id,
    read_reason,
    read_settings,
    read_window,
)
from rehook_sync.cli.screens import begin, open_screen, perform
from rehook_sync.errors import RehookSyncError, UsageError
from rehook_sync.models import Reason, Stream

if TYPE_CHECKING:
    from rehook_sync.jobs.results import Listener, RunOptions, RunResult
    from rehook_sync.models import Selection
    from rehook_sync.render.console import Screen
    from rehook_sync.runtime import Interrupt
    from rehook_sync.settings import Settings

__all__ = ["app"]

DEFAULT_PAGE = "rehook_sync_report.html"

app = typer.Typer(
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)


def _show_version(value: bool) -> None:
    if value:
        typer.echo(f"rehook-sync {__version__}")
        raise typer.Exit


@app.callback(help="Deliver Segment's identifies and tracks from a warehouse to Rehook, each call once.")
def program(
    version: Annotated[bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version.")] = False,
    trace: Annotated[bool, typer.Option("--traceback", help="Show where an unexpected error came from; it may show data.")] = False,
) -> None:
    """Hold the options that stand before the command."""


@app.command()
def init(
    rotated_key: Annotated[bool, typer.Option("--rotated-key", help="The API key changed; Rehook's project did not.")] = False,
    config: Config = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Create or upgrade the sync-state tables; safe to repeat."""
    from rehook_sync.sync import Sync

    screen, settings = begin(config, as_json=as_json, quiet=quiet)
    with Sync(settings) as sync:
        done = sync.init()
        if rotated_key:
            sync.rotate_key()
    now = f"the sync-state tables have version {done.version}"
    is_new = len(done.applied) == done.version
    steps = "created" if is_new else f"applied {', '.join(done.applied)}" if done.applied else "up to date"
    text = f"{steps}: {now}"
    told = ["they know the API key of the settings"] if rotated_key else []
    if done.adopted is not None:
        told.append(f"all that they hold is of the source {done.adopted!r} from now on")
    more = ({"rotated_key": True} if rotated_key else {}) | ({"adopted": done.adopted} if done.adopted is not None else {})
    screen.result({"version": done.version, "applied": done.applied} | more, text, *told)


@app.command()
def check(
    everything: Annotated[bool, typer.Option("--all", help="Show every setting, too.")] = False,
    config: Config = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Check settings, warehouse, state and credentials."""
    from rehook_sync.jobs.check import CheckResult
    from rehook_sync.render.check import check_document, check_view
    from rehook_sync.sync import Sync

    screen = open_screen(as_json=as_json, quiet=quiet)
    try:
        found = Sync.check(read_settings(config))
    except RehookSyncError as error:
        found = CheckResult(errors={"settings": error})
    screen.result(check_document(found), *check_view(found, everything=everything), well=found.first_error is None)
    raise typer.Exit(found.first_error.exit_code if found.first_error else 0)


@app.command()
def plan(  # noqa: PLR0913, PLR0917 - one parameter for each option
    since: Since = None,
    until: Until = None,
    stream: OneStream = None,
    source: OneSource = None,
    sample: Annotated[int, typer.Option(metavar="N", min=0, help="Show so many request bodies.")] = 0,
    config: Config = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Show what a run would do; sends nothing, writes nothing."""
    screen, settings = begin(config, as_json=as_json, quiet=quiet)
    _plan(screen, settings, read_window(settings, since, until, stream, source), sample)


@app.command()
def run(  # noqa: PLR0913, PLR0917 - one parameter for each option
    since: Since = None,
    until: Until = None,
    stream: OneStream = None,
    source: OneSource = None,
    limit: Annotated[int | None, typer.Option(metavar="N", min=1, help="Judge so many rows at most.", show_default=False)] = None,
    workers: Annotated[int, typer.Option(metavar="N", min=1, help="Do it in so many processes, each with a part of the users.")] = 1,
    abandon: Annotated[bool, typer.Option("--abandon", help="Give up the periods that are not done; sends nothing.")] = False,
    dry_run: DryRun = False,
    config: Config = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Deliver what is new, what came late and what failed before.

    A period asked for with --since stays open until it is done.
    """
    screen, settings = begin(config, as_json=as_json, quiet=quiet)
    options = read_window(settings, since, until, None if abandon else stream, source, limit)
    if abandon:
        if since or until or limit or workers > 1:
            raise UsageError("--abandon gives up what is open and reads nothing: only --stream, --source and --dry-run go with it")
        # A stream that the settings no longer name may have periods left.
        _abandon(screen, settings, replace(options, stream=Stream(stream) if stream else None), dry_run=dry_run)
    elif dry_run:
        _plan(screen, settings, options, 0)
    else:
        raise typer.Exit(_run(screen, settings, options, workers))


@app.command()
def retry(
    reason: FailedReason = None,
    stream: OneStream = None,
    dry_run: DryRun = False,
    config: Config = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Send again what failed, and nothing new."""
    from rehook_sync.models import Selection, Status

    chosen = read_reason(reason, RETRIED_REASONS)
    selection = Selection(Status.WAITING if chosen is Reason.PROPERTIES_NOT_LOADED else Status.FAILED, chosen)
    _again(*begin(config, as_json=as_json, quiet=quiet), selection, stream, dry_run=dry_run)


@app.command()
def revalidate(
    reason: RejectedReason = None,
    stream: OneStream = None,
    dry_run: DryRun = False,
    config: Config = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Judge rejected rows again and send those that pass.

    They are judged under today's settings. What Rehook itself refused is only taken up with --reason refused_by_rehook.
    """
    from rehook_sync.models import REJECTED_REASONS, Selection, Status

    selection = Selection(Status.REJECTED, read_reason(reason, REJECTED_REASONS))
    _again(*begin(config, as_json=as_json, quiet=quiet), selection, stream, dry_run=dry_run)


@app.command()
def resolve(  # noqa: PLR0913, PLR0917 - one parameter for each option
    ids: Annotated[list[str] | None, typer.Argument(metavar="[ID]...", help="Message ids or user ids.", show_default=False)] = None,
    everything: Annotated[bool, typer.Option("--all", help="All that are in doubt; on a terminal, asks first.")] = False,
    resend: Annotated[bool, typer.Option("--resend", help="They did not arrive: send them again.")] = False,
    accept: Annotated[bool, typer.Option("--accept", help="They arrived: settle them as sent.")] = False,
    dry_run: DryRun = False,
    config: Config = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Settle calls in doubt, once you know whether they arrived.

    With --resend, the other failed calls of the same users go out as well, in order.
    """
    from rehook_sync.models import Selection, Status
    from rehook_sync.sync import Sync

    if resend == accept:
        raise UsageError("give either --resend (they did not arrive) or --accept (they did); `explain ID` shows what is known")
    if everything == bool(ids):
        raise UsageError("say which calls: either message ids or user ids, or --all for all that are in doubt")
    meant = tuple(ids) if ids else None
    screen, settings = begin(config, as_json=as_json, quiet=quiet)
    if everything and not dry_run:
        _ask_for_all(screen, settings, resend=resend)
    if resend and not dry_run:
        _again(screen, settings, Selection(Status.IN_DOUBT, ids=meant), None, dry_run=False)
    with Sync(settings, read_only=dry_run) as sync:
        count = sync.accept(meant, dry_run=dry_run)
    verb = "send again" if resend else "accept"
    text = f"would {verb} {count} in doubt" if dry_run else f"accepted {count} in doubt: they count as sent"
    screen.result({"verb": "resend" if resend else "accept", "in_doubt": count, "dry_run": dry_run}, text)


@app.command()
def audit(  # noqa: PLR0913, PLR0917 - one parameter for each option
    since: Annotated[str, typer.Option(metavar="T", help="From this time on: ISO-8601, a date, an age (7d), or 'beginning'.")],
    until: Until = None,
    stream: OneStream = None,
    source: OneSource = None,
    config: Config = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Compare warehouse and state; exit 3 if rows are missing."""
    from rehook_sync.render.audit import audit_document, audit_view
    from rehook_sync.sync import Sync

    screen, settings = begin(config, as_json=as_json, quiet=quiet)
    options = read_window(settings, since, until, stream, source)
    with Sync(settings, read_only=True) as sync:
        report = sync.audit(options)
    screen.result(audit_document(report), *audit_view(report), well=report.is_complete)
    raise typer.Exit(0 if report.is_complete else 3)


@app.command()
def prune(
    older_than: Annotated[str, typer.Option(metavar="D", help="Age of what may go, such as 90d; not less than the lookback.")],
    dry_run: DryRun = False,
    config: Config = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Remove old settled detail; nothing is sent again for it."""
    from rehook_sync.render.console import interruptible
    from rehook_sync.sync import Sync
    from rehook_sync.times import parse_age

    screen, settings = begin(config, as_json=as_json, quiet=quiet)
    age = parse_age("--older-than", older_than)
    with interruptible() as interrupt, Sync(settings, read_only=dry_run) as sync:
        count = sync.prune(age, interrupt, dry_run=dry_run)
    text = f"{'would prune' if dry_run else 'pruned'} the detail of {count:,} settled rows"
    screen.result({"rows": count, "dry_run": dry_run, "interrupted": interrupt.requested}, text, well=not interrupt.requested)
    raise typer.Exit(128 + interrupt.signal if interrupt.signal is not None else 0)


@app.command()
def forget(
    user_id: Annotated[str, typer.Argument(metavar="USER_ID", help="As in the warehouse.", show_default=False)],
    give_up: Annotated[bool, typer.Option("--give-up", help="Settle the user's failed and waiting calls as rejected: never sent.")] = False,
    dry_run: DryRun = False,
    config: Config = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Remove a person; counts stay, and nothing is sent again.

    Calls that failed, wait or are in doubt must be settled first.
    """
    from rehook_sync.render.admin.forget import forget_document, forget_view
    from rehook_sync.render.console import interruptible
    from rehook_sync.sync import Sync

    screen, settings = begin(config, as_json=as_json, quiet=quiet)
    user_id = read_id(user_id, "USER_ID")
    with interruptible() as interrupt, Sync(settings, read_only=dry_run) as sync:
        traces = sync.forget(user_id, interrupt, give_up=give_up, dry_run=dry_run)
    document = forget_document(user_id, traces, give_up=give_up, dry_run=dry_run, interrupted=interrupt.requested)
    view = forget_view(user_id, traces, dry_run=dry_run, interrupted=interrupt.requested)
    screen.result(document, *view, well=not interrupt.requested)
    raise typer.Exit(128 + interrupt.signal if interrupt.signal is not None else 0)


@app.command()
def status(
    runs: Annotated[int, typer.Option(metavar="N", min=1, help="Show so many of the last runs.")] = 10,
    prometheus: Annotated[
        str | None, typer.Option(metavar="FILE", help="Write it as metrics for node_exporter.", show_default=False)
    ] = None,
    config: Config = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Show runs, watermarks, lag, counts and the lease."""
    from rehook_sync.render.status import status_document, status_view
    from rehook_sync.sync import Sync

    screen, settings = begin(config, as_json=as_json, quiet=quiet)
    with Sync(settings, read_only=True) as sync:
        report = sync.read_status(runs)
    if prometheus is not None:
        from rehook_sync.render.admin.prometheus import write_metrics

        write_metrics(report, prometheus)
    screen.result(status_document(report), *status_view(report, screen.width))


@app.command()
def explain(
    key: Annotated[str, typer.Argument(metavar="ID", help="A user id or a message id.", show_default=False)],
    state_only: Annotated[bool, typer.Option("--state-only", help="Do not look into the warehouse for calls that no run judged.")] = False,
    ask: Annotated[bool, typer.Option("--ask", help="Ask Rehook, too, what it has; changes nothing there.")] = False,
    config: Config = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Tell all that is known about a user or a message id."""
    from rehook_sync.render.advice import Shell
    from rehook_sync.render.explain import explanation_document, explanation_view
    from rehook_sync.runtime import Interrupt
    from rehook_sync.sync import Sync

    key, shell = read_id(key, "ID"), Shell(None if config is None else str(config))
    screen, settings = begin(config, as_json=as_json, quiet=quiet)
    with Sync(settings, read_only=True) as sync:
        explanation = sync.explain(key, warehouse=not state_only)
        asked = sync.verify([explanation.user_id or key], 1, Interrupt()) if ask else None
    document, view = explanation_document(explanation, shell), [*explanation_view(explanation, shell)]
    if asked is not None:
        from rehook_sync.render.admin.verify import asked_view, verification_document

        document |= {"at_rehook": verification_document(asked, shell)}
        view += ["", *asked_view(asked)]
    screen.result(document, *view)


@app.command()
def report(
    out: Annotated[str, typer.Option(metavar="FILE", help="The page; - is stdout. With --json: none.", show_default=DEFAULT_PAGE)] = "",
    since: Annotated[str, typer.Option(metavar="T", help="Runs that began from this time on; 'beginning' for all.")] = "90d",
    audit_since: Annotated[
        str | None, typer.Option("--audit", metavar="T", help="Compare with the warehouse, too, from this time on.")
    ] = None,
    config: Config = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Write one HTML page of numbers and charts."""
    from rehook_sync.jobs.results import RunOptions, read_since
    from rehook_sync.render.advice import Shell
    from rehook_sync.sync import Sync

    with needing("report"):
        from rehook_sync.report.coverage import build_coverage
        from rehook_sync.report.figures import build_figures
        from rehook_sync.report.page import publish

    shell = Shell(None if config is None else str(config))
    begins = read_since(since, datetime.now(UTC), marks="--")
    low = None if audit_since is None else read_since(audit_since, datetime.now(UTC), marks="--", name="audit")
    if as_json and out == "-":
        raise UsageError("--out - and --json both want stdout; give --out a file, or leave one of them out")
    screen, settings = begin(config, as_json=as_json, quiet=quiet)
    with Sync(settings, read_only=True) as sync:
        coverage = None if low is None else build_coverage(sync.audit(RunOptions(low)))
        figures = build_figures(sync.read_report(begins), shell, coverage)
    screen.result(*publish(figures, shell, out or (None if as_json else DEFAULT_PAGE)))


def _ask_for_all(screen: "Screen", settings: "Settings", *, resend: bool) -> None:
    """Ask on a terminal whether all calls in doubt are meant; elsewhere `--all` is answer enough."""
    from rehook_sync.sync import Sync

    if not screen.asks:
        return
    with Sync(settings, read_only=True) as sync:
        count = sync.accept(None, dry_run=True)
    what = "send again; a reward that was paid may be paid twice" if resend else "count as sent; none of them will go out any more"
    if count and not screen.confirm(f"{count:,} in doubt: {what}. Go on?"):
        screen.say("nothing was done", well=False)
        raise typer.Exit(2)


def _abandon(screen: "Screen", settings: "Settings", options: "RunOptions", *, dry_run: bool) -> None:
    """Give up periods, and say what stays out."""
    from rehook_sync.render.status import abandoned_document, abandoned_view
    from rehook_sync.sync import Sync

    with Sync(settings, read_only=dry_run) as sync:
        found = sync.abandon(options, dry_run=dry_run)
    screen.result(abandoned_document(found, dry_run=dry_run), *abandoned_view(found, dry_run=dry_run))


def _again(screen: "Screen", settings: "Settings", selection: "Selection", stream: str | None, *, dry_run: bool) -> NoReturn:
    """Retry recorded calls, and exit."""
    options = replace(read_window(settings, None, None, stream), only=selection)
    if dry_run:
        _plan(screen, settings, options, 0)
        raise typer.Exit(0)
    raise typer.Exit(_run(screen, settings, options))


def _plan(screen: "Screen", settings: "Settings", options: "RunOptions", samples: int) -> None:
    from rehook_sync.render.plan import plan_document, plan_view
    from rehook_sync.sync import Sync

    with Sync(settings, read_only=True) as sync:
        plan = sync.plan(options, samples)
    screen.result(plan_document(plan), *plan_view(plan, screen.width))


def _run(screen: "Screen", settings: "Settings", options: "RunOptions", workers: int = 1) -> int:
    def work(interrupt: "Interrupt", listen: "Listener") -> "RunResult":
        if workers > 1:
            from rehook_sync.workers import run_in_processes

            return run_in_processes(settings, options, workers, interrupt, listen)
        from rehook_sync.sync import Sync

        with Sync(settings) as sync:
            return sync.run(options, interrupt, listen)

    return perform(screen, work)
