-- The rows of the copy where a statement is a transaction of its own: BigQuery. Each looks whether another publication has begun.

-- name: batch_of_calls
-- does: gives the rows of a batch of calls, and none once another publication has begun
-- dialect: bigquery
-- identifiers: published
SELECT
    JSON_VALUE(r, '$.stream') AS stream, JSON_VALUE(r, '$.message_id') AS message_id, JSON_VALUE(r, '$.user_id') AS user_id,
    JSON_VALUE(r, '$.event') AS event, CAST(JSON_VALUE(r, '$.received_at') AS TIMESTAMP) AS received_at,
    CAST(JSON_VALUE(r, '$.occurred_at') AS TIMESTAMP) AS occurred_at, JSON_VALUE(r, '$.status') AS status,
    JSON_VALUE(r, '$.reason') AS reason, JSON_VALUE(r, '$.detail') AS detail,
    CAST(JSON_VALUE(r, '$.http_status') AS INT64) AS http_status, CAST(JSON_VALUE(r, '$.attempts') AS INT64) AS attempts,
    JSON_VALUE(r, '$.sent_as') AS sent_as, JSON_VALUE(r, '$.run_id') AS run_id,
    CAST(JSON_VALUE(r, '$.first_seen_at') AS TIMESTAMP) AS first_seen_at,
    CAST(JSON_VALUE(r, '$.settled_at') AS TIMESTAMP) AS settled_at, JSON_VALUE(r, '$.source') AS source
FROM UNNEST(JSON_QUERY_ARRAY(:rows)) AS r
WHERE EXISTS (SELECT 1 FROM :"published" AS p WHERE p.publication_id = :publication_id AND p.turn = :turn);

-- name: put_calls
-- does: writes calls
-- dialect: bigquery
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
-- dialect: bigquery
-- identifiers: table
-- fragments: batch_of_calls
INSERT INTO :"table" (
    stream, message_id, user_id, event, received_at, occurred_at, status, reason, detail, http_status, attempts, sent_as, run_id,
    first_seen_at, settled_at, source
)
{batch_of_calls};

-- name: remove_calls
-- does: removes these calls
-- dialect: bigquery
-- identifiers: table, published
DELETE FROM :"table" AS t
WHERE EXISTS (SELECT 1 FROM UNNEST(JSON_QUERY_ARRAY(:rows)) AS r WHERE JSON_VALUE(r, '$.stream') = t.stream AND JSON_VALUE(r, '$.id') = t.message_id)
    AND EXISTS (SELECT 1 FROM :"published" AS p WHERE p.publication_id = :publication_id AND p.turn = :turn);

-- name: batch_of_customers
-- does: gives the rows of a batch of customers, and none once another publication has begun
-- dialect: bigquery
-- identifiers: published
SELECT
    JSON_VALUE(r, '$.source_id') AS source_id, JSON_VALUE(r, '$.referral_code') AS referral_code,
    JSON_VALUE(r, '$.accepted_code') AS accepted_code, CAST(JSON_VALUE(r, '$.first_sent_at') AS TIMESTAMP) AS first_sent_at,
    CAST(JSON_VALUE(r, '$.last_sent_at') AS TIMESTAMP) AS last_sent_at, JSON_VALUE(r, '$.last_message_id') AS last_message_id,
    JSON_VALUE(r, '$.refreshed_by') AS refreshed_by, CAST(JSON_VALUE(r, '$.code_carried_at') AS TIMESTAMP) AS code_carried_at
FROM UNNEST(JSON_QUERY_ARRAY(:rows)) AS r
WHERE EXISTS (SELECT 1 FROM :"published" AS p WHERE p.publication_id = :publication_id AND p.turn = :turn);

-- name: put_customers
-- does: writes customers
-- dialect: bigquery
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
-- dialect: bigquery
-- identifiers: table
-- fragments: batch_of_customers
INSERT INTO :"table" (
    source_id, referral_code, accepted_code, first_sent_at, last_sent_at, last_message_id, refreshed_by, code_carried_at
)
{batch_of_customers};

-- name: remove_customers
-- does: removes these customers
-- dialect: bigquery
-- identifiers: table, published
DELETE FROM :"table" AS t
WHERE EXISTS (SELECT 1 FROM UNNEST(JSON_QUERY_ARRAY(:rows)) AS r WHERE JSON_VALUE(r, '$.id') = t.source_id)
    AND EXISTS (SELECT 1 FROM :"published" AS p WHERE p.publication_id = :publication_id AND p.turn = :turn);

