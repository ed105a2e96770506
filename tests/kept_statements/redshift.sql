-- plan: 19 statements

SELECT NULL AS table_catalog, t.table_schema, t.table_name, CASE WHEN t.table_type LIKE '%%VIEW%%' THEN 1 ELSE 0 END AS is_view,
    0 AS is_guarded, NULL AS missing, NULL AS columns, NULL AS denied, NULL AS owner, NULL AS reader
FROM svv_tables AS t
WHERE LOWER(t.table_schema) = LOWER(COALESCE(CAST(%s AS VARCHAR), 'public'))
ORDER BY t.table_name;

SELECT * FROM "public"."identifies" WHERE 1 = 0;

SELECT c.table_name, c.column_name, CASE WHEN c.data_type IN ('numeric', 'decimal') AND c.numeric_scale = 0 THEN 'bigint' ELSE c.data_type END
FROM svv_columns AS c
WHERE c.table_schema = %s AND c.table_name IN (%s, %s, %s, %s)
ORDER BY c.table_name, c.ordinal_position;

SELECT * FROM "public"."tracks" WHERE 1 = 0;

WITH timed AS (
    SELECT t.*, t."received_at" AS rehook_sync__received_at, COALESCE("t"."timestamp", "t"."received_at", "t"."received_at") AS rehook_sync__occurred_at, CAST(t."id" AS VARCHAR) AS rehook_sync__id,
        CAST(t."user_id" AS VARCHAR) AS rehook_sync__user
    FROM "public"."tracks" AS t
)
, due AS (SELECT * FROM timed)
, calls AS (SELECT * FROM due)
SELECT MAX(rehook_sync__received_at) FROM calls WHERE rehook_sync__received_at >= %s AND rehook_sync__received_at < %s;

WITH timed AS (
    SELECT t.*, t."received_at" AS rehook_sync__received_at, COALESCE("t"."timestamp", "t"."received_at", "t"."received_at") AS rehook_sync__occurred_at, CAST(t."id" AS VARCHAR) AS rehook_sync__id,
        CAST(t."user_id" AS VARCHAR) AS rehook_sync__user
    FROM "public"."tracks" AS t
)
, due AS (SELECT * FROM timed)
, calls AS (SELECT * FROM due)
SELECT rehook_sync__received_at, rehook_sync__occurred_at, "calls"."id", "calls"."user_id", "calls"."anonymous_id", "calls"."event", "calls"."event_text", COALESCE(rehook_sync__id, '') AS rehook_sync__place
FROM calls
WHERE rehook_sync__received_at >= %s AND rehook_sync__received_at < %s AND (rehook_sync__received_at > %s OR COALESCE(rehook_sync__id, '') >= %s)
ORDER BY rehook_sync__received_at, COALESCE(rehook_sync__id, '')
LIMIT %s;

SELECT c.table_name, c.column_name, CASE WHEN c.data_type IN ('numeric', 'decimal') AND c.numeric_scale = 0 THEN 'bigint' ELSE c.data_type END
FROM svv_columns AS c
WHERE c.table_schema = %s AND c.table_name IN (%s)
ORDER BY c.table_name, c.ordinal_position;

WITH timed AS (
    SELECT t.*, t."received_at" AS rehook_sync__received_at, COALESCE("t"."timestamp", "t"."received_at", "t"."received_at") AS rehook_sync__occurred_at, CAST(t."id" AS VARCHAR) AS rehook_sync__id,
        CAST(t."user_id" AS VARCHAR) AS rehook_sync__user
    FROM "public"."tracks" AS t
)
, due AS (SELECT * FROM timed)
, calls AS (SELECT * FROM due)
SELECT rehook_sync__received_at, rehook_sync__occurred_at, "calls"."id", "calls"."user_id", "calls"."anonymous_id", "calls"."event", "calls"."event_text", COALESCE(rehook_sync__id, '') AS rehook_sync__place
FROM calls
WHERE rehook_sync__received_at IS NULL AND COALESCE(rehook_sync__id, '') >= %s
ORDER BY COALESCE(rehook_sync__id, '')
LIMIT %s;

SELECT c.table_name, c.column_name, CASE WHEN c.data_type IN ('numeric', 'decimal') AND c.numeric_scale = 0 THEN 'bigint' ELSE c.data_type END
FROM svv_columns AS c
WHERE c.table_schema = %s AND c.table_name IN (%s)
ORDER BY c.table_name, c.ordinal_position;

