-- plan: 14 statements

SELECT t.table_catalog, t.table_schema, t.table_name, t.table_type LIKE '%VIEW%' AS is_view,
    0 AS is_guarded, NULL AS missing, NULL AS columns, NULL AS denied, NULL AS owner, NULL AS reader
FROM `shop`.INFORMATION_SCHEMA.TABLES AS t
ORDER BY t.table_name;

SELECT c.table_name, c.column_name, c.data_type
FROM `my-project`.`shop`.INFORMATION_SCHEMA.COLUMNS AS c
WHERE c.table_name IN UNNEST(@`tables`) AND c.is_hidden = 'NO'
ORDER BY c.table_name, c.ordinal_position;

SELECT c.table_name, c.column_name
FROM `my-project`.`shop`.INFORMATION_SCHEMA.COLUMNS AS c JOIN `my-project`.`shop`.INFORMATION_SCHEMA.TABLES AS t ON t.table_name = c.table_name
WHERE c.is_partitioning_column = 'YES' AND c.data_type = 'TIMESTAMP'
    AND NOT REGEXP_CONTAINS(COALESCE(t.ddl, ''), r'PARTITION BY [^;]*, (MONTH|YEAR)');

WITH timed AS (
    SELECT t.*, t.`received_at` AS rehook_sync__received_at, COALESCE(`t`.`timestamp`, `t`.`received_at`, `t`.`received_at`) AS rehook_sync__occurred_at, CAST(t.`id` AS STRING) AS rehook_sync__id,
        CAST(t.`user_id` AS STRING) AS rehook_sync__user
    FROM `my-project`.`shop`.`tracks` AS t
)
, due AS (SELECT * FROM timed)
, calls AS (SELECT * FROM due)
SELECT MAX(rehook_sync__received_at) FROM calls WHERE rehook_sync__received_at >= @`low` AND rehook_sync__received_at < @`high`;

WITH timed AS (
    SELECT t.*, t.`received_at` AS rehook_sync__received_at, COALESCE(`t`.`timestamp`, `t`.`received_at`, `t`.`received_at`) AS rehook_sync__occurred_at, CAST(t.`id` AS STRING) AS rehook_sync__id,
        CAST(t.`user_id` AS STRING) AS rehook_sync__user
    FROM `my-project`.`shop`.`tracks` AS t
)
, due AS (SELECT * FROM timed)
, calls AS (SELECT * FROM due)
SELECT rehook_sync__received_at, rehook_sync__occurred_at, `calls`.`id`, `calls`.`user_id`, `calls`.`anonymous_id`, `calls`.`event`, `calls`.`event_text`, rehook_sync__id AS rehook_sync__place
FROM calls
WHERE ((rehook_sync__received_at >= @`low` AND rehook_sync__received_at < @`high`) OR rehook_sync__received_at IS NULL);

SELECT c.table_name, c.column_name, c.data_type
FROM `my-project`.`shop`.INFORMATION_SCHEMA.COLUMNS AS c
WHERE c.table_name IN UNNEST(@`tables`) AND c.is_hidden = 'NO'
ORDER BY c.table_name, c.ordinal_position;

WITH timed AS (
    SELECT t.*, t.`received_at` AS rehook_sync__received_at, COALESCE(`t`.`timestamp`, `t`.`received_at`, `t`.`received_at`) AS rehook_sync__occurred_at, CAST(t.`id` AS STRING) AS rehook_sync__id,
        CAST(t.`user_id` AS STRING) AS rehook_sync__user
    FROM `my-project`.`shop`.`identifies` AS t
)
, due AS (SELECT * FROM timed)
, calls AS (SELECT * FROM due)
SELECT MAX(rehook_sync__received_at) FROM calls WHERE rehook_sync__received_at >= @`low` AND rehook_sync__received_at < @`high`;

WITH timed AS (
    SELECT t.*, t.`received_at` AS rehook_sync__received_at, COALESCE(`t`.`timestamp`, `t`.`received_at`, `t`.`received_at`) AS rehook_sync__occurred_at, CAST(t.`id` AS STRING) AS rehook_sync__id,
        CAST(t.`user_id` AS STRING) AS rehook_sync__user
    FROM `my-project`.`shop`.`identifies` AS t
)
, due AS (SELECT * FROM timed)
, calls AS (SELECT * FROM due)
SELECT rehook_sync__received_at, rehook_sync__occurred_at, `calls`.`id`, `calls`.`user_id`, `calls`.`anonymous_id`, `calls`.`plan`, rehook_sync__id AS rehook_sync__place
FROM calls
WHERE ((rehook_sync__received_at >= @`low` AND rehook_sync__received_at < @`high`) OR rehook_sync__received_at IS NULL);

