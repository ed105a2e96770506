-- name: count_recorded
-- does: counts the recorded calls of a window by day and event
-- dialect: postgresql
SELECT CAST(CAST(s.received_at AS date) AS text) AS day, s.event, count(*) AS n FROM sync_state AS s
WHERE s.stream = :stream AND (CAST(:low AS timestamptz) IS NULL OR s.received_at >= CAST(:low AS timestamptz)) AND s.received_at < :high
GROUP BY 1, 2;

-- name: count_recorded
-- does: counts the recorded calls of a window by day and event
-- dialect: sqlite
SELECT substr(s.received_at, 1, 10) AS day, s.event, count(*) AS n FROM sync_state AS s
WHERE s.stream = :stream AND (:low IS NULL OR s.received_at >= :low) AND s.received_at < :high
GROUP BY 1, 2;
