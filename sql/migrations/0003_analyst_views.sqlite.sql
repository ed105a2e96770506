-- Two columns more for the views: how long a run took, how old a watermark is. SQLite keeps no comments: they are in PostgreSQL only.
-- count(1) where one would write count(*): DuckDB, attached to this file, hands a view back to SQLite in its own words, and its
-- word for the latter is unknown there.

CREATE INDEX sync_rejections_by_time ON sync_state (settled_at) WHERE status = 'rejected';

DROP VIEW v1_runs;
CREATE VIEW v1_runs AS
SELECT run_id, trigger, status, since_at, until_at, started_at, finished_at, rows_read, sent, unchanged, merged, rejected, failed,
    in_doubt, requests, error, version,
    ((strftime('%s', substr(finished_at, 1, 19)) - strftime('%s', substr(started_at, 1, 19))) * 1000000
        + substr(finished_at, 21, 6) - substr(started_at, 21, 6)) / 1000000.0 AS duration_s
FROM sync_runs;

DROP VIEW v1_freshness;
CREATE VIEW v1_freshness AS
SELECT w.stream, max(w.high_at) AS watermark_at, max(w.recorded_at) AS last_run_at, count(1) AS runs,
    strftime('%s', 'now') - strftime('%s', substr(max(w.high_at), 1, 19)) AS lag_s
FROM sync_watermarks AS w GROUP BY w.stream;

DROP VIEW v1_unsettled_by_day;
CREATE VIEW v1_unsettled_by_day AS
SELECT substr(received_at, 1, 10) AS day, stream, event, status, reason, count(1) AS calls
FROM sync_state WHERE status IN ('failed', 'in_doubt', 'sending')
GROUP BY substr(received_at, 1, 10), stream, event, status, reason;
