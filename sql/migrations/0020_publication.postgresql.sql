-- What a copy of these tables for analysts still lacks: nothing is noted before the first `publish`.

CREATE TABLE sync_publication (
    publication_id text PRIMARY KEY,
    place text NOT NULL,
    version integer NOT NULL,
    turn bigint NOT NULL,
    reached text,
    begun_at timestamptz NOT NULL,
    published_at timestamptz
);

CREATE TABLE sync_changes (
    kind text NOT NULL CHECK (kind IN ('run', 'summary', 'call', 'customer')),
    stream text NOT NULL,
    changed_id text NOT NULL,
    PRIMARY KEY (kind, stream, changed_id)
);

COMMENT ON TABLE sync_publication IS 'The copy for analysts that changes are noted for: one row, or none. Written by publish, and by run while PUBLISH_SCHEMA is set.';
COMMENT ON COLUMN sync_publication.publication_id IS 'tells this copy from that of another sync-state';
COMMENT ON COLUMN sync_publication.place IS 'where it is, without user and password';
COMMENT ON COLUMN sync_publication.version IS 'version of these tables when it was begun';
COMMENT ON COLUMN sync_publication.turn IS 'publications that have begun, over all places';
COMMENT ON COLUMN sync_publication.reached IS 'JSON: how far the first copy of all rows has come; NULL: all are there';
COMMENT ON COLUMN sync_publication.begun_at IS 'when it was begun';
COMMENT ON COLUMN sync_publication.published_at IS 'when the copy last had all that is here';
COMMENT ON TABLE sync_changes IS 'One row per run, call or customer that the copy for analysts lacks or has as it was. Written by every command that changes the other tables, once there is a copy; emptied by publish, and by run while PUBLISH_SCHEMA is set.';
COMMENT ON COLUMN sync_changes.kind IS 'run: with its calls, their customers and its watermarks; summary: a run alone; call; customer';
COMMENT ON COLUMN sync_changes.stream IS 'of a call; empty for all others';
COMMENT ON COLUMN sync_changes.changed_id IS 'run id, message id or user id';
