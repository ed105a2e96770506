-- plan: 21 statements

SELECT NULL AS table_catalog, found.nspname AS table_schema, found.relname AS table_name, found.relkind IN ('v', 'm') AS is_view,
    row_security_active(found.oid) AS is_guarded, found.missing,
    CASE WHEN found.missing IS NOT NULL THEN (
        SELECT array_agg(CAST(a.attname AS text)) FROM pg_attribute AS a WHERE a.attrelid = found.oid AND a.attnum > 0 AND NOT a.attisdropped
    ) END AS columns,
    CASE WHEN found.missing = 'columns' THEN (
        SELECT array_agg(CAST(a.attname AS text) ORDER BY a.attnum) FROM pg_attribute AS a
        WHERE a.attrelid = found.oid AND a.attnum > 0 AND NOT a.attisdropped AND NOT has_column_privilege(found.oid, a.attnum, 'SELECT')
    ) END AS denied,
    pg_get_userbyid(found.relowner) AS owner, current_user AS reader
FROM (
    SELECT n.nspname, c.relname, c.relkind, c.oid, c.relowner, CASE
        WHEN NOT has_schema_privilege(n.oid, 'USAGE') THEN 'usage'
        WHEN has_table_privilege(c.oid, 'SELECT') THEN NULL
        WHEN NOT has_any_column_privilege(c.oid, 'SELECT') THEN 'table'
        WHEN EXISTS (
            SELECT 1 FROM pg_attribute AS a
            WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND NOT has_column_privilege(c.oid, a.attnum, 'SELECT')
        ) THEN 'columns'
    END AS missing
    FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND n.nspname = COALESCE(CAST(%(schema)s AS text), current_schema())
) AS found
ORDER BY found.relname;

SELECT * FROM "public"."identifies" WHERE 1 = 0;

SELECT * FROM "public"."tracks" WHERE 1 = 0;

SELECT c.relname AS table_name, a.attname AS column_name
FROM pg_attribute AS a JOIN pg_class AS c ON c.oid = a.attrelid JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE n.nspname = COALESCE(CAST(%(schema)s AS text), current_schema()) AND c.relname = ANY(%(tables)s) AND a.attnum > 0 AND NOT a.attisdropped;

SELECT * FROM "public"."order_completed" WHERE 1 = 0;

SELECT * FROM "public"."signed_up" WHERE 1 = 0;

WITH timed AS (
    SELECT t.*, t."received_at" AS rehook_sync__received_at, COALESCE("t"."timestamp", "t"."received_at", "t"."received_at") AS rehook_sync__occurred_at, CAST(t."id" AS text) AS rehook_sync__id,
        CAST(t."user_id" AS text) AS rehook_sync__user
    FROM "public"."tracks" AS t
)
, due AS (SELECT * FROM timed)
, calls AS (SELECT * FROM due)
SELECT MAX(rehook_sync__received_at) FROM calls WHERE rehook_sync__received_at >= %(low)s AND rehook_sync__received_at < %(high)s;

WITH timed AS (
    SELECT t.*, t."received_at" AS rehook_sync__received_at, COALESCE("t"."timestamp", "t"."received_at", "t"."received_at") AS rehook_sync__occurred_at, CAST(t."id" AS text) AS rehook_sync__id,
        CAST(t."user_id" AS text) AS rehook_sync__user
    FROM "public"."tracks" AS t
)
, due AS (SELECT * FROM timed)
, calls AS (SELECT * FROM due)
SELECT rehook_sync__received_at, rehook_sync__occurred_at, "calls"."id", "calls"."user_id", "calls"."anonymous_id", "calls"."event", "calls"."event_text", COALESCE(rehook_sync__id, '') COLLATE "C" AS rehook_sync__place
FROM calls
WHERE rehook_sync__received_at >= %(low)s AND rehook_sync__received_at < %(high)s AND (rehook_sync__received_at > %(low)s OR COALESCE(rehook_sync__id, '') COLLATE "C" >= %(place)s)
ORDER BY rehook_sync__received_at, COALESCE(rehook_sync__id, '') COLLATE "C"
LIMIT %(rows)s;

SELECT c.relname AS table_name, a.attname AS column_name
FROM pg_attribute AS a JOIN pg_class AS c ON c.oid = a.attrelid JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE n.nspname = COALESCE(CAST(%(schema)s AS text), current_schema()) AND c.relname = ANY(%(tables)s) AND a.attnum > 0 AND NOT a.attisdropped;

WITH timed AS (
    SELECT t.*, t."received_at" AS rehook_sync__received_at, COALESCE("t"."timestamp", "t"."received_at", "t"."received_at") AS rehook_sync__occurred_at, CAST(t."id" AS text) AS rehook_sync__id,
        CAST(t."user_id" AS text) AS rehook_sync__user
    FROM "public"."tracks" AS t
)
, due AS (SELECT * FROM timed)
, calls AS (SELECT * FROM due)
SELECT rehook_sync__received_at, rehook_sync__occurred_at, "calls"."id", "calls"."user_id", "calls"."anonymous_id", "calls"."event", "calls"."event_text", COALESCE(rehook_sync__id, '') COLLATE "C" AS rehook_sync__place
FROM calls
WHERE rehook_sync__received_at IS NULL AND COALESCE(rehook_sync__id, '') COLLATE "C" >= %(place)s
ORDER BY COALESCE(rehook_sync__id, '') COLLATE "C"
LIMIT %(rows)s;

