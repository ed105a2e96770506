-- Runs and their counts.

-- name: insert_run
-- does: records that a run has begun
INSERT INTO sync_runs (run_id, kind, trigger, status, since_at, until_at, started_at, version, properties_wait_s, settings)
VALUES (:run_id, :kind, :trigger, 'running', :since_at, :until_at, :started_at, :version, :properties_wait_s, :settings);

-- name: read_last_settings
-- does: gives the settings that were kept with the newest run that has any
SELECT settings FROM sync_runs WHERE settings IS NOT NULL ORDER BY started_at DESC, run_id DESC LIMIT 1;

-- name: read_settings
-- does: gives the settings that were kept with a run
SELECT settings FROM sync_runs WHERE run_id = :run_id;

-- name: finish_run
-- does: records how a run ended, with its counts
UPDATE sync_runs
SET status = :status, finished_at = :finished_at, rows_read = :rows_read, sent = :sent, rejected = :rejected, failed = :failed,
    waiting = :waiting, in_doubt = :in_doubt, unchanged = :unchanged, merged = :merged,
    skipped = :skipped, requests = :requests, error = :error
WHERE run_id = :run_id;

-- name: read_end
-- does: gives how a run that got through ended, with its counts; gives no row of any other run
SELECT run_id, status, rows_read, sent, unchanged, merged, skipped, rejected, failed, waiting, in_doubt, requests, error FROM sync_runs
WHERE run_id = :run_id AND status IN ('succeeded', 'attention');

-- name: read_running_runs
-- does: lists the other runs without an end, oldest first
SELECT run_id FROM sync_runs WHERE status = 'running' AND run_id <> :run_id ORDER BY started_at;

-- name: read_runs
-- does: lists the newest runs, newest first
SELECT run_id, kind, trigger, status, since_at, until_at, started_at, finished_at, rows_read, sent, rejected, failed, waiting, in_doubt,
    unchanged, merged, skipped, requests, error, version
FROM v1_runs ORDER BY started_at DESC, run_id DESC LIMIT :runs;

-- name: count_run
-- does: counts the calls that a run wrote last, by status
SELECT status, count(*) AS n FROM sync_state WHERE run_id = :run_id GROUP BY status;

-- name: count_feeds
-- does: counts the calls that a run wrote last, by source and stream
SELECT source, stream, count(*) AS n FROM sync_state WHERE run_id = :run_id GROUP BY source, stream;

-- name: count_sent
-- does: counts the calls that a run sent, by stream
SELECT stream, count(*) AS n FROM sync_state WHERE run_id = :run_id AND status = 'sent' GROUP BY stream;

-- name: count_waiting
-- does: counts the calls that wait for their properties since a run, by event and detail, the most frequent first
SELECT event, detail, count(*) AS n FROM sync_state WHERE run_id = :run_id AND status = 'waiting' GROUP BY event, detail ORDER BY n DESC, event, detail;

-- name: count_reasons
-- does: counts the calls that a run rejected, by reason
SELECT reason, count(*) AS n FROM sync_state WHERE run_id = :run_id AND status = 'rejected' GROUP BY reason;
