"""The sample shop: the same every time, honest about what it holds, and a bit of everything that goes wrong."""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Connection, MetaData, create_engine, inspect, select

from rehook_sync.demo.shop import CONVERSION_EVENTS, ShopFacts, add_second_batch, build_shop
from rehook_sync.demo.shop_tables import EVENT_NAMES, build_tables
from rehook_sync.errors import UsageError
from rehook_sync.models import Reason

NOW = datetime(2026, 11, 20, 15, 0, tzinfo=UTC)
LATER = NOW + timedelta(seconds=30)
ALL_REASONS = {
    Reason.MISSING_USER_ID,
    Reason.ANONYMOUS_ID_PRESENT,
    Reason.REFERRAL_CODE_TAKEN,
    Reason.MISSING_REFERRAL_CODE,
    Reason.MISSING_EVENT_NAME,
    Reason.INVALID_ROW,
    Reason.REFUSED_BY_REHOOK,
}
Rows = dict[str, list[dict[str, Any]]]


@contextmanager
def opened(url: str) -> Iterator[Connection]:
    engine = create_engine(url)
    with engine.connect() as connection:
        yield connection
    engine.dispose()


def read(url: str, *, second_batch: bool = False, schema: str | None = None) -> Rows:
    metadata: MetaData = build_tables(schema, second_batch=second_batch)
    with opened(url) as connection:
        return {
            table.name: [dict(row._mapping) for row in connection.execute(select(table).order_by(table.c.timestamp, table.c.id))]
            for table in metadata.sorted_tables
        }


def judge(rows: Rows, seen: set[str], owners: dict[str, str]) -> tuple[Counter[Reason], Counter[str], set[str]]:
    """Apply the rules to what the tables hold, apart from the generator's own count; for calls not seen before."""
    properties = {(name, row["id"]): row for name, table in rows.items() if name in EVENT_NAMES for row in table}
    calls = [(row["timestamp"], stream, row) for stream in ("identifies", "tracks") for row in rows[stream]]
    rejected: Counter[Reason] = Counter()
    accepted: Counter[str] = Counter()
    users: set[str] = set()
    for _, stream, row in sorted(calls, key=lambda call: call[:2]):
        if row["id"] in seen:
            continue
        if row["id"] is not None:
            seen.add(row["id"])
        reason = judge_identify(row, owners) if stream == "identifies" else judge_track(row, properties)
        if reason is not None:
            rejected[reason] += 1
            continue
        accepted[stream] += 1
        if stream == "identifies":
            users.add(row["user_id"])
            for code in [each for each, owner in owners.items() if owner == row["user_id"]]:
                del owners[code]
            owners[row["referral_code"]] = row["user_id"]
    return rejected, accepted, users


def judge_identify(row: dict[str, Any], owners: dict[str, str]) -> Reason | None:
    if not row["user_id"]:
        return Reason.MISSING_USER_ID
    if row["anonymous_id"]:
        return Reason.ANONYMOUS_ID_PRESENT
    if row["referral_code"] and owners.get(row["referral_code"], row["user_id"]) != row["user_id"]:
        return Reason.REFERRAL_CODE_TAKEN
    if row["referral_code"] and len(row["referral_code"]) > 2048:
        return Reason.INVALID_ROW
    return Reason.REFUSED_BY_REHOOK if len(row["user_id"]) > 255 else None


def judge_track(row: dict[str, Any], properties: dict[tuple[str, Any], dict[str, Any]]) -> Reason | None:
    if not row["user_id"]:
        return Reason.MISSING_USER_ID
    if row["anonymous_id"]:
        return Reason.ANONYMOUS_ID_PRESENT
    if row["event_text"] in CONVERSION_EVENTS and not properties[row["event"], row["id"]]["referral_code"]:
        return Reason.MISSING_REFERRAL_CODE
    if not row["event_text"]:
        return Reason.MISSING_EVENT_NAME
    return Reason.INVALID_ROW if row["id"] is None else None


