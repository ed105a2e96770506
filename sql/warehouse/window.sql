-- Reading the calls of a window, oldest first.

-- name: keep_calls
-- does: begins a statement whose rows are kept, in their order, in a table of the connection's own
-- dialect: sqlite
CREATE TEMP TABLE rehook_sync__calls AS

-- name: read_calls
-- does: reads the calls of a window, and those whose time is unusable, oldest first
-- dialect: sqlite
-- identifiers: columns
SELECT rehook_sync__received_at, rehook_sync__occurred_at, :"columns"
FROM calls
WHERE COALESCE(rehook_sync__received_at, :low) BETWEEN :low AND :last
ORDER BY COALESCE(rehook_sync__occurred_at, rehook_sync__received_at), rehook_sync__id;

-- name: read_calls
-- does: reads the calls of a window, and those whose time is unusable, oldest first
-- dialect: postgresql
-- identifiers: columns
SELECT rehook_sync__received_at, rehook_sync__occurred_at, :"columns"
FROM calls
WHERE (rehook_sync__received_at >= :low AND rehook_sync__received_at < :high) OR rehook_sync__received_at IS NULL
ORDER BY rehook_sync__occurred_at, rehook_sync__id COLLATE "C";

-- name: read_calls
-- does: reads the calls of a window, and those whose time is unusable, oldest first
-- identifiers: columns
SELECT rehook_sync__received_at, rehook_sync__occurred_at, :"columns"
FROM calls
WHERE (rehook_sync__received_at >= :low AND rehook_sync__received_at < :high) OR rehook_sync__received_at IS NULL
ORDER BY rehook_sync__occurred_at, rehook_sync__id;

-- name: read_kept_calls
-- does: reads the calls that were kept
-- dialect: sqlite
SELECT * FROM temp.rehook_sync__calls ORDER BY rowid;

-- name: read_newest
-- does: gives the newest time in a window
-- dialect: sqlite
SELECT MAX(rehook_sync__received_at) FROM calls WHERE rehook_sync__received_at BETWEEN :low AND :last;

-- name: read_newest
-- does: gives the newest time in a window
SELECT MAX(rehook_sync__received_at) FROM calls WHERE rehook_sync__received_at >= :low AND rehook_sync__received_at < :high;