SELECT c.table_name, c.column_name, c.data_type
FROM `my-project`.`shop`.INFORMATION_SCHEMA.COLUMNS AS c
WHERE c.table_name IN UNNEST(@`tables`) AND c.is_hidden = 'NO'
ORDER BY c.table_name, c.ordinal_position;

SELECT `found`.`id`, `found`.`total`
FROM (SELECT t.*, CAST(t.`id` AS STRING) AS rehook_sync__id FROM (SELECT * FROM `my-project`.`shop`.`order_completed` WHERE `loaded_at` >= @`loaded_from` OR `loaded_at` IS NULL) AS t) AS found
WHERE `found`.`id` IN UNNEST(@`ids`)
AND `found`.`received_at` >= @`low` AND `found`.`received_at` <= @`high`;

SELECT `found`.`id`, `found`.`total`
FROM (SELECT t.*, CAST(t.`id` AS STRING) AS rehook_sync__id FROM (SELECT * FROM `my-project`.`shop`.`signed_up` WHERE `loaded_at` >= @`loaded_from` OR `loaded_at` IS NULL) AS t) AS found
WHERE `found`.`id` IN UNNEST(@`ids`)
AND `found`.`received_at` >= @`low` AND `found`.`received_at` <= @`high`;

SELECT c.table_name, c.column_name, c.data_type
FROM `my-project`.`shop`.INFORMATION_SCHEMA.COLUMNS AS c
WHERE c.table_name IN UNNEST(@`tables`) AND c.is_hidden = 'NO'
ORDER BY c.table_name, c.ordinal_position;

WITH timed AS (
    SELECT t.*, t.`received_at` AS rehook_sync__received_at, COALESCE(`t`.`timestamp`, `t`.`received_at`, `t`.`received_at`) AS rehook_sync__occurred_at, CAST(t.`id` AS STRING) AS rehook_sync__id,
        CAST(t.`user_id` AS STRING) AS rehook_sync__user
    FROM (SELECT * FROM `my-project`.`shop`.`identifies` WHERE `loaded_at` >= @`loaded_from` OR `loaded_at` IS NULL) AS t
)
, due AS (SELECT * FROM timed)
, calls AS (SELECT * FROM due)
SELECT COUNT(*) FROM (SELECT 1 FROM calls WHERE rehook_sync__received_at >= @`low` LIMIT 1000) AS later;

WITH timed AS (
    SELECT t.*, t.`received_at` AS rehook_sync__received_at, COALESCE(`t`.`timestamp`, `t`.`received_at`, `t`.`received_at`) AS rehook_sync__occurred_at, CAST(t.`id` AS STRING) AS rehook_sync__id,
        CAST(t.`user_id` AS STRING) AS rehook_sync__user
    FROM (SELECT * FROM `my-project`.`shop`.`tracks` WHERE `loaded_at` >= @`loaded_from` OR `loaded_at` IS NULL) AS t
)
, due AS (SELECT * FROM timed)
, calls AS (SELECT * FROM due)
SELECT COUNT(*) FROM (SELECT 1 FROM calls WHERE rehook_sync__received_at >= @`low` LIMIT 1000) AS later;

-- first run: 14 statements

SELECT t.table_catalog, t.table_schema, t.table_name, t.table_type LIKE '%VIEW%' AS is_view,
    0 AS is_guarded, NULL AS missing, NULL AS columns, NULL AS denied, NULL AS owner, NULL AS reader
FROM `shop`.INFORMATION_SCHEMA.TABLES AS t
ORDER BY t.table_name;

SELECT c.table_name, c.column_name, c.data_type
FROM `my-project`.`shop`.INFORMATION_SCHEMA.COLUMNS AS c
WHERE c.table_name IN UNNEST(@`tables`) AND c.is_hidden = 'NO'
ORDER BY c.table_name, c.ordinal_position;

SELECT c.table_name, c.column_name
FROM `my-project`.`shop`.INFORMATION_SCHEMA.COLUMNS AS c JOIN `my-project`.`shop`.INFORMATION_SCHEMA.TABLES AS t ON t.table_name = c.table_name
WHERE c.is_partitioning_column = 'YES' AND c.data_type = 'TIMESTAMP'
    AND NOT REGEXP_CONTAINS(COALESCE(t.ddl, ''), r'PARTITION BY [^;]*, (MONTH|YEAR)');

