-- Whose calls are taken, and how users are cut into shards.

-- name: all_users
-- does: takes the calls of every user
, calls AS (SELECT * FROM due)

-- name: some_users
-- does: takes the calls of a range of users, by the bytes of their ids; those without a user belong to the first range
-- dialect: sqlite
-- identifiers: user
, calls AS (
    SELECT * FROM due
    WHERE COALESCE(CAST(:"user" AS TEXT), '') COLLATE BINARY >= :low_user
        AND (:high_user IS NULL OR COALESCE(CAST(:"user" AS TEXT), '') COLLATE BINARY < :high_user)
)

-- name: some_users
-- does: takes the calls of a range of users, by the bytes of their ids; those without a user belong to the first range
-- dialect: postgresql
-- identifiers: user
, calls AS (
    SELECT * FROM due
    WHERE COALESCE(CAST(:"user" AS text), '') COLLATE "C" >= :low_user
        AND (CAST(:high_user AS text) IS NULL OR COALESCE(CAST(:"user" AS text), '') COLLATE "C" < CAST(:high_user AS text))
)

-- name: some_users
-- does: takes the calls of a range of users; those without a user belong to the first range
-- identifiers: user
, calls AS (
    SELECT * FROM due
    WHERE COALESCE(CAST(:"user" AS VARCHAR), '') >= :low_user
        AND (CAST(:high_user AS VARCHAR) IS NULL OR COALESCE(CAST(:"user" AS VARCHAR), '') < CAST(:high_user AS VARCHAR))
)

-- name: read_user_tiles
-- does: cuts the users of a window into tiles of about as many calls: the first user of each and its calls
-- dialect: sqlite
-- identifiers: user
SELECT MIN(u.rehook_sync__user COLLATE BINARY), COUNT(*)
FROM (
    SELECT named.rehook_sync__user, NTILE(:tiles) OVER (ORDER BY named.rehook_sync__user COLLATE BINARY) AS tile
    FROM (
        SELECT COALESCE(CAST(:"user" AS TEXT), '') AS rehook_sync__user FROM calls
        WHERE COALESCE(rehook_sync__received_at, :low) BETWEEN :low AND :last
    ) AS named
) AS u
GROUP BY u.tile ORDER BY u.tile;

-- name: read_user_tiles
-- does: cuts the users of a window into tiles of about as many calls: the first user of each and its calls
-- dialect: postgresql
-- identifiers: user
SELECT MIN(u.rehook_sync__user COLLATE "C"), COUNT(*)
FROM (
    SELECT named.rehook_sync__user, NTILE(:tiles) OVER (ORDER BY named.rehook_sync__user COLLATE "C") AS tile
    FROM (
        SELECT COALESCE(CAST(:"user" AS text), '') AS rehook_sync__user FROM calls
        WHERE (rehook_sync__received_at >= :low AND rehook_sync__received_at < :high) OR rehook_sync__received_at IS NULL
    ) AS named
) AS u
GROUP BY u.tile ORDER BY u.tile;

-- name: read_user_tiles
-- does: cuts the users of a window into tiles of about as many calls: the first user of each and its calls
-- identifiers: user
SELECT MIN(u.rehook_sync__user), COUNT(*)
FROM (
    SELECT named.rehook_sync__user, NTILE(:tiles) OVER (ORDER BY named.rehook_sync__user) AS tile
    FROM (
        SELECT COALESCE(CAST(:"user" AS VARCHAR), '') AS rehook_sync__user FROM calls
        WHERE (rehook_sync__received_at >= :low AND rehook_sync__received_at < :high) OR rehook_sync__received_at IS NULL
    ) AS named
) AS u
GROUP BY u.tile ORDER BY u.tile;

-- name: read_calls_of_user
-- does: reads calls with this user id, newest first, so many at most
-- dialect: sqlite
-- identifiers: columns, user
SELECT rehook_sync__received_at, rehook_sync__occurred_at, :"columns"
FROM calls
WHERE CAST(:"user" AS TEXT) = :user_id
ORDER BY COALESCE(rehook_sync__occurred_at, rehook_sync__received_at) DESC, rehook_sync__id
LIMIT :rows;

-- name: read_calls_of_user
-- does: reads calls with this user id, newest first, so many at most
-- dialect: postgresql
-- identifiers: columns, user
SELECT rehook_sync__received_at, rehook_sync__occurred_at, :"columns"
FROM calls
WHERE CAST(:"user" AS text) = :user_id
ORDER BY rehook_sync__occurred_at DESC NULLS LAST, rehook_sync__id COLLATE "C"
LIMIT :rows;

-- name: read_calls_of_user
-- does: reads calls with this user id, newest first, so many at most
-- identifiers: columns, user
SELECT rehook_sync__received_at, rehook_sync__occurred_at, :"columns"
FROM calls
WHERE :"user" = :user_id
ORDER BY rehook_sync__occurred_at DESC, rehook_sync__id
LIMIT :rows;
