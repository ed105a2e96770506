"""A command in this process: exit codes, and one line for each error."""

import gc
import io
import os
import signal
import sys
import traceback
from collections.abc import Sequence
from contextlib import suppress
from copy import copy
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import typer

from rehook_sync.cli.commands import app
from rehook_sync.errors import InternalError, RehookSyncError, UsageError
from rehook_sync.runtime import Output, describe, require_files, tuned_interpreter

if TYPE_CHECKING:
    from rehook_sync.render.console import Screen

__all__ = ["run_command"]

_PACKAGE = Path(__file__).resolve().parents[1]


def run_command() -> NoReturn:
    """Run the command that this process was started with, and exit."""
    arguments = sys.argv[1:]
    before_any_text = _before_any_text(arguments)
    as_json = "--json" in before_any_text
    _prepare_outputs()
    if "--traceback" not in before_any_text:
        sys.excepthook = lambda _kind, error, _trace: _report_unexpected(error, as_json=as_json)
    with tuned_interpreter():  # imports make many objects and no garbage
        try:
            sys.exit(_exit_code(arguments, as_json=as_json))
        finally:
            gc.freeze()  # skips the collections over all modules that would follow, now and at exit: 0.14 s


def _before_any_text(arguments: Sequence[str]) -> Sequence[str]:
    """Return what may be options: all before a `--`."""
    return arguments[: arguments.index("--")] if "--" in arguments else arguments


def _prepare_outputs() -> None:
    """Let no output end the work: neither a character that it does not know, nor a reader that is gone, nor a full disk."""
    for number, name in ((1, "stdout"), (2, "stderr")):
        stream = getattr(sys, name)
        if stream is None:  # closed before this process began; a file opened later must not get its number
            with suppress(OSError):
                os.dup2(os.open(os.devnull, os.O_WRONLY), number)
            stream = os.fdopen(number, "w", encoding="utf-8", closefd=False)
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
        setattr(sys, name, Output(stream, is_result=number == 1))


def _exit_code(arguments: Sequence[str], *, as_json: bool) -> int:
    if not arguments:
        _exit_code(["--help"], as_json=False)
        return UsageError.exit_code
    name = "python -m rehook_sync" if Path(sys.argv[0]).name == "__main__.py" else Path(sys.argv[0]).name
    try:
        _require_once(arguments)
        require_files()
        code = typer.main.get_command(_app_of(arguments[0])).main(list(arguments), prog_name=name, standalone_mode=False)
    except RehookSyncError as error:
        return _screen(as_json=as_json).fail(error)
    except (KeyboardInterrupt, typer.Abort):
        return 128 + signal.SIGINT
    except Exception as error:
        # Typer's versions name their usage error differently; each has `format_message`.
        describe = getattr(error, "format_message", None)
        if describe is None:
            raise
        return _screen(as_json=as_json).fail(UsageError(f"{describe().rstrip('.')}; see `{_help_command(name, error)}`"))
    return code if isinstance(code, int) else 0


def _app_of(command: str) -> typer.Typer:
    """Return the app with a command alone, if it is one: to make all of them ready takes a while."""
    chosen = copy(app)
    alone = [each for each in app.registered_commands if command == (each.name or getattr(each.callback, "__name__", None))]
    chosen.registered_commands = alone or app.registered_commands
    return chosen


def _require_once(arguments: Sequence[str]) -> None:
    """Refuse two sources or streams, of which only the last would be taken. Raises UsageError."""
    for option in ("--source", "--stream"):
        if sum(each.partition("=")[0] == option for each in _before_any_text(arguments)) > 1:
            raise UsageError(f"{option} takes one: leave it out for all, or give a command for each")


def _screen(*, as_json: bool) -> "Screen":
    from rehook_sync.cli.screens import current_screen  # noqa: PLC0415 - only errors need it

    return current_screen(as_json=as_json)


def _help_command(name: str, error: Exception) -> str:
    context = getattr(error, "ctx", None)
    return f"{getattr(context, 'command_path', name)} --help"


def _report_unexpected(error: BaseException, *, as_json: bool) -> None:
    """Print where an unexpected error arose, without its message, which may hold data. Python then exits with 1."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    if not isinstance(error, RehookSyncError):
        said = f" ({describe(error)})" if isinstance(error, OSError) else ""
        error = InternalError(f"unexpected {type(error).__name__}{said} at {_place(error)}; `--traceback` before the command shows more")
    _screen(as_json=as_json).fail(error)


def _place(error: BaseException) -> str:
    """Return the innermost line of this package in the traceback, as `rehook_sync/times.py:12`."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = [frame for frame in frames if _PACKAGE in Path(frame.filename).parents]
    if not ours:
        return "an unknown place"
    return f"{Path(ours[-1].filename).relative_to(_PACKAGE.parent)}:{ours[-1].lineno}"
