-- plan: 15 statements

SELECT t.table_catalog, t.table_schema, t.table_name, t.table_type LIKE '%VIEW%' AS is_view,
    0 AS is_guarded, NULL AS missing, NULL AS columns, NULL AS denied, NULL AS owner, NULL AS reader
FROM `spark_catalog`.`information_schema`.tables AS t
WHERE LOWER(t.table_schema) = LOWER(COALESCE(:`schema`, CURRENT_SCHEMA()))
ORDER BY t.table_name;

SELECT * FROM `spark_catalog`.`WAREHOUSE`.`identifies` WHERE 1 = 0;

SELECT c.table_name, c.column_name,
    CASE WHEN LOWER(c.full_data_type) LIKE 'decimal(%,0)' THEN 'bigint' ELSE c.full_data_type END AS data_type
FROM `spark_catalog`.`information_schema`.columns AS c
WHERE c.table_schema = :`schema` AND c.table_name IN (SELECT EXPLODE(FROM_JSON(:`tables`, 'ARRAY<STRING>')))
ORDER BY c.table_name, c.ordinal_position;

SELECT * FROM `spark_catalog`.`WAREHOUSE`.`tracks` WHERE 1 = 0;

WITH timed AS (
    SELECT t.*, t.`received_at` AS rehook_sync__received_at,
        CASE WHEN YEAR(COALESCE(`t`.`timestamp`, `t`.`received_at`, `t`.`received_at`)) BETWEEN 1 AND 9999 THEN COALESCE(`t`.`timestamp`, `t`.`received_at`, `t`.`received_at`) END AS rehook_sync__occurred_at,
        CAST(t.`id` AS STRING) AS rehook_sync__id, CAST(t.`user_id` AS STRING) AS rehook_sync__user
    FROM `spark_catalog`.`WAREHOUSE`.`tracks` AS t
)
, due AS (SELECT * FROM timed)
, calls AS (SELECT * FROM due)
SELECT MAX(rehook_sync__received_at) FROM calls WHERE rehook_sync__received_at >= :`low` AND rehook_sync__received_at < :`high`;

WITH timed AS (
    SELECT t.*, t.`received_at` AS rehook_sync__received_at,
        CASE WHEN YEAR(COALESCE(`t`.`timestamp`, `t`.`received_at`, `t`.`received_at`)) BETWEEN 1 AND 9999 THEN COALESCE(`t`.`timestamp`, `t`.`received_at`, `t`.`received_at`) END AS rehook_sync__occurred_at,
        CAST(t.`id` AS STRING) AS rehook_sync__id, CAST(t.`user_id` AS STRING) AS rehook_sync__user
    FROM `spark_catalog`.`WAREHOUSE`.`tracks` AS t
)
, due AS (SELECT * FROM timed)
, calls AS (SELECT * FROM due)
SELECT rehook_sync__received_at, rehook_sync__occurred_at, `calls`.`id`, `calls`.`user_id`, `calls`.`anonymous_id`, `calls`.`event`, `calls`.`event_text`, rehook_sync__id AS rehook_sync__place
FROM calls
WHERE ((rehook_sync__received_at >= :`low` AND rehook_sync__received_at < :`high`) OR rehook_sync__received_at IS NULL);

SELECT c.table_name, c.column_name,
    CASE WHEN LOWER(c.full_data_type) LIKE 'decimal(%,0)' THEN 'bigint' ELSE c.full_data_type END AS data_type
FROM `spark_catalog`.`information_schema`.columns AS c
WHERE c.table_schema = :`schema` AND c.table_name IN (SELECT EXPLODE(FROM_JSON(:`tables`, 'ARRAY<STRING>')))
ORDER BY c.table_name, c.ordinal_position;

WITH timed AS (
    SELECT t.*, t.`received_at` AS rehook_sync__received_at,
        CASE WHEN YEAR(COALESCE(`t`.`timestamp`, `t`.`received_at`, `t`.`received_at`)) BETWEEN 1 AND 9999 THEN COALESCE(`t`.`timestamp`, `t`.`received_at`, `t`.`received_at`) END AS rehook_sync__occurred_at,
        CAST(t.`id` AS STRING) AS rehook_sync__id, CAST(t.`user_id` AS STRING) AS rehook_sync__user
    FROM `spark_catalog`.`WAREHOUSE`.`identifies` AS t
)
, due AS (SELECT * FROM timed)
, calls AS (SELECT * FROM due)
SELECT MAX(rehook_sync__received_at) FROM calls WHERE rehook_sync__received_at >= :`low` AND rehook_sync__received_at < :`high`;

