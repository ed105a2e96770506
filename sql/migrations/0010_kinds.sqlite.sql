-- What a run was for, and calls that were settled elsewhere: a status that SQLite can only learn in a new table.
-- Before this, the id of a run said what it was for.

ALTER TABLE sync_runs ADD COLUMN skipped integer NOT NULL DEFAULT 0;
ALTER TABLE sync_runs ADD COLUMN kind text NOT NULL DEFAULT 'run'
    CHECK (kind IN ('run', 'retry', 'resend', 'accept', 'revalidate', 'refresh', 'baseline', 'prune', 'forget'));
UPDATE sync_runs SET kind = CASE
    WHEN run_id LIKE '%-retry-%' THEN 'retry' WHEN run_id LIKE '%-resend-%' THEN 'resend' WHEN run_id LIKE '%-accept-%' THEN 'accept'
    WHEN run_id LIKE '%-revalidate-%' THEN 'revalidate' WHEN run_id LIKE '%-prune-%' THEN 'prune' WHEN run_id LIKE '%-forget-%' THEN 'forget'
    ELSE 'run' END;

DROP VIEW v1_runs;
DROP VIEW v1_rejections;
DROP VIEW v1_waiting;
DROP VIEW v1_attention;
DROP VIEW v1_customer_timeline;
DROP VIEW v1_unsettled_by_day;

CREATE TABLE sync_state_with_skipped (
    stream text NOT NULL CHECK (stream IN ('identifies', 'tracks')),
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
    PRIMARY KEY (stream, message_id)
);
INSERT INTO sync_state_with_skipped (stream, message_id, user_id, event, received_at, occurred_at, status, reason, detail, http_status,
    attempts, payload_hash, sent_as, run_id, first_seen_at, settled_at)
SELECT stream, message_id, user_id, event, received_at, occurred_at, status, reason, detail, http_status,
    attempts, payload_hash, sent_as, run_id, first_seen_at, settled_at
FROM sync_state ORDER BY rowid;
DROP TABLE sync_state;
ALTER TABLE sync_state_with_skipped RENAME TO sync_state;

CREATE INDEX sync_state_by_user ON sync_state (user_id, occurred_at);
CREATE INDEX sync_state_by_run ON sync_state (run_id, status);
CREATE INDEX sync_state_by_time ON sync_state (stream, received_at, message_id);
CREATE INDEX sync_state_unsettled ON sync_state (status, stream, occurred_at, message_id) WHERE status IN ('failed', 'in_doubt', 'sending');
CREATE INDEX sync_state_waiting ON sync_state (status, stream, occurred_at, message_id) WHERE status = 'waiting';
CREATE INDEX sync_rejections_by_time ON sync_state (settled_at) WHERE status = 'rejected';

CREATE VIEW v1_runs AS
SELECT run_id, trigger,
    CASE WHEN status = 'running' AND coalesce((
        SELECT lease.expires_at FROM sync_lease AS lease WHERE lease.name = 'run' AND lease.run_id = sync_runs.run_id
    ), '') <= strftime('%Y-%m-%dT%H:%M:%f000Z', 'now') THEN 'crashed' ELSE status END AS status,
    since_at, until_at, started_at, finished_at, rows_read, sent, unchanged, merged, rejected, failed,
    in_doubt, requests, error, version,
    ((strftime('%s', substr(finished_at, 1, 19)) - strftime('%s', substr(started_at, 1, 19))) * 1000000
        + substr(finished_at, 21, 6) - substr(started_at, 21, 6)) / 1000000.0 AS duration_s,
    waiting, skipped, kind
FROM sync_runs;

CREATE VIEW v1_rejections AS
SELECT stream, message_id, user_id, event, received_at, occurred_at, reason, detail, http_status, run_id, settled_at
FROM sync_state WHERE status = 'rejected';

CREATE VIEW v1_waiting AS
SELECT stream, message_id, user_id, event, received_at, occurred_at, reason, detail, attempts, run_id, first_seen_at,
    strftime('%Y-%m-%dT%H:%M:%S', substr(first_seen_at, 1, 19), '+' || (
        SELECT newest.properties_wait_s FROM sync_runs AS newest
        WHERE newest.properties_wait_s IS NOT NULL ORDER BY newest.started_at DESC LIMIT 1
    ) || ' seconds') || substr(first_seen_at, 20) AS overdue_at
FROM sync_state WHERE status = 'waiting';

CREATE VIEW v1_attention AS
SELECT stream, message_id, user_id, event, received_at, occurred_at, status, reason, detail, http_status, attempts, run_id, first_seen_at
FROM sync_state
WHERE status IN ('failed', 'in_doubt', 'sending')
    OR (status = 'waiting' AND strftime('%Y-%m-%dT%H:%M:%S', substr(first_seen_at, 1, 19), '+' || (
        SELECT newest.properties_wait_s FROM sync_runs AS newest
        WHERE newest.properties_wait_s IS NOT NULL ORDER BY newest.started_at DESC LIMIT 1
    ) || ' seconds') || substr(first_seen_at, 20) <= strftime('%Y-%m-%dT%H:%M:%f000Z', 'now'));

CREATE VIEW v1_customer_timeline AS
SELECT s.user_id, s.occurred_at, s.stream, s.event, s.message_id, s.status, s.reason, s.detail, s.http_status, s.attempts, s.sent_as,
    s.received_at, s.first_seen_at, s.settled_at, s.run_id, c.referral_code
FROM sync_state AS s LEFT JOIN sync_customers AS c ON c.source_id = s.user_id
WHERE s.user_id IS NOT NULL;

CREATE VIEW v1_unsettled_by_day AS
SELECT substr(received_at, 1, 10) AS day, stream, event, status, reason, count(1) AS calls
FROM sync_state WHERE status IN ('failed', 'in_doubt', 'sending') OR status = 'waiting'
GROUP BY substr(received_at, 1, 10), stream, event, status, reason;
