"""The command line: arguments in, one call of `sync`, its answer out. Everything heavy is loaded inside the commands."""

# ruff: noqa: PLC0415 - so that --help and --version are there at once

import io
import signal
import sys
import traceback
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from rehook_sync import __version__
from rehook_sync.errors import InternalError, RehookSyncError, UsageError
from rehook_sync.records import Reason, Stream

if TYPE_CHECKING:
    from rehook_sync.console import Screen
    from rehook_sync.records import Selection
    from rehook_sync.reports import Request
    from rehook_sync.settings import Settings

__all__ = ["app", "main"]

DEFAULT_PORT = 8790
_PACKAGE = Path(__file__).resolve().parent

app = typer.Typer(
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout; everything else goes to stderr.")]
Config = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE", help="Settings file; without it, rehook_sync.toml in the working directory if there is one.", show_default=False
    ),
]
Since = Annotated[
    str | None,
    typer.Option(
        metavar="T", help="From this time on: ISO-8601 (naive is UTC), a date, an age (36h, 7d), or 'beginning'.", show_default=False
    ),
]
Until = Annotated[str | None, typer.Option(metavar="T", help="Up to this time, itself excluded; without it, now.", show_default=False)]
OneStream = Annotated[Stream | None, typer.Option("--stream", help="Only this stream.", show_default=False)]

OneReason = Annotated[str | None, typer.Option("--reason", metavar="R", help="Only rows with this reason.", show_default=False)]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Show what would be done; send and write nothing.")]


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
def init(config: Config = None, as_json: Json = False) -> None:
    """Create or upgrade the sync-state tables; safe to repeat."""
    from rehook_sync.sync import Sync

    screen = _screen(as_json=as_json)
    with Sync(_settings(config)) as sync:
        done = sync.init()
    steps = ", ".join(done.applied)
    text = (
        f"applied {steps}; the sync-state tables have version {done.version}"
        if steps
        else f"up to date: the sync-state tables have version {done.version}"
    )
    screen.result({"version": done.version, "applied": done.applied}, text)


@app.command()
def check(config: Config = None, as_json: Json = False) -> None:
    """Check settings, warehouse, state and credentials."""
    from rehook_sync.examination import Examination, examination_document, examination_view, examine

    screen = _screen(as_json=as_json)
    try:
        found = examine(_settings(config))
    except RehookSyncError as error:
        found = Examination(errors={"settings": error})
    screen.result(examination_document(found), *examination_view(found))
    raise typer.Exit(found.first_error.exit_code if found.first_error else 0)


@app.command()
def plan(
    since: Since = None,
    until: Until = None,
    stream: OneStream = None,
    sample: Annotated[int, typer.Option(metavar="N", min=0, help="Show so many request bodies.")] = 0,
    config: Config = None,
    as_json: Json = False,
) -> None:
    """Show what a run would do; sends nothing, writes nothing."""
    _plan(_screen(as_json=as_json), _settings(config), _request(since, until, stream), sample)


@app.command()
def run(  # noqa: PLR0913, PLR0917 - one parameter for each option
    since: Since = None,
    until: Until = None,
    stream: OneStream = None,
    limit: Annotated[int | None, typer.Option(metavar="N", min=1, help="Judge so many rows at most.", show_default=False)] = None,
    workers: Annotated[int, typer.Option(metavar="N", min=1, help="Do it in so many processes, each with a part of the users.")] = 1,
    dry_run: DryRun = False,
    config: Config = None,
    as_json: Json = False,
) -> None:
    """Deliver what is new, what came late and what failed before."""
    screen, settings, request = _screen(as_json=as_json), _settings(config), _request(since, until, stream, limit)
    if dry_run:
        _plan(screen, settings, request, 0)
    else:
        raise typer.Exit(_run(screen, settings, request, workers))


@app.command()
def retry(
    reason: OneReason = None, stream: OneStream = None, dry_run: DryRun = False, config: Config = None, as_json: Json = False
) -> None:
    """Send again what failed, and nothing new."""
    from rehook_sync.records import FAILED_REASONS, Selection, Status

    selection = Selection(Status.FAILED, _reason(reason, FAILED_REASONS))
    _again(_screen(as_json=as_json), _settings(config), selection, stream, dry_run=dry_run)


@app.command()
def revalidate(
    reason: OneReason = None, stream: OneStream = None, dry_run: DryRun = False, config: Config = None, as_json: Json = False
) -> None:
    """Judge rejected rows again and send those that pass.

    They are judged under today's settings. What Rehook itself refused is only taken up with --reason refused_by_rehook.
    """
    from rehook_sync.records import REJECTED_REASONS, Selection, Status

    selection = Selection(Status.REJECTED, _reason(reason, REJECTED_REASONS))
    _again(_screen(as_json=as_json), _settings(config), selection, stream, dry_run=dry_run)


