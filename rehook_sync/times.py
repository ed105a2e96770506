"""Times and durations as people write them. Pure."""

import re
import reprlib
from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

from rehook_sync.errors import UsageError

__all__ = [
    "FIRST_MOMENT",
    "LAST_MOMENT",
    "duration_text",
    "epoch_utc",
    "iso_duration",
    "iso_interval",
    "moment_text",
    "parse_age",
    "parse_moment",
    "read_duration",
    "read_moment",
    "sortable_utc",
    "span",
    "to_time",
    "to_utc",
]

FIRST_MOMENT = datetime.min.replace(tzinfo=UTC)
"""Sorts a missing time before all others."""
LAST_MOMENT = datetime.max.replace(tzinfo=UTC)

_REPR = reprlib.Repr()
_REPR.maxstring = 40

_UNITS = ("weeks", "days", "hours", "minutes", "seconds")
_WEEKS, _DAYS, _HOURS, _MINUTES, _SECONDS = (rf"(?:(?P<{unit}>[0-9]+(?:\.[0-9]+)?){unit[0].upper()})?" for unit in _UNITS)
_SHORT_DURATION = re.compile(rf"(?=.){_WEEKS}{_DAYS}{_HOURS}{_MINUTES}{_SECONDS}")
_MINUTES_OR_MONTHS = re.compile(r"(?<![\d.])(\d{1,9}(?:\.\d{1,9})?)M")
_ISO_DURATION = re.compile(rf"P(?=.){_WEEKS}{_DAYS}(?:T(?=.){_HOURS}{_MINUTES}{_SECONDS})?")
_REST = {f"--{between}::{after}": rest for between in "T " for after, rest in (("", ".000000"), ("Z", ".000000"), (".", "000000"))}
"""What to fill a time with seconds up with, by what stands between and after its numbers."""
_WITHOUT_SECONDS = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2})(?:[T ](?:([0-9]{2}:[0-9]{2})(\s*[Zz]|\s+UTC|[+-][0-9]{2}:[0-9]{2})?)?)?\s*")
_WITH_SECONDS = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2}[T ](?:[01][0-9]|2[0-3]):[0-9]{2}:[0-9]{2})(\.[0-9]*)?"
    r"(?:\s*[Zz]|\s+UTC|\s*([+-](?:0[0-9]|1[0-4])(?::?[0-5][0-9])?))?\s*"
)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_EPOCH_DIGITS = {10: 1_000_000, 13: 1_000, 16: 1}
"""Digits of a Unix time -> microseconds in its unit. So many digits mean a time between 2001 and 2286; others are no time."""
_EPOCH_TEXT = re.compile(r"([1-9][0-9]{9}(?:[0-9]{3}){0,2})(\.[0-9]*)?\s*")
_INTERVAL = re.compile(
    r"(?:(?P<years>-?\d+) years?)? ?(?:(?P<months>[+-]?\d+) mon(?:th)?s?)? ?(?:(?P<days>[+-]?\d+) days?)? ?"
    r"(?:(?P<sign>[+-]?)(?P<hours>\d+):(?P<minutes>\d\d):(?P<seconds>\d\d(?:\.\d+)?))?"
)


def to_time(value: object) -> datetime | None:
    """Return a time, a date or ISO-8601 text as aware UTC; naive means UTC.

    Raises: ValueError for anything else.
    """
    if value is None:
        return None
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            raise ValueError("text that is no ISO-8601 time") from None
    if isinstance(value, datetime):
        return to_utc(value)
    if isinstance(value, date):
        return datetime(value.year, value.month, value.day, tzinfo=UTC)
    raise ValueError(f"a value of type {type(value).__name__} is no time")


def to_utc(moment: datetime) -> datetime:
    """Return a time as aware UTC; naive means UTC. Raises ValueError for one that UTC puts outside the years 1 to 9999."""
    if moment.tzinfo is None:
        return moment.replace(tzinfo=UTC)
    if moment.tzinfo is UTC:
        return moment
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise ValueError("a time outside the years 1 to 9999") from None


