-- Other tables of calls than identifies and tracks may be streams. SQLite can only unlearn a CHECK in a new table: so `init` copies these
-- once, which takes a few seconds for each million calls.

DROP VIEW v1_runs;
DROP VIEW v1_rejections;
DROP VIEW v1_waiting;
DROP VIEW v1_attention;
DROP VIEW v1_customer_timeline;
DROP VIEW v1_freshness;
DROP VIEW v1_unsettled_by_day;

CREATE TABLE sync_state_of_streams (
    stream text NOT NULL,
    message_id text NOT NULL,
    user_id text,
    event text,
    received_at text,
    occurred_at text,
    status text NOT NULL CHECK (status IN ('sent', 'unchanged', 'merged', 'skipped', 'rejected', 'failed', 'waiting', 'in_doubt', 'sending')),
    reason text,
    detail text,
    http_status integer,
    attempts integer NOT NULL DEFAULT 0,
    payload_hash text,
    sent_as text,
    run_id text NOT NULL,
    first_seen_at text NOT NULL,
    settled_at text,
    source text NOT NULL DEFAULT :'source',
    PRIMARY KEY (stream, message_id)
);
INSERT INTO sync_state_of_streams (stream, message_id, user_id, event, received_at, occurred_at, status, reason, detail, http_status,
    attempts, payload_hash, sent_as, run_id, first_seen_at, settled_at, source)
SELECT stream, message_id, user_id, event, received_at, occurred_at, status, reason, detail, http_status,
    attempts, payload_hash, sent_as, run_id, first_seen_at, settled_at, source
FROM sync_state ORDER BY rowid;
DROP TABLE sync_state;
ALTER TABLE sync_state_of_streams RENAME TO sync_state;

CREATE INDEX sync_state_by_user ON sync_state (user_id, occurred_at);
CREATE INDEX sync_state_by_run ON sync_state (run_id, status);
CREATE INDEX sync_state_by_time ON sync_state (stream, received_at, message_id);
CREATE INDEX sync_state_unsettled ON sync_state (status, stream, occurred_at, message_id) WHERE status IN ('failed', 'in_doubt', 'sending');
CREATE INDEX sync_state_waiting ON sync_state (status, stream, occurred_at, message_id) WHERE status = 'waiting';
CREATE INDEX sync_rejections_by_time ON sync_state (settled_at) WHERE status = 'rejected';

CREATE TABLE sync_watermarks_of_streams (
    run_id text NOT NULL REFERENCES sync_runs (run_id),
    stream text NOT NULL,
    low_at text,
    high_at text,
    rows_new integer NOT NULL,
    recorded_at text NOT NULL,
    source text NOT NULL DEFAULT :'source',
    PRIMARY KEY (run_id, source, stream)
);
INSERT INTO sync_watermarks_of_streams (run_id, stream, low_at, high_at, rows_new, recorded_at, source)
SELECT run_id, stream, low_at, high_at, rows_new, recorded_at, source FROM sync_watermarks ORDER BY rowid;
DROP TABLE sync_watermarks;
ALTER TABLE sync_watermarks_of_streams RENAME TO sync_watermarks;
CREATE INDEX sync_watermarks_by_source ON sync_watermarks (source, stream, high_at);

CREATE TABLE sync_periods_of_streams (
    period_id text PRIMARY KEY,
    source text NOT NULL,
    stream text NOT NULL,
    since_at text,
    until_at text NOT NULL,
    done_to text,
    opened_by text NOT NULL REFERENCES sync_runs (run_id),
    closed_at text,
    closed_by text
);
INSERT INTO sync_periods_of_streams (period_id, source, stream, since_at, until_at, done_to, opened_by, closed_at, closed_by)
SELECT period_id, source, stream, since_at, until_at, done_to, opened_by, closed_at, closed_by FROM sync_periods ORDER BY rowid;
DROP TABLE sync_periods;
ALTER TABLE sync_periods_of_streams RENAME TO sync_periods;
CREATE INDEX sync_periods_open ON sync_periods (opened_by) WHERE closed_at IS NULL;