WITH timed AS (
    SELECT t.*, t."received_at" AS rehook_sync__received_at, COALESCE("t"."timestamp", "t"."received_at", "t"."received_at") AS rehook_sync__occurred_at, CAST(t."id" AS VARCHAR) AS rehook_sync__id,
        CAST(t."user_id" AS VARCHAR) AS rehook_sync__user
    FROM "public"."identifies" AS t
)
, due AS (SELECT * FROM timed)
, calls AS (SELECT * FROM due)
SELECT MAX(rehook_sync__received_at) FROM calls WHERE rehook_sync__received_at >= %s AND rehook_sync__received_at < %s;

WITH timed AS (
    SELECT t.*, t."received_at" AS rehook_sync__received_at, COALESCE("t"."timestamp", "t"."received_at", "t"."received_at") AS rehook_sync__occurred_at, CAST(t."id" AS VARCHAR) AS rehook_sync__id,
        CAST(t."user_id" AS VARCHAR) AS rehook_sync__user
    FROM "public"."identifies" AS t
)
, due AS (SELECT * FROM timed)
, calls AS (SELECT * FROM due)
SELECT rehook_sync__received_at, rehook_sync__occurred_at, "calls"."id", "calls"."user_id", "calls"."anonymous_id", "calls"."plan", COALESCE(rehook_sync__id, '') AS rehook_sync__place
FROM calls
WHERE rehook_sync__received_at >= %s AND rehook_sync__received_at < %s AND (rehook_sync__received_at > %s OR COALESCE(rehook_sync__id, '') >= %s)
ORDER BY rehook_sync__received_at, COALESCE(rehook_sync__id, '')
LIMIT %s;

SELECT c.table_name, c.column_name, CASE WHEN c.data_type IN ('numeric', 'decimal') AND c.numeric_scale = 0 THEN 'bigint' ELSE c.data_type END
FROM svv_columns AS c
WHERE c.table_schema = %s AND c.table_name IN (%s)
ORDER BY c.table_name, c.ordinal_position;

WITH timed AS (
    SELECT t.*, t."received_at" AS rehook_sync__received_at, COALESCE("t"."timestamp", "t"."received_at", "t"."received_at") AS rehook_sync__occurred_at, CAST(t."id" AS VARCHAR) AS rehook_sync__id,
        CAST(t."user_id" AS VARCHAR) AS rehook_sync__user
    FROM "public"."identifies" AS t
)
, due AS (SELECT * FROM timed)
, calls AS (SELECT * FROM due)
SELECT rehook_sync__received_at, rehook_sync__occurred_at, "calls"."id", "calls"."user_id", "calls"."anonymous_id", "calls"."plan", COALESCE(rehook_sync__id, '') AS rehook_sync__place
FROM calls
WHERE rehook_sync__received_at IS NULL AND COALESCE(rehook_sync__id, '') >= %s
ORDER BY COALESCE(rehook_sync__id, '')
LIMIT %s;

SELECT c.table_name, c.column_name, CASE WHEN c.data_type IN ('numeric', 'decimal') AND c.numeric_scale = 0 THEN 'bigint' ELSE c.data_type END
FROM svv_columns AS c
WHERE c.table_schema = %s AND c.table_name IN (%s)
ORDER BY c.table_name, c.ordinal_position;

SELECT "found"."id", "found"."total"
FROM (SELECT t.*, CAST(t."id" AS VARCHAR) AS rehook_sync__id FROM "public"."order_completed" AS t) AS found
WHERE "found"."id" IN (%s, %s, %s, %s)
AND "found"."received_at" >= %s AND "found"."received_at" <= %s;

SELECT "found"."id", "found"."total"
FROM (SELECT t.*, CAST(t."id" AS VARCHAR) AS rehook_sync__id FROM "public"."signed_up" AS t) AS found
WHERE "found"."id" IN (%s, %s, %s, %s)
AND "found"."received_at" >= %s AND "found"."received_at" <= %s;

SELECT c.table_name, c.column_name, CASE WHEN c.data_type IN ('numeric', 'decimal') AND c.numeric_scale = 0 THEN 'bigint' ELSE c.data_type END
FROM svv_columns AS c
WHERE c.table_schema = %s AND c.table_name IN (%s, %s)
ORDER BY c.table_name, c.ordinal_position;

