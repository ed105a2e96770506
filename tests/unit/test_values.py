"""Values: exact, and silent about the value when it fails."""

import json
import tracemalloc
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from enum import IntEnum, StrEnum
from uuid import UUID

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from rehook_sync.database.engine import json_time, utc_text
from rehook_sync.rules.hashes import earlier_hashes, payload_hash, trait_hashes, value_hash
from rehook_sync.times import to_time
from rehook_sync.values import BrokenText, InfiniteTime, storable_json, to_json, to_json_value, to_text, without_infinite

IDENTITY = UUID("6f1c7a52-2f5e-4c26-9f62-0d2a4c4f2f11")
SECRET = "s3cret-value"


class Colour(StrEnum):
    RED = "red"


class Level(IntEnum):
    HIGH = 3


class Label(str):
    __slots__ = ()


LEAST_BEYOND = 2**1024 - 2**970
"""The least number that becomes infinite where numbers are doubles."""


def json_of(value: object) -> str:
    return to_json(to_json_value(value)).decode()


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, None),
        ("", ""),
        ("  Ab ", "  Ab "),
        (42, "42"),
        (7.0, "7"),
        (-0.0, "0"),
        (7.25, "7.25"),
        (1e16, "10000000000000000"),
        (1e21, "1e+21"),
        (1.5e22, "1.5e+22"),
        (0.00001, "0.00001"),
        (0.000001, "0.000001"),
        (1.5e-7, "1.5e-7"),
        (True, "true"),
        (False, "false"),
        (Decimal("7.00"), "7"),
        (Decimal("7.50"), "7.5"),
        (Decimal("-0.0"), "0"),
        (Decimal("100"), "100"),
        (Decimal("1E+3"), "1000"),
        (Decimal("12345678901234567890.125"), "12345678901234567890.125"),
        (Decimal("1E-5000"), "1E-5000"),
        (Decimal("1.7976931348623157E+308"), str(int(Decimal("1.7976931348623157E+308")))),
        pytest.param(LEAST_BEYOND - 1, str(LEAST_BEYOND - 1), id="greatest"),
        (2**70, "1180591620717411303424"),
        (IDENTITY, "6f1c7a52-2f5e-4c26-9f62-0d2a4c4f2f11"),
        (date(2026, 11, 1), "2026-11-01"),
        (datetime(2026, 11, 1, 12, tzinfo=UTC), "2026-11-01T12:00:00.000Z"),
        (Colour.RED, "red"),
        (Level.HIGH, "3"),
        (Label("x"), "x"),
    ],
)
def test_text_is_what_the_connector_would_send(value: object, text: str | None) -> None:
    assert to_text(value) == text
    assert text is None or type(to_text(value)) is str


@pytest.mark.parametrize("value", [float("nan"), Decimal("NaN"), Decimal("sNaN")])
def test_not_a_number_has_no_text(value: object) -> None:
    with pytest.raises(ValueError, match=r"^not a number$"):
        to_text(value)


@pytest.mark.parametrize(
    "value",
    [
        b"abc",
        bytearray(b"abc"),
        memoryview(b"abc"),
        [1],
        {"a": 1},
        object(),
        float("-inf"),
        Decimal("Infinity"),
        pytest.param(10**5000, id="huge"),
    ],
)
def test_what_is_no_single_value_has_no_text(value: object) -> None:
    with pytest.raises(ValueError, match=r"has no text form|infinite|4,300 digits"):
        to_text(value)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, None),
        ("2026-11-01T12:00:00.123456Z", datetime(2026, 11, 1, 12, 0, 0, 123456, tzinfo=UTC)),
        ("2026-11-01 12:00:00", datetime(2026, 11, 1, 12, tzinfo=UTC)),
        ("2026-11-01T12:00:00+02:00", datetime(2026, 11, 1, 10, tzinfo=UTC)),
        ("2026-11-01 12:00:00.5+00", datetime(2026, 11, 1, 12, 0, 0, 500000, tzinfo=UTC)),
        ("2026-11-01", datetime(2026, 11, 1, tzinfo=UTC)),
        (date(2026, 11, 1), datetime(2026, 11, 1, tzinfo=UTC)),
        (datetime(2026, 11, 1, 12), datetime(2026, 11, 1, 12, tzinfo=UTC)),  # noqa: DTZ001
        (datetime(2026, 11, 1, 12, tzinfo=timezone(timedelta(hours=-5))), datetime(2026, 11, 1, 17, tzinfo=UTC)),
    ],
)
def test_times_become_aware_utc(value: object, expected: datetime | None) -> None:
    moment = to_time(value)
    assert moment == expected
    assert moment is None or moment.tzinfo is UTC


