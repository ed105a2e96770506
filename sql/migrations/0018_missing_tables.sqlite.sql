-- Tables that a source does not have, while another one has them.

ALTER TABLE sync_watermarks ADD COLUMN lacks_table text;

DROP VIEW v1_freshness;
CREATE VIEW v1_freshness AS
SELECT w.stream, w.watermark_at, w.last_run_at, w.runs,
    strftime('%s', 'now') - strftime('%s', substr(w.watermark_at, 1, 19)) AS lag_s, w.source
FROM (
    SELECT source, stream, max(recorded_at) AS last_run_at, count(1) AS runs,
        NULLIF(max(CASE WHEN lacks_table IS NULL THEN high_at END), '1970-01-01T00:00:00.000000Z') AS watermark_at
    FROM sync_watermarks GROUP BY source, stream
) AS w;
