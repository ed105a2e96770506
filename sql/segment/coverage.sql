-- Holding the warehouse against sync_state: statements over the different ids of a window, whatever copies there are of each.
-- They follow `timed` and `all_calls` or `unjudged_calls`; `due_identifies` or `due_tracks` gives each id once.

-- name: due_identifies
-- does: gives each id of a window once, with its oldest time of arrival; the time NULL where it is unusable
-- dialect: sqlite
-- identifiers: id
, ids AS (
    SELECT CASE TYPEOF(:"id") WHEN 'blob' THEN NULL ELSE rehook_sync__id END AS message_id, MIN(rehook_sync__received_at) AS received_at, NULL AS event
    FROM calls
    WHERE COALESCE(rehook_sync__received_at, :low) BETWEEN :low AND :last
    GROUP BY 1
)

-- name: due_identifies
-- does: gives each id of a window once, with its oldest time of arrival; the time NULL where it is unusable
, ids AS (
    SELECT rehook_sync__id AS message_id, MIN(rehook_sync__received_at) AS received_at, NULL AS event
    FROM calls
    WHERE (rehook_sync__received_at >= :low AND rehook_sync__received_at < :high) OR rehook_sync__received_at IS NULL
    GROUP BY rehook_sync__id
)

-- name: due_tracks
-- does: gives each id of a window once, with its oldest time of arrival and its event
-- dialect: sqlite
-- identifiers: id, events
, ids AS (
    SELECT CASE TYPEOF(:"id") WHEN 'blob' THEN NULL ELSE rehook_sync__id END AS message_id, MIN(rehook_sync__received_at) AS received_at,
        MIN(COALESCE(:"events")) AS event
    FROM calls
    WHERE COALESCE(rehook_sync__received_at, :low) BETWEEN :low AND :last
    GROUP BY 1
)

-- name: due_tracks
-- does: gives each id of a window once, with its oldest time of arrival and its event
-- identifiers: events
, ids AS (
    SELECT rehook_sync__id AS message_id, MIN(rehook_sync__received_at) AS received_at, MIN(COALESCE(:"events")) AS event
    FROM calls
    WHERE (rehook_sync__received_at >= :low AND rehook_sync__received_at < :high) OR rehook_sync__received_at IS NULL
    GROUP BY rehook_sync__id
)

-- name: read_due
-- does: reads the ids of a window; one NULL stands for all calls without an id
SELECT message_id, received_at, event FROM ids;

-- name: count_judged
-- does: counts the ids of a window that sync_state has, by day, event and status, and by what sync_state says of day and event
-- dialect: sqlite
-- identifiers: recorded
SELECT SUBSTR(ids.received_at, 1, 10) AS day, ids.event, known.status, SUBSTR(known.received_at, 1, 10) AS recorded_day,
    known.event AS recorded_event, known.received_at >= :low AND known.received_at < :high AS recorded_within, COUNT(*) AS n
FROM ids JOIN :"recorded" AS known ON known.stream = :stream AND known.message_id = ids.message_id
GROUP BY 1, 2, 3, 4, 5, 6;

-- name: count_judged
-- does: counts the ids of a window that sync_state has, by day, event and status, and by what sync_state says of day and event
-- dialect: postgresql
-- identifiers: recorded
SELECT CAST(CAST(ids.received_at AS date) AS text) AS day, ids.event, known.status,
    CAST(CAST(known.received_at AS date) AS text) AS recorded_day, known.event AS recorded_event,
    known.received_at >= :low AND known.received_at < :high AS recorded_within, COUNT(*) AS n
FROM ids JOIN :"recorded" AS known ON known.stream = :stream AND known.message_id = ids.message_id
GROUP BY 1, 2, 3, 4, 5, 6;

-- name: read_unusable_ids
-- does: reads the calls of a window without an id, and those whose ids cannot be used
-- dialect: sqlite
-- identifiers: columns, id
SELECT rehook_sync__received_at, rehook_sync__occurred_at, :"columns"
FROM calls
WHERE COALESCE(rehook_sync__received_at, :low) BETWEEN :low AND :last
    AND (rehook_sync__id IS NULL OR TYPEOF(:"id") = 'blob' OR rehook_sync__id IN (SELECT odd.value FROM json_each(:ids) AS odd));

-- name: read_unusable_ids
-- does: reads the calls of a window without an id, and those whose ids cannot be used
-- dialect: postgresql
-- identifiers: columns
SELECT rehook_sync__received_at, rehook_sync__occurred_at, :"columns"
FROM calls
WHERE ((rehook_sync__received_at >= :low AND rehook_sync__received_at < :high) OR rehook_sync__received_at IS NULL)
    AND (rehook_sync__id IS NULL OR rehook_sync__id = ANY(:ids));

-- name: read_unusable_ids
-- does: reads the calls of a window without an id, and those whose ids cannot be used
-- identifiers: columns
-- expanding: ids
SELECT rehook_sync__received_at, rehook_sync__occurred_at, :"columns"
FROM calls
WHERE ((rehook_sync__received_at >= :low AND rehook_sync__received_at < :high) OR rehook_sync__received_at IS NULL)
    AND (rehook_sync__id IS NULL OR rehook_sync__id IN :ids);
