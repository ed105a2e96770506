-- The shards of a run.

-- name: insert_shards
-- does: writes down the parts of a run
-- dialect: postgresql
INSERT INTO sync_shards (run_id, shard, low_user, high_user, plan, status)
SELECT :run_id, shard, low_user, high_user, :plan, :status
FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS r (shard integer, low_user text, high_user text);

-- name: insert_shards
-- does: writes down the parts of a run
-- dialect: sqlite
INSERT INTO sync_shards (run_id, shard, low_user, high_user, plan, status)
SELECT :run_id, value ->> 'shard', value ->> 'low_user', value ->> 'high_user', :plan, :status FROM json_each(:rows);

-- name: read_shards
-- does: gives the parts of a run in order
SELECT shard, low_user, high_user, plan, status, requests, rows_identifies, rows_tracks, error FROM sync_shards
WHERE run_id = :run_id ORDER BY shard;

-- name: begin_shard
-- does: notes that a part is at work
UPDATE sync_shards SET status = 'running', error = NULL, finished_at = NULL WHERE run_id = :run_id AND shard = :shard;

-- name: finish_shard
-- does: notes how a part ended; requests and rows of several attempts add up
UPDATE sync_shards
SET status = :status, error = :error, finished_at = :finished_at, requests = requests + :requests,
    rows_identifies = rows_identifies + :rows_identifies, rows_tracks = rows_tracks + :rows_tracks
WHERE run_id = :run_id AND shard = :shard;
