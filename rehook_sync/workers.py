"""A run in shards, one process per shard. The parent process starts, watches and finishes the run."""

import multiprocessing
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from multiprocessing import forkserver
from multiprocessing.connection import Connection, wait
from multiprocessing.context import ForkServerContext
from multiprocessing.process import BaseProcess
from typing import cast

from rehook_sync.errors import RehookSyncError
from rehook_sync.jobs.results import Progress, RunOptions, RunResult
from rehook_sync.models import ShardResult, ShardStatus, Status
from rehook_sync.runtime import SIGNALS, Interrupt
from rehook_sync.settings import Settings
from rehook_sync.sync import Sync

__all__ = ["run_in_processes"]

_POLL_S = 0.2
_LOADED = ["rehook_sync.workers", "rehook_sync.rehook.client", "rehook_sync.rehook.transport"]


def run_in_processes(
    settings: Settings, options: RunOptions, workers: int, interrupt: Interrupt, listen: Callable[[Progress], None]
) -> RunResult:
    """Do one run in at most `workers` processes and return how it ended.

    Raises: as `Sync.run`; RunUnfinishedError when a process died before it could report its shard.
    """
    # The fork server has the modules loaded, and no threads or connections that a fork would break.
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(_LOADED)
    forkserver.ensure_running()  # loads while this process starts the run
    with Sync(settings) as sync:
        started = sync.start(options, workers, interrupt)
        listen(Progress(started.run_id, started.rows))
        team = _Team(context, settings, started.run_id, started.shards)
        error = team.watch(started.rows, interrupt, listen)
        result = sync.finish(started.run_id, error, interrupted=interrupt.requested)
        return replace(result, recovered=started.recovered, notes=[*started.notes, *result.notes])


class _Team:
    """The worker processes, and the last report of each."""

    def __init__(self, context: ForkServerContext, settings: Settings, run_id: str, shards: tuple[int, ...]) -> None:
        self._run_id = run_id
        self.progress = Progress(run_id)
        self._progress: dict[Connection, Progress] = {}
        self._members: dict[Connection, BaseProcess] = {}
        for shard in shards:
            ours, theirs = context.Pipe()
            process = context.Process(target=_deliver, args=(settings, run_id, shard, theirs), daemon=True)
            process.start()
            theirs.close()
            self._members[ours] = process

    def watch(self, rows_total: int, interrupt: Interrupt, listen: Callable[[Progress], None]) -> RehookSyncError | None:
        """Report progress until all processes have ended; return the first error.

        An interrupt, or an error in one process, stops all of them.
        """
        error: RehookSyncError | None = None
        terminated = False
        while self._members:
            if (interrupt.requested or error is not None) and not terminated:
                terminated = True
                self._terminate()
            for member in wait(list(self._members), timeout=_POLL_S):
                said = self._hear(cast(Connection, member))
                if isinstance(said, Progress):
                    self._progress[cast(Connection, member)] = said
                elif said is not None:
                    error = error or said.error
            self.progress = self._sum(rows_total)
            listen(self.progress)
        return error

    def _hear(self, member: Connection) -> Progress | ShardResult | None:
        """Return the newest message of a process, None when it has ended."""
        try:
            said: Progress | ShardResult = member.recv()
            while isinstance(said, Progress) and member.poll():
                said = member.recv()
        except EOFError:
            process = self._members.pop(member)
            process.join()
            member.close()
            return None
        return said

    def _sum(self, rows_total: int) -> Progress:
        counts: Counter[Status] = Counter()
        for each in self._progress.values():
            counts.update(each.counts)
        latest = self._progress.values()
        names = ("rows_known", "rows_read", "requests", "at_once", "slowed", "lowest")
        known, read, requests, *pressure = (sum(getattr(each, name) for each in latest) for name in names)
        return Progress(self._run_id, rows_total, known, read, counts, requests, *pressure)

    def _terminate(self) -> None:
        for process in self._members.values():
            process.terminate()


def _deliver(settings: Settings, run_id: str, shard: int, parent: Connection) -> None:
    """Deliver one shard. Each process runs this."""
    interrupt = Interrupt()
    # What a terminal sends reaches every process of it, but the parent decides.
    for each in SIGNALS:
        signal.signal(each, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda number, _frame: interrupt.request(signal.Signals(number)))
    threading.Thread(target=_notice_end, args=(parent, interrupt), daemon=True).start()

    def tell(said: Progress | ShardResult) -> None:
        with suppress(OSError):  # the parent died; `_notice_end` sees that
            parent.send(said)

    latest, told_at = Progress(run_id), 0.0

    def listen(progress: Progress) -> None:
        nonlocal latest, told_at
        latest, now = progress, time.monotonic()
        if now - told_at >= _POLL_S:
            told_at = now
            tell(progress)

    try:
        with Sync(settings) as sync:
            result = sync.deliver_shard(run_id, shard, interrupt, listen)
        tell(latest)
        tell(result)
    except RehookSyncError as error:
        tell(ShardResult(run_id, shard, ShardStatus.STOPPED, {}, 0, error))


def _notice_end(parent: Connection, interrupt: Interrupt) -> None:
    """Stop when the parent dies: nobody would finish the run."""
    with suppress(EOFError, OSError):
        parent.recv()
    interrupt.request(signal.SIGTERM)