SELECT c.relname AS table_name, a.attname AS column_name
FROM pg_attribute AS a JOIN pg_class AS c ON c.oid = a.attrelid JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE n.nspname = COALESCE(CAST(%(schema)s AS text), current_schema()) AND c.relname = ANY(%(tables)s) AND a.attnum > 0 AND NOT a.attisdropped;

WITH timed AS (
    SELECT t.*, t."received_at" AS rehook_sync__received_at, COALESCE("t"."timestamp", "t"."received_at", "t"."received_at") AS rehook_sync__occurred_at, CAST(t."id" AS text) AS rehook_sync__id,
        CAST(t."user_id" AS text) AS rehook_sync__user
    FROM "public"."identifies" AS t
)
, due AS (SELECT * FROM timed)
, calls AS (SELECT * FROM due)
SELECT MAX(rehook_sync__received_at) FROM calls WHERE rehook_sync__received_at >= %(low)s AND rehook_sync__received_at < %(high)s;

WITH timed AS (
    SELECT t.*, t."received_at" AS rehook_sync__received_at, COALESCE("t"."timestamp", "t"."received_at", "t"."received_at") AS rehook_sync__occurred_at, CAST(t."id" AS text) AS rehook_sync__id,
        CAST(t."user_id" AS text) AS rehook_sync__user
    FROM "public"."identifies" AS t
)
, due AS (SELECT * FROM timed)
, calls AS (SELECT * FROM due)
SELECT rehook_sync__received_at, rehook_sync__occurred_at, "calls"."id", "calls"."user_id", "calls"."anonymous_id", "calls"."plan", COALESCE(rehook_sync__id, '') COLLATE "C" AS rehook_sync__place
FROM calls
WHERE rehook_sync__received_at >= %(low)s AND rehook_sync__received_at < %(high)s AND (rehook_sync__received_at > %(low)s OR COALESCE(rehook_sync__id, '') COLLATE "C" >= %(place)s)
ORDER BY rehook_sync__received_at, COALESCE(rehook_sync__id, '') COLLATE "C"
LIMIT %(rows)s;

SELECT c.relname AS table_name, a.attname AS column_name
FROM pg_attribute AS a JOIN pg_class AS c ON c.oid = a.attrelid JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE n.nspname = COALESCE(CAST(%(schema)s AS text), current_schema()) AND c.relname = ANY(%(tables)s) AND a.attnum > 0 AND NOT a.attisdropped;

WITH timed AS (
    SELECT t.*, t."received_at" AS rehook_sync__received_at, COALESCE("t"."timestamp", "t"."received_at", "t"."received_at") AS rehook_sync__occurred_at, CAST(t."id" AS text) AS rehook_sync__id,
        CAST(t."user_id" AS text) AS rehook_sync__user
    FROM "public"."identifies" AS t
)
, due AS (SELECT * FROM timed)
, calls AS (SELECT * FROM due)
SELECT rehook_sync__received_at, rehook_sync__occurred_at, "calls"."id", "calls"."user_id", "calls"."anonymous_id", "calls"."plan", COALESCE(rehook_sync__id, '') COLLATE "C" AS rehook_sync__place
FROM calls
WHERE rehook_sync__received_at IS NULL AND COALESCE(rehook_sync__id, '') COLLATE "C" >= %(place)s
ORDER BY COALESCE(rehook_sync__id, '') COLLATE "C"
LIMIT %(rows)s;

SELECT c.relname AS table_name, a.attname AS column_name
FROM pg_attribute AS a JOIN pg_class AS c ON c.oid = a.attrelid JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE n.nspname = COALESCE(CAST(%(schema)s AS text), current_schema()) AND c.relname = ANY(%(tables)s) AND a.attnum > 0 AND NOT a.attisdropped;

SELECT "found"."id", "found"."total"
FROM (SELECT t.*, CAST(t."id" AS text) AS rehook_sync__id FROM "public"."order_completed" AS t) AS found
WHERE "found"."id" = ANY(%(ids)s)
AND "found"."received_at" >= %(low)s AND "found"."received_at" <= %(high)s;

SELECT "found"."id", "found"."total"
FROM (SELECT t.*, CAST(t."id" AS text) AS rehook_sync__id FROM "public"."signed_up" AS t) AS found
WHERE "found"."id" = ANY(%(ids)s)
AND "found"."received_at" >= %(low)s AND "found"."received_at" <= %(high)s;

SELECT c.relname AS table_name, a.attname AS column_name
FROM pg_attribute AS a JOIN pg_class AS c ON c.oid = a.attrelid JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE n.nspname = COALESCE(CAST(%(schema)s AS text), current_schema()) AND c.relname = ANY(%(tables)s) AND a.attnum > 0 AND NOT a.attisdropped;

WITH timed AS (
    SELECT t.*, t."received_at" AS rehook_sync__received_at, COALESCE("t"."timestamp", "t"."received_at", "t"."received_at") AS rehook_sync__occurred_at, CAST(t."id" AS text) AS rehook_sync__id,
        CAST(t."user_id" AS text) AS rehook_sync__user
    FROM "public"."identifies" AS t
)
, due AS (SELECT * FROM timed)
, calls AS (SELECT * FROM due)
SELECT COUNT(*) FROM (SELECT 1 FROM calls WHERE rehook_sync__received_at >= %(low)s LIMIT 1000) AS later;

