-- plan: 25 statements

SELECT NULL AS table_catalog, 'main' AS table_schema, m.name AS table_name, m.type = 'view' AS is_view,
    0 AS is_guarded, NULL AS missing, NULL AS columns, NULL AS denied, NULL AS owner, NULL AS reader
FROM sqlite_master AS m
WHERE m.type IN ('table', 'view') AND COALESCE(LOWER(?), 'main') = 'main'
ORDER BY 2;

SELECT * FROM "main"."identifies" WHERE 1 = 0;

SELECT p.name, p.type FROM pragma_table_info(?) AS p;

SELECT * FROM "main"."tracks" WHERE 1 = 0;

SELECT p.name, p.type FROM pragma_table_info(?) AS p;

SELECT m.name AS table_name, p.name AS column_name
FROM sqlite_master AS m JOIN pragma_table_xinfo(m.name) AS p
WHERE m.name IN (SELECT wanted.value FROM json_each(?) AS wanted) AND COALESCE(?, 'main') = 'main' AND p.hidden <> 1;

SELECT * FROM "main"."order_completed" WHERE 1 = 0;

SELECT p.name, p.type FROM pragma_table_info(?) AS p;

SELECT * FROM "main"."signed_up" WHERE 1 = 0;

SELECT p.name, p.type FROM pragma_table_info(?) AS p;

WITH looked_at AS (SELECT * FROM "main"."tracks")
, timed AS (
    SELECT r.*, CASE TYPEOF(r.rehook_sync__c) WHEN 'text' THEN CASE WHEN r.rehook_sync__c GLOB '[0-9][0-9][0-9][0-9]-[0-1][0-9]-[0-3][0-9][T ][0-2][0-9]:[0-5][0-9]:[0-5][0-9].[0-9]*Z' THEN SUBSTR(r.rehook_sync__c, 1, 10) || 'T' || SUBSTR(r.rehook_sync__c, 12, 8) || SUBSTR(RTRIM(SUBSTR(r.rehook_sync__c, 20), 'Z') || '000000', 1, 7) || '+00:00' ELSE rehook_sync__utc(CAST(r.rehook_sync__c AS BLOB)) END WHEN 'integer' THEN rehook_sync__utc(r.rehook_sync__c) WHEN 'real' THEN rehook_sync__utc(r.rehook_sync__c) END AS rehook_sync__received_at, CASE TYPEOF(r.rehook_sync__o) WHEN 'text' THEN CASE WHEN r.rehook_sync__o GLOB '[0-9][0-9][0-9][0-9]-[0-1][0-9]-[0-3][0-9][T ][0-2][0-9]:[0-5][0-9]:[0-5][0-9].[0-9]*Z' THEN SUBSTR(r.rehook_sync__o, 1, 10) || 'T' || SUBSTR(r.rehook_sync__o, 12, 8) || SUBSTR(RTRIM(SUBSTR(r.rehook_sync__o, 20), 'Z') || '000000', 1, 7) || '+00:00' ELSE rehook_sync__utc(CAST(r.rehook_sync__o AS BLOB)) END WHEN 'integer' THEN rehook_sync__utc(r.rehook_sync__o) WHEN 'real' THEN rehook_sync__utc(r.rehook_sync__o) END AS rehook_sync__occurred_at
    FROM (
        SELECT t.*, t."received_at" AS rehook_sync__c, COALESCE("t"."timestamp", "t"."received_at", "t"."received_at") AS rehook_sync__o, CAST(t."id" AS TEXT) COLLATE BINARY AS rehook_sync__id,
            CAST(t."user_id" AS TEXT) AS rehook_sync__user
        FROM looked_at AS t
    ) AS r
)
, due AS (SELECT * FROM timed)
, calls AS (SELECT * FROM due)
SELECT MAX(rehook_sync__received_at) FROM calls WHERE rehook_sync__received_at BETWEEN ? AND ?;

WITH looked_at AS (SELECT * FROM "main"."tracks")
, timed AS (
    SELECT r.*, CASE TYPEOF(r.rehook_sync__c) WHEN 'text' THEN CASE WHEN r.rehook_sync__c GLOB '[0-9][0-9][0-9][0-9]-[0-1][0-9]-[0-3][0-9][T ][0-2][0-9]:[0-5][0-9]:[0-5][0-9].[0-9]*Z' THEN SUBSTR(r.rehook_sync__c, 1, 10) || 'T' || SUBSTR(r.rehook_sync__c, 12, 8) || SUBSTR(RTRIM(SUBSTR(r.rehook_sync__c, 20), 'Z') || '000000', 1, 7) || '+00:00' ELSE rehook_sync__utc(CAST(r.rehook_sync__c AS BLOB)) END WHEN 'integer' THEN rehook_sync__utc(r.rehook_sync__c) WHEN 'real' THEN rehook_sync__utc(r.rehook_sync__c) END AS rehook_sync__received_at, CASE TYPEOF(r.rehook_sync__o) WHEN 'text' THEN CASE WHEN r.rehook_sync__o GLOB '[0-9][0-9][0-9][0-9]-[0-1][0-9]-[0-3][0-9][T ][0-2][0-9]:[0-5][0-9]:[0-5][0-9].[0-9]*Z' THEN SUBSTR(r.rehook_sync__o, 1, 10) || 'T' || SUBSTR(r.rehook_sync__o, 12, 8) || SUBSTR(RTRIM(SUBSTR(r.rehook_sync__o, 20), 'Z') || '000000', 1, 7) || '+00:00' ELSE rehook_sync__utc(CAST(r.rehook_sync__o AS BLOB)) END WHEN 'integer' THEN rehook_sync__utc(r.rehook_sync__o) WHEN 'real' THEN rehook_sync__utc(r.rehook_sync__o) END AS rehook_sync__occurred_at
    FROM (
        SELECT t.*, t."received_at" AS rehook_sync__c, COALESCE("t"."timestamp", "t"."received_at", "t"."received_at") AS rehook_sync__o, CAST(t."id" AS TEXT) COLLATE BINARY AS rehook_sync__id,
            CAST(t."user_id" AS TEXT) AS rehook_sync__user
        FROM looked_at AS t
    ) AS r
)
, due AS (SELECT * FROM timed)
, calls AS (SELECT * FROM due)
SELECT rehook_sync__received_at, rehook_sync__occurred_at, "calls"."id", "calls"."user_id", "calls"."anonymous_id", "calls"."event", "calls"."event_text", "calls"."received_at", CAST(COALESCE(rehook_sync__id, '') AS BLOB) AS rehook_sync__place
FROM calls
WHERE rehook_sync__received_at BETWEEN ? AND ? AND (rehook_sync__received_at > ? OR CAST(COALESCE(rehook_sync__id, '') AS BLOB) >= ?)
ORDER BY rehook_sync__received_at, CAST(COALESCE(rehook_sync__id, '') AS BLOB)
LIMIT ?;

SELECT m.name AS table_name, p.name AS column_name
FROM sqlite_master AS m JOIN pragma_table_xinfo(m.name) AS p
WHERE m.name IN (SELECT wanted.value FROM json_each(?) AS wanted) AND COALESCE(?, 'main') = 'main' AND p.hidden <> 1;

WITH looked_at AS (SELECT * FROM "main"."tracks")
, timed AS (
    SELECT r.*, CASE TYPEOF(r.rehook_sync__c) WHEN 'text' THEN CASE WHEN r.rehook_sync__c GLOB '[0-9][0-9][0-9][0-9]-[0-1][0-9]-[0-3][0-9][T ][0-2][0-9]:[0-5][0-9]:[0-5][0-9].[0-9]*Z' THEN SUBSTR(r.rehook_sync__c, 1, 10) || 'T' || SUBSTR(r.rehook_sync__c, 12, 8) || SUBSTR(RTRIM(SUBSTR(r.rehook_sync__c, 20), 'Z') || '000000', 1, 7) || '+00:00' ELSE rehook_sync__utc(CAST(r.rehook_sync__c AS BLOB)) END WHEN 'integer' THEN rehook_sync__utc(r.rehook_sync__c) WHEN 'real' THEN rehook_sync__utc(r.rehook_sync__c) END AS rehook_sync__received_at, CASE TYPEOF(r.rehook_sync__o) WHEN 'text' THEN CASE WHEN r.rehook_sync__o GLOB '[0-9][0-9][0-9][0-9]-[0-1][0-9]-[0-3][0-9][T ][0-2][0-9]:[0-5][0-9]:[0-5][0-9].[0-9]*Z' THEN SUBSTR(r.rehook_sync__o, 1, 10) || 'T' || SUBSTR(r.rehook_sync__o, 12, 8) || SUBSTR(RTRIM(SUBSTR(r.rehook_sync__o, 20), 'Z') || '000000', 1, 7) || '+00:00' ELSE rehook_sync__utc(CAST(r.rehook_sync__o AS BLOB)) END WHEN 'integer' THEN rehook_sync__utc(r.rehook_sync__o) WHEN 'real' THEN rehook_sync__utc(r.rehook_sync__o) END AS rehook_sync__occurred_at
    FROM (
        SELECT t.*, t."received_at" AS rehook_sync__c, COALESCE("t"."timestamp", "t"."received_at", "t"."received_at") AS rehook_sync__o, CAST(t."id" AS TEXT) COLLATE BINARY AS rehook_sync__id,
            CAST(t."user_id" AS TEXT) AS rehook_sync__user
        FROM looked_at AS t
    ) AS r
)
, due AS (SELECT * FROM timed)
, calls AS (SELECT * FROM due)
SELECT rehook_sync__received_at, rehook_sync__occurred_at, "calls"."id", "calls"."user_id", "calls"."anonymous_id", "calls"."event", "calls"."event_text", "calls"."received_at", CAST(COALESCE(rehook_sync__id, '') AS BLOB) AS rehook_sync__place
FROM calls
WHERE rehook_sync__received_at IS NULL AND CAST(COALESCE(rehook_sync__id, '') AS BLOB) >= ?
ORDER BY CAST(COALESCE(rehook_sync__id, '') AS BLOB)
LIMIT ?;

SELECT m.name AS table_name, p.name AS column_name
FROM sqlite_master AS m JOIN pragma_table_xinfo(m.name) AS p
WHERE m.name IN (SELECT wanted.value FROM json_each(?) AS wanted) AND COALESCE(?, 'main') = 'main' AND p.hidden <> 1;

WITH looked_at AS (SELECT * FROM "main"."identifies")
, timed AS (
    SELECT r.*, CASE TYPEOF(r.rehook_sync__c) WHEN 'text' THEN CASE WHEN r.rehook_sync__c GLOB '[0-9][0-9][0-9][0-9]-[0-1][0-9]-[0-3][0-9][T ][0-2][0-9]:[0-5][0-9]:[0-5][0-9].[0-9]*Z' THEN SUBSTR(r.rehook_sync__c, 1, 10) || 'T' || SUBSTR(r.rehook_sync__c, 12, 8) || SUBSTR(RTRIM(SUBSTR(r.rehook_sync__c, 20), 'Z') || '000000', 1, 7) || '+00:00' ELSE rehook_sync__utc(CAST(r.rehook_sync__c AS BLOB)) END WHEN 'integer' THEN rehook_sync__utc(r.rehook_sync__c) WHEN 'real' THEN rehook_sync__utc(r.rehook_sync__c) END AS rehook_sync__received_at, CASE TYPEOF(r.rehook_sync__o) WHEN 'text' THEN CASE WHEN r.rehook_sync__o GLOB '[0-9][0-9][0-9][0-9]-[0-1][0-9]-[0-3][0-9][T ][0-2][0-9]:[0-5][0-9]:[0-5][0-9].[0-9]*Z' THEN SUBSTR(r.rehook_sync__o, 1, 10) || 'T' || SUBSTR(r.rehook_sync__o, 12, 8) || SUBSTR(RTRIM(SUBSTR(r.rehook_sync__o, 20), 'Z') || '000000', 1, 7) || '+00:00' ELSE rehook_sync__utc(CAST(r.rehook_sync__o AS BLOB)) END WHEN 'integer' THEN rehook_sync__utc(r.rehook_sync__o) WHEN 'real' THEN rehook_sync__utc(r.rehook_sync__o) END AS rehook_sync__occurred_at
    FROM (
        SELECT t.*, t."received_at" AS rehook_sync__c, COALESCE("t"."timestamp", "t"."received_at", "t"."received_at") AS rehook_sync__o, CAST(t."id" AS TEXT) COLLATE BINARY AS rehook_sync__id,
            CAST(t."user_id" AS TEXT) AS rehook_sync__user
        FROM looked_at AS t
    ) AS r
)
, due AS (SELECT * FROM timed)
, calls AS (SELECT * FROM due)
SELECT MAX(rehook_sync__received_at) FROM calls WHERE rehook_sync__received_at BETWEEN ? AND ?;