WITH timed AS (
    SELECT t.*, t.`received_at` AS rehook_sync__received_at, COALESCE(`t`.`timestamp`, `t`.`received_at`, `t`.`received_at`) AS rehook_sync__occurred_at, CAST(t.`id` AS STRING) AS rehook_sync__id,
        CAST(t.`user_id` AS STRING) AS rehook_sync__user
    FROM `my-project`.`shop`.`tracks` AS t
)
, due AS (SELECT * FROM timed)
, calls AS (SELECT * FROM due)
SELECT MAX(rehook_sync__received_at) FROM calls WHERE rehook_sync__received_at >= @`low` AND rehook_sync__received_at < @`high`;

WITH timed AS (
    SELECT t.*, t.`received_at` AS rehook_sync__received_at, COALESCE(`t`.`timestamp`, `t`.`received_at`, `t`.`received_at`) AS rehook_sync__occurred_at, CAST(t.`id` AS STRING) AS rehook_sync__id,
        CAST(t.`user_id` AS STRING) AS rehook_sync__user
    FROM `my-project`.`shop`.`tracks` AS t
)
, due AS (SELECT * FROM timed)
, calls AS (SELECT * FROM due)
SELECT rehook_sync__received_at, rehook_sync__occurred_at, `calls`.`id`, `calls`.`user_id`, `calls`.`anonymous_id`, `calls`.`event`, `calls`.`event_text`, rehook_sync__id AS rehook_sync__place
FROM calls
WHERE ((rehook_sync__received_at >= @`low` AND rehook_sync__received_at < @`high`) OR rehook_sync__received_at IS NULL);

SELECT c.table_name, c.column_name, c.data_type
FROM `my-project`.`shop`.INFORMATION_SCHEMA.COLUMNS AS c
WHERE c.table_name IN UNNEST(@`tables`) AND c.is_hidden = 'NO'
ORDER BY c.table_name, c.ordinal_position;

WITH timed AS (
    SELECT t.*, t.`received_at` AS rehook_sync__received_at, COALESCE(`t`.`timestamp`, `t`.`received_at`, `t`.`received_at`) AS rehook_sync__occurred_at, CAST(t.`id` AS STRING) AS rehook_sync__id,
        CAST(t.`user_id` AS STRING) AS rehook_sync__user
    FROM `my-project`.`shop`.`identifies` AS t
)
, due AS (SELECT * FROM timed)
, calls AS (SELECT * FROM due)
SELECT MAX(rehook_sync__received_at) FROM calls WHERE rehook_sync__received_at >= @`low` AND rehook_sync__received_at < @`high`;

WITH timed AS (
    SELECT t.*, t.`received_at` AS rehook_sync__received_at, COALESCE(`t`.`timestamp`, `t`.`received_at`, `t`.`received_at`) AS rehook_sync__occurred_at, CAST(t.`id` AS STRING) AS rehook_sync__id,
        CAST(t.`user_id` AS STRING) AS rehook_sync__user
    FROM `my-project`.`shop`.`identifies` AS t
)
, due AS (SELECT * FROM timed)
, calls AS (SELECT * FROM due)
SELECT rehook_sync__received_at, rehook_sync__occurred_at, `calls`.`id`, `calls`.`user_id`, `calls`.`anonymous_id`, `calls`.`plan`, rehook_sync__id AS rehook_sync__place
FROM calls
WHERE ((rehook_sync__received_at >= @`low` AND rehook_sync__received_at < @`high`) OR rehook_sync__received_at IS NULL);

SELECT c.table_name, c.column_name, c.data_type
FROM `my-project`.`shop`.INFORMATION_SCHEMA.COLUMNS AS c
WHERE c.table_name IN UNNEST(@`tables`) AND c.is_hidden = 'NO'
ORDER BY c.table_name, c.ordinal_position;

SELECT `found`.`id`, `found`.`total`
FROM (SELECT t.*, CAST(t.`id` AS STRING) AS rehook_sync__id FROM (SELECT * FROM `my-project`.`shop`.`order_completed` WHERE `loaded_at` >= @`loaded_from` OR `loaded_at` IS NULL) AS t) AS found
WHERE `found`.`id` IN UNNEST(@`ids`)
AND `found`.`received_at` >= @`low` AND `found`.`received_at` <= @`high`;

