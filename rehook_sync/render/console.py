"""Output of the command line: text for people, one JSON object for programs, progress; and its interruption.

Text from data is escaped first: no control characters and no markup reach the terminal.
"""

import os
import re
import shutil
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from types import FrameType

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.progress import BarColumn, ProgressColumn, SpinnerColumn, Task, TaskID, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar
from rich.text import Text

from rehook_sync.errors import RehookSyncError
from rehook_sync.jobs.results import Progress, RunResult
from rehook_sync.models import LogFormat, RunStatus, Status
from rehook_sync.render.escapes import document_json, visible
from rehook_sync.render.logs import Log, ProgressLog
from rehook_sync.runtime import SIGNALS, Interrupt

__all__ = ["Listener", "Screen", "Sentence", "error_document", "interruptible", "log_end", "run_exit_code", "visible", "watched"]

Listener = Callable[[Progress], None]
_ATTENTION = 3
_UNWRAPPED = 1000
_PADDING = re.compile(r" +$", re.MULTILINE)
"""What fills the cells of a table up to its right side."""
_WORD = re.compile(r"(?:`[^`]*`|\S)+\s*")
"""A word and the space after it. A command in backticks is one, so that it can be copied."""
_STOPPING = "stopping: settling what is in flight"
_ONE_REQUEST_S = 1.0
_SHOW_CURSOR = b"\x1b[?25h"


def error_document(error: RehookSyncError | None) -> dict[str, object] | None:
    """Return an error for programs."""
    return None if error is None else {"type": type(error).__name__, "message": str(error), "exit_code": error.exit_code}


class _Terminal(Console):
    """A console without markup. What no terminal shows is not wrapped, unless COLUMNS says how wide it is."""

    def __init__(self, *, stderr: bool) -> None:
        super().__init__(stderr=stderr, markup=False, highlight=False, emoji=False)
        if not self.is_terminal:
            self.width = shutil.get_terminal_size((_UNWRAPPED, 25)).columns


class Sentence(Text):
    """A line to be read rather than copied: a terminal shows it in whole words."""


class Screen:
    """Where one command writes: results to stdout, all else to stderr.

    Shape:  as_json: no text for people; `result` writes one JSON object.  quiet: when all is well, nothing at all.
            log: where log lines go; to be replaced once the settings are read.
    """

    def __init__(self, *, as_json: bool, quiet: bool = False) -> None:
        """Use stdout and stderr of this process."""
        self.as_json = as_json
        self.quiet = quiet
        self.log = Log()
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

    def say(self, *parts: RenderableType, well: bool = True) -> None:
        """Print for people. Only the terminal wraps what may be copied: all but sentences. `well`: as in `result`."""
        if self.as_json or (self.quiet and well):
            return
        for part in parts:
            with self._out.capture() as shown:
                if isinstance(part, Sentence):
                    _print_sentence(self._out, part)
                else:
                    self._out.print(part, soft_wrap=isinstance(part, str | Text))
            sys.stdout.write(_PADDING.sub("", shown.get()))
        sys.stdout.flush()

    def result(self, document: Mapping[str, object], *parts: RenderableType, well: bool = True) -> None:
        """Print the result: the document for programs or the parts for people. `well`: the exit code will be 0."""
        self.say(*parts, well=well)
        if self.as_json and not (self.quiet and well):
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
            if self.log.style is LogFormat.JSON:
                self.log.error(line, type=type(error).__name__, exit_code=error.exit_code)
                continue
            _print_sentence(self.err, Text("error: ", "bold red").append(visible(line), "not bold default"))

    def _write_json(self, document: Mapping[str, object]) -> None:
        sys.stdout.write(document_json(document, indent=2 if sys.stdout.isatty() else None) + "\n")
        sys.stdout.flush()


def _print_sentence(console: Console, sentence: Text) -> None:
    """Print it in as many lines as a terminal needs, else in one."""
    cuts, used = [], 0
    for word in _WORD.finditer(sentence.plain) if console.is_terminal else ():
        if used and used + cell_len(word[0].rstrip()) > console.width:
            cuts.append(word.start())
            used = 0
        used += cell_len(word[0])
    for each in sentence.divide(cuts):
        each.rstrip()
        console.print(each, soft_wrap=True)


def run_exit_code(result: RunResult, interrupt: Interrupt) -> int:
    """Return the exit code of a run that has ended."""
    if result.summary.status is RunStatus.INTERRUPTED and interrupt.signal is not None:
        return 128 + interrupt.signal
    if result.error is not None:
        return result.error.exit_code
    return _ATTENTION if result.summary.status is RunStatus.ATTENTION else 0


@contextmanager
def watched(screen: Screen, interrupt: Interrupt) -> Iterator[Listener]:
    """Show the progress of a run: a bar on a terminal, else log lines, or nothing if it is to be quiet. Yields the listener for `run`."""
    if screen.quiet:
        yield _ignore
    elif _shows_bar(screen):
        with _bar(screen.err) as bar:
            task = bar.add_task("looking at the warehouse", total=None, rows=0, sent=0, rejected=0)
            interrupt.listen(lambda: bar.update(task, description=_STOPPING))
            yield lambda progress: _show(bar, task, progress, interrupt)
    else:
        interrupt.listen(lambda: screen.log.warning("stopping", signal=interrupt.signal))
        yield ProgressLog(screen.log).listen


def log_end(screen: Screen, result: RunResult) -> None:
    """Write how a run ended where its progress was written, in log lines."""
    if not screen.quiet and not _shows_bar(screen):
        ProgressLog(screen.log).end(result)


def _shows_bar(screen: Screen) -> bool:
    return sys.stderr.isatty() and not screen.err.is_dumb_terminal


def _ignore(_progress: Progress) -> None:
    """Show nothing of how a run goes."""


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


@contextmanager
def interruptible() -> Iterator[Interrupt]:
    """Turn the SIGNALS into a request to stop. A second one exits at once, with requests in flight unsettled.

    Signals within a second are one request: `timeout` signals its command, then the process group with the command in it.
    One that is ignored stays ignored: nohup ignores SIGHUP, a shell may ignore SIGINT for what runs in the background.
    """
    interrupt = Interrupt()
    asked_at = 0.0

    def handle(number: int, _frame: FrameType | None) -> None:
        nonlocal asked_at
        now = time.monotonic()
        if not interrupt.requested:
            asked_at = now
            interrupt.request(number)
            return
        if now - asked_at < _ONE_REQUEST_S:
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
