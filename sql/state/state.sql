-- What all statements of the sync-state share.

-- name: database_now
-- does: gives the time by the database's clock, the only one that leases and windows use
-- words: clock
SELECT {clock};

-- name: prefer_indexes
-- does: makes this transaction use the indexes of unsettled rows, which the planner takes to be as large as their tables
-- dialect: postgresql
SELECT set_config('enable_seqscan', 'off', true);
