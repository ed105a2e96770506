"""From the warehouse's rows to operations: merged in time order, judged, shaped and cut into chunks.

Rows of both streams of all sources and rows that failed in earlier runs form one sequence by time, over all users. So a referral code
goes to whoever took it first, and a referrer's Identify call goes before the referee's sign-up.
"""

import heapq
from collections import Counter
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple, Protocol, TypeVar

from rehook_sync.database.queries import Identifier
from rehook_sync.jobs.notes.findings import Findings
from rehook_sync.jobs.reading.lookback import Lookback, Looks
from rehook_sync.jobs.reading.portions import read_portions
from rehook_sync.models import (
    ELSEWHERE,
    Call,
    Chunk,
    Claim,
    Moment,
    Outcome,
    PreviousOutcome,
    Reason,
    Selection,
    Shard,
    SourceRow,
    Status,
    Stream,
    Traits,
    Window,
)
from rehook_sync.rules.bodies import Names, ShapedCall, build_operations, shape
from rehook_sync.rules.periods import Extent, Feed, Period
from rehook_sync.rules.traits import CODE
from rehook_sync.rules.validation import CodeBook, Judgement, Policy, judge
from rehook_sync.state.state import Judged, State
from rehook_sync.times import FIRST_MOMENT
from rehook_sync.warehouse.sources import Sources

__all__ = ["ClaimDesk", "Key", "Pipeline", "PipelineConfig", "Told"]

_Result = TypeVar("_Result")
Key = tuple[Stream, str]


class ClaimDesk(Protocol):
    """Where referral codes are looked up and taken."""

    def claim(
        self,
        user_ids: Sequence[str],
        codes: Sequence[str],
        judge: Callable[[dict[str, str], dict[str, str]], tuple[_Result, Iterable[Claim]]],
    ) -> _Result:
        """Judge claims against the current owners and keep those that hold.

        judge: takes user id -> code of all concerned, and code -> user id of codes about to be freed; returns a result and
        the claims that hold. It may be called again.
        """

    def read_customers(self, user_ids: Iterable[str]) -> Mapping[str, Traits]:
        """Return user id -> what the customer has, without users of whom that is unknown."""


@dataclass(frozen=True, slots=True)
class PipelineConfig:
    """How rows are judged and shaped, and how many are read.

    Shape:  known_in: name of `sync_state` when the warehouse can join it, else None.  limit: rows judged at most.
            selections: recorded calls to judge again.  shard: the users whose calls are read; None: all.
            within: judges only calls of this period.  also_of: sources whose recorded calls are taken too if one that is read has them.
    """

    run_id: str
    names: Names
    policy: Policy
    merge: bool
    chunk_rows: int
    known_in: Identifier | None
    limit: int | None = None
    selections: Sequence[Selection] = (Selection(Status.FAILED), Selection(Status.WAITING))
    shard: Shard | None = None
    within: Period | None = None
    also_of: Sequence[str] = ()


class Told(NamedTuple):
    """What a pipeline has to say of the rows so far. Shape:  as the fields of `Pipeline`.  looks: of its lookback, None: as before."""

    found: int
    known: int
    rows: Counter[Feed]
    timeless: int
    extent: Extent
    findings: Findings
    looks: Looks | None