def read_moment(value: object) -> datetime:
    """Return a time, a date or ISO-8601 text that a person wrote as aware UTC. Raises ValueError for anything else."""
    moment = to_time(value.strip() if isinstance(value, str) else value)
    if moment is None:
        raise ValueError("no time")
    return moment


def sortable_utc(text: str) -> str | None:
    """Return the time that a text in a SQLite file says, as UTC text that sorts like time; None where it is no time.

    Shape:  2026-11-01T12:00:00.000000+00:00, always 32 characters.  Naive means UTC. What is finer than microseconds is cut off.
    Digits alone are a Unix time, as in `epoch_utc`.
    Offsets go to 14:59, as in SQLite's own functions. A day that the calendar lacks is no time, nor is one outside the years 1 to 9999.
    """
    # Most times are naive or end in Z: the driver calls this twice for each row, and a regular expression takes longer.
    rest = _REST.get(text[4:20:3])
    if rest is None or text[11:13] > "23":
        return _read_other_form(text)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return _read_other_form(text)
    if text[-1] == "Z":
        return (text[:-1] + rest)[:26].replace(" ", "T") + "+00:00"
    if moment.tzinfo is None:
        return (text + rest)[:26].replace(" ", "T") + "+00:00"
    return _read_other_form(text)


def _read_other_form(text: str) -> str | None:
    shorter = _WITHOUT_SECONDS.fullmatch(text)
    if shorter is not None:
        text = f"{shorter[1]}T{shorter[2] or '00:00'}:00{shorter[3] or ''}"
    found = _WITH_SECONDS.fullmatch(text)
    if found is None:
        return _read_epoch_text(text)
    second, fraction, offset = found.groups("")
    try:
        moment = datetime.fromisoformat(second + offset)
        whole = (moment.astimezone(UTC) if offset else moment).isoformat()
    except (ValueError, OverflowError):
        return None
    return f"{whole[:19]}{fraction or '.'}000000"[:26] + "+00:00"


def epoch_utc(number: float) -> str | None:
    """Return a Unix time as `sortable_utc` does; None where it is no time.

    Units:  seconds with 10 digits before the point, milliseconds with 13, microseconds with 16.
    """
    return _read_epoch_text(repr(number))


def _read_epoch_text(text: str) -> str | None:
    found = _EPOCH_TEXT.fullmatch(text)
    if found is None:
        return None
    whole, fraction = found.groups("")
    unit = _EPOCH_DIGITS[len(whole)]
    finer = int(unit * Decimal(f"0{fraction}")) if fraction else 0
    return (_EPOCH + timedelta(microseconds=int(whole) * unit + finer)).isoformat(timespec="microseconds")


def read_duration(text: str) -> timedelta | None:
    """Read `1d12h` or `P1DT12H`; None for text that is neither. Raises OverflowError for what no timedelta holds."""
    if _minutes_or_months(text):
        return None
    text = text.strip().upper()
    found = _SHORT_DURATION.fullmatch(text) or _ISO_DURATION.fullmatch(text)
    return found and timedelta(**{unit: float(number) for unit, number in found.groupdict().items() if number is not None})


def _minutes_or_months(text: str) -> re.Match[str] | None:
    """Find what could mean minutes or months, such as `1M`. ISO-8601 tells them apart."""
    return None if text.strip().upper().startswith("P") else _MINUTES_OR_MONTHS.search(text)


def _doubt(text: str) -> str:
    """Return what to write instead of `1M`; nothing for other texts."""
    found = _minutes_or_months(text)
    if found is None:
        return ""
    return f"; {found[0]} could be minutes or months: write {found[1]}m or {float(found[1]) * 30:g}d"


def moment_text(moment: datetime) -> str:
    """Return a time in UTC as people write it in options: whole seconds, `2026-11-01T12:00:00Z`."""
    return f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


