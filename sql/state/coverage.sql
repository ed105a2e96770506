-- name: read_judged
-- does: gives what is recorded of these message ids
-- dialect: postgresql
SELECT s.message_id, s.status, s.event, s.received_at FROM sync_state AS s
WHERE s.stream = :stream AND s.message_id IN (SELECT jsonb_array_elements_text(CAST(:ids AS jsonb)));

-- name: read_judged
-- does: gives what is recorded of these message ids
-- dialect: sqlite
SELECT s.message_id, s.status, s.event, s.received_at FROM json_each(:ids) AS wanted
JOIN sync_state AS s ON s.stream = :stream AND s.message_id = wanted.value;

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
