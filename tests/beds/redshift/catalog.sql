-- What Redshift lists its tables and columns in, over PostgreSQL's own lists; a view that is bound late shows in Redshift alone.
CREATE VIEW pg_catalog.svv_tables AS
SELECT t.table_catalog, t.table_schema, t.table_name, CAST(t.table_type AS text) AS table_type, CAST(NULL AS text) AS remarks
FROM information_schema.tables AS t;
CREATE VIEW pg_catalog.svv_columns AS
SELECT c.table_catalog, c.table_schema, c.table_name, c.column_name, c.ordinal_position, c.is_nullable,
    CASE WHEN c.data_type IN ('json', 'jsonb') THEN 'super' WHEN c.data_type = 'text' THEN 'character varying' ELSE c.data_type END AS data_type,
    c.character_maximum_length, c.numeric_precision, c.numeric_scale
FROM information_schema.columns AS c;
-- What Redshift's clock and its differences of times are called.
CREATE FUNCTION pg_catalog.getdate() RETURNS timestamp LANGUAGE sql STABLE AS 'SELECT CAST(clock_timestamp() AS timestamp)';
CREATE FUNCTION pg_catalog.datediff(part text, low timestamp, high timestamp) RETURNS bigint LANGUAGE sql IMMUTABLE
AS 'SELECT CAST(EXTRACT(epoch FROM high) * 1000000 AS bigint) - CAST(EXTRACT(epoch FROM low) * 1000000 AS bigint) WHERE part = ''microsecond''';
GRANT SELECT ON pg_catalog.svv_tables, pg_catalog.svv_columns TO PUBLIC;
-- A function of Redshift that PostgreSQL lacks.
CREATE FUNCTION pg_catalog.strtol(text, integer) RETURNS bigint LANGUAGE sql IMMUTABLE STRICT
AS $$ SELECT CAST(CAST('x' || LPAD($1, 16, '0') AS bit(64)) AS bigint) $$;
-- Types that tables of Redshift have.
CREATE DOMAIN pg_catalog.super AS jsonb;
CREATE DOMAIN pg_catalog.varbyte AS bytea;
CREATE FUNCTION pg_catalog.json_parse(text) RETURNS jsonb LANGUAGE sql IMMUTABLE STRICT AS 'SELECT CAST($1 AS jsonb)';