WITH looked_at AS (SELECT * FROM "main"."identifies")
, timed AS (
    SELECT r.*, CASE TYPEOF(r.rehook_sync__c) WHEN 'text' THEN CASE WHEN r.rehook_sync__c GLOB '[0-9][0-9][0-9][0-9]-[0-1][0-9]-[0-3][0-9][T ][0-2][0-9]:[0-5][0-9]:[0-5][0-9].[0-9]*Z' THEN SUBSTR(r.rehook_sync__c, 1, 10) || 'T' || SUBSTR(r.rehook_sync__c, 12, 8) || SUBSTR(RTRIM(SUBSTR(r.rehook_sync__c, 20), 'Z') || '000000', 1, 7) || '+00:00' ELSE rehook_sync__utc(CAST(r.rehook_sync__c AS BLOB)) END WHEN 'integer' THEN rehook_sync__utc(r.rehook_sync__c) WHEN 'real' THEN rehook_sync__utc(r.rehook_sync__c) END AS rehook_sync__received_at, CASE TYPEOF(r.rehook_sync__o) WHEN 'text' THEN CASE WHEN r.rehook_sync__o GLOB '[0-9][0-9][0-9][0-9]-[0-1][0-9]-[0-3][0-9][T ][0-2][0-9]:[0-5][0-9]:[0-5][0-9].[0-9]*Z' THEN SUBSTR(r.rehook_sync__o, 1, 10) || 'T' || SUBSTR(r.rehook_sync__o, 12, 8) || SUBSTR(RTRIM(SUBSTR(r.rehook_sync__o, 20), 'Z') || '000000', 1, 7) || '+00:00' ELSE rehook_sync__utc(CAST(r.rehook_sync__o AS BLOB)) END WHEN 'integer' THEN rehook_sync__utc(r.rehook_sync__o) WHEN 'real' THEN rehook_sync__utc(r.rehook_sync__o) END AS rehook_sync__occurred_at
    FROM (
        SELECT t.*, t."received_at" AS rehook_sync__c, COALESCE("t"."timestamp", "t"."received_at", "t"."received_at") AS rehook_sync__o, CAST(t."id" AS TEXT) COLLATE BINARY AS rehook_sync__id,
            CAST(t."user_id" AS TEXT) AS rehook_sync__user
        FROM looked_at AS t
    ) AS r
)
, due AS (SELECT * FROM timed)
, calls AS (SELECT * FROM due)
SELECT rehook_sync__received_at, rehook_sync__occurred_at, "calls"."id", "calls"."user_id", "calls"."anonymous_id", "calls"."received_at", "calls"."plan", CAST(COALESCE(rehook_sync__id, '') AS BLOB) AS rehook_sync__place
FROM calls
WHERE rehook_sync__received_at BETWEEN ? AND ? AND (rehook_sync__received_at > ? OR CAST(COALESCE(rehook_sync__id, '') AS BLOB) >= ?)
ORDER BY rehook_sync__received_at, CAST(COALESCE(rehook_sync__id, '') AS BLOB)
LIMIT ?;

SELECT m.name AS table_name, p.name AS column_name
FROM sqlite_master AS m JOIN pragma_table_xinfo(m.name) AS p
WHERE m.name IN (SELECT wanted.value FROM json_each(?) AS wanted) AND COALESCE(?, 'main') = 'main' AND p.hidden <> 1;

WITH looked_at AS (SELECT * FROM "main"."identifies")
, timed AS (
    SELECT r.*, CASE TYPEOF(r.rehook_sync__c) WHEN 'text' THEN CASE WHEN r.rehook_sync__c GLOB '[0-9][0-9][0-9][0-9]-[0-1][0-9]-[0-3][0-9][T ][0-2][0-9]:[0-5][0-9]:[0-5][0-9].[0-9]*Z' THEN SUBSTR(r.rehook_sync__c, 1, 10) || 'T' || SUBSTR(r.rehook_sync__c, 12, 8) || SUBSTR(RTRIM(SUBSTR(r.rehook_sync__c, 20), 'Z') || '000000', 1, 7) || '+00:00' ELSE rehook_sync__utc(CAST(r.rehook_sync__c AS BLOB)) END WHEN 'integer' THEN rehook_sync__utc(r.rehook_sync__c) WHEN 'real' THEN rehook_sync__utc(r.rehook_sync__c) END AS rehook_sync__received_at, CASE TYPEOF(r.rehook_sync__o) WHEN 'text' THEN CASE WHEN r.rehook_sync__o GLOB '[0-9][0-9][0-9][0-9]-[0-1][0-9]-[0-3][0-9][T ][0-2][0-9]:[0-5][0-9]:[0-5][0-9].[0-9]*Z' THEN SUBSTR(r.rehook_sync__o, 1, 10) || 'T' || SUBSTR(r.rehook_sync__o, 12, 8) || SUBSTR(RTRIM(SUBSTR(r.rehook_sync__o, 20), 'Z') || '000000', 1, 7) || '+00:00' ELSE rehook_sync__utc(CAST(r.rehook_sync__o AS BLOB)) END WHEN 'integer' THEN rehook_sync__utc(r.rehook_sync__o) WHEN 'real' THEN rehook_sync__utc(r.rehook_sync__o) END AS rehook_sync__occurred_at
    FROM (
        SELECT t.*, t."received_at" AS rehook_sync__c, COALESCE("t"."timestamp", "t"."received_at", "t"."received_at") AS rehook_sync__o, CAST(t."id" AS TEXT) COLLATE BINARY AS rehook_sync__id,
            CAST(t."user_id" AS TEXT) AS rehook_sync__user
        FROM looked_at AS t
    ) AS r
)
, due AS (SELECT * FROM timed)
, calls AS (SELECT * FROM due)
SELECT rehook_sync__received_at, rehook_sync__occurred_at, "calls"."id", "calls"."user_id", "calls"."anonymous_id", "calls"."received_at", "calls"."plan", CAST(COALESCE(rehook_sync__id, '') AS BLOB) AS rehook_sync__place
FROM calls
WHERE rehook_sync__received_at IS NULL AND CAST(COALESCE(rehook_sync__id, '') AS BLOB) >= ?
ORDER BY CAST(COALESCE(rehook_sync__id, '') AS BLOB)
LIMIT ?;

SELECT m.name AS table_name, p.name AS column_name
FROM sqlite_master AS m JOIN pragma_table_xinfo(m.name) AS p
WHERE m.name IN (SELECT wanted.value FROM json_each(?) AS wanted) AND COALESCE(?, 'main') = 'main' AND p.hidden <> 1;

SELECT "found"."id", "found"."total"
FROM (SELECT t.*, CAST(t."id" AS text) AS rehook_sync__id FROM "main"."order_completed" AS t) AS found
WHERE "found"."id" IN (SELECT wanted.value FROM json_each(?) AS wanted)
AND "found"."received_at" >= ? AND "found"."received_at" <= ?;

SELECT "found"."id", "found"."total"
FROM (SELECT t.*, CAST(t."id" AS text) AS rehook_sync__id FROM "main"."signed_up" AS t) AS found
WHERE "found"."id" IN (SELECT wanted.value FROM json_each(?) AS wanted)
AND "found"."received_at" >= ? AND "found"."received_at" <= ?;

SELECT m.name AS table_name, p.name AS column_name
FROM sqlite_master AS m JOIN pragma_table_xinfo(m.name) AS p
WHERE m.name IN (SELECT wanted.value FROM json_each(?) AS wanted) AND COALESCE(?, 'main') = 'main' AND p.hidden <> 1;

WITH looked_at AS (
    SELECT * FROM "main"."identifies" AS near WHERE near."received_at" >= ? OR near."received_at" < '2010-' OR near."received_at" IS NULL
)
, timed AS (
    SELECT r.*, CASE TYPEOF(r.rehook_sync__c) WHEN 'text' THEN CASE WHEN r.rehook_sync__c GLOB '[0-9][0-9][0-9][0-9]-[0-1][0-9]-[0-3][0-9][T ][0-2][0-9]:[0-5][0-9]:[0-5][0-9].[0-9]*Z' THEN SUBSTR(r.rehook_sync__c, 1, 10) || 'T' || SUBSTR(r.rehook_sync__c, 12, 8) || SUBSTR(RTRIM(SUBSTR(r.rehook_sync__c, 20), 'Z') || '000000', 1, 7) || '+00:00' ELSE rehook_sync__utc(CAST(r.rehook_sync__c AS BLOB)) END WHEN 'integer' THEN rehook_sync__utc(r.rehook_sync__c) WHEN 'real' THEN rehook_sync__utc(r.rehook_sync__c) END AS rehook_sync__received_at, CASE TYPEOF(r.rehook_sync__o) WHEN 'text' THEN CASE WHEN r.rehook_sync__o GLOB '[0-9][0-9][0-9][0-9]-[0-1][0-9]-[0-3][0-9][T ][0-2][0-9]:[0-5][0-9]:[0-5][0-9].[0-9]*Z' THEN SUBSTR(r.rehook_sync__o, 1, 10) || 'T' || SUBSTR(r.rehook_sync__o, 12, 8) || SUBSTR(RTRIM(SUBSTR(r.rehook_sync__o, 20), 'Z') || '000000', 1, 7) || '+00:00' ELSE rehook_sync__utc(CAST(r.rehook_sync__o AS BLOB)) END WHEN 'integer' THEN rehook_sync__utc(r.rehook_sync__o) WHEN 'real' THEN rehook_sync__utc(r.rehook_sync__o) END AS rehook_sync__occurred_at
    FROM (
        SELECT t.*, t."received_at" AS rehook_sync__c, COALESCE("t"."timestamp", "t"."received_at", "t"."received_at") AS rehook_sync__o, CAST(t."id" AS TEXT) COLLATE BINARY AS rehook_sync__id,
            CAST(t."user_id" AS TEXT) AS rehook_sync__user
        FROM looked_at AS t
    ) AS r
)
, due AS (SELECT * FROM timed)
, calls AS (SELECT * FROM due)
SELECT COUNT(*) FROM (SELECT 1 FROM calls WHERE rehook_sync__received_at >= ? LIMIT 1000) AS later;

WITH looked_at AS (
    SELECT * FROM "main"."tracks" AS near WHERE near."received_at" >= ? OR near."received_at" < '2010-' OR near."received_at" IS NULL
)
, timed AS (
    SELECT r.*, CASE TYPEOF(r.rehook_sync__c) WHEN 'text' THEN CASE WHEN r.rehook_sync__c GLOB '[0-9][0-9][0-9][0-9]-[0-1][0-9]-[0-3][0-9][T ][0-2][0-9]:[0-5][0-9]:[0-5][0-9].[0-9]*Z' THEN SUBSTR(r.rehook_sync__c, 1, 10) || 'T' || SUBSTR(r.rehook_sync__c, 12, 8) || SUBSTR(RTRIM(SUBSTR(r.rehook_sync__c, 20), 'Z') || '000000', 1, 7) || '+00:00' ELSE rehook_sync__utc(CAST(r.rehook_sync__c AS BLOB)) END WHEN 'integer' THEN rehook_sync__utc(r.rehook_sync__c) WHEN 'real' THEN rehook_sync__utc(r.rehook_sync__c) END AS rehook_sync__received_at, CASE TYPEOF(r.rehook_sync__o) WHEN 'text' THEN CASE WHEN r.rehook_sync__o GLOB '[0-9][0-9][0-9][0-9]-[0-1][0-9]-[0-3][0-9][T ][0-2][0-9]:[0-5][0-9]:[0-5][0-9].[0-9]*Z' THEN SUBSTR(r.rehook_sync__o, 1, 10) || 'T' || SUBSTR(r.rehook_sync__o, 12, 8) || SUBSTR(RTRIM(SUBSTR(r.rehook_sync__o, 20), 'Z') || '000000', 1, 7) || '+00:00' ELSE rehook_sync__utc(CAST(r.rehook_sync__o AS BLOB)) END WHEN 'integer' THEN rehook_sync__utc(r.rehook_sync__o) WHEN 'real' THEN rehook_sync__utc(r.rehook_sync__o) END AS rehook_sync__occurred_at
    FROM (
        SELECT t.*, t."received_at" AS rehook_sync__c, COALESCE("t"."timestamp", "t"."received_at", "t"."received_at") AS rehook_sync__o, CAST(t."id" AS TEXT) COLLATE BINARY AS rehook_sync__id,
            CAST(t."user_id" AS TEXT) AS rehook_sync__user
        FROM looked_at AS t
    ) AS r
)
, due AS (SELECT * FROM timed)
, calls AS (SELECT * FROM due)
SELECT COUNT(*) FROM (SELECT 1 FROM calls WHERE rehook_sync__received_at >= ? LIMIT 1000) AS later;