def duration_text(value: timedelta) -> str:
    """Return a duration as people write it, such as `1d12h`."""
    minutes, seconds = divmod(value.total_seconds(), 60)
    hours, minutes = divmod(int(minutes), 60)
    days, hours = divmod(hours, 24)
    parts = ((days, "d"), (hours, "h"), (minutes, "m"), (seconds, "s"))
    return "".join(f"{number:g}{unit}" for number, unit in parts if number) or "0s"


def iso_duration(value: timedelta) -> str:
    """Return `P1DT2H3M4.5S`. A negative duration has its sign before each number, as PostgreSQL writes it."""
    microseconds = abs(value) // timedelta.resolution
    minutes, second = divmod(microseconds, 60_000_000)
    hours, minute = divmod(minutes, 60)
    days, hour = divmod(hours, 24)
    exact = f"{second // 1_000_000}.{second % 1_000_000:06}".rstrip("0").rstrip(".")
    return _iso_text("-" if value < timedelta() else "", ("0", "0", str(days)), (str(hour), str(minute), exact))


def iso_interval(text: str) -> str:
    """Return the ISO-8601 form of an interval of PostgreSQL or DuckDB, such as `1 mon +03:00:00`; months stay months. Other texts stay."""
    found = _INTERVAL.fullmatch(text) if text else None
    if found is None:
        return text
    parts = found.groupdict("0")
    seconds = parts["seconds"]
    seconds = seconds.rstrip("0").rstrip(".") if "." in seconds else seconds
    sign = "-" if parts["sign"] == "-" else ""
    clock = [
        f"{sign}{number}" if number != "0" else number for number in (_plain(parts["hours"]), _plain(parts["minutes"]), _plain(seconds))
    ]
    return _iso_text("", [_plain(parts[unit]) for unit in ("years", "months", "days")], clock)


def _plain(number: str) -> str:
    """Return a number without a plus and without zeros in front."""
    sign, digits = ("-", number[1:]) if number[0] == "-" else ("", number.lstrip("+"))
    digits = digits.lstrip("0")
    return f"{sign}0{digits}" if digits.startswith(".") else f"{sign}{digits}" if digits else "0"


def _iso_text(sign: str, days: Iterable[str], clock: Iterable[str]) -> str:
    date_part, time_part = (
        "".join(f"{sign}{number}{unit}" for number, unit in zip(numbers, units, strict=True) if number != "0")
        for numbers, units in ((days, "YMD"), (clock, "HMS"))
    )
    return f"P{date_part}{'T' if time_part else ''}{time_part}" if date_part or time_part else "PT0S"


def span(seconds: float | None) -> str:
    """Return a duration in its two largest units."""
    if seconds is None:
        return ""
    if seconds < 60:
        return f"{seconds:.1f}s" if seconds < 10 else f"{seconds:.0f}s"
    minutes, whole = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    units: Iterable[tuple[int, str]] = ((days, "d"), (hours, "h"), (minutes, "m"), (whole, "s"))
    parts = [f"{number}{unit}" for number, unit in units if number]
    return " ".join(parts[:2])


def parse_moment(text: str, now: datetime) -> datetime:
    """Return the time of `2026-11-01T12:00`, `2026-11-01` or an age such as `36h` as aware UTC; naive means UTC.

    Raises: UsageError for anything else.
    """
    try:
        age = read_duration(text)
        return now.astimezone(UTC) - age if age is not None else read_moment(text)
    except (ValueError, OverflowError):
        message = f"{_REPR.repr(text)} is no time: give ISO-8601 (2026-11-01T12:00Z), a date (2026-11-01) or an age (36h, 7d){_doubt(text)}"
        raise UsageError(message) from None


def parse_age(option: str, text: str) -> timedelta:
    """Return the age of `90d` or `36h`. Raises UsageError with the option's name for anything else."""
    try:
        age = read_duration(text)
    except OverflowError:
        age = None
    if age is None or not text.strip():
        raise UsageError(f"{option}: {_REPR.repr(text)} is no age: give a number and a unit, such as 90d or 36h{_doubt(text)}")
    return age
