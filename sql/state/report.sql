-- The data of a report, read from one snapshot.

-- name: report_calls
-- does: counts the calls last decided by runs from one on, by source, stream, event, status and reason, with the time from arrival to delivery; events beyond the most frequent ones are counted together
-- dialect: postgresql
WITH decided AS (
    SELECT s.source, s.stream, s.event, s.status, s.reason,
        CASE WHEN s.status IN ('sent', 'unchanged', 'merged') THEN GREATEST(EXTRACT(epoch FROM s.settled_at - s.received_at), 0) END AS took_s
    FROM sync_state AS s WHERE s.run_id >= :since_run
), counted AS (
    SELECT source, stream, event, status, reason, count(*) AS n, count(took_s) AS timed, sum(took_s) AS total_s, max(took_s) AS longest_s,
        count(*) FILTER (WHERE took_s <= 900) AS within_15m, count(*) FILTER (WHERE took_s <= 3600) AS within_1h,
        count(*) FILTER (WHERE took_s <= 21600) AS within_6h, count(*) FILTER (WHERE took_s <= 86400) AS within_1d,
        count(*) FILTER (WHERE took_s <= 259200) AS within_3d
    FROM decided GROUP BY source, stream, event, status, reason
), ranked AS (
    SELECT stream, event, row_number() OVER (ORDER BY sum(n) DESC, stream, event) AS place FROM counted GROUP BY stream, event
)
SELECT c.source, c.stream, CASE WHEN r.place <= :events THEN c.event END AS event, CASE WHEN r.place <= :events THEN 0 ELSE 1 END AS is_other,
    c.status, c.reason, CAST(sum(c.n) AS bigint) AS n, CAST(sum(c.timed) AS bigint) AS timed,
    CAST(sum(c.total_s) AS double precision) AS total_s, CAST(max(c.longest_s) AS double precision) AS longest_s,
    CAST(sum(c.within_15m) AS bigint) AS within_15m, CAST(sum(c.within_1h) AS bigint) AS within_1h,
    CAST(sum(c.within_6h) AS bigint) AS within_6h, CAST(sum(c.within_1d) AS bigint) AS within_1d, CAST(sum(c.within_3d) AS bigint) AS within_3d
FROM counted AS c JOIN ranked AS r ON r.stream = c.stream AND r.event IS NOT DISTINCT FROM c.event
GROUP BY 1, 2, 3, 4, 5, 6;

-- name: report_calls
-- does: counts the calls last decided by runs from one on, by source, stream, event, status and reason, with the time from arrival to delivery; events beyond the most frequent ones are counted together
-- dialect: sqlite
WITH decided AS MATERIALIZED (
    SELECT s.source, s.stream, s.event, s.status, s.reason,
        CASE WHEN s.status IN ('sent', 'unchanged', 'merged') THEN MAX((julianday(s.settled_at) - julianday(s.received_at)) * 86400.0, 0) END AS took_s
    FROM sync_state AS s WHERE s.run_id >= :since_run
), counted AS (
    SELECT source, stream, event, status, reason, count(*) AS n, count(took_s) AS timed, sum(took_s) AS total_s, max(took_s) AS longest_s,
        sum(took_s <= 900) AS within_15m, sum(took_s <= 3600) AS within_1h, sum(took_s <= 21600) AS within_6h,
        sum(took_s <= 86400) AS within_1d, sum(took_s <= 259200) AS within_3d
    FROM decided GROUP BY source, stream, event, status, reason
), ranked AS (
    SELECT stream, event, row_number() OVER (ORDER BY sum(n) DESC, stream, event) AS place FROM counted GROUP BY stream, event
)
SELECT c.source, c.stream, CASE WHEN r.place <= :events THEN c.event END AS event, CASE WHEN r.place <= :events THEN 0 ELSE 1 END AS is_other,
    c.status, c.reason, sum(c.n) AS n, sum(c.timed) AS timed, sum(c.total_s) AS total_s, max(c.longest_s) AS longest_s,
    sum(c.within_15m) AS within_15m, sum(c.within_1h) AS within_1h, sum(c.within_6h) AS within_6h, sum(c.within_1d) AS within_1d,
    sum(c.within_3d) AS within_3d
FROM counted AS c JOIN ranked AS r ON r.stream = c.stream AND r.event IS c.event
GROUP BY 1, 2, 3, 4, 5, 6;

-- name: report_runs
-- does: lists the runs that started from a time on, newest first, up to a limit
SELECT run_id, kind, trigger, status, started_at, finished_at, rows_read, sent, rejected, failed, waiting, in_doubt, unchanged, merged,
    skipped, requests, error, version
FROM v1_runs WHERE started_at >= :since ORDER BY started_at DESC, run_id DESC LIMIT :runs;

-- name: report_lags
-- does: lists the watermark of each stream after each run that started from a time on, newest first
SELECT w.run_id, w.stream, w.high_at, w.recorded_at
FROM sync_watermarks AS w JOIN sync_runs AS r ON r.run_id = w.run_id
WHERE r.started_at >= :since AND w.lacks_table IS NULL ORDER BY r.started_at DESC, w.run_id DESC, w.stream LIMIT :runs;

-- name: report_last_success
-- does: gives start and end of the newest run that succeeded
SELECT started_at, finished_at FROM sync_runs WHERE status = 'succeeded' ORDER BY started_at DESC LIMIT 1;

-- name: report_unsettled
-- does: counts all calls that need attention, by status and reason, with the oldest time of each
SELECT status, reason, count(*) AS n, min(occurred_at) AS occurred_at
FROM v1_attention GROUP BY status, reason ORDER BY status, reason;

-- name: report_attention
-- does: lists calls that need attention: in doubt, then sending, failed, waiting, oldest first
SELECT stream, message_id, user_id, event, received_at, occurred_at, status, reason, attempts, run_id
FROM v1_attention
ORDER BY CASE status WHEN 'in_doubt' THEN 0 WHEN 'sending' THEN 1 WHEN 'failed' THEN 2 ELSE 3 END, occurred_at, stream, message_id LIMIT :rows;

-- name: report_waiting
-- does: counts the events that wait for their properties by source, event and what was found in place of their table, the most first
SELECT source, event, detail, count(*) AS n, min(first_seen_at) AS first_seen_at, min(overdue_at) AS overdue_at
FROM v1_waiting GROUP BY source, event, detail ORDER BY n DESC, source, event, detail LIMIT :rows;