-- first run: 25 statements

SELECT NULL AS table_catalog, 'main' AS table_schema, m.name AS table_name, m.type = 'view' AS is_view,
    0 AS is_guarded, NULL AS missing, NULL AS columns, NULL AS denied, NULL AS owner, NULL AS reader
FROM sqlite_master AS m
WHERE m.type IN ('table', 'view') AND COALESCE(LOWER(?), 'main') = 'main'
ORDER BY 2;

SELECT * FROM "main"."identifies" WHERE 1 = 0;

SELECT p.name, p.type FROM pragma_table_info(?) AS p;

SELECT * FROM "main"."tracks" WHERE 1 = 0;

SELECT p.name, p.type FROM pragma_table_info(?) AS p;

SELECT m.name AS table_name, p.name AS column_name
FROM sqlite_master AS m JOIN pragma_table_xinfo(m.name) AS p
WHERE m.name IN (SELECT wanted.value FROM json_each(?) AS wanted) AND COALESCE(?, 'main') = 'main' AND p.hidden <> 1;

SELECT * FROM "main"."order_completed" WHERE 1 = 0;

SELECT p.name, p.type FROM pragma_table_info(?) AS p;

SELECT * FROM "main"."signed_up" WHERE 1 = 0;

SELECT p.name, p.type FROM pragma_table_info(?) AS p;

WITH looked_at AS (SELECT * FROM "main"."tracks")
, timed AS (
    SELECT r.*, CASE TYPEOF(r.rehook_sync__c) WHEN 'text' THEN CASE WHEN r.rehook_sync__c GLOB '[0-9][0-9][0-9][0-9]-[0-1][0-9]-[0-3][0-9][T ][0-2][0-9]:[0-5][0-9]:[0-5][0-9].[0-9]*Z' THEN SUBSTR(r.rehook_sync__c, 1, 10) || 'T' || SUBSTR(r.rehook_sync__c, 12, 8) || SUBSTR(RTRIM(SUBSTR(r.rehook_sync__c, 20), 'Z') || '000000', 1, 7) || '+00:00' ELSE rehook_sync__utc(CAST(r.rehook_sync__c AS BLOB)) END WHEN 'integer' THEN rehook_sync__utc(r.rehook_sync__c) WHEN 'real' THEN rehook_sync__utc(r.rehook_sync__c) END AS rehook_sync__received_at, CASE TYPEOF(r.rehook_sync__o) WHEN 'text' THEN CASE WHEN r.rehook_sync__o GLOB '[0-9][0-9][0-9][0-9]-[0-1][0-9]-[0-3][0-9][T ][0-2][0-9]:[0-5][0-9]:[0-5][0-9].[0-9]*Z' THEN SUBSTR(r.rehook_sync__o, 1, 10) || 'T' || SUBSTR(r.rehook_sync__o, 12, 8) || SUBSTR(RTRIM(SUBSTR(r.rehook_sync__o, 20), 'Z') || '000000', 1, 7) || '+00:00' ELSE rehook_sync__utc(CAST(r.rehook_sync__o AS BLOB)) END WHEN 'integer' THEN rehook_sync__utc(r.rehook_sync__o) WHEN 'real' THEN rehook_sync__utc(r.rehook_sync__o) END AS rehook_sync__occurred_at
    FROM (
        SELECT t.*, t."received_at" AS rehook_sync__c, COALESCE("t"."timestamp", "t"."received_at", "t"."received_at") AS rehook_sync__o, CAST(t."id" AS TEXT) COLLATE BINARY AS rehook_sync__id,
            CAST(t."user_id" AS TEXT) AS rehook_sync__user
        FROM looked_at AS t
    ) AS r
)
, due AS (SELECT * FROM timed)
, calls AS (SELECT * FROM due)
SELECT MAX(rehook_sync__received_at) FROM calls WHERE rehook_sync__received_at BETWEEN ? AND ?;

WITH looked_at AS (SELECT * FROM "main"."tracks")
, timed AS (
    SELECT r.*, CASE TYPEOF(r.rehook_sync__c) WHEN 'text' THEN CASE WHEN r.rehook_sync__c GLOB '[0-9][0-9][0-9][0-9]-[0-1][0-9]-[0-3][0-9][T ][0-2][0-9]:[0-5][0-9]:[0-5][0-9].[0-9]*Z' THEN SUBSTR(r.rehook_sync__c, 1, 10) || 'T' || SUBSTR(r.rehook_sync__c, 12, 8) || SUBSTR(RTRIM(SUBSTR(r.rehook_sync__c, 20), 'Z') || '000000', 1, 7) || '+00:00' ELSE rehook_sync__utc(CAST(r.rehook_sync__c AS BLOB)) END WHEN 'integer' THEN rehook_sync__utc(r.rehook_sync__c) WHEN 'real' THEN rehook_sync__utc(r.rehook_sync__c) END AS rehook_sync__received_at, CASE TYPEOF(r.rehook_sync__o) WHEN 'text' THEN CASE WHEN r.rehook_sync__o GLOB '[0-9][0-9][0-9][0-9]-[0-1][0-9]-[0-3][0-9][T ][0-2][0-9]:[0-5][0-9]:[0-5][0-9].[0-9]*Z' THEN SUBSTR(r.rehook_sync__o, 1, 10) || 'T' || SUBSTR(r.rehook_sync__o, 12, 8) || SUBSTR(RTRIM(SUBSTR(r.rehook_sync__o, 20), 'Z') || '000000', 1, 7) || '+00:00' ELSE rehook_sync__utc(CAST(r.rehook_sync__o AS BLOB)) END WHEN 'integer' THEN rehook_sync__utc(r.rehook_sync__o) WHEN 'real' THEN rehook_sync__utc(r.rehook_sync__o) END AS rehook_sync__occurred_at
    FROM (
        SELECT t.*, t."received_at" AS rehook_sync__c, COALESCE("t"."timestamp", "t"."received_at", "t"."received_at") AS rehook_sync__o, CAST(t."id" AS TEXT) COLLATE BINARY AS rehook_sync__id,
            CAST(t."user_id" AS TEXT) AS rehook_sync__user
        FROM looked_at AS t
    ) AS r
)
, due AS (SELECT * FROM timed)
, calls AS (SELECT * FROM due)
SELECT rehook_sync__received_at, rehook_sync__occurred_at, "calls"."id", "calls"."user_id", "calls"."anonymous_id", "calls"."event", "calls"."event_text", "calls"."received_at", CAST(COALESCE(rehook_sync__id, '') AS BLOB) AS rehook_sync__place
FROM calls
WHERE rehook_sync__received_at BETWEEN ? AND ? AND (rehook_sync__received_at > ? OR CAST(COALESCE(rehook_sync__id, '') AS BLOB) >= ?)
ORDER BY rehook_sync__received_at, CAST(COALESCE(rehook_sync__id, '') AS BLOB)
LIMIT ?;

SELECT m.name AS table_name, p.name AS column_name
FROM sqlite_master AS m JOIN pragma_table_xinfo(m.name) AS p
WHERE m.name IN (SELECT wanted.value FROM json_each(?) AS wanted) AND COALESCE(?, 'main') = 'main' AND p.hidden <> 1;

WITH looked_at AS (SELECT * FROM "main"."tracks")
, timed AS (
    SELECT r.*, CASE TYPEOF(r.rehook_sync__c) WHEN 'text' THEN CASE WHEN r.rehook_sync__c GLOB '[0-9][0-9][0-9][0-9]-[0-1][0-9]-[0-3][0-9][T ][0-2][0-9]:[0-5][0-9]:[0-5][0-9].[0-9]*Z' THEN SUBSTR(r.rehook_sync__c, 1, 10) || 'T' || SUBSTR(r.rehook_sync__c, 12, 8) || SUBSTR(RTRIM(SUBSTR(r.rehook_sync__c, 20), 'Z') || '000000', 1, 7) || '+00:00' ELSE rehook_sync__utc(CAST(r.rehook_sync__c AS BLOB)) END WHEN 'integer' THEN rehook_sync__utc(r.rehook_sync__c) WHEN 'real' THEN rehook_sync__utc(r.rehook_sync__c) END AS rehook_sync__received_at, CASE TYPEOF(r.rehook_sync__o) WHEN 'text' THEN CASE WHEN r.rehook_sync__o GLOB '[0-9][0-9][0-9][0-9]-[0-1][0-9]-[0-3][0-9][T ][0-2][0-9]:[0-5][0-9]:[0-5][0-9].[0-9]*Z' THEN SUBSTR(r.rehook_sync__o, 1, 10) || 'T' || SUBSTR(r.rehook_sync__o, 12, 8) || SUBSTR(RTRIM(SUBSTR(r.rehook_sync__o, 20), 'Z') || '000000', 1, 7) || '+00:00' ELSE rehook_sync__utc(CAST(r.rehook_sync__o AS BLOB)) END WHEN 'integer' THEN rehook_sync__utc(r.rehook_sync__o) WHEN 'real' THEN rehook_sync__utc(r.rehook_sync__o) END AS rehook_sync__occurred_at
    FROM (
        SELECT t.*, t."received_at" AS rehook_sync__c, COALESCE("t"."timestamp", "t"."received_at", "t"."received_at") AS rehook_sync__o, CAST(t."id" AS TEXT) COLLATE BINARY AS rehook_sync__id,
            CAST(t."user_id" AS TEXT) AS rehook_sync__user
        FROM looked_at AS t
    ) AS r
)
, due AS (SELECT * FROM timed)
, calls AS (SELECT * FROM due)
SELECT rehook_sync__received_at, rehook_sync__occurred_at, "calls"."id", "calls"."user_id", "calls"."anonymous_id", "calls"."event", "calls"."event_text", "calls"."received_at", CAST(COALESCE(rehook_sync__id, '') AS BLOB) AS rehook_sync__place
FROM calls
WHERE rehook_sync__received_at IS NULL AND CAST(COALESCE(rehook_sync__id, '') AS BLOB) >= ?
ORDER BY CAST(COALESCE(rehook_sync__id, '') AS BLOB)
LIMIT ?;

SELECT m.name AS table_name, p.name AS column_name
FROM sqlite_master AS m JOIN pragma_table_xinfo(m.name) AS p
WHERE m.name IN (SELECT wanted.value FROM json_each(?) AS wanted) AND COALESCE(?, 'main') = 'main' AND p.hidden <> 1;

