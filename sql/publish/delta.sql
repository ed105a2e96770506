-- The rows of the copy in tables of Delta: Databricks. A statement is a transaction of its own, and looks whether another publication has begun.

-- name: batch_of_calls
-- does: gives the rows of a batch of calls, and none once another publication has begun
-- dialect: databricks
-- identifiers: published
SELECT
    r.stream, r.message_id, r.user_id, r.event, CAST(r.received_at AS TIMESTAMP) AS received_at,
    CAST(r.occurred_at AS TIMESTAMP) AS occurred_at, r.status, r.reason, r.detail, r.http_status, r.attempts, r.sent_as, r.run_id,
    CAST(r.first_seen_at AS TIMESTAMP) AS first_seen_at, CAST(r.settled_at AS TIMESTAMP) AS settled_at, r.source
FROM (
    SELECT INLINE(FROM_JSON(
        :rows,
        'ARRAY<STRUCT<stream STRING, message_id STRING, user_id STRING, event STRING, received_at STRING, occurred_at STRING, status STRING,
            reason STRING, detail STRING, http_status INT, attempts INT, sent_as STRING, run_id STRING, first_seen_at STRING,
            settled_at STRING, source STRING>>',
        MAP('mode', 'FAILFAST')
    ))
) AS r
WHERE EXISTS (SELECT 1 FROM :"published" AS p WHERE p.publication_id = :publication_id AND p.turn = :turn);

-- name: put_calls
-- does: writes calls
-- dialect: databricks
-- identifiers: table
-- fragments: batch_of_calls
-- Rows with these keys are in the days between :low and :high, so that no others are scanned.
MERGE INTO :"table" AS t
USING (
    {batch_of_calls}
) AS n
ON t.stream = n.stream AND t.message_id = n.message_id AND t.first_seen_at BETWEEN :low AND :high
WHEN MATCHED THEN UPDATE SET
    user_id = n.user_id, event = n.event, received_at = n.received_at, occurred_at = n.occurred_at, status = n.status,
    reason = n.reason, detail = n.detail, http_status = n.http_status, attempts = n.attempts, sent_as = n.sent_as,
    run_id = n.run_id, first_seen_at = n.first_seen_at, settled_at = n.settled_at, source = n.source
WHEN NOT MATCHED THEN INSERT (
    stream, message_id, user_id, event, received_at, occurred_at, status, reason, detail, http_status, attempts, sent_as, run_id,
    first_seen_at, settled_at, source
) VALUES (
    n.stream, n.message_id, n.user_id, n.event, n.received_at, n.occurred_at, n.status, n.reason, n.detail, n.http_status,
    n.attempts, n.sent_as, n.run_id, n.first_seen_at, n.settled_at, n.source
);

-- name: add_calls
-- does: writes calls whose keys are not there
-- dialect: databricks
-- identifiers: table
-- fragments: batch_of_calls
INSERT INTO :"table" (
    stream, message_id, user_id, event, received_at, occurred_at, status, reason, detail, http_status, attempts, sent_as, run_id,
    first_seen_at, settled_at, source
)
{batch_of_calls};

-- name: remove_calls
-- does: removes these calls
-- dialect: databricks
-- identifiers: table, published
MERGE INTO :"table" AS t
USING (
    SELECT r.stream, r.id
    FROM (SELECT INLINE(FROM_JSON(:rows, 'ARRAY<STRUCT<stream STRING, id STRING>>', MAP('mode', 'FAILFAST')))) AS r
    WHERE EXISTS (SELECT 1 FROM :"published" AS p WHERE p.publication_id = :publication_id AND p.turn = :turn)
) AS n
ON t.stream = n.stream AND t.message_id = n.id
WHEN MATCHED THEN DELETE;

-- name: batch_of_customers
-- does: gives the rows of a batch of customers, and none once another publication has begun
-- dialect: databricks
-- identifiers: published
SELECT
    r.source_id, r.referral_code, r.accepted_code, CAST(r.first_sent_at AS TIMESTAMP) AS first_sent_at,
    CAST(r.last_sent_at AS TIMESTAMP) AS last_sent_at, r.last_message_id, r.refreshed_by,
    CAST(r.code_carried_at AS TIMESTAMP) AS code_carried_at
FROM (
    SELECT INLINE(FROM_JSON(
        :rows,
        'ARRAY<STRUCT<source_id STRING, referral_code STRING, accepted_code STRING, first_sent_at STRING, last_sent_at STRING,
            last_message_id STRING, refreshed_by STRING, code_carried_at STRING>>',
        MAP('mode', 'FAILFAST')
    ))
) AS r
WHERE EXISTS (SELECT 1 FROM :"published" AS p WHERE p.publication_id = :publication_id AND p.turn = :turn);

