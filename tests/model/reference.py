"""The promise told a second time, as simply as possible: what a row is, how it is judged, what a customer ends up with."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from rehook_sync.models import Reason, Stream

__all__ = [
    "CODE",
    "PAGES",
    "RANK",
    "Copy",
    "Customer",
    "Key",
    "Options",
    "Order",
    "Reach",
    "Row",
    "Span",
    "blank",
    "fold",
    "judge",
    "plain_reason",
]

Key = tuple[str, str]
Order = tuple[datetime, int, str]
Options = Mapping[str, object]
CODE = "referral_code"
PAGES = Stream("pages")
"""A table of other calls, whose rows go out as events."""
RANK = {Stream.IDENTIFIES: 0, Stream.TRACKS: 1, PAGES: 2}
"""The streams, in the order of calls at the same instant."""
BEGINNING = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True)
class Copy:
    """One load of a row, by a source. `promised`: it came above the watermark, so that the watermark may never pass it unrecorded."""

    received_at: datetime | None
    promised: bool
    source: str


@dataclass(eq=False)
class Row:
    """One Segment call.

    Shape:  event: text and slug.  occurred_at: None for a NULL timestamp.  fields: traits or properties that are not NULL.
            loaded: whether the warehouse has them.
    """

    stream: Stream
    message_id: str | None
    user_id: str | None
    anonymous_id: str | None
    event: tuple[str | None, str | None]
    occurred_at: datetime | None
    fields: dict[str, str]
    copies: list[Copy] = field(default_factory=list)
    loaded: bool = True

    @property
    def key(self) -> Key:
        """The row's name in sync_state; a row without an id is known by its time."""
        return self.stream, self.message_id or f"at {self.when}"

    @property
    def when(self) -> datetime:
        """The time that orders it."""
        return self.occurred_at or self.copies[0].received_at or BEGINNING

    @property
    def order(self) -> Order:
        """Its place among all rows: identify before track at the same instant."""
        return self.when, RANK[self.stream], self.message_id or ""

    @property
    def code(self) -> str | None:
        """The referral code it carries."""
        return self.fields.get("referral_code") or None

    @property
    def event_name(self) -> str | None:
        """The name of the event: its text, else its slug."""
        text, slug = self.event
        return slug if text is None else text

    @property
    def has_problem(self) -> bool:
        """Whether it lacks what every row needs."""
        return self.message_id is None or all(copy.received_at is None for copy in self.copies)

    def is_due(self, low: datetime | None, high: datetime, source: str | None = None) -> bool:
        """Whether a window of a source, or of any, holds it; what has no time belongs to every window."""
        times = [copy.received_at for copy in self.copies if source in {None, copy.source}]
        return any(time is None or ((low is None or low <= time) and time < high) for time in times)


@dataclass(frozen=True)
class Span:
    """What one run looked at: from `low` (None: all history) to `until` (None: its own time)."""

    low: datetime | None
    until: datetime | None
    complete: bool


@dataclass
class Reach:
    """How far one stream got: its watermark, and the spans of the runs that left one."""

    watermark: datetime | None = None
    spans: list[Span] = field(default_factory=list)

    def begun_at(self, *, certain: bool) -> datetime | None:
        """Return where begins what was covered without a gap up to the watermark; None is all history.

        certain: by runs that got through, and each of them next to a run without an end. Else: by any chain of runs.
        """
        spans = [span for place, span in enumerate(self.spans) if place == 0 or span.complete or not certain]
        begun_at = _least([span.low for place, span in enumerate(spans) if place == 0 or span.until is None])
        for _ in range(1 if certain else len(spans)):
            begun_at = _least([begun_at, *(each.low for each in spans if begun_at and each.until and each.until >= begun_at)])
        return begun_at


def _least(times: list[datetime | None]) -> datetime | None:
    return None if None in times else min(time for time in times if time is not None)


def blank(text: str | None) -> bool:
    """Whether a text says nothing."""
    return text is None or not text.strip()


def plain_reason(row: Row, options: Options) -> tuple[Reason | None, bool]:
    """Return why a row is rejected or waits, whoever owns its code, and whether that outranks a code that is taken."""
    if blank(row.user_id):
        return Reason.MISSING_USER_ID, True
    if options["anonymous_calls"] == "drop" and not blank(row.anonymous_id):
        return Reason.ANONYMOUS_ID_PRESENT, True
    if not row.loaded:
        flaw = Reason.MISSING_EVENT_NAME if blank(row.event_name) else Reason.INVALID_ROW if row.has_problem else None
        return flaw or Reason.PROPERTIES_NOT_LOADED, False
    conversions = options["conversion_events"]
    assert isinstance(conversions, tuple)
    if row.stream != Stream.IDENTIFIES and row.code is None and row.event_name in conversions:
        return Reason.MISSING_REFERRAL_CODE, False
    if row.stream != Stream.IDENTIFIES and blank(row.event_name):
        return Reason.MISSING_EVENT_NAME, False
    return (Reason.INVALID_ROW if row.has_problem else None), False


def judge(rows: Iterable[Row], options: Options, codes: dict[str, str], since: dict[str, Order]) -> dict[Key, Reason | None]:
    """Judge rows in time order; `codes`: user id -> code he owns before, and after; `since`: user id -> the newest call that carried it."""
    verdicts: dict[Key, Reason | None] = {}
    for row in sorted(rows, key=lambda each: each.order):
        reason, certain = plain_reason(row, options)
        claims = row.stream == Stream.IDENTIFIES and row.code is not None and not certain
        if claims and any(code == row.code and user_id != row.user_id for user_id, code in codes.items()):
            reason = Reason.REFERRAL_CODE_TAKEN
        if claims and reason is None and row.order >= since.get(str(row.user_id), row.order):
            codes[str(row.user_id)] = str(row.code)
            if options["customer_updates"] == "changed":
                since[str(row.user_id)] = row.order
        verdicts[row.key] = reason
    return verdicts


def fold(rows: Iterable[Row]) -> tuple[dict[str, str], str | None]:
    """Return metadata and referral code of a customer who got these Identify calls, one after another."""
    metadata: dict[str, str] = {}
    code: str | None = None
    for row in rows:
        metadata.update(row.fields)
        code = row.code or code
    return metadata, code


@dataclass
class Customer:
    """What a customer has: of each trait the value, and the call that brought it.

    Shape:  rows: the calls that were settled.  code: the referral code.
    """

    rows: list[Row] = field(default_factory=list)
    metadata: dict[str, str] = field(default_factory=dict)
    orders: dict[str, Order] = field(default_factory=dict)
    code: str | None = None

    def stale(self, row: Row) -> set[str]:
        """Tell which traits of a call newer ones have carried."""
        return {trait for trait in row.fields if self.orders.get(trait, row.order) > row.order}

    def settle(self, row: Row, *, newest_wins: bool) -> None:
        """Take a call, and of its traits those that no newer one has carried, or all of them."""
        stale = self.stale(row) if newest_wins else set()
        for trait, value in row.fields.items():
            if trait not in stale:
                self.metadata[trait], self.orders[trait] = value, row.order
        if CODE not in stale:
            self.code = row.code or self.code
        self.rows.append(row)
