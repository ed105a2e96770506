-- A run that has no end and no lease is dead: v1_runs says so, also before the next run does.
-- A query for one value where one would write EXISTS: DuckDB hands views back to SQLite in its own words.

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
    waiting
FROM sync_runs;
