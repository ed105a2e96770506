"""From driver tuples to source rows, without a database."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal

import pytest

from rehook_sync.database.kinds import to_boolean, to_moment
from rehook_sync.database.loaders import lenient_loader, text_or_bytes
from rehook_sync.models import SourceRow, Stream
from rehook_sync.values import exact_json
from rehook_sync.warehouse.rows import RowPlan, build_rows, time_order

NOON = datetime(2026, 11, 1, 12, tzinfo=UTC)
PLAN = RowPlan(
    stream=Stream.TRACKS,
    cursor="received_at",
    id=2,
    texts=(3, None, 4, 5),
    raw_cursor=None,
    fields=("total", "coupon"),
    first_field=6,
    convert={},
)


def build(**changes: object) -> SourceRow:
    values = {
        "received": NOON,
        "occurred": NOON,
        "id": "m",
        "user_id": "u",
        "event": "slug",
        "event_text": "Name",
        "total": 5,
        "coupon": None,
    }
    (row,) = build_rows(PLAN, [tuple((values | changes).values())])
    return row


def test_a_row_has_all_parts() -> None:
    assert build() == SourceRow(Stream.TRACKS, "m", "u", None, "Name", "slug", NOON, NOON, {"total": 5})


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (NOON.astimezone(timezone(timedelta(hours=5))), NOON),
        (NOON.replace(tzinfo=None), NOON),
        ("2026-11-01T12:00:00", NOON),
        ("2026-11-01T12:00:00.000000+00:00", NOON),
        ("2026-11-01T13:00:00+01:00", NOON),
        (date(2026, 11, 1), NOON.replace(hour=0)),
    ],
)
def test_times_of_any_driver_are_aware_utc(given: object, expected: datetime) -> None:
    row = build(received=given, occurred=given)
    assert (row.received_at, row.occurred_at, row.problem) == (expected, expected, None)
    assert row.received_at is not None
    assert row.received_at.tzinfo is UTC


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"received": None}, "received_at is NULL"),
        ({"received": "infinity"}, "received_at is not a time"),
        ({"received": 5}, "received_at is not a time"),
        ({"occurred": "infinity"}, "timestamp is not a time"),
        ({"id": None}, "id is NULL"),
        ({"id": None, "received": None}, "id is NULL"),
        ({"id": " "}, "id is blank"),
        ({"id": b"\xff"}, "id is no text"),
        ({"id": float("nan")}, "id is no text"),
        ({"user_id": b"\xff"}, "user_id is no text"),
        ({"event": b"\xff"}, "event is no text"),
    ],
)
def test_what_is_wrong_is_a_problem_of_the_row(changes: dict[str, object], problem: str) -> None:
    assert build(**changes).problem == problem


def test_a_row_without_a_usable_time_falls_back_to_the_other() -> None:
    assert build(occurred="never").occurred_at == NOON
    assert build(received=None).occurred_at == NOON
    assert build(received=None, occurred=None).occurred_at is None


@pytest.mark.parametrize(("given", "text"), [(42, "42"), (7.0, "7"), (True, "true"), (Decimal("7.50"), "7.5")])
def test_ids_become_text(given: object, text: str) -> None:
    row = build(id=given, user_id=given, event=given, event_text=None)
    assert (row.message_id, row.user_id, row.event, row.event_slug, row.problem) == (text, text, text, text, None)


def test_an_id_made_of_content_follows_the_content_alone() -> None:
    one = build(id=None).message_id
    same = build(id=None, received=NOON.astimezone(timezone(timedelta(hours=5)))).message_id
    assert one == same
    assert (
        len(
            {
                one,
                *(build(id=None, **change).message_id for change in ({"user_id": "v"}, {"total": 6}, {"occurred": None}, {"coupon": "X"})),
            }
        )
        == 5
    )


def test_half_a_surrogate_pair_does_not_stop_the_hash() -> None:
    assert build(id=None, coupon="\ud800").message_id.startswith("null-id:")


def test_order_is_time_then_id_and_no_time_comes_first() -> None:
    rows = [build(id="b"), build(id="a"), build(id="c", occurred=NOON - timedelta(hours=1)), build(id="z", received=None, occurred=None)]
    assert [row.message_id for row in sorted(rows, key=time_order)] == ["z", "c", "a", "b"]


@pytest.mark.parametrize(("given", "expected"), [(1, True), (0, False), (2, 2), (1.0, 1.0), ("1", "1"), (True, True)])
def test_only_zero_and_one_are_booleans(given: object, expected: object) -> None:
    assert to_boolean(given) == expected
    assert type(to_boolean(given)) is type(expected)


@pytest.mark.parametrize(("given", "expected"), [("2026-11-01 12:00:00", NOON), ("soon", "soon"), (5, 5), (b"x", b"x")])
def test_only_text_that_is_a_time_is_one(given: object, expected: object) -> None:
    assert to_moment(given) == expected


def test_json_numbers_are_exact() -> None:
    assert exact_json('{"a": 0.10, "b": 9007199254740993, "c": 1e400}') == {"a": Decimal("0.10"), "b": 2**53 + 1, "c": Decimal("1e400")}
    assert exact_json(memoryview(b"[1]")) == [1]
    with pytest.raises(ValueError, match="Infinity"):
        exact_json("[Infinity]")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"[{'7' * 5000}]", [Decimal("7" * 5000)]),
        ("[1e99999999999999999999, 2]", [Decimal("Infinity"), 2]),
        ("[-1e99999999999999999999]", [Decimal("-Infinity")]),
        ("[1e-99999999999999999999]", [0]),
        ('{"a": 1, "a": 2}', {"a": 2}),
        ('"\\ud800"', "\ud800"),
    ],
)
def test_json_beyond_what_is_usual_is_read(text: str, expected: object) -> None:
    assert exact_json(text) == expected


@pytest.mark.parametrize("text", ["[NaN]", "[-Infinity]", f"[{'7' * 5000}, NaN]", b"\xff", "{"])
def test_what_is_no_json_is_refused(text: str | bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - by json or by us
        exact_json(text)


def test_a_lenient_loader_gives_text_for_what_the_strict_one_refuses() -> None:
    class Strict:
        def __init__(self, oid: int, _context: object) -> None:
            self.oid = oid

        def load(self, content: Sequence[int]) -> int:
            return int(bytes(content)) + self.oid

    loader = lenient_loader(Strict, (ValueError,))(1000)
    assert (loader.load(memoryview(b"5")), loader.load(memoryview(b"infinity")), loader.load(b"\xff")) == (1005, "infinity", b"\xff")
    assert lenient_loader(exact_json, (ValueError,))(0).load(b"{") == "{"


def test_text_that_is_no_utf8_stays_bytes() -> None:
    assert (text_or_bytes("é".encode()), text_or_bytes(b"\xff")) == ("é", b"\xff")
