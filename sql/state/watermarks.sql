-- How far runs got.

-- name: read_coverage
-- does: gives what earlier runs of a stream covered without a gap: watermark, first lower bound, and number of runs over all history
WITH seen AS (
    SELECT w.low_at, w.high_at, r.until_at, row_number() OVER (ORDER BY w.recorded_at, w.run_id) AS place
    FROM sync_watermarks AS w JOIN sync_runs AS r ON r.run_id = w.run_id
    WHERE w.stream = :stream AND w.high_at IS NOT NULL
), joined AS (
    SELECT low_at FROM seen
    WHERE place = 1 OR until_at IS NULL OR until_at >= (SELECT min(low_at) FROM seen WHERE place = 1 OR until_at IS NULL)
)
SELECT (SELECT max(high_at) FROM seen) AS watermark, (SELECT min(low_at) FROM joined) AS origin,
    (SELECT count(*) FROM joined WHERE low_at IS NULL) AS unbounded;

-- name: insert_watermark
-- does: records how far one run got in one stream; replaces the record when a run in shards is resumed
INSERT INTO sync_watermarks (run_id, stream, low_at, high_at, rows_new, recorded_at)
VALUES (:run_id, :stream, :low_at, :high_at, :rows_new, :recorded_at)
ON CONFLICT (run_id, stream) DO UPDATE SET high_at = excluded.high_at, rows_new = excluded.rows_new, recorded_at = excluded.recorded_at;

-- name: read_last_watermarks
-- does: gives the newest watermark record of one stream
SELECT w.stream, w.run_id, w.low_at, w.high_at, w.rows_new, w.recorded_at FROM sync_watermarks AS w
WHERE w.stream = :stream ORDER BY w.recorded_at DESC, w.run_id DESC LIMIT 1;