WITH timed AS (
    SELECT t.*, t.`received_at` AS rehook_sync__received_at,
        CASE WHEN YEAR(COALESCE(`t`.`timestamp`, `t`.`received_at`, `t`.`received_at`)) BETWEEN 1 AND 9999 THEN COALESCE(`t`.`timestamp`, `t`.`received_at`, `t`.`received_at`) END AS rehook_sync__occurred_at,
        CAST(t.`id` AS STRING) AS rehook_sync__id, CAST(t.`user_id` AS STRING) AS rehook_sync__user
    FROM `spark_catalog`.`WAREHOUSE`.`identifies` AS t
)
, due AS (SELECT * FROM timed)
, calls AS (SELECT * FROM due)
SELECT rehook_sync__received_at, rehook_sync__occurred_at, `calls`.`id`, `calls`.`user_id`, `calls`.`anonymous_id`, `calls`.`plan`, rehook_sync__id AS rehook_sync__place
FROM calls
WHERE ((rehook_sync__received_at >= :`low` AND rehook_sync__received_at < :`high`) OR rehook_sync__received_at IS NULL);

SELECT c.table_name, c.column_name,
    CASE WHEN LOWER(c.full_data_type) LIKE 'decimal(%,0)' THEN 'bigint' ELSE c.full_data_type END AS data_type
FROM `spark_catalog`.`information_schema`.columns AS c
WHERE c.table_schema = :`schema` AND c.table_name IN (SELECT EXPLODE(FROM_JSON(:`tables`, 'ARRAY<STRING>')))
ORDER BY c.table_name, c.ordinal_position;

SELECT `found`.`id`, `found`.`total`
FROM (SELECT t.*, CAST(t.`id` AS STRING) AS rehook_sync__id FROM `spark_catalog`.`WAREHOUSE`.`order_completed` AS t) AS found
WHERE `found`.`id` IN (SELECT EXPLODE(FROM_JSON(:`ids`, 'ARRAY<STRING>')))
AND `found`.`received_at` >= :`low` AND `found`.`received_at` <= :`high`;

SELECT `found`.`id`, `found`.`total`
FROM (SELECT t.*, CAST(t.`id` AS STRING) AS rehook_sync__id FROM `spark_catalog`.`WAREHOUSE`.`signed_up` AS t) AS found
WHERE `found`.`id` IN (SELECT EXPLODE(FROM_JSON(:`ids`, 'ARRAY<STRING>')))
AND `found`.`received_at` >= :`low` AND `found`.`received_at` <= :`high`;

SELECT c.table_name, c.column_name,
    CASE WHEN LOWER(c.full_data_type) LIKE 'decimal(%,0)' THEN 'bigint' ELSE c.full_data_type END AS data_type
FROM `spark_catalog`.`information_schema`.columns AS c
WHERE c.table_schema = :`schema` AND c.table_name IN (SELECT EXPLODE(FROM_JSON(:`tables`, 'ARRAY<STRING>')))
ORDER BY c.table_name, c.ordinal_position;

WITH timed AS (
    SELECT t.*, t.`received_at` AS rehook_sync__received_at,
        CASE WHEN YEAR(COALESCE(`t`.`timestamp`, `t`.`received_at`, `t`.`received_at`)) BETWEEN 1 AND 9999 THEN COALESCE(`t`.`timestamp`, `t`.`received_at`, `t`.`received_at`) END AS rehook_sync__occurred_at,
        CAST(t.`id` AS STRING) AS rehook_sync__id, CAST(t.`user_id` AS STRING) AS rehook_sync__user
    FROM `spark_catalog`.`WAREHOUSE`.`identifies` AS t
)
, due AS (SELECT * FROM timed)
, calls AS (SELECT * FROM due)
SELECT COUNT(*) FROM (SELECT 1 FROM calls WHERE rehook_sync__received_at >= :`low` LIMIT 1000) AS later;

WITH timed AS (
    SELECT t.*, t.`received_at` AS rehook_sync__received_at,
        CASE WHEN YEAR(COALESCE(`t`.`timestamp`, `t`.`received_at`, `t`.`received_at`)) BETWEEN 1 AND 9999 THEN COALESCE(`t`.`timestamp`, `t`.`received_at`, `t`.`received_at`) END AS rehook_sync__occurred_at,
        CAST(t.`id` AS STRING) AS rehook_sync__id, CAST(t.`user_id` AS STRING) AS rehook_sync__user
    FROM `spark_catalog`.`WAREHOUSE`.`tracks` AS t
)
, due AS (SELECT * FROM timed)
, calls AS (SELECT * FROM due)
SELECT COUNT(*) FROM (SELECT 1 FROM calls WHERE rehook_sync__received_at >= :`low` LIMIT 1000) AS later;

-- first run: 15 statements

SELECT t.table_catalog, t.table_schema, t.table_name, t.table_type LIKE '%VIEW%' AS is_view,
    0 AS is_guarded, NULL AS missing, NULL AS columns, NULL AS denied, NULL AS owner, NULL AS reader
FROM `spark_catalog`.`information_schema`.tables AS t
WHERE LOWER(t.table_schema) = LOWER(COALESCE(:`schema`, CURRENT_SCHEMA()))
ORDER BY t.table_name;

SELECT * FROM `spark_catalog`.`WAREHOUSE`.`identifies` WHERE 1 = 0;

