-- plan: 19 statements

SELECT NULL AS table_catalog, table_schema, table_name, table_type LIKE '%%VIEW%%' AS is_view,
    0 AS is_guarded, NULL AS missing, NULL AS columns, NULL AS denied, NULL AS owner, NULL AS reader
FROM information_schema.tables
WHERE LOWER(table_schema) = LOWER(COALESCE(%(schema)s, current_schema()))
ORDER BY 2;

SELECT * FROM "SEGMENT"."identifies" WHERE 1 = 0;

SELECT c.table_name, c.column_name, CASE WHEN c.data_type = 'NUMBER' AND c.numeric_scale = 0 THEN 'INTEGER' ELSE c.data_type END
FROM information_schema.columns AS c
WHERE c.table_schema = %(schema)s AND c.table_name IN (%(tables_1)s, %(tables_2)s, %(tables_3)s, %(tables_4)s)
ORDER BY c.table_name, c.ordinal_position;

SELECT * FROM "SEGMENT"."tracks" WHERE 1 = 0;

WITH timed AS (
    SELECT t.*, t."received_at" AS rehook_sync__received_at, COALESCE("T"."timestamp", "T"."received_at", "T"."received_at") AS rehook_sync__occurred_at, CAST(t."id" AS VARCHAR) AS rehook_sync__id,
        CAST(t."user_id" AS VARCHAR) AS rehook_sync__user
    FROM "SEGMENT"."tracks" AS t
)
, due AS (SELECT * FROM timed)
, calls AS (SELECT * FROM due)
SELECT MAX(rehook_sync__received_at) FROM calls WHERE rehook_sync__received_at >= %(low)s AND rehook_sync__received_at < %(high)s;

WITH timed AS (
    SELECT t.*, t."received_at" AS rehook_sync__received_at, COALESCE("T"."timestamp", "T"."received_at", "T"."received_at") AS rehook_sync__occurred_at, CAST(t."id" AS VARCHAR) AS rehook_sync__id,
        CAST(t."user_id" AS VARCHAR) AS rehook_sync__user
    FROM "SEGMENT"."tracks" AS t
)
, due AS (SELECT * FROM timed)
, calls AS (SELECT * FROM due)
SELECT rehook_sync__received_at, rehook_sync__occurred_at, "CALLS"."id", "CALLS"."user_id", "CALLS"."anonymous_id", "CALLS"."event", "CALLS"."event_text", COALESCE(rehook_sync__id, '') AS rehook_sync__place
FROM calls
WHERE rehook_sync__received_at >= %(low)s AND rehook_sync__received_at < %(high)s AND (rehook_sync__received_at > %(low)s OR COALESCE(rehook_sync__id, '') >= %(place)s)
ORDER BY rehook_sync__received_at, COALESCE(rehook_sync__id, '')
LIMIT %(rows)s;

SELECT c.table_name, c.column_name, CASE WHEN c.data_type = 'NUMBER' AND c.numeric_scale = 0 THEN 'INTEGER' ELSE c.data_type END
FROM information_schema.columns AS c
WHERE c.table_schema = %(schema)s AND c.table_name IN (%(tables_1)s)
ORDER BY c.table_name, c.ordinal_position;

WITH timed AS (
    SELECT t.*, t."received_at" AS rehook_sync__received_at, COALESCE("T"."timestamp", "T"."received_at", "T"."received_at") AS rehook_sync__occurred_at, CAST(t."id" AS VARCHAR) AS rehook_sync__id,
        CAST(t."user_id" AS VARCHAR) AS rehook_sync__user
    FROM "SEGMENT"."tracks" AS t
)
, due AS (SELECT * FROM timed)
, calls AS (SELECT * FROM due)
SELECT rehook_sync__received_at, rehook_sync__occurred_at, "CALLS"."id", "CALLS"."user_id", "CALLS"."anonymous_id", "CALLS"."event", "CALLS"."event_text", COALESCE(rehook_sync__id, '') AS rehook_sync__place
FROM calls
WHERE rehook_sync__received_at IS NULL AND COALESCE(rehook_sync__id, '') >= %(place)s
ORDER BY COALESCE(rehook_sync__id, '')
LIMIT %(rows)s;

SELECT c.table_name, c.column_name, CASE WHEN c.data_type = 'NUMBER' AND c.numeric_scale = 0 THEN 'INTEGER' ELSE c.data_type END
FROM information_schema.columns AS c
WHERE c.table_schema = %(schema)s AND c.table_name IN (%(tables_1)s)
ORDER BY c.table_name, c.ordinal_position;

