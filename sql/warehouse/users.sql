-- Whose calls are read, and how users are cut into shards.

-- name: all_users
-- does: selects the calls of every user
, calls AS (SELECT * FROM due)

-- name: some_users
-- does: selects the calls of a range of users, by the bytes of their ids; calls without a user are in the first range
-- identifiers: user
-- words: text_type, bytes_order
, calls AS (
    SELECT * FROM due
    WHERE COALESCE(CAST(:"user" AS {text_type}), '') {bytes_order} >= :low_user
        AND (CAST(:high_user AS {text_type}) IS NULL OR COALESCE(CAST(:"user" AS {text_type}), '') {bytes_order} < CAST(:high_user AS {text_type}))
)

-- name: read_user_tiles
-- does: cuts the users of a window into tiles of about as many calls; gives the first user and the calls of each
-- identifiers: user
-- words: bytes_order, text_type, in_window_or_null
SELECT MIN(u.rehook_sync__user {bytes_order}), COUNT(*)
FROM (
    SELECT named.rehook_sync__user, NTILE(:tiles) OVER (ORDER BY named.rehook_sync__user {bytes_order}) AS tile
    FROM (
        SELECT COALESCE(CAST(:"user" AS {text_type}), '') AS rehook_sync__user FROM calls
        WHERE {in_window_or_null: rehook_sync__received_at}
    ) AS named
) AS u
GROUP BY u.tile ORDER BY u.tile;

-- name: read_calls_of_user
-- does: reads calls with this user id, newest first, up to a limit
-- identifiers: columns, user
-- words: text_type, bytes_order
SELECT rehook_sync__received_at, rehook_sync__occurred_at, :"columns"
FROM calls
WHERE CAST(:"user" AS {text_type}) = :user_id
ORDER BY COALESCE(rehook_sync__occurred_at, rehook_sync__received_at) DESC NULLS LAST, rehook_sync__id {bytes_order}
LIMIT :rows;