class Pipeline:
    """The rows of one run, read once.

    Shape:  found: rows put aside, and recorded ones as they are found again.
            known: those of them that are not judged, or whose rejection stays as it was.
            rows: judged so far, by feed; without rejections that stay as they were.
            timeless: calls left out since no time says whether they are of the period.
            extent: what was read to its end.  findings: what there is to say of the rows judged.
            desk: where referral codes are claimed.
    """

    def __init__(self, sources: Sources, state: State, desk: ClaimDesk, config: PipelineConfig, lookback: Lookback | None = None) -> None:
        """Prepare; nothing is read before `read_chunks`. `lookback`: says what of the windows is read; None: all."""
        self._sources = sources
        self._state = state
        self.desk = desk
        self._config = config
        self._lookback = lookback
        self._previous: dict[Key, PreviousOutcome] = {}
        self._pending: dict[Key, Call] = {}
        self._freed: dict[str, str] = {}
        self.found = 0
        self.known = 0
        self.rows: Counter[Feed] = Counter()
        self.timeless = 0
        self.extent = Extent.NOTHING
        self.findings = Findings()

    def read_chunks(
        self, windows: Mapping[Feed, Window], feeds: Iterable[Feed], parts: Iterable[tuple[Feed, Window]] = ()
    ) -> Generator[Chunk, None, None]:
        """Yield the rows of windows, parts of periods and the selected calls of the feeds as chunks, oldest first.

        With a limit, what is new comes before the parts, so that no old period keeps it waiting.
        """
        # Identify calls are looked for last: so with an event, those that were loaded before it are seen.
        new = [self._read_feed(feed, window, self._lookback) for feed, window in sorted(windows.items(), key=_rank, reverse=True)]
        again = [(feed, Feed(name, feed.stream)) for feed in feeds for name in (feed.source, *self._config.also_of)]
        new += [self._read_again(feed, recorded, selection) for feed, recorded in again for selection in self._config.selections]
        old = [self._read_feed(feed, part) for feed, part in sorted(parts, key=_rank, reverse=True)]
        try:
            left = self._config.limit
            for group in ([*new, *old],) if left is None else (new, old):
                ordered = heapq.merge(*group, key=_order)
                for rows in read_portions(self._sources, ordered, self._fresh, self._config.chunk_rows):
                    fresh = rows
                    if left is not None:
                        fresh, left = self._first(rows, left)
                    if fresh:
                        yield self._judge(fresh)
                    if left is not None and left < 0:
                        return
                    for row in rows:
                        row.fields = {}  # its request is made; the next rows need the room
                self.extent = Extent.NEW
            self.extent = Extent.ALL
            self.findings.met.all_read = self._reads_all(windows)
        finally:
            for each in (*new, *old):
                each.close()

    def find_news(self, windows: Mapping[Feed, Window], parts: Iterable[tuple[Feed, Window]] = ()) -> bool:
        """Tell whether there is anything to read in windows or parts of periods. Windows are looked at only until one has something."""
        looks = ((feed, window) for feed, window in sorted(windows.items(), key=_rank, reverse=True))
        return any(True for _ in parts) or self._lookback is None or any(self._lookback.has_news(*each) for each in looks)

    def note_recorded(self, keys: Iterable[Key]) -> None:
        """Note whose outcomes have become durable. Safe to call from another thread."""
        for key in keys:
            self._pending.pop(key, None)

    def tell(self, *, looks: bool) -> Told:
        """Return what there is to say so far, for another process. `looks`: of the looks at windows too, which all come first."""
        self.findings.delays += self._sources.reader.take_delays()
        self.findings.views |= self._sources.views_read
        shown = self._lookback.looks if self._lookback and looks else None
        return Told(self.found, self.known, self.rows, self.timeless, self.extent, self.findings, shown)

    def hear(self, told: Told) -> None:
        """Take what another process has to say of the same rows."""
        self.found, self.known, self.rows, self.timeless, self.extent, self.findings, looks = told
        if self._lookback and looks is not None:
            self._lookback.looks = looks

    def _reads_all(self, windows: Mapping[Feed, Window]) -> bool:
        """Tell whether these are all tracks there are: no earlier run has judged some."""
        tracks = [Feed(name, Stream.TRACKS) for name in self._sources]
        return all(each in windows and windows[each].low is None and self._state.read_coverage(each).watermark is None for each in tracks)

    def _read_feed(self, feed: Feed, window: Window, lookback: Lookback | None = None) -> Generator[SourceRow, None, None]:
        excerpt = lookback.look(feed, window) if lookback else None
        rows = self._sources[feed.source].read_window(feed.stream, window, self._config.known_in, self._config.shard, excerpt, self._count)
        yield from rows

    def _count(self, rows: int) -> None:
        self.found += rows

    def _read_again(self, feed: Feed, recorded: Feed, selection: Selection) -> Generator[SourceRow, None, None]:
        for page in self._state.read_again(recorded, selection):
            missing = set(previous := {call.message_id: call.previous for call in page})
            for row in self._sources[feed.source].read_ids(feed.stream, previous):
                missing.discard(row.message_id)
                if self._config.shard is None or self._config.shard.holds(row.user_id):
                    self._previous[feed.stream, row.message_id] = previous[row.message_id]
                    self.found += 1
                    yield row
            # Nobody knows whose they are, so the first shard counts them. A source that is not read may have them still.
            counts = recorded == feed and (self._config.shard is None or self._config.shard.number == 0)
            self.findings.gone += len(missing) if counts else 0

    def _fresh(self, rows: list[SourceRow]) -> list[SourceRow]:
        """Leave out duplicates, rows pending in this run, and rows judged before unless they are selected.

        Pending rows are checked first: one that becomes durable meanwhile is then found among the recorded ones.
        """
        rows, shared = self._under_recorded_ids(rows), self.findings.shared
        pending = [self._pending.get((row.stream, row.message_id)) for row in rows]
        free = [row for row, other in zip(rows, pending, strict=True) if not shared.note(row, other) and other is None]
        known: dict[Key, Judged] = {}
        for stream in {row.stream for row in free}:
            ids = {row.message_id for row in free if row.stream == stream}
            known.update(((stream, message_id), found) for message_id, found in self._state.read_judged(stream, ids).items())
        first: dict[Key, SourceRow] = {}
        for row in free:
            key = (row.stream, row.message_id)
            if not shared.note(row, known.get(key) or first.get(key)):
                first.setdefault(key, row)
        due = [row for key, row in first.items() if self._is_due(key, known.get(key))]
        taken = [row for row in due if self._config.within is None or self._config.within.holds(row.received_at)]
        self.timeless += sum(row.received_at is None for row in due) - sum(row.received_at is None for row in taken)
        self.known += len(rows) - len(taken)
        return taken

    def _first(self, rows: Sequence[SourceRow], limit: int) -> tuple[list[SourceRow], int]:
        """Return the first rows up to a limit, and what is left of it, -1 when it is exceeded.

        Rows that waited before and still wait do not count: many of them would leave no room for others in any run.
        """
        taken = []
        for row in rows:
            previous = self._previous.get((row.stream, row.message_id))
            if row.unloaded is None or previous is None or previous.status is not Status.WAITING:
                limit -= 1
                if limit < 0:
                    break
            taken.append(row)
        return taken, limit

    def _under_recorded_ids(self, rows: list[SourceRow]) -> list[SourceRow]:
        """Give calls back the ids under which earlier versions recorded them: under another id they would be sent again."""
        renamed = [row for row in rows if row.recorded_id is not None]
        for stream in {row.stream for row in renamed}:
            own = [row for row in renamed if row.stream == stream]
            known = self._state.read_known(stream, [str(row.recorded_id) for row in own])
            for row in own:
                if row.recorded_id in known:
                    row.message_id = row.recorded_id
        return rows

    def _is_due(self, key: Key, known: Judged | None) -> bool:
        if (previous := self._previous.get(key)) is None:
            return known is None
        return known is not None and (known.status, known.run_id) == (previous.status, previous.run_id)

    def _judge(self, rows: Sequence[SourceRow]) -> Chunk:
        self.findings.met.note(rows)
        self.findings.encoded.update(row.encoded for row in rows if row.encoded)
        judgement = self._judge_claims(shape(rows, self._config.names, self.findings.left_out))
        previous = {key: self._previous.pop(key) for key in [(row.stream, row.message_id) for row in rows] if key in self._previous}
        operations = build_operations(
            judgement.accepted, claims=judgement.claims, previous=previous, waits=judgement.waits, merge=self._config.merge
        )
        outcomes = [
            _unsent(row, Status.REJECTED, reason, detail, previous.get((row.stream, row.message_id)))
            for row, reason, detail in judgement.rejected
        ]
        outcomes = [outcome for outcome in outcomes if not self._stands(outcome)]
        self.findings.rejected.update(outcome.reason for outcome in outcomes if outcome.reason)
        self.findings.waiting.update((row.event or "", row.unloaded or "") for row in judgement.waiting)
        self.findings.bare.update(call.row.event or "" for call in judgement.accepted if call.row.unloaded)
        outcomes += [
            _unsent(row, Status.WAITING, Reason.PROPERTIES_NOT_LOADED, row.unloaded, previous.get((row.stream, row.message_id)))
            for row in judgement.waiting
        ]
        decided = [call for operation in operations for call in operation.calls] + [outcome.call for outcome in outcomes]
        self.rows.update(Feed(call.source, call.stream) for call in decided)
        self._pending.update(((call.stream, call.message_id), call) for call in decided)
        return Chunk(operations, outcomes)

    def _stands(self, outcome: Outcome) -> bool:
        """Tell whether a rejection was judged again and came out the same: then the first one stays, with its run and its time."""
        previous = outcome.call.previous
        stands = previous is not None and (previous.status, previous.reason, previous.detail) == (
            outcome.status,
            outcome.reason,
            outcome.detail,
        )
        self.findings.standing += stands
        self.known += stands
        return stands

    def _judge_claims(self, calls: Sequence[ShapedCall]) -> Judgement:
        """Judge calls. Codes are looked up and claimed in one step, so nobody else can claim them in between."""
        claiming = [
            (row.user_id, code) for row, _, code, _ in calls if row.stream.is_identify and code is not None and row.user_id is not None
        ]
        self._freed = {code: message_id for code, message_id in self._freed.items() if (Stream.IDENTIFIES, message_id) in self._pending}

        def decide(codes: dict[str, str], leaving: dict[str, str]) -> tuple[Judgement, Iterable[Claim]]:
            book = CodeBook({code: user_id for user_id, code in codes.items()}, codes, self._freed, self._read_since(claiming, codes))
            judgement = judge(calls, self._config.policy, book)
            for message_id, claim in judgement.claims.items():
                # Rehook still has this code for another user; the call that frees it is not in flight here.
                if leaving.get(claim.code, claim.user_id) != claim.user_id and claim.code not in self._freed:
                    judgement.waits.setdefault(message_id, ELSEWHERE)
            return judgement, _new_claims(codes, judgement)

        if not claiming:
            return decide({}, {})[0]
        users, codes = (list(dict.fromkeys(each)) for each in zip(*claiming, strict=True))
        judgement = self.desk.claim(users, codes, decide)
        self._freed = dict(judgement.book.freed)
        return judgement

    def _read_since(self, claiming: Sequence[tuple[str, str]], codes: Mapping[str, str]) -> dict[str, Moment]:
        """Return, for users who are about to take a code, which call brought the one they have."""
        if not self._config.merge:
            return {}
        changing = {user_id for user_id, code in claiming if codes.get(user_id) != code}
        known = self.desk.read_customers(changing) if changing else {}
        return {user_id: at for user_id, traits in known.items() if CODE in traits and (at := traits[CODE][1]) is not None}


def _new_claims(codes: Mapping[str, str], judgement: Judgement) -> list[Claim]:
    """Return the claims to write: the last code of each user whose code changed."""
    return [Claim(code, user_id, codes.get(user_id)) for user_id, code in judgement.book.codes.items() if codes.get(user_id) != code]


def _order(row: SourceRow) -> tuple[datetime, tuple[int, str], str]:
    return (row.occurred_at or row.received_at or FIRST_MOMENT, row.stream.rank, row.message_id)


def _rank(read: tuple[Feed, Window]) -> tuple[int, str]:
    return read[0].stream.rank


def _unsent(row: SourceRow, status: Status, reason: Reason, detail: str | None, previous: PreviousOutcome | None) -> Outcome:
    call = Call(row.stream, row.message_id, row.user_id, row.event, row.received_at, row.occurred_at, None, previous, row.source)
    return Outcome(call, status, reason, detail, attempts=previous.attempts if previous else 0)
