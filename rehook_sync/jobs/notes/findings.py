"""What a run, a plan or an attempt at a shard found; shards keep theirs in the sync-state tables. Pure."""

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, fields

from rehook_sync.jobs.notes.names import MetNames, close_names
from rehook_sync.models import Reason, Stream
from rehook_sync.rules.identity import SharedIds
from rehook_sync.settings import Settings
from rehook_sync.warehouse.reader import Delays

__all__ = ["Findings", "read_findings", "write_findings"]


@dataclass(slots=True)
class Findings:
    """What a run, a plan or an attempt at a shard found in its rows, requests and reads.

    Shape:  rejected: by reason.  waiting: by event and detail.  bare: sent without what their event tables do not have, by event.
            left_out: NaN and infinities that were not sent, by column.  encoded: JSON objects that were encoded twice, by column.
            gone: recorded calls to be taken up again that are no longer in the warehouse.
            standing: rejections that were judged again and stay as they were.  shared: calls that have the id of another one.
            met: the names in the rows.  views: those read for an event that is called so.  delays: of reads.
            slowed: how often fewer requests at once were allowed.  lowest: fewest ever allowed, 0 if nothing was sent.
    """

    rejected: Counter[Reason] = field(default_factory=Counter)
    waiting: Counter[tuple[str, str]] = field(default_factory=Counter)
    bare: Counter[str] = field(default_factory=Counter)
    left_out: Counter[str] = field(default_factory=Counter)
    encoded: Counter[str] = field(default_factory=Counter)
    gone: int = 0
    standing: int = 0
    shared: SharedIds = field(default_factory=SharedIds)
    met: MetNames = field(default_factory=MetNames)
    views: set[str] = field(default_factory=set)
    delays: Delays = field(default_factory=Delays)
    slowed: int = 0
    lowest: int = 0


def write_findings(found: Findings, earlier: str | None, settings: Settings) -> str:
    """Return as JSON the findings of an attempt at a shard and of those before it; of names met, those like names in the settings."""
    before = read_findings([earlier])
    named = {*settings.exclude, *settings.trait_names, *settings.property_names, *settings.conversion_events}

    def like_named(met: set[str]) -> list[str]:
        return sorted({close for name in named for close in close_names(name, met)} | (named & met))

    document = {
        "bare": found.bare + before.bare,
        "left_out": found.left_out + before.left_out,
        "encoded": found.encoded + before.encoded,
        "gone": max(found.gone, before.gone),  # the same calls, looked for again
        "standing": found.standing + before.standing,
        "shared": found.shared.calls | before.shared.calls,  # the same calls, met again
        "shared_id": before.shared.example or found.shared.example,
        "events": like_named(found.met.events | before.met.events),
        "fields": {
            stream: like_named(found.met.fields[stream] | before.met.fields[stream])
            for stream in sorted({*found.met.fields, *before.met.fields})
        },
        "views": sorted(found.views | before.views),
        "delays": {each.name: getattr(found.delays + before.delays, each.name) for each in fields(Delays)},
        "slowed": found.slowed + before.slowed,
        "lowest": min(filter(None, (found.lowest, before.lowest)), default=0),
    }
    return json.dumps(document)


def read_findings(texts: Iterable[str | None]) -> Findings:
    """Return the findings of shards, added up."""
    total = Findings()
    for document in (json.loads(text) for text in texts if text):
        for name in ("bare", "left_out", "encoded"):
            getattr(total, name).update(document[name])
        for name in ("gone", "standing", "slowed", "lowest"):
            setattr(total, name, getattr(total, name) + document[name])
        total.shared.calls.update(document.get("shared", {}))
        total.shared.example = total.shared.example or document.get("shared_id", "")
        total.met.events.update(document["events"])
        for stream, names in document["fields"].items():
            total.met.fields[Stream(stream)].update(names)
        total.views.update(document["views"])
        total.delays += Delays(**{**document["delays"], "repeated": Counter(document["delays"]["repeated"])})
    return total