@pytest.mark.parametrize(
    "value",
    [
        "2026-9-30",
        "yesterday",
        "",
        " ",
        "1",
        20261101,
        1.5,
        True,
        b"2026-11-01",
        [],
        datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=5))),
    ],
)
def test_what_is_no_time_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match=r"ISO-8601|is no time|outside the years"):
        to_time(value)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "null"),
        (True, "true"),
        (0, "0"),
        (234, "234"),
        (2**53 + 1, "9007199254740993"),
        (-(2**63), "-9223372036854775808"),
        (2**64 - 1, "18446744073709551615"),
        (2**64, "18446744073709551616"),
        (-(2**63) - 1, "-9223372036854775809"),
        (0.1, "0.1"),
        (7.5, "7.5"),
        (Decimal("19.99"), "19.99"),
        (Decimal("7.00"), "7"),
        (Decimal("1E+3"), "1000"),
        (Decimal("100000000000000000000000"), "100000000000000000000000"),
        (Decimal("0.12345678901234567890123"), "0.12345678901234567890123"),
        (Decimal("12345678901234567.25"), "12345678901234567.25"),
        ("Zoë 🎁", '"Zoë 🎁"'),
        ("tab\t\x00\x1f", '"tab\\t\\u0000\\u001f"'),
        (Label("x"), '"x"'),
        (Colour.RED, '"red"'),
        (Level.HIGH, "3"),
        (datetime(2026, 11, 1, 12, tzinfo=UTC), '"2026-11-01T12:00:00.000Z"'),
        (datetime(2026, 11, 1, 12, 0, 0, 999999), '"2026-11-01T12:00:00.999999Z"'),  # noqa: DTZ001
        (datetime(2026, 11, 1, 12, 0, 0, 999000, tzinfo=UTC), '"2026-11-01T12:00:00.999Z"'),
        (datetime(2026, 11, 1, 12, 0, 0, 1, tzinfo=timezone(timedelta(hours=2))), '"2026-11-01T10:00:00.000001Z"'),
        (20.0, "20"),
        (-0.0, "0"),
        (-20.0, "-20"),
        (1e16, "10000000000000000"),
        (1.5e20, "150000000000000000000"),
        (1.2345678901234568e20, "123456789012345680000"),
        (1e21, "1e+21"),
        (1.5e-7, "1.5e-7"),
        (0.00001, "0.00001"),
        (5e-324, "5e-324"),
        (0.0000025, "0.0000025"),
        (-0.000001, "-0.000001"),
        (9.99e-7, "9.99e-7"),
        (Decimal("0.0000025"), "0.0000025"),
        (Decimal("20.0"), "20"),
        (Decimal("-0.0"), "0"),
        (b"ab\xff", '"YWL/"'),
        (memoryview(b""), '""'),
        (bytearray(b"a"), '"YQ=="'),
        (timedelta(days=1, hours=2, seconds=3.5), '"P1DT2H3.5S"'),
        (timedelta(minutes=-90), '"PT-1H-30M"'),
        (timedelta(), '"PT0S"'),
        ([20.0, -0.0, {"a": 1.0}], '[20,0,{"a":1}]'),
        (datetime(2026, 11, 1, 12, tzinfo=timezone(timedelta(hours=2))), '"2026-11-01T10:00:00.000Z"'),
        (datetime(33, 1, 2, tzinfo=UTC), '"0033-01-02T00:00:00.000Z"'),
        (date(2026, 11, 1), '"2026-11-01"'),
        (time(9, 30), '"09:30:00"'),
        (IDENTITY, '"6f1c7a52-2f5e-4c26-9f62-0d2a4c4f2f11"'),
        ([1, None, (Decimal("0.5"), date(2026, 1, 2))], '[1,null,[0.5,"2026-01-02"]]'),
        ({"b": 1, "a": None, "c": {"d": None}}, '{"b":1,"c":{}}'),
    ],
)
def test_json_is_exact(value: object, text: str) -> None:
    assert json_of(value) == text


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (float("nan"), "not a number has no JSON form"),
        (float("inf"), "an infinite number has no JSON form"),
        (Decimal("NaN"), "not a number has no JSON form"),
        (Decimal("sNaN"), "not a number has no JSON form"),
        (Decimal("-Infinity"), "an infinite number has no JSON form"),
        (BrokenText(b"x"), "text that is no UTF-8 has no JSON form"),
        ([BrokenText(b"x")], "text that is no UTF-8 has no JSON form"),
        (InfiniteTime("infinity"), "an infinite time has no JSON form"),
        ("\ud800", "text with half a surrogate pair has no JSON form"),
        ({"\udfff": 1}, "text with half a surrogate pair has no JSON form"),
        ({1: 2}, "an object with a key that is no text has no JSON form"),
        ({"a": [float("nan")]}, "not a number has no JSON form"),
        (object(), "a value of type object has no JSON form"),
        ({1, 2}, "a value of type set has no JSON form"),
        pytest.param(10**5000, "an infinite number has no JSON form", id="huge"),
        pytest.param(-(10**309), "an infinite number has no JSON form", id="negative"),
        ({"a": Decimal("1E+400")}, "an infinite number has no JSON form"),
        (LEAST_BEYOND, "an infinite number has no JSON form"),
        (Decimal(LEAST_BEYOND), "an infinite number has no JSON form"),
    ],
)
def test_what_has_no_json_form_is_refused_in_words(value: object, message: str) -> None:
    with pytest.raises(ValueError, match="JSON form") as caught:
        to_json_value(value)
    assert str(caught.value) == message