@app.command()
def resolve(
    ids: Annotated[list[str] | None, typer.Argument(metavar="[ID]...", help="Message ids or user ids; without any, all in doubt.")] = None,
    resend: Annotated[bool, typer.Option("--resend", help="They did not arrive: send them again.")] = False,
    accept: Annotated[bool, typer.Option("--accept", help="They arrived: settle them as sent.")] = False,
    dry_run: DryRun = False,
    config: Config = None,
    as_json: Json = False,
) -> None:
    """Settle calls in doubt, once you know whether they arrived.

    With --resend, the other failed calls of the same users go out as well, in order.
    """
    from rehook_sync.records import Selection, Status
    from rehook_sync.sync import Sync

    if resend == accept:
        raise UsageError("give either --resend (they did not arrive) or --accept (they did); `explain ID` shows what is known")
    screen, settings, meant = _screen(as_json=as_json), _settings(config), tuple(ids) if ids else None
    if resend and not dry_run:
        _again(screen, settings, Selection(Status.IN_DOUBT, ids=meant), None, dry_run=False)
    with Sync(settings, read_only=dry_run) as sync:
        count = sync.accept(meant, dry_run=dry_run)
    verb = "send again" if resend else "accept"
    text = f"would {verb} {count} in doubt" if dry_run else f"accepted {count} in doubt: they count as sent"
    screen.result({"verb": "resend" if resend else "accept", "in_doubt": count, "dry_run": dry_run}, text)


@app.command()
def prune(
    older_than: Annotated[str, typer.Option(metavar="D", help="Age of what may go, such as 90d; not less than the lookback.")],
    dry_run: DryRun = False,
    config: Config = None,
    as_json: Json = False,
) -> None:
    """Remove old settled detail; nothing is sent again for it."""
    from rehook_sync.console import interruptible
    from rehook_sync.settings import parse_age
    from rehook_sync.sync import Sync

    screen, settings, age = _screen(as_json=as_json), _settings(config), parse_age("--older-than", older_than)
    with interruptible() as interrupt, Sync(settings, read_only=dry_run) as sync:
        count = sync.prune(age, interrupt, dry_run=dry_run)
    text = f"{'would prune' if dry_run else 'pruned'} the detail of {count:,} settled rows"
    screen.result({"rows": count, "dry_run": dry_run, "interrupted": interrupt.requested}, text)
    raise typer.Exit(128 + interrupt.signal if interrupt.signal is not None else 0)


@app.command()
def status(
    runs: Annotated[int, typer.Option(metavar="N", min=1, help="Show so many of the last runs.")] = 10,
    config: Config = None,
    as_json: Json = False,
) -> None:
    """Show runs, watermarks, lag, counts and the lease."""
    from rehook_sync.sync import Sync
    from rehook_sync.views import status_document, status_view

    screen = _screen(as_json=as_json)
    with Sync(_settings(config), read_only=True) as sync:
        report = sync.read_status(runs)
    screen.result(status_document(report), *status_view(report, screen.width))


@app.command()
def explain(
    key: Annotated[str, typer.Argument(metavar="ID", help="A user id or a message id.", show_default=False)],
    config: Config = None,
    as_json: Json = False,
) -> None:
    """Tell all that is known about a user or a message id."""
    from rehook_sync.sync import Sync
    from rehook_sync.views import explanation_document, explanation_view

    screen = _screen(as_json=as_json)
    if not key.isprintable() and any("\ud800" <= each <= "\udfff" for each in key):
        raise UsageError("ID is not valid UTF-8 text; give a user id or a message id as it stands in the warehouse")
    with Sync(_settings(config), read_only=True) as sync:
        explanation = sync.explain(key)
    screen.result(explanation_document(explanation), *explanation_view(explanation))


@app.command()
def sandbox(
    port: Annotated[int, typer.Option(metavar="P", min=0, max=65535, help="Listen here on loopback; 0 takes a free port.")] = DEFAULT_PORT,
    config: Config = None,
    as_json: Json = False,
) -> None:
    """Run a local Rehook with fault switches, for tests and trials."""
    from rehook_sync.sandbox.server import serve
    from rehook_sync.sandbox.store import DEFAULT_CREDENTIALS, Behaviour

    screen = _screen(as_json=as_json)
    names = frozenset(_settings(config).conversion_events) if config else frozenset[str]()

    def greet(url: str) -> None:
        settings = {
            "REHOOK_SYNC_API_URL": url,
            "REHOOK_SYNC_API_KEY": DEFAULT_CREDENTIALS.key,
            "REHOOK_SYNC_API_SECRET": DEFAULT_CREDENTIALS.secret,
        }
        exports = [f"  export {name}={value}" for name, value in settings.items()]
        fault = """-d '{"kind": "status", "status": 503, "times": 2}'"""
        screen.result(
            {"url": url, "settings": settings, "conversion_events": sorted(names)},
            f"A local Rehook listens at {url}. It forgets everything when it stops (Ctrl-C).\n",
            "Send to it:",
            *exports,
            "\nSee what it got, and make it fail twice:",
            f"  curl {url}/_sandbox/counts",
            f"  curl {url}/_sandbox/faults {fault}",
        )

    serve(port, behaviour=Behaviour(conversion_events=names), on_start=greet)
    screen.say("stopped")