-- name: put_customers
-- does: writes customers
-- dialect: databricks
-- identifiers: table
-- fragments: batch_of_customers
MERGE INTO :"table" AS t
USING (
    {batch_of_customers}
) AS n
ON t.source_id = n.source_id
WHEN MATCHED THEN UPDATE SET
    referral_code = n.referral_code, accepted_code = n.accepted_code, first_sent_at = n.first_sent_at,
    last_sent_at = n.last_sent_at, last_message_id = n.last_message_id, refreshed_by = n.refreshed_by,
    code_carried_at = n.code_carried_at
WHEN NOT MATCHED THEN INSERT (
    source_id, referral_code, accepted_code, first_sent_at, last_sent_at, last_message_id, refreshed_by, code_carried_at
) VALUES (
    n.source_id, n.referral_code, n.accepted_code, n.first_sent_at, n.last_sent_at, n.last_message_id, n.refreshed_by,
    n.code_carried_at
);

-- name: add_customers
-- does: writes customers whose keys are not there
-- dialect: databricks
-- identifiers: table
-- fragments: batch_of_customers
INSERT INTO :"table" (
    source_id, referral_code, accepted_code, first_sent_at, last_sent_at, last_message_id, refreshed_by, code_carried_at
)
{batch_of_customers};

-- name: remove_customers
-- does: removes these customers
-- dialect: databricks
-- identifiers: table, published
MERGE INTO :"table" AS t
USING (
    SELECT r.id
    FROM (SELECT INLINE(FROM_JSON(:rows, 'ARRAY<STRUCT<id STRING>>', MAP('mode', 'FAILFAST')))) AS r
    WHERE EXISTS (SELECT 1 FROM :"published" AS p WHERE p.publication_id = :publication_id AND p.turn = :turn)
) AS n
ON t.source_id = n.id
WHEN MATCHED THEN DELETE;

-- name: batch_of_runs
-- does: gives the rows of a batch of runs, and none once another publication has begun
-- dialect: databricks
-- identifiers: published, trigger
SELECT
    r.run_id, r.:"trigger", r.status, CAST(r.since_at AS TIMESTAMP) AS since_at, CAST(r.until_at AS TIMESTAMP) AS until_at,
    CAST(r.started_at AS TIMESTAMP) AS started_at, CAST(r.finished_at AS TIMESTAMP) AS finished_at, r.rows_read, r.sent,
    r.rejected, r.failed, r.in_doubt, r.unchanged, r.merged, r.requests, r.error, r.version, r.waiting, r.properties_wait_s,
    r.skipped, r.kind, r.settings, r.open_periods
FROM (
    SELECT INLINE(FROM_JSON(
        :rows,
        'ARRAY<STRUCT<run_id STRING, trigger STRING, status STRING, since_at STRING, until_at STRING, started_at STRING, finished_at STRING,
            rows_read BIGINT, sent BIGINT, rejected BIGINT, failed BIGINT, in_doubt BIGINT, unchanged BIGINT, merged BIGINT,
            requests BIGINT, error STRING, version STRING, waiting BIGINT, properties_wait_s BIGINT, skipped BIGINT, kind STRING,
            settings STRING, open_periods BIGINT>>',
        MAP('mode', 'FAILFAST')
    ))
) AS r
WHERE EXISTS (SELECT 1 FROM :"published" AS p WHERE p.publication_id = :publication_id AND p.turn = :turn);

-- name: put_runs
-- does: writes runs
-- dialect: databricks
-- identifiers: table, trigger
-- fragments: batch_of_runs
MERGE INTO :"table" AS t
USING (
    {batch_of_runs}
) AS n
ON t.run_id = n.run_id
WHEN MATCHED THEN UPDATE SET
    :"trigger" = n.:"trigger", status = n.status, since_at = n.since_at, until_at = n.until_at, started_at = n.started_at,
    finished_at = n.finished_at, rows_read = n.rows_read, sent = n.sent, rejected = n.rejected, failed = n.failed,
    in_doubt = n.in_doubt, unchanged = n.unchanged, merged = n.merged, requests = n.requests, error = n.error,
    version = n.version, waiting = n.waiting, properties_wait_s = n.properties_wait_s, skipped = n.skipped, kind = n.kind,
    settings = n.settings, open_periods = n.open_periods