WITH timed AS (
    SELECT t.*, t."received_at" AS rehook_sync__received_at, COALESCE("t"."timestamp", "t"."received_at", "t"."received_at") AS rehook_sync__occurred_at, CAST(t."id" AS text) AS rehook_sync__id,
        CAST(t."user_id" AS text) AS rehook_sync__user
    FROM "public"."tracks" AS t
)
, due AS (SELECT * FROM timed)
, calls AS (SELECT * FROM due)
SELECT COUNT(*) FROM (SELECT 1 FROM calls WHERE rehook_sync__received_at >= %(low)s LIMIT 1000) AS later;

-- first run: 21 statements

SELECT NULL AS table_catalog, found.nspname AS table_schema, found.relname AS table_name, found.relkind IN ('v', 'm') AS is_view,
    row_security_active(found.oid) AS is_guarded, found.missing,
    CASE WHEN found.missing IS NOT NULL THEN (
        SELECT array_agg(CAST(a.attname AS text)) FROM pg_attribute AS a WHERE a.attrelid = found.oid AND a.attnum > 0 AND NOT a.attisdropped
    ) END AS columns,
    CASE WHEN found.missing = 'columns' THEN (
        SELECT array_agg(CAST(a.attname AS text) ORDER BY a.attnum) FROM pg_attribute AS a
        WHERE a.attrelid = found.oid AND a.attnum > 0 AND NOT a.attisdropped AND NOT has_column_privilege(found.oid, a.attnum, 'SELECT')
    ) END AS denied,
    pg_get_userbyid(found.relowner) AS owner, current_user AS reader
FROM (
    SELECT n.nspname, c.relname, c.relkind, c.oid, c.relowner, CASE
        WHEN NOT has_schema_privilege(n.oid, 'USAGE') THEN 'usage'
        WHEN has_table_privilege(c.oid, 'SELECT') THEN NULL
        WHEN NOT has_any_column_privilege(c.oid, 'SELECT') THEN 'table'
        WHEN EXISTS (
            SELECT 1 FROM pg_attribute AS a
            WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND NOT has_column_privilege(c.oid, a.attnum, 'SELECT')
        ) THEN 'columns'
    END AS missing
    FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND n.nspname = COALESCE(CAST(%(schema)s AS text), current_schema())
) AS found
ORDER BY found.relname;

SELECT * FROM "public"."identifies" WHERE 1 = 0;

SELECT * FROM "public"."tracks" WHERE 1 = 0;

SELECT c.relname AS table_name, a.attname AS column_name
FROM pg_attribute AS a JOIN pg_class AS c ON c.oid = a.attrelid JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE n.nspname = COALESCE(CAST(%(schema)s AS text), current_schema()) AND c.relname = ANY(%(tables)s) AND a.attnum > 0 AND NOT a.attisdropped;

SELECT * FROM "public"."order_completed" WHERE 1 = 0;

SELECT * FROM "public"."signed_up" WHERE 1 = 0;

WITH timed AS (
    SELECT t.*, t."received_at" AS rehook_sync__received_at, COALESCE("t"."timestamp", "t"."received_at", "t"."received_at") AS rehook_sync__occurred_at, CAST(t."id" AS text) AS rehook_sync__id,
        CAST(t."user_id" AS text) AS rehook_sync__user
    FROM "public"."tracks" AS t
)
, due AS (SELECT * FROM timed)
, calls AS (SELECT * FROM due)
SELECT MAX(rehook_sync__received_at) FROM calls WHERE rehook_sync__received_at >= %(low)s AND rehook_sync__received_at < %(high)s;

WITH timed AS (
    SELECT t.*, t."received_at" AS rehook_sync__received_at, COALESCE("t"."timestamp", "t"."received_at", "t"."received_at") AS rehook_sync__occurred_at, CAST(t."id" AS text) AS rehook_sync__id,
        CAST(t."user_id" AS text) AS rehook_sync__user
    FROM "public"."tracks" AS t
)
, due AS (SELECT * FROM timed)
, calls AS (SELECT * FROM due)
SELECT rehook_sync__received_at, rehook_sync__occurred_at, "calls"."id", "calls"."user_id", "calls"."anonymous_id", "calls"."event", "calls"."event_text", COALESCE(rehook_sync__id, '') COLLATE "C" AS rehook_sync__place
FROM calls
WHERE rehook_sync__received_at >= %(low)s AND rehook_sync__received_at < %(high)s AND (rehook_sync__received_at > %(low)s OR COALESCE(rehook_sync__id, '') COLLATE "C" >= %(place)s)
ORDER BY rehook_sync__received_at, COALESCE(rehook_sync__id, '') COLLATE "C"
LIMIT %(rows)s;

SELECT c.relname AS table_name, a.attname AS column_name
FROM pg_attribute AS a JOIN pg_class AS c ON c.oid = a.attrelid JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE n.nspname = COALESCE(CAST(%(schema)s AS text), current_schema()) AND c.relname = ANY(%(tables)s) AND a.attnum > 0 AND NOT a.attisdropped;