WITH timed AS (
    SELECT t.*, t."received_at" AS rehook_sync__received_at, COALESCE("T"."timestamp", "T"."received_at", "T"."received_at") AS rehook_sync__occurred_at, CAST(t."id" AS VARCHAR) AS rehook_sync__id,
        CAST(t."user_id" AS VARCHAR) AS rehook_sync__user
    FROM "SEGMENT"."identifies" AS t
)
, due AS (SELECT * FROM timed)
, calls AS (SELECT * FROM due)
SELECT MAX(rehook_sync__received_at) FROM calls WHERE rehook_sync__received_at >= %(low)s AND rehook_sync__received_at < %(high)s;

WITH timed AS (
    SELECT t.*, t."received_at" AS rehook_sync__received_at, COALESCE("T"."timestamp", "T"."received_at", "T"."received_at") AS rehook_sync__occurred_at, CAST(t."id" AS VARCHAR) AS rehook_sync__id,
        CAST(t."user_id" AS VARCHAR) AS rehook_sync__user
    FROM "SEGMENT"."identifies" AS t
)
, due AS (SELECT * FROM timed)
, calls AS (SELECT * FROM due)
SELECT rehook_sync__received_at, rehook_sync__occurred_at, "CALLS"."id", "CALLS"."user_id", "CALLS"."anonymous_id", "CALLS"."plan", COALESCE(rehook_sync__id, '') AS rehook_sync__place
FROM calls
WHERE rehook_sync__received_at >= %(low)s AND rehook_sync__received_at < %(high)s AND (rehook_sync__received_at > %(low)s OR COALESCE(rehook_sync__id, '') >= %(place)s)
ORDER BY rehook_sync__received_at, COALESCE(rehook_sync__id, '')
LIMIT %(rows)s;

SELECT c.table_name, c.column_name, CASE WHEN c.data_type = 'NUMBER' AND c.numeric_scale = 0 THEN 'INTEGER' ELSE c.data_type END
FROM information_schema.columns AS c
WHERE c.table_schema = %(schema)s AND c.table_name IN (%(tables_1)s)
ORDER BY c.table_name, c.ordinal_position;

WITH timed AS (
    SELECT t.*, t."received_at" AS rehook_sync__received_at, COALESCE("T"."timestamp", "T"."received_at", "T"."received_at") AS rehook_sync__occurred_at, CAST(t."id" AS VARCHAR) AS rehook_sync__id,
        CAST(t."user_id" AS VARCHAR) AS rehook_sync__user
    FROM "SEGMENT"."identifies" AS t
)
, due AS (SELECT * FROM timed)
, calls AS (SELECT * FROM due)
SELECT rehook_sync__received_at, rehook_sync__occurred_at, "CALLS"."id", "CALLS"."user_id", "CALLS"."anonymous_id", "CALLS"."plan", COALESCE(rehook_sync__id, '') AS rehook_sync__place
FROM calls
WHERE rehook_sync__received_at IS NULL AND COALESCE(rehook_sync__id, '') >= %(place)s
ORDER BY COALESCE(rehook_sync__id, '')
LIMIT %(rows)s;

SELECT c.table_name, c.column_name, CASE WHEN c.data_type = 'NUMBER' AND c.numeric_scale = 0 THEN 'INTEGER' ELSE c.data_type END
FROM information_schema.columns AS c
WHERE c.table_schema = %(schema)s AND c.table_name IN (%(tables_1)s)
ORDER BY c.table_name, c.ordinal_position;

SELECT "FOUND"."id", "FOUND"."total"
FROM (SELECT t.*, CAST(t."id" AS VARCHAR) AS rehook_sync__id FROM "SEGMENT"."order_completed" AS t) AS found
WHERE "FOUND"."id" IN (%(ids_1)s, %(ids_2)s, %(ids_3)s, %(ids_4)s)
AND "FOUND"."received_at" >= %(low)s AND "FOUND"."received_at" <= %(high)s;

SELECT "FOUND"."id", "FOUND"."total"
FROM (SELECT t.*, CAST(t."id" AS VARCHAR) AS rehook_sync__id FROM "SEGMENT"."signed_up" AS t) AS found
WHERE "FOUND"."id" IN (%(ids_1)s, %(ids_2)s, %(ids_3)s, %(ids_4)s)
AND "FOUND"."received_at" >= %(low)s AND "FOUND"."received_at" <= %(high)s;

SELECT c.table_name, c.column_name, CASE WHEN c.data_type = 'NUMBER' AND c.numeric_scale = 0 THEN 'INTEGER' ELSE c.data_type END
FROM information_schema.columns AS c
WHERE c.table_schema = %(schema)s AND c.table_name IN (%(tables_1)s, %(tables_2)s)
ORDER BY c.table_name, c.ordinal_position;

WITH timed AS (
    SELECT t.*, t."received_at" AS rehook_sync__received_at, COALESCE("T"."timestamp", "T"."received_at", "T"."received_at") AS rehook_sync__occurred_at, CAST(t."id" AS VARCHAR) AS rehook_sync__id,
        CAST(t."user_id" AS VARCHAR) AS rehook_sync__user
    FROM "SEGMENT"."identifies" AS t
)
, due AS (SELECT * FROM timed)
, calls AS (SELECT * FROM due)
SELECT COUNT(*) FROM (SELECT 1 FROM calls WHERE rehook_sync__received_at >= %(low)s LIMIT 1000) AS later;

