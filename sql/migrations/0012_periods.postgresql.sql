-- Periods that somebody asked for stay open until they are done: each run goes on with them.

CREATE TABLE sync_periods (
    period_id text PRIMARY KEY,
    source text NOT NULL,
    stream text NOT NULL CHECK (stream IN ('identifies', 'tracks')),
    since_at timestamptz,
    until_at timestamptz NOT NULL,
    done_to timestamptz,
    opened_by text NOT NULL REFERENCES sync_runs (run_id),
    closed_at timestamptz,
    closed_by text
);
CREATE INDEX sync_periods_open ON sync_periods (opened_by) WHERE closed_at IS NULL;

CREATE OR REPLACE VIEW v1_runs AS
SELECT run_id, trigger,
    CASE WHEN status = 'running' AND NOT EXISTS (
        SELECT 1 FROM sync_lease AS lease WHERE lease.name = 'run' AND lease.run_id = sync_runs.run_id AND lease.expires_at > now()
    ) THEN 'crashed' ELSE status END AS status,
    since_at, until_at, started_at, finished_at, rows_read, sent, unchanged, merged, rejected, failed,
    in_doubt, requests, error, version, CAST(extract(epoch FROM finished_at - started_at) AS double precision) AS duration_s, waiting,
    skipped, kind,
    (SELECT count(1) FROM sync_periods AS p WHERE p.opened_by = sync_runs.run_id AND p.closed_at IS NULL) AS open_periods
FROM sync_runs;

COMMENT ON TABLE sync_periods IS 'One row per stream and period that a run was asked for with --since. Written by run: at its start, and by the run that is done with it or gives it up.';
COMMENT ON COLUMN sync_periods.period_id IS 'the run that was asked, and the stream';
COMMENT ON COLUMN sync_periods.source IS 'schema of the Segment source; empty: none is set';
COMMENT ON COLUMN sync_periods.stream IS 'identifies or tracks';
COMMENT ON COLUMN sync_periods.since_at IS 'its beginning; NULL: all history';
COMMENT ON COLUMN sync_periods.until_at IS 'its end, itself excluded; the start of the run where none was asked for';
COMMENT ON COLUMN sync_periods.done_to IS 'up to here all of it is recorded; NULL: nobody knows yet';
COMMENT ON COLUMN sync_periods.opened_by IS 'the run that was asked for it';
COMMENT ON COLUMN sync_periods.closed_at IS 'when; NULL: it is open, and each run goes on with it';
COMMENT ON COLUMN sync_periods.closed_by IS 'the run that did';
COMMENT ON COLUMN v1_runs.open_periods IS 'periods that it was asked for and that are not done';