@app.command()
def demo(
    keep: Annotated[Path, typer.Option(metavar="DIR", help="Where the demo's files go.")] = Path("rehook_sync_demo"),
    config: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Not used: the demo writes its own settings.", show_default=False)
    ] = None,
    as_json: Json = False,
) -> None:
    """Sync a sample shop's warehouse to a local Rehook."""
    from rehook_sync.demo import run_demo

    del config
    raise typer.Exit(run_demo(_screen(as_json=as_json), keep))


def _screen(*, as_json: bool) -> "Screen":
    from rehook_sync.console import Screen

    return Screen(as_json=as_json)


def _settings(config: Path | None) -> "Settings":
    from rehook_sync.settings import load_settings

    return load_settings(config)


def _request(since: str | None, until: str | None, stream: Stream | None, limit: int | None = None) -> "Request":
    from rehook_sync.reports import read_request

    return replace(read_request(since, until, stream, marks="--"), limit=limit)


def _reason(text: str | None, allowed: Sequence[Reason]) -> Reason | None:
    found = next((each for each in allowed if each == text), None)
    if text is not None and found is None:
        raise UsageError(f"--reason: {text!r} is not one of {', '.join(allowed)}")
    return found


def _again(screen: "Screen", settings: "Settings", selection: "Selection", stream: Stream | None, *, dry_run: bool) -> NoReturn:
    """Take recorded calls up again, and exit."""
    from rehook_sync.reports import Request

    request = Request(stream=stream, only=selection)
    if dry_run:
        _plan(screen, settings, request, 0)
        raise typer.Exit(0)
    raise typer.Exit(_run(screen, settings, request))


def _plan(screen: "Screen", settings: "Settings", request: "Request", samples: int) -> None:
    from rehook_sync.sync import Sync
    from rehook_sync.views import plan_document, plan_view

    with Sync(settings, read_only=True) as sync:
        plan = sync.plan(request, samples)
    screen.result(plan_document(plan), *plan_view(plan))


def _run(screen: "Screen", settings: "Settings", request: "Request", workers: int = 1) -> int:
    from rehook_sync.console import interruptible, run_exit_code, watched
    from rehook_sync.views import run_document, run_view

    with interruptible() as interrupt:
        with watched(screen, interrupt) as listen:
            if workers > 1:
                from rehook_sync.workers import run_in_processes

                result = run_in_processes(settings, request, workers, interrupt, listen)
            else:
                from rehook_sync.sync import Sync

                with Sync(settings) as sync:
                    result = sync.run(request, interrupt, listen)
        screen.result(run_document(result), *run_view(result))
        if result.error is not None:
            screen.complain(result.error)
        return run_exit_code(result, interrupt)


def main() -> NoReturn:
    """Run the command line of this process and exit."""
    arguments = sys.argv[1:]
    before_any_text = arguments[: arguments.index("--")] if "--" in arguments else arguments
    as_json = "--json" in before_any_text
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    signal.signal(signal.SIGTERM, _terminated)
    if "--traceback" not in before_any_text:
        sys.excepthook = lambda _kind, error, _trace: _report_unexpected(error, as_json=as_json)
    sys.exit(_exit_code(arguments, as_json=as_json))


def _exit_code(arguments: Sequence[str], *, as_json: bool) -> int:
    if not arguments:
        _exit_code(["--help"], as_json=False)
        return UsageError.exit_code
    name = "python -m rehook_sync" if Path(sys.argv[0]).name == "__main__.py" else Path(sys.argv[0]).name
    try:
        code = typer.main.get_command(app).main(list(arguments), prog_name=name, standalone_mode=False)
    except RehookSyncError as error:
        return _screen(as_json=as_json).fail(error)
    except (KeyboardInterrupt, typer.Abort):
        return 128 + signal.SIGINT
    except Exception as error:
        # What typer raises for a wrong call has no name that all its versions share; all of them can say what is wrong.
        describe = getattr(error, "format_message", None)
        if describe is None:
            raise
        return _screen(as_json=as_json).fail(UsageError(f"{describe().rstrip('.')}; see `{_help_command(name, error)}`"))
    return code if isinstance(code, int) else 0


def _help_command(name: str, error: Exception) -> str:
    context = getattr(error, "ctx", None)
    return f"{getattr(context, 'command_path', name)} --help"


def _terminated(number: int, _frame: FrameType | None) -> NoReturn:
    """End a command that has nothing to settle; `run` puts its own handler in place of this."""
    raise SystemExit(128 + number)


def _report_unexpected(error: BaseException, *, as_json: bool) -> None:
    """Say where a bug showed itself, without the message: it may hold data. Python then exits with 1."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    if not isinstance(error, RehookSyncError):
        error = InternalError(f"unexpected {type(error).__name__} at {_place(error)}; `--traceback` before the command shows more")
    _screen(as_json=as_json).fail(error)


def _place(error: BaseException) -> str:
    """Return the last line of ours that the error passed, as `rules.py:12`."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = [frame for frame in frames if _PACKAGE in Path(frame.filename).parents]
    if not ours:
        return "an unknown place"
    return f"{Path(ours[-1].filename).relative_to(_PACKAGE.parent)}:{ours[-1].lineno}"