WITH timed AS (
    SELECT t.*, t."received_at" AS rehook_sync__received_at, COALESCE("t"."timestamp", "t"."received_at", "t"."received_at") AS rehook_sync__occurred_at, CAST(t."id" AS VARCHAR) AS rehook_sync__id,
        CAST(t."user_id" AS VARCHAR) AS rehook_sync__user
    FROM "public"."identifies" AS t
)
, due AS (SELECT * FROM timed)
, calls AS (SELECT * FROM due)
SELECT COUNT(*) FROM (SELECT 1 FROM calls WHERE rehook_sync__received_at >= %s LIMIT 1000) AS later;

WITH timed AS (
    SELECT t.*, t."received_at" AS rehook_sync__received_at, COALESCE("t"."timestamp", "t"."received_at", "t"."received_at") AS rehook_sync__occurred_at, CAST(t."id" AS VARCHAR) AS rehook_sync__id,
        CAST(t."user_id" AS VARCHAR) AS rehook_sync__user
    FROM "public"."tracks" AS t
)
, due AS (SELECT * FROM timed)
, calls AS (SELECT * FROM due)
SELECT COUNT(*) FROM (SELECT 1 FROM calls WHERE rehook_sync__received_at >= %s LIMIT 1000) AS later;

-- first run: 19 statements

SELECT NULL AS table_catalog, t.table_schema, t.table_name, CASE WHEN t.table_type LIKE '%%VIEW%%' THEN 1 ELSE 0 END AS is_view,
    0 AS is_guarded, NULL AS missing, NULL AS columns, NULL AS denied, NULL AS owner, NULL AS reader
FROM svv_tables AS t
WHERE LOWER(t.table_schema) = LOWER(COALESCE(CAST(%s AS VARCHAR), 'public'))
ORDER BY t.table_name;

SELECT * FROM "public"."identifies" WHERE 1 = 0;

SELECT c.table_name, c.column_name, CASE WHEN c.data_type IN ('numeric', 'decimal') AND c.numeric_scale = 0 THEN 'bigint' ELSE c.data_type END
FROM svv_columns AS c
WHERE c.table_schema = %s AND c.table_name IN (%s, %s, %s, %s)
ORDER BY c.table_name, c.ordinal_position;

SELECT * FROM "public"."tracks" WHERE 1 = 0;

WITH timed AS (
    SELECT t.*, t."received_at" AS rehook_sync__received_at, COALESCE("t"."timestamp", "t"."received_at", "t"."received_at") AS rehook_sync__occurred_at, CAST(t."id" AS VARCHAR) AS rehook_sync__id,
        CAST(t."user_id" AS VARCHAR) AS rehook_sync__user
    FROM "public"."tracks" AS t
)
, due AS (SELECT * FROM timed)
, calls AS (SELECT * FROM due)
SELECT MAX(rehook_sync__received_at) FROM calls WHERE rehook_sync__received_at >= %s AND rehook_sync__received_at < %s;

WITH timed AS (
    SELECT t.*, t."received_at" AS rehook_sync__received_at, COALESCE("t"."timestamp", "t"."received_at", "t"."received_at") AS rehook_sync__occurred_at, CAST(t."id" AS VARCHAR) AS rehook_sync__id,
        CAST(t."user_id" AS VARCHAR) AS rehook_sync__user
    FROM "public"."tracks" AS t
)
, due AS (SELECT * FROM timed)
, calls AS (SELECT * FROM due)
SELECT rehook_sync__received_at, rehook_sync__occurred_at, "calls"."id", "calls"."user_id", "calls"."anonymous_id", "calls"."event", "calls"."event_text", COALESCE(rehook_sync__id, '') AS rehook_sync__place
FROM calls
WHERE rehook_sync__received_at >= %s AND rehook_sync__received_at < %s AND (rehook_sync__received_at > %s OR COALESCE(rehook_sync__id, '') >= %s)
ORDER BY rehook_sync__received_at, COALESCE(rehook_sync__id, '')
LIMIT %s;

SELECT c.table_name, c.column_name, CASE WHEN c.data_type IN ('numeric', 'decimal') AND c.numeric_scale = 0 THEN 'bigint' ELSE c.data_type END
FROM svv_columns AS c
WHERE c.table_schema = %s AND c.table_name IN (%s)
ORDER BY c.table_name, c.ordinal_position;

