-- What people were told of: one message per state, not per run.

CREATE TABLE sync_notices (
    state text NOT NULL PRIMARY KEY,
    run_id text,
    told_at text NOT NULL
) WITHOUT ROWID;
