-- What all of the sync-state shares.

-- name: database_now
-- does: gives the database's clock; the only clock that leases and windows use
-- words: clock
SELECT {clock};

-- name: prefer_indexes
-- does: lets this transaction find what is open by its indexes; the planner takes them for as large as their tables
-- dialect: postgresql
SELECT set_config('enable_seqscan', 'off', true);