WITH timed AS (
    SELECT t.*, t."received_at" AS rehook_sync__received_at, COALESCE("t"."timestamp", "t"."received_at", "t"."received_at") AS rehook_sync__occurred_at, CAST(t."id" AS text) AS rehook_sync__id,
        CAST(t."user_id" AS text) AS rehook_sync__user
    FROM "public"."tracks" AS t
)
, due AS (SELECT * FROM timed)
, calls AS (SELECT * FROM due)
SELECT rehook_sync__received_at, rehook_sync__occurred_at, "calls"."id", "calls"."user_id", "calls"."anonymous_id", "calls"."event", "calls"."event_text", COALESCE(rehook_sync__id, '') COLLATE "C" AS rehook_sync__place
FROM calls
WHERE rehook_sync__received_at IS NULL AND COALESCE(rehook_sync__id, '') COLLATE "C" >= %(place)s
ORDER BY COALESCE(rehook_sync__id, '') COLLATE "C"
LIMIT %(rows)s;

SELECT c.relname AS table_name, a.attname AS column_name
FROM pg_attribute AS a JOIN pg_class AS c ON c.oid = a.attrelid JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE n.nspname = COALESCE(CAST(%(schema)s AS text), current_schema()) AND c.relname = ANY(%(tables)s) AND a.attnum > 0 AND NOT a.attisdropped;

WITH timed AS (
    SELECT t.*, t."received_at" AS rehook_sync__received_at, COALESCE("t"."timestamp", "t"."received_at", "t"."received_at") AS rehook_sync__occurred_at, CAST(t."id" AS text) AS rehook_sync__id,
        CAST(t."user_id" AS text) AS rehook_sync__user
    FROM "public"."identifies" AS t
)
, due AS (SELECT * FROM timed)
, calls AS (SELECT * FROM due)
SELECT MAX(rehook_sync__received_at) FROM calls WHERE rehook_sync__received_at >= %(low)s AND rehook_sync__received_at < %(high)s;

WITH timed AS (
    SELECT t.*, t."received_at" AS rehook_sync__received_at, COALESCE("t"."timestamp", "t"."received_at", "t"."received_at") AS rehook_sync__occurred_at, CAST(t."id" AS text) AS rehook_sync__id,
        CAST(t."user_id" AS text) AS rehook_sync__user
    FROM "public"."identifies" AS t
)
, due AS (SELECT * FROM timed)
, calls AS (SELECT * FROM due)
SELECT rehook_sync__received_at, rehook_sync__occurred_at, "calls"."id", "calls"."user_id", "calls"."anonymous_id", "calls"."plan", COALESCE(rehook_sync__id, '') COLLATE "C" AS rehook_sync__place
FROM calls
WHERE rehook_sync__received_at >= %(low)s AND rehook_sync__received_at < %(high)s AND (rehook_sync__received_at > %(low)s OR COALESCE(rehook_sync__id, '') COLLATE "C" >= %(place)s)
ORDER BY rehook_sync__received_at, COALESCE(rehook_sync__id, '') COLLATE "C"
LIMIT %(rows)s;

SELECT c.relname AS table_name, a.attname AS column_name
FROM pg_attribute AS a JOIN pg_class AS c ON c.oid = a.attrelid JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE n.nspname = COALESCE(CAST(%(schema)s AS text), current_schema()) AND c.relname = ANY(%(tables)s) AND a.attnum > 0 AND NOT a.attisdropped;

WITH timed AS (
    SELECT t.*, t."received_at" AS rehook_sync__received_at, COALESCE("t"."timestamp", "t"."received_at", "t"."received_at") AS rehook_sync__occurred_at, CAST(t."id" AS text) AS rehook_sync__id,
        CAST(t."user_id" AS text) AS rehook_sync__user
    FROM "public"."identifies" AS t
)
, due AS (SELECT * FROM timed)
, calls AS (SELECT * FROM due)
SELECT rehook_sync__received_at, rehook_sync__occurred_at, "calls"."id", "calls"."user_id", "calls"."anonymous_id", "calls"."plan", COALESCE(rehook_sync__id, '') COLLATE "C" AS rehook_sync__place
FROM calls
WHERE rehook_sync__received_at IS NULL AND COALESCE(rehook_sync__id, '') COLLATE "C" >= %(place)s
ORDER BY COALESCE(rehook_sync__id, '') COLLATE "C"
LIMIT %(rows)s;

SELECT c.relname AS table_name, a.attname AS column_name
FROM pg_attribute AS a JOIN pg_class AS c ON c.oid = a.attrelid JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE n.nspname = COALESCE(CAST(%(schema)s AS text), current_schema()) AND c.relname = ANY(%(tables)s) AND a.attnum > 0 AND NOT a.attisdropped;

SELECT "found"."id", "found"."total"
FROM (SELECT t.*, CAST(t."id" AS text) AS rehook_sync__id FROM "public"."order_completed" AS t) AS found
WHERE "found"."id" = ANY(%(ids)s)
AND "found"."received_at" >= %(low)s AND "found"."received_at" <= %(high)s;

SELECT "found"."id", "found"."total"
FROM (SELECT t.*, CAST(t."id" AS text) AS rehook_sync__id FROM "public"."signed_up" AS t) AS found
WHERE "found"."id" = ANY(%(ids)s)
AND "found"."received_at" >= %(low)s AND "found"."received_at" <= %(high)s;

