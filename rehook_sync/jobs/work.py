"""The work of a run or a shard: what it reads is judged, sent and recorded."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import ExitStack, closing
from dataclasses import dataclass
from functools import partial
from threading import Thread
from typing import NamedTuple, TypeVar

from rehook_sync.delivery.report import DeliveryReport
from rehook_sync.jobs.context import JobContext
from rehook_sync.jobs.pipeline import Pipeline
from rehook_sync.jobs.reading.apart import Reading, can_read_apart, read_apart
from rehook_sync.jobs.results import Listener, Progress
from rehook_sync.models import Chunk, Outcome, Window
from rehook_sync.rules.periods import Extent, Feed
from rehook_sync.runtime import Interrupt
from rehook_sync.state.ledger import Ledger

__all__ = ["Reads", "Work", "deliver_work", "start_loading"]

_Result = TypeVar("_Result")


class Reads(NamedTuple):
    """What a pipeline reads, as `Pipeline.read_chunks` takes it."""

    windows: Mapping[Feed, Window]
    feeds: Sequence[Feed]
    parts: Sequence[tuple[Feed, Window]]


@dataclass(frozen=True, slots=True)
class Work:
    """What is delivered, and the ledger that records it.

    Shape:  is_told: whether the rows that are put aside are those to judge, so that it can be told how many they are.
    """

    ledger: Ledger
    pipeline: Pipeline
    reads: Reads
    is_told: bool = False


def deliver_work(context: JobContext, work: Work, interrupt: Interrupt, listen: Listener, *, shards: int = 1) -> DeliveryReport:
    """Send what is read, record the outcomes and report progress. Where it pays, reading and judging get a process of their own."""
    pipeline = work.pipeline
    has_news = _kept(work.ledger, partial(pipeline.find_news, work.reads.windows, work.reads.parts))
    databases = (context.sources.database, context.database)
    with ExitStack() as held:
        chunks = held.enter_context(closing(pipeline.read_chunks(*work.reads)))
        reading: Reading | None = None
        if has_news and shards == 1 and not interrupt.requested and can_read_apart(databases):
            reading = held.enter_context(read_apart(pipeline, chunks, databases, interrupt))
        if has_news:
            start_loading()
        return _deliver(context, work, reading or Reading(chunks, pipeline.note_recorded), interrupt, listen, shards)


def _deliver(context: JobContext, work: Work, reading: Reading, interrupt: Interrupt, listen: Listener, shards: int) -> DeliveryReport:
    pipeline = work.pipeline

    def total() -> int | None:
        return pipeline.found if work.is_told or pipeline.extent is Extent.ALL else None

    def begin(first: Chunk) -> Iterator[Chunk]:
        yield first
        if work.is_told:
            listen(Progress(work.ledger.run_id, total(), pipeline.known))
        yield from reading.chunks

    def committed(latest: DeliveryReport, outcomes: Sequence[Outcome]) -> None:
        reading.note_recorded([(call.stream, call.message_id) for call, *_ in outcomes])
        pressure = latest.at_once, latest.slowed, latest.lowest
        counts = dict(latest.counts)
        listen(Progress(work.ledger.run_id, total(), pipeline.known, pipeline.rows.total(), counts, latest.requests, *pressure))

    first = _kept(work.ledger, partial(next, reading.chunks, None))
    if first is None:  # then nobody has to be loaded who could send
        if not interrupt.requested:
            listen(Progress(work.ledger.run_id, 0))
        return DeliveryReport(interrupted=interrupt.requested)
    from rehook_sync.delivery.sender import deliver  # noqa: PLC0415 - as the client

    client = context.client(shards)  # its modules are loaded while the first rows are read
    return deliver(begin(first), client, work.ledger, context.delivery_config(shards), interrupt, committed)


def _kept(ledger: Ledger, work: Callable[[], _Result]) -> _Result:
    """Return what a piece of work returns, and keep the lease meanwhile. Signals are heard at once: it has a thread of its own."""
    with ThreadPoolExecutor(1, "first") as thread, ledger.kept():
        done = thread.submit(work)
        wait([done])
    return done.result()


def start_loading() -> None:
    """Load, in a thread, the modules that only judging and sending need: without them, a command starts in half the time."""

    def load() -> None:
        import rehook_sync.delivery.sender  # noqa: PLC0415
        import rehook_sync.rehook.client  # noqa: PLC0415
        import rehook_sync.rehook.transport  # noqa: F401, PLC0415

    Thread(target=load).start()
