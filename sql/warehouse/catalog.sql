-- What the warehouse holds: tables, columns and their types.

-- name: list_tables
-- does: lists the tables and views of the Segment source, and what keeps this user from reading each
-- dialect: sqlite
SELECT NULL AS table_catalog, 'main' AS table_schema, m.name AS table_name, m.type = 'view' AS is_view,
    0 AS is_guarded, NULL AS missing, NULL AS columns, NULL AS denied, NULL AS owner, NULL AS reader
FROM sqlite_master AS m
WHERE m.type IN ('table', 'view') AND COALESCE(LOWER(:schema), 'main') = 'main'
ORDER BY 2;

-- name: list_tables
-- does: lists the tables and views of the Segment source, and what keeps this user from reading each
-- dialect: postgresql
-- information_schema would hide what this user may not read.
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
    WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND n.nspname = COALESCE(CAST(:schema AS text), current_schema())
) AS found
ORDER BY found.relname;

-- name: list_tables
-- does: lists the tables and views of the Segment source, whatever the case of its schema; what may not be read is hidden
SELECT NULL AS table_catalog, table_schema, table_name, table_type LIKE '%VIEW%' AS is_view,
    0 AS is_guarded, NULL AS missing, NULL AS columns, NULL AS denied, NULL AS owner, NULL AS reader
FROM information_schema.tables
WHERE LOWER(table_schema) = LOWER(COALESCE(:schema, current_schema()))
ORDER BY 2;

-- name: list_tables
-- does: lists the tables and views of the Segment source, whatever the case of its schema; there are no rights
-- dialect: duckdb
SELECT t.table_catalog, t.table_schema, t.table_name, t.table_type LIKE '%VIEW%' AS is_view,
    0 AS is_guarded, NULL AS missing, NULL AS columns, NULL AS denied, NULL AS owner, NULL AS reader
FROM information_schema.tables AS t
WHERE t.table_catalog = COALESCE(CAST(:catalog AS VARCHAR), current_database())
    AND LOWER(t.table_schema) = LOWER(COALESCE(CAST(:schema AS VARCHAR), current_schema()))
ORDER BY t.table_name;

-- name: list_tables
-- does: lists the tables and views of the Segment source, external ones and views that are bound late as well; what may not be read is hidden
-- dialect: redshift
-- CURRENT_SCHEMA may not stand beside these lists.
SELECT NULL AS table_catalog, t.table_schema, t.table_name, CASE WHEN t.table_type LIKE '%VIEW%' THEN 1 ELSE 0 END AS is_view,
    0 AS is_guarded, NULL AS missing, NULL AS columns, NULL AS denied, NULL AS owner, NULL AS reader
FROM svv_tables AS t
WHERE LOWER(t.table_schema) = LOWER(COALESCE(CAST(:schema AS VARCHAR), 'public'))
ORDER BY t.table_name;

-- name: list_tables
-- does: lists the tables and views of a dataset; what may not be read is hidden
-- dialect: bigquery
-- identifiers: holder
SELECT t.table_catalog, t.table_schema, t.table_name, t.table_type LIKE '%VIEW%' AS is_view,
    0 AS is_guarded, NULL AS missing, NULL AS columns, NULL AS denied, NULL AS owner, NULL AS reader
FROM :"holder".INFORMATION_SCHEMA.TABLES AS t
ORDER BY t.table_name;

-- name: list_tables
-- does: lists the tables and views of a schema of Unity Catalog, whatever its case; what this user may not see is hidden
-- dialect: databricks
-- identifiers: lists
SELECT t.table_catalog, t.table_schema, t.table_name, t.table_type LIKE '%VIEW%' AS is_view,
    0 AS is_guarded, NULL AS missing, NULL AS columns, NULL AS denied, NULL AS owner, NULL AS reader
FROM :"lists".tables AS t
WHERE LOWER(t.table_schema) = LOWER(COALESCE(:schema, CURRENT_SCHEMA()))
ORDER BY t.table_name;

-- name: list_schemas
-- does: lists the schemas, and whether each has a table of this name
-- dialect: sqlite
SELECT 'main' AS table_schema, 0 AS holds_it;