def test_the_facts_agree_with_the_rules_applied_to_the_tables(database_url: str) -> None:
    seen: set[str] = set()
    owners: dict[str, str] = {}
    first = build_shop(database_url, now=NOW)
    rejected, accepted, users = judge(read(database_url), seen, owners)
    assert (rejected, accepted["tracks"], users) == (Counter(first.rejected), first.events, users)
    assert (accepted.total(), len(users)) == (first.accepted, first.customers)

    second = add_second_batch(database_url, LATER)
    rows = read(database_url, second_batch=True)
    nameless = {
        id(row) for row in rows["tracks"] if row["id"] is None and row["timestamp"].replace(tzinfo=UTC) < NOW - timedelta(minutes=1)
    }
    rows["tracks"] = [row for row in rows["tracks"] if id(row) not in nameless]
    rejected, accepted, newer = judge(rows, seen, owners)
    assert (rejected, accepted["tracks"]) == (Counter(second.rejected), second.events)
    assert (accepted.total(), len(newer - users)) == (second.accepted, second.customers)


def test_every_rule_is_broken_in_both_batches(sqlite_url: str) -> None:
    assert set(build_shop(sqlite_url, now=NOW).rejected) == ALL_REASONS
    assert set(add_second_batch(sqlite_url, LATER).rejected) == ALL_REASONS


def test_the_first_batch_has_the_size_of_a_demo(sqlite_url: str) -> None:
    facts = build_shop(sqlite_url, now=NOW)
    assert 400 < facts.distinct["identifies"] < 700
    assert 1_300 < facts.distinct["tracks"] < 1_800
    assert 0 < sum(facts.rejected.values()) < sum(facts.distinct.values()) / 5
    assert facts.duplicates > 10


@pytest.mark.parametrize("seed", range(1, 6))
def test_any_seed_keeps_rejections_below_a_fifth(sqlite_url: str, seed: int) -> None:
    facts = build_shop(sqlite_url, now=NOW, seed=seed)
    assert sum(facts.rejected.values()) < sum(facts.distinct.values()) / 5


@pytest.mark.parametrize("batch", ["first", "second"])
def test_the_same_seed_and_time_give_the_same_rows(tmp_path_factory: pytest.TempPathFactory, batch: str) -> None:
    def make(folder: str, seed: int) -> tuple[ShopFacts, Rows]:
        url = f"sqlite:///{tmp_path_factory.mktemp(folder) / 'shop.db'}"
        facts = build_shop(url, now=NOW, seed=seed)
        if batch == "second":
            facts = add_second_batch(url, LATER)
        return facts, read(url, second_batch=batch == "second")

    assert make("one", 7) == make("two", 7)
    assert make("three", 7) != make("four", 8)


def test_rows_written_are_the_rows_reported(database_url: str) -> None:
    first = build_shop(database_url, now=NOW)
    before = {name: len(rows) for name, rows in read(database_url).items()}
    assert before == dict(first.rows)
    second = add_second_batch(database_url, LATER)
    after = {name: len(rows) for name, rows in read(database_url, second_batch=True).items()}
    assert after == {name: before.get(name, 0) + second.rows.get(name, 0) for name in after}
    written = first.rows["identifies"] + first.rows["tracks"]
    assert written == sum(first.distinct.values()) + first.duplicates


def test_no_time_lies_after_now(sqlite_url: str) -> None:
    def newest(rows: Rows) -> datetime:
        times: list[datetime] = [
            row[column] for table in rows.values() for row in table for column in ("timestamp", "received_at", "uuid_ts", "sent_at")
        ]
        return max(times).replace(tzinfo=UTC)

    build_shop(sqlite_url, now=NOW)
    first = read(sqlite_url)
    assert newest(first) <= NOW - timedelta(minutes=1)
    add_second_batch(sqlite_url, LATER)
    assert newest(read(sqlite_url, second_batch=True)) <= LATER
    assert min(row["timestamp"] for row in first["tracks"]).replace(tzinfo=UTC) > NOW - timedelta(days=15)


