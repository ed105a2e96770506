"""The commands that need no warehouse of yours: the local Rehook and the demo. Heavy imports stand inside them."""

# ruff: noqa: PLC0415 - so that --help and --version answer at once

from pathlib import Path
from typing import Annotated

import typer

from rehook_sync.cli.arguments import Config, Json, Quiet, needing, read_settings
from rehook_sync.cli.commands import app
from rehook_sync.cli.screens import open_screen

__all__: list[str] = []

DEFAULT_PORT = 8790


@app.command()
def sandbox(
    port: Annotated[int, typer.Option(metavar="P", min=0, max=65535, help="Listen here on loopback; 0 takes a free port.")] = DEFAULT_PORT,
    config: Config = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Run a local Rehook with fault switches, for tests and trials."""
    with needing("sandbox"):
        from rehook_sync.sandbox.server import serve
        from rehook_sync.sandbox.store import DEFAULT_CREDENTIALS, Behaviour

    screen = open_screen(as_json=as_json, quiet=quiet)
    names = frozenset(read_settings(config).conversion_events) if config else frozenset[str]()

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
            f"A local Rehook listens at {url}.",
            "It forgets everything when it stops (Ctrl-C).\n",
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
    quiet: Quiet = False,
) -> None:
    """Sync a sample shop's warehouse to a local Rehook."""
    with needing("demo"):
        from rehook_sync.demo.demo import run_demo

    del config
    raise typer.Exit(run_demo(open_screen(as_json=as_json, quiet=quiet), keep))
