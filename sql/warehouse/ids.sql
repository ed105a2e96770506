-- Reading calls by id, and calls without a usable id.

-- name: read_calls_by_id
-- does: reads the calls with these ids, oldest first
-- identifiers: columns, key
-- words: among, bytes_order
SELECT rehook_sync__received_at, rehook_sync__occurred_at, :"columns"
FROM calls
WHERE :"key" {among: :ids}
ORDER BY COALESCE(rehook_sync__occurred_at, rehook_sync__received_at), rehook_sync__id {bytes_order};

-- name: read_nameless_calls
-- does: reads the calls whose id is NULL or blank, oldest first
-- identifiers: columns
SELECT rehook_sync__received_at, rehook_sync__occurred_at, :"columns"
FROM calls
WHERE rehook_sync__id IS NULL OR TRIM(rehook_sync__id) = ''
ORDER BY rehook_sync__occurred_at;

-- name: read_unusable_ids
-- does: reads the calls of a window without an id, and those with one of these unusable ids
-- dialect: sqlite
-- identifiers: columns, id
-- words: in_window_or_null
-- Ids come as the bytes of their text: JSON loses what follows a NUL, and holds no text that is no UTF-8.
SELECT rehook_sync__received_at, rehook_sync__occurred_at, :"columns"
FROM calls
WHERE {in_window_or_null: rehook_sync__received_at}
    AND (rehook_sync__id IS NULL OR TYPEOF(:"id") = 'blob'
        OR HEX(CAST(rehook_sync__id AS BLOB)) IN (SELECT odd.value FROM json_each(:ids) AS odd));

-- name: read_unusable_ids
-- does: reads the calls of a window without an id, and those with one of these unusable ids
-- identifiers: columns
-- words: in_window_or_null, among
SELECT rehook_sync__received_at, rehook_sync__occurred_at, :"columns"
FROM calls
WHERE {in_window_or_null: rehook_sync__received_at}
    AND (rehook_sync__id IS NULL OR rehook_sync__id {among: :ids});
