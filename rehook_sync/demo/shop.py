"""A sample Segment warehouse: two weeks of a shop, then a second batch. The same seed and time give the same rows."""

import random
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from sqlalchemy import Connection, MetaData, Table, func, insert, inspect, select
from sqlalchemy.schema import CreateSchema

from rehook_sync.database.engine import open_database
from rehook_sync.demo.shop_rows import UNUSABLE_CODE, Draft, Period, Person, Row
from rehook_sync.demo.shop_tables import build_tables
from rehook_sync.errors import UsageError
from rehook_sync.models import Reason
from rehook_sync.times import FIRST_MOMENT

__all__ = ["CONVERSION_EVENTS", "ShopFacts", "add_second_batch", "build_shop"]

CONVERSION_EVENTS = ("signup",)
_SETTING = "WAREHOUSE_URL"
_DAYS = 14
_LATE_BY = timedelta(hours=48)
_MIN_USERS = 50
_MAX_ID_LENGTH = 255


@dataclass(frozen=True, slots=True)
class ShopFacts:
    """What a batch holds. Outcomes are those of default settings with `CONVERSION_EVENTS`.

    Shape:  rows: table -> rows written, repeated loads included.  distinct: stream -> new calls.
            rejected: reason -> calls.  duplicates: rows that repeat a call.  late: calls received before the previous batch's newest.
            customers: customers that this batch creates at Rehook.  events: Track calls that must arrive, once each.
    All other Identify calls are sent, merged or unchanged, depending on the runs.
    """

    rows: Mapping[str, int]
    distinct: Mapping[str, int]
    rejected: Mapping[Reason, int]
    duplicates: int
    late: int
    customers: int
    events: int

    @property
    def accepted(self) -> int:
        """Calls that end as sent, merged or unchanged."""
        return sum(self.distinct.values()) - sum(self.rejected.values())


def build_shop(url: str, *, seed: int = 7, users: int = 300, now: datetime, schema: str | None = None) -> ShopFacts:
    """Create the shop's tables and fill them with the two weeks before `now`.

    Raises: UsageError when the tables are there already, for fewer than 50 users, and for a naive `now`.
    """
    if users < _MIN_USERS:
        raise UsageError(f"the sample shop needs at least {_MIN_USERS} users, not {users}")
    loaded_at = _utc(now) - timedelta(minutes=1)
    metadata = build_tables(schema)
    with _writing(url) as connection:
        taken = sorted(set(inspect(connection).get_table_names(schema=schema)) & {each.name for each in metadata.sorted_tables})
        if taken:
            raise UsageError(f"there is a table '{taken[0]}' already; build the sample shop in an empty database or schema")
        draft = Draft(random.Random(seed), loaded_at)  # noqa: S311 - sample data
        _draft_two_weeks(draft, users, Period(loaded_at - timedelta(days=_DAYS), loaded_at - timedelta(seconds=5)))
        if schema is not None:
            connection.execute(CreateSchema(schema, if_not_exists=True))
        metadata.create_all(connection)
        _write(connection, metadata, draft)
    return _facts(draft, known=frozenset())


def add_second_batch(url: str, now: datetime, *, seed: int = 8, schema: str | None = None) -> ShopFacts:
    """Add what arrived since: new and late calls, repeated loads, a new column and a new event with its own table.

    Raises: UsageError when there is no shop, the second batch is there already, or `now` is not after the newest row.
    """
    loaded_at = _utc(now)
    with _writing(url) as connection:
        if not inspect(connection).has_table("identifies", schema=schema):
            raise UsageError("there is no sample shop yet; build it first")
        if inspect(connection).has_table("review_submitted", schema=schema):
            raise UsageError("the second batch is there already; build the sample shop anew in an empty database or schema")
        before = build_tables(schema)
        newest = _newest(connection, before)
        if loaded_at <= newest:
            raise UsageError("the second batch must be later than the newest row of the first")
        people = _read_people(connection, before)
        rng = random.Random(seed)  # noqa: S311 - sample data
        draft = Draft(rng, loaded_at, loads_from=loaded_at, newest=newest)
        _draft_since(draft, people, Period(newest, loaded_at))
        _draft_reloads(draft, connection, before)
        after = build_tables(schema, second_batch=True)
        _upgrade(connection, before, after)
        _write(connection, after, draft)
    return _facts(draft, known=frozenset(each.user_id for each in people))


