-- name: insert_run
-- does: notes that a run has begun
INSERT INTO sync_runs (run_id, trigger, status, since_at, until_at, started_at, version)
VALUES (:run_id, :trigger, 'running', :since_at, :until_at, :started_at, :version);

-- name: finish_run
-- does: notes how a run ended, with its counts
UPDATE sync_runs
SET status = :status, finished_at = :finished_at, rows_read = :rows_read, sent = :sent, rejected = :rejected, failed = :failed,
    in_doubt = :in_doubt, unchanged = :unchanged, merged = :merged, requests = :requests, error = :error
WHERE run_id = :run_id;

-- name: read_running_runs
-- does: lists the runs that never said how they ended
SELECT run_id FROM sync_runs WHERE status = 'running' AND run_id <> :run_id ORDER BY started_at;

-- name: count_run
-- does: counts the rows a run touched last, by status
SELECT status, count(*) AS n FROM sync_state WHERE run_id = :run_id GROUP BY status;

-- name: count_sent
-- does: counts the rows a run sent, by stream
SELECT stream, count(*) AS n FROM sync_state WHERE run_id = :run_id AND status = 'sent' GROUP BY stream;

-- name: read_runs
-- does: lists the newest runs
SELECT run_id, trigger, status, since_at, until_at, started_at, finished_at, rows_read, sent, rejected, failed, in_doubt, unchanged,
    merged, requests, error, version
FROM sync_runs ORDER BY started_at DESC, run_id DESC LIMIT :runs;

-- name: read_coverage
-- does: gives what earlier runs of a stream covered without a gap: its watermark, where it began, and how many began with all history
WITH seen AS (
    SELECT w.low_at, w.high_at, r.until_at, row_number() OVER (ORDER BY w.recorded_at, w.run_id) AS place
    FROM sync_watermarks AS w JOIN sync_runs AS r ON r.run_id = w.run_id
    WHERE w.stream = :stream AND w.high_at IS NOT NULL
), joined AS (
    SELECT low_at FROM seen
    WHERE place = 1 OR until_at IS NULL OR until_at >= (SELECT min(low_at) FROM seen WHERE place = 1 OR until_at IS NULL)
)
SELECT (SELECT max(high_at) FROM seen) AS watermark, (SELECT min(low_at) FROM joined) AS origin,
    (SELECT count(*) FROM joined WHERE low_at IS NULL) AS unbounded;

-- name: insert_watermark
-- does: records how far one run got in one stream; a run in parts that was taken up again got further
INSERT INTO sync_watermarks (run_id, stream, low_at, high_at, rows_new, recorded_at)
VALUES (:run_id, :stream, :low_at, :high_at, :rows_new, :recorded_at)
ON CONFLICT (run_id, stream) DO UPDATE SET high_at = excluded.high_at, rows_new = excluded.rows_new, recorded_at = excluded.recorded_at;

-- name: read_last_watermarks
-- does: gives the newest watermark record of each stream
SELECT w.stream, w.run_id, w.low_at, w.high_at, w.rows_new, w.recorded_at FROM sync_watermarks AS w
WHERE w.stream = :stream ORDER BY w.recorded_at DESC, w.run_id DESC LIMIT 1;

-- name: count_by_status
-- does: counts all rows ever judged, by stream, status and reason
SELECT stream, status, reason, count(*) AS n FROM sync_state GROUP BY stream, status, reason ORDER BY stream, status, reason;

-- name: explain_customer
-- does: gives what is known of one customer, by user id or by a message id of theirs, without its hashes
SELECT c.source_id, c.referral_code, c.first_sent_at, c.last_sent_at, c.last_message_id
FROM sync_customers AS c
WHERE c.source_id = :id
    OR c.source_id IN (SELECT s.user_id FROM sync_state AS s WHERE s.stream IN ('identifies', 'tracks') AND s.message_id = :id)
ORDER BY CASE WHEN c.source_id = :id THEN 0 ELSE 1 END LIMIT 1;
