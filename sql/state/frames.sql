-- The rows of the DataFrames for notebooks: each statement is a snapshot. Lists are JSON; NULL: any.

-- name: frame_calls
-- does: lists the calls with these statuses, reasons, streams, sources and events, by time of arrival
-- words: bytes_order, ids
SELECT s.stream, s.message_id, s.user_id, s.event, s.received_at, s.occurred_at, s.status, s.reason, s.detail, s.http_status,
    s.attempts, s.sent_as, s.run_id, s.first_seen_at, s.settled_at, s.source
FROM sync_state AS s
WHERE (CAST(:statuses AS text) IS NULL OR s.status IN (SELECT meant.value FROM {ids: :statuses} AS meant))
    AND (CAST(:reasons AS text) IS NULL OR s.reason IN (SELECT meant.value FROM {ids: :reasons} AS meant))
    AND (CAST(:streams AS text) IS NULL OR s.stream IN (SELECT meant.value FROM {ids: :streams} AS meant))
    AND (CAST(:sources AS text) IS NULL OR s.source IN (SELECT meant.value FROM {ids: :sources} AS meant))
    AND (CAST(:events AS text) IS NULL OR s.event IN (SELECT meant.value FROM {ids: :events} AS meant))
ORDER BY CASE WHEN s.received_at IS NULL THEN 1 ELSE 0 END, s.received_at, s.stream {bytes_order}, s.message_id {bytes_order};

-- name: frame_calls_by_time
-- does: lists the same of those that arrived between two times; of each stream there is, by index
-- words: by_index, bytes_order, ids
WITH RECURSIVE known (stream) AS (
    SELECT min(first.stream) FROM sync_state AS first
    UNION ALL
    SELECT (SELECT min(more.stream) FROM sync_state AS more WHERE more.stream > known.stream) FROM known WHERE known.stream IS NOT NULL
)
SELECT s.stream, s.message_id, s.user_id, s.event, s.received_at, s.occurred_at, s.status, s.reason, s.detail, s.http_status,
    s.attempts, s.sent_as, s.run_id, s.first_seen_at, s.settled_at, s.source
FROM known JOIN sync_state AS s {by_index: sync_state_by_time} ON s.stream = known.stream
WHERE s.received_at >= :low AND s.received_at < :high
    AND (CAST(:statuses AS text) IS NULL OR s.status IN (SELECT meant.value FROM {ids: :statuses} AS meant))
    AND (CAST(:reasons AS text) IS NULL OR s.reason IN (SELECT meant.value FROM {ids: :reasons} AS meant))
    AND (CAST(:streams AS text) IS NULL OR known.stream IN (SELECT meant.value FROM {ids: :streams} AS meant))
    AND (CAST(:sources AS text) IS NULL OR s.source IN (SELECT meant.value FROM {ids: :sources} AS meant))
    AND (CAST(:events AS text) IS NULL OR s.event IN (SELECT meant.value FROM {ids: :events} AS meant))
ORDER BY s.received_at, s.stream {bytes_order}, s.message_id {bytes_order};

-- name: frame_calls_of_users
-- does: lists the same of these users, by index; if there is a period, those that arrived between two times
-- words: bytes_order, ids
SELECT s.stream, s.message_id, s.user_id, s.event, s.received_at, s.occurred_at, s.status, s.reason, s.detail, s.http_status,
    s.attempts, s.sent_as, s.run_id, s.first_seen_at, s.settled_at, s.source
FROM sync_state AS s
WHERE s.user_id IN (SELECT meant.value FROM {ids: :users} AS meant)
    AND (CAST(:period AS text) IS NULL OR (s.received_at >= :low AND s.received_at < :high))
    AND (CAST(:statuses AS text) IS NULL OR s.status IN (SELECT meant.value FROM {ids: :statuses} AS meant))
    AND (CAST(:reasons AS text) IS NULL OR s.reason IN (SELECT meant.value FROM {ids: :reasons} AS meant))
    AND (CAST(:streams AS text) IS NULL OR s.stream IN (SELECT meant.value FROM {ids: :streams} AS meant))
    AND (CAST(:sources AS text) IS NULL OR s.source IN (SELECT meant.value FROM {ids: :sources} AS meant))
    AND (CAST(:events AS text) IS NULL OR s.event IN (SELECT meant.value FROM {ids: :events} AS meant))
ORDER BY CASE WHEN s.received_at IS NULL THEN 1 ELSE 0 END, s.received_at, s.stream {bytes_order}, s.message_id {bytes_order};

-- name: frame_runs
-- does: lists the runs that started between two times, with these kinds and states, oldest first
-- words: ids
SELECT r.run_id, r.kind, r.trigger, r.status, r.since_at, r.until_at, r.started_at, r.finished_at, r.duration_s, r.rows_read, r.sent,
    r.unchanged, r.merged, r.skipped, r.rejected, r.failed, r.waiting, r.in_doubt, r.requests, r.open_periods, r.error, r.version
FROM v1_runs AS r
WHERE r.started_at >= :low AND r.started_at < :high
    AND (CAST(:kinds AS text) IS NULL OR r.kind IN (SELECT meant.value FROM {ids: :kinds} AS meant))
    AND (CAST(:statuses AS text) IS NULL OR r.status IN (SELECT meant.value FROM {ids: :statuses} AS meant))
ORDER BY r.started_at, r.run_id;