def test_the_deepest_allowed_nesting_can_be_written_inside_a_body() -> None:
    value: object = 1
    for _ in range(200):
        value = [value]
    assert to_json({"metadata": {"deep": to_json_value(value)}}).count(b"[") == 200
    with pytest.raises(ValueError, match="200 levels"):
        to_json_value([value])


@pytest.mark.parametrize("convert", [to_text, to_time, to_json_value])
@pytest.mark.parametrize("value", [SECRET.encode(), {"a": SECRET.encode()}, [SECRET.encode()], Label(f"{SECRET}\ud800")])
def test_a_failure_never_shows_the_value(convert: object, value: object) -> None:
    assert callable(convert)
    try:
        convert(value)
    except ValueError as error:
        assert SECRET not in str(error)  # noqa: PT017
        assert SECRET not in str(error.__cause__)  # noqa: PT017


@pytest.mark.parametrize("value", [b"x", datetime(2026, 1, 1, tzinfo=UTC), "\ud800", object(), 2**70])
def test_to_json_refuses_what_was_not_converted(value: object) -> None:
    with pytest.raises(ValueError, match="no JSON form"):
        to_json({"a": value})


@given(st.decimals(allow_nan=False, allow_infinity=False))
def test_a_decimal_keeps_its_value(value: Decimal) -> None:
    assert Decimal(str(to_text(value))) == value
    if abs(value) < LEAST_BEYOND:
        assert Decimal(json_of(value)) == value
    else:
        assert without_infinite(value) == (None, 1)


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_float_keeps_its_value(value: float) -> None:
    assert float(json_of(value)) == value
    assert float(str(to_text(value))) == value


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner.filter(lambda value: value is not None)),
        max_leaves=10,
    )
)
def test_json_reads_back_as_it_was(value: object) -> None:
    assert json.loads(json_of(value)) == value


@given(st.datetimes(timezones=st.just(UTC)))
def test_a_time_reads_back_to_the_microsecond(value: datetime) -> None:
    assert to_time(json.loads(json_of(value))) == value