WITH timed AS (
    SELECT t.*, t."received_at" AS rehook_sync__received_at, COALESCE("T"."timestamp", "T"."received_at", "T"."received_at") AS rehook_sync__occurred_at, CAST(t."id" AS VARCHAR) AS rehook_sync__id,
        CAST(t."user_id" AS VARCHAR) AS rehook_sync__user
    FROM "SEGMENT"."tracks" AS t
)
, due AS (SELECT * FROM timed)
, calls AS (SELECT * FROM due)
SELECT COUNT(*) FROM (SELECT 1 FROM calls WHERE rehook_sync__received_at >= %(low)s LIMIT 1000) AS later;

-- first run: 19 statements

SELECT NULL AS table_catalog, table_schema, table_name, table_type LIKE '%%VIEW%%' AS is_view,
    0 AS is_guarded, NULL AS missing, NULL AS columns, NULL AS denied, NULL AS owner, NULL AS reader
FROM information_schema.tables
WHERE LOWER(table_schema) = LOWER(COALESCE(%(schema)s, current_schema()))
ORDER BY 2;

SELECT * FROM "SEGMENT"."identifies" WHERE 1 = 0;

SELECT c.table_name, c.column_name, CASE WHEN c.data_type = 'NUMBER' AND c.numeric_scale = 0 THEN 'INTEGER' ELSE c.data_type END
FROM information_schema.columns AS c
WHERE c.table_schema = %(schema)s AND c.table_name IN (%(tables_1)s, %(tables_2)s, %(tables_3)s, %(tables_4)s)
ORDER BY c.table_name, c.ordinal_position;

SELECT * FROM "SEGMENT"."tracks" WHERE 1 = 0;

WITH timed AS (
    SELECT t.*, t."received_at" AS rehook_sync__received_at, COALESCE("T"."timestamp", "T"."received_at", "T"."received_at") AS rehook_sync__occurred_at, CAST(t."id" AS VARCHAR) AS rehook_sync__id,
        CAST(t."user_id" AS VARCHAR) AS rehook_sync__user
    FROM "SEGMENT"."tracks" AS t
)
, due AS (SELECT * FROM timed)
, calls AS (SELECT * FROM due)
SELECT MAX(rehook_sync__received_at) FROM calls WHERE rehook_sync__received_at >= %(low)s AND rehook_sync__received_at < %(high)s;

WITH timed AS (
    SELECT t.*, t."received_at" AS rehook_sync__received_at, COALESCE("T"."timestamp", "T"."received_at", "T"."received_at") AS rehook_sync__occurred_at, CAST(t."id" AS VARCHAR) AS rehook_sync__id,
        CAST(t."user_id" AS VARCHAR) AS rehook_sync__user
    FROM "SEGMENT"."tracks" AS t
)
, due AS (SELECT * FROM timed)
, calls AS (SELECT * FROM due)
SELECT rehook_sync__received_at, rehook_sync__occurred_at, "CALLS"."id", "CALLS"."user_id", "CALLS"."anonymous_id", "CALLS"."event", "CALLS"."event_text", COALESCE(rehook_sync__id, '') AS rehook_sync__place
FROM calls
WHERE rehook_sync__received_at >= %(low)s AND rehook_sync__received_at < %(high)s AND (rehook_sync__received_at > %(low)s OR COALESCE(rehook_sync__id, '') >= %(place)s)
ORDER BY rehook_sync__received_at, COALESCE(rehook_sync__id, '')
LIMIT %(rows)s;

SELECT c.table_name, c.column_name, CASE WHEN c.data_type = 'NUMBER' AND c.numeric_scale = 0 THEN 'INTEGER' ELSE c.data_type END
FROM information_schema.columns AS c
WHERE c.table_schema = %(schema)s AND c.table_name IN (%(tables_1)s)
ORDER BY c.table_name, c.ordinal_position;

WITH timed AS (
    SELECT t.*, t."received_at" AS rehook_sync__received_at, COALESCE("T"."timestamp", "T"."received_at", "T"."received_at") AS rehook_sync__occurred_at, CAST(t."id" AS VARCHAR) AS rehook_sync__id,
        CAST(t."user_id" AS VARCHAR) AS rehook_sync__user
    FROM "SEGMENT"."tracks" AS t
)
, due AS (SELECT * FROM timed)
, calls AS (SELECT * FROM due)
SELECT rehook_sync__received_at, rehook_sync__occurred_at, "CALLS"."id", "CALLS"."user_id", "CALLS"."anonymous_id", "CALLS"."event", "CALLS"."event_text", COALESCE(rehook_sync__id, '') AS rehook_sync__place
FROM calls
WHERE rehook_sync__received_at IS NULL AND COALESCE(rehook_sync__id, '') >= %(place)s
ORDER BY COALESCE(rehook_sync__id, '')
LIMIT %(rows)s;

