"""Text times of SQLite files, in all the forms that warehouses write them."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rehook_sync.times import sortable_utc

NOON = "2026-11-01T12:00:00.000000+00:00"
MIDNIGHT = "2026-11-01T00:00:00.000000+00:00"
TIMES = {
    "2026-11-01T12:00:00.123Z": "2026-11-01T12:00:00.123000+00:00",
    "2026-11-01 12:00:00.123Z": "2026-11-01T12:00:00.123000+00:00",
    "2026-11-01T12:00:00.123456Z": "2026-11-01T12:00:00.123456+00:00",
    "2026-11-01T12:00:00.1Z": "2026-11-01T12:00:00.100000+00:00",
    "2026-11-01T12:00:00.123456999Z": "2026-11-01T12:00:00.123456+00:00",
    "2026-11-01T12:00:00.5": "2026-11-01T12:00:00.500000+00:00",
    **dict.fromkeys(("2026-11-01T12:00:00Z", "2026-11-01T12:00:00z", "2026-11-01 12:00:00 Z", "2026-11-01T12:00:00.Z"), NOON),
    **dict.fromkeys(("2026-11-01 12:00:00", "2026-11-01 12:00:00. ", "2026-11-01T12:00:00Z\n"), NOON),
    **dict.fromkeys(("2026-11-01T12:00", "2026-11-01T12:00Z", "2026-11-01 12:00 Z", "2026-11-01T14:00+02:00"), NOON),
    **dict.fromkeys(("2026-11-01", "2026-11-01T", "2026-11-01 "), MIDNIGHT),
    **dict.fromkeys(("2026-11-01T12:00:00+00:00", "2026-11-01T12:00:00-00:00", "2026-11-01T17:45:00+05:45"), NOON),
    **dict.fromkeys(("2026-11-01T08:30:00 -03:30", "2026-11-02T02:00:00+14:00", "2026-10-31T21:01:00-14:59"), NOON),
    **dict.fromkeys(("2026-11-01 12:00:00 UTC", "2026-11-01T12:00:00.0 UTC", "2026-11-01 12:00 UTC", "2026-11-01 12:00:00 +0000"), NOON),
    **dict.fromkeys(("1793534400", "1793534400.0", "1793534400000", "1793534400000000", "1793534400 "), NOON),
    "1793534400.25": "2026-11-01T12:00:00.250000+00:00",
    "1793534400123": "2026-11-01T12:00:00.123000+00:00",
    "1793534400123.4567": "2026-11-01T12:00:00.123456+00:00",
    "1793534400123456.9": "2026-11-01T12:00:00.123456+00:00",
    "9999999999": "2286-11-20T17:46:39.000000+00:00",
    "2026-11-01T14:00:00.123456+02:00": "2026-11-01T12:00:00.123456+00:00",
    "2026-11-01 14:00:00.123456+0200": "2026-11-01T12:00:00.123456+00:00",
    "2026-11-01 09:00:00.5-03": "2026-11-01T12:00:00.500000+00:00",
    "2026-11-02T02:59:59.9+14:59": "2026-11-01T12:00:59.900000+00:00",
    "2026-12-31T23:59:59.999999-00:01": "2027-01-01T00:00:59.999999+00:00",
    "2024-02-29T23:30:00-01:00": "2024-03-01T00:30:00.000000+00:00",
    "9999-12-31T23:59:59.999999Z": "9999-12-31T23:59:59.999999+00:00",
    "9999-12-31T23:59:59+00:00": "9999-12-31T23:59:59.000000+00:00",
    "0001-01-01T00:00:00Z": "0001-01-01T00:00:00.000000+00:00",
    "0001-01-01T00:00:00-01:00": "0001-01-01T01:00:00.000000+00:00",
}
NO_TIMES = [
    *("2026-11-02T03:00:00+15:00", "2026-11-01T12:00:00+02:60", "2026-11-01T12:00:00+2", "2026-11-01T12:00:00+02:00:00"),
    *("2026-11-01T14:00+02", "2026-11-01T14:00+0200", "2026-11-01T14:00 +02:00", "2026-11-01T12:00:00UTC"),
    *("2026-02-30T12:00:00.000Z", "2026-02-30T12:00:00Z", "2026-02-30T12:00:00+02:00", "2026-02-30", "2026-02-29 12:00"),
    *("2026-13-01T12:00:00Z", "2026-00-01", "2026-11-00T12:00:00.5Z", "2026-11-32", "0000-01-01T00:00:00Z"),
    *("2026-11-01T24:00:00Z", "2026-11-01T24:00", "2026-11-01T29:00:00.0Z", "2026-11-01T25:61:00", "2026-11-01T12:00:60Z"),
    *("9999-12-31T23:59:59-00:01", "0001-01-01T00:00:00+01:00", "2026-11-01T12:00:5Z", "2026-11-01T1:00:00Z"),
    *("2026-11-01T12:00:00,5Z", "2026-11-01T12:00:00.5.5Z", "2026-11-01T12:00:005Z", "2026-11-01T12:00.5Z"),
    *("2026-11-01t12:00:00Z", "2026-11-01_12:00:00", "20261101T120000", "20261101T120000Z", "20261101T120000.500"),
    *("2026-W45-7T12:00:00", "2026-W45-7", "2026-305", "2026-9-30", "2026/11/01", "01/11/2026", " 2026-11-01", "-2026-11-01"),
    *(
        "yesterday",
        "now",
        "12:00",
        "2460000.5",
        "176722560",
        "20261101120000",
        "-1767225600",
        "1767225600Z",
        "1767225600 UTC",
        "01767225600",
        "",
        "infinity",
        "٢٠٢٦-11-01",
        "2026-11-01T12:00:00é",
        "2026-11-01T12:00:0\N{ARABIC-INDIC DIGIT FIVE}Z",
    ),
]


@pytest.mark.parametrize(("text", "expected"), TIMES.items(), ids=repr)
def test_text_becomes_utc_with_microseconds(text: str, expected: str) -> None:
    assert sortable_utc(text) == expected


@pytest.mark.parametrize("text", NO_TIMES, ids=ascii)
def test_what_is_no_time_is_none(text: str) -> None:
    assert sortable_utc(text) is None


OFFSETS = st.integers(-14 * 60 - 59, 14 * 60 + 59).map(lambda minutes: timezone(timedelta(minutes=minutes)))


YEARS = st.datetimes().filter(lambda moment: 1 < moment.year < 9999)


@given(st.builds(datetime.replace, YEARS, tzinfo=OFFSETS), st.sampled_from("T "), st.sampled_from(["%:z", "%z"]))
def test_every_offset_leads_to_the_same_time(moment: datetime, between: str, zone: str) -> None:
    offset = moment.isoformat()[-6:]
    text = moment.replace(tzinfo=None).isoformat(between, "microseconds") + (offset if zone == "%:z" else offset.replace(":", ""))
    found = sortable_utc(text)
    assert found is not None
    assert datetime.fromisoformat(found) == moment
    assert found == moment.astimezone(UTC).isoformat(timespec="microseconds")


DIGITS = st.text("0123456789", max_size=3)
PARTS = st.one_of(
    DIGITS,
    st.sampled_from(["-", ":", "T", " ", ".", "Z", "z", "+", ",", "W", "\0", "\n", "٣", "2026", "11", "01", "2026-11-01", "12:00:00"]),
)


@given(st.one_of(st.text(), st.lists(PARTS, max_size=12).map("".join)))
def test_any_text_is_a_time_of_one_form_or_none(text: str) -> None:
    found = sortable_utc(text)
    assert found is None or (len(found) == 32 and datetime.fromisoformat(found).isoformat(timespec="microseconds") == found)
