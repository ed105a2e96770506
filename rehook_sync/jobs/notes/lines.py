"""What a run or a plan says beside its counts, in notes of one line each. Pure."""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from datetime import timedelta

from rehook_sync.jobs.notes.findings import Findings
from rehook_sync.jobs.notes.names import Layouts, of_each, source_notes
from rehook_sync.models import Reason, Status
from rehook_sync.rules.changes import SCHEMAS, Change
from rehook_sync.rules.identity import SharedIds
from rehook_sync.rules.periods import Feed
from rehook_sync.settings import Settings
from rehook_sync.times import duration_text
from rehook_sync.warehouse.layout import SourceLayout
from rehook_sync.warehouse.names import is_hidden, listed
from rehook_sync.warehouse.reader import Delays

__all__ = ["change_notes", "future_notes", "left_notes", "missing_table_note", "run_notes", "shared_notes"]

_MANY_ANONYMOUS = 0.2
_NAMED = 5
_MANY_LATER = 1000
_LONGEST_VALUE = 80


def run_notes(
    settings: Settings, layouts: Layouts, found: Findings, *, rows: int, unsettled: Mapping[Status, int] | None, window: bool
) -> list[str]:
    """Return what a run or a plan says of what it found, one line each.

    Shape:  rows: judged.  unsettled: calls of all runs, with those that have waited too long; None of a plan.
            window: whether a window was read, so that the names in the settings could match.
    """
    return [
        *of_each(layouts, lambda layout: layout.unreadable_lines),
        *(missing_table_note(name, table) for name, each in layouts.items() for table in each.lacks.values()),
        *shared_notes(found.shared),
        *_rejection_notes(found.rejected, rows, planned=unsettled is None),
        *_waiting_notes(found.waiting, unsettled or {}, settings.properties_wait),
        *_bare_notes(found.bare),
        *_gone_notes(found.gone),
        *_left_out_notes(found.left_out),
        *_encoded_notes(found.encoded),
        *(source_notes(settings, layouts, found.met) if window else ()),
        *(of_each(layouts, lambda layout: _view_notes(layout, found.views)) if window else ()),
        *_standing_notes(found.standing),
        *_slowness_notes(found.slowed, found.lowest, settings.concurrency),
        *_delay_notes(found.delays),
    ]


def change_notes(changes: Iterable[Change]) -> list[str]:
    """Return notes for the user on settings that have changed since the last run, one line each."""
    return [
        f"REHOOK_SYNC_{each.name.upper()} has changed since the last run, from {_shown(each, each.before)} to {_shown(each, each.now)}: "
        f"{each.advice}"
        for each in changes
    ]


def _shown(change: Change, text: str) -> str:
    """Return a value that is not too long; schemas are shown whole, since none of them may be missing."""
    return text if change.name == SCHEMAS or len(text) <= _LONGEST_VALUE else f"{text[:_LONGEST_VALUE]}…"


def left_notes(known: Iterable[Feed], due: Mapping[Feed, int], periods: Iterable[Feed], feeds: Collection[Feed]) -> list[str]:
    """Return a note for the user on each source, and each stream, that the sync-state tables know and the settings do not name.

    Shape:  due: feed -> calls to be taken up again.  periods: the feed of each open period.  feeds: those of the settings.
    """
    notes, known, periods = [], {*known, *due}, list(periods)
    for place, (kind, setting) in enumerate((("source", "WAREHOUSE_SCHEMA"), ("stream", "OTHER_CALLS"))):
        for name in sorted({feed[place] for feed in known} - {feed[place] for feed in feeds}):
            calls = sum(count for feed, count in due.items() if feed[place] == name)
            what = f"{calls:,} of {kind} {name!r} that failed or wait are not taken up" if calls else f"{kind} {name!r} is not read"
            open_ = sum(feed[place] == name for feed in periods)
            left = f"; periods of it that are not done, {open_}: `run --abandon --{kind} {name}` gives up" if open_ else ""
            notes.append(f"{what}: REHOOK_SYNC_{setting} does not name it{left}")
    return notes


def future_notes(later: Mapping[Feed, int], margin: timedelta) -> list[str]:
    """Return a note for the user on rows that are dated later than now by more than `margin`, as far as a thousand were counted."""
    named = len({feed.source for feed in later}) > 1
    counts = {feed.text(named=named): count for feed, count in later.items() if count}
    found = [f"{'more than ' * (count >= _MANY_LATER)}{count:,} of {feed}" for feed, count in counts.items()]
    if not found:
        return []
    dated = f"dated more than {duration_text(margin)} in the future"
    return [f"rows {dated} are not read before their time has come: {listed(found)}; see what dates them so"]


def missing_table_note(source: str, table: str) -> str:
    """Return a note for the user on a table that a source lacks and another one has."""
    return f"source {source!r} has no table {table!r}: nothing is read of it"


def shared_notes(shared: SharedIds) -> list[str]:
    """Return notes for the user on calls that cannot go out under their ids, one line each."""
    return [
        f"{'1 call' if count == 1 else f'{count:,} calls'} of source {pair} not sent: calls of another user or event have the same "
        f"message ids, such as {shared.example!r}; give each source ids of its own by a view: see docs/operating.md, Several sources"
        for pair, count in shared.calls.items()
    ]


def _rejection_notes(rejected: Mapping[Reason, int], rows: int, *, planned: bool) -> list[str]:
    """Return notes for the user on rejected rows, one line each. `planned`: nothing was rejected yet."""
    dropped = rejected.get(Reason.ANONYMOUS_ID_PRESENT, 0)
    if dropped <= _MANY_ANONYMOUS * rows:
        return []
    # A row without a user id is rejected for that, whatever else is wrong with it.
    will, then = ("would be", "") if planned else ("were", ", then `revalidate --reason anonymous_id_present`")
    return [
        f"{dropped:,} of {rows:,} rows carry an anonymous_id and {will} rejected for it; all of these carry a user_id, too: if they should "
        f"go out, set REHOOK_SYNC_ANONYMOUS_CALLS=allow_with_user_id{then}"
    ]


