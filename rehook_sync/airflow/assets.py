"""The assets that a run updates, for the schedules of other DAGs."""

from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import datetime
from urllib.parse import SplitResult

import rehook_sync.airflow.common.versions  # noqa: F401 - first: says what an older Airflow lacks

# isort: split

from airflow.sdk import Asset, AssetAlias

from rehook_sync.models import Stream

__all__ = ["CUSTOMERS", "EVENTS", "SENT", "count_assets", "find_watermark", "sanitize_uri"]

_NAMES = ("customers", "events")


def sanitize_uri(uri: SplitResult) -> SplitResult:
    """Return the normal form of a Rehook asset's URI. Raises ValueError for any other URI."""
    if uri.netloc not in _NAMES or uri.path.strip("/") or uri.query or uri.fragment:
        raise ValueError(f"a Rehook asset is one of {', '.join(f'rehook://{name}' for name in _NAMES)}")
    return uri._replace(path="")


CUSTOMERS = Asset(name="rehook_customers", uri="rehook://customers")
EVENTS = Asset(name="rehook_events", uri="rehook://events")

# An asset as outlet would announce an update after every run; an alias announces only what a run adds to it.
SENT = AssetAlias("rehook_sync_sent")


def count_assets(sent: Mapping[Stream, int]) -> list[tuple[Asset, int]]:
    """Return the assets that calls of these streams updated, and by how many calls."""
    counts = Counter[str]()
    for stream, calls in sent.items():
        counts[CUSTOMERS.uri if stream.is_identify else EVENTS.uri] += calls
    return [(asset, counts[asset.uri]) for asset in (CUSTOMERS, EVENTS) if asset.uri in counts]


def find_watermark(asset: Asset, watermarks: Iterable[tuple[Stream, datetime | None]]) -> str | None:
    """Return the time up to which all calls of an asset are settled or recorded, in UTC; None before there is one for each stream."""
    found = [at for stream, at in watermarks if stream.is_identify == (asset.uri == CUSTOMERS.uri)]
    known = [at for at in found if at is not None]
    return min(known).isoformat() if known and len(known) == len(found) else None
