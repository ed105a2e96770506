-- How far runs got.

-- name: read_coverage
-- does: gives what earlier runs of a stream of a source covered without a gap: watermark, first lower bound, and number of runs over all history
WITH seen AS (
    SELECT w.low_at, w.high_at, r.until_at, row_number() OVER (ORDER BY w.recorded_at, w.run_id) AS place
    FROM sync_watermarks AS w JOIN sync_runs AS r ON r.run_id = w.run_id
    WHERE w.source = :source AND w.stream = :stream AND w.high_at IS NOT NULL
), joined AS (
    SELECT low_at FROM seen
    WHERE place = 1 OR until_at IS NULL OR until_at >= (SELECT min(low_at) FROM seen WHERE place = 1 OR until_at IS NULL)
)
SELECT (SELECT max(high_at) FROM seen) AS watermark, (SELECT min(low_at) FROM joined) AS origin,
    (SELECT count(*) FROM joined WHERE low_at IS NULL) AS unbounded;

-- name: insert_watermark
-- does: records how far one run got in one stream of one source; replaces the record when a run in shards is resumed
INSERT INTO sync_watermarks (run_id, source, stream, low_at, high_at, rows_new, recorded_at, lacks_table)
VALUES (:run_id, :source, :stream, :low_at, :high_at, :rows_new, :recorded_at, :lacks_table)
ON CONFLICT (run_id, source, stream) DO UPDATE
SET high_at = excluded.high_at, rows_new = excluded.rows_new, recorded_at = excluded.recorded_at, lacks_table = excluded.lacks_table;

-- name: read_last_watermarks
-- does: gives the newest watermark record of each stream of each source
SELECT newest.source, newest.stream, newest.run_id, newest.low_at, newest.high_at, newest.rows_new, newest.recorded_at,
    newest.lacks_table
FROM (
    SELECT w.source, w.stream, w.run_id, w.low_at, w.high_at, w.rows_new, w.recorded_at, w.lacks_table,
        row_number() OVER (PARTITION BY w.source, w.stream ORDER BY w.recorded_at DESC, w.run_id DESC) AS place
    FROM sync_watermarks AS w
) AS newest
WHERE newest.place = 1 ORDER BY newest.source, newest.stream;

-- name: read_watermarks_of_run
-- does: gives how far one run got, by stream and source
SELECT source, stream, high_at FROM sync_watermarks WHERE run_id = :run_id ORDER BY source, stream;

-- name: read_feeds
-- does: lists the streams of sources that some run has got through, or was asked for a period of
SELECT w.source, w.stream FROM sync_watermarks AS w WHERE w.high_at IS NOT NULL
UNION
SELECT p.source, p.stream FROM sync_periods AS p
ORDER BY source, stream;
