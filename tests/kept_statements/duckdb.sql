-- plan: 19 statements

SELECT t.table_catalog, t.table_schema, t.table_name, t.table_type LIKE '%VIEW%' AS is_view,
    0 AS is_guarded, NULL AS missing, NULL AS columns, NULL AS denied, NULL AS owner, NULL AS reader
FROM information_schema.tables AS t
WHERE t.table_catalog = COALESCE(CAST($1 AS VARCHAR), current_database())
    AND LOWER(t.table_schema) = LOWER(COALESCE(CAST($2 AS VARCHAR), current_schema()))
ORDER BY t.table_name;

SELECT * FROM "warehouse"."main"."identifies" WHERE 1 = 0;

SELECT c.table_name, c.column_name, c.data_type
FROM information_schema.columns AS c
WHERE c.table_catalog = $1 AND c.table_schema = $2 AND c.table_name IN (SELECT UNNEST(CAST($3 AS VARCHAR[])));

SELECT * FROM "warehouse"."main"."tracks" WHERE 1 = 0;

WITH timed AS (
    SELECT t.*, t."received_at" AS rehook_sync__received_at, COALESCE("t"."timestamp", "t"."received_at", "t"."received_at") AS rehook_sync__occurred_at, CAST(t."id" AS VARCHAR) AS rehook_sync__id,
        CAST(t."user_id" AS VARCHAR) AS rehook_sync__user
    FROM "warehouse"."main"."tracks" AS t
)
, due AS (SELECT * FROM timed)
, calls AS (SELECT * FROM due)
SELECT MAX(rehook_sync__received_at) FROM calls WHERE rehook_sync__received_at >= $1 AND rehook_sync__received_at < $2;

WITH timed AS (
    SELECT t.*, t."received_at" AS rehook_sync__received_at, COALESCE("t"."timestamp", "t"."received_at", "t"."received_at") AS rehook_sync__occurred_at, CAST(t."id" AS VARCHAR) AS rehook_sync__id,
        CAST(t."user_id" AS VARCHAR) AS rehook_sync__user
    FROM "warehouse"."main"."tracks" AS t
)
, due AS (SELECT * FROM timed)
, calls AS (SELECT * FROM due)
SELECT rehook_sync__received_at, rehook_sync__occurred_at, "calls"."id", "calls"."user_id", "calls"."anonymous_id", "calls"."event", "calls"."event_text", COALESCE(rehook_sync__id, '') AS rehook_sync__place
FROM calls
WHERE rehook_sync__received_at >= $1 AND rehook_sync__received_at < $2 AND (rehook_sync__received_at > $1 OR COALESCE(rehook_sync__id, '') >= $3)
ORDER BY rehook_sync__received_at, COALESCE(rehook_sync__id, '')
LIMIT $4;

SELECT c.table_name, c.column_name, c.data_type
FROM information_schema.columns AS c
WHERE c.table_catalog = $1 AND c.table_schema = $2 AND c.table_name IN (SELECT UNNEST(CAST($3 AS VARCHAR[])));

WITH timed AS (
    SELECT t.*, t."received_at" AS rehook_sync__received_at, COALESCE("t"."timestamp", "t"."received_at", "t"."received_at") AS rehook_sync__occurred_at, CAST(t."id" AS VARCHAR) AS rehook_sync__id,
        CAST(t."user_id" AS VARCHAR) AS rehook_sync__user
    FROM "warehouse"."main"."tracks" AS t
)
, due AS (SELECT * FROM timed)
, calls AS (SELECT * FROM due)
SELECT rehook_sync__received_at, rehook_sync__occurred_at, "calls"."id", "calls"."user_id", "calls"."anonymous_id", "calls"."event", "calls"."event_text", COALESCE(rehook_sync__id, '') AS rehook_sync__place
FROM calls
WHERE rehook_sync__received_at IS NULL AND COALESCE(rehook_sync__id, '') >= $1
ORDER BY COALESCE(rehook_sync__id, '')
LIMIT $2;

SELECT c.table_name, c.column_name, c.data_type
FROM information_schema.columns AS c
WHERE c.table_catalog = $1 AND c.table_schema = $2 AND c.table_name IN (SELECT UNNEST(CAST($3 AS VARCHAR[])));

