-- What people were told of, and what decides whether they are to be told.

-- name: read_notices
-- does: lists the states that people were told of and not yet told that they are over
SELECT state, run_id, told_at FROM sync_notices ORDER BY state;

-- name: record_notice
-- does: records that people were told of a state; it keeps the time of the first message
-- words: now
INSERT INTO sync_notices (state, run_id, told_at) VALUES (:state, :run_id, {now}) ON CONFLICT (state) DO NOTHING;

-- name: drop_notice
-- does: records that people were told that a state is over
DELETE FROM sync_notices WHERE state = :state;

-- name: count_for_notices
-- does: counts the calls that wait now, and the rows of the runs that began since a time, and how many of these they rejected
SELECT (SELECT count(*) FROM sync_state WHERE status = 'waiting') AS waiting, coalesce(sum(r.rows_read), 0) AS rows_read,
    coalesce(sum(r.rejected), 0) AS rejected
FROM sync_runs AS r WHERE r.kind = 'run' AND r.started_at >= :since;