SELECT c.relname AS table_name, a.attname AS column_name
FROM pg_attribute AS a JOIN pg_class AS c ON c.oid = a.attrelid JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE n.nspname = COALESCE(CAST(%(schema)s AS text), current_schema()) AND c.relname = ANY(%(tables)s) AND a.attnum > 0 AND NOT a.attisdropped;

WITH timed AS (
    SELECT t.*, t."received_at" AS rehook_sync__received_at, COALESCE("t"."timestamp", "t"."received_at", "t"."received_at") AS rehook_sync__occurred_at, CAST(t."id" AS text) AS rehook_sync__id,
        CAST(t."user_id" AS text) AS rehook_sync__user
    FROM "public"."identifies" AS t
)
, due AS (SELECT * FROM timed)
, calls AS (SELECT * FROM due)
SELECT COUNT(*) FROM (SELECT 1 FROM calls WHERE rehook_sync__received_at >= %(low)s LIMIT 1000) AS later;

WITH timed AS (
    SELECT t.*, t."received_at" AS rehook_sync__received_at, COALESCE("t"."timestamp", "t"."received_at", "t"."received_at") AS rehook_sync__occurred_at, CAST(t."id" AS text) AS rehook_sync__id,
        CAST(t."user_id" AS text) AS rehook_sync__user
    FROM "public"."tracks" AS t
)
, due AS (SELECT * FROM timed)
, calls AS (SELECT * FROM due)
SELECT COUNT(*) FROM (SELECT 1 FROM calls WHERE rehook_sync__received_at >= %(low)s LIMIT 1000) AS later;

-- second run, which finds all settled: 12 statements

SELECT NULL AS table_catalog, found.nspname AS table_schema, found.relname AS table_name, found.relkind IN ('v', 'm') AS is_view,
    row_security_active(found.oid) AS is_guarded, found.missing,
    CASE WHEN found.missing IS NOT NULL THEN (
        SELECT array_agg(CAST(a.attname AS text)) FROM pg_attribute AS a WHERE a.attrelid = found.oid AND a.attnum > 0 AND NOT a.attisdropped
    ) END AS columns,
    CASE WHEN found.missing = 'columns' THEN (
        SELECT array_agg(CAST(a.attname AS text) ORDER BY a.attnum) FROM pg_attribute AS a
        WHERE a.attrelid = found.oid AND a.attnum > 0 AND NOT a.attisdropped AND NOT has_column_privilege(found.oid, a.attnum, 'SELECT')
    ) END AS denied,
    pg_get_userbyid(found.relowner) AS owner, current_user AS reader
FROM (
    SELECT n.nspname, c.relname, c.relkind, c.oid, c.relowner, CASE
        WHEN NOT has_schema_privilege(n.oid, 'USAGE') THEN 'usage'
        WHEN has_table_privilege(c.oid, 'SELECT') THEN NULL
        WHEN NOT has_any_column_privilege(c.oid, 'SELECT') THEN 'table'
        WHEN EXISTS (
            SELECT 1 FROM pg_attribute AS a
            WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND NOT has_column_privilege(c.oid, a.attnum, 'SELECT')
        ) THEN 'columns'
    END AS missing
    FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND n.nspname = COALESCE(CAST(%(schema)s AS text), current_schema())
) AS found
ORDER BY found.relname;

SELECT * FROM "public"."identifies" WHERE 1 = 0;

SELECT * FROM "public"."tracks" WHERE 1 = 0;

SELECT c.relname AS table_name, a.attname AS column_name
FROM pg_attribute AS a JOIN pg_class AS c ON c.oid = a.attrelid JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE n.nspname = COALESCE(CAST(%(schema)s AS text), current_schema()) AND c.relname = ANY(%(tables)s) AND a.attnum > 0 AND NOT a.attisdropped;

SELECT * FROM "public"."order_completed" WHERE 1 = 0;

SELECT * FROM "public"."signed_up" WHERE 1 = 0;

SET TRANSACTION ISOLATION LEVEL REPEATABLE READ;

WITH timed AS (
    SELECT t.*, t."received_at" AS rehook_sync__received_at, COALESCE("t"."timestamp", "t"."received_at", "t"."received_at") AS rehook_sync__occurred_at, CAST(t."id" AS text) AS rehook_sync__id,
        CAST(t."user_id" AS text) AS rehook_sync__user
    FROM "public"."tracks" AS t
)
, due AS (SELECT * FROM timed)
, calls AS (SELECT * FROM due)
SELECT DATE_TRUNC('hour', rehook_sync__received_at) AS stretch, COUNT(*) AS calls, COUNT(rehook_sync__id) AS ids,
    CONCAT_WS(' ', SUM(HASHTEXTEXTENDED(rehook_sync__id COLLATE "C", 0)), SUM(HASHTEXTEXTENDED(rehook_sync__id COLLATE "C", 1))) AS fingerprint,
    MAX(CASE WHEN rehook_sync__received_at < %(until)s THEN rehook_sync__received_at END) AS newest
FROM calls
WHERE ((rehook_sync__received_at >= %(low)s AND rehook_sync__received_at < %(high)s) OR rehook_sync__received_at IS NULL)
GROUP BY 1;

