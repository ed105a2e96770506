"""When and where people are told of runs, read from what they write as settings. Pure.

Each function raises a ValueError that says what the value must be, and never quotes a URL: it may hold a secret.
"""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from urllib.parse import urlsplit

from pydantic import SecretStr

from rehook_sync.times import duration_text, read_duration

__all__ = ["Condition", "as_conditions", "as_heartbeat_url", "as_notifiers"]

_PLAIN = ("attention", "stopped", "crashed", "waiting")
_SHARE, _LAG = "rejected_share", "lag"
_URL = re.compile(r"[A-Za-z][A-Za-z0-9_+.-]*://\S+")
_BETWEEN = re.compile(r"[\s,]+(?=[A-Za-z][A-Za-z0-9_+.-]*://)")
_MUST = f"must be of {', '.join(_PLAIN)}, {_SHARE}>0.2 (a part of 1) and {_LAG}>2h, between commas"


@dataclass(frozen=True, slots=True)
class Condition:
    """A state that people are told of.

    Shape:  kind: a word of the setting.  above: the bound of a share (0 to 1); None: the state has none.  longer_than: that of a lag.
    """

    kind: str
    above: float | None = None
    longer_than: timedelta | None = None

    @property
    def text(self) -> str:
        """The condition as people write it; its name in the sync-state tables."""
        if self.longer_than is not None:
            return f"{self.kind}>{duration_text(self.longer_than)}"
        return self.kind if self.above is None else f"{self.kind}>{self.above:g}"


def as_conditions(value: object) -> object:
    """Read when to tell: a list, JSON, or words between commas."""
    texts = _as_list(value, _MUST)
    found = [each if isinstance(each, Condition) else _read_condition(each) for each in texts]
    if len({each.kind for each in found}) < len(found):
        raise ValueError("must name each state once")
    return tuple(found)


def _read_condition(text: object) -> Condition:
    kind, mark, bound = (part.strip() for part in str(text).partition(">"))
    if kind in _PLAIN and not mark:
        return Condition(kind)
    if kind == _SHARE and re.fullmatch(r"0?\.\d+|0|1", bound):
        return Condition(kind, above=float(bound))
    try:
        longer_than = read_duration(bound) if kind == _LAG else None
    except (ValueError, OverflowError):
        longer_than = None
    if longer_than is None:
        raise ValueError(_MUST)
    return Condition(kind, longer_than=longer_than)


def as_notifiers(value: object) -> object:
    """Read the URLs of notifiers: a list, JSON, or URLs between commas, each of which may itself hold commas."""
    must = "must be URLs of the apprise library, between commas or as a list"
    if isinstance(value, SecretStr):
        value = value.get_secret_value()
    if isinstance(value, str) and not value.lstrip().startswith("["):
        value = [each for each in _BETWEEN.split(value.strip()) if each]
    texts = [each.get_secret_value() if isinstance(each, SecretStr) else each for each in _as_list(value, must)]
    if not all(isinstance(each, str) and each.isprintable() and _URL.fullmatch(each) for each in texts):
        raise ValueError(must)
    return tuple(SecretStr(str(each)) for each in texts)


def as_heartbeat_url(value: SecretStr) -> SecretStr:
    """Read the URL that is called after good runs."""
    text = value.get_secret_value()
    try:
        parts = urlsplit(text)
        good = parts.scheme in {"https", "http"} and parts.hostname and parts.port != 0
    except ValueError:
        good = False
    if not good or not text.isascii() or not text.isprintable() or " " in text:
        raise ValueError("must be a URL that begins with https:// or http://")
    return value


def _as_list(value: object, must: str) -> Sequence[object]:
    if isinstance(value, str) and value.lstrip().startswith("["):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            raise ValueError("is no valid JSON") from None
    if isinstance(value, str):
        value = [part for part in value.split(",") if part.strip()]
    if not isinstance(value, list | tuple):
        raise ValueError(must)  # noqa: TRY004 - as all others here
    return value
