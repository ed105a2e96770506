-- The sync-state tables. Times are UTC; the data dictionary is in sql/README.md.

CREATE TABLE sync_runs (
    run_id text PRIMARY KEY,
    trigger text NOT NULL CHECK (trigger IN ('cli', 'airflow', 'demo')),
    status text NOT NULL CHECK (status IN ('running', 'succeeded', 'attention', 'stopped', 'crashed', 'interrupted')),
    since_at timestamptz,
    until_at timestamptz,
    started_at timestamptz NOT NULL,
    finished_at timestamptz,
    rows_read bigint NOT NULL DEFAULT 0,
    sent bigint NOT NULL DEFAULT 0,
    rejected bigint NOT NULL DEFAULT 0,
    failed bigint NOT NULL DEFAULT 0,
    in_doubt bigint NOT NULL DEFAULT 0,
    unchanged bigint NOT NULL DEFAULT 0,
    merged bigint NOT NULL DEFAULT 0,
    requests bigint NOT NULL DEFAULT 0,
    error text,
    version text NOT NULL
);
CREATE INDEX sync_runs_by_start ON sync_runs (started_at);

CREATE TABLE sync_watermarks (
    run_id text NOT NULL REFERENCES sync_runs (run_id),
    stream text NOT NULL CHECK (stream IN ('identifies', 'tracks')),
    low_at timestamptz,
    high_at timestamptz,
    rows_new bigint NOT NULL,
    recorded_at timestamptz NOT NULL,
    PRIMARY KEY (run_id, stream)
);
CREATE INDEX sync_watermarks_by_stream ON sync_watermarks (stream, high_at);

CREATE TABLE sync_state (
    stream text NOT NULL CHECK (stream IN ('identifies', 'tracks')),
    message_id text NOT NULL,
    user_id text,
    event text,
    received_at timestamptz,
    occurred_at timestamptz,
    status text NOT NULL CHECK (status IN ('sent', 'unchanged', 'merged', 'rejected', 'failed', 'in_doubt', 'sending')),
    reason text,
    detail text,
    http_status integer,
    attempts integer NOT NULL DEFAULT 0,
    payload_hash text,
    sent_as text,
    run_id text NOT NULL,
    first_seen_at timestamptz NOT NULL,
    settled_at timestamptz,
    PRIMARY KEY (stream, message_id)
);
CREATE INDEX sync_state_by_user ON sync_state (user_id, occurred_at);
CREATE INDEX sync_state_by_run ON sync_state (run_id, status);
CREATE INDEX sync_state_unsettled ON sync_state (status, stream, occurred_at, message_id) WHERE status IN ('failed', 'in_doubt', 'sending');

CREATE TABLE sync_customers (
    source_id text PRIMARY KEY,
    referral_code text UNIQUE,
    accepted_code text,
    trait_hashes text,
    first_sent_at timestamptz,
    last_sent_at timestamptz,
    last_message_id text
);

CREATE TABLE sync_lease (
    name text PRIMARY KEY,
    owner text,
    run_id text,
    fence bigint NOT NULL,
    expires_at timestamptz NOT NULL
);

CREATE VIEW v1_runs AS
SELECT run_id, trigger, status, since_at, until_at, started_at, finished_at, rows_read, sent, unchanged, merged, rejected, failed,
    in_doubt, requests, error, version
FROM sync_runs;

CREATE VIEW v1_rejections AS
SELECT stream, message_id, user_id, event, received_at, occurred_at, reason, detail, http_status, run_id, settled_at
FROM sync_state WHERE status = 'rejected';

CREATE VIEW v1_attention AS
SELECT stream, message_id, user_id, event, received_at, occurred_at, status, reason, detail, http_status, attempts, run_id, first_seen_at
FROM sync_state WHERE status IN ('failed', 'in_doubt', 'sending');

CREATE VIEW v1_customer_timeline AS
SELECT s.user_id, s.occurred_at, s.stream, s.event, s.message_id, s.status, s.reason, s.detail, s.http_status, s.attempts, s.sent_as,
    s.received_at, s.first_seen_at, s.settled_at, s.run_id, c.referral_code
FROM sync_state AS s LEFT JOIN sync_customers AS c ON c.source_id = s.user_id
WHERE s.user_id IS NOT NULL;

CREATE VIEW v1_freshness AS
SELECT w.stream, max(w.high_at) AS watermark_at, max(w.recorded_at) AS last_run_at, count(*) AS runs
FROM sync_watermarks AS w GROUP BY w.stream;

CREATE VIEW v1_unsettled_by_day AS
SELECT CAST(received_at AT TIME ZONE 'UTC' AS date) AS day, stream, event, status, reason, count(*) AS calls
FROM sync_state WHERE status IN ('failed', 'in_doubt', 'sending')
GROUP BY CAST(received_at AT TIME ZONE 'UTC' AS date), stream, event, status, reason;