WITH looked_at AS (SELECT * FROM "main"."identifies")
, timed AS (
    SELECT r.*, CASE TYPEOF(r.rehook_sync__c) WHEN 'text' THEN CASE WHEN r.rehook_sync__c GLOB '[0-9][0-9][0-9][0-9]-[0-1][0-9]-[0-3][0-9][T ][0-2][0-9]:[0-5][0-9]:[0-5][0-9].[0-9]*Z' THEN SUBSTR(r.rehook_sync__c, 1, 10) || 'T' || SUBSTR(r.rehook_sync__c, 12, 8) || SUBSTR(RTRIM(SUBSTR(r.rehook_sync__c, 20), 'Z') || '000000', 1, 7) || '+00:00' ELSE rehook_sync__utc(CAST(r.rehook_sync__c AS BLOB)) END WHEN 'integer' THEN rehook_sync__utc(r.rehook_sync__c) WHEN 'real' THEN rehook_sync__utc(r.rehook_sync__c) END AS rehook_sync__received_at, CASE TYPEOF(r.rehook_sync__o) WHEN 'text' THEN CASE WHEN r.rehook_sync__o GLOB '[0-9][0-9][0-9][0-9]-[0-1][0-9]-[0-3][0-9][T ][0-2][0-9]:[0-5][0-9]:[0-5][0-9].[0-9]*Z' THEN SUBSTR(r.rehook_sync__o, 1, 10) || 'T' || SUBSTR(r.rehook_sync__o, 12, 8) || SUBSTR(RTRIM(SUBSTR(r.rehook_sync__o, 20), 'Z') || '000000', 1, 7) || '+00:00' ELSE rehook_sync__utc(CAST(r.rehook_sync__o AS BLOB)) END WHEN 'integer' THEN rehook_sync__utc(r.rehook_sync__o) WHEN 'real' THEN rehook_sync__utc(r.rehook_sync__o) END AS rehook_sync__occurred_at
    FROM (
        SELECT t.*, t."received_at" AS rehook_sync__c, COALESCE("t"."timestamp", "t"."received_at", "t"."received_at") AS rehook_sync__o, CAST(t."id" AS TEXT) COLLATE BINARY AS rehook_sync__id,
            CAST(t."user_id" AS TEXT) AS rehook_sync__user
        FROM looked_at AS t
    ) AS r
)
, due AS (SELECT * FROM timed)
, calls AS (SELECT * FROM due)
SELECT MAX(rehook_sync__received_at) FROM calls WHERE rehook_sync__received_at BETWEEN ? AND ?;

WITH looked_at AS (SELECT * FROM "main"."identifies")
, timed AS (
    SELECT r.*, CASE TYPEOF(r.rehook_sync__c) WHEN 'text' THEN CASE WHEN r.rehook_sync__c GLOB '[0-9][0-9][0-9][0-9]-[0-1][0-9]-[0-3][0-9][T ][0-2][0-9]:[0-5][0-9]:[0-5][0-9].[0-9]*Z' THEN SUBSTR(r.rehook_sync__c, 1, 10) || 'T' || SUBSTR(r.rehook_sync__c, 12, 8) || SUBSTR(RTRIM(SUBSTR(r.rehook_sync__c, 20), 'Z') || '000000', 1, 7) || '+00:00' ELSE rehook_sync__utc(CAST(r.rehook_sync__c AS BLOB)) END WHEN 'integer' THEN rehook_sync__utc(r.rehook_sync__c) WHEN 'real' THEN rehook_sync__utc(r.rehook_sync__c) END AS rehook_sync__received_at, CASE TYPEOF(r.rehook_sync__o) WHEN 'text' THEN CASE WHEN r.rehook_sync__o GLOB '[0-9][0-9][0-9][0-9]-[0-1][0-9]-[0-3][0-9][T ][0-2][0-9]:[0-5][0-9]:[0-5][0-9].[0-9]*Z' THEN SUBSTR(r.rehook_sync__o, 1, 10) || 'T' || SUBSTR(r.rehook_sync__o, 12, 8) || SUBSTR(RTRIM(SUBSTR(r.rehook_sync__o, 20), 'Z') || '000000', 1, 7) || '+00:00' ELSE rehook_sync__utc(CAST(r.rehook_sync__o AS BLOB)) END WHEN 'integer' THEN rehook_sync__utc(r.rehook_sync__o) WHEN 'real' THEN rehook_sync__utc(r.rehook_sync__o) END AS rehook_sync__occurred_at
    FROM (
        SELECT t.*, t."received_at" AS rehook_sync__c, COALESCE("t"."timestamp", "t"."received_at", "t"."received_at") AS rehook_sync__o, CAST(t."id" AS TEXT) COLLATE BINARY AS rehook_sync__id,
            CAST(t."user_id" AS TEXT) AS rehook_sync__user
        FROM looked_at AS t
    ) AS r
)
, due AS (SELECT * FROM timed)
, calls AS (SELECT * FROM due)
SELECT rehook_sync__received_at, rehook_sync__occurred_at, "calls"."id", "calls"."user_id", "calls"."anonymous_id", "calls"."received_at", "calls"."plan", CAST(COALESCE(rehook_sync__id, '') AS BLOB) AS rehook_sync__place
FROM calls
WHERE rehook_sync__received_at BETWEEN ? AND ? AND (rehook_sync__received_at > ? OR CAST(COALESCE(rehook_sync__id, '') AS BLOB) >= ?)
ORDER BY rehook_sync__received_at, CAST(COALESCE(rehook_sync__id, '') AS BLOB)
LIMIT ?;

SELECT m.name AS table_name, p.name AS column_name
FROM sqlite_master AS m JOIN pragma_table_xinfo(m.name) AS p
WHERE m.name IN (SELECT wanted.value FROM json_each(?) AS wanted) AND COALESCE(?, 'main') = 'main' AND p.hidden <> 1;

WITH looked_at AS (SELECT * FROM "main"."identifies")
, timed AS (
    SELECT r.*, CASE TYPEOF(r.rehook_sync__c) WHEN 'text' THEN CASE WHEN r.rehook_sync__c GLOB '[0-9][0-9][0-9][0-9]-[0-1][0-9]-[0-3][0-9][T ][0-2][0-9]:[0-5][0-9]:[0-5][0-9].[0-9]*Z' THEN SUBSTR(r.rehook_sync__c, 1, 10) || 'T' || SUBSTR(r.rehook_sync__c, 12, 8) || SUBSTR(RTRIM(SUBSTR(r.rehook_sync__c, 20), 'Z') || '000000', 1, 7) || '+00:00' ELSE rehook_sync__utc(CAST(r.rehook_sync__c AS BLOB)) END WHEN 'integer' THEN rehook_sync__utc(r.rehook_sync__c) WHEN 'real' THEN rehook_sync__utc(r.rehook_sync__c) END AS rehook_sync__received_at, CASE TYPEOF(r.rehook_sync__o) WHEN 'text' THEN CASE WHEN r.rehook_sync__o GLOB '[0-9][0-9][0-9][0-9]-[0-1][0-9]-[0-3][0-9][T ][0-2][0-9]:[0-5][0-9]:[0-5][0-9].[0-9]*Z' THEN SUBSTR(r.rehook_sync__o, 1, 10) || 'T' || SUBSTR(r.rehook_sync__o, 12, 8) || SUBSTR(RTRIM(SUBSTR(r.rehook_sync__o, 20), 'Z') || '000000', 1, 7) || '+00:00' ELSE rehook_sync__utc(CAST(r.rehook_sync__o AS BLOB)) END WHEN 'integer' THEN rehook_sync__utc(r.rehook_sync__o) WHEN 'real' THEN rehook_sync__utc(r.rehook_sync__o) END AS rehook_sync__occurred_at
    FROM (
        SELECT t.*, t."received_at" AS rehook_sync__c, COALESCE("t"."timestamp", "t"."received_at", "t"."received_at") AS rehook_sync__o, CAST(t."id" AS TEXT) COLLATE BINARY AS rehook_sync__id,
            CAST(t."user_id" AS TEXT) AS rehook_sync__user
        FROM looked_at AS t
    ) AS r
)
, due AS (SELECT * FROM timed)
, calls AS (SELECT * FROM due)
SELECT rehook_sync__received_at, rehook_sync__occurred_at, "calls"."id", "calls"."user_id", "calls"."anonymous_id", "calls"."received_at", "calls"."plan", CAST(COALESCE(rehook_sync__id, '') AS BLOB) AS rehook_sync__place
FROM calls
WHERE rehook_sync__received_at IS NULL AND CAST(COALESCE(rehook_sync__id, '') AS BLOB) >= ?
ORDER BY CAST(COALESCE(rehook_sync__id, '') AS BLOB)
LIMIT ?;

SELECT m.name AS table_name, p.name AS column_name
FROM sqlite_master AS m JOIN pragma_table_xinfo(m.name) AS p
WHERE m.name IN (SELECT wanted.value FROM json_each(?) AS wanted) AND COALESCE(?, 'main') = 'main' AND p.hidden <> 1;

SELECT "found"."id", "found"."total"
FROM (SELECT t.*, CAST(t."id" AS text) AS rehook_sync__id FROM "main"."order_completed" AS t) AS found
WHERE "found"."id" IN (SELECT wanted.value FROM json_each(?) AS wanted)
AND "found"."received_at" >= ? AND "found"."received_at" <= ?;

SELECT "found"."id", "found"."total"
FROM (SELECT t.*, CAST(t."id" AS text) AS rehook_sync__id FROM "main"."signed_up" AS t) AS found
WHERE "found"."id" IN (SELECT wanted.value FROM json_each(?) AS wanted)
AND "found"."received_at" >= ? AND "found"."received_at" <= ?;

SELECT m.name AS table_name, p.name AS column_name
FROM sqlite_master AS m JOIN pragma_table_xinfo(m.name) AS p
WHERE m.name IN (SELECT wanted.value FROM json_each(?) AS wanted) AND COALESCE(?, 'main') = 'main' AND p.hidden <> 1;

WITH looked_at AS (
    SELECT * FROM "main"."identifies" AS near WHERE near."received_at" >= ? OR near."received_at" < '2010-' OR near."received_at" IS NULL
)
, timed AS (
    SELECT r.*, CASE TYPEOF(r.rehook_sync__c) WHEN 'text' THEN CASE WHEN r.rehook_sync__c GLOB '[0-9][0-9][0-9][0-9]-[0-1][0-9]-[0-3][0-9][T ][0-2][0-9]:[0-5][0-9]:[0-5][0-9].[0-9]*Z' THEN SUBSTR(r.rehook_sync__c, 1, 10) || 'T' || SUBSTR(r.rehook_sync__c, 12, 8) || SUBSTR(RTRIM(SUBSTR(r.rehook_sync__c, 20), 'Z') || '000000', 1, 7) || '+00:00' ELSE rehook_sync__utc(CAST(r.rehook_sync__c AS BLOB)) END WHEN 'integer' THEN rehook_sync__utc(r.rehook_sync__c) WHEN 'real' THEN rehook_sync__utc(r.rehook_sync__c) END AS rehook_sync__received_at, CASE TYPEOF(r.rehook_sync__o) WHEN 'text' THEN CASE WHEN r.rehook_sync__o GLOB '[0-9][0-9][0-9][0-9]-[0-1][0-9]-[0-3][0-9][T ][0-2][0-9]:[0-5][0-9]:[0-5][0-9].[0-9]*Z' THEN SUBSTR(r.rehook_sync__o, 1, 10) || 'T' || SUBSTR(r.rehook_sync__o, 12, 8) || SUBSTR(RTRIM(SUBSTR(r.rehook_sync__o, 20), 'Z') || '000000', 1, 7) || '+00:00' ELSE rehook_sync__utc(CAST(r.rehook_sync__o AS BLOB)) END WHEN 'integer' THEN rehook_sync__utc(r.rehook_sync__o) WHEN 'real' THEN rehook_sync__utc(r.rehook_sync__o) END AS rehook_sync__occurred_at
    FROM (
        SELECT t.*, t."received_at" AS rehook_sync__c, COALESCE("t"."timestamp", "t"."received_at", "t"."received_at") AS rehook_sync__o, CAST(t."id" AS TEXT) COLLATE BINARY AS rehook_sync__id,
            CAST(t."user_id" AS TEXT) AS rehook_sync__user
        FROM looked_at AS t
    ) AS r
)
, due AS (SELECT * FROM timed)
, calls AS (SELECT * FROM due)
SELECT COUNT(*) FROM (SELECT 1 FROM calls WHERE rehook_sync__received_at >= ? LIMIT 1000) AS later;

