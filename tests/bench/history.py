"""A long history that is settled: each call of a warehouse stands in `sync_state`, and the watermark is at the newest.

Filled by SQL inside the database, since ten million rows would take hours to send. Only the columns that the contract fixes are written.
"""

import sqlite3
from contextlib import closing
from typing import Any

import psycopg

__all__ = ["settle"]

_WHEN = "2026-11-01T00:00:00.000000Z"
_STATEMENTS = (
    "INSERT INTO {schema}sync_runs (run_id, trigger, status, started_at, finished_at, rows_read, sent, requests, version) "
    "SELECT 'history', 'cli', 'succeeded', {when}, {when}, count(*), count(*), count(*), '0' FROM {source}tracks",
    *(
        "INSERT INTO {schema}sync_state (stream, message_id, user_id, event, received_at, occurred_at, status, http_status, attempts, "
        "payload_hash, run_id, first_seen_at, settled_at) "
        f"SELECT '{stream}', id, user_id, {event}, received_at, timestamp, 'sent', 200, 1, id, 'history', received_at, received_at "
        f"FROM {{source}}{stream} ORDER BY id"
        for stream, event in (("identifies", "NULL"), ("tracks", "event_text"))
    ),
    "INSERT INTO {schema}sync_customers (source_id, referral_code, accepted_code, first_sent_at, last_sent_at, last_message_id) "
    "SELECT user_id, referral_code, referral_code, received_at, received_at, id FROM {source}identifies ORDER BY user_id",
    *(
        "INSERT INTO {schema}sync_watermarks (run_id, stream, low_at, high_at, rows_new, recorded_at) "
        f"SELECT 'history', '{stream}', NULL, max(received_at), count(*), {{when}} FROM {{source}}{stream}"
        for stream in ("identifies", "tracks")
    ),
)


def settle(url: str) -> None:
    """Record all calls of an initialised warehouse as sent. Indexes are made anew at the end, which is much faster."""
    if url.startswith("sqlite"):
        _settle_sqlite(url.removeprefix("sqlite:///"))
    else:
        _settle_postgres(url)


def _settle_sqlite(path: str) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        (journal,) = connection.execute("PRAGMA journal_mode").fetchone()
        connection.execute("PRAGMA journal_mode = DELETE")
        connection.execute("PRAGMA journal_mode = OFF")
        connection.execute("PRAGMA synchronous = OFF")
        connection.execute("PRAGMA cache_size = -500000")
        indexes = connection.execute("SELECT name, sql FROM sqlite_master WHERE type = 'index' AND tbl_name = 'sync_state' AND sql <> ''")
        _fill(connection, indexes.fetchall(), schema="", source="", when=f"'{_WHEN}'")
        connection.execute(f"PRAGMA journal_mode = {journal}")


def _settle_postgres(url: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("SET maintenance_work_mem = '256MB'")
        indexes = connection.execute(
            "SELECT 'rehook_sync.' || indexname, indexdef FROM pg_indexes "
            "WHERE schemaname = 'rehook_sync' AND tablename = 'sync_state' AND indexname NOT LIKE '%_pkey'"
        )
        _fill(connection, indexes.fetchall(), schema="rehook_sync.", source="public.", when=f"CAST('{_WHEN}' AS timestamptz)")
        connection.execute("VACUUM ANALYZE")
        connection.execute("CHECKPOINT")


def _fill(connection: Any, indexes: list[Any], **names: str) -> None:
    """Fill the tables while these indexes, by name and statement, are away."""
    for name, _ in indexes:
        connection.execute(f"DROP INDEX {name}")
    for statement in _STATEMENTS:
        connection.execute(statement.format(**names))
    for _, statement in indexes:
        connection.execute(statement)
