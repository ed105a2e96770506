"""Output of the command line: text for people, one JSON object for programs, progress, log lines; and its interruption.

Text from data is escaped first: no control characters and no markup reach the terminal.
"""

import json
import os
import signal
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum
from types import FrameType
from typing import Any

from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.progress import BarColumn, ProgressColumn, SpinnerColumn, Task, TaskID, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar
from rich.text import Text

from rehook_sync.errors import RehookSyncError
from rehook_sync.jobs.results import Progress, RunResult
from rehook_sync.models import RunStatus, Status
from rehook_sync.runtime import SIGNALS, Interrupt

__all__ = ["Listener", "ProgressLog", "Screen", "error_document", "interruptible", "run_exit_code", "visible", "watched"]

Listener = Callable[[Progress], None]
_ATTENTION = 3
_LOG_EVERY_S = 5.0
_STOPPING = "stopping: settling what is in flight"
_SHOW_CURSOR = b"\x1b[?25h"


def visible(value: object) -> str:
    """Return text with unprintable characters, line ends included, as escapes."""
    text = str(value)
    return text if text.isprintable() else "".join(each if each.isprintable() else _escape(each) for each in text)


def _escape(character: str) -> str:
    number = ord(character)
    return f"\\x{number:02x}" if number < 0x100 else f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}"


def document_json(document: Mapping[str, object], indent: int | None = None) -> str:
    """Return a document as JSON: times as ISO-8601 UTC, enums as text, unprintable characters escaped."""
    text = json.dumps(_plain(document), ensure_ascii=False, indent=indent)
    return text if text.isprintable() else "".join(each if each.isprintable() or each == "\n" else _json_escape(each) for each in text)


def _json_escape(character: str) -> str:
    return json.dumps(character)[1:-1]


def _plain(value: object) -> object:
    if isinstance(value, Enum):
        return _plain(value.value)
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    if isinstance(value, Mapping):
        return {str(_plain(key)): _plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(each) for each in value]
    return value if value is None or isinstance(value, str | int | float) else str(value)


def error_document(error: RehookSyncError | None) -> dict[str, object] | None:
    """Return an error for programs."""
    return None if error is None else {"type": type(error).__name__, "message": str(error), "exit_code": error.exit_code}


class _Terminal(Console):
    """A console without markup."""

    def __init__(self, *, stderr: bool) -> None:
        super().__init__(stderr=stderr, markup=False, highlight=False, emoji=False)


class Screen:
    """Where one command writes: results to stdout, all else to stderr.

    Shape:  as_json: no text for people; `result` writes one JSON object.
    """

    def __init__(self, *, as_json: bool) -> None:
        """Use stdout and stderr of this process."""
        self.as_json = as_json
        self._out = _Terminal(stderr=False)
        self.err = _Terminal(stderr=True)

    @property
    def width(self) -> int:
        """Columns of the terminal."""
        return self._out.width

    @property
    def asks(self) -> bool:
        """Whether there is somebody to ask: both sides of the dialogue are a terminal."""
        return sys.stdin is not None and sys.stdin.isatty() and sys.stderr.isatty()

    def confirm(self, question: str) -> bool:
        """Ask on stderr; anything but yes is no."""
        self.err.print(Text(f"{question} [y/N] "), end="", soft_wrap=True)
        return sys.stdin.readline().strip().lower() in {"y", "yes"}

    def say(self, *parts: RenderableType) -> None:
        """Print for people. Only the terminal wraps strings and texts, so that they can be copied."""
        if self.as_json:
            return
        for part in parts:
            self._out.print(part, soft_wrap=isinstance(part, str | Text))

    def result(self, document: Mapping[str, object], *parts: RenderableType) -> None:
        """Print the result: the document for programs or the parts for people."""
        self.say(*parts)
        if self.as_json:
            self._write_json(document)

    def fail(self, error: RehookSyncError) -> int:
        """Print an error, also as JSON if asked, and return its exit code."""
        self.complain(error)
        if self.as_json:
            self._write_json({"error": error_document(error)})
        return error.exit_code

    def complain(self, error: RehookSyncError) -> None:
        """Print an error to stderr, one line per problem."""
        for line in str(error).splitlines() or [type(error).__name__]:
            self.err.print(Text("error: ", "bold red").append(visible(line), "not bold default"), soft_wrap=True)

    def _write_json(self, document: Mapping[str, object]) -> None:
        sys.stdout.write(document_json(document, indent=2 if sys.stdout.isatty() else None) + "\n")
        sys.stdout.flush()


def run_exit_code(result: RunResult, interrupt: Interrupt) -> int:
    """Return the exit code of a run that has ended."""
    if result.summary.status is RunStatus.INTERRUPTED and interrupt.signal is not None:
        return 128 + interrupt.signal
    if result.error is not None:
        return result.error.exit_code
    return _ATTENTION if result.summary.status is RunStatus.ATTENTION else 0


@contextmanager
def watched(screen: Screen, interrupt: Interrupt) -> Iterator[Listener]:
    """Show the progress of a run: a bar on a terminal, else log lines. Yields the listener for `run`."""
    if sys.stderr.isatty() and not screen.err.is_dumb_terminal:
        with _bar(screen.err) as bar:
            task = bar.add_task("looking at the warehouse", total=None, rows=0, sent=0, rejected=0)
            interrupt.listen(lambda: bar.update(task, description=_STOPPING))
            yield lambda progress: _show(bar, task, progress, interrupt)
    else:
        log = ProgressLog()
        interrupt.listen(lambda: log.info("stopping", signal=interrupt.signal))
        yield log.listen