WITH looked_at AS (
    SELECT * FROM "main"."tracks" AS near WHERE near."received_at" >= ? OR near."received_at" < '2010-' OR near."received_at" IS NULL
)
, timed AS (
    SELECT r.*, CASE TYPEOF(r.rehook_sync__c) WHEN 'text' THEN CASE WHEN r.rehook_sync__c GLOB '[0-9][0-9][0-9][0-9]-[0-1][0-9]-[0-3][0-9][T ][0-2][0-9]:[0-5][0-9]:[0-5][0-9].[0-9]*Z' THEN SUBSTR(r.rehook_sync__c, 1, 10) || 'T' || SUBSTR(r.rehook_sync__c, 12, 8) || SUBSTR(RTRIM(SUBSTR(r.rehook_sync__c, 20), 'Z') || '000000', 1, 7) || '+00:00' ELSE rehook_sync__utc(CAST(r.rehook_sync__c AS BLOB)) END WHEN 'integer' THEN rehook_sync__utc(r.rehook_sync__c) WHEN 'real' THEN rehook_sync__utc(r.rehook_sync__c) END AS rehook_sync__received_at, CASE TYPEOF(r.rehook_sync__o) WHEN 'text' THEN CASE WHEN r.rehook_sync__o GLOB '[0-9][0-9][0-9][0-9]-[0-1][0-9]-[0-3][0-9][T ][0-2][0-9]:[0-5][0-9]:[0-5][0-9].[0-9]*Z' THEN SUBSTR(r.rehook_sync__o, 1, 10) || 'T' || SUBSTR(r.rehook_sync__o, 12, 8) || SUBSTR(RTRIM(SUBSTR(r.rehook_sync__o, 20), 'Z') || '000000', 1, 7) || '+00:00' ELSE rehook_sync__utc(CAST(r.rehook_sync__o AS BLOB)) END WHEN 'integer' THEN rehook_sync__utc(r.rehook_sync__o) WHEN 'real' THEN rehook_sync__utc(r.rehook_sync__o) END AS rehook_sync__occurred_at
    FROM (
        SELECT t.*, t."received_at" AS rehook_sync__c, COALESCE("t"."timestamp", "t"."received_at", "t"."received_at") AS rehook_sync__o, CAST(t."id" AS TEXT) COLLATE BINARY AS rehook_sync__id,
            CAST(t."user_id" AS TEXT) AS rehook_sync__user
        FROM looked_at AS t
    ) AS r
)
, due AS (SELECT * FROM timed)
, calls AS (SELECT * FROM due)
SELECT COUNT(*) FROM (SELECT 1 FROM calls WHERE rehook_sync__received_at >= ? LIMIT 1000) AS later;

-- second run, which finds all settled: 16 statements

SELECT NULL AS table_catalog, 'main' AS table_schema, m.name AS table_name, m.type = 'view' AS is_view,
    0 AS is_guarded, NULL AS missing, NULL AS columns, NULL AS denied, NULL AS owner, NULL AS reader
FROM sqlite_master AS m
WHERE m.type IN ('table', 'view') AND COALESCE(LOWER(?), 'main') = 'main'
ORDER BY 2;

SELECT * FROM "main"."identifies" WHERE 1 = 0;

SELECT p.name, p.type FROM pragma_table_info(?) AS p;

SELECT * FROM "main"."tracks" WHERE 1 = 0;

SELECT p.name, p.type FROM pragma_table_info(?) AS p;

SELECT m.name AS table_name, p.name AS column_name
FROM sqlite_master AS m JOIN pragma_table_xinfo(m.name) AS p
WHERE m.name IN (SELECT wanted.value FROM json_each(?) AS wanted) AND COALESCE(?, 'main') = 'main' AND p.hidden <> 1;

SELECT * FROM "main"."order_completed" WHERE 1 = 0;

SELECT p.name, p.type FROM pragma_table_info(?) AS p;

SELECT * FROM "main"."signed_up" WHERE 1 = 0;

SELECT p.name, p.type FROM pragma_table_info(?) AS p;

WITH looked_at AS (
    SELECT * FROM "main"."tracks" AS near WHERE near."received_at" >= ? OR near."received_at" < '2010-' OR near."received_at" IS NULL
)
, minutes AS (SELECT CASE WHEN TYPEOF(t."received_at") = 'text' AND t."received_at" GLOB '[0-9][0-9][0-9][0-9]-[0-1][0-9]-[0-3][0-9][T ][0-2][0-9]:[0-5][0-9]:[0-5][0-9].[0-9]*Z' THEN SUBSTR(t."received_at", 1, 10) || 'T' || SUBSTR(t."received_at", 12, 5) ELSE SUBSTR(CASE TYPEOF(t."received_at") WHEN 'text' THEN CASE WHEN t."received_at" GLOB '[0-9][0-9][0-9][0-9]-[0-1][0-9]-[0-3][0-9][T ][0-2][0-9]:[0-5][0-9]:[0-5][0-9].[0-9]*Z' THEN SUBSTR(t."received_at", 1, 10) || 'T' || SUBSTR(t."received_at", 12, 8) || SUBSTR(RTRIM(SUBSTR(t."received_at", 20), 'Z') || '000000', 1, 7) || '+00:00' ELSE rehook_sync__utc(CAST(t."received_at" AS BLOB)) END WHEN 'integer' THEN rehook_sync__utc(t."received_at") WHEN 'real' THEN rehook_sync__utc(t."received_at") END, 1, 16) END AS stretch, CAST(t."id" AS TEXT) AS id FROM looked_at AS t LIMIT -1)
SELECT stretch, COUNT(*) AS calls, COUNT(id) AS ids, CAST(GROUP_CONCAT(id, CHAR(31)) AS BLOB) AS fingerprint,
    MAX(CASE WHEN stretch <= SUBSTR(?, 1, 16) THEN stretch END) AS newest
FROM minutes
WHERE stretch >= SUBSTR(?, 1, 16) OR stretch IS NULL
GROUP BY stretch;

WITH looked_at AS (
    SELECT * FROM "main"."tracks" AS near WHERE near."received_at" >= ? OR near."received_at" < '2010-' OR near."received_at" IS NULL
)
, timed AS (
    SELECT r.*, CASE TYPEOF(r.rehook_sync__c) WHEN 'text' THEN CASE WHEN r.rehook_sync__c GLOB '[0-9][0-9][0-9][0-9]-[0-1][0-9]-[0-3][0-9][T ][0-2][0-9]:[0-5][0-9]:[0-5][0-9].[0-9]*Z' THEN SUBSTR(r.rehook_sync__c, 1, 10) || 'T' || SUBSTR(r.rehook_sync__c, 12, 8) || SUBSTR(RTRIM(SUBSTR(r.rehook_sync__c, 20), 'Z') || '000000', 1, 7) || '+00:00' ELSE rehook_sync__utc(CAST(r.rehook_sync__c AS BLOB)) END WHEN 'integer' THEN rehook_sync__utc(r.rehook_sync__c) WHEN 'real' THEN rehook_sync__utc(r.rehook_sync__c) END AS rehook_sync__received_at, CASE TYPEOF(r.rehook_sync__o) WHEN 'text' THEN CASE WHEN r.rehook_sync__o GLOB '[0-9][0-9][0-9][0-9]-[0-1][0-9]-[0-3][0-9][T ][0-2][0-9]:[0-5][0-9]:[0-5][0-9].[0-9]*Z' THEN SUBSTR(r.rehook_sync__o, 1, 10) || 'T' || SUBSTR(r.rehook_sync__o, 12, 8) || SUBSTR(RTRIM(SUBSTR(r.rehook_sync__o, 20), 'Z') || '000000', 1, 7) || '+00:00' ELSE rehook_sync__utc(CAST(r.rehook_sync__o AS BLOB)) END WHEN 'integer' THEN rehook_sync__utc(r.rehook_sync__o) WHEN 'real' THEN rehook_sync__utc(r.rehook_sync__o) END AS rehook_sync__occurred_at
    FROM (
        SELECT t.*, t."received_at" AS rehook_sync__c, COALESCE("t"."timestamp", "t"."received_at", "t"."received_at") AS rehook_sync__o, CAST(t."id" AS TEXT) COLLATE BINARY AS rehook_sync__id,
            CAST(t."user_id" AS TEXT) AS rehook_sync__user
        FROM looked_at AS t
    ) AS r
)
, due AS (SELECT * FROM timed)
, calls AS (SELECT * FROM due)
SELECT MAX(rehook_sync__received_at) FROM calls WHERE rehook_sync__received_at BETWEEN ? AND ?;

WITH looked_at AS (
    SELECT * FROM "main"."tracks" AS near WHERE near."received_at" >= ? OR near."received_at" < '2010-' OR near."received_at" IS NULL
)
, timed AS (
    SELECT r.*, CASE TYPEOF(r.rehook_sync__c) WHEN 'text' THEN CASE WHEN r.rehook_sync__c GLOB '[0-9][0-9][0-9][0-9]-[0-1][0-9]-[0-3][0-9][T ][0-2][0-9]:[0-5][0-9]:[0-5][0-9].[0-9]*Z' THEN SUBSTR(r.rehook_sync__c, 1, 10) || 'T' || SUBSTR(r.rehook_sync__c, 12, 8) || SUBSTR(RTRIM(SUBSTR(r.rehook_sync__c, 20), 'Z') || '000000', 1, 7) || '+00:00' ELSE rehook_sync__utc(CAST(r.rehook_sync__c AS BLOB)) END WHEN 'integer' THEN rehook_sync__utc(r.rehook_sync__c) WHEN 'real' THEN rehook_sync__utc(r.rehook_sync__c) END AS rehook_sync__received_at, CASE TYPEOF(r.rehook_sync__o) WHEN 'text' THEN CASE WHEN r.rehook_sync__o GLOB '[0-9][0-9][0-9][0-9]-[0-1][0-9]-[0-3][0-9][T ][0-2][0-9]:[0-5][0-9]:[0-5][0-9].[0-9]*Z' THEN SUBSTR(r.rehook_sync__o, 1, 10) || 'T' || SUBSTR(r.rehook_sync__o, 12, 8) || SUBSTR(RTRIM(SUBSTR(r.rehook_sync__o, 20), 'Z') || '000000', 1, 7) || '+00:00' ELSE rehook_sync__utc(CAST(r.rehook_sync__o AS BLOB)) END WHEN 'integer' THEN rehook_sync__utc(r.rehook_sync__o) WHEN 'real' THEN rehook_sync__utc(r.rehook_sync__o) END AS rehook_sync__occurred_at
    FROM (
        SELECT t.*, t."received_at" AS rehook_sync__c, COALESCE("t"."timestamp", "t"."received_at", "t"."received_at") AS rehook_sync__o, CAST(t."id" AS TEXT) COLLATE BINARY AS rehook_sync__id,
            CAST(t."user_id" AS TEXT) AS rehook_sync__user
        FROM looked_at AS t
    ) AS r
)
, due AS (SELECT * FROM timed)
, calls AS (SELECT * FROM due)
SELECT rehook_sync__received_at, rehook_sync__id FROM calls WHERE COALESCE(rehook_sync__received_at, ?) BETWEEN ? AND ?;

WITH looked_at AS (
    SELECT * FROM "main"."identifies" AS near WHERE near."received_at" >= ? OR near."received_at" < '2010-' OR near."received_at" IS NULL
)
, minutes AS (SELECT CASE WHEN TYPEOF(t."received_at") = 'text' AND t."received_at" GLOB '[0-9][0-9][0-9][0-9]-[0-1][0-9]-[0-3][0-9][T ][0-2][0-9]:[0-5][0-9]:[0-5][0-9].[0-9]*Z' THEN SUBSTR(t."received_at", 1, 10) || 'T' || SUBSTR(t."received_at", 12, 5) ELSE SUBSTR(CASE TYPEOF(t."received_at") WHEN 'text' THEN CASE WHEN t."received_at" GLOB '[0-9][0-9][0-9][0-9]-[0-1][0-9]-[0-3][0-9][T ][0-2][0-9]:[0-5][0-9]:[0-5][0-9].[0-9]*Z' THEN SUBSTR(t."received_at", 1, 10) || 'T' || SUBSTR(t."received_at", 12, 8) || SUBSTR(RTRIM(SUBSTR(t."received_at", 20), 'Z') || '000000', 1, 7) || '+00:00' ELSE rehook_sync__utc(CAST(t."received_at" AS BLOB)) END WHEN 'integer' THEN rehook_sync__utc(t."received_at") WHEN 'real' THEN rehook_sync__utc(t."received_at") END, 1, 16) END AS stretch, CAST(t."id" AS TEXT) AS id FROM looked_at AS t LIMIT -1)
SELECT stretch, COUNT(*) AS calls, COUNT(id) AS ids, CAST(GROUP_CONCAT(id, CHAR(31)) AS BLOB) AS fingerprint,
    MAX(CASE WHEN stretch <= SUBSTR(?, 1, 16) THEN stretch END) AS newest
