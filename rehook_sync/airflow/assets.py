"""The assets that a run updates: what Rehook holds, as other DAGs name it in their schedules."""

from urllib.parse import SplitResult

from airflow.sdk import Asset, AssetAlias

from rehook_sync.models import Stream

__all__ = ["ASSETS", "CUSTOMERS", "EVENTS", "SENT", "sanitize_uri"]

_NAMES = ("customers", "events")


def sanitize_uri(uri: SplitResult) -> SplitResult:
    """Return the address of an asset of ours in its one form. Raises ValueError for what is none."""
    if uri.netloc not in _NAMES or uri.path.strip("/") or uri.query or uri.fragment:
        raise ValueError(f"a Rehook asset is one of {', '.join(f'rehook://{name}' for name in _NAMES)}")
    return uri._replace(path="")


CUSTOMERS = Asset(name="rehook_customers", uri="rehook://customers")
EVENTS = Asset(name="rehook_events", uri="rehook://events")
ASSETS = {Stream.IDENTIFIES: CUSTOMERS, Stream.TRACKS: EVENTS}

# An outlet that is an asset announces news after every run; an alias announces what the run adds to it, and maybe nothing.
SENT = AssetAlias("rehook_sync_sent")
