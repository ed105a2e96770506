"""Sync-state tables with a past: weeks of runs and calls, made from a seed, the same on each machine and each database.

`HISTORIES` names the states a report must show well. Counts of runs follow from the calls they decided.
"""

import random
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from sqlalchemy import Connection, create_engine, text

from rehook_sync.database.engine import open_database, utc_text
from rehook_sync.state.migrations import upgrade

__all__ = ["HISTORIES", "NOW", "History", "make_history", "write_history"]

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
HISTORIES = ("empty", "healthy", "trouble", "sources")
_DAYS = 42
_EVERY = timedelta(hours=3)
_EVENTS = {"Product Viewed": 50, "Product Added": 20, "Order Completed": 9, "signup": 5, "Newsletter Subscribed": 4, "Review Written": 2}
_FATES = {"sent": 860, "anonymous_id_present": 50, "missing_user_id": 24, "missing_referral_code": 5, "refused_by_rehook": 2}
_IDENTIFY_FATES = {"sent": 600, "merged": 220, "unchanged": 150, "referral_code_taken": 12, "anonymous_id_present": 18}
_COUNTS = ("sent", "unchanged", "merged", "rejected", "failed", "waiting", "in_doubt")
Row = dict[str, object]


@dataclass
class History:
    """Rows of three sync-state tables. Units:  times are aware UTC."""

    runs: list[Row] = field(default_factory=list)
    watermarks: list[Row] = field(default_factory=list)
    calls: list[Row] = field(default_factory=list)


def make_history(kind: str) -> History:
    """Make the past of one of `HISTORIES`."""
    history = History()
    if kind != "empty":
        _fill(history, random.Random(20261123), trouble=kind == "trouble")
    if kind == "sources":
        _divide(history, random.Random(20261124))
    return history


def _divide(history: History, rng: random.Random) -> None:
    """Make it the past of two sources, with a night without runs, two runs by hand, anonymous calls, and events that wait."""
    began = {each["run_id"]: each["started_at"] for each in history.runs}
    silent = {name for name, at in began.items() if timedelta(hours=20) < NOW - at < timedelta(hours=40)}  # type: ignore[operator]
    history.runs = [each for each in history.runs if each["run_id"] not in silent]
    history.calls = [each for each in history.calls if each["run_id"] not in silent]
    marks = [each for each in history.watermarks if each["run_id"] not in silent]
    history.watermarks = [{**each, "source": source} for each in marks for source in ("ios_prod", "web_prod")]
    for place, kind in ((-9, "retry"), (-5, "revalidate")):
        history.runs[place] = {**history.runs[place], "kind": kind, "trigger": "cli"}
    for call in history.calls:
        call["source"] = rng.choice(("ios_prod", "web_prod", "web_prod"))
        if call["status"] == "sent" and call["event"] and call["source"] == "web_prod" and rng.random() < 0.6:
            call.update(status="rejected", reason="anonymous_id_present", http_status=None, attempts=0)
    waiting = {"status": "waiting", "reason": "properties_not_loaded", "settled_at": None, "http_status": None, "attempts": 0}
    for call in [each for each in history.calls if each["run_id"] == history.runs[-1]["run_id"] and each["event"]][:9]:
        slug = str(call["event"]).lower().replace(" ", "_")
        call.update(waiting, detail=f"there is no table '{slug}' yet")
    by_run: dict[object, Counter[str]] = defaultdict(Counter)
    for call in history.calls:
        by_run[call["run_id"]][str(call["status"])] += 1
    history.runs = [{**each, **{name: by_run[each["run_id"]][name] for name in _COUNTS}} for each in history.runs]


def _fill(history: History, rng: random.Random, *, trouble: bool) -> None:
    began = NOW - timedelta(days=_DAYS)
    starts = [began + _EVERY * place + timedelta(minutes=7) for place in range(int(timedelta(days=_DAYS) / _EVERY))]
    names = [f"{start:%Y%m%dT%H%M%SZ}-{rng.getrandbits(32):08x}" for start in starts]
    stopped = len(starts) - 6 if trouble else len(starts)
    by_run: dict[str, Counter[str]] = defaultdict(Counter)
    for place, (start, name) in enumerate(zip(starts[:stopped], names, strict=False)):
        for call in _calls(rng, start, is_bad=trouble and place >= stopped - 4):
            history.calls.append({**call, "run_id": name})
            by_run[name][str(call["status"])] += 1
    for place, (start, name) in enumerate(zip(starts, names, strict=True)):
        status = "stopped" if place >= stopped else "attention" if by_run[name]["failed"] + by_run[name]["in_doubt"] else "succeeded"
        history.runs.append(_run(name, start, status, by_run[name]))
        for stream, behind in (("identifies", timedelta(minutes=rng.randint(9, 50))), ("tracks", timedelta(minutes=rng.randint(2, 20)))):
            high_at = starts[min(place, stopped - 1)] - behind
            recorded = {"source": "shop", "low_at": began, "high_at": high_at, "rows_new": 0, "recorded_at": start + timedelta(minutes=2)}
            history.watermarks.append({"run_id": name, "stream": stream, **recorded})


