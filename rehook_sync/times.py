"""Times and durations as people write them. Pure."""

import re
import reprlib
from datetime import UTC, date, datetime, timedelta

from rehook_sync.errors import UsageError

__all__ = ["FIRST_MOMENT", "duration_text", "parse_age", "parse_moment", "read_duration", "read_moment"]

FIRST_MOMENT = datetime.min.replace(tzinfo=UTC)
"""Before all others: where a time is missing and an order is needed."""

_REPR = reprlib.Repr()
_REPR.maxstring = 40

_UNITS = ("weeks", "days", "hours", "minutes", "seconds")
_WEEKS, _DAYS, _HOURS, _MINUTES, _SECONDS = (rf"(?:(?P<{unit}>[0-9]+(?:\.[0-9]+)?){unit[0].upper()})?" for unit in _UNITS)
_SHORT_DURATION = re.compile(rf"(?=.){_WEEKS}{_DAYS}{_HOURS}{_MINUTES}{_SECONDS}")
_ISO_DURATION = re.compile(rf"P(?=.){_WEEKS}{_DAYS}(?:T(?=.){_HOURS}{_MINUTES}{_SECONDS})?")


def read_moment(value: object) -> datetime:
    """Return a time, a date or ISO-8601 text as aware UTC; naive means UTC. Raises ValueError for anything else."""
    if isinstance(value, str):
        value = datetime.fromisoformat(value.strip())
    if isinstance(value, datetime):
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
    if isinstance(value, date):
        return datetime(value.year, value.month, value.day, tzinfo=UTC)
    raise ValueError("no time")


def read_duration(text: str) -> timedelta | None:
    """Read `1d12h` or `P1DT12H`; None for text that is neither. Raises OverflowError for ages beyond all calendars."""
    text = text.strip().upper()
    found = _SHORT_DURATION.fullmatch(text) or _ISO_DURATION.fullmatch(text)
    return found and timedelta(**{unit: float(number) for unit, number in found.groupdict().items() if number is not None})


def duration_text(value: timedelta) -> str:
    """Return a duration as people write it, such as `1d12h`."""
    minutes, seconds = divmod(value.total_seconds(), 60)
    hours, minutes = divmod(int(minutes), 60)
    days, hours = divmod(hours, 24)
    parts = ((days, "d"), (hours, "h"), (minutes, "m"), (seconds, "s"))
    return "".join(f"{number:g}{unit}" for number, unit in parts if number) or "0s"


def parse_moment(text: str, now: datetime) -> datetime:
    """Return the time that `2026-11-01T12:00`, `2026-11-01` or an age such as `36h` means, as aware UTC; naive means UTC.

    Raises: UsageError for anything else.
    """
    try:
        age = read_duration(text)
        return now.astimezone(UTC) - age if age is not None else read_moment(text)
    except (ValueError, OverflowError):
        message = f"{_REPR.repr(text)} is no time: give ISO-8601 (2026-11-01T12:00Z), a date (2026-11-01) or an age (36h, 7d)"
        raise UsageError(message) from None


def parse_age(option: str, text: str) -> timedelta:
    """Return the age that `90d` or `36h` means. Raises UsageError, naming the option, for anything else."""
    try:
        age = read_duration(text)
    except OverflowError:
        age = None
    if age is None or not text.strip():
        raise UsageError(f"{option}: {_REPR.repr(text)} is no age: give a number and a unit, such as 90d or 36h")
    return age