WITH timed AS (
    SELECT t.*, t."received_at" AS rehook_sync__received_at, COALESCE("t"."timestamp", "t"."received_at", "t"."received_at") AS rehook_sync__occurred_at, CAST(t."id" AS VARCHAR) AS rehook_sync__id,
        CAST(t."user_id" AS VARCHAR) AS rehook_sync__user
    FROM "warehouse"."main"."identifies" AS t
)
, due AS (SELECT * FROM timed)
, calls AS (SELECT * FROM due)
SELECT MAX(rehook_sync__received_at) FROM calls WHERE rehook_sync__received_at >= $1 AND rehook_sync__received_at < $2;

WITH timed AS (
    SELECT t.*, t."received_at" AS rehook_sync__received_at, COALESCE("t"."timestamp", "t"."received_at", "t"."received_at") AS rehook_sync__occurred_at, CAST(t."id" AS VARCHAR) AS rehook_sync__id,
        CAST(t."user_id" AS VARCHAR) AS rehook_sync__user
    FROM "warehouse"."main"."identifies" AS t
)
, due AS (SELECT * FROM timed)
, calls AS (SELECT * FROM due)
SELECT rehook_sync__received_at, rehook_sync__occurred_at, "calls"."id", "calls"."user_id", "calls"."anonymous_id", "calls"."plan", COALESCE(rehook_sync__id, '') AS rehook_sync__place
FROM calls
WHERE rehook_sync__received_at >= $1 AND rehook_sync__received_at < $2 AND (rehook_sync__received_at > $1 OR COALESCE(rehook_sync__id, '') >= $3)
ORDER BY rehook_sync__received_at, COALESCE(rehook_sync__id, '')
LIMIT $4;

SELECT c.table_name, c.column_name, c.data_type
FROM information_schema.columns AS c
WHERE c.table_catalog = $1 AND c.table_schema = $2 AND c.table_name IN (SELECT UNNEST(CAST($3 AS VARCHAR[])));

WITH timed AS (
    SELECT t.*, t."received_at" AS rehook_sync__received_at, COALESCE("t"."timestamp", "t"."received_at", "t"."received_at") AS rehook_sync__occurred_at, CAST(t."id" AS VARCHAR) AS rehook_sync__id,
        CAST(t."user_id" AS VARCHAR) AS rehook_sync__user
    FROM "warehouse"."main"."identifies" AS t
)
, due AS (SELECT * FROM timed)
, calls AS (SELECT * FROM due)
SELECT rehook_sync__received_at, rehook_sync__occurred_at, "calls"."id", "calls"."user_id", "calls"."anonymous_id", "calls"."plan", COALESCE(rehook_sync__id, '') AS rehook_sync__place
FROM calls
WHERE rehook_sync__received_at IS NULL AND COALESCE(rehook_sync__id, '') >= $1
ORDER BY COALESCE(rehook_sync__id, '')
LIMIT $2;

SELECT c.table_name, c.column_name, c.data_type
FROM information_schema.columns AS c
WHERE c.table_catalog = $1 AND c.table_schema = $2 AND c.table_name IN (SELECT UNNEST(CAST($3 AS VARCHAR[])));

SELECT "found"."id", "found"."total"
FROM (SELECT t.*, CAST(t."id" AS VARCHAR) AS rehook_sync__id FROM "warehouse"."main"."order_completed" AS t) AS found
WHERE "found"."id" IN (SELECT UNNEST(CAST($1 AS VARCHAR[])))
AND "found"."received_at" >= $2 AND "found"."received_at" <= $3;

SELECT "found"."id", "found"."total"
FROM (SELECT t.*, CAST(t."id" AS VARCHAR) AS rehook_sync__id FROM "warehouse"."main"."signed_up" AS t) AS found
WHERE "found"."id" IN (SELECT UNNEST(CAST($1 AS VARCHAR[])))
AND "found"."received_at" >= $2 AND "found"."received_at" <= $3;

SELECT c.table_name, c.column_name, c.data_type
FROM information_schema.columns AS c
WHERE c.table_catalog = $1 AND c.table_schema = $2 AND c.table_name IN (SELECT UNNEST(CAST($3 AS VARCHAR[])));

