"""The copy for analysts, as somebody sees it who has only its schema; and what it must hold."""

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, date, datetime
from typing import Any

from sqlalchemy import Engine, event, text
from warehouse import engine_to

from rehook_sync.database.warehouses import WAREHOUSES

__all__ = ["TABLES", "Killed", "check_copy", "dying_at", "read_copy", "read_table", "small_batches"]

TABLES: Mapping[str, frozenset[str]] = {
    "sync_state": frozenset({"payload_hash"}),
    "sync_customers": frozenset({"trait_hashes"}),
    "sync_runs": frozenset(),
    "sync_watermarks": frozenset(),
}
"""Table -> columns of the sync-state that the copy does not have."""


def read_table(url: str, name: str) -> list[dict[str, Any]]:
    """The rows of a table or view, times as UTC text."""
    with engine_to(url).connect() as connection:
        rows = connection.execute(text(f"SELECT * FROM {name}")).mappings().all()
    return [{key.lower(): _plain(value) for key, value in row.items()} for row in rows]


def _plain(value: object) -> object:
    if not isinstance(value, datetime):
        return str(value) if isinstance(value, date) else value
    moment = value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
    return moment.isoformat(timespec="microseconds")[:26] + "Z"


def read_copy(url: str, schema: str) -> dict[str, list[str]]:
    """Table -> its rows, sorted."""
    return {name: _sorted(read_table(url, f"{schema}.{name}")) for name in TABLES}


def _sorted(rows: list[dict[str, Any]]) -> list[str]:
    return sorted(repr(sorted(row.items(), key=lambda each: each[0])) for row in rows)


def check_copy(state_url: str, url: str, schema: str) -> dict[str, list[str]]:
    """The copy has all that the sync-state has, and no hash. Returns it."""
    prefix = "" if state_url.startswith("sqlite") else "rehook_sync."
    found = read_copy(url, schema)
    for name, hidden in TABLES.items():
        copied = found[name]
        rows = [{key: value for key, value in row.items() if key not in hidden} for row in read_table(state_url, prefix + name)]
        if name == "sync_runs":
            open_ = [row["opened_by"] for row in read_table(state_url, f"{prefix}sync_periods") if row["closed_at"] is None]
            rows = [{**row, "open_periods": open_.count(row["run_id"])} for row in rows]
        if name == "sync_customers":
            carried = {row["owner"]: row["carried_at"] for row in read_table(state_url, f"{prefix}v1_referral_codes")}
            there = read_table(url, f"{schema}.{name}")
            assert {row["source_id"]: row["code_carried_at"] for row in there if row["referral_code"]} == carried
            copied = _sorted([{key: value for key, value in row.items() if key != "code_carried_at"} for row in there])
        assert copied == _sorted(rows), name
    return found


class Killed(BaseException):
    """Stands for the end of the process."""


@contextmanager
def dying_at(step: int) -> Iterator[list[str]]:
    """End the process before the statement or commit of this number: nothing that comes later reaches a database. Yields what came."""
    done: list[str] = []

    def coming(what: str) -> None:
        if len(done) >= step:
            raise Killed
        done.append(what)

    def executing(*given: Any) -> None:
        coming(str(given[2]))

    def committing(_connection: object) -> None:
        coming("COMMIT")

    hook = threading.excepthook

    def ended(thread: threading.ExceptHookArgs) -> None:
        if thread.exc_type is not Killed:  # the lease has a thread of its own, which ends with the process
            hook(thread)

    event.listen(Engine, "before_cursor_execute", executing)
    event.listen(Engine, "commit", committing)
    threading.excepthook = ended
    try:
        yield done
    finally:
        threading.excepthook = hook
        event.remove(Engine, "before_cursor_execute", executing)
        event.remove(Engine, "commit", committing)


@contextmanager
def small_batches(*names: str, rows: int = 7) -> Iterator[None]:
    """Write so few rows by one statement."""
    before = {each: (WAREHOUSES[each].published_rows, WAREHOUSES[each].staged_rows) for each in names}
    for each, (_, staged) in before.items():
        object.__setattr__(WAREHOUSES[each], "published_rows", rows)
        object.__setattr__(WAREHOUSES[each], "staged_rows", min(staged, max(rows // 3, 1)))
    try:
        yield
    finally:
        for each, (size, staged) in before.items():
            object.__setattr__(WAREHOUSES[each], "published_rows", size)
            object.__setattr__(WAREHOUSES[each], "staged_rows", staged)
