-- Where the copy is.

-- name: find_place
-- does: tells whether the schema of the copy is there, and the catalog that names need before it, if any
-- dialect: postgresql, redshift
SELECT NULL AS catalog, count(*) AS schemas FROM pg_namespace WHERE nspname = :schema;

-- name: find_place
-- does: tells whether the schema of the copy is there, and the catalog that names need before it, if any
-- dialect: sqlite
SELECT NULL AS catalog, count(*) AS schemas FROM pragma_database_list WHERE name = :schema;

-- name: find_place
-- does: tells whether the schema of the copy is there, and the catalog that names need before it, if any
-- dialect: duckdb
SELECT current_database() AS catalog, count(*) AS schemas FROM information_schema.schemata
WHERE schema_name = :schema AND catalog_name = current_database();

-- name: find_place
-- does: tells whether the schema of the copy is there, and the catalog that names need before it, if any
SELECT NULL AS catalog, count(*) AS schemas FROM information_schema.schemata WHERE schema_name = :schema;

-- name: find_place
-- does: tells whether the schema of the copy is there, and the catalog that names need before it, if any
-- dialect: databricks
SELECT CURRENT_CATALOG() AS catalog, COUNT(*) AS schemas FROM information_schema.schemata WHERE schema_name = :schema;

-- name: make_schema
-- does: creates the schema of the copy
-- identifiers: schema
CREATE SCHEMA :"schema";

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
SELECT table_name AS name FROM information_schema.tables WHERE table_schema = :schema AND table_catalog = current_database();

-- name: list_names
-- does: lists the tables and views in the schema of the copy
SELECT table_name AS name FROM information_schema.tables WHERE table_schema = :schema;