WITH timed AS (
    SELECT t.*, t."received_at" AS rehook_sync__received_at, COALESCE("t"."timestamp", "t"."received_at", "t"."received_at") AS rehook_sync__occurred_at, CAST(t."id" AS VARCHAR) AS rehook_sync__id,
        CAST(t."user_id" AS VARCHAR) AS rehook_sync__user
    FROM "warehouse"."main"."identifies" AS t
)
, due AS (SELECT * FROM timed)
, calls AS (SELECT * FROM due)
SELECT COUNT(*) FROM (SELECT 1 FROM calls WHERE rehook_sync__received_at >= $1 LIMIT 1000) AS later;

WITH timed AS (
    SELECT t.*, t."received_at" AS rehook_sync__received_at, COALESCE("t"."timestamp", "t"."received_at", "t"."received_at") AS rehook_sync__occurred_at, CAST(t."id" AS VARCHAR) AS rehook_sync__id,
        CAST(t."user_id" AS VARCHAR) AS rehook_sync__user
    FROM "warehouse"."main"."tracks" AS t
)
, due AS (SELECT * FROM timed)
, calls AS (SELECT * FROM due)
SELECT COUNT(*) FROM (SELECT 1 FROM calls WHERE rehook_sync__received_at >= $1 LIMIT 1000) AS later;

-- first run: 19 statements

SELECT t.table_catalog, t.table_schema, t.table_name, t.table_type LIKE '%VIEW%' AS is_view,
    0 AS is_guarded, NULL AS missing, NULL AS columns, NULL AS denied, NULL AS owner, NULL AS reader
FROM information_schema.tables AS t
WHERE t.table_catalog = COALESCE(CAST($1 AS VARCHAR), current_database())
    AND LOWER(t.table_schema) = LOWER(COALESCE(CAST($2 AS VARCHAR), current_schema()))
ORDER BY t.table_name;

SELECT * FROM "warehouse"."main"."identifies" WHERE 1 = 0;

SELECT c.table_name, c.column_name, c.data_type
FROM information_schema.columns AS c
WHERE c.table_catalog = $1 AND c.table_schema = $2 AND c.table_name IN (SELECT UNNEST(CAST($3 AS VARCHAR[])));

SELECT * FROM "warehouse"."main"."tracks" WHERE 1 = 0;

WITH timed AS (
    SELECT t.*, t."received_at" AS rehook_sync__received_at, COALESCE("t"."timestamp", "t"."received_at", "t"."received_at") AS rehook_sync__occurred_at, CAST(t."id" AS VARCHAR) AS rehook_sync__id,
        CAST(t."user_id" AS VARCHAR) AS rehook_sync__user
    FROM "warehouse"."main"."tracks" AS t
)
, due AS (SELECT * FROM timed)
, calls AS (SELECT * FROM due)
SELECT MAX(rehook_sync__received_at) FROM calls WHERE rehook_sync__received_at >= $1 AND rehook_sync__received_at < $2;

WITH timed AS (
    SELECT t.*, t."received_at" AS rehook_sync__received_at, COALESCE("t"."timestamp", "t"."received_at", "t"."received_at") AS rehook_sync__occurred_at, CAST(t."id" AS VARCHAR) AS rehook_sync__id,
        CAST(t."user_id" AS VARCHAR) AS rehook_sync__user
    FROM "warehouse"."main"."tracks" AS t
)
, due AS (SELECT * FROM timed)
, calls AS (SELECT * FROM due)
SELECT rehook_sync__received_at, rehook_sync__occurred_at, "calls"."id", "calls"."user_id", "calls"."anonymous_id", "calls"."event", "calls"."event_text", COALESCE(rehook_sync__id, '') AS rehook_sync__place
FROM calls
WHERE rehook_sync__received_at >= $1 AND rehook_sync__received_at < $2 AND (rehook_sync__received_at > $1 OR COALESCE(rehook_sync__id, '') >= $3)
ORDER BY rehook_sync__received_at, COALESCE(rehook_sync__id, '')
LIMIT $4;

SELECT c.table_name, c.column_name, c.data_type
FROM information_schema.columns AS c
WHERE c.table_catalog = $1 AND c.table_schema = $2 AND c.table_name IN (SELECT UNNEST(CAST($3 AS VARCHAR[])));