def _draft_two_weeks(draft: Draft, users: int, window: Period) -> None:
    rng, known, new = draft.rng, [], []
    for number in range(1, users + 1):
        if number % 20 < 13:
            created_at = window.start - timedelta(days=rng.randrange(5, 500), seconds=rng.randrange(86400))
            first_at = draft.moment(Period(window.start, window.start + timedelta(hours=36)))
            known.append((draft.person(number, created_at), first_at))
        else:
            first_at = draft.moment(window)
            new.append((draft.person(number, first_at), first_at))
    referrers = [person for person, _ in known]
    for place, (person, first_at) in enumerate(new):
        code = rng.choice(referrers).referral_code if rng.random() < 0.65 else draft.campaign_code()
        draft.identify(person.user_id, person.traits(), first_at)
        draft.signup(person, None if place < 4 else code, first_at)
        _draft_life(draft, person, window.since(first_at))
    for person, first_at in known:
        draft.identify(person.user_id, person.traits(), first_at)
        _draft_life(draft, person, window.since(first_at))
    for _ in range(users // 15):
        draft.visit(None, draft.moment(window), anonymous=f"anon-{rng.getrandbits(64):016x}")
    last_day = window.since(window.end - timedelta(days=1))
    for person in referrers[20:22]:
        renamed = replace(person, referral_code=f"{person.last_name.upper().replace(' ', '')}-VIP-{person.user_id[-4:]}")
        draft.identify(renamed.user_id, renamed.traits(), draft.moment(last_day))
    draft.break_rules(referrers, window)
    by_id = {event: {row["id"]: row for row in rows} for event, rows in draft.tables.items()}
    for row in rng.sample([each for each in draft.tables["tracks"] if each["event"] and each["id"]], max(users // 15, 1)):
        draft.repeat("tracks", row["event"], row, by_id[row["event"]][row["id"]])
    for row in rng.sample(draft.tables["identifies"], max(users // 50, 1)):
        draft.repeat("identifies", None, row)


def _draft_life(draft: Draft, person: Person, window: Period) -> None:
    """Write what a customer does after the first Identify call: visits, and Identify calls that change little or nothing."""
    rng = draft.rng
    for _ in range(rng.choice((0, 1, 1, 1, 2, 3))):
        anonymous = f"anon-{rng.getrandbits(64):016x}" if rng.random() < 0.09 else None
        draft.visit(person.user_id, draft.moment(window), anonymous=anonymous)
    for at in sorted(draft.moment(window) for _ in range(rng.choice((0, 0, 0, 1, 1, 2)))):
        person = draft.change(person) if rng.random() < 0.55 else person
        draft.identify(person.user_id, person.traits(), at)
        if rng.random() < 0.2 and at + timedelta(seconds=20) < window.end:
            person = draft.change(person)
            draft.identify(person.user_id, person.traits(), at + timedelta(seconds=20))


def _draft_since(draft: Draft, people: list[Person], window: Period) -> None:
    rng = draft.rng
    numbers = [int(each.user_id.removeprefix("user_")) for each in people]
    late = Period(window.start - _LATE_BY, window.start - timedelta(hours=1))
    for place in range(max(len(people) // 12, 6)):
        at = draft.moment(late if place < 3 else window)
        person = draft.person(max(numbers) + 1 + place, at)
        draft.identify(person.user_id, person.traits(), at)
        draft.signup(person, None if place == 5 else rng.choice(people).referral_code, at)
    active = rng.sample(people, max(len(people) // 5, 16))
    for person in active:
        anonymous = f"anon-{rng.getrandbits(64):016x}" if rng.random() < 0.08 else None
        draft.visit(person.user_id, draft.moment(window), buys=0.5, drift=True, anonymous=anonymous)
    for person in active[::3]:
        draft.identify(person.user_id, draft.change(person).traits(), draft.moment(window))
    for person in active[1::6]:
        draft.identify(person.user_id, person.traits(), draft.moment(window))
    for person in active[::4]:
        draft.review(person.user_id, draft.moment(window))
    for person in active[2::7]:
        draft.visit(person.user_id, draft.moment(late))
    draft.break_rules(active, window)


def _draft_reloads(draft: Draft, connection: Connection, metadata: MetaData) -> None:
    """Repeat calls of the first batch: half with their old `received_at`, half with a new one."""
    tracks = _named(metadata, "tracks")
    found = connection.execute(select(tracks).where(tracks.c.event != "", tracks.c.id.is_not(None)).order_by(tracks.c.id, tracks.c.uuid_ts))
    distinct = list({row.id: dict(row._mapping) for row in found}.values())
    for place, row in enumerate(draft.rng.sample(distinct, 12)):
        table = _named(metadata, row["event"])
        copy = connection.execute(select(table).where(table.c.id == row["id"])).first()
        again = draft.loaded_at if place % 2 else None
        draft.repeat("tracks", row["event"], row, None if copy is None else dict(copy._mapping), again)


def _read_people(connection: Connection, metadata: MetaData) -> list[Person]:
    """Return the customers as last identified. Calls with another customer's code or an unusable one do not count."""
    table = _named(metadata, "identifies")
    usable = (table.c.user_id.is_not(None), table.c.anonymous_id.is_(None), func.length(table.c.user_id) <= _MAX_ID_LENGTH)
    people: dict[str, Person] = {}
    owners: dict[str, str] = {}
    traits = [name for name in Person.__slots__ if name not in ("user_id", "created_at")]
    for row in connection.execute(select(table).where(*usable).order_by(table.c.timestamp, table.c.id)):
        columns = row._mapping
        code = columns["referral_code"]
        if code == UNUSABLE_CODE or owners.setdefault(code, columns["user_id"]) != columns["user_id"]:
            continue
        values = {name: columns[name] for name in traits}
        people[columns["user_id"]] = Person(user_id=columns["user_id"], created_at=_aware(columns["created_at"]), **values)
    return [people[user_id] for user_id in sorted(people)]


def _newest(connection: Connection, metadata: MetaData) -> datetime:
    tables = [_named(metadata, name) for name in ("identifies", "tracks")]
    found = [connection.execute(select(func.max(each.c.received_at))).scalar() for each in tables]
    return max((_aware(each) for each in found if each is not None), default=FIRST_MOMENT)


def _upgrade(connection: Connection, before: MetaData, after: MetaData) -> None:
    """Rebuild `order_completed` with its new column, and create the new event's table."""
    orders = _named(before, "order_completed")
    kept = [dict(row._mapping) for row in connection.execute(select(orders))]
    orders.drop(connection)
    after.create_all(connection)
    if kept:
        connection.execute(insert(_named(after, "order_completed")), kept)


def _write(connection: Connection, metadata: MetaData, draft: Draft) -> None:
    for name, rows in draft.tables.items():
        table = _named(metadata, name)
        blank: Row = dict.fromkeys(table.c.keys())
        ordered = sorted(rows, key=lambda row: (_aware(row["uuid_ts"]), _aware(row["received_at"])))
        if ordered:
            connection.execute(insert(table), [{**blank, **row} for row in ordered])


def _facts(draft: Draft, known: frozenset[str]) -> ShopFacts:
    return ShopFacts(
        rows={name: len(rows) for name, rows in draft.tables.items()},
        distinct=dict(draft.distinct),
        rejected=dict(sorted(draft.rejected.items())),
        duplicates=draft.duplicates,
        late=draft.late,
        customers=len(draft.users - known),
        events=draft.events_accepted,
    )


@contextmanager
def _writing(url: str) -> Iterator[Connection]:
    database = open_database(url, _SETTING, may_create=True)
    try:
        with database.transaction() as connection:
            yield connection
    finally:
        database.close()


def _named(metadata: MetaData, name: str) -> Table:
    return metadata.tables[name if metadata.schema is None else f"{metadata.schema}.{name}"]


def _aware(moment: datetime) -> datetime:
    """Return a time as aware UTC; SQLite returns it naive."""
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def _utc(now: datetime) -> datetime:
    if now.tzinfo is None:
        raise UsageError("the sample shop needs a time with its zone")
    return now.astimezone(UTC)