SELECT c.table_name, c.column_name,
    CASE WHEN LOWER(c.full_data_type) LIKE 'decimal(%,0)' THEN 'bigint' ELSE c.full_data_type END AS data_type
FROM `spark_catalog`.`information_schema`.columns AS c
WHERE c.table_schema = :`schema` AND c.table_name IN (SELECT EXPLODE(FROM_JSON(:`tables`, 'ARRAY<STRING>')))
ORDER BY c.table_name, c.ordinal_position;

SELECT * FROM `spark_catalog`.`WAREHOUSE`.`tracks` WHERE 1 = 0;

WITH timed AS (
    SELECT t.*, t.`received_at` AS rehook_sync__received_at,
        CASE WHEN YEAR(COALESCE(`t`.`timestamp`, `t`.`received_at`, `t`.`received_at`)) BETWEEN 1 AND 9999 THEN COALESCE(`t`.`timestamp`, `t`.`received_at`, `t`.`received_at`) END AS rehook_sync__occurred_at,
        CAST(t.`id` AS STRING) AS rehook_sync__id, CAST(t.`user_id` AS STRING) AS rehook_sync__user
    FROM `spark_catalog`.`WAREHOUSE`.`tracks` AS t
)
, due AS (SELECT * FROM timed)
, calls AS (SELECT * FROM due)
SELECT MAX(rehook_sync__received_at) FROM calls WHERE rehook_sync__received_at >= :`low` AND rehook_sync__received_at < :`high`;

WITH timed AS (
    SELECT t.*, t.`received_at` AS rehook_sync__received_at,
        CASE WHEN YEAR(COALESCE(`t`.`timestamp`, `t`.`received_at`, `t`.`received_at`)) BETWEEN 1 AND 9999 THEN COALESCE(`t`.`timestamp`, `t`.`received_at`, `t`.`received_at`) END AS rehook_sync__occurred_at,
        CAST(t.`id` AS STRING) AS rehook_sync__id, CAST(t.`user_id` AS STRING) AS rehook_sync__user
    FROM `spark_catalog`.`WAREHOUSE`.`tracks` AS t
)
, due AS (SELECT * FROM timed)
, calls AS (SELECT * FROM due)
SELECT rehook_sync__received_at, rehook_sync__occurred_at, `calls`.`id`, `calls`.`user_id`, `calls`.`anonymous_id`, `calls`.`event`, `calls`.`event_text`, rehook_sync__id AS rehook_sync__place
FROM calls
WHERE ((rehook_sync__received_at >= :`low` AND rehook_sync__received_at < :`high`) OR rehook_sync__received_at IS NULL);

SELECT c.table_name, c.column_name,
    CASE WHEN LOWER(c.full_data_type) LIKE 'decimal(%,0)' THEN 'bigint' ELSE c.full_data_type END AS data_type
FROM `spark_catalog`.`information_schema`.columns AS c
WHERE c.table_schema = :`schema` AND c.table_name IN (SELECT EXPLODE(FROM_JSON(:`tables`, 'ARRAY<STRING>')))
ORDER BY c.table_name, c.ordinal_position;

WITH timed AS (
    SELECT t.*, t.`received_at` AS rehook_sync__received_at,
        CASE WHEN YEAR(COALESCE(`t`.`timestamp`, `t`.`received_at`, `t`.`received_at`)) BETWEEN 1 AND 9999 THEN COALESCE(`t`.`timestamp`, `t`.`received_at`, `t`.`received_at`) END AS rehook_sync__occurred_at,
        CAST(t.`id` AS STRING) AS rehook_sync__id, CAST(t.`user_id` AS STRING) AS rehook_sync__user
    FROM `spark_catalog`.`WAREHOUSE`.`identifies` AS t
)
, due AS (SELECT * FROM timed)
, calls AS (SELECT * FROM due)
SELECT MAX(rehook_sync__received_at) FROM calls WHERE rehook_sync__received_at >= :`low` AND rehook_sync__received_at < :`high`;

WITH timed AS (
    SELECT t.*, t.`received_at` AS rehook_sync__received_at,
        CASE WHEN YEAR(COALESCE(`t`.`timestamp`, `t`.`received_at`, `t`.`received_at`)) BETWEEN 1 AND 9999 THEN COALESCE(`t`.`timestamp`, `t`.`received_at`, `t`.`received_at`) END AS rehook_sync__occurred_at,
        CAST(t.`id` AS STRING) AS rehook_sync__id, CAST(t.`user_id` AS STRING) AS rehook_sync__user
    FROM `spark_catalog`.`WAREHOUSE`.`identifies` AS t
)
, due AS (SELECT * FROM timed)
, calls AS (SELECT * FROM due)
SELECT rehook_sync__received_at, rehook_sync__occurred_at, `calls`.`id`, `calls`.`user_id`, `calls`.`anonymous_id`, `calls`.`plan`, rehook_sync__id AS rehook_sync__place
FROM calls
WHERE ((rehook_sync__received_at >= :`low` AND rehook_sync__received_at < :`high`) OR rehook_sync__received_at IS NULL);

