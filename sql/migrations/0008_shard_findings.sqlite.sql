-- What each part of a run has to say, for the notes at the end of the run.

ALTER TABLE sync_shards ADD COLUMN findings text;
