-- The rows of the copy: each statement writes a batch, and changes nothing when it is repeated.

-- name: put_calls
-- does: writes calls
-- identifiers: table
-- words: rows, text_type, time_type
-- SQLite needs WHERE between a SELECT and ON CONFLICT.
INSERT INTO :"table" (stream, message_id, user_id, event, received_at, occurred_at, status, reason, detail, http_status, attempts, sent_as,
    run_id, first_seen_at, settled_at, source)
SELECT r.value ->> 'stream', r.value ->> 'message_id', r.value ->> 'user_id', r.value ->> 'event',
    CAST(r.value ->> 'received_at' AS {time_type}), CAST(r.value ->> 'occurred_at' AS {time_type}), r.value ->> 'status',
    r.value ->> 'reason', r.value ->> 'detail', CAST(r.value ->> 'http_status' AS integer), CAST(r.value ->> 'attempts' AS integer),
    r.value ->> 'sent_as', r.value ->> 'run_id', CAST(r.value ->> 'first_seen_at' AS {time_type}),
    CAST(r.value ->> 'settled_at' AS {time_type}), CAST(r.value ->> 'source' AS {text_type})
FROM {rows: :rows} AS r WHERE true
ON CONFLICT (stream, message_id) DO UPDATE
    SET user_id = excluded.user_id, event = excluded.event, received_at = excluded.received_at, occurred_at = excluded.occurred_at,
        status = excluded.status, reason = excluded.reason, detail = excluded.detail, http_status = excluded.http_status,
        attempts = excluded.attempts, sent_as = excluded.sent_as, run_id = excluded.run_id, first_seen_at = excluded.first_seen_at,
        settled_at = excluded.settled_at, source = excluded.source;

-- name: put_customers
-- does: writes customers
-- identifiers: table
-- words: rows, time_type
INSERT INTO :"table" (source_id, referral_code, accepted_code, first_sent_at, last_sent_at, last_message_id, refreshed_by,
    code_carried_at)
SELECT r.value ->> 'source_id', r.value ->> 'referral_code', r.value ->> 'accepted_code', CAST(r.value ->> 'first_sent_at' AS {time_type}),
    CAST(r.value ->> 'last_sent_at' AS {time_type}), r.value ->> 'last_message_id', r.value ->> 'refreshed_by',
    CAST(r.value ->> 'code_carried_at' AS {time_type})
FROM {rows: :rows} AS r WHERE true
ON CONFLICT (source_id) DO UPDATE
    SET referral_code = excluded.referral_code, accepted_code = excluded.accepted_code, first_sent_at = excluded.first_sent_at,
        last_sent_at = excluded.last_sent_at, last_message_id = excluded.last_message_id, refreshed_by = excluded.refreshed_by,
        code_carried_at = excluded.code_carried_at;

-- name: put_runs
-- does: writes runs
-- identifiers: table, trigger
-- words: rows, time_type
INSERT INTO :"table" (run_id, :"trigger", status, since_at, until_at, started_at, finished_at, rows_read, sent, rejected, failed, in_doubt,
    unchanged, merged, requests, error, version, waiting, properties_wait_s, skipped, kind, settings, open_periods)
SELECT r.value ->> 'run_id', r.value ->> 'trigger', r.value ->> 'status', CAST(r.value ->> 'since_at' AS {time_type}),
    CAST(r.value ->> 'until_at' AS {time_type}), CAST(r.value ->> 'started_at' AS {time_type}),
    CAST(r.value ->> 'finished_at' AS {time_type}), CAST(r.value ->> 'rows_read' AS bigint), CAST(r.value ->> 'sent' AS bigint),
    CAST(r.value ->> 'rejected' AS bigint), CAST(r.value ->> 'failed' AS bigint), CAST(r.value ->> 'in_doubt' AS bigint),
    CAST(r.value ->> 'unchanged' AS bigint), CAST(r.value ->> 'merged' AS bigint), CAST(r.value ->> 'requests' AS bigint),
    r.value ->> 'error', r.value ->> 'version', CAST(r.value ->> 'waiting' AS bigint), CAST(r.value ->> 'properties_wait_s' AS bigint),
    CAST(r.value ->> 'skipped' AS bigint), r.value ->> 'kind', r.value ->> 'settings', CAST(r.value ->> 'open_periods' AS bigint)
FROM {rows: :rows} AS r WHERE true
ON CONFLICT (run_id) DO UPDATE
    SET :"trigger" = excluded.:"trigger", status = excluded.status, since_at = excluded.since_at, until_at = excluded.until_at,
        started_at = excluded.started_at, finished_at = excluded.finished_at, rows_read = excluded.rows_read, sent = excluded.sent,
        rejected = excluded.rejected, failed = excluded.failed, in_doubt = excluded.in_doubt, unchanged = excluded.unchanged,
        merged = excluded.merged, requests = excluded.requests, error = excluded.error, version = excluded.version,
        waiting = excluded.waiting, properties_wait_s = excluded.properties_wait_s, skipped = excluded.skipped, kind = excluded.kind,
        settings = excluded.settings, open_periods = excluded.open_periods;