def _run(name: str, start: datetime, status: str, counts: Mapping[str, int]) -> Row:
    stopped = status == "stopped"
    return {
        "run_id": name,
        "trigger": "airflow",
        "kind": "run",
        "status": status,
        "started_at": start,
        "finished_at": start + timedelta(minutes=2),
        "rows_read": sum(counts.values()),
        **{name: counts.get(name, 0) for name in _COUNTS},
        "requests": 1 if stopped else sum(counts.values()),
        "error": "the Rehook API does not work: HTTP 503; run again when it is up: no row was marked for it" if stopped else None,
        "version": "0.3.0",
    }


def _calls(rng: random.Random, start: datetime, *, is_bad: bool) -> Iterable[Row]:
    busy = 1.5 if 12 <= start.hour <= 21 else 0.6
    busy *= 0.7 if start.weekday() >= 5 else 1.0
    for _ in range(int(rng.gauss(24, 5) * busy)):
        is_track = rng.random() < 0.78
        event = rng.choices(list(_EVENTS), list(_EVENTS.values()))[0] if is_track else None
        fates = _FATES if is_track else _IDENTIFY_FATES
        fate = rng.choices(list(fates), list(fates.values()))[0]
        if is_bad and fate == "sent" and rng.random() < 0.2:
            fate = rng.choice(["timeout", "connection_lost", "server_error", "blocked_by_earlier"] if is_track else ["server_error"])
        yield _call(rng, start, event, fate)


def _call(rng: random.Random, start: datetime, event: str | None, fate: str) -> Row:
    doubtful = {"timeout", "connection_lost"}
    failed = {"server_error", "blocked_by_earlier"}
    plain = {"sent", "merged", "unchanged"}
    status = fate if fate in plain else "in_doubt" if fate in doubtful else "failed" if fate in failed else "rejected"
    took = timedelta(seconds=rng.lognormvariate(8.2, 0.9) * (3 if event == "Review Written" else 1))
    settled_at = start + timedelta(seconds=rng.uniform(5, 110))
    message_id = f"{rng.getrandbits(128):032x}"
    return {
        "source": "shop",
        "stream": "tracks" if event else "identifies",
        "message_id": "-".join((message_id[:8], message_id[8:12], message_id[12:16], message_id[16:20], message_id[20:])),
        "user_id": None if fate == "missing_user_id" else f"user_{rng.randint(1, 900):05d}",
        "event": event,
        "received_at": settled_at - took,
        "occurred_at": settled_at - took - timedelta(seconds=2),
        "status": status,
        "reason": None if fate in plain else fate,
        "detail": "owned by user user_00001" if fate == "referral_code_taken" else None,
        "http_status": {"sent": 201, "refused_by_rehook": 422, "server_error": 503}.get(fate),
        "attempts": 1 if status in {"sent", "in_doubt", "failed"} else 0,
        "first_seen_at": settled_at,
        "settled_at": None if status in {"failed", "in_doubt"} else settled_at,
    }


def write_history(url: str, history: History, schema: str | None = "rehook_sync") -> None:
    """Create the sync-state tables in a database and put a past into them."""
    database = open_database(url, "STATE_URL", may_create=True, search_path=schema)
    upgrade(database, schema)
    database.close()
    engine = create_engine(url)
    is_sqlite = engine.dialect.name == "sqlite"
    with engine.begin() as connection:
        for table, rows in (("sync_runs", history.runs), ("sync_watermarks", history.watermarks), ("sync_state", history.calls)):
            _insert(connection, table if is_sqlite or not schema else f"{schema}.{table}", rows, as_text=is_sqlite)
    engine.dispose()


def _insert(connection: Connection, table: str, rows: list[Row], *, as_text: bool) -> None:
    if not rows:
        return
    names = list(rows[0])
    stored = [{name: utc_text(value) if as_text and isinstance(value, datetime) else value for name, value in row.items()} for row in rows]
    connection.execute(text(f"INSERT INTO {table} ({', '.join(names)}) VALUES ({', '.join(f':{name}' for name in names)})"), stored)