WITH timed AS (
    SELECT t.*, t."received_at" AS rehook_sync__received_at, COALESCE("t"."timestamp", "t"."received_at", "t"."received_at") AS rehook_sync__occurred_at, CAST(t."id" AS VARCHAR) AS rehook_sync__id,
        CAST(t."user_id" AS VARCHAR) AS rehook_sync__user
    FROM "public"."tracks" AS t
)
, due AS (SELECT * FROM timed)
, calls AS (SELECT * FROM due)
SELECT rehook_sync__received_at, rehook_sync__occurred_at, "calls"."id", "calls"."user_id", "calls"."anonymous_id", "calls"."event", "calls"."event_text", COALESCE(rehook_sync__id, '') AS rehook_sync__place
FROM calls
WHERE rehook_sync__received_at IS NULL AND COALESCE(rehook_sync__id, '') >= %s
ORDER BY COALESCE(rehook_sync__id, '')
LIMIT %s;

SELECT c.table_name, c.column_name, CASE WHEN c.data_type IN ('numeric', 'decimal') AND c.numeric_scale = 0 THEN 'bigint' ELSE c.data_type END
FROM svv_columns AS c
WHERE c.table_schema = %s AND c.table_name IN (%s)
ORDER BY c.table_name, c.ordinal_position;

WITH timed AS (
    SELECT t.*, t."received_at" AS rehook_sync__received_at, COALESCE("t"."timestamp", "t"."received_at", "t"."received_at") AS rehook_sync__occurred_at, CAST(t."id" AS VARCHAR) AS rehook_sync__id,
        CAST(t."user_id" AS VARCHAR) AS rehook_sync__user
    FROM "public"."identifies" AS t
)
, due AS (SELECT * FROM timed)
, calls AS (SELECT * FROM due)
SELECT MAX(rehook_sync__received_at) FROM calls WHERE rehook_sync__received_at >= %s AND rehook_sync__received_at < %s;

WITH timed AS (
    SELECT t.*, t."received_at" AS rehook_sync__received_at, COALESCE("t"."timestamp", "t"."received_at", "t"."received_at") AS rehook_sync__occurred_at, CAST(t."id" AS VARCHAR) AS rehook_sync__id,
        CAST(t."user_id" AS VARCHAR) AS rehook_sync__user
    FROM "public"."identifies" AS t
)
, due AS (SELECT * FROM timed)
, calls AS (SELECT * FROM due)
SELECT rehook_sync__received_at, rehook_sync__occurred_at, "calls"."id", "calls"."user_id", "calls"."anonymous_id", "calls"."plan", COALESCE(rehook_sync__id, '') AS rehook_sync__place
FROM calls
WHERE rehook_sync__received_at >= %s AND rehook_sync__received_at < %s AND (rehook_sync__received_at > %s OR COALESCE(rehook_sync__id, '') >= %s)
ORDER BY rehook_sync__received_at, COALESCE(rehook_sync__id, '')
LIMIT %s;

SELECT c.table_name, c.column_name, CASE WHEN c.data_type IN ('numeric', 'decimal') AND c.numeric_scale = 0 THEN 'bigint' ELSE c.data_type END
FROM svv_columns AS c
WHERE c.table_schema = %s AND c.table_name IN (%s)
ORDER BY c.table_name, c.ordinal_position;

WITH timed AS (
    SELECT t.*, t."received_at" AS rehook_sync__received_at, COALESCE("t"."timestamp", "t"."received_at", "t"."received_at") AS rehook_sync__occurred_at, CAST(t."id" AS VARCHAR) AS rehook_sync__id,
        CAST(t."user_id" AS VARCHAR) AS rehook_sync__user
    FROM "public"."identifies" AS t
)
, due AS (SELECT * FROM timed)
, calls AS (SELECT * FROM due)
SELECT rehook_sync__received_at, rehook_sync__occurred_at, "calls"."id", "calls"."user_id", "calls"."anonymous_id", "calls"."plan", COALESCE(rehook_sync__id, '') AS rehook_sync__place
FROM calls
WHERE rehook_sync__received_at IS NULL AND COALESCE(rehook_sync__id, '') >= %s
ORDER BY COALESCE(rehook_sync__id, '')
LIMIT %s;

SELECT c.table_name, c.column_name, CASE WHEN c.data_type IN ('numeric', 'decimal') AND c.numeric_scale = 0 THEN 'bigint' ELSE c.data_type END
FROM svv_columns AS c
WHERE c.table_schema = %s AND c.table_name IN (%s)
ORDER BY c.table_name, c.ordinal_position;

SELECT "found"."id", "found"."total"
FROM (SELECT t.*, CAST(t."id" AS VARCHAR) AS rehook_sync__id FROM "public"."order_completed" AS t) AS found
WHERE "found"."id" IN (%s, %s, %s, %s)
AND "found"."received_at" >= %s AND "found"."received_at" <= %s;

