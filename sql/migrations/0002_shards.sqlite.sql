-- Runs in parts: what each part of the users is, and how far it came. And what recovery looks for
-- is found by an index, however many calls and customers there are.

CREATE TABLE sync_shards (
    run_id text NOT NULL REFERENCES sync_runs (run_id),
    shard integer NOT NULL,
    low_user text NOT NULL,
    high_user text,
    plan text NOT NULL,
    status text NOT NULL CHECK (status IN ('waiting', 'running', 'done', 'stopped', 'interrupted')),
    requests integer NOT NULL DEFAULT 0,
    rows_identifies integer NOT NULL DEFAULT 0,
    rows_tracks integer NOT NULL DEFAULT 0,
    error text,
    finished_at text,
    PRIMARY KEY (run_id, shard)
);

CREATE INDEX sync_customers_open ON sync_customers (source_id)
    WHERE referral_code IS NOT NULL AND (accepted_code IS NULL OR accepted_code <> referral_code);
CREATE INDEX sync_customers_freed ON sync_customers (source_id) WHERE referral_code IS NULL AND accepted_code IS NOT NULL;
CREATE INDEX sync_customers_accepted ON sync_customers (accepted_code) WHERE accepted_code IS NOT NULL;