SELECT `found`.`id`, `found`.`total`
FROM (SELECT t.*, CAST(t.`id` AS STRING) AS rehook_sync__id FROM (SELECT * FROM `my-project`.`shop`.`signed_up` WHERE `loaded_at` >= @`loaded_from` OR `loaded_at` IS NULL) AS t) AS found
WHERE `found`.`id` IN UNNEST(@`ids`)
AND `found`.`received_at` >= @`low` AND `found`.`received_at` <= @`high`;

SELECT c.table_name, c.column_name, c.data_type
FROM `my-project`.`shop`.INFORMATION_SCHEMA.COLUMNS AS c
WHERE c.table_name IN UNNEST(@`tables`) AND c.is_hidden = 'NO'
ORDER BY c.table_name, c.ordinal_position;

WITH timed AS (
    SELECT t.*, t.`received_at` AS rehook_sync__received_at, COALESCE(`t`.`timestamp`, `t`.`received_at`, `t`.`received_at`) AS rehook_sync__occurred_at, CAST(t.`id` AS STRING) AS rehook_sync__id,
        CAST(t.`user_id` AS STRING) AS rehook_sync__user
    FROM (SELECT * FROM `my-project`.`shop`.`identifies` WHERE `loaded_at` >= @`loaded_from` OR `loaded_at` IS NULL) AS t
)
, due AS (SELECT * FROM timed)
, calls AS (SELECT * FROM due)
SELECT COUNT(*) FROM (SELECT 1 FROM calls WHERE rehook_sync__received_at >= @`low` LIMIT 1000) AS later;

WITH timed AS (
    SELECT t.*, t.`received_at` AS rehook_sync__received_at, COALESCE(`t`.`timestamp`, `t`.`received_at`, `t`.`received_at`) AS rehook_sync__occurred_at, CAST(t.`id` AS STRING) AS rehook_sync__id,
        CAST(t.`user_id` AS STRING) AS rehook_sync__user
    FROM (SELECT * FROM `my-project`.`shop`.`tracks` WHERE `loaded_at` >= @`loaded_from` OR `loaded_at` IS NULL) AS t
)
, due AS (SELECT * FROM timed)
, calls AS (SELECT * FROM due)
SELECT COUNT(*) FROM (SELECT 1 FROM calls WHERE rehook_sync__received_at >= @`low` LIMIT 1000) AS later;

-- second run, which finds all settled: 7 statements

SELECT t.table_catalog, t.table_schema, t.table_name, t.table_type LIKE '%VIEW%' AS is_view,
    0 AS is_guarded, NULL AS missing, NULL AS columns, NULL AS denied, NULL AS owner, NULL AS reader
FROM `shop`.INFORMATION_SCHEMA.TABLES AS t
ORDER BY t.table_name;

SELECT c.table_name, c.column_name, c.data_type
FROM `my-project`.`shop`.INFORMATION_SCHEMA.COLUMNS AS c
WHERE c.table_name IN UNNEST(@`tables`) AND c.is_hidden = 'NO'
ORDER BY c.table_name, c.ordinal_position;

SELECT c.table_name, c.column_name
FROM `my-project`.`shop`.INFORMATION_SCHEMA.COLUMNS AS c JOIN `my-project`.`shop`.INFORMATION_SCHEMA.TABLES AS t ON t.table_name = c.table_name
WHERE c.is_partitioning_column = 'YES' AND c.data_type = 'TIMESTAMP'
    AND NOT REGEXP_CONTAINS(COALESCE(t.ddl, ''), r'PARTITION BY [^;]*, (MONTH|YEAR)');

WITH timed AS (
    SELECT t.*, t.`received_at` AS rehook_sync__received_at, COALESCE(`t`.`timestamp`, `t`.`received_at`, `t`.`received_at`) AS rehook_sync__occurred_at, CAST(t.`id` AS STRING) AS rehook_sync__id,
        CAST(t.`user_id` AS STRING) AS rehook_sync__user
    FROM (SELECT * FROM `my-project`.`shop`.`tracks` WHERE `loaded_at` >= @`loaded_from` OR `loaded_at` IS NULL) AS t
)
, due AS (SELECT * FROM timed)
, calls AS (SELECT * FROM due)
SELECT TIMESTAMP_TRUNC(rehook_sync__received_at, HOUR) AS stretch, COUNT(*) AS calls, COUNT(rehook_sync__id) AS ids,
    CONCAT(CAST(SUM(CAST(FARM_FINGERPRINT(rehook_sync__id) AS BIGNUMERIC)) AS STRING), ' ', CAST(SUM(CAST(FARM_FINGERPRINT(REVERSE(rehook_sync__id)) AS BIGNUMERIC)) AS STRING)) AS fingerprint,
    MAX(CASE WHEN rehook_sync__received_at < @`until` THEN rehook_sync__received_at END) AS newest
