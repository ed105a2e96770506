-- Which source each call, watermark and period is of. What earlier versions wrote is of the one source that they knew: `init` gives its
-- name for :'source', and a column that is added with a constant costs nothing, however many calls there are.

ALTER TABLE sync_state ADD COLUMN source text NOT NULL DEFAULT :'source';
ALTER TABLE sync_watermarks ADD COLUMN source text NOT NULL DEFAULT :'source';
ALTER TABLE sync_watermarks DROP CONSTRAINT sync_watermarks_pkey;
ALTER TABLE sync_watermarks ADD PRIMARY KEY (run_id, source, stream);
DROP INDEX sync_watermarks_by_stream;
CREATE INDEX sync_watermarks_by_source ON sync_watermarks (source, stream, high_at);
UPDATE sync_periods SET source = :'source';

CREATE OR REPLACE VIEW v1_rejections AS
SELECT stream, message_id, user_id, event, received_at, occurred_at, reason, detail, http_status, run_id, settled_at, source
FROM sync_state WHERE status = 'rejected';

CREATE OR REPLACE VIEW v1_waiting AS
SELECT stream, message_id, user_id, event, received_at, occurred_at, reason, detail, attempts, run_id, first_seen_at,
    first_seen_at + make_interval(secs => (
        SELECT newest.properties_wait_s FROM sync_runs AS newest
        WHERE newest.properties_wait_s IS NOT NULL ORDER BY newest.started_at DESC LIMIT 1
    )) AS overdue_at, source
FROM sync_state WHERE status = 'waiting';

CREATE OR REPLACE VIEW v1_attention AS
SELECT stream, message_id, user_id, event, received_at, occurred_at, status, reason, detail, http_status, attempts, run_id, first_seen_at,
    source
FROM sync_state WHERE status IN ('failed', 'in_doubt', 'sending')
UNION ALL
SELECT stream, message_id, user_id, event, received_at, occurred_at, 'waiting', reason, detail, NULL, attempts, run_id, first_seen_at,
    source
FROM v1_waiting WHERE overdue_at <= now();

CREATE OR REPLACE VIEW v1_customer_timeline AS
SELECT s.user_id, s.occurred_at, s.stream, s.event, s.message_id, s.status, s.reason, s.detail, s.http_status, s.attempts, s.sent_as,
    s.received_at, s.first_seen_at, s.settled_at, s.run_id, c.referral_code, s.source
FROM sync_state AS s LEFT JOIN sync_customers AS c ON c.source_id = s.user_id
WHERE s.user_id IS NOT NULL;

CREATE OR REPLACE VIEW v1_freshness AS
SELECT w.stream, max(w.high_at) AS watermark_at, max(w.recorded_at) AS last_run_at, count(*) AS runs,
    CAST(floor(extract(epoch FROM now() - max(w.high_at))) AS bigint) AS lag_s, w.source
FROM sync_watermarks AS w GROUP BY w.source, w.stream;

CREATE OR REPLACE VIEW v1_unsettled_by_day AS
SELECT CAST(received_at AT TIME ZONE 'UTC' AS date) AS day, stream, event, status, reason, count(*) AS calls, source
FROM (
    SELECT received_at, stream, event, status, reason, source FROM sync_state WHERE status IN ('failed', 'in_doubt', 'sending')
    UNION ALL
    SELECT received_at, stream, event, status, reason, source FROM sync_state WHERE status = 'waiting'
) AS unsettled
GROUP BY CAST(received_at AT TIME ZONE 'UTC' AS date), stream, event, status, reason, source;

COMMENT ON TABLE sync_watermarks IS 'One row per run, source and stream. Written by run at its end, also when nothing was new.';
COMMENT ON COLUMN sync_watermarks.source IS 'name of the Segment source it is of';
COMMENT ON COLUMN sync_state.source IS 'name of the Segment source it is of; the same id in two sources is one call, of the source where a run found it first';
COMMENT ON TABLE sync_periods IS 'One row per source, stream and period that a run, a baseline or a refresh was asked for. Written by run, baseline and refresh: at their start, and by the one that is done with it or gives it up.';
COMMENT ON COLUMN sync_periods.period_id IS 'the run that was asked, the source and the stream';
COMMENT ON COLUMN sync_periods.source IS 'name of the Segment source it is of';
COMMENT ON COLUMN v1_rejections.source IS 'name of the Segment source it is of';
COMMENT ON COLUMN v1_attention.source IS 'name of the Segment source it is of';
COMMENT ON COLUMN v1_waiting.source IS 'name of the Segment source it is of';
COMMENT ON COLUMN v1_customer_timeline.source IS 'name of the Segment source it is of';
COMMENT ON VIEW v1_freshness IS 'How far each stream of each source has come.';
COMMENT ON COLUMN v1_freshness.source IS 'name of the Segment source it is of';
COMMENT ON COLUMN v1_unsettled_by_day.source IS 'name of the Segment source it is of';