def _waiting_notes(waiting: Mapping[tuple[str, str], int], unsettled: Mapping[Status, int], wait: timedelta) -> list[str]:
    """Return notes for the user on calls whose properties are not loaded yet or cannot be read, one line each.

    Shape:  waiting: (event, detail) -> calls.  unsettled: includes those that have waited longer than `wait`.
    """
    absent, hidden = Counter[str](), Counter[str]()
    for (event, detail), calls in waiting.items():
        (hidden if is_hidden(detail) else absent)[event] += calls
    notes, advice = [], []
    if total := hidden.total():
        what = "1 event, whose event table" if total == 1 else f"{total:,} events, whose event tables"
        notes.append(f"waiting for the properties of {what} cannot be read: {_by_event(hidden)}; each run looks again")
        advice.append("let this user read the event tables that it cannot read")
    if total := absent.total():
        what = "1 event that its event table does" if total == 1 else f"{total:,} events that their event tables do"
        notes.append(f"waiting for the properties of {what} not have yet: {_by_event(absent)}; each run looks again")
        advice.append(
            "see why the loader leaves them out of the event tables; if it gives these other ids, or to "
            "send them with what the table of tracks has, set REHOOK_SYNC_MISSING_PROPERTIES=send, or REHOOK_SYNC_TRACK_PROPERTIES=columns"
        )
    if notes and (overdue := unsettled.get(Status.WAITING, 0)):
        notes.append(
            f"{overdue:,} of the waiting {'event has' if overdue == 1 else 'events have'} waited longer than {duration_text(wait)} "
            f"(REHOOK_SYNC_PROPERTIES_WAIT): {'; then '.join(advice)}"
        )
    return notes


def _bare_notes(bare: Mapping[str, int]) -> list[str]:
    """Return a note for the user on events that go out without what their event tables do not have. `bare`: event -> calls."""
    if not bare:
        return []
    total = sum(bare.values())
    what = "1 event goes out" if total == 1 else f"{total:,} events go out"
    return [f"{what} with what the table of tracks has alone, as MISSING_PROPERTIES=send says: {_by_event(bare)}"]


def _by_event(calls: Mapping[str, int]) -> str:
    named = sorted(calls.items(), key=lambda pair: (-pair[1], pair[0]))
    return listed([f"{event or '(no name)'} {count:,}" for event, count in named], _NAMED, " events")


def _left_out_notes(left_out: Mapping[str, int]) -> list[str]:
    """Return notes for the user on values that JSON lacks, one line each. `left_out`: column -> how many."""
    if not left_out:
        return []
    named = listed([f"{column} ({number})" for column, number in Counter(left_out).most_common()], _NAMED, " columns")
    return [f"values that are NaN or infinite were left out, as NULL is: {sum(left_out.values())}, in {named}"]


def _encoded_notes(encoded: Counter[str]) -> list[str]:
    """Return a note for the user on JSON objects that a loader encoded as text once more. `encoded`: column -> calls."""
    if not encoded:
        return []
    named = listed([f"{column} ({number:,})" for column, number in encoded.most_common()])
    return [f"JSON objects that were encoded twice were decoded: {named}; see why the loader writes them as text"]


def _view_notes(layout: SourceLayout, read: Collection[str]) -> list[str]:
    """Return a note for the user on views beside event tables that were not read. `read`: those that were."""
    unread = [name for name in layout.event_views if name not in read] if layout.track_properties == "event_tables" else []
    if not unread:
        return []
    return [f"views beside their tables are not read, since no event is called like one: {listed(unread)}"]


def _gone_notes(gone: int) -> list[str]:
    """Return a note for the user on recorded calls that cannot be taken up again, one line each."""
    if not gone:
        return []
    calls = "1 call to be taken up again is" if gone == 1 else f"{gone:,} calls to be taken up again are"
    return [
        f"{calls} no longer in the warehouse, so not sent: see v1_attention and v1_waiting; `forget USER_ID --give-up` settles a user's"
    ]


def _standing_notes(standing: int) -> list[str]:
    """Return notes for the user on rejections that were judged again in vain, one line each."""
    if not standing:
        return []
    calls = "1 rejected call was" if standing == 1 else f"{standing:,} rejected calls were"
    return [f"{calls} judged again and stay rejected for the same reason, by the run and at the time of the first decision"]


def _delay_notes(delays: Delays) -> list[str]:
    """Return notes for the user on reads of the warehouse that others held up or ended, one line each."""
    notes = []
    if delays.locked:
        reads = "read" if delays.locked == 1 else "reads"
        notes.append(f"waited {delays.locked_s:.0f} s for others' locks on the warehouse, in {delays.locked} {reads}")
    if times := delays.repeated.total():
        causes = listed(list(delays.repeated), 2, " causes")
        notes.append(f"began {'a read' if times == 1 else f'{times} reads'} of the warehouse again, since it was cut off: {causes}")
    return notes


def _slowness_notes(slowed: int, lowest: int, most: int) -> list[str]:
    """Return notes for the user on an API under pressure, one line each."""
    if not slowed:
        return []
    times = "once" if slowed == 1 else f"{slowed} times"
    return [
        f"Rehook asked for fewer requests or became slow: slowed down {times}, to {lowest} of {most} requests at once at the least; "
        "if that is usual, lower REHOOK_SYNC_CONCURRENCY or set REHOOK_SYNC_RATE_LIMIT"
    ]