FROM calls
WHERE ((rehook_sync__received_at >= @`low` AND rehook_sync__received_at < @`high`) OR rehook_sync__received_at IS NULL)
GROUP BY 1;

WITH timed AS (
    SELECT t.*, t.`received_at` AS rehook_sync__received_at, COALESCE(`t`.`timestamp`, `t`.`received_at`, `t`.`received_at`) AS rehook_sync__occurred_at, CAST(t.`id` AS STRING) AS rehook_sync__id,
        CAST(t.`user_id` AS STRING) AS rehook_sync__user
    FROM (SELECT * FROM `my-project`.`shop`.`tracks` WHERE `loaded_at` >= @`loaded_from` OR `loaded_at` IS NULL) AS t
)
, due AS (SELECT * FROM timed)
, calls AS (SELECT * FROM due)
SELECT rehook_sync__received_at, rehook_sync__id, NULL AS calls, NULL AS ids, NULL AS fingerprint
FROM calls
WHERE ((rehook_sync__received_at >= @`low` AND rehook_sync__received_at < @`high`) OR rehook_sync__received_at IS NULL)
UNION ALL
SELECT TIMESTAMP_TRUNC(rehook_sync__received_at, HOUR), NULL, COUNT(*), COUNT(rehook_sync__id), CONCAT(CAST(SUM(CAST(FARM_FINGERPRINT(rehook_sync__id) AS BIGNUMERIC)) AS STRING), ' ', CAST(SUM(CAST(FARM_FINGERPRINT(REVERSE(rehook_sync__id)) AS BIGNUMERIC)) AS STRING))
FROM calls
WHERE ((rehook_sync__received_at >= @`low` AND rehook_sync__received_at < @`high`) OR rehook_sync__received_at IS NULL)
GROUP BY 1;

WITH timed AS (
    SELECT t.*, t.`received_at` AS rehook_sync__received_at, COALESCE(`t`.`timestamp`, `t`.`received_at`, `t`.`received_at`) AS rehook_sync__occurred_at, CAST(t.`id` AS STRING) AS rehook_sync__id,
        CAST(t.`user_id` AS STRING) AS rehook_sync__user
    FROM (SELECT * FROM `my-project`.`shop`.`identifies` WHERE `loaded_at` >= @`loaded_from` OR `loaded_at` IS NULL) AS t
)
, due AS (SELECT * FROM timed)
, calls AS (SELECT * FROM due)
SELECT TIMESTAMP_TRUNC(rehook_sync__received_at, HOUR) AS stretch, COUNT(*) AS calls, COUNT(rehook_sync__id) AS ids,
    CONCAT(CAST(SUM(CAST(FARM_FINGERPRINT(rehook_sync__id) AS BIGNUMERIC)) AS STRING), ' ', CAST(SUM(CAST(FARM_FINGERPRINT(REVERSE(rehook_sync__id)) AS BIGNUMERIC)) AS STRING)) AS fingerprint,
    MAX(CASE WHEN rehook_sync__received_at < @`until` THEN rehook_sync__received_at END) AS newest
FROM calls
WHERE ((rehook_sync__received_at >= @`low` AND rehook_sync__received_at < @`high`) OR rehook_sync__received_at IS NULL)
GROUP BY 1;

WITH timed AS (
    SELECT t.*, t.`received_at` AS rehook_sync__received_at, COALESCE(`t`.`timestamp`, `t`.`received_at`, `t`.`received_at`) AS rehook_sync__occurred_at, CAST(t.`id` AS STRING) AS rehook_sync__id,
        CAST(t.`user_id` AS STRING) AS rehook_sync__user
    FROM (SELECT * FROM `my-project`.`shop`.`identifies` WHERE `loaded_at` >= @`loaded_from` OR `loaded_at` IS NULL) AS t
)
, due AS (SELECT * FROM timed)
, calls AS (SELECT * FROM due)
SELECT rehook_sync__received_at, rehook_sync__id, NULL AS calls, NULL AS ids, NULL AS fingerprint
FROM calls
WHERE ((rehook_sync__received_at >= @`low` AND rehook_sync__received_at < @`high`) OR rehook_sync__received_at IS NULL)
UNION ALL
SELECT TIMESTAMP_TRUNC(rehook_sync__received_at, HOUR), NULL, COUNT(*), COUNT(rehook_sync__id), CONCAT(CAST(SUM(CAST(FARM_FINGERPRINT(rehook_sync__id) AS BIGNUMERIC)) AS STRING), ' ', CAST(SUM(CAST(FARM_FINGERPRINT(REVERSE(rehook_sync__id)) AS BIGNUMERIC)) AS STRING))
FROM calls
WHERE ((rehook_sync__received_at >= @`low` AND rehook_sync__received_at < @`high`) OR rehook_sync__received_at IS NULL)
GROUP BY 1;