WITH timed AS (
    SELECT t.*, t."received_at" AS rehook_sync__received_at, COALESCE("t"."timestamp", "t"."received_at", "t"."received_at") AS rehook_sync__occurred_at, CAST(t."id" AS text) AS rehook_sync__id,
        CAST(t."user_id" AS text) AS rehook_sync__user
    FROM "public"."tracks" AS t
)
, due AS (SELECT * FROM timed)
, calls AS (SELECT * FROM due)
SELECT rehook_sync__received_at, rehook_sync__id FROM calls WHERE ((rehook_sync__received_at >= %(low)s AND rehook_sync__received_at < %(high)s) OR rehook_sync__received_at IS NULL);

SET TRANSACTION ISOLATION LEVEL REPEATABLE READ;

WITH timed AS (
    SELECT t.*, t."received_at" AS rehook_sync__received_at, COALESCE("t"."timestamp", "t"."received_at", "t"."received_at") AS rehook_sync__occurred_at, CAST(t."id" AS text) AS rehook_sync__id,
        CAST(t."user_id" AS text) AS rehook_sync__user
    FROM "public"."identifies" AS t
)
, due AS (SELECT * FROM timed)
, calls AS (SELECT * FROM due)
SELECT DATE_TRUNC('hour', rehook_sync__received_at) AS stretch, COUNT(*) AS calls, COUNT(rehook_sync__id) AS ids,
    CONCAT_WS(' ', SUM(HASHTEXTEXTENDED(rehook_sync__id COLLATE "C", 0)), SUM(HASHTEXTEXTENDED(rehook_sync__id COLLATE "C", 1))) AS fingerprint,
    MAX(CASE WHEN rehook_sync__received_at < %(until)s THEN rehook_sync__received_at END) AS newest
FROM calls
WHERE ((rehook_sync__received_at >= %(low)s AND rehook_sync__received_at < %(high)s) OR rehook_sync__received_at IS NULL)
GROUP BY 1;

WITH timed AS (
    SELECT t.*, t."received_at" AS rehook_sync__received_at, COALESCE("t"."timestamp", "t"."received_at", "t"."received_at") AS rehook_sync__occurred_at, CAST(t."id" AS text) AS rehook_sync__id,
        CAST(t."user_id" AS text) AS rehook_sync__user
    FROM "public"."identifies" AS t
)
, due AS (SELECT * FROM timed)
, calls AS (SELECT * FROM due)
SELECT rehook_sync__received_at, rehook_sync__id FROM calls WHERE ((rehook_sync__received_at >= %(low)s AND rehook_sync__received_at < %(high)s) OR rehook_sync__received_at IS NULL);

-- run with nothing new: 10 statements

SELECT NULL AS table_catalog, found.nspname AS table_schema, found.relname AS table_name, found.relkind IN ('v', 'm') AS is_view,
    row_security_active(found.oid) AS is_guarded, found.missing,
    CASE WHEN found.missing IS NOT NULL THEN (
        SELECT array_agg(CAST(a.attname AS text)) FROM pg_attribute AS a WHERE a.attrelid = found.oid AND a.attnum > 0 AND NOT a.attisdropped
    ) END AS columns,
    CASE WHEN found.missing = 'columns' THEN (
        SELECT array_agg(CAST(a.attname AS text) ORDER BY a.attnum) FROM pg_attribute AS a
        WHERE a.attrelid = found.oid AND a.attnum > 0 AND NOT a.attisdropped AND NOT has_column_privilege(found.oid, a.attnum, 'SELECT')
    ) END AS denied,
    pg_get_userbyid(found.relowner) AS owner, current_user AS reader
FROM (
    SELECT n.nspname, c.relname, c.relkind, c.oid, c.relowner, CASE
        WHEN NOT has_schema_privilege(n.oid, 'USAGE') THEN 'usage'
        WHEN has_table_privilege(c.oid, 'SELECT') THEN NULL
        WHEN NOT has_any_column_privilege(c.oid, 'SELECT') THEN 'table'
        WHEN EXISTS (
            SELECT 1 FROM pg_attribute AS a
            WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND NOT has_column_privilege(c.oid, a.attnum, 'SELECT')
        ) THEN 'columns'
    END AS missing
    FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND n.nspname = COALESCE(CAST(%(schema)s AS text), current_schema())
) AS found
ORDER BY found.relname;

SELECT * FROM "public"."identifies" WHERE 1 = 0;

SELECT * FROM "public"."tracks" WHERE 1 = 0;

SELECT c.relname AS table_name, a.attname AS column_name
FROM pg_attribute AS a JOIN pg_class AS c ON c.oid = a.attrelid JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE n.nspname = COALESCE(CAST(%(schema)s AS text), current_schema()) AND c.relname = ANY(%(tables)s) AND a.attnum > 0 AND NOT a.attisdropped;

SELECT * FROM "public"."order_completed" WHERE 1 = 0;

SELECT * FROM "public"."signed_up" WHERE 1 = 0;

SET TRANSACTION ISOLATION LEVEL REPEATABLE READ;

