-- Periods that runs were asked for.

-- name: read_open_periods
-- does: lists the periods, asked for by runs of these kinds, that are not done, in the order in which they were asked for
-- words: ids
SELECT p.period_id, p.source, p.stream, p.since_at, p.until_at, p.opened_by, r.until_at IS NOT NULL AS has_end, r.kind
FROM sync_periods AS p JOIN sync_runs AS r ON r.run_id = p.opened_by
WHERE p.closed_at IS NULL AND r.kind IN (SELECT meant.value FROM {ids: :kinds} AS meant)
ORDER BY r.started_at, p.source, p.stream;

-- name: open_period
-- does: records a period that a run was asked for
INSERT INTO sync_periods (period_id, source, stream, since_at, until_at, opened_by)
VALUES (:period_id, :source, :stream, :since_at, :until_at, :opened_by);

-- name: close_period
-- does: records that a period is done, or given up
-- words: now
UPDATE sync_periods SET closed_at = {now}, closed_by = :run_id, done_to = CASE WHEN CAST(:done AS boolean) THEN until_at ELSE done_to END
WHERE period_id = :period_id AND closed_at IS NULL;

-- name: remove_periods
-- does: removes the periods that a run was asked for which has done nothing
DELETE FROM sync_periods WHERE opened_by = :run_id;

-- name: remove_run
-- does: removes the record of a run which has done nothing
DELETE FROM sync_runs WHERE run_id = :run_id;
