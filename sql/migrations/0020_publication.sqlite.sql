-- What a copy of these tables for analysts still lacks: nothing is noted before the first `publish`.

CREATE TABLE sync_publication (
    publication_id text PRIMARY KEY,
    place text NOT NULL,
    version integer NOT NULL,
    turn integer NOT NULL,
    reached text,
    begun_at text NOT NULL,
    published_at text
) WITHOUT ROWID;

CREATE TABLE sync_changes (
    kind text NOT NULL CHECK (kind IN ('run', 'summary', 'call', 'customer')),
    stream text NOT NULL,
    changed_id text NOT NULL,
    PRIMARY KEY (kind, stream, changed_id)
) WITHOUT ROWID;