CREATE VIEW v1_runs AS
SELECT run_id, trigger,
    CASE WHEN status = 'running' AND coalesce((
        SELECT lease.expires_at FROM sync_lease AS lease WHERE lease.name = 'run' AND lease.run_id = sync_runs.run_id
    ), '') <= strftime('%Y-%m-%dT%H:%M:%f000Z', 'now') THEN 'crashed' ELSE status END AS status,
    since_at, until_at, started_at, finished_at, rows_read, sent, unchanged, merged, rejected, failed,
    in_doubt, requests, error, version,
    ((strftime('%s', substr(finished_at, 1, 19)) - strftime('%s', substr(started_at, 1, 19))) * 1000000
        + substr(finished_at, 21, 6) - substr(started_at, 21, 6)) / 1000000.0 AS duration_s,
    waiting, skipped, kind,
    (SELECT count(1) FROM sync_periods AS p WHERE p.opened_by = sync_runs.run_id AND p.closed_at IS NULL) AS open_periods
FROM sync_runs;

CREATE VIEW v1_rejections AS
SELECT stream, message_id, user_id, event, received_at, occurred_at, reason, detail, http_status, run_id, settled_at, source
FROM sync_state WHERE status = 'rejected';

CREATE VIEW v1_waiting AS
SELECT stream, message_id, user_id, event, received_at, occurred_at, reason, detail, attempts, run_id, first_seen_at,
    strftime('%Y-%m-%dT%H:%M:%S', substr(first_seen_at, 1, 19), '+' || (
        SELECT newest.properties_wait_s FROM sync_runs AS newest
        WHERE newest.properties_wait_s IS NOT NULL ORDER BY newest.started_at DESC LIMIT 1
    ) || ' seconds') || substr(first_seen_at, 20) AS overdue_at, source
FROM sync_state WHERE status = 'waiting';

CREATE VIEW v1_attention AS
SELECT stream, message_id, user_id, event, received_at, occurred_at, status, reason, detail, http_status, attempts, run_id, first_seen_at,
    source
FROM sync_state
WHERE status IN ('failed', 'in_doubt', 'sending')
    OR (status = 'waiting' AND strftime('%Y-%m-%dT%H:%M:%S', substr(first_seen_at, 1, 19), '+' || (
        SELECT newest.properties_wait_s FROM sync_runs AS newest
        WHERE newest.properties_wait_s IS NOT NULL ORDER BY newest.started_at DESC LIMIT 1
    ) || ' seconds') || substr(first_seen_at, 20) <= strftime('%Y-%m-%dT%H:%M:%f000Z', 'now'));

CREATE VIEW v1_customer_timeline AS
SELECT s.user_id, s.occurred_at, s.stream, s.event, s.message_id, s.status, s.reason, s.detail, s.http_status, s.attempts, s.sent_as,
    s.received_at, s.first_seen_at, s.settled_at, s.run_id, c.referral_code, s.source
FROM sync_state AS s LEFT JOIN sync_customers AS c ON c.source_id = s.user_id
WHERE s.user_id IS NOT NULL;

CREATE VIEW v1_freshness AS
SELECT w.stream, max(w.high_at) AS watermark_at, max(w.recorded_at) AS last_run_at, count(1) AS runs,
    strftime('%s', 'now') - strftime('%s', substr(max(w.high_at), 1, 19)) AS lag_s, w.source
FROM sync_watermarks AS w GROUP BY w.source, w.stream;

CREATE VIEW v1_unsettled_by_day AS
SELECT substr(received_at, 1, 10) AS day, stream, event, status, reason, count(1) AS calls, source
FROM sync_state WHERE status IN ('failed', 'in_doubt', 'sending') OR status = 'waiting'
GROUP BY substr(received_at, 1, 10), stream, event, status, reason, source;
