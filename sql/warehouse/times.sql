-- The beginning of a statement over calls: which rows are read, and their times.
-- A statement is joined from fragments in this order: `whole_table` or `near_window` where the cursor may be text; `timed`, or what it is
-- called for other types; one of known.sql; `all_users` or `some_users`; and what to do with the calls.
-- Computed columns are called rehook_sync__*: no column that Segment makes has two underscores in a row.

-- name: whole_table
-- does: reads every row
-- identifiers: table
WITH looked_at AS (SELECT * FROM :"table")

-- name: near_window
-- does: reads, by an index if there is one, the rows whose cursor as text is near or after the start of the window, is before 2010, or is no text
-- dialect: sqlite
-- identifiers: table, cursor
WITH looked_at AS (
    SELECT * FROM :"table" AS near WHERE near.:"cursor" >= :near OR near.:"cursor" < '2010-' OR near.:"cursor" IS NULL
)

-- name: near_window
-- does: does the same where the cursor is kept as text or number
-- identifiers: table, cursor
-- words: text_type, bytes_order
WITH looked_at AS (
    SELECT * FROM :"table" AS near
    WHERE CAST(near.:"cursor" AS {text_type}) {bytes_order} >= :near OR CAST(near.:"cursor" AS {text_type}) {bytes_order} < '2010-' OR near.:"cursor" IS NULL
)

-- name: ingested_since
-- does: stands for a table that is partitioned by the day of its loading: the rows since a day, and those just streamed in, which have none
-- dialect: bigquery
-- identifiers: table
(SELECT * FROM :"table" WHERE _PARTITIONTIME >= TIMESTAMP_TRUNC(:loaded_from, DAY) OR _PARTITIONTIME IS NULL);

-- name: partitioned_since
-- does: stands for a table that is partitioned by a column: the rows since a time, and those without one
-- dialect: bigquery
-- identifiers: table, partition
(SELECT * FROM :"table" WHERE :"partition" >= :loaded_from OR :"partition" IS NULL);

-- name: timed
-- does: adds to each call its id and user as text, and its two times as UTC text that sorts like time, NULL if no time
-- dialect: sqlite
-- identifiers: cursor, times, id, user_id
-- words: moment
, timed AS (
    SELECT r.*, {moment: r.rehook_sync__c} AS rehook_sync__received_at, {moment: r.rehook_sync__o} AS rehook_sync__occurred_at
    FROM (
        SELECT t.*, t.:"cursor" AS rehook_sync__c, COALESCE(:"times") AS rehook_sync__o, CAST(t.:"id" AS TEXT) COLLATE BINARY AS rehook_sync__id,
            CAST(t.:"user_id" AS TEXT) AS rehook_sync__user
        FROM looked_at AS t
    ) AS r
)

-- name: timed_numbers
-- does: does the same where ids or users may be numbers with decimals
-- dialect: sqlite
-- identifiers: cursor, times, id, user_id
-- words: moment, key_text
, timed AS (
    SELECT r.*, {moment: r.rehook_sync__c} AS rehook_sync__received_at, {moment: r.rehook_sync__o} AS rehook_sync__occurred_at
    FROM (
        SELECT t.*, t.:"cursor" AS rehook_sync__c, COALESCE(:"times") AS rehook_sync__o, {key_text: t.:"id"} COLLATE BINARY AS rehook_sync__id,
            {key_text: t.:"user_id"} AS rehook_sync__user
        FROM looked_at AS t
    ) AS r
)

-- name: timed
-- does: adds to each call its two times, and its id and user as text
-- identifiers: table, cursor, times, id, user_id
-- words: text_type
WITH timed AS (
    SELECT t.*, t.:"cursor" AS rehook_sync__received_at, COALESCE(:"times") AS rehook_sync__occurred_at, CAST(t.:"id" AS {text_type}) AS rehook_sync__id,
        CAST(t.:"user_id" AS {text_type}) AS rehook_sync__user
    FROM :"table" AS t
)