SELECT "found"."id", "found"."total"
FROM (SELECT t.*, CAST(t."id" AS VARCHAR) AS rehook_sync__id FROM "public"."signed_up" AS t) AS found
WHERE "found"."id" IN (%s, %s, %s, %s)
AND "found"."received_at" >= %s AND "found"."received_at" <= %s;

SELECT c.table_name, c.column_name, CASE WHEN c.data_type IN ('numeric', 'decimal') AND c.numeric_scale = 0 THEN 'bigint' ELSE c.data_type END
FROM svv_columns AS c
WHERE c.table_schema = %s AND c.table_name IN (%s, %s)
ORDER BY c.table_name, c.ordinal_position;

WITH timed AS (
    SELECT t.*, t."received_at" AS rehook_sync__received_at, COALESCE("t"."timestamp", "t"."received_at", "t"."received_at") AS rehook_sync__occurred_at, CAST(t."id" AS VARCHAR) AS rehook_sync__id,
        CAST(t."user_id" AS VARCHAR) AS rehook_sync__user
    FROM "public"."identifies" AS t
)
, due AS (SELECT * FROM timed)
, calls AS (SELECT * FROM due)
SELECT COUNT(*) FROM (SELECT 1 FROM calls WHERE rehook_sync__received_at >= %s LIMIT 1000) AS later;

WITH timed AS (
    SELECT t.*, t."received_at" AS rehook_sync__received_at, COALESCE("t"."timestamp", "t"."received_at", "t"."received_at") AS rehook_sync__occurred_at, CAST(t."id" AS VARCHAR) AS rehook_sync__id,
        CAST(t."user_id" AS VARCHAR) AS rehook_sync__user
    FROM "public"."tracks" AS t
)
, due AS (SELECT * FROM timed)
, calls AS (SELECT * FROM due)
SELECT COUNT(*) FROM (SELECT 1 FROM calls WHERE rehook_sync__received_at >= %s LIMIT 1000) AS later;

-- second run, which finds all settled: 8 statements

SELECT NULL AS table_catalog, t.table_schema, t.table_name, CASE WHEN t.table_type LIKE '%%VIEW%%' THEN 1 ELSE 0 END AS is_view,
    0 AS is_guarded, NULL AS missing, NULL AS columns, NULL AS denied, NULL AS owner, NULL AS reader
FROM svv_tables AS t
WHERE LOWER(t.table_schema) = LOWER(COALESCE(CAST(%s AS VARCHAR), 'public'))
ORDER BY t.table_name;

SELECT * FROM "public"."identifies" WHERE 1 = 0;

SELECT c.table_name, c.column_name, CASE WHEN c.data_type IN ('numeric', 'decimal') AND c.numeric_scale = 0 THEN 'bigint' ELSE c.data_type END
FROM svv_columns AS c
WHERE c.table_schema = %s AND c.table_name IN (%s, %s, %s, %s)
ORDER BY c.table_name, c.ordinal_position;

SELECT * FROM "public"."tracks" WHERE 1 = 0;

WITH timed AS (
    SELECT t.*, t."received_at" AS rehook_sync__received_at, COALESCE("t"."timestamp", "t"."received_at", "t"."received_at") AS rehook_sync__occurred_at, CAST(t."id" AS VARCHAR) AS rehook_sync__id,
        CAST(t."user_id" AS VARCHAR) AS rehook_sync__user
    FROM "public"."tracks" AS t
)
, due AS (SELECT * FROM timed)
, calls AS (SELECT * FROM due)
SELECT DATE_TRUNC('hour', rehook_sync__received_at) AS stretch, COUNT(*) AS calls, COUNT(rehook_sync__id) AS ids,
    CAST(SUM(CAST(STRTOL(SUBSTRING(MD5(rehook_sync__id), 1, 15), 16) AS DECIMAL(38, 0))) AS VARCHAR) || ' ' || CAST(SUM(CAST(STRTOL(SUBSTRING(MD5(rehook_sync__id), 16, 15), 16) AS DECIMAL(38, 0))) AS VARCHAR) AS fingerprint,
    MAX(CASE WHEN rehook_sync__received_at < %s THEN rehook_sync__received_at END) AS newest
FROM calls
WHERE ((rehook_sync__received_at >= %s AND rehook_sync__received_at < %s) OR rehook_sync__received_at IS NULL)
GROUP BY 1;