-- name: list_schemas
-- does: lists the schemas, those that this user may not use as well, and whether each has a table of this name
-- dialect: postgresql
SELECT n.nspname AS table_schema, MAX(CASE WHEN c.relname = :table THEN 1 ELSE 0 END) AS holds_it
FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND n.nspname <> 'information_schema' AND LEFT(n.nspname, 3) <> 'pg_'
GROUP BY n.nspname
ORDER BY n.nspname;

-- name: list_schemas
-- does: lists the schemas, and whether each has a table of this name
SELECT table_schema, MAX(CASE WHEN table_name = :table THEN 1 ELSE 0 END) AS holds_it
FROM information_schema.tables
WHERE LOWER(table_schema) NOT IN ('information_schema', 'pg_catalog')
GROUP BY table_schema
ORDER BY table_schema;

-- name: list_schemas
-- does: lists the schemas, and whether each has a table of this name
-- dialect: duckdb
SELECT t.table_schema, MAX(CASE WHEN t.table_name = :table THEN 1 ELSE 0 END) AS holds_it
FROM information_schema.tables AS t
WHERE t.table_catalog = COALESCE(CAST(:catalog AS VARCHAR), current_database())
GROUP BY t.table_schema
ORDER BY t.table_schema;

-- name: list_schemas
-- does: lists the schemas, and whether each has a table of this name
-- dialect: redshift
SELECT t.table_schema, MAX(CASE WHEN t.table_name = :table THEN 1 ELSE 0 END) AS holds_it
FROM svv_tables AS t
WHERE t.table_schema NOT IN ('information_schema', 'pg_catalog', 'pg_internal')
GROUP BY t.table_schema
ORDER BY t.table_schema;

-- name: list_schemas
-- does: lists no other dataset than the one that is read: to list all, one would have to know where they are
-- dialect: bigquery
-- identifiers: holder
SELECT DISTINCT t.table_schema, 0 AS holds_it FROM :"holder".INFORMATION_SCHEMA.TABLES AS t;

-- name: list_schemas
-- does: lists the schemas of a catalog, and whether each has a table of this name
-- dialect: databricks
-- identifiers: lists
SELECT t.table_schema, MAX(CASE WHEN LOWER(t.table_name) = LOWER(:table) THEN 1 ELSE 0 END) AS holds_it
FROM :"lists".tables AS t
WHERE t.table_schema <> 'information_schema'
GROUP BY t.table_schema
ORDER BY t.table_schema;

-- name: grant_usage
-- does: is told to whoever administers the warehouse, never executed: lets a user name the tables of a schema
-- identifiers: schema, reader
GRANT USAGE ON SCHEMA :"schema" TO :"reader";

-- name: grant_select
-- does: is told, never executed: lets a user read some tables
-- identifiers: tables, reader
GRANT SELECT ON :"tables" TO :"reader";

-- name: grant_select_of_columns
-- does: is told, never executed: lets a user read some more columns of a table
-- identifiers: columns, table, reader
GRANT SELECT (:"columns") ON :"table" TO :"reader";

-- name: grant_select_on_all
-- does: is told, never executed: lets a user read all tables of a schema
-- identifiers: schema, reader
GRANT SELECT ON ALL TABLES IN SCHEMA :"schema" TO :"reader";

-- name: grant_later_tables
-- does: is told, never executed: lets a user read the tables that the loader will create
-- identifiers: schema, reader, owner
ALTER DEFAULT PRIVILEGES FOR ROLE :"owner" IN SCHEMA :"schema" GRANT SELECT ON TABLES TO :"reader";

-- name: probe_table
-- does: gives no row; the cursor describes the table's columns
-- identifiers: table
SELECT * FROM :"table" WHERE 1 = 0;

-- name: list_columns
-- does: lists the columns of some tables
-- dialect: sqlite
SELECT m.name AS table_name, p.name AS column_name
FROM sqlite_master AS m JOIN pragma_table_xinfo(m.name) AS p
WHERE m.name IN (SELECT wanted.value FROM json_each(:tables) AS wanted) AND COALESCE(:schema, 'main') = 'main' AND p.hidden <> 1;