-- run with nothing new: 5 statements

SELECT t.table_catalog, t.table_schema, t.table_name, t.table_type LIKE '%VIEW%' AS is_view,
    0 AS is_guarded, NULL AS missing, NULL AS columns, NULL AS denied, NULL AS owner, NULL AS reader
FROM `shop`.INFORMATION_SCHEMA.TABLES AS t
ORDER BY t.table_name;

SELECT c.table_name, c.column_name, c.data_type
FROM `my-project`.`shop`.INFORMATION_SCHEMA.COLUMNS AS c
WHERE c.table_name IN UNNEST(@`tables`) AND c.is_hidden = 'NO'
ORDER BY c.table_name, c.ordinal_position;

SELECT c.table_name, c.column_name
FROM `my-project`.`shop`.INFORMATION_SCHEMA.COLUMNS AS c JOIN `my-project`.`shop`.INFORMATION_SCHEMA.TABLES AS t ON t.table_name = c.table_name
WHERE c.is_partitioning_column = 'YES' AND c.data_type = 'TIMESTAMP'
    AND NOT REGEXP_CONTAINS(COALESCE(t.ddl, ''), r'PARTITION BY [^;]*, (MONTH|YEAR)');

WITH timed AS (
    SELECT t.*, t.`received_at` AS rehook_sync__received_at, COALESCE(`t`.`timestamp`, `t`.`received_at`, `t`.`received_at`) AS rehook_sync__occurred_at, CAST(t.`id` AS STRING) AS rehook_sync__id,
        CAST(t.`user_id` AS STRING) AS rehook_sync__user
    FROM (SELECT * FROM `my-project`.`shop`.`tracks` WHERE `loaded_at` >= @`loaded_from` OR `loaded_at` IS NULL) AS t
)
, due AS (SELECT * FROM timed)
, calls AS (SELECT * FROM due)
SELECT TIMESTAMP_TRUNC(rehook_sync__received_at, HOUR) AS stretch, COUNT(*) AS calls, COUNT(rehook_sync__id) AS ids,
    CONCAT(CAST(SUM(CAST(FARM_FINGERPRINT(rehook_sync__id) AS BIGNUMERIC)) AS STRING), ' ', CAST(SUM(CAST(FARM_FINGERPRINT(REVERSE(rehook_sync__id)) AS BIGNUMERIC)) AS STRING)) AS fingerprint,
    MAX(CASE WHEN rehook_sync__received_at < @`until` THEN rehook_sync__received_at END) AS newest
FROM calls
WHERE ((rehook_sync__received_at >= @`low` AND rehook_sync__received_at < @`high`) OR rehook_sync__received_at IS NULL)
GROUP BY 1;

WITH timed AS (
    SELECT t.*, t.`received_at` AS rehook_sync__received_at, COALESCE(`t`.`timestamp`, `t`.`received_at`, `t`.`received_at`) AS rehook_sync__occurred_at, CAST(t.`id` AS STRING) AS rehook_sync__id,
        CAST(t.`user_id` AS STRING) AS rehook_sync__user
    FROM (SELECT * FROM `my-project`.`shop`.`identifies` WHERE `loaded_at` >= @`loaded_from` OR `loaded_at` IS NULL) AS t
)
, due AS (SELECT * FROM timed)
, calls AS (SELECT * FROM due)
SELECT TIMESTAMP_TRUNC(rehook_sync__received_at, HOUR) AS stretch, COUNT(*) AS calls, COUNT(rehook_sync__id) AS ids,
    CONCAT(CAST(SUM(CAST(FARM_FINGERPRINT(rehook_sync__id) AS BIGNUMERIC)) AS STRING), ' ', CAST(SUM(CAST(FARM_FINGERPRINT(REVERSE(rehook_sync__id)) AS BIGNUMERIC)) AS STRING)) AS fingerprint,
    MAX(CASE WHEN rehook_sync__received_at < @`until` THEN rehook_sync__received_at END) AS newest
FROM calls
WHERE ((rehook_sync__received_at >= @`low` AND rehook_sync__received_at < @`high`) OR rehook_sync__received_at IS NULL)
GROUP BY 1;

