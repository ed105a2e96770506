-- Reading the calls of a window, oldest first.

-- name: keep_calls
-- does: begins a statement whose rows are kept, in order, in a temporary table
-- dialect: sqlite
CREATE TEMP TABLE rehook_sync__calls AS

-- name: read_calls
-- does: reads the calls of a window and those without a usable time, oldest first
-- identifiers: columns
-- words: in_window_or_null, bytes_order
SELECT rehook_sync__received_at, rehook_sync__occurred_at, :"columns"
FROM calls
WHERE {in_window_or_null: rehook_sync__received_at}
ORDER BY COALESCE(rehook_sync__occurred_at, rehook_sync__received_at), rehook_sync__id {bytes_order};

-- name: read_kept_calls
-- does: reads the kept calls, in order
-- dialect: sqlite
SELECT * FROM temp.rehook_sync__calls ORDER BY rowid;

-- name: find_time
-- does: tells whether there is a call with a usable time of arrival, and whether there is a call at all
SELECT EXISTS (SELECT 1 FROM calls WHERE rehook_sync__received_at IS NOT NULL), EXISTS (SELECT 1 FROM calls);

-- name: count_from
-- does: counts the calls from a time on, a thousand at most
SELECT COUNT(*) FROM (SELECT 1 FROM calls WHERE rehook_sync__received_at >= :low LIMIT 1000) AS later;

-- name: read_newest
-- does: gives the newest time of arrival in a window
-- words: in_window
SELECT MAX(rehook_sync__received_at) FROM calls WHERE {in_window: rehook_sync__received_at};
