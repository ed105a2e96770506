-- Tables that a source does not have, while another one has them.

ALTER TABLE sync_watermarks ADD COLUMN lacks_table text;

CREATE OR REPLACE VIEW v1_freshness AS
SELECT w.stream, w.watermark_at, w.last_run_at, w.runs,
    CAST(floor(extract(epoch FROM now() - w.watermark_at)) AS bigint) AS lag_s, w.source
FROM (
    SELECT source, stream, max(recorded_at) AS last_run_at, count(*) AS runs,
        NULLIF(max(high_at) FILTER (WHERE lacks_table IS NULL), TIMESTAMPTZ '1970-01-01 00:00:00+00') AS watermark_at
    FROM sync_watermarks GROUP BY source, stream
) AS w;

COMMENT ON COLUMN sync_watermarks.lacks_table IS 'table that the source does not have, so that nothing was read of it; NULL: it was read';
COMMENT ON COLUMN v1_freshness.watermark_at IS 'the watermark; NULL: no row was read yet';