FROM minutes
WHERE stretch >= SUBSTR(?, 1, 16) OR stretch IS NULL
GROUP BY stretch;

WITH looked_at AS (
    SELECT * FROM "main"."identifies" AS near WHERE near."received_at" >= ? OR near."received_at" < '2010-' OR near."received_at" IS NULL
)
, timed AS (
    SELECT r.*, CASE TYPEOF(r.rehook_sync__c) WHEN 'text' THEN CASE WHEN r.rehook_sync__c GLOB '[0-9][0-9][0-9][0-9]-[0-1][0-9]-[0-3][0-9][T ][0-2][0-9]:[0-5][0-9]:[0-5][0-9].[0-9]*Z' THEN SUBSTR(r.rehook_sync__c, 1, 10) || 'T' || SUBSTR(r.rehook_sync__c, 12, 8) || SUBSTR(RTRIM(SUBSTR(r.rehook_sync__c, 20), 'Z') || '000000', 1, 7) || '+00:00' ELSE rehook_sync__utc(CAST(r.rehook_sync__c AS BLOB)) END WHEN 'integer' THEN rehook_sync__utc(r.rehook_sync__c) WHEN 'real' THEN rehook_sync__utc(r.rehook_sync__c) END AS rehook_sync__received_at, CASE TYPEOF(r.rehook_sync__o) WHEN 'text' THEN CASE WHEN r.rehook_sync__o GLOB '[0-9][0-9][0-9][0-9]-[0-1][0-9]-[0-3][0-9][T ][0-2][0-9]:[0-5][0-9]:[0-5][0-9].[0-9]*Z' THEN SUBSTR(r.rehook_sync__o, 1, 10) || 'T' || SUBSTR(r.rehook_sync__o, 12, 8) || SUBSTR(RTRIM(SUBSTR(r.rehook_sync__o, 20), 'Z') || '000000', 1, 7) || '+00:00' ELSE rehook_sync__utc(CAST(r.rehook_sync__o AS BLOB)) END WHEN 'integer' THEN rehook_sync__utc(r.rehook_sync__o) WHEN 'real' THEN rehook_sync__utc(r.rehook_sync__o) END AS rehook_sync__occurred_at
    FROM (
        SELECT t.*, t."received_at" AS rehook_sync__c, COALESCE("t"."timestamp", "t"."received_at", "t"."received_at") AS rehook_sync__o, CAST(t."id" AS TEXT) COLLATE BINARY AS rehook_sync__id,
            CAST(t."user_id" AS TEXT) AS rehook_sync__user
        FROM looked_at AS t
    ) AS r
)
, due AS (SELECT * FROM timed)
, calls AS (SELECT * FROM due)
SELECT MAX(rehook_sync__received_at) FROM calls WHERE rehook_sync__received_at BETWEEN ? AND ?;

WITH looked_at AS (
    SELECT * FROM "main"."identifies" AS near WHERE near."received_at" >= ? OR near."received_at" < '2010-' OR near."received_at" IS NULL
)
, timed AS (
    SELECT r.*, CASE TYPEOF(r.rehook_sync__c) WHEN 'text' THEN CASE WHEN r.rehook_sync__c GLOB '[0-9][0-9][0-9][0-9]-[0-1][0-9]-[0-3][0-9][T ][0-2][0-9]:[0-5][0-9]:[0-5][0-9].[0-9]*Z' THEN SUBSTR(r.rehook_sync__c, 1, 10) || 'T' || SUBSTR(r.rehook_sync__c, 12, 8) || SUBSTR(RTRIM(SUBSTR(r.rehook_sync__c, 20), 'Z') || '000000', 1, 7) || '+00:00' ELSE rehook_sync__utc(CAST(r.rehook_sync__c AS BLOB)) END WHEN 'integer' THEN rehook_sync__utc(r.rehook_sync__c) WHEN 'real' THEN rehook_sync__utc(r.rehook_sync__c) END AS rehook_sync__received_at, CASE TYPEOF(r.rehook_sync__o) WHEN 'text' THEN CASE WHEN r.rehook_sync__o GLOB '[0-9][0-9][0-9][0-9]-[0-1][0-9]-[0-3][0-9][T ][0-2][0-9]:[0-5][0-9]:[0-5][0-9].[0-9]*Z' THEN SUBSTR(r.rehook_sync__o, 1, 10) || 'T' || SUBSTR(r.rehook_sync__o, 12, 8) || SUBSTR(RTRIM(SUBSTR(r.rehook_sync__o, 20), 'Z') || '000000', 1, 7) || '+00:00' ELSE rehook_sync__utc(CAST(r.rehook_sync__o AS BLOB)) END WHEN 'integer' THEN rehook_sync__utc(r.rehook_sync__o) WHEN 'real' THEN rehook_sync__utc(r.rehook_sync__o) END AS rehook_sync__occurred_at
    FROM (
        SELECT t.*, t."received_at" AS rehook_sync__c, COALESCE("t"."timestamp", "t"."received_at", "t"."received_at") AS rehook_sync__o, CAST(t."id" AS TEXT) COLLATE BINARY AS rehook_sync__id,
            CAST(t."user_id" AS TEXT) AS rehook_sync__user
        FROM looked_at AS t
    ) AS r
)
, due AS (SELECT * FROM timed)
, calls AS (SELECT * FROM due)
SELECT rehook_sync__received_at, rehook_sync__id FROM calls WHERE COALESCE(rehook_sync__received_at, ?) BETWEEN ? AND ?;

-- run with nothing new: 14 statements

SELECT NULL AS table_catalog, 'main' AS table_schema, m.name AS table_name, m.type = 'view' AS is_view,
    0 AS is_guarded, NULL AS missing, NULL AS columns, NULL AS denied, NULL AS owner, NULL AS reader
FROM sqlite_master AS m
WHERE m.type IN ('table', 'view') AND COALESCE(LOWER(?), 'main') = 'main'
ORDER BY 2;

SELECT * FROM "main"."identifies" WHERE 1 = 0;

SELECT p.name, p.type FROM pragma_table_info(?) AS p;

SELECT * FROM "main"."tracks" WHERE 1 = 0;

SELECT p.name, p.type FROM pragma_table_info(?) AS p;

SELECT m.name AS table_name, p.name AS column_name
FROM sqlite_master AS m JOIN pragma_table_xinfo(m.name) AS p
WHERE m.name IN (SELECT wanted.value FROM json_each(?) AS wanted) AND COALESCE(?, 'main') = 'main' AND p.hidden <> 1;

SELECT * FROM "main"."order_completed" WHERE 1 = 0;

SELECT p.name, p.type FROM pragma_table_info(?) AS p;

SELECT * FROM "main"."signed_up" WHERE 1 = 0;

SELECT p.name, p.type FROM pragma_table_info(?) AS p;

WITH looked_at AS (
    SELECT * FROM "main"."tracks" AS near WHERE near."received_at" >= ? OR near."received_at" < '2010-' OR near."received_at" IS NULL
)
, minutes AS (SELECT CASE WHEN TYPEOF(t."received_at") = 'text' AND t."received_at" GLOB '[0-9][0-9][0-9][0-9]-[0-1][0-9]-[0-3][0-9][T ][0-2][0-9]:[0-5][0-9]:[0-5][0-9].[0-9]*Z' THEN SUBSTR(t."received_at", 1, 10) || 'T' || SUBSTR(t."received_at", 12, 5) ELSE SUBSTR(CASE TYPEOF(t."received_at") WHEN 'text' THEN CASE WHEN t."received_at" GLOB '[0-9][0-9][0-9][0-9]-[0-1][0-9]-[0-3][0-9][T ][0-2][0-9]:[0-5][0-9]:[0-5][0-9].[0-9]*Z' THEN SUBSTR(t."received_at", 1, 10) || 'T' || SUBSTR(t."received_at", 12, 8) || SUBSTR(RTRIM(SUBSTR(t."received_at", 20), 'Z') || '000000', 1, 7) || '+00:00' ELSE rehook_sync__utc(CAST(t."received_at" AS BLOB)) END WHEN 'integer' THEN rehook_sync__utc(t."received_at") WHEN 'real' THEN rehook_sync__utc(t."received_at") END, 1, 16) END AS stretch, CAST(t."id" AS TEXT) AS id FROM looked_at AS t LIMIT -1)
SELECT stretch, COUNT(*) AS calls, COUNT(id) AS ids, CAST(GROUP_CONCAT(id, CHAR(31)) AS BLOB) AS fingerprint,
    MAX(CASE WHEN stretch <= SUBSTR(?, 1, 16) THEN stretch END) AS newest
FROM minutes
WHERE stretch >= SUBSTR(?, 1, 16) OR stretch IS NULL
GROUP BY stretch;

WITH looked_at AS (
    SELECT * FROM "main"."tracks" AS near WHERE near."received_at" >= ? OR near."received_at" < '2010-' OR near."received_at" IS NULL
)
, timed AS (
    SELECT r.*, CASE TYPEOF(r.rehook_sync__c) WHEN 'text' THEN CASE WHEN r.rehook_sync__c GLOB '[0-9][0-9][0-9][0-9]-[0-1][0-9]-[0-3][0-9][T ][0-2][0-9]:[0-5][0-9]:[0-5][0-9].[0-9]*Z' THEN SUBSTR(r.rehook_sync__c, 1, 10) || 'T' || SUBSTR(r.rehook_sync__c, 12, 8) || SUBSTR(RTRIM(SUBSTR(r.rehook_sync__c, 20), 'Z') || '000000', 1, 7) || '+00:00' ELSE rehook_sync__utc(CAST(r.rehook_sync__c AS BLOB)) END WHEN 'integer' THEN rehook_sync__utc(r.rehook_sync__c) WHEN 'real' THEN rehook_sync__utc(r.rehook_sync__c) END AS rehook_sync__received_at, CASE TYPEOF(r.rehook_sync__o) WHEN 'text' THEN CASE WHEN r.rehook_sync__o GLOB '[0-9][0-9][0-9][0-9]-[0-1][0-9]-[0-3][0-9][T ][0-2][0-9]:[0-5][0-9]:[0-5][0-9].[0-9]*Z' THEN SUBSTR(r.rehook_sync__o, 1, 10) || 'T' || SUBSTR(r.rehook_sync__o, 12, 8) || SUBSTR(RTRIM(SUBSTR(r.rehook_sync__o, 20), 'Z') || '000000', 1, 7) || '+00:00' ELSE rehook_sync__utc(CAST(r.rehook_sync__o AS BLOB)) END WHEN 'integer' THEN rehook_sync__utc(r.rehook_sync__o) WHEN 'real' THEN rehook_sync__utc(r.rehook_sync__o) END AS rehook_sync__occurred_at
    FROM (
        SELECT t.*, t."received_at" AS rehook_sync__c, COALESCE("t"."timestamp", "t"."received_at", "t"."received_at") AS rehook_sync__o, CAST(t."id" AS TEXT) COLLATE BINARY AS rehook_sync__id,
            CAST(t."user_id" AS TEXT) AS rehook_sync__user
        FROM looked_at AS t
    ) AS r
)
, due AS (SELECT * FROM timed)
, calls AS (SELECT * FROM due)
SELECT MAX(rehook_sync__received_at) FROM calls WHERE rehook_sync__received_at BETWEEN ? AND ?;