def test_the_second_batch_holds_late_rows_reloads_a_new_column_and_a_new_event(database_url: str) -> None:
    build_shop(database_url, now=NOW)
    before = read(database_url)
    old = {row["id"] for stream in ("identifies", "tracks") for row in before[stream]}
    newest = max(row["received_at"] for stream in ("identifies", "tracks") for row in before[stream])
    facts = add_second_batch(database_url, LATER)
    after = read(database_url, second_batch=True)
    new = [row for stream in ("identifies", "tracks") for row in after[stream] if row["id"] not in old]
    late = [row for row in new if row["received_at"] < newest]
    assert facts.late == len(late) > 5
    assert min(row["received_at"] for row in late) > newest - timedelta(days=3)
    reloaded = Counter(row["id"] for row in after["tracks"]) - Counter(row["id"] for row in before["tracks"])
    assert sum(count for message_id, count in reloaded.items() if message_id in old) - (None in reloaded) == facts.duplicates > 5
    assert {row["payment_method"] for row in after["order_completed"]} > {None}
    assert len(after["review_submitted"]) > 5


def test_each_call_has_its_row_in_the_event_table(sqlite_url: str) -> None:
    build_shop(sqlite_url, now=NOW)
    rows = read(sqlite_url)
    for event in ("product_viewed", "product_added", "checkout_started", "order_completed", "signup"):
        ids = {row["id"] for row in rows["tracks"] if row["event"] == event and row["id"] is not None}
        assert ids == {row["id"] for row in rows[event]}


def test_a_signup_happens_at_the_instant_of_the_first_identify(sqlite_url: str) -> None:
    build_shop(sqlite_url, now=NOW)
    rows = read(sqlite_url)
    first = {row["user_id"]: row["timestamp"] for row in reversed(rows["identifies"])}
    assert all(first[row["user_id"]] == row["timestamp"] for row in rows["signup"])


def test_some_identifies_change_nothing(sqlite_url: str) -> None:
    build_shop(sqlite_url, now=NOW)
    traits = ("email", "plan", "company", "lifetime_value", "referral_code", "anonymous_id")
    shown = Counter((row["user_id"], *(row[name] for name in traits)) for row in read(sqlite_url)["identifies"])
    assert sum(count > 1 for count in shown.values()) > 20


def test_all_mail_goes_to_example_domains(sqlite_url: str) -> None:
    build_shop(sqlite_url, now=NOW)
    mails = {row["email"] for row in read(sqlite_url)["identifies"]}
    assert all(each.isascii() and each.split("@")[1] in {"example.com", "example.org", "example.net"} for each in mails)


def test_a_schema_of_its_own_can_be_asked_for(postgres_url: str) -> None:
    facts = build_shop(postgres_url, now=NOW, users=50, schema="Shop Prod")
    add_second_batch(postgres_url, LATER, schema="Shop Prod")
    assert len(read(postgres_url, second_batch=True, schema="Shop Prod")["identifies"]) > facts.rows["identifies"]
    with opened(postgres_url) as connection:
        assert inspect(connection).get_table_names() == []


def test_a_shop_is_never_built_over_existing_tables(database_url: str) -> None:
    build_shop(database_url, now=NOW, users=50)
    before = read(database_url)
    with pytest.raises(UsageError, match="already"):
        build_shop(database_url, now=LATER, users=50)
    assert repr(read(database_url)) == repr(before)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda url: build_shop(url, now=NOW, users=10), "at least 50"),
        (lambda url: build_shop(url, now=NOW.replace(tzinfo=None)), "zone"),
        (lambda url: add_second_batch(url, LATER), "no sample shop"),
        (lambda url: (build_shop(url, now=NOW, users=50), add_second_batch(url, NOW - timedelta(days=1))), "later"),
    ],
)
def test_calls_that_make_no_sense_say_so(sqlite_url: str, call: Callable[[str], object], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        call(sqlite_url)
