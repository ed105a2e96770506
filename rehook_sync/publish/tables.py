"""The tables and views that a copy is made of, and the names of the statements that make, write and clear them."""

from collections.abc import Mapping
from dataclasses import dataclass, field

__all__ = ["PUBLISHED", "TABLES", "VIEWS", "Copied"]


@dataclass(frozen=True, slots=True)
class Copied:
    """A table of the copy, and the statements that make, write and clear it.

    Shape:  add: puts rows whose keys are surely not there.  stage: puts rows beside the table.  columns: those that this version writes.
            keys: part of a key, as it is told to `remove` -> its column.  day: column of time by which a large table is cut into days;
            it never changes.
    """

    name: str
    make: str
    columns: frozenset[str]
    keys: Mapping[str, str] = field(default_factory=dict)
    put: str = ""
    add: str = ""
    stage: str = ""
    remove: str = ""
    day: str = ""

    def key(self, row: Mapping[str, object]) -> dict[str, str]:
        """Return the key of a row, by the names that the statement which removes rows has for its parts."""
        return {member: str(row[column]) for member, column in self.keys.items()}


def _columns(text: str) -> frozenset[str]:
    return frozenset(text.split())


TABLES: Mapping[str, Copied] = {
    "calls": Copied(
        "sync_state",
        "make_calls",
        _columns(
            "stream message_id user_id event received_at occurred_at status reason detail http_status attempts sent_as run_id "
            "first_seen_at settled_at source"
        ),
        {"stream": "stream", "id": "message_id"},
        put="put_calls",
        add="add_calls",
        stage="stage_calls",
        remove="remove_calls",
        day="first_seen_at",
    ),
    "customers": Copied(
        "sync_customers",
        "make_customers",
        _columns("source_id referral_code accepted_code first_sent_at last_sent_at last_message_id refreshed_by code_carried_at"),
        {"id": "source_id"},
        put="put_customers",
        add="add_customers",
        stage="stage_customers",
        remove="remove_customers",
    ),
    "runs": Copied(
        "sync_runs",
        "make_runs",
        _columns(
            "run_id trigger status since_at until_at started_at finished_at rows_read sent rejected failed in_doubt unchanged merged "
            "requests error version waiting properties_wait_s skipped kind settings open_periods"
        ),
        {"id": "run_id"},
        put="put_runs",
        add="add_runs",
        stage="stage_runs",
        remove="remove_runs",
    ),
    "watermarks": Copied(
        "sync_watermarks",
        "make_watermarks",
        _columns("run_id stream low_at high_at rows_new recorded_at source lacks_table"),
        {each: each for each in ("run_id", "source", "stream")},
        put="put_watermarks",
        add="add_watermarks",
        stage="stage_watermarks",
        remove="remove_watermarks",
    ),
}
"""What the rows are of -> their table."""
PUBLISHED = Copied("sync_published", "make_published", _columns("publication_id turn version is_whole published_at"))
VIEWS: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "v1_runs": ("make_v1_runs", ("sync_runs",)),
    "v1_rejections": ("make_v1_rejections", ("sync_state",)),
    "v1_waiting": ("make_v1_waiting", ("sync_state", "sync_runs")),
    "v1_attention": ("make_v1_attention", ("sync_state", "v1_waiting")),
    "v1_customer_timeline": ("make_v1_customer_timeline", ("sync_state", "sync_customers")),
    "v1_freshness": ("make_v1_freshness", ("sync_watermarks",)),
    "v1_unsettled_by_day": ("make_v1_unsettled_by_day", ("sync_state",)),
    "v1_calls_by_day": ("make_v1_calls_by_day", ("sync_state",)),
    "v1_customers": ("make_v1_customers", ("sync_customers",)),
    "v1_referral_codes": ("make_v1_referral_codes", ("sync_customers", "sync_state")),
}
"""View -> its statement, and the tables and views that it is made of, which stand before it."""
