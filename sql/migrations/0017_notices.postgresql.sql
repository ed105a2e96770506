-- What people were told of: one message per state, not per run.

CREATE TABLE sync_notices (
    state text NOT NULL PRIMARY KEY,
    run_id text,
    told_at timestamptz NOT NULL
);

COMMENT ON TABLE sync_notices IS 'One row per state that people were told of and not yet told that it is over. Written by run after its end, while NOTIFY is set.';
COMMENT ON COLUMN sync_notices.state IS 'the condition of NOTIFY_ON';
COMMENT ON COLUMN sync_notices.run_id IS 'the run after which it was told; NULL: one that could not begin';
COMMENT ON COLUMN sync_notices.told_at IS 'when it was told';