-- run with one new call of one event: 11 statements

SELECT t.table_catalog, t.table_schema, t.table_name, t.table_type LIKE '%VIEW%' AS is_view,
    0 AS is_guarded, NULL AS missing, NULL AS columns, NULL AS denied, NULL AS owner, NULL AS reader
FROM `shop`.INFORMATION_SCHEMA.TABLES AS t
ORDER BY t.table_name;

SELECT c.table_name, c.column_name, c.data_type
FROM `my-project`.`shop`.INFORMATION_SCHEMA.COLUMNS AS c
WHERE c.table_name IN UNNEST(@`tables`) AND c.is_hidden = 'NO'
ORDER BY c.table_name, c.ordinal_position;

SELECT c.table_name, c.column_name
FROM `my-project`.`shop`.INFORMATION_SCHEMA.COLUMNS AS c JOIN `my-project`.`shop`.INFORMATION_SCHEMA.TABLES AS t ON t.table_name = c.table_name
WHERE c.is_partitioning_column = 'YES' AND c.data_type = 'TIMESTAMP'
    AND NOT REGEXP_CONTAINS(COALESCE(t.ddl, ''), r'PARTITION BY [^;]*, (MONTH|YEAR)');

WITH timed AS (
    SELECT t.*, t.`received_at` AS rehook_sync__received_at, COALESCE(`t`.`timestamp`, `t`.`received_at`, `t`.`received_at`) AS rehook_sync__occurred_at, CAST(t.`id` AS STRING) AS rehook_sync__id,
        CAST(t.`user_id` AS STRING) AS rehook_sync__user
    FROM (SELECT * FROM `my-project`.`shop`.`tracks` WHERE `loaded_at` >= @`loaded_from` OR `loaded_at` IS NULL) AS t
)
, due AS (SELECT * FROM timed)
, calls AS (SELECT * FROM due)
SELECT TIMESTAMP_TRUNC(rehook_sync__received_at, HOUR) AS stretch, COUNT(*) AS calls, COUNT(rehook_sync__id) AS ids,
    CONCAT(CAST(SUM(CAST(FARM_FINGERPRINT(rehook_sync__id) AS BIGNUMERIC)) AS STRING), ' ', CAST(SUM(CAST(FARM_FINGERPRINT(REVERSE(rehook_sync__id)) AS BIGNUMERIC)) AS STRING)) AS fingerprint,
    MAX(CASE WHEN rehook_sync__received_at < @`until` THEN rehook_sync__received_at END) AS newest
FROM calls
WHERE ((rehook_sync__received_at >= @`low` AND rehook_sync__received_at < @`high`) OR rehook_sync__received_at IS NULL)
GROUP BY 1;

WITH timed AS (
    SELECT t.*, t.`received_at` AS rehook_sync__received_at, COALESCE(`t`.`timestamp`, `t`.`received_at`, `t`.`received_at`) AS rehook_sync__occurred_at, CAST(t.`id` AS STRING) AS rehook_sync__id,
        CAST(t.`user_id` AS STRING) AS rehook_sync__user
    FROM (SELECT * FROM `my-project`.`shop`.`tracks` WHERE `loaded_at` >= @`loaded_from` OR `loaded_at` IS NULL) AS t
)
, due AS (SELECT * FROM timed)
, calls AS (SELECT * FROM due)
SELECT rehook_sync__received_at, rehook_sync__id, NULL AS calls, NULL AS ids, NULL AS fingerprint
FROM calls
WHERE ((rehook_sync__received_at >= @`low` AND rehook_sync__received_at < @`high`) OR rehook_sync__received_at IS NULL)
UNION ALL
SELECT TIMESTAMP_TRUNC(rehook_sync__received_at, HOUR), NULL, COUNT(*), COUNT(rehook_sync__id), CONCAT(CAST(SUM(CAST(FARM_FINGERPRINT(rehook_sync__id) AS BIGNUMERIC)) AS STRING), ' ', CAST(SUM(CAST(FARM_FINGERPRINT(REVERSE(rehook_sync__id)) AS BIGNUMERIC)) AS STRING))
FROM calls
WHERE ((rehook_sync__received_at >= @`low` AND rehook_sync__received_at < @`high`) OR rehook_sync__received_at IS NULL)
GROUP BY 1;

