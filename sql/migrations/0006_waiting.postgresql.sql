-- Calls that wait for their properties: a new status, and what a run counts of them.

ALTER TABLE sync_runs ADD COLUMN waiting bigint NOT NULL DEFAULT 0;
ALTER TABLE sync_runs ADD COLUMN properties_wait_s bigint;
ALTER TABLE sync_state DROP CONSTRAINT sync_state_status_check;
ALTER TABLE sync_state ADD CONSTRAINT sync_state_status_check
    CHECK (status IN ('sent', 'unchanged', 'merged', 'rejected', 'failed', 'waiting', 'in_doubt', 'sending'));
CREATE INDEX sync_state_waiting ON sync_state (status, stream, occurred_at, message_id) WHERE status = 'waiting';

CREATE OR REPLACE VIEW v1_runs AS
SELECT run_id, trigger, status, since_at, until_at, started_at, finished_at, rows_read, sent, unchanged, merged, rejected, failed,
    in_doubt, requests, error, version, CAST(extract(epoch FROM finished_at - started_at) AS double precision) AS duration_s, waiting
FROM sync_runs;

CREATE VIEW v1_waiting AS
SELECT stream, message_id, user_id, event, received_at, occurred_at, reason, detail, attempts, run_id, first_seen_at,
    first_seen_at + make_interval(secs => (
        SELECT newest.properties_wait_s FROM sync_runs AS newest
        WHERE newest.properties_wait_s IS NOT NULL ORDER BY newest.started_at DESC LIMIT 1
    )) AS overdue_at
FROM sync_state WHERE status = 'waiting';

CREATE OR REPLACE VIEW v1_attention AS
SELECT stream, message_id, user_id, event, received_at, occurred_at, status, reason, detail, http_status, attempts, run_id, first_seen_at
FROM sync_state WHERE status IN ('failed', 'in_doubt', 'sending')
UNION ALL
SELECT stream, message_id, user_id, event, received_at, occurred_at, 'waiting', reason, detail, NULL, attempts, run_id, first_seen_at
FROM v1_waiting WHERE overdue_at <= now();

CREATE OR REPLACE VIEW v1_unsettled_by_day AS
SELECT CAST(received_at AT TIME ZONE 'UTC' AS date) AS day, stream, event, status, reason, count(*) AS calls
FROM (
    SELECT received_at, stream, event, status, reason FROM sync_state WHERE status IN ('failed', 'in_doubt', 'sending')
    UNION ALL
    SELECT received_at, stream, event, status, reason FROM sync_state WHERE status = 'waiting'
) AS unsettled
GROUP BY CAST(received_at AT TIME ZONE 'UTC' AS date), stream, event, status, reason;

COMMENT ON TABLE sync_runs IS 'One row per run, and per other command that changes these tables. Written by run, retry, revalidate, resolve, prune and forget at their start and at their end; a run that died gets its end from the next one.';
COMMENT ON COLUMN sync_runs.status IS 'running, then succeeded; attention: done, but there are rows that failed, are in doubt or have waited too long, of any run; stopped by an error; crashed; interrupted by a signal';
COMMENT ON COLUMN sync_runs.rows_read IS 'calls this run judged and recorded: the sum of sent, rejected, failed, in_doubt, unchanged, merged and waiting';
COMMENT ON COLUMN sync_runs.waiting IS 'Track calls whose properties are not loaded yet; the next run looks again';
COMMENT ON COLUMN sync_runs.properties_wait_s IS 'PROPERTIES_WAIT of the run: how long a call may wait before it needs attention; NULL: a version before there was one';
COMMENT ON TABLE sync_state IS 'One row per Segment call ever judged; key (stream, message_id). Written by run, retry and revalidate: when the call is judged, before it is sent, and with its outcome. Once sent, unchanged, merged, rejected or in_doubt, no run touches a row again; a failed or waiting one is taken up by the next. resolve settles what is in doubt, prune and forget take who it was out of settled rows: user_id, detail and payload_hash; prune also event, http_status and sent_as.';
COMMENT ON COLUMN sync_state.payload_hash IS 'hash of the request''s body if the call went alone; NULL if it was rejected before, or waits';
COMMENT ON COLUMN v1_runs.rows_read IS 'sum of sent, unchanged, merged, rejected, failed, in_doubt and waiting';
COMMENT ON COLUMN v1_runs.waiting IS 'Track calls whose properties are not loaded yet';
COMMENT ON VIEW v1_attention IS 'The calls that need somebody: failed, in_doubt, sending while a run is at work or after it died, and waiting for longer than PROPERTIES_WAIT.';
COMMENT ON COLUMN v1_attention.status IS 'failed, in_doubt, sending or waiting';
COMMENT ON VIEW v1_waiting IS 'The Track calls whose event table does not have them yet. Each run looks again and sends what has come.';
COMMENT ON COLUMN v1_waiting.stream IS 'tracks';
COMMENT ON COLUMN v1_waiting.message_id IS 'Segment''s id';
COMMENT ON COLUMN v1_waiting.user_id IS 'as in the warehouse';
COMMENT ON COLUMN v1_waiting.event IS 'event name';
COMMENT ON COLUMN v1_waiting.received_at IS 'value of the cursor column';
COMMENT ON COLUMN v1_waiting.occurred_at IS 'timestamp of the call';
COMMENT ON COLUMN v1_waiting.reason IS 'see reasons';
COMMENT ON COLUMN v1_waiting.detail IS 'which table was looked in';
COMMENT ON COLUMN v1_waiting.attempts IS 'requests sent so far';
COMMENT ON COLUMN v1_waiting.run_id IS 'the run that looked last';
COMMENT ON COLUMN v1_waiting.first_seen_at IS 'when a run first recorded it';
COMMENT ON COLUMN v1_waiting.overdue_at IS 'when it needs attention, by PROPERTIES_WAIT of the newest run';
COMMENT ON COLUMN v1_unsettled_by_day.status IS 'failed, in_doubt, sending or waiting';
