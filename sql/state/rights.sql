-- What this user may do with the sync-state tables, and what to tell whoever may grant it.

-- name: read_rights
-- does: tells what this user may do in the schema of the sync-state tables and with the tables that are needed, NULL for all, and whether anything can be written
-- dialect: postgresql
-- words: ids
SELECT current_user AS writer, current_database() AS database, pg_is_in_recovery() AS only_reads,
    n.nspname IS NOT NULL AS has_schema, pg_get_userbyid(n.nspowner) AS owner,
    COALESCE(has_schema_privilege(n.oid, 'USAGE'), false) AS may_use,
    COALESCE(has_schema_privilege(n.oid, 'CREATE'), has_database_privilege(current_database(), 'CREATE')) AS may_create,
    m.oid IS NOT NULL AS has_tables, pg_get_userbyid(m.relowner) AS tables_owner,
    COALESCE(pg_has_role(m.relowner, 'USAGE'), false) AS owns_tables, own.may_read, own.may_write
FROM (SELECT CAST(:schema AS text) AS name) AS wanted
LEFT JOIN pg_namespace AS n ON n.nspname = wanted.name
LEFT JOIN pg_class AS m ON m.relnamespace = n.oid AND m.relname = 'sync_migrations' AND m.relkind = 'r'
CROSS JOIN LATERAL (
    SELECT COALESCE(bool_and(has_table_privilege(c.oid, 'SELECT')), true) AS may_read,
        COALESCE(bool_and(c.oid = m.oid OR (
            has_table_privilege(c.oid, 'INSERT') AND has_table_privilege(c.oid, 'UPDATE') AND has_table_privilege(c.oid, 'DELETE')
        )), true) AS may_write
    FROM pg_class AS c
    WHERE c.relnamespace = n.oid AND c.relowner = m.relowner AND c.relkind = 'r' AND LEFT(c.relname, 5) = 'sync_'
        AND (CAST(:needed AS text) IS NULL OR c.relname IN (SELECT meant.value FROM {ids: :needed} AS meant))
) AS own;

-- name: read_durability
-- does: tells what may make the server forget what it has committed
-- dialect: postgresql
SELECT current_setting('fsync') = 'on' AS syncs, current_setting('full_page_writes') = 'on' AS writes_pages,
    current_setting('synchronous_standby_names') <> '' AS waits, (SELECT count(*) FROM pg_stat_replication) AS replicas;

-- name: grant_state_usage
-- does: is told to the owner of the schema, never executed: lets a user name its tables
-- dialect: postgresql
-- identifiers: schema, writer
GRANT USAGE ON SCHEMA :"schema" TO :"writer";

-- name: grant_state_tables
-- does: is told, never executed: lets a user do everything with the sync-state tables but create or change them
-- dialect: postgresql
-- identifiers: schema, writer
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA :"schema" TO :"writer";

-- name: grant_state_reading
-- does: is told, never executed: lets a user read the sync-state tables
-- dialect: postgresql
-- identifiers: schema, writer
GRANT SELECT ON ALL TABLES IN SCHEMA :"schema" TO :"writer";

-- name: grant_state_creation
-- does: is told, never executed: lets a user create tables in a schema that is there
-- dialect: postgresql
-- identifiers: schema, writer
GRANT USAGE, CREATE ON SCHEMA :"schema" TO :"writer";

-- name: give_state_schema
-- does: is told, never executed: makes the schema of the sync-state tables for a user
-- dialect: postgresql
-- identifiers: schema, writer
CREATE SCHEMA :"schema" AUTHORIZATION :"writer";
