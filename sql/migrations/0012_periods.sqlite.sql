-- Periods that somebody asked for stay open until they are done: each run goes on with them.

CREATE TABLE sync_periods (
    period_id text PRIMARY KEY,
    source text NOT NULL,
    stream text NOT NULL CHECK (stream IN ('identifies', 'tracks')),
    since_at text,
    until_at text NOT NULL,
    done_to text,
    opened_by text NOT NULL REFERENCES sync_runs (run_id),
    closed_at text,
    closed_by text
);
CREATE INDEX sync_periods_open ON sync_periods (opened_by) WHERE closed_at IS NULL;

DROP VIEW v1_runs;
CREATE VIEW v1_runs AS
SELECT run_id, trigger,
    CASE WHEN status = 'running' AND coalesce((
        SELECT lease.expires_at FROM sync_lease AS lease WHERE lease.name = 'run' AND lease.run_id = sync_runs.run_id
    ), '') <= strftime('%Y-%m-%dT%H:%M:%f000Z', 'now') THEN 'crashed' ELSE status END AS status,
    since_at, until_at, started_at, finished_at, rows_read, sent, unchanged, merged, rejected, failed,
    in_doubt, requests, error, version,
    ((strftime('%s', substr(finished_at, 1, 19)) - strftime('%s', substr(started_at, 1, 19))) * 1000000
        + substr(finished_at, 21, 6) - substr(started_at, 21, 6)) / 1000000.0 AS duration_s,
    waiting, skipped, kind,
    (SELECT count(1) FROM sync_periods AS p WHERE p.opened_by = sync_runs.run_id AND p.closed_at IS NULL) AS open_periods
FROM sync_runs;
