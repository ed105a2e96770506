-- The views of the copy: those of the sync-state, over the tables that are there.

-- name: make_v1_runs
-- does: creates the view of runs
-- identifiers: view, sync_runs, trigger
-- words: create_view, micros, number_type
{create_view} :"view" AS
SELECT run_id, :"trigger", status, since_at, until_at, started_at, finished_at, rows_read, sent, unchanged, merged, rejected, failed,
    in_doubt, requests, error, version,
    CAST(({micros: finished_at} - {micros: started_at}) / 1000000.0 AS {number_type}) AS duration_s,
    waiting, skipped, kind, open_periods
FROM :"sync_runs";

-- name: make_v1_rejections
-- does: creates the view of rejected calls
-- identifiers: view, sync_state
-- words: create_view
{create_view} :"view" AS
SELECT stream, message_id, user_id, event, received_at, occurred_at, reason, detail, http_status, run_id, settled_at, source
FROM :"sync_state" WHERE status = 'rejected';

-- name: make_v1_waiting
-- does: creates the view of calls that wait for their properties
-- identifiers: view, sync_state, sync_runs
-- words: create_view, micros, time_of
{create_view} :"view" AS
SELECT stream, message_id, user_id, event, received_at, occurred_at, reason, detail, attempts, run_id, first_seen_at,
    {time_of: overdue} AS overdue_at, source
FROM (
    SELECT s.stream, s.message_id, s.user_id, s.event, s.received_at, s.occurred_at, s.reason, s.detail, s.attempts, s.run_id,
        s.first_seen_at, s.source, {micros: s.first_seen_at} + 1000000 * w.wait_s AS overdue
    FROM :"sync_state" AS s CROSS JOIN (
        SELECT max(n.properties_wait_s) AS wait_s FROM :"sync_runs" AS n
        WHERE n.started_at = (SELECT max(m.started_at) FROM :"sync_runs" AS m WHERE m.properties_wait_s IS NOT NULL)
    ) AS w
    WHERE s.status = 'waiting'
) AS waiting;

-- name: make_v1_attention
-- does: creates the view of calls that need attention
-- identifiers: view, sync_state, v1_waiting
-- words: create_view, integer_type, now
{create_view} :"view" AS
SELECT stream, message_id, user_id, event, received_at, occurred_at, status, reason, detail, http_status, attempts, run_id, first_seen_at,
    source
FROM :"sync_state" WHERE status IN ('failed', 'in_doubt', 'sending')
UNION ALL
SELECT stream, message_id, user_id, event, received_at, occurred_at, 'waiting', reason, detail, CAST(NULL AS {integer_type}), attempts, run_id,
    first_seen_at, source
FROM :"v1_waiting" WHERE overdue_at <= {now};

-- name: make_v1_customer_timeline
-- does: creates the view of the calls of each customer
-- identifiers: view, sync_state, sync_customers
-- words: create_view
{create_view} :"view" AS
SELECT s.user_id, s.occurred_at, s.stream, s.event, s.message_id, s.status, s.reason, s.detail, s.http_status, s.attempts, s.sent_as,
    s.received_at, s.first_seen_at, s.settled_at, s.run_id, c.referral_code, s.source
FROM :"sync_state" AS s LEFT JOIN :"sync_customers" AS c ON c.source_id = s.user_id
WHERE s.user_id IS NOT NULL;

-- name: make_v1_freshness
-- does: creates the view of how far each stream of each source has come
-- identifiers: view, sync_watermarks
-- words: create_view, lag_s, time_type
{create_view} :"view" AS
SELECT stream, watermark_at, last_run_at, runs, {lag_s: watermark_at} AS lag_s, source
FROM (
    SELECT w.stream, max(w.recorded_at) AS last_run_at, count(*) AS runs, w.source,
        NULLIF(max(CASE WHEN w.lacks_table IS NULL THEN w.high_at END), CAST('1970-01-01T00:00:00.000000Z' AS {time_type})) AS watermark_at
    FROM :"sync_watermarks" AS w GROUP BY w.source, w.stream
) AS newest;

-- name: make_v1_unsettled_by_day
-- does: creates the view of unsettled calls by day
-- identifiers: view, sync_state
-- words: create_view, day
{create_view} :"view" AS
SELECT {day: received_at} AS day, stream, event, status, reason, count(*) AS calls, source
FROM :"sync_state" WHERE status IN ('failed', 'waiting', 'in_doubt', 'sending')
GROUP BY {day: received_at}, stream, event, status, reason, source;

-- name: make_v1_calls_by_day
-- does: creates the view of calls by day
-- identifiers: view, sync_state
-- words: create_view, day
{create_view} :"view" AS
SELECT {day: received_at} AS day, source, stream, event, status, reason, count(*) AS calls
FROM :"sync_state"
GROUP BY {day: received_at}, source, stream, event, status, reason;

-- name: make_v1_customers
-- does: creates the view of customers
-- identifiers: view, sync_customers
-- words: create_view
{create_view} :"view" AS
SELECT source_id AS user_id, referral_code, first_sent_at, last_sent_at, last_message_id FROM :"sync_customers";

-- name: make_v1_referral_codes
-- does: creates the view of referral codes, with who else tried to take them
-- identifiers: view, sync_customers, sync_state
-- words: create_view
{create_view} :"view" AS
SELECT c.referral_code, c.source_id AS owner, c.code_carried_at AS carried_at, t.user_id AS tried_by, t.calls AS tried_calls,
    t.last_at AS last_tried_at
FROM :"sync_customers" AS c
LEFT JOIN (
    SELECT s.detail, s.user_id, count(*) AS calls, max(s.occurred_at) AS last_at
    FROM :"sync_state" AS s WHERE s.status = 'rejected' AND s.reason = 'referral_code_taken' GROUP BY s.detail, s.user_id
) AS t ON t.detail = 'owned by user ' || c.source_id
WHERE c.referral_code IS NOT NULL;