SELECT c.table_name, c.column_name,
    CASE WHEN LOWER(c.full_data_type) LIKE 'decimal(%,0)' THEN 'bigint' ELSE c.full_data_type END AS data_type
FROM `spark_catalog`.`information_schema`.columns AS c
WHERE c.table_schema = :`schema` AND c.table_name IN (SELECT EXPLODE(FROM_JSON(:`tables`, 'ARRAY<STRING>')))
ORDER BY c.table_name, c.ordinal_position;

SELECT `found`.`id`, `found`.`total`
FROM (SELECT t.*, CAST(t.`id` AS STRING) AS rehook_sync__id FROM `spark_catalog`.`WAREHOUSE`.`order_completed` AS t) AS found
WHERE `found`.`id` IN (SELECT EXPLODE(FROM_JSON(:`ids`, 'ARRAY<STRING>')))
AND `found`.`received_at` >= :`low` AND `found`.`received_at` <= :`high`;

SELECT `found`.`id`, `found`.`total`
FROM (SELECT t.*, CAST(t.`id` AS STRING) AS rehook_sync__id FROM `spark_catalog`.`WAREHOUSE`.`signed_up` AS t) AS found
WHERE `found`.`id` IN (SELECT EXPLODE(FROM_JSON(:`ids`, 'ARRAY<STRING>')))
AND `found`.`received_at` >= :`low` AND `found`.`received_at` <= :`high`;

SELECT c.table_name, c.column_name,
    CASE WHEN LOWER(c.full_data_type) LIKE 'decimal(%,0)' THEN 'bigint' ELSE c.full_data_type END AS data_type
FROM `spark_catalog`.`information_schema`.columns AS c
WHERE c.table_schema = :`schema` AND c.table_name IN (SELECT EXPLODE(FROM_JSON(:`tables`, 'ARRAY<STRING>')))
ORDER BY c.table_name, c.ordinal_position;

WITH timed AS (
    SELECT t.*, t.`received_at` AS rehook_sync__received_at,
        CASE WHEN YEAR(COALESCE(`t`.`timestamp`, `t`.`received_at`, `t`.`received_at`)) BETWEEN 1 AND 9999 THEN COALESCE(`t`.`timestamp`, `t`.`received_at`, `t`.`received_at`) END AS rehook_sync__occurred_at,
        CAST(t.`id` AS STRING) AS rehook_sync__id, CAST(t.`user_id` AS STRING) AS rehook_sync__user
    FROM `spark_catalog`.`WAREHOUSE`.`identifies` AS t
)
, due AS (SELECT * FROM timed)
, calls AS (SELECT * FROM due)
SELECT COUNT(*) FROM (SELECT 1 FROM calls WHERE rehook_sync__received_at >= :`low` LIMIT 1000) AS later;

WITH timed AS (
    SELECT t.*, t.`received_at` AS rehook_sync__received_at,
        CASE WHEN YEAR(COALESCE(`t`.`timestamp`, `t`.`received_at`, `t`.`received_at`)) BETWEEN 1 AND 9999 THEN COALESCE(`t`.`timestamp`, `t`.`received_at`, `t`.`received_at`) END AS rehook_sync__occurred_at,
        CAST(t.`id` AS STRING) AS rehook_sync__id, CAST(t.`user_id` AS STRING) AS rehook_sync__user
    FROM `spark_catalog`.`WAREHOUSE`.`tracks` AS t
)
, due AS (SELECT * FROM timed)
, calls AS (SELECT * FROM due)
SELECT COUNT(*) FROM (SELECT 1 FROM calls WHERE rehook_sync__received_at >= :`low` LIMIT 1000) AS later;

-- second run, which finds all settled: 8 statements

SELECT t.table_catalog, t.table_schema, t.table_name, t.table_type LIKE '%VIEW%' AS is_view,
    0 AS is_guarded, NULL AS missing, NULL AS columns, NULL AS denied, NULL AS owner, NULL AS reader
FROM `spark_catalog`.`information_schema`.tables AS t
WHERE LOWER(t.table_schema) = LOWER(COALESCE(:`schema`, CURRENT_SCHEMA()))
ORDER BY t.table_name;

SELECT * FROM `spark_catalog`.`WAREHOUSE`.`identifies` WHERE 1 = 0;

SELECT c.table_name, c.column_name,
    CASE WHEN LOWER(c.full_data_type) LIKE 'decimal(%,0)' THEN 'bigint' ELSE c.full_data_type END AS data_type
FROM `spark_catalog`.`information_schema`.columns AS c
WHERE c.table_schema = :`schema` AND c.table_name IN (SELECT EXPLODE(FROM_JSON(:`tables`, 'ARRAY<STRING>')))
ORDER BY c.table_name, c.ordinal_position;

SELECT * FROM `spark_catalog`.`WAREHOUSE`.`tracks` WHERE 1 = 0;

