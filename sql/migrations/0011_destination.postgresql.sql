-- Which Rehook the calls in these tables went to: one row, so that no run goes on with another one by mistake.

CREATE TABLE sync_destination (
    api_url text NOT NULL,
    key_fingerprint text NOT NULL,
    bound_at timestamptz NOT NULL
);
CREATE UNIQUE INDEX sync_destination_alone ON sync_destination ((1));

COMMENT ON TABLE sync_destination IS 'The Rehook that these tables belong to: one row. Written by run and the other commands that send, before the first call leaves, and by init --rotated-key.';
COMMENT ON COLUMN sync_destination.api_url IS 'its address';
COMMENT ON COLUMN sync_destination.key_fingerprint IS 'salt and salted hash of the API key';
COMMENT ON COLUMN sync_destination.bound_at IS 'when this was written';