SELECT c.table_name, c.column_name, CASE WHEN c.data_type = 'NUMBER' AND c.numeric_scale = 0 THEN 'INTEGER' ELSE c.data_type END
FROM information_schema.columns AS c
WHERE c.table_schema = %(schema)s AND c.table_name IN (%(tables_1)s)
ORDER BY c.table_name, c.ordinal_position;

WITH timed AS (
    SELECT t.*, t."received_at" AS rehook_sync__received_at, COALESCE("T"."timestamp", "T"."received_at", "T"."received_at") AS rehook_sync__occurred_at, CAST(t."id" AS VARCHAR) AS rehook_sync__id,
        CAST(t."user_id" AS VARCHAR) AS rehook_sync__user
    FROM "SEGMENT"."identifies" AS t
)
, due AS (SELECT * FROM timed)
, calls AS (SELECT * FROM due)
SELECT MAX(rehook_sync__received_at) FROM calls WHERE rehook_sync__received_at >= %(low)s AND rehook_sync__received_at < %(high)s;

WITH timed AS (
    SELECT t.*, t."received_at" AS rehook_sync__received_at, COALESCE("T"."timestamp", "T"."received_at", "T"."received_at") AS rehook_sync__occurred_at, CAST(t."id" AS VARCHAR) AS rehook_sync__id,
        CAST(t."user_id" AS VARCHAR) AS rehook_sync__user
    FROM "SEGMENT"."identifies" AS t
)
, due AS (SELECT * FROM timed)
, calls AS (SELECT * FROM due)
SELECT rehook_sync__received_at, rehook_sync__occurred_at, "CALLS"."id", "CALLS"."user_id", "CALLS"."anonymous_id", "CALLS"."plan", COALESCE(rehook_sync__id, '') AS rehook_sync__place
FROM calls
WHERE rehook_sync__received_at >= %(low)s AND rehook_sync__received_at < %(high)s AND (rehook_sync__received_at > %(low)s OR COALESCE(rehook_sync__id, '') >= %(place)s)
ORDER BY rehook_sync__received_at, COALESCE(rehook_sync__id, '')
LIMIT %(rows)s;

SELECT c.table_name, c.column_name, CASE WHEN c.data_type = 'NUMBER' AND c.numeric_scale = 0 THEN 'INTEGER' ELSE c.data_type END
FROM information_schema.columns AS c
WHERE c.table_schema = %(schema)s AND c.table_name IN (%(tables_1)s)
ORDER BY c.table_name, c.ordinal_position;

WITH timed AS (
    SELECT t.*, t."received_at" AS rehook_sync__received_at, COALESCE("T"."timestamp", "T"."received_at", "T"."received_at") AS rehook_sync__occurred_at, CAST(t."id" AS VARCHAR) AS rehook_sync__id,
        CAST(t."user_id" AS VARCHAR) AS rehook_sync__user
    FROM "SEGMENT"."identifies" AS t
)
, due AS (SELECT * FROM timed)
, calls AS (SELECT * FROM due)
SELECT rehook_sync__received_at, rehook_sync__occurred_at, "CALLS"."id", "CALLS"."user_id", "CALLS"."anonymous_id", "CALLS"."plan", COALESCE(rehook_sync__id, '') AS rehook_sync__place
FROM calls
WHERE rehook_sync__received_at IS NULL AND COALESCE(rehook_sync__id, '') >= %(place)s
ORDER BY COALESCE(rehook_sync__id, '')
LIMIT %(rows)s;

SELECT c.table_name, c.column_name, CASE WHEN c.data_type = 'NUMBER' AND c.numeric_scale = 0 THEN 'INTEGER' ELSE c.data_type END
FROM information_schema.columns AS c
WHERE c.table_schema = %(schema)s AND c.table_name IN (%(tables_1)s)
ORDER BY c.table_name, c.ordinal_position;

SELECT "FOUND"."id", "FOUND"."total"
FROM (SELECT t.*, CAST(t."id" AS VARCHAR) AS rehook_sync__id FROM "SEGMENT"."order_completed" AS t) AS found
WHERE "FOUND"."id" IN (%(ids_1)s, %(ids_2)s, %(ids_3)s, %(ids_4)s)
AND "FOUND"."received_at" >= %(low)s AND "FOUND"."received_at" <= %(high)s;

SELECT "FOUND"."id", "FOUND"."total"
FROM (SELECT t.*, CAST(t."id" AS VARCHAR) AS rehook_sync__id FROM "SEGMENT"."signed_up" AS t) AS found
WHERE "FOUND"."id" IN (%(ids_1)s, %(ids_2)s, %(ids_3)s, %(ids_4)s)
AND "FOUND"."received_at" >= %(low)s AND "FOUND"."received_at" <= %(high)s;

