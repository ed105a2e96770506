-- What shaped the requests of a run is kept with it, and each customer knows the refresh that sent it last.

ALTER TABLE sync_runs ADD COLUMN settings text;
ALTER TABLE sync_customers ADD COLUMN refreshed_by text;
