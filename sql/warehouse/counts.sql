-- Counting calls.

-- name: count_judged
-- does: counts the ids of a window that sync_state has of this source, by day, event and status, and by the recorded day and event
-- dialect: sqlite
-- identifiers: recorded
SELECT SUBSTR(ids.received_at, 1, 10) AS day, ids.event, known.status, SUBSTR(known.received_at, 1, 10) AS recorded_day,
    known.event AS recorded_event, known.received_at >= :low AND known.received_at < :high AS recorded_within, COUNT(*) AS n
FROM ids JOIN :"recorded" AS known ON known.stream = :stream AND known.message_id = ids.message_id AND known.source = :source
GROUP BY 1, 2, 3, 4, 5, 6;

-- name: count_judged
-- does: counts the ids of a window that sync_state has of this source, by day, event and status, and by the recorded day and event
-- dialect: postgresql
-- identifiers: recorded
-- Without statistics, a second plain equality would promise a single row, which is then compared with each id.
SELECT CAST(CAST(ids.received_at AS date) AS text) AS day, ids.event, known.status,
    CAST(CAST(known.received_at AS date) AS text) AS recorded_day, known.event AS recorded_event,
    known.received_at >= :low AND known.received_at < :high AS recorded_within, COUNT(*) AS n
FROM ids JOIN :"recorded" AS known ON known.stream = :stream AND known.message_id = ids.message_id
    AND COALESCE(known.source = :source, false)
GROUP BY 1, 2, 3, 4, 5, 6;