SELECT c.table_name, c.column_name, CASE WHEN c.data_type = 'NUMBER' AND c.numeric_scale = 0 THEN 'INTEGER' ELSE c.data_type END
FROM information_schema.columns AS c
WHERE c.table_schema = %(schema)s AND c.table_name IN (%(tables_1)s, %(tables_2)s)
ORDER BY c.table_name, c.ordinal_position;

WITH timed AS (
    SELECT t.*, t."received_at" AS rehook_sync__received_at, COALESCE("T"."timestamp", "T"."received_at", "T"."received_at") AS rehook_sync__occurred_at, CAST(t."id" AS VARCHAR) AS rehook_sync__id,
        CAST(t."user_id" AS VARCHAR) AS rehook_sync__user
    FROM "SEGMENT"."identifies" AS t
)
, due AS (SELECT * FROM timed)
, calls AS (SELECT * FROM due)
SELECT COUNT(*) FROM (SELECT 1 FROM calls WHERE rehook_sync__received_at >= %(low)s LIMIT 1000) AS later;

WITH timed AS (
    SELECT t.*, t."received_at" AS rehook_sync__received_at, COALESCE("T"."timestamp", "T"."received_at", "T"."received_at") AS rehook_sync__occurred_at, CAST(t."id" AS VARCHAR) AS rehook_sync__id,
        CAST(t."user_id" AS VARCHAR) AS rehook_sync__user
    FROM "SEGMENT"."tracks" AS t
)
, due AS (SELECT * FROM timed)
, calls AS (SELECT * FROM due)
SELECT COUNT(*) FROM (SELECT 1 FROM calls WHERE rehook_sync__received_at >= %(low)s LIMIT 1000) AS later;

-- second run, which finds all settled: 8 statements

SELECT NULL AS table_catalog, table_schema, table_name, table_type LIKE '%%VIEW%%' AS is_view,
    0 AS is_guarded, NULL AS missing, NULL AS columns, NULL AS denied, NULL AS owner, NULL AS reader
FROM information_schema.tables
WHERE LOWER(table_schema) = LOWER(COALESCE(%(schema)s, current_schema()))
ORDER BY 2;

SELECT * FROM "SEGMENT"."identifies" WHERE 1 = 0;

SELECT c.table_name, c.column_name, CASE WHEN c.data_type = 'NUMBER' AND c.numeric_scale = 0 THEN 'INTEGER' ELSE c.data_type END
FROM information_schema.columns AS c
WHERE c.table_schema = %(schema)s AND c.table_name IN (%(tables_1)s, %(tables_2)s, %(tables_3)s, %(tables_4)s)
ORDER BY c.table_name, c.ordinal_position;

SELECT * FROM "SEGMENT"."tracks" WHERE 1 = 0;

WITH timed AS (
    SELECT t.*, t."received_at" AS rehook_sync__received_at, COALESCE("T"."timestamp", "T"."received_at", "T"."received_at") AS rehook_sync__occurred_at, CAST(t."id" AS VARCHAR) AS rehook_sync__id,
        CAST(t."user_id" AS VARCHAR) AS rehook_sync__user
    FROM "SEGMENT"."tracks" AS t
)
, due AS (SELECT * FROM timed)
, calls AS (SELECT * FROM due)
SELECT DATE_TRUNC('HOUR', CONVERT_TIMEZONE('UTC', rehook_sync__received_at)) AS stretch, COUNT(*) AS calls, COUNT(rehook_sync__id) AS ids,
    CAST(HASH_AGG(rehook_sync__id) AS VARCHAR) || ' ' || CAST(HASH_AGG(REVERSE(rehook_sync__id)) AS VARCHAR) AS fingerprint,
    MAX(CASE WHEN rehook_sync__received_at < %(until)s THEN rehook_sync__received_at END) AS newest
FROM calls
WHERE ((rehook_sync__received_at >= %(low)s AND rehook_sync__received_at < %(high)s) OR rehook_sync__received_at IS NULL)
GROUP BY 1;

WITH timed AS (
    SELECT t.*, t."received_at" AS rehook_sync__received_at, COALESCE("T"."timestamp", "T"."received_at", "T"."received_at") AS rehook_sync__occurred_at, CAST(t."id" AS VARCHAR) AS rehook_sync__id,
        CAST(t."user_id" AS VARCHAR) AS rehook_sync__user
    FROM "SEGMENT"."tracks" AS t
)
, due AS (SELECT * FROM timed)
, calls AS (SELECT * FROM due)
SELECT rehook_sync__received_at, rehook_sync__id, NULL AS calls, NULL AS ids, NULL AS fingerprint
FROM calls
WHERE ((rehook_sync__received_at >= %(low)s AND rehook_sync__received_at < %(high)s) OR rehook_sync__received_at IS NULL)
UNION ALL
SELECT DATE_TRUNC('HOUR', CONVERT_TIMEZONE('UTC', rehook_sync__received_at)), NULL, COUNT(*), COUNT(rehook_sync__id), CAST(HASH_AGG(rehook_sync__id) AS VARCHAR) || ' ' || CAST(HASH_AGG(REVERSE(rehook_sync__id)) AS VARCHAR)
FROM calls
WHERE ((rehook_sync__received_at >= %(low)s AND rehook_sync__received_at < %(high)s) OR rehook_sync__received_at IS NULL)
GROUP BY 1;