WITH timed AS (
    SELECT t.*, t."received_at" AS rehook_sync__received_at, COALESCE("t"."timestamp", "t"."received_at", "t"."received_at") AS rehook_sync__occurred_at, CAST(t."id" AS VARCHAR) AS rehook_sync__id,
        CAST(t."user_id" AS VARCHAR) AS rehook_sync__user
    FROM "warehouse"."main"."tracks" AS t
)
, due AS (SELECT * FROM timed)
, calls AS (SELECT * FROM due)
SELECT rehook_sync__received_at, rehook_sync__occurred_at, "calls"."id", "calls"."user_id", "calls"."anonymous_id", "calls"."event", "calls"."event_text", COALESCE(rehook_sync__id, '') AS rehook_sync__place
FROM calls
WHERE rehook_sync__received_at IS NULL AND COALESCE(rehook_sync__id, '') >= $1
ORDER BY COALESCE(rehook_sync__id, '')
LIMIT $2;

SELECT c.table_name, c.column_name, c.data_type
FROM information_schema.columns AS c
WHERE c.table_catalog = $1 AND c.table_schema = $2 AND c.table_name IN (SELECT UNNEST(CAST($3 AS VARCHAR[])));

WITH timed AS (
    SELECT t.*, t."received_at" AS rehook_sync__received_at, COALESCE("t"."timestamp", "t"."received_at", "t"."received_at") AS rehook_sync__occurred_at, CAST(t."id" AS VARCHAR) AS rehook_sync__id,
        CAST(t."user_id" AS VARCHAR) AS rehook_sync__user
    FROM "warehouse"."main"."identifies" AS t
)
, due AS (SELECT * FROM timed)
, calls AS (SELECT * FROM due)
SELECT MAX(rehook_sync__received_at) FROM calls WHERE rehook_sync__received_at >= $1 AND rehook_sync__received_at < $2;

WITH timed AS (
    SELECT t.*, t."received_at" AS rehook_sync__received_at, COALESCE("t"."timestamp", "t"."received_at", "t"."received_at") AS rehook_sync__occurred_at, CAST(t."id" AS VARCHAR) AS rehook_sync__id,
        CAST(t."user_id" AS VARCHAR) AS rehook_sync__user
    FROM "warehouse"."main"."identifies" AS t
)
, due AS (SELECT * FROM timed)
, calls AS (SELECT * FROM due)
SELECT rehook_sync__received_at, rehook_sync__occurred_at, "calls"."id", "calls"."user_id", "calls"."anonymous_id", "calls"."plan", COALESCE(rehook_sync__id, '') AS rehook_sync__place
FROM calls
WHERE rehook_sync__received_at >= $1 AND rehook_sync__received_at < $2 AND (rehook_sync__received_at > $1 OR COALESCE(rehook_sync__id, '') >= $3)
ORDER BY rehook_sync__received_at, COALESCE(rehook_sync__id, '')
LIMIT $4;

SELECT c.table_name, c.column_name, c.data_type
FROM information_schema.columns AS c
WHERE c.table_catalog = $1 AND c.table_schema = $2 AND c.table_name IN (SELECT UNNEST(CAST($3 AS VARCHAR[])));

WITH timed AS (
    SELECT t.*, t."received_at" AS rehook_sync__received_at, COALESCE("t"."timestamp", "t"."received_at", "t"."received_at") AS rehook_sync__occurred_at, CAST(t."id" AS VARCHAR) AS rehook_sync__id,
        CAST(t."user_id" AS VARCHAR) AS rehook_sync__user
    FROM "warehouse"."main"."identifies" AS t
)
, due AS (SELECT * FROM timed)
, calls AS (SELECT * FROM due)
SELECT rehook_sync__received_at, rehook_sync__occurred_at, "calls"."id", "calls"."user_id", "calls"."anonymous_id", "calls"."plan", COALESCE(rehook_sync__id, '') AS rehook_sync__place
FROM calls
WHERE rehook_sync__received_at IS NULL AND COALESCE(rehook_sync__id, '') >= $1
ORDER BY COALESCE(rehook_sync__id, '')
LIMIT $2;

SELECT c.table_name, c.column_name, c.data_type
FROM information_schema.columns AS c
WHERE c.table_catalog = $1 AND c.table_schema = $2 AND c.table_name IN (SELECT UNNEST(CAST($3 AS VARCHAR[])));

