-- A run that has no end and no lease is dead: v1_runs says so, also before the next run does.

CREATE OR REPLACE VIEW v1_runs AS
SELECT run_id, trigger,
    CASE WHEN status = 'running' AND NOT EXISTS (
        SELECT 1 FROM sync_lease AS lease WHERE lease.name = 'run' AND lease.run_id = sync_runs.run_id AND lease.expires_at > now()
    ) THEN 'crashed' ELSE status END AS status,
    since_at, until_at, started_at, finished_at, rows_read, sent, unchanged, merged, rejected, failed,
    in_doubt, requests, error, version, CAST(extract(epoch FROM finished_at - started_at) AS double precision) AS duration_s, waiting
FROM sync_runs;

COMMENT ON VIEW v1_runs IS 'The runs: the columns of sync_runs, how each stands at this moment, and how long it took.';
COMMENT ON COLUMN v1_runs.status IS 'how it stands or ended; crashed as soon as a run without an end no longer holds the lease';