WITH timed AS (
    SELECT t.*, t."received_at" AS rehook_sync__received_at, COALESCE("T"."timestamp", "T"."received_at", "T"."received_at") AS rehook_sync__occurred_at, CAST(t."id" AS VARCHAR) AS rehook_sync__id,
        CAST(t."user_id" AS VARCHAR) AS rehook_sync__user
    FROM "SEGMENT"."identifies" AS t
)
, due AS (SELECT * FROM timed)
, calls AS (SELECT * FROM due)
SELECT DATE_TRUNC('HOUR', CONVERT_TIMEZONE('UTC', rehook_sync__received_at)) AS stretch, COUNT(*) AS calls, COUNT(rehook_sync__id) AS ids,
    CAST(HASH_AGG(rehook_sync__id) AS VARCHAR) || ' ' || CAST(HASH_AGG(REVERSE(rehook_sync__id)) AS VARCHAR) AS fingerprint,
    MAX(CASE WHEN rehook_sync__received_at < %(until)s THEN rehook_sync__received_at END) AS newest
FROM calls
WHERE ((rehook_sync__received_at >= %(low)s AND rehook_sync__received_at < %(high)s) OR rehook_sync__received_at IS NULL)
GROUP BY 1;

WITH timed AS (
    SELECT t.*, t."received_at" AS rehook_sync__received_at, COALESCE("T"."timestamp", "T"."received_at", "T"."received_at") AS rehook_sync__occurred_at, CAST(t."id" AS VARCHAR) AS rehook_sync__id,
        CAST(t."user_id" AS VARCHAR) AS rehook_sync__user
    FROM "SEGMENT"."identifies" AS t
)
, due AS (SELECT * FROM timed)
, calls AS (SELECT * FROM due)
SELECT rehook_sync__received_at, rehook_sync__id, NULL AS calls, NULL AS ids, NULL AS fingerprint
FROM calls
WHERE ((rehook_sync__received_at >= %(low)s AND rehook_sync__received_at < %(high)s) OR rehook_sync__received_at IS NULL)
UNION ALL
SELECT DATE_TRUNC('HOUR', CONVERT_TIMEZONE('UTC', rehook_sync__received_at)), NULL, COUNT(*), COUNT(rehook_sync__id), CAST(HASH_AGG(rehook_sync__id) AS VARCHAR) || ' ' || CAST(HASH_AGG(REVERSE(rehook_sync__id)) AS VARCHAR)
FROM calls
WHERE ((rehook_sync__received_at >= %(low)s AND rehook_sync__received_at < %(high)s) OR rehook_sync__received_at IS NULL)
GROUP BY 1;

-- run with nothing new: 6 statements

SELECT NULL AS table_catalog, table_schema, table_name, table_type LIKE '%%VIEW%%' AS is_view,
    0 AS is_guarded, NULL AS missing, NULL AS columns, NULL AS denied, NULL AS owner, NULL AS reader
FROM information_schema.tables
WHERE LOWER(table_schema) = LOWER(COALESCE(%(schema)s, current_schema()))
ORDER BY 2;

SELECT * FROM "SEGMENT"."identifies" WHERE 1 = 0;

SELECT c.table_name, c.column_name, CASE WHEN c.data_type = 'NUMBER' AND c.numeric_scale = 0 THEN 'INTEGER' ELSE c.data_type END
FROM information_schema.columns AS c
WHERE c.table_schema = %(schema)s AND c.table_name IN (%(tables_1)s, %(tables_2)s, %(tables_3)s, %(tables_4)s)
ORDER BY c.table_name, c.ordinal_position;

SELECT * FROM "SEGMENT"."tracks" WHERE 1 = 0;

WITH timed AS (
    SELECT t.*, t."received_at" AS rehook_sync__received_at, COALESCE("T"."timestamp", "T"."received_at", "T"."received_at") AS rehook_sync__occurred_at, CAST(t."id" AS VARCHAR) AS rehook_sync__id,
        CAST(t."user_id" AS VARCHAR) AS rehook_sync__user
    FROM "SEGMENT"."tracks" AS t
)
, due AS (SELECT * FROM timed)
, calls AS (SELECT * FROM due)
SELECT DATE_TRUNC('HOUR', CONVERT_TIMEZONE('UTC', rehook_sync__received_at)) AS stretch, COUNT(*) AS calls, COUNT(rehook_sync__id) AS ids,
    CAST(HASH_AGG(rehook_sync__id) AS VARCHAR) || ' ' || CAST(HASH_AGG(REVERSE(rehook_sync__id)) AS VARCHAR) AS fingerprint,
    MAX(CASE WHEN rehook_sync__received_at < %(until)s THEN rehook_sync__received_at END) AS newest