-- name: put_watermarks
-- does: writes watermarks
-- identifiers: table
-- words: rows, time_type
INSERT INTO :"table" (run_id, stream, low_at, high_at, rows_new, recorded_at, source, lacks_table)
SELECT r.value ->> 'run_id', r.value ->> 'stream', CAST(r.value ->> 'low_at' AS {time_type}), CAST(r.value ->> 'high_at' AS {time_type}),
    CAST(r.value ->> 'rows_new' AS bigint), CAST(r.value ->> 'recorded_at' AS {time_type}), r.value ->> 'source',
    r.value ->> 'lacks_table'
FROM {rows: :rows} AS r WHERE true
ON CONFLICT (run_id, source, stream) DO UPDATE
    SET low_at = excluded.low_at, high_at = excluded.high_at, rows_new = excluded.rows_new, recorded_at = excluded.recorded_at,
        lacks_table = excluded.lacks_table;

-- name: remove_calls
-- does: removes calls that are gone
-- identifiers: table
-- words: rows
DELETE FROM :"table" WHERE (stream, message_id) IN (SELECT r.value ->> 'stream', r.value ->> 'id' FROM {rows: :rows} AS r);

-- name: remove_customers
-- does: removes customers who were forgotten
-- identifiers: table
-- words: rows
DELETE FROM :"table" WHERE source_id IN (SELECT r.value ->> 'id' FROM {rows: :rows} AS r);

-- name: remove_runs
-- does: removes runs that were taken back
-- identifiers: table
-- words: rows
DELETE FROM :"table" WHERE run_id IN (SELECT r.value ->> 'id' FROM {rows: :rows} AS r);

-- name: put_calls
-- does: writes calls whose keys are not there
-- dialect: snowflake
-- identifiers: table
-- words: time_type
INSERT INTO :"table" (
    stream, message_id, user_id, event, received_at, occurred_at, status, reason, detail, http_status, attempts, sent_as, run_id,
    first_seen_at, settled_at, source
)
SELECT
    CAST(GET_PATH(r.value, 'stream') AS VARCHAR), CAST(GET_PATH(r.value, 'message_id') AS VARCHAR),
    CAST(GET_PATH(r.value, 'user_id') AS VARCHAR), CAST(GET_PATH(r.value, 'event') AS VARCHAR),
    CAST(CAST(GET_PATH(r.value, 'received_at') AS VARCHAR) AS {time_type}),
    CAST(CAST(GET_PATH(r.value, 'occurred_at') AS VARCHAR) AS {time_type}), CAST(GET_PATH(r.value, 'status') AS VARCHAR),
    CAST(GET_PATH(r.value, 'reason') AS VARCHAR), CAST(GET_PATH(r.value, 'detail') AS VARCHAR),
    CAST(CAST(GET_PATH(r.value, 'http_status') AS VARCHAR) AS integer), CAST(CAST(GET_PATH(r.value, 'attempts') AS VARCHAR) AS integer),
    CAST(GET_PATH(r.value, 'sent_as') AS VARCHAR), CAST(GET_PATH(r.value, 'run_id') AS VARCHAR),
    CAST(CAST(GET_PATH(r.value, 'first_seen_at') AS VARCHAR) AS {time_type}),
    CAST(CAST(GET_PATH(r.value, 'settled_at') AS VARCHAR) AS {time_type}), CAST(GET_PATH(r.value, 'source') AS VARCHAR)
FROM TABLE(FLATTEN(INPUT => PARSE_JSON(:rows))) AS r;

-- name: put_customers
-- does: writes customers whose keys are not there
-- dialect: snowflake
-- identifiers: table
-- words: time_type
INSERT INTO :"table" (
    source_id, referral_code, accepted_code, first_sent_at, last_sent_at, last_message_id, refreshed_by, code_carried_at
)
SELECT
    CAST(GET_PATH(r.value, 'source_id') AS VARCHAR), CAST(GET_PATH(r.value, 'referral_code') AS VARCHAR),
    CAST(GET_PATH(r.value, 'accepted_code') AS VARCHAR), CAST(CAST(GET_PATH(r.value, 'first_sent_at') AS VARCHAR) AS {time_type}),
    CAST(CAST(GET_PATH(r.value, 'last_sent_at') AS VARCHAR) AS {time_type}), CAST(GET_PATH(r.value, 'last_message_id') AS VARCHAR),
    CAST(GET_PATH(r.value, 'refreshed_by') AS VARCHAR), CAST(CAST(GET_PATH(r.value, 'code_carried_at') AS VARCHAR) AS {time_type})
FROM TABLE(FLATTEN(INPUT => PARSE_JSON(:rows))) AS r;