SELECT "found"."id", "found"."total"
FROM (SELECT t.*, CAST(t."id" AS VARCHAR) AS rehook_sync__id FROM "warehouse"."main"."order_completed" AS t) AS found
WHERE "found"."id" IN (SELECT UNNEST(CAST($1 AS VARCHAR[])))
AND "found"."received_at" >= $2 AND "found"."received_at" <= $3;

SELECT "found"."id", "found"."total"
FROM (SELECT t.*, CAST(t."id" AS VARCHAR) AS rehook_sync__id FROM "warehouse"."main"."signed_up" AS t) AS found
WHERE "found"."id" IN (SELECT UNNEST(CAST($1 AS VARCHAR[])))
AND "found"."received_at" >= $2 AND "found"."received_at" <= $3;

SELECT c.table_name, c.column_name, c.data_type
FROM information_schema.columns AS c
WHERE c.table_catalog = $1 AND c.table_schema = $2 AND c.table_name IN (SELECT UNNEST(CAST($3 AS VARCHAR[])));

WITH timed AS (
    SELECT t.*, t."received_at" AS rehook_sync__received_at, COALESCE("t"."timestamp", "t"."received_at", "t"."received_at") AS rehook_sync__occurred_at, CAST(t."id" AS VARCHAR) AS rehook_sync__id,
        CAST(t."user_id" AS VARCHAR) AS rehook_sync__user
    FROM "warehouse"."main"."identifies" AS t
)
, due AS (SELECT * FROM timed)
, calls AS (SELECT * FROM due)
SELECT COUNT(*) FROM (SELECT 1 FROM calls WHERE rehook_sync__received_at >= $1 LIMIT 1000) AS later;

WITH timed AS (
    SELECT t.*, t."received_at" AS rehook_sync__received_at, COALESCE("t"."timestamp", "t"."received_at", "t"."received_at") AS rehook_sync__occurred_at, CAST(t."id" AS VARCHAR) AS rehook_sync__id,
        CAST(t."user_id" AS VARCHAR) AS rehook_sync__user
    FROM "warehouse"."main"."tracks" AS t
)
, due AS (SELECT * FROM timed)
, calls AS (SELECT * FROM due)
SELECT COUNT(*) FROM (SELECT 1 FROM calls WHERE rehook_sync__received_at >= $1 LIMIT 1000) AS later;

-- second run, which finds all settled: 8 statements

SELECT t.table_catalog, t.table_schema, t.table_name, t.table_type LIKE '%VIEW%' AS is_view,
    0 AS is_guarded, NULL AS missing, NULL AS columns, NULL AS denied, NULL AS owner, NULL AS reader
FROM information_schema.tables AS t
WHERE t.table_catalog = COALESCE(CAST($1 AS VARCHAR), current_database())
    AND LOWER(t.table_schema) = LOWER(COALESCE(CAST($2 AS VARCHAR), current_schema()))
ORDER BY t.table_name;

SELECT * FROM "warehouse"."main"."identifies" WHERE 1 = 0;

SELECT c.table_name, c.column_name, c.data_type
FROM information_schema.columns AS c
WHERE c.table_catalog = $1 AND c.table_schema = $2 AND c.table_name IN (SELECT UNNEST(CAST($3 AS VARCHAR[])));

SELECT * FROM "warehouse"."main"."tracks" WHERE 1 = 0;

WITH timed AS (
    SELECT t.*, t."received_at" AS rehook_sync__received_at, COALESCE("t"."timestamp", "t"."received_at", "t"."received_at") AS rehook_sync__occurred_at, CAST(t."id" AS VARCHAR) AS rehook_sync__id,
        CAST(t."user_id" AS VARCHAR) AS rehook_sync__user
    FROM "warehouse"."main"."tracks" AS t
)
, due AS (SELECT * FROM timed)
, calls AS (SELECT * FROM due)
SELECT DATE_TRUNC('hour', rehook_sync__received_at) AS stretch, COUNT(*) AS calls, COUNT(rehook_sync__id) AS ids,
    CONCAT_WS(' ', SUM(HASH(rehook_sync__id)), BIT_XOR(MD5_NUMBER(rehook_sync__id))) AS fingerprint,
    MAX(CASE WHEN rehook_sync__received_at < $1 THEN rehook_sync__received_at END) AS newest
