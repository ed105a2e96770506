"""What commands take: their options, and what is read from them. Heavy imports stand inside."""

# ruff: noqa: PLC0415 - so that --help and --version answer at once

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rehook_sync.errors import UsageError
from rehook_sync.models import FAILED_REASONS, REJECTED_REASONS, STREAMS, Reason

if TYPE_CHECKING:
    from rehook_sync.jobs.results import RunOptions
    from rehook_sync.settings import Settings

__all__ = [
    "RETRIED_REASONS",
    "Config",
    "DryRun",
    "FailedReason",
    "Json",
    "OneSource",
    "OneStream",
    "Quiet",
    "RejectedReason",
    "Since",
    "Until",
    "needing",
    "read_database_url",
    "read_id",
    "read_reason",
    "read_settings",
    "read_window",
]

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout; everything else goes to stderr.")]
Quiet = Annotated[bool, typer.Option("--quiet", help="Print nothing when all is well: the exit code is 0.")]
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
OneStream = Annotated[str | None, typer.Option("--stream", metavar="NAME", help="Only this stream, such as tracks.", show_default=False)]

OneSource = Annotated[str | None, typer.Option("--source", metavar="NAME", help="Only this one of several sources.", show_default=False)]
RETRIED_REASONS = (*FAILED_REASONS, Reason.PROPERTIES_NOT_LOADED)
_REASON = "Only rows with this reason: "
FailedReason = Annotated[
    str | None, typer.Option("--reason", metavar="R", help=f"{_REASON}{', '.join(RETRIED_REASONS)}.", show_default=False)
]
RejectedReason = Annotated[
    str | None, typer.Option("--reason", metavar="R", help=f"{_REASON}{', '.join(REJECTED_REASONS)}.", show_default=False)
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Show what would be done; send and write nothing.")]


@contextmanager
def needing(extra: str) -> Iterator[None]:
    """Import what only an extra brings. Raises UsageError with the line that installs it where it is missing."""
    try:
        yield
    except ModuleNotFoundError as error:
        library = str(error.name).partition(".")[0]
        raise UsageError(f"`{extra}` needs the library {library}, which is not installed: pip install 'rehook-sync[{extra}]'") from None


def read_settings(config: Path | None) -> "Settings":
    """Return the settings, from a file if one is named."""
    from rehook_sync.settings import load_settings

    return load_settings(config)


def read_id(text: str, name: str) -> str:
    """Return a user id or message id as it was typed. Raises UsageError for one that cannot be meant; `name` stands for it there."""
    if not text.isprintable() and any("\ud800" <= each <= "\udfff" for each in text):
        what = "a user id" if name == "USER_ID" else "a user id or a message id"
        raise UsageError(f"{name} is not valid UTF-8 text; give {what} as it stands in the warehouse")
    if not text.strip():
        raise UsageError(f"{name} is blank")
    return text


def read_window(
    settings: "Settings",
    since: str | None,
    until: str | None,
    stream: str | None,
    source: str | None = None,
    limit: int | None = None,
) -> "RunOptions":
    """Return the options of a run. Raises UsageError naming the option."""
    from rehook_sync.jobs.results import read_options

    streams = (*STREAMS, *settings.other_streams)
    if stream is not None and stream not in streams:
        raise UsageError(f"--stream: {stream!r} is not one of {', '.join(streams)}; REHOOK_SYNC_OTHER_CALLS names others")
    return replace(read_options(since, until, stream, marks="--"), source=source, limit=limit)


def read_reason(text: str | None, allowed: Sequence[Reason]) -> Reason | None:
    """Return a reason out of those allowed. Raises UsageError for another one."""
    found = next((each for each in allowed if each == text), None)
    if text is not None and found is None:
        raise UsageError(f"--reason: {text!r} is not one of {', '.join(allowed)}")
    return found


def read_database_url(option: str, text: str) -> str:
    """Return a database URL given to an option. Raises UsageError, which does not quote it."""
    from pydantic import SecretStr

    from rehook_sync.inputs.parsers import as_database_url

    try:
        return as_database_url(SecretStr(text)).get_secret_value()
    except ValueError:
        raise UsageError(f"{option} is not a database URL, for example sqlite:///state.db") from None
