-- How a statement over calls begins: which rows are looked at, and their times as times.
-- A statement is put together from parts, in this order: `whole_table` or `near_window` (SQLite only); `timed`; a part of known.sql;
-- `all_users` or `some_users`; and what to do with the calls. `keep_calls` stands before all of it when the rows are kept.
-- Computed columns are called rehook_sync__*: two underscores in a row are in no column that Segment makes.

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
-- The function gets bytes: SQLite ends the statement rather than hand over text that is no UTF-8.
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
