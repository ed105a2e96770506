-- What a stretch of the lookback looked like when all of it was settled: a run reads only those that look different.

CREATE TABLE sync_stretches (
    source text NOT NULL,
    stream text NOT NULL,
    from_at timestamptz NOT NULL,
    rows bigint NOT NULL,
    fingerprint text NOT NULL,
    settled_at timestamptz NOT NULL,
    PRIMARY KEY (source, stream, from_at)
);

COMMENT ON TABLE sync_stretches IS 'One row per feed and hour of the lookback that held settled calls alone when a run looked: a run reads only hours that look different. Written by run at its end, and in parts at its start.';
COMMENT ON COLUMN sync_stretches.source IS 'name of the Segment source it is of';
COMMENT ON COLUMN sync_stretches.stream IS 'identifies or tracks';
COMMENT ON COLUMN sync_stretches.from_at IS 'start of the hour; the first day of the year 1 stands for the calls without a usable time';
COMMENT ON COLUMN sync_stretches.rows IS 'rows that the warehouse had in it, copies of a call included';
COMMENT ON COLUMN sync_stretches.fingerprint IS 'hash of their ids, made by the warehouse or of what it gave, and of the statement that asked for them';
COMMENT ON COLUMN sync_stretches.settled_at IS 'when this was written';