WITH looked_at AS (
    SELECT * FROM "main"."identifies" AS near WHERE near."received_at" >= ? OR near."received_at" < '2010-' OR near."received_at" IS NULL
)
, minutes AS (SELECT CASE WHEN TYPEOF(t."received_at") = 'text' AND t."received_at" GLOB '[0-9][0-9][0-9][0-9]-[0-1][0-9]-[0-3][0-9][T ][0-2][0-9]:[0-5][0-9]:[0-5][0-9].[0-9]*Z' THEN SUBSTR(t."received_at", 1, 10) || 'T' || SUBSTR(t."received_at", 12, 5) ELSE SUBSTR(CASE TYPEOF(t."received_at") WHEN 'text' THEN CASE WHEN t."received_at" GLOB '[0-9][0-9][0-9][0-9]-[0-1][0-9]-[0-3][0-9][T ][0-2][0-9]:[0-5][0-9]:[0-5][0-9].[0-9]*Z' THEN SUBSTR(t."received_at", 1, 10) || 'T' || SUBSTR(t."received_at", 12, 8) || SUBSTR(RTRIM(SUBSTR(t."received_at", 20), 'Z') || '000000', 1, 7) || '+00:00' ELSE rehook_sync__utc(CAST(t."received_at" AS BLOB)) END WHEN 'integer' THEN rehook_sync__utc(t."received_at") WHEN 'real' THEN rehook_sync__utc(t."received_at") END, 1, 16) END AS stretch, CAST(t."id" AS TEXT) AS id FROM looked_at AS t LIMIT -1)
SELECT stretch, COUNT(*) AS calls, COUNT(id) AS ids, CAST(GROUP_CONCAT(id, CHAR(31)) AS BLOB) AS fingerprint,
    MAX(CASE WHEN stretch <= SUBSTR(?, 1, 16) THEN stretch END) AS newest
FROM minutes
WHERE stretch >= SUBSTR(?, 1, 16) OR stretch IS NULL
GROUP BY stretch;

WITH looked_at AS (
    SELECT * FROM "main"."identifies" AS near WHERE near."received_at" >= ? OR near."received_at" < '2010-' OR near."received_at" IS NULL
)
, timed AS (
    SELECT r.*, CASE TYPEOF(r.rehook_sync__c) WHEN 'text' THEN CASE WHEN r.rehook_sync__c GLOB '[0-9][0-9][0-9][0-9]-[0-1][0-9]-[0-3][0-9][T ][0-2][0-9]:[0-5][0-9]:[0-5][0-9].[0-9]*Z' THEN SUBSTR(r.rehook_sync__c, 1, 10) || 'T' || SUBSTR(r.rehook_sync__c, 12, 8) || SUBSTR(RTRIM(SUBSTR(r.rehook_sync__c, 20), 'Z') || '000000', 1, 7) || '+00:00' ELSE rehook_sync__utc(CAST(r.rehook_sync__c AS BLOB)) END WHEN 'integer' THEN rehook_sync__utc(r.rehook_sync__c) WHEN 'real' THEN rehook_sync__utc(r.rehook_sync__c) END AS rehook_sync__received_at, CASE TYPEOF(r.rehook_sync__o) WHEN 'text' THEN CASE WHEN r.rehook_sync__o GLOB '[0-9][0-9][0-9][0-9]-[0-1][0-9]-[0-3][0-9][T ][0-2][0-9]:[0-5][0-9]:[0-5][0-9].[0-9]*Z' THEN SUBSTR(r.rehook_sync__o, 1, 10) || 'T' || SUBSTR(r.rehook_sync__o, 12, 8) || SUBSTR(RTRIM(SUBSTR(r.rehook_sync__o, 20), 'Z') || '000000', 1, 7) || '+00:00' ELSE rehook_sync__utc(CAST(r.rehook_sync__o AS BLOB)) END WHEN 'integer' THEN rehook_sync__utc(r.rehook_sync__o) WHEN 'real' THEN rehook_sync__utc(r.rehook_sync__o) END AS rehook_sync__occurred_at
    FROM (
        SELECT t.*, t."received_at" AS rehook_sync__c, COALESCE("t"."timestamp", "t"."received_at", "t"."received_at") AS rehook_sync__o, CAST(t."id" AS TEXT) COLLATE BINARY AS rehook_sync__id,
            CAST(t."user_id" AS TEXT) AS rehook_sync__user
        FROM looked_at AS t
    ) AS r
)
, due AS (SELECT * FROM timed)
, calls AS (SELECT * FROM due)
SELECT MAX(rehook_sync__received_at) FROM calls WHERE rehook_sync__received_at BETWEEN ? AND ?;

-- run with one new call of one event: 20 statements

SELECT NULL AS table_catalog, 'main' AS table_schema, m.name AS table_name, m.type = 'view' AS is_view,
    0 AS is_guarded, NULL AS missing, NULL AS columns, NULL AS denied, NULL AS owner, NULL AS reader
FROM sqlite_master AS m
WHERE m.type IN ('table', 'view') AND COALESCE(LOWER(?), 'main') = 'main'
ORDER BY 2;

SELECT * FROM "main"."identifies" WHERE 1 = 0;

SELECT p.name, p.type FROM pragma_table_info(?) AS p;

SELECT * FROM "main"."tracks" WHERE 1 = 0;

SELECT p.name, p.type FROM pragma_table_info(?) AS p;

SELECT m.name AS table_name, p.name AS column_name
FROM sqlite_master AS m JOIN pragma_table_xinfo(m.name) AS p
WHERE m.name IN (SELECT wanted.value FROM json_each(?) AS wanted) AND COALESCE(?, 'main') = 'main' AND p.hidden <> 1;

SELECT * FROM "main"."order_completed" WHERE 1 = 0;

SELECT p.name, p.type FROM pragma_table_info(?) AS p;

SELECT * FROM "main"."signed_up" WHERE 1 = 0;

SELECT p.name, p.type FROM pragma_table_info(?) AS p;

WITH looked_at AS (
    SELECT * FROM "main"."tracks" AS near WHERE near."received_at" >= ? OR near."received_at" < '2010-' OR near."received_at" IS NULL
)
, minutes AS (SELECT CASE WHEN TYPEOF(t."received_at") = 'text' AND t."received_at" GLOB '[0-9][0-9][0-9][0-9]-[0-1][0-9]-[0-3][0-9][T ][0-2][0-9]:[0-5][0-9]:[0-5][0-9].[0-9]*Z' THEN SUBSTR(t."received_at", 1, 10) || 'T' || SUBSTR(t."received_at", 12, 5) ELSE SUBSTR(CASE TYPEOF(t."received_at") WHEN 'text' THEN CASE WHEN t."received_at" GLOB '[0-9][0-9][0-9][0-9]-[0-1][0-9]-[0-3][0-9][T ][0-2][0-9]:[0-5][0-9]:[0-5][0-9].[0-9]*Z' THEN SUBSTR(t."received_at", 1, 10) || 'T' || SUBSTR(t."received_at", 12, 8) || SUBSTR(RTRIM(SUBSTR(t."received_at", 20), 'Z') || '000000', 1, 7) || '+00:00' ELSE rehook_sync__utc(CAST(t."received_at" AS BLOB)) END WHEN 'integer' THEN rehook_sync__utc(t."received_at") WHEN 'real' THEN rehook_sync__utc(t."received_at") END, 1, 16) END AS stretch, CAST(t."id" AS TEXT) AS id FROM looked_at AS t LIMIT -1)
SELECT stretch, COUNT(*) AS calls, COUNT(id) AS ids, CAST(GROUP_CONCAT(id, CHAR(31)) AS BLOB) AS fingerprint,
    MAX(CASE WHEN stretch <= SUBSTR(?, 1, 16) THEN stretch END) AS newest
FROM minutes
WHERE stretch >= SUBSTR(?, 1, 16) OR stretch IS NULL
GROUP BY stretch;

WITH looked_at AS (
    SELECT * FROM "main"."tracks" AS near WHERE near."received_at" >= ? OR near."received_at" < '2010-' OR near."received_at" IS NULL
)
, timed AS (
    SELECT r.*, CASE TYPEOF(r.rehook_sync__c) WHEN 'text' THEN CASE WHEN r.rehook_sync__c GLOB '[0-9][0-9][0-9][0-9]-[0-1][0-9]-[0-3][0-9][T ][0-2][0-9]:[0-5][0-9]:[0-5][0-9].[0-9]*Z' THEN SUBSTR(r.rehook_sync__c, 1, 10) || 'T' || SUBSTR(r.rehook_sync__c, 12, 8) || SUBSTR(RTRIM(SUBSTR(r.rehook_sync__c, 20), 'Z') || '000000', 1, 7) || '+00:00' ELSE rehook_sync__utc(CAST(r.rehook_sync__c AS BLOB)) END WHEN 'integer' THEN rehook_sync__utc(r.rehook_sync__c) WHEN 'real' THEN rehook_sync__utc(r.rehook_sync__c) END AS rehook_sync__received_at, CASE TYPEOF(r.rehook_sync__o) WHEN 'text' THEN CASE WHEN r.rehook_sync__o GLOB '[0-9][0-9][0-9][0-9]-[0-1][0-9]-[0-3][0-9][T ][0-2][0-9]:[0-5][0-9]:[0-5][0-9].[0-9]*Z' THEN SUBSTR(r.rehook_sync__o, 1, 10) || 'T' || SUBSTR(r.rehook_sync__o, 12, 8) || SUBSTR(RTRIM(SUBSTR(r.rehook_sync__o, 20), 'Z') || '000000', 1, 7) || '+00:00' ELSE rehook_sync__utc(CAST(r.rehook_sync__o AS BLOB)) END WHEN 'integer' THEN rehook_sync__utc(r.rehook_sync__o) WHEN 'real' THEN rehook_sync__utc(r.rehook_sync__o) END AS rehook_sync__occurred_at
    FROM (
        SELECT t.*, t."received_at" AS rehook_sync__c, COALESCE("t"."timestamp", "t"."received_at", "t"."received_at") AS rehook_sync__o, CAST(t."id" AS TEXT) COLLATE BINARY AS rehook_sync__id,
            CAST(t."user_id" AS TEXT) AS rehook_sync__user
        FROM looked_at AS t
    ) AS r
)
, due AS (SELECT * FROM timed)
, calls AS (SELECT * FROM due)
SELECT MAX(rehook_sync__received_at) FROM calls WHERE rehook_sync__received_at BETWEEN ? AND ?;

WITH looked_at AS (
    SELECT * FROM "main"."tracks" AS near WHERE near."received_at" >= ? OR near."received_at" < '2010-' OR near."received_at" IS NULL
)
, timed AS (
    SELECT r.*, CASE TYPEOF(r.rehook_sync__c) WHEN 'text' THEN CASE WHEN r.rehook_sync__c GLOB '[0-9][0-9][0-9][0-9]-[0-1][0-9]-[0-3][0-9][T ][0-2][0-9]:[0-5][0-9]:[0-5][0-9].[0-9]*Z' THEN SUBSTR(r.rehook_sync__c, 1, 10) || 'T' || SUBSTR(r.rehook_sync__c, 12, 8) || SUBSTR(RTRIM(SUBSTR(r.rehook_sync__c, 20), 'Z') || '000000', 1, 7) || '+00:00' ELSE rehook_sync__utc(CAST(r.rehook_sync__c AS BLOB)) END WHEN 'integer' THEN rehook_sync__utc(r.rehook_sync__c) WHEN 'real' THEN rehook_sync__utc(r.rehook_sync__c) END AS rehook_sync__received_at, CASE TYPEOF(r.rehook_sync__o) WHEN 'text' THEN CASE WHEN r.rehook_sync__o GLOB '[0-9][0-9][0-9][0-9]-[0-1][0-9]-[0-3][0-9][T ][0-2][0-9]:[0-5][0-9]:[0-5][0-9].[0-9]*Z' THEN SUBSTR(r.rehook_sync__o, 1, 10) || 'T' || SUBSTR(r.rehook_sync__o, 12, 8) || SUBSTR(RTRIM(SUBSTR(r.rehook_sync__o, 20), 'Z') || '000000', 1, 7) || '+00:00' ELSE rehook_sync__utc(CAST(r.rehook_sync__o AS BLOB)) END WHEN 'integer' THEN rehook_sync__utc(r.rehook_sync__o) WHEN 'real' THEN rehook_sync__utc(r.rehook_sync__o) END AS rehook_sync__occurred_at
    FROM (
        SELECT t.*, t."received_at" AS rehook_sync__c, COALESCE("t"."timestamp", "t"."received_at", "t"."received_at") AS rehook_sync__o, CAST(t."id" AS TEXT) COLLATE BINARY AS rehook_sync__id,
            CAST(t."user_id" AS TEXT) AS rehook_sync__user
        FROM looked_at AS t
    ) AS r
)
, due AS (SELECT * FROM timed)
, calls AS (SELECT * FROM due)
SELECT rehook_sync__received_at, rehook_sync__id FROM calls WHERE COALESCE(rehook_sync__received_at, ?) BETWEEN ? AND ?;