-- name: list_columns
-- does: lists the columns of some tables
-- dialect: postgresql
SELECT c.relname AS table_name, a.attname AS column_name
FROM pg_attribute AS a JOIN pg_class AS c ON c.oid = a.attrelid JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE n.nspname = COALESCE(CAST(:schema AS text), current_schema()) AND c.relname = ANY(:tables) AND a.attnum > 0 AND NOT a.attisdropped;

-- name: list_columns
-- does: lists the columns of some tables, and the type of each
-- dialect: duckdb
SELECT c.table_name, c.column_name, c.data_type
FROM information_schema.columns AS c
WHERE c.table_catalog = :catalog AND c.table_schema = :schema AND c.table_name IN (SELECT UNNEST(CAST(:tables AS VARCHAR[])));

-- name: list_columns
-- does: lists the columns of some tables, and the type of each; a NUMBER without decimals is an INTEGER
-- dialect: snowflake
-- words: among
SELECT c.table_name, c.column_name, CASE WHEN c.data_type = 'NUMBER' AND c.numeric_scale = 0 THEN 'INTEGER' ELSE c.data_type END
FROM information_schema.columns AS c
WHERE c.table_schema = :schema AND c.table_name {among: :tables}
ORDER BY c.table_name, c.ordinal_position;

-- name: list_columns
-- does: lists the columns of some tables, and the type of each; a numeric without decimals is an integer
-- dialect: redshift
-- words: among
SELECT c.table_name, c.column_name, CASE WHEN c.data_type IN ('numeric', 'decimal') AND c.numeric_scale = 0 THEN 'bigint' ELSE c.data_type END
FROM svv_columns AS c
WHERE c.table_schema = :schema AND c.table_name {among: :tables}
ORDER BY c.table_name, c.ordinal_position;

-- name: list_columns
-- does: lists the columns of some tables, and the type of each; pseudo columns are hidden
-- dialect: bigquery
-- identifiers: holder
SELECT c.table_name, c.column_name, c.data_type
FROM :"holder".INFORMATION_SCHEMA.COLUMNS AS c
WHERE c.table_name IN UNNEST(:tables) AND c.is_hidden = 'NO'
ORDER BY c.table_name, c.ordinal_position;

-- name: list_columns
-- does: lists the columns of some tables, and the type of each; a decimal without decimals is an integer
-- dialect: databricks
-- identifiers: lists
-- words: among
SELECT c.table_name, c.column_name,
    CASE WHEN LOWER(c.full_data_type) LIKE 'decimal(%,0)' THEN 'bigint' ELSE c.full_data_type END AS data_type
FROM :"lists".columns AS c
WHERE c.table_schema = :schema AND c.table_name {among: :tables}
ORDER BY c.table_name, c.ordinal_position;

-- name: list_partitions
-- does: lists the column of time by which each table is partitioned, pseudo columns as well; not those with partitions longer than a day
-- dialect: bigquery
-- identifiers: holder
SELECT c.table_name, c.column_name
FROM :"holder".INFORMATION_SCHEMA.COLUMNS AS c JOIN :"holder".INFORMATION_SCHEMA.TABLES AS t ON t.table_name = c.table_name
WHERE c.is_partitioning_column = 'YES' AND c.data_type = 'TIMESTAMP'
    AND NOT REGEXP_CONTAINS(COALESCE(t.ddl, ''), r'PARTITION BY [^;]*, (MONTH|YEAR)');

-- name: read_declared_types
-- does: lists the declared type of each column
-- dialect: sqlite
SELECT p.name, p.type FROM pragma_table_info(:table) AS p;

-- name: list_array_types
-- does: lists the types that are arrays
-- dialect: postgresql
SELECT CAST(t.oid AS bigint) FROM pg_catalog.pg_type AS t WHERE t.typcategory = 'A';

-- name: read_own_event
-- does: gives the event that a row of a table is of
-- identifiers: event, table
SELECT t.:"event" FROM :"table" AS t WHERE t.:"event" IS NOT NULL LIMIT 1;

-- name: read_event_names
-- does: lists the different values that all calls have in these columns
-- identifiers: names, table
SELECT DISTINCT :"names" FROM :"table" AS t;
