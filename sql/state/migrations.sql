-- Creating and upgrading the sync-state tables; the steps themselves are in sql/migrations.

-- name: create_schema
-- does: creates the schema of the sync-state tables
-- dialect: postgresql
-- identifiers: schema
CREATE SCHEMA IF NOT EXISTS :"schema";

-- name: lock_migrations
-- does: lets one process at a time upgrade, until the transaction ends
-- dialect: postgresql
SELECT pg_advisory_xact_lock(hashtext('rehook_sync migrations'));

-- name: ensure_migrations_table
-- does: creates the record of applied migrations
CREATE TABLE IF NOT EXISTS sync_migrations (
    version integer PRIMARY KEY,
    name text NOT NULL,
    applied_at text NOT NULL
);

-- name: migrations_table_exists
-- does: tells whether the sync-state tables were ever created here; PostgreSQL is asked for this user's rights at once
-- dialect: sqlite
SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name = 'sync_migrations';

-- name: has_runs
-- does: tells whether a run was ever recorded
SELECT EXISTS (SELECT 1 FROM sync_runs);

-- name: newest_migration
-- does: gives the version of the sync-state tables, 0 before the first migration
SELECT coalesce(max(version), 0) FROM sync_migrations;

-- name: record_migration
-- does: records an applied migration
INSERT INTO sync_migrations (version, name, applied_at) VALUES (:version, :name, :applied_at);
