-- Which source each call, watermark and period is of. What earlier versions wrote is of the one source that they knew: `init` gives its
-- name for :'source', and a column that is added with a constant costs nothing, however many calls there are.

ALTER TABLE sync_state ADD COLUMN source text NOT NULL DEFAULT :'source';

DROP VIEW v1_freshness;
CREATE TABLE sync_watermarks_by_source (
    run_id text NOT NULL REFERENCES sync_runs (run_id),
    stream text NOT NULL CHECK (stream IN ('identifies', 'tracks')),
    low_at text,
    high_at text,
    rows_new integer NOT NULL,
    recorded_at text NOT NULL,
    source text NOT NULL DEFAULT :'source',
    PRIMARY KEY (run_id, source, stream)
);
INSERT INTO sync_watermarks_by_source (run_id, stream, low_at, high_at, rows_new, recorded_at)
SELECT run_id, stream, low_at, high_at, rows_new, recorded_at FROM sync_watermarks ORDER BY rowid;
DROP TABLE sync_watermarks;
ALTER TABLE sync_watermarks_by_source RENAME TO sync_watermarks;
CREATE INDEX sync_watermarks_by_source ON sync_watermarks (source, stream, high_at);
UPDATE sync_periods SET source = :'source';

DROP VIEW v1_rejections;
CREATE VIEW v1_rejections AS
SELECT stream, message_id, user_id, event, received_at, occurred_at, reason, detail, http_status, run_id, settled_at, source
FROM sync_state WHERE status = 'rejected';

DROP VIEW v1_waiting;
CREATE VIEW v1_waiting AS
SELECT stream, message_id, user_id, event, received_at, occurred_at, reason, detail, attempts, run_id, first_seen_at,
    strftime('%Y-%m-%dT%H:%M:%S', substr(first_seen_at, 1, 19), '+' || (
        SELECT newest.properties_wait_s FROM sync_runs AS newest
        WHERE newest.properties_wait_s IS NOT NULL ORDER BY newest.started_at DESC LIMIT 1
    ) || ' seconds') || substr(first_seen_at, 20) AS overdue_at, source
FROM sync_state WHERE status = 'waiting';

DROP VIEW v1_attention;
CREATE VIEW v1_attention AS
SELECT stream, message_id, user_id, event, received_at, occurred_at, status, reason, detail, http_status, attempts, run_id, first_seen_at,
    source
FROM sync_state
WHERE status IN ('failed', 'in_doubt', 'sending')
    OR (status = 'waiting' AND strftime('%Y-%m-%dT%H:%M:%S', substr(first_seen_at, 1, 19), '+' || (
        SELECT newest.properties_wait_s FROM sync_runs AS newest
        WHERE newest.properties_wait_s IS NOT NULL ORDER BY newest.started_at DESC LIMIT 1
    ) || ' seconds') || substr(first_seen_at, 20) <= strftime('%Y-%m-%dT%H:%M:%f000Z', 'now'));

DROP VIEW v1_customer_timeline;
CREATE VIEW v1_customer_timeline AS
SELECT s.user_id, s.occurred_at, s.stream, s.event, s.message_id, s.status, s.reason, s.detail, s.http_status, s.attempts, s.sent_as,
    s.received_at, s.first_seen_at, s.settled_at, s.run_id, c.referral_code, s.source
FROM sync_state AS s LEFT JOIN sync_customers AS c ON c.source_id = s.user_id
WHERE s.user_id IS NOT NULL;

CREATE VIEW v1_freshness AS
SELECT w.stream, max(w.high_at) AS watermark_at, max(w.recorded_at) AS last_run_at, count(1) AS runs,
    strftime('%s', 'now') - strftime('%s', substr(max(w.high_at), 1, 19)) AS lag_s, w.source
FROM sync_watermarks AS w GROUP BY w.source, w.stream;

DROP VIEW v1_unsettled_by_day;
CREATE VIEW v1_unsettled_by_day AS
SELECT substr(received_at, 1, 10) AS day, stream, event, status, reason, count(1) AS calls, source
FROM sync_state WHERE status IN ('failed', 'in_doubt', 'sending') OR status = 'waiting'
GROUP BY substr(received_at, 1, 10), stream, event, status, reason, source;