@dataclass(frozen=True, slots=True)
class _Narrower:
    """Leaves room for the `^C` that a terminal prints: a wrapped line would not be erased."""

    inside: RenderableType

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield from console.render(self.inside, options.update_width(max(options.max_width - len("^C^C"), 1)))


class _Bar(Bar):
    """A bar on one line."""

    def get_renderables(self) -> Iterator[RenderableType]:
        """Yield that line."""
        yield _Narrower(self.make_tasks_table(self.tasks))


class _Rate(ProgressColumn):
    """Rows settled per second."""

    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        return Text(f"{speed:,.0f}/s" if speed else "", justify="right")


def _bar(console: Console) -> Bar:
    counts = "read {task.fields[rows]:,} · sent {task.fields[sent]:,} · rejected {task.fields[rejected]:,}"
    columns = (
        SpinnerColumn(finished_text=" "),
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=None),
        TextColumn(counts, markup=False),
        _Rate(),
        TimeRemainingColumn(compact=True),
    )
    return _Bar(*columns, console=console, transient=True, expand=True, refresh_per_second=8)


def _show(bar: Bar, task: TaskID, progress: Progress, interrupt: Interrupt) -> None:
    counts = progress.counts
    bar.update(
        task,
        description=_STOPPING
        if interrupt.requested
        else "delivering"
        if not progress.slowed
        else f"delivering, {progress.at_once} at once",
        completed=sum(counts.values()),
        total=progress.rows_due,
        rows=progress.rows_read,
        sent=counts.get(Status.SENT, 0),
        rejected=counts.get(Status.REJECTED, 0),
    )


class ProgressLog:
    """Progress as log lines: at the start, then every 5 s. `log`: a structlog logger; None writes to stderr."""

    def __init__(self, log: Any = None) -> None:  # noqa: ANN401 - structlog's loggers have no common type
        """Write nothing yet."""
        self._log = log
        self._opening = False
        self._lines: deque[tuple[str, dict[str, object]]] = deque()
        self._next_at = 0.0
        self._began: tuple[float, int] | None = None

    def info(self, event: str, **values: object) -> None:
        """Write one line. A signal handler's line waits while the log is opened: half imported, structlog cannot be used."""
        self._lines.append((event, values))
        if self._opening:
            return
        if self._log is None:
            self._opening = True
            self._log = _open_log()
            self._opening = False
        while self._lines:
            name, said = self._lines.popleft()
            self._log.info(name, **said)

    def listen(self, progress: Progress) -> None:
        """Write a line if one is due."""
        now = time.monotonic()
        if now < self._next_at:
            return
        self._next_at = now + _LOG_EVERY_S
        settled = sum(progress.counts.values())
        if self._began is None:
            self._began = (now, settled)
            self.info("run started", run_id=progress.run_id, rows_total=progress.rows_due)
            return
        rate = (settled - self._began[1]) / max(now - self._began[0], 0.001)
        left = progress.rows_due - settled
        self.info(
            "run goes on",
            run_id=progress.run_id,
            rows_total=progress.rows_due,
            rows_read=progress.rows_read,
            **{status.value: progress.counts.get(status, 0) for status in Status if status is not Status.SENDING},
            requests=progress.requests,
            at_once=progress.at_once,
            rows_per_s=round(rate, 1),
            left_s=round(left / rate) if rate > 0 else None,
        )


class _Stderr:
    """A logger for finished lines. It takes no lock: a signal handler may write while a line is written."""

    def info(self, line: str) -> None:
        """Write one line, unless nobody can read it any more."""
        with suppress(OSError):
            os.write(sys.stderr.fileno(), f"{line}\n".encode("utf-8", "backslashreplace"))


def _make_visible(_logger: Any, _name: str, event: Any) -> Any:  # noqa: ANN401 - structlog's signature
    return {key: visible(value) if isinstance(value, str) else value for key, value in event.items()}


def _open_log() -> Any:  # noqa: ANN401 - structlog's loggers have no common type
    import structlog  # noqa: PLC0415 - takes 0.1 s, which the first line can wait for

    processors: Sequence[structlog.typing.Processor] = (
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _make_visible,
        structlog.processors.LogfmtRenderer(key_order=("timestamp", "level", "event")),
    )
    return structlog.wrap_logger(_Stderr(), processors=processors)


@contextmanager
def interruptible() -> Iterator[Interrupt]:
    """Turn the SIGNALS into a request to stop. A second signal exits at once, with requests in flight unsettled.

    One that is ignored stays ignored: nohup ignores SIGHUP, a shell may ignore SIGINT for what runs in the background.
    """
    interrupt = Interrupt()

    def handle(number: int, _frame: FrameType | None) -> None:
        if not interrupt.requested:
            interrupt.request(number)
            return
        end = _SHOW_CURSOR if sys.stderr.isatty() else b""
        with suppress(OSError):
            os.write(sys.stderr.fileno(), end + b"error: gave up at once; the next run finds out what was in flight\n")
        os._exit(128 + number)

    before = {each: signal.signal(each, handle) for each in SIGNALS if signal.getsignal(each) is not signal.SIG_IGN}
    try:
        yield interrupt
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)
