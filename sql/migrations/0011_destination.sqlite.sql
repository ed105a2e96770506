-- Which Rehook the calls in these tables went to: one row, so that no run goes on with another one by mistake.

CREATE TABLE sync_destination (
    api_url text NOT NULL,
    key_fingerprint text NOT NULL,
    bound_at text NOT NULL
);
CREATE UNIQUE INDEX sync_destination_alone ON sync_destination ((1));