-- name: put_runs
-- does: writes runs whose keys are not there
-- dialect: snowflake
-- identifiers: table, trigger
-- words: time_type
INSERT INTO :"table" (
    run_id, :"trigger", status, since_at, until_at, started_at, finished_at, rows_read, sent, rejected, failed, in_doubt, unchanged,
    merged, requests, error, version, waiting, properties_wait_s, skipped, kind, settings, open_periods
)
SELECT
    CAST(GET_PATH(r.value, 'run_id') AS VARCHAR), CAST(GET_PATH(r.value, 'trigger') AS VARCHAR),
    CAST(GET_PATH(r.value, 'status') AS VARCHAR), CAST(CAST(GET_PATH(r.value, 'since_at') AS VARCHAR) AS {time_type}),
    CAST(CAST(GET_PATH(r.value, 'until_at') AS VARCHAR) AS {time_type}),
    CAST(CAST(GET_PATH(r.value, 'started_at') AS VARCHAR) AS {time_type}),
    CAST(CAST(GET_PATH(r.value, 'finished_at') AS VARCHAR) AS {time_type}),
    CAST(CAST(GET_PATH(r.value, 'rows_read') AS VARCHAR) AS bigint), CAST(CAST(GET_PATH(r.value, 'sent') AS VARCHAR) AS bigint),
    CAST(CAST(GET_PATH(r.value, 'rejected') AS VARCHAR) AS bigint), CAST(CAST(GET_PATH(r.value, 'failed') AS VARCHAR) AS bigint),
    CAST(CAST(GET_PATH(r.value, 'in_doubt') AS VARCHAR) AS bigint), CAST(CAST(GET_PATH(r.value, 'unchanged') AS VARCHAR) AS bigint),
    CAST(CAST(GET_PATH(r.value, 'merged') AS VARCHAR) AS bigint), CAST(CAST(GET_PATH(r.value, 'requests') AS VARCHAR) AS bigint),
    CAST(GET_PATH(r.value, 'error') AS VARCHAR), CAST(GET_PATH(r.value, 'version') AS VARCHAR),
    CAST(CAST(GET_PATH(r.value, 'waiting') AS VARCHAR) AS bigint),
    CAST(CAST(GET_PATH(r.value, 'properties_wait_s') AS VARCHAR) AS bigint),
    CAST(CAST(GET_PATH(r.value, 'skipped') AS VARCHAR) AS bigint), CAST(GET_PATH(r.value, 'kind') AS VARCHAR),
    CAST(GET_PATH(r.value, 'settings') AS VARCHAR), CAST(CAST(GET_PATH(r.value, 'open_periods') AS VARCHAR) AS bigint)
FROM TABLE(FLATTEN(INPUT => PARSE_JSON(:rows))) AS r;

-- name: put_watermarks
-- does: writes watermarks whose keys are not there
-- dialect: snowflake
-- identifiers: table
-- words: time_type
INSERT INTO :"table" (
    run_id, stream, low_at, high_at, rows_new, recorded_at, source, lacks_table
)
SELECT
    CAST(GET_PATH(r.value, 'run_id') AS VARCHAR), CAST(GET_PATH(r.value, 'stream') AS VARCHAR),
    CAST(CAST(GET_PATH(r.value, 'low_at') AS VARCHAR) AS {time_type}), CAST(CAST(GET_PATH(r.value, 'high_at') AS VARCHAR) AS {time_type}),
    CAST(CAST(GET_PATH(r.value, 'rows_new') AS VARCHAR) AS bigint),
    CAST(CAST(GET_PATH(r.value, 'recorded_at') AS VARCHAR) AS {time_type}), CAST(GET_PATH(r.value, 'source') AS VARCHAR),
    CAST(GET_PATH(r.value, 'lacks_table') AS VARCHAR)
FROM TABLE(FLATTEN(INPUT => PARSE_JSON(:rows))) AS r;

-- name: remove_calls
-- does: removes these calls
-- dialect: snowflake
-- identifiers: table
DELETE FROM :"table" WHERE (stream, message_id) IN (
    SELECT CAST(GET_PATH(r.value, 'stream') AS VARCHAR), CAST(GET_PATH(r.value, 'id') AS VARCHAR) FROM TABLE(FLATTEN(INPUT => PARSE_JSON(:rows))) AS r
);

-- name: remove_customers
-- does: removes these customers
-- dialect: snowflake
-- identifiers: table
DELETE FROM :"table" WHERE source_id IN (
    SELECT CAST(GET_PATH(r.value, 'id') AS VARCHAR) FROM TABLE(FLATTEN(INPUT => PARSE_JSON(:rows))) AS r
);

-- name: remove_runs
-- does: removes these runs
-- dialect: snowflake
-- identifiers: table
DELETE FROM :"table" WHERE run_id IN (
    SELECT CAST(GET_PATH(r.value, 'id') AS VARCHAR) FROM TABLE(FLATTEN(INPUT => PARSE_JSON(:rows))) AS r
);

-- name: remove_watermarks
-- does: removes these watermarks
-- dialect: snowflake
-- identifiers: table
DELETE FROM :"table" WHERE (run_id, source, stream) IN (
    SELECT CAST(GET_PATH(r.value, 'run_id') AS VARCHAR), CAST(GET_PATH(r.value, 'source') AS VARCHAR), CAST(GET_PATH(r.value, 'stream') AS VARCHAR) FROM TABLE(FLATTEN(INPUT => PARSE_JSON(:rows))) AS r
);
