-- What each part of a run has to say, for the notes at the end of the run.

ALTER TABLE sync_shards ADD COLUMN findings text;

COMMENT ON COLUMN sync_shards.findings IS 'JSON: what the notes of the run say of this part, such as values that were left out, by column';