WITH timed AS (
    SELECT t.*, t."received_at" AS rehook_sync__received_at, COALESCE("t"."timestamp", "t"."received_at", "t"."received_at") AS rehook_sync__occurred_at, CAST(t."id" AS VARCHAR) AS rehook_sync__id,
        CAST(t."user_id" AS VARCHAR) AS rehook_sync__user
    FROM "public"."tracks" AS t
)
, due AS (SELECT * FROM timed)
, calls AS (SELECT * FROM due)
SELECT rehook_sync__received_at, rehook_sync__id FROM calls WHERE ((rehook_sync__received_at >= %s AND rehook_sync__received_at < %s) OR rehook_sync__received_at IS NULL);

WITH timed AS (
    SELECT t.*, t."received_at" AS rehook_sync__received_at, COALESCE("t"."timestamp", "t"."received_at", "t"."received_at") AS rehook_sync__occurred_at, CAST(t."id" AS VARCHAR) AS rehook_sync__id,
        CAST(t."user_id" AS VARCHAR) AS rehook_sync__user
    FROM "public"."identifies" AS t
)
, due AS (SELECT * FROM timed)
, calls AS (SELECT * FROM due)
SELECT DATE_TRUNC('hour', rehook_sync__received_at) AS stretch, COUNT(*) AS calls, COUNT(rehook_sync__id) AS ids,
    CAST(SUM(CAST(STRTOL(SUBSTRING(MD5(rehook_sync__id), 1, 15), 16) AS DECIMAL(38, 0))) AS VARCHAR) || ' ' || CAST(SUM(CAST(STRTOL(SUBSTRING(MD5(rehook_sync__id), 16, 15), 16) AS DECIMAL(38, 0))) AS VARCHAR) AS fingerprint,
    MAX(CASE WHEN rehook_sync__received_at < %s THEN rehook_sync__received_at END) AS newest
FROM calls
WHERE ((rehook_sync__received_at >= %s AND rehook_sync__received_at < %s) OR rehook_sync__received_at IS NULL)
GROUP BY 1;

WITH timed AS (
    SELECT t.*, t."received_at" AS rehook_sync__received_at, COALESCE("t"."timestamp", "t"."received_at", "t"."received_at") AS rehook_sync__occurred_at, CAST(t."id" AS VARCHAR) AS rehook_sync__id,
        CAST(t."user_id" AS VARCHAR) AS rehook_sync__user
    FROM "public"."identifies" AS t
)
, due AS (SELECT * FROM timed)
, calls AS (SELECT * FROM due)
SELECT rehook_sync__received_at, rehook_sync__id FROM calls WHERE ((rehook_sync__received_at >= %s AND rehook_sync__received_at < %s) OR rehook_sync__received_at IS NULL);

-- run with nothing new: 6 statements

SELECT NULL AS table_catalog, t.table_schema, t.table_name, CASE WHEN t.table_type LIKE '%%VIEW%%' THEN 1 ELSE 0 END AS is_view,
    0 AS is_guarded, NULL AS missing, NULL AS columns, NULL AS denied, NULL AS owner, NULL AS reader
FROM svv_tables AS t
WHERE LOWER(t.table_schema) = LOWER(COALESCE(CAST(%s AS VARCHAR), 'public'))
ORDER BY t.table_name;

SELECT * FROM "public"."identifies" WHERE 1 = 0;

SELECT c.table_name, c.column_name, CASE WHEN c.data_type IN ('numeric', 'decimal') AND c.numeric_scale = 0 THEN 'bigint' ELSE c.data_type END
FROM svv_columns AS c
WHERE c.table_schema = %s AND c.table_name IN (%s, %s, %s, %s)
ORDER BY c.table_name, c.ordinal_position;

SELECT * FROM "public"."tracks" WHERE 1 = 0;

WITH timed AS (
    SELECT t.*, t."received_at" AS rehook_sync__received_at, COALESCE("t"."timestamp", "t"."received_at", "t"."received_at") AS rehook_sync__occurred_at, CAST(t."id" AS VARCHAR) AS rehook_sync__id,
        CAST(t."user_id" AS VARCHAR) AS rehook_sync__user
    FROM "public"."tracks" AS t
)
, due AS (SELECT * FROM timed)
, calls AS (SELECT * FROM due)
SELECT DATE_TRUNC('hour', rehook_sync__received_at) AS stretch, COUNT(*) AS calls, COUNT(rehook_sync__id) AS ids,
    CAST(SUM(CAST(STRTOL(SUBSTRING(MD5(rehook_sync__id), 1, 15), 16) AS DECIMAL(38, 0))) AS VARCHAR) || ' ' || CAST(SUM(CAST(STRTOL(SUBSTRING(MD5(rehook_sync__id), 16, 15), 16) AS DECIMAL(38, 0))) AS VARCHAR) AS fingerprint,
    MAX(CASE WHEN rehook_sync__received_at < %s THEN rehook_sync__received_at END) AS newest