FROM calls
WHERE ((rehook_sync__received_at >= $2 AND rehook_sync__received_at < $3) OR rehook_sync__received_at IS NULL)
GROUP BY 1;

WITH timed AS (
    SELECT t.*, t."received_at" AS rehook_sync__received_at, COALESCE("t"."timestamp", "t"."received_at", "t"."received_at") AS rehook_sync__occurred_at, CAST(t."id" AS VARCHAR) AS rehook_sync__id,
        CAST(t."user_id" AS VARCHAR) AS rehook_sync__user
    FROM "warehouse"."main"."tracks" AS t
)
, due AS (SELECT * FROM timed)
, calls AS (SELECT * FROM due)
SELECT rehook_sync__received_at, rehook_sync__id FROM calls WHERE ((rehook_sync__received_at >= $1 AND rehook_sync__received_at < $2) OR rehook_sync__received_at IS NULL);

WITH timed AS (
    SELECT t.*, t."received_at" AS rehook_sync__received_at, COALESCE("t"."timestamp", "t"."received_at", "t"."received_at") AS rehook_sync__occurred_at, CAST(t."id" AS VARCHAR) AS rehook_sync__id,
        CAST(t."user_id" AS VARCHAR) AS rehook_sync__user
    FROM "warehouse"."main"."identifies" AS t
)
, due AS (SELECT * FROM timed)
, calls AS (SELECT * FROM due)
SELECT DATE_TRUNC('hour', rehook_sync__received_at) AS stretch, COUNT(*) AS calls, COUNT(rehook_sync__id) AS ids,
    CONCAT_WS(' ', SUM(HASH(rehook_sync__id)), BIT_XOR(MD5_NUMBER(rehook_sync__id))) AS fingerprint,
    MAX(CASE WHEN rehook_sync__received_at < $1 THEN rehook_sync__received_at END) AS newest
FROM calls
WHERE ((rehook_sync__received_at >= $2 AND rehook_sync__received_at < $3) OR rehook_sync__received_at IS NULL)
GROUP BY 1;

WITH timed AS (
    SELECT t.*, t."received_at" AS rehook_sync__received_at, COALESCE("t"."timestamp", "t"."received_at", "t"."received_at") AS rehook_sync__occurred_at, CAST(t."id" AS VARCHAR) AS rehook_sync__id,
        CAST(t."user_id" AS VARCHAR) AS rehook_sync__user
    FROM "warehouse"."main"."identifies" AS t
)
, due AS (SELECT * FROM timed)
, calls AS (SELECT * FROM due)
SELECT rehook_sync__received_at, rehook_sync__id FROM calls WHERE ((rehook_sync__received_at >= $1 AND rehook_sync__received_at < $2) OR rehook_sync__received_at IS NULL);

-- run with nothing new: 6 statements

SELECT t.table_catalog, t.table_schema, t.table_name, t.table_type LIKE '%VIEW%' AS is_view,
    0 AS is_guarded, NULL AS missing, NULL AS columns, NULL AS denied, NULL AS owner, NULL AS reader
FROM information_schema.tables AS t
WHERE t.table_catalog = COALESCE(CAST($1 AS VARCHAR), current_database())
    AND LOWER(t.table_schema) = LOWER(COALESCE(CAST($2 AS VARCHAR), current_schema()))
ORDER BY t.table_name;

SELECT * FROM "warehouse"."main"."identifies" WHERE 1 = 0;

SELECT c.table_name, c.column_name, c.data_type
FROM information_schema.columns AS c
WHERE c.table_catalog = $1 AND c.table_schema = $2 AND c.table_name IN (SELECT UNNEST(CAST($3 AS VARCHAR[])));

SELECT * FROM "warehouse"."main"."tracks" WHERE 1 = 0;

WITH timed AS (
    SELECT t.*, t."received_at" AS rehook_sync__received_at, COALESCE("t"."timestamp", "t"."received_at", "t"."received_at") AS rehook_sync__occurred_at, CAST(t."id" AS VARCHAR) AS rehook_sync__id,
        CAST(t."user_id" AS VARCHAR) AS rehook_sync__user
    FROM "warehouse"."main"."tracks" AS t
)
, due AS (SELECT * FROM timed)
, calls AS (SELECT * FROM due)
SELECT DATE_TRUNC('hour', rehook_sync__received_at) AS stretch, COUNT(*) AS calls, COUNT(rehook_sync__id) AS ids,
    CONCAT_WS(' ', SUM(HASH(rehook_sync__id)), BIT_XOR(MD5_NUMBER(rehook_sync__id))) AS fingerprint,
    MAX(CASE WHEN rehook_sync__received_at < $1 THEN rehook_sync__received_at END) AS newest