WITH looked_at AS (
    SELECT * FROM "main"."tracks" AS near WHERE near."received_at" >= ? OR near."received_at" < '2010-' OR near."received_at" IS NULL
)
, timed AS (
    SELECT r.*, CASE TYPEOF(r.rehook_sync__c) WHEN 'text' THEN CASE WHEN r.rehook_sync__c GLOB '[0-9][0-9][0-9][0-9]-[0-1][0-9]-[0-3][0-9][T ][0-2][0-9]:[0-5][0-9]:[0-5][0-9].[0-9]*Z' THEN SUBSTR(r.rehook_sync__c, 1, 10) || 'T' || SUBSTR(r.rehook_sync__c, 12, 8) || SUBSTR(RTRIM(SUBSTR(r.rehook_sync__c, 20), 'Z') || '000000', 1, 7) || '+00:00' ELSE rehook_sync__utc(CAST(r.rehook_sync__c AS BLOB)) END WHEN 'integer' THEN rehook_sync__utc(r.rehook_sync__c) WHEN 'real' THEN rehook_sync__utc(r.rehook_sync__c) END AS rehook_sync__received_at, CASE TYPEOF(r.rehook_sync__o) WHEN 'text' THEN CASE WHEN r.rehook_sync__o GLOB '[0-9][0-9][0-9][0-9]-[0-1][0-9]-[0-3][0-9][T ][0-2][0-9]:[0-5][0-9]:[0-5][0-9].[0-9]*Z' THEN SUBSTR(r.rehook_sync__o, 1, 10) || 'T' || SUBSTR(r.rehook_sync__o, 12, 8) || SUBSTR(RTRIM(SUBSTR(r.rehook_sync__o, 20), 'Z') || '000000', 1, 7) || '+00:00' ELSE rehook_sync__utc(CAST(r.rehook_sync__o AS BLOB)) END WHEN 'integer' THEN rehook_sync__utc(r.rehook_sync__o) WHEN 'real' THEN rehook_sync__utc(r.rehook_sync__o) END AS rehook_sync__occurred_at
    FROM (
        SELECT t.*, t."received_at" AS rehook_sync__c, COALESCE("t"."timestamp", "t"."received_at", "t"."received_at") AS rehook_sync__o, CAST(t."id" AS TEXT) COLLATE BINARY AS rehook_sync__id,
            CAST(t."user_id" AS TEXT) AS rehook_sync__user
        FROM looked_at AS t
    ) AS r
)
, due AS (SELECT * FROM timed)
, calls AS (SELECT * FROM due)
SELECT rehook_sync__received_at, rehook_sync__occurred_at, "calls"."id", "calls"."user_id", "calls"."anonymous_id", "calls"."event", "calls"."event_text", "calls"."received_at", rehook_sync__id AS rehook_sync__place
FROM calls
WHERE rehook_sync__received_at BETWEEN ? AND ? AND rehook_sync__id IN (SELECT wanted.value FROM json_each(?) AS wanted);

SELECT m.name AS table_name, p.name AS column_name
FROM sqlite_master AS m JOIN pragma_table_xinfo(m.name) AS p
WHERE m.name IN (SELECT wanted.value FROM json_each(?) AS wanted) AND COALESCE(?, 'main') = 'main' AND p.hidden <> 1;

WITH looked_at AS (
    SELECT * FROM "main"."identifies" AS near WHERE near."received_at" >= ? OR near."received_at" < '2010-' OR near."received_at" IS NULL
)
, minutes AS (SELECT CASE WHEN TYPEOF(t."received_at") = 'text' AND t."received_at" GLOB '[0-9][0-9][0-9][0-9]-[0-1][0-9]-[0-3][0-9][T ][0-2][0-9]:[0-5][0-9]:[0-5][0-9].[0-9]*Z' THEN SUBSTR(t."received_at", 1, 10) || 'T' || SUBSTR(t."received_at", 12, 5) ELSE SUBSTR(CASE TYPEOF(t."received_at") WHEN 'text' THEN CASE WHEN t."received_at" GLOB '[0-9][0-9][0-9][0-9]-[0-1][0-9]-[0-3][0-9][T ][0-2][0-9]:[0-5][0-9]:[0-5][0-9].[0-9]*Z' THEN SUBSTR(t."received_at", 1, 10) || 'T' || SUBSTR(t."received_at", 12, 8) || SUBSTR(RTRIM(SUBSTR(t."received_at", 20), 'Z') || '000000', 1, 7) || '+00:00' ELSE rehook_sync__utc(CAST(t."received_at" AS BLOB)) END WHEN 'integer' THEN rehook_sync__utc(t."received_at") WHEN 'real' THEN rehook_sync__utc(t."received_at") END, 1, 16) END AS stretch, CAST(t."id" AS TEXT) AS id FROM looked_at AS t LIMIT -1)
SELECT stretch, COUNT(*) AS calls, COUNT(id) AS ids, CAST(GROUP_CONCAT(id, CHAR(31)) AS BLOB) AS fingerprint,
    MAX(CASE WHEN stretch <= SUBSTR(?, 1, 16) THEN stretch END) AS newest
FROM minutes
WHERE stretch >= SUBSTR(?, 1, 16) OR stretch IS NULL
GROUP BY stretch;

WITH looked_at AS (
    SELECT * FROM "main"."identifies" AS near WHERE near."received_at" >= ? OR near."received_at" < '2010-' OR near."received_at" IS NULL
)
, timed AS (
    SELECT r.*, CASE TYPEOF(r.rehook_sync__c) WHEN 'text' THEN CASE WHEN r.rehook_sync__c GLOB '[0-9][0-9][0-9][0-9]-[0-1][0-9]-[0-3][0-9][T ][0-2][0-9]:[0-5][0-9]:[0-5][0-9].[0-9]*Z' THEN SUBSTR(r.rehook_sync__c, 1, 10) || 'T' || SUBSTR(r.rehook_sync__c, 12, 8) || SUBSTR(RTRIM(SUBSTR(r.rehook_sync__c, 20), 'Z') || '000000', 1, 7) || '+00:00' ELSE rehook_sync__utc(CAST(r.rehook_sync__c AS BLOB)) END WHEN 'integer' THEN rehook_sync__utc(r.rehook_sync__c) WHEN 'real' THEN rehook_sync__utc(r.rehook_sync__c) END AS rehook_sync__received_at, CASE TYPEOF(r.rehook_sync__o) WHEN 'text' THEN CASE WHEN r.rehook_sync__o GLOB '[0-9][0-9][0-9][0-9]-[0-1][0-9]-[0-3][0-9][T ][0-2][0-9]:[0-5][0-9]:[0-5][0-9].[0-9]*Z' THEN SUBSTR(r.rehook_sync__o, 1, 10) || 'T' || SUBSTR(r.rehook_sync__o, 12, 8) || SUBSTR(RTRIM(SUBSTR(r.rehook_sync__o, 20), 'Z') || '000000', 1, 7) || '+00:00' ELSE rehook_sync__utc(CAST(r.rehook_sync__o AS BLOB)) END WHEN 'integer' THEN rehook_sync__utc(r.rehook_sync__o) WHEN 'real' THEN rehook_sync__utc(r.rehook_sync__o) END AS rehook_sync__occurred_at
    FROM (
        SELECT t.*, t."received_at" AS rehook_sync__c, COALESCE("t"."timestamp", "t"."received_at", "t"."received_at") AS rehook_sync__o, CAST(t."id" AS TEXT) COLLATE BINARY AS rehook_sync__id,
            CAST(t."user_id" AS TEXT) AS rehook_sync__user
        FROM looked_at AS t
    ) AS r
)
, due AS (SELECT * FROM timed)
, calls AS (SELECT * FROM due)
SELECT MAX(rehook_sync__received_at) FROM calls WHERE rehook_sync__received_at BETWEEN ? AND ?;

SELECT "found"."id", "found"."total"
FROM (SELECT t.*, CAST(t."id" AS text) AS rehook_sync__id FROM "main"."order_completed" AS t) AS found
WHERE "found"."id" IN (SELECT wanted.value FROM json_each(?) AS wanted)
AND "found"."received_at" >= ? AND "found"."received_at" <= ?;

SELECT m.name AS table_name, p.name AS column_name
FROM sqlite_master AS m JOIN pragma_table_xinfo(m.name) AS p
WHERE m.name IN (SELECT wanted.value FROM json_each(?) AS wanted) AND COALESCE(?, 'main') = 'main' AND p.hidden <> 1;

WITH looked_at AS (
    SELECT * FROM "main"."tracks" AS near WHERE near."received_at" >= ? OR near."received_at" < '2010-' OR near."received_at" IS NULL
)
, timed AS (
    SELECT r.*, CASE TYPEOF(r.rehook_sync__c) WHEN 'text' THEN CASE WHEN r.rehook_sync__c GLOB '[0-9][0-9][0-9][0-9]-[0-1][0-9]-[0-3][0-9][T ][0-2][0-9]:[0-5][0-9]:[0-5][0-9].[0-9]*Z' THEN SUBSTR(r.rehook_sync__c, 1, 10) || 'T' || SUBSTR(r.rehook_sync__c, 12, 8) || SUBSTR(RTRIM(SUBSTR(r.rehook_sync__c, 20), 'Z') || '000000', 1, 7) || '+00:00' ELSE rehook_sync__utc(CAST(r.rehook_sync__c AS BLOB)) END WHEN 'integer' THEN rehook_sync__utc(r.rehook_sync__c) WHEN 'real' THEN rehook_sync__utc(r.rehook_sync__c) END AS rehook_sync__received_at, CASE TYPEOF(r.rehook_sync__o) WHEN 'text' THEN CASE WHEN r.rehook_sync__o GLOB '[0-9][0-9][0-9][0-9]-[0-1][0-9]-[0-3][0-9][T ][0-2][0-9]:[0-5][0-9]:[0-5][0-9].[0-9]*Z' THEN SUBSTR(r.rehook_sync__o, 1, 10) || 'T' || SUBSTR(r.rehook_sync__o, 12, 8) || SUBSTR(RTRIM(SUBSTR(r.rehook_sync__o, 20), 'Z') || '000000', 1, 7) || '+00:00' ELSE rehook_sync__utc(CAST(r.rehook_sync__o AS BLOB)) END WHEN 'integer' THEN rehook_sync__utc(r.rehook_sync__o) WHEN 'real' THEN rehook_sync__utc(r.rehook_sync__o) END AS rehook_sync__occurred_at
    FROM (
        SELECT t.*, t."received_at" AS rehook_sync__c, COALESCE("t"."timestamp", "t"."received_at", "t"."received_at") AS rehook_sync__o, CAST(t."id" AS TEXT) COLLATE BINARY AS rehook_sync__id,
            CAST(t."user_id" AS TEXT) AS rehook_sync__user
        FROM looked_at AS t
    ) AS r
)
, due AS (SELECT * FROM timed)
, calls AS (SELECT * FROM due)
, ids AS (
    SELECT CASE TYPEOF("id") WHEN 'blob' THEN NULL ELSE rehook_sync__id END AS message_id, MIN(rehook_sync__received_at) AS received_at,
        MIN(COALESCE("calls"."event_text", "calls"."event", "calls"."event")) AS event
    FROM calls
    WHERE COALESCE(rehook_sync__received_at, ?) BETWEEN ? AND ?
    GROUP BY 1
)
SELECT message_id, received_at, event FROM ids;