FROM calls
WHERE ((rehook_sync__received_at >= %(low)s AND rehook_sync__received_at < %(high)s) OR rehook_sync__received_at IS NULL)
GROUP BY 1;

WITH timed AS (
    SELECT t.*, t."received_at" AS rehook_sync__received_at, COALESCE("T"."timestamp", "T"."received_at", "T"."received_at") AS rehook_sync__occurred_at, CAST(t."id" AS VARCHAR) AS rehook_sync__id,
        CAST(t."user_id" AS VARCHAR) AS rehook_sync__user
    FROM "SEGMENT"."identifies" AS t
)
, due AS (SELECT * FROM timed)
, calls AS (SELECT * FROM due)
SELECT DATE_TRUNC('HOUR', CONVERT_TIMEZONE('UTC', rehook_sync__received_at)) AS stretch, COUNT(*) AS calls, COUNT(rehook_sync__id) AS ids,
    CAST(HASH_AGG(rehook_sync__id) AS VARCHAR) || ' ' || CAST(HASH_AGG(REVERSE(rehook_sync__id)) AS VARCHAR) AS fingerprint,
    MAX(CASE WHEN rehook_sync__received_at < %(until)s THEN rehook_sync__received_at END) AS newest
FROM calls
WHERE ((rehook_sync__received_at >= %(low)s AND rehook_sync__received_at < %(high)s) OR rehook_sync__received_at IS NULL)
GROUP BY 1;

-- run with one new call of one event: 12 statements

SELECT NULL AS table_catalog, table_schema, table_name, table_type LIKE '%%VIEW%%' AS is_view,
    0 AS is_guarded, NULL AS missing, NULL AS columns, NULL AS denied, NULL AS owner, NULL AS reader
FROM information_schema.tables
WHERE LOWER(table_schema) = LOWER(COALESCE(%(schema)s, current_schema()))
ORDER BY 2;

SELECT * FROM "SEGMENT"."identifies" WHERE 1 = 0;

SELECT c.table_name, c.column_name, CASE WHEN c.data_type = 'NUMBER' AND c.numeric_scale = 0 THEN 'INTEGER' ELSE c.data_type END
FROM information_schema.columns AS c
WHERE c.table_schema = %(schema)s AND c.table_name IN (%(tables_1)s, %(tables_2)s, %(tables_3)s, %(tables_4)s)
ORDER BY c.table_name, c.ordinal_position;

SELECT * FROM "SEGMENT"."tracks" WHERE 1 = 0;

WITH timed AS (
    SELECT t.*, t."received_at" AS rehook_sync__received_at, COALESCE("T"."timestamp", "T"."received_at", "T"."received_at") AS rehook_sync__occurred_at, CAST(t."id" AS VARCHAR) AS rehook_sync__id,
        CAST(t."user_id" AS VARCHAR) AS rehook_sync__user
    FROM "SEGMENT"."tracks" AS t
)
, due AS (SELECT * FROM timed)
, calls AS (SELECT * FROM due)
SELECT DATE_TRUNC('HOUR', CONVERT_TIMEZONE('UTC', rehook_sync__received_at)) AS stretch, COUNT(*) AS calls, COUNT(rehook_sync__id) AS ids,
    CAST(HASH_AGG(rehook_sync__id) AS VARCHAR) || ' ' || CAST(HASH_AGG(REVERSE(rehook_sync__id)) AS VARCHAR) AS fingerprint,
    MAX(CASE WHEN rehook_sync__received_at < %(until)s THEN rehook_sync__received_at END) AS newest
FROM calls
WHERE ((rehook_sync__received_at >= %(low)s AND rehook_sync__received_at < %(high)s) OR rehook_sync__received_at IS NULL)
GROUP BY 1;

WITH timed AS (
    SELECT t.*, t."received_at" AS rehook_sync__received_at, COALESCE("T"."timestamp", "T"."received_at", "T"."received_at") AS rehook_sync__occurred_at, CAST(t."id" AS VARCHAR) AS rehook_sync__id,
        CAST(t."user_id" AS VARCHAR) AS rehook_sync__user
    FROM "SEGMENT"."tracks" AS t
)
, due AS (SELECT * FROM timed)
, calls AS (SELECT * FROM due)
SELECT rehook_sync__received_at, rehook_sync__id, NULL AS calls, NULL AS ids, NULL AS fingerprint
FROM calls
WHERE ((rehook_sync__received_at >= %(low)s AND rehook_sync__received_at < %(high)s) OR rehook_sync__received_at IS NULL)
UNION ALL
SELECT DATE_TRUNC('HOUR', CONVERT_TIMEZONE('UTC', rehook_sync__received_at)), NULL, COUNT(*), COUNT(rehook_sync__id), CAST(HASH_AGG(rehook_sync__id) AS VARCHAR) || ' ' || CAST(HASH_AGG(REVERSE(rehook_sync__id)) AS VARCHAR)
FROM calls
WHERE ((rehook_sync__received_at >= %(low)s AND rehook_sync__received_at < %(high)s) OR rehook_sync__received_at IS NULL)
GROUP BY 1;