WITH timed AS (
    SELECT t.*, t."received_at" AS rehook_sync__received_at, COALESCE("t"."timestamp", "t"."received_at", "t"."received_at") AS rehook_sync__occurred_at, CAST(t."id" AS text) AS rehook_sync__id,
        CAST(t."user_id" AS text) AS rehook_sync__user
    FROM "public"."tracks" AS t
)
, due AS (SELECT * FROM timed)
, calls AS (SELECT * FROM due)
SELECT DATE_TRUNC('hour', rehook_sync__received_at) AS stretch, COUNT(*) AS calls, COUNT(rehook_sync__id) AS ids,
    CONCAT_WS(' ', SUM(HASHTEXTEXTENDED(rehook_sync__id COLLATE "C", 0)), SUM(HASHTEXTEXTENDED(rehook_sync__id COLLATE "C", 1))) AS fingerprint,
    MAX(CASE WHEN rehook_sync__received_at < %(until)s THEN rehook_sync__received_at END) AS newest
FROM calls
WHERE ((rehook_sync__received_at >= %(low)s AND rehook_sync__received_at < %(high)s) OR rehook_sync__received_at IS NULL)
GROUP BY 1;

SET TRANSACTION ISOLATION LEVEL REPEATABLE READ;

WITH timed AS (
    SELECT t.*, t."received_at" AS rehook_sync__received_at, COALESCE("t"."timestamp", "t"."received_at", "t"."received_at") AS rehook_sync__occurred_at, CAST(t."id" AS text) AS rehook_sync__id,
        CAST(t."user_id" AS text) AS rehook_sync__user
    FROM "public"."identifies" AS t
)
, due AS (SELECT * FROM timed)
, calls AS (SELECT * FROM due)
SELECT DATE_TRUNC('hour', rehook_sync__received_at) AS stretch, COUNT(*) AS calls, COUNT(rehook_sync__id) AS ids,
    CONCAT_WS(' ', SUM(HASHTEXTEXTENDED(rehook_sync__id COLLATE "C", 0)), SUM(HASHTEXTEXTENDED(rehook_sync__id COLLATE "C", 1))) AS fingerprint,
    MAX(CASE WHEN rehook_sync__received_at < %(until)s THEN rehook_sync__received_at END) AS newest
FROM calls
WHERE ((rehook_sync__received_at >= %(low)s AND rehook_sync__received_at < %(high)s) OR rehook_sync__received_at IS NULL)
GROUP BY 1;

-- run with one new call of one event: 16 statements

SELECT NULL AS table_catalog, found.nspname AS table_schema, found.relname AS table_name, found.relkind IN ('v', 'm') AS is_view,
    row_security_active(found.oid) AS is_guarded, found.missing,
    CASE WHEN found.missing IS NOT NULL THEN (
        SELECT array_agg(CAST(a.attname AS text)) FROM pg_attribute AS a WHERE a.attrelid = found.oid AND a.attnum > 0 AND NOT a.attisdropped
    ) END AS columns,
    CASE WHEN found.missing = 'columns' THEN (
        SELECT array_agg(CAST(a.attname AS text) ORDER BY a.attnum) FROM pg_attribute AS a
        WHERE a.attrelid = found.oid AND a.attnum > 0 AND NOT a.attisdropped AND NOT has_column_privilege(found.oid, a.attnum, 'SELECT')
    ) END AS denied,
    pg_get_userbyid(found.relowner) AS owner, current_user AS reader
FROM (
    SELECT n.nspname, c.relname, c.relkind, c.oid, c.relowner, CASE
        WHEN NOT has_schema_privilege(n.oid, 'USAGE') THEN 'usage'
        WHEN has_table_privilege(c.oid, 'SELECT') THEN NULL
        WHEN NOT has_any_column_privilege(c.oid, 'SELECT') THEN 'table'
        WHEN EXISTS (
            SELECT 1 FROM pg_attribute AS a
            WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND NOT has_column_privilege(c.oid, a.attnum, 'SELECT')
        ) THEN 'columns'
    END AS missing
    FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND n.nspname = COALESCE(CAST(%(schema)s AS text), current_schema())
) AS found
ORDER BY found.relname;

SELECT * FROM "public"."identifies" WHERE 1 = 0;

SELECT * FROM "public"."tracks" WHERE 1 = 0;

SELECT c.relname AS table_name, a.attname AS column_name
FROM pg_attribute AS a JOIN pg_class AS c ON c.oid = a.attrelid JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE n.nspname = COALESCE(CAST(%(schema)s AS text), current_schema()) AND c.relname = ANY(%(tables)s) AND a.attnum > 0 AND NOT a.attisdropped;

SELECT * FROM "public"."order_completed" WHERE 1 = 0;

SELECT * FROM "public"."signed_up" WHERE 1 = 0;

SET TRANSACTION ISOLATION LEVEL REPEATABLE READ;

WITH timed AS (
    SELECT t.*, t."received_at" AS rehook_sync__received_at, COALESCE("t"."timestamp", "t"."received_at", "t"."received_at") AS rehook_sync__occurred_at, CAST(t."id" AS text) AS rehook_sync__id,
        CAST(t."user_id" AS text) AS rehook_sync__user
    FROM "public"."tracks" AS t
)
, due AS (SELECT * FROM timed)
, calls AS (SELECT * FROM due)
SELECT DATE_TRUNC('hour', rehook_sync__received_at) AS stretch, COUNT(*) AS calls, COUNT(rehook_sync__id) AS ids,
    CONCAT_WS(' ', SUM(HASHTEXTEXTENDED(rehook_sync__id COLLATE "C", 0)), SUM(HASHTEXTEXTENDED(rehook_sync__id COLLATE "C", 1))) AS fingerprint,
    MAX(CASE WHEN rehook_sync__received_at < %(until)s THEN rehook_sync__received_at END) AS newest
