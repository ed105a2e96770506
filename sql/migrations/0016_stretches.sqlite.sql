-- What a stretch of the lookback looked like when all of it was settled: a run reads only those that look different.

CREATE TABLE sync_stretches (
    source text NOT NULL,
    stream text NOT NULL,
    from_at text NOT NULL,
    rows integer NOT NULL,
    fingerprint text NOT NULL,
    settled_at text NOT NULL,
    PRIMARY KEY (source, stream, from_at)
) WITHOUT ROWID;
