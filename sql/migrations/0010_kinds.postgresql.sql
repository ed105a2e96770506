-- What a run was for, and calls that were settled elsewhere. Before this, the id of a run said what it was for.

ALTER TABLE sync_runs ADD COLUMN skipped bigint NOT NULL DEFAULT 0;
ALTER TABLE sync_runs ADD COLUMN kind text NOT NULL DEFAULT 'run'
    CHECK (kind IN ('run', 'retry', 'resend', 'accept', 'revalidate', 'refresh', 'baseline', 'prune', 'forget'));
UPDATE sync_runs SET kind = split_part(run_id, '-', 2)
WHERE split_part(run_id, '-', 2) IN ('retry', 'resend', 'accept', 'revalidate', 'prune', 'forget');
ALTER TABLE sync_state DROP CONSTRAINT sync_state_status_check;
ALTER TABLE sync_state ADD CONSTRAINT sync_state_status_check
    CHECK (status IN ('sent', 'unchanged', 'merged', 'skipped', 'rejected', 'failed', 'waiting', 'in_doubt', 'sending'));

CREATE OR REPLACE VIEW v1_runs AS
SELECT run_id, trigger,
    CASE WHEN status = 'running' AND NOT EXISTS (
        SELECT 1 FROM sync_lease AS lease WHERE lease.name = 'run' AND lease.run_id = sync_runs.run_id AND lease.expires_at > now()
    ) THEN 'crashed' ELSE status END AS status,
    since_at, until_at, started_at, finished_at, rows_read, sent, unchanged, merged, rejected, failed,
    in_doubt, requests, error, version, CAST(extract(epoch FROM finished_at - started_at) AS double precision) AS duration_s, waiting,
    skipped, kind
FROM sync_runs;

COMMENT ON COLUMN sync_runs.rows_read IS 'calls this run judged and recorded: the sum of sent, rejected, failed, in_doubt, unchanged, merged, waiting and skipped';
COMMENT ON COLUMN sync_runs.skipped IS 'calls recorded as settled elsewhere';
COMMENT ON COLUMN sync_runs.kind IS 'what it was for: run, retry, resend and accept (resolve), revalidate, refresh, baseline, prune or forget';
COMMENT ON TABLE sync_state IS 'One row per Segment call ever judged; key (stream, message_id). Written by run, retry and revalidate: when the call is judged, before it is sent, and with its outcome. Once sent, unchanged, merged, skipped, rejected or in_doubt, no run touches a row again; a failed or waiting one is taken up by the next. resolve settles what is in doubt, prune and forget take who it was out of settled rows: user_id, detail and payload_hash; prune also event, http_status and sent_as.';
COMMENT ON COLUMN sync_state.settled_at IS 'when it became sent, unchanged, merged, skipped or rejected; NULL for all others';
COMMENT ON COLUMN v1_runs.rows_read IS 'sum of sent, unchanged, merged, rejected, failed, in_doubt, waiting and skipped';
COMMENT ON COLUMN v1_runs.skipped IS 'calls recorded as settled elsewhere';
COMMENT ON COLUMN v1_runs.kind IS 'what it was for';