FROM calls
WHERE ((rehook_sync__received_at >= $2 AND rehook_sync__received_at < $3) OR rehook_sync__received_at IS NULL)
GROUP BY 1;

WITH timed AS (
    SELECT t.*, t."received_at" AS rehook_sync__received_at, COALESCE("t"."timestamp", "t"."received_at", "t"."received_at") AS rehook_sync__occurred_at, CAST(t."id" AS VARCHAR) AS rehook_sync__id,
        CAST(t."user_id" AS VARCHAR) AS rehook_sync__user
    FROM "warehouse"."main"."identifies" AS t
)
, due AS (SELECT * FROM timed)
, calls AS (SELECT * FROM due)
SELECT DATE_TRUNC('hour', rehook_sync__received_at) AS stretch, COUNT(*) AS calls, COUNT(rehook_sync__id) AS ids,
    CONCAT_WS(' ', SUM(HASH(rehook_sync__id)), BIT_XOR(MD5_NUMBER(rehook_sync__id))) AS fingerprint,
    MAX(CASE WHEN rehook_sync__received_at < $1 THEN rehook_sync__received_at END) AS newest
FROM calls
WHERE ((rehook_sync__received_at >= $2 AND rehook_sync__received_at < $3) OR rehook_sync__received_at IS NULL)
GROUP BY 1;

-- run with one new call of one event: 12 statements

SELECT t.table_catalog, t.table_schema, t.table_name, t.table_type LIKE '%VIEW%' AS is_view,
    0 AS is_guarded, NULL AS missing, NULL AS columns, NULL AS denied, NULL AS owner, NULL AS reader
FROM information_schema.tables AS t
WHERE t.table_catalog = COALESCE(CAST($1 AS VARCHAR), current_database())
    AND LOWER(t.table_schema) = LOWER(COALESCE(CAST($2 AS VARCHAR), current_schema()))
ORDER BY t.table_name;

SELECT * FROM "warehouse"."main"."identifies" WHERE 1 = 0;

SELECT c.table_name, c.column_name, c.data_type
FROM information_schema.columns AS c
WHERE c.table_catalog = $1 AND c.table_schema = $2 AND c.table_name IN (SELECT UNNEST(CAST($3 AS VARCHAR[])));

SELECT * FROM "warehouse"."main"."tracks" WHERE 1 = 0;

WITH timed AS (
    SELECT t.*, t."received_at" AS rehook_sync__received_at, COALESCE("t"."timestamp", "t"."received_at", "t"."received_at") AS rehook_sync__occurred_at, CAST(t."id" AS VARCHAR) AS rehook_sync__id,
        CAST(t."user_id" AS VARCHAR) AS rehook_sync__user
    FROM "warehouse"."main"."tracks" AS t
)
, due AS (SELECT * FROM timed)
, calls AS (SELECT * FROM due)
SELECT DATE_TRUNC('hour', rehook_sync__received_at) AS stretch, COUNT(*) AS calls, COUNT(rehook_sync__id) AS ids,
    CONCAT_WS(' ', SUM(HASH(rehook_sync__id)), BIT_XOR(MD5_NUMBER(rehook_sync__id))) AS fingerprint,
    MAX(CASE WHEN rehook_sync__received_at < $1 THEN rehook_sync__received_at END) AS newest
FROM calls
WHERE ((rehook_sync__received_at >= $2 AND rehook_sync__received_at < $3) OR rehook_sync__received_at IS NULL)
GROUP BY 1;

WITH timed AS (
    SELECT t.*, t."received_at" AS rehook_sync__received_at, COALESCE("t"."timestamp", "t"."received_at", "t"."received_at") AS rehook_sync__occurred_at, CAST(t."id" AS VARCHAR) AS rehook_sync__id,
        CAST(t."user_id" AS VARCHAR) AS rehook_sync__user
    FROM "warehouse"."main"."tracks" AS t
)
, due AS (SELECT * FROM timed)
, calls AS (SELECT * FROM due)
SELECT rehook_sync__received_at, rehook_sync__id FROM calls WHERE ((rehook_sync__received_at >= $1 AND rehook_sync__received_at < $2) OR rehook_sync__received_at IS NULL);