WITH timed AS (
    SELECT t.*, t.`received_at` AS rehook_sync__received_at,
        CASE WHEN YEAR(COALESCE(`t`.`timestamp`, `t`.`received_at`, `t`.`received_at`)) BETWEEN 1 AND 9999 THEN COALESCE(`t`.`timestamp`, `t`.`received_at`, `t`.`received_at`) END AS rehook_sync__occurred_at,
        CAST(t.`id` AS STRING) AS rehook_sync__id, CAST(t.`user_id` AS STRING) AS rehook_sync__user
    FROM `spark_catalog`.`WAREHOUSE`.`tracks` AS t
)
, due AS (SELECT * FROM timed)
, calls AS (SELECT * FROM due)
SELECT DATE_TRUNC('hour', rehook_sync__received_at) AS stretch, COUNT(*) AS calls, COUNT(rehook_sync__id) AS ids,
    CONCAT(CAST(SUM(CAST(XXHASH64(rehook_sync__id) AS DECIMAL(20, 0))) AS STRING), ' ', CAST(SUM(CAST(XXHASH64(REVERSE(rehook_sync__id)) AS DECIMAL(20, 0))) AS STRING)) AS fingerprint,
    MAX(CASE WHEN rehook_sync__received_at < :`until` THEN rehook_sync__received_at END) AS newest
FROM calls
WHERE ((rehook_sync__received_at >= :`low` AND rehook_sync__received_at < :`high`) OR rehook_sync__received_at IS NULL)
GROUP BY 1;

WITH timed AS (
    SELECT t.*, t.`received_at` AS rehook_sync__received_at,
        CASE WHEN YEAR(COALESCE(`t`.`timestamp`, `t`.`received_at`, `t`.`received_at`)) BETWEEN 1 AND 9999 THEN COALESCE(`t`.`timestamp`, `t`.`received_at`, `t`.`received_at`) END AS rehook_sync__occurred_at,
        CAST(t.`id` AS STRING) AS rehook_sync__id, CAST(t.`user_id` AS STRING) AS rehook_sync__user
    FROM `spark_catalog`.`WAREHOUSE`.`tracks` AS t
)
, due AS (SELECT * FROM timed)
, calls AS (SELECT * FROM due)
SELECT rehook_sync__received_at, rehook_sync__id, NULL AS calls, NULL AS ids, NULL AS fingerprint
FROM calls
WHERE ((rehook_sync__received_at >= :`low` AND rehook_sync__received_at < :`high`) OR rehook_sync__received_at IS NULL)
UNION ALL
SELECT DATE_TRUNC('hour', rehook_sync__received_at), NULL, COUNT(*), COUNT(rehook_sync__id), CONCAT(CAST(SUM(CAST(XXHASH64(rehook_sync__id) AS DECIMAL(20, 0))) AS STRING), ' ', CAST(SUM(CAST(XXHASH64(REVERSE(rehook_sync__id)) AS DECIMAL(20, 0))) AS STRING))
FROM calls
WHERE ((rehook_sync__received_at >= :`low` AND rehook_sync__received_at < :`high`) OR rehook_sync__received_at IS NULL)
GROUP BY 1;

WITH timed AS (
    SELECT t.*, t.`received_at` AS rehook_sync__received_at,
        CASE WHEN YEAR(COALESCE(`t`.`timestamp`, `t`.`received_at`, `t`.`received_at`)) BETWEEN 1 AND 9999 THEN COALESCE(`t`.`timestamp`, `t`.`received_at`, `t`.`received_at`) END AS rehook_sync__occurred_at,
        CAST(t.`id` AS STRING) AS rehook_sync__id, CAST(t.`user_id` AS STRING) AS rehook_sync__user
    FROM `spark_catalog`.`WAREHOUSE`.`identifies` AS t
)
, due AS (SELECT * FROM timed)
, calls AS (SELECT * FROM due)
SELECT DATE_TRUNC('hour', rehook_sync__received_at) AS stretch, COUNT(*) AS calls, COUNT(rehook_sync__id) AS ids,
    CONCAT(CAST(SUM(CAST(XXHASH64(rehook_sync__id) AS DECIMAL(20, 0))) AS STRING), ' ', CAST(SUM(CAST(XXHASH64(REVERSE(rehook_sync__id)) AS DECIMAL(20, 0))) AS STRING)) AS fingerprint,
    MAX(CASE WHEN rehook_sync__received_at < :`until` THEN rehook_sync__received_at END) AS newest
FROM calls
WHERE ((rehook_sync__received_at >= :`low` AND rehook_sync__received_at < :`high`) OR rehook_sync__received_at IS NULL)
GROUP BY 1;