FROM calls
WHERE ((rehook_sync__received_at >= %s AND rehook_sync__received_at < %s) OR rehook_sync__received_at IS NULL)
GROUP BY 1;

WITH timed AS (
    SELECT t.*, t."received_at" AS rehook_sync__received_at, COALESCE("t"."timestamp", "t"."received_at", "t"."received_at") AS rehook_sync__occurred_at, CAST(t."id" AS VARCHAR) AS rehook_sync__id,
        CAST(t."user_id" AS VARCHAR) AS rehook_sync__user
    FROM "public"."identifies" AS t
)
, due AS (SELECT * FROM timed)
, calls AS (SELECT * FROM due)
SELECT DATE_TRUNC('hour', rehook_sync__received_at) AS stretch, COUNT(*) AS calls, COUNT(rehook_sync__id) AS ids,
    CAST(SUM(CAST(STRTOL(SUBSTRING(MD5(rehook_sync__id), 1, 15), 16) AS DECIMAL(38, 0))) AS VARCHAR) || ' ' || CAST(SUM(CAST(STRTOL(SUBSTRING(MD5(rehook_sync__id), 16, 15), 16) AS DECIMAL(38, 0))) AS VARCHAR) AS fingerprint,
    MAX(CASE WHEN rehook_sync__received_at < %s THEN rehook_sync__received_at END) AS newest
FROM calls
WHERE ((rehook_sync__received_at >= %s AND rehook_sync__received_at < %s) OR rehook_sync__received_at IS NULL)
GROUP BY 1;

-- run with one new call of one event: 12 statements

SELECT NULL AS table_catalog, t.table_schema, t.table_name, CASE WHEN t.table_type LIKE '%%VIEW%%' THEN 1 ELSE 0 END AS is_view,
    0 AS is_guarded, NULL AS missing, NULL AS columns, NULL AS denied, NULL AS owner, NULL AS reader
FROM svv_tables AS t
WHERE LOWER(t.table_schema) = LOWER(COALESCE(CAST(%s AS VARCHAR), 'public'))
ORDER BY t.table_name;

SELECT * FROM "public"."identifies" WHERE 1 = 0;

SELECT c.table_name, c.column_name, CASE WHEN c.data_type IN ('numeric', 'decimal') AND c.numeric_scale = 0 THEN 'bigint' ELSE c.data_type END
FROM svv_columns AS c
WHERE c.table_schema = %s AND c.table_name IN (%s, %s, %s, %s)
ORDER BY c.table_name, c.ordinal_position;

SELECT * FROM "public"."tracks" WHERE 1 = 0;

WITH timed AS (
    SELECT t.*, t."received_at" AS rehook_sync__received_at, COALESCE("t"."timestamp", "t"."received_at", "t"."received_at") AS rehook_sync__occurred_at, CAST(t."id" AS VARCHAR) AS rehook_sync__id,
        CAST(t."user_id" AS VARCHAR) AS rehook_sync__user
    FROM "public"."tracks" AS t
)
, due AS (SELECT * FROM timed)
, calls AS (SELECT * FROM due)
SELECT DATE_TRUNC('hour', rehook_sync__received_at) AS stretch, COUNT(*) AS calls, COUNT(rehook_sync__id) AS ids,
    CAST(SUM(CAST(STRTOL(SUBSTRING(MD5(rehook_sync__id), 1, 15), 16) AS DECIMAL(38, 0))) AS VARCHAR) || ' ' || CAST(SUM(CAST(STRTOL(SUBSTRING(MD5(rehook_sync__id), 16, 15), 16) AS DECIMAL(38, 0))) AS VARCHAR) AS fingerprint,
    MAX(CASE WHEN rehook_sync__received_at < %s THEN rehook_sync__received_at END) AS newest
FROM calls
WHERE ((rehook_sync__received_at >= %s AND rehook_sync__received_at < %s) OR rehook_sync__received_at IS NULL)
GROUP BY 1;

