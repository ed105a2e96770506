-- The shards of a run.

-- name: insert_shards
-- does: records the shards of a run; what was found before they begin is kept with the first
-- words: rows
INSERT INTO sync_shards (run_id, shard, low_user, high_user, plan, status, findings)
SELECT :run_id, CAST(r.value ->> 'shard' AS integer), r.value ->> 'low_user', r.value ->> 'high_user', :plan, :status,
    CASE WHEN CAST(r.value ->> 'shard' AS integer) = 0 THEN CAST(:findings AS text) END
FROM {rows: :rows} AS r;

-- name: read_shards
-- does: gives the shards of a run in order
SELECT shard, low_user, high_user, plan, status, requests, rows_identifies, rows_tracks, error, findings FROM sync_shards
WHERE run_id = :run_id ORDER BY shard;

-- name: begin_shard
-- does: records that a shard is running
UPDATE sync_shards SET status = 'running', error = NULL, finished_at = NULL WHERE run_id = :run_id AND shard = :shard;

-- name: finish_shard
-- does: records how an attempt at a shard ended; requests and rows of all attempts add up
-- words: clock
UPDATE sync_shards
SET status = :status, error = :error, findings = :findings, finished_at = {clock}, requests = requests + :requests,
    rows_identifies = rows_identifies + :rows_identifies, rows_tracks = rows_tracks + :rows_tracks
WHERE run_id = :run_id AND shard = :shard;