WITH timed AS (
    SELECT t.*, t.`received_at` AS rehook_sync__received_at,
        CASE WHEN YEAR(COALESCE(`t`.`timestamp`, `t`.`received_at`, `t`.`received_at`)) BETWEEN 1 AND 9999 THEN COALESCE(`t`.`timestamp`, `t`.`received_at`, `t`.`received_at`) END AS rehook_sync__occurred_at,
        CAST(t.`id` AS STRING) AS rehook_sync__id, CAST(t.`user_id` AS STRING) AS rehook_sync__user
    FROM `spark_catalog`.`WAREHOUSE`.`identifies` AS t
)
, due AS (SELECT * FROM timed)
, calls AS (SELECT * FROM due)
SELECT rehook_sync__received_at, rehook_sync__id, NULL AS calls, NULL AS ids, NULL AS fingerprint
FROM calls
WHERE ((rehook_sync__received_at >= :`low` AND rehook_sync__received_at < :`high`) OR rehook_sync__received_at IS NULL)
UNION ALL
SELECT DATE_TRUNC('hour', rehook_sync__received_at), NULL, COUNT(*), COUNT(rehook_sync__id), CONCAT(CAST(SUM(CAST(XXHASH64(rehook_sync__id) AS DECIMAL(20, 0))) AS STRING), ' ', CAST(SUM(CAST(XXHASH64(REVERSE(rehook_sync__id)) AS DECIMAL(20, 0))) AS STRING))
FROM calls
WHERE ((rehook_sync__received_at >= :`low` AND rehook_sync__received_at < :`high`) OR rehook_sync__received_at IS NULL)
GROUP BY 1;

-- run with nothing new: 6 statements

SELECT t.table_catalog, t.table_schema, t.table_name, t.table_type LIKE '%VIEW%' AS is_view,
    0 AS is_guarded, NULL AS missing, NULL AS columns, NULL AS denied, NULL AS owner, NULL AS reader
FROM `spark_catalog`.`information_schema`.tables AS t
WHERE LOWER(t.table_schema) = LOWER(COALESCE(:`schema`, CURRENT_SCHEMA()))
ORDER BY t.table_name;

SELECT * FROM `spark_catalog`.`WAREHOUSE`.`identifies` WHERE 1 = 0;

SELECT c.table_name, c.column_name,
    CASE WHEN LOWER(c.full_data_type) LIKE 'decimal(%,0)' THEN 'bigint' ELSE c.full_data_type END AS data_type
FROM `spark_catalog`.`information_schema`.columns AS c
WHERE c.table_schema = :`schema` AND c.table_name IN (SELECT EXPLODE(FROM_JSON(:`tables`, 'ARRAY<STRING>')))
ORDER BY c.table_name, c.ordinal_position;

SELECT * FROM `spark_catalog`.`WAREHOUSE`.`tracks` WHERE 1 = 0;

WITH timed AS (
    SELECT t.*, t.`received_at` AS rehook_sync__received_at,
        CASE WHEN YEAR(COALESCE(`t`.`timestamp`, `t`.`received_at`, `t`.`received_at`)) BETWEEN 1 AND 9999 THEN COALESCE(`t`.`timestamp`, `t`.`received_at`, `t`.`received_at`) END AS rehook_sync__occurred_at,
        CAST(t.`id` AS STRING) AS rehook_sync__id, CAST(t.`user_id` AS STRING) AS rehook_sync__user
    FROM `spark_catalog`.`WAREHOUSE`.`tracks` AS t
)
, due AS (SELECT * FROM timed)
, calls AS (SELECT * FROM due)
SELECT DATE_TRUNC('hour', rehook_sync__received_at) AS stretch, COUNT(*) AS calls, COUNT(rehook_sync__id) AS ids,
    CONCAT(CAST(SUM(CAST(XXHASH64(rehook_sync__id) AS DECIMAL(20, 0))) AS STRING), ' ', CAST(SUM(CAST(XXHASH64(REVERSE(rehook_sync__id)) AS DECIMAL(20, 0))) AS STRING)) AS fingerprint,
    MAX(CASE WHEN rehook_sync__received_at < :`until` THEN rehook_sync__received_at END) AS newest
FROM calls
WHERE ((rehook_sync__received_at >= :`low` AND rehook_sync__received_at < :`high`) OR rehook_sync__received_at IS NULL)
GROUP BY 1;

WITH timed AS (
    SELECT t.*, t.`received_at` AS rehook_sync__received_at,
        CASE WHEN YEAR(COALESCE(`t`.`timestamp`, `t`.`received_at`, `t`.`received_at`)) BETWEEN 1 AND 9999 THEN COALESCE(`t`.`timestamp`, `t`.`received_at`, `t`.`received_at`) END AS rehook_sync__occurred_at,
        CAST(t.`id` AS STRING) AS rehook_sync__id, CAST(t.`user_id` AS STRING) AS rehook_sync__user
    FROM `spark_catalog`.`WAREHOUSE`.`identifies` AS t
)
, due AS (SELECT * FROM timed)
, calls AS (SELECT * FROM due)
SELECT DATE_TRUNC('hour', rehook_sync__received_at) AS stretch, COUNT(*) AS calls, COUNT(rehook_sync__id) AS ids,
    CONCAT(CAST(SUM(CAST(XXHASH64(rehook_sync__id) AS DECIMAL(20, 0))) AS STRING), ' ', CAST(SUM(CAST(XXHASH64(REVERSE(rehook_sync__id)) AS DECIMAL(20, 0))) AS STRING)) AS fingerprint,
    MAX(CASE WHEN rehook_sync__received_at < :`until` THEN rehook_sync__received_at END) AS newest