WHEN NOT MATCHED THEN INSERT (
    run_id, :"trigger", status, since_at, until_at, started_at, finished_at, rows_read, sent, rejected, failed, in_doubt,
    unchanged, merged, requests, error, version, waiting, properties_wait_s, skipped, kind, settings, open_periods
) VALUES (
    n.run_id, n.:"trigger", n.status, n.since_at, n.until_at, n.started_at, n.finished_at, n.rows_read, n.sent, n.rejected,
    n.failed, n.in_doubt, n.unchanged, n.merged, n.requests, n.error, n.version, n.waiting, n.properties_wait_s, n.skipped,
    n.kind, n.settings, n.open_periods
);

-- name: add_runs
-- does: writes runs whose keys are not there
-- dialect: databricks
-- identifiers: table, trigger
-- fragments: batch_of_runs
INSERT INTO :"table" (
    run_id, :"trigger", status, since_at, until_at, started_at, finished_at, rows_read, sent, rejected, failed, in_doubt,
    unchanged, merged, requests, error, version, waiting, properties_wait_s, skipped, kind, settings, open_periods
)
{batch_of_runs};

-- name: remove_runs
-- does: removes these runs
-- dialect: databricks
-- identifiers: table, published
MERGE INTO :"table" AS t
USING (
    SELECT r.id
    FROM (SELECT INLINE(FROM_JSON(:rows, 'ARRAY<STRUCT<id STRING>>', MAP('mode', 'FAILFAST')))) AS r
    WHERE EXISTS (SELECT 1 FROM :"published" AS p WHERE p.publication_id = :publication_id AND p.turn = :turn)
) AS n
ON t.run_id = n.id
WHEN MATCHED THEN DELETE;

-- name: batch_of_watermarks
-- does: gives the rows of a batch of watermarks, and none once another publication has begun
-- dialect: databricks
-- identifiers: published
SELECT
    r.run_id, r.stream, CAST(r.low_at AS TIMESTAMP) AS low_at, CAST(r.high_at AS TIMESTAMP) AS high_at, r.rows_new,
    CAST(r.recorded_at AS TIMESTAMP) AS recorded_at, r.source, r.lacks_table
FROM (
    SELECT INLINE(FROM_JSON(
        :rows,
        'ARRAY<STRUCT<run_id STRING, stream STRING, low_at STRING, high_at STRING, rows_new BIGINT, recorded_at STRING, source STRING,
            lacks_table STRING>>',
        MAP('mode', 'FAILFAST')
    ))
) AS r
WHERE EXISTS (SELECT 1 FROM :"published" AS p WHERE p.publication_id = :publication_id AND p.turn = :turn);

-- name: put_watermarks
-- does: writes watermarks
-- dialect: databricks
-- identifiers: table
-- fragments: batch_of_watermarks
MERGE INTO :"table" AS t
USING (
    {batch_of_watermarks}
) AS n
ON t.run_id = n.run_id AND t.source = n.source AND t.stream = n.stream
WHEN MATCHED THEN UPDATE SET
    low_at = n.low_at, high_at = n.high_at, rows_new = n.rows_new, recorded_at = n.recorded_at, lacks_table = n.lacks_table
WHEN NOT MATCHED THEN INSERT (
    run_id, stream, low_at, high_at, rows_new, recorded_at, source, lacks_table
) VALUES (
    n.run_id, n.stream, n.low_at, n.high_at, n.rows_new, n.recorded_at, n.source, n.lacks_table
);

-- name: add_watermarks
-- does: writes watermarks whose keys are not there
-- dialect: databricks
-- identifiers: table
-- fragments: batch_of_watermarks
INSERT INTO :"table" (
    run_id, stream, low_at, high_at, rows_new, recorded_at, source, lacks_table
)
{batch_of_watermarks};

-- name: make_calls
-- does: creates the table of calls, in which those that were first seen together lie together
-- dialect: databricks
-- identifiers: table
-- words: integer_type, kept_text, time_type
CREATE TABLE IF NOT EXISTS :"table" (
    stream {kept_text} NOT NULL,
    message_id {kept_text} NOT NULL,
    user_id {kept_text},
    event {kept_text},
    received_at {time_type},
    occurred_at {time_type},
    status {kept_text} NOT NULL,
    reason {kept_text},
    detail {kept_text},
    http_status {integer_type},
    attempts {integer_type} NOT NULL,
    sent_as {kept_text},
    run_id {kept_text} NOT NULL,
    first_seen_at {time_type} NOT NULL,
    settled_at {time_type},
    source {kept_text} NOT NULL,
    PRIMARY KEY (stream, message_id) NOT ENFORCED
)
CLUSTER BY (first_seen_at);
