"""The terminal of a command: opened once, and watched while work goes on that signals can stop. Heavy imports stand inside."""

# ruff: noqa: PLC0415 - so that --help and --version answer at once

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from rehook_sync.cli.arguments import read_settings
from rehook_sync.errors import RehookSyncError

if TYPE_CHECKING:
    from rehook_sync.jobs.results import Listener, RunResult
    from rehook_sync.render.console import Screen
    from rehook_sync.runtime import Interrupt
    from rehook_sync.settings import Settings

__all__ = ["begin", "current_screen", "open_screen", "perform"]

_opened: "list[Screen]" = []


def open_screen(*, as_json: bool, quiet: bool = False) -> "Screen":
    """Return where a command shows its answer."""
    from rehook_sync.render.console import Screen

    screen = Screen(as_json=as_json, quiet=quiet)
    _opened.append(screen)
    return screen


def current_screen(*, as_json: bool) -> "Screen":
    """Return the screen of the command, or a new one if it has not come to that."""
    return _opened[-1] if _opened else open_screen(as_json=as_json)


def begin(config: Path | None, *, as_json: bool, quiet: bool) -> "tuple[Screen, Settings]":
    """Return where a command shows its answer, and the settings, by which it logs."""
    from rehook_sync.render.logs import Log

    screen, settings = open_screen(as_json=as_json, quiet=quiet), read_settings(config)
    screen.log = Log(settings.log_format, settings.log_level)
    return screen, settings


def perform(screen: "Screen", work: "Callable[[Interrupt, Listener], RunResult]") -> int:
    """Do work that signals can stop, show how it goes and how it ended, and return the exit code."""
    from rehook_sync.render.console import interruptible, log_end, run_exit_code, watched
    from rehook_sync.render.run import run_document, run_view

    with interruptible() as interrupt:
        try:
            with watched(screen, interrupt) as listen:
                result = work(interrupt, listen)
        except RehookSyncError:
            if interrupt.signal is None:
                raise
            return 128 + interrupt.signal  # it was stopped while it waited, before it began
        code = run_exit_code(result, interrupt)
        log_end(screen, result)
        screen.result(run_document(result), *run_view(result), well=code == 0)
        if result.error is not None:
            screen.complain(result.error)
        return code