FROM calls
WHERE ((rehook_sync__received_at >= :`low` AND rehook_sync__received_at < :`high`) OR rehook_sync__received_at IS NULL)
GROUP BY 1;

-- run with one new call of one event: 12 statements

SELECT t.table_catalog, t.table_schema, t.table_name, t.table_type LIKE '%VIEW%' AS is_view,
    0 AS is_guarded, NULL AS missing, NULL AS columns, NULL AS denied, NULL AS owner, NULL AS reader
FROM `spark_catalog`.`information_schema`.tables AS t
WHERE LOWER(t.table_schema) = LOWER(COALESCE(:`schema`, CURRENT_SCHEMA()))
ORDER BY t.table_name;

SELECT * FROM `spark_catalog`.`WAREHOUSE`.`identifies` WHERE 1 = 0;

SELECT c.table_name, c.column_name,
    CASE WHEN LOWER(c.full_data_type) LIKE 'decimal(%,0)' THEN 'bigint' ELSE c.full_data_type END AS data_type
FROM `spark_catalog`.`information_schema`.columns AS c
WHERE c.table_schema = :`schema` AND c.table_name IN (SELECT EXPLODE(FROM_JSON(:`tables`, 'ARRAY<STRING>')))
ORDER BY c.table_name, c.ordinal_position;

SELECT * FROM `spark_catalog`.`WAREHOUSE`.`tracks` WHERE 1 = 0;

WITH timed AS (
    SELECT t.*, t.`received_at` AS rehook_sync__received_at,
        CASE WHEN YEAR(COALESCE(`t`.`timestamp`, `t`.`received_at`, `t`.`received_at`)) BETWEEN 1 AND 9999 THEN COALESCE(`t`.`timestamp`, `t`.`received_at`, `t`.`received_at`) END AS rehook_sync__occurred_at,
        CAST(t.`id` AS STRING) AS rehook_sync__id, CAST(t.`user_id` AS STRING) AS rehook_sync__user
    FROM `spark_catalog`.`WAREHOUSE`.`tracks` AS t
)
, due AS (SELECT * FROM timed)
, calls AS (SELECT * FROM due)
SELECT DATE_TRUNC('hour', rehook_sync__received_at) AS stretch, COUNT(*) AS calls, COUNT(rehook_sync__id) AS ids,
    CONCAT(CAST(SUM(CAST(XXHASH64(rehook_sync__id) AS DECIMAL(20, 0))) AS STRING), ' ', CAST(SUM(CAST(XXHASH64(REVERSE(rehook_sync__id)) AS DECIMAL(20, 0))) AS STRING)) AS fingerprint,
    MAX(CASE WHEN rehook_sync__received_at < :`until` THEN rehook_sync__received_at END) AS newest
FROM calls
WHERE ((rehook_sync__received_at >= :`low` AND rehook_sync__received_at < :`high`) OR rehook_sync__received_at IS NULL)
GROUP BY 1;

WITH timed AS (
    SELECT t.*, t.`received_at` AS rehook_sync__received_at,
        CASE WHEN YEAR(COALESCE(`t`.`timestamp`, `t`.`received_at`, `t`.`received_at`)) BETWEEN 1 AND 9999 THEN COALESCE(`t`.`timestamp`, `t`.`received_at`, `t`.`received_at`) END AS rehook_sync__occurred_at,
        CAST(t.`id` AS STRING) AS rehook_sync__id, CAST(t.`user_id` AS STRING) AS rehook_sync__user
    FROM `spark_catalog`.`WAREHOUSE`.`tracks` AS t
)
, due AS (SELECT * FROM timed)
, calls AS (SELECT * FROM due)
SELECT rehook_sync__received_at, rehook_sync__id, NULL AS calls, NULL AS ids, NULL AS fingerprint
FROM calls
WHERE ((rehook_sync__received_at >= :`low` AND rehook_sync__received_at < :`high`) OR rehook_sync__received_at IS NULL)
UNION ALL
SELECT DATE_TRUNC('hour', rehook_sync__received_at), NULL, COUNT(*), COUNT(rehook_sync__id), CONCAT(CAST(SUM(CAST(XXHASH64(rehook_sync__id) AS DECIMAL(20, 0))) AS STRING), ' ', CAST(SUM(CAST(XXHASH64(REVERSE(rehook_sync__id)) AS DECIMAL(20, 0))) AS STRING))
FROM calls
WHERE ((rehook_sync__received_at >= :`low` AND rehook_sync__received_at < :`high`) OR rehook_sync__received_at IS NULL)
GROUP BY 1;

