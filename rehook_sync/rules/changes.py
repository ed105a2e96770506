"""Settings that shape what is sent: which have changed since the last run, and what applies that to the past. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["SCHEMAS", "SHAPING", "Change", "find_changes"]

SCHEMAS = "warehouse_schema"

SHAPING: Mapping[str, str] = {
    SCHEMAS: "each source goes on under its name",
    "identifies_table": "`audit --since T` tells what of the past no run has judged, and `run --since T` takes it",
    "tracks_table": "`audit --since T` tells what of the past no run has judged, and `run --since T` takes it",
    "cursor_column": "one `run --since T`, with T some days back, finds what the other column dates earlier",
    "start_at": "beside a watermark it has no effect; `run --since T` takes what is older",
    "lookback": "`run --since T` looks once for what came late before",
    "other_calls": "a new stream begins where it was told to, one left out keeps its record, and sent events stay as they are",
    "track_properties": "events that were sent stay as they are; it holds from now on, for what waits too",
    "missing_properties": "events that were sent stay as they are; it holds from now on, for what waits too",
    "conversion_events": "`revalidate --reason missing_referral_code` judges what was rejected again; events that were sent stay",
    "anonymous_calls": "`revalidate --reason anonymous_id_present` judges what was rejected again; calls that were sent stay",
    "customer_updates": "`refresh` sends each customer's present traits",
    "trait_names": "`refresh` sends each customer's present traits under the new names",
    "property_names": "events that were sent stay as they are; the new names hold from now on",
    "exclude": "`refresh` sends traits that are no longer left out; what Rehook has of the others stays there",
}
"""Settings that shape what is sent -> what applies a change of them to the past."""


@dataclass(frozen=True, slots=True)
class Change:
    """A setting that is not what it was in the last run.

    Shape:  before, now: as text, of a list only what differs, of schemas all.  advice: what applies it to the past.
    """

    name: str
    before: str
    now: str
    advice: str


def find_changes(before: Mapping[str, str], now: Mapping[str, str]) -> list[Change]:
    """Return the changes between the settings of two runs. One that either run does not know has not changed.

    Shape:  before, now: setting -> value as text; the members of a list stand between commas.
    """
    found = []
    for name, advice in SHAPING.items():
        old, new = before.get(name), now.get(name)
        if old is None or new is None or old == new:
            continue
        if name == SCHEMAS:
            found.append(Change(name, old, new, _schemas_advice(old, new)))
        else:
            found.append(Change(name, _only(old, new), _only(new, old), advice))
    return found


def _schemas_advice(before: str, now: str) -> str:
    """Return what a change of the sources means: which are new, which are not read any more, and that all others go on."""
    old, new = ({each.partition("=")[0] for each in text.split(", ")} for text in (before, now))
    parts = [f"{', '.join(sorted(new - old))} goes on where it was left, or began where it was told to"] if new - old else []
    parts += [f"{', '.join(sorted(old - new))} is not read any more, and keeps its record"] if old - new else []
    return "; ".join(parts) or SHAPING[SCHEMAS]


def _only(text: str, other: str) -> str:
    """Return the members of a list that another one lacks."""
    left = [each for each in text.split(", ") if each not in other.split(", ")]
    return ", ".join(left) or "(none)"
