-- What the warehouse holds: tables, columns and their types.

-- name: list_tables
-- does: lists the tables and views of the Segment source
-- dialect: sqlite
SELECT 'main' AS table_schema, m.name AS table_name
FROM sqlite_master AS m
WHERE m.type IN ('table', 'view') AND COALESCE(LOWER(:schema), 'main') = 'main'
ORDER BY 2;

-- name: list_tables
-- does: lists the tables, views and materialized views of the Segment source
-- dialect: postgresql
SELECT t.table_schema, t.table_name
FROM information_schema.tables AS t
WHERE t.table_schema = COALESCE(CAST(:schema AS text), current_schema())
UNION
SELECT m.schemaname, m.matviewname
FROM pg_matviews AS m
WHERE m.schemaname = COALESCE(CAST(:schema AS text), current_schema())
ORDER BY 2;

-- name: list_tables
-- does: lists the tables and views of the Segment source, whatever the case of its schema
SELECT table_schema, table_name
FROM information_schema.tables
WHERE LOWER(table_schema) = LOWER(COALESCE(:schema, current_schema()))
ORDER BY 2;

-- name: list_schemas
-- does: lists the schemas, and whether each has a table of this name
-- dialect: sqlite
SELECT 'main' AS table_schema, 0 AS holds_it;

-- name: list_schemas
-- does: lists the schemas, and whether each has a table of this name
SELECT table_schema, MAX(CASE WHEN table_name = :table THEN 1 ELSE 0 END) AS holds_it
FROM information_schema.tables
WHERE LOWER(table_schema) NOT IN ('information_schema', 'pg_catalog')
GROUP BY table_schema
ORDER BY table_schema;

-- name: probe_table
-- does: gives no row; the cursor describes the table's columns
-- identifiers: table
SELECT * FROM :"table" WHERE 1 = 0;

-- name: read_declared_types
-- does: lists the declared type of each column
-- dialect: sqlite
SELECT p.name, p.type FROM pragma_table_info(:table) AS p;

-- name: list_array_types
-- does: lists the types that are arrays
-- dialect: postgresql
SELECT CAST(t.oid AS bigint) FROM pg_catalog.pg_type AS t WHERE t.typcategory = 'A';

-- name: read_event_names
-- does: lists the different values that all calls have in these columns
-- identifiers: names, table
SELECT DISTINCT :"names" FROM :"table" AS t;
