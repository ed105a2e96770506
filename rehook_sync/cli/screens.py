"""The terminal of a command: opened once, and watched while work goes on that signals can stop. Heavy imports stand inside."""

# ruff: noqa: PLC0415 - so that --help and --version answer at once

from collections.abc import Callable
from typing import TYPE_CHECKING

from rehook_sync.errors import RehookSyncError

if TYPE_CHECKING:
    from rehook_sync.jobs.results import RunResult
    from rehook_sync.jobs.run import Listener
    from rehook_sync.render.console import Screen
    from rehook_sync.runtime import Interrupt

__all__ = ["open_screen", "perform"]


def open_screen(*, as_json: bool) -> "Screen":
    """Return where a command shows its answer."""
    from rehook_sync.render.console import Screen

    return Screen(as_json=as_json)


def perform(screen: "Screen", work: "Callable[[Interrupt, Listener], RunResult]") -> int:
    """Do work that signals can stop, show how it goes and how it ended, and return the exit code."""
    from rehook_sync.render.console import interruptible, run_exit_code, watched
    from rehook_sync.render.run import run_document, run_view

    with interruptible() as interrupt:
        try:
            with watched(screen, interrupt) as listen:
                result = work(interrupt, listen)
        except RehookSyncError:
            if interrupt.signal is None:
                raise
            return 128 + interrupt.signal  # it was stopped while it waited, before it began
        screen.result(run_document(result), *run_view(result))
        if result.error is not None:
            screen.complain(result.error)
        return run_exit_code(result, interrupt)