WITH timed AS (
    SELECT t.*, t.`received_at` AS rehook_sync__received_at, COALESCE(`t`.`timestamp`, `t`.`received_at`, `t`.`received_at`) AS rehook_sync__occurred_at, CAST(t.`id` AS STRING) AS rehook_sync__id,
        CAST(t.`user_id` AS STRING) AS rehook_sync__user
    FROM (SELECT * FROM `my-project`.`shop`.`tracks` WHERE `loaded_at` >= @`loaded_from` OR `loaded_at` IS NULL) AS t
)
, due AS (SELECT * FROM timed)
, calls AS (SELECT * FROM due)
SELECT rehook_sync__received_at, rehook_sync__occurred_at, `calls`.`id`, `calls`.`user_id`, `calls`.`anonymous_id`, `calls`.`event`, `calls`.`event_text`, rehook_sync__id AS rehook_sync__place
FROM calls
WHERE rehook_sync__received_at >= @`low` AND rehook_sync__received_at < @`high` AND rehook_sync__id IN UNNEST(@`ids`);

SELECT c.table_name, c.column_name, c.data_type
FROM `my-project`.`shop`.INFORMATION_SCHEMA.COLUMNS AS c
WHERE c.table_name IN UNNEST(@`tables`) AND c.is_hidden = 'NO'
ORDER BY c.table_name, c.ordinal_position;

WITH timed AS (
    SELECT t.*, t.`received_at` AS rehook_sync__received_at, COALESCE(`t`.`timestamp`, `t`.`received_at`, `t`.`received_at`) AS rehook_sync__occurred_at, CAST(t.`id` AS STRING) AS rehook_sync__id,
        CAST(t.`user_id` AS STRING) AS rehook_sync__user
    FROM (SELECT * FROM `my-project`.`shop`.`identifies` WHERE `loaded_at` >= @`loaded_from` OR `loaded_at` IS NULL) AS t
)
, due AS (SELECT * FROM timed)
, calls AS (SELECT * FROM due)
SELECT TIMESTAMP_TRUNC(rehook_sync__received_at, HOUR) AS stretch, COUNT(*) AS calls, COUNT(rehook_sync__id) AS ids,
    CONCAT(CAST(SUM(CAST(FARM_FINGERPRINT(rehook_sync__id) AS BIGNUMERIC)) AS STRING), ' ', CAST(SUM(CAST(FARM_FINGERPRINT(REVERSE(rehook_sync__id)) AS BIGNUMERIC)) AS STRING)) AS fingerprint,
    MAX(CASE WHEN rehook_sync__received_at < @`until` THEN rehook_sync__received_at END) AS newest
FROM calls
WHERE ((rehook_sync__received_at >= @`low` AND rehook_sync__received_at < @`high`) OR rehook_sync__received_at IS NULL)
GROUP BY 1;

SELECT `found`.`id`, `found`.`total`
FROM (SELECT t.*, CAST(t.`id` AS STRING) AS rehook_sync__id FROM (SELECT * FROM `my-project`.`shop`.`order_completed` WHERE `loaded_at` >= @`loaded_from` OR `loaded_at` IS NULL) AS t) AS found
WHERE `found`.`id` IN UNNEST(@`ids`)
AND `found`.`received_at` >= @`low` AND `found`.`received_at` <= @`high`;

SELECT c.table_name, c.column_name, c.data_type
FROM `my-project`.`shop`.INFORMATION_SCHEMA.COLUMNS AS c
WHERE c.table_name IN UNNEST(@`tables`) AND c.is_hidden = 'NO'
ORDER BY c.table_name, c.ordinal_position;

WITH timed AS (
    SELECT t.*, t.`received_at` AS rehook_sync__received_at, COALESCE(`t`.`timestamp`, `t`.`received_at`, `t`.`received_at`) AS rehook_sync__occurred_at, CAST(t.`id` AS STRING) AS rehook_sync__id,
        CAST(t.`user_id` AS STRING) AS rehook_sync__user
    FROM (SELECT * FROM `my-project`.`shop`.`tracks` WHERE `loaded_at` >= @`loaded_from` OR `loaded_at` IS NULL) AS t
)
, due AS (SELECT * FROM timed)
, calls AS (SELECT * FROM due)
, ids AS (
    SELECT rehook_sync__id AS message_id, MIN(rehook_sync__received_at) AS received_at, MIN(COALESCE(`calls`.`event_text`, `calls`.`event`, `calls`.`event`)) AS event
    FROM calls
    WHERE ((rehook_sync__received_at >= @`low` AND rehook_sync__received_at < @`high`) OR rehook_sync__received_at IS NULL)
    GROUP BY rehook_sync__id
)
SELECT message_id, received_at, event FROM ids;