FROM calls
WHERE ((rehook_sync__received_at >= %(low)s AND rehook_sync__received_at < %(high)s) OR rehook_sync__received_at IS NULL)
GROUP BY 1;

WITH timed AS (
    SELECT t.*, t."received_at" AS rehook_sync__received_at, COALESCE("t"."timestamp", "t"."received_at", "t"."received_at") AS rehook_sync__occurred_at, CAST(t."id" AS text) AS rehook_sync__id,
        CAST(t."user_id" AS text) AS rehook_sync__user
    FROM "public"."tracks" AS t
)
, due AS (SELECT * FROM timed)
, calls AS (SELECT * FROM due)
SELECT rehook_sync__received_at, rehook_sync__id FROM calls WHERE ((rehook_sync__received_at >= %(low)s AND rehook_sync__received_at < %(high)s) OR rehook_sync__received_at IS NULL);

WITH timed AS (
    SELECT t.*, t."received_at" AS rehook_sync__received_at, COALESCE("t"."timestamp", "t"."received_at", "t"."received_at") AS rehook_sync__occurred_at, CAST(t."id" AS text) AS rehook_sync__id,
        CAST(t."user_id" AS text) AS rehook_sync__user
    FROM "public"."tracks" AS t
)
, due AS (SELECT * FROM timed)
, calls AS (SELECT * FROM due)
SELECT rehook_sync__received_at, rehook_sync__occurred_at, "calls"."id", "calls"."user_id", "calls"."anonymous_id", "calls"."event", "calls"."event_text", rehook_sync__id AS rehook_sync__place
FROM calls
WHERE rehook_sync__received_at >= %(low)s AND rehook_sync__received_at < %(high)s AND rehook_sync__id = ANY(%(ids)s);

SELECT c.relname AS table_name, a.attname AS column_name
FROM pg_attribute AS a JOIN pg_class AS c ON c.oid = a.attrelid JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE n.nspname = COALESCE(CAST(%(schema)s AS text), current_schema()) AND c.relname = ANY(%(tables)s) AND a.attnum > 0 AND NOT a.attisdropped;

SET TRANSACTION ISOLATION LEVEL REPEATABLE READ;

WITH timed AS (
    SELECT t.*, t."received_at" AS rehook_sync__received_at, COALESCE("t"."timestamp", "t"."received_at", "t"."received_at") AS rehook_sync__occurred_at, CAST(t."id" AS text) AS rehook_sync__id,
        CAST(t."user_id" AS text) AS rehook_sync__user
    FROM "public"."identifies" AS t
)
, due AS (SELECT * FROM timed)
, calls AS (SELECT * FROM due)
SELECT DATE_TRUNC('hour', rehook_sync__received_at) AS stretch, COUNT(*) AS calls, COUNT(rehook_sync__id) AS ids,
    CONCAT_WS(' ', SUM(HASHTEXTEXTENDED(rehook_sync__id COLLATE "C", 0)), SUM(HASHTEXTEXTENDED(rehook_sync__id COLLATE "C", 1))) AS fingerprint,
    MAX(CASE WHEN rehook_sync__received_at < %(until)s THEN rehook_sync__received_at END) AS newest
FROM calls
WHERE ((rehook_sync__received_at >= %(low)s AND rehook_sync__received_at < %(high)s) OR rehook_sync__received_at IS NULL)
GROUP BY 1;

SELECT "found"."id", "found"."total"
FROM (SELECT t.*, CAST(t."id" AS text) AS rehook_sync__id FROM "public"."order_completed" AS t) AS found
WHERE "found"."id" = ANY(%(ids)s)
AND "found"."received_at" >= %(low)s AND "found"."received_at" <= %(high)s;

SELECT c.relname AS table_name, a.attname AS column_name
FROM pg_attribute AS a JOIN pg_class AS c ON c.oid = a.attrelid JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE n.nspname = COALESCE(CAST(%(schema)s AS text), current_schema()) AND c.relname = ANY(%(tables)s) AND a.attnum > 0 AND NOT a.attisdropped;

WITH timed AS (
    SELECT t.*, t."received_at" AS rehook_sync__received_at, COALESCE("t"."timestamp", "t"."received_at", "t"."received_at") AS rehook_sync__occurred_at, CAST(t."id" AS text) AS rehook_sync__id,
        CAST(t."user_id" AS text) AS rehook_sync__user
    FROM "public"."tracks" AS t
)
, due AS (SELECT * FROM timed)
, calls AS (SELECT * FROM due)
, ids AS (
    SELECT rehook_sync__id AS message_id, MIN(rehook_sync__received_at) AS received_at, MIN(COALESCE("calls"."event_text", "calls"."event", "calls"."event")) AS event
    FROM calls
    WHERE ((rehook_sync__received_at >= %(low)s AND rehook_sync__received_at < %(high)s) OR rehook_sync__received_at IS NULL)
    GROUP BY rehook_sync__id
)
SELECT message_id, received_at, event FROM ids;

