-- Where the copy is.

-- name: find_place
-- does: tells whether the schema of the copy is there, how many are there at all, and the catalog that names need before it, if any
-- dialect: postgresql, redshift
SELECT CAST(:catalog AS text) AS catalog, sum(CASE WHEN nspname = :schema THEN 1 ELSE 0 END) AS schemas, count(*) AS seen FROM pg_namespace;

-- name: find_place
-- does: tells whether the schema of the copy is there, how many are there at all, and the catalog that names need before it, if any
-- dialect: sqlite
SELECT :catalog AS catalog, sum(name = :schema) AS schemas, count(*) AS seen FROM pragma_database_list;

-- name: find_place
-- does: tells whether the schema of the copy is there, how many are there at all, and the catalog that names need before it, if any
-- dialect: duckdb
SELECT COALESCE(:catalog, current_database()) AS catalog, count(*) FILTER (WHERE schema_name = :schema) AS schemas, count(*) AS seen
FROM information_schema.schemata
WHERE lower(catalog_name) = lower(COALESCE(:catalog, current_database()));

-- name: find_place
-- does: tells whether the schema of the copy is there, how many are there at all, and the catalog that names need before it, if any
-- dialect: snowflake
-- identifiers: lists
SELECT CAST(:catalog AS VARCHAR) AS catalog, COUNT_IF(schema_name = :schema) AS schemas, COUNT(*) AS seen FROM :"lists".schemata;

-- name: find_place
-- does: tells whether the schema of the copy is there, how many are there at all, and the catalog that names need before it, if any
-- dialect: databricks
-- identifiers: lists
SELECT COALESCE(:catalog, CURRENT_CATALOG()) AS catalog, COUNT_IF(schema_name = :schema) AS schemas, COUNT(*) AS seen FROM :"lists".schemata
WHERE catalog_name = COALESCE(:catalog, CURRENT_CATALOG());

-- name: make_schema
-- does: creates the schema of the copy
-- identifiers: holder
CREATE SCHEMA :"holder";

-- name: list_names
-- does: lists the tables and views in the schema of the copy
-- dialect: postgresql, redshift
SELECT c.relname AS name FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE n.nspname = :schema AND c.relkind IN ('r', 'v', 'p', 'm', 'f');

-- name: list_names
-- does: lists the tables and views in the schema of the copy
-- dialect: sqlite
SELECT name FROM sqlite_master WHERE type IN ('table', 'view') AND :schema = 'main';

-- name: list_names
-- does: lists the tables and views in the schema of the copy
-- dialect: duckdb
SELECT table_name AS name FROM information_schema.tables
WHERE table_schema = :schema AND lower(table_catalog) = lower(COALESCE(:catalog, current_database()));

-- name: list_names
-- does: lists the tables and views in the schema of the copy
-- dialect: databricks, snowflake
-- identifiers: lists
SELECT table_name AS name FROM :"lists".tables WHERE table_schema = :schema;
