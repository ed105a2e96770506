-- The ids of a window, each once, even if a call has copies.
-- `due_identifies` or `due_tracks` follows `all_users`; the next fragment reads `ids`.

-- name: due_identifies
-- does: gives each id of a window once, with its oldest time of arrival, NULL if unusable
-- dialect: sqlite
-- identifiers: id
-- words: in_window_or_null
, ids AS (
    SELECT CASE TYPEOF(:"id") WHEN 'blob' THEN NULL ELSE rehook_sync__id END AS message_id, MIN(rehook_sync__received_at) AS received_at, NULL AS event
    FROM calls
    WHERE {in_window_or_null: rehook_sync__received_at}
    GROUP BY 1
)

-- name: due_identifies
-- does: gives each id of a window once, with its oldest time of arrival, NULL if unusable
-- words: in_window_or_null
, ids AS (
    SELECT rehook_sync__id AS message_id, MIN(rehook_sync__received_at) AS received_at, NULL AS event
    FROM calls
    WHERE {in_window_or_null: rehook_sync__received_at}
    GROUP BY rehook_sync__id
)

-- name: due_tracks
-- does: gives each id of a window once, with its oldest time of arrival and its event
-- dialect: sqlite
-- identifiers: id, events
-- words: in_window_or_null
, ids AS (
    SELECT CASE TYPEOF(:"id") WHEN 'blob' THEN NULL ELSE rehook_sync__id END AS message_id, MIN(rehook_sync__received_at) AS received_at,
        MIN(COALESCE(:"events")) AS event
    FROM calls
    WHERE {in_window_or_null: rehook_sync__received_at}
    GROUP BY 1
)

-- name: due_tracks
-- does: gives each id of a window once, with its oldest time of arrival and its event
-- identifiers: events
-- words: in_window_or_null
, ids AS (
    SELECT rehook_sync__id AS message_id, MIN(rehook_sync__received_at) AS received_at, MIN(COALESCE(:"events")) AS event
    FROM calls
    WHERE {in_window_or_null: rehook_sync__received_at}
    GROUP BY rehook_sync__id
)

-- name: read_due
-- does: reads the ids of a window; one NULL stands for all calls without an id
SELECT message_id, received_at, event FROM ids;