WITH timed AS (
    SELECT t.*, t."received_at" AS rehook_sync__received_at, COALESCE("T"."timestamp", "T"."received_at", "T"."received_at") AS rehook_sync__occurred_at, CAST(t."id" AS VARCHAR) AS rehook_sync__id,
        CAST(t."user_id" AS VARCHAR) AS rehook_sync__user
    FROM "SEGMENT"."tracks" AS t
)
, due AS (SELECT * FROM timed)
, calls AS (SELECT * FROM due)
SELECT rehook_sync__received_at, rehook_sync__occurred_at, "CALLS"."id", "CALLS"."user_id", "CALLS"."anonymous_id", "CALLS"."event", "CALLS"."event_text", rehook_sync__id AS rehook_sync__place
FROM calls
WHERE rehook_sync__received_at >= %(low)s AND rehook_sync__received_at < %(high)s AND rehook_sync__id IN (%(ids_1)s);

SELECT c.table_name, c.column_name, CASE WHEN c.data_type = 'NUMBER' AND c.numeric_scale = 0 THEN 'INTEGER' ELSE c.data_type END
FROM information_schema.columns AS c
WHERE c.table_schema = %(schema)s AND c.table_name IN (%(tables_1)s)
ORDER BY c.table_name, c.ordinal_position;

WITH timed AS (
    SELECT t.*, t."received_at" AS rehook_sync__received_at, COALESCE("T"."timestamp", "T"."received_at", "T"."received_at") AS rehook_sync__occurred_at, CAST(t."id" AS VARCHAR) AS rehook_sync__id,
        CAST(t."user_id" AS VARCHAR) AS rehook_sync__user
    FROM "SEGMENT"."identifies" AS t
)
, due AS (SELECT * FROM timed)
, calls AS (SELECT * FROM due)
SELECT DATE_TRUNC('HOUR', CONVERT_TIMEZONE('UTC', rehook_sync__received_at)) AS stretch, COUNT(*) AS calls, COUNT(rehook_sync__id) AS ids,
    CAST(HASH_AGG(rehook_sync__id) AS VARCHAR) || ' ' || CAST(HASH_AGG(REVERSE(rehook_sync__id)) AS VARCHAR) AS fingerprint,
    MAX(CASE WHEN rehook_sync__received_at < %(until)s THEN rehook_sync__received_at END) AS newest
FROM calls
WHERE ((rehook_sync__received_at >= %(low)s AND rehook_sync__received_at < %(high)s) OR rehook_sync__received_at IS NULL)
GROUP BY 1;

SELECT "FOUND"."id", "FOUND"."total"
FROM (SELECT t.*, CAST(t."id" AS VARCHAR) AS rehook_sync__id FROM "SEGMENT"."order_completed" AS t) AS found
WHERE "FOUND"."id" IN (%(ids_1)s)
AND "FOUND"."received_at" >= %(low)s AND "FOUND"."received_at" <= %(high)s;

SELECT c.table_name, c.column_name, CASE WHEN c.data_type = 'NUMBER' AND c.numeric_scale = 0 THEN 'INTEGER' ELSE c.data_type END
FROM information_schema.columns AS c
WHERE c.table_schema = %(schema)s AND c.table_name IN (%(tables_1)s)
ORDER BY c.table_name, c.ordinal_position;

WITH timed AS (
    SELECT t.*, t."received_at" AS rehook_sync__received_at, COALESCE("T"."timestamp", "T"."received_at", "T"."received_at") AS rehook_sync__occurred_at, CAST(t."id" AS VARCHAR) AS rehook_sync__id,
        CAST(t."user_id" AS VARCHAR) AS rehook_sync__user
    FROM "SEGMENT"."tracks" AS t
)
, due AS (SELECT * FROM timed)
, calls AS (SELECT * FROM due)
, ids AS (
    SELECT rehook_sync__id AS message_id, MIN(rehook_sync__received_at) AS received_at, MIN(COALESCE("CALLS"."event_text", "CALLS"."event", "CALLS"."event")) AS event
    FROM calls
    WHERE ((rehook_sync__received_at >= %(low)s AND rehook_sync__received_at < %(high)s) OR rehook_sync__received_at IS NULL)
    GROUP BY rehook_sync__id
)
SELECT message_id, received_at, event FROM ids;

