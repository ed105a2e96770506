-- What shaped the requests of a run is kept with it, and each customer knows the refresh that sent it last.

ALTER TABLE sync_runs ADD COLUMN settings text;
ALTER TABLE sync_customers ADD COLUMN refreshed_by text;

COMMENT ON COLUMN sync_runs.settings IS 'JSON: the settings that shape what is sent, by name, no URL and no secret; NULL: the run judged no calls, or an earlier version did';
COMMENT ON COLUMN sync_customers.refreshed_by IS 'the run that asked for the refresh which sent all present traits last; NULL: none did';
COMMENT ON TABLE sync_periods IS 'One row per stream and period that a run, a baseline or a refresh was asked for. Written by run, baseline and refresh: at their start, and by the one that is done with it or gives it up.';
COMMENT ON COLUMN sync_periods.closed_at IS 'when; NULL: it is open, and the next of its kind goes on with it';