-- name: batch_of_runs
-- does: gives the rows of a batch of runs, and none once another publication has begun
-- dialect: bigquery
-- identifiers: published, trigger
SELECT
    JSON_VALUE(r, '$.run_id') AS run_id, JSON_VALUE(r, '$.trigger') AS :"trigger", JSON_VALUE(r, '$.status') AS status,
    CAST(JSON_VALUE(r, '$.since_at') AS TIMESTAMP) AS since_at, CAST(JSON_VALUE(r, '$.until_at') AS TIMESTAMP) AS until_at,
    CAST(JSON_VALUE(r, '$.started_at') AS TIMESTAMP) AS started_at,
    CAST(JSON_VALUE(r, '$.finished_at') AS TIMESTAMP) AS finished_at, CAST(JSON_VALUE(r, '$.rows_read') AS INT64) AS rows_read,
    CAST(JSON_VALUE(r, '$.sent') AS INT64) AS sent, CAST(JSON_VALUE(r, '$.rejected') AS INT64) AS rejected,
    CAST(JSON_VALUE(r, '$.failed') AS INT64) AS failed, CAST(JSON_VALUE(r, '$.in_doubt') AS INT64) AS in_doubt,
    CAST(JSON_VALUE(r, '$.unchanged') AS INT64) AS unchanged, CAST(JSON_VALUE(r, '$.merged') AS INT64) AS merged,
    CAST(JSON_VALUE(r, '$.requests') AS INT64) AS requests, JSON_VALUE(r, '$.error') AS error,
    JSON_VALUE(r, '$.version') AS version, CAST(JSON_VALUE(r, '$.waiting') AS INT64) AS waiting,
    CAST(JSON_VALUE(r, '$.properties_wait_s') AS INT64) AS properties_wait_s, CAST(JSON_VALUE(r, '$.skipped') AS INT64) AS skipped,
    JSON_VALUE(r, '$.kind') AS kind, JSON_VALUE(r, '$.settings') AS settings,
    CAST(JSON_VALUE(r, '$.open_periods') AS INT64) AS open_periods
FROM UNNEST(JSON_QUERY_ARRAY(:rows)) AS r
WHERE EXISTS (SELECT 1 FROM :"published" AS p WHERE p.publication_id = :publication_id AND p.turn = :turn);

-- name: put_runs
-- does: writes runs
-- dialect: bigquery
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
-- dialect: bigquery
-- identifiers: table, trigger
-- fragments: batch_of_runs
INSERT INTO :"table" (
    run_id, :"trigger", status, since_at, until_at, started_at, finished_at, rows_read, sent, rejected, failed, in_doubt,
    unchanged, merged, requests, error, version, waiting, properties_wait_s, skipped, kind, settings, open_periods
)
{batch_of_runs};

-- name: remove_runs
-- does: removes these runs
-- dialect: bigquery
-- identifiers: table, published
DELETE FROM :"table" AS t
WHERE EXISTS (SELECT 1 FROM UNNEST(JSON_QUERY_ARRAY(:rows)) AS r WHERE JSON_VALUE(r, '$.id') = t.run_id)
    AND EXISTS (SELECT 1 FROM :"published" AS p WHERE p.publication_id = :publication_id AND p.turn = :turn);

-- name: batch_of_watermarks
-- does: gives the rows of a batch of watermarks, and none once another publication has begun
-- dialect: bigquery
-- identifiers: published
SELECT
    JSON_VALUE(r, '$.run_id') AS run_id, JSON_VALUE(r, '$.stream') AS stream,
    CAST(JSON_VALUE(r, '$.low_at') AS TIMESTAMP) AS low_at, CAST(JSON_VALUE(r, '$.high_at') AS TIMESTAMP) AS high_at,
    CAST(JSON_VALUE(r, '$.rows_new') AS INT64) AS rows_new, CAST(JSON_VALUE(r, '$.recorded_at') AS TIMESTAMP) AS recorded_at,
    JSON_VALUE(r, '$.source') AS source, JSON_VALUE(r, '$.lacks_table') AS lacks_table
FROM UNNEST(JSON_QUERY_ARRAY(:rows)) AS r
WHERE EXISTS (SELECT 1 FROM :"published" AS p WHERE p.publication_id = :publication_id AND p.turn = :turn);

-- name: put_watermarks
-- does: writes watermarks
-- dialect: bigquery
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
-- dialect: bigquery
-- identifiers: table
-- fragments: batch_of_watermarks
INSERT INTO :"table" (
    run_id, stream, low_at, high_at, rows_new, recorded_at, source, lacks_table
)
{batch_of_watermarks};

-- name: make_calls
-- does: creates the table of calls, cut into days, in which the calls of a user lie together
-- dialect: bigquery
-- identifiers: table
CREATE TABLE IF NOT EXISTS :"table" (
    stream STRING NOT NULL,
    message_id STRING NOT NULL,
    user_id STRING,
    event STRING,
    received_at TIMESTAMP,
    occurred_at TIMESTAMP,
    status STRING NOT NULL,
    reason STRING,
    detail STRING,
    http_status INT64,
    attempts INT64 NOT NULL,
    sent_as STRING,
    run_id STRING NOT NULL,
    first_seen_at TIMESTAMP NOT NULL,
    settled_at TIMESTAMP,
    source STRING NOT NULL,
    PRIMARY KEY (stream, message_id) NOT ENFORCED
)
PARTITION BY TIMESTAMP_TRUNC(first_seen_at, DAY) CLUSTER BY user_id;

-- name: empty_table
-- does: removes all rows of a table of the copy
-- dialect: bigquery
-- identifiers: table
TRUNCATE TABLE :"table";

-- name: list_names
-- does: lists the tables and views in the dataset of the copy
-- dialect: bigquery
-- identifiers: holder
SELECT t.table_name AS name FROM :"holder".INFORMATION_SCHEMA.TABLES AS t;