WITH timed AS (
    SELECT t.*, t."received_at" AS rehook_sync__received_at, COALESCE("t"."timestamp", "t"."received_at", "t"."received_at") AS rehook_sync__occurred_at, CAST(t."id" AS VARCHAR) AS rehook_sync__id,
        CAST(t."user_id" AS VARCHAR) AS rehook_sync__user
    FROM "public"."tracks" AS t
)
, due AS (SELECT * FROM timed)
, calls AS (SELECT * FROM due)
SELECT rehook_sync__received_at, rehook_sync__id FROM calls WHERE ((rehook_sync__received_at >= %s AND rehook_sync__received_at < %s) OR rehook_sync__received_at IS NULL);

WITH timed AS (
    SELECT t.*, t."received_at" AS rehook_sync__received_at, COALESCE("t"."timestamp", "t"."received_at", "t"."received_at") AS rehook_sync__occurred_at, CAST(t."id" AS VARCHAR) AS rehook_sync__id,
        CAST(t."user_id" AS VARCHAR) AS rehook_sync__user
    FROM "public"."tracks" AS t
)
, due AS (SELECT * FROM timed)
, calls AS (SELECT * FROM due)
SELECT rehook_sync__received_at, rehook_sync__occurred_at, "calls"."id", "calls"."user_id", "calls"."anonymous_id", "calls"."event", "calls"."event_text", rehook_sync__id AS rehook_sync__place
FROM calls
WHERE rehook_sync__received_at >= %s AND rehook_sync__received_at < %s AND rehook_sync__id IN (%s);

SELECT c.table_name, c.column_name, CASE WHEN c.data_type IN ('numeric', 'decimal') AND c.numeric_scale = 0 THEN 'bigint' ELSE c.data_type END
FROM svv_columns AS c
WHERE c.table_schema = %s AND c.table_name IN (%s)
ORDER BY c.table_name, c.ordinal_position;

WITH timed AS (
    SELECT t.*, t."received_at" AS rehook_sync__received_at, COALESCE("t"."timestamp", "t"."received_at", "t"."received_at") AS rehook_sync__occurred_at, CAST(t."id" AS VARCHAR) AS rehook_sync__id,
        CAST(t."user_id" AS VARCHAR) AS rehook_sync__user
    FROM "public"."identifies" AS t
)
, due AS (SELECT * FROM timed)
, calls AS (SELECT * FROM due)
SELECT DATE_TRUNC('hour', rehook_sync__received_at) AS stretch, COUNT(*) AS calls, COUNT(rehook_sync__id) AS ids,
    CAST(SUM(CAST(STRTOL(SUBSTRING(MD5(rehook_sync__id), 1, 15), 16) AS DECIMAL(38, 0))) AS VARCHAR) || ' ' || CAST(SUM(CAST(STRTOL(SUBSTRING(MD5(rehook_sync__id), 16, 15), 16) AS DECIMAL(38, 0))) AS VARCHAR) AS fingerprint,
    MAX(CASE WHEN rehook_sync__received_at < %s THEN rehook_sync__received_at END) AS newest
FROM calls
WHERE ((rehook_sync__received_at >= %s AND rehook_sync__received_at < %s) OR rehook_sync__received_at IS NULL)
GROUP BY 1;

SELECT "found"."id", "found"."total"
FROM (SELECT t.*, CAST(t."id" AS VARCHAR) AS rehook_sync__id FROM "public"."order_completed" AS t) AS found
WHERE "found"."id" IN (%s)
AND "found"."received_at" >= %s AND "found"."received_at" <= %s;

SELECT c.table_name, c.column_name, CASE WHEN c.data_type IN ('numeric', 'decimal') AND c.numeric_scale = 0 THEN 'bigint' ELSE c.data_type END
FROM svv_columns AS c
WHERE c.table_schema = %s AND c.table_name IN (%s)
ORDER BY c.table_name, c.ordinal_position;

WITH timed AS (
    SELECT t.*, t."received_at" AS rehook_sync__received_at, COALESCE("t"."timestamp", "t"."received_at", "t"."received_at") AS rehook_sync__occurred_at, CAST(t."id" AS VARCHAR) AS rehook_sync__id,
        CAST(t."user_id" AS VARCHAR) AS rehook_sync__user
    FROM "public"."tracks" AS t
)
, due AS (SELECT * FROM timed)
, calls AS (SELECT * FROM due)
, ids AS (
    SELECT rehook_sync__id AS message_id, MIN(rehook_sync__received_at) AS received_at, MIN(COALESCE("calls"."event_text", "calls"."event", "calls"."event")) AS event
    FROM calls
    WHERE ((rehook_sync__received_at >= %s AND rehook_sync__received_at < %s) OR rehook_sync__received_at IS NULL)
    GROUP BY rehook_sync__id
)
SELECT message_id, received_at, event FROM ids;