-- name: timed_numbers
-- does: does the same where ids or users are numbers with decimals
-- identifiers: table, cursor, times, id, user_id
-- words: key_text
WITH timed AS (
    SELECT t.*, t.:"cursor" AS rehook_sync__received_at, COALESCE(:"times") AS rehook_sync__occurred_at, {key_text: t.:"id"} AS rehook_sync__id,
        {key_text: t.:"user_id"} AS rehook_sync__user
    FROM :"table" AS t
)

-- name: timed
-- does: adds to each call its two times, and its id and user as text; a year that Python lacks is no time
-- dialect: databricks
-- identifiers: table, cursor, times, id, user_id
-- words: text_type
WITH timed AS (
    SELECT t.*, t.:"cursor" AS rehook_sync__received_at,
        CASE WHEN YEAR(COALESCE(:"times")) BETWEEN 1 AND 9999 THEN COALESCE(:"times") END AS rehook_sync__occurred_at,
        CAST(t.:"id" AS {text_type}) AS rehook_sync__id, CAST(t.:"user_id" AS {text_type}) AS rehook_sync__user
    FROM :"table" AS t
)

-- name: timed_numbers
-- does: does the same where ids or users are numbers with decimals
-- dialect: databricks
-- identifiers: table, cursor, times, id, user_id
-- words: key_text
WITH timed AS (
    SELECT t.*, t.:"cursor" AS rehook_sync__received_at,
        CASE WHEN YEAR(COALESCE(:"times")) BETWEEN 1 AND 9999 THEN COALESCE(:"times") END AS rehook_sync__occurred_at,
        {key_text: t.:"id"} AS rehook_sync__id, {key_text: t.:"user_id"} AS rehook_sync__user
    FROM :"table" AS t
)

-- name: timed_texts
-- does: does the same where the times of calls are kept as text or numbers; NULL if no time
-- identifiers: table, cursor, first, second, id, user_id
-- words: moment, key_text, text_type
WITH timed AS (
    SELECT r.*, {moment: r.rehook_sync__o} AS rehook_sync__occurred_at
    FROM (
        SELECT t.*, t.:"cursor" AS rehook_sync__received_at,
            COALESCE(CAST(t.:"first" AS {text_type}), CAST(t.:"second" AS {text_type}), CAST(t.:"cursor" AS {text_type})) AS rehook_sync__o,
            {key_text: t.:"id"} AS rehook_sync__id, {key_text: t.:"user_id"} AS rehook_sync__user
        FROM :"table" AS t
    ) AS r
)

-- name: timed_text_cursor
-- does: does the same where the cursor is kept as text or number, too
-- identifiers: cursor, first, second, id, user_id
-- words: moment, key_text, text_type
, timed AS (
    SELECT r.*, {moment: r.rehook_sync__c} AS rehook_sync__received_at, {moment: r.rehook_sync__o} AS rehook_sync__occurred_at,
        {key_text: r.:"id"} AS rehook_sync__id, {key_text: r.:"user_id"} AS rehook_sync__user
    FROM (
        SELECT t.*, CAST(t.:"cursor" AS {text_type}) AS rehook_sync__c,
            COALESCE(CAST(t.:"first" AS {text_type}), CAST(t.:"second" AS {text_type}), CAST(t.:"cursor" AS {text_type})) AS rehook_sync__o
        FROM looked_at AS t
    ) AS r
)

-- name: timed_text_cursor
-- does: does the same, and reads each text once: the OFFSET keeps the planner from repeating it
-- dialect: postgresql
-- identifiers: cursor, first, second, id, user_id
-- words: moment, key_text
, timed AS (
    SELECT r.*, {moment: r.rehook_sync__o} AS rehook_sync__occurred_at, {key_text: r.:"id"} AS rehook_sync__id, {key_text: r.:"user_id"} AS rehook_sync__user
    FROM (
        SELECT t.*, {moment: CAST(t.:"cursor" AS text)} AS rehook_sync__received_at,
            COALESCE(CAST(t.:"first" AS text), CAST(t.:"second" AS text), CAST(t.:"cursor" AS text)) AS rehook_sync__o
        FROM looked_at AS t
        OFFSET 0
    ) AS r
)
