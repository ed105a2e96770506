"""The commands that an operator needs once. Heavy imports stand inside them."""

# ruff: noqa: PLC0415 - so that --help and --version answer at once

from functools import partial
from typing import Annotated

import typer

from rehook_sync.cli.arguments import Config, DryRun, Json, OneSource, OneStream, Quiet, Since, read_database_url, read_id, read_window
from rehook_sync.cli.commands import app
from rehook_sync.cli.screens import begin, perform

__all__: list[str] = []

_PERIOD = "ISO-8601 (naive is UTC), a date, an age (36h, 7d)"


@app.command()
def baseline(  # noqa: PLR0913, PLR0917 - one parameter for each option
    since: Annotated[str, typer.Option(metavar="T", help=f"From this time on: {_PERIOD}, or 'beginning'.")],
    until: Annotated[str, typer.Option(metavar="T", help=f"Up to this time, itself excluded: {_PERIOD}.")],
    stream: OneStream = None,
    source: OneSource = None,
    dry_run: DryRun = False,
    config: Config = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Record a period as settled elsewhere; sends nothing.

    For what Segment's own destination has delivered, and after a restored backup.
    """
    from rehook_sync.render.plan import baseline_document, baseline_view
    from rehook_sync.sync import Sync

    screen, settings = begin(config, as_json=as_json, quiet=quiet)
    options = read_window(settings, since, until, stream, source)
    if dry_run:
        with Sync(settings, read_only=True) as sync:
            plan = sync.plan_baseline(options)
        screen.result(baseline_document(plan), *baseline_view(plan, screen.width))
        raise typer.Exit(0)
    with Sync(settings) as sync:
        raise typer.Exit(perform(screen, partial(sync.baseline, options)))


@app.command()
def refresh(since: Since = None, dry_run: DryRun = False, config: Config = None, as_json: Json = False, quiet: Quiet = False) -> None:
    """Send each customer's present traits again; never an event.

    After a change of names or exclusions. With --since only customers with a call from then on. One that was cut off goes on.
    """
    from rehook_sync.render.text import counted
    from rehook_sync.sync import Sync

    screen, settings = begin(config, as_json=as_json, quiet=quiet)
    options = read_window(settings, since, None, None)
    if dry_run:
        with Sync(settings, read_only=True) as sync:
            count = sync.count_refresh(options)
        screen.result(
            {"customers": count, "dry_run": True},
            f"would send {counted(count, 'customer')} their present traits; nothing was sent or written",
        )
        raise typer.Exit(0)
    with Sync(settings) as sync:
        raise typer.Exit(perform(screen, partial(sync.refresh, options)))


@app.command("copy-state")
def copy_state(
    to: Annotated[str, typer.Option(metavar="URL", help="An empty database, SQLite or PostgreSQL; - reads the URL from stdin.")],
    config: Config = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Copy the sync-state to an empty database.

    Proves that all rows are the same there, and changes nothing here. It refuses while a run is at work.
    """
    import sys

    from rehook_sync.render.admin.copying import copy_document, copy_view
    from rehook_sync.render.console import interruptible
    from rehook_sync.settings import without_userinfo
    from rehook_sync.sync import Sync

    screen, settings = begin(config, as_json=as_json, quiet=quiet)
    url = read_database_url("--to", sys.stdin.readline().strip() if to == "-" else to)
    with interruptible() as interrupt, Sync(settings) as sync:
        report = sync.copy_state(url, interrupt)
    place = without_userinfo(url)
    screen.result(copy_document(report, place), *copy_view(report, place), well=not report.interrupted)
    raise typer.Exit(128 + interrupt.signal if report.interrupted and interrupt.signal is not None else 0)


@app.command("verify")
def verify_command(
    ids: Annotated[list[str] | None, typer.Argument(metavar="[ID]...", help="User ids; without any, a sample.", show_default=False)] = None,
    sample: Annotated[int, typer.Option(metavar="N", min=1, help="Ask for so many customers, drawn by chance.")] = 100,
    config: Config = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Ask Rehook whether it has what the state says; exit 3 if not.

    Reads on both sides and writes on none, within RATE_LIMIT.
    """
    from rehook_sync.render.admin.verify import verification_document, verification_view
    from rehook_sync.render.advice import Shell
    from rehook_sync.render.console import interruptible
    from rehook_sync.sync import Sync

    screen, settings = begin(config, as_json=as_json, quiet=quiet)
    shell, asked = Shell(None if config is None else str(config)), [read_id(each, "ID") for each in ids or ()]
    with interruptible() as interrupt, Sync(settings, read_only=True) as sync:
        found = sync.verify(asked, sample, interrupt)
    code = 128 + interrupt.signal if interrupt.signal is not None else 0 if found.agrees else 3
    screen.result(verification_document(found, shell), *verification_view(found, shell), well=code == 0)
    raise typer.Exit(code)


@app.command()
def publish(
    whole: Annotated[bool, typer.Option("--whole", help="Make the copy anew, with all rows.")] = False,
    end: Annotated[bool, typer.Option("--end", help="Note no changes for the copy any more; it stays as it is.")] = False,
    config: Config = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Bring a copy of the sync-state up to date, for analysts.

    PUBLISH_SCHEMA says where it is; then each run does so at its end.
    """
    from rehook_sync.render.admin.publication import publish_document, publish_view
    from rehook_sync.render.console import interruptible
    from rehook_sync.sync import Sync

    screen, settings = begin(config, as_json=as_json, quiet=quiet)
    with interruptible() as interrupt, Sync(settings) as sync:
        if end:
            ended = sync.end_publication()
            screen.result({"ended": ended}, "no more changes are noted for the copy" if ended else "there was no copy")
            raise typer.Exit(0)
        report = sync.publish(interrupt, whole=whole)
    screen.result(publish_document(report), *publish_view(report), well=not report.interrupted)
    raise typer.Exit(128 + interrupt.signal if report.interrupted and interrupt.signal is not None else 0)