WITH timed AS (
    SELECT t.*, t."received_at" AS rehook_sync__received_at, COALESCE("t"."timestamp", "t"."received_at", "t"."received_at") AS rehook_sync__occurred_at, CAST(t."id" AS VARCHAR) AS rehook_sync__id,
        CAST(t."user_id" AS VARCHAR) AS rehook_sync__user
    FROM "warehouse"."main"."tracks" AS t
)
, due AS (SELECT * FROM timed)
, calls AS (SELECT * FROM due)
SELECT rehook_sync__received_at, rehook_sync__occurred_at, "calls"."id", "calls"."user_id", "calls"."anonymous_id", "calls"."event", "calls"."event_text", rehook_sync__id AS rehook_sync__place
FROM calls
WHERE rehook_sync__received_at >= $1 AND rehook_sync__received_at < $2 AND rehook_sync__id IN (SELECT UNNEST(CAST($3 AS VARCHAR[])));

SELECT c.table_name, c.column_name, c.data_type
FROM information_schema.columns AS c
WHERE c.table_catalog = $1 AND c.table_schema = $2 AND c.table_name IN (SELECT UNNEST(CAST($3 AS VARCHAR[])));

WITH timed AS (
    SELECT t.*, t."received_at" AS rehook_sync__received_at, COALESCE("t"."timestamp", "t"."received_at", "t"."received_at") AS rehook_sync__occurred_at, CAST(t."id" AS VARCHAR) AS rehook_sync__id,
        CAST(t."user_id" AS VARCHAR) AS rehook_sync__user
    FROM "warehouse"."main"."identifies" AS t
)
, due AS (SELECT * FROM timed)
, calls AS (SELECT * FROM due)
SELECT DATE_TRUNC('hour', rehook_sync__received_at) AS stretch, COUNT(*) AS calls, COUNT(rehook_sync__id) AS ids,
    CONCAT_WS(' ', SUM(HASH(rehook_sync__id)), BIT_XOR(MD5_NUMBER(rehook_sync__id))) AS fingerprint,
    MAX(CASE WHEN rehook_sync__received_at < $1 THEN rehook_sync__received_at END) AS newest
FROM calls
WHERE ((rehook_sync__received_at >= $2 AND rehook_sync__received_at < $3) OR rehook_sync__received_at IS NULL)
GROUP BY 1;

SELECT "found"."id", "found"."total"
FROM (SELECT t.*, CAST(t."id" AS VARCHAR) AS rehook_sync__id FROM "warehouse"."main"."order_completed" AS t) AS found
WHERE "found"."id" IN (SELECT UNNEST(CAST($1 AS VARCHAR[])))
AND "found"."received_at" >= $2 AND "found"."received_at" <= $3;

SELECT c.table_name, c.column_name, c.data_type
FROM information_schema.columns AS c
WHERE c.table_catalog = $1 AND c.table_schema = $2 AND c.table_name IN (SELECT UNNEST(CAST($3 AS VARCHAR[])));

WITH timed AS (
    SELECT t.*, t."received_at" AS rehook_sync__received_at, COALESCE("t"."timestamp", "t"."received_at", "t"."received_at") AS rehook_sync__occurred_at, CAST(t."id" AS VARCHAR) AS rehook_sync__id,
        CAST(t."user_id" AS VARCHAR) AS rehook_sync__user
    FROM "warehouse"."main"."tracks" AS t
)
, due AS (SELECT * FROM timed)
, calls AS (SELECT * FROM due)
, ids AS (
    SELECT rehook_sync__id AS message_id, MIN(rehook_sync__received_at) AS received_at, MIN(COALESCE("calls"."event_text", "calls"."event", "calls"."event")) AS event
    FROM calls
    WHERE ((rehook_sync__received_at >= $1 AND rehook_sync__received_at < $2) OR rehook_sync__received_at IS NULL)
    GROUP BY rehook_sync__id
)
SELECT message_id, received_at, event FROM ids;