@given(st.floats(allow_nan=False, allow_infinity=False).map(lambda value: value if abs(value) < 1e21 else 0.0))
def test_a_float_without_a_fraction_is_written_as_an_integer(value: float) -> None:
    assert json_of(float(round(value))).lstrip("-").isdecimal()


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (5, (5, 0)),
        (float("nan"), (None, 1)),
        (Decimal("sNaN"), (None, 1)),
        (Decimal("-Infinity"), (None, 1)),
        ([Decimal("1e400"), LEAST_BEYOND, -LEAST_BEYOND, 2**70], ([None, None, None, 2**70], 3)),
        (InfiniteTime("-infinity"), (None, 1)),
        ([1.5, float("inf"), None], ([1.5, None, None], 1)),
        ({"a": {"b": float("nan")}, "c": (float("nan"),)}, ({"a": {"b": None}, "c": [None]}, 2)),
    ],
)
def test_what_is_not_finite_is_none_and_counted(value: object, expected: tuple[object, int]) -> None:
    assert without_infinite(value) == expected


@pytest.mark.parametrize(
    ("value", "old_hash"),
    [
        (20.0, "be9b147a86f13217"),
        (-0.0, "c5d66593bd70a277"),
        (0.0, "80f2f2967d02dddb"),
        (1e20, "051dff217e0adc5d"),
        (datetime(2026, 11, 1, 12, 0, 0, 999999, tzinfo=UTC), "d5137058a6f3b197"),
        ([1.0, 2.5], "b156d45638edbf21"),
        (1.5, "bd2904b00aca18f8"),
        (20, "4b5ffc50512dc00a"),
        ("2026-11-01", "f718f0a735a7eeed"),
    ],
)
def test_hashes_of_earlier_versions_are_known(value: object, old_hash: str) -> None:
    """The hashes are those that version 0.1.0 wrote for user `u`, key `k`."""
    sent = json.loads(json_of(value))
    assert old_hash in {value_hash("u", "k", to_json_value(value)), *earlier_hashes("u", "k", sent)}
    assert old_hash not in earlier_hashes("u", "k", "20.5")


def test_hashes_differ_by_user_key_and_value_and_hold_no_value() -> None:
    hashes = {
        value_hash(user, key, value)
        for user, key, value in [("a", "bc", "1"), ("ab", "c", "1"), ("a", "bc", 1), ("a", "bc", None), ("a", "bc", [1])]
    }
    assert len(hashes) == 5
    assert all(len(each) == 16 and int(each, 16) >= 0 for each in hashes)


def test_hashes_are_the_same_in_every_process() -> None:
    assert value_hash("userId12345", "email", "bob.dole@example.com") == "f73aca7e08ccab81"
    assert payload_hash(b"{}") == "2afb9b83f9314e5d029766197f539792"


def test_a_number_beyond_64_bits_can_be_hashed() -> None:
    assert value_hash("a", "b", to_json_value(2**70)) != value_hash("a", "b", to_json_value(2**71))


def test_hashes_of_all_traits_are_those_of_each() -> None:
    metadata = {"a": 1, "b": "x", "c": [True, {"d": 0.5}]}
    assert trait_hashes("user", metadata) == {key: value_hash("user", key, value) for key, value in metadata.items()}


def test_what_has_no_json_form_has_no_hash() -> None:
    with pytest.raises(ValueError, match="no JSON form"):
        value_hash("user", "key", b"x")


@given(st.datetimes(timezones=st.sampled_from([UTC, timezone(timedelta(hours=5, minutes=30)), timezone(-timedelta(hours=1))])))
@example(datetime(1, 1, 2, tzinfo=UTC))
@example(datetime(9999, 12, 30, 23, 59, 59, 999_999, tzinfo=UTC))
@example(datetime(2026, 11, 1, 12, 0, 0, 1000, tzinfo=UTC))
def test_times_are_written_into_json_as_the_tables_keep_them(moment: datetime) -> None:
    try:
        expected = utc_text(moment)
    except OverflowError:  # outside the years 1 to 9999 in UTC
        return
    assert json.loads(storable_json([json_time(moment), json_time(None)])) == [expected, None]


def test_a_body_takes_no_more_memory_than_its_bytes() -> None:
    tracemalloc.start()
    try:
        bodies = [to_json({"event_name": "Order Completed", "number": number}) for number in range(1000)]
        taken, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert taken < 1000 * (len(bodies[0]) + 100), "orjson's own keep the 4 KB they are written into"