WITH timed AS (
    SELECT t.*, t.`received_at` AS rehook_sync__received_at,
        CASE WHEN YEAR(COALESCE(`t`.`timestamp`, `t`.`received_at`, `t`.`received_at`)) BETWEEN 1 AND 9999 THEN COALESCE(`t`.`timestamp`, `t`.`received_at`, `t`.`received_at`) END AS rehook_sync__occurred_at,
        CAST(t.`id` AS STRING) AS rehook_sync__id, CAST(t.`user_id` AS STRING) AS rehook_sync__user
    FROM `spark_catalog`.`WAREHOUSE`.`tracks` AS t
)
, due AS (SELECT * FROM timed)
, calls AS (SELECT * FROM due)
SELECT rehook_sync__received_at, rehook_sync__occurred_at, `calls`.`id`, `calls`.`user_id`, `calls`.`anonymous_id`, `calls`.`event`, `calls`.`event_text`, rehook_sync__id AS rehook_sync__place
FROM calls
WHERE rehook_sync__received_at >= :`low` AND rehook_sync__received_at < :`high` AND rehook_sync__id IN (SELECT EXPLODE(FROM_JSON(:`ids`, 'ARRAY<STRING>')));

SELECT c.table_name, c.column_name,
    CASE WHEN LOWER(c.full_data_type) LIKE 'decimal(%,0)' THEN 'bigint' ELSE c.full_data_type END AS data_type
FROM `spark_catalog`.`information_schema`.columns AS c
WHERE c.table_schema = :`schema` AND c.table_name IN (SELECT EXPLODE(FROM_JSON(:`tables`, 'ARRAY<STRING>')))
ORDER BY c.table_name, c.ordinal_position;

WITH timed AS (
    SELECT t.*, t.`received_at` AS rehook_sync__received_at,
        CASE WHEN YEAR(COALESCE(`t`.`timestamp`, `t`.`received_at`, `t`.`received_at`)) BETWEEN 1 AND 9999 THEN COALESCE(`t`.`timestamp`, `t`.`received_at`, `t`.`received_at`) END AS rehook_sync__occurred_at,
        CAST(t.`id` AS STRING) AS rehook_sync__id, CAST(t.`user_id` AS STRING) AS rehook_sync__user
    FROM `spark_catalog`.`WAREHOUSE`.`identifies` AS t
)
, due AS (SELECT * FROM timed)
, calls AS (SELECT * FROM due)
SELECT DATE_TRUNC('hour', rehook_sync__received_at) AS stretch, COUNT(*) AS calls, COUNT(rehook_sync__id) AS ids,
    CONCAT(CAST(SUM(CAST(XXHASH64(rehook_sync__id) AS DECIMAL(20, 0))) AS STRING), ' ', CAST(SUM(CAST(XXHASH64(REVERSE(rehook_sync__id)) AS DECIMAL(20, 0))) AS STRING)) AS fingerprint,
    MAX(CASE WHEN rehook_sync__received_at < :`until` THEN rehook_sync__received_at END) AS newest
FROM calls
WHERE ((rehook_sync__received_at >= :`low` AND rehook_sync__received_at < :`high`) OR rehook_sync__received_at IS NULL)
GROUP BY 1;

SELECT `found`.`id`, `found`.`total`
FROM (SELECT t.*, CAST(t.`id` AS STRING) AS rehook_sync__id FROM `spark_catalog`.`WAREHOUSE`.`order_completed` AS t) AS found
WHERE `found`.`id` IN (SELECT EXPLODE(FROM_JSON(:`ids`, 'ARRAY<STRING>')))
AND `found`.`received_at` >= :`low` AND `found`.`received_at` <= :`high`;

SELECT c.table_name, c.column_name,
    CASE WHEN LOWER(c.full_data_type) LIKE 'decimal(%,0)' THEN 'bigint' ELSE c.full_data_type END AS data_type
FROM `spark_catalog`.`information_schema`.columns AS c
WHERE c.table_schema = :`schema` AND c.table_name IN (SELECT EXPLODE(FROM_JSON(:`tables`, 'ARRAY<STRING>')))
ORDER BY c.table_name, c.ordinal_position;

WITH timed AS (
    SELECT t.*, t.`received_at` AS rehook_sync__received_at,
        CASE WHEN YEAR(COALESCE(`t`.`timestamp`, `t`.`received_at`, `t`.`received_at`)) BETWEEN 1 AND 9999 THEN COALESCE(`t`.`timestamp`, `t`.`received_at`, `t`.`received_at`) END AS rehook_sync__occurred_at,
        CAST(t.`id` AS STRING) AS rehook_sync__id, CAST(t.`user_id` AS STRING) AS rehook_sync__user
    FROM `spark_catalog`.`WAREHOUSE`.`tracks` AS t
)
, due AS (SELECT * FROM timed)
, calls AS (SELECT * FROM due)
, ids AS (
    SELECT rehook_sync__id AS message_id, MIN(rehook_sync__received_at) AS received_at, MIN(COALESCE(`calls`.`event_text`, `calls`.`event`, `calls`.`event`)) AS event
    FROM calls
    WHERE ((rehook_sync__received_at >= :`low` AND rehook_sync__received_at < :`high`) OR rehook_sync__received_at IS NULL)
    GROUP BY rehook_sync__id
)
SELECT message_id, received_at, event FROM ids;

