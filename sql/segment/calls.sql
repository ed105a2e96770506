-- Reading identifies and tracks. A statement is put together from four parts, on SQLite from five, in this order:
-- there `whole_table` or `near_window` (which rows are looked at; before it `keep_calls`, if what is read is kept), `timed` (times as times), `all_calls`, `new_calls` or `unjudged_calls` (with or without those in sync_state), `all_users` or `some_users`,
-- and what to do with them.
-- Computed columns are called rehook_sync__*: two underscores in a row are in no column that Segment makes.

-- name: keep_calls
-- does: begins a statement whose rows are kept, in their order, in a table of the connection's own
-- dialect: sqlite
CREATE TEMP TABLE rehook_sync__calls AS

-- name: read_kept_calls
-- does: reads the calls that were kept
-- dialect: sqlite
SELECT * FROM temp.rehook_sync__calls ORDER BY rowid;

-- name: whole_table
-- does: looks at every row
-- dialect: sqlite
-- identifiers: table
WITH looked_at AS (SELECT * FROM :"table")

-- name: near_window
-- does: looks, by an index if there is one, at the rows whose cursor stands near the window or after it as text, and at those where it is no text, or none that begins with a year of Segment's
-- dialect: sqlite
-- identifiers: table, cursor
WITH looked_at AS (
    SELECT * FROM :"table" AS near WHERE near.:"cursor" >= :near OR near.:"cursor" < '2010-' OR near.:"cursor" IS NULL
)

-- name: timed
-- does: gives each call its two times as text that sorts like time, in UTC with microseconds, and NULL for what is no time
-- dialect: sqlite
-- identifiers: cursor, times, id
, timed AS (
    SELECT
        r.*,
        CASE TYPEOF(r.rehook_sync__c) WHEN 'text' THEN rehook_sync__utc(CAST(r.rehook_sync__c AS BLOB)) END AS rehook_sync__received_at,
        CASE TYPEOF(r.rehook_sync__o) WHEN 'text' THEN rehook_sync__utc(CAST(r.rehook_sync__o AS BLOB)) END AS rehook_sync__occurred_at
    FROM (
        SELECT t.*, t.:"cursor" AS rehook_sync__c, COALESCE(:"times") AS rehook_sync__o, CAST(t.:"id" AS TEXT) COLLATE BINARY AS rehook_sync__id
        FROM looked_at AS t
    ) AS r
)

-- name: timed
-- does: gives each call its two times and its id as text
-- dialect: postgresql
-- identifiers: table, cursor, times, id
WITH timed AS (
    SELECT t.*, t.:"cursor" AS rehook_sync__received_at, COALESCE(:"times") AS rehook_sync__occurred_at, CAST(t.:"id" AS text) AS rehook_sync__id
    FROM :"table" AS t
)

-- name: timed
-- does: gives each call its two times and its id
-- identifiers: table, cursor, times, id
WITH timed AS (
    SELECT t.*, t.:"cursor" AS rehook_sync__received_at, COALESCE(:"times") AS rehook_sync__occurred_at, t.:"id" AS rehook_sync__id
    FROM :"table" AS t
)

-- name: all_calls
-- does: takes every call
, due AS (SELECT * FROM timed)

-- name: new_calls
-- does: leaves out the calls that sync_state has for the same days, or for none; they stand side by side in an index
-- dialect: sqlite
-- identifiers: known
, due AS (
    SELECT * FROM timed
    WHERE timed.rehook_sync__id IS NULL OR timed.rehook_sync__id NOT IN (
        SELECT dated.message_id FROM :"known" AS dated WHERE dated.stream = :stream AND dated.received_at BETWEEN :low AND :high
        UNION ALL
        SELECT undated.message_id FROM :"known" AS undated WHERE undated.stream = :stream AND undated.received_at IS NULL
    )
)

-- name: new_calls
-- does: leaves out the calls that sync_state has for the same days, or for none; they stand side by side in an index
-- identifiers: known
, due AS (
    SELECT * FROM timed
    WHERE NOT EXISTS (
        SELECT 1
        FROM (
            SELECT dated.message_id FROM :"known" AS dated WHERE dated.stream = :stream AND dated.received_at >= :low AND dated.received_at < :high
            UNION ALL
            SELECT undated.message_id FROM :"known" AS undated WHERE undated.stream = :stream AND undated.received_at IS NULL
        ) AS judged
        WHERE judged.message_id = timed.rehook_sync__id
    )
)

-- name: unjudged_calls
-- does: leaves out every call that sync_state has, looked up one by one
-- identifiers: known
, due AS (
    SELECT * FROM timed
    WHERE NOT EXISTS (SELECT 1 FROM :"known" AS known WHERE known.stream = :stream AND known.message_id = timed.rehook_sync__id)
)

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

-- name: read_newest
-- does: gives the newest time in a window
-- dialect: sqlite
SELECT MAX(rehook_sync__received_at) FROM calls WHERE rehook_sync__received_at BETWEEN :low AND :last;

-- name: read_newest
-- does: gives the newest time in a window
SELECT MAX(rehook_sync__received_at) FROM calls WHERE rehook_sync__received_at >= :low AND rehook_sync__received_at < :high;

-- name: count_calls
-- does: counts the ids of a window, and each call without an id
-- dialect: sqlite
SELECT COUNT(DISTINCT rehook_sync__id) + COUNT(*) - COUNT(rehook_sync__id)
FROM calls
WHERE COALESCE(rehook_sync__received_at, :low) BETWEEN :low AND :last;

-- name: count_calls
-- does: counts the ids of a window, and each call without an id
SELECT COUNT(DISTINCT rehook_sync__id) + COUNT(*) - COUNT(rehook_sync__id)
FROM calls
WHERE (rehook_sync__received_at >= :low AND rehook_sync__received_at < :high) OR rehook_sync__received_at IS NULL;

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

-- name: read_calls_by_id
-- does: reads the calls with these ids, oldest first
-- dialect: sqlite
-- identifiers: columns, key
SELECT rehook_sync__received_at, rehook_sync__occurred_at, :"columns"
FROM calls
WHERE :"key" IN (SELECT wanted.value FROM json_each(:ids) AS wanted)
ORDER BY COALESCE(rehook_sync__occurred_at, rehook_sync__received_at), rehook_sync__id;

-- name: read_calls_by_id
-- does: reads the calls with these ids, oldest first
-- dialect: postgresql
-- identifiers: columns, key
SELECT rehook_sync__received_at, rehook_sync__occurred_at, :"columns"
FROM calls
WHERE :"key" = ANY(:ids)
ORDER BY rehook_sync__occurred_at, rehook_sync__id COLLATE "C";

-- name: read_calls_by_id
-- does: reads the calls with these ids, oldest first
-- identifiers: columns, key
-- expanding: ids
SELECT rehook_sync__received_at, rehook_sync__occurred_at, :"columns"
FROM calls
WHERE :"key" IN :ids
ORDER BY rehook_sync__occurred_at, rehook_sync__id;

-- name: read_nameless_calls
-- does: reads the calls that have no id
-- identifiers: columns
SELECT rehook_sync__received_at, rehook_sync__occurred_at, :"columns"
FROM calls
WHERE rehook_sync__id IS NULL OR TRIM(rehook_sync__id) = ''
ORDER BY rehook_sync__occurred_at;

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
