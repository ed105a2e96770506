-- Other tables of calls than identifies and tracks may be streams.

ALTER TABLE sync_state DROP CONSTRAINT sync_state_stream_check;
ALTER TABLE sync_watermarks DROP CONSTRAINT sync_watermarks_stream_check;
ALTER TABLE sync_periods DROP CONSTRAINT sync_periods_stream_check;

COMMENT ON COLUMN sync_watermarks.stream IS 'identifies, tracks, or the name of another table of calls';
COMMENT ON COLUMN sync_state.stream IS 'identifies, tracks, or the name of another table of calls';
COMMENT ON COLUMN sync_shards.rows_tracks IS 'Track calls judged, and other events, of all attempts';
COMMENT ON COLUMN sync_periods.stream IS 'identifies, tracks, or the name of another table of calls';
COMMENT ON COLUMN v1_rejections.stream IS 'identifies, tracks, or the name of another table of calls';
COMMENT ON COLUMN v1_attention.stream IS 'identifies, tracks, or the name of another table of calls';
COMMENT ON COLUMN v1_customer_timeline.stream IS 'identifies, tracks, or the name of another table of calls';
COMMENT ON COLUMN v1_freshness.stream IS 'identifies, tracks, or the name of another table of calls';
COMMENT ON COLUMN v1_unsettled_by_day.stream IS 'identifies, tracks, or the name of another table of calls';
